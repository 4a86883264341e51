//! The limits of one item and what is left of them: the one place that says no.
//!
//! Content is paid for where it enters, by the walk; expanders and engine never see a budget.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Limit;

/// One MiB in bytes.
pub const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// What one item may cost. Each field has its flag `--limit-NAME`; the reasons of the values stand at [`Default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Containers inside containers; folders do not count.
    pub depth: u32,
    /// Members of all containers together.
    pub members: u64,
    /// Bytes out of all containers together.
    pub expanded: u64,
    /// Bytes out of containers for each byte of the item, once more than [`RATIO_FROM`] came out.
    pub ratio: u64,
    /// Bytes of memory of a worker process beyond the signatures.
    pub memory: u64,
    /// Bytes of temporary disk space.
    pub spool: u64,
    /// Bytes of an object that are looked at in one piece, by what cannot take it as a stream: regular expressions, YARA
    /// rules. A larger one is looked at in pieces of this size that overlap.
    pub contiguous: u64,
    /// Findings of one item; it is infected beyond doubt by then.
    pub findings: u64,
    /// Time from when a worker starts the item.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Honest archives nest a handful deep; each level also costs stack.
            depth: 32,
            // Ten times the largest source trees that people pack.
            members: 1_000_000,
            // What a worker can match within the deadline, with room.
            expanded: 64 * GIB,
            // Deflate reaches 1,032; honest logs and images of zeros stay below 250 or below RATIO_FROM.
            ratio: 250,
            memory: 512 * MIB,
            spool: 4 * GIB,
            // Larger than nearly all programs and documents, and each worker can hold it.
            contiguous: 128 * MIB,
            findings: 10_000,
            deadline: Duration::from_secs(120),
        }
    }
}

/// Bytes out of containers up to which no ratio is asked for: small things may compress as well as they like.
pub const RATIO_FROM: u64 = 256 * MIB;

/// Places in one object where patterns begin or continue, as the engine keeps them; no option changes it.
pub const MATCHES: u64 = 1_000_000;

/// What is left of one item's limits.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    item: u64,
    members: u64,
    expanded: u64,
    findings: u64,
}

impl Budget {
    /// A full budget for an item of `item` bytes.
    pub fn new(limits: Limits, item: u64) -> Self {
        Self {
            limits,
            item,
            members: 0,
            expanded: 0,
            findings: 0,
        }
    }

    /// Asks to open a container that has `depth` containers around it.
    ///
    /// # Errors
    /// The limit that says no; so for all the others here.
    pub fn container(&self, depth: u32) -> Result<(), Limit> {
        within(depth < self.limits.depth, Limit::Depth)
    }

    /// Pays for one member.
    pub fn member(&mut self) -> Result<(), Limit> {
        self.members += 1;
        within(self.members <= self.limits.members, Limit::Members)
    }

    /// Pays for `bytes` that came out of a container.
    pub fn bytes(&mut self, bytes: u64) -> Result<(), Limit> {
        self.expanded = self.expanded.saturating_add(bytes);
        within(self.expanded <= self.limits.expanded, Limit::Expanded)?;
        let by_ratio = self.item.saturating_mul(self.limits.ratio);
        within(
            self.expanded <= RATIO_FROM || self.expanded <= by_ratio,
            Limit::Ratio,
        )
    }

    /// Pays for one finding.
    pub fn finding(&mut self) -> Result<(), Limit> {
        self.findings += 1;
        within(self.findings <= self.limits.findings, Limit::Findings)
    }

    /// The configured value of a limit, for the detail of its gap.
    pub fn value(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Contiguous => self.limits.contiguous,
            Limit::Depth => u64::from(self.limits.depth),
            Limit::Expanded => self.limits.expanded,
            Limit::Findings => self.limits.findings,
            Limit::Matches => MATCHES,
            Limit::Members => self.limits.members,
            Limit::Memory => self.limits.memory,
            Limit::Ratio => self.limits.ratio,
            Limit::Spool => self.limits.spool,
        }
    }
}

fn within(fits: bool, limit: Limit) -> Result<(), Limit> {
    if fits { Ok(()) } else { Err(limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_just_fits_passes_and_one_more_does_not() {
        let limits = Limits {
            depth: 2,
            members: 2,
            expanded: 300 * MIB,
            findings: 1,
            ..Limits::default()
        };
        let mut budget = Budget::new(limits, 10 * MIB);
        assert_eq!(budget.container(1), Ok(()));
        assert_eq!(budget.container(2), Err(Limit::Depth));
        assert_eq!((budget.member(), budget.member()), (Ok(()), Ok(())));
        assert_eq!(budget.member(), Err(Limit::Members));
        assert_eq!(budget.bytes(300 * MIB), Ok(()));
        assert_eq!(budget.bytes(1), Err(Limit::Expanded));
        assert_eq!(budget.finding(), Ok(()));
        assert_eq!(budget.finding(), Err(Limit::Findings));
    }

    #[test]
    fn the_ratio_counts_only_above_its_floor() {
        let mut budget = Budget::new(Limits::default(), 1);
        assert_eq!(budget.bytes(RATIO_FROM), Ok(()));
        assert_eq!(budget.bytes(1), Err(Limit::Ratio));
    }
}
