//! ISO 9660 (ECMA-119), with the names of Joliet and of Rock Ridge, and the boot images of El Torito.
//!
//! An image may have several trees over the same files, and readers differ in which they show. All are walked: what only
//! one of them has is given too, and said with a note. So it is with folders that only a path table lists, which old
//! readers go by.
#![forbid(unsafe_code)]

mod boot;
mod record;

use std::collections::HashMap;

use self::record::{Extension, LONGEST, Record};
use super::extents::{Guard, Image, Piece, SECTOR, join, push};
use super::udf::{self, Tree};
use super::{Children, Container, Content, Expander, Halt, is_worth_a_look, trailing};
use crate::bytes::Reader;
use crate::event::{NoteKind, Reason};

/// The first volume descriptor's sector, and as many as are looked at.
const FIRST: u64 = 16;
const DESCRIPTORS: u64 = 64;

/// Trees of one image.
const TREES: usize = 8;

/// Bytes before the first descriptor, where partition tables may stand.
const SYSTEM_AREA: usize = 32 * 1024;

/// The expander of ISO 9660.
pub(super) struct Iso;

impl Expander for Iso {
    fn kind(&self) -> &'static str {
        "iso"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let image = Image::new(container.object)?;
        let head = image.bytes_at(FIRST * SECTOR, 16)?;
        if head.get(9..14) == Some(b"CDROM") {
            let reason = Reason::Unsupported("iso-high-sierra".to_owned());
            return children.gap(None, reason, "the form before ISO 9660".to_owned());
        }
        if head.get(1..6) != Some(b"CD001") {
            if !image.is_raw() {
                return Err(Halt::Unlike);
            }
            let reason = Reason::Unsupported("iso-raw".to_owned());
            let detail = "raw sectors without this file system".to_owned();
            return children.gap(None, reason, detail);
        }
        let mut disc = Disc::new(image, container.memory);
        let boot = disc.volumes(children)?;
        let is_empty = disc.volumes.is_empty();
        disc.trees(children)?;
        if let Some(catalogue) = boot {
            boot::images(&mut disc, catalogue, children)?;
        }
        disc.other_systems(children)?;
        if !disc.udf(children)? && is_empty {
            let detail = "no volume is described".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
        }
        let (object, end) = disc.image.place(disc.end);
        trailing(object, end, children)
    }
}

/// A primary or supplementary volume descriptor.
struct Volume {
    form: Form,
    block_size: u64,
    root: Record,
    /// Length and place of the path table, in each byte order.
    table: (u32, u32, u32),
    /// Its number among the discs of a set, if it is one of several.
    number: Option<u16>,
}

/// How names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// UCS-2.
    Joliet,
    /// In the system use fields, behind so many bytes.
    RockRidge(u8),
}

impl Form {
    fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Joliet => "Joliet",
            Self::RockRidge(_) => "Rock Ridge",
        }
    }
}

/// A folder that is to be read.
struct Folder {
    path: Vec<u8>,
    at: u64,
    length: u64,
}

/// A file of which not all records were read.
struct Open {
    name: Vec<u8>,
    pieces: Vec<Piece>,
    /// What is said instead of giving it.
    refusal: Option<(Reason, String)>,
}

/// One image.
struct Disc {
    image: Image,
    memory: u64,
    volumes: Vec<Volume>,
    /// The end of what belongs to it.
    end: u64,
    /// The place and length of each file, and the trees that have it, a bit for each.
    files: HashMap<(u64, u64), u8>,
    /// Files that the tree at hand has and those before it have not.
    added: u64,
    tree: usize,
}

impl Disc {
    fn new(image: Image, memory: u64) -> Self {
        Self {
            image,
            memory,
            volumes: Vec::new(),
            end: 0,
            files: HashMap::new(),
            added: 0,
            tree: 0,
        }
    }

    /// Reads the volume descriptors. Gives the sector of the catalogue of boot images.
    fn volumes(&mut self, children: &mut dyn Children) -> Result<Option<u64>, Halt> {
        let (mut boot, mut ended) = (None, false);
        let mut last = FIRST;
        for sector in FIRST..FIRST + DESCRIPTORS {
            let bytes = self.image.bytes_at(sector * SECTOR, 2048)?;
            if bytes.get(1..6) != Some(b"CD001") {
                break;
            }
            last = sector + 1;
            match bytes.first() {
                Some(0) if bytes.get(7..30) == Some(b"EL TORITO SPECIFICATION") => {
                    boot = Reader::new(bytes.get(0x47..).unwrap_or_default()).u32_le();
                }
                Some(1 | 2) if self.volumes.len() >= TREES => {
                    let detail = format!("more than {TREES} trees");
                    let reason = Reason::Unsupported("iso-trees".to_owned());
                    children.gap(None, reason, detail)?;
                }
                Some(1 | 2) => {
                    let volumes = self.readings(&bytes, children)?;
                    if volumes.is_empty() {
                        let detail = "a damaged volume descriptor".to_owned();
                        children.gap(None, Reason::Corrupt, detail)?;
                    }
                    if volumes.len() > 1 {
                        let detail =
                            "more than one size of its blocks leads to a folder".to_owned();
                        let kind = NoteKind::Ambiguous("iso-block-size".to_owned());
                        children.note(kind, detail)?;
                    }
                    self.volumes.extend(volumes);
                }
                Some(255) => ended = true,
                _ => {}
            }
        }
        let (there, said) = (self.image.length(), self.end);
        if there < said {
            let detail = format!("{there} of {said} bytes are there");
            children.gap(None, Reason::Corrupt, detail)?;
        }
        self.end = self.end.max(last * SECTOR);
        if !ended {
            let detail = "no end of the volume descriptors".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
        }
        // Which tree a reader shows: Rock Ridge before Joliet before plain names.
        self.volumes.sort_by_key(|volume| match volume.form {
            Form::RockRidge(_) => 0,
            Form::Joliet => 1,
            Form::Plain => 2,
        });
        Ok(boot.map(u64::from))
    }

    /// The trees that readers see who take the size of blocks from one byte order or the other, or take it for granted: those
    /// with a folder for their root, or else the first.
    fn readings(&mut self, bytes: &[u8], children: &mut dyn Children) -> Result<Vec<Volume>, Halt> {
        let said = Reader::new(bytes.get(128..).unwrap_or_default()).array();
        let [a, b, c, d] = said.unwrap_or_default();
        let sizes = [u16::from_le_bytes([a, b]), u16::from_be_bytes([c, d]), 2048].map(u64::from);
        let mut volumes: Vec<Volume> = Vec::new();
        let mut first = None;
        for size in sizes {
            if volumes.iter().any(|known| known.block_size == size) {
                continue;
            }
            let Some(volume) = self.volume(bytes, size)? else {
                continue;
            };
            let root = u64::from(volume.root.block) * size;
            let root = Record::read(&self.image.bytes_at(root, LONGEST)?);
            match root.is_some_and(|root| root.is_dot() && root.is_folder()) {
                true => volumes.push(volume),
                false => first = first.or(Some(volume)),
            }
        }
        if volumes.is_empty()
            && let Some(volume) = first
        {
            // Some readers take the image for one that begins later, where its numbers lead to something.
            let detail = "the root folder is not where it should be".to_owned();
            children.gap(None, Reason::Corrupt, detail)?;
            volumes.push(volume);
        }
        Ok(volumes)
    }

    fn volume(&mut self, bytes: &[u8], block_size: u64) -> Result<Option<Volume>, Halt> {
        let number = |at: usize, length: usize| {
            let field = bytes.get(at..at + length)?;
            let sum = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Some(field.iter().rev().fold(0, sum))
        };
        let fields = (|| {
            let root = Record::read(bytes.get(156..190)?)?;
            let table = Reader::new(bytes.get(132..)?).u32_le()?;
            let mut places = Reader::new(bytes.get(140..)?);
            let little = places.u32_le()?;
            places.take(4)?;
            let big = places.array().map(u32::from_be_bytes)?;
            let blocks = number(80, 4)?;
            matches!(block_size, 512 | 1024 | 2048).then_some((root, (table, little, big), blocks))
        })();
        let Some((root, table, blocks)) = fields else {
            return Ok(None);
        };
        self.end = self.end.max(blocks * block_size);
        let is_one_of_several = number(120, 2) > Some(1);
        let volume_number = number(124, 2).and_then(|number| u16::try_from(number).ok());
        let is_joliet = bytes.first() == Some(&2)
            && matches!(bytes.get(88..91), Some([b'%', b'/', b'@' | b'C' | b'E']));
        let form = if is_joliet {
            Form::Joliet
        } else {
            let at = u64::from(root.block) * block_size;
            let first = Record::read(&self.image.bytes_at(at, LONGEST)?);
            (first.and_then(|first| first.rock_ridge())).map_or(Form::Plain, Form::RockRidge)
        };
        Ok(Some(Volume {
            form,
            block_size,
            root,
            table,
            number: volume_number.filter(|_| is_one_of_several),
        }))
    }

    fn trees(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let volumes = std::mem::take(&mut self.volumes);
        for (number, volume) in volumes.iter().enumerate() {
            (self.tree, self.added) = (number, 0);
            let mut guard = Guard::of(&self.image, self.memory);
            let root = folder(volume, &volume.root, Vec::new());
            self.walk(volume, root, &mut guard, children)?;
            self.path_tables(volume, &mut guard, children)?;
            let kind = || NoteKind::Ambiguous("iso-trees".to_owned());
            let title = volume.form.title();
            if number > 0 && self.added > 0 {
                let detail = format!("{} files are in the {title} tree only", self.added);
                children.note(kind(), detail)?;
            }
            let bit = 1 << number;
            let missing = self.files.values().filter(|trees| **trees & bit == 0);
            let missing = missing.count();
            if missing > 0 {
                let detail = format!("{missing} files are not in the {title} tree");
                children.note(kind(), detail)?;
            }
        }
        Ok(())
    }

    /// Gives the files of a folder and of those in it.
    fn walk(
        &mut self,
        volume: &Volume,
        root: Folder,
        guard: &mut Guard,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let mut folders = vec![root];
        // Folders that are listed in a place where they only were put because they are too deep.
        let mut relocated = Vec::new();
        while let Some(folder) = folders.pop().or_else(|| relocated.pop()) {
            let entered = guard.enter((folder.at, folder.length));
            let there = self.image.length().saturating_sub(folder.at);
            let length = folder.length.min(there);
            if let Err(refused) = entered.and_then(|()| guard.read(length)) {
                refused.say(&folder.path, children)?;
                continue;
            }
            let first = folders.len();
            let mut found = Found {
                folders: &mut folders,
                relocated: &mut relocated,
                guard,
            };
            self.folder(volume, &folder, &mut found, children)?;
            // In the order in which they stand there.
            if let Some(new) = folders.get_mut(first..) {
                new.reverse();
            }
        }
        Ok(())
    }

    fn folder(
        &mut self,
        volume: &Volume,
        folder: &Folder,
        found: &mut Found<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let path = Some(folder.path.as_slice()).filter(|path| !path.is_empty());
        self.end = self.end.max(folder.at.saturating_add(folder.length));
        let mut open = None;
        let mut at = 0;
        while at < folder.length {
            let left = usize::try_from(folder.length - at).unwrap_or(usize::MAX);
            let place = folder.at.saturating_add(at);
            let bytes = self.image.bytes_at(place, LONGEST.min(left))?;
            let next_block = (at / volume.block_size + 1) * volume.block_size;
            match bytes.first() {
                None => {
                    let detail = "a folder is cut".to_owned();
                    children.gap(path, Reason::Corrupt, detail)?;
                    break;
                }
                Some(length) => {
                    let mut record = Record::read(&bytes).filter(|_| *length != 0);
                    let is_damaged = record.is_none() && *length != 0;
                    if record.is_none() {
                        // A record does not cross the border of a sector: zeros up to it. But some readers go on before it.
                        let left = next_block.min(folder.length) - at;
                        let left = usize::try_from(left).unwrap_or_default();
                        let next = Record::search(&self.image.bytes_at(place, left)?);
                        let skipped = next.as_ref().map(|(skipped, _)| *skipped as u64);
                        at = skipped.map_or(next_block, |skipped| at + skipped);
                        record = next.map(|(_, record)| record);
                    }
                    if is_damaged || (*length == 0 && record.is_some()) {
                        let detail = format!("a damaged record at {place}");
                        children.gap(path, Reason::Corrupt, detail)?;
                    }
                    let Some(record) = record else { continue };
                    at += record.length as u64;
                    let own = self::folder(volume, &record, Vec::new());
                    let is_known = found.guard.has_seen((own.at, own.length));
                    let is_nameless_dot = record.name.is_empty() && record.is_folder() && is_known;
                    if !record.is_dot() && !is_nameless_dot {
                        self.record(volume, folder, &record, &mut open, found, children)?;
                    }
                }
            }
        }
        self.close(open, children)
    }

    fn record(
        &mut self,
        volume: &Volume,
        folder: &Folder,
        record: &Record,
        open: &mut Option<Open>,
        found: &mut Found<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let extension = match volume.form {
            Form::RockRidge(skip) => record.extension(&self.image, skip, volume.block_size)?,
            Form::Plain | Form::Joliet => Extension::default(),
        };
        let name = match volume.form {
            Form::RockRidge(_) if !extension.name.is_empty() => extension.name.clone(),
            Form::Joliet => joliet(&record.name),
            Form::RockRidge(_) | Form::Plain => plain(&record.name),
        };
        let path = join(&folder.path, &name);
        if record.disagrees {
            let detail = "its numbers differ by byte order".to_owned();
            children.gap(Some(&path), Reason::Corrupt, detail)?;
        }
        if record.is_folder() || extension.child.is_some() {
            self.close(open.take(), children)?;
            if let Err(refused) = found.guard.remember(path.len()) {
                return refused.say(&path, children);
            }
            if let Some(block) = extension.child {
                // Its length is in its own first record.
                let at = u64::from(block) * volume.block_size;
                match Record::read(&self.image.bytes_at(at, LONGEST)?) {
                    Some(own) => found.folders.push(self::folder(volume, &own, path)),
                    None => {
                        let detail = "a folder that is not where it should be".to_owned();
                        children.gap(Some(&path), Reason::Corrupt, detail)?;
                    }
                }
            } else if extension.is_relocated {
                found.relocated.push(self::folder(volume, record, path));
            } else {
                found.folders.push(self::folder(volume, record, path));
            }
            return Ok(());
        }
        if open.as_ref().is_some_and(|open| open.name != path) {
            self.close(open.take(), children)?;
        }
        let mut file = open.take().unwrap_or_else(|| Open {
            name: path,
            pieces: Vec::new(),
            refusal: None,
        });
        let start = u64::from(record.block) + u64::from(record.attributes);
        let piece = Piece {
            at: Some(start * volume.block_size),
            length: record.size.into(),
        };
        push(&mut file.pieces, piece);
        file.refusal = file.refusal.or_else(|| refusal(volume, record, &extension));
        if record.has_more() {
            if let Err(refused) = found.guard.remember(0) {
                return refused.say(&file.name, children);
            }
            *open = Some(file);
            return Ok(());
        }
        self.file(file, children)
    }

    /// Gives a file whose next record should have come.
    fn close(&mut self, open: Option<Open>, children: &mut dyn Children) -> Result<(), Halt> {
        let Some(file) = open else { return Ok(()) };
        let detail = "the record of its last part is missing".to_owned();
        children.gap(Some(&file.name), Reason::Corrupt, detail)?;
        self.file(file, children)
    }

    fn file(&mut self, file: Open, children: &mut dyn Children) -> Result<(), Halt> {
        let length = file.pieces.iter().fold(0, |sum: u64, piece| {
            self.end = self.end.max(end_of(piece));
            sum.saturating_add(piece.length)
        });
        let bit = 1 << self.tree;
        let place = file.pieces.first().and_then(|piece| piece.at);
        match place {
            None if self.tree > 0 => return Ok(()),
            None => {}
            Some(place) => {
                let room = self.files.len() as u64 * 64 < self.memory;
                if !room && !self.files.contains_key(&(place, length)) {
                    return super::extents::Refused::Memory.say(&file.name, children);
                }
                let trees = self.files.entry((place, length)).or_default();
                let is_known = *trees & (bit - 1) != 0;
                let is_first = *trees == 0;
                *trees |= bit;
                if is_known {
                    return Ok(());
                }
                self.added += u64::from(is_first);
            }
        }
        match file.refusal {
            Some((reason, detail)) => children.gap(Some(&file.name), reason, detail),
            None => self.image.give(&file.name, file.pieces, children),
        }
    }

    /// Folders that only a path table leads to.
    fn path_tables(
        &mut self,
        volume: &Volume,
        guard: &mut Guard,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let (length, little, big) = volume.table;
        for (place, is_little) in [(little, true), (big, false)] {
            let start = u64::from(place) * volume.block_size;
            let mut at = 0;
            while place != 0 && at < u64::from(length) {
                let bytes = self.image.bytes_at(start + at, 8 + LONGEST)?;
                let mut reader = Reader::new(&bytes);
                let fields = (reader.array(), reader.array::<4>());
                let (Some([name_length, attributes]), Some(block)) = fields else {
                    break;
                };
                if name_length == 0 {
                    break;
                }
                at += 8 + u64::from(name_length).next_multiple_of(2);
                let block = if is_little {
                    u32::from_le_bytes(block)
                } else {
                    u32::from_be_bytes(block)
                };
                let place = (u64::from(block) + u64::from(attributes)) * volume.block_size;
                let own = Record::read(&self.image.bytes_at(place, LONGEST)?);
                let Some(own) = own.filter(Record::is_dot) else {
                    continue;
                };
                if guard.has_seen((place, own.size.into())) {
                    continue;
                }
                reader.take(2);
                let name = reader.take(name_length.into()).unwrap_or_default();
                let name = match volume.form {
                    Form::Joliet => joliet(name),
                    Form::Plain | Form::RockRidge(_) => plain(name),
                };
                let detail = format!("only the path table has the folder {}", name.escape_ascii());
                children.note(NoteKind::Ambiguous("iso-path-table".to_owned()), detail)?;
                let root = Folder {
                    path: name,
                    at: place,
                    length: own.size.into(),
                };
                self.walk(volume, root, guard, children)?;
            }
        }
        Ok(())
    }

    /// Other file systems over the same bytes, which are not read.
    fn other_systems(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let area = self.image.bytes_at(0, SYSTEM_AREA)?;
        let has_hfs = (area.chunks(512)).any(|block| {
            // An entry of Apple's partition map.
            block.starts_with(b"PM\0\0") && block.get(48..57) == Some(b"Apple_HFS")
        });
        if has_hfs {
            let reason = Reason::Unsupported("iso-hfs".to_owned());
            let detail = "a file system of Apple over the same bytes".to_owned();
            children.gap(None, reason, detail)?;
        }
        self.partitions(&area, children)
    }

    /// What the table of partitions of a PC says that there is beside the image itself: its reader is whoever starts from a stick.
    fn partitions(&self, area: &[u8], children: &mut dyn Children) -> Result<(), Halt> {
        const TABLE: usize = 446;
        const ENTRY: usize = 16;
        const BLOCK: u64 = 512;
        if area.get(510..512) != Some(b"\x55\xaa") {
            return Ok(());
        }
        let (object, zero) = self.image.place(0);
        let table = area.get(TABLE..510).unwrap_or_default();
        for (number, entry) in (1..).zip(table.chunks(ENTRY)) {
            let mut reader = Reader::new(entry.get(8..).unwrap_or_default());
            let (Some(start), Some(count)) = (reader.u32_le(), reader.u32_le()) else {
                continue;
            };
            let at = zero.saturating_add(u64::from(start) * BLOCK);
            let part = object.slice(at, u64::from(count) * BLOCK);
            // One that begins with the image is the image.
            if start > 0 && part.length() > 0 && is_worth_a_look(object, &part)? {
                let name = format!("(partition {number})");
                children.child(name.as_bytes(), Content::Object(part))?;
            }
        }
        Ok(())
    }

    /// The same files, as a rule, in UDF. Tells whether there is such a tree.
    fn udf(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        let descriptors = FIRST..FIRST + DESCRIPTORS;
        let mut has_udf = false;
        for sector in descriptors {
            let bytes = self.image.bytes_at(sector * SECTOR, 8)?;
            match bytes.get(1..6) {
                Some(b"NSR02" | b"NSR03") => has_udf = true,
                Some(b"CD001" | b"BEA01" | b"TEA01" | b"BOOT2") => {}
                _ => break,
            }
        }
        if !has_udf {
            return Ok(false);
        }
        let known = |at, length| length == 0 || self.files.contains_key(&(at, length));
        match udf::tree(&self.image, self.memory, &known, children)? {
            Tree::None => {
                let detail = "no anchor of UDF".to_owned();
                children.gap(None, Reason::Corrupt, detail)?;
            }
            Tree::Given { files, end } => {
                self.end = self.end.max(end);
                if files > 0 {
                    let detail = format!("{files} files are in the UDF tree only");
                    children.note(NoteKind::Ambiguous("iso-trees".to_owned()), detail)?;
                }
            }
        }
        Ok(true)
    }

    /// Whether a file begins there.
    fn has_file_at(&self, place: u64) -> bool {
        self.files.keys().any(|(at, _)| *at == place)
    }
}

/// What a folder adds to the walk.
struct Found<'a> {
    folders: &'a mut Vec<Folder>,
    relocated: &'a mut Vec<Folder>,
    guard: &'a mut Guard,
}

fn folder(volume: &Volume, record: &Record, path: Vec<u8>) -> Folder {
    let start = u64::from(record.block) + u64::from(record.attributes);
    Folder {
        path,
        at: start * volume.block_size,
        length: record.size.into(),
    }
}

fn end_of(piece: &Piece) -> u64 {
    piece.at.unwrap_or_default().saturating_add(piece.length)
}

/// Why the bytes of a file are not its content.
fn refusal(volume: &Volume, record: &Record, extension: &Extension) -> Option<(Reason, String)> {
    let (what, detail) = if let Some(method) = extension.compressed {
        let method = method.escape_ascii();
        ("iso-zisofs", format!("compressed by method {method}"))
    } else if extension.is_sparse {
        ("iso-sparse", "a sparse file".to_owned())
    } else if record.is_interleaved {
        ("iso-interleaved", "its parts lie apart".to_owned())
    } else if volume.number.is_some_and(|own| own != record.volume) {
        let detail = format!("on disc {} of the set", record.volume);
        ("iso-split", detail)
    } else {
        return None;
    };
    Some((Reason::Unsupported(what.to_owned()), detail))
}

/// A plain name without its version, and without the point behind which there is no extension.
fn plain(name: &[u8]) -> Vec<u8> {
    let name = without_version(name);
    name.strip_suffix(b".").unwrap_or(name).to_vec()
}

fn without_version(name: &[u8]) -> &[u8] {
    let at = name.iter().rposition(|byte| *byte == b';');
    let version = at.and_then(|at| name.split_at_checked(at));
    match version {
        Some((stem, [_, digits @ ..]))
            if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
        {
            stem
        }
        _ => name,
    }
}

fn joliet(name: &[u8]) -> Vec<u8> {
    let (units, _) = name.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let text: String = char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    without_version(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests;
