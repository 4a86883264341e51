//! Runs a family of signatures over files and holds the two sets of findings against each other.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::clamscan;
use super::ours;
use super::{bodies, digests, logical, programs};
use crate::random::Random;
use crate::support::has_tools;

/// Files of one run. Signatures are as many as make the wanted number of pairs.
pub(super) const FILES: usize = 50;

/// Pairs of a run, when nobody wishes otherwise.
const PAIRS: usize = 5_000;

/// Makes a program.
type MakeProgram = fn(&mut Random) -> Vec<u8>;

/// Targets, and who makes such programs.
const PROGRAMS: [(u64, MakeProgram); 3] =
    [(1, programs::pe), (6, programs::elf), (9, programs::macho)];

/// What one family compares.
pub(super) struct Run {
    /// Sources: names, by which their formats are told, and texts of one signature a line.
    pub(super) sources: Vec<(String, String)>,
    /// Names and contents.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// A difference with a reason: the signature's line, the file, and whether it is found by us alone.
pub(super) type Known = fn(line: &str, content: &[u8], by_us: bool) -> bool;

fn signature_count() -> usize {
    let wanted = std::env::var("VFIND_PAIRS").ok();
    let pairs = wanted.map_or(PAIRS, |count| count.parse().unwrap());
    pairs.div_ceil(FILES)
}

/// Signatures of one run: enough that starting clamscan costs little, few enough that digests seldom repeat.
const PORTION: usize = 250;

/// Compares in portions, each with files of its own.
pub(super) fn compare(seed: u64, make: impl Fn(&mut Random, usize) -> Run, known: Known) {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let mut left = signature_count();
    let mut random = Random::new(seed);
    let mut held = 0;
    while left > 0 {
        let portion = left.min(PORTION);
        left -= portion;
        let run = make(&mut random, portion);
        held += compare_run(&run, known);
    }
    assert!(held > 20, "hardly anything was found: {held}");
}

/// The number of findings that both have.
fn compare_run(run: &Run, known: Known) -> usize {
    let (held, differences) = differences(run, known);
    let Some(first) = differences.first() else {
        return held;
    };
    let mut text = String::new();
    let mut told = BTreeSet::new();
    for one in &differences {
        if told.insert(&one.signature) && told.len() < 20 {
            writeln!(text, "{}", one.shown(run)).unwrap();
        }
    }
    eprintln!("{text}");
    let smaller = smaller(run, first, known);
    writeln!(text, "\nThe first one made smaller:").unwrap();
    for (name, lines) in &smaller.sources {
        writeln!(text, "{name}:\n{lines}").unwrap();
    }
    for (name, content) in &smaller.files {
        let (length, content) = (content.len(), content.escape_ascii());
        writeln!(text, "{name}: {length} bytes: {content}").unwrap();
    }
    panic!("{} differences\n{text}", differences.len());
}

/// A finding that one of both has.
struct Difference {
    signature: String,
    file: String,
    by_us: bool,
}

impl Difference {
    fn shown(&self, run: &Run) -> String {
        let who = match self.by_us {
            true => "we alone",
            false => "clamscan alone",
        };
        let line = line_of(&run.sources, &self.signature);
        format!("{who} in {}: {line}", self.file)
    }
}

/// How many findings both have, and those that one has.
fn differences(run: &Run, known: Known) -> (usize, Vec<Difference>) {
    let folder = tempfile::tempdir().unwrap();
    let (database, contents) = (folder.path().join("database"), folder.path().join("files"));
    std::fs::create_dir(&database).unwrap();
    std::fs::create_dir(&contents).unwrap();
    for (name, text) in &run.sources {
        std::fs::write(database.join(name), text).unwrap();
    }
    for (name, content) in &run.files {
        std::fs::write(contents.join(name), content).unwrap();
    }
    let theirs = clamscan::scan(&database, &contents);
    let ours = ours::scan(&ours::compile(&run.sources), &run.files);
    let mut differences = Vec::new();
    let mut held = 0;
    for (name, content) in &run.files {
        let empty = BTreeSet::new();
        let (we, they) = (
            ours.get(name).unwrap_or(&empty),
            theirs.get(name).unwrap_or(&empty),
        );
        held += we.intersection(they).count();
        for signature in we.symmetric_difference(they) {
            let line = line_of(&run.sources, signature);
            let by_us = we.contains(signature);
            let is_known = known(line, content, by_us)
                || is_any_gap(line, by_us)
                || ends_early(line, content, by_us);
            if !is_known {
                differences.push(Difference {
                    signature: signature.clone(),
                    file: name.clone(),
                    by_us,
                });
            }
        }
    }
    (held, differences)
}

/// The runs of clamscan that making a difference smaller may cost.
const TRIES: usize = 40;

/// A run with fewer signatures, the file alone and less of it, in which the difference is still there.
fn smaller(run: &Run, difference: &Difference, known: Known) -> Run {
    let mut tries = TRIES;
    let mut stays = |run: &Run| {
        tries = tries.saturating_sub(1);
        let same = |other: &Difference| {
            (&other.signature, &other.file, other.by_us)
                == (&difference.signature, &difference.file, difference.by_us)
        };
        tries > 0 && !run.sources.is_empty() && differences(run, known).1.iter().any(same)
    };
    let with = |lines: &[(String, String)], content: &[u8]| {
        let of = |name: &String| {
            let own = lines.iter().filter(|(source, _)| source == name);
            own.map(|(_, line)| line.clone() + "\n").collect()
        };
        let sources = run.sources.iter().map(|(name, _)| (name.clone(), of(name)));
        // clamscan takes no empty ones.
        let sources = sources.filter(|(_, text): &(String, String)| !text.is_empty());
        Run {
            sources: sources.collect(),
            files: vec![(difference.file.clone(), content.to_vec())],
        }
    };
    let mut lines: Vec<(String, String)> = (run.sources.iter())
        .flat_map(|(name, text)| text.lines().map(|line| (name.clone(), line.to_owned())))
        .collect();
    let mut content = run
        .files
        .iter()
        .find(|(name, _)| *name == difference.file)
        .map_or(vec![], |(_, content)| content.clone());
    let own = line_of(&run.sources, &difference.signature);
    let alone: Vec<_> = (lines.iter().filter(|(_, line)| line == own).cloned()).collect();
    if stays(&with(&alone, &content)) {
        lines = alone;
    }
    // Halves, then quarters and so on: of the signatures, and from the end of the file.
    let mut share = lines.len() / 2;
    while share > 0 && lines.len() > 1 {
        let mut at = 0;
        while at < lines.len() {
            let mut fewer = lines.clone();
            fewer.drain(at..(at + share).min(lines.len()));
            match stays(&with(&fewer, &content)) {
                true => lines = fewer,
                false => at += share,
            }
        }
        share /= 2;
    }
    let mut share = content.len() / 2;
    while share > 0 {
        let shorter = &content[..content.len().saturating_sub(share)];
        match stays(&with(&lines, shorter)) {
            true => content.truncate(shorter.len()),
            false => share /= 2,
        }
    }
    with(&lines, &content)
}

fn line_of<'a>(sources: &'a [(String, String)], signature: &str) -> &'a str {
    let mut lines = sources.iter().flat_map(|(_, text)| text.lines());
    let found = lines.find(|line| line.split([':', ';']).any(|field| field == signature));
    found.unwrap_or("a signature that nobody wrote")
}

/// clamscan takes `{0-0}` for any number of bytes, not for none.
fn is_any_gap(line: &str, by_us: bool) -> bool {
    !by_us && line.contains("{0-0}")
}

/// Behind a border in the middle of a body clamscan asks for the rest only as far as the content goes.
fn ends_early(line: &str, content: &[u8], by_us: bool) -> bool {
    let Some((_, body)) = line
        .rsplit_once(':')
        .filter(|_| !by_us && !line.contains(';'))
    else {
        return false;
    };
    let holds = |body: &str, content: &[u8]| {
        let line = format!("S:0:*:{body}");
        let sources = [("a.ndb".to_owned(), line.clone())];
        let files = [("f".to_owned(), content.to_vec())];
        ours::loads("ndb", &line) && !ours::scan(&ours::compile(&sources), &files).is_empty()
    };
    // The start of the body ends with the content: one byte more is there only if the content is longer.
    let forms = ours::normal_forms(content)
        .into_iter()
        .map(|(_, form)| form);
    let forms: Vec<Vec<u8>> = forms.chain([content.to_vec()]).collect();
    let at_end = |start: &str| {
        let start = format!("{start}??");
        let mut tails = forms
            .iter()
            .flat_map(|form| (0..form.len()).rev().take(80).map(|at| &form[at..]));
        tails.any(|tail| holds(&start, &[tail, b"~"].concat()) && !holds(&start, tail))
    };
    let behind = ["(B)", "(L)", "(W)"]
        .iter()
        .flat_map(|border| body.match_indices(border))
        .map(|(at, border)| at + border.len());
    // Between bytes, and not within alternatives or an edge.
    let is_whole = |part: &str| {
        let part = ["!", "(B)", "(L)", "(W)"]
            .iter()
            .fold(part.to_owned(), |part, edge| part.replace(edge, ""));
        let digits = part.bytes().filter(|byte| !b"(|)".contains(byte)).count();
        let is_part = |byte: u8| byte.is_ascii_hexdigit() || b"?(|)".contains(&byte);
        part.bytes().all(is_part)
            && digits % 2 == 0
            && part.matches('(').count() == part.matches(')').count()
    };
    let mut ends = behind.flat_map(|at| {
        (at..=body.len())
            .filter(move |end| !body[..*end].ends_with('!') && is_whole(&body[at..*end]))
    });
    ends.any(|end| at_end(&body[..end]))
}

fn nothing(_line: &str, _content: &[u8], _by_us: bool) -> bool {
    false
}

fn data_files(random: &mut Random) -> Vec<(String, Vec<u8>)> {
    (0..FILES)
        .map(|number| (format!("f{number}"), bodies::content(random)))
        .collect()
}

fn program_files(random: &mut Random, make: MakeProgram) -> Vec<(String, Vec<u8>)> {
    (0..FILES)
        .map(|number| (format!("f{number}"), make(random)))
        .collect()
}

pub(super) fn lines(count: usize, mut line: impl FnMut(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

#[test]
fn extended_signatures() {
    compare(
        1,
        |random, count| {
            let files = data_files(random);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                format!("S{number}:0:{}", bodies::signature(random, content))
            });
            Run {
                sources: vec![("a.ndb".to_owned(), text)],
                files,
            }
        },
        nothing,
    );
}

#[test]
fn extended_signatures_of_programs() {
    for (target, make) in PROGRAMS {
        compare(
            target,
            |random, count| {
                let files = program_files(random, make);
                let text = lines(count, |number| {
                    let (_, content) = random.pick(&files);
                    let wanted = if random.once_in(10) { 6 } else { target };
                    let signature = bodies::in_program(random, content);
                    format!("S{number}:{wanted}:{signature}")
                });
                Run {
                    sources: vec![("a.ndb".to_owned(), text)],
                    files,
                }
            },
            digests::gives_up,
        );
    }
}

#[test]
fn digests_of_files() {
    compare(
        20,
        |random, count| {
            let files = data_files(random);
            let text = |random: &mut Random, from: usize, sha: bool| {
                let all = lines(count / 2, |number| {
                    let (_, content) = random.pick(&files);
                    digests::of_file(random, content, &format!("S{}", from + number), sha)
                });
                digests::distinct(&all)
            };
            let sources = vec![
                ("a.hdb".to_owned(), text(random, 0, false)),
                ("a.hsb".to_owned(), text(random, count, true)),
            ];
            Run { sources, files }
        },
        nothing,
    );
}

#[test]
fn allowed_digests() {
    compare(
        21,
        |random, count| {
            let files = data_files(random);
            let allowed = |random: &mut Random, sha: bool| {
                lines(8, |number| {
                    let (_, content) = random.pick(&files);
                    digests::of_file(random, content, &format!("F{number}"), sha)
                })
            };
            let fp = allowed(random, false);
            let sfp = allowed(random, true);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                format!("S{number}:0:{}", bodies::signature(random, content))
            });
            let sources = vec![
                ("a.ndb".to_owned(), text),
                ("a.fp".to_owned(), fp),
                ("a.sfp".to_owned(), sfp),
            ];
            Run { sources, files }
        },
        nothing,
    );
}

#[test]
fn digests_of_sections() {
    compare(
        22,
        |random, count| {
            let files = program_files(random, programs::pe);
            let text = |random: &mut Random, from: usize, sha: bool| {
                let all = lines(count / 2, |number| {
                    let (_, content) = random.pick(&files);
                    digests::of_section(random, content, &format!("S{}", from + number), sha)
                });
                digests::distinct(&all)
            };
            let sources = vec![
                ("a.mdb".to_owned(), text(random, 0, false)),
                ("a.msb".to_owned(), text(random, count, true)),
            ];
            Run { sources, files }
        },
        digests::gives_up,
    );
}

#[test]
fn logical_signatures() {
    compare(
        30,
        |random, count| {
            let files = data_files(random);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                live(|| logical::signature(random, content, &format!("S{number}")))
            });
            Run {
                sources: vec![("a.ldb".to_owned(), text)],
                files,
            }
        },
        logical::counts_within_counts,
    );
}

/// A line of these that is searched for: a few counts over groups of groups are set aside, and a few parts.
pub(super) fn live(line: impl FnMut() -> String) -> String {
    let all = std::iter::repeat_with(line).take(50);
    let mut live = all.filter(|line| !ours::sets_aside("ldb", line));
    live.next().unwrap()
}

#[test]
fn logical_signatures_of_programs() {
    for (target, make) in PROGRAMS {
        compare(
            32 + target,
            |random, count| {
                let files = program_files(random, make);
                let text = lines(count, |number| {
                    let (_, content) = random.pick(&files);
                    let name = format!("S{number}");
                    live(|| logical::of_program(random, content, target, &name))
                });
                Run {
                    sources: vec![("a.ldb".to_owned(), text)],
                    files,
                }
            },
            |line, content, by_us| {
                // What does not hold may make a count hold, so either of both may be alone.
                digests::gives_up(line, content, true)
                    || line.contains(";SE")
                    || logical::counts_within_counts(line, content, by_us)
            },
        );
    }
}

#[test]
fn regular_expressions() {
    compare(
        40,
        |random, count| {
            let files = data_files(random);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                live(|| logical::with_regex(random, content, &format!("S{number}")))
            });
            Run {
                sources: vec![("a.ldb".to_owned(), text)],
                files,
            }
        },
        logical::begins_before_the_content,
    );
}

#[test]
fn byte_comparisons() {
    compare(
        41,
        |random, count| {
            let files = data_files(random);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                live(|| logical::with_comparison(random, content, &format!("S{number}")))
            });
            Run {
                sources: vec![("a.ldb".to_owned(), text)],
                files,
            }
        },
        nothing,
    );
}

#[test]
fn ignored_signatures() {
    compare(
        31,
        |random, count| {
            let files = data_files(random);
            let text = lines(count, |number| {
                let (_, content) = random.pick(&files);
                format!("S{number}:0:{}", bodies::signature(random, content))
            });
            let ignored = lines(count / 3, |_| format!("S{}", random.below(count)));
            Run {
                sources: vec![("a.ndb".to_owned(), text), ("a.ign2".to_owned(), ignored)],
                files,
            }
        },
        nothing,
    );
}
