//! The promise: what was not examined has a reason, and no verdict is clean without having looked.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Daemon, eicar, gzip, noise, stored_zip, tar, zip};

/// Scans content under a name, with COVERAGE, and gives the SKIPPED lines (without the path) and the terminal reply.
fn skipped(daemon: &Daemon, folder: &Path, name: &str, content: &[u8]) -> (Vec<String>, String) {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    let mut talk = daemon.connect();
    talk.send("ENABLE COVERAGE\r\n");
    assert_eq!(talk.text(), "OK test signatures only");
    talk.send(format!("SCAN/FILE {}\r\n", path.display()));
    let mut answer = talk.answer();
    let last = answer.pop().unwrap();
    let coverage = answer.pop().unwrap();
    assert!(coverage.starts_with("COVERAGE "), "{coverage}");
    let skipped: Vec<_> = answer
        .iter()
        .filter_map(|line| line.strip_prefix("SKIPPED "))
        .map(|line| line.replace(&format!("{}/", folder.display()), ""))
        .collect();
    let counted: usize = coverage.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(counted, skipped.len(), "{answer:?}");
    (skipped, last.replace(&format!("{}/", folder.display()), ""))
}

/// A zip with one stored member whose headers are then changed by `twist(local header, central header)`.
fn twisted_zip(content: &[u8], twist: impl Fn(&mut [u8], &mut [u8])) -> Vec<u8> {
    let mut archive = zip(&[("member", content)]);
    let central = archive.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let (local, rest) = archive.split_at_mut(central);
    twist(local, rest);
    archive
}

#[test]
fn every_kind_of_gap_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&["--limit-depth=2", "--limit-members=50"]);
    let unknown_method = twisted_zip(b"secret", |local, central| {
        local[8] = 77;
        central[10] = 77;
    });
    let encrypted = twisted_zip(b"secret", |local, central| {
        local[6] |= 1;
        central[8] |= 1;
        // With the checksum of what is there the flag would be a lie.
        local[14] ^= 1;
        central[16] ^= 1;
    });
    let truncated = gzip(&noise(3, 50_000));
    let deep = gzip(&gzip(&gzip(&eicar())));
    let many: Vec<(&[u8], &[u8])> = vec![(b"m", b"x"); 60];
    let ace = b"\0\0\0\0\0\0\0**ACE**rest of it".to_vec();
    let rows: [(&str, Vec<u8>, &str, &str); 7] = [
        (
            "method.zip",
            unknown_method,
            "unsupported/zip-method-77 : \"method.zip\" -> \"member\" :",
            "ENOTSUP \"method.zip\" -> \"member\" : unsupported/zip-method-77 :",
        ),
        (
            "secret.zip",
            encrypted,
            "encrypted : \"secret.zip\" -> \"member\" :",
            "ENOTSUP \"secret.zip\" -> \"member\" : encrypted :",
        ),
        (
            "cut.gz",
            truncated[..20_000].to_vec(),
            "corrupt passes : \"cut.gz\" -> \"cut\" :",
            "DONE 0 : \"cut.gz\"",
        ),
        (
            "deep.gz",
            deep,
            "limit/depth : \"deep.gz\" -> \"deep\" -> ",
            "ENOTSUP \"deep.gz\" -> \"deep\" -> ",
        ),
        (
            "many.tar",
            tar(&many),
            "limit/members : \"many.tar\" -> \"m\" : more than 50",
            "ENOTSUP \"many.tar\" -> \"m\" : limit/members : more than 50",
        ),
        (
            "a.ace",
            ace.clone(),
            "unsupported/ace : \"a.ace\" :",
            "ENOTSUP \"a.ace\"",
        ),
        (
            "in.tar",
            tar(&[(b"a.ace", b"1234567**ACE**rest")]),
            "unsupported/ace : \"in.tar\" -> \"a.ace\" :",
            "ENOTSUP \"in.tar\" -> \"a.ace\" : unsupported/ace :",
        ),
    ];
    for (name, content, gap, terminal) in rows {
        let (gaps, last) = skipped(&daemon, folder.path(), name, &content);
        assert_eq!(gaps.len(), 1, "{name}: {gaps:?}");
        assert!(gaps[0].starts_with(gap), "{name}: {gaps:?}");
        assert!(last.starts_with(terminal), "{name}: {last}");
    }
    // The same as bytes of a member that is not a container: looked at in full, and clean.
    let (gaps, last) = skipped(&daemon, folder.path(), "ok.tar", &tar(&[(b"t", &ace[1..])]));
    assert_eq!((gaps.len(), last.as_str()), (0, "DONE 0 : \"ok.tar\""));
}

#[test]
fn archives_stored_in_archives_are_opened_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nest.zip");
    let mut content = stored_zip(&[("a", b"x")]);
    for _ in 0..22 {
        content = stored_zip(&[("z", &content)]);
    }
    std::fs::write(&path, content).unwrap();
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send(format!("ENABLE COVERAGE\nSCAN/FILE {}\n", path.display()));
    talk.text();
    let answer = talk.answer();
    // All their end records stand in the last bytes of each of them: following each of these at each level would
    // open the innermost four million times. And nothing about it is ambiguous.
    let coverage = &answer[answer.len() - 2];
    let counts: Vec<_> = coverage.split(' ').collect();
    assert_eq!(
        (counts[1], counts[3], counts[4]),
        ("24", "0", "0"),
        "{coverage}"
    );
}

#[test]
fn limits_on_bytes_say_their_value() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = gzip(&vec![0; 4 << 20]);
    let daemon = Daemon::start(&["--limit-expanded=1M"]);
    let (gaps, last) = skipped(&daemon, folder.path(), "zeros.gz", &zeros);
    assert_eq!(
        gaps,
        [
            "limit/expanded : \"zeros.gz\" -> \"zeros\" : more than 1048576, nothing after it was examined"
        ]
    );
    assert!(last.starts_with("ENOTSUP "), "{last}");

    // 300 MiB of zeros from 300 KiB: above the floor of 256 MiB the ratio counts.
    let bomb = gzip(&vec![0; 300 << 20]);
    let daemon = Daemon::start(&[]);
    let (gaps, _) = skipped(&daemon, folder.path(), "bomb.gz", &bomb);
    assert!(
        gaps[0].starts_with("limit/ratio : \"bomb.gz\" -> \"bomb\" : more than 250"),
        "{gaps:?}"
    );
    let daemon = Daemon::start(&["--limit-ratio=100000"]);
    let (gaps, last) = skipped(&daemon, folder.path(), "bomb.gz", &bomb);
    assert_eq!((gaps.len(), last.as_str()), (0, "DONE 0 : \"bomb.gz\""));
}

#[test]
fn what_cannot_be_kept_is_matched_but_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    // Above the 4 MiB that stay in memory, and no disk allowed.
    let inner = tar(&[(b"noise", &noise(4, 6 << 20)), (b"virus.com", &eicar())]);
    let daemon = Daemon::start(&["--limit-spool=0"]);
    let (gaps, last) = skipped(&daemon, folder.path(), "a.tar.gz", &gzip(&inner));
    assert!(
        gaps[0].starts_with("limit/spool : \"a.tar.gz\" -> \"a.tar\" :"),
        "{gaps:?}"
    );
    assert!(
        last.starts_with("DONE 1 "),
        "matched in what went by: {last}"
    );
    let plain = gzip(&noise(5, 6 << 20));
    let (gaps, last) = skipped(&daemon, folder.path(), "noise.gz", &plain);
    assert_eq!(
        (gaps.len(), last.as_str()),
        (0, "DONE 0 : \"noise.gz\""),
        "a leaf needs no room"
    );
}

#[test]
fn findings_stop_at_their_limit_and_count_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let virus = eicar();
    let members: Vec<(&[u8], &[u8])> = vec![(b"v", virus.as_slice()); 8];
    let daemon = Daemon::start(&["--limit-findings=5"]);
    let (gaps, last) = skipped(&daemon, folder.path(), "v.tar", &tar(&members));
    assert!(
        gaps.iter().any(|gap| gap.starts_with("limit/findings ")),
        "{gaps:?}"
    );
    assert_eq!(last, "DONE 5 : \"v.tar\"");
}

#[test]
fn the_deadline_is_a_gap_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = Daemon::start(&["--limit-deadline=0.3", isolation]);
        let mut talk = daemon.connect();
        assert_eq!(talk.scan(&path), format!("EAGAIN \"{}\"", path.display()));
        // The next item has a deadline of its own.
        let small = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(talk.scan(small.as_ref()).starts_with("DONE 0 "));
    }
}

#[test]
fn unreadable_parts_of_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fine"), b"x").unwrap();
    let locked = folder.path().join("locked");
    std::fs::write(&locked, b"x").unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    let last = talk.scan(folder.path());
    if rustix::process::geteuid().is_root() {
        // Permissions do not stop root, so there is nothing to be named.
        assert!(last.starts_with("DONE 0 "), "{last}");
    } else {
        assert!(
            last.starts_with(&format!(
                "EACCES \"{}\" : unreadable/EACCES :",
                locked.display()
            )),
            "{last}"
        );
        assert_eq!(
            talk.scan(&locked),
            format!("EACCES \"{}\"", locked.display())
        );
    }
}

#[test]
fn a_policy_decides_what_a_gap_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ace");
    std::fs::write(&path, b"\0\0\0\0\0\0\0**ACE**rest").unwrap();
    let quoted = format!("\"{}\"", path.display());
    for (rule, expected) in [
        ("unsupported=error", format!("ENOTSUP {quoted}")),
        ("unsupported=pass", format!("DONE 0 : {quoted}")),
        ("svsp:unsupported=infected", format!("DONE 1 : {quoted}")),
        ("vfind:unsupported=infected", format!("ENOTSUP {quoted}")),
    ] {
        let daemon = Daemon::start(&[&format!("--policy={rule}")]);
        let mut talk = daemon.connect();
        assert_eq!(talk.scan(&path), expected, "{rule}");
    }
    let daemon = Daemon::start(&["--policy=unsupported=infected"]);
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {}\n", path.display()));
    let infected = format!("INFECTED GAP Incomplete/unsupported/ace : {quoted} :");
    assert!(talk.answer().iter().any(|line| line.starts_with(&infected)));
}
