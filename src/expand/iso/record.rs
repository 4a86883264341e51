//! A directory record (ECMA-119 §9.1) and what Rock Ridge has behind it (IEEE P1281 "SUSP", IEEE P1282 "RRIP").
#![forbid(unsafe_code)]

use std::io;

use crate::bytes::Reader;
use crate::expand::extents::Image;

/// The fixed part.
const FIXED: usize = 33;

/// The longest record.
pub(super) const LONGEST: usize = 255;

/// Continuations of the entries of Rock Ridge that are followed for one record.
const CONTINUATIONS: usize = 32;

/// The longest name that is put together, which is Linux' own limit for one.
const NAME: usize = 1024;

const FOLDER: u8 = 0x02;
const MORE: u8 = 0x80;

/// A record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Its length in the folder.
    pub(super) length: usize,
    /// Blocks of attributes before the content.
    pub(super) attributes: u8,
    pub(super) block: u32,
    pub(super) size: u32,
    /// The numbers are written in both byte orders, and differ.
    pub(super) disagrees: bool,
    flags: u8,
    /// The file's units are not one after the other.
    pub(super) is_interleaved: bool,
    pub(super) volume: u16,
    pub(super) name: Vec<u8>,
    /// What stands behind the name.
    system: Vec<u8>,
}

impl Record {
    /// The record at the start of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let length = usize::from(*bytes.first()?);
        let mut reader = Reader::new(bytes.get(1..length)?);
        let [attributes] = reader.array()?;
        let (block, block_be) = (reader.u32_le()?, reader.array().map(u32::from_be_bytes)?);
        let (size, size_be) = (reader.u32_le()?, reader.array().map(u32::from_be_bytes)?);
        reader.take(7)?;
        let [flags, unit, gap] = reader.array()?;
        let volume = reader.u16_le()?;
        reader.take(2)?;
        let [name_length] = reader.array()?;
        let name = reader.take(name_length.into())?.to_vec();
        // Writers that fill in one byte order only leave zeros in the other.
        let differs = |little: u32, big: u32| little != big && big != 0;
        let padding = usize::from(name_length % 2 == 0);
        let system = reader.rest().get(padding..).unwrap_or_default().to_vec();
        (length >= FIXED).then_some(Self {
            length,
            attributes,
            block,
            size,
            disagrees: differs(block, block_be) || differs(size, size_be),
            flags,
            is_interleaved: unit != 0 || gap != 0,
            volume,
            name,
            system,
        })
    }

    /// The next record in what is left of a block, and where it begins, with no word of a length: a name, and the same numbers in
    /// both byte orders, make sure of it.
    pub(super) fn search(block: &[u8]) -> Option<(usize, Self)> {
        (0..block.len()).find_map(|at| {
            let bytes = block.get(at..)?;
            let named = FIXED + usize::from(*bytes.get(FIXED - 1)?);
            let agrees = |number: &[u8]| {
                let (little, big) = number.split_at(number.len() / 2);
                little.iter().eq(big.iter().rev())
            };
            let is_sure = named > FIXED
                && bytes.get(2..6)? != [0; 4]
                && agrees(bytes.get(2..10)?)
                && agrees(bytes.get(10..18)?)
                && agrees(bytes.get(28..32)?);
            let length = usize::from(*bytes.first()?).max(named.next_multiple_of(2));
            let mut record = bytes.get(..length.min(LONGEST))?.to_vec();
            *record.first_mut()? = u8::try_from(record.len()).ok()?;
            is_sure
                .then(|| Self::read(&record))
                .flatten()
                .map(|record| (at, record))
        })
    }

    pub(super) fn is_folder(&self) -> bool {
        self.flags & FOLDER != 0
    }

    /// The file goes on in the next record.
    pub(super) fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }

    /// The folder itself, or the one that it lies in.
    pub(super) fn is_dot(&self) -> bool {
        matches!(self.name[..], [0 | 1])
    }

    /// Bytes before the entries of Rock Ridge, if this is the first record of a tree that has them.
    pub(super) fn rock_ridge(&self) -> Option<u8> {
        match self.system[..] {
            [b'S', b'P', _, _, 0xbe, 0xef, skip, ..] => Some(skip),
            _ => None,
        }
    }

    /// What Rock Ridge says about it.
    pub(super) fn extension(
        &self,
        image: &Image,
        skip: u8,
        block_size: u64,
    ) -> io::Result<Extension> {
        let mut extension = Extension::default();
        let from = usize::from(skip).min(self.system.len());
        let mut area = self.system.get(from..).unwrap_or_default().to_vec();
        for _ in 0..CONTINUATIONS {
            let Some((at, length)) = extension.take(&area, block_size) else {
                break;
            };
            area = image.bytes_at(at, length)?;
        }
        Ok(extension)
    }
}

/// What the entries of Rock Ridge say about a record.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) name: Vec<u8>,
    /// The folder lies there, for folders may not be as deep as this one is.
    pub(super) child: Option<u32>,
    /// The folder is listed here only because it is so deep.
    pub(super) is_relocated: bool,
    /// The content is compressed: two letters and parameters.
    pub(super) compressed: Option<[u8; 2]>,
    pub(super) is_sparse: bool,
}

impl Extension {
    /// Takes the entries of an area, and gives the place and length of where they go on.
    fn take(&mut self, area: &[u8], block_size: u64) -> Option<(u64, usize)> {
        let mut next = None;
        let mut reader = Reader::new(area);
        while let Some([one, two, length, _]) = reader.array::<4>() {
            let Some(data) = usize::from(length)
                .checked_sub(4)
                .and_then(|length| reader.take(length))
            else {
                break;
            };
            let number = |at: usize| {
                let bytes = data.get(at..at + 4)?.try_into().ok()?;
                Some(u32::from_le_bytes(bytes))
            };
            match &[one, two] {
                b"CE" => {
                    if let (Some(block), Some(offset), Some(length)) =
                        (number(0), number(8), number(16))
                    {
                        let at = u64::from(block) * block_size + u64::from(offset);
                        let length = usize::try_from(length).unwrap_or(usize::MAX);
                        next = Some((at, length.min(2 * NAME)));
                    }
                }
                // A name in pieces; the flags are for "." and "..", which are no files.
                b"NM" => {
                    let piece = data.get(1..).unwrap_or_default();
                    if self.name.len() + piece.len() <= NAME {
                        self.name.extend_from_slice(piece);
                    }
                }
                b"CL" => self.child = number(0),
                b"RE" => self.is_relocated = true,
                b"ZF" => self.compressed = data.get(..2).and_then(|name| name.try_into().ok()),
                b"SF" => self.is_sparse = true,
                b"ST" => break,
                _ => {}
            }
        }
        next
    }
}
