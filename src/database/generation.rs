//! One set of signatures, from when it was loaded to when the last item that uses it ends.
#![forbid(unsafe_code)]

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use super::making::Opened;
use super::report::Report;
use super::sources::{Listing, Stamp};
use crate::engine::Database;
use crate::event::Epoch;

/// A database in use. Its memory is given back with the last who holds it.
#[derive(Debug)]
pub struct Generation {
    /// Which one it is.
    pub epoch: Epoch,
    /// The machine.
    pub database: Database,
    /// When it came into use, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// When the newest file of signatures was last written, in the same seconds; 0 if there is none.
    pub(super) newest: i64,
    /// What it was made of.
    pub report: Report,
    /// Nothing but the built-in signatures is there, which users must be told.
    pub test_signatures_only: bool,
    /// Its image, which nobody can write: for the processes that share it.
    pub image: File,
    /// It is in memory, and nobody can change it.
    pub(super) is_sealed: bool,
    /// Bytes of the image.
    pub length: u64,
    /// The names that were left out.
    pub(super) unwanted: Vec<Vec<u8>>,
}

impl Generation {
    pub(super) fn new(number: u64, opened: Opened, listing: Listing) -> Self {
        let mut report = opened.meta.report;
        report.unloaded = listing.unloaded;
        Self {
            epoch: Epoch {
                number,
                fingerprint: report.fingerprint(&opened.meta.unwanted),
            },
            database: opened.database,
            since: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            newest: newest(&report),
            test_signatures_only: report.has_only_builtin(),
            report,
            image: opened.file,
            is_sealed: opened.is_sealed,
            length: opened.length,
            unwanted: opened.meta.unwanted,
        }
    }
}

/// When the newest file was last written. One that was just written has no stamp, but it is still there.
fn newest(report: &Report) -> i64 {
    let sources = report.sources.iter();
    let stamps = sources.filter_map(|one| {
        one.stamp.or_else(|| {
            let metadata = std::fs::metadata(one.source.path()?).ok()?;
            Some(Stamp::of(&metadata))
        })
    });
    stamps.map(Stamp::modified).max().unwrap_or(0)
}
