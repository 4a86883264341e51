//! The patterns that held → the rules that hold.
//!
//! Only the rules that use one of those patterns are evaluated, and those that hold on nothing at all (`NOT "x"`),
//! which are known since the rules were compiled. All others are as false as they are on an empty object.
#![forbid(unsafe_code)]

use crate::event::Place;
use crate::signature::condition::{Condition, Hits};

/// All rules, and which of them each pattern concerns.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    rules: Vec<Rule>,
    /// For each pattern, the rules that use it.
    users: Vec<Vec<u32>>,
    /// The rules that hold where no pattern does.
    on_nothing: Vec<u32>,
}

#[derive(Debug)]
struct Rule {
    signature: u32,
    /// The pattern numbers that the indices of the condition stand for.
    patterns: Box<[u32]>,
    condition: Condition,
}

impl Rule {
    fn place(&self, hits: &impl Fn(u32) -> Hits) -> Option<Place> {
        let of = |index: usize| self.patterns.get(index).map(|number| hits(*number));
        self.condition.place(&|index| of(index).unwrap_or_default())
    }
}

impl Conditions {
    /// Adds the rule of a signature, both by number; `patterns` are those that its condition means.
    pub(super) fn add(&mut self, signature: u32, patterns: Box<[u32]>, condition: Condition) {
        let rule = Rule {
            signature,
            patterns,
            condition,
        };
        // There are no more rules than signatures, whose numbers fit.
        let number = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        if rule.place(&|_| Hits::default()).is_some() {
            self.on_nothing.push(number);
        }
        for pattern in &rule.patterns {
            let at = *pattern as usize;
            if self.users.len() <= at {
                self.users.resize_with(at + 1, Vec::new);
            }
            if let Some(users) = self.users.get_mut(at).filter(|u| u.last() != Some(&number)) {
                users.push(number);
            }
        }
        self.rules.push(rule);
    }

    /// The signatures that hold, in the order in which they were added, and where. `held` are the patterns that
    /// occur, `hits` tells how often each.
    pub(super) fn holding(&self, held: &[u32], hits: impl Fn(u32) -> Hits) -> Vec<(u32, Place)> {
        let mut concerned = self.on_nothing.clone();
        for pattern in held {
            concerned.extend(self.users.get(*pattern as usize).into_iter().flatten());
        }
        concerned.sort_unstable();
        concerned.dedup();
        concerned
            .into_iter()
            .filter_map(|number| self.rules.get(number as usize))
            .filter_map(|rule| Some((rule.signature, rule.place(&hits)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_holds_on_nothing_needs_no_pattern_and_may_be_refuted_by_one() {
        let mut conditions = Conditions::default();
        let not = Condition::Not(Box::new(Condition::Test(0)));
        conditions.add(0, [5].into(), Condition::Test(0));
        conditions.add(1, [5].into(), not);
        assert_eq!(
            conditions.holding(&[], |_| Hits::default()),
            [(1, Place::Absence)]
        );
        let held = conditions.holding(&[5], |_| Hits::once(9));
        assert_eq!(held, [(0, Place::End(9))]);
    }
}
