//! lzip (draft-diaz-lzip): LZMA with fixed properties between a header and a trailer.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crc32fast::Hasher;

use super::lzma::{Lzma, UNKNOWN};
use super::{Decoder, Input, Opened, unsupported, wrong_sum};
use crate::expand::damaged;

/// lc 3, lp 0, pb 2, as in any lzip file.
const PROPERTIES: u8 = 93;

const HEADER: &[u8] = b"LZIP";

struct Lzip<'a> {
    state: State<'a>,
    sum: Hasher,
    size: u64,
    version: u8,
    /// Where the member begins.
    start: u64,
}

enum State<'a> {
    In(Box<Lzma<'a>>),
    Ended(Input<'a>),
    Broken,
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    let start = input.position();
    let magic: [u8; 4] = input.array("header")?;
    let [version, size] = input.array("header")?;
    if magic != HEADER {
        return Err(damaged("not its magic"));
    }
    if version > 1 {
        let detail = format!("version {version}");
        return Err(unsupported("lzip-version", detail));
    }
    // The low bits are a power of two, the high ones how many sixteenths are taken off.
    let base = 1_u32
        .checked_shl(u32::from(size & 0x1f))
        .unwrap_or_default();
    let dictionary = base - base / 16 * u32::from(size >> 5);
    if !(1 << 12..=1 << 29).contains(&dictionary) {
        return Err(damaged("dictionary size"));
    }
    let lzma = Lzma::new(input, UNKNOWN, PROPERTIES, dictionary, memory)?;
    Ok(Box::new(Lzip {
        state: State::In(Box::new(lzma)),
        sum: Hasher::new(),
        size: 0,
        version,
        start,
    }))
}

impl Lzip<'_> {
    fn trailer(&self, input: &mut Input<'_>) -> io::Result<()> {
        let sum = u32::from_le_bytes(input.array("trailer")?);
        let size = u64::from_le_bytes(input.array("trailer")?);
        if (sum, size) != (self.sum.clone().finalize(), self.size) {
            return Err(damaged("checksum or size of the lzip member differs"));
        }
        if self.version == 0 {
            return Ok(());
        }
        let length = u64::from_le_bytes(input.array("trailer")?);
        if length != input.position().saturating_sub(self.start) {
            return Err(damaged("length of the lzip member differs"));
        }
        Ok(())
    }
}

impl Read for Lzip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::In(mut lzma) => {
                let count = lzma.read(out)?;
                if count > 0 {
                    self.sum.update(out.get(..count).unwrap_or_default());
                    self.size = self.size.saturating_add(count as u64);
                    self.state = State::In(lzma);
                    return Ok(count);
                }
                let mut input = lzma.into_input();
                self.trailer(&mut input).map_err(wrong_sum)?;
                self.state = State::Ended(input);
            }
            State::Ended(input) => self.state = State::Ended(input),
            State::Broken => return Err(damaged("damaged LZMA data")),
        }
        Ok(0)
    }
}

impl<'a> Decoder<'a> for Lzip<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        match self.state {
            State::In(lzma) => lzma.into_input(),
            State::Ended(input) => input,
            State::Broken => Input::new(Box::new(io::empty())),
        }
    }
}
