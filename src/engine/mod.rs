//! The engine: signatures compiled into flat arrays, and one object at a time matched by them.
//!
//! A `Compiler` takes what the sources say and writes an image; a [`Database`] uses the image where it lies: opening it makes
//! nothing for each signature. `search` finds the patterns in one pass over the content, `digests` beside it; then `rules`
//! says which signatures hold, and asks `whole` for the content once more where they need that. The database never changes,
//! so any number of matchers share it. What a matcher finds does not depend on how the content was cut into chunks; the
//! naive search in the tests is the oracle.
#![forbid(unsafe_code)]

mod compiler;
mod digests;
pub mod late;
mod matcher;
mod members;
mod names;
mod rules;
pub mod search;
mod whole;

use std::collections::HashSet;

use thiserror::Error;

use crate::event::SignatureName;
use crate::filetype::FileType;
use crate::image::{Damage, Image, Tag};
use crate::signature::{Intake, Item, Signature};
use crate::view::Form;
pub use compiler::{CompileError, Compiler, Tally};
use digests::{Known, Of};
pub use matcher::{Match, Matcher, Matches, Subject};
pub use members::About;
use members::Members;
use names::Names;
use rules::Rules;
use search::Patterns;
use whole::Expressions;

/// The section of one byte that says what the database needs.
const FLAGS: Tag = *b"ENGFLAGS";

/// The section of the rules in YARA's language; empty if there are none.
const YARA: Tag = *b"YARARULE";

/// The bit for signatures that ask where the parts of a program are.
const LAYOUT: u8 = 1;

/// The bit for ClamAV's signatures that hold on the normal form of HTML.
const HTML: u8 = 2;

/// The bit for ClamAV's signatures that hold on the normal form of text.
const TEXT: u8 = 4;

/// There is more of something than an image can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more {0} than one database can hold")]
pub struct Full(pub(crate) &'static str);

/// All signatures as one machine, in an image; immutable.
#[derive(Debug)]
pub struct Database {
    flags: u8,
    names: Names,
    objects: Known,
    sections: Known,
    allowed: Known,
    patterns: Patterns,
    rules: Rules,
    members: Members,
    expressions: Expressions,
    #[cfg(feature = "yara")]
    yara: Option<late::yara::Rules>,
}

impl Database {
    /// Uses the sections of an image. What is in them is not looked at: the checksums were.
    ///
    /// # Errors
    /// A section is missing or its length makes no sense.
    pub fn open(image: &Image) -> Result<Self, Damage> {
        let flags = image.section(FLAGS)?;
        let rules = Rules::open(image)?;
        let yara = image.section(YARA)?;
        #[cfg(feature = "yara")]
        let yara = match yara.is_empty() {
            true => None,
            false => Some(late::yara::Rules::open(&yara).map_err(Damage::Section)?),
        };
        #[cfg(not(feature = "yara"))]
        if !yara.is_empty() {
            return Err(Damage::Section(
                "of YARA rules, which this program cannot read".to_owned(),
            ));
        }
        Ok(Self {
            #[cfg(feature = "yara")]
            yara,
            expressions: Expressions::new(rules.late_count()),
            flags: *flags
                .first()
                .ok_or(Damage::Section("of flags".to_owned()))?,
            names: Names::open(image)?,
            objects: Known::open(image, Of::Object)?,
            sections: Known::open(image, Of::Section)?,
            allowed: Known::open(image, Of::Allowed)?,
            patterns: Patterns::open(image)?,
            members: Members::open(image)?,
            rules,
        })
    }

    /// Builds a database of these signatures in memory: for tests, and for small ones.
    ///
    /// # Errors
    /// A signature that cannot be searched for, or more of them than can be numbered; the text is for people.
    pub fn compile(signatures: Vec<Signature>) -> Result<Self, String> {
        let compiler = Compiler::in_memory(HashSet::new());
        let mut compiler = compiler.map_err(|error| error.to_string())?;
        for signature in signatures {
            compiler.take(Item::Signature(signature));
        }
        match compiler.complaints().first() {
            Some(complaint) => Err(complaint.to_string()),
            None => compiler.open(),
        }
    }

    /// The number of signatures.
    pub fn count(&self) -> usize {
        self.names.count()
    }

    /// The names of the signatures, in the order of the sources.
    pub fn names(&self) -> impl Iterator<Item = SignatureName> {
        (0..).map_while(|number| self.names.get(number))
    }

    /// True if a signature has this name: what a worker process reports is held against it.
    pub fn knows(&self, name: &SignatureName) -> bool {
        self.names.contains(name)
    }

    /// The names that more than one signature has, each once, and how many have it.
    pub fn duplicates(&self) -> impl Iterator<Item = (SignatureName, usize)> {
        self.names.duplicates()
    }

    /// Tells whether some signature asks where the parts of a program are.
    pub fn needs_layout(&self) -> bool {
        self.flags & LAYOUT != 0
    }

    /// Tells whether some signature may ask what a file is called.
    pub fn needs_names(&self) -> bool {
        #[cfg(feature = "yara")]
        return self
            .yara
            .as_ref()
            .is_some_and(late::yara::Rules::needs_names);
        #[cfg(not(feature = "yara"))]
        false
    }

    /// Tells whether some signature asks what a container says of its members.
    pub fn needs_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// The signatures that hold on a member by what its container says of it.
    pub fn member(&self, about: &About<'_>) -> Vec<SignatureName> {
        let holding = self.members.holding(about).into_iter();
        holding
            .filter_map(|number| self.names.get(number))
            .collect()
    }

    /// What sources say is to be tried on encrypted members of a container of this type.
    pub fn passwords(&self, container: &'static FileType) -> Vec<Vec<u8>> {
        self.members.passwords(container).cloned().collect()
    }

    /// Tells whether some signature may hold on an object in this form.
    pub fn needs(&self, form: Form) -> bool {
        match form {
            Form::Content | Form::Reading => true,
            Form::Html | Form::Script => self.flags & HTML != 0,
            Form::Text => self.flags & TEXT != 0,
        }
    }
}

#[cfg(test)]
mod tests;
