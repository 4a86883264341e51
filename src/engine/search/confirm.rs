//! A segment and the bytes from one place on: where it ends there, if it is there.
//!
//! Parts of variable length lead to several places, so a set of them goes through the program. It is a sorted list of at
//! most as many places as a segment is long, and each step is linear in it: no content makes it worse.
#![forbid(unsafe_code)]

use super::program::{Choices, Step, Steps, contains};
use crate::signature::pattern::{Border, DEPTH_LIMIT, Edge, LENGTH_LIMIT, Side};

/// The content that is there, and where it lies in the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'c> {
    /// The bytes.
    pub(super) bytes: &'c [u8],
    /// The bytes of the object before them.
    pub(super) before: u64,
    /// The object ends with them.
    pub(super) last: bool,
}

/// The places in `window` where the program ends if it begins at `start`; none if it does not match. What it costs is added
/// to `work`.
pub(super) fn ends(program: &[u8], window: Window<'_>, start: usize, work: &mut u64) -> Places {
    run(program, window, Places::One(start), 0, work)
}

/// As [`ends`], each with the place that is counted for it: where what stands behind the last gap of variable length begins.
pub(super) fn marked_ends(
    program: &[u8],
    window: Window<'_>,
    start: usize,
    work: &mut u64,
) -> Vec<(usize, usize)> {
    let mut steps = Steps::new(program);
    let mut split = None;
    while let Some(step) = steps.step() {
        match step {
            Step::Gap { min, max } if min < max && !steps.is_empty() => split = Some(steps.rest()),
            _ => {}
        }
    }
    let tail = split.unwrap_or(program);
    let head = program.len().checked_sub(tail.len());
    let head = head.and_then(|length| program.get(..length)).unwrap_or(&[]);
    let marks = ends(head, window, start, work);
    let marked = marks.as_slice().iter().flat_map(|mark| {
        let found = ends(tail, window, *mark, work);
        let ends = found.as_slice().to_vec();
        ends.into_iter().map(|end| (*mark, end))
    });
    marked.collect()
}

/// Places in a window, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Places {
    /// None.
    None,
    /// One: what nearly every candidate has until its end.
    One(usize),
    /// Some.
    Some(Vec<usize>),
}

impl Places {
    /// The places.
    pub(super) fn as_slice(&self) -> &[usize] {
        match self {
            Self::None => &[],
            Self::One(place) => std::slice::from_ref(place),
            Self::Some(places) => places,
        }
    }

    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        match self {
            Self::None => {}
            Self::One(place) => {
                if !keep(*place) {
                    *self = Self::None;
                }
            }
            Self::Some(places) => places.retain(|place| keep(*place)),
        }
    }

    /// Those from which `length` more bytes are wanted, moved behind them.
    fn advance(&mut self, length: usize, here: impl Fn(usize) -> bool) {
        self.retain(here);
        match self {
            Self::None => {}
            Self::One(place) => *place += length,
            Self::Some(places) => places.iter_mut().for_each(|place| *place += length),
        }
    }

    fn from_list(mut places: Vec<usize>) -> Self {
        places.sort_unstable();
        places.dedup();
        match places.as_slice() {
            [] => Self::None,
            [one] => Self::One(*one),
            _ => Self::Some(places),
        }
    }
}

fn run(
    program: &[u8],
    window: Window<'_>,
    mut places: Places,
    depth: usize,
    work: &mut u64,
) -> Places {
    let bytes = window.bytes;
    let mut steps = Steps::new(program);
    while !steps.is_empty() {
        *work += places.as_slice().len() as u64;
        let step = steps.step();
        match step {
            // Damage: it matches nothing.
            None => return Places::None,
            Some(Step::Bytes(expected)) => {
                places.advance(expected.len(), |at| {
                    bytes.get(at..at + expected.len()) == Some(expected)
                });
            }
            Some(Step::Caseless(expected)) => {
                places.advance(expected.len(), |at| {
                    let found = bytes.get(at..at + expected.len());
                    found.is_some_and(|found| found.eq_ignore_ascii_case(expected))
                });
            }
            Some(Step::Class { set, min, max }) => {
                let run = |from: usize, limit: usize| {
                    let rest = bytes.get(from..).unwrap_or(&[]).iter().take(limit);
                    rest.take_while(|byte| contains(set, **byte)).count()
                };
                places = match places {
                    Places::One(at) if max == 1 && min == 1 => match run(at, 1) {
                        1 => Places::One(at + 1),
                        _ => Places::None,
                    },
                    places => spread(&places, min, max, run),
                };
            }
            Some(Step::Gap { min, max }) => {
                let run = |from: usize, limit: usize| bytes.len().saturating_sub(from).min(limit);
                places = match places {
                    Places::One(at) if min == max && at + min <= bytes.len() => {
                        Places::One(at + min)
                    }
                    places => spread(&places, min, max, run),
                };
            }
            Some(Step::Either { choices, negated }) => {
                if depth > DEPTH_LIMIT {
                    return Places::None;
                }
                places = either(choices, negated, window, &places, depth, work);
            }
            Some(Step::Edge(edge)) => places.retain(|at| holds(edge, window, at)),
        }
        if places.as_slice().is_empty() {
            return Places::None;
        }
    }
    places
}

/// From each place `min` to `max` bytes on, as far as `run` says (from a place, at most so many bytes). What one place
/// has seen is not looked at again for the next.
fn spread(places: &Places, min: usize, max: usize, run: impl Fn(usize, usize) -> usize) -> Places {
    let max = max.min(LENGTH_LIMIT);
    let mut out: Vec<usize> = Vec::new();
    // The bytes up to here are good, and the next one is not if `stopped`.
    let (mut reach, mut stopped) = (0, false);
    for at in places.as_slice() {
        if *at > reach {
            (reach, stopped) = (*at, false);
        }
        let goal = at + max;
        if !stopped && reach < goal {
            reach += run(reach, goal - reach);
            stopped = reach < goal;
        }
        let from = (at + min).max(out.last().map_or(0, |last| last + 1));
        out.extend(from..=reach.min(goal));
    }
    Places::from_list(out)
}

fn either(
    choices: Choices<'_>,
    negated: Option<usize>,
    window: Window<'_>,
    places: &Places,
    depth: usize,
    work: &mut u64,
) -> Places {
    let Some(length) = negated else {
        let ends = choices.flat_map(|choice| {
            let found = run(choice, window, places.clone(), depth + 1, work);
            found.as_slice().to_vec()
        });
        return Places::from_list(ends.collect());
    };
    let mut out = Vec::new();
    for at in places.as_slice() {
        let there = at + length <= window.bytes.len();
        let none = choices.clone().all(|choice| {
            let found = run(choice, window, Places::One(*at), depth + 1, work);
            found == Places::None
        });
        if there && none {
            out.push(at + length);
        }
    }
    Places::from_list(out)
}

/// The bytes before a word.
const BEFORE_A_WORD: &[u8] = b" -./<@_";

/// The bytes behind a word.
const BEHIND_A_WORD: &[u8] = b"\n\r \"'-/=>_";

fn holds(edge: Edge, window: Window<'_>, at: usize) -> bool {
    match edge.side {
        Side::Before => ends_at(edge.border, window, at),
        Side::Behind => begins_at(edge.border, window, at),
        Side::NotBehind => at < window.bytes.len() && !begins_at(edge.border, window, at),
    }
}

fn ends_at(border: Border, window: Window<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| window.bytes.get(at));
    let Some(before) = before else {
        return window.before == 0;
    };
    match border {
        Border::Word => BEFORE_A_WORD.contains(before),
        Border::Line => *before == b'\n',
        Border::NotWord => !before.is_ascii_alphanumeric(),
    }
}

fn begins_at(border: Border, window: Window<'_>, at: usize) -> bool {
    let rest = window.bytes.get(at..).unwrap_or(&[]);
    let Some(next) = rest.first() else {
        return window.last;
    };
    match border {
        Border::Word => BEHIND_A_WORD.contains(next),
        Border::Line => *next == b'\n' || rest.starts_with(b"\r\n"),
        Border::NotWord => !next.is_ascii_alphanumeric(),
    }
}
