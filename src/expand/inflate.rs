//! Raw deflate (RFC 1951) that hands out what it has before it complains.
//!
//! flate2's own readers drop the bytes that came out of the step in which the damage shows; here they are given
//! first, so that the readable part of a damaged member is matched to its last byte. It also knows how far the
//! compressed data went, which gzip members and streamed zip entries need to be followed.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::{cut_short, damaged};

/// Reads one deflate stream out of `input`, and not a byte further.
pub(super) struct Inflate<R> {
    raw: Decompress,
    input: R,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    Broken,
}

impl<R: BufRead> Inflate<R> {
    /// Starts at the reader's position.
    pub(super) fn new(input: R) -> Self {
        Self {
            raw: Decompress::new(false),
            input,
            state: State::Running,
        }
    }

    /// Starts over with the stream that begins at the reader's position.
    pub(super) fn restart(&mut self) {
        self.raw.reset(false);
        self.state = State::Running;
    }

    /// What it reads from, at the byte after the stream once it has ended.
    pub(super) fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// As [`Inflate::input`], when it is not needed any more.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// Compressed bytes that were used.
    pub(super) fn consumed(&self) -> u64 {
        self.raw.total_in()
    }

    /// True when the end of the stream was reached.
    pub(super) fn ended(&self) -> bool {
        self.state == State::Ended
    }

    /// One step: the bytes that came out, and whether the input was at its end and unused.
    fn step(&mut self, out: &mut [u8]) -> io::Result<(usize, bool)> {
        let input = self.input.fill_buf()?;
        let exhausted = input.is_empty();
        let before = (self.raw.total_in(), self.raw.total_out());
        let status = self.raw.decompress(input, out, FlushDecompress::None);
        let used = usize::try_from(self.raw.total_in() - before.0).unwrap_or(0);
        let given = usize::try_from(self.raw.total_out() - before.1).unwrap_or(0);
        self.input.consume(used);
        match status {
            Ok(Status::StreamEnd) => self.state = State::Ended,
            Ok(Status::Ok | Status::BufError) => {
                // Room and input, but neither is used: nothing more will come.
                if used == 0 && given == 0 && !exhausted {
                    self.state = State::Broken;
                }
            }
            Err(_) => self.state = State::Broken,
        }
        Ok((given, exhausted))
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Ended => return Ok(0),
                State::Broken => return Err(damaged("damaged deflate data")),
                State::Running => {}
            }
            let (given, exhausted) = self.step(out)?;
            if given > 0 {
                return Ok(given);
            }
            if exhausted && self.state == State::Running {
                return Err(cut_short("deflate data without its end"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::bufread::DeflateEncoder;

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        DeflateEncoder::new(content, Compression::default())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    #[test]
    fn it_stops_at_the_end_of_the_stream() {
        let content = b"some content, some content, some more".repeat(100);
        let mut stream = deflated(&content);
        let length = stream.len() as u64;
        stream.extend_from_slice(b"rest");
        let mut inflate = Inflate::new(&stream[..]);
        let mut out = Vec::new();
        inflate.read_to_end(&mut out).unwrap();
        assert_eq!(out, content);
        assert_eq!(inflate.consumed(), length);
        assert!(inflate.ended());
        assert_eq!(*inflate.input(), b"rest");
    }

    #[test]
    fn what_comes_before_the_damage_is_given() {
        // A stored block of five bytes, then a block of the type that does not exist.
        let stream = [0, 5, 0, 0xfa, 0xff, b'f', b'i', b'r', b's', b't', 7];
        let mut inflate = Inflate::new(&stream[..]);
        let mut out = Vec::new();
        let error = inflate.read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(out, b"first");
    }

    #[test]
    fn a_cut_anywhere_is_an_error() {
        let content = b"some content, some content, some more".repeat(10);
        let stream = deflated(&content);
        for cut in 0..stream.len() {
            let mut out = Vec::new();
            let error = Inflate::new(&stream[..cut])
                .read_to_end(&mut out)
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut at {cut}");
            assert!(content.starts_with(&out));
        }
    }
}
