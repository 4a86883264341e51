//! The command lines of the programs: options as written, and what they resolve to.
//!
//! Nothing downstream sees an option: sizes are bytes, addresses are bound to protocols, policies to listeners. Option
//! names are those of vfindd(1) and vfind(1) where the original has one (spec-vfind.md §2).
#![forbid(unsafe_code)]

mod arguments;
mod clamd;
mod clamd_conf;
mod client;
mod common;
mod daemon;
mod file;
mod generate;
mod http;
mod input;
mod limits;
mod output;
mod patterns;
pub mod refused;
mod scanner;
mod show;
mod targets;

pub use clamd::SocketFile;
pub use client::{ClientConfig, ClientFlags};
pub use common::CommonConfig;
pub use daemon::{DaemonConfig, DaemonFlags, Listen, Place, Spoken};
pub use http::{HttpConfig, NewToken};
pub use input::Names;
pub use scanner::{Input, ScannerConfig, ScannerFlags, TreeForm};
pub use targets::TargetConfig;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::verdict::Exit;

/// What the exit codes of the client mean, for its help.
pub const EXIT_CODES: &str = "Exit codes, the first that applies: 255 wrong usage or a general error, 23 something was \
found, 1 no server or it was lost, 2 something was not examined, 0 nothing was found and nothing is missing but what the \
policy passes.";

/// As [`EXIT_CODES`], for the program that needs no server.
pub const EXIT_CODES_ALONE: &str = "Exit codes, the first that applies: 255 wrong usage or a general error, 23 something \
was found, 2 something was not examined, 0 nothing was found and nothing is missing but what the policy passes.";

fn read<F: Parser>() -> Result<F, ExitCode> {
    if let Some(code) = generate::answer::<F>() {
        return Err(code);
    }
    F::try_parse().map_err(|error| refuse(&error))
}

/// Prints what a command line was refused for, in one line; or the help or version that it asked for, which is no
/// failure. Gives the code to exit with.
pub fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // Nothing is left to do when it cannot be printed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let problem = first_lines(error);
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program
        .as_deref()
        .and_then(std::path::Path::file_name)
        .unwrap_or_default();
    eprintln!("{}: {problem} (see --help)", program.display());
    Exit::Error.into()
}

/// Prints what was asked for instead of work, and gives the code to exit with. A reader that has had enough is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Error.into(),
        _ => ExitCode::SUCCESS,
    }
}

fn usage<F: CommandFactory>(problem: String) -> ExitCode {
    refuse(&F::command().error(ErrorKind::ValueValidation, problem))
}

/// What the parser complains about, in one line, without its advice.
fn first_lines(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let first: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    // What the standard library says of numbers.
    first
        .join(" ")
        .replace("invalid digit found in string", "a whole number is wanted")
        .replace(
            "cannot parse integer from empty string",
            "a whole number is wanted",
        )
        .replace(
            "number too large to fit in target type",
            "the number is too large",
        )
}
