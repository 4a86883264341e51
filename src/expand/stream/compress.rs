//! Unix compress: LZW with codes of 9 to 16 bits, the lowest bit first (ncompress's description of its format).
//!
//! Codes come in groups of eight; when their width changes, the rest of the group is passed over. There is neither an end
//! mark nor a checksum: a file that is cut between two codes is one.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Decoder, Input, Opened, fill};
use crate::expand::{cut_short, damaged};

const MAGIC: [u8; 2] = [0x1f, 0x9d];

/// The flag for files whose code 256 empties the table.
const BLOCKS: u8 = 0x80;
const CLEAR: u16 = 256;
const FIRST_WIDTH: u32 = 9;
const LONGEST: u32 = 16;

struct Lzw<'a> {
    input: Input<'a>,
    /// Bits that were read and not used, and how many there are.
    bits: u64,
    left: u32,
    width: u32,
    /// The most bits of a code in this file.
    widest: u32,
    blocks: bool,
    /// Codes that were read since the width changed.
    codes: u32,
    /// The bytes of an entry are those of the entry `prefix`, and `last`.
    prefix: Vec<u16>,
    last: Vec<u8>,
    /// The code before, and its first byte.
    before: Option<(u16, u8)>,
    /// What a code stands for, from its end on.
    pending: Vec<u8>,
    failed: Option<io::Error>,
}

pub(super) fn open(mut input: Input<'_>, _memory: u64) -> Opened<'_> {
    let [a, b, flags] = input.array("header")?;
    let widest = u32::from(flags & 0x1f);
    if [a, b] != MAGIC || !(FIRST_WIDTH..=LONGEST).contains(&widest) {
        return Err(damaged("width of codes"));
    }
    let mut lzw = Lzw {
        input,
        bits: 0,
        left: 0,
        width: FIRST_WIDTH,
        widest,
        blocks: flags & BLOCKS != 0,
        codes: 0,
        prefix: Vec::new(),
        last: Vec::new(),
        before: None,
        pending: Vec::new(),
        failed: None,
    };
    lzw.clear();
    Ok(Box::new(lzw))
}

impl Lzw<'_> {
    /// Empties the table: the bytes themselves are left, and the code that clears.
    fn clear(&mut self) {
        let entries = 256 + usize::from(self.blocks);
        self.prefix.clear();
        self.prefix.resize(entries, 0);
        self.last = (0..=u8::MAX).collect();
        self.last.resize(entries, 0);
        self.before = None;
    }

    /// Passes over the rest of the group, and goes on with another width.
    fn widen(&mut self, width: u32) -> io::Result<()> {
        let rest = self.codes.next_multiple_of(8) - self.codes;
        for _ in 0..rest {
            if self.code()?.is_none() {
                break;
            }
        }
        self.codes = 0;
        self.width = width;
        Ok(())
    }

    /// The next code; nothing at the end.
    fn code(&mut self) -> io::Result<Option<u16>> {
        while self.left < self.width {
            let Some(byte) = self.input.byte()? else {
                // What is left fills the last byte.
                if self.left >= 8 || self.bits != 0 {
                    return Err(cut_short("compressed data without its end"));
                }
                return Ok(None);
            };
            self.bits |= u64::from(byte) << self.left;
            self.left += 8;
        }
        let code = self.bits & ((1 << self.width) - 1);
        self.bits >>= self.width;
        self.left -= self.width;
        self.codes += 1;
        Ok(u16::try_from(code).ok())
    }

    fn step(&mut self) -> io::Result<bool> {
        let full = self.prefix.len() >= 1 << self.widest;
        // The programs go from 9 bits to 10 even where 9 are the most.
        let widest = self.widest.max(FIRST_WIDTH + 1);
        if self.prefix.len() >= 1 << self.width && self.width < widest {
            self.widen(self.width + 1)?;
        }
        let Some(code) = self.code()? else {
            return Ok(false);
        };
        if code == CLEAR && self.blocks {
            self.widen(FIRST_WIDTH)?;
            self.clear();
            return Ok(true);
        }
        let known = usize::from(code) < self.prefix.len();
        let start = match self.before {
            // The entry that is made now: what the code before stands for, and its first byte.
            Some((before, first)) if !known && usize::from(code) == self.prefix.len() && !full => {
                self.pending.push(first);
                before
            }
            None if code < CLEAR => code,
            Some(_) if known => code,
            _ => return Err(damaged("LZW code that is none")),
        };
        let first = self.unroll(start);
        if let Some((before, _)) = self.before
            && !full
        {
            self.prefix.push(before);
            self.last.push(first);
        }
        self.before = Some((code, first));
        Ok(true)
    }

    /// Puts what a code stands for behind what is pending, from its end on, and gives its first byte.
    fn unroll(&mut self, code: u16) -> u8 {
        let mut code = usize::from(code);
        // An entry refers to one before it, so this ends.
        while code > usize::from(u8::MAX) {
            self.pending
                .push(self.last.get(code).copied().unwrap_or_default());
            code = usize::from(self.prefix.get(code).copied().unwrap_or_default());
        }
        let first = code.to_le_bytes()[0];
        self.pending.push(first);
        first
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(byte) = self.pending.pop() {
                return Ok(Some(byte));
            }
            if !self.step()? {
                return Ok(None);
            }
        }
    }
}

impl Read for Lzw<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut failed = self.failed.take();
        let count = fill(out, &mut failed, || self.next());
        self.failed = failed;
        count
    }
}

impl<'a> Decoder<'a> for Lzw<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}
