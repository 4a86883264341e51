//! The files of a folder that are signatures, as freshclam and people keep them there.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::LoadError;
use super::read::open;
use super::sources::{FILES, Listing, Source, Unloaded, format_of, unreadable};

/// Adds the files of a folder by their names, in the order of bytes. Folders in it are not entered: who keeps old
/// signatures there does not want them back.
///
/// # Errors
/// A folder that cannot be read, or is none of signatures by the number of its files.
pub(super) fn add_folder(folder: &Path, listing: &mut Listing) -> Result<(), LoadError> {
    let failed = |error| unreadable(folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
        if names.len() > FILES {
            let error = io::Error::other(format!("more than {FILES} files"));
            return Err(failed(error));
        }
    }
    names.sort();
    let older = older_twins(folder, &names);
    for name in names {
        if is_companion(&name) {
            continue;
        }
        let path = folder.join(&name);
        let is_folder = || fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir());
        let reason = match format_of(&path) {
            _ if is_folder() => "a folder, which is not entered",
            _ if older.contains(&name) => "the other form of it is newer",
            Some(format) => {
                listing.sources.push(Source::file(&path, format));
                continue;
            }
            None => "no known kind of signatures ends like this",
        };
        listing.unloaded.push(Unloaded {
            path: path.display().to_string(),
            reason: reason.to_owned(),
        });
    }
    Ok(())
}

/// Of containers that are there in both forms the older one, and of equals the one that was not made here: freshclam turns
/// `daily.cvd` into `daily.cld` when it adds differences, and for a moment, or after an interruption, both are there.
fn older_twins(folder: &Path, names: &[OsString]) -> HashSet<OsString> {
    let mut older = HashSet::new();
    for whole in names
        .iter()
        .filter(|name| name.as_bytes().ends_with(b".cvd"))
    {
        let made = Path::new(whole).with_extension("cld").into_os_string();
        if names.binary_search(&made).is_err() {
            continue;
        }
        let (theirs, ours) = (version(&folder.join(whole)), version(&folder.join(&made)));
        older.insert(match theirs > ours {
            true => made,
            false => whole.clone(),
        });
    }
    older
}

/// The version in the header of a container, `ClamAV-VDB:date:version:…`; none for what has no such header.
fn version(path: &Path) -> Option<u64> {
    let mut header = [0; 512];
    open(path).ok()?.read_exact(&mut header).ok()?;
    let mut fields = header.split(|byte| *byte == b':');
    fields.next().filter(|magic| *magic == b"ClamAV-VDB")?;
    std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
}

/// Tells whether a file is one that freshclam, editors and package managers keep beside signatures, and that holds none.
fn is_companion(name: &OsStr) -> bool {
    const NAMES: &[&[u8]] = &[b"freshclam.dat", b"mirrors.dat", b"COPYING"];
    const STARTS: &[&[u8]] = &[b".", b"tmp.", b"#"];
    const ENDS: &[&[u8]] = &[
        b".sign", b".info", b".tmp", b".part", b".lock", b".cdiff", b"~",
    ];
    let name = name.as_bytes();
    NAMES.contains(&name)
        || STARTS.iter().any(|start| name.starts_with(start))
        || ENDS.iter().any(|end| name.ends_with(end))
}
