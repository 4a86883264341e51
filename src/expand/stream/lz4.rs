//! LZ4 frames (lz4_Frame_format.md 1.6.4, lz4_Block_format.md): the present ones, the legacy ones, and those that are to be
//! passed over.
//!
//! Blocks are decoded here and not by a crate, for those give nothing of a block that is damaged or cut, and a block is up
//! to 8 MiB: most files have only one.
#![forbid(unsafe_code)]

use std::hash::Hasher;
use std::io::{self, Read};

use twox_hash::XxHash32;

use super::{Decoder, Input, Opened, too_large, unsupported, wrong_sum, zstd};
use crate::expand::{cut_short, damaged};

const MAGIC: &[u8] = b"\x04\x22\x4d\x18";
const LEGACY: &[u8] = b"\x02\x21\x4c\x18";

const LEGACY_BLOCK: usize = 8 << 20;

/// How far back a match reaches.
const WINDOW: usize = 64 << 10;

/// FLG: the blocks do not refer to each other.
const INDEPENDENT: u8 = 1 << 5;
const BLOCK_SUM: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_SUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;

/// The top bit of a block's length: it is not compressed.
const STORED: u32 = 1 << 31;

/// Tells whether these bytes begin a frame, of whatever sort.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || head.starts_with(LEGACY) || zstd::is_skippable(head)
}

struct Frame<'a> {
    input: Input<'a>,
    /// The flags; none for a legacy frame.
    flags: Option<u8>,
    block: usize,
    size: Option<u64>,
    /// What came out before that matches can refer to, and the content of a block.
    window: Vec<u8>,
    /// How much of it was given.
    given: usize,
    total: u64,
    sum: XxHash32,
    ended: bool,
    failed: Option<io::Error>,
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    let head = input.peek(4)?;
    if zstd::is_skippable(head) {
        return zstd::skip(input);
    }
    let legacy = head == LEGACY;
    if !legacy && head != MAGIC {
        return Err(damaged("not its magic"));
    }
    input.array::<4>("header")?;
    let mut frame = Frame {
        input,
        flags: None,
        block: LEGACY_BLOCK,
        size: None,
        window: Vec::new(),
        given: 0,
        total: 0,
        sum: XxHash32::with_seed(0),
        ended: false,
        failed: None,
    };
    if !legacy {
        frame.header()?;
    }
    // A block before and after it is decoded.
    if 2 * frame.block as u64 > memory {
        return Err(too_large("a block", frame.block as u64));
    }
    Ok(Box::new(frame))
}

impl Frame<'_> {
    fn header(&mut self) -> io::Result<()> {
        let fixed: [u8; 2] = self.input.array("header")?;
        let [flags, block] = fixed;
        if flags >> 6 != 1 || flags & 2 != 0 || block & 0x8f != 0 {
            let detail = format!("flags {flags:#04x} and {block:#04x}");
            return Err(unsupported("lz4-version", detail));
        }
        self.block = match block >> 4 {
            power @ 4..=7 => 1 << (8 + 2 * power),
            _ => return Err(damaged("block size")),
        };
        let mut header = fixed.to_vec();
        if flags & CONTENT_SIZE != 0 {
            let size: [u8; 8] = self.input.array("header")?;
            self.size = Some(u64::from_le_bytes(size));
            header.extend_from_slice(&size);
        }
        let mut dictionary = None;
        if flags & DICTIONARY != 0 {
            let number: [u8; 4] = self.input.array("header")?;
            dictionary = Some(u32::from_le_bytes(number));
            header.extend_from_slice(&number);
        }
        let [sum] = self.input.array("header")?;
        let [_, wanted, ..] = XxHash32::oneshot(0, &header).to_le_bytes();
        if sum != wanted {
            return Err(damaged("its checksum differs"));
        }
        if let Some(number) = dictionary {
            return Err(unsupported(
                "lz4-dictionary",
                format!("dictionary {number}"),
            ));
        }
        self.flags = Some(flags);
        Ok(())
    }

    fn has(&self, flag: u8) -> bool {
        self.flags.is_some_and(|flags| flags & flag != 0)
    }

    /// Decodes one block into the window, or finds the end.
    fn next(&mut self) -> io::Result<()> {
        let keep = if self.flags.is_none() || self.has(INDEPENDENT) {
            0
        } else {
            WINDOW
        };
        self.window.drain(..self.window.len().saturating_sub(keep));
        self.given = self.window.len();
        let Some(word) = self.length()? else {
            self.ended = true;
            return self.end();
        };
        let stored = self.flags.is_some() && word & STORED != 0;
        let length = if self.flags.is_some() {
            word & !STORED
        } else {
            word
        };
        let mut data = Vec::new();
        let mut limited = (&mut self.input).take(length.into());
        limited.read_to_end(&mut data)?;
        let whole = data.len() as u64 == u64::from(length);
        // What is there of a cut block is decoded, too.
        let decoded = if stored {
            self.window
                .extend_from_slice(data.get(..self.block).unwrap_or(&data));
            if data.len() > self.block {
                Err(damaged("LZ4 block is too long"))
            } else {
                Ok(())
            }
        } else {
            expand(&data, &mut self.window, self.given, self.block)
        };
        if !whole {
            return Err(cut_short("LZ4 data without its end"));
        }
        decoded?;
        if self.has(BLOCK_SUM) {
            let sum = u32::from_le_bytes(self.input.array("checksum of the LZ4 block")?);
            if sum != XxHash32::oneshot(0, &data) {
                return Err(damaged("checksum of the LZ4 block differs"));
            }
        }
        Ok(())
    }

    /// The next block's length and its top bit; nothing at the end, which a legacy frame does not mark.
    fn length(&mut self) -> io::Result<Option<u32>> {
        if self.flags.is_none() {
            let head = self.input.peek(4)?;
            if head.is_empty() || begins(head) {
                return Ok(None);
            }
        }
        let word = u32::from_le_bytes(self.input.array("LZ4 block")?);
        let most = match self.flags {
            Some(_) if word == 0 => return Ok(None),
            // Encoders store what does not shrink, but some allow it to grow.
            Some(_) => self.block + self.block / 255 + 16,
            None => LEGACY_BLOCK + LEGACY_BLOCK / 255 + 16,
        };
        let length = if self.flags.is_some() {
            word & !STORED
        } else {
            word
        };
        if u64::from(length) > most as u64 {
            return Err(damaged(format!("LZ4 block of {length} bytes")));
        }
        Ok(Some(word))
    }

    fn end(&mut self) -> io::Result<()> {
        if self.has(CONTENT_SUM) {
            let sum = u32::from_le_bytes(self.input.array("checksum of the LZ4 frame")?);
            if sum != self.sum.finish_32() {
                return Err(wrong_sum(damaged("checksum of the LZ4 frame differs")));
            }
        }
        match self.size {
            // Nothing is said by 0: some encoders leave it so.
            Some(size) if size != self.total && size != 0 => {
                Err(damaged(format!("{} bytes instead of {size}", self.total)))
            }
            _ => Ok(()),
        }
    }
}

/// Decodes `data` behind what is in `out`, of which the content begins at `start` and may have `most` bytes.
pub(in crate::expand) fn expand(
    data: &[u8],
    out: &mut Vec<u8>,
    start: usize,
    most: usize,
) -> io::Result<()> {
    let mut input = data;
    let end = start.saturating_add(most);
    while let Some((token, rest)) = input.split_first() {
        input = rest;
        let literals = length(usize::from(token >> 4), &mut input)?;
        let (bytes, rest) = input.split_at(literals.min(input.len()));
        let room = end.saturating_sub(out.len());
        out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if bytes.len() > room {
            return Err(damaged("LZ4 block is too long"));
        }
        if bytes.len() < literals {
            return Err(cut_short("LZ4 block is cut"));
        }
        input = rest;
        let Some((distance, rest)) = input.split_first_chunk() else {
            // The last sequence has only literals.
            return if input.is_empty() && token & 15 == 0 {
                Ok(())
            } else {
                Err(cut_short("LZ4 block is cut"))
            };
        };
        input = rest;
        let distance = usize::from(u16::from_le_bytes(*distance));
        let count = length(usize::from(token & 15), &mut input)?.saturating_add(4);
        let room = end.saturating_sub(out.len());
        repeat(out, distance, count.min(room))?;
        if count > room {
            return Err(damaged("LZ4 block is too long"));
        }
    }
    // An encoder ends with literals; what only has none is an empty block.
    Ok(())
}

/// A length that begins with four bits and goes on in bytes while they are full.
fn length(start: usize, input: &mut &[u8]) -> io::Result<usize> {
    let mut sum = start;
    if start < 15 {
        return Ok(sum);
    }
    loop {
        let (byte, rest) = input
            .split_first()
            .ok_or_else(|| cut_short("LZ4 block is cut"))?;
        *input = rest;
        sum = sum.saturating_add(usize::from(*byte));
        if *byte < 255 {
            return Ok(sum);
        }
    }
}

/// Appends `count` bytes that stand `distance` bytes back, which may be the ones that are appended.
pub(super) fn repeat(out: &mut Vec<u8>, distance: usize, count: usize) -> io::Result<()> {
    let from = out.len().checked_sub(distance).filter(|_| distance > 0);
    let Some(from) = from else {
        return Err(damaged("match before the start"));
    };
    let mut left = count;
    while left > 0 {
        // What was appended repeats the same bytes, so each step can be twice as long.
        let step = left.min(out.len() - from);
        out.extend_from_within(from..from + step);
        left -= step;
    }
    Ok(())
}

impl Read for Frame<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self
                .window
                .get(self.given..)
                .unwrap_or_default()
                .read(out)?;
            if count > 0 {
                let bytes = out.get(..count).unwrap_or_default();
                if self.has(CONTENT_SUM) {
                    self.sum.write(bytes);
                }
                self.given += count;
                self.total = self.total.saturating_add(count as u64);
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.ended {
                return Ok(0);
            }
            if let Err(error) = self.next() {
                self.failed = Some(error);
            }
        }
    }
}

impl<'a> Decoder<'a> for Frame<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}
