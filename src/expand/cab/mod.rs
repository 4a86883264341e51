//! Microsoft cabinets, [MS-CAB]: folders of compressed blocks, and files that are pieces of them.
//!
//! A container of its own rather than the cab crate's, which panics on malformed cabinets and does not read those that are
//! parts of a set.
#![forbid(unsafe_code)]

mod folder;

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use self::folder::{Folder, Method};
use super::{Children, Container, Content, Expander, Halt, Member, behind, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, NoteKind, Reason};
use crate::object::{Object, ObjectReader};

const MAGIC: &[u8] = b"MSCF";

/// The fixed part of the header.
const HEADER: usize = 36;

const HAS_PREVIOUS: u16 = 1;
const HAS_NEXT: u16 = 2;
const HAS_RESERVED: u16 = 4;

/// The reserved part of the header of a signed cabinet, whose signature stands behind it.
const SIGNED: u16 = 20;

/// The bytes of a name that are kept. The format's own limit is 256, and nobody minds it.
const NAME: usize = 4096;

/// Times that a folder is decoded again, because a file lies before the one that was given. Nothing real does that.
const AGAIN: u32 = 64;

/// The expander of cabinets.
pub(super) struct Cab;

impl Expander for Cab {
    fn kind(&self) -> &'static str {
        "CAB"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(mut cabinet) = Cabinet::parse(object, &head)? else {
            return Err(Halt::Broken("the header is cut".to_owned()));
        };
        let is_empty = cabinet.folders == 0 && cabinet.files == 0;
        cabinet.files(children)?;
        cabinet.trailing(children)?;
        // Four letters and nothing: what is there may be anything.
        if is_empty { Err(Halt::Unlike) } else { Ok(()) }
    }
}

/// What the header says.
struct Cabinet<'a> {
    object: &'a Object,
    /// The length of all.
    length: u64,
    /// Where the list of files begins.
    list: u64,
    folders: u16,
    files: u16,
    flags: u16,
    reserved: Reserved,
    /// Where the list of folders begins.
    folders_at: u64,
    again: u32,
}

/// Bytes that are left for others in the header, in each folder's entry, and in each block's header.
#[derive(Default)]
struct Reserved {
    header: u16,
    folder: u8,
    block: u8,
}

/// A file's entry.
struct File {
    size: u32,
    start: u32,
    folder: u16,
    name: Vec<u8>,
}

/// The folder at hand.
struct Open {
    number: u16,
    folder: Folder,
    /// Why nothing more comes out of it.
    broken: Option<String>,
}

impl<'a> Cabinet<'a> {
    fn parse(object: &'a Object, head: &[u8]) -> io::Result<Option<Self>> {
        let mut reader = Reader::new(head);
        let fixed = (|| {
            reader.take(8)?;
            let length = reader.u32_le()?;
            reader.take(4)?;
            let list = reader.u32_le()?;
            reader.take(6)?;
            let counts = [reader.u16_le()?, reader.u16_le()?, reader.u16_le()?];
            Some((length, list, counts))
        })();
        let Some((length, list, [folders, files, flags])) = fixed else {
            return Ok(None);
        };
        let mut input = BufReader::with_capacity(1024, object.raw_reader());
        input.seek(SeekFrom::Start(HEADER as u64))?;
        let mut reserved = Reserved::default();
        if flags & HAS_RESERVED != 0 {
            let mut sizes = [0; 4];
            if input.read(&mut sizes)? < sizes.len() {
                return Ok(None);
            }
            let [low, high, folder, block] = sizes;
            reserved = Reserved {
                header: u16::from_le_bytes([low, high]),
                folder,
                block,
            };
            input.seek_relative(reserved.header.into())?;
        }
        // The names of the cabinets before and after, and of their disks.
        for flag in [HAS_PREVIOUS, HAS_PREVIOUS, HAS_NEXT, HAS_NEXT] {
            if flags & flag != 0 && text(&mut input)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            object,
            length: length.into(),
            list: list.into(),
            folders,
            files,
            flags,
            reserved,
            folders_at: input.stream_position()?,
            again: AGAIN,
        }))
    }

    fn files(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        if self.list >= HEADER as u64 {
            self.list(self.list, children)?;
        } else {
            let detail = format!("a list of files at byte {}", self.list);
            children.gap(None, Reason::Corrupt, detail)?;
        }
        // Some readers do not ask where the list is.
        let behind = self.folders_at + u64::from(self.folders) * self.folder_entry();
        if behind != self.list && self.is_list(behind)? {
            let detail = "another list of files behind the folders".to_owned();
            children.note(NoteKind::Ambiguous("CAB-list".to_owned()), detail)?;
            self.list(behind, children)?;
        }
        for (flag, which) in [(HAS_PREVIOUS, "before"), (HAS_NEXT, "after")] {
            if self.flags & flag != 0 {
                let reason = Reason::Unsupported("CAB-split".to_owned());
                let detail = format!("a part of the set comes {which} this one");
                children.gap(None, reason, detail)?;
            }
        }
        Ok(())
    }

    /// The length of a folder's entry.
    fn folder_entry(&self) -> u64 {
        8 + u64::from(self.reserved.folder)
    }

    /// Tells whether the entry of a file stands there, in a folder that exists.
    fn is_list(&self, at: u64) -> io::Result<bool> {
        let mut input = BufReader::with_capacity(512, self.object.raw_reader());
        input.seek(SeekFrom::Start(at))?;
        Ok(entry(&mut input)?.is_some_and(|file| {
            file.folder < self.folders
                && !file.name.is_empty()
                && file.name.iter().all(|byte| *byte >= b' ')
        }))
    }

    /// Gives the files of the list at `at`.
    fn list(&mut self, at: u64, children: &mut dyn Children) -> Result<(), Halt> {
        let mut input = BufReader::with_capacity(4096, self.object.raw_reader());
        input.seek(SeekFrom::Start(at))?;
        let mut open: Option<Open> = None;
        for number in 0..self.files {
            let Some(file) = entry(&mut input)? else {
                let detail = format!("{number} of {} files are listed", self.files);
                children.gap(None, Reason::Corrupt, detail)?;
                break;
            };
            let listed: Vec<u8> = (file.name.iter())
                .map(|byte| if *byte == b'/' { b'\\' } else { *byte })
                .collect();
            children.about(&Member {
                name: &file.name,
                listed: Some(&listed),
                // It has none of its own: files are pieces of what is compressed together.
                compressed: Some(0),
                size: Some(file.size.into()),
                encrypted: false,
                folder: false,
            })?;
            self.file(&file, &mut open, children)?;
        }
        self.close(open, children)
    }

    fn file(
        &mut self,
        file: &File,
        open: &mut Option<Open>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let name = Some(file.name.as_slice());
        let (number, split) = match file.folder {
            // Begun in the cabinet before (and perhaps going on in the next), or going on in the next.
            0xfffd | 0xffff => (0, Some("begins in another part")),
            0xfffe => (
                self.folders.wrapping_sub(1),
                Some("goes on in another part"),
            ),
            number => (number, None),
        };
        if let Some(split) = split {
            let reason = Reason::Unsupported("CAB-split".to_owned());
            children.gap(name, reason, split.to_owned())?;
            if file.folder != 0xfffe {
                return Ok(());
            }
        }
        let start = u64::from(file.start);
        let stays = (open.as_ref())
            .is_some_and(|open| open.number == number && open.folder.position() <= start);
        if !stays {
            let same = open.as_ref().is_some_and(|open| open.number == number);
            if same && self.again == 0 {
                let detail = "too many files that overlap".to_owned();
                return children.gap(name, Reason::Limit(Limit::Expanded), detail);
            }
            self.again -= u32::from(same);
            let before = open.take();
            if !same {
                self.close(before, children)?;
            }
            match self.folder(number)? {
                Ok(folder) => {
                    *open = Some(Open {
                        number,
                        folder,
                        broken: None,
                    });
                }
                Err((reason, detail)) => return children.gap(name, reason, detail),
            }
        }
        let Some(open) = open else { return Ok(()) };
        piece(file, open, split.is_some(), children)
    }

    /// The folder of this number, at its start, or why there is none.
    fn folder(&self, number: u16) -> io::Result<Result<Folder, (Reason, String)>> {
        let broken = |detail: &str| Ok(Err((Reason::Corrupt, detail.to_owned())));
        if number >= self.folders {
            return broken("in a folder that does not exist");
        }
        let at = self.folders_at + u64::from(number) * self.folder_entry();
        let bytes = self.object.bytes_at(at, 8)?;
        let mut reader = Reader::new(&bytes);
        let fields = (reader.u32_le(), reader.u16_le(), reader.u16_le());
        let (Some(start), Some(blocks), Some(method)) = fields else {
            return broken("its folder's entry is cut");
        };
        Ok(match Method::of(method) {
            Ok(method) => {
                let blocks_at = self.object.slice(start.into(), u64::MAX);
                Ok(Folder::new(blocks_at, blocks, method, self.reserved.block))
            }
            Err(detail) => Err((Reason::Unsupported("CAB-method".to_owned()), detail)),
        })
    }

    /// Says what of a folder is in no file, once all its files were given.
    fn close(&self, open: Option<Open>, children: &mut dyn Children) -> Result<(), Halt> {
        let Some(mut open) = open.filter(|open| open.broken.is_none()) else {
            return Ok(());
        };
        if let Some(error) = open.folder.failure() {
            let detail = format!("the last block of folder {}: {error}", open.number);
            children.gap(None, Reason::Corrupt, detail)?;
        }
        let continues = self.flags & HAS_NEXT != 0 && open.number + 1 == self.folders;
        if open.folder.is_at_its_end() || continues {
            return Ok(());
        }
        let detail = format!("blocks of folder {} that are in no file", open.number);
        children.gap(None, Reason::Corrupt, detail)
    }

    /// What follows the cabinet. The signature of a signed one is expected there, but it may not be all.
    fn trailing(&self, children: &mut dyn Children) -> Result<(), Halt> {
        if self.length < HEADER as u64 {
            let detail = format!("{} bytes, says the header", self.length);
            return children.gap(None, Reason::Corrupt, detail);
        }
        if self.length >= self.object.length() {
            return Ok(());
        }
        match self.reserved.header {
            SIGNED => behind(self.object, self.length, children),
            _ => trailing(self.object, self.length, children),
        }
    }
}

/// Gives one file out of its folder.
fn piece(
    file: &File,
    open: &mut Open,
    split: bool,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let name = Some(file.name.as_slice());
    if let Some(broken) = &open.broken {
        return children.gap(name, Reason::Corrupt, broken.clone());
    }
    let start = u64::from(file.start);
    let hole = start.saturating_sub(open.folder.position());
    if hole > 0 {
        let skipped = io::copy(&mut (&mut open.folder).take(hole), &mut io::sink());
        match skipped {
            Ok(skipped) if skipped == hole => {
                let detail = format!("{hole} bytes before {start} are in no file");
                children.gap(None, Reason::Corrupt, detail)?;
            }
            Ok(_) => {
                let detail = "begins behind the end of its folder".to_owned();
                return children.gap(name, Reason::Corrupt, detail);
            }
            Err(error) if super::is_damage(&error) => {
                let detail = format!("its folder is damaged before it: {error}");
                open.broken = Some(detail.clone());
                return children.gap(name, Reason::Corrupt, detail);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut content = Piece {
        folder: &mut open.folder,
        left: file.size.into(),
        broken: None,
        split,
    };
    children.child(&file.name, Content::Stream(&mut content))?;
    // Up to its end, for whoever did not read that far.
    if content.broken.is_none() && content.left > 0 {
        let _ = io::copy(&mut content, &mut io::sink());
    }
    if let Some(broken) = content.broken {
        open.broken = Some(format!("its folder is damaged before it: {broken}"));
    }
    Ok(())
}

/// A file in its folder.
struct Piece<'a> {
    folder: &'a mut Folder,
    left: u64,
    broken: Option<String>,
    /// Where it ends too early, it goes on in another cabinet, which has been said.
    split: bool,
}

impl Read for Piece<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        match self.folder.read(out) {
            Ok(0) if self.split => {
                self.left = 0;
                Ok(0)
            }
            Ok(0) => {
                let detail = format!("the folder ends {} bytes before the file does", self.left);
                self.broken = Some(detail.clone());
                Err(super::damaged(detail))
            }
            Ok(count) => {
                self.left = self.left.saturating_sub(count as u64);
                Ok(count)
            }
            Err(error) => {
                self.broken = Some(error.to_string());
                Err(error)
            }
        }
    }
}

/// The next file's entry; nothing where the list is cut or a name has no end.
fn entry(input: &mut BufReader<ObjectReader>) -> io::Result<Option<File>> {
    let mut fixed = [0; 16];
    match input.read_exact(&mut fixed) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut reader = Reader::new(&fixed);
    let fields = (|| {
        let (size, start, folder) = (reader.u32_le()?, reader.u32_le()?, reader.u16_le()?);
        Some((size, start, folder))
    })();
    let (Some((size, start, folder)), Some(mut name)) = (fields, text(input)?) else {
        return Ok(None);
    };
    // As Windows has it; in UTF-8 and in the code pages of one byte a backslash is never part of a letter.
    for byte in name.iter_mut().filter(|byte| **byte == b'\\') {
        *byte = b'/';
    }
    Ok(Some(File {
        size,
        start,
        folder,
        name,
    }))
}

/// A text up to its zero, of which no more than [`NAME`] is kept; nothing where it has no end.
fn text(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let end = memchr::memchr(0, bytes);
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        let room = NAME.saturating_sub(text.len());
        text.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let used = piece.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(text));
        }
    }
}

#[cfg(test)]
mod tests;
