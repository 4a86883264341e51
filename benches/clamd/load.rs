//! Many scans of small contents over some connections, by each way that a daemon has: rates and latencies.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream as BlockingTcp};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as BlockingUnix;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{LocalSet, spawn_local};

/// Two kinds of a conversation, and where it is held.
#[derive(Clone)]
pub(crate) enum Server {
    Clamd(PathBuf),
    Svsp(SocketAddr),
}

/// How content gets to the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// Behind the command: INSTREAM, SCAN/DATA.
    Content,
    /// By its name: SCAN, SCAN/FILE.
    Name,
    /// As an open file.
    Descriptor,
}

/// What is scanned again and again.
pub(crate) struct Sample {
    pub(crate) content: Vec<u8>,
    pub(crate) path: PathBuf,
}

/// What the connections of a row share.
pub(crate) struct Load {
    pub(crate) server: Server,
    pub(crate) way: Way,
    pub(crate) connections: usize,
    /// Requests that a connection has on their way; none for a connection each.
    pub(crate) window: Option<usize>,
    pub(crate) samples: Rc<[Sample]>,
}

/// Requests in a second, and what 99 of 100 take no longer than, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) each_second: f64,
    pub(crate) p99: f64,
}

impl Load {
    /// Asks until the time is over, and reads all answers.
    pub(crate) fn run(self, length: Duration) -> Rate {
        let begun = Instant::now();
        let run = Rc::new(Run {
            connections: self.connections,
            load: self,
            next: Cell::new(0),
            end: begun + length,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let mut latencies = LocalSet::new().block_on(&runtime.unwrap(), async {
            let clients = (0..run.connections).map(|_| spawn_local(Rc::clone(&run).client()));
            let mut latencies = Vec::new();
            for client in clients.collect::<Vec<_>>() {
                latencies.extend(client.await.unwrap());
            }
            latencies
        });
        let seconds = begun.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Rate {
            each_second: latencies.len() as f64 / seconds,
            p99: latencies[latencies.len() * 99 / 100] * 1000.0,
        }
    }
}

struct Run {
    load: Load,
    connections: usize,
    next: Cell<usize>,
    end: Instant,
}

impl Run {
    /// How long each request took, in seconds: from before it is sent, with connecting, to its whole answer.
    async fn client(self: Rc<Self>) -> Vec<f64> {
        let mut latencies = Vec::new();
        if let Some(window) = self.load.window {
            let mut session = Session::open(&self.load.server, true).await;
            session.run(&self, window, &mut latencies).await;
            return latencies;
        }
        while Instant::now() < self.end {
            let asked = Instant::now();
            let mut session = Session::open(&self.load.server, false).await;
            session.ask(&self).await;
            session.flush(None).await;
            while session.answers(&mut |_| {}).await == 0 {}
            latencies.push(asked.elapsed().as_secs_f64());
        }
        latencies
    }

    fn sample(&self) -> &Sample {
        let at = self.next.get();
        self.next.set(at + 1);
        &self.load.samples[at % self.load.samples.len()]
    }
}

enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection and what is asked over it.
struct Session {
    wire: Wire,
    out: Vec<u8>,
    reply: Vec<u8>,
    number: u64,
    asked: HashMap<u64, Instant>,
}

impl Session {
    async fn open(server: &Server, kept: bool) -> Self {
        // They wait where the server's queue of connections is full, which a socket that does not block would not.
        let wire = match server {
            Server::Clamd(path) => {
                let stream = BlockingUnix::connect(path).unwrap();
                stream.set_nonblocking(true).unwrap();
                Wire::Unix(UnixStream::from_std(stream).unwrap())
            }
            Server::Svsp(address) => {
                let stream = BlockingTcp::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_nonblocking(true).unwrap();
                Wire::Tcp(TcpStream::from_std(stream).unwrap())
            }
        };
        let mut session = Self {
            wire,
            out: Vec::new(),
            reply: Vec::new(),
            number: 0,
            asked: HashMap::new(),
        };
        match &session.wire {
            Wire::Unix(_) if kept => session.out.extend_from_slice(b"zIDSESSION\0"),
            Wire::Unix(_) => {}
            Wire::Tcp(_) => {
                while session.reply.last() != Some(&b'\n') {
                    session.read().await;
                }
                assert_eq!(session.reply, b"READY\r\n");
                session.reply.clear();
            }
        }
        session
    }

    /// Keeps so many requests on their way until the end.
    async fn run(&mut self, run: &Run, window: usize, latencies: &mut Vec<f64>) {
        loop {
            while self.asked.len() < window && Instant::now() < run.end {
                self.ask(run).await;
            }
            self.flush(None).await;
            if self.asked.is_empty() {
                return;
            }
            self.answers(&mut |seconds| latencies.push(seconds)).await;
        }
    }

    /// The next request; it is sent by the next flush.
    async fn ask(&mut self, run: &Run) {
        let sample = run.sample();
        self.number += 1;
        self.asked.insert(self.number, Instant::now());
        let number = self.number;
        let path = sample.path.display();
        match (&run.load.server, run.load.way) {
            (Server::Clamd(_), Way::Content) => {
                let length = u32::try_from(sample.content.len()).unwrap();
                self.out.extend_from_slice(b"zINSTREAM\0");
                self.out.extend_from_slice(&length.to_be_bytes());
                self.out.extend_from_slice(&sample.content);
                self.out.extend_from_slice(&[0; 4]);
            }
            (Server::Clamd(_), Way::Name) => {
                self.out
                    .extend_from_slice(format!("zSCAN {path}\0").as_bytes());
            }
            (Server::Clamd(_), Way::Descriptor) => {
                self.out.extend_from_slice(b"zFILDES\0");
                self.flush(None).await;
                self.out.push(0);
                let file = File::open(&sample.path).unwrap();
                self.flush(Some(file)).await;
            }
            (Server::Svsp(_), Way::Content) => {
                let length = sample.content.len();
                let command = format!("{number} SCAN/DATA {length}\r\n");
                self.out.extend_from_slice(command.as_bytes());
                self.out.extend_from_slice(&sample.content);
            }
            (Server::Svsp(_), Way::Name) => {
                let command = format!("{number} SCAN/FILE {path}\r\n");
                self.out.extend_from_slice(command.as_bytes());
            }
            (Server::Svsp(_), Way::Descriptor) => unreachable!("SVSP has no such way"),
        }
    }

    /// Sends what was asked; with a file, which goes with the first byte.
    async fn flush(&mut self, file: Option<File>) {
        match (&mut self.wire, file) {
            (Wire::Unix(stream), Some(file)) => {
                let send = || pass(stream, &self.out, &file);
                stream.async_io(Interest::WRITABLE, send).await.unwrap();
            }
            (Wire::Unix(stream), None) => stream.write_all(&self.out).await.unwrap(),
            (Wire::Tcp(stream), _) => stream.write_all(&self.out).await.unwrap(),
        }
        self.out.clear();
    }

    async fn read(&mut self) {
        let read = match &mut self.wire {
            Wire::Unix(stream) => stream.read_buf(&mut self.reply).await,
            Wire::Tcp(stream) => stream.read_buf(&mut self.reply).await,
        };
        assert!(read.unwrap() > 0, "the server closed");
    }

    /// Reads once; tells how long each request took that is answered by then, and gives their number.
    async fn answers(&mut self, took: &mut dyn FnMut(f64)) -> usize {
        self.read().await;
        let end = match self.wire {
            Wire::Unix(_) => 0,
            Wire::Tcp(_) => b'\n',
        };
        let Some(last) = self.reply.iter().rposition(|byte| *byte == end) else {
            return 0;
        };
        let mut answered = 0;
        for line in self.reply[..last].split(|byte| *byte == end) {
            let line = String::from_utf8_lossy(line);
            if let Some(number) = answer(&line, end == 0) {
                let asked = self.asked.remove(&number).expect("it was asked");
                took(asked.elapsed().as_secs_f64());
                answered += 1;
            }
        }
        self.reply.drain(..=last);
        answered
    }
}

/// The number of the request whose answer ends with this line. One without a number is the only one.
fn answer(line: &str, clamd: bool) -> Option<u64> {
    if clamd {
        assert!(line.ends_with(": OK") || line.ends_with(" FOUND"), "{line}");
        let number = line.split_once(':').map(|(number, _)| number.parse());
        return Some(number.and_then(Result::ok).unwrap_or(1));
    }
    let (number, rest) = line.split_once(' ').expect("a number");
    assert!(!rest.starts_with('E'), "{line}");
    rest.starts_with("DONE ").then(|| number.parse().unwrap())
}

fn pass(stream: &UnixStream, bytes: &[u8], file: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    let bytes = [IoSlice::new(bytes)];
    sendmsg(stream, &bytes, &mut control, SendFlags::empty())?;
    Ok(())
}
