//! Whole databases: what they find, however the content is cut, against a naive search.
use super::search::Extent;
use super::*;
use crate::event::{EngineWord, Place, Reason};
use crate::filetype::UNKNOWN;
use crate::signature::condition::Condition;
use crate::signature::condition::Hits;
use crate::signature::digests::Digest;
use crate::signature::pattern::{Builder, LENGTH_LIMIT};
use crate::signature::pattern::{Part, Pattern};
use crate::signature::rule::Rule;
use crate::signature::rule::Test;
use crate::signature::{Batch, Meaning, cvdl::Cvdl};
use crate::stop::Stop;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn database(cvdl: &str) -> Database {
    let mut batch = Batch::default();
    batch.read(&Cvdl, cvdl.as_bytes(), "test");
    assert_eq!(batch.complaints(), []);
    Database::compile(batch.into_parts().0).unwrap()
}

/// An object of which nothing is known but its bytes.
const SUBJECT: Subject<'static> = Subject {
    file_type: &UNKNOWN,
    layout: None,
    containers: &[],
    object: Err(&Reason::Corrupt),
    name: b"",
    allowed: false,
};

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

/// The bytes of a pattern without classes and gaps, and whether their case matters not.
fn runs(pattern: &Pattern) -> impl Iterator<Item = (&[u8], bool)> {
    let parts = pattern
        .segments()
        .iter()
        .flat_map(|segment| segment.parts());
    parts.map(|part| match part {
        Part::Bytes { bytes, caseless } => (bytes.as_slice(), *caseless),
        other => panic!("{other:?}"),
    })
}

/// The first end of a pattern in `content`, by looking everywhere.
fn naive(pattern: &Pattern, content: &[u8]) -> Option<u64> {
    let here = |window: &[u8]| {
        let mut rest = window;
        runs(pattern).all(|(bytes, caseless)| {
            let (part, after) = rest.split_at(bytes.len());
            rest = after;
            part == bytes || (caseless && part.to_ascii_lowercase() == bytes)
        })
    };
    let length: usize = runs(pattern).map(|(bytes, _)| bytes.len()).sum();
    let start = content.windows(length).position(here)?;
    Some((start + length) as u64)
}

fn oracle(signatures: &[Signature], content: &[u8]) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for signature in signatures {
        let Meaning::Rule(rule) = &signature.meaning else {
            continue;
        };
        let place = rule.condition.place(&|index| match &rule.tests[index] {
            Test::Pattern(pattern) => naive(pattern, content).map_or(Hits::default(), Hits::once),
            other => panic!("{other:?}"),
        });
        found.extend(place.map(|place| (signature.name.name.clone(), place)));
    }
    found
}

/// Few letters, so that patterns overlap, repeat and nearly match.
fn letter() -> impl Strategy<Value = u8> {
    prop::sample::select(b"abAB\x00".as_slice())
}

fn pattern() -> impl Strategy<Value = Pattern> {
    vec((vec(letter(), 1..12), any::<bool>()), 1..4).prop_map(|parts| {
        let mut builder = Builder::default();
        for (bytes, caseless) in parts {
            builder.bytes(&bytes, caseless);
        }
        builder.finish(None).unwrap()
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = (0..3_usize).prop_map(Condition::Test);
    leaf.prop_recursive(3, 8, 3, |inner| {
        let some = vec(inner.clone(), 1..4);
        prop_oneof![
            some.clone().prop_map(Condition::And),
            some.clone().prop_map(Condition::Or),
            some.prop_map(Condition::Xor),
            inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    })
}

fn signatures() -> impl Strategy<Value = Vec<Signature>> {
    vec((vec(pattern(), 3), condition()), 1..6).prop_map(|rules| {
        let signature = |(number, (patterns, condition)): (u32, _)| Signature {
            name: SignatureName::new(EngineWord::Cvdl, &number.to_string()),
            meaning: Meaning::Rule(Rule::anywhere(patterns, condition)),
        };
        (0..).zip(rules).map(signature).collect()
    })
}

/// Parts of a content: a pattern by number, whole or with other case, then noise.
fn parts() -> impl Strategy<Value = Vec<(usize, bool, Vec<u8>)>> {
    vec((any::<usize>(), any::<bool>(), vec(letter(), 0..40)), 0..12)
}

/// Content in which the patterns of these signatures have a chance to occur.
fn content(signatures: &[Signature], parts: &[(usize, bool, Vec<u8>)]) -> Vec<u8> {
    let patterns = signatures.iter().flat_map(|one| match &one.meaning {
        Meaning::Rule(rule) => rule.tests.as_slice(),
        _ => &[],
    });
    let bytes = |test: &Test| match test {
        Test::Pattern(pattern) => runs(pattern).flat_map(|run| run.0.to_vec()).collect(),
        other => panic!("{other:?}"),
    };
    let patterns: Vec<Vec<u8>> = patterns.map(bytes).collect();
    let part = |(pick, upper, noise): &(usize, bool, Vec<u8>)| {
        let bytes = &patterns[pick % patterns.len()];
        let bytes = match upper {
            true => bytes.to_ascii_uppercase(),
            false => bytes.clone(),
        };
        [bytes, noise.clone()].concat()
    };
    parts.iter().flat_map(part).collect()
}

fn cut(content: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = content;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk.to_vec());
        rest = after;
    }
    chunks
}

proptest! {
    #[test]
    fn any_split_of_any_content_finds_what_the_naive_search_finds(
        signatures in signatures(),
        parts in parts(),
        sizes in vec(1..70_usize, 1..8),
    ) {
        let content = content(&signatures, &parts);
        let expected = oracle(&signatures, &content);
        let database = Database::compile(signatures).unwrap();
        let pieces = cut(&content, &sizes);
        let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        for chunks in [&[content.as_slice()][..], &pieces] {
            prop_assert_eq!(&matches(&database, chunks), &expected);
        }
    }
}
