//! The live database: which signatures a scan that begins now uses, and how they are replaced.
//!
//! Sources are compiled into an image, one file that is mapped and shared by all who scan. Items that run keep the
//! generation that they began with; a reload builds a new one beside it and swaps a pointer.
//! A reload with any flaw is refused: a bad set of signatures never replaces a good one.
// Not forbid, for `mapped` could not allow it then; all others forbid it for themselves.
#![deny(unsafe_code)]

mod compile;
mod compiler;
mod error;
mod folder;
mod generation;
mod include;
mod making;
mod mapped;
mod metrics;
mod names;
mod place;
mod read;
pub mod report;
pub mod sources;
mod status;
#[cfg(test)]
mod tests;
pub mod watch;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::event::Epoch;
use crate::signature::Intake;
pub use compiler::{COMPILER_ARGUMENT, Compiling, compiler_main};
pub use error::{LoadError, Refused};
pub use generation::Generation;
use include::Included;
use making::{Existing, Opened, existing, misfit, open, sealed_from};
pub use making::{Settings, attach};
use metrics::Reloads;
use place::{DataFile, sealed_copy};
use report::Report;
use sources::{Listing, Snapshot, Source, Stamp};
pub use status::Status;

/// The largest image in memory, in bytes, that is kept for a way back: it costs as much memory as it is long. A data file
/// keeps any.
const KEPT: u64 = 64 * 1024 * 1024;

/// Reads a source once more, for what a database does not keep of it.
///
/// # Errors
/// It cannot be read.
pub fn read_again(source: &Source, out: &mut dyn Intake) -> Result<(), LoadError> {
    compile::items(source, out).map(drop)
}

/// The generation in use.
pub struct Live {
    settings: Settings,
    data_file: Option<DataFile>,
    current: ArcSwap<Generation>,
    /// Held while a generation is made, so that two reloads do not make the same number.
    turn: Mutex<()>,
    state: Mutex<State>,
    hooks: Mutex<Vec<Hook>>,
    reloads: Reloads,
    reloading: Mutex<Vec<Hook>>,
}

/// Called after each swap, or before each reload.
type Hook = Box<dyn Fn() + Send + Sync>;

/// What is remembered between reloads.
#[derive(Debug)]
struct State {
    /// The state of the sources when the last reload began.
    tried: Snapshot,
    /// When the last reload ended, and what came of it.
    last: Option<(Instant, Result<Epoch, String>)>,
    /// The way back, for a database in memory, or why there is none.
    previous: Previous,
}

type Previous = Result<File, &'static str>;

/// Why the compiled signatures are not yet in memory that nobody can change.
#[derive(Debug, Error)]
pub enum Unsettled {
    /// The system grants no copy.
    #[error("the compiled signatures stay where they are on disk: {0}")]
    Copy(io::Error),
    /// They are not what was opened at the start.
    #[error("the file of compiled signatures has changed since the start: {0}")]
    Changed(String),
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// Another database is in use.
    New(Epoch),
    /// The sources are what the database in use was made of.
    Same(Epoch),
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = &self.current.load().epoch;
        f.debug_struct("Live").field("epoch", epoch).finish()
    }
}

impl Live {
    /// Loads the first generation. Bad lines are in its report, and the rest is in use.
    ///
    /// # Errors
    /// As [`LoadError`] says.
    pub fn start(settings: impl Into<Settings>) -> Result<Self, LoadError> {
        let settings = settings.into();
        let data_file = settings.data_file.clone().map(DataFile::new);
        let mut tried = settings.sources.snapshot(Vec::new());
        let listing = settings.sources.list()?;
        let opened = first(&settings, data_file.as_ref(), &listing)?;
        let current = Generation::new(1, opened, listing);
        tried.included = as_read(&current);
        Ok(Self {
            current: ArcSwap::from_pointee(current),
            data_file,
            settings,
            turn: Mutex::default(),
            state: Mutex::new(State {
                tried,
                last: None,
                previous: Err("there was no other database since the start"),
            }),
            hooks: Mutex::default(),
            reloads: Reloads::default(),
            reloading: Mutex::default(),
        })
    }

    /// The generation for an item that begins now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Has something done after each swap.
    pub fn when_swapped(&self, hook: impl Fn() + Send + Sync + 'static) {
        unpoisoned(&self.hooks).push(Box::new(hook));
    }

    /// Has something done at the beginning of each reload, whatever comes of it.
    pub fn when_reloading(&self, hook: impl Fn() + Send + Sync + 'static) {
        unpoisoned(&self.reloading).push(Box::new(hook));
    }

    /// True if a source has changed since the last reload or the start. Asks the file system: not for an async thread.
    pub fn has_changed(&self) -> bool {
        self.snapshot() != unpoisoned(&self.state).tried
    }

    /// The state of the sources now.
    pub fn snapshot(&self) -> Snapshot {
        self.settings.sources.snapshot(self.included())
    }

    /// The folders in which a change may be one of the sources.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.settings.sources.folders(self.included())
    }

    /// The files that the sources in use include.
    fn included(&self) -> Vec<PathBuf> {
        let current = self.current();
        current.report.included().map(Included::path).collect()
    }

    /// Loads the same sources again and puts them to use. Reads files and waits for a compiler: not for an async thread.
    ///
    /// # Errors
    /// Any unreadable file, any complaint, and files that hold nothing any more; nothing has changed then.
    pub fn reload(&self) -> Result<Reloaded, Refused> {
        let _alone = unpoisoned(&self.turn);
        for hook in unpoisoned(&self.reloading).iter() {
            hook();
        }
        let tried = self.snapshot();
        unpoisoned(&self.state).tried = tried;
        let result = self.renew();
        if result.is_ok() {
            unpoisoned(&self.state).tried.included = as_read(&self.current());
        }
        let epoch = match &result {
            Ok(Reloaded::New(epoch) | Reloaded::Same(epoch)) => Ok(epoch.clone()),
            Err(refused) => Err(refused.to_string()),
        };
        unpoisoned(&self.state).last = Some((Instant::now(), epoch));
        self.reloads.reload(&result);
        result
    }

    fn renew(&self) -> Result<Reloaded, Refused> {
        let listing = self.settings.sources.list()?;
        let current = self.current();
        if misfit(&current.report, &current.unwanted, &listing).is_none() {
            is_understood(&current.report)?;
            return Ok(Reloaded::Same(current.epoch.clone()));
        }
        let is_good = |report: &Report| {
            is_understood(report)?;
            if report.has_only_builtin() && !current.test_signatures_only {
                return Err(Refused::Emptied(current.database.count()));
            }
            Ok(())
        };
        let new = match &self.data_file {
            Some(data_file) => Some(data_file.begin().map_err(LoadError::DataFile)?),
            None => None,
        };
        let made = self.settings.make(new, &listing, true, is_good)?;
        let opened = made.publish(true)?;
        let previous = kept(&current);
        // Not held any longer than by those who scan with it.
        drop(current);
        Ok(Reloaded::New(self.put(opened, listing, previous)))
    }

    /// Puts the database to use that was in use before the present one; once more, and the present one is back. The sources are
    /// not looked at until one of them changes, or a reload is asked for.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn rollback(&self) -> Result<Epoch, Refused> {
        let result = self.go_back();
        self.reloads.rollback(&result);
        result
    }

    fn go_back(&self) -> Result<Epoch, Refused> {
        let _alone = unpoisoned(&self.turn);
        let way_back = |file: File| {
            let opened = sealed_from(&file);
            let opened = opened.map_err(|error| Refused::NoWayBack(error.to_string()))?;
            let empty = opened.meta.report.has_only_builtin();
            match empty && !self.current().test_signatures_only {
                true => Err(Refused::NoWayBack(
                    "the previous database holds none but the built-in signatures".to_owned(),
                )),
                false => Ok(opened),
            }
        };
        let opened = match &self.data_file {
            Some(data_file) => {
                let previous = data_file.open_previous().map_err(Refused::NoWayBack)?;
                let none = || Refused::NoWayBack("there is no previous database".to_owned());
                let opened = way_back(previous.ok_or_else(none)?)?;
                let exchanged = data_file.exchange();
                exchanged.map_err(|error| Refused::NoWayBack(error.to_string()))?;
                opened
            }
            None => {
                let state = unpoisoned(&self.state);
                let file = match &state.previous {
                    Ok(file) => file.try_clone().map_err(|error| error.to_string()),
                    Err(why) => Err(format!("there is no previous database: {why}")),
                };
                drop(state);
                way_back(file.map_err(Refused::NoWayBack)?)?
            }
        };
        let previous = kept(&self.current());
        let epoch = self.put(opened, Listing::default(), previous);
        let tried = self.snapshot();
        unpoisoned(&self.state).tried = tried;
        Ok(epoch)
    }

    /// Goes on with a copy of the compiled signatures in memory that nobody can change, if they are still those of a file on
    /// disk: a start from it does not wait for the copy. Reads a file: not for an async thread.
    ///
    /// # Errors
    /// The system's reason; then the file stays in use. Or what has become of the file since the start; then it must not.
    pub fn settle(&self) -> Result<(), Unsettled> {
        let _alone = unpoisoned(&self.turn);
        let current = self.current();
        if current.is_sealed {
            return Ok(());
        }
        let copy = sealed_copy(&current.image).map_err(Unsettled::Copy)?;
        let opened = open(copy, true).map_err(Unsettled::Changed)?;
        let listing = Listing {
            unloaded: current.report.unloaded.clone(),
            ..Listing::default()
        };
        let same = Generation::new(current.epoch.number, opened, listing);
        if same.epoch != current.epoch {
            return Err(Unsettled::Changed("it is another one now".to_owned()));
        }
        self.current.store(Arc::new(same));
        for hook in unpoisoned(&self.hooks).iter() {
            hook();
        }
        Ok(())
    }

    /// What is in use, and what became of the last reload.
    pub fn status(&self) -> Status {
        let state = unpoisoned(&self.state);
        Status::new(
            &self.current(),
            state.last.as_ref(),
            match (&self.data_file, &state.previous) {
                (Some(data_file), _) => data_file.has_previous(),
                (None, previous) => previous.is_ok(),
            },
        )
    }

    fn put(&self, opened: Opened, listing: Listing, previous: Previous) -> Epoch {
        let number = self.current().epoch.number.saturating_add(1);
        let next = Generation::new(number, opened, listing);
        let epoch = next.epoch.clone();
        if self.data_file.is_none() {
            unpoisoned(&self.state).previous = previous;
        }
        self.current.store(Arc::new(next));
        for hook in unpoisoned(&self.hooks).iter() {
            hook();
        }
        epoch
    }
}

/// The states in which the files that sources include were read.
fn as_read(generation: &Generation) -> Vec<(PathBuf, Option<Stamp>)> {
    let included = generation.report.included();
    let states = included.map(|included| (included.path(), Some(included.stamp)));
    states.collect()
}

/// The image of a generation for a way back without a data file.
fn kept(generation: &Generation) -> Previous {
    if generation.length > KEPT {
        return Err("it was too large to be kept in memory; --vdl-data-file keeps it on disk");
    }
    let kept = generation.image.try_clone();
    kept.map_err(|_| "the system granted no descriptor for it")
}

fn is_understood(report: &Report) -> Result<(), Refused> {
    match report.complaint_count {
        0 => Ok(()),
        count => Err(Refused::Complaints(report.complaints.clone(), count)),
    }
}

/// The locks guard nothing that a panic could leave half done.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The database, if it is no larger than it may be: what is there already is no exception.
fn within(opened: Opened, limit: u64) -> Result<Opened, LoadError> {
    match opened.length > limit {
        true => Err(LoadError::Compile(compile::too_large(limit))),
        false => Ok(opened),
    }
}

/// The first database: the one of the file, if it fits.
fn first(
    settings: &Settings,
    data_file: Option<&DataFile>,
    listing: &Listing,
) -> Result<Opened, LoadError> {
    let accept = |_: &Report| Ok::<_, LoadError>(());
    let Some(data_file) = data_file else {
        return settings.make(None, listing, false, accept)?.publish(false);
    };
    let mut is_whole = match existing(data_file, listing)? {
        Existing::Fitting(opened) if !settings.rebuild => return within(*opened, settings.limit),
        Existing::Fitting(_) | Existing::Other => true,
        Existing::Useless => false,
    };
    let new = data_file.begin().map_err(LoadError::DataFile)?;
    if new.has_waited {
        // Another process was at it, perhaps with the same sources.
        match existing(data_file, listing)? {
            Existing::Fitting(opened) => return within(*opened, settings.limit),
            other => is_whole = matches!(other, Existing::Other),
        }
    }
    let made = settings.make(Some(new), listing, false, accept)?;
    made.publish(is_whole)
}
