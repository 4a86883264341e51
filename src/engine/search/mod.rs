//! The matching core: all patterns at once in an object that is fed chunk by chunk.
//!
//! A [`Builder`] takes patterns and writes them as flat sections of an image; [`Patterns`] uses them where they lie; a
//! [`Search`] finds their matches in one object, whose chunks may be cut anywhere, and gives them as [`Found`].
//!
//! # How it is found
//!
//! Each segment has an atom (`atoms`), all atoms are found by one look at each place of the content (`index`), and where an
//! atom is, its segment is confirmed (`confirm`). Patterns of several segments wait (`links`) for the next one: so their
//! segments are confirmed in the order of their starts, once all bytes that may belong to them are there (`run`). Matches
//! are kept by pattern (`record`), those whose offset is not known until the end apart.
//!
//! # What a match is, and how many there are
//!
//! A match is a place from which all segments and links of a pattern fit, under its offset. The end that counts is the
//! smallest of all. Counts are those of ClamAV (asked of version 1.4): matches may overlap (`6161` is three times in
//! `aaaa`), and what is counted is the places where what stands behind the last gap of variable length begins: `6161*6262`
//! is once in `aa aa bb` and twice in `aa aa bb bb`; alternatives of different lengths (`6162(63|6364)` in `abcd`) count
//! once for each such place.
#![forbid(unsafe_code)]

mod atoms;
mod builder;
mod confirm;
mod content;
mod far;
mod filter;
mod flat;
mod found;
mod frequency;
mod index;
mod links;
#[cfg(test)]
mod naive;
mod offset;
mod patterns;
mod program;
mod record;
mod run;
#[cfg(test)]
mod tests;

pub use builder::{AddError, Builder, Likely};
pub use found::{Found, Overflow, PLACES};
pub use patterns::Patterns;
pub use run::Search;

use crate::executable::Layout;

/// What somebody needs to know of the matches of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Whether there is one, and the smallest end.
    First = 0,
    /// How many there are, and the smallest end.
    Count = 1,
    /// Also where each begins.
    Starts = 2,
}

impl Keep {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::First,
            1 => Self::Count,
            _ => Self::Starts,
        }
    }
}

/// What is known of an object before its first byte. Offsets that need more are decided at its end.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Where the parts of a program are; empty if it is none.
    pub layout: Option<Layout>,
}
