//! Tar archives whose headers programs read differently: v7, ustar (POSIX.1-1988), GNU and PAX (POSIX.1-2001).
//!
//! The marker is in a member that is compressed, for a tar shows what is in it.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// A header's fields as they stand in the archive.
#[derive(Clone)]
struct Header {
    name: Vec<u8>,
    size: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    magic: Vec<u8>,
    prefix: Vec<u8>,
    sum: Sum,
    /// Fields that one of the formats has elsewhere: where, and what.
    also: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum Sum {
    Right,
    /// As programs have it that take bytes for signed.
    Signed,
    Wrong,
    Text(&'static [u8]),
}

const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

fn header(name: &[u8], kind: u8, size: usize) -> Header {
    Header {
        name: name.to_vec(),
        size: octal(size),
        kind,
        link: Vec::new(),
        magic: USTAR.to_vec(),
        prefix: Vec::new(),
        sum: Sum::Right,
        also: Vec::new(),
    }
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, &self.size);
        put(136, b"14700000000\0");
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link);
        put(257, &self.magic);
        put(345, &self.prefix);
        for (at, bytes) in &self.also {
            put(*at, bytes);
        }
        let sum: i64 = match self.sum {
            Sum::Signed => out.iter().map(|byte| i64::from(*byte as i8)).sum(),
            _ => out.iter().map(|byte| i64::from(*byte)).sum(),
        };
        let text = match self.sum {
            Sum::Right | Sum::Signed => format!("{sum:06o}\0 ").into_bytes(),
            Sum::Wrong => format!("{:06o}\0 ", sum + 1).into_bytes(),
            Sum::Text(text) => text.to_vec(),
        };
        out[148..148 + text.len()].copy_from_slice(&text);
        out
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(512), 0);
    out
}

/// The member that carries the marker.
fn payload() -> Vec<u8> {
    gzip(&eicar())
}

fn evil() -> Header {
    header(b"virus.gz", b'0', payload().len())
}

/// A header and the marker behind it.
fn with(header: &Header) -> Vec<u8> {
    [header.bytes(), padded(&payload())].concat()
}

fn harmless() -> Vec<u8> {
    let text = b"Dear reader, nothing is in here.\n";
    [
        header(b"letter.txt", b'0', text.len()).bytes(),
        padded(text),
    ]
    .concat()
}

/// What follows the last member.
fn end() -> Vec<u8> {
    vec![0; 1024]
}

/// A harmless member, the parts, the end.
fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [harmless(), parts.concat(), end()].concat()
}

fn changed(change: impl Fn(&mut Header)) -> Vec<u8> {
    let mut header = evil();
    change(&mut header);
    archive(&[with(&header)])
}

/// A header of PAX, with these records.
fn pax(kind: u8, records: &[u8]) -> Vec<u8> {
    [
        header(b"PaxHeaders/virus", kind, records.len()).bytes(),
        padded(records),
    ]
    .concat()
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("plain", "nothing", archive(&[with(&evil())])),
        case(
            "late",
            "three blocks before the first header",
            [noise(12, 3 * 512), archive(&[with(&evil())])].concat(),
        ),
        case("late-v7", "a first header that is damaged, and no magic", {
            let mut plain = evil();
            plain.magic.clear();
            [noise(13, 512), with(&plain), end()].concat()
        }),
        case("alone", "the only member", [with(&evil()), end()].concat()),
        case(
            "v7",
            "without a magic",
            changed(|header| header.magic.clear()),
        ),
        case(
            "v7-kind",
            "without a magic or a type",
            changed(|header| {
                header.magic.clear();
                header.kind = 0;
            }),
        ),
        case(
            "gnu",
            "GNU's magic",
            changed(|header| header.magic = GNU.to_vec()),
        ),
        case(
            "magic-junk",
            "a magic that is none",
            changed(|header| header.magic = b"USTAR\x0000".to_vec()),
        ),
        case(
            "magic-version",
            "version 99",
            changed(|header| header.magic = b"ustar\x0099".to_vec()),
        ),
    ];
    cases.extend(sizes());
    cases.extend(sums());
    cases.extend(kinds());
    cases.extend(extended());
    cases.extend(blocks());
    cases.extend(names());
    cases.extend(sparse());
    cases
}

fn sizes() -> Vec<Case> {
    let length = payload().len();
    let sized = |size: Vec<u8>| changed(|header| header.size.clone_from(&size));
    let mut wide = vec![0x80; 1];
    wide.resize(4, 0);
    wide.extend((length as u64).to_be_bytes());
    let mut far = wide.clone();
    far[4] = 0x40;
    vec![
        case(
            "size-blank",
            "a size with blanks before and behind",
            sized(format!("{length:>10o} \0").into_bytes()),
        ),
        case(
            "size-full",
            "a size of twelve digits",
            sized(format!("{length:012o}").into_bytes()),
        ),
        case(
            "size-short",
            "a size of few digits",
            sized(format!("{length:o}\0").into_bytes()),
        ),
        case(
            "size-junk",
            "junk behind the size",
            sized(format!("{length:o}\0junk").into_bytes()),
        ),
        case(
            "size-letters",
            "letters right behind the size",
            sized(format!("{length:07o}xyz").into_bytes()),
        ),
        case("size-binary", "a size in base 256", sized(wide.clone())),
        case("size-binary-far", "a size of 2^62 bytes", sized(far)),
        case(
            "size-negative",
            "a negative size",
            sized([&[0xff; 8][..], &(-(length as i32)).to_be_bytes()].concat()),
        ),
        case("size-none", "no size", sized(vec![0; 12])),
        case("size-blanks", "a size of blanks", sized(vec![b' '; 12])),
        case(
            "size-nines",
            "a size with digits that are none",
            sized(b"00000000998\0".to_vec()),
        ),
        case("size-zero", "size 0", sized(octal(0))),
        case(
            "size-more",
            "a size beyond the end",
            sized(octal(length + 100_000)),
        ),
        case(
            "size-most",
            "a size of 8 GiB",
            sized(b"77777777777\0".to_vec()),
        ),
    ]
}

fn sums() -> Vec<Case> {
    let summed = |sum: Sum| changed(|header| header.sum = sum);
    vec![
        case("sum-wrong", "a wrong checksum", summed(Sum::Wrong)),
        case("sum-wrong-alone", "a wrong checksum of the only member", {
            let mut header = evil();
            header.sum = Sum::Wrong;
            [with(&header), end()].concat()
        }),
        case(
            "sum-signed",
            "a checksum of signed bytes",
            changed(|header| {
                header.sum = Sum::Signed;
                header.name = b"v\xefrus\xff.gz".to_vec();
            }),
        ),
        case(
            "sum-blank",
            "a blank checksum",
            summed(Sum::Text(b"        ")),
        ),
        case("sum-zero", "no checksum", summed(Sum::Text(&[0; 8]))),
        case("sum-zeros", "checksum 0", summed(Sum::Text(b"000000\0 "))),
    ]
}

/// Members of other types that have data nevertheless.
fn kinds() -> Vec<Case> {
    let kinds: [(u8, &str, &str); 15] = [
        (0, "zero", "a type of zero"),
        (b'1', "hard-link", "a hard link"),
        (b'2', "link", "a symbolic link"),
        (b'3', "character", "a character device"),
        (b'4', "block", "a block device"),
        (b'5', "folder", "a folder"),
        (b'6', "fifo", "a FIFO"),
        (b'7', "contiguous", "a contiguous file"),
        (b'9', "nine", "a type that is none"),
        (b'A', "vendor", "a vendor's type"),
        (b'D', "dump", "GNU's list of a folder"),
        (
            b'M',
            "volume",
            "GNU's rest of a member of the volume before",
        ),
        (b'V', "label", "GNU's label of a volume"),
        (b'I', "inode", "metadata of an inode"),
        (b'Z', "z", "another vendor's type"),
    ];
    let mut cases = Vec::new();
    for (kind, name, what) in kinds {
        let bytes = changed(|header| {
            header.kind = kind;
            header.link = b"letter.txt".to_vec();
        });
        cases.push(case(
            format!("kind-{name}"),
            format!("{what} that has data"),
            bytes,
        ));
    }
    cases.push(case(
        "kind-slash",
        "a file whose name is a folder's",
        changed(|header| header.name = b"virus.gz/".to_vec()),
    ));
    cases.push(case(
        "kind-slash-v7",
        "a file of v7 whose name is a folder's",
        changed(|header| {
            header.name = b"virus.gz/".to_vec();
            header.magic.clear();
        }),
    ));
    cases
}

/// Headers before the header.
fn extended() -> Vec<Case> {
    let length = payload().len();
    let size = |size: usize| record("size", &size.to_string());
    let sized = |said: usize, kind: u8, records: Vec<u8>| {
        let mut header = evil();
        header.size = octal(said);
        archive(&[pax(kind, &records), with(&header)])
    };
    let named = |kind: u8, bytes: &[u8]| {
        let mut long = header(b"././@LongLink", kind, bytes.len());
        long.magic = GNU.to_vec();
        archive(&[long.bytes(), padded(bytes), with(&evil())])
    };
    vec![
        case(
            "pax-size",
            "the size is in PAX, 0 in the header",
            sized(0, b'x', size(length)),
        ),
        case(
            "pax-size-zero",
            "size 0 in PAX",
            sized(length, b'x', size(0)),
        ),
        case(
            "pax-size-less",
            "a smaller size in PAX",
            sized(length, b'x', size(10)),
        ),
        case(
            "pax-size-more",
            "a larger size in PAX",
            sized(length, b'x', size(length + 1024)),
        ),
        case(
            "pax-size-far",
            "a size of 2^60 bytes in PAX",
            sized(length, b'x', size(1 << 60)),
        ),
        case(
            "pax-size-twice",
            "two sizes in PAX",
            sized(0, b'x', [size(0), size(length)].concat()),
        ),
        case(
            "pax-size-text",
            "a size in PAX that is none",
            sized(length, b'x', record("size", "many")),
        ),
        case(
            "pax-global",
            "the size is in a global header of PAX",
            sized(0, b'g', size(length)),
        ),
        case(
            "pax-global-zero",
            "size 0 in a global header of PAX",
            sized(length, b'g', size(0)),
        ),
        case(
            "pax-solaris",
            "the size is in Solaris's header",
            sized(0, b'X', size(length)),
        ),
        case(
            "pax-record-long",
            "a record that is longer than the header",
            sized(length, b'x', b"999 size=0\n".to_vec()),
        ),
        case(
            "pax-record-zero",
            "a record of length 0",
            sized(length, b'x', b"0 size=0\n".to_vec()),
        ),
        case(
            "pax-record-junk",
            "a record that is none",
            sized(length, b'x', noise(8, 100)),
        ),
        case(
            "pax-record-nul",
            "a zero in a record",
            sized(length, b'x', record("path", "letter.txt\0virus")),
        ),
        case(
            "pax-path",
            "another name in PAX",
            sized(length, b'x', record("path", "other.gz")),
        ),
        case(
            "pax-path-none",
            "an empty name in PAX",
            sized(length, b'x', record("path", "")),
        ),
        case(
            "pax-link",
            "a link's target in PAX",
            sized(length, b'x', record("linkpath", "letter.txt")),
        ),
        case(
            "pax-charset",
            "binary names, says PAX",
            sized(length, b'x', record("hdrcharset", "BINARY")),
        ),
        case("pax-twice", "two headers of PAX", {
            let mut header = evil();
            header.size = octal(0);
            archive(&[pax(b'x', &size(0)), pax(b'x', &size(length)), with(&header)])
        }),
        case(
            "pax-alone",
            "a header of PAX and nothing behind it",
            archive(&[with(&evil()), pax(b'x', &size(5))]),
        ),
        case(
            "pax-large",
            "a header of PAX of 2 MiB",
            sized(length, b'x', record("comment", &"c".repeat(2 << 20))),
        ),
        case(
            "long-name",
            "GNU's long name",
            named(b'L', &[&b"long/".repeat(60)[..], b"virus.gz\0"].concat()),
        ),
        case(
            "long-name-none",
            "GNU's long name of nothing",
            named(b'L', b"\0"),
        ),
        case(
            "long-name-unended",
            "GNU's long name without its end",
            named(b'L', &b"long/".repeat(60)),
        ),
        case(
            "long-name-large",
            "GNU's long name of 1 MiB",
            named(b'L', &[b'n'; 1 << 20]),
        ),
        case(
            "long-link",
            "GNU's long target",
            named(b'K', &b"long/".repeat(60)),
        ),
        case(
            "long-old",
            "the old table of long names",
            named(b'N', b"Rename virus.gz to other.gz\n\0"),
        ),
        case(
            "xattr",
            "an extended attribute",
            sized(length, b'x', record("SCHILY.xattr.user.x", "value")),
        ),
    ]
}

/// What stands between the members.
fn blocks() -> Vec<Case> {
    let evil = with(&evil());
    let zeros = |count: usize| vec![0; 512 * count];
    let mut deep = [evil.clone(), end()].concat();
    for _ in 0..20 {
        deep = [
            header(b"in.tar", b'0', deep.len()).bytes(),
            padded(&deep),
            end(),
        ]
        .concat();
    }
    vec![
        case(
            "zeros-1",
            "behind one block of zeros",
            archive(&[zeros(1), evil.clone()]),
        ),
        case(
            "zeros-2",
            "behind the two blocks of zeros that end an archive",
            archive(&[zeros(2), evil.clone()]),
        ),
        case(
            "zeros-40",
            "behind 40 blocks of zeros",
            archive(&[zeros(40), evil.clone()]),
        ),
        case(
            "zeros-first",
            "a block of zeros before everything",
            [zeros(1), archive(std::slice::from_ref(&evil))].concat(),
        ),
        case(
            "no-zeros",
            "no blocks of zeros at the end",
            [harmless(), evil.clone()].concat(),
        ),
        case("no-padding", "cut within the last padding", {
            let mut bytes = [harmless(), evil.clone()].concat();
            bytes.truncate(bytes.len() - 300);
            bytes
        }),
        case(
            "junk-block",
            "a block of junk between the members",
            archive(&[noise(9, 512), evil.clone()]),
        ),
        case(
            "junk-odd",
            "100 bytes of junk between the members",
            archive(&[noise(10, 100), evil.clone()]),
        ),
        case(
            "junk-behind",
            "junk behind the end",
            [archive(std::slice::from_ref(&evil)), noise(11, 3000)].concat(),
        ),
        case(
            "archive-behind",
            "a second archive behind the end",
            [harmless(), end(), evil.clone(), end()].concat(),
        ),
        case(
            "archive-far-behind",
            "a second archive 10,240 bytes behind the end",
            [harmless(), zeros(20), evil.clone(), end()].concat(),
        ),
        case(
            "many-before",
            "behind 3,000 members",
            [harmless().repeat(3000), evil.clone(), end()].concat(),
        ),
        case("deep-21", "21 archives deep", deep),
        case(
            "gzip",
            "in a gzip",
            gzip(&archive(std::slice::from_ref(&evil))),
        ),
        case("twice", "the same name twice, the marker first", {
            let text = b"harmless";
            archive(&[
                evil.clone(),
                header(b"virus.gz", b'0', text.len()).bytes(),
                padded(text),
            ])
        }),
        case(
            "script-before",
            "behind a script",
            [&b"#!/bin/sh\nexit 0\n"[..], &archive(&[evil])].concat(),
        ),
    ]
}

fn names() -> Vec<Case> {
    let named = |name: &'static [u8]| changed(|header| header.name = name.to_vec());
    vec![
        case("name-none", "no name", named(b"")),
        case(
            "name-full",
            "a name of 100 bytes without its end",
            changed(|header| header.name = vec![b'v'; 100]),
        ),
        case(
            "name-up",
            "a name that leaves the folder",
            named(b"../../../tmp/virus.gz"),
        ),
        case("name-root", "a name from the root", named(b"/virus.gz")),
        case(
            "name-control",
            "control characters in the name",
            named(b"\x1b[2Jvirus\r\n.gz"),
        ),
        case(
            "name-zero",
            "something behind the name's end",
            named(b"virus.gz\0letter.txt"),
        ),
        case("name-dot", "the name of the folder itself", named(b"./")),
        case(
            "prefix",
            "a prefix",
            changed(|header| header.prefix = b"a/folder".to_vec()),
        ),
        case(
            "prefix-v7",
            "a prefix, and no magic",
            changed(|header| {
                header.prefix = b"a/folder".to_vec();
                header.magic.clear();
            }),
        ),
    ]
}

/// Files with holes: the marker's bytes stand in two pieces.
fn sparse() -> Vec<Case> {
    let data = payload();
    let (first, second) = data.split_at(30);
    let hole = 4096;
    // gzip ends before the hole, or reads over it: both pieces are next to each other, behind them is nothing.
    let number = |value: usize| format!("{value:011o}\0").into_bytes();
    let old = |kind: u8, map: &[(usize, usize)], real: usize, stored: &[u8]| {
        let mut header = header(b"virus.gz", kind, stored.len());
        header.magic = GNU.to_vec();
        for (row, (offset, length)) in map.iter().enumerate() {
            header.also.push((386 + 24 * row, number(*offset)));
            header.also.push((398 + 24 * row, number(*length)));
        }
        header.also.push((483, number(real)));
        archive(&[header.bytes(), padded(stored)])
    };
    let pieces = [(0, first.len()), (first.len(), second.len())];
    let swapped = [second, first].concat();
    let far = [
        (0, first.len()),
        (first.len(), second.len()),
        (data.len() + hole, 0),
    ];
    let records = |records: &[(&str, String)], stored: &[u8]| {
        let records: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        let header = header(b"GNUSparseFile.1/virus.gz", b'0', stored.len());
        archive(&[pax(b'x', &records), header.bytes(), padded(stored)])
    };
    let map = format!("0,{},{},{}", first.len(), first.len(), second.len());
    let inline = {
        let map = format!("2\n0\n{}\n{}\n{}\n", first.len(), first.len(), second.len());
        [padded(map.as_bytes()), data.clone()].concat()
    };
    vec![
        case(
            "sparse-old",
            "GNU's old sparse file in two pieces",
            old(b'S', &pieces, data.len(), &data),
        ),
        case(
            "sparse-old-hole",
            "GNU's old sparse file with a hole behind it",
            old(b'S', &far, data.len() + hole, &data),
        ),
        case(
            "sparse-old-swapped",
            "GNU's old sparse file whose pieces are not in order",
            {
                old(
                    b'S',
                    &[(first.len(), second.len()), (0, first.len())],
                    data.len(),
                    &swapped,
                )
            },
        ),
        case(
            "sparse-old-real",
            "GNU's old sparse file with a size that is too small",
            old(b'S', &pieces, 5, &data),
        ),
        case(
            "sparse-old-plain",
            "a map of pieces in a file that is not sparse",
            old(
                b'0',
                &[(first.len(), second.len()), (0, first.len())],
                data.len(),
                &swapped,
            ),
        ),
        case(
            "sparse-0.1",
            "a sparse file, version 0.1",
            records(
                &[
                    ("GNU.sparse.size", data.len().to_string()),
                    ("GNU.sparse.numblocks", "2".to_owned()),
                    ("GNU.sparse.map", map),
                ],
                &data,
            ),
        ),
        case(
            "sparse-0.0",
            "a sparse file, version 0.0",
            records(
                &[
                    ("GNU.sparse.size", data.len().to_string()),
                    ("GNU.sparse.numblocks", "2".to_owned()),
                    ("GNU.sparse.offset", "0".to_owned()),
                    ("GNU.sparse.numbytes", first.len().to_string()),
                    ("GNU.sparse.offset", first.len().to_string()),
                    ("GNU.sparse.numbytes", second.len().to_string()),
                ],
                &data,
            ),
        ),
        case(
            "sparse-1.0",
            "a sparse file, version 1.0",
            records(
                &[
                    ("GNU.sparse.major", "1".to_owned()),
                    ("GNU.sparse.minor", "0".to_owned()),
                    ("GNU.sparse.name", "virus.gz".to_owned()),
                    ("GNU.sparse.realsize", data.len().to_string()),
                ],
                &inline,
            ),
        ),
        case(
            "sparse-9.9",
            "a sparse file of a version that is none",
            records(
                &[
                    ("GNU.sparse.major", "9".to_owned()),
                    ("GNU.sparse.minor", "9".to_owned()),
                    ("GNU.sparse.realsize", data.len().to_string()),
                ],
                &inline,
            ),
        ),
    ]
}
