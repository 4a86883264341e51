//! Reads from sockets into one buffer per thread: connections that wait hold none.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io;

use tokio::net::TcpStream;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Hands what can be read now to `take`, and gives the count with what that said; 0 at the end of the stream, `None`
/// when there is nothing yet.
///
/// # Errors
/// The socket's.
pub(super) fn read_some<T>(
    stream: &TcpStream,
    take: impl FnOnce(&[u8]) -> T,
) -> io::Result<Option<(usize, T)>> {
    BUFFER.with_borrow_mut(|buffer| match stream.try_read(buffer) {
        Ok(count) => Ok(Some((count, take(buffer.get(..count).unwrap_or_default())))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    })
}
