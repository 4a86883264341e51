//! Where the image of a database is: in a memory file that is sealed, or in the file of `--vdl-data-file`, whose name it takes
//! when it is whole.
//!
//! Both may be mapped, for nobody can change them any more. That holds of a file only if others than root and this user can
//! write neither it nor the folders above it, so anything else is refused.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{
    CWD, FlockOperation, MemfdFlags, Mode, OFlags, RenameFlags, SealFlags, fcntl_add_seals, flock,
    memfd_create, renameat_with,
};
use rustix::process::geteuid;
use tracing::warn;

use super::sources::Stamp;
use crate::image::MAGIC;

/// A new image in memory.
///
/// # Errors
/// The system's.
pub(super) fn in_memory() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("vfind-signatures", flags)?.into())
}

/// A copy of a file in memory that nobody can change. A file on disk can be, also by whoever copies a backup over it, and who has it
/// mapped then finds other things than he was asked to, or nothing at all.
///
/// # Errors
/// The system's.
pub(super) fn sealed_copy(file: &File) -> io::Result<File> {
    let copy = in_memory()?;
    let length = file.metadata()?.len();
    copy.set_len(length)?;
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let part = length.div_ceil(threads as u64).max(1);
    let target = &copy;
    let parts = (0..length).step_by(usize::try_from(part).unwrap_or(usize::MAX));
    thread::scope(|scope| {
        let copied: Vec<_> = parts
            .map(|start| {
                let end = start.saturating_add(part).min(length);
                scope.spawn(move || copy_range(file, target, start..end))
            })
            .collect();
        let failed = || io::Error::other("a thread that copies failed");
        let mut copied = copied.into_iter();
        copied.try_for_each(|part| part.join().unwrap_or_else(|_| Err(failed())))
    })?;
    seal(&copy)?;
    Ok(copy)
}

fn copy_range(from: &File, to: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut at = range.start;
    while at < range.end {
        let most = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        from.read_exact_at(buffer, at)?;
        to.write_all_at(buffer, at)?;
        at += most as u64;
    }
    Ok(())
}

/// Makes a memory file unchangeable, for all who have it.
///
/// # Errors
/// The system's.
pub(super) fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    Ok(fcntl_add_seals(file, seals)?)
}

/// The file of `--vdl-data-file`, with the ones beside it.
#[derive(Debug, Clone)]
pub(super) struct DataFile {
    path: PathBuf,
}

/// An image that is being made beside the file that it will be.
pub(super) struct New<'a> {
    target: &'a DataFile,
    path: PathBuf,
    /// To be written.
    pub(super) file: File,
    /// Another process was making one before.
    pub(super) has_waited: bool,
}

impl DataFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The name, for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Opens it; `None` if there is none.
    ///
    /// # Errors
    /// For people: the system's, and a file or folder that others can write.
    pub(super) fn open(&self) -> Result<Option<File>, String> {
        self.check_folders()?;
        open_private(&self.path)
    }

    /// Opens the one that was in use before.
    ///
    /// # Errors
    /// As [`DataFile::open`].
    pub(super) fn open_previous(&self) -> Result<Option<File>, String> {
        self.check_folders()?;
        open_private(&self.beside("previous"))
    }

    /// Tells whether there is one that was in use before.
    pub(super) fn has_previous(&self) -> bool {
        self.beside("previous").exists()
    }

    /// Begins a new one, when no other process is at it any more.
    ///
    /// # Errors
    /// For people: the system's, and folders that others can write.
    pub(super) fn begin(&self) -> Result<New<'_>, String> {
        self.check_folders()?;
        let path = self.beside("new");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut has_waited = false;
        let mut locked = || loop {
            let file = File::from(rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?);
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                has_waited = true;
                flock(&file, FlockOperation::LockExclusive)?;
            }
            // Whoever had the lock may have given the file its name.
            let there = fs::symlink_metadata(&path);
            let own = Stamp::of(&file.metadata()?);
            if there.is_ok_and(|there| Stamp::of(&there) == own) {
                return Ok(file);
            }
        };
        let prepared = locked().and_then(|file| {
            rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
            file.set_len(0)?;
            Ok(file)
        });
        let file = prepared.map_err(|error: io::Error| format!("{}: {error}", path.display()))?;
        Ok(New {
            target: self,
            path,
            file,
            has_waited,
        })
    }

    /// Lets this file and the previous one change places.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn exchange(&self) -> io::Result<()> {
        let previous = self.beside("previous");
        let exchanged = renameat_with(CWD, &self.path, CWD, &previous, RenameFlags::EXCHANGE);
        match exchanged {
            Ok(()) => Ok(()),
            // There is no present one any more, or the file system cannot exchange.
            Err(_) => fs::rename(&previous, &self.path),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(".");
        path.push(suffix);
        path.into()
    }

    fn check_folders(&self) -> Result<(), String> {
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let canonical =
            fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for (depth, folder) in canonical.ancestors().enumerate() {
            let metadata = fs::metadata(folder);
            let metadata = metadata.map_err(|error| format!("{}: {error}", folder.display()))?;
            // In a folder such as /tmp nobody can take the place of what is another's.
            let is_shared = depth > 0 && metadata.mode() & 0o1000 != 0;
            check_private(folder, &metadata, is_shared)?;
        }
        Ok(())
    }
}

impl New<'_> {
    /// Makes it durable, and opens it for reading alone.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn freeze(&self) -> io::Result<File> {
        self.file.sync_all()?;
        let file = File::open(&self.path)?;
        match Stamp::of(&file.metadata()?) == Stamp::of(&self.file.metadata()?) {
            true => Ok(file),
            false => Err(io::Error::other("somebody else has taken its place")),
        }
    }

    /// Gives it its name; with `keep`, what had the name is the previous one from then on.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn publish(self, keep: bool) -> io::Result<()> {
        let target = &self.target.path;
        if keep {
            self.keep_previous();
        }
        fs::rename(&self.path, target)?;
        match target.parent().filter(|path| !path.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    fn keep_previous(&self) {
        let previous = self.target.beside("previous");
        let _ = fs::remove_file(&previous);
        // A second name first: there is no moment without a file of the first.
        match fs::hard_link(&self.target.path, &previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(%error, "the last database is not kept for a way back");
            }
            _ => {}
        }
    }

    /// Removes what was begun.
    pub(super) fn give_up(self) {
        // It would be used again, so nothing is lost if it stays.
        let _ = fs::remove_file(&self.path);
    }
}

fn open_private(path: &Path) -> Result<Option<File>, String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{}: not a regular file", path.display()));
    }
    check_private(path, &metadata, false)?;
    let mut start = [0; MAGIC.len()];
    let is_ours =
        metadata.len() == 0 || file.read_exact_at(&mut start, 0).is_ok() && start == MAGIC;
    match is_ours {
        true => Ok(Some(file)),
        // Whoever gave this name meant another.
        false => Err(format!(
            "{}: there is something else than compiled signatures; remove it, or choose another name",
            path.display()
        )),
    }
}

/// Refuses what others than root and this user can change.
fn check_private(path: &Path, metadata: &Metadata, is_shared: bool) -> Result<(), String> {
    let owner = metadata.uid();
    let problem = if owner != 0 && owner != geteuid().as_raw() {
        format!("it belongs to user {owner}")
    } else if metadata.mode() & 0o022 != 0 && !is_shared {
        format!("others can write it (mode {:03o})", metadata.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(format!(
        "{}: {problem}, and a compiled database must be out of the reach of all but root and the user that uses it",
        path.display()
    ))
}
