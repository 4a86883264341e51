use super::*;
use crate::expand::testing::{Recorder, expand, mutations, object, said, tool};

/// A header in the form of `with`, with its checksum.
fn header(name: &[u8], kind: u8, size: &[u8], with: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    with(&mut block);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.to_vec()
}

fn entry(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let size = format!("{:011o}", content.len());
    let mut bytes = header(name, kind, size.as_bytes(), |_| {});
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let text: String = records.iter().map(|(k, v)| record(k, v)).collect();
    entry(b"PaxHeader", kind, text.as_bytes())
}

fn run(parts: &[&[u8]]) -> Recorder {
    expand(&Tar, &parts.concat(), b"x.tar")
}

fn child(name: &str, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), content.to_vec())
}

const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

#[test]
fn names_come_from_wherever_they_are() {
    let prefixed = header(b"file", b'0', b"", |block| {
        block[345..351].copy_from_slice(b"a/long");
    });
    let gnu = header(b"file", b'0', b"", |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[345..351].copy_from_slice(b"garble");
    });
    let got = run(&[
        &entry(b"old", 0, b"1"),
        &prefixed,
        &gnu,
        &entry(b"././@LongLink", b'L', b"a/very/long/name\0"),
        &entry(b"././@LongLink", b'K', b"a/target\0"),
        &entry(b"short", b'0', b"2"),
        &pax(b'x', &[("path", "by/pax"), ("comment", "x")]),
        &entry(b"short", b'7', b"3"),
        &entry(b"unknown", b'Q', b"4"),
        &END,
    ]);
    let wanted = [
        "old",
        "a/long/file",
        "file",
        "a/very/long/name",
        "by/pax",
        "unknown",
    ];
    assert_eq!(got.names(), wanted);
    assert_eq!(got.gaps, []);
}

#[test]
fn a_size_where_nothing_is_stored_is_said() {
    for kind in *b"23456" {
        let inner = entry(b"inner", b'0', b"x");
        let folder = header(b"odd", kind, b"00000002000", |_| {});
        let got = run(&[&folder, &inner, &entry(b"last", b'0', b"y"), &END]);
        assert_eq!(got.reasons(), ["unsupported/tar-disagreement"], "{got:?}");
        assert!(got.children.iter().any(|(name, _)| name == b"odd"));
        assert!(
            got.names().contains(&"last".to_owned()),
            "{:?}",
            got.names()
        );
    }
}

#[test]
fn a_size_that_readers_read_differently_is_said() {
    for field in [
        &b"+0000000001"[..],
        b"0o000000001",
        b"0_000000001",
        b"\x0b0000000001",
        b"00000001 x ",
    ] {
        let odd = header(b"odd", b'0', field, |_| {});
        let got = run(&[&odd, &[b'x'; BLOCK], &END]);
        assert_eq!(got.reasons(), ["unsupported/tar-disagreement"], "{got:?}");
        assert_eq!(got.children, [(b"odd".to_vec(), b"x".to_vec())]);
    }
}

#[test]
fn whatever_has_a_checksum_is_a_header() {
    let odd: [fn(&mut [u8]); 3] = [
        |block| {
            block[136..148].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0")
        },
        |block| block[0] = 0,
        |block| block[156] = b'a',
    ];
    for change in odd {
        let first = header(b"first", b'0', b"00000000000", |block| change(block));
        let bytes = [&first[..], &entry(b"last", b'0', b"x"), &END].concat();
        let kinds = crate::expand::recognise(&object(&bytes).probe().unwrap());
        assert_eq!(kinds.first().map(|kind| kind.name), Some("tar"));
        assert!(run(&[&bytes]).names().contains(&"last".to_owned()));
    }
}

#[test]
fn an_archive_behind_the_end_is_given() {
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let got = run(&[&entry(b"a", b'0', b"x"), &END, &zip]);
    assert_eq!(got.names(), ["a", "(behind the end)"]);
}

#[test]
fn what_has_no_content_is_no_child() {
    let got = run(&[
        &entry(b"dir/", b'5', b""),
        &entry(b"olddir/", 0, b""),
        &entry(b"link", b'2', b""),
        // A link that carries the size of its target, but no content.
        &header(b"hard", b'1', b"00000001000", |_| {}),
        &entry(b"null", b'3', b""),
        &entry(b"last", b'0', b"x"),
        &END,
    ]);
    assert_eq!(got.names(), ["last"]);
    assert_eq!(got.gaps, []);
}

#[test]
fn a_link_that_has_content_is_a_child() {
    let got = run(&[&entry(b"hard", b'1', b"content"), &END]);
    assert_eq!(got.children, [child("hard", b"content")]);
}

#[test]
fn sizes_in_other_forms() {
    let mut big = header(b"big", b'0', b"\x80\0\0\0\0\0\0\0\0\0\0\x03", |_| {});
    big.extend_from_slice(b"abc");
    big.resize(2 * BLOCK, 0);
    let mut told = header(b"told", b'0', b"00000000000", |_| {});
    told.extend_from_slice(b"xyz");
    told.resize(2 * BLOCK, 0);
    let size = pax(b'x', &[("size", "3")]);
    let got = run(&[&big, &size, &told, &END]);
    assert_eq!(got.children, [child("big", b"abc"), child("told", b"xyz")]);
    assert_eq!(got.gaps, []);
}

#[test]
fn two_sizes_are_a_disagreement() {
    let size = pax(b'x', &[("size", "512")]);
    let got = run(&[&size, &entry(b"a", b'0', b"content"), &END]);
    assert_eq!(got.children.len(), 2);
    assert!(got.children.contains(&child("a", b"content")));
    assert!(
        got.reasons().contains(&"unsupported/tar-disagreement"),
        "{got:?}"
    );
}

#[test]
fn what_only_some_readers_take_for_a_size_is_given_in_each_way() {
    let zero = |field: &[u8]| header(b"a", b'0', field, |_| {});
    let size =
        |value: &str| [("size", value)].map(|(key, value)| pax(b'g', &[(key, value)]))[0].clone();
    let content = [&b"content"[..], &[0; BLOCK - 7]].concat();
    // In a header for all, which some readers pass over.
    let got = run(&[&size("7"), &zero(b"00000000000"), &content, &END]);
    assert!(got.children.contains(&child("a", b"content")), "{got:?}");
    // A checksum that is wrong, which some do not look at.
    let mut wrong = header(b"a", b'0', b"00000000007", |block| {
        block[257..265].copy_from_slice(b"ustar\x0000");
    });
    wrong[148] = b'7';
    let got = run(&[&entry(b"b", b'0', b"x"), &wrong, &content, &END]);
    assert!(got.children.contains(&child("a", b"content")), "{got:?}");
    assert_eq!(got.reasons(), ["corrupt"]);
}

#[test]
fn archives_one_after_the_other_are_all_read() {
    let one = [&entry(b"a", b'0', b"1")[..], &END].concat();
    let two = [&entry(b"b", b'0', b"2")[..], &END].concat();
    assert_eq!(run(&[&one, &END, &two]).names(), ["a", "b"]);
    let junk = [&one[..], &[b'j'; 700]].concat();
    let got = run(&[&junk]);
    assert_eq!((got.names(), got.gaps.len()), (vec!["a".to_owned()], 0));
}

#[test]
fn an_end_without_zero_blocks_is_an_end() {
    assert_eq!(run(&[&entry(b"a", b'0', b"1")]).gaps, []);
}

#[test]
fn a_damaged_header_is_said_with_its_place() {
    let got = run(&[&entry(b"a", b'0', b"1"), &[b'j'; BLOCK]]);
    assert_eq!(got.names(), ["a"]);
    let detail = "no header from byte 1024 to byte 1536";
    assert_eq!(got.gaps, [said(None, "corrupt", detail)]);
    assert!(run(&[&[b'j'; BLOCK]]).unlike);
}

#[test]
fn what_comes_after_a_damaged_header_is_found_as_gnu_tar_finds_it() {
    for damaged in 0..3 {
        let mut entries = [
            entry(b"a", b'0', b"1"),
            entry(b"b", b'0', b"2"),
            entry(b"c", b'0', b"3"),
        ];
        // The first one is told from something else by its magic.
        entries[damaged][257..265].copy_from_slice(b"ustar\x0000");
        entries[damaged][0] ^= 1;
        let got = run(&[&entries[0], &entries[1], &entries[2], &END]);
        // Some readers do not look at the checksum: what they see is given, too.
        let mut names = vec!["a", "b", "c"];
        names[damaged] = ["`", "c", "b"][damaged];
        assert_eq!(got.names(), names);
        assert_eq!(got.reasons(), ["corrupt"]);
    }
}

#[test]
fn content_that_is_not_there_is_said() {
    let huge = header(b"a", b'0', b"77777777777", |_| {});
    let got = run(&[&huge, b"abc"]);
    assert_eq!(got.children, [child("a", b"abc")]);
    let detail = "3 of 8589934591 bytes are there";
    assert_eq!(got.gaps, [said(Some(b"a"), "corrupt", detail)]);
    let most = header(
        b"a",
        b'0',
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        |_| {},
    );
    assert_eq!(run(&[&most, b"abc"]).gaps.len(), 1);
}

#[test]
fn a_long_name_has_a_limit() {
    let name = entry(b"x", b'L', &vec![b'n'; (1 << 20) + 1]);
    let got = run(&[&name, &entry(b"a", b'0', b"1"), &END]);
    assert_eq!(got.names(), ["a"]);
    assert_eq!(got.reasons(), ["limit/memory"]);
}

#[test]
fn a_long_name_of_nothing_is_said() {
    let got = run(&[&entry(b"x", b'L', b"name"), &END]);
    assert_eq!(got.reasons(), ["corrupt"]);
    let bad = entry(b"x", b'x', b"no record");
    let got = run(&[&bad, &entry(b"a", b'0', b"1"), &END]);
    assert_eq!(
        (got.names(), got.reasons()),
        (vec!["a".to_owned()], vec!["corrupt"])
    );
}

/// An old sparse file whose map has `extra` entries more than the header holds; the last is its end, as GNU writes it.
fn old_sparse(extra: u64) -> (Vec<u8>, Vec<u8>) {
    let pieces = 3 + extra;
    let field = |at: u64, length: u64| format!("{at:011o}\0{length:011o}\0").into_bytes();
    let real = pieces * 1024 + 100;
    let mut map: Vec<Vec<u8>> = (0..pieces).map(|n| field(n * 1024 + 512, 512)).collect();
    map.push(field(real, 0));
    let size = format!("{:011o}", pieces * 512);
    let mut bytes = header(b"sparse", b'S', size.as_bytes(), |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[386..482].copy_from_slice(&map[..4].concat());
        block[482] = u8::from(extra > 0);
        block[483..494].copy_from_slice(format!("{real:011o}").as_bytes());
    });
    let chunks: Vec<_> = map[4..].chunks(21).collect();
    for (n, chunk) in chunks.iter().enumerate() {
        let mut block = chunk.concat();
        block.resize(BLOCK, 0);
        block[504] = u8::from(n + 1 < chunks.len());
        bytes.extend_from_slice(&block);
    }
    let mut content = Vec::new();
    for n in 0..pieces {
        let piece = [n.to_le_bytes()[0] + 1; 512];
        content.resize(content.len() + 512, 0);
        content.extend_from_slice(&piece);
        bytes.extend_from_slice(&piece);
    }
    content.resize(usize::try_from(real).unwrap(), 0);
    (bytes, content)
}

#[test]
fn old_sparse_files_have_their_holes_again() {
    for extra in [0, 1, 21, 50] {
        let (bytes, content) = old_sparse(extra);
        let got = run(&[&bytes, &entry(b"after", b'0', b"1"), &END]);
        assert_eq!(got.gaps, []);
        assert_eq!(
            got.children,
            [child("sparse", &content), child("after", b"1")]
        );
        let archive = [&bytes[..], &END].concat();
        let mut crate_reader = ::tar::Archive::new(&archive[..]);
        let mut first = crate_reader.entries().unwrap().next().unwrap().unwrap();
        let mut by_crate = Vec::new();
        first.read_to_end(&mut by_crate).unwrap();
        assert!(by_crate == content, "the tar crate agrees");
    }
}

#[test]
fn a_sparse_map_that_cannot_be_is_said() {
    let (bytes, _) = old_sparse(0);
    let mut numbers = bytes.clone();
    numbers[390] = b'x';
    let mut order = bytes;
    order[386..397].copy_from_slice(b"77777777777");
    for bytes in [numbers, order] {
        let mut bytes = bytes;
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..BLOCK].iter().map(|b| u32::from(*b)).sum();
        bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let got = run(&[&bytes, &END]);
        assert_eq!(got.children.len(), 1, "{got:?}");
        assert!(!got.gaps.is_empty(), "{got:?}");
    }
}

#[test]
fn pax_sparse_files_of_all_versions() {
    let content = b"\0\0ab\0\0cd\0";
    let v00 = [
        ("GNU.sparse.size", "9"),
        ("GNU.sparse.offset", "2"),
        ("GNU.sparse.numbytes", "2"),
        ("GNU.sparse.offset", "6"),
        ("GNU.sparse.numbytes", "2"),
    ];
    let v01 = [("GNU.sparse.size", "9"), ("GNU.sparse.map", "2,2,6,2")];
    let v10 = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "real"),
        ("GNU.sparse.realsize", "9"),
    ];
    let mut mapped = b"2\n2\n2\n6\n2\n".to_vec();
    mapped.resize(BLOCK, 0);
    mapped.extend_from_slice(b"abcd");
    let got = run(&[
        &pax(b'x', &v00),
        &entry(b"a", b'0', b"abcd"),
        &pax(b'x', &v01),
        &entry(b"b", b'0', b"abcd"),
        &pax(b'x', &v10),
        &entry(b"stand-in", b'0', &mapped),
        &END,
    ]);
    assert_eq!(got.gaps, []);
    let wanted = [
        child("a", content),
        child("b", content),
        child("real", content),
    ];
    assert_eq!(got.children, wanted);
    let got = run(&[&pax(b'x', &v10), &entry(b"c", b'0', b"no map"), &END]);
    assert_eq!(got.children, [child("real", b"no map")]);
    assert_eq!(got.reasons(), ["unsupported/tar-sparse"]);
    let got = run(&[&pax(b'x', &v01), &entry(b"d", b'0', b"abcdef"), &END]);
    assert_eq!(got.reasons(), ["corrupt"], "bytes in no piece");
}

fn sample() -> Vec<u8> {
    let long = "d/".repeat(80) + "name";
    [
        &entry(b"a", b'0', b"first content")[..],
        &pax(b'x', &[("path", &long)]),
        &entry(b"b", b'0', &[b'x'; 600]),
        &entry(b"c", b'L', b"another/long/name\0"),
        &entry(b"c", b'0', b""),
        &old_sparse(2).0,
        &END,
    ]
    .concat()
}

#[test]
fn a_cut_anywhere_is_said_or_at_a_border() {
    let bytes = sample();
    let whole = run(&[&bytes]);
    assert!(!whole.complained());
    let length = bytes.len() - END.len();
    for cut in 1..length {
        let got = run(&[&bytes[..cut]]);
        // A cut in the padding of an entry loses nothing of that entry, and one at a header looks like the end.
        let quiet = !got.complained();
        let complete = got
            .children
            .iter()
            .zip(&whole.children)
            .all(|(a, b)| a == b);
        assert!(!quiet || complete, "cut at {cut}");
    }
}

#[test]
fn a_changed_header_is_never_silent() {
    let bytes = [
        &entry(b"a", b'0', b"first")[..],
        &entry(b"b", b'0', b"second"),
        &END,
    ]
    .concat();
    for at in (0..BLOCK).chain(1024..1024 + BLOCK) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        let got = run(&[&changed]);
        // Blanks and the end of the checksum field carry nothing.
        assert!(got.complained() || got.children.len() == 2, "byte {at}");
    }
}

#[test]
fn no_mutation_panics() {
    let bytes = sample();
    mutations(&bytes, 2000, |bytes| {
        let _ = expand(&Tar, bytes, b"x.tar");
    });
}

#[test]
fn the_tar_crate_sees_the_same() {
    let mut builder = ::tar::Builder::new(Vec::new());
    for n in 0..200_usize {
        let mut header = match n % 3 {
            0 => ::tar::Header::new_gnu(),
            1 => ::tar::Header::new_ustar(),
            _ => ::tar::Header::new_old(),
        };
        let content = vec![u8::try_from(n).unwrap(); n * 37 % 1500];
        header.set_size(content.len() as u64);
        let name = if n % 3 == 0 {
            "x".repeat(n + 1)
        } else {
            format!("dir/{n}")
        };
        builder
            .append_data(&mut header, name, &content[..])
            .unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    let mut archive = ::tar::Archive::new(&bytes[..]);
    let mut wanted = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path_bytes().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        wanted.push((name, content));
    }
    let got = run(&[&bytes]);
    assert_eq!(got.gaps, []);
    assert!(got.children == wanted);
}

#[test]
fn a_block_in_front_is_passed_over() {
    let rest = [&entry(b"a", b'0', b"abc")[..], &END].concat();
    let sure = {
        let mut sure = rest.clone();
        sure[..BLOCK].copy_from_slice(&header(b"a", b'0', b"00000000003", |block| {
            block[263..265].copy_from_slice(b"00");
        }));
        sure
    };
    for (block, reasons) in [([0; BLOCK], &[][..]), ([b'j'; BLOCK], &["corrupt"])] {
        let got = run(&[&block, &sure]);
        assert_eq!(got.children, [child("a", b"abc")]);
        assert_eq!(got.reasons(), reasons);
    }
    assert!(run(&[&[b'j'; BLOCK], b"nothing that is a header"]).unlike);
}

#[test]
fn a_sparse_file_without_the_mark_of_gnu_is_read_both_ways() {
    let got = run(&[&entry(b"a", b'S', b"abc"), &entry(b"b", b'0', b"x"), &END]);
    assert_eq!(got.children.last(), Some(&child("b", b"x")));
    assert!(got.children.contains(&child("a", b"abc")));
    assert!(
        got.reasons().contains(&"unsupported/tar-disagreement"),
        "{got:?}"
    );
}

#[test]
fn a_volume_of_several_is_said() {
    let first = header(b"a", b'0', b"00000002000", |_| {});
    let got = run(&[&first, &[b'x'; BLOCK]]);
    assert_eq!(got.reasons(), ["unsupported/tar-part"]);
    assert_eq!(got.children[0].1, [b'x'; BLOCK]);
    let got = run(&[&entry(b"a", b'M', b"rest"), &END]);
    assert_eq!(got.reasons(), ["unsupported/tar-part"]);
    assert_eq!(got.children, [child("a", b"rest")]);
}

#[test]
fn a_size_that_is_no_number_is_read_both_ways() {
    let negative = header(
        b"a",
        b'0',
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\0",
        |_| {},
    );
    let rest = [&entry(b"b", b'0', b"x")[..], &END].concat();
    let got = run(&[&negative, &rest]);
    assert_eq!(got.children, [child("a", &rest), child("b", b"x")]);
    assert_eq!(got.reasons(), ["unsupported/tar-disagreement"]);
    let got = run(&[&negative, &negative, &rest]);
    assert_eq!(got.children.len(), 2);
    assert_eq!(got.reasons(), ["unsupported/tar-disagreement"; 2]);
}

#[test]
fn the_first_volume_that_tar_makes_is_said() {
    let Some(folder) = tool("tar") else { return };
    folder.write("a", &vec![7; 30_000]);
    folder.run("tar", &["-cM", "-L", "20", "-f", "1", "-f", "2", "a"]);
    for volume in ["1", "2"] {
        let got = expand(&Tar, &folder.read(volume), b"x.tar");
        assert_eq!(got.reasons(), ["unsupported/tar-part"], "{volume}");
    }
}
