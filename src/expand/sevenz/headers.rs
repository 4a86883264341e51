//! How long the headers of an archive are, once they are decompressed: only as much of them is read as tells that.
#![forbid(unsafe_code)]

use std::io;

use crate::bytes::Reader;
use crate::object::Object;

const MAGIC: &[u8] = b"7z\xbc\xaf\x27\x1c";

/// The header at the start.
const START: usize = 32;

/// A description of compressed headers is far shorter.
const DESCRIPTION: u64 = 64 * 1024;

/// Coders of a folder, and streams of a coder.
const MOST: u64 = 32;

/// The method of AES, the length of its properties behind it.
const AES: &[u8] = b"\x06\xf1\x07\x01";

/// The bits of the first of those properties that are a binary logarithm of rounds; all of them for none.
pub(super) const POWER: u8 = 0x3f;

/// Binary logarithm of the rounds that make the key of encrypted headers.
pub(super) fn power(object: &Object) -> io::Result<u8> {
    let Some((from, length)) = Ends::of(object)?.and_then(|ends| ends.headers) else {
        return Ok(0);
    };
    let length = usize::try_from(length.min(DESCRIPTION)).unwrap_or_default();
    let bytes = object.bytes_at(from, length)?;
    let at = memchr::memmem::find(&bytes, AES);
    let first = at.and_then(|at| bytes.get(at + AES.len() + 1));
    Ok(first.map_or(0, |first| first & POWER))
}

/// What the header at the start says.
pub(super) struct Ends {
    /// Where the headers begin, and their length; unknown when a writer did not come back to fill that in.
    headers: Option<(u64, u64)>,
    /// Where the archive ends.
    pub(super) end: Option<u64>,
}

impl Ends {
    pub(super) fn of(object: &Object) -> io::Result<Option<Self>> {
        let bytes = object.bytes_at(0, START)?;
        if !bytes.starts_with(MAGIC) {
            return Ok(None);
        }
        let mut reader = Reader::new(&bytes);
        let fields = (|| {
            reader.take(8)?;
            Some((reader.u32_le()?, reader.u64_le()?, reader.u64_le()?))
        })();
        let Some((sum, offset, size)) = fields else {
            return Ok(Some(Self {
                headers: None,
                end: Some(START as u64),
            }));
        };
        if sum == 0 && offset == 0 && size == 0 {
            return Ok(Some(Self {
                headers: None,
                end: None,
            }));
        }
        let start = offset.saturating_add(START as u64);
        Ok(Some(Self {
            headers: Some((start, size)),
            end: Some(start.saturating_add(size)),
        }))
    }
}

/// The length of the headers.
pub(super) enum Size {
    Bytes(u64),
    Unknown,
}

pub(super) fn size(object: &Object, ends: &Ends) -> io::Result<Size> {
    const ENCODED: u8 = 0x17;
    let Some((start, size)) = ends.headers else {
        return Ok(Size::Unknown);
    };
    let first = object.bytes_at(start, 1)?;
    if first != [ENCODED] {
        return Ok(Size::Bytes(size));
    }
    if size > DESCRIPTION {
        return Ok(Size::Bytes(u64::MAX));
    }
    let length = usize::try_from(size).unwrap_or_default();
    let bytes = object.bytes_at(start.saturating_add(1), length)?;
    Ok(decoded(&mut Reader::new(&bytes)).map_or(Size::Unknown, Size::Bytes))
}

/// Reads PackInfo and the coders' part of UnPackInfo, and gives the largest size that any coder makes.
fn decoded(reader: &mut Reader<'_>) -> Option<u64> {
    let mut id = byte(reader)?;
    if id == 6 {
        number(reader)?;
        let streams = number(reader)?;
        loop {
            match byte(reader)? {
                0 => break,
                9 => (0..streams.min(DESCRIPTION)).try_for_each(|_| number(reader).map(drop))?,
                10 => digests(reader, streams)?,
                _ => return None,
            }
        }
        id = byte(reader)?;
    }
    let is_plain = id == 7 && byte(reader)? == 11;
    let folders = number(reader).filter(|_| is_plain)?;
    let is_here = byte(reader)? == 0;
    if !is_here || folders > MOST {
        return None;
    }
    let mut outputs = 0;
    for _ in 0..folders {
        outputs += folder(reader)?;
    }
    (byte(reader)? == 12).then_some(())?;
    let mut largest = 0;
    for _ in 0..outputs {
        largest = number(reader)?.max(largest);
    }
    Some(largest)
}

/// Reads the coders of a folder, and gives the number of their outputs.
fn folder(reader: &mut Reader<'_>) -> Option<u64> {
    let coders = number(reader).filter(|coders| *coders <= MOST)?;
    let (mut inputs, mut outputs) = (0, 0);
    for _ in 0..coders {
        let flags = byte(reader)?;
        reader.take(usize::from(flags & 15))?;
        let (mut more_inputs, mut more_outputs) = (1, 1);
        if flags & 0x10 != 0 {
            more_inputs = number(reader).filter(|count| *count <= MOST)?;
            more_outputs = number(reader).filter(|count| *count <= MOST)?;
        }
        inputs += more_inputs;
        outputs += more_outputs;
        if flags & 0x20 != 0 {
            let length = number(reader)?;
            reader.take(usize::try_from(length).ok()?)?;
        }
    }
    let bonds = outputs.checked_sub(1)?;
    for _ in 0..bonds {
        number(reader)?;
        number(reader)?;
    }
    let packed = inputs.checked_sub(bonds)?;
    if packed > 1 {
        for _ in 0..packed {
            number(reader)?;
        }
    }
    Some(outputs)
}

/// Passes over checksums, which may be there for some of the streams only.
fn digests(reader: &mut Reader<'_>, streams: u64) -> Option<()> {
    let count = usize::try_from(streams).ok()?;
    let mut defined = count;
    if byte(reader)? == 0 {
        let bits = reader.take(count.div_ceil(8))?;
        defined = bits.iter().map(|bits| bits.count_ones() as usize).sum();
    }
    reader.take(defined.checked_mul(4)?).map(drop)
}

fn byte(reader: &mut Reader<'_>) -> Option<u8> {
    reader.array().map(u8::from_le_bytes)
}

/// A number of up to eight bytes after the first, whose highest bits tell how many.
fn number(reader: &mut Reader<'_>) -> Option<u64> {
    let first = byte(reader)?;
    let more = first.leading_ones();
    let mut value = 0_u64;
    for at in 0..more {
        value |= u64::from(byte(reader)?) << (8 * at);
    }
    if more < 7 {
        let high = u64::from(first) & ((1 << (7 - more)) - 1);
        value |= high << (8 * more);
    }
    Some(value)
}
