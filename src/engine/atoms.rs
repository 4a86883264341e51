//! The best literal of a pattern: up to sixteen bytes that are rare in the content of this world.
//!
//! All patterns are searched by one such atom each, in one pass, and only confirmed where it occurs. So the pass stays
//! small whatever the patterns' lengths, and the rarer the atom, the less there is to confirm.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::signature::pattern::Pattern;

/// The longest atom in bytes. More would enlarge the automaton and hardly be rarer.
const ATOM_LENGTH: usize = 16;

/// Where an atom stands in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The pattern's number.
    pub(super) pattern: u32,
    /// Bytes of the pattern before the atom.
    pub(super) offset: u32,
}

/// All atoms, each once, and the patterns that stand behind each.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    /// In lower case: one pass searches all of them without regard to case.
    pub(super) texts: Vec<Vec<u8>>,
    /// For each atom.
    pub(super) anchors: Vec<Vec<Anchor>>,
}

impl Atoms {
    /// The atoms of these patterns, which are numbered by their order.
    pub(super) fn of(patterns: &[Pattern]) -> Self {
        let mut atoms = Self::default();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for (pattern, number) in patterns.iter().zip(0..) {
            let folded: Vec<u8> = super::confirm::runs(pattern)
                .flat_map(|(bytes, _)| bytes.to_ascii_lowercase())
                .collect();
            let (offset, text) = best(&folded);
            let anchor = Anchor {
                pattern: number,
                offset,
            };
            let next = atoms.texts.len();
            let at = *known.entry(text.to_vec()).or_insert(next);
            match atoms.anchors.get_mut(at) {
                Some(anchors) => anchors.push(anchor),
                None => {
                    atoms.texts.push(text.to_vec());
                    atoms.anchors.push(vec![anchor]);
                }
            }
        }
        atoms
    }
}

/// The part of a pattern that is rarest by the guess of [`rarity`], and its offset.
fn best(folded: &[u8]) -> (u32, &[u8]) {
    let length = folded.len().min(ATOM_LENGTH);
    (0..)
        .zip(folded.windows(length))
        .max_by_key(|(_, window)| score(window))
        .unwrap_or((0, folded))
}

/// A byte that only repeats the one before says next to nothing: runs of zeros are everywhere.
fn score(window: &[u8]) -> u32 {
    let before = std::iter::once(None).chain(window.iter().map(Some));
    window
        .iter()
        .zip(before)
        .filter(|(byte, before)| Some(*byte) != *before)
        .map(|(byte, _)| rarity(*byte))
        .sum()
}

/// How rare a byte is: a guess over programs, texts and archives. A wrong guess costs time, not findings.
fn rarity(byte: u8) -> u32 {
    match byte {
        0 => 1,
        0xff | b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 2,
        b'\n' | b'\r' | b'a'..=b'z' | b'0'..=b'9' => 3,
        b'!'..=b'~' => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &[u8]) -> Pattern {
        Pattern::exact(text).unwrap()
    }

    #[test]
    fn the_atom_is_the_rare_part() {
        let zeros_around = [&[0; 40][..], b"\x8b\xd9%marker-\x17texts", &[0; 40]].concat();
        let (offset, atom) = best(&zeros_around);
        assert_eq!((offset, atom), (40, &b"\x8b\xd9%marker-\x17texts"[..]));
        assert_eq!(best(b"a"), (0, &b"a"[..]));
    }

    #[test]
    fn patterns_share_atoms_in_any_case() {
        let folded = Pattern::caseless(b"%MARKER%").unwrap();
        let atoms = Atoms::of(&[pattern(b"%Marker%"), pattern(b"other"), folded]);
        assert_eq!(atoms.texts, [b"%marker%".to_vec(), b"other".to_vec()]);
        let behind: Vec<_> = atoms.anchors[0].iter().map(|a| a.pattern).collect();
        assert_eq!(behind, [0, 2]);
    }
}
