//! Whole databases: what they find, however the content is cut, against a naive search.
mod damage;
mod random;
mod rules;
#[cfg(feature = "yara")]
mod yara;

use super::search::Extent;
use super::*;
use crate::event::{EngineWord, Place, Reason};
use crate::filetype::{FileType, TYPES, UNKNOWN};
use crate::signature::digests::Digest;
use crate::signature::pattern::LENGTH_LIMIT;
use crate::signature::{Batch, Meaning, cvdl::Cvdl};
use crate::stop::{Cancel, Stop, Stopped};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

fn database(cvdl: &str) -> Database {
    let mut batch = Batch::default();
    batch.read(&Cvdl, cvdl.as_bytes(), "test");
    assert_eq!(batch.complaints(), []);
    Database::compile(batch.into_parts().0).unwrap()
}

/// An object of which nothing is known but its bytes.
pub(super) const SUBJECT: Subject<'static> = Subject {
    form: crate::view::Form::Content,
    file_type: &UNKNOWN,
    layout: None,
    containers: &[],
    object: Err(&Reason::Corrupt),
    name: b"",
    allowed: false,
    contiguous: u64::MAX,
};

/// The type that ClamAV names like this.
fn of_type(clam: &str) -> &'static FileType {
    TYPES.iter().find(|one| one.clam == clam).unwrap()
}

fn finished(database: &Database, chunks: &[&[u8]], subject: &Subject<'_>) -> Matches {
    let mut matcher = Matcher::new(database, Extent::default(), Stop::never());
    for chunk in chunks {
        matcher.feed(chunk).unwrap();
    }
    matcher.finish(subject)
}

fn matches(database: &Database, chunks: &[&[u8]]) -> Vec<(String, Place)> {
    let matches = finished(database, chunks, &SUBJECT).findings.into_iter();
    matches
        .map(|found| (found.signature.name, found.place))
        .collect()
}

fn named(rows: &[(&str, Place)]) -> Vec<(String, Place)> {
    rows.iter()
        .map(|(name, place)| ((*name).to_owned(), *place))
        .collect()
}

/// One rule of the language's papers, with what it matches and what not.
type Row<'a> = (&'a str, &'a [&'a [u8]], &'a [&'a [u8]]);

#[test]
fn the_examples_of_the_language() {
    let rows: &[Row] = &[
        (
            r#""pets" AND "cat" OR "dog""#,
            &[b"cat and pets", b"a dog", b"dog"],
            &[b"pets only", b"cat only", b""],
        ),
        (
            r#""pets" AND ("cat" OR "dog")"#,
            &[b"pets: dog", b"cat, pets"],
            &[b"dog", b"cat", b"pets"],
        ),
        (
            r#""guns" XOR "bullets""#,
            &[b"guns", b"bullets"],
            &[b"guns bullets", b"butter"],
        ),
        (
            r#"("guns" AND NOT "bullets") OR ("bullets" AND NOT "guns")"#,
            &[b"guns", b"bullets"],
            &[b"guns bullets", b"butter"],
        ),
        (
            r#"NOT "Copyright 2001, CyberSoft, Inc.""#,
            &[b"hello", b""],
            &[b"is Copyright 2001, CyberSoft, Inc. here"],
        ),
        (
            r#""abc", "def""#,
            &[b"abcdef", b"xxabcdefyy"],
            &[b"abc def", b"abcxdef"],
        ),
        (r#"~"abc""#, &[b"abc", b"ABC", b"xAbC"], &[b"ab c"]),
        (r#""\x01\x4d\xaa""#, &[b"\x01\x4d\xaa"], &[b"\x01\x4d\xab"]),
        (r#""a" OR "b""#, &[b"zzb"], &[b"zz"]),
        (r#""abc$mac""#, &[b"abc$mac"], &[b"abcq"]),
    ];
    for (rule, holds, fails) in rows {
        let database = database(&format!(":n, {rule} #"));
        for content in *holds {
            assert_eq!(
                matches(&database, &[content]).len(),
                1,
                "{rule} {content:?}"
            );
        }
        for content in *fails {
            assert_eq!(matches(&database, &[content]), [], "{rule} {content:?}");
        }
    }
}

#[test]
fn a_name_is_reported_once_and_in_the_order_of_the_sources() {
    let database = database(":z, \"a\" # :none, NOT \"q\" # :b, ~\"B\" # :z, \"b\" # :q, \"q\" #");
    let expected = [
        ("z", Place::End(1)),
        ("none", Place::Absence),
        ("b", Place::End(2)),
    ];
    assert_eq!(matches(&database, &[b"ab"]), named(&expected));
    assert_eq!(database.count(), 5);
    let last = database.names().last().unwrap();
    assert!(database.knows(&last));
    assert!(!database.knows(&SignatureName::new(EngineWord::Md5, "q")));
}

#[test]
fn a_database_without_signatures_finds_nothing() {
    let database = Database::compile(Vec::new()).unwrap();
    assert_eq!(matches(&database, &[b"abc", &[0; 20_000]]), []);
}

#[test]
fn what_was_found_before_it_was_stopped_is_found() {
    let database = database(":a, \"abc\" #");
    let cancel = Cancel::default();
    let stop = Stop::after(Duration::from_secs(1000), cancel.clone());
    let mut matcher = Matcher::new(&database, Extent::default(), stop);
    matcher.feed(b"abc").unwrap();
    matcher.feed(&vec![b'-'; 1 << 20]).unwrap();
    cancel.cancel();
    assert!(matcher.feed(&vec![b'-'; 1 << 20]).is_err());
    let matches = matcher.finish(&SUBJECT);
    assert_eq!(matches.stopped, Some(Stopped::Cancelled));
    assert_eq!(matches.findings.len(), 1);
}

#[test]
fn a_digest_is_of_the_whole_object() {
    let content = vec![7; 20_000];
    let digest = Digest::Sha256(Sha256::digest(&content).into());
    let signature = |name, size| Signature {
        name: SignatureName::new(EngineWord::Sha256, name),
        meaning: Meaning::Digest { digest, size },
    };
    let signatures = vec![signature("any", None), signature("other", Some(3))];
    let database = Database::compile(signatures).unwrap();
    let halves = content.split_at(9_000);
    let found = matches(&database, &[halves.0, halves.1]);
    assert_eq!(found, named(&[("any", Place::Digest)]));
    assert_eq!(matches(&database, &[halves.0]), []);
}

#[test]
fn places_are_counted_from_the_start_of_the_object() {
    let database = database(":a, \"needle\" # :b, \"haystacks\" #");
    let hay = vec![b'-'; 100_000];
    for at in [0, 1, 8_190, 16_000, 65_530, 99_999] {
        let mut content = hay.clone();
        content.splice(at..at, *b"needle");
        for size in [1, 7, 4_096, 8_192, 65_536, 200_000] {
            let chunks: Vec<_> = content.chunks(size).collect();
            let found = matches(&database, &chunks);
            let expected = named(&[("a", Place::End(at as u64 + 6))]);
            assert_eq!(found, expected, "{at} by {size}");
        }
    }
}

#[test]
fn the_longest_pattern_is_found_across_every_border() {
    let needle: Vec<u8> = (0..LENGTH_LIMIT).map(|at| (at % 251) as u8).collect();
    let hex: String = needle.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let database = database(&format!(":long, \"{hex}\" #"));
    let content = [&b"before"[..], &needle, b"after"].concat();
    let expected = named(&[("long", Place::End(6 + needle.len() as u64))]);
    for at in 0..content.len() {
        let (first, second) = content.split_at(at);
        assert_eq!(matches(&database, &[first, second]), expected, "{at}");
    }
}
