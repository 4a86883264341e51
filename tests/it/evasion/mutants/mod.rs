//! Whatever an ordinary extractor gets out of a container that was changed at random is matched, or lies in a gap.
//!
//! `VFIND_MUTANTS=N` makes N mutants instead of 2,000, `VFIND_SEED=N` others, `VFIND_KIND=NAME` those of one format.

mod formats;
mod layout;
mod mend;
mod mutate;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::formats::{FORMATS, Format};
use self::mutate::Stock;
use self::server::Extractors;
use super::extractors::{Extractor, PROGRAMS};
use crate::support::{eicar, has_tools, tools_are_required, zip};

/// What one of two signatures looks for at the start of an object: what lies plainly in its container is not found but by reading
/// this as a reader does. The other is the marker, anywhere.
fn start() -> &'static [u8] {
    b"Harmless words that a signature looks for at the start of an object.\n"
}

/// Mutants that are scanned by one process.
const BATCH: usize = 200;

/// Of the mutants that are not clean, one in so many is given to the extractors: only to know that these still get something.
const SHARE: usize = 8;

/// One format with all that its mutants need.
struct Kind {
    format: &'static Format,
    samples: Vec<Vec<u8>>,
    extractors: Vec<Extractor>,
}

impl Kind {
    fn stock(&self) -> Stock<'_> {
        Stock {
            samples: &self.samples,
            layout: self.format.layout,
            mend: self.format.mend,
            words: self.format.words,
        }
    }
}

/// What is said of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Found,
    Gap,
    Clean,
}

/// What came of the mutants of a format.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    all: usize,
    found: usize,
    gaps: usize,
    asked: usize,
    given: usize,
    /// Given out, and only a gap.
    given_gap: usize,
}

struct Run {
    kinds: Vec<Kind>,
    seed: u64,
    count: usize,
    next: AtomicUsize,
    signatures: PathBuf,
    folder: PathBuf,
    counts: Mutex<BTreeMap<&'static str, Count>>,
    missed: Mutex<Vec<String>>,
}

impl Run {
    fn work(&self, thread: usize) {
        let folder = self.folder.join(format!("thread-{thread}"));
        fs::create_dir(&folder).unwrap();
        let mut extractors = Extractors::start(folder.join("room"));
        loop {
            let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= self.count {
                return;
            }
            let numbers = first..self.count.min(first + BATCH);
            self.batch(numbers, &folder, &mut extractors);
        }
    }

    fn batch(&self, numbers: std::ops::Range<usize>, folder: &Path, extractors: &mut Extractors) {
        let mut mutants = Vec::new();
        for number in numbers {
            let kind = &self.kinds[number % self.kinds.len()];
            let seed = self.seed.wrapping_mul(1 << 32).wrapping_add(number as u64);
            let mutant = kind.stock().mutant(seed);
            let path = folder.join(format!("{number}.{}", kind.format.suffix));
            fs::write(&path, mutant.bytes).unwrap();
            mutants.push((number, kind, path, mutant.changes));
        }
        let answers = answers(
            mutants.iter().map(|(_, _, path, _)| &**path),
            &self.signatures,
        );
        for ((number, kind, path, changes), answer) in mutants.into_iter().zip(answers) {
            // Those of a format are a step apart.
            let is_asked =
                answer == Answer::Clean || (number / self.kinds.len()).is_multiple_of(SHARE);
            let given = is_asked.then(|| extractors.first(&kind.extractors, &path));
            let given = given.flatten();
            if let Some(extractor) = given.filter(|_| answer == Answer::Clean) {
                let kept = self.kept(&path, kind.format.name);
                let missed = format!(
                    "{}, seed {}: {extractor} gives the marker out: {}",
                    kept.display(),
                    self.seed,
                    changes.join("; ")
                );
                println!("{missed}");
                self.missed.lock().unwrap().push(missed);
            }
            self.count(
                kind.format.name,
                (number / self.kinds.len()).is_multiple_of(SHARE),
                answer,
                given.is_some(),
            );
            fs::remove_file(path).unwrap();
        }
    }

    /// A copy that stays.
    fn kept(&self, path: &Path, format: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        fs::create_dir_all(&folder).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let copy = folder.join(format!("{format}-{}-{name}", self.seed));
        fs::copy(path, &copy).unwrap();
        copy
    }

    /// `is_sample` tells whether this one was picked without a look at the answer.
    fn count(&self, name: &'static str, is_sample: bool, answer: Answer, given: bool) {
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(name).or_default();
        count.all += 1;
        count.found += usize::from(answer == Answer::Found);
        count.gaps += usize::from(answer == Answer::Gap);
        if is_sample {
            count.asked += 1;
            count.given += usize::from(given);
            count.given_gap += usize::from(given && answer == Answer::Gap);
        }
    }
}

fn vfind<'a>(paths: impl Iterator<Item = &'a Path>, signatures: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vfind"))
        .args(["--tree=json", "--html=3", "--database"])
        .arg(signatures)
        .args(paths)
        .output()
        .unwrap()
}

fn answers<'a>(paths: impl Iterator<Item = &'a Path> + Clone, signatures: &Path) -> Vec<Answer> {
    let output = vfind(paths.clone(), signatures);
    let answers: Vec<_> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .map(|json| answer(&json.unwrap()))
        .collect();
    let asked: Vec<_> = paths.collect();
    assert_eq!(answers.len(), asked.len(), "{asked:?}: {output:?}");
    answers
}

/// Of an object and all in it.
fn answer(json: &serde_json::Value) -> Answer {
    let has = |field: &str| json[field].as_array().is_some_and(|all| !all.is_empty());
    let mut best = match (has("findings"), has("gaps")) {
        (true, _) => Answer::Found,
        (false, true) => Answer::Gap,
        (false, false) => Answer::Clean,
    };
    for member in json["members"].as_array().into_iter().flatten() {
        best = match (best, answer(member)) {
            (Answer::Found, _) | (_, Answer::Found) => Answer::Found,
            (Answer::Gap, _) | (_, Answer::Gap) => Answer::Gap,
            _ => Answer::Clean,
        };
    }
    best
}

fn setting(name: &str) -> Option<usize> {
    Some(std::env::var(name).ok()?.parse().unwrap())
}

fn has_libraries() -> bool {
    let libraries = ["-c", "import libarchive, olefile, pypdf"];
    let status = Command::new("python3")
        .args(libraries)
        .stderr(Stdio::null())
        .status();
    let has = status.is_ok_and(|status| status.success());
    let required = tools_are_required();
    assert!(
        has || !required,
        "Python's libarchive, olefile and pypdf must be installed"
    );
    if !has {
        println!("skipped: Python's libarchive, olefile and pypdf not found");
    }
    has
}

#[test]
fn what_an_extractor_gets_out_of_a_mutant_is_found_or_lies_in_a_gap() {
    const MAKERS: &[&str] = &[
        "ar",
        "arj",
        "cpio",
        "gcab",
        "genisoimage",
        "jlha",
        "mksquashfs",
        "wimlib-imagex",
        "zip",
    ];
    if !has_tools(PROGRAMS) || !has_tools(MAKERS) || !has_libraries() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let signatures = folder.path().join("start.ndb");
    let hex = data_encoding::HEXLOWER.encode(start());
    fs::write(&signatures, format!("Start:0:0:{hex}\n")).unwrap();
    let wanted = std::env::var("VFIND_KIND").ok();
    let formats = FORMATS.iter();
    let kinds = formats.filter(|format| wanted.as_ref().is_none_or(|wanted| wanted == format.name));
    let run = Run {
        kinds: kinds
            .map(|format| Kind {
                format,
                samples: format.samples(folder.path()),
                extractors: format.extractors(),
            })
            .collect(),
        seed: setting("VFIND_SEED").unwrap_or(1) as u64,
        count: setting("VFIND_MUTANTS").unwrap_or(2000),
        next: AtomicUsize::new(0),
        signatures,
        folder: folder.path().to_owned(),
        counts: Mutex::default(),
        missed: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for thread in 0..threads {
            let run = &run;
            scope.spawn(move || run.work(thread));
        }
    });
    let counts = run.counts.into_inner().unwrap();
    let mut total = Count::default();
    println!(
        "format: mutants, found, with a gap alone; of those asked about given out, and with a gap alone"
    );
    for (name, count) in &counts {
        let Count {
            all,
            found,
            gaps,
            asked,
            given,
            given_gap,
        } = count;
        println!("{name}: {all}, {found}, {gaps}; {asked}: {given}, {given_gap}");
        total.asked += asked;
        total.given += given;
    }
    let missed = run.missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{} missed, above", missed.len());
    // Else the mutants hold nothing that could be missed.
    assert!(total.given * 100 > total.asked * 30, "{total:?}");
}

#[test]
fn answers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let signatures = write("start.ndb", b"Start:0:0:4861726d6c65737320776f726473\n");
    let behind = [b" ", start()].concat();
    let mut cut = zip(&[("a", start())]);
    cut.truncate(30);
    let rows = [
        (write("marker", &zip(&[("a", &eicar())])), Answer::Found),
        (write("start", &zip(&[("a", start())])), Answer::Found),
        (write("behind", &zip(&[("a", &behind)])), Answer::Clean),
        (write("cut", &cut), Answer::Gap),
    ];
    let got = answers(rows.iter().map(|(path, _)| &**path), &signatures);
    assert_eq!(got, rows.map(|(_, answer)| answer));
}
