//! A file as memory. The one module of the package that has unsafe code.
//!
//! To map a file is unsafe because its bytes could change under a reader, or be cut off, which ends the process. Nobody can do
//! that here for long: a memory file is mapped that is sealed against every change, or, until a start from disk has made such a
//! copy, and in programs that end soon, a file that nobody but this user and root can write. Who of these cuts it off in that moment
//! ends the process, and can do so in simpler ways.
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
