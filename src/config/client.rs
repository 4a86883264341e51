//! The command line of `vfindc`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueHint};

use super::generate::GenerateFlag;
use super::output::{OutputFlags, QuarantineFlags};
use super::{EXIT_CODES, read};
use crate::client::Server;
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
    /// The server; an IPv6 address with a port as `[::1]:8081`
    #[arg(long, value_name = "HOST[:PORT]", default_value = "127.0.0.1:8081")]
    server: Server,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    quarantine: QuarantineFlags,
    #[command(flatten)]
    generate: GenerateFlag,
    /// Accepted for scripts written for vfind; the exit code always tells the verdict
    #[arg(long)]
    vexit: bool,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// Files and folders, as the server's machine names them; relative ones are made absolute here
    #[arg(value_name = "PATH", required_unless_present_any = ["restore", "list_quarantine"], value_hint = ValueHint::AnyPath)]
    paths: Vec<OsString>,
}

/// What `vfindc` is to do.
#[derive(Debug)]
pub struct ClientConfig {
    /// Who scans.
    pub server: Server,
    /// What is printed.
    pub output: Setting,
    /// Where infected files go.
    pub quarantine: Option<PathBuf>,
    /// What is asked of the quarantine, instead of a scan.
    pub errand: Option<Errand>,
    /// What to scan, absolute where it can be made so.
    pub paths: Vec<Vec<u8>>,
}

impl ClientFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<ClientConfig, ExitCode> {
        Ok(read::<Self>()?.resolve())
    }

    fn resolve(self) -> ClientConfig {
        let output = self.output.resolve();
        let (quarantine, errand) = self.quarantine.resolve(&output);
        ClientConfig {
            server: self.server,
            output,
            quarantine,
            errand,
            paths: self.paths.into_iter().map(absolute).collect(),
        }
    }
}

/// The path from the root on, links unresolved: what a link leads to is the server's to find out. What cannot be made
/// absolute, such as an empty name, is the server's to refuse.
fn absolute(path: OsString) -> Vec<u8> {
    let absolute = std::path::absolute(&path).map(PathBuf::into_os_string);
    absolute.unwrap_or(path).into_vec()
}
