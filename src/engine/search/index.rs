//! The index: which segments may be where, by a look at some places of the content.
//!
//! Atoms of fifteen bytes have a table of their own (`far`), by which the content is looked at at every eighth place alone. For each
//! width of the others one table:
//!
//! ```text
//! bits: u32, buckets: u32, steps: u32     logarithms of the numbers of bits, of buckets, and of bits of the steps, or 0; 64 bytes
//! filter: words of u64                    each hash that is there
//! steps: words of u64                     the same for each window of 5 bytes in an atom of 8, if those are not too many
//! the first entry of each bucket, and of what is behind the last: u32
//! entries: check:u32 segment:u32 skip:u16 spread:u16
//! ```
//!
//! An atom of 8 bytes has windows of 5 bytes at four places in a row, one of which is a multiple of four: the content is
//! looked at there alone, and at each place only around windows that the steps have. Of these nearly all end at the filter.
//! What passes it by chance ends at the check, which is most of the hash; the rest is confirmed. A width that no segment has is an empty section, which costs nothing.
//!
//! Content and atoms of eight and more bytes are compared without the bit by which letters differ in case; it is the same bit of other
//! bytes, which is right often enough.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::atoms::{Atom, WIDTH};
use super::far::{self, Far};
use super::filter::{self, Filter, check, hash, upper};
use super::flat::damage;
use super::frequency::CASE;
use crate::image::{self, Damage, Image, Tag};

/// The widths of the tables.
const WIDTHS: [usize; 5] = [8, 4, 3, 2, 1];

/// Places whose hits are looked for at once.
pub(super) const BLOCK: usize = 64;

/// The places from one look at a window to the next.
const STEP: usize = 4;

/// What a place is looked at for depends on where it is in so many.
pub(super) const PERIOD: usize = far::WINDOWS;

/// Places that are looked at one by one; of more all are, at less cost each.
const FEW: u32 = 24;

/// The most atoms that have steps. Of more, windows are so frequent in programs that a look at each place costs less: 100,000 took
/// a tenth longer with them, 10,000 a quarter less.
const STEPPED: usize = 1 << 16;

/// The fewest bits of the steps, as a logarithm: 32 KiB stay near, and a window seldom passes by chance.
const STEP_BITS: u32 = 18;

/// Blocks that are looked at before anything is confirmed.
pub(super) const BLOCKS: usize = 64;

/// The tables over the whole content, and those over what is left of it for squeezed text: of the longest atoms, and of each width.
pub(super) const RAW: Tags = (
    *b"raw15   ",
    [
        *b"raw8    ",
        *b"raw4    ",
        *b"raw3    ",
        *b"raw2    ",
        *b"raw1    ",
    ],
);
pub(super) const SQUEEZED: Tags = (
    *b"sqz15   ",
    [
        *b"sqz8    ",
        *b"sqz4    ",
        *b"sqz3    ",
        *b"sqz2    ",
        *b"sqz1    ",
    ],
);
type Tags = (Tag, [Tag; 5]);

/// What an atom stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// The segment.
    pub(super) segment: u32,
    /// It begins at least so many bytes before the place of the hit,
    pub(super) skip: u16,
    /// and at most so many more.
    pub(super) spread: u16,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    check: U32,
    segment: U32,
    skip: U16,
    spread: U16,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    bits: U32,
    buckets: U32,
    steps: U32,
    /// No word of the filter lies in two lines of the cache.
    rest: [u8; 52],
}

/// The hash of the window at the lowest 5 bytes, the rest of which is left out.
#[inline]
fn window(bytes: u64) -> u64 {
    hash(bytes << 24)
}

/// Collects atoms and writes the tables.
#[derive(Debug, Default)]
pub(super) struct Builder {
    far: far::Builder,
    atoms: [Vec<Keyed>; 5],
}

#[derive(Debug, Clone, Copy)]
struct Keyed {
    key: u64,
    hit: Hit,
}

impl Keyed {
    fn hash(&self) -> u64 {
        hash(self.key)
    }
}

impl Builder {
    pub(super) fn add(&mut self, segment: u32, atom: &Atom) {
        let hit = Hit {
            segment,
            skip: atom.skip,
            spread: atom.spread,
        };
        if atom.width == far::LENGTH {
            return self.far.add(atom.bytes, hit);
        }
        let position = WIDTHS.iter().position(|width| *width == atom.width);
        let bytes = atom
            .bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let key = match atom.width {
            WIDTH => bytes | CASE,
            _ => bytes,
        };
        if let Some(table) = position.and_then(|position| self.atoms.get_mut(position)) {
            table.push(Keyed { key, hit });
        }
    }

    pub(super) fn write<W: Write + Seek>(
        self,
        (far, tags): Tags,
        writer: &mut image::Writer<W>,
    ) -> io::Result<()> {
        writer.begin(far)?;
        if !self.far.is_empty() {
            self.far.write(writer)?;
        }
        for ((tag, width), atoms) in tags.into_iter().zip(WIDTHS).zip(self.atoms) {
            writer.begin(tag)?;
            if !atoms.is_empty() {
                write(atoms, width, writer)?;
            }
        }
        Ok(())
    }
}

fn write<W: Write + Seek>(
    mut atoms: Vec<Keyed>,
    width: usize,
    out: &mut image::Writer<W>,
) -> io::Result<()> {
    atoms.sort_unstable_by_key(|atom| (atom.hash(), atom.hit.segment));
    let buckets = atoms.len().next_power_of_two().ilog2().clamp(1, 28);
    let steps = match width == WIDTH && atoms.len() <= STEPPED {
        true => filter::bits(atoms.len().saturating_mul(STEP)).max(STEP_BITS),
        false => 0,
    };
    let header = Header {
        bits: filter::bits(atoms.len()).into(),
        buckets: buckets.into(),
        steps: steps.into(),
        rest: [0; 52],
    };
    out.write_all(header.as_bytes())?;
    let mut filter = filter::Builder::new(header.bits.get());
    for atom in &atoms {
        filter.add(atom.hash());
    }
    out.write_all(filter.as_bytes())?;
    if steps > 0 {
        let mut filter = filter::Builder::new(steps);
        for atom in &atoms {
            for place in 0..STEP {
                filter.add(window(atom.key >> (8 * place)));
            }
        }
        out.write_all(filter.as_bytes())?;
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
            segment: atom.hit.segment.into(),
            skip: atom.hit.skip.into(),
            spread: atom.hit.spread.into(),
        };
        out.write_all(entry.as_bytes())?;
    }
    out.flush()
}

/// The tables of one kind of content.
#[derive(Debug, Clone)]
pub(super) struct Index {
    far: Option<Far>,
    tables: Vec<Table>,
}

#[derive(Debug, Clone)]
struct Table {
    width: usize,
    buckets: u32,
    filter: Filter,
    /// None if the atoms are too short or too many for it.
    steps: Option<Filter>,
    firsts: Bytes,
    entries: Bytes,
}

impl Index {
    pub(super) fn open(image: &Image, (far, tags): Tags) -> Result<Self, Damage> {
        let section = image.section(far)?;
        let far = match section.is_empty() {
            true => None,
            false => Some(Far::open(&section).ok_or_else(|| damage(far))?),
        };
        let mut tables = Vec::new();
        for (tag, width) in tags.into_iter().zip(WIDTHS) {
            let section = image.section(tag)?;
            if !section.is_empty() {
                tables.push(Table::open(&section, width).ok_or_else(|| damage(tag))?);
            }
        }
        Ok(Self { far, tables })
    }

    /// There is nothing to be found.
    pub(super) fn is_empty(&self) -> bool {
        self.far.is_none() && self.tables.is_empty()
    }

    /// Calls `hit` with each atom that may be in `content` and where, in the order of the places, until that says to stop.
    /// The first `known` bytes were searched before: only what ends behind them is found. Before `content` there must be a
    /// multiple of [`PERIOD`] bytes, so that each call looks at the same places.
    pub(super) fn scan<E>(
        &self,
        content: &[u8],
        known: usize,
        mut hit: impl FnMut(usize, Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = known.saturating_sub(WIDTH - 1) / PERIOD * PERIOD;
        let mut far = [0_u64; BLOCKS];
        let mut near = [[0_u64; BLOCKS]; WIDTHS.len()];
        while start < content.len() {
            let blocks = (content.len() - start).div_ceil(BLOCK).min(BLOCKS);
            if let Some(table) = &self.far {
                table.masks(content, start, far.get_mut(..blocks).unwrap_or_default());
            }
            for (masks, table) in near.iter_mut().zip(&self.tables) {
                table.masks(content, start, masks.get_mut(..blocks).unwrap_or_default());
            }
            for block in 0..blocks {
                let start = start + block * BLOCK;
                let of = |masks: &[u64; BLOCKS]| masks.get(block).copied().unwrap_or(0);
                let far = behind(of(&far), start, far::WINDOW, known);
                let mut any = far;
                let mut masks = [0_u64; WIDTHS.len()];
                for ((mask, near), table) in masks.iter_mut().zip(&near).zip(&self.tables) {
                    *mask = behind(of(near), start, table.width, known);
                    any |= *mask;
                }
                while any != 0 {
                    let place = any.trailing_zeros();
                    any &= any - 1;
                    let at = start + place as usize;
                    if far >> place & 1 == 1
                        && let Some(table) = &self.far
                    {
                        table.look(content, at, &mut hit)?;
                    }
                    for (mask, table) in masks.iter().zip(&self.tables) {
                        if mask >> place & 1 == 1 {
                            table.look(content, at, &mut hit)?;
                        }
                    }
                }
            }
            start += BLOCKS * BLOCK;
        }
        Ok(())
    }
}

/// Of the places from `start` on those where something of this width ends behind `known`.
#[inline]
fn behind(mask: u64, start: usize, width: usize, known: usize) -> u64 {
    match (known + 1).saturating_sub(width + start) {
        0 => mask,
        first @ 1..BLOCK => mask >> first << first,
        _ => 0,
    }
}

impl Table {
    fn open(section: &Bytes, width: usize) -> Option<Self> {
        let (header, _) = Header::read_from_prefix(section).ok()?;
        let (buckets, steps) = (header.buckets.get(), header.steps.get());
        let has_steps = width == WIDTH && steps > 0;
        if !(1..=28).contains(&buckets) {
            return None;
        }
        let filter = size_of::<Header>();
        let windows = filter + Filter::length(header.bits.get())?;
        let firsts = match has_steps {
            true => windows + Filter::length(steps)?,
            false => windows,
        };
        let entries = firsts + ((1 << buckets) + 1) * 4;
        let table = (entries <= section.len()).then(|| Self {
            width,
            buckets,
            filter: Filter::open(section.slice(filter..windows)),
            steps: has_steps.then(|| Filter::open(section.slice(windows..firsts))),
            firsts: section.slice(firsts..entries),
            entries: section.slice(entries..),
        })?;
        <[Entry]>::ref_from_bytes(&table.entries).ok()?;
        Some(table)
    }

    /// A bit for each of the places from `start` on where an atom may be.
    fn masks(&self, content: &[u8], start: usize, masks: &mut [u64]) {
        if let (WIDTH, Some(steps)) = (self.width, &self.steps) {
            looks(steps, content, start, masks);
            let mut next = 1;
            for (block, mask) in masks.iter_mut().enumerate().rev() {
                let start = start + block * BLOCK;
                // One behind the block stands for the last places in it.
                let last = (next & 1_u64).wrapping_neg() << (BLOCK - STEP + 1);
                next = *mask;
                let near = next | next >> 1 | next >> 2 | next >> 3 | last;
                *mask = match near.count_ones() {
                    0 => 0,
                    1..=FEW => self.bits_at(content, start, near),
                    _ => self.bits_of::<WIDTH>(content, start),
                };
            }
            return;
        }
        for (mask, start) in masks.iter_mut().zip((start..).step_by(BLOCK)) {
            *mask = match self.width {
                WIDTH => self.bits_of::<WIDTH>(content, start),
                4 => self.bits_of::<4>(content, start),
                3 => self.bits_of::<3>(content, start),
                2 => self.bits_of::<2>(content, start),
                _ => self.bits_of::<1>(content, start),
            };
        }
    }

    /// The same as [`bits_of`](Self::bits_of) for an atom of eight bytes at each of these places.
    fn bits_at(&self, content: &[u8], start: usize, places: u64) -> u64 {
        let filter = self.filter.ask();
        let block = content.get(start..).unwrap_or(&[]);
        let (mut mask, mut left) = (0, places);
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let bytes = block
                .get(at as usize..)
                .and_then(<[u8]>::first_chunk::<WIDTH>);
            if let Some(bytes) = bytes {
                mask |= filter.has(hash(key(bytes))) << at;
            }
        }
        mask
    }

    fn bits_of<const N: usize>(&self, content: &[u8], start: usize) -> u64 {
        let filter = self.filter.ask();
        let end = content.len().min(start + BLOCK + N - 1);
        let block = content.get(start..end).unwrap_or(&[]);
        let windows = block.array_windows::<N>().rev();
        windows.fold(0, |mask, window| mask << 1 | filter.has(hash(key(window))))
    }

    fn look<E>(
        &self,
        content: &[u8],
        at: usize,
        hit: &mut impl FnMut(usize, Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        let window = content.get(at..at + self.width).unwrap_or(&[]);
        let mut bytes = [0; WIDTH];
        for (to, from) in bytes.iter_mut().zip(window) {
            *to = *from;
        }
        let hash = hash(seen(u64::from_le_bytes(bytes), self.width));
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
                let found = Hit {
                    segment: entry.segment.get(),
                    skip: entry.skip.get(),
                    spread: entry.spread.get(),
                };
                hit(at, found)?;
            }
        }
        Ok(())
    }
}

/// A bit for each fourth of the places from `start` on where one of the steps may be; for all where the content ends.
fn looks(steps: &Filter, content: &[u8], start: usize, masks: &mut [u64]) {
    let steps = steps.ask();
    let look = |bytes: &[u8; 8]| steps.has(window(u64::from_le_bytes(*bytes) | CASE));
    let from = |start: usize| content.get(start..).unwrap_or(&[]).as_chunks::<BLOCK>().0;
    // Each load has the bytes of eight places, and half of those that are looked at lie between two.
    let mut blocks = from(start).iter().zip(from(start + STEP));
    for mask in masks {
        let Some((block, between)) = blocks.next() else {
            *mask = u64::MAX;
            continue;
        };
        let (block, between) = (block.as_chunks().0, between.as_chunks().0);
        let both = block.iter().zip(between).zip((0..).step_by(2 * STEP));
        *mask = both.fold(0, |mask, ((one, other), place)| {
            mask | look(one) << place | look(other) << (place + STEP)
        });
    }
}

/// The bytes of a window as they are compared.
#[inline]
fn key<const N: usize>(window: &[u8; N]) -> u64 {
    // The compiler makes one load of the whole words only if they are named.
    let bytes = match (window.first_chunk::<8>(), window.first_chunk::<4>()) {
        (Some(eight), _) => u64::from_le_bytes(*eight),
        (None, Some(four)) => u32::from_le_bytes(*four).into(),
        (None, None) => {
            let bytes = window.iter().rev();
            bytes.fold(0, |key, byte| key << 8 | u64::from(*byte))
        }
    };
    seen(bytes, N)
}

/// How the bytes of a window of this width are compared: a short one in lower case, for the bit is too much to lose.
#[inline]
fn seen(bytes: u64, width: usize) -> u64 {
    if width == WIDTH {
        return bytes | CASE;
    }
    // Each byte for itself: its highest bit tells whether it is at least `A`, and whether it is behind `Z`.
    let low = bytes & 0x7f7f_7f7f_7f7f_7f7f;
    let from_a = low + 0x3f3f_3f3f_3f3f_3f3f;
    let behind_z = low + 0x2525_2525_2525_2525;
    bytes | (from_a & !behind_z & !bytes & 0x8080_8080_8080_8080) >> 2
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
            let mut bytes = [0; far::LENGTH];
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

    /// Whether the windows are the same to the index.
    fn same(one: &[u8], other: &[u8]) -> bool {
        let folded = |bytes: &[u8]| -> Vec<u8> {
            match bytes.len() {
                WIDTH => bytes.iter().map(|byte| byte | 0x20).collect(),
                _ => bytes.to_ascii_lowercase(),
            }
        };
        folded(one) == folded(other)
    }

    /// Where an atom is to be found in a content, and how many bytes before that it begins.
    fn expected(content: &[u8], (width, letters): &(usize, Vec<u8>)) -> Vec<(usize, u16)> {
        let is_there = |at: usize, bytes: &[u8]| {
            let there = content.get(at..at + bytes.len());
            there.is_some_and(|there| same(there, bytes))
        };
        if *width < far::LENGTH {
            let places = (0..content.len()).filter(|at| is_there(*at, &letters[..*width]));
            return places.map(|at| (at, 0)).collect();
        }
        let windows = |at: usize| {
            let there = (0..far::WINDOWS).filter(move |skip| is_there(at, &letters[*skip..][..8]));
            there.map(move |skip| (at, skip as u16))
        };
        let looked = (0..content.len()).step_by(far::WINDOWS);
        looked.flat_map(windows).collect()
    }

    proptest! {
        /// Of many letters hardly any window is there by chance, of two nearly all are.
        #[test]
        fn each_atom_is_found_where_it_is(
            atoms in vec((prop::sample::select(&[15, 15, 8, 8, 4, 3, 1][..]), vec(prop_oneof![0_u8..3, Just(b'a')], 15)), 1..20),
            content in vec(prop_oneof![3 => 0_u8..3, 1 => any::<u8>(), 1 => Just(b'A')], 0..700),
            strange in prop_oneof![Just(1_usize), 1..40_usize],
            planted in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
            known in 0..100_usize,
        ) {
            let mut content = content;
            content.iter_mut().enumerate().for_each(|(at, byte)| {
                *byte = if at / 40 % strange == 0 { *byte } else { 0x55 };
            });
            for (which, place) in &planted {
                let Some(room @ 1..) = content.len().checked_sub(far::LENGTH) else { break };
                let at = place.index(room);
                content[at..at + far::LENGTH].copy_from_slice(&atoms[which.index(atoms.len())].1);
            }
            let known = known.min(content.len());
            let mut found = Vec::new();
            let hit = |at: usize, hit: Hit| {
                found.push((at, hit.segment as usize, hit.skip));
                Ok::<_, Infallible>(())
            };
            let Ok(()) = index(&atoms).scan(&content, known, hit);
            let mut wanted = BTreeSet::new();
            for (number, atom) in atoms.iter().enumerate() {
                let width = atom.0.min(far::WINDOW);
                let all = expected(&content, atom).into_iter();
                let fresh = all.filter(|(at, _)| at + width > known);
                wanted.extend(fresh.map(|(at, skip)| (at, number, skip)));
            }
            prop_assert!(found.is_sorted_by_key(|(at, ..)| *at));
            prop_assert_eq!(found.len(), wanted.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
        }
    }
}
