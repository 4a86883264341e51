//! The tokens of a file with its macros expanded.
//!
//! A macro's value is kept as tokens. Its use puts a frame on a stack, and tokens come from the uppermost frame until it
//! is empty, so that nesting costs no stack of ours. What macros may expand to is counted, token by token and macro by macro,
//! for each rule and for the whole file: nested definitions double with each line.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::rc::Rc;

use super::flaw::Flaw;
use super::lexer::Lexer;
use super::token::{Definition, Kind, Place, Token};
use crate::path::printable;

/// What the macros of one rule may expand to: tokens, and 64 bytes of a string count as one more.
const RULE_LIMIT: u64 = 100_000;

/// The same for one file.
const FILE_LIMIT: u64 = 10_000_000;

pub(super) struct Tokens<'t> {
    lexer: Lexer<'t>,
    /// A token that was looked at and is still to be taken.
    ahead: Option<Token<'t>>,
    macros: HashMap<&'t [u8], Macro<'t>>,
    /// The macros that are being expanded, each used by the one below it.
    frames: Vec<Frame<'t>>,
    /// Where the lowest of them is used.
    used: Option<Place>,
    /// What this rule's macros came to so far.
    of_rule: u64,
    /// What all macros came to so far.
    of_file: u64,
}

struct Macro<'t> {
    /// `None` for a definition that was complained about.
    value: Option<Rc<[Token<'t>]>>,
    line: u32,
    /// It is on the stack: to use it again would never end.
    expands: bool,
}

struct Frame<'t> {
    name: &'t [u8],
    value: Rc<[Token<'t>]>,
    next: usize,
    line: u32,
}

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            lexer: Lexer::new(text),
            ahead: None,
            macros: HashMap::new(),
            frames: Vec::new(),
            used: None,
            of_rule: 0,
            of_file: 0,
        }
    }

    /// Looks at the next token.
    pub(super) fn peek(&mut self) -> &Token<'t> {
        let token = self.take();
        self.ahead.insert(token)
    }

    /// The next token, macros expanded.
    pub(super) fn take(&mut self) -> Token<'t> {
        match self.ahead.take() {
            Some(token) => token,
            None => self.next(),
        }
    }

    /// The next token if it is this one.
    pub(super) fn accept(&mut self, kind: &Kind<'_>) -> bool {
        let there = self.peek().kind == *kind;
        if there {
            self.ahead = None;
        }
        there
    }

    /// Puts a token back.
    pub(super) fn put_back(&mut self, token: Token<'t>) {
        self.ahead = Some(token);
    }

    /// The next token of the file itself: macros are left as they are.
    pub(super) fn take_raw(&mut self) -> Token<'t> {
        match self.ahead.take() {
            Some(token) => token,
            None => self.lexer.token(),
        }
    }

    /// Where what follows the last token stands.
    pub(super) fn place(&self) -> Place {
        self.lexer.place()
    }

    /// The name of a rule, directly behind its colon.
    pub(super) fn name(&mut self) -> Result<&'t [u8], Flaw> {
        let place = self.lexer.place();
        self.lexer.name().map_err(|reason| Flaw::new(place, reason))
    }

    /// Begins a rule: what its macros expand to is counted from here.
    pub(super) fn begin_rule(&mut self) {
        self.of_rule = 0;
    }

    /// Leaves all macros: what follows is the file's own next token. A token that came out of a macro is dropped.
    pub(super) fn leave_macros(&mut self) {
        while let Some(frame) = self.frames.pop() {
            self.release(frame.name);
        }
        self.ahead = self.ahead.take().filter(|token| token.defined.is_none());
    }

    /// Keeps a macro. It replaces one of the same name for the rules that follow.
    ///
    /// # Errors
    /// A value that is none; whoever uses the macro is told, too.
    pub(super) fn define(&mut self, definition: &Definition<'t>) -> Result<(), Flaw> {
        let line = definition.place.line;
        let value = value(definition);
        self.macros.insert(
            definition.name,
            Macro {
                value: value.as_ref().ok().cloned(),
                line,
                expands: false,
            },
        );
        value.map(drop)
    }

    /// The line in which a macro of this name is defined.
    pub(super) fn defined(&self, name: &[u8]) -> Option<u32> {
        self.macros.get(name).map(|one| one.line)
    }

    fn next(&mut self) -> Token<'t> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                let token = self.lexer.token();
                match token.kind {
                    Kind::Macro(name) => {
                        self.used = Some(token.place);
                        if let Err(reason) = self.expand(name) {
                            return bad(&token, reason);
                        }
                        continue;
                    }
                    _ => return token,
                }
            };
            let Some(token) = frame.value.get(frame.next) else {
                let name = frame.name;
                self.frames.pop();
                self.release(name);
                continue;
            };
            frame.next += 1;
            let mut token = token.clone();
            token.defined = Some(frame.line);
            let weight = match &token.kind {
                Kind::Text(text) => 1 + text.len() as u64 / 64,
                _ => 1,
            };
            token.place = self.used.unwrap_or(token.place);
            let expanded = match token.kind {
                Kind::Macro(name) => self.charge(weight).and_then(|()| self.expand(name)),
                _ => match self.charge(weight) {
                    Ok(()) => return token,
                    Err(reason) => Err(reason),
                },
            };
            if let Err(reason) = expanded {
                return bad(&token, reason);
            }
        }
    }

    fn charge(&mut self, weight: u64) -> Result<(), String> {
        self.of_rule += weight;
        self.of_file += weight;
        if self.of_file > FILE_LIMIT {
            return Err(format!(
                "the macros of this file expand to more than {FILE_LIMIT} tokens"
            ));
        }
        match self.of_rule > RULE_LIMIT {
            true => Err(format!(
                "the macros of this rule expand to more than {RULE_LIMIT} tokens"
            )),
            false => Ok(()),
        }
    }

    fn expand(&mut self, name: &'t [u8]) -> Result<(), String> {
        let shown = printable(name, 40);
        let Some(known) = self.macros.get_mut(name) else {
            return Err(format!(
                "the macro `${shown}` is not defined above this rule in this file"
            ));
        };
        if known.expands {
            return Err(format!("the macro `${shown}` is used in its own value"));
        }
        let Some(value) = &known.value else {
            return Err(format!(
                "the macro `${shown}` was not understood in line {}",
                known.line
            ));
        };
        known.expands = true;
        let frame = Frame {
            name,
            value: Rc::clone(value),
            next: 0,
            line: known.line,
        };
        self.frames.push(frame);
        Ok(())
    }

    fn release(&mut self, name: &[u8]) {
        if let Some(known) = self.macros.get_mut(name) {
            known.expands = false;
        }
    }
}

/// The tokens of a definition's value.
fn value<'t>(definition: &Definition<'t>) -> Result<Rc<[Token<'t>]>, Flaw> {
    let mut lexer = Lexer::of_value(definition);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token();
        match &token.kind {
            Kind::End => return Ok(tokens.into()),
            Kind::Bad(_) => return Err(Flaw::unexpected(&token)),
            Kind::Hash | Kind::Colon | Kind::Define(_) => {
                let reason = format!("{} in a macro: it holds a part of a rule", token.kind);
                return Err(Flaw::at(&token, reason));
            }
            _ => tokens.push(token),
        }
    }
}

fn bad<'t>(token: &Token<'t>, reason: String) -> Token<'t> {
    Token {
        kind: Kind::Bad(reason),
        ..token.clone()
    }
}
