//! The atoms of a segment: the few bytes by which the index finds it, as rare as can be guessed.
//!
//! How rare bytes are is guessed from two things: which bytes they are, and how many patterns had them before
//! ([`Usual`]). Patterns are made of the content of this world, so what many of them share is frequent there too; and an
//! atom of thousands of patterns would have all of them confirmed wherever it is.
//!
//! One fixed literal is enough where a segment has one. Of alternatives each has its own, and a segment without literals is
//! found under each byte of its smallest class. All atoms are in lower case, as the content is while it is searched.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use crate::signature::pattern::{Part, Segment};

/// The most bytes of an atom, and of a key of the index.
pub(super) const WIDTH: usize = 8;

/// Alternatives with more atoms together are left to other parts of the segment, if it has any.
const MANY: usize = 256;

/// Bytes of a segment, and what lies before them in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Atom {
    /// The first `width` of these.
    pub(super) bytes: [u8; WIDTH],
    /// 1, 2, 3, 4 or 8.
    pub(super) width: usize,
    /// At least so many bytes of the segment before it.
    pub(super) skip: u16,
    /// At most so many more.
    pub(super) spread: u16,
}

/// The patterns of which all literals are learned; of those behind them one in so many more, so that the counts stay small.
const LEARNED: u32 = 16 * 1024;
const SAMPLE: u32 = 16;

/// How often literals were seen, by their hash.
#[derive(Debug, Default)]
pub(super) struct Usual {
    counts: Vec<u8>,
    segments: u32,
    room: Room,
}

/// Memory that is used again for each literal.
#[derive(Debug, Default)]
struct Room {
    folded: Vec<u8>,
    scores: Vec<u32>,
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
        for atom in &best.atoms {
            if atom.width == WIDTH {
                self.count_up(u64::from_le_bytes(atom.bytes));
            }
        }
        best.atoms
    }

    fn learn(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Bytes { bytes, .. } => {
                    let folded = bytes.to_ascii_lowercase();
                    for window in folded.array_windows::<WIDTH>() {
                        self.count_up(u64::from_le_bytes(*window));
                    }
                }
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

    fn count(&self, key: u64) -> u8 {
        self.counts.get(slot(key)).copied().unwrap_or(0)
    }
}

/// The logarithm of the number of counts: a few for each literal that is learned of a million patterns.
const USUAL_BITS: u32 = 22;

fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - USUAL_BITS)) as usize
}

/// What a point of [`rarity`] is worth, so that it can be halved often.
const RARE: u32 = 256;

struct Choice {
    score: u32,
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
                let score = RARE / u32::try_from(folded.len()).unwrap_or(RARE).max(1);
                Some(Choice {
                    score,
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
        let own = own.map(|own| match before.0 == before.1 {
            true => own,
            false => Choice {
                score: own.score / 2,
                ..own
            },
        });
        if let Some(own) = own
            && best.as_ref().is_none_or(|best| best.score < own.score)
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
        score: u32::MAX,
        atoms: Vec::new(),
    };
    for choice in choices {
        let own = best(choice, usual)?;
        all.score = all.score.min(own.score);
        let moved = own.atoms.into_iter().map(|atom| Atom {
            skip: atom.skip.saturating_add(narrow(before.0)),
            spread: atom.spread.saturating_add(narrow(before.1 - before.0)),
            ..atom
        });
        all.atoms.extend(moved);
    }
    if all.atoms.len() > MANY {
        all.score = 0;
    }
    Some(all)
}

/// Each of these bytes is an atom.
fn each(bytes: BTreeSet<u8>, before: (usize, usize)) -> Vec<Atom> {
    let atom = |byte| {
        let mut bytes = [0; WIDTH];
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
    let width = match bytes.len() {
        0 => return None,
        length @ 1..=3 => length,
        4..WIDTH => 4,
        _ => WIDTH,
    };
    let mut room = std::mem::take(&mut usual.room);
    room.folded.clear();
    room.folded
        .extend(bytes.iter().map(|byte| byte.to_ascii_lowercase()));
    score(&room.folded, width, &mut room.scores);
    let (score, at) = match width {
        WIDTH => unusual(&mut room.scores, &room.folded, usual),
        _ => first_largest(&room.scores),
    };
    let mut atom = Atom {
        bytes: [0; WIDTH],
        width,
        skip: narrow(before.0 + at),
        spread: narrow(before.1 - before.0),
    };
    let window = room.folded.get(at..at + width);
    for (to, from) in atom.bytes.iter_mut().zip(window.unwrap_or_default()) {
        *to = *from;
    }
    usual.room = room;
    Some(Choice {
        score,
        atoms: vec![atom],
    })
}

/// What each window of this width is worth: each byte behind the one before it, and the first alone.
fn score(folded: &[u8], width: usize, scores: &mut Vec<u32>) {
    scores.clear();
    let mut sum: u32 = folded
        .array_windows()
        .take(width - 1)
        .map(|[before, byte]| worth(*before, *byte))
        .sum();
    let behind = folded.iter().zip(folded.get(1..).unwrap_or_default());
    let come = folded.get(width - 1..).unwrap_or_default().array_windows();
    let mut come = come.map(|[before, byte]| worth(*before, *byte));
    for (first, second) in behind.take(folded.len() - width) {
        scores.push((sum + rarity(*first)) * RARE);
        // The window moves on by one byte.
        sum = sum + come.next().unwrap_or(0) - worth(*first, *second);
    }
    let last = folded.get(folded.len() - width);
    scores.push((sum + last.map_or(0, |byte| rarity(*byte))) * RARE);
}

/// The largest of these scores, and where it is first.
fn first_largest(scores: &[u32]) -> (u32, usize) {
    let largest = scores.iter().copied().max().unwrap_or(0);
    let at = scores.iter().position(|score| *score == largest);
    (largest, at.unwrap_or(0))
}

/// The largest score when what was seen before counts less. From the largest down, for each look at the counts costs a
/// miss of the cache, and most literals were never seen.
fn unusual(scores: &mut [u32], folded: &[u8], usual: &Usual) -> (u32, usize) {
    let mut best = (0, 0);
    for _ in 0..LOOKS {
        let (score, at) = first_largest(scores);
        if score <= best.0 {
            break;
        }
        let key = folded.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>);
        let count = key.map_or(0, |key| usual.count(u64::from_le_bytes(*key)));
        let less = score >> (u32::from(count) + 1).ilog2();
        if less == score {
            return (score, at);
        }
        if less > best.0 {
            best = (less, at);
        }
        if let Some(score) = scores.get_mut(at) {
            *score = 0;
        }
    }
    best
}

/// The most windows of a literal whose counts are looked up.
const LOOKS: usize = 64;

/// A byte that only repeats the one before says next to nothing: runs of zeros are everywhere.
fn worth(before: u8, byte: u8) -> u32 {
    match before == byte {
        true => 0,
        false => rarity(byte),
    }
}

fn rarity(byte: u8) -> u32 {
    let rarity = RARITY.get(usize::from(byte));
    rarity.copied().unwrap_or(0).into()
}

/// How rare a byte is: a guess over programs, texts and archives. A wrong guess costs time, not findings.
const RARITY: [u8; 256] = {
    let mut all = [5; 256];
    let mut rest: &mut [u8] = &mut all;
    let mut byte = 0_u8;
    while let Some((first, behind)) = rest.split_first_mut() {
        *first = match byte {
            0 => 1,
            0xff | b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 2,
            b'\n' | b'\r' | b'a'..=b'z' | b'0'..=b'9' => 3,
            b'!'..=b'~' => 4,
            _ => 5,
        };
        rest = behind;
        byte = byte.wrapping_add(1);
    }
    all
};

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
        assert_eq!(found, [(b"%marker%".to_vec(), 40, 0)]);
        assert_eq!(atoms(|b| b.bytes(b"A", true)), [(b"a".to_vec(), 0, 0)]);
        let found = atoms(|b| {
            b.bytes(b"aa", false);
            b.gap(2, Some(7));
            b.bytes(b"%\x81$\x82!x%&%$%/", false);
        });
        assert_eq!(found, [(b"%\x81$\x82!x%&".to_vec(), 4, 5)]);
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
            b.class(ByteSet::range(b'a', b'b'), 1, Some(1));
        });
        assert_eq!(found, [(b"a".to_vec(), 1, 2), (b"b".to_vec(), 1, 2)]);
        let found = atoms(|b| b.either(vec![bytes(b"Ab")], true));
        assert_eq!(found.len(), 256, "anything may be there");
    }
}
