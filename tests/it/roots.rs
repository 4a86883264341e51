//! `--scan-root`: no path of a client leads out of it, and no answer tells what is outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Daemon, Talk, eicar};

/// A folder that may be scanned beside one that may not, each with an infected and a clean file.
fn folders() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    for folder in ["inside", "outside"] {
        let at = |name: &str| top.path().join(folder).join(name);
        fs::create_dir(top.path().join(folder)).unwrap();
        fs::write(at("bad"), eicar()).unwrap();
        fs::write(at("good"), "good").unwrap();
        fs::create_dir(at("sub")).unwrap();
        fs::write(
            at("sub/content"),
            if folder == "inside" {
                "".into()
            } else {
                eicar()
            },
        )
        .unwrap();
    }
    symlink(top.path().join("outside"), top.path().join("inside/link")).unwrap();
    symlink("../outside/bad", top.path().join("inside/up")).unwrap();
    symlink(top.path().join("absent"), top.path().join("inside/nowhere")).unwrap();
    top
}

fn daemon(top: &Path) -> Daemon {
    let root = format!("--scan-root={}", top.join("inside").display());
    Daemon::start(&[&root, "--follow-symlinks", "--listen=svsp:127.0.0.1:0"])
}

fn answer(talk: &mut Talk, path: &Path) -> String {
    talk.send(format!("SCAN/FILE {}\r\n", path.display()));
    talk.answer().join("\n")
}

#[test]
fn what_is_outside_is_answered_alike_whatever_is_there() {
    let top = folders();
    let daemon = daemon(top.path());
    let mut talk = daemon.connect();
    let mut said = |name: &str| {
        let path = top.path().join(name);
        let answer = answer(&mut talk, &path);
        answer.replace(&*path.to_string_lossy(), "PATH")
    };
    assert!(said("inside/bad").contains("INFECTED"));
    assert!(!said("inside/good").contains("INFECTED"));
    let refused = said("absent");
    assert!(refused.contains("EACCES"), "{refused}");
    for name in [
        "outside/bad",
        "outside/good",
        "outside",
        "outside/absent",
        "",
        "inside/../outside/bad",
        "inside/link/bad",
        "inside/link/absent",
        "inside/link",
        "inside/up",
        "inside/nowhere",
    ] {
        assert_eq!(said(name), refused, "{name}");
    }
    // In a folder, links are followed, but not out of it.
    let walked = said("inside");
    assert!(walked.contains("\"PATH/bad\""), "{walked}");
    assert!(!walked.contains("PATH/link/"), "{walked}");
}

#[test]
fn a_folder_that_is_exchanged_for_a_link_leads_nowhere() {
    let top = folders();
    let daemon = daemon(top.path());
    let at = |name: &str| top.path().join("inside").join(name);
    symlink(top.path().join("outside/sub"), at("other")).unwrap();
    let over = AtomicBool::new(false);
    let path = at("sub/content");
    let (mut scans, mut inside) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000_000 {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let folder = rustix::fs::CWD;
                rustix::fs::renameat_with(folder, at("sub"), folder, at("other"), flags).unwrap();
            }
        });
        let mut talk = daemon.connect();
        // Until both were met, however the threads take turns.
        while scans < 400 || scans < 20_000 && !(1..scans).contains(&inside) {
            let answer = answer(&mut talk, &path);
            assert!(!answer.contains("INFECTED"), "{answer}");
            inside += usize::from(!answer.contains("EACCES"));
            scans += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(
        (1..scans).contains(&inside),
        "{inside} of {scans} were inside"
    );
}
