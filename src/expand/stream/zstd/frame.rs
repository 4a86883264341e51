//! A frame: blocks up to the last one, and what is said of them all (RFC 8878 §3.1.1).
#![forbid(unsafe_code)]

use std::hash::Hasher;
use std::io::{self, Read};

use twox_hash::XxHash64;

use super::bits::BEFORE;
use super::block::Blocks;
use super::header::Header;
use crate::expand::stream::{Decoder, Input, wrong_sum};
use crate::expand::window::Window;
use crate::expand::{cut_short, damaged};

/// The most bytes of a block, compressed or not.
const BLOCK: usize = 128 * 1024;

/// Decodes the content block by block.
pub(super) struct Frame<'a> {
    input: Input<'a>,
    window: Window,
    blocks: Blocks,
    /// The block at hand, behind [`BEFORE`] bytes.
    block: Vec<u8>,
    /// The most bytes of a block of this frame.
    most: usize,
    sum: Option<XxHash64>,
    size: Option<u64>,
    /// Bytes that were decoded.
    given: u64,
    ended: bool,
    /// What is said after the last byte that could be decoded.
    failed: Option<io::Error>,
}

impl<'a> Frame<'a> {
    /// Begins behind the header.
    pub(super) fn new(input: Input<'a>, header: &Header) -> Self {
        let window = usize::try_from(header.window).unwrap_or(usize::MAX);
        Self {
            input,
            window: Window::new(window),
            blocks: Blocks::default(),
            block: Vec::new(),
            most: window.min(BLOCK),
            sum: header.has_sum.then(|| XxHash64::with_seed(0)),
            size: header.size,
            given: 0,
            ended: false,
            failed: None,
        }
    }

    /// Decodes a block, when nothing is waiting.
    fn step(&mut self) -> io::Result<()> {
        let [low, middle, high] = self.input.array("Zstandard block")?;
        let word = u32::from_le_bytes([low, middle, high, 0]);
        let size = (word >> 3) as usize;
        if size > self.most {
            return Err(damaged(format!("Zstandard block of {size} bytes")));
        }
        self.window.reserve(self.most);
        let decoded = self.block(word >> 1 & 3, size);
        let bytes = self.window.waiting();
        self.given = self.given.saturating_add(bytes.len() as u64);
        if let Some(sum) = &mut self.sum {
            sum.write(bytes);
        }
        decoded?;
        if word & 1 == 1 {
            self.ended = true;
            self.end()?;
        }
        Ok(())
    }

    fn block(&mut self, kind: u32, size: usize) -> io::Result<()> {
        if kind == 1 {
            let [byte] = self.input.array("Zstandard block")?;
            self.window.fill(byte, size);
            return Ok(());
        }
        self.block.clear();
        self.block.resize(BEFORE, 0);
        let mut limited = (&mut self.input).take(size as u64);
        let read = limited.read_to_end(&mut self.block)?;
        match kind {
            0 => {
                let bytes = self.block.get(BEFORE..).unwrap_or_default();
                self.window.append(bytes, read);
            }
            2 if read == size => {
                return self.blocks.decode(&self.block, self.most, &mut self.window);
            }
            2 => {}
            kind => return Err(damaged(format!("Zstandard block of type {kind}"))),
        }
        if read < size {
            return Err(cut_short("Zstandard data without its end"));
        }
        Ok(())
    }

    /// Compares what was decoded with what is said.
    fn end(&mut self) -> io::Result<()> {
        if let Some(sum) = &self.sum {
            let said = self.input.array("checksum of the Zstandard frame");
            let said = u32::from_le_bytes(said.map_err(wrong_sum)?);
            // Of its 64 bits, the lower half is kept.
            if sum.finish() & u64::from(u32::MAX) != u64::from(said) {
                return Err(wrong_sum(damaged(
                    "checksum of the Zstandard frame differs",
                )));
            }
        }
        match self.size {
            _ if !self.blocks.are_sound() => {
                Err(damaged("Zstandard blocks that not every reader decodes"))
            }
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
            let count = self.window.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.ended {
                return Ok(0);
            }
            self.failed = self.step().err();
        }
    }
}

impl<'a> Decoder<'a> for Frame<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }
}
