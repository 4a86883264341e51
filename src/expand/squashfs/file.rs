//! A file: blocks that are compressed each for itself, and an end that may lie with the ends of others.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::Block;
use super::tables::{File, Tables};
use crate::bytes::Reader;
use crate::expand::damaged;

/// Reads a file.
pub(super) struct Content<'a, 'b> {
    tables: &'a mut Tables<'b>,
    file: File,
    /// Where the next block lies.
    at: u64,
    /// Bytes that are in no block yet.
    left: u64,
    bytes: Vec<u8>,
    given: usize,
    failed: Option<io::Error>,
}

impl<'a, 'b> Content<'a, 'b> {
    pub(super) fn new(tables: &'a mut Tables<'b>, file: File) -> Self {
        Self {
            at: file.start,
            left: file.size,
            tables,
            file,
            bytes: Vec::new(),
            given: 0,
            failed: None,
        }
    }

    fn next(&mut self) -> io::Result<()> {
        let whole = self.tables.block_size;
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(whole);
        self.given = 0;
        self.bytes.clear();
        self.left -= wanted as u64;
        if let Some((number, offset)) = self.file.fragment.filter(|_| wanted < whole) {
            let fragment = self.tables.fragment(number)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = fragment.bytes.get(from..).unwrap_or_default();
            let part = rest.get(..wanted).unwrap_or(rest);
            self.bytes.extend_from_slice(part);
            return check(part.len(), wanted, fragment.damage.as_deref());
        }
        let word = self.tables.take(&mut self.file.blocks, 4)?;
        let word = Reader::new(&word).u32_le().unwrap_or_default();
        if word == 0 {
            self.bytes.resize(wanted, 0);
            return Ok(());
        }
        let Block { bytes, damage } = self.tables.block(self.at, word)?;
        self.at = self.at.saturating_add(u64::from(word & 0x00ff_ffff));
        let is_long = bytes.len() > wanted;
        self.bytes = bytes;
        if is_long {
            self.bytes.truncate(wanted);
            return Err(damaged("a block that is too long"));
        }
        let count = self.bytes.len();
        match damage {
            Some(damage) => Err(damaged(damage)),
            None => check(count, wanted, None),
        }
    }
}

fn check(count: usize, wanted: usize, damage: Option<&str>) -> io::Result<()> {
    if count == wanted {
        return Ok(());
    }
    let detail = format!("{count} of {wanted} bytes in a block");
    Err(damaged(damage.unwrap_or(&detail)))
}

impl Read for Content<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.bytes.get(self.given..).unwrap_or_default();
            let count = rest.read(out)?;
            self.given += count;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                self.left = 0;
                return Err(error);
            }
            if self.left == 0 {
                return Ok(0);
            }
            self.failed = self.next().err();
        }
    }
}
