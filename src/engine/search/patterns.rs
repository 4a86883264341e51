//! Compiled patterns, used where they lie in an image.
#![forbid(unsafe_code)]

use bytes::Bytes;

use super::Keep;
use super::flat::{self, LinkRecord, OffsetRecord, PatternRecord, SegmentRecord, Table};
use crate::image::{Damage, Image};

/// The patterns of a database; immutable, and any number of searches share them.
#[derive(Debug, Clone)]
pub struct Patterns {
    patterns: Table<PatternRecord>,
    segments: Table<SegmentRecord>,
    programs: Bytes,
    links: Table<LinkRecord>,
    offsets: Table<OffsetRecord>,
    sets: Table<[u8; 32]>,
}

/// A pattern as the records have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The number of its first segment.
    pub(super) first: u32,
    /// The number behind that of its last segment.
    pub(super) end: u32,
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
        let patterns = Self {
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
        let next = self.patterns.get(pattern.checked_add(1)?)?;
        let offset = match record.offset.get() {
            0 => None,
            _ => Some(*self.offsets.get_from_one(record.offset)?),
        };
        Some(Shape {
            first: record.first.get(),
            end: next.first.get(),
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
