//! Into quarantine.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, Stat, fchmod, fstat, fsync, unlinkat};
use rustix::io::Errno;

use super::folder::{self, Identity};
use super::{Kept, Quarantine, copy, digest};
use crate::client::Watch;
use crate::client::progress::Progress;
use crate::verdict::{Element, Record, Verdict, object_path};

/// Findings that a record keeps. One is enough to know why; more may be as long as an archive's names.
const FINDINGS: usize = 100;

/// Files of the same content, far more than anybody has.
const SAME: u64 = 10_000_000;

impl Quarantine {
    /// Opens the quarantine in this folder, and makes the folder if it is not there.
    ///
    /// # Errors
    /// For people: it cannot be opened or made, is a link, belongs to somebody else, or others may write there.
    pub fn open(path: &Path) -> Result<Self, String> {
        Ok(Self {
            folder: folder::quarantine(path, true)?,
            next: 1,
        })
    }

    /// As [`Quarantine::open`], but a folder that is not there is not made.
    ///
    /// # Errors
    /// As [`Quarantine::open`].
    pub fn open_existing(path: &Path) -> Result<Self, String> {
        Ok(Self {
            folder: folder::quarantine(path, false)?,
            next: 1,
        })
    }

    /// Moves the file that a record is about here, and gives its name here. `file` is what was scanned. What else the user
    /// should know goes to `warn`.
    ///
    /// # Errors
    /// For people: why the file stays where it is.
    pub fn take(
        &mut self,
        file: &File,
        record: &Record,
        warn: &mut dyn FnMut(String),
    ) -> Result<String, String> {
        let path = record.path.first().map(Element::bytes).unwrap_or_default();
        let (parent, name) = folder::parent(&path)?;
        let stat = fstat(file).map_err(in_words)?;
        if !folder::is_file(&stat) {
            return Err("it is no plain file".to_owned());
        }
        let there = fstat(&parent).map_err(in_words)?;
        let here = fstat(&self.folder).map_err(in_words)?;
        if Identity::of(&there) == Identity::of(&here) {
            return Err("it is in the quarantine already".to_owned());
        }
        let identity = Identity::of(&stat);
        must_be(identity, &parent, name)?;
        let kept = remember(file, &stat, &path, record).map_err(|error| error.to_string())?;
        let stored = self
            .store_record(&kept)
            .map_err(|error| format!("its record cannot be written: {error}"))?;
        // The permissions of a file are those of all its names: one that has others is not touched.
        let has_others = stat.st_nlink > 1;
        let moved = match has_others {
            true => self.copy_in(file, &kept, (&parent, name), &stored),
            false => self.move_in(file, &kept, (&parent, name), &stored),
        };
        if let Err(why) = moved {
            let _ = unlinkat(&self.folder, format!("{stored}.json"), AtFlags::empty());
            return Err(why);
        }
        let is_same = Identity::entry(&self.folder, stored.as_bytes()) == Ok(identity);
        if is_same && let Err(error) = close(file) {
            warn(format!("its permissions stay as they are: {error}"));
        }
        if has_others {
            let names = stat.st_nlink - 1;
            warn(format!(
                "{names} other names (hard links) of it remain, with the same content"
            ));
        }
        if let Err(error) = fsync(&self.folder) {
            warn(format!(
                "it is moved, and may not be after a crash: {error}"
            ));
        }
        Ok(stored)
    }

    /// Writes the record under a name that is free, for itself and for the file, and gives the name.
    fn store_record(&mut self, kept: &Kept) -> io::Result<String> {
        let new = format!(".new-{:016x}", RandomState::new().build_hasher().finish());
        let mut file = folder::create(&self.folder, &new)?;
        let written = self.write_record(kept, &mut file, &new);
        if written.is_err() {
            let _ = unlinkat(&self.folder, &new, AtFlags::empty());
        }
        written
    }

    fn write_record(&mut self, kept: &Kept, file: &mut File, new: &str) -> io::Result<String> {
        let mut text = serde_json::to_vec_pretty(kept)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        while self.next < SAME {
            let stored = format!("{}-{}", kept.sha256, self.next);
            self.next += 1;
            if Identity::entry(&self.folder, stored.as_bytes()) != Err(Errno::NOENT) {
                continue;
            }
            let name = format!("{stored}.json");
            match folder::rename(&self.folder, new.as_bytes(), &self.folder, name.as_bytes()) {
                Err(Errno::EXIST) => {}
                renamed => return renamed.map(|()| stored).map_err(io::Error::from),
            }
        }
        Err(io::Error::other("no name is free"))
    }

    pub(super) fn move_in(
        &self,
        file: &File,
        kept: &Kept,
        from: (&OwnedFd, &OsStr),
        stored: &str,
    ) -> Result<(), String> {
        let (parent, name) = from;
        let identity = Identity::of(&fstat(file).map_err(in_words)?);
        match folder::rename(parent, name.as_bytes(), &self.folder, stored.as_bytes()) {
            Ok(()) => {}
            Err(Errno::XDEV) => return self.copy_in(file, kept, from, stored),
            Err(error) => return Err(format!("it cannot be moved: {error}")),
        }
        if Identity::entry(&self.folder, stored.as_bytes()) == Ok(identity) {
            return Ok(());
        }
        // Between the look and the move somebody gave its name to another file.
        match folder::rename(&self.folder, stored.as_bytes(), parent, name.as_bytes()) {
            Ok(()) => Err(CHANGED.to_owned()),
            Err(error) => Err(format!(
                "{CHANGED}, which was moved instead and is now {stored} in the quarantine: {error}"
            )),
        }
    }

    /// To another file system, or away from other names of the file: a copy that is read again, then this name goes.
    pub(super) fn copy_in(
        &self,
        file: &File,
        kept: &Kept,
        from: (&OwnedFd, &OsStr),
        stored: &str,
    ) -> Result<(), String> {
        let (parent, name) = from;
        let copied = self.copied(file, kept, stored).and_then(|()| {
            let identity = Identity::of(&fstat(file).map_err(in_words)?);
            remove(identity, parent, name)
        });
        if copied.is_err() {
            let _ = unlinkat(&self.folder, stored, AtFlags::empty());
        }
        copied
    }

    fn copied(&self, file: &File, kept: &Kept, stored: &str) -> Result<(), String> {
        let cannot = |error: io::Error| format!("it cannot be copied: {error}");
        let mut new = folder::create(&self.folder, stored).map_err(cannot)?;
        let went = copy(file, &mut new).map_err(cannot)?;
        new.sync_all().map_err(cannot)?;
        let arrived = folder::open_file(&self.folder, stored).and_then(|file| digest(&file));
        let arrived = arrived.map_err(cannot)?;
        if went != arrived || arrived != (kept.sha256.clone(), kept.size) {
            return Err("it changed while it was copied".to_owned());
        }
        Ok(())
    }
}

/// Removes an entry if it is this file. It gets a name that nobody knows first: between a look and the removal of a name
/// somebody could give it to another file, which would be lost.
fn remove(identity: Identity, parent: &OwnedFd, name: &OsStr) -> Result<(), String> {
    must_be(identity, parent, name)?;
    let random = RandomState::new().build_hasher().finish();
    let away = format!(".vfindc-{random:016x}");
    let cannot = |error: Errno| format!("it cannot be removed from its place: {error}");
    folder::rename(parent, name.as_bytes(), parent, away.as_bytes()).map_err(cannot)?;
    if Identity::entry(parent, away.as_bytes()) == Ok(identity) {
        return unlinkat(parent, &away, AtFlags::empty()).map_err(cannot);
    }
    match folder::rename(parent, away.as_bytes(), parent, name.as_bytes()) {
        Ok(()) => Err(CHANGED.to_owned()),
        Err(error) => Err(format!("{CHANGED}, which is called {away} now: {error}")),
    }
}

const CHANGED: &str = "its name belongs to another file now";

/// Takes its permissions from what was moved here, unless somebody has given it another name meanwhile.
fn close(file: &File) -> Result<(), Errno> {
    match fstat(file)?.st_nlink {
        1 => fchmod(file, Mode::RUSR | Mode::WUSR),
        _ => Err(Errno::MLINK),
    }
}

const LINK: &str = "its name is a symbolic link, which is not followed; name the file itself";

/// Makes sure that an entry is the file that was scanned.
fn must_be(identity: Identity, parent: &OwnedFd, name: &OsStr) -> Result<(), String> {
    match folder::entry(parent, name.as_bytes()) {
        Ok(found) if Identity::of(&found) == identity => Ok(()),
        Ok(found) if folder::is_link(&found) => Err(LINK.to_owned()),
        Ok(_) => Err(CHANGED.to_owned()),
        Err(error) => Err(in_words(error)),
    }
}

fn remember(file: &File, stat: &Stat, path: &[u8], record: &Record) -> io::Result<Kept> {
    let (sha256, size) = digest(file)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(Kept {
        version: 1,
        path: Element::new(&folder::plain(path)),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        mtime_ns: i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        size,
        sha256,
        findings: record.findings.iter().take(FINDINGS).cloned().collect(),
        time_ms: u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
    })
}

fn in_words(error: Errno) -> String {
    error.to_string()
}

/// Puts the file of each infected record into quarantine, and hands the record on.
#[derive(Debug)]
pub struct Keeper<'a, W> {
    quarantine: Quarantine,
    inner: &'a mut W,
}

impl<'a, W: Watch> Keeper<'a, W> {
    /// In front of `inner`, which then learns what became of each file.
    pub fn new(quarantine: Quarantine, inner: &'a mut W) -> Self {
        Self { quarantine, inner }
    }
}

impl<W: Watch> Watch for Keeper<'_, W> {
    fn record(&mut self, record: &Record, file: Option<&File>) -> io::Result<()> {
        if record.verdict != Verdict::Infected {
            return self.inner.record(record, file);
        }
        let path = object_path(&record.path);
        let inner = &mut *self.inner;
        let taken = match file {
            // Whose answer was not whole may have spoken of another file.
            _ if record.error.is_some() => Err("the answer about it was not whole".to_owned()),
            Some(file) => self.quarantine.take(file, record, &mut |text| {
                inner.warning(&format!("{path}: {text}"));
            }),
            None if path.name() == b"-" => Err("standard input is no file".to_owned()),
            None => Err("vfindc did not send it".to_owned()),
        };
        let mut record = record.clone();
        match taken {
            Ok(name) => record.quarantined = Some(name),
            Err(why) => inner.warning(&format!("not quarantined: {path}: {why}")),
        }
        inner.record(&record, file)
    }

    fn warning(&mut self, text: &str) {
        self.inner.warning(text);
    }

    fn progress(&mut self, progress: Progress) {
        self.inner.progress(progress);
    }

    fn wants_total(&self) -> bool {
        self.inner.wants_total()
    }
}
