//! What the log says of requests: one line for each that has ended, of the kind that is wanted.
//!
//! A finding is warned of once: clients ask again (mail queues every few minutes), and who reads the log has read it. Who makes
//! the daemon find more than anybody reads does not fill a disk with it: what is not said is counted, and that is said.
#![forbid(unsafe_code)]

mod allowance;
mod repeats;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::event::Finding;
use crate::metrics::{Counter, End, Page};
use crate::verdict::{JobId, Summary, Verdict, describe};
use allowance::Allowance;
use repeats::{Repeats, Trace};

/// The target of these lines, for filters.
const TARGET: &str = "vfind::request";

/// The requests of which the log says how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Logged {
    /// All of them.
    All,
    /// Those with another verdict than clean, repetitions left out, and no more of them than anybody reads.
    Found,
    /// None.
    #[default]
    None,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// The peer's address; none over a socket of the file system.
    pub peer: Option<SocketAddr>,
}

impl Origin {
    /// Somebody over this protocol without an address.
    pub fn local(protocol: &'static str) -> Self {
        Self {
            protocol,
            peer: None,
        }
    }
}

/// A request that has ended.
pub struct Entry<'a> {
    /// The number of its connection, and its own there.
    pub id: (u64, JobId),
    /// Who asked.
    pub origin: &'a Origin,
    /// How it ended.
    pub end: End,
    /// What it came to.
    pub summary: &'a Summary,
    /// The first finding that was reported.
    pub first: Option<&'a Finding>,
    /// What tells its content from others, so that the same asked again is known as that: the digest of what was scanned. None
    /// where it has none; then nothing is taken for the same.
    pub content: Option<[u8; 32]>,
    /// The time since it and its content were there.
    pub after: Duration,
}

impl Entry<'_> {
    fn is_clean(&self) -> bool {
        matches!(self.end, End::Verdict(Verdict::Clean) | End::Cancelled)
    }
}

/// Says of requests how they ended.
#[derive(Debug)]
pub struct Journal {
    logged: Logged,
    state: Mutex<State>,
    repeated: Counter,
    many: Counter,
}

#[derive(Debug, Default)]
struct State {
    repeats: Repeats,
    allowance: Allowance,
}

impl Journal {
    /// A journal of these requests.
    pub fn new(logged: Logged) -> Self {
        Self {
            logged,
            state: Mutex::default(),
            repeated: Counter::default(),
            many: Counter::default(),
        }
    }

    /// True if the details of requests are wanted: who has none to say need not keep them.
    pub fn is_kept(&self) -> bool {
        self.logged != Logged::None
    }

    /// Says how many lines were not written.
    pub fn tell(&self, page: &mut Page) {
        page.counters(
            "vfind_log_requests_dropped",
            "Requests that --log-requests=found left out: those that were said already, and those that were too many.",
            "reason",
            [
                ("repeated", self.repeated.get()),
                ("many", self.many.get()),
            ],
        );
    }

    /// Takes a request that has ended.
    pub fn ended(&self, entry: &Entry<'_>) {
        match self.logged {
            Logged::None => {}
            Logged::Found if entry.is_clean() => {}
            Logged::Found => {
                let now = Instant::now();
                let mut state = self.lock();
                if state.repeats.seen(entry, now) > 0 {
                    return self.repeated.one();
                }
                if !state.allowance.take(now) {
                    return self.many.one();
                }
                let missing = state.allowance.missing();
                drop(state);
                if missing > 0 {
                    warn!(target: TARGET, missing, "more requests than are logged");
                }
                write(entry, 0);
            }
            Logged::All => {
                let times = match entry.first {
                    Some(_) => self.lock().repeats.seen(entry, Instant::now()),
                    None => 0,
                };
                write(entry, times);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asked, for people.
struct Peer<'a>(&'a Origin);

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.peer {
            Some(address) => address.fmt(f),
            None => f.write_str("local"),
        }
    }
}

/// Writes the line. What was found is a warning, for the first time.
fn write(entry: &Entry<'_>, times: u64) {
    let Entry { summary, first, .. } = entry;
    let coverage = &summary.coverage;
    macro_rules! line {
        ($level:ident) => {
            $level!(
                target: TARGET,
                id = %format_args!("{}.{}", entry.id.0, entry.id.1),
                protocol = %entry.origin.protocol,
                peer = %Peer(entry.origin),
                asked = %summary.path,
                verdict = %entry.end.word(),
                findings = summary.findings,
                gaps = coverage.gaps,
                notes = coverage.notes,
                objects = coverage.objects,
                bytes = coverage.bytes,
                seconds = %format_args!("{:.6}", entry.after.as_secs_f64()),
                epoch = summary.epoch.as_ref().map(display),
                signature = first.map(|first| display(&first.signature)),
                found_in = first.map(|first| display(&first.path)),
                gap = summary.worst.as_ref().map(|gap| display(describe(&gap.reason, &one_line(&gap.detail)))),
                gap_in = summary.worst.as_ref().map(|gap| display(&gap.path)),
                repeated = (times > 0).then_some(times),
                "request"
            )
        };
    }
    match (entry.first, times) {
        (Some(_), 0) => line!(warn),
        _ => line!(info),
    }
}

/// The detail of a gap may quote content.
fn one_line(detail: &str) -> String {
    let is_plain = |c: char| !c.is_control();
    detail
        .chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .collect()
}

impl Trace for Entry<'_> {
    fn trace(&self) -> Option<impl std::hash::Hash> {
        let first = self.first?;
        let peer = self.origin.peer.map(|peer| peer.ip());
        let epoch = self.summary.epoch.as_ref();
        let epoch = epoch.map(|epoch| epoch.fingerprint.clone());
        Some((
            self.content?,
            self.origin.protocol,
            peer,
            self.summary.path.clone(),
            epoch,
            first.signature.clone(),
            first.path.clone(),
        ))
    }
}

#[cfg(test)]
mod tests;
