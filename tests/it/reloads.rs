//! Hundreds of reloads while requests run: none is lost, each is of a database that was accepted, and nothing grows.
//!
//! 40 reloads for each form of workers, 500 under VFIND_FULL=1, any number with VFIND_RELOADS.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Daemon, Talk};

fn reloads() -> usize {
    let asked = std::env::var("VFIND_RELOADS").ok();
    let full = std::env::var("VFIND_FULL").is_ok_and(|value| value == "1");
    match asked {
        Some(number) => number.parse().unwrap(),
        None if full => 500,
        None => 40,
    }
}

fn tell(socket: &Path, word: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    writeln!(stream, "{word}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn epoch(status: &str) -> String {
    let line = status.lines().find(|line| line.starts_with("epoch "));
    line.unwrap()[6..].to_owned()
}

/// The number of descriptors, of mappings, and of kilobytes in use.
fn size(pid: u32) -> [usize; 3] {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let resident = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    [descriptors, maps.lines().count(), resident]
}

fn children(pid: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let path = task.unwrap().path().join("children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .map(|child| child.parse::<u32>().unwrap()),
        );
    }
    all
}

/// Mappings of images by the daemon and all its workers.
fn images(pid: u32) -> usize {
    let all = children(pid).into_iter().chain([pid]);
    let maps = all.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/maps")).ok());
    maps.map(|maps| maps.matches("vfind-signatures").count())
        .sum()
}

/// Content on which the database of step n finds n % 3 + 1 signatures.
const CONTENT: &str = "needle 0 needle 1 needle 2";

fn good(step: usize) -> String {
    let rules = (0..=step % 3).map(|rule| format!(":R{step}/{rule}, \"needle {rule}\" #\n"));
    rules.collect()
}

#[test]
fn no_request_is_lost_and_nothing_grows_however_often_signatures_are_reloaded() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        stress(isolation);
    }
}

/// Asks until it is over; for each answer the epoch and the number of findings.
fn requests(mut talk: Talk, content: &Path, over: &AtomicBool) -> Vec<(String, usize)> {
    talk.send("ENABLE COVERAGE\n");
    assert_eq!(talk.text(), "OK");
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        talk.send(format!("SCAN/FILE {}\n", content.display()));
        let answer = talk.answer();
        let done = answer.last().unwrap();
        let count = match done.strip_prefix("DONE ") {
            Some(rest) => rest.split(' ').next().unwrap().parse().unwrap(),
            None => panic!("{answer:?}"),
        };
        let coverage = &answer[answer.len() - 2];
        seen.push((coverage.split(' ').nth(5).unwrap().to_owned(), count));
    }
    seen
}

fn stress(isolation: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (source, socket) = (folder.path().join("a.cvdl"), folder.path().join("control"));
    let content = folder.path().join("content");
    std::fs::write(&content, CONTENT).unwrap();
    std::fs::write(&source, good(0)).unwrap();
    let daemon = Daemon::start(&[
        isolation,
        "--threads=2",
        &format!("--database={}", source.display()),
        &format!("--control={}", socket.display()),
    ]);
    // What each accepted database finds.
    let mut accepted = BTreeMap::from([(epoch(&tell(&socket, "status")), 1)]);
    let over = &AtomicBool::new(false);
    let content = &content;
    let (before, seen) = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..3)
            .map(|_| {
                let talk = daemon.connect();
                scope.spawn(move || requests(talk, content, over))
            })
            .collect();
        let mut before = None;
        for step in 1..=reloads() {
            let text = good(step);
            let (text, expected) = match step % 3 {
                0 => (text, Some(step % 3 + 1)),
                1 => (text + ":Bad, nonsense #\n", None),
                _ if step % 2 == 0 => (text, Some(step % 3 + 1)),
                _ => (text[..text.len() - 6].to_owned(), None),
            };
            std::fs::write(&source, text).unwrap();
            let answer = tell(&socket, "reload");
            match expected {
                Some(count) => {
                    assert!(answer.starts_with("OK\n"), "{step}: {answer}");
                    accepted.insert(epoch(&answer), count);
                }
                None => {
                    assert!(answer.starts_with("REFUSED\n"), "{step}: {answer}");
                    assert!(accepted.contains_key(&epoch(&answer)), "{answer}");
                }
            }
            if step == 20 {
                before = Some(size(daemon.pid()));
            }
        }
        over.store(true, Ordering::Relaxed);
        let seen: Vec<_> = loads
            .into_iter()
            .flat_map(|load| load.join().unwrap())
            .collect();
        (before.unwrap(), seen)
    });
    assert!(accepted.len() > reloads() / 3);
    for (epoch, count) in &seen {
        assert_eq!(accepted.get(epoch), Some(count), "{isolation} {epoch}");
    }
    let used: std::collections::BTreeSet<_> = seen.iter().map(|(epoch, _)| epoch).collect();
    assert!(used.len() > 5, "{} requests used {used:?}", seen.len());
    // Idle now: the processes of workers end with the database that they have, and the image that is kept for the way back is
    // mapped by nobody.
    std::fs::write(&source, good(reloads() + 3)).unwrap();
    assert!(tell(&socket, "reload").starts_with("OK\n"));
    let once = 1;
    let mut mapped = images(daemon.pid());
    for _ in 0..100 {
        if mapped <= once {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        mapped = images(daemon.pid());
    }
    assert!(mapped <= once, "{isolation}: {mapped} images are mapped");
    let after = size(daemon.pid());
    let [descriptors, maps, resident] = before;
    assert!(
        after[0] <= descriptors + 4,
        "{isolation}: {before:?} {after:?}"
    );
    assert!(after[1] <= maps + 40, "{isolation}: {before:?} {after:?}");
    assert!(
        after[2] <= resident + resident / 4 + 4096,
        "{isolation}: {before:?} {after:?}"
    );
    assert!(children(daemon.pid()).len() <= 2, "workers alone");
    println!(
        "{isolation}: {} requests, {} databases, {before:?} {after:?}",
        seen.len(),
        accepted.len()
    );
}
