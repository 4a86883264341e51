//! The tables of an image: blocks of 8 KiB, each compressed for itself, and what stands in them.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::{Block, Method, Superblock};
use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};
use crate::object::Object;

/// The content of a block of a table.
const TABLE_BLOCK: usize = 8192;

/// Blocks of tables and of fragments that are kept.
const KEPT: usize = 32;
const FRAGMENTS_KEPT: usize = 4;

/// The bit by which a block of a table, or of content, says that it is not compressed.
const STORED: u16 = 0x8000;
const BLOCK_STORED: u32 = 1 << 24;

/// Entries of the table of fragments in one block.
const FRAGMENTS: u32 = 512;

/// A fragment that is none.
const NO_FRAGMENT: u32 = u32::MAX;

/// A place in a table: the block's place in the image, and the byte in its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    block: u64,
    offset: u64,
}

impl Cursor {
    pub(super) fn key(self) -> (u64, u64) {
        (self.block, self.offset)
    }
}

/// What an inode says.
pub(super) enum Inode {
    Folder {
        list: Cursor,
        size: u64,
    },
    File(File),
    /// A link or a device.
    Other,
}

/// Where a file's content is.
pub(super) struct File {
    pub(super) start: u64,
    pub(super) size: u64,
    /// The number of the fragment with its end, and the byte in it.
    pub(super) fragment: Option<(u32, u32)>,
    /// The list of the sizes of its blocks.
    pub(super) blocks: Cursor,
}

/// A block of a table.
struct Table {
    block: Block,
    /// Where the next one is.
    next: u64,
}

/// The tables of an image.
pub(super) struct Tables<'a> {
    object: &'a Object,
    pub(super) block_size: usize,
    method: Method,
    memory: u64,
    inodes: u64,
    folders: u64,
    fragments: u64,
    fragment_count: u32,
    kept: VecDeque<(u64, Rc<Table>)>,
    kept_fragments: VecDeque<(u32, Rc<Block>)>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        object: &'a Object,
        superblock: &Superblock,
        method: Method,
        memory: u64,
    ) -> Self {
        let [inodes, folders, fragments] = superblock.tables;
        Self {
            object,
            block_size: usize::try_from(superblock.block_size).unwrap_or_default(),
            method,
            memory,
            inodes,
            folders,
            fragments,
            fragment_count: superblock.fragments,
            kept: VecDeque::new(),
            kept_fragments: VecDeque::new(),
        }
    }

    /// The place of an inode by its block, counted from the start of their table, and its byte.
    pub(super) fn inode_at(&self, block: u64, offset: u64) -> Cursor {
        Cursor {
            block: self.inodes.saturating_add(block),
            offset,
        }
    }

    fn table(&mut self, at: u64) -> io::Result<Rc<Table>> {
        if let Some((_, table)) = self.kept.iter().find(|(kept, _)| *kept == at) {
            return Ok(Rc::clone(table));
        }
        let head = self.object.bytes_at(at, 2)?;
        let Some(word) = Reader::new(&head).u16_le() else {
            return Err(cut_short("a table is cut"));
        };
        let size = usize::from(word & !STORED);
        let method = (word & STORED == 0).then_some(self.method);
        let start = at.saturating_add(2);
        let block = Block::read(self.object, start, size, method, TABLE_BLOCK, self.memory)?;
        let table = Rc::new(Table {
            block,
            next: start.saturating_add(size as u64),
        });
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((at, Rc::clone(&table)));
        Ok(table)
    }

    /// The next bytes of a table. For small things.
    pub(super) fn take(&mut self, cursor: &mut Cursor, length: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let table = self.table(cursor.block)?;
            let bytes = &table.block.bytes;
            let from = usize::try_from(cursor.offset).unwrap_or(usize::MAX);
            let rest = bytes.get(from..);
            let rest = rest.ok_or_else(|| damaged("a place that is in no table"))?;
            let part = rest.get(..length - out.len()).unwrap_or(rest);
            out.extend_from_slice(part);
            cursor.offset += part.len() as u64;
            if out.len() == length {
                return Ok(out);
            }
            if let Some(damage) = &table.block.damage {
                return Err(damaged(format!("a table: {damage}")));
            }
            if bytes.len() != TABLE_BLOCK {
                return Err(damaged("a table ends too early"));
            }
            *cursor = Cursor {
                block: table.next,
                offset: 0,
            };
        }
    }

    /// The inode at a place.
    pub(super) fn inode(&mut self, mut at: Cursor) -> io::Result<Inode> {
        let head = self.take(&mut at, 16)?;
        let kind = Reader::new(&head).u16_le().unwrap_or_default();
        let length = match kind {
            1 | 2 => 16,
            8 => 24,
            9 => 40,
            3..=7 | 10..=14 => return Ok(Inode::Other),
            _ => return Err(damaged(format!("an inode of type {kind}"))),
        };
        let fields = self.take(&mut at, length)?;
        let mut reader = Reader::new(&fields);
        let folders = self.folders;
        let inode = match kind {
            1 | 8 => (|| {
                let (block, size, offset);
                if kind == 1 {
                    block = reader.u32_le()?;
                    reader.take(4)?;
                    size = u32::from(reader.u16_le()?);
                    offset = reader.u16_le()?;
                } else {
                    reader.take(4)?;
                    size = reader.u32_le()?;
                    block = reader.u32_le()?;
                    reader.take(6)?;
                    offset = reader.u16_le()?;
                }
                let list = Cursor {
                    block: folders.saturating_add(block.into()),
                    offset: offset.into(),
                };
                // Three are for the entries that are not there: the folder itself and the one above.
                let size = u64::from(size).saturating_sub(3);
                Some(Inode::Folder { list, size })
            })(),
            _ => (|| {
                let (start, size, fragment);
                if kind == 2 {
                    start = u64::from(reader.u32_le()?);
                    fragment = (reader.u32_le()?, reader.u32_le()?);
                    size = u64::from(reader.u32_le()?);
                } else {
                    (start, size) = (reader.u64_le()?, reader.u64_le()?);
                    reader.take(12)?;
                    fragment = (reader.u32_le()?, reader.u32_le()?);
                }
                Some(Inode::File(File {
                    start,
                    size,
                    fragment: Some(fragment).filter(|(number, _)| *number != NO_FRAGMENT),
                    blocks: at,
                }))
            })(),
        };
        inode.ok_or_else(|| damaged("an inode is cut"))
    }

    /// A block of content: its place, the word with its size, and the most that comes out of it.
    pub(super) fn block(&self, at: u64, word: u32) -> io::Result<Block> {
        let size = usize::try_from(word & (BLOCK_STORED - 1)).unwrap_or_default();
        if size > self.block_size {
            return Err(damaged(format!("a block of {size} bytes")));
        }
        let method = (word & BLOCK_STORED == 0).then_some(self.method);
        Block::read(self.object, at, size, method, self.block_size, self.memory)
    }

    /// The block with the ends of files that has this number.
    pub(super) fn fragment(&mut self, number: u32) -> io::Result<Rc<Block>> {
        let mut kept = self.kept_fragments.iter();
        if let Some((_, block)) = kept.find(|(kept, _)| *kept == number) {
            return Ok(Rc::clone(block));
        }
        if number >= self.fragment_count {
            return Err(damaged(format!("no fragment {number}")));
        }
        let place = u64::from(number / FRAGMENTS) * 8;
        let place = self
            .object
            .bytes_at(self.fragments.saturating_add(place), 8)?;
        let table = Reader::new(&place).u64_le();
        let mut cursor = Cursor {
            block: table.ok_or_else(|| cut_short("the table of fragments is cut"))?,
            offset: u64::from(number % FRAGMENTS) * 16,
        };
        let entry = self.take(&mut cursor, 16)?;
        let mut reader = Reader::new(&entry);
        let (Some(start), Some(word)) = (reader.u64_le(), reader.u32_le()) else {
            return Err(damaged("an entry of the table of fragments"));
        };
        let block = Rc::new(self.block(start, word)?);
        if self.kept_fragments.len() == FRAGMENTS_KEPT {
            self.kept_fragments.pop_front();
        }
        self.kept_fragments.push_back((number, Rc::clone(&block)));
        Ok(block)
    }
}
