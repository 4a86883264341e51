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

use crate::request::{Request, Source, Wanted};

use super::lines::{LINE_LIMIT, Line, Lines};
use super::{Channel, Hello, Protocol, Step};
use crate::event::{Errno, Reason};
use crate::verdict::{JobId, Report};
pub use options::Settings;

use command::{Command, Intake, Parsed, Refusal, What};
use job::Job;
use reply::{ENDING, Reply};

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
    /// It is the server that reads no more, and not the peer that sends no more.
    cut_off: bool,
    lines: Lines,
    intake: Intake,
    /// The scan whose content comes inline. Bytes of it are taken while it is there.
    inline: Option<Inline>,
    settings: Settings,
    hello: Hello,
    jobs: HashMap<JobId, Job>,
    last_job: JobId,
    /// The request without an id that is in flight.
    turn: Option<JobId>,
    /// What waits for `turn`; empty without it.
    held: VecDeque<Held>,
    /// A step to give out at the next call.
    due: Option<Step>,
    /// Of `jobs` and `held`.
    weight: usize,
    /// The reply to QUIT, for when nothing is pending any more.
    farewell: Vec<u8>,
}

#[derive(Debug)]
enum Held {
    Replies(Vec<u8>),
    Scan(Box<Ask>),
}

/// A scan that is to begin.
#[derive(Debug)]
struct Ask {
    job: Job,
    request: Request,
    channel: Option<Channel>,
    /// With [`Channel::Inline`], how many bytes; `None` for all up to the end of the input.
    length: Option<u64>,
}

/// Content on its way behind its line.
#[derive(Debug, Clone, Copy)]
enum Inline {
    /// Its scan waits for its turn. Nothing is taken before.
    Held,
    /// For this job, so many bytes are to come, or all up to the end of the input; and so many have come.
    Open(JobId, Option<u64>, u64),
}

impl Svsp {
    /// A connection that was just accepted.
    pub fn new(hello: Hello) -> Self {
        Self {
            greeted: false,
            fresh: true,
            cut_off: false,
            lines: Lines::default(),
            intake: Intake::Commands,
            inline: None,
            settings: Settings::new(hello),
            hello,
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
            Command::Scan { name, what } => match self.ask(id, name, what) {
                Ok(ask) => self.scan(ask, out),
                Err(refusal) => self.refuse(id, &refusal, out),
            },
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

    /// What a scan comes to under the options as they stand.
    fn ask(&self, id: Option<&[u8]>, name: Vec<u8>, what: What) -> Result<Ask, Refusal> {
        let channel = match what {
            What::File | What::FileSha1 => None,
            What::Request => Some(Channel::Listen),
            What::Port(port) => Some(Channel::Dial(self.diallable(port)?)),
            What::Data(_) | What::Rest => Some(Channel::Inline),
        };
        let length = match what {
            What::Data(length) => Some(length),
            _ => None,
        };
        let details = self.settings.coverage();
        let weight = 2 * name.len() + self.settings.weight();
        let source = match channel {
            None => Source::Path(name),
            Some(_) => Source::Stream(name),
        };
        let job = Job::new(id, &source, details, weight);
        let request = Request {
            source,
            options: self.settings.snapshot(),
            sha1: what == What::FileSha1,
            details,
            findings: Wanted::All,
        };
        Ok(Ask {
            job,
            request,
            channel,
            length,
        })
    }

    /// A server that connects wherever it is told to is a tool for those who may not: system ports are out of reach.
    fn diallable(&self, port: u16) -> Result<u16, Refusal> {
        match self.hello.dial_from {
            None => Err(Refusal::unsupported("SCAN/PORT is switched off here")),
            Some(lowest) if port < lowest => Err(Refusal::invalid(format!(
                "SCAN/PORT connects to no port below {lowest}"
            ))),
            Some(_) => Ok(port),
        }
    }

    fn scan(&mut self, ask: Ask, out: &mut Vec<u8>) {
        if ask.job.is_relative() {
            return self.refuse_relative(ask.job, out);
        }
        self.weight += ask.job.weight;
        if ask.channel == Some(Channel::Inline) {
            self.inline = Some(Inline::Held);
        }
        if ask.job.id.is_none() && self.turn.is_some() {
            self.held.push_back(Held::Scan(Box::new(ask)));
        } else {
            self.start(ask, out);
        }
    }

    /// Answers for a name that is not absolute. It is not resolved: the daemon's own folder is nobody's business, and
    /// nobody's choice.
    fn refuse_relative(&mut self, mut job: Job, out: &mut Vec<u8>) {
        const ENOENT: Errno = Errno(2);
        let mut replies = Vec::new();
        job.write(&Reply::Queued, &mut replies);
        let reason = Reason::Unreadable(ENOENT);
        job.fail(reason, "not an absolute path", &mut replies);
        self.send(job.id.as_deref(), replies, out);
    }

    fn start(&mut self, ask: Ask, out: &mut Vec<u8>) {
        let Ask { job, request, .. } = ask;
        job.write(&Reply::Queued, out);
        self.last_job += 1;
        let number = self.last_job;
        if job.id.is_none() {
            self.turn = Some(number);
        }
        if ask.channel == Some(Channel::Inline) {
            job.write(&Reply::Send(None), out);
            self.inline = Some(Inline::Open(number, ask.length, 0));
        }
        self.jobs.insert(number, job);
        self.due = Some(match ask.channel {
            None => Step::Scan(number, request),
            Some(channel) => Step::Receive(number, request, channel),
        });
    }

    fn ended(&mut self, number: JobId, out: &mut Vec<u8>) {
        let weight = self.jobs.remove(&number).map_or(0, |job| job.weight);
        self.weight = self.weight.saturating_sub(weight);
        if self.jobs.is_empty() {
            // An idle connection keeps no memory of a busy time.
            self.jobs.shrink_to_fit();
        }
        if let Some(Inline::Open(job, length, come)) = self.inline
            && job == number
        {
            // Its content came to nothing, and is content all the same.
            self.inline = None;
            self.intake = match length {
                Some(length) => Intake::Data(length.saturating_sub(come)),
                None => Intake::Rest,
            };
        }
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
                Held::Scan(ask) => self.start(*ask, out),
            }
        }
    }

    /// Takes content of the scan that it belongs to.
    fn content(
        &mut self,
        inline: Inline,
        input: &mut BytesMut,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Step {
        let Inline::Open(job, length, come) = inline else {
            return Step::Wait;
        };
        let left = length.map_or(u64::MAX, |length| length - come);
        if left == 0 {
            self.inline = None;
            return Step::Complete(job);
        }
        if !input.is_empty() {
            let take = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
            self.inline = Some(Inline::Open(job, length, come + take as u64));
            return Step::Content(job, input.split_to(take).freeze());
        }
        const ENODATA: Errno = Errno(61);
        match (ended, length) {
            (false, _) => Step::Read,
            (true, _) if self.cut_off => {
                self.fail(job, Reason::Deadline, ENDING, out);
                Step::Forget(job)
            }
            (true, None) => {
                self.inline = None;
                self.intake = Intake::Nothing;
                Step::Complete(job)
            }
            (true, Some(length)) => {
                let how = format!("{come} of {length} bytes came");
                self.fail(job, Reason::Unreadable(ENODATA), &how, out);
                Step::Forget(job)
            }
        }
    }

    fn fail(&mut self, number: JobId, reason: Reason, detail: &str, out: &mut Vec<u8>) {
        if let Some(job) = self.jobs.get_mut(&number) {
            job.fail(reason, detail, out);
            self.ended(number, out);
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
            if let Some(step) = self.due.take() {
                return step;
            }
            if let Some(inline) = self.inline {
                return self.content(inline, input, ended, out);
            }
            if self.is_full() {
                return Step::Wait;
            }
            match self.intake {
                // A line without its end is one if the peer ended it so.
                Intake::Commands => match self.lines.take(input, ended && !self.cut_off) {
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

    fn opened(&mut self, job: JobId, port: u16, out: &mut Vec<u8>) {
        if let Some(job) = self.jobs.get(&job) {
            job.write(&Reply::Send(Some(port)), out);
        }
    }

    fn cut_off(&mut self) {
        self.cut_off = true;
    }

    fn abandon(&mut self, out: &mut Vec<u8>) {
        // Each end may start the next scan that was held back, which is ended in its turn.
        while let Some(job) = self.jobs.keys().min().copied() {
            if let Some(running) = self.jobs.get_mut(&job) {
                running.fail(Reason::Deadline, ENDING, out);
            }
            self.ended(job, out);
        }
        self.inline = None;
        self.intake = Intake::Nothing;
        self.due = None;
        out.append(&mut self.farewell);
    }
}
