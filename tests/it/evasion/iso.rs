//! ISO 9660 images (ECMA-119) with one member, whose descriptors and folders do not say what is there, or say two things.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

const SECTOR: usize = 2048;

/// Where things lie: folders of the primary and of Joliet's tree, a letter, and the member that carries the marker.
const ROOT: u32 = 20;
const WIDE_ROOT: u32 = 21;
const LETTER: u32 = 22;
const VIRUS: u32 = 23;

/// A record of a folder.
#[derive(Clone)]
struct Record {
    name: Vec<u8>,
    place: [u32; 2],
    size: [u32; 2],
    flags: u8,
    attributes: u8,
    /// Unit and gap of interleaved files.
    interleaved: [u8; 2],
    more: Vec<u8>,
}

fn record(name: &str, place: u32, size: usize) -> Record {
    Record {
        name: name.as_bytes().to_vec(),
        place: [place; 2],
        size: [size as u32; 2],
        flags: 0,
        attributes: 0,
        interleaved: [0, 0],
        more: Vec::new(),
    }
}

impl Record {
    fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0, self.attributes];
        for [little, big] in [self.place, self.size] {
            out.extend(little.to_le_bytes());
            out.extend(big.to_be_bytes());
        }
        out.extend([126, 11, 22, 0, 0, 0, 0, self.flags]);
        out.extend(self.interleaved);
        out.extend([1, 0, 0, 1, self.name.len() as u8]);
        out.extend(&self.name);
        if out.len() % 2 == 1 {
            out.push(0);
        }
        out.extend(&self.more);
        out[0] = out.len() as u8;
        out
    }
}

/// The two records of itself and its parent that a folder begins with.
fn dots(place: u32) -> Vec<u8> {
    let dot = |name| record(name, place, SECTOR).with(|record| record.flags = 2);
    [dot("\0").bytes(), dot("\x01").bytes()].concat()
}

fn folder(place: u32, records: &[Record]) -> Vec<u8> {
    let mut out = dots(place);
    for record in records {
        out.extend(record.bytes());
    }
    out
}

fn descriptor(kind: u8, root: &Record) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(b"CD001\x01\0");
    out.resize(SECTOR, 0);
    out[80..84].copy_from_slice(&26_u32.to_le_bytes());
    out[84..88].copy_from_slice(&26_u32.to_be_bytes());
    if kind == 2 {
        out[88..91].copy_from_slice(b"%/E");
    }
    for at in [120, 124] {
        out[at..at + 4].copy_from_slice(&[1, 0, 0, 1]);
    }
    out[128..132].copy_from_slice(&[0, 8, 8, 0]);
    out[156..190].copy_from_slice(&root.bytes());
    out[881] = 1;
    out
}

/// An image: what lies in its sectors.
struct Image(Vec<u8>);

impl Image {
    fn put(mut self, sector: u32, bytes: &[u8]) -> Self {
        let at = sector as usize * SECTOR;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

fn root(place: u32) -> Record {
    record("\0", place, SECTOR).with(|record| record.flags = 2)
}

fn virus() -> Record {
    record("VIRUS.GZ;1", VIRUS, gzip(&eicar()).len())
}

fn letter() -> Record {
    record("LETTER.TXT;1", LETTER, 33)
}

/// With these members in the only tree.
fn image(records: &[Record]) -> Image {
    Image(vec![0; 26 * SECTOR])
        .put(16, &descriptor(1, &root(ROOT)))
        .put(17, b"\xffCD001\x01")
        .put(ROOT, &folder(ROOT, records))
        .put(LETTER, b"Dear reader, nothing is in here.\n")
        .put(VIRUS, &gzip(&eicar()))
}

/// The same, and a tree of Joliet with those.
fn joliet(records: &[Record], wide: &[Record]) -> Image {
    let wide: Vec<Record> = wide
        .iter()
        .map(|record| {
            let name = String::from_utf8_lossy(&record.name).into_owned();
            record.clone().with(|record| {
                record.name = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            })
        })
        .collect();
    image(records)
        .put(17, &descriptor(2, &root(WIDE_ROOT)))
        .put(18, b"\xffCD001\x01")
        .put(WIDE_ROOT, &folder(WIDE_ROOT, &wide))
}

pub(super) fn cases() -> Vec<Case> {
    let of = |change: fn(&mut Record)| image(&[letter(), virus().with(change)]).0;
    let mut cases = vec![
        case("plain", "nothing", of(|_| {})),
        case(
            "a-sector-later",
            "the descriptor of the end in front of all, which moves them",
            {
                let image = of(|_| {});
                [
                    &image[..16 * 2048],
                    b"\xffCD001\x01",
                    &[0; 2041],
                    &image[16 * 2048..],
                ]
                .concat()
            },
        ),
        case(
            "joliet",
            "in both trees",
            joliet(&[letter(), virus()], &[letter(), virus()]).0,
        ),
        case(
            "joliet-only",
            "in the tree of Joliet only",
            joliet(&[letter()], &[letter(), virus()]).0,
        ),
        case(
            "primary-only",
            "in the primary tree only",
            joliet(&[letter(), virus()], &[letter()]).0,
        ),
        case("joliet-other", "the letter of Joliet's tree", {
            let other = letter().with(|record| {
                record.place = virus().place;
                record.size = virus().size;
            });
            joliet(&[letter()], &[other]).0
        }),
        case(
            "place-little",
            "another place in the number that begins with the lowest byte",
            of(|record| record.place[0] = LETTER),
        ),
        case(
            "place-big",
            "another place in the number that begins with the highest byte",
            of(|record| record.place[1] = LETTER),
        ),
        case(
            "size-little",
            "size 3 in the number that begins with the lowest byte",
            of(|record| record.size[0] = 3),
        ),
        case(
            "size-big",
            "size 3 in the number that begins with the highest byte",
            of(|record| record.size[1] = 3),
        ),
        case("size-both", "size 3", of(|record| record.size = [3; 2])),
        case(
            "size-more",
            "a size of two sectors",
            of(|record| record.size = [4096; 2]),
        ),
        case(
            "size-most",
            "a size of 4 GiB",
            of(|record| record.size = [u32::MAX; 2]),
        ),
        case(
            "place-beyond",
            "behind the end",
            of(|record| record.place = [1000; 2]),
        ),
        case(
            "hidden",
            "hidden, says a flag",
            of(|record| record.flags = 1),
        ),
        case(
            "folder",
            "a folder, says a flag",
            of(|record| record.flags = 2),
        ),
        case(
            "associated",
            "an associated file, says a flag",
            of(|record| record.flags = 4),
        ),
        case(
            "more-extents",
            "goes on in another record, says a flag",
            of(|record| record.flags = 0x80),
        ),
        case(
            "attributes",
            "one sector of attributes, says the record",
            of(|record| record.attributes = 1),
        ),
        case(
            "interleaved",
            "interleaved, says the record",
            of(|record| record.interleaved = [1, 1]),
        ),
        case(
            "name-none",
            "a name without a letter",
            of(|record| record.name.clear()),
        ),
        case(
            "name-dot",
            "the name of the folder itself",
            of(|record| record.name = vec![0]),
        ),
        case(
            "name-up",
            "a name that leaves the folder",
            of(|record| record.name = b"../VIRUS.GZ;1".to_vec()),
        ),
        case(
            "name-zero",
            "a zero in the name",
            of(|record| record.name = b"A\0VIRUS.GZ;1".to_vec()),
        ),
        case(
            "twice",
            "two records of one name, the marker in the second",
            image(&[virus().with(|record| record.place = [LETTER; 2]), virus()]).0,
        ),
        case("two-extents", "in two extents", {
            let length = virus().size[0];
            let first = virus().with(|record| {
                record.flags = 0x80;
                record.size = [20; 2];
            });
            let second = virus().with(|record| {
                record.place = [24; 2];
                record.size = [length - 20; 2];
            });
            let bytes = gzip(&eicar());
            image(&[letter(), first, second]).put(24, &bytes[20..]).0
        }),
        case("second-sector", "in the second sector of its folder", {
            let root = root(ROOT).with(|record| record.size = [2 * 2048; 2]);
            let image = image(&[letter()]).put(16, &descriptor(1, &root));
            image.put(WIDE_ROOT, &virus().bytes()).0
        }),
        case("beyond-root", "behind the end of its folder", {
            image(&[letter()]).put(WIDE_ROOT, &virus().bytes()).0
        }),
        case(
            "root-little",
            "another root in the number that begins with the lowest byte",
            {
                let root = root(ROOT).with(|record| record.place[0] = 25);
                image(&[virus()]).put(16, &descriptor(1, &root)).0
            },
        ),
        case(
            "root-big",
            "another root in the number that begins with the highest byte",
            {
                let root = root(ROOT).with(|record| record.place[1] = 25);
                image(&[virus()]).put(16, &descriptor(1, &root)).0
            },
        ),
        case("root-size-0", "a root of size 0", {
            let root = root(ROOT).with(|record| record.size = [0; 2]);
            image(&[virus()]).put(16, &descriptor(1, &root)).0
        }),
        case(
            "second-descriptor",
            "two primary descriptors, the marker in the second's tree",
            {
                let other = folder(WIDE_ROOT, &[virus()]);
                image(&[letter()])
                    .put(17, &descriptor(1, &root(WIDE_ROOT)))
                    .put(18, b"\xffCD001\x01")
                    .put(WIDE_ROOT, &other)
                    .0
            },
        ),
        case(
            "no-terminator",
            "no descriptor that ends the others",
            image(&[virus()]).put(17, &[0; 7]).0,
        ),
        case(
            "behind-terminator",
            "Joliet's descriptor behind the end of descriptors",
            {
                joliet(&[letter()], &[virus()])
                    .put(18, &descriptor(2, &root(WIDE_ROOT)))
                    .put(17, &[&b"\xffCD001\x01"[..], &[0; 2041]].concat())
                    .0
            },
        ),
        case("loop", "in a folder that is also its own", {
            let inner = record("INNER", ROOT, SECTOR).with(|record| record.flags = 2);
            image(&[inner, virus()]).0
        }),
        case("block-512", "blocks of 512 bytes, says the descriptor", {
            let mut primary = descriptor(1, &root(ROOT));
            primary[128..132].copy_from_slice(&[0, 2, 2, 0]);
            image(&[virus()]).put(16, &primary).0
        }),
        case("volume-0", "no block, says the descriptor", {
            let mut primary = descriptor(1, &root(ROOT));
            primary[80..88].fill(0);
            image(&[virus()]).put(16, &primary).0
        }),
        case("version", "a descriptor of version 9", {
            let mut primary = descriptor(1, &root(ROOT));
            primary[6] = 9;
            image(&[virus()]).put(16, &primary).0
        }),
        case("rock-ridge-name", "another name by Rock Ridge", {
            of(|record| record.more = b"NM\x0b\x01\0letter".to_vec())
        }),
        case("rock-ridge-link", "a symbolic link by Rock Ridge", {
            of(|record| record.more = b"SL\x0a\x01\0\0\0\x03abc".to_vec())
        }),
    ];
    cases.push(case(
        "before",
        "2,048 bytes before it",
        [noise(6, 2048), of(|_| {})].concat(),
    ));
    cases.push(case(
        "cut",
        "cut in the last member",
        of(|_| {})[..VIRUS as usize * SECTOR + 50].to_vec(),
    ));
    cases
}
