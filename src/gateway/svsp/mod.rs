//! SVSP, the Simple Virus Scanning Protocol (spec-vfind.md §1).
#![forbid(unsafe_code)]

pub mod reply;
