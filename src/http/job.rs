//! One scan that nobody waits for on a connection: how far it is, what it has said, and what came of it.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::guard::Who;
use super::problem::Problem;
use crate::verdict::{self, FoundRecord, PartRecord, Record, Report};

/// Events that are kept of a job; of objects that were begun, half as many. The record has all that matters.
const EVENTS: usize = 2_000;

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    /// By which it is asked for; nobody can guess it.
    pub(super) id: String,
    /// Who may ask.
    pub(super) owner: Who,
    /// Ends it before its time.
    pub(super) cancel: CancellationToken,
    progress: Mutex<Progress>,
    /// How many events there are.
    told: watch::Sender<usize>,
}

#[derive(Debug)]
struct Progress {
    state: State,
    events: Vec<Arc<str>>,
    record: Option<Record>,
    /// Why there is no record.
    problem: Option<String>,
    ended: Option<Instant>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It waits, or is being scanned.
    Running,
    /// It has a verdict.
    Done,
    /// It was ended before it had one.
    Cancelled,
    /// It never will have one.
    Failed,
}

impl Job {
    /// A job that begins.
    pub(super) fn new(id: String, owner: Who) -> Self {
        Self {
            id,
            owner,
            cancel: CancellationToken::new(),
            progress: Mutex::new(Progress {
                state: State::Running,
                events: Vec::new(),
                record: None,
                problem: None,
                ended: None,
            }),
            told: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a report says for those who listen.
    pub(super) fn tell(&self, report: &Report) {
        let kept = self.lock().events.len();
        let (name, data, most) = match report {
            Report::Scanning(path) => {
                let path = verdict::elements(path);
                ("scanning", json!({ "path": path }), EVENTS / 2)
            }
            Report::Finding(finding) => ("finding", json!(FoundRecord::from(finding)), EVENTS),
            Report::Gap(gap, passes) => {
                let part = PartRecord::new(&gap.path, gap.reason.to_string(), gap.detail.clone());
                ("gap", json!(part.passing(*passes)), EVENTS)
            }
            Report::Note(note) => {
                let part = PartRecord::new(&note.path, note.kind.to_string(), note.detail.clone());
                ("note", json!(part), EVENTS)
            }
            Report::Ended(_) => return,
        };
        if kept < most {
            self.event(name, &data);
        }
    }

    fn event(&self, name: &str, data: &Value) {
        let mut progress = self.lock();
        let count = progress.push(name, data);
        drop(progress);
        self.told.send_replace(count);
    }

    /// Ends it, with what came of it; `None` if it was cancelled.
    pub(super) fn end(&self, result: Option<Result<Record, Problem>>) {
        let mut progress = self.lock();
        (progress.state, progress.record, progress.problem) = match result {
            Some(Ok(record)) => (State::Done, Some(record), None),
            Some(Err(problem)) => (State::Failed, None, Some(problem.detail().to_owned())),
            None => (State::Cancelled, None, None),
        };
        // In one go, for nothing comes behind the last event.
        progress.ended = Some(Instant::now());
        let shown = progress.shown(&self.id);
        let count = progress.push("end", &shown);
        drop(progress);
        self.told.send_replace(count);
    }

    /// How long ago it ended, if it has.
    pub(super) fn ended(&self) -> Option<Duration> {
        self.lock().ended.map(|ended| ended.elapsed())
    }

    /// What there is to say of it.
    pub(super) fn shown(&self) -> Value {
        self.lock().shown(&self.id)
    }

    /// Listens for events.
    pub(super) fn listen(&self) -> watch::Receiver<usize> {
        self.told.subscribe()
    }

    /// The event with this number, from 1, and whether it is the last that will ever be.
    pub(super) fn heard(&self, number: usize) -> Option<(Arc<str>, bool)> {
        let progress = self.lock();
        let event = progress.events.get(number.checked_sub(1)?)?;
        let is_last = progress.ended.is_some() && number == progress.events.len();
        Some((Arc::clone(event), is_last))
    }
}

impl Progress {
    /// Adds an event, and gives the count of all.
    fn push(&mut self, name: &str, data: &Value) -> usize {
        let number = self.events.len() + 1;
        let event = format!("id: {number}\nevent: {name}\ndata: {data}\n\n");
        self.events.push(event.into());
        number
    }

    fn shown(&self, id: &str) -> Value {
        json!({
            "id": id,
            "state": self.state,
            "verdict": self.record,
            "problem": self.problem,
        })
    }
}
