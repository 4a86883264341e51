//! Makes the checksums of headers right after they were changed.

use std::ops::Range;

pub(super) fn nothing(_: &mut [u8]) {}

pub(super) fn tar(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] != b"ustar" {
            continue;
        }
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_le_bytes()
}

fn number(bytes: &[u8]) -> usize {
    let value = bytes
        .iter()
        .rev()
        .fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The header at the end, then the one at the start.
pub(super) fn sevenz(bytes: &mut [u8]) {
    if bytes.len() < 32 {
        return;
    }
    let start = number(&bytes[12..20]).saturating_add(32);
    let end = start.saturating_add(number(&bytes[20..28]));
    if let Some(header) = bytes.get(start..end) {
        let sum = crc(header);
        bytes[28..32].copy_from_slice(&sum);
    }
    let sum = crc(&bytes[12..32]);
    bytes[8..12].copy_from_slice(&sum);
}

/// The headers of a RAR archive of version 1.5 to 4, or 5: without the data behind them.
pub(super) fn rar_blocks(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mark = memchr::memmem::find(bytes, b"Rar!\x1a\x07");
    let five = mark.is_some_and(|at| bytes.get(at + 6) == Some(&1));
    let mut at = mark.map_or(usize::MAX, |at| at + if five { 8 } else { 7 });
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let (header, data) = if five {
            block_five(rest)?
        } else {
            block_four(rest)?
        };
        let block = at..at + header.min(rest.len());
        at = at.saturating_add(header).saturating_add(data);
        Some(block)
    })
}

/// Lengths of header and data.
fn block_four(bytes: &[u8]) -> Option<(usize, usize)> {
    let flags = number(bytes.get(3..5)?);
    let length = number(bytes.get(5..7)?).max(7);
    let data = if flags & 0x8000 == 0 {
        0
    } else {
        number(bytes.get(7..11)?)
    };
    Some((length, data))
}

fn block_five(bytes: &[u8]) -> Option<(usize, usize)> {
    let (size, from) = vint(bytes, 4)?;
    let (_, at) = vint(bytes, from)?;
    let (flags, mut at) = vint(bytes, at)?;
    if flags & 1 != 0 {
        at = vint(bytes, at)?.1;
    }
    let data = if flags & 2 == 0 {
        0
    } else {
        vint(bytes, at)?.0
    };
    Some((from.saturating_add(size), data))
}

/// A number of seven bits a byte, and where it ends.
fn vint(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.get(at..)?.iter().take(8).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, at + place + 1));
        }
    }
    None
}

pub(super) fn rar(bytes: &mut [u8]) {
    let five = memchr::memmem::find(bytes, b"Rar!\x1a\x07\x01").is_some();
    let blocks: Vec<_> = rar_blocks(bytes).collect();
    for block in blocks {
        let header = &mut bytes[block];
        let sum = if five { 4 } else { 2 };
        if header.len() > sum {
            let right = crc(&header[sum..]);
            header[..sum].copy_from_slice(&right[..sum]);
        }
    }
}

/// Headers of levels 0 and 1, whose second byte is the sum of the others.
pub(super) fn lha(bytes: &mut [u8]) {
    let marks: Vec<_> = memchr::memmem::find_iter(bytes, b"-lh").collect();
    for start in marks.iter().filter_map(|mark| mark.checked_sub(2)) {
        let end = start + 2 + usize::from(bytes[start]);
        if end <= bytes.len() && bytes.get(start + 20).is_some_and(|level| *level < 2) {
            let sum = bytes[start + 2..end].iter();
            bytes[start + 1] = sum.fold(0, |sum, byte| sum.wrapping_add(*byte));
        }
    }
}

pub(super) fn arj(bytes: &mut [u8]) {
    let marks: Vec<_> = memchr::memmem::find_iter(bytes, b"\x60\xea").collect();
    for start in marks {
        let Some(length) = bytes.get(start + 2..start + 4).map(number) else {
            continue;
        };
        let end = start + 4 + length;
        if length > 0 && end + 4 <= bytes.len() {
            let sum = crc(&bytes[start + 4..end]);
            bytes[end..end + 4].copy_from_slice(&sum);
        }
    }
}
