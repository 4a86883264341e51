//! The line of progress on a terminal: how far, how fast, how long yet.
#![forbid(unsafe_code)]

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::progress::Progress;

/// The line; says nothing where it is not wanted. Removed when dropped, so that a failure's message stands alone.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A line at standard error, if it is `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        if !wanted {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows how far it is.
    pub(super) fn show(&self, progress: &Progress, elapsed: Duration) {
        if !self.0.is_hidden() {
            self.0.set_message(words(progress, elapsed));
        }
    }

    /// Does something that writes to the terminal, with the line out of its way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// True if anybody sees it.
    pub(super) fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

fn words(progress: &Progress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let more = if progress.all_known { "" } else { "+" };
    let mut text = format!(
        "{} of {}{more}, {} objects, {:.0}/s, {:.1} MB/s",
        progress.done,
        progress.known,
        progress.objects,
        progress.objects as f64 / seconds,
        progress.bytes_done as f64 / 1e6 / seconds,
    );
    if let Some(left) = remaining(progress, seconds) {
        let (hours, minutes) = (left / 3600, left / 60 % 60);
        text += &match hours {
            0 => format!(", {minutes}:{:02} left", left % 60),
            _ => format!(", {hours}:{minutes:02}:{:02} left", left % 60),
        };
    }
    text
}

/// Seconds that are left at the rate so far: by bytes where they are known, for files differ in size more than in speed.
fn remaining(progress: &Progress, seconds: f64) -> Option<u64> {
    let (done, known) = match progress.known_bytes {
        0 => (progress.done, progress.known),
        known => (progress.bytes_done, known),
    };
    if !progress.all_known || done == 0 {
        return None;
    }
    let left = known.saturating_sub(done) as f64 / done as f64 * seconds;
    Some(left.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_is_told_when_all_is_known() {
        let start = Progress {
            known: 10,
            ..Progress::default()
        };
        let walking = Progress {
            done: 5,
            objects: 20,
            bytes_done: 30_000_000,
            ..start
        };
        let by_count = Progress {
            all_known: true,
            ..walking
        };
        let by_bytes = Progress {
            known_bytes: 40_000_000,
            ..by_count
        };
        let long = Progress {
            known_bytes: 30_000_000_000,
            ..by_count
        };
        // More was read than was known: files grow.
        let grown = Progress {
            known_bytes: 1,
            ..by_count
        };
        let nothing_yet = Progress {
            all_known: true,
            ..start
        };
        let rows = [
            (start, "0 of 10+, 0 objects, 0/s, 0.0 MB/s"),
            (nothing_yet, "0 of 10, 0 objects, 0/s, 0.0 MB/s"),
            (walking, "5 of 10+, 20 objects, 2/s, 3.0 MB/s"),
            (by_count, "5 of 10, 20 objects, 2/s, 3.0 MB/s, 0:10 left"),
            (by_bytes, "5 of 10, 20 objects, 2/s, 3.0 MB/s, 0:04 left"),
            (long, "5 of 10, 20 objects, 2/s, 3.0 MB/s, 2:46:30 left"),
            (grown, "5 of 10, 20 objects, 2/s, 3.0 MB/s, 0:00 left"),
        ];
        for (progress, text) in rows {
            assert_eq!(words(&progress, Duration::from_secs(10)), text);
        }
        // No division by nothing.
        words(&by_bytes, Duration::ZERO);
    }
}
