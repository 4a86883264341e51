//! Reads from sockets into one buffer per thread: connections that wait hold none.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

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

/// As [`read_some`], from a socket over which open files come, too: gives the one that came with these bytes. The system
/// ends a read behind the message that brought it. Of several that came with one message none is given: nobody could
/// tell which is meant.
///
/// # Errors
/// The socket's.
pub(super) fn read_with_descriptor(
    stream: &UnixStream,
    take: impl FnOnce(&[u8]),
) -> io::Result<Option<(usize, Option<OwnedFd>)>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = stream.try_io(Interest::READABLE, || {
            let parts = &mut [IoSliceMut::new(buffer)];
            Ok(recvmsg(
                stream,
                parts,
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )?)
        });
        let received = match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            received => received?,
        };
        take(buffer.get(..received.bytes).unwrap_or_default());
        // Taken out of the buffer in any case, so that all are closed.
        let passed: Vec<OwnedFd> = control.drain().filter_map(rights).flatten().collect();
        let is_one = !received.flags.contains(ReturnFlags::CTRUNC) && passed.len() == 1;
        let descriptor = passed.into_iter().next().filter(|_| is_one);
        Ok(Some((received.bytes, descriptor)))
    })
}

fn rights(message: RecvAncillaryMessage<'_>) -> Option<impl Iterator<Item = OwnedFd>> {
    match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    }
}
