//! The command lines of `vfindd` and `vfind`: options as written, and what they resolve to.
//!
//! Nothing downstream sees an option: sizes are bytes, addresses are bound to protocols, policies to listeners. Option
//! names are those of vfindd(1) and vfind(1) where the original has one (spec-vfind.md §2).
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser};

use crate::budget::Limits;
use crate::database::load::Sources;
use crate::gateway::{GATEWAYS, Gateway};
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

/// Options of `vfindd` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfindd",
    version,
    about = "Scans files for programs that ask over TCP (SVSP, port 8081)"
)]
#[command(disable_version_flag = true, max_term_width = 100)]
pub struct DaemonFlags {
    /// Listen at this address instead: PROTOCOL:ADDRESS:PORT, such as svsp:0.0.0.0:8081; may be repeated
    #[arg(long, value_name = "PROTOCOL:ADDRESS:PORT", conflicts_with_all = ["svsp_port", "localhost", "ipv4", "ipv6"])]
    listen: Vec<String>,

    /// Port for SVSP
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    svsp_port: u16,

    /// Listen on the loopback interface only (the default)
    #[arg(short, long)]
    localhost: bool,

    /// Use IPv4 only (the default)
    #[arg(short = '4', long = "IPv4", conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long = "IPv6")]
    ipv6: bool,

    /// Stay in the foreground (the default)
    #[arg(short, long)]
    foreground: bool,

    /// Look at content in threads of the daemon, or in processes of their own that a crash or the deadline ends
    #[arg(long, value_enum, default_value_t = IsolationFlag::Thread)]
    isolation: IsolationFlag,

    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_connections: u32,

    #[command(flatten)]
    common: CommonFlags,
}

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

    /// Temporary disk space of all workers together [default: 16G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_spool: Option<u64>,

    /// Findings, at least 1 [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_findings: Option<u64>,

    /// Seconds for one file, from when its scan starts [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    limit_deadline: Option<Duration>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum IsolationFlag {
    Process,
    Thread,
}

/// What `vfindd` is to do.
#[derive(Debug)]
pub struct DaemonConfig {
    /// Where to listen, and what is spoken there.
    pub listen: Vec<(&'static Gateway, SocketAddr)>,
    /// Connections at the same time.
    pub connections: usize,
    /// What is shared with `vfind`.
    pub common: CommonConfig,
}

/// What `vfind` is to do.
#[derive(Debug)]
pub struct ScannerConfig {
    /// What to scan, absolute.
    pub paths: Vec<PathBuf>,
    /// What is shared with `vfindd`.
    pub common: CommonConfig,
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

impl DaemonFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<DaemonConfig, ExitCode> {
        read::<Self>()?.resolve().map_err(usage::<Self>)
    }

    fn resolve(self) -> Result<DaemonConfig, String> {
        let mut listen = Vec::new();
        for text in &self.listen {
            listen.push(listen_address(text)?);
        }
        if listen.is_empty() {
            let ip = if self.ipv6 {
                IpAddr::V6(Ipv6Addr::LOCALHOST)
            } else {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            };
            listen.extend(
                GATEWAYS
                    .iter()
                    .map(|gateway| (gateway, SocketAddr::new(ip, self.svsp_port))),
            );
        }
        let isolation = match self.isolation {
            IsolationFlag::Process => Isolation::Process,
            IsolationFlag::Thread => Isolation::Thread,
        };
        Ok(DaemonConfig {
            listen,
            connections: self.limit_connections as usize,
            common: self.common.resolve(isolation)?,
        })
    }
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
    fn resolve(&self, threads: usize) -> Limits {
        let usual = Limits::default();
        let spool = self.limit_spool.unwrap_or(4 * SPOOL_PER_ITEM);
        Limits {
            depth: self.limit_depth.unwrap_or(usual.depth),
            members: self.limit_members.unwrap_or(usual.members),
            expanded: self.limit_expanded.unwrap_or(usual.expanded),
            ratio: self.limit_ratio.unwrap_or(usual.ratio),
            memory: self.limit_memory.unwrap_or(usual.memory),
            spool: (spool / threads as u64).min(SPOOL_PER_ITEM),
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

fn listen_address(text: &str) -> Result<(&'static Gateway, SocketAddr), String> {
    let problem = || {
        format!(
            "--listen={text}: expected PROTOCOL:ADDRESS:PORT with an IP address, such as svsp:127.0.0.1:8081"
        )
    };
    let (protocol, address) = text.split_once(':').ok_or_else(problem)?;
    let gateway = GATEWAYS.iter().find(|gateway| gateway.name == protocol);
    let gateway = gateway.ok_or_else(|| {
        let names: Vec<_> = GATEWAYS.iter().map(|gateway| gateway.name).collect();
        format!(
            "--listen={text}: no protocol is called '{protocol}': {}",
            names.join(", ")
        )
    })?;
    Ok((gateway, address.parse().map_err(|_| problem())?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Reason;
    use crate::policy::Action;

    fn daemon(arguments: &[&str]) -> Result<DaemonConfig, String> {
        let arguments = [&["vfindd"], arguments].concat();
        let flags = DaemonFlags::try_parse_from(arguments).map_err(|error| error.to_string())?;
        flags.resolve()
    }

    #[test]
    fn without_options_it_listens_on_the_loopback_at_8081() {
        let config = daemon(&[]).unwrap();
        let listen: Vec<_> = config
            .listen
            .iter()
            .map(|(g, a)| (g.name, a.to_string()))
            .collect();
        assert_eq!(listen, [("svsp", "127.0.0.1:8081".to_owned())]);
        assert!(config.common.sources.builtin && config.common.threads > 0);
    }

    #[test]
    fn options_resolve_to_what_they_say() {
        let config = daemon(&[
            "-6",
            "--svsp-port=9",
            "--limit-memory=1G",
            "--threads=32",
            "--policy=limit=pass",
        ])
        .unwrap();
        assert_eq!(config.listen[0].1.to_string(), "[::1]:9");
        let limits = &config.common.terms.setup.limits;
        assert_eq!((limits.memory, limits.spool), (1 << 30, 512 << 20));
        let reason = Reason::Limit(crate::event::Limit::Depth);
        assert_eq!(
            config.common.policy(Listener::Svsp).action(&reason),
            Action::Pass
        );
        let two = daemon(&["--listen=svsp:0.0.0.0:1", "--listen=svsp:[::]:2"]).unwrap();
        assert_eq!(two.listen.len(), 2);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (arguments, word) in [
            (&["--threads=0"][..], "1..=1024"),
            (&["--limit-connections=0"], "0 is not in"),
            // Without a finding allowed, the first would only be a gap.
            (&["--limit-findings=0"], "0 is not in"),
            (&["--tmpdir=/nonexistent"], "/nonexistent"),
            (&["--listen=svsp:127.0.0.1:1", "-6"], "cannot be used with"),
            (&["--listen=8081"], "svsp:127.0.0.1:8081"),
            (&["--listen=gopher:127.0.0.1:1"], "svsp"),
            (&["--limit-memory=12Q"], "K, M, G or T"),
            (&["--limit-memory=99999999999999T"], "K, M, G or T"),
            (&["--limit-deadline=-1"], "above 0"),
            (&["--policy=limit=never"], "infected"),
            (&["--nonsense"], "--nonsense"),
        ] {
            let error = daemon(arguments).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }
}
