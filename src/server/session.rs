//! One connection: the only place where socket, protocol and pool meet.
//!
//! What holds for all protocols is here once: back-pressure (who does not read its replies is not read either),
//! half-close (who sends no more still gets its answers), and the end of a connection, which cancels its requests.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::Interest;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::incoming::{Incoming, Ready};
use super::passed;
use super::stream::Stream;
use crate::event::Gap;
use crate::gateway::{Protocol, Step};
use crate::pool::{Client, Writers};
use crate::verdict::{JobId, Report};

/// Replies unsent, in bytes, above which nothing more is taken from the peer or the pool.
const OUT: usize = 64 * 1024;

/// A peer that takes no byte of its replies for this long is gone.
const UNREAD: Duration = Duration::from_secs(300);

/// How long a peer may take to close its side.
const LINGER: Duration = Duration::from_millis(500);

/// A connection from its greeting to its end.
pub(super) struct Session {
    stream: Stream,
    protocol: Box<dyn Protocol>,
    client: Client,
    incoming: Incoming,
    shared: Arc<Shared>,
    idle: Duration,
    /// The open file that came with the last bytes.
    passed: Option<OwnedFd>,
    input: BytesMut,
    out: Vec<u8>,
    sent: usize,
    ended: bool,
    next: Want,
}

/// How a server ends: first no more input is taken and what runs may finish, then what still runs is told off.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// No more input is taken.
    pub drain: CancellationToken,
    /// What still runs is told off.
    pub abandon: CancellationToken,
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
    ///
    /// # Errors
    /// The socket's, if it has no addresses any more.
    pub(super) fn new(
        stream: Stream,
        protocol: Box<dyn Protocol>,
        client: Client,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let (local, peer) = stream.addresses()?;
        Ok(Self {
            stream,
            protocol,
            client,
            idle: shared.transfers.times.idle,
            incoming: Incoming::new(Arc::clone(&shared.transfers), local, peer),
            shared,
            passed: None,
            input: BytesMut::new(),
            out: Vec::new(),
            sent: 0,
            ended: false,
            next: Want::Input,
        })
    }

    /// Serves the peer until either side is done, or the server ends.
    ///
    /// # Errors
    /// The socket's.
    pub(super) async fn run(mut self, end: End) -> io::Result<()> {
        let (mut progress, mut heard) = (Instant::now(), Instant::now());
        loop {
            self.step();
            if self.next == Want::Close && self.unsent() == 0 {
                return self.close().await;
            }
            self.rest();
            let interest = self.interest();
            let awaited = self.incoming.is_inline() && interest.is_readable();
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
                        heard = Instant::now();
                    }
                }
                () = self.client.arrived(), if self.unsent() < OUT => {}
                (job, content) = self.incoming.arrived() => {
                    self.content(job, content, Writers::None);
                }
                () = sleep_until(heard + self.idle), if awaited => {
                    if let Some((job, gap)) = self.incoming.stalled() {
                        self.fail(job, gap);
                    }
                }
                () = end.drain.cancelled(), if !self.ended => {
                    // What was sent so far is not all, though no more is read.
                    self.protocol.cut_off();
                    self.ended = true;
                }
                () = end.abandon.cancelled(), if self.next != Want::Close => {
                    self.protocol.abandon(&mut self.out);
                    self.next = Want::Close;
                }
                () = sleep_until(progress + UNREAD), if self.unsent() > 0 => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            if self.ended && self.stream.is_gone() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if self.unsent() == 0 {
                progress = Instant::now();
            }
            if !awaited {
                heard = Instant::now();
            }
            // A peer whose socket always has something would keep its thread, and others from being served, for good.
            yield_now().await;
        }
    }

    /// A connection that waits keeps no buffers: there may be tens of thousands.
    fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// Closes our side, and waits a moment for the peer's. A socket that is closed with bytes unread resets the
    /// connection, and a reset can overtake the replies on their way.
    async fn close(self) -> io::Result<()> {
        // Whoever goes on sending after a moment has read what it will read.
        tokio::time::timeout(LINGER, self.stream.close())
            .await
            .unwrap_or(Ok(()))
    }

    /// Takes reports and input, as long as there is room for what they make the protocol say.
    fn step(&mut self) {
        while self.unsent() < OUT {
            let Some((job, report)) = self.client.take() else {
                break;
            };
            if matches!(report, Report::Ended(_)) {
                self.incoming.scanned(job);
            }
            self.protocol.report(job, &report, &mut self.out);
        }
        while self.unsent() < OUT && self.next != Want::Close {
            match self
                .protocol
                .receive(&mut self.input, self.ended, &mut self.out)
            {
                Step::Close => self.next = Want::Close,
                Step::Read => {
                    // It belonged to bytes that have been taken.
                    self.passed = None;
                    self.next = Want::Input;
                    break;
                }
                Step::Scan(job, request) => self.client.submit(job, request),
                Step::Receive(job, request, channel) => {
                    match self.incoming.begin(job, request, channel) {
                        Ok(Some(port)) => self.protocol.opened(job, port, &mut self.out),
                        Ok(None) => {}
                        Err(gap) => self.fail(job, gap),
                    }
                }
                Step::Content(job, bytes) => {
                    if let Err(gap) = self.incoming.content(job, &bytes) {
                        self.fail(job, gap);
                    }
                }
                Step::Complete(job) => {
                    if let Some(content) = self.incoming.complete(job) {
                        self.content(job, content, Writers::None);
                    }
                }
                Step::Forget(job) => self.incoming.forget(job),
                Step::Passed(job, request) => {
                    let content = passed::file(self.passed.take(), &request);
                    let content = content.map(|file| (request, file));
                    self.content(job, content, Writers::Others);
                }
                Step::Ask => {
                    let status = self.shared.status();
                    self.protocol.status(&status, &mut self.out);
                }
                // Where so many wait, it is among them.
                Step::Order(order) => drop(self.shared.orders.try_send(order)),
                Step::Wait => {
                    self.next = Want::Report;
                    break;
                }
            }
        }
    }

    /// Has content scanned that is there, or says why it is not.
    fn content(&mut self, job: JobId, content: Result<Ready, Gap>, writers: Writers) {
        match content {
            Ok((request, file)) => self.client.submit_content(job, request, file, writers),
            Err(gap) => self.fail(job, gap),
        }
    }

    /// Ends a request whose content did not come.
    fn fail(&mut self, job: JobId, gap: Gap) {
        let ended = Report::Ended(Box::new(self.client.failed(job, &gap)));
        for report in [Report::Gap(gap, false), ended] {
            self.protocol.report(job, &report, &mut self.out);
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
        if let Some((count, descriptor)) = self.stream.read(&mut self.input)? {
            if descriptor.is_some() {
                self.passed = descriptor;
            }
            if count == 0 {
                self.ended = true;
                self.stream.ask_soon();
            }
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
        }
        Ok(true)
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }
}
