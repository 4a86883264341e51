//! The accept loop, the same for every protocol.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Shared;
use super::session::{End, Session};
use crate::access::Access;
use crate::gateway::Gateway;
use crate::policy::Policy;

/// How long to wait after the system refused a connection, as it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Silence after which a peer is asked whether it is still there, and how often it may leave that unanswered.
const SILENCE: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 3;

/// One bound address and what is spoken there.
pub struct Listener {
    /// The protocol.
    pub gateway: &'static Gateway,
    /// The bound socket.
    pub socket: TcpListener,
    /// What gaps mean to those who connect here.
    pub policy: Arc<Policy>,
    /// Who may connect here.
    pub access: Access,
}

impl Listener {
    /// Accepts until `end` says no more, then waits for the connections to end.
    pub(super) async fn run(self, shared: Arc<Shared>, permits: Arc<Semaphore>, end: End) {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                () = end.drain.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) if !self.access.admits(peer.ip()) => {
                        debug!(%peer, protocol = self.gateway.name, "denied");
                        // As below: worth one attempt.
                        let _ = stream.try_write(self.gateway.denied);
                    }
                    Ok((stream, peer)) => {
                        debug!(%peer, protocol = self.gateway.name, "connected");
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

    fn open(
        &self,
        stream: TcpStream,
        shared: &Shared,
        permits: &Arc<Semaphore>,
        end: &End,
        sessions: &mut JoinSet<()>,
    ) {
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else {
            // A refusal is worth one attempt: whoever does not take it at once is refused without words.
            let _ = stream.try_write(self.gateway.busy);
            return;
        };
        // Replies are small and each may be what the peer waits for.
        let _ = stream.set_nodelay(true);
        // A peer whose machine vanished would be waited for, and scanned for, as long as the system lives.
        let _ = keep_alive(&stream);
        let client = shared.pool.client(Arc::clone(&self.policy));
        let protocol = (self.gateway.open)(shared.hello());
        let transfers = Arc::clone(&shared.transfers);
        let session = Session::new(stream, protocol, client, transfers);
        let end = end.clone();
        sessions.spawn(async move {
            let ended = async { session?.run(end).await };
            if let Err(error) = ended.await {
                debug!(%error, "a connection broke");
            }
            drop(permit);
        });
    }
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    set_tcp_keepidle(stream, SILENCE)?;
    set_tcp_keepintvl(stream, SILENCE)?;
    set_tcp_keepcnt(stream, QUESTIONS)?;
    set_socket_keepalive(stream, true)
}
