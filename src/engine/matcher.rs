//! One object, from its first byte to what holds on it.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io;

use super::Database;
use super::digests::Hashes;
#[cfg(feature = "yara")]
use super::late;
use super::rules::Evaluation;
use super::search::{Extent, PLACES, Search};
use super::whole::Whole;
use crate::event::{EngineWord, Limit, NoteKind, Place, Reason, SignatureName, View};
use crate::executable::Layout;
use crate::filetype::FileType;
use crate::object::Object;
use crate::stop::{Stop, Stopped};
use crate::view::Form;

/// ClamAV's number of PE programs, whose sections have digests.
const PE: u8 = 1;

/// ClamAV's numbers of programs: PE, ELF, Mach-O.
const PROGRAMS: [u8; 3] = [PE, 6, 9];

/// What is known about an object besides its bytes, once all of them were seen.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// How its bytes were made from what is in the file.
    pub form: Form,
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
    /// Bytes that may be held in memory for what needs all of it at once; a larger object is seen in windows.
    pub contiguous: u64,
}

/// A signature that holds on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Which.
    pub signature: SignatureName,
    /// In which view of the object, if not in its own bytes.
    pub view: Option<View>,
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

impl Matches {
    /// Adds what a view of the same object came to; what held already is not said twice, or with `each` twice of one view.
    pub fn add(&mut self, view: Self, each: bool) {
        let add = |to: &mut Vec<Match>, from: Vec<Match>| {
            for found in from {
                let same = |one: &Match| {
                    one.signature == found.signature && (!each || one.view == found.view)
                };
                if !to.iter().any(same) {
                    to.push(found);
                }
            }
        };
        add(&mut self.findings, view.findings);
        add(&mut self.allowed, view.allowed);
        for gap in view.gaps {
            if !self.gaps.contains(&gap) {
                self.gaps.push(gap);
            }
        }
        self.notes.extend(view.notes);
        self.stopped = self.stopped.or(view.stopped);
    }
}

/// Matches one object that is fed from its first byte to its last.
#[derive(Debug)]
pub struct Matcher<'d> {
    database: &'d Database,
    hashes: Hashes,
    search: Search<'d>,
    length: u64,
    stop: Stop,
}

impl<'d> Matcher<'d> {
    /// Begins an object. Of one with random access its length and its parts are known, of a stream they are not.
    pub fn new(database: &'d Database, extent: Extent, stop: Stop) -> Self {
        let tables = [&database.objects, &database.allowed];
        Self {
            database,
            hashes: Hashes::new(&tables, extent.length),
            search: Search::new(&database.patterns, extent, stop.clone()),
            stop,
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
        if let (Err(reason), true) = (subject.object, database.needs_layout())
            && subject.form == Form::Content
            && PROGRAMS.contains(&subject.file_type.target)
        {
            let detail = "no room to keep a program while its parts are looked for".to_owned();
            matches.gaps.push((reason.clone(), detail));
        }
        sections(database, subject, &mut holding, &mut matches.gaps);
        let (found, stopped) = self.search.finish(self.length, subject.layout);
        matches.stopped = stopped;
        if found.overflow().is_some() {
            let detail = format!("more than {PLACES} places where patterns begin or continue");
            matches.gaps.push((Reason::Limit(Limit::Matches), detail));
        }
        let mut whole = Whole::new(subject, &database.expressions, self.length, self.stop);
        let evaluation = Evaluation::new(&database.rules, &found, subject, self.length, &mut whole);
        holding.extend(evaluation.holding());
        #[cfg(feature = "yara")]
        let by_yara = match &database.yara {
            Some(rules) if !subject.form.is_normal() => yara(rules, &mut whole),
            _ => Vec::new(),
        };
        #[cfg(not(feature = "yara"))]
        let by_yara: Vec<Match> = Vec::new();
        matches.stopped = matches.stopped.or(whole.stopped);
        matches.gaps.append(&mut whole.gaps);
        holding.sort_unstable_by_key(|(number, _)| *number);
        let mut seen = HashSet::new();
        for (number, place) in holding {
            let Some(signature) = database.names.get(number) else {
                continue;
            };
            // The normal forms are ClamAV's own: what they lose nobody else expects to be lost.
            if subject.form.is_normal() && signature.engine != EngineWord::Clam {
                continue;
            }
            if seen.insert(signature.clone()) {
                matches.findings.push(Match {
                    signature,
                    view: None,
                    place,
                });
            }
        }
        for found in by_yara {
            // What is not wanted has no name.
            if database.names.contains(&found.signature) && seen.insert(found.signature.clone()) {
                matches.findings.push(found);
            }
        }
        if matches.is_allowed || subject.allowed {
            std::mem::swap(&mut matches.findings, &mut matches.allowed);
        }
        matches
    }
}

/// The rules in YARA's language that hold, of a large object those that hold on one of its windows.
#[cfg(feature = "yara")]
fn yara(rules: &late::yara::Rules, whole: &mut Whole<'_>) -> Vec<Match> {
    let mut found = Vec::new();
    whole.each_window(|whole, text, bytes| {
        let about = late::yara::About {
            path: whole.subject.name,
            file_type: whole.subject.file_type.title.as_bytes(),
        };
        let outcome = rules.scan(bytes, about, whole.stop.left());
        for (name, place) in outcome.findings {
            let place = match place {
                Place::End(end) => Place::End(text.base.saturating_add(end)),
                other => other,
            };
            let signature = SignatureName::new(EngineWord::Yara, &name);
            found.push(Match {
                signature,
                view: None,
                place,
            });
        }
        if let Some(rule) = outcome.overflow {
            let detail = format!("YARA {rule}: more matches of a string than are kept");
            whole.gap(Reason::Limit(Limit::Matches), detail);
        }
        if outcome.timeout || whole.stop.check().is_err() {
            whole.stopped = Some(whole.stop.check().err().unwrap_or(Stopped::Deadline));
        }
        whole.stopped.is_none()
    });
    found
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
    let Ok(object) = subject.object else { return };
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
