//! bzip2: a stream of blocks, each with its checksum, and the checksum of all. The crate has no C.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use ::bzip2::{Decompress, Status};

use super::{Decoder, Input, Opened};
use crate::expand::{cut_short, damaged};

struct Bzip2<'a> {
    raw: Decompress,
    input: Input<'a>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    /// The crate is not asked again: libbz2-rs-sys 0.2.6 goes on where it failed, leaves its tables, and aborts the process.
    Broken,
}

/// Tells whether these bytes begin a stream: the level, and the magic of a block or of the end.
pub(super) fn begins(head: &[u8]) -> bool {
    const NEXT: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
    let Some([b'1'..=b'9', rest @ ..]) = head.strip_prefix(b"BZh") else {
        return false;
    };
    // As far as it is there: one that is cut is a stream, too.
    let same = |next: &&[u8]| rest.iter().zip(next.iter()).all(|(a, b)| a == b);
    NEXT.iter().any(same)
}

pub(super) fn open(mut input: Input<'_>, _memory: u64) -> Opened<'_> {
    if !matches!(input.peek(4)?, [b'B', b'Z', b'h', b'1'..=b'9']) {
        return Err(damaged("no block size"));
    }
    Ok(Box::new(Bzip2 {
        raw: Decompress::new(false),
        input,
        state: State::Running,
    }))
}

impl<'a> Decoder<'a> for Bzip2<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}

impl Bzip2<'_> {
    /// One step: the bytes that came out, and whether the input was at its end.
    fn step(&mut self, out: &mut [u8]) -> io::Result<(usize, bool)> {
        let input = self.input.fill_buf()?;
        let exhausted = input.is_empty();
        let before = (self.raw.total_in(), self.raw.total_out());
        let status = self.raw.decompress(input, out);
        let used = usize::try_from(self.raw.total_in() - before.0).unwrap_or(0);
        let given = usize::try_from(self.raw.total_out() - before.1).unwrap_or(0);
        self.input.consume(used);
        match status {
            Ok(Status::StreamEnd) => self.state = State::Ended,
            Ok(_) if used == 0 && given == 0 && !exhausted => self.state = State::Broken,
            Ok(_) => {}
            Err(_) => self.state = State::Broken,
        }
        Ok((given, exhausted))
    }
}

impl Read for Bzip2<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                State::Ended => return Ok(0),
                State::Broken => return Err(damaged("damaged bzip2 data")),
                State::Running => {}
            }
            let (given, exhausted) = self.step(out)?;
            if given > 0 {
                return Ok(given);
            }
            if exhausted && self.state == State::Running {
                return Err(cut_short("bzip2 data without its end"));
            }
        }
    }
}
