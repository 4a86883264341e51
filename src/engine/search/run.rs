//! The search through one object.
#![forbid(unsafe_code)]

use super::confirm::{self, Window};
use super::found::Matches;
use super::offset::{self, Known};
use super::patterns::Shape;
use super::program::contains;
use super::{Extent, Found, Keep, Patterns};
use crate::executable::Layout;
use crate::signature::pattern::is_left_out;
use crate::stop::{Stop, Stopped};

/// Searches one object that is fed from its first byte to its last.
#[derive(Debug)]
pub struct Search<'p> {
    patterns: &'p Patterns,
    extent: Extent,
    stop: Stop,
    content: Vec<u8>,
}

impl<'p> Search<'p> {
    /// Begins an object. The search ends early when `stop` says so.
    pub fn new(patterns: &'p Patterns, extent: Extent, stop: Stop) -> Self {
        Self {
            patterns,
            extent,
            stop,
            content: Vec::new(),
        }
    }

    /// Takes the next bytes of the object, any number of them.
    ///
    /// # Errors
    /// It was stopped; the rest of the object was not examined.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Stopped> {
        self.content.extend_from_slice(chunk);
        self.stop.check()
    }

    /// The matches, now that the object has ended after `length` bytes. `layout` is `None` if it is no program.
    ///
    /// # Errors
    /// It was stopped; not everything was examined.
    pub fn finish(self, length: u64, layout: Option<&Layout>) -> Result<Found, Stopped> {
        let none = Layout::default();
        let known = Known {
            length: Some(length),
            layout: Some(layout.or(self.extent.layout.as_ref()).unwrap_or(&none)),
        };
        let mut found = Found::default();
        for pattern in 0..self.patterns.count() {
            self.stop.check()?;
            let matches = (self.patterns.shape(pattern)).and_then(|shape| self.all(&shape, known));
            if let Some(matches) = matches.filter(|matches| matches.hits.count > 0) {
                found.held.push(pattern);
                found.matches.insert(pattern, matches);
            }
        }
        Ok(found)
    }

    fn all(&self, shape: &Shape, known: Known<'_>) -> Option<Matches> {
        let length = self.content.len() as u64;
        let ranges = match &shape.offset {
            None => vec![0..=u64::MAX],
            Some(record) => offset::allowed(record, known)?,
        };
        // Start of the pattern, start of what is counted, end.
        let mut begun: Vec<(u64, u64, u64)> = Vec::new();
        for number in shape.first..shape.end {
            let record = self.patterns.segment(number)?;
            let mut next = Vec::new();
            for start in 0..length {
                let ends = self.ends(number, start)?;
                for (mark, end) in ends {
                    if number == shape.first {
                        let begin = start.checked_sub(shape.lead);
                        let allowed = |at: &u64| ranges.iter().any(|range| range.contains(at));
                        next.extend(begin.filter(allowed).map(|begin| (begin, mark, end)));
                        continue;
                    }
                    let link = self.patterns.link(record)?;
                    for (begin, _, before) in &begun {
                        let between = start.checked_sub(*before);
                        let fits = between
                            .is_some_and(|gap| gap >= link.min.get() && gap <= link.max.get());
                        let within = fits
                            && self.patterns.set(link).is_none_or(|set| {
                                let bytes = self.content.get(*before as usize..start as usize);
                                bytes.is_some_and(|all| all.iter().all(|b| contains(set, *b)))
                            });
                        if within {
                            next.push((*begin, mark, end));
                        }
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            begun = next;
        }
        begun.retain(|(_, _, end)| end + shape.trail <= length);
        let mut marks: Vec<u64> = begun.iter().map(|(_, mark, _)| *mark).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut matches = Matches::default();
        matches.hits.count = u32::try_from(marks.len()).unwrap_or(u32::MAX);
        matches.hits.end = begun.iter().map(|(_, _, end)| end + shape.trail).min();
        match shape.keep {
            Keep::First => matches.hits.count = matches.hits.count.min(1),
            Keep::Count => {}
            Keep::Starts => {
                matches.starts = begun.iter().map(|(start, _, _)| *start).collect();
                matches.starts.dedup();
            }
        }
        Some(matches)
    }

    /// The ends of a segment that begins at `start`, each with where what is counted of it begins.
    fn ends(&self, segment: u32, start: u64) -> Option<Vec<(u64, u64)>> {
        let program = self.patterns.program(segment)?;
        let start = usize::try_from(start).ok()?;
        if self.patterns.segment(segment)?.squeezed == 1 {
            let expected = program.get(3..)?;
            let mut rest = (start..).zip(self.content.get(start..)?);
            let mut end = start;
            for (number, byte) in expected.iter().enumerate() {
                let mut kept = rest
                    .by_ref()
                    .filter(|(_, b)| number == 0 || !is_left_out(**b));
                match kept.next() {
                    Some((at, found)) if found.to_ascii_lowercase() == *byte => end = at + 1,
                    _ => return Some(Vec::new()),
                }
            }
            return Some(vec![(start as u64, end as u64)]);
        }
        let window = Window {
            bytes: &self.content,
            before: 0,
            last: true,
        };
        let all = confirm::marked_ends(program, window, start, &mut 0);
        let all = all.into_iter().map(|(mark, end)| (mark as u64, end as u64));
        Some(all.collect())
    }
}
