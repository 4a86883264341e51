//! Microsoft's HTML help (M. Russotto, "Microsoft's HTML Help (.chm) format"): a directory of names, and their contents in
//! sections, one of which is compressed by LZX.
//!
//! The directory is read chunk by chunk and not by its index, which may leave out some. Files are given in the order in
//! which they lie, so that the compressed section is decoded once.
#![forbid(unsafe_code)]

mod section;

use std::io;

use self::section::{Compressed, Piece};
use super::extents::Guard;
use super::{Children, Container, Content, Expander, Halt, is_damage, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::Object;

const MAGIC: &[u8] = b"ITSF";

/// The longest header: version 3.
const HEADER: usize = 0x60;

/// The header of the directory, and of a chunk of it that has names.
const DIRECTORY: usize = 0x54;
const CHUNK: usize = 20;

/// The longest chunk.
const LONGEST_CHUNK: u32 = 1 << 20;

/// Parts of the compressed section are said in files whose names begin so.
const STORAGE: &str = "::DataSpace/Storage/MSCompressed/";
const NAMES: &[u8] = b"::DataSpace/NameList";
const RESET_TABLE: &str =
    "Transform/{7FC28940-9D31-11D0-9B27-00A0C91E9C7C}/InstanceData/ResetTable";

/// The longest of the small files that say how sections are compressed, in bytes.
const SMALL: usize = 4096;

/// The expander of HTML help.
pub(super) struct Chm;

impl Expander for Chm {
    fn kind(&self) -> &'static str {
        "chm"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(header) = Header::read(&head) else {
            return Err(Halt::Broken("the header is cut".to_owned()));
        };
        let mut help = Help {
            object,
            content: header.content,
            entries: Vec::new(),
            guard: Guard::new(u64::MAX, container.memory),
            end: header.end(object)?,
        };
        if help.end > object.length() {
            let detail = format!("{} of {} bytes are there", object.length(), help.end);
            children.gap(None, Reason::Corrupt, detail)?;
        }
        help.directory(&header, children)?;
        help.entries
            .sort_by_key(|entry| (entry.section, entry.offset));
        help.plain(children)?;
        help.compressed(children)?;
        if help.end >= object.length() {
            return Ok(());
        }
        trailing(object, help.end, children)
    }
}

/// What the header says.
struct Header {
    /// Place and length of the section with the length of all, and of the directory.
    sections: [(u64, u64); 2],
    /// Where the contents begin.
    content: u64,
}

impl Header {
    fn read(head: &[u8]) -> Option<Self> {
        let version = Reader::new(head.get(4..)?).u32_le()?;
        let mut reader = Reader::new(head.get(56..)?);
        let mut section = || Some((reader.u64_le()?, reader.u64_le()?));
        let sections = [section()?, section()?];
        let [_, (at, length)] = sections;
        let content = match version {
            0..=2 => at.saturating_add(length),
            _ => reader.u64_le()?,
        };
        Some(Self { sections, content })
    }

    /// The length that the file says it has.
    fn end(&self, object: &Object) -> io::Result<u64> {
        let [(at, _), (directory, length)] = self.sections;
        let bytes = object.bytes_at(at.saturating_add(8), 8)?;
        let said = Reader::new(&bytes).u64_le().unwrap_or_default();
        Ok(said.max(directory.saturating_add(length)))
    }
}

/// A file in the directory.
struct Entry {
    name: Vec<u8>,
    section: u64,
    offset: u64,
    length: u64,
}

struct Help<'a> {
    object: &'a Object,
    content: u64,
    entries: Vec<Entry>,
    guard: Guard,
    end: u64,
}

impl Help<'_> {
    fn directory(&mut self, header: &Header, children: &mut dyn Children) -> Result<(), Halt> {
        let [_, (at, length)] = header.sections;
        let head = self.object.bytes_at(at, DIRECTORY)?;
        let fields = (|| {
            let mut reader = Reader::new(head.strip_prefix(b"ITSP")?);
            reader.take(4)?;
            let size = reader.u32_le()?;
            reader.take(4)?;
            let chunk = reader.u32_le()?;
            reader.take(24)?;
            Some((size, chunk, reader.u32_le()?))
        })();
        let Some((size, chunk, count)) = fields else {
            let detail = "no directory where it should be".to_owned();
            return children.gap(None, Reason::Corrupt, detail);
        };
        if !(CHUNK..=LONGEST_CHUNK as usize).contains(&(chunk as usize)) {
            let detail = format!("chunks of {chunk} bytes");
            return children.gap(None, Reason::Corrupt, detail);
        }
        // Whichever is more: chunks that nothing leads to are read, too.
        let room = length.saturating_sub(size.into()) / u64::from(chunk);
        for number in 0..room.max(count.into()) {
            let place = at
                .saturating_add(size.into())
                .saturating_add(number * u64::from(chunk));
            let bytes = self.object.bytes_at(place, chunk as usize)?;
            if bytes.len() < chunk as usize {
                let detail = format!("{number} of {count} chunks of the directory are there");
                return children.gap(None, Reason::Corrupt, detail);
            }
            if !bytes.starts_with(b"PMGL") {
                if !bytes.starts_with(b"PMGI") && number < count.into() {
                    let detail = format!("chunk {number} of the directory is damaged");
                    children.gap(None, Reason::Corrupt, detail)?;
                }
                continue;
            }
            if !self.chunk(&bytes, children)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes in the names of a chunk; false when no more can be remembered.
    fn chunk(&mut self, bytes: &[u8], children: &mut dyn Children) -> Result<bool, Halt> {
        let mut reader = Reader::new(bytes.get(4..).unwrap_or_default());
        let free = reader.u32_le().unwrap_or_default() as usize;
        let entries = bytes.get(CHUNK..bytes.len().saturating_sub(free));
        let mut reader = Reader::new(entries.unwrap_or_default());
        while !reader.rest().is_empty() {
            let entry = (|| {
                let length = usize::try_from(number(&mut reader)?).ok()?;
                let name = reader.take(length)?;
                let name = name.strip_prefix(b"/").unwrap_or(name).to_vec();
                Some(Entry {
                    name,
                    section: number(&mut reader)?,
                    offset: number(&mut reader)?,
                    length: number(&mut reader)?,
                })
            })();
            let Some(entry) = entry else {
                let detail = "a damaged name in the directory".to_owned();
                children.gap(None, Reason::Corrupt, detail)?;
                break;
            };
            if let Err(refused) = self.guard.remember(entry.name.len()) {
                refused.say(b"", children)?;
                return Ok(false);
            }
            self.entries.push(entry);
        }
        if entries.is_none() {
            let detail = "a damaged chunk of the directory".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
        }
        Ok(true)
    }

    fn find(&self, name: &[u8]) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.section == 0 && entry.name == name)
    }

    fn place(&self, entry: &Entry) -> Object {
        let at = self.content.saturating_add(entry.offset);
        self.object.slice(at, entry.length)
    }

    /// The files of the section that is not compressed.
    fn plain(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let compressed = format!("{STORAGE}Content");
        for entry in self.entries.iter().filter(|entry| entry.section == 0) {
            // What is decoded is given as its files.
            if entry.name == compressed.as_bytes() || is_folder(entry) {
                continue;
            }
            let content = self.place(entry);
            let there = content.length();
            children.child(&entry.name, Content::Object(content))?;
            if there < entry.length {
                let detail = format!("{there} of {} bytes are there", entry.length);
                children.gap(Some(&entry.name), Reason::Corrupt, detail)?;
            }
        }
        Ok(())
    }

    /// The files of the other sections.
    fn compressed(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let names = self.section_names()?;
        let mut opened = None;
        for entry in self.entries.iter().filter(|entry| entry.section > 0) {
            if is_folder(entry) {
                continue;
            }
            let name = Some(entry.name.as_slice());
            let section = usize::try_from(entry.section).ok();
            let section = section.and_then(|section| names.get(section));
            if section.is_some_and(|section| section != "MSCompressed")
                || (section.is_none() && entry.section > 1)
            {
                let reason = Reason::Unsupported("chm-section".to_owned());
                children.gap(name, reason, format!("section {}", entry.section))?;
                continue;
            }
            if opened.is_none() {
                opened = Some(self.open()?);
            }
            match &mut opened {
                Some(Ok(content)) => {
                    let mut piece = Piece::new(content, entry.offset, entry.length);
                    children.child(&entry.name, Content::Stream(&mut piece))?;
                }
                Some(Err((reason, detail))) => {
                    children.gap(name, reason.clone(), detail.clone())?;
                }
                None => {}
            }
        }
        match &opened {
            Some(Ok(content)) if content.is_spent() => {
                let detail = "too many files that overlap".to_owned();
                children.gap(None, Reason::Limit(Limit::Expanded), detail)
            }
            _ => Ok(()),
        }
    }

    /// The names of the sections, by number.
    fn section_names(&self) -> io::Result<Vec<String>> {
        let Some(entry) = self.find(NAMES) else {
            return Ok(Vec::new());
        };
        let bytes = self.place(entry).bytes_at(0, SMALL)?;
        let mut reader = Reader::new(&bytes);
        reader.take(2);
        let mut names = Vec::new();
        for _ in 0..reader.u16_le().unwrap_or_default() {
            let Some(length) = reader.u16_le() else { break };
            let Some(units) = reader.take(usize::from(length) * 2 + 2) else {
                break;
            };
            let (units, _) = units.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
            let name = char::decode_utf16(units.take(length.into()));
            names.push(
                name.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            );
        }
        Ok(names)
    }

    /// The compressed section, or why it cannot be decoded.
    fn open(&self) -> io::Result<Result<Compressed, (Reason, String)>> {
        let file = |name: &str| {
            let entry = self.find(format!("{STORAGE}{name}").as_bytes());
            entry.map(|entry| self.place(entry))
        };
        let (Some(control), Some(table), Some(content)) =
            (file("ControlData"), file(RESET_TABLE), file("Content"))
        else {
            let detail = "how the section is compressed is not said".to_owned();
            return Ok(Err((Reason::Corrupt, detail)));
        };
        match Compressed::open(&control, table, content) {
            Err(error) if is_damage(&error) => Ok(Err((Reason::Corrupt, error.to_string()))),
            opened => opened.map(Ok),
        }
    }
}

fn is_folder(entry: &Entry) -> bool {
    entry.length == 0 && entry.name.ends_with(b"/") || entry.name.is_empty()
}

/// A number of seven bits in each byte, the highest first.
fn number(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0_u64;
    for _ in 0..9 {
        let [byte] = reader.array()?;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
