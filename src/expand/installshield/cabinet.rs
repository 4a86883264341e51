//! InstallShield's own cabinets (`ISc(`), versions 5 and later: a header with the list of files, and volumes with their
//! contents, each of which may be a file of its own. Nothing is published; the fields are those in which the cabinets of
//! real installers agree with the lengths and the digests of what is in them.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read};

use md5::{Digest, Md5};

use crate::bytes::Reader;
use crate::event::Reason;
use crate::expand::inflate::Inflate;
use crate::expand::{Children, Content, Halt, cut_short, damaged};
use crate::object::{Object, ObjectReader};
use crate::path::NAME_LIMIT;

pub(super) const MAGIC: &[u8] = b"ISc(";

/// The most bytes of a header that are read; a file takes 87 of them, and its name.
const HEADER: usize = 32 << 20;

/// What the header of a volume takes; no content is before it.
const VOLUME: u64 = 0x40;

/// The length of a file's record since version 6.
const RECORD: usize = 0x57;

/// Flags of a file.
const SPLIT: u16 = 1;
const MASKED: u16 = 2;
const COMPRESSED: u16 = 4;
const INVALID: u16 = 8;

/// The list of files of a cabinet.
pub(super) struct Cabinet {
    bytes: Vec<u8>,
    /// Where the lists begin, and where in them the files and the names.
    files: usize,
    names: usize,
    folders: Vec<u32>,
    count: u32,
}

/// What there is at the start of a file with the magic.
pub(super) enum Found {
    Cabinet(Cabinet),
    /// The list is in another file.
    Volume,
    /// A version whose fields are others.
    Unknown(u32),
}

struct File {
    name: Vec<u8>,
    flags: u16,
    size: u64,
    packed: u64,
    at: u64,
    md5: [u8; 16],
    volume: u16,
}

impl Cabinet {
    /// Reads the list of files.
    ///
    /// # Errors
    /// Reading, and a list that is not there ([`io::ErrorKind::InvalidData`]).
    pub(super) fn read(object: &Object) -> io::Result<Found> {
        let bytes = object.bytes_at(0, HEADER)?;
        Self::parse(bytes).ok_or_else(|| damaged("the list of files is damaged"))
    }

    fn parse(bytes: Vec<u8>) -> Option<Found> {
        let mut reader = Reader::new(bytes.get(MAGIC.len()..)?);
        let version = reader.u32_le()?;
        reader.u32_le()?;
        let start = usize::try_from(reader.u32_le()?).ok()?;
        if reader.u32_le()? == 0 {
            return Some(Found::Volume);
        }
        if major(version) < 6 {
            return Some(Found::Unknown(version));
        }
        let mut list = Reader::new(bytes.get(start.checked_add(12)?..)?);
        let names = start.checked_add(usize::try_from(list.u32_le()?).ok()?)?;
        list.take(12)?;
        let folders = list.u32_le()?;
        list.take(8)?;
        let count = list.u32_le()?;
        let files = names.checked_add(usize::try_from(list.u32_le()?).ok()?)?;
        let mut at = Reader::new(bytes.get(names..)?);
        let mut offsets = Vec::new();
        for _ in 0..folders {
            offsets.push(at.u32_le()?);
        }
        Some(Found::Cabinet(Self {
            files,
            names,
            folders: offsets,
            count,
            bytes,
        }))
    }

    /// Gives the files; `volume` finds a volume by its number.
    ///
    /// # Errors
    /// As those of `children`.
    pub(super) fn expand(
        &self,
        volume: &dyn Fn(u16) -> Option<Object>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        for number in 0..self.count {
            let Some(file) = self.file(number) else {
                let detail = format!("{} of {} files are listed", number, self.count);
                return children.gap(None, Reason::Corrupt, detail);
            };
            file.give(volume, children)?;
        }
        Ok(())
    }

    fn file(&self, number: u32) -> Option<File> {
        let at = usize::try_from(number).ok()?.checked_mul(RECORD)?;
        let mut record = Reader::new(self.bytes.get(self.files.checked_add(at)?..)?).sub(RECORD)?;
        let flags = record.u16_le()?;
        let (size, packed, at) = (record.u64_le()?, record.u64_le()?, record.u64_le()?);
        let md5 = record.array()?;
        record.take(16)?;
        let (name, folder) = (self.text(record.u32_le()?), record.u16_le()?);
        record.take(21)?;
        let volume = record.u16_le()?;
        let folder = self.folders.get(usize::from(folder));
        let mut path = folder.map_or_else(Vec::new, |folder| self.text(*folder));
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name);
        path.iter_mut()
            .filter(|byte| **byte == b'\\')
            .for_each(|byte| *byte = b'/');
        Some(File {
            name: path,
            flags,
            size,
            packed,
            at,
            md5,
            volume,
        })
    }

    fn text(&self, offset: u32) -> Vec<u8> {
        let at = usize::try_from(offset).ok();
        let at = at.and_then(|offset| offset.checked_add(self.names));
        let rest = at.and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        // Many files may share one text, and it may go to the end of the list.
        let text = rest.iter().take(NAME_LIMIT).take_while(|byte| **byte != 0);
        text.copied().collect()
    }
}

impl File {
    fn give(
        &self,
        volume: &dyn Fn(u16) -> Option<Object>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        // What lies outside of the volumes has no place in them.
        if self.flags & INVALID != 0 || self.at < VOLUME || self.size == 0 {
            return Ok(());
        }
        if self.flags & SPLIT != 0 {
            let reason = Reason::Unsupported("installshield-split".to_owned());
            let detail = "it continues in another volume".to_owned();
            return children.gap(Some(&self.name), reason, detail);
        }
        let Some(volume) = volume(self.volume) else {
            let reason = Reason::Unsupported("installshield-volume".to_owned());
            let detail = format!("it is in volume {}, which is another file", self.volume);
            return children.gap(Some(&self.name), reason, detail);
        };
        let raw = volume.slice(self.at, self.packed);
        let masked = Unmasked {
            input: raw.raw_reader(),
            at: (self.flags & MASKED != 0).then_some(0),
        };
        let mut input = BufReader::new(masked);
        let content: &mut dyn Read = match self.flags & COMPRESSED {
            0 => &mut input,
            _ => &mut Blocks::new(input),
        };
        let mut checked = Checked {
            inner: content,
            md5: Md5::new(),
            left: self.size,
            said: self.md5,
        };
        children.child(&self.name, Content::Stream(&mut checked))
    }
}

/// The major version, of which there are two spellings.
fn major(version: u32) -> u32 {
    match version >> 24 {
        1 => (version >> 12) & 0xf,
        _ => (version & 0xffff) / 100,
    }
}

/// Takes off what makes the bytes of some cabinets unlike what they are.
struct Unmasked {
    input: ObjectReader,
    /// Bytes before this one, if there is something to take off.
    at: Option<u64>,
}

impl Read for Unmasked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        if let Some(at) = &mut self.at {
            for byte in out.iter_mut().take(count) {
                let turned = (*byte ^ 0xd5).rotate_right(2);
                let less = u8::try_from(*at % 0x47).unwrap_or(0);
                *byte = turned.wrapping_sub(less);
                *at = at.wrapping_add(1);
            }
        }
        Ok(count)
    }
}

/// Raw deflate in blocks, each with its length in two bytes.
struct Blocks<R: Read> {
    inflate: Inflate<BufReader<io::Take<R>>>,
    begun: bool,
}

impl<R: Read> Blocks<R> {
    fn new(input: R) -> Self {
        Self {
            inflate: Inflate::new(BufReader::new(input.take(0))),
            begun: false,
        }
    }

    /// Goes to the next block; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        let input = self.inflate.input();
        // What the stream left of its block.
        io::copy(input, &mut io::sink())?;
        let input = input.get_mut();
        input.set_limit(2);
        let mut length = Vec::new();
        input.read_to_end(&mut length)?;
        let length: [u8; 2] = match length.as_slice() {
            [] => return Ok(false),
            other => other
                .try_into()
                .map_err(|_| cut_short("cut in the length of a block"))?,
        };
        input.set_limit(u16::from_le_bytes(length).into());
        self.inflate.restart();
        self.begun = true;
        Ok(true)
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let count = match self.begun {
                true => self.inflate.read(out)?,
                false => 0,
            };
            if count > 0 || !self.next()? {
                return Ok(count);
            }
        }
    }
}

/// Holds length and digest against what is said, at the end.
struct Checked<'a> {
    inner: &'a mut dyn Read,
    md5: Md5,
    left: u64,
    said: [u8; 16],
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.md5.update(out.get(..count).unwrap_or_default());
        self.left = self.left.wrapping_sub(count as u64);
        if count == 0 && !out.is_empty() {
            if self.left != 0 {
                return Err(damaged("another length than the list says"));
            }
            if self.md5.clone().finalize().as_slice() != self.said {
                return Err(damaged("checksum differs"));
            }
        }
        Ok(count)
    }
}
