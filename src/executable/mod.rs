//! Where the parts of a program are: what signatures with offsets from entry point and sections need.
//!
//! Counted as clamscan counts (learned by trial, held by tests): it does not ask what a loader would do. Where clamscan gives
//! up on a whole program for one odd field, the parts that can be told are told here.
#![forbid(unsafe_code)]

mod elf;
mod macho;
mod pe;

use std::io;

use crate::object::Object;

/// The parts of a PE, ELF or Mach-O program. All offsets are bytes from the start of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The entry point; none if it lies in no section.
    pub entry: Option<u64>,
    /// The sections in the order of the header.
    pub sections: Vec<Section>,
    /// The version information of a PE program: offset and length of each resource that holds one.
    pub version_info: Vec<Section>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The first byte; it may lie behind the end of the file.
    pub start: u64,
    /// Bytes in the file.
    pub length: u64,
}

/// The parts of a program; `None` if the content is none, or if its headers do not lead to sections.
///
/// # Errors
/// Of reading. Damage is none: what can be told is told.
pub fn layout(object: &Object) -> io::Result<Option<Layout>> {
    let head = object.bytes_at(0, HEAD)?;
    match head.get(..4) {
        Some([b'M', b'Z', ..]) => pe::layout(object, &head),
        Some(b"\x7fELF") => elf::layout(object, &head),
        Some(
            b"\xfe\xed\xfa\xce" | b"\xfe\xed\xfa\xcf" | b"\xce\xfa\xed\xfe" | b"\xcf\xfa\xed\xfe",
        ) => macho::layout(object, &head),
        _ => Ok(None),
    }
}

/// Bytes that hold the first header of each format.
const HEAD: usize = 64;

/// Numbers of a header, in its byte order.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], big: bool) -> Self {
        Self { bytes, big }
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = self.bytes.get(at..)?.get(..N)?.try_into().ok()?;
        if self.big {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A number of the program's word size.
    fn word(self, at: usize, wide: bool) -> Option<u64> {
        if wide {
            self.u64(at)
        } else {
            self.u32(at).map(u64::from)
        }
    }
}

impl Section {
    /// The part from `start` of `length` bytes, as far as a file of `end` bytes has it.
    fn clipped(start: u64, length: u64, end: u64) -> Self {
        Self {
            start,
            length: length.min(end.saturating_sub(start)),
        }
    }
}
