//! The command lines of the programs: options as written, and what they resolve to.
//!
//! Nothing downstream sees an option: sizes are bytes, addresses are bound to protocols, policies to listeners. Option
//! names are those of vfindd(1) and vfind(1) where the original has one (spec-vfind.md §2).
#![forbid(unsafe_code)]

mod client;
mod daemon;
mod scanner;

pub use client::{ClientConfig, ClientFlags};
pub use daemon::{DaemonConfig, DaemonFlags};
pub use scanner::{ScannerConfig, ScannerFlags};

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser};

use crate::budget::Limits;
use crate::database::load::Sources;
use crate::policy::{Listener, Policy, Rule};
use crate::pool::{Isolation, Terms};
use crate::scan::Setup;
use crate::signature::Format;
use crate::signature::cvdl::Cvdl;
use crate::signature::digests::DigestList;
use crate::verdict::Exit;

/// Temporary disk space that one item may take when the whole allowance is larger (design: 4 GiB per peer).
const SPOOL_PER_ITEM: u64 = 4 * 1024 * 1024 * 1024;

/// What the exit codes of the programs that scan mean, for their help.
pub const EXIT_CODES: &str = "Exit codes, the first that applies: 255 wrong usage or a general error, 23 something was \
found, 1 no server or it was lost, 2 something was not examined, 0 nothing was found and nothing is missing but what the \
policy passes.";

/// Options that daemon and scanner share.
#[derive(Debug, Args)]
struct CommonFlags {
    /// Load this file of CVDL rules too; may be repeated
    #[arg(long, value_name = "FILE")]
    vdl: Vec<PathBuf>,

    /// Load this list of digests (MD5, SHA-1 or SHA-256) too; may be repeated
    #[arg(long, value_name = "FILE")]
    md5: Vec<PathBuf>,

    /// Print the names of the signatures that are loaded, and exit
    #[arg(long)]
    vlist: bool,

    /// Say less: 1 leaves out information, 2 warnings too
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    quiet: u8,

    /// Workers, 1 to 1024 [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Follow symbolic links inside folders
    #[arg(long)]
    follow_symlinks: bool,

    /// What a part that could not be examined does to the verdict: [LISTENER:]REASON=error|infected|pass; may be repeated
    #[arg(long, value_name = "RULE")]
    policy: Vec<Rule>,

    /// Folder for temporary files, which have no name there [default: $TMPDIR or /tmp]
    #[arg(long, value_name = "DIR")]
    tmpdir: Option<PathBuf>,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(flatten)]
    limits: LimitFlags,
}

/// The limits of one item; sizes take K, M, G or T.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits for each file (what a limit hides is reported)")]
struct LimitFlags {
    /// Containers inside containers [default: 32]
    #[arg(long, value_name = "N")]
    limit_depth: Option<u32>,

    /// Members of all containers together [default: 1000000]
    #[arg(long, value_name = "N")]
    limit_members: Option<u64>,

    /// Bytes out of all containers together [default: 64G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_expanded: Option<u64>,

    /// Bytes out of containers for each byte of the file, above 256M [default: 250]
    #[arg(long, value_name = "N")]
    limit_ratio: Option<u64>,

    /// Memory of a worker process beside the signatures [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_memory: Option<u64>,

    /// Temporary disk space: half for all workers together, half for content that clients send (a quarter of the whole
    /// for one client) [default: 16G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_spool: Option<u64>,

    /// Findings, at least 1 [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_findings: Option<u64>,

    /// Seconds for one file, from when its scan starts [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    limit_deadline: Option<Duration>,
}

/// What daemon and scanner share.
#[derive(Debug)]
pub struct CommonConfig {
    /// The signatures to load.
    pub sources: Sources,
    /// Only list the signatures.
    pub list_signatures: bool,
    /// 0 says everything, 1 no information, 2 no warnings.
    pub quiet: u8,
    /// Workers, at least 1.
    pub threads: usize,
    /// How items are scanned.
    pub terms: Terms,
    rules: Vec<Rule>,
}

impl CommonConfig {
    /// What gaps mean to those who ask through this listener.
    pub fn policy(&self, listener: Listener) -> Policy {
        let mut policy = Policy::usual();
        for rule in &self.rules {
            rule.apply(listener, &mut policy);
        }
        policy
    }
}

impl CommonFlags {
    fn resolve(self, isolation: Isolation) -> Result<CommonConfig, String> {
        let threads = match self.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let tmpdir = self.tmpdir.unwrap_or_else(std::env::temp_dir);
        // Better now than as a gap of each larger archive.
        tempfile::tempfile_in(&tmpdir)
            .map_err(|error| format!("--tmpdir={}: {error}", tmpdir.display()))?;
        let vdl = self
            .vdl
            .into_iter()
            .map(|path| (path, &Cvdl as &dyn Format));
        let md5 = self
            .md5
            .into_iter()
            .map(|path| (path, &DigestList as &dyn Format));
        Ok(CommonConfig {
            sources: Sources {
                builtin: true,
                files: vdl.chain(md5).collect(),
            },
            list_signatures: self.vlist,
            quiet: self.quiet,
            threads,
            terms: Terms {
                setup: Setup {
                    limits: self.limits.resolve(threads),
                    tmpdir,
                },
                isolation,
                follow_links: self.follow_symlinks,
            },
            rules: self.policy,
        })
    }
}

impl LimitFlags {
    /// Bytes of temporary files: half for content that peers send, half for what workers decode.
    fn spool(&self) -> u64 {
        self.limit_spool.unwrap_or(4 * SPOOL_PER_ITEM)
    }

    fn resolve(&self, threads: usize) -> Limits {
        let usual = Limits::default();
        Limits {
            depth: self.limit_depth.unwrap_or(usual.depth),
            members: self.limit_members.unwrap_or(usual.members),
            expanded: self.limit_expanded.unwrap_or(usual.expanded),
            ratio: self.limit_ratio.unwrap_or(usual.ratio),
            memory: self.limit_memory.unwrap_or(usual.memory),
            spool: (self.spool() / 2 / threads as u64).min(SPOOL_PER_ITEM),
            findings: self.limit_findings.unwrap_or(usual.findings),
            deadline: self.limit_deadline.unwrap_or(usual.deadline),
        }
    }
}

fn read<F: Parser>() -> Result<F, ExitCode> {
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
    let text = error.to_string();
    let first: Vec<_> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let problem = first.join(" ");
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program
        .as_deref()
        .and_then(std::path::Path::file_name)
        .unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
    eprintln!("{}: {problem} (see --help)", program.display());
    Exit::Error.into()
}

fn usage<F: CommandFactory>(problem: String) -> ExitCode {
    refuse(&F::command().error(ErrorKind::ValueValidation, problem))
}

/// A size in bytes: a whole number, with K, M, G or T for powers of 1,024.
fn size(text: &str) -> Result<u64, String> {
    let problem = || format!("'{text}' is no size: a whole number, with K, M, G or T");
    let (digits, shift) = match text.chars().last().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => (text.get(..text.len() - 1), 10),
        Some('M') => (text.get(..text.len() - 1), 20),
        Some('G') => (text.get(..text.len() - 1), 30),
        Some('T') => (text.get(..text.len() - 1), 40),
        _ => (Some(text), 0),
    };
    let number: u64 = digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(problem)?;
    number.checked_mul(1 << shift).ok_or_else(problem)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("'{text}' is no number of seconds above 0"))
}
