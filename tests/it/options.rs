//! Every option of the original's vfindd(1) and vfind(1): it works, or the program says why it does not have it.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Daemon, eicar, gzip, zip};
use vfind::config::refused::REFUSED;

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");
const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

/// The synopsis of vfindd(1) and vfindd-mt, in both forms where there are two. FILE, DIR and USER stand for one that exists.
const DAEMON: &[&str] = &[
    "-c",
    "--copyright",
    "-h",
    "--help",
    "-v",
    "--version",
    "--vlist",
    "-d",
    "--dup-check",
    "--trig-count",
    "-e",
    "--exit-on-error",
    "-ev",
    "--exit-on-vdl-error",
    "--emu-help",
    "--emu=options",
    "--emu-config=FILE",
    "-f",
    "--foreground",
    "--user=USER",
    "-i",
    "--ignore-eof",
    "-4",
    "--IPv4",
    "-6",
    "--IPv6",
    "--jadevdl=FILE",
    "--keep-tmpfiles",
    "--liboff=library",
    "--libon=library",
    "-l",
    "--localhost",
    "--md5=FILE",
    "--cbayes=FILE",
    "--noload=virus",
    "--noloads=FILE",
    "--pid",
    "--quiet=1",
    "--rcf=FILE",
    "--pidfile=DIR/pid",
    "--savepid=DIR/saved",
    "-sst",
    "--smartscan-types",
    "-nosst",
    "--no-smartscan-types",
    "--vdl-list=FILE",
    "--vdl=FILE",
    "--vdlc=FILE",
    "--vdle=FILE",
    "--vdlE=FILE",
    "--vdlm=FILE",
    "--vdl-data-file=FILE",
    "--max-vdl-data-size=1000",
    "--rebuild-vdl-data",
    "--tmpdir=DIR",
    "-#=1",
    "--svsp-port=8081",
    "--smtp-in-port=25",
    "--smtp-out-port=25",
    "--smtp-out-host=localhost",
    "--vfdclam-port=3310",
    "--vfdclam-mailscan",
    "--threads=2",
];

/// The synopsis of vfind(1), 1.65 and 1.70, and vfind-mt.
const SCANNER: &[&str] = &[
    "-c",
    "--copyright",
    "-h",
    "--help",
    "-?",
    "-v",
    "--version",
    "-d",
    "--dup-check",
    "--trig-count",
    "-e",
    "--exit-on-error",
    "-ev",
    "--exit-on-vdl-error",
    "--emu-help",
    "--emu=options",
    "--emu-config=FILE",
    "--end",
    "-i",
    "--ignore-eof",
    "--jadevdl=FILE",
    "--keep-tmpfiles",
    "--liboff=library",
    "--libon=library",
    "--md5=FILE",
    "--cbayes=FILE",
    "--noload=virus",
    "--noloads=FILE",
    "--noscan=filename",
    "--noscans=FILE",
    "--notell=virus",
    "--notells=FILE",
    "--force-scan",
    "-p",
    "--per-file",
    "--pid",
    "--pidfile=DIR/pid",
    "--savepid=DIR/saved",
    "--quiet=1",
    "--quit",
    "--rcf=FILE",
    "--recursion-limit=2",
    "--follow-symlinks",
    "--ignore-symlinks",
    "--speed=2",
    "-ssr",
    "--smartscan-read",
    "-sst",
    "--smartscan-types",
    "-nosst",
    "--no-smartscan-types",
    "--stdin",
    "-u",
    "--unbuf",
    "--tmpdir=DIR",
    "--uad=opts",
    "--vdl=FILE",
    "--vdl0=FILE",
    "--vdlc=FILE",
    "--vdle=FILE",
    "--vdlE=FILE",
    "--vdlm=FILE",
    "--vdl-list=FILE",
    "--vdl-data-file=FILE",
    "--max-vdl-data-size=1000",
    "--rebuild-vdl-data",
    "--vexit",
    "--vlist",
    "--threads=2",
    "--#=1",
    "--",
];

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that has had enough does not read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_option_of_the_original_works_or_says_why_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    std::fs::write(&file, "").unwrap();
    let (file, dir) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    let mut refusals = Vec::new();
    for (program, options) in [(VFINDD, DAEMON), (VFIND, SCANNER)] {
        for option in options {
            let argument = option
                .replace("FILE", file)
                .replace("DIR", dir)
                .replace("USER", "root");
            // The daemon would go on; that it knows the option is enough here.
            let arguments = match program {
                VFINDD => vec![argument.as_str(), "--check-config"],
                _ => vec![argument.as_str(), file],
            };
            let output = run(program, &arguments, b"");
            let complaint = said(&output);
            let name = option.split('=').next().unwrap();
            let is_refused = REFUSED.iter().any(|row| row.options.contains(&name));
            match output.status.code() {
                Some(0) => assert!(!is_refused, "{program} {option} works"),
                Some(255) => {
                    let start = format!(": {name} is not supported: ");
                    assert!(
                        complaint.contains(&start),
                        "{program} {option}: {complaint}"
                    );
                    assert_eq!(complaint.lines().count(), 1, "{complaint}");
                    assert!(complaint.ends_with(" (see --help)\n"), "{complaint}");
                    refusals.push(name);
                }
                _ => panic!("{program} {option}: {:?} {complaint}", output.status),
            }
        }
    }
    for option in REFUSED.iter().flat_map(|row| row.options) {
        assert!(refusals.contains(option), "the original has no {option}");
    }
}

#[test]
fn what_is_refused_stands_in_no_help_and_in_the_documentation_with_its_reason() {
    let documents = ["docs/vfindd.md", "docs/vfind.md"].map(|file| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(root.join(file)).unwrap()
    });
    for (program, document) in [VFINDD, VFIND].iter().zip(documents) {
        let help = out(&run(program, &["--help"], b""));
        let name = Path::new(program).file_name().unwrap().to_str().unwrap();
        for row in REFUSED
            .iter()
            .filter(|row| row.programs.iter().any(|one| one.name() == name))
        {
            for option in row.options {
                let in_help = help
                    .split([' ', ',', '=', '\n'])
                    .any(|word| word == *option);
                assert!(!in_help, "{name} {option}");
                let line = document
                    .lines()
                    .find(|line| line.contains(&format!("`{option}`")));
                let line =
                    line.unwrap_or_else(|| panic!("{name}: {option} is not in its document"));
                assert!(line.contains(row.reason), "{name} {option}: {}", row.reason);
            }
        }
    }
}

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
    std::fs::write(at("a.xz"), b"\xfd7zXZ\0\0\x04rest").unwrap();
    std::fs::write(at("virus"), eicar()).unwrap();
    // More than may be begun at once, so that the last is not when the first has ended.
    let mut paths = vec![at("a.xz"); 500];
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
    // Nobody who forgot to name a file is told "clean"; who says that names come may send none.
    let none = run(VFIND, &[], b"\n\n");
    assert_eq!(none.status.code(), Some(255));
    assert!(
        said(&none).contains("no PATH, and no names on standard input"),
        "{}",
        said(&none)
    );
    assert_eq!(run(VFIND, &["--stdin"], b"").status.code(), Some(0));
    let long = run(VFIND, &[], &vec![b'x'; 100_000]);
    assert!(
        long.status.code() == Some(2) && out(&long).contains("ENAMETOOLONG"),
        "{}",
        said(&long)
    );
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
fn the_number_of_the_process_is_printed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = [
        "--pid".to_owned(),
        format!("--pidfile={}", at("pid").display()),
        format!("--savepid={}", at("saved").display()),
    ];
    let output = run(
        VFIND,
        &[&options[0], &options[1], &options[2], "/dev/null/x"],
        b"",
    );
    let first = out(&output).lines().next().unwrap().to_owned();
    let saved = std::fs::read_to_string(at("saved")).unwrap();
    assert_eq!(first, format!("##==> Process: {}", saved.trim()));
    assert!(!at("pid").exists());
    let daemon = Daemon::start(&[&options[1], &options[2]]);
    for file in ["pid", "saved"] {
        assert_eq!(
            std::fs::read_to_string(at(file)).unwrap(),
            format!("{}\n", daemon.pid())
        );
    }
    for program in [VFINDD, VFIND] {
        let argument = if program == VFIND {
            "/dev/null"
        } else {
            "--svsp-port=0"
        };
        let second = run(program, &[&options[1], argument], b"");
        let complaint = said(&second);
        assert_eq!(second.status.code(), Some(255), "{complaint}");
        assert!(
            complaint.contains(&format!("process {} runs with it", daemon.pid())),
            "{complaint}"
        );
    }
}

#[test]
fn who_may_not_connect_is_told_so_and_closed() {
    let daemon = Daemon::start(&[
        "--listen=svsp:0.0.0.0:0",
        "--allow=127.0.0.0/8",
        "--deny=svsp:127.0.0.2",
    ]);
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = "[svsp]\nallow = ['127.0.0.3']\n";
    std::fs::write(config.path(), text).unwrap();
    let option = format!("--config={}", config.path().display());
    let second = Daemon::start(&["--listen=svsp:0.0.0.0:0", &option]);
    let mut rows = vec![
        (&daemon, "127.0.0.1", true),
        (&daemon, "127.0.0.2", false),
        (&daemon, "127.0.0.3", true),
        (&second, "127.0.0.1", false),
        (&second, "127.0.0.3", true),
    ];
    // A socket for both kinds of addresses sees IPv4 in its IPv6 form; not every machine has the second kind.
    let has_six = std::net::TcpListener::bind("[::]:0").is_ok();
    let third = has_six.then(|| Daemon::start(&["--listen=svsp:[::]:0", "--deny=127.0.0.2"]));
    if let Some(third) = &third {
        rows.extend([(third, "127.0.0.1", true), (third, "127.0.0.2", false)]);
    }
    for (daemon, source, admitted) in rows {
        let greeting = greeting(source, daemon.address.port());
        let expected = match admitted {
            true => "READY\r\nOK\r\n",
            false => "DENIED your address is not allowed here\r\n",
        };
        assert_eq!(greeting, expected, "{source}");
    }
}

/// All that the server says to somebody who connects from this address and sends QUIT if it may.
fn greeting(source: &str, port: u16) -> String {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};
    use std::io::Read;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(source.parse().unwrap(), 0)).unwrap();
    connect(
        &socket,
        &SocketAddrV4::new("127.0.0.1".parse().unwrap(), port),
    )
    .unwrap();
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).unwrap();
    if &said == b"READY" {
        stream.write_all(b"QUIT\r\n").unwrap();
    }
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    String::from_utf8_lossy(&said).into_owned() + &rest
}

#[test]
fn another_user_does_the_work_and_there_is_no_way_back() {
    use std::os::unix::fs::PermissionsExt;
    let is_nobody_there =
        std::fs::read_to_string("/etc/passwd").is_ok_and(|text| text.contains("\nnobody:"));
    if !rustix::process::geteuid().is_root() || !is_nobody_there {
        println!("skipped: only root can become another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (name, mode) in [("secret", 0o600), ("open", 0o644)] {
        std::fs::write(at(name), eicar()).unwrap();
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // A folder where root alone may write: the pid file is made before, and cannot be removed after.
    let pid_file = format!("--pidfile={}", at("pid").display());
    let mut daemon = Daemon::start(&["--user=nobody", &pid_file]);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let ids = |word: &str| -> Vec<String> {
            let line = status.lines().find(|line| line.starts_with(word)).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        let (uids, gids) = (ids("Uid:"), ids("Gid:"));
        assert!(uids.iter().chain(&gids).all(|id| id != "0"), "{status}");
        assert!(
            uids.windows(2).all(|two| two[0] == two[1]) && uids.len() == 4,
            "{status}"
        );
        assert!(!ids("Groups:").contains(&"0".to_owned()), "{status}");
        assert_eq!(ids("CapEff:"), ["0000000000000000"]);
        threads += 1;
    }
    assert!(threads > 1);
    let mut talk = daemon.connect();
    assert!(talk.scan(&at("secret")).starts_with("EACCES "));
    assert!(talk.scan(&at("open")).starts_with("DONE 1 "));
    drop(talk);
    assert!(!daemon.log_so_far().iter().any(|line| line.contains("root")));
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(std::fs::read_to_string(at("pid")).unwrap(), "");
    // Rules that the user cannot read are not read by root before.
    let rules = format!("--vdl={}", at("secret").display());
    let output = run(VFINDD, &["--svsp-port=0", "--user=nobody", &rules], b"");
    assert!(
        output.status.code() == Some(255) && said(&output).contains("secret: Permission denied"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_example_of_a_configuration_file_is_one() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vfindd.toml");
    let option = format!("--config={}", example.display());
    let checked = run(VFINDD, &[&option, "--check-config"], b"");
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    for line in [
        r#"listen = ["svsp:127.0.0.1:8081", "svsp:[::1]:8081"]"#,
        r#"allow = ["svsp:127.0.0.0/8", "svsp:::1", "svsp:10.20.0.0/16"]"#,
        r#"limit-spool = "8G""#,
        "# svsp-port is not set",
    ] {
        assert!(
            out(&checked).lines().any(|shown| shown == line),
            "{line} in {}",
            out(&checked)
        );
    }
}
