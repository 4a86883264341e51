//! What COMPRESS.EXE of MS-DOS and Windows makes: SZDD, its form in QBasic, and KWAJ (the notes on these formats that come
//! with libmspack).
//!
//! The size in a header is compared, and never what ends the content: readers differ in that.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::lzss::Lzss;
use super::mszip::MsZip;
use super::{Decoder, Input, Opened, kwaj, unsupported};
use crate::expand::{cut_short, damaged};

const SZDD: &[u8] = b"SZDD\x88\xf0\x27\x33";
const QBASIC: &[u8] = b"SZ\x20\x88\xf0\x27\x33\xd1";
const KWAJ: &[u8] = b"KWAJ\x88\xf0\x27\xd1";

/// Where the window begins to be filled.
const SZDD_START: usize = 4096 - 16;
const QBASIC_START: usize = 4096 - 18;

struct Compressed<'a> {
    method: Method<'a>,
    size: Option<u64>,
    given: u64,
    name: Name,
}

enum Method<'a> {
    Plain(Input<'a>),
    Inverted(Input<'a>),
    Lzss(Lzss<'a>),
    Lzh(Box<kwaj::Lzh<'a>>),
    MsZip(MsZip<'a>),
}

/// What the header says about the name.
enum Name {
    Unknown,
    /// The last letter, in whose place there is another.
    Letter(u8),
    /// Name and extension.
    Parts(Vec<u8>, Vec<u8>),
}

pub(super) fn open(mut input: Input<'_>, _memory: u64) -> Opened<'_> {
    let magic: [u8; 8] = input.array("header")?;
    if magic == KWAJ {
        return open_kwaj(input);
    }
    let (start, name) = if magic == SZDD {
        let [mode, letter] = input.array("header")?;
        if mode != b'A' {
            return Err(unsupported("szdd-mode", format!("mode {mode:#04x}")));
        }
        let name = match letter {
            0 => Name::Unknown,
            letter => Name::Letter(letter),
        };
        (SZDD_START, name)
    } else if magic == QBASIC {
        (QBASIC_START, Name::Unknown)
    } else {
        return Err(damaged("not its magic"));
    };
    let size = u32::from_le_bytes(input.array("header")?);
    Ok(Box::new(Compressed {
        method: Method::Lzss(Lzss::new(input, start)),
        size: Some(size.into()),
        given: 0,
        name,
    }))
}

fn open_kwaj(mut input: Input<'_>) -> Opened<'_> {
    let method = u16::from_le_bytes(input.array("header")?);
    let offset = u64::from(u16::from_le_bytes(input.array("header")?));
    let flags = u16::from_le_bytes(input.array("header")?);
    let mut size = None;
    if flags & 1 != 0 {
        size = Some(u32::from_le_bytes(input.array("header")?).into());
    }
    if flags & 2 != 0 {
        input.array::<2>("header")?;
    }
    if flags & 4 != 0 {
        let length = u16::from_le_bytes(input.array("header")?);
        input.skip(length.into())?;
    }
    let mut part = |flag, most| -> io::Result<Vec<u8>> {
        if flags & flag == 0 {
            return Ok(Vec::new());
        }
        let mut text = Vec::new();
        while text.len() <= most {
            let [byte] = input.array("header")?;
            if byte == 0 {
                break;
            }
            text.push(byte);
        }
        Ok(text)
    };
    let stem = part(8, 8)?;
    let extension = part(16, 3)?;
    // What else there is before the data is passed over.
    let left = offset.checked_sub(input.position());
    if !input.skip(left.ok_or_else(|| damaged("data before its end"))?)? {
        return Err(cut_short("header is cut"));
    }
    let method = match method {
        0 => Method::Plain(input),
        1 => Method::Inverted(input),
        2 => Method::Lzss(Lzss::new(input, QBASIC_START)),
        3 => Method::Lzh(Box::new(kwaj::Lzh::new(input)?)),
        4 => Method::MsZip(MsZip::new(input)),
        method => return Err(unsupported("kwaj-method", format!("method {method}"))),
    };
    let name = if stem.is_empty() {
        Name::Unknown
    } else {
        Name::Parts(stem, extension)
    };
    Ok(Box::new(Compressed {
        method,
        size,
        given: 0,
        name,
    }))
}

impl Read for Compressed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.method {
            Method::Plain(input) => input.read(out)?,
            Method::Inverted(input) => {
                let count = input.read(out)?;
                let bytes = out.get_mut(..count).unwrap_or_default();
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
                count
            }
            Method::Lzss(lzss) => lzss.read(out)?,
            Method::Lzh(lzh) => lzh.read(out)?,
            Method::MsZip(zip) => zip.read(out)?,
        };
        self.given = self.given.saturating_add(count as u64);
        match self.size {
            Some(size) if count == 0 && !out.is_empty() && size != self.given => {
                let text = format!("{} bytes instead of {size}", self.given);
                Err(if self.given < size {
                    cut_short(&text)
                } else {
                    damaged(text)
                })
            }
            _ => Ok(count),
        }
    }
}

impl<'a> Decoder<'a> for Compressed<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        match self.method {
            Method::Plain(input) | Method::Inverted(input) => input,
            Method::Lzss(lzss) => lzss.input,
            Method::Lzh(lzh) => lzh.into_input(),
            Method::MsZip(zip) => zip.input,
        }
    }

    fn name(&self, container: &super::ContainerName<'_>) -> Option<Vec<u8>> {
        match &self.name {
            Name::Unknown => None,
            Name::Letter(letter) => {
                let (b'_' | b'$', stem) = super::base_name(container.get()).split_last()? else {
                    return None;
                };
                // The tool that made the name is told from the name: DOS has no small letters.
                let small = !stem.iter().any(u8::is_ascii_uppercase);
                let letter = if small {
                    letter.to_ascii_lowercase()
                } else {
                    *letter
                };
                Some([stem, &[letter]].concat())
            }
            Name::Parts(stem, extension) if extension.is_empty() => Some(stem.clone()),
            Name::Parts(stem, extension) => Some([stem, &b"."[..], extension].concat()),
        }
    }
}
