//! What a search found in one object.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use thiserror::Error;

use crate::signature::condition::Hits;

/// The most places that are kept for one object: of matches that were begun, of matches whose offset is not yet known, and
/// of the starts that somebody wants.
pub const PLACES: usize = if cfg!(test) { 10_000 } else { 1_000_000 };

/// A bound was reached, so that matches may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {PLACES} places where patterns begin or continue")]
pub struct Overflow;

/// The matches of one object.
#[derive(Debug, Default)]
pub struct Found {
    pub(super) matches: HashMap<u32, Matches>,
    pub(super) held: Vec<u32>,
    pub(super) overflow: Option<Overflow>,
}

/// The matches of one pattern.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Matches {
    pub(super) hits: Hits,
    pub(super) starts: Vec<u64>,
}

impl Found {
    /// How often a pattern matched, and the smallest end of its matches. With [`Keep::First`](super::Keep::First) the
    /// count says only whether.
    pub fn hits(&self, pattern: u32) -> Hits {
        let found = self.matches.get(&pattern);
        found.map_or(Hits::default(), |matches| matches.hits)
    }

    /// The patterns that matched, in order.
    pub fn held(&self) -> &[u32] {
        &self.held
    }

    /// Where the matches of a pattern begin, in order; only with [`Keep::Starts`](super::Keep::Starts).
    pub fn starts(&self, pattern: u32) -> &[u64] {
        let found = self.matches.get(&pattern);
        found.map_or(&[], |matches| &matches.starts)
    }

    /// What was not examined; findings that are there hold all the same.
    pub fn overflow(&self) -> Option<Overflow> {
        self.overflow
    }
}
