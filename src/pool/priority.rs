//! The priority of what runs an item.
#![forbid(unsafe_code)]

use rustix::process::{Pid, setpriority_pgrp, setpriority_process};

/// The nice value of what has taken long: cores that others want are theirs, but for a tenth.
const SLOW: i32 = 10;

/// What runs the items of a worker. Its priority can be lowered, but an ordinary user cannot raise it again: it is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Runner {
    /// A thread of this process (priorities are those of threads here, setpriority(2), "C library/kernel differences").
    Thread(Pid),
    /// A process with all its threads, in a group of its own.
    Process(Pid),
}

impl Runner {
    /// Lets others go first from now on.
    pub(super) fn slow_down(self) {
        // What is gone needs no priority, and whatever else fails costs others a little time.
        let _ = match self {
            Self::Thread(thread) => setpriority_process(Some(thread), SLOW),
            Self::Process(process) => setpriority_pgrp(Some(process), SLOW),
        };
    }
}
