//! vfindc's half: paths to a server over SVSP, verdicts back.
//!
//! [`Session`] speaks the protocol without IO, [`run`] owns the socket, and a [`Watch`] (the [`print`] module's for
//! vfindc) takes what comes out.
#![forbid(unsafe_code)]

mod answer;
pub mod lines;
pub mod print;
pub mod session;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::lines::Lines;
use self::session::{Progress, Session};
use crate::verdict::{Exit, Record};

/// The port of SVSP.
const PORT: u16 = 8081;

/// The time in which a server must take the connection, and again the time in which it must greet: longer than any
/// busy machine needs, short enough for somebody who waits.
const OPENING: Duration = Duration::from_secs(10);

/// The time that a farewell may take. All answers are there; it is only politeness.
const FAREWELL: Duration = Duration::from_secs(1);

/// The address of a server: `HOST[:PORT]`, an IPv6 address with a port in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
}

/// No server can be made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST or HOST:PORT, with an IPv6 address as [ADDRESS]:PORT")]
pub struct NoAddress;

impl FromStr for Server {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (host, port) = match text.rsplit_once(':') {
            // Several colons without brackets are an IPv6 address.
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
                (host, port.parse().map_err(|_| NoAddress)?)
            }
            _ => (text, PORT),
        };
        let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = inside.unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']']) {
            return Err(NoAddress);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Takes what comes out of a session.
pub trait Watch {
    /// A request has its answer. An error ends the session.
    fn record(&mut self, record: &Record) -> io::Result<()>;

    /// Something that the user should know and no record says.
    fn warning(&mut self, text: &str);

    /// The requests have come this far.
    fn progress(&mut self, progress: Progress);
}

/// Why there are no answers, or nobody to take them.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody takes the connection.
    #[error("no server at {0}: {1}")]
    NoServer(Server, String),
    /// Somebody took it, and wants no requests.
    #[error("the server at {0} takes no requests: {1}")]
    Refused(Server, String),
    /// This machine's own trouble; mostly, that the output cannot be written.
    #[error("{0}")]
    Local(#[from] io::Error),
}

impl Failure {
    /// How the program is to end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoServer(..) | Self::Refused(..) => Exit::NoServer,
            Self::Local(_) => Exit::Error,
        }
    }

    /// True when whoever read the output has gone; nobody wants to read about it.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Local(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Has a server scan these absolute paths of its machine. Each gets exactly one record.
pub async fn run(
    server: &Server,
    paths: Vec<Vec<u8>>,
    watch: &mut dyn Watch,
) -> Result<Exit, Failure> {
    let mut stream = connect(server)
        .await
        .map_err(|error| Failure::NoServer(server.clone(), in_words(&error)))?;
    let mut session = Session::new(paths);
    converse(&mut stream, &mut session, watch).await?;
    if let Some(why) = session.refusal() {
        return Err(Failure::Refused(server.clone(), why.to_owned()));
    }
    // What becomes of the connection changes no answer.
    let _ = timeout(FAREWELL, farewell(&mut stream)).await;
    Ok(session.exit())
}

async fn connect(server: &Server) -> io::Result<TcpStream> {
    let address = (server.host.as_str(), server.port);
    let stream = timeout(OPENING, TcpStream::connect(address)).await??;
    // A folder can take hours of silence; without this a host that vanished would be waited for forever.
    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
    Ok(stream)
}

/// Reads and writes side by side, so that a server that answers before it reads on cannot stand against us.
async fn converse(
    stream: &mut TcpStream,
    session: &mut Session,
    watch: &mut dyn Watch,
) -> io::Result<()> {
    let clock = Clock::start();
    let (mut from, mut to) = stream.split();
    let mut input = vec![0; 64 << 10];
    let mut lines = Lines::default();
    let mut unsent = Vec::new();
    let mut writable = true;
    let opening = tokio::time::sleep(OPENING);
    tokio::pin!(opening);
    while !session.is_over() {
        session.commands(clock.now_ms(), &mut unsent);
        tokio::select! {
            read = from.read(&mut input) => {
                let read = read.map(|length| input.get(..length).unwrap_or_default());
                receive(read, &mut lines, session, clock.now_ms());
            }
            written = to.write(&unsent), if writable && !unsent.is_empty() => match written {
                Ok(length) => drop(unsent.drain(..length)),
                // What the server said before it stopped listening is still to be read; then comes the end.
                Err(_) => writable = false,
            },
            () = &mut opening, if session.is_opening() => {
                session.lost("no answer in time", clock.now_ms());
            }
        }
        show(session, watch)?;
    }
    show(session, watch)
}

fn receive(read: io::Result<&[u8]>, lines: &mut Lines, session: &mut Session, now_ms: u64) {
    match read {
        Ok([]) => session.lost("closed by the server", now_ms),
        Ok(bytes) => lines.push(bytes),
        Err(error) => session.lost(&in_words(&error), now_ms),
    }
    loop {
        match lines.next_line() {
            Ok(Some(line)) => session.receive(&line, now_ms),
            Ok(None) => return,
            Err(error) => return session.lost(&error.to_string(), now_ms),
        }
    }
}

fn show(session: &mut Session, watch: &mut dyn Watch) -> io::Result<()> {
    for text in session.take_warnings() {
        watch.warning(&text);
    }
    while let Some(record) = session.next_record() {
        watch.record(&record)?;
    }
    watch.progress(session.progress());
    Ok(())
}

async fn farewell(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"QUIT\r\n").await?;
    let _ = stream.read(&mut [0; 64]).await?;
    Ok(())
}

/// The system's words without its number.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Wall time that never goes back.
struct Clock {
    unix: Duration,
    started: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            started: Instant::now(),
        }
    }

    fn now_ms(&self) -> u64 {
        let now = self.unix + self.started.elapsed();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
