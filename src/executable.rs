//! Where the parts of a program are: what signatures with offsets from entry point and sections need.
#![forbid(unsafe_code)]

use std::io;

use crate::object::Object;

/// The parts of a PE, ELF or Mach-O program. All offsets are bytes from the start of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The entry point; none if it lies in no section.
    pub entry: Option<u64>,
    /// The sections in the order of the header.
    pub sections: Vec<Section>,
    /// The version information of a PE program: offset and length of each resource that holds one.
    pub version_info: Vec<Section>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The first byte.
    pub start: u64,
    /// Bytes in the file.
    pub length: u64,
}

/// The parts of a program; `None` if the content is none.
///
/// # Errors
/// Of reading. Damage is none: what can be told is told.
pub fn layout(_object: &Object) -> io::Result<Option<Layout>> {
    Ok(None)
}
