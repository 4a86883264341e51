//! vfindc's half, and that of other programs: files and contents to servers over SVSP, verdicts back.
//!
//! [`Session`](session::Session) speaks the protocol without IO, a connection owns the socket and the uploads. On top of
//! it stand [`run`], which spreads what a walk finds over several servers and tells a [`Watch`] (the [`mod@print`]
//! module's for vfindc), and [`Connection`], which hands out futures.
#![forbid(unsafe_code)]

mod answer;
pub mod blocking;
mod board;
mod clock;
mod command;
mod connection;
mod interrupt;
mod library;
pub mod lines;
pub mod ping;
pub mod print;
pub mod progress;
pub mod quarantine;
mod run;
mod server;
pub mod session;
mod settings;
mod upload;
mod walk;
mod web;
mod work;

pub use interrupt::interrupted;
pub use library::Connection;
pub use run::{Plan, run};
pub use server::{NoAddress, Server};
pub use settings::{NoValue, Setting, Settings, Token};
pub use walk::{Links, Targets, Way, absolute};

use std::fs::File;
use std::io;
use std::time::Duration;

use self::progress::Progress;
use crate::verdict::{Exit, Record};

/// The time in which a server must take a connection, and again the time in which it must greet: longer than any
/// busy machine needs, short enough for somebody who waits. A shorter `Settings::timeout` holds for both.
const OPENING: Duration = Duration::from_secs(10);

/// Takes what comes out of a run.
pub trait Watch {
    /// A request has its answer. `file` is what was scanned, where this program opened it itself. An error ends the run.
    fn record(&mut self, record: &Record, file: Option<&File>) -> io::Result<()>;

    /// Something that the user should know and no record says.
    fn warning(&mut self, text: &str);

    /// The requests have come this far.
    fn progress(&mut self, progress: Progress);

    /// True if somebody wants to know how much is left: folders are then walked once more, ahead of the scan, to count
    /// what is in them.
    fn wants_total(&self) -> bool {
        false
    }
}

/// Why there are no answers, or nobody to take them.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This machine's own trouble; mostly, that the output cannot be written.
    #[error("{0}")]
    Local(#[from] io::Error),
    /// Whoever started the program wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// The connection ended before there was an answer.
    #[error("{0}")]
    Lost(String),
    /// Nobody is there, or wants requests; which server, and why.
    #[error("{0}")]
    NoServer(String),
    /// A server does not take an option.
    #[error("{0}: {1}")]
    Option(String, String),
}

impl Failure {
    /// How the program is to end.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Lost(_) | Self::NoServer(_) => Exit::NoServer,
            Self::Interrupted | Self::Local(_) | Self::Option(..) => Exit::Error,
        }
    }

    /// True when whoever read the output has gone; nobody wants to read about it.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Local(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The system's words without its number.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
