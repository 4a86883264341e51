//! Containers that are text: mail (RFC 5322, RFC 2045, RFC 4155), BinHex 4 (RFC 1741) and uuencode (POSIX).
#![forbid(unsafe_code)]

use crate::expand::mime::{self, Sure};
use crate::expand::{binhex, mbox, uu};
use crate::object::Probe;

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

/// A mail, and what may be one whose header goes on behind what can be seen.
pub(super) fn mime(probe: &Probe) -> bool {
    mime_start(probe) >= Some(Sure::Plain)
}

/// A text with a part of a mail in it: a field that names an encoding which readers decode wherever they find it.
pub(super) fn mime_part(probe: &Probe) -> bool {
    let names = |text: &[u8]| lines(text).next().and_then(mime::encoding).is_some();
    at_a_line(probe, b"C", names) || at_a_line(probe, b"c", names)
}

pub(super) fn perhaps_mime(probe: &Probe) -> bool {
    mime_start(probe) == Some(Sure::Open)
}

fn mime_start(probe: &Probe) -> Option<Sure> {
    let start = mime::start(&probe.head, probe.length)?;
    (start.torn || !mbox::begins(probe)).then_some(start.sure)
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
    at_a_line(probe, b"(", |text| {
        if !binhex::announces(text) {
            return false;
        }
        let following = lines(text).skip(1).map(<[u8]>::trim_ascii);
        let mut following = following
            .filter(|line| !line.is_empty())
            .take(binhex::BEFORE_COLON);
        following.clone().next().is_none() || following.any(binhex::is_first)
    })
}

/// A line `begin MODE NAME` and a well-formed line of content.
pub(super) fn uuencode(probe: &Probe) -> bool {
    let begins = |text: &[u8]| uu::begins(lines(text));
    at_a_line(probe, b"begin", begins) || at_a_line(probe, b"Begin", begins)
}
