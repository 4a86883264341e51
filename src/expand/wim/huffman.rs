//! What the compressed forms of WIM have in common: bits in words of 16, and codes by their lengths.
#![forbid(unsafe_code)]

use std::io;

use crate::expand::{cut_short, damaged};

/// The longest code.
const LONGEST: usize = 16;

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

    /// Makes `count` bits available; behind the end there are zeros, for a code may be looked up that is shorter.
    fn fill(&mut self, count: u32) {
        while self.count < count {
            let bytes = self.data.get(self.at..self.at + 2);
            let word = bytes.and_then(|bytes| bytes.try_into().ok());
            let word = word.map_or(0, u16::from_le_bytes);
            self.at += 2;
            self.word = self.word << 16 | u64::from(word);
            self.count += 16;
        }
    }

    fn peek(&mut self, count: u32) -> u32 {
        self.fill(count);
        let bits = self.word >> (self.count - count) & ((1 << count) - 1);
        u32::try_from(bits).unwrap_or_default()
    }

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
    pub(super) fn take(&mut self, count: u32) -> io::Result<u32> {
        let bits = self.peek(count);
        self.skip(count)?;
        Ok(bits)
    }

    /// A byte that stands between the words.
    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let byte = self.data.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| cut_short("compressed data are cut"))
    }

    /// Passes over the bits that are left of a word, or over a whole one where none is left.
    pub(super) fn align(&mut self) {
        if self.count.is_multiple_of(16) && self.count < 16 {
            self.at += 2;
        }
        self.at -= usize::try_from(self.count / 16 * 2).unwrap_or_default();
        (self.word, self.count) = (0, 0);
    }
}

/// Codes up to this length are looked up at once.
const QUICK: u32 = 10;

/// A canonical code.
pub(super) struct Code {
    /// By the next `QUICK` bits: the symbol, and in the lowest five bits the length of its code; 0 where it is longer.
    quick: Vec<u16>,
    /// For each length: the first code, the first symbol's place, and how many there are.
    rows: [(u32, usize, u32); LONGEST + 1],
    symbols: Vec<u16>,
}

impl Code {
    pub(super) fn new(lengths: &[u8]) -> io::Result<Self> {
        let mut counts = [0_u32; LONGEST + 1];
        for length in lengths {
            if let Some(count) = counts.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        let mut rows = [(0, 0, 0); LONGEST + 1];
        let (mut code, mut place) = (0_u32, 0_usize);
        for (row, count) in rows.iter_mut().zip(counts).skip(1) {
            code <<= 1;
            *row = (code, place, count);
            code += count;
            place += count as usize;
        }
        if code > 1 << LONGEST {
            return Err(damaged("a code with too many symbols"));
        }
        let mut symbols = Vec::new();
        let mut quick = Vec::new();
        for wanted in 1..=LONGEST {
            for (symbol, length) in (0_u16..).zip(lengths) {
                if usize::from(*length) != wanted {
                    continue;
                }
                symbols.push(symbol);
                if let Some(shorter) = QUICK.checked_sub(u32::from(*length)) {
                    let entry = symbol << 5 | u16::from(*length);
                    quick.resize(quick.len() + (1 << shorter), entry);
                }
            }
        }
        quick.resize(1 << QUICK, 0);
        Ok(Self {
            quick,
            rows,
            symbols,
        })
    }

    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> io::Result<u16> {
        let ahead = bits.peek(16);
        let quick = self.quick.get((ahead >> (16 - QUICK)) as usize);
        if let Some(entry) = quick.filter(|entry| **entry != 0) {
            bits.skip(u32::from(entry & 31))?;
            return Ok(entry >> 5);
        }
        for (length, (first, place, count)) in (0_u32..).zip(&self.rows).skip(1) {
            let code = ahead >> (16 - length);
            if let Some(number) = code.checked_sub(*first).filter(|number| number < count) {
                bits.skip(length)?;
                let symbol = self.symbols.get(place + number as usize);
                return symbol
                    .copied()
                    .ok_or_else(|| damaged("a code that is none"));
            }
        }
        Err(damaged("a code that is none"))
    }
}

/// Appends a copy of what came `distance` bytes before, up to the length `most` of all.
pub(super) fn repeat(
    out: &mut Vec<u8>,
    distance: usize,
    length: usize,
    most: usize,
) -> io::Result<()> {
    let start = out.len().checked_sub(distance).filter(|_| distance > 0);
    let start = start.ok_or_else(|| damaged("a copy from before the start"))?;
    let room = most.saturating_sub(out.len());
    let mut left = length.min(room);
    while left > 0 {
        // A copy may go on into itself: what was copied is there to be copied again.
        let part = left.min(out.len() - start);
        out.extend_from_within(start..start + part);
        left -= part;
    }
    if length > room {
        return Err(damaged("a copy behind the end"));
    }
    Ok(())
}
