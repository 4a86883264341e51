//! Options that `vfindd` and `vfind` share.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::generate::GenerateFlag;
use super::limits::{LimitFlags, Size};
use crate::database::sources::Sources;
use crate::database::{Compiling, Settings};
use crate::files::Reach;
use crate::journal::Logged;
use crate::kind::{self, Kind, KindSet};
use crate::policy::{Listener, Policy, Rule};
use crate::pool::{Isolation, Terms};
use crate::scan::Setup;
use crate::signature::Format;
use crate::signature::cvdl::Cvdl;
use crate::signature::digests::DigestList;

/// Options that daemon and scanner share.
#[derive(Debug, Args)]
pub(super) struct CommonFlags {
    /// Read options from this file, in TOML: each key is the long name of an option
    #[arg(long, visible_alias = "rcf", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print the configuration with every option as it holds, in the form of such a file, and exit
    #[arg(long)]
    check_config: bool,

    /// Load this file of CVDL rules too; may be repeated
    #[arg(long, value_name = "FILE")]
    vdl: Vec<PathBuf>,

    /// Load the files of CVDL rules that this file names, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    vdl_list: Vec<PathBuf>,

    /// Load this list of digests (MD5, SHA-1 or SHA-256) too; may be repeated
    #[arg(long, value_name = "FILE")]
    md5: Vec<PathBuf>,

    /// Load this file too, or all of this folder whose kind their names tell; may be repeated
    #[arg(long, value_name = "PATH")]
    database: Vec<PathBuf>,

    /// Keep the signatures in this file in the form that is used, and use it as long as it fits them
    #[arg(long, value_name = "FILE")]
    vdl_data_file: Option<PathBuf>,

    /// Bytes that signatures may have in that form, in the file or in memory
    #[arg(long, value_name = "SIZE", default_value_t = DATA_SIZE)]
    max_vdl_data_size: Size,

    /// Make that file anew, even if it fits
    #[arg(long)]
    rebuild_vdl_data: bool,

    /// Do not load this signature, named as --vlist prints it; may be repeated
    #[arg(long, value_name = "NAME")]
    noload: Vec<String>,

    /// Do not load the signatures that this file names, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    noloads: Vec<PathBuf>,

    /// Take names that two CVDL rules have, and gaps at the start of a sequence, for errors
    #[arg(short, long)]
    dup_check: bool,

    /// Print the names of the signatures that are loaded, and exit
    #[arg(long)]
    vlist: bool,

    /// End when a signature is not understood; vfind ends at the first part that counts as not examined, too
    #[arg(short, long)]
    exit_on_error: bool,

    /// End when a signature is not understood; -ev is short for it
    #[arg(long)]
    exit_on_vdl_error: bool,

    /// Say less: 1 leaves out information, 2 warnings too
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    quiet: u8,

    /// Workers, 1 to 1024 [default: one for each core]
    #[arg(long, value_name = "N", default_value_t = cores(), hide_default_value = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Follow symbolic links inside folders
    #[arg(long)]
    follow_symlinks: bool,

    /// Open containers of these kinds and no others, * for all; may be repeated
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    expand: Vec<Expander>,

    /// Do not open containers of these kinds, * for none at all; may be repeated
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    disable_expand: Vec<Expander>,

    /// What a part that could not be examined does to the verdict: [LISTENER:]REASON=error|infected|pass; may be repeated
    #[arg(long, value_name = "RULE")]
    policy: Vec<Rule>,

    /// Folder for temporary files, which have no name there [default: $TMPDIR or /tmp]
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir(), hide_default_value = true)]
    tmpdir: PathBuf,

    /// Try the passwords that this file holds, one a line, on encrypted members
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,

    /// Print the number of the process first
    #[arg(long)]
    pid: bool,

    /// Hold this file with the number of the process as long as it runs; a second program with the same file ends at once
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,

    /// Write the number of the process into this file, and leave it there
    #[arg(long, value_name = "FILE")]
    savepid: Option<PathBuf>,

    /// Print whose work this is, and exit
    #[arg(short, long)]
    copyright: bool,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    #[command(flatten)]
    generate: GenerateFlag,

    #[command(flatten)]
    pub(super) limits: LimitFlags,
}

/// The value of `--expand` and `--disable-expand`: a kind, or `None` for all.
#[derive(Debug, Clone, Copy)]
struct Expander(Option<&'static Kind>);

impl std::str::FromStr for Expander {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match kind::by_name(name.as_bytes()) {
            _ if name == "*" => Ok(Self(None)),
            Some(kind) => Ok(Self(Some(kind))),
            None => {
                let names: Vec<_> = kind::KINDS.iter().map(|kind| kind.name).collect();
                Err(format!("no such kind: {}", names.join(", ")))
            }
        }
    }
}

/// The kinds that are opened: those that are wanted, or the usual ones, without those that are not wanted.
fn expanders(wanted: &[Expander], unwanted: &[Expander]) -> Result<KindSet, String> {
    let mut set = match wanted {
        [] => KindSet::usual(),
        _ => KindSet::NONE,
    };
    for Expander(kind) in wanted {
        match kind {
            None => set = KindSet::ALL,
            Some(kind) if kind.built => set.insert(kind),
            Some(kind) => {
                return Err(format!(
                    "--expand={}: {} is not opened by this version",
                    kind.name, kind.title
                ));
            }
        }
    }
    for Expander(kind) in unwanted {
        match kind {
            None => set = KindSet::NONE,
            Some(kind) => set.remove(kind),
        }
    }
    Ok(set)
}

/// Ten times what the largest known sets of signatures come to.
const DATA_SIZE: Size = Size(4 << 30);

/// What daemon and scanner share.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// The signatures to load.
    pub signatures: Settings,
    /// Only list the signatures.
    pub list_signatures: bool,
    /// A signature that is not understood is the end.
    pub exit_on_complaints: bool,
    /// So is, for `vfind`, the first gap that makes a verdict incomplete.
    pub exit_on_gaps: bool,
    /// 0 says everything, 1 no information, 2 no warnings.
    pub quiet: u8,
    /// Workers, at least 1.
    pub threads: usize,
    /// How items are scanned.
    pub terms: Terms,
    /// Print the number of the process first.
    pub print_pid: bool,
    /// The file to hold with the number of the process.
    pub pidfile: Option<PathBuf>,
    /// The file to write it to.
    pub savepid: Option<PathBuf>,
    /// The containers that are opened, for peers unless they choose others.
    pub expand: KindSet,
    rules: Vec<Rule>,
}

impl CommonConfig {
    /// What gaps mean to those who ask through this listener.
    pub fn policy(&self, listener: Listener) -> Policy {
        let mut policy = Policy::usual(listener);
        for rule in &self.rules {
            rule.apply(listener, &mut policy);
        }
        policy
    }

    /// Tells whether temporary files can be made: better now than as a gap of each larger archive.
    ///
    /// # Errors
    /// For people: the system's reason.
    pub fn check_tmpdir(&self) -> Result<(), String> {
        check_tmpdir(&self.terms.setup.tmpdir)
    }
}

fn check_tmpdir(tmpdir: &Path) -> Result<(), String> {
    tempfile::tempfile_in(tmpdir)
        .map(drop)
        .map_err(|error| format!("--tmpdir={}: {error}", tmpdir.display()))
}

/// The most passwords of a file, and the most bytes of one: each is tried on each encrypted member.
const PASSWORDS: usize = 1000;
const PASSWORD: usize = 256;

fn passwords(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let problem = |what: &str| format!("--passwords={}: {what}", path.display());
    let text = std::fs::read(path).map_err(|error| problem(&error.to_string()))?;
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let passwords: Vec<Vec<u8>> = lines
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if passwords.len() > PASSWORDS || passwords.iter().any(|one| one.len() > PASSWORD) {
        return Err(problem(
            "more than 1,000 passwords, or one of more than 256 bytes",
        ));
    }
    Ok(passwords)
}

impl CommonFlags {
    /// Nothing is to be scanned.
    pub(super) fn only_lists(&self) -> bool {
        self.vlist
    }

    pub(super) fn resolve(self, isolation: Isolation) -> Result<CommonConfig, String> {
        check_tmpdir(&self.tmpdir)?;
        let expand = expanders(&self.expand, &self.disable_expand)?;
        let threads = usize::from(self.threads);
        let vdl = self
            .vdl
            .into_iter()
            .map(|path| (path, &Cvdl as &dyn Format));
        let md5 = self
            .md5
            .into_iter()
            .map(|path| (path, &DigestList as &dyn Format));
        Ok(CommonConfig {
            signatures: Settings {
                sources: Sources {
                    builtin: true,
                    files: vdl.chain(md5).collect(),
                    lists: self.vdl_list,
                    databases: self.database,
                    noload: self.noload,
                    noloads: self.noloads,
                    strict: self.dup_check,
                },
                data_file: self.vdl_data_file,
                rebuild: self.rebuild_vdl_data,
                limit: self.max_vdl_data_size.0,
                compiling: Compiling::Here,
            },
            list_signatures: self.vlist,
            exit_on_complaints: self.exit_on_error || self.exit_on_vdl_error,
            exit_on_gaps: self.exit_on_error,
            quiet: self.quiet,
            threads,
            terms: Terms {
                setup: Setup {
                    limits: self.limits.resolve(threads),
                    tmpdir: self.tmpdir,
                    passwords: match &self.passwords {
                        Some(path) => passwords(path)?,
                        None => Vec::new(),
                    },
                },
                isolation,
                reach: Arc::new(Reach {
                    follow_links: self.follow_symlinks,
                    ..Reach::default()
                }),
                verdict_cache: 0,
                logged: Logged::None,
            },
            print_pid: self.pid,
            pidfile: self.pidfile,
            savepid: self.savepid,
            expand,
            rules: self.policy,
        })
    }
}

fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores).unwrap_or(u16::MAX).min(1024)
}
