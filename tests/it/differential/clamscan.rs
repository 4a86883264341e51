//! Runs clamscan over a folder and gives what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// The names that were found, by the name of the file.
pub(super) type Found = BTreeMap<String, BTreeSet<String>>;

/// All signatures that hold on each file of `folder`; files without any are left out.
pub(super) fn scan(database: &Path, folder: &Path) -> Found {
    let output = Command::new("clamscan")
        .args([
            "--allmatch",
            "--no-summary",
            "--infected",
            "--max-scantime=0",
        ])
        .args([
            "--max-filesize=0",
            "--max-scansize=0",
            "--heuristic-alerts=no",
        ])
        .arg("-d")
        .arg(database)
        .arg(folder)
        .output()
        .unwrap();
    let code = output.status.code();
    assert!(
        matches!(code, Some(0 | 1)),
        "clamscan ended with {code:?}: {}",
        complaint(database, &String::from_utf8_lossy(&output.stderr))
    );
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((path, name)) = line
            .strip_suffix(" FOUND")
            .and_then(|line| line.rsplit_once(": "))
        else {
            continue;
        };
        let file = Path::new(path).file_name().unwrap().to_string_lossy();
        let name = name.strip_suffix(".UNOFFICIAL").unwrap_or(name);
        found
            .entry(file.into_owned())
            .or_default()
            .insert(name.to_owned());
    }
    found
}

/// What clamscan says, and the lines it may speak of.
fn complaint(database: &Path, text: &str) -> String {
    let number = |line: &str| {
        let (_, number) = line.rsplit_once("at line ")?;
        number.parse::<usize>().ok()
    };
    let mut complaint = text.to_owned();
    for number in text.lines().filter_map(number) {
        for source in std::fs::read_dir(database).into_iter().flatten() {
            let text = std::fs::read_to_string(source.unwrap().path()).unwrap();
            complaint.extend(text.lines().nth(number - 1).map(|line| format!("{line}\n")));
        }
    }
    complaint
}

/// What clamscan says when it does not use what a program's header tells.
const GIVES_UP: &str = "Failed to successfully parse the executable header";

/// The answers of [`gives_up`] so far.
static ASKED: Mutex<BTreeMap<Vec<u8>, bool>> = Mutex::new(BTreeMap::new());

/// Asks clamscan whether it gives up on a program.
pub(super) fn gives_up(program: &[u8]) -> bool {
    if let Some(answer) = ASKED.lock().unwrap().get(program) {
        return *answer;
    }
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("a.ndb"), folder.path().join("file"));
    // It reads the headers of a target that has an offset from them.
    let lines = [1, 6, 9].map(|target| format!("S{target}:{target}:S0+1:0102030405060708\n"));
    std::fs::write(&database, lines.concat()).unwrap();
    std::fs::write(&file, program).unwrap();
    let output = Command::new("clamscan")
        .args(["--debug", "--no-summary", "-d"])
        .arg(&database)
        .arg(&file)
        .output();
    let answer = String::from_utf8_lossy(&output.unwrap().stderr).contains(GIVES_UP);
    ASKED.lock().unwrap().insert(program.to_vec(), answer);
    answer
}
