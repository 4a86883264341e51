use super::*;
use crate::expand::testing::{Recorder, expand, said, withstand};
use md5::{Digest, Md5};

fn run(bytes: &[u8]) -> Recorder {
    expand(&InstallShield, bytes, b"setup")
}

fn deflated(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn text(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("{name}\0Disk1\\{name}\x001.0.0.0\0{}\0", content.len());
    [head.as_bytes(), content].concat()
}

/// A volume, and the header of a cabinet with these files in it: name, flags, volume, content.
fn cabinet(files: &[(&str, u16, u16, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let mut volume = b"ISc(\0\x95\0\x01".to_vec();
    volume.resize(0x200, 0);
    let mut records = Vec::new();
    let mut names = b"\0folder\0".to_vec();
    for (name, flags, number, content) in files {
        let mut packed = content.to_vec();
        if flags & 4 != 0 {
            packed.clear();
            for block in content.chunks(5) {
                let block = deflated(block);
                packed.extend(u16::try_from(block.len()).unwrap().to_le_bytes());
                packed.extend(block);
            }
        }
        if flags & 2 != 0 {
            for (at, byte) in packed.iter_mut().enumerate() {
                let plus = byte.wrapping_add(u8::try_from(at % 0x47).unwrap());
                *byte = plus.rotate_left(2) ^ 0xd5;
            }
        }
        let mut record = flags.to_le_bytes().to_vec();
        for number in [content.len(), packed.len(), volume.len()] {
            record.extend((number as u64).to_le_bytes());
        }
        record.extend(Md5::digest(content));
        record.extend([0; 16]);
        record.extend(u32::try_from(8 + names.len()).unwrap().to_le_bytes());
        record.extend([1, 0]);
        record.resize(0x55, 0);
        record.extend(number.to_le_bytes());
        volume.extend(packed);
        records.extend(record);
        names.extend(name.as_bytes());
        names.push(0);
    }
    let start = 0x40_usize;
    let mut header = volume[..0x14].to_vec();
    header[0x0c..0x10].copy_from_slice(&(start as u32).to_le_bytes());
    header[0x10..0x14].copy_from_slice(&1_u32.to_le_bytes());
    header.resize(start, 0);
    let mut list = vec![0; 0x40];
    let mut set = |at: usize, value: usize| {
        list[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    };
    // The lists are behind these fields; two folders, the first without a name.
    set(0x0c, 0x40);
    set(0x1c, 2);
    set(0x28, files.len());
    set(0x2c, 8 + names.len());
    list.extend(8_u32.to_le_bytes());
    list.extend(9_u32.to_le_bytes());
    list.extend(&names);
    list.extend(&records);
    header.extend(list);
    (header, volume)
}

const FILES: &[(&str, u16, u16, &[u8])] = &[
    ("packed.txt", 4, 1, b"in blocks of five"),
    ("plain.txt", 0, 1, b"as it is"),
    ("masked.bin", 6, 1, b"masked and packed"),
];

#[test]
fn a_list_of_texts_with_a_cabinet_in_two_files() {
    let (header, volume) = cabinet(FILES);
    let bytes = [
        text("setup.ini", b"[Startup]"),
        text("data1.cab", &volume),
        text("data1.hdr", &header),
        text("other.cab", b"ISc( and no more"),
    ];
    let got = run(&bytes.concat());
    let names = ["packed.txt", "plain.txt", "masked.bin"];
    let mut expected = vec!["Disk1/setup.ini".to_owned()];
    expected.extend(names.map(|name| format!("Disk1/data1.hdr/folder/{name}")));
    expected.push("Disk1/other.cab".to_owned());
    assert_eq!((got.names(), &got.gaps), (expected, &vec![]));
    for (found, (_, _, _, content)) in got.children[1..].iter().zip(FILES) {
        assert_eq!(found.1, *content);
    }
}

#[test]
fn a_cabinet_alone() {
    let (header, volume) = cabinet(FILES);
    let reason = "unsupported/installshield-volume";
    assert_eq!(run(&volume).reasons(), [reason]);
    // The contents lie behind the list in the same file, at places that are beyond it.
    let mut whole = header.clone();
    whole.resize(0x200, 0);
    whole.extend(&volume[0x200..]);
    assert_eq!(run(&whole).gaps, []);
    let (header, _) = cabinet(&[("far", 0, 7, b"away"), ("part", 1, 1, b"of it")]);
    let bytes = text("data1.hdr", &header);
    let reasons = [reason, "unsupported/installshield-split"];
    assert_eq!(run(&bytes).reasons(), reasons);
    let mut old = header.clone();
    old[4..8].copy_from_slice(&[0, 0x50, 0, 1]);
    assert_eq!(run(&old).reasons(), ["unsupported/installshield-version"]);
}

#[test]
fn what_differs_from_the_list_is_said() {
    let (header, mut volume) = cabinet(&[("a", 0, 1, b"content")]);
    volume[0x203] ^= 1;
    let bytes = [text("data1.cab", &volume), text("data1.hdr", &header)].concat();
    let name = b"Disk1/data1.hdr/folder/a";
    let expected = [said(Some(name), "corrupt", "checksum differs")];
    assert_eq!(run(&bytes).gaps, expected);
    assert!(run(&bytes[..bytes.len() - 1]).complained());
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let got = run(&[text("a", b"1"), zip].concat());
    assert_eq!(got.names(), ["Disk1/a", "(behind the end)"]);
}

/// Two files, the first masked and compressed.
fn records() -> Vec<u8> {
    use std::io::Write;
    let mut out = [MAGIC, &[2, 0]].concat();
    out.resize(HEAD as usize, 0);
    for (name, flags, content) in [
        ("one.txt", 6_u32, b"one ".repeat(700)),
        ("two.txt", 2, b"two ".repeat(700)),
        ("three.txt", 0, b"three".to_vec()),
    ] {
        let zlib = flags == 6;
        let mut packed = content;
        if zlib {
            let none = flate2::Compression::none();
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), none);
            encoder.write_all(&packed).unwrap();
            packed = encoder.finish().unwrap();
        }
        let key = key(name.as_bytes());
        for (at, byte) in packed.iter_mut().enumerate().filter(|_| flags != 0) {
            let at = if zlib { at % 1024 } else { at };
            *byte = (!*byte ^ key[at % key.len()]).rotate_left(4);
        }
        let mut record = name.as_bytes().to_vec();
        record.resize(NAME, 0);
        record.extend(flags.to_le_bytes());
        record.extend([0; 4]);
        record.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        record.extend([0; 8]);
        record.extend([u8::from(zlib), 0]);
        record.resize(RECORD as usize, 0);
        out.extend(record);
        out.extend(packed);
    }
    out[14] = 3;
    out
}

#[test]
fn a_list_of_records() {
    let got = run(&records());
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["one.txt", "two.txt", "three.txt"]);
    assert_eq!(got.children[0].1, b"one ".repeat(700));
    assert_eq!(got.children[1].1, b"two ".repeat(700));
    assert_eq!(got.children[2].1, b"three");
}

#[test]
fn no_damage_panics() {
    let (header, volume) = cabinet(FILES);
    let sample = [
        text("data1.cab", &volume),
        text("data1.hdr", &header),
        text("end", b"."),
    ];
    // Between two files nothing says that another one would come.
    let ends: Vec<_> = (0..2)
        .scan(0, |at, number: usize| {
            *at += sample[number].len();
            Some(*at)
        })
        .collect();
    let silent = withstand(&InstallShield, &sample.concat(), b"setup");
    assert!(silent.iter().all(|cut| ends.contains(cut)), "{silent:?}");
    assert_eq!(withstand(&InstallShield, &records(), b"setup"), [0; 0]);
}

#[test]
fn a_name_without_an_end_is_cut() {
    let (header, volume) = cabinet(&[(&"n".repeat(20_000), 0, 1, b"content")]);
    let bytes = [text("data1.cab", &volume), text("data1.hdr", &header)].concat();
    let got = run(&bytes);
    assert_eq!(got.children[0].1, b"content");
    assert_eq!(
        got.children[0].0.len(),
        "Disk1/data1.hdr/folder/".len() + 4096
    );
}
