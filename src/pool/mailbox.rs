//! What a client has not read yet.
//!
//! Workers put reports in and never wait. What bounds the memory: no new item is begun for a client whose mailbox is
//! full; while far too much is unread, announcements and details are dropped, for they inform and carry no result; and an
//! item that finds more than can be kept is ended, infected as it is.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::verdict::{JobId, Report};

/// Bytes unread above which no new item is begun.
const ROOM: usize = 256 * 1024;

/// Bytes unread above which announcements and details are dropped.
const FLOOD: usize = 1024 * 1024;

/// Bytes unread above which an item that has yet more findings is ended.
const OVERFLOW: usize = 2 * 1024 * 1024;

/// The reports for one client, in order.
#[derive(Default)]
pub(super) struct Mailbox {
    unread: Mutex<Unread>,
    arrived: Notify,
}

#[derive(Default)]
struct Unread {
    reports: VecDeque<(JobId, Report)>,
    bytes: usize,
}

/// What taking a report out may have changed.
pub(super) struct Taken {
    /// The request's number and the report.
    pub(super) report: (JobId, Report),
    /// The mailbox was full and has room now.
    pub(super) made_room: bool,
}

impl Mailbox {
    /// Puts a report in.
    pub(super) fn deliver(&self, job: JobId, report: Report) {
        let mut unread = self.lock();
        let informs = matches!(
            report,
            Report::Scanning(_) | Report::Gap(..) | Report::Note(_)
        );
        if informs && unread.bytes > FLOOD {
            return;
        }
        unread.bytes += weight(&report);
        unread.reports.push_back((job, report));
        drop(unread);
        self.arrived.notify_one();
    }

    /// Tells whether a new item may be begun.
    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes < ROOM
    }

    /// Tells whether findings of an item that runs can still be kept.
    pub(super) fn overflows(&self) -> bool {
        self.lock().bytes > OVERFLOW
    }

    /// Takes the oldest report out.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut unread = self.lock();
        let report = unread.reports.pop_front()?;
        let before = unread.bytes;
        unread.bytes = before.saturating_sub(weight(&report.1));
        if unread.reports.is_empty() {
            // An idle connection keeps no memory of a busy time.
            unread.reports.shrink_to_fit();
        }
        Some(Taken {
            report,
            made_room: before >= ROOM && unread.bytes < ROOM,
        })
    }

    /// Waits until a report was put in, also one that came before this was called.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About what a report takes in memory, in bytes.
fn weight(report: &Report) -> usize {
    let content = match report {
        Report::Scanning(path) => path.weight(),
        Report::Finding(finding) => finding.path.weight() + finding.signature.name.len(),
        Report::Gap(gap, _) => gap.path.weight() + gap.detail.len(),
        Report::Note(note) => note.path.weight() + note.detail.len(),
        Report::Ended(summary) => summary.path.weight() + 256,
    };
    content + 128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::ObjectPath;
    use crate::verdict::Summary;

    fn scanning() -> Report {
        Report::Scanning(ObjectPath::root("/some/file"))
    }

    #[test]
    fn room_comes_back_exactly_once() {
        let mailbox = Mailbox::default();
        while mailbox.has_room() {
            mailbox.deliver(1, scanning());
        }
        let made_room = std::iter::from_fn(|| mailbox.take()).filter(|taken| taken.made_room);
        assert_eq!(made_room.count(), 1);
        assert!(mailbox.has_room());
    }

    #[test]
    fn a_flood_of_announcements_is_bounded_and_loses_no_result() {
        let mailbox = Mailbox::default();
        for _ in 0..100_000 {
            mailbox.deliver(1, scanning());
        }
        let end = Summary::new(ObjectPath::root("/some/file"));
        mailbox.deliver(1, Report::Ended(Box::new(end)));
        assert!(mailbox.lock().bytes < FLOOD + 2048);
        let last = std::iter::from_fn(|| mailbox.take()).last().unwrap();
        assert!(matches!(last.report.1, Report::Ended(_)));
    }
}
