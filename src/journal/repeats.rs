//! What was said lately, so that the same is not said again with each try of a client.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

/// After this time the same is said again.
const WHILE: Duration = Duration::from_secs(3600);

/// Entries of one generation; there are two.
const MANY: usize = 4096;

/// What can be the same as something else.
pub(super) trait Trace {
    /// All that must be the same; none for what is like nothing else.
    fn trace(&self) -> Option<impl Hash>;
}

/// What was said, by a digest that nobody outside can aim at.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    state: RandomState,
    young: HashMap<u64, Said>,
    old: HashMap<u64, Said>,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    at: Instant,
    times: u64,
}

impl Repeats {
    /// How often the same came before since it was said; 0 if it is to be said now.
    pub(super) fn seen(&mut self, what: &impl Trace, now: Instant) -> u64 {
        let Some(trace) = what.trace() else { return 0 };
        let key = self.state.hash_one(trace);
        let known = self.young.get(&key).or_else(|| self.old.get(&key));
        let said = match known {
            Some(said) if now.saturating_duration_since(said.at) < WHILE => Said {
                times: said.times + 1,
                ..*said
            },
            _ => Said { at: now, times: 0 },
        };
        if self.young.len() >= MANY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, said);
        said.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Trace for u32 {
        fn trace(&self) -> Option<impl Hash> {
            (*self > 0).then_some(*self)
        }
    }

    #[test]
    fn the_same_is_said_again_after_a_while_and_never_forgotten_at_once() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let later = start + WHILE - Duration::from_secs(1);
        assert_eq!(repeats.seen(&7, start), 0);
        assert_eq!(repeats.seen(&7, start), 1);
        assert_eq!(repeats.seen(&7, later), 2);
        assert_eq!(repeats.seen(&7, start + WHILE), 0);
        assert_eq!((repeats.seen(&0, start), repeats.seen(&0, start)), (0, 0));
        for other in 0..MANY as u32 {
            repeats.seen(&(other + 100), start);
        }
        assert_eq!(repeats.seen(&7, start + WHILE), 1);
        for other in 0..3 * MANY as u32 {
            repeats.seen(&(other + 100), start);
        }
        assert!(repeats.young.len() <= MANY && repeats.old.len() <= MANY);
    }
}
