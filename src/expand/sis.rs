//! Symbian installation files up to version 8 of the system (EPOC's SIS format, of which the fields are public): a header,
//! records of files and conditions, the files as zlib streams or as they are. Those of version 9 and later are another
//! format of the same name: a gap.
#![forbid(unsafe_code)]

use std::io::{BufReader, Read};

use super::inflate::Inflate;
use super::{Children, Container, Content, Expander, Halt, cut_short, damaged};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::Object;

/// The first identifier of the newer format.
const NEWER: &[u8] = b"\x7a\x1a\x20\x10";

/// Where the fields of the header are.
const LANGUAGES: u64 = 0x12;
const VERSION: u64 = 0x20;
const FILES: u64 = 0x34;

/// The version of the installer since which files are compressed and records have two fields more.
const COMPRESSES: u32 = 200;

/// The option by which nothing is compressed.
const PLAIN: u16 = 8;

/// The most bytes of records that are read; one takes 48, and 16 more for each language but the first.
const RECORDS: usize = 16 << 20;

/// The longest name, in bytes.
const NAME: usize = 4096;

/// The expander of installation files.
pub(super) struct Sis;

impl Expander for Sis {
    fn kind(&self) -> &'static str {
        "sis"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if object.bytes_at(0, NEWER.len())? == NEWER {
            let reason = Reason::Unsupported("sis-9".to_owned());
            let detail = "made for version 9 of the system or a later one".to_owned();
            return children.gap(None, reason, detail);
        }
        let head = object.bytes_at(0, 0x40)?;
        let Some(header) = Header::parse(&head) else {
            return Err(Halt::Broken("cut in the header".to_owned()));
        };
        let records = object.bytes_at(header.files, RECORDS)?;
        let mut reader = Reader::new(&records);
        for number in 0..header.count {
            let Some(record) = record(&mut reader, &header) else {
                let detail = format!("{number} of {} records are there", header.count);
                return Err(Halt::Broken(detail));
            };
            let Some(file) = record else { continue };
            let name = file.name(object, &header)?;
            for (packed, at, size) in &file.contents {
                content(object, &name, (*packed, *at, *size), &header, children)?;
            }
        }
        Ok(())
    }
}

struct Header {
    languages: u16,
    count: u16,
    is_compressed: bool,
    /// Names are in UTF-16, and records have the fields that came with it.
    is_newer: bool,
    files: u64,
}

impl Header {
    fn parse(head: &[u8]) -> Option<Self> {
        let from = |at: u64| {
            let at = usize::try_from(at).ok()?;
            Some(Reader::new(head.get(at..)?))
        };
        let mut counts = from(LANGUAGES)?;
        let (languages, count) = (counts.u16_le()?, counts.u16_le()?);
        let mut version = from(VERSION)?;
        let (version, options) = (version.u32_le()?, version.u16_le()?);
        let is_newer = version >= COMPRESSES;
        Some(Self {
            languages,
            count,
            is_compressed: is_newer && options & PLAIN == 0,
            is_newer,
            files: from(FILES)?.u32_le()?.into(),
        })
    }
}

/// A file, once for each language: stored length, place, and length as it is.
struct File {
    source: (u32, u32),
    target: (u32, u32),
    contents: Vec<(u32, u32, u32)>,
}

/// The next record; `Some(None)` for one without a file.
fn record(reader: &mut Reader<'_>, header: &Header) -> Option<Option<File>> {
    let languages = match reader.u32_le()? {
        0 => 1,
        1 => usize::from(header.languages),
        2 => {
            let options = usize::try_from(reader.u32_le()?).ok()?;
            let names = options.checked_mul(usize::from(header.languages))?;
            reader.take(names.checked_mul(8)?)?;
            reader.take(16)?;
            return Some(None);
        }
        3 | 4 => {
            let length = usize::try_from(reader.u32_le()?).ok()?;
            reader.take(length)?;
            return Some(None);
        }
        5 | 6 => return Some(None),
        _ => return None,
    };
    reader.take(8)?;
    let pair = |reader: &mut Reader<'_>| Some((reader.u32_le()?, reader.u32_le()?));
    let (source, target) = (pair(reader)?, pair(reader)?);
    let numbers = |reader: &mut Reader<'_>| -> Option<Vec<u32>> {
        (0..languages).map(|_| reader.u32_le()).collect()
    };
    let (packed, places) = (numbers(reader)?, numbers(reader)?);
    let sizes = match header.is_newer {
        true => numbers(reader)?,
        false => packed.clone(),
    };
    if header.is_newer {
        // The type of the content, as text.
        pair(reader)?;
    }
    let contents = packed.into_iter().zip(places).zip(sizes);
    Some(Some(File {
        source,
        target,
        contents: contents
            .map(|((packed, at), size)| (packed, at, size))
            .collect(),
    }))
}

impl File {
    /// The path on the telephone, or else the one on the computer on which it was packed.
    fn name(&self, object: &Object, header: &Header) -> Result<Vec<u8>, Halt> {
        for (length, at) in [self.target, self.source] {
            let length = usize::try_from(length).unwrap_or(NAME).min(NAME);
            let stored = object.bytes_at(at.into(), length)?;
            let mut name = match header.is_newer {
                false => stored,
                true => {
                    let units = stored.as_chunks::<2>().0.iter();
                    let units = units.map(|unit| u16::from_le_bytes(*unit));
                    let text: String = char::decode_utf16(units)
                        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect();
                    text.into_bytes()
                }
            };
            name.iter_mut()
                .filter(|byte| **byte == b'\\')
                .for_each(|byte| *byte = b'/');
            if !name.is_empty() {
                return Ok(name);
            }
        }
        Ok(b"file".to_vec())
    }
}

fn content(
    object: &Object,
    name: &[u8],
    (packed, at, size): (u32, u32, u32),
    header: &Header,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    if packed == 0 {
        return Ok(());
    }
    let raw = object.slice(at.into(), packed.into());
    let short = raw.length() < packed.into();
    match header.is_compressed {
        false => children.child(name, Content::Object(raw.clone()))?,
        true => {
            let mut reader = raw.reader();
            let mut head = [0; 2];
            if reader.read_exact(&mut head).is_err() || u16::from_be_bytes(head) % 31 != 0 {
                let detail = "no zlib stream".to_owned();
                return children.gap(Some(name), Reason::Corrupt, detail);
            }
            let mut content = Sized {
                inflate: Inflate::new(reader),
                left: size.into(),
            };
            children.child(name, Content::Stream(&mut content))?;
        }
    }
    if short {
        let detail = format!("{} of {packed} bytes are there", raw.length());
        children.gap(Some(name), Reason::Corrupt, detail)?;
    }
    Ok(())
}

/// Holds the length against what is said, at the end.
struct Sized {
    inflate: Inflate<BufReader<crate::object::ObjectReader>>,
    left: u64,
}

impl Read for Sized {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inflate.read(out)?;
        self.left = self.left.wrapping_sub(count as u64);
        match (count, self.left) {
            (0, 1..) if !out.is_empty() && self.left < u64::MAX / 2 => {
                Err(cut_short("shorter than the record says"))
            }
            (0, 1..) if !out.is_empty() => Err(damaged("longer than the record says")),
            _ => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, said, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Sis, bytes, b"x.sis")
    }

    fn zlib(content: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    /// Two languages; a condition, a file for each language, an end, a file for all.
    fn sample(version: u32, options: u16) -> Vec<u8> {
        let newer = version >= COMPRESSES;
        let text = |text: &str| -> Vec<u8> {
            match newer {
                true => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                false => text.as_bytes().to_vec(),
            }
        };
        let store = |content: &[u8]| match newer && options & PLAIN == 0 {
            true => zlib(content),
            false => content.to_vec(),
        };
        let mut out = b"\x01\0\0\x01\x12\x3a\0\x10\x19\x04\0\x10".to_vec();
        out.resize(0x40, 0);
        let put = |out: &mut Vec<u8>, bytes: &[u8]| -> [u32; 2] {
            let at = u32::try_from(out.len()).unwrap();
            out.extend_from_slice(bytes);
            [u32::try_from(bytes.len()).unwrap(), at]
        };
        let name = put(&mut out, &text("!:\\app\\a.txt"));
        let source = put(&mut out, &text("C:\\b.txt"));
        let one = [b"english".as_slice(), b"francais"].map(|text| put(&mut out, &store(text)));
        let both = put(&mut out, &store(b"both"));
        let mut records: Vec<u32> = vec![3, 4, 0x0101_0101, 1, 0, 0];
        records.extend([source, name].concat());
        records.extend([one[0][0], one[1][0], one[0][1], one[1][1]]);
        if newer {
            records.extend([7, 8, 0, 0]);
        }
        records.extend([6, 0, 0, 0]);
        records.extend([source, [0, 0], both].concat());
        if newer {
            records.extend([4, 0, 0]);
        }
        let at = u32::try_from(out.len()).unwrap();
        out.extend(records.iter().flat_map(|field| field.to_le_bytes()));
        out[0x12..0x16].copy_from_slice(&[2, 0, 4, 0]);
        out[0x20..0x24].copy_from_slice(&version.to_le_bytes());
        out[0x24..0x26].copy_from_slice(&options.to_le_bytes());
        out[0x34..0x38].copy_from_slice(&at.to_le_bytes());
        out
    }

    #[test]
    fn files_of_each_language_and_form() {
        for (version, options) in [(200, 0), (200, PLAIN), (100, 0)] {
            let got = run(&sample(version, options));
            assert_eq!(got.gaps, [], "{version} {options}");
            let name = b"!:/app/a.txt".to_vec();
            let expected = [
                (name.clone(), b"english".to_vec()),
                (name, b"francais".to_vec()),
                (b"C:/b.txt".to_vec(), b"both".to_vec()),
            ];
            assert_eq!(got.children, expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut wrong = sample(200, 0);
        let at = wrong.len() - 12;
        wrong[at] = 5;
        let detail = "shorter than the record says";
        assert_eq!(
            run(&wrong).gaps,
            [said(Some(b"C:/b.txt"), "corrupt", detail)]
        );
        wrong[at] = 3;
        let detail = "longer than the record says";
        assert_eq!(
            run(&wrong).gaps,
            [said(Some(b"C:/b.txt"), "corrupt", detail)]
        );
        assert_eq!(
            run(b"\x7a\x1a\x20\x10 newer").reasons(),
            ["unsupported/sis-9"]
        );
        for cut in 0x80..wrong.len() {
            assert!(run(&wrong[..cut]).complained(), "{cut}");
        }
    }

    #[test]
    fn no_damage_panics() {
        assert_eq!(withstand(&Sis, &sample(200, 0), b"x.sis"), [0; 0]);
        withstand(&Sis, &sample(100, 0), b"x.sis");
    }
}
