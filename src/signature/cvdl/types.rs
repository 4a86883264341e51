//! `<"text", "HTML">`: which objects rules are for, and the versions of files and rules.
#![forbid(unsafe_code)]

use super::flaw::Flaw;
use super::macros::Tokens;
use super::token::{Kind, Token};
use crate::path::printable;
use crate::signature::rule::TypeList;

/// The most types of one list: each rule has a copy.
const TYPES_LIMIT: usize = 64;

/// The longest type or version in bytes.
const WORD_LIMIT: usize = 256;

/// What begins a version.
const VERSION: &str = "version=";

/// What a list says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Types {
    /// `None` where only versions are listed: what held before still does.
    pub(super) types: Option<TypeList>,
    pub(super) versions: Vec<String>,
}

/// Reads a list, behind its `<`.
pub(super) fn types(tokens: &mut Tokens<'_>) -> Result<Types, Flaw> {
    let mut list = TypeList {
        words: Vec::new(),
        excluded: tokens.accept(&Kind::Bang),
    };
    let mut versions = Vec::new();
    if !list.excluded && tokens.accept(&Kind::Greater) {
        return Ok(Types {
            types: Some(list),
            versions,
        });
    }
    loop {
        let token = tokens.take();
        let word = word(&token);
        let word = word.inspect_err(|_| tokens.put_back(token.clone()))?;
        match word.strip_prefix(VERSION) {
            Some(version) => versions.push(version.to_owned()),
            None => list.words.push(word),
        }
        if list.words.len() + versions.len() > TYPES_LIMIT {
            return Err(Flaw::at(&token, format!("more than {TYPES_LIMIT} types")));
        }
        let next = tokens.take();
        match next.kind {
            Kind::Comma => {}
            Kind::Greater => break,
            _ => {
                let flaw = Flaw::at(
                    &next,
                    format!(
                        "unexpected {} in a list of types, which is `<\"text\", \"HTML\">`",
                        next.kind
                    ),
                );
                tokens.put_back(next);
                return Err(flaw);
            }
        }
    }
    Ok(Types {
        types: (!list.words.is_empty()).then_some(list),
        versions,
    })
}

fn word(token: &Token<'_>) -> Result<String, Flaw> {
    match &token.kind {
        Kind::Text(text) if text.len() > WORD_LIMIT => Err(Flaw::at(
            token,
            format!("a type of more than {WORD_LIMIT} bytes"),
        )),
        Kind::Text(text) => Ok(printable(text, WORD_LIMIT)),
        Kind::Bad(_) => Err(Flaw::unexpected(token)),
        kind => Err(Flaw::at(
            token,
            format!("unexpected {kind}; a type is a string: `<\"text\">`, `<!\"HTML\">`"),
        )),
    }
}
