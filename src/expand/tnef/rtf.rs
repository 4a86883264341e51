//! Compressed RTF ([MS-OXRTFCP]): references into a ring of 4 KiB that begins with the words of every RTF.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read};

use crate::expand::{cut_short, damaged};
use crate::object::{Object, ObjectReader};

/// What the ring begins with ([MS-OXRTFCP] 2.1.3.1.1).
const START: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

const RING: usize = 4096;
const COMPRESSED: &[u8; 4] = b"LZFu";
const STORED: &[u8; 4] = b"MELA";

/// Decodes it.
pub(super) struct Rtf {
    input: io::Bytes<BufReader<ObjectReader>>,
    ring: Vec<u8>,
    at: usize,
    /// Eight tokens: references where a bit is set.
    control: u8,
    tokens: u8,
    /// A reference that is being copied.
    from: usize,
    left: usize,
    state: State,
    failed: Option<io::Error>,
}

enum State {
    Compressed,
    /// So many bytes as they are.
    Stored(u32),
    /// The header is no header.
    Unknown,
    Done,
}

impl Rtf {
    pub(super) fn new(object: &Object) -> io::Result<Self> {
        let header = object.bytes_at(0, 16)?;
        let size = header.get(4..8).and_then(|size| size.try_into().ok());
        let size = size.map_or(0, u32::from_le_bytes);
        let state = match header.get(8..12) {
            Some(kind) if kind == COMPRESSED => State::Compressed,
            Some(kind) if kind == STORED => State::Stored(size),
            _ => State::Unknown,
        };
        let mut ring = START.to_vec();
        ring.resize(RING, b' ');
        Ok(Self {
            input: object.slice(16, u64::MAX).reader().bytes(),
            ring,
            at: START.len(),
            control: 0,
            tokens: 0,
            from: 0,
            left: 0,
            state,
            failed: None,
        })
    }

    fn must(&mut self) -> io::Result<u8> {
        let byte = self.input.next().transpose()?;
        byte.ok_or_else(|| cut_short("the compressed RTF is cut"))
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            if self.left > 0 {
                self.left -= 1;
                let byte = self.ring.get(self.from % RING).copied().unwrap_or_default();
                self.from += 1;
                return Ok(Some(self.put(byte)));
            }
            match &mut self.state {
                State::Done => return Ok(None),
                State::Unknown => {
                    self.state = State::Done;
                    return Err(damaged("the compressed RTF is of an unknown kind"));
                }
                State::Stored(0) => self.state = State::Done,
                State::Stored(left) => {
                    *left -= 1;
                    return self.must().map(Some);
                }
                State::Compressed => {
                    if self.tokens == 0 {
                        self.control = self.must()?;
                        self.tokens = 8;
                    }
                    self.tokens -= 1;
                    let is_reference = self.control & 1 != 0;
                    self.control >>= 1;
                    if !is_reference {
                        let byte = self.must()?;
                        return Ok(Some(self.put(byte)));
                    }
                    let token = usize::from(u16::from_be_bytes([self.must()?, self.must()?]));
                    self.from = token >> 4;
                    self.left = (token & 15) + 2;
                    if self.from == self.at {
                        self.left = 0;
                        self.state = State::Done;
                    }
                }
            }
        }
    }

    fn put(&mut self, byte: u8) -> u8 {
        if let Some(place) = self.ring.get_mut(self.at) {
            *place = byte;
        }
        self.at = (self.at + 1) % RING;
        byte
    }
}

impl Read for Rtf {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        for place in out {
            match self.next() {
                Ok(Some(byte)) => *place = byte,
                Ok(None) => break,
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
            filled += 1;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::object;

    #[test]
    fn the_start_of_the_ring_is_as_long_as_specified() {
        assert_eq!(START.len(), 207);
    }

    /// The examples of [MS-OXRTFCP] 4.1.
    #[test]
    fn the_examples_of_the_specification() {
        let simple: &[u8] = b"\x2d\0\0\0\x2b\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125\x42\x32\x0a\xf3 hel\x09\0 bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        let crossing: &[u8] =
            b"\x1a\0\0\0\x1c\0\0\0LZFu\xe2\xd4\x4b\x51\x41\0\x04 WXYZ\x0d\x6e\x7d\x01\x0e\xb0";
        let rows = [
            (
                simple,
                &b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"[..],
            ),
            (crossing, b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"),
            (b"\0\0\0\0\x03\0\0\0MELA\0\0\0\0abcd", b"abc"),
        ];
        for (bytes, wanted) in rows {
            let mut out = Vec::new();
            Rtf::new(&object(bytes))
                .unwrap()
                .read_to_end(&mut out)
                .unwrap();
            assert_eq!(
                out.escape_ascii().to_string(),
                wanted.escape_ascii().to_string()
            );
        }
        let mut out = Vec::new();
        assert!(
            Rtf::new(&object(&simple[..30]))
                .unwrap()
                .read_to_end(&mut out)
                .is_err()
        );
        assert!(b"{\\rtf1\\ansi\\ansicpg1252\\pard ".starts_with(&out) && !out.is_empty());
    }
}
