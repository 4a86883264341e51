//! One connection: what a peer may take of it, and how it ends.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::BUSY;
use crate::server::End;

/// How long a peer may take for the head of a request, and be silent between two.
const HEAD: Duration = Duration::from_secs(60);

/// Bytes of a head.
const HEAD_BYTES: usize = 64 * 1024;

/// Headers of a request.
const HEADERS: usize = 100;

/// A peer that takes no byte of its answer for this long is gone, in milliseconds.
const UNREAD: u32 = 120_000;

/// How long a peer may take to close its side.
const LINGER: Duration = Duration::from_millis(500);

/// Both ends of a connection, and the end of the server.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Theirs.
    pub(super) address: SocketAddr,
    /// Ours.
    pub(super) local: SocketAddr,
    /// How the server ends.
    pub(super) end: End,
}

/// The connections of each address.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    connected: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted as long as this is there.
struct Counted<'a> {
    peers: &'a Peers,
    address: IpAddr,
}

impl Peers {
    /// So many from each address.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            connected: Mutex::default(),
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Counted<'_>> {
        let address = address.to_canonical();
        let mut connected = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let theirs = connected.entry(address).or_default();
        if *theirs >= self.most {
            return None;
        }
        *theirs += 1;
        Some(Counted {
            peers: self,
            address,
        })
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let connected = self.peers.connected.lock();
        let mut connected = connected.unwrap_or_else(PoisonError::into_inner);
        if let Some(theirs) = connected.get_mut(&self.address) {
            *theirs -= 1;
            if *theirs == 0 {
                connected.remove(&self.address);
            }
        }
    }
}

/// Serves a connection until either side is done, or the server ends.
///
/// # Errors
/// The socket's, and what is no HTTP.
pub(super) async fn serve(
    stream: TcpStream,
    peers: &Peers,
    router: Router,
    end: End,
) -> io::Result<()> {
    let peer = Peer {
        address: stream.peer_addr()?,
        local: stream.local_addr()?,
        end,
    };
    let Some(_counted) = peers.enter(peer.address.ip()) else {
        // Worth one attempt.
        let _ = stream.try_write(BUSY);
        return Ok(());
    };
    // What cannot be set is done without.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD);
    let routes = TowerToHyperService::new(router);
    let end = peer.end.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        routes.call(request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut is_ending = false;
    loop {
        tokio::select! {
            done = poll_fn(|context| connection.poll_without_shutdown(context)) => {
                done.map_err(io::Error::other)?;
                break;
            }
            () = end.drain.cancelled(), if !is_ending => {
                is_ending = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    close(connection.into_parts().io.into_inner()).await
}

/// Closes our side, and waits a moment for the peer's: a socket that is closed with bytes unread resets the connection, and a
/// reset can overtake the answer to a request that was not read to its end.
async fn close(mut stream: TcpStream) -> io::Result<()> {
    let closed = async {
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(LINGER, closed).await.unwrap_or(Ok(()))
}
