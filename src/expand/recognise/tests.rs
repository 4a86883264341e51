use super::*;
use crate::expand::testing::{Random, object, tool};
use crate::kind::KINDS;
use std::fs;

fn name(bytes: &[u8]) -> Option<&'static str> {
    recognise(&object(bytes).probe().unwrap())
        .first()
        .map(|kind| kind.name)
}

fn at(offset: usize, bytes: &[u8]) -> Vec<u8> {
    [vec![0; offset], bytes.to_vec()].concat()
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    [bytes.to_vec(), vec![0; 600]].concat()
}

fn tar_of(header: tar::Header) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = header;
    header.set_size(3);
    builder.append_data(&mut header, "a", &b"abc"[..]).unwrap();
    builder.into_inner().unwrap()
}

fn old_tar() -> Vec<u8> {
    tar_of(tar::Header::new_old())
}

fn zip_of(name: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file(name, options).unwrap();
    std::io::Write::write_all(&mut writer, b"content").unwrap();
    writer.finish().unwrap().into_inner()
}

fn arj() -> Vec<u8> {
    let header = [30; 34];
    let mut bytes = b"\x60\xea\x22\0".to_vec();
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    bytes
}

fn lha(level: u8) -> Vec<u8> {
    let mut bytes = b"\x24\0-lh5-".to_vec();
    bytes.resize(2 + 0x24, 1);
    bytes[20] = level;
    bytes[1] = bytes[2..].iter().fold(0, |sum: u8, b| sum.wrapping_add(*b));
    bytes
}

/// One member of 12 bytes, and the end.
fn arc() -> Vec<u8> {
    let mut bytes =
        b"\x1a\x08name.txt\0\0\0\0\0\x0c\0\0\0\x76\x5d\xa0\x7a\x15\xdd\x12\0\0\0".to_vec();
    bytes.extend_from_slice(&[7; 12]);
    bytes.extend_from_slice(b"\x1a\0");
    bytes
}

fn raw_sectors() -> Vec<u8> {
    let mut sector = [&[0][..], &[0xff; 10], b"\0\0\x02\0\x01"].concat();
    sector.resize(2352, 0);
    sector.repeat(2)
}

fn with_subchannels() -> Vec<u8> {
    let mut sectors = raw_sectors();
    sectors.splice(2352..2352, [7; 96]);
    sectors
}

/// A disk of 40 sectors with one partition.
fn partitioned(start: u8, count: u8) -> Vec<u8> {
    let mut disk = vec![0; 40 * 512];
    disk[450] = 0x0c;
    disk[454] = start;
    disk[458] = count;
    disk[510..512].copy_from_slice(b"\x55\xaa");
    disk
}

fn macbinary() -> Vec<u8> {
    let mut bytes = b"\0\x03a.b".to_vec();
    bytes.resize(256, 0);
    bytes[86] = 5;
    bytes
}

fn koly() -> Vec<u8> {
    let mut trailer = b"koly\0\0\0\x04\0\0\x02\0".to_vec();
    trailer.resize(512, 0);
    [vec![1; 5000], trailer].concat()
}

fn binary_cpio(little: bool) -> Vec<u8> {
    let words: [u16; 13] = [0o070_707, 1, 2, 0o100_644, 0, 0, 1, 0, 0, 0, 2, 0, 1];
    let mut bytes: Vec<u8> = words
        .iter()
        .flat_map(|w| {
            if little {
                w.to_le_bytes()
            } else {
                w.to_be_bytes()
            }
        })
        .collect();
    bytes.extend_from_slice(b"a\0xx");
    bytes
}

#[test]
#[allow(clippy::too_many_lines)] // A table of samples, one a row.
fn every_row_of_the_table_is_met() {
    let mail = b">From a@b Thu\r\nReceived: x\r\n y\r\nMIME-version: 1.0\r\n\r\ntext";
    let folded = b"Subject: x\nContent-Type:\n Multipart/mixed; boundary=x\n\n";
    let samples: Vec<(&str, Vec<u8>)> = vec![
        ("gz", b"\x1f\x8b\x08\0rest".to_vec()),
        ("zip", zip_of("a")),
        ("zip", [&b"PK00"[..], &zip_of("a")].concat()),
        ("zip", [&b"#!/bin/sh\nexit\n"[..], &zip_of("a")].concat()),
        ("zip", [&b"PK\x05\x06"[..], &[0; 18]].concat()),
        (
            "zip",
            [&b"PK\x07\x08------------"[..], &zip_of("a")].concat(),
        ),
        ("zip", [&b"PK\x01\x02"[..], &zip_of("a")].concat()),
        ("xz", b"\xfd7zXZ\0\0\x04".to_vec()),
        ("bz2", b"BZh9\x31\x41\x59\x26\x53\x59".to_vec()),
        ("bz2", b"BZh1\x17\x72\x45\x38\x50\x90".to_vec()),
        ("zstd", b"\x28\xb5\x2f\xfd....".to_vec()),
        (
            "zstd",
            b"\x53\x2a\x4d\x18\x02\0\0\0xx\x28\xb5\x2f\xfd".to_vec(),
        ),
        ("zstd", b"\x53\x2a\x4d\x18\x02\0\0\0xx".to_vec()),
        (
            "lz4",
            b"\x53\x2a\x4d\x18\x02\0\0\0xx\x04\x22\x4d\x18".to_vec(),
        ),
        ("lz4", b"\x04\x22\x4d\x18\x64\x40\xa7".to_vec()),
        ("pack", [&b"\x1f\x1e\0\0\0\x20"[..], &[7; 20]].concat()),
        ("pack", [&b"\x1f\xa0\0\0\0\x20"[..], &[7; 20]].concat()),
        ("gz", b"\x1f\x9e\x08\0rest".to_vec()),
        ("lzip", b"LZIP\x01\x0c".to_vec()),
        (
            "lzma",
            b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0".to_vec(),
        ),
        ("zlib", b"\x78\x9c\x03\0\0\0\0\x01".to_vec()),
        ("lzop", b"\x89LZO\0\r\n\x1a\n\x10".to_vec()),
        ("Z", b"\x1f\x9d\x90\x61\xc4".to_vec()),
        ("RAR", b"Rar!\x1a\x07\0..".to_vec()),
        ("RAR", b"Rar!\x1a\x07\x01\0..".to_vec()),
        (
            "RAR",
            [
                &b"MZ"[..],
                &[0x90; 100],
                b"\x1d\x77\x56\x51\x03\x05\x04\x00",
            ]
            .concat(),
        ),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec()),
        ("CAB", b"MSCF\0\0\0\0....".to_vec()),
        ("ar", b"!<arch>\ndebian-binary".to_vec()),
        ("ar", b"!<thin>\n//".to_vec()),
        ("cpio", [&b"070701"[..], &[b'A'; 104]].concat()),
        ("cpio", [&b"070702"[..], &[b'0'; 104]].concat()),
        ("cpio", [&b"070707"[..], &[b'7'; 70]].concat()),
        ("cpio", binary_cpio(true)),
        ("cpio", binary_cpio(false)),
        ("rpm", b"\xed\xab\xee\xdb\x03\0\0\0".to_vec()),
        ("iso", at(32_769, b"CD001")),
        ("iso", at(32_777, b"CDROM")),
        ("iso", raw_sectors()),
        ("udf", at(32_769, b"BEA01")),
        ("squashfs", [&b"hsqs"[..], &[0; 24], &[4, 0]].concat()),
        ("squashfs", [&b"sqsh"[..], &[0; 24], &[0, 3]].concat()),
        ("ole2", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec()),
        (
            "nsis",
            [
                &b"\0\0\0\0\xef\xbe\xad\xdeNullsoftInst\x44\0\0\0\x40\0\0\0"[..],
                &[0; 40],
            ]
            .concat(),
        ),
        (
            "inno",
            [
                &b"Inno Setup Setup Data (5.5.0) (u)"[..],
                &[0; 31],
                &crc32fast::hash(&[9, 0, 0, 0, 1]).to_le_bytes(),
                &[9, 0, 0, 0, 1],
            ]
            .concat(),
        ),
        (
            "autoit",
            b"\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7dAU3!EA06".to_vec(),
        ),
        ("program", padded(b"MZ\x90\0\x01\0\0\0\x02\0")),
        ("pdf", b"%PDF-x".to_vec()),
        ("pdf", at(900, b"%PDF-1.4\n")),
        ("pdf", [&[b'\n'; 5000][..], b"%PDF-1.4\n"].concat()),
        ("pdf", at(4096, b"%PDF-1.4\n1 0 obj <</A 1>> endobj\n")),
        (
            "pdf",
            at(100_000, b"1 0 obj\n<</A 1>>\nendobj\ntrailer <<>>\n%%EOF"),
        ),
        (
            "pdf",
            b"%FDF-1.2\n1 0 obj\n<</A 1>>\nendobj\ntrailer <<>>\n%%EOF".to_vec(),
        ),
        ("pdf", b"1 0 obj <</A 1>> endobj\r\n%%EOF\r\n".to_vec()),
        ("rtf", b"{\\rtf1".to_vec()),
        ("rtf", b"{\\rt\x80".to_vec()),
        ("rtf", b"\r\n {\\rtf1".to_vec()),
        ("TNEF", b"\x78\x9f\x3e\x22..".to_vec()),
        (
            "Hqx8",
            b"hi\n(This file must be converted with BinHex 4.0)\n\n:$f".to_vec(),
        ),
        (
            "uu",
            b"see below\nbegin 644 a b.txt\n#86)C\n`\nend\n".to_vec(),
        ),
        ("uu", b"begin 644 empty\n`\nend\n".to_vec()),
        ("uu", b"begin-base64 644 a\nYWJj\n====\n".to_vec()),
        ("mime", mail.to_vec()),
        ("mbox", mail[1..].to_vec()),
        (
            "mbox",
            b"From x Thu Jul 31 13:49:50 2008\nNote: y\n\n".to_vec(),
        ),
        ("mime", b"Subject: x\rMIME-Version: 1.0\r\rtext".to_vec()),
        (
            "mime",
            b"Subject: x\nno field\nCon\0tent-Type: (a) multipart/mixed\n\n".to_vec(),
        ),
        (
            "uu",
            [
                vec![b'\n'; 40_000],
                b"begin 644 x\n#86)C\n`\nend\n".to_vec(),
            ]
            .concat(),
        ),
        ("uu", b"begin 644 x\n1MLRq\n+\nend\n".to_vec()),
        (
            "yenc",
            b"hi\n=ybegin line=128 size=3 name=a b\nxyz\n=yend size=3\n".to_vec(),
        ),
        ("macbinary", macbinary()),
        (
            "applesingle",
            b"\0\x05\x16\0\0\x02\0\0................\0\x01".to_vec(),
        ),
        (
            "applesingle",
            b"\0\x05\x16\x07\0\x01\0\0................\0\x01".to_vec(),
        ),
        ("mime", folded.to_vec()),
        ("chm", b"ITSF\x03\0\0\0".to_vec()),
        ("dmg", koly()),
        (
            "dmg",
            [&b"BZh9\x31\x41\x59\x26\x53\x59"[..], &koly()].concat(),
        ),
        ("dmg", b"encrcdsa\0\0".to_vec()),
        ("disk", at(512, b"EFI PART")),
        ("disk", partitioned(1, 20)),
        ("disk", at(1024, b"H+\0\x04")),
        ("disk", at(65_600, b"_BHRfS_M")),
        ("iso", at(37_385, b"CD001")),
        ("iso", with_subchannels()),
        ("rzip", b"RZIP\x02\x01\0\0\0\x05".to_vec()),
        ("zchunk", b"\0ZCK1\x81".to_vec()),
        ("snappy", b"\xff\x06\0\0sNaPpY".to_vec()),
        ("lzfse", b"bvx-\x05\0\0\0helloBVX".to_vec()),
        ("applearchive", b"AA01\x20\0TYP1FPATP".to_vec()),
        ("pbzx", b"pbzx\0\0\0\0\x01\0\0\0".to_vec()),
        ("dms", [&b"DMS!"[..], &[0; 52]].concat()),
        ("warc", b"WARC/1.0\r\nWARC-Type: response\r\n".to_vec()),
        (
            "asar",
            b"\x04\0\0\0\x18\0\0\0\x14\0\0\0\x0d\0\0\0{\"files\":{}}\0\0\0\0\0\0\0".to_vec(),
        ),
        ("pyinstaller", b"PYZ\0\xa7\r\r\n\0\0\0\x11".to_vec()),
        ("ar", b"0.939000\n3\n\x1f\x8b\x08....".to_vec()),
        ("xar", b"xar!\0\x1c\0\x01".to_vec()),
        ("androidsparse", b"\x3a\xff\x26\xed\x01\0\0\0".to_vec()),
        ("arj", arj()),
        ("lha", lha(0)),
        ("lha", lha(1)),
        ("lha", lha(2)),
        ("zoo", at(20, b"\xdc\xa7\xc4\xfd")),
        ("ace", at(7, b"**ACE**")),
        ("sqx", at(7, b"-sqx-")),
        ("arc", arc()),
        ("alz", b"ALZ\x01\x0a\0\0\0BLZ\x01".to_vec()),
        (
            "hwp3",
            b"HWP Document File V3.00 \x1a\x01\x02\x03\x04\x05".to_vec(),
        ),
        ("egg", b"EGGA\0\x01\x12\x34\x56\x78".to_vec()),
        ("freearc", b"ArC\x01\0\0".to_vec()),
        ("lrzip", b"LRZI\0\x06\x12\0".to_vec()),
        ("stuffit", b"SIT!\0\x01\0\0\x01\0rLau\x02".to_vec()),
        ("stuffit", b"ST65\0\x01\0\0\x01\0rLau\x02".to_vec()),
        (
            "stuffit",
            b"StuffIt (c)1997-2002 Aladdin Systems, Inc.".to_vec(),
        ),
        ("stuffit", b"StuffIt!\0\x01".to_vec()),
        ("uharc", b"UHA\x06\0".to_vec()),
        (
            "zpaq",
            b"7kSt\xa0\x31\x83\xd3\x8c\xb2\x28\xb0\xd3zPQ\x02\x01".to_vec(),
        ),
        ("zpaq", b"zPQ\x01\x01\x07".to_vec()),
        (
            "cms",
            b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\x30\x80\x02\x01\x00\x31"
                .to_vec(),
        ),
        (
            "pgp",
            b"\x8c\x0d\x04\x09\x03\x02\x01\x02\x03\x04\x05\x06\x07\x08\xff\xd2\x01\x01".to_vec(),
        ),
        (
            "age",
            b"age-encryption.org/v1\n-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                .to_vec(),
        ),
        ("keepass", b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5".to_vec()),
        (
            "keepass",
            b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5\x01\0\x04\0".to_vec(),
        ),
        ("luks", b"LUKS\xba\xbe\0\x02".to_vec()),
        (
            "openssl",
            b"Salted__\x01\x02\x03\x04\x05\x06\x07\x08".to_vec(),
        ),
        ("szdd", b"SZDD\x88\xf0\x27\x33A".to_vec()),
        ("szdd", b"KWAJ\x88\xf0\x27\xd1A".to_vec()),
        ("installshield", b"ISc(\0\x95\0\x01".to_vec()),
        (
            "installshield",
            [&b"InstallShield\0\x05\0"[..], &[0; 30], b"setup.ini\0"].concat(),
        ),
        (
            "installshield",
            b"setup.ini\0Disk1\\setup.ini\x001.0.0.0\x004\0text".to_vec(),
        ),
        ("sis", at(4, b"\x12\x3a\0\x10\x19\x04\0\x10")),
        ("sis", b"\x7a\x1a\x20\x10".to_vec()),
        ("wim", b"MSWIM\0\0\0".to_vec()),
        ("swf", b"FWS\x0a\x16\0\0\0..............".to_vec()),
        ("swf", b"CWS\x0a....\x78\xda".to_vec()),
        ("swf", b"CWS\xff\x0a\0\0\0\x78\x9c\x03\0\0\0\0\x01".to_vec()),
        ("swf", b"CWS\x03\x0a\0\0\0\x78\x9c\x03\0\0\0\0\x01".to_vec()),
        ("activemime", b"ActiveMime\0\0\x01\xf0".to_vec()),
        ("swf", b"ZWS\x0d........\x5d".to_vec()),
        (
            "onenote",
            b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3".to_vec(),
        ),
        ("tar", tar_of(tar::Header::new_gnu())),
        ("tar", tar_of(tar::Header::new_ustar())),
        ("tar", old_tar()),
    ];
    for (kind, bytes) in &samples {
        assert_eq!(
            name(bytes),
            Some(*kind),
            "{:?}",
            bytes.escape_ascii().to_string()
        );
    }
    for kind in KINDS {
        let by_content = !matches!(kind.name, "HTML" | "text");
        let row = MAGICS.iter().any(|row| row.kind == kind.name);
        assert_eq!(row, by_content, "{}", kind.name);
        let met = samples.iter().any(|(name, _)| *name == kind.name);
        assert_eq!(met, by_content, "no sample of {}", kind.name);
    }
    for row in MAGICS {
        assert!(kind::by_name(row.kind.as_bytes()).is_some_and(|kind| kind.name == row.kind));
    }
}

#[test]
fn what_only_looks_a_little_like_it_is_nothing() {
    let rows: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\x1f\x8b".to_vec(),
        b"\x1f\x8b\x09\0".to_vec(),
        padded(b"\x7fELF\x02\x01\x01"),
        padded(b"\x89PNG\r\n\x1a\n"),
        vec![0; 4096],
        b"BZh9 is what bzip2 files begin with".to_vec(),
        b"07070100 is a number".to_vec(),
        b"begin 644 of something\nthat is no uuencoded line at all, is it\n".to_vec(),
        b"begin 644\nbegin 644 \n".to_vec(),
        b"From here on\nNote: this is no mail\nNor: is this\n".to_vec(),
        b"From: a\n\nNothing that only a mail has.\n".to_vec(),
        b"=ybegin is how yEnc begins\n".to_vec(),
        b"let begin 644 x\n#86)C\n".to_vec(),
        b"a line about %PDF-files\n".to_vec(),
        b"Package: x\nVersion: 1\nDescription: a\n b\n".to_vec(),
        b"Content-Type: text/plain; charset=UTF-8\nName: x\n\n".to_vec(),
        b"#!/bin/sh\nMIME-Version: 1.0\n".to_vec(),
        b"int main(void) { return 0; }\nMIME-Version: 1.0\n".to_vec(),
        b"ITSFine".to_vec(),
        partitioned(0, 20),
        partitioned(30, 20),
        partitioned(0, 0),
        b"CWSomething else".to_vec(),
        b"CWS\xff\x0a\0\0\0\x78\x9cno stream".to_vec(),
        at(100, b"PK\x05\x06\0\0\0\0\x01\0\x01\0\xff\0\0\0\0\0\0\0\0\0"),
        at(100, b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        [&b"70 -lh5- is a method of LHA"[..], &[0; 100]].concat(),
        b"Salted__ is what openssl enc begins with\n".to_vec(),
        b"StuffIt! is a program\n".to_vec(),
        b"UHARC, zPQ and LRZI are words\n".to_vec(),
        b"zPQ is what zpaq begins with\n".to_vec(),
        b"LRZIP is a program\n".to_vec(),
        [&arc()[..29], &[0x1b; 40]].concat(),
        [b"\x1a\x08", &arc()[2..6], b" ", &arc()[7..]].concat(),
        b"hsqs and sqsh are the magics of SquashFS, they say".to_vec(),
        b"RZIP is a name".to_vec(),
        b"bvx- is a mark of LZFSE".to_vec(),
        b"AA01 and YAA1 are numbers".to_vec(),
        b"pbzx is one of Apple's".to_vec(),
        padded(b"DMS! is another"),
        b"WARC/x is no version".to_vec(),
        padded(b"\x04\0\0\0\x18\0\0\0\x14\0\0\0\x0d\0\0\0{\"fields\":{}}"),
        padded(b"\x1a\x08a.txt\0\0\0\0\0\0\0\0\x03\0\0\0"),
        b"0.9300 is a number\n3\nand nothing else".to_vec(),
        at(1024, b"BD are two letters"),
        padded(b"\0\0\x10\0\0\x05\0\0\0\0\0\0\0\0\x01\0\0\0\x02"),
        b"hC\x0aSome text that begins like a stream, with enough of it to be decoded for a while, it is hoped.".to_vec(),
    ];
    for bytes in rows {
        assert_eq!(name(&bytes), None, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn lzma_with_any_parameters_is_recognised() {
    let Some(folder) = tool("xz") else { return };
    folder.write("a", &b"some content, again and again ".repeat(9));
    let rows = [
        "pb=0",
        "lc=4",
        "pb=4",
        "lp=1,lc=2",
        "lc=0,lp=4",
        "dict=4KiB",
        "dict=96KiB",
        "dict=1GiB",
    ];
    folder.write("b", &tar_of(tar::Header::new_gnu()));
    folder.write("c", &Random::new(9).bytes(100_000));
    for (file, row) in ["a", "b", "c"]
        .iter()
        .flat_map(|file| rows.map(|row| (file, row)))
    {
        let option = format!("--lzma1={row}");
        folder.run("xz", &["-kf", "--format=lzma", &option, file]);
        let mut bytes = folder.read(&format!("{file}.lzma"));
        assert_eq!(name(&bytes), Some("lzma"), "{file} {row}");
        bytes[1..5].fill(0xff);
        assert_eq!(
            name(&bytes),
            Some("lzma"),
            "{file} {row}, the largest dictionary"
        );
    }
}

#[test]
fn zlib_with_any_window_and_damage_at_its_end_is_recognised() {
    use std::io::Write;
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    let mut random = Random::new(5);
    encoder.write_all(&random.bytes(100)).unwrap();
    encoder
        .write_all(&b"text and more text ".repeat(8))
        .unwrap();
    let mut bytes = encoder.finish().unwrap();
    for method in (0x08..=0x78).step_by(16) {
        bytes[0] = method;
        bytes[1] = (1..=31_u8)
            .find(|flags| (u16::from(method) << 8 | u16::from(*flags)) % 31 == 0)
            .unwrap();
        assert_eq!(name(&bytes), Some("zlib"), "{method:x}");
        for left in 1..=20 {
            let cut = &bytes[..bytes.len() - left];
            assert_eq!(name(cut), Some("zlib"), "{method:x}, without {left} bytes");
        }
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(name(&wrong), Some("zlib"), "{method:x}, a wrong checksum");
    }
}

#[test]
fn file_systems_that_real_programs_make_are_recognised() {
    let rows: [(&str, &[&str], u64); 10] = [
        ("mkfs.cramfs", &["fs", "image"], 0),
        ("mkfs.erofs", &["image", "fs"], 0),
        ("genromfs", &["-d", "fs", "-f", "image"], 0),
        ("mkfs.jffs2", &["-r", "fs", "-o", "image"], 0),
        ("mkfs.jffs2", &["-b", "-r", "fs", "-o", "image"], 0),
        (
            "mkfs.ubifs",
            &[
                "-r", "fs", "-m", "2048", "-e", "126976", "-c", "200", "-o", "image",
            ],
            0,
        ),
        ("hformat", &["image"], 4 << 20),
        ("mkfs.f2fs", &["-q", "image"], 64 << 20),
        ("mkfs.btrfs", &["-q", "image"], 120 << 20),
        ("mkfs.minix", &["image"], 4 << 20),
    ];
    for (program, arguments, length) in rows {
        let Some(folder) = tool(program) else {
            continue;
        };
        folder.write("fs/file", b"content");
        if length > 0 {
            let image = fs::File::create(folder.path().join("image")).unwrap();
            image.set_len(length).unwrap();
        }
        folder.run(program, arguments);
        let image = folder.read("image");
        assert_eq!(name(&image), Some("disk"), "{program} {arguments:?}");
    }
    let Some(folder) = tool("mkfs.minix") else {
        return;
    };
    for version in ["-1", "-3"] {
        folder.write("image", &vec![0; 4 << 20]);
        folder.run("mkfs.minix", &[version, "image"]);
        assert_eq!(name(&folder.read("image")), Some("disk"), "{version}");
    }
}

#[test]
fn what_real_programs_pack_is_recognised() {
    let rows: [(&str, &[&str], &str, &str); 3] = [
        ("arc", &["a", "out.arc", "a.txt"], "out.arc", "arc"),
        ("rzip", &["-k", "-o", "out.rz", "a.txt"], "out.rz", "rzip"),
        ("zck", &["-o", "out.zck", "a.txt"], "out.zck", "zchunk"),
    ];
    for (program, arguments, out, kind) in rows {
        let Some(folder) = tool(program) else {
            continue;
        };
        folder.write("a.txt", &b"some content ".repeat(90));
        folder.run(program, arguments);
        assert_eq!(name(&folder.read(out)), Some(kind), "{program}");
    }
}

#[test]
fn a_tar_behind_one_block_is_recognised() {
    let archive = tar_of(tar::Header::new_ustar());
    for block in [[0; 512], [b'j'; 512]] {
        assert_eq!(name(&[&block[..], &archive].concat()), Some("tar"));
    }
}

#[test]
fn a_program_of_this_system_is_a_program_and_nothing_else() {
    for path in ["/bin/ls", "/bin/sh"] {
        let Ok(bytes) = fs::read(path) else { continue };
        let kinds = recognise(&object(&bytes).probe().unwrap());
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names, ["program"], "{path}");
    }
}

#[test]
fn noise_is_not_recognised() {
    let mut random = Random::new(3);
    for _ in 0..2000 {
        let count = random.below(600);
        let bytes = random.bytes(count);
        assert_eq!(name(&bytes), None, "{bytes:?}");
    }
}

#[test]
fn two_magics_of_two_bytes_alone_are_no_cpio() {
    // A picture of letters, read as base64.
    let bytes = [b"\x71\xc7", &[0xe7; 25][..], b"\x71\xc7", &[0xe7; 90]].concat();
    assert_eq!(name(&bytes), None);
}

#[test]
fn a_tar_whose_checksum_is_wrong_is_told_by_its_magic() {
    for (mut bytes, kind) in [
        (tar_of(tar::Header::new_gnu()), Some("tar")),
        (old_tar(), None),
    ] {
        bytes[0] ^= 1;
        assert_eq!(name(&bytes), kind);
    }
}
