//! What needs the whole object: tests that are made when its length and the matches of all patterns are known.
//!
//! They are functions of bytes in memory, of an object or of a window of it; who reads the bytes and when is the caller's.
#![forbid(unsafe_code)]

pub mod compare;
pub mod regex;
#[cfg(feature = "yara")]
pub mod yara;
