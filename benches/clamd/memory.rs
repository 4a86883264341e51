//! Memory of a daemon that has its signatures and has scanned one small file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use crate::Bench;
use crate::daemon::{Daemon, Manner};
use crate::row::{Row, Wanted};

const SETS: [&str; 3] = ["S100k", "S1M", "H1M"];

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let content = bench.scratch.join("one");
    fs::write(&content, &bench.corpus.heads()[0]).unwrap();
    let command = format!("SCAN {}", content.display());
    let measure = |daemon: &Daemon| {
        daemon.ask(&command).unwrap();
        // Behind its start ours copies the signatures to where nobody can change them.
        thread::sleep(Duration::from_secs(3));
        resident(daemon)
    };
    let mut rows = Vec::new();
    for set in SETS {
        let theirs = measure(&Daemon::clamd(bench, set, Manner::Workers(2)));
        // Compiles it: those behind have it ready, as every start but the first.
        drop(Daemon::ours(bench, set, Manner::Workers(2), &[]));
        for isolation in ["thread", "process"] {
            let option = format!("--isolation={isolation}");
            let ours = measure(&Daemon::ours(bench, set, Manner::Workers(2), &[&option]));
            let name = format!("{set}, {isolation}");
            let wanted = Wanted::AtMost(0.5);
            rows.push(Row::of(name, "MiB", &[(ours, theirs)], wanted));
        }
    }
    rows
}

/// MiB of all its processes, shared pages counted once (Pss). Files in memory count with all they have, whether or not a
/// process has looked at each page: nobody else can use that memory.
fn resident(daemon: &Daemon) -> f64 {
    let (mut pages, mut shared, mut kept) = (0, 0, BTreeMap::new());
    for process in daemon.processes() {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
        pages += field(&text, "Pss:");
        shared += field(&text, "Pss_Shmem:");
        for descriptor in fs::read_dir(format!("/proc/{process}/fd"))
            .unwrap()
            .flatten()
        {
            let path = descriptor.path();
            let name = fs::read_link(&path).unwrap_or_default();
            let in_memory = name.to_string_lossy().starts_with("/memfd:");
            if let (true, Ok(file)) = (in_memory, fs::metadata(&path)) {
                kept.insert(file.ino(), file.blocks() / 2);
            }
        }
    }
    let kept: u64 = kept.values().sum();
    (pages - shared + shared.max(kept)) as f64 / 1024.0
}

/// In KiB.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.map_or(0, |value| value.parse().unwrap())
}
