//! The compiler as a process of its own: the same binary again, told by one argument, with a socket as its standard input.
//!
//! What it takes to compile a million signatures is gone when it ends, and it works at low priority while the daemon scans.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Signal, getpriority_process, set_parent_process_death_signal, setpriority_process,
};
use serde::{Deserialize, Serialize};

use super::LoadError;
use super::compile::{Order, compile};
use super::report::Report;
use crate::frame::{receive, receive_with, send, send_with};

/// The one argument that makes a program of this package a compiler.
pub const COMPILER_ARGUMENT: &str = "--internal-compiler";

/// How long it may take. Ten million signatures take a tenth of it, at low priority on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a wait for it looks whether it is over.
const GLANCE: Duration = Duration::from_secs(1);

/// The niceness of a compiler that works beside scans: a tenth of what they get when all cores are busy. The system's
/// weight of its reads follows from it. Less could take longer than [`PATIENCE`].
const NICE: i32 = 10;

/// The most that either side says, in bytes: a thousand complaints with their texts, or the names of all files.
const MOST: usize = 256 * 1024 * 1024;

/// Where compiling happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compiling {
    /// In this process: for programs that end soon, and for tests.
    #[default]
    Here,
    /// In a process of its own. The program must give [`compiler_main`] its life when it is started with
    /// [`COMPILER_ARGUMENT`].
    Apart,
}

#[derive(Debug, Serialize, Deserialize)]
struct Message {
    order: Order,
    /// Others are busy.
    gently: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done(Box<Report>),
    Failed(String),
}

impl Compiling {
    /// Compiles into a file, from its start; `gently` if others are to have the processors first.
    ///
    /// # Errors
    /// As [`compile`], and a process that fails.
    pub(super) fn compile(
        self,
        order: Order,
        file: &File,
        gently: bool,
    ) -> Result<Report, LoadError> {
        match self {
            Self::Here => compile(order, file),
            Self::Apart => match apart(order, file, gently) {
                Ok(Answer::Done(report)) => Ok(*report),
                Ok(Answer::Failed(why)) => Err(LoadError::Failed(why)),
                Err(error) => Err(LoadError::Failed(format!("the compiler failed: {error}"))),
            },
        }
    }
}

/// Killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn apart(order: Order, file: &File, gently: bool) -> io::Result<Answer> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(COMPILER_ARGUMENT)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        // Signals from a terminal are the daemon's to answer.
        .process_group(0)
        .spawn()?;
    let mut process = Process(child);
    send_with(&mut ours, &Message { order, gently }, file)?;
    ours.set_read_timeout(Some(GLANCE))?;
    let mut patient = Patient {
        socket: &ours,
        end: Instant::now() + PATIENCE,
    };
    receive(&mut patient, MOST).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => match process.0.wait() {
            Ok(status) => io::Error::other(format!("its process ended: {status}")),
            Err(error) => error,
        },
        io::ErrorKind::TimedOut => {
            io::Error::other(format!("it takes more than {} s", PATIENCE.as_secs()))
        }
        _ => error,
    })
}

/// Reads a socket that has a short time-out, for as long as there is patience.
struct Patient<'a> {
    socket: &'a UnixStream,
    end: Instant,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() > self.end {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                done => return done,
            }
        }
    }
}

/// The whole life of a compiler process.
pub fn compiler_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // The daemon may be killed; nobody else would end this process then.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let received = receive_with(&mut socket, MOST)?;
    let Some((Message { order, gently }, Some(file))) = received else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if gently {
        // Only an older niceness could forbid it, and then it is nice enough.
        let now = getpriority_process(None).unwrap_or(0);
        let _ = setpriority_process(None, now.saturating_add(NICE).min(19));
    }
    let answer = match compile(order, File::from(file)) {
        Ok(report) => Answer::Done(Box::new(report)),
        Err(error) => Answer::Failed(error.to_string()),
    };
    send(&mut socket, &answer)
}
