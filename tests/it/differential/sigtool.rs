//! What sigtool makes of a file is read, and finds the file.

use std::path::Path;
use std::process::Command;

use super::programs;
use super::random::Random;
use super::{bodies, ours};
use crate::support::has_tools;

/// What sigtool says of a file.
fn sigtool(option: &str, file: &Path) -> String {
    let output = Command::new("sigtool").arg(option).arg(file).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// A program with one whole section, which sigtool reads.
fn program(random: &mut Random) -> Vec<u8> {
    std::iter::repeat_with(|| programs::pe(random))
        .find(|program| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, program).unwrap();
            !sigtool("--mdb", &path).is_empty()
        })
        .unwrap()
}

#[test]
fn what_sigtool_makes_finds_its_file() {
    if !has_tools(&["sigtool"]) {
        return;
    }
    let mut random = Random::new(50);
    let rows = [
        ("--md5", "hdb"),
        ("--sha1", "hdb"),
        ("--sha256", "hsb"),
        ("--sha256", "hdb"),
        ("--mdb", "mdb"),
    ];
    for (option, extension) in rows {
        let content = match option {
            "--mdb" => program(&mut random),
            _ => bodies::content(&mut random),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, &content).unwrap();
        let text = sigtool(option, &path);
        assert!(!text.is_empty(), "sigtool {option} says nothing");
        let database = ours::compile(&[(format!("a.{extension}"), text.clone())]);
        let mut other = content.clone();
        // Behind the headers, so that it is a program still.
        let start = match option {
            "--mdb" => programs::HEADERS,
            _ => 0,
        };
        other[start..].fill(1);
        let files = [("file".to_owned(), content), ("other".to_owned(), other)];
        let found = ours::scan(&database, &files);
        let files: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(files, ["file"], "{option}: {text}");
    }
}
