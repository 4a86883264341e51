//! SVSP, the Simple Virus Scanning Protocol (spec-vfind.md §1).
//!
//! Requests with an id run side by side; those without cannot be told apart by their replies, so each of them, and
//! each reply to a line without an id, waits for the one before (§1.8, 14). docs/protocols/svsp.md is for users.
#![forbid(unsafe_code)]

mod command;
mod job;
mod options;
#[cfg(test)]
mod random;
pub mod reply;
#[cfg(test)]
mod transcript;

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, BytesMut};

use crate::request::{Request, Source};

use super::lines::{LINE_LIMIT, Line, Lines};
use super::{Hello, Protocol, Step};
use crate::verdict::{JobId, Report};
use command::{Command, Intake, Parsed, Refusal};
use job::Job;
use options::Settings;
use reply::Reply;

/// Requests in flight and replies held back on one connection; with more, reading stops. The paper lets clients send
/// as much as they like (§1.8, 13), and a queue has an end.
const PENDING: usize = 256;

/// Bytes of names, options and replies that these may take together: a connection must not fill memory by sending
/// long names, or by changing long lists of options between requests.
const WEIGHT: usize = 4 * 1024 * 1024;

/// The server's side of one SVSP connection.
#[derive(Debug)]
pub struct Svsp {
    greeted: bool,
    /// No line was read but blank ones.
    fresh: bool,
    lines: Lines,
    intake: Intake,
    settings: Settings,
    jobs: HashMap<JobId, Job>,
    last_job: JobId,
    /// The request without an id that is in flight.
    turn: Option<JobId>,
    /// What waits for `turn`; empty without it.
    held: VecDeque<Held>,
    /// A scan to give out at the next call.
    due: Option<(JobId, Request)>,
    /// Of `jobs` and `held`.
    weight: usize,
    /// The reply to QUIT, for when nothing is pending any more.
    farewell: Vec<u8>,
}

#[derive(Debug)]
enum Held {
    Replies(Vec<u8>),
    Scan(Box<(Job, Request)>),
}

impl Svsp {
    /// A connection that was just accepted.
    pub fn new(hello: Hello) -> Self {
        Self {
            greeted: false,
            fresh: true,
            lines: Lines::default(),
            intake: Intake::Commands,
            settings: Settings::new(hello),
            jobs: HashMap::new(),
            last_job: 0,
            turn: None,
            held: VecDeque::new(),
            due: None,
            weight: 0,
            farewell: Vec::new(),
        }
    }

    /// Writes the greeting if it is not written yet. The first [`receive`](Protocol::receive) does it too.
    pub fn greet(&mut self, out: &mut Vec<u8>) {
        if !self.greeted {
            self.greeted = true;
            Reply::Ready(String::new()).write(None, out);
        }
    }

    /// Never true with nothing in flight, so that waiting for a report always ends.
    fn is_full(&self) -> bool {
        let pending = self.jobs.len() + self.held.len();
        pending >= PENDING || (pending > 0 && self.weight >= WEIGHT)
    }

    /// The step when the input has nothing more to take.
    fn idle(&self, ended: bool) -> Step {
        match (ended, self.jobs.is_empty()) {
            (false, _) => Step::Read,
            (true, false) => Step::Wait,
            (true, true) => Step::Close,
        }
    }

    fn line(&mut self, line: &Line, out: &mut Vec<u8>) {
        let (bytes, parsed) = match line {
            Line::TooLong(head) => (head, Some(command::too_long(head, LINE_LIMIT))),
            Line::Whole(line) => (line, command::parse(line)),
        };
        let Some(Parsed { id, command }) = parsed else {
            return;
        };
        if std::mem::take(&mut self.fresh) && command::is_http(bytes) {
            self.intake = Intake::Nothing;
            return;
        }
        match command {
            Ok(command) => self.command(id, command, out),
            Err(refusal) => self.refuse(id, &refusal, out),
        }
    }

    fn command(&mut self, id: Option<&[u8]>, command: Command<'_>, out: &mut Vec<u8>) {
        match command {
            Command::Option { on, name, value } => match self.settings.apply(on, name, value) {
                Ok(text) => self.answer(id, &Reply::Ok(text.to_owned()), out),
                Err(refusal) => self.refuse(id, &refusal, out),
            },
            Command::Quit => {
                Reply::Ok(String::new()).write(id, &mut self.farewell);
                self.intake = Intake::Nothing;
            }
            Command::Scan { name, sha1 } => self.scan(id, name, sha1, out),
        }
    }

    fn refuse(&mut self, id: Option<&[u8]>, refusal: &Refusal, out: &mut Vec<u8>) {
        self.intake = refusal.intake;
        self.answer(id, &refusal.reply(), out);
    }

    fn answer(&mut self, id: Option<&[u8]>, reply: &Reply, out: &mut Vec<u8>) {
        let mut replies = Vec::new();
        reply.write(id, &mut replies);
        self.send(id, replies, out);
    }

    /// Sends complete lines now, or in their turn.
    fn send(&mut self, id: Option<&[u8]>, replies: Vec<u8>, out: &mut Vec<u8>) {
        if id.is_some() || self.turn.is_none() {
            out.extend_from_slice(&replies);
        } else {
            self.weight += replies.len();
            self.held.push_back(Held::Replies(replies));
        }
    }

    fn scan(&mut self, id: Option<&[u8]>, name: Vec<u8>, sha1: bool, out: &mut Vec<u8>) {
        let details = self.settings.coverage();
        let weight = 2 * name.len() + self.settings.weight();
        let mut job = Job::new(id, name.clone(), details, weight);
        if !name.starts_with(b"/") {
            let mut replies = Vec::new();
            job.refuse_relative(&mut replies);
            return self.send(id, replies, out);
        }
        let request = Request {
            source: Source::Path(name),
            options: self.settings.snapshot(),
            sha1,
            details,
        };
        self.weight += weight;
        if id.is_none() && self.turn.is_some() {
            self.held.push_back(Held::Scan(Box::new((job, request))));
        } else {
            self.start(job, request, out);
        }
    }

    fn start(&mut self, job: Job, request: Request, out: &mut Vec<u8>) {
        job.write(&Reply::Queued, out);
        self.last_job += 1;
        if job.id.is_none() {
            self.turn = Some(self.last_job);
        }
        self.jobs.insert(self.last_job, job);
        self.due = Some((self.last_job, request));
    }

    fn ended(&mut self, number: JobId, out: &mut Vec<u8>) {
        let weight = self.jobs.remove(&number).map_or(0, |job| job.weight);
        self.weight = self.weight.saturating_sub(weight);
        if self.turn != Some(number) {
            return;
        }
        self.turn = None;
        while self.turn.is_none()
            && let Some(next) = self.held.pop_front()
        {
            match next {
                Held::Replies(replies) => {
                    self.weight = self.weight.saturating_sub(replies.len());
                    out.extend_from_slice(&replies);
                }
                Held::Scan(scan) => self.start(scan.0, scan.1, out),
            }
        }
    }

    /// Drops what is content of a refused request; the step to end with if there is no more of the input.
    fn discard(&mut self, left: u64, input: &mut BytesMut, ended: bool) -> Option<Step> {
        let length = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        input.advance(length);
        let left = left.saturating_sub(length as u64);
        if left > 0 {
            self.intake = Intake::Data(left);
            return Some(self.idle(ended));
        }
        self.intake = Intake::Commands;
        None
    }
}

impl Protocol for Svsp {
    fn receive(&mut self, input: &mut BytesMut, ended: bool, out: &mut Vec<u8>) -> Step {
        self.greet(out);
        loop {
            if let Some((job, request)) = self.due.take() {
                return Step::Scan(job, request);
            }
            if self.is_full() {
                return Step::Wait;
            }
            match self.intake {
                Intake::Commands => match self.lines.take(input, ended) {
                    Some(line) => self.line(&line, out),
                    None => return self.idle(ended),
                },
                Intake::Data(left) => {
                    if let Some(step) = self.discard(left, input, ended) {
                        return step;
                    }
                }
                Intake::Rest => {
                    input.clear();
                    return self.idle(ended);
                }
                Intake::Nothing => {
                    input.clear();
                    if self.jobs.is_empty() {
                        out.append(&mut self.farewell);
                    }
                    return self.idle(true);
                }
            }
        }
    }

    fn report(&mut self, job: JobId, report: &Report, out: &mut Vec<u8>) {
        let Some(running) = self.jobs.get_mut(&job) else {
            return;
        };
        running.report(report, out);
        if matches!(report, Report::Ended(_)) {
            self.ended(job, out);
        }
    }

    fn abandon(&mut self, out: &mut Vec<u8>) {
        self.intake = Intake::Nothing;
        // Each end may start the next scan that was held back, which is ended in its turn.
        while let Some(job) = self.jobs.keys().min().copied() {
            let path = self.jobs.get(&job).map(|job| job.path.clone());
            let summary = job::abandoned(path.unwrap_or_default());
            self.report(job, &Report::Ended(Box::new(summary)), out);
        }
        self.due = None;
        out.append(&mut self.farewell);
    }
}
