//! The content of one file to the port where a server waits for it.
//!
//! It ends with the orderly close of the connection only when all of it was sent: a server takes the close for the end
//! of the content, and half a file must not be scanned as if it were one. In all other cases the connection is reset.
#![forbid(unsafe_code)]

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use super::OPENING;
use super::session::Broken;
use crate::event::{Errno, Reason};
use crate::stop::Cancel;

/// Bytes that are read and sent at a time.
const CHUNK: usize = 64 << 10;

/// How often is looked whether the upload is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// The most that a file may turn out to hold that says it is empty, as those of /proc do: some of them have no end.
pub(super) const UNSIZED: u64 = 64 << 20;

/// Sends the content, from its start, whatever the position of the descriptor. `size` is what the file had when it was
/// opened. Gives what is to be said of a file that changed meanwhile. Blocks.
pub(super) fn upload(
    file: &File,
    size: u64,
    to: SocketAddr,
    patience: Duration,
    cancel: &Cancel,
) -> Result<Option<String>, Broken> {
    let before = file.metadata().map_err(|error| unreadable(&error))?;
    let stream = TcpStream::connect_timeout(&to, OPENING).map_err(|error| torn(&error))?;
    stream
        .set_write_timeout(Some(patience))
        .and_then(|()| reset_on_close(&stream, true))
        .map_err(|error| torn(&error))?;
    let sent = send(file, size, &stream, cancel)?;
    reset_on_close(&stream, false)
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .map_err(|error| torn(&error))?;
    taken(&stream, patience, cancel)?;
    let after = file.metadata().map_err(|error| unreadable(&error))?;
    Ok(change(&before, &after, size, sent))
}

fn send(file: &File, size: u64, mut stream: &TcpStream, cancel: &Cancel) -> Result<u64, Broken> {
    let limit = if size == 0 { UNSIZED } else { size };
    let mut buffer = vec![0; CHUNK];
    let mut sent = 0;
    while sent < limit {
        if cancel.is_cancelled() {
            return Err(Broken::Transfer("broken off".to_owned()));
        }
        let left = usize::try_from(limit - sent).unwrap_or(CHUNK).min(CHUNK);
        let part = buffer.get_mut(..left).unwrap_or_default();
        let length = match file.read_at(part, sent) {
            Ok(0) if size == 0 => return Ok(sent),
            Ok(0) => {
                let detail = format!("{sent} of {size} bytes were there when it was sent");
                return Err(Broken::File(reason(5), detail));
            }
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        let part = part.get(..length).unwrap_or_default();
        stream.write_all(part).map_err(|error| torn(&error))?;
        sent += length as u64;
    }
    if size == 0 {
        let detail = format!("a file without a size that holds more than {UNSIZED} bytes");
        return Err(Broken::File(reason(27), detail));
    }
    Ok(sent)
}

/// Waits until the server closes its side too, which it does when it has read all. Somebody else at this machine's
/// address may have been first at the port: this connection is then reset, and the answer is about other content.
fn taken(mut stream: &TcpStream, patience: Duration, cancel: &Cancel) -> Result<(), Broken> {
    let (began, mut byte) = (Instant::now(), [0]);
    stream
        .set_read_timeout(Some(LOOK))
        .map_err(|error| torn(&error))?;
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(Broken::Transfer("it speaks".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(torn(&error)),
            Err(_) if cancel.is_cancelled() => {
                return Err(Broken::Transfer("broken off".to_owned()));
            }
            Err(error) if began.elapsed() > patience => return Err(torn(&error)),
            Err(_) => {}
        }
    }
}

/// A close with data on its way then resets the connection, which no reader takes for the end of the content.
fn reset_on_close(stream: &TcpStream, reset: bool) -> io::Result<()> {
    let linger = reset.then_some(Duration::ZERO);
    Ok(rustix::net::sockopt::set_socket_linger(stream, linger)?)
}

fn change(before: &Metadata, after: &Metadata, size: u64, sent: u64) -> Option<String> {
    let time = |of: &Metadata| (of.mtime(), of.mtime_nsec());
    if after.len() == size && time(before) == time(after) {
        return None;
    }
    Some(format!(
        "{sent} bytes were sent, {} are there at the end",
        after.len()
    ))
}

fn unreadable(error: &io::Error) -> Broken {
    Broken::File(
        Reason::Unreadable(Errno::of(error)).to_string(),
        super::in_words(error),
    )
}

fn reason(errno: i32) -> String {
    Reason::Unreadable(Errno(errno)).to_string()
}

fn torn(error: &io::Error) -> Broken {
    let why = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "nobody reads it".to_owned(),
        _ => super::in_words(error),
    };
    Broken::Transfer(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};
    use std::net::TcpListener;
    use std::thread;

    /// What a reader gets from the upload of a file: the bytes, and whether they ended in order.
    fn received(
        file: &File,
        size: u64,
        read: usize,
    ) -> (Result<Option<String>, Broken>, usize, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let reader = thread::spawn(move || {
            let mut peer = listener.accept().unwrap().0;
            let mut content = Vec::new();
            if read == usize::MAX {
                let ended = peer.read_to_end(&mut content);
                return (content.len(), ended.is_ok());
            }
            (0, true)
        });
        let sent = upload(file, size, to, Duration::from_secs(20), &Cancel::default());
        let (length, ended) = reader.join().unwrap();
        (sent, length, ended)
    }

    fn file(length: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; length]).unwrap();
        file
    }

    #[test]
    fn the_whole_content_arrives_wherever_the_descriptor_stands() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK] {
            let mut file = file(length);
            file.seek(SeekFrom::End(0)).unwrap();
            let got = received(&file, length as u64, usize::MAX);
            assert_eq!(got, (Ok(None), length, true));
        }
    }

    #[test]
    fn a_file_that_shrank_never_ends_in_order() {
        for (size, there) in [(1, 0), (CHUNK, CHUNK - 1), (9 * CHUNK, 3 * CHUNK)] {
            let (sent, _, in_order) = received(&file(there), size as u64, usize::MAX);
            assert!(!in_order, "{size} {there}");
            let detail = format!("{there} of {size} bytes were there when it was sent");
            assert_eq!(sent, Err(Broken::File("unreadable/EIO".into(), detail)));
        }
    }

    #[test]
    fn a_file_that_grew_is_sent_as_it_was_and_said_to_have_changed() {
        let (sent, length, in_order) = received(&file(CHUNK + 9), CHUNK as u64, usize::MAX);
        assert_eq!((length, in_order), (CHUNK, true));
        let note = format!(
            "{CHUNK} bytes were sent, {} are there at the end",
            CHUNK + 9
        );
        assert_eq!(sent, Ok(Some(note)));
    }

    #[test]
    fn files_without_a_size_are_sent_to_their_end() {
        let file = File::open("/proc/self/status").unwrap();
        let (sent, length, in_order) = received(&file, 0, usize::MAX);
        assert_eq!((sent, in_order), (Ok(None), true));
        assert!(length > 100);
        let endless = File::open("/dev/zero").unwrap();
        let (sent, _, in_order) = received(&endless, 0, usize::MAX);
        assert!(matches!(sent, Err(Broken::File(..))), "{sent:?}");
        assert!(!in_order);
    }

    #[test]
    fn a_reader_that_goes_away_is_told_as_the_transfers_fault() {
        let (sent, ..) = received(&file(64 << 20), 64 << 20, 0);
        assert!(matches!(sent, Err(Broken::Transfer(_))), "{sent:?}");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = free.local_addr().unwrap();
        drop(free);
        let sent = upload(&file(1), 1, to, OPENING, &Cancel::default());
        assert_eq!(sent, Err(Broken::Transfer("Connection refused".into())));
        let folder = File::open("/").unwrap();
        let (sent, ..) = received(&folder, 1, usize::MAX);
        let refused = Broken::File("unreadable/EISDIR".into(), "Is a directory".into());
        assert_eq!(sent, Err(refused));
    }
}
