//! A resource: bytes as they are, or chunks that are compressed each for itself behind a table of their places.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{lzx, xpress};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::expand::{cut_short, damaged};
use crate::object::Object;

/// What a resource is.
const COMPRESSED: u8 = 0x04;
const SPANNED: u8 = 0x08;
const SOLID: u8 = 0x10;

/// The longest chunk.
const LONGEST: u32 = 2 << 20;

/// How chunks are compressed, and how long they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Xpress(usize),
    Lzx(usize),
    Unknown(&'static str),
}

impl Method {
    /// By the flags of the header.
    pub(super) fn of(flags: u32, chunk: u32) -> Self {
        let chunk = if chunk == 0 { 1 << 15 } else { chunk };
        if !chunk.is_power_of_two() || !(1 << 12..=LONGEST).contains(&chunk) {
            return Self::Unknown("chunk");
        }
        let chunk = usize::try_from(chunk).unwrap_or_default();
        match flags {
            flags if flags & 0x0002_0000 != 0 => Self::Xpress(chunk),
            flags if flags & 0x0004_0000 != 0 => Self::Lzx(chunk),
            flags if flags & 0x0008_0000 != 0 => Self::Unknown("lzms"),
            _ => Self::Unknown("method"),
        }
    }
}

/// Where a resource is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource {
    pub(super) flags: u8,
    size: u64,
    at: u64,
    pub(super) length: u64,
}

impl Resource {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let word = reader.u64_le()?;
        let [.., flags] = word.to_le_bytes();
        Some(Self {
            flags,
            size: word & 0x00ff_ffff_ffff_ffff,
            at: reader.u64_le()?,
            length: reader.u64_le()?,
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.size)
    }

    /// Why it is not decoded.
    pub(super) fn refusal(&self, method: Method) -> Option<(Reason, String)> {
        let what = match method {
            _ if self.flags & SOLID != 0 => "solid",
            _ if self.flags & SPANNED != 0 => "split",
            Method::Unknown(what) if self.flags & COMPRESSED != 0 => what,
            _ => return None,
        };
        let detail = format!("a resource of {} bytes", self.length);
        Some((Reason::Unsupported(format!("wim-{what}")), detail))
    }

    /// The content, if it lies there as it is.
    pub(super) fn object(&self, object: &Object) -> Option<Object> {
        let content = object.slice(self.at, self.size);
        let is_plain = self.flags & COMPRESSED == 0 && self.size == self.length;
        (is_plain && content.length() == self.size).then_some(content)
    }

    pub(super) fn reader(&self, object: &Object, method: Method, memory: u64) -> Chunks {
        let is_packed = self.flags & COMPRESSED != 0;
        let chunk = match method {
            Method::Xpress(chunk) | Method::Lzx(chunk) => chunk,
            Method::Unknown(_) => 1 << 15,
        };
        let chunks = self.length.div_ceil(chunk as u64);
        let width = if self.length > u64::from(u32::MAX) {
            8
        } else {
            4
        };
        let refused = self.refusal(method).map(|(reason, _)| reason.to_string());
        Chunks {
            raw: object.slice(self.at, self.size),
            said: self.size,
            method: is_packed.then_some(method),
            chunk,
            width,
            table: if is_packed {
                chunks.saturating_sub(1).saturating_mul(width)
            } else {
                0
            },
            number: 0,
            chunks,
            left: self.length,
            bytes: Vec::new(),
            given: 0,
            failed: refused
                .or_else(|| (chunk as u64 > memory).then(|| "limit/memory".to_owned()))
                .map(damaged),
        }
    }
}

/// The next `length` bytes, or none at the end.
pub(super) fn bytes(reader: &mut Chunks, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if !bytes.is_empty() && (bytes.len() as u64) < length {
        return Err(cut_short("an entry is cut"));
    }
    Ok(bytes)
}

/// Reads a resource.
pub(super) struct Chunks {
    raw: Object,
    said: u64,
    method: Option<Method>,
    chunk: usize,
    /// Bytes of an entry of the table, and of all of it.
    width: u64,
    table: u64,
    number: u64,
    chunks: u64,
    /// Bytes of the content that are still to come.
    left: u64,
    bytes: Vec<u8>,
    given: usize,
    failed: Option<io::Error>,
}

impl Chunks {
    /// Where a chunk begins.
    fn place(&self, number: u64) -> io::Result<u64> {
        if number == 0 {
            return Ok(self.table);
        }
        if number >= self.chunks {
            return Ok(self.said);
        }
        let width = usize::try_from(self.width).unwrap_or_default();
        let entry = self.raw.bytes_at((number - 1) * self.width, width)?;
        let mut reader = Reader::new(&entry);
        let place = if width == 8 {
            reader.u64_le()
        } else {
            reader.u32_le().map(u64::from)
        };
        let place = place.ok_or_else(|| cut_short("the table of chunks is cut"))?;
        Ok(self.table.saturating_add(place))
    }

    fn next(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.given = 0;
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(self.chunk);
        self.left -= wanted as u64;
        let Some(method) = self.method else {
            let at = self.number * self.chunk as u64;
            self.number += 1;
            self.bytes = self.raw.bytes_at(at, wanted)?;
            return match self.bytes.len() == wanted {
                true => Ok(()),
                false => Err(cut_short("the content is cut")),
            };
        };
        let (start, end) = (self.place(self.number)?, self.place(self.number + 1)?);
        self.number += 1;
        let size = end
            .checked_sub(start)
            .and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size <= wanted);
        let size = size.ok_or_else(|| damaged("a chunk that is too long"))?;
        let data = self.raw.bytes_at(start, size)?;
        let is_cut = data.len() < size;
        let result = match method {
            _ if size == wanted => {
                self.bytes = data;
                Ok(())
            }
            Method::Xpress(_) => xpress::expand(&data, &mut self.bytes, wanted),
            Method::Lzx(window) => lzx::expand(&data, &mut self.bytes, wanted, window),
            Method::Unknown(_) => Err(damaged("an unknown method")),
        };
        if is_cut {
            return Err(cut_short("a chunk is cut"));
        }
        result
    }
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.bytes.get(self.given..).unwrap_or_default();
            let count = rest.read(out)?;
            self.given += count;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                self.left = 0;
                return Err(error);
            }
            if self.left == 0 {
                return Ok(0);
            }
            self.failed = self.next().err();
        }
    }
}
