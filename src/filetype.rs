//! What a content is: the types by which signatures say which objects they are for.
//!
//! Told by content alone, never by a name. A type is a row of [`TYPES`]; what no row fits is [`UNKNOWN`].
#![forbid(unsafe_code)]

use crate::object::Probe;

/// One row of [`TYPES`].
#[derive(Debug, PartialEq, Eq)]
pub struct FileType {
    /// In words, as CVDL's restrictions and people see it: `ASCII text`.
    pub title: &'static str,
    /// As ClamAV names it: `CL_TYPE_MSEXE`; empty where it has no name for it.
    pub clam: &'static str,
    /// ClamAV's target number, 0 where it has none.
    pub target: u8,
}

/// What no row fits.
pub static UNKNOWN: FileType = FileType {
    title: "unknown",
    clam: "CL_TYPE_BINARY_DATA",
    target: 0,
};

/// All types.
pub static TYPES: &[FileType] = &[];

/// The type of a content, by its two ends.
pub fn recognise(_probe: &Probe) -> &'static FileType {
    &UNKNOWN
}
