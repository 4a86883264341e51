//! The clients in examples/, against a daemon and against servers that misbehave: only a server's word about all of the
//! content may come out as clean.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Daemon, PATIENCE, eicar, has_tools, noise};

/// One of the two, and how it calls what both can do.
struct Client {
    name: &'static str,
    program: Vec<PathBuf>,
    server: &'static str,
    by_name: &'static str,
    timeout: &'static str,
}

impl Client {
    fn run(&self, server: SocketAddr, options: &[&str], files: &[&Path]) -> (i32, String) {
        let output = Command::new("timeout")
            .arg("120")
            .args(&self.program)
            .arg(format!("{}{server}", self.server))
            .args(options)
            .args(files)
            .output()
            .unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), text)
    }
}

/// Those of the clients whose tools are here.
fn clients() -> Vec<Client> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut clients = Vec::new();
    if has_tools(&["python3", "timeout"]) {
        clients.push(Client {
            name: "client.py",
            program: vec!["python3".into(), examples.join("client.py")],
            server: "--server=",
            by_name: "--localhost",
            timeout: "--timeout=",
        });
    }
    if has_tools(&["cc", "timeout"]) {
        static COMPILED: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
        let (_, program) = COMPILED.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("client");
            let output = Command::new("cc")
                .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"])
                .args([&program, &examples.join("client.c")])
                .output()
                .unwrap();
            let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{complaints}");
            (folder, program)
        });
        clients.push(Client {
            name: "client.c",
            program: vec![program.clone()],
            server: "-s",
            by_name: "-l",
            timeout: "-t",
        });
    }
    clients
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_daemon_scans_by_name() {
    let daemon = Daemon::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let clean = write(folder.path(), "clean", b"hello");
    let odd = write(folder.path(), " \"odd\" \\name\n ", b"hello");
    let infected = write(folder.path(), "infected", &eicar());
    let closed = write(folder.path(), "closed.ace", b"1234567**ACE**and so on");
    let missing = folder.path().join("missing");
    let rows: &[(&[&Path], i32, &[&str])] = &[
        (&[&clean], 0, &["clean\": clean"]),
        (&[&odd], 0, &[r#"/ \"odd\" \\name\n ": clean"#]),
        (&[&infected], 23, &["CVDL EICAR-Test-File"]),
        (&[&missing], 2, &["NOT KNOWN TO BE CLEAN: ENOENT"]),
        (
            &[&closed],
            2,
            &["NOT KNOWN TO BE CLEAN: ENOTSUP", "unsupported/ace"],
        ),
        (
            &[&clean, &missing, &clean],
            2,
            &["clean\": clean", "ENOENT"],
        ),
        (&[&missing, &infected, &clean], 23, &["EICAR", "ENOENT"]),
        (&[folder.path()], 23, &["EICAR", "unsupported/ace"]),
        (&vec![clean.as_path(); 100], 0, &["clean\": clean"]),
    ];
    for client in clients() {
        for (files, code, words) in rows {
            let (exit, text) = client.run(daemon.address, &[client.by_name], files);
            assert_eq!(exit, *code, "{} {files:?}: {text}", client.name);
            for word in *words {
                assert!(text.contains(word), "{} {files:?}: {text}", client.name);
            }
        }
    }
}

#[test]
fn a_daemon_scans_what_it_is_sent() {
    let daemon = Daemon::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let clean = write(folder.path(), "clean", &noise(1, 70_000).repeat(50));
    let empty = write(folder.path(), "empty", b"");
    let odd = write(folder.path(), " \"odd\" \\name\n ", b"hello");
    let infected = write(folder.path(), "infected", &eicar());
    let closed = write(folder.path(), "closed.ace", b"1234567**ACE**and so on");
    let missing = folder.path().join("missing");
    let rows: &[(&[&Path], i32, &[&str])] = &[
        (&[&clean], 0, &["clean\": clean"]),
        (&[&empty], 0, &["empty\": clean"]),
        (&[&odd], 0, &[r#"/ \"odd\" \\name\n ": clean"#]),
        (&[&infected], 23, &["CVDL EICAR-Test-File"]),
        (&[&missing], 2, &["missing\": NOT KNOWN TO BE CLEAN"]),
        (&[folder.path()], 2, &["not a file"]),
        (
            &[&closed],
            2,
            &["NOT KNOWN TO BE CLEAN: ENOTSUP", "unsupported/ace"],
        ),
        (&[&missing, &infected, &clean], 23, &["EICAR", "missing"]),
        (&vec![clean.as_path(); 40], 0, &["clean\": clean"]),
    ];
    for client in clients() {
        for (files, code, words) in rows {
            let (exit, text) = client.run(daemon.address, &[], files);
            assert_eq!(exit, *code, "{} {files:?}: {text}", client.name);
            for word in *words {
                assert!(text.contains(word), "{} {files:?}: {text}", client.name);
            }
        }
    }
}

/// Plays one connection of a server by these lines and gives the content that it was sent:
///
/// * `S: TEXT` says this line; `{port}` is a port for uploads, `{closed}` one that nobody listens on
/// * `s: TEXT` says it without a line end
/// * `D: ID` says that what was asked by this id is clean, as a daemon does
/// * `C:` awaits a line; `{1}` is then the name that was asked for by the id 1
/// * `U:` takes an upload to its end, `R:` takes a part of it and then resets the connection
/// * `W:` says nothing until the client goes
///
/// and closes at the end.
fn play(control: TcpStream, script: &str) -> Vec<u8> {
    let uploads = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    control.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(control.try_clone().unwrap());
    let mut say = &control;
    let mut content = Vec::new();
    let mut names: HashMap<String, String> = HashMap::new();
    for line in script.lines().map(str::trim_start) {
        let (what, text) = line.split_at_checked(2).unwrap();
        let text = text
            .trim_start()
            .replace("{port}", &uploads.local_addr().unwrap().port().to_string())
            .replace("{closed}", &closed.to_string());
        let text = names.iter().fold(text, |text, (id, name)| {
            text.replace(&format!("{{{id}}}"), name)
        });
        match what {
            "D:" => {
                let (id, name) = (&text, &names[&text]);
                let answer = format!("{id} COVERAGE 1 1 0 0 1:ff\r\n{id} DONE 0 : \"{name}\"\r\n");
                say.write_all(answer.as_bytes()).unwrap();
            }
            "S:" => say.write_all(&bytes(&format!("{text}\r\n"))).unwrap(),
            "s:" => say.write_all(text.as_bytes()).unwrap(),
            "C:" => {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                if let Some((id, name)) = line.trim_end().split_once(" SCAN/REQUEST ") {
                    names.insert(id.to_owned(), name.to_owned());
                }
            }
            "U:" => {
                let (mut upload, _) = uploads.accept().unwrap();
                upload.set_read_timeout(Some(PATIENCE)).unwrap();
                upload.read_to_end(&mut content).unwrap();
            }
            "R:" => {
                // Closing with unread input is a reset.
                let (mut upload, _) = uploads.accept().unwrap();
                upload.read_exact(&mut [0; 1000]).unwrap();
            }
            "W:" => {
                let _ = lines.read_to_end(&mut Vec::new());
            }
            other => panic!("{other}"),
        }
    }
    content
}

/// The text with U+F000 to U+F0FF for single bytes, which need not be UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for char in text.chars() {
        match u32::from(char) {
            byte @ 0xf000..=0xf0ff => out.push((byte & 0xff) as u8),
            _ => out.extend(char.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

/// A server that plays a script for one client.
fn perform(
    client: &Client,
    name: &str,
    script: &'static str,
    files: &[&Path],
) -> (i32, String, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || play(listener.accept().unwrap().0, script));
    // Only who waits for nothing should have to be quick.
    let patience = if ["silent", "never greets"].contains(&name) {
        1
    } else {
        60
    };
    let timeout = format!("{}{patience}", client.timeout);
    let (exit, text) = client.run(address, &[&timeout], files);
    (exit, text, server.join().unwrap())
}

/// What a server says, the exit code that it must lead to, and a word of the output.
const SERVERS: &[(&str, &str, i32, &str)] = &[
    ("denied", "S: DENIED go away", 1, "DENIED go away"),
    (
        "busy",
        "S: EAGAIN too many connections",
        1,
        "EAGAIN too many",
    ),
    ("closes at once", "", 1, "takes no requests"),
    ("never greets", "W:", 1, "no answer"),
    (
        "speaks something else",
        "S: 220 mail.example.org ESMTP",
        1,
        "ESMTP",
    ),
    (
        "clean",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n S: 1 SCANNING \"x\"\n D: 1\n W:",
        0,
        "clean",
    ),
    (
        "as in the paper: no count, no COVERAGE, no QUEUED",
        "S: READY\n C:\n S: EINVAL Unknown option: COVERAGE\n C:\n S: 1 SEND {port}\n U:\n S: 1 DONE : \"{1}\"\n W:",
        0,
        "clean",
    ),
    (
        "infected",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 INFECTED CVDL A B : \"x : y\" -> \"z\" : end at 5\n S: 1 DONE 1 : \"x\"\n W:",
        23,
        "CVDL A B",
    ),
    (
        "infected, it only counts",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 DONE 3 : \"x\"\n W:",
        23,
        "infected",
    ),
    (
        "infected before all was sent",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n R:\n S: 1 INFECTED CVDL A : \"x\" : end at 5\n S: 1 DONE 1 : \"x\"\n W:",
        23,
        "CVDL A",
    ),
    (
        "infected, then an error",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 INFECTED CVDL A : \"x\" : end at 5\n S: 1 EFAULT \"x\"\n W:",
        23,
        "CVDL A",
    ),
    (
        "gone after a finding",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 INFECTED CVDL A : \"x\" : end at 5",
        23,
        "CVDL A",
    ),
    (
        "an error",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n S: 1 ENOTSUP \"x\" : encrypted : no password\n W:",
        2,
        "ENOTSUP",
    ),
    (
        "an error that nobody knows",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n S: 1 EWHATEVER\n W:",
        2,
        "EWHATEVER",
    ),
    (
        "refused",
        "S: READY\n C:\n S: OK\n C:\n S: 1 ENOTSUP SCAN/REQUEST\n W:",
        2,
        "ENOTSUP",
    ),
    (
        "no connection to the port",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {closed}\n S: 1 ENOENT \"x\" : no connection\n W:",
        2,
        "ENOENT",
    ),
    (
        "no connection to the port, and called clean",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {closed}\n D: 1\n W:",
        2,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "a part of it called clean",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n R:\n D: 1\n W:",
        2,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "called clean without the content",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n D: 1\n W:",
        2,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "an answer that is none",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 COVERAGE 1 1 0 0 1:ff\n S: 1 DONE x : \"{1}\"\n W:",
        2,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "an answer without anything",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 DONE\n W:",
        2,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "gone before the answer",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n S: 1 SCANNING \"x\"",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "gone in the middle of the answer",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n s: 1 DONE 0 : \"x\"",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "gone in the middle of the content",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n R:",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "silent",
        "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n S: 1 SEND {port}\n U:\n W:",
        1,
        "no answer",
    ),
    (
        "an answer to something else",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 2 DONE 0 : \"x\"\n W:",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "an answer to nobody",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: DONE 0 : \"x\"\n W:",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "an id that is too long for any number",
        "S: READY\n C:\n S: OK\n C:\n S: 99999999999999999999999999 DONE 0 : \"x\"\n W:",
        1,
        "NOT KNOWN TO BE CLEAN",
    ),
    (
        "an answer about another name",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 COVERAGE 1 1 0 0 1:ff\n S: 1 DONE 0 : \"{1}x\"\n W:",
        2,
        "something else",
    ),
    (
        "an answer about a part of it",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 COVERAGE 1 1 0 0 1:ff\n S: 1 DONE 0 : \"{1}\" -> \"x\"\n W:",
        2,
        "something else",
    ),
    (
        "an answer about the name that was asked for, as in the paper",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 COVERAGE 1 1 0 0 1:ff\n S: 1 DONE 0 : \"\" : da39\n W:",
        0,
        "clean",
    ),
    (
        "an answer without COVERAGE, which was promised",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 DONE 0 : \"{1}\"\n W:",
        2,
        "without COVERAGE",
    ),
    (
        "a finding in a word that nobody knows",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 INFECTEDX\n D: 1\n W:",
        23,
        "infected",
    ),
    (
        "a finding that is not whole",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 infected\n D: 1\n W:",
        23,
        "infected",
    ),
    (
        "a word that nobody knows",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SEND {port}\n U:\n S: 1 DENIED\n D: 1\n W:",
        2,
        "makes no sense",
    ),
    (
        "an error of one word",
        "S: READY\n C:\n S: OK\n C:\n S: 1 SCANNING \"AAAAAAAAAAAAAAAAAAAAAAAA-of-before\"\n S: 1 E2BIG\n W:",
        2,
        "CLEAN: E2BIG",
    ),
    (
        "controls in an error",
        "S: READY\n C:\n S: OK\n C:\n S: 1 EACCES \u{1b}[2J\u{7}\u{7f}\u{9b}m\u{202e}\u{f09b}\u{f0e9}\u{e9}\n W:",
        2,
        "EACCES \\x1b[2J\\x07\\x7f\\xc2\\x9bm\\xe2\\x80\\xae\\x9b\u{fffd}\u{e9}",
    ),
    (
        "controls in a greeting",
        "S: DENIED \u{1b}[2J\u{f09b}m",
        1,
        "DENIED \\x1b[2J\\x9bm",
    ),
];

#[test]
fn no_server_gets_a_wrong_clean_out_of_a_client() {
    let folder = tempfile::tempdir().unwrap();
    // More than a connection's buffers hold, so that a client notices who does not read it.
    let content = noise(1, 1 << 16).repeat(320);
    let file = write(folder.path(), "file", &content);
    let clients = clients();
    let rows: Vec<_> = clients
        .iter()
        .flat_map(|client| SERVERS.iter().map(move |row| (client, row)))
        .collect();
    let (file, content) = (&file, &content);
    // Mostly this waits for programs to start.
    std::thread::scope(|scope| {
        for part in rows.chunks(rows.len().div_ceil(8).max(1)) {
            scope.spawn(move || {
                for (client, (name, script, code, word)) in part {
                    let (exit, text, sent) = perform(client, name, script, &[file]);
                    assert_eq!(exit, *code, "{}, {name}: {text}", client.name);
                    assert!(text.contains(word), "{}, {name}: {text}", client.name);
                    assert!(
                        !text.contains("of-before"),
                        "{}, {name}: {text}",
                        client.name
                    );
                    if script.contains("U:") {
                        assert!(sent == *content, "{}, {name}: content", client.name);
                    }
                }
            });
        }
    });
}

#[test]
fn a_client_without_a_server_and_a_wrong_command_line_say_so() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for client in clients() {
        let (exit, text) = client.run(nobody, &[], &[Path::new("/etc/passwd")]);
        assert_eq!((exit, text.contains("no server")), (1, true), "{text}");
        let (exit, text) = client.run(nobody, &[], &[]);
        assert_eq!((exit, text.contains("usage")), (255, true), "{text}");
    }
}

#[test]
fn a_denied_client_knows_nothing() {
    let daemon = Daemon::start(&["--deny=127.0.0.0/8"]);
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "file", b"hello");
    for client in clients() {
        let (exit, text) = client.run(daemon.address, &[], &[&file]);
        assert_eq!((exit, text.contains("DENIED")), (1, true), "{text}");
    }
}

#[test]
fn several_contents_go_out_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(folder.path(), "first", b"one");
    let second = write(folder.path(), "second", b"two");
    let script = "S: READY\n C:\n S: OK\n C:\n S: 1 QUEUED\n C:\n S: 2 QUEUED\n S: 2 SEND {port}\n U:\n S: 1 SEND {port}\n U:\n \
                  D: 1\n D: 2\n W:";
    for client in clients() {
        let (exit, text, sent) = perform(&client, "two", script, &[&first, &second]);
        assert_eq!(
            (exit, sent),
            (0, b"twoone".to_vec()),
            "{}: {text}",
            client.name
        );
    }
}

/// What the class promises beyond what its program shows: content from anywhere, and a stream that breaks off is never
/// taken for whole, neither by the server nor by the client.
const LIBRARY: &str = r#"
import io, sys
sys.path.insert(0, sys.argv[1])
from client import Client, State

class Broken(io.RawIOBase):
    left = 3
    def read(self, size):
        self.left -= 1
        if self.left == 0:
            raise OSError("broken")
        return b"harmless"

class Waiting(io.RawIOBase):
    parts = [b"harmless so far", None]
    def read(self, size):
        return self.parts.pop(0)

eicar = sys.stdin.buffer.read()
with Client(sys.argv[2]) as client:
    assert client.notice == "test signatures only", client.notice
    assert client.scan_bytes(b"harmless", "a \n label").state is State.CLEAN
    found = client.scan_stream(io.BytesIO(eicar), "mail")
    assert (found.state, found.findings) == (State.INFECTED, [("CVDL EICAR-Test-File", '"mail"', "end at 68")]), found
    pending = [client.submit_stream(io.BytesIO(eicar if n % 3 else b"x"), str(n)) for n in range(100)]
    for n, future in enumerate(pending):
        verdict = future.result(60)
        assert verdict.state is (State.INFECTED if n % 3 else State.CLEAN), verdict
        assert verdict.coverage[:1] == ["1"], verdict
    broken = client.scan_stream(Broken())
    assert broken.state is State.UNKNOWN and "ECONNRESET" in broken.reason, broken
    waiting = client.scan_stream(Waiting())
    assert waiting.state is State.UNKNOWN and "ECONNRESET" in waiting.reason, waiting
    for label in ("\x9b\u202e", b"\x9b\xe9\\ \"", "", "a\tb", '"q"', "\u00e9"):
        assert client.scan_bytes(b"harmless", label).state is State.CLEAN, label
    assert client.scan_path("/nowhere").reason.startswith("ENOENT")
client_after = client.scan_bytes(b"harmless")
assert client_after.state is State.UNKNOWN and client_after.lost, client_after
print("fine")
"#;

#[test]
fn the_python_class_takes_content_from_anywhere() {
    if !has_tools(&["python3", "timeout"]) {
        return;
    }
    let daemon = Daemon::start(&[]);
    let mut child = Command::new("timeout")
        .args(["120", "python3", "-c", LIBRARY])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
        .arg(daemon.address.to_string())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&eicar()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.stdout, b"fine\n", "{complaints}");
}

#[test]
fn a_file_that_is_cut_short_while_it_goes_out_is_not_clean() {
    let folder = tempfile::tempdir().unwrap();
    for client in clients() {
        let file = write(folder.path(), "file", &[b'x'; 100_000]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shrunk = file.clone();
        let server = std::thread::spawn(move || {
            let control = listener.accept().unwrap().0;
            let mut lines = BufReader::new(control.try_clone().unwrap()).lines();
            let mut say = &control;
            say.write_all(b"READY\r\n").unwrap();
            lines.next().unwrap().unwrap();
            say.write_all(b"OK\r\n").unwrap();
            lines.next().unwrap().unwrap();
            std::fs::write(shrunk, b"short").unwrap();
            let uploads = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = uploads.local_addr().unwrap().port();
            say.write_all(format!("1 SEND {port}\r\n").as_bytes())
                .unwrap();
            let mut content = Vec::new();
            let ended = uploads.accept().unwrap().0.read_to_end(&mut content);
            let answer = b"1 COVERAGE 1 5 0 0 1:ff\r\n1 DONE 0 : \"\"\r\n";
            say.write_all(answer).unwrap();
            lines.next();
            ended.is_ok()
        });
        let (exit, text) = client.run(address, &[], &[&file]);
        assert_eq!(exit, 2, "{}: {text}", client.name);
        assert!(!server.join().unwrap(), "{}: a reset", client.name);
    }
}

#[test]
fn an_answer_about_somebody_elses_content_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    std::fs::write(&mine, eicar()).unwrap();
    for client in clients() {
        let (address, server) = crate::client::robbed_server();
        let (exit, text) = client.run(address, &[], &[&mine]);
        assert_eq!(exit, 2, "{}: {text}", client.name);
        assert!(server.join().unwrap() > 0, "{}", client.name);
    }
}
