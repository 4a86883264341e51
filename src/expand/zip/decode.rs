//! The content of one member, by its compression method (APPNOTE 6.3.10 §4.4.5).
//!
//! Deflate is decoded here, what is a stream elsewhere by its decoder; the rarer methods by the zip crate, behind a local header that is made up for the purpose,
//! so that nothing of the archive but the compressed bytes reaches it.
#![forbid(unsafe_code)]

use std::io::{self, Cursor, Read};

use crc32fast::Hasher;
use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};
use zip::result::ZipError;

use super::crypt::{self, Key};
use super::directory::{Entry, LOCAL, STREAMED};
use crate::event::{Limit, NoteKind, Reason};
use crate::expand::inflate::Inflate;
use crate::expand::stream::{self, Format, Input, Lzma, Pieces};
use crate::expand::{Children, Container, Content, Halt, damaged, is_damage};
use crate::object::Object;

pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;
const BZIP2: u16 = 12;
const LZMA: u16 = 14;
const OLD_ZSTD: u16 = 20;
const ZSTD: u16 = 93;
const XZ: u16 = 95;

/// The zip crate keeps a whole member of the methods before deflate in memory. They went out of use when disks were
/// smaller than this.
const LEGACY_LIMIT: u64 = 64 << 20;

/// General purpose bits 1 and 2, which tell implode its dictionary and its trees.
const METHOD_BITS: u16 = 0b110;

/// General purpose bit 1, for LZMA: it has a mark at its end (§5.8.9).
const END_MARKER: u16 = 1 << 1;

/// The compressed bytes of a member.
struct Raw<'a> {
    reader: Box<dyn Read + 'a>,
    /// As many of them as there are.
    length: u64,
    /// They lie in the archive as they are.
    object: Option<&'a Object>,
    /// They and all that follows in the archive, for a length that is too small.
    beyond: Option<Object>,
}

impl<'a> Raw<'a> {
    fn plain(object: &'a Object) -> Self {
        Self {
            reader: Box::new(object.reader()),
            length: object.length(),
            object: Some(object),
            beyond: None,
        }
    }
}

/// Hands out the member `entry`, whose compressed bytes begin at byte `at` of the archive.
pub(super) fn give(
    entry: &Entry,
    at: u64,
    container: &Container<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let raw = &container.object.slice(at, entry.compressed);
    let Some(how) = entry.encryption() else {
        let mut raw = Raw::plain(raw);
        raw.beyond = Some(container.object.slice(at, u64::MAX));
        return decoded(entry, entry.compressed, raw, container, children);
    };
    let head = crypt::head(entry, raw)?;
    let plain = &Entry {
        method: entry.aes.map_or(entry.method, |aes| aes.method),
        ..entry.clone()
    };
    let mut fits = None;
    let mut attempts = container.passwords.attempts(crypt::cost(entry));
    while let Some(password) = attempts.next() {
        let Some(key) = crypt::key(entry, &head, password) else {
            continue;
        };
        // The check is short: whether it is the password shows the content.
        let mut trial = Trial::default();
        opened(plain, raw, &key, container, &mut trial)?;
        if !trial.unsound {
            attempts.ended(true);
            return opened(plain, raw, &key, container, children);
        }
        fits.get_or_insert(key);
    }
    attempts.ended(false);
    let mut detail = match fits {
        Some(key) => {
            opened(plain, raw, &key, container, children)?;
            format!("{how}, a password fits its check and not the content")
        }
        None => how.to_owned(),
    };
    detail.push_str(container.passwords.untried());
    children.gap(Some(&entry.name), Reason::Encrypted, detail)
}

/// Whether a member that is not encrypted decodes to the size and the checksum that are said, as far as is tried.
pub(super) fn is_sound(entry: &Entry, at: u64, container: &Container<'_>) -> Result<bool, Halt> {
    let raw = container.object.slice(at, entry.compressed);
    if entry.method == STORED {
        if raw.length() != entry.size || raw.length() > TRIAL {
            return Ok(raw.length() == entry.size);
        }
        let mut reader = raw.reader();
        let mut content = Checked::new(&mut reader, entry);
        return match io::copy(&mut content, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(error) if is_damage(&error) => Ok(false),
            Err(error) => Err(error.into()),
        };
    }
    let mut trial = Trial::default();
    let plain = Raw::plain(&raw);
    decoded(entry, entry.compressed, plain, container, &mut trial)?;
    Ok(trial.given && !trial.unsound)
}

/// Hands out a member whose key is known.
fn opened(
    entry: &Entry,
    raw: &Object,
    key: &Key,
    container: &Container<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let (reader, length, verdict) = key.open(raw)?;
    let around = raw.length().saturating_sub(length);
    let claimed = entry.compressed.saturating_sub(around);
    let decrypted = Raw {
        reader,
        length,
        object: None,
        beyond: None,
    };
    decoded(entry, claimed, decrypted, container, children)?;
    if verdict.get() == Some(false) {
        let detail = "authentication code differs".to_owned();
        children.gap(Some(&entry.name), Reason::Corrupt, detail)?;
    }
    Ok(())
}

/// Bytes of content after which a password is believed: nothing has been paid for yet.
const TRIAL: u64 = 16 << 20;

/// Reads a member to find out whether a password is its own, or a header true.
#[derive(Default)]
struct Trial {
    given: bool,
    unsound: bool,
}

impl Children for Trial {
    fn child(&mut self, _name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        self.given = true;
        let read = match content {
            Content::Object(_) => Ok(0),
            Content::Stream(stream) => io::copy(&mut stream.take(TRIAL), &mut io::sink()),
        };
        self.unsound |= match read {
            Ok(_) => false,
            // Time is over, or the archive cannot be read.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error.into()),
            Err(error) if error.raw_os_error().is_some() => return Err(error.into()),
            Err(_) => true,
        };
        Ok(())
    }

    fn gap(&mut self, _: Option<&[u8]>, reason: Reason, _: String) -> Result<(), Halt> {
        self.unsound |= reason == Reason::Corrupt;
        Ok(())
    }

    fn note(&mut self, _: NoteKind, _: String) -> Result<(), Halt> {
        Ok(())
    }
}

/// Hands out a member by its compression method. `claimed` is how many compressed bytes there should be.
fn decoded(
    entry: &Entry,
    claimed: u64,
    raw: Raw<'_>,
    container: &Container<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match entry.method {
        STORED => stored(entry, claimed, raw, children),
        DEFLATED => deflated(entry, raw, children),
        1..=6 if entry.size.max(entry.compressed) > LEGACY_LIMIT.min(container.memory) => {
            let detail = format!("{} of {} bytes", method_name(entry.method), entry.size);
            children.gap(Some(&entry.name), Reason::Limit(Limit::Memory), detail)
        }
        1..=6 | 9 => rare(entry, raw, children),
        LZMA => {
            let length = raw.length;
            let size = (entry.flags & END_MARKER == 0).then_some(entry.size);
            let begun = Lzma::in_zip(Input::new(raw.reader), size, container.memory);
            let begun = begun.map(|lzma| Pieces::begun(&stream::LZMA, lzma, container.memory));
            streamed(entry, &stream::LZMA, length, begun, children)
        }
        BZIP2 | XZ | ZSTD | OLD_ZSTD => {
            let format = match entry.method {
                BZIP2 => &stream::BZIP2,
                XZ => &stream::XZ,
                _ => &stream::ZSTD,
            };
            let length = raw.length;
            let begun = Pieces::open(format, Input::new(raw.reader), container.memory);
            streamed(entry, format, length, begun, children)
        }
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
        94 => "mp3",
        96 => "jpeg",
        97 => "wavpack",
        98 => "ppmd",
        _ => return format!("method-{method}"),
    };
    known.to_owned()
}

fn stored(
    entry: &Entry,
    claimed: u64,
    raw: Raw<'_>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match raw.object {
        Some(object) => children.child(&entry.name, Content::Object(object.clone()))?,
        None => {
            let mut reader = raw.reader;
            let mut content = Checked::new(&mut reader, entry);
            return children.child(&entry.name, Content::Stream(&mut content));
        }
    }
    let detail = if raw.length < claimed {
        format!("{} of {claimed} bytes are there", raw.length)
    } else if claimed != entry.size {
        format!("{} bytes, stored in {claimed}", entry.size)
    } else {
        return Ok(());
    };
    children.gap(Some(&entry.name), Reason::Corrupt, detail)
}

fn deflated(entry: &Entry, raw: Raw<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    let mut inflate = Inflate::new(Input::new(raw.reader));
    let mut content = Checked::new(&mut inflate, entry);
    children.child(&entry.name, Content::Stream(&mut content))?;
    let (is_cut, given) = (content.is_cut, content.size);
    let beyond = raw
        .beyond
        .filter(|beyond| is_cut && beyond.length() > raw.length);
    if let Some(beyond) = beyond
        && goes_on(&beyond, given, entry.size)?
    {
        // The length is too small: readers that do not ask for it see the whole.
        let mut whole = Inflate::new(Input::new(Box::new(beyond.reader())));
        let mut content = Checked::new(&mut whole, entry);
        return children.child(&entry.name, Content::Stream(&mut content));
    }
    let left = raw.length.saturating_sub(inflate.consumed());
    if !inflate.ended() || left == 0 {
        return Ok(());
    }
    behind(entry, left, children)
}

/// Tells whether deflated data that begin here go on to their end, whatever length the archive says: they come to the size that is
/// said, or to so much more than was `given` that it is no accident.
fn goes_on(object: &Object, given: u64, size: u64) -> io::Result<bool> {
    const MORE: u64 = 64;
    let mut inflate = Inflate::new(Input::new(Box::new(object.reader())));
    match io::copy(&mut (&mut inflate).take(TRIAL), &mut io::sink()) {
        Ok(count) => Ok(count == size || count >= given.saturating_add(MORE)),
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The methods that are streams by themselves.
fn streamed(
    entry: &Entry,
    format: &Format,
    length: u64,
    begun: io::Result<Pieces<'_>>,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let mut pieces = match begun {
        Ok(pieces) => pieces,
        Err(error) => return stream::refused(format, Some(&entry.name), error, children),
    };
    let mut content = Checked::new(&mut pieces, entry);
    children.child(&entry.name, Content::Stream(&mut content))?;
    match pieces.conclude(Some(&entry.name), children)? {
        Some(at) => behind(entry, length.saturating_sub(at), children),
        None => Ok(()),
    }
}

fn behind(entry: &Entry, left: u64, children: &mut dyn Children) -> Result<(), Halt> {
    let detail = format!("{left} bytes after the compressed data");
    children.gap(Some(&entry.name), Reason::Corrupt, detail)
}

fn rare(entry: &Entry, raw: Raw<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    let mut source = Cursor::new(made_up_header(entry)).chain(raw.reader);
    let mut options = ZipReadOptions::new()
        .ignore_crc32(true)
        .override_compressed_size(raw.length);
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
    /// The checksum, where one is kept.
    sum_said: Option<u32>,
    size_said: u64,
    /// The compressed data ended too early.
    is_cut: bool,
}

impl<'a> Checked<'a> {
    fn new(inner: &'a mut dyn Read, entry: &Entry) -> Self {
        Self {
            inner,
            sum: Hasher::new(),
            size: 0,
            sum_said: (!entry.aes.is_some_and(|aes| aes.without_sum)).then_some(entry.sum),
            size_said: entry.size,
            is_cut: false,
        }
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out).inspect_err(|error| {
            self.is_cut = error.kind() == io::ErrorKind::UnexpectedEof;
        })?;
        self.sum.update(out.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        if count > 0 || out.is_empty() {
            return Ok(count);
        }
        if self.size != self.size_said {
            let detail = format!("{} bytes instead of {}", self.size, self.size_said);
            return Err(damaged(detail));
        }
        if self
            .sum_said
            .is_some_and(|sum| sum != self.sum.clone().finalize())
        {
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
