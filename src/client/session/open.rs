//! One request that is asked and not answered: its answer so far, and how far its content is.
#![forbid(unsafe_code)]

use crate::client::answer::{self, Answer, Progress};
use crate::gateway::svsp::reply::Reply;
use crate::verdict::Record;

/// The first port that no system service has: content is sent to no other.
const FIRST_PORT: u16 = 1024;

/// Why the content of a file did not arrive as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The file's fault: the reason of the gap, and its detail.
    File(String, String),
    /// The connection's fault, in words. The server sees it too, and says so.
    Transfer(String),
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Open {
    answer: Answer,
    accepted: bool,
    upload: bool,
    data: Data,
    /// When it went on last, once something of its answer could not be understood: that may have been the end of it.
    garbled_ms: Option<u64>,
    /// The file was not the same at the end of the upload as at its start, in words.
    changed: Option<String>,
    /// The terminal reply came before the end of the upload; true if asking again would help.
    ended: Option<bool>,
}

/// How far the content of a request is.
#[derive(Debug, PartialEq, Eq)]
enum Data {
    /// The server has not asked for it.
    Awaited,
    /// The file could not be sent as a whole.
    Broken { reason: String, detail: String },
    /// The server gets it.
    Flowing,
    /// Nothing more is to be sent.
    Settled,
    /// The connection for it failed at this time.
    Torn { since_ms: u64 },
}

/// What a reply was.
pub(super) struct Said {
    /// It is not one that a scan has, or has at this time.
    pub(super) unexpected: bool,
    /// What it means.
    pub(super) step: Step,
}

/// What a reply means for its request.
pub(super) enum Step {
    /// An object was begun.
    Begun,
    /// The request is over; true if asking again may help.
    Ended(bool),
    /// The request goes on.
    On,
    /// The content is wanted at this port.
    Send(u16),
}

impl Open {
    /// A request that was just asked, with a content that is to be sent or without.
    pub(super) fn new(answer: Answer, upload: bool) -> Self {
        Self {
            answer,
            accepted: false,
            upload,
            data: if upload { Data::Awaited } else { Data::Settled },
            garbled_ms: None,
            changed: None,
            ended: None,
        }
    }

    /// True once the server has said anything about it.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Since when it is due to end: the content cannot come, or something that was no reply may have been meant as the end.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self.data {
            Data::Torn { since_ms } => Some(since_ms),
            Data::Flowing => None,
            Data::Awaited | Data::Broken { .. } | Data::Settled => self.garbled_ms,
        }
    }

    /// True when the server has no end of what it says.
    pub(super) fn is_flood(&self) -> bool {
        self.answer.is_flood()
    }

    /// Takes a reply; `rest` is the line without its id, for a reply that is none.
    pub(super) fn take(&mut self, reply: Option<Reply>, rest: &[u8], now_ms: u64) -> Said {
        let said = self.sort(reply, rest);
        self.accepted = true;
        self.went_on(now_ms);
        said
    }

    fn went_on(&mut self, now_ms: u64) {
        self.garbled_ms = self.answer.is_garbled().then_some(now_ms);
    }

    fn sort(&mut self, reply: Option<Reply>, rest: &[u8]) -> Said {
        if let Some(Reply::Send(Some(port))) = reply
            && port >= FIRST_PORT
            && self.data == Data::Awaited
        {
            self.data = Data::Flowing;
            return Said {
                unexpected: false,
                step: Step::Send(port),
            };
        }
        let again = reply
            .as_ref()
            .is_some_and(|reply| answer::passes(reply, self.upload));
        let mut progress = match reply {
            // Nothing may follow the terminal reply.
            _ if self.ended.is_some() => Progress::Unexpected,
            Some(reply) => self.answer.take(reply),
            None => Progress::Unexpected,
        };
        let unexpected = progress == Progress::Unexpected;
        if unexpected {
            progress = self.answer.garbled(rest);
        }
        let step = match progress {
            Progress::Accepted | Progress::Unexpected => Step::On,
            Progress::Begun => Step::Begun,
            Progress::Ended => self.end(again),
        };
        Said { unexpected, step }
    }

    /// The terminal reply came. A clean one holds only if the server had all of the content.
    fn end(&mut self, again: bool) -> Step {
        if self.answer.is_clean() {
            match self.data {
                Data::Awaited => {
                    let why = "answered without having asked for the content";
                    self.answer.fail(why.to_owned());
                }
                Data::Flowing => {
                    self.ended = Some(again);
                    return Step::On;
                }
                Data::Torn { .. } => {
                    let why = "answered though the content was not sent as a whole";
                    self.answer.fail(why.to_owned());
                    // As where it is known only after the answer.
                    return Step::Ended(true);
                }
                Data::Broken { .. } | Data::Settled => {}
            }
        }
        Step::Ended(again && !self.is_broken())
    }

    /// Takes how the upload ended. If the request is over with it: whether asking again may help.
    pub(super) fn uploaded(
        &mut self,
        outcome: Result<Option<String>, Broken>,
        now_ms: u64,
    ) -> Option<bool> {
        self.went_on(now_ms);
        self.data = match outcome {
            Ok(changed) => {
                self.changed = changed;
                Data::Settled
            }
            Err(Broken::File(reason, detail)) => Data::Broken { reason, detail },
            Err(Broken::Transfer(why)) => {
                if self.ended.is_some() {
                    let why = format!("answered before the whole content was sent: {why}");
                    self.answer.fail(why);
                    self.ended = Some(true);
                }
                Data::Torn { since_ms: now_ms }
            }
        };
        self.ended.map(|again| again && !self.is_broken())
    }

    fn is_broken(&self) -> bool {
        matches!(self.data, Data::Broken { .. })
    }

    /// The record of a request that is over.
    pub(super) fn into_record(mut self, now_ms: u64) -> Record {
        if let Some(detail) = self.changed {
            self.answer.note("changed", detail);
        }
        if let Data::Broken { reason, detail } = self.data {
            self.answer.unreadable(reason, detail);
        }
        self.answer.into_record(now_ms)
    }

    /// The record of a request whose connection ended: as far as it is known, never clean.
    pub(super) fn lost(mut self, why: &str, now_ms: u64) -> Record {
        self.answer.fail(format!("connection lost: {why}"));
        self.answer.into_record(now_ms)
    }
}
