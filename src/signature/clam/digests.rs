//! Digests of whole files (`.hdb .hdu .hsb .hsu`: `Digest:Size:Name`), of sections of programs (`.mdb .mdu .msb .msu`:
//! `Size:Digest:Name`), and of files that are known to be harmless (`.fp .sfp`), each with `[:MinLevel[:MaxLevel]]`.
//!
//! The number of digits says which digest it is, whatever the file is called.
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{Trouble, check_levels, fields, number, read_lines};
use crate::event::EngineWord;
use crate::path::printable;
use crate::signature::digests::Digest;
use crate::signature::{Format, Intake, Item, Meaning, Signature, named};

/// The first level that knows digests of files of any size; older ones refuse the whole file.
const ANY_SIZE_LEVEL: u32 = 73;

/// The row of digests of files.
#[derive(Debug)]
pub struct FileDigests;

/// The row of digests of sections.
#[derive(Debug)]
pub struct SectionDigests;

/// The row of digests of files that are never reported.
#[derive(Debug)]
pub struct AllowedDigests;

impl Format for FileDigests {
    fn name(&self) -> &'static str {
        "clam-hdb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["hdb", "hdu", "hsb", "hsu"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, |line| {
            let Line { digest, size, name } = file_line(line)?;
            Ok(Item::Signature(Signature {
                name: named(EngineWord::Clam, name)?,
                meaning: Meaning::Digest { digest, size },
            }))
        })
    }
}

impl Format for SectionDigests {
    fn name(&self) -> &'static str {
        "clam-mdb"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mdb", "mdu", "msb", "msu"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, |line| {
            let mut fields = fields(line, b':');
            let (size, digest) = (fields.next(), fields.next());
            let Line { digest, size, name } = read(digest, size, fields)?;
            Ok(Item::Signature(Signature {
                name: named(EngineWord::Clam, name)?,
                meaning: Meaning::SectionDigest { digest, size },
            }))
        })
    }
}

impl Format for AllowedDigests {
    fn name(&self) -> &'static str {
        "clam-fp"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["fp", "sfp"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        read_lines(text, source, out, |line| {
            let Line { digest, size, name } = file_line(line)?;
            let name = named(EngineWord::Clam, name)?.name;
            Ok(Item::Allowed { digest, size, name })
        })
    }
}

struct Line<'a> {
    digest: Digest,
    size: Option<u64>,
    name: &'a [u8],
}

fn file_line(line: &[u8]) -> Result<Line<'_>, Trouble> {
    let mut fields = fields(line, b':');
    let (digest, size) = (fields.next(), fields.next());
    read(digest, size, fields)
}

fn read<'a>(
    digest: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    mut rest: impl Iterator<Item = &'a [u8]>,
) -> Result<Line<'a>, Trouble> {
    let (Some(digest), Some(size), Some(name)) = (digest, size, rest.next()) else {
        return Err(Trouble::wrong(
            "a line must have a digest, a size and a name, with colons between them",
        ));
    };
    let level = check_levels(rest)?;
    let size = match size {
        b"*" if level < Some(ANY_SIZE_LEVEL) => {
            return Err(Trouble::wrong("a size of `*` needs `:73` behind the name"));
        }
        b"*" => None,
        _ => Some(file_size(size)?),
    };
    let digest = decode(digest).ok_or_else(|| {
        let digest = printable(digest, 70);
        format!("`{digest}` is not 32, 40 or 64 hexadecimal digits")
    })?;
    Ok(Line { digest, size, name })
}

/// A size as `clamscan` takes it: neither 0 nor 4 GiB or more.
fn file_size(field: &[u8]) -> Result<u64, Trouble> {
    let size = number(field.trim_ascii_start());
    size.filter(|size| (1..u64::from(u32::MAX)).contains(size))
        .ok_or_else(|| format!("`{}` is no size", printable(field, 40)).into())
}

fn decode(digits: &[u8]) -> Option<Digest> {
    let mut bytes = [0; 32];
    let bytes = match digits.len() {
        32 | 40 | 64 => bytes.get_mut(..digits.len() / 2)?,
        _ => return None,
    };
    HEXLOWER_PERMISSIVE.decode_mut(digits, bytes).ok()?;
    Digest::from_bytes(bytes)
}
