//! Out of quarantine, and what is in it.
#![forbid(unsafe_code)]

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, fsync,
    futimens, unlinkat,
};
use rustix::io::Errno;
use serde::Serialize;

use super::folder::{self, Identity};
use super::{Kept, Quarantine, copy, digest};
use crate::calendar::utc;
use crate::client::Failure;
use crate::path::{ObjectPath, printable};
use crate::verdict::{Exit, object_path};

/// The longest record that is read, far longer than those that are written.
const RECORD: u64 = 64 << 20;

/// What may be asked of a quarantine, instead of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// To say what is in it; as JSON, if `json`.
    List {
        /// A record per line.
        json: bool,
    },
    /// To put these files back where they were.
    Restore(Vec<String>),
}

impl Errand {
    /// Does it, with what there is to say to `out`, and what goes wrong to standard error: one that cannot be restored does
    /// not keep back the others.
    ///
    /// # Errors
    /// The folder is not fit to be a quarantine, or the output is not taken.
    pub fn run(&self, folder: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
        let quarantine = Quarantine::open_existing(folder).map_err(io::Error::other)?;
        let mut exit = Exit::Clean;
        let warn = |text: String| drop(writeln!(io::stderr(), "vfindc: {text}"));
        match self {
            Self::List { json } => {
                for name in quarantine.names()? {
                    match quarantine.read(&name) {
                        Ok(kept) => line(&name, &kept, *json, out)?,
                        Err(why) => {
                            warn(format!("{name}: {why}"));
                            exit = Exit::Error;
                        }
                    }
                }
            }
            Self::Restore(names) => {
                for name in names {
                    let shown = printable(name.as_bytes(), 100);
                    let mut warn_of = |text: String| warn(format!("warning: {shown}: {text}"));
                    match quarantine.restore(name, &mut warn_of) {
                        Ok(path) => {
                            let mut line = b"restored ".to_vec();
                            path.write(&mut line);
                            line.push(b'\n');
                            out.write_all(&line)?;
                        }
                        Err(why) => {
                            warn(format!("not restored: {shown}: {why}"));
                            exit = Exit::Error;
                        }
                    }
                }
            }
        }
        out.flush()?;
        Ok(exit)
    }
}

fn line(name: &str, kept: &Kept, json: bool, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Named<'a> {
        name: &'a str,
        #[serde(flatten)]
        kept: &'a Kept,
    }
    if json {
        serde_json::to_writer(&mut *out, &Named { name, kept })?;
        return out.write_all(b"\n");
    }
    let mut line = format!("{name} {}Z ", utc(kept.time_ms)).into_bytes();
    ObjectPath::root(kept.path.bytes()).write(&mut line);
    for found in &kept.findings {
        let path = object_path(&found.path);
        let text = format!("{} {}", found.engine, found.name);
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line.extend_from_slice(if found == kept.findings.first().unwrap_or(found) {
            b": "
        } else {
            b", "
        });
        line.extend_from_slice(text.trim_start().as_bytes());
        if !path.is_root() {
            line.extend_from_slice(b" in ");
            path.write(&mut line);
        }
    }
    line.push(b'\n');
    out.write_all(&line)
}

impl Quarantine {
    /// The names of what is here, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = std::str::from_utf8(entry.file_name().to_bytes()).unwrap_or_default();
            if let Some(name) = name.strip_suffix(".json").filter(|name| is_ours(name)) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is remembered of a file here.
    ///
    /// # Errors
    /// For people: there is no such file, or its record is not one of ours.
    pub fn read(&self, name: &str) -> Result<Kept, String> {
        if !is_ours(name) {
            return Err("no name of a file in quarantine (see --list-quarantine)".to_owned());
        }
        let record = folder::open_file(&self.folder, &format!("{name}.json"));
        let record = record.map_err(|error| format!("its record: {error}"))?;
        let mut text = Vec::new();
        record
            .take(RECORD)
            .read_to_end(&mut text)
            .map_err(|error| format!("its record: {error}"))?;
        let kept: Kept = serde_json::from_slice(&text)
            .map_err(|error| format!("its record is damaged: {error}"))?;
        if kept.version != 1 {
            return Err(format!("its record has version {}, not 1", kept.version));
        }
        let path = kept.path.bytes();
        if path.contains(&0) || folder::plain(&path) != path {
            return Err("its record has no plain absolute path".to_owned());
        }
        Ok(kept)
    }

    /// Puts a file back where it was, with its owner, permissions and time, and gives the path. Nothing is ever replaced.
    /// What else the user should know goes to `warn`.
    ///
    /// # Errors
    /// For people: why it stays here.
    pub fn restore(&self, name: &str, warn: &mut dyn FnMut(String)) -> Result<ObjectPath, String> {
        let kept = self.read(name)?;
        let stored = folder::open_file(&self.folder, name).map_err(|error| error.to_string())?;
        let found = digest(&stored).map_err(|error| error.to_string())?;
        if found != (kept.sha256.clone(), kept.size) {
            return Err("its content is not what its record says".to_owned());
        }
        let path = kept.path.bytes();
        let (parent, last) = folder::parent(&path)?;
        match folder::rename(&self.folder, name.as_bytes(), &parent, last.as_bytes()) {
            Ok(()) => dress(&stored, &kept, warn),
            Err(Errno::XDEV) => {
                self.copy_out(&stored, &kept, (&parent, last.as_bytes()), warn)?;
                unlinkat(&self.folder, name, AtFlags::empty())
                    .map_err(|error| format!("it is restored, and also still here: {error}"))?;
            }
            Err(error) => return Err(in_the_way(error)),
        }
        unlinkat(&self.folder, format!("{name}.json"), AtFlags::empty())
            .and_then(|()| fsync(&self.folder))
            .map_err(|error| format!("it is restored, and its record still here: {error}"))?;
        Ok(ObjectPath::root(path))
    }

    fn copy_out(
        &self,
        stored: &File,
        kept: &Kept,
        to: (&std::os::fd::OwnedFd, &[u8]),
        warn: &mut dyn FnMut(String),
    ) -> Result<(), String> {
        let (parent, last) = to;
        let cannot = |error: io::Error| format!("it cannot be copied: {error}");
        let random = RandomState::new().build_hasher().finish();
        let new = format!(".vfindc-restores-{random:016x}");
        let mut file = folder::create(parent, &new).map_err(cannot)?;
        let identity = rustix::fs::fstat(&file).map(|stat| Identity::of(&stat));
        let copied = copy(stored, &mut file).and_then(|went| {
            file.sync_all()?;
            Ok(went)
        });
        let moved = match copied {
            Ok(went) if went == (kept.sha256.clone(), kept.size) => {
                dress(&file, kept, warn);
                folder::rename(parent, new.as_bytes(), parent, last).map_err(in_the_way)
            }
            Ok(_) => Err("it changed while it was copied".to_owned()),
            Err(error) => Err(cannot(error)),
        };
        if moved.is_err() {
            let _ = unlinkat(parent, &new, AtFlags::empty());
        } else if Identity::entry(parent, last) != identity {
            return Err("somebody moves files in its folder; it stays here too".to_owned());
        }
        moved
    }
}

/// A name that we gave: a SHA-256 and a number.
fn is_ours(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(digest, number)| {
        digest.len() == 64
            && digest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && number.len() < 20
            && digits(number)
    })
}

fn in_the_way(error: Errno) -> String {
    match error {
        Errno::EXIST => "something has its place; move that away first".to_owned(),
        error => format!("it cannot be moved: {error}"),
    }
}

/// Gives a file its owner, permissions and time. Without its owner it does not get the bits that lend an identity.
fn dress(file: &File, kept: &Kept, warn: &mut dyn FnMut(String)) {
    let mut mode = Mode::from_raw_mode(kept.mode & 0o7777);
    let owner = (Uid::from_raw(kept.uid), Gid::from_raw(kept.gid));
    if let Err(error) = fchown(file, Some(owner.0), Some(owner.1)) {
        mode &= Mode::RWXU | Mode::RWXG | Mode::RWXO;
        warn(format!(
            "it does not belong to {}:{} again: {error}",
            kept.uid, kept.gid
        ));
    }
    if let Err(error) = fchmod(file, mode) {
        warn(format!("it has not got its permissions again: {error}"));
    }
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: kept.mtime,
            tv_nsec: kept.mtime_ns.clamp(0, 999_999_999),
        },
    };
    if let Err(error) = futimens(file, &times) {
        warn(format!("it has not got its time again: {error}"));
    }
}
