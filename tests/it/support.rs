//! A daemon of one's own, somebody to talk to it, and content that is made by code.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use vfind::gateway::svsp::reply::{self, Reply};

/// No answer takes this long unless something hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `vfindd`, killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    /// All places where it listens, `address` the first of them.
    pub places: Vec<String>,
    log: mpsc::Receiver<String>,
}

impl Daemon {
    /// Starts one with these options, at a free port if they name no address.
    pub fn start(options: &[&str]) -> Self {
        Self::of(env!("CARGO_BIN_EXE_vfindd").as_ref(), options)
    }

    /// As [`Daemon::start`], with this for `RUST_LOG`.
    pub fn with_log(log: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfindd"));
        Self::by(command.env("RUST_LOG", log), options)
    }

    /// As [`Daemon::start`], of this program.
    pub fn of(program: &OsStr, options: &[&str]) -> Self {
        Self::by(Command::new(program).env_remove("RUST_LOG"), options)
    }

    fn by(command: &mut Command, options: &[&str]) -> Self {
        let is_placed = options.iter().any(|option| option.starts_with("--listen="));
        let mut child = command
            .args((!is_placed).then_some("--svsp-port=0"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    // Read on all the same: a full pipe would stop the daemon.
                }
            }
        });
        let mut daemon = Self {
            child,
            address: "127.0.0.1:0".parse().unwrap(),
            places: Vec::new(),
            log,
        };
        loop {
            let line = daemon.log_line("");
            if line.contains("signatures loaded") {
                break;
            }
            let place = line.split("address=").nth(1);
            daemon
                .places
                .extend(place.map(|place| place.trim().to_owned()));
        }
        daemon.address = daemon.places[0].parse().unwrap();
        daemon
    }

    /// Waits for a line of the log that holds `word`.
    pub fn log_line(&self, word: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .log
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if line.contains(word) {
                return line;
            }
        }
        panic!("the daemon never said '{word}'");
    }

    /// All lines of the log that have come so far.
    pub fn log_so_far(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the daemon to end and gives its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the daemon does not end");
    }

    /// Kilobytes of resident memory.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn connect(&self) -> Talk {
        let mut talk = self.connect_silently();
        assert_eq!(talk.line(), b"READY");
        talk
    }

    pub fn connect_silently(&self) -> Talk {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Talk {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    /// Runs a client program against this daemon.
    pub fn vfindc(&self, arguments: &[&std::ffi::OsStr]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vfindc"))
            .arg(format!("--server={}", self.address))
            .args(arguments)
            .output()
            .unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection, as over telnet.
pub struct Talk {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Talk {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// One line without its end; empty at the end of the connection.
    pub fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        while line
            .last()
            .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
        {
            line.pop();
        }
        line
    }

    /// One line as text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.line()).into_owned()
    }

    /// Lines up to and with the first that ends a request.
    pub fn answer(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended after {lines:?}");
            let (_, reply) = reply::parse(&line).unwrap_or_else(|| panic!("no reply: {line:?}"));
            lines.push(String::from_utf8_lossy(&line).into_owned());
            if matches!(reply, Reply::Done(..) | Reply::Error(..)) {
                return lines;
            }
        }
    }

    /// Scans a path and gives the last line of the answer.
    pub fn scan(&mut self, path: &Path) -> String {
        use std::os::unix::ffi::OsStrExt;
        let mut command = b"SCAN/FILE ".to_vec();
        command.extend_from_slice(path.as_os_str().as_bytes());
        command.push(b'\n');
        self.send(command);
        self.answer().pop().unwrap()
    }

    /// What is left until the other side closes.
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        rest
    }
}

/// Tells whether all these programs are there. Without them a test says that it is skipped, unless
/// VFIND_REQUIRE_TOOLS=1 makes that a failure.
pub fn has_tools(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_missing =
        |tool: &&&str| !std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
    let missing: Vec<_> = tools.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(!tools_are_required(), "{missing:?} must be installed");
    println!("skipped: {missing:?} not found");
    false
}

/// Tells whether this is Debian with all the programs that `.ci/run` installs, so that no test may be skipped.
pub fn tools_are_required() -> bool {
    std::env::var("VFIND_REQUIRE_TOOLS").is_ok_and(|value| value == "1")
}

/// The EICAR test string, which no file of this project holds in plain text: not the program of the tests either, whose
/// optimiser would join the halves.
pub fn eicar() -> Vec<u8> {
    // The second first: constants lie behind each other in the program.
    let [second, first] = std::hint::black_box([
        "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
        "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR",
    ]);
    [first, second].concat().into_bytes()
}

/// Names that break what takes names lightly.
pub fn odd_names() -> Vec<Vec<u8>> {
    [
        &b"plain"[..],
        b"with space",
        b" leading and trailing ",
        b"quote\"quote",
        b"back\\slash",
        b"back\\nslash-n",
        b"new\nline",
        b"carriage\rreturn",
        b"arrow\" -> \"arrow",
        b"colon : colon",
        b"tab\tand\x01control\x7f",
        b"not utf-8 \xff\xfe",
        "snow\u{2603}man".as_bytes(),
        b"-dash",
        b"*",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// A path inside `folder` from bytes.
pub fn at(folder: &Path, name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    folder.join(std::ffi::OsStr::from_bytes(name))
}

/// A zip archive with these members, deflated.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(zip::CompressionMethod::Deflated, members)
}

/// A zip archive with these members as they are.
pub fn stored_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_by(zip::CompressionMethod::Stored, members)
}

fn zip_by(method: zip::CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, content) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar archive with these members.
pub fn tar(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// One gzip member.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that look random, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}

/// Runs a program with this on its standard input.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Beside it, for a program may write before it has read all; one that has had enough does not read to the end.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

/// What it printed.
pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it said about itself.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
