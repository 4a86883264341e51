//! clamd's protocol over real sockets.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError::Timeout};
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::ends::children;
use crate::support::{Daemon, PATIENCE, at, eicar, has_tools, noise, odd_names, zip};

/// A daemon that speaks clamd's protocol at a port and at a socket, in a folder with files.
pub struct Clamd {
    pub daemon: Daemon,
    folder: tempfile::TempDir,
    port: SocketAddr,
}

pub const NAME: &str = "Test.Marker";
pub const NAME_2: &str = "Test.Second";

impl Clamd {
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        signatures(folder.path());
        let socket = format!(
            "--vfdclam-socket={}",
            folder.path().join("socket").display()
        );
        let database = format!("--database={}", folder.path().join("test.ndb").display());
        let own = ["--vfdclam-port=0", &socket, &database];
        let daemon = Daemon::start(&[&own, options].concat());
        Self {
            port: daemon.places[1].parse().unwrap(),
            daemon,
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    fn local(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("socket")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.port).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What is said to these bytes until the daemon closes, with `|` for zeros.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.local();
        stream.write_all(bytes.as_ref()).unwrap();
        rest(stream)
    }
}

/// The signatures that this file has, of two words that stand nowhere in plain text.
pub fn signatures(folder: &Path) {
    let hex = |word: &str| -> String { word.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let lines = [(NAME, marker()), (NAME_2, second())];
    let lines = lines.map(|(name, word)| format!("{name}:0:*:{}\n", hex(&word)));
    std::fs::write(folder.join("test.ndb"), lines.concat()).unwrap();
}

pub fn marker() -> String {
    ["first", "marker", "of", "clamd"].join("-")
}

pub fn second() -> String {
    ["second", "marker", "of", "clamd"].join("-")
}

fn rest(mut stream: impl Read) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    String::from_utf8_lossy(&rest).replace('\0', "|")
}

/// Content as INSTREAM takes it.
fn chunks(content: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in content.chunks(size).chain([&b""[..]]) {
        wire.extend_from_slice(&u32::try_from(chunk.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(chunk);
    }
    wire
}

/// Sends bytes with open files beside them.
fn pass(stream: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(files)));
    let sent = sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent.unwrap(), bytes.len());
}

#[test]
fn open_files_are_scanned_as_they_are_passed() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        passes_open_files(&Clamd::start(&[isolation]));
    }
}

fn passes_open_files(clamd: &Clamd) {
    let open = |name: &str, content: &str| std::fs::File::open(clamd.write(name, content)).unwrap();
    let (bad, clean) = (open("bad", &marker()), open("clean", "nothing"));
    let found = format!("fd[1]: {NAME}.UNOFFICIAL FOUND|");
    let ask = |pieces: &[(&[u8], &[BorrowedFd<'_>])]| {
        let stream = clamd.local();
        for (bytes, files) in pieces {
            match files {
                [] => (&stream).write_all(bytes).unwrap(),
                files => pass(&stream, bytes, files),
            }
            // So that they are two messages for the daemon, too.
            std::thread::sleep(Duration::from_millis(20));
        }
        stream.shutdown(Shutdown::Write).unwrap();
        rest(stream)
    };
    let none = "No file descriptor received. ERROR|";
    assert_eq!(ask(&[(b"zFILDES\0x", &[bad.as_fd()])]), found);
    assert_eq!(ask(&[(b"zFILDES\0", &[]), (b"\0", &[bad.as_fd()])]), found);
    assert_eq!(ask(&[(b"zFILDES\0", &[]), (b"x", &[])]), none);
    assert_eq!(ask(&[(b"zFILDES\0", &[bad.as_fd()]), (b"x", &[])]), none);
    assert_eq!(
        ask(&[(b"zFILDES\0x", &[clean.as_fd(), bad.as_fd()])]),
        none,
        "which one?"
    );
    let (reader, writer) = std::io::pipe().unwrap();
    let not_a_file = "fd[1]: unsupported/fifo not a regular file ERROR|";
    assert_eq!(ask(&[(b"zFILDES\0x", &[reader.as_fd()])]), not_a_file);
    let folder = std::fs::File::open(clamd.folder.path()).unwrap();
    let not_a_file = "fd[1]: unsupported/folder not a regular file ERROR|";
    assert_eq!(ask(&[(b"zFILDES\0x", &[folder.as_fd()])]), not_a_file);
    let path = clamd.path("only written");
    let only_written = std::fs::File::create(path).unwrap();
    (&only_written).write_all(marker().as_bytes()).unwrap();
    let unread = ask(&[(b"zFILDES\0x", &[only_written.as_fd()])]);
    assert!(unread.ends_with("ERROR|"), "{unread}");
    drop(writer);
    // Side by side in a session, with other commands between.
    let session = ask(&[
        (b"zIDSESSION\0zFILDES\0", &[]),
        (b"x", &[bad.as_fd()]),
        (b"zPING\0zFILDES\0x", &[clean.as_fd()]),
        (b"zEND\0", &[]),
    ]);
    let mut lines: Vec<_> = session.split_terminator('|').collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            &format!("1: {}", found.trim_end_matches('|'))[..],
            "2: PONG",
            "3: fd[3]: OK"
        ]
    );
    // Nothing comes over TCP, and the daemon keeps none of those that nobody wanted.
    let mut tcp = clamd.tcp();
    tcp.write_all(b"zFILDES\0x").unwrap();
    assert_eq!(rest(tcp), none);
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{}/fd", clamd.daemon.pid()))
            .unwrap()
            .count()
    };
    let before = descriptors();
    for _ in 0..50 {
        ask(&[(b"zPING\0", &[bad.as_fd(), clean.as_fd()])]);
    }
    assert!(descriptors() <= before + 10, "{before}");
}

#[test]
fn orders_are_for_root_and_the_owner_over_the_socket() {
    let clamd = Clamd::start(&[]);
    let mut tcp = clamd.tcp();
    tcp.write_all(b"nSHUTDOWN\n").unwrap();
    assert_eq!(rest(tcp), "COMMAND UNAVAILABLE\n");
    assert_eq!(clamd.ask("zRELOAD\0"), "RELOADING|");
    clamd.daemon.log_line("signatures not reloaded");
    let mut clamd = clamd;
    assert_eq!(clamd.ask("zSHUTDOWN\0"), "");
    assert_eq!(clamd.daemon.wait(), Some(0));
    assert!(!clamd.path("socket").exists(), "it leaves nothing behind");
    let nobody = Clamd::start(&["--vfdclam-commands=none"]);
    assert_eq!(nobody.ask("nRELOAD\n"), "COMMAND UNAVAILABLE\n");
    let mut all = Clamd::start(&["--vfdclam-commands=all"]);
    let mut tcp = all.tcp();
    tcp.write_all(b"SHUTDOWN\n").unwrap();
    assert_eq!(rest(tcp), "");
    assert_eq!(all.daemon.wait(), Some(0));
}

#[test]
fn the_socket_has_the_permissions_that_it_is_to_have() {
    let clamd = Clamd::start(&["--vfdclam-socket-mode=606"]);
    let mode = std::fs::metadata(clamd.path("socket"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o606);
    let usual = Clamd::start(&[]);
    let mode = std::fs::metadata(usual.path("socket"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn policies_are_the_listeners_own() {
    let encrypted = |clamd: &Clamd| {
        let archive = clamd.path("locked.zip");
        let file = clamd.write("plain", "nothing");
        let made = Command::new("zip")
            .args(["-q", "-P", "secret"])
            .arg(&archive)
            .arg(file)
            .status();
        assert!(made.unwrap().success());
        clamd.ask(format!("zSCAN {}\0", archive.display()))
    };
    if !has_tools(&["zip"]) {
        return;
    }
    let rows = [
        (None, "OK|"),
        (Some("--policy=clamd:encrypted=error"), "ERROR|"),
        (
            Some("--policy=clamd:encrypted=infected"),
            ": Incomplete/encrypted FOUND|",
        ),
        (Some("--policy=svsp:encrypted=error"), "OK|"),
    ];
    for (option, end) in rows {
        let said = encrypted(&Clamd::start(option.as_slice()));
        assert!(
            said.ends_with(end) && said.matches('|').count() == 1,
            "{option:?}: {said}"
        );
    }
}

#[test]
fn members_are_told_by_the_name_of_their_file() {
    let clamd = Clamd::start(&[]);
    let path = clamd.write("a.zip", zip(&[("x", &eicar()), ("y", marker().as_bytes())]));
    let said = clamd.ask(format!("nALLMATCHSCAN {path}\n"));
    assert_eq!(said.matches(&format!("{path}: ")).count(), 2, "{said}");
    assert!(
        said.contains(&format!("{path}: {NAME}.UNOFFICIAL FOUND\n")),
        "{said}"
    );
    let plain = Clamd::start(&["--vfdclam-plain-names"]);
    let path = plain.write("b", marker());
    assert_eq!(
        plain.ask(format!("nSCAN {path}\n")),
        format!("{path}: {NAME} FOUND\n")
    );
}

#[test]
fn mails_are_opened_if_they_are_meant_to_be() {
    let mail = [
        "From: a@b",
        "MIME-Version: 1.0",
        "Content-Transfer-Encoding: base64",
        "",
        "",
    ];
    let content = data_encoding::BASE64.encode(format!("{:300}{}", "", marker()).as_bytes());
    let mail = mail.join("\r\n") + &content + "\r\n";
    let wire = [&b"zINSTREAM\0"[..], &chunks(mail.as_bytes(), 100)].concat();
    let off = "--disable-expand=*";
    for (options, end) in [
        (&[off, "--vfdclam-mailscan"][..], "FOUND|"),
        (&[], "FOUND|"),
    ] {
        let said = Clamd::start(options).ask(&wire);
        assert!(said.ends_with(end), "{options:?}: {said}");
    }
}

#[test]
fn odd_names_come_back_and_cannot_end_a_reply() {
    let clamd = Clamd::start(&[]);
    let folder = clamd.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for name in odd_names() {
        std::fs::write(at(&folder, &name), marker()).unwrap();
    }
    use std::os::unix::ffi::OsStrExt;
    for name in odd_names() {
        let path = at(&folder, &name);
        let path = path.as_os_str().as_bytes();
        let mut stream = clamd.local();
        stream
            .write_all(&[b"zSCAN ", path, b"\0"].concat())
            .unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let expected = [path, b": ", NAME.as_bytes(), b".UNOFFICIAL FOUND\0"].concat();
        assert_eq!(reply, expected);
    }
    let listed = clamd.ask([b"nCONTSCAN ", folder.as_os_str().as_bytes(), b"\n"].concat());
    assert_eq!(listed.lines().count(), odd_names().len());
    assert!(
        listed
            .lines()
            .all(|line| line.starts_with(folder.to_str().unwrap()) && line.ends_with("FOUND"))
    );
}

#[test]
fn a_peer_that_resets_or_stalls_harms_nobody() {
    let clamd = Clamd::start(&["--limit-idle=0.2"]);
    let half = [&b"zINSTREAM\0"[..], &100_u32.to_be_bytes(), b"half"].concat();
    for _ in 0..20 {
        let mut stream = clamd.tcp();
        stream.write_all(&half).unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    let mut ended = clamd.tcp();
    ended.write_all(&half).unwrap();
    ended.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        rest(ended),
        "stream: unreadable/ENODATA the content has no end ERROR|"
    );
    let mut still = clamd.tcp();
    still.write_all(&half).unwrap();
    assert_eq!(
        rest(still),
        "stream: unreadable/ETIMEDOUT after 4 bytes ERROR|"
    );
    assert_eq!(clamd.ask("zPING\0"), "PONG|");
}

#[test]
fn who_has_gone_is_not_scanned_for() {
    // Each file takes its time: it is large, and there is one worker.
    let clamd = Clamd::start(&["--threads=1"]);
    let folder = clamd.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for number in 0..200 {
        let file = std::fs::File::create(folder.join(number.to_string())).unwrap();
        file.set_len(1 << 30).unwrap();
    }
    let command = format!("zCONTSCAN {}\0", folder.display());
    let mut gone = clamd.local();
    gone.write_all(command.as_bytes()).unwrap();
    // One that only sends no more is answered; one that has gone gives its worker free.
    let path = clamd.write("bad", marker());
    drop(gone);
    let mut half_closed = clamd.local();
    half_closed
        .write_all(format!("zSCAN {path}\0").as_bytes())
        .unwrap();
    half_closed.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        rest(half_closed),
        format!("{path}: {NAME}.UNOFFICIAL FOUND|")
    );
    let waits = Instant::now();
    while !clamd.ask("zSTATS\0").contains("QUEUE: 0 items") {
        assert!(waits.elapsed() < PATIENCE, "it still scans");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_stream_above_the_limit_is_refused_in_clamds_words() {
    // A quarter of it is for one peer.
    let clamd = Clamd::start(&["--limit-spool=16M"]);
    for size in [1 << 20, 5 << 20] {
        let mut stream = clamd.tcp();
        let wire = [&b"zINSTREAM\0"[..], &chunks(&noise(1, 5 << 20), size)].concat();
        // It may be closed before all is sent.
        let _ = stream.write_all(&wire);
        assert_eq!(rest(stream), "INSTREAM size limit exceeded. ERROR|");
    }
    let whole = [&b"zINSTREAM\0"[..], &chunks(&vec![b'x'; 4 << 20], 1 << 16)].concat();
    assert_eq!(clamd.ask(whole), "stream: OK|");
}

/// The most memory that a process has had, in KiB; none where it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The most memory that the daemon and its one worker have had by the end of this, in KiB.
fn peak_while(clamd: &Clamd, work: impl FnOnce()) -> u64 {
    let pid = clamd.daemon.pid();
    let worker = std::thread::scope(|scope| {
        let (working, work_ends) = mpsc::channel::<()>();
        // All the time: a worker that has found something is ended, and another takes its place.
        let watch = scope.spawn(move || {
            let mut most = 0;
            while work_ends.recv_timeout(Duration::from_millis(10)) == Err(Timeout) {
                let workers = children(pid).into_iter().filter_map(peak);
                most = workers.fold(most, u64::max);
            }
            most
        });
        work();
        drop(working);
        watch.join().unwrap()
    });
    peak(pid).unwrap() + worker
}

#[test]
fn a_large_stream_takes_no_memory() {
    let full = std::env::var("VFIND_FULL").is_ok_and(|value| value == "1");
    let mebibytes = if full { 10 * 1024 } else { 256 };
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let limits = ["--limit-spool=64G", "--limit-deadline=3600"];
        let clamd = Clamd::start(&[&limits[..], &["--threads=1", isolation]].concat());
        let send = |mebibytes| {
            let mut stream = clamd.tcp();
            let hour = Some(Duration::from_secs(3600));
            stream.set_read_timeout(hour).unwrap();
            stream.write_all(b"zINSTREAM\0").unwrap();
            let length = (1_u32 << 20).to_be_bytes();
            let pieces = [noise(7, 1 << 20), vec![0; 1 << 20]];
            for piece in pieces.iter().cycle().take(mebibytes) {
                stream.write_all(&length).unwrap();
                stream.write_all(piece).unwrap();
            }
            let end = chunks(marker().as_bytes(), 5);
            stream.write_all(&end).unwrap();
            assert_eq!(rest(stream), format!("stream: {NAME}.UNOFFICIAL FOUND|"));
        };
        // The first for what all scans share, however large they are.
        let [before, most] = [64, mebibytes].map(|size| peak_while(&clamd, || send(size)));
        println!("{isolation}: {before} KiB at most for 64 MiB, {most} for {mebibytes}");
        let grown = most.saturating_sub(before);
        assert!(grown < 16 * 1024, "{isolation}: {grown} KiB more");
    }
}
