//! The bits that Zstandard writes forward and reads from their end (RFC 8878 §4.1).
#![forbid(unsafe_code)]

use std::io;

use crate::expand::damaged;

/// Bytes that stand before a block where its bits are read: words may be read that begin before the stream does.
pub(super) const BEFORE: usize = 16;

/// Bits from the last one set of a stream, backwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The first byte of the stream.
    start: usize,
    /// Where the word was read that is at hand, and how many of its highest bits are used.
    at: usize,
    word: u64,
    used: u32,
}

impl<'a> Bits<'a> {
    /// The stream from `start` on to the end of `data`, of which it is not the first [`BEFORE`] bytes.
    pub(super) fn new(data: &'a [u8], start: usize) -> io::Result<Self> {
        let last = data.get(start..).and_then(<[u8]>::last);
        let last = last.filter(|last| **last != 0);
        let last = last.ok_or_else(|| damaged("bits without their end"))?;
        let mut bits = Self::unmarked(data, start);
        bits.skip(last.leading_zeros() + 1);
        Ok(bits)
    }

    /// As [`Self::new`], but all bits of the last byte belong to the stream.
    pub(super) fn unmarked(data: &'a [u8], start: usize) -> Self {
        let mut bits = Self {
            data,
            start,
            at: data.len().saturating_sub(8),
            word: 0,
            used: 0,
        };
        bits.fill();
        bits
    }

    /// Makes 57 bits available. Before the start of the stream there is something that means nothing: [`Self::left`] tells.
    #[inline]
    pub(super) fn fill(&mut self) {
        self.at = self.at.saturating_sub((self.used / 8) as usize);
        self.used %= 8;
        let word = self.data.get(self.at..).and_then(<[u8]>::first_chunk);
        self.word = word.map_or(0, |word| u64::from_le_bytes(*word));
    }

    /// The next bits, at least one.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> u64 {
        (self.word << (self.used & 63)) >> (count.wrapping_neg() & 63)
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        self.used += count;
    }

    /// The next bits, at most as many as were made available.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u64 {
        let bits = (self.word << (self.used & 63)) >> 1 >> (63 - (count & 63));
        self.used += count;
        bits
    }

    /// The bits that are left; negative when more were used than there are.
    #[inline]
    pub(super) fn left(&self) -> i64 {
        let bytes = self.at as i64 - self.start as i64;
        8 * bytes + 64 - i64::from(self.used)
    }
}

/// Bits from the first on, the lowest of each byte first.
pub(super) struct Forward<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next bits, at most 16; behind the end there are zeros.
    pub(super) fn peek(&self, count: u32) -> u32 {
        let byte = |place| self.data.get(self.at / 8 + place).copied();
        let word = [0, 1, 2].map(|place| byte(place).unwrap_or_default());
        let [first, second, third] = word.map(u32::from);
        (first | second << 8 | third << 16) >> (self.at % 8) & ((1 << count) - 1)
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.at += count as usize;
    }

    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// Bytes that were begun.
    pub(super) fn bytes(&self) -> usize {
        self.at.div_ceil(8)
    }
}
