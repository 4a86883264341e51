//! `.ndb` and `.ndu`: `Name:Target:Offset:Body[:MinLevel[:MaxLevel]]`, and the older `.db`: `Name=Body`.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use super::body::{Style, pattern};
use super::offset::{Place, place};
use super::{Trouble, check_levels, fields, read_lines, target};
use crate::event::EngineWord;
use crate::signature::condition::Condition;
use crate::signature::pattern::Pattern;
use crate::signature::rule::Rule;
use crate::signature::{Format, Intake, Item, Meaning, Signature, named};

/// What is no wildcard is found by an index that takes no shorter ones.
const PLAIN_LENGTH: usize = 3;

/// The row of `.ndb` and `.ndu`.
#[derive(Debug)]
pub struct Bodies;

impl Format for Bodies {
    fn name(&self) -> &'static str {
        "clam-ndb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["ndb", "ndu"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, extended)
    }
}

/// The row of `.db`.
#[derive(Debug)]
pub struct PlainBodies;

impl Format for PlainBodies {
    fn name(&self) -> &'static str {
        "clam-db"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["db"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, |line| {
            let mut fields = line.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(body)) = (fields.next(), fields.next()) else {
                return Err(Trouble::wrong("a line must be `Name=Body`"));
            };
            signature(name, 0, checked(pattern(body, None, Style::default())?, 0)?)
        })
    }
}

fn extended(line: &[u8]) -> Result<Item, Trouble> {
    let mut fields = fields(line, b':');
    let (Some(name), Some(number), Some(offset), Some(body)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Trouble::wrong("a line must be `Name:Target:Offset:Body`"));
    };
    // What is for another version may be written in a way that this one does not know.
    check_levels(fields)?;
    let number = target(number)?;
    match place(offset, number)? {
        Place::Macro(group) => Ok(Item::MacroMember {
            group,
            pattern: pattern(body, None, Style::default())?,
        }),
        Place::At(offset) => {
            let pattern = checked(pattern(body, offset, Style::default())?, number)?;
            signature(name, number, pattern)
        }
    }
}

/// Refuses what is so short that it is in most files. As in clamscan, two bytes are enough for all targets but "any".
fn checked(pattern: Pattern, target: u8) -> Result<Pattern, Trouble> {
    let is_plain = |segment: &crate::signature::pattern::Segment| segment.parts().len() == 1;
    match pattern.segments() {
        [one] if target == 0 && is_plain(one) && one.longest() < PLAIN_LENGTH => {
            Err(Trouble::wrong("fewer than three bytes"))
        }
        _ => Ok(pattern),
    }
}

fn signature(name: &[u8], target: u8, pattern: Pattern) -> Result<Item, Trouble> {
    let mut rule = Rule::anywhere(vec![pattern], Condition::Test(0));
    rule.scope.target = target;
    Ok(Item::Signature(Signature {
        name: named(EngineWord::Clam, name)?,
        meaning: Meaning::Rule(rule),
    }))
}
