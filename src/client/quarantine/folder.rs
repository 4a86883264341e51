//! Folders and entries by descriptor: what a hostile file system cannot turn into something else.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fstat, mkdirat, openat,
    openat2, renameat_with, statat,
};
use rustix::io::Errno;

/// Bytes of a path that are opened in one go. The kernel takes 4,095; folders may be deeper.
const GO: usize = 4000;

/// Which file it is: its device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Of the file with this status.
    pub(super) fn of(stat: &Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }

    /// Of the entry itself, not of what a link leads to.
    pub(super) fn entry(folder: impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        entry(folder, name).map(|stat| Self::of(&stat))
    }
}

/// The status of the entry itself, not of what a link leads to.
pub(super) fn entry(folder: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Opens the quarantine, and makes it if it is not there and `make` says so.
pub(super) fn quarantine(path: &Path, make: bool) -> Result<OwnedFd, String> {
    let refuse = |why: &str| format!("--quarantine={}: {why}", path.display());
    // A slash at the end would have a link followed.
    let mut name = path.as_os_str().as_bytes();
    while let [front @ .., b'/'] = name
        && !front.is_empty()
    {
        name = front;
    }
    let made = if make {
        mkdirat(CWD, name, Mode::RWXU)
    } else {
        Ok(())
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(refuse(&format!("cannot be made: {error}"))),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, name, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => refuse("is no folder, or a link; name the folder itself"),
        error => refuse(&format!("cannot be opened: {error}")),
    })?;
    let stat = fstat(&folder).map_err(|error| refuse(&error.to_string()))?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(refuse(
            "belongs to somebody else; name a folder of your own",
        ));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(refuse("others may write there; chmod 0700 it"));
    }
    Ok(folder)
}

/// An absolute path as its folder, opened without any link on the way, and the name in it.
pub(super) fn parent(path: &[u8]) -> Result<(OwnedFd, &OsStr), String> {
    let cut = path.iter().rposition(|byte| *byte == b'/');
    let (folder, name) = match cut.and_then(|at| path.split_at_checked(at)) {
        Some((folder, [b'/', name @ ..])) if path.starts_with(b"/") => (folder, name),
        _ => return Err("it has no absolute path".to_owned()),
    };
    if matches!(name, b"" | b"." | b"..") {
        return Err("its path names no file".to_owned());
    }
    let opened = open_folder(folder).map_err(|error| match error {
        Errno::LOOP => "its path leads through a symbolic link".to_owned(),
        error => format!("its folder: {error}"),
    })?;
    Ok((opened, OsStr::from_bytes(name)))
}

/// An absolute path without what leads nowhere: empty names, `.`, and `..` with the name before it. The same file as
/// long as no link is on the way, and that [`parent`] makes sure of.
pub(super) fn plain(path: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names
        .iter()
        .flat_map(|name| [b"/", *name].concat())
        .collect()
}

fn open_folder(path: &[u8]) -> Result<OwnedFd, Errno> {
    let open = |at: BorrowedFd<'_>, path: &[u8]| {
        openat2(
            at,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    };
    let mut folder = open(CWD, b"/")?;
    let mut rest = path;
    while let [b'/', more @ ..] = rest {
        rest = more;
    }
    while !rest.is_empty() {
        let end = match rest.get(..GO) {
            None => rest.len(),
            Some(front) => front
                .iter()
                .rposition(|byte| *byte == b'/')
                .ok_or(Errno::NAMETOOLONG)?,
        };
        let (go, more) = rest.split_at_checked(end).ok_or(Errno::NAMETOOLONG)?;
        folder = open(folder.as_fd(), go)?;
        rest = more;
        while let [b'/', more @ ..] = rest {
            rest = more;
        }
    }
    Ok(folder)
}

/// Opens a plain file in a folder of ours to read it.
pub(super) fn open_file(folder: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    if is_file(&fstat(&file)?) {
        Ok(file)
    } else {
        Err(io::Error::other("not a file"))
    }
}

/// Makes a file that was not there, for us alone.
pub(super) fn create(folder: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Gives an entry another place, where nothing is.
pub(super) fn rename(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    renameat_with(from, old, to, new, RenameFlags::NOREPLACE)
}

/// True for a symbolic link.
pub(super) fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// True for a plain file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
