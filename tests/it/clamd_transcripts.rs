//! What Debian's clamd answers to each request of tests/data/wire/clamd/recorded.txt, and what ours does.
//!
//! ```text
//! C: zSCAN {dir}/bad\0      sent, at once; \0, \n, \r, \\ and \xNN are escapes
//! E:                        then the sending side is closed
//! S: {dir}/bad: … FOUND\0   what clamd answered: its replies, sorted, and . if it closed then or … if it waits
//! O: …                      what ours answers, where that is something else
//! W: a word                 why: docs/protocols/clamd.md has a row with it
//! ```
//!
//! `VFIND_WRITE=1 cargo test --test it clamd_transcripts` asks Debian's clamd again and writes the S lines anew; the others are
//! written by hand. {version} is what VERSION says, and digits of STATS are #.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clamd::{marker, second, signatures};
use crate::support::{Daemon, PATIENCE, has_tools};

/// After so long without a byte a daemon waits for more.
const SILENCE: Duration = Duration::from_millis(800);

#[derive(Debug, Default, Clone)]
struct Case {
    request: String,
    half_closed: bool,
    theirs: String,
    ours: Option<String>,
    why: Option<String>,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire/clamd/recorded.txt")
}

/// The comment at the start of the file, and its cases.
fn read() -> (String, Vec<Case>) {
    let text = std::fs::read_to_string(data()).unwrap();
    let (mut head, mut cases) = (String::new(), Vec::<Case>::new());
    for line in text.lines() {
        let (key, rest) = line.split_once(':').unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        match key {
            "C" => cases.push(Case {
                request: rest,
                ..Case::default()
            }),
            "E" => cases.last_mut().unwrap().half_closed = true,
            "S" => cases.last_mut().unwrap().theirs = rest,
            "O" => cases.last_mut().unwrap().ours = Some(rest),
            "W" => cases.last_mut().unwrap().why = Some(rest),
            _ if line.is_empty() => {}
            _ => head += &format!("{line}\n"),
        }
    }
    (head, cases)
}

fn write(head: &str, cases: &[Case]) {
    let mut text = head.to_owned();
    for case in cases {
        write!(text, "\nC: {}\n", case.request).unwrap();
        if case.half_closed {
            text += "E:\n";
        }
        writeln!(text, "S: {}", case.theirs).unwrap();
        for (key, value) in [("O", &case.ours), ("W", &case.why)] {
            if let Some(value) = value {
                writeln!(text, "{key}: {value}").unwrap();
            }
        }
    }
    std::fs::write(data(), text).unwrap();
}

pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let (byte, length) = match (first, more.first()) {
            (b'\\', Some(b'0')) => (0, 1),
            (b'\\', Some(b'n')) => (b'\n', 1),
            (b'\\', Some(b'r')) => (b'\r', 1),
            (b'\\', Some(b'\\')) => (b'\\', 1),
            (b'\\', Some(b'x')) => {
                let digits = std::str::from_utf8(&more[1..3]).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 3)
            }
            (byte, _) => (*byte, 0),
        };
        bytes.push(byte);
        rest = &more[length..];
    }
    bytes
}

pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            0 => text += "\\0",
            b'\n' => text += "\\n",
            b'\r' => text += "\\r",
            b'\\' => text += "\\\\",
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => write!(text, "\\x{byte:02x}").unwrap(),
        }
    }
    text
}

/// The folder of the requests.
fn files(folder: &Path) -> String {
    let dir = folder.join("dir");
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    std::fs::create_dir_all(dir.join("clean only/none")).unwrap();
    for (name, content) in [
        ("clean", "nothing".to_owned()),
        ("empty", String::new()),
        ("bad", format!("a {} b", marker())),
        ("both", marker() + &second()),
        ("with space", marker()),
        ("new\nline", marker()),
        ("sub/bad", marker()),
        ("sub/clean", "nothing".to_owned()),
        ("clean only/clean", "nothing".to_owned()),
    ] {
        std::fs::write(dir.join(name), content).unwrap();
    }
    for (link, to) in [
        ("link", "clean"),
        ("bad link", "bad"),
        ("no link", "nowhere"),
    ] {
        std::os::unix::fs::symlink(to, dir.join(link)).unwrap();
    }
    let fifo = rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    );
    fifo.unwrap();
    dir.display().to_string()
}

/// What is answered at this socket, in the form of the file.
fn ask(socket: &Path, dir: &str, case: &Case) -> String {
    let request = unescape(
        &case
            .request
            .replace("{dir}", dir)
            .replace("{marker}", &marker()),
    );
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    // It may have closed before all is sent.
    let _ = stream.write_all(&request);
    if case.half_closed {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 65536]);
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break ".",
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break "…",
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break ".",
            Err(error) => panic!("{error}"),
        }
    };
    let answer = escape(&answer).replace(dir, "{dir}");
    sorted(&versionless(&answer)) + end
}

fn versionless(answer: &str) -> String {
    let Some((before, version)) = answer.split_once("ClamAV 1.4.6") else {
        return answer.to_owned();
    };
    let end = version.find(['|', '\\']).unwrap();
    format!("{before}{{version}}{}", &version[end..])
}

/// The replies in an order of their own: scans of a session and files of a folder come as they come.
fn sorted(answer: &str) -> String {
    if let Some((before, stats)) = answer.split_once("POOLS") {
        let mut blank = String::new();
        for c in stats.chars() {
            match c.is_ascii_digit() && !blank.ends_with('\\') {
                false => blank.push(c),
                true if blank.ends_with('#') => {}
                true => blank.push('#'),
            }
        }
        return format!("{before}POOLS{blank}");
    }
    let marked = answer.replace("\\0", "\\0\n").replace("\\n", "\\n\n");
    let mut replies: Vec<_> = marked.lines().collect();
    replies.sort_unstable();
    replies.concat()
}

/// Debian's clamd, ended when dropped.
struct Real(Child);

impl Real {
    fn start(folder: &Path) -> (Self, PathBuf) {
        let socket = folder.join("real");
        let config = folder.join("clamd.conf");
        let text = format!(
            "LocalSocket {}\nDatabaseDirectory {}\nForeground yes\nAllowAllMatchScan yes\nSelfCheck 0\n\
             StreamMaxLength 1M\nCommandReadTimeout 30\nReadTimeout 30\nIdleTimeout 30\n",
            socket.display(),
            folder.join("database").display(),
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("clamd")
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let real = Self(child.unwrap());
        let end = Instant::now() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < end, "clamd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        (real, socket)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn clamd_transcripts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("database")).unwrap();
    signatures(&folder.path().join("database"));
    let dir = files(folder.path());
    let (head, mut cases) = read();
    if std::env::var("VFIND_WRITE").is_ok_and(|value| value == "1") && has_tools(&["clamd"]) {
        let (_real, socket) = Real::start(folder.path());
        for case in &mut cases {
            case.theirs = ask(&socket, &dir, case);
        }
        write(&head, &cases);
    }
    let socket = folder.path().join("ours");
    let _daemon = Daemon::start(&[
        &format!("--vfdclam-socket={}", socket.display()),
        &format!("--database={}", folder.path().join("database").display()),
    ]);
    let mut wrong = Vec::new();
    for case in &cases {
        let ours = ask(&socket, &dir, case);
        let expected = case.ours.as_ref().unwrap_or(&case.theirs);
        if ours != *expected {
            wrong.push(format!(
                "C: {}\nS: {}\nO: {ours}",
                case.request, case.theirs
            ));
        }
        let is_told = case.ours.as_ref().is_some_and(|ours| *ours != case.theirs);
        assert_eq!(
            is_told,
            case.why.is_some(),
            "{}: a difference has its reason",
            case.request
        );
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(cases.len() >= 150, "{} requests", cases.len());
}

#[test]
fn each_difference_to_clamd_is_explained() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocols/clamd.md");
    let document = std::fs::read_to_string(document).unwrap();
    let rows: BTreeSet<_> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| **")?.split_once("**"))
        .map(|(word, _)| word.to_owned())
        .collect();
    let used: BTreeSet<_> = read().1.into_iter().filter_map(|case| case.why).collect();
    assert_eq!(rows, used);
}
