//! The other reading of a run, from where the run has ended up to where that reading does.
#![forbid(unsafe_code)]

use super::base64::Blob;
use super::wrapped::Wrapped;

/// The other reading of a run that has ended, which may go on.
#[derive(Debug)]
pub(super) enum Second {
    Open(Box<Wrapped>),
    /// It comes to nothing, and that is known here; until then it keeps the plain reading back.
    Idle(u64, Option<Blob>),
}

impl Second {
    /// Where it has ended, if it has.
    pub(super) fn end(&self) -> Option<u64> {
        match self {
            Self::Open(one) => one.end(),
            Self::Idle(until, _) => Some(*until),
        }
    }

    /// There is something to give.
    pub(super) fn has_any(&self) -> bool {
        match self {
            Self::Open(one) => one.has_any(),
            Self::Idle(_, held) => held.is_some(),
        }
    }

    /// The reading itself, where it goes on.
    pub(super) fn open(&self) -> Option<&Wrapped> {
        match self {
            Self::Open(one) => Some(one),
            Self::Idle(..) => None,
        }
    }
}
