//! Members that stand in an archive and not in its directory. Programs that read from the front see them, and so does
//! whoever reads by another end record; so they are given too, with a note.
//!
//! What is kept for it is two numbers for each entry of the directory, which takes more than that in the archive.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::directory::{LOCAL, LOCAL_LENGTH, Local};
use super::streamed;
use crate::bytes::Reader;
use crate::event::NoteKind;
use crate::expand::{Children, Container, Halt};
use crate::object::{Object, TAIL};

/// Bytes in which a header is searched for at a time.
const STEP: usize = 64 * 1024;

/// The parts of an archive that its directories account for.
#[derive(Default)]
pub(super) struct Listed {
    ranges: BTreeSet<(u64, u64)>,
    /// The contents of stored members, by their ends.
    stored: BTreeMap<u64, u64>,
}

impl Listed {
    /// Accounts for the bytes from `start` to before `end`; true if they were accounted for already. The same member may
    /// stand in a directory twice, and in several.
    pub(super) fn add(&mut self, start: u64, end: u64) -> bool {
        !self.ranges.insert((start, end))
    }

    /// Tells that a stored member's content is the bytes from `start` to before `end`, and opened as a child.
    pub(super) fn add_stored(&mut self, start: u64, end: u64) {
        self.stored.insert(end, start);
    }

    /// Tells whether an end record at byte `at` lies in a stored member, and near enough to that one's end to be found
    /// when it is opened.
    pub(super) fn stores(&self, at: u64) -> bool {
        let after = self.stored.range(at.saturating_add(1)..).next();
        after.is_some_and(|(end, start)| *start <= at && end - at <= TAIL as u64)
    }

    /// The other parts of the first `length` bytes that are long enough for a header, from the front.
    fn others(mut self, length: u64) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.insert((length, length));
        let mut reached = 0;
        self.ranges.into_iter().filter_map(move |(start, end)| {
            let other = (reached, start.min(length));
            reached = reached.max(end);
            (other.1 >= other.0.saturating_add(LOCAL_LENGTH as u64)).then_some(other)
        })
    }
}

/// Gives the members whose headers stand outside of what is listed.
pub(super) fn give(
    container: &Container<'_>,
    listed: Listed,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let object = container.object;
    let mut count = 0_u64;
    // A member may reach over listed ones; what it took is not searched again.
    let mut reached = 0;
    for (start, end) in listed.others(object.length()) {
        let mut at = start.max(reached);
        while let Some(here) = header_in(object, at, end)? {
            at = here.saturating_add(1);
            let Some(local) = Local::read(object, here)? else {
                continue;
            };
            count += 1;
            at = streamed::member(container, &local, children)?.unwrap_or(object.length());
            reached = at;
        }
    }
    if count == 0 {
        return Ok(());
    }
    let detail = format!("{count} members that the directory does not list");
    children.note(NoteKind::Ambiguous("zip-unlisted".to_owned()), detail)
}

/// A signature by chance, as in the program of a self-extracting archive, is seldom followed by what looks like this: a
/// method that there is and a name. At the very start nothing is asked, as some readers take what is there.
fn is_plausible(header: &[u8], at: u64) -> bool {
    let mut reader = Reader::new(header);
    let fields = reader.take(8).and_then(|_| {
        let method = reader.u16_le()?;
        reader.take(16)?;
        let name = reader.u16_le()?;
        reader.take(2)?;
        Some((method, usize::from(name), reader.rest()))
    });
    fields.is_some_and(|(method, name, rest)| {
        let seen = rest.get(..name).unwrap_or(rest);
        at == 0 || (method <= 99 && name > 0 && !seen.contains(&0))
    })
}

/// The first plausible local header that begins at `from` or after, and before `end`.
fn header_in(object: &Object, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    // What begins in a step is seen whole: the step and what a header has after its signature.
    let beyond = LOCAL_LENGTH + NAME_SEEN;
    let mut step = FIRST_STEP;
    while at < end {
        let length = usize::try_from(end - at).map_or(step, |left| left.min(step));
        let bytes = object.bytes_at(at, length + beyond)?;
        let found = memchr::memmem::find_iter(&bytes, LOCAL)
            .take_while(|found| *found < length)
            .find(|found| {
                let header = bytes.get(*found..).unwrap_or_default();
                is_plausible(header, at.saturating_add(*found as u64))
            });
        if let Some(found) = found {
            return Ok(Some(at.saturating_add(found as u64)));
        }
        if bytes.len() <= length {
            break;
        }
        at = at.saturating_add(length as u64);
        step = STEP.min(2 * step);
    }
    Ok(None)
}

/// Bytes that are read first: members follow each other closely, and what was read is thrown away at each.
const FIRST_STEP: usize = 512;

/// Bytes of a name that are looked at.
const NAME_SEEN: usize = 256;
