//! Members of archives by what the archives say of them, and passwords: archives of the real tools, clamscan beside `vfind`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::clamscan;
use crate::random::Random;
use crate::support::{has_tools, out, run};

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");

/// Programs that make archives, and how they are called: `ARCHIVE` and `FILES` stand for what they are given.
const TOOLS: &[(&str, &str, &[&str])] = &[
    ("zip", "zip", &["-q", "-r", "ARCHIVE", "FILES"]),
    ("zip", "e.zip", &["-q", "-r", "-Ppass", "ARCHIVE", "FILES"]),
    (
        "zip",
        "0.zip",
        &["-q", "-r", "-0", "-D", "ARCHIVE", "FILES"],
    ),
    ("tar", "tar", &["cf", "ARCHIVE", "FILES"]),
    ("tar", "old.tar", &["cf", "ARCHIVE", "--format=v7", "FILES"]),
    ("7z", "7z", &["a", "-bso0", "-bsp0", "ARCHIVE", "FILES"]),
    (
        "7z",
        "e.7z",
        &["a", "-bso0", "-bsp0", "-ppass", "ARCHIVE", "FILES"],
    ),
    ("arj", "arj", &["a", "-r", "ARCHIVE", "FILES"]),
    ("arj", "e.arj", &["a", "-r", "-gpass", "ARCHIVE", "FILES"]),
    ("gcab", "cab", &["-c", "ARCHIVE", "FILES"]),
];

/// Names of the files that are packed; those behind the folder are in it.
const NAMES: &[&str] = &[
    "First.TXT",
    "second.bin",
    "empty",
    "a b.exe",
    "Dir/Third.doc",
    "Dir/x",
];

/// Makes each archive in `folder` out of a random choice of files.
fn archives(random: &mut Random, folder: &Path) -> Vec<String> {
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("Dir")).unwrap();
    for name in NAMES {
        let count = match *name {
            "empty" => 0,
            _ => random.range(50, 900),
        };
        let text: Vec<u8> = (0..count).map(|_| *random.pick(b"abcdefgh \n")).collect();
        fs::write(work.path().join(name), text).unwrap();
    }
    let mut made = Vec::new();
    for (program, extension, arguments) in TOOLS {
        for round in 0..3 {
            let name = format!("{round}.{extension}");
            let archive = folder.join(&name);
            let mut files: Vec<&str> = NAMES[..4]
                .iter()
                .copied()
                .filter(|_| random.once_in(2))
                .collect();
            // gcab takes files alone.
            files.push(if *program == "gcab" { NAMES[4] } else { "Dir" });
            let mut command = Command::new(program);
            for argument in *arguments {
                match *argument {
                    "ARCHIVE" => command.arg(&archive),
                    "FILES" => command.args(&files),
                    other => command.arg(other),
                };
            }
            let command = command.current_dir(work.path()).stdin(Stdio::null());
            let done = command.output().unwrap();
            assert!(done.status.success(), "{program}: {done:?}");
            made.push(name);
        }
    }
    made
}

/// A number of those that archives have, or near to it, or any.
fn number(random: &mut Random, top: usize) -> String {
    match random.below(4) {
        0 => "*".to_owned(),
        1 => random.below(top).to_string(),
        2 => format!("{}-{}", random.below(top), top),
        _ => format!("0-{}", random.below(top)),
    }
}

fn line(random: &mut Random, name: &str) -> String {
    let kind = random.pick::<&str>(&[
        "*",
        "*",
        "CL_TYPE_ANY",
        "CL_TYPE_ZIP",
        "CL_TYPE_POSIX_TAR",
        "CL_TYPE_OLD_TAR",
        "CL_TYPE_7Z",
        "CL_TYPE_ARJ",
        "CL_TYPE_MSCAB",
    ]);
    let file = random.pick::<&str>(&[
        "*",
        "*",
        "First",
        "first",
        "(?i)first",
        "\\.txt$",
        "(?i)\\.(txt|exe)$",
        "^Dir",
        "Third\\.doc",
        "^.$",
        "e",
        "[A-F]i",
        "x$",
        " b",
        "/",
        "empty",
        "^second.bin$",
        "[^a-z]",
        "\\w",
        "s\\econd",
        "c{1,2}",
    ]);
    let sizes: [String; 3] = std::array::from_fn(|_| match random.once_in(3) {
        true => number(random, 1200),
        false => "*".to_owned(),
    });
    let [container, compressed, size] = sizes;
    let encrypted = random.pick::<&str>(&["*", "*", "*", "0", "1"]);
    let position = match random.once_in(3) {
        true => number(random, 7),
        false => "*".to_owned(),
    };
    format!("{name}:{kind}:{container}:{file}:{compressed}:{size}:{encrypted}:{position}:*:*")
}

/// The names that `vfind` finds in a file.
fn found(database: &Path, file: &Path) -> BTreeSet<String> {
    let database = format!("--database={}", database.display());
    let output = run(VFIND, &[&database, &file.display().to_string()], b"");
    let output = out(&output);
    let names = output
        .lines()
        .filter_map(|line| line.split_once("VIRUS ID: CVDL CLAM "));
    names.map(|(_, name)| name.trim().to_owned()).collect()
}

fn has_all() -> bool {
    has_tools(&["clamscan", "zip", "tar", "7z", "arj", "gcab"])
}

/// What clamscan and we call differently, by the end of the archive's name.
fn is_known(_line: &str, _archive: &str, _by_us: bool) -> bool {
    false
}

#[test]
fn members_of_archives() {
    if !has_all() {
        return;
    }
    let pairs = std::env::var("VFIND_PAIRS").map_or(5_000, |count| count.parse().unwrap());
    let mut random = Random::new(70);
    let mut held = 0;
    let mut left = usize::div_ceil(pairs, 3 * TOOLS.len());
    while left > 0 {
        let portion = left.min(250);
        left -= portion;
        let folder = tempfile::tempdir().unwrap();
        let (database, files) = (folder.path().join("database"), folder.path().join("files"));
        fs::create_dir(&database).unwrap();
        fs::create_dir(&files).unwrap();
        let lines: Vec<String> = (0..portion)
            .map(|number| line(&mut random, &format!("S{number}")))
            .collect();
        fs::write(database.join("a.cdb"), lines.join("\n")).unwrap();
        let archives = archives(&mut random, &files);
        let theirs = clamscan::scan(&database, &files);
        let mut unlike = Vec::new();
        for archive in archives {
            let ours = found(&database, &files.join(&archive));
            let nothing = BTreeSet::new();
            let theirs = theirs.get(&archive).unwrap_or(&nothing);
            held += ours.intersection(theirs).count();
            for name in ours.symmetric_difference(theirs) {
                let by_us = ours.contains(name);
                let number: usize = name[1..].parse().unwrap();
                if !is_known(&lines[number], &archive, by_us) {
                    let who = if by_us { "we alone" } else { "clamscan alone" };
                    unlike.push(format!("{who} in {archive}: {}", lines[number]));
                }
            }
        }
        unlike.sort();
        assert!(
            unlike.is_empty(),
            "{} differences\n{}",
            unlike.len(),
            unlike[..unlike.len().min(40)].join("\n")
        );
    }
    assert!(held > 100, "hardly anything was found: {held}");
}

#[test]
fn passwords_of_archives() {
    if !has_all() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::write(&inside, "a text that is found inside ".repeat(20)).unwrap();
    let archive = folder.path().join("e.zip");
    let zip = Command::new("zip")
        .arg("-qjPpass")
        .arg(&archive)
        .arg(&inside)
        .output();
    assert!(zip.unwrap().status.success());
    let rows = [
        ("A;Engine:81-255,Container:CL_TYPE_ZIP;0;pass", true),
        ("A;Engine:81-255;1;70617373", true),
        ("A;Engine:81-255,Container:CL_TYPE_RAR;0;pass", false),
        ("A;Engine:81-255;0;other", false),
        (
            "A;Engine:81-255,Target:0,Container:CL_TYPE_ANY;0;pass",
            true,
        ),
    ];
    for (line, opens) in rows {
        let database = tempfile::tempdir().unwrap();
        let body = "666f756e6420696e73696465";
        fs::write(
            database.path().join("a.ndb"),
            format!("Inside:0:*:{body}\n"),
        )
        .unwrap();
        fs::write(database.path().join("a.pwdb"), format!("{line}\n")).unwrap();
        let files = tempfile::tempdir().unwrap();
        fs::copy(&archive, files.path().join("e.zip")).unwrap();
        let theirs = clamscan::scan(database.path(), files.path());
        assert_eq!(theirs.contains_key("e.zip"), opens, "clamscan: {line}");
        assert_eq!(
            !found(database.path(), &archive).is_empty(),
            opens,
            "{line}"
        );
    }
}
