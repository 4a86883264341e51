//! The folders that paths in requests are confined to.
//!
//! The kernel keeps to them (`openat2` with `RESOLVE_BENEATH`, Linux 5.6): no link and no `..` leads out, also where somebody
//! exchanges a folder for a link between two steps. What is outside gets one answer, whether it is there or not.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

/// How often an opening is tried again when something was renamed in the middle of it (openat2(2), EAGAIN).
const TRIES: usize = 16;

/// Folders; none at all stands for the whole file system.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<Root>);

#[derive(Debug, Clone)]
struct Root {
    /// As it was configured, and as it is without links: requests may use either name.
    written: PathBuf,
    real: PathBuf,
}

/// A path inside a root.
#[derive(Debug)]
pub struct Inside {
    folder: OwnedFd,
    rest: PathBuf,
}

impl Roots {
    /// Takes folders by their absolute paths.
    ///
    /// # Errors
    /// For people: one that is no absolute path or no folder, or a kernel that cannot keep to it.
    pub fn new(folders: &[PathBuf]) -> Result<Self, String> {
        let roots = folders.iter().map(|written| {
            let said = |problem: String| format!("{}: {problem}", written.display());
            if !written.is_absolute() {
                return Err(said("not an absolute path".to_owned()));
            }
            let real = written.canonicalize();
            let root = Root {
                written: written.clone(),
                real: real.map_err(|error| said(error.to_string()))?,
            };
            let folder = root.open().map_err(|error| said(error.to_string()))?;
            let inside = Inside {
                folder,
                rest: PathBuf::from("."),
            };
            let opened = inside.open(OFlags::PATH | OFlags::DIRECTORY);
            opened.map_err(|error| said(format!("cannot be kept to: {error}")))?;
            Ok(root)
        });
        Ok(Self(roots.collect::<Result<_, _>>()?))
    }

    /// True when paths are confined at all.
    pub fn confine(&self) -> bool {
        !self.0.is_empty()
    }

    /// The place of an absolute path in the outermost root that its name begins with.
    ///
    /// # Errors
    /// [`Errno::ACCESS`] for a path outside, and the system's for a root that is gone.
    pub fn find(&self, path: &[u8]) -> Result<Inside, Errno> {
        let path = Path::new(OsStr::from_bytes(path));
        let ways = self.0.iter().flat_map(|root| {
            let names = [&root.written, &root.real];
            names.map(|name| path.strip_prefix(name).ok().map(|rest| (root, rest)))
        });
        let longest = ways
            .flatten()
            .max_by_key(|(_, rest)| rest.components().count());
        let (root, rest) = longest.ok_or(Errno::ACCESS)?;
        // Without its slashes and points, which would make an absolute path of it.
        let rest = rest.components().filter(|part| *part != Component::CurDir);
        let rest: PathBuf = rest.collect();
        Ok(Inside {
            folder: root.open()?,
            rest: match rest.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => rest,
            },
        })
    }
}

impl Root {
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(&self.real, flags, Mode::empty())
    }
}

impl Inside {
    /// Opens it, as far as it does not lead out of its root.
    ///
    /// # Errors
    /// The system's; [`Errno::ACCESS`] where a link or `..` leads out, whatever is there.
    pub fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let attempt = || {
            openat2(
                &self.folder,
                &self.rest,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            )
        };
        let mut attempts = std::iter::repeat_with(attempt).take(TRIES);
        let opened = attempts.find(|opened| !matches!(opened, Err(Errno::AGAIN)));
        match opened.unwrap_or(Err(Errno::AGAIN)) {
            Err(Errno::XDEV) => Err(Errno::ACCESS),
            opened => opened,
        }
    }
}
