//! ELF, of 32 and 64 bits, in either byte order (System V ABI, chapters 4 and 5).
#![forbid(unsafe_code)]

use std::io;

use super::{Fields, Layout, Section};
use crate::object::Object;

/// More headers of segments or sections than this are not read.
const HEADERS: u16 = 2048;

/// Where the fields of one class are.
struct Class {
    wide: bool,
    /// The place of the counts in the first header.
    counts: usize,
    segment_header: usize,
    section_header: usize,
}

const NARROW: Class = Class {
    wide: false,
    counts: 42,
    segment_header: 32,
    section_header: 40,
};

const WIDE: Class = Class {
    wide: true,
    counts: 54,
    segment_header: 56,
    section_header: 64,
};

struct Segment {
    address: u64,
    start: u64,
    length: u64,
}

pub(super) fn layout(object: &Object, head: &[u8]) -> io::Result<Option<Layout>> {
    let class = match head.get(4) {
        Some(1) => NARROW,
        Some(2) => WIDE,
        _ => return Ok(None),
    };
    let big = match head.get(5) {
        Some(1) => false,
        Some(2) => true,
        _ => return Ok(None),
    };
    let Some(header) = Header::new(Fields::new(head, big), &class) else {
        return Ok(None);
    };
    let segments = rows(object, header.segments, class.segment_header)?;
    let sections = rows(object, header.sections, class.section_header)?;
    let segments = rows_of(&segments, class.segment_header, big)
        .filter_map(|row| segment(row, class.wide))
        .collect::<Vec<_>>();
    let sections = rows_of(&sections, class.section_header, big)
        .filter_map(|row| section(row, class.wide, object.length()))
        .collect();
    Ok(Some(Layout {
        entry: entry(header.entry, &segments),
        sections,
        version_info: Vec::new(),
    }))
}

/// Where a table is, and how many rows it has.
type Table = (u64, u16);

struct Header {
    entry: u64,
    segments: Table,
    sections: Table,
}

impl Header {
    /// A table whose rows have another size than they should is not read, as clamscan does not.
    fn new(head: Fields<'_>, class: &Class) -> Option<Self> {
        let word = if class.wide { 8 } else { 4 };
        let table = |at: usize, counts: usize, size: usize| {
            let fits = usize::from(head.u16(counts)?) == size;
            let count = head.u16(counts + 2)?;
            let count = if fits && count <= HEADERS { count } else { 0 };
            Some((head.word(at, class.wide)?, count))
        };
        Some(Self {
            entry: head.word(24, class.wide)?,
            segments: table(24 + word, class.counts, class.segment_header)?,
            sections: table(24 + 2 * word, class.counts + 4, class.section_header)?,
        })
    }
}

/// The bytes of a table; none if the file ends in it.
fn rows(object: &Object, (at, count): Table, size: usize) -> io::Result<Vec<u8>> {
    let wanted = usize::from(count) * size;
    let mut bytes = object.bytes_at(at, wanted)?;
    if bytes.len() < wanted {
        bytes.clear();
    }
    Ok(bytes)
}

fn rows_of(bytes: &[u8], size: usize, big: bool) -> impl Iterator<Item = Fields<'_>> {
    bytes.chunks(size).map(move |row| Fields::new(row, big))
}

fn segment(row: Fields<'_>, wide: bool) -> Option<Segment> {
    Some(if wide {
        Segment {
            start: row.u64(8)?,
            address: row.u64(16)?,
            length: row.u64(40)?,
        }
    } else {
        Segment {
            start: row.u32(4)?.into(),
            address: row.u32(8)?.into(),
            length: row.u32(20)?.into(),
        }
    })
}

fn section(row: Fields<'_>, wide: bool, end: u64) -> Option<Section> {
    let (start, length) = if wide {
        (row.u64(24)?, row.u64(32)?)
    } else {
        (row.u32(16)?.into(), row.u32(20)?.into())
    };
    Some(Section::clipped(start, length, end))
}

/// The place in the file of the address where the program begins: in the first segment that has it, of whatever type. What
/// begins nowhere, as an object file, is counted from its first byte, as clamscan does.
fn entry(address: u64, segments: &[Segment]) -> Option<u64> {
    if address == 0 || segments.is_empty() {
        return Some(0);
    }
    segments.iter().find_map(|segment| {
        let within = address.checked_sub(segment.address)?;
        (within < segment.length).then(|| segment.start.checked_add(within))?
    })
}
