//! xz (the .xz file format 1.2.1): one stream of blocks, with its index.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use lzma_rust2::{Action, Status, XzReader, XzStream};

use super::{Decoder, Input, Opened, too_large, unsupported};
use crate::expand::{cut_short, damaged};

pub(super) const MAGIC: &[u8] = b"\xfd7zXZ\0";

/// What the crate is given at a time, in bytes: what comes of a step in which it finds damage is lost.
const STEP: usize = 64;

/// Bytes of a stream header.
const HEADER: usize = 12;

/// The flags of a block in which the number of its filters stands, less one. The last is LZMA2.
const FILTERS: u8 = 3;

struct Xz<'a> {
    stream: XzStream,
    input: Input<'a>,
    memory: u64,
    ended: bool,
    /// The crate is not asked again after an error.
    failed: Option<io::Error>,
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    header(input.peek(HEADER)?)?;
    let most = u32::try_from(memory / 1024).unwrap_or(u32::MAX);
    if let Some([size, flags]) = input.peek(HEADER + 2)?.get(HEADER..)
        && *size != 0
        && flags & FILTERS > 1
    {
        return Ok(Box::new(Chain {
            reader: XzReader::new_mem_limit(input, false, most),
            memory,
        }));
    }
    Ok(Box::new(Xz {
        stream: XzStream::new_mem_limit(false, most),
        input,
        memory,
        ended: false,
        failed: None,
    }))
}

/// The stream header, so that a content of which nothing can come has no member.
fn header(bytes: &[u8]) -> io::Result<()> {
    let Some((magic, rest)) = bytes.split_at_checked(MAGIC.len()) else {
        return Err(cut_short("header is cut"));
    };
    let Some((flags, sum)) = rest.split_at_checked(2).filter(|(_, sum)| sum.len() == 4) else {
        return Err(cut_short("header is cut"));
    };
    if magic != MAGIC || crc32fast::hash(flags).to_le_bytes() != sum {
        return Err(damaged("its checksum differs"));
    }
    Ok(())
}

impl<'a> Decoder<'a> for Xz<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

impl Xz<'_> {
    /// One step; nothing when it led nowhere yet.
    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.fill_buf()?;
        let exhausted = bytes.is_empty();
        let bytes = bytes.get(..STEP).unwrap_or(bytes);
        let before = self.stream.total_out();
        let (used, given) = match self.stream.process(bytes, out, Action::Run) {
            Ok(result) => {
                self.ended = result.status == Status::StreamEnd;
                (result.bytes_consumed, result.bytes_produced)
            }
            Err(error) => {
                let given = self.stream.total_out() - before;
                self.failed = Some(self.tell(&error));
                (0, usize::try_from(given).unwrap_or_default())
            }
        };
        self.input.consume(used);
        if used == 0 && given == 0 && !self.ended && self.failed.is_none() {
            self.failed = Some(if exhausted {
                cut_short("xz data without its end")
            } else {
                damaged("damaged xz data")
            });
        }
        // The crate keeps a few bytes for each block: where blocks are hardly more than that, it keeps all.
        let (read, written) = (self.stream.total_in(), self.stream.total_out());
        if read > self.memory && written < read / 4 * 3 {
            self.failed = Some(too_large("an index", read));
        }
        Ok(given)
    }

    fn tell(&self, error: &io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::OutOfMemory => {
                let needed = self.stream.memory_usage().unwrap_or_default();
                too_large("a dictionary", u64::from(needed) * 1024)
            }
            // A block with a chain of filters, behind one without.
            _ if error.to_string().contains(CHAIN) => unsupported("xz-filter", "several filters"),
            _ => told(error),
        }
    }
}

/// What the crate says of filters that it would have to apply one after the other.
const CHAIN: &str = "multiple non-LZMA2 filters";

fn told(error: &io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Unsupported => unsupported("xz-filter", error.to_string()),
        io::ErrorKind::UnexpectedEof => cut_short("xz data without its end"),
        _ => damaged(format!("damaged xz data: {error}")),
    }
}

/// A stream whose first block has several filters before LZMA2, which the crate's other reader applies.
struct Chain<'a> {
    reader: XzReader<Input<'a>>,
    memory: u64,
}

impl<'a> Decoder<'a> for Chain<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.reader.into_inner()
    }
}

impl Read for Chain<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(STEP);
        let result = self.reader.read(out.get_mut(..most).unwrap_or_default());
        result.map_err(|error| match self.reader.inner().fault() {
            Some(fault) => fault,
            None if error.kind() == io::ErrorKind::OutOfMemory => {
                too_large("a dictionary, more", self.memory)
            }
            None => told(&error),
        })
    }
}

impl Read for Xz<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && !self.ended {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let count = self.step(out)?;
            if count > 0 {
                return Ok(count);
            }
        }
        Ok(0)
    }
}
