//! Signatures: several source formats, one meaning.
//!
//! Each format is one file and one row of [`FORMATS`]. Whatever a format cannot read becomes a [`Complaint`] with
//! its place, never silence: a rule that is lost unseen is a detection that is lost unseen.
#![forbid(unsafe_code)]

pub mod clam;
pub mod condition;
pub mod cvdl;
pub mod digests;
pub mod excerpt;
pub mod lines;
pub mod pattern;
pub mod rule;
pub mod yara;

use std::fmt;
use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::event::{EngineWord, SignatureName};
use digests::Digest;
use pattern::Pattern;
use rule::{MemberRule, Rule, Scope, TypeList};

/// All source formats.
pub static FORMATS: &[&dyn Format] = &[
    &cvdl::Cvdl,
    &digests::DigestList,
    &cvdl::Strict,
    &clam::Bodies,
    &clam::PlainBodies,
    &clam::Logical,
    &clam::FileDigests,
    &clam::SectionDigests,
    &clam::AllowedDigests,
    &yara::Yara,
    &clam::IgnoredNames,
    &clam::Containers,
    &clam::Members,
    &clam::Passwords,
    &clam::waiting::TYPES,
    &clam::waiting::CERTIFICATES,
    &clam::waiting::CATALOGUES,
    &clam::waiting::PHISHING,
    &clam::waiting::ICONS,
    &clam::waiting::IMPORTS,
    &clam::waiting::OLD_MEMBERS,
    &clam::waiting::BYTECODE,
    &clam::waiting::SETTINGS,
    &clam::waiting::INFORMATION,
    &clam::waiting::OBSOLETE,
    &clam::waiting::INDICATORS,
    &clam::waiting::SIGNATURES,
    &clam::waiting::STEPS,
];

/// The format of this name.
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().find(|format| format.name() == name).copied()
}

/// The format of files whose names end like this, without the dot and in lower case.
pub fn format_by_extension(extension: &str) -> Option<&'static dyn Format> {
    let has = |format: &&&'static dyn Format| format.extensions().contains(&extension);
    FORMATS.iter().find(has).copied()
}

/// One source format.
pub trait Format: fmt::Debug + Sync {
    /// Its name, by which a database says how a text is to be read.
    fn name(&self) -> &'static str;

    /// How the names of its files end, without the dot, in lower case; none for a format that is named explicitly only.
    fn extensions(&self) -> &'static [&'static str];

    /// Reads a whole text. `source` is the name that complaints carry. A text may have hundreds of megabytes: a format
    /// of lines holds one line at a time.
    ///
    /// What can be read goes to `out`, everything else becomes a complaint or is set aside; no bytes make it fail.
    ///
    /// # Errors
    /// Of reading alone.
    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()>;
}

/// Takes what a format reads, one by one: what is compiled need not be kept.
pub trait Intake {
    /// Takes one.
    fn take(&mut self, item: Item);

    /// The file that the source `from` names as `name` (YARA's `include`): what complaints are to call it, and its content of
    /// at most `limit` bytes.
    ///
    /// # Errors
    /// Why there is none, for people. By default there never is: only who reads files from a folder knows what is beside them.
    fn beside(&mut self, from: &str, name: &str, limit: u64) -> Result<(String, Vec<u8>), String> {
        let _ = (from, name, limit);
        Err("only a file in a folder can include others".to_owned())
    }
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Something to find.
    Signature(Signature),
    /// Findings on an object with this digest are not reported (ClamAV's `.fp` and `.sfp`).
    Allowed {
        /// The digest of the object, or of a container that it is in.
        digest: Digest,
        /// Its length in bytes.
        size: Option<u64>,
        /// What the list calls it.
        name: String,
    },
    /// The signatures of this name are not used, whichever source they are in (ClamAV's `.ign` and `.ign2`). Without the
    /// word in front.
    Ignored(String),
    /// A part of macro patterns, by the number that they name (ClamAV's `$12` as an offset).
    MacroMember {
        /// The number, which is local to all sources of a database.
        group: u32,
        /// What to search for.
        pattern: Pattern,
    },
    /// A password that is tried on encrypted members of containers of this type, or of any.
    Password {
        /// As ClamAV names it.
        container: Option<String>,
        /// The password.
        password: Vec<u8>,
    },
    /// A rule in YARA's language.
    Yara(yara::Part),
    /// Something was not understood.
    Complaint(Complaint),
    /// Something is understood, and not searched for by this version, or not yet.
    Aside(Aside),
    /// Something worth knowing, which changes nothing of what is found.
    Remark(Remark),
}

/// One thing to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// As it is reported.
    pub name: SignatureName,
    /// When it holds.
    pub meaning: Meaning,
}

/// When a signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The whole object has this digest and, if one is given, this length.
    Digest {
        /// The digest.
        digest: Digest,
        /// The length of the object in bytes.
        size: Option<u64>,
    },
    /// A section of a program has this digest and, if one is given, this length.
    SectionDigest {
        /// The digest.
        digest: Digest,
        /// The length of the section in the file, in bytes.
        size: Option<u64>,
    },
    /// A member of a container is such a one.
    Member(MemberRule),
    /// A condition over tests.
    Rule(Rule),
}

/// Something in a source that was not understood, and so is not searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The source.
    pub file: String,
    /// Its line, from 1; 0 for the whole source.
    pub line: u32,
    /// What is wrong there. The first line says it; more lines may show where.
    pub reason: String,
}

impl Complaint {
    /// It in one line: without the piece of the source that may stand below.
    pub fn in_one_line(&self) -> String {
        let text = self.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}

/// Something in a source that is understood and not searched for: it is counted by its reason and listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The source.
    pub file: String,
    /// Its line, from 1; 0 for all of it.
    pub line: u32,
    /// The signature's name, if it has one that can be told.
    pub name: String,
    /// Whether it will be searched for.
    pub until: Until,
    /// Why, in a few words that are the same for all of a kind.
    pub reason: &'static str,
}

/// Whether what is set aside will be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// Never by this version.
    Never,
    /// It waits for content that this version does not produce yet.
    Content,
}

/// Something in a source that is worth knowing, and neither wrong nor left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The source.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// What it is.
    pub kind: RemarkKind,
}

/// What a [`Remark`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemarkKind {
    /// The version of the source.
    FileVersion(String),
    /// The version of a rule.
    RuleVersion {
        /// The rule's name, without the word in front.
        name: String,
        /// Its version.
        version: String,
    },
    /// From here on rules are for these objects.
    Types(TypeList),
    /// It is understood, and perhaps not as it was meant. The first line says it; more lines may show where.
    Warning(String),
}

/// What formats say of one source, in fewer words.
#[derive(Debug)]
pub struct Notes<'a> {
    /// The source's name.
    pub source: &'a str,
}

impl Notes<'_> {
    /// A complaint about a line.
    pub fn complain(&self, out: &mut dyn Intake, line: u32, reason: impl Into<String>) {
        out.take(Item::Complaint(Complaint {
            file: self.source.to_owned(),
            line,
            reason: reason.into(),
        }));
    }

    /// A remark about a line.
    pub fn remark(&self, out: &mut dyn Intake, line: u32, kind: RemarkKind) {
        out.take(Item::Remark(Remark {
            file: self.source.to_owned(),
            line,
            kind,
        }));
    }

    /// Sets a whole source aside.
    pub fn set_aside(&self, out: &mut dyn Intake, until: Until, reason: &'static str) {
        self.set_line_aside(out, 0, "", until, reason);
    }

    /// Sets a line aside, on which stands the signature of this name.
    pub fn set_line_aside(
        &self,
        out: &mut dyn Intake,
        line: u32,
        name: &str,
        until: Until,
        reason: &'static str,
    ) {
        out.take(Item::Aside(Aside {
            file: self.source.to_owned(),
            line,
            name: name.to_owned(),
            until,
            reason,
        }));
    }
}

/// Complaints that are kept of one batch: a file in the wrong format would fill memory with them.
const COMPLAINTS_LIMIT: usize = 1000;

/// What came out of one or several sources, kept: for tests, and for small ones.
#[derive(Debug, Default)]
pub struct Batch {
    signatures: Vec<Signature>,
    complaints: Vec<Complaint>,
    others: Vec<Item>,
}

impl Intake for Batch {
    fn take(&mut self, item: Item) {
        match item {
            Item::Signature(signature) => self.signatures.push(signature),
            Item::Complaint(complaint) => self.complain(complaint),
            other => self.others.push(other),
        }
    }
}

impl Batch {
    /// Reads a text in memory.
    pub fn read(&mut self, format: &dyn Format, mut text: &[u8], source: &str) {
        // Memory does not fail to be read.
        let _ = format.parse(&mut text, source, self);
    }

    /// Adds a complaint; after a thousand one last says that there are more.
    fn complain(&mut self, mut complaint: Complaint) {
        match self.complaints.len() {
            0..COMPLAINTS_LIMIT => {}
            COMPLAINTS_LIMIT => complaint.reason = "further complaints are not listed".to_owned(),
            _ => return,
        }
        self.complaints.push(complaint);
    }

    /// The signatures so far, in the order of the sources.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Keeps of the signatures from number `from` on only those that `keep` says.
    pub fn retain_from(&mut self, from: usize, keep: impl Fn(&Signature) -> bool) {
        let new = self.signatures.split_off(from.min(self.signatures.len()));
        self.signatures.extend(new.into_iter().filter(keep));
    }

    /// The complaints so far.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// What was neither a signature nor a complaint.
    pub fn others(&self) -> &[Item] {
        &self.others
    }

    /// Signatures and complaints.
    pub fn into_parts(self) -> (Vec<Signature>, Vec<Complaint>) {
        (self.signatures, self.complaints)
    }
}

/// The longest name in bytes; it must fit into every protocol's line beside a path.
const NAME_LIMIT: usize = 1024;

/// The name of a signature, from the bytes that a source gives it.
fn named(engine: EngineWord, name: &[u8]) -> Result<SignatureName, String> {
    if name.len() > NAME_LIMIT {
        return Err(format!("a name of more than {NAME_LIMIT} bytes"));
    }
    // Nearly all names of a million are words: nothing in them has to be changed.
    if !name.is_empty()
        && name.iter().all(u8::is_ascii_graphic)
        && let Ok(name) = String::from_utf8(name.to_vec())
    {
        return Ok(SignatureName { engine, name });
    }
    let name = SignatureName::new(engine, &String::from_utf8_lossy(name));
    match name.name.is_empty() {
        true => Err("the name is empty".to_owned()),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_are_found_by_their_names() {
        for row in FORMATS {
            assert_eq!(format(row.name()).unwrap().name(), row.name());
        }
        assert!(format("nothing").is_none());
    }

    #[test]
    fn a_complaint_reads_as_compilers_write_them() {
        let mut batch = Batch::default();
        Notes { source: "v.vdl" }.complain(&mut batch, 12, "no");
        assert_eq!(batch.complaints()[0].to_string(), "v.vdl:12: no");
    }

    #[test]
    fn the_complaints_of_a_wrong_file_are_bounded_and_it_is_said() {
        let mut batch = Batch::default();
        batch.read(&digests::DigestList, &b"?\n".repeat(5000), "x");
        assert_eq!(batch.complaints().len(), COMPLAINTS_LIMIT + 1);
        assert!(
            batch.complaints()[COMPLAINTS_LIMIT]
                .reason
                .contains("not listed")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_format_fail(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            for format in FORMATS {
                Batch::default().read(*format, &text, "x");
            }
        }
    }
}
