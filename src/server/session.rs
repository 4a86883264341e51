//! One connection: the only place where socket, protocol and pool meet.
//!
//! What holds for all protocols is here once: back-pressure (who does not read its replies is not read either),
//! half-close (who sends no more still gets its answers), and the end of a connection, which cancels its requests.
#![forbid(unsafe_code)]

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::gateway::{Protocol, Step};
use crate::pool::Client;

/// Replies unsent, in bytes, above which nothing more is taken from the peer or the pool.
const OUT: usize = 64 * 1024;

/// Bytes read at once.
const IN: usize = 16 * 1024;

/// A peer that takes no byte of its replies for this long is gone.
const UNREAD: Duration = Duration::from_secs(300);

/// How long a peer may take to close its side.
const LINGER: Duration = Duration::from_millis(500);

/// A connection from its greeting to its end.
pub(super) struct Session {
    stream: TcpStream,
    protocol: Box<dyn Protocol>,
    client: Client,
    input: BytesMut,
    out: Vec<u8>,
    sent: usize,
    ended: bool,
    next: Want,
}

/// How a server ends: first no more input is taken and what runs may finish, then what still runs is told off.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    pub(super) drain: CancellationToken,
    pub(super) abandon: CancellationToken,
}

/// What the protocol said last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Close,
    Input,
    Report,
}

impl Session {
    /// A session that has not begun.
    pub(super) fn new(stream: TcpStream, protocol: Box<dyn Protocol>, client: Client) -> Self {
        Self {
            stream,
            protocol,
            client,
            input: BytesMut::new(),
            out: Vec::new(),
            sent: 0,
            ended: false,
            next: Want::Input,
        }
    }

    /// Serves the peer until either side is done, or the server ends.
    ///
    /// # Errors
    /// The socket's.
    pub(super) async fn run(mut self, end: End) -> io::Result<()> {
        let mut progress = Instant::now();
        loop {
            self.step();
            if self.next == Want::Close && self.unsent() == 0 {
                return self.close().await;
            }
            let interest = self.interest();
            tokio::select! {
                ready = self.stream.ready(interest) => {
                    let ready = ready?;
                    if ready.is_error() {
                        return self.stream.take_error()?.map_or(Ok(()), Err);
                    }
                    if ready.is_writable() && self.write()? {
                        progress = Instant::now();
                    }
                    if ready.is_readable() && interest.is_readable() {
                        self.read()?;
                    }
                }
                () = self.client.arrived(), if self.unsent() < OUT => {}
                () = end.drain.cancelled(), if !self.ended => self.ended = true,
                () = end.abandon.cancelled(), if self.next != Want::Close => {
                    self.protocol.abandon(&mut self.out);
                    self.next = Want::Close;
                }
                () = sleep_until(progress + UNREAD), if self.unsent() > 0 => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            if self.unsent() == 0 {
                progress = Instant::now();
            }
        }
    }

    /// Closes our side, and waits a moment for the peer's. A socket that is closed with bytes unread resets the
    /// connection, and a reset can overtake the replies on their way.
    async fn close(mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut unread = [0; 4096];
        let drained = async {
            while self.stream.read(&mut unread).await? > 0 {}
            Ok(())
        };
        // Whoever goes on sending after a moment has read what it will read.
        tokio::time::timeout(LINGER, drained)
            .await
            .unwrap_or(Ok(()))
    }

    /// Takes reports and input, as long as there is room for what they make the protocol say.
    fn step(&mut self) {
        while self.unsent() < OUT {
            let Some((job, report)) = self.client.take() else {
                break;
            };
            self.protocol.report(job, &report, &mut self.out);
        }
        while self.unsent() < OUT && self.next != Want::Close {
            match self
                .protocol
                .receive(&mut self.input, self.ended, &mut self.out)
            {
                Step::Close => self.next = Want::Close,
                Step::Read => {
                    self.next = Want::Input;
                    break;
                }
                Step::Scan(job, request) => self.client.submit(job, request),
                Step::Wait => {
                    self.next = Want::Report;
                    break;
                }
            }
        }
    }

    fn interest(&self) -> Interest {
        let mut interest = Interest::ERROR;
        if self.unsent() > 0 {
            interest |= Interest::WRITABLE;
        }
        if self.next == Want::Input && !self.ended && self.unsent() < OUT {
            interest |= Interest::READABLE;
        }
        interest
    }

    fn read(&mut self) -> io::Result<()> {
        self.input.reserve(IN);
        match self.stream.try_read_buf(&mut self.input) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sends what it can; true if that was something.
    fn write(&mut self) -> io::Result<bool> {
        match self
            .stream
            .try_write(self.out.get(self.sent..).unwrap_or(&[]))
        {
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        if self.sent == self.out.len() {
            self.sent = 0;
            self.out.clear();
            self.out.shrink_to(OUT);
        }
        Ok(true)
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }
}
