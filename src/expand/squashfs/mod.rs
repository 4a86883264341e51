//! SquashFS 4.0 (Linux' Documentation/filesystems/squashfs.rst; the description at dr-emann.github.io/squashfs).
//!
//! A reader of its own: the crate that there is (backhand) brings decoders in C, and holds all of an image's tables.
#![forbid(unsafe_code)]

mod file;
mod tables;

use self::file::Content as File;
use self::tables::{Cursor, Inode, Tables};
use super::extents::{Guard, join};
use super::{Children, Container, Content, Expander, Halt, is_damage, stream, trailing};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::Object;

/// The superblock.
const SUPERBLOCK: usize = 96;

/// The expander of SquashFS.
pub(super) struct Squashfs;

impl Expander for Squashfs {
    fn kind(&self) -> &'static str {
        "squashfs"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, SUPERBLOCK)?;
        if head.starts_with(b"sqsh") {
            let reason = Reason::Unsupported("squashfs-byte-order".to_owned());
            return children.gap(None, reason, "big-endian".to_owned());
        }
        if !head.starts_with(b"hsqs") {
            return Err(Halt::Unlike);
        }
        let Some(superblock) = Superblock::read(&head) else {
            return Err(Halt::Broken("the superblock is cut".to_owned()));
        };
        let (major, minor) = superblock.version;
        if major != 4 {
            let reason = Reason::Unsupported("squashfs-version".to_owned());
            return children.gap(None, reason, format!("version {major}.{minor}"));
        }
        let Some(method) = Method::of(superblock.method) else {
            let reason = Reason::Unsupported("squashfs-method".to_owned());
            let detail = format!("compression method {}", superblock.method);
            return children.gap(None, reason, detail);
        };
        let size = superblock.block_size;
        if !size.is_power_of_two() || !(4096..=1 << 20).contains(&size) {
            return Err(Halt::Broken(format!("blocks of {size} bytes")));
        }
        let (length, used) = (object.length(), superblock.used);
        if length < used {
            let detail = format!("{length} of {used} bytes are there");
            children.gap(None, Reason::Corrupt, detail)?;
        }
        let tables = Tables::new(object, &superblock, method, container.memory);
        let mut walk = Walk {
            // Tables are compressed: folders may well be longer than the image.
            guard: Guard::new(length.saturating_mul(64) + (1 << 20), container.memory),
            tables,
            folders: Vec::new(),
            entries: 0,
            lost: false,
        };
        walk.all(superblock.root, children)?;
        // Several names may stand for one inode, but each has one, and the root none.
        let names = walk.entries.saturating_add(1);
        if names < superblock.inodes.into() && !walk.lost {
            let detail = format!("{names} names for {} inodes", superblock.inodes);
            children.gap(None, Reason::Corrupt, detail)?;
        }
        if used < SUPERBLOCK as u64 {
            let detail = format!("{used} bytes, says the superblock");
            return children.gap(None, Reason::Corrupt, detail);
        }
        if used < length {
            return trailing(object, used, children);
        }
        Ok(())
    }
}

/// What the superblock says.
struct Superblock {
    inodes: u32,
    block_size: u32,
    fragments: u32,
    method: u16,
    version: (u16, u16),
    root: u64,
    /// The length of all.
    used: u64,
    /// Where the tables of inodes, folders and fragments begin.
    tables: [u64; 3],
}

impl Superblock {
    fn read(head: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(head);
        reader.take(4)?;
        let inodes = reader.u32_le()?;
        reader.take(4)?;
        let (block_size, fragments) = (reader.u32_le()?, reader.u32_le()?);
        let method = reader.u16_le()?;
        reader.take(6)?;
        let version = (reader.u16_le()?, reader.u16_le()?);
        let (root, used) = (reader.u64_le()?, reader.u64_le()?);
        reader.take(16)?;
        let tables = [reader.u64_le()?, reader.u64_le()?, reader.u64_le()?];
        reader.take(8)?;
        Some(Self {
            inodes,
            block_size,
            fragments,
            method,
            version,
            root,
            used,
            tables,
        })
    }
}

/// How blocks are compressed.
#[derive(Debug, Clone, Copy)]
enum Method {
    Stream(&'static stream::Format),
    Lzo,
    Lz4,
}

impl Method {
    fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Stream(&stream::ZLIB),
            2 => Self::Stream(&stream::LZMA),
            3 => Self::Lzo,
            4 => Self::Stream(&stream::XZ),
            5 => Self::Lz4,
            6 => Self::Stream(&stream::ZSTD),
            _ => return None,
        })
    }
}

/// A block as it was decoded, up to a damage if there is one.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    damage: Option<String>,
}

impl Block {
    /// Decodes the `size` bytes at `at` to at most `most`.
    fn read(
        object: &Object,
        at: u64,
        size: usize,
        method: Option<Method>,
        most: usize,
        memory: u64,
    ) -> std::io::Result<Self> {
        let mut data = object.bytes_at(at, size)?;
        let is_cut = data.len() < size;
        let mut bytes = Vec::new();
        let decoded = match method {
            None => {
                let is_long = data.len() > most;
                data.truncate(most);
                bytes = data;
                if is_long {
                    Err(super::damaged("a block that is too long"))
                } else {
                    Ok(())
                }
            }
            Some(Method::Stream(format)) => {
                stream::block(format, &data, &mut bytes, most, memory).map(drop)
            }
            Some(Method::Lzo) => stream::lzo_block(&data, &mut bytes, most),
            Some(Method::Lz4) => stream::lz4_block(&data, &mut bytes, 0, most),
        };
        let damage = match decoded {
            _ if is_cut => Some("a block is cut".to_owned()),
            Ok(()) => None,
            Err(error) if is_damage(&error) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Self { bytes, damage })
    }
}

/// A folder that is to be read.
struct Folder {
    path: Vec<u8>,
    /// Its inode: block of the table, place in it.
    inode: Cursor,
}

struct Walk<'a> {
    tables: Tables<'a>,
    guard: Guard,
    folders: Vec<Folder>,
    /// Names that were read.
    entries: u64,
    /// A folder was not read whole, and that was said.
    lost: bool,
}

impl Walk<'_> {
    fn all(&mut self, root: u64, children: &mut dyn Children) -> Result<(), Halt> {
        self.folders.push(Folder {
            path: Vec::new(),
            inode: self.tables.inode_at(root >> 16, root & 0xffff),
        });
        while let Some(folder) = self.folders.pop() {
            let first = self.folders.len();
            match self.folder(&folder, children) {
                Err(Halt::Io(error)) if is_damage(&error) => {
                    let path = Some(folder.path.as_slice()).filter(|path| !path.is_empty());
                    let detail = format!("a folder is damaged: {error}");
                    self.lost = true;
                    children.gap(path, Reason::Corrupt, detail)?;
                }
                done => done?,
            }
            // In the order in which they stand there.
            if let Some(new) = self.folders.get_mut(first..) {
                new.reverse();
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Folder, children: &mut dyn Children) -> Result<(), Halt> {
        if let Err(refused) = self.guard.enter(folder.inode.key()) {
            self.lost = true;
            return refused.say(&folder.path, children);
        }
        let inode = self.tables.inode(folder.inode)?;
        let Inode::Folder { mut list, size } = inode else {
            return Err(super::damaged("not a folder").into());
        };
        if let Err(refused) = self.guard.read(size) {
            self.lost = true;
            return refused.say(&folder.path, children);
        }
        let mut left = size;
        while left > 0 {
            let head = self.tables.take(&mut list, 12)?;
            let mut reader = Reader::new(&head);
            let (count, block) = (reader.u32_le(), reader.u32_le());
            let (Some(count @ 0..256), Some(block)) = (count, block) else {
                return Err(super::damaged("a list of names").into());
            };
            left = left.saturating_sub(12);
            for _ in 0..=count {
                let entry = self.tables.take(&mut list, 8)?;
                self.entries = self.entries.saturating_add(1);
                let mut reader = Reader::new(&entry);
                let offset = reader.u16_le().unwrap_or_default();
                reader.take(4);
                let length = usize::from(reader.u16_le().unwrap_or_default()) + 1;
                if length > 256 {
                    return Err(super::damaged("a name that is too long").into());
                }
                let name = self.tables.take(&mut list, length)?;
                left = left.saturating_sub(8 + length as u64);
                let inode = self.tables.inode_at(block.into(), offset.into());
                let path = join(&folder.path, &name);
                self.entry(path, inode, children)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: Vec<u8>,
        at: Cursor,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let inode = match self.tables.inode(at) {
            Ok(inode) => inode,
            Err(error) if is_damage(&error) => {
                return children.gap(Some(&path), Reason::Corrupt, error.to_string());
            }
            Err(error) => return Err(error.into()),
        };
        match inode {
            Inode::Folder { .. } => {
                if let Err(refused) = self.guard.remember(path.len()) {
                    return refused.say(&path, children);
                }
                self.folders.push(Folder { path, inode: at });
                Ok(())
            }
            Inode::File(file) => {
                let mut content = File::new(&mut self.tables, file);
                children.child(&path, Content::Stream(&mut content))
            }
            Inode::Other => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
