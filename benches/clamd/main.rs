//! Ours beside Debian's clamd, in turn, in one run: `VFIND_CORPUS=FOLDER cargo bench --bench clamd`, or with names of rows
//! behind `--` (`-- onebig small`), and `--turns=5`, `--seconds=3`, `--cell=60`.
//!
//! docs/benchmarks.md says what the folder holds and what each row is. Every figure is the median of the turns, every ratio the
//! median of those of each turn, so that both sides see the same noise. A row that took more than `--cell` seconds has no further
//! turn. `VFIND_WRITE=1` writes the tables of the rows that ran into docs/benchmarks.md, and their plots into docs/plots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod corpus;
mod daemon;
mod document;
mod load;
mod memory;
mod pass;
mod plot;
mod row;
mod scans;
mod small_content;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use corpus::Corpus;
use row::Row;

/// The rows by name: a heading, and what measures them.
type Group = (&'static str, &'static str, fn(&Bench) -> Vec<Row>);
const GROUPS: &[Group] = &[
    (
        "onebig",
        "One file of 512 MiB of programs, one worker each",
        scans::one_big,
    ),
    ("small", "Many small files, two workers each", scans::small),
    ("archives", "Archives, two workers each", scans::archives),
    (
        "planted",
        "Samples with something to find, S10k, two workers each",
        scans::planted,
    ),
    (
        "members",
        "One archive of many members, S10k, our two workers against our one",
        scans::members,
    ),
    (
        "cache",
        "Archives once more, S100k, our cache of verdicts against none",
        scans::cache,
    ),
    (
        "tiny",
        "Files of 4 KiB, S10k, SVSP against clamd's best",
        small_content::tiny,
    ),
    (
        "instream",
        "INSTREAM of 4 KiB, S10k, both with their defaults",
        small_content::instream,
    ),
    ("memory", "Memory with the signatures loaded", memory::rows),
];

/// What all rows are measured with.
struct Bench {
    corpus: Corpus,
    /// In memory: sockets, copies of content, and where the daemons unpack to.
    scratch: PathBuf,
    turns: usize,
    /// How long each rate is measured.
    length: Duration,
    cell: Duration,
}

impl Bench {
    /// The turns of a row: one at least, then no more than its time allows.
    fn turns<T>(&self, mut turn: impl FnMut() -> T) -> Vec<T> {
        let begun = Instant::now();
        let mut turns = vec![turn()];
        while turns.len() < self.turns && begun.elapsed() < self.cell {
            turns.push(turn());
        }
        turns
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, otherwise: f64| {
        let given = |argument: &String| argument.strip_prefix(name)?.parse().ok();
        arguments.iter().find_map(given).unwrap_or(otherwise)
    };
    let wanted = |name: &str| {
        let mut names = arguments.iter().filter(|one| !one.starts_with("--"));
        names.clone().next().is_none() || names.any(|one| one == name)
    };
    let Some(corpus) = std::env::var_os("VFIND_CORPUS").map(PathBuf::from) else {
        println!("clamd: left out, for VFIND_CORPUS names no folder (docs/benchmarks.md)");
        return;
    };
    let folder = tempfile::Builder::new()
        .prefix("vfind-bench-")
        .tempdir_in("/dev/shm")
        .unwrap();
    let bench = Bench {
        corpus: Corpus::at(corpus),
        scratch: folder.path().to_owned(),
        turns: option("--turns=", 3.0) as usize,
        length: Duration::from_secs_f64(option("--seconds=", 1.0)),
        cell: Duration::from_secs_f64(option("--cell=", 40.0)),
    };
    println!(
        "commit {}, {}, load {}",
        document::commit(),
        document::machine(),
        load()
    );
    for (name, heading, measure) in GROUPS.iter().filter(|group| wanted(group.0)) {
        let begun = Instant::now();
        println!("\n### {heading} (`{name}`)\n");
        let rows = measure(&bench);
        if rows.is_empty() {
            continue;
        }
        println!("{}", row::table(&rows));
        println!("{:.0} s, load {}", begun.elapsed().as_secs_f64(), load());
        if std::env::var_os("VFIND_WRITE").is_some_and(|value| value == "1") {
            document::write(name, heading, &rows);
        }
    }
}

/// Processes that want a processor: the averages of 1, 5 and 15 minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    let averages: Vec<_> = text.split_whitespace().take(3).collect();
    averages.join(" ")
}
