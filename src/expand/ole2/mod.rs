//! Compound files ([MS-CFB]): old documents of Office, messages of Outlook, installer packages.
//!
//! Read by our own cursor, for most of what is found in mail is damaged or odd in some place, and a reader that wants
//! all of the tables to be right opens nothing then. Streams are members. Beside them stand what is hidden in them:
//! source of Visual Basic (`NAME.bas`), packaged files, the objects of PowerPoint, the RTF of messages.
#![forbid(unsafe_code)]

mod directory;
mod hangul;
mod lzfu;
mod sectors;
mod vba;

use std::io::{self, BufRead, BufReader, Read};

use self::directory::{Directory, Entry};
use self::hangul::Hangul;
use self::sectors::{Area, Chain, Header, Sectors};
use self::vba::Source;
use super::inflate::Inflate;
use super::{Children, Container, Content, Expander, Halt, appended, damaged, is_damage, ole1};
use crate::bytes::Reader;
use crate::event::{Limit, NoteKind, Reason};
use crate::object::CHUNK;

const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// The fixed part of the header.
const HEADER: usize = 512;

/// The size below which a stream lies in small sectors (§2.2): the specification knows no other.
const CUTOFF: u32 = 4096;

/// The part of the memory that a module of Visual Basic may have.
const MODULE: u64 = 4;

/// The expander of compound files.
pub(super) struct Ole2;

impl Expander for Ole2 {
    fn kind(&self) -> &'static str {
        "ole2"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(header) = Header::parse(&head) else {
            return Err(Halt::Broken("the header is damaged".to_owned()));
        };
        let (mut sectors, wrong) = Sectors::open(object, header)?;
        let mut say = |what: String| children.gap(None, Reason::Corrupt, what);
        wrong.map_or(Ok(()), &mut say)?;
        if header.cutoff != CUTOFF {
            say(format!(
                "streams below {} bytes are small, it says",
                header.cutoff
            ))?;
        }
        let directory = Directory::read(&sectors, &header, container.memory / 2)?;
        directory.wrong.iter().cloned().try_for_each(&mut say)?;
        if let Some(root) = directory.entries.first() {
            let wrong = sectors.open_small(root.start, root.size)?;
            wrong.map_or(Ok(()), &mut say)?;
        }
        if directory.too_large {
            let detail = "a directory with too many entries".to_owned();
            children.gap(None, Reason::Limit(Limit::Memory), detail)?;
        }
        let mut file = Compound {
            sectors: &sectors,
            cutoff: header.cutoff,
            directory: &directory,
            projects: directory.projects(),
            modules: Vec::new(),
            memory: container.memory / MODULE,
            is_hangul: false,
        };
        file.read_projects()?;
        file.read_hangul(children)?;
        for entry in directory.entries.iter().filter(|entry| entry.is_stream()) {
            file.stream(entry, children)?;
        }
        file.unlisted(children)?;
        let (end, missing) = sectors.end()?;
        if missing > 0 {
            let detail = format!("{missing} sectors are missing at the end");
            children.gap(None, Reason::Corrupt, detail)?;
        }
        appended(object, end, children)
    }
}

/// What the streams of a file are told by.
struct Compound<'a> {
    sectors: &'a Sectors,
    cutoff: u32,
    directory: &'a Directory,
    /// The storages with Visual Basic, in order.
    projects: Vec<u32>,
    /// Where their modules have their source, as they say.
    modules: Vec<usize>,
    memory: u64,
    is_hangul: bool,
}

/// The bytes at the start of a stream by which it is told.
const HEAD: usize = 32;

impl<'a> Compound<'a> {
    fn chain(&self, entry: &Entry) -> Chain<'a> {
        let area = if entry.size < self.cutoff.into() {
            Area::Small
        } else {
            Area::Large
        };
        self.sectors.chain(area, entry.start, entry.size)
    }

    fn is_module(&self, entry: &Entry) -> bool {
        entry
            .parent
            .is_none_or(|parent| self.projects.binary_search(&parent).is_ok())
    }

    /// Reads what the projects say about their modules, wherever in the directory they stand.
    fn read_projects(&mut self) -> io::Result<()> {
        for entry in &self.directory.entries {
            if entry.is_stream() && self.is_module(entry) && is_dir(entry) {
                let (stream, _) = held(self.chain(entry), self.memory)?;
                let mut plain = Vec::new();
                // What comes before damage is enough.
                let _ = Source::new(&stream)
                    .take(self.memory)
                    .read_to_end(&mut plain);
                self.modules.extend(vba::offsets(&plain));
            }
        }
        self.modules.sort_unstable();
        self.modules.dedup();
        Ok(())
    }

    /// Looks whether it is a document of Hangul.
    fn read_hangul(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let is_header =
            |entry: &&Entry| entry.is_stream() && entry.name.eq_ignore_ascii_case(hangul::HEADER);
        // Each of that name: one that is none does not hide the other.
        for entry in self.directory.entries.iter().filter(is_header) {
            let header = ends_early(take(self.chain(entry), hangul::HEADER_LENGTH))?;
            let Some(hangul) = Hangul::read(&header) else {
                continue;
            };
            self.is_hangul = true;
            if hangul.encrypted {
                children.gap(None, Reason::Encrypted, "a document of Hangul".to_owned())?;
            }
        }
        Ok(())
    }

    /// What a stream of Hangul is when it is inflated; nothing for one that is as it is.
    fn inflated(
        &self,
        path: &str,
        chain: Chain<'a>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let mut inner = BufReader::with_capacity(CHUNK, Inflate::new(BufReader::new(chain)));
        let head = match inner.fill_buf() {
            Err(error) if is_damage(&error) => return Ok(()),
            head => head?,
        };
        if head.is_empty() {
            return Ok(());
        }
        // An object has its length in front of it.
        let is_object = head
            .get(hangul::OBJECT..)
            .is_some_and(|rest| rest.starts_with(MAGIC));
        if is_object {
            inner.consume(hangul::OBJECT);
        }
        let name = format!("{path}/inflated");
        children.child(name.as_bytes(), Content::Stream(&mut inner))
    }

    fn stream(&self, entry: &Entry, children: &mut dyn Children) -> Result<(), Halt> {
        let path = self.directory.path(entry);
        let chain = self.chain(entry);
        let head = ends_early(take(chain.clone(), HEAD as u64))?;
        if let Some(how) = encrypted(&entry.name, &head) {
            children.gap(Some(path.as_bytes()), Reason::Encrypted, how.to_owned())?;
        }
        if entry.name == "\x01Ole10Native" && self.package(&path, &chain, children)? {
            return Ok(());
        }
        give(path.as_bytes(), chain.clone(), children)?;
        // Also where the header calls them encrypted: what inflates is not.
        if self.is_hangul && Hangul::deflates(&path) {
            self.inflated(&path, chain.clone(), children)?;
        }
        if lzfu::begins(&head) {
            let mut rest = chain.clone();
            if rest.skip(lzfu::HEADER as u64).is_ok() {
                let mut text = lzfu::Lzfu::new(&head, BufReader::new(rest));
                let name = format!("{path}.rtf");
                children.child(name.as_bytes(), Content::Stream(&mut text))?;
            }
        }
        if entry.name.eq_ignore_ascii_case("PowerPoint Document") {
            self.slides(&path, chain, children)?;
        } else if self.is_module(entry) {
            self.module(entry, &path, children)?;
        }
        Ok(())
    }

    /// A packaged file: false when it is no package, and the stream is to be given as it is.
    fn package(
        &self,
        path: &str,
        chain: &Chain<'a>,
        children: &mut dyn Children,
    ) -> Result<bool, Halt> {
        /// The length of all that follows.
        const LENGTH: u64 = 4;
        let head = ends_early(take(chain.clone(), LENGTH + ole1::HEAD as u64))?;
        let inner = head.get(4..).unwrap_or_default();
        let claimed = Reader::new(&head).u32_le().unwrap_or_default();
        let found = ole1::package(inner).map(|package| {
            let name = [path.as_bytes(), b"/", &package.name].concat();
            (name, LENGTH + package.start, package.length)
        });
        // Objects of other classes have their data as it is.
        let data = || {
            let data = LENGTH + u64::from(claimed) == chain.left() && claimed > 0;
            data.then(|| (format!("{path}/data").into_bytes(), LENGTH, claimed.into()))
        };
        let Some((name, start, length)) = found.or_else(data) else {
            return Ok(false);
        };
        let header = head.get(..usize::try_from(start).unwrap_or_default());
        let mut header = header.unwrap_or(&head);
        children.child(path.as_bytes(), Content::Stream(&mut header))?;
        let mut data = chain.clone();
        if let Err(error) = data.skip(start) {
            return broken(&name, error, children).map(|()| true);
        }
        let short = data.left() < length;
        let mut rest = data.clone();
        let there = data.left().min(length);
        limited(&name, data, there, children)?;
        if short {
            let detail = format!("{there} of {length} bytes of the package are there");
            children.gap(Some(&name), Reason::Corrupt, detail)?;
        }
        // The same names in other letters, as a rule.
        if rest.skip(there).is_ok() && rest.left() > 0 {
            let name = format!("{path}/(rest)");
            give(name.as_bytes(), rest, children)?;
        }
        Ok(true)
    }

    /// The source in a module, or what `dir` says.
    fn module(&self, entry: &Entry, path: &str, children: &mut dyn Children) -> Result<(), Halt> {
        if entry.size == 0 {
            return Ok(());
        }
        let (stream, whole) = held(self.chain(entry), self.memory)?;
        if !whole {
            let detail = format!("a module of more than {} bytes", self.memory);
            children.gap(Some(path.as_bytes()), Reason::Limit(Limit::Memory), detail)?;
        }
        if is_dir(entry) {
            let name = format!("{path}.records");
            let content = Content::Stream(&mut Source::new(&stream));
            return children.child(name.as_bytes(), content);
        }
        let found = vba::containers(&stream, &self.modules);
        for (number, at) in (1..).zip(found) {
            let name = match number {
                1 => format!("{path}.bas"),
                number => format!("{path}-{number}.bas"),
            };
            let mut source = Source::new(stream.get(at..).unwrap_or_default());
            children.child(name.as_bytes(), Content::Stream(&mut source))?;
        }
        Ok(())
    }

    /// The objects in a presentation ([MS-PPT] §2.10.34), wherever in the stream their headers stand: the records around
    /// them may be damaged.
    fn slides(
        &self,
        path: &str,
        mut chain: Chain<'a>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        /// Version and instance, type, length, and of a compressed one its size and the start of a zlib stream.
        const RECORD: usize = 14;
        const TYPE: &[u8] = b"\x11\x10";
        let mut number = 0;
        while chain.left() > 0 {
            let window = ends_early(take(chain.clone(), CHUNK as u64))?;
            let is_last = window.len() < CHUNK;
            let end = if is_last {
                window.len()
            } else {
                CHUNK - RECORD
            };
            for at in memchr::memmem::find_iter(&window, TYPE) {
                let Some(start) = at.checked_sub(2).filter(|start| *start < end) else {
                    continue;
                };
                let Some(record) = window.get(start..).and_then(Record::parse) else {
                    continue;
                };
                number += 1;
                let name = format!("{path}/{number}");
                let mut data = chain.clone();
                match data.skip(start as u64 + record.header) {
                    Ok(()) => record.give(name.as_bytes(), data, children)?,
                    Err(error) => broken(name.as_bytes(), error, children)?,
                }
            }
            // Damage has been said when the stream was given.
            if is_last || chain.skip(end as u64).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Says that there are streams that the tree of the directory does not lead to: they have been given, too.
    fn unlisted(&self, children: &mut dyn Children) -> Result<(), Halt> {
        let streams = self.directory.entries.iter();
        let count = streams
            .filter(|entry| entry.is_stream() && entry.parent.is_none() && entry.size > 0)
            .count();
        if count == 0 {
            return Ok(());
        }
        let detail = format!("{count} streams are in no storage");
        children.note(NoteKind::Ambiguous("ole2-unlisted".to_owned()), detail)
    }
}

fn is_dir(entry: &Entry) -> bool {
    entry.name.eq_ignore_ascii_case("dir")
}

/// Says why a document cannot be read, although its streams can.
fn encrypted(name: &str, head: &[u8]) -> Option<&'static str> {
    let word = |at: usize| Reader::new(head.get(at..)?).u16_le();
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    if is("EncryptedPackage") {
        return Some("a document of Office 2007 or later");
    }
    // [MS-DOC] §2.5.2, the bit fEncrypted.
    if is("WordDocument")
        && word(0) == Some(0xa5ec)
        && word(10).is_some_and(|bits| bits & 0x100 != 0)
    {
        return Some("a document of Word");
    }
    // [MS-XLS] §2.4.117: FilePass comes behind the first record.
    if is("Workbook") || is("Book") {
        let first = word(2).map_or(0, |length| usize::from(length) + 4);
        let begins = word(0).is_some_and(|kind| kind & 0xff == 9);
        return (begins && word(first) == Some(0x2f)).then_some("a workbook of Excel");
    }
    // [MS-PPT] §2.3.2, headerToken.
    let token = head.get(12..16) == Some(&[0xdf, 0xc4, 0xd1, 0xf3]);
    (is("Current User") && token).then_some("a presentation of PowerPoint")
}

/// An object in a presentation.
struct Record {
    header: u64,
    /// Bytes behind the header.
    length: u64,
    /// The size that a compressed one has, it says.
    size: Option<u64>,
}

impl Record {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let instance = reader.u32_le()?;
        let length = u64::from(reader.u32_le()?);
        match instance {
            0x1011_0010 => {
                let size = reader.u32_le()?;
                let zlib = u16::from_be_bytes(reader.array()?);
                (zlib >> 8 & 0x0f == 8 && zlib % 31 == 0 && length > 6).then(|| Self {
                    header: 14,
                    length: length - 6,
                    size: Some(size.into()),
                })
            }
            0x1011_0000 => reader.rest().starts_with(&[0xd0, 0xcf]).then_some(Self {
                header: 8,
                length,
                size: None,
            }),
            _ => None,
        }
    }

    fn give(&self, name: &[u8], data: Chain<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let short = data.left() < self.length;
        let Some(size) = self.size else {
            let there = data.left().min(self.length);
            limited(name, data, there, children)?;
            if short {
                let detail = "the object goes on behind the end of its stream".to_owned();
                children.gap(Some(name), Reason::Corrupt, detail)?;
            }
            return Ok(());
        };
        let mut inflated = Sized {
            inner: Inflate::new(BufReader::with_capacity(4096, data.take(self.length))),
            left: size,
            failed: false,
        };
        children.child(name, Content::Stream(&mut inflated))
    }
}

/// Compares the size that something has with the one that it says.
struct Sized<R> {
    inner: R,
    left: u64,
    failed: bool,
}

impl<R: Read> Read for Sized<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.failed |= count as u64 > self.left;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && !out.is_empty() && (self.failed || self.left > 0) {
            return Err(damaged("the size of the object differs"));
        }
        Ok(count)
    }
}

/// Gives a stream: as a part of the file where it lies in one piece.
fn give(name: &[u8], mut chain: Chain<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    match chain.whole()? {
        Some(object) => children.child(name, Content::Object(object)),
        None => children.child(name, Content::Stream(&mut chain)),
    }
}

/// As [`give`], of the next `length` bytes.
fn limited(
    name: &[u8],
    chain: Chain<'_>,
    length: u64,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match chain.whole()? {
        Some(object) => children.child(name, Content::Object(object.slice(0, length))),
        None => children.child(name, Content::Stream(&mut chain.take(length))),
    }
}

fn broken(name: &[u8], error: io::Error, children: &mut dyn Children) -> Result<(), Halt> {
    if is_damage(&error) {
        return children.gap(Some(name), Reason::Corrupt, error.to_string());
    }
    Err(error.into())
}

/// The next `length` bytes, or as many as there are before damage.
fn take(chain: Chain<'_>, length: u64) -> (Vec<u8>, io::Result<usize>) {
    let mut bytes = Vec::new();
    let read = chain.take(length).read_to_end(&mut bytes);
    (bytes, read)
}

/// What was read, where damage is said by somebody else.
fn ends_early((bytes, read): (Vec<u8>, io::Result<usize>)) -> io::Result<Vec<u8>> {
    match read {
        Err(error) if !is_damage(&error) => Err(error),
        _ => Ok(bytes),
    }
}

/// A stream in memory, or the start of it, and whether that is all that memory allows.
fn held(chain: Chain<'_>, memory: u64) -> io::Result<(Vec<u8>, bool)> {
    let claimed = chain.left();
    let bytes = ends_early(take(chain, memory))?;
    // A size that is a lie ends with the sectors.
    let whole = claimed <= memory || (bytes.len() as u64) < memory;
    Ok((bytes, whole))
}

#[cfg(test)]
mod tests;
