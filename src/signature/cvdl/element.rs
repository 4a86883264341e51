//! One element of a sequence: text, bytes, gaps, what may vary, and how often it is repeated.
//!
//! ```text
//! element = STRING | "~" STRING | "~~" STRING | "@" range | "@@" range | ".*" | "\d+" | "\s*" | "\s+"
//!         | byte repeat | FUZZY fuzz ( STRING | "~" STRING | byte repeat )
//! byte    = INTEGER | INTEGER "-" INTEGER | "!" byte | "[" byte or STRING, … "]"
//! repeat  = nothing | "{" m "}" | "{" m "," "}" | "{" m "," n "}" | "+" | "*" | "?"
//! fuzz    = m | "-" m | "+" p | "-" m "+" p | "+" "-" m | "-" "+" m
//! ```
#![forbid(unsafe_code)]

use std::rc::Rc;

use super::expression::Expression;
use super::flaw::Flaw;
use super::sequence::{Element, Sequence};
use super::token::{Kind, Token};
use crate::signature::pattern::ByteSet;

/// How much lower and higher a byte may be.
#[derive(Clone, Copy)]
struct Fuzz {
    below: u8,
    above: u8,
}

impl Fuzz {
    fn widen(self, set: ByteSet) -> ByteSet {
        let near = |byte: u8| byte.saturating_sub(self.below)..=byte.saturating_add(self.above);
        set.bytes().flat_map(near).collect()
    }
}

impl<'t> Expression<'_, 't> {
    /// The element that begins with this token; a fuzzy string is several.
    pub(super) fn element(&mut self, token: Token<'t>) -> Result<Sequence, Flaw> {
        let element = match token.kind {
            Kind::Anything => Element::Gap { min: 0, max: None },
            Kind::At => {
                let (min, max) = self.range()?;
                Element::Gap {
                    min,
                    max: Some(max),
                }
            }
            Kind::AtAt => {
                let (from, to) = self.range()?;
                Element::Begins(from, to)
            }
            Kind::Bang | Kind::Integer(_) | Kind::OpenSet => {
                let set = self.byte(token)?;
                self.repeated(set)?
            }
            Kind::Digits => Element::Class {
                set: ByteSet::range(b'0', b'9'),
                min: 1,
                max: None,
            },
            Kind::Fuzzy => return self.fuzzy(),
            Kind::Spaces(min) => Element::Class {
                set: b" \t\n\x0b\x0c\r".iter().copied().collect(),
                min,
                max: None,
            },
            Kind::Text(ref text) => {
                let text = Rc::clone(text);
                self.no_repetition()?;
                Element::Bytes(text, false)
            }
            Kind::Tilde => Element::Bytes(self.text()?, true),
            Kind::TildeTilde => Element::Squeezed(self.text()?),
            _ => return Err(self.refuse(token, None)),
        };
        Ok(vec![element])
    }

    /// The string behind a `~`.
    fn text(&mut self) -> Result<Rc<[u8]>, Flaw> {
        let token = self.tokens.take();
        match &token.kind {
            Kind::Text(text) => Ok(Rc::clone(text)),
            _ => Err(self.refuse(token, None)),
        }
    }

    fn no_repetition(&mut self) -> Result<(), Flaw> {
        let token = self.tokens.peek();
        match token.kind {
            Kind::OpenBrace | Kind::Plus | Kind::Star | Kind::Question => Err(Flaw::at(
                token,
                "a string cannot be repeated, only a byte can: `'a'{3}`",
            )),
            _ => Ok(()),
        }
    }

    fn integer(&mut self) -> Result<u64, Flaw> {
        let token = self.tokens.take();
        match token.kind {
            Kind::Integer(value) => Ok(value),
            _ => Err(self.refuse(token, None)),
        }
    }

    /// `m` or `m-n`.
    fn range(&mut self) -> Result<(u64, u64), Flaw> {
        let first = self.integer()?;
        if self.tokens.peek().kind != Kind::Minus {
            return Ok((first, first));
        }
        let minus = self.tokens.take();
        let last = self.integer()?;
        in_order(first, last, &minus)?;
        Ok((first, last))
    }

    /// The bytes that an expression for one byte means.
    fn byte(&mut self, mut token: Token<'t>) -> Result<ByteSet, Flaw> {
        let mut excluded = false;
        while token.kind == Kind::Bang {
            excluded = !excluded;
            token = self.tokens.take();
        }
        let set = match token.kind {
            Kind::Integer(value) => self.byte_range(value, &token)?,
            Kind::OpenSet => self.set()?,
            Kind::Text(_) | Kind::Open if excluded => {
                return Err(Flaw::at(
                    &token,
                    "`!` stands before one byte; what must not occur at all is `NOT \"…\"`",
                ));
            }
            _ => return Err(self.refuse(token, None)),
        };
        match excluded {
            true if set == ByteSet::ALL => Err(Flaw::at(&token, "a set without any byte")),
            true => Ok(set.complement()),
            false => Ok(set),
        }
    }

    /// A byte, or two with all between them.
    fn byte_range(&mut self, value: u64, token: &Token<'t>) -> Result<ByteSet, Flaw> {
        let first = as_byte(value, token)?;
        if self.tokens.peek().kind != Kind::Minus {
            return Ok(ByteSet::range(first, first));
        }
        let minus = self.tokens.take();
        let next = self.tokens.take();
        let Kind::Integer(value) = next.kind else {
            return Err(self.refuse(next, None));
        };
        let last = as_byte(value, &next)?;
        in_order(first.into(), last.into(), &minus)?;
        Ok(ByteSet::range(first, last))
    }

    /// A set, behind its open bracket.
    fn set(&mut self) -> Result<ByteSet, Flaw> {
        let mut set = ByteSet::EMPTY;
        loop {
            let token = self.tokens.take();
            let more = match &token.kind {
                Kind::Integer(value) => self.byte_range(*value, &token)?,
                Kind::Text(text) => text.iter().copied().collect(),
                Kind::CloseSet if set == ByteSet::EMPTY => {
                    return Err(Flaw::at(&token, "a set without any byte"));
                }
                _ => return Err(self.refuse(token, None)),
            };
            set = set.union(&more);
            if self.tokens.accept(&Kind::CloseSet) {
                return Ok(set);
            }
            self.expect(&Kind::Comma)?;
        }
    }

    /// The byte as often as what follows says.
    fn repeated(&mut self, set: ByteSet) -> Result<Element, Flaw> {
        let token = self.tokens.peek().clone();
        let (min, max) = match token.kind {
            Kind::OpenBrace => {
                self.tokens.take();
                self.repetitions(&token)?
            }
            Kind::Plus | Kind::Star | Kind::Question => {
                self.tokens.take();
                match token.kind {
                    Kind::Plus => (1, None),
                    Kind::Star => (0, None),
                    _ => (0, Some(1)),
                }
            }
            _ => return Ok(Element::byte(set)),
        };
        Ok(match set == ByteSet::ALL {
            true => Element::Gap {
                min: min.into(),
                max: max.map(u64::from),
            },
            false => Element::Class { set, min, max },
        })
    }

    /// `m}`, `m,}` or `m,n}`.
    fn repetitions(&mut self, brace: &Token<'t>) -> Result<(u32, Option<u32>), Flaw> {
        let times =
            |value: u64| u32::try_from(value).map_err(|_| Flaw::at(brace, "too many repetitions"));
        let min = times(self.integer()?)?;
        if self.tokens.accept(&Kind::CloseBrace) {
            return match min {
                0 => Err(Flaw::at(brace, "no repetition at all; leave the byte out")),
                _ => Ok((min, Some(min))),
            };
        }
        self.expect(&Kind::Comma)?;
        if self.tokens.accept(&Kind::CloseBrace) {
            return Ok((min, None));
        }
        let max = times(self.integer()?)?;
        self.expect(&Kind::CloseBrace)?;
        in_order(min.into(), max.into(), brace)?;
        match max {
            0 => Err(Flaw::at(brace, "no repetition at all; leave the byte out")),
            _ => Ok((min, Some(max))),
        }
    }

    /// What stands behind FUZZY.
    fn fuzzy(&mut self) -> Result<Sequence, Flaw> {
        let fuzz = self.fuzz()?;
        let token = self.tokens.take();
        let (text, caseless) = match &token.kind {
            Kind::Text(text) => (Rc::clone(text), false),
            Kind::Tilde => (self.text()?, true),
            Kind::Bang | Kind::Integer(_) | Kind::OpenSet => {
                let set = fuzz.widen(self.byte(token)?);
                return Ok(vec![self.repeated(set)?]);
            }
            Kind::TildeTilde | Kind::Open | Kind::Fuzzy | Kind::Digits | Kind::Spaces(_) => {
                return Err(Flaw::at(
                    &token,
                    "FUZZY stands before a string, a byte, a range or a set",
                ));
            }
            _ => return Err(self.refuse(token, None)),
        };
        self.no_repetition()?;
        let byte = |byte: &u8| {
            let both = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
            let set: ByteSet = match caseless {
                true => both.into_iter().collect(),
                false => ByteSet::range(*byte, *byte),
            };
            Element::byte(fuzz.widen(set))
        };
        Ok(text.iter().map(byte).collect())
    }

    fn fuzz(&mut self) -> Result<Fuzz, Flaw> {
        let minus = self.tokens.accept(&Kind::Minus);
        let plus = self.tokens.accept(&Kind::Plus);
        // `+-m`; after `-+` there is no second minus.
        let both = plus && (minus || self.tokens.accept(&Kind::Minus));
        let first = self.step()?;
        let (below, above) = match (minus, plus) {
            _ if both => (first, first),
            (true, _) if self.tokens.accept(&Kind::Plus) => (first, self.step()?),
            (true, _) => (first, 0),
            (_, true) => (0, first),
            _ => (first, first),
        };
        Ok(Fuzz { below, above })
    }

    /// More than 255 is as far as a byte goes.
    fn step(&mut self) -> Result<u8, Flaw> {
        Ok(u8::try_from(self.integer()?).unwrap_or(u8::MAX))
    }
}

fn as_byte(value: u64, token: &Token<'_>) -> Result<u8, Flaw> {
    u8::try_from(value).map_err(|_| {
        Flaw::at(
            token,
            format!("{value} is no byte: a number in a sequence is one byte, 0 to 255"),
        )
    })
}

fn in_order(first: u64, last: u64, token: &Token<'_>) -> Result<(), Flaw> {
    match last < first {
        true => Err(Flaw::at(
            token,
            format!("a range that ends before it begins; did you mean {last}-{first}?"),
        )),
        false => Ok(()),
    }
}
