//! Compound files ([MS-CFB]) whose header, tables and directory do not say where their streams lie.

use std::io::{Cursor, Write as _};

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// A compound file with these streams.
fn compound(version: cfb::Version, streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file =
        cfb::CompoundFile::create_with_version(version, Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        if let Some((storage, _)) = path
            .rsplit_once('/')
            .filter(|(storage, _)| !storage.is_empty())
        {
            file.create_storage_all(storage).unwrap();
        }
        file.create_new_stream(path)
            .unwrap()
            .write_all(content)
            .unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

/// The marker behind what does not pack, in a member of its own.
fn large() -> Vec<u8> {
    [gzip(&noise(1, 6_000)), small()].concat()
}

fn small() -> Vec<u8> {
    gzip(&eicar())
}

const VERSION: cfb::Version = cfb::Version::V3;

fn by_small() -> Vec<u8> {
    compound(
        VERSION,
        &[
            ("/letter", b"Dear reader, nothing is in here."),
            ("/virus", &small()),
        ],
    )
}

fn by_large() -> Vec<u8> {
    compound(
        VERSION,
        &[
            ("/letter", b"Dear reader, nothing is in here."),
            ("/virus", &large()),
        ],
    )
}

/// Where the directory has an entry of this name.
fn entry(file: &[u8], name: &str) -> usize {
    let wide: Vec<u8> = name
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .chain([0, 0])
        .collect();
    let mut places = memchr::memmem::find_iter(file, &wide);
    places.find(|at| at % 128 == 0).unwrap()
}

fn word(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

/// Where the table of sectors has its row of this sector: the first sector of the table, which the header names.
fn row(file: &[u8], sector: u32) -> usize {
    (word(file, 76) as usize + 1) * 512 + 4 * sector as usize
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("small", "nothing", by_small()),
        case("large", "a stream in sectors of its own", by_large()),
        case(
            "long-sectors",
            "sectors of 4,096 bytes",
            compound(cfb::Version::V4, &[("/virus", &small())]),
        ),
        case(
            "deep",
            "in storages 10 deep",
            compound(
                VERSION,
                &[(&format!("{}/virus", "/a".repeat(10)), &small())],
            ),
        ),
        case("hangul", "deflated, as Hangul 5 has it", {
            let mut header = b"HWP Document File".to_vec();
            header.resize(36, 0);
            // Deflated, and a lie: encrypted.
            header.extend([3, 0, 0, 0]);
            let mut deflated =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            deflated.write_all(&eicar()).unwrap();
            let virus = deflated.finish().unwrap();
            compound(
                VERSION,
                &[
                    ("/A/FileHeader", b"none"),
                    ("/FileHeader", &header),
                    ("/BinData/BIN0001.bmp", &virus),
                ],
            )
        }),
        case("behind-many", "behind 2,000 other streams", {
            let names: Vec<String> = (0..2_000).map(|number| format!("/a{number}")).collect();
            let mut streams: Vec<(&str, &[u8])> = names
                .iter()
                .map(|name| (name.as_str(), &b"x"[..]))
                .collect();
            let small = small();
            streams.push(("/virus", &small));
            compound(VERSION, &streams)
        }),
        case(
            "file-in-file",
            "in a compound file in it",
            compound(VERSION, &[("/inner", &by_large())]),
        ),
        case(
            "junk-behind",
            "1,000 bytes behind it",
            [&by_large()[..], &noise(2, 1_000)].concat(),
        ),
        case("cut", "the last sector is cut", {
            let mut file = by_large();
            file.truncate(file.len() - 100);
            file
        }),
    ];
    cases.extend(headers());
    cases.extend(directories());
    cases.extend(sectors());
    cases
}

/// What the header says.
fn headers() -> Vec<Case> {
    let fields: [(&str, &str, usize, &[u8]); 12] = [
        (
            "old",
            "the letters of a test version",
            0,
            b"\x0e\x11\xfc\x0d\xd0\xcf\x11\x0e",
        ),
        ("class", "a class in the header", 8, &[7; 16]),
        ("minor", "another minor version", 24, &[0xff, 0xff]),
        ("version", "version 4 and short sectors", 26, &[4, 0]),
        ("version-none", "version 99", 26, &[99, 0]),
        (
            "order",
            "the big end first, says the header",
            28,
            &[0xff, 0xfe],
        ),
        (
            "sector",
            "sectors of 4,096 bytes, says the header",
            30,
            &[12, 0],
        ),
        (
            "tables-0",
            "no sectors of tables, says the header",
            44,
            &[0, 0, 0, 0],
        ),
        (
            "tables-many",
            "65,535 sectors of tables, says the header",
            44,
            &[0xff, 0xff, 0, 0],
        ),
        (
            "bound-0",
            "all streams in long sectors, says the header",
            56,
            &[0, 0, 0, 0],
        ),
        (
            "short-tables-0",
            "no tables of short sectors, says the header",
            64,
            &[0, 0, 0, 0],
        ),
        (
            "further",
            "further tables behind the end, says the header",
            68,
            &[9, 9, 9, 9, 9, 0, 0, 0],
        ),
    ];
    let change = |(name, oddity, at, bytes): (&str, &str, usize, &[u8])| {
        let mut file = by_small();
        put(&mut file, at, bytes);
        case(format!("header-{name}"), oddity, file)
    };
    fields.into_iter().map(change).collect()
}

/// What the directory says of the stream.
fn directories() -> Vec<Case> {
    let fields: [(&str, &str, usize, &[u8]); 11] = [
        ("name-length", "a name of no letters", 64, &[0, 0]),
        ("name-length-more", "a name of 200 bytes", 64, &[200, 0]),
        ("name-zero", "a zero in the name", 2, &[0, 0]),
        ("name-slash", "a slash in the name", 2, b"/\0"),
        ("kind-0", "an unused entry", 66, &[0]),
        ("kind-5", "a root", 66, &[5]),
        ("kind-9", "a kind that is none", 66, &[9]),
        ("colour", "a colour that is none", 67, &[9]),
        ("size-less", "a size that is less", 120, &[20, 0]),
        ("size-more", "a size that is more", 120, &[0, 3]),
        ("size-high", "a size of 2^63 bytes", 124, &[0, 0, 0, 0x80]),
    ];
    let change = |(name, oddity, at, bytes): (&str, &str, usize, &[u8])| {
        let mut file = by_small();
        let entry = entry(&file, "virus");
        put(&mut file, entry + at, bytes);
        case(format!("entry-{name}"), oddity, file)
    };
    let mut cases: Vec<Case> = fields.into_iter().map(change).collect();
    let linked = |name: &str, oddity: &str, links: fn(&mut [u8], usize, usize, usize)| {
        let mut file = by_small();
        let places = ["Root Entry", "letter", "virus"].map(|name| entry(&file, name));
        links(&mut file, places[0], places[1], places[2]);
        case(format!("entry-{name}"), oddity, file)
    };
    const NONE: [u8; 4] = [0xff; 4];
    cases.extend([
        linked(
            "unlinked",
            "no entry leads to the stream",
            |file, root, letter, virus| {
                let lone = ((letter - root) / 128) as u32;
                put(file, root + 76, &lone.to_le_bytes());
                for at in [letter, virus] {
                    put(file, at + 68, &NONE);
                    put(file, at + 72, &NONE);
                }
            },
        ),
        linked("childless", "the root leads nowhere", |file, root, _, _| {
            put(file, root + 76, &NONE)
        }),
        linked(
            "loop",
            "entries that lead to themselves",
            |file, root, letter, virus| {
                for at in [letter, virus] {
                    let number = ((at - root) / 128) as u32;
                    put(file, at + 68, &number.to_le_bytes());
                }
            },
        ),
        linked(
            "far",
            "entries that lead behind the end",
            |file, _, letter, virus| {
                for at in [letter, virus] {
                    put(file, at + 68, &[0xee, 0xee, 0, 0]);
                }
            },
        ),
    ]);
    cases
}

/// What the tables of sectors say.
fn sectors() -> Vec<Case> {
    let changed = |name: &str, oddity: &str, change: fn(&mut Vec<u8>, usize, u32)| {
        let mut file = by_large();
        let entry = entry(&file, "virus");
        let first = word(&file, entry + 116);
        change(&mut file, entry, first);
        case(format!("sectors-{name}"), oddity, file)
    };
    vec![
        changed(
            "moved",
            "the second sector lies behind all others",
            |file, _, first| {
                let from = (first as usize + 2) * 512;
                let moved = (file.len() / 512 - 1) as u32;
                let second = file[from..from + 512].to_vec();
                file.extend(second);
                file[from..from + 512].fill(0);
                let (at, next) = (row(file, first), row(file, moved));
                let third = (first + 2).to_le_bytes();
                put(file, at, &moved.to_le_bytes());
                put(file, next, &third);
            },
        ),
        changed(
            "end",
            "the row of the first sector says that it is the last",
            |file, _, first| {
                let at = row(file, first);
                put(file, at, &0xffff_fffe_u32.to_le_bytes());
            },
        ),
        changed(
            "free",
            "all rows say that the sectors are free",
            |file, _, first| {
                for sector in first..first + 10 {
                    let at = row(file, sector);
                    put(file, at, &[0xff; 4]);
                }
            },
        ),
        changed(
            "loop",
            "the last sector leads to the first",
            |file, _, first| {
                let count = (large().len() as u32).div_ceil(512);
                let at = row(file, first + count - 1);
                put(file, at, &first.to_le_bytes());
            },
        ),
        changed(
            "far",
            "the first sector is behind the end",
            |file, entry, _| {
                put(file, entry + 116, &[0xee, 0xee, 0, 0]);
            },
        ),
    ]
}
