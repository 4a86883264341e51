//! Work that hands out what it makes, beside the one who takes it: for decoders that write and cannot be read from.
//!
//! A thread for as long as that takes, and a channel that holds the work back when it is too far ahead.
#![forbid(unsafe_code)]

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Stack of a thread that looks at content, in bytes: containers nest in it, and decoders are generous.
pub const STACK: usize = 16 * 1024 * 1024;

/// Runs `work`, which may be `ahead` messages in front of `take`. When `take` returns, the work finds that nobody listens, and
/// its end is awaited. A panic of the work is one of the caller.
///
/// # Errors
/// When there is no thread to be had.
pub fn run<T: Send, R>(
    ahead: usize,
    work: impl FnOnce(SyncSender<T>) + Send,
    take: impl FnOnce(Receiver<T>) -> R,
) -> io::Result<R> {
    let (sender, receiver) = sync_channel(ahead);
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, move || work(sender))?;
        let result = take(receiver);
        if let Err(panic) = worker.join() {
            std::panic::resume_unwind(panic);
        }
        Ok(result)
    })
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn all_that_is_made_is_taken() {
        let made = |sender: std::sync::mpsc::SyncSender<u32>| {
            (0..100).for_each(|n| sender.send(n).unwrap())
        };
        let sum: u32 = run(2, made, |receiver| receiver.iter().sum()).unwrap();
        assert_eq!(sum, 4950);
    }

    #[test]
    fn work_that_nobody_wants_ends() {
        let endless = |sender: std::sync::mpsc::SyncSender<u32>| while sender.send(1).is_ok() {};
        assert_eq!(run(2, endless, |receiver| receiver.recv()).unwrap(), Ok(1));
    }

    #[test]
    #[should_panic(expected = "inside")]
    fn a_panic_is_the_callers() {
        let _ = run(
            2,
            |_: std::sync::mpsc::SyncSender<u32>| panic!("inside"),
            |_| (),
        );
    }
}
