//! Text in other encodings, as UTF-8: UTF-16, UTF-32 and UTF-7, and what a document says of itself.
//!
//! Told by the byte order mark, by what is declared, or from content that leaves little doubt. What is ASCII with anything
//! above it is left alone: signatures for such text are written for its bytes.
#![forbid(unsafe_code)]

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes in which a document may declare its encoding, and by which UTF-16 is told from its content.
pub const HEAD: usize = 4096;

/// The fewest units by which UTF-16 or UTF-32 without a mark is told.
const UNITS: usize = 8;

/// How a text is encoded, when it is to be read as UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// An encoding of the web's standard: UTF-16 and all that is older.
    Web(&'static Encoding),
    /// Four bytes a character, the largest first or not.
    Utf32 {
        /// The largest byte comes first.
        big: bool,
    },
    /// RFC 2152.
    Utf7,
}

/// Tells whether these first bytes are a text, but for a few that are not.
pub fn is_mostly_text(head: &[u8]) -> bool {
    /// Control characters that a text may have anyhow, and one more in so many bytes.
    const FEW: usize = 4;
    const ONE_IN: usize = 128;
    let head = head.get(..HEAD).unwrap_or(head);
    let is_strange = |byte: &&u8| **byte < b'\t' || (14..27).contains(*byte);
    let count = head.iter().filter(is_strange).count();
    count <= FEW + head.len() / ONE_IN && count * 8 <= head.len()
}

/// Tells how a text is encoded by its first bytes; `None` if its bytes are what is matched anyway.
pub fn tell(head: &[u8]) -> Option<Charset> {
    let head = head.get(..HEAD).unwrap_or(head);
    match head {
        // A mark of UTF-32 begins as one of UTF-16 does.
        [0xff, 0xfe, 0, 0, ..] => return Some(Charset::Utf32 { big: false }),
        [0, 0, 0xfe, 0xff, ..] => return Some(Charset::Utf32 { big: true }),
        [0xff, 0xfe, ..] => return Some(Charset::Web(UTF_16LE)),
        [0xfe, 0xff, ..] => return Some(Charset::Web(UTF_16BE)),
        [0xef, 0xbb, 0xbf, ..] => return None,
        [b'+', b'/', b'v', b'8' | b'9' | b'+' | b'/', ..] => return Some(Charset::Utf7),
        _ => {}
    }
    if head.contains(&0) {
        return wide(head);
    }
    if let Some(charset) = declared(head) {
        return charset;
    }
    is_utf7(head).then_some(Charset::Utf7)
}

/// UTF-16 or UTF-32 without a mark: four of five characters at least are of ASCII, and none is a zero.
fn wide(head: &[u8]) -> Option<Charset> {
    let (quads, _) = head.as_chunks::<4>();
    let fits = |good: usize, all: usize| all >= UNITS && good * 5 >= all * 4;
    let count = |plain: fn(&[u8; 4]) -> bool| quads.iter().filter(|quad| plain(quad)).count();
    if fits(
        count(|quad| matches!(quad, [b, 0, 0, 0] if is_text(*b))),
        quads.len(),
    ) {
        return Some(Charset::Utf32 { big: false });
    }
    if fits(
        count(|quad| matches!(quad, [0, 0, 0, b] if is_text(*b))),
        quads.len(),
    ) {
        return Some(Charset::Utf32 { big: true });
    }
    let (pairs, _) = head.as_chunks::<2>();
    if pairs.contains(&[0, 0]) {
        return None;
    }
    let count = |plain: fn(&[u8; 2]) -> bool| pairs.iter().filter(|pair| plain(pair)).count();
    if fits(
        count(|pair| matches!(pair, [b, 0] if is_text(*b))),
        pairs.len(),
    ) {
        return Some(Charset::Web(UTF_16LE));
    }
    if fits(
        count(|pair| matches!(pair, [0, b] if is_text(*b))),
        pairs.len(),
    ) {
        return Some(Charset::Web(UTF_16BE));
    }
    None
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// `charset=` in HTML and `encoding=` in XML. `None` if nothing is declared, `Some(None)` if what is declared needs no other
/// reading.
fn declared(head: &[u8]) -> Option<Option<Charset>> {
    let lower = head.to_ascii_lowercase();
    let label = match lower.trim_ascii_start().starts_with(b"<?xml") {
        true => value(&lower, b"encoding"),
        false => {
            let meta = memchr::memmem::find(&lower, b"<meta")?;
            value(lower.get(meta..)?, b"charset")
        }
    }?;
    if matches!(
        label,
        b"utf-7" | b"utf7" | b"unicode-1-1-utf-7" | b"csunicode11utf7"
    ) {
        return Some(Some(Charset::Utf7));
    }
    let encoding = Encoding::for_label(label)?;
    // A document whose declaration can be read is not UTF-16, whatever it says, as browsers have it.
    let same = encoding == UTF_8
        || encoding == UTF_16LE
        || encoding == UTF_16BE
        || encoding == encoding_rs::WINDOWS_1252
        || encoding == encoding_rs::REPLACEMENT;
    Some((!same).then_some(Charset::Web(encoding)))
}

/// What stands behind `name` and `=`, with or without quotes.
fn value<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let at = memchr::memmem::find(text, name)?;
    let rest = text.get(at.checked_add(name.len())?..)?;
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?;
    let rest = rest.trim_ascii_start();
    let rest = match rest {
        [b'"' | b'\'', rest @ ..] => rest,
        _ => rest,
    };
    let is_label =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    let length = rest.iter().take_while(|byte| is_label(byte)).count();
    rest.get(..length)
}

/// A tag, encoded: nobody writes this by chance.
fn is_utf7(head: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    head.is_ascii() && has(b"+ADw-") && has(b"+AD4-")
}

/// Decodes a text that comes piece by piece. What cannot be decoded becomes U+FFFD.
pub struct Reading {
    how: How,
}

enum How {
    Web(Box<Decoder>),
    Utf32 { big: bool, kept: Vec<u8> },
    Utf7(Utf7),
}

impl Reading {
    /// Begins a text.
    pub fn new(charset: Charset) -> Self {
        let how = match charset {
            Charset::Web(encoding) => How::Web(Box::new(encoding.new_decoder_with_bom_removal())),
            Charset::Utf32 { big } => How::Utf32 {
                big,
                kept: Vec::new(),
            },
            Charset::Utf7 => How::Utf7(Utf7::default()),
        };
        Self { how }
    }

    /// Adds the next piece to `out`; `last` if there is none behind it.
    pub fn push(&mut self, mut bytes: &[u8], last: bool, out: &mut String) {
        match &mut self.how {
            How::Web(decoder) => loop {
                let room = decoder.max_utf8_buffer_length(bytes.len());
                out.reserve(room.unwrap_or(HEAD).clamp(16, 8 * HEAD));
                let (result, read, _) = decoder.decode_to_string(bytes, out, last);
                bytes = bytes.get(read..).unwrap_or_default();
                if result == CoderResult::InputEmpty {
                    return;
                }
            },
            How::Utf32 { big, kept } => {
                kept.extend_from_slice(bytes);
                let (quads, rest) = kept.as_chunks::<4>();
                for quad in quads {
                    let number = match big {
                        true => u32::from_be_bytes(*quad),
                        false => u32::from_le_bytes(*quad),
                    };
                    if number != 0xfeff {
                        out.push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
                *kept = rest.to_vec();
            }
            How::Utf7(state) => {
                for byte in bytes {
                    state.push(*byte, out);
                }
            }
        }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// RFC 2152: a `+` begins UTF-16 in base64, any other character ends it, and a `-` there is left out.
#[derive(Debug, Default)]
struct Utf7 {
    shifted: bool,
    any: bool,
    bits: u32,
    count: u32,
    high: Option<u16>,
}

impl Utf7 {
    fn push(&mut self, byte: u8, out: &mut String) {
        if !self.shifted {
            match byte {
                b'+' => {
                    *self = Self {
                        shifted: true,
                        ..Self::default()
                    };
                }
                other => out.push(char::from(other)),
            }
            return;
        }
        let Some(six) = super::run::value(byte).filter(|_| !matches!(byte, b'-' | b'_')) else {
            self.shifted = false;
            match (byte, self.any) {
                (b'-', true) => {}
                // `+-` is a plus.
                (b'-', false) => out.push('+'),
                (b'+', _) => self.push(byte, out),
                (other, _) => out.push(char::from(other)),
            }
            return;
        };
        self.any = true;
        self.bits = self.bits << 6 | u32::from(six);
        self.count = self.count.saturating_add(6);
        if self.count < 16 {
            return;
        }
        self.count = self.count.saturating_sub(16);
        let unit = (self.bits >> self.count) as u16;
        let units = self.high.take().into_iter().chain([unit]);
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        out.extend(char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| match big {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, big: bool) -> Vec<u8> {
        let bytes = |one: char| match big {
            true => u32::from(one).to_be_bytes(),
            false => u32::from(one).to_le_bytes(),
        };
        text.chars().flat_map(bytes).collect()
    }

    fn read(bytes: &[u8], step: usize) -> Option<String> {
        let mut reading = Reading::new(tell(bytes)?);
        let mut out = String::new();
        for piece in bytes.chunks(step) {
            reading.push(piece, false, &mut out);
        }
        reading.push(b"", true, &mut out);
        Some(out)
    }

    #[test]
    fn text_in_other_encodings_is_read() {
        let text = "Hello, wide w\u{f6}rld \u{1f600} of words";
        let marked = format!("\u{feff}{text}");
        let rows: [(Vec<u8>, &str); 13] = [
            (utf16(&marked, false), text),
            (utf16(&marked, true), text),
            (utf16(text, false), text),
            (utf16(text, true), text),
            (utf32(&marked, false), text),
            (utf32(&marked, true), text),
            (utf32(text, false), text),
            (utf32(text, true), text),
            (
                b"+ADw-script+AD4-a+-b +2D3eAA-!".to_vec(),
                "<script>a+b \u{1f600}!",
            ),
            (
                b"<meta charset=utf-7>+ADw-b".to_vec(),
                "<meta charset=utf-7><b",
            ),
            (
                b"<META http-equiv=x content='text/html; charset=Shift_JIS'>\x83\x65".to_vec(),
                "<META http-equiv=x content='text/html; charset=Shift_JIS'>\u{30c6}",
            ),
            (
                b"<?xml version='1.0' encoding=\"koi8-r\"?>\xc1".to_vec(),
                "<?xml version='1.0' encoding=\"koi8-r\"?>\u{430}",
            ),
            (
                b"<meta charset=iso-2022-jp>\x1b$B%F\x1b(B.".to_vec(),
                "<meta charset=iso-2022-jp>\u{30c6}.",
            ),
        ];
        for (bytes, expected) in rows {
            for step in [1, 3, 1000] {
                assert_eq!(
                    read(&bytes, step).as_deref(),
                    Some(expected),
                    "{}",
                    bytes.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn what_is_matched_as_it_is_gets_no_other_reading() {
        let rows: [&[u8]; 9] = [
            b"",
            b"plain text with 1+1=2 and more of it",
            b"\xef\xbb\xbftext \xc3\xa9",
            b"caf\xe9 text",
            b"<meta charset=utf-8>\xc3\xa9",
            b"<meta charset=utf-16>text",
            b"<meta charset=nonsense>text",
            &[0; 64],
            b"\x01\0\x02\0\x03\0\x04\0\x05\0\x06\0\x07\0\x08\0\x09\0",
        ];
        for bytes in rows {
            assert_eq!(tell(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
