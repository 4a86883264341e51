//! How far a run is: what a progress line, its rate and its remaining time are made of.
#![forbid(unsafe_code)]

/// How far the requests are. All counts only grow; they are the same whoever scans, one server or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests that have their record.
    pub done: u64,
    /// Objects that the servers said they began; what a lost server began and another began anew counts twice.
    pub objects: u64,
    /// Bytes of the files that have their record: their sizes on this machine where this program opened them, else the
    /// bytes that the server matched, as far as it tells.
    pub bytes_done: u64,
    /// Requests known so far, the ones done among them.
    pub known: u64,
    /// Bytes of the files known so far, as far as this program opened them. 0 when the servers read the files by name.
    pub known_bytes: u64,
    /// True when nothing more will become known: all folders are walked and all names read. Only then is there a
    /// remaining time.
    pub all_known: bool,
}
