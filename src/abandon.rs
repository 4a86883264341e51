//! Work that may not look at the clock, on a thread that is left behind when its time is over.
//!
//! Nobody can end a thread. What is left behind works on until it is through with what it does, and ends then; so that they
//! do not take the machine, there are only so many of them, and beyond that no such work is begun.
#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::beside::STACK;

/// The most threads that are left behind at the same time.
const MOST: usize = 16;

static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The thread that works for this one. It ends when this is dropped.
    static HELPER: RefCell<Option<Sender<Work>>> = const { RefCell::new(None) };
}

/// Does the work, and gives what it comes to if that takes no longer than `time`. A panic in it goes on here.
pub fn within<T, F>(time: Duration, work: F) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if LEFT_BEHIND.load(Ordering::Relaxed) >= MOST {
        return None;
    }
    // Without room: what nobody waits for any more cannot be sent.
    let (done, result) = sync_channel::<Result<T, Box<dyn Any + Send>>>(0);
    let all = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        if done.send(result).is_err() {
            LEFT_BEHIND.fetch_sub(1, Ordering::Relaxed);
        }
    });
    give(all).ok()?;
    match result.recv_timeout(time) {
        Ok(Ok(value)) => Some(value),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => {
            LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
            HELPER.with_borrow_mut(Option::take);
            None
        }
    }
}

fn give(work: Work) -> io::Result<()> {
    HELPER.with_borrow_mut(|helper| {
        let sender = match helper {
            Some(sender) => sender,
            None => helper.insert(start()?),
        };
        let sent = sender.send(work);
        sent.map_err(|_| io::Error::other("it has ended"))
    })
}

fn start() -> io::Result<Sender<Work>> {
    let (sender, works): (_, Receiver<Work>) = channel();
    thread::Builder::new()
        .name("rules".to_owned())
        .stack_size(STACK)
        .spawn(move || works.into_iter().for_each(|work| work()))?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_takes_too_long_is_left_behind_and_the_next_is_done() {
        let (go_on, waits) = channel::<()>();
        assert_eq!(within(Duration::ZERO, move || waits.recv().is_ok()), None);
        assert_eq!(within(LONG, || 1), Some(1));
        let one = within(LONG, || thread::current().id());
        assert_eq!(one, within(LONG, || thread::current().id()));
        drop(go_on);
    }

    #[test]
    fn a_panic_goes_on_where_the_work_was_given() {
        let panic = catch_unwind(|| within(LONG, || std::panic::panic_any(7_u8)));
        assert_eq!(panic.unwrap_err().downcast_ref::<u8>(), Some(&7));
        assert_eq!(within(LONG, || 2), Some(2));
    }
}
