//! The engine: signatures compiled into one machine, and one object at a time matched by it.
//!
//! Best literal of each pattern (`atoms`) → one pass over the content (`literals`) → `confirm` → `conditions`;
//! `digests` beside it. The machine never changes after it was compiled, so any number of matchers share it. What a
//! matcher finds does not depend on how the content was cut into chunks; the naive search in the tests is the oracle.
#![forbid(unsafe_code)]

mod atoms;
mod conditions;
mod confirm;
mod digests;
pub mod late;
mod literals;

use std::collections::{HashMap, HashSet};

use crate::event::{Place, SignatureName};
use crate::signature::condition::Hits;
use crate::signature::pattern::Pattern;
use crate::signature::rule::Test;
use crate::signature::{Meaning, Signature};
use conditions::Conditions;
use confirm::confirm;
use digests::{Hashes, Known};
use literals::Literals;

/// All signatures as one machine; immutable.
#[derive(Debug)]
pub struct Database {
    /// For each signature, in the order of the sources.
    names: Vec<SignatureName>,
    /// The numbers of the signatures, sorted by name.
    by_name: Vec<u32>,
    /// Each pattern once, however many rules use it.
    patterns: Vec<Pattern>,
    /// The bytes of a match that may lie before a chunk: one less than the longest pattern has.
    carry: usize,
    literals: Literals,
    conditions: Conditions,
    digests: Known,
}

impl Database {
    /// Builds the machine.
    ///
    /// # Errors
    /// More signatures or patterns than the machine can number; the text is for people.
    pub fn compile(signatures: Vec<Signature>) -> Result<Self, String> {
        let mut names = Vec::with_capacity(signatures.len());
        let mut patterns = Interned::default();
        let mut conditions = Conditions::default();
        let mut digests = Known::default();
        for signature in signatures {
            let number = u32::try_from(names.len()).map_err(|_| "too many signatures")?;
            names.push(signature.name);
            match signature.meaning {
                Meaning::Digest { digest, size } => digests.add(number, digest, size),
                Meaning::SectionDigest { .. } => return Err("section digests".to_owned()),
                Meaning::Rule(rule) => {
                    let own = rule.tests.into_iter().map(|test| match test {
                        Test::Pattern(pattern) => patterns.number(pattern),
                        other => Err(format!("{other:?}")),
                    });
                    conditions.add(number, own.collect::<Result<_, _>>()?, rule.condition);
                }
            }
        }
        let patterns = patterns.list;
        let longest = patterns.iter().map(confirm::length).max();
        Ok(Self {
            by_name: sorted_by_name(&names),
            names,
            literals: Literals::compile(&patterns)?,
            carry: longest.unwrap_or(1).saturating_sub(1),
            patterns,
            conditions,
            digests,
        })
    }

    /// The number of signatures.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The names of the signatures, in the order of the sources.
    pub fn names(&self) -> impl Iterator<Item = &SignatureName> {
        self.names.iter()
    }

    /// True if a signature has this name: what a worker process reports is held against it.
    pub fn knows(&self, name: &SignatureName) -> bool {
        let order = |number: &u32| self.name(*number).cmp(&Some(name));
        self.by_name.binary_search_by(order).is_ok()
    }

    fn name(&self, number: u32) -> Option<&SignatureName> {
        self.names.get(number as usize)
    }
}

fn sorted_by_name(names: &[SignatureName]) -> Vec<u32> {
    let mut numbered: Vec<_> = names.iter().zip(0..).collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, number)| number).collect()
}

/// Patterns by number, equal ones only once.
#[derive(Default)]
struct Interned {
    list: Vec<Pattern>,
    numbers: HashMap<Pattern, u32>,
}

impl Interned {
    fn number(&mut self, pattern: Pattern) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(&pattern) {
            return Ok(*number);
        }
        let number = u32::try_from(self.list.len()).map_err(|_| "too many patterns")?;
        self.list.push(pattern.clone());
        self.numbers.insert(pattern, number);
        Ok(number)
    }
}

/// A signature that holds on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'d> {
    /// Which.
    pub signature: &'d SignatureName,
    /// Where.
    pub place: Place,
}

/// Small chunks are gathered up to this many bytes, so that a pass never searches much more carry than news. In tests
/// it is small, so that short contents cross many borders.
const GATHER: usize = if cfg!(test) { 32 } else { 8 * 1024 };

/// Matches one object that is fed from its first byte to its last.
pub struct Matcher<'d> {
    database: &'d Database,
    hashes: Hashes,
    /// The last bytes that were searched, as many as a match may still need, then those not yet searched.
    window: Vec<u8>,
    /// The bytes of the window that are not yet searched.
    pending: usize,
    /// The bytes of the object before the window.
    before: u64,
    found: Found,
}

impl<'d> Matcher<'d> {
    /// Begins an object.
    pub fn new(database: &'d Database) -> Self {
        Self {
            database,
            hashes: database.digests.begin(),
            window: Vec::new(),
            pending: 0,
            before: 0,
            found: Found {
                ends: vec![0; database.patterns.len()],
                held: Vec::new(),
            },
        }
    }

    /// Takes the next bytes of the object, any number of them.
    ///
    /// A large chunk is searched where it lies; what is copied is its two ends, for the matches across them.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.hashes.feed(chunk);
        if self.pending + chunk.len() < GATHER {
            self.window.extend_from_slice(chunk);
            self.pending += chunk.len();
            return;
        }
        let across = chunk.get(..self.database.carry).unwrap_or(chunk);
        if !self.window.is_empty() {
            self.window.extend_from_slice(across);
            self.found.search(self.database, &self.window, self.before);
            self.window.truncate(self.window.len() - across.len());
        }
        let start = self.before + self.window.len() as u64;
        self.found.search(self.database, chunk, start);
        self.carry_over(chunk);
    }

    /// The signatures that hold, in the order of the sources, each name once.
    pub fn finish(mut self) -> Vec<Match<'d>> {
        if self.pending > 0 {
            self.found.search(self.database, &self.window, self.before);
        }
        let database = self.database;
        let digests = database.digests.holding(self.hashes).into_iter();
        let rules = database.conditions.holding(&self.found.held, |pattern| {
            self.found.end(pattern).map_or(Hits::default(), Hits::once)
        });
        let mut holding: Vec<_> = digests
            .map(|number| (number, Place::Digest))
            .chain(rules)
            .collect();
        holding.sort_unstable_by_key(|(number, _)| *number);
        let mut seen = HashSet::new();
        holding
            .into_iter()
            .filter_map(|(number, place)| Some((database.name(number)?, place)))
            .filter(|(signature, _)| seen.insert(*signature))
            .map(|(signature, place)| Match { signature, place })
            .collect()
    }

    /// Keeps the end of what was searched, window and chunk, as the carry of the next search.
    fn carry_over(&mut self, chunk: &[u8]) {
        let length = self.window.len() + chunk.len();
        let dropped = length.saturating_sub(self.database.carry);
        let from_window = dropped.min(self.window.len());
        self.window.drain(..from_window);
        self.window
            .extend_from_slice(chunk.get(dropped - from_window..).unwrap_or(&[]));
        self.before += dropped as u64;
        self.pending = 0;
    }
}

/// Which patterns were found so far.
struct Found {
    /// For each pattern the end of its first match, 0 for none: no match ends there. A zeroed table costs nothing
    /// until it is written to, however many patterns there are.
    ends: Vec<u64>,
    /// The patterns that were found.
    held: Vec<u32>,
}

impl Found {
    /// Searches `content`, which starts after `before` bytes of the object.
    fn search(&mut self, database: &Database, content: &[u8], before: u64) {
        database.literals.candidates(content, |anchor, atom| {
            let number = anchor.pattern as usize;
            let (Some(pattern), Some(first @ 0)) =
                (database.patterns.get(number), self.ends.get_mut(number))
            else {
                return;
            };
            if let Some(end) = confirm(pattern, content, atom, anchor.offset as usize) {
                *first = before + end as u64;
                self.held.push(anchor.pattern);
            }
        });
    }

    fn end(&self, pattern: u32) -> Option<u64> {
        self.ends
            .get(pattern as usize)
            .copied()
            .filter(|end| *end > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EngineWord;
    use crate::signature::condition::Condition;
    use crate::signature::digests::Digest;
    use crate::signature::pattern::{Builder, LENGTH_LIMIT};
    use crate::signature::rule::Rule;
    use crate::signature::{Batch, cvdl::Cvdl};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    fn database(cvdl: &str) -> Database {
        let mut batch = Batch::default();
        batch.read(&Cvdl, cvdl.as_bytes(), "test");
        assert_eq!(batch.complaints(), []);
        Database::compile(batch.into_parts().0).unwrap()
    }

    fn matches<'d>(database: &'d Database, chunks: &[&[u8]]) -> Vec<(&'d str, Place)> {
        let mut matcher = Matcher::new(database);
        for chunk in chunks {
            matcher.feed(chunk);
        }
        let matches = matcher.finish().into_iter();
        matches
            .map(|found| (found.signature.name.as_str(), found.place))
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
        let database =
            database(":z, \"a\" # :none, NOT \"q\" # :b, ~\"B\" # :z, \"b\" # :q, \"q\" #");
        let expected = [
            ("z", Place::End(1)),
            ("none", Place::Absence),
            ("b", Place::End(2)),
        ];
        assert_eq!(matches(&database, &[b"ab"]), expected);
        assert_eq!(database.count(), 5);
        let last = database.names().last().unwrap().clone();
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
        assert_eq!(found, [("any", Place::Digest)]);
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
                assert_eq!(found, [("a", Place::End(at as u64 + 6))], "{at} by {size}");
            }
        }
    }

    #[test]
    fn the_longest_pattern_is_found_across_every_border() {
        let needle: Vec<u8> = (0..LENGTH_LIMIT).map(|at| (at % 251) as u8).collect();
        let hex: String = needle.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let database = database(&format!(":long, \"{hex}\" #"));
        let content = [&b"before"[..], &needle, b"after"].concat();
        let expected = [("long", Place::End(6 + needle.len() as u64))];
        for at in 0..content.len() {
            let (first, second) = content.split_at(at);
            assert_eq!(matches(&database, &[first, second]), expected, "{at}");
        }
    }

    /// The first end of a pattern in `content`, by looking everywhere.
    fn naive(pattern: &Pattern, content: &[u8]) -> Option<u64> {
        let here = |window: &[u8]| {
            let mut rest = window;
            confirm::runs(pattern).all(|(bytes, caseless)| {
                let (part, after) = rest.split_at(bytes.len());
                rest = after;
                part == bytes || (caseless && part.to_ascii_lowercase() == bytes)
            })
        };
        let length = confirm::length(pattern);
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
                Test::Pattern(pattern) => {
                    naive(pattern, content).map_or(Hits::default(), Hits::once)
                }
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
            Test::Pattern(pattern) => confirm::runs(pattern)
                .flat_map(|run| run.0.to_vec())
                .collect(),
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
                let found: Vec<_> = matches(&database, chunks)
                    .into_iter()
                    .map(|(name, place)| (name.to_owned(), place))
                    .collect();
                prop_assert_eq!(&found, &expected);
            }
        }

        #[test]
        fn the_matches_of_one_pattern_come_in_order(
            pattern in pattern(),
            content in vec(letter(), 0..300),
        ) {
            // The first confirmed match must be the earliest, for the search stops asking after it.
            let literals = Literals::compile(std::slice::from_ref(&pattern)).unwrap();
            let mut last = 0;
            literals.candidates(&content, |_, at| {
                assert!(at >= last);
                last = at;
            });
        }
    }
}
