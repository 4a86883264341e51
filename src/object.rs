//! One content that is matched: bytes in memory, or a range of an open file.
//!
//! Files are read, never mapped: somebody else may cut them short. A member that lies in its container as it is (a
//! stored zip entry, a tar entry) is a slice of the same file, so nothing is copied. Every read looks at the item's
//! [`Stop`], so that a decoder cannot work on after its time.
#![forbid(unsafe_code)]

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;

use crate::stop::Stop;

/// Bytes of the start that recognition may look at: enough for the superblock of Btrfs, whose mark is at 65,600.
pub const HEAD: usize = 66 * 1024;

/// Bytes of the end that recognition may look at: a zip end record with the longest comment, and its locator.
pub const TAIL: usize = 66 * 1024;

/// A reader's buffer; also the step in which content is matched, in bytes.
pub const CHUNK: usize = 128 * 1024;

/// A content with a length and random access. Clones and slices share the bytes.
#[derive(Debug, Clone)]
pub struct Object {
    store: Store,
    start: u64,
    length: u64,
    stop: Stop,
}

#[derive(Debug, Clone)]
enum Store {
    File(Arc<File>),
    Memory(Bytes),
}

impl Object {
    /// Bytes in memory.
    pub fn memory(bytes: Bytes, stop: Stop) -> Self {
        Self {
            length: bytes.len() as u64,
            store: Store::Memory(bytes),
            start: 0,
            stop,
        }
    }

    /// The first `length` bytes of an open file. Reading needs no position: the file's own offset is left alone.
    pub fn file(file: Arc<File>, length: u64, stop: Stop) -> Self {
        Self {
            store: Store::File(file),
            start: 0,
            length,
            stop,
        }
    }

    /// Its length in bytes, as known when it was made; a file may have been cut short since.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The part of `length` bytes from `start`, clipped to what there is.
    pub fn slice(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        Self {
            store: self.store.clone(),
            start: self.start.saturating_add(start),
            length: length.min(self.length - start),
            stop: self.stop.clone(),
        }
    }

    /// Reads into `buffer` from byte `at` and gives the count; 0 at the end or past it.
    ///
    /// # Errors
    /// The system's, or [`io::ErrorKind::TimedOut`] once the item's [`Stop`] says so.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if self.stop.check().is_err() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let at = self.start.saturating_add(at);
        match &self.store {
            Store::File(file) => loop {
                match file.read_at(buffer, at) {
                    // Repeated here, so that no decoder ever sees an error that is none.
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return done,
                }
            },
            Store::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                bytes
                    .get(from..)
                    .map_or(Ok(0), |mut rest| rest.read(buffer))
            }
        }
    }

    /// The `length` bytes from `at`, or as many as there are. For small things: headers, heads and tails.
    ///
    /// # Errors
    /// As [`Object::read_at`].
    pub fn bytes_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let part = self.slice(at, length as u64);
        // Of a file that was cut short there may be much less.
        let room = part.length.min(2 * CHUNK as u64);
        let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
        part.raw_reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// As [`Object::bytes_at`], and nothing is copied of what is in memory.
    ///
    /// # Errors
    /// As [`Object::read_at`].
    pub fn part(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let part = self.slice(at, length as u64);
        match part.in_memory() {
            Some(_) if self.stop.check().is_err() => Err(io::ErrorKind::TimedOut.into()),
            Some(bytes) => Ok(bytes),
            None => part.bytes_at(0, length).map(Bytes::from),
        }
    }

    /// All of it, if it is in memory.
    pub fn in_memory(&self) -> Option<Bytes> {
        let Store::Memory(bytes) = &self.store else {
            return None;
        };
        let place = |at: u64| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
        let from = place(self.start);
        let to = place(self.start.saturating_add(self.length)).max(from);
        Some(bytes.slice(from..to))
    }

    /// A buffered reader from the first byte on, that can seek.
    pub fn reader(&self) -> BufReader<ObjectReader> {
        let capacity =
            usize::try_from(self.length).map_or(CHUNK, |length| length.clamp(512, CHUNK));
        BufReader::with_capacity(capacity, self.raw_reader())
    }

    /// A reader without a buffer, for those who read in large steps.
    pub fn raw_reader(&self) -> ObjectReader {
        ObjectReader {
            object: self.clone(),
            position: 0,
        }
    }

    /// Looks at the item's [`Stop`] with each read of `inner`: for decoders behind decoders. A few bytes of the object may
    /// become so many between them that its own reads come too seldom.
    pub fn watch<R>(&self, inner: R) -> Watched<R> {
        Watched {
            inner,
            stop: self.stop.clone(),
        }
    }

    /// What recognition looks at.
    ///
    /// # Errors
    /// As [`Object::read_at`].
    pub fn probe(&self) -> io::Result<Probe> {
        let head = self.part(0, HEAD)?;
        let tail = match self.length <= HEAD.min(TAIL) as u64 {
            true => head.clone(),
            false => self.part(self.length.saturating_sub(TAIL as u64), TAIL)?,
        };
        Ok(Probe {
            head,
            tail,
            length: self.length,
        })
    }
}

/// Tells whether a file was written between the two, as far as its times tell.
pub fn changed(before: &Metadata, after: &Metadata) -> bool {
    // The change time too: the modification time can be set back by whoever writes.
    let state = |m: &Metadata| {
        (
            m.len(),
            m.mtime(),
            m.mtime_nsec(),
            m.ctime(),
            m.ctime_nsec(),
        )
    };
    state(before) != state(after)
}

/// Reads an [`Object`] from a position of its own.
#[derive(Debug)]
pub struct ObjectReader {
    object: Object,
    position: u64,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.object.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.object.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A reader that ends with [`io::ErrorKind::TimedOut`] when the item does.
#[derive(Debug)]
pub struct Watched<R> {
    inner: R,
    stop: Stop,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stop.check() {
            Ok(()) => self.inner.read(buffer),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The two ends of an object and its length: all that a format is recognised by.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// The first [`HEAD`] bytes, or all.
    pub head: Bytes,
    /// The last [`TAIL`] bytes, or all.
    pub tail: Bytes,
    /// Bytes in all.
    pub length: u64,
}

impl Probe {
    /// Tells whether these bytes stand at this place of the head. Asked for each row of long tables: most are out with the first byte.
    pub fn has(&self, at: usize, bytes: &[u8]) -> bool {
        let Some((first, bytes)) = bytes.split_first() else {
            return at <= self.head.len();
        };
        self.head.get(at) == Some(first)
            && (self.head.get(at + 1..)).is_some_and(|rest| rest.starts_with(bytes))
    }

    /// The ends of what is in memory. Nothing is copied.
    pub fn of(bytes: &Bytes) -> Self {
        Self {
            head: bytes.slice(..bytes.len().min(HEAD)),
            tail: bytes.slice(bytes.len().saturating_sub(TAIL)..),
            length: bytes.len() as u64,
        }
    }

    /// Head and tail; only once where they are the same bytes.
    pub fn ends(&self) -> impl Iterator<Item = &[u8]> {
        let is_same =
            self.head.as_ptr() == self.tail.as_ptr() && self.head.len() == self.tail.len();
        let tail = (!is_same).then_some(&*self.tail);
        std::iter::once(&*self.head).chain(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Cancel;
    use std::io::Write;
    use std::time::Duration;

    fn both(bytes: &[u8]) -> [Object; 2] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        [
            Object::memory(Bytes::copy_from_slice(bytes), Stop::never()),
            Object::file(Arc::new(file), bytes.len() as u64, Stop::never()),
        ]
    }

    #[test]
    fn a_slice_of_a_slice_cannot_leave_it() {
        for object in both(b"0123456789") {
            let slice = object.slice(2, 6).slice(1, 100);
            assert_eq!(slice.length(), 5);
            assert_eq!(slice.bytes_at(0, 100).unwrap(), b"34567");
            assert_eq!(slice.bytes_at(4, 100).unwrap(), b"7");
            assert_eq!(slice.bytes_at(9, 100).unwrap(), b"");
            assert_eq!(object.slice(50, 1).length(), 0);
        }
    }

    #[test]
    fn the_reader_seeks_within_the_slice() {
        for object in both(b"0123456789") {
            let mut reader = object.slice(2, 6).reader();
            reader.seek(SeekFrom::End(-2)).unwrap();
            let mut rest = String::new();
            reader.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "67");
            assert!(reader.seek(SeekFrom::Current(-100)).is_err());
        }
    }

    #[test]
    fn nothing_is_read_after_the_time_is_over() {
        let stop = Stop::after(Duration::ZERO, Cancel::default());
        let object = Object::memory(Bytes::from_static(b"abc"), stop);
        assert_eq!(
            object.bytes_at(0, 3).unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }

    #[test]
    fn what_is_watched_ends_with_the_item() {
        let cancel = Cancel::default();
        let stop = Stop::after(Duration::from_secs(3600), cancel.clone());
        let mut reader = Object::memory(Bytes::new(), stop).watch(&b"abc"[..]);
        let mut byte = [0];
        assert_eq!(reader.read(&mut byte).unwrap(), 1);
        cancel.cancel();
        let error = reader.read(&mut byte).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
