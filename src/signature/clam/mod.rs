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
mod member;
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
pub use member::{Members, Passwords};
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
            Err(Trouble::Aside(until, reason)) => {
                notes.set_line_aside(out, number, &name(line), until, reason);
            }
        },
        Err(reason) => notes.complain(out, number, reason),
    })
}

/// The longest name that is told of what is set aside, in bytes.
const NAME: usize = 200;

/// The name of the signature on a line, for people: the first field, or what stands behind a digest.
fn name(line: &[u8]) -> String {
    let is_digest = |field: &[u8]| {
        matches!(field.len(), 32 | 40 | 64) && field.iter().all(u8::is_ascii_hexdigit)
    };
    let mut fields = line.split(|byte| matches!(byte, b':' | b';'));
    let first = fields.next().unwrap_or_default();
    let second = fields.next().unwrap_or_default();
    let name = match is_digest(first) || is_digest(second) {
        true => fields.next().unwrap_or_default(),
        false => first,
    };
    let name = name.get(..NAME).unwrap_or(name);
    let name = String::from_utf8_lossy(name);
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
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

/// The fields of a line; at least one.
fn fields(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(separator, line);
        rest = end.and_then(|end| line.get(end + 1..));
        line.get(..end.unwrap_or(line.len()))
    })
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

/// A target's number.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{Aside, Batch, FORMATS, Format, Meaning};
    use proptest::prelude::*;

    /// What a line came to, in a few words.
    fn read(format: &dyn Format, line: &str) -> String {
        let mut batch = Batch::default();
        batch.read(format, line.as_bytes(), "x");
        if let [complaint] = batch.complaints() {
            return format!("wrong: {}", complaint.reason);
        }
        match (batch.signatures(), batch.others()) {
            ([one], []) => match &one.meaning {
                Meaning::Digest { digest, size } => format!("{} {digest} {size:?}", one.name),
                Meaning::SectionDigest { digest, size } => {
                    format!("{} section {digest} {size:?}", one.name)
                }
                Meaning::Member(_) => format!("{} member", one.name),
                Meaning::Rule(rule) => format!("{} target {}", one.name, rule.scope.target),
            },
            ([], [Item::Allowed { digest, size, name }]) => {
                format!("allowed {name} {digest} {size:?}")
            }
            ([], [Item::MacroMember { group, .. }]) => format!("member of {group}"),
            ([], [Item::Aside(Aside { until, reason, .. })]) => format!("{until:?}: {reason}"),
            ([], []) => "nothing".to_owned(),
            other => panic!("{line}: {other:?}"),
        }
    }

    const MD5: &str = "aa15bcf478d165efd2065190eb473bcb";
    const SHA1: &str = "4de254cb0e129d59af3feef7eb50944fedba197f";

    #[test]
    fn every_form_of_a_digest() {
        let sha256 = "ab".repeat(32);
        let rows: [(&dyn Format, String, String); 17] = [
            (
                &FileDigests,
                format!("{MD5}:544:A"),
                format!("CLAM A {MD5} Some(544)"),
            ),
            (
                &FileDigests,
                format!("{}:544:A", MD5.to_uppercase()),
                format!("CLAM A {MD5} Some(544)"),
            ),
            (
                &FileDigests,
                format!("{SHA1}:*:A:73"),
                format!("CLAM A {SHA1} None"),
            ),
            (
                &FileDigests,
                format!("{sha256}:1:A b:10:216"),
                format!("CLAM A b {sha256} Some(1)"),
            ),
            (
                &SectionDigests,
                format!("544:{MD5}:A"),
                format!("CLAM A section {MD5} Some(544)"),
            ),
            (
                &SectionDigests,
                format!("*:{MD5}:A:73"),
                format!("CLAM A section {MD5} None"),
            ),
            (
                &AllowedDigests,
                format!("{MD5}:544:A"),
                format!("allowed A {MD5} Some(544)"),
            ),
            (
                &AllowedDigests,
                format!("{sha256}:*:A:73"),
                format!("allowed A {sha256} None"),
            ),
            (
                &FileDigests,
                format!("{MD5}:544:A:217"),
                "Never: for another version of ClamAV".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:544:A:1:215"),
                "Never: for another version of ClamAV".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:544:A:1:216:2"),
                "wrong: more fields than this format has".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:544:A:b"),
                "wrong: `b` is no functionality level".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:*:A"),
                "wrong: a size of `*` needs `:73` behind the name".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:0:A"),
                "wrong: `0` is no size".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}:544:"),
                "wrong: the name is empty".to_owned(),
            ),
            (
                &FileDigests,
                format!("{MD5}0:544:A"),
                format!("wrong: `{MD5}0` is not 32, 40 or 64 hexadecimal digits"),
            ),
            (
                &FileDigests,
                format!("{MD5}:544"),
                "wrong: a line must have a digest, a size and a name, with colons between them"
                    .to_owned(),
            ),
        ];
        for (format, line, expected) in rows {
            assert_eq!(read(format, &line), expected, "{line}");
        }
    }

    #[test]
    fn every_form_of_a_body_with_its_target_and_levels() {
        let other = "Never: for another version of ClamAV";
        let rows = [
            ("A:0:*:616263", "CLAM A target 0"),
            ("A::*:616263", "CLAM A target 0"),
            ("A:6:EP+0:616263:10:255", "CLAM A target 6"),
            ("A:3:*:616263", "CLAM A target 3"),
            ("A:4:*:616263", "CLAM A target 4"),
            ("A:7:*:616263", "CLAM A target 7"),
            ("A:7:*:zz", "wrong: no body goes on at `zz` (character 1)"),
            (
                "A:15:*:616263",
                "Never: for a target of another version of ClamAV",
            ),
            ("A:0:$12:6162", "member of 12"),
            ("A:0:*:6162", "wrong: fewer than three bytes"),
            ("A:6:EP+0:6162", "CLAM A target 6"),
            ("A:0:*:6162??", "CLAM A target 0"),
            ("A:0:*:zz:217", other),
            ("A:0:*:616263::10", other),
            ("A:0:*:616263:", "CLAM A target 0"),
            ("A:x:*:616263", "wrong: `x` is no target"),
            ("A:0:*", "wrong: a line must be `Name:Target:Offset:Body`"),
            (":0:*:616263", "wrong: the name is empty"),
            ("# A:0:*:616263", "nothing"),
            ("", "nothing"),
        ];
        for (line, expected) in rows {
            assert_eq!(read(&Bodies, line), expected, "{line}");
        }
        assert_eq!(read(&PlainBodies, "A=616263"), "CLAM A target 0");
        assert!(read(&PlainBodies, "A:616263").starts_with("wrong: a line must be"));
    }

    /// What lines are made of.
    const WORDS: &[&str] = &[
        "A",
        ":",
        ";",
        ",",
        "0",
        "1",
        "9",
        "*",
        "?",
        "61",
        "6162",
        "(",
        ")",
        "|",
        "!",
        "&",
        "=",
        ">",
        "<",
        "[",
        "]",
        "{",
        "}",
        "-",
        "/",
        "\\",
        "#",
        "$",
        "^",
        "+",
        ".",
        "::",
        "iwfa",
        "Target:0",
        "Engine:1-255,",
        "EP+",
        "EOF-",
        "(B)",
        "(W)",
        "(L)",
        "(?:",
        "\\x",
        "[:alpha:]",
        "gresmxAEU",
        "#ib2#=",
        "(>>",
        "${1-2}3$",
        "CL_TYPE_ZIP",
        "A;Target:0;0&1;6162;",
        "A;Target:0;0&1;6162;0/",
        "A:0:*:6162",
    ];

    proptest! {
        #[test]
        fn no_line_of_these_words_makes_a_format_fail(
            words in proptest::collection::vec(proptest::sample::select(WORDS), 0..30),
        ) {
            let line = words.concat();
            for format in FORMATS {
                Batch::default().read(*format, line.as_bytes(), "x");
            }
        }
    }
}
