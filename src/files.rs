//! From a path to open files: one file, or those of a folder, one at a time.
//!
//! The cursor holds one open descriptor for each folder on the way down and nothing per file, so memory does not grow
//! with the number of files. Files are opened once, relative to their folder's descriptor, without following a final
//! link; what is no file (pipes, devices, sockets) is not opened. Everything that is left out is a gap.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, Stat, fstat, openat, statat,
};
use rustix::io::Errno as Code;

use crate::event::{Errno, Exclusion, Gap, Reason};
use crate::path::ObjectPath;
use crate::request::Options;
use crate::roots::Roots;

/// The longest path that a request may name, in bytes (PATH_MAX of Linux, without its zero byte).
const NAMED: usize = 4095;

/// The longest path inside a named folder. No program can name such a file; it can only be walked to.
const WALKED: usize = 32 * 1024;

/// Folders inside folders that are open at once, each with a descriptor.
const OPEN: usize = 1024;

/// One step of the way through the files of a request.
#[derive(Debug)]
pub enum Next {
    /// Nothing comes any more.
    End,
    /// Something was left out.
    Gap(Gap),
    /// A file to scan.
    Item(Item),
    /// Nothing this time: a folder was entered or left.
    Nothing,
}

/// An open file that is to be scanned.
#[derive(Debug)]
pub struct Item {
    /// The file, open for reading.
    pub file: File,
    /// Its path.
    pub path: ObjectPath,
    /// Folders between the named object and this file.
    pub depth: u32,
    /// Who may write it meanwhile.
    pub writers: Writers,
}

/// Who may write a file while it is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Nobody: it has no name, and nobody else has it open.
    None,
    /// Whoever the system lets.
    Others,
}

/// Where the way may lead.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Links inside folders are followed.
    pub follow_links: bool,
    /// Folders that it stays in, wherever links lead.
    pub roots: Roots,
}

/// The way through the files under one path.
#[derive(Debug)]
pub struct Files {
    first: Option<First>,
    folders: Vec<Folder>,
    options: Arc<Options>,
    reach: Arc<Reach>,
}

/// What the way begins with.
#[derive(Debug)]
enum First {
    Named(Vec<u8>),
    Opened(Item),
}

#[derive(Debug)]
struct Folder {
    entries: Dir,
    path: Vec<u8>,
    depth: u32,
    identity: (u64, u64),
}

/// What a name turned out to be.
enum Found {
    File(File),
    Folder(OwnedFd, Stat),
    Other(FileType),
}

impl Files {
    /// Starts at an absolute path. The path itself may be a link; links inside folders are left out, or followed as far as
    /// `reach` goes.
    pub fn new(path: Vec<u8>, options: Arc<Options>, reach: Arc<Reach>) -> Self {
        Self {
            first: Some(First::Named(path)),
            folders: Vec::new(),
            options,
            reach,
        }
    }

    /// Only this open file, which has no path here but a label.
    pub fn opened(file: File, writers: Writers, label: Vec<u8>, options: Arc<Options>) -> Self {
        let item = Item {
            file,
            path: ObjectPath::root(label),
            depth: 0,
            writers,
        };
        Self {
            first: Some(First::Opened(item)),
            folders: Vec::new(),
            options,
            reach: Arc::default(),
        }
    }

    /// Takes one step. May wait for the file system.
    pub fn next_step(&mut self) -> Next {
        match self.first.take() {
            Some(First::Named(path)) => return self.named_object(path),
            Some(First::Opened(item)) => return self.opened_file(item),
            None => {}
        }
        let Some(folder) = self.folders.last_mut() else {
            return Next::End;
        };
        match folder.entries.next() {
            None => {
                self.folders.pop();
                Next::Nothing
            }
            Some(Err(code)) => {
                let path = folder.path.clone();
                self.folders.pop();
                unreadable(path, code)
            }
            Some(Ok(entry)) => self.entry(&entry),
        }
    }

    fn named_object(&mut self, path: Vec<u8>) -> Next {
        if path.len() > NAMED {
            return unreadable(path, Code::NAMETOOLONG);
        }
        if self.options.exclude.covers(&path) {
            return excluded(path, Exclusion::Exclude);
        }
        // Exactly this name: another one, such as that without a blank at the end, is another file.
        let found = match self.reach.roots.confine() {
            true => look_inside(&self.reach.roots, &path),
            false => look(CWD, &path, true),
        };
        self.found(path, 0, found)
    }

    fn opened_file(&self, item: Item) -> Next {
        let label = item.path.elements().first();
        match label.filter(|label| self.options.exclude.covers(label)) {
            Some(label) => excluded(label.to_vec(), Exclusion::Exclude),
            None => Next::Item(item),
        }
    }

    fn entry(&mut self, entry: &DirEntry) -> Next {
        let name = entry.file_name().to_bytes();
        let Some(folder) = self
            .folders
            .last()
            .filter(|_| name != b"." && name != b"..")
        else {
            return Next::Nothing;
        };
        let path = joined(&folder.path, name);
        let depth = folder.depth + 1;
        if path.len() > WALKED {
            return unreadable(path, Code::NAMETOOLONG);
        }
        if self.options.exclude.covers(&path) {
            return excluded(path, Exclusion::Exclude);
        }
        let Ok(at) = folder.entries.fd() else {
            return unreadable(path, Code::BADF);
        };
        let found = look_in_folder(at, name, entry.file_type(), &self.reach, &path);
        self.found(path, depth, found)
    }

    fn found(&mut self, path: Vec<u8>, depth: u32, found: Result<Found, Code>) -> Next {
        match found {
            Ok(Found::File(file)) => Next::Item(Item {
                file,
                path: ObjectPath::root(path),
                depth,
                writers: Writers::Others,
            }),
            Ok(Found::Folder(descriptor, stat)) => self.enter(path, depth, descriptor, &stat),
            Ok(Found::Other(kind)) if depth == 0 => Next::Gap(Gap {
                path: ObjectPath::root(path),
                reason: Reason::Unsupported(exclusion(kind).word().to_owned()),
                detail: "not a file or folder".to_owned(),
            }),
            Ok(Found::Other(kind)) => excluded(path, exclusion(kind)),
            Err(code) => unreadable(path, code),
        }
    }

    fn enter(&mut self, path: Vec<u8>, depth: u32, descriptor: OwnedFd, stat: &Stat) -> Next {
        if !self.options.recurse.reaches(depth + 1) {
            return excluded(path, Exclusion::Recurse);
        }
        let identity = (stat.st_dev, stat.st_ino);
        if self.folders.iter().any(|above| above.identity == identity) {
            // Only a link (or a bind mount) leads back into a folder that is being walked; it is walked once.
            return excluded(path, Exclusion::Link);
        }
        if self.folders.len() >= OPEN {
            return unreadable(path, Code::MFILE);
        }
        match Dir::new(descriptor) {
            Ok(entries) => {
                self.folders.push(Folder {
                    entries,
                    path,
                    depth,
                    identity,
                });
                Next::Nothing
            }
            Err(code) => unreadable(path, code),
        }
    }
}

/// Looks at an entry of a folder. Its type in the listing spares the question for links, which are the most.
fn look_in_folder(
    folder: BorrowedFd<'_>,
    name: &[u8],
    listed: FileType,
    reach: &Reach,
    path: &[u8],
) -> Result<Found, Code> {
    if listed == FileType::Symlink && !reach.follow_links {
        return Ok(Found::Other(listed));
    }
    let found = match (reach.follow_links, reach.roots.confine()) {
        (follow, false) => look(folder, name, follow),
        (follow, true) => match look(folder, name, false) {
            // From the root on, for the link may lead up from this folder and yet not out of the root.
            Ok(Found::Other(FileType::Symlink)) if follow => look_inside(&reach.roots, path),
            found => found,
        },
    };
    match found {
        // A link that leads nowhere hides nothing.
        Err(Code::NOENT | Code::LOOP) if listed == FileType::Symlink => Ok(Found::Other(listed)),
        found => found,
    }
}

/// Opens what can be scanned. The type is asked before opening, so that a pipe or device is not touched, and again
/// after, in case it was exchanged in between; without waiting, so that even then nothing hangs.
fn look(folder: BorrowedFd<'_>, name: &[u8], follow: bool) -> Result<Found, Code> {
    let flags = if follow {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    let before = statat(folder, name, flags)?;
    let mut open = match opening(&before) {
        Ok(open) => open,
        Err(other) => return Ok(Found::Other(other)),
    };
    open.set(OFlags::NOFOLLOW, !follow);
    found(openat(folder, name, open, Mode::empty())?)
}

/// As [`look`], by a whole path and through links, but not out of its root.
fn look_inside(roots: &Roots, path: &[u8]) -> Result<Found, Code> {
    let inside = roots.find(path)?;
    match opening(&fstat(inside.open(OFlags::PATH)?)?) {
        Ok(open) => found(inside.open(open)?),
        Err(other) => Ok(Found::Other(other)),
    }
}

/// How what looks like this is opened, if it is a file or a folder.
fn opening(stat: &Stat) -> Result<OFlags, FileType> {
    let open = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok(open | OFlags::DIRECTORY),
        FileType::RegularFile => Ok(open),
        other => Err(other),
    }
}

/// What was opened.
fn found(descriptor: OwnedFd) -> Result<Found, Code> {
    let stat = fstat(&descriptor)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Found::Folder(descriptor, stat),
        FileType::RegularFile => Found::File(File::from(descriptor)),
        other => Found::Other(other),
    })
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    [folder, b"/", name].concat()
}

fn exclusion(kind: FileType) -> Exclusion {
    match kind {
        FileType::Symlink => Exclusion::Link,
        FileType::Fifo => Exclusion::Fifo,
        FileType::Socket => Exclusion::Socket,
        _ => Exclusion::Device,
    }
}

fn excluded(path: Vec<u8>, why: Exclusion) -> Next {
    Next::Gap(Gap {
        path: ObjectPath::root(path),
        reason: Reason::Excluded(why),
        detail: String::new(),
    })
}

fn unreadable(path: Vec<u8>, code: Code) -> Next {
    let error = std::io::Error::from(code);
    Next::Gap(Gap {
        path: ObjectPath::root(path),
        reason: Reason::Unreadable(Errno::of(&error)),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Recurse;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// All steps as text, sorted, each path without the folder's.
    fn steps(path: &Path, options: Options, follow: bool) -> Vec<String> {
        let reach = Reach {
            follow_links: follow,
            roots: Roots::default(),
        };
        walk(path, options, reach)
    }

    fn walk(path: &Path, options: Options, reach: Reach) -> Vec<String> {
        let prefix = path.as_os_str().as_bytes().to_vec();
        let mut files = Files::new(prefix.clone(), Arc::new(options), Arc::new(reach));
        let short = |path: &ObjectPath| {
            let name = path.name();
            String::from_utf8_lossy(name.strip_prefix(&prefix[..]).unwrap_or(name)).into_owned()
        };
        let mut said = Vec::new();
        for _ in 0..1000 {
            match files.next_step() {
                Next::End => {
                    said.sort();
                    return said;
                }
                Next::Gap(gap) => said.push(format!("{} {}", short(&gap.path), gap.reason)),
                Next::Item(item) => {
                    said.push(format!("{} depth {}", short(&item.path), item.depth))
                }
                Next::Nothing => {}
            }
        }
        panic!("no end");
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("sub/deep")).unwrap();
        for name in ["a", "sub/b", "sub/deep/c"] {
            std::fs::write(at(name), name).unwrap();
        }
        symlink("nowhere", at("dangling")).unwrap();
        symlink(".", at("sub/loop")).unwrap();
        symlink("a", at("link")).unwrap();
        rustix::fs::mknodat(
            CWD,
            at("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let _ = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        folder
    }

    #[test]
    fn a_folder_gives_its_files_and_says_what_it_leaves_out() {
        let folder = tree();
        assert_eq!(
            steps(folder.path(), Options::default(), false),
            [
                "/a depth 1",
                "/dangling excluded/link",
                "/link excluded/link",
                "/pipe excluded/fifo",
                "/socket excluded/socket",
                "/sub/b depth 2",
                "/sub/deep/c depth 3",
                "/sub/loop excluded/link",
            ]
        );
    }

    #[test]
    fn followed_links_end_in_no_loop() {
        let folder = tree();
        let said = steps(folder.path(), Options::default(), true);
        for line in [
            "/link depth 1",
            "/dangling excluded/link",
            "/sub/loop excluded/link",
        ] {
            assert!(said.iter().any(|said| said == line), "{line} in {said:?}");
        }
    }

    #[test]
    fn recurse_and_exclude_leave_out_with_a_gap() {
        let folder = tree();
        let mut options = Options {
            recurse: Recurse::To(1),
            ..Options::default()
        };
        options.exclude.add(b"*/pipe");
        let said = steps(folder.path(), options, false);
        assert!(
            said.contains(&"/sub excluded/recurse".to_owned()),
            "{said:?}"
        );
        assert!(
            said.contains(&"/pipe excluded/exclude".to_owned()),
            "{said:?}"
        );
        let off = Options {
            recurse: Recurse::Off,
            ..Options::default()
        };
        assert_eq!(steps(folder.path(), off, false), [" excluded/recurse"]);
    }

    #[test]
    fn a_named_object_is_opened_through_a_link_and_refused_by_name() {
        let folder = tree();
        let one = |name: &str| steps(&folder.path().join(name), Options::default(), false);
        assert_eq!(one("link"), [" depth 0"]);
        assert_eq!(one("pipe"), [" unsupported/fifo"]);
        assert_eq!(one("absent"), [" unreadable/ENOENT"]);
        assert_eq!(one("a/b"), [" unreadable/ENOTDIR"]);
        assert_eq!(one("a "), [" unreadable/ENOENT"]);
        assert_eq!(one(&"a/".repeat(3000)), [" unreadable/ENAMETOOLONG"]);
    }

    #[test]
    fn nothing_leads_out_of_a_root() {
        let (folder, outside) = (tree(), tree());
        let at = |name: &str| folder.path().join(name);
        symlink(outside.path(), at("sub/out")).unwrap();
        symlink(outside.path().join("absent"), at("sub/nowhere")).unwrap();
        symlink("../../etc/passwd", at("sub/up")).unwrap();
        symlink("../a", at("sub/in")).unwrap();
        symlink(folder.path(), outside.path().join("name")).unwrap();
        let roots = |name: &Path| Roots::new(&[at("sub"), name.to_path_buf()]).unwrap();
        let walked = |path: &Path, name: &Path, follow_links| {
            let roots = roots(name);
            let reach = Reach {
                follow_links,
                roots,
            };
            walk(path, Options::default(), reach)
        };
        let one = |path: &str| walked(&at(path), &at("sub/deep"), false);
        assert_eq!(one("sub/b"), [" depth 0"]);
        assert_eq!(one("sub/deep/../b"), [" depth 0"]);
        assert_eq!(one("sub//./deep/c"), [" depth 0"]);
        assert_eq!(one("sub/absent"), [" unreadable/ENOENT"]);
        // The same answer, whatever is there.
        for outside in [
            "a",
            "absent",
            "sub/../a",
            "sub/out",
            "sub/out/a",
            "sub/out/absent",
            "sub/nowhere",
            "sub/up",
            "sub/in",
            "pipe",
            "subb",
        ] {
            assert_eq!(one(outside), [" unreadable/EACCES"], "{outside}");
        }
        // By another name of the root, which is a link.
        let name = outside.path().join("name");
        for root in [&name, folder.path()] {
            assert_eq!(walked(&root.join("a"), &name, false), [" depth 0"]);
        }
        assert_eq!(
            walked(&name.join("pipe"), &name, false),
            [" unsupported/fifo"]
        );
        // Followed inside, but not out of it.
        let said = walked(folder.path(), folder.path(), true);
        for line in [
            "/link depth 1",
            "/sub/in depth 2",
            "/sub/out unreadable/EACCES",
            "/dangling excluded/link",
        ] {
            assert!(said.iter().any(|said| said == line), "{line} in {said:?}");
        }
    }

    #[test]
    fn a_root_is_a_folder_with_an_absolute_path() {
        let folder = tree();
        for (path, problem) in [
            (Path::new("relative").to_owned(), "not an absolute path"),
            (folder.path().join("absent"), "No such file"),
            (folder.path().join("a"), "Not a directory"),
        ] {
            let refused = Roots::new(&[path]).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}
