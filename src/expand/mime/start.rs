//! Where a mail begins, and whether a content is one: its first bytes may be something else.
//!
//! Mail programs pass over much that stands before the first field: empty lines, the line of a mailbox, the rest of a line that was
//! folded, a number (`.emlx`), the first line of HTTP. What stands there is not asked, but behind it the header must be clearly that
//! of a mail: other texts quote mails, too.
#![forbid(unsafe_code)]

use super::header::field;
use crate::object::Probe;

/// Zeros that a mail's header may have by mistake, or to mislead; a text of two bytes for each character has more.
const ZEROS: usize = 16;

/// Lines before the header that are passed over, and the bytes that they may have.
const LEADING: usize = 20;
const LEADING_BYTES: usize = 4 * 1024;

/// Lines that are no field, in the header of what is clearly a mail.
const STRANGE: usize = 20;

/// Names that only a mail has, the first of them also where a mail has nothing else.
const NAMES: [&str; 12] = [
    "from",
    "to",
    "date",
    "subject",
    "received",
    "return-path",
    "message-id",
    "reply-to",
    "delivered-to",
    "cc",
    "sender",
    "mime-version",
];

/// The place of `mime-version` among them.
const MIME_VERSION: usize = 11;

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::expand) enum Sure {
    /// As far as can be seen there is nothing but fields: whether it is a mail shows further on.
    Open,
    /// It has the fields of a mail, and none that speaks of MIME.
    Plain,
    /// A mail with parts, or an encoded one.
    Mime,
}

/// A header that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::expand) struct Start {
    /// Where its first field begins.
    pub(in crate::expand) at: usize,
    pub(in crate::expand) sure: Sure,
    /// Zeros stand between its characters.
    pub(in crate::expand) torn: bool,
}

/// Tells whether only a mail has a field of this name.
pub(in crate::expand) fn is_of_mail(name: &[u8]) -> bool {
    place(name).is_some()
}

fn place(name: &[u8]) -> Option<usize> {
    NAMES
        .iter()
        .position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Looks for the header of a mail in the start of a content of `length` bytes.
pub(in crate::expand) fn start(head: &[u8], length: u64) -> Option<Start> {
    let whole = head.len() as u64 >= length;
    let zeros = memchr::memchr_iter(0, head).take(ZEROS + 1).count();
    if (1..=ZEROS).contains(&zeros) {
        let plain: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
        let found = find(&plain, whole)?;
        let mut places = head.iter().enumerate().filter(|(_, byte)| **byte != 0);
        let at = places.nth(found.at).map_or(0, |(at, _)| at);
        let torn = true;
        return Some(Start { at, torn, ..found });
    }
    let (at, sure, torn) = (0, Sure::Mime, false);
    let is_bare = bare(head).is_some();
    is_bare
        .then_some(Start { at, sure, torn })
        .or_else(|| find(head, whole))
}

/// Tells whether it is a mail, and not another text with a part of one in it.
pub fn is_mail(probe: &Probe) -> bool {
    start(&probe.head, probe.length).is_some()
}

/// Tells whether it is a mail that speaks of MIME.
pub fn is_mime(probe: &Probe) -> bool {
    start(&probe.head, probe.length).is_some_and(|start| start.sure == Sure::Mime)
}

/// Looks for the header of a mail at the start of a content; `whole` tells that `head` is all of it.
fn find(head: &[u8], whole: bool) -> Option<Start> {
    let mut lines = Lines::new(head);
    if head.starts_with(b"\xef\xbb\xbf") {
        lines.at = 3;
    }
    let mut ahead = lines;
    while lines
        .next()
        .is_some_and(|line| line.text.trim_ascii().is_empty())
    {
        ahead = lines;
    }
    // Forwarded mails may still have the line of a mailbox in front of them.
    let mut behind = ahead;
    let first = behind.next()?;
    if first.text.starts_with(b"From ") || first.text.starts_with(b">From ") {
        ahead = behind;
    }
    let usual = Header::read(ahead, true).sure(whole);
    let known = |sure| Start {
        at: ahead.at,
        sure,
        torn: false,
    };
    if usual >= Some(Sure::Plain) {
        return usual.map(known);
    }
    behind_something(ahead, whole).or(usual.map(known))
}

/// A header behind lines that are none of it.
fn behind_something(mut lines: Lines<'_>, whole: bool) -> Option<Start> {
    let mut http = false;
    for _ in 0..=LEADING {
        let here = lines;
        let line = lines.next()?;
        let from = line.start;
        // A catalogue of translations has such a header behind its tables.
        let zeros = memchr::memchr_iter(0, line.text).take(ZEROS + 1).count();
        if from > LEADING_BYTES || zeros > ZEROS {
            return None;
        }
        // Blanks before the first field are the rest of nothing.
        let white = line.text.len() - line.text.trim_ascii_start().len();
        let at = Lines {
            at: from + white,
            ..here
        };
        if field(line.text.trim_ascii_start()).is_some() {
            let header = Header::read(at, false);
            if header.is_clearly_mail(whole) || http && header.composite {
                let sure = Sure::Mime;
                let (at, torn) = (at.at, false);
                return Some(Start { at, sure, torn });
            }
        }
        http |= is_http(line.text);
    }
    None
}

/// The first line of a request or an answer.
fn is_http(line: &[u8]) -> bool {
    let is_request = || memchr::memmem::find(line, b" HTTP/").is_some();
    line.starts_with(b"HTTP/") || line.first().is_some_and(u8::is_ascii_uppercase) && is_request()
}

/// A multipart without the header that names its boundary, as uploads are kept: its first line is a delimiter, and a field of a
/// part stands in the next. Gives the boundary.
pub(in crate::expand) fn bare(head: &[u8]) -> Option<&[u8]> {
    let mut lines = Lines::new(head);
    let boundary = lines.next()?.text.strip_prefix(b"--")?.trim_ascii_end();
    let (name, _) = field(lines.next()?.text)?;
    let of_part = name
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    // A line of hyphens is one.
    let is_named = boundary.iter().any(u8::is_ascii_alphanumeric);
    ((4..=256).contains(&boundary.len()) && is_named && of_part).then_some(boundary)
}

/// What the lines of a header say.
#[derive(Default)]
struct Header {
    fields: usize,
    /// Which of [`NAMES`] there are.
    names: u16,
    mime: bool,
    composite: bool,
    /// A line ended it, not the end of what can be seen.
    ended: bool,
    /// No mail: lines that are no fields, before there was anything of a mail.
    foreign: bool,
}

impl Header {
    /// Reads a header; with `lenient`, over lines that are no fields, as readers do in what is clearly a mail.
    fn read(mut lines: Lines<'_>, lenient: bool) -> Self {
        let mut header = Self::default();
        let mut is_type = false;
        let mut strange = 0_usize;
        while let Some(line) = lines.next() {
            let text = line.text;
            if text.is_empty() {
                if line.is_torn {
                    continue;
                }
                header.ended = true;
                break;
            }
            let continued = text.starts_with(b" ") || text.starts_with(b"\t");
            if continued && header.fields > 0 {
                header.composite |= is_type && is_composite(text);
                header.mime |= header.composite;
                continue;
            }
            let Some((name, value)) = field(text) else {
                strange += 1;
                if header.mime && header.fields > 1 {
                    header.ended = true;
                    break;
                }
                // Readers pass over such lines in a mail's header; other texts end here.
                if !lenient || header.names == 0 || strange > STRANGE {
                    header.ended = true;
                    header.foreign = true;
                    break;
                }
                continue;
            };
            header.fields += 1;
            if let Some(place) = place(name) {
                header.names |= 1 << place;
            }
            let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
            is_type |= is(b"Content-Type");
            header.composite |= is(b"Content-Type") && is_composite(value);
            header.mime |= header.composite || is(b"MIME-Version") || is_encoding(name);
        }
        header
    }

    fn names(&self) -> u32 {
        (self.names & !(1 << MIME_VERSION)).count_ones()
    }

    fn sure(&self, whole: bool) -> Option<Sure> {
        if self.mime && !(self.foreign && self.fields < 2) {
            Some(Sure::Mime)
        } else if self.names() >= 2 {
            Some(Sure::Plain)
        } else if !whole && !self.ended && self.fields > 0 {
            Some(Sure::Open)
        } else {
            None
        }
    }

    fn is_clearly_mail(&self, whole: bool) -> bool {
        let goes_on = !whole && !self.ended && self.names() >= 2;
        self.names != 0 && self.fields >= 2 && (self.mime || goes_on)
    }
}

/// What the field is called that says how a body is encoded.
pub(super) const ENCODING: &[u8] = b"Content-Transfer-Encoding";

/// This field, also to readers that look for its name anywhere in a line.
pub(super) fn is_encoding(name: &[u8]) -> bool {
    let end = name.get(name.len().saturating_sub(ENCODING.len())..);
    end.is_some_and(|end| end.eq_ignore_ascii_case(ENCODING))
}

/// A type that has parts, also behind a comment.
fn is_composite(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&value, word).is_some();
    has(b"multipart/") || has(b"message/")
}

/// Lines without their ends, of which there are three.
#[derive(Clone, Copy)]
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    /// The line before has characters, and ended with CR alone.
    cut: bool,
}

struct Line<'a> {
    text: &'a [u8],
    start: usize,
    /// It has nothing but the end of the line before, which is CR CR LF.
    is_torn: bool,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            cut: false,
        }
    }

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (text, behind) = rest.split_at_checked(end)?;
        let is_windows = behind.starts_with(b"\r\n");
        let width = if is_windows { 2 } else { 1 };
        let is_torn = self.cut && text.is_empty() && is_windows;
        self.cut = !text.is_empty() && behind.starts_with(b"\r") && !is_windows;
        self.at = (start + end + width).min(self.text.len());
        Some(Line {
            text,
            start,
            is_torn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: a@b\nSubject: x\nMIME-Version: 1.0\n\ntext\n";

    fn sure(text: &str) -> Option<Sure> {
        find(text.as_bytes(), true).map(|start| start.sure)
    }

    #[test]
    fn what_stands_before_a_header_is_passed_over() {
        let before = [
            "",
            "\n\n",
            " \n",
            "\u{feff}",
            "From a@b\n",
            "\n>From a@b\n",
            " ",
            "\t",
            "\tby somebody; Mon, 1 Jan 2024 00:00:00 +0000\n",
            "no field\n",
            "845\n",
            "a line\nanother: line\n\n",
        ];
        for text in before {
            let mail = format!("{text}{MAIL}");
            let start = find(mail.as_bytes(), true).unwrap();
            let wanted = text.len();
            assert_eq!((start.at, start.sure), (wanted, Sure::Mime), "{text:?}");
        }
        let request =
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n";
        assert_eq!(sure(request), Some(Sure::Mime));
        let answer = "HTTP/1.0 200 OK\nContent-Type: multipart/x; boundary=b\n\n";
        assert_eq!(sure(answer), Some(Sure::Mime));
    }

    #[test]
    fn a_header_may_have_a_carriage_return_too_many() {
        let mail = MAIL.replace('\n', "\r\r\n");
        assert_eq!(sure(&mail), Some(Sure::Mime));
        let mail = MAIL.replace("b\n", "b\r\r\n");
        assert_eq!(sure(&mail), Some(Sure::Mime));
        assert_eq!(
            sure("From: a\r\r\n\r\nMIME-Version: 1.0\r\n\r\n"),
            None,
            "it has ended"
        );
    }

    #[test]
    fn a_header_without_mime_is_that_of_a_mail_or_goes_on() {
        assert_eq!(sure("From: a\nTo: b\n\ntext"), Some(Sure::Plain));
        assert_eq!(sure("From: a\n\ntext"), None);
        assert_eq!(sure("X-A: a\n"), None);
        let start = find(b"X-A: aaaaaaa", false);
        assert_eq!(start.map(|start| start.sure), Some(Sure::Open));
        assert_eq!(find(b"X-A: a\n\nmore", false), None);
        assert_eq!(find(b"no field\nX-A: a\n", false), None);
    }

    #[test]
    fn other_texts_are_no_mails() {
        let texts = [
            "Package: x\nVersion: 1\nContent: y\n\n",
            "text about mail:\nFrom: a\n\nMIME-Version: 1.0\n",
            "Example:\n\n    From: a\n    b\n    MIME-Version: 1.0\n",
            "Example:\n  Content-Type: multipart/mixed\n",
            "\u{12}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0To: x\nFrom: a\nMIME-Version: 1.0\n\n",
        ];
        for text in texts {
            assert_eq!(sure(text), None, "{text}");
        }
    }

    #[test]
    fn a_multipart_alone_has_its_boundary() {
        let text = b"--xyzw\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        assert_eq!(bare(text), Some(&b"xyzw"[..]));
        assert_eq!(bare(b"--xyzw\nName: x\n"), None);
        assert_eq!(bare(b"--\nContent-Type: x\n"), None);
        assert_eq!(bare(b"xyzw\nContent-Type: x\n"), None);
    }
}
