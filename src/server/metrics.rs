//! The metrics of the whole daemon, put together when somebody asks.
#![forbid(unsafe_code)]

use super::Shared;
use crate::metrics::Page;

/// The metrics of this moment, OpenMetrics of the type [`CONTENT_TYPE`](crate::metrics::CONTENT_TYPE). Reads /proc and asks the queue:
/// not for an async thread.
pub fn metrics(shared: &Shared) -> String {
    let mut page = Page::default();
    page.fact(
        "vfind_build",
        "The version of the program.",
        vec![("version", env!("CARGO_PKG_VERSION").to_owned())],
    );
    page.gauge(
        "vfind_start_timestamp_seconds",
        "When the daemon began to serve.",
        shared.since as f64,
    );
    shared.pool.tell(&mut page);
    shared.live.tell(&mut page);
    shared.transfers.tell(&mut page);
    memory(&shared.pool.processes(), &mut page);
    page.into_text()
}

/// Memory of the daemon and of its worker processes.
fn memory(workers: &[i32], page: &mut Page) {
    let daemon = Memory::of("self").unwrap_or_default();
    let workers: Vec<_> = workers
        .iter()
        .filter_map(|number| Memory::of(&number.to_string()))
        .collect();
    let sum = |part: fn(&Memory) -> u64| workers.iter().map(part).sum::<u64>() as f64;
    let by = |process: &str, bytes| (vec![("process", process.to_owned())], bytes);
    page.gauge_family(
        "vfind_memory_resident_bytes",
        "Memory of the daemon, and of its worker processes together; the signatures are counted for each that uses them.",
        [
            by("daemon", daemon.resident as f64),
            by("workers", sum(|memory| memory.resident)),
        ],
    );
    page.gauge_family(
        "vfind_memory_own_bytes",
        "The same without what is shared: files, and signatures.",
        [
            by("daemon", daemon.own as f64),
            by("workers", sum(|memory| memory.own)),
        ],
    );
    page.gauge(
        "vfind_worker_processes",
        "Worker processes.",
        workers.len() as f64,
    );
}

#[derive(Default)]
struct Memory {
    resident: u64,
    own: u64,
}

impl Memory {
    /// Of a process by its number; none if it has gone.
    fn of(process: &str) -> Option<Self> {
        // proc(5), statm: size, resident and shared, in pages.
        let text = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
        let mut pages = text
            .split(' ')
            .skip(1)
            .map_while(|word| word.parse::<u64>().ok());
        let (resident, shared) = (pages.next()?, pages.next()?);
        let size = rustix::param::page_size() as u64;
        Some(Self {
            resident: resident * size,
            own: resident.saturating_sub(shared) * size,
        })
    }
}
