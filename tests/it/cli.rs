//! The programs as their users call them: output, exit codes, complaints.

use std::process::{Command, Output};

use crate::support::{Daemon, at, eicar, odd_names, zip};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");
const VFINDC: &str = env!("CARGO_BIN_EXE_vfindc");
const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

#[test]
fn exit_codes_say_the_worst_that_happened() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let clean = file("clean", b"nothing");
    let virus = file("virus.zip", &zip(&[("virus.com", &eicar())]));
    let ace = file("a.ace", b"\0\0\0\0\0\0\0**ACE**rest");
    let absent = folder.path().join("absent").display().to_string();
    let daemon = Daemon::start(&[]);
    let server = format!("--server={}", daemon.address);
    for (paths, code) in [
        (&[&clean][..], 0),
        (&[&virus], 23),
        (&[&ace], 2),
        (&[&absent], 2),
        (&[&clean, &ace, &virus], 23),
    ] {
        let paths: Vec<_> = paths.iter().map(|path| path.as_str()).collect();
        let local = run(VFIND, &[&["--vexit"], &paths[..]].concat());
        assert_eq!(
            local.status.code(),
            Some(code),
            "vfind {paths:?}: {}",
            text(&local.stdout)
        );
        let remote = run(VFINDC, &[&[server.as_str()], &paths[..]].concat());
        assert_eq!(
            remote.status.code(),
            Some(code),
            "vfindc {paths:?}: {}",
            text(&remote.stdout)
        );
    }
}

#[test]
fn wrong_usage_is_one_clear_complaint_and_255() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let rows: [(&str, Vec<String>, &str); 6] = [
        (
            VFINDD,
            vec![format!("--svsp-port={port}")],
            "cannot listen at 127.0.0.1",
        ),
        (
            VFINDD,
            vec!["--vdl=/nonexistent/rules".into()],
            "/nonexistent/rules",
        ),
        (VFINDD, vec!["--no-such-option".into()], "--no-such-option"),
        (VFIND, vec![], "PATH"),
        (
            VFINDC,
            vec!["--server=localhost:99999".into(), "/x".into()],
            "99999",
        ),
        (VFINDC, vec![], "PATH"),
    ];
    for (program, arguments, word) in rows {
        let output = Command::new(program).args(&arguments).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(255),
            "{program} {arguments:?}: {said}"
        );
        assert!(said.contains(word), "{program} {arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        let complaints = said.lines().filter(|line| !line.contains(" INFO ")).count();
        assert_eq!(complaints, 1, "{said}");
    }
}

#[test]
fn help_and_version_are_no_failure() {
    for program in [VFINDD, VFIND, VFINDC] {
        for (option, word) in [
            ("--help", "Usage"),
            ("--version", "0."),
            ("-v", "0."),
            ("-h", "Usage"),
        ] {
            let output = run(program, &[option]);
            assert_eq!(output.status.code(), Some(0), "{program} {option}");
            assert!(text(&output.stdout).contains(word), "{program} {option}");
        }
        // Only a client can be without a server.
        let help = text(&run(program, &["--help"]).stdout);
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(help.contains(" 1 no server"), program == VFINDC, "{help}");
        assert_eq!(help.contains("23 something"), program != VFINDD, "{help}");
    }
}

#[test]
fn without_a_server_the_client_says_so_and_exits_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let output = run(VFINDC, &[&format!("--server={address}"), "/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address));
}

#[test]
fn vfind_prints_the_two_lines_that_gateways_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("virus.zip");
    std::fs::write(&path, zip(&[("in \"side\"", &eicar())])).unwrap();
    let output = run(VFIND, &["--vexit", path.to_str().unwrap()]);
    let out = text(&output.stdout);
    let expected = format!(
        "##==>>>> VIRUS POSSIBLE IN FILE: \"{}\" -> \"in \\\"side\\\"\"\n##==>>>> VIRUS ID: CVDL EICAR-Test-File\n",
        path.display()
    );
    assert!(out.contains(&expected), "{out}");
    assert!(out.starts_with("##==> VFind Version: "), "{out}");
    let quiet = run(VFIND, &["--quiet=2", path.to_str().unwrap()]);
    assert_eq!(text(&quiet.stdout), expected);
    let gap = folder.path().join("a.ace");
    std::fs::write(&gap, b"\0\0\0\0\0\0\0**ACE**rest").unwrap();
    let output = run(VFIND, &["--quiet=2", gap.to_str().unwrap()]);
    let said = format!(
        "##==>>> NOT SCANNED: \"{}\": unsupported/ace",
        gap.display()
    );
    assert!(
        text(&output.stdout).starts_with(&said),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn the_client_finds_files_by_their_odd_names_and_relative_ones() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&[]);
    for name in odd_names() {
        let path = at(folder.path(), &name);
        std::fs::write(&path, eicar()).unwrap();
        let output = daemon.vfindc(&[path.as_os_str()]);
        assert_eq!(
            output.status.code(),
            Some(23),
            "{name:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    std::fs::write(folder.path().join("near"), eicar()).unwrap();
    let output = Command::new(VFINDC)
        .arg(format!("--server={}", daemon.address))
        .arg("near")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(23), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("test signatures only"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn json_has_one_record_for_each_path() {
    let folder = tempfile::tempdir().unwrap();
    let virus = folder.path().join("virus.zip");
    std::fs::write(&virus, zip(&[("virus.com", &eicar())])).unwrap();
    let odd = at(folder.path(), b"odd \xff.ace");
    std::fs::write(&odd, b"\0\0\0\0\0\0\0**ACE**rest").unwrap();
    let daemon = Daemon::start(&[]);
    let output = daemon.vfindc(&["--json".as_ref(), virus.as_os_str(), odd.as_os_str()]);
    let lines = text(&output.stdout);
    let mut records: Vec<vfind::verdict::Record> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    records.sort_by_key(|record| record.findings.len());
    let [gap, found] = &records[..] else {
        panic!("{lines}")
    };
    assert_eq!(found.findings[0].name, "EICAR-Test-File");
    assert_eq!(found.findings[0].path[1].text, "virus.com");
    assert_eq!(found.findings[0].offset, Some(68));
    assert_eq!(gap.gaps[0].reason, "unsupported/ace");
    assert!(gap.path[0].base64.is_some());
    assert_eq!(found.coverage.unwrap().objects, 2);
    assert!(found.epoch.as_ref().unwrap().starts_with("1:"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_panic() {
    let output = Command::new("sh")
        .args(["-c", &format!("{VFIND} /etc | head -n 1")])
        .output()
        .unwrap();
    assert!(
        !text(&output.stderr).contains("panicked"),
        "{}",
        text(&output.stderr)
    );
}
