//! What is said about the server: its version, and its load in the form that clamdtop reads.
#![forbid(unsafe_code)]

use super::command::ROWS;
use crate::calendar::calendar_time;
use crate::gateway::Status;

/// The version of clamd whose protocol this is. Programs read it to know what they may ask.
const CLAMD: &str = "1.4.6";

/// `ClamAV 1.4.6 (vfind 0.1.0)/3/Sun Nov 22 18:07:42 2026`: in the place of the database's number that of the epoch, and
/// when it came into use. Behind our own version stands whether the signatures find nothing but tests.
pub(super) fn version(status: &Status) -> String {
    let only = match status.test_signatures_only {
        true => ", test signatures only",
        false => "",
    };
    format!(
        "ClamAV {CLAMD} (vfind {}{only})/{}/{}",
        env!("CARGO_PKG_VERSION"),
        status.epoch,
        calendar_time(status.since)
    )
}

/// The version with all commands behind it.
pub(super) fn version_and_commands(status: &Status) -> String {
    let words: Vec<_> = ROWS.iter().map(|row| row.word).collect();
    format!("{}| COMMANDS: {}", version(status), words.join(" "))
}

/// Workers, requests and memory. What peers ask for is nobody else's business, so no path is listed.
pub(super) fn stats(status: &Status) -> String {
    let mebibytes = status.memory as f64 / f64::from(1 << 20);
    let Status {
        workers,
        busy,
        requests,
        ..
    } = status;
    let idle = workers.saturating_sub(*busy);
    format!(
        "POOLS: 1\n\nSTATE: VALID PRIMARY\n\
         THREADS: live {workers}  idle {idle} max {workers} idle-timeout 0\n\
         QUEUE: {requests} items\n\n\
         MEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 \
         pools_used {mebibytes:.3}M pools_total {mebibytes:.3}M\nEND"
    )
}
