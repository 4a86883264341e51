//! Content that a peer sends, until it can be scanned: in memory up to a bound, then in a temporary file without a name.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::rooms::Room;
use crate::event::{Errno, Reason};

/// Bytes of one upload in memory: most mails fit.
const IN_MEMORY: usize = 1024 * 1024;

/// An upload on its way.
#[derive(Debug)]
pub struct Upload {
    room: Room,
    tmpdir: PathBuf,
    length: u64,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Disk(File),
    Memory(Vec<u8>),
}

impl Upload {
    /// Nothing yet.
    pub(super) fn new(room: Room, tmpdir: &Path) -> Self {
        Self {
            room,
            tmpdir: tmpdir.to_owned(),
            length: 0,
            store: Store::Memory(Vec::new()),
        }
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the next bytes. Has the runtime's other tasks go elsewhere while it waits for a disk.
    ///
    /// # Errors
    /// Why there is no room for them. The upload is worth nothing then.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Reason> {
        let more = chunk.len() as u64;
        self.room.grow(more)?;
        self.length += more;
        if let Store::Memory(bytes) = &mut self.store {
            if bytes.len() + chunk.len() <= IN_MEMORY && self.room.in_memory(more) {
                bytes.extend_from_slice(chunk);
                return Ok(());
            }
            let file = tokio::task::block_in_place(|| to_disk(&self.tmpdir, bytes));
            self.store = Store::Disk(file.map_err(refused)?);
            self.room.on_disk();
        }
        match &mut self.store {
            Store::Disk(file) => {
                tokio::task::block_in_place(|| file.write_all(chunk)).map_err(refused)
            }
            Store::Memory(_) => Ok(()),
        }
    }

    /// The content as a file, and the room that it takes as long as it is open.
    ///
    /// # Errors
    /// Why there is no room for it.
    pub fn finish(mut self) -> Result<(File, Room), Reason> {
        self.room.hung_up();
        let file = match self.store {
            Store::Disk(file) => file,
            Store::Memory(bytes) => in_memory(&bytes).map_err(refused)?,
        };
        Ok((file, self.room))
    }
}

fn to_disk(tmpdir: &Path, start: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(tmpdir)?;
    file.write_all(start)?;
    Ok(file)
}

/// A file that is nowhere but in memory: workers take files, also those in processes of their own.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let file = rustix::fs::memfd_create("upload", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    Ok(file)
}

/// What is wrong with the server's own temporary files: room, which there may be later, or a folder that cannot be used.
/// Other errors are not passed on, for the peer would take ENOENT for its own.
fn refused(error: io::Error) -> Reason {
    const EIO: Errno = Errno(5);
    const LATER: [i32; 5] = [12, 23, 24, 28, 122]; // ENOMEM, ENFILE, EMFILE, ENOSPC, EDQUOT
    let errno = Errno::of(&error);
    Reason::Unreadable(if LATER.contains(&errno.0) { errno } else { EIO })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::rooms::Rooms;
    use std::net::Ipv4Addr;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    fn upload(rooms: &Arc<Rooms>, tmpdir: &Path) -> Upload {
        let room = rooms.enter(Ipv4Addr::LOCALHOST.into(), false);
        Upload::new(room.unwrap(), tmpdir)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn every_length_comes_out_as_it_went_in_and_leaves_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let rooms = Arc::new(Rooms::new(1 << 40));
        for length in [0, 1, IN_MEMORY - 1, IN_MEMORY, IN_MEMORY + 1] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut upload = upload(&rooms, folder.path());
            for chunk in content.chunks(50_000) {
                upload.push(chunk).unwrap();
            }
            assert_eq!(upload.length(), length as u64);
            let on_disk = matches!(upload.store, Store::Disk(_));
            assert_eq!(on_disk, length > IN_MEMORY, "{length}");
            let (file, _room) = upload.finish().unwrap();
            assert_eq!(file.metadata().unwrap().len(), length as u64);
            let mut back = vec![0; length];
            file.read_exact_at(&mut back, 0).unwrap();
            assert_eq!(back, content);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_finds_no_room_says_why() {
        let rooms = Arc::new(Rooms::new(2 * 1000));
        let mut large = upload(&rooms, Path::new("/nonexistent"));
        assert!(large.push(&[0; 1000]).is_ok() && large.push(&[0]).is_err());
        drop(large);
        let rooms = Arc::new(Rooms::new(1 << 40));
        let mut nowhere = upload(&rooms, Path::new("/nonexistent"));
        let refused = nowhere.push(&vec![0; IN_MEMORY + 1]);
        assert_eq!(refused, Err(Reason::Unreadable(Errno(5))));
    }
}
