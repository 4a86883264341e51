//! KWAJ's third method: Huffman codes for a window of 4,096 blanks.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Input, fill};
use crate::expand::{cut_short, damaged};

const WINDOW: usize = 4096;

/// The trees: lengths of matches, the same behind few literals, numbers of literals, distances, literals.
const SYMBOLS: [(usize, u8); 5] = [(16, 4), (16, 4), (32, 5), (64, 6), (256, 8)];

/// The longest code in bits.
const LONGEST: usize = 15;

/// Bits, the highest of a byte first.
struct Bits<'a> {
    input: Input<'a>,
    byte: u8,
    left: u8,
}

impl Bits<'_> {
    fn bit(&mut self) -> io::Result<Option<u16>> {
        if self.left == 0 {
            let Some(byte) = self.input.byte()? else {
                return Ok(None);
            };
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        Ok(Some(u16::from(self.byte >> self.left & 1)))
    }

    fn number(&mut self, bits: u8) -> io::Result<u16> {
        let mut number = 0;
        for _ in 0..bits {
            let bit = self.bit()?.ok_or_else(cut)?;
            number = number << 1 | bit;
        }
        Ok(number)
    }
}

fn cut() -> io::Error {
    cut_short("KWAJ data without its end")
}

/// A canonical code: how many symbols there are of each length, and the symbols in the order of their codes.
struct Tree {
    counts: [u16; LONGEST + 1],
    symbols: Vec<u16>,
}

impl Tree {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; LONGEST + 1];
        let mut symbols = Vec::new();
        for length in 1..=LONGEST {
            let of_length = (0_u16..).zip(lengths);
            let before = symbols.len();
            symbols.extend(
                of_length
                    .filter(|(_, l)| usize::from(**l) == length)
                    .map(|(s, _)| s),
            );
            if let Some(count) = counts.get_mut(length) {
                *count = u16::try_from(symbols.len() - before).unwrap_or_default();
            }
        }
        Self { counts, symbols }
    }

    /// The next symbol; nothing at the end of the data, and in what fills its last byte.
    fn read(&self, bits: &mut Bits<'_>) -> io::Result<Option<u16>> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in self.counts.iter().skip(1) {
            let Some(bit) = bits.bit()? else {
                return Ok(None);
            };
            code |= u32::from(bit);
            let count = u32::from(*count);
            if let Some(at) = code.checked_sub(first).filter(|at| *at < count) {
                let at = usize::try_from(index + at).unwrap_or(usize::MAX);
                return Ok(self.symbols.get(at).copied());
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(damaged("KWAJ code that is none"))
    }
}

/// The lengths of one tree's codes, in the way that `encoding` says.
fn lengths(bits: &mut Bits<'_>, encoding: u16, symbols: usize, all: u8) -> io::Result<Vec<u8>> {
    if encoding == 0 {
        return Ok(vec![all; symbols]);
    }
    let nibble = |bits: &mut Bits<'_>| bits.number(4).map(|n| n.to_le_bytes()[0]);
    let mut last = nibble(bits)?;
    let mut lengths = vec![last];
    while lengths.len() < symbols {
        last = match encoding {
            1 if bits.number(1)? == 0 => last,
            1 if bits.number(1)? == 0 => last + 1,
            2 => match bits.number(2)? {
                0 => last
                    .checked_sub(1)
                    .ok_or_else(|| damaged("KWAJ code length"))?,
                1 => last,
                2 => last + 1,
                _ => nibble(bits)?,
            },
            1 | 3 => nibble(bits)?,
            _ => return Err(damaged("KWAJ code lengths")),
        };
        if usize::from(last) > LONGEST {
            return Err(damaged("KWAJ code length"));
        }
        lengths.push(last);
    }
    Ok(lengths)
}

pub(super) struct Lzh<'a> {
    bits: Bits<'a>,
    trees: [Tree; 5],
    window: Box<[u8; WINDOW]>,
    at: usize,
    /// Literals and bytes of a match that are still to come, and how far back the match is.
    literals: u16,
    matched: u16,
    distance: usize,
    after_few: bool,
    failed: Option<io::Error>,
}

impl<'a> Lzh<'a> {
    pub(super) fn new(input: Input<'a>) -> io::Result<Self> {
        let mut bits = Bits {
            input,
            byte: 0,
            left: 0,
        };
        let mut encodings = [0; 5];
        for encoding in &mut encodings {
            *encoding = bits.number(4)?;
        }
        bits.number(4)?;
        let mut trees = Vec::new();
        for (encoding, (symbols, all)) in encodings.into_iter().zip(SYMBOLS) {
            trees.push(Tree::new(&lengths(&mut bits, encoding, symbols, all)?));
        }
        Ok(Self {
            bits,
            trees: trees.try_into().map_err(|_| damaged("KWAJ trees"))?,
            window: Box::new([b' '; WINDOW]),
            at: 0,
            literals: 0,
            matched: 0,
            distance: 0,
            after_few: false,
            failed: None,
        })
    }

    pub(super) fn into_input(self) -> Input<'a> {
        self.bits.input
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        let [lengths, after_few, runs, distances, bytes] = &self.trees;
        while self.literals == 0 && self.matched == 0 {
            let tree = if self.after_few { after_few } else { lengths };
            let Some(code) = tree.read(&mut self.bits)? else {
                return Ok(None);
            };
            if code == 0 {
                let Some(run) = runs.read(&mut self.bits)? else {
                    return Ok(None);
                };
                self.after_few = run != 31;
                self.literals = run + 1;
            } else {
                let Some(high) = distances.read(&mut self.bits)? else {
                    return Ok(None);
                };
                let low = self.bits.number(6)?;
                self.distance = usize::from(high << 6 | low);
                self.matched = code + 2;
                self.after_few = false;
            }
        }
        let byte = if self.literals > 0 {
            let byte = bytes.read(&mut self.bits)?.ok_or_else(cut)?;
            self.literals -= 1;
            byte.to_le_bytes()[0]
        } else {
            self.matched -= 1;
            let from = (self.at + WINDOW - self.distance) % WINDOW;
            self.window.get(from).copied().unwrap_or_default()
        };
        if let Some(place) = self.window.get_mut(self.at) {
            *place = byte;
        }
        self.at = (self.at + 1) % WINDOW;
        Ok(Some(byte))
    }
}

impl Read for Lzh<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut failed = self.failed.take();
        let count = fill(out, &mut failed, || self.next());
        self.failed = failed;
        count
    }
}
