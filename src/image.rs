//! The file of a compiled database: flat sections behind one header, each with its checksum, used in place.
//!
//! ```text
//! header (64 bytes): "VFINDIMG", version, sections, offset of the table, length of the file, CRC-32C of these and the table
//! sections, each from a multiple of 64 bytes on, in the order in which they were written
//! table: for each section its tag, CRC-32C, offset and length
//! ```
//!
//! All numbers are little-endian. Nothing here knows what a section means. A file that is cut short, of another version or
//! damaged in any byte is refused whole: there is no partial database.
#![forbid(unsafe_code)]

use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::thread;

use bytes::Bytes;
use thiserror::Error;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The version of what is in the sections. Whoever changes a section's form counts it up.
pub const VERSION: u32 = 7;

/// The first bytes of an image.
pub const MAGIC: [u8; 8] = *b"VFINDIMG";

/// Sections begin at multiples of this many bytes.
const ALIGNMENT: u64 = 64;

/// The most sections that a file may have.
const SECTIONS: usize = 256;

/// The name of a section.
pub type Tag = [u8; 8];

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    sections: U32,
    table: U64,
    length: U64,
    /// Of the header up to here, and of the table.
    checksum: U32,
    rest: [u8; 28],
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    tag: Tag,
    start: U64,
    length: U64,
    checksum: U32,
    rest: U32,
}

const HEADER: u64 = size_of::<Header>() as u64;

/// Bytes of the header that its checksum covers.
const COVERED: usize = 32;

/// Why a file is no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Damage {
    /// It does not begin like one, or is shorter than it says.
    #[error("not a compiled database, or cut short")]
    NotWhole,
    /// It was written by another version of this program.
    #[error("a compiled database of version {0}, not {VERSION}")]
    Version(u32),
    /// A checksum is not that of the bytes.
    #[error("damaged: the checksum of {0} is wrong")]
    Checksum(String),
    /// A section that has to be there is not, or its content makes no sense.
    #[error("damaged: section {0}")]
    Section(String),
}

/// Writes an image, section after section.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    at: u64,
    entries: Vec<Entry>,
    open: Option<(Tag, u64, u32)>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins an image at the start of `out`.
    ///
    /// # Errors
    /// Of writing.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.seek(SeekFrom::Start(0))?;
        // A file that is never finished has no magic.
        out.write_all(&[0; HEADER as usize])?;
        Ok(Self {
            out,
            at: HEADER,
            entries: Vec::new(),
            open: None,
        })
    }

    /// Begins a section; what is written from now on is its content.
    ///
    /// # Errors
    /// Of writing, and too many sections.
    pub fn begin(&mut self, tag: Tag) -> io::Result<()> {
        self.end();
        if self.entries.len() == SECTIONS {
            return Err(io::Error::other("too many sections"));
        }
        let padding = self.at.next_multiple_of(ALIGNMENT) - self.at;
        let zeros = [0; ALIGNMENT as usize];
        self.out
            .write_all(zeros.get(..padding as usize).unwrap_or(&[]))?;
        self.at += padding;
        self.open = Some((tag, self.at, 0));
        Ok(())
    }

    /// Writes a whole section.
    ///
    /// # Errors
    /// As [`Writer::begin`].
    pub fn section(&mut self, tag: Tag, content: &[u8]) -> io::Result<()> {
        self.begin(tag)?;
        self.write_all(content)
    }

    /// Writes the table and the header, and gives the output back.
    ///
    /// # Errors
    /// Of writing.
    pub fn finish(mut self) -> io::Result<W> {
        self.end();
        let table = self.entries.as_bytes();
        self.out.write_all(table)?;
        let mut header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            sections: U32::new(u32::try_from(self.entries.len()).unwrap_or(u32::MAX)),
            table: self.at.into(),
            length: (self.at + table.len() as u64).into(),
            checksum: U32::ZERO,
            rest: [0; 28],
        };
        header.checksum = checksum_of(&header, table).into();
        self.out.flush()?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(header.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn end(&mut self) {
        if let Some((tag, start, checksum)) = self.open.take() {
            self.entries.push(Entry {
                tag,
                start: start.into(),
                length: (self.at - start).into(),
                checksum: checksum.into(),
                rest: U32::ZERO,
            });
        }
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let count = self.out.write(content)?;
        if let Some((_, _, checksum)) = &mut self.open {
            let written = content.get(..count).unwrap_or(content);
            *checksum = crc32c::crc32c_append(*checksum, written);
        }
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn checksum_of(header: &Header, table: &[u8]) -> u32 {
    let covered = header.as_bytes().get(..COVERED).unwrap_or(&[]);
    crc32c::crc32c_append(crc32c::crc32c(covered), table)
}

/// A whole and undamaged image. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct Image {
    bytes: Bytes,
    sections: Vec<(Tag, Range<usize>)>,
}

impl Image {
    /// Checks every checksum, on all cores.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn open(bytes: Bytes) -> Result<Self, Damage> {
        let image = Self::open_checked(bytes)?;
        verify(&image.bytes, image.table()?)?;
        match image.has_zeros_between() {
            true => Ok(image),
            false => Err(Damage::Checksum("what lies between sections".to_owned())),
        }
    }

    /// As [`Image::open`] for an image that was checked before and cannot have changed since: only the header and the table
    /// are looked at.
    ///
    /// # Errors
    /// What is wrong with them first.
    pub fn open_checked(bytes: Bytes) -> Result<Self, Damage> {
        let (header, _) = Header::read_from_prefix(&bytes).map_err(|_| Damage::NotWhole)?;
        if header.magic != MAGIC {
            return Err(Damage::NotWhole);
        }
        if header.version.get() != VERSION {
            return Err(Damage::Version(header.version.get()));
        }
        if header.length.get() != bytes.len() as u64 {
            return Err(Damage::NotWhole);
        }
        let table = usize::try_from(header.table.get()).map_err(|_| Damage::NotWhole)?;
        let table = bytes.get(table..).ok_or(Damage::NotWhole)?;
        if checksum_of(&header, table) != header.checksum.get() {
            return Err(Damage::Checksum("the header".to_owned()));
        }
        let entries = <[Entry]>::ref_from_bytes(table).map_err(|_| Damage::NotWhole)?;
        if entries.len() != header.sections.get() as usize || entries.len() > SECTIONS {
            return Err(Damage::NotWhole);
        }
        let sections = entries.iter().map(|entry| {
            let range = entry.range().filter(|range| range.end <= bytes.len());
            Ok((entry.tag, range.ok_or(Damage::NotWhole)?))
        });
        let sections = sections.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { bytes, sections })
    }

    /// The content of a section.
    ///
    /// # Errors
    /// There is none of this tag.
    pub fn section(&self, tag: Tag) -> Result<Bytes, Damage> {
        let found = self.sections.iter().find(|(own, _)| *own == tag);
        let (_, range) = found.ok_or_else(|| Damage::Section(name(tag)))?;
        Ok(self.bytes.slice(range.clone()))
    }

    /// What no checksum covers is zero.
    fn has_zeros_between(&self) -> bool {
        let Ok((header, _)) = Header::ref_from_prefix(&self.bytes) else {
            return false;
        };
        let table = usize::try_from(header.table.get()).unwrap_or(usize::MAX);
        let mut at = HEADER as usize;
        let sections = self.sections.iter().map(|(_, range)| range.clone());
        let mut gaps = sections.chain(std::iter::once(table..table)).map(|range| {
            let gap = self.bytes.get(at..range.start);
            at = range.end;
            gap
        });
        let is_zero = |gap: Option<&[u8]>| gap.is_some_and(|gap| gap.iter().all(|b| *b == 0));
        header.rest == [0; 28] && gaps.all(is_zero)
    }

    fn table(&self) -> Result<&[Entry], Damage> {
        let (header, _) = Header::ref_from_prefix(&self.bytes).map_err(|_| Damage::NotWhole)?;
        let table = usize::try_from(header.table.get()).map_err(|_| Damage::NotWhole)?;
        let table = self.bytes.get(table..).ok_or(Damage::NotWhole)?;
        <[Entry]>::ref_from_bytes(table).map_err(|_| Damage::NotWhole)
    }

    /// The length of the file in bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }
}

impl Entry {
    fn range(&self) -> Option<Range<usize>> {
        let start = usize::try_from(self.start.get()).ok()?;
        let length = usize::try_from(self.length.get()).ok()?;
        Some(start..start.checked_add(length)?)
    }
}

/// The largest sections take longest: each core takes the next one that nobody has.
fn verify(bytes: &Bytes, entries: &[Entry]) -> Result<(), Damage> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(entry) = entries.get(number) else {
                return Ok(());
            };
            let content = entry.range().and_then(|range| bytes.get(range));
            let content = content.ok_or(Damage::NotWhole)?;
            if crc32c::crc32c(content) != entry.checksum.get() {
                return Err(Damage::Checksum(name(entry.tag)));
            }
        }
    };
    let cores = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or(Err(Damage::NotWhole)));
        others.fold(own, Result::and)
    })
}

fn name(tag: Tag) -> String {
    let text = String::from_utf8_lossy(&tag);
    text.trim_end_matches(['\0', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn image() -> Vec<u8> {
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        writer.section(*b"one     ", b"abc").unwrap();
        writer.begin(*b"two     ").unwrap();
        writer.write_all(&[7; 1000]).unwrap();
        writer.write_all(&[8; 1000]).unwrap();
        writer.section(*b"empty   ", b"").unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_was_written_is_read() {
        let image = Image::open(image().into()).unwrap();
        assert_eq!(image.section(*b"one     ").unwrap(), b"abc"[..]);
        let two = [[7; 1000], [8; 1000]].concat();
        assert_eq!(image.section(*b"two     ").unwrap(), two);
        assert!(image.section(*b"empty   ").unwrap().is_empty());
        let missing = image.section(*b"three   ").unwrap_err();
        assert_eq!(missing, Damage::Section("three".to_owned()));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused() {
        let whole = image();
        for length in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..length]);
            assert!(Image::open(cut).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(Image::open(changed.into()).is_err(), "{at}");
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut other = image();
        other[8] = 99;
        assert_eq!(Image::open(other.into()).unwrap_err(), Damage::Version(99));
        assert_eq!(
            Image::open(Bytes::new()).unwrap_err(),
            Damage::NotWhole,
            "an empty file"
        );
    }
}
