//! Containers that are text: mail (RFC 5322, RFC 2045, RFC 4155), BinHex 4 (RFC 1741), uuencode (POSIX) and yEnc.
//!
//! Each is told by the start of a line, so that the lines are gone through once for all of them; but a field's name may have letters in front.
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::expand::mime::{self, Sure};
use crate::expand::{binhex, mbox, uu, yenc};
use crate::object::Probe;

/// A content that may be text. What is asked for is read once, and only if it is asked for.
pub(super) struct Text<'a> {
    probe: &'a Probe,
    mailbox: OnceCell<bool>,
    mail: OnceCell<Option<Sure>>,
    marks: OnceCell<Marks>,
}

impl<'a> Text<'a> {
    pub(super) fn new(probe: &'a Probe) -> Self {
        Self {
            probe,
            mailbox: OnceCell::new(),
            mail: OnceCell::new(),
            marks: OnceCell::new(),
        }
    }

    fn is_mailbox(&self) -> bool {
        *self.mailbox.get_or_init(|| mbox::begins(self.probe))
    }

    fn mail(&self) -> Option<Sure> {
        *self.mail.get_or_init(|| {
            let start = mime::start(&self.probe.head, self.probe.length)?;
            (start.torn || !self.is_mailbox()).then_some(start.sure)
        })
    }

    fn marks(&self) -> &Marks {
        self.marks.get_or_init(|| Marks::of(self.probe))
    }
}

pub(super) fn mailbox(text: &Text<'_>) -> bool {
    text.is_mailbox()
}

/// A mail, and what may be one whose header goes on behind what can be seen.
pub(super) fn mail(text: &Text<'_>) -> bool {
    text.mail() >= Some(Sure::Plain)
}

pub(super) fn perhaps_mail(text: &Text<'_>) -> bool {
    text.mail() == Some(Sure::Open)
}

/// The line that BinHex 4 begins with, and its first colon.
pub(super) fn binhex(text: &Text<'_>) -> bool {
    text.marks().binhex
}

/// A line `begin MODE NAME` and a well-formed line of content.
pub(super) fn uuencode(text: &Text<'_>) -> bool {
    text.marks().uu
}

pub(super) fn yenc(text: &Text<'_>) -> bool {
    text.marks().yenc
}

/// A text with a part of a mail in it: a field that names an encoding which readers decode wherever they find it.
pub(super) fn part_of_mail(text: &Text<'_>) -> bool {
    text.marks().part
}

/// What stands at the start of a line in either end of a content.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marks {
    binhex: bool,
    uu: bool,
    yenc: bool,
    part: bool,
}

impl Marks {
    fn of(probe: &Probe) -> Self {
        let mut marks = Self::default();
        for text in probe.ends() {
            let announced = OnceCell::new();
            let is_announced =
                |at: usize| *announced.get_or_init(|| binhex::last_word(text)) >= Some(at);
            for at in starts(text) {
                let rest = text.get(at..).unwrap_or_default();
                let line = || lines(rest).next().unwrap_or_default();
                match rest.first() {
                    Some(b'C' | b'c') => {
                        marks.part = marks.part || mime::encoding(line()).is_some();
                    }
                    Some(b'b' | b'B') => marks.uu = marks.uu || uu::begins(lines(rest)),
                    Some(b'=') => marks.yenc = marks.yenc || yenc::begins(rest, line),
                    Some(b':') => marks.binhex = marks.binhex || binhex::begins(line()),
                    Some(b'(') => {
                        // The word may be in any line behind it.
                        let word = || binhex::is_usual(rest) || is_announced(at);
                        marks.binhex = marks.binhex || word() && is_followed(rest);
                    }
                    _ => {}
                }
            }
            marks.part = marks.part || names_encoding(text);
        }
        marks
    }
}

/// Tells whether a field names the encoding of a body whose name has letters in front: readers look for it anywhere in a line.
fn names_encoding(text: &[u8]) -> bool {
    /// The end of the line before is among so many bytes in front of the word: the name of a field is no longer.
    const BEFORE: usize = 77;
    WORDS.iter().any(|word| {
        word.find_iter(text).any(|at| {
            let from = at.saturating_sub(BEFORE);
            let before = text.get(from..at).unwrap_or_default();
            let end = memchr::memrchr2(b'\n', b'\r', before).map(|end| from + end + 1);
            let start = end.or((from == 0).then_some(0));
            let rest = start.and_then(|start| text.get(start..));
            let line = lines(rest.unwrap_or_default()).next();
            mime::encoding(line.unwrap_or_default()).is_some()
        })
    })
}

/// Of the name `Content-Transfer-Encoding`, as nearly all write it.
static WORDS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [&b"ransfer-"[..], b"RANSFER-"].map(Finder::new));

/// A mark begins with one of these: `BCbc` are one but for two bits.
fn is_start(byte: u8) -> bool {
    (byte & 0xde == b'B') | (byte == b'=') | (byte == b':') | (byte == b'(')
}

/// Where a line begins with what a mark begins with.
fn starts(text: &[u8]) -> impl Iterator<Item = usize> {
    /// A block is looked at as a whole first: many of its bytes in one step. In most there is nothing.
    const BLOCK: usize = 128;
    let behind = text.get(1..).unwrap_or_default();
    let blocks = text.chunks(BLOCK).zip(behind.chunks(BLOCK)).enumerate();
    let blocks = blocks.filter(|(_, (before, bytes))| {
        let is_end = |byte: u8| (byte == b'\n') | (byte == b'\r');
        let pairs = before.iter().zip(*bytes);
        pairs.fold(false, |any, (before, byte)| {
            any | is_end(*before) & is_start(*byte)
        })
    });
    let behind = blocks.flat_map(|(number, (before, bytes))| {
        let ends = memchr::memchr2_iter(b'\n', b'\r', before);
        let held = ends.filter(|end| bytes.get(*end).is_some_and(|byte| is_start(*byte)));
        held.map(move |end| number * BLOCK + end + 1)
    });
    let first = text.first().is_some_and(|byte| is_start(*byte));
    first.then_some(0).into_iter().chain(behind)
}

/// Behind this line of BinHex is the first one of a file, or nothing.
fn is_followed(text: &[u8]) -> bool {
    let following = lines(text).skip(1).map(<[u8]>::trim_ascii);
    let mut following = following
        .filter(|line| !line.is_empty())
        .take(binhex::BEFORE_COLON);
    following.clone().next().is_none() || following.any(binhex::is_first)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::object;

    /// Tells whether something stands at the start of a line in either end of the content, and holds there.
    fn at_a_line(probe: &Probe, start: &[u8], holds: impl Fn(&[u8]) -> bool) -> bool {
        [&probe.head, &probe.tail].iter().any(|text| {
            memchr::memmem::find_iter(text, start).any(|at| {
                let before = at.checked_sub(1).and_then(|at| text.get(at));
                matches!(before, None | Some(b'\n' | b'\r')) && text.get(at..).is_some_and(&holds)
            })
        })
    }

    fn announces(text: &[u8]) -> bool {
        let mut words = text.windows(6);
        text.starts_with(b"(This file ")
            || text.starts_with(b"(") && words.any(|word| word.eq_ignore_ascii_case(b"BinHex"))
    }

    /// Each mark looked for by itself.
    fn one_by_one(probe: &Probe) -> Marks {
        let first = |text: &[u8]| lines(text).next().unwrap_or_default().to_vec();
        let names = |text: &[u8]| mime::encoding(&first(text)).is_some();
        let bare = |text: &[u8]| binhex::begins(&first(text));
        let uu = |text: &[u8]| uu::begins(lines(text));
        let yenc = |text: &[u8]| yenc::begins(text, || lines(text).next().unwrap_or_default());
        let announced = |text: &[u8]| announces(text) && is_followed(text);
        Marks {
            binhex: at_a_line(probe, b":", bare) || at_a_line(probe, b"(", announced),
            uu: at_a_line(probe, b"begin", uu) || at_a_line(probe, b"Begin", uu),
            yenc: at_a_line(probe, b"=ybegin ", yenc),
            part: probe.ends().any(|text| lines(text).any(names)),
        }
    }

    const PIECES: [&[u8]; 27] = [
        b"...............................................................................................",
        b".............................................\n",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b"(",
        b":",
        b"x",
        b"C",
        b"binhex",
        b"BINHEX 4",
        b"BinHe",
        b"(This file ",
        b"(this file ",
        b":$f*TEQKPH#jXFQ9XE'9`Eh\"PZBf3",
        b":!!!",
        b"begin 644 a",
        b"Begin 644 a",
        b"begin-base64 644 a",
        b"#0V%T",
        b"end",
        b"=ybegin line=128 size=3 name=x",
        b"=ybegin ",
        b"Content-Transfer-Encoding: base64",
        b"content-transfer-encoding: Quoted-Printable",
        b"~Content-Transfer-Encoding: base64",
    ];

    #[test]
    fn marks_begin_with_these() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_start(byte), b"BbCc=:(".contains(&byte), "{byte}");
        }
    }

    proptest::proptest! {
        #[test]
        fn all_marks_at_once_are_those_that_are_there(
            numbers in proptest::collection::vec(0..PIECES.len(), 0..24),
            padding in proptest::sample::select(vec![0_usize, 70_000]),
        ) {
            let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| PIECES[*number]).copied().collect();
            let half = bytes.len() / 2;
            let middle = vec![b'.'; padding];
            bytes.splice(half..half, middle);
            let probe = object(&bytes).probe().unwrap();
            proptest::prop_assert_eq!(Marks::of(&probe), one_by_one(&probe));
        }
    }
}
