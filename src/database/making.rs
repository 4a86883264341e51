//! From sources to a database that is open: out of the file that is there, if it fits them, else compiled.
#![forbid(unsafe_code)]

use std::fs::File;
use std::path::PathBuf;

use tracing::{info, warn};

use super::compile::{Meta, Order};
use super::compiler::Compiling;
use super::error::LoadError;
use super::include::Included;
use super::mapped::map;
use super::place::{DataFile, New, in_memory, seal, sealed_copy};
use super::read::digest;
use super::report::{Report, SourceReport};
use super::sources::{Listing, Source, Sources, Stamp};
use crate::engine::Database;
use crate::image::Image;

/// How a database comes about.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it is made of.
    pub sources: Sources,
    /// Where it is kept; in memory without it.
    pub data_file: Option<PathBuf>,
    /// The file is made anew at the start even if it fits.
    pub rebuild: bool,
    /// The most bytes that it may have.
    pub limit: u64,
    /// Where it is compiled.
    pub compiling: Compiling,
}

impl From<Sources> for Settings {
    fn from(sources: Sources) -> Self {
        Self {
            sources,
            data_file: None,
            rebuild: false,
            limit: u64::MAX,
            compiling: Compiling::Here,
        }
    }
}

/// A database, and what it came out of.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) meta: Meta,
    /// Its image, which nobody can write through this.
    pub(super) file: File,
    /// It is in memory, and nobody can change it.
    pub(super) is_sealed: bool,
    pub(super) length: u64,
}

/// A database that is compiled and open, and that has not its place yet.
pub(super) struct Made<'a> {
    pub(super) opened: Opened,
    new: Option<New<'a>>,
}

/// An image that is being made.
enum Slot<'a> {
    Memory(File),
    Disk(New<'a>),
}

/// Opens an image: every byte is checked.
///
/// # Errors
/// For people: what is wrong with it.
pub(super) fn open(file: File, is_sealed: bool) -> Result<Opened, String> {
    let bytes = map(&file).map_err(|error| error.to_string())?;
    let image = Image::open(bytes).map_err(|damage| damage.to_string())?;
    let meta = Meta::of(&image)?;
    let length = image.length() as u64;
    Ok(Opened {
        database: Database::open(&image).map_err(|damage| damage.to_string())?,
        meta,
        file,
        is_sealed,
        length,
    })
}

/// Opens the database of an image that another process of this package has opened before, and so has checked.
///
/// # Errors
/// For people: the system's reason, or what is wrong with the image.
pub fn attach(file: &File) -> Result<Database, String> {
    let bytes = map(file).map_err(|error| error.to_string())?;
    let image = Image::open_checked(bytes).map_err(|damage| damage.to_string())?;
    Database::open(&image).map_err(|damage| damage.to_string())
}

/// What is in the file of `--vdl-data-file`.
pub(super) enum Existing {
    /// The database of the sources.
    Fitting(Box<Opened>),
    /// Another one.
    Other,
    /// None, or none that this program can use.
    Useless,
}

/// Looks into the file; says in the log why it does not fit the sources.
///
/// # Errors
/// A file or folder that others can write.
pub(super) fn existing(data_file: &DataFile, listing: &Listing) -> Result<Existing, LoadError> {
    let name = data_file.name();
    let Some(file) = data_file.open().map_err(LoadError::DataFile)? else {
        info!("no compiled signatures are at {name} yet");
        return Ok(Existing::Useless);
    };
    let opened = match open(file, false) {
        Ok(opened) => opened,
        Err(why) => {
            warn!("{name}: {why}; the signatures are compiled anew");
            return Ok(Existing::Useless);
        }
    };
    match misfit(&opened.meta.report, &opened.meta.unwanted, listing) {
        None => Ok(Existing::Fitting(Box::new(opened))),
        Some(why) => {
            info!("{name}: {why}; the signatures are compiled anew");
            Ok(Existing::Other)
        }
    }
}

/// Why a database is not that of these sources; `None` if it is. A file whose state is another is read, for its content
/// decides.
pub(super) fn misfit(report: &Report, unwanted: &[Vec<u8>], listing: &Listing) -> Option<String> {
    if unwanted != listing.unwanted {
        return Some("other names are left out".to_owned());
    }
    let sources = &report.sources;
    let same = |(made, listed): (&SourceReport, &Source)| made.source == *listed;
    if sources.len() != listing.sources.len() || !sources.iter().zip(&listing.sources).all(same) {
        return Some("it is made of other files".to_owned());
    }
    let changed = sources.iter().find(|made| has_changed(made));
    changed.map(|made| format!("{} has changed", made.source.name()))
}

fn has_changed(made: &SourceReport) -> bool {
    let Some(path) = made.source.path() else {
        // Built-in signatures change with the program.
        return digest(&made.source).map_or(true, |seen| seen.sha256 != made.sha256);
    };
    let Ok(metadata) = std::fs::metadata(&path) else {
        return true;
    };
    if made.included.iter().any(Included::has_changed) {
        return true;
    }
    if made.stamp == Some(Stamp::of(&metadata)) {
        return false;
    }
    metadata.len() != made.length
        || digest(&made.source).map_or(true, |seen| seen.sha256 != made.sha256)
}

impl Settings {
    /// Compiles, beside what is there, and opens what came of it; `gently` if others are to have the processors first.
    /// It counts only if `is_good` says so of the report.
    ///
    /// # Errors
    /// As [`LoadError`] says, and what `is_good` says.
    pub(super) fn make<'a, E: From<LoadError>>(
        &self,
        new: Option<New<'a>>,
        listing: &Listing,
        gently: bool,
        is_good: impl FnOnce(&Report) -> Result<(), E>,
    ) -> Result<Made<'a>, E> {
        let slot = match new {
            Some(new) => Slot::Disk(new),
            None => {
                let file = in_memory();
                let failed = |error| LoadError::Compile(format!("no memory file: {error}"));
                Slot::Memory(file.map_err(failed)?)
            }
        };
        let order = Order {
            sources: listing.sources.clone(),
            unwanted: listing.unwanted.clone(),
            limit: self.limit,
        };
        let file = match &slot {
            Slot::Memory(file) => file,
            Slot::Disk(new) => &new.file,
        };
        let compiled = self.compiling.compile(order, file, gently);
        let opened = compiled
            .map_err(E::from)
            .and_then(|report| is_good(&report))
            .and_then(|()| Ok(opened(&slot, gently)?));
        match (opened, slot) {
            (Ok(opened), Slot::Memory(_)) => Ok(Made { opened, new: None }),
            (Ok(opened), Slot::Disk(new)) => Ok(Made {
                opened,
                new: Some(new),
            }),
            (Err(error), Slot::Memory(_)) => Err(error),
            (Err(error), Slot::Disk(new)) => {
                new.give_up();
                Err(error)
            }
        }
    }
}

/// Opens what was compiled, when nobody can write it any more. Beside another database it is not mapped from disk first: for
/// a moment there would be three of them in memory.
fn opened(slot: &Slot<'_>, beside: bool) -> Result<Opened, LoadError> {
    let frozen = match slot {
        Slot::Memory(file) => seal(file).and_then(|()| file.try_clone()),
        Slot::Disk(new) if beside => new.freeze().and_then(|file| sealed_copy(&file)),
        Slot::Disk(new) => new.freeze(),
    };
    let frozen = frozen.map_err(|error| LoadError::DataFile(error.to_string()))?;
    let is_sealed = beside || matches!(slot, Slot::Memory(_));
    open(frozen, is_sealed).map_err(LoadError::Compile)
}

/// The database of an image, out of a copy in memory that nobody can change.
///
/// # Errors
/// The system's, and an image that has changed meanwhile.
pub(super) fn sealed_from(image: &File) -> Result<Opened, LoadError> {
    let copy = sealed_copy(image).map_err(|error| LoadError::DataFile(error.to_string()))?;
    open(copy, true).map_err(LoadError::DataFile)
}

impl Made<'_> {
    /// Gives the image its place; with `keep`, what was there is the previous one from then on.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn publish(self, keep: bool) -> Result<Opened, LoadError> {
        if let Some(new) = self.new {
            let published = new.publish(keep);
            published.map_err(|error| LoadError::DataFile(error.to_string()))?;
        }
        Ok(self.opened)
    }
}
