//! What a database was made of: for each source what was loaded and what was not, and why.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::include::Included;
use super::read::Seen;
use super::sources::{Source, Stamp, Unloaded};
use crate::engine::Tally;
use crate::signature::{Aside, Complaint, Item, Remark, RemarkKind, Until};

/// Complaints that are kept: a file in the wrong format would fill memory with them. All are counted.
const COMPLAINTS: usize = 1000;

/// Slow rules that are printed.
const LISTED: usize = 10;

/// Slow rules that are kept. All are counted.
const SLOW: usize = 100;

/// The longest reason that is kept, in bytes: it may hold a piece of the source.
const REASON: usize = 4096;

/// Reasons for which lines of one source are set aside, that are kept. They are words of ours, so there are few.
const REASONS: usize = 100;

/// Lines that are kept of those of a source that are set aside for one reason. All are counted.
const ASIDES: usize = 5;

/// What a database was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Source by source, in the order in which they were read.
    pub sources: Vec<SourceReport>,
    /// What was not understood, in their order; at most a thousand of it.
    pub complaints: Vec<Complaint>,
    /// All that was not understood, also what is not kept.
    pub complaint_count: u64,
    /// What is understood, and perhaps not as it was meant; at most a thousand of it.
    pub warnings: Vec<Complaint>,
    /// Signatures that were left out because their names are not wanted (`--noload`).
    pub left_out: u64,
    /// Signatures that sources take away by their names (`.ign2`).
    pub ignored: u64,
    /// Rules that cost more than others in every scan, with the reason; at most a hundred.
    pub slow: Vec<Complaint>,
    /// All such rules.
    pub slow_count: u64,
    /// What stood in folders and was not read.
    #[serde(skip)]
    pub unloaded: Vec<Unloaded>,
}

/// What came out of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Where it is, and its format.
    pub source: Source,
    /// Bytes.
    pub length: u64,
    /// Of all of them.
    pub sha256: [u8; 32],
    /// The state of the file; `None` if that does not tell a later one from it.
    pub stamp: Option<Stamp>,
    /// The files that were read because it names them.
    pub included: Vec<Included>,
    /// What was taken of it.
    pub counts: Counts,
    /// What was not understood.
    pub complaints: u64,
    /// What was understood and set aside.
    pub asides: BTreeMap<SetAside, AsideLines>,
}

/// Why something was set aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SetAside {
    /// It waits for content that this version does not produce yet; else this version never searches for it.
    pub waits: bool,
    /// Why.
    pub reason: String,
}

/// What of a source was set aside for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideLines {
    /// All of it.
    pub count: u64,
    /// The first of it: `b.ldb:2 Name`. Empty where it is not about lines.
    pub first: Vec<String>,
}

impl AsideLines {
    fn add(&mut self, aside: &Aside) {
        self.count += 1;
        if aside.line > 0 && self.first.len() < ASIDES {
            let place = format!("{}:{} {}", aside.file, aside.line, aside.name);
            self.first.push(place.trim_end().to_owned());
        }
    }

    /// The first of it, and how many more there are.
    pub fn places(&self) -> impl Iterator<Item = String> {
        let more = self.count.saturating_sub(self.first.len() as u64);
        let more = (more > 0 && !self.first.is_empty()).then(|| format!("and {more} more"));
        self.first.iter().cloned().chain(more)
    }
}

/// What was taken of a source, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rules and patterns.
    pub rules: u64,
    /// Digests of whole objects.
    pub digests: u64,
    /// Digests of sections of programs.
    pub section_digests: u64,
    /// Digests of objects on which nothing is reported.
    pub allowed: u64,
    /// Names of signatures that are not used.
    pub ignored: u64,
    /// Parts of macro patterns.
    pub macro_members: u64,
    /// Passwords that are tried on encrypted members.
    pub passwords: u64,
}

impl Counts {
    /// All that can be found.
    pub fn signatures(&self) -> u64 {
        self.rules + self.digests + self.section_digests
    }

    /// Each kind with its name.
    pub fn by_kind(&self) -> [(&'static str, u64); 7] {
        [
            ("rules", self.rules),
            ("digests", self.digests),
            ("section digests", self.section_digests),
            ("allowed", self.allowed),
            ("ignored names", self.ignored),
            ("macro members", self.macro_members),
            ("passwords", self.passwords),
        ]
    }

    /// What has come since the compiler counted `before`.
    fn between(before: &Tally, after: &Tally) -> Self {
        Self {
            rules: after.rules - before.rules,
            digests: after.digests - before.digests,
            section_digests: after.section_digests - before.section_digests,
            allowed: after.allowed - before.allowed,
            macro_members: after.macro_members - before.macro_members,
            passwords: after.passwords - before.passwords,
            ignored: 0,
        }
    }
}

impl Report {
    /// Begins with the next source.
    pub(super) fn begin(&mut self, source: &Source) {
        self.sources.push(SourceReport {
            source: source.clone(),
            length: 0,
            sha256: [0; 32],
            stamp: None,
            included: Vec::new(),
            counts: Counts::default(),
            complaints: 0,
            asides: BTreeMap::new(),
        });
    }

    /// Says what the source that was begun last was, and what the compiler has taken of it.
    pub(super) fn end(&mut self, seen: Seen, before: &Tally, after: &Tally) {
        let Some(source) = self.sources.last_mut() else {
            return;
        };
        source.length = seen.length;
        source.sha256 = seen.sha256;
        source.stamp = seen.stamp;
        source.counts = Counts {
            ignored: source.counts.ignored,
            ..Counts::between(before, after)
        };
        // What the compiler itself could not take.
        source.complaints += after.complaints - before.complaints;
    }

    /// Remembers a file that the source that was begun last names.
    pub(super) fn include(&mut self, included: Included) {
        if let Some(source) = self.sources.last_mut() {
            source.included.push(included);
        }
    }

    /// All files that sources name.
    pub(super) fn included(&self) -> impl Iterator<Item = &Included> {
        self.sources.iter().flat_map(|source| &source.included)
    }

    /// Keeps something that is not the compiler's to take, of the source that was begun last. Anything else is given back.
    pub(super) fn take(&mut self, item: Item) -> Option<Item> {
        let Some(source) = self.sources.last_mut() else {
            return Some(item);
        };
        match item {
            Item::Complaint(complaint) => {
                source.complaints += 1;
                self.complain(complaint, 1);
            }
            Item::Aside(aside) => source.set_aside(&aside),
            Item::Remark(Remark {
                file,
                line,
                kind: RemarkKind::Warning(reason),
            }) => keep(&mut self.warnings, Complaint { file, line, reason }),
            item => {
                source.counts.ignored += u64::from(matches!(item, Item::Ignored(_)));
                return Some(item);
            }
        }
        None
    }

    /// Rules that cost more than others.
    pub(super) fn warn(&mut self, (slow, count): (Vec<Complaint>, u64)) {
        self.slow_count = count;
        self.slow = slow;
        self.slow.truncate(SLOW);
    }

    /// Names that were to be left out and that no signature has.
    pub(super) fn unmet(&mut self, names: &[&[u8]]) {
        for name in names {
            let name = String::from_utf8_lossy(name);
            let warning = Complaint {
                file: "--noload".to_owned(),
                line: 0,
                reason: format!("no signature is called `{name}`; --vlist prints the names"),
            };
            keep(&mut self.warnings, warning);
        }
    }

    /// What the compiler itself could not take, when it has taken all.
    pub(super) fn refused(&mut self, complaints: &[Complaint], count: u64) {
        for complaint in complaints {
            self.complain(complaint.clone(), 0);
        }
        self.complaint_count += count;
    }

    fn complain(&mut self, complaint: Complaint, count: u64) {
        self.complaint_count += count;
        keep(&mut self.complaints, complaint);
    }

    /// The first 16 hexadecimal digits of a SHA-256 over the formats and contents of the sources and what is left out.
    /// Paths are not in it: the same signatures have the same fingerprint on every machine.
    pub(super) fn fingerprint(&self, unwanted: &[Vec<u8>]) -> String {
        let mut hash = Sha256::new();
        // The lengths keep the parts apart: no two rows of parts give the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        for source in &self.sources {
            part(source.source.format.as_bytes());
            part(&source.sha256);
            for included in &source.included {
                part(included.sha256());
            }
        }
        part(b"");
        for name in unwanted {
            part(name);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut digits = HEXLOWER.encode(&digest);
        digits.truncate(16);
        digits
    }

    /// Nothing can be found but what is built in.
    pub(super) fn has_only_builtin(&self) -> bool {
        let mut own = self
            .sources
            .iter()
            .filter(|source| source.source.path().is_some());
        !own.any(|source| source.counts.signatures() > 0)
    }
}

fn keep(all: &mut Vec<Complaint>, mut complaint: Complaint) {
    if all.len() < COMPLAINTS {
        let end = complaint.reason.floor_char_boundary(REASON);
        complaint.reason.truncate(end);
        all.push(complaint);
    }
}

impl SourceReport {
    fn set_aside(&mut self, aside: &Aside) {
        let key = SetAside {
            waits: aside.until == Until::Content,
            reason: aside.reason.to_owned(),
        };
        if self.asides.len() < REASONS || self.asides.contains_key(&key) {
            self.asides.entry(key).or_default().add(aside);
        }
    }
}

/// What `--check-database` prints, without the epoch.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            source.fmt(f)?;
        }
        for unloaded in &self.unloaded {
            writeln!(f, "{}: not loaded: {}", unloaded.path, unloaded.reason)?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        for complaint in &self.complaints {
            writeln!(f, "not understood: {complaint}")?;
        }
        let more = self.complaint_count - self.complaints.len() as u64;
        if more > 0 {
            writeln!(f, "not understood: {more} more")?;
        }
        for slow in self.slow.iter().take(LISTED) {
            writeln!(f, "slow: {slow}")?;
        }
        let more = self.slow_count.saturating_sub(LISTED as u64);
        if more > 0 {
            writeln!(f, "slow: {more} more")?;
        }
        for (count, what) in [
            (self.left_out, "left out by --noload"),
            (self.ignored, "ignored by name"),
            (self.complaint_count, "not understood"),
        ] {
            if count > 0 {
                writeln!(f, "{what}: {count}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.counts.by_kind().into_iter();
        let kinds = kinds.filter(|(_, count)| *count > 0);
        let mut kinds: Vec<_> = kinds
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        if kinds.is_empty() {
            kinds.push("nothing".to_owned());
        }
        writeln!(
            f,
            "{} ({}): {}",
            self.source.name(),
            self.source.format,
            kinds.join(", ")
        )?;
        for (aside, lines) in &self.asides {
            let kind = if aside.waits { "waiting" } else { "set aside" };
            writeln!(f, "  {kind}: {}: {}", lines.count, aside.reason)?;
            for place in lines.places() {
                writeln!(f, "    {place}")?;
            }
        }
        if self.complaints > 0 {
            writeln!(f, "  not understood: {}", self.complaints)?;
        }
        Ok(())
    }
}
