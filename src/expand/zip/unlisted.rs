//! Members that stand in an archive and not in its directory. Programs that read from the front see them, and so does
//! whoever reads by another end record; so they are given too, with a note.
//!
//! What is kept for it is two numbers for each entry of the directory, which takes more than that in the archive.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::io;

use super::directory::{LOCAL, LOCAL_LENGTH, Local};
use super::streamed;
use crate::event::NoteKind;
use crate::expand::{Children, Halt};
use crate::object::Object;

/// Bytes in which a header is searched for at a time.
const STEP: usize = 64 * 1024;

/// The parts of an archive that its directories account for.
#[derive(Default)]
pub(super) struct Listed(BTreeSet<(u64, u64)>);

impl Listed {
    /// Accounts for the bytes from `start` to before `end`; true if they were accounted for already. The same member may
    /// stand in a directory twice, and in several.
    pub(super) fn add(&mut self, start: u64, end: u64) -> bool {
        !self.0.insert((start, end))
    }

    /// The other parts of the first `length` bytes that are long enough for a header, from the front.
    fn others(mut self, length: u64) -> impl Iterator<Item = (u64, u64)> {
        self.0.insert((length, length));
        let mut reached = 0;
        self.0.into_iter().filter_map(move |(start, end)| {
            let other = (reached, start.min(length));
            reached = reached.max(end);
            (other.1 >= other.0.saturating_add(LOCAL_LENGTH as u64)).then_some(other)
        })
    }
}

/// Gives the members whose headers stand outside of what is listed.
pub(super) fn give(
    object: &Object,
    listed: Listed,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let mut count = 0_u64;
    // A member may reach over listed ones; what it took is not searched again.
    let mut reached = 0;
    for (start, end) in listed.others(object.length()) {
        let mut at = start.max(reached);
        while let Some(here) = header_in(object, at, end)? {
            at = here.saturating_add(1);
            let Some(local) = Local::read(object, here)?.filter(is_plausible) else {
                continue;
            };
            count += 1;
            at = streamed::member(object, &local, children)?.unwrap_or(object.length());
            reached = at;
        }
    }
    if count == 0 {
        return Ok(());
    }
    let detail = format!("{count} members that the directory does not list");
    children.note(NoteKind::Ambiguous("zip-unlisted".to_owned()), detail)
}

/// A signature by chance, as in the program of a self-extracting archive, is seldom followed by what looks like this.
fn is_plausible(local: &Local) -> bool {
    let name = &local.entry.name;
    !name.is_empty() && !name.contains(&0) && local.entry.method <= 99
}

/// The first local header's signature that begins at `from` or after, and before `end`.
fn header_in(object: &Object, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    while at < end {
        let wanted = end
            .saturating_sub(at)
            .saturating_add(LOCAL.len() as u64 - 1);
        let length = usize::try_from(wanted).map_or(STEP, |wanted| wanted.min(STEP));
        let bytes = object.bytes_at(at, length)?;
        if let Some(found) = memchr::memmem::find(&bytes, LOCAL) {
            return Ok(Some(at.saturating_add(found as u64)));
        }
        if bytes.len() < length {
            break;
        }
        // A signature may lie across the border.
        at = at.saturating_add((length - LOCAL.len() + 1) as u64);
    }
    Ok(None)
}
