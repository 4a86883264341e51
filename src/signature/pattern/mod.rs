//! A pattern: what a signature looks for in the bytes of an object, in one form for all source formats.
//!
//! A pattern is a row of segments. A [`Segment`] has a bounded length, so that the engine confirms it within one window of
//! content; what may be arbitrarily long (`*`, `.*`, `\d+`, a large `{n-m}`) is a [`Link`] between two segments. The
//! [`Builder`] takes the pieces in the order of the source and decides where a segment ends.
//!
//! ```text
//! "abc", @0-10, ('d' | "ef"), .*, ~"gh"
//! └──────────── segment ─────┘ link └segment┘
//! ```
#![forbid(unsafe_code)]

mod builder;
mod display;
mod set;

use thiserror::Error;

pub use builder::{Builder, GAP_LIMIT};
pub use set::ByteSet;

/// The longest segment in bytes. It bounds what each scan carries from one window of content to the next.
pub const LENGTH_LIMIT: usize = 4096;

/// The most parts that one pattern may have, those inside of alternatives counted. It bounds the work of a candidate.
pub const PARTS_LIMIT: usize = 8192;

/// How deep alternatives may stand inside each other.
pub const DEPTH_LIMIT: usize = 8;

/// Why pieces are no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoPattern {
    /// A choice without a choice, or one that is empty.
    #[error("an alternative without any byte")]
    EmptyChoice,
    /// There is nothing to search for.
    #[error("a pattern without any byte")]
    Empty,
    /// Alternatives nested too deep.
    #[error("alternatives nested more than {DEPTH_LIMIT} deep")]
    TooDeep,
    /// More bytes in a row than [`LENGTH_LIMIT`].
    #[error("more than {LENGTH_LIMIT} bytes in a row")]
    TooLong,
    /// More than [`PARTS_LIMIT`] parts.
    #[error("a pattern of more than {PARTS_LIMIT} parts")]
    TooManyParts,
    /// A link or a squeezed text inside of an alternative.
    #[error("an alternative without a bound on its length")]
    Unbounded,
    /// A range whose end comes before its start.
    #[error("a range that ends before it begins")]
    Backwards,
    /// Alternatives of different lengths, of which none may occur.
    #[error("excluded alternatives must be of one length")]
    Uneven,
}

/// What to search for: never empty; one link less than segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    offset: Option<Offset>,
    segments: Vec<Segment>,
    links: Vec<Link>,
}

/// A part of a pattern that is confirmed at once: at least one byte, at most [`LENGTH_LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    parts: Vec<Part>,
    squeezed: bool,
    shortest: usize,
    longest: usize,
}

/// One step of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// These bytes. With `caseless` they are lower case, and ASCII letters match in either case.
    Bytes {
        /// At least one.
        bytes: Vec<u8>,
        /// ASCII letters in either case.
        caseless: bool,
    },
    /// `min` to `max` bytes of a set.
    Class {
        /// Which bytes; never none.
        set: ByteSet,
        /// At least so many.
        min: u32,
        /// At most so many, and at least 1.
        max: u32,
    },
    /// `min` to `max` bytes, whatever they are.
    Gap {
        /// At least so many.
        min: u32,
        /// At most so many.
        max: u32,
    },
    /// One of these, or, if `negated`, as many bytes as they have that are none of these.
    Either {
        /// At least one; each matches at least one byte.
        choices: Vec<Vec<Part>>,
        /// None of them; all match the same fixed number of bytes.
        negated: bool,
    },
    /// A border of words or lines.
    Edge(Edge),
}

/// A border in the content; it takes no byte. Asked of ClamAV 1.4, which in the middle of a pattern takes one byte there:
/// that is a class, and no edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge {
    /// What must be there.
    pub border: Border,
    /// Where it must be.
    pub side: Side,
}

/// ClamAV's `(B)`, `(L)` and `(W)`. The ends of the object are borders of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Border {
    /// `(B)`: one of ` -./<@_` before, or of LF, CR and ` "'-/=>_` behind.
    Word,
    /// `(L)`: LF before, LF or CRLF behind.
    Line,
    /// `(W)`: a byte that is no ASCII letter and no digit.
    NotWord,
}

/// The side of an edge on which its border is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The border ends here.
    Before,
    /// The border begins here.
    Behind,
    /// A byte comes, and no border begins with it.
    NotBehind,
}

/// What lies between two segments: `min` to `max` bytes, all of them out of `within` if that is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// At least so many bytes.
    pub min: u64,
    /// At most so many; `None` for any number.
    pub max: Option<u64>,
    /// Only these bytes.
    pub within: Option<ByteSet>,
}

/// Where a pattern must begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset {
    /// From where it is counted.
    pub base: Base,
    /// Bytes from there; negative before it.
    pub by: i64,
    /// It may begin up to so many bytes later.
    pub shift: u64,
}

/// From where an [`Offset`] is counted. Those that an object does not have match nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// The first byte of the object.
    Start,
    /// The byte behind the last one.
    End,
    /// The entry point of a program.
    Entry,
    /// The first byte of a program's section, from 0.
    Section(u32),
    /// The first byte of a program's last section.
    LastSection,
    /// Anywhere in this section of a program; `by` and `shift` are 0.
    Within(u32),
    /// Anywhere in the version information of a PE program; `by` and `shift` are 0.
    VersionInfo,
}

impl Pattern {
    /// Exactly these bytes, anywhere.
    ///
    /// # Errors
    /// No bytes, or too many.
    pub fn exact(bytes: &[u8]) -> Result<Self, NoPattern> {
        let mut builder = Builder::default();
        builder.bytes(bytes, false);
        builder.finish(None)
    }

    /// These bytes, ASCII letters in either case, anywhere.
    ///
    /// # Errors
    /// No bytes, or too many.
    pub fn caseless(bytes: &[u8]) -> Result<Self, NoPattern> {
        let mut builder = Builder::default();
        builder.bytes(bytes, true);
        builder.finish(None)
    }

    /// Where it must begin; `None` for anywhere.
    pub fn offset(&self) -> Option<Offset> {
        self.offset
    }

    /// Its segments, at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What lies between its segments: number `n` is between the segments `n` and `n + 1`.
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}

impl Link {
    /// Nothing lies between.
    pub const ADJACENT: Self = Self {
        min: 0,
        max: Some(0),
        within: None,
    };
}

impl Segment {
    /// Its steps.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// It is compared with the content without blanks and punctuation (`isspace`, `ispunct`), letters in either case:
    /// CVDL's `~~`. Its parts are caseless bytes alone then; between its first and its last byte the content may have any
    /// number of the bytes left out, and none before or behind.
    pub fn is_squeezed(&self) -> bool {
        self.squeezed
    }

    /// The least number of bytes that it matches. Of a squeezed segment, those that count.
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// The largest number of bytes that it matches. Of a squeezed segment, those that count.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

impl Part {
    /// The least number of bytes that it matches.
    pub fn shortest(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Class { min, .. } | Self::Gap { min, .. } => *min as usize,
            Self::Either { choices, .. } => {
                let lengths = choices.iter().map(|choice| sum(choice, Self::shortest));
                lengths.min().unwrap_or(0)
            }
            Self::Edge(_) => 0,
        }
    }

    /// The largest number of bytes that it matches.
    pub fn longest(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.len(),
            Self::Class { max, .. } | Self::Gap { max, .. } => *max as usize,
            Self::Either { choices, .. } => {
                let lengths = choices.iter().map(|choice| sum(choice, Self::longest));
                lengths.max().unwrap_or(0)
            }
            Self::Edge(_) => 0,
        }
    }
}

fn sum(parts: &[Part], length: fn(&Part) -> usize) -> usize {
    parts.iter().map(length).fold(0, usize::saturating_add)
}

/// Tells whether squeezed text leaves this byte out: `isspace` and `ispunct` of the C locale.
pub fn is_left_out(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b || byte.is_ascii_punctuation()
}
