//! The live database: which signatures a scan that begins now uses, and how they are replaced.
//!
//! Items that run keep the generation that they began with; a reload builds a new one beside it and swaps a pointer.
//! A reload with any flaw is refused: a bad set of signatures never replaces a good one.
#![forbid(unsafe_code)]

pub mod load;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::engine;
use crate::event::Epoch;
use crate::signature::Complaint;
use load::{LoadError, Loaded, SourceText, Sources, load};

/// One set of signatures, from when it was loaded to when the last item that uses it ends.
#[derive(Debug)]
pub struct Generation {
    /// Which one it is.
    pub epoch: Epoch,
    /// The machine.
    pub database: engine::Database,
    /// What it was made of, for those who must build it again.
    pub texts: Arc<[SourceText]>,
    /// Nothing but the built-in signatures is there, which users must be told.
    pub test_signatures_only: bool,
}

/// The generation in use.
#[derive(Debug)]
pub struct Live {
    sources: Sources,
    current: ArcSwap<Generation>,
    /// Held while a generation is made, so that two reloads do not make the same number.
    reloading: Mutex<()>,
}

/// Why a reload was refused; the database before it is still in use.
#[derive(Debug, Error)]
pub enum Refused {
    /// Something in the sources was not understood.
    #[error("{}", summary(.0))]
    Complaints(Vec<Complaint>),
    /// Nothing but the built-in signatures would be left, as when an editor has emptied a file that it is about to
    /// write.
    #[error("only the built-in signatures would be left, instead of {0}")]
    Emptied(usize),
    /// There is no new database at all.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Live {
    /// Loads the first generation. Bad lines are given back as complaints, and the rest is in use.
    ///
    /// # Errors
    /// As [`load()`].
    pub fn start(sources: Sources) -> Result<(Self, Vec<Complaint>), LoadError> {
        let (first, complaints) = generation(1, load(&sources)?);
        let live = Self {
            sources,
            current: ArcSwap::from_pointee(first),
            reloading: Mutex::new(()),
        };
        Ok((live, complaints))
    }

    /// The generation for an item that begins now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Loads the same sources again and puts them to use. Reads files and computes: not for an async thread.
    ///
    /// # Errors
    /// Any unreadable file, any complaint, and files that hold nothing any more; nothing has changed then.
    pub fn reload(&self) -> Result<Epoch, Refused> {
        // The lock guards no data, so that a panic under it has spoilt none.
        let _alone = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let number = self.current().epoch.number.saturating_add(1);
        let (next, complaints) = generation(number, load(&self.sources)?);
        if !complaints.is_empty() {
            return Err(Refused::Complaints(complaints));
        }
        let current = self.current();
        if next.test_signatures_only && !current.test_signatures_only {
            return Err(Refused::Emptied(current.database.count()));
        }
        let epoch = next.epoch.clone();
        self.current.store(Arc::new(next));
        Ok(epoch)
    }
}

fn generation(number: u64, loaded: Loaded) -> (Generation, Vec<Complaint>) {
    let generation = Generation {
        epoch: Epoch {
            number,
            fingerprint: loaded.fingerprint,
        },
        database: loaded.compiled.database,
        texts: loaded.texts.into(),
        test_signatures_only: loaded.compiled.test_signatures_only,
    };
    (generation, loaded.compiled.complaints)
}

/// Complaints that are written out in an error; the others are counted. All of them are in the variant.
const LISTED: usize = 10;

fn summary(complaints: &[Complaint]) -> String {
    let listed = complaints.iter().take(LISTED).map(Complaint::to_string);
    let mut text = listed.collect::<Vec<_>>().join("; ");
    if let Some(more @ 1..) = complaints.len().checked_sub(LISTED) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::cvdl::Cvdl;
    use std::fs;

    fn names(live: &Live) -> Vec<String> {
        let current = live.current();
        let names = current.database.names();
        names.map(|name| name.name).collect()
    }

    #[test]
    fn a_bad_reload_never_replaces_a_good_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.vdl");
        fs::write(&path, ":a, \"x\" #\n:bad #").unwrap();
        let sources = Sources {
            builtin: false,
            files: vec![(path.clone(), &Cvdl)],
            ..Sources::default()
        };
        let (live, complaints) = Live::start(sources).unwrap();
        assert_eq!(complaints.len(), 1);
        assert_eq!(names(&live), ["a"], "the first time the rest is in use");
        let before = live.current();
        assert_eq!(before.epoch.number, 1);

        fs::write(&path, ":b, \"x\" #\n:bad #").unwrap();
        let refused = live.reload().unwrap_err();
        let reason = format!("{}:2: no comma after the name", path.display());
        assert_eq!(refused.to_string(), reason);
        fs::remove_file(&path).unwrap();
        assert!(matches!(live.reload(), Err(Refused::Load(_))));
        assert_eq!(names(&live), ["a"]);

        fs::write(&path, "; nothing yet").unwrap();
        assert!(matches!(live.reload(), Err(Refused::Emptied(1))));

        fs::write(&path, ":b, \"x\" #").unwrap();
        let epoch = live.reload().unwrap();
        assert_eq!(epoch.number, 2);
        assert_eq!(live.current().epoch, epoch);
        assert_ne!(epoch.fingerprint, before.epoch.fingerprint);
        assert_eq!(names(&live), ["b"]);
        assert_eq!(before.database.count(), 1, "who began with it keeps it");
    }

    #[test]
    fn many_complaints_are_counted() {
        let complaint = Complaint {
            file: "f".into(),
            line: 1,
            reason: "r".into(),
        };
        let text = Refused::Complaints(vec![complaint.clone(); 12]).to_string();
        assert!(text.ends_with("f:1: r; and 2 more"), "{text}");
        let text = Refused::Complaints(vec![complaint; 10]).to_string();
        assert!(text.ends_with("; f:1: r"), "{text}");
    }
}
