//! The index: which segments may be where, by one look at each place of the content.
//!
//! For each width of an atom one table:
//!
//! ```text
//! bits: u32, buckets: u32                 logarithms of the numbers of bits and of buckets
//! filter: words of u64                    two bits of one word for each hash that is there
//! the first entry of each bucket, and of what is behind the last: u32
//! entries: check:u32 segment:u32 skip:u16 spread:u16
//! ```
//!
//! Nearly all places end at the filter. What passes it by chance ends at the check, which is most of the hash; the
//! rest is confirmed. A width that no segment has is an empty section, which costs nothing.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::atoms::Atom;
use super::flat::damage;
use crate::image::{self, Damage, Image, Tag};

/// The widths of the tables.
const WIDTHS: [usize; 5] = [8, 4, 3, 2, 1];

/// Places whose hits are looked for at once.
const BLOCK: usize = 64;

/// Bits of the filter for each entry: about one place in seventy passes by chance.
const BITS: usize = 16;

/// The tables over the whole content, and those over what is left of it for squeezed text.
pub(super) const RAW: [Tag; 5] = [
    *b"raw8    ",
    *b"raw4    ",
    *b"raw3    ",
    *b"raw2    ",
    *b"raw1    ",
];
pub(super) const SQUEEZED: [Tag; 5] = [
    *b"sqz8    ",
    *b"sqz4    ",
    *b"sqz3    ",
    *b"sqz2    ",
    *b"sqz1    ",
];

/// What an atom stands for.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Entry {
    check: U32,
    /// The segment.
    pub(super) segment: U32,
    /// It begins at least so many bytes before the atom,
    pub(super) skip: U16,
    /// and at most so many more.
    pub(super) spread: U16,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    bits: U32,
    buckets: U32,
}

/// One bijection for all widths: its upper bits depend on all bytes of the key.
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The bits of a hash that neither filter nor buckets look at first, with the others mixed in.
fn check(hash: u64) -> u32 {
    let bytes = (hash ^ hash >> 29).to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The upper `count` bits; `count` is at least 1 and at most 32.
fn upper(hash: u64, count: u32) -> usize {
    (hash >> (64 - count)) as usize
}

/// The word of a filter of `last` + 1 words, and the two bits in it. All shifts but those by the bits are constant: this is
/// done for each byte of the content.
#[inline]
fn place(hash: u64, last: usize) -> (usize, u64, u64) {
    (
        (hash >> 42) as usize & last,
        hash >> 36 & 63,
        hash >> 30 & 63,
    )
}

/// Collects atoms and writes the tables.
#[derive(Debug, Default)]
pub(super) struct Builder {
    atoms: [Vec<Keyed>; 5],
}

#[derive(Debug, Clone, Copy)]
struct Keyed {
    hash: u64,
    segment: u32,
    skip: u16,
    spread: u16,
}

impl Builder {
    pub(super) fn add(&mut self, segment: u32, atom: &Atom) {
        let position = WIDTHS.iter().position(|width| *width == atom.width);
        if let Some(table) = position.and_then(|position| self.atoms.get_mut(position)) {
            table.push(Keyed {
                hash: hash(u64::from_le_bytes(atom.bytes)),
                segment,
                skip: atom.skip,
                spread: atom.spread,
            });
        }
    }

    pub(super) fn write<W: Write + Seek>(
        self,
        tags: [Tag; 5],
        writer: &mut image::Writer<W>,
    ) -> io::Result<()> {
        for (tag, atoms) in tags.into_iter().zip(self.atoms) {
            writer.begin(tag)?;
            if !atoms.is_empty() {
                write(atoms, writer)?;
            }
        }
        Ok(())
    }
}

fn write<W: Write + Seek>(mut atoms: Vec<Keyed>, out: &mut image::Writer<W>) -> io::Result<()> {
    atoms.sort_unstable_by_key(|atom| (atom.hash, atom.segment));
    let bits = atoms.len().saturating_mul(BITS).next_power_of_two();
    let bits = bits.ilog2().clamp(9, 28);
    let buckets = atoms.len().next_power_of_two().ilog2().clamp(1, 28);
    let header = Header {
        bits: bits.into(),
        buckets: buckets.into(),
    };
    out.write_all(header.as_bytes())?;
    let last = (1_usize << (bits - 6)) - 1;
    let mut filter = vec![U64::ZERO; last + 1];
    for atom in &atoms {
        let (word, one, other) = place(atom.hash, last);
        if let Some(word) = filter.get_mut(word) {
            *word |= U64::new(1 << one | 1 << other);
        }
    }
    out.write_all(filter.as_bytes())?;
    drop(filter);
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let mut at = 0;
    for bucket in 0..=1_usize << buckets {
        let rest = atoms.get(at..).unwrap_or(&[]).iter();
        at += rest
            .take_while(|atom| upper(atom.hash, buckets) < bucket)
            .count();
        let first = u32::try_from(at).map_err(|_| io::Error::other("too many atoms"))?;
        out.write_all(&first.to_le_bytes())?;
    }
    for atom in &atoms {
        let entry = Entry {
            check: check(atom.hash).into(),
            segment: atom.segment.into(),
            skip: atom.skip.into(),
            spread: atom.spread.into(),
        };
        out.write_all(entry.as_bytes())?;
    }
    out.flush()
}

/// The tables of one kind of content.
#[derive(Debug, Clone)]
pub(super) struct Index {
    tables: Vec<Table>,
}

#[derive(Debug, Clone)]
struct Table {
    width: usize,
    buckets: u32,
    filter: Bytes,
    firsts: Bytes,
    entries: Bytes,
}

impl Index {
    pub(super) fn open(image: &Image, tags: [Tag; 5]) -> Result<Self, Damage> {
        let mut tables = Vec::new();
        for (tag, width) in tags.into_iter().zip(WIDTHS) {
            let section = image.section(tag)?;
            if !section.is_empty() {
                tables.push(Table::open(&section, width).ok_or_else(|| damage(tag))?);
            }
        }
        Ok(Self { tables })
    }

    /// There is nothing to be found.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Calls `hit` with each atom that may be in `content` and where, in the order of the places, until that says to stop.
    /// The first `known` bytes were searched before: only what ends behind them is found. The content is in lower case.
    pub(super) fn scan<E>(
        &self,
        content: &[u8],
        known: usize,
        mut hit: impl FnMut(usize, &Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let widest = self.tables.first().map_or(1, |table| table.width);
        let mut start = known.saturating_sub(widest - 1);
        while start < content.len() {
            let mut masks = [0_u64; WIDTHS.len()];
            for (mask, table) in masks.iter_mut().zip(&self.tables) {
                *mask = table.mask(content, start, known);
            }
            let mut any = masks.iter().fold(0, |any, mask| any | mask);
            while any != 0 {
                let place = any.trailing_zeros();
                any &= any - 1;
                for (mask, table) in masks.iter().zip(&self.tables) {
                    if mask >> place & 1 == 1 {
                        table.look(content, start + place as usize, &mut hit)?;
                    }
                }
            }
            start += BLOCK;
        }
        Ok(())
    }
}

impl Table {
    fn open(section: &Bytes, width: usize) -> Option<Self> {
        let (header, _) = Header::read_from_prefix(section).ok()?;
        let (bits, buckets) = (header.bits.get(), header.buckets.get());
        if !(9..=28).contains(&bits) || !(1..=28).contains(&buckets) {
            return None;
        }
        let filter = size_of::<Header>();
        let firsts = filter + (1 << (bits - 3));
        let entries = firsts + ((1 << buckets) + 1) * 4;
        let table = (entries <= section.len()).then(|| Self {
            width,
            buckets,
            filter: section.slice(filter..firsts),
            firsts: section.slice(firsts..entries),
            entries: section.slice(entries..),
        })?;
        <[Entry]>::ref_from_bytes(&table.entries).ok()?;
        Some(table)
    }

    /// A bit for each of the places from `start` on where an atom may be that ends behind `known`.
    fn mask(&self, content: &[u8], start: usize, known: usize) -> u64 {
        let end = content.len().min(start + BLOCK + self.width - 1);
        let block = content.get(start..end).unwrap_or(&[]);
        let mask = match self.width {
            8 => self.bits_of::<8>(block),
            4 => self.bits_of::<4>(block),
            3 => self.bits_of::<3>(block),
            2 => self.bits_of::<2>(block),
            _ => self.bits_of::<1>(block),
        };
        // The first place whose atom ends behind what is known.
        let first = (known + 1).saturating_sub(self.width + start);
        match first {
            0 => mask,
            1..BLOCK => mask >> first << first,
            _ => 0,
        }
    }

    fn bits_of<const N: usize>(&self, block: &[u8]) -> u64 {
        let filter = <[U64]>::ref_from_bytes(&self.filter).unwrap_or(&[]);
        let last = filter.len().saturating_sub(1);
        let windows = block.array_windows::<N>().rev();
        windows.fold(0, |mask, window| {
            let (word, one, other) = place(hash(key(window)), last);
            let word = filter.get(word).map_or(0, |word| word.get());
            mask << 1 | word >> one & word >> other & 1
        })
    }

    fn look<E>(
        &self,
        content: &[u8],
        at: usize,
        hit: &mut impl FnMut(usize, &Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let window = content.get(at..at + self.width).unwrap_or(&[]);
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(window) {
            *to = *from;
        }
        let hash = hash(u64::from_le_bytes(bytes));
        let bucket = upper(hash, self.buckets);
        let firsts = <[U32]>::ref_from_bytes(&self.firsts).unwrap_or(&[]);
        let Some([first, end]) = firsts.get(bucket..bucket + 2) else {
            return Ok(());
        };
        let entries = <[Entry]>::ref_from_bytes(&self.entries).unwrap_or(&[]);
        let entries = entries.get(first.get() as usize..end.get() as usize);
        let check = check(hash);
        for entry in entries.unwrap_or(&[]) {
            if entry.check.get() == check {
                hit(at, entry)?;
            }
        }
        Ok(())
    }
}

/// The bytes as a number. The compiler makes one load of the whole words only if they are named.
#[inline]
fn key<const N: usize>(window: &[u8; N]) -> u64 {
    match (window.first_chunk::<8>(), window.first_chunk::<4>()) {
        (Some(eight), _) => u64::from_le_bytes(*eight),
        (None, Some(four)) => u32::from_le_bytes(*four).into(),
        (None, None) => {
            let bytes = window.iter().rev();
            bytes.fold(0, |key, byte| key << 8 | u64::from(*byte))
        }
    }
}
