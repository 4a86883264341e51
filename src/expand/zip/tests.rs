use super::*;
use crate::expand::testing::{
    Recorder, assert_holds, expand, expand_with, mutations, object, said, tool, tree, withstand,
};
use ::zip::CompressionMethod;
use ::zip::write::{SimpleFileOptions, ZipWriter};
use std::io::{Cursor, Read, Write};

/// One member, as headers are to be written about it.
#[derive(Clone)]
struct Member {
    name: &'static [u8],
    method: u16,
    flags: u16,
    raw: Vec<u8>,
    sum: u32,
    size: u32,
    compressed: u32,
}

fn stored(name: &'static [u8], content: &[u8]) -> Member {
    let length = u32::try_from(content.len()).unwrap();
    Member {
        name,
        method: 0,
        flags: 0,
        raw: content.to_vec(),
        sum: crc32fast::hash(content),
        size: length,
        compressed: length,
    }
}

fn deflated(name: &'static [u8], content: &[u8]) -> Member {
    let mut raw = Vec::new();
    flate2::bufread::DeflateEncoder::new(content, flate2::Compression::default())
        .read_to_end(&mut raw)
        .unwrap();
    Member {
        method: 8,
        compressed: u32::try_from(raw.len()).unwrap(),
        raw,
        ..stored(name, content)
    }
}

impl Member {
    fn common(&self, streamed: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [self.flags, self.method, 0, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let known = if streamed { 0 } else { u32::MAX };
        for field in [self.sum, self.compressed, self.size] {
            out.extend_from_slice(&(field & known).to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.name.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }

    fn local(&self) -> Vec<u8> {
        let streamed = self.flags & directory::STREAMED != 0;
        let mut out = [LOCAL, &[20, 0]].concat();
        out.extend(self.common(streamed));
        out.extend_from_slice(self.name);
        out.extend_from_slice(&self.raw);
        if streamed {
            out.extend_from_slice(b"PK\x07\x08");
            for field in [self.sum, self.compressed, self.size] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
        out
    }

    fn central(&self, offset: usize) -> Vec<u8> {
        let mut out = b"PK\x01\x02\x14\0\x14\0".to_vec();
        out.extend(self.common(false));
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&u32::try_from(offset).unwrap().to_le_bytes());
        out.extend_from_slice(self.name);
        out
    }
}

fn end(count: usize, size: usize, offset: usize) -> Vec<u8> {
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    let count = u16::try_from(count).unwrap().to_le_bytes();
    out.extend([count, count].concat());
    out.extend_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
    out.extend_from_slice(&u32::try_from(offset).unwrap().to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// An archive whose local headers are those of `locals` and whose directory is that of `centrals`.
fn two_faced(locals: &[Member], centrals: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (local, central) in locals.iter().zip(centrals) {
        directory.extend(central.central(out.len()));
        out.extend(local.local());
    }
    let offset = out.len();
    out.extend_from_slice(&directory);
    out.extend(end(centrals.len(), directory.len(), offset));
    out
}

fn archive(members: &[Member]) -> Vec<u8> {
    two_faced(members, members)
}

fn run(bytes: &[u8]) -> Recorder {
    expand(&Zip, bytes, b"x.zip")
}

fn child(name: &[u8], content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (name.to_vec(), content.to_vec())
}

#[test]
fn members_in_the_order_of_the_directory() {
    let bytes = archive(&[
        stored(b"dir/", b""),
        stored(b"dir/a", b"stored"),
        deflated(b"b\xff", b"deflated, deflated"),
        stored(b"empty", b""),
    ]);
    let got = run(&bytes);
    assert_eq!(got.gaps, []);
    let wanted = [
        child(b"dir/a", b"stored"),
        child(b"b\xff", b"deflated, deflated"),
        child(b"empty", b""),
    ];
    assert_eq!(got.children, wanted);
}

#[test]
fn bytes_in_front_and_behind() {
    let bytes = archive(&[stored(b"a", b"content"), deflated(b"b", b"more")]);
    let behind_a_program = [&b"#!/bin/sh\nprogram\n"[..], &bytes].concat();
    let got = run(&behind_a_program);
    assert_eq!(
        (got.names(), got.gaps.len()),
        (vec!["a".to_owned(), "b".to_owned()], 0)
    );
    let zeros = [&bytes[..], &[0; 100]].concat();
    assert_eq!(run(&zeros).gaps, []);
    for little in [&b"\n"[..], b"junk", &[b' '; 1000]] {
        assert_eq!(run(&[&bytes[..], little].concat()).gaps, []);
    }
    let junk = [&bytes[..], &[b'x'; 600]].concat();
    let got = run(&junk);
    assert_eq!(got.children.len(), 2);
    assert_eq!(
        got.gaps,
        [said(None, "corrupt", "600 bytes after the archive")]
    );
}

#[test]
fn members_that_the_directory_does_not_list_are_given_with_a_note() {
    let listed = archive(&[stored(b"a", b"content"), deflated(b"b", b"more")]);
    let hidden = deflated(b"hidden", b"payload, payload").local();
    // Directly behind the first member, in front of everything, and as a whole archive in front of another.
    let at = listed.windows(4).rposition(|four| four == LOCAL).unwrap();
    let mut between = archive(&[stored(b"a", b"content")]);
    let directory = between
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    between.splice(directory..directory, hidden.iter().copied());
    let end = between.len() - 6;
    let moved = u32::try_from(directory + hidden.len()).unwrap();
    between[end..end + 4].copy_from_slice(&moved.to_le_bytes());
    let other = archive(&[deflated(b"hidden", b"payload, payload")]);
    assert!(at > 0);
    for bytes in [
        between,
        [&hidden[..], &listed].concat(),
        [&other[..], &listed].concat(),
    ] {
        let got = run(&bytes);
        assert!(
            got.children
                .contains(&child(b"hidden", b"payload, payload")),
            "{:?}",
            got.names()
        );
        assert_eq!(
            got.names().iter().filter(|name| *name == "hidden").count(),
            1
        );
        assert_eq!(got.notes.len(), 1, "{:?}", got.notes);
        assert!(
            got.notes[0].starts_with("ambiguous/zip-"),
            "{:?}",
            got.notes
        );
    }
    assert_eq!(run(&listed).notes.len(), 0);
}

#[test]
fn a_directory_that_leads_past_the_members_loses_none() {
    for off in [-3_i8, 3] {
        let mut bytes = archive(&[deflated(b"a", b"payload, payload")]);
        let offset = bytes.len() - 6;
        bytes[offset] = bytes[offset].wrapping_add_signed(off);
        let got = run(&bytes);
        assert_eq!(got.children, [child(b"a", b"payload, payload")]);
        assert_eq!(got.gaps.len(), 1, "{:?}", got.gaps);
    }
}

#[test]
fn an_empty_archive_is_complete_but_none_with_members_in_front() {
    let empty = end(0, 0, 0);
    assert!(!run(&empty).complained());
    let hiding = [stored(b"hidden", b"content").local(), end(0, 0, 0)].concat();
    let got = run(&hiding);
    assert_eq!(
        (got.names(), got.reasons()),
        (vec!["hidden".to_owned()], vec!["corrupt"])
    );
}

#[test]
fn what_is_no_zip_is_unlike() {
    assert!(run(b"some text").unlike);
    let nowhere = [&[1; 100][..], &end(1, 50, 10)].concat();
    assert!(run(&nowhere).unlike);
}

#[test]
fn what_cannot_be_decoded_is_said_by_its_method() {
    let with = |method, flags| Member {
        method,
        flags,
        ..stored(b"a", b"content")
    };
    let rows = [
        (
            Member {
                sum: 0,
                ..with(0, 1)
            },
            "encrypted",
        ),
        (with(99, 1), "encrypted"),
        (
            Member {
                flags: 1,
                sum: 0,
                ..deflated(b"a", b"content")
            },
            "encrypted",
        ),
        (with(14, 0), "corrupt"),
        (with(93, 0), "corrupt"),
        (with(95, 0), "corrupt"),
        (with(97, 0), "unsupported/zip-wavpack"),
        (with(98, 0), "unsupported/zip-ppmd"),
        (with(77, 0), "unsupported/zip-method-77"),
        (with(6, 0), "corrupt"),
        (with(8, 0), "corrupt"),
        (with(9, 0), "corrupt"),
        (with(12, 0), "corrupt"),
        (
            Member {
                size: 1 << 30,
                ..with(6, 0)
            },
            "limit/memory",
        ),
    ];
    for (member, reason) in rows {
        let got = run(&archive(&[member.clone(), stored(b"next", b"x")]));
        assert_eq!(got.reasons(), [reason], "method {}", member.method);
        assert_eq!(got.gaps[0].0.as_deref(), Some(&b"a"[..]));
        assert_eq!(got.names().last().map(String::as_str), Some("next"));
    }
}

#[test]
fn headers_that_disagree_are_said() {
    let one = deflated(b"name", b"content, content");
    let rows = [
        (
            "name",
            Member {
                name: b"mane",
                ..one.clone()
            },
        ),
        (
            "method",
            Member {
                method: 0,
                ..one.clone()
            },
        ),
        (
            "encryption",
            Member {
                flags: 1,
                ..one.clone()
            },
        ),
        (
            "size",
            Member {
                size: 3,
                ..one.clone()
            },
        ),
        (
            "compressed size",
            Member {
                compressed: 3,
                ..one.clone()
            },
        ),
    ];
    for (field, local) in rows {
        let got = run(&two_faced(&[local], std::slice::from_ref(&one)));
        assert_eq!(got.children[0], child(b"name", b"content, content"));
        let detail = format!("{field} in central and local header");
        // The other header may be the one that is believed: what it leads to is said.
        let reasons: &[&str] = match field {
            "method" | "compressed size" => &["corrupt"],
            "encryption" => &["encrypted"],
            _ => &[],
        };
        assert_eq!(got.reasons(), reasons, "{field}");
        assert_eq!(got.notes, [format!("ambiguous/zip-headers: {detail}")]);
    }
}

#[test]
fn a_flag_that_is_false_stops_nobody_and_is_said() {
    let content = child(b"a", b"content, content");
    let plain = deflated(b"a", b"content, content");
    let with = |flags, method| Member {
        flags,
        method,
        ..plain.clone()
    };
    for (local, central, reason) in [
        (with(1, 8), with(1, 8), "encrypted"),
        (with(0x41, 8), with(0x41, 8), "encrypted"),
        (with(0, 8), with(1, 8), "encrypted"),
        (with(0, 8), with(0, 77), "unsupported/zip-method-77"),
        (with(0, 8), with(1, 99), "encrypted"),
        (with(0, 12), with(0, 8), "corrupt"),
    ] {
        let got = run(&two_faced(&[local], &[central]));
        assert!(got.children.contains(&content), "{got:?}");
        // Whoever believes the other header sees something that was not looked at.
        assert_eq!(got.reasons(), [reason], "{got:?}");
    }
}

#[test]
fn a_wrong_checksum_or_size_is_said_after_the_content() {
    let one = deflated(b"a", b"content, content");
    let rows = [
        Member {
            sum: 1,
            ..one.clone()
        },
        Member {
            size: 3,
            ..one.clone()
        },
        Member {
            size: 300,
            ..one.clone()
        },
        Member {
            raw: [&one.raw[..], b"more"].concat(),
            compressed: one.compressed + 4,
            ..one
        },
        Member {
            size: 3,
            ..stored(b"a", b"content, content")
        },
    ];
    for member in rows {
        let got = run(&archive(&[member]));
        assert_eq!(got.children, [child(b"a", b"content, content")]);
        assert_eq!(got.reasons(), ["corrupt"], "{got:?}");
    }
}

#[test]
fn a_missing_local_header_is_the_member_s_gap() {
    let members = [stored(b"a", b"1"), stored(b"b", b"2")];
    let mut bytes = archive(&members);
    bytes[0] = b'X';
    let got = run(&bytes);
    assert_eq!(got.names(), ["b"]);
    assert_eq!(
        got.gaps,
        [said(Some(b"a"), "corrupt", "no local header at byte 0")]
    );
}

#[test]
fn a_directory_that_is_shorter_than_said_is_said() {
    let member = stored(b"a", b"1");
    let mut bytes = member.local();
    let offset = bytes.len();
    let directory = member.central(0);
    bytes.extend_from_slice(&directory);
    bytes.extend(end(2, directory.len(), offset));
    assert_eq!(
        run(&bytes).gaps,
        [said(None, "corrupt", "1 of 2 entries are there")]
    );
}

#[test]
fn parts_of_a_split_archive_are_said() {
    let mut bytes = archive(&[stored(b"a", b"1")]);
    let at = bytes.len() - 18;
    bytes[at] = 1;
    let got = run(&bytes);
    assert_eq!(
        (got.names(), got.reasons()),
        (vec!["a".to_owned()], vec!["unsupported/zip-split"])
    );
}

#[test]
fn without_a_directory_the_local_headers_are_followed() {
    let streamed = |member: Member| Member { flags: 8, ..member };
    let bytes = [
        stored(b"a", b"one").local(),
        streamed(deflated(b"b", b"two, two, two")).local(),
        streamed(deflated(b"c", b"three")).local(),
        streamed(stored(b"d", b"four")).local(),
        deflated(b"e", b"five").local(),
    ]
    .concat();
    let got = run(&bytes);
    assert_eq!(got.names(), ["a", "b", "c", "d", "e"]);
    assert_eq!(got.children[1].1, b"two, two, two");
    assert_eq!(got.children[4].1, b"five");
    assert!(got.children[3].1.starts_with(b"four"));
    assert_eq!(
        got.gaps.last(),
        Some(&said(None, "corrupt", "no central directory"))
    );
    assert_eq!(got.gaps.len(), 2, "{:?}", got.gaps);
    let marked = [&b"PK00"[..], &bytes].concat();
    assert_eq!(run(&marked).names(), got.names());
}

/// The same archive with 64-bit records: sizes, offset and end.
fn wide(in_front: usize) -> Vec<u8> {
    let content = b"wide content";
    let narrow = stored(b"w", content);
    let full = Member {
        size: u32::MAX,
        compressed: u32::MAX,
        ..narrow
    };
    let sizes = (content.len() as u64).to_le_bytes();
    let mut out = full.local();
    out.truncate(31);
    out[28] = 20;
    out.extend([&[1, 0, 16, 0], &sizes[..], &sizes, content].concat());
    let offset = out.len() as u64;
    let mut central = full.central(0xffff_ffff);
    central[30] = 28;
    central.extend([&[1, 0, 24, 0], &sizes[..], &sizes, &[0; 8]].concat());
    out.extend_from_slice(&central);
    let end64_at = out.len() as u64;
    out.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    for field in [1, 1, central.len() as u64, offset] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend(
        [
            b"PK\x06\x07\0\0\0\0",
            &end64_at.to_le_bytes()[..],
            &[1, 0, 0, 0],
        ]
        .concat(),
    );
    out.extend_from_slice(
        b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
    );
    [vec![b'#'; in_front], out].concat()
}

#[test]
fn archives_of_64_bits() {
    for in_front in [0, 1000] {
        let bytes = wide(in_front);
        let got = run(&bytes);
        assert_eq!(got.children, [child(b"w", b"wide content")], "{got:?}");
        assert_eq!(got.gaps, []);
        let probe = object(&bytes).probe().unwrap();
        assert_eq!(
            crate::expand::recognise(&probe)
                .first()
                .map(|kind| kind.name),
            Some("zip")
        );
    }
    let mut bytes = wide(0);
    let at = bytes.len() - 12;
    bytes[at..at + 2].copy_from_slice(&[7, 0]);
    // A count that only the short form has wrong leads nobody to other members.
    assert_eq!(run(&bytes).children, [child(b"w", b"wide content")]);
}

#[test]
fn every_end_record_that_leads_to_a_directory_is_followed() {
    let harmless = archive(&[stored(b"a", b"harmless")]);
    let evil = archive(&[deflated(b"b", b"payload, payload")]);
    // The comment of the first end record reaches to the end of the file and holds the second archive, whose own
    // comment does not.
    let mut bytes = harmless.clone();
    let length = u16::try_from(evil.len()).unwrap();
    let at = bytes.len() - 2;
    bytes[at..].copy_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&evil);
    let at = bytes.len() - 2;
    bytes[at] = 9;
    let got = run(&bytes);
    assert!(got.children.contains(&child(b"a", b"harmless")));
    assert!(got.children.contains(&child(b"b", b"payload, payload")));
    assert_eq!(got.children.len(), 2);
    assert!(got.notes[0].contains("zip-directories"), "{:?}", got.notes);
}

#[test]
fn a_directory_that_leads_to_no_member_is_none_beside_another() {
    // What packs an archive may leave the letters of its directory, but not all before it.
    let inner = archive(&[stored(b"a", b"1"), stored(b"b", b"2")]);
    let directory = inner.windows(4).position(|four| four == b"PK\x01\x02");
    let outer = archive(&[Member {
        raw: [b"packed", &inner[directory.unwrap()..]].concat(),
        ..deflated(b"in.zip", b"content")
    }]);
    let got = run(&outer);
    assert_eq!(got.names(), ["in.zip"]);
    assert!(got.notes.is_empty(), "{:?}", got.notes);
    assert!(
        !got.gaps
            .iter()
            .any(|(_, _, detail)| detail.starts_with("no local header")),
        "{:?}",
        got.gaps
    );
}

#[test]
fn what_some_readers_do_not_ask_does_not_hide_a_directory() {
    // The 64-bit record is followed, whatever the short one says and whatever stands in front.
    let mut wide = [&b"junk"[..], &wide(0)].concat();
    let at = wide.len() - 22;
    wide[at + 8..at + 20].fill(0);
    let kinds = crate::expand::recognise(&object(&wide).probe().unwrap());
    assert_eq!(kinds.first().map(|kind| kind.name), Some("zip"));
    assert_eq!(run(&wide).children, [child(b"w", b"wide content")]);
    // Numbers of disks, which not all readers look at.
    let mut split = archive(&[deflated(b"b", b"payload, payload")]);
    let at = split.len() - 18;
    split[at] = 1;
    let got = run(&split);
    assert_eq!(got.children, [child(b"b", b"payload, payload")]);
    assert_eq!(got.reasons(), ["unsupported/zip-split"]);
    // The first header is what gzip reads, be its name what it may.
    let listed = archive(&[stored(b"a", b"content")]);
    let first = [&deflated(b"\0", b"payload, payload").local()[..], &listed].concat();
    assert!(
        run(&first)
            .children
            .contains(&child(b"\0", b"payload, payload"))
    );
}

#[test]
fn a_content_that_ends_elsewhere_than_its_headers_say_is_said() {
    let honest = archive(&[deflated(b"b", b"payload, payload")]);
    let name = honest.windows(4).position(|four| four == LOCAL).unwrap();
    let directory = honest
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let mut bytes = honest.clone();
    // Its sizes come after the content, says the local header; there is none, says the directory.
    bytes[name + 6] |= 8;
    bytes[name + 18..name + 26].fill(0);
    bytes[directory + 8] |= 8;
    bytes[directory + 20..directory + 28].fill(0);
    let got = run(&bytes);
    assert_eq!(
        got.notes,
        ["ambiguous/zip-headers: the end of the content in central and local header"]
    );
    assert_eq!(got.children.len(), 1);
}

#[test]
fn an_archive_behind_something_is_one_whatever_follows_it() {
    let archive = archive(&[deflated(b"b", b"payload, payload")]);
    for behind in [&b""[..], &[0; 3], b"x", &[7; 40_000]] {
        let bytes = [&b"#!/bin/sh\nprogram\n"[..], &archive, behind].concat();
        let kinds = crate::expand::recognise(&object(&bytes).probe().unwrap());
        assert_eq!(
            kinds.iter().map(|kind| kind.name).collect::<Vec<_>>(),
            ["zip"]
        );
        let got = run(&bytes);
        assert_eq!(got.children, [child(b"b", b"payload, payload")]);
        assert_eq!(got.gaps, []);
    }
}

#[test]
fn the_methods_of_the_zip_crate() {
    let content: Vec<u8> = (0..20_000_u32)
        .flat_map(|n| (n / 7).to_le_bytes())
        .collect();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for method in [
        CompressionMethod::Stored,
        CompressionMethod::Deflated,
        CompressionMethod::Bzip2,
    ] {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(method.to_string(), options).unwrap();
        writer.write_all(&content).unwrap();
    }
    let got = run(&writer.finish().unwrap().into_inner());
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["Stored", "Deflated", "Bzip2"]);
    assert!(got.children.iter().all(|(_, bytes)| *bytes == content));
}

#[test]
fn deflate64_and_the_methods_before_deflate() {
    let content = b"abc";
    // One stored block, which deflate64 has in common with deflate.
    let deflate64 = b"\x01\x03\0\xfc\xffabc".to_vec();
    // Shrink: nine bits for each byte.
    let shrunk = {
        let bits = content
            .iter()
            .enumerate()
            .map(|(n, b)| u64::from(*b) << (9 * n));
        bits.sum::<u64>().to_le_bytes()[..4].to_vec()
    };
    // Reduce: 256 empty follower sets of six bits, then plain bytes.
    let reduced = [&[0; 192][..], content].concat();
    for (method, raw) in [(9, deflate64), (1, shrunk), (2, reduced)] {
        let compressed = u32::try_from(raw.len()).unwrap();
        let member = Member {
            method,
            raw,
            compressed,
            ..stored(b"a", content)
        };
        let got = run(&archive(std::slice::from_ref(&member)));
        assert_eq!(got.gaps, [], "method {method}");
        assert_eq!(got.children, [child(b"a", content)]);
        let longer = Member { size: 9, ..member };
        let got = run(&archive(&[longer]));
        assert_eq!(got.reasons(), ["corrupt"]);
        assert!(
            got.children[0].1.starts_with(content),
            "what was decoded is kept"
        );
    }
}

#[test]
fn a_decoder_that_failed_is_not_asked_again() {
    struct Fails(bool);
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0, "read after its error");
            self.0 = true;
            Err(std::io::ErrorKind::InvalidData.into())
        }
    }
    let mut content = decode::Salvage::new(Fails(false), 12);
    for _ in 0..3 {
        assert!(content.read(&mut [0; 8]).is_err());
    }
}

fn sample() -> Vec<u8> {
    let streamed = Member {
        flags: 8,
        ..deflated(b"c", b"streamed, streamed")
    };
    archive(&[
        stored(b"a", b"first"),
        deflated(b"b", b"second, second"),
        streamed,
    ])
}

#[test]
fn a_cut_anywhere_is_said() {
    let bytes = sample();
    assert!(!run(&bytes).complained());
    for cut in 0..bytes.len() {
        assert!(run(&bytes[..cut]).complained(), "cut at {cut}");
    }
}

#[test]
fn a_changed_byte_is_said_or_changes_nothing() {
    let bytes = sample();
    let whole = run(&bytes);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        let got = run(&changed);
        // The bytes of a stored member are whatever they are.
        let stored = got.children.first().is_some_and(|(name, _)| name == b"a");
        let rest = got.children.get(1..) == whole.children.get(1..);
        let said = got.complained() || !got.notes.is_empty();
        assert!(said || (stored && rest), "byte {at}: {got:?}");
    }
}

#[test]
fn no_mutation_panics() {
    let samples = [sample(), wide(3)];
    let methods: Vec<_> = [1, 2, 3, 4, 5, 6, 9, 12]
        .map(|method| Member {
            method,
            ..deflated(b"m", &b"some content ".repeat(20))
        })
        .to_vec();
    for sample in samples.into_iter().chain([archive(&methods)]) {
        mutations(&sample, 700, |bytes| {
            let _ = expand(&Zip, bytes, b"x.zip");
        });
    }
}

#[test]
fn the_zip_crate_sees_the_same() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..300_u32 {
        let method = if n % 2 == 0 {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(n % 5 == 0);
        writer
            .start_file(format!("dir{}/{n}", n % 7), options)
            .unwrap();
        writer
            .write_all(&n.to_le_bytes().repeat(usize::try_from(n).unwrap()))
            .unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    let mut reader = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let mut wanted = Vec::new();
    for n in 0..reader.len() {
        let mut file = reader.by_index(n).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        wanted.push((file.name_raw().to_vec(), content));
    }
    let got = run(&bytes);
    assert_eq!(got.gaps, []);
    assert!(got.children == wanted);
}

#[test]
fn what_zip_encrypts_is_said() {
    let Some(folder) = tool("zip") else { return };
    folder.write("in/text", &b"a line of text\n".repeat(5000));
    folder.run("zip", &["-q", "-P", "secret", "locked.zip", "in/text"]);
    let got = expand(&Zip, &folder.read("locked.zip"), b"locked.zip");
    assert_eq!(got.gaps, [said(Some(b"in/text"), "encrypted", "ZipCrypto")]);
}

/// The methods and ciphers of 7-Zip, and the passwords that are tried.
#[test]
fn a_tree_that_7_zip_packs_comes_out_as_it_was() {
    let Some(folder) = tool("7z") else { return };
    let files = tree(&folder, 2);
    let rows: [&[&str]; 9] = [
        &["-mm=LZMA"],
        &["-mm=BZip2"],
        &["-mm=Deflate64"],
        &["-pright", "-mem=ZipCrypto"],
        &["-pright", "-mem=AES128"],
        &["-pright", "-mem=AES192"],
        &["-pright", "-mem=AES256"],
        &["-pright", "-mem=AES256", "-mm=LZMA"],
        &["-pright", "-mem=AES256", "-mm=Copy"],
    ];
    for arguments in rows {
        let _ = std::fs::remove_file(folder.path().join("out.zip"));
        let fixed = ["a", "-tzip", "out.zip", "tree"];
        folder.run("7z", &[&fixed, arguments].concat());
        let bytes = folder.read("out.zip");
        let words = ["wrong", "", "right", "other"];
        let got = expand_with(&Zip, &bytes, b"out.zip", &words);
        assert_holds(&got, &files);
        if arguments.len() > 1 {
            let got = expand_with(&Zip, &bytes, b"out.zip", &["wrong", "other"]);
            // By chance a wrong one fits the check; that is said, too.
            let closed = got.reasons().iter().filter(|r| **r == "encrypted").count();
            let filled = files.iter().filter(|(_, content)| !content.is_empty());
            assert_eq!(closed, filled.count(), "{arguments:?}");
        }
    }
}

#[test]
fn the_right_one_of_many_passwords_is_found() {
    let Some(folder) = tool("zip") else { return };
    let files = tree(&folder, 3);
    let words: Vec<String> = (0..600).map(|number| format!("word {number}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["right"]).collect();
    // From a pipe, so that the checksum is not known beforehand.
    for streamed in [false, true] {
        let flag = if streamed { "-fd" } else { "-X" };
        folder.run("zip", &["-qr", flag, "-P", "right", "out.zip", "tree"]);
        let got = expand_with(&Zip, &folder.read("out.zip"), b"out.zip", &words);
        assert_holds(&got, &files);
        std::fs::remove_file(folder.path().join("out.zip")).unwrap();
    }
}

#[test]
fn damage_is_told_from_a_wrong_password() {
    let Some(folder) = tool("7z") else { return };
    let content = b"some content, some content".repeat(20);
    folder.write("a", &content);
    for method in ["ZipCrypto", "AES256"] {
        let _ = std::fs::remove_file(folder.path().join("out.zip"));
        let how = format!("-mem={method}");
        folder.run(
            "7z",
            &["a", "-tzip", "-pright", &how, "-mm=Copy", "out.zip", "a"],
        );
        let mut bytes = folder.read("out.zip");
        withstand(&Zip, &bytes, b"x");
        bytes[200] ^= 1;
        let got = expand_with(&Zip, &bytes, b"x", &["right"]);
        assert_eq!(got.names(), ["a"]);
        assert!(
            got.reasons().contains(&"corrupt"),
            "{method}: {:?}",
            got.gaps
        );
        let got = expand_with(&Zip, &bytes, b"x", &["wrong"]);
        assert!(got.reasons().contains(&"encrypted"));
        mutations(&bytes, 2000, |bytes| {
            expand_with(&Zip, bytes, b"x", &["wrong", "right"]);
        });
    }
}

#[test]
fn members_that_are_streams_by_themselves() {
    let content = b"some content, some content".repeat(20);
    let rows = [
        (95, "xz", &["-k"][..], ".xz"),
        (93, "zstd", &["-q"][..], ".zst"),
        (20, "zstd", &["-q"][..], ".zst"),
    ];
    for (method, program, arguments, suffix) in rows {
        let Some(folder) = tool(program) else {
            continue;
        };
        folder.write("a", &content);
        folder.run(program, &[arguments, &["a"]].concat());
        let raw = folder.read(&format!("a{suffix}"));
        let member = |raw: Vec<u8>| Member {
            method,
            compressed: u32::try_from(raw.len()).unwrap(),
            raw,
            ..stored(b"a", &content)
        };
        let bytes = archive(&[member(raw.clone())]);
        let got = run(&bytes);
        assert_eq!(
            (got.gaps, got.children),
            (vec![], vec![child(b"a", &content)])
        );
        if method != 20 && tool("7z").is_some() {
            folder.write("out.zip", &bytes);
            folder.run("7z", &["t", "out.zip"]);
        }
        let longer = archive(&[member([&raw[..], b"junk"].concat())]);
        let got = run(&longer);
        let after = "4 bytes after the compressed data";
        assert_eq!(got.gaps, [said(Some(b"a"), "corrupt", after)]);
        assert_eq!(got.children, [child(b"a", &content)]);
        let shorter = archive(&[member(raw[..raw.len() - 1].to_vec())]);
        assert_eq!(run(&shorter).reasons(), ["corrupt"]);
        withstand(&Zip, &bytes, b"x");
    }
}

#[test]
fn a_length_that_is_too_small_hides_nothing() {
    let content = b"the content, which goes on, and on, and on, and on".repeat(5);
    let whole = deflated(b"a", &content);
    for compressed in [0, 1, whole.compressed / 2, whole.compressed - 1] {
        let member = Member {
            compressed,
            ..whole.clone()
        };
        let got = run(&archive(&[member, stored(b"b", b"other")]));
        assert!(
            got.children.contains(&child(b"a", &content)),
            "{compressed}"
        );
        assert!(
            got.children.contains(&child(b"b", b"other")),
            "{compressed}"
        );
        assert!(got.complained());
    }
    // What is cut for good stays as it is.
    let mut cut = whole.clone();
    cut.raw.truncate(9);
    cut.compressed = 9;
    let got = run(&archive(&[cut]));
    assert_eq!(got.names(), ["a"]);
}

#[test]
fn streams_one_after_the_other_are_one_content() {
    use std::io::Write;
    let packed = |content: &[u8]| {
        let mut out = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    };
    let raw = [packed(b"one "), packed(b"two")].concat();
    let member = Member {
        method: 12,
        compressed: u32::try_from(raw.len()).unwrap(),
        raw,
        ..stored(b"a", b"one two")
    };
    let got = run(&archive(&[member]));
    assert_eq!(
        (got.children, got.gaps),
        (vec![child(b"a", b"one two")], vec![])
    );
}

#[test]
fn xz_with_a_chain_of_filters_is_decoded() {
    let Some(folder) = tool("xz") else { return };
    let content = b"the content of a member ".repeat(9);
    folder.write("a", &content);
    folder.run("xz", &["-k", "--x86", "--delta", "--lzma2", "a"]);
    let raw = folder.read("a.xz");
    let member = Member {
        method: 95,
        compressed: u32::try_from(raw.len()).unwrap(),
        raw,
        ..stored(b"a", &content)
    };
    let got = run(&archive(&[member]));
    assert_eq!(
        (got.children, got.gaps),
        (vec![child(b"a", &content)], vec![])
    );
}

/// As office programs write it, with this list of members.
fn open_document(manifest: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let stored = options.compression_method(CompressionMethod::Stored);
    for (name, content, options) in [
        (
            "mimetype",
            &b"application/vnd.oasis.opendocument.text"[..],
            stored,
        ),
        ("content.xml", b"\x01\x02\x03", stored),
        (
            "META-INF/manifest.xml",
            manifest,
            options.compression_method(method),
        ),
    ] {
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn an_encrypted_open_document_is_said() {
    let entry = |inside: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\">{}\
            <manifest:file-entry manifest:full-path=\"encryption-data.xml\">{inside}</manifest:file-entry></manifest:manifest>",
            " ".repeat(9000)
        )
    };
    let encrypted = entry("<manifest:encryption-data manifest:checksum=\"\"/>");
    let wide: Vec<u8> = encrypted
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for manifest in [
            encrypted.as_bytes(),
            &wide,
            entry("<encryption-data>").as_bytes(),
        ] {
            let archive = open_document(manifest, method);
            let got = expand(&Zip, &archive, b"a.odt");
            let expected = said(None, "encrypted", "members of an OpenDocument");
            assert_eq!(got.gaps, std::slice::from_ref(&expected));
            assert_eq!(got.children.len(), 3);
            // Without its directory, too.
            let end = archive
                .windows(4)
                .position(|four| four == b"PK\x01\x02")
                .unwrap();
            let got = expand(&Zip, &archive[..end], b"a.odt");
            assert!(got.gaps.contains(&expected), "{:?}", got.gaps);
        }
        let healthy = open_document(entry("").as_bytes(), method);
        assert_eq!(expand(&Zip, &healthy, b"a.odt").gaps, []);
    }
}
