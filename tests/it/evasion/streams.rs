//! Compressed streams: gzip (RFC 1952), zlib, bzip2, and those that the programs make themselves.

use std::io::Write;

use super::{Case, case};
use crate::support::{eicar, gzip, noise, run};

/// Members of gzip: flags, what stands between header and data, and what behind the data is changed.
struct Gzip {
    method: u8,
    flags: u8,
    optional: Vec<u8>,
    sum: u32,
    size: u32,
}

fn member(change: impl Fn(&mut Gzip)) -> Vec<u8> {
    let content = eicar();
    let mut fields = Gzip {
        method: 8,
        flags: 0,
        optional: Vec::new(),
        sum: crc32fast::hash(&content),
        size: u32::try_from(content.len()).unwrap(),
    };
    change(&mut fields);
    let mut out = vec![0x1f, 0x8b, fields.method, fields.flags, 0, 0, 0, 0, 0, 3];
    out.extend(&fields.optional);
    out.extend(deflated(&content));
    out.extend(fields.sum.to_le_bytes());
    out.extend(fields.size.to_le_bytes());
    out
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

/// gzip of the marker, cut by so many bytes.
fn cut(count: usize) -> Vec<u8> {
    let bytes = gzip(&eicar());
    bytes[..bytes.len() - count].to_vec()
}

pub(super) fn gzips() -> Vec<Case> {
    let whole = gzip(&eicar());
    let harmless = gzip(b"Dear reader, nothing is in here.\n");
    let halves = || {
        let content = eicar();
        let (first, second) = content.split_at(20);
        [gzip(first), gzip(second)].concat()
    };
    let field = |bits: u8, optional: &[u8]| {
        member(|fields| {
            fields.flags = bits;
            fields.optional = optional.to_vec();
        })
    };
    let mut deep = whole.clone();
    for _ in 0..20 {
        deep = gzip(&deep);
    }
    vec![
        case("plain", "nothing", whole.clone()),
        case(
            "second",
            "the second member",
            [harmless.clone(), whole.clone()].concat(),
        ),
        case("halves", "in two members", halves()),
        case(
            "empties",
            "behind 1,000 empty members",
            [gzip(b"").repeat(1000), whole.clone()].concat(),
        ),
        case(
            "zeros-between",
            "zeros between the members",
            [&harmless[..], &[0; 512], &whole].concat(),
        ),
        case(
            "junk-between",
            "junk between the members",
            [&harmless[..], &noise(21, 100), &whole].concat(),
        ),
        case(
            "junk-behind",
            "junk behind it",
            [&whole[..], &noise(22, 1000)].concat(),
        ),
        case(
            "zeros-behind",
            "zeros behind it",
            [&whole[..], &[0; 10_000]].concat(),
        ),
        case("sum", "a wrong checksum", member(|fields| fields.sum ^= 1)),
        case("size", "a wrong size", member(|fields| fields.size = 7)),
        case("sum-first", "a wrong checksum of the member before", {
            let mut first = harmless.clone();
            let at = first.len() - 6;
            first[at] ^= 1;
            [first, whole.clone()].concat()
        }),
        case("no-size", "cut before the size", cut(4)),
        case("no-trailer", "cut before the checksum", cut(8)),
        case("cut-data", "cut within the data", cut(12)),
        case(
            "method",
            "a method that is none",
            member(|fields| fields.method = 7),
        ),
        case(
            "reserved",
            "reserved flags",
            member(|fields| fields.flags = 0xe0),
        ),
        case(
            "encrypted",
            "the flag for encryption of old versions",
            member(|fields| fields.flags = 0x20),
        ),
        case(
            "text",
            "a text, says its flag",
            member(|fields| fields.flags = 1),
        ),
        case("name", "a name", field(8, b"letter.txt\0")),
        case(
            "name-up",
            "a name that leaves the folder",
            field(8, b"../../letter.txt\0"),
        ),
        case(
            "name-long",
            "a name of 100,000 bytes",
            field(8, &[&vec![b'n'; 100_000][..], b"\0"].concat()),
        ),
        case("comment", "a comment", field(16, b"harmless\0")),
        case("extra", "an extra field", field(4, b"\x06\0AB\x02\0xy")),
        case(
            "extra-full",
            "an extra field of 65,535 bytes",
            field(4, &[&[0xff, 0xff][..], &[0; 65_535]].concat()),
        ),
        case(
            "header-sum",
            "a wrong checksum of the header",
            field(2, b"\x12\x34"),
        ),
        case(
            "all-fields",
            "all optional fields",
            field(0x1e, b"\x02\0xyname\0comment\0\x12\x34"),
        ),
        case("blocks", "10,000 empty blocks before the content", {
            let mut out = whole[..10].to_vec();
            out.extend([0, 0, 0, 0xff, 0xff].repeat(10_000));
            out.extend(&whole[10..]);
            out
        }),
        case("deep-21", "21 times compressed", deep),
        case(
            "behind-text",
            "behind a text",
            [&b"#!/bin/sh\ntail -c +40 $0 | gzip -dc\nexit\n"[..], &whole].concat(),
        ),
        case("stored-blocks", "a block for every byte", {
            let content = eicar();
            let mut out = whole[..10].to_vec();
            for (at, byte) in content.iter().enumerate() {
                out.extend([u8::from(at + 1 == content.len()), 1, 0, 0xfe, 0xff, *byte]);
            }
            out.extend(&whole[whole.len() - 8..]);
            out
        }),
        case("flushed", "a flush after every byte", {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            for byte in eicar() {
                encoder.write_all(&[byte]).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        }),
    ]
}

fn bzip2(content: &[u8], level: u32) -> Vec<u8> {
    let level = bzip2::Compression::new(level);
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), level);
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

pub(super) fn bzip2s() -> Vec<Case> {
    let whole = bzip2(&eicar(), 9);
    let harmless = bzip2(b"Dear reader, nothing is in here.\n", 1);
    let content = eicar();
    let (first, second) = content.split_at(20);
    let changed = |from_end: usize| {
        let mut bytes = whole.clone();
        let at = bytes.len() - from_end;
        bytes[at] ^= 0x10;
        bytes
    };
    vec![
        case("plain", "nothing", whole.clone()),
        case("level-1", "small blocks", bzip2(&content, 1)),
        case(
            "second",
            "the second stream",
            [harmless.clone(), whole.clone()].concat(),
        ),
        case(
            "halves",
            "in two streams",
            [bzip2(first, 9), bzip2(second, 9)].concat(),
        ),
        case(
            "empties",
            "behind 500 empty streams",
            [bzip2(b"", 1).repeat(500), whole.clone()].concat(),
        ),
        case(
            "junk-between",
            "junk between the streams",
            [&harmless[..], &noise(23, 100), &whole].concat(),
        ),
        case(
            "zeros-between",
            "zeros between the streams",
            [&harmless[..], &[0; 512], &whole].concat(),
        ),
        case(
            "junk-behind",
            "junk behind it",
            [&whole[..], &noise(24, 1000)].concat(),
        ),
        case("sum", "a wrong checksum of the stream", changed(2)),
        case(
            "no-end",
            "cut before the end mark",
            whole[..whole.len() - 9].to_vec(),
        ),
        case(
            "cut",
            "cut within the end mark",
            whole[..whole.len() - 3].to_vec(),
        ),
        case("block-sum", "a wrong checksum of the block", {
            let mut bytes = whole.clone();
            bytes[11] ^= 1;
            bytes
        }),
        case("level-0", "a size of blocks that is none", {
            let mut bytes = whole.clone();
            bytes[3] = b'0';
            bytes
        }),
        case("gzip", "in a gzip", gzip(&whole)),
        case(
            "behind-text",
            "behind a text",
            [
                &b"#!/bin/sh\ntail -c +40 $0 | bzip2 -dc\nexit\n"[..],
                &whole,
            ]
            .concat(),
        ),
    ]
}

/// What a program makes of the marker.
fn made(program: &str, arguments: &[&str], content: &[u8]) -> Vec<u8> {
    run(program, arguments, content).stdout
}

pub(super) fn xzs() -> Vec<Case> {
    let content = eicar().repeat(3);
    let xz = |arguments: &[&str]| made("xz", arguments, &content);
    let whole = xz(&["-c"]);
    let harmless = made("xz", &["-c"], &b"Dear reader, nothing. ".repeat(3));
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let length = whole.len();
    vec![
        case("plain", "nothing", whole.clone()),
        case("check-none", "without a check", xz(&["-c", "--check=none"])),
        case("check-sha256", "SHA-256", xz(&["-c", "--check=sha256"])),
        case(
            "delta",
            "the delta filter",
            xz(&["-c", "--delta=dist=3", "--lzma2"]),
        ),
        case(
            "x86",
            "the filter for programs",
            xz(&["-c", "--x86", "--lzma2"]),
        ),
        case(
            "filters",
            "four filters",
            xz(&["-c", "--delta=dist=1", "--arm", "--sparc", "--lzma2"]),
        ),
        case(
            "odd",
            "other numbers of bits",
            xz(&["-c", "--lzma2=lc=0,lp=4,pb=0"]),
        ),
        case(
            "blocks",
            "in blocks of 50 bytes",
            xz(&["-c", "--block-size=50"]),
        ),
        case(
            "second",
            "the second stream",
            [harmless.clone(), whole.clone()].concat(),
        ),
        case(
            "padding",
            "padding between the streams",
            [&harmless[..], &[0; 64], &whole].concat(),
        ),
        case(
            "padding-odd",
            "padding that is no multiple of four",
            [&harmless[..], &[0; 3], &whole].concat(),
        ),
        case(
            "junk-behind",
            "junk behind it",
            [&whole[..], &noise(25, 100)].concat(),
        ),
        case("footer", "a footer that is damaged", changed(length - 5)),
        case("index", "an index that is damaged", changed(length - 16)),
        case("check", "a check that differs", changed(length - 25)),
        case(
            "header-sum",
            "a checksum of the header that differs",
            changed(8),
        ),
        case(
            "cut",
            "cut before the footer",
            whole[..length - 12].to_vec(),
        ),
        case(
            "lzma",
            "LZMA without a container",
            xz(&["-c", "--format=lzma"]),
        ),
        case(
            "lzma-odd",
            "LZMA with other properties",
            xz(&["-c", "--format=lzma", "--lzma1=lc=1,lp=2,pb=3,dict=5MiB"]),
        ),
        case(
            "lzma-dictionary",
            "LZMA with a dictionary that no writer chooses",
            {
                let mut out = xz(&["-c", "--format=lzma", "--lzma1=lc=1,lp=2,pb=3"]);
                out[1..5].copy_from_slice(&[0, 0, 0x60, 0]);
                out
            },
        ),
        case("zstd", "Zstandard", made("zstd", &["-qc", "-19"], &content)),
        case(
            "zstd-second",
            "Zstandard behind a frame to be passed over",
            {
                [
                    &b"\x50\x2a\x4d\x18\x04\0\0\0skip"[..],
                    &made("zstd", &["-qc"], &content),
                ]
                .concat()
            },
        ),
        case(
            "zstd-long",
            "Zstandard with a large window",
            made("zstd", &["-qc", "--long=27"], &content),
        ),
        case("lz4", "LZ4", made("lz4", &["-qc"], &content)),
        case("lz4-legacy", "LZ4 of old", made("lz4", &["-qlc"], &content)),
        case("lzip", "lzip", made("lzip", &["-c"], &content)),
        case("lzop", "lzop", made("lzop", &["-c"], &content)),
        case("compress", "compress", made("compress", &["-fc"], &content)),
        case("zlib", "zlib alone", {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(&content).unwrap();
            out.finish().unwrap()
        }),
    ]
}
