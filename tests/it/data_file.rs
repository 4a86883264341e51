//! The file of compiled signatures: used while it fits, made again whenever it does not, refused where others could write it.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::{out, run, said};

const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");
const VFIND: &str = env!("CARGO_BIN_EXE_vfind");

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(site.at("private")).unwrap();
        std::fs::set_permissions(site.at("private"), PermissionsExt::from_mode(0o700)).unwrap();
        site.write("one.cvdl", ":One, \"needle one\" #\n");
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.at("private/data")
    }

    /// The names that are loaded, what was said, and the number of the file afterwards.
    fn list(&self, program: &str, more: &[&str]) -> (Vec<String>, String, u64) {
        let database = format!("--database={}", self.at("one.cvdl").display());
        let data = format!("--vdl-data-file={}", self.data().display());
        let arguments = [&[database.as_str(), &data, "--vlist"], more].concat();
        let output = run(program, &arguments, b"");
        let inode = std::fs::metadata(self.data()).map_or(0, |metadata| metadata.ino());
        let printed = out(&output);
        let names = printed.lines().map(str::to_owned);
        let names = names.filter(|name| !name.contains("EICAR") && !name.contains("Demo"));
        (names.collect(), said(&output), inode)
    }
}

#[test]
fn the_file_is_made_once_and_used_until_something_differs() {
    for program in [VFINDD, VFIND] {
        let site = Site::new();
        let (names, log, made) = site.list(program, &[]);
        assert_eq!(names, ["CVDL One"], "{log}");
        assert!(log.contains("no compiled signatures are at"), "{log}");
        let metadata = std::fs::metadata(site.data()).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);

        let (names, log, used) = site.list(program, &[]);
        assert_eq!(
            (names.as_slice(), used),
            (&["CVDL One".to_owned()][..], made)
        );
        assert_eq!(log, "", "used without a word");

        // The same content again, which the file system calls a change.
        site.write("one.cvdl", ":One, \"needle one\" #\n");
        let (_, log, used) = site.list(program, &[]);
        assert_eq!((log.as_str(), used), ("", made));

        site.write("one.cvdl", ":Two, \"needle two\" #\n");
        let (names, log, changed) = site.list(program, &[]);
        assert_eq!(names, ["CVDL Two"]);
        assert!(log.contains("one.cvdl has changed"), "{log}");
        assert_ne!(changed, made);

        let (_, log, rebuilt) = site.list(program, &["--rebuild-vdl-data"]);
        assert_ne!(rebuilt, changed, "{log}");

        let (names, log, _) = site.list(program, &["--noload=Two"]);
        assert_eq!(names, [""; 0]);
        assert!(log.contains("other names are left out"), "{log}");

        site.write("more.cvdl", ":More, \"needle more\" #\n");
        let more = format!("--database={}", site.at("more.cvdl").display());
        let (names, log, _) = site.list(program, &["--noload=Two", &more]);
        assert_eq!(names, ["CVDL More"]);
        assert!(log.contains("it is made of other files"), "{log}");
    }
}

#[test]
fn what_was_not_understood_is_said_again_out_of_the_file() {
    let site = Site::new();
    site.write("one.cvdl", ":One, \"needle one\" #\n:Bad, nonsense #\n");
    let (_, first, _) = site.list(VFINDD, &[]);
    let (names, second, _) = site.list(VFINDD, &[]);
    assert_eq!(names, ["CVDL One"]);
    for log in [&first, &second] {
        assert!(log.contains("one.cvdl:2:"), "{log}");
    }
    assert!(!second.contains("anew"), "{second}");
    let (_, log, _) = site.list(VFINDD, &["--exit-on-error"]);
    assert!(log.contains("1 signatures were not understood"), "{log}");
}

#[test]
fn a_damaged_file_is_made_again_and_never_used() {
    let site = Site::new();
    let (names, ..) = site.list(VFINDD, &[]);
    let whole = std::fs::read(site.data()).unwrap();
    let mut rows: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("cut short".into(), whole[..whole.len() - 1].to_vec()),
        ("longer".into(), [whole.as_slice(), b"x"].concat()),
    ];
    let mut other = whole.clone();
    other[8] ^= 0x40;
    rows.push(("version".into(), other));
    // The header, and the table at the end; tests of the image itself flip every byte.
    for at in [12, 16, 24, 32, whole.len() - 1, whole.len() - 20] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        rows.push((format!("byte {at}"), changed));
    }
    for (what, content) in rows {
        std::fs::write(site.data(), content).unwrap();
        let (again, log, _) = site.list(VFINDD, &[]);
        assert_eq!(again, names, "{what}: {log}");
        assert!(
            log.contains("the signatures are compiled anew"),
            "{what}: {log}"
        );
        let (again, log, _) = site.list(VFINDD, &[]);
        assert_eq!((again, log.as_str()), (names.clone(), ""), "{what}");
    }
}

#[test]
fn a_file_that_is_something_else_is_left_as_it_is() {
    let site = Site::new();
    let (_, _, before) = site.list(VFINDD, &[]);
    let mut image = std::fs::read(site.data()).unwrap();
    image[0] ^= 1;
    for content in [b"my notes".to_vec(), b"VFINDIM".to_vec(), image] {
        std::fs::write(site.data(), &content).unwrap();
        let (names, log, inode) = site.list(VFINDD, &[]);
        assert_eq!((names.len(), inode), (0, before), "{log}");
        assert!(
            log.contains("something else than compiled signatures"),
            "{log}"
        );
        assert_eq!(std::fs::read(site.data()).unwrap(), content);
    }
}

#[test]
fn what_becomes_of_the_file_later_is_nothing_to_a_daemon() {
    let site = Site::new();
    let database = format!("--database={}", site.at("one.cvdl").display());
    let data = format!("--vdl-data-file={}", site.data().display());
    site.write("subject", "a needle one here");
    let subject = format!("{}", site.at("subject").display());
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = crate::support::Daemon::start(&[&database, &data, isolation]);
        let maps = format!("/proc/{}/maps", daemon.pid());
        let data_name = site.data().display().to_string();
        let end = std::time::Instant::now() + crate::support::PATIENCE;
        while std::fs::read_to_string(&maps).unwrap().contains(&data_name) {
            assert!(std::time::Instant::now() < end, "the file stays mapped");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let length = std::fs::metadata(site.data()).unwrap().len();
        // As `cp` over it does: cut off, and written anew.
        std::fs::write(site.data(), vec![0; length as usize]).unwrap();
        std::fs::File::create(site.data()).unwrap();
        let server = format!("--server={}", daemon.address);
        let found = run(env!("CARGO_BIN_EXE_vfindc"), &[&server, &subject], b"");
        assert_eq!(
            found.status.code(),
            Some(23),
            "{isolation}: {}",
            said(&found)
        );
        std::fs::remove_file(site.data()).unwrap();
    }
}

#[test]
fn a_file_that_others_could_write_is_refused() {
    let site = Site::new();
    site.list(VFINDD, &[]);
    let refused = |path: &Path, mode: u32, usual: u32| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        let (names, log, _) = site.list(VFINDD, &[]);
        std::fs::set_permissions(path, PermissionsExt::from_mode(usual)).unwrap();
        assert_eq!(names, [""; 0]);
        let said = format!("{}: others can write it (mode {mode:o})", path.display());
        assert!(log.contains(&said), "{log}");
    };
    refused(&site.data(), 0o620, 0o600);
    refused(&site.at("private"), 0o702, 0o700);
    refused(&site.folder.path().canonicalize().unwrap(), 0o770, 0o700);
    std::fs::rename(site.data(), site.at("elsewhere")).unwrap();
    std::os::unix::fs::symlink(site.at("elsewhere"), site.data()).unwrap();
    let (_, log, _) = site.list(VFINDD, &[]);
    assert!(log.contains("private/data: Too many levels"), "{log}");
}

#[test]
fn a_file_that_cannot_be_made_is_the_end_and_leaves_nothing() {
    let site = Site::new();
    let (_, log, _) = site.list(VFINDD, &["--max-vdl-data-size=100"]);
    assert!(log.contains("larger than 100 bytes"), "{log}");
    let left: Vec<_> = std::fs::read_dir(site.at("private")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // Nor is one that is there and larger than it may be.
    let (_, log, inode) = site.list(VFINDD, &[]);
    assert!(inode > 0, "{log}");
    let (names, log, _) = site.list(VFINDD, &["--max-vdl-data-size=100"]);
    assert!(
        log.contains("larger than 100 bytes, see --max-vdl-data-size"),
        "{log}"
    );
    assert!(names.is_empty(), "{names:?}");
    let data = format!("--vdl-data-file={}/no/such", site.folder.path().display());
    let output = run(VFINDD, &[&data, "--vlist"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(
        said(&output).contains("no: No such file"),
        "{}",
        said(&output)
    );
}

#[test]
fn only_regular_files_are_sources() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.cvdl");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
    for (option, path) in [("vdl", Path::new("/dev/zero")), ("database", &socket)] {
        let output = run(
            VFINDD,
            &[&format!("--{option}={}", path.display()), "--vlist"],
            b"",
        );
        assert_eq!(output.status.code(), Some(255), "{}", said(&output));
        assert!(said(&output).contains(&path.display().to_string()));
    }
}
