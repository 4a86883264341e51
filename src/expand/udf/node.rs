//! A file entry, plain or extended (ECMA-167 4/14.9, 4/14.17), and where its content lies.
#![forbid(unsafe_code)]

use std::io;

use super::volume::{Complaint, Place, Volume, tag};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::expand::extents::{Guard, Image, Piece, push};

/// Identifiers of tags.
const CONTINUATION: u16 = 258;
const FILE_ENTRY: u16 = 261;
const EXTENDED_FILE_ENTRY: u16 = 266;

/// The strategy that everybody uses: one entry for a file. In the other one (4096) newer entries follow it.
const STRATEGY: u16 = 4;

/// Types of files (ECMA-167 4/14.6.6).
const FOLDER: u8 = 4;
const LINK: u8 = 12;
const STREAMS: u8 = 13;

/// What a file entry says.
pub(super) struct Node {
    pub(super) kind: u8,
    pub(super) length: u64,
    pub(super) body: Body,
    /// The folder of its other streams.
    pub(super) streams: Option<Place>,
    /// What of it cannot be read.
    pub(super) complaints: Vec<Complaint>,
}

/// Where the content is.
pub(super) enum Body {
    Embedded(Vec<u8>),
    Pieces(Vec<Piece>),
}

/// The fields that both forms of the entry have.
struct Fields {
    kind: u8,
    strategy: u16,
    /// How allocation is described.
    form: u16,
    length: u64,
    streams: Option<Place>,
    /// Where allocation is described, in the block, and how long that is.
    start: usize,
    size: usize,
}

impl Fields {
    fn read(bytes: &[u8], is_extended: bool) -> Option<Self> {
        let at = |at: usize| Some(Reader::new(bytes.get(at..)?));
        let strategy = at(20)?.u16_le()?;
        let [kind] = at(27)?.array()?;
        let form = at(34)?.u16_le()? & 7;
        let length = at(56)?.u64_le()?;
        let (attributes, fixed) = if is_extended { (208, 216) } else { (168, 176) };
        let mut sizes = at(attributes)?;
        let attributes = usize::try_from(sizes.u32_le()?).ok()?;
        let size = usize::try_from(sizes.u32_le()?).ok()?;
        let streams = if is_extended {
            Some(Place::long(&mut at(152)?)?)
        } else {
            None
        };
        Some(Self {
            kind,
            strategy,
            form,
            length,
            streams: streams.filter(|streams| streams.length > 0),
            start: attributes.checked_add(fixed)?,
            size,
        })
    }
}

impl Node {
    /// The entry at a place, or why there is none.
    pub(super) fn read(
        image: &Image,
        volume: &Volume,
        icb: Place,
        memory: u64,
        guard: &mut Guard,
    ) -> io::Result<Result<Self, Complaint>> {
        let corrupt = |detail: &str| Ok(Err((Reason::Corrupt, detail.to_owned())));
        let at = match volume.locate(icb) {
            Ok(pieces) => pieces.first().and_then(|piece| piece.at),
            Err(complaint) => return Ok(Err(complaint)),
        };
        let size = usize::try_from(volume.block_size).unwrap_or_default();
        let bytes = image.bytes_at(at.unwrap_or_default(), size)?;
        let plain = tag(&bytes, FILE_ENTRY);
        let extended = tag(&bytes, EXTENDED_FILE_ENTRY);
        let Some(sound) = plain.or(extended) else {
            return corrupt("no file entry where it should be");
        };
        let Some(fields) = Fields::read(&bytes, plain.is_none()) else {
            return corrupt("a file entry is cut");
        };
        let Some(described) = fields
            .start
            .checked_add(fields.size)
            .and_then(|end| bytes.get(fields.start..end))
        else {
            return corrupt("a file entry that is longer than its block");
        };
        let mut complaints = Vec::new();
        if !sound {
            let detail = "checksum of the file entry differs".to_owned();
            complaints.push((Reason::Corrupt, detail));
        }
        if fields.strategy != STRATEGY {
            let reason = Reason::Unsupported("udf-strategy".to_owned());
            complaints.push((reason, format!("strategy {}", fields.strategy)));
        }
        let mut there = described.len() as u64;
        let body = if fields.form == 3 {
            let most = usize::try_from(fields.length).unwrap_or(usize::MAX);
            Body::Embedded(described.get(..most).unwrap_or(described).to_vec())
        } else {
            let mut list = List {
                image,
                volume,
                map: icb.map,
                left: fields.length,
                pieces: Vec::new(),
                room: memory / 4 / size_of::<Piece>() as u64,
            };
            if let Err(complaint) = list.all(fields.form, described, guard)? {
                complaints.push(complaint);
            }
            there = fields.length - list.left;
            Body::Pieces(list.pieces)
        };
        if there < fields.length {
            let detail = format!("{there} of {} bytes are described", fields.length);
            complaints.push((Reason::Corrupt, detail));
        }
        Ok(Ok(Self {
            kind: fields.kind,
            length: fields.length,
            body,
            streams: fields.streams,
            complaints,
        }))
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.kind, FOLDER | STREAMS)
    }

    pub(super) fn is_link(&self) -> bool {
        self.kind == LINK
    }
}

/// A list of allocation descriptors (ECMA-167 4/14.14).
struct List<'a> {
    image: &'a Image,
    volume: &'a Volume,
    map: u16,
    /// Bytes of the file that are not described yet.
    left: u64,
    pieces: Vec<Piece>,
    /// Pieces that may be remembered.
    room: u64,
}

impl List<'_> {
    fn all(
        &mut self,
        form: u16,
        described: &[u8],
        guard: &mut Guard,
    ) -> io::Result<Result<(), Complaint>> {
        let mut bytes = described.to_vec();
        loop {
            let next = match self.some(form, &bytes) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Ok(())),
                Err(complaint) => return Ok(Err(complaint)),
            };
            let corrupt = |detail: &str| Ok(Err((Reason::Corrupt, detail.to_owned())));
            if guard.read(self.volume.block_size).is_err() {
                return corrupt("lists of extents that lead into each other");
            }
            let at = match self.volume.locate(next) {
                Ok(pieces) => pieces.first().and_then(|piece| piece.at),
                Err(complaint) => return Ok(Err(complaint)),
            };
            let size = usize::try_from(self.volume.block_size).unwrap_or_default();
            let block = self.image.bytes_at(at.unwrap_or_default(), size)?;
            let length = Reader::new(block.get(20..).unwrap_or_default()).u32_le();
            let rest = block.get(24..).unwrap_or_default();
            let length = length.and_then(|length| usize::try_from(length).ok());
            match length.filter(|_| tag(&block, CONTINUATION).is_some()) {
                Some(length) => bytes = rest.get(..length).unwrap_or(rest).to_vec(),
                None => return corrupt("a list of extents does not go on where it should"),
            }
        }
    }

    /// Takes one part of the list, and gives where it goes on.
    fn some(&mut self, form: u16, bytes: &[u8]) -> Result<Option<Place>, Complaint> {
        let mut reader = Reader::new(bytes);
        while let Some((kind, place)) = self.descriptor(form, &mut reader)? {
            if kind == 3 {
                return Ok(Some(place));
            }
            if place.length == 0 || self.left == 0 {
                break;
            }
            let length = u64::from(place.length).min(self.left);
            if kind == 0 {
                let mut rest = length;
                for piece in self.volume.locate(place)? {
                    let length = piece.length.min(rest);
                    push(&mut self.pieces, Piece { length, ..piece });
                    rest -= length;
                }
            } else {
                push(&mut self.pieces, Piece { at: None, length });
            }
            self.left -= length;
            if self.pieces.len() as u64 > self.room {
                let detail = "more extents than can be remembered".to_owned();
                return Err((Reason::Limit(Limit::Memory), detail));
            }
        }
        Ok(None)
    }

    /// One descriptor, and whether it is recorded (0), to be read as zeros (1, 2) or the place of more of them (3).
    fn descriptor(
        &self,
        form: u16,
        reader: &mut Reader<'_>,
    ) -> Result<Option<(u32, Place)>, Complaint> {
        let place = match form {
            0 => (|| {
                Some(Place {
                    length: reader.u32_le()?,
                    block: reader.u32_le()?,
                    map: self.map,
                })
            })(),
            1 => Place::long(reader),
            2 => (|| {
                let length = reader.u32_le()?;
                reader.take(8)?;
                let (block, map) = (reader.u32_le()?, reader.u16_le()?);
                reader.take(2)?;
                Some(Place { length, block, map })
            })(),
            _ => {
                let reason = Reason::Unsupported("udf-allocation".to_owned());
                return Err((reason, format!("allocation descriptors of form {form}")));
            }
        };
        Ok(place.map(|place| {
            let length = place.length & 0x3fff_ffff;
            (place.length >> 30, Place { length, ..place })
        }))
    }
}
