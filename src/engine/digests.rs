//! Digests: which ones the signatures name, and those of an object, computed while it is fed.
//!
//! A hash costs more than the search. So a kind of which the database has no digest of the object's length is never
//! computed; of a stream, whose length nobody knows, it is given up as soon as it is longer than the longest known one.
//!
//! In the image each kind is one sorted array of rows: the digest, the length of the object and the number of the
//! signature, both with the largest byte first, so that rows compare as bytes; and the sorted lengths beside it.
#![forbid(unsafe_code)]

use std::io::{self, Read, Seek, Write};

use bytes::Bytes;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, IntoBytes};

use crate::image::{Damage, Image, Tag, Writer};
use crate::object::{CHUNK, Object};
use crate::signature::digests::Digest;

/// The length of an object in a row that is for objects of any length.
const ANY: u64 = u64::MAX;

/// What a row has behind the digest: a length and a number.
const BEHIND: usize = 12;

/// What the digests of a table are of, as it stands in the tags of its sections.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// Of an object, which is found.
    Object = b'O' as isize,
    /// Of an object whose findings are not reported.
    Allowed = b'A' as isize,
    /// Of a section of a program.
    Section = b'S' as isize,
}

const KINDS: [u8; 3] = *b"123";

fn tags(of: Of, kind: u8) -> (Tag, Tag) {
    let tag = |[a, b, c, d, e, f]: [u8; 6]| [a, b, c, d, e, f, of as u8, kind];
    (tag(*b"DIGEST"), tag(*b"LENGTH"))
}

/// One table while a database is made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    md5: Vec<[u8; 16 + BEHIND]>,
    sha1: Vec<[u8; 20 + BEHIND]>,
    sha256: Vec<[u8; 32 + BEHIND]>,
}

impl Builder {
    /// Adds the digest of a signature, by number.
    pub(super) fn add(&mut self, number: u32, digest: Digest, size: Option<u64>) {
        let size = size.unwrap_or(ANY);
        match digest {
            Digest::Md5(digest) => self.md5.push(row(&digest, size, number)),
            Digest::Sha1(digest) => self.sha1.push(row(&digest, size, number)),
            Digest::Sha256(digest) => self.sha256.push(row(&digest, size, number)),
        }
    }

    /// Gives signatures other numbers, and drops those that get none.
    pub(super) fn renumber(&mut self, number: impl Fn(u32) -> Option<u32>) {
        fn each<const W: usize>(rows: &mut Vec<[u8; W]>, to: impl Fn(u32) -> Option<u32>) {
            rows.retain_mut(|row| {
                let Some(number) = row.last_chunk_mut() else {
                    return false;
                };
                match to(u32::from_be_bytes(*number)) {
                    Some(other) => *number = other.to_be_bytes(),
                    None => return false,
                }
                true
            });
        }
        each(&mut self.md5, &number);
        each(&mut self.sha1, &number);
        each(&mut self.sha256, &number);
    }

    /// Writes the sections.
    pub(super) fn write<W: Write + Seek>(self, of: Of, writer: &mut Writer<W>) -> io::Result<()> {
        let [md5, sha1, sha256] = KINDS;
        write(self.md5, tags(of, md5), writer)?;
        write(self.sha1, tags(of, sha1), writer)?;
        write(self.sha256, tags(of, sha256), writer)
    }
}

fn row<const W: usize>(digest: &[u8], size: u64, number: u32) -> [u8; W] {
    let behind = size.to_be_bytes().into_iter().chain(number.to_be_bytes());
    let mut row = [0; W];
    for (to, from) in row.iter_mut().zip(digest.iter().copied().chain(behind)) {
        *to = from;
    }
    row
}

/// The length of the object in a row.
fn size_of_row(row: &[u8]) -> u64 {
    let at = row.len().saturating_sub(BEHIND);
    let size = row.get(at..).and_then(<[u8]>::first_chunk);
    size.map_or(0, |size| u64::from_be_bytes(*size))
}

fn write<const W: usize, O: Write + Seek>(
    mut rows: Vec<[u8; W]>,
    (digests, lengths): (Tag, Tag),
    writer: &mut Writer<O>,
) -> io::Result<()> {
    rows.sort_unstable();
    rows.dedup();
    writer.section(digests, rows.as_flattened())?;
    let mut known: Vec<u64> = Vec::new();
    for part in rows.chunks(64 * 1024) {
        // In parts, so that ten million rows of few lengths need no second array.
        known.extend(part.iter().map(|row| size_of_row(row)));
        known.sort_unstable();
        known.dedup();
    }
    let known: Vec<U64> = known.into_iter().map(U64::new).collect();
    writer.section(lengths, known.as_bytes())
}

/// One table in an image.
#[derive(Debug)]
pub(super) struct Known {
    md5: Rows,
    sha1: Rows,
    sha256: Rows,
}

/// The digests of one kind.
#[derive(Debug)]
struct Rows {
    rows: Bytes,
    /// Bytes of a digest.
    digest: usize,
    lengths: Bytes,
}

impl Rows {
    fn open(image: &Image, (digests, lengths): (Tag, Tag), digest: usize) -> Result<Self, Damage> {
        let rows = Self {
            rows: image.section(digests)?,
            digest,
            lengths: image.section(lengths)?,
        };
        match rows.rows.len() % rows.width() + rows.lengths.len() % 8 {
            0 => Ok(rows),
            _ => Err(Damage::Section("of digests".to_owned())),
        }
    }

    fn width(&self) -> usize {
        self.digest + BEHIND
    }

    fn lengths(&self) -> &[U64] {
        <[U64]>::ref_from_bytes(&self.lengths).unwrap_or(&[])
    }

    /// Tells whether an object of this length may have one of the digests.
    fn knows(&self, length: u64) -> bool {
        let lengths = self.lengths();
        lengths.last().is_some_and(|last| last.get() == ANY)
            || lengths
                .binary_search_by_key(&length, |one| one.get())
                .is_ok()
    }

    /// The longest object that may have one of the digests.
    fn longest(&self) -> Option<u64> {
        self.lengths().last().map(|length| length.get())
    }

    /// The numbers of the signatures that name this digest of an object of this length.
    fn holding(&self, digest: &[u8], length: u64) -> impl Iterator<Item = u32> {
        let width = self.width();
        let row = move |number: usize| {
            let start = number.checked_mul(width)?;
            self.rows.get(start..start.checked_add(width)?)
        };
        let (mut from, mut to) = (0, self.rows.len() / width);
        while from < to {
            let middle = from + (to - from) / 2;
            match row(middle).is_some_and(|row| row < digest) {
                true => from = middle + 1,
                false => to = middle,
            }
        }
        (from..)
            .map_while(row)
            .take_while(move |row| row.starts_with(digest))
            .filter(move |row| matches!(size_of_row(row), ANY) || size_of_row(row) == length)
            .filter_map(|row| row.last_chunk().map(|number| u32::from_be_bytes(*number)))
    }
}

impl Known {
    /// Takes a table out of an image.
    pub(super) fn open(image: &Image, of: Of) -> Result<Self, Damage> {
        let [md5, sha1, sha256] = KINDS;
        Ok(Self {
            md5: Rows::open(image, tags(of, md5), 16)?,
            sha1: Rows::open(image, tags(of, sha1), 20)?,
            sha256: Rows::open(image, tags(of, sha256), 32)?,
        })
    }

    /// Tells whether there is any digest.
    pub(super) fn is_empty(&self) -> bool {
        [&self.md5, &self.sha1, &self.sha256]
            .iter()
            .all(|rows| rows.rows.is_empty())
    }

    /// The signatures that name a digest of this object.
    pub(super) fn holding(&self, digests: &Digests) -> Vec<u32> {
        let length = digests.length;
        let mut numbers = Vec::new();
        if let Some(digest) = &digests.md5 {
            numbers.extend(self.md5.holding(digest, length));
        }
        if let Some(digest) = &digests.sha1 {
            numbers.extend(self.sha1.holding(digest, length));
        }
        if let Some(digest) = &digests.sha256 {
            numbers.extend(self.sha256.holding(digest, length));
        }
        numbers
    }

    /// The signatures that name a digest of this part of an object. Nothing is read if none names its length.
    ///
    /// # Errors
    /// Of reading.
    pub(super) fn holding_in(&self, part: &Object) -> io::Result<Vec<u32>> {
        let mut hashes = Hashes::new(&[self], Some(part.length()));
        if hashes.is_idle() {
            return Ok(Vec::new());
        }
        let mut reader = part.raw_reader();
        let step = usize::try_from(part.length()).map_or(CHUNK, |length| length.min(CHUNK));
        let mut buffer = vec![0; step];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(self.holding(&hashes.finish())),
                count => hashes.feed(buffer.get(..count).unwrap_or(&[])),
            }
        }
    }
}

/// The hashes of one object under way.
#[derive(Debug)]
pub(super) struct Hashes {
    md5: Hash<Md5>,
    sha1: Hash<Sha1>,
    sha256: Hash<Sha256>,
    length: u64,
}

/// The digests of an object: those that anybody could ask for.
#[derive(Debug)]
pub(super) struct Digests {
    md5: Option<[u8; 16]>,
    sha1: Option<[u8; 20]>,
    sha256: Option<[u8; 32]>,
    length: u64,
}

impl Hashes {
    /// Begins those that one of the tables could be asked for. The length of an object that comes as a stream is not
    /// known.
    pub(super) fn new(tables: &[&Known], length: Option<u64>) -> Self {
        Self {
            md5: Hash::new(tables.iter().map(|table| &table.md5), length),
            sha1: Hash::new(tables.iter().map(|table| &table.sha1), length),
            sha256: Hash::new(tables.iter().map(|table| &table.sha256), length),
            length: 0,
        }
    }

    fn is_idle(&self) -> bool {
        self.md5.state.is_none() && self.sha1.state.is_none() && self.sha256.state.is_none()
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.length = self.length.saturating_add(chunk.len() as u64);
        self.md5.feed(self.length, chunk);
        self.sha1.feed(self.length, chunk);
        self.sha256.feed(self.length, chunk);
    }

    /// All bytes were taken.
    pub(super) fn finish(self) -> Digests {
        Digests {
            md5: self.md5.state.map(|hash| hash.finalize().into()),
            sha1: self.sha1.state.map(|hash| hash.finalize().into()),
            sha256: self.sha256.state.map(|hash| hash.finalize().into()),
            length: self.length,
        }
    }
}

/// A hash of one kind, as long as it can be asked for.
#[derive(Debug)]
struct Hash<D> {
    state: Option<D>,
    longest: u64,
}

impl<D: sha2::Digest> Hash<D> {
    fn new<'k>(tables: impl Iterator<Item = &'k Rows>, length: Option<u64>) -> Self {
        let mut hash = Self {
            state: None,
            longest: 0,
        };
        for rows in tables {
            if length.map_or(rows.longest().is_some(), |length| rows.knows(length)) {
                hash.state.get_or_insert_with(D::new);
                hash.longest = hash.longest.max(rows.longest().unwrap_or(0));
            }
        }
        hash
    }

    fn feed(&mut self, length: u64, chunk: &[u8]) {
        if length > self.longest {
            self.state = None;
        }
        if let Some(hash) = &mut self.state {
            hash.update(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Stop;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::io::Cursor;

    fn known(builder: Builder) -> Known {
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        builder.write(Of::Section, &mut writer).unwrap();
        let image = writer.finish().unwrap().into_inner();
        Known::open(&Image::open(image.into()).unwrap(), Of::Section).unwrap()
    }

    fn md5(content: &[u8]) -> Digest {
        Digest::Md5(Md5::digest(content).into())
    }

    fn sha256(content: &[u8]) -> Digest {
        Digest::Sha256(Sha256::digest(content).into())
    }

    #[test]
    fn a_hash_runs_only_as_long_as_it_can_be_asked_for() {
        let mut builder = Builder::default();
        builder.add(0, md5(b"abc"), Some(3));
        builder.add(1, sha256(b"abcdef"), None);
        builder.add(2, Digest::Sha1(Sha1::digest(b"ab").into()), Some(2));
        let known = known(builder);
        // Of an object whose length is known only what its length may have.
        let runs = |length| {
            let hashes = Hashes::new(&[&known], length);
            let runs = [hashes.md5.state.is_some(), hashes.sha1.state.is_some()];
            (runs, hashes.sha256.state.is_some())
        };
        assert_eq!(runs(Some(3)), ([true, false], true));
        assert_eq!(runs(Some(2)), ([false, true], true));
        assert_eq!(runs(Some(9)), ([false, false], true));
        assert_eq!(runs(None), ([true, true], true));
        // Of a stream until it is too long.
        let mut hashes = Hashes::new(&[&known], None);
        hashes.feed(b"abc");
        assert!(hashes.md5.state.is_some() && hashes.sha1.state.is_none());
        hashes.feed(b"def");
        assert!(hashes.md5.state.is_none());
        assert_eq!(known.holding(&hashes.finish()), [1]);
    }

    #[test]
    fn a_part_of_an_object_has_digests_of_its_own() {
        let mut builder = Builder::default();
        builder.add(7, md5(b"cde"), Some(3));
        builder.add(8, sha256(b"cde"), None);
        let known = known(builder);
        let object = Object::memory(b"abcdefg".as_slice().into(), Stop::never());
        assert_eq!(known.holding_in(&object.slice(2, 3)).unwrap(), [7, 8]);
        assert!(known.holding_in(&object.slice(1, 3)).unwrap().is_empty());
    }

    fn digest() -> impl Strategy<Value = (Digest, Option<u64>)> {
        let size = prop::option::of(0..6_u64);
        (0..3_u8, 0..6_usize, size).prop_map(|(kind, length, size)| {
            let content = b"aaaaaa".get(..length).unwrap();
            let digest = match kind {
                0 => md5(content),
                1 => Digest::Sha1(Sha1::digest(content).into()),
                _ => sha256(content),
            };
            (digest, size)
        })
    }

    proptest! {
        #[test]
        fn the_table_says_what_a_map_says(all in vec(digest(), 0..60), length in 0..6_usize) {
            let mut builder = Builder::default();
            let mut map: HashMap<Digest, Vec<(Option<u64>, u32)>> = HashMap::new();
            for (number, (digest, size)) in (0..).zip(all) {
                builder.add(number, digest, size);
                map.entry(digest).or_default().push((size, number));
            }
            // Every third signature is taken out, and the others move up.
            let to = |number: u32| (!number.is_multiple_of(3)).then(|| number - number / 3 - 1);
            builder.renumber(to);
            let known = known(builder);
            let content = b"aaaaaa".get(..length).unwrap();
            let sha1 = Digest::Sha1(Sha1::digest(content).into());
            let mut expected: Vec<u32> = [md5(content), sha1, sha256(content)]
                .iter()
                .flat_map(|digest| map.get(digest).into_iter().flatten())
                .filter(|(size, _)| size.is_none_or(|size| size == length as u64))
                .filter_map(|(_, number)| to(*number))
                .collect();
            expected.sort_unstable();
            for known_length in [None, Some(length as u64)] {
                let mut hashes = Hashes::new(&[&known], known_length);
                hashes.feed(content);
                let mut found = known.holding(&hashes.finish());
                found.sort_unstable();
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
