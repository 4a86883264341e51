use super::*;
use crate::expand::testing::{Random, expand, object, tool, withstand};

const SIGNATURE: &[u8] = b"\x78\x9f\x3e\x22\x01\0";

fn attribute(level: u8, tag: impl Into<u32>, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![level];
    bytes.extend_from_slice(&tag.into().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&super::sum(&object(content)).unwrap());
    bytes
}

fn properties(all: &[(u16, u16, &[u8])]) -> Vec<u8> {
    let mut bytes = u32::try_from(all.len()).unwrap().to_le_bytes().to_vec();
    for (kind, id, value) in all {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
        if *id >= 0x8000 {
            bytes.extend_from_slice(&[7; 16]);
            bytes.extend_from_slice(b"\x01\0\0\0\x06\0\0\0a\0b\0\0\0\0\0");
        }
        if matches!(kind, 0x0d | 0x1e | 0x1f | 0x102) {
            bytes.extend_from_slice(&[1, 0, 0, 0]);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        }
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn sample(one: &[u8]) -> Vec<u8> {
    let wide: Vec<u8> = "größe.bin\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let inner = [&[9; 16][..], b"inside"].concat();
    let message = properties(&[
        (0x0b, 0x0e1f, &[1, 0]),
        (0x40, 0x8001, &[3; 8]),
        (0x102, 0x1013, b"<p>"),
    ]);
    let first = properties(&[
        (0x1e, 0x3707, b"one and only.bin\0"),
        (0x03, 0x3705, &[1, 0, 0, 0]),
    ]);
    let second = properties(&[(0x0d, 0x3701, &inner), (0x1f, 0x3707, &wide)]);
    [
        SIGNATURE.to_vec(),
        attribute(1, 0x0008_9006_u32, &[0, 0, 1, 0]),
        attribute(1, BODY, b"hello"),
        attribute(1, MESSAGE_PROPERTIES, &message),
        attribute(2, ATTACHMENT_BEGINS, &[0; 14]),
        attribute(2, ATTACHMENT_DATA, one),
        attribute(2, ATTACHMENT_TITLE, b"ONE~1.BIN\0"),
        attribute(2, ATTACHMENT_PROPERTIES, &first),
        attribute(2, ATTACHMENT_BEGINS, &[0; 14]),
        attribute(2, ATTACHMENT_PROPERTIES, &second),
        attribute(2, ATTACHMENT_BEGINS, &[0; 14]),
        attribute(2, ATTACHMENT_DATA, b"nameless"),
    ]
    .concat()
}

#[test]
fn attachments_and_bodies_are_given_with_their_names() {
    let got = expand(&Tnef, &sample(b"content"), b"winmail.dat");
    let names = [
        "body.txt",
        "body.html",
        "one and only.bin",
        "größe.bin",
        "attachment 3",
    ];
    assert_eq!(got.names(), names);
    let contents: Vec<&[u8]> = got.children.iter().map(|(_, content)| &**content).collect();
    assert_eq!(
        contents,
        [&b"hello"[..], b"<p>", b"content", b"inside", b"nameless"]
    );
    assert_eq!(got.gaps, []);
}

#[test]
fn a_wrong_sum_stops_nobody() {
    let mut bytes = sample(b"content");
    let at = bytes
        .windows(7)
        .position(|window| window == b"content")
        .unwrap();
    bytes[at] = b'C';
    let got = expand(&Tnef, &bytes, b"x");
    assert_eq!((got.children.len(), got.reasons()), (5, vec!["corrupt"]));
    assert_eq!(got.children[2].1, b"Content");
}

#[test]
fn no_damage_panics() {
    let sample = sample(b"content");
    // Between two attributes nobody can know that there were more.
    let silent = withstand(&Tnef, &sample, b"x");
    assert!(silent.len() <= 12, "{silent:?}");
    for size in [u32::MAX, 0x7fff_ffff] {
        let mut list = properties(&[(0x1e, 0x3707, b"x")]);
        list[12..16].copy_from_slice(&size.to_le_bytes());
        let bytes = [
            SIGNATURE.to_vec(),
            attribute(2, ATTACHMENT_PROPERTIES, &list),
        ]
        .concat();
        assert_eq!(expand(&Tnef, &bytes, b"x").reasons(), ["corrupt"]);
    }
}

#[test]
fn tnef_extracts_the_same() {
    let Some(folder) = tool("tnef") else { return };
    let content = Random::new(3).bytes(5000);
    let bytes = sample(&content);
    folder.write("winmail.dat", &bytes);
    folder.run("mkdir", &["out"]);
    folder.run("tnef", &["-C", "out", "winmail.dat"]);
    let got = expand(&Tnef, &bytes, b"winmail.dat");
    assert!(folder.read("out/one and only.bin") == got.children[2].1);
}

#[test]
fn the_sample_of_clamav_is_read() {
    let folder = std::path::Path::new("/usr/share/clamav-testfiles");
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let (Some(bytes), Some(payload)) = (read("clam.tnef"), read("clam.exe")) else {
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    };
    let got = expand(&Tnef, &bytes, b"clam.tnef");
    let found = got.children.iter().any(|(_, content)| *content == payload);
    assert!(found, "{:?} {:?}", got.names(), got.gaps);
    let rtf = got
        .children
        .iter()
        .find(|(name, _)| name == b"body.rtf")
        .unwrap();
    assert!(rtf.1.starts_with(b"{\\rtf1"));
}

#[test]
fn what_nobody_knows_is_given_if_it_is_something() {
    let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let of_message = properties(&[
        (0x102, 0x6789, zip),
        (0x102, 0x678a, b"nothing"),
        (0x1e, 0x007d, b"From: a\nTo: b\nMIME-Version: 1.0\n\0"),
    ]);
    let of_attachment = properties(&[(0x102, 0x8001, zip)]);
    let bytes = [
        SIGNATURE.to_vec(),
        attribute(1, 0x0006_8abc_u32, zip),
        attribute(1, 0x0006_8abd_u32, b"nothing"),
        attribute(1, MESSAGE_PROPERTIES, &of_message),
        attribute(2, ATTACHMENT_BEGINS, &[0; 14]),
        attribute(2, ATTACHMENT_PROPERTIES, &of_attachment),
    ]
    .concat();
    let got = expand(&Tnef, &bytes, b"winmail.dat");
    assert_eq!(
        got.names(),
        ["attribute 0x00068abc", "property 0x6789", "property 0x8001"]
    );
    assert!(got.gaps.is_empty() && got.children.iter().all(|(_, content)| content == zip));
}
