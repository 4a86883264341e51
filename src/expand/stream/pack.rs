//! Unix pack: one Huffman code for the whole file, and the file's size. What SCO's compress -H makes has the same first
//! byte, and is not decoded.
//!
//! The tree is given by its levels: how many leaves each has, then the bytes at the leaves from the top. The longest codes
//! are the smallest numbers, and the last leaf of all is the end.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Decoder, Input, Opened, fill, unsupported};
use crate::expand::{cut_short, damaged};

const MAGIC: [u8; 2] = [0x1f, 0x1e];
const SCO: [u8; 2] = [0x1f, 0xa0];

/// The longest code in bits.
const LONGEST: u8 = 24;

struct Packed<'a> {
    input: Input<'a>,
    byte: u8,
    left: u8,
    levels: Vec<Level>,
    leaves: Vec<u8>,
    size: u64,
    given: u64,
    ended: bool,
    failed: Option<io::Error>,
}

/// One level of the tree, the root's children first.
#[derive(Clone, Copy)]
struct Level {
    /// Codes below this are inner nodes.
    inner: u32,
    /// The leaves of this level, as places in the list of all.
    first: u32,
    count: u32,
}

pub(super) fn open(mut input: Input<'_>, _memory: u64) -> Opened<'_> {
    let magic: [u8; 2] = input.array("header")?;
    if magic == SCO {
        return Err(unsupported("pack-lzh", "compress -H"));
    }
    if magic != MAGIC {
        return Err(damaged("not its magic"));
    }
    let size = u32::from_be_bytes(input.array("header")?);
    let [depth] = input.array("header")?;
    if !(1..=LONGEST).contains(&depth) {
        return Err(damaged("depth of the tree"));
    }
    let mut counts = Vec::new();
    for level in 1..=depth {
        let [count] = input.array("tree")?;
        // The last level has two leaves at least, which are not counted: one of them is the end.
        counts.push(u32::from(count) + if level == depth { 2 } else { 0 });
    }
    let count: u32 = counts.iter().sum();
    if count > 257 {
        return Err(damaged("more leaves than bytes"));
    }
    let mut leaves = Vec::new();
    for _ in 1..count {
        let [leaf] = input.array("tree")?;
        leaves.push(leaf);
    }
    Ok(Box::new(Packed {
        input,
        byte: 0,
        left: 0,
        levels: levels(&counts)?,
        leaves,
        size: size.into(),
        given: 0,
        ended: false,
        failed: None,
    }))
}

/// From the deepest level up: half the nodes of one are the inner nodes of the one above.
fn levels(counts: &[u32]) -> io::Result<Vec<Level>> {
    let mut first: u32 = counts.iter().sum();
    let mut inner = 0_u32;
    let mut levels = Vec::new();
    for count in counts.iter().rev() {
        first -= count;
        levels.push(Level {
            inner,
            first,
            count: *count,
        });
        let nodes = inner + count;
        if !nodes.is_multiple_of(2) {
            return Err(damaged("a tree that is none"));
        }
        inner = nodes / 2;
    }
    if inner != 1 {
        return Err(damaged("a tree that is none"));
    }
    levels.reverse();
    Ok(levels)
}

impl Packed<'_> {
    fn bit(&mut self) -> io::Result<u32> {
        if self.left == 0 {
            let byte = self.input.byte()?;
            self.byte = byte.ok_or_else(|| cut_short("packed data without its end"))?;
            self.left = 8;
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left & 1))
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        if self.ended {
            return Ok(None);
        }
        let mut code = 0;
        for at in 0..self.levels.len() {
            code = code << 1 | self.bit()?;
            let Some(level) = self.levels.get(at).copied() else {
                break;
            };
            let Some(leaf) = code.checked_sub(level.inner) else {
                continue;
            };
            if leaf >= level.count {
                break;
            }
            let place = usize::try_from(level.first + leaf).unwrap_or(usize::MAX);
            let Some(byte) = self.leaves.get(place) else {
                self.ended = true;
                return self.end().map(|()| None);
            };
            self.given += 1;
            return Ok(Some(*byte));
        }
        Err(damaged("code that is none"))
    }

    fn end(&self) -> io::Result<()> {
        if self.given == self.size {
            return Ok(());
        }
        let text = format!("{} bytes instead of {}", self.given, self.size);
        Err(damaged(text))
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut failed = self.failed.take();
        let count = fill(out, &mut failed, || self.next());
        self.failed = failed;
        count
    }
}

impl<'a> Decoder<'a> for Packed<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}
