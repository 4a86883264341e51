//! A row of elements that follow each other → one pattern, or several of which one must occur.
//!
//! A pattern's alternatives are bounded in length. Those that are not (`("a", .*, "b") | "c"`) are multiplied out into
//! patterns of their own here.
#![forbid(unsafe_code)]

use std::rc::Rc;

use crate::signature::pattern::{
    Base, Builder, ByteSet, DEPTH_LIMIT, GAP_LIMIT, LENGTH_LIMIT, NoPattern, Offset, Pattern,
};

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    /// The sequence begins here, in bytes from the start of the object: first and last place.
    Begins(u64, u64),
    /// These bytes, ASCII letters in either case if the flag is set.
    Bytes(Rc<[u8]>, bool),
    /// `min` to `max` bytes of a set.
    Class {
        set: ByteSet,
        min: u32,
        max: Option<u32>,
    },
    /// One of these.
    Either(Vec<Sequence>),
    /// `min` to `max` bytes.
    Gap { min: u64, max: Option<u64> },
    /// Text in content without blanks and punctuation.
    Squeezed(Rc<[u8]>),
}

/// Elements that follow each other.
pub(super) type Sequence = Vec<Element>;

/// The most patterns that the alternatives of one rule are multiplied out into.
pub(super) const PRODUCT_LIMIT: usize = 64;

/// The elements, and strings in units of 64 bytes, that a sequence may have of which copies are made.
const COPIED_LIMIT: usize = 16_384;

impl Element {
    /// One byte out of a set.
    pub(super) fn byte(set: ByteSet) -> Self {
        Self::Class {
            set,
            min: 1,
            max: Some(1),
        }
    }

    /// It can be a part of an alternative inside of a pattern, whose alternatives may be nested `depth` deep.
    fn is_bounded(&self, depth: usize) -> bool {
        match self {
            Self::Begins(..) | Self::Squeezed(_) => false,
            Self::Bytes(..) => true,
            Self::Class { min, max, .. } => {
                max.is_some_and(|max| max == *min || u64::from(max) <= GAP_LIMIT)
            }
            Self::Gap { max, .. } => max.is_some_and(|max| max <= GAP_LIMIT),
            Self::Either(choices) => {
                depth > 0
                    && choices.iter().all(|choice| {
                        choice.iter().any(|one| one.shortest() > 0)
                            && choice.iter().all(|one| one.is_bounded(depth - 1))
                    })
            }
        }
    }

    /// The least number of bytes that it matches.
    fn shortest(&self) -> u64 {
        match self {
            Self::Begins(..) => 0,
            Self::Bytes(bytes, _) | Self::Squeezed(bytes) => bytes.len() as u64,
            Self::Class { min, .. } => (*min).into(),
            Self::Gap { min, .. } => *min,
            Self::Either(choices) => {
                let of = |choice: &Sequence| {
                    let lengths = choice.iter().map(Self::shortest);
                    lengths.fold(0, u64::saturating_add)
                };
                choices.iter().map(of).min().unwrap_or(0)
            }
        }
    }

    /// What a copy of it costs.
    fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes, _) | Self::Squeezed(bytes) => 1 + bytes.len() / 64,
            Self::Either(choices) => 1 + choices.iter().flatten().map(Self::weight).sum::<usize>(),
            _ => 1,
        }
    }

    /// It becomes a link, whose length nobody knows, behind the bytes that must be there.
    fn link(&self) -> Option<Option<ByteSet>> {
        match self {
            _ if self.is_bounded(1) => None,
            Self::Class { set, .. } => Some(Some(*set)),
            Self::Gap { max: None, .. } => None,
            Self::Gap { .. } => Some(None),
            _ => None,
        }
    }
}

/// The patterns that a sequence stands for: it occurs where one of them does. `room` is how many more than one it may be,
/// and what is left of that. Gaps at its start are left out, or, if `strict`, refused.
pub(super) fn patterns(
    sequence: Sequence,
    strict: bool,
    room: &mut usize,
) -> Result<Vec<Pattern>, String> {
    let all = match sequence.iter().all(|one| one.is_bounded(DEPTH_LIMIT)) {
        true => vec![sequence],
        // What is not bounded and no alternative either needs no copies.
        false => multiplied(sequence, *room + 1)?,
    };
    *room -= all.len().saturating_sub(1);
    all.into_iter().map(|one| pattern(one, strict)).collect()
}

/// One sequence for each way through the alternatives that are not bounded; at most `limit`.
fn multiplied(sequence: Sequence, limit: usize) -> Result<Vec<Sequence>, String> {
    let forks = |one: &Element| matches!(one, Element::Either(_)) && !one.is_bounded(DEPTH_LIMIT);
    let weight = sequence.iter().map(Element::weight);
    if sequence.iter().any(forks) && weight.sum::<usize>() > COPIED_LIMIT {
        return Err(
            "too much stands beside alternatives without a bound on their length".to_owned(),
        );
    }
    let mut all: Vec<Sequence> = vec![Vec::new()];
    for element in sequence {
        let is_fork = forks(&element);
        match element {
            Element::Either(choices) if is_fork => {
                let mut ways = Vec::new();
                for choice in choices {
                    ways.extend(multiplied(choice, limit)?);
                    too_many(ways.len() * all.len(), limit)?;
                }
                all = product(&all, &ways);
            }
            Element::Class { set, min: 0, max } if is_apart(&all, &element) => {
                // Between two links of different kinds there must be a byte: either the second one is nothing, or its
                // first byte stands there.
                too_many(2 * all.len(), limit)?;
                let one = Element::Class { set, min: 1, max };
                all = product(&all, &[Vec::new(), vec![one]]);
            }
            other => all.iter_mut().for_each(|before| before.push(other.clone())),
        }
    }
    Ok(all)
}

/// The element is a link, and so is the last one of some of these, of another kind.
fn is_apart(all: &[Sequence], element: &Element) -> bool {
    let differs = |before: &Element| {
        before
            .link()
            .is_some_and(|link| Some(link) != element.link())
    };
    element.link().is_some() && all.iter().filter_map(|before| before.last()).any(differs)
}

fn product(first: &[Sequence], second: &[Sequence]) -> Vec<Sequence> {
    let with = |one: &Sequence| {
        let one = one.clone();
        second
            .iter()
            .map(move |more| [one.as_slice(), more].concat())
    };
    first.iter().flat_map(with).collect()
}

fn too_many(count: usize, limit: usize) -> Result<(), String> {
    match count > limit {
        true => Err(format!(
            "alternatives without a bound on their length come to more than {PRODUCT_LIMIT} patterns"
        )),
        false => Ok(()),
    }
}

fn pattern(mut sequence: Sequence, strict: bool) -> Result<Pattern, String> {
    let offset = offset(&mut sequence, strict)?;
    let mut builder = Builder::default();
    for element in sequence {
        add(&mut builder, element)?;
    }
    builder.finish(offset).map_err(|why| match why {
        NoPattern::Empty => "there is no byte to search for".to_owned(),
        NoPattern::Unbounded => {
            "between two parts of any length stands nothing that is always there".to_owned()
        }
        other => other.to_string(),
    })
}

/// Takes what stands before the first byte: where the sequence begins, and gaps, which mean nothing unless they are
/// counted from the start of the object. What may be more or less at either end is the least.
fn offset(sequence: &mut Sequence, strict: bool) -> Result<Option<Offset>, String> {
    let mut begins = None;
    let leading = sequence
        .iter()
        .take_while(|one| match one {
            Element::Begins(from, to) => {
                begins = Some((*from, Some(*to)));
                true
            }
            Element::Gap { min, max } => {
                begins = begins.map(|(from, to)| {
                    (
                        from.saturating_add(*min),
                        to.zip(*max).map(|(to, max)| to.saturating_add(max)),
                    )
                });
                true
            }
            _ => false,
        })
        .count();
    let is_gap = matches!(sequence.first(), Some(Element::Gap { .. }));
    if is_gap && strict {
        return Err("a gap at the start of a sequence means nothing; leave it out".to_owned());
    }
    sequence.drain(..leading);
    let anywhere = |one: &Element| matches!(one, Element::Begins(..));
    if sequence.iter().any(anywhere) {
        return Err("`@@` stands only at the start of a sequence; a gap is `@`".to_owned());
    }
    if begins.is_none() {
        trim_start(sequence);
    }
    trim_end(sequence);
    let Some((from, to)) = begins else {
        return Ok(None);
    };
    let by = i64::try_from(from).map_err(|_| "`@@` beyond the largest object".to_owned())?;
    let last = i64::MAX.unsigned_abs();
    Ok(Some(Offset {
        base: Base::Start,
        by,
        shift: to.unwrap_or(last).min(last).saturating_sub(from),
    }))
}

/// Any number of bytes may stand before a sequence that may begin anywhere: of what it begins with, the least counts.
fn trim_start(sequence: &mut Sequence) {
    let optional =
        |one: &Element| matches!(one, Element::Gap { .. } | Element::Class { min: 0, .. });
    let leading = sequence.iter().take_while(|one| optional(one)).count();
    sequence.drain(..leading);
    if let Some(Element::Class { min, max, .. }) = sequence.first_mut() {
        *max = Some(*min);
    }
}

/// Any number of bytes may stand behind a sequence: of what it ends with, the least counts.
fn trim_end(sequence: &mut Sequence) {
    loop {
        match sequence.last_mut() {
            Some(Element::Class { min: 0, .. } | Element::Gap { min: 0, .. }) => {
                sequence.pop();
            }
            Some(Element::Class { min, max, .. }) => {
                *max = Some(*min);
                return;
            }
            Some(Element::Gap { min, max }) => {
                *max = Some(*min);
                return;
            }
            _ => return,
        }
    }
}

fn add(builder: &mut Builder, element: Element) -> Result<(), String> {
    match element {
        Element::Begins(..) => {
            return Err("`@@` stands only at the start of a sequence; a gap is `@`".to_owned());
        }
        Element::Bytes(bytes, caseless) => builder.bytes(&bytes, caseless),
        Element::Class { min, max, .. } if min.max(max.unwrap_or(0)) as usize > LENGTH_LIMIT => {
            return Err(format!("more than {LENGTH_LIMIT} repetitions"));
        }
        Element::Class { set, min, max } => builder.class(set, min, max),
        Element::Either(choices) => {
            let mut builders = Vec::with_capacity(choices.len());
            for choice in choices {
                let mut builder = Builder::default();
                for element in choice {
                    add(&mut builder, element)?;
                }
                builders.push(builder);
            }
            builder.either(builders, false);
        }
        Element::Gap { min, max } => builder.gap(min, max),
        Element::Squeezed(text) => builder.squeezed(&text),
    }
    Ok(())
}
