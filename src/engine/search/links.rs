//! Matches that were begun: the ends of segments from which the next segment of their pattern may continue.
//!
//! Segments come in the order of their starts, so that all ends before a place are known when a segment that begins there is
//! asked about. What nothing can continue any more is dropped; what is kept in all is bounded.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::content::Content;
use super::flat::LinkRecord;
use super::found::PLACES;
use super::program::contains;

/// One end of a segment, and where the match began; 0 for all if nobody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: u64,
    begin: u64,
}

/// What waits for one segment.
#[derive(Debug, Default)]
struct Waiting {
    /// Sorted.
    ends: Vec<End>,
    run: Option<Run>,
}

/// How far back the bytes of a link's set go without a break.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Looked at up to here.
    seen: u64,
    /// All bytes from here to there are in the set.
    from: u64,
}

/// All that was begun in one object.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// By the number of the segment that is waited for.
    waiting: HashMap<u32, Waiting>,
    /// Segments whose link has a set.
    runs: Vec<u32>,
    places: usize,
    /// Ends were dropped that might have been continued.
    pub(super) overflow: bool,
}

/// A link with its set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between<'p> {
    pub(super) link: &'p LinkRecord,
    pub(super) set: Option<&'p [u8; 32]>,
}

impl Between<'_> {
    fn is_free(&self) -> bool {
        self.link.max.get() == u64::MAX && self.set.is_none()
    }
}

impl Begun {
    /// The segment before `next` matched from `start` to `end`, in a match from `begin` on. Gives the work it cost.
    pub(super) fn push(
        &mut self,
        next: u32,
        between: Between<'_>,
        start: u64,
        end: u64,
        begin: u64,
    ) -> u64 {
        if self.places >= PLACES {
            self.overflow = true;
            return 1;
        }
        let waiting = self.waiting.entry(next).or_default();
        if between.set.is_some() && waiting.run.is_none() {
            // All ends that come lie behind the start of this segment.
            waiting.run = Some(Run {
                seen: start + 1,
                from: 0,
            });
            self.runs.push(next);
        }
        let ends = &mut waiting.ends;
        let mut work = 1;
        if between.is_free() {
            // Of one match only the smallest end matters: whatever continues a larger one continues it too.
            work += ends.len() as u64;
            match ends.iter().position(|other| other.begin == begin) {
                Some(same) if ends.get(same).is_some_and(|same| same.at <= end) => return work,
                Some(same) => {
                    ends.remove(same);
                    self.places -= 1;
                }
                None => {}
            }
        }
        let end = End { at: end, begin };
        if let Err(place) = ends.binary_search(&end) {
            work += (ends.len() - place) as u64;
            ends.insert(place, end);
            self.places += 1;
        }
        work
    }

    /// Where the matches began that a segment continues which begins at `start`. The work it costs is added to `work`.
    pub(super) fn continued(
        &mut self,
        segment: u32,
        between: Between<'_>,
        start: u64,
        content: &Content,
        work: &mut u64,
    ) -> Vec<u64> {
        let Some(waiting) = self.waiting.get_mut(&segment) else {
            return Vec::new();
        };
        if let Some(set) = between.set {
            self.overflow |= !waiting.advance(set, start, content);
        }
        let reach = start.saturating_sub(between.link.max.get());
        let broken = waiting.run.map_or(0, |run| run.from);
        self.places -= waiting.drop_before(reach.max(broken));
        let Some(last) = start.checked_sub(between.link.min.get()) else {
            return Vec::new();
        };
        let near = waiting.ends.partition_point(|end| end.at <= last);
        let near = waiting.ends.get(..near).unwrap_or(&[]);
        *work += near.len() as u64;
        let mut begins: Vec<u64> = near.iter().map(|end| end.begin).collect();
        begins.sort_unstable();
        begins.dedup();
        begins
    }

    /// All segments before `horizon` were asked about. `between` tells the link before a segment.
    pub(super) fn advance<'p>(
        &mut self,
        horizon: u64,
        content: &Content,
        between: impl Fn(u32) -> Option<Between<'p>>,
    ) {
        let mut runs = std::mem::take(&mut self.runs);
        runs.retain(|segment| {
            let set = between(*segment).and_then(|between| between.set);
            let (Some(waiting), Some(set)) = (self.waiting.get_mut(segment), set) else {
                return false;
            };
            self.overflow |= !waiting.advance(set, horizon, content);
            let broken = waiting.run.map_or(0, |run| run.from);
            self.places -= waiting.drop_before(broken);
            if waiting.ends.is_empty() {
                self.waiting.remove(segment);
                return false;
            }
            true
        });
        self.runs = runs;
        if self.places >= PLACES / 2 {
            for (segment, waiting) in &mut self.waiting {
                let Some(between) = between(*segment) else {
                    continue;
                };
                let reach = horizon.saturating_sub(between.link.max.get());
                self.places -= waiting.drop_before(reach);
            }
        }
    }
}

impl Waiting {
    fn drop_before(&mut self, at: u64) -> usize {
        let count = self.ends.partition_point(|end| end.at < at);
        self.ends.drain(..count);
        count
    }

    /// Looks at the bytes up to `to`; false if they are not there any more.
    fn advance(&mut self, set: &[u8; 32], to: u64, content: &Content) -> bool {
        let Some(run) = self.run.as_mut().filter(|run| run.seen < to) else {
            return true;
        };
        let bytes = content.range(run.seen, to);
        let there = bytes.is_some();
        let good = bytes.unwrap_or(&[]).iter().rev();
        let good = good.take_while(|byte| contains(set, **byte)).count() as u64;
        if !there || to - good > run.seen {
            run.from = to - good;
        }
        run.seen = to;
        there
    }
}
