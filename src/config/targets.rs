//! The options of `vfindc` that say what is scanned, and by whom.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::input::{Names, StandardInput};
use super::limits::Seconds;
use super::patterns;
use crate::client::{Links, Plan, Server, Setting, Settings, Targets, Token, Way, absolute};
use crate::request::{Exclude, Options, Recurse};

/// What is scanned, and by whom, as written.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is scanned")]
pub(super) struct TargetFlags {
    /// A server; an IPv6 address with a port as `[::1]:8081`; may be repeated, to spread the load
    #[arg(
        help_heading = "Servers",
        long,
        value_name = "[http://]HOST[:PORT]",
        default_value = "127.0.0.1:8081"
    )]
    server: Vec<Server>,

    /// The file that holds the token for servers that speak HTTP, instead of the one in VFIND_TOKEN
    #[arg(help_heading = "Servers", long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Send names, not contents: client and servers see the same files, and a server walks folders itself
    #[arg(help_heading = "Servers", long)]
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

    /// Read more names from standard input, one a line; so does no PATH at all, if it is no terminal
    #[arg(long)]
    stdin: bool,

    /// Read names as with --stdin, each with a zero byte behind it, as `find -print0` writes them
    #[arg(short = '0', long)]
    null: bool,

    /// Do not report findings of this name, written as `CVDL NAME`; may be repeated
    #[arg(long, visible_alias = "notell", value_name = "VIRUS", value_parser = |text: &str| Setting::ignore(text))]
    ignore: Vec<Setting>,

    /// Open containers of these kinds and no others, * for all; may be repeated
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', value_parser = |text: &str| Setting::expand(text))]
    expand: Vec<Setting>,

    /// Go only this deep into folders and containers, 0 for as deep as the limits allow
    #[arg(long, value_name = "N")]
    recursion_limit: Option<u32>,

    /// Read HTML as text too: 1 the text, 2 also the values of attributes, 3 also scripts and style sheets
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=3))]
    html: Option<u8>,

    /// Report on containers as well as on what is in them
    #[arg(long)]
    original: bool,

    /// Silence of a server that owes answers after which it is asked whether it is there, and then lost
    #[arg(
        help_heading = "Servers",
        long,
        value_name = "SECONDS",
        default_value = "300"
    )]
    timeout: Seconds,

    /// Wait until a server takes requests, at most this long
    #[arg(help_heading = "Servers", long, value_name = "SECONDS")]
    wait_for_server: Option<Seconds>,

    /// Say of each server whether it takes requests, and scan nothing
    #[arg(help_heading = "Servers", long)]
    ping: bool,

    /// Files and folders, - for the content of standard input
    #[arg(value_name = "PATH")]
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
    /// Resolves them. `input` is what names and contents come from, unless nothing is scanned.
    pub(super) fn resolve(self, input: Option<StandardInput>) -> Result<TargetConfig, String> {
        let names: Vec<_> = self.paths.into_iter().map(name).collect();
        let mut listed = None;
        if let Some(input) = input.filter(|_| !self.ping) {
            listed = Names::wanted(self.stdin, self.null, !names.is_empty(), input)?;
            let contents = names.iter().filter(|name| *name == b"-");
            input.serves(contents.count(), listed)?;
        }
        let noscan: Vec<_> = entries(&self.noscan, patterns::noscan)?;
        let walks = self.follow_symlinks || !self.include.is_empty();
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
            token: token(self.token_file.as_deref())?,
            ..Settings::default()
        };
        settings
            .options
            .extend(self.recursion_limit.map(Setting::recurse));
        settings
            .options
            .extend(self.original.then(Setting::original));
        settings.options.extend(self.html.map(Setting::html));
        if way == Way::Names {
            let excluded = noscan.iter().map(|path| Setting::exclude(path));
            settings.options.extend(excluded);
        }
        let options = Options {
            exclude: exclude(noscan),
            recurse,
            ..Options::default()
        };
        Ok(TargetConfig {
            plan: Plan {
                servers: self.server,
                settings,
                targets: Targets {
                    names,
                    listed: listed.map(|names| (names.end, names.missing())),
                    way,
                    options: Arc::new(options),
                    include: exclude(entries(&self.include, patterns::include)?),
                    links,
                },
            },
            wait: self.wait_for_server.map(|seconds| seconds.0),
            ping: self.ping,
        })
    }
}

/// The token in a file, else that of the environment.
fn token(file: Option<&Path>) -> Result<Option<Token>, String> {
    let (text, place) = match file {
        Some(path) => {
            let place = format!("--token-file={}", path.display());
            let text = std::fs::read_to_string(path);
            (text.map_err(|error| format!("{place}: {error}"))?, place)
        }
        None => match std::env::var("VFIND_TOKEN") {
            Ok(text) if !text.is_empty() => (text, "VFIND_TOKEN".to_owned()),
            _ => return Ok(None),
        },
    };
    let token = Token::new(&text);
    token.map(Some).map_err(|_| format!("{place}: no token"))
}

fn name(path: OsString) -> Vec<u8> {
    let name = path.into_vec();
    if name == b"-" { name } else { absolute(name) }
}

fn entries(
    texts: &[OsString],
    entry: fn(&[u8]) -> Result<Vec<u8>, String>,
) -> Result<Vec<Vec<u8>>, String> {
    texts.iter().map(|text| entry(text.as_bytes())).collect()
}

fn exclude(patterns: Vec<Vec<u8>>) -> Exclude {
    let mut exclude = Exclude::default();
    for pattern in patterns {
        exclude.add(&pattern);
    }
    exclude
}
