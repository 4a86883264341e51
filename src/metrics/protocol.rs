//! What comes over one protocol: connections and requests.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use super::{Counter, Gauge, Histogram, Page, count};
use crate::verdict::Verdict;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Verdict(Verdict),
    /// Without one: nobody waits for it any more.
    Cancelled,
}

impl End {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Verdict(Verdict::Clean), "clean"),
        (Self::Verdict(Verdict::Incomplete), "incomplete"),
        (Self::Verdict(Verdict::Infected), "infected"),
        (Self::Cancelled, "cancelled"),
    ];

    /// Its word, in labels and in the log.
    pub fn word(self) -> &'static str {
        let known = Self::ALL.iter().find(|(end, _)| *end == self);
        known.map_or("", |(_, word)| word)
    }
}

/// Why a connection was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There are too many.
    Busy,
    /// The address may not connect.
    Denied,
}

impl Refusal {
    const ALL: [(Self, &'static str); 2] = [(Self::Busy, "busy"), (Self::Denied, "denied")];
}

/// The counts of one protocol.
#[derive(Debug)]
pub struct Protocol {
    name: &'static str,
    connections: Counter,
    open: Gauge,
    refused: [Counter; Refusal::ALL.len()],
    requests: [Counter; End::ALL.len()],
    durations: Histogram,
}

/// A connection that is open; dropping it closes it.
#[derive(Debug)]
pub struct Connection(Arc<Protocol>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.less();
    }
}

impl Protocol {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            connections: Counter::default(),
            open: Gauge::default(),
            refused: Default::default(),
            requests: Default::default(),
            durations: Histogram::default(),
        }
    }

    /// As in `--listen`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts a connection, which is open until what this gives is dropped.
    pub fn connected(self: &Arc<Self>) -> Connection {
        self.connections.one();
        self.open.more();
        Connection(Arc::clone(self))
    }

    /// Counts a connection that was not taken.
    pub fn refused(&self, why: Refusal) {
        count(&Refusal::ALL, &self.refused, why);
    }

    /// Counts a request at its end. What it took is not said of those that ended without an answer.
    pub fn ended(&self, end: End, after: Option<Duration>) {
        count(&End::ALL, &self.requests, end);
        if let Some(after) = after {
            self.durations.observe(after);
        }
    }
}

/// Says what came over all protocols.
pub(super) fn tell(protocols: &[Arc<Protocol>], page: &mut Page) {
    let by = |protocol: &Protocol| ("protocol", protocol.name.to_owned());
    page.gauge_family(
        "vfind_connections",
        "Connections that are open, by protocol.",
        protocols
            .iter()
            .map(|one| (vec![by(one)], one.open.get() as f64)),
    );
    page.counter_family(
        "vfind_connections_accepted",
        "Connections that were taken, by protocol.",
        protocols
            .iter()
            .map(|one| (vec![by(one)], one.connections.get())),
    );
    page.counter_family(
        "vfind_connections_refused",
        "Connections that were not taken, by protocol and reason.",
        protocols.iter().flat_map(|one| {
            let counts = Refusal::ALL.iter().zip(&one.refused);
            counts.map(|((_, why), count)| {
                (vec![by(one), ("reason", (*why).to_owned())], count.get())
            })
        }),
    );
    page.counter_family(
        "vfind_requests",
        "Requests that have ended, by protocol and verdict.",
        protocols.iter().flat_map(|one| {
            let counts = End::ALL.iter().zip(&one.requests);
            counts.map(|((_, end), count)| {
                (vec![by(one), ("verdict", (*end).to_owned())], count.get())
            })
        }),
    );
    page.histogram_family(
        "vfind_request_duration_seconds",
        "Time from when a request and its content are there to its verdict, by protocol.",
        protocols.iter().map(|one| (vec![by(one)], &one.durations)),
    );
}
