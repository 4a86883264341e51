//! The command line of `vfindc`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::generate::GenerateFlag;
use super::input::StandardInput;
use super::output::{OutputFlags, QuarantineFlags};
use super::targets::{TargetConfig, TargetFlags};
use super::{EXIT_CODES, read, usage};
use crate::client::print::Setting;
use crate::client::quarantine::Errand;

/// Options of `vfindc` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfindc",
    version,
    about = "Has files and folders scanned by a vfindd, and prints the verdicts"
)]
#[command(disable_version_flag = true, after_help = EXIT_CODES)]
pub struct ClientFlags {
    /// Accepted for scripts written for vfind; the exit code always tells the verdict
    #[arg(long)]
    vexit: bool,
    #[command(flatten)]
    generate: GenerateFlag,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    targets: TargetFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    quarantine: QuarantineFlags,
}

/// What `vfindc` is to do.
#[derive(Debug)]
pub struct ClientConfig {
    /// What is scanned, and by whom.
    pub targets: TargetConfig,
    /// What is printed.
    pub output: Setting,
    /// Where infected files go.
    pub quarantine: Option<PathBuf>,
    /// What is asked of the quarantine, instead of a scan.
    pub errand: Option<Errand>,
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
        let output = self.output.resolve();
        let (quarantine, errand) = self.quarantine.resolve(&output);
        let input = errand.is_none().then(StandardInput::of_process);
        Ok(ClientConfig {
            targets: self.targets.resolve(input)?,
            output,
            quarantine,
            errand,
        })
    }
}
