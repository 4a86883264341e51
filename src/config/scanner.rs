//! The command line of `vfind`.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use super::arguments::{self, Given};
use super::common::{CommonConfig, CommonFlags};
use super::input::{Names, StandardInput};
use super::patterns::noscan;
use super::refused::Program;
use super::{EXIT_CODES_ALONE, print, usage};
use crate::database::sources::lines;
use crate::pool::Isolation;
use crate::request::{Options, Recurse};

/// The largest list of names in bytes; each file that is scanned is held against all of them.
const LIST: u64 = 1024 * 1024;

/// Options of `vfind` as written.
#[derive(Debug, Parser)]
#[command(
    name = "vfind",
    version,
    about = "Scans files and folders without a daemon"
)]
#[command(disable_version_flag = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES_ALONE)]
pub struct ScannerFlags {
    /// Accepted for gateways that pass it; the exit code tells what was found with and without it
    #[arg(long)]
    vexit: bool,

    /// Read more names from standard input, one a line; so does no PATH at all, if it is no terminal
    #[arg(long)]
    stdin: bool,

    /// Read names as with --stdin, each with a zero byte behind it, as `find -print0` writes them
    #[arg(short = '0', long)]
    null: bool,

    /// Do not scan this file, what is in this folder, or what matches this pattern (*, ?, […]); may be repeated
    #[arg(long, value_name = "PATTERN")]
    noscan: Vec<OsString>,

    /// Do not scan what this file names, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    noscans: Vec<PathBuf>,

    /// Do not report this virus, named as it is reported: 'CVDL W32/Example'; may be repeated
    #[arg(long, value_name = "VIRUS")]
    notell: Vec<String>,

    /// Do not report the viruses that this file names, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    notells: Vec<PathBuf>,

    /// Go this deep into folders and containers, 0 for as deep as the limits allow
    #[arg(long, value_name = "N", default_value_t = 0)]
    recursion_limit: u32,

    /// Read HTML as text too: 1 the text, 2 also the values of attributes, 3 also scripts and style sheets
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=3))]
    html: Option<u8>,

    /// Leave out symbolic links that are named, too; those inside folders are left out anyhow
    #[arg(long, conflicts_with = "follow_symlinks")]
    ignore_symlinks: bool,

    /// Write each line at once
    #[arg(short, long)]
    unbuf: bool,

    /// Print for each FILE, and what is in it, whether this rule holds and which parts of it do not; nothing else is scanned for
    #[arg(long, value_name = "RULE", requires = "paths")]
    explain: Option<String>,

    /// Print for each FILE the tree of what is in it: types, sizes, how each is opened, findings and what is not examined
    #[arg(
        long,
        value_name = "FORM",
        requires = "paths",
        conflicts_with = "explain"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    tree: Option<TreeForm>,

    /// Files and folders to scan; - is the content of standard input
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,

    #[command(flatten)]
    common: CommonFlags,
}

/// What `vfind` is to do.
#[derive(Debug)]
pub struct ScannerConfig {
    /// What to scan, before what standard input names.
    pub inputs: Vec<Input>,
    /// How names come from standard input, if they do.
    pub names: Option<Names>,
    /// The options of each request.
    pub options: Arc<Options>,
    /// A link is left out also when it is named.
    pub ignore_links: bool,
    /// Each line is written at once.
    pub unbuffered: bool,
    /// Bytes that the content of standard input may have.
    pub content_room: u64,
    /// Only explain why this rule holds or does not.
    pub explain: Option<String>,
    /// Only print what the files are made of.
    pub tree: Option<TreeForm>,
    /// What is shared with `vfindd`.
    pub common: CommonConfig,
}

/// How a tree is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TreeForm {
    /// Lines, indented.
    Text,
    /// One JSON object in a line for each file.
    Json,
}

/// One thing to scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The content of standard input.
    Content,
    /// A file or folder, absolute.
    Path(PathBuf),
}

impl Input {
    /// The file or folder of this name.
    pub fn named(name: &OsStr) -> Self {
        // What cannot be made absolute, such as an empty name, is no file: the scan says so, and goes on.
        Self::Path(std::path::absolute(name).unwrap_or_else(|_| name.into()))
    }
}

impl ScannerFlags {
    /// Reads the command line; on a wrong one, or one that only asks for help, prints and gives the exit code.
    ///
    /// # Errors
    /// The code to exit with.
    pub fn read() -> Result<ScannerConfig, ExitCode> {
        let Given { flags, shown } = arguments::read::<Self>(Program::Vfind, &[])?;
        let is_listing = shown.is_some() || flags.common.only_lists();
        let input = match is_listing {
            true => None,
            false => Some(StandardInput::of_process()),
        };
        let config = flags.resolve(input).map_err(usage::<Self>)?;
        match shown {
            Some(shown) => Err(print(&shown)),
            None => Ok(config),
        }
    }

    /// `input` is what names and contents come from, unless nothing is scanned.
    fn resolve(self, input: Option<StandardInput>) -> Result<ScannerConfig, String> {
        let mut options = Options::default();
        for text in listed(
            self.noscan.into_iter().map(OsString::into_vec),
            &self.noscans,
        )? {
            options.exclude.add(&noscan(&text)?);
        }
        for text in listed(
            self.notell.into_iter().map(String::into_bytes),
            &self.notells,
        )? {
            let name = String::from_utf8_lossy(&text).into_owned();
            options.ignore.extend(without_word(&name));
            options.ignore.push(name);
        }
        options.html = self.html.unwrap_or(0);
        if self.recursion_limit > 0 {
            options.recurse = Recurse::To(self.recursion_limit);
        }
        let inputs: Vec<_> = self
            .paths
            .iter()
            .map(|path| match path.as_bytes() {
                b"-" => Input::Content,
                _ => Input::named(path),
            })
            .collect();
        let mut names = None;
        if let Some(input) = input {
            names = Names::wanted(self.stdin, self.null, !inputs.is_empty(), input)?;
            let contents = inputs.iter().filter(|input| **input == Input::Content);
            input.serves(contents.count(), names)?;
        }
        let content_room = self.common.limits.spool() / 2;
        let common = self.common.resolve(Isolation::Thread)?;
        options.expand = common.expand;
        Ok(ScannerConfig {
            inputs,
            names,
            options: Arc::new(options),
            ignore_links: self.ignore_symlinks,
            unbuffered: self.unbuf,
            explain: self.explain,
            tree: self.tree,
            content_room,
            common,
        })
    }
}

/// What is named one by one, and what files name.
fn listed(named: impl Iterator<Item = Vec<u8>>, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let mut all: Vec<_> = named.collect();
    for path in files {
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        all.extend(lines(&text).map(<[u8]>::to_vec));
    }
    Ok(all)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LIST + 1).read_to_end(&mut text)?;
    match text.len() as u64 > LIST {
        true => Err(std::io::Error::other("larger than 1 MiB")),
        false => Ok(text),
    }
}

/// The name of a digest without the word that `VIRUS ID:` lines put in front of every name.
fn without_word(name: &str) -> Option<String> {
    let rest = name.strip_prefix("CVDL ")?;
    let (word, _) = rest.split_once(' ')?;
    ["MD5", "SHA1", "SHA256"]
        .contains(&word)
        .then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EngineWord, SignatureName};

    use StandardInput::{Connected, Nothing, Terminal};

    fn scanner(arguments: &[&str], input: StandardInput) -> Result<ScannerConfig, String> {
        let arguments = [&["vfind"], arguments].concat();
        let flags = ScannerFlags::try_parse_from(arguments).map_err(|error| error.to_string())?;
        flags.resolve(Some(input))
    }

    #[test]
    fn what_is_scanned_comes_from_the_command_line_or_standard_input() {
        let named = |end, are_implied| Some(Names { end, are_implied });
        let path = |name: &str| Input::Path(name.into());
        type Row<'a> = (&'a [&'a str], StandardInput, &'a [Input], Option<Names>);
        let rows: &[Row<'_>] = &[
            (&["/a", "-"], Connected, &[path("/a"), Input::Content], None),
            (
                &["--", "/-x", "-"],
                Connected,
                &[path("/-x"), Input::Content],
                None,
            ),
            (&["/a"], Nothing, &[path("/a")], None),
            (&[], Connected, &[], named(b'\n', true)),
            (&["-0"], Connected, &[], named(0, false)),
            (&["-0"], Terminal, &[], named(0, false)),
            (&["--stdin"], Terminal, &[], named(b'\n', false)),
            (&["-0", "/a"], Connected, &[path("/a")], named(0, false)),
            (
                &["--stdin", "--null", "/a"],
                Terminal,
                &[path("/a")],
                named(0, false),
            ),
        ];
        for (arguments, input, inputs, names) in rows {
            let config = scanner(arguments, *input).unwrap();
            assert_eq!(
                (&config.inputs[..], config.names),
                (*inputs, *names),
                "{arguments:?}"
            );
        }
        let refused: &[(&[&str], StandardInput, &str)] = &[
            (&["-", "-"], Connected, "once"),
            (&["-", "--stdin"], Connected, "once"),
            (&["-", "-0"], Connected, "once"),
            (&["-"], Nothing, "standard input is not connected"),
            (&["/a", "-"], Nothing, "standard input is not connected"),
            (&["--stdin"], Nothing, "no names on standard input"),
            (&["-0", "/a"], Nothing, "no names on standard input"),
            (&[], Nothing, "no PATH, and no names on standard input"),
            (&[], Terminal, "no PATH, and standard input is a terminal"),
        ];
        for (arguments, input, word) in refused {
            let error = scanner(arguments, *input).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
        let relative = scanner(&["x"], Terminal).unwrap();
        assert_eq!(
            relative.inputs,
            [Input::Path(std::env::current_dir().unwrap().join("x"))]
        );
    }

    #[test]
    fn lists_name_what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let list = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (noscans, notells) = (
            list("a", "/srv/a\n\n*.iso\n"),
            list("b", "CVDL MD5 Two\r\nSHA1 Three"),
        );
        let config = scanner(
            &[
                "--noscan=here",
                &format!("--noscans={noscans}"),
                "--notell=CVDL One",
                &format!("--notells={notells}"),
                "/x",
            ],
            Terminal,
        )
        .unwrap();
        let here = std::env::current_dir().unwrap().join("here/below");
        for (path, left_out) in [
            ("/srv/a/b", true),
            ("/srv/b", false),
            ("/b.iso", true),
            (here.to_str().unwrap(), true),
        ] {
            assert_eq!(
                config.options.exclude.covers(path.as_bytes()),
                left_out,
                "{path}"
            );
        }
        for (engine, name, ignored) in [
            (EngineWord::Cvdl, "One", true),
            (EngineWord::Md5, "One", false),
            (EngineWord::Md5, "Two", true),
            (EngineWord::Sha1, "Three", true),
        ] {
            let name = SignatureName::new(engine, name);
            assert_eq!(config.options.ignores(&name), ignored, "{name}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (arguments, word) in [
            (&["--noscan=x*"][..], "begins with / or *"),
            (&["--noscan=[x"], "begins with / or *"),
            (&["--noscan="], "--noscan=: it names nothing"),
            (&["--noscans=/nonexistent"], "/nonexistent: No such"),
            (&["--notells=/nonexistent"], "/nonexistent: No such"),
            (
                &["--follow-symlinks", "--ignore-symlinks"],
                "cannot be used with",
            ),
            (&["--recursion-limit=-1"], "invalid value"),
        ] {
            let error = scanner(&[arguments, &["/x"]].concat(), Terminal).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }
}
