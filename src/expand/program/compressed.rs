//! Whether what begins at the magic of a compressed stream can be decoded, and how far it goes.
#![forbid(unsafe_code)]

use super::carve::{Extent, Look};
use super::sound::{Answer, is_kind, rest};
use crate::expand::{gzip as gzip_format, stream};

/// What a decoder has to give, in bytes, before damage in what follows is believed to be damage.
const ENOUGH: u64 = 64;

/// Times its length that a stream usually gives: an image of a system is one stream that gives five times its length.
const USUAL: u64 = 16;

/// Pays for what was decoded in vain or beyond the usual, and gives the extent if that was all, whatever its checksum says, or so much
/// that it was no chance.
fn decoded(look: &mut Look<'_>, extent: &stream::Extent, chance: bool) -> Option<Extent> {
    let real = match extent.ends {
        stream::Ends::Well => true,
        stream::Ends::WrongSum => extent.decoded > 0,
        stream::Ends::Damaged => !chance && extent.decoded >= ENOUGH,
    };
    let usual = match real {
        true => extent.length.saturating_mul(USUAL),
        false => 0,
    };
    look.pay(extent.decoded.saturating_sub(usual).max(64));
    real.then(|| Extent::exactly(extent.length))
}

/// Reserved flags are zero. Where the system or what the encoder did is none that there is, all of it can be decoded.
pub(super) fn gzip(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 10)?;
    let [_, _, 8, flags, _, _, _, _, extra, system] = head[..] else {
        return Ok(None);
    };
    if flags & 0xe0 != 0 {
        return Ok(None);
    }
    let is_usual = matches!(extra, 0 | 2 | 4) && (system <= 13 || system == 255);
    let extent = gzip_format::extent(&rest(look, at))?;
    Ok(extent.and_then(|extent| decoded(look, &extent, !is_usual)))
}

pub(super) fn xz(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::XZ, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, false)))
}

pub(super) fn bzip2(look: &mut Look<'_>, at: u64) -> Answer {
    if !is_kind(look, at, "bz2")? {
        return Ok(None);
    }
    let extent = stream::extent(&stream::BZIP2, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, false)))
}

/// Four bytes that compilers put into programs that know Zstandard: only the end tells.
pub(super) fn zstd(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::ZSTD, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, true)))
}

pub(super) fn lzip(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::LZIP, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, true)))
}

/// The header has a checksum.
pub(super) fn lzop(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::LZOP, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, false)))
}

/// The header has a checksum of a byte.
pub(super) fn lz4(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::LZ4, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, false)))
}

/// Each code has to be one that there is by then.
pub(super) fn compress(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = stream::extent(&stream::Z, &rest(look, at), look.memory)?;
    Ok(extent.and_then(|extent| decoded(look, &extent, false)))
}
