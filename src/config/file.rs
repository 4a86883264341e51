//! The configuration file: TOML in which each key is the long name of an option.
//!
//! It is read into arguments, so that the parser of the command line is the one place that knows what a value may be. A
//! table with the name of a listener holds what is said for that one alone.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The largest configuration file in bytes; a name given by mistake may be that of a disk.
const LIMIT: u64 = 1024 * 1024;

/// Options that only print something, or lead here: they make no sense in a file.
const NOT_HERE: &[&str] = &[
    "check-config",
    "check-database",
    "config",
    "copyright",
    "generate",
    "help",
    "import-clamd-conf",
    "new-token",
    "tell",
    "version",
    "vlist",
];

/// Options that may differ by listener; their values take its name in front: `svsp:10.0.0.0/8`.
const BY_LISTENER: &[&str] = &["allow", "deny", "policy"];

/// One value of the file as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it stands, from 1.
    pub(super) line: usize,
    /// The parser's name of the option.
    pub(super) id: String,
    /// The argument that says the same.
    pub(super) argument: OsString,
}

/// Reads a file, by the options of `command`, with tables for these listeners.
///
/// # Errors
/// For people: file, line, and what is allowed.
pub(super) fn entries(
    path: &Path,
    command: &Command,
    tables: &[&str],
) -> Result<Vec<Entry>, String> {
    let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text, command, tables)
        .map_err(|(at, problem)| format!("{}:{}: {problem}", path.display(), line(&text, at)))
}

/// True for an option that a file may hold.
pub(super) fn is_for_files(argument: &Arg) -> bool {
    argument
        .get_long()
        .is_some_and(|name| !NOT_HERE.contains(&name))
}

/// The text of a configuration file.
///
/// # Errors
/// The system's, and that it is too large.
pub(super) fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(LIMIT + 1)
        .read_to_string(&mut text)?;
    match text.len() as u64 > LIMIT {
        true => Err(std::io::Error::other("larger than 1 MiB")),
        false => Ok(text),
    }
}

/// A problem with the byte where it is.
type Problem = (usize, String);

fn parse(text: &str, command: &Command, tables: &[&str]) -> Result<Vec<Entry>, Problem> {
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (at, error.message().lines().collect::<Vec<_>>().join(" "))
    })?;
    let mut found = Vec::new();
    for (key, value) in in_order(root.get_ref()) {
        let name: &str = key.get_ref();
        match value.get_ref() {
            DeValue::Table(table) if tables.contains(&name) => {
                for (key, value) in in_order(table) {
                    let option = option(key, command, |word| BY_LISTENER.contains(&word))?;
                    option_values(option, value, &format!("{name}:"), &mut found)?;
                }
            }
            DeValue::Table(_) => {
                let problem = match tables {
                    [] => format!("'{name}' is a table, and this program has none"),
                    _ => format!(
                        "no table is called '{name}': allowed are {}",
                        tables.join(", ")
                    ),
                };
                return Err((key.span().start, problem));
            }
            _ => option_values(option(key, command, |_| true)?, value, "", &mut found)?,
        }
    }
    Ok(found
        .into_iter()
        .map(|(at, id, argument)| Entry {
            line: line(text, at),
            id,
            argument,
        })
        .collect())
}

/// The entries of a table as they stand in the file, so that its first mistake is the one that is told.
fn in_order<'a, 'b>(
    table: &'a DeTable<'b>,
) -> Vec<(
    &'a Spanned<std::borrow::Cow<'b, str>>,
    &'a Spanned<DeValue<'b>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn option<'a>(
    key: &Spanned<std::borrow::Cow<'_, str>>,
    command: &'a Command,
    is_allowed: impl Fn(&str) -> bool,
) -> Result<&'a Arg, Problem> {
    let name: &str = key.get_ref();
    let allowed = command
        .get_arguments()
        .filter(|argument| is_for_files(argument) && argument.get_long().is_some_and(&is_allowed));
    let allowed: Vec<_> = allowed.collect();
    let names: Vec<_> = allowed
        .iter()
        .filter_map(|argument| argument.get_long())
        .collect();
    let found = allowed
        .iter()
        .find(|argument| argument.get_long() == Some(name));
    found.copied().ok_or_else(|| {
        let problem = format!(
            "no option is called '{name}' here: allowed are {}",
            names.join(", ")
        );
        (key.span().start, problem)
    })
}

/// Adds the arguments that say the same as `value`; each of its texts has `prefix` in front.
fn option_values(
    option: &Arg,
    value: &Spanned<DeValue<'_>>,
    prefix: &str,
    out: &mut Vec<(usize, String, OsString)>,
) -> Result<(), Problem> {
    let name = option.get_long().unwrap_or_default();
    let id = option.get_id().to_string();
    let at = value.span().start;
    let wanted = |what: &str| (at, format!("'{name}' must be {what}"));
    let mut one = |value: &Spanned<DeValue<'_>>, what: &str| {
        let text = text(option, value.get_ref())
            .ok_or_else(|| (value.span().start, format!("'{name}' must be {what}")))?;
        out.push((
            value.span().start,
            id.clone(),
            format!("--{name}={prefix}{text}").into(),
        ));
        Ok(())
    };
    match (option.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => {
            out.push((at, id, format!("--{name}").into()))
        }
        (ArgAction::SetTrue, DeValue::Boolean(false)) => {}
        (ArgAction::SetTrue, _) => return Err(wanted("true or false")),
        // What may stand without a value on the command line, too.
        (ArgAction::Set, DeValue::Boolean(said)) if needs_no_value(option) => {
            if *said {
                out.push((at, id, format!("--{name}").into()));
            }
        }
        (ArgAction::Append, DeValue::Array(items)) => {
            for item in items.iter() {
                one(item, "an array of strings")?;
            }
        }
        (ArgAction::Append, _) => return Err(wanted("an array of strings")),
        _ if takes_numbers(option) => one(value, "a number")?,
        _ => one(value, "a string")?,
    }
    Ok(())
}

fn needs_no_value(option: &Arg) -> bool {
    let counts = option.get_num_args();
    counts.is_some_and(|counts| counts.min_values() == 0)
}

/// Numbers are numbers where the option's values are; everything else is a string. What a string holds is the
/// parser's to check, as `"16G"` for a size.
fn text(option: &Arg, value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if takes_numbers(option) && number.radix() == 10 => {
            Some(number.as_str().to_owned())
        }
        DeValue::Float(number) if takes_numbers(option) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// True if the values of an option are numbers, by the name that its help gives them.
pub(super) fn takes_numbers(option: &Arg) -> bool {
    let names = option.get_value_names().unwrap_or_default();
    names
        .iter()
        .flat_map(|name| name.split('|'))
        .any(|name| ["LEVEL", "N", "PORT", "SECONDS", "SIZE"].contains(&name))
}

fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
