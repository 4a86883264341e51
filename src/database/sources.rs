//! What to load, and what that comes to now: a row of files with their formats.
//!
//! Lists and folders are read anew for each database, so that a reload sees what has come and gone. Whatever is in a
//! folder and is not loaded is listed, but for what the programs that fill such folders keep there.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LoadError;
use super::folder::add_folder;
use super::read::open;
use crate::signature::cvdl::{Cvdl, Strict};
use crate::signature::{self, FORMATS, Format};

/// The signatures that are built into the programs.
pub const BUILTIN: &[u8] = include_bytes!("../../signatures/builtin.cvdl");

/// The name that complaints and lists give to [`BUILTIN`].
pub const BUILTIN_NAME: &str = "built-in";

/// The largest list of names in bytes; it is held in memory.
const LIST_LIMIT: u64 = 16 * 1024 * 1024;

/// The most files that one database is made of: more is no folder of signatures.
pub(super) const FILES: usize = 65_536;

/// What to load. Everything is read again at each reload.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The signatures that are built into the programs, first.
    pub builtin: bool,
    /// Files and how to read them, in this order.
    pub files: Vec<(PathBuf, &'static dyn Format)>,
    /// Files with names of CVDL files, one a line; relative names count from the folder of the list.
    pub lists: Vec<PathBuf>,
    /// Files whose names end as one of the formats does, and folders of them.
    pub databases: Vec<PathBuf>,
    /// Names of signatures that are not loaded: as they are reported, or those of CVDL rules alone.
    pub noload: Vec<String>,
    /// Files with such names, one a line.
    pub noloads: Vec<PathBuf>,
    /// CVDL is checked for names that stand twice and what else is likely to be a mistake (`--dup-check`).
    pub strict: bool,
}

/// One thing to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The bytes of its path; `None` for what is built in.
    path: Option<Vec<u8>>,
    /// The name of its format.
    pub format: String,
}

/// A file in a folder that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unloaded {
    /// Its path, for people.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// What [`Sources`] come to.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// What is read, in this order.
    pub sources: Vec<Source>,
    /// The names that are left out, sorted.
    pub unwanted: Vec<Vec<u8>>,
    /// What stands in folders and is not read.
    pub unloaded: Vec<Unloaded>,
    /// Files that say what is read, but hold no signatures.
    pub lists: Vec<PathBuf>,
}

/// What tells one state of a file from another, as far as the system keeps account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// In bytes.
    pub length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The state of everything that a database would be made of. Two are equal if nothing has changed between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Those that sources include.
    pub(super) included: Vec<(PathBuf, Option<Stamp>)>,
    /// Why the files are not known.
    problem: Option<String>,
}

impl Source {
    /// A file of a format.
    pub fn file(path: &Path, format: &dyn Format) -> Self {
        Self {
            path: Some(path.as_os_str().as_bytes().to_vec()),
            format: format.name().to_owned(),
        }
    }

    /// What is built into the programs.
    pub fn builtin() -> Self {
        Self {
            path: None,
            format: Cvdl.name().to_owned(),
        }
    }

    /// The file; `None` for what is built in.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.path.clone()?;
        Some(OsString::from_vec(path).into())
    }

    /// The name that complaints carry.
    pub fn name(&self) -> String {
        match self.path() {
            Some(path) => path.display().to_string(),
            None => BUILTIN_NAME.to_owned(),
        }
    }
}

impl Stamp {
    /// When the file was last written, in seconds since 1970-01-01 UTC.
    pub(super) fn modified(self) -> i64 {
        self.modified.0
    }

    /// Of an open file, or of a path.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// True if the last change is so long before `now` (seconds since 1970) that another one would show: clocks of file systems
    /// are coarse.
    pub fn is_settled(&self, now: i64) -> bool {
        self.changed.0 + 2 < now
    }
}

impl Sources {
    /// Reads lists and folders.
    ///
    /// # Errors
    /// A list or folder that cannot be read, a name without a known ending, what is no regular file.
    pub fn list(&self) -> Result<Listing, LoadError> {
        let mut listing = Listing::default();
        listing.sources.extend(self.builtin.then(Source::builtin));
        for (path, format) in &self.files {
            listing.sources.push(Source::file(path, *format));
        }
        for list in &self.lists {
            for name in lines(&read_list(list)?) {
                let folder = list.parent().unwrap_or(Path::new(""));
                let path = folder.join(OsStr::from_bytes(name));
                listing.sources.push(Source::file(&path, &Cvdl));
            }
            listing.lists.push(list.clone());
        }
        for path in &self.databases {
            let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
            match metadata.is_dir() {
                true => add_folder(path, &mut listing)?,
                false => listing.sources.push(named(path)?),
            }
        }
        let is_own = |source: &&mut Source| source.path.is_some() && source.format == Cvdl.name();
        for source in listing
            .sources
            .iter_mut()
            .filter(|source| self.strict && is_own(source))
        {
            source.format = Strict.name().to_owned();
        }
        if listing.sources.len() > FILES {
            let error = format!("more than {FILES} files of signatures");
            return Err(LoadError::Compile(error));
        }
        let mut unwanted: Vec<_> = self.noload.iter().map(|name| name.clone().into()).collect();
        for path in &self.noloads {
            unwanted.extend(lines(&read_list(path)?).map(<[u8]>::to_vec));
            listing.lists.push(path.clone());
        }
        unwanted.sort();
        unwanted.dedup();
        listing.unwanted = unwanted;
        Ok(listing)
    }

    /// The state of all files now, with those that sources include.
    pub(super) fn snapshot(&self, included: Vec<PathBuf>) -> Snapshot {
        let (paths, problem) = match self.list() {
            Ok(listing) => {
                let files = listing.sources.iter().filter_map(Source::path);
                (files.chain(listing.lists).collect::<Vec<_>>(), None)
            }
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let stamp = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok();
            (path, metadata.as_ref().map(Stamp::of))
        };
        Snapshot {
            files: paths.into_iter().map(stamp).collect(),
            included: included.into_iter().map(stamp).collect(),
            problem,
        }
    }

    /// The folders in which a change may be one of the signatures, or of those that sources include.
    pub(super) fn folders(&self, included: Vec<PathBuf>) -> Vec<PathBuf> {
        let is_folder = |path: &&PathBuf| path.is_dir();
        let (mut folders, alone): (Vec<_>, Vec<_>) = {
            let (folders, files): (Vec<_>, Vec<_>) = self.databases.iter().partition(is_folder);
            (folders.into_iter().cloned().collect(), files)
        };
        let listed = self.list().map(|listing| {
            let files = listing.sources.iter().filter_map(Source::path);
            files.chain(listing.lists).collect::<Vec<_>>()
        });
        let named = self.files.iter().map(|(path, _)| path);
        let named = named.chain(alone).chain(&self.lists).chain(&self.noloads);
        for path in named
            .cloned()
            .chain(listed.unwrap_or_default())
            .chain(included)
        {
            folders.push(match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            });
        }
        folders.sort();
        folders.dedup();
        folders
    }
}

/// The lines of a list of names, without the blank ones. A name may begin and end with anything but a line end.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// A file that was named for itself.
fn named(path: &Path) -> Result<Source, LoadError> {
    match format_of(path) {
        Some(format) => Ok(Source::file(path, format)),
        None => Err(LoadError::UnknownFormat {
            name: path.display().to_string(),
            known: extensions(),
        }),
    }
}

pub(super) fn format_of(path: &Path) -> Option<&'static dyn Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    signature::format_by_extension(&extension)
}

/// How the names of files may end, for people.
fn extensions() -> String {
    let all = FORMATS.iter().flat_map(|format| format.extensions());
    let mut all: Vec<_> = all.map(|extension| format!(".{extension}")).collect();
    all.sort();
    all.join(" ")
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> LoadError {
    LoadError::Unreadable {
        name: path.display().to_string(),
        error,
    }
}

fn read_list(path: &Path) -> Result<Vec<u8>, LoadError> {
    let read = || {
        let mut text = Vec::new();
        open(path)?.take(LIST_LIMIT + 1).read_to_end(&mut text)?;
        match text.len() as u64 > LIST_LIMIT {
            true => Err(io::Error::other("larger than 16 MiB")),
            false => Ok(text),
        }
    };
    read().map_err(|error| unreadable(path, error))
}
