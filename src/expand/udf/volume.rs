//! From the anchors to the root folder: the volume's description (ECMA-167 part 3), its partitions, and how their blocks are
//! addressed (UDF 2.2.4 to 2.2.14).
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::node::{Body, Node};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::expand::extents::{Guard, Image, Piece, push};

/// Identifiers of tags.
const ANCHOR: u16 = 2;
const POINTER: u16 = 3;
const PARTITION: u16 = 5;
const LOGICAL_VOLUME: u16 = 6;
const TERMINATOR: u16 = 8;
const FILE_SET: u16 = 256;
pub(super) const FILE_IDENTIFIER: u16 = 257;

/// Sizes of blocks that there are, the usual one first.
const BLOCKS: [u64; 4] = [2048, 512, 1024, 4096];

/// Descriptors of a sequence, of file sets, of partitions.
const DESCRIPTORS: u64 = 256;
const FILE_SETS: usize = 16;
const MAPS: u32 = 16;

/// Blocks at the end in which the table of a disc that is written once is looked for.
const TABLE_BLOCKS: u64 = 160;

/// What cannot be read, and why.
pub(super) type Complaint = (Reason, String);

/// Tells whether a descriptor is what its tag says, by the checksum of the tag; and whether the checksum of the rest holds.
pub(super) fn tag(bytes: &[u8], identifier: u16) -> Option<bool> {
    let head: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    let [low, high, _, _, sum, ..] = head;
    let total = head.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if u16::from_le_bytes([low, high]) != identifier || total.wrapping_sub(sum) != sum {
        return None;
    }
    let mut fields = Reader::new(head.get(8..)?);
    let (said, length) = (fields.u16_le()?, fields.u16_le()?);
    let body = bytes.get(16..16 + usize::from(length));
    Some(body.is_none_or(|body| crc(body) == said))
}

/// ITU-T V.41, as ECMA-167 1/7.2.6 has it.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            let carry = if sum & 0x8000 == 0 { 0 } else { 0x1021 };
            sum << 1 ^ carry
        })
    })
}

/// An extent: its length in bytes, its first block, and through which of the volume's maps that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) length: u32,
    pub(super) block: u32,
    pub(super) map: u16,
}

impl Place {
    /// A long allocation descriptor.
    pub(super) fn long(reader: &mut Reader<'_>) -> Option<Self> {
        let (length, block, map) = (reader.u32_le()?, reader.u32_le()?, reader.u16_le()?);
        reader.take(6)?;
        Some(Self { length, block, map })
    }
}

/// How the blocks of one partition are found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Map {
    /// From this byte on.
    Direct(u64),
    /// By a table of blocks from this byte on.
    Virtual(u64, Vec<u32>),
    /// As directly, but for packets of so many blocks that lie elsewhere.
    Spared(u64, u64, BTreeMap<u64, u64>),
    /// In a file.
    Metadata(Vec<Piece>),
    Unknown(Complaint),
}

impl Map {
    /// Bytes of memory that it takes, more or less.
    fn weight(&self) -> u64 {
        let bytes = match self {
            Self::Virtual(_, table) => size_of_val(&table[..]),
            Self::Metadata(pieces) => size_of_val(&pieces[..]),
            Self::Spared(..) | Self::Direct(_) | Self::Unknown(_) => 0,
        };
        bytes as u64
    }
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) block_size: u64,
    maps: Vec<Map>,
    files: Place,
    complaints: Vec<Complaint>,
}

/// All volumes of an image that differ.
pub(super) struct Found {
    pub(super) volumes: Vec<Volume>,
    /// The end of what belongs to it.
    pub(super) end: u64,
    pub(super) complaints: Vec<String>,
}

/// Follows all anchors.
pub(super) fn find(image: &Image, memory: u64) -> io::Result<Option<Found>> {
    let mut found = None;
    let mut looked_at = Vec::new();
    // All maps of all volumes are kept.
    let mut room = memory;
    for block_size in BLOCKS {
        let blocks = image.length() / block_size;
        let places = [
            Some(256),
            blocks.checked_sub(1),
            blocks.checked_sub(257),
            Some(512),
        ];
        for block in places.into_iter().flatten() {
            let bytes = image.bytes_at(block * block_size, 512)?;
            let place = Reader::new(bytes.get(12..).unwrap_or_default()).u32_le();
            if tag(&bytes, ANCHOR).is_none() || place.map(u64::from) != Some(block) {
                continue;
            }
            let found = found.get_or_insert_with(|| Found {
                volumes: Vec::new(),
                end: 0,
                complaints: Vec::new(),
            });
            found.end = found.end.max((block + 1) * block_size);
            let mut fields = Reader::new(bytes.get(16..).unwrap_or_default());
            for _ in 0..2 {
                let (Some(length), Some(start)) = (fields.u32_le(), fields.u32_le()) else {
                    break;
                };
                let sequence = (block_size, start, length);
                if length == 0 || looked_at.contains(&sequence) {
                    continue;
                }
                looked_at.push(sequence);
                let mut sequence = Sequence::read(image, block_size, start, length)?;
                found.end = found.end.max(sequence.end);
                let mut left = room;
                let volume = sequence.volume(image, &mut left)?;
                match volume {
                    Some(volume) if found.volumes.contains(&volume) => {}
                    Some(volume) => {
                        found.volumes.push(volume);
                        room = left;
                    }
                    None => {
                        let detail = format!("no volume is described at block {start}");
                        found.complaints.push(detail);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// A sequence of volume descriptors. Of several with the same name the one with the highest number prevails.
struct Sequence {
    block_size: u64,
    end: u64,
    volume: Option<(u32, Vec<u8>)>,
    /// By number: the descriptor's own number, first block, blocks.
    partitions: BTreeMap<u16, (u32, u32, u32)>,
}

impl Sequence {
    fn read(image: &Image, block_size: u64, start: u32, length: u32) -> io::Result<Self> {
        let mut sequence = Self {
            block_size,
            end: 0,
            volume: None,
            partitions: BTreeMap::new(),
        };
        let mut block = u64::from(start);
        let mut left = u64::from(length) / block_size;
        for _ in 0..DESCRIPTORS {
            if left == 0 {
                break;
            }
            let size = usize::try_from(block_size).unwrap_or_default();
            let bytes = image.bytes_at(block * block_size, size)?;
            (block, left) = (block + 1, left - 1);
            sequence.end = sequence.end.max(block * block_size);
            let identifier = Reader::new(&bytes).u16_le().unwrap_or_default();
            if tag(&bytes, identifier).is_none() {
                break;
            }
            let number = |at: usize| {
                let mut fields = Reader::new(bytes.get(at..).unwrap_or_default());
                fields.u32_le().unwrap_or_default()
            };
            match identifier {
                POINTER => {
                    (left, block) = (u64::from(number(20)) / block_size, number(24).into());
                }
                PARTITION => {
                    let [low, high, ..] = number(22).to_le_bytes();
                    let name = u16::from_le_bytes([low, high]);
                    let (own, start, blocks) = (number(16), number(188), number(192));
                    let end = (u64::from(start) + u64::from(blocks)) * block_size;
                    sequence.end = sequence.end.max(end);
                    let known = sequence.partitions.get(&name);
                    if known.is_none_or(|known| known.0 <= own) {
                        sequence.partitions.insert(name, (own, start, blocks));
                    }
                }
                LOGICAL_VOLUME => {
                    let own = number(16);
                    if sequence.volume.as_ref().is_none_or(|known| known.0 <= own) {
                        sequence.volume = Some((own, bytes));
                    }
                }
                TERMINATOR => break,
                _ => {}
            }
        }
        Ok(sequence)
    }

    fn volume(&mut self, image: &Image, room: &mut u64) -> io::Result<Option<Volume>> {
        let Some((_, bytes)) = self.volume.take() else {
            return Ok(None);
        };
        let fields = (|| {
            let block_size = Reader::new(bytes.get(212..)?).u32_le()?;
            let files = Place::long(&mut Reader::new(bytes.get(248..)?))?;
            let mut reader = Reader::new(bytes.get(264..)?);
            let (length, count) = (reader.u32_le()?, reader.u32_le()?);
            let length = usize::try_from(length).ok()?;
            let maps = bytes.get(440..)?;
            let maps = maps.get(..length).unwrap_or(maps);
            Some((block_size, files, count, maps))
        })();
        let Some((block_size, files, count, maps)) = fields else {
            return Ok(None);
        };
        let mut volume = Volume {
            block_size: self.block_size,
            maps: Vec::new(),
            files,
            complaints: Vec::new(),
        };
        if u64::from(block_size) != self.block_size {
            let detail = format!("blocks of {block_size} bytes");
            volume.complaints.push((Reason::Corrupt, detail));
        }
        let mut reader = Reader::new(maps);
        for _ in 0..count.min(MAPS) {
            let Some([kind, length]) = reader.array() else {
                break;
            };
            let rest = usize::from(length).checked_sub(2);
            let Some(body) = rest.and_then(|rest| reader.take(rest)) else {
                break;
            };
            let map = self.map(image, &volume, kind, body, *room)?;
            *room = room.saturating_sub(map.weight());
            volume.maps.push(map);
        }
        Ok(Some(volume))
    }

    /// One partition map.
    fn map(
        &self,
        image: &Image,
        volume: &Volume,
        kind: u8,
        body: &[u8],
        memory: u64,
    ) -> io::Result<Map> {
        let number = |at: usize| {
            let mut fields = Reader::new(body.get(at..).unwrap_or_default());
            fields.u16_le().unwrap_or_default()
        };
        let long = |at: usize| u32::from(number(at)) | u32::from(number(at + 2)) << 16;
        let name = body.get(3..26).unwrap_or_default();
        let unsupported = |what: &str, detail: String| {
            Map::Unknown((Reason::Unsupported(what.to_owned()), detail))
        };
        let partition = match kind {
            1 => number(2),
            2 => number(36),
            _ => return Ok(unsupported("udf-map", format!("partition map {kind}"))),
        };
        let Some((_, start, _)) = self.partitions.get(&partition) else {
            let detail = format!("partition {partition} is not described");
            return Ok(Map::Unknown((Reason::Corrupt, detail)));
        };
        let start = u64::from(*start) * self.block_size;
        if kind == 1 {
            return Ok(Map::Direct(start));
        }
        if name.starts_with(b"*UDF Virtual Partition") {
            return virtual_map(image, volume, start, memory);
        }
        if name.starts_with(b"*UDF Sparable Partition") {
            return sparable_map(image, self.block_size, start, &long);
        }
        if name.starts_with(b"*UDF Metadata Partition") {
            let direct = volume.with(Map::Direct(start));
            let mut complaint = None;
            // The file, and its mirror.
            for place in [long(38), long(42)] {
                let place = Place {
                    length: 0,
                    block: place,
                    map: 0,
                };
                let mut guard = Guard::of(image, memory);
                match Node::read(image, &direct, place, memory, &mut guard)? {
                    Ok(node) => match node.body {
                        Body::Pieces(pieces) => return Ok(Map::Metadata(pieces)),
                        Body::Embedded(_) => {}
                    },
                    Err(error) => complaint = complaint.or(Some(error)),
                }
            }
            let none = || (Reason::Corrupt, "no metadata".to_owned());
            return Ok(Map::Unknown(complaint.unwrap_or_else(none)));
        }
        let name = name.escape_ascii();
        Ok(unsupported("udf-map", format!("partition map {name}")))
    }
}

/// The partition of a disc that is written once: the last file of all is its table.
fn virtual_map(image: &Image, volume: &Volume, start: u64, memory: u64) -> io::Result<Map> {
    let direct = volume.with(Map::Direct(start));
    let blocks = recorded(image)?.div_ceil(volume.block_size);
    let first = start / volume.block_size;
    for back in 1..=TABLE_BLOCKS {
        let block = blocks
            .checked_sub(back)
            .and_then(|at| at.checked_sub(first));
        let Some(block) = block.and_then(|block| u32::try_from(block).ok()) else {
            break;
        };
        let place = Place {
            length: 0,
            block,
            map: 0,
        };
        let mut guard = Guard::of(image, memory);
        let Ok(node) = Node::read(image, &direct, place, memory, &mut guard)? else {
            continue;
        };
        // Before UDF 2.0 it had no type of its own, and stood at the very end.
        let old = node.kind == 0;
        if node.kind != 248 && !old {
            continue;
        }
        let mut bytes = Vec::new();
        let most = memory / 4;
        let result = match node.body {
            Body::Embedded(embedded) => (&embedded[..]).take(most).read_to_end(&mut bytes),
            Body::Pieces(pieces) => image.reader(pieces).take(most).read_to_end(&mut bytes),
        };
        match result {
            Err(error) if !crate::expand::is_damage(&error) => return Err(error),
            _ => {}
        }
        let entries = if old {
            bytes.get(..bytes.len().saturating_sub(36))
        } else {
            let header = Reader::new(&bytes).u16_le().unwrap_or_default();
            bytes.get(usize::from(header)..)
        };
        let (entries, _) = entries.unwrap_or_default().as_chunks::<4>();
        let table = entries.iter().map(|entry| u32::from_le_bytes(*entry));
        return Ok(Map::Virtual(start, table.collect()));
    }
    let detail = "no table of the virtual partition".to_owned();
    Ok(Map::Unknown((Reason::Corrupt, detail)))
}

/// The length of an image without the zeros at its end: what was not written to.
fn recorded(image: &Image) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = image.length();
    while end > 0 {
        let start = (end - 1) / STEP * STEP;
        let size = usize::try_from(end - start).unwrap_or_default();
        let bytes = image.bytes_at(start, size)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The partition of a disc that is rewritten: a table says which of its packets have failed, and lie elsewhere.
fn sparable_map(
    image: &Image,
    block_size: u64,
    start: u64,
    long: &dyn Fn(usize) -> u32,
) -> io::Result<Map> {
    let [packet_low, packet_high, tables, _] = long(38).to_le_bytes();
    let packet = u64::from(u16::from_le_bytes([packet_low, packet_high]));
    for table in 0..usize::from(tables.min(4)) {
        let at = u64::from(long(46 + 4 * table)) * block_size;
        let bytes = image.bytes_at(at, 1 << 16)?;
        let name = bytes.get(17..35);
        if tag(&bytes, 0).is_none() || name != Some(b"*UDF Sparing Table") {
            continue;
        }
        let count = Reader::new(bytes.get(48..).unwrap_or_default()).u16_le();
        let (entries, _) = bytes.get(56..).unwrap_or_default().as_chunks::<8>();
        let entries = entries.iter().take(count.unwrap_or_default().into());
        let moved = entries.filter_map(|entry| {
            let mut fields = Reader::new(entry);
            Some((u64::from(fields.u32_le()?), u64::from(fields.u32_le()?)))
        });
        // The highest numbers are places that are free, or bad. Others begin where a packet does.
        let moved =
            moved.filter(|(from, _)| *from < 0xffff_fff0 && from.checked_rem(packet) == Some(0));
        let moved: BTreeMap<_, _> = moved.collect();
        if moved.is_empty() {
            break;
        }
        return Ok(Map::Spared(start, packet, moved));
    }
    Ok(Map::Direct(start))
}

impl Volume {
    fn with(&self, map: Map) -> Self {
        Self {
            block_size: self.block_size,
            maps: vec![map],
            files: self.files,
            complaints: Vec::new(),
        }
    }

    /// Its blocks are addressed through the table of a disc that is written once.
    pub(super) fn is_virtual(&self) -> bool {
        self.maps.iter().any(|map| matches!(map, Map::Virtual(..)))
    }

    /// Where an extent lies.
    pub(super) fn locate(&self, place: Place) -> Result<Vec<Piece>, Complaint> {
        let corrupt = |detail: String| (Reason::Corrupt, detail);
        let map = self.maps.get(usize::from(place.map));
        let map = map.ok_or_else(|| corrupt(format!("no partition map {}", place.map)))?;
        let offset = u64::from(place.block) * self.block_size;
        let length = u64::from(place.length).max(1);
        match map {
            Map::Direct(start) => Ok(vec![Piece {
                at: Some(start + offset),
                length,
            }]),
            Map::Virtual(start, table) => {
                let block = usize::try_from(place.block).ok();
                let block = block.and_then(|block| table.get(block));
                let block = block
                    .ok_or_else(|| corrupt(format!("block {} is not in the table", place.block)))?;
                Ok(vec![Piece {
                    at: Some(start + u64::from(*block) * self.block_size),
                    length,
                }])
            }
            Map::Spared(start, packet, moved) => {
                let (mut block, mut left) = (u64::from(place.block), length);
                let mut pieces = Vec::new();
                while left > 0 {
                    let first = block / packet * packet;
                    let (at, end) = match moved.range(first..).next() {
                        Some((from, to)) if *from == first => {
                            ((to + block - first) * self.block_size, first + packet)
                        }
                        // As far as no packet has moved.
                        next => {
                            let end = next.map_or(u64::MAX, |(from, _)| *from);
                            (start + block * self.block_size, end)
                        }
                    };
                    let length = (end - block).saturating_mul(self.block_size).min(left);
                    push(
                        &mut pieces,
                        Piece {
                            at: Some(at),
                            length,
                        },
                    );
                    left -= length;
                    block = end;
                }
                Ok(pieces)
            }
            Map::Metadata(pieces) => within(pieces, offset, length)
                .ok_or_else(|| corrupt("behind the end of the metadata".to_owned())),
            Map::Unknown(complaint) => Err(complaint.clone()),
        }
    }

    /// The root folders, each with the folder of the volume's own streams.
    #[allow(clippy::type_complexity)]
    pub(super) fn roots(
        &self,
        image: &Image,
    ) -> io::Result<(Vec<(Place, Option<Place>)>, Vec<Complaint>)> {
        let mut roots = Vec::new();
        let mut complaints = self.complaints.clone();
        let mut next = self.files;
        for _ in 0..FILE_SETS {
            let at = match self.locate(next) {
                Ok(pieces) => pieces.first().and_then(|piece| piece.at),
                Err(complaint) => {
                    complaints.push(complaint);
                    break;
                }
            };
            let bytes = image.bytes_at(at.unwrap_or_default(), 512)?;
            let long = |at: usize| Place::long(&mut Reader::new(bytes.get(at..)?));
            let (Some(root), Some(after), Some(sound)) =
                (long(400), long(448), tag(&bytes, FILE_SET))
            else {
                let detail = "no description of the files".to_owned();
                complaints.push((Reason::Corrupt, detail));
                break;
            };
            if !sound {
                let detail = "checksum of the description of the files differs".to_owned();
                complaints.push((Reason::Corrupt, detail));
            }
            roots.push((root, long(464).filter(|streams| streams.length > 0)));
            if after.length == 0 {
                break;
            }
            next = after;
        }
        Ok((roots, complaints))
    }
}

/// The part of a file that consists of pieces.
fn within(pieces: &[Piece], offset: u64, length: u64) -> Option<Vec<Piece>> {
    let (mut skip, mut left) = (offset, length);
    let mut found = Vec::new();
    for piece in pieces {
        if skip >= piece.length {
            skip -= piece.length;
            continue;
        }
        let part = Piece {
            at: piece.at.map(|at| at + skip),
            length: (piece.length - skip).min(left),
        };
        push(&mut found, part);
        left -= part.length;
        skip = 0;
        if left == 0 {
            return Some(found);
        }
    }
    None
}
