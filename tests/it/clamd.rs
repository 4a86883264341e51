//! clamd's protocol as its users meet it: Debian's clamdscan and clamdtop with our daemon, and what only a socket shows.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::support::{Daemon, PATIENCE, at, eicar, has_tools, noise, odd_names, out, said, zip};

/// A daemon that speaks clamd's protocol at a port and at a socket, in a folder with files.
struct Clamd {
    daemon: Daemon,
    folder: tempfile::TempDir,
    port: SocketAddr,
}

const NAME: &str = "Test.Marker";
const NAME_2: &str = "Test.Second";

impl Clamd {
    fn start(options: &[&str]) -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
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
    fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.local();
        stream.write_all(bytes.as_ref()).unwrap();
        rest(stream)
    }

    /// Runs one of ClamAV's programs with a configuration that leads here.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let text = format!("LocalSocket {}\n", self.path("socket").display());
        let config = self.write("clamd.conf", text);
        let mut command = Command::new(program);
        command.arg("-c").arg(config).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
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
fn clamdscan_works_in_all_its_ways() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let clean = clamd.write("clean", "nothing");
    let bad = clamd.write("bad", format!("a {} b", marker()));
    let both = clamd.write("both", marker() + &second());
    let closed = clamd.write("a.ace", ace());
    for way in [
        &[][..],
        &["--stream"],
        &["--fdpass"],
        &["--multiscan"],
        &["--fdpass", "--multiscan"],
        &["--stream", "--multiscan"],
        &["--allmatch"],
    ] {
        let scan = |path: &str| clamd.run("clamdscan", &[way, &["--no-summary", path]].concat());
        let found = scan(&bad);
        assert_eq!(
            out(&found),
            format!("{bad}: {NAME}.UNOFFICIAL FOUND\n"),
            "{way:?}"
        );
        assert_eq!(found.status.code(), Some(1), "{way:?}");
        let ok = scan(&clean);
        assert_eq!(out(&ok), format!("{clean}: OK\n"), "{way:?}");
        assert_eq!(ok.status.code(), Some(0), "{way:?}");
        let names = out(&scan(&both));
        assert_eq!(
            names.contains(NAME_2),
            way.contains(&"--allmatch"),
            "{way:?}: {names}"
        );
        // What nobody can open is an error, and never clean.
        let failed = scan(&closed);
        assert_eq!(failed.status.code(), Some(2), "{way:?}");
        let said = out(&failed) + &said(&failed);
        assert!(
            said.contains("unsupported/ace") && !said.contains("OK"),
            "{way:?}: {said}"
        );
    }
}

/// The start of an archive in a format that nothing here opens.
fn ace() -> Vec<u8> {
    let mut archive = vec![0; 64];
    archive[4] = 0;
    archive[7..14].copy_from_slice(b"**ACE**");
    archive[14] = 20;
    archive
}

#[test]
fn clamdscan_walks_folders_and_names_what_it_found() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let folder = clamd.path("folder");
    std::fs::create_dir(&folder).unwrap();
    for name in ["one", "two", "three"] {
        std::fs::write(folder.join(name), marker()).unwrap();
    }
    std::fs::write(folder.join("clean"), "nothing").unwrap();
    let path = folder.display().to_string();
    for way in [
        &[][..],
        &["--multiscan"],
        &["--allmatch"],
        &["--fdpass"],
        &["--stream"],
    ] {
        let found = clamd.run("clamdscan", &[way, &["--no-summary", &path]].concat());
        let found = out(&found);
        let mut lines: Vec<_> = found.lines().collect();
        lines.sort_unstable();
        let expected =
            ["one", "three", "two"].map(|name| format!("{path}/{name}: {NAME}.UNOFFICIAL FOUND"));
        assert_eq!(lines, expected, "{way:?}");
    }
}

#[test]
fn clamdscan_asks_whether_it_is_there_and_reloads() {
    if !has_tools(&["clamdscan"]) {
        return;
    }
    let clamd = Clamd::start(&[]);
    let ping = clamd.run("clamdscan", &["--ping", "1"]);
    assert_eq!((out(&ping).trim(), ping.status.code()), ("PONG", Some(0)));
    let version = out(&clamd.run("clamdscan", &["--version"]));
    assert!(version.starts_with("ClamAV 1.4.6 (vfind "), "{version}");
    let new = clamd.write("new", "third");
    let wait = clamd.run(
        "clamdscan",
        &["--wait", "--ping", "3:1", "--no-summary", &new],
    );
    assert_eq!(out(&wait), format!("{new}: OK\n"));
    let mut signatures = std::fs::read(clamd.path("test.ndb")).unwrap();
    signatures.extend_from_slice(b"Test.Third:0:*:7468697264\n");
    std::fs::write(clamd.path("test.ndb"), signatures).unwrap();
    assert_eq!(clamd.run("clamdscan", &["--reload"]).status.code(), Some(0));
    clamd.daemon.log_line("signatures reloaded");
    let found = clamd.run("clamdscan", &["--no-summary", &new]);
    assert_eq!(out(&found), format!("{new}: Test.Third.UNOFFICIAL FOUND\n"));
}

#[test]
fn clamdtop_shows_the_workers() {
    // `script` gives it a terminal.
    if !has_tools(&["clamdtop", "script"]) {
        return;
    }
    let clamd = Clamd::start(&["--threads=3"]);
    let socket = clamd.path("socket").display().to_string();
    let mut child = Command::new("script")
        .args([
            "-qec",
            &format!("stty rows 40 cols 120; clamdtop -d {socket}"),
            "/dev/null",
        ])
        .env("TERM", "vt100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut shown = String::new();
    while let Ok(more) = receiver.recv_timeout(PATIENCE) {
        shown += &String::from_utf8_lossy(&more);
        if shown.contains("1.4.6 (vfind") {
            break;
        }
    }
    child.stdin.take().unwrap().write_all(b"q").unwrap();
    let status = child.wait().unwrap();
    assert!(shown.contains("1.4.6 (vfind"), "{shown}");
    assert!(status.success(), "{status}: {shown}");
}

#[test]
fn open_files_are_scanned_as_they_are_passed() {
    let clamd = Clamd::start(&[]);
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

#[test]
fn a_large_stream_takes_no_memory() {
    let full = std::env::var("VFIND_FULL").is_ok_and(|value| value == "1");
    let mebibytes: u64 = if full { 10 * 1024 } else { 256 };
    let clamd = Clamd::start(&["--limit-spool=64G", "--limit-deadline=3600"]);
    let mut stream = clamd.tcp();
    stream
        .set_read_timeout(Some(Duration::from_secs(3600)))
        .unwrap();
    let chunk = [&(1_u32 << 20).to_be_bytes()[..], &noise(7, 1 << 20)].concat();
    stream.write_all(b"zINSTREAM\0").unwrap();
    stream.write_all(&chunk).unwrap();
    let before = clamd.daemon.resident();
    for _ in 1..mebibytes {
        stream.write_all(&chunk).unwrap();
    }
    let grown = clamd.daemon.resident().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB more while it comes");
    let end = marker();
    stream.write_all(&chunks(end.as_bytes(), 5)).unwrap();
    assert_eq!(rest(stream), format!("stream: {NAME}.UNOFFICIAL FOUND|"));
}
