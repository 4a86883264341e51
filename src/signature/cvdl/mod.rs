//! CVDL, the virus description language of CyberSoft's vfind: `:NAME, "abc" AND NOT ~"def", \x00 #`.
//!
//! docs/signatures/cvdl.md has the language. A file is read in one pass, each rule by itself: `lexer` → `macros` (tokens with
//! macros expanded) → `expression` and `element` → `sequence` (patterns). After an error the rest of the file
//! loads, from behind the rule's `#` or from the next line that starts with `:`.
//!
//! Files are hostile: what a rule may hold is counted while it is read, and the work is in proportion to the bytes.
#![forbid(unsafe_code)]

mod element;
mod expression;
mod flaw;
mod lexer;
mod macros;
mod sequence;
mod token;
mod types;

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

use super::rule::{Rule, Test, TypeList};
use super::{Format, Intake, Item, Meaning, Notes, RemarkKind, Scope, Signature, named};
use crate::event::{EngineWord, SignatureName};
use expression::{Expression, Parsed};
use flaw::Flaw;
use macros::Tokens;
use token::{Definition, Kind, Place, Token};
use types::types;

/// The row of CVDL.
#[derive(Debug)]
pub struct Cvdl;

/// The row of CVDL that is checked more strictly (`--dup-check`): names that stand twice and gaps at the start of a
/// sequence are complaints.
#[derive(Debug)]
pub struct Strict;

impl Format for Cvdl {
    fn name(&self) -> &'static str {
        "cvdl"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["cvdl", "vdl"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        parse(text, source, Mode::Usual, out)
    }
}

impl Format for Strict {
    fn name(&self) -> &'static str {
        "cvdl-strict"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        parse(text, source, Mode::Strict, out)
    }
}

/// What is refused although it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Usual,
    Strict,
}

/// The largest file in bytes; people write them.
const TEXT_LIMIT: u64 = 64 * 1024 * 1024;

/// Complaints that are made about one file; of more, the number is said. Each holds a piece of the file.
const COMPLAINTS_LIMIT: u32 = 1000;

fn parse(text: &mut dyn BufRead, source: &str, mode: Mode, out: &mut dyn Intake) -> io::Result<()> {
    let mut whole = Vec::new();
    text.take(TEXT_LIMIT + 1).read_to_end(&mut whole)?;
    let notes = Notes { source };
    if whole.len() as u64 > TEXT_LIMIT {
        notes.complain(out, 1, "a CVDL file of more than 64 MiB");
        return Ok(());
    }
    let mut file = File {
        text: &whole,
        tokens: Tokens::new(&whole),
        mode,
        types: TypeList::default(),
        names: HashSet::new(),
        notes,
        complaints: 0,
        last: 1,
        out,
    };
    while file.next() {}
    file.close();
    Ok(())
}

/// A file, as far as it was read.
struct File<'t, 'o> {
    text: &'t [u8],
    tokens: Tokens<'t>,
    mode: Mode,
    /// What the rules that follow are for.
    types: TypeList,
    /// The names so far, where they must not stand twice.
    names: HashSet<SignatureName>,
    notes: Notes<'o>,
    complaints: u32,
    /// The line of the last complaint.
    last: u32,
    out: &'o mut dyn Intake,
}

impl<'t> File<'t, '_> {
    /// Reads what comes next: a rule, types, a macro, or what is none of them; false at the end.
    fn next(&mut self) -> bool {
        self.tokens.begin_rule();
        let token = self.tokens.take();
        match token.kind {
            Kind::End => return false,
            Kind::Colon => {
                if let Err(flaw) = self.rule(token.place) {
                    self.complain(&flaw);
                    self.recover();
                }
            }
            Kind::Define(definition) => {
                if let Err(flaw) = self.define(&definition, token.place) {
                    self.complain(&flaw);
                }
            }
            Kind::Less => {
                if let Err(flaw) = self.file_types(token.place) {
                    self.complain(&flaw);
                    self.recover();
                }
            }
            _ => {
                self.complain(&misplaced(&token));
                if !matches!(token.kind, Kind::Hash) {
                    self.recover();
                }
            }
        }
        true
    }

    /// A rule, behind its colon.
    fn rule(&mut self, start: Place) -> Result<(), Flaw> {
        let place = self.tokens.place();
        let name = self.tokens.name()?;
        let name = named(EngineWord::Cvdl, name).map_err(|reason| Flaw::new(place, reason))?;
        if self.names.contains(&name) {
            let reason = format!("the name `{}` stands for two rules", name.name);
            return Err(Flaw::new(place, reason));
        }
        let mut scope = Scope::default();
        let mut versions = Vec::new();
        if self.tokens.accept(&Kind::Less) {
            let own = types(&mut self.tokens)?;
            versions = own.versions;
            scope.types = own.types.unwrap_or_else(|| self.types.clone());
        } else {
            scope.types.clone_from(&self.types);
        }
        let parsed = Expression::read(&mut self.tokens, start, self.mode)?;
        if self.mode == Mode::Strict {
            self.names.insert(name.clone());
        }
        let Parsed {
            condition,
            patterns,
            bare,
        } = parsed;
        if let Some(place) = bare {
            let warning = Flaw::new(
                place,
                "`|` binds weaker than the comma; put its alternatives into parentheses",
            );
            let text = warning.explain(self.text);
            self.remark(place, RemarkKind::Warning(text));
        }
        for version in versions {
            let name = name.name.clone();
            self.remark(place, RemarkKind::RuleVersion { name, version });
        }
        self.out.take(Item::Signature(Signature {
            name,
            meaning: Meaning::Rule(Rule {
                tests: patterns.into_iter().map(Test::Pattern).collect(),
                condition,
                scope,
            }),
        }));
        Ok(())
    }

    fn define(&mut self, definition: &Definition<'t>, place: Place) -> Result<(), Flaw> {
        let before = self.tokens.defined(definition.name);
        self.tokens.define(definition)?;
        match before {
            Some(line) if self.mode == Mode::Strict => Err(Flaw::new(
                place,
                format!("the macro is defined a second time, after line {line}"),
            )),
            _ => Ok(()),
        }
    }

    /// Types for the rules that follow, behind their `<`.
    fn file_types(&mut self, place: Place) -> Result<(), Flaw> {
        // If they are not understood, the rules that follow are for every object: rather one finding too many.
        let before = std::mem::take(&mut self.types);
        let own = types(&mut self.tokens)?;
        match own.types {
            Some(types) => {
                self.types = types.clone();
                self.remark(place, RemarkKind::Types(types));
            }
            None => self.types = before,
        }
        for version in own.versions {
            self.remark(place, RemarkKind::FileVersion(version));
        }
        Ok(())
    }

    /// Leaves behind everything up to a `#`, or up to a line that starts a rule or a definition.
    fn recover(&mut self) {
        self.tokens.leave_macros();
        loop {
            // Macros that cannot be expanded any more are no error of their own here.
            let token = self.tokens.take_raw();
            match token.kind {
                Kind::End | Kind::Hash => return,
                Kind::Colon | Kind::Define(_) if token.leads => {
                    self.tokens.put_back(token);
                    return;
                }
                // Perhaps types for the rules that follow: as they are not known, there are none.
                Kind::Less if token.leads => self.types = TypeList::default(),
                _ => {}
            }
        }
    }

    fn complain(&mut self, flaw: &Flaw) {
        self.complaints = self.complaints.saturating_add(1);
        self.last = flaw.place.line;
        if self.complaints <= COMPLAINTS_LIMIT {
            let told = flaw.explain(self.text);
            self.notes.complain(self.out, flaw.place.line, told);
        }
    }

    fn remark(&mut self, place: Place, kind: RemarkKind) {
        self.notes.remark(self.out, place.line, kind);
    }

    /// Says how many complaints were not made.
    fn close(&mut self) {
        if let Some(more @ 1..) = self.complaints.checked_sub(COMPLAINTS_LIMIT) {
            let reason = format!("{more} further complaints about this file are not listed");
            self.notes.complain(self.out, self.last, reason);
        }
    }
}

/// What stands between the rules and is none.
fn misplaced(token: &Token<'_>) -> Flaw {
    match &token.kind {
        Kind::Bad(_) => Flaw::unexpected(token),
        kind => Flaw::at(
            token,
            format!("unexpected {kind} outside of a rule, which is `:NAME, expression #`"),
        ),
    }
}

#[cfg(test)]
mod tests;
