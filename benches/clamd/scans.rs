//! Rows of whole files and folders: MiB as stored in a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;
use crate::corpus::{bytes, files};
use crate::daemon::{Daemon, Manner, has_cache};
use crate::pass::{Pass, by_clamdscan, by_vfind, compare};
use crate::row::{Row, Wanted, median};

pub(crate) fn one_big(bench: &Bench) -> Vec<Row> {
    let folder = bench.corpus.part("onebig");
    let rows = [("S10k", 45.0), ("S100k", 150.0)]
        .map(|(set, least)| beside_clamd(bench, &folder, set, 1, Wanted::AtLeast(least)));
    rows.into()
}

pub(crate) fn small(bench: &Bench) -> Vec<Row> {
    let folder = bench.corpus.part("small");
    let row = beside_clamd(bench, &folder, "S100k", 2, Wanted::AtLeast(40.0));
    // The same without any client: how much of the row is clamdscan.
    let times = bench.turns(|| by_vfind(bench, "S100k", 2, &folder));
    let alone = median(times.into_iter().map(|seconds| mib(&folder) / seconds));
    let by_vfind = Row {
        what: "small, S100k, by `vfind` and its start".to_owned(),
        unit: "MiB/s",
        ours: alone,
        other: row.other,
        ratio: alone / row.other,
        cpu: None,
        wanted: Wanted::Any,
    };
    vec![row, by_vfind]
}

/// All of them, and those that clamd opens too: Debian's packages it does not.
pub(crate) fn archives(bench: &Bench) -> Vec<Row> {
    let folder = bench.corpus.part("archives");
    let opened = bench.scratch.join("archives but .deb");
    fs::create_dir(&opened).unwrap();
    for (number, file) in files(&folder).iter().enumerate() {
        if file.extension().is_none_or(|extension| extension != "deb") {
            let name = file.file_name().unwrap().to_string_lossy();
            fs::copy(file, opened.join(format!("{number}-{name}"))).unwrap();
        }
    }
    let mut rows = Vec::new();
    for (set, least) in [("S100k", 25.0), ("S0", 4.0)] {
        rows.push(beside_clamd(bench, &folder, set, 2, Wanted::AtLeast(least)));
        rows.push(beside_clamd(bench, &opened, set, 2, Wanted::Any));
    }
    rows
}

pub(crate) fn planted(bench: &Bench) -> Vec<Row> {
    vec![beside_clamd(
        bench,
        &bench.corpus.part("planted"),
        "S10k",
        2,
        Wanted::Any,
    )]
}

/// Both daemons over one folder, in turn.
fn beside_clamd(bench: &Bench, what: &Path, set: &str, workers: usize, wanted: Wanted) -> Row {
    let ours = Daemon::ours(bench, set, Manner::Workers(workers), &[]);
    let clamd = Daemon::clamd(bench, set, Manner::Workers(workers));
    by_clamdscan(&ours, what);
    let turns = bench.turns(|| (by_clamdscan(&ours, what), by_clamdscan(&clamd, what)));
    let name = format!("{}, {set}", what.file_name().unwrap().to_string_lossy());
    println!("{name}:");
    compare(&turns[0].0, &turns[0].1);
    let seconds = median(turns.iter().map(|turn| turn.0.seconds));
    let client = median(turns.iter().map(|turn| turn.0.client));
    println!("of our {seconds:.2} s the client worked {client:.2} s\n");
    of_passes(name, mib(what), &turns, wanted)
}

/// What two workers make of one archive that one worker does not.
pub(crate) fn members(bench: &Bench) -> Vec<Row> {
    let daemons = [2, 1].map(|workers| Daemon::ours(bench, "S10k", Manner::Workers(workers), &[]));
    let makers: [(&str, &[&str]); 2] = [
        ("tar", &["--sort=name", "--mtime=@0", "-cf"]),
        ("zip", &["-qrX"]),
    ];
    let rows = makers.map(|(program, options)| {
        let archive = pack(bench, program, options);
        by_clamdscan(&daemons[0], &archive);
        let turns = bench.turns(|| {
            daemons
                .each_ref()
                .map(|daemon| by_clamdscan(daemon, &archive))
        });
        let turns: Vec<_> = turns.into_iter().map(|[two, one]| (two, one)).collect();
        of_passes(
            format!("{program} of small, S10k, two workers against one"),
            mib(&archive),
            &turns,
            Wanted::AtLeast(1.8),
        )
    });
    rows.into()
}

/// `small` as one archive.
fn pack(bench: &Bench, program: &str, options: &[&str]) -> PathBuf {
    let archive = bench.scratch.join("small").with_extension(program);
    let done = Command::new(program)
        .args(options)
        .arg(&archive)
        .arg("small")
        .current_dir(bench.corpus.part(""))
        .status();
    assert!(done.expect("the packer is there").success());
    archive
}

pub(crate) fn cache(bench: &Bench) -> Vec<Row> {
    if !has_cache() {
        println!("left out: this version has no cache of verdicts");
        return Vec::new();
    }
    let kept = Daemon::ours(bench, "S100k", Manner::Workers(2), &["--verdict-cache=1G"]);
    let none = Daemon::ours(bench, "S100k", Manner::Workers(2), &[]);
    let what = bench.corpus.part("archives");
    // What is measured is what comes after the first time.
    by_clamdscan(&kept, &what);
    let turns = bench.turns(|| (by_clamdscan(&kept, &what), by_clamdscan(&none, &what)));
    compare(&turns[0].0, &turns[0].1);
    let name = "archives, S100k, cached against not".to_owned();
    vec![of_passes(name, mib(&what), &turns, Wanted::AtLeast(20.0))]
}

fn of_passes(what: String, mib: f64, turns: &[(Pass, Pass)], wanted: Wanted) -> Row {
    let rates = turns
        .iter()
        .map(|turn| (mib / turn.0.seconds, mib / turn.1.seconds));
    let rates: Vec<_> = rates.collect();
    // Ticks of the clock: less than one is none.
    let cpu = turns.iter().map(|turn| turn.1.cpu / turn.0.cpu.max(0.01));
    Row {
        cpu: Some(median(cpu)),
        ..Row::of(what, "MiB/s", &rates, wanted)
    }
}

fn mib(path: &Path) -> f64 {
    bytes(path) as f64 / f64::from(1 << 20)
}
