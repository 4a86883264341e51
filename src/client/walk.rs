//! From what the user named to [`Work`], in a thread of its own: folders are walked, each file opened once, standard input
//! kept in a file. What is left out or cannot be opened becomes a record by itself.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::answer::Answer;
use super::clock::Clock;
use super::work::{Source, Work};
use crate::event::{Coverage, Errno, Exclusion, Gap, Reason};
use crate::files::{Files, Item, Next, Reach};
use crate::path::ObjectPath;
use crate::request::{Exclude, Options};
use crate::verdict::{Record, Verdict};

/// The label of what came by standard input.
const STDIN: &[u8] = b"-";

/// The longest name that standard input may hold; no path of that length can be opened.
const NAME: usize = 32 << 10;

/// What is to be scanned, and what of it.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Files and folders of this machine, absolute where they can be made so; `-` for the content of standard input.
    pub names: Vec<Vec<u8>>,
    /// Names come by standard input too: the byte after each, and what is wrong if there is not a single one.
    pub listed: Option<(u8, &'static str)>,
    /// Which way contents go.
    pub way: Way,
    /// What is left out, and how deep folders are walked.
    pub options: Arc<Options>,
    /// Of the files in folders only those whose path or last name is among these; all, if it is empty.
    pub include: Exclude,
    /// What symbolic links are for.
    pub links: Links,
}

/// Which way contents go to a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Way {
    /// The server opens what the user named, and walks folders itself.
    #[default]
    Names,
    /// Folders are walked here, and the server opens each file by its name.
    NamesOfFiles,
    /// Folders are walked here, and the content of each file is sent.
    Contents,
}

/// What symbolic links are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// Named ones are followed, those in folders left out.
    #[default]
    Named,
    /// All are followed.
    Follow,
    /// All are left out.
    Ignore,
}

/// What the walk gives.
#[derive(Debug)]
pub(super) enum Found {
    /// A record about what cannot be scanned.
    Left(Box<Record>),
    /// No name came where names were to come, in words.
    Nothing(&'static str),
    /// Something to scan.
    Work(Work),
}

/// Walks to the end, or until nobody listens any more. Blocks while nobody takes what was found.
pub(super) fn walk(targets: &Targets, stdin: &mut dyn BufRead, out: mpsc::Sender<Found>) {
    // Nobody listens: nothing is left to do.
    let _ = Walk::new(targets, Out::Send(out)).all(stdin);
}

/// What a walk would find, for those who want to know how much is left.
#[derive(Debug, Default)]
pub(super) struct Counts {
    records: AtomicU64,
    bytes: AtomicU64,
    complete: AtomicBool,
}

impl Counts {
    /// Records and bytes so far, and whether that is all.
    pub(super) fn now(&self) -> (u64, u64, bool) {
        // First, so that what is complete is not told with older numbers.
        let complete = self.complete.load(Ordering::Acquire);
        let records = self.records.load(Ordering::Relaxed);
        (records, self.bytes.load(Ordering::Relaxed), complete)
    }
}

/// Walks to the end, or until nobody else holds the counts, and keeps nothing open. Names that come by standard input
/// are not among what is counted, and so it is never complete with them.
pub(super) fn count(targets: &Targets, counts: Arc<Counts>) {
    let counted = Walk::new(targets, Out::Count(Arc::clone(&counts))).all_named(None);
    let complete = counted.is_ok() && targets.listed.is_none();
    counts.complete.store(complete, Ordering::Release);
}

/// Nobody takes what is found.
struct Gone;

/// Where it goes what is found.
enum Out {
    Count(Arc<Counts>),
    Send(mpsc::Sender<Found>),
}

impl Out {
    fn is_closed(&self) -> bool {
        match self {
            // Beside this one and that of the thread.
            Self::Count(counts) => Arc::strong_count(counts) <= 2,
            Self::Send(out) => out.is_closed(),
        }
    }

    fn take(&self, found: Found) -> Result<(), Gone> {
        match self {
            Self::Count(counts) => {
                counts.records.fetch_add(1, Ordering::Relaxed);
                if let Found::Work(work) = found {
                    counts.bytes.fetch_add(work.size, Ordering::Relaxed);
                }
                if self.is_closed() { Err(Gone) } else { Ok(()) }
            }
            Self::Send(out) => out.blocking_send(found).map_err(|_| Gone),
        }
    }
}

struct Walk<'a> {
    targets: &'a Targets,
    out: Out,
    last_id: u64,
    clock: Clock,
}

impl<'a> Walk<'a> {
    fn new(targets: &'a Targets, out: Out) -> Self {
        Self {
            targets,
            out,
            last_id: 0,
            clock: Clock::start(),
        }
    }

    fn all_named(&mut self, mut stdin: Option<&mut dyn BufRead>) -> Result<(), Gone> {
        for name in &self.targets.names {
            if name != STDIN {
                self.named(name.clone())?;
                continue;
            }
            match &mut stdin {
                Some(stdin) => self.content(*stdin)?,
                None => self.work(STDIN.to_vec(), Source::Name, 0)?,
            }
        }
        Ok(())
    }

    fn all(&mut self, stdin: &mut dyn BufRead) -> Result<(), Gone> {
        self.all_named(Some(stdin))?;
        let Some((end, missing)) = self.targets.listed else {
            return Ok(());
        };
        let mut has_names = false;
        loop {
            match next_name(stdin, end) {
                Ok(Some(name)) if name.is_empty() => {}
                Ok(Some(name)) => {
                    has_names = true;
                    self.named(absolute(name))?;
                }
                Ok(None) if !has_names => return self.out.take(Found::Nothing(missing)),
                Ok(None) => return Ok(()),
                Err(error) => return self.unreadable(STDIN, &error),
            }
        }
    }

    fn named(&mut self, name: Vec<u8>) -> Result<(), Gone> {
        let path = Path::new(std::ffi::OsStr::from_bytes(&name));
        if self.targets.links == Links::Ignore && path.is_symlink() {
            return self.left(Gap {
                path: ObjectPath::root(name),
                reason: Reason::Excluded(Exclusion::Link),
                detail: String::new(),
            });
        }
        if self.targets.way == Way::Names {
            return self.work(name, Source::Name, 0);
        }
        let options = Arc::clone(&self.targets.options);
        let reach = Reach {
            follow_links: self.targets.links == Links::Follow,
            ..Reach::default()
        };
        let named = name.clone();
        let mut files = Files::new(name, options, Arc::new(reach));
        loop {
            match files.next_step() {
                Next::End => return Ok(()),
                Next::Gap(gap) if gap.path.name() != named && self.is_unwanted(&gap) => {
                    self.not_included(gap.path)?;
                }
                Next::Gap(gap) => self.left(gap)?,
                Next::Item(item) => self.item(item)?,
                Next::Nothing => {
                    // A folder without files would otherwise be walked for nobody.
                    if self.out.is_closed() {
                        return Err(Gone);
                    }
                }
            }
        }
    }

    fn item(&mut self, item: Item) -> Result<(), Gone> {
        if item.depth > 0 && !self.is_included(item.path.name()) {
            return self.not_included(item.path);
        }
        let name = item.path.name().to_vec();
        let size = match item.file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => return self.unreadable(&name, &error),
        };
        let source = match self.targets.way {
            Way::Contents => Source::File(Arc::new(item.file)),
            Way::Names | Way::NamesOfFiles => Source::Name,
        };
        self.work(name, source, size)
    }

    fn not_included(&mut self, path: ObjectPath) -> Result<(), Gone> {
        self.left(Gap {
            path,
            reason: Reason::Excluded(Exclusion::Exclude),
            detail: "not among what is included".to_owned(),
        })
    }

    /// True for a file that could not be opened and need not have been. A folder may hold what is wanted, and so may what
    /// cannot be told from one.
    fn is_unwanted(&self, gap: &Gap) -> bool {
        let name = gap.path.name();
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        let found = match self.targets.links {
            Links::Follow => path.metadata(),
            Links::Ignore | Links::Named => path.symlink_metadata(),
        };
        matches!(gap.reason, Reason::Unreadable(_))
            && !self.is_included(name)
            && found.is_ok_and(|found| !found.is_dir())
    }

    fn is_included(&self, path: &[u8]) -> bool {
        let include = &self.targets.include;
        let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        include.count() == 0 || include.covers(path) || include.covers(last)
    }

    fn content(&mut self, stdin: &mut dyn BufRead) -> Result<(), Gone> {
        match spool(stdin) {
            Ok((file, size)) => self.work(STDIN.to_vec(), Source::Stream(file), size),
            Err(error) => self.unreadable(STDIN, &error),
        }
    }

    fn work(&mut self, label: Vec<u8>, source: Source, size: u64) -> Result<(), Gone> {
        self.last_id += 1;
        let work = Work {
            id: self.last_id,
            label: label.into(),
            source,
            size,
        };
        self.out.take(Found::Work(work))
    }

    fn unreadable(&mut self, name: &[u8], error: &io::Error) -> Result<(), Gone> {
        self.left(Gap {
            path: ObjectPath::root(name.to_vec()),
            reason: Reason::Unreadable(Errno::of(error)),
            detail: super::in_words(error),
        })
    }

    fn left(&mut self, gap: Gap) -> Result<(), Gone> {
        self.last_id += 1;
        let record = left_record(self.last_id, &gap, self.clock.now_ms());
        self.out.take(Found::Left(Box::new(record)))
    }
}

/// The record of what was not even asked about: as a server answers for the same gap.
fn left_record(id: u64, gap: &Gap, now_ms: u64) -> Record {
    let name = Bytes::copy_from_slice(gap.path.name());
    let mut record = Answer::new(id, name, now_ms).into_record(now_ms);
    if matches!(gap.reason, Reason::Excluded(_)) {
        record.verdict = Verdict::Clean;
    }
    record.coverage = Some(Coverage {
        gaps: 1,
        ..Coverage::default()
    });
    let part =
        crate::verdict::PartRecord::new(&gap.path, gap.reason.to_string(), gap.detail.clone());
    let passes = record.verdict == Verdict::Clean;
    record.gaps.push(part.passing(passes));
    record
}

/// Keeps a stream in a file without a name, and gives it with its size.
pub(super) fn spool(stream: &mut (impl Read + ?Sized)) -> io::Result<(Arc<File>, u64)> {
    let mut file = tempfile::tempfile()?;
    let size = io::copy(stream, &mut file)?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok((Arc::new(file), size))
}

/// The next name of a list; what is longer than any name is cut, so that it is no file's.
fn next_name(input: &mut dyn BufRead, end: u8) -> io::Result<Option<Vec<u8>>> {
    let mut name = Vec::new();
    Read::take(&mut *input, NAME as u64).read_until(end, &mut name)?;
    if name.is_empty() {
        return Ok(None);
    }
    if name.last() == Some(&end) {
        name.pop();
        return Ok(Some(name));
    }
    // The rest of a name that is too long; at the end of the input there is none.
    loop {
        let buffer = input.fill_buf()?;
        let length = buffer.len();
        match memchr::memchr(end, buffer) {
            Some(at) => {
                input.consume(at + 1);
                return Ok(Some(name));
            }
            None if length == 0 => return Ok(Some(name)),
            None => input.consume(length),
        }
    }
}

/// The path from the root on, links unresolved: what a link leads to is found out when it is opened. What cannot be made
/// absolute, such as an empty name, is refused then.
pub fn absolute(path: Vec<u8>) -> Vec<u8> {
    let path = std::ffi::OsString::from_vec(path);
    let absolute = std::path::absolute(&path).map(std::path::PathBuf::into_os_string);
    absolute.unwrap_or(path).into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What a walk finds, sorted, and what is counted ahead of it.
    fn found(targets: &Targets, stdin: &[u8]) -> (Vec<String>, (u64, u64, bool)) {
        let (out, mut found) = mpsc::channel(1000);
        walk(targets, &mut &*stdin, out);
        let mut said = Vec::new();
        while let Ok(found) = found.try_recv() {
            said.push(match found {
                Found::Nothing(why) => why.to_owned(),
                Found::Left(record) => format!("left {}", record.path[0].text),
                Found::Work(work) => {
                    let label = String::from_utf8_lossy(&work.label).into_owned();
                    format!("{} {label}", work.size)
                }
            });
        }
        said.sort();
        let counts = Arc::new(Counts::default());
        // As the run that wants to know holds it.
        let held = Arc::clone(&counts);
        count(targets, counts);
        (said, held.now())
    }

    #[test]
    fn what_is_counted_ahead_is_what_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        std::fs::write(path("a"), b"12345").unwrap();
        std::fs::write(path("sub/b"), b"123").unwrap();
        symlink("a", path("link")).unwrap();
        let name = |name: &str| path(name).into_os_string().into_vec();
        let mut targets = Targets {
            names: vec![name(""), name("sub/b"), name("absent"), b"-".to_vec()],
            way: Way::Contents,
            ..Targets::default()
        };
        let (said, counted) = found(&targets, b"by standard input");
        assert_eq!(said.len(), 6, "{said:?}");
        // The content that comes by standard input is not read ahead.
        assert_eq!(counted, (6, 5 + 3 + 3, true));
        assert!(said.contains(&"17 -".to_owned()), "{said:?}");
        targets.way = Way::Names;
        let (said, counted) = found(&targets, b"by standard input");
        assert_eq!((said.len(), counted), (4, (4, 0, true)));
        targets.listed = Some((b'\n', "nothing"));
        targets.names.pop();
        let (said, counted) = found(&targets, b"/x\n\n/y");
        assert_eq!((said.len(), counted), (5, (3, 0, false)));
        let (said, _) = found(&targets, b"\n\n");
        assert!(said.contains(&"nothing".to_owned()), "{said:?}");
    }

    #[test]
    fn names_of_a_list_end_where_they_say_and_have_a_longest_length() {
        let long = vec![b'x'; NAME];
        let list = [&b"a\nb"[..], b"\0\0", &long, b"y\0", &long, b"\0c"].concat();
        let mut input = &list[..];
        let mut names = Vec::new();
        while let Some(name) = next_name(&mut input, 0).unwrap() {
            names.push(name);
        }
        assert_eq!(names[..2], [b"a\nb".to_vec(), Vec::new()]);
        assert_eq!(names[2..4], [long.clone(), long]);
        assert_eq!(names[4..], [b"c".to_vec()]);
    }

    #[test]
    fn nobody_who_listens_ends_the_walk() {
        let targets = Targets {
            names: vec![b"/".to_vec()],
            way: Way::Contents,
            ..Targets::default()
        };
        let (out, found) = mpsc::channel(1);
        drop(found);
        walk(&targets, &mut &b""[..], out);
        count(&targets, Arc::default());
    }
}
