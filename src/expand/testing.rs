//! What the tests of the expanders share: a [`Children`] that keeps all it is told, mutations, and real programs.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;

use super::{Children, Container, Content, Expander, Halt, Passwords};
use crate::event::{Limit, NoteKind, Reason};
use crate::object::Object;
use crate::stop::Stop;

/// A gap: member, reason, detail.
pub(super) type Said = (Option<Vec<u8>>, String, String);

/// Keeps members, gaps and notes, and reads a damaged stream up to its damage, as the walk does.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) children: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) gaps: Vec<Said>,
    pub(super) notes: Vec<String>,
    /// The expander said that the content is none of its own.
    pub(super) unlike: bool,
    /// There was more than [`ENOUGH`] of a member.
    full: bool,
}

/// A bomb is not read to its end; no test has more content than this.
const ENOUGH: u64 = 32 << 20;

impl Children for Recorder {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let mut bytes = Vec::new();
        let result = match content {
            Content::Object(object) => object.reader().take(ENOUGH).read_to_end(&mut bytes),
            Content::Stream(stream) => stream.take(ENOUGH).read_to_end(&mut bytes),
        };
        let is_enough = bytes.len() as u64 == ENOUGH;
        self.children.push((name.to_vec(), bytes));
        if is_enough {
            // As the walk does when the budget is used up.
            self.full = true;
            self.gap(Some(name), Reason::Limit(Limit::Expanded), String::new())?;
            return Err(Halt::Item);
        }
        if let Err(error) = result {
            assert!(error.raw_os_error().is_none(), "{error}");
            self.gap(Some(name), Reason::Corrupt, error.to_string())?;
        }
        Ok(())
    }

    fn gap(&mut self, member: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        self.gaps
            .push((member.map(<[u8]>::to_vec), reason.to_string(), detail));
        Ok(())
    }

    fn note(&mut self, kind: NoteKind, detail: String) -> Result<(), Halt> {
        self.notes.push(format!("{kind}: {detail}"));
        Ok(())
    }
}

impl Recorder {
    /// The names of the members in order.
    pub(super) fn names(&self) -> Vec<String> {
        let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        self.children.iter().map(|(name, _)| text(name)).collect()
    }

    /// The reasons of the gaps in order.
    pub(super) fn reasons(&self) -> Vec<&str> {
        self.gaps.iter().map(|(_, reason, _)| &**reason).collect()
    }

    /// True when not all is well.
    pub(super) fn complained(&self) -> bool {
        self.unlike || !self.gaps.is_empty()
    }
}

pub(super) fn said(member: Option<&[u8]>, reason: &str, detail: &str) -> Said {
    (
        member.map(<[u8]>::to_vec),
        reason.to_owned(),
        detail.to_owned(),
    )
}

pub(super) fn object(bytes: &[u8]) -> Object {
    Object::memory(Bytes::copy_from_slice(bytes), Stop::never())
}

/// The memory that tests allow decoders.
pub(super) const MEMORY: u64 = 64 << 20;

/// Runs an expander as the walk does: what it breaks off with becomes a gap.
pub(super) fn expand(expander: &dyn Expander, bytes: &[u8], name: &[u8]) -> Recorder {
    expand_with(expander, bytes, name, &[])
}

/// As [`expand`], with these passwords.
pub(super) fn expand_with(
    expander: &dyn Expander,
    bytes: &[u8],
    name: &[u8],
    passwords: &[&str],
) -> Recorder {
    let mut recorder = Recorder::default();
    let passwords: Vec<Vec<u8>> = passwords.iter().map(|p| p.as_bytes().to_vec()).collect();
    let container = Container {
        object: &object(bytes),
        name: &super::ContainerName::new(name),
        passwords: &Passwords::given(&passwords),
        memory: MEMORY,
    };
    match expander.expand(&container, &mut recorder) {
        Ok(()) => {}
        Err(Halt::Unlike) => recorder.unlike = true,
        Err(Halt::Broken(detail)) => {
            recorder
                .gaps
                .push((None, Reason::Corrupt.to_string(), detail))
        }
        Err(Halt::Item) if recorder.full => {}
        Err(halt @ (Halt::Io(_) | Halt::Item)) => panic!("{halt:?}"),
    }
    recorder
}

/// Pseudo-random numbers, the same in each run (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit.max(1) as u64).unwrap()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| self.below(256).to_le_bytes()[0])
            .collect()
    }
}

/// Calls `check` with `count` damaged forms of `sample`.
pub(super) fn mutations(sample: &[u8], count: usize, mut check: impl FnMut(&[u8])) {
    let mut random = Random::new(7);
    for _ in 0..count {
        let mut bytes = sample.to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        check(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let end = at + random.below(bytes.len() - at);
    match random.below(6) {
        0 => bytes.truncate(at.max(1)),
        1 => drop(bytes.drain(at..end.max(at))),
        2 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        3 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
        _ => bytes[at] ^= 1 << random.below(8),
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

/// A folder for the files that a real program reads and writes.
pub(super) struct Folder(TempDir);

/// A folder to run `program` in; `None`, said once, when it is not installed. With `VFIND_REQUIRE_TOOLS=1` that is an
/// error, so that a machine that should have it cannot skip the test unseen.
pub(super) fn tool(program: &str) -> Option<Folder> {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok();
    found_or_skipped(found, program)
}

/// As [`tool`], for a program that needs more than itself: it is there when it ends well with these arguments.
pub(super) fn tool_with(program: &str, arguments: &[&str]) -> Option<Folder> {
    let found = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    found_or_skipped(found, &format!("{program} {}", arguments.join(" ")))
}

fn found_or_skipped(found: bool, what: &str) -> Option<Folder> {
    if !found {
        assert!(
            std::env::var_os("VFIND_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
            "{what} is required"
        );
        eprintln!("skipped: {what} is not installed");
        return None;
    }
    Some(Folder(tempfile::tempdir().unwrap()))
}

impl Folder {
    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    /// Runs `program` and gives what it printed.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A tree of files in the folder, the same for the same seed: names with blanks and letters of other scripts, empty files,
/// some that compress well and some that do not. Gives their paths from the folder on, sorted, with their contents.
pub(super) fn tree(folder: &Folder, seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(seed);
    let mut files = Vec::new();
    for number in 0..24 {
        let depth = random.below(4);
        let folders: String = (0..depth)
            .map(|_| format!("{}/", ["a", "be ta", "gämma"][random.below(3)]))
            .collect();
        let stem = ["file", "with blank", "größe", "UPPER.lower", "-dash"][random.below(5)];
        let length = [0, 1, 511, 512, 513, 5000, 70_000][random.below(7)];
        let content = match random.below(3) {
            0 => random.bytes(length),
            1 => b"compressible "
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect(),
            _ => (0..length).map(|at| at.to_le_bytes()[number % 2]).collect(),
        };
        let name = format!("tree/{folders}{stem}-{number}");
        folder.write(&name, &content);
        files.push((name, content));
    }
    files.sort();
    files
}

/// The members are these files, whatever their order, and nothing else was said. Folders may be members without content.
pub(super) fn assert_holds(got: &Recorder, files: &[(String, Vec<u8>)]) {
    assert_eq!(got.gaps, []);
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut found: Vec<_> = (got.children.iter())
        .map(|(name, content)| (text(name), content.clone()))
        .filter(|(name, content)| !content.is_empty() || files.iter().any(|file| file.0 == *name))
        .collect();
    found.sort();
    let names = |all: &[(String, Vec<u8>)]| -> Vec<String> {
        all.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(files));
    for ((name, content), (_, expected)) in found.iter().zip(files) {
        assert!(content == expected, "the content of {name} differs");
    }
}

/// Opens damaged forms of a sample: cut at each byte, each byte of its ends changed, and seeded mutations (2,000, or
/// `VFIND_MUTATIONS`). Gives the lengths at which it was cut and nothing was said.
pub(super) fn withstand(expander: &dyn Expander, sample: &[u8], name: &[u8]) -> Vec<usize> {
    withstand_many(expander, sample, name, mutation_count().unwrap_or(2000))
}

/// How many mutations are asked for, instead of each test's own number.
pub(super) fn mutation_count() -> Option<usize> {
    std::env::var("VFIND_MUTATIONS").ok()?.parse().ok()
}

/// As [`withstand`], with so many mutations. Prints which damage took longest: a short input that takes seconds is a bug.
pub(super) fn withstand_many(
    expander: &dyn Expander,
    sample: &[u8],
    name: &[u8],
    count: usize,
) -> Vec<usize> {
    const ENDS: usize = 600;
    let begun = Instant::now();
    let mut slowest = (Duration::ZERO, String::new());
    let mut run = |bytes: &[u8], damage: &str, at: usize| {
        let begun = Instant::now();
        let got = expand(expander, bytes, name);
        if begun.elapsed() > slowest.0 {
            slowest = (begun.elapsed(), format!("{damage} {at}"));
        }
        got
    };
    let mut silent = Vec::new();
    for cut in 0..sample.len() {
        if cut > ENDS && cut + ENDS < sample.len() && cut % 97 != 0 {
            continue;
        }
        if !run(&sample[..cut], "cut at", cut).complained() {
            silent.push(cut);
        }
    }
    for at in (0..sample.len()).filter(|at| *at < ENDS || at + ENDS > sample.len()) {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = sample.to_vec();
            bytes[at] ^= change;
            run(&bytes, "changed byte", at);
        }
    }
    let mut number = 0;
    mutations(sample, count, |bytes| {
        run(bytes, "mutation", number);
        number += 1;
    });
    let kind = expander.kind();
    let (total, (longest, damage)) = (begun.elapsed(), slowest);
    println!("{kind}: {count} mutations in {total:.1?}, at most {longest:.1?} ({damage})");
    silent
}
