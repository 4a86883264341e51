//! Debian's clamdscan and clamdtop, with our daemon in clamd's place.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};

use crate::clamd::{Clamd, NAME, NAME_2, marker, second};
use crate::support::{PATIENCE, has_tools, out, said};

/// Runs one of ClamAV's programs with a configuration that leads to this daemon.
fn run(clamd: &Clamd, program: &str, arguments: &[&str]) -> Output {
    let text = format!("LocalSocket {}\n", clamd.path("socket").display());
    let config = clamd.write("clamd.conf", text);
    let mut command = Command::new(program);
    command.arg("-c").arg(config).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn clamdscan_works_in_all_its_ways() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let clean = clamd.write("clean", "nothing");
    let bad = clamd.write("bad", format!("a {} b", marker()));
    let both = clamd.write("both", marker() + &second());
    let closed = clamd.write("a.ace", ace());
    for way in [
        &[][..],
        &["--stream"],
        &["--fdpass"],
        &["--multiscan"],
        &["--fdpass", "--multiscan"],
        &["--stream", "--multiscan"],
        &["--allmatch"],
    ] {
        let scan = |path: &str| {
            run(
                &clamd,
                "clamdscan",
                &[way, &["--no-summary", path]].concat(),
            )
        };
        let found = scan(&bad);
        assert_eq!(
            out(&found),
            format!("{bad}: {NAME}.UNOFFICIAL FOUND\n"),
            "{way:?}"
        );
        assert_eq!(found.status.code(), Some(1), "{way:?}");
        let ok = scan(&clean);
        assert_eq!(out(&ok), format!("{clean}: OK\n"), "{way:?}");
        assert_eq!(ok.status.code(), Some(0), "{way:?}");
        let names = out(&scan(&both));
        assert_eq!(
            names.contains(NAME_2),
            way.contains(&"--allmatch"),
            "{way:?}: {names}"
        );
        // What nobody can open is an error, and never clean.
        let failed = scan(&closed);
        assert_eq!(failed.status.code(), Some(2), "{way:?}");
        let said = out(&failed) + &said(&failed);
        assert!(
            said.contains("unsupported/ace") && !said.contains("OK"),
            "{way:?}: {said}"
        );
    }
}

/// The start of an archive in a format that nothing here opens.
fn ace() -> Vec<u8> {
    let mut archive = vec![0; 64];
    archive[4] = 0;
    archive[7..14].copy_from_slice(b"**ACE**");
    archive[14] = 20;
    archive
}

#[test]
fn clamdscan_walks_folders_and_names_what_it_found() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let folder = clamd.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for name in ["one", "two", "three"] {
        std::fs::write(folder.join(name), marker()).unwrap();
    }
    std::fs::write(folder.join("clean"), "nothing").unwrap();
    let path = folder.display().to_string();
    for way in [
        &[][..],
        &["--multiscan"],
        &["--allmatch"],
        &["--fdpass"],
        &["--stream"],
    ] {
        let found = run(
            &clamd,
            "clamdscan",
            &[way, &["--no-summary", &path]].concat(),
        );
        let found = out(&found);
        let mut lines: Vec<_> = found.lines().collect();
        lines.sort_unstable();
        let expected =
            ["one", "three", "two"].map(|name| format!("{path}/{name}: {NAME}.UNOFFICIAL FOUND"));
        assert_eq!(lines, expected, "{way:?}");
    }
}

#[test]
fn clamdscan_asks_whether_it_is_there_and_reloads() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let ping = run(&clamd, "clamdscan", &["--ping", "1"]);
    assert_eq!((out(&ping).trim(), ping.status.code()), ("PONG", Some(0)));
    let version = out(&run(&clamd, "clamdscan", &["--version"]));
    assert!(version.starts_with("ClamAV 1.4.6 (vfind "), "{version}");
    let new = clamd.write("new", "third");
    let wait = run(
        &clamd,
        "clamdscan",
        &["--wait", "--ping", "3:1", "--no-summary", &new],
    );
    assert_eq!(out(&wait), format!("{new}: OK\n"));
    let mut signatures = std::fs::read(clamd.path("test.ndb")).unwrap();
    signatures.extend_from_slice(b"Test.Third:0:*:7468697264\n");
    std::fs::write(clamd.path("test.ndb"), signatures).unwrap();
    assert_eq!(
        run(&clamd, "clamdscan", &["--reload"]).status.code(),
        Some(0)
    );
    clamd.daemon.log_line("signatures reloaded");
    let found = run(&clamd, "clamdscan", &["--no-summary", &new]);
    assert_eq!(out(&found), format!("{new}: Test.Third.UNOFFICIAL FOUND\n"));
}

#[test]
fn clamdtop_shows_the_workers() {
    // `script` gives it a terminal.
    if !has_tools(&["clamdtop", "script"]) {
        return;
    }
    let clamd = Clamd::start(&["--threads=3"]);
    let socket = clamd.path("socket").display().to_string();
    let mut child = Command::new("script")
        .args([
            "-qec",
            &format!("stty rows 40 cols 120; clamdtop -d {socket}"),
            "/dev/null",
        ])
        .env("TERM", "vt100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut shown = String::new();
    while let Ok(more) = receiver.recv_timeout(PATIENCE) {
        shown += &String::from_utf8_lossy(&more);
        if shown.contains("1.4.6 (vfind") {
            break;
        }
    }
    child.stdin.take().unwrap().write_all(b"q").unwrap();
    let status = child.wait().unwrap();
    assert!(shown.contains("1.4.6 (vfind"), "{shown}");
    assert!(status.success(), "{status}: {shown}");
}

/// What pyclamd says of files and streams. Its words for no finding and no error are `None`.
const PYCLAMD: &str = r#"
import sys, pyclamd
socket, folder, marker = sys.argv[1:]
clamd = pyclamd.ClamdUnixSocket(socket)
assert clamd.ping() is True
assert clamd.version().startswith("ClamAV 1.4.6"), clamd.version()
assert clamd.reload() == "RELOADING"
assert clamd.stats().startswith("POOLS: 1"), clamd.stats()
found = ("FOUND", "Test.Marker.UNOFFICIAL")
bad, clean, closed = (f"{folder}/{name}" for name in ("bad", "clean", "closed.ace"))
for scan in (clamd.scan_file, clamd.contscan_file, clamd.multiscan_file):
    assert scan(bad) == {bad: found}, scan(bad)
    assert scan(clean) is None, scan(clean)
    assert scan(closed)[closed][0] == "ERROR", scan(closed)
# It reads the answer to the others once, and sees as much of it as has come.
assert clamd.multiscan_file(folder)[bad] == found, clamd.multiscan_file(folder)
assert clamd.allmatchscan(bad) == {bad: [found]}, clamd.allmatchscan(bad)
assert clamd.scan_stream(marker.encode()) == {"stream": found}
assert clamd.scan_stream(b"nothing") is None
print("all well")
"#;

#[test]
fn pyclamd_understands_every_answer() {
    // Debian's Python, which has Debian's modules.
    let python = "/usr/bin/python3";
    if !has_tools(&[python, "/usr/lib/python3/dist-packages/pyclamd/pyclamd.py"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let folder = clamd.path("folder");
    std::fs::create_dir(&folder).unwrap();
    clamd.write("folder/bad", marker());
    clamd.write("folder/clean", "nothing");
    clamd.write("folder/closed.ace", ace());
    let asked = Command::new(python)
        .args(["-c", PYCLAMD])
        .args([clamd.path("socket"), folder])
        .arg(marker())
        .output()
        .unwrap();
    assert_eq!(out(&asked), "all well\n", "{}", said(&asked));
}

#[test]
fn a_clamd_conf_becomes_a_configuration_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let conf = format!(
        "# a comment\nLocalSocket {}\nLocalSocketMode 600\nTCPSocket 3310\nTCPAddr 127.0.0.1\nMaxThreads 3\n\
         MaxScanTime 30000\nAlertEncrypted yes\nLogSyslog yes\nScanPDF no\n",
        at("socket")
    );
    std::fs::write(at("clamd.conf"), conf).unwrap();
    let vfindd = |option: String, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfindd"));
        command.arg(option).args(more).output().unwrap()
    };
    let imported = vfindd(format!("--import-clamd-conf={}", at("clamd.conf")), &[]);
    assert_eq!(imported.status.code(), Some(0), "{}", said(&imported));
    assert!(
        out(&imported).contains("\n# line 9: LogSyslog yes\n"),
        "{}",
        out(&imported)
    );
    std::fs::write(at("vfindd.toml"), &imported.stdout).unwrap();
    let checked = vfindd(
        format!("--config={}", at("vfindd.toml")),
        &["--check-config"],
    );
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    for line in [
        "listen = [\"svsp:127.0.0.1:8081\", \"clamd:127.0.0.1:3310\"]",
        &format!("vfdclam-socket = \"{}\"", at("socket")),
        "vfdclam-socket-mode = \"600\"",
        "threads = 3",
        "limit-deadline = 30",
        "disable-expand = [\"pdf\"]",
        "policy = [\"clamd:encrypted=infected\"]",
    ] {
        assert!(
            out(&checked).lines().any(|shown| shown == line),
            "{line}: {}",
            out(&checked)
        );
    }
    let missing = vfindd(format!("--import-clamd-conf={}", at("nowhere")), &[]);
    assert_eq!(missing.status.code(), Some(255));
}
