//! What sigtool makes of a file is read, and finds the file.

use std::path::Path;
use std::process::Command;

use super::programs;
use super::{bodies, ours};
use crate::random::Random;
use crate::support::has_tools;

/// The signatures that sigtool makes of a file.
fn sigtool(option: &str, file: &Path) -> String {
    let output = Command::new("sigtool").arg(option).arg(file).output();
    let output = output.unwrap();
    if option != "--mdb" {
        return String::from_utf8(output.stdout).unwrap();
    }
    // Sections are told among its other messages, without a name.
    let messages = String::from_utf8_lossy(&output.stderr);
    let sections = messages.lines().filter_map(|line| {
        let (_, section) = line.split_once(": Section{")?;
        Some(format!("{}:section\n", section.split_once(": ")?.1))
    });
    sections.collect()
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // Of programs with odd headers it says nothing.
        let made = (0..30).find_map(|_| {
            let content = match option {
                "--mdb" => programs::pe(&mut random),
                _ => bodies::content(&mut random),
            };
            std::fs::write(&path, &content).unwrap();
            let text = sigtool(option, &path);
            (!text.is_empty()).then_some((content, text))
        });
        let (content, text) = made.expect(option);
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
