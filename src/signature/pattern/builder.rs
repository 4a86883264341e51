//! Pieces in the order of the source → segments and links.
#![forbid(unsafe_code)]

use super::{
    ByteSet, DEPTH_LIMIT, Edge, LENGTH_LIMIT, Link, NoPattern, Offset, PARTS_LIMIT, Part, Pattern,
    Segment, is_left_out, sum,
};

/// A gap that may be longer than this is a link, although the segment would still hold it: what a candidate costs grows
/// with the places at which the rest of its segment may begin.
pub const GAP_LIMIT: u64 = 256;

/// Builds a [`Pattern`]. Flaws are kept and told by [`Builder::finish`].
#[derive(Debug, Default, Clone)]
pub struct Builder {
    segments: Vec<Segment>,
    links: Vec<Link>,
    /// The parts of the segment that is being built.
    parts: Vec<Part>,
    /// What lies before these parts.
    pending: Option<Link>,
    count: usize,
    flaw: Option<NoPattern>,
}

impl Builder {
    /// These bytes; ASCII letters in either case if `caseless`.
    pub fn bytes(&mut self, bytes: &[u8], caseless: bool) {
        if bytes.is_empty() {
            return;
        }
        // Without a letter the case means nothing, and exact bytes merge and compare faster.
        let caseless = caseless && bytes.iter().any(u8::is_ascii_alphabetic);
        let bytes = match caseless {
            true => bytes.to_ascii_lowercase(),
            false => bytes.to_vec(),
        };
        match self.parts.last_mut() {
            Some(Part::Bytes {
                bytes: before,
                caseless: same,
            }) if *same == caseless => before.extend(bytes),
            _ => self.push(Part::Bytes { bytes, caseless }),
        }
    }

    /// `min` to `max` bytes of a set, any number from `min` on if there is no `max`.
    pub fn class(&mut self, set: ByteSet, min: u32, max: Option<u32>) {
        if set == ByteSet::EMPTY {
            return self.fail(NoPattern::Empty);
        }
        if max.is_some_and(|max| max < min) {
            return self.fail(NoPattern::Backwards);
        }
        if min as usize > LENGTH_LIMIT {
            return self.fail(NoPattern::TooLong);
        }
        match max.filter(|max| u64::from(*max) <= GAP_LIMIT || *max == min) {
            Some(0) => {}
            Some(max) => self.bounded_class(set, min, max),
            None => {
                if min > 0 {
                    self.bounded_class(set, min, min);
                }
                self.link(Link {
                    min: 0,
                    max: max.map(|max| u64::from(max - min)),
                    within: Some(set),
                });
            }
        }
    }

    fn bounded_class(&mut self, set: ByteSet, min: u32, max: u32) {
        match (set.count(), set.bytes().next()) {
            (1, Some(byte)) if min == max => self.bytes(&vec![byte; min as usize], false),
            (256, _) => self.gap(min.into(), Some(max.into())),
            _ => self.push(Part::Class { set, min, max }),
        }
    }

    /// `min` to `max` bytes, whatever they are; any number from `min` on if there is no `max`.
    pub fn gap(&mut self, min: u64, max: Option<u64>) {
        if max.is_some_and(|max| max < min) {
            return self.fail(NoPattern::Backwards);
        }
        let link = Link {
            min,
            max,
            within: None,
        };
        let behind_a_gap = self.parts.is_empty()
            && (self.pending.as_ref()).is_some_and(|before| before.within.is_none());
        match (u32::try_from(min), max) {
            (_, Some(0)) => {}
            (Ok(low), Some(high)) if high <= GAP_LIMIT && !behind_a_gap => self.push(Part::Gap {
                min: low,
                max: u32::try_from(high).unwrap_or(low),
            }),
            _ => self.link(link),
        }
    }

    /// One of these, each built by a builder of its own; none of them if `negated`.
    pub fn either(&mut self, choices: Vec<Self>, negated: bool) {
        let mut lists = Vec::with_capacity(choices.len());
        for choice in choices {
            if let Some(flaw) = choice.flaw {
                return self.fail(flaw);
            }
            if !choice.segments.is_empty() || choice.pending.is_some() {
                return self.fail(NoPattern::Unbounded);
            }
            self.count = self.count.saturating_add(choice.count);
            lists.push(choice.parts);
        }
        match check_choices(&lists, negated) {
            Ok(()) => self.push(Part::Either {
                choices: lists,
                negated,
            }),
            Err(flaw) => self.fail(flaw),
        }
    }

    /// A border of words or lines.
    pub fn edge(&mut self, edge: Edge) {
        self.push(Part::Edge(edge));
    }

    /// This text, without its blanks and punctuation, in content without them: see [`Segment::is_squeezed`].
    pub fn squeezed(&mut self, text: &[u8]) {
        let bytes: Vec<u8> = text
            .iter()
            .filter(|byte| !is_left_out(**byte))
            .map(u8::to_ascii_lowercase)
            .collect();
        if bytes.is_empty() {
            return self.fail(NoPattern::Empty);
        }
        if !self.parts.is_empty() {
            self.link(Link::ADJACENT);
        }
        self.push(Part::Bytes {
            bytes,
            caseless: true,
        });
        self.close(true);
        self.pending = Some(Link::ADJACENT);
    }

    /// The pattern of all pieces. What may follow its last byte need not be there: of a link at the end only the least
    /// number of bytes counts.
    ///
    /// # Errors
    /// The first flaw of any piece, or nothing to search for.
    pub fn finish(mut self, offset: Option<Offset>) -> Result<Pattern, NoPattern> {
        if self.parts.iter().all(|part| part.shortest() == 0) && !self.has_edge() {
            self.parts.clear();
        }
        match self.pending.clone() {
            Some(link) if self.parts.is_empty() && link.min > 0 => self.trail(&link),
            _ => {}
        }
        if !self.parts.is_empty() {
            self.close(false);
        }
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if self.count > PARTS_LIMIT => Err(NoPattern::TooManyParts),
            None if self.segments.is_empty() => Err(NoPattern::Empty),
            None => Ok(Pattern {
                offset,
                segments: self.segments,
                links: self.links,
            }),
        }
    }

    fn has_edge(&self) -> bool {
        let edge = |part: &Part| matches!(part, Part::Edge(_));
        self.parts.iter().any(edge)
    }

    fn push(&mut self, part: Part) {
        self.count = self.count.saturating_add(1);
        self.parts.push(part);
    }

    /// A link behind what there is. Two in a row are one, where that is possible.
    fn link(&mut self, link: Link) {
        if !self.parts.is_empty() {
            self.close(false);
        }
        if self.segments.is_empty() {
            // Nothing stands before it: only its least number of bytes means anything.
            match u32::try_from(link.min) {
                Ok(0) => {}
                Ok(min) if min as usize <= LENGTH_LIMIT => self.push(Part::Gap { min, max: min }),
                _ => self.fail(NoPattern::TooLong),
            }
            return;
        }
        self.pending = match self.pending.take() {
            None | Some(Link::ADJACENT) => Some(link),
            Some(before) if link == Link::ADJACENT => Some(before),
            Some(before) if before.within == link.within => Some(Link {
                min: before.min.saturating_add(link.min),
                max: before.max.zip(link.max).map(|(a, b)| a.saturating_add(b)),
                within: before.within,
            }),
            // Any number of bytes holds any number of bytes of a set, and the other way round.
            Some(before) if before.within.is_none() && before.max.is_none() && link.min == 0 => {
                Some(before)
            }
            Some(before) if link.within.is_none() && link.max.is_none() && before.min == 0 => {
                Some(link)
            }
            Some(before) => {
                self.fail(NoPattern::Unbounded);
                Some(before)
            }
        };
    }

    /// A link at the very end: its least number of bytes must be there.
    fn trail(&mut self, link: &Link) {
        match u32::try_from(link.min) {
            Ok(min) if min as usize <= LENGTH_LIMIT => {
                self.push(Part::Gap { min, max: min });
            }
            _ => return self.fail(NoPattern::TooLong),
        }
        // Behind a segment that compares all bytes it is a part of that one.
        if let Some(last) = self.segments.pop_if(|last| !last.squeezed) {
            self.parts.splice(0..0, last.parts);
            self.pending = self.links.pop();
        } else {
            self.pending = Some(Link::ADJACENT);
        }
    }

    fn close(&mut self, squeezed: bool) {
        let parts = std::mem::take(&mut self.parts);
        let shortest = sum(&parts, Part::shortest);
        let longest = sum(&parts, Part::longest);
        if longest > LENGTH_LIMIT {
            return self.fail(NoPattern::TooLong);
        }
        if shortest == 0 {
            return self.fail(NoPattern::Unbounded);
        }
        let before = self.pending.take();
        if !self.segments.is_empty() {
            self.links.push(before.unwrap_or(Link::ADJACENT));
        }
        self.segments.push(Segment {
            parts,
            squeezed,
            shortest,
            longest,
        });
    }

    fn fail(&mut self, flaw: NoPattern) {
        self.flaw.get_or_insert(flaw);
    }
}

fn check_choices(choices: &[Vec<Part>], negated: bool) -> Result<(), NoPattern> {
    if choices.is_empty()
        || choices
            .iter()
            .any(|choice| sum(choice, Part::shortest) == 0)
    {
        return Err(NoPattern::EmptyChoice);
    }
    if choices.iter().map(|choice| depth(choice)).max() >= Some(DEPTH_LIMIT) {
        return Err(NoPattern::TooDeep);
    }
    let mut bounds = choices
        .iter()
        .flat_map(|choice| [sum(choice, Part::shortest), sum(choice, Part::longest)]);
    let first = bounds.next();
    match negated && bounds.any(|bound| Some(bound) != first) {
        true => Err(NoPattern::Uneven),
        false => Ok(()),
    }
}

fn depth(parts: &[Part]) -> usize {
    let of = |part: &Part| match part {
        Part::Either { choices, .. } => 1 + choices.iter().map(|one| depth(one)).max().unwrap_or(0),
        _ => 0,
    };
    parts.iter().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Piece = dyn Fn(&mut Builder);

    fn built(build: impl Fn(&mut Builder)) -> Result<Pattern, NoPattern> {
        let mut builder = Builder::default();
        build(&mut builder);
        builder.finish(None)
    }

    fn any(min: u64, max: Option<u64>) -> Link {
        Link {
            min,
            max,
            within: None,
        }
    }

    #[test]
    fn what_is_bounded_is_one_segment_and_what_is_not_is_a_link() {
        let pattern = built(|b| {
            b.bytes(b"Ab", false);
            b.bytes(b"1 2", true);
            b.gap(0, Some(10));
            b.bytes(b"Cd", true);
            b.gap(3, None);
            b.gap(2, Some(5));
            b.bytes(b"x", false);
        });
        let pattern = pattern.unwrap();
        assert_eq!(pattern.links(), [any(5, None)]);
        let [first, second] = pattern.segments() else {
            panic!("{pattern:?}");
        };
        assert_eq!((first.shortest(), first.longest()), (7, 17));
        assert_eq!(first.parts().len(), 3, "what compares alike is one part");
        assert_eq!(second.parts().len(), 1);
    }

    #[test]
    fn a_class_without_an_end_is_its_least_number_and_a_link() {
        let digits = ByteSet::range(b'0', b'9');
        let pattern = built(|b| {
            b.bytes(b"a", false);
            b.class(digits, 1, None);
            b.bytes(b"b", false);
        });
        let pattern = pattern.unwrap();
        assert_eq!(pattern.segments()[0].shortest(), 2);
        assert_eq!(pattern.links()[0].within, Some(digits));
        assert_eq!((pattern.links()[0].min, pattern.links()[0].max), (0, None));
    }

    #[test]
    fn what_stands_at_the_ends_counts_with_its_least_number() {
        let rows: [(&Piece, usize); 5] = [
            (&|b| b.gap(0, None), 1),
            (&|b| b.gap(4, None), 5),
            (&|b| b.gap(0, Some(7)), 1),
            (&|b| b.gap(3, Some(7)), 4),
            (&|b| b.class(ByteSet::range(1, 3), 2, None), 3),
        ];
        for (piece, shortest) in rows {
            let behind = built(|b| {
                b.bytes(b"a", false);
                piece(b);
            });
            let before = built(|b| {
                piece(b);
                b.bytes(b"a", false);
            });
            for pattern in [behind.unwrap(), before.unwrap()] {
                let sum: usize = pattern.segments().iter().map(Segment::shortest).sum();
                assert_eq!(sum, shortest, "{pattern:?}");
            }
        }
    }

    #[test]
    fn squeezed_text_is_a_segment_of_its_own() {
        let pattern = built(|b| {
            b.bytes(b"x", false);
            b.squeezed(b"12-3 Q");
            b.gap(0, None);
            b.bytes(b"y", false);
        });
        let pattern = pattern.unwrap();
        assert_eq!(pattern.links(), [Link::ADJACENT, any(0, None)]);
        assert!(pattern.segments()[1].is_squeezed());
        assert_eq!(pattern.segments()[1].shortest(), 4);
    }

    #[test]
    fn flaws_are_told() {
        let one = |bytes: &[u8]| {
            let mut builder = Builder::default();
            builder.bytes(bytes, false);
            builder
        };
        let nested = (0..=DEPTH_LIMIT).fold(one(b"a"), |inner, _| {
            let mut outer = Builder::default();
            outer.either(vec![inner], false);
            outer
        });
        let mut open = one(b"a");
        open.gap(0, None);
        let rows: Vec<(Box<Piece>, NoPattern)> = vec![
            (Box::new(|_| {}), NoPattern::Empty),
            (Box::new(|b| b.gap(0, Some(9))), NoPattern::Empty),
            (Box::new(|b| b.squeezed(b" -")), NoPattern::Empty),
            (
                Box::new(|b| b.bytes(&[7; LENGTH_LIMIT + 1], false)),
                NoPattern::TooLong,
            ),
            (Box::new(|b| b.gap(3, Some(2))), NoPattern::Backwards),
            (
                Box::new(|b| b.either(vec![], false)),
                NoPattern::EmptyChoice,
            ),
            (
                Box::new(move |b| b.either(vec![nested.clone()], false)),
                NoPattern::TooDeep,
            ),
            (
                Box::new(move |b| b.either(vec![open.clone()], false)),
                NoPattern::Unbounded,
            ),
            (
                Box::new(move |b| b.either(vec![one(b"a"), one(b"bc")], true)),
                NoPattern::Uneven,
            ),
        ];
        for (piece, flaw) in rows {
            assert_eq!(built(|b| piece(b)), Err(flaw));
        }
    }
}
