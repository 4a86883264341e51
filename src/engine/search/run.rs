//! The search through one object.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::confirm;
use super::content::{Content, Squeezed};
use super::flat::SegmentRecord;
use super::found::{Found, PLACES};
use super::index::Hit;
use super::links::{Begun, Between};
use super::offset::{self, Known};
use super::patterns::{CONTEXT, Patterns, Shape};
use super::record::{Match, Record};
use super::{Extent, Keep};
use crate::executable::Layout;
use crate::stop::{Stop, Stopped};

/// Bytes that are searched at once. In tests it is small, so that short contents cross many borders.
const STEP: usize = if cfg!(test) { 32 } else { 64 * 1024 };

/// So many candidates are put in order at once; more only where they lie too close together.
const CANDIDATES: usize = if cfg!(test) { 64 } else { 64 * 1024 };

/// Work between two looks at the clock.
const WORK: u64 = 1 << 16;

/// Searches one object that is fed from its first byte to its last.
#[derive(Debug)]
pub struct Search<'p> {
    content: Content,
    squeezed: Squeezed,
    /// The bytes at the end of the content that were not yet searched.
    fresh: usize,
    machine: Machine<'p>,
}

#[derive(Debug)]
struct Machine<'p> {
    patterns: &'p Patterns,
    extent: Extent,
    stop: Stop,
    work: u64,
    /// Places where a segment may be, those of patterns of several segments and those whose bytes are not all there.
    candidates: Vec<Candidate>,
    /// As many of them came out of the last time that they were put in order.
    left: usize,
    /// Squeezed segments that may begin at one of the bytes left, which are not all there.
    unfinished: Vec<(u64, u32)>,
    /// Segments that were found somewhere and have another behind them: nobody looks for a segment before.
    seen: HashSet<u32>,
    begun: Begun,
    record: Record,
    overflow: bool,
}

/// A place where a segment may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    start: u64,
    segment: u32,
    /// It is there: where what is counted begins, and where it ends.
    confirmed: Option<(u64, u64)>,
}

impl<'p> Search<'p> {
    /// Begins an object. The search ends early when `stop` says so.
    pub fn new(patterns: &'p Patterns, extent: Extent, stop: Stop) -> Self {
        Self {
            content: Content::default(),
            squeezed: Squeezed::default(),
            fresh: 0,
            machine: Machine {
                patterns,
                extent,
                stop,
                work: 0,
                candidates: Vec::new(),
                left: 0,
                unfinished: Vec::new(),
                seen: HashSet::new(),
                begun: Begun::default(),
                record: Record::default(),
                overflow: false,
            },
        }
    }

    /// Takes the next bytes of the object, any number of them.
    ///
    /// # Errors
    /// It was stopped; the rest of the object was not examined.
    pub fn feed(&mut self, mut chunk: &[u8]) -> Result<(), Stopped> {
        while !chunk.is_empty() {
            let (now, rest) = chunk.split_at(chunk.len().min(STEP - self.fresh));
            self.content.push(now);
            self.fresh += now.len();
            chunk = rest;
            if self.fresh == STEP {
                self.search(false)?;
            }
        }
        Ok(())
    }

    /// The matches, now that the object has ended after `length` bytes. `layout` is `None` if it is no program. If it was
    /// stopped, not everything was examined, and what was found before holds all the same.
    pub fn finish(mut self, length: u64, layout: Option<&Layout>) -> (Found, Option<Stopped>) {
        let stopped = self.search(true).err();
        let machine = self.machine;
        let none = Layout::default();
        // Where an object ends that was not seen to its end is not known.
        let known = Known {
            length: Some(length).filter(|_| stopped.is_none()),
            layout: Some(layout.or(machine.extent.layout.as_ref()).unwrap_or(&none)),
        };
        let mut record = machine.record;
        record.overflow |= machine.overflow | machine.begun.overflow;
        (record.finish(machine.patterns, length, known), stopped)
    }

    fn search(&mut self, last: bool) -> Result<(), Stopped> {
        let machine = &mut self.machine;
        let patterns = machine.patterns;
        machine.stop.check()?;
        let end = self.content.end();
        let known = self.content.bytes().len() - self.fresh;
        let mut behind = end;
        if !patterns.squeezed.is_empty() {
            let fresh = end - self.fresh as u64;
            let old = self.squeezed.bytes().len();
            let bytes = self.content.range(fresh, end).unwrap_or(&[]);
            self.squeezed.push(bytes, fresh);
            machine.scan_squeezed(&self.squeezed, old, last)?;
            // What begins here may still become a match.
            let place = self.squeezed.place_before_the_last(patterns.squeezed_reach);
            behind = place.unwrap_or(end);
        }
        patterns.raw.scan(self.content.bytes(), known, |at, hit| {
            machine.hit(&self.content, at, hit, last)
        })?;
        machine.settle(&self.content, end, behind, last)?;
        self.squeezed.keep(patterns.squeezed_reach);
        let kept = (patterns.reach + 1) as u64;
        self.content.forget(end.saturating_sub(kept));
        self.fresh = 0;
        Ok(())
    }
}

impl<'p> Machine<'p> {
    fn spend(&mut self, work: u64) -> Result<(), Stopped> {
        self.work += work;
        if self.work >= WORK {
            self.work = 0;
            self.stop.check()?;
        }
        Ok(())
    }

    /// An atom of a raw segment is at place `at` of the window.
    fn hit(&mut self, content: &Content, at: usize, hit: Hit, last: bool) -> Result<(), Stopped> {
        let number = hit.segment;
        let patterns = self.patterns;
        let Some(segment) = patterns.segment(number) else {
            return Ok(());
        };
        if !segment.is_first()
            && !segment.is_mixed()
            && !self.seen.contains(&number.wrapping_sub(1))
        {
            return self.spend(1);
        }
        if !segment.is_last() {
            self.seen.insert(number);
        }
        let atom = content.before() + at as u64;
        let Some(latest) = atom.checked_sub(hit.skip.into()) else {
            return self.spend(1);
        };
        let earliest = latest.saturating_sub(hit.spread.into());
        self.spend(latest - earliest + 1)?;
        let alone = segment.is_first() && segment.is_last();
        let shape = match alone {
            true => patterns.shape(segment.pattern.get()),
            false => None,
        };
        for start in earliest..=latest {
            let needed = start + u64::from(segment.longest.get()) + CONTEXT as u64;
            match &shape {
                Some(shape) if shape.keep == Keep::First && (last || needed <= content.end()) => {
                    self.advance(content, number, segment, shape, start, None, last)?;
                }
                _ => self.candidates.push(Candidate {
                    start,
                    segment: number,
                    confirmed: None,
                }),
            }
        }
        if self.candidates.len() >= self.left + CANDIDATES && !last {
            // Atoms behind this one may still belong to segments that begin up to their length before.
            self.settle(content, atom, 0, false)?;
        }
        Ok(())
    }

    fn scan_squeezed(
        &mut self,
        squeezed: &Squeezed,
        known: usize,
        last: bool,
    ) -> Result<(), Stopped> {
        let patterns = self.patterns;
        let mut places = std::mem::take(&mut self.unfinished);
        patterns.squeezed.scan(squeezed.bytes(), known, |at, hit| {
            let atom = squeezed.before() + at as u64;
            if let Some(start) = atom.checked_sub(hit.skip.into()) {
                places.push((start, hit.segment));
            }
            self.spend(1)
        })?;
        for (start, number) in places {
            let (Some(segment), Some(program)) =
                (patterns.segment(number), patterns.program(number))
            else {
                continue;
            };
            // Behind the code and the length of the only step.
            let text = program.get(3..).unwrap_or(&[]);
            if start + text.len() as u64 > squeezed.end() {
                if !last {
                    self.unfinished.push((start, number));
                }
                continue;
            }
            self.spend(1)?;
            if let Some((first, end)) = squeezed.matches(text, start)
                && segment.is_squeezed()
            {
                self.candidates.push(Candidate {
                    start: first,
                    segment: number,
                    confirmed: Some((first, end)),
                });
            }
        }
        self.bound();
        Ok(())
    }

    fn bound(&mut self) {
        if self.candidates.len() > PLACES {
            self.overflow = true;
            self.candidates.truncate(PLACES);
        }
        if self.unfinished.len() > PLACES {
            self.overflow = true;
            self.unfinished.truncate(PLACES);
        }
    }

    /// Goes through the candidates of which everything is known: raw ones as far as all atoms up to `end` were found,
    /// patterns with squeezed segments also only before `behind`.
    fn settle(
        &mut self,
        content: &Content,
        end: u64,
        behind: u64,
        last: bool,
    ) -> Result<(), Stopped> {
        let patterns = self.patterns;
        let horizon = match last {
            true => u64::MAX,
            false => end.saturating_sub(patterns.reach as u64),
        };
        let mixed = if last { u64::MAX } else { horizon.min(behind) };
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable();
        candidates.dedup();
        for candidate in candidates {
            let number = candidate.segment;
            let Some(segment) = patterns.segment(number) else {
                continue;
            };
            let own = if segment.is_mixed() { mixed } else { horizon };
            if candidate.start < own {
                let Some(shape) = patterns.shape(segment.pattern.get()) else {
                    continue;
                };
                let Candidate {
                    start, confirmed, ..
                } = candidate;
                self.advance(content, number, segment, &shape, start, confirmed, last)?;
            } else if candidate.confirmed.is_some() || candidate.start >= horizon {
                self.candidates.push(candidate);
            } else {
                // Its bytes will be gone before those of its neighbours are all there.
                for (mark, end) in self.confirm(content, number, candidate.start, true, last)? {
                    self.candidates.push(Candidate {
                        confirmed: Some((mark, end)),
                        ..candidate
                    });
                }
            }
        }
        self.bound();
        self.left = self.candidates.len();
        if !last {
            self.begun
                .advance(horizon, content, |segment| between(patterns, segment));
        }
        Ok(())
    }

    /// The ends of a raw segment that begins at `start`, each with where what is counted begins, if that is asked for.
    fn confirm(
        &mut self,
        content: &Content,
        segment: u32,
        start: u64,
        counted: bool,
        last: bool,
    ) -> Result<Vec<(u64, u64)>, Stopped> {
        let before = content.before();
        let place = start.checked_sub(before);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let (Some(place), Some(program)) = (place, self.patterns.program(segment)) else {
            return Ok(Vec::new());
        };
        let mut work = 1;
        let window = content.window(last);
        let found: Vec<_> = match counted {
            true => confirm::marked_ends(program, window, place, &mut work),
            false => {
                let ends = confirm::ends(program, window, place, &mut work);
                ends.as_slice().iter().map(|end| (place, *end)).collect()
            }
        };
        self.spend(work)?;
        let from_start = |(mark, end)| (before + mark as u64, before + end as u64);
        Ok(found.into_iter().map(from_start).collect())
    }

    /// A segment may begin at `start`: continues the matches that wait for it there.
    #[expect(clippy::too_many_arguments, reason = "all that is known of one place")]
    fn advance(
        &mut self,
        content: &Content,
        number: u32,
        segment: &SegmentRecord,
        shape: &Shape,
        start: u64,
        confirmed: Option<(u64, u64)>,
        last: bool,
    ) -> Result<(), Stopped> {
        let pattern = segment.pattern.get();
        if self.record.is_done(pattern, shape.keep, start) {
            return Ok(());
        }
        let known = Known {
            length: self.extent.length,
            layout: self.extent.layout.as_ref(),
        };
        let offset = shape.offset.as_ref();
        // If the offset is not known for one place, it is for none.
        let sure = offset.is_none_or(|offset| offset::allows(offset, 0, known).is_some());
        // Where matches began tells them apart only if somebody asks for it.
        let asked = !sure || shape.keep == Keep::Starts || (shape.trail > 0 && offset.is_some());
        let begins = if segment.is_first() {
            let begin = start.checked_sub(shape.lead);
            let allowed = |begin: &u64| {
                offset.is_none_or(|offset| offset::allows(offset, *begin, known) != Some(false))
            };
            begin.filter(allowed).into_iter().collect()
        } else if let Some(between) = between(self.patterns, number) {
            let mut work = 1;
            let begins = self
                .begun
                .continued(number, between, start, content, &mut work);
            self.spend(work)?;
            begins
        } else {
            Vec::new()
        };
        if begins.is_empty() {
            return Ok(());
        }
        let ends = match confirmed {
            Some(confirmed) => vec![confirmed],
            None => {
                let counted = segment.is_last() && shape.keep != Keep::First;
                self.confirm(content, number, start, counted, last)?
            }
        };
        self.spend((begins.len() as u64).saturating_mul(ends.len() as u64))?;
        for begin in begins {
            for (mark, end) in &ends {
                if segment.is_last() {
                    let found = Match {
                        begin,
                        last: start,
                        mark: *mark,
                        end: *end,
                    };
                    self.record.push(pattern, shape, found, sure);
                } else if let Some(between) = between(self.patterns, number.wrapping_add(1)) {
                    let begin = if asked { begin } else { 0 };
                    let next = number.wrapping_add(1);
                    let work = self.begun.push(next, between, start, *end, begin);
                    self.spend(work)?;
                }
            }
        }
        Ok(())
    }
}

/// The link before a segment.
fn between(patterns: &Patterns, segment: u32) -> Option<Between<'_>> {
    let link = patterns.link(patterns.segment(segment)?)?;
    let set = patterns.set(link);
    // A set that is damaged is one that nothing is in.
    match link.within.get() {
        0 => Some(Between { link, set: None }),
        _ => Some(Between {
            link,
            set: Some(set?),
        }),
    }
}
