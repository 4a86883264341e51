//! What a server has said about one request so far, on its way to being a [`Record`].
//!
//! It begins as `incomplete`, and only the server's DONE, with every line before it understood, makes it `clean`.
#![forbid(unsafe_code)]

use bytes::Bytes;

use crate::event::{Coverage, Limit, Reason};
use crate::gateway::svsp::reply::{ENDING, ErrorName, Reply, is_error};
use crate::path::{ObjectPath, printable};
use crate::verdict::{self, FoundRecord, PartRecord, Record, Verdict};

/// The bytes of a server's line that are kept in a message for people.
const SHOWN: usize = 200;

/// The gaps, and the notes, that are kept: a server of ours lists no more.
const PARTS: usize = 1_000;

/// The findings that are kept. A folder can have more; one file in quarantine needs one.
const FINDINGS: usize = 10_000;

/// The bytes of names and texts that are kept: each line may have a megabyte of them.
const WEIGHT: usize = 8 << 20;

/// Lines, beside those of findings, that no request has. Who sends more has no end of them.
const PART_LINES: u64 = 100_000;

/// Findings that no request has: a folder of so many infected files is not scanned as one.
const FINDING_LINES: u64 = 1_000_000;

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answer {
    name: Bytes,
    record: Record,
    /// The server said that something was found, be it only by a count or in a line that cannot be read.
    infected: bool,
    /// The server said that it tells COVERAGE, so that a DONE without it is not from where it should be.
    covered: bool,
    /// The content was sent, so that there is an object.
    sent: bool,
    said: Count,
    /// What is not kept of it.
    dropped: Count,
    weight: usize,
    /// Something was said that cannot be understood.
    garbled: u64,
}

/// Lines of a server.
#[derive(Debug, Default)]
struct Count {
    findings: u64,
    gaps: u64,
    notes: u64,
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
        let path = ObjectPath::root(name.clone());
        let record = Record::begun(Some(id.to_string()), &path, now_ms);
        Self {
            name,
            record,
            infected: false,
            covered: false,
            sent: false,
            said: Count::default(),
            dropped: Count::default(),
            weight: 0,
            garbled: 0,
        }
    }

    /// Has the answer be about a content that is sent: nothing can have been in it only if the server says why.
    pub(super) fn of_content(mut self, sent: bool) -> Self {
        self.sent = sent;
        self
    }

    /// Has the answer wait for COVERAGE before it can be clean.
    pub(super) fn with_coverage(mut self, covered: bool) -> Self {
        self.covered = covered;
        self
    }

    /// Takes the next reply.
    pub(super) fn take(&mut self, reply: Reply) -> Progress {
        match reply {
            Reply::Coverage(..) if self.record.coverage.is_some() => {
                self.fail("COVERAGE twice".to_owned());
            }
            Reply::Coverage(counts, epoch) => {
                self.record.coverage = Some(counts);
                self.record.epoch = Some(epoch);
            }
            Reply::Done(count, path, sha1) => {
                if self.located(&path) != ObjectPath::root(self.name.clone()) {
                    self.fail(format!("DONE for another name: {path}"));
                }
                if let Some(why) = self.contradiction() {
                    self.fail(why.to_owned());
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
                self.said.notes += 1;
                if self.keeps(self.record.notes.len() < PARTS, &path, &[&kind, &detail]) {
                    let part = self.part(&path, kind, detail);
                    self.record.notes.push(part);
                } else {
                    self.dropped.notes += 1;
                }
            }
            Reply::Queued => {}
            Reply::Scanning(_) => return Progress::Begun,
            Reply::Skipped(reason, passes, path, detail) => {
                self.said.gaps += 1;
                if self.keeps(self.record.gaps.len() < PARTS, &path, &[&reason, &detail]) {
                    let part = self.part(&path, reason, detail).passing(passes);
                    self.record.gaps.push(part);
                } else {
                    self.dropped.gaps += 1;
                }
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
        self.garbled += 1;
        self.infected |= starts(b"INFECTED");
        self.fail(format!("unexpected reply: {}", printable(line, SHOWN)));
        if starts(b"DONE") || is_error(line) {
            Progress::Ended
        } else {
            Progress::Accepted
        }
    }

    /// True once a line could not be understood.
    pub(super) fn is_garbled(&self) -> bool {
        self.garbled > 0
    }

    /// True when the server has said more than any server has to say about one request.
    pub(super) fn is_flood(&self) -> bool {
        let Count {
            findings,
            gaps,
            notes,
        } = self.said;
        findings > FINDING_LINES || gaps + notes + self.garbled > PART_LINES
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
        gaps.insert(0, PartRecord::new(&path, reason, detail).passing(false));
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
        self.tell_dropped();
        if self.record.verdict == Verdict::Clean {
            // A server that does not say it of each gap says it of all of them.
            for gap in &mut self.record.gaps {
                gap.passes = Some(true);
            }
        }
        self.record.times.elapsed_ms = now_ms.saturating_sub(self.record.times.started_ms);
        self.record
    }

    /// Why what was said before DONE cannot be true.
    fn contradiction(&self) -> Option<&'static str> {
        let Some(counts) = self.record.coverage else {
            return self.covered.then_some("DONE without COVERAGE");
        };
        let has_database = self.record.epoch.as_deref() != Some("-");
        let Coverage { objects, gaps, .. } = counts;
        if gaps < self.said.gaps {
            return Some("COVERAGE with fewer gaps than were listed");
        }
        // A folder without files has no object, and none is needed for what is left out, which is a gap.
        let is_empty = objects == 0 || !has_database;
        let is_impossible = objects > 0 && !has_database || self.sent && is_empty && gaps == 0;
        is_impossible.then_some("DONE for what was not looked at, after COVERAGE")
    }

    /// True if a further part is kept, where there is `room` in its list.
    fn keeps(&mut self, room: bool, path: &ObjectPath, texts: &[&str]) -> bool {
        let weight = texts
            .iter()
            .fold(path.weight(), |sum, text| sum + text.len());
        let keeps = room && self.weight + weight <= WEIGHT;
        if keeps {
            self.weight += weight;
        }
        keeps
    }

    /// Adds how much was said that is not in the lists.
    fn tell_dropped(&mut self) {
        let Count {
            findings,
            gaps,
            notes,
        } = self.dropped;
        if findings + gaps + notes == 0 {
            return;
        }
        let detail =
            format!("{findings} findings, {gaps} gaps and {notes} notes more are not listed");
        let path = ObjectPath::root(self.name.clone());
        let part = PartRecord::new(&path, Reason::Limit(Limit::Findings).to_string(), detail);
        self.record.gaps.push(part.passing(false));
        if let Some(counts) = &mut self.record.coverage {
            counts.gaps = counts.gaps.max(self.record.gaps.len() as u64);
        }
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
        self.said.findings += 1;
        if !self.keeps(
            self.record.findings.len() < FINDINGS,
            path,
            &[name, message],
        ) {
            self.dropped.findings += 1;
            return;
        }
        self.record.findings.push(FoundRecord {
            engine: engine.to_owned(),
            name: name.to_owned(),
            path: verdict::elements(&self.located(path)),
            offset: message
                .strip_prefix("end at ")
                .and_then(|at| at.parse().ok()),
            message: stated(message.to_owned()),
        });
    }

    fn part(&self, path: &ObjectPath, reason: String, detail: String) -> PartRecord {
        PartRecord::new(&self.located(path), reason, stated(detail))
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

/// A reply's last field, which is never empty on the wire; a dash stands for nothing.
fn stated(field: String) -> String {
    if field == "-" { String::new() } else { field }
}

fn in_words(name: ErrorName, message: &[u8]) -> String {
    format!("{} {}", name.word(), String::from_utf8_lossy(message))
        .trim_end()
        .to_owned()
}
