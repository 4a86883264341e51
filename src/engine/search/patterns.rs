//! Compiled patterns, used where they lie in an image.
#![forbid(unsafe_code)]

use bytes::Bytes;

use super::Keep;
use super::flat::{self, LinkRecord, OffsetRecord, PatternRecord, Reach, SegmentRecord, Table};
use super::index::{self, Index};
use crate::image::{Damage, Image};
use crate::signature::pattern::LENGTH_LIMIT;

/// Bytes behind a segment that its last edge may look at: CRLF.
pub(super) const CONTEXT: usize = 2;

/// The patterns of a database; immutable, and any number of searches share them.
#[derive(Debug, Clone)]
pub struct Patterns {
    patterns: Table<PatternRecord>,
    segments: Table<SegmentRecord>,
    programs: Bytes,
    links: Table<LinkRecord>,
    offsets: Table<OffsetRecord>,
    sets: Table<[u8; 32]>,
    /// The bytes that must be there before a raw or a squeezed segment is confirmed, whichever it is.
    pub(super) reach: usize,
    pub(super) squeezed_reach: usize,
    pub(super) raw: Index,
    pub(super) squeezed: Index,
}

/// A pattern as the records have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) lead: u64,
    pub(super) trail: u64,
    pub(super) keep: Keep,
    pub(super) offset: Option<OffsetRecord>,
}

impl Patterns {
    /// The patterns of an image.
    ///
    /// # Errors
    /// A section is missing or has no sensible length.
    pub fn open(image: &Image) -> Result<Self, Damage> {
        let reach = Table::<Reach>::open(image, flat::REACH)?;
        let reach = (reach.get(0)).ok_or_else(|| flat::damage(flat::REACH))?;
        let bounded = |length: u32| (length as usize).min(LENGTH_LIMIT);
        let patterns = Self {
            reach: bounded(reach.raw.get()) + CONTEXT,
            squeezed_reach: bounded(reach.squeezed.get()),
            raw: Index::open(image, index::RAW)?,
            squeezed: Index::open(image, index::SQUEEZED)?,
            patterns: Table::open(image, flat::PATTERNS)?,
            segments: Table::open(image, flat::SEGMENTS)?,
            programs: image.section(flat::PROGRAMS)?,
            links: Table::open(image, flat::LINKS)?,
            offsets: Table::open(image, flat::OFFSETS)?,
            sets: Table::open(image, flat::SETS)?,
        };
        match patterns.patterns.as_slice().is_empty() || patterns.segments.as_slice().is_empty() {
            true => Err(flat::damage(flat::PATTERNS)),
            false => Ok(patterns),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.patterns.as_slice().len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn shape(&self, pattern: u32) -> Option<Shape> {
        let record = self.patterns.get(pattern)?;
        let offset = match record.offset.get() {
            0 => None,
            _ => Some(*self.offsets.get_from_one(record.offset)?),
        };
        Some(Shape {
            lead: record.lead.get().into(),
            trail: record.trail.get().into(),
            keep: Keep::from_byte(record.keep),
            offset,
        })
    }

    pub(super) fn segment(&self, number: u32) -> Option<&SegmentRecord> {
        self.segments.get(number)
    }

    pub(super) fn program(&self, segment: u32) -> Option<&[u8]> {
        let record = self.segments.get(segment)?;
        let next = self.segments.get(segment.checked_add(1)?)?;
        let range = record.program.get() as usize..next.program.get() as usize;
        self.programs.get(range)
    }

    /// The link before a segment.
    pub(super) fn link(&self, segment: &SegmentRecord) -> Option<&LinkRecord> {
        self.links.get_from_one(segment.link)
    }

    pub(super) fn set(&self, link: &LinkRecord) -> Option<&[u8; 32]> {
        self.sets.get_from_one(link.within)
    }
}
