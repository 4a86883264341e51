//! Wall time that never goes back.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that was set once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    unix: Duration,
    started: Instant,
}

impl Clock {
    /// Sets it by the system's.
    pub(super) fn start() -> Self {
        Self {
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            started: Instant::now(),
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(super) fn now_ms(&self) -> u64 {
        let now = self.unix + self.started.elapsed();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
