//! Requests per second and latencies of SVSP: `cargo bench --bench svsp`, or `… -- 5` for five seconds a row.
//!
//! Each row is a number of connections that each ask for a file of 4 KiB, read the answer to its end, and ask again. The
//! limit beside it is a server in this very program that answers the same bytes with the same bytes and does nothing
//! else, measured right before: what sockets and scheduling allow on this machine at this moment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const LENGTH: usize = 4096;

/// How content gets to the server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Data,
    File,
    Request,
}

struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start(isolation: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vfindd"))
            .args(["--svsp-port=0", "--verdict-cache=0", isolation])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, text)) = line.split_once("address=") {
                address = text.trim().parse().ok();
            }
            if line.contains("signatures loaded") {
                break;
            }
        }
        std::thread::spawn(move || lines.map_while(Result::ok).count());
        let address = address.expect("it listens");
        Self { child, address }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Talk {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    line: String,
}

impl Talk {
    fn new(address: SocketAddr) -> Self {
        let writer = TcpStream::connect(address).expect("a connection");
        writer.set_nodelay(true).expect("a socket");
        let reader = BufReader::with_capacity(1024, writer.try_clone().expect("a socket"));
        let line = String::new();
        let mut talk = Self {
            reader,
            writer,
            line,
        };
        assert_eq!(talk.line().trim_end(), "READY");
        talk
    }

    fn line(&mut self) -> &str {
        self.line.clear();
        let read = self.reader.read_line(&mut self.line).expect("a reply");
        assert!(read > 0, "the server closed");
        &self.line
    }

    fn ask(&mut self, way: Way, path: &str, content: &[u8]) {
        let mut wire = match way {
            Way::Data => format!("1 SCAN/DATA {LENGTH}\r\n").into_bytes(),
            Way::File => format!("1 SCAN/FILE {path}\r\n").into_bytes(),
            Way::Request => b"1 SCAN/REQUEST\r\n".to_vec(),
        };
        if way == Way::Data {
            wire.extend_from_slice(content);
        }
        self.writer.write_all(&wire).expect("a server that reads");
        if way == Way::Request {
            self.upload(content);
        }
    }

    fn upload(&mut self, content: &[u8]) {
        let mut address = self.writer.peer_addr().expect("a peer");
        loop {
            if let Some((_, port)) = self.line().trim_end().split_once("SEND ") {
                address.set_port(port.parse().expect("a port"));
                break;
            }
        }
        let mut data = TcpStream::connect(address).expect("a data connection");
        data.write_all(content).expect("a server that reads");
    }

    fn finish(&mut self) {
        while !self.line().starts_with("1 DONE 0 ") {
            assert!(!self.line.starts_with("1 E"), "{}", self.line);
        }
    }
}

/// Latencies in seconds, and the time that all took.
struct Row {
    latencies: Vec<f64>,
    seconds: f64,
}

impl Row {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        self.latencies[at] * 1000.0
    }
}

fn measure(
    address: SocketAddr,
    connections: usize,
    seconds: f64,
    ask: impl Fn(&mut Talk) + Sync,
) -> Row {
    let start = Barrier::new(connections);
    let length = Duration::from_secs_f64(seconds);
    let began = Instant::now();
    let mut latencies: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let mut talk = Talk::new(address);
                    ask(&mut talk);
                    start.wait();
                    let (mut latencies, begun) = (Vec::new(), Instant::now());
                    while begun.elapsed() < length {
                        let asked = Instant::now();
                        ask(&mut talk);
                        latencies.push(asked.elapsed().as_secs_f64());
                    }
                    latencies
                })
            })
            .collect();
        let all = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        all.flatten().collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    Row { latencies, seconds }
}

/// One connection that has up to 200 requests on their way at all times.
fn pipelined(address: SocketAddr, requests: usize, path: &str) -> f64 {
    let mut talk = Talk::new(address);
    let mut writer = talk.writer.try_clone().expect("a socket");
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut wire = Vec::new();
            for number in 0..requests {
                wire.extend_from_slice(format!("{number} SCAN/FILE {path}\r\n").as_bytes());
            }
            writer.write_all(&wire).expect("a server that reads");
        });
        let mut ended = 0;
        while ended < requests {
            ended += usize::from(talk.line().contains(" DONE 0 "));
        }
    });
    requests as f64 / began.elapsed().as_secs_f64()
}

/// As many connections that only wait as the limit of open files allows, 10,000 at most.
fn idle(address: SocketAddr) -> Vec<Talk> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    // Each takes two descriptors here.
    let most = maximum.map_or(10_000, |most| (most / 2).saturating_sub(500).min(10_000));
    (0..most).map(|_| Talk::new(address)).collect()
}

/// Answers each `LENGTH` bytes behind a line with what a scan of them is answered with.
fn limit() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"READY\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut content) = (String::new(), vec![0; LENGTH]);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        reader.read_exact(&mut content)?;
        stream.write_all(b"1 QUEUED\r\n1 SEND\r\n1 SCANNING \"\"\r\n1 DONE 0 : \"\"\r\n")?;
    }
}

fn main() {
    let numbers = std::env::args().filter_map(|argument| argument.parse::<f64>().ok());
    let seconds = numbers.max_by(f64::total_cmp).unwrap_or(3.0);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small").display().to_string();
    let content: Vec<u8> = (0..LENGTH).map(|at| b"abcdefgh \n"[at % 10]).collect();
    std::fs::write(&path, &content).expect("a file");
    let limit = limit();
    println!(
        "| workers | way | connections | requests/s | p50 ms | p99 ms | limit, requests/s | of the limit |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for isolation in ["thread", "process"] {
        let daemon = Daemon::start(&format!("--isolation={isolation}"));
        for (way, name) in [
            (Way::File, "FILE"),
            (Way::Data, "DATA"),
            (Way::Request, "REQUEST"),
        ] {
            for connections in [1, 8, 64, 256] {
                let most = measure(limit, connections, seconds / 3.0, |talk| {
                    talk.ask(Way::Data, "", &content);
                    talk.finish();
                });
                let row = measure(daemon.address, connections, seconds, |talk| {
                    talk.ask(way, &path, &content);
                    talk.finish();
                });
                println!(
                    "| {isolation} | {name} | {connections} | {:.0} | {:.2} | {:.2} | {:.0} | {:.2} |",
                    row.rate(),
                    row.percentile(50),
                    row.percentile(99),
                    most.rate(),
                    row.rate() / most.rate(),
                );
            }
        }
        let idle = idle(daemon.address);
        let row = measure(daemon.address, 8, seconds, |talk| {
            talk.ask(Way::File, &path, &content);
            talk.finish();
        });
        println!(
            "| {isolation} | FILE, {} more idle | 8 | {:.0} | {:.2} | {:.2} | | |",
            idle.len(),
            row.rate(),
            row.percentile(50),
            row.percentile(99),
        );
        drop(idle);
        let rate = pipelined(daemon.address, (20_000.0 * seconds) as usize, &path);
        println!("| {isolation} | FILE, pipelined | 1 | {rate:.0} | | | | |");
    }
}
