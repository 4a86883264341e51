//! What the options that name paths say: a path, made absolute, or a pattern for absolute paths.
//!
//! What could never match anything is refused, for somebody relies on it; and so is what names nothing, which would be
//! taken for everything.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, absolute};

use crate::request::Exclude;

/// An entry of `--noscan`: files are known by their absolute names.
///
/// # Errors
/// For people: it names nothing, or it is a pattern that no absolute name can match.
pub(super) fn noscan(text: &[u8]) -> Result<Vec<u8>, String> {
    let refused = |why: &str| format!("--noscan={}: {why}", shown(text));
    if text.is_empty() {
        return Err(refused(NAMELESS));
    }
    if is_for_whole_paths(text) {
        return Ok(text.to_vec());
    }
    if has_pattern_signs(text) {
        let why = "a pattern is held against absolute names, so it begins with / or *";
        return Err(refused(why));
    }
    let path = absolute(OsStr::from_bytes(text)).map_err(|error| refused(&error.to_string()))?;
    Ok(path.into_os_string().into_vec())
}

/// An entry of `--include`: a last name, or what is for a whole path as that of `--noscan` is. What has a slash is no last
/// name.
///
/// # Errors
/// For people: it names nothing, or it is relative to a folder that cannot be told.
pub(super) fn include(text: &[u8]) -> Result<Vec<u8>, String> {
    let refused = |why: &str| format!("--include={}: {why}", shown(text));
    if text.is_empty() {
        return Err(refused(NAMELESS));
    }
    let is_last_name = !text.contains(&b'/') && !matches!(text, b"." | b"..");
    if is_last_name || is_for_whole_paths(text) {
        return Ok(text.to_vec());
    }
    let path = absolute(OsStr::from_bytes(text)).map_err(|error| refused(&error.to_string()))?;
    if !Exclude::is_pattern(text) {
        return Ok(path.into_os_string().into_vec());
    }
    let here = std::env::current_dir().map_err(|error| refused(&error.to_string()))?;
    match (
        here.to_str(),
        path.strip_prefix(&here).ok().and_then(Path::to_str),
    ) {
        // The folder's own name is no pattern.
        (Some(here), Some(inside)) => {
            Ok(format!("{}/{inside}", Exclude::literal(here)).into_bytes())
        }
        _ => Err(refused(
            "the name of this folder is not UTF-8; begin with / or *",
        )),
    }
}

const NAMELESS: &str = "it names nothing";

fn is_for_whole_paths(text: &[u8]) -> bool {
    text.starts_with(b"/") || text.starts_with(b"*") && Exclude::is_pattern(text)
}

/// True for what was meant as a pattern, even if it is none.
fn has_pattern_signs(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

fn shown(text: &[u8]) -> std::ffi::os_str::Display<'_> {
    OsStr::from_bytes(text).display()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(rest: &str) -> Result<String, String> {
        let here = std::env::current_dir().unwrap();
        Ok(format!("{}/{rest}", here.display()))
    }

    #[test]
    fn what_can_match_is_absolute_or_a_pattern_for_all_of_a_path() {
        type Row<'a> = (&'a str, Result<String, String>, Result<String, String>);
        let same = |text: &str| Ok(text.to_owned());
        let never = |why: &str| Err(why.to_owned());
        let both = |text: &'static str| (text, same(text), same(text));
        let pattern = "begins with / or *";
        let rows: &[Row<'_>] = &[
            both("/srv/a"),
            both("/srv/[ab"),
            both("*.iso"),
            both("*/t/[ab]"),
            ("", never("names nothing"), never("names nothing")),
            ("a", here("a"), same("a")),
            ("t/1/e", here("t/1/e"), here("t/1/e")),
            ("./t/1/e", here("t/1/e"), here("t/1/e")),
            ("./e", here("e"), here("e")),
            (
                ".",
                here("").map(|path| path[..path.len() - 1].to_owned()),
                here("").map(|path| path[..path.len() - 1].to_owned()),
            ),
            ("irus*", never(pattern), same("irus*")),
            ("[x", never(pattern), same("[x")),
            ("*[", never(pattern), same("*[")),
            ("1/*", never(pattern), here("1/*")),
            ("./1/*", never(pattern), here("1/*")),
        ];
        let check = |text: &str,
                     made: Result<Vec<u8>, String>,
                     expected: &Result<String, String>| match (made, expected) {
            (Ok(made), Ok(expected)) => assert_eq!(made, expected.as_bytes(), "{text}"),
            (Err(made), Err(why)) => {
                assert!(
                    made.contains(why) && made.contains(&format!("={text}: ")),
                    "{made}"
                );
            }
            (made, expected) => panic!("{text}: {made:?}, not {expected:?}"),
        };
        for (text, left_out, included) in rows {
            check(text, noscan(text.as_bytes()), left_out);
            check(text, include(text.as_bytes()), included);
        }
    }
}
