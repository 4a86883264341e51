//! The socket of one connection: TCP, or one in the file system, over which open files may come beside the bytes.
#![forbid(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::chunk::{read_some, read_with_descriptor};

/// Silence after which a peer is asked whether it is still there, and how often it may leave that unanswered.
const SILENCE: Duration = Duration::from_secs(15);
const QUESTIONS: u32 = 3;

/// Silence after which a peer that sends no more is asked whether it still listens.
const HANGUP: Duration = Duration::from_secs(5);

/// A peer of the file system is on this machine, and shares its room with those who come over the loopback interface.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Local(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Sets what connections have in common. What cannot be set is done without.
    pub(super) fn prepare(&self) {
        let Self::Tcp(stream) = self else { return };
        // Replies are small and each may be what the peer waits for.
        let _ = stream.set_nodelay(true);
        // A peer whose machine vanished would be waited for, and scanned for, as long as the system lives.
        let _ = keep_alive(stream);
    }

    /// Both ends' addresses.
    ///
    /// # Errors
    /// The socket's, if it has none any more.
    pub(super) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        match self {
            Self::Local(_) => Ok((HERE, HERE)),
            Self::Tcp(stream) => Ok((stream.local_addr()?, stream.peer_addr()?)),
        }
    }

    /// The peer's address, if it has one.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Local(_) => None,
            Self::Tcp(stream) => stream.peer_addr().ok(),
        }
    }

    /// Waits until one of these is possible.
    ///
    /// # Errors
    /// The runtime's.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Local(stream) => stream.ready(interest).await,
            Self::Tcp(stream) => stream.ready(interest).await,
        }
    }

    /// Adds to `input` what can be read now, and gives the count and the open file that came with it; 0 at the end of
    /// the stream, `None` when there is nothing yet.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn read(
        &self,
        input: &mut BytesMut,
    ) -> io::Result<Option<(usize, Option<OwnedFd>)>> {
        let take = |bytes: &[u8]| input.extend_from_slice(bytes);
        Ok(match self {
            Self::Local(stream) => read_with_descriptor(stream, take)?,
            Self::Tcp(stream) => read_some(stream, take)?.map(|(count, ())| (count, None)),
        })
    }

    /// Sends what it can at once, and gives the count.
    ///
    /// # Errors
    /// The socket's; `WouldBlock` when that is nothing.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(stream) => stream.try_write(bytes),
            Self::Tcp(stream) => stream.try_write(bytes),
        }
    }

    /// The error that is pending.
    ///
    /// # Errors
    /// That it cannot be asked for.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Local(stream) => stream.take_error(),
            Self::Tcp(stream) => stream.take_error(),
        }
    }

    /// A peer that sends no more may have closed both ways, or still listen: its machine knows. Sooner asked than
    /// usual, for somebody may be scanned for in vain.
    pub(super) fn ask_soon(&self) {
        if let Self::Tcp(stream) = self {
            let _ = set_tcp_keepidle(stream, HANGUP);
            let _ = set_tcp_keepintvl(stream, HANGUP);
        }
    }

    /// True if a peer of this machine that sends no more does not listen either. Of one behind TCP the system finds that out.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            // Nothing can be sent to one that has closed both ways, not even nothing.
            Self::Local(stream) => stream
                .try_write(&[])
                .is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe),
            Self::Tcp(_) => false,
        }
    }

    /// Closes our side, then reads the peer's to its end and drops what comes.
    ///
    /// # Errors
    /// The socket's.
    pub(super) async fn close(self) -> io::Result<()> {
        match self {
            Self::Local(mut stream) => {
                stream.shutdown().await?;
                drain(stream).await
            }
            Self::Tcp(mut stream) => {
                stream.shutdown().await?;
                drain(stream).await
            }
        }
    }
}

async fn drain(mut stream: impl AsyncReadExt + Unpin) -> io::Result<()> {
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    set_tcp_keepidle(stream, SILENCE)?;
    set_tcp_keepintvl(stream, SILENCE)?;
    set_tcp_keepcnt(stream, QUESTIONS)?;
    set_socket_keepalive(stream, true)
}
