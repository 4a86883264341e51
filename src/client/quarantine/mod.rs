//! Infected files, moved out of the way, with a record to restore them from.
//!
//! Whoever made a file infected may also have made its folder, and changes both while we work. So nothing goes by a
//! path twice: the quarantine and the file's parent are opened once, without any link on the way, and an entry is moved
//! only if it is the very file that was scanned, by device and inode of the descriptor that was read. What was moved
//! is looked at again, and put back if it is another file after all.
//!
//! A stored file has a name of ours, its record that name and `.json`. The record is complete before the file moves.
#![forbid(unsafe_code)]

mod folder;
mod keep;
mod restore;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

pub use self::keep::Keeper;
pub use self::restore::Errand;
use crate::verdict::{Element, FoundRecord};

/// A quarantine, open.
#[derive(Debug)]
pub struct Quarantine {
    folder: OwnedFd,
    /// The number that the next file's name ends with, unless it is taken.
    next: u64,
}

/// What is remembered of a file in quarantine: the content of its `.json`. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The version of this form: 1.
    pub version: u32,
    /// Where the file was.
    pub path: Element,
    /// Its permissions, with the set-id bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When its content was last changed: seconds since 1970-01-01 UTC,
    pub mtime: i64,
    /// and nanoseconds.
    pub mtime_ns: i64,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// What was found in it, as far as it fits.
    pub findings: Vec<FoundRecord>,
    /// Milliseconds since 1970-01-01 UTC when it was moved here.
    pub time_ms: u64,
}

/// The digest of a file's content from its start, and its length.
fn digest(file: &File) -> io::Result<(String, u64)> {
    copy(file, &mut io::sink())
}

/// Copies a file from its start, wherever its descriptor stands, and gives the digest and the length of what was copied.
fn copy(file: &File, to: &mut dyn io::Write) -> io::Result<(String, u64)> {
    use sha2::{Digest, Sha256};
    use std::os::unix::fs::FileExt;

    let mut hash = Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = match file.read_at(&mut buffer, length) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
        to.write_all(bytes)?;
        length += read as u64;
    }
    Ok((data_encoding::HEXLOWER.encode(&hash.finalize()), length))
}

#[cfg(test)]
mod tests;
