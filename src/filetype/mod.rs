//! What a content is: the types by which signatures say which objects they are for.
//!
//! Told by content alone, never by a name. A type is a row of [`TYPES`], tried from top to bottom; what no row fits is
//! [`UNKNOWN`]. Containers are told by the table of [`expand`]: a row here names their kind.
//!
//! The numbers of targets and the `CL_TYPE` names are those that clamscan gives (`clamscan --debug`, and signatures for each
//! target). Where clamscan is content with two or three letters, and people would not call it that, the row keeps the target
//! and is `unknown` otherwise: a type that is not certain may not keep a rule away from an object.
#![forbid(unsafe_code)]

mod office;
mod program;
mod table;
mod text;

use crate::expand;
use crate::kind::Kind;
use crate::object::Probe;

pub use table::{TYPES, UNKNOWN};

/// One row of [`TYPES`].
#[derive(Debug)]
pub struct FileType {
    /// In words, as CVDL's restrictions and people see it: `ASCII text`; `unknown` where restrictions bind nothing.
    pub title: &'static str,
    /// As ClamAV names it: `CL_TYPE_MSEXE`; empty where it has no name for it.
    pub clam: &'static str,
    /// ClamAV's target number, 0 where it has none.
    pub target: u8,
    tells: &'static [Tell],
}

/// How a type is told; one of a row's is enough.
#[derive(Debug)]
enum Tell {
    /// These bytes at this place of the head.
    At(usize, &'static [u8]),
    /// The content is opened as this kind of container.
    Kind(&'static str),
    /// The content is opened as this kind of container, and this holds.
    KindWhere(&'static str, fn(&Probe) -> bool),
    /// This holds.
    Where(fn(&Probe) -> bool),
    /// This holds of what is read once for all rows that are told from text.
    Text(fn(&text::Text<'_>) -> bool),
}

/// The type of a content, by its two ends.
pub fn recognise(probe: &Probe) -> &'static FileType {
    told(probe, &expand::recognise(probe))
}

/// The type of a content, where the kinds of container that it may be have been told.
pub fn told(probe: &Probe, kinds: &[&Kind]) -> &'static FileType {
    let text = text::Text::new(probe);
    TYPES
        .iter()
        .find(|row| (row.tells.iter()).any(|tell| tell.holds(probe, kinds, &text)))
        .unwrap_or(&UNKNOWN)
}

impl FileType {
    /// Tells whether ClamAV calls a container of this type so: an office document is opened as a zip archive too.
    pub fn is_clam(&self, name: &[u8]) -> bool {
        let is_office = || self.clam.starts_with("CL_TYPE_OOXML_");
        self.clam.as_bytes() == name || name == b"CL_TYPE_ZIP" && is_office()
    }

    /// This type as the members see it that an expander of `kind` gives: what follows a program is in an archive, not in the program.
    pub fn opened_as(&'static self, kind: &str) -> &'static Self {
        let is = |row: &&Self| {
            let told = |tell: &Tell| matches!(tell, Tell::Kind(name) | Tell::KindWhere(name, _) if *name == kind);
            row.tells.iter().any(told)
        };
        let plain = |row: &&Self| {
            row.tells
                .iter()
                .any(|tell| matches!(tell, Tell::Kind(name) if *name == kind))
        };
        match is(&self) {
            true => self,
            false => TYPES
                .iter()
                .find(plain)
                .or_else(|| TYPES.iter().find(is))
                .unwrap_or(self),
        }
    }

    /// Text of any kind: what ClamAV looks for in texts, mails and HTML, and what it has other names for.
    pub fn is_text(&self) -> bool {
        const TARGETS: [u8; 3] = [3, 4, 7];
        TARGETS.contains(&self.target)
            || self.title.ends_with(" text")
            || matches!(self.clam, "CL_TYPE_PS" | "CL_TYPE_SCRENC")
    }

    /// Nothing certain is known, so that no restriction by words binds.
    pub fn is_unknown(&self) -> bool {
        self.title == UNKNOWN.title
    }
}

impl PartialEq for FileType {
    fn eq(&self, other: &Self) -> bool {
        (self.title, self.clam, self.target) == (other.title, other.clam, other.target)
    }
}

impl Eq for FileType {}

impl Tell {
    fn holds(&self, probe: &Probe, kinds: &[&Kind], text: &text::Text<'_>) -> bool {
        let is_kind = |name: &str| kinds.iter().any(|kind| kind.name == name);
        match self {
            Self::At(at, bytes) => probe.has(*at, bytes),
            Self::Kind(name) => is_kind(name),
            Self::KindWhere(name, check) => is_kind(name) && check(probe),
            Self::Where(check) => check(probe),
            Self::Text(check) => check(text),
        }
    }
}

#[cfg(test)]
mod tests;
