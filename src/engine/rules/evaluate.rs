//! Which rules hold on an object, once all its bytes were searched.
#![forbid(unsafe_code)]

use super::code::{Reading, Step};
use super::{Rules, User};
use crate::engine::Subject;
use crate::engine::search::Found;
use crate::event::Place;
use crate::signature::condition::{Hits, Outcome, Sum};
use crate::signature::rule::{Compare, Regex};

/// What needs the content of the object once more.
pub(in crate::engine) trait Late {
    /// All matches of a regular expression, which has this number.
    fn regex(&mut self, number: u32, regex: &Regex) -> Tested;

    /// A comparison behind the matches that begin here.
    fn compare(&mut self, compare: &Compare, starts: &[u64]) -> Tested;
}

/// What a test came to.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Tested {
    /// How often it holds.
    pub(in crate::engine) hits: Hits,
    /// Where its matches begin, sorted, for tests that count from there.
    pub(in crate::engine) starts: Vec<u64>,
}

/// The rules of a database and an object.
pub(in crate::engine) struct Evaluation<'e> {
    rules: &'e Rules,
    found: &'e Found,
    subject: &'e Subject<'e>,
    length: u64,
    late: &'e mut dyn Late,
    /// Kept, because rules are many.
    stack: Vec<Outcome>,
}

/// A test of the rule that is evaluated.
enum Test {
    Pattern(u32),
    Other(Tested),
}

impl<'e> Evaluation<'e> {
    pub(in crate::engine) fn new(
        rules: &'e Rules,
        found: &'e Found,
        subject: &'e Subject<'e>,
        length: u64,
        late: &'e mut dyn Late,
    ) -> Self {
        Self {
            rules,
            found,
            subject,
            length,
            late,
            stack: Vec::new(),
        }
    }

    /// The signatures that hold, in no order, and where.
    pub(in crate::engine) fn holding(mut self) -> Vec<(u32, Place)> {
        let mut holding = Vec::new();
        let mut concerned: Vec<u32> = self.rules.on_nothing().collect();
        for pattern in self.found.held() {
            for user in self.rules.users(*pattern) {
                match user {
                    User::Rule(rule) => concerned.push(rule),
                    User::Signature { number, target } => {
                        let form = self.subject.form;
                        let fits = form.fits(target, self.subject.file_type.target);
                        let place = Outcome::of(self.found.hits(*pattern)).place();
                        holding.extend(place.filter(|_| fits).map(|place| (number, place)));
                    }
                }
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        for rule in concerned {
            if let Some((signature, code)) = self.rules.rule(rule)
                && let Some(place) = self.rule(code)
            {
                holding.push((signature, place));
            }
        }
        holding
    }

    fn rule(&mut self, mut code: Reading<'_>) -> Option<Place> {
        if !code.scope()?.fits(self.subject, self.length) {
            return None;
        }
        let mut tests = Vec::new();
        for _ in 0..code.number()? {
            let test = self.test(&mut code, &tests)?;
            tests.push(test);
        }
        self.condition(code, &tests)?.place()
    }

    fn test(&mut self, code: &mut Reading<'_>, before: &[Test]) -> Option<Test> {
        Some(match code.number()? {
            0 => Test::Pattern(code.small()?),
            1 => {
                let after = starts(self.found, before.get(code.index()?)?);
                let (min, max) = (code.number()?, code.number()?);
                Test::Other(self.members(after, min, max, code.small()?))
            }
            2 => {
                let number = code.small()?;
                let (regex, trigger) = self.rules.late(number)?.regex()?;
                let tried = trigger.is_empty()
                    || self.condition(Reading::new(trigger), before)? != Outcome::Fails;
                Test::Other(match tried {
                    true => self.late.regex(number, &regex),
                    false => Tested::default(),
                })
            }
            _ => {
                let compare = self.rules.late(code.small()?)?.compare()?;
                let after = starts(self.found, before.get(compare.after)?);
                Test::Other(match after.is_empty() {
                    true => Tested::default(),
                    false => self.late.compare(&compare, after),
                })
            }
        })
    }

    /// The matches of a macro group's members that begin `min` to `max` bytes behind one of `after`.
    fn members(&self, after: &[u64], min: u64, max: u64, group: u32) -> Tested {
        let mut tested = Tested::default();
        if after.is_empty() {
            return tested;
        }
        for pattern in self.rules.members(group) {
            let follows = |start: &&u64| {
                // The last match that is at least `min` before it is the nearest.
                let from = after.partition_point(|one| one.saturating_add(min) <= **start);
                let nearest = from.checked_sub(1).and_then(|at| after.get(at));
                nearest.is_some_and(|one| **start <= one.saturating_add(max))
            };
            let starts = self.found.starts(pattern).iter().filter(follows);
            tested.starts.extend(starts);
        }
        tested.starts.sort_unstable();
        tested.hits = Hits {
            count: u32::try_from(tested.starts.len()).unwrap_or(u32::MAX),
            end: tested.starts.first().copied(),
        };
        tested
    }

    fn hits(&self, test: Option<&Test>) -> Hits {
        match test {
            None => Hits::default(),
            Some(Test::Pattern(pattern)) => self.found.hits(*pattern),
            Some(Test::Other(tested)) => tested.hits,
        }
    }

    fn condition(&mut self, code: Reading<'_>, tests: &[Test]) -> Option<Outcome> {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        let done = self.steps(code, tests, &mut stack);
        let outcome = stack.pop();
        self.stack = stack;
        done.and(outcome)
    }

    fn steps(&self, mut code: Reading<'_>, tests: &[Test], stack: &mut Vec<Outcome>) -> Option<()> {
        while !code.is_done() {
            let outcome = match code.step()? {
                Step::And => {
                    let other = stack.pop()?;
                    stack.pop()?.and(other)
                }
                Step::Or => {
                    let other = stack.pop()?;
                    stack.pop()?.or(other)
                }
                Step::Xor => {
                    let other = stack.pop()?;
                    stack.pop()?.xor(other)
                }
                Step::Not => stack.pop()?.not(),
                Step::Never => Outcome::Fails,
                Step::Test => Outcome::of(self.hits(tests.get(code.index()?))),
                Step::Count => self.count(&mut code, tests)?,
            };
            stack.push(outcome);
        }
        Some(())
    }

    fn count(&self, code: &mut Reading<'_>, tests: &[Test]) -> Option<Outcome> {
        let relation = code.relation()?;
        let (times, different) = (code.small()?, code.small()?);
        let mut sum = Sum::default();
        for _ in 0..code.number()? {
            let mut whole = true;
            let count = code.number()?;
            sum.add((0..count).map_while(|_| {
                let index = code.index();
                whole &= index.is_some();
                Some(self.hits(tests.get(index?)))
            }));
            if !whole {
                return None;
            }
        }
        Some(sum.outcome(relation, times, different))
    }
}

/// Where the matches of a test begin, sorted.
fn starts<'t>(found: &'t Found, test: &'t Test) -> &'t [u64] {
    match test {
        Test::Pattern(pattern) => found.starts(*pattern),
        Test::Other(tested) => &tested.starts,
    }
}
