//! What a search finds, against the definition and whatever the cut.
#![forbid(unsafe_code)]

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::found::Matches;
use super::{Builder, Extent, Found, Keep, Likely, PLACES, Patterns, Search, naive};
use crate::executable::{Layout, Section};
use crate::image::{Image, Tag, Writer};
use crate::signature::condition::Hits;
use crate::signature::pattern::{
    self, Base, Border, ByteSet, Edge, LENGTH_LIMIT, NoPattern, Offset, Pattern, Side,
};
use crate::stop::{Cancel, Stop, Stopped};

fn image(patterns: &[(Pattern, Keep)]) -> (Image, Vec<u32>) {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    let mut builder = Builder::begin(&mut writer).unwrap();
    let add = |(pattern, keep): &(Pattern, Keep)| {
        builder
            .add(pattern, *keep, Likely::Again, &mut writer)
            .unwrap()
    };
    let numbers = patterns.iter().map(add).collect();
    builder.write(&mut writer).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    (Image::open(bytes.into()).unwrap(), numbers)
}

fn search(patterns: &Patterns, chunks: &[&[u8]], layout: &Layout, known: bool) -> Found {
    let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let extent = match known {
        false => Extent::default(),
        true => Extent {
            length: Some(length as u64),
            layout: Some(layout.clone()),
        },
    };
    let mut search = Search::new(patterns, extent, Stop::never());
    for chunk in chunks {
        search.feed(chunk).unwrap();
    }
    search.finish(length as u64, Some(layout)).0
}

fn matches(found: &Found, pattern: u32) -> Matches {
    Matches {
        hits: found.hits(pattern),
        starts: found.starts(pattern).to_vec(),
    }
}

fn built(build: impl Fn(&mut pattern::Builder)) -> Pattern {
    let mut builder = pattern::Builder::default();
    build(&mut builder);
    builder.finish(None).unwrap()
}

/// The hits of one pattern in one content.
fn hits(pattern: Pattern, content: &[u8]) -> Hits {
    let (image, numbers) = image(&[(pattern, Keep::Count)]);
    let patterns = Patterns::open(&image).unwrap();
    search(&patterns, &[content], &Layout::default(), false).hits(numbers[0])
}

#[test]
fn counts_are_those_of_clamav() {
    type Build = fn(&mut pattern::Builder);
    let aa_any_bb: Build = |b| {
        b.bytes(b"aa", false);
        b.gap(0, None);
        b.bytes(b"bb", false);
    };
    let aa_few_bb: Build = |b| {
        b.bytes(b"aa", false);
        b.gap(0, Some(3));
        b.bytes(b"bb", false);
    };
    let choice: Build = |b| {
        b.bytes(b"ab", false);
        let mut short = pattern::Builder::default();
        short.bytes(b"c", false);
        let mut long = pattern::Builder::default();
        long.bytes(b"cd", false);
        b.either(vec![short, long], false);
    };
    let rows: &[(Build, &[u8], u32)] = &[
        (|b| b.bytes(b"aa", false), b"aaaa", 3),
        (|b| b.bytes(b"aa", false), b"aaaaa", 4),
        (|b| b.bytes(b"aa", true), b"aAaA", 3),
        (aa_any_bb, b"aabb", 1),
        (aa_any_bb, b"aa aa bb", 1),
        (aa_any_bb, b"aa bb bb", 2),
        (aa_any_bb, b"aa bb aa bb", 2),
        (aa_any_bb, b"aa aa bb bb", 2),
        (aa_any_bb, b"aaa bbb", 2),
        (aa_few_bb, b"aabbbb", 3),
        (aa_few_bb, b"aaaaabb", 1),
        (aa_few_bb, b"aa----bb aabb", 1),
        (choice, b"abcd", 1),
    ];
    for (build, content, count) in rows {
        let text = String::from_utf8_lossy(content);
        assert_eq!(hits(built(build), content).count, *count, "{text}");
    }
}

#[test]
fn edges_are_those_of_clamav() {
    let all = |build: fn(&mut pattern::Builder), before: bool| -> Vec<u8> {
        let pattern = built(build);
        let there = |byte: &u8| {
            let around = match before {
                true => [&[0, *byte][..], b"abcd", &[0]].concat(),
                false => [&[0][..], b"abcd", &[*byte, 0]].concat(),
            };
            hits(pattern.clone(), &around).count == 1
        };
        (0..=255).filter(there).collect()
    };
    let before = |border| {
        move |b: &mut pattern::Builder| {
            b.edge(edge(border, Side::Before));
            b.bytes(b"abcd", false);
        }
    };
    let behind = |border, side| {
        move |b: &mut pattern::Builder| {
            b.bytes(b"abcd", false);
            b.edge(edge(border, side));
        }
    };
    assert_eq!(all(before_word, true), b" -./<@_");
    assert_eq!(all(word_behind, false), b"\n\r \"'-/=>_");
    for border in BORDERS {
        let count = |pattern, content: &[u8]| hits(pattern, content).count;
        assert_eq!(count(built(before(border)), b"abcd\0"), 1, "{border:?}");
        let (some, none) = (
            built(behind(border, Side::Behind)),
            built(behind(border, Side::NotBehind)),
        );
        assert_eq!(count(some, b"\0abcd"), 1, "{border:?}");
        assert_eq!(count(none.clone(), b"\0abcd"), 0, "no {border:?}");
        assert_eq!(count(none, b"\0abcdx"), 1, "no {border:?}");
    }
    for (content, count) in [(&b"abcd\r\n-"[..], 1), (b"abcd\n", 1), (b"abcd\r-", 0)] {
        let line = |side| hits(built(behind(Border::Line, side)), content).count;
        assert_eq!(line(Side::Behind), count, "{content:?}");
        assert_eq!(line(Side::NotBehind), 1 - count, "{content:?}");
    }
}

const BORDERS: [Border; 3] = [Border::Word, Border::Line, Border::NotWord];

fn edge(border: Border, side: Side) -> Edge {
    Edge { border, side }
}

fn before_word(builder: &mut pattern::Builder) {
    builder.edge(edge(Border::Word, Side::Before));
    builder.bytes(b"abcd", false);
}

fn word_behind(builder: &mut pattern::Builder) {
    builder.bytes(b"abcd", false);
    builder.edge(edge(Border::Word, Side::Behind));
}

#[test]
fn the_longest_segment_is_found_across_every_border() {
    let needle: Vec<u8> = (0..LENGTH_LIMIT).map(|at| (at % 251) as u8).collect();
    let pattern = built(|b| b.bytes(&needle, false));
    let (image, numbers) = image(&[(pattern, Keep::Starts)]);
    let patterns = Patterns::open(&image).unwrap();
    let content = [&b"before"[..], &needle, b"after"].concat();
    for at in (0..content.len()).step_by(7) {
        let (first, second) = content.split_at(at);
        let found = search(&patterns, &[first, second], &Layout::default(), false);
        assert_eq!(found.starts(numbers[0]), [6], "{at}");
        let end = found.hits(numbers[0]).end;
        assert_eq!(end, Some(6 + LENGTH_LIMIT as u64));
    }
}

#[test]
fn equal_patterns_are_one() {
    let pattern = |bytes: &[u8]| built(|b| b.bytes(bytes, false));
    let (image, numbers) = image(&[
        (pattern(b"one"), Keep::First),
        (pattern(b"two"), Keep::First),
        (pattern(b"one"), Keep::First),
        (pattern(b"one"), Keep::Count),
    ]);
    assert_eq!(numbers, [0, 1, 0, 2]);
    let patterns = Patterns::open(&image).unwrap();
    assert_eq!(patterns.count(), 3);
    let found = search(&patterns, &[b"one two one"], &Layout::default(), false);
    assert_eq!(found.held(), [0, 1, 2]);
    assert_eq!((found.hits(0).count, found.hits(2).count), (1, 2));
}

#[test]
fn without_patterns_nothing_is_found() {
    let (image, _) = image(&[]);
    let patterns = Patterns::open(&image).unwrap();
    let found = search(&patterns, &[&[7; 1000]], &Layout::default(), true);
    assert_eq!((found.held(), patterns.count()), (&[][..], 0));
}

#[test]
fn what_is_too_much_to_keep_is_told() {
    let starts = built(|b| b.bytes(b"a", false));
    let begun = built(|b| {
        b.bytes(b"a", false);
        b.gap(0, Some(1 << 40));
        b.bytes(b"b", false);
    });
    let content = vec![b'a'; PLACES + 10];
    for pattern in [starts, begun] {
        let (image, _) = image(&[(pattern, Keep::Starts)]);
        let patterns = Patterns::open(&image).unwrap();
        let found = search(&patterns, &[&content], &Layout::default(), true);
        assert!(found.overflow().is_some());
        let found = search(&patterns, &[&content[..100]], &Layout::default(), true);
        assert!(found.overflow().is_none());
    }
}

#[test]
fn a_search_stops_when_it_is_told_to() {
    let (image, _) = image(&[(built(|b| b.bytes(b"a", false)), Keep::Count)]);
    let patterns = Patterns::open(&image).unwrap();
    let stop = Stop::after(Duration::ZERO, Cancel::default());
    let mut search = Search::new(&patterns, Extent::default(), stop);
    let fed = search.feed(&[b'a'; 1000]);
    assert_eq!(fed.unwrap_err(), Stopped::Deadline);
}

/// Few letters, so that patterns overlap, repeat and nearly match.
fn letter() -> impl Strategy<Value = u8> {
    prop::sample::select(b"abAB -\n".as_slice())
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>, bool),
    Class(Vec<u8>, u32, Option<u32>),
    Gap(u64, Option<u64>),
    Either(Vec<Vec<Piece>>, bool),
    Edge(Edge),
    Squeezed(Vec<u8>),
}

fn build(pieces: &[Piece]) -> pattern::Builder {
    let mut builder = pattern::Builder::default();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes, caseless) => builder.bytes(bytes, *caseless),
            Piece::Class(bytes, min, max) => {
                let set: ByteSet = bytes.iter().copied().collect();
                builder.class(set, *min, *max);
            }
            Piece::Gap(min, max) => builder.gap(*min, *max),
            Piece::Either(choices, negated) => {
                let choices = choices.iter().map(|choice| build(choice)).collect();
                builder.either(choices, *negated);
            }
            Piece::Edge(edge) => builder.edge(*edge),
            Piece::Squeezed(text) => builder.squeezed(text),
        }
    }
    builder
}

fn piece() -> impl Strategy<Value = Piece> {
    // A wide gap is a link of its own: inside of alternatives it would have more ends than are kept.
    let wide = (0..40_u64, 250..300_u64).prop_map(|(min, more)| Piece::Gap(min, Some(min + more)));
    prop_oneof![1 => wide, 10 => narrow()]
}

fn narrow() -> impl Strategy<Value = Piece> {
    let some = |min: u32| (Just(min), prop::option::of(0..4_u32));
    let side = prop::sample::select(&[Side::Before, Side::Behind, Side::NotBehind]);
    let edge = (prop::sample::select(&BORDERS), side).prop_map(|(border, side)| edge(border, side));
    let leaf = prop_oneof![
        4 => (vec(letter(), 1..5), any::<bool>()).prop_map(|(b, c)| Piece::Bytes(b, c)),
        2 => (vec(letter(), 1..4), (0..3_u32).prop_flat_map(some))
            .prop_map(|(set, (min, more))| Piece::Class(set, min, more.map(|more| min + more))),
        2 => (0..3_u64, prop::option::of(0..4_u64))
            .prop_map(|(min, more)| Piece::Gap(min, more.map(|more| min + more))),
        1 => edge.prop_map(Piece::Edge),
        1 => vec(letter(), 1..5).prop_map(Piece::Squeezed),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        (vec(vec(inner, 1..3), 1..4), any::<bool>())
            .prop_map(|(choices, negated)| Piece::Either(choices, negated))
    })
}

fn offset() -> impl Strategy<Value = Option<Offset>> {
    let base = prop_oneof![
        Just(Base::Start),
        Just(Base::End),
        Just(Base::Entry),
        (0..3_u32).prop_map(Base::Section),
        Just(Base::LastSection),
    ];
    let inside = prop_oneof![(0..3_u32).prop_map(Base::Within), Just(Base::VersionInfo)];
    let anywhere = |base| Offset {
        base,
        by: 0,
        shift: 0,
    };
    prop_oneof![
        3 => Just(None),
        2 => (base, -20..20_i64, 0..40_u64)
            .prop_map(|(base, by, shift)| Some(Offset { base, by, shift })),
        1 => inside.prop_map(move |base| Some(anywhere(base))),
    ]
}

fn keep() -> impl Strategy<Value = Keep> {
    prop::sample::select(&[Keep::First, Keep::Count, Keep::Starts])
}

fn one() -> impl Strategy<Value = (Pattern, Keep)> {
    (vec(piece(), 1..6), offset(), keep()).prop_filter_map(
        "no pattern",
        |(pieces, offset, keep)| {
            let pattern: Result<_, NoPattern> = build(&pieces).finish(offset);
            Some((pattern.ok()?, keep))
        },
    )
}

fn layout() -> impl Strategy<Value = Layout> {
    let section = || (0..60_u64, 0..40_u64).prop_map(|(start, length)| Section { start, length });
    let all = (
        prop::option::of(0..60_u64),
        vec(section(), 0..3),
        vec(section(), 0..2),
    );
    all.prop_map(|(entry, sections, version_info)| Layout {
        entry,
        sections,
        version_info,
    })
}

fn cut<'c>(content: &'c [u8], sizes: &[usize]) -> Vec<&'c [u8]> {
    let mut rest = content;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// All of them in this content, in these chunks, are what the definition says.
fn check(
    patterns: &[(Pattern, Keep)],
    content: &[u8],
    cuts: &[Vec<&[u8]>],
    layout: &Layout,
) -> Result<(), TestCaseError> {
    let (image, numbers) = image(patterns);
    let compiled = Patterns::open(&image).unwrap();
    let expected: Vec<_> = patterns
        .iter()
        .map(|(pattern, keep)| naive::search(pattern, *keep, content, layout))
        .collect();
    for chunks in cuts {
        for known in [false, true] {
            let found = search(&compiled, chunks, layout, known);
            if found.overflow().is_some() {
                // Told, as it has to be; a few patterns of wide gaps alone have more places than tests keep.
                continue;
            }
            for ((number, expected), pattern) in numbers.iter().zip(&expected).zip(patterns) {
                let found = matches(&found, *number);
                prop_assert_eq!(&found, expected, "{:?} {:?} {:?}", pattern, chunks, known);
            }
            let mut held: Vec<u32> = (numbers.iter().zip(&expected))
                .filter(|(_, expected)| expected.hits.count > 0)
                .map(|(number, _)| *number)
                .collect();
            held.sort_unstable();
            held.dedup();
            prop_assert_eq!(found.held(), held);
        }
    }
    Ok(())
}

const SECTIONS: [Tag; 17] = [
    *b"pattern ",
    *b"segment ",
    *b"program ",
    *b"link    ",
    *b"offset  ",
    *b"set     ",
    *b"reach   ",
    *b"raw8    ",
    *b"raw4    ",
    *b"raw3    ",
    *b"raw2    ",
    *b"raw1    ",
    *b"sqz8    ",
    *b"sqz4    ",
    *b"sqz3    ",
    *b"sqz2    ",
    *b"sqz1    ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_any_content_finds_what_the_definition_says(
        patterns in vec(one(), 1..6),
        content in vec(letter(), 0..200),
        sizes in vec(1..70_usize, 1..8),
        layout in layout(),
    ) {
        let cuts = [vec![content.as_slice()], cut(&content, &sizes)];
        check(&patterns, &content, &cuts, &layout)?;
    }

    #[test]
    fn every_split_of_a_short_content_finds_the_same(
        patterns in vec(one(), 1..4),
        content in vec(letter(), 0..80),
        layout in layout(),
    ) {
        let halves = |at| {
            let (first, second) = content.split_at(at);
            vec![first, second]
        };
        let cuts: Vec<_> = (0..=content.len()).step_by(5).map(halves).collect();
        check(&patterns, &content, &cuts, &layout)?;
    }

    #[test]
    fn long_literals_between_others_are_found(
        words in vec((vec(letter(), 1..30), any::<bool>()), 1..40),
        picks in vec((any::<prop::sample::Index>(), vec(letter(), 0..6), any::<bool>()), 0..20),
        sizes in vec(1..70_usize, 1..8),
    ) {
        let patterns: Vec<_> = (words.iter())
            .map(|(word, caseless)| (built(|b| b.bytes(word, *caseless)), Keep::Starts))
            .collect();
        let part = |(pick, noise, upper): &(prop::sample::Index, Vec<u8>, bool)| {
            let word = &pick.get(&words).0;
            let word = match upper {
                true => word.to_ascii_uppercase(),
                false => word.clone(),
            };
            [word, noise.clone()].concat()
        };
        let content: Vec<u8> = picks.iter().flat_map(part).collect();
        let cuts = [vec![content.as_slice()], cut(&content, &sizes)];
        check(&patterns, &content, &cuts, &Layout::default())?;
    }

    #[test]
    fn a_damaged_image_never_panics(
        patterns in vec(one(), 1..6),
        content in vec(letter(), 0..200),
        damage in vec((0..SECTIONS.len(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cuts in vec((0..SECTIONS.len(), any::<prop::sample::Index>()), 0..2),
    ) {
        let (image, _) = image(&patterns);
        let mut sections: Vec<Vec<u8>> = (SECTIONS.iter())
            .map(|tag| image.section(*tag).unwrap().to_vec())
            .collect();
        for (section, at, byte) in &damage {
            let section = &mut sections[*section];
            if !section.is_empty() {
                let at = at.index(section.len());
                section[at] = *byte;
            }
        }
        for (section, at) in &cuts {
            let section = &mut sections[*section];
            section.truncate(at.index(section.len() + 1));
        }
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        for (tag, section) in SECTIONS.iter().zip(&sections) {
            writer.section(*tag, section).unwrap();
        }
        let bytes = Bytes::from(writer.finish().unwrap().into_inner());
        if let Ok(compiled) = Patterns::open(&Image::open(bytes).unwrap()) {
            let halves = content.split_at(content.len() / 2);
            search(&compiled, &[halves.0, halves.1], &Layout::default(), false);
        }
    }
}
