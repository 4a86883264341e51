//! Whether the first header is sound at a magic that is seldom met in programs, but in what is put in front of other things.
#![forbid(unsafe_code)]

use super::carve::{Extent, Look};
use super::sound::{Answer, recognised, with_part};
use crate::bytes::Reader;
use crate::expand::{cpio as cpio_format, tar as tar_format};

/// A version, and behind the header a table of contents that begins as zlib does and lies in the content.
pub(super) fn xar(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 16)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(4)?;
        let size = reader.array().map(u16::from_be_bytes)?;
        reader.take(2)?;
        Some((size.into(), reader.array().map(u64::from_be_bytes)?))
    })();
    let Some((size, packed)) = fields else {
        return Ok(None);
    };
    let table = look.object.bytes_at(at.saturating_add(size), 1)?;
    let least = size.saturating_add(packed);
    let is_in_it = least <= look.object.length().saturating_sub(at);
    match is_in_it && table == b"\x78" {
        true => recognised(look, at, "xar", least),
        false => Ok(None),
    }
}

/// The checksum of the header holds in which the magic stands.
pub(super) fn tar(look: &mut Look<'_>, at: u64) -> Answer {
    /// Where the magic is.
    const MAGIC: u64 = 257;
    let Some(start) = at.checked_sub(MAGIC) else {
        return Ok(None);
    };
    let header = look.object.bytes_at(start, 512)?;
    let header = header.first_chunk().copied().map(tar_format::Header::new);
    let is_sure = header.is_some_and(|header| header.is_sure());
    Ok(is_sure.then_some(Extent {
        back: MAGIC,
        ..with_part(512)
    }))
}

/// The fields that count are numbers, and the name ends where it should.
pub(super) fn cpio(look: &mut Look<'_>, at: u64) -> Answer {
    const HEADER: usize = 110;
    look.pay(HEADER as u64);
    if !cpio_format::is_header(&look.object.bytes_at(at, HEADER)?) {
        return Ok(None);
    }
    look.pay(cpio_format::NAMED as u64);
    let begins = cpio_format::begins(&look.object.bytes_at(at, cpio_format::NAMED)?);
    Ok(begins.then_some(with_part(HEADER as u64)))
}

/// The lead is followed by a header with its own magic.
pub(super) fn rpm(look: &mut Look<'_>, at: u64) -> Answer {
    const LEAD: u64 = 96;
    let next = look.object.bytes_at(at.saturating_add(LEAD), 3)?;
    match next == b"\x8e\xad\xe8" {
        true => recognised(look, at, "rpm", LEAD),
        false => Ok(None),
    }
}

/// A first header with its mark.
pub(super) fn ar(look: &mut Look<'_>, at: u64) -> Answer {
    const MARK: u64 = 8 + 58;
    let mark = look.object.bytes_at(at.saturating_add(MARK), 2)?;
    Ok((mark == b"`\n").then_some(with_part(MARK + 2)))
}

/// The first of the volume descriptors, and another behind it.
pub(super) fn iso(look: &mut Look<'_>, at: u64) -> Answer {
    /// Where the magic of the first is.
    const MAGIC: u64 = 16 * 2048 + 1;
    if at < MAGIC {
        return Ok(None);
    }
    let kind = look.object.bytes_at(at - 1, 1)?;
    let next = look.object.bytes_at(at.saturating_add(2048), 5)?;
    let is_sound = matches!(kind[..], [0..=2]) && next == b"CD001";
    Ok(is_sound.then_some(Extent {
        back: MAGIC,
        ..with_part(MAGIC)
    }))
}

/// A first attribute whose checksum holds.
pub(super) fn tnef(look: &mut Look<'_>, at: u64) -> Answer {
    /// Of the attributes that stand first, the version or the code page, none is longer.
    const MOST: u32 = 256;
    let head = look.object.bytes_at(at, 15 + MOST as usize + 2)?;
    let mut reader = Reader::new(&head);
    let sound = (|| {
        reader.take(6)?;
        let [level] = reader.array()?;
        reader.take(4)?;
        let length = reader.u32_le().filter(|length| *length <= MOST)?;
        let data = reader.take(usize::try_from(length).ok()?)?;
        let sum = data
            .iter()
            .fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        Some(matches!(level, 1 | 2) && reader.u16_le()? == sum)
    })();
    Ok(sound.filter(|sound| *sound).map(|_| with_part(15)))
}

/// A method that exists, and a length that can come of what is there, or a start of the data right behind the header.
pub(super) fn szdd(look: &mut Look<'_>, at: u64) -> Answer {
    /// What eight matches of 18 bytes take is 17 bytes.
    const MOST: u64 = 9;
    let head = look.object.bytes_at(at.saturating_add(8), 6)?;
    let left = look.object.length().saturating_sub(at);
    let sound = match head[..] {
        [b'A', _, a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])) <= left * MOST,
        [0..=4, 0, low, high, ..] => (14..1024).contains(&u16::from_le_bytes([low, high])),
        _ => false,
    };
    Ok(sound.then_some(with_part(14)))
}

pub(super) fn onenote(look: &mut Look<'_>, at: u64) -> Answer {
    let version = look.object.bytes_at(at.saturating_add(48), 16)?;
    // The number of the format, behind three others.
    let is_known = version == b"\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8";
    Ok(is_known.then_some(with_part(1024)))
}
