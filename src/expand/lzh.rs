//! The decoders of LHA, which ARJ has too, as a stream that gives what comes before a damage.
#![forbid(unsafe_code)]

use std::io::{self, BufReader, Read, Take};

use delharc::decode::{Decoder, DecoderAny};
use delharc::header::CompressionMethod;
use delharc::{LhaError, LhaHeader};

use super::{cut_short, damaged};
use crate::object::{Object, ObjectReader};

/// Bytes that are decoded at once. The decoders fill a buffer or fail, and then do not say how far they came.
const STEP: u64 = 4096;

/// Reads a member's content out of `raw`. It has exactly `size` bytes, for the data have no end of their own.
pub(super) struct Lzh<W: Wrap> {
    raw: Object,
    wrap: W,
    method: CompressionMethod,
    decoder: DecoderAny<W::Reader>,
    size: u64,
    given: u64,
    state: State,
}

/// What lies between the archive and the decoder.
pub(super) trait Wrap {
    type Reader: Read;

    fn wrap(&self, reader: BufReader<ObjectReader>) -> Self::Reader;
}

/// Nothing.
pub(super) struct Plain;

impl Wrap for Plain {
    type Reader = BufReader<ObjectReader>;

    fn wrap(&self, reader: BufReader<ObjectReader>) -> Self::Reader {
        reader
    }
}

#[derive(Debug)]
enum State {
    Sound,
    /// A step failed: from here on byte by byte, up to the one that cannot be decoded.
    Careful,
    Broken(io::ErrorKind, String),
}

impl<W: Wrap> Lzh<W> {
    pub(super) fn new(raw: Object, wrap: W, method: CompressionMethod, size: u64) -> Self {
        let decoder = DecoderAny::new_from_compression(method, wrap.wrap(raw.reader()));
        Self {
            raw,
            wrap,
            method,
            decoder,
            size,
            given: 0,
            state: State::Sound,
        }
    }

    /// Decodes again, up to where it went well.
    fn again(&mut self) -> io::Result<()> {
        let reader = self.wrap.wrap(self.raw.reader());
        self.decoder = DecoderAny::new_from_compression(self.method, reader);
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

impl<W: Wrap> Read for Lzh<W> {
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
            Err(error) if !super::is_damage(&error) => Err(error),
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
pub(super) fn error_of(error: LhaError<io::Error>) -> io::Error {
    match error {
        LhaError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            cut_short("the compressed data end too early")
        }
        LhaError::Io(error) => error,
        error => damaged(error.to_string()),
    }
}

/// Whether the decoder of a header's method is there.
pub(super) fn method(header: &LhaHeader) -> Option<CompressionMethod> {
    let method = header.compression_method().ok()?;
    let decoder = DecoderAny::<Take<io::Empty>>::new_from_compression(method, io::empty().take(0));
    decoder.is_supported().then_some(method)
}
