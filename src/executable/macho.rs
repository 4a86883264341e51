//! Mach-O, of 32 and 64 bits, in either byte order (OS X ABI Mach-O File Format Reference).
//!
//! A universal binary holds programs; each is a content of its own, so it has no layout.
#![forbid(unsafe_code)]

use std::io;

use super::{Fields, Layout, Section};
use crate::object::Object;

/// Bytes of load commands that are read at most.
const COMMANDS: u32 = 1 << 20;
/// Sections that are counted at most.
const SECTIONS: usize = 4096;

const SEGMENT: u32 = 1;
const UNIX_THREAD: u32 = 5;
const SEGMENT_64: u32 = 0x19;
const MAIN: u32 = 0x8000_0028;

/// Where the program counter is among the registers of a thread, by type of processor.
const COUNTERS: [(u32, usize, bool); 6] = [
    (7, 10, false),
    (0x0100_0007, 16, true),
    (12, 15, false),
    (0x0100_000c, 32, true),
    (18, 0, false),
    (0x0100_0012, 0, true),
];

/// Where the program begins.
enum Entry {
    Address(u64),
    Offset(u64),
}

pub(super) fn layout(object: &Object, head: &[u8]) -> io::Result<Option<Layout>> {
    let big = head.first() == Some(&0xfe);
    let last = if big { head.get(3) } else { head.first() };
    let wide = last == Some(&0xcf);
    let header = Fields::new(head, big);
    let (Some(processor), Some(count), Some(length)) =
        (header.u32(4), header.u32(16), header.u32(20))
    else {
        return Ok(None);
    };
    let at = if wide { 32 } else { 28 };
    let commands = object.bytes_at(at, length.min(COMMANDS) as usize)?;
    let mut rest = commands.as_slice();
    let mut parts = Vec::new();
    let mut begins = None;
    for _ in 0..count {
        let command = Fields::new(rest, big);
        let (Some(kind), Some(size)) = (command.u32(0), command.u32(4)) else {
            break;
        };
        let Some((bytes, following)) = rest.split_at_checked(size as usize).filter(|_| size >= 8)
        else {
            break;
        };
        rest = following;
        let command = Fields::new(bytes, big);
        match kind {
            SEGMENT => sections(command, false, object.length(), &mut parts),
            SEGMENT_64 => sections(command, true, object.length(), &mut parts),
            UNIX_THREAD => begins = counter(command, processor).map(Entry::Address),
            MAIN => begins = command.u64(8).map(Entry::Offset),
            _ => {}
        }
    }
    let entry = match begins {
        // A library begins nowhere: counted from its first byte, as clamscan does.
        None => Some(0),
        Some(Entry::Offset(offset)) => Some(offset),
        Some(Entry::Address(address)) => offset(address, &parts),
    };
    Ok(Some(Layout {
        entry,
        sections: parts.into_iter().map(|(_, section)| section).collect(),
        version_info: Vec::new(),
    }))
}

/// The sections of a segment, with their addresses.
fn sections(segment: Fields<'_>, wide: bool, end: u64, parts: &mut Vec<(u64, Section)>) {
    let (count_at, first, size) = if wide { (64, 72, 80) } else { (48, 56, 68) };
    let count = segment.u32(count_at).unwrap_or(0) as usize;
    let rows = segment.bytes.get(first..).unwrap_or_default();
    let room = SECTIONS.saturating_sub(parts.len());
    for row in rows.chunks_exact(size).take(count.min(room)) {
        let row = Fields::new(row, segment.big);
        let start = row.u32(if wide { 48 } else { 40 });
        let length = row.word(if wide { 40 } else { 36 }, wide);
        if let (Some(address), Some(start), Some(length)) = (row.word(32, wide), start, length) {
            parts.push((address, Section::clipped(start.into(), length, end)));
        }
    }
}

/// The program counter of a thread: behind the number of its form and the count of its words.
fn counter(thread: Fields<'_>, processor: u32) -> Option<u64> {
    let (_, index, wide) = COUNTERS.iter().find(|(known, ..)| *known == processor)?;
    thread.word(16 + index * if *wide { 8 } else { 4 }, *wide)
}

fn offset(address: u64, parts: &[(u64, Section)]) -> Option<u64> {
    parts.iter().find_map(|(start, section)| {
        let within = address.checked_sub(*start)?;
        (within < section.length).then(|| section.start + within)
    })
}
