//! The headers of PE32 and PE32+ (Microsoft PE and COFF Specification), as far as parts and addresses need them.
//!
//! Apart from `executable`, which counts as clamscan counts: here addresses are followed as the loader does.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Range;

use crate::bytes::Reader;
use crate::object::Object;

/// More sections than a loader takes.
const SECTIONS: u16 = 96;

const FILE_HEADER: u64 = 24;
const SECTION_HEADER: usize = 40;
const PE32: u16 = 0x10b;
const PE32_PLUS: u16 = 0x20b;

/// Raw places are rounded down to this.
const SECTOR: u64 = 0x200;

/// The processor that the emulator knows.
const I386: u16 = 0x14c;

pub(super) const IMPORTS: usize = 1;
pub(super) const RESOURCES: usize = 2;
pub(super) const CERTIFICATES: usize = 4;

/// A section's header.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) name: [u8; 8],
    pub(super) address: u32,
    /// Bytes in memory.
    pub(super) size: u32,
    pub(super) raw: Range<u64>,
    /// Where its header stands in the file.
    pub(super) header: u64,
}

impl Section {
    /// The name without its zeros.
    pub(super) fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0);
        self.name.get(..end.unwrap_or(8)).unwrap_or_default()
    }

    /// Its addresses.
    pub(super) fn addresses(&self) -> Range<u64> {
        let length = u64::from(self.size).max(self.raw.end - self.raw.start);
        u64::from(self.address)..u64::from(self.address) + length
    }
}

/// What the headers say.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Where the second header stands.
    pub(super) at: u64,
    pub(super) machine: u16,
    pub(super) wide: bool,
    pub(super) entry: u32,
    pub(super) base: u64,
    /// Bytes in memory.
    pub(super) size: u32,
    /// Bytes of all headers.
    pub(super) headers: u32,
    pub(super) directories: Vec<(u32, u32)>,
    pub(super) sections: Vec<Section>,
    /// The first byte behind the symbols of a linker that left them, and their names.
    pub(super) symbols: Option<u64>,
}

/// Where the symbols of the program with this second header end, and the names behind them, which say how long they are.
fn symbols(object: &Object, at: u64) -> io::Result<Option<u64>> {
    const SYMBOL: u64 = 18;
    let fields = object.bytes_at(at + 12, 8)?;
    let mut reader = Reader::new(&fields);
    let (Some(start @ 1..), Some(count)) = (reader.u32_le(), reader.u32_le()) else {
        return Ok(None);
    };
    let names = u64::from(start) + u64::from(count) * SYMBOL;
    let length = object.bytes_at(names, 4)?;
    let length = Reader::new(&length).u32_le().map_or(0, u64::from);
    Ok(Some(names + length).filter(|end| *end <= object.length()))
}

impl Image {
    /// The headers of a program; nothing if there are none.
    pub(super) fn of(object: &Object) -> io::Result<Option<Self>> {
        let head = object.bytes_at(0, 64)?;
        let Some(at) = head
            .starts_with(b"MZ")
            .then(|| head.get(0x3c..).and_then(|rest| Reader::new(rest).u32_le()))
            .flatten()
            .map(u64::from)
        else {
            return Ok(None);
        };
        let bytes = object.bytes_at(at, 24 + 112 + 16 * 8)?;
        let Some((mut image, count, optional)) = Self::parse(&bytes, at) else {
            return Ok(None);
        };
        image.symbols = symbols(object, at)?;
        let table_at = at + FILE_HEADER + u64::from(optional);
        let table = object.bytes_at(table_at, usize::from(count) * SECTION_HEADER)?;
        let (rows, _) = table.as_chunks::<SECTION_HEADER>();
        for (number, row) in rows.iter().enumerate() {
            let header = table_at + (number * SECTION_HEADER) as u64;
            image.sections.extend(section(row, header, object.length()));
        }
        Ok(Some(image))
    }

    fn parse(bytes: &[u8], at: u64) -> Option<(Self, u16, u16)> {
        let mut reader = Reader::new(bytes.strip_prefix(b"PE\0\0")?);
        let machine = reader.u16_le()?;
        let count = reader.u16_le().filter(|count| *count <= SECTIONS)?;
        reader.take(12)?;
        let optional = reader.u16_le()?;
        reader.take(2)?;
        let wide = match reader.u16_le()? {
            PE32 => false,
            PE32_PLUS => true,
            _ => return None,
        };
        reader.take(14)?;
        let entry = reader.u32_le()?;
        reader.take(4)?;
        let base = if wide {
            reader.u64_le()?
        } else {
            reader.u32_le()?;
            reader.u32_le()?.into()
        };
        reader.take(24)?;
        let size = reader.u32_le()?;
        let headers = reader.u32_le()?;
        reader.take(if wide { 44 } else { 28 })?;
        let directories = reader.u32_le()?.min(16);
        let directories = (0..directories)
            .map_while(|_| Some((reader.u32_le()?, reader.u32_le()?)))
            .collect();
        let image = Self {
            at,
            machine,
            wide,
            entry,
            base,
            size,
            headers,
            directories,
            sections: Vec::new(),
            symbols: None,
        };
        Some((image, count, optional))
    }

    /// The first byte behind headers and sections.
    pub(super) fn end(&self) -> u64 {
        let headers = u64::from(self.headers).min(self.sections.first().map_or(u64::MAX, |s| {
            if s.raw.is_empty() {
                u64::MAX
            } else {
                s.raw.start.max(1)
            }
        }));
        let ends = self.sections.iter().map(|section| section.raw.end);
        ends.fold(headers, u64::max)
    }

    /// A directory's address and length.
    pub(super) fn directory(&self, number: usize) -> Option<(u32, u32)> {
        let found = self.directories.get(number).copied();
        found.filter(|(address, length)| *address > 0 && *length > 0)
    }

    /// The certificate table, which is addressed by its place in the file.
    pub(super) fn certificates(&self) -> Option<Range<u64>> {
        let (at, length) = self.directory(CERTIFICATES)?;
        Some(u64::from(at)..u64::from(at) + u64::from(length))
    }

    /// The place in the file of an address.
    pub(super) fn place(&self, address: u64) -> Option<u64> {
        let section = self.section_of(address);
        if let Some(section) = section {
            let within = address - u64::from(section.address);
            return (within < section.raw.end - section.raw.start)
                .then(|| section.raw.start + within);
        }
        (address < u64::from(self.headers)).then_some(address)
    }

    /// The section of an address.
    pub(super) fn section_of(&self, address: u64) -> Option<&Section> {
        let mut sections = self.sections.iter();
        sections.find(|section| section.addresses().contains(&address))
    }

    /// The file of which the loader would make this memory, for a program that begins at `entry`: each section lies in it
    /// where it lies in memory.
    pub(super) fn unpacked(&self, head: &[u8], mut memory: Vec<u8>, entry: u32) -> Vec<u8> {
        // Some stubs wipe it out.
        for (place, byte) in memory.iter_mut().zip(head) {
            *place = *byte;
        }
        let saved = self.saved(&mut memory, entry);
        let sections = saved.as_deref().unwrap_or(&self.sections);
        let mut put = |at: u64, value: u32| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let place = memory.get_mut(at..).and_then(|rest| rest.get_mut(..4));
            if let Some(place) = place {
                place.copy_from_slice(&value.to_le_bytes());
            }
        };
        put(self.at + FILE_HEADER + 16, entry);
        for section in sections {
            let addresses = section.addresses();
            let length = u32::try_from(addresses.end - addresses.start).unwrap_or(u32::MAX);
            put(section.header + 16, length);
            put(section.header + 20, section.address);
        }
        memory
    }

    /// Puts the headers back that a stub has kept in memory, those that say the same entry, and gives their sections.
    fn saved(&self, memory: &mut [u8], entry: u32) -> Option<Vec<Section>> {
        let headers = self.headers as usize;
        let kept = memory.get(headers..)?;
        let found = memchr::memmem::find_iter(kept, b"PE\0\0\x4c\x01").find_map(|found| {
            let bytes = kept.get(found..)?;
            let (image, count, optional) = Self::parse(bytes, self.at)?;
            let length = 24 + usize::from(optional) + usize::from(count) * SECTION_HEADER;
            let bytes = bytes.get(..length)?;
            (image.entry == entry && entry > 0 && count > 0).then(|| (bytes.to_vec(), optional))
        });
        let (bytes, optional) = found?;
        let at = usize::try_from(self.at).ok()?;
        let place = memory.get_mut(at..headers)?.get_mut(..bytes.len())?;
        place.copy_from_slice(&bytes);
        let table = 24 + usize::from(optional);
        let (rows, _) = bytes.get(table..)?.as_chunks::<SECTION_HEADER>();
        let rows = rows.iter().enumerate().filter_map(|(number, row)| {
            let header = self.at + (table + number * SECTION_HEADER) as u64;
            section(row, header, 0)
        });
        Some(rows.collect())
    }

    /// It is for the processor that the emulator knows.
    pub(super) fn is_i386(&self) -> bool {
        self.machine == I386 && !self.wide
    }
}

fn section(row: &[u8], header: u64, end: u64) -> Option<Section> {
    let mut reader = Reader::new(row);
    let name = reader.array()?;
    let (size, address) = (reader.u32_le()?, reader.u32_le()?);
    let (length, start) = (reader.u32_le()?, reader.u32_le()?);
    let stop = u64::from(start).saturating_add(length.into()).min(end);
    // Within a sector the loader begins at its start.
    let start = (u64::from(start) / SECTOR * SECTOR).min(end);
    let stop = if length == 0 { start } else { stop.max(start) };
    Some(Section {
        name,
        address,
        size,
        raw: start..stop,
        header,
    })
}
