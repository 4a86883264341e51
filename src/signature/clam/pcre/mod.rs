//! A Perl compatible expression → one that a bounded engine can search for, over bytes.
//!
//! What such an engine cannot do (looking around, referring back, giving nothing back) is set aside by its name.
#![forbid(unsafe_code)]

mod escape;
#[cfg(test)]
mod tests;

use super::Trouble;
use crate::signature::pattern::ByteSet;
use escape::{counted, escaped, name_length, octal, posix, put_byte, put_set, shorthand};

/// Flags behind the last slash that change what an expression means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// `i`
    pub(super) caseless: bool,
    /// `s`: the dot is any byte.
    pub(super) all: bool,
    /// `m`: `^` and `$` are at every line.
    pub(super) lines: bool,
    /// `x`: blanks and comments are not meant.
    pub(super) extended: bool,
    /// `E`: `$` is the very end alone.
    pub(super) only_end: bool,
    /// `U`: as little as possible first.
    pub(super) ungreedy: bool,
}

/// Translates an expression.
pub(super) fn translated(text: &[u8], flags: Flags) -> Result<String, Trouble> {
    let mut reader = Reader {
        text,
        at: 0,
        flags,
        out: String::with_capacity(text.len() + 16),
        can_repeat: false,
    };
    reader.out.push_str("(?-u");
    for (is_on, letter) in [
        (flags.caseless, 'i'),
        (flags.all, 's'),
        (flags.lines, 'm'),
        (flags.ungreedy, 'U'),
    ] {
        if is_on {
            let at = reader.out.len() - 2;
            reader.out.insert(at, letter);
        }
    }
    reader.out.push(')');
    reader.all()?;
    Ok(reader.out)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    flags: Flags,
    out: String,
    /// Something stands before that a `*` could repeat.
    can_repeat: bool,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn put(&mut self, text: &str, length: usize) {
        self.out.push_str(text);
        self.at += length;
        self.can_repeat = true;
    }

    fn all(&mut self) -> Result<(), Trouble> {
        loop {
            match self.rest() {
                [] => return Ok(()),
                [b'\\', ..] => self.escape()?,
                [b'[', ..] => self.class()?,
                [b'(', ..] => self.group()?,
                [b')', ..] => self.put(")", 1),
                [b'|', ..] => {
                    self.put("|", 1);
                    self.can_repeat = false;
                }
                [b'.', ..] => self.put(".", 1),
                [b'^', ..] => {
                    self.put("^", 1);
                }
                [b'$', ..] => self.dollar(),
                [b'*' | b'+' | b'?', ..] => self.quantifier(1)?,
                [b'{', ..] => match counted(self.rest()) {
                    Some(length) => self.quantifier(length)?,
                    None => self.put("\\{", 1),
                },
                [b'#', ..] if self.flags.extended => {
                    let line = self.rest().iter().position(|byte| *byte == b'\n');
                    self.at = line.map_or(self.text.len(), |length| self.at + length + 1);
                }
                [byte, ..]
                    if self.flags.extended && (byte.is_ascii_whitespace() || *byte == 0x0b) =>
                {
                    self.at += 1;
                }
                [byte, ..] => {
                    self.literal(*byte);
                    self.at += 1;
                }
            }
        }
    }

    fn literal(&mut self, byte: u8) {
        put_byte(&mut self.out, byte);
        self.can_repeat = true;
    }

    /// `$` is before a last line feed too, unless told otherwise. The line feed becomes a part of the match.
    fn dollar(&mut self) {
        match self.flags.lines || self.flags.only_end {
            true if self.flags.lines => self.put("$", 1),
            true => self.put("\\z", 1),
            false => self.put("(?:\\n?\\z)", 1),
        }
    }

    /// `*`, `+`, `?` and `{n,m}`, with `?` behind it or not.
    fn quantifier(&mut self, length: usize) -> Result<(), Trouble> {
        let sign = self.rest().get(..length).unwrap_or_default();
        if !self.can_repeat {
            return Err(Trouble::wrong(
                "the regular expression: nothing before a repetition",
            ));
        }
        self.out.push_str(&String::from_utf8_lossy(sign));
        self.at += length;
        match self.rest() {
            [b'+', ..] => return Err(Trouble::never("PCRE: possessive repetition")),
            [b'?', ..] => {
                self.out.push('?');
                self.at += 1;
            }
            _ => {}
        }
        self.can_repeat = false;
        Ok(())
    }

    fn group(&mut self) -> Result<(), Trouble> {
        let rest = self.rest().get(1..).unwrap_or_default();
        self.can_repeat = false;
        let length = match rest {
            [b'*', ..] => return Err(Trouble::never("PCRE: verb")),
            [b'?', b'#', ..] => {
                let Some(end) = rest.iter().position(|byte| *byte == b')') else {
                    return Err(Trouble::wrong(
                        "the regular expression: a comment without its end",
                    ));
                };
                self.at += end + 2;
                self.can_repeat = true;
                return Ok(());
            }
            [b'?', b'=' | b'!', ..] | [b'?', b'<', b'=' | b'!', ..] => {
                return Err(Trouble::never("PCRE: look-around"));
            }
            [b'?', b'>', ..] => return Err(Trouble::never("PCRE: atomic group")),
            [b'?', b'(', ..] => return Err(Trouble::never("PCRE: conditional group")),
            [b'?', b'P', b'=', ..] => return Err(Trouble::never("PCRE: back-reference")),
            [b'?', b'R' | b'&' | b'+' | b'0'..=b'9', ..]
            | [b'?', b'P', b'>', ..]
            | [b'?', b'-', b'0'..=b'9', ..] => return Err(Trouble::never("PCRE: recursion")),
            [b'?', b':' | b'|', ..] => 3,
            [b'?', b'P', b'<', ..] => 4 + name_length(rest.get(3..).unwrap_or_default(), b'>')?,
            [b'?', b'<', ..] => 3 + name_length(rest.get(2..).unwrap_or_default(), b'>')?,
            [b'?', b'\'', ..] => 3 + name_length(rest.get(2..).unwrap_or_default(), b'\'')?,
            [b'?', inside @ ..] => {
                let letters = inside
                    .iter()
                    .take_while(|byte| matches!(byte, b'i' | b's' | b'U' | b'-'))
                    .count();
                let flags = inside.get(..letters).unwrap_or_default();
                let dashes = flags.iter().filter(|byte| **byte == b'-').count();
                return match inside.get(letters) {
                    Some(b')' | b':')
                        if letters > 0 && dashes <= 1 && flags.last() != Some(&b'-') =>
                    {
                        let text = self.rest().get(..letters + 3).unwrap_or_default();
                        self.out.push_str(&String::from_utf8_lossy(text));
                        self.at += letters + 3;
                        Ok(())
                    }
                    _ => Err(Trouble::never("PCRE: group option")),
                };
            }
            _ => 1,
        };
        // Nothing is referred to, so nothing need be kept.
        self.out.push_str("(?:");
        self.at += length;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Trouble> {
        match self.rest() {
            [_, b'Q', rest @ ..] => {
                let end = rest.windows(2).position(|two| two == b"\\E");
                let quoted = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                for byte in quoted {
                    self.literal(*byte);
                }
                self.at += 2 + quoted.len() + if end.is_some() { 2 } else { 0 };
            }
            [_, b'E', ..] => self.at += 2,
            [_, b'A', ..] => self.put("\\A", 2),
            [_, b'z', ..] => self.put("\\z", 2),
            [_, b'Z', ..] => self.put("(?:\\n?\\z)", 2),
            [_, b'b', ..] => self.put("\\b", 2),
            [_, b'B', ..] => self.put("\\B", 2),
            [_, b'R', ..] => self.put("(?:\\r\\n|[\\n\\x0b\\x0c\\r\\x85])", 2),
            [_, b'N', ..] => self.put("[^\\n]", 2),
            [_, b'C', ..] => self.put("(?s:.)", 2),
            [_, b'G', ..] => return Err(Trouble::never("PCRE: \\G")),
            [_, b'K', ..] => return Err(Trouble::never("PCRE: \\K")),
            [_, b'X' | b'p' | b'P', ..] => return Err(Trouble::never("PCRE: Unicode")),
            [_, b'g' | b'k', ..] => return Err(Trouble::never("PCRE: back-reference")),
            [_, digits @ (b'1'..=b'9'), ..] => {
                // Three digits that can be octal are a byte; else it is a reference.
                let is_octal =
                    *digits <= b'3' && octal(self.rest().get(1..).unwrap_or_default(), 3).1 == 3;
                if !is_octal {
                    return Err(Trouble::never("PCRE: back-reference"));
                }
                self.single()?;
            }
            _ => {
                if let Some(set) = shorthand(self.rest()) {
                    put_set(&mut self.out, &set, false);
                    self.at += 2;
                    self.can_repeat = true;
                } else {
                    self.single()?;
                }
            }
        }
        Ok(())
    }

    /// An escape that is one byte.
    fn single(&mut self) -> Result<(), Trouble> {
        let (byte, length) = escaped(self.rest())?;
        self.literal(byte);
        self.at += length;
        Ok(())
    }

    /// A bracketed class, written anew: the two languages differ in what is special inside.
    fn class(&mut self) -> Result<(), Trouble> {
        let unclosed = || Trouble::wrong("the regular expression: a class without its end");
        self.at += 1;
        let negated = self.rest().first() == Some(&b'^');
        self.at += usize::from(negated);
        let mut set = ByteSet::EMPTY;
        let mut is_first = true;
        loop {
            let (low, end) = match self.rest() {
                [] => return Err(unclosed()),
                [b']', ..] if !is_first => {
                    self.at += 1;
                    break;
                }
                _ => self.member(&mut set)?,
            };
            is_first = false;
            let Some(low) = low else {
                continue;
            };
            self.at = end;
            // A dash before the end, or before a set, is a dash.
            let mut high = low;
            if let [b'-', behind @ ..] = self.rest()
                && !matches!(behind, [] | [b']', ..])
            {
                let before = self.at;
                self.at += 1;
                let mut other = ByteSet::EMPTY;
                match self.member(&mut other)? {
                    (Some(byte), end) => {
                        high = byte;
                        self.at = end;
                    }
                    (None, _) => self.at = before,
                }
            }
            if high < low {
                return Err(Trouble::wrong(
                    "the regular expression: a range that ends before it begins",
                ));
            }
            set = set.union(&ByteSet::range(low, high));
        }
        put_set(&mut self.out, &set, negated);
        self.can_repeat = true;
        Ok(())
    }

    /// One member of a class: a byte and where it ends, or none for a set, which is added and left behind.
    fn member(&mut self, set: &mut ByteSet) -> Result<(Option<u8>, usize), Trouble> {
        match self.rest() {
            [b'[', b':', rest @ ..] => {
                // The longest name has six letters.
                let end = rest.windows(2).take(8).position(|two| two == b":]");
                if let Some(name) = end.and_then(|end| rest.get(..end))
                    && name
                        .iter()
                        .all(|byte| byte.is_ascii_lowercase() || *byte == b'^')
                {
                    let found = posix(name).ok_or_else(|| {
                        Trouble::wrong("the regular expression: an unknown class of POSIX")
                    })?;
                    *set = set.union(&found);
                    self.at += name.len() + 4;
                    return Ok((None, self.at));
                }
                Ok((Some(b'['), self.at + 1))
            }
            [b'\\', b'b', ..] => Ok((Some(8), self.at + 2)),
            [b'\\', b'Q' | b'E' | b'p' | b'P' | b'N' | b'R' | b'X', ..] => {
                Err(Trouble::never("PCRE: escape in a class"))
            }
            [b'\\', ..] => match shorthand(self.rest()) {
                Some(found) => {
                    *set = set.union(&found);
                    self.at += 2;
                    Ok((None, self.at))
                }
                None => {
                    let (byte, length) = escaped(self.rest())?;
                    Ok((Some(byte), self.at + length))
                }
            },
            [byte, ..] => Ok((Some(*byte), self.at + 1)),
            [] => Err(Trouble::wrong(
                "the regular expression: a class without its end",
            )),
        }
    }
}
