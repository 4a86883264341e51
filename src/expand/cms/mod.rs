//! S/MIME and CMS (RFC 5652, RFC 3274, RFC 5083), and PKCS #7 1.5 before it (RFC 2315): what is signed is opened, what is
//! encrypted is said.
//!
//! A signature that stands apart from what it signs, and a bundle of certificates, have the same form with nothing in it:
//! no member, and no gap.
#![forbid(unsafe_code)]

mod ber;

use std::io::{self, Read};

use self::ber::{Cursor, EXPLICIT, Header, OCTETS, Octets, PIECES, SEQUENCE};
use super::stream::{self, Input, Pieces, member_name};
use super::{Children, Container, Content, Expander, Halt, is_damage, trailing};
use crate::event::Reason;
use crate::object::{Object, Probe};

/// What a content of one type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A string of bytes.
    Data,
    /// A content with its own type, behind so many sequences that are something else.
    Around(usize),
    /// The same, compressed.
    Compressed,
    /// Nobody reads it without a key.
    Encrypted,
}

/// The types, by their object identifiers: those of PKCS #7 (1.2.840.113549.1.7) and of S/MIME (1.2.840.113549.1.9.16.1).
const TYPES: &[(&[u8], Form)] = &[
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", Form::Data),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", Form::Around(0)),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", Form::Encrypted),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x04", Form::Encrypted),
    // Digested: the algorithm stands before the content.
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05", Form::Around(1)),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06", Form::Encrypted),
    // Authenticated, as digested.
    (
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x02",
        Form::Around(1),
    ),
    (
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09",
        Form::Compressed,
    ),
    (
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
        Form::Encrypted,
    ),
];

/// The ends of names that are taken off.
const SUFFIXES: &[(&str, &str)] = &[(".p7m", ""), (".p7z", ""), (".p7s", ""), (".p7", "")];

/// What is said of what is encrypted.
const ENCRYPTED: &str = "S/MIME";

/// The expander of CMS.
pub(super) struct Cms;

impl Expander for Cms {
    fn kind(&self) -> &'static str {
        "cms"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut cursor = Cursor::new(object);
        let Some(form) = opening(&mut cursor).or_else(unlike)? else {
            return Err(Halt::Unlike);
        };
        match form {
            Form::Encrypted => children.gap(None, Reason::Encrypted, ENCRYPTED.to_owned())?,
            Form::Data => content(container, cursor, None, form, children)?,
            Form::Around(_) | Form::Compressed => {
                if let Some(inner) = inner(&mut cursor, form).map_err(broken)? {
                    content(container, cursor, Some(&inner), form, children)?;
                }
            }
        }
        let mut cursor = Cursor::new(object);
        let whole = ber::header(&mut cursor).map_err(broken)?;
        cursor.skip(whole).map_err(broken)?;
        trailing(object, cursor.position(), children)
    }
}

/// What is no CMS from the start on is none at all.
fn unlike(error: io::Error) -> Result<Option<Form>, Halt> {
    if is_damage(&error) {
        return Ok(None);
    }
    Err(error.into())
}

/// What cannot be followed further.
fn broken(error: io::Error) -> Halt {
    if is_damage(&error) {
        return Halt::Broken(error.to_string());
    }
    error.into()
}

/// Tells whether a content begins as one of the types.
pub(super) fn begins(probe: &Probe) -> bool {
    let mut head = &*probe.head;
    let Ok(Some(form)) = opening(&mut head) else {
        return false;
    };
    let Ok(first) = ber::header(&mut head) else {
        return false;
    };
    // A version, where there is one.
    let version = matches!(head, [2, 1, 0..=6, ..]);
    match form {
        Form::Data => matches!(first.tag, OCTETS | PIECES),
        _ => first.tag == SEQUENCE && version,
    }
}

/// Reads up to the content, and gives the form of its type; none if it is not one of [`TYPES`].
fn opening(input: &mut impl Read) -> io::Result<Option<Form>> {
    if ber::header(input)?.tag != SEQUENCE {
        return Ok(None);
    }
    let form = form(&ber::identifier(input)?);
    Ok(form.filter(|_| ber::header(input).is_ok_and(|header| header.tag == EXPLICIT)))
}

fn form(identifier: &[u8]) -> Option<Form> {
    let row = TYPES.iter().find(|(known, _)| *known == identifier);
    row.map(|(_, form)| *form)
}

/// Goes to the content inside another, and gives its type; nothing where there is none.
fn inner(cursor: &mut Cursor, form: Form) -> io::Result<Option<Vec<u8>>> {
    let mut before = match form {
        Form::Around(count) => count,
        _ => 1,
    };
    let around = ber::header(cursor)?;
    let end = cursor.end(around);
    while cursor.more(end)? {
        let header = ber::header(cursor)?;
        if header.tag != SEQUENCE || before > 0 {
            before = before.saturating_sub(usize::from(header.tag == SEQUENCE));
            cursor.skip(header)?;
            continue;
        }
        let end = cursor.end(header);
        let identifier = ber::identifier(cursor)?;
        let there = cursor.more(end)? && ber::header(cursor)?.tag == EXPLICIT;
        return Ok(there.then_some(identifier));
    }
    Err(super::damaged("no content and no place for it"))
}

/// Gives the content that the cursor is at. `kind` is its type, where it has one of its own.
fn content(
    container: &Container<'_>,
    mut cursor: Cursor,
    kind: Option<&[u8]>,
    around: Form,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let name = member_name(b"", container.name, SUFFIXES);
    // A content of the same kind is opened in its turn, and needs its type for that.
    let nested = kind.filter(|kind| form(kind).is_some_and(|form| form != Form::Data));
    let start = cursor.position();
    let header = ber::header(&mut cursor).map_err(broken)?;
    if !matches!(header.tag, OCTETS | PIECES) {
        return value(
            container.object,
            cursor,
            (start, header),
            &name,
            nested,
            children,
        );
    }
    if let (OCTETS, Some(length), None, Form::Data | Form::Around(_)) =
        (header.tag, header.length, nested, around)
    {
        let whole = container.object.slice(cursor.position(), length);
        let there = whole.length();
        children.child(&name, Content::Object(whole))?;
        if there < length {
            let detail = format!("{there} of {length} bytes are there");
            children.gap(Some(&name), Reason::Corrupt, detail)?;
        }
        return Ok(());
    }
    let mut octets = Octets::new(cursor, header);
    if around != Form::Compressed {
        return give(&name, nested, &mut octets, children);
    }
    let input = Input::new(Box::new(octets));
    let mut pieces = match Pieces::open(&stream::ZLIB, input, container.memory) {
        Ok(pieces) => pieces,
        Err(error) => {
            return match stream::refused(&stream::ZLIB, Some(&name), error, children) {
                Err(Halt::Unlike) => {
                    let reason = Reason::Unsupported("cms-compression".to_owned());
                    children.gap(Some(&name), reason, "no zlib stream".to_owned())
                }
                done => done,
            };
        }
    };
    give(&name, nested, &mut pieces, children)?;
    if pieces.conclude(Some(&name), children)?.is_some() {
        let detail = "more behind the compressed data".to_owned();
        children.gap(Some(&name), Reason::Corrupt, detail)?;
    }
    Ok(())
}

/// PKCS #7 1.5: any value instead of a string of bytes.
fn value(
    object: &Object,
    mut cursor: Cursor,
    (start, header): (u64, Header),
    name: &[u8],
    nested: Option<&[u8]>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let from = cursor.position();
    let to = cursor.skip(header).map_err(broken)?;
    if nested.is_some() {
        let mut whole = object
            .slice(start, cursor.position().saturating_sub(start))
            .reader();
        return give(name, nested, &mut whole, children);
    }
    let value = object.slice(from, to.saturating_sub(from));
    children.child(name, Content::Object(value))
}

/// Gives a content, in front of it its type where it is `nested`: so it is what its own file would be.
fn give(
    name: &[u8],
    nested: Option<&[u8]>,
    content: &mut dyn Read,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let Some(kind) = nested else {
        return children.child(name, Content::Stream(content));
    };
    let length = u8::try_from(kind.len()).unwrap_or_default();
    let head = [
        &[SEQUENCE, 0x80, ber::OBJECT_IDENTIFIER, length],
        kind,
        &[EXPLICIT, 0x80],
    ]
    .concat();
    let mut whole = head.chain(content).chain(&[0_u8; 4][..]);
    children.child(name, Content::Stream(&mut whole))
}

#[cfg(test)]
mod tests;
