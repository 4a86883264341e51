//! Signatures from files: loaded, complained about, exchanged while the daemon runs.

use std::process::Command;

use rustix::process::Signal;

use crate::support::Daemon;

#[test]
fn rules_and_digests_from_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let vdl = folder.path().join("own.cvdl");
    std::fs::write(
        &vdl,
        ":Own/Rule one, \"first \" AND ~\"SECOND\" AND NOT \"third\" #\n",
    )
    .unwrap();
    let md5 = folder.path().join("own.md5");
    std::fs::write(&md5, "900150983cd24fb0d6963f7d28e17f72:3:Abc\n").unwrap();
    let daemon = Daemon::start(&[
        &format!("--vdl={}", vdl.display()),
        &format!("--md5={}", md5.display()),
    ]);
    let mut talk = daemon.connect();
    let rows = [
        ("abc", "INFECTED MD5 Abc : "),
        ("second, then first one", "INFECTED CVDL Own/Rule one : "),
    ];
    for (content, infected) in rows {
        let path = folder.path().join("content");
        std::fs::write(&path, content).unwrap();
        talk.send(format!("SCAN/FILE {}\n", path.display()));
        let answer = talk.answer();
        assert!(
            answer.iter().any(|line| line.starts_with(infected)),
            "{answer:?}"
        );
    }
    let path = folder.path().join("content");
    std::fs::write(&path, "first second third").unwrap();
    assert!(talk.scan(&path).starts_with("DONE 0 "));
}

#[test]
fn a_bad_line_is_named_and_the_rest_loads() {
    let folder = tempfile::tempdir().unwrap();
    let vdl = folder.path().join("own.cvdl");
    std::fs::write(
        &vdl,
        ":A, \"aaaa\" #\n:B, \"unterminated #\n:C, \"cccc\" #\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vfindd"))
        .args([&format!("--vdl={}", vdl.display()), "--vlist"])
        .output()
        .unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        names.contains("CVDL A\n") && names.contains("CVDL C\n") && !names.contains("CVDL B\n"),
        "{names}"
    );
    assert!(log.contains(&format!("{}:2:", vdl.display())), "{log}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn sighup_swaps_the_signatures_and_a_broken_file_keeps_the_old_ones() {
    let folder = tempfile::tempdir().unwrap();
    let vdl = folder.path().join("own.cvdl");
    let sample = folder.path().join("sample");
    std::fs::write(&sample, "needle one").unwrap();
    std::fs::write(&vdl, ":Zero, \"nothing like it\" #\n").unwrap();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        std::fs::write(&vdl, ":Zero, \"nothing like it\" #\n").unwrap();
        let daemon = Daemon::start(&[&format!("--vdl={}", vdl.display()), isolation]);
        let mut talk = daemon.connect();
        assert!(talk.scan(&sample).starts_with("DONE 0 "));

        std::fs::write(&vdl, ":One, \"needle one\" #\n").unwrap();
        daemon.signal(Signal::HUP);
        daemon.log_line("reloaded");
        assert!(talk.scan(&sample).starts_with("DONE 1 "), "{isolation}");

        std::fs::write(&vdl, ":Broken, nonsense\n").unwrap();
        daemon.signal(Signal::HUP);
        let said = daemon.log_line("refused");
        assert!(said.contains(&format!("{}:1:", vdl.display())), "{said}");
        assert!(talk.scan(&sample).starts_with("DONE 1 "), "{isolation}");

        std::fs::write(&vdl, "").unwrap();
        daemon.signal(Signal::HUP);
        assert!(daemon.log_line("refused").contains("built-in"));

        std::fs::remove_file(&vdl).unwrap();
        daemon.signal(Signal::HUP);
        assert!(daemon.log_line("refused").contains("own.cvdl"));
        assert!(talk.scan(&sample).starts_with("DONE 1 "), "{isolation}");
    }
}

#[test]
fn coverage_names_the_database_that_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let vdl = folder.path().join("own.cvdl");
    std::fs::write(&vdl, ":One, \"needle one\" #\n").unwrap();
    let daemon = Daemon::start(&[&format!("--vdl={}", vdl.display())]);
    let mut talk = daemon.connect();
    talk.send("ENABLE COVERAGE\n");
    assert_eq!(talk.text(), "OK");
    let mut epoch = || {
        talk.send(format!("SCAN/FILE {}\n", vdl.display()));
        let answer = talk.answer();
        answer[answer.len() - 2]
            .split(' ')
            .nth(5)
            .unwrap()
            .to_owned()
    };
    let first = epoch();
    std::fs::write(&vdl, ":Two, \"needle two\" #\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.log_line("reloaded");
    let second = epoch();
    assert!(
        first.starts_with("1:") && second.starts_with("2:"),
        "{first} {second}"
    );
    assert_ne!(first[2..], second[2..]);
}
