//! Protocols: bytes and reports in, bytes and steps out, without any IO.
//!
//! A protocol is a state machine; the session driver owns the socket, the pool owns the work.
#![forbid(unsafe_code)]

pub mod clamd;
mod lines;
pub mod svsp;

use bytes::{Bytes, BytesMut};

use crate::kind::KindSet;
use crate::policy::Listener;
use crate::request::Request;
use crate::verdict::{JobId, Report};

/// One protocol on one connection.
pub trait Protocol: Send {
    /// Takes what it can from `input` (complete lines, counted bytes), appends replies to `out` and says what to do next.
    /// `ended` is true when the peer will send no more than what is in `input`. Called again after every step but
    /// [`Step::Close`], so each call may do a small part.
    fn receive(&mut self, input: &mut BytesMut, ended: bool, out: &mut Vec<u8>) -> Step;

    /// Takes a report on a request that it gave out with [`Step::Scan`] or [`Step::Receive`]. Every request gets exactly
    /// one [`Report::Ended`], its last; for content that did not come whole it says so.
    fn report(&mut self, job: JobId, report: &Report, out: &mut Vec<u8>);

    /// Takes the port at which the content of a request is waited for, after [`Channel::Listen`].
    fn opened(&mut self, job: JobId, port: u16, out: &mut Vec<u8>);

    /// From now on the server reads nothing more, though the peer may have more to send: what was not whole by then never
    /// is. The next calls of [`receive`](Protocol::receive) say that the input has ended.
    fn cut_off(&mut self);

    /// Takes how the server is, after [`Step::Ask`]. Only for protocols that ask.
    fn status(&mut self, _status: &Status, _out: &mut Vec<u8>) {}

    /// Ends every request without more reports, because the server goes away, and says so: who asked must not take
    /// the silence for an answer. The connection is closed after it.
    fn abandon(&mut self, out: &mut Vec<u8>);
}

/// What a protocol wants next.
#[derive(Debug)]
pub enum Step {
    /// Send `out`, then close.
    Close,
    /// More input: all that is complete has been taken. (After `ended`: nothing more will come of the input.)
    Read,
    /// A scan; reports are to carry this number.
    Scan(JobId, Request),
    /// A scan of content that is still to come, this way.
    Receive(JobId, Request, Channel),
    /// The next bytes of content that comes inline.
    Content(JobId, Bytes),
    /// That was all of it: it is to be scanned.
    Complete(JobId),
    /// It will never be whole, and the protocol has said so: what came of it is to be dropped.
    Forget(JobId),
    /// A report: no input is wanted before one came.
    Wait,
    /// A scan of the open file that came with the last bytes of the input. If none did, or it is no file, the request ends
    /// like one whose content does not come.
    Passed(JobId, Request),
    /// How the server is: [`Protocol::status`] is called next.
    Ask,
    /// Something that the peer wants done with the server, and may; see [`Hello::may_command`].
    Order(Order),
}

/// What a peer may have done with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Load the signatures anew.
    Reload,
    /// End.
    Shutdown,
}

/// How the server is at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Status {
    /// Workers.
    pub workers: usize,
    /// Those of them that scan.
    pub busy: usize,
    /// Requests of all peers that have not ended.
    pub requests: usize,
    /// Only the signatures that are built in are loaded.
    pub test_signatures_only: bool,
    /// The number of the signature database in use.
    pub epoch: u64,
    /// When it came into use, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// Bytes of it.
    pub memory: u64,
}

/// The way that the content of a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// On the connection itself, as [`Step::Content`].
    Inline,
    /// The peer connects to a port of ours, which [`Protocol::opened`] is told.
    Listen,
    /// We connect to this port of the peer.
    Dial(u16),
}

/// What a protocol may tell a peer about the server, as of when the peer connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hello {
    /// Only the signatures that are built in are loaded.
    pub test_signatures_only: bool,
    /// The lowest port of a peer that the server connects to; `None` if it connects to nobody.
    pub dial_from: Option<u16>,
    /// The containers that are opened for a peer that does not choose.
    pub expand: KindSet,
    /// This peer may order things; see [`Step::Order`].
    pub may_command: bool,
    /// How clamd's protocol is spoken.
    pub clamd: clamd::Terms,
}

/// One protocol: what configuration, listeners and tests need to know of it.
#[derive(Debug)]
pub struct Gateway {
    /// Its name in `--listen` and in the log.
    pub name: &'static str,
    /// Whose policy holds for its peers.
    pub listener: Listener,
    /// Begins a connection.
    pub open: fn(Hello) -> Box<dyn Protocol>,
    /// What a peer is told when there are too many connections, before it is closed.
    pub busy: &'static [u8],
    /// What a peer is told that may not connect from its address, before it is closed.
    pub denied: &'static [u8],
}

/// CyberSoft's Simple Virus Scanning Protocol.
pub static SVSP: Gateway = Gateway {
    name: "svsp",
    listener: Listener::Svsp,
    open: |hello| Box::new(svsp::Svsp::new(hello)),
    busy: b"EAGAIN too many connections\r\n",
    denied: b"DENIED your address is not allowed here\r\n",
};

/// The protocol of ClamAV's daemon.
pub static CLAMD: Gateway = Gateway {
    name: "clamd",
    listener: Listener::Clamd,
    open: |hello| Box::new(clamd::Clamd::new(hello)),
    busy: b"too many connections. ERROR\n",
    denied: b"your address is not allowed here. ERROR\n",
};

/// All protocols.
pub static GATEWAYS: &[&Gateway] = &[&SVSP, &CLAMD];
