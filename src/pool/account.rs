//! Who asks: where the requests of one client are counted, and what the log says of them.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use crate::event::Finding;
use crate::journal::{Entry, Journal, Origin};
use crate::metrics::{End, Metrics, Protocol};
use crate::verdict::{JobId, Summary};

/// The account of one client.
pub(super) struct Account {
    pub(super) metrics: Arc<Metrics>,
    protocol: Arc<Protocol>,
    journal: Arc<Journal>,
    origin: Origin,
    /// The number of the client.
    client: u64,
}

/// What is known of a request at its end besides what it came to.
#[derive(Default)]
pub(super) struct Known<'a> {
    /// The first finding that was reported.
    pub(super) first: Option<&'a Finding>,
    /// What tells its content from others.
    pub(super) content: Option<[u8; 32]>,
    /// The time since it was there; none if it never was.
    pub(super) after: Option<Duration>,
}

impl Account {
    /// An account for the client of this number.
    pub(super) fn new(
        metrics: &Arc<Metrics>,
        journal: &Arc<Journal>,
        origin: Origin,
        client: u64,
    ) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            protocol: metrics.protocol(origin.protocol),
            journal: Arc::clone(journal),
            origin,
            client,
        }
    }

    /// True if the details of requests are wanted.
    pub(super) fn is_kept(&self) -> bool {
        self.journal.is_kept()
    }

    /// Takes a request that has ended.
    pub(super) fn ended(&self, job: JobId, end: End, summary: &Summary, known: Known<'_>) {
        let after = known.after.filter(|_| end != End::Cancelled);
        self.protocol.ended(end, after);
        if self.journal.is_kept() {
            self.journal.ended(&Entry {
                id: (self.client, job),
                origin: &self.origin,
                end,
                summary,
                first: known.first,
                content: known.content,
                after: known.after.unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
impl Default for Account {
    fn default() -> Self {
        Self::new(
            &Arc::default(),
            &Arc::new(Journal::new(crate::journal::Logged::None)),
            Origin::local("test"),
            0,
        )
    }
}
