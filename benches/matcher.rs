//! The matcher alone, without files, workers and protocols: MiB in a second by signatures and by content.
//! `VFIND_CORPUS=FOLDER VFIND_LIMITS=FOLDER cargo bench --bench matcher`, or with names of sets behind `--` (`-- S10k S1M`),
//! and `--turns=5`, `--mib=64`.
//!
//! docs/benchmarks.md says what the folders hold. Beside each figure is the ratio to SHA-256 of the same bytes and to reading
//! as many out of a file that the system has in memory, each measured right before, and to Vectorscan if it is there. A set is
//! measured twice: all its signatures, and its literals alone, which is what Vectorscan searches for. Without a corpus the
//! signatures are made up, and the programs are this one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use vfind::database::read_again;
use vfind::database::sources::Sources;
use vfind::engine::search::Extent;
use vfind::engine::{Compiler, Database, Matcher, Subject};
use vfind::executable;
use vfind::filetype::recognise;
use vfind::object::{CHUNK, Object};
use vfind::stop::Stop;
use vfind::view::Form;

const SETS: [&str; 4] = ["S1k", "S10k", "S100k", "S1M"];
/// What is wanted of the literals of a set in programs: so many times Vectorscan.
const WANTED: [(&str, f64); 3] = [("S10k", 2.0), ("S100k", 3.0), ("S1M", 4.0)];
/// And of the growth of the time for a byte from the first set to the second.
const GROWTH: (&str, &str, f64) = ("S10k", "S1M", 9.0);
/// What a measurement takes at least: shorter ones are repeated.
const SHORTEST: Duration = Duration::from_millis(200);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, otherwise: usize| {
        let given = |argument: &String| argument.strip_prefix(name)?.parse().ok();
        arguments.iter().find_map(given).unwrap_or(otherwise)
    };
    let names: Vec<_> = arguments
        .iter()
        .filter(|one| !one.starts_with("--"))
        .collect();
    let (turns, mib) = (option("--turns=", 3), option("--mib=", 64));
    let scratch = tempfile::tempdir().unwrap();
    let corpus = std::env::var_os("VFIND_CORPUS").map(PathBuf::from);
    let sets: Vec<(String, PathBuf)> = match &corpus {
        Some(corpus) => {
            let sets = SETS
                .iter()
                .filter(|set| names.is_empty() || names.iter().any(|name| name == *set));
            sets.map(|set| ((*set).to_owned(), corpus.join("sigs").join(set)))
                .collect()
        }
        None => vec![("made up".to_owned(), made_up(scratch.path()))],
    };
    let programs = corpus.as_ref().map_or_else(
        || std::env::current_exe().unwrap(),
        |corpus| corpus.join("onebig/big.bin"),
    );
    let contents = contents(corpus.as_deref(), &programs, mib << 20);
    let vectorscan =
        std::env::var_os("VFIND_LIMITS").map(|folder| PathBuf::from(folder).join("hs"));
    if vectorscan.is_none() {
        println!("Vectorscan is left out: VFIND_LIMITS names no folder with limits.py's programs");
    }
    println!(
        "| signatures | content | MiB | found | MiB/s | of SHA-256 | of reading | of Vectorscan | wanted |\n|---|---|---|---|---|---|---|---|---|"
    );
    let mut growing = HashMap::new();
    for (name, folder) in &sets {
        let literals = folder.join("literals.hex");
        let mut kinds = vec![("all", folder.clone())];
        if literals.exists() {
            kinds.push(("literals", as_signatures(&literals, scratch.path())));
        }
        for (kind, path) in kinds {
            let database = compile(&path);
            for (about, content) in &contents {
                let row = measure(&database, content, &programs, turns);
                let is_compared = kind == "literals" && *about == "programs";
                let peer = vectorscan.as_ref().filter(|_| is_compared);
                let peer =
                    peer.and_then(|program| by_vectorscan(program, &literals, &programs, mib));
                let wanted = WANTED.iter().find(|one| one.0 == name && is_compared);
                println!(
                    "| {name}, {kind} | {about} | {} | {} | {:.0} | {:.2} | {:.2} | {} | {} |",
                    content.len() >> 20,
                    row.found,
                    row.rate,
                    row.of_sha,
                    row.of_reading,
                    peer.map_or_else(String::new, |rate| format!("{:.2}", row.rate / rate)),
                    wanted.map_or_else(String::new, |one| format!(
                        "at least {} of Vectorscan",
                        one.1
                    )),
                );
                growing.insert((name.clone(), kind, *about), row.rate);
            }
        }
    }
    growth(&growing, &contents);
}

/// How many times longer a byte takes with the larger set.
fn growth(rates: &HashMap<(String, &str, &str), f64>, contents: &[(&'static str, Vec<u8>)]) {
    let (few, many, most) = GROWTH;
    if !rates.keys().any(|key| key.0 == few) || !rates.keys().any(|key| key.0 == many) {
        return;
    }
    println!("\nTime for a byte with {many} against {few}, wanted at most {most}:\n");
    for kind in ["all", "literals"] {
        for (about, _) in contents {
            let rate = |set: &str| rates.get(&(set.to_owned(), kind, *about));
            if let (Some(few), Some(many)) = (rate(few), rate(many)) {
                println!("- {kind}, {about}: {:.2} times", few / many);
            }
        }
    }
}

/// Classes of content: programs, texts, what compresses to nothing and what does not compress.
fn contents(corpus: Option<&Path>, programs: &Path, most: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut binary = Vec::new();
    let file = File::open(programs).unwrap();
    file.take(most as u64).read_to_end(&mut binary).unwrap();
    let mut contents = vec![("programs", binary)];
    let mut text = Vec::new();
    let folder = corpus.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"),
        |corpus| corpus.join("small/text"),
    );
    read_all(&folder, &mut text);
    text.truncate(most);
    contents.push(("texts", text));
    let mut next = random();
    let random = (0..most / 8).flat_map(|_| next().to_le_bytes()).collect();
    contents.push(("random", random));
    contents.push(("zeros", vec![0; most]));
    contents
}

fn read_all(folder: &Path, content: &mut Vec<u8>) {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => read_all(&path, content),
            false => content.extend(fs::read(path).unwrap()),
        }
    }
}

fn random() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn made_up(folder: &Path) -> PathBuf {
    let (mut next, mut text) = (random(), String::new());
    for number in 0..10_000 {
        write!(text, "Made.Up-{number}:0:*:").unwrap();
        for _ in 0..12 + next() % 90 {
            write!(text, "{:02x}", next() & 0xff).unwrap();
        }
        text.push('\n');
    }
    let folder = folder.join("made-up");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("made-up.ndb"), text).unwrap();
    folder
}

/// Literals, one a line, as signatures that hold wherever they occur.
fn as_signatures(literals: &Path, scratch: &Path) -> PathBuf {
    let literals = fs::read_to_string(literals).unwrap();
    let lines = literals.lines().enumerate();
    let text: String = lines
        .map(|(number, literal)| format!("Literal-{number}:0:*:{literal}\n"))
        .collect();
    let file = scratch.join("literals.ndb");
    fs::write(&file, text).unwrap();
    file
}

fn compile(path: &Path) -> Database {
    let sources = Sources {
        databases: vec![path.to_owned()],
        ..Sources::default()
    };
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    for source in sources.list().unwrap().sources {
        read_again(&source, &mut compiler).unwrap();
    }
    compiler.open().unwrap()
}

struct Row {
    rate: f64,
    of_sha: f64,
    of_reading: f64,
    found: usize,
}

/// SHA-256, reading and the matcher in turn.
fn measure(database: &Database, content: &[u8], file: &Path, turns: usize) -> Row {
    let mib = content.len() as f64 / f64::from(1 << 20);
    let object = Object::memory(content.to_vec().into(), Stop::never());
    let mut found = 0;
    let mut rows = Vec::new();
    for _ in 0..turns {
        let sha = mib / seconds(|| _ = black_box(Sha256::digest(content)));
        let mut read = 0;
        let reading = seconds(|| read = read_through(file, content.len()));
        let reading = read as f64 / f64::from(1 << 20) / reading;
        let rate = mib / seconds(|| found = matched(database, content, &object));
        rows.push((rate, sha, reading));
    }
    Row {
        rate: median(rows.iter().map(|row| row.0)),
        of_sha: median(rows.iter().map(|row| row.0 / row.1)),
        of_reading: median(rows.iter().map(|row| row.0 / row.2)),
        found,
    }
}

/// The number of signatures that hold.
fn matched(database: &Database, content: &[u8], object: &Object) -> usize {
    let layout = match database.needs_layout() {
        true => executable::layout(object).unwrap(),
        false => None,
    };
    let extent = Extent {
        length: Some(object.length()),
        layout: Some(layout.clone().unwrap_or_default()),
    };
    let mut matcher = Matcher::new(database, extent, Stop::never());
    for chunk in content.chunks(CHUNK) {
        matcher.feed(chunk).expect("nothing stops it");
    }
    let matches = matcher.finish(&Subject {
        form: Form::Content,
        file_type: recognise(&object.probe().unwrap()),
        layout: layout.as_ref(),
        containers: &[],
        object: Ok(object),
        name: b"",
        allowed: false,
        contiguous: 128 << 20,
    });
    matches.findings.len()
}

/// Reads so many bytes of a file, or all that it has, and gives how many.
fn read_through(file: &Path, bytes: usize) -> usize {
    let mut file = File::open(file).unwrap();
    let (mut buffer, mut read) = (vec![0; CHUNK], 0);
    while read < bytes {
        match file.read(&mut buffer).unwrap() {
            0 => break,
            more => read += more,
        }
        black_box(&buffer);
    }
    read
}

/// MiB in a second, the median of its three runs.
fn by_vectorscan(program: &Path, literals: &Path, content: &Path, mib: usize) -> Option<f64> {
    let mut command = Command::new(program);
    command.arg(literals).arg(content).arg("0");
    let output = command.arg(mib.to_string()).output();
    let output = output.expect("limits.py has built hs");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rate) = text.split_once("\"mib_s\": ")?;
    rate.split([',', '}']).next()?.trim().parse().ok()
}

/// How long it takes, once.
fn seconds(mut work: impl FnMut()) -> f64 {
    let (begun, mut times) = (Instant::now(), 0);
    while times == 0 || begun.elapsed() < SHORTEST {
        work();
        times += 1;
    }
    begun.elapsed().as_secs_f64() / f64::from(times)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
