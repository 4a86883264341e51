//! What PyInstaller makes of a script and all that it needs: an archive behind its bootloader, and in it an archive of modules.
//!
//! As PyInstaller's own `CArchiveReader` and `ZlibArchiveReader` read them (PyInstaller/archive/readers.py). The names of modules
//! lie in a table that only Python reads; they are given by their numbers.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::stream::{Input, Pieces, ZLIB};
use super::{Children, Container, Content, Expander, Halt, Member, is_damage};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{Object, TAIL};

/// Stands near the end of the program.
const COOKIE: &[u8] = b"MEI\x0c\x0b\x0a\x0b\x0e";
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(COOKIE));

/// The lengths that a cookie has had: now it names a library, too.
const COOKIES: [u64; 2] = [88, 24];

/// An archive of modules.
const MODULES: &[u8] = b"PYZ\0";

/// Its header: the magic, that of Python, and the place of the table. What else there is differs by version.
const MODULES_HEADER: u64 = 12;

/// Bytes behind that header in which the first module begins.
const PADDING: usize = 16;

/// The fixed fields of an entry in the table.
const ENTRY: usize = 18;

/// The longest name.
const NAME: u32 = 1 << 16;

/// The expander of PyInstaller's archives.
pub(super) struct PyInstaller;

impl Expander for PyInstaller {
    fn kind(&self) -> &'static str {
        "pyinstaller"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if object.bytes_at(0, MODULES.len())? == MODULES {
            return modules(container, children);
        }
        let tail = object.length().saturating_sub(TAIL as u64);
        let Some(package) = Package::find(&object.bytes_at(tail, TAIL)?, object.length()) else {
            return Err(Halt::Unlike);
        };
        let mut at = package.table;
        while at < package.table_end {
            let Some(entry) = Entry::read(object, at, package.table_end)? else {
                let detail = format!("a damaged entry of the table at byte {at}");
                return children.gap(None, Reason::Corrupt, detail);
            };
            at = at.saturating_add(entry.length.into());
            package.give(container, &entry, children)?;
        }
        Ok(())
    }
}

/// Where an archive lies in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Package {
    start: u64,
    table: u64,
    table_end: u64,
    /// The cookie.
    end: u64,
}

impl Package {
    /// Finds the last cookie whose numbers can be. `tail` is the end of a content of this length.
    pub(super) fn find(tail: &[u8], length: u64) -> Option<Self> {
        let from = length.checked_sub(tail.len() as u64)?;
        // Forwards it is seen sooner that there is none, as in most contents.
        FINDER.find(tail)?;
        memchr::memmem::rfind_iter(tail, COOKIE).find_map(|place| {
            let mut reader = Reader::new(tail.get(place + COOKIE.len()..)?);
            let mut number = || Some(u64::from(u32::from_be_bytes(reader.array()?)));
            let (package, table, table_length) = (number()?, number()?, number()?);
            let end = from.checked_add(place as u64)?;
            COOKIES.iter().find_map(|cookie| {
                let start = end.checked_add(*cookie)?.checked_sub(package)?;
                let table = start.checked_add(table)?;
                let found = Self {
                    start,
                    table,
                    table_end: table.checked_add(table_length)?,
                    end,
                };
                // The table ends where the cookie begins: only with the right length of the cookie.
                (table_length > 0 && found.table_end == end).then_some(found)
            })
        })
    }

    fn give(
        &self,
        container: &Container<'_>,
        entry: &Entry,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let name = &entry.name;
        children.about(&Member {
            name,
            compressed: Some(entry.compressed.into()),
            size: Some(entry.size.into()),
            ..Member::default()
        })?;
        // Options, links and what lies in other files have a name only.
        if entry.compressed == 0 {
            return match entry.size {
                0 if matches!(entry.kind, b'o' | b'd' | b'n' | b'l') => Ok(()),
                _ => children.child(name, Content::Stream(&mut io::empty())),
            };
        }
        let at = self.start.saturating_add(entry.at.into());
        let raw = container.object.slice(at, entry.compressed.into());
        if at.saturating_add(entry.compressed.into()) > self.end {
            let detail = "it does not lie in the archive".to_owned();
            children.gap(Some(name), Reason::Corrupt, detail)?;
        }
        if entry.is_compressed {
            return decoded(&raw, name, Some(entry.size), container.memory, children).map(drop);
        }
        children.child(name, Content::Object(raw))
    }
}

/// An entry of the table.
struct Entry {
    /// Bytes in the table.
    length: u32,
    at: u32,
    compressed: u32,
    size: u32,
    is_compressed: bool,
    kind: u8,
    name: Vec<u8>,
}

impl Entry {
    fn read(object: &Object, at: u64, end: u64) -> io::Result<Option<Self>> {
        let fixed = object.bytes_at(at, ENTRY)?;
        let mut reader = Reader::new(&fixed);
        let mut number = || reader.array().map(u32::from_be_bytes);
        let numbers = (number(), number(), number(), number());
        let (Some(length), Some(place), Some(compressed), Some(size)) = numbers else {
            return Ok(None);
        };
        let (Some([flag, kind]), fits) = (
            reader.array(),
            at.checked_add(length.into())
                .is_some_and(|next| next <= end),
        ) else {
            return Ok(None);
        };
        let Some(name) = length
            .checked_sub(ENTRY as u32)
            .filter(|name| fits && *name <= NAME)
        else {
            return Ok(None);
        };
        let from = at.saturating_add(ENTRY as u64);
        let name = object.bytes_at(from, usize::try_from(name).unwrap_or_default())?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Some(Self {
            length,
            at: place,
            compressed,
            size,
            is_compressed: flag != 0,
            kind,
            name: name.to_vec(),
        }))
    }
}

/// Gives the modules of an archive, one after the other as they lie there.
fn modules(container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
    let object = container.object;
    let place = object.bytes_at(8, 4)?.try_into().map(u32::from_be_bytes);
    let end = place.map_or(u64::MAX, u64::from);
    // Behind them is the table.
    if end >= object.length() {
        let detail = format!("it ends after {} bytes, before its table", object.length());
        children.gap(None, Reason::Corrupt, detail)?;
    }
    let end = end.min(object.length());
    if end <= MODULES_HEADER {
        let detail = "its table is where its header is".to_owned();
        return children.gap(None, Reason::Corrupt, detail);
    }
    let head = object.bytes_at(MODULES_HEADER, PADDING)?;
    let first = head.windows(2).position(is_zlib).unwrap_or_default();
    let mut at = MODULES_HEADER.saturating_add(first as u64);
    let mut number = 0_u64;
    while at < end {
        let rest = object.slice(at, end - at);
        if !is_zlib(&rest.bytes_at(0, 2)?) {
            // Older versions encrypt them, if they are told to.
            let reason = Reason::Unsupported("pyinstaller-modules".to_owned());
            let detail = format!("{} bytes that are no compressed module", rest.length());
            return children.gap(None, reason, detail);
        }
        number += 1;
        let name = format!("(module {number})");
        let used = decoded(&rest, name.as_bytes(), None, container.memory, children)?;
        let Some(used) = used.filter(|used| *used > 0) else {
            return Ok(());
        };
        at = at.saturating_add(used);
    }
    Ok(())
}

/// The two bytes that begin a stream of zlib with its usual window.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, flags, ..] if (0x7800 | u16::from(*flags)) % 31 == 0)
}

/// Gives what the zlib stream at the start of `raw` holds. Gives the bytes that it takes, if something follows it; that is in order
/// where there is no `size`.
fn decoded(
    raw: &Object,
    name: &[u8],
    size: Option<u32>,
    memory: u64,
    children: &mut dyn Children,
) -> Result<Option<u64>, Halt> {
    let input = Input::new(Box::new(raw.raw_reader()));
    let mut pieces = match Pieces::open(&ZLIB, input, memory) {
        Ok(pieces) => pieces,
        Err(error) if is_damage(&error) || error.kind() == io::ErrorKind::Other => {
            children.child(name, Content::Object(raw.clone()))?;
            let detail = "no compressed data where there should be some".to_owned();
            children.gap(Some(name), Reason::Corrupt, detail)?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut counted = Counted {
        inner: &mut pieces,
        count: 0,
        ended: false,
    };
    children.child(name, Content::Stream(&mut counted))?;
    let (count, ended) = (counted.count, counted.ended);
    let behind = pieces.conclude(Some(name), children)?;
    if let Some(size) = size.map(u64::from)
        && ended
    {
        if count != size {
            let detail = format!("{count} bytes instead of {size}");
            children.gap(Some(name), Reason::Corrupt, detail)?;
        }
        if let Some(at) = behind {
            let detail = format!("{} bytes after the compressed data", raw.length() - at);
            children.gap(Some(name), Reason::Corrupt, detail)?;
        }
    }
    if !ended && behind.is_none() {
        let left = "what follows a damaged or unwanted module".to_owned();
        if size.is_none() {
            children.gap(None, Reason::Corrupt, left)?;
        }
    }
    Ok(behind)
}

/// Counts what is read, and knows whether it was read to its end.
struct Counted<'a> {
    inner: &'a mut dyn Read,
    count: u64,
    ended: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.count = self.count.saturating_add(count as u64);
        self.ended |= count == 0 && !out.is_empty();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, object, said, tool, withstand};
    use std::io::Write;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn big(number: usize) -> [u8; 4] {
        u32::try_from(number).unwrap().to_be_bytes()
    }

    /// An archive of modules.
    fn pyz(modules: &[&[u8]]) -> Vec<u8> {
        let streams: Vec<u8> = modules.iter().flat_map(|module| packed(module)).collect();
        let place = big(17 + streams.len());
        [
            &b"PYZ\0\xa7\r\r\n"[..],
            &place,
            &[0; 5],
            &streams,
            b"[\0\0\0\0",
        ]
        .concat()
    }

    /// An archive of entries: kind, name, content, and whether it is compressed.
    fn package(entries: &[(u8, &str, Vec<u8>, bool)], cookie: usize) -> Vec<u8> {
        let (mut data, mut table) = (Vec::new(), Vec::new());
        for (kind, name, content, is_compressed) in entries {
            let stored = if *is_compressed {
                packed(content)
            } else {
                content.clone()
            };
            let length = (ENTRY + name.len() + 1).next_multiple_of(16);
            let mut entry = [length, data.len(), stored.len(), content.len()]
                .map(big)
                .concat();
            entry.extend_from_slice(&[u8::from(*is_compressed), *kind]);
            entry.extend_from_slice(name.as_bytes());
            entry.resize(length, 0);
            table.extend(entry);
            data.extend(stored);
        }
        let numbers = [
            data.len() + table.len() + cookie,
            data.len(),
            table.len(),
            311,
        ];
        let mut end = [COOKIE, &numbers.map(big).concat()].concat();
        end.resize(cookie, b'p');
        [data, table, end].concat()
    }

    fn sample() -> Vec<u8> {
        package(
            &[
                (b's', "main", b"script, script".to_vec(), true),
                (b'b', "lib/x.so", b"a library".to_vec(), false),
                (b'o', "option", Vec::new(), false),
                (b'z', "PYZ.pyz", pyz(&[b"one", b"two"]), false),
            ],
            88,
        )
    }

    fn run(bytes: &[u8]) -> Recorder {
        expand(&PyInstaller, bytes, b"x.exe")
    }

    #[test]
    fn entries_are_given_whatever_is_around_the_archive() {
        for cookie in [88, 24] {
            let entries = [
                (b's', "main", b"script, script".to_vec(), true),
                (b'b', "lib/x.so", b"a library".to_vec(), false),
            ];
            let bytes = package(&entries, cookie);
            for around in [&b""[..], b"\x7fELF and so on", &[0; 3000]] {
                let got = run(&[around, &bytes, around].concat());
                assert_eq!(got.gaps, []);
                let children = [
                    (b"main".to_vec(), b"script, script".to_vec()),
                    (b"lib/x.so".to_vec(), b"a library".to_vec()),
                ];
                assert_eq!(got.children, children);
            }
        }
        let kinds = crate::expand::recognise(&object(&sample()).probe().unwrap());
        assert!(kinds.iter().any(|kind| kind.name == "pyinstaller"));
        assert!(run(b"MEI\x0c\x0b\x0a\x0b\x0e and nothing else").unlike);
    }

    #[test]
    fn modules_are_given_by_their_numbers() {
        let got = run(&pyz(&[b"one", b"two"]));
        assert_eq!(got.gaps, []);
        assert_eq!(got.names(), ["(module 1)", "(module 2)"]);
        assert_eq!(got.children[1].1, b"two");
        let mut locked = pyz(&[b"one"]);
        locked[17..19].copy_from_slice(b"\x01\x02");
        assert_eq!(run(&locked).reasons(), ["unsupported/pyinstaller-modules"]);
        let mut cut = pyz(&[b"one"]);
        cut.truncate(20);
        assert!(run(&cut).complained());
    }

    #[test]
    fn damage_is_said_and_the_others_are_given() {
        let mut bytes = sample();
        bytes[3] ^= 0xff;
        let got = run(&bytes);
        assert_eq!(got.names(), ["main", "lib/x.so", "PYZ.pyz"]);
        assert_eq!(got.gaps[0].1, "corrupt");
        assert_eq!(got.gaps[0].0.as_deref(), Some(&b"main"[..]));
        let mut bytes = sample();
        let at = bytes.len() - 88 - 4 * 32;
        bytes[at + 15] ^= 1;
        let detail = "14 bytes instead of 15";
        assert_eq!(run(&bytes).gaps, [said(Some(b"main"), "corrupt", detail)]);
    }

    #[test]
    fn no_damage_panics() {
        withstand(&PyInstaller, &sample(), b"x");
        assert!(withstand(&PyInstaller, &pyz(&[b"one", b"two"]), b"x").len() < 8);
    }

    #[test]
    fn what_pyinstaller_itself_makes_is_read() {
        let Some(folder) = tool("pyinstaller") else {
            return;
        };
        folder.write("hello.py", b"print('content of the script')\n");
        folder.run(
            "pyinstaller",
            &["--onefile", "--log-level=ERROR", "hello.py"],
        );
        let bytes = folder.read("dist/hello");
        let got = run(&bytes);
        assert_eq!(got.gaps, []);
        let script = got.children.iter().find(|(name, _)| name == b"hello");
        let has =
            |content: &[u8]| memchr::memmem::find(content, b"content of the script").is_some();
        assert!(script.is_some_and(|(_, content)| has(content)));
        let modules = got
            .children
            .iter()
            .find(|(_, content)| content.starts_with(MODULES));
        let modules = run(&modules.unwrap().1);
        assert_eq!(modules.gaps, []);
        assert!(modules.children.len() > 20);
    }
}
