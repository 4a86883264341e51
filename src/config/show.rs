//! What `--check-config` prints: every option with the value that holds, in the form of a configuration file.
#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::arguments::conflict;
use super::file::{is_for_files, takes_numbers};

/// The configuration as TOML. As a configuration file it means the same.
///
/// # Errors
/// For people: a value that is no text cannot stand in such a file.
pub(super) fn toml(command: &Command, matches: &ArgMatches) -> Result<String, String> {
    let version = command.get_version().unwrap_or_default();
    let mut out = format!("# {} {version}\n", command.get_name());
    for option in command
        .get_arguments()
        .filter(|option| is_for_files(option))
    {
        let name = option.get_long().unwrap_or_default();
        let line = match line(option, command, matches)? {
            Some(value) => format!("{name} = {value}\n"),
            None => format!("# {name} is not set\n"),
        };
        out.push_str(&line);
    }
    Ok(out)
}

fn line(option: &Arg, command: &Command, matches: &ArgMatches) -> Result<Option<String>, String> {
    let id = option.get_id().as_str();
    let is_said = |id: &str| {
        matches
            .value_source(id)
            .is_some_and(|source| source != ValueSource::DefaultValue)
    };
    // A default that something else takes the place of does not hold, and would be a contradiction in a file.
    let is_replaced = || {
        let mut others = command.get_arguments().map(|other| other.get_id().as_str());
        others.any(|other| is_said(other) && conflict(command, id, other))
    };
    if let ArgAction::SetTrue = option.get_action() {
        return Ok(Some(matches.get_flag(id).to_string()));
    }
    let values: Vec<OsString> = matches
        .get_raw(id)
        .map(|values| values.map(OsString::from).collect())
        .unwrap_or_default();
    let texts = values.iter().map(|value| text(option, value));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    Ok(match option.get_action() {
        ArgAction::Append => Some(format!("[{}]", texts.join(", "))),
        _ if !is_said(id) && is_replaced() => None,
        _ => texts.into_iter().next_back(),
    })
}

fn text(option: &Arg, value: &OsString) -> Result<String, String> {
    let text = value.to_str().ok_or_else(|| {
        let name = option.get_long().unwrap_or_default();
        format!(
            "--{name}={}: no UTF-8, so it cannot stand in a file",
            value.display()
        )
    })?;
    // Other ways to write a number may be none in TOML.
    let is_number = takes_numbers(option)
        && text
            .parse::<u64>()
            .is_ok_and(|number| number.to_string() == text);
    Ok(match is_number {
        true => text.to_owned(),
        false => toml::Value::String(text.to_owned()).to_string(),
    })
}
