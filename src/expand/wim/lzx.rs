//! LZX as WIM has it ([MS-PATCH] §2.2 without its prefix): chunks that are compressed each for itself, blocks whose usual size
//! takes one bit, and calls of programs that are always translated.
#![forbid(unsafe_code)]

use std::io;

use super::bits::Bits;
use super::repeat::repeat;
use crate::expand::damaged;
use crate::expand::huffman::Code;

/// Symbols of the main code that are bytes, of the code of lengths, and of the code of codes.
const BYTES: usize = 256;
const LENGTHS: usize = 249;
const CODE_LENGTHS: usize = 20;

/// The usual size of a block.
const BLOCK: usize = 32 * 1024;

/// The size of a program as calls are translated.
const PROGRAM: i32 = 12_000_000;

/// Decodes a chunk of at most `most` bytes.
pub(super) fn expand(data: &[u8], out: &mut Vec<u8>, most: usize, window: usize) -> io::Result<()> {
    let mut chunk = Chunk {
        bits: Bits::new(data, 0),
        main: vec![0; BYTES + 8 * slots(window)],
        lengths: vec![0; LENGTHS],
        recent: [1; 3],
        wide: window > 1 << 15,
    };
    let result = chunk.blocks(out, most);
    translate(out);
    result
}

/// Positions that codes distinguish in a window.
fn slots(window: usize) -> usize {
    match window {
        0..=0x8000 => 30,
        0x8001..=0x1_0000 => 32,
        0x1_0001..=0x2_0000 => 34,
        0x2_0001..=0x4_0000 => 36,
        0x4_0001..=0x8_0000 => 38,
        0x8_0001..=0x10_0000 => 42,
        _ => 50,
    }
}

struct Chunk<'a> {
    bits: Bits<'a>,
    /// The lengths of the codes of the block before.
    main: Vec<u8>,
    lengths: Vec<u8>,
    recent: [usize; 3],
    /// Sizes of blocks have 24 bits and not 16.
    wide: bool,
}

impl Chunk<'_> {
    fn blocks(&mut self, out: &mut Vec<u8>, most: usize) -> io::Result<()> {
        while out.len() < most {
            let kind = self.bits.take(3)?;
            let mut size = BLOCK;
            if self.bits.take(1)? == 0 {
                size = self.bits.take(16)? as usize;
                if self.wide {
                    size = size << 8 | self.bits.take(8)? as usize;
                }
            }
            if size == 0 {
                return Err(damaged("a block of nothing"));
            }
            let end = out.len().saturating_add(size).min(most);
            match kind {
                1 => self.block(out, end, None)?,
                2 => {
                    let mut lengths = [0; 8];
                    for length in &mut lengths {
                        *length = u8::try_from(self.bits.take(3)?).unwrap_or_default();
                    }
                    let aligned = Code::new(&lengths)?;
                    self.block(out, end, Some(&aligned))?;
                }
                3 => self.stored(out, end)?,
                kind => return Err(damaged(format!("a block of type {kind}"))),
            }
        }
        Ok(())
    }

    fn stored(&mut self, out: &mut Vec<u8>, end: usize) -> io::Result<()> {
        self.bits.align();
        for place in &mut self.recent {
            let mut word = [0; 4];
            for byte in &mut word {
                *byte = self.bits.byte()?;
            }
            *place = u32::from_le_bytes(word) as usize;
        }
        let size = end - out.len();
        for _ in 0..size {
            out.push(self.bits.byte()?);
        }
        if size % 2 == 1 {
            self.bits.byte()?;
        }
        Ok(())
    }

    fn block(&mut self, out: &mut Vec<u8>, end: usize, aligned: Option<&Code>) -> io::Result<()> {
        let (bytes, copies) = self.main.split_at_mut(BYTES);
        read_lengths(&mut self.bits, bytes)?;
        read_lengths(&mut self.bits, copies)?;
        read_lengths(&mut self.bits, &mut self.lengths)?;
        let main = Code::new(&self.main)?;
        let lengths = Code::new(&self.lengths)?;
        while out.len() < end {
            let symbol = usize::from(self.bits.symbol(&main)?);
            let Some(copy) = symbol.checked_sub(BYTES) else {
                out.push(u8::try_from(symbol).unwrap_or_default());
                continue;
            };
            let mut length = copy & 7;
            if length == 7 {
                length += usize::from(self.bits.symbol(&lengths)?);
            }
            let distance = self.distance(copy >> 3, aligned)?;
            repeat(out, distance, length + 2, end)?;
        }
        Ok(())
    }

    fn distance(&mut self, slot: usize, aligned: Option<&Code>) -> io::Result<usize> {
        let [first, second, third] = self.recent;
        match slot {
            0 => {}
            1 => self.recent = [second, first, third],
            2 => self.recent = [third, second, first],
            _ => {
                let extra = u32::try_from((slot / 2).saturating_sub(1).min(17)).unwrap_or_default();
                // The places before: each pair of slots has twice as many as the pair before it.
                let base = if slot < 4 {
                    slot
                } else if slot < 38 {
                    (2 + slot % 2) << extra
                } else {
                    (slot - 34) << 17
                };
                let bits = match aligned {
                    Some(aligned) if extra >= 3 => {
                        let high = self.wide_bits(extra - 3)? << 3;
                        high + usize::from(self.bits.symbol(aligned)?)
                    }
                    _ => self.wide_bits(extra)?,
                };
                let distance = (base + bits).saturating_sub(2);
                self.recent = [distance, first, second];
            }
        }
        let [distance, ..] = self.recent;
        Ok(distance)
    }

    fn wide_bits(&mut self, count: u32) -> io::Result<usize> {
        let high = self.bits.take(count.saturating_sub(16))? as usize;
        let low = self.bits.take(count.min(16))? as usize;
        Ok(high << count.min(16) | low)
    }
}

/// Reads the lengths of a code, as differences from those before.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> io::Result<()> {
    let mut own = [0; CODE_LENGTHS];
    for length in &mut own {
        *length = u8::try_from(bits.take(4)?).unwrap_or_default();
    }
    let code = Code::new(&own)?;
    let mut at = 0;
    while at < lengths.len() {
        let differ = |before: u8, symbol: u16| {
            let symbol = u8::try_from(symbol).unwrap_or_default();
            (before + 17).wrapping_sub(symbol) % 17
        };
        let before = lengths.get(at).copied().unwrap_or_default();
        let symbol = bits.symbol(&code)?;
        let (count, value) = match symbol {
            17 => (4 + bits.take(4)?, 0),
            18 => (20 + bits.take(5)?, 0),
            19 => {
                let count = 4 + bits.take(1)?;
                let symbol = bits.symbol(&code)?;
                if symbol > 16 {
                    return Err(damaged("the lengths of a code"));
                }
                (count, differ(before, symbol))
            }
            symbol => (1, differ(before, symbol)),
        };
        let count = count as usize;
        // What is too much is passed over.
        let end = (at + count).min(lengths.len());
        if let Some(part) = lengths.get_mut(at..end) {
            part.fill(value);
        }
        at = end;
    }
    Ok(())
}

/// Makes the targets of calls relative again.
fn translate(out: &mut [u8]) {
    let end = out.len().saturating_sub(10);
    let mut at = 0;
    while at < end {
        let Some(found) = out.get(at..end).and_then(|rest| memchr::memchr(0xe8, rest)) else {
            break;
        };
        at += found;
        let Some(target) = out.get_mut(at + 1..at + 5) else {
            break;
        };
        let absolute = <[u8; 4]>::try_from(&*target).map_or(0, i32::from_le_bytes);
        let place = i32::try_from(at).unwrap_or_default();
        let relative = if (0..PROGRAM).contains(&absolute) {
            Some(absolute - place)
        } else if (-place..0).contains(&absolute) {
            Some(absolute + PROGRAM)
        } else {
            None
        };
        if let Some(relative) = relative {
            target.copy_from_slice(&relative.to_le_bytes());
        }
        at += 5;
    }
}
