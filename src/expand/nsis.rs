//! NSIS installers, as their own source files `Source/exehead/fileform.h` and `Source/exehead/config.h` (zlib licence) have
//! the format: a first header, the compressed header of the script, and the files.
//!
//! Files are given in the order in which they are stored, whatever the script does with them; the script gives them names.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};

use super::inflate::Inflate;
use super::stream::{Input, Lzma};
use super::{Children, Container, Content, Expander, Halt, cut_short, is_damage, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::Object;

const MAGIC: &[u8] = b"\xef\xbe\xad\xdeNullsoftInst";

/// The first header.
const FIRST: u64 = 28;

/// No checksum stands at the end.
const NO_SUM: u32 = 4;

/// A length whose highest bit says that what follows is compressed.
const COMPRESSED: u32 = 1 << 31;

/// What an entry of the script does.
const EXTRACT: u32 = 20;
const FOLDER: u32 = 11;
const UNINSTALLER: u32 = 62;

/// Words of an entry: what it does, and its arguments.
const WORDS: usize = 7;

/// The longest name.
const NAME: usize = 1024;

/// Memory that one name takes beside its bytes, more or less.
const COST: u64 = 64;

/// The expander of NSIS.
pub(super) struct Nsis;

impl Expander for Nsis {
    fn kind(&self) -> &'static str {
        "nsis"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, FIRST as usize + 16)?;
        let Some(first) = First::of(&head) else {
            return Err(Halt::Unlike);
        };
        let end = u64::from(first.all);
        let data_end = if first.flags & NO_SUM == 0 {
            end.saturating_sub(4)
        } else {
            end
        };
        let data = object.slice(FIRST, data_end.saturating_sub(FIRST));
        let start = head.get(FIRST as usize..).unwrap_or_default();
        if u64::from(first.header) > container.memory / 4 {
            let detail = format!("a header of {} bytes", first.header);
            return children.gap(None, Reason::Limit(Limit::Memory), detail);
        }
        let done = match Form::of(start, first.header) {
            Some((method, true)) => solid(container, &data, method, first.header, children),
            Some((method, false)) => apart(container, &data, method, first.header, children),
            None => {
                let reason = Reason::Unsupported("nsis-method".to_owned());
                children.gap(
                    None,
                    reason,
                    "a compression method that is not known".to_owned(),
                )
            }
        };
        done?;
        if end > object.length() {
            let detail = format!("{} of {end} bytes are there", object.length());
            return children.gap(None, Reason::Corrupt, detail);
        }
        if end < object.length() {
            return trailing(object, end, children);
        }
        Ok(())
    }
}

/// Whether the first header is sound: flags that exist, and lengths that can be.
pub(super) fn is_sound(head: &[u8], length: u64) -> bool {
    First::of(head).is_some_and(|first| {
        let room = u64::from(first.all) <= length.saturating_add(u64::from(first.all) / 2);
        room && first.flags & !0x1f == 0 && first.header >= 68 && first.all > 32
    })
}

/// The first header.
struct First {
    flags: u32,
    /// Bytes of the script's header, once it is decompressed.
    header: u32,
    /// Bytes of all, this header too.
    all: u32,
}

impl First {
    fn of(head: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(head);
        let flags = reader.u32_le()?;
        (reader.take(MAGIC.len())? == MAGIC).then_some(())?;
        Some(Self {
            flags,
            header: reader.u32_le()?,
            all: reader.u32_le()?,
        })
    }
}

/// How contents are compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Stored,
    Deflate,
    Lzma,
    /// A form of bzip2 of its own.
    Bzip2,
    /// LZMA behind a filter for calls and jumps.
    Filtered,
}

/// What is told by the first bytes behind the first header.
struct Form;

impl Form {
    /// The method, and whether all is one stream.
    fn of(start: &[u8], header: u32) -> Option<(Method, bool)> {
        if let Some(method) = Self::marked(start) {
            return Some((method, true));
        }
        let mut reader = Reader::new(start);
        let length = reader.u32_le()?;
        if length == header {
            return Some((Method::Stored, false));
        }
        if length & COMPRESSED != 0 && length & !COMPRESSED <= header.saturating_add(4096) {
            let method = Self::marked(reader.rest()).unwrap_or(Method::Deflate);
            return Some((method, false));
        }
        Some((Method::Deflate, true))
    }

    /// A method that has a beginning of its own.
    fn marked(bytes: &[u8]) -> Option<Method> {
        match bytes {
            [0x5d, 0, 0, _, 0, ..] => Some(Method::Lzma),
            [0 | 1, 0x5d, 0, 0, _, 0, ..] => Some(Method::Filtered),
            [0x31, below, ..] if *below < 0x0e => Some(Method::Bzip2),
            _ => None,
        }
    }
}

/// A stream of decompressed bytes from the first byte of `data` on, or why there is none.
fn decoder(data: &Object, method: Method, memory: u64) -> Result<Box<dyn Read>, Refusal> {
    let unknown = |what: &str| {
        let reason = Reason::Unsupported(format!("nsis-{what}"));
        Err(Refusal::Gap(
            reason,
            format!("compressed by {what} of its own form"),
        ))
    };
    match method {
        Method::Stored => Ok(Box::new(data.reader())),
        Method::Deflate => Ok(Box::new(Inflate::new(BufReader::new(data.raw_reader())))),
        Method::Bzip2 => unknown("bzip2"),
        Method::Filtered => unknown("filter"),
        Method::Lzma => {
            let mut input = Input::new(Box::new(data.raw_reader()));
            let [properties, a, b, c, d] = input.array("LZMA properties")?;
            let dictionary = u32::from_le_bytes([a, b, c, d]);
            if u64::from(dictionary) > memory {
                let detail = format!("a dictionary of {dictionary} bytes");
                return Err(Refusal::Gap(Reason::Limit(Limit::Memory), detail));
            }
            let lzma = Lzma::new(input, u64::MAX, properties, dictionary, memory)?;
            Ok(Box::new(lzma))
        }
    }
}

/// Why nothing is decoded.
enum Refusal {
    Gap(Reason, String),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Says what was refused.
fn refused(name: Option<&[u8]>, refusal: Refusal, children: &mut dyn Children) -> Result<(), Halt> {
    match refusal {
        Refusal::Gap(reason, detail) => children.gap(name, reason, detail),
        Refusal::Io(error) if is_damage(&error) => {
            children.gap(name, Reason::Corrupt, error.to_string())
        }
        Refusal::Io(error) => Err(error.into()),
    }
}

/// The script's header out of a stream; shorter when that is damaged.
fn script(stream: &mut dyn Read, length: u32) -> io::Result<(Vec<u8>, Option<io::Error>)> {
    let mut bytes = Vec::new();
    let damage = match stream.take(length.into()).read_to_end(&mut bytes) {
        Ok(_) => None,
        Err(error) if is_damage(&error) => Some(error),
        Err(error) => return Err(error),
    };
    Ok((bytes, damage))
}

/// What the script's header is called.
const HEADER: &[u8] = b"(header)";

/// Gives the header, and the names in it.
fn header(
    stream: &mut dyn Read,
    length: u32,
    memory: u64,
    children: &mut dyn Children,
) -> Result<Option<Names>, Halt> {
    let (bytes, damage) = script(stream, length)?;
    children.child(HEADER, Content::Stream(&mut bytes.as_slice()))?;
    let names = Names::of(&bytes, memory / 8).unwrap_or_default();
    let damage = match damage {
        None if (bytes.len() as u64) < u64::from(length) => Some(cut_short("the header is cut")),
        damage => damage,
    };
    match damage {
        Some(error) => {
            children.gap(Some(HEADER), Reason::Corrupt, error.to_string())?;
            Ok(None)
        }
        None => Ok(Some(names)),
    }
}

/// All contents in one stream: each behind its length, the header first.
fn solid(
    container: &Container<'_>,
    data: &Object,
    method: Method,
    length: u32,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let mut stream = match decoder(data, method, container.memory) {
        Ok(stream) => Counted {
            inner: stream,
            failed: false,
        },
        Err(refusal) => return refused(None, refusal, children),
    };
    match number(&mut stream) {
        Ok(Some(said)) if said == length => {}
        Ok(_) => {
            return Err(Halt::Broken(
                "the header's length is not where it should be".to_owned(),
            ));
        }
        Err(error) if is_damage(&error) => return Err(Halt::Broken(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    let Some(names) = header(&mut stream, length, container.memory, children)? else {
        return Ok(());
    };
    let mut at = 0_u64;
    loop {
        let length = match number(&mut stream) {
            Ok(Some(length)) => length,
            Ok(None) => return Ok(()),
            Err(error) if is_damage(&error) => {
                return children.gap(None, Reason::Corrupt, error.to_string());
            }
            Err(error) => return Err(error.into()),
        };
        let name = names.name(at);
        let mut content = Exactly {
            inner: &mut stream,
            left: length.into(),
        };
        children.child(&name, Content::Stream(&mut content))?;
        // Up to its end, for whoever did not read that far.
        if !content.inner.failed {
            let _ = io::copy(&mut content, &mut io::sink());
        }
        if stream.failed {
            let detail = "behind a damaged file of the same stream".to_owned();
            return children.gap(None, Reason::Corrupt, detail);
        }
        at = at.saturating_add(4).saturating_add(length.into());
    }
}

/// Each content for itself behind its length, which says whether it is compressed.
fn apart(
    container: &Container<'_>,
    data: &Object,
    method: Method,
    length: u32,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let block = |at: u64| -> io::Result<Option<(Object, bool, u64)>> {
        let head = data.bytes_at(at, 4)?;
        let Some(said) = Reader::new(&head).u32_le() else {
            return Ok(None);
        };
        let length = u64::from(said & !COMPRESSED);
        let start = at.saturating_add(4);
        let next = start.saturating_add(length);
        Ok(Some((
            data.slice(start, length),
            said & COMPRESSED != 0,
            next,
        )))
    };
    let Some((first, compressed, files)) = block(0)? else {
        return Err(Halt::Broken("the header is cut".to_owned()));
    };
    let used = if compressed { method } else { Method::Stored };
    let names = match decoder(&first, used, container.memory) {
        Ok(mut stream) => {
            header(&mut stream, length, container.memory, children)?.unwrap_or_default()
        }
        Err(refusal) => {
            refused(Some(HEADER), refusal, children)?;
            Names::default()
        }
    };
    let mut at = files;
    while at < data.length() {
        let name = names.name(at - files);
        let Some((content, compressed, next)) = block(at)? else {
            let detail = "a file's length is cut".to_owned();
            return children.gap(Some(&name), Reason::Corrupt, detail);
        };
        let cut = next > data.length();
        if compressed {
            match decoder(&content, method, container.memory) {
                Ok(mut stream) => children.child(&name, Content::Stream(&mut stream))?,
                Err(refusal) => refused(Some(&name), refusal, children)?,
            }
        } else {
            children.child(&name, Content::Object(content))?;
        }
        if cut {
            let detail = "the file goes on behind the end".to_owned();
            return children.gap(Some(&name), Reason::Corrupt, detail);
        }
        at = next;
    }
    Ok(())
}

/// Remembers that it failed: a decoder is not asked again.
struct Counted {
    inner: Box<dyn Read>,
    failed: bool,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(super::damaged("damaged data"));
        }
        let read = self.inner.read(out);
        self.failed = read.is_err();
        read
    }
}

/// A file of a known length.
struct Exactly<'a> {
    inner: &'a mut Counted,
    left: u64,
}

impl Read for Exactly<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(out)?;
        if count == 0 {
            self.inner.failed = true;
            return Err(cut_short("the stream ends before the file does"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// The next length; nothing at the end.
fn number(stream: &mut Counted) -> io::Result<Option<u32>> {
    let mut bytes = [0; 4];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(cut_short("a file's length is cut")),
            count => filled += count,
        }
    }
    Ok(Some(u32::from_le_bytes(bytes)))
}

/// The names that the script gives to contents, by their places.
#[derive(Default)]
struct Names(BTreeMap<u64, Vec<u8>>);

impl Names {
    fn name(&self, at: u64) -> Vec<u8> {
        let known = self.0.get(&at).cloned();
        known.unwrap_or_else(|| format!("(data at 0x{at:x})").into_bytes())
    }

    /// Flags, then place and count of eight tables: the third are the entries, the fourth the texts. Many entries may share one
    /// long text: names beyond `room` bytes are not kept.
    fn of(header: &[u8], mut room: u64) -> Option<Self> {
        let mut reader = Reader::new(header);
        reader.take(4)?;
        let mut tables = [(0, 0); 8];
        for table in &mut tables {
            *table = (reader.u32_le()?, reader.u32_le()?);
        }
        let [_, _, (entries, count), (texts, _), (texts_end, _), ..] = tables;
        let texts = header.get(texts as usize..)?;
        let texts = texts
            .get(..(texts_end as usize).checked_sub(header.len() - texts.len())?)
            .unwrap_or(texts);
        let entries = header.get(entries as usize..)?;
        let rows = entries.chunks_exact(WORDS * 4).take(count as usize);
        let texts = Texts::of(texts);
        let mut names = BTreeMap::new();
        let mut folder = Vec::new();
        let mut base = Vec::new();
        for row in rows {
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(row.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes);
            }
            let mut named = None;
            match words {
                [FOLDER, path, 1, ..] => {
                    folder = texts.text(path);
                    // The folder before, which scripts save when they go into those below it.
                    match folder.strip_prefix(b"$_OUTDIR") {
                        Some(below) => folder = [&base, below].concat(),
                        None => base.clone_from(&folder),
                    }
                }
                [EXTRACT, _, name, at, ..] => {
                    let name = texts.text(name);
                    let mut path = folder.clone();
                    if name.starts_with(b"$") || path.is_empty() {
                        path = name;
                    } else {
                        path.push(b'/');
                        path.extend(name);
                    }
                    named = Some((at, path));
                }
                [UNINSTALLER, name, at, ..] => named = Some((at, texts.text(name))),
                _ => {}
            }
            let Some((at, name)) = named else { continue };
            let Some(left) = room.checked_sub(COST + name.len() as u64) else {
                break;
            };
            room = left;
            names.entry(at.into()).or_insert(name);
        }
        Some(Self(names))
    }
}

/// The variables that have names; those before them are registers.
const VARIABLES: [&str; 12] = [
    "$CMDLINE",
    "$INSTDIR",
    "$OUTDIR",
    "$EXEDIR",
    "$LANGUAGE",
    "$TEMP",
    "$PLUGINSDIR",
    "$EXEPATH",
    "$EXEFILE",
    "$HWNDPARENT",
    "$_CLICK",
    "$_OUTDIR",
];

/// The table of texts.
struct Texts<'a> {
    bytes: &'a [u8],
    wide: bool,
}

/// Codes of version 3 in texts, and of version 2 in theirs.
#[derive(Clone, Copy)]
enum Special {
    Language,
    Shell,
    Variable,
    Skip,
}

impl<'a> Texts<'a> {
    /// The first text is empty: in two bytes it is one of 16 bits.
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            wide: bytes.starts_with(&[0, 0]),
        }
    }

    fn special(&self, unit: u16) -> Option<Special> {
        // Version 2 has no texts of 16 bits but in a build of its own.
        Some(match (unit, self.wide) {
            (1, _) | (255, false) | (0xe003, true) => Special::Language,
            (2, _) | (254, false) | (0xe002, true) => Special::Shell,
            (3, _) | (253, false) | (0xe001, true) => Special::Variable,
            (4, _) | (252, false) | (0xe000, true) => Special::Skip,
            _ => return None,
        })
    }

    /// The text at a place, with its variables by name and slashes.
    fn text(&self, at: u32) -> Vec<u8> {
        let width = if self.wide { 2 } else { 1 };
        let bytes = (at as usize)
            .checked_mul(width)
            .and_then(|at| self.bytes.get(at..));
        let mut units = bytes
            .unwrap_or_default()
            .chunks_exact(width)
            .map(|unit| match unit {
                [low, high] => u16::from_le_bytes([*low, *high]),
                [byte] => (*byte).into(),
                _ => 0,
            });
        let mut text: Vec<u8> = Vec::new();
        let mut letters: Vec<u16> = Vec::new();
        let flush = |letters: &mut Vec<u16>, text: &mut Vec<u8>| {
            text.extend(String::from_utf16_lossy(letters).into_bytes());
            letters.clear();
        };
        while let Some(unit) = units.next().filter(|unit| *unit != 0) {
            if text.len() + letters.len() > NAME {
                break;
            }
            let Some(special) = self.special(unit) else {
                let unit = if unit == u16::from(b'\\') {
                    u16::from(b'/')
                } else {
                    unit
                };
                if self.wide {
                    letters.push(unit);
                } else {
                    text.push(unit.to_le_bytes()[0]);
                }
                continue;
            };
            flush(&mut letters, &mut text);
            // A number of 14 bits, in one unit or in two.
            let mut next = || units.next().unwrap_or_default();
            let number = if self.wide {
                let word = next();
                (word & 0x7f) | (word >> 8 & 0x7f) << 7
            } else {
                let (low, high) = (next(), next());
                (low & 0x7f) | (high & 0x7f) << 7
            };
            match special {
                Special::Skip => text.push(number.to_le_bytes()[0]),
                Special::Variable => {
                    let name = usize::from(number).checked_sub(20);
                    let name = name.and_then(|name| VARIABLES.get(name).copied());
                    let name = name.map_or_else(|| format!("$_{number}_"), ToOwned::to_owned);
                    text.extend(name.into_bytes());
                }
                Special::Shell => text.extend(format!("$SHELL{number}").into_bytes()),
                Special::Language => text.extend(format!("$LANG{number}").into_bytes()),
            }
        }
        flush(&mut letters, &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Folder, Recorder, expand, tool, tree, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Nsis, bytes, b"setup")
    }

    /// The part of an installer behind its program.
    fn made(folder: &Folder, compressor: &str) -> Vec<u8> {
        let script = format!(
            "{compressor}\nUnicode true\nName x\nOutFile x.exe\nInstallDir $TEMP\nRequestExecutionLevel user\n\
             Section\nSetOutPath $INSTDIR\nFile /r tree\nSectionEnd\n"
        );
        folder.write("x.nsi", script.as_bytes());
        folder.run("env", &["LC_ALL=C.UTF-8", "makensis", "-V1", "x.nsi"]);
        let program = folder.read("x.exe");
        let at = memchr::memmem::rfind(&program, MAGIC).unwrap();
        program[at - 4..].to_vec()
    }

    const COMPRESSORS: [&str; 5] = [
        "SetCompressor zlib",
        "SetCompressor /SOLID zlib",
        "SetCompressor lzma",
        "SetCompressor /SOLID lzma",
        "SetCompress off",
    ];

    #[test]
    fn installers_of_the_real_program_open() {
        let Some(folder) = tool("makensis") else {
            return;
        };
        let files = tree(&folder, 9);
        for compressor in COMPRESSORS {
            let got = run(&made(&folder, compressor));
            assert_eq!(got.gaps, [], "{compressor}");
            for (name, content) in &files {
                let given = got.children.iter().find(|(_, given)| given == content);
                let (given, _) = given.unwrap_or_else(|| panic!("{compressor}: {name} is missing"));
                // What is there twice is stored once, by the name of the first.
                if files.iter().filter(|(_, other)| other == content).count() == 1 {
                    let path = format!("$INSTDIR/{name}");
                    assert_eq!(String::from_utf8_lossy(given), path, "{compressor}");
                }
            }
        }
        for compressor in ["SetCompressor bzip2", "SetCompressor /SOLID bzip2"] {
            let got = run(&made(&folder, compressor));
            let said = got
                .reasons()
                .iter()
                .all(|reason| *reason == "unsupported/nsis-bzip2");
            assert!(said && !got.gaps.is_empty(), "{compressor}: {:?}", got.gaps);
        }
    }

    #[test]
    fn damage_is_withstood_and_a_cut_is_said() {
        let Some(folder) = tool("makensis") else {
            return;
        };
        folder.write("tree/one", b"one ".repeat(100).as_slice());
        folder.write("tree/two", b"two");
        for compressor in COMPRESSORS {
            let bytes = made(&folder, compressor);
            assert_eq!(withstand(&Nsis, &bytes, b"x"), [0_usize; 0], "{compressor}");
        }
    }

    /// Entries of a script that all have one long text for their name.
    #[test]
    fn names_that_share_a_text_stay_within_their_room() {
        const COUNT: u32 = 100;
        let texts = 68 + COUNT * 28;
        let mut header = vec![0; 4];
        for (at, count) in [(0, 0), (0, 0), (68, COUNT), (texts, 0), (texts + 1000, 0)] {
            header.extend([at, count].map(u32::to_le_bytes).concat());
        }
        header.resize(68, 0);
        for at in 0..COUNT {
            header.extend([EXTRACT, 0, 1, at, 0, 0, 0].map(u32::to_le_bytes).concat());
        }
        header.push(0);
        header.extend([b'n'; 999]);
        let kept = |room| Names::of(&header, room).unwrap().0.len();
        assert_eq!(kept(10 * (COST + 999)), 10);
        assert_eq!(kept(1 << 20), 100);
    }
}
