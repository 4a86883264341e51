//! A folder: blocks of up to 32 KiB that are one content, stored, in MSZIP ([MS-MCI]) or in LZX.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};
use lzxd::{Lzxd, WindowSize};

use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};
use crate::object::Object;

/// The content of a block.
const BLOCK: usize = 32 * 1024;

/// The most that a block is compressed to: what cannot be compressed grows a little.
const PACKED: u16 = 32 * 1024 + 6144;

/// The header of a block.
const HEADER: usize = 8;

/// How a folder is compressed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Stored,
    Zip,
    Lzx(WindowSize),
}

impl Method {
    /// The method of this field, or what it is called.
    pub(super) fn of(field: u16) -> Result<Self, String> {
        let window = match field >> 8 & 0x1f {
            15 => WindowSize::KB32,
            16 => WindowSize::KB64,
            17 => WindowSize::KB128,
            18 => WindowSize::KB256,
            19 => WindowSize::KB512,
            20 => WindowSize::MB1,
            21 => WindowSize::MB2,
            _ if field & 0x0f == 3 => return Err(format!("LZX window {}", field >> 8)),
            _ => WindowSize::KB32,
        };
        match field & 0x0f {
            0 => Ok(Self::Stored),
            1 => Ok(Self::Zip),
            2 => Err("Quantum".to_owned()),
            3 => Ok(Self::Lzx(window)),
            other => Err(format!("compression method {other}")),
        }
    }
}

/// Reads a folder's content.
pub(super) struct Folder {
    blocks: Object,
    at: u64,
    left: u16,
    /// Reserved bytes in the header of each block.
    reserved: u8,
    decoder: Decoder,
    /// The block that is given.
    block: Vec<u8>,
    used: usize,
    position: u64,
    /// A failure that is said once the bytes before it were given.
    failed: Option<io::Error>,
    ended: bool,
}

enum Decoder {
    Stored,
    Zip(Box<Decompress>, Vec<u8>),
    Lzx(Box<Lzxd>),
}

impl Folder {
    pub(super) fn new(blocks: Object, count: u16, method: Method, reserved: u8) -> Self {
        let decoder = match method {
            Method::Stored => Decoder::Stored,
            Method::Zip => Decoder::Zip(Box::new(Decompress::new(false)), Vec::new()),
            Method::Lzx(window) => Decoder::Lzx(Box::new(Lzxd::new(window))),
        };
        Self {
            blocks,
            at: 0,
            left: count,
            reserved,
            decoder,
            block: Vec::new(),
            used: 0,
            position: 0,
            failed: None,
            ended: false,
        }
    }

    /// Bytes that were given.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// What is damaged about a block of which all was given that a file wants.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// All blocks were given.
    pub(super) fn is_at_its_end(&self) -> bool {
        self.left == 0 && self.used == self.block.len()
    }

    /// Decodes the next block; nothing is in it at the end.
    fn next(&mut self) -> io::Result<()> {
        self.block.clear();
        self.used = 0;
        if self.left == 0 || self.ended {
            return Ok(());
        }
        let head = self.blocks.bytes_at(self.at, HEADER)?;
        let mut reader = Reader::new(&head);
        let fields = (reader.u32_le(), reader.u16_le(), reader.u16_le());
        let (Some(sum), Some(packed), Some(size)) = fields else {
            return Err(cut_short("the header of a block is cut"));
        };
        if packed > PACKED || usize::from(size) > BLOCK {
            return Err(damaged("a block that is too long"));
        }
        let start = self.at + HEADER as u64;
        let length = usize::from(self.reserved) + usize::from(packed);
        let bytes = self.blocks.bytes_at(start, length)?;
        let data = bytes.get(usize::from(self.reserved)..).unwrap_or_default();
        let is_cut = bytes.len() < length;
        self.at = start + length as u64;
        self.left -= 1;
        if size == 0 {
            // The rest of this block is in the next cabinet.
            self.ended = true;
            return Ok(());
        }
        let decoded = decode(&mut self.decoder, data, size.into(), &mut self.block);
        if is_cut {
            self.failed = Some(cut_short("a block is cut"));
        } else if let Err(error) = decoded {
            self.failed = Some(error);
        } else if sum != 0 && sum != checksum(&bytes, &head) {
            self.failed = Some(damaged("the checksum of a block differs"));
        }
        Ok(())
    }
}

/// Appends to `out` what comes out of a block, also when it is damaged.
fn decode(decoder: &mut Decoder, data: &[u8], size: usize, out: &mut Vec<u8>) -> io::Result<()> {
    match decoder {
        Decoder::Stored => out.extend_from_slice(data.get(..size).unwrap_or(data)),
        Decoder::Zip(raw, window) => {
            let result = inflate(raw, window, data, size, out);
            window.extend_from_slice(out);
            window.drain(..window.len().saturating_sub(BLOCK));
            result?;
        }
        Decoder::Lzx(lzx) => {
            let decoded = lzx.decompress_next(data, size);
            out.extend_from_slice(decoded.map_err(|error| damaged(error.to_string()))?);
        }
    }
    if out.len() < size {
        return Err(damaged(format!(
            "a block of {} bytes instead of {size}",
            out.len()
        )));
    }
    Ok(())
}

/// A block of MSZIP: "CK", and deflate that may copy from the block before.
fn inflate(
    raw: &mut Decompress,
    window: &[u8],
    data: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let mut input = (data.strip_prefix(b"CK"))
        .ok_or_else(|| damaged("a block of MSZIP without its signature"))?;
    raw.reset(false);
    if !window.is_empty() {
        raw.set_dictionary(window)
            .map_err(|error| damaged(error.to_string()))?;
    }
    out.resize(size, 0);
    let mut given = 0;
    let result = loop {
        let before = (raw.total_in(), raw.total_out());
        let space = out.get_mut(given..).unwrap_or_default();
        let status = raw.decompress(input, space, FlushDecompress::None);
        let used = usize::try_from(raw.total_in() - before.0).unwrap_or_default();
        let more = usize::try_from(raw.total_out() - before.1).unwrap_or_default();
        input = input.get(used..).unwrap_or_default();
        given += more;
        match status {
            Ok(Status::StreamEnd) => break Ok(()),
            Ok(_) if used > 0 || more > 0 => {}
            Ok(_) if given == size => break Ok(()),
            Ok(_) | Err(_) => break Err(damaged("damaged deflate data")),
        }
    };
    out.truncate(given);
    result
}

impl Read for Folder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let mut rest = self.block.get(self.used..).unwrap_or_default();
            let count = rest.read(out)?;
            if count > 0 {
                self.used += count;
                self.position += count as u64;
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                self.ended = true;
                return Err(error);
            }
            self.next()?;
            if self.block.is_empty() && self.failed.is_none() {
                return Ok(0);
            }
        }
    }
}

/// [MS-CAB] §3.1: words of four bytes, the rest in the other order; over the data and then over the sizes.
fn checksum(data: &[u8], head: &[u8]) -> u32 {
    let part = |bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<4>();
        let sum = words
            .iter()
            .fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
        sum ^ rest.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    };
    part(data) ^ part(head.get(4..8).unwrap_or_default())
}
