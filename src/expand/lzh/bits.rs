//! The bits of LHA's codes: the highest of each byte first.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::expand::cut_short;
use crate::expand::huffman::Code;

/// Bytes that are read at once.
const BUFFER: usize = 16 * 1024;

/// Bits of an input that is read up to its end and not given back.
pub(super) struct Bits<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    /// The next bits from the top, and how many they are, fewer than 64.
    word: u64,
    count: u32,
}

impl<R: Read> Bits<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            word: 0,
            count: 0,
        }
    }

    /// Makes at least 56 bits available, or all that there are; what follows them is zeros.
    #[inline]
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let next = self.buffer.get(self.at..).and_then(<[u8]>::first_chunk);
        let Some(next) = next else {
            return self.fill_slowly();
        };
        // Whole bytes are counted, but the bits behind them are there already and come once more.
        self.word |= u64::from_be_bytes(*next) >> self.count;
        self.at += ((63 - self.count) / 8) as usize;
        self.count |= 56;
        Ok(())
    }

    #[cold]
    fn fill_slowly(&mut self) -> io::Result<()> {
        // Bits behind the count may be there, from bytes that are not counted.
        self.word &= !(u64::MAX >> self.count);
        while self.count < 56 {
            if self.at == self.buffer.len() && !self.more()? {
                break;
            }
            let byte = self.buffer.get(self.at).copied().unwrap_or_default();
            self.word |= u64::from(byte) << (56 - self.count);
            self.at += 1;
            self.count += 8;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<bool> {
        self.buffer.resize(BUFFER, 0);
        self.at = 0;
        let read = loop {
            match self.input.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// The next bits, at most as many as were made available.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> io::Result<usize> {
        let bits = self.word >> 1 >> (63 - count);
        self.skip(count)?;
        Ok(usize::try_from(bits).unwrap_or_default())
    }

    /// The next symbol of a code.
    #[inline]
    pub(super) fn symbol(&mut self, code: &Code) -> io::Result<usize> {
        let ahead = u32::try_from(self.word >> 48).unwrap_or_default();
        let (symbol, length) = code.find(ahead)?;
        self.skip(length)?;
        Ok(usize::from(symbol))
    }

    #[inline]
    fn skip(&mut self, count: u32) -> io::Result<()> {
        let Some(left) = self.count.checked_sub(count) else {
            return Err(cut_short("the compressed data end too early"));
        };
        self.count = left;
        self.word <<= count;
        Ok(())
    }
}
