//! The matches of an object by pattern, while it is searched.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Keep;
use super::found::{Found, Matches, Overflow, PLACES};
use super::offset::{self, Known};
use super::patterns::{Patterns, Shape};

/// A match whose offset or whose last bytes are not known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    pattern: u32,
    mark: u64,
    begin: u64,
    end: u64,
}

/// The matches so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    matches: HashMap<u32, Matches>,
    /// For each pattern that counts, the counted places that may come again: those from its last match's start on.
    marks: HashMap<u32, Vec<u64>>,
    pending: Vec<Pending>,
    starts: usize,
    pub(super) overflow: bool,
}

/// One match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub(super) begin: u64,
    /// Where its last segment begins: no later match has a smaller one.
    pub(super) last: u64,
    pub(super) mark: u64,
    pub(super) end: u64,
}

impl Record {
    /// Nothing that begins at `start` or later can be of interest.
    pub(super) fn is_done(&self, pattern: u32, keep: Keep, start: u64) -> bool {
        keep == Keep::First
            && self
                .matches
                .get(&pattern)
                .and_then(|matches| matches.hits.end)
                .is_some_and(|end| end <= start + 1)
    }

    /// Takes a match of the pattern's segments. `sure` tells that its offset is right.
    pub(super) fn push(&mut self, pattern: u32, shape: &Shape, found: Match, sure: bool) {
        if !sure || shape.trail > 0 {
            if self.pending.len() >= PLACES {
                self.overflow = true;
                return;
            }
            self.pending.push(Pending {
                pattern,
                mark: found.mark,
                begin: found.begin,
                end: found.end,
            });
            return;
        }
        let matches = self.matches.entry(pattern).or_default();
        let least = matches.hits.end.map_or(found.end, |end| end.min(found.end));
        matches.hits.end = Some(least);
        if shape.keep == Keep::First {
            matches.hits.count = 1;
            return;
        }
        let marks = self.marks.entry(pattern).or_default();
        marks.retain(|mark| *mark >= found.last);
        if !marks.contains(&found.mark) {
            marks.push(found.mark);
            matches.hits.count = matches.hits.count.saturating_add(1);
        }
        if shape.keep == Keep::Starts && matches.starts.last() != Some(&found.begin) {
            match self.starts >= PLACES {
                true => self.overflow = true,
                false => matches.starts.push(found.begin),
            }
            self.starts += 1;
        }
    }

    /// All that was found, now that all is known.
    pub(super) fn finish(mut self, patterns: &Patterns, length: u64, known: Known<'_>) -> Found {
        self.pending.sort_unstable();
        let mut last = None;
        for pending in std::mem::take(&mut self.pending) {
            let Some(shape) = patterns.shape(pending.pattern) else {
                continue;
            };
            let offset = shape.offset.as_ref();
            let allowed = offset
                .is_none_or(|offset| offset::allows(offset, pending.begin, known) == Some(true));
            let end = pending.end.saturating_add(shape.trail);
            if !allowed || end > length {
                continue;
            }
            let matches = self.matches.entry(pending.pattern).or_default();
            matches.hits.end = Some(matches.hits.end.map_or(end, |least| least.min(end)));
            if last != Some((pending.pattern, pending.mark)) {
                matches.hits.count = matches.hits.count.saturating_add(1);
            }
            last = Some((pending.pattern, pending.mark));
            if shape.keep == Keep::First {
                matches.hits.count = 1;
            }
            if shape.keep == Keep::Starts {
                matches.starts.push(pending.begin);
            }
        }
        let mut held: Vec<u32> = self.matches.keys().copied().collect();
        held.sort_unstable();
        for matches in self.matches.values_mut() {
            matches.starts.sort_unstable();
            matches.starts.dedup();
        }
        Found {
            matches: self.matches,
            held,
            overflow: self.overflow.then_some(Overflow),
        }
    }
}
