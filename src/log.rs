//! What the programs say about themselves, on standard error.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::engine::Database;
use crate::signature::Complaint;

/// Starts logging to standard error: everything from `info` on, or less as `quiet` says. The environment's `RUST_LOG`
/// overrides it.
pub fn start(quiet: u8) {
    let level = match quiet {
        0 => LevelFilter::INFO,
        1 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Complaints that are said one by one; of more, only the number is said.
const COMPLAINTS: usize = 100;

/// Says what in the signature files was not understood.
///
/// # Errors
/// For people: there is something, and it is the end.
pub fn complaints(complaints: &[Complaint], are_the_end: bool) -> Result<(), String> {
    for complaint in complaints.iter().take(COMPLAINTS) {
        error!("not loaded: {complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count if are_the_end => Err(format!("{count} signatures were not understood")),
        count => {
            error!("{count} signatures were not loaded, all others are in use");
            Ok(())
        }
    }
}

/// Prints the name of every signature, one a line, for `--vlist`.
///
/// # Errors
/// When standard output does not take them; a reader that has had enough is none.
pub fn list_signatures(database: &Database) -> Result<(), String> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for name in database.names() {
        match writeln!(out, "{name}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|error| format!("cannot write: {error}"))?,
        }
    }
    Ok(())
}
