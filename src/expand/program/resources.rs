//! The resources of a PE program: a tree of type, name and language whose leaves are parts of the file.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Range;

use super::pe::{Image, RESOURCES};
use crate::bytes::Reader;
use crate::object::Object;

/// Leaves and folders at hand: their names are kept.
const LEAVES: usize = 1 << 15;
/// Entries of all folders: a folder may be in several others, or in itself, and folders may lie over each other.
const ENTRIES: usize = 1 << 18;
/// Levels: type, name, language.
const DEPTH: usize = 3;
/// The longest name, in letters.
const NAME: u16 = 256;

/// The types that have names (winuser.h).
const TYPES: [(u32, &str); 21] = [
    (1, "CURSOR"),
    (2, "BITMAP"),
    (3, "ICON"),
    (4, "MENU"),
    (5, "DIALOG"),
    (6, "STRING"),
    (7, "FONTDIR"),
    (8, "FONT"),
    (9, "ACCELERATOR"),
    (10, "RCDATA"),
    (11, "MESSAGETABLE"),
    (12, "GROUP_CURSOR"),
    (14, "GROUP_ICON"),
    (16, "VERSION"),
    (17, "DLGINCLUDE"),
    (19, "PLUGPLAY"),
    (20, "VXD"),
    (21, "ANICURSOR"),
    (22, "ANIICON"),
    (23, "HTML"),
    (24, "MANIFEST"),
];

/// A leaf of the tree.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) name: Vec<u8>,
    pub(super) place: Range<u64>,
}

/// All leaves, and whether these are all that there are.
pub(super) fn leaves(object: &Object, image: &Image) -> io::Result<(Vec<Leaf>, bool)> {
    let mut found = Vec::new();
    let base = image
        .directory(RESOURCES)
        .and_then(|(address, _)| image.place(address.into()));
    let Some(base) = base else {
        return Ok((found, true));
    };
    let mut folders = vec![(base, Vec::new(), 0_usize)];
    let mut seen = 0;
    let mut all = true;
    while let Some((at, name, depth)) = folders.pop() {
        let entries = entries(object, at)?;
        seen += entries.len() + 1;
        if seen > ENTRIES {
            all = false;
            break;
        }
        for (id, to) in entries.into_iter().rev() {
            if found.len() + folders.len() >= LEAVES {
                all = false;
                break;
            }
            let mut name = name.clone();
            if depth > 0 {
                name.push(b'/');
            }
            name.extend(entry_name(object, base, id, depth == 0)?);
            let target = base.saturating_add(u64::from(to & !FOLDER));
            if to & FOLDER != 0 {
                if depth + 1 < DEPTH {
                    folders.push((target, name, depth + 1));
                } else {
                    all = false;
                }
                continue;
            }
            let leaf = object.bytes_at(target, 8)?;
            let mut leaf = Reader::new(&leaf);
            if let (Some(address), Some(length)) = (leaf.u32_le(), leaf.u32_le())
                && let Some(start) = image.place(address.into())
            {
                let end = start.saturating_add(length.into()).min(object.length());
                found.push(Leaf {
                    name,
                    place: start..end.max(start),
                });
            }
        }
    }
    found.sort_by(|a, b| (a.place.start, &a.name).cmp(&(b.place.start, &b.name)));
    Ok((found, all))
}

const FOLDER: u32 = 1 << 31;

/// The entries of a folder, at most 131,070: identifier, and where it leads.
fn entries(object: &Object, at: u64) -> io::Result<Vec<(u32, u32)>> {
    let head = object.bytes_at(at, 16)?;
    let mut reader = Reader::new(&head);
    let count = (|| {
        reader.take(12)?;
        Some(usize::from(reader.u16_le()?) + usize::from(reader.u16_le()?))
    })();
    let count = count.unwrap_or_default();
    let bytes = object.bytes_at(at.saturating_add(16), count * 8)?;
    let (rows, _) = bytes.as_chunks::<8>();
    Ok(rows
        .iter()
        .filter_map(|row| {
            let mut row = Reader::new(row);
            Some((row.u32_le()?, row.u32_le()?))
        })
        .collect())
}

fn entry_name(object: &Object, base: u64, id: u32, is_type: bool) -> io::Result<Vec<u8>> {
    if id & FOLDER == 0 {
        let known = TYPES.iter().find(|(number, _)| is_type && *number == id);
        return Ok(known
            .map_or_else(|| id.to_string(), |(_, name)| (*name).to_owned())
            .into());
    }
    let at = base.saturating_add(u64::from(id & !FOLDER));
    let length = object.bytes_at(at, 2)?;
    let length = Reader::new(&length).u16_le().unwrap_or_default().min(NAME);
    let bytes = object.bytes_at(at.saturating_add(2), usize::from(length) * 2)?;
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: String = char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Ok(text.into_bytes())
}
