//! Rows of contents of 4 KiB: requests in a second, and how long 99 of 100 take.

use std::fs;
use std::rc::Rc;

use crate::Bench;
use crate::daemon::{Daemon, Manner};
use crate::load::{Load, Rate, Sample, Server, Way};
use crate::row::{Row, Wanted};

const SET: &str = "S10k";
/// Requests that one connection has on their way where it is not asked one by one.
const WINDOW: usize = 64;
/// clamd's number of threads, as its rates depend on it: one for each core, and its default.
const THREADS: [usize; 3] = [2, 4, 10];

/// The beginnings of real files, also as files.
fn samples(bench: &Bench) -> Rc<[Sample]> {
    let folder = bench.scratch.join("heads");
    fs::create_dir_all(&folder).unwrap();
    let samples = bench.corpus.heads().into_iter().enumerate();
    let samples = samples.map(|(number, content)| {
        let path = folder.join(format!("{number:05}"));
        fs::write(&path, &content).unwrap();
        Sample { content, path }
    });
    samples.collect()
}

/// One side of a row, by all ways and numbers of threads that it may be best with.
struct Side {
    loads: Vec<(String, Server, Way)>,
}

impl Side {
    /// The best of them, and which it was.
    fn best(&self, bench: &Bench, connections: usize, samples: &Rc<[Sample]>) -> (Rate, &str) {
        let rates = self.loads.iter().map(|(name, server, way)| {
            let load = Load {
                server: server.clone(),
                way: *way,
                connections,
                window: Some(if connections == 1 { WINDOW } else { 1 }),
                samples: Rc::clone(samples),
            };
            (load.run(bench.length), name.as_str())
        });
        let order = |one: &(Rate, &str), other: &(Rate, &str)| {
            one.0.each_second.total_cmp(&other.0.each_second)
        };
        rates.max_by(order).unwrap()
    }
}

/// SVSP over one pipelined connection and over 64 that are asked one by one, against the best that clamd does over as many
/// kept sessions: one of them pipelined too, with each number of threads and by each of its ways.
pub(crate) fn tiny(bench: &Bench) -> Vec<Row> {
    let samples = samples(bench);
    let daemons = ["thread", "process"].map(|isolation| {
        let option = format!("--isolation={isolation}");
        Daemon::ours(bench, SET, Manner::Workers(2), &[&option])
    });
    let clamds =
        THREADS.map(|threads| (threads, Daemon::clamd(bench, SET, Manner::Workers(threads))));
    let ours = daemons.each_ref().map(|daemon| {
        let way = |(name, way)| (String::from(name), Server::Svsp(daemon.svsp()), way);
        let loads = [("FILE", Way::Name), ("DATA", Way::Content)]
            .map(way)
            .into();
        Side { loads }
    });
    let mut loads = Vec::new();
    for (threads, clamd) in &clamds {
        for (name, way) in [
            ("INSTREAM", Way::Content),
            ("SCAN", Way::Name),
            ("FILDES", Way::Descriptor),
        ] {
            let server = Server::Clamd(clamd.socket.clone());
            loads.push((format!("{name}, {threads} threads"), server, way));
        }
    }
    let theirs = Side { loads };
    let mut rows = Vec::new();
    for connections in [1, 64] {
        let turns = bench.turns(|| {
            [&ours[0], &ours[1], &theirs].map(|side| side.best(bench, connections, &samples))
        });
        let [thread, process, clamd] = &turns[0];
        println!(
            "{connections}: best by {} (thread), {} (process), {} (clamd)",
            thread.1, process.1, clamd.1
        );
        let name = match connections {
            1 => "one connection, pipelined".to_owned(),
            more => format!("{more} connections"),
        };
        let pick = |of: fn(&Rate) -> f64, one: usize, other: usize| -> Vec<(f64, f64)> {
            let figures = turns
                .iter()
                .map(|turn| [one, other].map(|side| of(&turn[side].0)));
            figures.map(|[one, other]| (one, other)).collect()
        };
        let rate = |rate: &Rate| rate.each_second;
        let p99 = |rate: &Rate| rate.p99;
        for (at, isolation) in ["thread", "process"].into_iter().enumerate() {
            let least = if at == 0 {
                Wanted::AtLeast(4.0)
            } else {
                Wanted::Any
            };
            let name = format!("{name}, {isolation}");
            rows.push(Row::of(name.clone(), "/s", &pick(rate, at, 2), least));
            let name = format!("{name}: p99");
            rows.push(Row::of(name, "ms", &pick(p99, at, 2), Wanted::AtMost(1.0)));
        }
        let name = format!("{name}, process against thread");
        rows.push(Row::of(
            name,
            "/s",
            &pick(rate, 1, 0),
            Wanted::AtLeast(0.75),
        ));
    }
    rows
}

/// INSTREAM in connections of one request each and in kept sessions, asked one by one. Both have their defaults, but clamd
/// no cache of what was clean.
pub(crate) fn instream(bench: &Bench) -> Vec<Row> {
    let samples = samples(bench);
    let servers = [
        Daemon::ours(bench, SET, Manner::Default, &["--isolation=thread"]),
        Daemon::ours(bench, SET, Manner::Default, &["--isolation=process"]),
        Daemon::clamd(bench, SET, Manner::Default),
    ];
    let mut rows = Vec::new();
    for (window, kept) in [(None, "one request each"), (Some(1), "kept")] {
        for connections in [1, 64, 256] {
            let turns = bench.turns(|| {
                servers.each_ref().map(|server| {
                    let load = Load {
                        server: Server::Clamd(server.socket.clone()),
                        way: Way::Content,
                        connections,
                        window,
                        samples: Rc::clone(&samples),
                    };
                    load.run(bench.length)
                })
            });
            for (at, isolation) in ["thread", "process"].into_iter().enumerate() {
                let name = format!("{connections}, {kept}, {isolation}");
                let rates = turns
                    .iter()
                    .map(|turn| (turn[at].each_second, turn[2].each_second));
                let rates: Vec<_> = rates.collect();
                rows.push(Row::of(name.clone(), "/s", &rates, Wanted::AtLeast(1.0)));
                let waits = turns.iter().map(|turn| (turn[at].p99, turn[2].p99));
                let waits: Vec<_> = waits.collect();
                let name = format!("{name}: p99");
                rows.push(Row::of(name, "ms", &waits, Wanted::AtMost(1.0)));
            }
        }
    }
    rows
}
