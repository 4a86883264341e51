//! What is counted while the programs work, and its text form for those who watch them (OpenMetrics).
//!
//! To count is one addition to an atomic number: without a lock, without memory, and nothing for each byte. Everything else, names
//! too, is the work of who asks. What is known elsewhere (the queue, the database) is not counted here, but added to the [`Page`] then.
#![forbid(unsafe_code)]

mod expander;
mod found;
mod gaps;
mod histogram;
mod page;
mod protocol;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use expander::Expanders;
use found::Found;
use gaps::Gaps;

pub use histogram::Histogram;
pub use page::{CONTENT_TYPE, Page};
pub use protocol::{Connection, End, Protocol, Refusal};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn one(&self) {
        self.add(1);
    }

    /// Adds this many.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What came together.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number as it is at the moment.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds one.
    pub fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one away, that was added before.
    pub fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a worker got another thread or process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Nobody wanted the answer any more.
    Cancelled,
    /// Its process ended on an item, or said what made no sense.
    Crashed,
    /// Its process was killed at the deadline.
    Deadline,
    /// It had a lower priority after a long item.
    Slowed,
}

impl Restart {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Cancelled, "cancelled"),
        (Self::Crashed, "crashed"),
        (Self::Deadline, "deadline"),
        (Self::Slowed, "slowed"),
    ];
}

/// What became of a question to the verdict cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It knew the answer.
    Hit,
    /// It did not.
    Miss,
    /// It was not asked: the content is empty, very long, or no file.
    Skipped,
}

impl Lookup {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Hit, "hit"),
        (Self::Miss, "miss"),
        (Self::Skipped, "skipped"),
    ];
}

/// What one program has counted since its start.
#[derive(Debug, Default)]
pub struct Metrics {
    protocols: Mutex<Vec<Arc<Protocol>>>,
    /// Workers that scan.
    pub busy: Gauge,
    /// Findings by signature.
    pub found: Found,
    /// Gaps by reason.
    pub gaps: Gaps,
    /// Containers by kind.
    pub expanders: Expanders,
    /// Files and contents that were scanned, with what each took.
    pub items: Histogram,
    /// How long requests waited for their first step.
    pub waits: Histogram,
    /// Objects matched.
    pub objects: Counter,
    /// Bytes matched, after expansion.
    pub bytes: Counter,
    restarts: [Counter; Restart::ALL.len()],
    lookups: [Counter; Lookup::ALL.len()],
    processes: Mutex<BTreeSet<i32>>,
}

impl Metrics {
    /// Where what comes over this protocol is counted. Made at the first question: for each connection, not for each request.
    pub fn protocol(&self, name: &'static str) -> Arc<Protocol> {
        let mut protocols = unpoisoned(&self.protocols);
        let known = protocols.iter().find(|protocol| protocol.name() == name);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let new = Arc::new(Protocol::new(name));
        protocols.push(Arc::clone(&new));
        new
    }

    /// Counts a worker that got another thread or process.
    pub fn restarted(&self, why: Restart) {
        count(&Restart::ALL, &self.restarts, why);
    }

    /// Counts a question to the verdict cache.
    pub fn looked_up(&self, what: Lookup) {
        count(&Lookup::ALL, &self.lookups, what);
    }

    /// A worker process is there.
    pub fn process_began(&self, number: i32) {
        unpoisoned(&self.processes).insert(number);
    }

    /// It is gone.
    pub fn process_ended(&self, number: i32) {
        unpoisoned(&self.processes).remove(&number);
    }

    /// The worker processes that there are.
    pub fn processes(&self) -> Vec<i32> {
        unpoisoned(&self.processes).iter().copied().collect()
    }

    /// Says all that was counted.
    pub fn tell(&self, page: &mut Page) {
        let protocols = unpoisoned(&self.protocols).clone();
        protocol::tell(&protocols, page);
        page.counter(
            "vfind_objects",
            "Objects matched: files, members of containers, streams.",
            self.objects.get(),
        );
        page.counter(
            "vfind_scanned_bytes",
            "Bytes matched, after expansion.",
            self.bytes.get(),
        );
        self.found.tell(page);
        self.gaps.tell(page);
        self.expanders.tell(page);
        page.histogram(
            "vfind_item_duration_seconds",
            "Time for one file or content, from its opening to its last event.",
            &self.items,
        );
        page.histogram(
            "vfind_queue_wait_seconds",
            "Time from when a request and its content are there to its first step.",
            &self.waits,
        );
        page.counters(
            "vfind_worker_restarts",
            "Workers that got another thread or process, by reason.",
            "reason",
            Restart::ALL
                .iter()
                .zip(&self.restarts)
                .map(|((_, word), count)| (*word, count.get())),
        );
        page.counters(
            "vfind_cache_lookups",
            "Questions to the verdict cache, by what became of them.",
            "result",
            Lookup::ALL
                .iter()
                .zip(&self.lookups)
                .map(|((_, word), count)| (*word, count.get())),
        );
    }
}

/// Adds one to the counter that stands where the key stands in its table.
fn count<K: PartialEq>(table: &[(K, &str)], counters: &[Counter], key: K) {
    let at = table.iter().position(|(one, _)| *one == key);
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        counter.one();
    }
}

/// The locks guard nothing that a panic could leave half done.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
