//! ARJ's method 4: literals and copies with lengths and distances in codes of ones and zeros, without tables.
//!
//! A code is a run of ones, at most as many as the widest number has bits more than the narrowest, a zero unless it is
//! that long, and a number of the width that was reached.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::expand::{cut_short, damaged};

/// The window: a power of two above the largest distance, 15,872.
const WINDOW: usize = 1 << 15;

/// A copy is of at least three bytes.
const SHORTEST: u32 = 2;

/// Widths of the numbers in lengths and in distances.
const LENGTHS: (u32, u32) = (0, 7);
const DISTANCES: (u32, u32) = (9, 13);

/// Decodes `size` bytes, for the data have no end of their own.
pub(super) struct Fastest<R> {
    input: R,
    buffer: Vec<u8>,
    next: usize,
    bits: u32,
    count: u32,
    window: Vec<u8>,
    given: u64,
    size: u64,
    /// Bytes that are left of a copy, and its distance.
    copy: (u32, usize),
    /// Why it cannot go on, once what came before has been given.
    failed: Option<io::Error>,
}

impl<R: Read> Fastest<R> {
    pub(super) fn new(input: R, size: u64) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            next: 0,
            bits: 0,
            count: 0,
            window: vec![0; WINDOW],
            given: 0,
            size,
            copy: (0, 0),
            failed: None,
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        if let Some(byte) = self.buffer.get(self.next) {
            self.next += 1;
            return Ok(*byte);
        }
        self.buffer.resize(4096, 0);
        let count = self.input.read(&mut self.buffer)?;
        self.buffer.truncate(count);
        self.next = 1;
        let first = self.buffer.first().copied();
        first.ok_or_else(|| cut_short("the compressed data end too early"))
    }

    fn bit(&mut self) -> io::Result<u32> {
        self.number(1)
    }

    /// A number of at most 13 bits, the highest first.
    fn number(&mut self, width: u32) -> io::Result<u32> {
        while self.count < width {
            self.bits = self.bits << 8 | u32::from(self.byte()?);
            self.count += 8;
        }
        self.count -= width;
        let number = self.bits >> self.count;
        self.bits &= (1 << self.count) - 1;
        Ok(number)
    }

    fn code(&mut self, (narrow, wide): (u32, u32)) -> io::Result<u32> {
        let mut width = narrow;
        let mut base = 0;
        while width < wide && self.bit()? == 1 {
            base += 1 << width;
            width += 1;
        }
        Ok(base + self.number(width)?)
    }

    /// The next byte of the content.
    fn decode(&mut self) -> io::Result<u8> {
        let (left, _) = self.copy;
        if left == 0 {
            let length = self.code(LENGTHS)?;
            if length == 0 {
                let literal = self.number(8)?;
                return Ok(literal.to_le_bytes()[0]);
            }
            let distance = self.code(DISTANCES)? as usize + 1;
            if distance as u64 > self.given {
                return Err(damaged("a copy from before the start"));
            }
            self.copy = (length + SHORTEST, distance);
        }
        let (left, distance) = &mut self.copy;
        *left -= 1;
        let at = usize::try_from(self.given % WINDOW as u64).unwrap_or_default();
        let from = (at + WINDOW - *distance) % WINDOW;
        Ok(self.window.get(from).copied().unwrap_or_default())
    }
}

impl<R: Read> Read for Fastest<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut count = 0;
        for place in out {
            if self.given >= self.size {
                break;
            }
            match self.decode() {
                Ok(byte) => {
                    let at = usize::try_from(self.given % WINDOW as u64).unwrap_or_default();
                    if let Some(kept) = self.window.get_mut(at) {
                        *kept = byte;
                    }
                    *place = byte;
                    self.given += 1;
                    count += 1;
                }
                Err(error) => {
                    self.size = self.given;
                    if count == 0 {
                        return Err(error);
                    }
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(count)
    }
}
