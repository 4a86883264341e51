//! CVDL as people write it: the cases of `tests/data/cvdl` and the examples of docs/signatures/cvdl.md, loaded and matched
//! as everywhere else.

use std::path::{Path, PathBuf};
use std::process::Command;

use vfind::engine::search::Extent;
use vfind::engine::{Database, Matcher, Subject};
use vfind::event::Reason;
use vfind::filetype::{FileType, TYPES, UNKNOWN};
use vfind::signature::cvdl::{Cvdl, Strict};
use vfind::signature::{Batch, Complaint, Format};
use vfind::stop::Stop;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(format: &dyn Format, text: &str) -> Batch {
    let mut batch = Batch::default();
    batch.read(format, text.as_bytes(), "case");
    batch
}

/// The names of the rules that hold on this content, in their order.
fn holding(database: &Database, content: &[u8], file_type: &'static FileType) -> Vec<String> {
    let mut matcher = Matcher::new(database, Extent::default(), Stop::never());
    for chunk in content.chunks(3) {
        matcher.feed(chunk).unwrap();
    }
    let subject = Subject {
        form: vfind::view::Form::Content,
        file_type,
        layout: None,
        containers: &[],
        object: Err(&Reason::Corrupt),
        name: b"",
        allowed: false,
        contiguous: u64::MAX,
    };
    let matches = matcher.finish(&subject);
    assert_eq!(matches.gaps, []);
    let names = matches.findings.into_iter();
    names.map(|found| found.signature.name).collect()
}

/// The bytes of what a case writes as in a string of the language.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'n' => b'\n',
                b't' => b'\t',
                other => other,
            },
            other => other,
        });
    }
    out
}

fn complained(complaints: &[Complaint], expected: &str, case: &str) {
    let (line, words) = expected.split_once(' ').unwrap();
    let line: u32 = line.parse().unwrap();
    let there = complaints
        .iter()
        .any(|one| one.line == line && one.reason.contains(words));
    assert!(there, "{case}: {expected}: {complaints:?}");
}

/// A case or an example: its rules, and what must come of them.
struct Case<'a> {
    name: String,
    text: &'a str,
    batch: Batch,
    database: Database,
    rules: usize,
}

impl<'a> Case<'a> {
    fn load(name: &str, text: &'a str) -> Self {
        let batch = read(&Cvdl, text);
        let signatures = batch.signatures().to_vec();
        let mut names: Vec<_> = signatures.iter().map(|one| one.name.clone()).collect();
        names.sort();
        names.dedup();
        Self {
            name: name.to_owned(),
            text,
            database: Database::compile(signatures).unwrap(),
            rules: names.len(),
            batch,
        }
    }

    fn on(&self, data: &str) -> Vec<String> {
        holding(&self.database, &bytes(data), &UNKNOWN)
    }

    fn check(&self, expected: &str) {
        let (word, rest) = expected.split_once(' ').unwrap_or((expected, ""));
        let name = &self.name;
        match word {
            "match" => assert_eq!(self.on(rest).len(), self.rules, "{name}: {expected}"),
            "no" => assert_eq!(self.on(rest), [""; 0], "{name}: {expected}"),
            "loads" => {
                let signatures = self.batch.signatures();
                let names: Vec<_> = signatures
                    .iter()
                    .map(|one| one.name.name.as_str())
                    .collect();
                let all = names.join(" ");
                assert_eq!(all, rest, "{name}");
            }
            "error" => complained(self.batch.complaints(), rest, name),
            "strict" => {
                assert_eq!(self.batch.complaints(), [], "{name}");
                let strict = read(&Strict, self.text);
                complained(
                    strict.complaints(),
                    rest.strip_prefix("error ").unwrap(),
                    name,
                );
            }
            "type" => {
                let (title, names) = rest.split_once(": ").unwrap();
                let mut types = TYPES.iter().chain([&UNKNOWN]);
                let file_type = types.find(|row| row.title == title).unwrap();
                let found = holding(&self.database, b"a...b", file_type);
                assert_eq!(found.join(" "), names, "{name}: {title}");
            }
            // Each file is read by itself, so that it changes nothing.
            "before" => assert_eq!(read(&Cvdl, rest).complaints(), []),
            "says" => {}
            _ => panic!("{name}: {expected}"),
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("tests/data/cvdl")).unwrap();
    let mut cases: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|end| end == "cvdl"));
    cases.sort();
    cases
}

#[test]
fn the_cases_of_the_papers_and_of_our_extensions() {
    let cases = cases();
    assert!(cases.len() >= 32, "{}", cases.len());
    for path in cases {
        let text = std::fs::read_to_string(&path).unwrap();
        let case = Case::load(&path.display().to_string(), &text);
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let is_wrong = expected.lines().any(|line| line.starts_with("error "));
        assert_eq!(
            case.batch.complaints().is_empty(),
            !is_wrong,
            "{}",
            case.name
        );
        for line in expected.lines() {
            case.check(line);
        }
    }
}

/// In blocks marked `cvdl` of the documentation, lines behind a comment `; matches:` or `; does not match:` are content.
#[test]
fn the_examples_of_the_documentation() {
    let text = std::fs::read_to_string(root().join("docs/signatures/cvdl.md")).unwrap();
    let blocks: Vec<_> = text.split("```cvdl\n").skip(1).collect();
    let mut checked = 0;
    for (number, block) in blocks.iter().enumerate() {
        let block = block.split("```").next().unwrap();
        let case = Case::load(&format!("example {number}"), block);
        assert_eq!(case.batch.complaints(), [], "{block}");
        assert!(case.rules > 0, "{block}");
        for line in block.lines() {
            for (mark, word) in [("; matches: ", "match "), ("; does not match: ", "no ")] {
                if let Some(data) = line.strip_prefix(mark) {
                    case.check(&format!("{word}{data}"));
                    checked += 1;
                }
            }
        }
    }
    assert!(
        blocks.len() >= 8 && checked >= 30,
        "{} {checked}",
        blocks.len()
    );
}

#[test]
fn what_vfind_says_of_a_file_when_it_loads_it() {
    for path in cases() {
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let expected: Vec<_> = expected
            .lines()
            .filter_map(|line| line.strip_prefix("says "))
            .collect();
        if expected.is_empty() {
            continue;
        }
        let said = |quiet: &str| {
            let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
                .current_dir(path.parent().unwrap())
                .arg(format!("--vdl={}", path.file_name().unwrap().display()))
                .args([quiet, "README.md"])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let lines = text
                .lines()
                .filter(|line| ["VDL", "SmartScan"].iter().any(|word| line.contains(word)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(said("--quiet=0"), expected);
        let notices: Vec<_> = expected
            .iter()
            .filter(|line| line.starts_with("##==>>"))
            .collect();
        assert_eq!(
            said("--quiet=1").iter().collect::<Vec<_>>().len(),
            notices.len()
        );
        assert_eq!(said("--quiet=2"), [""; 0]);
    }
}
