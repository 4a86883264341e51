//! PE32 and PE32+ (Microsoft PE and COFF Specification).
#![forbid(unsafe_code)]

use std::io;

use super::{Fields, Layout, Section};
use crate::object::Object;

/// More sections than a loader takes, and than clamscan counts.
const SECTIONS: u16 = 96;
const SECTION_HEADER: usize = 40;
const COFF_HEADER: usize = 24;
const PE32: u16 = 0x10b;
const PE32_PLUS: u16 = 0x20b;

/// Raw places are multiples of this, whatever the header says, where the header's own number does not fit.
const USUAL_ALIGNMENT: u64 = 0x200;

/// The type of version information among resources.
const VERSION: u32 = 16;
/// Entries of one folder of resources that are looked at.
const RESOURCES: usize = 64;
/// Resources of version information that are looked at.
const VERSIONS: usize = 16;

/// A section as the header has it.
struct Raw {
    address: u64,
    length: u64,
    start: u64,
}

pub(super) fn layout(object: &Object, head: &[u8]) -> io::Result<Option<Layout>> {
    let Some(at) = Fields::new(head, false).u32(0x3c).map(u64::from) else {
        return Ok(None);
    };
    let header = object.bytes_at(at, COFF_HEADER + 240)?;
    let Some(header) = Header::new(&header) else {
        return Ok(None);
    };
    let table_at = at
        .saturating_add(COFF_HEADER as u64)
        .saturating_add(header.optional_length);
    let table = object.bytes_at(table_at, usize::from(header.sections) * SECTION_HEADER)?;
    let (rows, _) = table.as_chunks::<SECTION_HEADER>();
    if rows.len() < usize::from(header.sections) {
        return Ok(None);
    }
    let raw: Vec<Raw> = rows.iter().filter_map(|row| raw(row)).collect();
    let file_alignment = file_alignment(header.file_alignment, &raw);
    let parts: Vec<(u64, Section)> = raw
        .iter()
        .map(|raw| {
            let start = down(raw.start, file_alignment);
            let length = up(raw.length, file_alignment);
            (
                down(raw.address, header.section_alignment),
                Section::clipped(start, length, object.length()),
            )
        })
        .collect();
    let headers = up(header.headers_length, header.section_alignment);
    let version_info = version_info(object, &header, &parts, headers)?;
    Ok(Some(Layout {
        entry: offset(header.entry, &parts, headers),
        sections: parts.into_iter().map(|(_, section)| section).collect(),
        version_info,
    }))
}

struct Header {
    sections: u16,
    optional_length: u64,
    entry: u64,
    section_alignment: u64,
    file_alignment: u64,
    headers_length: u64,
    resources: Option<u64>,
}

impl Header {
    fn new(bytes: &[u8]) -> Option<Self> {
        let coff = Fields::new(bytes, false);
        let sections = coff.u16(6).filter(|count| (1..=SECTIONS).contains(count))?;
        let optional_length = coff.u16(20)?;
        let optional = Fields::new(bytes.get(COFF_HEADER..)?, false);
        let (least, directories) = match optional.u16(0)? {
            PE32 => (224, 96),
            PE32_PLUS => (240, 112),
            _ => return None,
        };
        let is_pe = bytes.starts_with(b"PE\0\0") && optional_length >= least;
        let directory_count = optional.u32(directories - 4)?;
        let number = |at| optional.u32(at).map(u64::from);
        Some(Self {
            sections,
            optional_length: optional_length.into(),
            entry: number(16)?,
            section_alignment: number(32)?,
            file_alignment: number(36)?,
            headers_length: number(60)?,
            // The third directory.
            resources: number(directories + 16).filter(|at| directory_count > 2 && *at > 0),
        })
        .filter(|_| is_pe)
    }
}

fn raw(row: &[u8]) -> Option<Raw> {
    let fields = Fields::new(row, false);
    Some(Raw {
        address: fields.u32(12)?.into(),
        length: fields.u32(16)?.into(),
        start: fields.u32(20)?.into(),
    })
}

/// The header's alignment, or the usual one if a section keeps that and not the header's.
fn file_alignment(header: u64, raw: &[Raw]) -> u64 {
    let unlike = |raw: &Raw| {
        raw.length > 0
            && !raw.start.is_multiple_of(header)
            && raw.start.is_multiple_of(USUAL_ALIGNMENT)
    };
    if header > 0 && raw.iter().any(unlike) {
        USUAL_ALIGNMENT
    } else {
        header
    }
}

fn down(value: u64, alignment: u64) -> u64 {
    value - value.checked_rem(alignment).unwrap_or(0)
}

fn up(value: u64, alignment: u64) -> u64 {
    value.checked_next_multiple_of(alignment).unwrap_or(value)
}

/// The place in the file of an address: in the headers as it is, else in the last section that has it.
fn offset(address: u64, parts: &[(u64, Section)], headers: u64) -> Option<u64> {
    if address < headers {
        return Some(address);
    }
    parts.iter().rev().find_map(|(start, section)| {
        let within = address.checked_sub(*start)?;
        (within < section.length).then(|| section.start + within)
    })
}

/// The resources of type "version": three levels of folders (type, name, language) lead to an address and a length.
fn version_info(
    object: &Object,
    header: &Header,
    parts: &[(u64, Section)],
    headers: u64,
) -> io::Result<Vec<Section>> {
    let place = |address: u64| offset(address, parts, headers);
    let Some(base) = header.resources.and_then(place) else {
        return Ok(Vec::new());
    };
    let mut level: Vec<u64> = folder(object, base)?
        .into_iter()
        .filter(|(id, _)| *id == VERSION)
        .filter_map(|(_, to)| subfolder(base, to))
        .collect();
    let mut leaves = Vec::new();
    for _ in 0..2 {
        let mut below = Vec::new();
        for at in level.drain(..).take(VERSIONS) {
            for (_, to) in folder(object, at)? {
                match subfolder(base, to) {
                    Some(at) => below.push(at),
                    None => leaves.push(base.saturating_add(to.into())),
                }
            }
        }
        level = below;
    }
    let mut found = Vec::new();
    for at in leaves.into_iter().take(VERSIONS) {
        let entry = object.bytes_at(at, 8)?;
        let entry = Fields::new(&entry, false);
        if let (Some(address), Some(length)) = (entry.u32(0), entry.u32(4))
            && let Some(start) = place(address.into())
        {
            found.push(Section::clipped(start, length.into(), object.length()));
        }
    }
    Ok(found)
}

/// The entries of a folder: identifier, and where it leads.
fn folder(object: &Object, at: u64) -> io::Result<Vec<(u32, u32)>> {
    let head = object.bytes_at(at, 16)?;
    let head = Fields::new(&head, false);
    let count = |at| head.u16(at).map_or(0, usize::from);
    let wanted = (count(12) + count(14)).min(RESOURCES);
    let entries = object.bytes_at(at.saturating_add(16), wanted * 8)?;
    let (entries, _) = entries.as_chunks::<8>();
    let numbers = entries.iter().filter_map(|entry| {
        let entry = Fields::new(entry, false);
        Some((entry.u32(0)?, entry.u32(4)?))
    });
    Ok(numbers.collect())
}

/// The highest bit says that it is a folder.
fn subfolder(base: u64, to: u32) -> Option<u64> {
    let is_folder = to & 1 << 31 != 0;
    is_folder.then(|| base.saturating_add(u64::from(to & !(1 << 31))))
}
