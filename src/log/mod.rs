//! What the programs say about themselves, on standard error or to the journal of the system.
#![forbid(unsafe_code)]

mod journald;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tracing::{error, info, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::database::report::Report;
use crate::database::{Live, Settings};
use crate::engine::Database;

/// The form of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// One object a line, on standard error.
    Json,
    /// For the journal that listens at this socket.
    Journald(PathBuf),
    /// Lines for people, on standard error.
    #[default]
    Text,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("json", _) => Ok(Self::Json),
            ("text", _) => Ok(Self::Text),
            ("journald", _) => Ok(Self::Journald(journald::SOCKET.into())),
            (_, Some(("journald", socket))) => Ok(Self::Journald(socket.into())),
            _ => Err(format!(
                "'{text}' is none of text, json, journald, journald:SOCKET"
            )),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json => f.write_str("json"),
            Self::Text => f.write_str("text"),
            Self::Journald(socket) if socket == Path::new(journald::SOCKET) => {
                f.write_str("journald")
            }
            Self::Journald(socket) => write!(f, "journald:{}", socket.display()),
        }
    }
}

/// Starts logging: everything from `info` on, or less as `quiet` says. The environment's `RUST_LOG` overrides it.
///
/// # Errors
/// For people: no journal listens.
pub fn start(quiet: u8, format: &Format) -> Result<(), String> {
    let level = match quiet {
        0 => LevelFilter::INFO,
        1 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env_lossy();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        Format::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            registry.with(lines).init();
        }
        Format::Json => registry.with(lines.json().flatten_event(true)).init(),
        Format::Journald(socket) => {
            let journald = journald::Journald::new(socket);
            let journald = journald
                .map_err(|error| format!("--log-format={format}: {}: {error}", socket.display()))?;
            registry.with(journald).init();
        }
    }
    Ok(())
}

/// Complaints that are said one by one; of more, only the number is said.
const COMPLAINTS: usize = 100;

/// Slow rules that are named one by one.
const SLOW: usize = 10;

/// Names of several signatures that `--check-database` prints; of more, only the number is said.
const DUPLICATES: usize = 20;

/// Says what of the signature files was not loaded, and why.
///
/// # Errors
/// For people: there is something, and it is the end.
pub fn loaded(report: &Report, complaints_are_the_end: bool) -> Result<(), String> {
    for unloaded in &report.unloaded {
        info!("not loaded: {}: {}", unloaded.path, unloaded.reason);
    }
    for source in &report.sources {
        for (aside, lines) in &source.asides {
            let name = source.source.name();
            let count = lines.count;
            let mut places = lines.places().collect::<Vec<_>>().join(", ");
            if !places.is_empty() {
                places.insert_str(0, ": ");
            }
            match aside.waits {
                true => warn!(
                    "{name}: {count} signatures wait and find nothing yet: {}{places}",
                    aside.reason
                ),
                false => warn!("{name}: {count} set aside: {}{places}", aside.reason),
            }
        }
    }
    for warning in report.warnings.iter().take(COMPLAINTS) {
        warn!("{warning}");
    }
    for slow in report.slow.iter().take(SLOW) {
        warn!("{slow}");
    }
    if let Some(more @ 1..) = report.slow_count.checked_sub(SLOW as u64) {
        warn!("{more} more rules are slow, see --check-database");
    }
    for complaint in report.complaints.iter().take(COMPLAINTS) {
        error!("not loaded: {complaint}");
    }
    match report.complaint_count {
        0 => Ok(()),
        count if complaints_are_the_end => Err(format!("{count} signatures were not understood")),
        count => {
            error!(
                "{count} signatures were not loaded, all others are in use; a reload is refused until this is mended"
            );
            Ok(())
        }
    }
}

/// Prints what the signatures of these sources are, for `--check-database`. True if all of them were understood.
///
/// # Errors
/// For people: sources that cannot be read, and output that is not taken.
pub fn check_database(settings: Settings) -> Result<bool, String> {
    let live = Live::start(settings).map_err(|error| error.to_string())?;
    let current = live.current();
    let mut text = current.report.to_string();
    let mut duplicates = current.database.duplicates().peekable();
    if duplicates.peek().is_some() {
        text.push_str("names used more than once:\n");
    }
    for (name, count) in duplicates.by_ref().take(DUPLICATES) {
        text.push_str(&format!("  {name}: {count}\n"));
    }
    match duplicates.count() {
        0 => {}
        more => text.push_str(&format!("  and {more} more\n")),
    }
    text.push_str(&format!(
        "signatures: {}\nfingerprint: {}\n",
        current.database.count(),
        current.epoch.fingerprint
    ));
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}"))
        }
        _ => Ok(current.report.complaint_count == 0),
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
