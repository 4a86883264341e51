//! The Huffman code of literals (RFC 8878 §4.2), and one table that finds a symbol by the bits of the longest code.
#![forbid(unsafe_code)]

use std::io;

use super::bits::{BEFORE, Bits};
use super::fse::Table;
use crate::expand::{cut_short, damaged};

/// The longest code. RFC 8878 allows 11 bits, the ordinary tool reads 12.
const LONGEST: u32 = 12;

/// Weights may themselves be coded, with at most two to the power of this states.
const WEIGHT_STATES: u32 = 6;

/// The most weights that are written: that of the last symbol follows from the others.
const WEIGHTS: usize = 255;

/// Symbols that are decoded from a word, which has 57 bits.
const SYMBOLS: usize = 4;

/// A code of bytes.
pub(super) struct Code {
    /// By the next bits: the symbol in the upper half, and the length of its code.
    entries: Box<[u16; 1 << LONGEST]>,
    longest: u32,
}

impl Code {
    /// Reads the code that stands at the start of these bytes; gives how many of them it takes, too.
    pub(super) fn read(data: &[u8]) -> io::Result<(Self, usize)> {
        let cut = || cut_short("a Huffman code is cut");
        let (first, rest) = data.split_first().ok_or_else(cut)?;
        let direct = usize::from(*first).checked_sub(127);
        let length = direct.map_or(usize::from(*first), |count| count.div_ceil(2));
        let bytes = rest.get(..length).ok_or_else(cut)?;
        let weights = match direct {
            None => coded_weights(bytes)?,
            Some(count) => {
                let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                halves.take(count).collect()
            }
        };
        Ok((Self::new(weights)?, 1 + length))
    }

    /// The code in which symbols with greater weights have shorter codes; the last weight is still missing.
    fn new(mut weights: Vec<u8>) -> io::Result<Self> {
        let wrong = || damaged("a Huffman code that is none");
        if weights.iter().any(|weight| u32::from(*weight) > LONGEST) {
            return Err(wrong());
        }
        let places = |weight: u8| (1_u32 << weight) >> 1;
        let sum: u32 = weights.iter().map(|weight| places(*weight)).sum();
        let longest = sum.checked_ilog2().ok_or_else(wrong)? + 1;
        let missing = (1 << longest) - sum;
        if longest > LONGEST || !missing.is_power_of_two() {
            return Err(wrong());
        }
        weights.push(u8::try_from(missing.ilog2() + 1).unwrap_or_default());
        // The longest codes come in pairs.
        let pairs = weights.iter().filter(|weight| **weight == 1).count();
        if pairs < 2 || pairs % 2 == 1 {
            return Err(wrong());
        }
        let mut entries = Box::new([0; 1 << LONGEST]);
        let mut free = entries.iter_mut();
        for wanted in 1..=longest {
            for (symbol, weight) in (0_u16..).zip(&weights) {
                if u32::from(*weight) != wanted {
                    continue;
                }
                let length = u16::try_from(longest + 1 - wanted).unwrap_or_default();
                for entry in free.by_ref().take(places(*weight) as usize) {
                    *entry = symbol << 8 | length;
                }
            }
        }
        Ok(Self { entries, longest })
    }

    #[inline]
    fn symbol(&self, bits: &mut Bits<'_>) -> u8 {
        let ahead = bits.peek(self.longest) as usize % (1 << LONGEST);
        let entry = self.entries.get(ahead).copied().unwrap_or_default();
        let [length, symbol] = entry.to_le_bytes();
        bits.skip(u32::from(length));
        symbol
    }

    /// Decodes so many symbols, and gives the bits that are left behind them; a negative number where some were missing.
    pub(super) fn decode(&self, mut bits: Bits<'_>, out: &mut [u8]) -> i64 {
        for some in out.chunks_mut(SYMBOLS) {
            bits.fill();
            for place in some {
                *place = self.symbol(&mut bits);
            }
        }
        bits.left()
    }

    /// Decodes four streams, each of which holds a quarter of the symbols: in turn, for a processor does several at once. Gives
    /// the bits that are left of each.
    pub(super) fn decode_four(
        &self,
        streams: [Bits<'_>; 4],
        out: &mut [u8],
    ) -> io::Result<[i64; 4]> {
        let wrong = || damaged("too few literals for their streams");
        let quarter = out.len().div_ceil(4);
        let (first, rest) = out.split_at_mut_checked(quarter).ok_or_else(wrong)?;
        let (second, rest) = rest.split_at_mut_checked(quarter).ok_or_else(wrong)?;
        let (third, fourth) = rest.split_at_mut_checked(quarter).ok_or_else(wrong)?;
        let [mut a, mut b, mut c, mut d] = streams;
        let together = fourth.len() / SYMBOLS * SYMBOLS;
        let (first, first_rest) = first.split_at_mut(together);
        let (second, second_rest) = second.split_at_mut(together);
        let (third, third_rest) = third.split_at_mut(together);
        let (fourth, fourth_rest) = fourth.split_at_mut(together);
        let (first, second) = (
            first.as_chunks_mut::<SYMBOLS>(),
            second.as_chunks_mut::<SYMBOLS>(),
        );
        let (third, fourth) = (
            third.as_chunks_mut::<SYMBOLS>(),
            fourth.as_chunks_mut::<SYMBOLS>(),
        );
        let halves = first.0.iter_mut().zip(second.0);
        for ((one, two), (three, four)) in halves.zip(third.0.iter_mut().zip(fourth.0)) {
            a.fill();
            b.fill();
            c.fill();
            d.fill();
            let places = one.iter_mut().zip(two);
            for ((one, two), (three, four)) in places.zip(three.iter_mut().zip(four)) {
                *one = self.symbol(&mut a);
                *two = self.symbol(&mut b);
                *three = self.symbol(&mut c);
                *four = self.symbol(&mut d);
            }
        }
        Ok([
            self.decode(a, first_rest),
            self.decode(b, second_rest),
            self.decode(c, third_rest),
            self.decode(d, fourth_rest),
        ])
    }
}

/// The weights that two states write in turn.
fn coded_weights(data: &[u8]) -> io::Result<Vec<u8>> {
    let (table, length) = Table::read(data, WEIGHT_STATES, |number| u8::try_from(number).ok())?;
    let stream = [&[0; BEFORE], data.get(length..).unwrap_or_default()].concat();
    let mut bits = Bits::new(&stream, BEFORE)?;
    let mut state = table.begin(&mut bits);
    let mut other = table.begin(&mut bits);
    let mut weights = Vec::new();
    while weights.len() < WEIGHTS {
        weights.push(state.symbol);
        bits.fill();
        state = table.next(state, &mut bits);
        if bits.left() < 0 {
            weights.push(other.symbol);
            break;
        }
        (state, other) = (other, state);
    }
    if weights.len() > WEIGHTS || bits.left() >= 0 {
        return Err(damaged("too many weights"));
    }
    Ok(weights)
}
