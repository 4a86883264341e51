//! Files that hold the number of the process: one that is locked while it runs, and one that is only written.
#![forbid(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Tries to get hold of a file that others are removing at the same time.
const TRIES: usize = 100;

/// A file that is locked and holds our number. Dropping it removes it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Makes the file, or takes over one that nobody holds any more.
    ///
    /// # Errors
    /// For people: another process holds it, or it cannot be written.
    pub fn lock(path: &Path) -> Result<Self, String> {
        let problem = |error: io::Error| format!("{}: {error}", path.display());
        // The folder of a daemon may have been another one by the time that the file is removed.
        let path = &std::path::absolute(path).map_err(problem)?;
        for _ in 0..TRIES {
            let mut file = open(path).map_err(problem)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
                Err(TryLockError::Error(error)) => return Err(problem(error)),
            }
            // Who held it before us may have removed it while we waited: then our lock is on a file without a name.
            if is_at(&file, path) {
                check(&file).map_err(problem)?;
                write(&file).map_err(problem)?;
                let path = path.clone();
                return Ok(Self { path, file });
            }
        }
        Err(format!("{}: it disappears all the time", path.display()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A daemon that has become another user may not be allowed to remove it; then at least it names nobody.
        if is_at(&self.file, &self.path) && std::fs::remove_file(&self.path).is_err() {
            let _ = self.file.set_len(0);
        }
    }
}

/// Writes our number into a file, for scripts. It stays there.
///
/// # Errors
/// For people: it cannot be written.
pub fn save(path: &Path) -> Result<(), String> {
    open(path)
        .and_then(|file| write(&file))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn write(file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
}

/// A file that holds anything else than a number is somebody's, and is neither emptied nor removed.
fn check(file: &File) -> io::Result<()> {
    let mut bytes = [0; 32];
    let length = file.read_at(&mut bytes, 0)?;
    let text = bytes.get(..length).unwrap_or_default().trim_ascii();
    match text.iter().all(u8::is_ascii_digit) {
        true => Ok(()),
        false => Err(io::Error::other(
            "it is there, and is no file of a process number",
        )),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Not through a link: in a folder that others may write to, it could lead to any file.
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(flags)
        .open(path)
}

fn held(path: &Path, file: &mut File) -> String {
    let mut number = String::new();
    // What is in it is only for the message.
    let _ = file.take(20).read_to_string(&mut number);
    match number.trim() {
        "" => format!("{}: another process holds it", path.display()),
        number => format!("{}: process {number} runs with it", path.display()),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_by_one_and_gone_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        // What a process left that was killed.
        std::fs::write(&path, "4194305\n").unwrap();
        let held = PidFile::lock(&path).unwrap();
        let own = format!("{}\n", std::process::id());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), own);
        let error = PidFile::lock(&path).unwrap_err();
        assert!(
            error.ends_with(&format!("pid: process {} runs with it", own.trim())),
            "{error}"
        );
        drop(held);
        assert!(!path.exists());
        drop(PidFile::lock(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_none_is_neither_emptied_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("letter"), folder.path().join("link"));
        std::fs::write(&path, "4194305 and more\n").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = PidFile::lock(&path).unwrap_err();
        assert!(error.contains("no file of a process number"), "{error}");
        assert!(save(&link).is_err() && PidFile::lock(&link).is_err());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "4194305 and more\n");
    }

    #[test]
    fn the_file_of_another_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let held = PidFile::lock(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = PidFile::lock(&path).unwrap();
        drop(held);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        std::fs::write(folder.path().join("precious"), "x").unwrap();
        std::os::unix::fs::symlink("precious", &path).unwrap();
        assert!(PidFile::lock(&path).is_err());
        assert_eq!(std::fs::read(folder.path().join("precious")).unwrap(), b"x");
    }
}
