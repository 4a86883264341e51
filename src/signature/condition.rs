//! Which tests of a rule must hold: a tree of and, or, xor, not and counts.
//!
//! And, or and xor take any number of operands, so that a long chain of them is wide and not deep: the depth of a
//! tree is bounded by its parser, and evaluation recurses no deeper.
#![forbid(unsafe_code)]

use crate::event::Place;

/// A condition over the tests of one rule, which it names by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// How often tests hold together.
    Count(Count),
    /// It does not hold.
    Not(Box<Condition>),
    /// At least one holds.
    Or(Vec<Condition>),
    /// The test holds at least once.
    Test(usize),
    /// From the left: exactly one of what came before and the next one holds.
    Xor(Vec<Condition>),
}

/// How often tests hold: their numbers together (ClamAV's `=`, `>` and `<`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The indices of the tests. Those of one inner list count as one where `different` asks how many do.
    pub of: Vec<Vec<usize>>,
    /// How the sum compares with `times`.
    pub relation: Relation,
    /// What the sum is compared with.
    pub times: u32,
    /// At least so many of the inner lists hold.
    pub different: u32,
}

/// How two numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The sum is larger.
    Above,
    /// The sum is smaller.
    Below,
    /// They are the same.
    Equal,
}

/// How often a test holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// The number of places where it does.
    pub count: u32,
    /// The smallest end of them; what has no place has none.
    pub end: Option<u64>,
}

impl Hits {
    /// The hits of what holds once and ends there.
    pub fn once(end: u64) -> Self {
        Self {
            count: 1,
            end: Some(end),
        }
    }
}

/// What a condition came to, and up to where the content was needed to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It does not hold.
    Fails,
    /// It holds.
    Holds {
        /// Where that was clear; none for what holds because something is absent.
        end: Option<u64>,
    },
}

/// The hits of several tests, added up for a [`Count`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    count: u32,
    different: u32,
    end: Option<u64>,
}

impl Sum {
    /// Adds one of the lists of [`Count::of`].
    pub fn add(&mut self, list: impl Iterator<Item = Hits>) {
        let mut count = 0_u32;
        for one in list {
            count = count.saturating_add(one.count);
            self.end = self.end.into_iter().chain(one.end).min();
        }
        self.count = self.count.saturating_add(count);
        self.different += u32::from(count > 0);
    }

    /// How it compares with the numbers of a [`Count`].
    pub fn outcome(&self, relation: Relation, times: u32, different: u32) -> Outcome {
        let compares = match relation {
            Relation::Above => self.count > times,
            Relation::Below => self.count < times,
            Relation::Equal => self.count == times,
        };
        match compares && self.different >= different {
            true => Outcome::Holds { end: self.end },
            false => Outcome::Fails,
        }
    }
}

impl Condition {
    /// Where the condition holds, given how often each test does; `None` if it does not hold.
    ///
    /// Of an *or* the smallest end counts, of an *and* the largest, of an *xor* that of the side that holds. What
    /// holds only because something is absent has no end.
    pub fn place(&self, hits: &impl Fn(usize) -> Hits) -> Option<Place> {
        self.outcome(hits).place()
    }

    fn outcome(&self, hits: &impl Fn(usize) -> Hits) -> Outcome {
        let fold = |all: &[Self], join: fn(Outcome, Outcome) -> Outcome| {
            all.iter()
                .map(|one| one.outcome(hits))
                .reduce(join)
                .unwrap_or(Outcome::Fails)
        };
        match self {
            Self::And(all) => fold(all, Outcome::and),
            Self::Count(count) => count.outcome(hits),
            Self::Not(one) => one.outcome(hits).not(),
            Self::Or(all) => fold(all, Outcome::or),
            Self::Test(index) => Outcome::of(hits(*index)),
            Self::Xor(all) => fold(all, Outcome::xor),
        }
    }
}

impl Count {
    fn outcome(&self, hits: &impl Fn(usize) -> Hits) -> Outcome {
        let mut sum = Sum::default();
        for list in &self.of {
            sum.add(list.iter().map(|index| hits(*index)));
        }
        sum.outcome(self.relation, self.times, self.different)
    }
}

impl Outcome {
    /// Where it holds.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Fails => None,
            Self::Holds { end } => Some(end.map_or(Place::Absence, Place::End)),
        }
    }

    /// The outcome of a test.
    pub fn of(hits: Hits) -> Self {
        match hits {
            Hits { count: 0, .. } => Self::Fails,
            Hits { end, .. } => Self::Holds { end },
        }
    }

    /// Both hold: the later end.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { end: a }, Self::Holds { end: b }) => Self::Holds { end: a.max(b) },
            _ => Self::Fails,
        }
    }

    /// One of them holds: the earlier end.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { end: a }, Self::Holds { end: b }) => Self::Holds {
                end: a.into_iter().chain(b).min(),
            },
            (Self::Fails, other) => other,
            (one, Self::Fails) => one,
        }
    }

    /// Exactly one of them holds.
    #[must_use]
    pub fn xor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds { .. }, Self::Holds { .. }) => Self::Fails,
            (Self::Fails, other) => other,
            (one, Self::Fails) => one,
        }
    }

    /// It does not hold.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "beside the others")]
    pub fn not(self) -> Self {
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
        // The tests 0 and 1 hold up to 10 and 20; test 2 does not hold.
        let hits = [Hits::once(10), Hits::once(20), Hits::default()];
        let not = |index| Not(Box::new(Test(index)));
        let count = |of: &[usize], relation, times, different| {
            Count(super::Count {
                of: of.iter().map(|index| vec![*index]).collect(),
                relation,
                times,
                different,
            })
        };
        let rows = [
            (Test(2), None),
            (Test(1), Some(Place::End(20))),
            (And(vec![Test(1), Test(0)]), Some(Place::End(20))),
            (And(vec![Test(1), Test(2)]), None),
            (And(vec![not(2), Test(0)]), Some(Place::End(10))),
            (Or(vec![Test(1), Test(0)]), Some(Place::End(10))),
            (Or(vec![Test(2), Test(1)]), Some(Place::End(20))),
            (Or(vec![not(2), Test(1)]), Some(Place::End(20))),
            (Xor(vec![Test(0), Test(1)]), None),
            (Xor(vec![Test(2), Test(1)]), Some(Place::End(20))),
            (Xor(vec![Test(0), Test(1), Test(1)]), Some(Place::End(20))),
            (not(2), Some(Place::Absence)),
            (Not(Box::new(not(0))), Some(Place::Absence)),
            (And(vec![]), None),
            (
                count(&[0, 1, 2], Relation::Above, 1, 0),
                Some(Place::End(10)),
            ),
            (count(&[0, 1, 2], Relation::Above, 1, 3), None),
            (count(&[0, 1, 2], Relation::Below, 2, 0), None),
            (count(&[1, 2], Relation::Equal, 1, 1), Some(Place::End(20))),
            (count(&[2], Relation::Equal, 0, 0), Some(Place::Absence)),
        ];
        for (condition, place) in rows {
            let found = condition.place(&|index| hits[index]);
            assert_eq!(found, place, "{condition:?}");
        }
    }
}
