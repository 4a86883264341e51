//! A Perl compatible expression → one that a bounded engine can search for, over bytes.
//!
//! What such an engine cannot do (looking around, referring back, giving nothing back) is set aside by its name.
#![forbid(unsafe_code)]

use std::fmt::Write;

use super::Trouble;
use crate::signature::pattern::ByteSet;

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

/// A vertical blank: `\v`.
const VERTICAL: &[u8] = b"\n\x0b\x0c\r\x85";
/// A horizontal one: `\h`.
const HORIZONTAL: &[u8] = b"\t \xa0";

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
                let end = rest.windows(2).position(|two| two == b":]");
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

/// `\d`, `\h` and the like.
fn shorthand(text: &[u8]) -> Option<ByteSet> {
    let set: ByteSet = match text.get(1)?.to_ascii_lowercase() {
        b'd' => ByteSet::range(b'0', b'9'),
        b'w' => posix(b"word")?,
        b's' => posix(b"space")?,
        b'h' => HORIZONTAL.iter().copied().collect(),
        b'v' => VERTICAL.iter().copied().collect(),
        _ => return None,
    };
    match text.get(1)?.is_ascii_uppercase() {
        true => Some(set.complement()),
        false => Some(set),
    }
}

fn posix(name: &[u8]) -> Option<ByteSet> {
    if let [b'^', name @ ..] = name {
        return posix(name).map(|set| set.complement());
    }
    let is_in: fn(&u8) -> bool = match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"ascii" => u8::is_ascii,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b'\t'..=b'\r' | b' '),
        b"upper" => u8::is_ascii_uppercase,
        b"word" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    Some((0..=u8::MAX).filter(is_in).collect())
}

/// An escape that stands for one byte, and its length.
fn escaped(text: &[u8]) -> Result<(u8, usize), Trouble> {
    Ok(match text {
        [_, b'n', ..] => (b'\n', 2),
        [_, b'r', ..] => (b'\r', 2),
        [_, b't', ..] => (b'\t', 2),
        [_, b'f', ..] => (0x0c, 2),
        [_, b'a', ..] => (7, 2),
        [_, b'e', ..] => (0x1b, 2),
        [_, b'c', letter @ b' '..=b'~', ..] => (letter.to_ascii_uppercase() ^ 0x40, 3),
        [_, b'x', b'{', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'}').unwrap_or(0);
            let digits = rest.get(..end).unwrap_or_default();
            let value = (!digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit))
                .then(|| std::str::from_utf8(digits).ok())
                .flatten()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match value {
                Some(value) => (value, end + 4),
                None => return Err(Trouble::never("PCRE: escape")),
            }
        }
        [_, b'x', rest @ ..] => {
            let digits = rest
                .iter()
                .take(2)
                .take_while(|byte| byte.is_ascii_hexdigit());
            let (mut value, mut length) = (0_u8, 2);
            for digit in digits {
                let digit = char::from(*digit)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok());
                value = value << 4 | digit.unwrap_or(0);
                length += 1;
            }
            (value, length)
        }
        [_, b'0'..=b'7', ..] => {
            let (value, digits) = octal(text.get(1..).unwrap_or_default(), 3);
            match u8::try_from(value) {
                Ok(value) => (value, 1 + digits),
                Err(_) => return Err(Trouble::never("PCRE: escape")),
            }
        }
        [_, byte, ..] if !byte.is_ascii_alphanumeric() => (*byte, 2),
        [_] => {
            return Err(Trouble::wrong(
                "the regular expression: a backslash at its end",
            ));
        }
        _ => return Err(Trouble::never("PCRE: escape")),
    })
}

/// The value of at most so many octal digits, and how many there are.
fn octal(text: &[u8], most: usize) -> (u32, usize) {
    let digits = text
        .iter()
        .take(most)
        .take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold((0, 0), |(value, count), digit| {
        (value * 8 + u32::from(digit - b'0'), count + 1)
    })
}

/// The length of `{n}`, `{n,}` or `{n,m}`; anything else in braces is text.
fn counted(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(16).position(|byte| *byte == b'}')?;
    let inside = text.get(1..end)?;
    let mut parts = inside.splitn(2, |byte| *byte == b',');
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let min = parts.next().filter(|min| !min.is_empty() && is_number(min));
    min?;
    parts.next().is_none_or(is_number).then_some(end + 1)
}

/// The length of a group's name with what ends it.
fn name_length(text: &[u8], end: u8) -> Result<usize, Trouble> {
    let length = text.iter().position(|byte| *byte == end);
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match length {
        Some(length) if text.iter().take(length).all(is_word) && length > 0 => Ok(length + 1),
        _ => Err(Trouble::wrong(
            "the regular expression: a group without a proper name",
        )),
    }
}

fn put_set(out: &mut String, set: &ByteSet, negated: bool) {
    out.push_str(if negated { "[^" } else { "[" });
    let mut bytes = set.bytes().peekable();
    if bytes.peek().is_none() {
        // No byte at all, or, negated, any.
        out.push_str(if negated { "&&a]" } else { "a&&b]" });
        if negated {
            let at = out.len() - "[^&&a]".len();
            out.replace_range(at.., "(?s:.)");
        }
        return;
    }
    while let Some(low) = bytes.next() {
        let mut high = low;
        while let Some(next) = bytes.next_if(|next| Some(*next) == high.checked_add(1)) {
            high = next;
        }
        // Writing to a string does not fail.
        let _ = match high == low {
            true => write!(out, "\\x{low:02x}"),
            false => write!(out, "\\x{low:02x}-\\x{high:02x}"),
        };
    }
    out.push(']');
}

fn put_byte(out: &mut String, byte: u8) {
    match byte {
        b'a'..=b'z'
        | b'A'..=b'Z'
        | b'0'..=b'9'
        | b' '
        | b'_'
        | b'"'
        | b'\''
        | b','
        | b':'
        | b';'
        | b'='
        | b'<'
        | b'>'
        | b'/'
        | b'!'
        | b'@'
        | b'%' => out.push(char::from(byte)),
        _ => {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::meta::Regex;
    use regex_automata::util::syntax;

    fn compiled(text: &str, flags: Flags) -> Regex {
        let syntax = syntax::Config::new().utf8(false).unicode(false);
        let text = translated(text.as_bytes(), flags).unwrap();
        Regex::builder()
            .syntax(syntax)
            .build(&text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn expressions_mean_the_same() {
        let rows: [(&str, &[u8], bool); 44] = [
            ("hel+o", b"xhelllo", true),
            ("^ab$", b"ab\n", true),
            ("^ab$", b"ab\nc", false),
            ("ab\\Z", b"ab\n", true),
            ("ab\\z", b"ab\n", false),
            ("a.b", b"a\nb", false),
            ("a\\Nb", b"a\xffb", true),
            ("a\\Cb", b"a\nb", true),
            ("\\xff\\xFE", b"\xff\xfe", true),
            ("\\x{68}\\x3B", b"h;", true),
            ("\\x4\\x", b"\x04\0", true),
            ("\\0\\07\\101", b"\0\x07A", true),
            ("\\377", b"\xff", true),
            ("\\cA\\e\\a\\f", b"\x01\x1b\x07\x0c", true),
            ("\\d\\D\\w\\W\\s\\S", b"1a_- x", true),
            ("\\h\\H\\v\\V", b"\xa0x\x85x", true),
            ("a\\Rb", b"a\r\nb", true),
            ("\\Qa.b*\\E+", b"a.b**", true),
            ("\\Qa.b", b"a.b", true),
            ("\\bab\\b", b"-ab-", true),
            ("\\bab\\b", b"xab-", false),
            ("[a-c]x[^a-c]", b"bxd", true),
            ("[]a]+z", b"]az", true),
            ("[^]a]z", b"]z", false),
            ("[a\\-z]q", b"-q", true),
            ("[a-]q", b"-q", true),
            ("[\\d-z]q", b"-q", true),
            ("[a-\\d]q", b"-q", true),
            ("[&&a~~c]q", b"&q", true),
            ("[[:alpha:][:digit:]]q", b"7q", true),
            ("[[:^alpha:]]q", b"aq", false),
            ("[[a]q", b"[q", true),
            ("[\\xf0-\\xff]", b"\xf5", true),
            ("[\\b]", b"\x08", true),
            ("[\\s\\S]q", b"\nq", true),
            ("a{2}b{1,}c{,2}", b"aabbc{,2}", true),
            ("a{x}", b"a{x}", true),
            ("(?P<n>a)(?<m>b)(?'o'c)(?:d)(?|e)", b"abcde", true),
            ("a(?#comment)b", b"ab", true),
            ("(?i)A(?-i:b)", b"ab", true),
            ("(?i:A)B", b"ab", false),
            ("a|bc|", b"bc", true),
            ("#a b", b"#a b", true),
            ("a\\/b", b"a/b", true),
        ];
        for (text, content, matches) in rows {
            assert_eq!(
                compiled(text, Flags::default()).is_match(content),
                matches,
                "{text}"
            );
        }
    }

    #[test]
    fn flags_change_what_it_means() {
        let none = Flags::default();
        let rows: [(&str, Flags, &[u8], bool); 9] = [
            (
                "AB[^c]",
                Flags {
                    caseless: true,
                    ..none
                },
                b"abC",
                false,
            ),
            (
                "AB[c]",
                Flags {
                    caseless: true,
                    ..none
                },
                b"abC",
                true,
            ),
            ("a.b", Flags { all: true, ..none }, b"a\nb", true),
            (
                "^b$",
                Flags {
                    lines: true,
                    ..none
                },
                b"a\nb\nc",
                true,
            ),
            (
                "a b #c\n[ ]d\\ e",
                Flags {
                    extended: true,
                    ..none
                },
                b"ab d e",
                true,
            ),
            (
                "ab$",
                Flags {
                    only_end: true,
                    ..none
                },
                b"ab\n",
                false,
            ),
            (
                "^b$",
                Flags {
                    only_end: true,
                    lines: true,
                    ..none
                },
                b"a\nb\nc",
                true,
            ),
            ("ab$", none, b"ab\n", true),
            (
                "a+?b",
                Flags {
                    ungreedy: true,
                    ..none
                },
                b"aab",
                true,
            ),
        ];
        for (text, flags, content, matches) in rows {
            assert_eq!(compiled(text, flags).is_match(content), matches, "{text}");
        }
    }

    #[test]
    fn what_a_bounded_engine_cannot_do_is_set_aside_by_its_name() {
        let rows = [
            ("(?=a)b", "PCRE: look-around"),
            ("(?!a)b", "PCRE: look-around"),
            ("(?<=a)b", "PCRE: look-around"),
            ("(?<!a)b", "PCRE: look-around"),
            ("(a)\\1", "PCRE: back-reference"),
            ("(?P<n>a)(?P=n)", "PCRE: back-reference"),
            ("(a)\\g1", "PCRE: back-reference"),
            ("(a)\\k<n>", "PCRE: back-reference"),
            ("(?>a)b", "PCRE: atomic group"),
            ("a++", "PCRE: possessive repetition"),
            ("a{2}+", "PCRE: possessive repetition"),
            ("(a)(?1)", "PCRE: recursion"),
            ("(?R)", "PCRE: recursion"),
            ("(?(1)a|b)", "PCRE: conditional group"),
            ("(*UTF8)a", "PCRE: verb"),
            ("a\\Kb", "PCRE: \\K"),
            ("\\Ga", "PCRE: \\G"),
            ("\\pL", "PCRE: Unicode"),
            ("(?x)a b", "PCRE: group option"),
            ("(?m)a$", "PCRE: group option"),
            ("\\x{100}", "PCRE: escape"),
            ("\\y", "PCRE: escape"),
        ];
        for (text, reason) in rows {
            let found = translated(text.as_bytes(), Flags::default());
            assert_eq!(found, Err(Trouble::never(reason)), "{text}");
        }
    }
}
