//! A worker: takes the next request one step further, and scans the item that comes of it.
#![forbid(unsafe_code)]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use tracing::error;

use super::cache::{Around, Cache};
use super::priority::Runner;
use super::process::{Process, Trouble};
use super::queue::{Queue, Turn};
use super::request::{ItemSink, Shared};
use super::{Isolation, Terms};
use crate::beside::STACK;
use crate::database::{Generation, Live};
use crate::event::{Event, Gap, Reason, Sink};
use crate::files::{Item, Next};
use crate::metrics::{Metrics, Restart};
use crate::path::ObjectPath;
use crate::scan::{self, Job, Outcome};

/// The process of a worker between two items. It holds the signatures of its epoch, so it is ended when they are replaced.
#[derive(Default)]
pub(super) struct Idle(Mutex<Option<Process>>);

impl Idle {
    /// Takes the process, if it has these signatures; ends any other.
    fn take(&self, generation: &Arc<Generation>) -> Option<Process> {
        let process = self.slot().take();
        process.and_then(|mut process| process.serves(generation).then_some(process))
    }

    fn keep(&self, process: Process) {
        *self.slot() = Some(process);
    }

    /// Ends the process.
    fn end(&self) {
        let old = self.slot().take();
        drop(old);
    }

    /// Ends the process if it has other signatures than these.
    pub(super) fn retire(&self, generation: &Arc<Generation>) {
        let mut slot = self.slot();
        let old = slot.take_if(|process| !process.serves(generation));
        drop(slot);
        // Here, where nobody waits for the lock.
        drop(old);
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker thread, with its process if it has one.
pub(super) struct Worker {
    number: usize,
    queue: Arc<Queue>,
    live: Arc<Live>,
    terms: Arc<Terms>,
    idle: Arc<Idle>,
    cache: Option<Arc<Cache>>,
    metrics: Arc<Metrics>,
    /// Where it goes to be given a new thread.
    replace: Sender<Worker>,
}

impl Worker {
    /// A worker that has not begun.
    pub(super) fn new(
        number: usize,
        queue: Arc<Queue>,
        live: Arc<Live>,
        terms: Arc<Terms>,
        cache: Option<Arc<Cache>>,
        metrics: Arc<Metrics>,
        replace: Sender<Self>,
    ) -> Self {
        Self {
            number,
            queue,
            live,
            terms,
            cache,
            metrics,
            replace,
            idle: Arc::default(),
        }
    }

    /// The process that it has between two items.
    pub(super) fn idle(&self) -> &Arc<Idle> {
        &self.idle
    }

    /// Works on a thread of its own until the queue is closed, or until that thread is to be replaced.
    ///
    /// # Errors
    /// The system's, when it grants no more threads.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name(format!("worker-{}", self.number))
            .stack_size(STACK)
            .spawn(move || {
                if let Some(slowed) = self.run() {
                    let replace = slowed.replace.clone();
                    // Nobody listens any more when the pool ends.
                    let _ = replace.send(slowed);
                }
            })
    }

    fn run(mut self) -> Option<Self> {
        loop {
            let (client, mut running) = match self.queue.next(self.number) {
                Turn::Request(client, running) => (client, running),
                Turn::Slowed => {
                    self.metrics.restarted(Restart::Slowed);
                    match self.terms.isolation {
                        Isolation::Process => self.idle.end(),
                        Isolation::Thread => return Some(self),
                    }
                    continue;
                }
                Turn::End => return None,
            };
            let shared = Arc::clone(running.shared());
            match running.next_step() {
                Next::End => {
                    drop(running);
                    self.queue.finished(client);
                    shared.exhausted();
                }
                Next::Nothing => self.queue.put_back(client, running),
                Next::Gap(gap) => {
                    // A client that has gone is found out by the queue.
                    let _ = shared.event(Event::Gap(gap));
                    self.queue.put_back(client, running);
                }
                Next::Item(item) => {
                    shared.begin();
                    // Back into the queue first: others go on with the rest while this one scans.
                    self.queue.put_back(client, running);
                    self.metrics.busy.more();
                    self.item(item, &shared);
                    self.metrics.busy.less();
                }
            }
        }
    }

    fn item(&mut self, item: Item, shared: &Shared) {
        let begun = Instant::now();
        let generation = self.live.current();
        let epoch = generation.epoch.clone();
        let mut job = Job::new(
            item.path.clone(),
            item.depth,
            shared.options(),
            &self.terms.setup,
            epoch.clone(),
        );
        job.sha1 = shared.wants_sha1(item.depth);
        if self.terms.isolation == Isolation::Thread {
            self.queue.runs(self.number, Runner::Thread(gettid()));
        }
        let mut sink = ItemSink::new(shared);
        let outcome = match self.cache.clone() {
            Some(cache) => {
                let around = Around {
                    needs_names: generation.database.needs_names(),
                    is_believed: self.terms.isolation == Isolation::Thread,
                    cancel: shared.cancel(),
                    metrics: &self.metrics.clone(),
                };
                cache.answer_or(item, job, &around, &mut sink, |item, job, sink| {
                    self.scan(item, job, &generation, (shared, sink))
                })
            }
            None => self.scan(item, &job, &generation, (shared, &mut sink)),
        };
        self.count(&outcome, begun.elapsed());
        shared.end(outcome, epoch);
    }

    fn count(&self, outcome: &Outcome, time: Duration) {
        let metrics = &self.metrics;
        metrics.items.observe(time);
        metrics.objects.add(outcome.objects);
        metrics.bytes.add(outcome.bytes);
        for spent in &outcome.spent {
            // No more than there can have been, whatever a worker process says.
            let (bytes, time) = (spent.bytes.min(outcome.bytes), spent.time.min(time));
            let kind = usize::from(spent.kind);
            (metrics.expanders).count(kind, spent.containers.min(outcome.objects), bytes, time);
        }
    }

    fn scan(
        &mut self,
        item: Item,
        job: &Job,
        generation: &Arc<Generation>,
        (shared, sink): (&Shared, &mut dyn Sink),
    ) -> Outcome {
        match self.terms.isolation {
            Isolation::Thread => in_thread(item, job, generation, (shared, sink)),
            Isolation::Process => self.in_process(item, job, generation, (shared, sink)),
        }
    }

    fn in_process(
        &mut self,
        item: Item,
        job: &Job,
        generation: &Arc<Generation>,
        (shared, sink): (&Shared, &mut dyn Sink),
    ) -> Outcome {
        let current = self.idle.take(generation);
        let process = match current.map_or_else(|| Process::start(generation, &self.metrics), Ok) {
            Ok(process) => process,
            Err(error) => {
                error!(%error, "no worker process can be started");
                return crashed(shared, item.path, format!("no worker process: {error}"));
            }
        };
        self.queue.runs(self.number, process.runner());
        match process.scan(item.file, job, &generation.database, shared.cancel(), sink) {
            Ok((process, outcome)) => {
                self.idle.keep(process);
                // If the signatures were replaced meanwhile, nobody else looked at it.
                self.idle.retire(&self.live.current());
                outcome
            }
            Err(trouble) => self.gone(trouble, item.path, job, shared),
        }
    }

    /// What is left of an item whose worker process is gone.
    fn gone(&self, trouble: Trouble, path: ObjectPath, job: &Job, shared: &Shared) -> Outcome {
        self.metrics.restarted(match &trouble {
            Trouble::Cancelled => Restart::Cancelled,
            Trouble::Deadline(_) => Restart::Deadline,
            Trouble::Ended(_) => Restart::Crashed,
        });
        match trouble {
            Trouble::Cancelled | Trouble::Deadline(true) => Outcome::default(),
            Trouble::Deadline(false) => {
                let seconds = job.limits.deadline.as_secs_f64();
                let detail = format!("killed after {seconds} s");
                gap(shared, path, Reason::Deadline, detail)
            }
            Trouble::Ended(how) => {
                error!(%path, %how, "a worker process ended on an item");
                crashed(shared, path, how)
            }
        }
    }
}

fn in_thread(
    item: Item,
    job: &Job,
    generation: &Generation,
    (shared, sink): (&Shared, &mut dyn Sink),
) -> Outcome {
    let scan = AssertUnwindSafe(|| {
        scan::scan(item.file, job, &generation.database, shared.cancel(), sink)
    });
    // The last net: a panic on content is a bug, but it is one item's gap and not the daemon's end.
    catch_unwind(scan).unwrap_or_else(|_| {
        error!(path = %item.path, "a scan panicked");
        crashed(shared, item.path, "the scan panicked".to_owned())
    })
}

fn crashed(shared: &Shared, path: ObjectPath, how: String) -> Outcome {
    gap(shared, path, Reason::Crashed, how)
}

fn gap(shared: &Shared, path: ObjectPath, reason: Reason, detail: String) -> Outcome {
    let _ = shared.event(Event::Gap(Gap {
        path,
        reason,
        detail,
    }));
    Outcome::default()
}
