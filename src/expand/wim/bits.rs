//! The bits of WIM's compressed forms: in words of 16.
#![forbid(unsafe_code)]

use std::io;

use crate::expand::cut_short;
use crate::expand::huffman::Code;

/// Bits in little-endian words of 16, the highest first.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    word: u64,
    count: u32,
    /// Bits that are read ahead, which decides where bytes stand between the words.
    ahead: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], ahead: u32) -> Self {
        let mut bits = Self {
            data,
            at: 0,
            word: 0,
            count: 0,
            ahead,
        };
        bits.fill(2 * ahead);
        bits
    }

    /// Makes `count` bits available, at most 32; behind the end there are zeros, for a code may be looked up that is shorter.
    #[inline]
    fn fill(&mut self, count: u32) {
        if self.count >= count {
            return;
        }
        let words = self.data.get(self.at..self.at + 4);
        if let Some([a, b, c, d]) = words {
            self.word = self.word << 32 | u64::from(u32::from_le_bytes([*c, *d, *a, *b]));
            self.at += 4;
            self.count += 32;
        } else {
            self.fill_last(count);
        }
    }

    /// The same near the end, word by word.
    #[cold]
    fn fill_last(&mut self, count: u32) {
        while self.count < count {
            let bytes = self.data.get(self.at..self.at + 2);
            let word = bytes.and_then(|bytes| bytes.try_into().ok());
            let word = word.map_or(0, u16::from_le_bytes);
            self.at += 2;
            self.word = self.word << 16 | u64::from(word);
            self.count += 16;
        }
    }

    #[inline]
    fn peek(&mut self, count: u32) -> u32 {
        self.fill(count);
        let bits = self.word >> (self.count - count) & ((1 << count) - 1);
        u32::try_from(bits).unwrap_or_default()
    }

    #[inline]
    fn skip(&mut self, count: u32) -> io::Result<()> {
        self.fill(count);
        self.count -= count;
        self.fill(self.ahead);
        // Words behind the end were only looked at.
        if self.at > self.data.len() + 6 {
            return Err(cut_short("compressed data are cut"));
        }
        Ok(())
    }

    /// The next bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> io::Result<u32> {
        let bits = self.peek(count);
        self.skip(count)?;
        Ok(bits)
    }

    /// A byte that stands between the words: behind those that the format has read by now.
    pub(super) fn byte(&mut self) -> io::Result<u8> {
        while self.count >= self.ahead + 16 {
            self.word >>= 16;
            self.count -= 16;
            self.at -= 2;
        }
        let byte = self.data.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| cut_short("compressed data are cut"))
    }

    /// Passes over the bits that are left of a word, or over a whole one where none is left.
    pub(super) fn align(&mut self) {
        if self.count.is_multiple_of(16) {
            self.at += 2;
        }
        self.at -= usize::try_from(self.count / 16 * 2).unwrap_or_default();
        (self.word, self.count) = (0, 0);
    }

    /// The next symbol of a code.
    #[inline]
    pub(super) fn symbol(&mut self, code: &Code) -> io::Result<u16> {
        let (symbol, length) = code.find(self.peek(16))?;
        self.skip(length)?;
        Ok(symbol)
    }
}
