//! Files that a source names (YARA's `include`): only from its own folder, or below it, whatever links say.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::read::{now, open};
use super::sources::Stamp;

/// A file that was read because a source names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Included {
    path: Vec<u8>,
    sha256: [u8; 32],
    /// The state in which it was read.
    pub(super) stamp: Stamp,
    /// That state tells a later one from it.
    is_settled: bool,
}

impl Included {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        OsString::from_vec(self.path.clone()).into()
    }

    /// Of all of it.
    pub(super) fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Tells whether it has another content than then.
    pub(super) fn has_changed(&self) -> bool {
        let path = self.path();
        let is_same = |metadata: &fs::Metadata| Stamp::of(metadata) == self.stamp;
        match fs::metadata(&path) {
            Ok(metadata) if self.is_settled && is_same(&metadata) => false,
            Ok(metadata) if metadata.len() == self.stamp.length => {
                read(&path, self.stamp.length).map_or(true, |(_, now)| now.sha256 != self.sha256)
            }
            _ => true,
        }
    }
}

/// Reads the file that `from` calls `name`, for a source that is `top`. Gives its name for complaints too.
///
/// # Errors
/// For people: why it is not read.
pub(super) fn include(
    top: &Path,
    from: &str,
    name: &str,
    limit: u64,
) -> Result<(String, Vec<u8>, Included), String> {
    let folder = parent(top);
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| error.to_string());
    let root = real(folder)?;
    let found = real(&parent(Path::new(from)).join(name))?;
    let inside = found
        .strip_prefix(&root)
        .map_err(|_| format!("it is not in the folder of {}, nor below it", top.display()))?;
    let path = folder.join(inside);
    let shown = path.to_str().ok_or("its name is not in UTF-8")?.to_owned();
    let (text, included) = read(&path, limit).map_err(|error| error.to_string())?;
    Ok((shown, text, included))
}

fn read(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Included)> {
    let mut file = open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let too_much = || io::Error::other("too much is included");
    if stamp.length > limit {
        return Err(too_much());
    }
    let mut text = Vec::new();
    (&mut file)
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)?;
    if text.len() as u64 > limit {
        return Err(too_much());
    }
    if Stamp::of(&file.metadata()?) != stamp {
        return Err(io::Error::other("it changed while it was read"));
    }
    let included = Included {
        path: path.as_os_str().as_bytes().to_vec(),
        sha256: Sha256::digest(&text).into(),
        stamp,
        is_settled: stamp.is_settled(now()),
    };
    Ok((text, included))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_folder_is_included() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).unwrap();
        fs::create_dir_all(at("rules/sub")).unwrap();
        write("outside", "secret");
        write("rules/a", "a");
        write("rules/sub/b", "b");
        std::os::unix::fs::symlink("../outside", at("rules/link")).unwrap();
        std::os::unix::fs::symlink("sub/b", at("rules/inner")).unwrap();
        let top = at("rules/top");
        let from = |from: &str, name: &str| {
            let from = at(from).display().to_string();
            include(&top, &from, name, 10).map(|(name, text, _)| (name, text))
        };
        let shown = |name: &str| at(name).display().to_string();
        for (includer, name, found) in [
            ("rules/top", "a", "rules/a"),
            ("rules/top", "sub/b", "rules/sub/b"),
            ("rules/top", "inner", "rules/sub/b"),
            ("rules/sub/b", "../a", "rules/a"),
            ("rules/top", "./sub/../a", "rules/a"),
        ] {
            let text = fs::read(at(found)).unwrap();
            assert_eq!(from(includer, name), Ok((shown(found), text)), "{name}");
        }
        for (name, why) in [
            ("../outside", "not in the folder"),
            ("link", "not in the folder"),
            ("/etc/passwd", "not in the folder"),
            ("absent", "No such file"),
            ("sub", "not a regular file"),
        ] {
            let error = from("rules/top", name).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        write("rules/a", "eleven bytes");
        assert!(from("rules/top", "a").unwrap_err().contains("too much"));
    }

    #[test]
    fn the_content_decides_whether_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let (_, included) = read(&path, 10).unwrap();
        assert!(!included.has_changed());
        fs::write(&path, "one").unwrap();
        assert!(!included.has_changed());
        fs::write(&path, "two").unwrap();
        assert!(included.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(included.has_changed());
    }
}
