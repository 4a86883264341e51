//! HTTP as its clients meet it. Every answer is held against the description that the daemon gives of itself.

mod access;
mod client;
mod jobs;
mod limits;
mod scans;
mod schema;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::support::{Daemon, PATIENCE, run, said};
use schema::Description;

/// A daemon that speaks HTTP.
pub struct Web {
    pub daemon: Daemon,
    pub address: String,
    description: Description,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let at = at.unwrap_or_else(|| panic!("no reply: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let reply = Self {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[at + 4..].to_vec(),
        };
        if let Some(length) = reply.header("content-length") {
            assert_eq!(length, reply.body.len().to_string(), "it is not whole");
        }
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Web {
    pub fn start(options: &[&str]) -> Self {
        let daemon = Daemon::start(&[&["--http-port=0", "--threads=2"], options].concat());
        let address = daemon.places[1].clone();
        let mut web = Self {
            daemon,
            address,
            description: Description(Value::Null),
        };
        let document = web.raw(&web.head("GET", "/openapi.json", &[]));
        web.description.0 = document.json();
        web.description.check("GET", "/openapi.json", &document);
        web
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The head of a request without a body, but for the empty line at its end.
    fn head(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut head = format!("{method} {target} HTTP/1.0\r\n");
        let has_host = headers.iter().any(|(name, _)| *name == "Host");
        let host = [("Host", self.address.as_str())];
        let host = if has_host { &[][..] } else { &host };
        for (name, value) in host.iter().chain(headers) {
            head += &format!("{name}: {value}\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    /// Sends bytes and reads to the end. A server that answers before it has read all may be gone then.
    fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Reply::parse(&answer)
    }

    /// One request, whose answer must be as it is described.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if !body.is_empty() || matches!(method, "POST" | "PUT") {
            all.push(("Content-Length", &length));
        }
        let mut request = self.head(method, target, &all);
        request.extend_from_slice(body);
        let reply = self.raw(&request);
        self.description.check(method, target, &reply);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply
    }

    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], b"")
    }

    pub fn post(&self, target: &str, body: &[u8]) -> Reply {
        self.ask("POST", target, &[], body)
    }

    /// A form with these files.
    pub fn form(&self, target: &str, files: &[(&str, &[u8])]) -> Reply {
        let kind = [("Content-Type", "multipart/form-data; boundary=b0undary")];
        self.ask("POST", target, &kind, &form(files))
    }
}

/// The body of a form with these files; a name in brackets is that of a field that is no file.
pub fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in files {
        let field = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let names = match field {
            Some(field) => format!("name=\"{field}\""),
            None => format!("name=\"file\"; filename=\"{name}\""),
        };
        body.extend_from_slice(
            format!("--b0undary\r\nContent-Disposition: form-data; {names}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b0undary--\r\n");
    body
}

/// Makes a token.
pub fn token(file: &Path, role: &str) -> String {
    let options = [
        format!("--new-token={role}"),
        format!("--token-file={}", file.display()),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = run(env!("CARGO_BIN_EXE_vfindd"), &options, b"");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until this holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Open descriptors of the daemon that hold content somebody sent.
pub fn uploads(daemon: &Daemon) -> usize {
    let folder = format!("/proc/{}/fd", daemon.pid());
    let links = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        Some(link.to_string_lossy().into_owned())
    });
    links
        .filter(|link| {
            link.contains("memfd:upload") || link.contains("/tmp") && link.contains("deleted")
        })
        .count()
}
