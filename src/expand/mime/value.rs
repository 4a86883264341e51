//! Values of header fields: types, parameters (RFC 2045 §5.1, RFC 2231), and words in other character sets (RFC 2047).
#![forbid(unsafe_code)]

use encoding_rs::Encoding;

use crate::expand::transfer::{Base64, Padding, hex};
use std::io::Read;

/// Parameters that are looked at in one field.
const PARAMETERS: usize = 256;

/// Sections of one parameter.
const SECTIONS: u32 = 1_000;

/// A field's first word, without comments, quotes and white space, in small letters: `text/plain`, `base64`.
pub(super) fn word(value: &[u8]) -> Vec<u8> {
    let plain = without_comments(value);
    let end = plain.iter().position(|byte| *byte == b';');
    let word = plain.get(..end.unwrap_or(plain.len())).unwrap_or_default();
    let kept = word
        .iter()
        .filter(|byte| byte.is_ascii_graphic() && **byte != b'"' && **byte != b'\'');
    kept.map(u8::to_ascii_lowercase).collect()
}

/// The value without what stands in parentheses outside of quotes.
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for &byte in value {
        let taken = match byte {
            _ if escaped => {
                escaped = false;
                depth == 0
            }
            b'\\' if quoted || depth > 0 => {
                escaped = true;
                depth == 0
            }
            b'"' if depth == 0 => {
                quoted = !quoted;
                true
            }
            b'(' if !quoted => {
                depth += 1;
                false
            }
            b')' if depth > 0 => {
                depth -= 1;
                false
            }
            _ => depth == 0,
        };
        if taken {
            out.push(byte);
        }
    }
    // A parenthesis that nothing closes is no comment.
    if depth > 0 { value.to_vec() } else { out }
}

/// Tells whether a field has more parameters than are looked at.
pub(super) fn is_overfull(value: &[u8]) -> bool {
    memchr::memchr2_iter(b';', b'=', value).count() >= PARAMETERS
}

/// Every value that readers may find for a parameter, the standard's own first.
pub(super) fn parameter(value: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let plain = without_comments(value);
    for text in [&plain[..], value] {
        if let Some(joined) = sections(text, name) {
            add(&mut found, joined);
        }
        for (key, value) in parameters(text) {
            if key.eq_ignore_ascii_case(name.as_bytes()) {
                add(&mut found, unquoted(value));
            }
        }
    }
    naive(value, name, &mut found);
    found
}

fn add(found: &mut Vec<Vec<u8>>, value: Vec<u8>) {
    if !found.contains(&value) && found.len() < PARAMETERS {
        found.push(value);
    }
}

/// `name=value`, between semicolons outside of quotes.
fn parameters(text: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut parts = Vec::new();
    let (mut from, mut quoted, mut escaped) = (0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted && parts.len() < PARAMETERS => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    let pair = |part: &'_ [u8]| -> Option<(usize, usize)> {
        let equals = memchr::memchr(b'=', part)?;
        Some((equals, equals + 1))
    };
    parts
        .into_iter()
        .filter_map(|part| {
            let (end, from) = pair(part)?;
            let (key, value) = (part.get(..end)?, part.get(from..)?);
            Some((key.trim_ascii(), value.trim_ascii()))
        })
        .collect()
}

/// What is between the quotes, without its escapes; or the word up to white space.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(rest) = value.strip_prefix(b"\"") else {
        let white = value.iter().position(u8::is_ascii_whitespace);
        return value
            .get(..white.unwrap_or(value.len()))
            .unwrap_or(value)
            .to_vec();
    };
    let (mut out, mut escaped) = (Vec::new(), false);
    for &byte in rest {
        match byte {
            _ if escaped => {
                escaped = false;
                out.push(byte);
            }
            b'\\' => escaped = true,
            b'"' => break,
            _ => out.push(byte),
        }
    }
    out
}

/// A parameter in sections or with a character set (RFC 2231): `name*0*=utf-8''a; name*1=b`.
fn sections(text: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut parts: Vec<(u32, bool, &[u8])> = Vec::new();
    for (key, value) in parameters(text) {
        let Some((stem, rest)) = key.split_at_checked(name.len()) else {
            continue;
        };
        let Some(rest) = rest
            .strip_prefix(b"*")
            .filter(|_| stem.eq_ignore_ascii_case(name.as_bytes()))
        else {
            continue;
        };
        let (number, encoded) = match rest.strip_suffix(b"*") {
            Some(number) => (number, true),
            None if rest.is_empty() => (rest, true),
            None => (rest, false),
        };
        let number = match number {
            b"" => Some(0),
            _ => crate::expand::number::digits(number, 10).and_then(|n| u32::try_from(n).ok()),
        };
        if let Some(number) = number.filter(|number| *number < SECTIONS) {
            parts.push((number, encoded, value));
        }
    }
    if parts.is_empty() {
        return None;
    }
    parts.sort_by_key(|part| part.0);
    let (mut bytes, mut charset) = (Vec::new(), Vec::new());
    for (number, encoded, value) in parts {
        let mut value = unquoted(value);
        if encoded {
            if number == 0 {
                let mut fields = value.splitn(3, |byte| *byte == b'\'');
                if let (Some(set), Some(_), Some(rest)) =
                    (fields.next(), fields.next(), fields.next())
                {
                    charset = set.to_vec();
                    value = rest.to_vec();
                }
            }
            value = percent(&value);
        }
        bytes.extend(value);
    }
    Some(decoded(&charset, &bytes))
}

fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let pair = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    out
}

/// How readers look for a parameter that do not parse: behind its name and `=`, up to the next quote, semicolon, or
/// white space.
fn naive(value: &[u8], name: &str, found: &mut Vec<Vec<u8>>) {
    let lower = value.to_ascii_lowercase();
    for at in memchr::memmem::find_iter(&lower, name).take(PARAMETERS) {
        let rest = value.get(at + name.len()..).unwrap_or_default();
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"=") else {
            continue;
        };
        let rest = rest.trim_ascii_start();
        let until = |rest: &[u8], stop: fn(&u8) -> bool| {
            let end = rest.iter().position(stop).unwrap_or(rest.len());
            rest.get(..end)
                .unwrap_or_default()
                .trim_ascii_end()
                .to_vec()
        };
        if let Some(inner) = rest.strip_prefix(b"\"") {
            add(found, until(inner, |byte| *byte == b'"'));
            // Folding inside the quotes, of which some readers keep nothing.
            let tight = until(inner, |byte| *byte == b'"');
            add(
                found,
                tight
                    .into_iter()
                    .filter(|byte| !matches!(byte, b' ' | b'\t'))
                    .collect(),
            );
        } else if let Some(inner) = rest.strip_prefix(b"'") {
            add(found, until(inner, |byte| *byte == b'\''));
            add(
                found,
                until(rest, |byte| matches!(byte, b';' | b' ' | b'\t')),
            );
        } else {
            add(
                found,
                until(rest, |byte| matches!(byte, b';' | b' ' | b'\t')),
            );
            add(found, until(rest, |byte| *byte == b';'));
        }
    }
}

/// A name for people: encoded words are decoded, folders and what no name has are taken off.
pub(super) fn file_name(value: &[u8]) -> Vec<u8> {
    let name = words(value);
    let name: Vec<u8> = name
        .into_iter()
        .filter(|byte| !byte.is_ascii_control())
        .collect();
    name.trim_ascii().to_vec()
}

/// The text with its encoded words (`=?utf-8?B?…?=`) decoded. White space between two of them is none.
pub(super) fn words(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut after_word = false;
    while !rest.is_empty() {
        let white = rest.len() - rest.trim_ascii_start().len();
        let (blank, behind) = rest.split_at_checked(white).unwrap_or((b"", rest));
        if let Some((word, left)) = encoded_word(behind) {
            if !after_word {
                out.extend_from_slice(blank);
            }
            out.extend(word);
            rest = left;
            after_word = true;
            continue;
        }
        after_word = false;
        let next = behind
            .iter()
            .skip(1)
            .position(|byte| byte.is_ascii_whitespace() || *byte == b'=');
        let end = next.map_or(behind.len(), |at| at + 1);
        out.extend_from_slice(blank);
        out.extend_from_slice(behind.get(..end).unwrap_or_default());
        rest = behind.get(end..).unwrap_or_default();
    }
    out
}

fn encoded_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let rest = text.strip_prefix(b"=?")?;
    let mut fields = rest.splitn(3, |byte| *byte == b'?');
    let (charset, encoding, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let end = memchr::memmem::find(rest, b"?=")?;
    let coded = rest.get(..end)?;
    let after = rest.get(end + 2..)?;
    let bytes = match encoding {
        b"b" | b"B" => {
            let mut out = Vec::new();
            let _ = Base64::new(coded, Padding::EndsGroup).read_to_end(&mut out);
            out
        }
        b"q" | b"Q" => {
            let spaced: Vec<u8> = coded
                .iter()
                .map(|byte| if *byte == b'_' { b' ' } else { *byte })
                .map(|byte| if byte == b'=' { b'%' } else { byte })
                .collect();
            percent(&spaced)
        }
        _ => return None,
    };
    // A language may stand behind the character set (RFC 2231 §5).
    let charset = charset
        .split(|byte| *byte == b'*')
        .next()
        .unwrap_or(charset);
    Some((decoded(charset, &bytes), after))
}

/// Text in a character set as UTF-8; as it is, where nobody knows the set.
fn decoded(charset: &[u8], bytes: &[u8]) -> Vec<u8> {
    match Encoding::for_label(charset) {
        Some(encoding) if !charset.is_empty() => encoding
            .decode_without_bom_handling(bytes)
            .0
            .into_owned()
            .into_bytes(),
        _ => bytes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: Vec<Vec<u8>>) -> Vec<String> {
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        values.into_iter().map(text).collect()
    }

    #[test]
    fn the_first_word_is_free_of_what_surrounds_it() {
        let rows: [(&[u8], &str); 8] = [
            (b" Text/Plain; charset=x", "text/plain"),
            (b" (a (b) c) multipart/mixed (d)", "multipart/mixed"),
            (b"\"multipart/mixed\"", "multipart/mixed"),
            (b"multi(x)part / mixed", "multipart/mixed"),
            (b"base64;", "base64"),
            (b"'base64'", "base64"),
            (b"base64 (open", "base64(open"),
            (b"", ""),
        ];
        for (value, wanted) in rows {
            assert_eq!(word(value), wanted.as_bytes());
        }
    }

    #[test]
    fn every_value_that_readers_find_is_found() {
        let rows: [(&str, &[&str]); 13] = [
            ("a/b; boundary=xyz", &["xyz"]),
            ("a/b; boundary=\"x y\"", &["x y", "xy"]),
            ("a/b; boundary=\"x\\\"y\"", &["x\"y", "x\\"]),
            ("a/b; BOUNDARY = xyz ; c=d", &["xyz"]),
            ("a/b; boundary=one; boundary=two", &["one", "two"]),
            ("a/b; boundary=x(c)y", &["xy", "x(c)y"]),
            ("a/b; boundary='x'", &["'x'", "x"]),
            ("a/b; boundary*=us-ascii'en'x%79z", &["xyz"]),
            ("a/b; boundary*1=yz; boundary*0=x", &["xyz"]),
            ("a/b; boundary*0*=''x%20; boundary*1=\"z\"", &["x z"]),
            ("a/b boundary=xyz", &["xyz"]),
            ("a/b; c=\"d; boundary=e\"", &["e\""]),
            ("a/b; boundary=x y", &["x", "x y"]),
        ];
        for (value, wanted) in rows {
            assert_eq!(
                texts(parameter(value.as_bytes(), "boundary")),
                wanted,
                "{value}"
            );
        }
    }

    #[test]
    fn words_in_other_character_sets_become_utf_8() {
        let rows: [(&[u8], &str); 8] = [
            (b"plain name.txt", "plain name.txt"),
            (b"=?iso-8859-1?Q?gr=F6=DFe_1?= x", "größe 1 x"),
            (b"=?UTF-8?B?Z3LDtsOfZQ==?=\t =?utf-8?q?n?=", "größen"),
            (b"=?koi8-r?B?8NLJ18XU?=.exe", "Привет.exe"),
            (b"=?utf-8*de?Q?a?=", "a"),
            (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
            (b"=?nobody?Q?a=62?=", "ab"),
            (b"a=b =", "a=b ="),
        ];
        for (value, wanted) in rows {
            assert_eq!(String::from_utf8(words(value)).unwrap(), wanted);
        }
    }
}
