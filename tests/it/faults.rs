//! Workers that end, hang or eat memory because of what they look at. Only a daemon that was built with the feature
//! `test-faults` does so: `VFIND_FAULTY` is the path of one, and without it these tests are skipped.

use rustix::process::{Pid, Signal};

use crate::support::Daemon;

fn start(options: &[&str]) -> Option<Daemon> {
    let Some(program) = std::env::var_os("VFIND_FAULTY") else {
        println!("skipped: VFIND_FAULTY names no daemon");
        return None;
    };
    // Each file is to be scanned.
    let options = [options, &["--verdict-cache=0"]].concat();
    Some(Daemon::of(&program, &options))
}

fn faulty(daemon: &Daemon, fault: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, format!("VFIND-FAULT-{fault}")).unwrap();
    let mut talk = daemon.connect();
    talk.send("ENABLE COVERAGE\n");
    talk.text();
    talk.send(format!("SCAN/FILE {}\n", path.display()));
    let answer = talk.answer().join("\n");
    answer.replace(&path.display().to_string(), "file")
}

/// A small file: some of these daemons have a short deadline.
fn still_works(daemon: &Daemon) {
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut talk = daemon.connect();
    assert!(talk.scan(small.as_ref()).starts_with("DONE 0 "));
}

#[test]
fn a_process_that_crashes_or_eats_memory_is_a_gap_and_not_the_end() {
    let Some(daemon) = start(&["--isolation=process", "--threads=1"]) else {
        return;
    };
    for fault in ["ABORT", "MEMORY"] {
        let answer = faulty(&daemon, fault);
        assert!(
            answer.contains("SKIPPED crashed : \"file\" : the worker process aborted (signal 6)"),
            "{answer}"
        );
        assert!(answer.ends_with("EFAULT \"file\""), "{answer}");
        still_works(&daemon);
    }
    assert!(
        daemon.resident() < 200_000,
        "the daemon itself has {} kB",
        daemon.resident()
    );
}

#[test]
fn a_process_that_hangs_is_killed_at_the_deadline() {
    let Some(daemon) = start(&["--isolation=process", "--threads=1", "--limit-deadline=0.5"])
    else {
        return;
    };
    let answer = faulty(&daemon, "HANG");
    assert!(
        answer.contains("SKIPPED deadline : \"file\" : killed after 0.5 s"),
        "{answer}"
    );
    assert!(answer.ends_with("EAGAIN \"file\""), "{answer}");
    still_works(&daemon);
}

#[test]
fn a_thread_that_hangs_does_not_keep_a_daemon_that_was_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let (hangs, pid_file) = (folder.path().join("hangs"), folder.path().join("pid"));
    std::fs::write(&hangs, "VFIND-FAULT-HANG").unwrap();
    let option = format!("--pidfile={}", pid_file.display());
    let Some(mut daemon) = start(&["--isolation=thread", "--threads=2", &option]) else {
        return;
    };
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {}\n", hangs.display()));
    assert_eq!(talk.text(), "QUEUED");
    still_works(&daemon);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    assert!(!pid_file.exists());
    let rest = String::from_utf8(talk.rest()).unwrap();
    assert!(rest.contains("EAGAIN "), "{rest}");
}

#[test]
fn a_file_that_takes_long_keeps_no_other_client_waiting() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let Some(daemon) = start(&[isolation, "--threads=1", "--limit-deadline=3600"]) else {
            return;
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "VFIND-FAULT-HANG").unwrap();
        let mut hanging = daemon.connect();
        hanging.send(format!(
            "SCAN/FILE {0}\nSCAN/FILE {0}\n",
            file.path().display()
        ));
        assert_eq!(hanging.text(), "QUEUED");
        for _ in 0..3 {
            still_works(&daemon);
        }
    }
}

#[test]
fn a_panic_is_a_gap_in_both_forms() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let Some(daemon) = start(&[isolation, "--threads=1"]) else {
            return;
        };
        let answer = faulty(&daemon, "PANIC");
        assert!(answer.contains("SKIPPED crashed : \"file\" : "), "{answer}");
        assert!(answer.ends_with("EFAULT \"file\""), "{answer}");
        still_works(&daemon);
    }
}

#[test]
fn a_process_killed_from_outside_is_replaced() {
    let Some(daemon) = start(&["--isolation=process", "--threads=1"]) else {
        return;
    };
    still_works(&daemon);
    let children = format!("/proc/{0}/task", daemon.pid());
    let tasks = std::fs::read_dir(children).unwrap();
    let pids: Vec<String> = tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(pids.len(), 1, "one worker, one process");
    let pid = Pid::from_raw(pids[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    let stat = format!("/proc/{}/stat", pids[0]);
    for _ in 0..1000 {
        if std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    still_works(&daemon);
}
