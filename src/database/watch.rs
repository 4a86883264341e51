//! Notice of changes in the folders of the sources.
//!
//! Folders are watched, not files: a new file that takes an old one's name is another file. A notice says only that it is
//! worth looking; whether a source has changed is the [`Snapshot`](super::sources::Snapshot)'s to say.
#![forbid(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

/// Folders that are watched.
#[derive(Debug)]
pub struct Watch {
    descriptor: OwnedFd,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The system's, when it grants no more of them.
    pub fn new() -> io::Result<Self> {
        let descriptor = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { descriptor })
    }

    /// Watches these too; one that is watched already is no more so. Gives those that cannot be watched, with the reason.
    pub fn add(&self, folders: &[PathBuf]) -> Vec<(PathBuf, io::Error)> {
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        let mut failed = Vec::new();
        for folder in folders {
            if let Err(error) = add_watch(&self.descriptor, folder, flags) {
                failed.push((folder.clone(), error.into()));
            }
        }
        failed
    }

    /// Takes all notices. True if there was any.
    ///
    /// # Errors
    /// The system's.
    pub fn take(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        let mut any = false;
        loop {
            match reader.next() {
                Ok(_) => any = true,
                Err(Errno::AGAIN) => return Ok(any),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}
