use super::*;
use crate::expand::testing::{Recorder, expand, withstand};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Chm, bytes, b"x.chm")
}

/// A number of seven bits in each byte.
fn encoded(number: usize) -> Vec<u8> {
    let mut out = vec![u8::try_from(number & 0x7f).unwrap()];
    let mut rest = number >> 7;
    while rest > 0 {
        out.insert(0, u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    out
}

fn name(name: &str, section: usize, offset: usize, length: usize) -> Vec<u8> {
    let mut out = vec![u8::try_from(name.len()).unwrap()];
    out.extend(name.as_bytes());
    for number in [section, offset, length] {
        out.extend(encoded(number));
    }
    out
}

const CHUNK_SIZE: usize = 1024;

/// A file with these names in its directory, and this content.
fn help(version: u32, names: &[Vec<u8>], content: &[u8]) -> Vec<u8> {
    let long = |number: usize| (number as u64).to_le_bytes();
    let short = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let names = names.concat();
    let mut chunk = [&b"PMGL"[..], &short(CHUNK_SIZE - CHUNK - names.len())].concat();
    chunk.extend([&[0; 4][..], &[0xff; 8], &names].concat());
    chunk.resize(CHUNK_SIZE, 0);
    let mut directory = [&b"ITSP\x01\0\0\0"[..], &short(DIRECTORY), &[0; 4]].concat();
    directory.extend([&short(CHUNK_SIZE)[..], &[0; 24], &short(1)].concat());
    directory.resize(DIRECTORY, 0);
    directory.extend(chunk);
    let at = HEADER + 24;
    let end = at + directory.len() + content.len();
    let mut out = [b"ITSF", &version.to_le_bytes()[..]].concat();
    out.resize(56, 0);
    for number in [HEADER, 24, at, directory.len(), at + directory.len()] {
        out.extend(long(number));
    }
    out.extend([&[0; 8][..], &long(end), &[0; 8]].concat());
    [out, directory, content.to_vec()].concat()
}

#[test]
fn files_that_are_not_compressed() {
    for version in [2, 3] {
        let names = [
            name("/b.htm", 0, 5, 6),
            name("/", 0, 0, 0),
            name("/a.htm", 0, 0, 5),
        ];
        let bytes = help(version, &names, b"firstsecond");
        let got = run(&bytes);
        assert_eq!(
            (got.names(), &got.gaps),
            (["a.htm", "b.htm"].map(str::to_owned).to_vec(), &vec![])
        );
        assert_eq!(got.children[1].1, b"second");
        assert_eq!(run(&[&bytes[..], b"junk"].concat()).gaps, []);
        let junk = [b'x'; 600];
        assert_eq!(run(&[&bytes[..], &junk].concat()).reasons(), ["corrupt"]);
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let one = |name| run(&help(3, &[name], b"text")).reasons().join(" ");
    assert_eq!(one(name("/a", 0, 0, 4)), "");
    assert_eq!(one(name("/a", 0, 0, 5)), "corrupt");
    assert_eq!(one(name("/a", 1, 0, 4)), "corrupt");
    assert_eq!(one(name("/a", 2, 0, 4)), "unsupported/chm-section");
    assert_eq!(one(vec![200, 1]), "corrupt");
    let mut bytes = help(3, &[name("/a", 0, 0, 4)], b"text");
    bytes[HEADER + 24] = b'x';
    assert_eq!(run(&bytes).reasons(), ["corrupt"]);
    assert_eq!(run(b"ITSF").reasons(), ["corrupt"]);
    assert!(run(b"ITSP").unlike);
}

/// A section of LZX whose blocks are stored: frames of 32 KiB, of which each second one begins anew.
fn section(content: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut places) = (Vec::new(), Vec::new());
    for block in content.chunks(2 * 32_768) {
        for (number, frame) in block.chunks(32_768).enumerate() {
            places.push(out.len());
            if number == 0 {
                // No translation, a stored block, its size, and what is left of the word.
                let head = u32::try_from(0b011 << 28 | block.len() << 4).unwrap();
                out.extend(u16::try_from(head >> 16).unwrap().to_le_bytes());
                out.extend(u16::try_from(head & 0xffff).unwrap().to_le_bytes());
                out.extend([1, 0, 0, 0].repeat(3));
            }
            out.extend(frame);
        }
    }
    (out, places)
}

#[test]
fn the_decoder_begins_anew_where_it_should() {
    let content = crate::expand::testing::Random::new(71).bytes(5 * 32_768 - 100);
    let (packed, places) = section(&content);
    let long = |number: usize| (number as u64).to_le_bytes();
    let mut control = [&6_u32.to_le_bytes()[..], b"LZXC"].concat();
    for number in [2_u32, 2, 2, 1, 0] {
        control.extend(number.to_le_bytes());
    }
    let mut table = Vec::new();
    for number in [2, u32::try_from(places.len()).unwrap(), 8, 40] {
        table.extend(number.to_le_bytes());
    }
    table.extend([long(content.len()), long(packed.len()), long(32_768)].concat());
    table.extend(places.iter().flat_map(|place| long(*place)));
    let files = [
        (RESET_TABLE, 0, table.len()),
        ("ControlData", table.len(), control.len()),
        ("Content", table.len() + control.len(), packed.len()),
    ];
    let mut names: Vec<_> = (files.iter())
        .map(|(file, at, length)| name(&format!("{STORAGE}{file}"), 0, *at, *length))
        .collect();
    let parts = [
        ("/late", 140_000, 20_000),
        ("/early", 5, 70_000),
        ("/again", 60_000, 40_000),
    ];
    names.extend(
        parts
            .iter()
            .map(|(file, at, length)| name(file, 1, *at, *length)),
    );
    let got = run(&help(3, &names, &[table, control, packed].concat()));
    assert_eq!(got.gaps, []);
    assert_eq!(got.names()[2..], ["early", "again", "late"]);
    for (file, at, length) in parts {
        let given = got
            .children
            .iter()
            .find(|(name, _)| *name == file.as_bytes()[1..]);
        assert!(given.unwrap().1 == content[at..at + length], "{file}");
    }
}

#[test]
fn the_sample_of_clamav_is_read() {
    let path = std::path::Path::new("/usr/share/clamav-testfiles");
    let (Ok(bytes), Ok(payload)) = (
        std::fs::read(path.join("clam.chm")),
        std::fs::read(path.join("clam.exe")),
    ) else {
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    };
    let got = run(&bytes);
    assert_eq!(got.gaps, []);
    assert!(got.children.iter().any(|(_, content)| *content == payload));
    assert_eq!(withstand(&Chm, &bytes, b"x.chm"), [0; 0]);
}

#[test]
fn no_damage_panics() {
    let names = [name("/a.htm", 0, 0, 5), name("/b.htm", 0, 5, 6)];
    let bytes = help(3, &names, b"firstsecond");
    assert_eq!(withstand(&Chm, &bytes, b"x.chm"), [0; 0]);
}
