//! The protocol of ClamAV's daemon, as clamd 1.4.6 speaks it (clamd(8)).
//!
//! A connection is one command and its answer, or a session of numbered ones that run side by side.
//! docs/protocols/clamd.md is for users, and lists what is done otherwise than there.
#![forbid(unsafe_code)]

mod command;
mod job;
#[cfg(test)]
mod play;
mod said;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::{Channel, Hello, Order, Protocol, Status, Step};
use crate::event::{Errno, Reason};
use crate::kind;
use crate::request::{Options, Request, Source, Wanted};
use crate::verdict::{JobId, Report};
use command::{Framed, Framing, What};
use job::{Frame, Job, Origin};

/// How the protocol is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Mails and encoded text are opened, whatever else is not.
    pub mail: bool,
    /// Names of signatures end with `.UNOFFICIAL`, as those of all but ClamAV's makers do.
    pub unofficial: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            mail: false,
            unofficial: true,
        }
    }
}

/// Scans of a session in flight; with more, reading stops. With the longest paths they take 2 MiB.
const PENDING: usize = 256;

/// The detail of what a server that ends answers for.
const ENDING: &str = "the server is ending";

const ENOENT: Errno = Errno(2);
const ENODATA: Errno = Errno(61);

/// The server's side of one connection.
#[derive(Debug)]
pub struct Clamd {
    hello: Hello,
    options: Arc<Options>,
    framing: Framing,
    intake: Intake,
    /// The number of the last command of the session, if it is one.
    session: Option<u64>,
    jobs: HashMap<JobId, Job>,
    last_job: JobId,
    /// Who waits for how the server is, and for which part of it.
    asked: Option<(Frame, What)>,
    /// A step to give out at the next call.
    due: Option<Step>,
    /// It is the server that reads no more, and not the peer that sends no more.
    cut_off: bool,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy)]
enum Intake {
    /// So many bytes of a chunk of this scan.
    Chunk(JobId, u32),
    /// A command.
    Commands,
    /// The byte beside which the open file of FILDES comes.
    Descriptor(Frame),
    /// The length of the next chunk of this scan.
    Length(JobId),
    /// Of no meaning: when what is pending is answered the connection ends.
    Nothing,
}

impl Clamd {
    /// A connection that was just accepted.
    pub fn new(hello: Hello) -> Self {
        let mut options = Options {
            expand: hello.expand,
            ..Options::default()
        };
        if let Some(text) = kind::by_name(b"text").filter(|_| hello.clamd.mail) {
            options.expand.insert(text);
        }
        Self {
            hello,
            options: Arc::new(options),
            framing: Framing::default(),
            intake: Intake::Commands,
            session: None,
            jobs: HashMap::new(),
            last_job: 0,
            asked: None,
            due: None,
            cut_off: false,
        }
    }

    fn command(&mut self, framed: &Framed, out: &mut Vec<u8>) {
        let form = framed.form;
        let parsed = framed
            .text
            .as_ref()
            .map(|text| command::parse(form, text, self.session.is_some()));
        if let Some(Some((What::End, _))) = parsed {
            self.intake = Intake::Nothing;
            return;
        }
        if let Some(number) = &mut self.session {
            *number = number.saturating_add(1);
        }
        let frame = Frame {
            id: self.session,
            form,
        };
        // Outside of a session, nothing follows a command but what belongs to it.
        if self.session.is_none() {
            self.intake = Intake::Nothing;
        }
        match parsed {
            Some(Some((what, path))) => self.obey(frame, what, path, out),
            said => {
                self.intake = Intake::Nothing;
                let reply: &[u8] = match (said, self.session) {
                    (None, _) => b"Error processing command. ERROR",
                    (Some(_), None) => b"UNKNOWN COMMAND",
                    (Some(_), Some(_)) => b"Command invalid inside IDSESSION. ERROR",
                };
                frame.write(reply, out);
            }
        }
    }

    fn obey(&mut self, frame: Frame, what: What, path: &[u8], out: &mut Vec<u8>) {
        match what {
            What::Ping => frame.write(b"PONG", out),
            What::IdSession => {
                self.session = Some(0);
                self.intake = Intake::Commands;
            }
            What::Stats | What::Version | What::VersionCommands => {
                self.asked = Some((frame, what));
                self.due = Some(Step::Ask);
            }
            What::Scan(wanted) => self.scan(frame, path, wanted, out),
            What::InStream => {
                let (job, request) =
                    self.begin(frame, Origin::Stream, b"stream".to_vec(), Wanted::First);
                self.intake = Intake::Length(job);
                self.due = Some(Step::Receive(job, request, Channel::Inline));
            }
            What::Fildes => self.intake = Intake::Descriptor(frame),
            What::Order(_) if !self.hello.may_command => frame.write(b"COMMAND UNAVAILABLE", out),
            What::Order(order) => {
                if order == Order::Reload {
                    frame.write(b"RELOADING", out);
                }
                self.due = Some(Step::Order(order));
            }
            What::End | What::Silence => {}
        }
    }

    fn scan(&mut self, frame: Frame, path: &[u8], wanted: Wanted, out: &mut Vec<u8>) {
        let (job, request) = self.begin(frame, Origin::Path, path.to_vec(), wanted);
        if path.starts_with(b"/") {
            self.due = Some(Step::Scan(job, request));
            return;
        }
        // The daemon's own folder is nobody's business, and nobody's choice.
        self.fail(
            job,
            Reason::Unreadable(ENOENT),
            "No such file or directory",
            out,
        );
    }

    fn begin(
        &mut self,
        frame: Frame,
        origin: Origin,
        label: Vec<u8>,
        wanted: Wanted,
    ) -> (JobId, Request) {
        self.last_job += 1;
        let unofficial = self.hello.clamd.unofficial;
        let job = Job::new(frame, origin, &label, wanted, unofficial);
        self.jobs.insert(self.last_job, job);
        let request = Request {
            source: match origin {
                Origin::Path => Source::Path(label),
                Origin::Descriptor | Origin::Stream => Source::Stream(label),
            },
            options: Arc::clone(&self.options),
            sha1: false,
            details: origin == Origin::Path,
            findings: wanted,
        };
        (self.last_job, request)
    }

    /// Takes the byte beside which an open file comes.
    fn descriptor(&mut self, frame: Frame, input: &mut BytesMut, ended: bool) -> Step {
        match (input.is_empty(), ended) {
            (true, false) => return Step::Read,
            // Without its byte there is no file: the next step says so.
            (true, true) => {}
            (false, _) => input.advance(1),
        }
        self.intake = match self.session {
            Some(_) => Intake::Commands,
            None => Intake::Nothing,
        };
        let label = format!("fd[{}]", frame.id.unwrap_or(1)).into_bytes();
        let (job, request) = self.begin(frame, Origin::Descriptor, label, Wanted::First);
        Step::Passed(job, request)
    }

    /// Takes the length of a chunk.
    fn length(
        &mut self,
        job: JobId,
        input: &mut BytesMut,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        if input.len() < 4 {
            return Some(self.no_more(job, ended, out));
        }
        match input.get_u32() {
            0 => {
                self.intake = match self.session {
                    Some(_) => Intake::Commands,
                    None => Intake::Nothing,
                };
                Some(Step::Complete(job))
            }
            length => {
                self.intake = Intake::Chunk(job, length);
                None
            }
        }
    }

    /// Takes bytes of a chunk.
    fn chunk(
        &mut self,
        job: JobId,
        left: u32,
        input: &mut BytesMut,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Step {
        if input.is_empty() {
            return self.no_more(job, ended, out);
        }
        let take = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left.saturating_sub(u32::try_from(take).unwrap_or(left));
        self.intake = match left {
            0 => Intake::Length(job),
            left => Intake::Chunk(job, left),
        };
        Step::Content(job, input.split_to(take).freeze())
    }

    /// The step when content has no more bytes for now. At the end of the input it never will: half a file is not
    /// scanned for a whole one, and who sent it is told.
    fn no_more(&mut self, job: JobId, ended: bool, out: &mut Vec<u8>) -> Step {
        if !ended {
            return Step::Read;
        }
        match self.cut_off {
            true => self.fail(job, Reason::Deadline, ENDING, out),
            false => {
                let detail = "the content has no end";
                self.fail(job, Reason::Unreadable(ENODATA), detail, out);
            }
        }
        Step::Forget(job)
    }

    fn fail(&mut self, number: JobId, reason: Reason, detail: &str, out: &mut Vec<u8>) {
        if let Some(job) = self.jobs.get(&number) {
            job.fail(reason, detail, out);
            self.ended(number);
        }
    }

    fn ended(&mut self, number: JobId) {
        self.jobs.remove(&number);
        if self.jobs.is_empty() {
            // An idle connection keeps no memory of a busy time.
            self.jobs.shrink_to_fit();
        }
        if let Intake::Length(job) | Intake::Chunk(job, _) = self.intake
            && job == number
        {
            // Its content came to nothing, and nobody can tell how much of it is still to come.
            self.intake = Intake::Nothing;
        }
    }

    /// The step when the input has nothing more to take.
    fn idle(&self, ended: bool) -> Step {
        match (ended, self.jobs.is_empty()) {
            (false, _) => Step::Read,
            (true, false) => Step::Wait,
            (true, true) => Step::Close,
        }
    }
}

impl Protocol for Clamd {
    fn receive(&mut self, input: &mut BytesMut, ended: bool, out: &mut Vec<u8>) -> Step {
        loop {
            if let Some(step) = self.due.take() {
                return step;
            }
            match self.intake {
                Intake::Chunk(job, left) => return self.chunk(job, left, input, ended, out),
                Intake::Length(job) => {
                    if let Some(step) = self.length(job, input, ended, out) {
                        return step;
                    }
                }
                Intake::Descriptor(frame) => return self.descriptor(frame, input, ended),
                Intake::Commands if self.jobs.len() >= PENDING => return Step::Wait,
                Intake::Commands => match self.framing.take(input) {
                    Some(framed) => self.command(&framed, out),
                    None => return self.idle(ended),
                },
                Intake::Nothing => {
                    // Read all the same, so that it is seen when the peer goes away.
                    input.clear();
                    return self.idle(ended || self.jobs.is_empty());
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
            self.ended(job);
        }
    }

    fn opened(&mut self, _job: JobId, _port: u16, _out: &mut Vec<u8>) {}

    fn cut_off(&mut self) {
        self.cut_off = true;
    }

    fn status(&mut self, status: &Status, out: &mut Vec<u8>) {
        let Some((frame, what)) = self.asked.take() else {
            return;
        };
        let reply = match what {
            What::Stats => said::stats(status),
            What::VersionCommands => said::version_and_commands(status),
            _ => said::version(status),
        };
        frame.write(reply.as_bytes(), out);
    }

    fn abandon(&mut self, out: &mut Vec<u8>) {
        let mut jobs: Vec<_> = self.jobs.drain().collect();
        jobs.sort_unstable_by_key(|(number, _)| *number);
        for (_, job) in jobs {
            job.fail(Reason::Deadline, ENDING, out);
        }
        self.intake = Intake::Nothing;
        self.due = None;
    }
}
