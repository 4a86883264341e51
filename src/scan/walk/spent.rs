//! What opening containers took, by kind. Looked at twice for each container, and never for what is read in it.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::kind::KINDS;
use crate::scan::Spent;

/// What was spent so far.
#[derive(Default)]
pub(super) struct Tally {
    rows: Vec<(&'static str, Spent)>,
    /// In containers that were opened, and closed again, inside of the one that is open.
    inside: Share,
}

#[derive(Default, Clone, Copy)]
struct Share {
    time: Duration,
    bytes: u64,
}

/// A container that is open.
pub(super) struct Open {
    since: Instant,
    /// Matched in all before it.
    bytes: u64,
    /// The share of those before it in what is around it.
    before: Share,
}

impl Tally {
    /// A container is opened, after so many bytes were matched in all.
    pub(super) fn open(&mut self, bytes: u64) -> Open {
        Open {
            since: Instant::now(),
            bytes,
            before: std::mem::take(&mut self.inside),
        }
    }

    /// It is closed, after so many bytes: it was of this kind, or only looked like it.
    pub(super) fn close(&mut self, open: &Open, (kind, was): (&'static str, bool), bytes: u64) {
        let all = Share {
            time: open.since.elapsed(),
            bytes: bytes.saturating_sub(open.bytes),
        };
        let at = self.rows.iter().position(|(known, _)| *known == kind);
        let at = at.unwrap_or_else(|| {
            self.rows.push((kind, Spent::default()));
            self.rows.len() - 1
        });
        if let Some((_, spent)) = self.rows.get_mut(at) {
            spent.containers += u64::from(was);
            spent.time += all.time.saturating_sub(self.inside.time);
            spent.bytes += all.bytes.saturating_sub(self.inside.bytes);
        }
        self.inside = Share {
            time: open.before.time + all.time,
            bytes: open.before.bytes + all.bytes,
        };
    }

    /// All of it, with the kinds by their places in [`KINDS`].
    pub(super) fn finish(self) -> Vec<Spent> {
        let rows = self.rows.into_iter().filter_map(|(kind, spent)| {
            let place = KINDS.iter().position(|known| known.name == kind)?;
            let kind = u16::try_from(place).ok()?;
            Some(Spent { kind, ..spent })
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_not_counted_twice() {
        let mut tally = Tally::default();
        let outer = tally.open(100);
        for bytes in [110, 150] {
            let inner = tally.open(bytes);
            let innermost = tally.open(bytes + 10);
            tally.close(&innermost, ("gz", true), bytes + 20);
            tally.close(&inner, ("zip", true), bytes + 25);
        }
        tally.close(&outer, ("tar", true), 200);
        let next = tally.open(200);
        tally.close(&next, ("tar", false), 207);
        let spent = tally.finish();
        let by = |name: &str| {
            let row = spent
                .iter()
                .find(|one| KINDS[usize::from(one.kind)].name == name);
            row.map(|one| (one.containers, one.bytes)).unwrap()
        };
        assert_eq!(by("gz"), (2, 20));
        assert_eq!(by("zip"), (2, 30));
        assert_eq!(by("tar"), (1, 50 + 7));
    }
}
