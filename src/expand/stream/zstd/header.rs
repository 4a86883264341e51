//! The header of a frame (RFC 8878 §3.1.1.1).
#![forbid(unsafe_code)]

use std::io;

use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};

/// The longest header in bytes.
pub(super) const LONGEST: usize = 18;

/// What a frame header says.
pub(super) struct Header {
    /// How far copies may reach back.
    pub(super) window: u64,
    pub(super) dictionary: Option<u32>,
    /// The size of the content.
    pub(super) size: Option<u64>,
    /// A checksum stands behind the content.
    pub(super) has_sum: bool,
    /// Bytes of the header.
    pub(super) length: usize,
}

impl Header {
    pub(super) fn read(head: &[u8]) -> io::Result<Self> {
        let cut = || cut_short("header is cut");
        let mut reader = Reader::new(head.strip_prefix(super::MAGIC).ok_or_else(cut)?);
        let [descriptor] = reader.array().ok_or_else(cut)?;
        if descriptor & 0x08 != 0 {
            return Err(damaged("its reserved bit is set"));
        }
        let single = descriptor & 0x20 != 0;
        let mut window = 0;
        if !single {
            let [byte] = reader.array().ok_or_else(cut)?;
            let base = 1_u64 << (10 + u32::from(byte >> 3));
            window = base + base / 8 * u64::from(byte & 7);
        }
        let lengths = [0, 1, 2, 4];
        let number = lengths.get(usize::from(descriptor & 3));
        let number = reader.take(number.copied().unwrap_or_default());
        let dictionary = little_endian(number.ok_or_else(cut)?);
        let length = match descriptor >> 6 {
            0 => usize::from(single),
            power => 1 << power,
        };
        let field = reader.take(length).ok_or_else(cut)?;
        let size = little_endian(field).map(|size| size + if length == 2 { 256 } else { 0 });
        Ok(Self {
            window: if single {
                size.unwrap_or_default()
            } else {
                window
            },
            dictionary: dictionary.and_then(|number| u32::try_from(number).ok()),
            size,
            has_sum: descriptor & 0x04 != 0,
            length: head.len() - reader.rest().len(),
        })
    }
}

/// The number that these bytes are, if there are any.
fn little_endian(bytes: &[u8]) -> Option<u64> {
    let shift = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    (!bytes.is_empty()).then(|| bytes.iter().rev().fold(0, shift))
}
