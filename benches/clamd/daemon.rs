//! A daemon that is measured: ours or Debian's clamd, killed when dropped.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;

/// No daemon takes as long to load a set that is worth measuring.
const LONGEST: Duration = Duration::from_secs(300);

/// Raised as far as clamd's, so that both look at everything.
pub(crate) const LIMITS: [&str; 4] = [
    "--limit-expanded=1T",
    "--limit-ratio=1000000",
    "--limit-members=100000000",
    "--limit-deadline=3600",
];

/// Whether a daemon is as its makers ship it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Manner {
    Default,
    /// With so many workers, and limits that hide nothing.
    Workers(usize),
}

pub(crate) struct Daemon {
    child: Child,
    /// Where it speaks clamd's protocol.
    pub(crate) socket: PathBuf,
    /// Says to clamd's own client where that is.
    pub(crate) configuration: PathBuf,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn ours(bench: &Bench, set: &str, manner: Manner, more: &[&str]) -> Self {
        let stem = bench.scratch.join(format!("ours-{}", next()));
        let (socket, log) = (stem.with_extension("socket"), stem.with_extension("log"));
        let configuration = stem.with_extension("conf");
        fs::write(
            &configuration,
            format!("LocalSocket {}\n", socket.display()),
        )
        .unwrap();
        let mut command = Command::new(program("vfindd"));
        command.arg("--svsp-port=0");
        command.args(signatures(bench, set));
        command.arg(format!("--vfdclam-socket={}", socket.display()));
        command.arg(format!("--tmpdir={}", bench.scratch.display()));
        if let Manner::Workers(workers) = manner {
            command.arg(format!("--threads={workers}")).args(LIMITS);
        }
        // Nothing is measured that is not scanned, but where the row asks for that.
        if has_cache() && !more.iter().any(|option| option.starts_with(CACHE)) {
            command.arg(format!("{CACHE}=0"));
        }
        command.args(more);
        Self::start(&mut command, socket, configuration, log)
    }

    pub(crate) fn clamd(bench: &Bench, set: &str, manner: Manner) -> Self {
        let stem = bench.scratch.join(format!("clamd-{}", next()));
        let (socket, log) = (stem.with_extension("socket"), stem.with_extension("log"));
        let configuration = stem.with_extension("conf");
        let temporary = stem.with_extension("tmp");
        fs::create_dir(&temporary).unwrap();
        let mut text = format!(
            "Foreground yes\nDatabaseDirectory {}\nLocalSocket {}\nTemporaryDirectory {}\nDisableCache yes\nSelfCheck 0\n",
            bench.corpus.set(set).display(),
            socket.display(),
            temporary.display()
        );
        if let Manner::Workers(workers) = manner {
            text += &format!(
                "MaxThreads {workers}\nMaxQueue 4000\nMaxConnectionQueueLength 4096\nCommandReadTimeout 60\nReadTimeout 300\n\
                 MaxScanTime 0\nMaxScanSize 4000M\nMaxFileSize 2000M\nStreamMaxLength 2000M\nMaxFiles 1000000\n"
            );
        }
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("clamd");
        command.arg("-c").arg(&configuration);
        Self::start(&mut command, socket, configuration, log)
    }

    fn start(command: &mut Command, socket: PathBuf, configuration: PathBuf, log: PathBuf) -> Self {
        let output = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(output).spawn().expect("the daemon starts");
        let mut daemon = Self {
            child,
            socket,
            configuration,
            log,
        };
        let end = Instant::now() + LONGEST;
        while !daemon.ask("PING").is_ok_and(|reply| reply == "PONG") {
            let ended = daemon.child.try_wait().unwrap().is_some();
            assert!(
                !ended && Instant::now() < end,
                "{command:?} does not answer: {}",
                fs::read_to_string(&daemon.log).unwrap()
            );
            thread::sleep(Duration::from_millis(50));
        }
        daemon
    }

    /// One command over a connection of its own.
    pub(crate) fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(format!("z{command}\0").as_bytes())?;
        let reply = std::io::read_to_string(stream)?;
        Ok(reply.trim_end_matches('\0').to_owned())
    }

    /// Where ours speaks SVSP.
    pub(crate) fn svsp(&self) -> SocketAddr {
        let log = fs::read_to_string(&self.log).unwrap();
        let line = log.lines().find(|line| line.contains("protocol=\"svsp\""));
        let address = line.and_then(|line| line.split_once("address=")).unwrap().1;
        address.trim().parse().unwrap()
    }

    /// It and its workers, if they are processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut at = 0;
        while let Some(process) = all.get(at) {
            let tasks = fs::read_dir(format!("/proc/{process}/task"));
            let children =
                tasks.into_iter().flatten().flatten().map(|task| {
                    fs::read_to_string(task.path().join("children")).unwrap_or_default()
                });
            let text: String = children.collect();
            all.extend(
                text.split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
            at += 1;
        }
        all
    }

    /// Seconds of processor time that it and its workers have had.
    pub(crate) fn cpu(&self) -> f64 {
        let processes = self.processes();
        let times = processes.iter().map(|process| {
            let path = format!("/proc/{process}/stat");
            cpu_fields(Path::new(&path), 11..15)
        });
        times.sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ours: of this build, or out of the folder that `VFIND_PROGRAMS` names, to measure another one.
pub(crate) fn program(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_vfindd")).parent().unwrap();
    let folder = std::env::var_os("VFIND_PROGRAMS");
    folder.map_or(built.to_owned(), PathBuf::from).join(name)
}

/// The option of our cache of verdicts.
const CACHE: &str = "--verdict-cache";

/// Older versions have none.
pub(crate) fn has_cache() -> bool {
    let help = Command::new(program("vfindd")).arg("--help").output();
    let help = String::from_utf8(help.expect("it runs").stdout).unwrap();
    help.contains(CACHE)
}

/// The set, with its compiled form kept for the next daemon that has the same.
pub(crate) fn signatures(bench: &Bench, set: &str) -> [String; 2] {
    [
        format!("--database={}", bench.corpus.set(set).display()),
        format!(
            "--vdl-data-file={}",
            bench.scratch.join(set).with_extension("dat").display()
        ),
    ]
}

/// The sum of these fields behind the name in a `stat` of /proc, in seconds: user, system, and those of children that ended.
pub(crate) fn cpu_fields(path: &Path, fields: std::ops::Range<usize>) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let values: Vec<f64> = behind
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    values.get(fields).unwrap_or_default().iter().sum::<f64>()
        / rustix::param::clock_ticks_per_second() as f64
}

fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
