//! Atoms of fifteen bytes: these have windows of 8 bytes at eight places in a row, and one of those is a multiple of eight, where alone
//! the content is looked at.
//!
//! ```text
//! bits: u32, buckets: u32, atoms: u32     logarithms of the numbers of bits and of buckets, and the number of atoms; 64 bytes
//! entries: check:u32 window:u32           a window is the number of the atom times eight, and its place in that
//! filter: words of u64                    the hash of each window
//! the first entry of each bucket, and of what is behind the last: u32
//! atoms: segment:u32 skip:u16 spread:u16
//! ```
//!
//! The words of the filter are where no word lies in two lines of the cache: a section begins at a multiple of 64 bytes, and the entries
//! of an atom are as many.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::filter::{self, Filter, check, hash, upper};
use super::frequency::CASE;
use super::index::{BLOCK, Hit};
use crate::image;

/// The bytes of an atom.
pub(super) const LENGTH: usize = WINDOW + WINDOWS - 1;

/// The bytes of a window.
pub(super) const WINDOW: usize = 8;

/// The windows of an atom, and the places from one look to the next.
pub(super) const WINDOWS: usize = 8;

/// Windows of a bucket, as a logarithm.
const BUCKET: u32 = 2;

/// Windows that are put in order at once, at 16 bytes each.
const PART: usize = 1 << 20;

/// The most bins of a part, as a logarithm: what one of them goes into stays in the cache.
const BINS: u32 = 6;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    bits: U32,
    buckets: U32,
    atoms: U32,
    rest: [u8; 52],
}

#[derive(Debug, Default, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    check: U32,
    window: U32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Place {
    segment: U32,
    skip: U16,
    spread: U16,
}

/// Collects atoms and writes the table.
#[derive(Debug, Default)]
pub(super) struct Builder {
    atoms: Vec<([u8; LENGTH], Hit)>,
}

impl Builder {
    pub(super) fn add(&mut self, bytes: [u8; LENGTH], hit: Hit) {
        self.atoms.push((bytes, hit));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// The hashes of all windows, with the number of each; there are no more than that holds.
    fn windows(&self) -> impl Iterator<Item = (u64, u32)> {
        let all = self.atoms.iter();
        let all = all.flat_map(|(bytes, _)| bytes.array_windows::<WINDOW>());
        all.map(|window| hash(key(window))).zip(0..)
    }

    pub(super) fn write<W: Write + Seek>(&self, out: &mut image::Writer<W>) -> io::Result<()> {
        let full = || io::Error::other("too many atoms");
        let count = self.atoms.len() * WINDOWS;
        let atoms = u32::try_from(count).map_err(|_| full())? / WINDOWS as u32;
        let buckets = count.next_power_of_two().ilog2();
        let buckets = buckets.saturating_sub(BUCKET).clamp(1, 28);
        let bits = filter::bits(count);
        let header = Header {
            bits: bits.into(),
            buckets: buckets.into(),
            atoms: atoms.into(),
            rest: [0; 52],
        };
        out.write_all(header.as_bytes())?;
        let mut filter = filter::Builder::new(bits);
        let firsts = self.write_entries(buckets, &mut filter, out)?;
        out.write_all(filter.as_bytes())?;
        drop(filter);
        out.write_all(firsts.as_bytes())?;
        drop(firsts);
        let mut out = io::BufWriter::with_capacity(1 << 16, out);
        for (_, hit) in &self.atoms {
            let place = Place {
                segment: hit.segment.into(),
                skip: hit.skip.into(),
                spread: hit.spread.into(),
            };
            out.write_all(place.as_bytes())?;
        }
        out.flush()
    }

    /// Writes the entries in the order of their buckets, and gives where each of these begins. The windows are put into bins by their
    /// upper bits, a part of them at once: nothing is sorted, little is in memory, and what is written anywhere is near.
    fn write_entries<W: Write>(
        &self,
        buckets: u32,
        filter: &mut filter::Builder,
        out: &mut W,
    ) -> io::Result<Vec<U32>> {
        let count = self.atoms.len() * WINDOWS;
        let parts = count.div_ceil(PART).next_power_of_two().ilog2();
        let parts = parts.min(buckets);
        let split = (parts + BINS).min(buckets);
        let mut bins = vec![Vec::new(); 1 << (split - parts)];
        let mut firsts = Vec::with_capacity((1 << buckets) + 1);
        let mut next = Vec::new();
        let mut entries = Vec::new();
        let mut written = 0_u32;
        for part in 0..1_usize << parts {
            let first = part << (split - parts);
            self.windows().for_each(|(hash, window)| {
                let bin = upper(hash, split).wrapping_sub(first);
                if let Some(bin) = bins.get_mut(bin) {
                    bin.push((hash, window));
                }
            });
            for (bin, number) in bins.iter_mut().zip(first..) {
                let first = number << (buckets - split);
                let bucket = |hash| upper(hash, buckets) - first;
                next.clear();
                next.resize(1 << (buckets - split), 0_u32);
                for (hash, _) in &*bin {
                    filter.add(*hash);
                    if let Some(count) = next.get_mut(bucket(*hash)) {
                        *count += 1;
                    }
                }
                let mut sum = 0;
                for next in &mut next {
                    firsts.push(U32::new(written + sum));
                    sum += std::mem::replace(next, sum);
                }
                entries.clear();
                entries.resize(bin.len(), Entry::default());
                for (hash, window) in bin.drain(..) {
                    if let Some(place) = next.get_mut(bucket(hash))
                        && let Some(entry) = entries.get_mut(*place as usize)
                    {
                        *place += 1;
                        *entry = Entry {
                            check: check(hash).into(),
                            window: window.into(),
                        };
                    }
                }
                written += sum;
                out.write_all(entries.as_bytes())?;
            }
        }
        firsts.push(U32::new(written));
        Ok(firsts)
    }
}

/// The table in an image.
#[derive(Debug, Clone)]
pub(super) struct Far {
    buckets: u32,
    filter: Filter,
    firsts: Bytes,
    entries: Bytes,
    places: Bytes,
}

impl Far {
    pub(super) fn open(section: &Bytes) -> Option<Self> {
        let (header, _) = Header::read_from_prefix(section).ok()?;
        let (buckets, atoms) = (header.buckets.get(), header.atoms.get() as usize);
        if !(1..=28).contains(&buckets) {
            return None;
        }
        let entries = size_of::<Header>();
        let filter = atoms.checked_mul(WINDOWS * size_of::<Entry>())?;
        let filter = entries.checked_add(filter)?;
        let firsts = filter.checked_add(Filter::length(header.bits.get())?)?;
        let places = firsts.checked_add(((1 << buckets) + 1) * size_of::<U32>())?;
        let end = places.checked_add(atoms * size_of::<Place>())?;
        (end == section.len()).then(|| Self {
            buckets,
            filter: Filter::open(section.slice(filter..firsts)),
            firsts: section.slice(firsts..places),
            entries: section.slice(entries..filter),
            places: section.slice(places..),
        })
    }

    /// A bit for each of the places from `start` on, a multiple of eight, where a window may be.
    pub(super) fn masks(&self, content: &[u8], start: usize, masks: &mut [u64]) {
        let filter = self.filter.ask();
        let look = |window: &[u8; WINDOW]| filter.has(hash(key(window)));
        let (blocks, rest) = content.get(start..).unwrap_or(&[]).as_chunks::<BLOCK>();
        let of = |windows: &[[u8; WINDOW]]| {
            let windows = windows.iter().zip((0..).step_by(WINDOWS));
            windows.fold(0, |mask, (window, place)| mask | look(window) << place)
        };
        let mut masks = masks.iter_mut();
        for (block, mask) in blocks.iter().zip(masks.by_ref()) {
            *mask = of(block.as_chunks().0);
        }
        if let Some(mask) = masks.next() {
            *mask = of(rest.as_chunks().0);
        }
    }

    /// Calls `hit` with each atom that has a window here.
    pub(super) fn look<E>(
        &self,
        content: &[u8],
        at: usize,
        hit: &mut impl FnMut(usize, Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        let window = content.get(at..).and_then(<[u8]>::first_chunk);
        let Some(window) = window else { return Ok(()) };
        let hash = hash(key(window));
        let bucket = upper(hash, self.buckets);
        let firsts = <[U32]>::ref_from_bytes(&self.firsts).unwrap_or(&[]);
        let Some([first, end]) = firsts.get(bucket..bucket + 2) else {
            return Ok(());
        };
        let entries = <[Entry]>::ref_from_bytes(&self.entries).unwrap_or(&[]);
        let entries = entries.get(first.get() as usize..end.get() as usize);
        let places = <[Place]>::ref_from_bytes(&self.places).unwrap_or(&[]);
        let check = check(hash);
        for entry in entries.unwrap_or(&[]) {
            if entry.check.get() != check {
                continue;
            }
            let window = entry.window.get() as usize;
            if let Some(place) = places.get(window / WINDOWS) {
                let before = (window % WINDOWS) as u16;
                let found = Hit {
                    segment: place.segment.get(),
                    skip: place.skip.get().saturating_add(before),
                    spread: place.spread.get(),
                };
                hit(at, found)?;
            }
        }
        Ok(())
    }
}

/// A window as it is compared.
#[inline]
fn key(window: &[u8; WINDOW]) -> u64 {
    u64::from_le_bytes(*window) | CASE
}
