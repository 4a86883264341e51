//! What the programs print: the client's forms as other programs read them, its quarantine, manuals and completions.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal};
use vfind::client::Watch;
use vfind::client::print::{Form, Printer, Setting};
use vfind::event::Coverage;
use vfind::verdict::{Element, Exit, FoundRecord, PartRecord, Record, Times, Verdict};

use crate::support::{Daemon, PATIENCE, eicar, has_tools, noise, odd_names, run};

const PROGRAMS: [&str; 3] = [
    env!("CARGO_BIN_EXE_vfindd"),
    env!("CARGO_BIN_EXE_vfindc"),
    env!("CARGO_BIN_EXE_vfind"),
];

fn vfindc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a program that has to succeed makes of this input.
fn through(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let output = run(program, arguments, input);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Texts that break what takes texts lightly.
fn odd_texts() -> Vec<String> {
    let mut texts: Vec<_> = (0..=0x20u32)
        .chain([
            0x7f, 0x85, 0x9b, 0xa0, 0x2028, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600,
        ])
        .filter_map(char::from_u32)
        .map(|c| format!("a{c}b"))
        .collect();
    texts.extend(["", "]]>", "<!--", "&amp;", "\"'", " \r\n\t ", "</name>"].map(str::to_owned));
    texts
}

/// Records with odd names and texts in every place.
fn odd_records() -> Vec<Record> {
    let mut names = odd_names();
    names.extend(odd_texts().into_iter().map(String::into_bytes));
    names.extend((0..=255).map(|byte| vec![b'x', byte]));
    names.extend((0..200).map(|seed| noise(seed, 30)));
    let texts = odd_texts();
    let verdicts = [Verdict::Clean, Verdict::Incomplete, Verdict::Infected];
    let mut records = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let some = |offset: usize| texts[(number + offset) % texts.len()].clone();
        let path = vec![
            Element::new(name),
            Element::new(&names[(number * 7) % names.len()]),
        ];
        let part = |offset| PartRecord {
            reason: some(offset),
            path: path.clone(),
            detail: some(offset + 1),
            passes: (number % 2 > 0).then_some(number % 4 > 1),
        };
        let counted = number % 3 > 0;
        records.push(Record {
            version: 1,
            request: (number % 2 > 0).then(|| some(2)),
            verdict: verdicts[number % 3],
            path: path[..1].to_vec(),
            findings: vec![
                FoundRecord {
                    engine: some(3),
                    name: some(4),
                    path: path.clone(),
                    offset: counted.then_some(u64::MAX),
                    message: some(5),
                };
                number % 3
            ],
            gaps: vec![part(6); number % 4],
            notes: vec![part(8); number % 5],
            coverage: counted.then_some(Coverage {
                objects: u64::MAX,
                bytes: 2,
                gaps: 3,
                notes: 4,
            }),
            epoch: counted.then(|| some(9)),
            times: Times {
                started_ms: 1_700_000_000_000,
                elapsed_ms: 1,
            },
            sha1: counted.then(|| some(10)),
            error: counted.then(|| some(11)),
            quarantined: counted.then(|| some(12)),
        });
    }
    records
}

fn printed(form: &str, records: &[Record]) -> Vec<u8> {
    let setting = Setting {
        form: Form::named(form).unwrap(),
        quiet: 0,
        colour: false,
    };
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, &setting);
    for record in records {
        printer.record(record, None).unwrap();
    }
    printer.finish(Ok(Exit::Infected)).unwrap();
    drop(printer);
    out
}

/// Reads the XML form back into JSON, by a parser that is not ours.
const XML_TO_JSON: &str = r#"
import base64, json, sys, xml.etree.ElementTree as tree
def text(e):
    return base64.b64decode(e.get('base64')).decode() if e.get('base64') is not None else e.text or ''
def attribute(e, name):
    exact = e.get(name + '-base64')
    return base64.b64decode(exact).decode() if exact is not None else e.get(name)
def number(e, name):
    return None if e.get(name) is None else int(e.get(name))
def path(e):
    return [{'text': '', 'base64': n.get('base64') if n.get('base64') is not None
        else base64.b64encode((n.text or '').encode()).decode()} for n in e.find('path')]
def part(e):
    return {'reason': attribute(e, 'reason'), 'path': path(e), 'detail': attribute(e, 'detail'),
        'passes': {None: None, 'true': True, 'false': False}[e.get('passes')]}
root = tree.fromstring(sys.stdin.buffer.read())
assert root.tag == 'verdicts' and root[-1].tag == 'end' and root[-1].get('exit') == '23'
for r in root.findall('record'):
    coverage, error = r.find('coverage'), r.find('error')
    print(json.dumps({
        'version': int(root.get('version')),
        'request': attribute(r, 'request'),
        'verdict': r.get('verdict'),
        'path': path(r),
        'findings': [{'engine': attribute(f, 'engine'), 'name': attribute(f, 'name'), 'path': path(f),
            'offset': number(f, 'offset'), 'message': attribute(f, 'message')} for f in r.findall('finding')],
        'gaps': [part(g) for g in r.findall('gap')],
        'notes': [part(n) for n in r.findall('note')],
        'coverage': None if coverage is None else {n: int(v) for n, v in coverage.items()},
        'epoch': attribute(r, 'epoch'),
        'times': {'started_ms': number(r, 'started-ms'), 'elapsed_ms': number(r, 'elapsed-ms')},
        'sha1': attribute(r, 'sha1'),
        'error': None if error is None else text(error),
        'quarantined': attribute(r, 'quarantined'),
    }))
"#;

/// The record with each name by its exact bytes alone.
fn exact(mut record: Record) -> Record {
    let parts = record.gaps.iter_mut().chain(&mut record.notes);
    let paths = parts.map(|part| &mut part.path);
    let found = record.findings.iter_mut().map(|found| &mut found.path);
    for name in paths.chain(found).chain([&mut record.path]).flatten() {
        let bytes = name.bytes();
        name.text = String::new();
        name.base64 = Some(data_encoding::BASE64.encode(&bytes));
    }
    record
}

#[test]
fn xml_loses_nothing_on_the_way_through_another_parser() {
    if !has_tools(&["python3"]) {
        return;
    }
    let records = odd_records();
    let json = through("python3", &["-c", XML_TO_JSON], &printed("xml", &records));
    assert_eq!(json.lines().count(), records.len());
    for (line, record) in json.lines().zip(records) {
        let read: Record = serde_json::from_str(line).unwrap();
        assert_eq!(exact(read), exact(record));
    }
}

const COUNT_CASES: &str = r#"
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
suite = root[0]
for e in (root, suite):
    for name, path in (('tests', ''), ('failures', '/failure'), ('errors', '/error'), ('skipped', '/skipped')):
        assert int(e.get(name)) == len(suite.findall('testcase' + path)), name
print(suite.get('tests'), suite.get('failures'), suite.get('errors'))
"#;

#[test]
fn junit_counts_are_those_of_the_cases_however_many() {
    if !has_tools(&["python3"]) {
        return;
    }
    let mut records = Vec::new();
    // Enough that the cases do not stay in memory.
    while records.len() < 5000 {
        records.extend(odd_records());
    }
    let count = |verdict| {
        records
            .iter()
            .filter(|record| record.verdict == verdict)
            .count()
    };
    let printed = printed("junit", &records);
    assert!(printed.len() > 2 << 20, "{}", printed.len());
    let counted = through("python3", &["-c", COUNT_CASES], &printed);
    let expected = format!(
        "{} {} {}",
        records.len(),
        count(Verdict::Infected),
        count(Verdict::Incomplete)
    );
    assert_eq!(counted.trim(), expected);
}

#[test]
fn sarif_and_json_are_json_whatever_the_names() {
    let records = odd_records();
    let log: serde_json::Value = serde_json::from_slice(&printed("sarif", &records)).unwrap();
    let mut uris = std::collections::BTreeSet::new();
    for result in log["runs"][0]["results"].as_array().unwrap() {
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%:".contains(&byte);
        assert!(uri.bytes().all(is_plain), "{uri}");
        uris.insert(uri.to_owned());
    }
    let named: std::collections::BTreeSet<_> = records
        .iter()
        .filter(|record| !record.findings.is_empty() || !record.gaps.is_empty())
        .map(|record| record.path[0].bytes())
        .collect();
    assert!(
        uris.len() >= named.len(),
        "different names have different URIs"
    );
    assert_eq!(
        text(&printed("json", &records)).lines().count(),
        records.len()
    );
}

/// A server that takes two requests, answers one and goes.
fn dying_server() -> (String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let playing = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut peer = BufReader::new(stream);
        let mut line = String::new();
        peer.get_mut().write_all(b"READY\r\n").unwrap();
        peer.read_line(&mut line).unwrap();
        peer.get_mut().write_all(b"EINVAL\r\n").unwrap();
        line.clear();
        peer.read_line(&mut line).unwrap();
        let id = line.split(' ').next().unwrap().to_owned();
        let found = format!("{id} QUEUED\r\n{id} INFECTED CVDL x : \"\" : end at 1\r\n");
        peer.get_mut().write_all(found.as_bytes()).unwrap();
    });
    (address, playing)
}

#[test]
fn documents_are_whole_when_the_server_is_lost_or_was_never_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    for (form, last) in [
        ("xml", "</verdicts>\n"),
        ("junit", "</testsuites>\n"),
        ("sarif", "]}\n"),
    ] {
        let form = format!("--{form}");
        let (address, playing) = dying_server();
        for server in [&address, &nobody] {
            let output = vfindc(&[&form, &format!("--server={server}"), "/dev/zero"]);
            let printed = text(&output.stdout);
            assert!(printed.ends_with(last), "{form}: {printed}");
            assert!(
                matches!(output.status.code(), Some(1 | 2 | 23)),
                "{output:?}"
            );
        }
        playing.join().unwrap();
    }
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn signal(child: &std::process::Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn documents_are_whole_when_the_client_is_told_to_end() {
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&[]);
    let virus = home.path().join("virus");
    let (ended, failed) = (
        "exit=\"255\" failure=\"interrupted\"",
        "message=\"interrupted\"",
    );
    let rows = [
        ("--xml", Signal::INT, ended, "</verdicts>\n"),
        ("--junit", Signal::TERM, failed, "</testsuites>\n"),
        ("--sarif", Signal::HUP, "\"exitCode\":255", "]}\n"),
        ("--json", Signal::INT, "\"quarantined\":\"", "\"}\n"),
    ];
    for (form, number, word, last) in rows {
        std::fs::write(&virus, eicar()).unwrap();
        // Whoever started the tests may have told them to ignore a hangup, and a client ignores what it is told to.
        let mut client = Command::new("env")
            .args([
                "--default-signal=HUP,INT,TERM",
                env!("CARGO_BIN_EXE_vfindc"),
            ])
            .args([form, "--stdin", &format!("--server={}", daemon.address)])
            .arg(format!(
                "--quarantine={}",
                home.path().join("store").display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut names = client.stdin.take().unwrap();
        writeln!(names, "{}", virus.display()).unwrap();
        // The move comes before its record, and nothing comes between them.
        until("the virus is in quarantine", || !virus.exists());
        signal(&client, number);
        let output = client.wait_with_output().unwrap();
        let (printed, said) = (text(&output.stdout), text(&output.stderr));
        // That something was found does not hide that not all was asked.
        assert_eq!(output.status.code(), Some(255), "{form}: {said}");
        assert!(said.ends_with("\nvfindc: interrupted\n"), "{form}: {said}");
        assert!(
            printed.contains(word) && printed.ends_with(last),
            "{form}: {printed}"
        );
        assert_eq!(
            printed.matches("EICAR-Test-File").count().min(1),
            1,
            "{form}: {printed}"
        );
        if form == "--sarif" {
            serde_json::from_str::<serde_json::Value>(&printed).unwrap();
        }
        drop(names);
    }
}

#[test]
fn a_second_signal_ends_the_client_wherever_it_is() {
    let daemon = Daemon::start(&[]);
    let mut client = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .args(["--json", "--stdin", &format!("--server={}", daemon.address)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut names = client.stdin.take().unwrap();
    let naming = std::thread::spawn(move || {
        for number in 0..2000 {
            // It ends before it has read them all.
            let _ = writeln!(names, "/nonexistent/{number}");
        }
        names
    });
    // Nobody reads what it prints, so it waits for that, and hears of nothing.
    let printed = client.stdout.take().unwrap();
    let waiting = || rustix::io::ioctl_fionread(&printed).unwrap();
    until("the pipe is full", || waiting() > 60_000);
    until("the client ends", || {
        signal(&client, Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(100));
        client.try_wait().unwrap().is_some()
    });
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    assert!(!text(&output.stderr).contains("interrupted"), "{output:?}");
    drop((naming.join().unwrap(), printed));
}

#[test]
fn what_is_ignored_from_the_start_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&[]);
    let mut client = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "trap '' HUP; exec {} --json --stdin --server={}",
            env!("CARGO_BIN_EXE_vfindc"),
            daemon.address
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut names = client.stdin.take().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    for name in ["one", "two", "three"] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"nothing").unwrap();
        writeln!(names, "{}", path.display()).unwrap();
        assert!(lines.next().unwrap().unwrap().contains(name));
        signal(&client, Signal::HUP);
    }
    drop(names);
    assert_eq!(client.wait().unwrap().code(), Some(0));
}

#[test]
fn an_empty_folder_is_clean_in_the_summary_too() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&[]);
    let output = daemon.vfindc(&[folder.path().as_os_str()]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("Requests: 0\n") && said.ends_with("Verdict: clean\n"),
        "{said}"
    );
}

#[test]
fn one_form_at_a_time_and_colours_as_told() {
    let output = vfindc(&["--json", "--xml", "/x"]);
    assert_eq!(output.status.code(), Some(255));
    let folder = tempfile::tempdir().unwrap();
    let virus = folder.path().join("virus");
    std::fs::write(&virus, eicar()).unwrap();
    let daemon = Daemon::start(&[]);
    let red = "\u{1b}[31m\"";
    for (option, variables, coloured) in [
        ("--color=auto", &[][..], false),
        ("--color=auto", &[("CLICOLOR_FORCE", "1")], true),
        (
            "--color=auto",
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            false,
        ),
        ("--color=always", &[("NO_COLOR", "1")], true),
        ("--color=never", &[("CLICOLOR_FORCE", "1")], false),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
            .args([option, &format!("--server={}", daemon.address)])
            .arg(&virus)
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = text(&output.stdout);
        assert_eq!(
            said.starts_with(red),
            coloured,
            "{option} {variables:?}: {said:?}"
        );
        assert!(
            !text(&output.stderr).contains('\r'),
            "no progress but on a terminal"
        );
    }
}

#[test]
fn the_quarantine_needs_neither_server_nor_path() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    let option = format!("--quarantine={}", store.display());
    let path = home.path().join("vi\nrus");
    std::fs::write(&path, eicar()).unwrap();
    let record = Record {
        verdict: Verdict::Infected,
        path: vec![Element::new(path.as_os_str().as_bytes())],
        findings: Vec::new(),
        ..odd_records().remove(0)
    };
    let mut quarantine = vfind::client::quarantine::Quarantine::open(&store).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let name = quarantine
        .take(&file, &record, &mut |text| panic!("{text}"))
        .unwrap();
    let listed = vfindc(&["--list-quarantine", &option]);
    let line = text(&listed.stdout);
    assert!(
        line.starts_with(&name) && line.ends_with("vi\\nrus\"\n"),
        "{line}"
    );
    let listed = vfindc(&["--list-quarantine", "--json", &option]);
    let value: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (value["name"].as_str(), value["size"].as_u64()),
        (Some(name.as_str()), Some(68))
    );
    // One that is not there does not keep back the other.
    let restored = vfindc(&["--restore=nothing", &format!("--restore={name}"), &option]);
    assert_eq!(
        restored.status.code(),
        Some(255),
        "{}",
        text(&restored.stderr)
    );
    assert!(text(&restored.stderr).contains("not restored: nothing: "));
    assert_eq!(
        text(&restored.stdout),
        format!("restored \"{}\"\n", path.display()).replace("vi\nrus", "vi\\nrus")
    );
    assert_eq!(std::fs::read(&path).unwrap(), eicar());
    let absent = home.path().join("stroe");
    let misspelt = format!("--quarantine={}", absent.display());
    for wrong in [
        &["--restore=x"][..],
        &["--list-quarantine"],
        &["--list-quarantine", "/x", &option],
        &["--list-quarantine", "--restore=x", &option],
        &["--quarantine=/proc/self/cwd", "/x"],
        &["--list-quarantine", &misspelt],
        &["--restore=x", &misspelt],
    ] {
        let output = vfindc(wrong);
        assert_eq!(output.status.code(), Some(255), "{wrong:?}");
        assert_eq!(
            text(&output.stderr).lines().count(),
            1,
            "{}",
            text(&output.stderr)
        );
        let names = wrong.contains(&misspelt.as_str());
        assert!(
            !names || text(&output.stderr).contains("stroe: "),
            "{output:?}"
        );
    }
    assert!(!absent.exists());
}

#[test]
fn a_named_link_is_not_quarantined_and_junit_says_where_a_file_went() {
    let home = tempfile::tempdir().unwrap();
    let (virus, link) = (home.path().join("virus"), home.path().join("link"));
    std::fs::write(&virus, eicar()).unwrap();
    std::os::unix::fs::symlink(&virus, &link).unwrap();
    let daemon = Daemon::start(&[]);
    let option = format!("--quarantine={}", home.path().join("store").display());
    let run = |path: &std::path::Path| {
        daemon.vfindc(&[option.as_ref(), "--junit".as_ref(), path.as_os_str()])
    };
    let linked = run(&link);
    assert!(
        text(&linked.stderr).contains("is a symbolic link"),
        "{linked:?}"
    );
    assert!(virus.exists() && !text(&linked.stdout).contains("quarantined as"));
    let moved = run(&virus);
    assert!(!virus.exists(), "{moved:?}");
    assert!(
        text(&moved.stdout).contains("virus&quot;: quarantined as "),
        "{moved:?}"
    );
}

/// The long options of a program's help.
fn long_options(program: &str) -> Vec<String> {
    let help = Command::new(program).arg("--help").output().unwrap();
    let help = text(&help.stdout);
    // What is said of them stands further in, and may begin with a dash as well.
    let defined = help
        .lines()
        .filter(|line| !line.starts_with("        "))
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'));
    let mut names: Vec<_> = defined
        .filter_map(|line| line.split("--").nth(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect::<String>()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn manuals_and_completions_name_every_option() {
    for program in PROGRAMS {
        let options = long_options(program);
        assert!(options.contains(&"generate".to_owned()), "{options:?}");
        for what in ["man", "bash", "zsh", "fish"] {
            let output = Command::new(program)
                .arg(format!("--generate={what}"))
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{program} {what}: {}",
                text(&output.stderr)
            );
            let made = text(&output.stdout);
            let plain = made.replace("\\-", "-");
            for option in &options {
                let written = match what {
                    "fish" => format!("-l {option}"),
                    _ => format!("--{option}"),
                };
                assert!(plain.contains(&written), "{program} {what}: {written}");
            }
            match what {
                "bash" if has_tools(&["bash"]) => drop(through("bash", &["-n"], &output.stdout)),
                "man" => {
                    for section in ["EXIT STATUS", "FILES", "SEE ALSO"] {
                        assert!(made.contains(section), "{program}: {section}");
                    }
                    if has_tools(&["groff"]) {
                        let arguments = ["-man", "-Tascii", "-ww", "-z"];
                        assert_eq!(through("groff", &arguments, &output.stdout), "");
                    }
                }
                _ => {}
            }
        }
        let output = Command::new(program)
            .arg("--generate=csh")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(255));
    }
}
