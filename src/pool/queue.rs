//! Who is next: clients in turn, and the requests of a client in turn.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::mailbox::Mailbox;
use super::request::Running;

/// The shared queue. A request is in it, or with the one worker that takes its next step.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, Waiting>,
    /// Clients that have a request in `clients`, each once; the front is next.
    turns: VecDeque<u64>,
    last_number: u64,
    /// Requests that have not ended, but for their last items.
    requests: usize,
    closed: bool,
}

/// Requests of a client that run side by side; the others wait for one of them to end. Each may hold the descriptors of
/// a deep folder.
const SIDE_BY_SIDE: usize = 16;

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
            self.work.notify_one();
        }
    }

    /// Puts a request that was taken out by [`Queue::next`] at the end of its client's row.
    pub(super) fn put_back(&self, client: u64, request: Running) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.get_mut(&client) {
            waiting.requests.push_back(request);
            state.turn(client);
            self.work.notify_one();
        }
    }

    /// Tells that a request that was taken out has no more steps, so that another may begin.
    pub(super) fn finished(&self, client: u64) {
        let mut state = self.lock();
        if let Some(waiting) = state.clients.get_mut(&client) {
            waiting.begun = waiting.begun.saturating_sub(1);
            state.requests = state.requests.saturating_sub(1);
            state.begin(client);
            self.work.notify_one();
        }
    }

    /// Gives a client its turn back, after its mailbox was full.
    pub(super) fn resume(&self, client: u64) {
        self.lock().turn(client);
        self.work.notify_all();
    }

    /// Takes out the next request; waits for one. `None` when the queue is closed.
    pub(super) fn next(&self) -> Option<(u64, Running)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(next) = state.take() {
                return Some(next);
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
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

    fn take(&mut self) -> Option<(u64, Running)> {
        while let Some(client) = self.turns.pop_front() {
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
        )
    }

    fn drain(queue: &Queue) -> Vec<(u64, JobId)> {
        let mut state = queue.lock();
        std::iter::from_fn(|| {
            state
                .take()
                .map(|(client, running)| (client, running.job()))
        })
        .collect()
    }

    #[test]
    fn clients_take_turns_however_much_one_of_them_asks() {
        let queue = Queue::default();
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
        let queue = Queue::default();
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
        let queue = Queue::default();
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
        let queue = Queue::default();
        let mailbox = Arc::new(Mailbox::default());
        let client = queue.enter(mailbox.clone());
        queue.add(client, request(1, &mailbox));
        queue.leave(client);
        queue.add(client, request(2, &mailbox));
        assert_eq!(drain(&queue), []);
    }
}
