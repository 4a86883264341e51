//! BER (X.690 §8.1) as far as CMS needs it: headers, whole elements that are passed over, and strings in pieces.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read};

use crate::expand::{cut_short, damaged};
use crate::object::{Object, ObjectReader};

pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, with an element in it.
pub(super) const EXPLICIT: u8 = 0xa0;
/// A string of bytes, in one piece and in several.
pub(super) const OCTETS: u8 = 0x04;
pub(super) const PIECES: u8 = 0x24;

/// The bit of a tag that says that there are elements inside.
const CONSTRUCTED: u8 = 0x20;

/// Strings inside each other. Nobody writes more than two.
const DEPTH: usize = 32;

/// What stands before an element's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The first byte of the tag: all of it, for the tags that are asked for.
    pub(super) tag: u8,
    /// The length of the content; `None` where a mark ends it.
    pub(super) length: Option<u64>,
}

impl Header {
    fn is_end(self) -> bool {
        self.tag == 0 && self.length == Some(0)
    }
}

fn byte(input: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    match input.read_exact(&mut byte) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(cut_short("the header of an element is cut"))
        }
        read => read.map(|()| byte[0]),
    }
}

/// Reads the header of the next element.
pub(super) fn header(input: &mut impl Read) -> io::Result<Header> {
    let tag = byte(input)?;
    if tag & 0x1f == 0x1f {
        // The number is in the bytes that follow, the last of which has no high bit.
        let mut bytes = 0;
        while byte(input)? & 0x80 != 0 {
            bytes += 1;
            if bytes > 4 {
                return Err(damaged("a tag that is too long"));
            }
        }
    }
    let length = match byte(input)? {
        short @ ..0x80 => Some(short.into()),
        0x80 if tag & CONSTRUCTED != 0 => None,
        count @ 0x81..=0x88 => {
            let mut length = 0_u64;
            for _ in 0x80..count {
                length = length << 8 | u64::from(byte(input)?);
            }
            Some(length)
        }
        _ => return Err(damaged("a length that there is not")),
    };
    Ok(Header { tag, length })
}

/// Reads an object identifier, which is no longer than those that are asked for.
pub(super) fn identifier(input: &mut impl Read) -> io::Result<Vec<u8>> {
    const LONGEST: u64 = 64;
    match header(input)? {
        Header {
            tag: OBJECT_IDENTIFIER,
            length: Some(length @ 1..=LONGEST),
        } => {
            let mut bytes = Vec::new();
            input.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        _ => Err(damaged("no object identifier")),
    }
}

/// A place in an object that only moves forward.
pub(super) struct Cursor {
    reader: BufReader<ObjectReader>,
    at: u64,
    length: u64,
}

impl Cursor {
    pub(super) fn new(object: &Object) -> Self {
        Self {
            reader: object.reader(),
            at: 0,
            length: object.length(),
        }
    }

    /// Bytes before the place.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// The tag of the next element.
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    /// Tells whether there is another element in the one that ends at `end`, or at its mark.
    pub(super) fn more(&mut self, end: Option<u64>) -> io::Result<bool> {
        match end {
            Some(end) => Ok(self.at < end),
            None => Ok(self.peek()?.is_some_and(|tag| tag != 0)),
        }
    }

    /// Where the element ends whose header was read.
    pub(super) fn end(&self, header: Header) -> Option<u64> {
        header.length.map(|length| self.at.saturating_add(length))
    }

    /// Passes over the content of the element whose header was read, and gives where it ends.
    pub(super) fn skip(&mut self, header: Header) -> io::Result<u64> {
        let Some(length) = header.length else {
            return self.skip_marked();
        };
        self.pass(length)?;
        Ok(self.at)
    }

    fn skip_marked(&mut self) -> io::Result<u64> {
        let mut open = 1_u64;
        loop {
            let before = self.at;
            let inner = header(self)?;
            match inner.length {
                _ if inner.is_end() => open = open.saturating_sub(1),
                Some(length) => self.pass(length)?,
                None => open = open.saturating_add(1),
            }
            if open == 0 {
                return Ok(before);
            }
        }
    }

    fn pass(&mut self, length: u64) -> io::Result<()> {
        let end = self.at.saturating_add(length);
        let step = i64::try_from(length).ok().filter(|_| end <= self.length);
        let Some(step) = step else {
            return Err(cut_short("an element is cut"));
        };
        self.reader.seek_relative(step)?;
        self.at = end;
        Ok(())
    }
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}

/// Reads a string of bytes that may come in pieces, and pieces of pieces.
pub(super) struct Octets {
    cursor: Cursor,
    /// Where those end that are open, the innermost last.
    open: Vec<Option<u64>>,
    left: u64,
}

impl Octets {
    /// Begins behind the header of the string.
    pub(super) fn new(cursor: Cursor, header: Header) -> Self {
        let (open, left) = match header.tag {
            OCTETS => (Vec::new(), header.length.unwrap_or_default()),
            _ => (vec![cursor.end(header)], 0),
        };
        Self { cursor, open, left }
    }

    /// Goes on to the next piece; false when there is none.
    fn next(&mut self) -> io::Result<bool> {
        while let Some(end) = self.open.last() {
            if end.is_some_and(|end| self.cursor.at >= end) {
                self.open.pop();
                continue;
            }
            let header = header(&mut self.cursor)?;
            match (header.tag, header.length) {
                _ if header.is_end() && end.is_none() => drop(self.open.pop()),
                (OCTETS, Some(0)) => {}
                (OCTETS, Some(length)) => {
                    self.left = length;
                    return Ok(true);
                }
                (PIECES, _) if self.open.len() < DEPTH => {
                    let end = self.cursor.end(header);
                    self.open.push(end);
                }
                _ => return Err(damaged("a piece that is no string of bytes")),
            }
        }
        Ok(false)
    }
}

impl Read for Octets {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.left == 0 && !self.next()? {
            return Ok(0);
        }
        let most = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        let count = self.cursor.read(out.get_mut(..most).unwrap_or_default())?;
        if count == 0 {
            return Err(cut_short("a string of bytes is cut"));
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
