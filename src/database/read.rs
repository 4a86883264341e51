//! A source as a stream: read once, from a regular file, its digest taken while it passes.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::sources::{BUILTIN, Source, Stamp};

/// How much is read at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// Opens a regular file for reading. Anything else is refused: a device or a pipe may never end, and would be another
/// thing at the next reload.
///
/// # Errors
/// The system's, and another kind of file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Without waiting for whoever may write into a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Bytes.
    pub(super) length: u64,
    /// Of all of them.
    pub(super) sha256: [u8; 32],
    /// The state of the file, if it was one and another state would show another stamp.
    pub(super) stamp: Option<Stamp>,
}

/// The largest file that is read, in bytes: ten times what the largest sets come to. A sparse file would take minutes.
const FILE_LIMIT: u64 = 4 << 30;

/// A source that is being read.
pub(super) struct Reading {
    reader: BufReader<Hashing<Input>>,
    stamp: Option<Stamp>,
}

/// Where the bytes are.
enum Input {
    File(File),
    Text(&'static [u8]),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Text(text) => text.read(buffer),
        }
    }
}

/// Passes bytes on and takes their digest.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    length: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or(buffer));
        self.length += count as u64;
        Ok(count)
    }
}

impl Reading {
    /// Opens a source.
    ///
    /// # Errors
    /// As [`open`].
    pub(super) fn open(source: &Source) -> io::Result<Self> {
        let (inner, stamp) = match source.path() {
            Some(path) => {
                let file = open(&path)?;
                let stamp = Stamp::of(&file.metadata()?);
                if stamp.length > FILE_LIMIT {
                    return Err(io::Error::other(
                        "more than 4 GiB, which no signatures have",
                    ));
                }
                (Input::File(file), Some(stamp))
            }
            None => (Input::Text(BUILTIN), None),
        };
        let hashing = Hashing {
            inner,
            hash: Sha256::new(),
            length: 0,
        };
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER, hashing),
            stamp,
        })
    }

    /// What a format reads from.
    pub(super) fn reader(&mut self) -> &mut BufReader<impl Read> {
        &mut self.reader
    }

    /// Reads what is left, and says what it was.
    ///
    /// # Errors
    /// The system's, and a file that has changed while it was read: half of it may be of one state, half of another.
    pub(super) fn finish(mut self) -> io::Result<Seen> {
        io::copy(&mut self.reader, &mut io::sink())?;
        let Hashing {
            inner,
            hash,
            length,
        } = self.reader.into_inner();
        if let Input::File(file) = inner
            && self.stamp != Some(Stamp::of(&file.metadata()?))
        {
            return Err(io::Error::other("it changed while it was read"));
        }
        Ok(Seen {
            length,
            sha256: hash.finalize().into(),
            stamp: self.stamp.filter(|stamp| stamp.is_settled(now())),
        })
    }
}

/// Reads a source for its digest alone.
///
/// # Errors
/// As [`Reading::finish`].
pub(super) fn digest(source: &Source) -> io::Result<Seen> {
    Reading::open(source)?.finish()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
