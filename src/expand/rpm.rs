//! RPM packages (LSB, "Package File Format"; the RPM reference manual): a lead, two headers, and the payload.
//!
//! The payload is one member, as it is: what it is compressed with, and the cpio archive in it, are the next levels'.
#![forbid(unsafe_code)]

use std::io;

use super::{Children, Container, Content, Expander, Halt};
use crate::bytes::Reader;
use crate::object::Object;

const LEAD: u64 = 96;
const LEAD_MAGIC: &[u8] = b"\xed\xab\xee\xdb";
const MAGIC: &[u8] = b"\x8e\xad\xe8\x01";

/// One entry of a header's index: tag, type, place, count.
const ENTRY: usize = 16;

/// Index entries that are read at once.
const STEP: u32 = 1024;

/// The longest of the texts that make the payload's name.
const TEXT: usize = 256;

/// Tags: name, version, release, architecture, compressor of the payload.
const NAMED: [u32; 5] = [1000, 1001, 1002, 1022, 1125];

/// The expander of RPM.
pub(super) struct Rpm;

impl Expander for Rpm {
    fn kind(&self) -> &'static str {
        "rpm"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if object.bytes_at(0, LEAD_MAGIC.len())? != LEAD_MAGIC {
            return Err(Halt::Unlike);
        }
        let signature = Header::at(object, LEAD)?;
        let signature = signature.ok_or_else(|| Halt::Broken("no signature header".to_owned()))?;
        // The other header begins at a multiple of eight.
        let at = signature.end().checked_next_multiple_of(8);
        let header = at.map_or(Ok(None), |at| Header::at(object, at))?;
        let header = header.ok_or_else(|| Halt::Broken("no header".to_owned()))?;
        if header.end() >= object.length() {
            return Err(Halt::Broken("no payload".to_owned()));
        }
        let texts = header.texts(object)?;
        let payload = object.slice(header.end(), u64::MAX);
        children.child(&payload_name(&texts), Content::Object(payload))
    }
}

/// As 7-Zip and the package's own file have it: `name-version-release.arch.cpio.xz`.
fn payload_name(texts: &[Vec<u8>; 5]) -> Vec<u8> {
    let [name, version, release, arch, compressor] = texts;
    let suffix: &[u8] = match &compressor[..] {
        b"" => b"",
        // Without the tag, which older packages have not, it is gzip; the next level looks for itself.
        b"gzip" => b".gz",
        b"bzip2" => b".bz2",
        b"xz" => b".xz",
        b"lzma" => b".lzma",
        b"zstd" => b".zst",
        _ => b"",
    };
    if name.is_empty() {
        return [b"payload.cpio", suffix].concat();
    }
    let arch: &[&[u8]] = if arch.is_empty() { &[] } else { &[b".", arch] };
    let full = [name.as_slice(), b"-", version, b"-", release].concat();
    [&full, &arch.concat()[..], b".cpio", suffix].concat()
}

/// One of the two headers.
struct Header {
    index: u64,
    count: u32,
    size: u32,
}

impl Header {
    fn at(object: &Object, at: u64) -> io::Result<Option<Self>> {
        let bytes = object.bytes_at(at, 16)?;
        let mut reader = Reader::new(&bytes);
        let mut number = || reader.array().map(u32::from_be_bytes);
        let fields = [number(), number(), number(), number()];
        let [Some(magic), Some(_), Some(count), Some(size)] = fields else {
            return Ok(None);
        };
        let header = Self {
            index: at.saturating_add(16),
            count,
            size,
        };
        Ok((magic.to_be_bytes() == MAGIC && header.end() <= object.length()).then_some(header))
    }

    fn store(&self) -> u64 {
        self.index + u64::from(self.count) * ENTRY as u64
    }

    fn end(&self) -> u64 {
        self.store() + u64::from(self.size)
    }

    /// The texts of the tags that make the name.
    fn texts(&self, object: &Object) -> io::Result<[Vec<u8>; 5]> {
        let mut texts = <[Vec<u8>; 5]>::default();
        let mut at = self.index;
        let mut left = self.count;
        while left > 0 {
            let step = left.min(STEP);
            let length = step as usize * ENTRY;
            let bytes = object.bytes_at(at, length)?;
            for entry in bytes.as_chunks::<ENTRY>().0 {
                let mut reader = Reader::new(entry);
                let mut number = || reader.array().map_or(0, u32::from_be_bytes);
                let (tag, _, place) = (number(), number(), number());
                let wanted = NAMED
                    .iter()
                    .zip(&mut texts)
                    .find(|(named, _)| **named == tag);
                if let Some((_, text)) = wanted {
                    let stored = object.bytes_at(self.store() + u64::from(place), TEXT)?;
                    *text = (stored.split(|byte| *byte == 0).next().unwrap_or_default()).to_vec();
                }
            }
            at += length as u64;
            left -= step;
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{expand, tool, withstand};

    fn header(tags: &[(u32, &[u8])]) -> Vec<u8> {
        let mut store = Vec::new();
        let mut index = Vec::new();
        for (tag, text) in tags {
            let fields = [*tag, 6, u32::try_from(store.len()).unwrap(), 1];
            index.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
            store.extend_from_slice(text);
            store.push(0);
        }
        let counts =
            [0, tags.len(), store.len()].map(|count| u32::try_from(count).unwrap().to_be_bytes());
        [MAGIC, &counts.concat(), &index, &store].concat()
    }

    fn package(payload: &[u8]) -> Vec<u8> {
        let mut bytes = LEAD_MAGIC.to_vec();
        bytes.extend_from_slice(&[3, 0, 0, 0]);
        bytes.resize(96, 0);
        bytes.extend_from_slice(&header(&[(1000, b"sig")]));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend_from_slice(&header(&[
            (1000, b"name"),
            (1001, b"1.2"),
            (1002, b"3"),
            (1022, b"noarch"),
            (1125, b"xz"),
        ]));
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn the_payload_is_one_member() {
        let got = expand(&Rpm, &package(b"payload"), b"x.rpm");
        let name = b"name-1.2-3.noarch.cpio.xz".to_vec();
        assert_eq!(got.children, [(name, b"payload".to_vec())]);
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn hostile_sizes_are_damage() {
        for at in [104, 108] {
            let mut bytes = package(b"payload");
            bytes[at..at + 4].fill(0xff);
            assert_eq!(expand(&Rpm, &bytes, b"x").reasons(), ["corrupt"]);
        }
    }

    #[test]
    fn no_damage_panics() {
        let sample = package(b"payload");
        // Of a payload that is cut, the next level sees that it is.
        let payload = sample.len() - 6..sample.len();
        let silent = withstand(&Rpm, &sample, b"x.rpm");
        assert!(silent.iter().all(|cut| payload.contains(cut)), "{silent:?}");
    }

    #[test]
    fn what_rpmbuild_makes_is_read() {
        let Some(folder) = tool("rpmbuild") else {
            return;
        };
        folder.write(
            "x.spec",
            b"Name: sample\nVersion: 1.0\nRelease: 2\nSummary: s\nLicense: none\nBuildArch: noarch\n%description\nd\n\
              %install\nmkdir -p %{buildroot}/opt/s\necho content > %{buildroot}/opt/s/file\n%files\n/opt/s/file\n",
        );
        let top = format!("_topdir {}/top", folder.path().display());
        for (payload, suffix) in [
            ("w9.gzdio", ".gz"),
            ("w9.bzdio", ".bz2"),
            ("w6.xzdio", ".xz"),
            ("w0.ufdio", ""),
        ] {
            let payload = format!("_binary_payload {payload}");
            folder.run(
                "rpmbuild",
                &["-bb", "--define", &top, "--define", &payload, "x.spec"],
            );
            let bytes = folder.read("top/RPMS/noarch/sample-1.0-2.noarch.rpm");
            let got = expand(&Rpm, &bytes, b"x.rpm");
            assert_eq!(got.gaps, []);
            assert_eq!(got.names(), [format!("sample-1.0-2.noarch.cpio{suffix}")]);
            if suffix.is_empty() {
                let inner = expand(&crate::expand::cpio::Cpio, &got.children[0].1, b"x");
                assert_eq!(
                    inner.children,
                    [(b"./opt/s/file".to_vec(), b"content\n".to_vec())]
                );
            }
        }
    }
}
