//! What the owner of a daemon is told about its signatures.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, Instant};

use super::generation::Generation;
use crate::event::Epoch;

/// The database in use, and what became of the last reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which database is in use.
    pub epoch: Epoch,
    /// What it finds.
    pub signatures: usize,
    /// What of its sources was not understood.
    pub complaints: u64,
    /// What of them waits for content that this version does not produce, and what is set aside for other reasons.
    pub waiting: u64,
    /// See there.
    pub set_aside: u64,
    /// Bytes of its image.
    pub length: u64,
    /// How long ago the last reload ended, and what came of it: the database, or why it was refused.
    pub last: Option<(Duration, Result<Epoch, String>)>,
    /// There is a database to go back to.
    pub has_previous: bool,
}

impl Status {
    pub(super) fn new(
        generation: &Generation,
        last: Option<&(Instant, Result<Epoch, String>)>,
        has_previous: bool,
    ) -> Self {
        let asides = || generation.report.sources.iter().flat_map(|s| &s.asides);
        let count = |waits: bool| -> u64 {
            let wanted = asides().filter(|(aside, _)| aside.waits == waits);
            wanted.map(|(_, lines)| lines.count).sum()
        };
        Self {
            waiting: count(true),
            set_aside: count(false),
            epoch: generation.epoch.clone(),
            signatures: generation.database.count(),
            complaints: generation.report.complaint_count,
            length: generation.length,
            last: last.map(|(at, result)| (at.elapsed(), result.clone())),
            has_previous,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "epoch {}", self.epoch)?;
        writeln!(f, "signatures {}", self.signatures)?;
        writeln!(f, "not understood {}", self.complaints)?;
        writeln!(f, "waiting {}", self.waiting)?;
        writeln!(f, "set aside {}", self.set_aside)?;
        writeln!(f, "bytes {}", self.length)?;
        match &self.last {
            None => writeln!(f, "last reload none")?,
            Some((ago, Ok(epoch))) => writeln!(f, "last reload {epoch}, {} s ago", ago.as_secs())?,
            Some((ago, Err(why))) => {
                let why = why.replace('\n', " | ");
                writeln!(f, "last reload refused, {} s ago: {why}", ago.as_secs())?;
            }
        }
        let rollback = if self.has_previous {
            "possible"
        } else {
            "not possible"
        };
        writeln!(f, "rollback {rollback}")
    }
}
