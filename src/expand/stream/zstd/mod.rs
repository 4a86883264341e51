//! Zstandard frames, RFC 8878, and the frames that are to be passed over.
#![forbid(unsafe_code)]

mod bits;
mod block;
mod frame;
mod fse;
mod header;
mod huffman;
mod literals;
mod sequences;

use std::io::{self, BufRead, Read};

use self::frame::Frame;
use self::header::Header;
use super::{Decoder, Input, Opened, too_large, unsupported};
use crate::expand::{cut_short, damaged};

const MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// The window of a compressor's strongest usual level; less is not asked for, however little memory there is.
const USUAL: u64 = 8 << 20;

/// Tells whether these bytes begin a frame, of either sort.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || is_skippable(head)
}

/// The frames that are to be passed over, which LZ4 has too.
pub(super) fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    let head = input.peek(header::LONGEST)?;
    if is_skippable(head) {
        return skip(input);
    }
    if !MAGIC.starts_with(head.get(..4).unwrap_or(head)) {
        return Err(damaged("not its magic"));
    }
    let head = Header::read(head)?;
    if let Some(number) = head.dictionary.filter(|number| *number != 0) {
        let detail = format!("dictionary {number}");
        return Err(unsupported("zstd-dictionary", detail));
    }
    let most = memory.max(USUAL);
    if head.window > most {
        return Err(too_large("a window", head.window));
    }
    input.consume(head.length);
    Ok(Box::new(Frame::new(input, &head)))
}

/// A frame that is passed over: no reader decodes what it holds.
struct Skipped<'a>(Input<'a>);

/// Passes over the frame at the start of the input.
pub(super) fn skip(mut input: Input<'_>) -> Opened<'_> {
    input.array::<4>("header")?;
    let length = u32::from_le_bytes(input.array("header")?);
    if !input.skip(length.into())? {
        return Err(cut_short("skippable frame without its end"));
    }
    Ok(Box::new(Skipped(input)))
}

impl Read for Skipped<'_> {
    fn read(&mut self, _out: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl<'a> Decoder<'a> for Skipped<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.0
    }
}

#[cfg(test)]
mod tests;
