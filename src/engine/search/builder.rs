//! Patterns → sections of an image.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek, Write};

use thiserror::Error;
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::atoms::Usual;
use super::flat::{self, LinkRecord, OffsetRecord, PatternRecord, Reach, SegmentRecord};
use super::{Keep, index, offset, program};
use crate::image;
use crate::signature::pattern::{ByteSet, Link, Part, Pattern, Segment};

/// Collects patterns and writes them: their programs as they come, for these are most of their bytes, the rest
/// at the end.
#[derive(Debug, Default)]
pub struct Builder {
    patterns: Vec<PatternRecord>,
    segments: Vec<SegmentRecord>,
    links: Vec<LinkRecord>,
    offsets: Vec<OffsetRecord>,
    sets: Vec<[u8; 32]>,
    known_sets: HashMap<ByteSet, u32>,
    /// Bytes of programs that are written.
    written: usize,
    /// The programs of the pattern that is added.
    programs: Vec<u8>,
    /// The numbers of patterns by what they are. Nobody can foresee the two keys, so nobody can make two patterns one.
    known: HashMap<[u64; 2], u32>,
    hashers: [RandomState; 2],
    usual: Usual,
    raw: index::Builder,
    squeezed: index::Builder,
    longest: usize,
    longest_squeezed: usize,
    shortest_atom: usize,
}

/// How a pattern comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likely {
    /// It is all that its signature has. An equal one would be an equal signature, and to look for it costs more than it
    /// saves: a miss of the cache for each of a million.
    Once,
    /// It is a part among others, as many signatures share them.
    Again,
}

/// Why a pattern was not added.
#[derive(Debug, Error)]
pub enum AddError {
    /// There is no number left for it.
    #[error("more patterns than one database can hold")]
    Full,
    /// Its program could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Builder {
    /// No patterns, and an open section for their programs: nothing else may be written before [`Builder::write`].
    ///
    /// # Errors
    /// Of writing.
    pub fn begin<W: Write + Seek>(writer: &mut image::Writer<W>) -> io::Result<Self> {
        writer.begin(flat::PROGRAMS)?;
        Ok(Self::default())
    }

    /// Adds a pattern and gives its number. With [`Likely::Again`] an equal one that was added so has the same.
    ///
    /// # Errors
    /// As [`AddError`] says.
    pub fn add<W: Write + Seek>(
        &mut self,
        pattern: &Pattern,
        keep: Keep,
        likely: Likely,
        writer: &mut image::Writer<W>,
    ) -> Result<u32, AddError> {
        let number = u32::try_from(self.patterns.len()).map_err(|_| AddError::Full)?;
        let (segments, links, offsets) =
            (self.segments.len(), self.links.len(), self.offsets.len());
        self.programs.clear();
        self.shortest_atom = usize::MAX;
        let record = self.append(pattern, keep, number).ok_or(AddError::Full)?;
        if likely == Likely::Again {
            let same = *self.known.entry(self.key(&record)).or_insert(number);
            if same != number {
                self.segments.truncate(segments);
                self.links.truncate(links);
                self.offsets.truncate(offsets);
                return Ok(same);
            }
        }
        self.patterns.push(record);
        writer.write_all(&self.programs)?;
        self.written += self.programs.len();
        self.index(pattern, segments);
        Ok(number)
    }

    /// The fewest bytes by which a segment of the pattern is found that was added last, if it was not there before: with
    /// one or two it is tried wherever these are, in every content.
    pub fn shortest_atom(&self) -> usize {
        self.shortest_atom
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
                self.shortest_atom = self.shortest_atom.min(atom.width);
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
            program: end(self.written),
            pattern: U32::ZERO,
            link: U32::ZERO,
            longest: U16::ZERO,
            flags: 0,
            rest: 0,
        });
        writer.section(flat::PATTERNS, self.patterns.as_bytes())?;
        writer.section(flat::SEGMENTS, self.segments.as_bytes())?;
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
                program: self.end_of_programs()?.into(),
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
        self.end_of_programs()?;
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

    fn end_of_programs(&self) -> Option<u32> {
        u32::try_from(self.written + self.programs.len()).ok()
    }

    /// All that makes the pattern what it is that was appended last, but not added.
    fn key(&self, record: &PatternRecord) -> [u64; 2] {
        let first = record.first.get() as usize;
        let segments = self.segments.get(first..).unwrap_or(&[]);
        let offset = record.offset.get().checked_sub(1);
        let offset = offset.and_then(|offset| self.offsets.get(offset as usize));
        self.hashers.each_ref().map(|hasher| {
            let mut hasher = hasher.build_hasher();
            hasher.write(&[record.keep]);
            hasher.write(record.lead.as_bytes());
            hasher.write(record.trail.as_bytes());
            hasher.write(offset.map_or(&[], |offset| offset.as_bytes()));
            for segment in segments {
                hasher.write(&[segment.flags]);
                let link = segment.link.get().checked_sub(1);
                let link = link.and_then(|link| self.links.get(link as usize));
                hasher.write(link.map_or(&[], |link| link.as_bytes()));
            }
            // Each program says where it ends.
            hasher.write(&self.programs);
            hasher.finish()
        })
    }
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
