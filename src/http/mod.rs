//! HTTP: scans, jobs and questions for programs that are behind firewalls, or have no other words (docs/protocols/http.md).
//!
//! A handler is a plain function of one `Call`; `routes` has the table of all of them, from which the router and the
//! description at `/openapi.json` come. Scans go to the same pool as those of all other protocols, and content takes the
//! same room.
#![forbid(unsafe_code)]

mod connection;
mod database;
mod form;
mod gather;
mod guard;
mod job;
mod jobs;
pub mod multipart;
mod openapi;
mod problem;
mod query;
mod receive;
mod routes;
mod run;
mod scan;
mod webhook;
mod wrappers;

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::http::request::Parts;
use tokio::net::TcpStream;

use connection::{Peer, Peers};
use guard::Who;
use jobs::Jobs;
use problem::Problem;
use query::Asked;
pub use webhook::Webhooks;

use crate::access::tokens::TokenFile;
use crate::policy::Policy;
use crate::server::{End, Shared, Streams};

/// What a peer is told when there are too many connections.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// What a peer is told that may not connect from its address.
const DENIED: &[u8] = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How HTTP is spoken.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Programs on this machine need no token to have things scanned.
    pub open_to_loopback: bool,
    /// The names by which they may call it, in small letters.
    pub hosts: Vec<String>,
    /// The web pages that may.
    pub origins: Vec<String>,
    /// Connections from one address.
    pub peer_connections: usize,
    /// Jobs that are kept.
    pub jobs: usize,
    /// There are folders in which paths may be scanned.
    pub has_roots: bool,
}

/// What it is called in the log and in metrics.
const PROTOCOL: &str = "http";

/// What all connections share.
pub(crate) struct Http {
    shared: Arc<Shared>,
    policy: Arc<Policy>,
    tokens: Option<Arc<TokenFile>>,
    terms: Terms,
    jobs: Jobs,
    webhooks: Option<Webhooks>,
}

/// The service, for all places where it is spoken.
pub struct Service {
    peers: Peers,
    router: Router,
}

impl Service {
    /// A service that has its work done by what the other protocols share, for clients to whom gaps mean this.
    pub fn new(
        shared: Arc<Shared>,
        policy: Arc<Policy>,
        tokens: Option<Arc<TokenFile>>,
        webhooks: Option<Webhooks>,
        terms: Terms,
    ) -> Self {
        let peers = Peers::new(terms.peer_connections);
        let http = Http {
            shared,
            policy,
            tokens,
            jobs: Jobs::new(terms.jobs),
            webhooks,
            terms,
        };
        Self {
            peers,
            router: routes::router(Arc::new(http)),
        }
    }
}

impl Streams for Service {
    fn name(&self) -> &'static str {
        PROTOCOL
    }

    fn busy(&self) -> &'static [u8] {
        BUSY
    }

    fn denied(&self) -> &'static [u8] {
        DENIED
    }

    fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        end: End,
    ) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> {
        Box::pin(async move {
            let router = self.router.clone();
            connection::serve(stream, &self.peers, router, end).await
        })
    }
}

/// One request, from one who may make it.
struct Call {
    http: Arc<Http>,
    peer: Peer,
    /// Who asks; nobody, where anybody may.
    who: Option<Who>,
    head: Parts,
    body: Body,
}

/// What comes of it.
type Answer = Result<Response<Body>, Problem>;

impl Call {
    /// What the query asks for.
    fn asked(&self, is_job: bool) -> Result<Asked, Problem> {
        let query = self.head.uri.query().unwrap_or_default();
        Asked::parse(query, self.http.shared.hello(), is_job)
    }
}
