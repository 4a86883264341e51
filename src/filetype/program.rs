//! Checks of the first bytes of programs, pictures and sound.
#![forbid(unsafe_code)]

use crate::bytes::Reader;
use crate::object::Probe;

fn from(probe: &Probe, at: usize) -> Reader<'_> {
    Reader::new(probe.head.get(at..).unwrap_or_default())
}

fn be32(probe: &Probe, at: usize) -> Option<u32> {
    from(probe, at).array().map(u32::from_be_bytes)
}

/// A DOS header that leads to a PE header.
pub(super) fn pe(probe: &Probe) -> bool {
    let new_header = from(probe, 0x3c).u32_le();
    let at = new_header.and_then(|at| usize::try_from(at).ok());
    probe.head.starts_with(b"MZ")
        && at.is_some_and(|at| from(probe, at).rest().starts_with(b"PE\0\0"))
}

/// The first number behind `cafebabe`: of programs in a universal binary, or the version of a Java class.
fn behind_cafebabe(probe: &Probe) -> Option<u32> {
    be32(probe, 0).filter(|magic| *magic == 0xcafe_babe)?;
    be32(probe, 4)
}

/// At most 31 programs: clamscan draws the line there.
pub(super) fn universal(probe: &Probe) -> bool {
    behind_cafebabe(probe).is_some_and(|count| count < 32)
}

/// Classes begin with version 45.
pub(super) fn java(probe: &Probe) -> bool {
    behind_cafebabe(probe).is_some_and(|version| (32..64).contains(&version))
}

/// Begins with the letters of Flash alone: without a version that exists, text may.
pub(super) fn like_flash(probe: &Probe) -> bool {
    let magic = probe.head.get(1..3) == Some(b"WS");
    let first = matches!(probe.head.first(), Some(b'F' | b'C' | b'Z'));
    let version = probe.head.get(3).copied().unwrap_or_default();
    magic && first && !(1..=60).contains(&version)
}

/// The size of the second header is one that exists.
pub(super) fn bitmap(probe: &Probe) -> bool {
    probe.head.starts_with(b"BM")
        && matches!(
            from(probe, 14).u32_le(),
            Some(12 | 40 | 52 | 56 | 64 | 108 | 124)
        )
}

/// Pictures, at least one, and a reserved byte in the first of them.
pub(super) fn icon(probe: &Probe) -> bool {
    let magic = matches!(be32(probe, 0), Some(0x0000_0100 | 0x0000_0200));
    let count = from(probe, 4).u16_le().unwrap_or_default();
    let directory = usize::from(count).saturating_mul(16).saturating_add(6);
    magic && count > 0 && probe.head.get(9) == Some(&0) && probe.length >= directory as u64
}

pub(super) fn webp(probe: &Probe) -> bool {
    probe.head.starts_with(b"RIFF") && from(probe, 8).rest().starts_with(b"WEBP")
}

pub(super) fn wave(probe: &Probe) -> bool {
    probe.head.starts_with(b"RIFF") && from(probe, 8).rest().starts_with(b"WAVE")
}

/// A frame of layer III: sync word, a bit rate and a sample rate that exist.
pub(super) fn mpeg_audio(probe: &Probe) -> bool {
    matches!(probe.head.get(..3), Some([0xff, 0xf2 | 0xf3 | 0xfa | 0xfb, rates])
        if !matches!(rates >> 4, 0 | 15) && rates >> 2 & 3 != 3)
}
