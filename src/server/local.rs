//! A socket in the file system, which is removed at its end.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net as blocking;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

/// A bound socket. Dropping it removes its name.
#[derive(Debug)]
pub struct LocalSocket {
    path: PathBuf,
    listener: blocking::UnixListener,
}

impl LocalSocket {
    /// Listens there, with these permissions. What a daemon that was killed has left is replaced.
    ///
    /// # Errors
    /// Somebody listens there already, or the system's.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        match blocking::UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::other("another daemon listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Refused is also a regular file, which is somebody's.
                if fs::symlink_metadata(path)?.file_type().is_socket() {
                    fs::remove_file(path)?;
                }
            }
            Err(_) => {}
        }
        let listener = blocking::UnixListener::bind(path)?;
        // From here on the name is ours to remove.
        let socket = Self {
            path: path.to_owned(),
            listener,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it to another user or group; `None` leaves that as it is.
    ///
    /// # Errors
    /// The system's.
    pub fn give_to(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        std::os::unix::fs::lchown(&self.path, uid, gid)
    }

    /// The same socket for the runtime.
    ///
    /// # Errors
    /// The system's, or the runtime's.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // The user may not, in a folder of root's; the next daemon finds that nobody listens.
        let _ = fs::remove_file(&self.path);
    }
}

/// The number of a peer's user, and whether that may tell this daemon what to do: root may, and the daemon's own user.
///
/// # Errors
/// The system's.
pub(super) fn is_owner(stream: &UnixStream) -> io::Result<(u32, bool)> {
    let (user, own) = (stream.peer_cred()?.uid(), geteuid().as_raw());
    Ok((user, user == own || user == 0))
}
