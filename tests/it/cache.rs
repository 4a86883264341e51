//! Answers from the cache of verdicts: those that a scan would give, by both kinds of workers, and never across signatures or
//! options.

use std::path::Path;

use rustix::process::Signal;

use crate::support::{Daemon, Talk, eicar, gzip, noise, tar, zip};

const ANSWERED: &str = "answered from the cache";

/// Tells what it answers from the cache.
fn start(options: &[&str]) -> Daemon {
    Daemon::with_log("vfind=debug", options)
}

/// How often a daemon has answered from the cache since the last time.
fn answered(daemon: &Daemon) -> usize {
    let log = daemon.log_so_far();
    log.iter().filter(|line| line.contains(ANSWERED)).count()
}

fn by_path(talk: &mut Talk, path: &Path) -> Vec<String> {
    talk.send(format!("SCAN/FILE-SHA1 {}\r\n", path.display()));
    talk.answer()
}

fn by_content(talk: &mut Talk, content: &[u8]) -> Vec<String> {
    talk.send(format!("SCAN/DATA {} label\r\n", content.len()));
    talk.send(content);
    talk.answer()
}

fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let cut = gzip(&noise(1, 5000));
    let cut = &cut[..cut.len() / 2];
    let infected = zip(&[("a", b"nothing"), ("b/virus", &eicar()), ("c.gz", cut)]);
    vec![
        ("clean", b"nothing at all".to_vec()),
        ("infected", eicar()),
        ("stream.gz", gzip(&eicar())),
        ("large", noise(2, 600 * 1024)),
        (
            "nested.tar",
            tar(&[(b"inner.zip", &infected), (b"large", &noise(3, 900 * 1024))]),
        ),
        ("archive.zip", infected),
    ]
}

#[test]
fn what_comes_again_gets_the_same_answer_without_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = start(&[isolation]);
        let mut talk = daemon.connect();
        talk.send("ENABLE COVERAGE\r\n");
        talk.text();
        for (name, content) in contents() {
            let first = by_content(&mut talk, &content);
            assert_eq!(answered(&daemon), 0, "{name}");
            assert_eq!(by_content(&mut talk, &content), first);
            daemon.log_line(ANSWERED);
            // As a file, whatever it is called, unless its member is called after it.
            let path = folder.path().join(name);
            std::fs::write(&path, &content).unwrap();
            let first = by_path(&mut talk, &path);
            let second = by_path(&mut talk, &path);
            let found = |answer: &[String]| answer.iter().any(|line| line.contains("INFECTED"));
            assert_eq!(first, second);
            assert_eq!(found(&first), name != "clean" && name != "large");
            if content.len() < 256 * 1024 {
                daemon.log_line(ANSWERED);
            } else {
                assert_eq!(answered(&daemon), 0, "{name} was written a moment ago");
            }
            answered(&daemon);
        }
    }
}

#[test]
fn options_and_new_signatures_are_other_questions() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("own.cvdl");
    std::fs::write(&rules, ":One, \"first word\" #\n").unwrap();
    let daemon = start(&[&format!("--vdl={}", rules.display())]);
    let content = zip(&[("member", b"first word and second word")]);
    let mut talk = daemon.connect();
    let found = |talk: &mut Talk| by_content(talk, &content).last().unwrap()[..7].to_owned();
    for _ in 0..2 {
        assert_eq!(found(&mut talk), "DONE 1 ");
    }
    daemon.log_line(ANSWERED);
    // Kept as it was found: what is not wanted is left out of each answer by itself.
    let mut other = daemon.connect();
    other.send("ENABLE IGNORE CVDL One\r\n");
    assert_eq!(other.text(), "OK");
    assert_eq!(found(&mut other), "DONE 0 ");
    daemon.log_line(ANSWERED);
    let mut flat = daemon.connect();
    flat.send("DISABLE RECURSE\r\n");
    assert_eq!(flat.text(), "OK");
    assert_eq!(found(&mut flat), "DONE 0 ");
    assert_eq!(answered(&daemon), 0);
    std::fs::write(&rules, ":One, \"first word\" #\n:Two, \"second word\" #\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.log_line("reload");
    assert_eq!(found(&mut talk), "DONE 2 ");
    assert_eq!(answered(&daemon), 0);
}

#[test]
fn without_room_everything_is_scanned() {
    let daemon = start(&["--verdict-cache=0"]);
    let mut talk = daemon.connect();
    for _ in 0..3 {
        by_content(&mut talk, b"nothing at all");
    }
    assert_eq!(answered(&daemon), 0);
}
