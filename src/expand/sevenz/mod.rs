//! 7z, as 7zFormat.txt of its author has it. The crate sevenz-rust2 reads headers and decodes blocks.
//!
//! What the crate does not bound is bounded here, before it is asked: how long the headers become when they are decompressed,
//! and the dictionaries of the decoders. Lengths and checksums of files are compared here: the crate takes a stream that ends
//! early for whole, and drops what it read last when a checksum is wrong. PPMd, which takes the memory that the archive says, and Zstandard, which would bring a
//! decoder in C, are not decoded.
#![forbid(unsafe_code)]

mod headers;

use std::io::{self, BufReader, Read};

use sevenz_rust2::{
    Archive, ArchiveEntry, Block, BlockDecoder, Coder, EncoderMethod, Error, Password,
};

use self::headers::{Ends, Size};
use super::{Children, Container, Content, Expander, Halt, Member, Passwords, trailing};
use crate::event::{Limit, Reason};
use crate::object::{Object, ObjectReader};

/// The part of the memory that the headers may have in bytes: a file of few bytes in them takes many in memory.
const HEADERS: u64 = 16;

/// The most bytes that are asked of a decoder at once. One that fails loses them; they are fetched again, one by one.
const STEP: usize = 64 * 1024;

/// Keys of more rounds, as a binary logarithm, are made to keep others busy: 7-Zip writes 19.
const ABSURD: u8 = 22;

/// The length of an archive without files.
const EMPTY: u64 = 32;

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
            // The first part of a set is like an archive that is cut: its headers are at the end.
            let reason = Reason::Unsupported("7z-part".to_owned());
            let detail = format!("{} of {end} bytes are there", object.length());
            return children.gap(None, reason, detail);
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
        open(container, &ends, children)?;
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

fn open(container: &Container<'_>, ends: &Ends, children: &mut dyn Children) -> Result<(), Halt> {
    let mut input = container.object.reader();
    let mut headers = Archive::read(&mut input, &Password::empty());
    let locked = matches!(headers, Err(Error::PasswordRequired));
    // What a wrong password makes of headers may be the end of them.
    let has_files = |archive: &Archive| !archive.files.is_empty();
    let mut shut = String::new();
    if locked {
        let power = headers::power(container.object)?;
        let mut attempts = container.passwords.attempts(cost(power));
        let mut rightly = false;
        for word in attempts.by_ref() {
            let Some(password) = password(word) else {
                continue;
            };
            headers = Archive::read(&mut input, &password);
            rightly = headers.as_ref().is_ok_and(has_files);
            if rightly {
                break;
            }
        }
        attempts.ended(rightly);
        shut = format!(
            "headers, {}{}",
            cipher(power),
            container.passwords.untried()
        );
    }
    let mut archive = match headers {
        Ok(archive) if !has_files(&archive) && locked => {
            return children.gap(None, Reason::Encrypted, shut);
        }
        Ok(archive) if !has_files(&archive) && ends.end.is_none_or(|end| end > EMPTY) => {
            return Err(Halt::Broken("headers without any file".to_owned()));
        }
        Ok(archive) => archive,
        Err(error) => {
            return match Failure::of(error) {
                Failure::Io(error) => Err(error.into()),
                Failure::Said(..) if locked => children.gap(None, Reason::Encrypted, shut),
                Failure::Said(Reason::Corrupt, detail) => Err(Halt::Broken(detail)),
                Failure::Said(reason, detail) => children.gap(None, reason, detail),
            };
        }
    };
    let checksums = take_checksums(&mut archive);
    let mut members = Members {
        archive: &archive,
        checksums,
        object: container.object,
        input,
        passwords: container.passwords,
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

/// Passwords are text.
fn password(word: &[u8]) -> Option<Password> {
    let text = str::from_utf8(word).ok().filter(|text| !text.is_empty())?;
    Some(Password::from(text))
}

/// Binary logarithm of the rounds that make the key of a block.
fn power(block: &Block) -> u8 {
    let mut coders = block.coders.iter();
    let aes = |coder: &&Coder| coder.encoder_method_id() == EncoderMethod::ID_AES256_SHA256;
    let first = coders
        .find(aes)
        .and_then(|coder| coder.properties().first());
    first.map_or(0, |first| first & headers::POWER)
}

/// What a password costs. Where that is absurd no word of a mail is tried.
fn cost(power: u8) -> u64 {
    match power {
        // No rounds.
        headers::POWER => 1,
        0..=ABSURD => (1_u64 << power) / 4 + 1,
        _ => u64::MAX,
    }
}

/// For people.
fn cipher(power: u8) -> String {
    match power {
        0..=ABSURD | headers::POWER => "AES-256".to_owned(),
        _ => format!("AES-256, keys of 2^{power} rounds"),
    }
}

/// The checksums of all files, which the crate then compares no more.
fn take_checksums(archive: &mut Archive) -> Vec<Option<u32>> {
    for block in &mut archive.blocks {
        block.has_crc = false;
    }
    let take = |entry: &mut ArchiveEntry| {
        let is_there = std::mem::take(&mut entry.has_crc);
        u32::try_from(entry.crc).ok().filter(|_| is_there)
    };
    archive.files.iter_mut().map(take).collect()
}

fn is_file(entry: &ArchiveEntry) -> bool {
    !entry.is_directory() && !entry.is_anti_item()
}

struct Members<'a> {
    archive: &'a Archive,
    /// Of each of its files.
    checksums: Vec<Option<u32>>,
    object: &'a Object,
    input: Input,
    passwords: &'a Passwords<'a>,
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
            let power = power(block);
            let mut attempts = self.passwords.attempts(cost(power));
            while let Some(word) = attempts.next() {
                let Some(password) = password(word) else {
                    continue;
                };
                match self.opens(number, &password)? {
                    Fits::No => {}
                    Fits::Yes => {
                        attempts.ended(true);
                        return self.give(number, &password, children);
                    }
                    Fits::Untold => {
                        let detail = "no checksum tells whether the password is right".to_owned();
                        children.gap(None, Reason::Encrypted, detail)?;
                        return self.give(number, &password, children);
                    }
                }
            }
            attempts.ended(false);
            let detail = cipher(power) + self.passwords.untried();
            (Reason::Encrypted, detail)
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
    fn opens(&mut self, number: usize, password: &Password) -> io::Result<Fits> {
        let mut fits = Fits::No;
        let mut failure = None;
        let mut checksums = self.of_block(number);
        let mut first = |entry: &ArchiveEntry, content: &mut dyn Read| {
            let checksum = checksums.next().flatten();
            if entry.size() == 0 {
                return Ok(true);
            }
            let mut checked = Checked::new(content, entry.size(), checksum);
            match (io::copy(&mut checked, &mut io::sink()), checksum) {
                (Ok(_), Some(_)) => fits = Fits::Yes,
                (Ok(_), None) => fits = Fits::Untold,
                (Err(error), _) => failure = Some(error),
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

    /// The checksums of the files from the first one of a block on.
    fn of_block(&self, number: usize) -> impl Iterator<Item = Option<u32>> + use<> {
        let first = self.archive.stream_map.block_first_file_index.get(number);
        let checksums = first.and_then(|first| self.checksums.get(*first..));
        checksums.unwrap_or_default().to_vec().into_iter()
    }

    /// What a decoder has behind place `from` of a file before it fails, at most a step: asked for byte by byte, so that nothing
    /// is lost. The file is that of the given number among those of the block.
    fn tail(&self, block: usize, password: &Password, file: usize, from: u64) -> Vec<u8> {
        let mut tail = Vec::new();
        let mut number = 0;
        let mut each = |_: &ArchiveEntry, content: &mut dyn Read| {
            if number < file {
                number += 1;
                return Ok(true);
            }
            let before = io::copy(&mut content.take(from), &mut io::sink());
            let mut byte = [0];
            while before.is_ok() && tail.len() < STEP && matches!(content.read(&mut byte), Ok(1)) {
                tail.extend_from_slice(&byte);
            }
            Ok(false)
        };
        let mut input = self.object.reader();
        // It fails as it did before.
        let _ = BlockDecoder::new(1, block, self.archive, password, &mut input)
            .for_each_entries(&mut each);
        tail
    }

    fn give(
        &self,
        number: usize,
        password: &Password,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let mut given = 0_usize;
        let mut halt = None;
        let mut checksums = self.of_block(number).enumerate();
        let mut input = self.object.reader();
        let mut each = |entry: &ArchiveEntry, content: &mut dyn Read| {
            let (file, checksum) = checksums.next().unwrap_or_default();
            given += usize::from(entry.has_stream());
            if entry.is_anti_item() || (entry.is_directory() && !entry.has_stream()) {
                return Ok(true);
            }
            if !entry.has_stream() {
                // Given with all of its kind, at the end.
                return Ok(true);
            }
            let tail = |from| self.tail(number, password, file, from);
            let mut content = Whole {
                content: Checked::new(content, entry.size(), checksum),
                tail: &tail,
                rest: None,
            };
            let name = entry.name().as_bytes();
            let result = children.child(name, Content::Stream(&mut content));
            // A decoder that failed is never asked again: that of bzip2 aborts the process.
            let goes_on = !content.content.failed;
            if let Err(error) = result {
                halt = Some(error);
                return Ok(false);
            }
            Ok(goes_on)
        };
        let decoder = BlockDecoder::new(1, number, self.archive, password, &mut input);
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

/// Whether a password is that of a block.
enum Fits {
    No,
    Yes,
    /// It decodes, and no checksum says what should have come out.
    Untold,
}

/// A file, and whether it is as long as its archive says and has the right checksum.
struct Checked<'a> {
    inner: &'a mut dyn Read,
    size: u64,
    done: u64,
    checksum: Option<u32>,
    hasher: crc32fast::Hasher,
    failed: bool,
}

impl<'a> Checked<'a> {
    fn new(inner: &'a mut dyn Read, size: u64, checksum: Option<u32>) -> Self {
        Self {
            inner,
            size,
            done: 0,
            checksum,
            hasher: crc32fast::Hasher::new(),
            failed: false,
        }
    }

    /// Nothing more came, or all that should.
    fn at_end(&self) -> io::Result<usize> {
        let sum = self.hasher.clone().finalize();
        if self.done < self.size {
            let (done, size) = (self.done, self.size);
            return Err(super::damaged(format!("{done} bytes instead of {size}")));
        }
        match self.checksum.is_none_or(|checksum| checksum == sum) {
            true => Ok(0),
            false => Err(super::damaged("wrong checksum")),
        }
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(STEP);
        if most == 0 {
            return Ok(0);
        }
        let out = out.get_mut(..most).unwrap_or_default();
        let count = match self.done < self.size {
            true => self.inner.read(out).inspect_err(|_| self.failed = true)?,
            false => 0,
        };
        self.done += count as u64;
        self.hasher.update(out.get(..count).unwrap_or_default());
        match count {
            0 => self.at_end(),
            count => Ok(count),
        }
    }
}

/// A file, with what its decoder had before it failed.
struct Whole<'a> {
    content: Checked<'a>,
    tail: &'a dyn Fn(u64) -> Vec<u8>,
    /// After it failed: what is left of the tail, and why it failed.
    rest: Option<(io::Cursor<Vec<u8>>, String)>,
}

impl Read for Whole<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some((tail, why)) = &mut self.rest {
            return match tail.read(out)? {
                0 if !out.is_empty() => Err(super::damaged(why.clone())),
                count => Ok(count),
            };
        }
        let error = match self.content.read(out) {
            Ok(count) => return Ok(count),
            Err(error) => error,
        };
        let why = match Failure::of_io(error) {
            Failure::Io(error) => {
                self.rest = Some((io::Cursor::default(), error.to_string()));
                return Err(error);
            }
            Failure::Said(_, why) => why,
        };
        let tail = match self.content.failed {
            true => (self.tail)(self.content.done),
            false => vec![],
        };
        self.rest = Some((io::Cursor::new(tail), why));
        self.read(out)
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
