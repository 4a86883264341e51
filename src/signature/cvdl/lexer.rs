//! The tokens of CVDL.
//!
//! The lexer never gives up: what it cannot read is a [`Kind::Bad`] token with the reason, and it goes on behind
//! it. So the parser recovers from an error with the same tokens, and a `#` inside a string ends no rule.
#![forbid(unsafe_code)]

use super::flaw::suggestion;
use super::token::{Definition, Kind, Place, Token};
use crate::path::printable;
use crate::signature::NAME_LIMIT;
use crate::signature::pattern::LENGTH_LIMIT;

/// Bytes in which a name must end with its comma: the name, and blanks around it.
const NAME_REACH: usize = NAME_LIMIT + 64;

pub(super) struct Lexer<'t> {
    rest: &'t [u8],
    /// Where `rest` ends, in bytes from the start of the whole text.
    end: usize,
    line: u32,
    line_start: usize,
    /// Nothing but blanks came on this line so far.
    leads: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            rest: text,
            end: text.len(),
            line: 1,
            line_start: 0,
            leads: true,
        }
    }

    /// The tokens of a definition's value.
    pub(super) fn of_value(definition: &Definition<'t>) -> Self {
        let Place {
            line,
            line_start,
            at,
        } = definition.place;
        Self {
            rest: definition.value,
            end: at + definition.value.len(),
            line,
            line_start,
            leads: false,
        }
    }

    /// The next token; [`Kind::End`] for ever at the end.
    pub(super) fn token(&mut self) -> Token<'t> {
        self.skip_blanks();
        let (place, leads) = (self.place(), self.leads);
        self.leads = false;
        let kind = match self.bump() {
            None => Kind::End,
            Some(b'$') => self.macro_word(leads),
            Some(first) => self.kind(first),
        };
        Token {
            kind,
            place,
            leads,
            defined: None,
        }
    }

    /// Where the next byte stands.
    pub(super) fn place(&self) -> Place {
        Place {
            line: self.line,
            line_start: self.line_start,
            at: self.end - self.rest.len(),
        }
    }

    /// The name of a rule: what stands between its colon and the first comma of the line.
    pub(super) fn name(&mut self) -> Result<&'t [u8], String> {
        let reach = self.rest.get(..NAME_REACH).unwrap_or(self.rest);
        let end = match memchr::memchr2(b',', b'\n', reach) {
            Some(end) => end,
            None if reach.len() < self.rest.len() => {
                return Err(format!(
                    "a name of more than {NAME_LIMIT} bytes; is the comma behind it missing?"
                ));
            }
            None => reach.len(),
        };
        let name = self.take(end).trim_ascii();
        if !self.accept(b',') {
            return Err("no comma after the name: a rule is `:NAME, expression #`".to_owned());
        }
        match name.contains(&b'"') {
            // Documented is "anything up to the comma", but this is a lost comma, and would drop a pattern unseen.
            true => Err("a quote in the name: is its comma missing?".to_owned()),
            false => Ok(name),
        }
    }

    fn kind(&mut self, first: u8) -> Kind<'t> {
        match first {
            b'!' => Kind::Bang,
            b'"' => self.text(),
            b'#' => Kind::Hash,
            b'&' if self.accept(b'&') => bad("`&&` is no operator; did you mean `AND`?"),
            b'&' => Kind::And,
            b'\'' => self.quoted_byte(),
            b'(' => Kind::Open,
            b')' => Kind::Close,
            b'*' => Kind::Star,
            b'+' => Kind::Plus,
            b',' => Kind::Comma,
            b'-' => Kind::Minus,
            b'.' if self.accept(b'*') => Kind::Anything,
            b'.' => bad("a single `.`; any number of bytes is `.*`, any one byte is `@1`"),
            b'0'..=b'9' => self.number(first),
            b':' => Kind::Colon,
            b'<' => Kind::Less,
            b'>' => Kind::Greater,
            b'?' => Kind::Question,
            b'@' if self.accept(b'@') => Kind::AtAt,
            b'@' => Kind::At,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => self.word(first),
            b'[' => Kind::OpenSet,
            b'\\' => self.bare_escape(),
            b']' => Kind::CloseSet,
            b'^' => bad("`^` is no operator; did you mean `XOR`?"),
            b'{' => Kind::OpenBrace,
            b'|' if self.accept(b'|') => bad("`||` is no operator; did you mean `OR`?"),
            b'|' => Kind::Bar,
            b'}' => Kind::CloseBrace,
            b'~' if self.accept(b'~') => Kind::TildeTilde,
            b'~' => Kind::Tilde,
            other => Kind::Bad(format!("unexpected `{}`", printable(&[other], 1))),
        }
    }

    /// A string, after its opening quote. After a bad escape the string goes on to its end.
    fn text(&mut self) -> Kind<'t> {
        let mut bytes = Vec::new();
        let mut flaw = None;
        loop {
            match self.rest.first() {
                None | Some(b'\n') => {
                    return bad("a string must end on its line: its closing quote is missing");
                }
                Some(b'"') => break,
                Some(b'\\') => match self.escape() {
                    Ok(byte) => bytes.push(byte),
                    Err(reason) => flaw = Some(reason.to_owned()),
                },
                Some(other) => {
                    bytes.push(*other);
                    self.bump();
                }
            }
            if bytes.len() > LENGTH_LIMIT {
                bytes.clear();
                flaw = Some(format!("a string of more than {LENGTH_LIMIT} bytes"));
            }
        }
        self.bump();
        match flaw {
            Some(reason) => Kind::Bad(reason),
            None if bytes.is_empty() => bad("an empty string"),
            None => Kind::Text(bytes.into()),
        }
    }

    /// `'a'` or `'\n'`, after the opening quote. Takes nothing more if that is not what follows.
    fn quoted_byte(&mut self) -> Kind<'t> {
        const NOT_ONE: &str =
            "single quotes enclose one byte, as in 'a'; text stands in double quotes";
        let byte = match self.rest {
            [b'\\', ..] => self.escape(),
            [byte, b'\'', ..] if *byte != b'\n' => {
                let byte = *byte;
                self.bump();
                Ok(byte)
            }
            _ => Err(NOT_ONE),
        };
        match byte {
            Ok(byte) if self.accept(b'\'') => Kind::Integer(byte.into()),
            Ok(_) => bad(NOT_ONE),
            Err(reason) => bad(reason),
        }
    }

    /// An escape without quotes, after its backslash. The operators come first: `\d` alone is the byte `d`.
    fn bare_escape(&mut self) -> Kind<'t> {
        let operator = match self.rest {
            [b'd', b'+', ..] => Some(Kind::Digits),
            [b's', b'+', ..] => Some(Kind::Spaces(1)),
            [b's', b'*', ..] => Some(Kind::Spaces(0)),
            // It would be any number of the byte `d`, which nobody means.
            [b'd', b'*' | b'?' | b'{', ..] | [b's', b'?' | b'{', ..] => Some(bad(
                "`\\d` and `\\s` are operators only as `\\d+`, `\\s+` and `\\s*`; repeat a set instead: `['0'-'9']{2,4}`",
            )),
            _ => None,
        };
        if let Some(operator) = operator {
            self.take(2);
            return operator;
        }
        match self.escaped() {
            Ok(byte) => Kind::Integer(byte.into()),
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
            (2, Some(value)) => u8::try_from(value).map_err(|_| "no byte"),
            _ => Err("`\\x` needs two hexadecimal digits, as in `\\x0a`"),
        }
    }

    /// A number, `65` or `0x41`.
    fn number(&mut self, first: u8) -> Kind<'t> {
        let word = self.rest_of_word(first);
        let value = match word.as_slice() {
            [b'0', b'x' | b'X', digits @ ..] => radix(digits, 16),
            digits => radix(digits, 10),
        };
        match value {
            Some(value) => Kind::Integer(value),
            None => Kind::Bad(format!(
                "`{}` is no number; numbers are decimal (65) or hexadecimal (0x41)",
                printable(&word, 40)
            )),
        }
    }

    fn word(&mut self, first: u8) -> Kind<'t> {
        let word = self.rest_of_word(first);
        match word.as_slice() {
            b"AND" | b"And" | b"and" => Kind::And,
            b"NOT" | b"Not" | b"not" => Kind::Not,
            b"OR" | b"Or" | b"or" => Kind::Or,
            b"XOR" | b"Xor" | b"xor" => Kind::Xor,
            b"FUZZY" | b"Fuzzy" | b"fuzzy" | b"FUZZ" | b"Fuzz" | b"fuzz" => Kind::Fuzzy,
            other => {
                let word = printable(other, 40);
                Kind::Bad(format!("unknown word `{word}`; {}", suggestion(&word)))
            }
        }
    }

    /// After a dollar. `$define` takes its line along, for its value is no part of any rule.
    fn macro_word(&mut self, leads: bool) -> Kind<'t> {
        let name = self.macro_name();
        match name {
            b"define" if leads => self.definition(),
            b"define" => {
                self.skip_line();
                bad("`$define` must be the first word of its line")
            }
            [] | [b'0'..=b'9', ..] => {
                bad("no name behind `$`: it begins with a letter or `_`, digits may follow")
            }
            name => Kind::Macro(name),
        }
    }

    fn definition(&mut self) -> Kind<'t> {
        while matches!(self.rest.first(), Some(b' ' | b'\t')) {
            self.bump();
        }
        let name = self.macro_name();
        let is_apart = !matches!(self.rest.first(), Some(byte) if !byte.is_ascii_whitespace() && *byte != b';');
        if matches!(name, [] | [b'0'..=b'9', ..] | b"define") || !is_apart {
            self.skip_line();
            return bad(
                "`$define` needs a name and a value: `$define zeros \"0\", \"0\"`; a name is letters, digits and `_`",
            );
        }
        let place = self.place();
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        Kind::Define(Definition {
            name,
            value: self.take(end),
            place,
        })
    }

    fn macro_name(&mut self) -> &'t [u8] {
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let length = self.rest.iter().take_while(part).count();
        self.take(length)
    }

    /// The word that began with `first`.
    fn rest_of_word(&mut self, first: u8) -> Vec<u8> {
        let mut word = vec![first];
        word.extend_from_slice(self.macro_name());
        word
    }

    fn skip_blanks(&mut self) {
        while let Some(next) = self.rest.first() {
            match next {
                b'\n' => {
                    self.bump();
                    self.line = self.line.saturating_add(1);
                    self.line_start = self.end - self.rest.len();
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

fn bad<'t>(reason: &str) -> Kind<'t> {
    Kind::Bad(reason.to_owned())
}

/// The number that these digits mean.
fn radix(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        let mut lexer = Lexer::new(text.as_bytes());
        let kinds = std::iter::from_fn(|| Some(lexer.token().kind));
        kinds.take_while(|kind| *kind != Kind::End).collect()
    }

    #[test]
    fn one_byte_in_all_its_spellings() {
        for text in [
            r"0x41", "0X41", "65", "'A'", r"'\x41'", r"\x41", r"\X41", r"\A",
        ] {
            assert_eq!(kinds(text), [Kind::Integer(0x41)], "{text}");
        }
        for (text, byte) in [
            (r"\n", 10),
            (r"'\t'", 9),
            (r"\r", 13),
            (r"'\''", 39),
            ("'''", 39),
            (r"\d", 100),
            (r"\s", 115),
            ("0xa9BE", 0xa9be),
            ("1234", 1234),
        ] {
            assert_eq!(kinds(text), [Kind::Integer(byte)], "{text}");
        }
    }

    #[test]
    fn the_escapes_of_a_string() {
        let text = r#""a\x01\"\\\n\q;#""#;
        assert_eq!(
            kinds(text),
            [Kind::Text(b"a\x01\"\\\nq;#".as_slice().into())]
        );
    }

    #[test]
    fn operators_of_several_characters_come_before_those_of_one() {
        use Kind::*;
        let rows: &[(&str, &[Kind<'_>])] = &[
            (r"\d+", &[Digits]),
            (r"\s+\s*", &[Spaces(1), Spaces(0)]),
            (".*", &[Anything]),
            ("@1-2", &[At, Integer(1), Minus, Integer(2)]),
            ("@@7", &[AtAt, Integer(7)]),
            ("~~~", &[TildeTilde, Tilde]),
            ("'a'-'f'", &[Integer(97), Minus, Integer(102)]),
            ("+-1", &[Plus, Minus, Integer(1)]),
            ("$mac,", &[Macro(b"mac"), Comma]),
            (
                "!['a']{2,}?*|",
                &[
                    Bang,
                    OpenSet,
                    Integer(97),
                    CloseSet,
                    OpenBrace,
                    Integer(2),
                    Comma,
                    CloseBrace,
                    Question,
                    Star,
                    Bar,
                ],
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(kinds(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_definition_takes_its_line() {
        let text = " x $define a \"b\"\n\t$define  _c1 \"q\", $z ; no\r\n\"x\"";
        let mut lexer = Lexer::new(text.as_bytes());
        assert!(matches!(lexer.token().kind, Kind::Bad(_)));
        assert!(matches!(lexer.token().kind, Kind::Bad(reason) if reason.contains("first word")));
        let Kind::Define(definition) = lexer.token().kind else {
            panic!();
        };
        assert_eq!(definition.name, b"_c1");
        let mut value = Lexer::of_value(&definition);
        let first = value.token();
        assert_eq!((first.place.line, first.place.at), (2, 31));
        assert_eq!(&text[first.place.at..=first.place.at], "\"");
        assert_eq!(first.place.line_start, 17);
        assert_eq!(value.token().kind, Kind::Comma);
        assert_eq!(value.token().kind, Kind::Macro(b"z"));
        assert_eq!(value.token().kind, Kind::End);
        assert!(matches!(lexer.token().kind, Kind::Text(_)));
        for wrong in [
            "$define",
            "$define 1a x",
            "$define a\"x\"",
            "$define define x",
        ] {
            assert!(matches!(&kinds(wrong)[..], [Kind::Bad(_)]), "{wrong}");
        }
    }

    #[test]
    fn a_bad_token_ends_where_a_reader_would_end_it() {
        let rows: &[(&str, usize)] = &[
            ("99999999999999999999 #", 2),
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
            ("|| #", 2),
            ("$1 #", 2),
            (r"\d{ #", 2),
        ];
        for (text, count) in rows {
            let kinds = kinds(text);
            assert_eq!(kinds.len(), *count, "{text}: {kinds:?}");
            assert!(matches!(kinds[0], Kind::Bad(_)), "{text}");
            assert_eq!(kinds.last(), Some(&Kind::Hash), "{text}");
        }
        let long = format!("\"{}\" #", "x".repeat(LENGTH_LIMIT + 1));
        assert_eq!(kinds(&long).len(), 2);
        assert!(matches!(kinds(&long)[0], Kind::Bad(_)));
    }

    #[test]
    fn tokens_know_their_places() {
        let mut lexer = Lexer::new(b" : ; comment # :\n\n  #:");
        let places: Vec<_> = std::iter::from_fn(|| Some(lexer.token()))
            .take(4)
            .map(|token| {
                let place = token.place;
                (
                    token.kind,
                    place.line,
                    place.at - place.line_start,
                    token.leads,
                )
            })
            .collect();
        let expected = [
            (Kind::Colon, 1, 1, true),
            (Kind::Hash, 3, 2, true),
            (Kind::Colon, 3, 3, false),
            (Kind::End, 3, 4, false),
        ];
        assert_eq!(places, expected);
    }
}
