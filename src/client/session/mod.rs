//! A conversation with an SVSP server, without IO: lines, times and requests in, commands and [`Event`]s out.
//!
//! It greets, probes for our extension COVERAGE (an old server answers EINVAL, and is then asked as the paper of 2011
//! asks), sets the options, keeps up to [`WINDOW`] numbered requests in flight, and sorts the replies by their ids. What
//! is still open when the connection ends is given back: silence is never `clean`.
#![forbid(unsafe_code)]

mod open;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub use self::open::Broken;
use self::open::{Open, Step};
use super::answer::Answer;
use super::command::{COMMAND_LIMIT, PROBE, scan_file, scan_request};
use super::settings::Setting;
use crate::gateway::svsp::reply::{Reply, is_error, parse};
use crate::path::printable;
use crate::verdict::Record;

/// Requests in flight: enough to keep every core of a server busy, few enough that a lost connection loses little.
pub const WINDOW: usize = 32;

/// Unexpected lines that are worth a warning each; a peer that is no SVSP server has no end of them.
const WARNINGS: usize = 10;

/// The bytes of a server's line that are kept in a message for people.
const SHOWN: usize = 200;

/// What comes out of a session beside commands.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A request has its answer.
    Ended(Ended),
    /// Requests may be asked.
    Opened {
        /// The server said that it has no other signatures.
        test_signatures_only: bool,
    },
    /// The server waits for the content of request `id` at this port of its address.
    Send {
        /// Which request.
        id: u64,
        /// Where.
        port: u16,
    },
    /// Something that the user should know and no record says.
    Warning(String),
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which request.
    pub id: u64,
    /// The answer.
    pub record: Box<Record>,
    /// It was not scanned, for reasons that pass: asking again may help.
    pub again: bool,
}

/// Why a session never began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The server does not want us, or is none; in words.
    Server(String),
    /// The server does not take an option; in words.
    Option(String),
}

/// One connection's half of the conversation.
#[derive(Debug)]
pub struct Session {
    state: State,
    options: VecDeque<Setting>,
    window: usize,
    unsent: Vec<u8>,
    open: BTreeMap<u64, Open>,
    events: VecDeque<Event>,
    unexpected: usize,
    /// Probes after the first that are not answered yet.
    probes: usize,
    objects: u64,
    /// Why nothing more of this server is believed.
    nonsense: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The server has not spoken yet.
    Greeting,
    /// The probe is out.
    Probing,
    /// The options are on their way, one at a time.
    Setting {
        coverage: bool,
        test_signatures_only: bool,
    },
    /// Requests are asked and answered.
    Ready { coverage: bool },
    /// The connection ended.
    Lost,
    /// There is nothing to ask this server.
    Refused(Refusal),
}

impl Session {
    /// A session that enables these options first, and then takes up to `window` requests.
    pub fn new(options: Vec<Setting>, window: usize) -> Self {
        Self {
            state: State::Greeting,
            options: options.into(),
            window: window.max(1),
            unsent: Vec::new(),
            open: BTreeMap::new(),
            events: VecDeque::new(),
            unexpected: 0,
            probes: 0,
            objects: 0,
            nonsense: None,
        }
    }

    /// Takes one line of the server, without its line end. After [`Session::nonsense`] lines mean nothing.
    pub fn receive(&mut self, line: &[u8], now_ms: u64) {
        if line.is_empty() || self.nonsense.is_some() {
            return;
        }
        match self.state {
            State::Greeting => self.greeting(line),
            State::Probing => self.probed(line),
            State::Setting { .. } => self.set(line),
            State::Ready { .. } => self.reply(line, now_ms),
            State::Lost | State::Refused(_) => self.unexpected(line),
        }
    }

    /// Appends the commands that can be sent now.
    pub fn commands(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.unsent);
    }

    /// What happened, in its order.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many requests can be asked now. The original server leaves commands lying that came in one segment with another
    /// (spec-vfind.md §1.8, row 12), and asks its clients to wait until a request is accepted; ours takes all at once.
    pub fn room(&self) -> usize {
        match self.state {
            State::Ready { coverage: true } => self.window.saturating_sub(self.open.len()),
            State::Ready { coverage: false } => usize::from(
                self.open.len() < self.window && self.open.values().all(Open::is_accepted),
            ),
            _ => 0,
        }
    }

    /// Asks for a file or folder of the server's machine by its absolute name, or for a content that is to be sent. The id
    /// must not be open.
    pub fn ask(&mut self, id: u64, label: Bytes, upload: bool, now_ms: u64) {
        let covered = self.state == State::Ready { coverage: true };
        let answer = Answer::new(id, label.clone(), now_ms);
        let mut answer = answer.with_coverage(covered).of_content(upload);
        let command = if upload {
            scan_request(id, &label)
        } else {
            scan_file(id, &label)
        };
        if command.len() > COMMAND_LIMIT {
            answer.fail(format!(
                "the name is longer than a command of {COMMAND_LIMIT} bytes"
            ));
            let record = Box::new(answer.into_record(now_ms));
            self.events.push_back(Event::Ended(Ended {
                id,
                record,
                again: false,
            }));
            return;
        }
        self.unsent.extend_from_slice(&command);
        let open = Open::new(answer, upload);
        self.open.insert(id, open);
    }

    /// Tells how the sending of a content ended; `Ok` with what the user should know about it.
    pub fn uploaded(&mut self, id: u64, outcome: Result<Option<String>, Broken>, now_ms: u64) {
        let open = self.open.get_mut(&id);
        if let Some(again) = open.and_then(|open| open.uploaded(outcome, now_ms)) {
            self.finish(id, again, now_ms);
        }
    }

    /// Asks for a sign of life: a command that changes nothing and is answered at once.
    pub fn probe(&mut self) {
        self.probes += 1;
        self.unsent.extend_from_slice(PROBE);
    }

    /// Tells whether the server owes the end of a request for longer than this, whose content it can no longer get, or to
    /// which it said something that cannot be understood, and then no more.
    pub fn is_overdue(&self, now_ms: u64, after_ms: u64) -> bool {
        let mut due = self.open.values().filter_map(Open::due_ms);
        due.any(|since_ms| now_ms.saturating_sub(since_ms) > after_ms)
    }

    /// Why the connection is of no more use, where the server said what may have been about any of the requests, or more
    /// than there is to say.
    pub fn nonsense(&self) -> Option<&str> {
        self.nonsense.as_deref()
    }

    /// Tells that the connection ended: what is open is given back as far as it is known, never clean.
    pub fn lost(&mut self, why: &str, now_ms: u64) -> Vec<(u64, Record)> {
        match self.state {
            State::Refused(_) => {}
            State::Greeting => self.state = State::Refused(Refusal::Server(why.to_owned())),
            _ => self.state = State::Lost,
        }
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|(id, open)| (id, open.lost(why, now_ms)))
            .collect()
    }

    /// True before requests can be asked: the time in which a server must not be slow.
    pub fn is_opening(&self) -> bool {
        matches!(
            self.state,
            State::Greeting | State::Probing | State::Setting { .. }
        )
    }

    /// True when nothing is asked that has no answer.
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Why the server takes no requests, where it does not.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.state {
            State::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The objects that the server has begun since this was asked last.
    pub fn take_objects(&mut self) -> u64 {
        std::mem::take(&mut self.objects)
    }

    fn greeting(&mut self, line: &[u8]) {
        self.state = match parse(line) {
            Some((None, Reply::Ready(_))) => {
                self.unsent.extend_from_slice(PROBE);
                State::Probing
            }
            Some((None, Reply::Denied(_) | Reply::Error(..))) => {
                State::Refused(Refusal::Server(printable(line, SHOWN)))
            }
            _ => State::Refused(Refusal::Server(format!(
                "no SVSP greeting: {}",
                printable(line, SHOWN)
            ))),
        };
    }

    fn probed(&mut self, line: &[u8]) {
        match parse(line) {
            Some((None, Reply::Ok(text))) => {
                self.set_next(true, text.contains("test signatures only"));
            }
            _ if is_error(line) => self.set_next(false, false),
            _ => self.unexpected(line),
        }
    }

    fn set(&mut self, line: &[u8]) {
        let State::Setting {
            coverage,
            test_signatures_only,
        } = self.state
        else {
            return;
        };
        match parse(line) {
            Some((None, Reply::Ok(_))) => {
                self.options.pop_front();
                self.set_next(coverage, test_signatures_only);
            }
            _ if is_error(line) => {
                let option = self.options.front().map(Setting::to_string);
                let option = option.unwrap_or_default();
                let why = format!("{option}: {}", printable(line, SHOWN));
                self.state = State::Refused(Refusal::Option(why));
            }
            _ => self.unexpected(line),
        }
    }

    fn set_next(&mut self, coverage: bool, test_signatures_only: bool) {
        if let Some(option) = self.options.front() {
            option.write(&mut self.unsent);
            self.state = State::Setting {
                coverage,
                test_signatures_only,
            };
            return;
        }
        self.state = State::Ready { coverage };
        self.events.push_back(Event::Opened {
            test_signatures_only,
        });
    }

    fn reply(&mut self, line: &[u8], now_ms: u64) {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let id = parts.next().and_then(number);
        let Some((id, open)) = id.and_then(|id| Some((id, self.open.get_mut(&id)?))) else {
            self.sign_of_life(line);
            return;
        };
        let parsed = parse(line).map(|(_, reply)| reply);
        let said = open.take(parsed, parts.next().unwrap_or_default(), now_ms);
        if open.is_flood() {
            self.nonsense = Some("a request with too many replies".to_owned());
        }
        if said.unexpected {
            self.unexpected(line);
        }
        match said.step {
            Step::Begun => self.objects += 1,
            Step::Ended(again) => self.finish(id, again, now_ms),
            Step::On => {}
            Step::Send(port) => self.events.push_back(Event::Send { id, port }),
        }
    }

    fn finish(&mut self, id: u64, again: bool, now_ms: u64) {
        if let Some(open) = self.open.remove(&id) {
            let record = Box::new(open.into_record(now_ms));
            let ended = Ended { id, record, again };
            self.events.push_back(Event::Ended(ended));
        }
    }

    /// A line that belongs to no request: the answer to a probe, or what may have been a finding in any of them.
    fn sign_of_life(&mut self, line: &[u8]) {
        let is_answer = matches!(parse(line), Some((None, Reply::Ok(_)))) || is_error(line);
        if is_answer && self.probes > 0 {
            self.probes -= 1;
        } else {
            let line = printable(line, SHOWN);
            self.nonsense = Some(format!("a reply that belongs to no request: {line}"));
        }
    }

    fn unexpected(&mut self, line: &[u8]) {
        self.unexpected += 1;
        if self.unexpected <= WARNINGS {
            let text = format!("unexpected reply: {}", printable(line, SHOWN));
            self.events.push_back(Event::Warning(text));
        }
    }
}

fn number(word: &[u8]) -> Option<u64> {
    // A sign in front would be taken, too.
    let digits = word.iter().all(u8::is_ascii_digit).then_some(word)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

/// What other tests need of a session.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The record of one request for `path` that the server answers with these lines, the ids in front of them 1.
    pub(in crate::client) fn record(path: &[u8], lines: &[&[u8]]) -> Record {
        let mut session = Session::new(Vec::new(), WINDOW);
        let covered = lines.iter().any(|line| line.starts_with(b"1 COVERAGE"));
        session.receive(b"READY", 1);
        session.receive(if covered { b"OK" } else { b"EINVAL" }, 1);
        session.ask(1, Bytes::copy_from_slice(path), false, 1);
        for line in lines {
            session.receive(line, 1);
        }
        let (_, record) = session.lost("gone", 1).pop().unwrap_or_else(|| {
            loop {
                match session.next_event().unwrap() {
                    Event::Ended(ended) => break (ended.id, *ended.record),
                    Event::Opened { .. } | Event::Send { .. } | Event::Warning(_) => {}
                }
            }
        });
        record
    }
}
