//! Findings by signature. Sets of signatures have millions of names: the first few that are found have a count of their own.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Counter, Page};
use crate::event::SignatureName;

/// Names that are told apart.
const NAMES: usize = 200;

type Names = HashMap<SignatureName, Arc<Counter>>;

/// Findings reported, by the name of their signature.
#[derive(Default)]
pub struct Found {
    /// Replaced as a whole when a name comes in, which happens at most [`NAMES`] times.
    names: ArcSwap<Names>,
    others: Counter,
}

impl Found {
    /// Counts a finding.
    pub fn count(&self, signature: &SignatureName) {
        if let Some(counter) = self.names.load().get(signature) {
            return counter.one();
        }
        self.names.rcu(|names| {
            if names.contains_key(signature) || names.len() >= NAMES {
                return Arc::clone(names);
            }
            let mut more = Names::clone(names);
            more.insert(signature.clone(), Arc::default());
            Arc::new(more)
        });
        match self.names.load().get(signature) {
            Some(counter) => counter.one(),
            None => self.others.one(),
        }
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let names = self.names.load();
        let mut counts: Vec<_> = names
            .iter()
            .map(|(name, count)| (name.to_string(), count.get()))
            .collect();
        counts.sort_unstable();
        counts.push(("other".to_owned(), self.others.get()));
        page.counters(
            "vfind_findings",
            "Findings reported, by signature; after the first names that were found, all under other.",
            "signature",
            counts,
        );
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.load().len();
        f.debug_struct("Found").field("names", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EngineWord;

    #[test]
    fn names_after_the_first_are_counted_together() {
        let found = Found::default();
        for number in 0..NAMES + 3 {
            let name = SignatureName::new(EngineWord::Cvdl, &number.to_string());
            found.count(&name);
            found.count(&name);
        }
        assert_eq!(found.names.load().len(), NAMES);
        assert!(found.names.load().values().all(|count| count.get() == 2));
        assert_eq!(found.others.get(), 6);
    }
}
