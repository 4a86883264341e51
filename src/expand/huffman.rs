//! Canonical Huffman codes by the lengths of their symbols' codes.
#![forbid(unsafe_code)]

use std::io;

use super::damaged;

/// The longest code.
const LONGEST: usize = 16;

/// Codes up to this length are looked up at once.
const QUICK: u32 = 10;

/// In the place of a length: the code is longer, or there is none.
const LONGER: u16 = 31;

/// A canonical code.
pub(super) struct Code {
    /// By the next `QUICK` bits: the symbol, and in the lowest five bits the length of its code, or [`LONGER`].
    quick: Vec<u16>,
    /// For each length: the first code, the first symbol's place, and how many there are.
    rows: [(u32, usize, u32); LONGEST + 1],
    symbols: Vec<u16>,
}

impl Code {
    /// The code in which each symbol has a code of this length; 0 for one that does not occur.
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
        let mut symbols = vec![0; place];
        let mut next = rows;
        for (symbol, length) in (0_u16..).zip(lengths).filter(|(_, length)| **length > 0) {
            let row = next.get_mut(usize::from(*length));
            let slot = row.and_then(|(_, place, _)| {
                *place += 1;
                symbols.get_mut(*place - 1)
            });
            if let Some(slot) = slot {
                *slot = symbol;
            }
        }
        let mut quick = Vec::with_capacity(1 << QUICK);
        for ((length, shorter), (_, place, count)) in
            (1_u16..).zip((0..QUICK).rev()).zip(rows.iter().skip(1))
        {
            let symbols = symbols.get(*place..*place + *count as usize);
            for symbol in symbols.unwrap_or_default() {
                quick.resize(quick.len() + (1 << shorter), symbol << 5 | length);
            }
        }
        quick.resize(1 << QUICK, LONGER);
        Ok(Self {
            quick,
            rows,
            symbols,
        })
    }

    /// The code of a symbol that is the only one, and takes no bits; its number is less than 2048.
    pub(super) fn single(symbol: u16) -> Self {
        Self {
            quick: vec![symbol << 5; 1 << QUICK],
            rows: [(0, 0, 0); LONGEST + 1],
            symbols: Vec::new(),
        }
    }

    /// The symbol whose code the next 16 bits begin with, and the length of that code.
    #[inline]
    pub(super) fn find(&self, ahead: u32) -> io::Result<(u16, u32)> {
        let quick = self.quick.get((ahead >> (16 - QUICK)) as usize);
        if let Some(entry) = quick.filter(|entry| **entry & 31 != LONGER) {
            return Ok((entry >> 5, u32::from(entry & 31)));
        }
        let longer = (0_u32..).zip(&self.rows).skip(QUICK as usize + 1);
        for (length, (first, place, count)) in longer {
            let code = ahead >> (16 - length);
            if let Some(number) = code.checked_sub(*first).filter(|number| number < count) {
                let symbol = self.symbols.get(place + number as usize);
                let symbol = symbol.ok_or_else(|| damaged("a code that is none"))?;
                return Ok((*symbol, length));
            }
        }
        Err(damaged("a code that is none"))
    }
}
