//! One pass over a file or folder, asked by clamd's own client of either daemon, or by ours without a daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::Bench;
use crate::daemon::{self, Daemon, LIMITS};

pub(crate) struct Pass {
    pub(crate) seconds: f64,
    /// Of the daemon and its workers.
    pub(crate) cpu: f64,
    /// Of the client, which takes its part of the machine.
    pub(crate) client: f64,
    /// What was found, by file.
    pub(crate) found: BTreeMap<String, String>,
    /// What could not be examined.
    pub(crate) errors: Vec<String>,
}

/// `clamdscan --multiscan --fdpass` keeps all workers of either daemon busy, and passes open files, not names.
pub(crate) fn by_clamdscan(daemon: &Daemon, what: &Path) -> Pass {
    let mut command = Command::new("clamdscan");
    command.arg(format!("--config-file={}", daemon.configuration.display()));
    command.args(["--no-summary", "--infected", "--multiscan", "--fdpass"]);
    let (cpu, client) = (daemon.cpu(), children());
    let begun = Instant::now();
    let output = command.arg(what).output().expect("clamdscan is there");
    let seconds = begun.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some((file, name)) = line
            .strip_suffix(" FOUND")
            .and_then(|line| line.rsplit_once(": "))
        {
            let name = name.strip_suffix(".UNOFFICIAL").unwrap_or(name);
            found.insert(file.to_owned(), name.to_owned());
        }
    }
    let lines = text.lines().chain(told.lines());
    let errors = lines.filter(|line| line.contains("ERROR"));
    Pass {
        seconds,
        cpu: daemon.cpu() - cpu,
        client: children() - client,
        found,
        errors: errors.map(str::to_owned).collect(),
    }
}

/// `vfind`, which reads the folder itself; its start counts.
pub(crate) fn by_vfind(bench: &Bench, set: &str, workers: usize, what: &Path) -> f64 {
    let mut command = Command::new(daemon::program("vfind"));
    command
        .args(["--quiet=2", &format!("--threads={workers}")])
        .args(daemon::signatures(bench, set))
        .args(LIMITS);
    command.arg(format!("--tmpdir={}", bench.scratch.display()));
    let begun = Instant::now();
    command.arg(what).output().expect("vfind runs");
    begun.elapsed().as_secs_f64()
}

/// Says where two passes found or failed differently.
pub(crate) fn compare(ours: &Pass, theirs: &Pass) {
    println!(
        "found: {} by ours, {} by clamd; not examined: {} and {}",
        ours.found.len(),
        theirs.found.len(),
        ours.errors.len(),
        theirs.errors.len()
    );
    let nothing = "nothing".to_owned();
    let files = ours.found.keys().chain(theirs.found.keys());
    let files: std::collections::BTreeSet<_> = files.collect();
    for file in files {
        let [ours, theirs] = [ours, theirs].map(|pass| pass.found.get(file).unwrap_or(&nothing));
        if ours != theirs {
            println!("- {file}: {ours} by ours, {theirs} by clamd");
        }
    }
    for (who, pass) in [("ours", ours), ("clamd", theirs)] {
        for error in pass.errors.iter().take(5) {
            println!("- {who}: {error}");
        }
    }
}

/// Seconds of processor time of programs that this one has waited for.
fn children() -> f64 {
    daemon::cpu_fields(Path::new("/proc/self/stat"), 13..15)
}
