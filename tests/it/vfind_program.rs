//! What `vfind` scans, and what it leaves out.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Daemon, eicar, gzip, out, run, said, zip};

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");
const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");
const VFINDC: &str = env!("CARGO_BIN_EXE_vfindc");

#[test]
fn what_is_not_to_be_loaded_told_or_scanned_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let virus = at("virus.com");
    std::fs::write(&virus, eicar()).unwrap();
    std::fs::write(at("list"), "CVDL EICAR-Test-File\n").unwrap();
    std::fs::write(at("paths"), format!("{virus}\n")).unwrap();
    std::fs::write(at("rules"), ":Mine, \"STANDARD\" # :Other, \"ANTIVIRUS\" #").unwrap();
    std::fs::write(at("names"), "rules\n").unwrap();
    let rows: &[(&[&str], i32, &str)] = &[
        (&[], 23, "VIRUS ID: CVDL EICAR-Test-File"),
        (&["--noload=CVDL EICAR-Test-File"], 0, ""),
        (&["--noload=EICAR-Test-File"], 0, ""),
        (&[&format!("--noloads={}", at("list"))], 0, ""),
        (&["--notell=CVDL EICAR-Test-File"], 0, ""),
        (&[&format!("--notells={}", at("list"))], 0, ""),
        (
            &["--notell=EICAR-Test-File"],
            23,
            "VIRUS ID: CVDL EICAR-Test-File",
        ),
        (&[&format!("--noscan={virus}")], 0, "NOT SCANNED"),
        (&[&format!("--noscans={}", at("paths"))], 0, "NOT SCANNED"),
        (&["--noscan=*.com"], 0, "NOT SCANNED"),
        (
            &[&format!("--vdl-list={}", at("names")), "--noload=Mine"],
            23,
            "VIRUS ID: CVDL Other",
        ),
    ];
    for (options, code, word) in rows {
        let output = run(VFIND, &[*options, &[&virus]].concat(), b"");
        let printed = out(&output);
        assert_eq!(output.status.code(), Some(*code), "{options:?}: {printed}");
        assert!(printed.contains(word), "{options:?}: {printed}");
        assert!(!printed.contains("Mine"), "{options:?}: {printed}");
    }
    let listed = run(VFIND, &["--vlist", "--noload=EICAR-Test-File"], b"");
    assert!(!out(&listed).contains("EICAR") && out(&listed).contains("VFind-Demo"));
    // A worker process leaves out the same.
    let daemon = Daemon::start(&["--isolation=process", "--noload=EICAR-Test-File"]);
    assert!(
        daemon
            .connect()
            .scan(Path::new(&virus))
            .starts_with("DONE 0 ")
    );
}

#[test]
fn an_error_in_the_rules_can_be_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::write(&rules, ":bad #").unwrap();
    let rules = format!("--vdl={}", rules.display());
    for (program, option, code) in [
        (VFIND, "--quiet", 0),
        (VFIND, "-ev", 255),
        (VFIND, "--exit-on-vdl-error", 255),
        (VFIND, "-e", 255),
        (VFINDD, "-e", 255),
        (VFINDD, "-ev", 255),
    ] {
        let argument = if program == VFIND {
            "/dev/null/.."
        } else {
            "--svsp-port=0"
        };
        let argument = if code == 0 {
            env!("CARGO_MANIFEST_DIR").to_owned() + "/LICENSE"
        } else {
            argument.to_owned()
        };
        let output = run(program, &[option, &rules, &argument], b"");
        let complaint = said(&output);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{program} {option}: {complaint}"
        );
        assert!(complaint.contains("no comma after the name"), "{complaint}");
    }
}

#[test]
fn exit_on_error_ends_a_scan_at_the_first_gap_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("a.ace"), b"\0\0\0\0\0\0\0**ACE**rest").unwrap();
    std::fs::write(at("virus"), eicar()).unwrap();
    // More than may be begun at once, so that the last is not when the first has ended.
    let mut paths = vec![at("a.ace"); 500];
    paths.push(at("virus"));
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let all = run(VFIND, &[&["--quiet=2"], &paths[..]].concat(), b"");
    assert_eq!(
        (all.status.code(), out(&all).lines().count()),
        (Some(23), 502)
    );
    let first = run(
        VFIND,
        &[&["--quiet=2", "-e", "--threads=1"], &paths[..]].concat(),
        b"",
    );
    assert_eq!(first.status.code(), Some(2));
    assert!(out(&first).lines().count() < 500, "{}", out(&first));
    // What passes is no error.
    let passed = run(
        VFIND,
        &[&["-e", "--policy=unsupported=pass"], &paths[..]].concat(),
        b"",
    );
    assert_eq!(passed.status.code(), Some(23));
}

#[test]
fn names_come_from_standard_input_one_by_one_and_a_bad_one_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("clean"), b"nothing").unwrap();
    std::fs::write(at("new\nline"), eicar()).unwrap();
    std::fs::write(at("virus"), eicar()).unwrap();
    let lines = format!("{}\n{}\n\n{}", at("clean"), at("absent"), at("virus"));
    let output = run(VFIND, &["--quiet=2"], lines.as_bytes());
    let printed = out(&output);
    assert_eq!(output.status.code(), Some(23), "{printed}");
    assert!(
        printed.contains("absent\": unreadable/ENOENT") && printed.contains("VIRUS ID"),
        "{printed}"
    );
    let nul = format!("{}\0{}\0", at("clean"), at("new\nline"));
    for options in [&["-0"][..], &["--null", "--stdin"]] {
        assert_eq!(run(VFIND, options, nul.as_bytes()).status.code(), Some(23));
    }
    let more = run(VFIND, &["--stdin", &at("virus")], at("clean").as_bytes());
    assert!(
        more.status.code() == Some(23) && out(&more).contains("clean"),
        "{}",
        out(&more)
    );
    // Nobody who forgot to name a file, or lost the names on the way, is told "clean".
    let rows: [(&[&str], &str); 4] = [
        (&[], "no PATH, and no names on standard input"),
        (&["--stdin"], "no names on standard input"),
        (&["-0"], "no names on standard input"),
        (&["--stdin", &at("clean")], "no names on standard input"),
    ];
    for (arguments, word) in rows {
        let none = run(
            VFIND,
            arguments,
            if arguments == ["-0"] {
                b"\0\0"
            } else {
                b"\n\n"
            },
        );
        assert_eq!(none.status.code(), Some(255), "{arguments:?}");
        assert!(said(&none).contains(word), "{arguments:?}: {}", said(&none));
    }
    let long = run(VFIND, &[], &vec![b'x'; 100_000]);
    assert!(
        long.status.code() == Some(2) && out(&long).contains("ENAMETOOLONG"),
        "{}",
        said(&long)
    );
}

#[test]
fn standard_input_that_is_not_there_is_no_empty_content() {
    use std::process::Output;
    let null = |arguments: &[&str]| -> Output {
        let mut command = Command::new(VFIND);
        command.args(arguments).stdin(Stdio::null());
        command.output().unwrap()
    };
    let closed = |arguments: &str| -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {VFIND} {arguments} <&-")]);
        command.output().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let rows = [
        (null(&["-"]), 255, "standard input is not connected"),
        (closed("-"), 255, "standard input is not connected"),
        (null(&[]), 255, "no PATH"),
        (null(&["--stdin"]), 255, "no names on standard input"),
        (null(&[empty]), 0, ""),
    ];
    for (output, code, word) in rows {
        let complaint = said(&output);
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(word), "{complaint}");
    }
}

#[test]
fn a_name_is_scanned_before_the_next_comes() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("virus");
    std::fs::write(&path, eicar()).unwrap();
    let mut child = Command::new(VFIND)
        .arg("--quiet=2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        writeln!(stdin, "{}", path.display()).unwrap();
        assert!(lines.next().unwrap().unwrap().contains("VIRUS POSSIBLE"));
        assert!(lines.next().unwrap().unwrap().contains("VIRUS ID"));
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(23));
}

#[test]
fn the_content_of_standard_input_is_scanned_as_a_dash() {
    let folder = tempfile::tempdir().unwrap();
    let tmpdir = format!("--tmpdir={}", folder.path().display());
    for (content, code, word) in [
        (gzip(&eicar()), 23, "\"-\" -> \"data\""),
        (eicar(), 23, "\"-\"\n"),
        (
            b"nothing".to_vec(),
            0,
            "##==> Done: \"-\": 1 objects, 7 bytes",
        ),
        (Vec::new(), 0, "##==> Done: \"-\": 1 objects, 0 bytes"),
    ] {
        let output = run(VFIND, &[&tmpdir, "-"], &content);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}{}",
            out(&output),
            said(&output)
        );
        assert!(out(&output).contains(word), "{word}: {}", out(&output));
    }
    let room = run(VFIND, &["--limit-spool=4", "-"], b"nothing");
    assert!(
        out(&room).contains("NOT SCANNED: \"-\": limit/spool"),
        "{}",
        out(&room)
    );
    assert_eq!(room.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn links_are_followed_left_out_inside_or_left_out_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(at("inside")).unwrap();
    std::fs::write(at("virus"), eicar()).unwrap();
    std::os::unix::fs::symlink(at("virus"), at("link")).unwrap();
    std::os::unix::fs::symlink(at("virus"), at("inside/link")).unwrap();
    for (option, named, inside) in [
        ("--vexit", 23, 0),
        ("--follow-symlinks", 23, 23),
        ("--ignore-symlinks", 0, 0),
    ] {
        for (path, code) in [(at("link"), named), (at("inside"), inside)] {
            let output = run(VFIND, &[option, &path], b"");
            assert_eq!(
                output.status.code(),
                Some(code),
                "{option} {path}: {}",
                out(&output)
            );
            let is_told = out(&output).contains("excluded/link");
            assert_eq!(is_told, code == 0, "{option} {path}: {}", out(&output));
        }
    }
    let counted = [
        "--ignore-symlinks",
        "--policy=excluded=infected",
        &at("link"),
    ];
    let output = run(VFIND, &counted, b"");
    assert_eq!(output.status.code(), Some(23), "{}", out(&output));
}

#[test]
fn a_recursion_limit_leaves_out_what_lies_deeper() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip").display().to_string();
    std::fs::write(&path, zip(&[("inner.zip", &zip(&[("virus", &eicar())]))])).unwrap();
    for (limit, code) in [("0", 23), ("1", 0), ("2", 23)] {
        let output = run(VFIND, &[&format!("--recursion-limit={limit}"), &path], b"");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{limit}: {}",
            out(&output)
        );
    }
}

#[test]
fn no_member_can_pass_for_the_line_of_a_virus() {
    // As gateways look for it, anywhere in the output.
    let mark = "##==>>>> VIRUS ID: CVDL ";
    let found = |printed: &str| {
        let after = printed.split(mark).skip(1);
        let ids = after.filter_map(|rest| rest.lines().next());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join(format!("{mark}Folder.zip"));
    let archive = archive.display().to_string();
    let daemon = Daemon::start(&[]);
    let server = format!("--server={}", daemon.address);
    for hashes in ["##", "###", "#####"] {
        let forged = format!("{hashes}==>>>> VIRUS ID: CVDL Forged");
        for (content, code, ids) in [
            (&b"clean"[..], 0, &[][..]),
            (&eicar(), 23, &["EICAR-Test-File"]),
        ] {
            std::fs::write(&archive, zip(&[(&forged, content), ("#", content)])).unwrap();
            for (program, options) in [
                (VFIND, &[][..]),
                (VFINDC, &["--chevrons", &*server, "--localhost"]),
                (VFINDC, &["--chevrons", &*server]),
            ] {
                let output = run(program, &[options, &[&archive]].concat(), b"");
                let printed = out(&output);
                assert_eq!(output.status.code(), Some(code), "{printed}");
                let ids: Vec<_> = ids.iter().flat_map(|id| [*id; 2]).collect();
                assert_eq!(found(&printed), ids, "{printed}");
                let is_named = printed.contains(&"\\x23".repeat(hashes.len() - 1));
                assert!(is_named || code == 0, "{printed}");
            }
        }
    }
}
