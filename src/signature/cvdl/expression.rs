//! The expression of a rule: logic over sequences of elements.
//!
//! ```text
//! or    = xor *( OR xor )        not     = NOT not | choice
//! xor   = and *( XOR and )       choice  = row *( "|" row )
//! and   = not *( AND not )       row     = element *( "," element )
//! ```
//!
//! Parentheses may hold logic or a part of a sequence; which of the two is known when they are closed. Elements are read in
//! `element`.
#![forbid(unsafe_code)]

use super::Mode;
use super::flaw::Flaw;
use super::macros::Tokens;
use super::sequence::{self, Element, PRODUCT_LIMIT, Sequence};
use super::token::{Kind, Place, Token};
use crate::signature::condition::Condition;
use crate::signature::pattern::Pattern;

/// Parentheses and NOTs inside each other. Each costs stack here and in every evaluation; people nest a handful.
const DEPTH_LIMIT: u32 = 64;

/// The most sequences of one rule.
const PATTERNS_LIMIT: usize = 16_384;

/// The most elements of one rule.
const ELEMENTS_LIMIT: usize = 65_536;

/// A part of a rule: as long as it is a mere sequence, a comma may still make it longer.
pub(super) enum Term {
    Condition(Condition),
    /// With the place where it begins.
    Sequence(Sequence, Place),
}

/// Reads the expression of one rule.
pub(super) struct Expression<'p, 't> {
    pub(super) tokens: &'p mut Tokens<'t>,
    mode: Mode,
    /// Where the rule begins.
    start: Place,
    depth: u32,
    elements: usize,
    /// How many more patterns alternatives may come to.
    room: usize,
    patterns: Vec<Pattern>,
    /// Where an alternative stands without parentheses.
    bare: Option<Place>,
}

/// What an expression says.
pub(super) struct Parsed {
    pub(super) condition: Condition,
    pub(super) patterns: Vec<Pattern>,
    /// Where an alternative stands without parentheses: what it binds is easily mistaken.
    pub(super) bare: Option<Place>,
}

impl<'p, 't> Expression<'p, 't> {
    /// Reads an expression and the `#` behind it. The rule began at `start`.
    pub(super) fn read(
        tokens: &'p mut Tokens<'t>,
        start: Place,
        mode: Mode,
    ) -> Result<Parsed, Flaw> {
        let mut expression = Self {
            tokens,
            mode,
            start,
            depth: 0,
            elements: 0,
            room: PRODUCT_LIMIT - 1,
            patterns: Vec::new(),
            bare: None,
        };
        let term = expression.or()?;
        // Before the `#` is taken: the recovery from an error looks for it.
        let condition = expression.settle(term)?;
        expression.expect(&Kind::Hash)?;
        Ok(Parsed {
            condition,
            patterns: expression.patterns,
            bare: expression.bare,
        })
    }

    fn or(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::Or, Self::xor, Condition::Or)
    }

    fn xor(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::Xor, Self::and, Condition::Xor)
    }

    fn and(&mut self) -> Result<Term, Flaw> {
        self.chain(&Kind::And, Self::not, Condition::And)
    }

    fn chain(
        &mut self,
        operator: &Kind<'_>,
        operand: fn(&mut Self) -> Result<Term, Flaw>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Term, Flaw> {
        let first = operand(self)?;
        if !self.tokens.accept(operator) {
            return Ok(first);
        }
        let mut operands = vec![self.settle(first)?];
        loop {
            let next = operand(self)?;
            operands.push(self.settle(next)?);
            if !self.tokens.accept(operator) {
                return Ok(Term::Condition(join(operands)));
            }
        }
    }

    fn not(&mut self) -> Result<Term, Flaw> {
        if !self.tokens.accept(&Kind::Not) {
            return self.choice();
        }
        let inner = self.deeper(Self::not)?;
        let inner = self.settle(inner)?;
        Ok(Term::Condition(Condition::Not(Box::new(inner))))
    }

    /// Alternatives, or one.
    fn choice(&mut self) -> Result<Term, Flaw> {
        let first = self.row()?;
        let bar = match self.tokens.peek() {
            token if token.kind == Kind::Bar => token.place,
            _ => return Ok(first),
        };
        let mut choices = Vec::new();
        let (row, place) = self.plain(first, bar)?;
        choices.push(row);
        while self.tokens.accept(&Kind::Bar) {
            let next = self.row()?;
            choices.push(self.plain(next, bar)?.0);
        }
        self.bare.get_or_insert(bar);
        self.count(1, place)?;
        Ok(Term::Sequence(vec![Element::Either(choices)], place))
    }

    fn row(&mut self) -> Result<Term, Flaw> {
        let mut term = self.item()?;
        while self.tokens.peek().kind == Kind::Comma {
            let comma = self.tokens.take();
            let (mut first, place) = self.plain(term, comma.place)?;
            let next = self.item()?;
            first.extend(self.plain(next, comma.place)?.0);
            term = Term::Sequence(first, place);
        }
        Ok(term)
    }

    /// What a comma or bar can join.
    fn plain(&self, term: Term, operator: Place) -> Result<(Sequence, Place), Flaw> {
        match term {
            Term::Sequence(sequence, place) => Ok((sequence, place)),
            Term::Condition(_) => Err(Flaw::new(
                operator,
                "a condition cannot be part of a sequence; alternatives at one place are `(\"a\" | \"b\")`",
            )),
        }
    }

    fn item(&mut self) -> Result<Term, Flaw> {
        let token = self.tokens.take();
        if token.kind != Kind::Open {
            let place = token.place;
            let elements = self.element(token)?;
            self.count(elements.len(), place)?;
            return Ok(Term::Sequence(elements, place));
        }
        let inner = self.deeper(Self::enclosed)?;
        self.expect(&Kind::Close)?;
        Ok(inner)
    }

    /// What stands behind an open parenthesis: alternatives directly, or anything.
    fn enclosed(&mut self) -> Result<Term, Flaw> {
        let bare = self.bare;
        let term = self.or()?;
        // Alternatives that fill their parentheses are what parentheses are for.
        if let (Term::Sequence(..), Kind::Close) = (&term, &self.tokens.peek().kind) {
            self.bare = bare;
        }
        Ok(term)
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<Term, Flaw>) -> Result<Term, Flaw> {
        if self.depth == DEPTH_LIMIT {
            let reason = format!("nested more than {DEPTH_LIMIT} deep");
            return Err(Flaw::at(self.tokens.peek(), reason));
        }
        self.depth += 1;
        let term = inner(self)?;
        self.depth -= 1;
        Ok(term)
    }

    /// Makes a condition of a term that no comma can follow any more.
    fn settle(&mut self, term: Term) -> Result<Condition, Flaw> {
        let (sequence, place) = match term {
            Term::Condition(condition) => return Ok(condition),
            Term::Sequence(sequence, place) => (sequence, place),
        };
        let strict = self.mode == Mode::Strict;
        let patterns = sequence::patterns(sequence, strict, &mut self.room)
            .map_err(|reason| Flaw::new(place, reason))?;
        if self.patterns.len() + patterns.len() > PATTERNS_LIMIT {
            let reason = format!("a rule of more than {PATTERNS_LIMIT} patterns");
            return Err(Flaw::new(place, reason));
        }
        let first = self.patterns.len();
        self.patterns.extend(patterns);
        let mut tests = (first..self.patterns.len()).map(Condition::Test);
        Ok(match (tests.next(), tests.len()) {
            (Some(one), 0) => one,
            (one, _) => Condition::Or(one.into_iter().chain(tests).collect()),
        })
    }

    fn count(&mut self, elements: usize, place: Place) -> Result<(), Flaw> {
        self.elements += elements;
        match self.elements > ELEMENTS_LIMIT {
            true => Err(Flaw::new(
                place,
                format!("a rule of more than {ELEMENTS_LIMIT} elements"),
            )),
            false => Ok(()),
        }
    }

    pub(super) fn expect(&mut self, kind: &Kind<'_>) -> Result<(), Flaw> {
        let token = self.tokens.take();
        match token.kind == *kind {
            true => Ok(()),
            false => Err(self.refuse(token, Some(kind))),
        }
    }

    /// Says what is wrong with a token and puts it back: a `#` or a next rule must still be seen by the recovery.
    pub(super) fn refuse(&mut self, token: Token<'t>, expected: Option<&Kind<'_>>) -> Flaw {
        let next_rule = matches!(token.kind, Kind::Colon | Kind::Less) && token.leads;
        let is_end = matches!(token.kind, Kind::End | Kind::Define(_)) || next_rule;
        let flaw = match expected {
            _ if is_end => Flaw::new(self.start, "the rule does not end with `#`"),
            Some(_) if token.kind.begins_element() => Flaw::at(
                &token,
                format!(
                    "unexpected {}; elements that follow each other need a comma between them",
                    token.kind
                ),
            ),
            Some(Kind::Close) if token.kind == Kind::Hash => Flaw::at(
                &token,
                "the rule ends inside of parentheses; a `)` is missing",
            ),
            _ => Flaw::unexpected(&token),
        };
        self.tokens.put_back(token);
        flaw
    }
}
