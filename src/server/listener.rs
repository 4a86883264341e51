//! The accept loop, the same for every protocol.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::local::{LocalSocket, is_owner};
use super::session::{End, Session};
use super::stream::Stream;
use super::{Commanders, Shared};
use crate::access::Access;
use crate::gateway::{Gateway, Hello};
use crate::journal::Origin;
use crate::metrics::Refusal;
use crate::policy::Policy;

/// How long to wait after the system refused a connection, as it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// One bound address and what is spoken there.
pub struct Listener {
    /// What is spoken.
    pub speaks: Speaks,
    /// The bound socket.
    pub socket: Socket,
    /// Who may connect here, by address. To a socket of the file system its permissions say that.
    pub access: Access,
}

/// What is spoken on the connections of a listener.
pub enum Speaks {
    /// A protocol without IO, to clients for whom gaps mean this.
    Gateway(&'static Gateway, Arc<Policy>),
    /// One that has its own way with sockets.
    Streams(Arc<dyn Streams>),
}

/// A protocol that has its own way with sockets.
pub trait Streams: Send + Sync {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// What a peer is told when there are too many connections, before it is closed.
    fn busy(&self) -> &'static [u8];

    /// What a peer is told that may not connect from its address, before it is closed.
    fn denied(&self) -> &'static [u8];

    /// Serves one connection to its end, or that of the server.
    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        end: End,
    ) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
}

impl Speaks {
    fn name(&self) -> &'static str {
        match self {
            Self::Gateway(gateway, _) => gateway.name,
            Self::Streams(protocol) => protocol.name(),
        }
    }

    fn busy(&self) -> &'static [u8] {
        match self {
            Self::Gateway(gateway, _) => gateway.busy,
            Self::Streams(protocol) => protocol.busy(),
        }
    }

    fn denied(&self) -> &'static [u8] {
        match self {
            Self::Gateway(gateway, _) => gateway.denied,
            Self::Streams(protocol) => protocol.denied(),
        }
    }
}

/// A bound socket that listens.
pub enum Socket {
    /// In the file system, with its name.
    Local(UnixListener, LocalSocket),
    /// At an address.
    Tcp(TcpListener),
}

impl Socket {
    /// A socket of the file system.
    ///
    /// # Errors
    /// The system's, or the runtime's.
    pub fn local(socket: LocalSocket) -> io::Result<Self> {
        Ok(Self::Local(socket.listener()?, socket))
    }

    /// A socket at an address.
    ///
    /// # Errors
    /// The runtime's.
    pub fn tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        TcpListener::from_std(socket).map(Self::Tcp)
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Local(listener, _) => Ok(Stream::Local(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(_, socket) => socket.path().display().fmt(f),
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => error.fmt(f),
            },
        }
    }
}

impl Listener {
    /// Accepts until `end` says no more, then waits for the connections to end.
    pub(super) async fn run(self, shared: Arc<Shared>, permits: Arc<Semaphore>, end: End) {
        let protocol = self.speaks.name();
        // Counted from now on, also as long as nobody comes.
        shared.pool.protocol(protocol);
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                () = end.drain.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok(stream) if !self.admits(&stream) => {
                        debug!(?stream, protocol, "denied");
                        shared.pool.protocol(protocol).refused(Refusal::Denied);
                        // As below: worth one attempt.
                        let _ = stream.try_write(self.speaks.denied());
                    }
                    Ok(stream) => {
                        debug!(?stream, protocol, "connected");
                        self.open(stream, &shared, &permits, &end, &mut sessions);
                    }
                    Err(error) => {
                        warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
            }
        }
        drop(self.socket);
        while sessions.join_next().await.is_some() {}
    }

    fn admits(&self, stream: &Stream) -> bool {
        match stream {
            Stream::Local(_) => true,
            // Who has gone already is not served either.
            Stream::Tcp(stream) => stream
                .peer_addr()
                .is_ok_and(|peer| self.access.admits(peer.ip())),
        }
    }

    fn open(
        &self,
        stream: Stream,
        shared: &Arc<Shared>,
        permits: &Arc<Semaphore>,
        end: &End,
        sessions: &mut JoinSet<()>,
    ) {
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
            // A refusal is worth one attempt: whoever does not take it at once is refused without words.
            let _ = stream.try_write(self.speaks.busy());
            shared
                .pool
                .protocol(self.speaks.name())
                .refused(Refusal::Busy);
            return;
        };
        stream.prepare();
        let connection = shared.pool.protocol(self.speaks.name()).connected();
        let end = end.clone();
        let served: Pin<Box<dyn Future<Output = io::Result<()>> + Send>> =
            match (&self.speaks, stream) {
                (Speaks::Gateway(gateway, policy), stream) => {
                    let origin = Origin {
                        protocol: gateway.name,
                        peer: stream.peer(),
                    };
                    let client = shared.pool.client(Arc::clone(policy), origin);
                    let hello = Hello {
                        may_command: may_command(&stream, shared.commanders),
                        ..shared.hello()
                    };
                    let protocol = (gateway.open)(hello);
                    let session = Session::new(stream, protocol, client, Arc::clone(shared));
                    Box::pin(async { session?.run(end).await })
                }
                (Speaks::Streams(protocol), Stream::Tcp(stream)) => {
                    Arc::clone(protocol).serve(stream, end)
                }
                // Nobody is listened for there.
                (Speaks::Streams(_), Stream::Local(_)) => return,
            };
        sessions.spawn(async move {
            if let Err(error) = served.await {
                debug!(%error, "a connection broke");
            }
            drop((connection, permit));
        });
    }
}

fn may_command(stream: &Stream, commanders: Commanders) -> bool {
    match (commanders, stream) {
        (Commanders::All, _) => true,
        (Commanders::None, _) | (Commanders::Owner, Stream::Tcp(_)) => false,
        (Commanders::Owner, Stream::Local(stream)) => {
            is_owner(stream).is_ok_and(|(_, is_owner)| is_owner)
        }
    }
}
