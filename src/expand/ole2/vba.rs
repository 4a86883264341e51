//! Source of Visual Basic: the compressed containers of [MS-OVBA] §2.4.1, wherever they begin.
//!
//! A module has its source behind what was compiled from it; where, says the stream `dir`. What `dir` says is only one
//! of the places that are tried: a container is told by its chunks, which lead from one to the next up to the end of the stream.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::expand::{cut_short, damaged};

/// The first byte of a container.
const MARK: u8 = 1;

/// The most bytes that come out of a chunk.
const CHUNK: usize = 4096;

/// The record of `dir` with the place of a module's source (§2.3.4.2.3.2.5): its number and its length.
const OFFSET: &[u8] = &[0x31, 0, 4, 0, 0, 0];

/// How the source of each module begins, in a chunk that has not yet anything to copy.
const ATTRIBUTE: &[u8] = b"\0Attribut";

/// Modules of a project that are looked for by what `dir` says. Real ones have some hundred.
const MODULES: usize = 10_000;

/// The length of the chunk at `at` with its header.
fn chunk(bytes: &[u8], at: usize) -> Option<usize> {
    let header = bytes.get(at..)?.first_chunk::<2>()?;
    let header = u16::from_le_bytes(*header);
    (header >> 12 & 7 == 3).then_some(usize::from(header & 0x0fff) + 3)
}

/// Where containers begin in `stream`, in order. `likely` are places that the project names.
pub(super) fn containers(stream: &[u8], likely: &[usize]) -> Vec<usize> {
    // From each of these places chunks lead up to the end.
    let mut leads = vec![false; stream.len() + 1];
    if let Some(last) = leads.last_mut() {
        *last = true;
    }
    let mut found = Vec::new();
    for at in (0..stream.len()).rev() {
        let next = chunk(stream, at).map(|length| at + length);
        let lead = next.and_then(|next| leads.get(next)) == Some(&true);
        if let Some(place) = leads.get_mut(at) {
            *place = lead;
        }
        let begins = at.checked_sub(1).and_then(|mark| stream.get(mark)) == Some(&MARK);
        if begins && lead && is_sound(stream, at) {
            found.push(at - 1);
        }
    }
    for at in memchr::memmem::find_iter(stream, ATTRIBUTE) {
        found.extend(at.checked_sub(3));
    }
    found.extend(likely.iter().filter(|at| chunk(stream, **at + 1).is_some()));
    found.retain(|at| stream.get(*at) == Some(&MARK));
    found.sort_unstable();
    found.dedup();
    let mut end = 0;
    found.retain(|at| {
        let own = *at >= end;
        if own {
            end = extent(stream, *at);
        }
        own
    });
    found
}

/// The end of the container at `at`.
fn extent(stream: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(length) = chunk(stream, end) {
        end += length;
    }
    end.min(stream.len())
}

/// Tells whether the chunk at `at` can be decoded: two bytes like a header are also there by chance.
fn is_sound(stream: &[u8], at: usize) -> bool {
    let mut source = Source {
        rest: stream.get(at..).unwrap_or_default(),
        out: Vec::new(),
        given: 0,
        error: None,
    };
    source.next_chunk();
    source.error.is_none() && !source.out.is_empty()
}

/// The places that a project's `dir` names.
pub(super) fn offsets(dir: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(dir, OFFSET)
        .filter_map(|at| dir.get(at + OFFSET.len()..)?.first_chunk::<4>())
        .filter_map(|offset| usize::try_from(u32::from_le_bytes(*offset)).ok())
        .filter(|offset| *offset < usize::MAX - CHUNK)
        .take(MODULES)
        .collect()
}

/// What is in the container at the start of `container`.
pub(super) struct Source<'a> {
    rest: &'a [u8],
    /// What came out of the last chunk, and how much of it was given.
    out: Vec<u8>,
    given: usize,
    error: Option<io::Error>,
}

impl<'a> Source<'a> {
    pub(super) fn new(container: &'a [u8]) -> Self {
        Self {
            rest: container.get(1..).unwrap_or_default(),
            out: Vec::new(),
            given: 0,
            error: None,
        }
    }

    /// Decodes a chunk (§2.4.1.3.2). What comes out before damage is kept.
    fn next_chunk(&mut self) {
        self.out.clear();
        self.given = 0;
        let Some(length) = chunk(self.rest, 0) else {
            self.error = Some(damaged("what follows is no chunk of a module"));
            return;
        };
        let is_compressed = self.rest.get(1).is_some_and(|high| high & 0x80 != 0);
        let data = self.rest.get(2..length);
        let cut = data.is_none();
        let data = data.or(self.rest.get(2..)).unwrap_or_default();
        self.rest = self.rest.get(length..).unwrap_or_default();
        let sound = if is_compressed {
            decode(data, &mut self.out)
        } else {
            self.out.extend_from_slice(data);
            true
        };
        if cut {
            self.error = Some(cut_short("a module without its end"));
        } else if !sound {
            self.error = Some(damaged("a damaged chunk of a module"));
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.given == self.out.len() {
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.next_chunk();
        }
        let mut ready = self.out.get(self.given..).unwrap_or_default();
        let count = ready.read(out)?;
        self.given += count;
        Ok(count)
    }
}

/// Decodes the tokens of a chunk (§2.4.1.3.4); false where they are damaged.
fn decode(data: &[u8], out: &mut Vec<u8>) -> bool {
    let mut data = data.iter();
    while let Some(flags) = data.next() {
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(byte) = data.next() else { return true };
                out.push(*byte);
            } else {
                let Some(low) = data.next() else { return true };
                let Some(high) = data.next() else {
                    return false;
                };
                if !copy(u16::from_le_bytes([*low, *high]), out) {
                    return false;
                }
            }
            if out.len() > CHUNK {
                out.truncate(CHUNK);
                return false;
            }
        }
    }
    true
}

/// A copy (§2.4.1.3.19): the more is there, the more bits has the distance.
fn copy(token: u16, out: &mut Vec<u8>) -> bool {
    let there = out.len();
    if there == 0 {
        return false;
    }
    let bits = there.next_power_of_two().trailing_zeros().clamp(4, 12);
    let length = usize::from(token & (0xffff >> bits)) + 3;
    let distance = usize::from(token >> (16 - bits)) + 1;
    let Some(from) = there.checked_sub(distance) else {
        return false;
    };
    for at in from..from + length {
        let Some(byte) = out.get(at).copied() else {
            return false;
        };
        out.push(byte);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three examples of the specification (§3.2).
    #[test]
    fn the_examples_of_the_specification() {
        let rows: [(&[u8], &[u8]); 3] = [
            (
                b"\x01\x19\xb0\x00abcdefgh\x00ijklmnop\x00qrstuv.",
                b"abcdefghijklmnopqrstuv.",
            ),
            (
                b"\x01\x2f\xb0\x00\x23\x61\x61\x61\x62\x63\x64\x65\x82\x66\x00\x70\x61\x67\x68\x69\x6a\x01\x38\x08\x61\x6b\x6c\x00\x30\x6d\x6e\x6f\x70\x06\x71\x02\x70\x04\x10\x72\x73\x74\x75\x76\x10\x77\x78\x79\x7a\x00\x3c",
                b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa",
            ),
            (b"\x01\x03\xb0\x02\x61\x45\x00", &[b'a'; 73]),
        ];
        for (container, plain) in rows {
            let mut out = Vec::new();
            Source::new(container).read_to_end(&mut out).unwrap();
            assert_eq!(out, plain);
            let stream = [b"compiled \x01\x02\x30 code", container].concat();
            assert_eq!(containers(&stream, &[]), [stream.len() - container.len()]);
        }
    }
}
