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
enum Outcome {
    Fails,
    Holds { end: Option<u64> },
}

impl Condition {
    /// Where the condition holds, given how often each test does; `None` if it does not hold.
    ///
    /// Of an *or* the smallest end counts, of an *and* the largest, of an *xor* that of the side that holds. What
    /// holds only because something is absent has no end.
    pub fn place(&self, hits: &impl Fn(usize) -> Hits) -> Option<Place> {
        match self.outcome(hits) {
            Outcome::Fails => None,
            Outcome::Holds { end } => Some(end.map_or(Place::Absence, Place::End)),
        }
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
            Self::Test(index) => match hits(*index) {
                Hits { count: 0, .. } => Outcome::Fails,
                Hits { end, .. } => Outcome::Holds { end },
            },
            Self::Xor(all) => fold(all, Outcome::xor),
        }
    }
}

impl Count {
    fn outcome(&self, hits: &impl Fn(usize) -> Hits) -> Outcome {
        let (mut sum, mut different, mut end) = (0_u32, 0_u32, None::<u64>);
        for test in &self.of {
            let all = test.iter().map(|index| hits(*index));
            let mut count = 0_u32;
            for one in all {
                count = count.saturating_add(one.count);
                end = end.into_iter().chain(one.end).min();
            }
            sum = sum.saturating_add(count);
            different += u32::from(count > 0);
        }
        let compares = match self.relation {
            Relation::Above => sum > self.times,
            Relation::Below => sum < self.times,
            Relation::Equal => sum == self.times,
        };
        match compares && different >= self.different {
            true => Outcome::Holds { end },
            false => Outcome::Fails,
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
