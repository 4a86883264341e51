//! vfindc's half: paths to a server over SVSP, verdicts back.
//!
//! [`Session`] speaks the protocol without IO, [`run`] owns the socket, and a [`Watch`] (the [`mod@print`] module's for
//! vfindc) takes what comes out.
#![forbid(unsafe_code)]

mod answer;
pub mod lines;
pub mod print;
pub mod progress;
pub mod quarantine;
pub mod session;
mod utc;

use std::fmt;
use std::fs::File;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::lines::Lines;
use self::progress::Progress;
use self::session::Session;
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
    /// A request has its answer. `file` is what was scanned, where this program opened it itself. An error ends the
    /// session.
    fn record(&mut self, record: &Record, file: Option<&File>) -> io::Result<()>;

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
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &mut Session,
    watch: &mut dyn Watch,
) -> io::Result<()> {
    let clock = Clock::start();
    let (mut from, mut to) = tokio::io::split(stream);
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
        watch.record(&record, None)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream as Peer};
    use std::thread;
    use tokio::io::AsyncBufReadExt;

    #[derive(Default)]
    struct Seen {
        records: Vec<Record>,
        warnings: Vec<String>,
        progress: Progress,
        full: bool,
    }

    impl Watch for Seen {
        fn record(&mut self, record: &Record, _: Option<&File>) -> io::Result<()> {
            if self.full {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.records.push(record.clone());
            Ok(())
        }

        fn warning(&mut self, text: &str) {
            self.warnings.push(text.to_owned());
        }

        fn progress(&mut self, progress: Progress) {
            self.progress = progress;
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async { timeout(Duration::from_secs(60), future).await })
            .expect("no deadlock")
    }

    /// Asks a server that behaves like `play` for these paths.
    fn ask(
        paths: &[&str],
        seen: &mut Seen,
        play: impl FnOnce(BufReader<Peer>) + Send + 'static,
    ) -> Result<Exit, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string().parse().unwrap();
        let playing = thread::spawn(move || play(BufReader::new(listener.accept().unwrap().0)));
        let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let result = block_on(run(&server, paths, seen));
        playing.join().unwrap();
        result
    }

    fn say(peer: &mut BufReader<Peer>, text: &str) {
        peer.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn hear(peer: &mut BufReader<Peer>, line: &str) {
        let mut heard = String::new();
        peer.read_line(&mut heard).unwrap();
        assert_eq!(heard.trim_end(), line);
    }

    #[test]
    fn a_conversation_from_ready_to_quit() {
        let mut seen = Seen::default();
        let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
            say(&mut peer, "READY\r\n");
            hear(&mut peer, "ENABLE COVERAGE");
            say(&mut peer, "OK test signatures only\r\n");
            hear(&mut peer, "1 SCAN/FILE /a");
            hear(&mut peer, "2 SCAN/FILE /b");
            say(&mut peer, "1 QUEUED\r\n2 QUEUED\r\n2 SCANNING \"/b\"\r\n");
            say(&mut peer, "2 INFECTED CVDL x : \"/b\" : end at 1\r\n");
            say(
                &mut peer,
                "2 COVERAGE 1 9 0 0 1:ff\r\n2 DONE 1 : \"/b\"\r\n",
            );
            say(
                &mut peer,
                "1 COVERAGE 1 9 0 0 1:ff\r\n1 DONE 0 : \"/a\"\r\n",
            );
            hear(&mut peer, "QUIT");
            say(&mut peer, "OK\r\n");
            hear(&mut peer, "");
        });
        assert_eq!(exit.unwrap(), Exit::Infected);
        let verdicts: Vec<_> = seen.records.iter().map(|r| r.verdict).collect();
        assert_eq!(verdicts, [Verdict::Infected, Verdict::Clean]);
        assert_eq!(seen.warnings, ["the server has test signatures only"]);
        assert_eq!((seen.progress.done, seen.progress.objects), (2, 1));
    }

    #[test]
    fn an_old_server_is_good_enough() {
        let mut seen = Seen::default();
        let exit = ask(&["/a"], &mut seen, |mut peer| {
            say(&mut peer, "READY\n");
            hear(&mut peer, "ENABLE COVERAGE");
            say(&mut peer, "EINVAL Unknown option: COVERAGE\n");
            hear(&mut peer, "1 SCAN/FILE /a");
            say(&mut peer, "1 SCANNING \"/a\"\n1 DONE : \"/a\"\n");
            hear(&mut peer, "QUIT");
        });
        assert_eq!(exit.unwrap(), Exit::Clean);
        assert_eq!(seen.records[0].coverage, None);
    }

    #[test]
    fn a_server_that_vanishes_is_no_clean_one() {
        let mut seen = Seen::default();
        let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
            say(&mut peer, "READY\r\n");
            hear(&mut peer, "ENABLE COVERAGE");
            say(&mut peer, "OK\r\n");
            hear(&mut peer, "1 SCAN/FILE /a");
            hear(&mut peer, "2 SCAN/FILE /b");
            // Without its line end the second one may have been anything.
            say(&mut peer, "1 DONE 0 : \"/a\"\r\n2 DONE 0 : \"/b\"");
        });
        assert_eq!(exit.unwrap(), Exit::NoServer);
        assert_eq!(seen.records[1].verdict, Verdict::Incomplete);
        assert_eq!(seen.warnings, ["connection lost: closed by the server"]);
    }

    #[test]
    fn a_flood_without_line_ends_is_a_lost_server() {
        let mut seen = Seen::default();
        let exit = ask(&["/a"], &mut seen, |mut peer| {
            say(&mut peer, "READY\r\n");
            hear(&mut peer, "ENABLE COVERAGE");
            say(&mut peer, "OK\r\n");
            let flood = vec![b'x'; lines::LINE_LIMIT + 100_000];
            // The client may close before it has read all.
            let _ = peer.get_mut().write_all(&flood);
        });
        assert_eq!(exit.unwrap(), Exit::NoServer);
        assert_eq!(seen.records[0].verdict, Verdict::Incomplete);
    }

    #[test]
    fn a_denied_client_says_by_whom_and_why() {
        let mut seen = Seen::default();
        let failure = ask(&["/a"], &mut seen, |mut peer| {
            say(&mut peer, "DENIED not from here\r\n");
        })
        .unwrap_err();
        assert_eq!(failure.exit(), Exit::NoServer);
        let text = failure.to_string();
        assert!(text.starts_with("the server at 127.0.0.1:"), "{text}");
        assert!(text.ends_with("DENIED not from here"), "{text}");
    }

    #[test]
    fn no_server_is_one_clear_line() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let server = address.to_string().parse().unwrap();
        let failure = block_on(run(&server, vec![b"/a".to_vec()], &mut Seen::default()));
        let failure = failure.unwrap_err();
        assert_eq!(failure.exit(), Exit::NoServer);
        assert_eq!(
            failure.to_string(),
            format!("no server at {address}: Connection refused")
        );
    }

    #[test]
    fn output_that_nobody_reads_ends_it_quietly_but_not_clean() {
        let mut seen = Seen {
            full: true,
            ..Seen::default()
        };
        let failure = ask(&["/a"], &mut seen, |mut peer| {
            say(&mut peer, "READY\r\n");
            hear(&mut peer, "ENABLE COVERAGE");
            say(&mut peer, "OK\r\n");
            hear(&mut peer, "1 SCAN/FILE /a");
            say(&mut peer, "1 DONE 0 : \"/a\"\r\n");
        })
        .unwrap_err();
        assert!(failure.is_closed_output());
        assert_eq!(failure.exit(), Exit::Error);
    }

    /// The pipe holds less than a line of either side: only a client that reads while it writes gets on.
    #[test]
    fn a_server_that_reads_late_and_says_much_does_not_stop_us() {
        const REQUESTS: usize = 100;
        let paths = vec![format!("/{}", "a".repeat(5000)).into_bytes(); REQUESTS];
        let (mut ours, theirs) = tokio::io::duplex(1000);
        let server = async move {
            let mut peer = tokio::io::BufReader::new(theirs);
            let mut command = String::new();
            peer.write_all(b"READY\r\n").await.unwrap();
            peer.read_line(&mut command).await.unwrap();
            peer.write_all(b"OK\r\n").await.unwrap();
            for id in 1..=REQUESTS {
                // Each answer is out before its request is read to the end.
                assert_eq!(peer.read_u8().await.unwrap(), id.to_string().as_bytes()[0]);
                let noise = format!("{id} SCANNING \"/{}\"\r\n", "n".repeat(50_000));
                peer.write_all(noise.as_bytes()).await.unwrap();
                peer.read_line(&mut command).await.unwrap();
                let path = format!("/{}", "a".repeat(5000));
                let done = format!("{id} COVERAGE 1 1 0 0 1:0\r\n{id} DONE 0 : \"{path}\"\r\n");
                peer.write_all(done.as_bytes()).await.unwrap();
            }
            peer
        };
        let mut session = Session::new(paths);
        let mut seen = Seen::default();
        let (result, _) =
            block_on(async { tokio::join!(converse(&mut ours, &mut session, &mut seen), server) });
        result.unwrap();
        assert_eq!(session.exit(), Exit::Clean);
        assert_eq!(seen.records.len(), REQUESTS);
        assert_eq!(seen.progress.objects, REQUESTS as u64);
        assert!(seen.warnings.is_empty());
    }

    #[test]
    fn addresses_of_every_kind() {
        let rows = [
            ("host", "host:8081"),
            ("host:1", "host:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("::1", "[::1]:8081"),
            ("[::1]", "[::1]:8081"),
            ("[fe80::1]:99", "[fe80::1]:99"),
        ];
        for (text, shown) in rows {
            let server = text.parse::<Server>().map(|server| server.to_string());
            assert_eq!(server.as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            ":1",
            "host:",
            "host:x",
            "host:70000",
            "[]:1",
            "[::1",
            "[::1]x",
        ] {
            assert_eq!(text.parse::<Server>(), Err(NoAddress), "{text}");
        }
    }
}
