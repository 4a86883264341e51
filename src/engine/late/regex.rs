//! Regular expressions over the bytes of an object: ClamAV's PCRE sub-signatures.
//!
//! A search is a walk through a deterministic automaton whose states are made when they are first needed and forgotten when
//! there are too many. It never goes back within a search, so its time is bounded by the content, and it looks at its
//! [`Stop`] as it goes. What no such automaton can do (back-references, look-around) does not compile.
#![forbid(unsafe_code)]

use regex_automata::hybrid::dfa::{self, DFA};
use regex_automata::hybrid::regex::{Builder, Cache, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use crate::signature::condition::Hits;
use crate::stop::{Stop, Stopped};

/// Bytes that the automaton without its states may have; `(a{1000}){1000}` has more.
const NFA_LIMIT: usize = 4 * 1024 * 1024;

/// Bytes of states that are kept at a time, for each direction.
const CACHE_LIMIT: usize = 4 * 1024 * 1024;

/// How deep groups may stand inside each other.
const DEPTH_LIMIT: u32 = 100;

/// The longest expression in bytes.
const LENGTH_LIMIT: usize = 64 * 1024;

/// Bytes between two looks at the clock.
const STEP: usize = 64 * 1024;

/// A compiled expression; immutable, so that threads share it.
#[derive(Debug)]
pub struct Expression(Regex);

/// States that a thread has made. One serves an expression after the other.
#[derive(Debug)]
pub struct States(Cache);

/// The part of an object that is searched.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where they begin in the object.
    pub base: u64,
    /// They go up to the object's end, else a match that would end with them is not one yet.
    pub last: bool,
}

/// How to search, from the fields of [`rule::Regex`](crate::signature::rule::Regex) with its offset resolved.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Where a match may begin in the object, the first and the last place; `None` for anywhere.
    pub starts: Option<(u64, u64)>,
    /// As the field of this name there.
    pub anchored: bool,
    /// As the field of this name there.
    pub confined: bool,
    /// As the field of this name there.
    pub global: bool,
}

impl Expression {
    /// Compiles an expression over bytes. Classes and words are those of ASCII unless it says `(?u)`.
    ///
    /// # Errors
    /// Why it is none, in one line for people.
    pub fn new(expression: &str) -> Result<Self, String> {
        if expression.len() > LENGTH_LIMIT {
            return Err(format!(
                "a regular expression of more than {LENGTH_LIMIT} bytes"
            ));
        }
        let syntax = syntax::Config::new()
            .utf8(false)
            .unicode(false)
            .nest_limit(DEPTH_LIMIT);
        let built = Builder::new()
            .syntax(syntax)
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(NFA_LIMIT)),
            )
            .dfa(
                dfa::Config::new()
                    .cache_capacity(CACHE_LIMIT)
                    .skip_cache_capacity_check(true)
                    .unicode_word_boundary(false),
            )
            .build(expression);
        let built = built.map_err(|error| reason(&error))?;
        Ok(Self(built))
    }

    /// Room for its states.
    pub fn states(&self) -> States {
        States(self.0.create_cache())
    }

    /// Searches: how often it matches, and the smallest end in the object.
    ///
    /// # Errors
    /// The time is over.
    pub fn search(
        &self,
        states: &mut States,
        text: Text<'_>,
        how: How,
        stop: &Stop,
    ) -> Result<Hits, Stopped> {
        let mut hits = Hits::default();
        let Some(view) = View::new(text, how) else {
            return Ok(hits);
        };
        // A search may belong to another expression than the one that the states are of.
        states.0.reset(&self.0);
        let (forward, backward) = states.0.as_parts_mut();
        let anchored = if view.only_there || how.anchored {
            Anchored::Yes
        } else {
            Anchored::No
        };
        let mut from = view.from;
        while let Some(end) = ahead(self.0.forward(), forward, &view, from, anchored, stop)? {
            let start = match anchored {
                Anchored::No => back(self.0.reverse(), backward, &view, from..end, stop)?,
                _ => from,
            };
            if start > view.starts_to {
                break;
            }
            hits.count = hits.count.saturating_add(1);
            hits.end = hits.end.or(Some(view.at.saturating_add(end as u64)));
            if !how.global {
                break;
            }
            // An empty match is not found again where it ended.
            from = if end > start { end } else { end + 1 };
            if from > view.bytes.len() {
                break;
            }
        }
        Ok(hits)
    }
}

/// What is searched: the expression sees nothing before and behind it, except a byte before a window.
#[derive(Debug)]
struct View<'a> {
    bytes: &'a [u8],
    /// Where they begin in the object.
    at: u64,
    from: usize,
    /// The last place where a match may begin.
    starts_to: usize,
    /// A match must begin at `from`.
    only_there: bool,
    /// The end of the bytes is an end for the expression.
    ends: bool,
}

impl<'a> View<'a> {
    fn new(text: Text<'a>, how: How) -> Option<Self> {
        let end = text.base.checked_add(text.bytes.len() as u64)?;
        let Some((first, last)) = how.starts else {
            return Some(Self {
                bytes: text.bytes,
                at: text.base,
                // The byte before says what `^` and `\b` are at the start of a window.
                from: usize::from(text.base > 0).min(text.bytes.len()),
                starts_to: usize::MAX,
                only_there: how.anchored,
                ends: text.last,
            });
        };
        let confined_end = if how.confined { last.min(end) } else { end };
        if first < text.base {
            // Of a later window: what begins before it was searched for in the one before.
            let from = usize::from(text.base > 0).min(text.bytes.len());
            let starts_to = usize::try_from(last.checked_sub(text.base)?).unwrap_or(usize::MAX);
            let to = usize::try_from(confined_end.checked_sub(text.base)?).ok()?;
            return (first < last && !how.anchored).then_some(Self {
                bytes: text.bytes.get(..to)?,
                at: text.base,
                from,
                starts_to,
                only_there: false,
                ends: text.last || confined_end < end,
            });
        }
        let skipped = usize::try_from(first - text.base).ok()?;
        let to = usize::try_from(confined_end.checked_sub(text.base)?).ok()?;
        let bytes = text.bytes.get(skipped..to)?;
        if bytes.is_empty() {
            return None;
        }
        Some(Self {
            bytes,
            at: first,
            from: 0,
            starts_to: usize::try_from(last - first).unwrap_or(usize::MAX),
            only_there: first == last,
            ends: text.last || confined_end < end,
        })
    }
}

/// The end of the leftmost match that begins at `from` or later.
fn ahead(
    machine: &DFA,
    cache: &mut dfa::Cache,
    view: &View<'_>,
    from: usize,
    anchored: Anchored,
    stop: &Stop,
) -> Result<Option<usize>, Stopped> {
    let input = Input::new(view.bytes).range(from..).anchored(anchored);
    let Ok(mut state) = machine.start_state_forward(cache, &input) else {
        return Ok(None);
    };
    let mut found = None;
    // A state says that the match ended before the byte that led to it.
    for (at, byte) in view.bytes.iter().enumerate().skip(from) {
        if at % STEP == 0 {
            stop.check()?;
        }
        match machine.next_state(cache, state, *byte) {
            Ok(next) => state = next,
            Err(_) => return Ok(found),
        }
        if state.is_tagged() {
            if state.is_match() {
                found = Some(at);
            } else if state.is_dead() || state.is_quit() {
                return Ok(found);
            }
        }
    }
    if view.ends
        && let Ok(state) = machine.next_eoi_state(cache, state)
        && state.is_match()
    {
        found = Some(view.bytes.len());
    }
    Ok(found)
}

/// The start of the match that ends at the end of the range, not before its start.
fn back(
    machine: &DFA,
    cache: &mut dfa::Cache,
    view: &View<'_>,
    within: std::ops::Range<usize>,
    stop: &Stop,
) -> Result<usize, Stopped> {
    let end = within.end;
    let input = Input::new(view.bytes)
        .range(within.clone())
        .anchored(Anchored::Yes);
    let Ok(mut state) = machine.start_state_reverse(cache, &input) else {
        return Ok(end);
    };
    let mut found = end;
    let bytes = view.bytes.get(within.clone()).unwrap_or(&[]);
    for (at, byte) in bytes.iter().enumerate().rev() {
        if at % STEP == 0 {
            stop.check()?;
        }
        match machine.next_state(cache, state, *byte) {
            Ok(next) => state = next,
            Err(_) => return Ok(found),
        }
        if state.is_tagged() {
            if state.is_match() {
                found = within.start + at + 1;
            } else if state.is_dead() || state.is_quit() {
                return Ok(found);
            }
        }
    }
    let before = within.start.checked_sub(1);
    let before = before.and_then(|before| view.bytes.get(before));
    let state = match before {
        Some(byte) => machine.next_state(cache, state, *byte),
        None => machine.next_eoi_state(cache, state),
    };
    if state.is_ok_and(|state| state.is_match()) {
        found = within.start;
    }
    Ok(found)
}

/// One line of what the builder says.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or("not a regular expression").trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(expression: &str, bytes: &[u8], how: How) -> (u32, Option<u64>) {
        let expression = Expression::new(expression).unwrap();
        let text = Text {
            bytes,
            base: 0,
            last: true,
        };
        let hits = expression
            .search(&mut expression.states(), text, how, &Stop::never())
            .unwrap();
        (hits.count, hits.end)
    }

    #[test]
    fn offsets_bound_where_it_begins_and_what_it_sees() {
        let content = b"xxTRIGxx0123abcab0123zzabc45";
        let all = How {
            global: true,
            ..How::default()
        };
        let at = |first, last| How {
            starts: Some((first, last)),
            ..How::default()
        };
        let confined = |first, last| How {
            confined: true,
            ..at(first, last)
        };
        let rows = [
            ("abc", How::default(), 1, Some(15)),
            ("(?i)ABC", How::default(), 1, Some(15)),
            ("^abc", How::default(), 0, None),
            ("45$", How::default(), 1, Some(28)),
            ("abc", all, 2, Some(15)),
            ("a|b", all, 6, Some(13)),
            ("x*", all, 27, Some(2)),
            (
                "abc",
                How {
                    anchored: true,
                    ..all
                },
                0,
                None,
            ),
            (
                "xx",
                How {
                    anchored: true,
                    ..all
                },
                1,
                Some(2),
            ),
            ("abc", at(12, 12), 1, Some(15)),
            ("abc", at(11, 11), 0, None),
            ("^abc", at(12, 12), 1, Some(15)),
            (r"\bbc", at(13, 13), 1, Some(15)),
            ("abc", at(11, u64::MAX), 1, Some(15)),
            ("abc", at(10, 12), 1, Some(15)),
            ("abc", at(10, 11), 0, None),
            ("abc", confined(10, 14), 0, None),
            ("abc", confined(10, 15), 1, Some(15)),
            ("0123$", confined(10, 21), 1, Some(21)),
            (
                "ab",
                How {
                    global: true,
                    ..at(12, 12)
                },
                1,
                Some(14),
            ),
            (
                "ab",
                How {
                    global: true,
                    ..at(10, 15)
                },
                2,
                Some(14),
            ),
            (
                "ab",
                How {
                    global: true,
                    ..at(13, u64::MAX)
                },
                2,
                Some(17),
            ),
            ("a", at(40, 40), 0, None),
        ];
        for (expression, how, count, end) in rows {
            let found = search(expression, content, how);
            assert_eq!(found, (count, end), "{expression} {how:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_no_automaton_is_refused_with_a_reason() {
        for (expression, word) in [
            ("(a{1000}){1000}", "limit"),
            ("(", "unclosed"),
            (r"(a)\1", "backreferences"),
            ("(?=a)", "look-around"),
            (&("(".repeat(10_000) + &")".repeat(10_000)), "nest"),
            (&"a".repeat(100_000), "bytes"),
        ] {
            let reason = Expression::new(expression).unwrap_err();
            assert!(reason.contains(word), "{reason}");
            assert!(!reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn a_search_ends_when_the_time_is_over() {
        let expression = Expression::new("(a|b)*c").unwrap();
        let over = Stop::after(std::time::Duration::ZERO, crate::stop::Cancel::default());
        let bytes = vec![b'a'; 200_000];
        let text = Text {
            bytes: &bytes,
            base: 0,
            last: true,
        };
        let ended = expression.search(&mut expression.states(), text, How::default(), &over);
        assert_eq!(ended.unwrap_err(), Stopped::Deadline);
    }

    proptest! {
        #[test]
        fn it_finds_what_the_library_finds(
            expression in "(a|b|c|\\.|\\\\b|\\^|\\$|ab\\?|\\[ab\\]\\*|\\(a\\|bc\\)\\+){1,4}",
            content in "[abc\n]{0,30}",
        ) {
            let regex = regex_automata::meta::Builder::new()
                .syntax(syntax::Config::new().utf8(false).unicode(false))
                .configure(regex_automata::meta::Config::new().utf8_empty(false))
                .build(&expression);
            if let Ok(regex) = regex {
                let first = regex.find(content.as_bytes()).map(|found| found.end() as u64);
                let how = How::default();
                prop_assert_eq!(search(&expression, content.as_bytes(), how).1, first);
            }
        }
    }
}
