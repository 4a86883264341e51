//! The index: which segments may be where, by one look at each place of the content.
//!
//! For each width of an atom one table:
//!
//! ```text
//! bits: u32, buckets: u32, steps: u32     logarithms of the numbers of bits, of buckets, and of bits of the steps, or 0
//! filter: words of u64                    two bits of one word for each hash that is there
//! steps: words of u64                     the same for each window of 5 bytes in an atom of 8, if those are not too many
//! the first entry of each bucket, and of what is behind the last: u32
//! entries: check:u32 segment:u32 skip:u16 spread:u16
//! ```
//!
//! An atom of 8 bytes has windows of 5 bytes at four places in a row, one of which is a multiple of four: the content is
//! looked at there alone, and at each place only around windows that the steps have. Of these nearly all end at the filter.
//! What passes it by chance ends at the check, which is most of the hash; the rest is confirmed. A width that no segment has is an empty section, which costs nothing.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::atoms::{Atom, WIDTH};
use super::flat::damage;
use crate::image::{self, Damage, Image, Tag};

/// The widths of the tables.
const WIDTHS: [usize; 5] = [8, 4, 3, 2, 1];

/// Places whose hits are looked for at once.
const BLOCK: usize = 64;

/// Bits of a filter for each of its keys: about one place in seventy passes by chance.
const BITS: usize = 16;

/// The places from one look at a window to the next.
const STEP: usize = 4;

/// The looks at a block of places: each place is within a step of one of them.
const LOOKS: usize = BLOCK / STEP + 1;

/// Places that are looked at one by one; of more all are, at less cost each.
const FEW: u32 = 24;

/// The most atoms that have steps. Of more, windows are so frequent in programs that a look at each place costs less: 100,000 took
/// a tenth longer with them, 10,000 a quarter less.
const STEPPED: usize = 1 << 16;

/// The fewest bits of the steps, as a logarithm: 32 KiB stay near, and a window seldom passes by chance.
const STEP_BITS: u32 = 18;

/// The bytes that the looks at a block load.
const SEEN: usize = BLOCK + size_of::<u64>();

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
    steps: U32,
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

/// The hash of the window at the lowest 5 bytes, the rest of which is left out.
#[inline]
fn window(bytes: u64) -> u64 {
    hash(bytes << 24)
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

/// 1 if a filter of `last` + 1 words has the hash, else 0.
#[inline]
fn passes(filter: &[U64], last: usize, hash: u64) -> u64 {
    let (word, one, other) = place(hash, last);
    let word = filter.get(word).map_or(0, |word| word.get());
    word >> one & word >> other & 1
}

/// Collects atoms and writes the tables.
#[derive(Debug, Default)]
pub(super) struct Builder {
    atoms: [Vec<Keyed>; 5],
}

#[derive(Debug, Clone, Copy)]
struct Keyed {
    key: u64,
    segment: u32,
    skip: u16,
    spread: u16,
}

impl Keyed {
    fn hash(&self) -> u64 {
        hash(self.key)
    }
}

impl Builder {
    pub(super) fn add(&mut self, segment: u32, atom: &Atom) {
        let position = WIDTHS.iter().position(|width| *width == atom.width);
        if let Some(table) = position.and_then(|position| self.atoms.get_mut(position)) {
            table.push(Keyed {
                key: u64::from_le_bytes(atom.bytes),
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
        for ((tag, width), atoms) in tags.into_iter().zip(WIDTHS).zip(self.atoms) {
            writer.begin(tag)?;
            if !atoms.is_empty() {
                write(atoms, width, writer)?;
            }
        }
        Ok(())
    }
}

/// The logarithm of the number of bits of a filter of so many keys.
fn bits(keys: usize) -> u32 {
    let bits = keys.saturating_mul(BITS).next_power_of_two();
    bits.ilog2().clamp(9, 28)
}

/// The words of a filter.
fn filter(bits: u32, hashes: impl Iterator<Item = u64>) -> Vec<U64> {
    let last = (1_usize << (bits - 6)) - 1;
    let mut filter = vec![U64::ZERO; last + 1];
    for hash in hashes {
        let (word, one, other) = place(hash, last);
        if let Some(word) = filter.get_mut(word) {
            *word |= U64::new(1 << one | 1 << other);
        }
    }
    filter
}

fn write<W: Write + Seek>(
    mut atoms: Vec<Keyed>,
    width: usize,
    out: &mut image::Writer<W>,
) -> io::Result<()> {
    atoms.sort_unstable_by_key(|atom| (atom.hash(), atom.segment));
    let buckets = atoms.len().next_power_of_two().ilog2().clamp(1, 28);
    let steps = match width == WIDTH && atoms.len() <= STEPPED {
        true => bits(atoms.len().saturating_mul(STEP)).max(STEP_BITS),
        false => 0,
    };
    let header = Header {
        bits: bits(atoms.len()).into(),
        buckets: buckets.into(),
        steps: steps.into(),
    };
    out.write_all(header.as_bytes())?;
    let hashes = atoms.iter().map(Keyed::hash);
    out.write_all(filter(header.bits.get(), hashes).as_bytes())?;
    if steps > 0 {
        let windows = |atom: &Keyed| {
            let key = atom.key;
            (0..STEP).map(move |place| window(key >> (8 * place)))
        };
        out.write_all(filter(steps, atoms.iter().flat_map(windows)).as_bytes())?;
    }
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let mut at = 0;
    for bucket in 0..=1_usize << buckets {
        let rest = atoms.get(at..).unwrap_or(&[]).iter();
        at += rest
            .take_while(|atom| upper(atom.hash(), buckets) < bucket)
            .count();
        let first = u32::try_from(at).map_err(|_| io::Error::other("too many atoms"))?;
        out.write_all(&first.to_le_bytes())?;
    }
    for atom in &atoms {
        let entry = Entry {
            check: check(atom.hash()).into(),
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
    /// Empty if the atoms are too short or too many for it.
    steps: Bytes,
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
        let (bits, buckets, steps) = (header.bits.get(), header.buckets.get(), header.steps.get());
        let has_steps = width == WIDTH && steps > 0;
        if !(9..=28).contains(&bits)
            || !(1..=28).contains(&buckets)
            || has_steps && !(9..=28).contains(&steps)
        {
            return None;
        }
        let filter = size_of::<Header>();
        let windows = filter + (1 << (bits - 3));
        let firsts = windows + if has_steps { 1 << (steps - 3) } else { 0 };
        let entries = firsts + ((1 << buckets) + 1) * 4;
        let table = (entries <= section.len()).then(|| Self {
            width,
            buckets,
            filter: section.slice(filter..windows),
            steps: section.slice(windows..firsts),
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
            WIDTH if !self.steps.is_empty() => match self.steps(content, start) {
                0 => return 0,
                near if near.count_ones() <= FEW => self.bits_at(block, near),
                _ => self.bits_of::<WIDTH>(block),
            },
            WIDTH => self.bits_of::<WIDTH>(block),
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

    /// A bit for each place from `start` on that lies within a step before a window of the steps, or at one.
    fn steps(&self, content: &[u8], start: usize) -> u64 {
        let Some(seen) = content.get(start..).and_then(<[u8]>::first_chunk::<SEEN>) else {
            return u64::MAX;
        };
        let steps = <[U64]>::ref_from_bytes(&self.steps).unwrap_or(&[]);
        let last = steps.len().saturating_sub(1);
        let mut near = 0;
        for look in (0..LOOKS).rev() {
            let bytes = seen.get(look * STEP..).and_then(<[u8]>::first_chunk);
            let bytes = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
            near = near << STEP | u128::from(passes(steps, last, window(bytes)));
        }
        let places = (1..STEP).fold(near, |places, before| places | near >> before);
        (places & u128::from(u64::MAX)) as u64
    }

    /// The same as [`bits_of`](Self::bits_of) for an atom of eight bytes at each of these places.
    fn bits_at(&self, block: &[u8], places: u64) -> u64 {
        let filter = <[U64]>::ref_from_bytes(&self.filter).unwrap_or(&[]);
        let last = filter.len().saturating_sub(1);
        let (mut mask, mut left) = (0, places);
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let bytes = block.get(at as usize..).and_then(<[u8]>::first_chunk);
            if let Some(bytes) = bytes {
                mask |= passes(filter, last, hash(u64::from_le_bytes(*bytes))) << at;
            }
        }
        mask
    }

    fn bits_of<const N: usize>(&self, block: &[u8]) -> u64 {
        let filter = <[U64]>::ref_from_bytes(&self.filter).unwrap_or(&[]);
        let last = filter.len().saturating_sub(1);
        let windows = block.array_windows::<N>().rev();
        windows.fold(0, |mask, window| {
            mask << 1 | passes(filter, last, hash(key(window)))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::io::Cursor;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn index(atoms: &[(usize, Vec<u8>)]) -> Index {
        let mut builder = Builder::default();
        for (segment, (width, letters)) in atoms.iter().enumerate() {
            let mut bytes = [0; WIDTH];
            bytes[..*width].copy_from_slice(&letters[..*width]);
            let atom = Atom {
                bytes,
                width: *width,
                skip: 0,
                spread: 0,
            };
            builder.add(u32::try_from(segment).unwrap(), &atom);
        }
        let mut writer = image::Writer::new(Cursor::new(Vec::new())).unwrap();
        builder.write(RAW, &mut writer).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        Index::open(&Image::open(bytes.into()).unwrap(), RAW).unwrap()
    }

    proptest! {
        /// Of many letters hardly any window is there by chance, of two nearly all are.
        #[test]
        fn each_atom_is_found_where_it_is(
            atoms in vec((prop::sample::select(&[8, 8, 8, 4, 1][..]), vec(0_u8..3, 8)), 1..20),
            content in vec(prop_oneof![3 => 0_u8..3, 1 => any::<u8>()], 0..700),
            strange in prop_oneof![Just(1_usize), 1..40_usize],
            known in 0..100_usize,
        ) {
            let mut content = content;
            content.iter_mut().enumerate().for_each(|(at, byte)| {
                *byte = if at / 40 % strange == 0 { *byte } else { 0x55 };
            });
            let known = known.min(content.len());
            let mut found = Vec::new();
            let hit = |at: usize, entry: &Entry| {
                found.push((at, entry.segment.get() as usize));
                Ok::<_, Infallible>(())
            };
            let Ok(()) = index(&atoms).scan(&content, known, hit);
            let is_there = |at: usize, (width, letters): &(usize, Vec<u8>)| {
                content[at..].starts_with(&letters[..*width]) && at + width > known
            };
            let expected: BTreeSet<_> = (0..content.len())
                .flat_map(|at| (0..atoms.len()).map(move |atom| (at, atom)))
                .filter(|(at, atom)| is_there(*at, &atoms[*atom]))
                .collect();
            prop_assert!(found.is_sorted_by_key(|(at, _)| *at));
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
