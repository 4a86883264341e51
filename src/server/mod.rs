//! The daemon: listeners, the pool, reloads, and an orderly end.
#![forbid(unsafe_code)]

mod chunk;
mod control;
mod incoming;
mod listener;
mod local;
mod metrics;
mod passed;
mod reload;
mod rooms;
mod session;
mod stream;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::database::Live;
use crate::gateway::{Hello, Order, Status, clamd};
use crate::kind::KindSet;
use crate::pool::Pool;

pub use control::{Control, Word, tell};
pub use incoming::{Times, Transfers};
pub use listener::{Listener, Socket, Speaks, Streams};
pub use local::LocalSocket;
pub use metrics::metrics;
pub use reload::{reload, watch};
pub use rooms::Room;
pub use session::End;
pub use upload::Upload;

/// How long running requests may take after the daemon was told to end; the rest of the promised ten seconds is for
/// closing.
const DRAIN: Duration = Duration::from_secs(8);

/// How long the last replies may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct Shared {
    /// The workers.
    pub pool: Pool,
    /// The signatures.
    pub live: Arc<Live>,
    /// What content that peers send may take.
    pub transfers: Arc<Transfers>,
    /// The lowest port of a peer that is connected to when it asks for that; `None` for never.
    pub dial_from: Option<u16>,
    /// The containers that are opened for peers that do not choose.
    pub expand: KindSet,
    /// How clamd's protocol is spoken.
    pub clamd: clamd::Terms,
    /// Who may order over a protocol that has words for it.
    pub commanders: Commanders,
    /// Takes such orders.
    pub orders: mpsc::Sender<Order>,
    /// When the daemon began to serve, in seconds since 1970-01-01 UTC.
    pub since: u64,
}

/// Those who may have the signatures loaded anew, or the daemon ended, over a protocol that has words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commanders {
    /// Everybody who may connect.
    All,
    /// Nobody.
    None,
    /// Root and the daemon's own user, over a socket of the file system.
    Owner,
}

impl Shared {
    /// What is the same for all connections of this moment.
    pub fn hello(&self) -> Hello {
        Hello {
            test_signatures_only: self.live.current().test_signatures_only,
            dial_from: self.dial_from,
            expand: self.expand,
            clamd: self.clamd,
            may_command: false,
        }
    }

    fn status(&self) -> Status {
        let (load, current) = (self.pool.load(), self.live.current());
        Status {
            workers: load.workers,
            busy: load.busy,
            requests: load.requests,
            test_signatures_only: current.test_signatures_only,
            epoch: current.epoch.number,
            since: current.since,
            memory: current.length,
        }
    }
}

/// Serves until `shutdown` completes, then lets running requests end for up to eight seconds.
pub async fn run(
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    connections: usize,
    shutdown: impl Future<Output = ()>,
) {
    let end = End::default();
    let permits = Arc::new(Semaphore::new(connections));
    let mut running = JoinSet::new();
    for listener in listeners {
        running.spawn(listener.run(Arc::clone(&shared), Arc::clone(&permits), end.clone()));
    }
    shutdown.await;
    info!(
        "ending: no new connections, running requests have {} s",
        DRAIN.as_secs()
    );
    end.drain.cancel();
    let mut rest = async || while running.join_next().await.is_some() {};
    if tokio::time::timeout(DRAIN, rest()).await.is_err() {
        warn!("requests still running are cancelled, each with EAGAIN");
        end.abandon.cancel();
        // Whoever does not take its last replies now goes without.
        let _ = tokio::time::timeout(FAREWELL, rest()).await;
    }
}
