//! The header of a mail or of a part (RFC 5322 §2.2, RFC 2045), and where readers differ over its end.
#![forbid(unsafe_code)]

use std::io;

use super::start::ENCODING;
use crate::expand::lines::Lines;
use crate::object::Object;

/// Bytes of one field that are kept.
const FIELD: usize = 64 * 1024;

/// Fields that are kept of one header.
const FIELDS: usize = 64;

/// Subjects that are kept, for their words. They say nothing of the body.
const SUBJECTS: usize = 8;

/// The fields that say what a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Type,
    Encoding,
    Disposition,
    Subject,
    MimeVersion,
}

const NAMES: [(&[u8], Name); 5] = [
    (b"content-type", Name::Type),
    (b"content-transfer-encoding", Name::Encoding),
    (b"content-disposition", Name::Disposition),
    (b"subject", Name::Subject),
    (b"mime-version", Name::MimeVersion),
];

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Name,
    /// Unfolded: without the line ends, with the white space behind them.
    pub(super) value: Vec<u8>,
    /// Only readers that search the header for the name see it.
    pub(super) doubtful: bool,
}

/// One way to read a header.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) fields: Vec<Field>,
    /// Where the body begins.
    pub(super) body: u64,
}

impl Reading {
    pub(super) fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let named = self.fields.iter().filter(move |field| field.name == name);
        named.map(|field| &*field.value)
    }

    /// Tells whether it says anything about the body.
    pub(super) fn describes(&self) -> bool {
        let about = |field: &Field| field.name != Name::Subject;
        self.fields.iter().any(about)
    }
}

/// A header, read in each way that readers have.
pub(super) struct Header {
    pub(super) readings: Vec<Reading>,
    /// Fields were dropped, or cut.
    pub(super) clipped: bool,
    /// It has an end.
    pub(super) whole: bool,
}

/// Reads the header at the start of `object`.
///
/// It ends with an empty line. A line of white space is one of its own to some readers, and the end to others; so is
/// one that is no field passed over, or the first line of the body. One that is empty because its line end has a CR too many ends
/// nothing.
pub(super) fn read(object: &Object, from: u64) -> io::Result<Header> {
    let mut lines = Lines::behind(object, from)?;
    let mut fields: Vec<Field> = Vec::new();
    let mut readings: Vec<Reading> = Vec::new();
    let mut clipped = false;
    // The field that a continuation belongs to is kept, dropped, or none at all.
    let mut open = Open::None;
    let (mut blank, mut strange, mut whole) = (false, false, false);
    let mut torn = false;
    let mut subjects = 0_usize;
    let mut body = from;
    while let Some(line) = lines.next()? {
        body = line.end;
        if line.torn {
            // What wrote CR CR LF meant one line end, and readers of texts see it so.
            torn = true;
            continue;
        }
        if line.text.is_empty() {
            whole = true;
            break;
        }
        let end = Reading {
            fields: Vec::new(),
            body: line.start,
        };
        let text: Vec<u8> = without_zeros(line.text);
        let starts_white = matches!(text.first(), Some(b' ' | b'\t'));
        if text.trim_ascii().is_empty() {
            if !blank {
                let body = line.end;
                let fields = fields.clone();
                readings.push(Reading { fields, body });
            }
            blank = true;
        } else if starts_white && open != Open::None {
            if open == Open::Kept {
                let last = fields.last_mut();
                clipped |= last.is_some_and(|field| {
                    !append(&mut field.value, &text) && field.name != Name::Subject
                });
            }
        } else if let Some((name, value)) = field(&text) {
            let name = NAMES
                .iter()
                .find(|(known, _)| name.eq_ignore_ascii_case(known));
            open = Open::Dropped;
            if let Some((_, name)) = name {
                let is_subject = *name == Name::Subject;
                if is_subject && subjects >= SUBJECTS {
                    continue;
                }
                subjects += usize::from(is_subject);
                if fields.len() < FIELDS {
                    open = Open::Kept;
                    let mut kept = Vec::new();
                    clipped |= !append(&mut kept, value) && !is_subject;
                    fields.push(Field {
                        name: *name,
                        value: kept,
                        doubtful: false,
                    });
                } else {
                    clipped = true;
                }
            } else if let Some((field, is_whole)) = within(&text) {
                clipped |= !is_whole || fields.len() >= FIELDS;
                if fields.len() < FIELDS {
                    fields.push(field);
                    open = Open::Kept;
                }
            }
        } else {
            if !strange {
                let fields = fields.clone();
                readings.push(Reading { fields, ..end });
            }
            strange = true;
            open = Open::None;
            if let Some((field, is_whole)) = doubtful(&text).or_else(|| within(&text)) {
                clipped |= !is_whole || fields.len() >= FIELDS;
                if fields.len() < FIELDS {
                    fields.push(field);
                    open = Open::Kept;
                }
            }
        }
    }
    if torn && object.bytes_at(body, 2)? == b"\r\n" {
        // The rest of the empty line's end.
        body = body.saturating_add(2);
    }
    readings.push(Reading { fields, body });
    // The usual reading first: the header ends where it says so.
    readings.reverse();
    readings.dedup_by_key(|reading| reading.body);
    Ok(Header {
        readings,
        clipped,
        whole,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Dropped,
    Kept,
}

fn append(value: &mut Vec<u8>, more: &[u8]) -> bool {
    let room = FIELD.saturating_sub(value.len());
    value.extend_from_slice(more.get(..room).unwrap_or(more));
    more.len() <= room && more.len() < crate::expand::lines::KEPT
}

/// The field of a line that is none by the standard: letters stand before its name, or something else than a colon behind it. And
/// whether all of its value is kept.
fn doubtful(line: &[u8]) -> Option<(Field, bool)> {
    let from = line.iter().position(u8::is_ascii_alphabetic)?;
    let line = line.get(from..)?;
    let (name, rest) = NAMES.iter().find_map(|(known, name)| {
        let (word, rest) = line.split_at_checked(known.len())?;
        let is_it = word.eq_ignore_ascii_case(known) && *name != Name::Subject;
        is_it.then_some((*name, rest))
    })?;
    if rest.first().is_none_or(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let comment = rest.starts_with(b"(").then(|| memchr::memchr(b')', rest));
    let behind = comment.flatten().map_or(0, |end| end + 1);
    let rest = rest.get(behind..)?.trim_ascii_start();
    let value = match rest {
        [b':' | b'=', rest @ ..] => rest,
        _ => rest,
    };
    let mut kept = Vec::new();
    let is_whole = append(&mut kept, value);
    let field = Field {
        name,
        value: kept,
        doubtful: true,
    };
    Some((field, is_whole))
}

/// The field that some readers see wherever its name stands in a line, with letters before or behind it; its value is the first encoding
/// behind it, or what stands behind the next colon.
fn within(line: &[u8]) -> Option<(Field, bool)> {
    let is_name = |word: &[u8]| word.eq_ignore_ascii_case(ENCODING);
    let at = line.windows(ENCODING.len()).position(is_name)?;
    let (before, named) = line.split_at_checked(at)?;
    let behind = named.get(ENCODING.len()..)?;
    let letters = [before.last(), behind.first()];
    if !letters.into_iter().flatten().any(u8::is_ascii_alphanumeric) {
        return None;
    }
    doubtful(named).or_else(|| {
        let small = behind.to_ascii_lowercase();
        let known = [&b"base64"[..], b"quoted"].into_iter();
        let known = known.filter_map(|word| memchr::memmem::find(&small, word));
        let value = known.min();
        let value = value.or_else(|| Some(memchr::memchr(b':', behind)? + 1))?;
        doubtful(&[ENCODING, b":", behind.get(value..)?].concat())
    })
}

/// Some readers never see a zero.
pub(super) fn without_zeros(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != 0).collect()
}

/// Name and value of a line that begins a field. Blanks before the colon are allowed to old mails.
pub(in crate::expand) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let name = name.trim_ascii_end();
    let valid = !name.is_empty() && name.len() <= 76 && name.iter().all(u8::is_ascii_graphic);
    valid.then_some((name, value))
}
