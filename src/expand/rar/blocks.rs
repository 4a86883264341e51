//! Where the blocks of an archive lie, by their sizes alone.
//!
//! The crate parses all headers or none. These borders tell where an archive ends, whether its last member is cut, and
//! which part in front of a damaged header can be parsed.
#![forbid(unsafe_code)]

use std::io::{self, Read, Seek, SeekFrom};

use crate::bytes::Reader;
use crate::expand::cut_short;
use crate::object::Object;

/// "Rar!", and what tells the formats of RAR 1.5 and 5 apart.
pub(super) const MAGIC: &[u8] = b"Rar!\x1a\x07";
/// The format before that (RAR 1.3 and 1.4).
pub(super) const OLD_MAGIC: &[u8] = b"RE\x7e\x5e";

/// Enough of a block for all that tells its size.
const HEAD: usize = 64;

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// RAR 1.3 and 1.4.
    Old,
    /// RAR 1.5 to 4.
    Four,
    /// RAR 5 and later.
    Five,
}

impl Family {
    /// By the first bytes of the archive.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head.strip_prefix(MAGIC) {
            Some([0, ..]) => Some(Self::Four),
            Some([1, 0, ..]) => Some(Self::Five),
            Some(_) => None,
            None => head.starts_with(OLD_MAGIC).then_some(Self::Old),
        }
    }
}

/// What the sizes of the blocks say.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Where each block starts that is there with its header, the first `limit` of them.
    pub(super) starts: Vec<u64>,
    /// Behind the last block; beyond the end of the archive when that is cut.
    pub(super) end: u64,
    /// The block that ends an archive was there.
    pub(super) ended: bool,
    /// Another part of the archive follows.
    pub(super) continues: bool,
    /// Headers are encrypted from here on: nothing more is known.
    pub(super) encrypted: bool,
    /// Binary logarithm of the rounds that make the key of the headers.
    pub(super) rounds: u8,
}

/// One block.
struct Block {
    kind: u64,
    flags: u64,
    length: u64,
    rounds: u8,
}

/// Reads the start of a block.
type ReadBlock = fn(&[u8]) -> Option<Block>;

/// Goes from block to block.
pub(super) fn layout(object: &Object, family: Family, limit: u64) -> io::Result<Layout> {
    let mut layout = Layout::default();
    let (first, read): (u64, ReadBlock) = match family {
        Family::Old => {
            let head = object.bytes_at(4, 2)?;
            let size = Reader::new(&head).u16_le().unwrap_or_default();
            (size.max(7).into(), old)
        }
        Family::Four => (7, four),
        Family::Five => (8, five),
    };
    layout.end = first;
    while layout.end < object.length() && (layout.starts.len() as u64) < limit {
        let Some(block) = read(&object.bytes_at(layout.end, HEAD)?) else {
            break;
        };
        layout.starts.push(layout.end);
        layout.end = layout.end.saturating_add(block.length);
        match (family, block.kind) {
            (Family::Four, 0x73) if block.flags & 0x80 != 0 => layout.encrypted = true,
            (Family::Five, 4) => {
                layout.encrypted = true;
                layout.rounds = block.rounds;
            }
            (Family::Four, 0x7b) | (Family::Five, 5) => {
                layout.ended = true;
                layout.continues = block.flags & 1 != 0;
            }
            _ => {}
        }
        if layout.encrypted || layout.ended {
            break;
        }
    }
    Ok(layout)
}

/// The checksum of the first header holds; the oldest format has none, but a first member.
pub(super) fn is_sound(family: Family, head: &[u8]) -> bool {
    let sound = || match family {
        Family::Old => {
            let mut reader = Reader::new(head.get(4..)?);
            let size = reader.u16_le()?;
            let first = head.get(usize::from(size)..)?;
            let mut reader = Reader::new(first);
            let packed = reader.u32_le()?;
            let unpacked = reader.u32_le()?;
            reader.take(2)?;
            let header = reader.u16_le()?;
            reader.take(4)?;
            let [_, _, _, name, method] = reader.array()?;
            let fits = u32::from(header) == 21 + u32::from(name) && name > 0 && method <= 5;
            Some((7..=1024).contains(&size) && fits && packed <= unpacked)
        }
        Family::Four => {
            let mut reader = Reader::new(head.get(7..)?);
            let sum = reader.u16_le()?;
            let mut block = reader;
            let kind = reader.array::<1>()?;
            reader.take(2)?;
            let body = block.take(usize::from(reader.u16_le()?).checked_sub(2)?)?;
            // A comment in the header is not summed up.
            let holds = |part: &[u8]| {
                crc32fast::hash(part)
                    .to_le_bytes()
                    .starts_with(&sum.to_le_bytes())
            };
            Some(kind == [0x73] && (holds(body) || holds(body.get(..11)?)) && body.len() >= 11)
        }
        Family::Five => {
            let mut reader = Reader::new(head.get(8..)?);
            let sum = reader.u32_le()?;
            let rest = reader.rest();
            let mut size = 0_usize;
            let mut digits = 0;
            for byte in rest.iter().take(3) {
                size |= usize::from(byte & 0x7f) << (7 * digits);
                digits += 1;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let header = rest.get(..size.checked_add(digits)?)?;
            Some(size > 1 && crc32fast::hash(header) == sum)
        }
    };
    sound().unwrap_or(false)
}

/// Before RAR 1.5: sizes, packed and not, a checksum, and the size of the header.
fn old(head: &[u8]) -> Option<Block> {
    let mut reader = Reader::new(head);
    let data = reader.u32_le()?;
    reader.take(6)?;
    let size = reader.u16_le().filter(|size| *size >= 21)?;
    Some(Block {
        kind: 0,
        flags: 0,
        length: u64::from(size).saturating_add(data.into()),
        rounds: 0,
    })
}

/// RAR 1.5 to 4: checksum, type, flags, size, and perhaps a size of data behind it.
fn four(head: &[u8]) -> Option<Block> {
    const LONG: u16 = 0x8000;
    const LARGE: u16 = 0x100;
    let mut reader = Reader::new(head);
    reader.take(2)?;
    let [kind] = reader.array()?;
    let flags = reader.u16_le()?;
    let size = reader.u16_le().filter(|size| *size >= 7)?;
    let is_file = matches!(kind, 0x74 | 0x7a);
    let mut data = 0;
    if is_file || flags & LONG != 0 {
        data = u64::from(reader.u32_le()?);
    }
    if is_file && flags & LARGE != 0 {
        reader.take(21)?;
        data |= u64::from(reader.u32_le()?) << 32;
    }
    Some(Block {
        kind: kind.into(),
        flags: flags.into(),
        length: u64::from(size).saturating_add(data),
        rounds: 0,
    })
}

/// RAR 5: checksum, and numbers of seven bits a byte: size of the header, type, flags, sizes of extra area and data.
fn five(head: &[u8]) -> Option<Block> {
    const EXTRA: u64 = 1;
    const DATA: u64 = 2;
    let mut reader = Reader::new(head);
    reader.take(4)?;
    let size = number(&mut reader)?;
    let fixed = (head.len() - reader.rest().len()) as u64;
    let kind = number(&mut reader)?;
    let mut flags = number(&mut reader)?;
    if flags & EXTRA != 0 {
        number(&mut reader)?;
    }
    let data = if flags & DATA != 0 {
        number(&mut reader)?
    } else {
        0
    };
    let mut rounds = 0;
    match kind {
        4 => {
            number(&mut reader)?;
            number(&mut reader)?;
            [rounds] = reader.array()?;
        }
        5 => flags = number(&mut reader).unwrap_or_default(),
        _ => {}
    }
    Some(Block {
        kind,
        flags,
        length: fixed.saturating_add(size).saturating_add(data),
        rounds,
    })
}

fn number(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = reader.array()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Reads an archive as if it were `claimed` bytes long: what is not there is an error when it is read, not before.
#[derive(Debug)]
pub(super) struct Source {
    object: Object,
    claimed: u64,
    position: u64,
}

impl Source {
    pub(super) fn new(object: Object, claimed: u64) -> Self {
        Self {
            object,
            claimed,
            position: 0,
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.claimed.saturating_sub(self.position);
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        let count = self.object.read_at(out, self.position)?;
        if count == 0 {
            return Err(cut_short("the archive ends inside this member"));
        }
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.claimed.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
