//! What a decoder of a stream reads from: it can look ahead, and knows where it is.
//!
//! A content is many small streams one after the other as well as one large: the buffer is small at first, and what was
//! read goes from one decoder to the next.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use crate::expand::cut_short;
use crate::object::CHUNK;

/// The buffer's first length in bytes.
const FIRST: usize = 4096;

/// A position in compressed bytes.
pub(in crate::expand) struct Input<'a> {
    inner: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    /// Bytes that were read at once.
    step: usize,
    position: u64,
    fault: Option<Fault>,
}

/// What is left of an error of reading, for decoders do not hand on what they were given.
#[derive(Debug, Clone, Copy)]
enum Fault {
    System(i32),
    Kind(io::ErrorKind),
}

impl<'a> Input<'a> {
    /// Begins where `inner` is.
    pub(in crate::expand) fn new(inner: Box<dyn Read + 'a>) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            start: 0,
            step: 0,
            position: 0,
            fault: None,
        }
    }

    /// Bytes that were taken out of it.
    pub(in crate::expand) fn position(&self) -> u64 {
        self.position
    }

    /// Why reading failed, if it did.
    pub(in crate::expand) fn fault(&self) -> Option<io::Error> {
        self.fault.map(|fault| match fault {
            Fault::System(number) => io::Error::from_raw_os_error(number),
            Fault::Kind(kind) => kind.into(),
        })
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads until `length` bytes lie in the buffer, or all that there are. Nothing is taken. For small things.
    pub(in crate::expand) fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        while self.buffered().len() < length {
            if self.more()? == 0 {
                break;
            }
        }
        let bytes = self.buffered();
        Ok(bytes.get(..length).unwrap_or(bytes))
    }

    /// Takes the next `N` bytes; `what` is what is cut when they are not there.
    pub(in crate::expand) fn array<const N: usize>(&mut self, what: &str) -> io::Result<[u8; N]> {
        let bytes = self.peek(N)?.try_into();
        let Ok(bytes) = bytes else {
            return Err(cut_short(&format!("{what} is cut")));
        };
        self.consume(N);
        Ok(bytes)
    }

    /// Takes one byte, if there is one.
    pub(in crate::expand) fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.fill_buf()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Puts back what somebody took too much: the last bytes that were read.
    pub(in crate::expand) fn unread(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.buffer = [bytes, self.buffered()].concat();
        self.start = 0;
        self.position = self.position.saturating_sub(bytes.len() as u64);
    }

    /// Passes over `length` bytes; false when they are not all there.
    pub(in crate::expand) fn skip(&mut self, length: u64) -> io::Result<bool> {
        let mut left = length;
        while left > 0 {
            let there = self.fill_buf()?.len() as u64;
            if there == 0 {
                return Ok(false);
            }
            let step = left.min(there);
            self.consume(usize::try_from(step).unwrap_or_default());
            left -= step;
        }
        Ok(true)
    }

    /// Appends the next bytes to the buffer, and gives their count.
    fn more(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let kept = self.buffer.len();
        let step = (2 * kept.max(self.step)).clamp(FIRST, CHUNK);
        self.step = step;
        self.buffer.resize(kept + step, 0);
        let read = loop {
            match self
                .inner
                .read(self.buffer.get_mut(kept..).unwrap_or_default())
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(kept + count);
        if let Err(error) = &read {
            let number = error.raw_os_error();
            self.fault = Some(number.map_or(Fault::Kind(error.kind()), Fault::System));
        }
        read
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.buffered().is_empty() {
            self.more()?;
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.buffered().len());
        self.start += count;
        self.position = self.position.saturating_add(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_comes_again() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut input = Input::new(Box::new(&bytes[..]));
        assert_eq!(input.peek(5000).unwrap(), &bytes[..5000]);
        assert_eq!(input.position(), 0);
        let mut taken = vec![0; 70_000];
        input.read_exact(&mut taken).unwrap();
        input.unread(&taken[60_000..]);
        assert_eq!(input.position(), 60_000);
        assert!(input.skip(9_000).unwrap());
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &bytes[69_000..]);
        assert_eq!(input.position(), 100_000);
        assert_eq!(input.byte().unwrap(), None);
        assert!(!input.skip(1).unwrap());
        assert!(input.array::<1>("it").is_err());
    }
}
