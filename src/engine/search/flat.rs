//! The records of the sections: what a compiled set of patterns is made of.
//!
//! All numbers are little-endian and have no alignment, so that a section is used where it lies. References to other
//! records that may be absent are counted from 1, and 0 is none.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use bytes::Bytes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::image::{Damage, Image, Tag};

pub(super) const PATTERNS: Tag = *b"pattern ";
pub(super) const SEGMENTS: Tag = *b"segment ";
pub(super) const PROGRAMS: Tag = *b"program ";
pub(super) const LINKS: Tag = *b"link    ";
pub(super) const OFFSETS: Tag = *b"offset  ";
pub(super) const SETS: Tag = *b"set     ";
pub(super) const REACH: Tag = *b"reach   ";

/// The largest numbers of bytes of any segment.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Reach {
    pub(super) raw: U32,
    pub(super) squeezed: U32,
}

/// A pattern; one more stands behind the last.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct PatternRecord {
    /// The number of its first segment. Its last one stands before the first of the next pattern.
    pub(super) first: U32,
    /// Its offset record, from 1.
    pub(super) offset: U32,
    /// So many bytes must lie before its first segment, and belong to the match.
    pub(super) lead: U16,
    /// So many bytes must lie behind its last segment, and belong to the match.
    pub(super) trail: U16,
    /// What is kept of its matches: [`Keep`](super::Keep).
    pub(super) keep: u8,
    pub(super) rest: [u8; 3],
}

/// A segment; one more stands behind the last.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct SegmentRecord {
    /// The first byte of its program. Its last one stands before the first of the next segment.
    pub(super) program: U32,
    /// Its pattern.
    pub(super) pattern: U32,
    /// The link before it, from 1.
    pub(super) link: U32,
    /// The largest number of bytes that it matches.
    pub(super) longest: U16,
    /// The bits below.
    pub(super) flags: u8,
    pub(super) rest: u8,
}

/// It is squeezed: its program is one CASELESS.
pub(super) const SQUEEZED: u8 = 1;
/// It is the last one of its pattern.
pub(super) const LAST: u8 = 2;
/// Some segment of its pattern is squeezed.
pub(super) const MIXED: u8 = 4;

impl SegmentRecord {
    pub(super) fn is_squeezed(&self) -> bool {
        self.flags & SQUEEZED != 0
    }

    pub(super) fn is_first(&self) -> bool {
        self.link == U32::ZERO
    }

    pub(super) fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }

    pub(super) fn is_mixed(&self) -> bool {
        self.flags & MIXED != 0
    }
}

/// A link; `max` is `u64::MAX` for any number.
#[derive(
    Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct LinkRecord {
    pub(super) min: U64,
    pub(super) max: U64,
    /// Its set of bytes, from 1.
    pub(super) within: U32,
}

/// An offset.
#[derive(
    Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct OffsetRecord {
    /// From where it is counted; the numbers are in `offset`.
    pub(super) base: u8,
    /// The number of the section where `base` is one.
    pub(super) section: U32,
    /// An `i64`.
    pub(super) by: U64,
    pub(super) shift: U64,
}

/// A section as an array.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    bytes: Bytes,
    of: PhantomData<T>,
}

impl<T: FromBytes + Immutable + KnownLayout + Unaligned> Table<T> {
    pub(super) fn open(image: &Image, tag: Tag) -> Result<Self, Damage> {
        let bytes = image.section(tag)?;
        match <[T]>::ref_from_bytes(&bytes) {
            Ok(_) => Ok(Self {
                bytes,
                of: PhantomData,
            }),
            Err(_) => Err(damage(tag)),
        }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        <[T]>::ref_from_bytes(&self.bytes).unwrap_or(&[])
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.as_slice().get(number as usize)
    }

    /// The record with this number from 1.
    pub(super) fn get_from_one(&self, number: U32) -> Option<&T> {
        self.get(number.get().checked_sub(1)?)
    }
}

pub(super) fn damage(tag: Tag) -> Damage {
    Damage::Section(String::from_utf8_lossy(&tag).trim_end().to_owned())
}
