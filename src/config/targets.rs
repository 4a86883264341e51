//! The options of `vfindc` that say what is scanned, and by whom.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::limits::Seconds;
use crate::client::{Links, Plan, Server, Setting, Settings, Targets, Way, absolute};
use crate::request::{Exclude, Options, Recurse};

/// What is scanned, and by whom, as written.
#[derive(Debug, Args)]
pub(super) struct TargetFlags {
    /// A server; an IPv6 address with a port as `[::1]:8081`; may be repeated, to spread the load
    #[arg(long, value_name = "HOST[:PORT]", default_value = "127.0.0.1:8081")]
    server: Vec<Server>,

    /// Send names, not contents: client and servers see the same files, and a server walks folders itself
    #[arg(long)]
    localhost: bool,

    /// Leave out this path, or what is in this folder; with *, ? or […] a pattern, * also for /; may be repeated
    #[arg(long, value_name = "PATTERN")]
    noscan: Vec<OsString>,

    /// Of the files in folders, only those whose path or last name is this or matches it; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<OsString>,

    /// Follow symbolic links inside folders too
    #[arg(long, conflicts_with = "ignore_symlinks")]
    follow_symlinks: bool,

    /// Leave out symbolic links that are named, too
    #[arg(long)]
    ignore_symlinks: bool,

    /// Read names from standard input, one a line
    #[arg(long)]
    stdin: bool,

    /// The names of --stdin end with NUL, not with a line end
    #[arg(short = '0', long, requires = "stdin")]
    null: bool,

    /// Do not report findings of this name, written as `CVDL NAME`; may be repeated
    #[arg(long, value_name = "VIRUS", value_parser = |text: &str| Setting::ignore(text))]
    ignore: Vec<Setting>,

    /// Open containers of this kind and no others, * for all; may be repeated, to open several kinds
    #[arg(long, value_name = "KIND", value_parser = |text: &str| Setting::expand(text))]
    expand: Vec<Setting>,

    /// Go only this deep into folders and containers, 0 for as deep as the limits allow
    #[arg(long, value_name = "N")]
    recursion_limit: Option<u32>,

    /// Report on containers as well as on what is in them
    #[arg(long)]
    original: bool,

    /// Silence of a server that owes answers after which it is asked whether it is there, and then lost
    #[arg(long, value_name = "SECONDS", default_value = "300")]
    timeout: Seconds,

    /// Wait until a server takes requests, at most this long
    #[arg(long, value_name = "SECONDS")]
    wait_for_server: Option<Seconds>,

    /// Say of each server whether it takes requests, and scan nothing
    #[arg(long)]
    ping: bool,

    /// Files and folders, - for the content of standard input
    #[arg(value_name = "PATH", required_unless_present_any = ["stdin", "ping"])]
    paths: Vec<OsString>,
}

/// What is scanned, by whom, and what comes before.
#[derive(Debug)]
pub struct TargetConfig {
    /// The run itself.
    pub plan: Plan,
    /// How long to wait for a server.
    pub wait: Option<Duration>,
    /// Only ask whether servers are there.
    pub ping: bool,
}

impl TargetFlags {
    /// Resolves them. `files`: each file must be known to this program, also where a server could walk.
    pub(super) fn resolve(self, files: bool) -> Result<TargetConfig, String> {
        let names: Vec<_> = self.paths.into_iter().map(name).collect();
        if self.stdin && names.iter().any(|name| name == b"-") {
            return Err(
                "standard input is either a list of names (--stdin) or a content (-)".into(),
            );
        }
        let noscan: Vec<_> = self.noscan.into_iter().map(pattern).collect();
        let walks = files || self.follow_symlinks || !self.include.is_empty();
        let way = match (self.localhost, walks) {
            (true, false) => Way::Names,
            (true, true) => Way::NamesOfFiles,
            (false, _) => Way::Contents,
        };
        let links = match (self.follow_symlinks, self.ignore_symlinks) {
            (true, _) => Links::Follow,
            (false, true) => Links::Ignore,
            (false, false) => Links::Named,
        };
        let recurse = match self.recursion_limit {
            None | Some(0) => Recurse::Unlimited,
            Some(depth) => Recurse::To(depth),
        };
        let mut settings = Settings {
            options: self.ignore.into_iter().chain(self.expand).collect(),
            timeout: self.timeout.0,
            ..Settings::default()
        };
        settings
            .options
            .extend(self.recursion_limit.map(Setting::recurse));
        settings
            .options
            .extend(self.original.then(Setting::original));
        if way == Way::Names {
            let excluded = noscan.iter().map(|path| Setting::exclude(path));
            settings.options.extend(excluded);
        }
        let options = Options {
            exclude: exclude(noscan),
            recurse,
            ..Options::default()
        };
        let end = if self.null { 0 } else { b'\n' };
        Ok(TargetConfig {
            plan: Plan {
                servers: self.server,
                settings,
                targets: Targets {
                    names,
                    listed: self.stdin.then_some(end),
                    way,
                    options: Arc::new(options),
                    include: exclude(self.include.into_iter().map(OsString::into_vec).collect()),
                    links,
                },
            },
            wait: self.wait_for_server.map(|seconds| seconds.0),
            ping: self.ping,
        })
    }
}

fn name(path: OsString) -> Vec<u8> {
    let name = path.into_vec();
    if name == b"-" { name } else { absolute(name) }
}

/// A path is made absolute, for files are known by absolute names; a pattern says itself what it is for.
fn pattern(text: OsString) -> Vec<u8> {
    let text = text.into_vec();
    if Exclude::is_pattern(&text) {
        text
    } else {
        absolute(text)
    }
}

fn exclude(patterns: Vec<Vec<u8>>) -> Exclude {
    let mut exclude = Exclude::default();
    for pattern in patterns {
        exclude.add(&pattern);
    }
    exclude
}
