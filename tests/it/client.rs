//! `vfindc` and the client library with real daemons: several of them, some of them dying.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use vfind::client::{Connection, blocking};
use vfind::verdict::{Record, Verdict};

use crate::support::{Daemon, at, eicar, gzip, odd_names, tar, zip};

#[path = "../../examples/client.rs"]
#[allow(dead_code, unreachable_pub)]
mod example;

fn records(stdout: &[u8]) -> Vec<Record> {
    let lines = stdout.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// The exact name of what was asked for.
fn name(record: &Record) -> Vec<u8> {
    let element = &record.path[0];
    element.base64.as_ref().map_or_else(
        || element.text.clone().into_bytes(),
        |text| data_encoding::BASE64.decode(text.as_bytes()).unwrap(),
    )
}

/// What the daemon says with these arguments: the records by the names behind the folder's, and the exit code.
fn asked(
    daemon: &Daemon,
    folder: &Path,
    arguments: &[&str],
) -> (BTreeMap<String, String>, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .arg(format!("--server={}", daemon.address))
        .arg("--json")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    (by_name(&output, folder), output.status.code())
}

fn by_name(output: &Output, folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let prefix = folder.as_os_str().as_bytes();
    for record in records(&output.stdout) {
        let name = name(&record);
        let short = name.strip_prefix(prefix).unwrap_or(&name);
        let short = String::from_utf8_lossy(short).into_owned();
        let gap = record.gaps.first().map(|gap| gap.reason.as_str());
        let said = match record.verdict {
            Verdict::Clean => gap.unwrap_or("clean"),
            Verdict::Incomplete => gap.unwrap_or("incomplete"),
            Verdict::Infected => "infected",
        };
        let twice = all.insert(short, said.to_owned());
        assert_eq!(twice, None, "{name:?}");
    }
    all
}

/// Files in a folder, some infected; the names of those.
fn many_files(folder: &Path, count: usize) -> Vec<Vec<u8>> {
    let mut infected = Vec::new();
    for number in 0..count {
        let part = folder.join(format!("{}", number % 10));
        if number < 10 {
            std::fs::create_dir(&part).unwrap();
        }
        let path = part.join(format!("file{number}"));
        if number % 997 == 500 {
            std::fs::write(&path, eicar()).unwrap();
            infected.push(path.as_os_str().as_bytes().to_vec());
        } else {
            std::fs::write(&path, format!("the content of {number}")).unwrap();
        }
    }
    infected.sort();
    infected
}

/// How many files are scanned while a daemon dies. .ci/full sets more.
fn count() -> usize {
    let count = std::env::var("VFIND_CLIENT_FILES").ok();
    count.map_or(3000, |count| count.parse().unwrap())
}

/// Three daemons scan a folder; one gets this signal when a quarter of it is done. Each file must have its one record.
fn one_of_three_ends(signal: Signal, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let count = count();
    let infected = many_files(folder.path(), count);
    let daemons: Vec<_> = (0..3).map(|_| Daemon::start(&["--threads=1"])).collect();
    let mut client = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .args(
            daemons
                .iter()
                .map(|daemon| format!("--server={}", daemon.address)),
        )
        .arg("--json")
        .args(arguments)
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut said: Vec<_> = lines.by_ref().take(count / 4).map(Result::unwrap).collect();
    daemons[1].signal(signal);
    said.extend(lines.map(Result::unwrap));
    let output = client.wait_with_output().unwrap();
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(23), "{warnings}");
    let all = records(said.join("\n").as_bytes());
    assert_eq!(all.len(), count, "{warnings}");
    let mut names: Vec<_> = all.iter().map(name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    let mut found: Vec<_> = all
        .iter()
        .filter(|record| record.verdict == Verdict::Infected)
        .map(name)
        .collect();
    found.sort();
    assert_eq!(found, infected);
    let incomplete = all
        .iter()
        .find(|record| record.verdict == Verdict::Incomplete);
    assert_eq!(incomplete, None);
    let lost = format!("{}: ", daemons[1].address);
    assert!(warnings.contains(&lost), "{warnings}");
}

#[test]
fn a_daemon_that_is_killed_costs_no_file_its_record() {
    one_of_three_ends(Signal::KILL, &[]);
}

#[test]
fn a_daemon_that_ends_in_order_costs_no_file_its_record() {
    one_of_three_ends(Signal::TERM, &[]);
    one_of_three_ends(Signal::TERM, &["--localhost", "--include=file*"]);
}

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("sub/deep")).unwrap();
    std::fs::write(path("a.txt"), b"a").unwrap();
    std::fs::write(path("b.com"), eicar()).unwrap();
    std::fs::write(path("sub/c.zip"), zip(&[("virus.com", &eicar())])).unwrap();
    std::fs::write(path("sub/deep/d.txt"), b"d").unwrap();
    symlink("a.txt", path("link")).unwrap();
    folder
}

#[test]
fn the_options_say_what_of_a_folder_is_scanned() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    let usual = [
        ("/a.txt", "clean"),
        ("/b.com", "infected"),
        ("/link", "excluded/link"),
        ("/sub/c.zip", "infected"),
        ("/sub/deep/d.txt", "clean"),
    ];
    let changed = |changes: &[(&'static str, &'static str)]| {
        let mut all: BTreeMap<_, _> = usual.into_iter().collect();
        for (name, said) in changes {
            if said.is_empty() {
                all.remove(name);
            } else {
                all.insert(name, said);
            }
        }
        all
    };
    let exclude = "excluded/exclude";
    let sub = [("/sub/c.zip", ""), ("/sub/deep/d.txt", "")];
    let rows = [
        (&["."][..], changed(&[]), 23),
        (
            &["--localhost", "--include=*", "."],
            changed(&[("/link", "excluded/link")]),
            23,
        ),
        (
            &["--follow-symlinks", "."],
            changed(&[("/link", "clean")]),
            23,
        ),
        (
            &["--localhost", "--follow-symlinks", "."],
            changed(&[("/link", "clean")]),
            23,
        ),
        (
            &["--noscan=*.com", "--noscan=sub", "."],
            changed(&[&sub[..], &[("/b.com", exclude), ("/sub", exclude)]].concat()),
            0,
        ),
        (
            &["--include=*.txt", "."],
            changed(&[("/b.com", exclude), ("/sub/c.zip", exclude)]),
            0,
        ),
        (
            &["--include=./sub/deep/d.txt", "."],
            changed(&[
                ("/a.txt", exclude),
                ("/b.com", exclude),
                ("/sub/c.zip", exclude),
            ]),
            0,
        ),
        (
            &["--include=sub/*.zip", "--localhost", "."],
            changed(&[
                ("/a.txt", exclude),
                ("/b.com", exclude),
                ("/sub/deep/d.txt", exclude),
            ]),
            23,
        ),
        (
            &["--recursion-limit=1", "."],
            changed(&[&sub[..], &[("/sub", "excluded/recurse")]].concat()),
            23,
        ),
        (
            &["--ignore=CVDL EICAR-Test-File", "."],
            changed(&[("/b.com", "clean"), ("/sub/c.zip", "clean")]),
            0,
        ),
        (
            &["--notell=CVDL EICAR-Test-File", "."],
            changed(&[("/b.com", "clean"), ("/sub/c.zip", "clean")]),
            0,
        ),
        (
            &["--expand=gz", "."],
            changed(&[("/sub/c.zip", "excluded/expand")]),
            23,
        ),
    ];
    for (arguments, expected, code) in rows {
        let (said, exit) = asked(&daemon, folder.path(), arguments);
        let said: BTreeMap<_, _> = said.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(said, expected, "{arguments:?}");
        assert_eq!(exit, Some(code), "{arguments:?}");
    }
}

#[test]
fn a_folder_by_name_is_one_request_with_the_same_options() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    let rows: [(&[&str], &str, u64, i32); 4] = [
        (&["--localhost", "."], "infected", 5, 23),
        (
            &["--localhost", "--noscan=*.com", "--noscan=sub", "."],
            "excluded/exclude",
            1,
            0,
        ),
        (
            &["--localhost", "--original", "sub/c.zip"],
            "infected",
            2,
            23,
        ),
        (
            &["--localhost", "--recursion-limit=1", "."],
            "infected",
            2,
            23,
        ),
    ];
    for (arguments, said, objects, code) in rows {
        let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
            .arg(format!("--server={}", daemon.address))
            .arg("--json")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let [record] = &records(&output.stdout)[..] else {
            panic!("{output:?}")
        };
        assert_eq!(record.coverage.unwrap().objects, objects, "{arguments:?}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        if code == 0 {
            let reasons: Vec<_> = record.gaps.iter().map(|gap| gap.reason.as_str()).collect();
            assert!(reasons.contains(&said), "{reasons:?}");
        }
    }
}

#[test]
fn links_that_are_named_are_followed_unless_told_not_to() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    for way in [&[][..], &["--localhost"]] {
        for (option, said) in [
            (None, "clean"),
            (Some("--ignore-symlinks"), "excluded/link"),
        ] {
            let arguments: Vec<_> = way.iter().copied().chain(option).chain(["link"]).collect();
            let (all, code) = asked(&daemon, folder.path(), &arguments);
            assert_eq!(all["/link"], said, "{arguments:?}");
            assert_eq!(code, Some(0));
        }
    }
}

/// Runs vfindc with this on its standard input.
fn fed(daemon: &Daemon, folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut client = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .arg(format!("--server={}", daemon.address))
        .arg("--json")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = client.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || drop(to.write_all(&input)));
    let output = client.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

#[test]
fn standard_input_is_a_content_or_a_list_of_names() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    for way in [&["-"][..], &["--localhost", "-"]] {
        let output = fed(&daemon, folder.path(), way, &zip(&[("v", &eicar())]));
        assert_eq!(by_name(&output, folder.path())["-"], "infected");
        assert_eq!(output.status.code(), Some(23));
    }
    let long = "x".repeat(40_000);
    let lines = format!("a.txt\n\nsub/deep\n{long}\nabsent\nb.com");
    let output = fed(
        &daemon,
        folder.path(),
        &["--stdin", "link"],
        lines.as_bytes(),
    );
    let mut said = by_name(&output, folder.path());
    said.retain(|name, said| {
        let is_long = name.len() > 30_000;
        assert!(!is_long || said == "unreadable/ENAMETOOLONG", "{said}");
        !is_long
    });
    let expected = [
        ("/a.txt", "clean"),
        ("/absent", "unreadable/ENOENT"),
        ("/b.com", "infected"),
        ("/link", "clean"),
        ("/sub/deep/d.txt", "clean"),
    ];
    let expected = expected.map(|(name, said)| (name.to_owned(), said.to_owned()));
    assert_eq!(said, BTreeMap::from(expected));
    // Without a PATH names come from there; and nobody who lost them on the way is told "clean".
    let output = fed(&daemon, folder.path(), &[], b"b.com\n");
    assert_eq!(by_name(&output, folder.path())["/b.com"], "infected");
    let rows: [(&[&str], &[u8], &str, usize); 4] = [
        (&[], b"\n\n", "no PATH, and no names on standard input", 0),
        (&["--stdin"], b"", "no names on standard input", 0),
        (&["-0"], b"\0", "no names on standard input", 0),
        (&["--stdin", "a.txt"], b"", "no names on standard input", 1),
    ];
    for (arguments, input, why, count) in rows {
        let output = fed(&daemon, folder.path(), arguments, input);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(255), "{arguments:?}");
        assert!(said.ends_with(&format!("vfindc: {why}\n")), "{said}");
        assert_eq!(records(&output.stdout).len(), count, "{arguments:?}");
    }
    let mut names = Vec::new();
    for name in odd_names() {
        std::fs::write(at(folder.path(), &name), eicar()).unwrap();
        names.extend_from_slice(&name);
        names.push(0);
    }
    for way in [
        &["--stdin", "-0"][..],
        &["-0"],
        &["--stdin", "--null", "--localhost"],
    ] {
        let output = fed(&daemon, folder.path(), way, &names);
        let all = records(&output.stdout);
        assert_eq!(all.len(), odd_names().len());
        for record in all {
            assert_eq!(record.verdict, Verdict::Infected, "{record:?}");
        }
    }
}

#[test]
fn what_cannot_be_read_or_sent_is_never_clean() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&[]);
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let rows = [
        ("pipe", "/pipe", "unsupported/fifo"),
        ("absent", "/absent", "unreadable/ENOENT"),
        ("/dev/zero", "/dev/zero", "unsupported/device"),
        // A file without a size, as those of /proc are, is read to its end; this one cannot be read at all.
        ("/proc/self/mem", "/proc/self/mem", "unreadable/EIO"),
    ];
    for (argument, name, said) in rows {
        let (all, code) = asked(&daemon, folder.path(), &[argument]);
        let all: Vec<_> = all.into_iter().collect();
        assert_eq!(all, [(name.to_owned(), said.to_owned())], "{argument}");
        assert_eq!(code, Some(2), "{argument}");
    }
    let (all, code) = asked(&daemon, folder.path(), &["/proc/self/status"]);
    let said: Vec<_> = all.values().map(String::as_str).collect();
    assert_eq!((said, code), (vec!["clean"], Some(0)));
}

#[test]
fn a_file_that_is_not_included_need_not_be_readable() {
    // Nobody may read this one, not even root.
    let folder = Path::new("/proc/sys/vm");
    if std::fs::File::open(folder.join("drop_caches")).is_ok() {
        return println!("skipped: all can be read");
    }
    let daemon = Daemon::start(&[]);
    for (include, said, code) in [
        ("--include=swappiness", "excluded/exclude", 0),
        ("--include=drop_*", "unreadable/EACCES", 2),
    ] {
        let (all, exit) = asked(&daemon, folder, &[include, "."]);
        assert_eq!(all["/drop_caches"], said, "{include}");
        assert_eq!(exit, Some(code), "{include}");
    }
    let (all, exit) = asked(&daemon, folder, &["--include=x", "drop_caches"]);
    assert_eq!(all["/drop_caches"], "unreadable/EACCES", "it is named");
    assert_eq!(exit, Some(2));
}

#[test]
fn an_option_that_the_server_refuses_is_an_error() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    for option in ["--expand=nonsense", "--expand=ACE"] {
        let output = daemon.vfindc(&[OsStr::new(option), folder.path().as_os_str()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(255), "{said}");
        assert!(said.contains(option.split_once('=').unwrap().1), "{said}");
    }
}

#[test]
fn wrong_combinations_are_told_off() {
    let never = "a pattern is held against absolute names, so it begins with / or *";
    let rows: [(&[&str], &str); 17] = [
        (&["--stdin", "-"], "once"),
        (
            &["-", "-"],
            "standard input can be read once: as '-' or for names",
        ),
        (&["-0", "-"], "once"),
        (&["--null", "x"], "no names on standard input"),
        (&["--stdin"], "no names on standard input"),
        (&["-"], "standard input is not connected"),
        (
            &["--localhost", "x", "-"],
            "standard input is not connected",
        ),
        (&[], "no PATH"),
        (
            &["--follow-symlinks", "--ignore-symlinks", "x"],
            "cannot be used with",
        ),
        (&["--ignore=a\nQUIT", "x"], "control characters"),
        (&["--timeout=0", "x"], "above 0"),
        (&["--noscan=x"], "no PATH"),
        (&["--noscan=", "x"], "--noscan=: it names nothing"),
        (&["--noscan=irus*", "x"], never),
        (&["--noscan=[x", "x"], never),
        (&["--noscan=sub/*", "--localhost", "x"], never),
        (&["--include=", "x"], "--include=: it names nothing"),
    ];
    for (arguments, word) in rows {
        let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(255), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

fn free_address() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().to_string()
}

#[test]
fn ping_has_a_line_for_each_server() {
    let daemon = Daemon::start(&[]);
    let output = daemon.vfindc(&[OsStr::new("--ping")]);
    let said = String::from_utf8(output.stdout).unwrap();
    let start = format!("{}: READY, test signatures only, ", daemon.address);
    assert!(
        said.starts_with(&start) && said.ends_with(" ms\n"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(0));
    let absent = format!("--server={}", free_address());
    let output = daemon.vfindc(&[OsStr::new("--ping"), OsStr::new(&absent)]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 2);
    assert!(said.contains("no server: Connection refused"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    let address = free_address();
    let client = |patience: &str| {
        Command::new(env!("CARGO_BIN_EXE_vfindc"))
            .arg(format!("--server={address}"))
            .arg(format!("--wait-for-server={patience}"))
            .arg("/etc/hostname")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    assert_eq!(client("0.3").wait().unwrap().code(), Some(1));
    let mut waiting = client("60");
    // Started while the client waits, at the port that it waits for.
    let port = address.rsplit_once(':').unwrap().1;
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_vfindd"))
        .arg(format!("--svsp-port={port}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let code = waiting.wait().unwrap().code();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(code, Some(0));
}

/// A server that says this to each who connects, and nothing more.
fn greeter(greeting: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for peer in listener.incoming().take(100) {
            let mut peer = peer.unwrap();
            let _ = peer.write_all(greeting.as_bytes());
            held.push(peer);
        }
    });
    address
}

#[test]
fn who_waited_in_vain_is_told_why_of_each_server() {
    let (absent, denying, silent) = (free_address(), greeter("DENIED\r\n"), greeter(""));
    let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .args([&absent, &denying, &silent].map(|address| format!("--server={address}")))
        .args(["--wait-for-server=3", "--timeout=0.2", "/x"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!(
        "vfindc: no server in 3 s: {absent}: no server: Connection refused; \
         {denying}: takes no requests: DENIED; {silent}: takes no requests: no answer in time\n"
    );
    assert_eq!(said, expected);
    // A server that has not come as far as to be silent for long enough is not left out.
    let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .arg(format!("--server={silent}"))
        .args(["--wait-for-server=0.3", "/x"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        said,
        format!("vfindc: no server in 0.3 s: {silent}: no answer in time\n")
    );
}

#[test]
fn the_example_of_the_library_does_what_it_shows() {
    let folder = tree();
    let daemon = Daemon::start(&[]);
    let server = daemon.address.to_string().parse().unwrap();
    let files = ["a.txt", "b.com", "sub/c.zip"].map(|name| folder.path().join(name));
    let verdicts = |records: Vec<Record>| {
        let mut all: Vec<_> = records.iter().map(|record| record.verdict).collect();
        all.sort();
        all
    };
    use Verdict::{Clean, Infected};
    let records = example::one_after_another(&server, &files).unwrap();
    assert_eq!(verdicts(records), [Clean, Clean, Infected, Infected]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = runtime.block_on(example::side_by_side(&server, &files));
    assert_eq!(verdicts(records.unwrap()), [Clean, Infected, Infected]);
}

#[test]
fn the_library_answers_for_contents_names_and_lost_servers() {
    let folder = tree();
    let mut daemon = Daemon::start(&[]);
    let server = daemon.address.to_string().parse().unwrap();
    let connection = blocking::Connection::connect(&server).unwrap();
    assert!(connection.has_test_signatures_only());
    for label in [
        "plain",
        "",
        " blank",
        "new\nline",
        "\"quote",
        "nul\0",
        "/a\nb",
        "snow\u{2603}",
    ] {
        let record = connection.scan_bytes(label, &eicar()).unwrap();
        assert_eq!(record.verdict, Verdict::Infected, "{label:?}");
        assert_eq!(record.path[0].text, label);
        assert_eq!(record.findings[0].path[0].text, label);
    }
    let tar = gzip(&tar(&[(b"v", &eicar())]));
    let record = connection.scan_reader("r", std::io::Cursor::new(tar));
    assert_eq!(record.unwrap().findings[0].path[2].text, "v");
    let record = connection.scan_named(folder.path()).unwrap();
    assert_eq!(record.findings.len(), 2);
    assert!(connection.scan_file(folder.path()).is_err());
    assert!(connection.scan_file("/nonexistent").is_err());
    std::thread::scope(|scope| {
        for number in 0..20 {
            let connection = &connection;
            scope.spawn(move || {
                let content = vec![b'x'; number * 100_000];
                let record = connection.scan_bytes("many", &content).unwrap();
                assert_eq!(record.verdict, Verdict::Clean);
                assert_eq!(record.coverage.unwrap().bytes, content.len() as u64);
            });
        }
    });
    daemon.signal(Signal::KILL);
    daemon.wait();
    assert!(connection.scan_bytes("x", b"x").is_err());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(runtime.block_on(Connection::connect(&server)).is_err());
}

/// Plays a server at whose data ports somebody else at the client's address is first, with content that is clean; gives
/// its address and, when its client has gone, how often it was asked.
pub fn robbed_server() -> (std::net::SocketAddr, std::thread::JoinHandle<u32>) {
    use std::net::{TcpListener, TcpStream};
    let control = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = control.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let stream = control.accept().unwrap().0;
        let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
        writer.write_all(b"READY\r\n").unwrap();
        let (mut line, mut asked) = (String::new(), 0);
        // A client that has gone may have left a reset behind.
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            let command = std::mem::take(&mut line);
            let Some((id, label)) = command.trim().split_once(" SCAN/REQUEST ") else {
                writer.write_all(b"OK\r\n").unwrap();
                continue;
            };
            asked += 1;
            let data = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = data.local_addr().unwrap();
            let other = TcpStream::connect(port).unwrap();
            let first = data.accept().unwrap().0;
            let send = format!("{id} QUEUED\r\n{id} SEND {}\r\n", port.port());
            writer.write_all(send.as_bytes()).unwrap();
            // The client's connection waits behind it, and all that it sends, until the port is closed.
            std::thread::sleep(std::time::Duration::from_millis(300));
            drop((data, first, other));
            let done = format!("{id} COVERAGE 1 5 0 0 1:0\r\n{id} DONE 0 : \"{label}\"\r\n");
            writer.write_all(done.as_bytes()).unwrap();
        }
        asked
    });
    (address, server)
}

#[test]
fn the_answer_about_somebody_elses_content_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), eicar()).unwrap();
    let (address, server) = robbed_server();
    let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .args([format!("--server={address}"), "--json".to_owned()])
        .arg(folder.path())
        .output()
        .unwrap();
    let records = records(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].verdict, Verdict::Incomplete, "{records:?}");
    assert!(server.join().unwrap() > 1, "it is asked again");
}
