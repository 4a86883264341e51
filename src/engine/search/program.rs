//! The parts of a segment as a row of bytes: what is compared, in the order of the content.
//!
//! ```text
//! BYTES    length:u16 bytes          exactly these
//! CASELESS length:u16 bytes          these in lower case, ASCII letters in either case
//! CLASS    min:u16 max:u16 set:32    min to max bytes of a set
//! GAP      min:u16 max:u16           min to max bytes
//! EITHER   negated:u8 length:u16 size:u32, for each choice size:u32 program
//! EDGE     which:u8                  takes no byte
//! ```
//!
//! Numbers are little-endian. A program comes out of a file: what makes no sense is read as "matches nothing".
#![forbid(unsafe_code)]

use crate::signature::pattern::{Border, ByteSet, Edge, Part, Side};

const BYTES: u8 = 1;
const CASELESS: u8 = 2;
const CLASS: u8 = 3;
const GAP: u8 = 4;
const EITHER: u8 = 5;
const EDGE: u8 = 6;

/// One step of a program.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'p> {
    Bytes(&'p [u8]),
    Caseless(&'p [u8]),
    Class {
        set: &'p [u8; 32],
        min: usize,
        max: usize,
    },
    Gap {
        min: usize,
        max: usize,
    },
    Either {
        /// Only the choices: their number is not needed to read them.
        choices: Choices<'p>,
        /// With their length if none of them may be there.
        negated: Option<usize>,
    },
    Edge(Edge),
}

/// A program as the row of its steps; it ends early where it makes no sense.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'p> {
    rest: &'p [u8],
}

/// The programs of an EITHER.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices<'p> {
    rest: &'p [u8],
}

impl<'p> Steps<'p> {
    pub(super) fn new(program: &'p [u8]) -> Self {
        Self { rest: program }
    }

    /// Nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'p [u8] {
        self.rest
    }

    /// The next step; `None` at the end and where the program makes no sense, which [`Steps::is_empty`] tells apart.
    pub(super) fn step(&mut self) -> Option<Step<'p>> {
        let (code, rest) = self.rest.split_first()?;
        let (step, rest) = match *code {
            BYTES | CASELESS => {
                let (length, rest) = number(rest)?;
                let (bytes, rest) = rest.split_at_checked(length)?;
                match *code {
                    BYTES => (Step::Bytes(bytes), rest),
                    _ => (Step::Caseless(bytes), rest),
                }
            }
            CLASS => {
                let (min, rest) = number(rest)?;
                let (max, rest) = number(rest)?;
                let (set, rest) = rest.split_first_chunk()?;
                (Step::Class { set, min, max }, rest)
            }
            GAP => {
                let (min, rest) = number(rest)?;
                let (max, rest) = number(rest)?;
                (Step::Gap { min, max }, rest)
            }
            EITHER => {
                let (negated, rest) = rest.split_first()?;
                let (length, rest) = number(rest)?;
                let (size, rest) = size(rest)?;
                let (choices, rest) = rest.split_at_checked(size)?;
                let step = Step::Either {
                    choices: Choices { rest: choices },
                    negated: (*negated != 0).then_some(length),
                };
                (step, rest)
            }
            EDGE => {
                let (which, rest) = rest.split_first()?;
                let border = match which & 3 {
                    0 => Border::Word,
                    1 => Border::Line,
                    _ => Border::NotWord,
                };
                let side = match which >> 2 {
                    0 => Side::Before,
                    1 => Side::Behind,
                    _ => Side::NotBehind,
                };
                (Step::Edge(Edge { border, side }), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(step)
    }
}

impl<'p> Iterator for Choices<'p> {
    type Item = &'p [u8];

    fn next(&mut self) -> Option<&'p [u8]> {
        let (size, rest) = size(self.rest)?;
        let (program, rest) = rest.split_at_checked(size)?;
        self.rest = rest;
        Some(program)
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_le_bytes(*number).into(), rest))
}

fn size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

/// Tells whether a set of a program has this byte.
pub(super) fn contains(set: &[u8; 32], byte: u8) -> bool {
    set.get(usize::from(byte >> 3))
        .is_some_and(|bits| bits >> (byte & 7) & 1 == 1)
}

/// Appends the program of these parts. Their lengths are within the limits of a pattern.
pub(super) fn encode(parts: &[Part], out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Bytes { bytes, caseless } => {
                out.push(if *caseless { CASELESS } else { BYTES });
                put(out, bytes.len());
                out.extend_from_slice(bytes);
            }
            Part::Class { set, min, max } => {
                out.push(CLASS);
                put(out, *min as usize);
                put(out, *max as usize);
                out.extend_from_slice(&ByteSet::to_bits(set));
            }
            Part::Gap { min, max } => {
                out.push(GAP);
                put(out, *min as usize);
                put(out, *max as usize);
            }
            Part::Either { choices, negated } => {
                out.extend([EITHER, u8::from(*negated)]);
                put(out, part.shortest());
                sized(out, |out| {
                    for choice in choices {
                        sized(out, |out| encode(choice, out));
                    }
                });
            }
            Part::Edge(edge) => {
                let border = match edge.border {
                    Border::Word => 0,
                    Border::Line => 1,
                    Border::NotWord => 2,
                };
                let side = match edge.side {
                    Side::Before => 0,
                    Side::Behind => 1,
                    Side::NotBehind => 2,
                };
                out.extend([EDGE, side << 2 | border]);
            }
        }
    }
}

fn put(out: &mut Vec<u8>, number: usize) {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    out.extend_from_slice(&number.to_le_bytes());
}

/// What `content` appends, with its size before it.
fn sized(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    content(out);
    let size = out.len() - at - 4;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&size.to_le_bytes());
    }
}
