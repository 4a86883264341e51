//! Which patterns of a rule must hold: a tree of and, or, xor and not.
//!
//! And, or and xor take any number of operands, so that a long chain of them is wide and not deep: the depth of a
//! tree is bounded by its parser, and evaluation recurses no deeper.
#![forbid(unsafe_code)]

use crate::event::Place;

/// A condition over the patterns of one rule, which it names by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// At least one holds.
    Or(Vec<Condition>),
    /// The pattern occurs.
    Pattern(usize),
    /// From the left: exactly one of what came before and the next one holds.
    Xor(Vec<Condition>),
}

/// What a condition came to, and up to where the content was needed to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fails,
    Holds { end: Option<u64> },
}

impl Condition {
    /// Where the condition holds, given the earliest end of each pattern that occurs; `None` if it does not hold.
    ///
    /// Of an *or* the smallest end counts, of an *and* the largest, of an *xor* that of the side that holds. What
    /// holds only because something is absent has no end.
    pub fn place(&self, end_of: &impl Fn(usize) -> Option<u64>) -> Option<Place> {
        match self.outcome(end_of) {
            Outcome::Fails => None,
            Outcome::Holds { end } => Some(end.map_or(Place::Absence, Place::End)),
        }
    }

    fn outcome(&self, end_of: &impl Fn(usize) -> Option<u64>) -> Outcome {
        let fold = |all: &[Self], join: fn(Outcome, Outcome) -> Outcome| {
            all.iter()
                .map(|one| one.outcome(end_of))
                .reduce(join)
                .unwrap_or(Outcome::Fails)
        };
        match self {
            Self::And(all) => fold(all, Outcome::and),
            Self::Not(one) => one.outcome(end_of).not(),
            Self::Or(all) => fold(all, Outcome::or),
            Self::Pattern(index) => match end_of(*index) {
                Some(end) => Outcome::Holds { end: Some(end) },
                None => Outcome::Fails,
            },
            Self::Xor(all) => fold(all, Outcome::xor),
        }
    }
}

impl Outcome {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { end: a }, Self::Holds { end: b }) => Self::Holds { end: a.max(b) },
            _ => Self::Fails,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { end: a }, Self::Holds { end: b }) => Self::Holds {
                end: a.into_iter().chain(b).min(),
            },
            (Self::Fails, other) => other,
            (one, Self::Fails) => one,
        }
    }

    fn xor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { .. }, Self::Holds { .. }) => Self::Fails,
            (Self::Fails, other) => other,
            (one, Self::Fails) => one,
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Fails => Self::Holds { end: None },
            Self::Holds { .. } => Self::Fails,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Condition::*;
    use super::*;

    #[test]
    fn the_place_is_that_of_what_decided() {
        // The patterns 0 and 1 end at 10 and 20; pattern 2 does not occur.
        let ends = [Some(10), Some(20), None];
        let not = |index| Not(Box::new(Pattern(index)));
        let rows = [
            (Pattern(2), None),
            (Pattern(1), Some(Place::End(20))),
            (And(vec![Pattern(1), Pattern(0)]), Some(Place::End(20))),
            (And(vec![Pattern(1), Pattern(2)]), None),
            (And(vec![not(2), Pattern(0)]), Some(Place::End(10))),
            (Or(vec![Pattern(1), Pattern(0)]), Some(Place::End(10))),
            (Or(vec![Pattern(2), Pattern(1)]), Some(Place::End(20))),
            (Or(vec![not(2), Pattern(1)]), Some(Place::End(20))),
            (Xor(vec![Pattern(0), Pattern(1)]), None),
            (Xor(vec![Pattern(2), Pattern(1)]), Some(Place::End(20))),
            (
                Xor(vec![Pattern(0), Pattern(1), Pattern(1)]),
                Some(Place::End(20)),
            ),
            (not(2), Some(Place::Absence)),
            (Not(Box::new(not(0))), Some(Place::Absence)),
            (And(vec![]), None),
        ];
        for (condition, place) in rows {
            let found = condition.place(&|index| ends[index]);
            assert_eq!(found, place, "{condition:?}");
        }
    }
}
