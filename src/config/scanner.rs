//! The command line of `vfind`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::{CommonConfig, CommonFlags, EXIT_CODES, read, usage};
use crate::pool::Isolation;

/// Options of `vfind` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfind",
    version,
    about = "Scans files and folders without a daemon"
)]
#[command(disable_version_flag = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub struct ScannerFlags {
    /// Accepted for gateways that pass it; the exit code tells what was found with and without it
    #[arg(long)]
    vexit: bool,

    /// Files and folders to scan
    #[arg(value_name = "PATH", required_unless_present = "vlist")]
    paths: Vec<OsString>,

    #[command(flatten)]
    common: CommonFlags,
}

/// What `vfind` is to do.
#[derive(Debug)]
pub struct ScannerConfig {
    /// What to scan, absolute.
    pub paths: Vec<PathBuf>,
    /// What is shared with `vfindd`.
    pub common: CommonConfig,
}

impl ScannerFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<ScannerConfig, ExitCode> {
        read::<Self>()?.resolve().map_err(usage::<Self>)
    }

    fn resolve(self) -> Result<ScannerConfig, String> {
        let mut paths = Vec::new();
        for path in self.paths {
            // What cannot be made absolute, such as an empty name, is no file: the scan says so, and goes on.
            paths.push(std::path::absolute(&path).unwrap_or_else(|_| path.into()));
        }
        Ok(ScannerConfig {
            paths,
            common: self.common.resolve(Isolation::Thread)?,
        })
    }
}
