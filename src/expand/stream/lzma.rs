//! LZMA alone: properties, dictionary size, size, and one stream of the range coder (the LZMA SDK's lzma-specification.txt).
//!
//! The dictionary grows with what comes out, so one that is larger than the memory allowed does no harm until as much has
//! come: a small file with a large dictionary is read to its end.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use lzma_rust2::LzmaReader;
use lzma_rust2::filter::bcj::BcjReader;

use super::{Decoder, Input, Opened, too_large};
use crate::expand::{cut_short, damaged};
use crate::object::Probe;

/// The size that says nothing: there is an end marker.
pub(in crate::expand) const UNKNOWN: u64 = u64::MAX;

/// What comes out of the range coder.
pub(in crate::expand) struct Lzma<'a> {
    reader: LzmaReader<Input<'a>>,
    given: u64,
    /// The most that may come out, for a dictionary that would need more memory; and that dictionary's size.
    most: Option<(u64, u64)>,
}

/// The window doubles, and old and new one are both there while it does.
const GROWTH: u64 = 4;

impl<'a> Lzma<'a> {
    /// Begins at the first byte of the range coder.
    pub(in crate::expand) fn new(
        input: Input<'a>,
        size: u64,
        properties: u8,
        dictionary: u32,
        memory: u64,
    ) -> io::Result<Self> {
        let dictionary = dictionary.clamp(1 << 12, u32::MAX - 15);
        let reader = LzmaReader::new_with_props(input, size, properties, dictionary, None);
        let mut reader = reader.map_err(tell)?;
        reader.set_defer_errors(true);
        reader.set_relaxed_end_condition(false);
        let needed = u64::from(dictionary).min(size);
        Ok(Self {
            reader,
            given: 0,
            most: (needed > memory).then_some((memory / GROWTH, needed)),
        })
    }

    /// As zip has it (APPNOTE §5.8.8): a version, the length of the properties, and those.
    pub(in crate::expand) fn in_zip(
        mut input: Input<'a>,
        size: Option<u64>,
        memory: u64,
    ) -> Opened<'a> {
        let [_, _, length, _, properties] = input.array("LZMA header")?;
        if length != 5 {
            return Err(damaged("length of the LZMA properties"));
        }
        let dictionary = u32::from_le_bytes(input.array("LZMA header")?);
        let size = size.unwrap_or(UNKNOWN);
        let lzma = Self::new(input, size, properties, dictionary, memory)?;
        Ok(Box::new(Alone(lzma)))
    }

    /// Its input, at the byte behind.
    pub(in crate::expand) fn into_input(self) -> Input<'a> {
        let (mut input, unused) = self.reader.into_parts();
        input.unread(&unused);
        input
    }
}

impl Read for Lzma<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some((most, needed)) = self.most
            && self.given >= most
        {
            return Err(too_large("a dictionary", needed));
        }
        let result = self.reader.read(out);
        if let Ok(count) = result {
            self.given = self.given.saturating_add(count as u64);
        }
        result.map_err(|error| self.reader.inner().fault().unwrap_or_else(|| tell(error)))
    }
}

/// The crate's errors as ours: it has several kinds for content that cannot be.
fn tell(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_short("LZMA data without its end"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            damaged("damaged LZMA data")
        }
        _ => error,
    }
}

/// What has to come out of the first bytes, for a header of small numbers may be anything.
const LIKELY: usize = 1024;

/// Tells whether a content with a header that can be is likely to be LZMA: what can be seen of it is decoded.
pub(in crate::expand) fn is_likely(probe: &Probe) -> bool {
    /// Zeros and small numbers decode as well, to few but zeros.
    const MOST_ZEROS: usize = 31;
    /// More than is read.
    const MEMORY: u64 = 1 << 20;
    // A size that is not known is eight bytes that are nothing else: such a stream may be damaged.
    let is_open = probe.head.get(5..13) == Some(&[0xff; 8]);
    let input = Input::new(Box::new(&*probe.head));
    let Ok(mut decoder) = open(input, MEMORY) else {
        return false;
    };
    let mut out = vec![0; LIKELY];
    let mut count = 0;
    loop {
        match decoder.read(out.get_mut(count..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => count += more,
            // Cut, with so much before the cut that it is no accident.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && count >= 64 => break,
            Err(_) if is_open && count > 0 => break,
            Err(_) => return false,
        }
    }
    let out = out.get(..count).unwrap_or_default();
    let zeros = out.iter().filter(|byte| **byte == 0).count();
    zeros < count && zeros * 32 <= count * MOST_ZEROS
}

struct Alone<'a>(Lzma<'a>);

/// Tells whether a byte of LZMA86 is in front: properties of such small numbers have a dictionary of a round size behind them.
pub(in crate::expand) fn is_86(head: &[u8]) -> bool {
    matches!(head, [0 | 1, 1..=224, _, _, _, _, ..])
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    if is_86(input.peek(6)?) {
        let [converted] = input.array("header")?;
        let lzma = alone(input, memory)?;
        return Ok(match converted {
            1 => Box::new(Converted(BcjReader::new_x86(lzma, 0))),
            _ => Box::new(Alone(lzma)),
        });
    }
    Ok(Box::new(Alone(alone(input, memory)?)))
}

fn alone(mut input: Input<'_>, memory: u64) -> io::Result<Lzma<'_>> {
    let [properties] = input.array("header")?;
    let dictionary = u32::from_le_bytes(input.array("header")?);
    let size = u64::from_le_bytes(input.array("header")?);
    Lzma::new(input, size, properties, dictionary, memory)
}

/// With the branches of x86 as they were.
struct Converted<'a>(BcjReader<Lzma<'a>>);

impl<'a> Decoder<'a> for Converted<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.0.into_inner().into_input()
    }
}

impl Read for Converted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl<'a> Decoder<'a> for Alone<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.0.into_input()
    }
}

impl Read for Alone<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}
