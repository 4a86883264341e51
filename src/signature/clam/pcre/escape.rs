//! What escapes and class names stand for, and how bytes and sets are written for the engine.
#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::signature::clam::Trouble;
use crate::signature::pattern::ByteSet;

/// A vertical blank: `\v`.
const VERTICAL: &[u8] = b"\n\x0b\x0c\r\x85";
/// A horizontal one: `\h`.
const HORIZONTAL: &[u8] = b"\t \xa0";

/// `\d`, `\h` and the like.
pub(super) fn shorthand(text: &[u8]) -> Option<ByteSet> {
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

pub(super) fn posix(name: &[u8]) -> Option<ByteSet> {
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
pub(super) fn escaped(text: &[u8]) -> Result<(u8, usize), Trouble> {
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
pub(super) fn octal(text: &[u8], most: usize) -> (u32, usize) {
    let digits = text
        .iter()
        .take(most)
        .take_while(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold((0, 0), |(value, count), digit| {
        (value * 8 + u32::from(digit - b'0'), count + 1)
    })
}

/// The length of `{n}`, `{n,}` or `{n,m}`; anything else in braces is text.
pub(super) fn counted(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(16).position(|byte| *byte == b'}')?;
    let inside = text.get(1..end)?;
    let mut parts = inside.splitn(2, |byte| *byte == b',');
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let min = parts.next().filter(|min| !min.is_empty() && is_number(min));
    min?;
    parts.next().is_none_or(is_number).then_some(end + 1)
}

/// The length of a group's name with what ends it.
pub(super) fn name_length(text: &[u8], end: u8) -> Result<usize, Trouble> {
    let length = text.iter().position(|byte| *byte == end);
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match length {
        Some(length) if text.iter().take(length).all(is_word) && length > 0 => Ok(length + 1),
        _ => Err(Trouble::wrong(
            "the regular expression: a group without a proper name",
        )),
    }
}

pub(super) fn put_set(out: &mut String, set: &ByteSet, negated: bool) {
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

pub(super) fn put_byte(out: &mut String, byte: u8) {
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
