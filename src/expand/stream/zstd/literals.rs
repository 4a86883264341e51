//! The literals of a block: as they are, one many times, or in a Huffman code (RFC 8878 §3.1.1.3.1).
#![forbid(unsafe_code)]

use std::io;

use super::bits::Bits;
use super::huffman::Code;
use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};

/// The fewest literals in four streams.
const FOUR_STREAMS: usize = 6;

// What the ordinary tool's decoder for four streams lets pass where the processor has a quick one, and so must be decoded: a
// stream of so many bytes without the bit that marks its end, bits that are left, and so many that are those of the stream before.
const QUICK: usize = 8;
const BORROWED: i64 = 64;

/// The literals of the block at hand, and the last code.
#[derive(Default)]
pub(super) struct Literals {
    bytes: Vec<u8>,
    code: Option<Code>,
    /// A stream had not just the bits that it needs, or no end.
    pub(super) loose: bool,
}

/// What stands before the literals.
struct Header {
    kind: u8,
    /// Bytes of the literals, and as they are written.
    size: usize,
    packed: usize,
    /// Written as four streams.
    four: bool,
    /// Bytes of the header.
    length: usize,
}

impl Header {
    fn read(data: &[u8]) -> Option<Self> {
        let first = *data.first()?;
        let (kind, form) = (first & 3, first >> 2 & 3);
        let field = |length: usize| {
            let bytes = data.get(..length)?;
            Some(
                bytes
                    .iter()
                    .rev()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            )
        };
        let number = |word: u64| usize::try_from(word).unwrap_or_default();
        if kind < 2 {
            let (length, shift) = [(1, 3), (2, 4), (1, 3), (3, 4)]
                .get(usize::from(form))
                .copied()?;
            let size = number(field(length)? >> shift);
            return Some(Self {
                kind,
                size,
                packed: if kind == 0 { size } else { 1 },
                four: false,
                length,
            });
        }
        let (length, width) = [(3, 10), (3, 10), (4, 14), (5, 18)]
            .get(usize::from(form))
            .copied()?;
        let word = field(length)? >> 4;
        Some(Self {
            kind,
            size: number(word & ((1 << width) - 1)),
            packed: number(word >> width),
            four: form > 0,
            length,
        })
    }
}

impl Literals {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the literals that stand at this place of a block, at most `most`; gives the place behind them.
    pub(super) fn read(&mut self, block: &[u8], at: usize, most: usize) -> io::Result<usize> {
        let cut = || cut_short("the literals of a block are cut");
        let data = block.get(at..).unwrap_or_default();
        let header = Header::read(data).ok_or_else(cut)?;
        if header.size > most {
            return Err(damaged("a block with too many literals"));
        }
        let start = at + header.length;
        let end = start + header.packed;
        let packed = block.get(start..end).ok_or_else(cut)?;
        self.bytes.clear();
        match (header.kind, packed) {
            (0, bytes) => self.bytes.extend_from_slice(bytes),
            (1, [byte, ..]) => self.bytes.resize(header.size, *byte),
            _ => self.unpack(&header, block.get(..end).unwrap_or_default(), start)?,
        }
        Ok(end)
    }

    /// Decodes what stands from `start` on.
    fn unpack(&mut self, header: &Header, block: &[u8], start: usize) -> io::Result<()> {
        let mut at = start;
        if header.kind == 2 {
            let (code, length) = Code::read(block.get(at..).unwrap_or_default())?;
            self.code = Some(code);
            at += length;
        }
        let cut = || cut_short("the literals of a block are cut");
        let code = self.code.as_ref();
        let code = code.ok_or_else(|| damaged("literals in a code that was not said"))?;
        self.bytes.resize(header.size, 0);
        if !header.four {
            let left = code.decode(Bits::new(block, at)?, &mut self.bytes);
            self.loose |= left != 0;
            return if left < 0 { Err(cut()) } else { Ok(()) };
        }
        if header.size < FOUR_STREAMS {
            return Err(damaged("too few literals for four streams"));
        }
        // Three lengths; the fourth stream is the rest.
        let mut reader = Reader::new(block.get(at..).unwrap_or_default());
        let lengths = [reader.u16_le(), reader.u16_le(), reader.u16_le()];
        at += 6;
        let [first, second, third] = lengths.map(|length| usize::from(length.unwrap_or_default()));
        let ends = [first, first + second, first + second + third].map(|end| at + end);
        let mut next = |end: usize| {
            let stream = block.get(..end).ok_or_else(cut)?;
            let bits = match Bits::new(stream, at) {
                Err(_) if end >= at + QUICK => {
                    self.loose = true;
                    Bits::unmarked(stream, at)
                }
                bits => bits?,
            };
            at = end;
            Ok::<_, io::Error>(bits)
        };
        let [first, second, third] = ends;
        let streams = [
            next(first)?,
            next(second)?,
            next(third)?,
            next(block.len())?,
        ];
        let left = code.decode_four(streams, &mut self.bytes)?;
        self.loose |= left != [0; 4];
        // Bits of the stream before.
        let borrowed = [0, BORROWED, BORROWED, BORROWED];
        if left
            .iter()
            .zip(borrowed)
            .any(|(left, borrowed)| left + borrowed < 0)
        {
            return Err(cut());
        }
        Ok(())
    }
}
