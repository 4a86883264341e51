//! What InstallShield puts behind its own program: files one after the other, each behind its name (found out from such
//! programs; there is no specification).
//!
//! In the older form four texts stand in front of each file: name, path, version and length. In the newer one a header counts
//! the files, and their contents are encoded with their names.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read};
use std::ops::Range;

use crate::bytes::Reader;
use crate::event::Reason;
use crate::expand::{Children, Content, Halt};
use crate::object::{Object, ObjectReader};

/// Files in one program.
const FILES: usize = 4096;

/// The four texts in front of a file.
const TEXTS: usize = 1024;

const MAGIC: &[u8] = b"InstallShield\0";
/// The header with its magic.
const HEADER: u64 = 46;
/// The header of a file: its name, and numbers.
const FILE: usize = 312;
const NAME: usize = 260;
/// The magic stands behind what a linker leaves.
const BEFORE: usize = 1024;

/// Bytes after which the key begins again.
const BLOCK: usize = 1024;
const KEY: [u8; 4] = [0x13, 0x35, 0x86, 0x07];
/// The content is encoded.
const ENCODED: u32 = 2;

/// Gives the files from `at` on, and says where they lie; nothing if there are none.
pub(super) fn give(
    object: &Object,
    at: u64,
    children: &mut dyn Children,
) -> Result<Option<Range<u64>>, Halt> {
    let end = match plain(object, at, children)? {
        Some(end) => Some(end),
        None => encoded(object, at, children)?,
    };
    Ok(end.map(|end| at..end))
}

/// Name and length out of the four texts, and where they end.
fn texts(object: &Object, at: u64) -> io::Result<Option<(Vec<u8>, u64, u64)>> {
    let bytes = object.bytes_at(at, TEXTS)?;
    let mut texts = bytes.split(|byte| *byte == 0);
    let parsed = (|| {
        let (name, path) = (texts.next()?, texts.next()?);
        let (version, length) = (texts.next()?, texts.next()?);
        texts.next()?;
        let numeric = |text: &[u8]| {
            !text.is_empty()
                && text
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        };
        let shown = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| *byte >= 0x20);
        let sound = shown(name) && shown(path) && path.ends_with(name) && numeric(version);
        let count = crate::expand::number::digits(length, 10).filter(|_| sound)?;
        let header = name.len() + path.len() + version.len() + length.len() + 4;
        let path = path
            .iter()
            .map(|byte| if *byte == b'\\' { b'/' } else { *byte });
        Some((path.collect(), count, at.saturating_add(header as u64)))
    })();
    Ok(parsed)
}

fn plain(object: &Object, at: u64, children: &mut dyn Children) -> Result<Option<u64>, Halt> {
    let mut next = at;
    for _ in 0..FILES {
        let Some((name, length, start)) = texts(object, next)? else {
            break;
        };
        let content = object.slice(start, length);
        let there = content.length();
        children.child(&name, Content::Object(content))?;
        next = start.saturating_add(there);
        if there < length {
            let detail = format!("{there} of {length} bytes are there");
            children.gap(Some(&name), Reason::Corrupt, detail)?;
            break;
        }
    }
    Ok((next > at).then_some(next))
}

fn encoded(object: &Object, at: u64, children: &mut dyn Children) -> Result<Option<u64>, Halt> {
    let head = object.bytes_at(at, BEFORE)?;
    let Some(found) = memchr::memmem::find(&head, MAGIC) else {
        return Ok(None);
    };
    let counts = head.get(found + MAGIC.len()..).unwrap_or_default();
    let Some(count @ 1..) = Reader::new(counts).u16_le() else {
        return Ok(None);
    };
    let mut next = at.saturating_add(found as u64).saturating_add(HEADER);
    for number in 0..usize::from(count).min(FILES) {
        let header = object.bytes_at(next, FILE)?;
        let fields = (|| {
            let mut reader = Reader::new(header.get(..FILE)?);
            let name = reader.take(NAME)?;
            let name = name.split(|byte| *byte == 0).next()?;
            let flags = reader.u32_le()?;
            reader.u32_le()?;
            let length = reader.u32_le()?;
            (!name.is_empty()).then(|| (name.to_vec(), flags, u64::from(length)))
        })();
        let Some((name, flags, length)) = fields else {
            if number == 0 {
                return Ok(None);
            }
            let detail = format!("{number} of {count} files have a header");
            children.gap(None, Reason::Corrupt, detail)?;
            break;
        };
        let start = next.saturating_add(FILE as u64);
        let content = object.slice(start, length);
        let there = content.length();
        if flags & ENCODED == 0 {
            children.child(&name, Content::Object(content))?;
        } else {
            let mut decoded = Decoded {
                inner: content.reader(),
                key: name
                    .iter()
                    .zip(KEY.iter().cycle())
                    .map(|(a, b)| a ^ b)
                    .collect(),
                at: 0,
            };
            children.child(&name, Content::Stream(&mut decoded))?;
        }
        next = start.saturating_add(there);
        if there < length {
            let detail = format!("{there} of {length} bytes are there");
            children.gap(Some(&name), Reason::Corrupt, detail)?;
            break;
        }
    }
    Ok(Some(next))
}

/// Takes the key off.
struct Decoded {
    inner: BufReader<ObjectReader>,
    key: Vec<u8>,
    at: usize,
}

impl Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        for byte in out.iter_mut().take(count) {
            let key = (self.at % BLOCK).checked_rem(self.key.len());
            let key = key
                .and_then(|key| self.key.get(key))
                .copied()
                .unwrap_or_default();
            *byte = !(key ^ byte.rotate_left(4));
            self.at = (self.at + 1) % BLOCK;
        }
        Ok(count)
    }
}
