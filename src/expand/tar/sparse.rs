//! Files that are stored without their holes: GNU's old entry type `S`, and its pax formats 0.0, 0.1 and 1.0 (GNU
//! tar manual, "Storing Sparse Files").
//!
//! The tar crate reads only the old one, and collects the whole map, which has no bound but the archive. Here the map
//! is read along with the content.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read};

use super::header::{BLOCK, Header, number};
use super::pax;
use crate::expand::number::digits;
use crate::expand::{cut_short, damaged};
use crate::object::{Object, ObjectReader};

/// Where the pieces of the content belong: offset and length of each, in order.
enum Map {
    /// The entries of an old header, then those of its extension blocks.
    Blocks(Blocks),
    /// The numbers of a pax record.
    Numbers(std::vec::IntoIter<u64>),
    /// Decimal lines in front of the content.
    Lines { lines: Lines, left: u64 },
    /// Of a map that was not in order: with where each piece lies in the data.
    Sorted(std::vec::IntoIter<(u64, u64, u64)>),
}

impl Map {
    fn next(&mut self) -> io::Result<Option<(u64, u64)>> {
        match self {
            Self::Blocks(blocks) => blocks.next(),
            Self::Numbers(numbers) => match (numbers.next(), numbers.next()) {
                (Some(offset), Some(length)) => Ok(Some((offset, length))),
                (None, _) => Ok(None),
                (Some(_), None) => Err(damaged("the map of the sparse file is odd")),
            },
            Self::Lines { left: 0, .. } => Ok(None),
            Self::Lines { lines, left } => {
                *left -= 1;
                Ok(Some((lines.number()?, lines.number()?)))
            }
            Self::Sorted(pieces) => Ok(pieces.next().map(|(offset, length, _)| (offset, length))),
        }
    }

    /// Where the next piece lies in the data, if not behind the one before.
    fn jump(&self) -> Option<u64> {
        match self {
            Self::Sorted(pieces) => pieces.as_slice().first().map(|(_, _, at)| *at),
            _ => None,
        }
    }

    /// The pieces in order, if they are not. Some readers write each to its place, others want them one after the other.
    fn sorted(mut self) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut stored = 0_u64;
        // What is damaged is said where it is read.
        while let Ok(Some((offset, length))) = self.next() {
            if pieces.len() == MANY {
                return None;
            }
            pieces.push((offset, length, stored));
            stored = stored.saturating_add(length);
        }
        if pieces.is_sorted() {
            return None;
        }
        pieces.sort_unstable();
        Some(Self::Sorted(pieces.into_iter()))
    }
}

/// Pieces that are put in order; more than a file has that was made to be read.
const MANY: usize = 65_536;

/// The content of a sparse file with its holes as zeros.
pub(super) struct Sparse {
    map: Map,
    /// The pieces, one after the other.
    data: Object,
    used: u64,
    /// Where the piece goes on in the data.
    at: u64,
    position: u64,
    piece: Option<(u64, u64)>,
    real_size: u64,
}

impl Sparse {
    /// Of an entry of type `S`; `rest` is what follows the header. Also gives the bytes that the extension blocks take,
    /// which the size in the header does not count.
    pub(super) fn old(header: &Header, rest: &Object, size: u64) -> io::Result<(Self, u64)> {
        let mut blocks = Blocks::new(header, rest);
        while blocks.next()?.is_some() {}
        let taken = blocks.at;
        let map = || Map::Blocks(Blocks::new(header, rest));
        let sparse = Self {
            map: map().sorted().unwrap_or_else(map),
            data: rest.slice(taken, size),
            used: 0,
            at: 0,
            position: 0,
            piece: None,
            real_size: number(header.field(483, 12))
                .ok_or_else(|| damaged("the size of the sparse file is no number"))?,
        };
        Ok((sparse, taken))
    }

    /// Of an entry that a pax header describes.
    pub(super) fn pax(keys: &pax::Sparse, stored: &Object) -> io::Result<Self> {
        let map = || match (keys.major.unwrap_or(0), keys.minor.unwrap_or(0)) {
            (0, _) => Ok((Map::Numbers(keys.map.clone().into_iter()), 0)),
            (1, 0) => lines_map(stored),
            (major, minor) => Err(damaged(format!("sparse format {major}.{minor}"))),
        };
        let (first, at) = map()?;
        Ok(Self {
            map: match first.sorted() {
                Some(sorted) => sorted,
                None => map()?.0,
            },
            data: stored.slice(at, u64::MAX),
            used: 0,
            at: 0,
            position: 0,
            piece: None,
            real_size: keys
                .real_size
                .ok_or_else(|| damaged("the sparse file has no size"))?,
        })
    }

    /// Stored bytes that belong nowhere, after the content was read to its end.
    pub(super) fn leftover(&self) -> u64 {
        if self.position == self.real_size {
            self.data.length().saturating_sub(self.used)
        } else {
            0
        }
    }

    /// Zeros up to `end`.
    fn hole(&mut self, out: &mut [u8], end: u64) -> usize {
        let count = clip(out, end.saturating_sub(self.position));
        let hole = out.get_mut(..count).unwrap_or_default();
        hole.fill(0);
        self.position = self.position.saturating_add(count as u64);
        count
    }

    fn piece(&mut self, out: &mut [u8], end: u64) -> io::Result<usize> {
        let count = clip(out, end.saturating_sub(self.position));
        let out = out.get_mut(..count).unwrap_or_default();
        match self.data.read_at(out, self.at)? {
            0 => Err(cut_short("the sparse file is cut")),
            count => {
                self.used = self.used.saturating_add(count as u64);
                self.at = self.at.saturating_add(count as u64);
                self.position = self.position.saturating_add(count as u64);
                Ok(count)
            }
        }
    }

    fn next_piece(&mut self) -> io::Result<Option<(u64, u64)>> {
        self.at = self.map.jump().unwrap_or(self.at);
        let Some((start, length)) = self.map.next()? else {
            return Ok(None);
        };
        let end = start.checked_add(length);
        match end.filter(|end| start >= self.position && *end <= self.real_size) {
            Some(end) => Ok(Some((start, end))),
            None => Err(damaged("the map of the sparse file is out of order")),
        }
    }
}

impl Read for Sparse {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.piece {
                Some((start, _)) if self.position < start => return Ok(self.hole(out, start)),
                Some((_, end)) if self.position < end => return self.piece(out, end),
                _ => {}
            }
            self.piece = self.next_piece()?;
            if self.piece.is_none() {
                return Ok(self.hole(out, self.real_size));
            }
        }
    }
}

fn clip(out: &[u8], most: u64) -> usize {
    usize::try_from(most).map_or(out.len(), |most| most.min(out.len()))
}

/// The map of an old header: 4 entries in it, 21 in each block that follows.
struct Blocks {
    rest: Object,
    /// Where the next extension block is.
    at: u64,
    entries: std::vec::IntoIter<(u64, u64)>,
    extended: bool,
    damaged: bool,
}

impl Blocks {
    fn new(header: &Header, rest: &Object) -> Self {
        let mut blocks = Self {
            rest: rest.clone(),
            at: 0,
            entries: Vec::new().into_iter(),
            extended: header.field(482, 1) != [0],
            damaged: false,
        };
        blocks.take(header.field(386, 4 * 24));
        blocks
    }

    fn take(&mut self, entries: &[u8]) {
        let (entries, _) = entries.as_chunks::<24>();
        let parse = |entry: &[u8; 24]| {
            let (offset, length) = entry.split_at_checked(12)?;
            Some((number(offset)?, number(length)?))
        };
        // An unused entry is all zeros.
        let used = entries.iter().filter(|entry| **entry != [0; 24]);
        let parsed: Option<Vec<_>> = used.map(parse).collect();
        self.damaged = parsed.is_none();
        self.entries = parsed.unwrap_or_default().into_iter();
    }

    fn next(&mut self) -> io::Result<Option<(u64, u64)>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            if self.damaged {
                return Err(damaged("the map of the sparse file holds no numbers"));
            }
            if !self.extended {
                return Ok(None);
            }
            let block = self.rest.bytes_at(self.at, BLOCK)?;
            let (Some(entries), Some(flag)) = (block.get(..21 * 24), block.get(504)) else {
                return Err(cut_short("the map of the sparse file is cut"));
            };
            self.at = self.at.saturating_add(BLOCK as u64);
            self.extended = *flag != 0;
            self.take(entries);
        }
    }
}

/// The map of format 1.0 and the length of the blocks that it fills.
fn lines_map(stored: &Object) -> io::Result<(Map, u64)> {
    let mut lines = Lines::new(stored);
    let count = lines.number()?;
    for _ in 0..count {
        lines.number()?;
        lines.number()?;
    }
    let taken = lines.taken.next_multiple_of(BLOCK as u64);
    let mut lines = Lines::new(stored);
    let left = lines.number()?;
    Ok((Map::Lines { lines, left }, taken))
}

/// Reads decimal numbers, each on a line of its own.
struct Lines {
    input: BufReader<ObjectReader>,
    taken: u64,
}

impl Lines {
    fn new(stored: &Object) -> Self {
        Self {
            input: stored.reader(),
            taken: 0,
        }
    }

    fn number(&mut self) -> io::Result<u64> {
        // The longest 64-bit number has 20 digits.
        let mut line = Vec::with_capacity(21);
        let count = (&mut self.input).take(21).read_until(b'\n', &mut line)?;
        self.taken = self.taken.saturating_add(count as u64);
        line.strip_suffix(b"\n")
            .and_then(|line| digits(line, 10))
            .ok_or_else(|| damaged("the map of the sparse file holds no numbers"))
    }
}
