//! Where an ELF program ends (System V ABI, chapters 4 and 5).
#![forbid(unsafe_code)]

use std::io;

use crate::bytes::Reader;
use crate::object::Object;

/// Segments or sections that are looked at.
const ROWS: u64 = 4096;

/// A number in either byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
    wide: bool,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = Reader::new(bytes.get(at..)?).array()?;
        Some(
            if self.big {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            }
            .into(),
        )
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = Reader::new(bytes.get(at..)?).array()?;
        Some(
            if self.big {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
            .into(),
        )
    }

    fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = Reader::new(bytes.get(at..)?).array()?;
        Some(if self.big {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        })
    }

    /// A number of the program's width, at one place or the other.
    fn word(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if self.wide {
            self.u64(bytes, wide)
        } else {
            self.u32(bytes, narrow)
        }
    }
}

/// The first byte behind all that the headers speak of; nothing if `head` is none of a program.
pub(super) fn end(object: &Object, head: &[u8]) -> io::Result<Option<u64>> {
    let order = match head.get(..7) {
        Some([0x7f, b'E', b'L', b'F', class @ 1..=2, data @ 1..=2, 1]) => Order {
            big: *data == 2,
            wide: *class == 2,
        },
        _ => return Ok(None),
    };
    let tables = (|| {
        let kind = order.u16(head, 16)?;
        let version = order.u32(head, 20)?;
        let counts = if order.wide { 52 } else { 40 };
        let length = order.u16(head, counts)?;
        let expected = if order.wide { 64 } else { 52 };
        let sound = version == 1 && length == expected && (kind <= 4 || kind >= 0xfe00);
        let segments = (
            order.word(head, 28, 32)?,
            order.u16(head, counts + 2)?,
            order.u16(head, counts + 4)?,
        );
        let sections = (
            order.word(head, 32, 40)?,
            order.u16(head, counts + 6)?,
            order.u16(head, counts + 8)?,
        );
        sound.then_some((length, segments, sections))
    })();
    let Some((length, segments, sections)) = tables else {
        return Ok(None);
    };
    let mut end = length;
    for (at, size, count) in [segments, sections] {
        let bytes = size.saturating_mul(count.min(ROWS));
        if at > 0 && size > 0 {
            end = end.max(at.saturating_add(bytes));
        }
    }
    let row_length = |(_, size, _): (u64, u64, u64)| usize::try_from(size).unwrap_or_default();
    let rows = |(at, size, count): (u64, u64, u64)| {
        let bytes = size.saturating_mul(count.min(ROWS));
        object.bytes_at(at, usize::try_from(bytes).unwrap_or_default())
    };
    for row in rows(segments)?.chunks_exact(row_length(segments).max(32)) {
        let (start, size) = (order.word(row, 4, 8), order.word(row, 16, 32));
        if let (Some(start), Some(size)) = (start, size) {
            end = end.max(start.saturating_add(size));
        }
    }
    const EMPTY: u64 = 8;
    for row in rows(sections)?.chunks_exact(row_length(sections).max(40)) {
        let (start, size) = (order.word(row, 16, 24), order.word(row, 20, 32));
        if let (Some(kind), Some(start), Some(size)) = (order.u32(row, 4), start, size)
            && kind != EMPTY
            && kind != 0
        {
            end = end.max(start.saturating_add(size));
        }
    }
    Ok(Some(end))
}
