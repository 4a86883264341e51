//! The oracle of the tests: every pattern tried at every place of the whole object, straight from its definition.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::Keep;
use super::found::Matches;
use crate::executable::Layout;
use crate::signature::pattern::{
    Base, Border, Link, Offset, Part, Pattern, Segment, Side, is_left_out,
};

/// The matches of a pattern.
pub(super) fn search(pattern: &Pattern, keep: Keep, content: &[u8], layout: &Layout) -> Matches {
    // Where a match began, what is counted of its last segment, and its end.
    let mut begun: BTreeSet<(usize, usize, usize)> = BTreeSet::new();
    for (number, segment) in pattern.segments().iter().enumerate() {
        let mut next = BTreeSet::new();
        for start in 0..content.len() {
            for (mark, end) in marked(segment, content, start) {
                if number == 0 {
                    if allowed(pattern.offset(), start as i128, content.len(), layout) {
                        next.insert((start, mark, end));
                    }
                    continue;
                }
                let link = &pattern.links()[number - 1];
                for (begin, before_mark, before) in &begun {
                    if fits(link, content, *before, start) {
                        // Any bytes right behind a segment of another kind belong to it.
                        let mark = match is_gap(segment) && *link == Link::ADJACENT {
                            true => *before_mark,
                            false => mark,
                        };
                        next.insert((*begin, mark, end));
                    }
                }
            }
        }
        begun = next;
    }
    let marks: BTreeSet<_> = begun.iter().map(|(_, mark, _)| *mark).collect();
    let mut matches = Matches::default();
    matches.hits.count = match keep {
        Keep::First => u32::from(!marks.is_empty()),
        _ => marks.len() as u32,
    };
    matches.hits.end = begun.iter().map(|(_, _, end)| *end as u64).min();
    if keep == Keep::Starts {
        let starts: BTreeSet<_> = begun.iter().map(|(begin, _, _)| *begin as u64).collect();
        matches.starts = starts.into_iter().collect();
    }
    matches
}

fn is_gap(segment: &Segment) -> bool {
    matches!(segment.parts(), [Part::Gap { min, max }] if min == max)
}

fn fits(link: &Link, content: &[u8], before: usize, start: usize) -> bool {
    let Some(between) = start.checked_sub(before) else {
        return false;
    };
    let gap = between as u64;
    gap >= link.min
        && link.max.is_none_or(|max| gap <= max)
        && (link.within).is_none_or(|set| content[before..start].iter().all(|b| set.contains(*b)))
}

fn allowed(offset: Option<Offset>, start: i128, length: usize, layout: &Layout) -> bool {
    let Some(offset) = offset else {
        return true;
    };
    let inside = |section: &crate::executable::Section| {
        let first = i128::from(section.start);
        (first..first + i128::from(section.length)).contains(&start)
    };
    let section = |number: u32| layout.sections.get(number as usize);
    let base = match offset.base {
        Base::Start => Some(0),
        Base::End => Some(length as u64),
        Base::Entry => layout.entry,
        Base::Section(number) => section(number).map(|section| section.start),
        Base::LastSection => layout.sections.last().map(|section| section.start),
        Base::Within(number) => return section(number).is_some_and(inside),
        Base::VersionInfo => return layout.version_info.iter().any(inside),
    };
    base.is_some_and(|base| {
        let first = i128::from(base) + i128::from(offset.by);
        (first..=first + i128::from(offset.shift)).contains(&start)
    })
}

/// The ends of a segment, each with where what stands behind its last variable gap begins.
fn marked(segment: &Segment, content: &[u8], start: usize) -> BTreeSet<(usize, usize)> {
    let parts = segment.parts();
    if segment.is_squeezed() {
        let Part::Bytes { bytes, .. } = &parts[0] else {
            panic!("{segment:?}");
        };
        return squeezed(bytes, content, start).into_iter().collect();
    }
    let variable = |part: &Part| matches!(part, Part::Gap { min, max } if min < max);
    let last = parts[..parts.len() - 1].iter().rposition(variable);
    let split = last.map_or(0, |last| last + 1);
    let marks = ends(&parts[..split], content, start);
    let tails = marks.into_iter().flat_map(|mark| {
        let ends = ends(&parts[split..], content, mark).into_iter();
        ends.map(move |end| (mark, end))
    });
    tails.collect()
}

fn squeezed(bytes: &[u8], content: &[u8], start: usize) -> Option<(usize, usize)> {
    if is_left_out(content[start]) {
        return None;
    }
    let kept: Vec<_> = (start..content.len())
        .filter(|at| !is_left_out(content[*at]))
        .take(bytes.len())
        .collect();
    let text: Vec<u8> = (kept.iter().map(|at| content[*at].to_ascii_lowercase())).collect();
    (text == bytes).then(|| (start, kept[kept.len() - 1] + 1))
}

fn ends(parts: &[Part], content: &[u8], start: usize) -> BTreeSet<usize> {
    let mut places = BTreeSet::from([start]);
    for part in parts {
        let next = places.iter().flat_map(|at| one(part, content, *at));
        places = next.collect();
    }
    places
}

fn one(part: &Part, content: &[u8], at: usize) -> Vec<usize> {
    let left = content.len() - at;
    match part {
        Part::Bytes { bytes, caseless } => {
            let Some(found) = content.get(at..at + bytes.len()) else {
                return vec![];
            };
            let same = match caseless {
                true => found.to_ascii_lowercase() == *bytes,
                false => found == bytes,
            };
            if same { vec![at + bytes.len()] } else { vec![] }
        }
        Part::Class { set, min, max } => (*min as usize..=(*max as usize).min(left))
            .filter(|count| content[at..at + count].iter().all(|b| set.contains(*b)))
            .map(|count| at + count)
            .collect(),
        Part::Gap { min, max } => (*min as usize..=(*max as usize).min(left))
            .map(|count| at + count)
            .collect(),
        Part::Either { choices, negated } => {
            let found: BTreeSet<_> = (choices.iter())
                .flat_map(|choice| ends(choice, content, at))
                .collect();
            match negated {
                false => found.into_iter().collect(),
                true if found.is_empty() && part.shortest() <= left => vec![at + part.shortest()],
                true => vec![],
            }
        }
        Part::Edge(edge) => {
            let border = edge.border;
            let begins = at == content.len() || behind(border, &content[at..]);
            let holds = match edge.side {
                Side::Before => at == 0 || before(border, content[at - 1]),
                Side::Behind => begins,
                Side::NotBehind => !begins,
            };
            if holds { vec![at] } else { vec![] }
        }
    }
}

fn before(border: Border, byte: u8) -> bool {
    match border {
        Border::Word => b" -./<@_".contains(&byte),
        Border::Line => byte == b'\n',
        Border::NotWord => !byte.is_ascii_alphanumeric(),
    }
}

fn behind(border: Border, rest: &[u8]) -> bool {
    match border {
        Border::Word => b"\n\r \"'-/=>_".contains(&rest[0]),
        Border::Line => rest[0] == b'\n' || rest.starts_with(b"\r\n"),
        Border::NotWord => !rest[0].is_ascii_alphanumeric(),
    }
}
