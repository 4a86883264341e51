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
use tracing::info;

use super::LoadError;
use super::compile::{Breaks, Order, compile};
use super::report::Report;
use crate::frame::{receive, receive_with, send, send_with};

/// The one argument that makes a program of this package a compiler.
pub const COMPILER_ARGUMENT: &str = "--internal-compiler";

/// How long it may take at all. Ten million signatures take a tenth of it, at low priority on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long it may try at the lowest pace. On a machine whose processors are never idle it would not end.
const LOWEST_PATIENCE: Duration = Duration::from_secs(120);

/// How often a wait for it looks whether it is over.
const GLANCE: Duration = Duration::from_secs(1);

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
    pace: Pace,
}

/// What a compiler takes from others.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Pace {
    /// Its share: nobody waits for anything else.
    Full,
    /// So little that those who scan hardly feel it: the lowest priority, and breaks.
    Lowest,
    /// Less than those who scan, but it ends: a tenth of what they get when all processors are busy.
    Low,
}

impl Pace {
    fn patience(self) -> Duration {
        match self {
            Self::Full | Self::Low => PATIENCE,
            Self::Lowest => LOWEST_PATIENCE,
        }
    }

    /// The system's weight of its reads follows from it. Measured: SCHED_IDLE makes scans wait longer than this does.
    fn niceness(self) -> i32 {
        match self {
            Self::Full => 0,
            Self::Low => 10,
            Self::Lowest => 19,
        }
    }

    /// A scan that finds it on its processor may wait for the rest of its slice, 3 ms, whatever its niceness. So it works
    /// for less than that at a time, and not most of the time.
    fn breaks(self) -> Option<Breaks> {
        match self {
            Self::Full | Self::Low => None,
            Self::Lowest => Some(Breaks::new(
                Duration::from_micros(500),
                Duration::from_millis(4),
            )),
        }
    }
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
            Self::Here => compile(order, file, None),
            Self::Apart => {
                let answer = match gently {
                    false => apart(&order, file, Pace::Full),
                    true => match apart(&order, file, Pace::Lowest) {
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                            info!(
                                "the machine is busy, so the signatures are compiled with more of it: {error}"
                            );
                            file.set_len(0)
                                .and_then(|()| apart(&order, file, Pace::Low))
                        }
                        done => done,
                    },
                };
                match answer {
                    Ok(Answer::Done(report)) => Ok(*report),
                    Ok(Answer::Failed(why)) => Err(LoadError::Failed(why)),
                    Err(error) => Err(LoadError::Failed(format!("the compiler failed: {error}"))),
                }
            }
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

fn apart(order: &Order, file: &File, pace: Pace) -> io::Result<Answer> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(COMPILER_ARGUMENT)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        // Signals from a terminal are the daemon's to answer.
        .process_group(0)
        .spawn()?;
    let mut process = Process(child);
    send_with(
        &mut ours,
        &Message {
            order: order.clone(),
            pace,
        },
        file,
    )?;
    ours.set_read_timeout(Some(GLANCE))?;
    let mut patient = Patient {
        socket: &ours,
        end: Instant::now() + pace.patience(),
    };
    receive(&mut patient, MOST).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => match process.0.wait() {
            Ok(status) => io::Error::other(format!("its process ended: {status}")),
            Err(error) => error,
        },
        io::ErrorKind::TimedOut => {
            let limit = pace.patience().as_secs();
            io::Error::new(error.kind(), format!("it takes more than {limit} s"))
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
    let Some((Message { order, pace }, Some(file))) = received else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    // What the system refuses is left as it is: then the process is as nice already.
    let now = getpriority_process(None).unwrap_or(0);
    let _ = setpriority_process(None, now.saturating_add(pace.niceness()).min(19));
    let answer = match compile(order, File::from(file), pace.breaks()) {
        Ok(report) => Answer::Done(Box::new(report)),
        Err(error) => Answer::Failed(error.to_string()),
    };
    send(&mut socket, &answer)
}
