//! The bytes of an object on their way to what looks at them.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{Spot, Walk};
use crate::expand::Halt;
use crate::object::{CHUNK, Object, ObjectReader};
use crate::stop::{Stop, Stopped};

thread_local! {
    /// What is read into; kept from item to item, because small ones are many.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A file of up to so many bytes is read once, and is in memory from then on.
const SMALL: u64 = 256 * 1024;

/// Where the bytes of an object come from.
pub(super) enum Source<'r> {
    /// These, from this place on.
    Memory(Bytes, usize),
    Reader(&'r mut dyn Read),
}

impl<'r> Source<'r> {
    /// Those of this object, by its reader where they are in no memory.
    pub(super) fn of(object: &Object, reader: &'r mut ObjectReader) -> Self {
        match object.in_memory() {
            Some(bytes) => Self::Memory(bytes, 0),
            None => Self::Reader(reader),
        }
    }

    /// Up to [`CHUNK`] more bytes, read into `buffer` where they are in no memory yet; none at the end.
    pub(super) fn next<'b>(&'b mut self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        match self {
            Self::Memory(bytes, at) => {
                let rest = bytes.get(*at..).unwrap_or_default();
                let chunk = rest.get(..CHUNK).unwrap_or(rest);
                *at += chunk.len();
                Ok(chunk)
            }
            Self::Reader(reader) => {
                buffer.resize(CHUNK, 0);
                let count = reader.read(buffer)?;
                Ok(buffer.get(..count).unwrap_or_default())
            }
        }
    }
}

/// When the bytes of an object are paid for.
#[derive(Clone, Copy)]
pub(super) enum Paid {
    /// With each step, for nobody knows how many come.
    AsItComes,
    /// They were counted when the object came out of its container, or they are the item's own.
    Before,
}

/// An item's file. What is wrong with it shows when it is read as a file.
pub(super) fn opened(file: &Arc<File>, length: u64, stop: &Stop) -> Object {
    let object = Object::file(Arc::clone(file), length, stop.clone());
    let small = usize::try_from(length).ok().filter(|_| length <= SMALL);
    match small.map(|length| object.part(0, length)) {
        Some(Ok(bytes)) if bytes.len() as u64 == length => Object::memory(bytes, stop.clone()),
        _ => object,
    }
}

impl Walk<'_> {
    /// Reads to the end, and says so if that is not possible.
    pub(super) fn read_through(
        &mut self,
        spot: &Spot,
        mut source: Source<'_>,
        paid: Paid,
        mut take: impl FnMut(&[u8]) -> Result<(), Stopped>,
    ) -> Result<(), Halt> {
        let mut sha1 = (self.job.sha1 && spot.path.is_root()).then(Sha1::new);
        let of_content = self.outcome.content.is_some() && spot.path.is_root();
        let mut sha256 = of_content.then(Sha256::new);
        let mut length = 0;
        let mut buffer = BUFFER.take();
        let end = loop {
            if let Err(stopped) = self.stop.check() {
                break self.stopped(&spot.path, stopped).map(|()| false);
            }
            let chunk = match source.next(&mut buffer) {
                Ok([]) => break Ok(true),
                Ok(chunk) => chunk,
                // Never again after an error: there are decoders that abort the process then.
                Err(error) => break self.damaged(&spot.path, &error).map(|()| false),
            };
            #[cfg(feature = "test-faults")]
            crate::scan::fault::strike(chunk);
            let taken = take(chunk);
            if let Some(sha1) = &mut sha1 {
                sha1.update(chunk);
            }
            if let Some(sha256) = &mut sha256 {
                sha256.update(chunk);
            }
            let count = chunk.len() as u64;
            length += count;
            self.outcome.bytes += count;
            let payment = match paid {
                Paid::AsItComes => self.budget.bytes(count),
                Paid::Before => Ok(()),
            };
            if let Err(limit) = payment {
                break self.over(&spot.path, limit).map(|()| false);
            }
            if let Err(stopped) = taken {
                break self.stopped(&spot.path, stopped).map(|()| false);
            }
        };
        BUFFER.set(buffer);
        let is_whole = end?;
        if is_whole && let Some(sha1) = sha1 {
            self.outcome.sha1 = Some(HEXLOWER.encode(&sha1.finalize()));
        }
        if is_whole && let (Some(sha256), Some(content)) = (sha256, &mut self.outcome.content) {
            content.sha256 = Some(sha256.finalize().into());
            content.length = length;
        }
        Ok(())
    }
}
