//! Every command and transcript of the documentation, run as it stands there.
//!
//! In blocks marked `console`, lines after `$ ` are commands and the others what they print; in blocks marked
//! `telnet`, commands are sent and replies awaited; in those marked `clamd`, on a connection for each. `…` stands for anything within a line, a line of only `…` for any lines. The
//! programs talk to a daemon at free ports, of which the text says that they are 8081, and 8082 for HTTP.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use crate::clamd_transcripts::{escape, unescape};
use crate::support::{Daemon, Talk, has_tools};

struct Block {
    kind: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    lines: Vec::new(),
                });
            }
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// True if `line` is what `pattern` says, `…` standing for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else {
        return pattern == line;
    };
    line.strip_prefix(first).is_some_and(|tail| {
        (0..=tail.len())
            .filter(|at| tail.is_char_boundary(*at))
            .any(|at| matches(rest, &tail[at..]))
    })
}

fn all_match(patterns: &[String], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|at| all_match(rest, &lines[at..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, more)| matches(first, line) && all_match(rest, more)),
    }
}

fn console(block: &Block, daemon: &Daemon, folder: &Path) {
    let mut script = String::new();
    for line in &block.lines {
        if let Some(command) = line.strip_prefix("$ ") {
            script += &format!("echo '@@@'; {command}\n");
        }
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_vfindd")).parent().unwrap();
    let address = daemon.address;
    let script = format!(
        "vfindc() {{ {}/vfindc --server={address} \"$@\"; }}\nset -o pipefail\n{script}",
        programs.display()
    );
    // `$?` must be that of the command before, not of the mark.
    let script = script.replace("127.0.0.1:8082", &daemon.places[2]);
    let script = script.replace("echo '@@@'; echo $?", "code=$?; echo '@@@'; echo $code");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env(
            "PATH",
            format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()),
        )
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut printed = printed.split("@@@\n").skip(1);
    let mut lines = block.lines.iter().peekable();
    while let Some(command) = lines.next() {
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push(line.clone());
        }
        let said = printed
            .next()
            .unwrap_or_else(|| panic!("{command} did not run"));
        let mut sorted: Vec<_> = said.lines().collect();
        // Files of a folder are reported as they are done; the text shows them by name.
        let findings = sorted
            .iter()
            .take_while(|line| line.starts_with('"'))
            .count();
        sorted[..findings].sort_unstable();
        assert!(
            all_match(&expected, &sorted),
            "{command} printed\n{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn is_command(line: &str) -> bool {
    let verb = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    ["SCAN/", "ENABLE ", "DISABLE ", "QUIT"]
        .iter()
        .any(|word| verb.starts_with(word))
}

fn telnet(block: &Block, daemon: &Daemon, folder: &Path) {
    let mut talk: Talk = daemon.connect_silently();
    for line in block.lines.iter().filter(|line| !line.starts_with("$ ")) {
        // Names that are sent are real ones.
        let sent = line
            .replace('…', &format!("{}/", folder.display()))
            .replace("//", "/");
        if !is_command(line) {
            let said = talk.text();
            assert!(matches(line, &said), "instead of\n{line}\ncame\n{said}");
        } else {
            talk.send(sent + "\r\n");
        }
    }
    assert_eq!(talk.rest(), b"");
}

/// Each line that is sent is a connection of its own, and what is said on it stands below.
fn clamd(block: &Block, daemon: &Daemon) {
    let mut lines = block.lines.iter();
    while let Some(sent) = lines.next() {
        let sent = sent.strip_prefix("C: ").unwrap();
        let said = lines.next().and_then(|line| line.strip_prefix("S: "));
        let mut stream = std::net::TcpStream::connect(&daemon.places[1]).unwrap();
        stream.write_all(&unescape(sent)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = escape(&answer);
        assert!(
            matches(said.unwrap(), &answer),
            "after {sent}\ncame {answer}"
        );
    }
}

#[test]
fn what_the_documentation_shows_is_what_happens() {
    if !has_tools(&["bash", "curl", "tar", "gzip", "head", "find", "grep"]) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&["--threads=1", "--vfdclam-port=0", "--http-port=0"]);
    let mut played = 0;
    for file in [
        "README.md",
        "docs/operating/updates.md",
        "docs/verdicts.md",
        "docs/signatures/README.md",
        "docs/signatures/cvdl.md",
        "docs/signatures/digests.md",
        "docs/vfind.md",
        "docs/vfindd.md",
        "docs/vfindc.md",
        "docs/protocols/clamd.md",
        "docs/protocols/http.md",
        "docs/protocols/svsp.md",
        "docs/vfindc-output.md",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for block in blocks(&text) {
            match block.kind.as_str() {
                "console" => console(&block, &daemon, folder.path()),
                "clamd" => clamd(&block, &daemon),
                "telnet" => telnet(&block, &daemon, folder.path()),
                _ => continue,
            }
            played += 1;
        }
    }
    assert!(played >= 4, "{played} blocks");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    files.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for folder in ["docs/operating", "docs/protocols", "docs/signatures"] {
        files.extend(
            std::fs::read_dir(root.join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|ext| ext == "md"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if !link.contains("://") && !link.starts_with('#') {
                assert!(
                    file.parent().unwrap().join(link).exists(),
                    "{}: {link}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn every_option_of_the_programs_is_one_that_they_have() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = String::new();
    for program in [
        env!("CARGO_BIN_EXE_vfindd"),
        env!("CARGO_BIN_EXE_vfind"),
        env!("CARGO_BIN_EXE_vfindc"),
    ] {
        let help = Command::new(program).arg("--help").output().unwrap();
        known += &String::from_utf8(help.stdout).unwrap();
    }
    // Those that are documented as not supported.
    for row in vfind::config::refused::REFUSED {
        known += &row.options.join(" ");
    }
    for file in [
        "README.md",
        "docs/operating/log.md",
        "docs/operating/metrics.md",
        "docs/operating/updates.md",
        "docs/verdicts.md",
        "docs/signatures/README.md",
        "docs/signatures/cvdl.md",
        "docs/signatures/digests.md",
        "docs/vfindc.md",
        "docs/protocols/http.md",
        "docs/architecture.md",
        "docs/changelog.md",
        "docs/gateways.md",
        "docs/vfind.md",
        "docs/vfindd.md",
        "docs/vfindc-output.md",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for code in text.split('`').skip(1).step_by(2) {
            if let Some(option) = code.strip_prefix("--") {
                let name: String = option
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                    .collect();
                assert!(known.contains(&format!("--{name}")), "{file}: --{name}");
            }
        }
    }
}

#[test]
fn every_kind_of_container_is_named_where_expand_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["docs/protocols/svsp.md", "docs/formats.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for kind in vfind::kind::KINDS {
            assert!(
                text.contains(&format!("`{}`", kind.name)),
                "{page}: {}",
                kind.name
            );
        }
    }
}

/// Each row of the paper names files and functions that test it; what is renamed or deleted is missed here.
#[test]
fn every_line_of_the_paper_is_tested_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/protocols/svsp.md")).unwrap();
    let table = text.split("## The paper, line by line").nth(1).unwrap();
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests/it")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for row in rows.iter().skip(1).filter(|row| !row.contains("FAQ 7")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "not tested: {row}");
        for test in tests {
            let there = match test.strip_suffix(".txt") {
                Some(_) => root.join("tests/data/wire/svsp").join(test).exists(),
                None => {
                    sources.contains(&format!("#[test]\nfn {test}("))
                        || sources.contains(&format!("    #[test]\n    fn {test}("))
                        || sources.contains(&format!("    #[test]\n    fn {test}(\n"))
                }
            };
            assert!(there, "no test is called {test}: {row}");
        }
    }
}

/// Each program that is tried as a gateway is told about, with the file of its test.
#[test]
fn the_page_of_gateways_names_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/gateways.md")).unwrap();
    let codes = page.split('`').skip(1).step_by(2);
    let mut named: Vec<_> = codes.filter(|code| code.ends_with(".rs")).collect();
    named.sort_unstable();
    named.dedup();
    let folder = std::fs::read_dir(root.join("tests/it/gateways")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // What the programs have in common.
    let common = ["mod.rs", "postfix.rs", "smtp.rs", "support.rs"];
    let mut files: Vec<_> = files
        .filter(|name| !common.contains(&name.as_str()))
        .collect();
    files.sort_unstable();
    assert_eq!(named, files);
}
