//! The content of standard input as a file: it can be looked at from its end only when all of it is there.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::event::{Errno, Limit, Reason};

/// Copies `input` to its end into a file without a name.
///
/// # Errors
/// Why it is not whole: it could not be read or kept, or it is longer than `room` bytes.
pub(super) fn spool(input: impl Read, tmpdir: &Path, room: u64) -> Result<File, Reason> {
    let refused = |error: io::Error| Reason::Unreadable(Errno::of(&error));
    let mut file = tempfile::tempfile_in(tmpdir).map_err(refused)?;
    let mut input = input.take(room.saturating_add(1));
    let length = io::copy(&mut input, &mut file).map_err(refused)?;
    match length > room {
        true => Err(Reason::Limit(Limit::Spool)),
        false => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn content_is_whole_or_it_is_said_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |text: &[u8], room| spool(text, folder.path(), room);
        let mut bytes = [0; 4];
        let file = kept(b"four", 4).unwrap();
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
        assert_eq!(&bytes, b"four");
        assert_eq!(kept(b"fours", 4).unwrap_err(), Reason::Limit(Limit::Spool));
        assert_eq!(kept(b"", 0).unwrap().metadata().unwrap().len(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let folder_as_file = File::open(folder.path()).unwrap();
        let reason = spool(folder_as_file, folder.path(), 4).unwrap_err();
        assert_eq!(reason, Reason::Unreadable(Errno(21)));
        let reason = spool(&b""[..], Path::new("/nonexistent"), 4).unwrap_err();
        assert_eq!(reason, Reason::Unreadable(Errno(2)));
    }
}
