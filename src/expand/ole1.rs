//! Objects of OLE 1 ([MS-OLEDS] §2.2): what RTF has in `\objdata`, and the files that Packager puts into documents.
#![forbid(unsafe_code)]

use crate::bytes::Reader;

/// Bytes in which the header of an object or a package is looked for: three names, none of which is long.
pub(super) const HEAD: usize = 8192;

/// The number that says of an object that it is in the document, and not only named by it.
const EMBEDDED: u32 = 2;

/// The header of an embedded object (§2.2.4, §2.2.5).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) class: Vec<u8>,
    /// Where its data begins, and how much there is, it says.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Reads the header of an object at the start of `head`.
pub(super) fn object(head: &[u8]) -> Option<Object> {
    let mut reader = Reader::new(head);
    reader.u32_le()?;
    if reader.u32_le()? != EMBEDDED {
        return None;
    }
    let class = text(&mut reader)?;
    text(&mut reader)?;
    text(&mut reader)?;
    let length = reader.u32_le()?;
    Some(Object {
        class: class.to_vec(),
        start: (head.len() - reader.rest().len()) as u64,
        length: length.into(),
    })
}

/// A text with its length in front, and a zero at its end.
fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(reader.u32_le()?).ok()?;
    let text = reader.take(length)?;
    Some(text.strip_suffix(b"\0").unwrap_or(text))
}

/// A file as Packager keeps it. No specification has it; readers agree on this.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: Vec<u8>,
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Reads the header of a package at the start of `head`: label, path, kind, path of the temporary file.
pub(super) fn package(head: &[u8]) -> Option<Package> {
    let mut reader = Reader::new(head);
    let kind = reader.u16_le()?;
    let label = line(&mut reader)?;
    let path = line(&mut reader)?;
    reader.take(4)?;
    let temporary = usize::try_from(reader.u32_le()?).ok()?;
    // Who writes the length of the path may not count its zero, or write none at all.
    let mut as_text = reader;
    let sized = reader.take(temporary).is_some();
    if line(&mut as_text).is_some()
        && (!sized || !fits(reader, head.len()) && fits(as_text, head.len()))
    {
        reader = as_text;
    } else if !sized {
        return None;
    }
    let length = reader.u32_le()?;
    let base = |path: &[u8]| {
        let name = path.rsplit(|byte| matches!(byte, b'\\' | b'/')).next();
        name.unwrap_or_default().to_vec()
    };
    let name = Some(base(label))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| base(path));
    let named = kind == 2 || !name.is_empty();
    named.then_some(Package {
        name: if name.is_empty() {
            b"package".to_vec()
        } else {
            name
        },
        start: (head.len() - reader.rest().len()) as u64,
        length: length.into(),
    })
}

/// Tells whether what comes next can be the length of a file: the end of `head` tells nothing where `head` is full.
fn fits(mut reader: Reader<'_>, head: usize) -> bool {
    let length = reader.u32_le();
    length.is_some_and(|length| head >= HEAD || u64::from(length) <= reader.rest().len() as u64)
}

/// A text up to its zero.
fn line<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let end = memchr::memchr(0, reader.rest())?;
    let text = reader.take(end)?;
    reader.take(1)?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_cut_are_none() {
        let package = b"\x02\0a.exe\0C:\\dir\\a.exe\0\0\0\x03\0\x06\0\0\0C:\\t\\\0\x03\0\0\0abc";
        let wanted = Package {
            name: b"a.exe".to_vec(),
            start: package.len() as u64 - 3,
            length: 3,
        };
        assert_eq!(super::package(package), Some(wanted));
        let object = b"\x01\x05\0\0\x02\0\0\0\x08\0\0\0Package\0\0\0\0\0\0\0\0\0\x03\0\0\0abc";
        let got = super::object(object).unwrap();
        assert_eq!(
            (&*got.class, got.start, got.length),
            (&b"Package"[..], object.len() as u64 - 3, 3)
        );
        for cut in 0..object.len() - 3 {
            assert_eq!(super::object(&object[..cut]), None);
        }
        for cut in 0..package.len() - 3 {
            assert_eq!(super::package(&package[..cut]), None);
        }
    }
}
