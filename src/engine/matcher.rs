//! One object, from its first byte to what holds on it.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io;

use super::Database;
use super::digests::Hashes;
use super::rules::{Evaluation, Late, Tested};
use super::search::{Extent, Found, Search};
use crate::event::{NoteKind, Place, Reason, SignatureName};
use crate::executable::Layout;
use crate::filetype::FileType;
use crate::object::Object;
use crate::signature::rule::{Compare, Regex};
use crate::stop::{Stop, Stopped};

/// ClamAV's number of PE programs, whose sections have digests.
const PE: u8 = 1;

/// What is known about an object besides its bytes, once all of them were seen.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its type.
    pub file_type: &'static FileType,
    /// Its parts, if it is a program and the database asks for them.
    pub layout: Option<&'a Layout>,
    /// The types of the containers around it, the outermost first.
    pub containers: &'a [&'static FileType],
    /// The object itself, or why it could not be kept.
    pub object: Result<&'a Object, &'a Reason>,
    /// The name of its file or member.
    pub name: &'a [u8],
    /// A container around it is in a list of known good digests.
    pub allowed: bool,
}

/// A signature that holds on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Which.
    pub signature: SignatureName,
    /// Where.
    pub place: Place,
}

/// What an object came to.
#[derive(Debug, Default)]
pub struct Matches {
    /// The signatures that hold, in the order of the sources, each name once.
    pub findings: Vec<Match>,
    /// Those that hold and are not reported, for a list of known good digests has the object or a container of it.
    pub allowed: Vec<Match>,
    /// Such a list has the object: so is what is inside it allowed.
    pub is_allowed: bool,
    /// What was not examined, and why.
    pub gaps: Vec<(Reason, String)>,
    /// It was stopped before all of it was searched.
    pub stopped: Option<Stopped>,
    /// What is worth knowing.
    pub notes: Vec<(NoteKind, String)>,
}

/// Matches one object that is fed from its first byte to its last.
#[derive(Debug)]
pub struct Matcher<'d> {
    database: &'d Database,
    hashes: Hashes,
    search: Search<'d>,
    length: u64,
}

impl<'d> Matcher<'d> {
    /// Begins an object. Of one with random access its length and its parts are known, of a stream they are not.
    pub fn new(database: &'d Database, extent: Extent, stop: Stop) -> Self {
        let tables = [&database.objects, &database.allowed];
        Self {
            database,
            hashes: Hashes::new(&tables, extent.length),
            search: Search::new(&database.patterns, extent, stop),
            length: 0,
        }
    }

    /// Takes the next bytes of the object, any number of them.
    ///
    /// # Errors
    /// It was stopped; the rest of the object was not examined.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Stopped> {
        self.length = self.length.saturating_add(chunk.len() as u64);
        self.hashes.feed(chunk);
        self.search.feed(chunk)
    }

    /// What the object came to.
    pub fn finish(self, subject: &Subject<'_>) -> Matches {
        let database = self.database;
        let mut matches = Matches::default();
        let digests = self.hashes.finish();
        matches.is_allowed = !database.allowed.holding(&digests).is_empty();
        let holding = database.objects.holding(&digests).into_iter();
        let mut holding: Vec<_> = holding.map(|number| (number, Place::Digest)).collect();
        sections(database, subject, &mut holding, &mut matches.gaps);
        let found = self.search.finish(self.length, subject.layout);
        let found = found.unwrap_or_else(|stopped| {
            matches.stopped = Some(stopped);
            Found::default()
        });
        let mut whole = Nothing;
        let evaluation = Evaluation::new(&database.rules, &found, subject, self.length, &mut whole);
        holding.extend(evaluation.holding());
        holding.sort_unstable_by_key(|(number, _)| *number);
        let mut seen = HashSet::new();
        for (number, place) in holding {
            let Some(signature) = database.names.get(number) else {
                continue;
            };
            if seen.insert(signature.clone()) {
                matches.findings.push(Match { signature, place });
            }
        }
        if matches.is_allowed || subject.allowed {
            std::mem::swap(&mut matches.findings, &mut matches.allowed);
        }
        matches
    }
}

struct Nothing;

impl Late for Nothing {
    fn regex(&mut self, _: u32, _: &Regex) -> Tested {
        Tested::default()
    }

    fn compare(&mut self, _: &Compare, _: &[u64]) -> Tested {
        Tested::default()
    }
}

/// The digests of a program's sections.
fn sections(
    database: &Database,
    subject: &Subject<'_>,
    holding: &mut Vec<(u32, Place)>,
    gaps: &mut Vec<(Reason, String)>,
) {
    if database.sections.is_empty() || subject.file_type.target != PE {
        return;
    }
    let object = match subject.object {
        Ok(object) => object,
        Err(reason) => {
            let detail = "the sections of a program that could not be kept".to_owned();
            gaps.push((reason.clone(), detail));
            return;
        }
    };
    let mut seen = HashSet::new();
    for section in subject.layout.iter().flat_map(|layout| &layout.sections) {
        if !seen.insert((section.start, section.length)) {
            continue;
        }
        let part = object.slice(section.start, section.length);
        let end = section.start.saturating_add(part.length());
        match database.sections.holding_in(&part) {
            Ok(numbers) => {
                holding.extend(numbers.into_iter().map(|number| (number, Place::End(end))));
            }
            Err(error) => {
                gaps.push(unread(&error));
                return;
            }
        }
    }
}

/// The gap of what could not be read once more.
fn unread(error: &io::Error) -> (Reason, String) {
    let reason = match error.kind() {
        io::ErrorKind::TimedOut => Reason::Deadline,
        _ => Reason::Unreadable(crate::event::Errno::of(error)),
    };
    (reason, error.to_string())
}
