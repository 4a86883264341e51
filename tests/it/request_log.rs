//! The log's lines for requests, in each of its forms.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Daemon, PATIENCE, at, eicar, odd_names};

/// Lines for requests that came until the daemon has ended.
fn request_lines(mut daemon: Daemon) -> Vec<String> {
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
    std::thread::sleep(Duration::from_millis(100));
    let lines = daemon.log_so_far().into_iter();
    lines.filter(|line| line.contains(" request id=")).collect()
}

#[test]
fn each_request_has_one_line_and_no_name_breaks_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&["--log-requests=all", "--threads=1"]);
    let names: Vec<_> = odd_names();
    let names = names
        .iter()
        .filter(|name| !name.contains(&b'\n') && !name.contains(&b'\r'));
    let names: Vec<_> = names.collect();
    let mut talk = daemon.connect();
    for name in &names {
        let path = at(folder.path(), name);
        std::fs::write(&path, eicar()).unwrap();
        talk.scan(&path);
    }
    drop(talk);
    let lines = request_lines(daemon);
    assert_eq!(lines.len(), names.len(), "{lines:#?}");
    for (name, line) in names.iter().zip(&lines) {
        let mut asked = Vec::new();
        let path = [
            folder.path().to_str().unwrap().as_bytes(),
            b"/",
            name.as_slice(),
        ]
        .concat();
        vfind::path::quote(&path, &mut asked);
        let asked = String::from_utf8_lossy(&asked).into_owned();
        assert!(line.contains(" protocol=svsp peer=127.0.0.1:"), "{line}");
        assert!(
            line.contains(&format!(" asked={asked} verdict=infected findings=1 ")),
            "{line}"
        );
        assert!(
            line.contains(" WARN ") && line.contains(&format!(" found_in={asked}")),
            "{line}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn what_is_logged_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (bad, good) = (write("bad", &eicar()), write("good", b"good"));
    for (option, words) in [
        (
            "--log-requests=all",
            &["infected", "infected", "clean", "incomplete"][..],
        ),
        ("--log-requests=found", &["infected", "incomplete"]),
        ("--log-requests=none", &[]),
        // As without it.
        ("--threads=1", &["infected", "incomplete"]),
    ] {
        let daemon =
            Daemon::start(&[option, "--threads=1"][..if option == "--threads=1" { 1 } else { 2 }]);
        for path in [&bad, &bad, &good, &folder.path().join("none")] {
            daemon.connect().scan(path);
        }
        let lines = request_lines(daemon);
        let verdicts = lines
            .iter()
            .map(|line| line.split("verdict=").nth(1).unwrap());
        let verdicts: Vec<_> = verdicts
            .map(|rest| rest.split(' ').next().unwrap())
            .collect();
        assert_eq!(verdicts, words, "{option}: {lines:#?}");
        let warned = lines.iter().filter(|line| line.contains(" WARN ")).count();
        assert_eq!(
            warned,
            usize::from(!words.is_empty()),
            "{option}: {lines:#?}"
        );
    }
}

/// A daemon whose log is not for people.
struct Other {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Other {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vfindd"))
            .args(["--svsp-port=0", "--log-requests=all"])
            .args(options)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scan(address: &str, path: &std::path::Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .arg(format!("--server={address}"))
        .arg(path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(23), "{output:?}");
}

#[test]
fn as_json_each_line_is_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two\nlines\"");
    std::fs::write(&path, eicar()).unwrap();
    let daemon = Other::start(&["--log-format=json"]);
    let mut is_asked = false;
    let mut address = String::new();
    let line = loop {
        let line = daemon.lines.recv_timeout(PATIENCE).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(text) = line["address"].as_str() {
            address = text.to_owned();
        }
        if line["message"] == "request" {
            break line;
        }
        if line["message"] == "signatures loaded" && !std::mem::replace(&mut is_asked, true) {
            scan(&address, &path);
        }
    };
    let quoted = format!(r#""{}/two\nlines\"""#, folder.path().display());
    assert_eq!(line["asked"], quoted);
    assert_eq!(line["verdict"], "infected");
    assert_eq!(line["findings"], 1);
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["gap"], serde_json::Value::Null);
}

#[test]
fn the_journal_gets_each_field_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad");
    std::fs::write(&path, eicar()).unwrap();
    let socket = folder.path().join("journal");
    let option = format!("--log-format=journald:{}", socket.display());
    // Without a journal it says so, and does not run without a log.
    let mut silent = Other::start(&[&option]);
    assert_eq!(silent.child.wait().unwrap().code(), Some(255));
    let said = silent.lines.recv_timeout(PATIENCE).unwrap();
    assert!(said.contains("--log-format=journald:"), "{said}");
    let journal = UnixDatagram::bind(&socket).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let _daemon = Other::start(&[&option]);
    let mut address = String::new();
    let mut buffer = vec![0; 1 << 16];
    let datagram = loop {
        let length = journal.recv(&mut buffer).unwrap();
        let datagram = buffer[..length].to_vec();
        let message = field(&datagram, "MESSAGE").unwrap();
        if let Some(text) = field(&datagram, "VFIND_ADDRESS") {
            address = text;
        }
        if message.starts_with("signatures loaded") {
            scan(&address, &path);
        }
        if message.starts_with("request ") {
            break datagram;
        }
    };
    let quoted = format!("\"{}\"", path.display());
    for (name, value) in [
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "vfindd"),
        ("VFIND_VERDICT", "infected"),
        ("VFIND_ASKED", &quoted),
        ("VFIND_FOUND_IN", &quoted),
        ("VFIND_PROTOCOL", "svsp"),
    ] {
        assert_eq!(field(&datagram, name).as_deref(), Some(value), "{name}");
    }
}

/// A field of a datagram in the journal's native form.
fn field(mut datagram: &[u8], wanted: &str) -> Option<String> {
    while !datagram.is_empty() {
        let end = datagram.iter().position(|byte| *byte == b'\n')?;
        let name = std::str::from_utf8(&datagram[..end]).unwrap();
        let length = datagram[end + 1..end + 9].try_into().unwrap();
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap();
        let value = &datagram[end + 9..end + 9 + length];
        if name == wanted {
            return Some(String::from_utf8(value.to_vec()).unwrap());
        }
        datagram = &datagram[end + 10 + length..];
    }
    None
}
