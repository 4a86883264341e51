//! The recursion: match, recognise, open, and look into each member before the next.
//!
//! Memory is one path of the tree. Everything that enters is paid for here, and everything that is not examined is
//! said here: expanders and engine know neither limits nor verdicts.
//!
//! A container is matched itself, always; it is announced only when it yields no member, or under ORIGINAL. A
//! signature that holds on a container and inside it is reported for the innermost object (design: SVSP details).
#![forbid(unsafe_code)]

mod members;
mod said;
mod source;
mod spent;
mod views;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use super::spool::{Kept, Spool};
use super::{Content, Job, Outcome};
use crate::budget::Budget;
use crate::engine::search::Extent;
use crate::engine::{About, Database, Match, Matcher, Matches, Subject};
use crate::event::{Description, Event, Exclusion, NoteKind, Place, Reason, SignatureName, Sink};
use crate::executable::{self, Layout};
use crate::expand::{self, Container, ContainerName, Effort, Expander, Halt, Member, Passwords};
use crate::filetype::{self, FileType};
use crate::kind::{self, Kind};
use crate::object::{Object, Probe, changed};
use crate::path::ObjectPath;
use crate::stop::Stop;
use members::Members;
use source::{Paid, Source, opened};
use spent::Tally;

/// A longer detail is cut to this many bytes: it may quote what hostile content says.
const DETAIL: usize = 1024;

/// The part of a worker's memory that one decoder may have: containers nest, and each level may have one.
const DECODER: u64 = 4;

/// Findings not reported because of a list of known good digests that get a note each.
const ALLOWED: u64 = 1000;

/// The names of the signatures that held in a part of the tree.
type Names = BTreeSet<SignatureName>;

/// One item's walk.
pub(super) struct Walk<'a> {
    job: &'a Job,
    database: &'a Database,
    stop: Stop,
    sink: &'a mut dyn Sink,
    budget: Budget,
    on_disk: u64,
    outcome: Outcome,
    tally: Tally,
    /// The work that words of mails may make as passwords.
    effort: Rc<Effort>,
    /// Findings that were not reported because of a list of known good digests.
    allowed: u64,
}

/// How an object stood in its container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stood {
    /// As a member of its own.
    Apart,
    /// In lines of base64 in a text, as `openssl enc -a` and OpenPGP write them.
    InLines,
    /// As base64 within a line of a text.
    InText,
    /// Somewhere in a program or a picture, to which what is behind it belongs.
    Within,
}

/// Where in the tree an object is.
#[derive(Clone)]
struct Spot {
    path: ObjectPath,
    /// Folders and containers above it.
    depth: u32,
    /// The types of the containers above it, the outermost first.
    containers: Vec<&'static FileType>,
    /// One of those is in a list of known good digests.
    allowed: bool,
    /// Words of the mails above it, which may be passwords.
    words: Arc<[Vec<u8>]>,
    stood: Stood,
}

/// The length below which what stands in a text as base64 may be a token. Browsers keep cookies up to 4,096 characters
/// (RFC 6265 §6.1), and what is sealed in them is random or begins with `Salted__`.
const TOKEN: u64 = 4096;

impl Spot {
    /// A text may hold a token that looks like the beginning of something encrypted. It carries no file: that it is not opened is no gap.
    fn is_token(&self, length: u64) -> bool {
        self.stood == Stood::InText && length < TOKEN
    }

    /// The same place as its members see it.
    fn around_members(&self, matched: &Matched, file_type: &'static FileType) -> Self {
        let mut spot = self.clone();
        spot.containers.push(file_type);
        spot.allowed |= matched.matches.is_allowed;
        spot
    }
}

/// How an object is opened, in the order in which it is tried; nothing for a leaf. A content that has the marks of
/// several formats is opened as each of them, for each has its readers.
type Plan = Vec<&'static dyn Expander>;

/// How many words of a mail are tried on a container. Where a password is made slow on purpose, only the likeliest.
fn tried(expander: &dyn Expander) -> usize {
    match expander.kind() {
        "7z" | "RAR" => 64,
        _ => usize::MAX,
    }
}

/// Tells whether a word may be a password: those of 7z are texts, and others bytes.
fn fits(expander: &dyn Expander, word: &[u8]) -> bool {
    expander.kind() != "7z" || str::from_utf8(word).is_ok()
}

/// An object that was matched: what held on it.
struct Matched {
    matches: Matches,
    file_type: &'static FileType,
    announced: bool,
    carver: Option<&'static dyn Expander>,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    pub(super) fn new(
        job: &'a Job,
        database: &'a Database,
        stop: Stop,
        sink: &'a mut dyn Sink,
    ) -> Self {
        Self {
            job,
            database,
            stop,
            sink,
            budget: Budget::new(job.limits.clone(), 0),
            on_disk: 0,
            outcome: Outcome {
                content: job.content.then(Content::default),
                ..Outcome::default()
            },
            tally: Tally::default(),
            effort: Rc::default(),
            allowed: 0,
        }
    }

    /// Walks the item to its end.
    pub(super) fn item(mut self, file: File) -> Outcome {
        let spot = Spot {
            path: self.job.path.clone(),
            depth: self.job.depth,
            containers: Vec::new(),
            allowed: false,
            words: Arc::default(),
            stood: Stood::Apart,
        };
        // A halt has been said already, and nothing comes after the item.
        let _ = self.root(&spot, file);
        self.outcome.spent = self.tally.finish();
        self.outcome
    }

    fn root(&mut self, spot: &Spot, file: File) -> Result<(), Halt> {
        let before = match file.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(&spot.path, &error),
        };
        self.budget = Budget::new(self.job.limits.clone(), before.len());
        let mut inside = Names::new();
        if before.len() == 0 {
            // The files of /proc and the like have a content, though they say they have none.
            return self.stream(spot, &mut (&file), &mut inside);
        }
        let file = Arc::new(file);
        let object = opened(&file, before.len(), &self.stop);
        if let Some(content) = &mut self.outcome.content {
            content.is_copy = object.in_memory().is_some();
        }
        self.object(spot, &object, &mut inside)?;
        match file.metadata() {
            Ok(after) if changed(&before, &after) => self.note(
                &spot.path,
                NoteKind::Changed,
                format!(
                    "{} bytes at first, {} at the end",
                    before.len(),
                    after.len()
                ),
            ),
            _ => Ok(()),
        }
    }

    /// An object with random access: recognised first, so that it can be announced before it is matched.
    fn object(&mut self, spot: &Spot, object: &Object, found: &mut Names) -> Result<(), Halt> {
        let probe = match object.probe() {
            Ok(probe) => probe,
            Err(error) => return self.failed(&spot.path, &error),
        };
        let kinds = expand::recognise(&probe);
        let (plan, carver) = self.plan(spot, &probe, &kinds)?;
        let announced = self.announce_early(spot, &plan)?;
        let file_type = filetype::told(&probe, &kinds);
        let layout = self.layout(spot, object)?;
        let extent = Extent {
            length: Some(object.length()),
            layout: Some(layout.clone().unwrap_or_default()),
        };
        let mut matcher = Matcher::new(self.database, extent, self.stop.clone());
        let mut reader = object.raw_reader();
        let source = Source::of(object, &mut reader);
        let read = self.read_through(spot, source, Paid::Before, |chunk| matcher.feed(chunk));
        self.outcome.objects += 1;
        let subject = Subject {
            form: crate::view::Form::Content,
            file_type,
            layout: layout.as_ref(),
            containers: &spot.containers,
            object: Ok(object),
            name: spot.path.name(),
            allowed: spot.allowed,
            contiguous: self.job.limits.contiguous,
        };
        let mut matches = matcher.finish(&subject);
        self.describe(spot, file_type, object.length(), &plan)?;
        if let Err(halt) = read {
            // Why not all of it was examined has been said.
            matches.gaps.clear();
            self.report(spot, matches, &Names::new(), found)?;
            return Err(halt);
        }
        let matched = Matched {
            matches,
            file_type,
            announced,
            carver,
        };
        self.conclude(spot, plan, Some(object), matched, found)
    }

    /// Content that comes out of a decoder: matched while it goes by, kept as well as it can be, recognised at its end.
    fn stream(
        &mut self,
        spot: &Spot,
        reader: &mut dyn Read,
        found: &mut Names,
    ) -> Result<(), Halt> {
        let tmpdir = self.job.tmpdir.clone();
        let room = self.job.limits.spool.saturating_sub(self.on_disk);
        let mut spool = Spool::new(&tmpdir, room);
        let mut matcher = Matcher::new(self.database, Extent::default(), self.stop.clone());
        let source = Source::Reader(reader);
        let read = self.read_through(spot, source, Paid::AsItComes, |chunk| {
            spool.push(chunk);
            matcher.feed(chunk)
        });
        self.outcome.objects += 1;
        let on_disk = spool.on_disk();
        self.on_disk += on_disk;
        let (kept, probe) = spool.finish(self.stop.clone());
        let done = self.streamed(spot, &probe, read, &kept, matcher, found);
        self.on_disk -= on_disk;
        done
    }

    /// Content that has gone by, whole or not.
    fn streamed(
        &mut self,
        spot: &Spot,
        probe: &Probe,
        read: Result<(), Halt>,
        kept: &Kept,
        matcher: Matcher<'_>,
        found: &mut Names,
    ) -> Result<(), Halt> {
        let object = match kept {
            Kept::Object(object) => Ok(object),
            Kept::Lost(reason) => Err(reason),
        };
        let kinds = expand::recognise(probe);
        let file_type = filetype::told(probe, &kinds);
        let layout = match (&read, object) {
            (Ok(()), Ok(object)) => self.layout(spot, object)?,
            _ => None,
        };
        let subject = Subject {
            form: crate::view::Form::Content,
            file_type,
            layout: layout.as_ref(),
            containers: &spot.containers,
            object,
            name: spot.path.name(),
            allowed: spot.allowed,
            contiguous: self.job.limits.contiguous,
        };
        if let Err(halt) = read {
            let mut matches = matcher.finish(&subject);
            // Why not all of it was examined has been said.
            matches.gaps.clear();
            self.sinking(Event::Scanning(spot.path.clone()))?;
            self.describe(spot, file_type, probe.length, &Plan::new())?;
            self.report(spot, matches, &Names::new(), found)?;
            return Err(halt);
        }
        let (plan, carver) = self.plan(spot, probe, &kinds)?;
        self.describe(spot, file_type, probe.length, &plan)?;
        let announced = self.announce_early(spot, &plan)?;
        let matched = Matched {
            matches: matcher.finish(&subject),
            file_type,
            announced,
            carver,
        };
        match object {
            Ok(object) => self.conclude(spot, plan, Some(object), matched, found),
            Err(reason) => {
                if !plan.is_empty() {
                    self.gap(
                        &spot.path,
                        reason.clone(),
                        "no room to keep it while it is opened".into(),
                    )?;
                } else if file_type.is_text() {
                    self.gap(
                        &spot.path,
                        reason.clone(),
                        "no room to keep it while it is read in other ways".into(),
                    )?;
                }
                self.conclude(spot, Plan::new(), None, matched, found)
            }
        }
    }

    /// Where the parts of a program are, if some signature asks.
    fn layout(&mut self, spot: &Spot, object: &Object) -> Result<Option<Layout>, Halt> {
        if !self.database.needs_layout() {
            return Ok(None);
        }
        match executable::layout(object) {
            Ok(layout) => Ok(layout),
            Err(error) => self.failed(&spot.path, &error).map(|()| None),
        }
    }

    /// Decides how an object is opened, and says why it is not, where it is recognised and left closed. What is not recognised may
    /// be looked through.
    fn plan(
        &mut self,
        spot: &Spot,
        probe: &Probe,
        kinds: &[&'static Kind],
    ) -> Result<(Plan, Option<&'static dyn Expander>), Halt> {
        let mut plan = Plan::new();
        let is_leaf = kinds.is_empty();
        for kind in kinds {
            if kind.encrypted && spot.is_token(probe.length) {
                continue;
            }
            match self.refusal(spot, kind) {
                Ok(expander) => plan.push(expander),
                Err((reason, detail)) => self.gap(&spot.path, reason, detail)?,
            }
        }
        let carver = match is_leaf {
            true => self.carver(spot, probe),
            false => None,
        };
        Ok((plan, carver))
    }

    fn carver(&self, spot: &Spot, probe: &Probe) -> Option<&'static dyn Expander> {
        expand::carver(probe).filter(|carver| {
            let kind = kind::by_name(carver.kind().as_bytes());
            kind.is_some_and(|kind| self.refusal(spot, kind).is_ok())
        })
    }

    fn refusal(
        &self,
        spot: &Spot,
        kind: &'static Kind,
    ) -> Result<&'static dyn Expander, (Reason, String)> {
        if !self.job.expand.contains(kind) {
            let detail = format!("{} is switched off", kind.name);
            return Err((Reason::Excluded(Exclusion::Expand), detail));
        }
        if !self.job.recurse.reaches(spot.depth + 1) {
            let detail = "deeper than the request goes".to_owned();
            return Err((Reason::Excluded(Exclusion::Recurse), detail));
        }
        if kind.encrypted {
            return Err((Reason::Encrypted, kind.title.to_owned()));
        }
        let Some(expander) = expand::expander(kind) else {
            let detail = format!("{} is not opened by this version", kind.title);
            return Err((Reason::Unsupported(kind.name.to_owned()), detail));
        };
        let depth = u32::try_from(spot.containers.len()).unwrap_or(u32::MAX);
        match self.budget.container(depth) {
            Ok(()) => Ok(expander),
            Err(limit) => Err((Reason::Limit(limit), self.limit_detail(limit))),
        }
    }

    fn describe(
        &mut self,
        spot: &Spot,
        file_type: &FileType,
        bytes: u64,
        plan: &[&'static dyn Expander],
    ) -> Result<(), Halt> {
        if !self.job.describe {
            return Ok(());
        }
        self.sinking(Event::Described(Description {
            path: spot.path.clone(),
            file_type: file_type.title.to_owned(),
            bytes,
            opened: plan.iter().map(|one| one.kind().to_owned()).collect(),
        }))
    }

    /// Announces an object before the work on it, where it is already clear that it will be announced.
    fn announce_early(
        &mut self,
        spot: &Spot,
        plan: &[&'static dyn Expander],
    ) -> Result<bool, Halt> {
        let early = self.job.original || plan.is_empty();
        if early {
            self.sinking(Event::Scanning(spot.path.clone()))?;
        }
        Ok(early)
    }

    /// Opens the object, if that is the plan, and reports what held on it but not inside it.
    fn conclude(
        &mut self,
        spot: &Spot,
        plan: Plan,
        object: Option<&Object>,
        mut matched: Matched,
        found: &mut Names,
    ) -> Result<(), Halt> {
        let mut inside = Names::new();
        let mut opened = Ok(());
        let mut any = false;
        let opens = |kind| plan.iter().any(|expander| expander.kind() == kind);
        let as_mail = match object {
            Some(object) if opens("mime") => opens("mbox") || expand::is_mail(&object.probe()?),
            _ => opens("mbox"),
        };
        let mut rest = plan.into_iter().chain(matched.carver);
        let mut next = rest.next();
        // A magic that led to nothing: what was told to be more than it is may hide something all the same.
        let mut nothing = matched.carver.is_none();
        while let Some(expander) = next.take() {
            let Some(object) = object.filter(|_| opened.is_ok()) else {
                break;
            };
            let file_type = matched.file_type.opened_as(expander.kind());
            let around = spot.around_members(&matched, file_type);
            let mut passwords = self.job.passwords.clone();
            passwords.extend(self.database.passwords(file_type));
            let mut members = Members {
                walk: self,
                spot: &around,
                inside: &mut inside,
                size: object.length(),
                // As clamscan counts.
                stood: match expander.kind() {
                    "program" => Stood::Within,
                    _ => Stood::Apart,
                },
                first: u64::from(!matches!(expander.kind(), "7z" | "CAB")),
                told: 0,
                folders: expander.kind() == "zip",
                any: false,
                words: Arc::clone(&around.words),
            };
            let words = spot.words.iter().filter(|word| fits(expander, word));
            let words = words.take(tried(expander)).cloned();
            let given = passwords.len();
            passwords.extend(words);
            let effort = Rc::clone(&members.walk.effort);
            let begun = members.walk.tally.open(members.walk.outcome.bytes);
            let name = ContainerName::new(spot.path.name());
            let container = Container {
                object,
                name: &name,
                passwords: &Passwords::new(&passwords, given, &effort),
                memory: members.walk.job.limits.memory / DECODER,
            };
            let end = expander.expand(&container, &mut members);
            any |= members.any;
            let opened_as = (expander.kind(), !matches!(end, Err(Halt::Unlike)));
            self.tally.close(&begun, opened_as, self.outcome.bytes);
            if let Some(content) = &mut self.outcome.content {
                content.has_name |= spot.path.is_root() && name.was_asked();
            }
            nothing &= matches!(end, Err(Halt::Unlike));
            opened = end.or_else(|halt| self.halted(spot, halt));
            next = rest.next();
            if next.is_none() && std::mem::take(&mut nothing) {
                next = self.carver(spot, &object.probe()?);
            }
        }
        if let Some(object) = object.filter(|_| opened.is_ok()) {
            // The parts of a mail are read, each as it is decoded; of another text with a part in it all is.
            if !(as_mail && any) {
                match self.views(spot, object, &mut matched, any, &mut inside) {
                    Ok(views) => any |= views.any,
                    Err(halt) => opened = Err(halt),
                }
            }
        }
        if !any && !matched.announced {
            self.sinking(Event::Scanning(spot.path.clone()))?;
        }
        let stopped = matched.matches.stopped;
        self.report(spot, matched.matches, &inside, found)?;
        found.extend(inside);
        if let Some(stopped) = stopped.filter(|_| opened.is_ok()) {
            return self.stopped(&spot.path, stopped);
        }
        opened
    }

    /// What the container says of a member: some signatures ask for nothing else.
    fn about(
        &mut self,
        around: &Spot,
        (size, position): (u64, u64),
        member: &Member<'_>,
        found: &mut Names,
    ) -> Result<(), Halt> {
        if !self.database.needs_members() {
            return Ok(());
        }
        let Some(container) = around.containers.last() else {
            return Ok(());
        };
        let holding = self.database.member(&About {
            container,
            container_size: size,
            name: member.listed.unwrap_or(member.name),
            compressed: member.compressed,
            size: member.size,
            encrypted: member.encrypted,
            position: Some(position),
        });
        if holding.is_empty() {
            return Ok(());
        }
        let spot = Spot {
            path: around.path.member(member.name),
            ..around.clone()
        };
        let mut matches = Matches::default();
        let held = match spot.allowed {
            true => &mut matches.allowed,
            false => &mut matches.findings,
        };
        held.extend(holding.into_iter().map(|signature| Match {
            signature,
            view: None,
            place: Place::Digest,
        }));
        self.report(&spot, matches, &Names::new(), found)
    }

    fn halted(&mut self, spot: &Spot, halt: Halt) -> Result<(), Halt> {
        match halt {
            Halt::Broken(detail) => self.gap(&spot.path, Reason::Corrupt, detail),
            Halt::Io(error) => self.damaged(&spot.path, &error),
            Halt::Item => Err(Halt::Item),
            Halt::Unlike => Ok(()),
        }
    }
}
