//! The wish of whoever started the program that it ends: SIGINT, SIGTERM, SIGHUP.
//!
//! The first one is told to the run, which ends where it can: between records, after a move into quarantine. So that the
//! second ends the program at once, whatever that waits for, signals are taken by a thread of their own.
#![forbid(unsafe_code)]

use std::io;
use std::task::Poll;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::verdict::Exit;

/// Takes the signals from now on; what comes is ready when the first has come. The second ends the program.
///
/// # Errors
/// The system's, when it grants no more threads or descriptors.
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let ignored = ignored();
    let entered = runtime.enter();
    let mut signals = Vec::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        // Whoever has a signal ignored, as nohup does, means it.
        if ignored >> (kind.as_raw_value() - 1) & 1 == 0 {
            signals.push(signal(kind)?);
        }
    }
    drop(entered);
    let (first, wish) = oneshot::channel();
    let wait = move || {
        runtime.block_on(any(&mut signals));
        let _ = first.send(());
        runtime.block_on(any(&mut signals));
        std::process::exit(Exit::Error.code().into());
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(async {
        if wish.await.is_err() {
            // Nobody is there to tell it any more.
            std::future::pending().await
        }
    })
}

async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let has_come = |signal: &mut Signal| signal.poll_recv(context).is_ready();
        // Each is asked, so that each wakes this up.
        let come = signals.iter_mut().map(has_come).filter(|come| *come);
        match come.count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// The signals that this process was started to ignore, a bit for each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
