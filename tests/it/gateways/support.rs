//! What the tests of this folder have in common: our daemon as a clamd, programs that end with the test, and contents.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::{Daemon, PATIENCE, eicar, noise, run, stored_zip};

/// What programs are told about [`eicar`].
pub const NAME: &str = "EICAR-Test-File.UNOFFICIAL";
/// The most that may be sent in one stream to a [`Scanner::small`].
pub const LIMIT: usize = 256 << 10;

/// Our daemon as a clamd, with a folder for whoever asks it. All users of the system may read the folder and connect.
pub struct Scanner {
    pub daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Scanner {
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let socket = format!("--vfdclam-socket={}/clamd", folder.path().display());
        let own = ["--vfdclam-port=0", "--vfdclam-socket-mode=666", &socket];
        Self {
            daemon: Daemon::start(&[&own, options].concat()),
            folder,
        }
    }

    /// One that takes streams of [`LIMIT`] bytes, and as much out of containers.
    pub fn small(options: &[&str]) -> Self {
        let spool = format!("--limit-spool={}", 4 * LIMIT);
        let expanded = format!("--limit-expanded={LIMIT}");
        Self::start(&[&[spool.as_str(), &expanded], options].concat())
    }

    /// Where it speaks clamd's protocol on loopback.
    pub fn port(&self) -> u16 {
        self.daemon.places[1]
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap()
    }

    /// Where it speaks clamd's protocol in the file system.
    pub fn socket(&self) -> PathBuf {
        self.path("clamd")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// A new folder that this user of the system owns, if the test may give it to him.
    pub fn folder_of(&self, user: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        if is_root() {
            run("chown", &[user, path.to_str().unwrap()], b"");
        }
        path
    }

    /// The block of docs/gateways.md that has this title in its first line, with this daemon's places for those there.
    pub fn configuration(&self, title: &str) -> String {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gateways.md");
        let page = std::fs::read_to_string(page).unwrap();
        let is_start = |line: &&str| line.strip_prefix("```text ") == Some(title);
        let block = page.lines().skip_while(|line| !is_start(line)).skip(1);
        let block: Vec<_> = block.take_while(|line| *line != "```").collect();
        assert!(!block.is_empty(), "docs/gateways.md shows no {title}");
        (block.join("\n") + "\n")
            .replace("/run/clamav/clamd.ctl", self.socket().to_str().unwrap())
            .replace("3310", &self.port().to_string())
    }
}

/// A program in the foreground, ended with all its processes when dropped. What it prints is kept.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it with `log` for what it prints.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        let log = log.to_owned();
        Self { child, log }
    }

    /// Waits until somebody listens at this port.
    pub fn listens(self, port: u16) -> Self {
        self.waits(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    /// Waits until somebody listens at this socket of the file system.
    pub fn listens_at(self, socket: &Path) -> Self {
        self.waits(|| UnixStream::connect(socket).is_ok())
    }

    /// Waits until this holds.
    pub fn waits(mut self, holds: impl Fn() -> bool) -> Self {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            let ended = self.child.try_wait().unwrap();
            let is_over = ended.is_some() || Instant::now() > end;
            assert!(!is_over, "{ended:?}: {}", self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        let _ = kill_process(pid, Signal::TERM);
        // Some take longer to close what nobody needs any more.
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whatever of it did not follow.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Waits until this gives something.
pub fn awaited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of loopback that nobody had a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Tells whether these programs are there, which .ci/gateways installs and .ci/run does not: without them a test says
/// that it is skipped, unless VFIND_FULL=1 makes that a failure.
pub fn has_programs(paths: &[&str]) -> bool {
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !Path::new(path).exists())
        .collect();
    let full = std::env::var("VFIND_FULL").is_ok_and(|value| value == "1");
    assert!(missing.is_empty() || !full, "{missing:?} must be installed");
    if !missing.is_empty() {
        println!("skipped: {missing:?} not found");
    }
    missing.is_empty()
}

/// Where this file of a package is: below VFIND_GATEWAYS, where .ci/gateways unpacks what cannot be installed beside
/// others, else where packages have it.
pub fn installed(path: &str) -> String {
    let root = std::env::var_os("VFIND_GATEWAYS").map(PathBuf::from);
    let unpacked = root
        .map(|root| root.join(path))
        .filter(|path| path.exists());
    unpacked.map_or(format!("/{path}"), |path| path.display().to_string())
}

/// Most of these programs give up rights that they must have first.
pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// What is sent through each program.
pub struct Contents {
    pub clean: Vec<u8>,
    pub infected: Vec<u8>,
    /// An archive with a password that nobody knows, infected inside.
    pub encrypted: Vec<u8>,
    /// More than a [`Scanner::small`] takes, as a stream and out of a container.
    pub large: Vec<u8>,
}

impl Contents {
    /// Each as a file with its name. The large one is in an archive: a file itself may be of any size, what comes out of it not.
    pub fn files(self) -> [(&'static str, Vec<u8>); 4] {
        [
            ("clean", self.clean),
            ("infected", self.infected),
            ("encrypted", self.encrypted),
            ("large", stored_zip(&[("noise", &self.large)])),
        ]
    }
}

pub fn contents() -> Contents {
    let folder = tempfile::tempdir().unwrap();
    let [inside, locked] = ["letter.com", "locked.zip"].map(|name| folder.path().join(name));
    std::fs::write(&inside, eicar()).unwrap();
    let [inside, archive] = [&inside, &locked].map(|path| path.to_str().unwrap());
    let zip = run(
        "zip",
        &["-q", "-j", "-P", "nobody knows", archive, inside],
        b"",
    );
    assert!(zip.status.success(), "{zip:?}");
    Contents {
        clean: stored_zip(&[("notes.txt", b"nothing but a few words")]),
        infected: stored_zip(&[("letter.com", &eicar())]),
        encrypted: std::fs::read(&locked).unwrap(),
        large: stored_zip(&[("letters", &noise(7, 2 * LIMIT))]),
    }
}
