//! Whether the first header at a magic is sound, and how far what begins there goes.
#![forbid(unsafe_code)]

use std::io;

use bytes::Bytes;

use super::carve::{Ends, Extent, Look};
use super::pe;
use crate::bytes::Reader;
use crate::expand::{lha as lha_format, nsis as nsis_format, rar as rar_format, recognise};
use crate::object::{Object, Probe};

pub(super) type Answer = io::Result<Option<Extent>>;

/// Bytes of a first header.
const HEAD: usize = 4096;

/// At least these bytes, and all of its part.
pub(super) fn with_part(least: u64) -> Extent {
    Extent {
        back: 0,
        least,
        ends: Ends::WithPart,
    }
}

pub(super) fn rest(look: &Look<'_>, at: u64) -> Object {
    look.object.slice(at, u64::MAX)
}

/// What the recogniser says of what begins at `at`.
pub(super) fn is_kind(look: &Look<'_>, at: u64, kind: &str) -> io::Result<bool> {
    let probe = Probe {
        head: look.object.part(at, HEAD)?,
        tail: Bytes::new(),
        length: look.object.length().saturating_sub(at),
    };
    Ok(recognise(&probe).iter().any(|known| known.name == kind))
}

/// The checksum of the header at the start holds.
pub(super) fn sevenz(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 32)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(8)?;
        let sum = reader.u32_le()?;
        let fields = reader.rest();
        Some((sum, fields, reader.u64_le()?, reader.u64_le()?))
    })();
    Ok(fields
        .filter(|(sum, fields, ..)| crc32fast::hash(fields) == *sum)
        .map(|(_, _, offset, size)| {
            Extent::exactly(offset.saturating_add(size).saturating_add(32))
        }))
}

/// The checksum of the first block holds, or that of the first header of what was before there were any.
pub(super) fn rar(look: &mut Look<'_>, at: u64) -> Answer {
    let extent = rar_format::extent(&rest(look, at))?;
    Ok(extent.map(|(end, known)| match known {
        true => Extent::exactly(end),
        false => with_part(end),
    }))
}

/// The version is the one there is, and the list of files lies in it; reserved fields are zero, or the first folder lies in it,
/// too, and is compressed by a method that exists.
pub(super) fn cab(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 44)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(8)?;
        let length = reader.u32_le()?;
        let zero = reader.u32_le()?;
        let list = reader.u32_le()?;
        let zero = reader.u32_le()? | zero;
        let version = reader.u16_le()?;
        let (folders, files, flags) = (reader.u16_le()?, reader.u16_le()?, reader.u16_le()?);
        reader.take(4)?;
        let (data, blocks, method) = (reader.u32_le()?, reader.u16_le()?, reader.u16_le()?);
        // The folder's entry is behind more than this where others have what is reserved for them, or the set has parts.
        let is_folder = flags == 0 && (36..length).contains(&data) && blocks > 0 && method & 15 < 4;
        let sound = version == 0x0103 && folders > 0 && files > 0 && length > 36;
        let in_it = (36..length).contains(&list);
        (sound && (zero == 0 && in_it || is_folder)).then_some(length)
    })();
    Ok(fields.map(|length| Extent::exactly(length.into())))
}

/// A plausible local header, and behind it the end record of an archive that begins here; or else a second header
/// directly behind the content.
pub(super) fn zip(look: &mut Look<'_>, at: u64) -> Answer {
    const FIXED: usize = 30;
    const RECORD: usize = 22;
    /// End records that are tried for one local header.
    const RECORDS: usize = 64;
    let head = look.object.bytes_at(at, FIXED + 512)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(4)?;
        let (version, flags, method) = (reader.u16_le()?, reader.u16_le()?, reader.u16_le()?);
        reader.take(8)?;
        let compressed = reader.u32_le()?;
        reader.u32_le()?;
        let (name, extra) = (reader.u16_le()?, reader.u16_le()?);
        let name_text = reader.rest();
        let shown = name_text.get(..usize::from(name)).unwrap_or(name_text);
        let known = matches!(method, 0..=20 | 93..=99);
        let plain = name > 0 && shown.iter().all(|byte| *byte >= 0x20);
        let sound = version & 0xff <= 63 && known && plain && flags & 0xd780 == 0;
        let start = FIXED as u64 + u64::from(name) + u64::from(extra);
        sound.then_some((flags, start, compressed))
    })();
    let Some((flags, start, compressed)) = fields else {
        return Ok(None);
    };
    let behind = look.end_records.partition_point(|end| *end < at);
    let ends = look.end_records.get(behind..).unwrap_or_default();
    for end in ends.iter().copied().take(RECORDS) {
        look.pay(RECORD as u64);
        let record = look.object.bytes_at(end, RECORD)?;
        let mut reader = Reader::new(&record);
        let fields = (|| {
            reader.take(12)?;
            let (size, offset) = (reader.u32_le()?, reader.u32_le()?);
            Some((size, offset, reader.u16_le()?))
        })();
        let Some((size, offset, comment)) = fields else {
            continue;
        };
        // In the 64-bit form the record says nothing; what lies between is then part of it.
        let wide = size == u32::MAX || offset == u32::MAX;
        let directory = end.checked_sub(size.into());
        let begins = directory.and_then(|directory| directory.checked_sub(offset.into()));
        let fits = match directory {
            Some(directory) => look.object.bytes_at(directory, 4)? == b"PK\x01\x02",
            None => false,
        };
        if wide || (fits && begins.is_none_or(|begins| begins >= at || begins == 0)) {
            let length = end - at + RECORD as u64 + u64::from(comment);
            return Ok(Some(Extent::exactly(length)));
        }
    }
    if flags & 8 != 0 {
        return Ok(None);
    }
    // Without a directory: header after header.
    let mut length = start.saturating_add(compressed.into());
    let next = look.object.bytes_at(at.saturating_add(length), 4)?;
    if !matches!(next.as_slice(), b"PK\x03\x04" | b"PK\x01\x02") {
        return Ok(None);
    }
    while let Some(next) = local_header(look.object, at.saturating_add(length))? {
        length = length.saturating_add(next);
    }
    Ok(Some(Extent::exactly(length)))
}

/// What ends a zip.
pub(super) const END_RECORD: &[u8] = b"PK\x05\x06";

/// It begins nothing.
pub(super) fn nothing(_: &mut Look<'_>, _: u64) -> Answer {
    Ok(None)
}

/// The length of the local or central header at `at` with its content.
fn local_header(object: &Object, at: u64) -> io::Result<Option<u64>> {
    let head = object.bytes_at(at, 46)?;
    let mut reader = Reader::new(&head);
    let fixed = match head.get(..4) {
        Some(b"PK\x03\x04") => 30_u64,
        Some(b"PK\x01\x02") => 46,
        _ => return Ok(None),
    };
    let length = (|| {
        reader.take(if fixed == 30 { 18 } else { 20 })?;
        let compressed = u64::from(reader.u32_le()?);
        reader.u32_le()?;
        let (name, extra) = (reader.u16_le()?, reader.u16_le()?);
        let more = u64::from(name) + u64::from(extra);
        Some(if fixed == 30 {
            more + compressed
        } else {
            more + u64::from(reader.u16_le()?)
        })
    })();
    Ok(length.map(|length| fixed + length))
}

/// The first header of an installer: its flags, and lengths that are not nothing.
pub(super) fn nsis(look: &mut Look<'_>, at: u64) -> Answer {
    let Some(start) = at.checked_sub(4) else {
        return Ok(None);
    };
    let head = look.object.bytes_at(start, 28)?;
    let length = look.object.length().saturating_sub(start);
    if !nsis_format::is_sound(&head, length) {
        return Ok(None);
    }
    let all = head.get(24..).and_then(|rest| Reader::new(rest).u32_le());
    Ok(all.map(|all| Extent {
        back: 4,
        ..Extent::exactly(all.into())
    }))
}

/// Byte order, sector sizes that there are, and an end by the last sector that is in use.
pub(super) fn ole2(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 512)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(26)?;
        let (version, order) = (reader.u16_le()?, reader.u16_le()?);
        let (shift, small) = (reader.u16_le()?, reader.u16_le()?);
        reader.take(10)?;
        let tables = reader.u32_le()?;
        let sound = order == 0xfffe && small == 6 && matches!((version, shift), (3, 9) | (4, 12));
        reader.take(28)?;
        let listed = reader.rest();
        (sound && tables > 0).then_some((shift, tables, listed))
    })();
    let Some((shift, tables, listed)) = fields else {
        return Ok(None);
    };
    let sector = 1_u64 << shift;
    let entries = sector / 4;
    let most = u64::from(tables).saturating_mul(entries);
    let mut used = most;
    // The last table of sectors, if the header has its place.
    let (places, _) = listed.as_chunks::<4>();
    let last = usize::try_from(tables - 1).unwrap_or(usize::MAX);
    if let Some(place) = places.get(last) {
        let place = u64::from(u32::from_le_bytes(*place));
        let table_at = at.saturating_add((place + 1) * sector);
        let table = look.object.bytes_at(table_at, 1 << shift)?;
        let (rows, _) = table.as_chunks::<4>();
        let free = rows.iter().rev().take_while(|row| **row == [0xff; 4]);
        used = most - (free.count() as u64).min(entries);
    }
    Ok(Some(Extent::exactly(used.saturating_add(1) * sector)))
}

/// The start of a program stands before its second header, which says how far away.
pub(super) fn pe(look: &mut Look<'_>, at: u64) -> Answer {
    /// No linker puts more in front of it.
    const STUB: u64 = 4096;
    let from = at.saturating_sub(STUB);
    let length = usize::try_from(at - from).unwrap_or_default();
    let before = look.object.bytes_at(from, length)?;
    for found in memchr::memmem::rfind_iter(&before, b"MZ") {
        let distance = (length - found) as u64;
        let says = before
            .get(found + 0x3c..)
            .and_then(|rest| Reader::new(rest).u32_le());
        if says.map(u64::from) != Some(distance) {
            continue;
        }
        let start = at - distance;
        let program = rest(look, start);
        if let Some(image) = pe::Image::of(&program)?
            && !image.sections.is_empty()
        {
            return Ok(Some(Extent {
                back: distance,
                least: image.end(),
                ends: Ends::BeforeProgram,
            }));
        }
    }
    Ok(None)
}

/// Class, byte order, version, a type and a length of the header that exist; up to its tables, if it has any.
pub(super) fn elf(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 64)?;
    Ok(
        super::elf::end(&rest(look, at), &head)?.map(|least| Extent {
            back: 0,
            least,
            ends: Ends::BeforeProgram,
        }),
    )
}

/// Version 4, block sizes that say the same, and a length.
pub(super) fn squashfs(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 96)?;
    let mut reader = Reader::new(&head);
    let fields = (|| {
        reader.take(12)?;
        let block = reader.u32_le()?;
        reader.take(4)?;
        let (method, shift) = (reader.u16_le()?, reader.u16_le()?);
        reader.take(4)?;
        let (major, minor) = (reader.u16_le()?, reader.u16_le()?);
        reader.take(8)?;
        let length = reader.u64_le()?;
        let block_fits = 1_u32.checked_shl(shift.into()) == Some(block);
        let sound = major == 4 && minor == 0 && (12..=20).contains(&shift) && block_fits;
        (sound && (1..=6).contains(&method) && length > 96).then_some(length)
    })();
    Ok(fields.map(Extent::exactly))
}

/// The first header: type 0, a length that fits, and its checksum.
pub(super) fn ace(look: &mut Look<'_>, at: u64) -> Answer {
    let Some(start) = at.checked_sub(7) else {
        return Ok(None);
    };
    let head = look.object.bytes_at(start, 1024)?;
    let mut reader = Reader::new(&head);
    let sound = (|| {
        let sum = reader.u16_le()?;
        let size = reader.u16_le()?;
        let header = reader.take(size.into())?;
        let hash = !crc32fast::hash(header);
        Some(
            size >= 27
                && header.first() == Some(&0)
                && hash.to_le_bytes().starts_with(&sum.to_le_bytes()),
        )
    })();
    Ok(sound.filter(|sound| *sound).map(|_| Extent {
        back: 7,
        least: head.len().min(64) as u64,
        ends: Ends::WithPart,
    }))
}

pub(super) fn lha(look: &mut Look<'_>, at: u64) -> Answer {
    let Some(start) = at.checked_sub(2) else {
        return Ok(None);
    };
    if !is_kind(look, start, "lha")? {
        return Ok(None);
    }
    let extent = lha_format::extent(&rest(look, start))?;
    Ok(extent.map(|length| Extent {
        back: 2,
        ..Extent::exactly(length)
    }))
}

/// A cabinet: a version that exists, and the place of the list of files that all have, or none in one of contents alone.
pub(super) fn install_shield(look: &mut Look<'_>, at: u64) -> Answer {
    let head = look.object.bytes_at(at, 16)?;
    let mut reader = Reader::new(&head);
    let sound = (|| {
        reader.take(7)?;
        let [version] = reader.array()?;
        let (zero, list) = (reader.u32_le()?, reader.u32_le()?);
        Some((1..=4).contains(&version) && zero == 0 && matches!(list, 0 | 0x200))
    })();
    Ok(sound.filter(|sound| *sound).map(|_| with_part(20)))
}

/// A list of files, behind what a linker leaves, with room for all of them, and a first one that fits and has an extension.
pub(super) fn install_shield_list(look: &mut Look<'_>, at: u64) -> Answer {
    /// The header, and of each file what stands before its content.
    const HEADER: u64 = 46;
    const FILE: u64 = 312;
    /// Where the length of the first file is.
    const LENGTH: u64 = HEADER + 268;
    let count = look.object.bytes_at(at.saturating_add(14), 2)?;
    let count = Reader::new(&count).u16_le().map_or(0, u64::from);
    let length = look.object.bytes_at(at.saturating_add(LENGTH), 4)?;
    let length = Reader::new(&length).u32_le().map_or(0, u64::from);
    let least = HEADER + count * FILE + length;
    let has_room = least <= look.object.length().saturating_sub(at);
    let name = look.object.bytes_at(at.saturating_add(HEADER), 64)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_name = name.len() > 3 && name.contains(&b'.') && name.iter().all(|byte| *byte >= b' ');
    let is_list = has_room && is_name && is_kind(look, at, "installshield")?;
    Ok(is_list.then_some(with_part(HEADER)))
}

/// The magics that are strong and followed by what the recogniser asks for.
pub(super) fn recognised(look: &Look<'_>, at: u64, kind: &str, least: u64) -> Answer {
    Ok(is_kind(look, at, kind)?.then_some(with_part(least)))
}

/// A version that exists, a part of as many as there are, and the table of contents within it.
pub(super) fn wim(look: &mut Look<'_>, at: u64) -> Answer {
    const HEADER: u64 = 208;
    const VERSIONS: [u32; 2] = [0x1_0d00, 0xe00];
    let head = look.object.bytes_at(at, 72)?;
    let mut reader = Reader::new(&head);
    let is_sound = (|| {
        reader.take(12)?;
        let version = reader.u32_le()?;
        reader.take(24)?;
        let (part, parts) = (reader.u16_le()?, reader.u16_le()?);
        reader.take(4)?;
        let (size, start) = (reader.u64_le()? & 0xff_ffff_ffff_ffff, reader.u64_le()?);
        let end = at.checked_add(start.checked_add(size)?)?;
        let is_whole = parts > 1 || end <= look.object.length();
        Some(VERSIONS.contains(&version) && (1..=parts).contains(&part) && is_whole)
    })();
    Ok(is_sound.filter(|sound| *sound).map(|_| with_part(HEADER)))
}

/// The number of its class is behind the header's lengths.
pub(super) fn chm(look: &mut Look<'_>, at: u64) -> Answer {
    const CLASS: &[u8] = b"\x10\xfd\x01\x7c\xaa\x7b\xd0\x11\x9e\x0c\0\xa0\xc9\x22\xe6\xec";
    let class = look.object.bytes_at(at.saturating_add(24), CLASS.len())?;
    match class == CLASS {
        true => recognised(look, at, "chm", 88),
        false => Ok(None),
    }
}

/// The header has a checksum.
pub(super) fn arj(look: &mut Look<'_>, at: u64) -> Answer {
    recognised(look, at, "arj", 34)
}

pub(super) fn inno(look: &mut Look<'_>, at: u64) -> Answer {
    Ok(is_kind(look, at, "inno")?.then_some(with_part(64)))
}

pub(super) fn autoit(look: &mut Look<'_>, at: u64) -> Answer {
    let Some(start) = at.checked_sub(16) else {
        return Ok(None);
    };
    Ok(is_kind(look, start, "autoit")?.then_some(Extent {
        back: 16,
        least: 64,
        ends: Ends::WithPart,
    }))
}
