//! What must hold beside the magic number of a format that is only recognised, and not opened.
#![forbid(unsafe_code)]

use super::checks::{byte, from, within};
use crate::object::Probe;

/// Bytes in which something shows that is in no text.
const SHOWS: usize = 512;

/// Not all is ASCII: words that a text may begin with begin what is packed or encrypted.
pub(super) fn is_binary(probe: &Probe) -> bool {
    let start = probe.head.get(..SHOWS).unwrap_or(&probe.head);
    !start
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}

/// Its version is 0 and something.
pub(super) fn lrzip(probe: &Probe) -> bool {
    within(byte(probe, 5), 0..=15)
}

/// One of the signatures that its makers used before version 5.
pub(super) fn stuffit(probe: &Probe) -> bool {
    matches!(
        from(probe, 0).array::<4>().as_ref(),
        Some(
            b"SIT!"
                | [b'S', b'T', b'4'..=b'6', b'0'..=b'9']
                | [b'S', b'T', b'i', b'n' | b'0'..=b'9']
        )
    )
}

/// The version.
pub(super) fn uharc(probe: &Probe) -> bool {
    within(byte(probe, 3), 1..=9)
}

/// The level, and the one type of block.
pub(super) fn zpaq(probe: &Probe) -> bool {
    matches!(from(probe, 3).array(), Some([1 | 2, 1]))
}

/// A method, a name as DOS has them, a date and a time that there are, and the next member or the end where this one ends.
pub(super) fn arc(probe: &Probe) -> bool {
    /// The methods; 1 has no room for the length of the content.
    const METHODS: std::ops::RangeInclusive<u8> = 1..=11;
    let mut reader = from(probe, 1);
    let Some([method]) = reader.array().filter(|[method]| METHODS.contains(method)) else {
        return false;
    };
    let name = reader.array::<13>().unwrap_or_default();
    let end = name.iter().position(|byte| *byte == 0).unwrap_or_default();
    let is_letter = |byte: &u8| byte.is_ascii_graphic() && !b"\"*/:<>?\\|".contains(byte);
    let named = end > 0 && name.iter().take(end).all(is_letter);
    let Some(packed) = reader.u32_le() else {
        return false;
    };
    let (Some(date), Some(time)) = (reader.u16_le(), reader.u16_le()) else {
        return false;
    };
    let dated = (1..=12).contains(&(date >> 5 & 15))
        && date & 31 > 0
        && time >> 11 < 24
        && time >> 5 & 63 < 60
        && time & 31 < 30;
    let header: u64 = if method == 1 { 25 } else { 29 };
    let next = header.saturating_add(packed.into());
    let seen = usize::try_from(next)
        .ok()
        .and_then(|next| probe.head.get(next..)?.first_chunk::<2>());
    let goes_on = match seen {
        Some([start, method]) => *start == 0x1a && *method <= *METHODS.end(),
        None => next > probe.head.len() as u64 && next < probe.length,
    };
    named && dated && goes_on
}
