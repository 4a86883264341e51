//! The bytes of an object that a search still needs, and what squeezed text is compared with.
#![forbid(unsafe_code)]

use super::confirm::Window;
use super::index::PERIOD;
use crate::signature::pattern::is_left_out;

/// The last bytes of what was fed so far.
#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// The bytes of the object before these.
    before: u64,
}

impl Content {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The number of bytes that were fed.
    pub(super) fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    pub(super) fn before(&self) -> u64 {
        self.before
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn window(&self, last: bool) -> Window<'_> {
        Window {
            bytes: &self.bytes,
            before: self.before,
            last,
        }
    }

    /// The bytes from one place of the object to another; `None` if they are not there any more.
    pub(super) fn range(&self, from: u64, to: u64) -> Option<&[u8]> {
        let from = usize::try_from(from.checked_sub(self.before)?).ok()?;
        let to = usize::try_from(to.checked_sub(self.before)?).ok()?;
        self.bytes.get(from..to)
    }

    /// Forgets bytes before this place of the object, so many that the index sees the rest as it saw it before.
    pub(super) fn forget(&mut self, to: u64) {
        let count = usize::try_from(to.saturating_sub(self.before)).unwrap_or(usize::MAX);
        let count = count.min(self.bytes.len()) / PERIOD * PERIOD;
        self.bytes.drain(..count);
        self.before += count as u64;
    }
}

/// What is left of the content without blanks and punctuation, in lower case.
#[derive(Debug, Default)]
pub(super) struct Squeezed {
    bytes: Vec<u8>,
    /// Where each of them is in the object.
    places: Vec<u64>,
    /// How many there were before these.
    before: u64,
}

impl Squeezed {
    /// Adds what is left of `chunk`, which begins at this place of the object.
    pub(super) fn push(&mut self, chunk: &[u8], at: u64) {
        for (at, byte) in (at..).zip(chunk) {
            if !is_left_out(*byte) {
                self.bytes.push(byte.to_ascii_lowercase());
                self.places.push(at);
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn before(&self) -> u64 {
        self.before
    }

    pub(super) fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// The text that begins at this one of the bytes left, if it does: where in the object it begins and ends.
    pub(super) fn matches(&self, text: &[u8], start: u64) -> Option<(u64, u64)> {
        let start = usize::try_from(start.checked_sub(self.before)?).ok()?;
        let end = start.checked_add(text.len())?;
        let found = self.bytes.get(start..end)?;
        match self.places.get(start..end)? {
            [first, .., last] if found == text => Some((*first, last + 1)),
            [only] if found == text => Some((*only, only + 1)),
            _ => None,
        }
    }

    /// Where in the object that one of the bytes left is which has `count` - 1 behind it, or the first one.
    pub(super) fn place_before_the_last(&self, count: usize) -> Option<u64> {
        let at = self.places.len().saturating_sub(count);
        self.places.get(at).copied()
    }

    /// Forgets all but the last `count`, or a few more.
    pub(super) fn keep(&mut self, count: usize) {
        let gone = self.bytes.len().saturating_sub(count) / PERIOD * PERIOD;
        self.bytes.drain(..gone);
        self.places.drain(..gone);
        self.before += gone as u64;
    }
}
