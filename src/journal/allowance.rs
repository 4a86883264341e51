//! How many lines may be written: many at once, and few all day.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Lines that may be written at once, after a time without.
const BURST: u32 = 1000;

/// The time in which one more may be: some 100 MB of lines a day.
const EACH: Duration = Duration::from_millis(200);

/// Lines that may be written.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    since: Option<Instant>,
    missing: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            left: BURST,
            since: None,
            missing: 0,
        }
    }
}

impl Allowance {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let gone = now.saturating_duration_since(since);
        let more = u32::try_from(gone.as_millis() / EACH.as_millis()).unwrap_or(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            // What is left of the last one counts for the next.
            self.since = Some(match more {
                BURST.. => now,
                _ => since + EACH * more,
            });
        }
        let is_there = self.left > 0;
        match is_there {
            true => self.left -= 1,
            false => self.missing += 1,
        }
        is_there
    }

    /// How often there was none since this was asked last.
    pub(super) fn missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_and_few_in_the_long_run() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let taken = |allowance: &mut Allowance, after: Duration, tries: u32| {
            (0..tries).filter(|_| allowance.take(start + after)).count()
        };
        assert_eq!(
            taken(&mut allowance, Duration::ZERO, BURST + 5),
            BURST as usize
        );
        assert_eq!(allowance.missing(), 5);
        assert_eq!(taken(&mut allowance, EACH * 3 / 2, 9), 1);
        assert_eq!(taken(&mut allowance, EACH * 2, 9), 1);
        assert_eq!(allowance.missing(), 16);
        // A day of rest is worth no more than the beginning.
        let day = Duration::from_secs(86_400);
        assert_eq!(taken(&mut allowance, day, 2 * BURST), BURST as usize);
    }
}
