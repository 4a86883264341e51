//! The content that the requests of one connection wait for: inline, or over a data connection that the peer or we open.
//!
//! Data connections are with the peer of the control connection and nobody else (spec-vfind.md §1.10). Whatever goes
//! wrong with one is the end of its request, with a gap that says what: half a file is never scanned for a whole one.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::chunk::read_some;
use super::rooms::{Room, Rooms};
use super::upload::Upload;
use crate::event::{Errno, Gap, Reason};
use crate::gateway::Channel;
use crate::metrics::Page;
use crate::path::ObjectPath;
use crate::request::Request;
use crate::verdict::JobId;

const ENOENT: Errno = Errno(2);
const ETIMEDOUT: Errno = Errno(110);

/// What transfers may take, and how long they may stand still.
#[derive(Debug)]
pub struct Transfers {
    pub(super) rooms: Arc<Rooms>,
    pub(super) times: Times,
    tmpdir: PathBuf,
}

/// How long a peer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Until a data connection is there.
    pub connect: Duration,
    /// Until the next bytes of content are there.
    pub idle: Duration,
}

impl Transfers {
    /// `spool` bytes for all transfers together, half of it for one peer; what is on disk is in `tmpdir`.
    pub fn new(spool: u64, times: Times, tmpdir: PathBuf) -> Self {
        Self {
            rooms: Arc::new(Rooms::new(spool)),
            times,
            tmpdir,
        }
    }

    /// Says how much of the room is in use.
    pub(super) fn tell(&self, page: &mut Page) {
        self.rooms.tell(page);
    }

    /// Begins content that a peer sends on a connection of its own protocol.
    ///
    /// # Errors
    /// There is no room for one more.
    pub fn upload(&self, peer: IpAddr) -> Result<Upload, Reason> {
        Ok(Upload::new(self.rooms.enter(peer, false)?, &self.tmpdir))
    }

    /// Bytes that content can have at most.
    pub fn largest(&self) -> u64 {
        self.rooms.largest()
    }

    /// How long the next bytes of content are waited for.
    pub fn idle(&self) -> Duration {
        self.times.idle
    }
}

/// What is on its way over one connection.
pub(super) struct Incoming {
    transfers: Arc<Transfers>,
    local: SocketAddr,
    peer: SocketAddr,
    inline: Option<(JobId, Request, Upload)>,
    requests: HashMap<JobId, Request>,
    channels: JoinSet<(JobId, Result<Upload, Broken>)>,
    /// Of content that is being scanned.
    rooms: HashMap<JobId, Room>,
}

/// Why content did not come.
struct Broken {
    reason: Reason,
    detail: String,
}

/// Content that is there, with its request.
pub(super) type Ready = (Request, File);

impl Incoming {
    /// Nothing is on its way over a connection between these addresses.
    pub(super) fn new(transfers: Arc<Transfers>, local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            transfers,
            local,
            peer,
            inline: None,
            requests: HashMap::new(),
            channels: JoinSet::new(),
            rooms: HashMap::new(),
        }
    }

    /// Makes ready for the content of a request. Gives the port to tell the peer with [`Channel::Listen`].
    ///
    /// # Errors
    /// Why it cannot come.
    pub(super) fn begin(
        &mut self,
        job: JobId,
        request: Request,
        channel: Channel,
    ) -> Result<Option<u16>, Gap> {
        self.open(job, &request, channel)
            .map_err(|broken| broken.gap(&request))
            .inspect(|_| match channel {
                Channel::Inline => {}
                Channel::Dial(_) | Channel::Listen => drop(self.requests.insert(job, request)),
            })
    }

    fn open(
        &mut self,
        job: JobId,
        request: &Request,
        channel: Channel,
    ) -> Result<Option<u16>, Broken> {
        let (times, peer) = (self.transfers.times, self.peer);
        let room = self
            .transfers
            .rooms
            .enter(peer.ip(), channel != Channel::Inline);
        let room = room.map_err(|reason| Broken {
            reason,
            detail: "too many data connections".to_owned(),
        })?;
        let upload = Upload::new(room, &self.transfers.tmpdir);
        match channel {
            Channel::Inline => {
                self.inline = Some((job, request.clone(), upload));
                Ok(None)
            }
            Channel::Dial(port) => {
                self.channels
                    .spawn(async move { (job, dial(peer, port, upload, times).await) });
                Ok(None)
            }
            Channel::Listen => {
                let listener = listen(self.local).map_err(no_port)?;
                let port = listener.local_addr().map_err(no_port)?.port();
                self.channels
                    .spawn(async move { (job, accept(listener, port, peer, upload, times).await) });
                Ok(Some(port))
            }
        }
    }

    /// Takes bytes that came inline. What no request wants any more is dropped.
    ///
    /// # Errors
    /// Why there is no room for them; the request is over.
    pub(super) fn content(&mut self, job: JobId, bytes: &[u8]) -> Result<(), Gap> {
        let inline = self.inline.as_mut();
        let Some((_, _, upload)) = inline.filter(|(number, _, _)| *number == job) else {
            return Ok(());
        };
        let Err(reason) = upload.push(bytes) else {
            return Ok(());
        };
        self.fail_inline(reason).map_or(Ok(()), |(_, gap)| Err(gap))
    }

    /// Ends the request whose content comes inline; gives it and its gap, if there is one.
    fn fail_inline(&mut self, reason: Reason) -> Option<(JobId, Gap)> {
        let (job, request, upload) = self.inline.take()?;
        let detail = format!("after {} bytes", upload.length());
        Some((job, Broken { reason, detail }.gap(&request)))
    }

    /// Ends the request whose content comes inline and stands still.
    pub(super) fn stalled(&mut self) -> Option<(JobId, Gap)> {
        self.fail_inline(Reason::Unreadable(ETIMEDOUT))
    }

    /// True while content comes inline.
    pub(super) fn is_inline(&self) -> bool {
        self.inline.is_some()
    }

    /// The content that came inline, now that it is whole; `None` if nobody wants it any more.
    pub(super) fn complete(&mut self, job: JobId) -> Option<Result<Ready, Gap>> {
        let (_, request, upload) = self.inline.take_if(|(number, _, _)| *number == job)?;
        Some(self.ready(job, request, Ok(upload)))
    }

    /// Drops what came inline.
    pub(super) fn forget(&mut self, job: JobId) {
        self.inline.take_if(|(number, _, _)| *number == job);
    }

    /// Waits for the next data connection to be at its end. For ever if there is none.
    pub(super) async fn arrived(&mut self) -> (JobId, Result<Ready, Gap>) {
        loop {
            match self.channels.join_next().await {
                Some(Ok((job, upload))) => {
                    if let Some(request) = self.requests.remove(&job) {
                        return (job, self.ready(job, request, upload));
                    }
                }
                // Tasks are neither aborted nor do they panic.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn ready(
        &mut self,
        job: JobId,
        request: Request,
        upload: Result<Upload, Broken>,
    ) -> Result<Ready, Gap> {
        let finished = upload.and_then(|upload| {
            let length = upload.length();
            upload.finish().map_err(|reason| Broken {
                reason,
                detail: format!("after {length} bytes"),
            })
        });
        match finished {
            Ok((file, room)) => {
                self.rooms.insert(job, room);
                Ok((request, file))
            }
            Err(broken) => Err(broken.gap(&request)),
        }
    }

    /// Gives back the room of content whose scan has ended.
    pub(super) fn scanned(&mut self, job: JobId) {
        self.rooms.remove(&job);
        if self.rooms.is_empty() {
            // An idle connection keeps no memory of a busy time.
            self.rooms.shrink_to_fit();
            self.requests.shrink_to_fit();
        }
    }
}

impl Broken {
    fn gap(self, request: &Request) -> Gap {
        Gap {
            path: ObjectPath::root(request.source.name().to_vec()),
            reason: self.reason,
            detail: self.detail,
        }
    }
}

fn listen(local: SocketAddr) -> io::Result<TcpListener> {
    let mut address = local;
    address.set_port(0);
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn no_port(error: io::Error) -> Broken {
    const EAGAIN: Errno = Errno(11);
    Broken {
        reason: Reason::Unreadable(EAGAIN),
        detail: format!("no port can be opened: {error}"),
    }
}

/// Only the peer of the control connection may send; anybody else is hung up on.
async fn accept(
    listener: TcpListener,
    port: u16,
    peer: SocketAddr,
    upload: Upload,
    times: Times,
) -> Result<Upload, Broken> {
    let end = tokio::time::Instant::now() + times.connect;
    let stream = loop {
        match timeout_at(end, listener.accept()).await {
            Err(_) => return Err(no_connection(port, "nobody came in time")),
            // Somebody who came and went again does not take anybody's place.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Ok(Err(error)) => return Err(no_port(error)),
            Ok(Ok((stream, address))) if is_same(address, peer) => break stream,
            Ok(Ok(_)) => {}
        }
    };
    // One connection: whoever else waits there is refused.
    drop(listener);
    receive(&stream, port, upload, times.idle).await
}

async fn dial(peer: SocketAddr, port: u16, upload: Upload, times: Times) -> Result<Upload, Broken> {
    let mut address = peer;
    address.set_port(port);
    let stream = match timeout(times.connect, TcpStream::connect(address)).await {
        Err(_) => return Err(no_connection(port, "no answer in time")),
        Ok(Err(error)) => return Err(no_connection(port, &error.to_string())),
        Ok(Ok(stream)) => stream,
    };
    // To dial a port of this very machine at which nobody listens can reach the dialling socket itself.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(no_connection(port, "nobody is there"));
    }
    receive(&stream, port, upload, times.idle).await
}

fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip().to_canonical() == other.ip().to_canonical()
}

fn no_connection(port: u16, why: &str) -> Broken {
    Broken {
        reason: Reason::Unreadable(ENOENT),
        detail: format!("no connection to port {port}: {why}"),
    }
}

async fn receive(
    stream: &TcpStream,
    port: u16,
    mut upload: Upload,
    idle: Duration,
) -> Result<Upload, Broken> {
    loop {
        let read = match timeout(idle, stream.readable()).await {
            Err(_) => Err(Reason::Unreadable(ETIMEDOUT)),
            Ok(Err(error)) => Err(Reason::Unreadable(Errno::of(&error))),
            Ok(Ok(())) => match read_some(stream, |chunk| upload.push(chunk)) {
                Ok(None) => continue,
                Ok(Some((0, _))) => return Ok(upload),
                Ok(Some((_, pushed))) => pushed,
                Err(error) => Err(Reason::Unreadable(Errno::of(&error))),
            },
        };
        if let Err(reason) = read {
            let length = upload.length();
            let detail = format!("the connection to port {port} ended after {length} bytes");
            return Err(Broken { reason, detail });
        }
    }
}
