//! The command line of `vfindc`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

use super::targets::{TargetConfig, TargetFlags};
use super::{EXIT_CODES, read, usage};
use crate::client::print::Form;

/// Options of `vfindc` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfindc",
    version,
    about = "Has files and folders scanned by a vfindd, and prints the verdicts"
)]
#[command(disable_version_flag = true, after_help = EXIT_CODES)]
pub struct ClientFlags {
    /// Print one JSON record per PATH and line, and nothing else (docs/schema/verdict-1.json)
    #[arg(long)]
    json: bool,
    /// Print findings and gaps only: no notes, no summary, no progress; the number changes nothing here
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    quiet: u8,
    /// Accepted for scripts written for vfind; the exit code always tells the verdict
    #[arg(long)]
    vexit: bool,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(flatten)]
    targets: TargetFlags,
}

/// What `vfindc` is to do.
#[derive(Debug)]
pub struct ClientConfig {
    /// What is scanned, and by whom.
    pub targets: TargetConfig,
    /// What is printed.
    pub form: Form,
}

impl ClientFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<ClientConfig, ExitCode> {
        read::<Self>()?.resolve().map_err(usage::<Self>)
    }

    fn resolve(self) -> Result<ClientConfig, String> {
        let form = match (self.json, self.quiet > 0) {
            (true, _) => Form::Json,
            (false, true) => Form::Quiet,
            (false, false) => Form::Text,
        };
        Ok(ClientConfig {
            targets: self.targets.resolve(false)?,
            form,
        })
    }
}
