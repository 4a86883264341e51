//! The table in docs/evasion.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Carrier;
use crate::support::eicar;

const BEGIN: &str = "<!-- carriers -->\n";
const BOMBS: &str = "<!-- bombs -->\n";
const END: &str = "<!-- end -->\n";

/// One row.
pub(super) struct Row {
    /// The extractors that give the marker out.
    pub(super) given: String,
    /// What `vfind` says.
    pub(super) ours: String,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/evasion.md")
}

/// The rows as they stand, by the keys of their carriers.
pub(super) fn read() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(path()).unwrap();
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (table, _) = rest.split_once(END).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let row = Row {
                given: cells[2].to_owned(),
                ours: cells[3].to_owned(),
            };
            (cells[0].to_owned(), row)
        })
        .collect()
}

/// Writes it anew, with what clamscan says.
pub(super) fn write(
    carriers: &[Carrier],
    given: &BTreeMap<String, Vec<&'static str>>,
    answers: &BTreeMap<String, String>,
) {
    let theirs = clamscan(carriers);
    let mut table = String::from(
        "| carrier | what is odd | given out by | vfind | clamscan |\n|---|---|---|---|---|\n",
    );
    for carrier in carriers {
        let cells = [
            &carrier.key,
            &carrier.oddity,
            &given[&carrier.key].join(", "),
            &answers[&carrier.key],
            &theirs[&carrier.key],
        ];
        for cell in cells {
            assert!(!cell.contains('|'), "{cell}");
            table.push_str("| ");
            table.push_str(cell);
            table.push(' ');
        }
        table.push_str("|\n");
    }
    let count =
        |word: &str, of: &BTreeMap<String, String>| of.values().filter(|one| *one == word).count();
    let yielded = given.values().filter(|names| !names.is_empty()).count();
    let summary = format!(
        "{} carriers; an ordinary extractor gives the marker out of {yielded}. `vfind` finds it in {} and says of the others why not; clamscan finds it in {}.\n\n",
        carriers.len(),
        count("found", answers),
        count("found", &theirs),
    );
    put(BEGIN, &(summary + &table));
}

/// Puts this between a mark and the end behind it.
fn put(mark: &str, new: &str) {
    let text = std::fs::read_to_string(path()).unwrap();
    let (head, rest) = text.split_once(mark).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    std::fs::write(path(), format!("{head}{mark}{new}{END}{tail}")).unwrap();
}

/// Holds the table of the bombs, or writes it: name, what it is, what is said, and what it took, which is not compared.
pub(super) fn bombs(rows: &[(String, String, String, String)]) {
    if std::env::var_os("VFIND_WRITE").is_some() {
        let mut table = String::from("| bomb | what it is | vfind | took |\n|---|---|---|---|\n");
        for (name, what, said, took) in rows {
            table.push_str(&format!("| {name} | {what} | {said} | {took} |\n"));
        }
        return put(BOMBS, &table);
    }
    let text = std::fs::read_to_string(path()).unwrap();
    for (name, what, said, _) in rows {
        let row = format!("| {name} | {what} | {said} | ");
        assert!(text.contains(&row), "make the table anew: {row}");
    }
}

/// What clamscan says with all its warnings on: `found`, `OK`, or its other words.
fn clamscan(carriers: &[Carrier]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let signature = folder.path().join("marker.ndb");
    let marker = data_encoding::HEXLOWER.encode(&eicar());
    std::fs::write(&signature, format!("Marker:0:*:{marker}\n")).unwrap();
    let output = Command::new("clamscan")
        .args([
            "--no-summary",
            "--alert-encrypted=yes",
            "--alert-exceeds-max=yes",
            "--alert-broken=yes",
            "-d",
        ])
        .arg(&signature)
        .args(carriers.iter().map(|carrier| &carrier.path))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: BTreeMap<_, _> = text
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .collect();
    let word = |carrier: &Carrier| match words.get(carrier.path.to_str().unwrap()) {
        Some(word) if word.starts_with("Marker") => "found".to_owned(),
        Some(word) => (*word).to_owned(),
        None => "nothing".to_owned(),
    };
    carriers
        .iter()
        .map(|carrier| (carrier.key.clone(), word(carrier)))
        .collect()
}
