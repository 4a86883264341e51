//! The worker as a process of its own: the same binary again, told by one argument, with a socket as its standard
//! input.
//!
//! It is killed at the deadline, limited in memory, and what it reports is checked: it looked at hostile content, so it
//! is believed no further than its messages make sense.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};

use super::message::{FROM_WORKER, FromWorker, TO_WORKER, ToWorker};
use super::priority::Runner;
use crate::beside::STACK;
use crate::database::{Generation, attach};
use crate::engine::Database;
use crate::event::{Event, Reason, Sink};
use crate::frame::{receive, receive_with, send, send_with};
use crate::metrics::Metrics;
use crate::path::ObjectPath;
use crate::scan::{self, Job, Outcome};
use crate::stop::{Cancel, Stop, Stopped};

/// The one argument that makes a program of this package a worker process.
pub const WORKER_ARGUMENT: &str = "--internal-worker";

/// How often a wait for the worker process looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(50);

/// What a worker process has beyond the deadline to say itself where it was.
const GRACE: Duration = Duration::from_millis(50);

/// How long a worker process may take to open its signatures. They are there; only the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// How long a process may take to be gone once its socket is closed.
const EXIT: Duration = Duration::from_secs(1);

/// A worker process that is ready for an item. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    socket: UnixStream,
    /// The signatures that it has.
    generation: Weak<Generation>,
    /// Where it is counted among the processes.
    metrics: Arc<Metrics>,
}

/// Why an item got no answer from a worker process. The process is gone in each case.
pub(super) enum Trouble {
    /// Nobody wants the answer any more.
    Cancelled,
    /// It was killed at the deadline; true if it had said so itself before.
    Deadline(bool),
    /// It ended by itself, or it said what makes no sense.
    Ended(String),
}

impl Process {
    /// Starts a process that shares the signatures.
    pub(super) fn start(generation: &Arc<Generation>, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(std::env::current_exe()?)
            .arg(WORKER_ARGUMENT)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            // Signals from a terminal are the daemon's to answer.
            .process_group(0)
            .spawn()?;
        metrics.process_began(Pid::from_child(&child).as_raw_pid());
        let mut process = Self {
            child,
            socket: ours,
            generation: Arc::downgrade(generation),
            metrics: Arc::clone(metrics),
        };
        send_with(&mut process.socket, &ToWorker::Image, &generation.image)?;
        let stop = Stop::after(START, Cancel::default());
        match process.receive(&stop) {
            Ok(FromWorker::Ready(count)) if count == generation.database.count() as u64 => {
                Ok(process)
            }
            Ok(other) => Err(io::Error::other(format!("instead of ready: {other:?}"))),
            Err(error) => Err(io::Error::other(process.ended(&error))),
        }
    }

    /// What has its priority.
    pub(super) fn runner(&self) -> Runner {
        Runner::Process(Pid::from_child(&self.child))
    }

    /// Tells whether it is alive and has these signatures.
    pub(super) fn serves(&mut self, generation: &Arc<Generation>) -> bool {
        std::ptr::eq(self.generation.as_ptr(), Arc::as_ptr(generation))
            && matches!(self.child.try_wait(), Ok(None))
    }

    /// Has an item scanned. The process comes back with the outcome, if it is fit for another.
    pub(super) fn scan(
        mut self,
        file: File,
        job: &Job,
        database: &Database,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(Self, Outcome), Trouble> {
        let stop = Stop::after(job.limits.deadline + GRACE, cancel.clone());
        let request = ToWorker::Scan(Box::new(job.clone()));
        send_with(&mut self.socket, &request, &file)
            .map_err(|error| Trouble::Ended(self.ended(&error)))?;
        let mut said = false;
        loop {
            match self.receive(&stop) {
                Ok(FromWorker::Event(event)) if is_sensible(&event, job, database) => {
                    said |= matches!(&event, Event::Gap(gap) if gap.reason == Reason::Deadline);
                    if sink.event(event) == ControlFlow::Break(()) {
                        return Err(Trouble::Cancelled);
                    }
                }
                Ok(FromWorker::Ended(outcome)) => return Ok((self, outcome)),
                Ok(other) => {
                    return Err(Trouble::Ended(format!(
                        "the worker process reported {other:.200?}"
                    )));
                }
                Err(error) => return Err(self.trouble(&stop, said, &error)),
            }
        }
    }

    fn receive(&mut self, stop: &Stop) -> io::Result<FromWorker> {
        self.socket.set_read_timeout(Some(GLANCE))?;
        receive(
            &mut Patient {
                socket: &self.socket,
                stop,
            },
            FROM_WORKER,
        )
    }

    fn trouble(&mut self, stop: &Stop, said: bool, error: &io::Error) -> Trouble {
        match stop.check() {
            Err(Stopped::Cancelled) => Trouble::Cancelled,
            Err(Stopped::Deadline) => Trouble::Deadline(said),
            Ok(()) => Trouble::Ended(self.ended(error)),
        }
    }

    /// How the process ended, for people.
    fn ended(&mut self, error: &io::Error) -> String {
        let patience = Instant::now() + EXIT;
        while Instant::now() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return match status.signal() {
                    Some(6) => {
                        "the worker process aborted (signal 6), as it does when memory runs out"
                            .to_owned()
                    }
                    _ => format!("the worker process ended: {status}"),
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        format!("the worker process does not answer: {error}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.metrics
            .process_ended(Pid::from_child(&self.child).as_raw_pid());
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a socket that has a short time-out, until it is time to stop.
struct Patient<'a> {
    socket: &'a UnixStream,
    stop: &'a Stop,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stop.check().map_err(|_| io::ErrorKind::TimedOut)?;
                }
                done => return done,
            }
        }
    }
}

/// Tells whether a report can be true: it is about the item, its names are no longer than names can be, and its
/// signature exists.
fn is_sensible(event: &Event, job: &Job, database: &Database) -> bool {
    match event {
        Event::Scanning(path) => is_within(path, job),
        Event::Described(_) => false,
        Event::Finding(finding) => {
            is_within(&finding.path, job) && database.knows(&finding.signature)
        }
        Event::Gap(gap) => is_within(&gap.path, job) && is_one_line(&gap.detail),
        Event::Note(note) => is_within(&note.path, job) && is_one_line(&note.detail),
    }
}

fn is_within(path: &ObjectPath, job: &Job) -> bool {
    path.elements().first() == job.path.elements().first()
        && path.elements().len() <= job.limits.depth as usize + 1
}

fn is_one_line(detail: &str) -> bool {
    detail.len() <= 4096
}

/// The whole life of a worker process.
pub fn worker_main() -> ExitCode {
    // On a thread of its own: the walk needs more stack than a process may start with.
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(serve);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // The daemon may be killed; nobody else would end this process then.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some((ToWorker::Image, Some(image))) = receive_with(&mut socket, TO_WORKER)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let database = attach(&File::from(image)).map_err(io::Error::other)?;
    send(&mut socket, &FromWorker::Ready(database.count() as u64))?;
    let mut limited = false;
    while let Some((ToWorker::Scan(job), Some(file))) = receive_with(&mut socket, TO_WORKER)? {
        if !limited {
            limit_memory(job.limits.memory)?;
            limited = true;
        }
        item(&mut socket, &job, File::from(file), &database)?;
    }
    Ok(())
}

fn item(socket: &mut UnixStream, job: &Job, file: File, database: &Database) -> io::Result<()> {
    let mut sink = |event: Event| match send(socket, &FromWorker::Event(event)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let outcome = scan::scan(file, job, database, &Cancel::default(), &mut sink);
    send(socket, &FromWorker::Ended(outcome))
}

/// Allows `more` bytes of memory beyond what the process has now.
fn limit_memory(more: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(address_space()?.saturating_add(more)),
        maximum: getrlimit(Resource::As).maximum,
    };
    setrlimit(Resource::As, limit)?;
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    Ok(())
}

/// The bytes of address space in use now (proc(5), statm, first field, in pages).
fn address_space() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split(' ')
        .next()
        .and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages * rustix::param::page_size() as u64)
}
