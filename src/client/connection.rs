//! One connection to a server: the socket, the clock and the uploads around a [`Session`].
//!
//! It takes jobs from a queue and tells what comes of them; who owns several connections, or hands out futures, is not
//! known here.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::clock::Clock;
use super::lines::Lines;
use super::server::Server;
use super::session::{Broken, Ended, Event, Refusal, Session};
use super::settings::Settings;
use super::upload::upload;
use super::work::Work;
use super::{OPENING, in_words, web};
use crate::stop::Cancel;
use crate::verdict::Record;

/// The time that a farewell may take. All answers are there; it is only politeness.
const FAREWELL: Duration = Duration::from_secs(1);

/// Silence after which the system asks a peer whether its host is still there, and how often after that.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Objects that the server began.
    Begun(u64),
    /// The last word.
    Closed(Closed),
    /// A request has its answer.
    Ended(Ended),
    /// Requests are answered from now on.
    Opened { test_signatures_only: bool },
    /// So many more jobs may be handed over.
    Slots(usize),
    /// Something that the user should know.
    Warning(String),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Closed {
    /// Why.
    pub(super) why: Why,
    /// What was asked and not answered, as far as it is known.
    pub(super) open: Vec<(u64, Record)>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It was open, and is no more.
    Lost(String),
    /// Nobody takes it.
    NoServer(String),
    /// A server that does not take an option.
    Option(String),
    /// Nothing more was to be asked.
    Quit,
    /// Somebody took it, and wants no requests.
    Refused(String),
}

/// Where a connection tells: a queue, and the number under which it is known there.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    pub(super) number: usize,
    pub(super) queue: mpsc::Sender<(usize, Told)>,
}

impl Ear {
    /// Waits while the listener is busy. One that is gone hears nothing.
    pub(super) async fn tell(&self, told: Told) {
        let _ = self.queue.send((self.number, told)).await;
    }
}

/// Connects, converses until `jobs` has no more senders and all is answered, and tells how it ended.
pub(super) async fn run(
    server: Server,
    settings: Settings,
    jobs: mpsc::UnboundedReceiver<Work>,
    ear: Ear,
) {
    if server.is_web() {
        return web::run(server, settings, jobs, ear).await;
    }
    let closed = match connect(&server, settings.timeout).await {
        Ok((stream, peer)) => {
            Conversation::new(settings, jobs, ear.clone(), peer)
                .hold(stream)
                .await
        }
        Err(error) => Closed {
            why: Why::NoServer(in_words(&error)),
            open: Vec::new(),
        },
    };
    ear.tell(Told::Closed(closed)).await;
}

/// Opens a connection and gives the address at which the server was reached.
pub(super) async fn connect(
    server: &Server,
    patience: Duration,
) -> io::Result<(TcpStream, IpAddr)> {
    let stream = timeout(OPENING.min(patience), TcpStream::connect(server.address())).await??;
    // A folder can take hours of silence; without this a host that vanished would be waited for forever.
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?.ip();
    Ok((stream, peer))
}

/// A conversation over any pair of pipes.
pub(super) struct Conversation {
    session: Session,
    settings: Settings,
    jobs: Option<mpsc::UnboundedReceiver<Work>>,
    ear: Ear,
    /// Where contents are sent: the address of the server, whatever it says.
    peer: IpAddr,
    clock: Clock,
    /// Contents that the server has not asked for yet, or is getting.
    contents: HashMap<u64, Content>,
    uploads: JoinSet<(u64, Result<Option<String>, Broken>)>,
    /// Jobs that may come, and have not.
    granted: usize,
    started: Instant,
    silence: Silence,
}

struct Content {
    file: Arc<File>,
    size: u64,
    cancel: Cancel,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// How long the server has said nothing.
struct Silence {
    since: Instant,
    probed: bool,
}

impl Conversation {
    /// A conversation with the server at `peer`.
    pub(super) fn new(
        settings: Settings,
        jobs: mpsc::UnboundedReceiver<Work>,
        ear: Ear,
        peer: IpAddr,
    ) -> Self {
        Self {
            session: Session::new(settings.options.clone(), settings.window),
            settings,
            jobs: Some(jobs),
            ear,
            peer,
            clock: Clock::start(),
            contents: HashMap::new(),
            uploads: JoinSet::new(),
            granted: 0,
            started: Instant::now(),
            silence: Silence {
                since: Instant::now(),
                probed: false,
            },
        }
    }

    /// Converses to the end.
    pub(super) async fn hold(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Closed {
        let (mut from, mut to) = tokio::io::split(stream);
        let lost = self.converse(&mut from, &mut to).await.err();
        // Uploads in their threads see it at their next step.
        self.contents.clear();
        // What was answered before the line that ended it is answered.
        self.tell().await;
        if lost.is_none() && self.session.refusal().is_none() {
            let _ = timeout(FAREWELL, farewell(&mut from, &mut to)).await;
            return Closed {
                why: Why::Quit,
                open: Vec::new(),
            };
        }
        let lost = lost.unwrap_or_default();
        let open = self.session.lost(&lost, self.clock.now_ms());
        let why = match self.session.refusal() {
            Some(Refusal::Server(why)) => Why::Refused(why.clone()),
            Some(Refusal::Option(why)) => Why::Option(why.clone()),
            None => Why::Lost(lost),
        };
        Closed { why, open }
    }

    /// Reads and writes side by side, so that a server that answers before it reads on cannot stand against us. Ends when
    /// nothing is left to do, or with why the connection is of no more use.
    async fn converse(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), String> {
        let mut input = vec![0; 64 << 10];
        let mut lines = Lines::default();
        let mut unsent = Vec::new();
        let mut writable = true;
        loop {
            self.session.commands(&mut unsent);
            self.tell().await;
            if self.session.refusal().is_some() || self.is_done() {
                return Ok(());
            }
            let deadline = self.deadline();
            tokio::select! {
                read = from.read(&mut input) => {
                    let length = match read {
                        Ok(0) => return Err("closed by the server".to_owned()),
                        Ok(length) => length,
                        Err(error) => return Err(in_words(&error)),
                    };
                    self.heard();
                    lines.push(input.get(..length).unwrap_or_default());
                    self.lines(&mut lines)?;
                }
                written = to.write(&unsent), if writable && !unsent.is_empty() => match written {
                    Ok(length) => drop(unsent.drain(..length)),
                    // What the server said before it stopped listening is still to be read; then comes the end.
                    Err(_) => writable = false,
                },
                job = next(&mut self.jobs), if !self.session.is_opening() => match job {
                    Some(work) => self.ask(work),
                    None => self.jobs = None,
                },
                Some(sent) = self.uploads.join_next(), if !self.uploads.is_empty() => self.sent(sent),
                () = sleep_until(deadline) => self.late()?,
            }
        }
    }

    fn is_done(&self) -> bool {
        self.jobs.is_none() && self.session.is_idle() && !self.session.is_opening()
    }

    fn lines(&mut self, lines: &mut Lines) -> Result<(), String> {
        while let Some(line) = lines.next_line().map_err(|error| error.to_string())? {
            self.session.receive(&line, self.clock.now_ms());
            if let Some(why) = self.session.nonsense() {
                return Err(why.to_owned());
            }
        }
        // Here too, for one who talks without end is never late.
        self.in_time()
    }

    fn ask(&mut self, work: Work) {
        self.granted = self.granted.saturating_sub(1);
        if self.session.is_idle() {
            // It owed nothing, so its silence meant nothing.
            self.heard();
        }
        if let Some(file) = work.content() {
            let content = Content {
                file: Arc::clone(file),
                size: work.size,
                cancel: Cancel::default(),
            };
            self.contents.insert(work.id, content);
        }
        let upload = work.content().is_some();
        let now_ms = self.clock.now_ms();
        self.session.ask(work.id, work.label, upload, now_ms);
    }

    /// Tells what came out of the session, and how many jobs it would take.
    async fn tell(&mut self) {
        while let Some(event) = self.session.next_event() {
            let told = match event {
                Event::Ended(ended) => {
                    self.contents.remove(&ended.id);
                    Told::Ended(ended)
                }
                Event::Opened {
                    test_signatures_only,
                } => Told::Opened {
                    test_signatures_only,
                },
                Event::Send { id, port } => {
                    self.send(id, port);
                    continue;
                }
                Event::Warning(text) => Told::Warning(text),
            };
            self.ear.tell(told).await;
        }
        let objects = self.session.take_objects();
        if objects > 0 {
            self.ear.tell(Told::Begun(objects)).await;
        }
        let room = self.session.room();
        if room > self.granted {
            let more = room - self.granted;
            self.granted = room;
            self.ear.tell(Told::Slots(more)).await;
        }
    }

    fn send(&mut self, id: u64, port: u16) {
        let Some(content) = self.contents.get(&id) else {
            return;
        };
        let (file, size) = (Arc::clone(&content.file), content.size);
        let cancel = content.cancel.clone();
        let to = SocketAddr::new(self.peer, port);
        let patience = self.settings.timeout;
        self.uploads
            .spawn_blocking(move || (id, upload(&file, size, to, patience, &cancel)));
    }

    fn sent(
        &mut self,
        sent: Result<(u64, Result<Option<String>, Broken>), tokio::task::JoinError>,
    ) {
        // A thread of ours that failed leaves its request without an end; the silence that follows is noticed.
        if let Ok((id, outcome)) = sent {
            self.session.uploaded(id, outcome, self.clock.now_ms());
        }
        self.heard();
    }

    fn heard(&mut self) {
        self.silence = Silence {
            since: Instant::now(),
            probed: false,
        };
    }

    fn deadline(&self) -> Instant {
        // However much a peer says: one that is no server has no end of it.
        if self.session.is_opening() {
            self.started + OPENING.min(self.settings.timeout)
        } else {
            self.silence.since + self.settings.timeout
        }
    }

    /// Fails when the server owes the end of a request for too long.
    fn in_time(&self) -> Result<(), String> {
        let after_ms = u64::try_from(self.settings.timeout.as_millis()).unwrap_or(u64::MAX);
        if self.session.is_overdue(self.clock.now_ms(), after_ms) {
            return Err("a request that can no longer end well, and does not end".to_owned());
        }
        Ok(())
    }

    /// The time for a sign of life is over: asks for one, or gives up.
    fn late(&mut self) -> Result<(), String> {
        let after = self.settings.timeout;
        if self.session.is_opening() {
            return Err("no answer in time".to_owned());
        }
        self.in_time()?;
        let owes = !self.session.is_idle() && self.uploads.is_empty();
        if owes && self.silence.probed {
            return Err(format!("silent for {} s", 2 * after.as_secs()));
        }
        if owes {
            self.session.probe();
        }
        self.silence = Silence {
            since: Instant::now(),
            probed: owes,
        };
        Ok(())
    }
}

/// The next job; never, when there are no more.
async fn next(jobs: &mut Option<mpsc::UnboundedReceiver<Work>>) -> Option<Work> {
    match jobs {
        Some(jobs) => jobs.recv().await,
        None => std::future::pending().await,
    }
}

async fn farewell(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    to.write_all(b"QUIT\r\n").await?;
    let _ = from.read(&mut [0; 64]).await?;
    Ok(())
}
