//! A file as memory. The one module of the package that has unsafe code.
//!
//! To map a file is unsafe because its bytes could change under a reader, or be cut off, which ends the process. Who may do that
//! here: nobody but this user and root, for [`super::place`] maps either a memory file that is sealed against every
//! change, or a file that nobody else can write, in folders that nobody else can write, and that this program never
//! writes again: a new database is another file that takes its name. Root and this user can end the process in simpler ways.
//! Bytes that do change show at worst as wrong matches or refused content: every read of them is checked.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps the whole of a file that nobody will change. It is unmapped with the last clone.
///
/// # Errors
/// The system's.
pub(super) fn map(file: &File) -> io::Result<Bytes> {
    // SAFETY: nobody changes or cuts the file while it is mapped, as the header of this module says.
    let map = unsafe { Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}
