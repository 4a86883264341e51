//! What a part of a body must have: two plain bytes in a row, and a single byte beside `[n-m]`.
#![forbid(unsafe_code)]

use super::BESIDE;
use crate::signature::clam::Trouble;

pub(super) const TOO_SHORT: &str = "a part without two plain bytes in a row";

const BRACKET: &str = "`[n-m]` needs a single byte on one side and more on the other";

/// What `[n-m]` needs to know of a part: how many pieces were before, between and behind brackets.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Plain bytes in a row at its end.
    pub(super) run: usize,
    /// The most plain bytes in a row.
    pub(super) longest: usize,
    /// The bytes since its start or the last bracket, anything but plain and half bytes counted as many.
    pub(super) bytes: usize,
    /// The section before the bracket was a single byte.
    pub(super) was_single: Option<bool>,
    /// A single byte behind a bracket was read: the part must end here.
    pub(super) is_closed: bool,
    /// A border of no byte was read.
    has_edge: bool,
    /// Others are before it.
    is_behind: bool,
}

impl Part {
    pub(super) fn plain(&mut self, count: usize) {
        self.run += count;
        self.longest = self.longest.max(self.run);
        self.bytes = self.bytes.saturating_add(count);
    }

    /// A border that takes no byte.
    pub(super) fn edge(&mut self) {
        self.run = 0;
        self.has_edge = true;
    }

    /// Nothing of it was read.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.was_single.is_none() && !self.has_edge
    }

    pub(super) fn other(&mut self, count: usize) {
        self.run = 0;
        self.bytes = self.bytes.saturating_add(count);
    }

    /// One behind the first.
    pub(super) fn behind_another() -> Self {
        Self {
            is_behind: true,
            ..Self::default()
        }
    }

    /// At `[n-m]`; whether it stands behind the first byte of a body.
    pub(super) fn bracket(&mut self) -> Result<bool, Trouble> {
        if self.is_closed || self.bytes == 0 {
            return Err(Trouble::wrong(BRACKET));
        }
        let is_single = self.bytes == 1;
        match self.was_single {
            None if is_single && self.is_behind => return Err(Trouble::never(BESIDE)),
            None => self.was_single = Some(is_single),
            // The second bracket of a part: `aa[n-m]body[n-m]bb`.
            Some(true) if !is_single => {
                self.was_single = Some(false);
                self.is_closed = true;
            }
            Some(_) => return Err(Trouble::wrong(BRACKET)),
        }
        (self.bytes, self.run) = (0, 0);
        Ok(is_single)
    }

    /// At the end of a part that is not the last.
    pub(super) fn end_within(&self) -> Result<(), Trouble> {
        self.end()?;
        match self.was_single {
            Some(false) => Err(Trouble::never(BESIDE)),
            _ => Ok(()),
        }
    }

    /// At the end of the part.
    pub(super) fn end(&self) -> Result<(), Trouble> {
        let ends_single = self.bytes == 1;
        match self.was_single {
            Some(true) if ends_single => return Err(Trouble::wrong(BRACKET)),
            Some(false) if !ends_single => return Err(Trouble::wrong(BRACKET)),
            _ => {}
        }
        match self.longest {
            0 | 1 => Err(Trouble::wrong(TOO_SHORT)),
            _ => Ok(()),
        }
    }
}
