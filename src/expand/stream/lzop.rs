//! lzop: blocks of LZO1X, each with checksums. Every file has its header, and an archive has several.
//!
//! Written from what file(1) and the manual of lzop say of the header, and from the description of the stream in Linux's
//! Documentation/staging/lzo.rst.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::zlib::Adler32;
use super::{ContainerName, Decoder, Input, Opened, too_large, unsupported};
use crate::expand::{cut_short, damaged};

pub(super) const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1a\n";

/// From this version on a header has a level and the later half of the time.
const LATER: u16 = 0x0940;

/// The longest block that lzop makes, in bytes.
const BLOCK: u32 = 64 << 20;

/// Flags: which checksums stand with a block, of its content and of what is stored.
const ADLER_CONTENT: u32 = 1;
const ADLER_STORED: u32 = 2;
const EXTRA: u32 = 0x40;
const CRC_CONTENT: u32 = 0x100;
const CRC_STORED: u32 = 0x200;
const FILTER: u32 = 0x800;
const CRC_HEADER: u32 = 0x1000;

struct File<'a> {
    input: Input<'a>,
    memory: u64,
    flags: u32,
    name: Vec<u8>,
    block: Vec<u8>,
    given: usize,
    ended: bool,
    failed: Option<io::Error>,
}

/// The bytes of a header, as its checksum has them.
struct Header<'a> {
    input: Input<'a>,
    seen: Vec<u8>,
}

impl Header<'_> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.input.array("header")?;
        self.seen.extend_from_slice(&bytes);
        Ok(bytes)
    }

    fn word(&mut self) -> io::Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn short(&mut self) -> io::Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }
}

pub(super) fn open(mut input: Input<'_>, memory: u64) -> Opened<'_> {
    if input.array::<9>("header")? != *MAGIC {
        return Err(damaged("not its magic"));
    }
    let mut header = Header {
        input,
        seen: Vec::new(),
    };
    let version = header.short()?;
    header.short()?;
    if version >= LATER {
        header.short()?;
    }
    let [method] = header.array()?;
    if version >= LATER {
        header.array::<1>()?;
    }
    let flags = header.word()?;
    if flags & FILTER != 0 {
        header.word()?;
    }
    header.array::<8>()?;
    if version >= LATER {
        header.word()?;
    }
    let [length] = header.array()?;
    let mut name = Vec::new();
    for _ in 0..length {
        let [byte] = header.array()?;
        name.push(byte);
    }
    let Header { mut input, seen } = header;
    let sum = u32::from_be_bytes(input.array("header")?);
    if sum != self::sum(&seen, flags & CRC_HEADER != 0) {
        return Err(damaged("its checksum differs"));
    }
    if !(1..=3).contains(&method) {
        return Err(unsupported("lzop-method", format!("method {method}")));
    }
    if flags & FILTER != 0 {
        return Err(unsupported("lzop-filter", format!("flags {flags:#x}")));
    }
    if flags & EXTRA != 0 {
        let length = u32::from_be_bytes(input.array("header")?);
        if !input.skip(u64::from(length) + 4)? {
            return Err(cut_short("header is cut"));
        }
    }
    Ok(Box::new(File {
        input,
        memory,
        flags,
        name,
        block: Vec::new(),
        given: 0,
        ended: false,
        failed: None,
    }))
}

/// Adler-32 or CRC-32.
fn sum(bytes: &[u8], crc: bool) -> u32 {
    if crc {
        return crc32fast::hash(bytes);
    }
    let mut sum = Adler32::default();
    sum.update(bytes);
    sum.value()
}

impl File<'_> {
    fn next(&mut self) -> io::Result<()> {
        self.block.clear();
        self.given = 0;
        let size = u32::from_be_bytes(self.input.array("LZO block")?);
        if size == 0 {
            self.ended = true;
            return Ok(());
        }
        let stored = u32::from_be_bytes(self.input.array("LZO block")?);
        if size > BLOCK || stored > size {
            return Err(damaged(format!("LZO block of {stored} for {size} bytes")));
        }
        if u64::from(size) + u64::from(stored) > self.memory {
            return Err(too_large("a block", size.into()));
        }
        let mut content = self.sums(ADLER_CONTENT, CRC_CONTENT)?;
        let packed = stored < size;
        if packed {
            let _ = self.sums(ADLER_STORED, CRC_STORED)?;
        }
        let mut data = Vec::new();
        (&mut self.input)
            .take(stored.into())
            .read_to_end(&mut data)?;
        let whole = data.len() as u64 == u64::from(stored);
        let size = usize::try_from(size).unwrap_or_default();
        let decoded = if packed {
            expand(&data, &mut self.block, size)
        } else {
            self.block = data;
            Ok(())
        };
        if !whole {
            return Err(cut_short("LZO data without its end"));
        }
        decoded?;
        if self.block.len() != size {
            let detail = format!(
                "{} bytes instead of {size} in an LZO block",
                self.block.len()
            );
            return Err(damaged(detail));
        }
        let block = &self.block;
        if content.any(|(wanted, crc)| sum(block, crc) != wanted) {
            return Err(damaged("checksum of the LZO block differs"));
        }
        Ok(())
    }

    /// The checksums that stand here, and whether each is a CRC.
    fn sums(
        &mut self,
        adler: u32,
        crc: u32,
    ) -> io::Result<impl Iterator<Item = (u32, bool)> + use<>> {
        let mut sums = [None; 2];
        for (place, (flag, is_crc)) in sums.iter_mut().zip([(adler, false), (crc, true)]) {
            if self.flags & flag != 0 {
                let sum = u32::from_be_bytes(self.input.array("LZO block")?);
                *place = Some((sum, is_crc));
            }
        }
        Ok(sums.into_iter().flatten())
    }
}

/// What is read of a block.
struct Codes<'a>(&'a [u8]);

impl<'a> Codes<'a> {
    fn byte(&mut self) -> io::Result<usize> {
        let (byte, rest) = self.0.split_first().ok_or_else(cut)?;
        self.0 = rest;
        Ok(usize::from(*byte))
    }

    fn short(&mut self) -> io::Result<usize> {
        Ok(self.byte()? | self.byte()? << 8)
    }

    /// A length whose bits in the code are zero goes on in bytes: each zero is 255 more.
    fn length(&mut self, bits: usize, mask: usize) -> io::Result<usize> {
        if bits & mask != 0 {
            return Ok(bits & mask);
        }
        let mut sum = mask;
        loop {
            match self.byte()? {
                0 => sum = sum.saturating_add(255),
                last => return Ok(sum.saturating_add(last)),
            }
        }
    }

    fn literals(&mut self, count: usize, out: &mut Vec<u8>, most: usize) -> io::Result<()> {
        let room = most.saturating_sub(out.len());
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()).min(room));
        out.extend_from_slice(bytes);
        self.0 = rest;
        if count > room {
            return Err(damaged("LZO block is too long"));
        }
        (bytes.len() == count).then_some(()).ok_or_else(cut)
    }
}

fn cut() -> io::Error {
    cut_short("LZO block is cut")
}

/// Decodes a block of at most `most` bytes.
pub(in crate::expand) fn expand(data: &[u8], out: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut codes = Codes(data);
    // How many literals came with the last code: 0 to 3, or 4 for a run of its own.
    let mut state = 0;
    match data.first() {
        Some(first @ 18..) => {
            codes.byte()?;
            let count = usize::from(*first) - 17;
            codes.literals(count, out, most)?;
            state = count.min(4);
        }
        Some(_) => {}
        None => return Err(cut()),
    }
    loop {
        let code = codes.byte()?;
        let (length, distance, literals) = match code {
            64.. => {
                let length = if code >= 128 {
                    5 + (code >> 5 & 3)
                } else {
                    3 + (code >> 5 & 1)
                };
                (length, (codes.byte()? << 3) + (code >> 2 & 7) + 1, code & 3)
            }
            32..64 => {
                let length = 2 + codes.length(code, 31)?;
                let short = codes.short()?;
                (length, (short >> 2) + 1, short & 3)
            }
            16..32 => {
                let length = 2 + codes.length(code, 7)?;
                let short = codes.short()?;
                let distance = 16_384 + ((code & 8) << 11) + (short >> 2);
                if distance == 16_384 {
                    return if codes.0.is_empty() {
                        Ok(())
                    } else {
                        Err(damaged("LZO block goes on after its end"))
                    };
                }
                (length, distance, short & 3)
            }
            _ if state == 0 => {
                let count = 3 + codes.length(code, 15)?;
                codes.literals(count, out, most)?;
                state = 4;
                continue;
            }
            _ => {
                let distance = (codes.byte()? << 2) + (code >> 2) + 1;
                if state == 4 {
                    (3, distance + 2048, code & 3)
                } else {
                    (2, distance, code & 3)
                }
            }
        };
        let room = most.saturating_sub(out.len());
        super::lz4::repeat(out, distance, length.min(room))?;
        if length > room {
            return Err(damaged("LZO block is too long"));
        }
        codes.literals(literals, out, most)?;
        state = literals;
    }
}

impl Read for File<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.get(self.given..).unwrap_or_default().read(out)?;
            self.given += count;
            if count > 0 || self.ended || out.is_empty() {
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if let Err(error) = self.next() {
                self.failed = Some(error);
            }
        }
    }
}

impl<'a> Decoder<'a> for File<'a> {
    fn finish(self: Box<Self>) -> Input<'a> {
        self.input
    }

    fn name(&self, _container: &ContainerName<'_>) -> Option<Vec<u8>> {
        let name = super::base_name(&self.name);
        (!name.is_empty()).then(|| name.to_vec())
    }
}
