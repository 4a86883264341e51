//! What is left of a daemon that was told to end: nothing. And two of them share nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Daemon, PATIENCE, eicar, gzip, noise};

/// The processes that this one has started.
pub fn children(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        if parent(pid) == Some(of) {
            found.push(pid);
        }
    }
    found
}

/// The parent of a process that is there and no zombie (proc(5), stat: the name in parentheses may hold anything).
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}

/// What the open descriptors of a process lead to.
fn opened(pid: u32) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = folder
        .flatten()
        .map(|entry| std::fs::read_link(entry.path()));
    links.flatten().collect()
}

/// True for a numbered reply that is an error.
fn is_error(line: &str) -> bool {
    let word = line.split(' ').nth(1);
    word.is_some_and(|word| word.starts_with('E'))
}

/// Waits until `done` holds.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

/// A gzip file in a gzip file, of which a worker has to keep more than it keeps in memory.
fn large(folder: &Path) -> PathBuf {
    let path = folder.join("large.gz");
    let content = gzip(&noise(7, 12 << 20));
    std::fs::write(&path, gzip(&[content, eicar()].concat())).unwrap();
    path
}

#[test]
fn nothing_is_left_of_a_daemon_that_was_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let large = large(folder.path());
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let tmpdir = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let mut daemon = Daemon::start(&[
            isolation,
            "--threads=2",
            &format!("--tmpdir={}", tmpdir.path().display()),
            &format!("--pidfile={}", pid_file.display()),
        ]);
        assert!(pid_file.exists());
        let mut talk = daemon.connect();
        let mut workers = BTreeSet::new();
        let mut saw_temporary = false;
        // Scans go on all the time, and one is open at the end.
        for round in 0..1000 {
            talk.send(format!("{round} SCAN/FILE {}\n", large.display()));
            let mut ended = false;
            while !ended {
                let line = talk.text();
                ended = line.contains(" DONE ");
                assert!(!line.is_empty() && !is_error(&line), "{line}");
                let now = children(daemon.pid());
                for pid in now.iter().copied().chain([daemon.pid()]) {
                    // A process may be gone by now.
                    if parent(pid).is_some() {
                        let temporary = |path: &PathBuf| path.starts_with(tmpdir.path());
                        saw_temporary |= opened(pid).iter().any(temporary);
                    }
                }
                workers.extend(now);
                // Not even now has any of them a name.
                assert_eq!(names(tmpdir.path()), BTreeSet::new());
            }
            if saw_temporary {
                break;
            }
        }
        assert!(saw_temporary, "{isolation}: a temporary file was in use");
        assert_eq!(workers.is_empty(), isolation == "--isolation=thread");
        talk.send(format!("SCAN/FILE {}\n", large.display()));
        assert_eq!(talk.text(), "QUEUED");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(), Some(0));
        // It was answered, too.
        let rest = String::from_utf8(talk.rest()).unwrap();
        assert!(
            rest.contains("DONE 1 ") || rest.contains("EAGAIN "),
            "{rest}"
        );
        for pid in workers {
            wait_for("the worker processes end", || parent(pid).is_none());
        }
        assert_eq!(names(tmpdir.path()), BTreeSet::new(), "{isolation}");
        assert!(!pid_file.exists());
        assert!(std::net::TcpStream::connect(daemon.address).is_err());
        drop(std::net::TcpListener::bind(daemon.address).unwrap());
    }
}

#[test]
fn two_daemons_share_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let large = large(folder.path());
    for isolation in ["--isolation=thread", "--isolation=process"] {
        // The same folder for both: their files have no names, so that they cannot meet.
        let tmpdir = tempfile::tempdir().unwrap();
        let option = format!("--tmpdir={}", tmpdir.path().display());
        let daemons = [0, 1].map(|_| Daemon::start(&[isolation, &option]));
        let mut talks = [0, 1].map(|one: usize| daemons[one].connect());
        for talk in &mut talks {
            talk.send(format!(
                "1 SCAN/FILE {}\n2 SCAN/FILE {}\n",
                large.display(),
                large.display()
            ));
        }
        for talk in &mut talks {
            let mut ended = 0;
            while ended < 2 {
                let line = talk.text();
                assert!(!line.is_empty() && !is_error(&line), "{line}");
                ended += u32::from(line.contains(" DONE 1 "));
                assert_eq!(names(tmpdir.path()), BTreeSet::new());
            }
        }
        let [first, second] = &daemons;
        for path in opened(first.pid()) {
            // Files in memory have the same name in all processes, and are others.
            let elsewhere = ["/dev", "/proc", "/memfd:vfind-signatures (deleted)"];
            let is_file = path.is_absolute() && !elsewhere.iter().any(|at| path.starts_with(at));
            assert!(
                !is_file || !opened(second.pid()).contains(&path),
                "{path:?}"
            );
        }
        assert_ne!(first.address, second.address);
    }
}

/// Keeps a data file from being made, as another process does that makes it: whoever wants it waits.
fn occupied(data: &Path) -> std::fs::File {
    let path = format!("{}.new", data.display());
    let file = std::fs::File::create(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn a_daemon_that_still_loads_ends_when_it_is_told_to_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, number) = (folder.path().join("data"), folder.path().join("number"));
    let _lock = occupied(&data);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vfindd"))
        .args(["--svsp-port=0", "--quiet=2"])
        .arg(format!("--vdl-data-file={}", data.display()))
        .arg(format!("--pidfile={}", number.display()))
        .stdin(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the file of its number", || number.exists());
    // From the file to the first look at signals there are some system calls.
    std::thread::sleep(Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let mut status = None;
    wait_for("its end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
    assert!(!number.exists());
}

#[test]
fn a_reload_that_never_ends_does_not_keep_a_daemon_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let (list, data) = (folder.path().join("list"), folder.path().join("data"));
    std::fs::write(&list, "").unwrap();
    let mut daemon = Daemon::start(&[
        &format!("--md5={}", list.display()),
        &format!("--vdl-data-file={}", data.display()),
    ]);
    let _lock = occupied(&data);
    std::fs::write(&list, "900150983cd24fb0d6963f7d28e17f72:3:Abc\n").unwrap();
    daemon.signal(Signal::HUP);
    assert!(daemon.connect().scan(&list).starts_with("DONE 0 "));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
}
