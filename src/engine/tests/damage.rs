//! Sections whose content makes no sense, though their checksums are right: wrong answers are allowed, panics are not.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io::Cursor;

use proptest::prelude::*;

use super::{SUBJECT, finished};
use crate::engine::{Compiler, Database};
use crate::image::{Image, Tag, Writer};
use crate::signature::{Format, cvdl::Cvdl, digests::DigestList};

/// A database with a bit of everything, as its sections.
fn sections() -> Vec<(Tag, Vec<u8>)> {
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    let rules =
        b":a, \"abc\" AND NOT \"x\" # :b, \"q\" XOR \"abc\" # :c, NOT \"zz\" # :d, ~\"Q\" #";
    let digests =
        b"900150983cd24fb0d6963f7d28e17f72:3:Abc\nda39a3ee5e6b4b0d3255bfef95601890afd80709 empty\n";
    Cvdl.parse(&mut rules.as_slice(), "rules", &mut compiler)
        .unwrap();
    DigestList
        .parse(&mut digests.as_slice(), "digests", &mut compiler)
        .unwrap();
    assert_eq!(compiler.complaints(), []);
    let image = compiler.finish().unwrap().0.into_inner();
    let number = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap()) as usize;
    let table = &image[number(16)..];
    let entries = table
        .chunks_exact(32)
        .map(|entry| entry[..8].try_into().unwrap());
    let image = Image::open(image.clone().into()).unwrap();
    entries
        .map(|tag| (tag, image.section(tag).unwrap().to_vec()))
        .collect()
}

fn written(sections: &[(Tag, Vec<u8>)]) -> Image {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    for (tag, content) in sections {
        writer.section(*tag, content).unwrap();
    }
    Image::open(writer.finish().unwrap().into_inner().into()).unwrap()
}

fn used(sections: &[(Tag, Vec<u8>)]) {
    let Ok(database) = Database::open(&written(sections)) else {
        return;
    };
    for name in database.names() {
        database.knows(&name);
    }
    let _ = database.duplicates().count();
    for content in [&b"abc"[..], b"", b"a q and abc"] {
        finished(&database, &[content], &SUBJECT);
    }
}

#[test]
fn a_section_that_is_missing_or_empty_or_cut_is_no_panic() {
    let whole = sections();
    used(&whole);
    for at in 0..whole.len() {
        let mut fewer = whole.clone();
        let (tag, content) = fewer.remove(at);
        assert!(Database::open(&written(&fewer)).is_err(), "{tag:?}");
        for length in [0, 1, content.len() / 2, content.len().saturating_sub(1)] {
            let mut cut = whole.clone();
            cut[at].1.truncate(length);
            used(&cut);
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_are_no_panic(
        changes in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<u8>()), 1..4),
    ) {
        let mut sections = sections();
        for (section, at, byte) in changes {
            let section = usize::from(section) % sections.len();
            let content = &mut sections[section].1;
            if !content.is_empty() {
                let at = at as usize % content.len();
                content[at] = byte;
            }
        }
        used(&sections);
    }
}
