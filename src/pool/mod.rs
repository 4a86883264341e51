//! The pool: requests in, reports out, N workers in between.
//!
//! The unit of work is the item, one file. A folder request is a cursor that hands over its next item only while its
//! client's mailbox has room, so no worker ever waits for a peer, and a peer that does not read slows nobody else.
//! Clients take turns item by item: one with ten thousand folders delays another's single file by one file's time, and by less
//! if that file takes long.
#![forbid(unsafe_code)]

mod account;
mod cache;
mod mailbox;
mod message;
mod priority;
mod process;
mod queue;
mod request;
mod worker;

pub use process::{WORKER_ARGUMENT, worker_main};

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use tracing::error;

use crate::database::Live;
use crate::event::Gap;
use crate::files::{Files, Reach};
use crate::journal::{Journal, Logged, Origin};
use crate::metrics::{End, Metrics, Page, Protocol};

pub use crate::files::Writers;
use crate::policy::Policy;
use crate::request::Request;
use crate::scan::Setup;
use crate::stop::Cancel;
use crate::verdict::{JobId, Report, Summary};

use account::{Account, Known};
use cache::Cache;
use mailbox::Mailbox;
use queue::Queue;
use request::Running;
use worker::Worker;

/// Where the code that looks at content runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a process of its own for each worker: a crash is a gap, and the deadline kills.
    Process,
    /// In the worker's thread.
    Thread,
}

/// What is the same for all items of a pool.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Limits and folder for temporary files.
    pub setup: Setup,
    /// Where content is looked at.
    pub isolation: Isolation,
    /// Where the paths of requests may lead.
    pub reach: Arc<Reach>,
    /// Bytes of answers that are kept for contents that come again; 0 keeps none.
    pub verdict_cache: u64,
    /// The requests that the log says something of.
    pub logged: Logged,
}

/// The workers and the queue that they share. Dropping it ends them after the items that they have begun.
pub struct Pool {
    queue: Arc<Queue>,
    /// Ends when all workers have.
    caretaker: Option<JoinHandle<()>>,
    places: usize,
    reach: Arc<Reach>,
    cache: Option<Arc<Cache>>,
    metrics: Arc<Metrics>,
    journal: Arc<Journal>,
}

/// What a pool has to do at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Workers that have places.
    pub workers: usize,
    /// Workers that scan: more than have places while some take long.
    pub busy: usize,
    /// Requests of all clients that have not ended, but for their last items.
    pub requests: usize,
}

/// All workers of a pool with so many places, with those that stand by.
pub fn workers(places: usize) -> usize {
    places + queue::standing_by(places)
}

impl Pool {
    /// Starts workers: `threads` items are scanned at the same time, and half as many more while some of them take long.
    ///
    /// # Errors
    /// The system's, when it grants no more threads.
    pub fn start(threads: usize, live: Arc<Live>, terms: Terms) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(threads));
        let reach = Arc::clone(&terms.reach);
        let terms = Arc::new(terms);
        let (replace, slowed) = channel();
        let cache = (terms.verdict_cache > 0).then(|| Arc::new(Cache::new(terms.verdict_cache)));
        let metrics: Arc<Metrics> = Arc::default();
        let journal = Arc::new(Journal::new(terms.logged));
        let new = |number| {
            let cache = cache.clone();
            let (queue, live) = (Arc::clone(&queue), Arc::clone(&live));
            let (terms, metrics) = (Arc::clone(&terms), Arc::clone(&metrics));
            Worker::new(number, queue, live, terms, cache, metrics, replace.clone())
        };
        let workers: Vec<Worker> = (0..workers(threads)).map(new).collect();
        drop(replace);
        let idle: Vec<_> = workers
            .iter()
            .map(|worker| Arc::downgrade(worker.idle()))
            .collect();
        let mut pool = Self {
            queue,
            caretaker: None,
            places: threads,
            reach,
            cache: cache.clone(),
            metrics,
            journal,
        };
        let threads = workers.into_iter().map(Worker::start);
        let threads: Vec<_> = threads.collect::<io::Result<_>>()?;
        let care = std::thread::Builder::new().name("caretaker".to_owned());
        pool.caretaker = Some(care.spawn(move || take_care(threads, &slowed))?);
        // Processes that wait for an item would hold the old signatures for as long.
        let source = Arc::downgrade(&live);
        live.when_swapped(move || {
            // Nobody asks for them any more.
            if let Some(cache) = &cache {
                cache.clear();
            }
            let Some(live) = source.upgrade() else { return };
            let current = live.current();
            for idle in idle.iter().filter_map(Weak::upgrade) {
                idle.retire(&current);
            }
        });
        Ok(pool)
    }

    /// What there is to do at the moment.
    pub fn load(&self) -> Load {
        Load {
            workers: self.places,
            busy: usize::try_from(self.metrics.busy.get()).unwrap_or(usize::MAX),
            requests: self.queue.requests(),
        }
    }

    /// Where what comes over this protocol is counted.
    pub fn protocol(&self, name: &'static str) -> Arc<Protocol> {
        self.metrics.protocol(name)
    }

    /// Says what was counted, and how it is at the moment.
    pub fn tell(&self, page: &mut Page) {
        self.metrics.tell(page);
        let load = self.load();
        let (answers, bytes) = self.cache.as_ref().map_or((0, 0), |cache| cache.size());
        for (name, help, value) in [
            ("vfind_workers", "Workers that have places.", load.workers),
            (
                "vfind_workers_busy",
                "Workers that scan; more than have places while some take long.",
                load.busy,
            ),
            (
                "vfind_queue_requests",
                "Requests that have not ended, but for their last items.",
                load.requests,
            ),
            (
                "vfind_cache_answers",
                "Answers in the verdict cache.",
                answers,
            ),
            ("vfind_cache_bytes", "Bytes of the verdict cache.", bytes),
        ] {
            page.gauge(name, help, value as f64);
        }
        self.journal.tell(page);
    }

    /// The worker processes that there are.
    pub fn processes(&self) -> Vec<i32> {
        self.metrics.processes()
    }

    /// Makes room for a client, whose requests all have this policy.
    pub fn client(&self, policy: Arc<Policy>, origin: Origin) -> Client {
        let mailbox = Arc::new(Mailbox::default());
        let number = self.queue.enter(Arc::clone(&mailbox));
        let account = Account::new(&self.metrics, &self.journal, origin, number);
        Client {
            number,
            account: Arc::new(account),
            queue: Arc::clone(&self.queue),
            mailbox,
            policy,
            reach: Arc::clone(&self.reach),
            cancel: Cancel::default(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(caretaker) = self.caretaker.take() {
            let _ = caretaker.join();
        }
    }
}

/// Gives workers whose threads have a lower priority new threads, here where it is the usual one, until all have ended.
fn take_care(mut threads: Vec<JoinHandle<()>>, slowed: &Receiver<Worker>) {
    for worker in slowed {
        threads.retain(|thread| !thread.is_finished());
        match worker.start() {
            Ok(thread) => threads.push(thread),
            Err(error) => error!(%error, "a worker has no thread any more"),
        }
    }
    for thread in threads {
        // A worker that panicked has nothing left to say.
        let _ = thread.join();
    }
}

/// One client of the pool. Dropping it cancels its requests.
pub struct Client {
    number: u64,
    account: Arc<Account>,
    queue: Arc<Queue>,
    mailbox: Arc<Mailbox>,
    policy: Arc<Policy>,
    reach: Arc<Reach>,
    cancel: Cancel,
}

impl Client {
    /// Queues a request for what is at its path. Its last report is [`Report::Ended`].
    pub fn submit(&self, job: JobId, request: Request) {
        let (path, options) = (request.source.name().to_vec(), Arc::clone(&request.options));
        self.queue_files(
            job,
            request,
            Files::new(path, options, Arc::clone(&self.reach)),
        );
    }

    /// Queues a request for content that is there. Its last report is [`Report::Ended`].
    pub fn submit_content(&self, job: JobId, request: Request, content: File, writers: Writers) {
        let (label, options) = (request.source.name().to_vec(), Arc::clone(&request.options));
        let files = Files::opened(content, writers, label, options);
        self.queue_files(job, request, files);
    }

    fn queue_files(&self, job: JobId, request: Request, files: Files) {
        let running = Running::new(
            job,
            request,
            files,
            Arc::clone(&self.mailbox),
            Arc::clone(&self.policy),
            self.cancel.clone(),
            Arc::clone(&self.account),
        );
        self.queue.add(self.number, running);
    }

    /// Takes note of a request whose content did not come, and gives what it came to.
    pub fn failed(&self, job: JobId, gap: &Gap) -> Summary {
        let summary = Summary::failed(gap.clone());
        let action = self.policy.action(&gap.reason);
        self.account.metrics.gaps.count(&gap.reason, action);
        let end = End::Verdict(summary.verdict());
        self.account.ended(job, end, &summary, Known::default());
        summary
    }

    /// The oldest unread report, if there is one.
    pub fn take(&self) -> Option<(JobId, Report)> {
        let taken = self.mailbox.take()?;
        if taken.made_room {
            self.queue.resume(self.number);
        }
        Some(taken.report)
    }

    /// Waits until there may be something to [`take`](Client::take).
    pub async fn arrived(&self) {
        self.mailbox.arrived().await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.queue.leave(self.number);
    }
}
