//! ClamAV's formats: what its manual knows is loaded, or set aside with a word for its kind, or complained about.
//!
//! Two rules hold for all of them. What `clamscan` refuses is a complaint. What it takes and this version cannot do is set
//! aside: one unusual signature must not keep a whole update out.
#![forbid(unsafe_code)]

mod body;
mod compare;
mod container;
mod description;
mod digests;
mod expression;
mod ignore;
mod ldb;
mod ndb;
mod offset;
mod pcre;
mod regex;
pub mod waiting;

use std::borrow::Cow;
use std::io::{self, BufRead};

use super::pattern::NoPattern;
use super::{Intake, Item, Notes, Until, lines};
use crate::path::printable;

pub use container::Containers;
pub use digests::{AllowedDigests, FileDigests, SectionDigests};
pub use ignore::IgnoredNames;
pub use ldb::Logical;
pub use ndb::{Bodies, PlainBodies};

/// The functionality level that signatures compare with: that of ClamAV 1.4.6, whose manual has the table.
const LEVEL: u32 = 216;

/// ClamAV's targets are 0 to this one; signatures for others wait for another version of it.
const LAST_TARGET: u8 = 14;

/// Why a line gives no signature.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// Nobody can read it.
    Wrong(Cow<'static, str>),
    /// It is understood, and not searched for.
    Aside(Until, &'static str),
}

impl Trouble {
    /// Nobody can read it, for this reason.
    fn wrong(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Wrong(reason.into())
    }

    /// It is understood, and this version does not do it.
    fn never(reason: &'static str) -> Self {
        Self::Aside(Until::Never, reason)
    }
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self::Wrong(reason.into())
    }
}

impl From<NoPattern> for Trouble {
    /// `clamscan` has no such bounds, so what is beyond them is well written.
    fn from(flaw: NoPattern) -> Self {
        match flaw {
            NoPattern::Empty => Self::wrong("a pattern without any byte"),
            NoPattern::EmptyChoice => Self::never("an alternative without any byte"),
            NoPattern::TooDeep => Self::never("alternatives nested too deep"),
            NoPattern::TooLong => Self::never("too many bytes in a row"),
            NoPattern::TooManyParts => Self::never("a pattern of too many parts"),
            NoPattern::Unbounded => Self::never("an alternative without a bound on its length"),
            NoPattern::Backwards => Self::never("a range that ends before it begins"),
            NoPattern::Uneven => Self::wrong("excluded alternatives must be of one length"),
        }
    }
}

/// Reads a text of lines, of which each is one item.
fn read_lines(
    text: &mut dyn BufRead,
    source: &str,
    out: &mut dyn Intake,
    mut read: impl FnMut(&[u8]) -> Result<Item, Trouble>,
) -> io::Result<()> {
    let notes = Notes { source };
    lines::each(text, |number, line| match line {
        Ok([] | [b'#', ..]) => {}
        Ok(line) => match read(line) {
            Ok(item) => out.take(item),
            Err(Trouble::Wrong(reason)) => notes.complain(out, number, reason),
            Err(Trouble::Aside(until, reason)) => notes.set_aside(out, number, until, reason),
        },
        Err(reason) => notes.complain(out, number, reason),
    })
}

/// A decimal number; signs, blanks and anything that does not fit are none.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The fields of a line.
fn fields(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    line.split(move |byte| *byte == separator)
}

/// Checks the levels that stand in the last fields of a line: the smallest, and the largest if there is one.
fn check_levels<'a>(mut rest: impl Iterator<Item = &'a [u8]>) -> Result<Option<u32>, Trouble> {
    let Some(min) = rest.next() else {
        return Ok(None);
    };
    let min = level(min)?;
    let max = rest.next().map(level).transpose()?;
    if rest.next().is_some() {
        return Err(Trouble::wrong("more fields than this format has"));
    }
    check_range(min, max.unwrap_or(u32::MAX))?;
    Ok(Some(min))
}

/// A functionality level. An empty field is 0, as for `clamscan`.
fn level(field: &[u8]) -> Result<u32, Trouble> {
    if field.is_empty() {
        return Ok(0);
    }
    let level = number(field).and_then(|level| u32::try_from(level).ok());
    level.ok_or_else(|| {
        let field = printable(field, 40);
        format!("`{field}` is no functionality level").into()
    })
}

fn check_range(min: u32, max: u32) -> Result<(), Trouble> {
    match (min..=max).contains(&LEVEL) {
        true => Ok(()),
        false => Err(Trouble::never("for another version of ClamAV")),
    }
}

/// A target's number. Signatures for the three that are not content as it is in the file are set aside later, when the rest
/// of the line is known to be well written.
fn target(field: &[u8]) -> Result<u8, Trouble> {
    let wrong = || format!("`{}` is no target", printable(field, 40));
    match field {
        [] => Ok(0),
        _ => match number(field).ok_or_else(wrong)? {
            target if target <= u64::from(LAST_TARGET) => {
                u8::try_from(target).map_err(|_| wrong().into())
            }
            _ => Err(Trouble::never("for a target of another version of ClamAV")),
        },
    }
}

/// Sets aside what is for content that this version does not produce.
fn check_target(target: u8) -> Result<(), Trouble> {
    let reason = match target {
        3 => "waits for normalised HTML",
        4 => "waits for mail",
        7 => "waits for normalised text",
        _ => return Ok(()),
    };
    Err(Trouble::Aside(Until::Content, reason))
}
