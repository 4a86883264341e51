//! LHA's rarer methods, which the crate delharc decodes, as a stream that gives what comes before a damage.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read};

use delharc::LhaError;
use delharc::decode::{Decoder, DecoderAny};
use delharc::header::CompressionMethod;

use crate::expand::{cut_short, damaged, is_damage};
use crate::object::{Object, ObjectReader};

/// Bytes that are decoded at once. The decoders fill a buffer or fail, and then do not say how far they came.
const STEP: u64 = 4096;

/// Reads a member's content out of `raw`. It has exactly `size` bytes, for the data have no end of their own.
pub(super) struct Other {
    raw: Object,
    method: CompressionMethod,
    decoder: DecoderAny<BufReader<ObjectReader>>,
    size: u64,
    given: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Sound,
    /// A step failed: from here on byte by byte, up to the one that cannot be decoded.
    Careful,
    Broken(io::ErrorKind, String),
}

impl Other {
    /// Nothing for a method without a decoder.
    pub(super) fn new(raw: &Object, method: CompressionMethod, size: u64) -> Option<Self> {
        let decoder = DecoderAny::new_from_compression(method, raw.reader());
        decoder.is_supported().then(|| Self {
            raw: raw.clone(),
            method,
            decoder,
            size,
            given: 0,
            state: State::Sound,
        })
    }

    /// Decodes again, up to where it went well.
    fn again(&mut self) -> io::Result<()> {
        self.decoder = DecoderAny::new_from_compression(self.method, self.raw.reader());
        let mut buffer = [0; STEP as usize];
        let mut left = self.given;
        while left > 0 {
            let step = left.min(STEP);
            let step = usize::try_from(step).unwrap_or_default();
            let part = buffer.get_mut(..step).unwrap_or_default();
            self.decoder.fill_buffer(part).map_err(error_of)?;
            left = left.saturating_sub(step as u64);
        }
        Ok(())
    }
}

impl Read for Other {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.given);
        if left == 0 || out.is_empty() {
            return Ok(0);
        }
        let most = match &self.state {
            State::Sound => STEP.min(left),
            State::Careful => 1,
            State::Broken(kind, detail) => return Err(io::Error::new(*kind, detail.clone())),
        };
        let most = usize::try_from(most).unwrap_or_default().min(out.len());
        let part = out.get_mut(..most).unwrap_or_default();
        match self.decoder.fill_buffer(part).map_err(error_of) {
            Ok(()) => {
                self.given = self.given.saturating_add(most as u64);
                Ok(most)
            }
            Err(error) if !is_damage(&error) => Err(error),
            Err(_) if matches!(self.state, State::Sound) && most > 1 => {
                self.again()?;
                self.state = State::Careful;
                self.read(out)
            }
            Err(error) => {
                self.state = State::Broken(error.kind(), error.to_string());
                Err(error)
            }
        }
    }
}

/// An error of a decoder as one of a stream.
fn error_of(error: LhaError<io::Error>) -> io::Error {
    match error {
        LhaError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            cut_short("the compressed data end too early")
        }
        LhaError::Io(error) => error,
        error => damaged(error.to_string()),
    }
}
