//! The daemon on real files, as over telnet.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;

use rustix::process::Signal;

use crate::support::{Daemon, at, eicar, gzip, noise, odd_names, tar, zip};
use vfind::gateway::svsp::reply::{self, Reply};

const FOUND: &str = "CVDL EICAR-Test-File";

#[test]
fn eicar_is_found_wherever_it_hides() {
    let folder = tempfile::tempdir().unwrap();
    let inner = tar(&[(b"deep/virus.com", &eicar())]);
    let nested = tar(&[(b"outer.zip", &zip(&[("inner.tar.gz", &gzip(&inner))]))]);
    let rows: [(&str, Vec<u8>, &str); 5] = [
        ("plain.com", eicar(), ""),
        (
            "text",
            [noise(1, 5000), eicar(), noise(2, 5000)].concat(),
            "",
        ),
        (
            "a.zip",
            zip(&[("virus.com", &eicar())]),
            r#" -> "virus.com""#,
        ),
        ("b.gz", gzip(&eicar()), r#" -> "b""#),
        (
            "nested.tar",
            nested,
            r#" -> "outer.zip" -> "inner.tar.gz" -> "inner.tar" -> "deep/virus.com""#,
        ),
    ];
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = Daemon::start(&[isolation]);
        let mut talk = daemon.connect();
        for (name, content, member) in &rows {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            talk.send(format!("SCAN/FILE {}\r\n", path.display()));
            let answer = talk.answer();
            let quoted = format!("\"{}\"", path.display());
            let infected = format!("INFECTED {FOUND} : {quoted}{member} : end at");
            assert_eq!(answer[0], "QUEUED");
            assert!(
                answer.contains(&format!("SCANNING {quoted}{member}")),
                "{answer:?}"
            );
            assert!(
                answer.iter().any(|line| line.starts_with(&infected)),
                "{answer:?}"
            );
            assert_eq!(answer.last().unwrap(), &format!("DONE 1 : {quoted}"));
        }
    }
}

#[test]
fn eicar_is_found_five_gib_into_a_sparse_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let mut file = std::fs::File::create(&path).unwrap();
    let at: u64 = 5 << 30;
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&eicar()).unwrap();
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {}\r\n", path.display()));
    let answer = talk.answer();
    let end = at + eicar().len() as u64;
    assert!(
        answer[2].ends_with(&format!(": end at {end}")),
        "{answer:?}"
    );
    assert!(answer[3].starts_with("DONE 1 : "), "{answer:?}");
    assert!(
        daemon.resident() < 100_000,
        "{} kB for a file of 5 GiB",
        daemon.resident()
    );
}

#[test]
fn odd_names_survive_the_way_through_folders_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let names = odd_names();
    for name in &names {
        std::fs::write(at(folder.path(), name), b"harmless").unwrap();
    }
    let members: Vec<_> = names
        .iter()
        .map(|name| (name.as_slice(), &b"harmless"[..]))
        .collect();
    std::fs::write(folder.path().join("members.tar"), tar(&members)).unwrap();
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    let mut seen = Vec::new();
    talk.send(format!("SCAN/FILE {}\r\n", folder.path().display()));
    loop {
        let line = talk.line();
        match reply::parse(&line).unwrap().1 {
            Reply::Scanning(path) => seen.push(path),
            Reply::Done(count, ..) => {
                assert_eq!(count, Some(0));
                break;
            }
            Reply::Queued => {}
            other => panic!("{other:?}"),
        }
    }
    for name in &names {
        let path = at(folder.path(), name);
        assert!(
            seen.iter()
                .any(|seen| seen.elements() == [path.as_os_str().as_bytes().to_vec()]),
            "{name:?}"
        );
        assert!(
            seen.iter()
                .any(|seen| !seen.is_root() && seen.name() == &name[..]),
            "{name:?} in the archive"
        );
    }
}

#[test]
fn a_file_whose_name_has_a_newline_can_be_named_in_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new\nline");
    std::fs::write(&path, eicar()).unwrap();
    let quoted = format!("\"{}/new\\nline\"", folder.path().display());
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {quoted}\r\n"));
    assert_eq!(talk.answer().last().unwrap(), &format!("DONE 1 : {quoted}"));
}

#[test]
fn numbered_commands_in_one_segment_start_together_and_others_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // The first takes long: a fifo-like wait is not to be had from a file, so it is a large one.
    let large = std::fs::File::create(folder.path().join("large")).unwrap();
    large.set_len(3 << 30).unwrap();
    std::fs::write(folder.path().join("small"), b"x").unwrap();
    let daemon = Daemon::start(&["--threads=2"]);
    let (large, small) = (folder.path().join("large"), folder.path().join("small"));
    let mut talk = daemon.connect();
    talk.send(format!(
        "1 SCAN/FILE {}\r\n2 SCAN/FILE {}\r\n",
        large.display(),
        small.display()
    ));
    let order = [talk.answer(), talk.answer()].map(|answer| answer.last().unwrap()[..6].to_owned());
    assert_eq!(order, ["2 DONE", "1 DONE"]);
    talk.send(format!(
        "SCAN/FILE {}\r\nSCAN/FILE {}\r\n",
        large.display(),
        small.display()
    ));
    let first = talk.answer();
    assert_eq!(
        first.iter().filter(|line| *line == "QUEUED").count(),
        1,
        "{first:?}"
    );
    assert!(first.last().unwrap().contains("large"));
    assert!(talk.answer().last().unwrap().contains("small"));
}

#[test]
fn sha1_comes_with_the_file_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc");
    std::fs::write(&path, b"abc").unwrap();
    let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = Daemon::start(&[isolation]);
        let mut talk = daemon.connect();
        talk.send(format!("7 SCAN/FILE-SHA1 {}\n", path.display()));
        let done = format!("7 DONE 0 : \"{}\" : {sha1}", path.display());
        assert_eq!(talk.answer().last().unwrap(), &done);
        talk.send(format!("SCAN/FILE-SHA1 {}\n", folder.path().display()));
        let done = format!("DONE 0 : \"{}\"", folder.path().display());
        assert_eq!(talk.answer().last().unwrap(), &done);
    }
}

#[test]
fn options_change_what_is_scanned_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    std::fs::write(&path, zip(&[("virus.com", &eicar())])).unwrap();
    let daemon = Daemon::start(&[]);
    let scan = |options: &[&str]| {
        let mut talk = daemon.connect();
        for option in options {
            talk.send(format!("{option}\r\n"));
            assert_eq!(talk.text(), "OK", "{option}");
        }
        talk.scan(&path)
    };
    let quoted = format!("\"{}\"", path.display());
    assert_eq!(scan(&[]), format!("DONE 1 : {quoted}"));
    for options in [
        &["ENABLE IGNORE CVDL EICAR-Test-File"][..],
        &["ENABLE EXPAND gz"],
        &["DISABLE EXPAND"],
        &["DISABLE RECURSE"],
        &[&format!("ENABLE EXCLUDE {}", folder.path().display())],
    ] {
        assert_eq!(scan(options), format!("DONE 0 : {quoted}"), "{options:?}");
    }
    assert_eq!(
        scan(&["DISABLE EXPAND", "ENABLE EXPAND zip"]),
        format!("DONE 1 : {quoted}")
    );
}

#[test]
fn original_reports_on_the_container_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    std::fs::write(&path, tar(&[(b"virus.com", &eicar())])).unwrap();
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    // Uncompressed, the string is in the archive as well as in its member; the member speaks for both.
    assert!(talk.scan(&path).starts_with("DONE 1 "));
    talk.send("ENABLE ORIGINAL\r\n");
    assert_eq!(talk.text(), "OK");
    talk.send(format!("SCAN/FILE {}\r\n", path.display()));
    let answer = talk.answer();
    assert!(
        answer.contains(&format!("SCANNING \"{}\"", path.display())),
        "{answer:?}"
    );
    assert!(answer.last().unwrap().starts_with("DONE 2 "), "{answer:?}");
}

#[test]
fn garbage_is_answered_and_harms_nobody() {
    let daemon = Daemon::start(&[]);
    let mut other = daemon.connect();
    let mut rows: Vec<Vec<u8>> = vec![
        vec![0; 100],
        b"\xff\xfb\x1f\xff\xfd\x03".to_vec(),
        vec![b'A'; 10 << 20],
        b"SCAN/FILE /tmp/\0null".to_vec(),
    ];
    rows.extend((0..20).map(|seed| {
        let mut bytes = noise(seed, 2000);
        bytes.retain(|byte| *byte != b'\n');
        bytes.insert(0, b'?');
        bytes
    }));
    for row in rows {
        let mut talk = daemon.connect();
        talk.send(&row);
        talk.send("\n");
        assert!(
            talk.text().starts_with("EINVAL "),
            "{:?}",
            &row[..8.min(row.len())]
        );
        talk.send("QUIT\n");
        assert_eq!(talk.rest(), b"OK\r\n");
    }
    let me = std::env::current_exe().unwrap();
    assert!(other.scan(&me).starts_with("DONE 0 "));
    assert!(
        !daemon
            .log_so_far()
            .iter()
            .any(|line| line.contains("panic"))
    );
}

#[test]
fn commands_in_segments_of_one_byte_are_commands() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.stream.set_nodelay(true).unwrap();
    for byte in b"1 ENABLE RECURSE 1\r\n2 SCAN/FILE nonexistent\nQUIT\n" {
        talk.send([*byte]);
    }
    assert_eq!(
        String::from_utf8(talk.rest()).unwrap(),
        "1 OK\r\n2 QUEUED\r\n2 ENOENT \"nonexistent\"\r\nOK\r\n"
    );
}

#[test]
fn who_sends_no_more_still_gets_the_answer() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send("SCAN/FILE /\u{0}x\nSCAN/FILE nonexistent\n");
    talk.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let rest = String::from_utf8(talk.rest()).unwrap();
    assert!(
        rest.starts_with("EINVAL ") && rest.ends_with("ENOENT \"nonexistent\"\r\n"),
        "{rest}"
    );
}

#[test]
fn what_is_sent_after_quit_does_not_take_the_answer_away() {
    let daemon = Daemon::start(&[]);
    for _ in 0..20 {
        let mut talk = daemon.connect();
        talk.send("1 SCAN/FILE nonexistent\nQUIT\n");
        // Enough that it does not fit into one read; the daemon reads none of it.
        talk.send(vec![b'x'; 200_000]);
        let rest = String::from_utf8(talk.rest()).unwrap();
        assert_eq!(rest, "1 QUEUED\r\n1 ENOENT \"nonexistent\"\r\nOK\r\n");
    }
}

#[test]
fn a_browser_is_turned_away_without_a_word() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect_silently();
    talk.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!String::from_utf8_lossy(&talk.rest()).contains("EINVAL"));
}

#[test]
fn sigterm_lets_running_requests_end_and_exits_0() {
    let folder = tempfile::tempdir().unwrap();
    let large = std::fs::File::create(folder.path().join("large")).unwrap();
    large.set_len(512 << 20).unwrap();
    let mut daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {}/large\r\n", folder.path().display()));
    assert_eq!(talk.text(), "QUEUED");
    let idle = daemon.connect();
    daemon.signal(Signal::TERM);
    assert!(talk.answer().last().unwrap().starts_with("DONE 0 "));
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(idle.rest(), b"");
}

#[test]
fn what_still_runs_at_the_end_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let huge = std::fs::File::create(folder.path().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let path = format!("{}/huge", folder.path().display());
    let mut daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send(format!(
        "1 SCAN/FILE {path}\r\nSCAN/FILE {path}\r\nSCAN/FILE {path}\r\nQUIT\r\n"
    ));
    assert_eq!(talk.text(), "1 QUEUED");
    daemon.signal(Signal::TERM);
    let rest = String::from_utf8(talk.rest()).unwrap();
    for line in [
        format!("1 EAGAIN \"{path}\""),
        format!("\r\nEAGAIN \"{path}\""),
    ] {
        assert!(rest.contains(&line), "{rest}");
    }
    assert_eq!(rest.matches("EAGAIN").count(), 3, "{rest}");
    assert!(rest.ends_with("\r\nOK\r\n"), "{rest}");
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_cancelled_request_gives_its_worker_free() {
    let folder = tempfile::tempdir().unwrap();
    let huge = std::fs::File::create(folder.path().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = Daemon::start(&["--threads=1", isolation]);
        let mut talk = daemon.connect();
        talk.send(format!("SCAN/FILE {}/huge\r\n", folder.path().display()));
        assert_eq!(talk.text(), "QUEUED");
        assert!(talk.text().starts_with("SCANNING "));
        // Gone without a word, and what it was owed cannot be delivered: linger 0 makes it a reset.
        let socket = talk.stream.try_clone().unwrap();
        rustix::net::sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO)).unwrap();
        drop((socket, talk));
        let mut other = daemon.connect();
        assert!(
            other
                .scan(&std::env::current_exe().unwrap())
                .starts_with("DONE 0 "),
            "{isolation}"
        );
    }
}

#[test]
fn our_own_binaries_and_signatures_are_clean() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    for binary in [
        env!("CARGO_BIN_EXE_vfindd"),
        env!("CARGO_BIN_EXE_vfindc"),
        env!("CARGO_BIN_EXE_vfind"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/signatures"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/src"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/docs"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"),
    ] {
        assert_eq!(talk.scan(binary.as_ref()), format!("DONE 0 : \"{binary}\""));
    }
}

#[test]
fn files_that_say_they_are_empty_are_read_all_the_same() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send("ENABLE COVERAGE\r\n");
    talk.text();
    talk.send("SCAN/FILE /proc/self/status\r\n");
    let answer = talk.answer();
    let coverage = &answer[answer.len() - 2];
    let bytes: u64 = coverage.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(bytes > 100, "{coverage}");
    let mut status = String::new();
    std::fs::File::open("/proc/self/status")
        .unwrap()
        .read_to_string(&mut status)
        .unwrap();
    assert!(!status.is_empty());
}
