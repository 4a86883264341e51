//! The scan of one item: a file is opened elsewhere, everything in it is matched and walked here.
//!
//! Synchronous, and the same in a thread and in a worker process: a [`Job`] and a descriptor come in, events go out,
//! and an [`Outcome`] ends it.
#![forbid(unsafe_code)]

mod ends;
#[cfg(feature = "test-faults")]
mod fault;
mod spool;
mod walk;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Limits;
use crate::engine::Database;
use crate::event::{Epoch, Sink};
use crate::kind::KindSet;
use crate::path::ObjectPath;
use crate::request::{Options, Recurse};
use crate::stop::{Cancel, Stop};

/// All that a worker needs to know about an item besides its open file. Serialisable: it crosses to worker processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The item's name, one element.
    pub path: ObjectPath,
    /// Folders between the named object and this item.
    pub depth: u32,
    /// Containers to open.
    pub expand: KindSet,
    /// How deep.
    pub recurse: Recurse,
    /// Announce and report on containers too.
    pub original: bool,
    /// How much of HTML is read as text: 1 to 3, 0 for nothing.
    pub html: u8,
    /// Say of each object what it is.
    pub describe: bool,
    /// Report what holds on an object and on each of its views, and not only the first.
    pub each_view: bool,
    /// The SHA-1 of the file is wanted.
    pub sha1: bool,
    /// What the answer hangs on is wanted.
    pub content: bool,
    /// What the item may cost.
    pub limits: Limits,
    /// Where temporary files go; they have no name there.
    pub tmpdir: PathBuf,
    /// What is tried on members that are encrypted, in this order.
    pub passwords: Vec<Vec<u8>>,
    /// The signature database to use.
    pub epoch: Epoch,
}

impl Job {
    /// The job for an item of a request with these options.
    pub fn new(
        path: ObjectPath,
        depth: u32,
        options: &Options,
        setup: &Setup,
        epoch: Epoch,
    ) -> Self {
        Self {
            path,
            depth,
            expand: options.expand,
            recurse: options.recurse,
            original: options.original,
            html: options.html,
            describe: false,
            each_view: false,
            sha1: false,
            content: false,
            limits: setup.limits.clone(),
            tmpdir: setup.tmpdir.clone(),
            passwords: setup.passwords.clone(),
            epoch,
        }
    }
}

/// What is the same for all items of a server or program.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What an item may cost.
    pub limits: Limits,
    /// Where temporary files go.
    pub tmpdir: PathBuf,
    /// What is tried on members that are encrypted, in this order.
    pub passwords: Vec<Vec<u8>>,
}

/// What was done, once all events of an item are out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Objects matched.
    pub objects: u64,
    /// Bytes matched, after expansion.
    pub bytes: u64,
    /// The SHA-1 of the file in hexadecimal, where it was wanted and all of the file was read.
    pub sha1: Option<String>,
    /// What the answer hangs on besides the job, where that was wanted.
    pub content: Option<Content>,
    /// What opening containers took, each kind at most once.
    pub spent: Vec<Spent>,
}

/// What opening containers of one kind took in one item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Its place in [`KINDS`](crate::kind::KINDS).
    pub kind: u16,
    /// How many there were.
    pub containers: u64,
    /// Bytes matched that came out of them, but not out of containers inside.
    pub bytes: u64,
    /// The time for that, matching included.
    pub time: Duration,
}

/// What the answer about an item hangs on besides its job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The SHA-256 of the bytes that were matched, if they were read to their end.
    pub sha256: Option<[u8; 32]>,
    /// How many these were.
    pub length: u64,
    /// They were read once, and all that looked at them looked at that copy.
    pub is_copy: bool,
    /// The names of members may come from the name of the item.
    pub has_name: bool,
}

/// Scans one open file. It is read from its first byte, whatever its position is.
///
/// Content can make this return early (limit, deadline, damage), each with its gap; it is never an error.
pub fn scan(
    file: File,
    job: &Job,
    database: &Database,
    cancel: &Cancel,
    sink: &mut dyn Sink,
) -> Outcome {
    let stop = Stop::after(job.limits.deadline, cancel.clone());
    walk::Walk::new(job, database, stop, sink).item(file)
}
