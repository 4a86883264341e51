use std::fs::File;
use std::process::{Command, Output, Stdio};

use super::*;
use crate::expand::stream::{Pieces, State, ZSTD};
use crate::expand::testing::{Folder, Random, mutations, tool};

/// As much as the ordinary tool takes without being told.
const MEMORY: u64 = 128 << 20;

/// What is decoded of all frames, and whether that was all without a complaint.
fn decode(bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let mut out = Vec::new();
    let result = (|| {
        let mut pieces = Pieces::open(&ZSTD, Input::new(Box::new(bytes)), MEMORY)?;
        (&mut pieces).take(MEMORY).read_to_end(&mut out)?;
        match pieces.state {
            State::Ended => Ok(()),
            _ => Err(damaged("something behind it")),
        }
    })();
    (out, result)
}

/// Runs the ordinary tool on a file of the folder.
fn zstd(folder: &Folder, arguments: &[&str], file: &str) -> Output {
    Command::new("zstd")
        .args(arguments)
        .stdin(File::open(folder.path().join(file)).unwrap())
        .stderr(Stdio::null())
        .output()
        .unwrap()
}

fn packed(folder: &Folder, arguments: &[&str], content: &[u8]) -> Vec<u8> {
    folder.write("content", content);
    zstd(folder, &[&["-qc"], arguments].concat(), "content").stdout
}

/// Text in which some lengths and distances are rare and others common, and noise.
fn mixed(random: &mut Random, length: usize) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let letters = 1 + random.below(255);
    while out.len() < length {
        let count = 1 << random.below(9);
        if random.below(3) > 0 && !out.is_empty() {
            let from = random.below(out.len());
            let end = out.len().min(from + count);
            out.extend_from_within(from..end);
        } else {
            let next = (0..count).map(|_| random.below(letters).to_le_bytes()[0]);
            out.extend(next.collect::<Vec<_>>());
        }
    }
    out
}

#[test]
fn what_the_tool_makes_in_any_way_is_read() {
    let Some(folder) = tool("zstd") else { return };
    let ways: [&[&str]; 10] = [
        &["-1"],
        &["-3", "--long"],
        &["-4", "-T0"],
        &["-6", "--no-content-size"],
        &["-10", "--no-check"],
        &["-19"],
        &["--ultra", "-22"],
        &["--fast=7"],
        &["-3", "--no-compress-literals"],
        &["-16", "--compress-literals"],
    ];
    let mut random = Random::new(5);
    let lengths = [0, 1, 2, 5, 6, 7, 63, 255, 256, 300, 1100, 20_000, 200_000];
    for content in lengths.map(|length| mixed(&mut random, length)) {
        for way in ways {
            let (got, result) = decode(&packed(&folder, way, &content));
            assert!(result.is_ok(), "{way:?}, {}: {result:?}", content.len());
            assert!(got == content, "{way:?}, {}", content.len());
        }
    }
}

#[test]
fn damage_is_told_where_the_tool_tells_it_and_else_nothing_lost() {
    let Some(folder) = tool("zstd") else { return };
    let count = std::env::var("VFIND_MUTATIONS").ok();
    // Each runs a program.
    let count = count
        .and_then(|count| count.parse().ok())
        .unwrap_or(60)
        .min(2000);
    let mut random = Random::new(6);
    for (length, way) in [
        (9, "-3"),
        (200, "-3"),
        (700, "-19"),
        (5000, "-1"),
        (150_000, "-5"),
    ] {
        let sample = packed(&folder, &[way], &mixed(&mut random, length));
        mutations(&sample, count, |bytes| {
            folder.write("mutation", bytes);
            let theirs = zstd(&folder, &["-qdc"], "mutation");
            let (given, result) = decode(bytes);
            if theirs.status.success() {
                assert!(given == theirs.stdout, "{bytes:x?}: {result:?}");
            } else {
                assert!(result.is_err(), "{bytes:x?}");
            }
        });
    }
}

#[test]
fn a_damaged_block_gives_what_comes_before_its_damage() {
    let Some(folder) = tool("zstd") else { return };
    let content = mixed(&mut Random::new(8), 100_000);
    let whole = packed(&folder, &["-3", "--no-check"], &content);
    // Sequences are read from their end: the bits at their start are those of the last ones.
    let mut longest = 0;
    for back in [200, 400, 800] {
        let mut bytes = whole.clone();
        let at = bytes.len() - back;
        bytes[at] ^= 0x10;
        let (given, _) = decode(&bytes);
        let same = given.iter().zip(&content).take_while(|(a, b)| a == b);
        let same = same.count();
        assert!(same > longest, "{back}: {same} of {}", given.len());
        longest = same;
    }
}

#[test]
fn what_only_some_readers_decode_is_given_and_said() {
    // A frame of 5 bytes in a window of 1 KiB: a block without anything, and one as it is.
    let frame = b"\x28\xb5\x2f\xfd\0\0\x04\0\0\x29\0\0hello";
    let (given, result) = decode(frame);
    assert_eq!(given, b"hello");
    assert!(result.unwrap_err().to_string().contains("not every reader"));
}

#[test]
fn blocks_by_hand() {
    let head = b"\x28\xb5\x2f\xfd\0\0";
    let rows: [(&[u8], &[u8], &str); 8] = [
        (b"\x19\0\0one", b"one", ""),
        (b"\x1a\0\0a\x09\0\0!", b"aaa!", ""),
        (b"\x19\0\0on", b"on", "without its end"),
        (b"\x07\0\0", b"", "of type 3"),
        (b"\x09\x20\0", b"", "block of 1025 bytes"),
        (b"\x0b\x20\0a", b"", "block of 1025 bytes"),
        // Literals one many times, and no sequences.
        (b"\x1d\0\0\x51a\0", b"aaaaaaaaaa", ""),
        // Three of them, and bytes behind what says that there are no sequences.
        (b"\x25\0\0\x19a\0\0", b"aaa", "behind the sequences"),
    ];
    for (blocks, content, complaint) in rows {
        let (given, result) = decode(&[&head[..], blocks].concat());
        assert_eq!(given, content, "{complaint}");
        match result {
            Ok(()) => assert_eq!(complaint, ""),
            Err(error) => assert!(
                !complaint.is_empty() && error.to_string().contains(complaint),
                "{error}"
            ),
        }
    }
}
