//! What a daemon says of its signatures to those who watch it.
#![forbid(unsafe_code)]

use super::{Live, Reloaded, unpoisoned};
use crate::event::Epoch;
use crate::metrics::{Counter, Page};

use super::error::Refused;

/// What became of the reloads since the start.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    new: Counter,
    same: Counter,
    refused: Counter,
    back: Counter,
    not_back: Counter,
}

impl Reloads {
    pub(super) fn reload(&self, result: &Result<Reloaded, Refused>) {
        match result {
            Ok(Reloaded::New(_)) => self.new.one(),
            Ok(Reloaded::Same(_)) => self.same.one(),
            Err(_) => self.refused.one(),
        }
    }

    pub(super) fn rollback(&self, result: &Result<Epoch, Refused>) {
        match result {
            Ok(_) => self.back.one(),
            Err(_) => self.not_back.one(),
        }
    }
}

impl Live {
    /// Says which signatures are in use since when, and what became of reloads.
    pub fn tell(&self, page: &mut Page) {
        let current = self.current();
        for (name, help, value) in [
            (
                "vfind_database_epoch",
                "The number of the signature database in use, from 1 at the start.",
                current.epoch.number as f64,
            ),
            (
                "vfind_database_signatures",
                "Signatures in use.",
                current.database.count() as f64,
            ),
            (
                "vfind_database_bytes",
                "Bytes of the compiled signatures.",
                current.length as f64,
            ),
            (
                "vfind_database_complaints",
                "Signatures of the sources that were not understood.",
                current.report.complaint_count as f64,
            ),
            (
                "vfind_database_test_only",
                "1 if nothing but the built-in test signatures is loaded.",
                f64::from(u8::from(current.test_signatures_only)),
            ),
            (
                "vfind_database_loaded_timestamp_seconds",
                "When the database came into use.",
                current.since as f64,
            ),
            (
                "vfind_database_newest_source_timestamp_seconds",
                "When the newest file of signatures in use was last written; 0 if there is none.",
                current.newest as f64,
            ),
            (
                "vfind_database_reload_refused",
                "1 if the last reload was refused, so that older signatures are in use than there are.",
                match &unpoisoned(&self.state).last {
                    Some((_, Err(_))) => 1.0,
                    Some((_, Ok(_))) | None => 0.0,
                },
            ),
        ] {
            page.gauge(name, help, value);
        }
        page.counters(
            "vfind_database_reloads",
            "Reloads and rollbacks, by what became of them.",
            "result",
            [
                ("new", &self.reloads.new),
                ("same", &self.reloads.same),
                ("refused", &self.reloads.refused),
                ("rollback", &self.reloads.back),
                ("rollback_refused", &self.reloads.not_back),
            ]
            .map(|(word, count)| (word, count.get())),
        );
    }
}
