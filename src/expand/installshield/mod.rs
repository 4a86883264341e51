//! InstallShield: what its setup programs carry behind them, and the cabinets in it. Nothing is published; both forms of the
//! list and the way in which the second is masked are read off real installers.
//!
//! The list is either of texts that end in zeros (name, path, version, length), each before its file, or begins with
//! `InstallShield` and has a record of 312 bytes before each file.
#![forbid(unsafe_code)]

mod cabinet;

use std::io::{self, BufReader, Read};

use cabinet::{Cabinet, Found};

use super::inflate::Inflate;
use super::number::digits;
use super::{Children, Container, Content, Expander, Halt, cut_short, damaged, is_damage, unread};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{Object, ObjectReader, Probe};

/// The first bytes of a list of records, and the lengths of its head and of a record.
const MAGIC: &[u8] = b"InstallShield\0";
const HEAD: u64 = 46;
const RECORD: u64 = 312;
const NAME: usize = 260;

/// The longest of the four texts before a file.
const TEXT: usize = 1024;

/// Flags of a record: its file is masked, in the first case all of it by one key, in the second each 1,024 bytes.
const MASKED: u32 = 2;
const MASKED_IN_BLOCKS: u32 = 4;
const BLOCK: u64 = 1024;

/// The expander of InstallShield's lists and cabinets.
pub(super) struct InstallShield;

impl Expander for InstallShield {
    fn kind(&self) -> &'static str {
        "installshield"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, MAGIC.len())?;
        if head.starts_with(cabinet::MAGIC) {
            return alone(object, children);
        }
        match head == MAGIC {
            _ if head.is_empty() => Err(Halt::Unlike),
            true => records(object, children),
            false => texts(object, children),
        }
    }
}

/// Tells whether a content begins with a list of texts.
pub(super) fn is_list(probe: &Probe) -> bool {
    entry(&probe.head).is_some()
}

/// A cabinet that is opened without what lies beside it.
fn alone(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let cabinet = match Cabinet::read(object) {
        Err(error) if is_damage(&error) => return Err(Halt::Broken(error.to_string())),
        read => read?,
    };
    match cabinet {
        Found::Cabinet(cabinet) => cabinet.expand(&|_| Some(object.clone()), children),
        Found::Volume => {
            let reason = Reason::Unsupported("installshield-volume".to_owned());
            let detail = "the list of its files is in another file".to_owned();
            children.gap(None, reason, detail)
        }
        Found::Unknown(version) => {
            let reason = Reason::Unsupported("installshield-version".to_owned());
            children.gap(None, reason, format!("version {version:#x} of the cabinet"))
        }
    }
}

/// A file in a list of texts: its path, and where it is.
struct Entry {
    path: Vec<u8>,
    head: usize,
    size: u64,
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let mut head = 0;
    let mut text = || {
        let rest = bytes.get(head..)?;
        let end = memchr::memchr(0, rest.get(..TEXT).unwrap_or(rest))?;
        head += end + 1;
        rest.get(..end)
    };
    let (name, path, version, size) = (text()?, text()?, text()?, text()?);
    let is_version = !version.is_empty()
        && version
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    // In some folder, always: a name alone is any text in UTF-16.
    let folder = path.strip_suffix(name).and_then(<[u8]>::last);
    let is_path = folder.is_some_and(|byte| matches!(byte, b'\\' | b'/'));
    if name.is_empty() || !is_path || !is_version {
        return None;
    }
    let mut path = path.to_vec();
    path.iter_mut()
        .filter(|byte| **byte == b'\\')
        .for_each(|byte| *byte = b'/');
    Some(Entry {
        path,
        size: digits(size, 10)?,
        head,
    })
}

fn texts(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let mut at = 0_u64;
    let mut files: Vec<(Vec<u8>, Object)> = Vec::new();
    while at < object.length() {
        let Some(entry) = entry(&object.bytes_at(at, 4 * TEXT)?) else {
            if at == 0 {
                return Err(Halt::Unlike);
            }
            unread(object, at, children)?;
            break;
        };
        let start = at.saturating_add(entry.head as u64);
        let file = object.slice(start, entry.size);
        at = start.saturating_add(entry.size);
        let is_part = file.bytes_at(0, cabinet::MAGIC.len())? == cabinet::MAGIC;
        if is_part && files.len() < PARTS {
            files.push((entry.path.clone(), file.clone()));
        } else {
            children.child(&entry.path, Content::Object(file.clone()))?;
        }
        if file.length() < entry.size {
            let detail = format!("{} of {} bytes are there", file.length(), entry.size);
            children.gap(Some(&entry.path), Reason::Corrupt, detail)?;
        }
    }
    cabinets(&files, children)
}

/// The most files of cabinets that are held together; the others are opened each for itself.
const PARTS: usize = 256;

/// Opens cabinets with the volumes beside them: `data1.hdr` has the list of `data1.cab`, `data2.cab` and so on.
fn cabinets(files: &[(Vec<u8>, Object)], children: &mut dyn Children) -> Result<(), Halt> {
    let mut used = vec![false; files.len()];
    for (at, (path, file)) in files.iter().enumerate() {
        let found = match Cabinet::read(file) {
            Err(error) if is_damage(&error) => None,
            read => Some(read?),
        };
        let Some(Found::Cabinet(cabinet)) = found else {
            continue;
        };
        let stem = stem(path);
        let volume_path = |number: u16| [stem, number.to_string().as_bytes(), b".cab"].concat();
        let place = |number: u16| {
            files
                .iter()
                .position(|(path, _)| *path == volume_path(number))
        };
        let mut inside = Inside {
            path,
            children: &mut *children,
        };
        cabinet.expand(
            &|number| place(number).and_then(|at| files.get(at).map(|(_, file)| file.clone())),
            &mut inside,
        )?;
        let mut mark = |at: usize| used.get_mut(at).map(|used| *used = true);
        mark(at);
        for number in 1..=u16::try_from(files.len()).unwrap_or(u16::MAX) {
            place(number).and_then(&mut mark);
        }
    }
    for ((path, file), used) in files.iter().zip(used) {
        if !used {
            children.child(path, Content::Object(file.clone()))?;
        }
    }
    Ok(())
}

/// `Disk1/data` of `Disk1/data1.hdr`.
fn stem(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'.');
    let stem = path.get(..end.unwrap_or(path.len())).unwrap_or(path);
    let digits = stem.iter().rev().take_while(|byte| byte.is_ascii_digit());
    stem.get(..stem.len() - digits.count()).unwrap_or(stem)
}

/// Names the files of a cabinet after it.
struct Inside<'a> {
    path: &'a [u8],
    children: &'a mut dyn Children,
}

impl Inside<'_> {
    fn named(&self, name: &[u8]) -> Vec<u8> {
        [self.path, b"/", name].concat()
    }
}

impl Children for Inside<'_> {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let name = self.named(name);
        self.children.child(&name, content)
    }

    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        let name = member.map_or_else(|| self.path.to_vec(), |name| self.named(name));
        self.children.gap(Some(&name), reason, detail)
    }

    fn note(&mut self, kind: crate::event::NoteKind, detail: String) -> Result<(), Halt> {
        self.children.note(kind, detail)
    }
}

/// A file in a list of records.
struct Record {
    name: Vec<u8>,
    flags: u32,
    size: u64,
    is_compressed: bool,
}

fn record(bytes: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(bytes);
    let name = reader.take(NAME)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let flags = reader.u32_le()?;
    reader.u32_le()?;
    let size = reader.u32_le()?;
    reader.take(8)?;
    let is_compressed = reader.u16_le()? != 0;
    Some(Record {
        name: name.to_vec(),
        flags,
        size: size.into(),
        is_compressed,
    })
    .filter(|record| !record.name.is_empty())
}

fn records(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let head = object.bytes_at(0, HEAD as usize)?;
    let count = Reader::new(head.get(MAGIC.len()..).unwrap_or_default()).u16_le();
    let Some(count) = count.filter(|count| *count > 0) else {
        return Err(Halt::Unlike);
    };
    let mut at = HEAD;
    for number in 0..count {
        let Some(record) = record(&object.bytes_at(at, RECORD as usize)?) else {
            if number == 0 {
                return Err(Halt::Unlike);
            }
            return Err(Halt::Broken(format!("{number} of {count} files are there")));
        };
        let start = at.saturating_add(RECORD);
        let raw = object.slice(start, record.size);
        at = start.saturating_add(record.size);
        let is_masked = record.flags & (MASKED | MASKED_IN_BLOCKS) != 0;
        let content = Unmasked {
            input: raw.raw_reader(),
            key: match is_masked {
                true => key(&record.name),
                false => Vec::new(),
            },
            block: match record.flags & MASKED_IN_BLOCKS {
                0 => u64::MAX,
                _ => BLOCK,
            },
            at: 0,
        };
        let short = raw.length() < record.size;
        match record.is_compressed {
            true => {
                let mut content = Zlib::new(content);
                children.child(&record.name, Content::Stream(&mut content))?;
            }
            false if is_masked => {
                let mut content = content;
                children.child(&record.name, Content::Stream(&mut content))?;
            }
            false => children.child(&record.name, Content::Object(raw.clone()))?,
        }
        if short {
            let detail = format!("{} of {} bytes are there", raw.length(), record.size);
            children.gap(Some(&record.name), Reason::Corrupt, detail)?;
        }
    }
    unread(object, at, children)
}

/// What a file is masked with: its name, and four bytes.
fn key(name: &[u8]) -> Vec<u8> {
    let four = [0x13, 0x35, 0x86, 0x07].iter().cycle();
    name.iter().zip(four).map(|(a, b)| a ^ b).collect()
}

struct Unmasked {
    input: ObjectReader,
    /// Empty if nothing is masked.
    key: Vec<u8>,
    /// The key begins anew after so many bytes.
    block: u64,
    at: u64,
}

impl Read for Unmasked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        if !self.key.is_empty() {
            for byte in out.iter_mut().take(count) {
                let place = (self.at % self.block) % self.key.len() as u64;
                let place = usize::try_from(place).unwrap_or(0);
                let key = self.key.get(place).copied().unwrap_or(0);
                *byte = !(key ^ byte.rotate_left(4));
                self.at += 1;
            }
        }
        Ok(count)
    }
}

/// A zlib stream whose checksum is not looked at: installers do not, either.
struct Zlib<R: Read> {
    inflate: Inflate<BufReader<R>>,
    begun: bool,
}

impl<R: Read> Zlib<R> {
    fn new(input: R) -> Self {
        Self {
            inflate: Inflate::new(BufReader::new(input)),
            begun: false,
        }
    }
}

impl<R: Read> Read for Zlib<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.begun {
            let mut head = [0; 2];
            let input = self.inflate.input();
            let read = input.read_exact(&mut head);
            read.map_err(|_| cut_short("no zlib stream"))?;
            if u16::from_be_bytes(head) % 31 != 0 {
                return Err(damaged("no zlib stream"));
            }
            self.begun = true;
        }
        self.inflate.read(out)
    }
}

#[cfg(test)]
mod tests;
