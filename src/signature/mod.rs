//! Signatures: several source formats, one meaning.
//!
//! Each format is one file and one row of [`FORMATS`]. Whatever a format cannot read becomes a [`Complaint`] with
//! its place, never silence: a rule that is lost unseen is a detection that is lost unseen.
#![forbid(unsafe_code)]

pub mod condition;
pub mod cvdl;
pub mod digests;
pub mod pattern;

use std::fmt;

use crate::event::{EngineWord, SignatureName};
use condition::Condition;
use digests::Digest;
use pattern::Pattern;

/// All source formats.
pub static FORMATS: &[&dyn Format] = &[&cvdl::Cvdl, &digests::DigestList];

/// The format of this name.
pub fn format(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().find(|format| format.name() == name).copied()
}

/// One source format.
pub trait Format: fmt::Debug + Sync {
    /// Its name, by which a database says how a text is to be read.
    fn name(&self) -> &'static str;

    /// Reads a whole text. `source` is the name that complaints carry.
    ///
    /// What can be read goes to `out`, everything else becomes a complaint; no bytes make it fail.
    fn parse(&self, text: &[u8], source: &str, out: &mut Batch);
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
    /// A condition over patterns that occur anywhere in the object.
    Rule {
        /// What the condition's indices mean.
        patterns: Vec<Pattern>,
        /// Which of them must occur.
        condition: Condition,
    },
}

/// Something in a source that was not understood, and so is not searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The source.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// What is wrong there, in one line.
    pub reason: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Complaints that are kept of one batch: a file in the wrong format would fill memory with them.
const COMPLAINTS_LIMIT: usize = 1000;

/// What came out of one or several sources.
#[derive(Debug, Default)]
pub struct Batch {
    signatures: Vec<Signature>,
    complaints: Vec<Complaint>,
}

impl Batch {
    /// Adds a signature.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }

    /// Adds a complaint; after a thousand one last says that there are more.
    pub fn complain(&mut self, file: &str, line: u32, reason: impl Into<String>) {
        let reason = match self.complaints.len() {
            0..COMPLAINTS_LIMIT => reason.into(),
            COMPLAINTS_LIMIT => "further complaints are not listed".to_owned(),
            _ => return,
        };
        self.complaints.push(Complaint {
            file: file.to_owned(),
            line,
            reason,
        });
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

    /// Both lists.
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
        batch.complain("v.vdl", 12, "no");
        assert_eq!(batch.complaints()[0].to_string(), "v.vdl:12: no");
    }

    #[test]
    fn the_complaints_of_a_wrong_file_are_bounded_and_it_is_said() {
        let mut batch = Batch::default();
        digests::DigestList.parse(&b"?\n".repeat(5000), "x", &mut batch);
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
                format.parse(&text, "x", &mut Batch::default());
            }
        }
    }
}
