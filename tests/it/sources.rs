//! Every way that content takes to the daemon, whole, broken and never begun.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;
use sha1::Digest;

use crate::support::{Daemon, PATIENCE, Talk, eicar};

/// Content that ends in the EICAR string, if there is room for it.
struct Content {
    zeros: u64,
    end: Vec<u8>,
}

impl Content {
    fn new(length: u64) -> Self {
        let end = if length < 68 { Vec::new() } else { eicar() };
        let zeros = length - end.len() as u64;
        Self { zeros, end }
    }

    fn length(&self) -> u64 {
        self.zeros + self.end.len() as u64
    }

    fn write(&self, to: &mut impl Write) {
        let block = vec![0; 1 << 20];
        let mut left = self.zeros;
        while left > 0 {
            let now = left.min(block.len() as u64);
            to.write_all(&block[..now as usize]).unwrap();
            left -= now;
        }
        to.write_all(&self.end).unwrap();
    }

    /// A file of it, with a hole for its zeros.
    fn make(&self, path: &Path) {
        let file = std::fs::File::create(path).unwrap();
        file.set_len(self.length()).unwrap();
        file.write_all_at(&self.end, self.zeros).unwrap();
    }

    fn sha1(&self) -> String {
        let mut hashing = Hashing(sha1::Sha1::new());
        self.write(&mut hashing);
        let digest = hashing.0.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the daemon must say of it under this name.
    fn answer(&self, name: &str) -> Vec<String> {
        let mut lines = vec![format!("SCANNING \"{name}\"")];
        if !self.end.is_empty() {
            let at = self.length();
            lines.push(format!(
                "INFECTED CVDL EICAR-Test-File : \"{name}\" : end at {at}"
            ));
        }
        let count = lines.len() - 1;
        lines.push(format!("DONE {count} : \"{name}\""));
        lines
    }
}

struct Hashing(sha1::Sha1);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn port_of(line: &str) -> u16 {
    let port = line.rsplit_once("SEND ").unwrap().1;
    port.parse().unwrap()
}

fn to(daemon: &Daemon, port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::new(daemon.address.ip(), port)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn from(daemon: &Daemon) -> (TcpListener, u16) {
    let listener = TcpListener::bind(SocketAddr::new(daemon.address.ip(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Has the content scanned by each of the six ways in turn.
fn every_way(daemon: &Daemon, folder: &Path, length: u64) {
    let content = Content::new(length);
    let mut talk = daemon.connect();

    let path = folder.join(length.to_string());
    content.make(&path);
    let name = path.display().to_string();
    talk.send(format!("SCAN/FILE {name}\n"));
    assert_eq!(talk.text(), "QUEUED");
    assert_eq!(talk.answer(), content.answer(&name), "FILE {length}");

    talk.send(format!("SCAN/FILE-SHA1 {name}\n"));
    assert_eq!(talk.text(), "QUEUED");
    let mut expected = content.answer(&name);
    *expected.last_mut().unwrap() += &format!(" : {}", content.sha1());
    assert_eq!(talk.answer(), expected, "FILE-SHA1 {length}");
    std::fs::remove_file(path).unwrap();

    talk.send("SCAN/REQUEST a b\n");
    assert_eq!(talk.text(), "QUEUED");
    content.write(&mut to(daemon, port_of(&talk.text())));
    assert_eq!(talk.answer(), content.answer("a b"), "REQUEST {length}");

    let (listener, port) = from(daemon);
    talk.send(format!("SCAN/PORT {port} c\n"));
    assert_eq!(talk.text(), "QUEUED");
    content.write(&mut listener.accept().unwrap().0);
    assert_eq!(talk.answer(), content.answer("c"), "PORT {length}");

    // Without waiting for SEND, and with a command right behind the content.
    talk.send(format!("SCAN/DATA {length} d\n"));
    content.write(&mut talk.stream);
    talk.send("ENABLE RECURSE 1\n");
    assert_eq!((talk.text(), talk.text()), ("QUEUED".into(), "SEND".into()));
    assert_eq!(talk.answer(), content.answer("d"), "DATA {length}");
    assert_eq!(talk.text(), "OK");

    talk.send("SCAN\n");
    assert_eq!((talk.text(), talk.text()), ("QUEUED".into(), "SEND".into()));
    content.write(&mut talk.stream);
    talk.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(talk.answer(), content.answer(""), "SCAN {length}");
    assert_eq!(talk.rest(), b"");
}

#[test]
fn every_way_takes_every_length() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Daemon::start(&["--threads=1", isolation]);
        for length in [0, 1, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1] {
            every_way(&daemon, folder.path(), length);
        }
    }
}

/// True where there is time for what takes minutes.
fn is_full() -> bool {
    let full = std::env::var_os("VFIND_FULL").is_some();
    if !full {
        println!("skipped: VFIND_FULL is not set");
    }
    full
}

/// Six times 4 GiB, four of them through the loopback and the disk.
#[test]
fn every_way_takes_more_than_four_gib() {
    if !is_full() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tmpdir = format!("--tmpdir={}", folder.path().display());
    let daemon = Daemon::start(&[&tmpdir, "--limit-spool=20G", "--limit-deadline=1000"]);
    every_way(&daemon, folder.path(), (1 << 32) + 1);
    assert!(daemon.resident() < 200_000, "{} KB", daemon.resident());
}

#[test]
fn archives_are_opened_however_they_come() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    let zip = crate::support::zip(&[("letter.txt", b"hello"), ("setup.exe", &eicar())]);
    talk.send(format!("9 SCAN/DATA {}\n", zip.len()));
    talk.send(&zip);
    let found = "9 INFECTED CVDL EICAR-Test-File : \"\" -> \"setup.exe\" : end at 68";
    assert!(talk.answer().contains(&found.to_owned()));
    talk.send("ENABLE EXCLUDE /tmp/mine\n9 SCAN/REQUEST /tmp/mine/x\n");
    assert_eq!((talk.text(), talk.text()), ("OK".into(), "9 QUEUED".into()));
    to(&daemon, port_of(&talk.text())).write_all(&zip).unwrap();
    assert_eq!(talk.answer(), ["9 DONE 0 : \"/tmp/mine/x\""]);
}

/// The one line that a scan of broken content ends in.
fn end(talk: &mut Talk) -> String {
    let lines = talk.answer();
    assert!(
        lines.iter().all(|line| !line.contains("SCANNING")),
        "{lines:?}"
    );
    lines.last().unwrap().clone()
}

#[test]
fn content_that_does_not_come_whole_is_an_error_and_never_clean() {
    // No policy makes half a file a whole one.
    let pass = "--policy=unreadable=pass";
    let daemon = Daemon::start(&["--limit-accept=0.5", "--limit-idle=0.5", pass]);
    let mut talk = daemon.connect();

    talk.send("1 SCAN/REQUEST never\n");
    assert_eq!(talk.text(), "1 QUEUED");
    let port = port_of(&talk.text());
    let said = format!("1 ENOENT \"never\" : unreadable/ENOENT : no connection to port {port}");
    assert!(end(&mut talk).starts_with(&said));

    let (listener, port) = from(&daemon);
    drop(listener);
    talk.send(format!("2 SCAN/PORT {port} nobody\n"));
    let said = format!("2 ENOENT \"nobody\" : unreadable/ENOENT : no connection to port {port}");
    assert!(end(&mut talk).starts_with(&said));

    talk.send("3 SCAN/REQUEST reset\n");
    assert_eq!(talk.text(), "3 QUEUED");
    let port = port_of(&talk.text());
    let mut stream = to(&daemon, port);
    stream.write_all(b"half").unwrap();
    // What was sent has arrived before the reset does.
    std::thread::sleep(Duration::from_millis(50));
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    let said = format!(
        "3 EAGAIN \"reset\" : unreadable/ECONNRESET : the connection to port {port} ended after 4 bytes"
    );
    assert_eq!(end(&mut talk), said);

    talk.send("4 SCAN/REQUEST stands still\n");
    assert_eq!(talk.text(), "4 QUEUED");
    let mut stream = to(&daemon, port_of(&talk.text()));
    stream.write_all(b"half").unwrap();
    assert!(end(&mut talk).starts_with("4 EAGAIN \"stands still\" : unreadable/ETIMEDOUT : "));

    // Inline: the rest of the content is content, whenever it comes.
    talk.send("5 SCAN/DATA 10 slow\n12345");
    assert_eq!(
        end(&mut talk),
        "5 EAGAIN \"slow\" : unreadable/ETIMEDOUT : after 5 bytes"
    );
    talk.send("QUIT\n6 SCAN/DATA 10 short\n123");
    talk.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        end(&mut talk),
        "6 EAGAIN \"short\" : unreadable/ENODATA : 3 of 10 bytes came"
    );
    assert_eq!(talk.rest(), b"");
}

#[test]
fn a_data_port_takes_one_connection_of_the_peer_and_of_nobody_else() {
    let daemon = Daemon::start(&[]);
    let mut talk = daemon.connect();
    talk.send("SCAN/REQUEST x\n");
    assert_eq!(talk.text(), "QUEUED");
    let port = port_of(&talk.text());
    let mut stranger = connect_from(Ipv4Addr::new(127, 0, 0, 2), port);
    // Hung up on, with what it sent unread.
    let _ = stranger.write_all(&eicar());
    assert!(matches!(stranger.read(&mut [0; 1]), Ok(0) | Err(_)));
    let mut first = to(&daemon, port);
    first.write_all(b"clean").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let second = TcpStream::connect(SocketAddr::new(daemon.address.ip(), port));
    assert!(second.is_err(), "a second one");
    drop(first);
    assert_eq!(talk.answer().last().unwrap(), "DONE 0 : \"x\"");
}

fn connect_from(address: Ipv4Addr, port: u16) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(IpAddr::V4(address), 0)).unwrap();
    connect(&socket, &SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn what_is_on_its_way_when_the_daemon_ends_is_no_whole() {
    let mut daemon = Daemon::start(&[]);
    let mut inline = daemon.connect();
    inline.send("SCAN\nhalf");
    let mut request = daemon.connect();
    request.send("SCAN/REQUEST x\n");
    assert_eq!(
        (request.text(), inline.text()),
        ("QUEUED".into(), "QUEUED".into())
    );
    assert_eq!(inline.text(), "SEND");
    let mut stream = to(&daemon, port_of(&request.text()));
    stream.write_all(b"half").unwrap();
    // The daemon reads no more of what has not arrived by now.
    std::thread::sleep(Duration::from_millis(100));
    daemon.signal(Signal::TERM);
    assert_eq!(
        inline.text(),
        "EAGAIN \"\" : deadline : the server is ending"
    );
    assert_eq!(
        request.text(),
        "EAGAIN \"x\" : deadline : the server is ending"
    );
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn what_finds_no_room_says_so_and_gives_the_room_back() {
    let daemon = Daemon::start(&["--limit-spool=16M", "--threads=1"]);
    let mut talk = daemon.connect();
    // Half of the 16 MiB is for content that is sent, a quarter for that of one client.
    let large = vec![0; 5 << 20];
    for _ in 0..3 {
        talk.send(format!("SCAN/DATA {} large\n", large.len()));
        talk.send(&large);
        let said = end(&mut talk);
        assert!(
            said.starts_with("ENOTSUP \"large\" : limit/spool : "),
            "{said}"
        );
    }
    let fits = vec![0; 3 << 20];
    for _ in 0..20 {
        talk.send(format!("SCAN/DATA {}\n", fits.len()));
        talk.send(&fits);
        assert_eq!(talk.answer().last().unwrap(), "DONE 0 : \"\"");
    }
}

#[test]
fn who_hangs_up_is_scanned_for_no_longer_also_in_the_middle_of_a_file() {
    if !is_full() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let huge = std::fs::File::create(folder.path().join("huge")).unwrap();
    huge.set_len(1 << 43).unwrap();
    let daemon = Daemon::start(&["--threads=1", "--limit-deadline=100000"]);
    let mut talk = daemon.connect();
    talk.send(format!("SCAN/FILE {}/huge\r\n", folder.path().display()));
    assert_eq!(talk.text(), "QUEUED");
    assert!(talk.text().starts_with("SCANNING "));
    // All that it was sent is read: its end looks like that of a client that still listens, until it is asked.
    drop(talk);
    let mut other = daemon.connect();
    other.send("SCAN/DATA 1\nx");
    // A kernel answers for a program that closed for one minute more.
    other.stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    assert_eq!(other.answer().last().unwrap(), "DONE 0 : \"\"");
}
