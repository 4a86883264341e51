//! The files that Debian's `clamav-testfiles` brings, each with the same program in it: docs/formats.md says of each whether
//! clamscan and `vfind` find it by its digest, and this holds the table against both programs.
//! `VFIND_WRITE=1 cargo test --test it testfiles` makes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{has_tools, tools_are_required};

const FOLDER: &str = "/usr/share/clamav-testfiles";
const BEGIN: &str = "<!-- testfiles -->\n";
const END: &str = "<!-- end -->\n";

/// What vfind has to say of one that it does not open.
fn said(json: &serde_json::Value, out: &mut Vec<String>) {
    for gap in json["gaps"].as_array().into_iter().flatten() {
        out.push(gap["what"].as_str().unwrap().to_owned());
    }
    for note in json["notes"].as_array().into_iter().flatten() {
        out.push(note["what"].as_str().unwrap().to_owned());
    }
    for member in json["members"].as_array().into_iter().flatten() {
        said(member, out);
    }
}

fn is_found(json: &serde_json::Value) -> bool {
    let members = json["members"].as_array().into_iter().flatten();
    json["findings"] != serde_json::json!([]) || members.into_iter().any(is_found)
}

/// For each file: clamscan's word, ours.
fn rows(signature: &Path) -> BTreeMap<String, [String; 2]> {
    let output = Command::new("clamscan")
        .args(["--no-summary", "-r", "-d"])
        .args([signature, Path::new(FOLDER)])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let (path, word) = line.split_once(": ").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
            .args(["--tree=json", "--database"])
            .args([signature, Path::new(path)])
            .output()
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ours = match is_found(&json) {
            true => "found".to_owned(),
            false => {
                let mut all = Vec::new();
                said(&json, &mut all);
                all.sort();
                all.dedup();
                all.join(", ")
            }
        };
        let word = match word.ends_with(" FOUND") {
            true => "found",
            false => word,
        };
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        rows.insert(name.to_owned(), [word.to_owned(), ours]);
    }
    rows
}

#[test]
fn the_program_is_found_in_what_hides_it() {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let program = Path::new(FOLDER).join("clam.exe");
    let required = tools_are_required();
    if !program.exists() {
        assert!(!required, "clamav-testfiles is required");
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let signature = folder.path().join("program.hdb");
    let content = std::fs::read(&program).unwrap();
    let digest = {
        use md5::{Digest, Md5};
        data_encoding::HEXLOWER.encode(&Md5::digest(&content))
    };
    std::fs::write(&signature, format!("{digest}:{}:Program\n", content.len())).unwrap();
    let rows = rows(&signature);
    let count = |at: usize| rows.values().filter(|row| row[at] == "found").count();
    let mut table = format!(
        "Of {} files clamscan finds it in {}, vfind in {}.\n\n| file | clamscan | vfind |\n|---|---|---|\n",
        rows.len(),
        count(0),
        count(1)
    );
    for (name, [theirs, ours]) in &rows {
        assert!(!ours.is_empty(), "{name}: not opened, in silence");
        writeln!(table, "| {name} | {theirs} | {ours} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let wanted = format!("{head}{BEGIN}{table}{END}{tail}");
    if std::env::var_os("VFIND_WRITE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        wanted,
        "write it anew"
    );
    assert!(count(1) >= 36, "{table}");
}
