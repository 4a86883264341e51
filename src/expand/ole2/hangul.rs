//! Documents of Hangul 5 (Hancom's "HWP Document File Formats 5.0"): a compound file whose streams are deflated.
#![forbid(unsafe_code)]

use crate::bytes::Reader;

/// The stream that tells one, and what it begins with.
pub(super) const HEADER: &str = "FileHeader";
const MAGIC: &[u8] = b"HWP Document File\0";

/// Bytes of that stream that are read.
pub(super) const HEADER_LENGTH: u64 = 40;

/// Storages whose streams are deflated, and the stream beside them that is.
const STORAGES: [&str; 5] = [
    "BinData/",
    "BodyText/",
    "DocHistory/",
    "Scripts/",
    "ViewText/",
];
const STREAM: &str = "DocInfo";

/// What the header says of the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hangul {
    pub(super) encrypted: bool,
}

impl Hangul {
    /// By the header.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let flags = Reader::new(header.get(36..)?).u32_le()?;
        let is_one = header.starts_with(MAGIC);
        is_one.then_some(Self {
            encrypted: flags & 2 != 0,
        })
    }

    /// Tells whether a stream is deflated, by its path. The flag of the header that says so is not believed.
    pub(super) fn deflates(path: &str) -> bool {
        let begins = |storage: &str| {
            let start = path.get(..storage.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(storage))
        };
        path.eq_ignore_ascii_case(STREAM) || STORAGES.iter().any(|storage| begins(storage))
    }
}

/// Bytes in front of an object: its length.
pub(super) const OBJECT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_whether_streams_are_encrypted() {
        let header = |flags: u8| [MAGIC, &[0; 18], &[flags, 0, 0, 0]].concat();
        let read = |flags| Hangul::read(&header(flags)).map(|hangul| hangul.encrypted);
        assert_eq!((read(1), read(3)), (Some(false), Some(true)));
        assert_eq!(Hangul::read(&header(1)[..39]), None);
        assert_eq!(Hangul::read(&[0; 40]), None);
        for (path, deflates) in [
            ("BinData/a", true),
            ("BINDATA/a", true),
            ("docinfo", true),
            ("PrvText", false),
        ] {
            assert_eq!(Hangul::deflates(path), deflates, "{path}");
        }
    }
}
