//! Containers that are text: mail (RFC 5322, RFC 2045, RFC 4155), BinHex 4 (RFC 1741) and uuencode (POSIX).
#![forbid(unsafe_code)]

use crate::object::Probe;

/// More header lines than this no mail has.
const HEADER_LINES: usize = 2_000;

/// Lines without their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A mail whose parts are worth looking into: it begins with header lines, and one of them speaks of MIME.
pub(super) fn mime(probe: &Probe) -> bool {
    let head = probe
        .head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&probe.head);
    let mut lines = lines(head).peekable();
    while lines.next_if(|line| line.is_empty()).is_some() {}
    // An mbox has a line in front of each mail, and quotes it with `>` in a forwarded one.
    lines.next_if(|line| line.starts_with(b"From ") || line.starts_with(b">From "));
    let mut says_mime = false;
    let mut count = 0;
    for line in lines.take(HEADER_LINES) {
        if line.is_empty() {
            break;
        }
        let continued = line.starts_with(b" ") || line.starts_with(b"\t");
        if continued && count > 0 {
            says_mime |= is_composite(line) && says_mime_type(head);
            continue;
        }
        let Some((name, value)) = field(line) else {
            return says_mime && count > 1;
        };
        count += 1;
        says_mime |= speaks_of_mime(name, value);
    }
    says_mime
}

/// A folded `Content-Type:` has its value on the next line.
fn says_mime_type(head: &[u8]) -> bool {
    lines(head)
        .filter_map(field)
        .any(|(name, value)| name.eq_ignore_ascii_case(b"content-type") && value.is_empty())
}

/// Name and value of a header line.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let name = name.trim_ascii_end();
    let valid = !name.is_empty() && name.len() <= 76 && name.iter().all(u8::is_ascii_graphic);
    valid.then_some((name, value.trim_ascii()))
}

fn speaks_of_mime(name: &[u8], value: &[u8]) -> bool {
    let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
    is(b"MIME-Version")
        || is(b"Content-Transfer-Encoding")
        || (is(b"Content-Type") && is_composite(value))
}

/// A type that has parts.
fn is_composite(value: &[u8]) -> bool {
    let value = value.trim_ascii().to_ascii_lowercase();
    value.starts_with(b"multipart/") || value.starts_with(b"message/")
}

/// The line that BinHex 4 begins with, and its first colon.
pub(super) fn binhex(probe: &Probe) -> bool {
    const START: &[u8] = b"(This file must be converted with BinHex";
    memchr::memmem::find_iter(&probe.head, START).any(|at| {
        let before = at.checked_sub(1).and_then(|at| probe.head.get(at));
        let after = probe.head.get(at..).unwrap_or_default();
        let mut following = lines(after)
            .skip(1)
            .filter(|line| !line.trim_ascii().is_empty());
        matches!(before, None | Some(b'\n' | b'\r'))
            && following.next().is_none_or(|line| line.starts_with(b":"))
    })
}

/// A line `begin MODE NAME` and a well-formed line of content.
pub(super) fn uuencode(probe: &Probe) -> bool {
    memchr::memmem::find_iter(&probe.head, b"begin").any(|at| {
        let before = at.checked_sub(1).and_then(|at| probe.head.get(at));
        matches!(before, None | Some(b'\n')) && probe.head.get(at..).is_some_and(begins_uuencode)
    })
}

fn begins_uuencode(text: &[u8]) -> bool {
    let mut lines = lines(text);
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return false;
    };
    if let Some(rest) = first.strip_prefix(b"begin-base64 ") {
        return has_mode_and_name(rest) && is_base64(second);
    }
    let begins = first.strip_prefix(b"begin ").is_some_and(has_mode_and_name);
    begins && (is_uu_line(second) || is_empty_uu(second, lines.next()))
}

fn has_mode_and_name(text: &[u8]) -> bool {
    let mode = text
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    let name = text.get(mode..).and_then(|rest| rest.strip_prefix(b" "));
    (3..=4).contains(&mode) && name.is_some_and(|name| !name.trim_ascii().is_empty())
}

/// The first character is the count of bytes, four characters are three of them. Blanks at the end may be lost, and
/// some writers add a checksum.
fn is_uu_line(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_first() else {
        return false;
    };
    let count = usize::from(first.wrapping_sub(b' ') & 0x3f);
    let full = count.div_ceil(3) * 4;
    (b'!'..=b'_').contains(first)
        && rest.len() <= full + 1
        && rest.len() * 2 >= full
        && rest.iter().all(|byte| (b' '..=b'`').contains(byte))
}

/// An empty file: a line of no bytes and the end.
fn is_empty_uu(line: &[u8], next: Option<&[u8]>) -> bool {
    matches!(line, b"`" | b" " | b"") && next.is_some_and(|line| line.starts_with(b"end"))
}

fn is_base64(line: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    !line.is_empty() && line.len().is_multiple_of(4) && line.iter().all(digit)
}
