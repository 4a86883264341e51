//! What images of file systems have in common: files that are lists of pieces, and folders that may lead into each other.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io::{self, Read};

use super::{Children, Content, Halt, cut_short};
use crate::event::{Limit, Reason};
use crate::object::Object;
use crate::path::NAME_LIMIT;

/// A sector of a compact disc with all that it has: synchronisation, header, user data, error correction (ECMA-130 §14).
const RAW: u64 = 2352;

/// The same with its subchannels, and without what tells the drive where it is.
const WITH_SUBCHANNELS: u64 = 2448;
const WITHOUT_SYNC: u64 = 2336;

/// Where the first volume descriptor of ISO 9660 has its mark.
const MARK: u64 = 16 * SECTOR + 1;

/// Its first bytes.
const SYNC: &[u8] = b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0";

/// The user data of a sector.
pub(super) const SECTOR: u64 = 2048;

/// The content of an image: the object as it is, or the user data of its raw sectors.
#[derive(Debug, Clone)]
pub(super) struct Image {
    object: Object,
    /// The length of a raw sector, and where its user data begin.
    raw: Option<(u64, u64)>,
}

impl Image {
    pub(super) fn new(object: &Object) -> io::Result<Self> {
        let head = object.bytes_at(0, 16)?;
        // The header's last byte is the mode; in the second, 8 bytes of it stand before the data.
        let has_sync = |at| Ok::<_, io::Error>(object.bytes_at(at, SYNC.len())? == SYNC);
        let has_mark = |at| Ok::<_, io::Error>(object.bytes_at(at, 5)? == b"CD001");
        let length = match has_sync(WITH_SUBCHANNELS)? && !has_sync(RAW)? {
            true => WITH_SUBCHANNELS,
            false => RAW,
        };
        let raw = match head.get(15) {
            Some(1) if head.starts_with(SYNC) => Some((length, 16)),
            Some(2) if head.starts_with(SYNC) => Some((length, 24)),
            _ if has_mark(16 * WITHOUT_SYNC + 8 + 1)? && !has_mark(MARK)? => {
                Some((WITHOUT_SYNC, 8))
            }
            _ => None,
        };
        Ok(Self {
            object: object.clone(),
            raw,
        })
    }

    pub(super) fn is_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// The object, and where byte `at` of the image lies in it.
    pub(super) fn place(&self, at: u64) -> (&Object, u64) {
        let place = match self.raw {
            None => at,
            Some((raw, _)) => at.div_ceil(SECTOR).saturating_mul(raw),
        };
        (&self.object, place)
    }

    pub(super) fn length(&self) -> u64 {
        match self.raw {
            None => self.object.length(),
            Some((raw, _)) => self.object.length() / raw * SECTOR,
        }
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        let Some((raw, data)) = self.raw else {
            return self.object.read_at(out, at);
        };
        let within = at % SECTOR;
        let left = usize::try_from(SECTOR - within).unwrap_or_default();
        let most = out.len().min(left);
        let start = (at / SECTOR).saturating_mul(raw);
        let from = start.saturating_add(data + within);
        self.object
            .read_at(out.get_mut(..most).unwrap_or_default(), from)
    }

    /// The `length` bytes from `at`, or as many as there are. For small things.
    pub(super) fn bytes_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut count = 0;
        while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, at.saturating_add(count as u64))? {
                0 => break,
                more => count += more,
            }
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Gives a file.
    pub(super) fn give(
        &self,
        name: &[u8],
        pieces: Vec<Piece>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if let [
            Piece {
                at: Some(at),
                length,
            },
        ] = pieces[..]
            && self.raw.is_none()
            && at.saturating_add(length) <= self.object.length()
        {
            return children.child(name, Content::Object(self.object.slice(at, length)));
        }
        children.child(name, Content::Stream(&mut self.reader(pieces)))
    }

    /// Reads a file.
    pub(super) fn reader(&self, pieces: Vec<Piece>) -> Pieces {
        Pieces {
            image: self.clone(),
            left: pieces.into_iter(),
            piece: Piece::default(),
        }
    }
}

/// A part of a file: where it lies, or nowhere, where it is zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: Option<u64>,
    pub(super) length: u64,
}

/// Appends a piece, or makes the last one longer if it goes on there.
pub(super) fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    if piece.length == 0 {
        return;
    }
    if let Some(last) = pieces.last_mut() {
        let end = last.at.map(|at| at.saturating_add(last.length));
        if end == piece.at {
            last.length = last.length.saturating_add(piece.length);
            return;
        }
    }
    pieces.push(piece);
}

/// Reads the pieces of a file one after the other.
pub(super) struct Pieces {
    image: Image,
    left: std::vec::IntoIter<Piece>,
    piece: Piece,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.length == 0 {
            match self.left.next() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let most = usize::try_from(self.piece.length).unwrap_or(usize::MAX);
        let most = most.min(out.len());
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.piece.at {
            None => {
                out.fill(0);
                out.len()
            }
            Some(at) => {
                let count = self.image.read_at(out, *at)?;
                if count == 0 {
                    return Err(cut_short("the image ends before the file does"));
                }
                *at = at.saturating_add(count as u64);
                count
            }
        };
        self.piece.length = self.piece.length.saturating_sub(count as u64);
        Ok(count)
    }
}

/// Bytes of memory that one thing takes which a walk through folders remembers, beside its name.
const ENTRY: u64 = 96;

/// Holds a walk through the folders of an image together: none is entered twice, what is remembered stays small, and
/// folders that lie over each other are not read again and again.
pub(super) struct Guard {
    seen: HashSet<(u64, u64)>,
    memory: u64,
    bytes: u64,
}

/// Why a walk through folders goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Seen before.
    Again,
    /// More than may be remembered.
    Memory,
    /// More bytes of folders than there may be.
    Overlap,
}

impl Guard {
    /// Folders may have so many bytes together.
    pub(super) fn new(bytes: u64, memory: u64) -> Self {
        Self {
            seen: HashSet::new(),
            memory,
            bytes,
        }
    }

    /// For images whose folders lie in them as they are: copies of folders are in order.
    pub(super) fn of(image: &Image, memory: u64) -> Self {
        let bytes = image.length().saturating_mul(2).saturating_add(1 << 16);
        Self::new(bytes, memory)
    }

    pub(super) fn has_seen(&self, place: (u64, u64)) -> bool {
        self.seen.contains(&place)
    }

    /// Enters a folder: where it lies, and its length or what else makes that another folder.
    pub(super) fn enter(&mut self, place: (u64, u64)) -> Result<(), Refused> {
        if self.has_seen(place) {
            return Err(Refused::Again);
        }
        self.remember(0)?;
        self.seen.insert(place);
        Ok(())
    }

    /// Pays for the bytes of folders.
    pub(super) fn read(&mut self, bytes: u64) -> Result<(), Refused> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(Refused::Overlap)?;
        Ok(())
    }

    /// Pays for something that is remembered, with a name of this length.
    pub(super) fn remember(&mut self, name: usize) -> Result<(), Refused> {
        let left = self.memory.checked_sub(ENTRY.saturating_add(name as u64));
        self.memory = left.ok_or(Refused::Memory)?;
        Ok(())
    }
}

impl Refused {
    /// Says it about a folder; one that was seen before is nothing to be said.
    pub(super) fn say(self, folder: &[u8], children: &mut dyn Children) -> Result<(), Halt> {
        let folder = Some(folder).filter(|folder| !folder.is_empty());
        match self {
            Self::Again => Ok(()),
            Self::Memory => {
                let detail = "more folders and files than can be remembered".to_owned();
                children.gap(folder, Reason::Limit(Limit::Memory), detail)
            }
            Self::Overlap => {
                let detail = "folders that lie over each other".to_owned();
                children.gap(folder, Reason::Corrupt, detail)
            }
        }
    }
}

/// The path of something in a folder, cut to [`NAME_LIMIT`]: folders in folders would else make paths of megabytes, for each
/// of many files anew.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = folder.to_vec();
    if !folder.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path.truncate(NAME_LIMIT);
    path
}
