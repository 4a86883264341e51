//! Keeps decoded content, so that a container inside a container can be opened: in memory up to a bound, then in a
//! temporary file without a name.
//!
//! Keeping is best effort: content is matched while it goes by, so only a container that could not be kept is a loss, and
//! then [`Kept::Lost`] says why.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::ends::Ends;
use crate::event::{Errno, Limit, Reason};
use crate::object::{Object, Probe};
use crate::stop::Stop;

/// Bytes kept in memory. One such buffer may live at each level of nesting: 32 levels make 128 MiB.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// What became of the content.
pub(super) enum Kept {
    /// It is all there.
    Object(Object),
    /// It could not be kept.
    Lost(Reason),
}

/// Takes content piece by piece.
pub(super) struct Spool<'a> {
    tmpdir: &'a Path,
    room: u64,
    length: u64,
    state: State,
    /// The ends of what is not in memory.
    ends: Ends,
}

enum State {
    File(File),
    Lost(Reason),
    Memory(Vec<u8>),
}

impl<'a> Spool<'a> {
    /// An empty spool that may put `room` bytes on disk.
    pub(super) fn new(tmpdir: &'a Path, room: u64) -> Self {
        Self {
            tmpdir,
            room,
            length: 0,
            state: State::Memory(Vec::new()),
            ends: Ends::default(),
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.length += chunk.len() as u64;
        if let State::Memory(bytes) = &mut self.state {
            if bytes.len() + chunk.len() <= IN_MEMORY {
                bytes.extend_from_slice(chunk);
                return;
            }
            self.ends.push(bytes);
        }
        self.ends.push(chunk);
        if let Err(reason) = self.keep(chunk) {
            self.state = State::Lost(reason);
        }
    }

    /// Keeps it where there is room besides memory.
    fn keep(&mut self, chunk: &[u8]) -> Result<(), Reason> {
        match &mut self.state {
            State::Lost(_) => Ok(()),
            _ if self.length > self.room => Err(Reason::Limit(Limit::Spool)),
            State::File(file) => file.write_all(chunk).map_err(refused),
            State::Memory(bytes) => {
                let file = to_disk(self.tmpdir, bytes, chunk).map_err(refused)?;
                self.state = State::File(file);
                Ok(())
            }
        }
    }

    /// Bytes on disk.
    pub(super) fn on_disk(&self) -> u64 {
        match self.state {
            State::File(_) => self.length,
            State::Lost(_) | State::Memory(_) => 0,
        }
    }

    /// The content as an object, if it is all there, and its ends.
    pub(super) fn finish(self, stop: Stop) -> (Kept, Probe) {
        match self.state {
            State::File(file) => {
                let object = Object::file(Arc::new(file), self.length, stop);
                (Kept::Object(object), self.ends.finish())
            }
            State::Lost(reason) => (Kept::Lost(reason), self.ends.finish()),
            State::Memory(bytes) => {
                let bytes = Bytes::from(bytes);
                let probe = Probe::of(&bytes);
                (Kept::Object(Object::memory(bytes, stop)), probe)
            }
        }
    }
}

fn to_disk(tmpdir: &Path, start: &[u8], chunk: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(tmpdir)?;
    file.write_all(start)?;
    file.write_all(chunk)?;
    Ok(file)
}

fn refused(error: io::Error) -> Reason {
    Reason::Unreadable(Errno::of(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{HEAD, TAIL};

    fn spooled(length: usize, room: u64) -> (u64, Kept) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), room);
        for chunk in vec![7; length].chunks(100_000) {
            spool.push(chunk);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let on_disk = spool.on_disk();
        let (kept, probe) = spool.finish(Stop::never());
        assert_eq!(probe.length, length as u64);
        assert_eq!(
            (&probe.head[..], &probe.tail[..]),
            (
                &vec![7; length.min(HEAD)][..],
                &vec![7; length.min(TAIL)][..]
            )
        );
        (on_disk, kept)
    }

    #[test]
    fn small_content_stays_in_memory_and_large_goes_to_disk() {
        for (length, on_disk) in [
            (10, 0),
            (IN_MEMORY, 0),
            (IN_MEMORY + 1, IN_MEMORY as u64 + 1),
        ] {
            let (disk, kept) = spooled(length, u64::MAX);
            assert_eq!(disk, on_disk);
            let Kept::Object(object) = kept else { panic!() };
            assert_eq!(object.bytes_at(0, length + 1).unwrap(), vec![7; length]);
        }
    }

    #[test]
    fn what_finds_no_room_is_lost_with_its_reason() {
        let (_, kept) = spooled(IN_MEMORY + 100_000, IN_MEMORY as u64);
        assert!(matches!(kept, Kept::Lost(Reason::Limit(Limit::Spool))));
        let mut spool = Spool::new(Path::new("/nonexistent"), u64::MAX);
        spool.push(&vec![0; IN_MEMORY + 1]);
        assert!(matches!(
            spool.finish(Stop::never()).0,
            Kept::Lost(Reason::Unreadable(Errno(2)))
        ));
    }
}
