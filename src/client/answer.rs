//! What a server has said about one request so far, on its way to being a [`Record`].
//!
//! It begins as `incomplete`, and only the server's DONE, with every line before it understood, makes it `clean`.
#![forbid(unsafe_code)]

use bytes::Bytes;

use crate::gateway::svsp::reply::{ENDING, ErrorName, Reply};
use crate::path::{ObjectPath, printable};
use crate::verdict::{self, FoundRecord, PartRecord, Record, Times, Verdict};

/// The bytes of a server's line that are kept in a message for people.
const SHOWN: usize = 200;

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answer {
    name: Bytes,
    record: Record,
    /// The server said that something was found, be it only by a count or in a line that cannot be read.
    infected: bool,
    /// The server said that it tells COVERAGE, so that a DONE without it is not from where it should be.
    covered: bool,
}

/// What a reply means for its request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The request goes on.
    Accepted,
    /// The request goes on, and an object was begun.
    Begun,
    /// That was the last reply.
    Ended,
    /// No reply that a scan of a file can have.
    Unexpected,
}

impl Answer {
    /// The answer to request `id` for `name`, before the first reply.
    pub(super) fn new(id: u64, name: Bytes, now_ms: u64) -> Self {
        let record = Record {
            version: 1,
            request: Some(id.to_string()),
            verdict: Verdict::Incomplete,
            path: verdict::elements(&ObjectPath::root(name.clone())),
            findings: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            coverage: None,
            epoch: None,
            times: Times {
                started_ms: now_ms,
                elapsed_ms: 0,
            },
            sha1: None,
            error: None,
        };
        Self {
            name,
            record,
            infected: false,
            covered: false,
        }
    }

    /// Has the answer wait for COVERAGE before it can be clean.
    pub(super) fn with_coverage(mut self, covered: bool) -> Self {
        self.covered = covered;
        self
    }

    /// Takes the next reply.
    pub(super) fn take(&mut self, reply: Reply) -> Progress {
        match reply {
            Reply::Coverage(counts, epoch) => {
                self.record.coverage = Some(counts);
                self.record.epoch = Some(epoch);
            }
            Reply::Done(count, path, sha1) => {
                if self.located(&path).elements().first() != Some(&self.name) {
                    self.fail(format!("DONE for another name: {path}"));
                }
                if self.covered && self.record.coverage.is_none() {
                    self.fail("DONE without COVERAGE".to_owned());
                }
                self.done(count, sha1);
                return Progress::Ended;
            }
            Reply::Error(name, message) => {
                self.fail(in_words(name, &message));
                return Progress::Ended;
            }
            Reply::Infected(name, path, message) => self.found(&name, &path, &message),
            Reply::Note(kind, path, detail) => {
                let part = self.part(&path, kind, detail);
                self.record.notes.push(part);
            }
            Reply::Queued => {}
            Reply::Scanning(_) => return Progress::Begun,
            Reply::Skipped(reason, path, detail) => {
                let part = self.part(&path, reason, detail);
                self.record.gaps.push(part);
            }
            Reply::Denied(_) | Reply::Ok(_) | Reply::Ready(_) | Reply::Send(_) => {
                return Progress::Unexpected;
            }
        }
        Progress::Accepted
    }

    /// Takes a line (without its id) that is no reply to a scan. It might have been a finding, so the request can no
    /// longer be clean; and if it was meant to be the last, nothing more will come.
    pub(super) fn garbled(&mut self, line: &[u8]) -> Progress {
        let starts = |word: &[u8]| {
            line.get(..word.len())
                .is_some_and(|first| first.eq_ignore_ascii_case(word))
        };
        self.infected |= starts(b"INFECTED");
        self.fail(format!("unexpected reply: {}", printable(line, SHOWN)));
        if starts(b"DONE") {
            Progress::Ended
        } else {
            Progress::Accepted
        }
    }

    /// Says why the answer is not all that it should be.
    pub(super) fn fail(&mut self, why: String) {
        self.record.error = Some(why);
        self.record.verdict = Verdict::Incomplete;
        self.conclude();
    }

    /// Adds what this side saw of the content and the server cannot know.
    pub(super) fn note(&mut self, kind: &str, detail: String) {
        let path = ObjectPath::root(self.name.clone());
        let note = PartRecord::new(&path, kind.to_owned(), detail);
        self.record.notes.push(note);
        if let Some(counts) = &mut self.record.coverage {
            counts.notes += 1;
        }
    }

    /// Tells that the file could not be sent as a whole: why is known here, and stands instead of the server's words about
    /// the connection that was broken off.
    pub(super) fn unreadable(&mut self, reason: String, detail: String) {
        let path = ObjectPath::root(self.name.clone());
        let gaps = &mut self.record.gaps;
        gaps.retain(|gap| !gap.reason.starts_with("unreadable/"));
        gaps.insert(0, PartRecord::new(&path, reason, detail));
        let listed = gaps.len() as u64;
        if let Some(counts) = &mut self.record.coverage {
            counts.gaps = counts.gaps.max(listed);
        }
        self.record.error = None;
        self.record.verdict = self.record.verdict.max(Verdict::Incomplete);
    }

    /// True if the answer is clean as it stands.
    pub(super) fn is_clean(&self) -> bool {
        self.record.verdict == Verdict::Clean
    }

    /// The record as it stands.
    pub(super) fn into_record(mut self, now_ms: u64) -> Record {
        self.record.times.elapsed_ms = now_ms.saturating_sub(self.record.times.started_ms);
        self.record
    }

    fn done(&mut self, count: Option<u64>, sha1: Option<String>) {
        // An old server leaves the count out; its INFECTED lines have been counted then.
        self.infected |= count.is_some_and(|count| count > 0);
        self.record.sha1 = sha1;
        if self.record.error.is_none() {
            self.record.verdict = Verdict::Clean;
        }
        self.conclude();
    }

    fn conclude(&mut self) {
        if self.infected {
            self.record.verdict = Verdict::Infected;
        }
    }

    fn found(&mut self, name: &str, path: &ObjectPath, message: &str) {
        let (engine, name) = name.split_once(' ').unwrap_or(("", name));
        self.infected = true;
        self.record.findings.push(FoundRecord {
            engine: engine.to_owned(),
            name: name.to_owned(),
            path: verdict::elements(&self.located(path)),
            offset: message
                .strip_prefix("end at ")
                .and_then(|at| at.parse().ok()),
        });
    }

    fn part(&self, path: &ObjectPath, reason: String, detail: String) -> PartRecord {
        // A reply's last field is never empty on the wire; a dash stands for nothing.
        let detail = if detail == "-" { String::new() } else { detail };
        PartRecord::new(&self.located(path), reason, detail)
    }

    /// The path with the name that was asked for where the server says `""` (spec-vfind.md §1.8, row 3).
    fn located(&self, path: &ObjectPath) -> ObjectPath {
        let mut names = path.elements().iter();
        match names.next() {
            Some(first) if first.is_empty() => names
                .fold(ObjectPath::root(self.name.clone()), |path, name| {
                    path.member(name)
                }),
            _ => path.clone(),
        }
    }
}

/// Tells whether this reply is the end of a request that was not scanned for reasons that pass. `content`: the content
/// had to be sent, so that a connection for it that never came (ENOENT) or broke (EAGAIN) is among them.
pub(super) fn passes(reply: &Reply, content: bool) -> bool {
    let Reply::Error(name, message) = reply else {
        return false;
    };
    let has = |words: &[u8]| memchr::memmem::find(message, words).is_some();
    match name {
        // That time was over is true of the content, and would be again; only a server that ends says it of itself.
        ErrorName::Eagain if has(b" : deadline") || has(b": deadline") => has(ENDING.as_bytes()),
        ErrorName::Eagain | ErrorName::Enoent => content,
        ErrorName::Eacces | ErrorName::Efault | ErrorName::Einval | ErrorName::Enotsup => false,
    }
}

fn in_words(name: ErrorName, message: &[u8]) -> String {
    format!("{} {}", name.word(), String::from_utf8_lossy(message))
        .trim_end()
        .to_owned()
}
