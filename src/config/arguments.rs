//! From the command line as written, and the configuration file that it names, to flags.
//!
//! The original has options that look like others to a parser (`-ev`, `-?`), and some that are refused: both are seen to
//! before the parser. A configuration file is turned into the arguments that say the same, in front of those of the
//! command line, so that each option is defined once.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::file::{self, Entry};
use super::refused::{Program, refusal};
use super::{first_lines, generate, print, refuse, show, usage};

/// A command line that was read.
#[derive(Debug)]
pub(super) struct Given<F> {
    /// The options, those of the configuration file with them.
    pub(super) flags: F,
    /// The configuration as a file, if that is all that is wanted.
    pub(super) shown: Option<String>,
}

/// Why there are no options to go on with.
#[derive(Debug)]
pub(super) enum Said {
    /// Only the copyright is wanted.
    Copyright,
    /// What the parser says: help, version, or what is wrong.
    Parser(clap::Error),
    /// What is wrong, for people.
    Problem(String),
}

/// Reads the program's own command line; on a wrong one, or one that only asks for help, prints and gives the code to
/// exit with. `tables` are the tables that a configuration file may have, by listener.
pub(super) fn read<F>(program: Program, tables: &[&str]) -> Result<Given<F>, ExitCode>
where
    F: CommandFactory + FromArgMatches,
{
    if let Some(code) = generate::answer::<F>() {
        return Err(code);
    }
    given(program, tables, std::env::args_os().collect()).map_err(|said| match said {
        Said::Copyright => print(COPYRIGHT),
        Said::Parser(error) => refuse(&error),
        Said::Problem(problem) => usage::<F>(problem),
    })
}

/// What `--copyright` prints.
const COPYRIGHT: &str = concat!(
    "vfind ",
    env!("CARGO_PKG_VERSION"),
    "\nCopyright the authors of vfind\nLicensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0\n"
);

/// As [`read`], from any arguments; the first is the program's name.
pub(super) fn given<F>(
    program: Program,
    tables: &[&str],
    arguments: Vec<OsString>,
) -> Result<Given<F>, Said>
where
    F: CommandFactory + FromArgMatches,
{
    let (name, arguments) = arguments.split_first().map_or(
        (OsString::from(program.name()), Vec::new()),
        |(name, rest)| (name.clone(), rest.to_vec()),
    );
    let arguments = spelled(program, arguments)?;
    let command = F::command().args_override_self(true);
    let parse = |arguments: Vec<OsString>| -> Result<ArgMatches, Said> {
        let all = std::iter::once(name.clone()).chain(arguments);
        Ok(command.clone().try_get_matches_from(all)?)
    };
    let mut matches = parse(arguments.clone())?;
    if matches.get_flag("copyright") {
        return Err(Said::Copyright);
    }
    if let Some(path) = matches.get_one::<std::path::PathBuf>("config") {
        let entries = from_file(path, &command, tables)?;
        let entries = without_conflicts(entries, &command, &matches);
        let from_file = entries.into_iter().map(|entry| entry.argument);
        matches = parse(from_file.chain(arguments).collect())?;
    }
    let shown = match matches.get_flag("check_config") {
        true => Some(show::toml(&command, &matches)?),
        false => None,
    };
    Ok(Given {
        flags: F::from_arg_matches(&matches)?,
        shown,
    })
}

/// Rewrites what a parser would take for something else, and refuses what is not supported. Options that print and end
/// leave no others: the original ignores them.
fn spelled(program: Program, arguments: Vec<OsString>) -> Result<Vec<OsString>, Said> {
    let options = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .count();
    let mut spelled = arguments;
    for argument in spelled.iter_mut().take(options) {
        match argument.to_str() {
            Some("-?") => *argument = "--help".into(),
            Some("-ev") => *argument = "--exit-on-vdl-error".into(),
            _ => {}
        }
    }
    let alone = |argument: &&OsString| {
        ["-c", "--copyright", "-h", "--help", "-v", "--version"]
            .iter()
            .any(|word| argument == word)
    };
    if let Some(only) = spelled.iter().take(options).find(alone) {
        return Ok(vec![only.clone()]);
    }
    let refused = spelled.iter().take(options).find_map(|argument| {
        // Not all of it needs to be text: the value may be a path.
        refusal(program, &argument.to_string_lossy())
    });
    match refused {
        Some(problem) => Err(Said::Problem(problem)),
        None => Ok(spelled),
    }
}

/// The entries of a configuration file, each of which the parser takes, and all of them together.
fn from_file(path: &Path, command: &Command, tables: &[&str]) -> Result<Vec<Entry>, Said> {
    let entries = file::entries(path, command, tables).map_err(Said::Problem)?;
    // What is scanned is said on the command line, and some options want it.
    let has_paths = command
        .get_arguments()
        .any(|argument| argument.get_id() == "paths");
    let paths = if has_paths { &["--", "x"][..] } else { &[] };
    let check = |arguments: Vec<&OsStr>| {
        let arguments = std::iter::once(OsStr::new("")).chain(arguments);
        let arguments = arguments.chain(paths.iter().map(OsStr::new));
        command.clone().try_get_matches_from(arguments)
    };
    for entry in &entries {
        check(vec![&entry.argument]).map_err(|error| {
            let problem = first_lines(&error);
            Said::Problem(format!("{}:{}: {problem}", path.display(), entry.line))
        })?;
    }
    let all = entries.iter().map(|entry| entry.argument.as_os_str());
    check(all.collect())
        .map_err(|error| Said::Problem(format!("{}: {}", path.display(), first_lines(&error))))?;
    Ok(entries)
}

/// Without what the command line says otherwise, in other words: who says `-6` there does not want the `listen` of the
/// file.
fn without_conflicts(entries: Vec<Entry>, command: &Command, matches: &ArgMatches) -> Vec<Entry> {
    let said: Vec<&str> = command
        .get_arguments()
        .map(|argument| argument.get_id().as_str())
        .filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
        .collect();
    let is_kept = |entry: &Entry| !said.iter().any(|said| conflict(command, said, &entry.id));
    entries.into_iter().filter(is_kept).collect()
}

/// Tells whether two options cannot be used together.
pub(super) fn conflict(command: &Command, one: &str, other: &str) -> bool {
    let names = |one: &str, other: &str| {
        let argument = command
            .get_arguments()
            .find(|argument| argument.get_id() == one);
        argument.is_some_and(|argument| {
            let conflicts = command.get_arg_conflicts_with(argument);
            conflicts.iter().any(|argument| argument.get_id() == other)
        })
    };
    names(one, other) || names(other, one)
}

impl From<clap::Error> for Said {
    fn from(error: clap::Error) -> Self {
        Self::Parser(error)
    }
}

impl From<String> for Said {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DaemonFlags, ScannerFlags};
    use super::*;

    fn problem<F: CommandFactory + FromArgMatches>(program: Program, arguments: &[&str]) -> String {
        let arguments = [&["program"], arguments].concat();
        let arguments = arguments.into_iter().map(OsString::from).collect();
        match given::<F>(program, &["svsp"], arguments) {
            Err(Said::Problem(problem)) => problem,
            Err(Said::Parser(error)) => first_lines(&error),
            Err(Said::Copyright) => "copyright".to_owned(),
            Ok(given) => given.shown.unwrap_or_default(),
        }
    }

    fn daemon(arguments: &[&str]) -> String {
        problem::<DaemonFlags>(Program::Vfindd, arguments)
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let option = format!("--config={}", file.path().display());
        (file, option)
    }

    /// The line for `key` in what `--check-config` prints.
    fn shown(text: &str, arguments: &[&str], key: &str) -> String {
        let (_file, option) = file(text);
        let all = daemon(&[&["--check-config", &option], arguments].concat());
        let mut lines = all.lines();
        let line = lines.find(|line| line.split(' ').any(|word| word == key));
        line.unwrap_or_else(|| panic!("{key} in {all}")).to_owned()
    }

    #[test]
    fn forms_that_look_like_others_are_what_they_are_in_the_original() {
        assert!(daemon(&["-?"]).starts_with("Scans files"));
        assert_eq!(daemon(&["-ev"]), "");
        assert_eq!(
            daemon(&["-c", "--nonsense", "--smtp-in-port=1"]),
            "copyright"
        );
        assert!(daemon(&["--nonsense", "-v"]).starts_with("vfindd "));
        let scanner = problem::<ScannerFlags>(Program::Vfind, &["--", "-sst"]);
        assert_eq!(scanner, "", "behind -- it is a name");
    }

    #[test]
    fn the_command_line_wins_for_one_value_and_adds_to_many() {
        let text = "svsp-port = 1\nlocalhost = true\nvdl = ['a', \"b\"]\nlimit-memory = '1G'\nlimit-deadline = 1.5\n";
        let rows: &[(&[&str], &str, &str)] = &[
            (&[], "svsp-port", "svsp-port = 1"),
            (&["--svsp-port=2"], "svsp-port", "svsp-port = 2"),
            (&[], "localhost", "localhost = true"),
            (&[], "IPv4", "IPv4 = false"),
            (&["--vdl", "c"], "vdl", r#"vdl = ["a", "b", "c"]"#),
            (&[], "limit-memory", r#"limit-memory = "1G""#),
            (&["--limit-memory=5"], "limit-memory", "limit-memory = 5"),
            (&[], "limit-deadline", r#"limit-deadline = "1.5""#),
            (&[], "limit-depth", "limit-depth = 32"),
            (&[], "pidfile", "# pidfile is not set"),
            // What cannot go together with what the command line says is not of the file.
            (
                &["--listen=svsp:[::1]:9"],
                "listen",
                r#"listen = ["svsp:[::1]:9"]"#,
            ),
            (
                &["--listen=svsp:[::1]:9"],
                "svsp-port",
                "# svsp-port is not set",
            ),
            (&["--listen=svsp:[::1]:9"], "localhost", "localhost = false"),
        ];
        for (arguments, key, line) in rows {
            assert_eq!(shown(text, arguments, key), *line, "{arguments:?}");
        }
    }

    #[test]
    fn a_table_is_for_its_listener() {
        let text = "allow = ['::1']\n[svsp]\nallow = ['10.0.0.0/8']\npolicy = ['limit=pass']\n";
        assert_eq!(
            shown(text, &[], "allow"),
            r#"allow = ["::1", "svsp:10.0.0.0/8"]"#
        );
        assert_eq!(
            shown(text, &[], "policy"),
            r#"policy = ["svsp:limit=pass"]"#
        );
    }

    #[test]
    fn what_is_shown_means_the_same_as_a_file() {
        for arguments in [
            &[][..],
            &[
                "--listen=svsp:127.0.0.1:0",
                "--deny=::1",
                "--quiet",
                "--user=root",
            ],
            &[
                "-6",
                "--svsp-port=0",
                "--policy=svsp:limit=pass",
                "--vdl=with \"quotes\" and \\",
            ],
        ] {
            let first = daemon(&[&["--check-config"], arguments].concat());
            assert!(first.contains("svsp-port"), "{first}");
            let (_file, option) = file(&first);
            assert_eq!(daemon(&["--check-config", &option]), first);
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line_and_what_is_allowed() {
        let rows = [
            (
                "\n\nsvsp-prot = 1",
                3,
                "no option is called 'svsp-prot' here: allowed are listen, svsp-port,",
            ),
            ("config = 'x'", 1, "no option is called 'config'"),
            ("help = true", 1, "no option is called 'help'"),
            (
                "foreground = true\nsvsp-port = 70000",
                2,
                "70000 is not in 0..=65535",
            ),
            ("svsp-port = true", 1, "'svsp-port' must be a number"),
            ("user = 5", 1, "'user' must be a string"),
            ("localhost = 'yes'", 1, "'localhost' must be true or false"),
            ("vdl = 'x'", 1, "'vdl' must be an array of strings"),
            ("vdl = [\n'x',\n5]", 3, "'vdl' must be an array of strings"),
            (
                "isolation = 'none'",
                1,
                "[possible values: process, thread]",
            ),
            ("[svsp]\nallow = ['x']", 2, "10.0.0.0/8"),
            ("[svsp]\nuser = 'x'", 2, "allowed are allow, deny, policy"),
            (
                "quiet = 1\n[clamd]\n",
                2,
                "no table is called 'clamd': allowed are svsp",
            ),
            ("quiet = 1\nquiet = 2", 2, "duplicate key"),
            ("quiet = ", 1, ""),
            ("threads = 0x10", 1, "'threads' must be a number"),
        ];
        for (text, line, word) in rows {
            let (file, option) = file(text);
            let problem = daemon(&[&option]);
            let place = format!("{}:{line}: ", file.path().display());
            assert!(
                problem.starts_with(&place) && problem.contains(word),
                "{text}: {problem}"
            );
            assert!(!problem.contains('\n'), "{problem}");
        }
        let (_file, option) = file("[svsp]\npolicy = ['limit=pass']");
        let scanner = problem::<ScannerFlags>(Program::Vfind, &["--check-config", &option]);
        assert!(scanner.contains("svsp:limit=pass"), "{scanner}");
        // What wants files to be named finds them on the command line.
        let rows = [
            ("tree = 'json'", "tree = \"json\""),
            ("tree = true", "tree = \"text\""),
            ("tree = false", "# tree is not set"),
            ("explain = 'X'", "explain = \"X\""),
            ("html = 2", "html = 2"),
            ("html = '2'", "html = 2"),
            ("quiet = true", "quiet = 1"),
            (
                "expand = ['zip,tar', 'gz']",
                "expand = [\"zip\", \"tar\", \"gz\"]",
            ),
            ("disable-expand = ['*']", "disable-expand = [\"*\"]"),
        ];
        for (text, line) in rows {
            let (_file, option) = file(text);
            let arguments = ["--check-config", &option, "/etc/hostname"];
            let said = problem::<ScannerFlags>(Program::Vfind, &arguments);
            assert!(said.lines().any(|said| said == line), "{text}: {said}");
        }
        let (_file, option) = file("listen = ['svsp:[::1]:9']\nsvsp-port = 9");
        assert!(daemon(&[&option]).contains("cannot be used with"));
        assert!(daemon(&["--config=/nonexistent"]).contains("/nonexistent: No such file"));
        let large = file(&"#".repeat(2 << 20));
        assert!(daemon(&[&large.1]).contains("larger than 1 MiB"));
    }
}
