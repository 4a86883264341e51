//! Which server gets what, and what becomes of it when a server is lost: without IO.
//!
//! Each piece of work ends in exactly one record, made from a terminal reply or, when nobody is left to answer, here. The
//! load spreads by itself: a server gets work when it has said that it takes more (spec-vfind.md §1.9).
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use super::answer::Answer;
use super::session::Ended;
use super::work::Work;
use crate::verdict::{Record, Verdict};

/// Connections that may die while they are asked for one thing, before it counts as lost: a content that kills servers
/// must not kill all of them.
const DEATHS: u32 = 3;

/// How often something is asked anew that was not scanned for reasons that pass.
pub(super) const RETRIES: u32 = 3;

/// Bytes of contents that are on their way to one server or being scanned there, unless it is a single one: the room that
/// servers have for them is shared.
const BYTES: u64 = 256 << 20;

/// Work that is read ahead, for the moment when a server is free.
const AHEAD: usize = 16;

/// The work that is known and not done, and the servers.
#[derive(Debug)]
pub(super) struct Board {
    lanes: Vec<Lane>,
    waiting: VecDeque<Ticket>,
    /// What is to be asked anew once others have ended, or after so many ticks without any.
    later: Vec<(Ticket, u32)>,
}

/// A piece of work that is done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) work: Work,
    pub(super) record: Record,
    /// No server answered.
    pub(super) lost: bool,
}

#[derive(Debug)]
struct Ticket {
    work: Work,
    deaths: u32,
    retries: u32,
    /// What a server had found before it was lost.
    found: Option<Record>,
}

/// One server's part.
#[derive(Debug, Default)]
struct Lane {
    up: bool,
    slots: usize,
    bytes: u64,
    open: BTreeMap<u64, Ticket>,
}

impl Ticket {
    /// True if connections died of it, or beside it, more than once: the next time it is asked alone, so that what
    /// merely stood beside it is not lost too.
    fn is_suspect(&self) -> bool {
        self.deaths + 1 >= DEATHS
    }

    fn bytes(&self) -> u64 {
        match self.work.content() {
            Some(_) => self.work.size,
            None => 0,
        }
    }
}

impl Lane {
    fn takes(&self, ticket: &Ticket) -> bool {
        let alone = self.open.is_empty();
        let beside = !ticket.is_suspect()
            && !self.open.values().any(Ticket::is_suspect)
            && self.bytes.saturating_add(ticket.bytes()) <= BYTES;
        self.up && self.slots > 0 && (alone || beside)
    }

    fn release(&mut self, id: u64) -> Option<Ticket> {
        let ticket = self.open.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(ticket.bytes());
        Some(ticket)
    }
}

impl Board {
    /// A board for so many servers, none of them open yet.
    pub(super) fn new(servers: usize) -> Self {
        Self {
            lanes: std::iter::repeat_with(Lane::default)
                .take(servers)
                .collect(),
            waiting: VecDeque::new(),
            later: Vec::new(),
        }
    }

    /// True while more work should be read.
    pub(super) fn wants_work(&self) -> bool {
        self.waiting.len() < AHEAD
    }

    /// True when all that was added is done.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.later.is_empty() && !self.is_asking()
    }

    /// True while a server owes an answer.
    fn is_asking(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.open.is_empty())
    }

    /// True if a server is open.
    pub(super) fn is_served(&self) -> bool {
        self.lanes.iter().any(|lane| lane.up)
    }

    /// Takes work over.
    pub(super) fn add(&mut self, work: Work) {
        self.waiting.push_back(Ticket {
            work,
            deaths: 0,
            retries: 0,
            found: None,
        });
    }

    /// A server is open.
    pub(super) fn up(&mut self, server: usize) {
        if let Some(lane) = self.lanes.get_mut(server) {
            lane.up = true;
        }
    }

    /// A server takes so many more.
    pub(super) fn slots(&mut self, server: usize, more: usize) {
        if let Some(lane) = self.lanes.get_mut(server) {
            lane.slots += more;
        }
    }

    /// The next piece of work that can be handed over, and the server to hand it to: of those that take it, the one with
    /// the least to do.
    pub(super) fn assign(&mut self) -> Option<(usize, Work)> {
        let ticket = self.waiting.front()?;
        let free = self.lanes.iter_mut().enumerate();
        let (server, lane) = free
            .filter(|(_, lane)| lane.takes(ticket))
            .min_by_key(|(_, lane)| lane.open.len())?;
        let ticket = self.waiting.pop_front()?;
        lane.slots -= 1;
        lane.bytes = lane.bytes.saturating_add(ticket.bytes());
        let work = ticket.work.clone();
        lane.open.insert(work.id, ticket);
        Some((server, work))
    }

    /// A server answered. `None` if it will be asked again, or was not asked.
    pub(super) fn ended(&mut self, server: usize, ended: Ended) -> Option<Done> {
        let mut ticket = self.lanes.get_mut(server)?.release(ended.id)?;
        if ended.again && ticket.retries < RETRIES {
            ticket.retries += 1;
            let ticks = 4_u32.pow(ticket.retries - 1);
            self.later.push((ticket, ticks));
            return None;
        }
        // Something ended that was no failure to begin: there may be room again.
        for (_, ticks) in &mut self.later {
            *ticks = 0;
        }
        self.release_later();
        Some(Done {
            work: ticket.work,
            record: *ended.record,
            lost: false,
        })
    }

    /// Time goes by: what waits for better times has waited long enough at some time, if nothing else is asked by whose end
    /// it could be told that they have come.
    pub(super) fn tick(&mut self) {
        if !self.is_asking() {
            for (_, ticks) in &mut self.later {
                *ticks = ticks.saturating_sub(1);
            }
            self.release_later();
        }
    }

    fn release_later(&mut self) {
        let due = self.later.extract_if(.., |(_, ticks)| *ticks == 0);
        let due: Vec<_> = due.collect();
        for (ticket, _) in due.into_iter().rev() {
            self.waiting.push_front(ticket);
        }
    }

    /// A connection died. `open` is what its server had been asked, as far as it was answered; what it had not been asked
    /// yet it cannot have died of. What died too often is given back as done.
    pub(super) fn down(&mut self, server: usize, open: Vec<(u64, Record)>) -> Vec<Done> {
        let Some(lane) = self.lanes.get_mut(server) else {
            return Vec::new();
        };
        let mut tickets = std::mem::take(lane).open;
        let mut lost = Vec::new();
        for (id, record) in open {
            let Some(mut ticket) = tickets.remove(&id) else {
                continue;
            };
            ticket.deaths += 1;
            if ticket.deaths >= DEATHS {
                lost.push(ticket.lost(record));
                continue;
            }
            if record.verdict == Verdict::Infected {
                ticket.found = Some(record);
            }
            tickets.insert(id, ticket);
        }
        for (_, ticket) in tickets.into_iter().rev() {
            self.waiting.push_front(ticket);
        }
        lost
    }

    /// Nobody is left to ask: all that is known is done, and lost.
    pub(super) fn abandon(&mut self, why: &str, now_ms: u64) -> Vec<Done> {
        let lanes = self.lanes.iter_mut().map(std::mem::take);
        let open = lanes.flat_map(|lane| lane.open.into_values());
        let open: Vec<_> = open.chain(self.waiting.drain(..)).collect();
        open.into_iter()
            .chain(self.later.drain(..).map(|(ticket, _)| ticket))
            .map(|ticket| {
                let record = lost_record(&ticket.work, why, now_ms);
                ticket.lost(record)
            })
            .collect()
    }
}

impl Ticket {
    /// What a lost server had found stands, though not as an answer.
    fn lost(self, record: Record) -> Done {
        let found = self
            .found
            .filter(|_| record.verdict != Verdict::Infected)
            .unwrap_or(record);
        Done {
            work: self.work,
            record: found,
            lost: true,
        }
    }
}

/// The record of what no server answered.
pub(super) fn lost_record(work: &Work, why: &str, now_ms: u64) -> Record {
    let mut answer = Answer::new(work.id, work.label.clone(), now_ms);
    answer.fail(format!("connection lost: {why}"));
    answer.into_record(now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::work::Source;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn work(id: u64, size: u64) -> Work {
        let file = Arc::new(tempfile::tempfile().unwrap());
        Work {
            id,
            label: format!("/{id}").into(),
            source: Source::File(file),
            size,
        }
    }

    fn named(id: u64) -> Work {
        Work {
            id,
            label: format!("/{id}").into(),
            source: Source::Name,
            size: 0,
        }
    }

    fn ended(id: u64, again: bool) -> Ended {
        Ended {
            id,
            record: Box::new(lost_record(&named(id), "", 0)),
            again,
        }
    }

    fn board(slots: &[usize]) -> Board {
        let mut board = Board::new(slots.len());
        for (server, slots) in slots.iter().enumerate() {
            board.up(server);
            board.slots(server, *slots);
        }
        board
    }

    fn assigned(board: &mut Board) -> Vec<(usize, u64)> {
        std::iter::from_fn(|| board.assign())
            .map(|(server, work)| (server, work.id))
            .collect()
    }

    #[test]
    fn work_goes_to_who_has_the_least_to_do_and_says_that_it_takes_more() {
        let mut board = board(&[1, 3, 0]);
        for id in 0..9 {
            board.add(named(id));
        }
        assert_eq!(assigned(&mut board), [(0, 0), (1, 1), (1, 2), (1, 3)]);
        board.slots(2, 1);
        board.slots(0, 1);
        assert_eq!(assigned(&mut board), [(2, 4), (0, 5)]);
        assert!(board.ended(1, ended(2, false)).is_some());
        // An end alone is no leave to ask for more.
        assert_eq!(assigned(&mut board), []);
    }

    #[test]
    fn contents_of_one_server_have_a_sum_unless_it_is_a_single_one() {
        let mut board = board(&[9]);
        board.add(work(1, BYTES + 1));
        board.add(work(2, BYTES));
        board.add(work(3, 1));
        assert_eq!(assigned(&mut board), [(0, 1)]);
        assert!(board.ended(0, ended(1, false)).is_some());
        assert_eq!(assigned(&mut board), [(0, 2)]);
        assert!(board.ended(0, ended(2, false)).is_some());
        assert_eq!(assigned(&mut board), [(0, 3)]);
    }

    #[test]
    fn what_may_work_later_is_asked_again_after_others_and_not_for_ever() {
        let mut board = board(&[99]);
        board.add(work(1, 1));
        board.add(work(2, 1));
        assert_eq!(assigned(&mut board), [(0, 1), (0, 2)]);
        assert!(board.ended(0, ended(1, true)).is_none());
        board.tick();
        assert_eq!(assigned(&mut board), [], "while another is open");
        assert!(board.ended(0, ended(2, false)).is_some());
        assert_eq!(assigned(&mut board), [(0, 1)], "at once");
        for ticks in [4, 16] {
            assert!(board.ended(0, ended(1, true)).is_none());
            for _ in 1..ticks {
                board.tick();
                assert_eq!(assigned(&mut board), []);
            }
            board.tick();
            assert_eq!(assigned(&mut board), [(0, 1)]);
        }
        assert!(board.ended(0, ended(1, true)).is_some());
        assert!(board.is_idle());
    }

    #[test]
    fn what_kills_servers_is_asked_alone_and_then_no_more() {
        let mut board = board(&[9, 9, 9]);
        for id in 1..=4 {
            board.add(named(id));
        }
        let partial = |ids: &[u64]| -> Vec<_> {
            let ids = ids.iter();
            ids.map(|id| (*id, lost_record(&named(*id), "gone", 0)))
                .collect()
        };
        assert_eq!(assigned(&mut board), [(0, 1), (1, 2), (2, 3), (0, 4)]);
        assert!(board.down(0, partial(&[1])).is_empty());
        // 4 was not asked yet when the first server died.
        assert_eq!(assigned(&mut board), [(1, 1), (2, 4)]);
        assert!(board.down(1, partial(&[1, 2])).is_empty());
        assert_eq!(assigned(&mut board), [], "1 waits until it is alone");
        assert!(board.ended(2, ended(3, false)).is_some());
        assert!(board.ended(2, ended(4, false)).is_some());
        assert_eq!(assigned(&mut board), [(2, 1)], "and stays alone");
        let lost = board.down(2, partial(&[1]));
        assert_eq!((lost.len(), lost[0].work.id, lost[0].lost), (1, 1, true));
        assert!(!board.is_idle(), "2 is still to be asked");
        assert_eq!(board.abandon("gone", 0).len(), 1);
        assert!(board.is_idle());
    }

    #[test]
    fn a_finding_of_a_lost_server_still_counts_when_nobody_else_answers() {
        let mut board = board(&[1]);
        board.add(named(1));
        assert_eq!(assigned(&mut board), [(0, 1)]);
        let mut record = lost_record(&named(1), "gone", 0);
        record.verdict = Verdict::Infected;
        assert!(board.down(0, vec![(1, record)]).is_empty());
        let done = board.abandon("gone", 0);
        assert_eq!(done[0].record.verdict, Verdict::Infected);
    }

    proptest! {
        /// Whatever dies, refuses or recovers, and when: each piece of work is done exactly once.
        #[test]
        fn everything_is_done_exactly_once(
            steps in prop::collection::vec((0..6u8, 0..3usize, 0..40usize), 0..400),
            count in 1..60u64,
        ) {
            let mut board = Board::new(3);
            let mut done = Vec::new();
            let mut asked: [Vec<u64>; 3] = Default::default();
            let mut added = 0;
            for (step, server, pick) in steps {
                match step {
                    0 if board.wants_work() && added < count => {
                        board.add(named(added));
                        added += 1;
                    }
                    1 => { board.up(server); board.slots(server, 2); }
                    2 | 3 if !asked[server].is_empty() => {
                        let pick = pick % asked[server].len();
                        let id = asked[server].swap_remove(pick);
                        done.extend(board.ended(server, ended(id, step == 3)));
                    }
                    4 if pick < 10 => {
                        let open = asked[server].drain(..).skip(pick);
                        let open = open.map(|id| (id, lost_record(&named(id), "gone", 0)));
                        done.extend(board.down(server, open.collect()));
                    }
                    5 => board.tick(),
                    _ => {}
                }
                while let Some((server, work)) = board.assign() {
                    prop_assert!(!asked.iter().flatten().any(|id| *id == work.id), "asked twice at a time");
                    asked[server].push(work.id);
                }
            }
            done.extend(board.abandon("gone", 0));
            prop_assert!(board.is_idle());
            let mut ids: Vec<_> = done.iter().map(|done| done.work.id).collect();
            ids.sort_unstable();
            prop_assert_eq!(ids, (0..added).collect::<Vec<_>>());
        }
    }
}
