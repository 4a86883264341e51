use super::*;
use crate::expand::iso::Iso;
use crate::expand::testing::{Recorder, assert_holds, expand, said, tool, tree, withstand};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Udf, bytes, b"x.udf")
}

const BLOCK: usize = 512;

/// Where the partition begins.
const START: usize = 100;

fn tagged(identifier: u16, location: usize, mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = bytes[16..].iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            if sum & 0x8000 == 0 {
                sum << 1
            } else {
                sum << 1 ^ 0x1021
            }
        })
    });
    let length = u16::try_from(bytes.len() - 16).unwrap();
    bytes[..2].copy_from_slice(&identifier.to_le_bytes());
    bytes[2] = 2;
    bytes[4] = 0;
    bytes[8..10].copy_from_slice(&sum.to_le_bytes());
    bytes[10..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..16].copy_from_slice(&number(location));
    bytes[4] = bytes[..16]
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    bytes
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

/// A descriptor with these fields: place and bytes.
fn descriptor(identifier: u16, location: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK];
    for (at, field) in fields {
        bytes[*at..at + field.len()].copy_from_slice(field);
    }
    tagged(identifier, location, bytes)
}

fn long(length: usize, block: usize, map: u8) -> Vec<u8> {
    [&number(length)[..], &number(block), &[map], &[0; 7]].concat()
}

fn short(length: usize, block: usize, kind: usize) -> Vec<u8> {
    [number(length | kind << 30), number(block)].concat()
}

/// A file entry: type of file, form of allocation, length, and where the content is.
fn entry(kind: u8, form: u8, length: usize, described: &[u8]) -> Vec<u8> {
    let strategy = [&4_u16.to_le_bytes()[..], &[0; 5], &[kind]].concat();
    let size = number(described.len());
    descriptor(
        261,
        0,
        &[
            (20, &strategy),
            (34, &[form]),
            (56, &number(length)),
            (172, &size),
            (176, described),
        ],
    )
}

fn identifier(characteristics: u8, name: &str, icb: Vec<u8>) -> Vec<u8> {
    let length = u8::try_from(name.len() + 1).unwrap();
    let mut bytes = vec![0; 18];
    bytes.extend([characteristics, length]);
    bytes.extend(icb);
    bytes.extend([0, 0, 8]);
    bytes.extend(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    tagged(257, 0, bytes)
}

fn folder(entries: &[Vec<u8>]) -> Vec<u8> {
    let entries = entries.concat();
    entry(4, 3, entries.len(), &entries)
}

fn put(image: &mut [u8], block: usize, bytes: &[u8]) {
    image[block * BLOCK..block * BLOCK + bytes.len()].copy_from_slice(bytes);
}

const DIRECT: &[u8] = &[1, 6, 1, 0, 0, 0];

/// A volume whose file set is at block 0 of `map`, with these blocks of the partition.
fn volume(maps: &[&[u8]], map: u8, blocks: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut image = vec![0; 257 * BLOCK];
    describe(&mut image, 32, maps, map, 0);
    let sequence = [number(3 * BLOCK), number(32)].concat();
    put(&mut image, 256, &descriptor(2, 256, &[(16, &sequence)]));
    for (block, bytes) in blocks {
        put(&mut image, START + block, bytes);
    }
    image
}

fn describe(image: &mut [u8], at: usize, maps: &[&[u8]], map: u8, files: usize) {
    let partition = [number(START), number(150)].concat();
    put(image, at, &descriptor(5, at, &[(188, &partition)]));
    let counts = [number(maps.concat().len()), number(maps.len())].concat();
    let size = u16::try_from(BLOCK).unwrap().to_le_bytes();
    let files = long(BLOCK, files, map);
    // Maps of more than 72 bytes do not fit into a block; what is cut are zeros.
    let mut maps = maps.concat();
    maps.truncate(BLOCK - 440);
    let fields: [(usize, &[u8]); 4] = [(212, &size), (248, &files), (264, &counts), (440, &maps)];
    put(image, at + 1, &descriptor(6, at + 1, &fields));
    put(image, at + 2, &descriptor(8, at + 2, &[]));
}

fn file_set(root: usize, map: u8) -> Vec<u8> {
    descriptor(256, 0, &[(400, &long(BLOCK, root, map))])
}

/// One tree in the simplest form, with these entries in the root and these blocks.
fn plain(entries: &[Vec<u8>], blocks: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let entries = entries.concat();
    let root = entry(4, 0, entries.len(), &short(entries.len(), 30, 0));
    let first = [(0, file_set(1, 0)), (1, root), (30, entries)];
    volume(&[DIRECT], 0, &[&first[..], blocks].concat())
}

fn file(name: &str, block: usize) -> Vec<u8> {
    identifier(0, name, long(BLOCK, block, 0))
}

#[test]
fn contents_lie_where_their_entries_say() {
    let parts = [short(BLOCK, 20, 0), short(BLOCK, 0, 1), short(3, 22, 0)].concat();
    let chain = [short(BLOCK, 20, 0), short(BLOCK, 23, 3)].concat();
    let rest = [&[0; 20][..], &number(8), &short(4, 24, 0)].concat();
    let extended = descriptor(
        266,
        0,
        &[
            (20, &[4, 0, 0, 0, 0, 0, 0, 5]),
            (34, &[3]),
            (56, &number(4)),
            (152, &long(BLOCK, 9, 0)),
            (212, &number(4)),
            (216, b"main"),
        ],
    );
    let bytes = plain(
        &[
            identifier(IS_PARENT, "", long(BLOCK, 1, 0)),
            file("embedded", 2),
            file("parts", 3),
            file("chain", 4),
            file("long", 5),
            file("many", 8),
            identifier(2, "sub", long(BLOCK, 6, 0)),
            identifier(IS_DELETED, "gone", long(BLOCK, 2, 0)),
        ],
        &[
            (2, entry(5, 3, 8, b"embedded")),
            (3, entry(5, 0, 2 * BLOCK + 3, &parts)),
            (4, entry(5, 0, BLOCK + 4, &chain)),
            (5, entry(5, 1, 4, &long(4, 24, 0))),
            (
                6,
                folder(&[file("deep", 2), identifier(2, "up", long(BLOCK, 1, 0))]),
            ),
            (8, extended),
            (9, {
                let streams = file("stream", 2);
                entry(13, 3, streams.len(), &streams)
            }),
            (20, vec![b'1'; BLOCK]),
            (22, b"end".to_vec()),
            (23, tagged(258, 0, rest)),
            (24, b"more".to_vec()),
        ],
    );
    let got = run(&bytes);
    let names = [
        "embedded",
        "parts",
        "chain",
        "long",
        "many",
        "many:stream",
        "sub/deep",
    ];
    assert_eq!(
        (got.names(), &got.gaps),
        (names.map(str::to_owned).to_vec(), &vec![])
    );
    let ones = [b'1'; BLOCK];
    assert_eq!(got.children[1].1, [&ones[..], &[0; BLOCK], b"end"].concat());
    assert_eq!(got.children[2].1, [&ones[..], b"more"].concat());
    assert_eq!(got.children[3].1, b"more");
    assert_eq!(got.children[4].1, b"main");
}

#[test]
fn blocks_of_a_metadata_partition_are_in_a_file() {
    let mut map = vec![0; 64];
    map[..2].copy_from_slice(&[2, 64]);
    map[5..28].copy_from_slice(b"*UDF Metadata Partition");
    map[40..44].copy_from_slice(&number(50));
    map[44..48].copy_from_slice(&number(51));
    let pieces = [short(BLOCK, 60, 0), short(2 * BLOCK, 70, 0)].concat();
    let bytes = volume(
        &[DIRECT, &map],
        1,
        &[
            (51, entry(250, 0, 3 * BLOCK, &pieces)),
            (60, file_set(1, 1)),
            (70, folder(&[identifier(0, "a", long(BLOCK, 2, 1))])),
            (71, entry(5, 1, 4, &long(4, 80, 0))),
            (80, b"text".to_vec()),
        ],
    );
    let got = run(&bytes);
    // The file is broken, its mirror is not.
    assert_eq!(
        (&got.children, &got.gaps),
        (&vec![(b"a".to_vec(), b"text".to_vec())], &vec![])
    );
    let mut lost = bytes;
    put(&mut lost, START + 51, &[0; BLOCK]);
    assert_eq!(run(&lost).reasons(), ["corrupt"]);
}

#[test]
fn packets_that_have_moved_are_read_where_they_are() {
    let mut map = vec![0; 64];
    map[..2].copy_from_slice(&[2, 64]);
    map[5..28].copy_from_slice(b"*UDF Sparable Partition");
    map[40..44].copy_from_slice(&[4, 0, 1, 0]);
    map[48..52].copy_from_slice(&number(90));
    let moved = [number(20), number(240), number(22), number(250)].concat();
    let name = b"*UDF Sparing Table";
    let table = descriptor(0, 90, &[(17, name), (48, &[2]), (56, &moved)]);
    let mut blocks = vec![
        (0, file_set(1, 0)),
        (1, folder(&[file("a", 2)])),
        (2, entry(5, 0, 10 * BLOCK, &short(10 * BLOCK, 18, 0))),
    ];
    // Blocks 20 to 23 are at 240 of the image.
    blocks.extend((18..28).map(|block| (block, vec![block as u8; BLOCK])));
    blocks.extend((140..144).map(|block| (block, vec![block as u8; BLOCK])));
    let mut bytes = volume(&[&map], 0, &blocks);
    put(&mut bytes, 90, &table);
    let got = run(&bytes);
    assert_eq!(got.gaps, []);
    let firsts: Vec<_> = got.children[0].1.iter().step_by(BLOCK).collect();
    assert_eq!(
        firsts,
        [&18, &19, &140, &141, &142, &143, &24, &25, &26, &27]
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let entry_of = |node: Vec<u8>| {
        run(&plain(&[file("a", 2)], &[(2, node)]))
            .reasons()
            .join(" ")
    };
    let mut strategy = entry(5, 3, 4, b"text");
    strategy[20..22].copy_from_slice(&4096_u16.to_le_bytes());
    let mut wrong_sum = entry(5, 3, 4, b"text");
    wrong_sum[300] = 1;
    let itself = short(BLOCK, 3, 3);
    let rows = [
        (entry(5, 3, 4, b"text"), ""),
        (entry(5, 3, 5, b"text"), "corrupt"),
        (
            entry(5, 4, 4, b"text"),
            "unsupported/udf-allocation corrupt",
        ),
        (tagged(261, 0, strategy), "unsupported/udf-strategy"),
        (wrong_sum, "corrupt"),
        (entry(5, 0, 9, &short(9, 5000, 0)), "corrupt"),
        (entry(5, 1, 9, &long(9, 0, 7)), "corrupt corrupt"),
        (entry(5, 0, 9, &itself), "corrupt corrupt"),
        (vec![0; BLOCK], "corrupt"),
    ];
    for (number, (node, reasons)) in rows.into_iter().enumerate() {
        assert_eq!(entry_of(node), reasons, "{number}");
    }
    let again = tagged(258, 0, [&[0; 20][..], &self::number(8), &itself].concat());
    let got = run(&plain(
        &[file("a", 2)],
        &[(2, entry(5, 0, 9, &itself)), (3, again)],
    ));
    let detail = "lists of extents that lead into each other";
    assert_eq!(got.gaps[0], said(Some(b"a"), "corrupt", detail));
    let mut virtual_map = vec![0; 64];
    virtual_map[..2].copy_from_slice(&[2, 64]);
    virtual_map[5..27].copy_from_slice(b"*UDF Virtual Partition");
    let got = run(&volume(&[DIRECT, &virtual_map], 1, &[]));
    assert_eq!(got.reasons(), ["corrupt"]);
    virtual_map[6] = b'x';
    let got = run(&volume(&[DIRECT, &virtual_map], 1, &[]));
    assert_eq!(got.reasons(), ["unsupported/udf-map"]);
    assert_eq!(run(&[0; 300 * BLOCK]).reasons(), ["corrupt"]);
}

#[test]
fn copies_of_the_description_that_differ_are_followed_both() {
    let mut bytes = plain(&[file("a", 2)], &[(2, entry(5, 3, 1, b"1"))]);
    put(&mut bytes, START + 10, &file_set(11, 0));
    put(&mut bytes, START + 11, &folder(&[file("b", 2)]));
    describe(&mut bytes, 48, &[DIRECT], 0, 10);
    let sequences = [number(3 * BLOCK), number(32), number(3 * BLOCK), number(48)].concat();
    put(&mut bytes, 256, &descriptor(2, 256, &[(16, &sequences)]));
    let got = run(&bytes);
    assert_eq!(got.names(), ["a", "b"]);
    assert_eq!(got.notes.len(), 1);
    assert_eq!(got.gaps, []);
}

#[test]
fn what_genisoimage_makes_is_read() {
    let Some(dir) = tool("genisoimage") else {
        return;
    };
    let files: Vec<_> = (tree(&dir, 33).into_iter())
        .map(|(name, content)| (name.strip_prefix("tree/").unwrap().to_owned(), content))
        .collect();
    dir.run(
        "genisoimage",
        &["-quiet", "-udf", "-R", "-o", "out.iso", "tree"],
    );
    let bytes = dir.read("out.iso");
    assert_holds(&run(&bytes), &files);
    let both = expand(&Iso, &bytes, b"out.iso");
    assert_holds(&both, &files);
    assert_eq!(both.notes, [""; 0]);
    dir.run(
        "genisoimage",
        &[
            "-quiet",
            "-udf",
            "-R",
            "-hide-rr-moved",
            "-hide",
            "*",
            "-o",
            "hidden.iso",
            "tree",
        ],
    );
    let hidden = expand(&Iso, &dir.read("hidden.iso"), b"hidden.iso");
    assert_eq!(hidden.gaps, []);
    assert!(
        hidden.children.len() >= files.len() - 6,
        "{:?}",
        hidden.names()
    );
}

#[test]
fn every_medium_is_understood() {
    let Some(dir) = tool("mkudffs") else { return };
    let media = [
        "hd", "dvd", "dvdram", "dvdrw", "dvdr", "cdrw", "cdr", "cd", "bdr",
    ];
    for medium in media {
        dir.write("out.udf", &vec![0; 8 << 20]);
        let option = format!("--media-type={medium}");
        dir.run("mkudffs", &[&option, "out.udf"]);
        let got = run(&dir.read("out.udf"));
        // Only what the volume says of its own spare blocks.
        let names = got.names();
        assert!(
            names.iter().all(|name| name.starts_with("[streams]/*UDF ")),
            "{names:?}"
        );
        assert_eq!(got.gaps, [], "{medium}");
    }
}

#[test]
fn no_damage_panics() {
    let bytes = plain(
        &[file("a", 2), identifier(2, "sub", long(BLOCK, 6, 0))],
        &[
            (2, entry(5, 0, 4, &short(4, 149, 0))),
            (6, folder(&[file("deep", 2)])),
            (149, b"text".to_vec()),
        ],
    );
    assert_eq!(run(&bytes).gaps, []);
    // The anchor of this image is its last block.
    let silent = withstand(&Udf, &bytes, b"x.udf");
    assert_eq!(silent, [0; 0]);
}
