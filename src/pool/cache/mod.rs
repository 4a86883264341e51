//! What was said about contents that come again: a scan's events and its outcome, by the SHA-256 of what was scanned.
//!
//! An answer is kept only if nothing but the content, the job and the signatures made it, and under the digest of the very
//! bytes that were matched. It is given out only for the same job, so that no limit, option or password is ever crossed.
//! No content is kept. Apart from the workers, for it knows files and clocks, and they know what to do with an answer.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tracing::debug;

use crate::event::{Event, Limit, NoteKind, Reason, Sink};
use crate::files::{Item, Writers};
use crate::metrics::{Lookup, Metrics};
use crate::object::{CHUNK, changed};
use crate::path::ObjectPath;
use crate::request::Recurse;
use crate::scan::{Content, Job, Outcome};
use crate::stop::{Cancel, Stop};

/// A longer file is not looked up: reading it for that takes time that others wait.
const LONGEST: u64 = 256 * 1024 * 1024;

/// The part of the room that one answer may take.
const SHARE: usize = 32;

/// What an answer takes besides its events, in bytes.
const ENTRY: usize = 512;

/// Seconds after its last change from which on every further change of a file shows in its times.
const SETTLED: i64 = 2;

/// The part of an item's time that may go into finding out whether its content is known.
const LOOK: u32 = 10;

/// The device and inode of a file.
type Identity = (u64, u64);

/// The answers that are kept.
pub(super) struct Cache {
    kept: Mutex<Kept>,
    /// Bytes that each of the two generations may take.
    half: usize,
}

/// Two generations: when the young one is full, it becomes the old one, and what was there is forgotten. What is asked for is young again.
#[derive(Default)]
struct Kept {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    answers: HashMap<Key, Arc<Answer>>,
    lengths: HashSet<u64>,
    bytes: usize,
}

/// What a cache must know about where it is asked.
pub(super) struct Around<'a> {
    /// Some signature may ask what a file is called.
    pub(super) needs_names: bool,
    /// The scan runs in this process, so that what it says of the content is true. A worker process looked at hostile content:
    /// it must not choose which one its answer is about.
    pub(super) is_believed: bool,
    /// The flag of the request.
    pub(super) cancel: &'a Cancel,
    /// Where it is counted what came of a question.
    pub(super) metrics: &'a Metrics,
}

/// All that an answer hangs on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    sha256: [u8; 32],
    length: u64,
    terms: [u8; 32],
    /// What the file is called, where that makes a difference.
    name: Option<Bytes>,
    /// Which file it is, where somebody might have shown the scan something else than what was digested: that fools nobody
    /// but those who have this file scanned.
    file: Option<Identity>,
}

/// What was said, with paths from the item on.
struct Answer {
    events: Box<[u8]>,
    outcome: Outcome,
}

impl Answer {
    fn weight(&self) -> usize {
        self.events.len().saturating_add(ENTRY)
    }

    /// The events about the item of this path; none at all if one of them is not what was kept, for the rest would be
    /// taken for everything.
    fn said(&self, path: &ObjectPath) -> Option<Vec<Event>> {
        let root = file_name(path);
        let (mut said, mut rest) = (Vec::new(), &*self.events);
        while !rest.is_empty() {
            let (mut event, after) = postcard::take_from_bytes::<Event>(rest).ok()?;
            let path = event.path_mut();
            *path = path.moved(&root);
            said.push(event);
            rest = after;
        }
        Some(said)
    }
}

fn file_name(path: &ObjectPath) -> Bytes {
    path.elements().first().cloned().unwrap_or_default()
}

impl Cache {
    /// Room for so many bytes of answers.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            kept: Mutex::default(),
            half: usize::try_from(bytes / 2).unwrap_or(usize::MAX),
        }
    }

    /// The answers that are kept, and the bytes that they take.
    pub(super) fn size(&self) -> (usize, usize) {
        let kept = self.lock();
        let both = [&kept.young, &kept.old];
        let answers = both.iter().map(|one| one.answers.len()).sum();
        (answers, both.iter().map(|one| one.bytes).sum())
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let old = std::mem::take(&mut *self.lock());
        drop(old);
    }

    /// Has an item scanned, unless it is known what that would say.
    pub(super) fn answer_or(
        &self,
        item: Item,
        mut job: Job,
        around: &Around<'_>,
        sink: &mut dyn Sink,
        scan: impl FnOnce(Item, &Job, &mut dyn Sink) -> Outcome,
    ) -> Outcome {
        let Some(mut asked) = Asked::new(&item, &mut job, around.needs_names) else {
            around.metrics.looked_up(Lookup::Skipped);
            return scan(item, &job, sink);
        };
        if !around.is_believed || self.knows(asked.before.len()) {
            let time = job.limits.deadline / LOOK;
            asked.read(&item.file, &Stop::after(time, around.cancel.clone()));
            if let Some(answer) = self.answer(&asked)
                && let Some(said) = answer.said(&item.path)
            {
                debug!(path = %item.path, "answered from the cache");
                around.metrics.looked_up(Lookup::Hit);
                for event in said {
                    if sink.event(event).is_break() {
                        break;
                    }
                }
                return Outcome {
                    content: asked.content(),
                    ..answer.outcome.clone()
                };
            }
        }
        around.metrics.looked_up(Lookup::Miss);
        let is_open = asked.writers == Writers::Others;
        let file = is_open.then(|| item.file.try_clone());
        let mut said = self.record(sink);
        let outcome = scan(item, &job, &mut said);
        // What is cancelled ends without a word.
        let is_done = !around.cancel.is_cancelled();
        if let Some(events) = said.events.filter(|_| is_done)
            && (around.is_believed || asked.sha256.is_some())
        {
            let now = file.and_then(|file| file.ok()?.metadata().ok());
            self.keep(&asked, events, &outcome, now.as_ref());
        }
        outcome
    }

    /// Tells whether there is an answer about a content of this length: only then is it worth reading one to ask.
    fn knows(&self, length: u64) -> bool {
        let kept = self.lock();
        kept.young.lengths.contains(&length) || kept.old.lengths.contains(&length)
    }

    /// The answer about a content that was read.
    fn answer(&self, asked: &Asked) -> Option<Arc<Answer>> {
        let sha256 = asked.sha256?;
        let file = asked.identity();
        let mut forgotten = None;
        let mut kept = self.lock();
        let answer = [
            (false, None),
            (false, Some(file)),
            (true, None),
            (true, Some(file)),
        ]
        .into_iter()
        .find_map(|(has_name, file)| {
            let key = asked.key(sha256, has_name, file);
            if let Some(answer) = kept.young.answers.get(&key) {
                return Some(Arc::clone(answer));
            }
            let answer = kept.old.answers.remove(&key)?;
            forgotten = kept.add(key, Arc::clone(&answer), self.half);
            Some(answer)
        });
        drop(kept);
        // Here, where nobody waits for the lock.
        drop(forgotten);
        answer
    }

    /// Keeps what a scan said, if nothing but the content and the job made it. `now` is the state of the file behind the scan.
    fn keep(&self, asked: &Asked, events: Vec<u8>, outcome: &Outcome, now: Option<&Metadata>) {
        let Some(content) = outcome.content else {
            return;
        };
        let Some(sha256) = content.sha256 else { return };
        if asked.sha256.is_some_and(|known| known != sha256) || content.length != asked.before.len()
        {
            return;
        }
        let file = match content.is_copy || asked.writers == Writers::None {
            true => None,
            false if now.is_some_and(|now| asked.was_left_alone(now)) => Some(asked.identity()),
            false => return,
        };
        let has_name = content.has_name || asked.needs_name;
        let key = asked.key(sha256, has_name, file);
        let answer = Arc::new(Answer {
            events: events.into_boxed_slice(),
            outcome: Outcome {
                content: None,
                spent: Vec::new(),
                ..outcome.clone()
            },
        });
        let forgotten = self.lock().add(key, answer, self.half);
        drop(forgotten);
    }

    /// Listens to a scan, for as much as one answer may take.
    fn record<'a>(&self, to: &'a mut dyn Sink) -> Recording<'a> {
        Recording {
            to,
            events: Some(Vec::new()),
            most: (self.half / (SHARE / 2)).saturating_sub(ENTRY),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Adds an answer, and gives what had to go for it.
    fn add(&mut self, key: Key, answer: Arc<Answer>, half: usize) -> Option<Generation> {
        let weight = answer.weight() + key.name.as_ref().map_or(0, Bytes::len);
        if weight > half {
            return None;
        }
        let forgotten = (self.young.bytes + weight > half).then(|| {
            let full = std::mem::take(&mut self.young);
            std::mem::replace(&mut self.old, full)
        });
        // What was there already is counted twice, until its generation goes.
        self.young.bytes += weight;
        self.young.lengths.insert(key.length);
        self.young.answers.insert(key, answer);
        forgotten
    }
}

/// An item that may have been scanned before, or may come again.
struct Asked {
    terms: [u8; 32],
    name: Bytes,
    /// Some signature may ask for the name.
    needs_name: bool,
    before: Metadata,
    /// When that was, or earlier.
    at: SystemTime,
    writers: Writers,
    /// Of the content, where it was read for that.
    sha256: Option<[u8; 32]>,
}

impl Asked {
    /// Nothing for what is not looked up: empty and very long files, and what is no file. The job then tells what its
    /// answer hangs on.
    fn new(item: &Item, job: &mut Job, needs_name: bool) -> Option<Self> {
        let at = SystemTime::now();
        let before = item.file.metadata().ok()?;
        // A file of /proc says that it is empty.
        if !before.is_file() || before.len() == 0 || before.len() > LONGEST {
            return None;
        }
        job.content = true;
        Some(Self {
            terms: terms(job)?,
            name: file_name(&item.path),
            needs_name,
            before,
            at,
            writers: item.writers,
            sha256: None,
        })
    }

    /// Reads the content. What changes meanwhile, cannot be read or takes too long is left to the scan, which says so.
    fn read(&mut self, file: &File, stop: &Stop) {
        let is_same = |now: &Metadata| !changed(&self.before, now);
        let sha256 = digest(file, self.before.len(), stop).ok();
        self.sha256 = sha256.filter(|_| file.metadata().is_ok_and(|now| is_same(&now)));
    }

    /// What it was told by.
    fn content(&self) -> Option<Content> {
        let length = self.before.len();
        self.sha256.map(|sha256| Content {
            sha256: Some(sha256),
            length,
            ..Content::default()
        })
    }

    fn identity(&self) -> Identity {
        (self.before.dev(), self.before.ino())
    }

    /// Tells whether nobody has written the file since it was first looked at, as far as its times tell: those of a file that
    /// was just written may stay the same.
    fn was_left_alone(&self, now: &Metadata) -> bool {
        let at = self.at.duration_since(UNIX_EPOCH).ok();
        let at = at.and_then(|at| i64::try_from(at.as_secs()).ok());
        let is_settled = at.is_some_and(|at| self.before.ctime() < at.saturating_sub(SETTLED));
        is_settled && !changed(&self.before, now)
    }

    fn key(&self, sha256: [u8; 32], has_name: bool, file: Option<Identity>) -> Key {
        Key {
            sha256,
            length: self.before.len(),
            terms: self.terms,
            name: has_name.then(|| self.name.clone()),
            file,
        }
    }
}

/// The digest of a job as far as it makes a difference for the answer: all of it, so that nothing is forgotten that a job is
/// given one day, but the item's path and the folders above it where they do not count.
fn terms(job: &Job) -> Option<[u8; 32]> {
    let depth = match job.recurse {
        Recurse::Unlimited => 0,
        Recurse::Off | Recurse::To(_) => job.depth,
    };
    let job = Job {
        path: ObjectPath::root(""),
        depth,
        ..job.clone()
    };
    let text = postcard::to_stdvec(&job).ok()?;
    Some(Sha256::digest(text).into())
}

/// The SHA-256 of the first `length` bytes, which must be there. The file's own offset is left alone.
fn digest(file: &File, length: u64, stop: &Stop) -> io::Result<[u8; 32]> {
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK))];
    let mut at = 0;
    while at < length {
        if stop.check().is_err() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let wanted = usize::try_from(length - at).map_or(CHUNK, |left| left.min(buffer.len()));
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        match file.read_at(part, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                sha256.update(part.get(..count).unwrap_or_default());
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sha256.finalize().into())
}

/// Passes events on, and keeps them as long as they are worth keeping.
struct Recording<'a> {
    to: &'a mut dyn Sink,
    events: Option<Vec<u8>>,
    /// Bytes of them.
    most: usize,
}

impl Sink for Recording<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        if let Some(events) = self.events.take() {
            self.events = append(events, &event).filter(|events| events.len() <= self.most);
        }
        let flow = self.to.event(event);
        if flow.is_break() {
            self.events = None;
        }
        flow
    }
}

fn append(events: Vec<u8>, event: &Event) -> Option<Vec<u8>> {
    if !is_of_content(event) {
        return None;
    }
    let mut event = event.clone();
    let path = event.path_mut();
    *path = path.moved(&Bytes::new());
    postcard::to_extend(&event, events).ok()
}

/// Tells whether an event would come again with the same content and job, whatever else happens on the machine.
fn is_of_content(event: &Event) -> bool {
    match event {
        Event::Scanning(_) | Event::Described(_) | Event::Finding(_) => true,
        Event::Gap(gap) => match &gap.reason {
            Reason::Crashed | Reason::Deadline | Reason::Unreadable(_) => false,
            Reason::Limit(Limit::Memory | Limit::Spool) => false,
            Reason::Limit(
                Limit::Contiguous
                | Limit::Depth
                | Limit::Expanded
                | Limit::Findings
                | Limit::Matches
                | Limit::Members
                | Limit::Ratio,
            ) => true,
            Reason::Corrupt | Reason::Encrypted | Reason::Excluded(_) | Reason::Unsupported(_) => {
                true
            }
        },
        Event::Note(note) => match &note.kind {
            NoteKind::Allowed | NoteKind::Ambiguous(_) => true,
            NoteKind::Changed => false,
        },
    }
}

#[cfg(test)]
mod tests;
