//! Finite state entropy: how often each symbol is, and the table of states that follows from it (RFC 8878 §4.1).
#![forbid(unsafe_code)]

use std::io;

use super::bits::{Bits, Forward};
use crate::expand::{cut_short, damaged};

/// The most states of a table, as a power of two.
pub(super) const MOST_STATES: u32 = 9;

/// Stands for a probability of less than one.
const RARE: i16 = -1;

/// A state: what it means, and how the next one is found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State<T> {
    pub(super) symbol: T,
    /// Bits that are added to `next`.
    bits: u8,
    next: u16,
}

/// States of symbols of the sort `T`.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    states: Box<[State<T>; 1 << MOST_STATES]>,
    log: u32,
}

impl<T: Copy + Default> Table<T> {
    /// The table whose only state means one symbol.
    pub(super) fn single(symbol: T) -> Self {
        let mut table = Self::empty(0);
        if let Some(state) = table.states.first_mut() {
            state.symbol = symbol;
        }
        table
    }

    fn empty(log: u32) -> Self {
        Self {
            states: Box::new([State::default(); 1 << MOST_STATES]),
            log,
        }
    }

    /// Reads how often the symbols are, at most as often as two to the power of `most`; `meaning` gives a symbol for its number.
    /// Gives the bytes that this took, too.
    pub(super) fn read(
        data: &[u8],
        most: u32,
        meaning: impl Fn(usize) -> Option<T>,
    ) -> io::Result<(Self, usize)> {
        let mut bits = Forward::new(data);
        let log = 5 + bits.take(4);
        if log > most {
            return Err(damaged("a table with too many states"));
        }
        let mut counts = Vec::new();
        let mut left = 1 << log;
        while left > 0 {
            if meaning(counts.len()).is_none() {
                return Err(damaged("a table with too many symbols"));
            }
            let count = count(&mut bits, left);
            left -= u32::from(count.unsigned_abs());
            counts.push(count);
            if count != 0 {
                continue;
            }
            loop {
                let zeros = bits.take(2);
                counts.resize(counts.len() + zeros as usize, 0);
                if zeros < 3 || meaning(counts.len()).is_none() {
                    break;
                }
            }
        }
        if bits.bytes() > data.len() {
            return Err(cut_short("a table of states is cut"));
        }
        Ok((Self::new(&counts, log, meaning)?, bits.bytes()))
    }

    /// The table of two to the power of `log` states for these counts, which add up to so many.
    pub(super) fn new(
        counts: &[i16],
        log: u32,
        meaning: impl Fn(usize) -> Option<T>,
    ) -> io::Result<Self> {
        let size = 1_usize << log;
        let mask = size - 1;
        let mut symbols = [0_usize; 1 << MOST_STATES];
        // Symbols that are rare have one state each, from the end on.
        let mut high = size;
        for (symbol, _) in counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count == RARE)
        {
            high = high.saturating_sub(1);
            if let Some(place) = symbols.get_mut(high) {
                *place = symbol;
            }
        }
        let step = (size >> 1) + (size >> 3) + 3;
        let mut at = 0;
        for (symbol, count) in counts.iter().enumerate() {
            for _ in 0..*count {
                if let Some(place) = symbols.get_mut(at) {
                    *place = symbol;
                }
                at = (at + step) & mask;
                while at >= high && high > 0 {
                    at = (at + step) & mask;
                }
            }
        }
        let mut nexts: Vec<u32> = counts
            .iter()
            .map(|count| u32::from(count.unsigned_abs()))
            .collect();
        let mut table = Self::empty(log);
        for (state, symbol) in table.states.iter_mut().zip(symbols).take(size) {
            let next = nexts.get_mut(symbol).filter(|next| **next > 0);
            let (Some(next), Some(meaning)) = (next, meaning(symbol)) else {
                return Err(damaged("a symbol that is none"));
            };
            let bits = log - next.ilog2();
            *state = State {
                symbol: meaning,
                bits: u8::try_from(bits).unwrap_or_default(),
                next: u16::try_from((*next << bits) - (1 << log)).unwrap_or_default(),
            };
            *next += 1;
        }
        Ok(table)
    }

    /// The state that begins a stream.
    pub(super) fn begin(&self, bits: &mut Bits<'_>) -> State<T> {
        self.state(bits.take(self.log))
    }

    #[inline]
    pub(super) fn next(&self, state: State<T>, bits: &mut Bits<'_>) -> State<T> {
        self.state(u64::from(state.next) + bits.take(u32::from(state.bits)))
    }

    #[inline]
    fn state(&self, number: u64) -> State<T> {
        let number = number as usize % (1 << MOST_STATES);
        self.states.get(number).copied().unwrap_or_default()
    }
}

/// How often a symbol is, of the `left` states that are not used yet; the more are left, the more bits it takes.
fn count(bits: &mut Forward<'_>, left: u32) -> i16 {
    let most = left + 1;
    let width = most.ilog2() + 1;
    // Numbers of one bit less, which are those that are not needed with all bits.
    let short = (1 << width) - 1 - most;
    let half = 1 << (width - 1);
    let low = bits.peek(width) & (half - 1);
    let number = if low < short {
        bits.skip(width - 1);
        low
    } else {
        let number = bits.take(width);
        if number < half {
            number
        } else {
            number - short
        }
    };
    i16::try_from(number).unwrap_or_default() - 1
}
