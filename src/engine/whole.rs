//! The content of an object, once more, for what cannot take it as it goes by: regular expressions and comparisons.
//!
//! Nothing is read before somebody needs it. An object of up to [`Subject::contiguous`] bytes is read into memory once, a
//! larger one in windows that overlap, and that is a gap. What is needed and cannot be read is a gap.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use bytes::Bytes;

use super::Subject;
use super::late::compare;
use super::late::regex::{Expression, How, States, Text};
use super::rules::{Late, Tested};
use crate::event::{Errno, Limit, Reason};
use crate::executable::Section;
use crate::object::Object;
use crate::signature::condition::Hits;
use crate::signature::pattern::{Base, Offset};
use crate::signature::rule::{Compare, Regex};
use crate::stop::{Stop, Stopped};

/// Bytes that two windows share: a match of up to so many is seen whole.
const OVERLAP: u64 = 1024 * 1024;

/// Regular expressions of a database, each compiled when it is needed for the first time.
#[derive(Debug)]
pub(super) struct Expressions(Box<[OnceLock<Made>]>);

/// Boxed, because most are never made.
type Made = Result<Box<Expression>, String>;

impl Expressions {
    /// Room for so many.
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(|_| OnceLock::new()).collect())
    }

    fn get(&self, number: u32, regex: &Regex) -> Result<&Expression, &str> {
        let Some(cell) = self.0.get(number as usize) else {
            return Err("no such expression");
        };
        let made = cell.get_or_init(|| Expression::new(&regex.expression).map(Box::new));
        made.as_deref().map_err(String::as_str)
    }
}

/// One object.
pub(super) struct Whole<'a> {
    pub(super) subject: &'a Subject<'a>,
    expressions: &'a Expressions,
    length: u64,
    pub(super) stop: Stop,
    states: Option<States>,
    window: Option<Window>,
    /// What was not examined, and why; the same is said once.
    pub(super) gaps: Vec<(Reason, String)>,
    /// What is worth knowing.
    /// It was stopped.
    pub(super) stopped: Option<Stopped>,
}

/// A part of the object in memory.
struct Window {
    start: u64,
    bytes: Bytes,
}

impl<'a> Whole<'a> {
    pub(super) fn new(
        subject: &'a Subject<'a>,
        expressions: &'a Expressions,
        length: u64,
        stop: Stop,
    ) -> Self {
        Self {
            subject,
            expressions,
            length,
            stop,
            states: None,
            window: None,
            gaps: Vec::new(),
            stopped: None,
        }
    }

    /// Gives the content to `look`: at once, or window by window until one says `false`. It may keep the bytes.
    pub(super) fn each_window(
        &mut self,
        mut look: impl FnMut(&mut Self, Text<'_>, &Bytes) -> bool,
    ) {
        let Some(object) = self.object() else { return };
        let size = self.subject.contiguous.max(2 * OVERLAP);
        let mut start = 0;
        loop {
            let window = match self.window.take().filter(|window| window.start == start) {
                Some(window) => window,
                None => match read(object, start, size) {
                    Ok(bytes) => Window {
                        start,
                        bytes: bytes.into(),
                    },
                    Err(error) => return self.unread(&error),
                },
            };
            let end = start.saturating_add(window.bytes.len() as u64);
            // A file that was cut short meanwhile ends where it ends.
            let last = end >= self.length || (window.bytes.len() as u64) < size;
            if !last {
                let detail = format!(
                    "expressions and YARA rules saw {} bytes in windows of {size}",
                    self.length
                );
                self.gap(Reason::Limit(Limit::Contiguous), detail);
            }
            let text = Text {
                bytes: &window.bytes,
                base: start,
                last,
            };
            let more = look(self, text, &window.bytes);
            self.window = Some(window);
            if last || !more {
                return;
            }
            start = end.saturating_sub(OVERLAP);
        }
    }

    fn object(&mut self) -> Option<&'a Object> {
        match self.subject.object {
            Ok(object) => Some(object),
            Err(reason) => {
                let detail = "no room to keep it for signatures that need all of it at once";
                self.gap(reason.clone(), detail.to_owned());
                None
            }
        }
    }

    fn unread(&mut self, error: &io::Error) {
        match self.stop.check() {
            Err(stopped) => self.stopped = Some(stopped),
            Ok(()) => self.gap(Reason::Unreadable(Errno::of(error)), error.to_string()),
        }
    }

    pub(super) fn gap(&mut self, reason: Reason, detail: String) {
        let gap = (reason, detail);
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// The places that an offset allows.
    fn places(&self, offset: Offset) -> Vec<RangeInclusive<u64>> {
        let layout = self.subject.layout;
        let sections = layout.map_or(&[][..], |layout| &layout.sections);
        let inside = |section: &Section| {
            let last = section.length.checked_sub(1)?;
            Some(section.start..=section.start.saturating_add(last))
        };
        let section = |number: u32| sections.get(number as usize);
        let base = match offset.base {
            Base::Start => Some(0),
            Base::End => Some(self.length),
            Base::Entry => layout.and_then(|layout| layout.entry),
            Base::Section(number) => section(number).map(|section| section.start),
            Base::LastSection => sections.last().map(|section| section.start),
            Base::Within(number) => return section(number).and_then(inside).into_iter().collect(),
            Base::VersionInfo => {
                let all = layout.iter().flat_map(|layout| &layout.version_info);
                return all.filter_map(inside).collect();
            }
        };
        let range = base.and_then(|base| {
            let first = i128::from(base) + i128::from(offset.by);
            let last = (first + i128::from(offset.shift)).min(u64::MAX.into());
            // What begins before the object may still be reached by the shift.
            Some(u64::try_from(first.max(0)).ok()?..=u64::try_from(last).ok()?)
        });
        range.into_iter().collect()
    }
}

/// The bytes of a window.
fn read(object: &Object, start: u64, size: u64) -> io::Result<Vec<u8>> {
    let part = object.slice(start, size);
    // It is no more than there is, and than the limit says.
    let mut bytes = Vec::with_capacity(usize::try_from(part.length()).unwrap_or(0));
    part.raw_reader().read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Late for Whole<'_> {
    fn regex(&mut self, number: u32, regex: &Regex) -> Tested {
        let expression = match self.expressions.get(number, regex) {
            Ok(expression) => expression,
            Err(reason) => {
                let what = Reason::Unsupported("regex".to_owned());
                self.gap(what, format!("`{}`: {reason}", regex.expression));
                return Tested::default();
            }
        };
        let starts: Vec<Option<(u64, u64)>> = match regex.offset {
            None => vec![None],
            Some(offset) => {
                let places = self.places(offset).into_iter();
                places.map(|range| Some(range.into_inner())).collect()
            }
        };
        let mut tested = Tested::default();
        for starts in starts {
            let how = How {
                starts,
                anchored: regex.anchored,
                confined: regex.confined,
                global: regex.global,
            };
            let hits = &mut tested.hits;
            self.each_window(|whole, text, _| {
                let states = whole.states.get_or_insert_with(|| expression.states());
                match expression.search(states, text, how, &whole.stop) {
                    Ok(found) => add(hits, found),
                    Err(stopped) => whole.stopped = Some(stopped),
                }
                whole.stopped.is_none() && (regex.global || hits.count == 0)
            });
        }
        tested
    }

    fn compare(&mut self, compare: &Compare, starts: &[u64]) -> Tested {
        let (Some(start), Some(object)) = (starts.last(), self.object()) else {
            return Tested::default();
        };
        let error = RefCell::new(None);
        let read = |at: u64, length: usize| match object.bytes_at(at, length) {
            Ok(bytes) => Some(bytes).filter(|bytes| bytes.len() == length),
            Err(failed) => {
                error.replace(Some(failed));
                None
            }
        };
        let holds = compare::holds(compare, *start, &read);
        if let Some(error) = error.take() {
            self.unread(&error);
        }
        match holds {
            true => Tested {
                hits: Hits::once(compare::end(compare, *start)),
                starts: Vec::new(),
            },
            false => Tested::default(),
        }
    }
}

fn add(hits: &mut Hits, more: Hits) {
    hits.count = hits.count.saturating_add(more.count);
    hits.end = hits.end.into_iter().chain(more.end).min();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::SUBJECT;

    fn regex(expression: &str, global: bool) -> Regex {
        Regex {
            expression: expression.to_owned(),
            trigger: None,
            offset: None,
            anchored: false,
            confined: false,
            global,
        }
    }

    #[test]
    fn a_large_object_is_seen_in_windows_and_it_is_said() {
        let mut content = vec![b'-'; 5 * OVERLAP as usize];
        let at = [2 * OVERLAP as usize - 2, content.len() - 4];
        for at in at {
            content[at..at + 4].copy_from_slice(b"abcd");
        }
        let object = Object::memory(content.clone().into(), Stop::never());
        let rows = [(u64::MAX, 0), (5 * OVERLAP, 0), (2 * OVERLAP, 1), (1, 1)];
        for (contiguous, gaps) in rows {
            let subject = Subject {
                object: Ok(&object),
                contiguous,
                ..SUBJECT
            };
            let expressions = Expressions::new(1);
            let length = content.len() as u64;
            let mut whole = Whole::new(&subject, &expressions, length, Stop::never());
            let tested = whole.regex(0, &regex("a[b]+cd", true));
            let expected = Hits {
                count: 2,
                end: Some(at[0] as u64 + 4),
            };
            assert_eq!(tested.hits, expected, "{contiguous}");
            assert_eq!(whole.gaps.len(), gaps);
        }
    }

    #[test]
    fn what_is_needed_and_was_not_kept_is_a_gap_once() {
        let expressions = Expressions::new(2);
        let mut whole = Whole::new(&SUBJECT, &expressions, 9, Stop::never());
        for number in [0, 1] {
            assert_eq!(
                whole.regex(number, &regex("a", false)).hits,
                Hits::default()
            );
        }
        assert_eq!(whole.gaps.len(), 1);
        assert_eq!(whole.gaps[0].0, Reason::Corrupt);
    }

    #[test]
    fn an_expression_that_is_none_is_a_gap() {
        let object = Object::memory(b"abc".as_slice().into(), Stop::never());
        let subject = Subject {
            object: Ok(&object),
            ..SUBJECT
        };
        let expressions = Expressions::new(1);
        let mut whole = Whole::new(&subject, &expressions, 3, Stop::never());
        assert_eq!(whole.regex(0, &regex("(", false)).hits, Hits::default());
        assert!(matches!(&whole.gaps[0].0, Reason::Unsupported(what) if what == "regex"));
    }
}
