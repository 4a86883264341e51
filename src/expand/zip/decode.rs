//! The content of one member, by its compression method (APPNOTE 6.3.10 §4.4.5).
//!
//! Deflate is decoded here; the rarer methods by the zip crate, behind a local header that is made up for the purpose,
//! so that nothing of the archive but the compressed bytes reaches it.
#![forbid(unsafe_code)]

use std::io::{self, Cursor, Read};

use crc32fast::Hasher;
use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};
use zip::result::ZipError;

use super::directory::{Entry, LOCAL, STREAMED};
use crate::event::{Limit, Reason};
use crate::expand::inflate::Inflate;
use crate::expand::{Children, Content, Halt, damaged, is_damage};
use crate::object::Object;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// The zip crate keeps a whole member of the methods before deflate in memory. They went out of use when disks were
/// smaller than this.
const LEGACY_LIMIT: u64 = 64 << 20;

/// General purpose bits 1 and 2, which tell implode its dictionary and its trees.
const METHOD_BITS: u16 = 0b110;

/// Hands out the member `entry`, whose compressed bytes `raw` are, or as many of them as there are.
pub(super) fn give(entry: &Entry, raw: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    match entry.method {
        STORED => stored(entry, raw, children),
        DEFLATED => deflated(entry, raw, children),
        1..=6 if entry.size.max(entry.compressed) > LEGACY_LIMIT => {
            let detail = format!("{} of {} bytes", method_name(entry.method), entry.size);
            children.gap(Some(&entry.name), Reason::Limit(Limit::Memory), detail)
        }
        1..=6 | 9 | 12 => rare(entry, raw, children),
        method => {
            let name = method_name(method);
            let reason = Reason::Unsupported(format!("zip-{name}"));
            let detail = format!("compression method {method}");
            children.gap(Some(&entry.name), reason, detail)
        }
    }
}

fn method_name(method: u16) -> String {
    let known = match method {
        1 => "shrink",
        2..=5 => "reduce",
        6 => "implode",
        10 => "dcl-implode",
        14 => "lzma",
        20 | 93 => "zstd",
        94 => "mp3",
        95 => "xz",
        96 => "jpeg",
        97 => "wavpack",
        98 => "ppmd",
        _ => return format!("method-{method}"),
    };
    known.to_owned()
}

fn stored(entry: &Entry, raw: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    children.child(&entry.name, Content::Object(raw.clone()))?;
    let detail = if raw.length() < entry.compressed {
        format!("{} of {} bytes are there", raw.length(), entry.compressed)
    } else if entry.compressed != entry.size {
        format!("{} bytes, stored in {}", entry.size, entry.compressed)
    } else {
        return Ok(());
    };
    children.gap(Some(&entry.name), Reason::Corrupt, detail)
}

fn deflated(entry: &Entry, raw: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let mut inflate = Inflate::new(raw.reader());
    let mut content = Checked::new(&mut inflate, entry);
    children.child(&entry.name, Content::Stream(&mut content))?;
    let left = raw.length().saturating_sub(inflate.consumed());
    if !inflate.ended() || left == 0 {
        return Ok(());
    }
    let detail = format!("{left} bytes after the compressed data");
    children.gap(Some(&entry.name), Reason::Corrupt, detail)
}

fn rare(entry: &Entry, raw: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let mut source = Cursor::new(made_up_header(entry)).chain(raw.reader());
    let mut options = ZipReadOptions::new()
        .ignore_crc32(true)
        .override_compressed_size(raw.length());
    if entry.method <= 6 {
        // These have no end of their own. For the others the size must not cut off what is more than said.
        options = options.override_uncompressed_size(entry.size);
    }
    let detail = match read_zipfile_from_stream_with_options(&mut source, options) {
        Ok(Some(file)) => {
            let mut salvage = Salvage::new(file, entry.method);
            let mut content = Checked::new(&mut salvage, entry);
            return children.child(&entry.name, Content::Stream(&mut content));
        }
        Ok(None) => "no member".to_owned(),
        Err(ZipError::Io(error)) if !is_damage(&error) => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    children.gap(Some(&entry.name), Reason::Corrupt, detail)
}

/// A local header that says only what the decoder needs. Its sizes come by the options, which can hold 64 bits.
fn made_up_header(entry: &Entry) -> Vec<u8> {
    let mut header = LOCAL.to_vec();
    let flags = STREAMED | (entry.flags & METHOD_BITS);
    for field in [20, flags, entry.method] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    // Time, checksum and sizes are nothing; the name has one byte, the extra field none.
    header.extend_from_slice(&[0; 16]);
    header.extend_from_slice(&[1, 0, 0, 0, b'm']);
    header
}

/// Compares checksum and size with what is said, at the end of the content.
struct Checked<'a> {
    inner: &'a mut dyn Read,
    sum: Hasher,
    size: u64,
    said: (u32, u64),
}

impl<'a> Checked<'a> {
    fn new(inner: &'a mut dyn Read, entry: &Entry) -> Self {
        Self {
            inner,
            sum: Hasher::new(),
            size: 0,
            said: (entry.sum, entry.size),
        }
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.sum.update(out.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        if count > 0 || out.is_empty() {
            return Ok(count);
        }
        let (sum, size) = self.said;
        if self.size != size {
            return Err(damaged(format!("{} bytes instead of {size}", self.size)));
        }
        if self.sum.clone().finalize() != sum {
            return Err(damaged("checksum differs"));
        }
        Ok(0)
    }
}

/// Reads from a decoder of the zip crate, and loses little or nothing of what it had when it found the damage.
pub(super) struct Salvage<R> {
    inner: R,
    /// The methods before deflate keep what they have, and give it to whoever asks for less. The others must not be read
    /// after an error: libbz2-rs-sys 0.2.6 goes on where it failed, leaves its tables, and aborts the process.
    keeps: bool,
    state: Decoder,
}

#[derive(Clone, Copy)]
enum Decoder {
    Sound,
    Broken,
    Done,
}

/// What a decoder that is not asked again can lose, in bytes.
const STEP: usize = 64;

impl<R> Salvage<R> {
    /// The decoder of a compression method.
    pub(super) fn new(inner: R, method: u16) -> Self {
        Self {
            inner,
            keeps: method <= 6,
            state: Decoder::Sound,
        }
    }
}

impl<R: Read> Read for Salvage<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = match self.state {
            Decoder::Sound if self.keeps => out.len(),
            Decoder::Sound => STEP.min(out.len()),
            Decoder::Broken => 1.min(out.len()),
            Decoder::Done => return Err(damaged("damaged compressed data")),
        };
        let result = self.inner.read(out.get_mut(..most).unwrap_or_default());
        if result.is_err() {
            let again = self.keeps && matches!(self.state, Decoder::Sound);
            self.state = if again {
                Decoder::Broken
            } else {
                Decoder::Done
            };
            if again {
                return self.read(out);
            }
        }
        result
    }
}
