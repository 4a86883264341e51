//! Zstandard frames, RFC 8878, and the frames that are to be passed over.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Decoder, Input, Opened, fault, too_large, unsupported};
use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};

const MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// The longest frame header in bytes.
const HEADER: usize = 18;

/// The window of a compressor's strongest usual level; less is not asked for, however little memory there is.
const USUAL: u64 = 8 << 20;

/// A last block without content, and four bytes for a checksum: after damage this makes the crate give what it holds back
/// for later matches.
const CLOSING: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

struct Frame<'a> {
    decoder: FrameDecoder,
    input: Input<'a>,
    given: u64,
    /// The size of the content, if the header says it.
    size: Option<u64>,
    /// What is said after the last byte that could be decoded.
    failed: Option<io::Error>,
}

/// Tells whether these bytes begin a frame, of either sort.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || is_skippable(head)
}

/// The frames that are to be passed over, which LZ4 has too.
pub(super) fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    let head = input.peek(HEADER)?;
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
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(most);
    if let Err(error) = decoder.init(&mut input) {
        return Err(fault(&mut input, error));
    }
    Ok(Box::new(Frame {
        decoder,
        input,
        given: 0,
        size: head.size,
        failed: None,
    }))
}

/// What a frame header says (RFC 8878 §3.1.1.1).
struct Header {
    window: u64,
    dictionary: Option<u32>,
    size: Option<u64>,
}

impl Header {
    fn read(head: &[u8]) -> io::Result<Self> {
        let cut = || cut_short("header is cut");
        let mut reader = Reader::new(head.strip_prefix(MAGIC).ok_or_else(cut)?);
        let [descriptor] = reader.array().ok_or_else(cut)?;
        if descriptor & 0x08 != 0 {
            return Err(damaged("its reserved bit is set"));
        }
        let single = descriptor & 0x20 != 0;
        let mut window = 0;
        if !single {
            let [byte] = reader.array().ok_or_else(cut)?;
            let base = 1_u64 << (10 + u32::from(byte >> 3));
            window = base + base / 8 * u64::from(byte & 7);
        }
        let lengths = [0, 1, 2, 4];
        let number = lengths.get(usize::from(descriptor & 3));
        let number = reader.take(number.copied().unwrap_or_default());
        let dictionary = little_endian(number.ok_or_else(cut)?);
        let length = match descriptor >> 6 {
            0 => usize::from(single),
            power => 1 << power,
        };
        let field = reader.take(length).ok_or_else(cut)?;
        let size = little_endian(field).map(|size| size + if length == 2 { 256 } else { 0 });
        Ok(Self {
            window: if single {
                size.unwrap_or_default()
            } else {
                window
            },
            dictionary: dictionary.and_then(|number| u32::try_from(number).ok()),
            size,
        })
    }
}

/// The number that these bytes are, if there are any.
fn little_endian(bytes: &[u8]) -> Option<u64> {
    let shift = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    (!bytes.is_empty()).then(|| bytes.iter().rev().fold(0, shift))
}

impl Frame<'_> {
    /// Decodes one block.
    fn block(&mut self) {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let Err(error) = self.decoder.decode_blocks(&mut self.input, one) else {
            return;
        };
        let at_end = self.input.peek(1).is_ok_and(<[u8]>::is_empty);
        self.failed = Some(match self.input.fault() {
            Some(fault) => fault,
            None if at_end => cut_short("Zstandard data without its end"),
            None => damaged(format!("damaged Zstandard data: {error}")),
        });
        // If this fails too, what is held back is lost, and the damage is said all the same.
        let _ = self
            .decoder
            .decode_blocks(CLOSING, BlockDecodingStrategy::All);
    }

    fn end(&self) -> io::Result<()> {
        let said = self.decoder.get_checksum_from_data();
        if said.is_some() && said != self.decoder.get_calculated_checksum() {
            return Err(damaged("checksum of the Zstandard frame differs"));
        }
        match self.size {
            Some(size) if size != self.given => {
                Err(damaged(format!("{} bytes instead of {size}", self.given)))
            }
            _ => Ok(()),
        }
    }
}

impl Read for Frame<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.decoder.read(out)?;
            if count > 0 {
                self.given = self.given.saturating_add(count as u64);
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.decoder.is_finished() {
                return self.end().map(|()| 0);
            }
            self.block();
        }
    }
}

impl<'a> Decoder<'a> for Frame<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
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
