//! The pass over the content: one Aho-Corasick automaton over all atoms.
//!
//! It ignores case, for an atom may come from an exact or from a caseless pattern: confirmation sees to the case.
#![forbid(unsafe_code)]

use aho_corasick::AhoCorasick;

use super::atoms::{Anchor, Atoms};
use crate::signature::pattern::Pattern;

/// The automaton and what its hits mean.
#[derive(Debug)]
pub(super) struct Literals {
    automaton: AhoCorasick,
    anchors: Vec<Vec<Anchor>>,
}

impl Literals {
    pub(super) fn compile(patterns: &[Pattern]) -> Result<Self, String> {
        let atoms = Atoms::of(patterns);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&atoms.texts)
            .map_err(|error| format!("the search automaton: {error}"))?;
        Ok(Self {
            automaton,
            anchors: atoms.anchors,
        })
    }

    /// Calls `candidate` with each place where a pattern may be, and where its atom starts there. The places of one
    /// pattern come in the order of the content.
    pub(super) fn candidates(&self, content: &[u8], mut candidate: impl FnMut(Anchor, usize)) {
        // A database of nothing but digests: the automaton would still look at each byte.
        if self.anchors.is_empty() {
            return;
        }
        // The defaults of the builder, standard matches and no anchor, are those that allow overlapping hits.
        for hit in self.automaton.find_overlapping_iter(content) {
            for anchor in self
                .anchors
                .get(hit.pattern().as_usize())
                .into_iter()
                .flatten()
            {
                candidate(*anchor, hit.start());
            }
        }
    }
}
