//! Containers that are text: mail (RFC 5322, RFC 2045, RFC 4155), BinHex 4 (RFC 1741) and uuencode (POSIX).
#![forbid(unsafe_code)]

use crate::expand::mime::field;
use crate::expand::{binhex, mbox, uu};
use crate::object::Probe;

/// More header lines than this no mail has.
const HEADER_LINES: usize = 2_000;

/// Lines that are no field, in the header of what is clearly a mail.
const STRANGE: usize = 20;

/// Zeros that a mail's header may have by mistake, or to mislead; a text of two bytes for each character has more.
const ZEROS: usize = 16;

/// Lines without their ends, of which there are three.
fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        let (line, rest) = text.split_at_checked(end)?;
        text = rest
            .strip_prefix(b"\r\n")
            .or(rest.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

/// A mail whose parts are worth looking into: it begins with header lines, and one of them speaks of MIME.
pub(super) fn mime(probe: &Probe) -> bool {
    let zeros = memchr::memchr_iter(0, &probe.head).take(ZEROS + 1).count();
    if (1..=ZEROS).contains(&zeros) {
        let head: Vec<u8> = probe
            .head
            .iter()
            .copied()
            .filter(|byte| *byte != 0)
            .collect();
        return begins_mail(&head);
    }
    !mbox::begins(probe) && begins_mail(&probe.head)
}

fn begins_mail(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines = lines(head).peekable();
    while lines.next_if(|line| line.trim_ascii().is_empty()).is_some() {}
    // Forwarded mails may still have the line of a mailbox in front of them.
    lines.next_if(|line| line.starts_with(b"From ") || line.starts_with(b">From "));
    let (mut says_mime, mut is_mail) = (false, false);
    let (mut count, mut strange) = (0_usize, 0_usize);
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
            strange += 1;
            if says_mime && count > 1 {
                return true;
            }
            // Readers pass over such lines in a mail's header; other texts end here.
            if !is_mail || strange > STRANGE {
                return false;
            }
            continue;
        };
        count += 1;
        is_mail |= mbox::is_of_mail(name);
        says_mime |= speaks_of_mime(name, value);
    }
    says_mime
}

/// A folded `Content-Type:` has its value on the next line.
fn says_mime_type(head: &[u8]) -> bool {
    lines(head)
        .filter_map(field)
        .any(|(name, _)| name.eq_ignore_ascii_case(b"content-type"))
}

fn speaks_of_mime(name: &[u8], value: &[u8]) -> bool {
    let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
    is(b"MIME-Version")
        || is(b"Content-Transfer-Encoding")
        || (is(b"Content-Type") && is_composite(value))
}

/// A type that has parts, also behind a comment.
fn is_composite(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&value, word).is_some();
    has(b"multipart/") || has(b"message/")
}

/// Tells whether something stands at the start of a line in either end of the content, and holds there.
fn at_a_line(probe: &Probe, start: &[u8], holds: fn(&[u8]) -> bool) -> bool {
    [&probe.head, &probe.tail].iter().any(|text| {
        memchr::memmem::find_iter(text, start).any(|at| {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            matches!(before, None | Some(b'\n' | b'\r')) && text.get(at..).is_some_and(holds)
        })
    })
}

/// The line that BinHex 4 begins with, and its first colon.
pub(super) fn binhex(probe: &Probe) -> bool {
    let bare = |text: &[u8]| lines(text).next().is_some_and(binhex::begins);
    if at_a_line(probe, b":", bare) {
        return true;
    }
    at_a_line(probe, binhex::START, |text| {
        let mut following = lines(text).skip(1).map(<[u8]>::trim_ascii);
        let next = following.find(|line| !line.is_empty());
        next.is_none_or(|line| line.starts_with(b":"))
    })
}

/// A line `begin MODE NAME` and a well-formed line of content.
pub(super) fn uuencode(probe: &Probe) -> bool {
    at_a_line(probe, b"begin", |text| uu::begins(lines(text)))
}
