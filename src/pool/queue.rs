//! Who is next: clients in turn, and the requests of a client in turn.
//!
//! Beyond the workers that there are places for, some more stand by: a place whose item takes long is given to one of them, for
//! another client, and where others take their turns meanwhile, it goes on at a lower priority. So large files of some hardly delay
//! the small ones of others.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use super::priority::Runner;
use super::request::Running;

/// An item that takes longer than this no longer keeps others from its place, nor from the cores.
const LONG: Duration = Duration::from_millis(100);

/// Workers that stand by, for so many places: each has memory of its own.
pub(super) fn standing_by(places: usize) -> usize {
    (places / 2).max(1)
}

/// The shared queue. A request is in it, or with the one worker that takes its next step.
pub(super) struct Queue {
    state: Mutex<State>,
    /// For the workers that have places, and for those that stand by.
    work: Condvar,
    relief: Condvar,
}

struct State {
    /// By the number of the worker, what it works for and since when. The first `places` need no permission.
    working: Vec<Option<Working>>,
    /// By the number of the worker, what runs its items.
    runners: Vec<Runs>,
    places: usize,
    clients: HashMap<u64, Waiting>,
    /// Clients that have a request in `clients`, each once; the front is next.
    turns: VecDeque<u64>,
    last_number: u64,
    /// Requests that have not ended, but for their last items.
    requests: usize,
    /// Workers that stand by and look again by themselves, once what runs now may have become long.
    watching: usize,
    closed: bool,
}

/// Requests of a client that run side by side; the others wait for one of them to end. Each may hold the descriptors of
/// a deep folder.
const SIDE_BY_SIDE: usize = 16;

/// What a worker gets when it asks for more.
pub(super) enum Turn {
    /// A client's request, of which it takes the next step.
    Request(u64, Running),
    /// What runs its items has a lower priority from now on: it needs another one.
    Slowed,
    /// The queue is closed.
    End,
}

#[derive(Clone, Copy, Default)]
struct Runs {
    by: Option<Runner>,
    is_slow: bool,
}

#[derive(Clone, Copy)]
struct Working {
    client: u64,
    since: Instant,
}

impl Working {
    fn is_long(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= LONG
    }
}

struct Waiting {
    mailbox: Arc<Mailbox>,
    /// Requests that have begun and are not with a worker; the front is next.
    requests: VecDeque<Running>,
    /// Requests that have not begun.
    later: VecDeque<Running>,
    /// Requests that have begun, with a worker or not.
    begun: usize,
    has_turn: bool,
}

impl Queue {
    /// For so many workers with places, and those that stand by.
    pub(super) fn new(places: usize) -> Self {
        let state = State {
            working: vec![None; super::workers(places)],
            runners: vec![Runs::default(); super::workers(places)],
            places,
            clients: HashMap::new(),
            turns: VecDeque::new(),
            last_number: 0,
            requests: 0,
            watching: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            relief: Condvar::new(),
        }
    }

    /// Adds a client and gives its number.
    pub(super) fn enter(&self, mailbox: Arc<Mailbox>) -> u64 {
        let mut state = self.lock();
        state.last_number += 1;
        let number = state.last_number;
        let waiting = Waiting {
            mailbox,
            requests: VecDeque::new(),
            later: VecDeque::new(),
            begun: 0,
            has_turn: false,
        };
        state.clients.insert(number, waiting);
        number
    }

    /// Removes a client with all its requests.
    pub(super) fn leave(&self, client: u64) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.remove(&client) {
            let left = waiting.begun + waiting.later.len();
            state.requests = state.requests.saturating_sub(left);
        }
    }

    /// Adds a request of a client. A client that left gets nothing.
    pub(super) fn add(&self, client: u64, request: Running) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.get_mut(&client) {
            waiting.later.push_back(request);
            state.requests += 1;
            state.begin(client);
            self.call_one(&state);
        }
    }

    /// Puts a request that was taken out by [`Queue::next`] at the end of its client's row.
    pub(super) fn put_back(&self, client: u64, request: Running) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.get_mut(&client) {
            waiting.requests.push_back(request);
            state.turn(client);
            self.call_one(&state);
        }
    }

    /// Tells that a request that was taken out has no more steps, so that another may begin.
    pub(super) fn finished(&self, client: u64) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.get_mut(&client) {
            waiting.begun = waiting.begun.saturating_sub(1);
            state.requests = state.requests.saturating_sub(1);
            state.begin(client);
            self.call_one(&state);
        }
    }

    /// Gives a client its turn back, after its mailbox was full.
    pub(super) fn resume(&self, client: u64) {
        let mut state = self.lock();
        state.turn(client);
        self.work.notify_all();
        self.call_one(&state);
    }

    /// Tells what runs the item of this worker.
    pub(super) fn runs(&self, worker: usize, by: Runner) {
        if let Some(runs) = self.lock().runners.get_mut(worker) {
            runs.by = Some(by);
        }
    }

    /// Takes out the next request for this worker, which has done with the one before; waits for one.
    pub(super) fn next(&self, worker: usize) -> Turn {
        let mut state = self.lock();
        state.work(worker, None);
        if let Some(runs) = state.runners.get_mut(worker)
            && std::mem::take(runs).is_slow
        {
            return Turn::Slowed;
        }
        loop {
            if state.closed {
                return Turn::End;
            }
            let now = Instant::now();
            if let Some((client, running)) = state.take(worker, now) {
                state.slow_down(now);
                state.work(worker, Some(Working { client, since: now }));
                if !state.turns.is_empty() {
                    self.call_one(&state);
                }
                return Turn::Request(client, running);
            }
            state = if worker < state.places {
                let waited = self.work.wait(state);
                waited.unwrap_or_else(PoisonError::into_inner)
            } else if state.turns.is_empty() {
                let waited = self.relief.wait(state);
                waited.unwrap_or_else(PoisonError::into_inner)
            } else {
                // Until what runs now may have become long.
                state.watching += 1;
                let time = state.until_long(now);
                let waited = self.relief.wait_timeout(state, time);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.watching -= 1;
                state
            };
        }
    }

    /// Calls a worker that has nothing to do, if there is one. Who stands by is not called with each of many small items, where
    /// it could take none.
    fn call_one(&self, state: &State) {
        let mut placed = state.working.iter().take(state.places);
        if !placed.all(Option::is_some) {
            self.work.notify_one();
        } else if state.watching == 0 || state.has_long(Instant::now()) {
            self.relief.notify_one();
        }
    }

    /// Requests of all clients that have not ended, but for their last items.
    pub(super) fn requests(&self) -> usize {
        self.lock().requests
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.relief.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements here, so a panic elsewhere has not broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets requests of a client begin, as many as may.
    fn begin(&mut self, client: u64) {
        if let Some(waiting) = self.clients.get_mut(&client) {
            while waiting.begun < SIDE_BY_SIDE
                && let Some(request) = waiting.later.pop_front()
            {
                waiting.begun += 1;
                waiting.requests.push_back(request);
            }
        }
        self.turn(client);
    }

    fn turn(&mut self, client: u64) {
        if let Some(waiting) = self.clients.get_mut(&client)
            && !waiting.has_turn
            && !waiting.requests.is_empty()
        {
            waiting.has_turn = true;
            self.turns.push_back(client);
        }
    }

    fn work(&mut self, worker: usize, at: Option<Working>) {
        if let Some(working) = self.working.get_mut(worker) {
            *working = at;
        }
    }

    /// Lowers the priority of what has taken long.
    fn slow_down(&mut self, now: Instant) {
        for (working, runs) in self.working.iter().zip(&mut self.runners) {
            if let Some(by) = runs.by
                && !runs.is_slow
                && working.is_some_and(|working| working.is_long(now))
            {
                by.slow_down();
                runs.is_slow = true;
            }
        }
    }

    /// The time until one more of what runs now may have become long.
    fn until_long(&self, now: Instant) -> Duration {
        let working = self.working.iter().flatten();
        let gone = working.map(|working| now.saturating_duration_since(working.since));
        let left = gone.filter_map(|gone| LONG.checked_sub(gone).filter(|left| !left.is_zero()));
        left.min().unwrap_or(LONG)
    }

    fn has_long(&self, now: Instant) -> bool {
        let mut working = self.working.iter().flatten();
        working.any(|working| working.is_long(now))
    }

    /// Tells whether this worker may take what this client has.
    fn permits(&self, worker: usize, client: u64, now: Instant) -> bool {
        let working = || self.working.iter().flatten();
        worker < self.places
            || working().filter(|working| !working.is_long(now)).count() < self.places
                && !working().any(|working| working.client == client && working.is_long(now))
    }

    fn take(&mut self, worker: usize, now: Instant) -> Option<(u64, Running)> {
        // Each client that has a turn at most once: those that are passed over keep theirs.
        for _ in 0..self.turns.len() {
            let client = self.turns.pop_front()?;
            if !self.permits(worker, client, now) {
                self.turns.push_back(client);
                continue;
            }
            let Some(waiting) = self.clients.get_mut(&client) else {
                continue;
            };
            waiting.has_turn = false;
            if !waiting.mailbox.has_room() {
                continue;
            }
            if let Some(request) = waiting.requests.pop_front() {
                self.turn(client);
                return Some((client, request));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::path::ObjectPath;
    use crate::policy::{Listener, Policy};
    use crate::request::{Options, Request, Source, Wanted};
    use crate::stop::Cancel;
    use crate::verdict::{JobId, Report};

    fn request(job: JobId, mailbox: &Arc<Mailbox>) -> Running {
        let request = Request {
            source: Source::Path(b"/x".to_vec()),
            options: Arc::new(Options::default()),
            sha1: false,
            details: false,
            findings: Wanted::All,
        };
        let policy = Arc::new(Policy::usual(Listener::Svsp));
        let files = Files::new(b"/x".to_vec(), request.options.clone(), Arc::default());
        Running::new(
            job,
            request,
            files,
            mailbox.clone(),
            policy,
            Cancel::default(),
            Arc::default(),
        )
    }

    fn drain(queue: &Queue) -> Vec<(u64, JobId)> {
        let mut state = queue.lock();
        std::iter::from_fn(|| {
            state
                .take(0, Instant::now())
                .map(|(client, running)| (client, running.job()))
        })
        .collect()
    }

    #[test]
    fn clients_take_turns_however_much_one_of_them_asks() {
        let queue = Queue::new(2);
        let mailbox = Arc::new(Mailbox::default());
        let (a, b) = (queue.enter(mailbox.clone()), queue.enter(mailbox.clone()));
        for job in 0..3 {
            queue.add(a, request(job, &mailbox));
        }
        queue.add(b, request(9, &mailbox));
        assert_eq!(drain(&queue), [(a, 0), (b, 9), (a, 1), (a, 2)]);
    }

    #[test]
    fn a_full_mailbox_loses_its_turn_until_it_is_read() {
        let queue = Queue::new(2);
        let mailbox = Arc::new(Mailbox::default());
        let client = queue.enter(mailbox.clone());
        while mailbox.has_room() {
            mailbox.deliver(1, Report::Scanning(ObjectPath::root("/x")));
        }
        queue.add(client, request(1, &mailbox));
        assert_eq!(drain(&queue), []);
        while mailbox.take().is_some() {}
        queue.resume(client);
        queue.resume(client);
        assert_eq!(drain(&queue), [(client, 1)]);
    }

    #[test]
    fn requests_beyond_those_side_by_side_begin_when_others_end() {
        let queue = Queue::new(2);
        let mailbox = Arc::new(Mailbox::default());
        let client = queue.enter(mailbox.clone());
        let all = SIDE_BY_SIDE as JobId + 2;
        for job in 0..all {
            queue.add(client, request(job, &mailbox));
        }
        assert_eq!(drain(&queue).len(), SIDE_BY_SIDE);
        assert_eq!(queue.requests(), SIDE_BY_SIDE + 2);
        queue.finished(client);
        queue.finished(client);
        assert_eq!(drain(&queue), [(client, all - 2), (client, all - 1)]);
        assert_eq!(queue.requests(), SIDE_BY_SIDE);
        queue.leave(client);
        assert_eq!(queue.requests(), 0);
    }

    #[test]
    fn who_left_gets_no_turn_and_can_put_nothing_back() {
        let queue = Queue::new(2);
        let mailbox = Arc::new(Mailbox::default());
        let client = queue.enter(mailbox.clone());
        queue.add(client, request(1, &mailbox));
        queue.leave(client);
        queue.add(client, request(2, &mailbox));
        assert_eq!(drain(&queue), []);
    }

    #[test]
    fn a_place_whose_item_takes_long_serves_another_client_meanwhile() {
        let queue = Queue::new(1);
        let mailbox = Arc::new(Mailbox::default());
        let (a, b) = (queue.enter(mailbox.clone()), queue.enter(mailbox.clone()));
        for job in 0..2 {
            queue.add(a, request(job, &mailbox));
        }
        queue.add(b, request(9, &mailbox));
        let mut state = queue.lock();
        let begun = Instant::now();
        let mut take = |worker, now| {
            let (client, running) = state.take(worker, now)?;
            let working = Working { client, since: now };
            state.work(worker, Some(working));
            Some((client, running.job()))
        };
        let (placed, standing_by) = (0, 1);
        assert_eq!(take(placed, begun), Some((a, 0)));
        assert_eq!(take(standing_by, begun), None);
        // Not the other one of that client.
        assert_eq!(take(standing_by, begun + LONG), Some((b, 9)));
        assert_eq!(take(standing_by, begun + 3 * LONG), None);
        assert_eq!(take(placed, begun + 3 * LONG), Some((a, 1)));
    }

    #[test]
    fn what_takes_long_has_a_lower_priority_as_soon_as_another_has_a_turn() {
        use rustix::process::{Pid, getpriority_pgrp};
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("60").process_group(0).spawn().unwrap();
        let process = Pid::from_child(&child);
        let usual = getpriority_pgrp(Some(process)).unwrap();
        let queue = Queue::new(1);
        let mailbox = Arc::new(Mailbox::default());
        let client = queue.enter(mailbox.clone());
        queue.runs(0, Runner::Process(process));
        let begun = Instant::now();
        let priority = |after| {
            let mut state = queue.lock();
            let working = Working {
                client,
                since: begun,
            };
            state.work(0, Some(working));
            state.slow_down(begun + after);
            getpriority_pgrp(Some(process)).unwrap()
        };
        assert_eq!(priority(LONG / 2), usual);
        assert!(priority(LONG) > usual);
        assert!(matches!(queue.next(0), Turn::Slowed));
        // Whatever runs the next item has done nothing yet.
        queue.add(client, request(1, &mailbox));
        assert!(matches!(queue.next(0), Turn::Request(..)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
