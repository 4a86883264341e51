//! Gaps by reason and by what the policy makes of them. Names that content can choose are no part of it.
#![forbid(unsafe_code)]

use super::{Counter, Page};
use crate::event::{Exclusion, Limit, Reason};
use crate::policy::Action;

/// Every reason that is told apart; errors of the system and formats that nobody opens are one each.
const REASONS: [&str; 22] = [
    "corrupt",
    "crashed",
    "deadline",
    "encrypted",
    "unreadable",
    "unsupported",
    "excluded/device",
    "excluded/exclude",
    "excluded/expand",
    "excluded/fifo",
    "excluded/link",
    "excluded/recurse",
    "excluded/socket",
    "limit/contiguous",
    "limit/depth",
    "limit/expanded",
    "limit/findings",
    "limit/matches",
    "limit/members",
    "limit/memory",
    "limit/ratio",
    "limit/spool",
];

/// The place of a reason in [`REASONS`].
fn place(reason: &Reason) -> usize {
    match reason {
        Reason::Corrupt => 0,
        Reason::Crashed => 1,
        Reason::Deadline => 2,
        Reason::Encrypted => 3,
        Reason::Unreadable(_) => 4,
        Reason::Unsupported(_) => 5,
        Reason::Excluded(what) => {
            6 + match what {
                Exclusion::Device => 0,
                Exclusion::Exclude => 1,
                Exclusion::Expand => 2,
                Exclusion::Fifo => 3,
                Exclusion::Link => 4,
                Exclusion::Recurse => 5,
                Exclusion::Socket => 6,
            }
        }
        Reason::Limit(which) => {
            13 + match which {
                Limit::Contiguous => 0,
                Limit::Depth => 1,
                Limit::Expanded => 2,
                Limit::Findings => 3,
                Limit::Matches => 4,
                Limit::Members => 5,
                Limit::Memory => 6,
                Limit::Ratio => 7,
                Limit::Spool => 8,
            }
        }
    }
}

/// Gaps counted.
#[derive(Debug, Default)]
pub struct Gaps([[Counter; 3]; REASONS.len()]);

const ACTIONS: [&str; 3] = ["error", "infected", "pass"];

impl Gaps {
    /// Counts a gap, of which the policy makes this.
    pub fn count(&self, reason: &Reason, action: Action) {
        let action = match action {
            Action::Error => 0,
            Action::Infected => 1,
            Action::Pass => 2,
        };
        let counter = self.0.get(place(reason)).and_then(|row| row.get(action));
        if let Some(counter) = counter {
            counter.one();
        }
    }

    pub(super) fn tell(&self, page: &mut Page) {
        let rows = REASONS.iter().zip(&self.0).flat_map(|(reason, row)| {
            ACTIONS.iter().zip(row).map(|(action, count)| {
                let labels = vec![
                    ("reason", (*reason).to_owned()),
                    ("policy", (*action).to_owned()),
                ];
                (labels, count.get())
            })
        });
        page.counter_family(
            "vfind_gaps",
            "Parts that were not examined, by reason and by what the policy makes of it.",
            rows,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Errno;

    #[test]
    fn each_reason_is_counted_under_its_own_words() {
        use Exclusion::{Device, Exclude, Expand, Fifo, Link, Recurse, Socket};
        use Limit::{
            Contiguous, Depth, Expanded, Findings, Matches, Members, Memory, Ratio, Spool,
        };
        let plain = [
            Reason::Corrupt,
            Reason::Crashed,
            Reason::Deadline,
            Reason::Encrypted,
        ];
        let excluded = [Device, Exclude, Expand, Fifo, Link, Recurse, Socket];
        let limits = [
            Contiguous, Depth, Expanded, Findings, Matches, Members, Memory, Ratio, Spool,
        ];
        let all = plain.into_iter().chain(excluded.map(Reason::Excluded));
        for reason in all.chain(limits.map(Reason::Limit)) {
            assert_eq!(REASONS[place(&reason)], reason.to_string());
        }
        assert_eq!(REASONS[place(&Reason::Unreadable(Errno(2)))], "unreadable");
        assert_eq!(
            REASONS[place(&Reason::Unsupported("x".into()))],
            "unsupported"
        );
    }
}
