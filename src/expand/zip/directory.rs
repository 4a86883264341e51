//! The records around the members: end record, central directory, local headers (APPNOTE 6.3.10 §4.3.7, §4.3.12 to
//! §4.3.16, §4.5.3).
//!
//! Nothing is collected here: a directory of a million entries costs one of them.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::crypt::{AES_FIELD, AES_METHOD, Aes};
use crate::bytes::Reader;
use crate::object::{Object, ObjectReader, TAIL};

pub(super) const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";

pub(super) const LOCAL_LENGTH: usize = 30;
const CENTRAL_LENGTH: usize = 46;
const END64_LENGTH: usize = 56;
const LOCATOR_LENGTH: usize = 20;

/// The extra field of 64-bit sizes and offsets.
const ZIP64: u16 = 1;

/// General purpose bit 0.
pub(super) const ENCRYPTED: u16 = 1;
/// General purpose bit 6: encrypted by what only PKWARE's programs have.
pub(super) const STRONG: u16 = 1 << 6;
/// General purpose bit 3: sizes and checksum come after the content.
pub(super) const STREAMED: u16 = 1 << 3;

/// Where the directory is said to be, by an end record or its 64-bit form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    disk: u32,
    directory_disk: u32,
    count: u64,
    size: u64,
    offset: u64,
}

/// An end record.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Where it stands.
    at: u64,
    claim: Claim,
    /// Bytes after it and its comment; less than nothing when the comment is cut.
    trailing: i64,
}

/// End records that are looked at, from the last on. A comment can hold many; no reader tries more than one or two.
const ENDS: usize = 16;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(END));

/// The end records in the last bytes of a content, the last one first.
fn ends(tail: &[u8], length: u64) -> impl Iterator<Item = End> {
    let tail_at = length.saturating_sub(tail.len() as u64);
    // Forwards it is seen sooner that there is none, as in most contents.
    let any = FINDER.find(tail).is_some();
    let tail = if any { tail } else { &[] };
    let found = memchr::memmem::rfind_iter(tail, END);
    found
        .filter_map(move |at| End::parse(tail.get(at..)?, tail_at + at as u64))
        .take(ENDS)
}

impl End {
    fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.take(END.len())?;
        let disk = reader.u16_le()?.into();
        let directory_disk = reader.u16_le()?.into();
        reader.u16_le()?;
        let claim = Claim {
            disk,
            directory_disk,
            count: reader.u16_le()?.into(),
            size: reader.u32_le()?.into(),
            offset: reader.u32_le()?.into(),
        };
        let comment = i64::from(reader.u16_le()?);
        let trailing = i64::try_from(reader.rest().len()).ok()? - comment;
        Some(Self {
            at,
            claim,
            trailing,
        })
    }

    /// Fits the bytes in front of it, as far as they are in `tail`: what tells an archive behind a program from four
    /// bytes that happen to stand there.
    fn is_plausible(&self, tail: &[u8], length: u64) -> bool {
        let in_tail = |at: u64| {
            let from_end = usize::try_from(length.checked_sub(at)?).ok()?;
            tail.get(tail.len().checked_sub(from_end)?..)
        };
        let locator = self.at.checked_sub(LOCATOR_LENGTH as u64).and_then(in_tail);
        if locator.is_some_and(|bytes| bytes.starts_with(LOCATOR)) {
            return true;
        }
        let claim = &self.claim;
        let starts = [self.at.checked_sub(claim.size), Some(claim.offset)];
        claim.size >= CENTRAL_LENGTH as u64
            && starts.into_iter().flatten().any(|start| {
                start < self.at && in_tail(start).is_none_or(|bytes| bytes.starts_with(CENTRAL))
            })
    }
}

/// Tells whether there may be an archive whose end is in these last bytes of a content.
pub(in crate::expand) fn may_end(tail: &[u8], length: u64) -> bool {
    ends(tail, length).any(|end| end.is_plausible(tail, length))
}

/// A central directory that was found.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where the end record stands that leads to it.
    pub(super) record: u64,
    /// Entries as the end record counts them.
    pub(super) count: u64,
    /// The count is of 16 bits, so more entries than that are counted around.
    pub(super) short_count: bool,
    /// Bytes in front of the archive, which its offsets do not count; less than nothing when they count more.
    pub(super) prefix: i64,
    /// Bytes after the archive.
    pub(super) trailing: i64,
}

/// What the end of a content leads to.
pub(super) enum Found {
    /// Directories, that of the last end record first: most readers use only that one. True when one of them says that
    /// it is of an archive of several files, of which this is one; not all readers ask.
    Directories(Vec<Directory>, bool),
    /// An archive of several files, of which this is one.
    Split,
    /// No end record, or one that leads nowhere.
    Nothing,
}

impl Directory {
    /// Follows the end records of `object`, each in every way that a reader may take.
    pub(super) fn find(object: &Object) -> io::Result<Found> {
        let length = object.length();
        let tail = object.bytes_at(length.saturating_sub(TAIL as u64), TAIL)?;
        let mut found: Vec<Self> = Vec::new();
        let mut split = false;
        for end in ends(&tail, length) {
            for (claim, directory_end) in claims(object, &end)? {
                // By chance the bytes of an end record stand in programs, too, but not at their end.
                split |= end.trailing == 0 && (claim.disk != 0 || claim.directory_disk != 0);
                for (start, prefix) in starts(object, &claim, directory_end)? {
                    let directory = Self {
                        start,
                        end: directory_end,
                        record: end.at,
                        count: claim.count,
                        short_count: directory_end == end.at,
                        prefix,
                        trailing: end.trailing,
                    };
                    if !found.iter().any(|known| known.reads_like(&directory)) {
                        found.push(directory);
                    }
                }
            }
        }
        Ok(match (found.is_empty(), split) {
            (false, split) => Found::Directories(found, split),
            (true, true) => Found::Split,
            (true, false) => Found::Nothing,
        })
    }

    /// Both say the same of every member.
    fn reads_like(&self, other: &Self) -> bool {
        (self.start, self.end, self.prefix) == (other.start, other.end, other.prefix)
    }

    /// Its entries, from the first on.
    pub(super) fn entries(&self, object: &Object) -> io::Result<Entries> {
        let mut input = object.reader();
        input.seek(SeekFrom::Start(self.start))?;
        Ok(Entries {
            input,
            left: self.end.saturating_sub(self.start),
        })
    }
}

/// Where the directory may begin, and the bytes in front of the archive: directly before the end record, as
/// self-extracting programs have it, and where the record says.
fn starts(object: &Object, claim: &Claim, end: u64) -> io::Result<Vec<(u64, i64)>> {
    if claim.count == 0 && claim.size == 0 {
        return Ok(vec![(end, 0)]);
    }
    let adjacent = end.checked_sub(claim.size).and_then(|start| {
        let prefix = i64::try_from(start)
            .ok()?
            .checked_sub_unsigned(claim.offset)?;
        Some((start, prefix))
    });
    let mut starts = Vec::new();
    for (start, prefix) in adjacent.into_iter().chain([(claim.offset, 0)]) {
        if start < end && object.bytes_at(start, CENTRAL.len())? == CENTRAL {
            starts.push((start, prefix));
        }
    }
    Ok(starts)
}

/// What an end record says, first in the 64-bit form that a locator before it leads to, and where the directory ends.
fn claims(object: &Object, end: &End) -> io::Result<Vec<(Claim, u64)>> {
    let mut claims = claims64(object, end)?;
    claims.push((end.claim, end.at));
    Ok(claims)
}

/// The 64-bit end records of `end` and their places: where its locator says, and directly before it, for the place that
/// the locator says does not count the bytes in front of an archive.
fn claims64(object: &Object, end: &End) -> io::Result<Vec<(Claim, u64)>> {
    let Some(locator_at) = end.at.checked_sub(LOCATOR_LENGTH as u64) else {
        return Ok(Vec::new());
    };
    let locator = object.bytes_at(locator_at, LOCATOR_LENGTH)?;
    let Some(said) = parse_locator(&locator) else {
        return Ok(Vec::new());
    };
    let mut places = vec![said];
    places.extend(
        locator_at
            .checked_sub(END64_LENGTH as u64)
            .filter(|at| *at != said),
    );
    let mut claims = Vec::new();
    for at in places.into_iter().filter(|at| *at < locator_at) {
        if let Some(claim) = parse_end64(&object.bytes_at(at, END64_LENGTH)?) {
            claims.push((claim, at));
        }
    }
    Ok(claims)
}

fn parse_locator(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes.strip_prefix(LOCATOR)?);
    reader.u32_le()?;
    reader.u64_le()
}

fn parse_end64(bytes: &[u8]) -> Option<Claim> {
    let mut reader = Reader::new(bytes.strip_prefix(END64)?);
    reader.take(12)?;
    let disk = reader.u32_le()?;
    let directory_disk = reader.u32_le()?;
    reader.u64_le()?;
    Some(Claim {
        disk,
        directory_disk,
        count: reader.u64_le()?,
        size: reader.u64_le()?,
        offset: reader.u64_le()?,
    })
}

/// Reads a central directory, one entry at a time.
pub(super) struct Entries {
    input: BufReader<ObjectReader>,
    left: u64,
}

/// What a header says about its member. The central and the local one have these fields in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// When it was changed, as DOS has it.
    pub(super) time: u16,
    pub(super) sum: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// The part of a split archive that it lies in.
    pub(super) disk: u32,
    /// The local header's place, without the bytes in front of the archive.
    pub(super) offset: u64,
    /// How it is encrypted, if by WinZip's AES.
    pub(super) aes: Option<Aes>,
}

impl Entries {
    /// The next entry; `None` after the last, and where none can be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(fixed) = self.take(CENTRAL_LENGTH)? else {
            return Ok(None);
        };
        let Some((mut entry, [name, extra, comment])) = parse_central(&fixed) else {
            return Ok(None);
        };
        let (Some(name), Some(extra), Some(_)) =
            (self.take(name)?, self.take(extra)?, self.take(comment)?)
        else {
            return Ok(None);
        };
        entry.name = name;
        entry.widen(&extra);
        Ok(Some(entry))
    }

    /// The bytes of the directory that were not read.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes of the directory; a length is at most that of a 16-bit field.
    fn take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(left) = self.left.checked_sub(length as u64) else {
            return Ok(None);
        };
        self.left = left;
        let mut bytes = Vec::new();
        (&mut self.input)
            .take(length as u64)
            .read_to_end(&mut bytes)?;
        Ok((bytes.len() == length).then_some(bytes))
    }
}

/// The fixed part of a central header, without the name, and the lengths of its variable parts.
fn parse_central(bytes: &[u8]) -> Option<(Entry, [usize; 3])> {
    let mut reader = Reader::new(bytes.strip_prefix(CENTRAL)?);
    reader.take(4)?;
    let mut entry = parse_common(&mut reader)?;
    let lengths = [reader.u16_le()?, reader.u16_le()?, reader.u16_le()?];
    entry.disk = reader.u16_le()?.into();
    reader.take(6)?;
    entry.offset = reader.u32_le()?.into();
    Some((entry, lengths.map(usize::from)))
}

/// The fields from the flags to the sizes, which both headers have in this order.
fn parse_common(reader: &mut Reader<'_>) -> Option<Entry> {
    let flags = reader.u16_le()?;
    let method = reader.u16_le()?;
    let time = reader.u16_le()?;
    reader.u16_le()?;
    Some(Entry {
        name: Vec::new(),
        flags,
        method,
        time,
        sum: reader.u32_le()?,
        compressed: reader.u32_le()?.into(),
        size: reader.u32_le()?.into(),
        disk: 0,
        offset: 0,
        aes: None,
    })
}

impl Entry {
    /// Replaces the fields that are full by those of the 64-bit extra field, which holds only them (§4.5.3), and keeps what
    /// is said about the encryption.
    fn widen(&mut self, extra: &[u8]) {
        if self.method == AES_METHOD {
            self.aes = extra_field(extra, AES_FIELD).and_then(Aes::parse);
        }
        let Some(mut field) = extra_field(extra, ZIP64) else {
            return;
        };
        for value in [&mut self.size, &mut self.compressed, &mut self.offset] {
            if *value == 0xffff_ffff
                && let Some(wide) = field.u64_le()
            {
                *value = wide;
            }
        }
        if self.disk == 0xffff
            && let Some(wide) = field.u32_le()
        {
            self.disk = wide;
        }
    }

    /// A folder, which has no content.
    pub(super) fn is_folder(&self) -> bool {
        // Two bytes: nothing, deflated.
        self.name.ends_with(b"/") && self.size == 0 && self.compressed <= 2
    }

    /// How it is encrypted, if it is.
    pub(super) fn encryption(&self) -> Option<&'static str> {
        match (self.flags & ENCRYPTED != 0, self.method) {
            (_, AES_METHOD) => Some("AES"),
            (true, _) if self.flags & STRONG != 0 => Some("strong encryption"),
            (true, _) => Some("ZipCrypto"),
            (false, _) => None,
        }
    }

    /// Tells whether the content of a member whose sizes come after it ends where this says: there is a data descriptor,
    /// with its signature or without, or the next header (§4.3.9).
    pub(super) fn ends_at(&self, object: &Object, end: u64) -> io::Result<bool> {
        let next = object.bytes_at(end, 4)?;
        Ok(next == self.sum.to_le_bytes()
            || [DESCRIPTOR, LOCAL, CENTRAL].contains(&next.as_slice()))
    }

    /// Names the first field in which the local header says something else.
    pub(super) fn disagreement(&self, local: &Entry) -> Option<&'static str> {
        let sizes_known = local.flags & STREAMED == 0;
        let rows = [
            ("method", self.method != local.method),
            ("encryption", (self.flags ^ local.flags) & ENCRYPTED != 0),
            ("name", self.name != local.name),
            (
                "compressed size",
                sizes_known && self.compressed != local.compressed,
            ),
            ("size", sizes_known && self.size != local.size),
        ];
        rows.into_iter()
            .find_map(|(field, differs)| differs.then_some(field))
    }
}

/// The extra field of this number.
fn extra_field(extra: &[u8], wanted: u16) -> Option<Reader<'_>> {
    let mut reader = Reader::new(extra);
    loop {
        let id = reader.u16_le()?;
        let length = reader.u16_le()?;
        let field = reader.sub(length.into())?;
        if id == wanted {
            return Some(field);
        }
    }
}

/// A local header.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) entry: Entry,
    /// Where the content begins.
    pub(super) data_at: u64,
}

impl Local {
    /// Reads the one at byte `at`; `None` when there is none, or a cut one.
    pub(super) fn read(object: &Object, at: u64) -> io::Result<Option<Self>> {
        let fixed = object.bytes_at(at, LOCAL_LENGTH)?;
        let Some((mut entry, [name, extra])) = parse_local(&fixed) else {
            return Ok(None);
        };
        let rest = object.bytes_at(at.saturating_add(LOCAL_LENGTH as u64), name + extra)?;
        let Some((name, extra)) = rest
            .split_at_checked(name)
            .filter(|(_, e)| e.len() == extra)
        else {
            return Ok(None);
        };
        entry.name = name.to_vec();
        entry.widen(extra);
        let length = (LOCAL_LENGTH + rest.len()) as u64;
        Ok(Some(Self {
            entry,
            data_at: at.saturating_add(length),
        }))
    }
}

fn parse_local(bytes: &[u8]) -> Option<(Entry, [usize; 2])> {
    let mut reader = Reader::new(bytes.strip_prefix(LOCAL)?);
    reader.take(2)?;
    let entry = parse_common(&mut reader)?;
    let lengths = [reader.u16_le()?, reader.u16_le()?];
    Some((entry, lengths.map(usize::from)))
}
