//! A conversation with an SVSP server, without IO: lines and times in, commands and [`Record`]s out.
//!
//! It greets, probes for our extension COVERAGE (an old server answers EINVAL, and is then asked as the paper of 2011
//! asks), keeps up to [`WINDOW`] numbered requests in flight, and sorts the replies by their ids. Whatever is still
//! open when the connection ends is reported as lost: silence is never `clean`.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use super::answer::{self, Answer};
use crate::gateway::svsp::reply::{Reply, parse};
use crate::path::{printable, quote};
use crate::verdict::{Exit, Record};

/// Requests in flight: enough to keep every core of a server busy, few enough that a lost connection loses little.
pub const WINDOW: usize = 32;

/// The longest command: servers take 64 KiB, and a longer line gets an answer that carries no id.
const COMMAND_LIMIT: usize = 64 << 10;

/// Unexpected lines that are worth a warning each; a peer that is no SVSP server has no end of them.
const WARNINGS: usize = 10;

/// The bytes of a server's line that are kept in a message for people.
const SHOWN: usize = 200;

/// How far the requests are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests in all.
    pub requests: u64,
    /// Requests that have their answer.
    pub done: u64,
    /// Objects that the server said it began.
    pub objects: u64,
}

/// One connection's half of the conversation.
#[derive(Debug)]
pub struct Session {
    state: State,
    waiting: VecDeque<(u64, Vec<u8>)>,
    open: BTreeMap<u64, Open>,
    records: VecDeque<Record>,
    warnings: Vec<String>,
    unexpected: usize,
    progress: Progress,
    exit: Exit,
}

#[derive(Debug)]
struct Open {
    answer: Answer,
    accepted: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The server has not spoken yet.
    Greeting,
    /// READY came.
    Greeted,
    /// The probe is out.
    Probing,
    /// Requests are asked and answered.
    Ready { coverage: bool },
    /// The connection ended.
    Lost,
    /// The server does not want us, or is none; in words.
    Refused(String),
}

impl Session {
    /// A session that will ask for each of these absolute paths.
    pub fn new(paths: Vec<Vec<u8>>) -> Self {
        let waiting: VecDeque<_> = (1..).zip(paths).collect();
        let requests = waiting.len() as u64;
        Self {
            state: State::Greeting,
            waiting,
            open: BTreeMap::new(),
            records: VecDeque::new(),
            warnings: Vec::new(),
            unexpected: 0,
            progress: Progress {
                requests,
                ..Progress::default()
            },
            exit: Exit::Clean,
        }
    }

    /// Takes one line of the server, without its line end.
    pub fn receive(&mut self, line: &[u8], now_ms: u64) {
        if line.is_empty() {
            return;
        }
        match self.state {
            State::Greeting => self.greeting(line),
            State::Probing => self.probed(line),
            State::Ready { .. } => self.reply(line, now_ms),
            State::Greeted | State::Lost | State::Refused(_) => self.unexpected(line),
        }
    }

    /// Appends the commands that can be sent now.
    pub fn commands(&mut self, now_ms: u64, out: &mut Vec<u8>) {
        if self.state == State::Greeted {
            out.extend_from_slice(b"ENABLE COVERAGE\r\n");
            self.state = State::Probing;
        }
        while self.may_ask()
            && let Some((id, name)) = self.waiting.pop_front()
        {
            self.ask(id, name, now_ms, out);
        }
    }

    /// Tells that the connection ended: every request without an answer gets one that says so.
    pub fn lost(&mut self, why: &str, now_ms: u64) {
        if self.state == State::Greeting {
            self.state = State::Refused(why.to_owned());
        }
        if self.is_over() {
            return;
        }
        self.state = State::Lost;
        self.exit = self.exit.max(Exit::NoServer);
        self.warnings.push(format!("connection lost: {why}"));
        let never_asked = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(id, name)| Answer::new(id, name, now_ms));
        let open: Vec<_> = std::mem::take(&mut self.open)
            .into_values()
            .map(|open| open.answer)
            .chain(never_asked)
            .collect();
        for mut answer in open {
            answer.fail(format!("connection lost: {why}"));
            self.finish(answer, now_ms);
        }
    }

    /// True before the server has greeted and answered the probe: the time in which it must not be slow.
    pub fn is_opening(&self) -> bool {
        matches!(
            self.state,
            State::Greeting | State::Greeted | State::Probing
        )
    }

    /// True when nothing more is to be expected.
    pub fn is_over(&self) -> bool {
        match self.state {
            State::Lost | State::Refused(_) => true,
            State::Ready { .. } => self.is_answered(),
            State::Greeting | State::Greeted | State::Probing => false,
        }
    }

    /// Why the server did not even begin, where it did not.
    pub fn refusal(&self) -> Option<&str> {
        match &self.state {
            State::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The next answer, in the order in which they were complete.
    pub fn next_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// What the user should know and no record says.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// How far the requests are.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// How the program is to end. A request without an answer counts as lost.
    pub fn exit(&self) -> Exit {
        if self.is_answered() {
            self.exit
        } else {
            self.exit.max(Exit::NoServer)
        }
    }

    fn is_answered(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    fn greeting(&mut self, line: &[u8]) {
        self.state = match parse(line) {
            Some((None, Reply::Ready(_))) => State::Greeted,
            Some((None, Reply::Denied(_) | Reply::Error(..))) => {
                State::Refused(printable(line, SHOWN))
            }
            _ => State::Refused(format!("no SVSP greeting: {}", printable(line, SHOWN))),
        };
    }

    fn probed(&mut self, line: &[u8]) {
        match parse(line) {
            Some((None, Reply::Ok(text))) => {
                if text.contains("test signatures only") {
                    self.warnings
                        .push("the server has test signatures only".to_owned());
                }
                self.state = State::Ready { coverage: true };
            }
            Some((None, Reply::Error(..))) => self.state = State::Ready { coverage: false },
            _ => self.unexpected(line),
        }
    }

    fn reply(&mut self, line: &[u8], now_ms: u64) {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let id = parts.next().and_then(number);
        let Some((id, open)) = id.and_then(|id| Some((id, self.open.get_mut(&id)?))) else {
            self.unexpected(line);
            return;
        };
        let mut progress = match parse(line) {
            Some((_, reply)) => open.answer.take(reply),
            None => answer::Progress::Unexpected,
        };
        let unexpected = progress == answer::Progress::Unexpected;
        if unexpected {
            progress = open.answer.garbled(parts.next().unwrap_or_default());
        }
        open.accepted = true;
        self.step(id, &progress, now_ms);
        if unexpected {
            self.unexpected(line);
        }
    }

    fn step(&mut self, id: u64, progress: &answer::Progress, now_ms: u64) {
        match progress {
            answer::Progress::Accepted | answer::Progress::Unexpected => {}
            answer::Progress::Begun => self.progress.objects += 1,
            answer::Progress::Ended => {
                if let Some(open) = self.open.remove(&id) {
                    self.finish(open.answer, now_ms);
                }
            }
        }
    }

    fn finish(&mut self, answer: Answer, now_ms: u64) {
        let record = answer.into_record(now_ms);
        self.exit = self.exit.max(record.verdict.into());
        self.progress.done += 1;
        self.records.push_back(record);
    }

    /// The original server leaves commands lying that came in one segment with another (spec-vfind.md §1.8, row 12), and
    /// asks its clients to wait until a request is accepted; ours takes all at once.
    fn may_ask(&self) -> bool {
        match self.state {
            State::Ready { coverage } => {
                self.open.len() < WINDOW
                    && (coverage || self.open.values().all(|open| open.accepted))
            }
            _ => false,
        }
    }

    fn ask(&mut self, id: u64, name: Vec<u8>, now_ms: u64, out: &mut Vec<u8>) {
        let command = scan_file(id, &name);
        let mut answer = Answer::new(id, name, now_ms);
        if command.len() > COMMAND_LIMIT {
            answer.fail(format!(
                "the name is longer than a command of {COMMAND_LIMIT} bytes"
            ));
            self.finish(answer, now_ms);
            return;
        }
        out.extend_from_slice(&command);
        let open = Open {
            answer,
            accepted: false,
        };
        self.open.insert(id, open);
    }

    fn unexpected(&mut self, line: &[u8]) {
        self.unexpected += 1;
        if self.unexpected <= WARNINGS {
            self.warnings
                .push(format!("unexpected reply: {}", printable(line, SHOWN)));
        }
    }
}

/// The command for one path. SVSP sends names raw to the line's end, so one that holds a line end cannot be sent; those,
/// and one that starts with a quote, go in the quoted form of the replies, which is our extension
/// (docs/protocols/svsp.md). An old server does not know a file of that name, and says so.
fn scan_file(id: u64, name: &[u8]) -> Vec<u8> {
    let mut command = format!("{id} SCAN/FILE ").into_bytes();
    if name.starts_with(b"\"") || name.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        quote(name, &mut command);
    } else {
        command.extend_from_slice(name);
    }
    command.extend_from_slice(b"\r\n");
    command
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
