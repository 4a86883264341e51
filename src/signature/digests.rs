//! Digest lists: one whole-object digest a line, as md5sum and its like write them, or with a size and a name.
//!
//! ```text
//! HEX:SIZE:NAME      SIZE in bytes, or * for any
//! HEX:NAME
//! HEX NAME           also with two blanks, or a blank and *, as md5sum does
//! HEX                the name is the digest
//! ```
//!
//! The number of digits says which digest it is. Lines that start with `#` or `;` are comments.
#![forbid(unsafe_code)]

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use std::io::{self, BufRead};

use super::{Format, Intake, Item, Meaning, Notes, Signature, lines, named};
use crate::event::EngineWord;
use crate::path::printable;

/// The digest of a whole object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// MD5
    Md5([u8; 16]),
    /// SHA-1
    Sha1([u8; 20]),
    /// SHA-256
    Sha256([u8; 32]),
}

impl Digest {
    /// The digest that has so many bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            16 => bytes.try_into().ok().map(Self::Md5),
            20 => bytes.try_into().ok().map(Self::Sha1),
            32 => bytes.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// The word in front of the names of such signatures.
    pub fn engine(&self) -> EngineWord {
        match self {
            Self::Md5(_) => EngineWord::Md5,
            Self::Sha1(_) => EngineWord::Sha1,
            Self::Sha256(_) => EngineWord::Sha256,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Md5(bytes) => HEXLOWER.encode(bytes),
            Self::Sha1(bytes) => HEXLOWER.encode(bytes),
            Self::Sha256(bytes) => HEXLOWER.encode(bytes),
        })
    }
}

/// The row of the digest lists.
#[derive(Debug)]
pub struct DigestList;

impl Format for DigestList {
    fn name(&self) -> &'static str {
        "digests"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["md5", "sha1", "sha256", "digests"]
    }

    fn parse(&self, text: &mut dyn BufRead, source: &str, out: &mut dyn Intake) -> io::Result<()> {
        let notes = Notes { source };
        lines::each(text, |number, line| match line.map(<[u8]>::trim_ascii) {
            Ok([] | [b'#' | b';', ..]) => {}
            Ok(line) => match signature(line) {
                Ok(signature) => out.take(Item::Signature(signature)),
                Err(reason) => notes.complain(out, number, reason),
            },
            Err(reason) => notes.complain(out, number, reason),
        })
    }
}

fn signature(line: &[u8]) -> Result<Signature, String> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (hex, rest) = line.split_at_checked(digits).unwrap_or((line, &[]));
    let digest = digest(hex).ok_or_else(|| {
        let start = printable(line, 70);
        format!("`{start}` does not start with 32, 40 or 64 hexadecimal digits")
    })?;
    let (size, name) = match rest {
        [] => (None, digest.to_string().into_bytes()),
        [b':', rest @ ..] => sized(rest)?,
        [b' ' | b'\t', rest @ ..] => (None, file_name(rest).to_vec()),
        [other, ..] => {
            let other = printable(&[*other], 1);
            return Err(format!("`{other}` directly after {digits} digits"));
        }
    };
    Ok(Signature {
        name: named(digest.engine(), &name)?,
        meaning: Meaning::Digest { digest, size },
    })
}

fn digest(hex: &[u8]) -> Option<Digest> {
    Digest::from_bytes(&HEXLOWER_PERMISSIVE.decode(hex).ok()?)
}

/// `SIZE:NAME` or `NAME`. What stands before a colon must be a size, and what is only a number is no name: a slip there
/// would otherwise make a digest of one size one of any size, unseen.
fn sized(rest: &[u8]) -> Result<(Option<u64>, Vec<u8>), String> {
    let colon = rest.iter().position(|byte| *byte == b':');
    let Some((size, [_, name @ ..])) = colon.and_then(|at| rest.split_at_checked(at)) else {
        return match rest {
            b"*" => Err("a size without a name".to_owned()),
            _ if rest.iter().all(u8::is_ascii_digit) => Err("a size without a name".to_owned()),
            name => Ok((None, name.to_vec())),
        };
    };
    match size {
        b"*" => Ok((None, name.to_vec())),
        [_, ..] if size.iter().all(u8::is_ascii_digit) => {
            let size = String::from_utf8_lossy(size);
            let size = size
                .parse()
                .map_err(|_| format!("size {size}: too large"))?;
            Ok((Some(size), name.to_vec()))
        }
        other => Err(format!("`{}` is no size", printable(other, 40))),
    }
}

/// md5sum writes a blank, then a blank or a star, then the name.
fn file_name(rest: &[u8]) -> &[u8] {
    let name = rest.trim_ascii_start();
    name.strip_prefix(b"*").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::super::Batch;
    use super::*;

    const MD5: &str = "0123456789abcdef0123456789ABCDEF";
    const SHA1: &str = "0123456789abcdef0123456789abcdef01234567";

    fn parse(text: &str) -> Batch {
        let mut batch = Batch::default();
        batch.read(&DigestList, text.as_bytes(), "list");
        batch
    }

    #[test]
    fn every_form_of_a_line() {
        let sha256 = "ab".repeat(32);
        let rows = [
            (format!("{MD5}:68:Some.Name"), "MD5 Some.Name", Some(68)),
            (format!("{MD5}:*:Any size"), "MD5 Any size", None),
            (format!("{MD5}:Short"), "MD5 Short", None),
            (format!("{MD5}:*:a:b"), "MD5 a:b", None),
            (format!("{SHA1} one"), "SHA1 one", None),
            (format!("{SHA1}  two words\r"), "SHA1 two words", None),
            (format!("  {SHA1} *star"), "SHA1 star", None),
            (sha256.clone(), &format!("SHA256 {sha256}"), None),
        ];
        for (line, name, size) in rows {
            let batch = parse(&line);
            assert_eq!(batch.complaints(), []);
            assert_eq!(batch.signatures().len(), 1, "{line}");
            let Meaning::Digest { size: found, .. } = batch.signatures()[0].meaning else {
                panic!("{line}");
            };
            assert_eq!(batch.signatures()[0].name.to_string(), name);
            assert_eq!(found, size, "{line}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_loads() {
        let text = format!(
            "# list\n\n; too\n{MD5}:A\n0123 short\n{MD5}0:odd\n{MD5}:5:\n{MD5}x\n{MD5}:99999999999999999999:n\n\
             \\{MD5}  escaped\n{SHA1}\n{MD5}:-1:neg\n{MD5}:7\n"
        );
        let batch = parse(&text);
        let lines: Vec<_> = batch.complaints().iter().map(|c| c.line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 9, 10, 12, 13]);
        assert_eq!(batch.signatures().len(), 2);
        assert_eq!(
            batch.complaints()[0].to_string(),
            "list:5: `0123 short` does not start with 32, 40 or 64 hexadecimal digits"
        );
    }
}
