//! The atoms of a segment: the few bytes by which the index finds it, as rare as can be guessed.
//!
//! How rare bytes are is guessed from two things: how often they were counted in real files ([`frequency`]), and how many patterns
//! had them before ([`Usual`]): an atom of thousands of patterns would have all of them confirmed wherever it is.
//!
//! One fixed literal is enough where a segment has one. Fifteen bytes of it are the best atom, for most places of the content are then
//! never looked at, but only if none of their windows is frequent. Of alternatives each has its own, and a segment without literals is
//! found under each byte of its smallest class. Short atoms are in lower case, as the index sees the content.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::far::{self, WINDOWS};
use super::frequency::{self, ALWAYS, CASE};
use crate::signature::pattern::{Part, Segment};

/// The bytes of a window, and of an atom that is looked for at each place.
pub(super) const WIDTH: usize = 8;

/// Alternatives with more atoms together are left to other parts of the segment, if it has any.
const MANY: usize = 256;

/// Bytes of a segment, and what lies before them in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Atom {
    /// The first `width` of these.
    pub(super) bytes: [u8; far::LENGTH],
    /// 1, 2, 3, 4, 8 or 15.
    pub(super) width: usize,
    /// At least so many bytes of the segment before it.
    pub(super) skip: u16,
    /// At most so many more.
    pub(super) spread: u16,
}

/// The patterns of which all literals are learned; of those behind them one in so many more, so that the counts stay small.
const LEARNED: u32 = 16 * 1024;
const SAMPLE: u32 = 64;

/// How often literals were seen, by their hash.
#[derive(Debug, Default)]
pub(super) struct Usual {
    counts: Vec<u8>,
    segments: u32,
    room: Room,
}

/// Memory that is used again for each literal: how seldom its bytes are, four in a row, how seldom its windows, and how often its windows or
/// rows of them.
#[derive(Debug, Default)]
struct Room {
    fours: Vec<u8>,
    windows: Vec<u8>,
    often: Vec<u64>,
}

impl Room {
    fn weigh(&mut self, bytes: &[u8]) {
        self.fours.clear();
        let fours = bytes.array_windows();
        self.fours.extend(fours.map(|four| frequency::four(*four)));
        let from = |at| self.fours.get(at..).unwrap_or_default();
        let (one, other) = (from(0).iter().zip(from(1)), from(2).iter().zip(from(3)));
        let fives = one.zip(other).zip(from(4));
        self.windows.clear();
        // What is rare anywhere in a window makes it rare; the rest tells a little more.
        self.windows.extend(fives.map(|(((a, b), (c, d)), e)| {
            let rarest = *a.max(b).max(c.max(d)).max(e);
            let sum = [a, b, c, d, e]
                .map(|four| u16::from(*four))
                .iter()
                .sum::<u16>();
            ((5 * u16::from(rarest) + sum) / 10) as u8
        }));
    }

    /// How often each window is.
    fn shares(&mut self) {
        let shares = self.windows.iter();
        self.often.clear();
        self.often
            .extend(shares.map(|seldom| frequency::share(u32::from(*seldom))));
    }

    /// How often any of the windows of a row is.
    fn rows(&mut self) {
        let share = |seldom: &u8| frequency::share(u32::from(*seldom));
        let (Some(first), Some(entering)) =
            (self.windows.get(..WINDOWS), self.windows.get(WINDOWS..))
        else {
            return self.often.clear();
        };
        let mut sum: u64 = first.iter().map(share).sum();
        let moves = entering.iter().zip(&self.windows).map(|(enters, leaves)| {
            sum += share(enters);
            sum -= share(leaves);
            sum
        });
        let first = first.iter().map(share).sum();
        self.often.clear();
        self.often.push(first);
        self.often.extend(moves);
    }
}

impl Usual {
    /// The atoms of a segment, each of its matches has one of them: at least one.
    pub(super) fn atoms(&mut self, segment: &Segment) -> Vec<Atom> {
        let best = best(segment.parts(), self);
        if self.segments < LEARNED || self.segments.is_multiple_of(SAMPLE) {
            self.learn(segment.parts());
        }
        self.segments = self.segments.wrapping_add(1);
        let Some(best) = best else {
            return each((0..=u8::MAX).collect(), (0, 0));
        };
        for atom in best.atoms.iter().filter(|atom| atom.width >= WIDTH) {
            let bytes = atom.bytes.get(..atom.width).unwrap_or_default();
            self.count_all(bytes);
        }
        best.atoms
    }

    fn count_all(&mut self, bytes: &[u8]) {
        for window in bytes.array_windows::<WIDTH>() {
            self.count_up(u64::from_le_bytes(*window) | CASE);
        }
    }

    fn learn(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Bytes { bytes, .. } => self.count_all(bytes),
                Part::Either { choices, .. } => {
                    choices.iter().for_each(|choice| self.learn(choice));
                }
                _ => {}
            }
        }
    }

    fn count_up(&mut self, key: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; 1 << USUAL_BITS];
        }
        if let Some(count) = self.counts.get_mut(slot(key)) {
            *count = count.saturating_add(1);
        }
    }

    /// One more than the window at this place was seen, or another with the same hash.
    fn times(&self, bytes: &[u8], at: usize) -> u64 {
        let window = bytes.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>);
        let key = window.map_or(0, |window| u64::from_le_bytes(*window) | CASE);
        u64::from(self.counts.get(slot(key)).copied().unwrap_or(0)) + 1
    }
}

/// The logarithm of the number of counts: a megabyte stays near. With a million patterns each stands for a dozen windows, and tells all the same
/// which are far more usual than others; four times as many took four fifths longer to compile, and left as much to be confirmed.
const USUAL_BITS: u32 = 20;

fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - USUAL_BITS)) as usize
}

/// An atom of eight bytes is worth as much as one of fifteen only if it is so many times rarer.
const NEAR: u64 = 16;

/// How often an atom of fifteen bytes may be at the places that are looked at, about once in 4 KiB; the count of what is rare ends
/// where other bytes have the same hash.
const RARE: u64 = ALWAYS >> 12;

/// Atoms, and how often they are looked for in vain: a share of [`ALWAYS`].
struct Choice {
    often: u64,
    atoms: Vec<Atom>,
}

/// The best atoms of a row of parts; `None` if it has nothing but gaps, edges and what must not be there.
fn best(parts: &[Part], usual: &mut Usual) -> Option<Choice> {
    let mut before = (0_usize, 0_usize);
    let mut best: Option<Choice> = None;
    for part in parts {
        let own = match part {
            Part::Bytes { bytes, .. } => literal(bytes, before, usual),
            Part::Class { set, min, .. } if *min > 0 && set.count() < 256 => {
                let folded: BTreeSet<u8> = set.bytes().map(|b| b.to_ascii_lowercase()).collect();
                let often = folded.iter().map(|byte| often(&[*byte])).sum();
                Some(Choice {
                    often,
                    atoms: each(folded, before),
                })
            }
            Part::Either {
                choices,
                negated: false,
            } => alternatives(choices, before, usual),
            _ => None,
        };
        // A place before which anything may lie is tried once for each way to get there.
        let ways = (before.1 - before.0) as u64 + 1;
        let own = own.map(|own| Choice {
            often: own.often.saturating_mul(ways),
            ..own
        });
        if let Some(own) = own
            && best.as_ref().is_none_or(|best| best.often > own.often)
        {
            best = Some(own);
        }
        before = (before.0 + part.shortest(), before.1 + part.longest());
    }
    best
}

fn alternatives(
    choices: &[Vec<Part>],
    before: (usize, usize),
    usual: &mut Usual,
) -> Option<Choice> {
    let mut all = Choice {
        often: 0,
        atoms: Vec::new(),
    };
    for choice in choices {
        let own = best(choice, usual)?;
        all.often = all.often.saturating_add(own.often);
        let moved = own.atoms.into_iter().map(|atom| Atom {
            skip: atom.skip.saturating_add(narrow(before.0)),
            spread: atom.spread.saturating_add(narrow(before.1 - before.0)),
            ..atom
        });
        all.atoms.extend(moved);
    }
    if all.atoms.len() > MANY {
        all.often = u64::MAX;
    }
    Some(all)
}

/// Each of these bytes is an atom.
fn each(bytes: BTreeSet<u8>, before: (usize, usize)) -> Vec<Atom> {
    let atom = |byte| {
        let mut bytes = [0; far::LENGTH];
        if let Some(first) = bytes.first_mut() {
            *first = byte;
        }
        Atom {
            bytes,
            width: 1,
            skip: narrow(before.0),
            spread: narrow(before.1 - before.0),
        }
    };
    bytes.into_iter().map(atom).collect()
}

/// The rarest part of a literal.
fn literal(bytes: &[u8], before: (usize, usize), usual: &mut Usual) -> Option<Choice> {
    let (width, (often, at)) = match bytes.len() {
        0 => return None,
        length @ ..WIDTH => {
            let width = if length < 4 { length } else { 4 };
            let windows = bytes.windows(width).map(often).zip(0..);
            (width, windows.min()?)
        }
        _ => long(bytes, usual),
    };
    let mut atom = Atom {
        bytes: [0; far::LENGTH],
        width,
        skip: narrow(before.0 + at),
        spread: narrow(before.1 - before.0),
    };
    let window = bytes.get(at..at + width);
    for (to, from) in atom.bytes.iter_mut().zip(window.unwrap_or_default()) {
        *to = from.to_ascii_lowercase();
    }
    Some(Choice {
        often,
        atoms: vec![atom],
    })
}

/// The best atom of at least eight bytes: its width, how often it is, and where.
fn long(bytes: &[u8], usual: &mut Usual) -> (usize, (u64, usize)) {
    let mut room = std::mem::take(&mut usual.room);
    room.weigh(bytes);
    room.rows();
    let near = |windows: &[u8], at: usize| {
        let seldom = windows.get(at).copied().unwrap_or(0);
        frequency::share(seldom.into()).saturating_mul(usual.times(bytes, at))
    };
    let far = rarest(&room.often, RARE, |at| {
        let each = (at..at + WINDOWS).map(|at| near(&room.windows, at));
        each.fold(0, u64::saturating_add)
    });
    let found = match far {
        Some(far) => (far::LENGTH, far),
        None => {
            room.shares();
            let own = |at| near(&room.windows, at);
            let (often, at) = rarest(&room.often, u64::MAX, own).unwrap_or((ALWAYS, 0));
            (WIDTH, (often.saturating_mul(NEAR), at))
        }
    };
    usual.room = room;
    found
}

/// The smallest of the values, none above `most`, when `whole` says what each is in truth: never less than it seems. That is asked of the
/// one that seems smallest, and then of those that may be smaller yet: each look at the counts costs misses of the cache, and most
/// literals were never seen.
fn rarest(seeming: &[u64], most: u64, whole: impl Fn(usize) -> u64) -> Option<(u64, usize)> {
    let least = seeming.iter().copied().min()?;
    let first = seeming.iter().position(|seems| *seems == least)?;
    if least > most {
        return None;
    }
    let mut best = Some((whole(first), first)).filter(|(often, _)| *often <= most);
    let mut looks = 1;
    for (seems, at) in seeming.iter().copied().zip(0..) {
        let bound = best.map_or(most.saturating_add(1), |(often, _)| often);
        if seems >= bound || at == first {
            continue;
        }
        let often = whole(at);
        if often < bound {
            best = Some((often, at));
        }
        looks += 1;
        if looks == LOOKS {
            break;
        }
    }
    best
}

/// The most windows of a literal whose counts are looked up.
const LOOKS: usize = 32;

/// How often so few bytes are there. A byte that only repeats the one before says little: runs of zeros are everywhere.
fn often(bytes: &[u8]) -> u64 {
    if let Some(four) = bytes.first_chunk() {
        return frequency::share(frequency::four(*four).into());
    }
    let mut before = None;
    let seldom = bytes.iter().map(|byte| {
        let byte = byte.to_ascii_lowercase();
        let seldom = frequency::byte(byte);
        match before.replace(byte) == Some(byte) {
            true => seldom / 4,
            false => seldom,
        }
    });
    frequency::share(seldom.sum())
}

/// Segments are no longer than this holds.
fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::pattern::{Builder, ByteSet};

    fn atoms(build: impl Fn(&mut Builder)) -> Vec<(Vec<u8>, u16, u16)> {
        let mut builder = Builder::default();
        build(&mut builder);
        let pattern = builder.finish(None).unwrap();
        let atoms = Usual::default().atoms(&pattern.segments()[0]).into_iter();
        atoms
            .map(|atom| (atom.bytes[..atom.width].to_vec(), atom.skip, atom.spread))
            .collect()
    }

    fn bytes(bytes: &[u8]) -> Builder {
        let mut builder = Builder::default();
        builder.bytes(bytes, false);
        builder
    }

    #[test]
    fn the_rarest_bytes_find_a_segment() {
        let zeros_around = [&[0; 40][..], b"%MARKER%", &[0; 40]].concat();
        let found = atoms(|b| b.bytes(&zeros_around, false));
        // Of each window at least four bytes are of the marker.
        assert_eq!(found, [(b"\0\0\0\0%marker%\0\0\0".to_vec(), 36, 0)]);
        let found = atoms(|b| b.bytes(&zeros_around[36..51], false));
        assert_eq!(found[0].0.len(), 15);
        let found = atoms(|b| b.bytes(&zeros_around[37..51], false));
        assert_eq!(found[0].0.len(), 8, "{found:?}");
        let found = atoms(|b| b.bytes(&[0; 40], false));
        assert_eq!(found, [(vec![0; 8], 0, 0)], "they are everywhere");
        assert_eq!(atoms(|b| b.bytes(b"A", true)), [(b"a".to_vec(), 0, 0)]);
        let found = atoms(|b| {
            b.bytes(b"aa", false);
            b.gap(2, Some(7));
            b.bytes(b"%\x81$\x82!x%&%$%/", false);
        });
        assert_eq!(found, [(b"\x82!x%&%$%".to_vec(), 7, 5)]);
    }

    #[test]
    fn what_many_have_is_no_atom() {
        let mut usual = Usual::default();
        let mut distinct = BTreeSet::new();
        for number in 0..1000_u32 {
            let mut builder = Builder::default();
            builder.bytes(b"\x81$\x82!%&$%/text-", false);
            builder.bytes(format!("{number:06}").as_bytes(), false);
            builder.bytes(b"\0\0\0", false);
            let pattern = builder.finish(None).unwrap();
            let atoms = usual.atoms(&pattern.segments()[0]);
            distinct.insert(atoms[0].bytes);
        }
        assert!(distinct.len() > 800, "{}", distinct.len());
    }

    #[test]
    fn without_a_literal_each_choice_has_its_own() {
        let found = atoms(|b| {
            b.gap(1, Some(1));
            b.either(vec![bytes(b"Ab"), bytes(b"xyzw")], false);
        });
        let expected = [(b"ab".to_vec(), 1, 0), (b"xyzw".to_vec(), 1, 0)];
        assert_eq!(found, expected);
        let found = atoms(|b| {
            b.class(ByteSet::range(b'0', b'9'), 1, Some(3));
            b.class(ByteSet::range(0xf6, 0xf7), 1, Some(1));
        });
        assert_eq!(found, [(vec![0xf6], 1, 2), (vec![0xf7], 1, 2)]);
        let found = atoms(|b| b.either(vec![bytes(b"Ab")], true));
        assert_eq!(found.len(), 256, "anything may be there");
    }
}
