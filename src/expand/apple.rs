//! Files of a Macintosh with both their forks: MacBinary I to III (the standards of 1985, 1987 and 1996), AppleSingle and
//! AppleDouble (RFC 1740).
#![forbid(unsafe_code)]

use super::{Children, Container, Content, Expander, Halt, crc16};
use crate::bytes::Reader;
use crate::event::Reason;
use crate::object::{Object, Probe};

/// The expander of MacBinary.
pub(super) struct MacBinary;

/// The expander of AppleSingle and AppleDouble.
pub(super) struct AppleSingle;

/// MacBinary counts in blocks of this size.
const BLOCK: u64 = 128;

impl Expander for MacBinary {
    fn kind(&self) -> &'static str {
        "macbinary"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let Some(header) = Header::read(&object.bytes_at(0, 128)?) else {
            return Err(Halt::Unlike);
        };
        let mut at = BLOCK + padded(header.second.into());
        let resource = [&header.name[..], b".rsrc"].concat();
        for (name, length) in [(header.name, header.data), (resource, header.resource)] {
            if length > 0 {
                fork(object, &name, at, length.into(), children)?;
            }
            at += padded(length.into());
        }
        if at < object.length() && padded(header.comment.into()) < object.length() - at {
            let from = at + padded(header.comment.into());
            return super::trailing(object, from, children);
        }
        Ok(())
    }
}

fn padded(length: u64) -> u64 {
    length.next_multiple_of(BLOCK)
}

/// Gives a part of the container, or as much of it as there is.
fn fork(
    object: &Object,
    name: &[u8],
    at: u64,
    length: u64,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let slice = object.slice(at, length);
    let missing = length - slice.length();
    children.child(name, Content::Object(slice))?;
    if missing > 0 {
        let detail = format!("{missing} bytes are missing");
        children.gap(Some(name), Reason::Corrupt, detail)?;
    }
    Ok(())
}

struct Header {
    name: Vec<u8>,
    data: u32,
    resource: u32,
    second: u16,
    comment: u16,
    /// The sum that MacBinary II brought holds.
    sum_holds: bool,
    /// The signature of MacBinary III.
    signed: bool,
    /// What MacBinary I leaves zero.
    plain: bool,
}

impl Header {
    /// The header, if its fixed zeros are zeros and its name can be one.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [version, length] = reader.array()?;
        let name = reader.take(63)?;
        let name = name.get(..usize::from(length))?;
        let number = |at: usize| {
            let mut reader = Reader::new(bytes.get(at..).unwrap_or_default());
            reader.array().map(u32::from_be_bytes)
        };
        let short = |at: usize| {
            let mut reader = Reader::new(bytes.get(at..).unwrap_or_default());
            reader.array().map(u16::from_be_bytes)
        };
        let zeros = version == 0 && bytes.get(74) == Some(&0) && bytes.get(82) == Some(&0);
        let named = length > 0 && !name.iter().any(|byte| *byte < b' ' || *byte == 0x7f);
        let header = Self {
            name: name.to_vec(),
            data: number(83)?,
            resource: number(87)?,
            second: short(120)?,
            comment: short(99)?,
            sum_holds: short(124)? != 0 && crc16::of(bytes.get(..124)?) == short(124)?,
            signed: bytes.get(102..106) == Some(b"mBIN"),
            plain: bytes.get(101..128)?.iter().all(|byte| *byte == 0),
        };
        (zeros && named).then_some(header)
    }
}

/// A header whose sum holds, or one of the first version whose lengths are those of the content.
pub(super) fn is_macbinary(probe: &Probe) -> bool {
    let Some(header) = probe.head.get(..128).and_then(Header::read) else {
        return false;
    };
    let blocks = BLOCK + padded(header.data.into()) + padded(header.resource.into());
    let fits = header.data | header.resource > 0
        && blocks + padded(header.comment.into()) >= probe.length
        && blocks < probe.length + BLOCK;
    header.sum_holds || header.signed || (header.plain && fits)
}

/// The entries that are looked at; there are 15 kinds, each once.
const ENTRIES: u16 = 256;

impl Expander for AppleSingle {
    fn kind(&self) -> &'static str {
        "applesingle"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, 26 + 12 * usize::from(ENTRIES))?;
        let mut reader = Reader::new(&head);
        let start = reader.take(24);
        let count = reader.array().map(u16::from_be_bytes);
        let (Some(_), Some(count)) = (start, count) else {
            return Err(Halt::Broken("the header is cut".to_owned()));
        };
        let mut entries = Vec::new();
        for _ in 0..count.min(ENTRIES) {
            let Some(entry) = reader.array().map(Entry::new) else {
                children.gap(
                    None,
                    Reason::Corrupt,
                    "the list of entries is cut".to_owned(),
                )?;
                break;
            };
            entries.push(entry);
        }
        if count > ENTRIES {
            children.gap(None, Reason::Corrupt, format!("{count} entries"))?;
        }
        let mut name = super::stream::member_name(b"", container.name, &[]);
        if let Some(entry) = entries.iter().find(|entry| entry.id == NAME) {
            let stored = object
                .slice(entry.offset.into(), entry.length.into())
                .bytes_at(0, 255)?;
            if !stored.is_empty() {
                name = stored;
            }
        }
        let end = |entry: &Entry| u64::from(entry.offset) + u64::from(entry.length);
        let own = 26 + 12 * u64::from(count);
        let end = entries.iter().map(end).fold(own, u64::max);
        for entry in entries.iter().filter(|entry| entry.length > 0) {
            let name = match entry.id {
                DATA => name.clone(),
                RESOURCE => [&name[..], b".rsrc"].concat(),
                id => [&name[..], format!(" entry {id}").as_bytes()].concat(),
            };
            fork(
                object,
                &name,
                entry.offset.into(),
                entry.length.into(),
                children,
            )?;
        }
        if end < object.length() {
            return super::behind(object, end, children);
        }
        Ok(())
    }
}

const DATA: u32 = 1;
const RESOURCE: u32 = 2;
const NAME: u32 = 3;

struct Entry {
    id: u32,
    offset: u32,
    length: u32,
}

impl Entry {
    fn new(bytes: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Self {
            id: u32::from_be_bytes([a, b, c, d]),
            offset: u32::from_be_bytes([e, f, g, h]),
            length: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

/// Version 1 or 2, and entries.
pub(super) fn is_applesingle(probe: &Probe) -> bool {
    let version = probe.head.get(4..8);
    let entries = probe.head.get(24..26);
    matches!(version, Some([0, 1 | 2, 0, 0])) && entries.is_some_and(|count| count != [0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{expand, object, tool, withstand};

    fn macbinary(version: u8) -> Vec<u8> {
        let mut bytes = b"\0\x05a.bin".to_vec();
        bytes.resize(128, 0);
        bytes[65..73].copy_from_slice(b"TEXTttxt");
        bytes[86] = 4;
        bytes[90] = 130;
        if version > 1 {
            bytes[122..124].copy_from_slice(&[129, 129]);
            let sum = crc16::of(&bytes[..124]);
            bytes[124..126].copy_from_slice(&sum.to_be_bytes());
        }
        bytes.extend_from_slice(b"data");
        bytes.resize(256, 0);
        bytes.extend([b'r'; 130]);
        bytes.resize(512, 0);
        bytes
    }

    #[test]
    fn both_forks_of_macbinary_are_given() {
        for version in [1, 2] {
            let bytes = macbinary(version);
            assert!(is_macbinary(&object(&bytes).probe().unwrap()));
            let got = expand(&MacBinary, &bytes, b"x");
            assert_eq!(got.names(), ["a.bin", "a.bin.rsrc"]);
            assert_eq!(got.children[0].1, b"data");
            assert_eq!(got.children[1].1, [b'r'; 130]);
            assert_eq!(got.gaps, []);
            let longer = [bytes.clone(), b"more".to_vec()].concat();
            assert_eq!(expand(&MacBinary, &longer, b"x").gaps, []);
            let longer = [bytes, vec![b'x'; 600]].concat();
            assert_eq!(expand(&MacBinary, &longer, b"x").reasons(), ["corrupt"]);
        }
    }

    #[test]
    fn no_damage_panics() {
        let silent = withstand(&MacBinary, &macbinary(2), b"x");
        // The zeros behind the last fork.
        assert!(silent.iter().all(|cut| *cut >= 256 + 130), "{silent:?}");
        let bytes = applesingle();
        assert_eq!(withstand(&AppleSingle, &bytes, b"x"), [0_usize; 0]);
        let mut many = bytes;
        many[24] = 0xff;
        assert!(
            expand(&AppleSingle, &many, b"x")
                .reasons()
                .contains(&"corrupt")
        );
    }

    fn applesingle() -> Vec<u8> {
        let mut bytes = b"\0\x05\x16\0\0\x02\0\0................\0\x03".to_vec();
        let mut rest = Vec::new();
        for (id, content) in [(3_u32, &b"real name"[..]), (1, b"data"), (2, b"resource")] {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&u32::try_from(62 + rest.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
            rest.extend_from_slice(content);
        }
        [bytes, rest].concat()
    }

    #[test]
    fn the_entries_of_applesingle_are_given() {
        let got = expand(&AppleSingle, &applesingle(), b"x");
        assert_eq!(
            got.names(),
            ["real name entry 3", "real name", "real name.rsrc"]
        );
        assert_eq!(
            (&*got.children[1].1, &*got.children[2].1),
            (&b"data"[..], &b"resource"[..])
        );
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn what_stands_behind_the_entries_is_given_if_it_is_something() {
        let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let got = expand(&AppleSingle, &[&applesingle()[..], zip].concat(), b"x");
        let (name, content) = got.children.last().unwrap();
        assert_eq!((&**name, &**content), (&b"(behind the end)"[..], &zip[..]));
        let got = expand(
            &AppleSingle,
            &[&applesingle()[..], b"padding"].concat(),
            b"x",
        );
        assert_eq!((got.children.len(), got.gaps.len()), (3, 0));
    }

    #[test]
    fn unar_reads_the_same() {
        let Some(folder) = tool("unar") else { return };
        folder.write("a.as", &applesingle());
        folder.write("a.macbin", &macbinary(2));
        for name in ["a.as", "a.macbin"] {
            folder.run("unar", &["-q", "-f", "-D", "-o", "out", name]);
            let found = std::fs::read_dir(folder.path().join("out")).unwrap();
            let mut files = found
                .flatten()
                .map(|file| std::fs::read(file.path()).unwrap());
            assert!(files.any(|bytes| bytes == b"data"), "{name}");
            folder.run("rm", &["-r", "out"]);
        }
    }
}
