//! Random signatures and contents against an evaluation that looks everywhere.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{SUBJECT, finished, of_type};
use crate::engine::{Compiler, Database, Subject};
use crate::event::{EngineWord, Place, SignatureName};
use crate::filetype::UNKNOWN;
use crate::signature::condition::{Condition, Count, Hits, Relation};
use crate::signature::pattern::{Builder, Part, Pattern};
use crate::signature::rule::{Rule, Scope, Test};
use crate::signature::{Intake, Item, Meaning, Signature};

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

/// How often a pattern is in `content`, and the first end, by looking everywhere.
fn naive(pattern: &Pattern, content: &[u8]) -> Hits {
    let here = |window: &[u8]| {
        let mut rest = window;
        runs(pattern).all(|(bytes, caseless)| {
            let (part, after) = rest.split_at(bytes.len());
            rest = after;
            part == bytes || (caseless && part.to_ascii_lowercase() == bytes)
        })
    };
    let length: usize = runs(pattern).map(|(bytes, _)| bytes.len()).sum();
    let mut starts = (0..)
        .zip(content.windows(length))
        .filter(|(_, window)| here(window));
    let first = starts.next();
    Hits {
        count: starts.count() as u32 + u32::from(first.is_some()),
        end: first.map(|(start, _)| start + length as u64),
    }
}

/// The names that must be found, and where.
fn oracle(set: &Set, content: &[u8], target: u8) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for signature in &set.signatures {
        let name = &signature.name.name;
        let Meaning::Rule(rule) = &signature.meaning else {
            panic!("{signature:?}");
        };
        let size = rule.scope.size.unwrap_or((0, u64::MAX));
        let is_for = (rule.scope.target == 0 || rule.scope.target == target)
            && (size.0..=size.1).contains(&(content.len() as u64));
        let place = rule.condition.place(&|index| match &rule.tests[index] {
            Test::Pattern(pattern) => naive(pattern, content),
            other => panic!("{other:?}"),
        });
        let is_new = !found.iter().any(|(other, _)| other == name);
        if is_for && is_new && !set.ignored.contains(name) {
            found.extend(place.map(|place| (name.clone(), place)));
        }
    }
    found
}

/// What a database is made of.
#[derive(Debug, Clone)]
struct Set {
    signatures: Vec<Signature>,
    ignored: Vec<String>,
}

impl Set {
    fn compile(&self) -> Database {
        let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
        let (before, after) = self.ignored.split_at(self.ignored.len() / 2);
        for name in before {
            compiler.take(Item::Ignored(name.clone()));
        }
        for signature in &self.signatures {
            compiler.take(Item::Signature(signature.clone()));
        }
        for name in after {
            compiler.take(Item::Ignored(name.clone()));
        }
        compiler.open().unwrap()
    }
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

fn count() -> impl Strategy<Value = Condition> {
    let relation = prop::sample::select(vec![Relation::Above, Relation::Below, Relation::Equal]);
    let lists = vec(vec(0..3_usize, 1..3), 1..3);
    (lists, relation, 0..4_u32, 0..3_u32).prop_map(|(of, relation, times, different)| {
        Condition::Count(Count {
            of,
            relation,
            times,
            different,
        })
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        4 => (0..3_usize).prop_map(Condition::Test),
        1 => count(),
    ];
    let tree = leaf.prop_recursive(3, 8, 3, |inner| {
        let some = vec(inner.clone(), 1..4);
        prop_oneof![
            some.clone().prop_map(Condition::And),
            some.clone().prop_map(Condition::Or),
            some.prop_map(Condition::Xor),
            inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    });
    prop_oneof![2 => tree, 1 => Just(Condition::Test(0))]
}

fn scope() -> impl Strategy<Value = Scope> {
    let target = prop::sample::select(vec![0, 0, 0, 1, 6]);
    let size = prop::option::weighted(0.2, (0..60_u64, 20..200_u64));
    (target, size).prop_map(|(target, size)| Scope {
        target,
        size,
        ..Scope::default()
    })
}

/// A few names for all, so that some are there twice and some are ignored.
fn set() -> impl Strategy<Value = Set> {
    let rule = (vec(pattern(), 1..4), condition(), scope(), 0..9_u8);
    let ignored = vec((0..9_u8).prop_map(|name| name.to_string()), 0..3);
    (vec(rule, 1..6), ignored).prop_map(|(rules, ignored)| {
        let signature = |(patterns, condition, scope, name): (Vec<Pattern>, _, _, u8)| {
            // Each index stands for a test.
            let patterns = patterns.iter().cycle().take(match condition {
                Condition::Test(0) => 1,
                _ => 3,
            });
            let rule = Rule::anywhere(patterns.cloned().collect(), condition);
            Signature {
                name: SignatureName::new(EngineWord::Clam, &name.to_string()),
                meaning: Meaning::Rule(Rule { scope, ..rule }),
            }
        };
        Set {
            signatures: rules.into_iter().map(signature).collect(),
            ignored,
        }
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
        set in set(),
        parts in parts(),
        sizes in vec(1..70_usize, 1..8),
        is_program: bool,
    ) {
        let content = content(&set.signatures, &parts);
        let file_type = if is_program { of_type("CL_TYPE_MSEXE") } else { &UNKNOWN };
        let expected = oracle(&set, &content, file_type.target);
        let database = set.compile();
        let pieces = cut(&content, &sizes);
        let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        for chunks in [&[content.as_slice()][..], &pieces] {
            let subject = Subject { file_type, ..SUBJECT };
            let found = finished(&database, chunks, &subject).findings;
            let found = found.into_iter().map(|held| (held.signature.name, held.place));
            prop_assert_eq!(&found.collect::<Vec<_>>(), &expected);
        }
    }
}
