//! Notice of changes in the folders of the sources.
//!
//! Folders are watched, not files: a new file that takes an old one's name is another file. A notice says only that it is
//! worth looking; whether a source has changed is the [`Snapshot`](super::sources::Snapshot)'s to say.
#![forbid(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
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
        let descriptor = init(CreateFlags::CLOEXEC)?;
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

    /// Waits until something happens in a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.descriptor, &mut buffer);
        loop {
            match reader.next() {
                Err(Errno::INTR) => {}
                notice => return notice.map(drop).map_err(Into::into),
            }
        }
    }
}
