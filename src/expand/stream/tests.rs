use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::expand::testing::{Folder, Random, Recorder, expand, object, said, tool, withstand};

/// What a real program makes of a file.
struct Made {
    format: &'static Format,
    program: &'static str,
    arguments: &'static [&'static str],
    suffix: &'static str,
}

const fn made(
    format: &'static Format,
    program: &'static str,
    arguments: &'static [&'static str],
    suffix: &'static str,
) -> Made {
    Made {
        format,
        program,
        arguments,
        suffix,
    }
}

static MADE: &[Made] = &[
    made(&BZIP2, "bzip2", &["-1"], ".bz2"),
    made(&BZIP2, "bzip2", &["-9"], ".bz2"),
    made(&BZIP2, "pbzip2", &["-b1"], ".bz2"),
    made(&XZ, "xz", &["-0"], ".xz"),
    made(&XZ, "xz", &["-8e", "--check=sha256"], ".xz"),
    made(&XZ, "xz", &["--check=none", "--x86", "--lzma2"], ".xz"),
    made(
        &XZ,
        "xz",
        &["--check=crc32", "--delta=dist=4", "--lzma2"],
        ".xz",
    ),
    made(&XZ, "xz", &["-T2", "--block-size=10000"], ".xz"),
    made(&LZMA, "xz", &["--format=lzma"], ".lzma"),
    made(&LZIP, "lzip", &["-0"], ".lz"),
    made(&LZIP, "lzip", &["-9", "-b", "100000"], ".lz"),
    made(&LZIP, "plzip", &["-B", "100000"], ".lz"),
    made(&ZSTD, "zstd", &["-q", "-1"], ".zst"),
    made(&ZSTD, "zstd", &["-q", "-19", "--no-check"], ".zst"),
    made(&ZSTD, "zstd", &["-q", "--ultra", "-22"], ".zst"),
    made(&ZSTD, "zstd", &["-q", "--no-compress-literals"], ".zst"),
    made(&LZ4, "lz4", &["-q", "-m"], ".lz4"),
    made(
        &LZ4,
        "lz4",
        &["-q", "-m", "-9", "-B4", "-BD", "-BX", "--content-size"],
        ".lz4",
    ),
    made(&LZ4, "lz4", &["-q", "-m", "--no-frame-crc"], ".lz4"),
    made(&LZ4, "lz4", &["-q", "-m", "-l"], ".lz4"),
    made(&LZOP, "lzop", &["-q", "-1"], ".lzo"),
    made(&LZOP, "lzop", &["-q", "-9", "--crc32"], ".lzo"),
    made(&LZOP, "lzop", &["-q", "--no-checksum"], ".lzo"),
    made(&Z, "compress", &["-f"], ".Z"),
    // Not -b 9: neither compress nor gzip reads what that makes.
    made(&Z, "compress", &["-f", "-b", "10"], ".Z"),
    made(&Z, "compress", &["-f", "-b", "12"], ".Z"),
    made(&Z, "compress", &["-f", "-b", "15"], ".Z"),
    // Several filters, which are applied by another reader.
    made(&XZ, "xz", &["--x86", "--delta", "--lzma2"], ".xz"),
    made(
        &XZ,
        "xz",
        &["--delta=dist=1", "--delta=dist=4", "--arm64", "--lzma2"],
        ".xz",
    ),
];

fn contents() -> Vec<Vec<u8>> {
    let mut random = Random::new(3);
    let words = [
        &b"stream "[..],
        b"of ",
        b"bytes, ",
        b"again and ",
        b"\0\0\0\xff",
    ];
    let mut text = Vec::new();
    while text.len() < 400_000 {
        text.extend_from_slice(words[random.below(words.len())]);
    }
    let noise = random.bytes(100_000);
    vec![
        b"a".to_vec(),
        b"hello, hello, hello, world".to_vec(),
        vec![0; 300_000],
        noise.clone(),
        [&text[..], &noise, &text, &noise[..50_000]].concat(),
        text,
    ]
}

fn make(folder: &Folder, made: &Made, content: &[u8]) -> Vec<u8> {
    let file = format!("letter.txt{}", made.suffix);
    let _ = std::fs::remove_file(folder.path().join(&file));
    folder.write("letter.txt", content);
    folder.run(made.program, &[made.arguments, &["letter.txt"]].concat());
    folder.read(&file)
}

#[test]
fn what_the_real_programs_make_is_read() {
    for made in MADE {
        let Some(folder) = tool(made.program) else {
            continue;
        };
        for content in contents() {
            let bytes = make(&folder, made, &content);
            let name = format!("letter.txt{}", made.suffix);
            let got = expand(made.format, &bytes, name.as_bytes());
            let what = format!("{} {:?}", made.program, made.arguments);
            assert_eq!(got.gaps, [], "{what}, {} bytes", content.len());
            assert_eq!(got.names(), ["letter.txt"], "{what}");
            assert!(
                got.children[0].1 == content,
                "{what}, {} bytes",
                content.len()
            );
            let kinds = crate::expand::recognise(&object(&bytes).probe().unwrap());
            assert!(
                kinds.iter().any(|kind| kind.name == made.format.kind),
                "{what}"
            );
        }
    }
}

#[test]
fn pieces_are_one_content_and_zeros_padding_where_the_program_takes_them() {
    let twice = [
        (&MADE[0], 512),
        (&MADE[3], 512),
        (&MADE[9], 512),
        (&MADE[12], 0),
        (&MADE[16], 0),
    ];
    for (made, zeros) in twice {
        let Some(folder) = tool(made.program) else {
            continue;
        };
        let one = make(&folder, made, b"one, one");
        let two = make(&folder, made, b"two, two");
        let padding = vec![0; zeros];
        let rows = [
            [&one[..], &two].concat(),
            [&one[..], &padding, &two, &padding].concat(),
        ];
        for bytes in rows {
            let got = expand(made.format, &bytes, b"x");
            assert_eq!(got.gaps, [], "{}", made.program);
            assert_eq!(
                got.children,
                [(b"data".to_vec(), b"one, onetwo, two".to_vec())]
            );
        }
        let long = [b'x'; 600];
        let rows: [(&[u8], &[&str]); 4] = [
            (b"\n", &[]),
            (b"junk!", &[]),
            (b"\0\0\0junk!", &[]),
            (&long, &["corrupt"]),
        ];
        for (junk, gaps) in rows {
            let got = expand(made.format, &[&one[..], junk].concat(), b"x");
            assert_eq!(got.children, [(b"data".to_vec(), b"one, one".to_vec())]);
            assert_eq!(got.reasons(), gaps, "{}", made.program);
        }
        // A container behind the end is a member.
        let gzip = b"\x1f\x8b\x08\0rest";
        let got = expand(made.format, &[&one[..], gzip].concat(), b"x");
        assert_eq!(
            got.names(),
            ["data", "(behind the end)"],
            "{}",
            made.program
        );
    }
}

#[test]
fn damage_is_said_and_what_comes_before_it_given() {
    let content = contents().pop().unwrap();
    for made in MADE {
        let Some(folder) = tool(made.program) else {
            continue;
        };
        let bytes = make(&folder, made, &content);
        let got = expand(made.format, &bytes[..bytes.len() * 3 / 4], b"x");
        let what = format!("{} {:?}", made.program, made.arguments);
        let given = got.children.first().map_or(&[][..], |(_, given)| given);
        assert!(content.starts_with(given), "{what}");
        // Blocks that are decoded as a whole are lost as a whole: bzip2 of 900,000 bytes, lzip's last, Zstandard's of 128 KiB, what
        // 64 KiB of LZMA2 hold behind several filters.
        let is_chain = made.arguments.len() > 2 && made.arguments.contains(&"--lzma2");
        let is_chain = is_chain
            && !made
                .arguments
                .iter()
                .any(|argument| argument.contains("check"));
        let whole = made.program == "bzip2" || made.arguments.contains(&"-b1") || is_chain;
        let least = if whole { 0 } else { content.len() / 3 };
        assert!(given.len() >= least, "{what}: {} bytes", given.len());
        // compress has no end: a file that is cut between two codes is one.
        assert!(got.complained() || made.format.kind == "Z", "{what}");
    }
}

#[test]
fn no_damage_panics() {
    for made in MADE {
        let Some(folder) = tool(made.program) else {
            continue;
        };
        let bytes = make(
            &folder,
            made,
            &b"some content, some content, some more".repeat(8),
        );
        let silent = withstand(made.format, &bytes, b"x");
        let what = format!("{} {:?}", made.program, made.arguments);
        match made.format.kind {
            // No end mark: cuts between codes, and between blocks.
            "Z" => assert!(!silent.is_empty(), "{what}"),
            _ if made.arguments.contains(&"-l") => assert_eq!(silent, [4], "{what}"),
            _ => assert!(silent.is_empty(), "{what}: {silent:?}"),
        }
    }
}

#[test]
fn more_memory_than_there_is_is_a_gap() {
    let Some(folder) = tool("xz") else { return };
    let xz = made(&XZ, "xz", &["--lzma2=dict=256MiB"], ".xz");
    let got = expand(&XZ, &make(&folder, &xz, b"content"), b"x");
    assert_eq!(got.reasons(), ["limit/memory"]);
    // What does not fill its dictionary needs none.
    let lzma = made(
        &LZMA,
        "xz",
        &["--format=lzma", "--lzma1=dict=256MiB"],
        ".lzma",
    );
    let got = expand(&LZMA, &make(&folder, &lzma, b"content"), b"x");
    assert_eq!(got.gaps, []);
    let Some(folder) = tool("zstd") else { return };
    let zstd = made(&ZSTD, "zstd", &["-q", "--ultra", "--long=31"], ".zst");
    folder.write("letter.txt", b"content");
    let mut long = make(&folder, &zstd, b"content");
    // Not a single segment: the window is what the header says.
    long.splice(4..6, [0x04, 0xa8]);
    let got = expand(&ZSTD, &long, b"x");
    assert_eq!(got.reasons(), ["limit/memory"]);
    // A second frame that is refused loses nothing of the first.
    let one = make(&folder, &MADE[12], b"content");
    let got = expand(&ZSTD, &[one, long].concat(), b"x");
    assert_eq!(got.children, [(b"data".to_vec(), b"content".to_vec())]);
    assert_eq!(got.reasons(), ["limit/memory"]);
}

#[test]
fn frames_that_are_passed_over_hold_nothing() {
    let Some(folder) = tool("zstd") else { return };
    let skipped = b"\x53\x2a\x4d\x18\x05\0\0\0apart";
    for made in [&MADE[12], &MADE[16]] {
        let one = make(&folder, made, b"content");
        let bytes = [&skipped[..], &one, skipped, &one].concat();
        let got = expand(made.format, &bytes, b"x");
        assert_eq!(
            got.children,
            [(b"data".to_vec(), b"contentcontent".to_vec())]
        );
        assert_eq!(got.gaps, []);
        let cut = expand(made.format, &bytes[..bytes.len() - one.len() - 1], b"x");
        assert_eq!(cut.reasons(), ["corrupt"]);
    }
}

#[test]
fn each_file_of_lzop_is_a_member() {
    let Some(folder) = tool("lzop") else { return };
    folder.write("one", b"content of one");
    folder.write("two", &b"content of two".repeat(100));
    folder.run("lzop", &["-q", "-o", "all.lzo", "one", "two"]);
    let got = expand(&LZOP, &folder.read("all.lzo"), b"all.lzo");
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["one", "two"]);
    assert_eq!(got.children[1].1, b"content of two".repeat(100));
}

#[test]
fn dictionaries_from_elsewhere_are_said() {
    let Some(folder) = tool("zstd") else { return };
    folder.write("dictionary", &contents().pop().unwrap()[..5000]);
    let made = made(&LZ4, "lz4", &["-q", "-m", "-D", "dictionary"], ".lz4");
    let got = expand(&LZ4, &make(&folder, &made, b"content"), b"x");
    assert!(!got.complained() || got.reasons() == ["unsupported/lz4-dictionary"]);
    // A frame with a number of a dictionary.
    let zstd = b"\x28\xb5\x2f\xfd\x21\x07\x05\x01\0\0";
    let got = expand(&ZSTD, zstd, b"x");
    assert_eq!(got.reasons(), ["unsupported/zstd-dictionary"]);
}

#[test]
fn names_are_the_containers_without_its_suffix() {
    let rows: [(&Format, &str, &str); 9] = [
        (&XZ, "dir/a.tar.XZ", "a.tar"),
        (&XZ, "a.txz", "a.tar"),
        (&BZIP2, "a.tbz2", "a.tar"),
        (&ZSTD, "a.tzst", "a.tar"),
        (&LZIP, "a.tlz", "a.tar"),
        (&LZ4, "a.lz4", "a"),
        (&Z, "a.Z", "a"),
        (&XZ, ".xz", "data"),
        (&XZ, "a", "data"),
    ];
    for (format, container, wanted) in rows {
        let name = member_name(
            b"",
            &ContainerName::new(container.as_bytes()),
            format.suffixes,
        );
        assert_eq!(String::from_utf8(name).unwrap(), wanted);
    }
}

/// SZDD with literals only, as its shortest form.
fn szdd(header: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = header.to_vec();
    for eight in content.chunks(8) {
        out.push(0xff);
        out.extend_from_slice(eight);
    }
    out
}

#[test]
fn the_output_of_mscompress_is_read_with_its_name() {
    let Some(folder) = tool("mscompress") else {
        return;
    };
    // Of one or two bytes mscompress makes zeros.
    for content in contents().into_iter().filter(|content| content.len() > 2) {
        folder.write("letter.txt", &content);
        let _ = std::fs::remove_file(folder.path().join("letter.txt_"));
        folder.run("mscompress", &["letter.txt"]);
        let got = expand(&SZDD, &folder.read("letter.txt_"), b"letter.txt_");
        assert_eq!(got.gaps, []);
        assert_eq!(got.names(), ["letter.txt"]);
        assert!(got.children[0].1 == content);
    }
    folder.write("a", &b"some content, some content".repeat(4));
    folder.run("mscompress", &["a"]);
    let sample = folder.read("a_");
    assert!(withstand(&SZDD, &sample, b"x").is_empty());
}

#[test]
fn szdd_and_kwaj_by_hand() {
    let size = b"\x05\0\0\0";
    let letter = szdd(&[&b"SZDD\x88\xf0\x27\x33AT"[..], size].concat(), b"hello");
    let qbasic = szdd(
        &[&b"SZ\x20\x88\xf0\x27\x33\xd1"[..], size].concat(),
        b"hello",
    );
    let kwaj = |method: u8, data: &[u8]| {
        let mut out = b"KWAJ\x88\xf0\x27\xd1".to_vec();
        out.extend_from_slice(&[method, 0, 14 + 4 + 5 + 4, 0, 25, 0]);
        out.extend_from_slice(b"\x05\0\0\0name\0ext\0");
        out.extend_from_slice(data);
        out
    };
    let inverted: Vec<u8> = b"hello".iter().map(|byte| !byte).collect();
    let mut deflated = Vec::new();
    flate2::bufread::DeflateEncoder::new(&b"hello"[..], flate2::Compression::default())
        .read_to_end(&mut deflated)
        .unwrap();
    let length = u16::try_from(deflated.len() + 2).unwrap();
    let zipped = [&length.to_le_bytes()[..], b"CK", &deflated, &[0, 0]].concat();
    // Codes of equal length: a run of five literals by their own values.
    let mut coded = vec![0, 0, 0];
    let mut bits = String::from("000000100");
    for byte in b"hello" {
        bits.push_str(&format!("{byte:08b}"));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    coded
        .extend((0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..][..8], 2).unwrap()));
    let rows = [
        (letter.clone(), "A.TX_", "A.TXT"),
        (letter.clone(), "a.tx$", "a.txt"),
        (letter, "other", "data"),
        (qbasic, "a.tx_", "a.tx"),
        (kwaj(0, b"hello"), "a.tx_", "name.ext"),
        (kwaj(1, &inverted), "a.tx_", "name.ext"),
        (kwaj(2, &szdd(b"", b"hello")), "a.tx_", "name.ext"),
        (kwaj(3, &coded), "a.tx_", "name.ext"),
        (kwaj(4, &zipped), "a.tx_", "name.ext"),
    ];
    for (bytes, container, name) in rows {
        let got = expand(&SZDD, &bytes, container.as_bytes());
        assert_eq!(got.gaps, [], "{container}");
        assert_eq!(got.names(), [name]);
        assert_eq!(got.children[0].1, b"hello");
        assert!(withstand(&SZDD, &bytes, b"x").is_empty());
    }
    let got = expand(&SZDD, &kwaj(9, b""), b"x");
    assert_eq!(got.reasons(), ["unsupported/kwaj-method"]);
}

/// Packs with a code whose bytes have all the same length but one: 2^n - 2 bytes at most on the last level.
fn packed(content: &[u8]) -> Vec<u8> {
    let mut leaves: Vec<u8> = content.to_vec();
    leaves.sort_unstable();
    leaves.dedup();
    let depth = (leaves.len() + 1).next_power_of_two().ilog2().max(1);
    // Leaves that are missing for a full tree stand twice.
    while leaves.len() + 1 < 1 << depth {
        leaves.push(leaves[0]);
    }
    let mut out = vec![0x1f, 0x1e];
    out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
    out.push(u8::try_from(depth).unwrap());
    out.extend(std::iter::repeat_n(0, usize::try_from(depth).unwrap() - 1));
    out.push(u8::try_from(leaves.len() - 1).unwrap());
    out.extend_from_slice(&leaves);
    let mut bits = String::new();
    let width = usize::try_from(depth).unwrap();
    for byte in content {
        let code = leaves.iter().position(|leaf| leaf == byte).unwrap();
        bits.push_str(&format!("{code:0width$b}"));
    }
    bits.push_str(&format!("{:0width$b}", leaves.len()));
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    out.extend((0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..][..8], 2).unwrap()));
    out
}

/// What `gzip -dc` makes of it.
fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn packed_files_are_read_as_gzip_reads_them() {
    let Some(_) = tool("gzip") else { return };
    // Three levels: 1 leaf, then 1, then 2 of which one is the end. e: 1, a: 01, b: 000, end: 001.
    let uneven = b"\x1f\x1e\0\0\0\x06\x03\x01\x01\0eab\xeb\x04\x08".to_vec();
    for bytes in [packed(b"hello, hello, packed world"), packed(b"ab"), uneven] {
        let theirs = gunzip(&bytes);
        let got = expand(&PACK, &bytes, b"x.z");
        let clean = got.gaps.is_empty();
        assert_eq!(theirs.is_some(), clean, "{:?}", got.gaps);
        if let Some(theirs) = theirs {
            assert_eq!(got.children, [(b"x".to_vec(), theirs)]);
        }
    }
    let sample = packed(b"hello, hello, packed world");
    assert!(gunzip(&sample).is_some());
    assert!(withstand(&PACK, &sample, b"x.z").is_empty());
    let got = expand(&PACK, b"\x1f\xa0\0\0\0\x20", b"x.z");
    assert_eq!(got.reasons(), ["unsupported/pack-lzh"]);
}

#[test]
fn compressed_files_are_read_as_gzip_reads_them() {
    let (Some(folder), Some(_)) = (tool("compress"), tool("gzip")) else {
        return;
    };
    for made in MADE.iter().filter(|made| made.format.kind == "Z") {
        let whole = make(&folder, made, &contents()[4]);
        for cut in [whole.len(), 100_000, 70_001, 5000] {
            let bytes = &whole[..cut.min(whole.len())];
            let got = expand(&Z, bytes, b"x.Z");
            if let Some(theirs) = gunzip(bytes) {
                assert!(got.children[0].1 == theirs, "{:?} {cut}", made.arguments);
            }
        }
    }
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::bufread::ZlibEncoder::new(content, flate2::Compression::default())
        .read_to_end(&mut out)
        .unwrap();
    out
}

#[test]
fn zlib_streams_are_told_from_what_only_begins_like_them() {
    for content in contents() {
        let bytes = zlib(&content);
        assert!(is_zlib(&object(&bytes).probe().unwrap()));
        let got: Recorder = expand(&ZLIB, &bytes, b"x.zlib");
        assert_eq!(
            (got.gaps, got.children),
            (vec![], vec![(b"x".to_vec(), content)])
        );
    }
    for other in [
        &b"x\x9cabcdefgh"[..],
        b"x^2 + y^2 = z^2",
        b"x\xda",
        b"x\x01\0\0\xff\xffabc",
    ] {
        assert!(!is_zlib(&object(other).probe().unwrap()), "{other:?}");
    }
    let sample = zlib(&b"some content, some content".repeat(4));
    assert!(withstand(&ZLIB, &sample, b"x").is_empty());
    let mut wrong = sample.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let got = expand(&ZLIB, &wrong, b"x");
    let differs = "checksum of the zlib stream differs";
    assert_eq!(got.gaps, [said(Some(b"data"), "corrupt", differs)]);
}

#[test]
fn behind_a_damaged_piece_the_next_is_found() {
    let rows = [
        ("bzip2", &BZIP2, ".bz2"),
        ("xz", &XZ, ".xz"),
        ("lzip", &LZIP, ".lz"),
        ("zstd", &ZSTD, ".zst"),
        ("lz4", &LZ4, ".lz4"),
        ("lzop", &LZOP, ".lzo"),
    ];
    for (program, format, suffix) in rows {
        let Some(folder) = tool(program) else {
            continue;
        };
        let arguments: &[&str] = match program {
            "lz4" => &["-q", "-m"],
            "zstd" => &["-q", "--check"],
            _ => &[],
        };
        let row = Made {
            format,
            program,
            arguments,
            suffix,
        };
        let first = make(&folder, &row, &Random::new(1).bytes(3000));
        let second = make(&folder, &row, b"the second");
        for at in [first.len() / 2, first.len() - 9] {
            let mut damaged = first.clone();
            damaged[at] ^= 0x55;
            let got = expand(format, &[damaged, second.clone()].concat(), b"x");
            let has_second = got.children.iter().any(|child| child.1 == b"the second");
            assert!(has_second, "{program}, damaged at {at}: {:?}", got.gaps);
            assert_eq!(got.reasons(), ["corrupt"], "{program}, damaged at {at}");
        }
    }
}

#[test]
fn damage_behind_a_chain_of_filters_is_said() {
    let Some(folder) = tool("xz") else { return };
    let content = b"some content ".repeat(20);
    let filtered = Made {
        arguments: &["--x86", "--delta", "--lzma2"],
        ..made(&XZ, "xz", &[], ".xz")
    };
    let filtered = make(&folder, &filtered, &content);
    let got = expand(&XZ, &filtered, b"x.xz");
    assert_eq!((got.children[0].1 == content, got.gaps), (true, vec![]));
    let mut wrong = filtered.clone();
    let at = wrong.len() / 2;
    wrong[at] ^= 0x10;
    assert_eq!(expand(&XZ, &wrong, b"x.xz").reasons(), ["corrupt"]);
    withstand(&XZ, &filtered, b"x.xz");
}
