//! The quarantine against people who change files and folders while it works.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::folder::plain;
use super::*;
use crate::client::Watch;
use crate::client::progress::Progress;
use crate::verdict::{Record, Times, Verdict};

/// A folder of files, and a quarantine beside it.
struct Place {
    home: tempfile::TempDir,
    store: PathBuf,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("files")).unwrap();
        let store = home.path().join("store");
        Self { home, store }
    }

    fn file(&self, name: &[u8], content: &[u8]) -> PathBuf {
        let path = self.home.path().join("files").join(OsStr::from_bytes(name));
        fs::write(&path, content).unwrap();
        path
    }

    fn open(&self) -> Quarantine {
        Quarantine::open(&self.store).unwrap()
    }

    /// How many entries the quarantine has.
    fn stored(&self) -> usize {
        fs::read_dir(&self.store).unwrap().count()
    }
}

fn infected(path: &Path) -> Record {
    Record {
        version: 1,
        request: None,
        verdict: Verdict::Infected,
        path: vec![Element::new(path.as_os_str().as_bytes())],
        findings: vec![FoundRecord {
            engine: "CVDL".to_owned(),
            name: "Sick".to_owned(),
            path: vec![Element::new(path.as_os_str().as_bytes())],
            offset: Some(1),
            message: "end at 1".to_owned(),
        }],
        gaps: Vec::new(),
        notes: Vec::new(),
        coverage: None,
        epoch: None,
        times: Times {
            started_ms: 0,
            elapsed_ms: 0,
        },
        sha1: None,
        error: None,
        quarantined: None,
    }
}

/// Has a file taken that is open already; what the warnings say comes with it.
fn take(quarantine: &mut Quarantine, file: &File, path: &Path) -> (Result<String, String>, String) {
    let mut warnings = String::new();
    let taken = quarantine.take(file, &infected(path), &mut |text| warnings += &text);
    (taken, warnings)
}

fn keep(quarantine: &mut Quarantine, path: &Path) -> String {
    let (taken, warnings) = take(quarantine, &File::open(path).unwrap(), path);
    assert_eq!(warnings, "");
    taken.unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn there_and_back_with_every_odd_name() {
    let names: &[&[u8]] = &[
        b"plain",
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b" blanks ",
        b"-dash",
        b"quote\"backslash\\",
        &[b'n'; 255],
    ];
    let place = Place::new();
    let mut quarantine = place.open();
    assert_eq!(mode(&place.store), 0o700);
    for name in names {
        let path = place.file(name, b"sick");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o754)).unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
        File::open(&path).unwrap().set_modified(old).unwrap();
        let before = fs::metadata(&path).unwrap();
        let stored = keep(&mut quarantine, &path);
        assert!(!path.exists());
        assert_eq!(mode(&place.store.join(&stored)), 0o600);
        assert_eq!(mode(&place.store.join(format!("{stored}.json"))), 0o600);
        let kept = quarantine.read(&stored).unwrap();
        assert_eq!(kept.path.bytes(), path.as_os_str().as_bytes());
        assert_eq!(
            (kept.mode, kept.size, kept.mtime),
            (0o754, 4, 1_000_000_000)
        );
        assert_eq!(kept.findings[0].name, "Sick");
        assert_eq!(quarantine.names().unwrap().concat(), stored);
        quarantine
            .restore(&stored, &mut |text| panic!("{text}"))
            .unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(after.modified().unwrap(), old);
        assert_eq!(
            (after.ino(), after.mode(), after.uid(), after.gid()),
            (before.ino(), before.mode(), before.uid(), before.gid())
        );
        assert_eq!(place.stored(), 0, "nothing stays behind");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn files_of_the_same_content_have_names_of_their_own() {
    let place = Place::new();
    let mut names: Vec<_> = (0..3)
        .map(|_| keep(&mut place.open(), &place.file(b"same", b"same")))
        .collect();
    // What a crash left behind has its name, too.
    fs::write(place.store.join(names[0].replace("-1", "-4")), b"").unwrap();
    names.push(keep(&mut place.open(), &place.file(b"same", b"same")));
    let numbers: Vec<_> = names
        .iter()
        .map(|name| name.split_once('-').unwrap().1)
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "5"]);
    assert_eq!(place.open().names().unwrap(), names);
}

#[test]
fn only_the_very_file_that_was_scanned_is_moved() {
    type Swap = fn(&Path, &Path);
    let rows: &[(&str, Swap, &str)] = &[
        (
            "a link instead of the file",
            |path, other| {
                fs::remove_file(path).unwrap();
                symlink(other, path).unwrap();
            },
            "its name is a symbolic link",
        ),
        (
            "a link to the file itself",
            |path, _| {
                let moved = path.with_extension("moved");
                fs::rename(path, &moved).unwrap();
                symlink(&moved, path).unwrap();
            },
            "its name is a symbolic link",
        ),
        (
            "another file",
            |path, other| fs::rename(other, path).unwrap(),
            "another file",
        ),
        (
            "the same content anew",
            |path, _| {
                let moved = path.with_extension("moved");
                fs::copy(path, &moved).unwrap();
                fs::rename(&moved, path).unwrap();
            },
            "another file",
        ),
        (
            "nothing any more",
            |path, _| fs::remove_file(path).unwrap(),
            "No such file",
        ),
        (
            "a folder",
            |path, _| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "another file",
        ),
        (
            "a link instead of the folder",
            |path, _| {
                let folder = path.parent().unwrap();
                let moved = folder.with_extension("moved");
                fs::rename(folder, &moved).unwrap();
                symlink(&moved, folder).unwrap();
            },
            "symbolic link",
        ),
    ];
    for (what, swap, why) in rows {
        let place = Place::new();
        let path = place.file(b"virus", b"sick");
        let other = place.home.path().join("other");
        fs::write(&other, b"precious").unwrap();
        let file = File::open(&path).unwrap();
        let mut quarantine = place.open();
        swap(&path, &other);
        let (taken, _) = take(&mut quarantine, &file, &path);
        let said = taken.unwrap_err();
        assert!(said.contains(why), "{what}: {said}");
        assert_eq!(place.stored(), 0, "{what}");
        let precious = [&other, &path]
            .iter()
            .any(|path| fs::read(path).is_ok_and(|content| content == b"precious"));
        assert!(precious, "{what}");
    }
}

/// The look and the move are two steps. Here somebody comes between them.
#[test]
fn what_was_moved_instead_is_put_back() {
    let place = Place::new();
    let path = place.file(b"virus", b"sick");
    let mut quarantine = place.open();
    let file = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"precious").unwrap();
    let (parent, name) = folder::parent(path.as_os_str().as_bytes()).unwrap();
    let kept = quarantine_record(&mut quarantine, &place);
    let said = quarantine
        .move_in(&file, &kept, (&parent, name), "x")
        .unwrap_err();
    assert!(said.contains("another file"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(place.stored(), 0);
    // To another file system the copy goes, and the other file stays.
    let said = quarantine
        .copy_in(&file, &kept, (&parent, name), "x")
        .unwrap_err();
    assert!(said.contains("another file"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(place.stored(), 0);
}

/// Two files change places all the time, so that each step finds the other one at some time.
#[test]
fn a_file_that_changes_places_with_another_is_never_lost() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = Place::new();
    let mut quarantine = place.open();
    let kept = quarantine_record(&mut quarantine, &place);
    for round in 0..300 {
        let path = place.file(b"virus", b"sick");
        let other = place.file(b"precious", b"precious");
        let file = File::open(&path).unwrap();
        let inode = other.metadata().unwrap().ino();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // One of the two may be gone by then.
                    let _ = renameat_with(CWD, &path, CWD, &other, RenameFlags::EXCHANGE);
                }
            });
            let (parent, name) = folder::parent(path.as_os_str().as_bytes()).unwrap();
            let _ = quarantine.copy_in(&file, &kept, (&parent, name), "x");
            stop.store(true, Ordering::Relaxed);
        });
        let folder = fs::read_dir(path.parent().unwrap()).unwrap();
        let inodes: Vec<u64> = folder.map(|entry| entry.unwrap().ino()).collect();
        assert!(inodes.contains(&inode), "lost in round {round}");
        let _ = fs::remove_file(place.store.join("x"));
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

/// The record of a file with the content `sick`.
fn quarantine_record(quarantine: &mut Quarantine, place: &Place) -> Kept {
    let other = place.file(b"other", b"sick");
    let stored = keep(quarantine, &other);
    let kept = quarantine.read(&stored).unwrap();
    quarantine.restore(&stored, &mut |_| {}).unwrap();
    kept
}

#[test]
fn a_copy_that_is_not_the_file_is_none() {
    let place = Place::new();
    let path = place.file(b"virus", b"sick");
    let mut quarantine = place.open();
    let file = File::open(&path).unwrap();
    let mut kept = quarantine_record(&mut quarantine, &place);
    let (parent, name) = folder::parent(path.as_os_str().as_bytes()).unwrap();
    kept.size = 5;
    let said = quarantine
        .copy_in(&file, &kept, (&parent, name), "x")
        .unwrap_err();
    assert!(said.contains("changed"), "{said}");
    assert!(path.exists());
    assert_eq!(place.stored(), 0);
}

#[test]
fn to_another_file_system_and_back() {
    let Ok(far) = tempfile::tempdir_in("/dev/shm") else {
        return println!("skipped: no /dev/shm");
    };
    let place = Place::new();
    if far.path().metadata().unwrap().dev() == place.home.path().metadata().unwrap().dev() {
        return println!("skipped: one file system");
    }
    let content = vec![7; 1_000_000];
    let path = place.file(b"virus", &content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    let mut quarantine = Quarantine::open(&far.path().join("store")).unwrap();
    let stored = keep(&mut quarantine, &path);
    assert!(!path.exists());
    let inside = far.path().join("store").join(&stored);
    assert_eq!(
        (mode(&inside), fs::read(&inside).unwrap()),
        (0o600, content.clone())
    );
    // Nothing is replaced, and nothing half written stays.
    fs::write(&path, b"new").unwrap();
    let said = quarantine.restore(&stored, &mut |_| {}).unwrap_err();
    assert!(said.contains("has its place"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    fs::remove_file(&path).unwrap();
    quarantine
        .restore(&stored, &mut |text| panic!("{text}"))
        .unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), content);
    assert_eq!(
        (after.mode(), after.modified().unwrap()),
        (before.mode(), before.modified().unwrap())
    );
    assert_eq!(fs::read_dir(far.path().join("store")).unwrap().count(), 0);
}

#[test]
fn a_folder_that_others_can_reach_into_is_no_quarantine() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(at("group")).unwrap();
    fs::set_permissions(at("group"), fs::Permissions::from_mode(0o770)).unwrap();
    fs::create_dir(at("good")).unwrap();
    fs::set_permissions(at("good"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(at("good"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    fs::write(at("file"), b"").unwrap();
    let rows = [
        ("open", "others may write"),
        ("group", "others may write"),
        ("link", "a link"),
        ("link//", "a link"),
        ("dangling", "a link"),
        ("file", "no folder"),
        ("no/such", "cannot be made"),
    ];
    for (name, why) in rows {
        let said = Quarantine::open(&at(name)).unwrap_err();
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(Quarantine::open(&at("good/")).is_ok());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(at("good"), Some(1), None).unwrap();
        let said = Quarantine::open(&at("good")).unwrap_err();
        assert!(said.contains("somebody else"), "{said}");
    }
}

#[test]
fn other_names_of_the_file_are_told() {
    let place = Place::new();
    let path = place.file(b"virus", b"sick");
    let second = path.with_extension("second");
    fs::hard_link(&path, &second).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    let before = fs::metadata(&second).unwrap();
    let mut quarantine = place.open();
    let (taken, warnings) = take(&mut quarantine, &File::open(&path).unwrap(), &path);
    let stored = taken.unwrap();
    assert!(warnings.contains("1 other names"), "{warnings}");
    assert!(!path.exists());
    // They are as they were, and no way to what is in quarantine.
    let after = fs::metadata(&second).unwrap();
    let facts = |of: &fs::Metadata| (of.ino(), of.mode(), of.uid(), of.modified().unwrap());
    assert_eq!(facts(&after), facts(&before));
    assert_eq!(after.nlink(), 1);
    let inside = place.store.join(&stored);
    assert_eq!(mode(&inside), 0o600);
    assert_ne!(fs::metadata(&inside).unwrap().ino(), after.ino());
    quarantine
        .restore(&stored, &mut |text| panic!("{text}"))
        .unwrap();
    let restored = fs::metadata(&path).unwrap();
    assert_eq!(
        (
            restored.mode(),
            restored.uid(),
            restored.modified().unwrap()
        ),
        (before.mode(), before.uid(), before.modified().unwrap())
    );
    assert_eq!(mode(&second), 0o4755);
    assert_eq!(fs::read(&path).unwrap(), b"sick");
}

#[test]
fn what_has_no_place_of_its_own_stays() {
    let place = Place::new();
    let mut quarantine = place.open();
    let path = place.file(b"virus", b"sick");
    let file = File::open(&path).unwrap();
    let stored = keep(&mut quarantine, &path);
    let inside = place.store.join(&stored);
    let rows = [
        (Path::new("-"), &file, "no absolute path"),
        (Path::new("relative"), &file, "no absolute path"),
        (Path::new(""), &file, "no absolute path"),
        (Path::new("/"), &file, "names no file"),
        (Path::new("/tmp/.."), &file, "names no file"),
        (Path::new("/no/such/folder"), &file, "its folder"),
        (&inside, &file, "already"),
        (
            Path::new("/dev/null"),
            &File::open("/dev/null").unwrap(),
            "no plain file",
        ),
    ];
    for (path, file, why) in rows {
        let said = take(&mut quarantine, file, path).0.unwrap_err();
        assert!(said.contains(why), "{path:?}: {said}");
    }
    assert_eq!(place.stored(), 2);
}

#[test]
fn restoring_replaces_nothing_and_believes_no_record() {
    let place = Place::new();
    let mut quarantine = place.open();
    let path = place.file(b"virus", b"sick");
    let stored = keep(&mut quarantine, &path);
    let record = place.store.join(format!("{stored}.json"));
    let good = fs::read_to_string(&record).unwrap();
    let refused = |why: &str| {
        let said = quarantine.restore(&stored, &mut |_| {}).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
        assert!(place.store.join(&stored).exists());
    };
    fs::write(&path, b"new").unwrap();
    refused("has its place");
    assert_eq!(fs::read(&path).unwrap(), b"new");
    fs::remove_file(&path).unwrap();
    symlink("/nonexistent", &path).unwrap();
    refused("has its place");
    fs::remove_file(&path).unwrap();
    let shown = path.display().to_string();
    for bad in [
        "relative",
        "",
        "/",
        "/tmp/../etc/passwd",
        "/tmp//x",
        "/tmp/.",
        "/tmp/x/",
        "/tmp/\\u0000",
    ] {
        fs::write(&record, good.replace(&shown, bad)).unwrap();
        let said = quarantine.restore(&stored, &mut |_| {}).unwrap_err();
        assert!(said.contains("path"), "{bad}: {said}");
    }
    for (from, to, why) in [
        ("\"size\": 4", "\"size\": 5", "not what its record says"),
        ("\"version\": 1", "\"version\": 2", "version 2"),
        ("{", "[", "damaged"),
    ] {
        fs::write(&record, good.replacen(from, to, 1)).unwrap();
        refused(why);
    }
    fs::remove_file(&record).unwrap();
    symlink("/etc/passwd", &record).unwrap();
    refused("its record");
    fs::remove_file(&record).unwrap();
    fs::write(&record, &good).unwrap();
    // The folder it came from leads elsewhere now.
    let files = place.home.path().join("files");
    fs::rename(&files, place.home.path().join("moved")).unwrap();
    symlink("moved", &files).unwrap();
    refused("symbolic link");
    fs::remove_file(&files).unwrap();
    fs::rename(place.home.path().join("moved"), &files).unwrap();
    fs::write(place.store.join(&stored), b"else").unwrap();
    refused("not what its record says");
    fs::write(place.store.join(&stored), b"sick").unwrap();
    quarantine.restore(&stored, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"sick");
    for name in [
        "",
        "../x",
        "x",
        "a/b",
        &format!("{}-", "0".repeat(64)),
        &stored,
    ] {
        assert!(quarantine.restore(name, &mut |_| {}).is_err(), "{name}");
    }
}

#[test]
fn paths_deeper_than_the_kernel_takes_are_reached() {
    let home = tempfile::tempdir().unwrap();
    let mut folder = File::open(home.path()).unwrap();
    let mut path = home.path().as_os_str().as_bytes().to_vec();
    let name = "d".repeat(200);
    for _ in 0..50 {
        rustix::fs::mkdirat(&folder, &name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let next = rustix::fs::openat(&folder, &name, flags, rustix::fs::Mode::empty()).unwrap();
        folder = next.into();
        path.extend_from_slice(format!("/{name}").as_bytes());
    }
    path.extend_from_slice(b"/virus");
    let mut file = folder::create(&folder, "virus").unwrap();
    std::io::Write::write_all(&mut file, b"sick").unwrap();
    let mut quarantine = Quarantine::open(&home.path().join("store")).unwrap();
    let file = folder::open_file(&folder, "virus").unwrap();
    let (taken, _) = take(&mut quarantine, &file, Path::new(OsStr::from_bytes(&path)));
    let stored = taken.unwrap();
    quarantine.restore(&stored, &mut |_| {}).unwrap();
    assert!(folder::open_file(&folder, "virus").is_ok());
}

#[test]
fn plain_paths() {
    let rows: &[(&[u8], &[u8])] = &[
        (b"/a/b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/../../b//c/.", b"/b/c"),
        (b"/", b""),
        (b"", b""),
    ];
    for (path, expected) in rows {
        assert_eq!(plain(path), *expected);
    }
}

#[derive(Debug, Default)]
struct Seen {
    records: Vec<Record>,
    warnings: Vec<String>,
}

impl Watch for Seen {
    fn record(&mut self, record: &Record, _: Option<&File>) -> io::Result<()> {
        self.records.push(record.clone());
        Ok(())
    }

    fn warning(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    fn progress(&mut self, _: Progress) {}
}

#[test]
fn the_record_tells_where_the_file_is_now_and_a_warning_why_not() {
    let place = Place::new();
    let path = place.file(b"virus", b"sick");
    let clean = place.file(b"clean", b"well");
    let mut seen = Seen::default();
    let mut keeper = Keeper::new(place.open(), &mut seen);
    keeper
        .record(&infected(&path), Some(&File::open(&path).unwrap()))
        .unwrap();
    keeper.record(&infected(&path), None).unwrap();
    keeper.record(&infected(Path::new("-")), None).unwrap();
    for verdict in [Verdict::Clean, Verdict::Incomplete] {
        let record = Record {
            verdict,
            ..infected(&clean)
        };
        keeper
            .record(&record, Some(&File::open(&clean).unwrap()))
            .unwrap();
    }
    let names: Vec<_> = seen
        .records
        .iter()
        .map(|record| record.quarantined.is_some())
        .collect();
    assert_eq!(names, [true, false, false, false, false]);
    let expected = format!(
        "not quarantined: \"{}\": vfindc did not send it",
        path.display()
    );
    let standard_input = "not quarantined: \"-\": standard input is no file".to_owned();
    assert_eq!(seen.warnings, [expected, standard_input]);
    assert!(clean.exists() && !path.exists());
}
