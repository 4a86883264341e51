//! A compressed block: literals and sequences (RFC 8878 §3.1.1.3), with what blocks of a frame hand on to the next one.
#![forbid(unsafe_code)]

use std::io;

use super::bits::BEFORE;
use super::literals::Literals;
use super::sequences::Sequences;
use crate::expand::window::Window;

/// Decodes the blocks of a frame in their order.
#[derive(Default)]
pub(super) struct Blocks {
    literals: Literals,
    sequences: Sequences,
    /// There was a block without anything.
    empty: bool,
}

impl Blocks {
    /// Whether all that was decoded is as RFC 8878 wants it. What is not, but decoded by the ordinary tool on some machines or
    /// when its input comes in pieces, is decoded here, too.
    pub(super) fn are_sound(&self) -> bool {
        !self.empty && !self.literals.loose
    }

    /// Decodes the block behind [`BEFORE`] bytes to at most `most` bytes, for which there is room. What comes before a damage
    /// is in the window.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        most: usize,
        window: &mut Window,
    ) -> io::Result<()> {
        if block.len() == BEFORE {
            self.empty = true;
            return Ok(());
        }
        let at = self.literals.read(block, BEFORE, most)?;
        self.sequences
            .decode(block, at, self.literals.bytes(), most, window)
    }
}
