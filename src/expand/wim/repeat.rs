//! The copies between the literals of WIM's compressed forms.
#![forbid(unsafe_code)]

use std::io;

use crate::expand::damaged;

/// Appends a copy of what came `distance` bytes before, up to the length `most` of all.
pub(super) fn repeat(
    out: &mut Vec<u8>,
    distance: usize,
    length: usize,
    most: usize,
) -> io::Result<()> {
    let start = out.len().checked_sub(distance).filter(|_| distance > 0);
    let start = start.ok_or_else(|| damaged("a copy from before the start"))?;
    let room = most.saturating_sub(out.len());
    let mut left = length.min(room);
    while left > 0 {
        // A copy may go on into itself: what was copied is there to be copied again.
        let part = left.min(out.len() - start);
        out.extend_from_within(start..start + part);
        left -= part;
    }
    if length > room {
        return Err(damaged("a copy behind the end"));
    }
    Ok(())
}
