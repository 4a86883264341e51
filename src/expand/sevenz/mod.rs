//! 7z, as 7zFormat.txt of its author has it. The crate sevenz-rust2 reads headers and decodes blocks.
//!
//! What the crate does not bound is bounded here, before it is asked: how long the headers become when they are decompressed,
//! and the dictionaries of the decoders. PPMd, which takes the memory that the archive says, and Zstandard, which would bring a
//! decoder in C, are not decoded.
#![forbid(unsafe_code)]

mod headers;

use std::io::{self, BufReader, Read};

use sevenz_rust2::{Archive, ArchiveEntry, Block, BlockDecoder, EncoderMethod, Error, Password};

use self::headers::{Ends, Size};
use super::{Children, Container, Content, Expander, Halt, Member, trailing};
use crate::event::{Limit, Reason};
use crate::object::ObjectReader;

/// The part of the memory that the headers may have in bytes: a file of few bytes in them takes many in memory.
const HEADERS: u64 = 16;

/// What a decoder that fails can lose, in bytes: it does not say what it had before.
const STEP: usize = 64;

/// The expander of 7z.
pub(super) struct SevenZ;

impl Expander for SevenZ {
    fn kind(&self) -> &'static str {
        "7z"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let Some(ends) = Ends::of(object)? else {
            return Err(Halt::Unlike);
        };
        if let Some(end) = ends.end
            && end > object.length()
        {
            let detail = format!("{} of {end} bytes are there", object.length());
            return Err(Halt::Broken(detail));
        }
        match headers::size(object, &ends)? {
            Size::Bytes(size) if size > container.memory / HEADERS => {
                let detail = format!("headers of {size} bytes");
                return children.gap(None, Reason::Limit(Limit::Memory), detail);
            }
            Size::Bytes(_) => {}
            Size::Unknown => {
                // Damage, or a form that the crate may know and this does not: not to be passed over as damage.
                let reason = Reason::Unsupported("7z-headers".to_owned());
                let detail = "headers that cannot be understood".to_owned();
                return children.gap(None, reason, detail);
            }
        }
        open(container, children)?;
        match ends.end {
            Some(end) if end < object.length() => trailing(object, end, children),
            _ => Ok(()),
        }
    }
}

/// What an error means.
enum Failure {
    Io(io::Error),
    Said(Reason, String),
}

impl Failure {
    fn of(error: Error) -> Self {
        let said = |reason, detail: &str| Self::Said(reason, detail.to_owned());
        match error {
            Error::Io(error, _) | Error::FileOpen(error, _) => Self::of_io(error),
            Error::MaybeBadPassword(error) => match Self::of_io(error) {
                Self::Said(_, detail) => Self::Said(Reason::Encrypted, detail),
                failure @ Self::Io(_) => failure,
            },
            Error::PasswordRequired => said(Reason::Encrypted, "AES-256"),
            Error::UnsupportedCompressionMethod(method) => {
                let reason = Reason::Unsupported("7z-method".to_owned());
                Self::Said(reason, format!("compression method {method}"))
            }
            Error::ExternalUnsupported | Error::Unsupported(_) => Self::Said(
                Reason::Unsupported("7z-method".to_owned()),
                error.to_string(),
            ),
            Error::MaxMemLimited { .. } => {
                Self::Said(Reason::Limit(Limit::Memory), error.to_string())
            }
            error => Self::Said(Reason::Corrupt, error.to_string()),
        }
    }

    fn of_io(error: io::Error) -> Self {
        if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::TimedOut {
            return Self::Io(error);
        }
        Self::Said(Reason::Corrupt, error.to_string())
    }
}

type Input = BufReader<ObjectReader>;

fn open(container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    let mut input = container.object.reader();
    let passwords: Vec<Password> = (container.passwords.iter())
        .filter_map(|password| str::from_utf8(password).ok())
        .filter(|password| !password.is_empty())
        .map(Password::from)
        .collect();
    let mut headers = Archive::read(&mut input, &Password::empty());
    let locked = matches!(headers, Err(Error::PasswordRequired));
    if locked {
        for password in &passwords {
            headers = Archive::read(&mut input, password);
            if headers.is_ok() {
                break;
            }
        }
    }
    let archive = match headers {
        Ok(archive) => archive,
        Err(error) => {
            return match Failure::of(error) {
                Failure::Io(error) => Err(error.into()),
                Failure::Said(..) if locked => {
                    children.gap(None, Reason::Encrypted, "headers, AES-256".to_owned())
                }
                Failure::Said(Reason::Corrupt, detail) => Err(Halt::Broken(detail)),
                Failure::Said(reason, detail) => children.gap(None, reason, detail),
            };
        }
    };
    let mut members = Members {
        archive: &archive,
        input,
        passwords,
        memory: container.memory,
    };
    for (entry, block) in archive
        .files
        .iter()
        .zip(&archive.stream_map.file_block_index)
    {
        let block = block.and_then(|block| archive.blocks.get(block));
        let is_aes = |block: &Block| {
            let mut coders = block.coders.iter();
            coders.any(|coder| coder.encoder_method_id() == EncoderMethod::ID_AES256_SHA256)
        };
        children.about(&Member {
            name: entry.name().as_bytes(),
            listed: None,
            // Blocks have one, and may be of many files.
            compressed: Some(0),
            size: Some(entry.size()),
            encrypted: block.is_some_and(is_aes),
            folder: entry.is_directory(),
        })?;
    }
    for number in 0..archive.blocks.len() {
        members.block(number, children)?;
    }
    // Files of no bytes are in no block.
    for (entry, block) in archive
        .files
        .iter()
        .zip(&archive.stream_map.file_block_index)
    {
        if block.is_none() && is_file(entry) {
            children.child(entry.name().as_bytes(), Content::Stream(&mut io::empty()))?;
        }
    }
    Ok(())
}

fn is_file(entry: &ArchiveEntry) -> bool {
    !entry.is_directory() && !entry.is_anti_item()
}

struct Members<'a> {
    archive: &'a Archive,
    input: Input,
    passwords: Vec<Password>,
    memory: u64,
}

impl Members<'_> {
    /// Gives the files of one block.
    fn block(&mut self, number: usize, children: &mut dyn Children) -> Result<(), Halt> {
        let Some(block) = self.archive.blocks.get(number) else {
            return Ok(());
        };
        let no_password = Password::empty();
        let (reason, detail) = if let Some(dictionary) = dictionary(block, self.memory) {
            let detail = format!("dictionary of {dictionary} bytes");
            (Reason::Limit(Limit::Memory), detail)
        } else if !is_encrypted(block) {
            return self.give(number, &no_password, children);
        } else {
            for password in self.passwords.clone() {
                if self.opens(number, &password)? {
                    return self.give(number, &password, children);
                }
            }
            (Reason::Encrypted, "AES-256".to_owned())
        };
        let blocks = &self.archive.stream_map.file_block_index;
        for (entry, block) in self.archive.files.iter().zip(blocks) {
            if *block == Some(number) {
                let name = Some(entry.name().as_bytes());
                children.gap(name, reason.clone(), detail.clone())?;
            }
        }
        Ok(())
    }

    /// Whether a password fits, which the checksum of the first file tells.
    fn opens(&mut self, number: usize, password: &Password) -> io::Result<bool> {
        let mut fits = false;
        let mut failure = None;
        let mut first = |entry: &ArchiveEntry, content: &mut dyn Read| {
            if entry.size() == 0 {
                return Ok(true);
            }
            match io::copy(content, &mut io::sink()) {
                Ok(_) => fits = true,
                Err(error) => failure = Some(error),
            }
            Ok(false)
        };
        let decoder = BlockDecoder::new(1, number, self.archive, password, &mut self.input);
        let done = decoder.for_each_entries(&mut first);
        let failure = failure.map(Failure::of_io);
        match failure.or_else(|| done.err().map(Failure::of)) {
            Some(Failure::Io(error)) => Err(error),
            _ => Ok(fits),
        }
    }

    fn give(
        &mut self,
        number: usize,
        password: &Password,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let mut given = 0_usize;
        let mut halt = None;
        let mut each = |entry: &ArchiveEntry, content: &mut dyn Read| {
            given += usize::from(entry.has_stream());
            if entry.is_anti_item() || (entry.is_directory() && !entry.has_stream()) {
                return Ok(true);
            }
            if !entry.has_stream() {
                // Given with all of its kind, at the end.
                return Ok(true);
            }
            let mut content = Careful {
                inner: content,
                failed: false,
            };
            let name = entry.name().as_bytes();
            let result = children.child(name, Content::Stream(&mut content));
            // A decoder that failed is never asked again: that of bzip2 aborts the process.
            let goes_on = !content.failed;
            if let Err(error) = result {
                halt = Some(error);
                return Ok(false);
            }
            Ok(goes_on)
        };
        let decoder = BlockDecoder::new(1, number, self.archive, password, &mut self.input);
        let done = decoder.for_each_entries(&mut each);
        if let Some(halt) = halt {
            return Err(halt);
        }
        let (reason, detail) = match done.map_err(Failure::of) {
            Ok(true) => return Ok(()),
            Ok(false) => {
                let detail = "behind a damaged file of the same block".to_owned();
                (Reason::Corrupt, detail)
            }
            Err(Failure::Io(error)) => return Err(error.into()),
            Err(Failure::Said(reason, detail)) => (reason, detail),
        };
        let blocks = &self.archive.stream_map.file_block_index;
        let entries = self.archive.files.iter().zip(blocks);
        let missing = entries.filter(|(_, block)| **block == Some(number));
        for (entry, _) in missing.skip(given) {
            let name = Some(entry.name().as_bytes());
            children.gap(name, reason.clone(), detail.clone())?;
        }
        Ok(())
    }
}

/// Reads in small steps, and remembers that it failed.
struct Careful<'a> {
    inner: &'a mut dyn Read,
    failed: bool,
}

impl Read for Careful<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(super::damaged("damaged compressed data"));
        }
        let most = out.len().min(STEP);
        let result = self.inner.read(out.get_mut(..most).unwrap_or_default());
        result.map_err(|error| {
            self.failed = true;
            match Failure::of_io(error) {
                Failure::Io(error) => error,
                Failure::Said(_, detail) => super::damaged(detail),
            }
        })
    }
}

fn is_encrypted(block: &Block) -> bool {
    let aes = EncoderMethod::ID_AES256_SHA256;
    (block.coders.iter()).any(|coder| coder.encoder_method_id() == aes)
}

/// The dictionary of a block, if it is above the limit: that of LZMA, as far as the content is long enough to fill it.
fn dictionary(block: &Block, memory: u64) -> Option<u64> {
    let sizes = block.coders.iter().enumerate().map(|(number, coder)| {
        let properties = coder.properties();
        let size = match coder.encoder_method_id() {
            EncoderMethod::ID_LZMA => properties
                .get(1..5)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes))),
            EncoderMethod::ID_LZMA2 => match properties.first() {
                Some(bits @ 0..=40) => (2 | u64::from(bits & 1)) << (bits / 2 + 11),
                _ => 0,
            },
            _ => 0,
        };
        size.min(block.get_unpack_size_at_index(number))
    });
    sizes.max().filter(|size| *size > memory)
}

#[cfg(test)]
mod tests;
