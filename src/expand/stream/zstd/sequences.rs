//! The sequences of a block: how many literals come next, and what is copied behind them (RFC 8878 §3.1.1.3.2).
#![forbid(unsafe_code)]

use std::io;

use super::bits::Bits;
use super::fse::{State, Table};
use crate::bytes::Reader;
use crate::expand::window::Window;
use crate::expand::{cut_short, damaged};

/// The tables at hand, and the last three distances.
pub(super) struct Sequences {
    literals: Option<Table<Length>>,
    distances: Option<Table<u8>>,
    copies: Option<Table<Length>>,
    recent: [usize; 3],
}

impl Default for Sequences {
    fn default() -> Self {
        Self {
            literals: None,
            distances: None,
            copies: None,
            recent: [1, 4, 8],
        }
    }
}

/// A length up to which no bits are added, and in the upper eight bits how many are.
#[derive(Debug, Clone, Copy, Default)]
struct Length(u32);

impl Length {
    const fn new(least: u32, bits: u32) -> Self {
        Self(bits << 24 | least)
    }

    fn least(self) -> usize {
        (self.0 & 0x00ff_ffff) as usize
    }

    fn bits(self) -> u32 {
        self.0 >> 24
    }

    /// The length of a code: each of `from` on has a length of its own; those behind them have the lengths of `wider` with
    /// these bits.
    fn of(number: usize, from: u32, own: usize, wider: &[u8]) -> Option<Self> {
        let Some(further) = number.checked_sub(own) else {
            return Some(Self::new(from + u32::try_from(number).ok()?, 0));
        };
        let bits = *wider.get(further)?;
        let before = wider
            .get(..further)?
            .iter()
            .map(|bits| 1 << bits)
            .sum::<u32>();
        Some(Self::new(
            from + u32::try_from(own).ok()? + before,
            bits.into(),
        ))
    }
}

/// The bits of the codes of literals from 16 on, and of copies from 32 on.
const LITERALS: &[u8] = &[
    1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const COPIES: &[u8] = &[
    1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];

/// The largest code of a distance, which is the number of its bits.
const DISTANCES: u8 = 31;

/// How often codes are when nothing is said, and the logarithm of their sum (§3.1.1.3.2.2).
const USUAL_LITERALS: (&[i16], u32) = (
    &[
        4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1,
        1, 1, -1, -1, -1, -1,
    ],
    6,
);
const USUAL_DISTANCES: (&[i16], u32) = (
    &[
        1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
    ],
    5,
);
const USUAL_COPIES: (&[i16], u32) = (
    &[
        1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
);

impl Sequences {
    /// Carries out the sequences that stand from `at` on to the end of a block, which has at most `most` bytes.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        at: usize,
        literals: &[u8],
        most: usize,
        window: &mut Window,
    ) -> io::Result<()> {
        let cut = || cut_short("the sequences of a block are cut");
        let mut reader = Reader::new(block.get(at..).unwrap_or_default());
        let [first] = reader.array().ok_or_else(cut)?;
        let count = match first {
            0..=127 => usize::from(first),
            128..=254 => {
                let [second] = reader.array().ok_or_else(cut)?;
                usize::from(first - 128) << 8 | usize::from(second)
            }
            255 => usize::from(reader.u16_le().ok_or_else(cut)?) + 0x7f00,
        };
        if count == 0 {
            window.append(literals, literals.len());
            if !reader.rest().is_empty() {
                return Err(damaged("bytes behind the sequences of a block"));
            }
            return Ok(());
        }
        let [modes] = reader.array().ok_or_else(cut)?;
        table(
            &mut self.literals,
            modes >> 6,
            &mut reader,
            USUAL_LITERALS,
            9,
            |number| Length::of(number, 0, 16, LITERALS),
        )?;
        table(
            &mut self.distances,
            modes >> 4 & 3,
            &mut reader,
            USUAL_DISTANCES,
            8,
            |number| u8::try_from(number).ok().filter(|bits| *bits <= DISTANCES),
        )?;
        table(
            &mut self.copies,
            modes >> 2 & 3,
            &mut reader,
            USUAL_COPIES,
            9,
            |number| Length::of(number, 3, 32, COPIES),
        )?;
        let start = block.len() - reader.rest().len();
        let bits = Bits::new(block, start)?;
        self.run(bits, count, literals, most, window)
    }

    fn run(
        &mut self,
        mut bits: Bits<'_>,
        count: usize,
        literals: &[u8],
        most: usize,
        window: &mut Window,
    ) -> io::Result<()> {
        let (Some(lengths), Some(distances), Some(copies)) =
            (&self.literals, &self.distances, &self.copies)
        else {
            return Err(damaged("sequences without their tables"));
        };
        let mut codes = Codes {
            length: lengths.begin(&mut bits),
            distance: distances.begin(&mut bits),
            copy: copies.begin(&mut bits),
            tables: (lengths, distances, copies),
            bits,
            left: count,
        };
        let too_long = || damaged("a block that is too long");
        let mut rest = literals;
        let mut room = most;
        let mut some = [Sequence::default(); SOME];
        while codes.left > 0 {
            let known = codes.read(&mut some, &mut self.recent);
            for sequence in some.iter().take(known) {
                let Sequence {
                    plain,
                    copied,
                    distance,
                } = *sequence;
                room = room.checked_sub(plain + copied).ok_or_else(too_long)?;
                let Some((_, behind)) = rest.split_at_checked(plain) else {
                    return Err(damaged("a block with too few literals"));
                };
                window.append(rest, plain);
                rest = behind;
                window.copy(distance, copied)?;
            }
            if codes.bits.left() < 0 {
                return Err(cut_short("the sequences of a block are cut"));
            }
        }
        if rest.len() > room {
            return Err(too_long());
        }
        window.append(rest, rest.len());
        if codes.bits.left() != 0 {
            return Err(damaged("sequences that do not fill their bits"));
        }
        Ok(())
    }
}

/// Sequences that are read before they are carried out: a processor does either at once with less to keep in mind.
const SOME: usize = 64;

/// How many literals come next, and what is copied behind them.
#[derive(Debug, Clone, Copy, Default)]
struct Sequence {
    plain: usize,
    copied: usize,
    distance: usize,
}

/// The sequences as they are written: three states in turn, and the bits that each adds.
struct Codes<'a> {
    bits: Bits<'a>,
    tables: (&'a Table<Length>, &'a Table<u8>, &'a Table<Length>),
    length: State<Length>,
    distance: State<u8>,
    copy: State<Length>,
    /// Sequences that are still to be read.
    left: usize,
}

impl Codes<'_> {
    /// Reads the next ones, and gives how many were there before the bits ended.
    fn read(&mut self, sequences: &mut [Sequence], recent: &mut [usize; 3]) -> usize {
        let (lengths, distances, copies) = self.tables;
        // Not by reference: what is written between would have to be read again.
        let mut bits = self.bits;
        let (mut length, mut distance, mut copy) = (self.length, self.distance, self.copy);
        let mut known = 0;
        for sequence in sequences.iter_mut().take(self.left) {
            bits.fill();
            let wide = u32::from(distance.symbol);
            let value = (1 << wide) + bits.take(wide) as usize;
            let copied = copy.symbol.least() + bits.take(copy.symbol.bits()) as usize;
            // Of the 57 bits that are there, the states take 26.
            if wide + copy.symbol.bits() + length.symbol.bits() > 31 {
                bits.fill();
            }
            let plain = length.symbol.least() + bits.take(length.symbol.bits()) as usize;
            self.left -= 1;
            if self.left > 0 {
                length = lengths.next(length, &mut bits);
                copy = copies.next(copy, &mut bits);
                distance = distances.next(distance, &mut bits);
            }
            if bits.left() < 0 {
                break;
            }
            *sequence = Sequence {
                plain,
                copied,
                distance: recall(recent, value, plain == 0),
            };
            known += 1;
        }
        self.bits = bits;
        (self.length, self.distance, self.copy) = (length, distance, copy);
        known
    }
}

/// The distance that is meant: a new one, or one of the last three, which differ where no literals come before.
#[inline]
fn recall(recent: &mut [usize; 3], value: usize, bare: bool) -> usize {
    let [first, second, third] = *recent;
    if value > 3 {
        *recent = [value - 3, first, second];
        return value - 3;
    }
    let number = value + usize::from(bare);
    if number == 1 {
        return first;
    }
    let distance = match number {
        2 => second,
        3 => third,
        _ => first.saturating_sub(1),
    };
    *recent = [distance, first, if number == 2 { third } else { second }];
    distance
}

/// Reads a table as its mode says, or keeps the one that there is.
fn table<T: Copy + Default>(
    table: &mut Option<Table<T>>,
    mode: u8,
    reader: &mut Reader<'_>,
    (counts, log): (&[i16], u32),
    most: u32,
    meaning: impl Fn(usize) -> Option<T>,
) -> io::Result<()> {
    *table = Some(match mode {
        0 => Table::new(counts, log, meaning)?,
        1 => {
            let [number] = reader.array().ok_or_else(|| cut_short("a table is cut"))?;
            let symbol = meaning(usize::from(number));
            Table::single(symbol.ok_or_else(|| damaged("a symbol that is none"))?)
        }
        2 => {
            let (table, length) = Table::read(reader.rest(), most, meaning)?;
            reader.take(length);
            table
        }
        _ => return Ok(()),
    });
    Ok(())
}
