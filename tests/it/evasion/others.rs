//! Others while bombs are opened: every answer of theirs is right, and `VFIND_FULL=1` prints what it does to the time that they wait
//! (`VFIND_FULL=1 VFIND_DAEMON=target/release/vfindd cargo test --test it others -- --nocapture`).

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::bombs;
use crate::support::{Daemon, eicar, has_tools, noise};

/// Without `VFIND_FULL`, one bomb in so many.
const SHARE: usize = 12;

/// The shortest time that is measured without bombs.
const QUIET: Duration = Duration::from_secs(3);

/// Files of one client, one after another, until `over`: how long each took.
fn scan_on(daemon: &Daemon, folder: &Path, mut over: impl FnMut() -> bool) -> Vec<Duration> {
    let mut talk = daemon.connect();
    let mut took = Vec::new();
    while !over() {
        for (name, answer) in [("clean", "DONE 0 "), ("infected", "DONE 1 ")] {
            let begun = Instant::now();
            let last = talk.scan(&folder.join(name));
            took.push(begun.elapsed());
            assert!(last.starts_with(answer), "{name}: {last}");
        }
    }
    took.sort();
    took
}

fn part(sorted: &[Duration], of: f64) -> f64 {
    let at = (sorted.len() as f64 * of) as usize;
    sorted[at.min(sorted.len() - 1)].as_secs_f64() * 1e3
}

#[test]
fn others_are_answered_while_bombs_are_opened() {
    if !has_tools(&["bzip2", "xz", "lzip", "zstd", "lz4", "compress"]) {
        return;
    }
    let full = std::env::var_os("VFIND_FULL").is_some();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clean"), noise(1, 64 << 10)).unwrap();
    let infected = [noise(2, 64 << 10), eicar()].concat();
    std::fs::write(folder.path().join("infected"), infected).unwrap();
    let cases = bombs::cases();
    let cases: Vec<_> = cases.iter().step_by(if full { 1 } else { SHARE }).collect();
    for case in &cases {
        std::fs::write(folder.path().join(&case.name), &case.bytes).unwrap();
    }
    let program = std::env::var_os("VFIND_DAEMON");
    let program = program.unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_vfindd")));
    let mut said = Vec::new();
    for isolation in ["thread", "process"] {
        let isolated = format!("--isolation={isolation}");
        let daemon = Daemon::of(
            &program,
            &[
                "--listen=svsp:127.0.0.1:0",
                "--threads=2",
                "--verdict-cache=0",
                &isolated,
            ],
        );
        let quiet = if full { QUIET } else { QUIET / 10 };
        let alone = || {
            let begun = Instant::now();
            scan_on(&daemon, folder.path(), || begun.elapsed() > quiet)
        };
        let before = alone();
        // One bomb after the other, and then all at once.
        for at_once in [false, true] {
            let over = AtomicBool::new(false);
            let mut talk = daemon.connect();
            let (over, cases, at) = (&over, &cases, folder.path());
            let beside = std::thread::scope(|scope| {
                scope.spawn(move || {
                    if at_once {
                        for (number, case) in (1..).zip(cases) {
                            let path = at.join(&case.name);
                            talk.send(format!("{number} SCAN/FILE {}\n", path.display()));
                        }
                        for _ in cases {
                            talk.answer();
                        }
                    } else {
                        for case in cases {
                            talk.scan(&at.join(&case.name));
                        }
                    }
                    over.store(true, Ordering::Relaxed);
                });
                scan_on(&daemon, folder.path(), || over.load(Ordering::Relaxed))
            });
            let after = alone();
            for of in [0.5, 0.95, 0.99] {
                let quiet = f64::midpoint(part(&before, of), part(&after, of));
                said.push(format!(
                    "{isolation}, {}: {of}: {:.2} ms beside bombs, {quiet:.2} ms without: {:.2}",
                    if at_once { "all at once" } else { "one by one" },
                    part(&beside, of),
                    part(&beside, of) / quiet,
                ));
            }
        }
    }
    println!("{}", said.join("\n"));
}
