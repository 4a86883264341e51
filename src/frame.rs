//! Messages between processes of this package: a 32-bit little-endian length, then a postcard message. A descriptor
//! travels beside the length of its message.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Sends a message.
///
/// # Errors
/// The system's, and a message that cannot be written.
pub fn send(socket: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    socket.write_all(&framed(message)?)
}

/// Sends a message with a descriptor.
///
/// # Errors
/// As [`send`].
pub fn send_with(
    socket: &mut UnixStream,
    message: &impl Serialize,
    descriptor: impl AsFd,
) -> io::Result<()> {
    let message = framed(message)?;
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let parts = [IoSlice::new(&message)];
    let sent = sendmsg(&*socket, &parts, &mut control, SendFlags::NOSIGNAL)?;
    socket.write_all(message.get(sent..).unwrap_or(&[]))
}

/// The length and the message, in one piece.
fn framed(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut framed = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(framed.len() - 4).map_err(io::Error::other)?;
    if let Some(head) = framed.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    Ok(framed)
}

/// Receives a message of at most `most` bytes from anything that can be read.
///
/// # Errors
/// The system's, an end within the message, a longer message, and one that is none.
pub fn receive<M: DeserializeOwned>(socket: &mut impl Read, most: usize) -> io::Result<M> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    body(socket, length, most)
}

/// Receives a message and the descriptor that came with it, if one did. `None` when the other side has gone.
///
/// # Errors
/// As [`receive`].
pub fn receive_with<M: DeserializeOwned>(
    socket: &mut UnixStream,
    most: usize,
) -> io::Result<Option<(M, Option<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut length)];
    let received = recvmsg(&*socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    socket.read_exact(length.get_mut(received.bytes..).unwrap_or(&mut []))?;
    Ok(Some((body(socket, length, most)?, descriptor)))
}

fn body<M: DeserializeOwned>(
    socket: &mut impl Read,
    length: [u8; 4],
    most: usize,
) -> io::Result<M> {
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    let mut bytes = Vec::new();
    socket.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}
