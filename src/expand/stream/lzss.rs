//! The LZSS of COMPRESS.EXE, in SZDD and in KWAJ: a window of 4,096 blanks, and matches by their place in it.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Input, fill};
use crate::expand::cut_short;

const WINDOW: usize = 4096;

pub(super) struct Lzss<'a> {
    pub(super) input: Input<'a>,
    window: Box<[u8; WINDOW]>,
    at: usize,
    /// What is left of a control byte, with a one in front of it.
    control: u16,
    /// The match that is being copied: from where, and how many bytes are left.
    from: usize,
    left: usize,
    failed: Option<io::Error>,
}

impl<'a> Lzss<'a> {
    /// Begins with the window's place `at`.
    pub(super) fn new(input: Input<'a>, at: usize) -> Self {
        Self {
            input,
            window: Box::new([b' '; WINDOW]),
            at,
            control: 1,
            from: 0,
            left: 0,
            failed: None,
        }
    }

    fn put(&mut self, byte: u8) -> u8 {
        if let Some(place) = self.window.get_mut(self.at) {
            *place = byte;
        }
        self.at = (self.at + 1) % WINDOW;
        byte
    }

    /// The next byte of the content.
    fn next(&mut self) -> io::Result<Option<u8>> {
        while self.left == 0 {
            if self.control == 1 {
                let Some(byte) = self.input.byte()? else {
                    return Ok(None);
                };
                self.control = 0x100 | u16::from(byte);
            }
            let literal = self.control & 1 != 0;
            self.control >>= 1;
            let Some(first) = self.input.byte()? else {
                // The bits behind the last one that has a meaning.
                return Ok(None);
            };
            if literal {
                return Ok(Some(self.put(first)));
            }
            let second = self.input.byte()?;
            let second = second.ok_or_else(|| cut_short("a match is cut"))?;
            self.from = usize::from(first) | usize::from(second & 0xf0) << 4;
            self.left = usize::from(second & 0x0f) + 3;
        }
        self.left -= 1;
        let byte = self.window.get(self.from).copied().unwrap_or_default();
        self.from = (self.from + 1) % WINDOW;
        Ok(Some(self.put(byte)))
    }
}

impl Read for Lzss<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut failed = self.failed.take();
        let count = fill(out, &mut failed, || self.next());
        self.failed = failed;
        count
    }
}
