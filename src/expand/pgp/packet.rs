//! The packets that OpenPGP data consist of (RFC 9580 §4): headers in both forms, and bodies that may come in parts.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::expand::{cut_short, damaged};

/// Packets by their numbers (§5).
pub(super) const SESSION_KEY: u8 = 1;
pub(super) const SIGNATURE: u8 = 2;
pub(super) const PASSWORD_KEY: u8 = 3;
pub(super) const ONE_PASS: u8 = 4;
pub(super) const COMPRESSED: u8 = 8;
pub(super) const ENCRYPTED: u8 = 9;
pub(super) const MARKER: u8 = 10;
pub(super) const LITERAL: u8 = 11;
pub(super) const PROTECTED: u8 = 18;
pub(super) const AEAD: u8 = 20;
pub(super) const PADDING: u8 = 21;

/// How long the body of a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// So many bytes, and then another length.
    Partial(u64),
    /// All that follow.
    Open,
}

/// What stands before the body of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tag: u8,
    pub(super) length: Length,
}

fn byte(input: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    match input.read_exact(&mut byte) {
        Ok(()) => Ok(Some(byte[0])),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The next `N` bytes, the first of them of the highest value.
fn number<const N: usize>(input: &mut impl Read) -> io::Result<u64> {
    let mut value = 0;
    for _ in 0..N {
        let next = byte(input)?.ok_or_else(|| cut_short("the header of a packet is cut"))?;
        value = value << 8 | u64::from(next);
    }
    Ok(value)
}

/// Reads the header of the next packet; none at the end.
pub(super) fn header(input: &mut impl Read) -> io::Result<Option<Header>> {
    let Some(first) = byte(input)? else {
        return Ok(None);
    };
    let (tag, length) = match first {
        0xc0.. => (first & 0x3f, new_length(input)?),
        0x80.. => {
            let length = match first & 3 {
                0 => Length::Known(number::<1>(input)?),
                1 => Length::Known(number::<2>(input)?),
                2 => Length::Known(number::<4>(input)?),
                _ => Length::Open,
            };
            (first >> 2 & 15, length)
        }
        _ => return Err(damaged("no packet")),
    };
    if tag == 0 {
        return Err(damaged("no packet"));
    }
    Ok(Some(Header { tag, length }))
}

/// A length as the newer form has it (§4.2.1).
pub(super) fn new_length(input: &mut impl Read) -> io::Result<Length> {
    let first = number::<1>(input)?;
    Ok(match first {
        0..192 => Length::Known(first),
        192..224 => Length::Known(((first - 192) << 8) + number::<1>(input)? + 192),
        224..255 => Length::Partial(1 << (first & 0x1f)),
        _ => Length::Known(number::<4>(input)?),
    })
}

/// Reads the body of a packet, and not a byte further.
pub(super) struct Body<R> {
    input: R,
    length: Length,
}

impl<R: Read> Body<R> {
    /// Begins behind the header.
    pub(super) fn new(input: R, length: Length) -> Self {
        Self { input, length }
    }

    /// Reads what is left of it.
    pub(super) fn pass(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_| ())
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.length == Length::Partial(0) {
            self.length = new_length(&mut self.input)?;
        }
        let (Length::Known(left) | Length::Partial(left)) = &mut self.length else {
            return self.input.read(out);
        };
        let most = usize::try_from(*left).map_or(out.len(), |left| left.min(out.len()));
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        let count = self.input.read(out)?;
        if count == 0 {
            return Err(cut_short("a packet is cut"));
        }
        *left = left.saturating_sub(count as u64);
        Ok(count)
    }
}
