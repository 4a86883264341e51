//! Files that a source includes: beside it or below, never anywhere else.
#![forbid(unsafe_code)]

use std::io::Read;
use std::path::{Path, PathBuf};

use super::read::Reading;
use super::report::Included;
use super::sources::Source;
use crate::signature::Format;
use crate::signature::yara::Yara;

/// Reads the file that `from` names as `name`: what complaints call it, its bytes, and what a later look at it is held against.
///
/// Names count from the folder of the file that they stand in. What they lead to, through links too, must be in the folder of
/// the source `top` or below, so that no text can have the program read what its author could not.
///
/// # Errors
/// For people: a name that leads elsewhere or to no regular file, more than `limit` bytes, the system's.
pub(super) fn beside(
    top: &Source,
    from: &str,
    name: &str,
    limit: u64,
) -> Result<(Included, Vec<u8>), String> {
    // What stands in a container has no folder.
    let path = top.path().filter(|_| top.format == Yara.name());
    let path = path.ok_or("only a file in a folder can include others")?;
    let folder = folder_of(&path);
    let here = match from == top.name() {
        true => folder.clone(),
        false => folder_of(Path::new(from)),
    };
    let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    let found = real(&here.join(name))?;
    let root = real(&folder)?;
    let inside = found.strip_prefix(&root);
    let inside = inside.map_err(|_| "it is outside of the folder of the file that is loaded")?;
    let source = Source::file(&folder.join(inside), &Yara);
    let mut text = Vec::new();
    let mut reading = Reading::open(&source).map_err(|error| error.to_string())?;
    let mut bounded = reading.reader().take(limit.saturating_add(1));
    let read = bounded.read_to_end(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > limit {
        return Err("more than 16 MiB of rules together; make several files".to_owned());
    }
    let seen = reading.finish().map_err(|error| error.to_string())?;
    let included = Included {
        source,
        length: seen.length,
        sha256: seen.sha256,
        stamp: seen.stamp,
    };
    Ok((included, text))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_lead_nowhere_outside_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        fs::create_dir_all(rules.join("sub")).unwrap();
        fs::write(folder.path().join("secret.yar"), "secret").unwrap();
        for file in ["top.yar", "b.yar", "sub/c.yar"] {
            fs::write(rules.join(file), file).unwrap();
        }
        for (link, to) in [("out.yar", "../secret.yar"), ("in.yar", "sub/c.yar")] {
            std::os::unix::fs::symlink(to, rules.join(link)).unwrap();
        }
        let top = Source::file(&rules.join("top.yar"), &Yara);
        let sub = rules.join("sub/c.yar").display().to_string();
        let rows = [
            (top.name(), "b.yar", Ok("b.yar")),
            (top.name(), "./sub/../sub/c.yar", Ok("sub/c.yar")),
            (top.name(), "in.yar", Ok("sub/c.yar")),
            (sub.clone(), "../b.yar", Ok("b.yar")),
            (sub.clone(), "c.yar", Ok("sub/c.yar")),
            (sub, "../../secret.yar", Err("outside")),
            (top.name(), "../secret.yar", Err("outside")),
            (top.name(), "out.yar", Err("outside")),
            (top.name(), "/etc/passwd", Err("outside")),
            (top.name(), "none.yar", Err("No such file")),
            (top.name(), "sub", Err("not a regular file")),
            (top.name(), "", Err("not a regular file")),
        ];
        for (from, name, expected) in rows {
            match (beside(&top, &from, name, 9), expected) {
                (Ok((included, text)), Ok(file)) => {
                    assert_eq!(text, file.as_bytes());
                    assert_eq!(included.source.path(), Some(rules.join(file)));
                }
                (Err(reason), Err(word)) => assert!(reason.contains(word), "{reason}"),
                (found, expected) => panic!("{name}: {found:?}, not {expected:?}"),
            }
        }
        assert!(beside(&top, &top.name(), "b.yar", 4).is_err());
    }
}
