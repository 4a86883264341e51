//! Atoms of fifteen bytes: these have windows of 8 bytes at eight places in a row, and one of those is a multiple of eight, where alone
//! the content is looked at.
//!
//! ```text
//! bits: u32, buckets: u32, atoms: u32     logarithms of the numbers of bits and of buckets, and the number of atoms
//! filter: words of u64                    the hash of each window
//! the first entry of each bucket, and of what is behind the last: u32
//! entries: check:u32 window:u32           a window is the number of the atom times eight, and its place in that
//! atoms: segment:u32 skip:u16 spread:u16
//! ```
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

/// Bytes of entries that are made at once, for they are not made in their order.
const PART: usize = 8 << 20;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    bits: U32,
    buckets: U32,
    atoms: U32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
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

    /// The hashes of all windows, with the number of each; `for_each` of them is much faster than `for`.
    fn windows(&self) -> impl Iterator<Item = (u64, usize)> {
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
        };
        out.write_all(header.as_bytes())?;
        let hashes = self.windows().map(|(hash, _)| hash);
        out.write_all(filter::words(bits, hashes).as_bytes())?;
        let mut firsts = vec![0_u32; (1 << buckets) + 1];
        self.windows().for_each(|(hash, _)| {
            if let Some(count) = firsts.get_mut(upper(hash, buckets) + 1) {
                *count += 1;
            }
        });
        let mut sum = 0;
        for first in &mut firsts {
            sum += *first;
            *first = sum;
        }
        let words: Vec<U32> = firsts.iter().map(|first| U32::new(*first)).collect();
        out.write_all(words.as_bytes())?;
        drop(words);
        self.write_entries(firsts, buckets, out)?;
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

    /// Each entry where its bucket has room for it, some buckets at once: nothing is sorted, and little is in memory.
    fn write_entries<W: Write>(
        &self,
        mut next: Vec<u32>,
        buckets: u32,
        out: &mut W,
    ) -> io::Result<()> {
        let count = self.atoms.len() * WINDOWS;
        let parts = (count * size_of::<Entry>())
            .div_ceil(PART)
            .next_power_of_two();
        let step = ((1_usize << buckets) / parts).max(1);
        for from in (0..1_usize << buckets).step_by(step) {
            let to = from + step;
            let base = next.get(from).copied().unwrap_or(0);
            let end = next.get(to).copied().unwrap_or(base);
            let nothing = Entry {
                check: U32::ZERO,
                window: U32::ZERO,
            };
            let mut entries = vec![nothing; (end - base) as usize];
            self.windows().for_each(|(hash, window)| {
                let bucket = upper(hash, buckets);
                if (from..to).contains(&bucket)
                    && let Some(place) = next.get_mut(bucket)
                    && let Some(entry) = entries.get_mut((*place - base) as usize)
                {
                    *place += 1;
                    *entry = Entry {
                        check: check(hash).into(),
                        window: u32::try_from(window).unwrap_or(u32::MAX).into(),
                    };
                }
            });
            out.write_all(entries.as_bytes())?;
        }
        Ok(())
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
        let filter = size_of::<Header>();
        let firsts = filter + Filter::length(header.bits.get())?;
        let entries = firsts + ((1 << buckets) + 1) * size_of::<U32>();
        let places = atoms.checked_mul(WINDOWS * size_of::<Entry>())?;
        let places = entries.checked_add(places)?;
        let end = places.checked_add(atoms * size_of::<Place>())?;
        (end == section.len()).then(|| Self {
            buckets,
            filter: Filter::open(section.slice(filter..firsts)),
            firsts: section.slice(firsts..entries),
            entries: section.slice(entries..places),
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
