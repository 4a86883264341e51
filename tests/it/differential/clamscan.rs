//! Runs clamscan over a folder and gives what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

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
