//! OneNote ([MS-ONESTORE]): the files in a notebook's section.
//!
//! They are found by the identifier that each begins with, and not by the lists of nodes that lead to them: what was
//! deleted is still there, and lists are easily damaged.
#![forbid(unsafe_code)]

use std::io;

use super::{Children, Container, Content, Expander, Halt};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{CHUNK, Object};

/// A section, and the table of contents of a notebook (§2.3.1).
const TYPES: [&[u8; 16]; 2] = [
    b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3",
    b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f",
];

/// `guidFileFormat` of what servers send ([MS-ONESTORE] §2.8): its objects are packed in another way.
const PACKAGED: &[u8] = b"\x3f\xdd\x9a\x10\x1b\x91\xf5\x49\xa5\xd0\x17\x91\xed\xc8\xae\xd8";

/// The identifiers at the start and at the end of a file (§2.6.13).
const START: &[u8; 16] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
const END: &[u8] = b"\x22\xa7\xfb\x71\x79\x0f\x0b\x4a\xbb\x13\x89\x92\x56\x42\x6b\x24";

/// The identifier, the length, and what is not used.
const HEADER: usize = 36;

/// Where the format and the expected length stand in the header.
const FORMAT: usize = 48;
const LENGTH: usize = 196;

/// The expander of OneNote.
pub(super) struct OneNote;

impl Expander for OneNote {
    fn kind(&self) -> &'static str {
        "onenote"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, 1024)?;
        if !TYPES.iter().any(|start| head.starts_with(*start)) {
            return Err(Halt::Unlike);
        }
        if head.get(FORMAT..FORMAT + PACKAGED.len()) != Some(PACKAGED) {
            let reason = Reason::Unsupported("onenote-package".to_owned());
            children.gap(None, reason, "not in the form of a file".to_owned())?;
        } else {
            let mut field = Reader::new(head.get(LENGTH..).unwrap_or_default());
            let length = field.u64_le().unwrap_or(u64::MAX);
            if length > object.length() {
                let detail = format!("{} of {length} bytes are there", object.length());
                children.gap(None, Reason::Corrupt, detail)?;
            }
        }
        let mut number = 0_u64;
        let mut from = 0;
        while let Some(at) = next(object, from)? {
            number += 1;
            let header = object.bytes_at(at, HEADER)?;
            let name = format!("file-{number}");
            let mut field = Reader::new(header.get(START.len()..).unwrap_or_default());
            let length = field.u64_le().filter(|_| header.len() == HEADER);
            let Some(length) = length else {
                let detail = "the header of the file is cut".to_owned();
                return children.gap(Some(name.as_bytes()), Reason::Corrupt, detail);
            };
            let start = at + HEADER as u64;
            let file = object.slice(start, length);
            let there = file.length();
            children.child(name.as_bytes(), Content::Object(file))?;
            // The end is behind at most seven bytes of padding.
            let behind = object.bytes_at(start.saturating_add(length), 8 + END.len())?;
            let whole = there == length && memchr::memmem::find(&behind, END).is_some();
            if !whole {
                let detail = format!("no end behind the {length} bytes of the file");
                children.gap(Some(name.as_bytes()), Reason::Corrupt, detail)?;
            }
            // A wrong length is no reason to miss the next one.
            from = if whole {
                start + length
            } else {
                at + START.len() as u64
            };
        }
        Ok(())
    }
}

/// The next file from `from` on.
fn next(object: &Object, from: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    let mut step = 4096;
    loop {
        let bytes = object.bytes_at(at, step)?;
        if let Some(found) = memchr::memmem::find(&bytes, START) {
            return Ok(Some(at + found as u64));
        }
        if bytes.len() < step {
            return Ok(None);
        }
        // It may lie across the border.
        at += (step - START.len() + 1) as u64;
        step = (2 * step).min(CHUNK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, said, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&OneNote, bytes, b"x.one")
    }

    fn section(files: &[&[u8]], between: usize) -> Vec<u8> {
        let mut out = TYPES[0].to_vec();
        out.resize(1024, 0);
        out[FORMAT..FORMAT + 16].copy_from_slice(PACKAGED);
        for file in files {
            out.resize(out.len() + between, 0);
            out.extend(START);
            out.extend((file.len() as u64).to_le_bytes());
            out.extend([0; 12]);
            out.extend(*file);
            out.resize(out.len().next_multiple_of(8), 0);
            out.extend(END);
        }
        let length = out.len() as u64;
        out[LENGTH..LENGTH + 8].copy_from_slice(&length.to_le_bytes());
        out
    }

    #[test]
    fn files_are_found_wherever_they_lie() {
        let large = [5; 70_001];
        let files: [&[u8]; 3] = [b"", b"MZ program", &large];
        for between in [
            0,
            3000,
            3060,
            3061,
            3070,
            3071,
            3072,
            CHUNK - 1,
            CHUNK,
            300_000,
        ] {
            let got = run(&section(&files, between));
            let contents: Vec<_> = got.children.iter().map(|child| &*child.1).collect();
            assert_eq!(contents, files, "{between}");
            assert_eq!(got.names(), ["file-1", "file-2", "file-3"]);
            assert_eq!(got.gaps, []);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_said() {
        let mut bytes = section(&[b"first", b"second"], 0);
        let at = memchr::memmem::find(&bytes, START).unwrap() + 16;
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let got = run(&bytes);
        assert_eq!(got.names(), ["file-1", "file-2"]);
        assert!(got.children[0].1.starts_with(b"first"));
        assert_eq!(got.children[1].1, b"second");
        assert_eq!(got.reasons(), ["corrupt"]);
        let mut bytes = section(&[b"first"], 0);
        bytes[FORMAT] ^= 1;
        let wanted = said(
            None,
            "unsupported/onenote-package",
            "not in the form of a file",
        );
        assert_eq!(run(&bytes).gaps, [wanted]);
    }

    #[test]
    fn no_damage_panics() {
        let sample = section(&[b"first", b"the second"], 20);
        assert_eq!(withstand(&OneNote, &sample, b"x.one"), [0; 0]);
    }
}
