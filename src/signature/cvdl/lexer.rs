//! The tokens of CVDL.
//!
//! The lexer never gives up: what it cannot read is a [`Kind::Bad`] token with the reason, and it goes on behind
//! it. So the parser recovers from an error with the same tokens, and a `#` inside a string ends no rule.
#![forbid(unsafe_code)]

use crate::path::printable;

/// One token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Its line, from 1.
    pub(super) line: u32,
    /// It is the first of its line.
    pub(super) leads: bool,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    And,
    /// Something that is no token, with the reason.
    Bad(String),
    /// One byte: `'a'`, `0x41`, `65`, `\n`.
    Byte(u8),
    Close,
    Colon,
    Comma,
    End,
    Greater,
    Hash,
    Less,
    Not,
    /// A construct of the language that cannot be matched yet.
    NotYet(&'static str),
    Open,
    Or,
    Text(Vec<u8>),
    Tilde,
    Xor,
}

/// `$define`: the only construct whose rest is its line.
pub(super) const DEFINE: &str = "`$define` (a macro)";

pub(super) struct Lexer<'t> {
    rest: &'t [u8],
    line: u32,
    /// Nothing but blanks came on this line so far.
    leads: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            rest: text,
            line: 1,
            leads: true,
        }
    }

    /// The next token; [`Kind::End`] for ever at the end.
    pub(super) fn token(&mut self) -> Token {
        self.skip_blanks();
        let (line, leads) = (self.line, self.leads);
        self.leads = false;
        let kind = match self.bump() {
            None => Kind::End,
            Some(first) => self.kind(first),
        };
        Token { kind, line, leads }
    }

    /// The name of a rule: what stands between its colon and the first comma of the line.
    pub(super) fn name(&mut self) -> Result<&'t [u8], &'static str> {
        let end = self
            .rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'\n'));
        let end = end.unwrap_or(self.rest.len());
        let name = self.take(end).trim_ascii();
        if !self.accept(b',') {
            return Err("no comma after the name");
        }
        match name.contains(&b'"') {
            // Documented is "anything up to the comma", but this is a lost comma, and would drop a pattern unseen.
            true => Err("a quote in the name: is its comma missing?"),
            false => Ok(name),
        }
    }

    fn kind(&mut self, first: u8) -> Kind {
        match first {
            b'"' => self.text(),
            b'#' => Kind::Hash,
            b'$' => self.macro_word(),
            b'&' => Kind::And,
            b'\'' => self.quoted_byte(),
            b'(' => Kind::Open,
            b')' => Kind::Close,
            b',' => Kind::Comma,
            b'-' => Kind::NotYet("`-` (a range of bytes)"),
            b'.' if self.accept(b'*') => Kind::NotYet("`.*` (any bytes)"),
            b'0'..=b'9' => self.number(first),
            b':' => Kind::Colon,
            b'<' => Kind::Less,
            b'>' => Kind::Greater,
            b'@' => Kind::NotYet("`@` (a gap)"),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => self.word(first),
            b'\\' => self.bare_escape(),
            b'|' => Kind::NotYet("`|` (alternatives)"),
            b'~' if self.accept(b'~') => Kind::NotYet("`~~` (text that skips blanks)"),
            b'~' => Kind::Tilde,
            other => Kind::Bad(format!("unexpected `{}`", printable(&[other], 1))),
        }
    }

    /// A string, after its opening quote. After a bad escape the string goes on to its end.
    fn text(&mut self) -> Kind {
        let mut bytes = Vec::new();
        let mut flaw = None;
        loop {
            match self.rest.first() {
                None | Some(b'\n') => return bad("a string without its closing quote"),
                Some(b'"') => break,
                Some(b'\\') => match self.escape() {
                    Ok(byte) => bytes.push(byte),
                    Err(reason) => flaw = Some(reason),
                },
                Some(other) => {
                    bytes.push(*other);
                    self.bump();
                }
            }
        }
        self.bump();
        match flaw {
            Some(reason) => bad(reason),
            None if bytes.is_empty() => bad("an empty string"),
            None => Kind::Text(bytes),
        }
    }

    /// `'a'` or `'\n'`, after the opening quote. Takes nothing more if that is not what follows.
    fn quoted_byte(&mut self) -> Kind {
        let byte = match self.rest {
            [b'\\', ..] => self.escape(),
            [byte, b'\'', ..] if *byte != b'\n' => {
                let byte = *byte;
                self.bump();
                Ok(byte)
            }
            _ => Err("a single quote that does not enclose one byte"),
        };
        match byte {
            Ok(byte) if self.accept(b'\'') => Kind::Byte(byte),
            Ok(_) => bad("a single quote that does not enclose one byte"),
            Err(reason) => bad(reason),
        }
    }

    /// An escape without quotes, after its backslash. `\d+` comes first: it would read as the byte `d`.
    fn bare_escape(&mut self) -> Kind {
        if self.rest.starts_with(b"d+") {
            self.take(2);
            return Kind::NotYet("`\\d+` (digits)");
        }
        match self.escaped() {
            Ok(byte) => Kind::Byte(byte),
            Err(reason) => bad(reason),
        }
    }

    fn escape(&mut self) -> Result<u8, &'static str> {
        self.bump();
        self.escaped()
    }

    /// What stands after a backslash. A line end is left where it is: it belongs to no token.
    fn escaped(&mut self) -> Result<u8, &'static str> {
        match self.rest.first() {
            None | Some(b'\r' | b'\n') => return Err("a backslash at the end of a line"),
            Some(b'x' | b'X') => {
                self.bump();
                return self.hex_byte();
            }
            Some(_) => {}
        }
        Ok(match self.bump().unwrap_or_default() {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            other => other,
        })
    }

    fn hex_byte(&mut self) -> Result<u8, &'static str> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_hexdigit());
        let digits = self.take(digits.take(2).count());
        match (digits.len(), radix(digits, 16)) {
            (2, Some(value)) => Ok(value),
            _ => Err("`\\x` without two hexadecimal digits"),
        }
    }

    /// One byte as a number, `65` or `0x41`.
    fn number(&mut self, first: u8) -> Kind {
        let word = self.rest_of_word(first);
        let value = match word.as_slice() {
            [b'0', b'x' | b'X', digits @ ..] => radix(digits, 16),
            digits => radix(digits, 10),
        };
        match value {
            Some(value) => Kind::Byte(value),
            None => Kind::Bad(format!(
                "`{}` is no byte (0 to 255, or 0x00 to 0xff)",
                printable(&word, 40)
            )),
        }
    }

    fn word(&mut self, first: u8) -> Kind {
        let word = self.rest_of_word(first);
        match word.as_slice() {
            b"AND" | b"And" | b"and" => Kind::And,
            b"NOT" | b"Not" | b"not" => Kind::Not,
            b"OR" | b"Or" | b"or" => Kind::Or,
            b"XOR" | b"Xor" | b"xor" => Kind::Xor,
            b"FUZZY" | b"Fuzzy" | b"fuzzy" | b"FUZZ" | b"Fuzz" | b"fuzz" => {
                Kind::NotYet("`FUZZY` (bytes that may differ)")
            }
            other => Kind::Bad(format!("unknown word `{}`", printable(other, 40))),
        }
    }

    /// `$define` takes its line along, for its value is no part of any rule.
    fn macro_word(&mut self) -> Kind {
        if self.rest_of_word(b'$') != b"$define" {
            return Kind::NotYet("`$name` (the use of a macro)");
        }
        self.skip_line();
        Kind::NotYet(DEFINE)
    }

    fn rest_of_word(&mut self, first: u8) -> Vec<u8> {
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let length = self.rest.iter().take_while(part).count();
        let mut word = vec![first];
        word.extend_from_slice(self.take(length));
        word
    }

    fn skip_blanks(&mut self) {
        while let Some(next) = self.rest.first() {
            match next {
                b'\n' => {
                    self.bump();
                    self.line = self.line.saturating_add(1);
                    self.leads = true;
                }
                b';' => self.skip_line(),
                blank if blank.is_ascii_whitespace() => {
                    self.bump();
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        self.take(end);
    }

    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let there = self.rest.first() == Some(&byte);
        if there {
            self.bump();
        }
        there
    }

    fn take(&mut self, length: usize) -> &'t [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

fn bad(reason: &str) -> Kind {
    Kind::Bad(reason.to_owned())
}

/// The byte that these digits mean.
fn radix(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut lexer = Lexer::new(text.as_bytes());
        let kinds = std::iter::from_fn(|| Some(lexer.token().kind));
        kinds.take_while(|kind| *kind != Kind::End).collect()
    }

    #[test]
    fn one_byte_in_all_its_spellings() {
        for text in [
            r"0x41", "0X41", "65", "'A'", r"'\x41'", r"\x41", r"\X41", r"\A",
        ] {
            assert_eq!(kinds(text), [Kind::Byte(b'A')], "{text}");
        }
        for (text, byte) in [
            (r"\n", 10),
            (r"'\t'", 9),
            (r"\r", 13),
            (r"'\''", 39),
            ("'''", 39),
        ] {
            assert_eq!(kinds(text), [Kind::Byte(byte)], "{text}");
        }
    }

    #[test]
    fn the_escapes_of_a_string() {
        let text = r#""a\x01\"\\\n\q;#""#;
        assert_eq!(kinds(text), [Kind::Text(b"a\x01\"\\\nq;#".to_vec())]);
    }

    #[test]
    fn a_bad_token_ends_where_a_reader_would_end_it() {
        let rows: &[(&str, usize)] = &[
            ("256 #", 2),
            ("0x #", 2),
            ("12ab #", 2),
            (r#""\xZZ" #"#, 2),
            ("\"open #\n #", 2),
            ("'ab' #", 4),
            ("'\\\n#", 2),
            ("\\xg #", 3),
            ("\"\" #", 2),
            ("word #", 2),
            ("% #", 2),
            (". #", 2),
        ];
        for (text, count) in rows {
            let kinds = kinds(text);
            assert_eq!(kinds.len(), *count, "{text}: {kinds:?}");
            assert!(matches!(kinds[0], Kind::Bad(_)), "{text}");
            assert_eq!(kinds.last(), Some(&Kind::Hash), "{text}");
        }
    }

    #[test]
    fn tokens_know_their_lines() {
        let mut lexer = Lexer::new(b" : ; comment # :\n\n  #:");
        let places: Vec<_> = std::iter::from_fn(|| Some(lexer.token()))
            .take(4)
            .map(|token| (token.kind, token.line, token.leads))
            .collect();
        let expected = [
            (Kind::Colon, 1, true),
            (Kind::Hash, 3, true),
            (Kind::Colon, 3, false),
            (Kind::End, 3, false),
        ];
        assert_eq!(places, expected);
    }
}
