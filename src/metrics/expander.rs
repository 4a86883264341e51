//! What was opened: containers by kind, with what came out of them and the time that took.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{Counter, Page};
use crate::kind::KINDS;

/// Containers of one kind.
#[derive(Debug, Default)]
struct Row {
    containers: Counter,
    bytes: Counter,
    nanoseconds: Counter,
}

/// Containers opened, by kind.
#[derive(Debug)]
pub struct Expanders(Box<[Row]>);

impl Default for Expanders {
    fn default() -> Self {
        Self(KINDS.iter().map(|_| Row::default()).collect())
    }
}

impl Expanders {
    /// Counts containers of a kind, by its place in [`KINDS`]. What is no place is nothing.
    pub fn count(&self, kind: usize, containers: u64, bytes: u64, time: Duration) {
        let Some(row) = self.0.get(kind) else { return };
        row.containers.add(containers);
        row.bytes.add(bytes);
        row.nanoseconds
            .add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let used = || {
            let rows = KINDS.iter().zip(&self.0);
            let used = rows.filter(|(_, row)| row.nanoseconds.get() > 0);
            used.map(|(kind, row)| (vec![("kind", kind.name.to_owned())], row))
        };
        page.counter_family(
            "vfind_expander_containers",
            "Containers opened, by kind.",
            used().map(|(labels, row)| (labels, row.containers.get())),
        );
        page.counter_family(
            "vfind_expander_bytes",
            "Bytes that came out of containers of a kind and were matched, without those out of containers inside.",
            used().map(|(labels, row)| (labels, row.bytes.get())),
        );
        page.seconds_family(
            "vfind_expander_seconds",
            "Time in containers of a kind with the matching of their members, without that in containers inside.",
            used().map(|(labels, row)| (labels, Duration::from_nanos(row.nanoseconds.get()))),
        );
    }
}
