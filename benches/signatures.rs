//! Loading, memory and reloading of a large set of signatures, beside clamd on the same files:
//! `VFIND_SET=FOLDER cargo bench --bench signatures`. Before that, how long hostile signature files take.
//!
//! The folder holds files in ClamAV's formats. Without one, 100,000 made-up signatures are written to a temporary folder;
//! without clamd the ratios to it are left out. Daemon and clamd are started in turn, so that both see the same noise; each
//! figure is a median of three.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const CLIENTS: usize = 2;
const LENGTH: usize = 4096;
const QUIET: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(120);

fn main() {
    let scratch = tempfile::tempdir().expect("a folder");
    let set = std::env::var_os("VFIND_SET").map_or_else(|| made_up(scratch.path()), PathBuf::from);
    hostile(scratch.path());
    println!("set: {}", set.display());
    starts(&set, scratch.path());
    for isolation in ["--isolation=thread", "--isolation=process"] {
        reload(&set, scratch.path(), isolation);
    }
}

/// Body signatures like those of a real set in number and length, of random bytes.
fn made_up(folder: &Path) -> PathBuf {
    let folder = folder.join("set");
    fs::create_dir(&folder).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = String::new();
    for number in 0..100_000 {
        write!(text, "Made.Up-{number}:0:*:").unwrap();
        for _ in 0..12 + next() % 90 {
            write!(text, "{:02x}", next() & 0xff).unwrap();
        }
        text.push('\n');
    }
    fs::write(folder.join("made-up.ndb"), text).unwrap();
    folder
}

/// Files that were made to cost more than their bytes: how long each takes until it is refused, or set aside, or compiled.
fn hostile(scratch: &Path) {
    println!("hostile files, wanted within 1 s each");
    let mega = 1_000_000;
    let line = "41".repeat(5 * mega);
    let alternatives = |mark: &str| {
        let all = (0..mega).map(|number| format!("{mark}{number:06x}{mark}"));
        all.collect::<Vec<_>>().join("|")
    };
    let deep = |inner: &str| format!("{}{inner}{}", "(".repeat(mega), ")".repeat(mega));
    let repeated = "((a{1,1000}){1,1000}){1,1000}";
    let yara = |strings: &str| format!("rule a {{ strings: $a = {strings} condition: $a }}");
    let logical = |tests: &str| format!("X;Engine:81-255,Target:0;0&1;41414141;{tests}\n");
    let mut macros = "$define M0 \"ab\"\n".to_owned();
    (1..60).for_each(|at| writeln!(macros, "$define M{at} $M{0}, $M{0}", at - 1).unwrap());
    let rows = [
        ("a line of 10 MB", "ndb", format!("X:0:*:{line}\n")),
        ("a line of 10 MB", "ldb", logical(&line)),
        ("a line of 10 MB", "hdb", format!("{line}\n")),
        ("a line of 10 MB", "ign2", format!("{line}\n")),
        ("a line of 10 MB", "cvdl", format!(":X, \"{line}\" #\n")),
        ("a line of 10 MB", "yar", yara(&format!("\"{line}\""))),
        ("a line of 10 MB", "cvd", format!("ClamAV-VDB:{line}")),
        (
            "10^6 alternatives",
            "ndb",
            format!("X:0:*:({})\n", alternatives("")),
        ),
        (
            "10^6 alternatives",
            "ldb",
            logical(&format!("0/({})/", alternatives(""))),
        ),
        (
            "10^6 alternatives",
            "cvdl",
            format!(":X, ({}) #\n", alternatives("\"")),
        ),
        (
            "10^6 alternatives",
            "yar",
            yara(&format!("{{ 41 ({}) }}", alternatives(""))),
        ),
        ("nested macros", "cvdl", format!("{macros}:X, $M59 #\n")),
        ("exponential", "ldb", logical(&format!("0/{repeated}/"))),
        ("exponential", "yar", yara(&format!("/{repeated}/"))),
        ("10^6 parentheses", "ndb", format!("X:0:*:{}\n", deep("41"))),
        (
            "10^6 parentheses",
            "ldb",
            format!("X;Target:0;{};4141\n", deep("0")),
        ),
        (
            "10^6 parentheses",
            "cvdl",
            format!(":X, {} #\n", deep("\"abcd\"")),
        ),
        (
            "10^6 parentheses",
            "yar",
            format!("rule a {{ condition: {} }}", deep("true")),
        ),
        (
            "10^6 operators",
            "yar",
            format!("rule a {{ condition: {}1 }}", "-".repeat(mega)),
        ),
        (
            "10^5 includes",
            "yar",
            "include \"10^5 includes.yar\"\n".repeat(100_000),
        ),
    ];
    for (what, extension, text) in rows {
        let file = scratch.join(format!("{what}.{extension}"));
        fs::write(&file, text).unwrap();
        let begun = Instant::now();
        let check = Command::new(env!("CARGO_BIN_EXE_vfindd"))
            .arg("--check-database")
            .arg(&file)
            .output()
            .expect("it runs");
        let time = begun.elapsed().as_millis();
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        let reason = text
            .lines()
            .find(|line| line.starts_with("not understood: /") || line.contains("set aside: "));
        let reason = reason.map_or("accepted", |line| line.rsplit(": ").next().unwrap_or(line));
        let reason: String = reason.chars().take(60).collect();
        let code = check.status.code();
        println!("  {what:18} {extension:5} {time:4} ms, exit code {code:?}: {reason}");
        let _ = fs::remove_file(&file);
    }
}

struct Daemon {
    child: Child,
    address: SocketAddr,
    ready: Duration,
    reloaded: Arc<AtomicUsize>,
}

impl Daemon {
    fn start(set: &Path, more: &[&str]) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vfindd"))
            .arg("--svsp-port=0")
            .arg(format!("--database={}", set.display()))
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some((_, text)) = line.split_once("address=") {
                address = text.trim().parse().ok();
                break;
            }
        }
        let reloaded = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reloaded);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("signatures reloaded") || line.contains("keep") {
                    count.fetch_add(1, Ordering::Relaxed);
                    println!("    {}", line.get(28..).unwrap_or(&line).trim());
                }
            }
        });
        let address = address.expect("it listens");
        let mut line = String::new();
        BufReader::new(TcpStream::connect(address).expect("a connection"))
            .read_line(&mut line)
            .expect("its greeting");
        assert!(line.starts_with("READY"), "{line}");
        Self {
            child,
            address,
            ready: begun.elapsed(),
            reloaded,
        }
    }
}

impl Daemon {
    fn tell(&self, signal: &str) {
        let process = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", signal, &process]).status();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.tell("TERM");
        let _ = self.child.wait();
    }
}

/// Starts from source, from the image, and clamd, in turn.
fn starts(set: &Path, scratch: &Path) {
    let image = scratch.join("image");
    let keep = format!("--vdl-data-file={}", image.display());
    let (mut source, mut peer) = (Vec::new(), Vec::new());
    let (mut kept, mut mapped) = (Vec::new(), Vec::new());
    let (mut own, mut theirs) = (Memory::default(), None);
    for _ in 0..ROUNDS {
        source.push(Daemon::start(set, &[]).ready);
        kept.push(Daemon::start(set, &["--rebuild-vdl-data", &keep]).ready);
        let daemon = Daemon::start(set, &[&keep]);
        mapped.push(daemon.ready);
        thread::sleep(Duration::from_millis(500));
        own = Memory::of_tree(daemon.child.id());
        drop(daemon);
        if let Some((ready, memory)) = clamd(set, scratch) {
            peer.push(ready);
            theirs = Some(memory);
        }
    }
    let (source, mapped) = (median(source), median(mapped));
    println!("start from source   {source:.2} s");
    println!("and the image kept  {:.2} s", median(kept));
    println!("start from image    {:.0} ms", mapped * 1000.0);
    let image = fs::metadata(image).map_or(0, |file| file.len());
    println!("image               {} MiB", image >> 20);
    println!(
        "memory              {} MiB, of it anonymous {} MiB",
        own.pss >> 10,
        own.anonymous >> 10
    );
    if let Some(theirs) = theirs {
        let peer = median(peer);
        println!("clamd               {peer:.2} s, {} MiB", theirs >> 10);
        println!("ratio of the starts {:.2} (limit 0.5)", source / peer);
        let ratio = own.pss as f64 / theirs as f64;
        println!("ratio of the memory {ratio:.2} (limit 0.5)");
    }
}

/// The time to its first answer, and its resident memory in KiB.
fn clamd(set: &Path, scratch: &Path) -> Option<(Duration, u64)> {
    let socket = scratch.join("clamd");
    let config = scratch.join("clamd.conf");
    let text = format!(
        "LocalSocket {}\nForeground yes\nDatabaseDirectory {}\nMaxThreads 2\nSelfCheck 0\nDisableCache yes\n",
        socket.display(),
        set.display()
    );
    fs::write(&config, text).unwrap();
    let begun = Instant::now();
    let mut child = Command::new("clamd")
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut answered = false;
    while !answered && begun.elapsed() < LONGEST && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(5));
        if let Ok(mut stream) = UnixStream::connect(&socket) {
            let mut answer = String::new();
            let _ = stream.write_all(b"nPING\n");
            answered = stream.read_to_string(&mut answer).is_ok() && answer.starts_with("PONG");
        }
    }
    let ready = begun.elapsed();
    let memory = status(child.id(), "VmRSS:");
    let _ = child.kill();
    let _ = child.wait();
    let _ = fs::remove_file(&socket);
    answered.then_some((ready, memory?))
}

/// A reload while clients scan: nothing may be lost, and what it costs in time and memory.
fn reload(set: &Path, scratch: &Path, isolation: &str) {
    println!("reload, {isolation}");
    let keep = format!("--vdl-data-file={}", scratch.join("image").display());
    let daemon = Daemon::start(set, &[isolation, &keep]);
    let ended = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let ended = Arc::clone(&ended);
            let address = daemon.address;
            thread::spawn(move || client(address, number as u64 + 1, &ended))
        })
        .collect();
    thread::sleep(QUIET);
    // Another text is another fingerprint: the image of the old one does not fit.
    let change = set.join("zz-changed.ndb");
    let _ = fs::write(
        &change,
        format!("Changed-{isolation}:0:*:{:032x}\n", 0x1234_5678_9abc_u64),
    );
    let begun = Instant::now();
    daemon.tell("HUP");
    let mut highest = Memory::default();
    // The first reload is timed, in the second one memory is looked at: to add it up takes milliseconds of a processor.
    while daemon.reloaded.load(Ordering::Relaxed) == 0 && begun.elapsed() < LONGEST {
        thread::sleep(Duration::from_millis(10));
    }
    let seconds = begun.elapsed();
    thread::sleep(QUIET);
    let _ = fs::remove_file(&change);
    let before = Memory::of_tree(daemon.child.id());
    daemon.tell("HUP");
    let again = Instant::now();
    while daemon.reloaded.load(Ordering::Relaxed) == 1 && again.elapsed() < LONGEST {
        highest = highest.max(Memory::of_tree(daemon.child.id()));
        thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..100 {
        highest = highest.max(Memory::of_tree(daemon.child.id()));
        thread::sleep(Duration::from_millis(10));
    }
    ended.store(true, Ordering::Relaxed);
    let rows: Vec<(Instant, f64)> = clients
        .into_iter()
        .flat_map(|client| client.join().expect("no request is lost"))
        .collect();
    let during = begun..begun + seconds;
    let quiet = percentile(rows.iter().filter(|row| row.0 < during.start));
    let busy = percentile(rows.iter().filter(|row| during.contains(&row.0)));
    println!(
        "  {} requests, none lost; the reload took {:.2} s",
        rows.len(),
        seconds.as_secs_f64()
    );
    println!(
        "  p99 {quiet:.2} ms quiet, {busy:.2} ms during: {:.2} times (limit 2)",
        busy / quiet
    );
    let times = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    println!(
        "  memory {} MiB before, {} MiB at most: {:.2} times (limit 2.0)",
        before.pss >> 10,
        highest.pss >> 10,
        times(highest.pss, before.pss)
    );
    println!(
        "  anonymous {} MiB before, {} MiB at most: {:.2} times its own, {:.2} times all memory before (limit 1.2)",
        before.anonymous >> 10,
        highest.anonymous >> 10,
        times(highest.anonymous, before.anonymous),
        times(highest.anonymous, before.pss)
    );
}

/// Scans 4 KiB again and again, each unlike the last; when each began, and its milliseconds.
fn client(address: SocketAddr, seed: u64, ended: &AtomicBool) -> Vec<(Instant, f64)> {
    let mut writer = TcpStream::connect(address).expect("a connection");
    writer.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(writer.try_clone().expect("a socket"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a greeting");
    let mut rows = Vec::new();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    while !ended.load(Ordering::Relaxed) {
        let mut wire = format!("1 SCAN/DATA {LENGTH}\r\n").into_bytes();
        // Chance would begin it like a container now and then.
        wire.extend_from_slice(b"contents");
        for _ in 1..LENGTH / 8 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            wire.extend_from_slice(&(state >> 8).to_le_bytes());
        }
        let begun = Instant::now();
        writer.write_all(&wire).expect("a server that reads");
        loop {
            line.clear();
            assert!(
                reader.read_line(&mut line).expect("a reply") > 0,
                "the server closed"
            );
            if line.starts_with("1 DONE") {
                break;
            }
            assert!(!line.starts_with("1 E"), "{line}");
        }
        rows.push((begun, begun.elapsed().as_secs_f64() * 1000.0));
    }
    rows
}

/// Of a process and all its children, in KiB; shared pages are counted once.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    pss: u64,
    anonymous: u64,
}

impl Memory {
    fn of_tree(process: u32) -> Self {
        let mut sum = Self::default();
        let mut open = vec![process];
        while let Some(process) = open.pop() {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"));
            let text = text.unwrap_or_default();
            sum.pss += field(&text, "Pss:").unwrap_or(0);
            sum.anonymous += field(&text, "Pss_Anon:").unwrap_or(0);
            let tasks = fs::read_dir(format!("/proc/{process}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let children = fs::read_to_string(task.path().join("children"));
                let children = children.unwrap_or_default();
                open.extend(
                    children
                        .split_whitespace()
                        .filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
        }
        sum
    }

    fn max(self, other: Self) -> Self {
        Self {
            pss: self.pss.max(other.pss),
            anonymous: self.anonymous.max(other.anonymous),
        }
    }
}

fn status(process: u32, name: &str) -> Option<u64> {
    field(
        &fs::read_to_string(format!("/proc/{process}/status")).ok()?,
        name,
    )
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(f64::NAN, Duration::as_secs_f64)
}

fn percentile<'a>(rows: impl Iterator<Item = &'a (Instant, f64)>) -> f64 {
    let mut times: Vec<f64> = rows.map(|row| row.1).collect();
    times.sort_unstable_by(f64::total_cmp);
    let at = (times.len() * 99 / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or(f64::NAN)
}
