//! What daemon and worker process say to each other.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::scan::{Job, Outcome};

/// To the worker process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// First, and once: its descriptor is that of the compiled signatures.
    Image,
    /// An item; its descriptor comes with it.
    Scan(Box<Job>),
}

/// From the worker process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    /// The signatures are in use: this many.
    Ready(u64),
    /// Something about the item.
    Event(Event),
    /// The item is done.
    Ended(Outcome),
}

/// The most that a worker process may say at once, in bytes: a path of 32 names of 4 KiB and some words.
pub(super) const FROM_WORKER: usize = 256 * 1024;

/// The most that a daemon says at once, in bytes: a job with its options.
pub(super) const TO_WORKER: usize = 64 * 1024 * 1024;
