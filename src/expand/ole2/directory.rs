//! The directory ([MS-CFB] §2.6): a tree of storages and streams in an array of entries.
#![forbid(unsafe_code)]

use std::io;

use super::sectors::{FREE, Header, Sectors};
use crate::bytes::Reader;
use crate::path::NAME_LIMIT;

const ENTRY: usize = 128;

/// Memory that an entry takes here, more or less.
const COST: u64 = 192;

const STORAGE: u8 = 1;
const STREAM: u8 = 2;
const ROOT: u8 = 5;

/// The class of installer packages, patches and transforms: all but its first byte.
const INSTALLER: [u8; 15] = [0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46];

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    kind: u8,
    left: u32,
    right: u32,
    child: u32,
    pub(super) start: u32,
    pub(super) size: u64,
    /// The storage that it lies in; `None` for one that no storage has.
    pub(super) parent: Option<u32>,
}

impl Entry {
    fn parse(mut entry: Reader<'_>, short: bool, installer: bool) -> Option<Self> {
        let name = entry.take(64)?;
        let length = usize::from(entry.u16_le()?);
        let [kind, _] = entry.array()?;
        let links = [entry.u32_le()?, entry.u32_le()?, entry.u32_le()?];
        entry.take(36)?;
        let start = entry.u32_le()?;
        let size = entry.u64_le()?;
        let [left, right, child] = links;
        let used = name.get(..length.saturating_sub(2).min(64)).unwrap_or(name);
        Some(Self {
            name: self::name(used, installer),
            kind,
            left,
            right,
            child,
            start,
            // The upper half is not defined where sectors are short, and not always zero.
            size: if short {
                size & u64::from(u32::MAX)
            } else {
                size
            },
            parent: None,
        })
    }

    pub(super) fn is_stream(&self) -> bool {
        self.kind == STREAM
    }
}

/// A directory, as far as it can be read, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    pub(super) wrong: Vec<String>,
    /// There are more entries than the memory allows.
    pub(super) too_large: bool,
}

impl Directory {
    pub(super) fn read(sectors: &Sectors, header: &Header, memory: u64) -> io::Result<Self> {
        let mut directory = Self::default();
        let (list, wrong) = sectors.sectors_of(header.directory, u64::MAX)?;
        directory
            .wrong
            .extend(wrong.map(|what| format!("the directory: {what}")));
        if list.is_empty() {
            directory.wrong.push("there is no directory".to_owned());
        }
        let mut installer = false;
        'all: for sector in list {
            let bytes = sectors.sector(sector)?;
            if bytes.len() < 1 << header.shift {
                directory.wrong.push("the directory is cut".to_owned());
            }
            for entry in bytes.chunks_exact(ENTRY) {
                if directory.entries.is_empty() {
                    installer = matches!(entry.get(80..96), Some([0x80..=0x8f, rest @ ..]) if rest == INSTALLER);
                }
                if directory.entries.len() as u64 * COST > memory {
                    directory.too_large = true;
                    break 'all;
                }
                let entry = Entry::parse(Reader::new(entry), header.shift < 12, installer);
                directory.entries.extend(entry);
            }
        }
        directory.climb();
        Ok(directory)
    }

    /// Finds the storage of each entry.
    fn climb(&mut self) {
        let Some(root) = self.entries.first() else {
            return;
        };
        let mut damaged = root.kind != ROOT;
        let mut open = vec![(root.child, 0)];
        while let Some((number, parent)) = open.pop() {
            if number == FREE {
                continue;
            }
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let Some(entry) = self.entries.get_mut(index) else {
                damaged = true;
                continue;
            };
            // The second time is a loop.
            if entry.parent.is_some() || index == 0 || !matches!(entry.kind, STORAGE | STREAM) {
                damaged = true;
                continue;
            }
            entry.parent = Some(parent);
            open.push((entry.left, parent));
            open.push((entry.right, parent));
            if entry.kind == STORAGE {
                open.push((entry.child, number));
            }
        }
        if damaged {
            self.wrong
                .push("the tree of the directory is damaged".to_owned());
        }
    }

    fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    /// The names from the root to an entry.
    pub(super) fn path(&self, entry: &Entry) -> String {
        let mut names = vec![entry.name.as_str()];
        let mut length = entry.name.len();
        let mut at = entry.parent;
        while let Some(parent) = at.filter(|number| *number != 0 && length < NAME_LIMIT)
            && let Some(storage) = self.get(parent)
        {
            names.push(&storage.name);
            length += storage.name.len() + 1;
            at = storage.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Tells whether an entry lies in a storage with Visual Basic: one that has the streams of a project.
    pub(super) fn projects(&self) -> Vec<u32> {
        let is_project = |name: &str| {
            name.eq_ignore_ascii_case("dir") || name.eq_ignore_ascii_case("_VBA_PROJECT")
        };
        let mut storages: Vec<u32> = self
            .entries
            .iter()
            .filter(|entry| entry.is_stream() && is_project(&entry.name))
            .filter_map(|entry| entry.parent)
            .collect();
        storages.sort_unstable();
        storages.dedup();
        storages
    }
}

/// A name in UTF-8. Installer packages have two letters of theirs in each one of UTF-16, or one, and a mark for tables
/// (as msitools list them).
fn name(bytes: &[u8], installer: bool) -> String {
    const LETTERS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
    let letter = |value: u32| {
        let letter = LETTERS.get(usize::try_from(value & 0x3f).unwrap_or_default());
        char::from(letter.copied().unwrap_or(b'_'))
    };
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let mut text = String::new();
    for unit in char::decode_utf16(units) {
        let letters = unit.unwrap_or(char::REPLACEMENT_CHARACTER);
        match u32::from(letters) {
            value @ 0x3800..0x4800 if installer => {
                text.push(letter(value - 0x3800));
                text.push(letter((value - 0x3800) >> 6));
            }
            value @ 0x4800..0x4840 if installer => text.push(letter(value - 0x4800)),
            0x4840 if installer => text.push('!'),
            _ => text.push(letters),
        }
    }
    text
}
