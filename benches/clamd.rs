//! INSTREAM of 4 KiB over clamd's protocol, our daemon and Debian's clamd in turn:
//! `VFIND_SET=FOLDER VFIND_FILES=FOLDER cargo bench --bench clamd`, or `… -- 5` for five seconds a row.
//!
//! The set holds signatures in ClamAV's formats; what is sent are the first 4 KiB of each of the files that has as many.
//! The daemons run side by side and are asked one after the other, so that all see the same noise: each figure is a
//! median of five, each ratio the median of those of each turn. clamd has its defaults, but no cache of what was clean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{LocalSet, spawn_local};

const LENGTH: usize = 4096;
const ROUNDS: usize = 5;
/// No daemon takes as long to load a set that is worth measuring.
const LONGEST: Duration = Duration::from_secs(120);

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok());
    let [set, files] = ["VFIND_SET", "VFIND_FILES"].map(|name| {
        PathBuf::from(std::env::var_os(name).expect("VFIND_SET and VFIND_FILES name folders"))
    });
    let scratch = tempfile::tempdir().unwrap();
    let contents = contents(&files);
    let servers = [
        Server::ours(&set, scratch.path(), "thread"),
        Server::ours(&set, scratch.path(), "process"),
        Server::clamd(&set, scratch.path()),
    ];
    println!("{} contents, load {}", contents.len(), load());
    println!(
        "| connections | sessions | workers | requests/s | clamd's | ratio | p99 ms | clamd's | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for kept in [false, true] {
        for connections in [1, 64, 256] {
            let length = Duration::from_secs_f64(seconds.unwrap_or(3.0));
            let turns = (0..ROUNDS).map(|_| {
                servers
                    .each_ref()
                    .map(|server| measure(server, connections, kept, length, &contents))
            });
            report(connections, kept, &turns.collect::<Vec<_>>());
        }
    }
    println!("load {}", load());
}

/// One line for each form of our workers.
fn report(connections: usize, kept: bool, turns: &[[Row; 3]]) {
    let kept = if kept { "kept" } else { "one each" };
    for (at, workers) in ["thread", "process"].into_iter().enumerate() {
        let figure = |of: &dyn Fn(&[Row; 3]) -> f64| median(turns.iter().map(of));
        println!(
            "| {connections} | {kept} | {workers} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
            figure(&|turn| turn[at].rate),
            figure(&|turn| turn[2].rate),
            figure(&|turn| turn[at].rate / turn[2].rate),
            figure(&|turn| turn[at].p99),
            figure(&|turn| turn[2].p99),
            figure(&|turn| turn[at].p99 / turn[2].p99),
        );
    }
}

/// Requests per second, and what 99 of 100 take no longer than, in milliseconds.
struct Row {
    rate: f64,
    p99: f64,
}

/// What the connections of a row share.
struct Load {
    socket: PathBuf,
    /// Sessions of many requests; else a connection is one.
    kept: bool,
    contents: Rc<[Vec<u8>]>,
    next: Cell<usize>,
    end: Instant,
}

impl Load {
    /// Sends a content, reads the answer, and goes on until the end: gives how long each took, with connecting, in seconds.
    async fn client(self: Rc<Self>) -> Vec<f64> {
        let mut session = None;
        let mut latencies = Vec::new();
        while Instant::now() < self.end {
            let content = &self.contents[self.next.get() % self.contents.len()];
            self.next.set(self.next.get() + 1);
            let asked = Instant::now();
            let begin = if self.kept { &b"zIDSESSION\0"[..] } else { b"" };
            let (mut stream, begin) = match session.take() {
                Some(stream) => (stream, &b""[..]),
                None => (connect(&self.socket), begin),
            };
            ask(&mut stream, begin, content).await;
            latencies.push(asked.elapsed().as_secs_f64());
            session = self.kept.then_some(stream);
        }
        latencies
    }
}

fn measure(
    server: &Server,
    connections: usize,
    kept: bool,
    length: Duration,
    contents: &Rc<[Vec<u8>]>,
) -> Row {
    let began = Instant::now();
    let load = Rc::new(Load {
        socket: server.socket.clone(),
        kept,
        contents: Rc::clone(contents),
        next: Cell::new(0),
        end: began + length,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let mut latencies = LocalSet::new().block_on(&runtime.unwrap(), async {
        let clients = (0..connections).map(|_| spawn_local(Rc::clone(&load).client()));
        let mut latencies = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            latencies.extend(client.await.unwrap());
        }
        latencies
    });
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    Row {
        rate: latencies.len() as f64 / seconds,
        p99: latencies[latencies.len() * 99 / 100] * 1000.0,
    }
}

/// Waits where the server's queue of connections is full, which a socket that does not block would not.
fn connect(socket: &Path) -> UnixStream {
    let stream = Blocking::connect(socket).unwrap();
    stream.set_nonblocking(true).unwrap();
    UnixStream::from_std(stream).unwrap()
}

async fn ask(stream: &mut UnixStream, begin: &[u8], content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let wire = [begin, b"zINSTREAM\0", &length, content, &[0; 4]].concat();
    stream.write_all(&wire).await.unwrap();
    let mut reply = Vec::new();
    while reply.last() != Some(&0) {
        assert!(
            stream.read_buf(&mut reply).await.unwrap() > 0,
            "the server closed"
        );
    }
    assert!(
        reply.ends_with(b"stream: OK\0"),
        "{}",
        String::from_utf8_lossy(&reply)
    );
}

/// A daemon, killed when dropped.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(command: &mut Command, socket: PathBuf) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("the daemon starts");
        let server = Self { child, socket };
        let end = Instant::now() + LONGEST;
        while !server.is_ready() {
            assert!(Instant::now() < end, "{:?} does not answer", server.socket);
            thread::sleep(Duration::from_millis(100));
        }
        server
    }

    fn ours(set: &Path, scratch: &Path, isolation: &str) -> Self {
        let socket = scratch.join(isolation);
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfindd"));
        command.args(["--svsp-port=0", &format!("--isolation={isolation}")]);
        command.arg(format!("--database={}", set.display()));
        command.arg(format!("--vfdclam-socket={}", socket.display()));
        Self::start(&mut command, socket)
    }

    fn clamd(set: &Path, scratch: &Path) -> Self {
        let (socket, configuration) = (scratch.join("clamd"), scratch.join("clamd.conf"));
        let text = format!(
            "Foreground yes\nDatabaseDirectory {}\nLocalSocket {}\nDisableCache yes\nSelfCheck 0\n",
            set.display(),
            socket.display()
        );
        fs::write(&configuration, text).unwrap();
        Self::start(Command::new("clamd").arg("-c").arg(configuration), socket)
    }

    fn is_ready(&self) -> bool {
        let pong = || -> std::io::Result<String> {
            let mut stream = Blocking::connect(&self.socket)?;
            stream.write_all(b"zPING\0")?;
            std::io::read_to_string(stream)
        };
        pong().is_ok_and(|reply| reply == "PONG\0")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first [`LENGTH`] bytes of each file below a folder that has as many.
fn contents(folder: &Path) -> Rc<[Vec<u8>]> {
    let mut folders = vec![folder.to_owned()];
    let mut contents = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut content = fs::read(path).unwrap();
            if content.len() >= LENGTH {
                content.truncate(LENGTH);
                contents.push(content);
            }
        }
    }
    contents.into()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processes that want a processor: the averages of 1, 5 and 15 minutes.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}
