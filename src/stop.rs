//! When to stop: the deadline of an item and the wish of the one who asked for it.
//!
//! A [`Stop`] travels with the content, so that a decoder that eats without giving stops too: every read of an
//! [`Object`](crate::object::Object) looks at it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why work on an item ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The one who asked has gone away or no longer wants the answer.
    Cancelled,
    /// The item's time is over.
    Deadline,
}

/// A flag that several may raise and anybody may look at. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Raises the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once the flag is up.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The deadline of one item together with the flag of its request.
#[derive(Debug, Clone)]
pub struct Stop {
    cancel: Cancel,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops `after` from now, or when `cancel` is raised.
    pub fn after(after: Duration, cancel: Cancel) -> Self {
        Self {
            cancel,
            deadline: Instant::now().checked_add(after),
        }
    }

    /// Never stops by itself: for tools and tests that work on content of their own.
    pub fn never() -> Self {
        Self {
            cancel: Cancel::default(),
            deadline: None,
        }
    }

    /// The time that is left, for what measures it itself; `None` for any.
    pub fn left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Tells whether it is time, and why.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.cancel.is_cancelled() {
            Err(Stopped::Cancelled)
        } else if self.deadline.is_some_and(|at| Instant::now() >= at) {
            Err(Stopped::Deadline)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_comes_before_the_deadline() {
        let cancel = Cancel::default();
        let stop = Stop::after(Duration::ZERO, cancel.clone());
        assert_eq!(stop.check(), Err(Stopped::Deadline));
        cancel.cancel();
        assert_eq!(stop.check(), Err(Stopped::Cancelled));
        assert_eq!(Stop::never().check(), Ok(()));
    }
}
