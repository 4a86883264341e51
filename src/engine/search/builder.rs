//! Patterns → sections of an image.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::atoms::Usual;
use super::flat::{self, LinkRecord, OffsetRecord, PatternRecord, Reach, SegmentRecord};
use super::{Keep, index, offset, program};
use crate::image;
use crate::signature::pattern::{ByteSet, Link, Part, Pattern, Segment};

/// Collects patterns, each once, and writes them.
#[derive(Debug, Default)]
pub struct Builder {
    patterns: Vec<PatternRecord>,
    segments: Vec<SegmentRecord>,
    programs: Vec<u8>,
    links: Vec<LinkRecord>,
    offsets: Vec<OffsetRecord>,
    sets: Vec<[u8; 32]>,
    known_sets: HashMap<ByteSet, u32>,
    /// The first pattern with this hash, of which half is enough: a collision costs a pattern that is kept twice.
    known: HashMap<u32, u32>,
    hasher: RandomState,
    usual: Usual,
    raw: index::Builder,
    squeezed: index::Builder,
    longest: usize,
    longest_squeezed: usize,
}

impl Builder {
    /// Adds a pattern and gives its number; an equal one that is already there has the same.
    ///
    /// # Errors
    /// More than can be numbered; the text is for people.
    pub fn add(&mut self, pattern: &Pattern, keep: Keep) -> Result<u32, String> {
        let room = || "more patterns than one database can hold".to_owned();
        let number = u32::try_from(self.patterns.len()).map_err(|_| room())?;
        let before = Before {
            segments: self.segments.len(),
            programs: self.programs.len(),
            links: self.links.len(),
            offsets: self.offsets.len(),
        };
        let record = self.append(pattern, keep, number).ok_or_else(room)?;
        self.patterns.push(record);
        let hash = self.hash(number);
        match self.known.get(&hash) {
            Some(same) if self.are_equal(*same, number) => {
                let same = *same;
                self.patterns.pop();
                self.segments.truncate(before.segments);
                self.programs.truncate(before.programs);
                self.links.truncate(before.links);
                self.offsets.truncate(before.offsets);
                return Ok(same);
            }
            // Another pattern with this hash: this one is only not found again.
            Some(_) => {}
            None => {
                self.known.insert(hash, number);
            }
        }
        self.index(pattern, before.segments);
        Ok(number)
    }

    /// Enters the segments of a pattern, of which the first one has this number.
    fn index(&mut self, pattern: &Pattern, first: usize) {
        let (_, segments, _) = without_outer_gaps(pattern);
        for (number, segment) in (first..).zip(segments) {
            let (index, longest) = match segment.is_squeezed() {
                true => (&mut self.squeezed, &mut self.longest_squeezed),
                false => (&mut self.raw, &mut self.longest),
            };
            *longest = segment.longest().max(*longest);
            for atom in self.usual.atoms(segment) {
                index.add(u32::try_from(number).unwrap_or(u32::MAX), &atom);
            }
        }
    }

    /// Writes the sections.
    ///
    /// # Errors
    /// Of writing.
    pub fn write<W: Write + Seek>(mut self, writer: &mut image::Writer<W>) -> io::Result<()> {
        let end = |length: usize| U32::new(u32::try_from(length).unwrap_or(u32::MAX));
        self.patterns.push(PatternRecord {
            first: end(self.segments.len()),
            offset: U32::ZERO,
            lead: U16::ZERO,
            trail: U16::ZERO,
            keep: 0,
            rest: [0; 3],
        });
        self.segments.push(SegmentRecord {
            program: end(self.programs.len()),
            pattern: U32::ZERO,
            link: U32::ZERO,
            longest: U16::ZERO,
            flags: 0,
            rest: 0,
        });
        writer.section(flat::PATTERNS, self.patterns.as_bytes())?;
        writer.section(flat::SEGMENTS, self.segments.as_bytes())?;
        writer.section(flat::PROGRAMS, &self.programs)?;
        writer.section(flat::LINKS, self.links.as_bytes())?;
        writer.section(flat::OFFSETS, self.offsets.as_bytes())?;
        writer.section(flat::SETS, self.sets.as_bytes())?;
        let length = |longest: usize| U32::new(u32::try_from(longest).unwrap_or(u32::MAX));
        let reach = Reach {
            raw: length(self.longest),
            squeezed: length(self.longest_squeezed),
        };
        writer.section(flat::REACH, reach.as_bytes())?;
        self.raw.write(index::RAW, writer)?;
        self.squeezed.write(index::SQUEEZED, writer)
    }

    fn append(&mut self, pattern: &Pattern, keep: Keep, number: u32) -> Option<PatternRecord> {
        let (lead, segments, trail) = without_outer_gaps(pattern);
        let first = u32::try_from(self.segments.len()).ok()?;
        let offset = match pattern.offset() {
            None => 0,
            Some(offset) => {
                self.offsets.push(offset::record(offset));
                u32::try_from(self.offsets.len()).ok()?
            }
        };
        // The links that a dropped segment had are dropped with it.
        let links = pattern.links().iter().skip(usize::from(lead > 0));
        let mut links = std::iter::once(None).chain(links.map(Some));
        let mixed = match segments.iter().any(Segment::is_squeezed) {
            true => flat::MIXED,
            false => 0,
        };
        for (at, segment) in segments.iter().enumerate() {
            let link = match links.next().flatten() {
                None => 0,
                Some(link) => self.link(link)?,
            };
            self.segments.push(SegmentRecord {
                program: u32::try_from(self.programs.len()).ok()?.into(),
                pattern: number.into(),
                link: link.into(),
                longest: u16::try_from(segment.longest()).ok()?.into(),
                flags: mixed
                    | if segment.is_squeezed() {
                        flat::SQUEEZED
                    } else {
                        0
                    }
                    | if at + 1 == segments.len() {
                        flat::LAST
                    } else {
                        0
                    },
                rest: 0,
            });
            program::encode(segment.parts(), &mut self.programs);
        }
        u32::try_from(self.segments.len()).ok()?;
        u32::try_from(self.programs.len()).ok()?;
        Some(PatternRecord {
            first: first.into(),
            offset: offset.into(),
            lead: lead.into(),
            trail: trail.into(),
            keep: keep as u8,
            rest: [0; 3],
        })
    }

    /// The number of a link's record, from 1.
    fn link(&mut self, link: &Link) -> Option<u32> {
        let within = match &link.within {
            None => 0,
            Some(set) => {
                let next = u32::try_from(self.sets.len()).ok()?.checked_add(1)?;
                let number = *self.known_sets.entry(*set).or_insert(next);
                if number == next {
                    self.sets.push(set.to_bits());
                }
                number
            }
        };
        self.links.push(LinkRecord {
            min: link.min.into(),
            max: link.max.unwrap_or(u64::MAX).into(),
            within: within.into(),
        });
        u32::try_from(self.links.len()).ok()
    }

    fn hash(&self, pattern: u32) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        self.essence(pattern, |bytes| hasher.write(bytes));
        let bytes = hasher.finish().to_le_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn are_equal(&self, one: u32, other: u32) -> bool {
        let [one, other] = [one, other].map(|pattern| {
            let mut all = Vec::new();
            self.essence(pattern, |bytes| all.extend_from_slice(bytes));
            all
        });
        one == other
    }

    /// All that makes a pattern what it is, as bytes.
    fn essence(&self, pattern: u32, mut take: impl FnMut(&[u8])) -> Option<()> {
        let number = pattern as usize;
        let record = self.patterns.get(number)?;
        let first = record.first.get() as usize;
        let end = self.patterns.get(number + 1);
        let end = end.map_or(self.segments.len(), |next| next.first.get() as usize);
        let segments = self.segments.get(first..end)?;
        take(&[record.keep]);
        take(record.lead.as_bytes());
        take(record.trail.as_bytes());
        if let Some(offset) = record.offset.get().checked_sub(1) {
            take(self.offsets.get(offset as usize)?.as_bytes());
        }
        for segment in segments {
            take(&[segment.flags]);
            if let Some(link) = segment.link.get().checked_sub(1) {
                take(self.links.get(link as usize)?.as_bytes());
            }
        }
        let program = segments.first()?.program.get() as usize;
        let end = self.segments.get(end);
        let end = end.map_or(self.programs.len(), |next| next.program.get() as usize);
        take(self.programs.get(program..end)?);
        Some(())
    }
}

struct Before {
    segments: usize,
    programs: usize,
    links: usize,
    offsets: usize,
}

/// Next to squeezed text a gap is a segment of its own, although it has no byte that could be searched. At the ends of a
/// pattern it is of one length, and only so many bytes: those before and behind the segments that are left.
fn without_outer_gaps(pattern: &Pattern) -> (u16, &[Segment], u16) {
    let gap = |segment: Option<&Segment>, link: Option<&Link>| match segment?.parts() {
        [Part::Gap { min, max }] if min == max && *link? == Link::ADJACENT => {
            u16::try_from(*min).ok()
        }
        _ => None,
    };
    let (segments, links) = (pattern.segments(), pattern.links());
    let lead = gap(segments.first(), links.first());
    let segments = segments
        .get(usize::from(lead.is_some())..)
        .unwrap_or(segments);
    let trail = match segments {
        [_] => None,
        _ => gap(segments.last(), links.last()),
    };
    let end = segments.len() - usize::from(trail.is_some());
    let segments = segments.get(..end).unwrap_or(segments);
    (lead.unwrap_or(0), segments, trail.unwrap_or(0))
}
