//! One pass of the decoder over an archive.
//!
//! The crate hands out what it decodes and has no way to be asked for it, so it works beside the one who matches, a few
//! blocks ahead.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use rars::{
    Archive, ArchiveMember, ArchiveMemberDetail, ArchiveReadOptions, Error, ErrorKind,
    ExtractionDecision, ExtractionErrorAction, ReadCancellation,
};

use super::tail;
use crate::beside;
use crate::event::{Limit, Reason};
use crate::expand::{Children, Content, Halt};
use crate::object::Object;

/// Bytes that are handed over at once.
const BLOCK: usize = 64 * 1024;

/// Blocks that the decoder may be ahead.
const AHEAD: usize = 4;

/// How long the decoder may work without giving anything, until it is looked whether the time is over.
const PATIENCE: Duration = Duration::from_millis(50);

/// What is done with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Give,
    /// Decoded for what comes after it, or to see whether it can be.
    Discard,
    Skip,
    Stop,
}

/// Why a member could not be decoded, or not to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Reading the archive failed.
    Io(io::Error),
    Said(Reason, String),
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::UnsupportedFeature | ErrorKind::UnsupportedFormat => {
                Reason::Unsupported("RAR-method".to_owned())
            }
            ErrorKind::PasswordRequired | ErrorKind::BadPassword => Reason::Encrypted,
            ErrorKind::ResourceLimit => Reason::Limit(Limit::Memory),
            _ => Reason::Corrupt,
        };
        if let Error::Io(io) = error.root_cause()
            && let Some(source) = io.source().downcast_ref::<io::Error>()
        {
            if let Some(number) = source.raw_os_error() {
                return Self::Io(io::Error::from_raw_os_error(number));
            }
            if source.kind() == io::ErrorKind::TimedOut {
                return Self::Io(io::ErrorKind::TimedOut.into());
            }
            return Self::Said(reason, source.to_string());
        }
        Self::Said(reason, error.root_cause().to_string())
    }
}

/// What a pass is made with.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) archive: &'a Archive,
    pub(super) object: &'a Object,
    pub(super) password: Option<&'a [u8]>,
    pub(super) memory: u64,
}

impl<'a> Setting<'a> {
    pub(super) fn options(&self) -> ArchiveReadOptions<'a> {
        // Members are decoded as streams, however small: what comes before a damage is given.
        ArchiveReadOptions::with_optional_password(self.password)
            .with_max_reader_workspace_bytes(self.memory)
            .with_rar50_dictionary_size_limit(self.memory)
            .with_rar50_buffered_decode_limit(0)
    }
}

/// What the thread says.
enum Message {
    /// Work on this member begins.
    Begin(usize, Vec<u8>),
    Data(Vec<u8>),
    /// The member ends early.
    Failed(Failure),
    /// The pass is over; true when it came to its end.
    Over(bool),
}

/// Hears of a member that was decoded, and why not to its end; tells whether that is to be said.
type Done<'a> = dyn FnMut(usize, Option<&Failure>) -> bool + 'a;

/// Runs one pass. `wish` says what is done with each member. True when the pass came to its end.
pub(super) fn run(
    setting: Setting<'_>,
    wish: &(dyn Fn(usize) -> Wish + Sync),
    done: &mut Done<'_>,
    children: &mut dyn Children,
) -> Result<bool, Halt> {
    let token = ReadCancellation::new();
    let decoder = {
        let token = token.clone();
        move |sender| produce(setting, wish, &token, sender)
    };
    beside::run(AHEAD, decoder, |receiver| {
        let mut output = Output {
            receiver,
            setting,
            index: 0,
            given: 0,
            tails: tail::MOST,
            rest: Vec::new(),
            used: 0,
            next: None,
            failure: None,
        };
        let result = output.deliver(wish, done, children);
        token.cancel();
        result
    })?
}

/// The side of the thread.
fn produce(
    setting: Setting<'_>,
    wish: &(dyn Fn(usize) -> Wish + Sync),
    token: &ReadCancellation,
    sender: SyncSender<Message>,
) {
    let out = Rc::new(RefCell::new(Out {
        sender,
        block: Vec::new(),
    }));
    let next = Cell::new(0_usize);
    let open = Cell::new(false);
    let send = |message| {
        let mut out = out.borrow_mut();
        out.hand_over()
            .and_then(|()| out.send(message))
            .map_err(|_| Error::Cancelled)
    };
    let decide = |member: &ArchiveMember| {
        let index = next.replace(next.get().saturating_add(1));
        open.set(false);
        Ok(match wish(index) {
            Wish::Skip => ExtractionDecision::Skip,
            Wish::Stop => ExtractionDecision::Stop,
            wish => {
                send(Message::Begin(index, name(member)))?;
                open.set(true);
                if wish == Wish::Give {
                    ExtractionDecision::Extract(Box::new(Handle(Rc::clone(&out))))
                } else {
                    ExtractionDecision::Extract(Box::new(io::sink()))
                }
            }
        })
    };
    let failed = |_: &ArchiveMember, error: &Error| {
        open.set(false);
        send(Message::Failed(Failure::of(error)))?;
        Ok(ExtractionErrorAction::Continue)
    };
    let options = setting.options().with_cancellation(token);
    let result = (setting.archive).extract_with_control_and_errors(options, decide, failed);
    let whole = match &result {
        Ok(_) => true,
        Err(error) => {
            if open.get() {
                // Nobody listens any more if this cannot be sent.
                let _ = send(Message::Failed(Failure::of(error)));
            }
            false
        }
    };
    let _ = send(Message::Over(whole));
}

/// The name as the tools show it.
pub(super) fn name(member: &ArchiveMember) -> Vec<u8> {
    const UNIX: u64 = 3;
    let name = member.decoded_name(None);
    let mut name = name.map_or_else(|_| member.meta.name.clone(), |name| name.into_owned());
    let new = matches!(member.detail, ArchiveMemberDetail::Rar50Plus { .. });
    if !new && member.meta.host_os != Some(UNIX) {
        for byte in name.iter_mut().filter(|byte| **byte == b'\\') {
            *byte = b'/';
        }
    }
    name
}

/// Where decoded bytes are gathered.
struct Out {
    sender: SyncSender<Message>,
    block: Vec<u8>,
}

impl Out {
    fn send(&self, message: Message) -> io::Result<()> {
        let gone = |_| io::ErrorKind::BrokenPipe.into();
        self.sender.send(message).map_err(gone)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        self.send(Message::Data(block))
    }
}

struct Handle(Rc<RefCell<Out>>);

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = self.0.borrow_mut();
        let part = bytes.get(..BLOCK).unwrap_or(bytes);
        out.block.extend_from_slice(part);
        if out.block.len() >= BLOCK {
            out.hand_over()?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().hand_over()
    }
}

/// The side of the one who matches.
struct Output<'a> {
    receiver: Receiver<Message>,
    setting: Setting<'a>,
    /// The member at hand, and the bytes that came out of it.
    index: usize,
    given: u64,
    /// Members whose end is still looked for when they are damaged.
    tails: u32,
    rest: Vec<u8>,
    used: usize,
    /// A message that belongs to no member's content.
    next: Option<Message>,
    failure: Option<Failure>,
}

impl Output<'_> {
    fn deliver(
        &mut self,
        wish: &(dyn Fn(usize) -> Wish + Sync),
        done: &mut Done<'_>,
        children: &mut dyn Children,
    ) -> Result<bool, Halt> {
        loop {
            match self.message()? {
                Message::Begin(index, name) => {
                    self.index = index;
                    self.given = 0;
                    let given = wish(index) == Wish::Give;
                    self.member(&name, given, children)?;
                    let failed = self.failure.take();
                    let told = done(index, failed.as_ref());
                    match failed {
                        Some(Failure::Io(error)) => return Err(error.into()),
                        Some(Failure::Said(reason, detail)) if given && told => {
                            children.gap(Some(&name), reason, detail)?;
                        }
                        _ => {}
                    }
                }
                Message::Over(whole) => return Ok(whole),
                // What was not read of a member that nobody wants.
                Message::Data(_) | Message::Failed(_) => {}
            }
        }
    }

    /// One member, as far as it comes. Why not to its end is left for a gap behind it; one of which nothing comes is only
    /// that gap.
    fn member(
        &mut self,
        name: &[u8],
        given: bool,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        self.take(given)?;
        let nothing = self.failure.is_some() && self.rest.is_empty();
        if given && !nothing {
            let mut content = MemberContent(self);
            children.child(name, Content::Stream(&mut content))?;
        }
        // Up to the end, for whoever did not read that far.
        while self.next.is_none() && self.failure.is_none() {
            self.take(false)?;
        }
        self.rest.clear();
        Ok(())
    }

    /// Takes the next message that may belong to a member.
    fn take(&mut self, given: bool) -> io::Result<()> {
        self.rest.clear();
        self.used = 0;
        match self.message()? {
            Message::Data(block) => {
                self.given = self.given.saturating_add(block.len() as u64);
                self.rest = block;
            }
            Message::Failed(failure) => {
                if given && self.tails > 0 && matches!(failure, Failure::Said(Reason::Corrupt, _)) {
                    self.tails -= 1;
                    self.rest = tail::of(self.setting, self.index, self.given);
                }
                self.failure = Some(failure);
            }
            message => self.next = Some(message),
        }
        Ok(())
    }

    fn message(&mut self) -> io::Result<Message> {
        if let Some(message) = self.next.take() {
            return Ok(message);
        }
        loop {
            match self.receiver.recv_timeout(PATIENCE) {
                Ok(message) => return Ok(message),
                // An object says when its time is over, whatever is read of it.
                Err(RecvTimeoutError::Timeout) => drop(self.setting.object.read_at(&mut [], 0)?),
                Err(RecvTimeoutError::Disconnected) => return Ok(Message::Over(false)),
            }
        }
    }
}

/// The content of the member at hand.
struct MemberContent<'a, 'b>(&'a mut Output<'b>);

impl Read for MemberContent<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let output = &mut *self.0;
            let mut rest = output.rest.get(output.used..).unwrap_or_default();
            let count = rest.read(out)?;
            if count > 0 {
                output.used = output.used.saturating_add(count);
                return Ok(count);
            }
            if output.next.is_some() || output.failure.is_some() {
                return Ok(0);
            }
            output.take(true)?;
        }
    }
}
