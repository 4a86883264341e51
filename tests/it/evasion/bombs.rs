//! Content that grows, loops or is looked at again and again: all of it below one MiB.
//!
//! docs/evasion.md says what `vfind` says of each, and what it took in the run that wrote the table
//! (`VFIND_WRITE=1 VFIND_PROGRAM=target/release/vfind cargo test --test it bombs`).

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::table;
use super::{Case, case, said_in};
use crate::support::{gzip, has_tools, noise, stored_zip, tar, zip};

const MIB: usize = 1 << 20;

/// What a worker may take, in bytes, and what the program, its signatures and its threads have besides.
const MEMORY: u64 = (512 + 96) << 20;

/// gzip of so many MiB of zeros, without holding them.
fn zeros(mib: usize) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let piece = vec![0; MIB];
    for _ in 0..mib {
        out.write_all(&piece).unwrap();
    }
    out.finish().unwrap()
}

/// Some MiB of zeros, as a program packs them.
fn packed(program: &str, arguments: &[&str], mib: usize) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let piece = vec![0; MIB];
        for _ in 0..mib {
            input.write_all(&piece).unwrap();
        }
    });
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    feeder.join().unwrap();
    assert!(child.wait().unwrap().success(), "{program}");
    out
}

/// Deflate of zeros, its last block left out and put behind: what stands at the end of many members.
fn kernel(mib: usize) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let piece = vec![0; MIB];
    for _ in 0..mib {
        out.write_all(&piece).unwrap();
    }
    out.finish().unwrap()
}

/// A zip of many members that all have the same data; with `quoted`, each takes the headers behind it for a stored block of its
/// own (D. Fifield, "A better zip bomb").
fn overlapping(members: usize, mib: usize, quoted: bool) -> Vec<u8> {
    let data = kernel(mib);
    let mut heads: Vec<Vec<u8>> = Vec::new();
    let header = |name: &str, packed: usize, size: usize| {
        let mut out = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend((packed as u32).to_le_bytes());
        out.extend((size as u32).to_le_bytes());
        out.extend([name.len() as u8, 0, 0, 0]);
        out.extend(name.as_bytes());
        out
    };
    // From the last to the first, for each holds those behind it.
    let (mut packed, mut size) = (data.len(), mib * MIB);
    let mut sizes = Vec::new();
    for number in (0..members).rev() {
        let name = format!("{number:05}");
        let head = header(&name, packed, size);
        sizes.push((name, packed, size));
        if quoted {
            let length = head.len() as u16;
            let mut block = vec![0];
            block.extend(length.to_le_bytes());
            block.extend((!length).to_le_bytes());
            (packed, size) = (packed + block.len() + head.len(), size + head.len());
            heads.push([block, head].concat());
        } else {
            heads.push(head);
        }
    }
    heads.reverse();
    sizes.reverse();
    let mut out = Vec::new();
    let mut offsets = Vec::new();
    if quoted {
        for (number, head) in heads.iter().enumerate() {
            // The first has nothing before it that quotes its header.
            let head = if number == 0 { &head[5..] } else { &head[..] };
            offsets.push(out.len() + if number == 0 { 0 } else { 5 });
            out.extend(head);
        }
    } else {
        offsets = vec![0; members];
        out.extend(&heads[0]);
    }
    out.extend(&data);
    let start = out.len();
    for ((name, packed, size), offset) in sizes.iter().zip(offsets) {
        out.extend(b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        out.extend((*packed as u32).to_le_bytes());
        out.extend((*size as u32).to_le_bytes());
        out.extend([name.len() as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend((offset as u32).to_le_bytes());
        out.extend(name.as_bytes());
    }
    let length = out.len() - start;
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([(members as u16).to_le_bytes(); 2].concat());
    out.extend((length as u32).to_le_bytes());
    out.extend((start as u32).to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Ten of it in a zip, ten of that in another, and so on.
fn nested(levels: usize, mib: usize) -> Vec<u8> {
    let mut inner = zip(&[("0", &vec![0; mib * MIB])]);
    for _ in 0..levels {
        let names: Vec<String> = (0..10).map(|number| format!("{number}.zip")).collect();
        let members: Vec<(&str, &[u8])> = names
            .iter()
            .map(|name| (name.as_str(), &inner[..]))
            .collect();
        inner = zip(&members);
    }
    inner
}

/// One format around the other, so many times.
fn deep(levels: usize, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = b"harmless".to_vec();
    for _ in 0..levels {
        bytes = wrap(&bytes);
    }
    bytes
}

/// A tar header alone.
fn tar_header(kind: u8, size: u64, also: &[(usize, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..4].copy_from_slice(b"file");
    out[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    out[156] = kind;
    out[257..265].copy_from_slice(b"ustar  \0");
    for (at, bytes) in also {
        out[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    out[148..156].copy_from_slice(b"        ");
    let sum: u32 = out.iter().map(|byte| u32::from(*byte)).sum();
    out[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out
}

fn filled(piece: &[u8]) -> Vec<u8> {
    piece.repeat(MIB.saturating_sub(1) / piece.len())
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = growing();
    cases.extend(many());
    cases.extend(loops());
    cases.extend(claims());
    cases.extend(again());
    for case in &cases {
        assert!(
            case.bytes.len() < MIB,
            "{} has {} bytes",
            case.name,
            case.bytes.len()
        );
    }
    cases
}

/// Little that becomes much.
fn growing() -> Vec<Case> {
    let mut rle = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    // Blocks of one byte that stands for 128 KiB.
    rle.extend([0x02, 0, 0x10, 0].repeat(100_000));
    rle.extend([1, 0, 0]);
    vec![
        case("gzip-zeros", "900 MiB of zeros", zeros(900)),
        case(
            "gzip-members",
            "9 GiB of zeros in 90 members, compressed again",
            gzip(&zeros(100).repeat(90)),
        ),
        case(
            "bzip2-zeros",
            "9 GiB of zeros in 200 streams",
            packed("bzip2", &["-c"], 45).repeat(200),
        ),
        case(
            "xz-zeros",
            "6 GiB of zeros in 100 streams",
            packed("xz", &["-c", "-1"], 64).repeat(100),
        ),
        case(
            "lzma-zeros",
            "500 MiB of zeros",
            packed("xz", &["-c", "-1", "--format=lzma"], 500),
        ),
        case(
            "lzip-zeros",
            "5 GiB of zeros in 75 members",
            packed("lzip", &["-c", "-1"], 64).repeat(75),
        ),
        case(
            "zstd-zeros",
            "6 GiB of zeros in 100 frames",
            packed("zstd", &["-qc"], 64).repeat(100),
        ),
        case("zstd-blocks", "12 GiB in blocks of one byte", rle),
        case(
            "lz4-zeros",
            "200 MiB of zeros",
            packed("lz4", &["-qc"], 200),
        ),
        case(
            "lz4-twice",
            "2 GiB of zeros in 100 frames, compressed again",
            gzip(&packed("lz4", &["-qc"], 20).repeat(100)),
        ),
        case(
            "compress-zeros",
            "300 MiB of zeros",
            packed("compress", &["-c"], 300),
        ),
        case(
            "zip-nested",
            "100,000 members of 10 MiB each, five deep",
            nested(5, 10),
        ),
        case(
            "zip-overlapping",
            "20,000 members with one content of 100 MiB",
            overlapping(10_000, 100, false),
        ),
        case(
            "zip-quoted",
            "5,000 members that quote each other's headers, 20 MiB each",
            overlapping(5_000, 20, true),
        ),
        case(
            "zip-in-stored",
            "members within members, all stored",
            deep(200, |inner| {
                stored_zip(&[("a", inner), ("b", inner)][..usize::from(inner.len() < 200_000) + 1])
            }),
        ),
        case(
            "tar-sparse",
            "a file of 1 TiB that is a hole",
            [
                tar_header(b'S', 0, &[(483, b"\x80\0\0\0\0\0\x01\0\0\0\0\0")]),
                vec![0; 1024],
            ]
            .concat(),
        ),
        case(
            "tar-sparse-pieces",
            "a file of 8 GiB with holes, in many pieces",
            {
                let piece = |number: u64| {
                    let offset = format!("{:011o}\0", number << 22);
                    let length = format!("{:011o}\0", 1);
                    [offset.into_bytes(), length.into_bytes()].concat()
                };
                let map: Vec<Vec<u8>> = (0..4).map(piece).collect();
                let mut out = tar_header(
                    b'S',
                    1900,
                    &[
                        (386, &map.concat()),
                        (482, b"\x01"),
                        (483, b"77777777777\0"),
                    ],
                );
                for block in 0..90 {
                    let mut bytes: Vec<u8> = (0..21)
                        .flat_map(|row| piece(4 + block * 21 + row))
                        .collect();
                    bytes.push(u8::from(block < 89));
                    bytes.resize(512, 0);
                    out.extend(bytes);
                }
                out.extend(vec![b'x'; 2048]);
                out.extend([0; 1024]);
                out
            },
        ),
        case("swf", "a film of 900 MiB of zeros", {
            let mut out = b"CWS\x09\xff\xff\xff\x7f".to_vec();
            let mut packer = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::best());
            for _ in 0..900 {
                packer.write_all(&vec![0; MIB]).unwrap();
            }
            packer.finish().unwrap();
            out
        }),
    ]
}

/// Small things in great number.
fn many() -> Vec<Case> {
    let mail = |body: Vec<u8>| {
        let head = b"From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";
        [&head[..], &body].concat()
    };
    vec![
        case("gzip-empties", "40,000 empty members", filled(&gzip(b""))),
        case("zip-empties", "9,000 empty members", {
            let names: Vec<String> = (0..9000).map(|number| number.to_string()).collect();
            let members: Vec<(&str, &[u8])> =
                names.iter().map(|name| (name.as_str(), &b""[..])).collect();
            stored_zip(&members)
        }),
        case(
            "tar-members",
            "1,000,000 members of nothing",
            gzip(&tar_header(b'0', 0, &[]).repeat(300_000)),
        ),
        case("ar-members", "17,000 members of nothing", {
            let head = b"a/              0           0     0     644     0         `\n";
            [&b"!<arch>\n"[..], &head.repeat(17_000)].concat()
        }),
        case(
            "mime-parts",
            "200,000 parts",
            mail(filled(b"--b\n\n")[..MIB - 200].to_vec()),
        ),
        case("mime-deep", "10,000 multiparts in each other", {
            let mut out = b"From: a\nMIME-Version: 1.0\n".to_vec();
            for level in 0..10_000 {
                out.extend(
                    format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n")
                        .into_bytes(),
                );
            }
            out
        }),
        case("mime-messages", "15,000 messages in each other", {
            [
                b"From: a\n".to_vec(),
                b"MIME-Version: 1.0\nContent-Type: message/rfc822\n\n".repeat(15_000),
            ]
            .concat()
        }),
        case("mime-fields", "200,000 header fields", {
            [
                b"From: a\n".to_vec(),
                filled(b"A: b\n")[..MIB - 100].to_vec(),
                b"\nbody\n".to_vec(),
            ]
            .concat()
        }),
        case(
            "mime-line",
            "a header field of 1 MB",
            [
                b"From: a\nSubject: ".to_vec(),
                vec![b'a'; MIB - 100],
                b"\n\nbody\n".to_vec(),
            ]
            .concat(),
        ),
        case("mime-parameters", "100,000 parameters", {
            [
                b"From: a\nContent-Type: multipart/mixed".to_vec(),
                b"; b*1=a".repeat(100_000),
                b"\n\nbody\n".to_vec(),
            ]
            .concat()
        }),
        case(
            "mbox-messages",
            "40,000 mails in a mailbox",
            filled(b"From a@b Thu Jan  1 00:00:00 1970\nA: b\n\nbody\n\n"),
        ),
        case(
            "uu-members",
            "60,000 uuencoded files",
            filled(b"begin 644 a\n`\nend\n"),
        ),
        case(
            "html-deep",
            "100,000 elements in each other",
            filled(b"<div><b>"),
        ),
        case(
            "html-entities",
            "200,000 entities",
            [b"<html>".to_vec(), filled(b"&#x41;")[..MIB - 100].to_vec()].concat(),
        ),
        case(
            "rtf-groups",
            "500,000 groups in each other",
            [b"{\\rt".to_vec(), b"f1".to_vec(), vec![b'{'; MIB - 100]].concat(),
        ),
        case(
            "base64-pieces",
            "20,000 pieces of base64",
            filled(b"data:text/plain;base64,aGFybWxlc3MgaGFybWxlc3M= \n"),
        ),
        case(
            "base64-deep",
            "base64 in base64",
            deep(20, |inner| {
                let text = data_encoding::BASE64.encode(inner);
                if text.len() < MIB {
                    text.into_bytes()
                } else {
                    inner.to_vec()
                }
            }),
        ),
    ]
}

/// What leads back to itself, or deep down.
fn loops() -> Vec<Case> {
    let mut ole = vec![0; 512 * 8];
    ole[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    ole[24..34].copy_from_slice(&[0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0]);
    ole[44..48].copy_from_slice(&1_u32.to_le_bytes());
    ole[48..52].copy_from_slice(&1_u32.to_le_bytes());
    ole[56..60].copy_from_slice(&4096_u32.to_le_bytes());
    ole[60..64].copy_from_slice(&2_u32.to_le_bytes());
    // Its list of tables goes on in itself.
    ole[68..76].copy_from_slice(&[3, 0, 0, 0, 0xff, 0xff, 0, 0]);
    ole[76..80].copy_from_slice(&0_u32.to_le_bytes());
    for entry in 0..128_u32 {
        // Every chain is a loop of one sector.
        let at = 512 + 4 * entry as usize;
        ole[at..at + 4].copy_from_slice(&entry.to_le_bytes());
        let at = 512 * 4 + 4 * entry as usize;
        ole[at..at + 4].copy_from_slice(&3_u32.to_le_bytes());
    }
    for entry in 0..4 {
        // Names, and siblings and children that are the entry itself.
        let at = 1024 + 128 * entry;
        ole[at..at + 2].copy_from_slice(b"R\0");
        ole[at + 64..at + 68].copy_from_slice(&[4, 0, if entry == 0 { 5 } else { 1 }, 1]);
        for link in [68, 72, 76] {
            ole[at + link..at + link + 4].copy_from_slice(&(entry as u32).to_le_bytes());
        }
        ole[at + 120..at + 124].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    }
    let xml = |body: &str| {
        let head = "<?xml version=\"1.0\"?><!DOCTYPE d [<!ENTITY a \"harmless\">";
        let entities: String = (0..30)
            .map(|level| {
                let of = if level == 0 {
                    "a".to_owned()
                } else {
                    format!("e{}", level - 1)
                };
                format!("<!ENTITY e{level} \"{}\">", format!("&{of};").repeat(10))
            })
            .collect();
        format!("{head}{entities}]>{body}").into_bytes()
    };
    vec![
        case(
            "zip-deep",
            "1,000 zips in each other",
            deep(1000, |inner| stored_zip(&[("a", inner)])),
        ),
        case("gzip-deep", "1,000 times compressed", deep(1000, gzip)),
        case(
            "tar-deep",
            "400 tars in each other",
            deep(400, |inner| {
                tar(&[(b"a", inner)])[..inner.len().next_multiple_of(512) + 512].to_vec()
            }),
        ),
        case("ole2-loops", "chains and folders that are loops", ole),
        case(
            "xml-entities",
            "entities that grow to 10^30 letters",
            xml("<d>&e29;</d>"),
        ),
        case(
            "xml-office",
            "the same in an office document",
            zip(&[
                ("[Content_Types].xml", &xml("<Types>&e29;</Types>")),
                ("word/document.xml", &xml("<w:document>&e29;</w:document>")),
            ]),
        ),
        case("xar-entities", "the same in the table of an archive", {
            let table = xml("<xar><toc>&e29;</toc></xar>");
            let mut packer =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(&table).unwrap();
            let packed = packer.finish().unwrap();
            let mut out = b"xar!\0\x1c\0\x01".to_vec();
            out.extend((packed.len() as u64).to_be_bytes());
            out.extend((table.len() as u64).to_be_bytes());
            out.extend([0; 4]);
            out.extend(packed);
            out
        }),
        case("iso-loop", "a folder that is in itself", {
            let mut out = vec![0; 2048 * 24];
            let at = 2048 * 16;
            out[at..at + 7].copy_from_slice(b"\x01CD001\x01");
            out[at + 80..at + 84].copy_from_slice(&24_u32.to_le_bytes());
            out[at + 128..at + 130].copy_from_slice(&2048_u16.to_le_bytes());
            let record = |name: &[u8], flags: u8| {
                let mut record = vec![0; 33];
                record[0] = (33 + name.len().next_multiple_of(2)) as u8;
                record[2..6].copy_from_slice(&20_u32.to_le_bytes());
                record[10..14].copy_from_slice(&2048_u32.to_le_bytes());
                record[25] = flags;
                record[32] = name.len() as u8;
                record.extend(name);
                record.resize(usize::from(record[0]), 0);
                record
            };
            out[at + 156..at + 156 + 34].copy_from_slice(&record(b"\0", 2)[..34]);
            out[at + 2048..at + 2048 + 7].copy_from_slice(b"\xffCD001\x01");
            let folders: Vec<u8> = (b'a'..=b'z')
                .flat_map(|letter| record(&[letter], 2))
                .collect();
            out[2048 * 20..2048 * 20 + folders.len()].copy_from_slice(&folders);
            out
        }),
    ]
}

/// Headers that promise what is not there.
fn claims() -> Vec<Case> {
    let lzma = |dictionary: u32| {
        let mut out = vec![0x5d];
        out.extend(dictionary.to_le_bytes());
        out.extend([0xff; 8]);
        out.extend(noise(31, 2000));
        out
    };
    let seven = |header: &[u8]| {
        let mut start = 0_u64.to_le_bytes().to_vec();
        start.extend((header.len() as u64).to_le_bytes());
        start.extend(crc32fast::hash(header).to_le_bytes());
        let mut out = b"7z\xbc\xaf\x27\x1c\0\x04".to_vec();
        out.extend(crc32fast::hash(&start).to_le_bytes());
        out.extend(start);
        out.extend(header);
        out
    };
    vec![
        case("lzma-dictionary", "a dictionary of 4 GiB", lzma(u32::MAX)),
        case("lzip-dictionary", "a dictionary of 512 MiB", [b"LZIP\x01\x1d".to_vec(), noise(32, 2000)].concat()),
        case("zstd-window", "a window of 3 TiB", [b"\x28\xb5\x2f\xfd\0\xff".to_vec(), noise(33, 2000)].concat()),
        case("zstd-size", "a content of 2^63 bytes", [b"\x28\xb5\x2f\xfd\xe0".to_vec(), (1_u64 << 63).to_le_bytes().to_vec(), noise(34, 100)].concat()),
        case("sevenzip-files", "2^56 files", seven(b"\x01\x05\xff\xff\xff\xff\xff\xff\xff\x00\x0e\x01\x80\0\0")),
        case("sevenzip-streams", "2^60 packed streams", seven(b"\x01\x04\x06\0\xff\xff\xff\xff\xff\xff\xff\xff\x0f\x09\x01\0")),
        case("cpio-name", "a name of 2 GiB", b"07070100000000000081a40000000000000000000000010000000000000000000000000000000000000000000000007fffffff00000000".to_vec()),
        case("cab-files", "65,535 files in a cabinet of 100 bytes", {
            let mut out = b"MSCF\0\0\0\0".to_vec();
            out.extend(u32::MAX.to_le_bytes());
            out.extend([0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
            out.extend([0; 64]);
            out
        }),
        case("rar5-header", "a header of 2 GiB", [&b"Rar!\x1a\x07\x01\0"[..], &noise(35, 4), b"\xff\xff\xff\xff\x07\x01\x05\0\0\0"].concat()),
    ]
}

/// Beginnings of formats, again and again: what looks for things hidden in others must not look at each to the end.
fn again() -> Vec<Case> {
    let beginnings: [(&str, &[u8]); 18] = [
        ("zip", b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\0\0\0a"),
        ("zip-directory", b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a"),
        ("zip-end", b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0\0\0\0\0\0\0"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        ("gzip-name", b"\x1f\x8b\x08\x08\0\0\0\0\0\x03aaaaaaaa"),
        ("bzip2", b"BZh9\x31\x41\x59\x26\x53\x59"),
        ("xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"),
        ("zstd", b"\x28\xb5\x2f\xfd\x24\x10"),
        ("sevenzip", b"7z\xbc\xaf\x27\x1c\0\x04"),
        ("rar4", b"Rar!\x1a\x07\0"),
        ("rar5", b"Rar!\x1a\x07\x01\0"),
        ("cab", b"MSCF\0\0\0\0\xff\xff\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\x03\x01\x01\0\x01\0\0\0"),
        ("pe", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"),
        ("ole2", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("tar-header", b"ustar  \0ustar\x0000"),
        ("lzma", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"),
        ("swf", b"CWS\x09\xff\xff\xff\x7f\x78\xda"),
        ("rtf-objects", b"{\\object\\objdata 0105000002"),
    ];
    let mut cases: Vec<Case> = beginnings
        .iter()
        .map(|(name, bytes)| {
            let oddity = format!("its beginning, {} times", MIB / bytes.len());
            case(format!("again-{name}"), oddity, filled(bytes))
        })
        .collect();
    let pdf = [&b"%P"[..], b"DF-1.4\n"].concat();
    let objects = b"1 0 obj<</Filter[/FlateDecode/FlateDecode]/Length 9>>stream\n";
    cases.push(case(
        "again-pdf",
        "its beginning, again and again",
        filled(&pdf),
    ));
    cases.push(case(
        "again-pdf-objects",
        "streams in a PDF that do not end",
        [pdf.clone(), filled(objects)[..MIB - 100].to_vec()].concat(),
    ));
    cases.push(case(
        "again-pdf-arrays",
        "500,000 arrays in each other in a PDF",
        [pdf, b"1 0 obj".to_vec(), vec![b'['; MIB - 200]].concat(),
    ));
    cases
}

/// What a case took.
struct Cost {
    words: String,
    seconds: f64,
    /// The most bytes of memory that were seen.
    memory: u64,
    ended: Option<i32>,
}

/// Scans a file in a process of its own.
fn cost(path: &std::path::Path) -> Cost {
    let begun = Instant::now();
    let output = tempfile::tempfile().unwrap();
    let program = std::env::var_os("VFIND_PROGRAM");
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_vfind").into());
    let mut child = Command::new(&program)
        .args(["--tree=json", "--threads=1", "--limit-deadline=100"])
        .arg(path)
        .stdout(output.try_clone().unwrap())
        .spawn()
        .unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    let mut memory = 0;
    let ended = loop {
        // Until it has become the other program, a child has the memory of this one.
        let runs = std::fs::read_link(process.join("exe")).unwrap_or_default();
        let text = match runs.file_name() == std::path::Path::new(&program).file_name() {
            true => std::fs::read_to_string(process.join("status")).unwrap_or_default(),
            false => String::new(),
        };
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        memory = memory.max(kib.unwrap_or_default() << 10);
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut text = Vec::new();
    std::io::Seek::rewind(&mut &output).unwrap();
    (&output).read_to_end(&mut text).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut said = Vec::new();
    said_in(&json, &mut said);
    said.sort();
    said.dedup();
    Cost {
        words: said.join(", "),
        seconds: begun.elapsed().as_secs_f64(),
        memory,
        ended,
    }
}

#[test]
fn bombs_end_within_their_limits_and_say_why() {
    if !has_tools(&["bzip2", "xz", "lzip", "zstd", "lz4", "compress"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    let next = Mutex::new(cases.iter());
    let rows = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else {
                        break;
                    };
                    let path = folder.path().join(&case.name);
                    std::fs::write(&path, &case.bytes).unwrap();
                    rows.lock().unwrap().push((case, cost(&path)));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(case, _)| cases.iter().position(|other| other.name == case.name));
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(_, cost)| {
            cost.memory > MEMORY
                || !matches!(cost.ended, Some(0 | 2))
                || cost.words.contains("deadline")
        })
        .map(|(case, cost)| {
            format!(
                "{}: {:?}, {} MiB, {:.1} s, {}",
                case.name,
                cost.ended,
                cost.memory >> 20,
                cost.seconds,
                cost.words
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rows = rows.iter().map(|(case, cost)| {
        let took = format!("{:.1} s, {} MiB", cost.seconds, cost.memory >> 20);
        (
            format!("bomb/{}", case.name),
            case.oddity.clone(),
            cost.words.clone(),
            took,
        )
    });
    table::bombs(&rows.collect::<Vec<_>>());
}
