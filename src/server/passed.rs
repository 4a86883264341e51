//! Open files that a peer passes.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, fstat};

use crate::event::{Errno, Gap, Reason};
use crate::path::ObjectPath;
use crate::request::Request;

/// The file that came for this request.
///
/// # Errors
/// None came, or it is none that can be scanned: reading from a pipe takes from others, and may never end.
pub(super) fn file(passed: Option<OwnedFd>, request: &Request) -> Result<File, Gap> {
    const EBADF: Errno = Errno(9);
    let gap = |reason, detail: &str| Gap {
        path: ObjectPath::root(request.source.name().to_vec()),
        reason,
        detail: detail.to_owned(),
    };
    let none = || gap(Reason::Unreadable(EBADF), "no open file came");
    let descriptor = passed.ok_or_else(none)?;
    let stat = fstat(&descriptor).map_err(|error| {
        let error = error.into();
        gap(Reason::Unreadable(Errno::of(&error)), &error.to_string())
    })?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(File::from(descriptor)),
        FileType::Directory => "folder",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        _ => "device",
    };
    Err(gap(
        Reason::Unsupported(kind.to_owned()),
        "not a regular file",
    ))
}
