use super::*;
use crate::expand::recognise;
use crate::expand::testing::{Recorder, expand, said, tool, withstand};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Cab, bytes, b"x.cab")
}

/// A file's entry: name, start, size, folder.
type Listed<'a> = (&'a str, u32, u32, u16);

/// A stored cabinet of one folder with these blocks, and files as (name, start, size, folder).
fn cabinet(flags: u16, method: u16, blocks: &[(&[u8], u16)], files: &[Listed]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, start, size, folder) in files {
        list.extend_from_slice(&size.to_le_bytes());
        list.extend_from_slice(&start.to_le_bytes());
        list.extend_from_slice(&folder.to_le_bytes());
        list.extend_from_slice(&[0; 6]);
        list.extend_from_slice(name.as_bytes());
        list.push(0);
    }
    let names: &[u8] = match flags & 3 {
        1 => b"before.cab\0disk\0",
        2 => b"after.cab\0disk\0",
        3 => b"before.cab\0disk\0after.cab\0disk\0",
        _ => b"",
    };
    let list_at = 36 + names.len() + 8;
    let data_at = list_at + list.len();
    let mut data = Vec::new();
    for (bytes, size) in blocks {
        data.extend_from_slice(&[0; 4]);
        data.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_le_bytes());
        data.extend_from_slice(&size.to_le_bytes());
        data.extend_from_slice(bytes);
    }
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut out = [MAGIC, &[0; 4]].concat();
    out.extend_from_slice(&number(data_at + data.len()));
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number(list_at));
    out.extend_from_slice(&[0, 0, 0, 0, 3, 1]);
    for field in [1, u16::try_from(files.len()).unwrap(), flags] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(names);
    out.extend_from_slice(&number(data_at));
    out.extend_from_slice(&u16::try_from(blocks.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&method.to_le_bytes());
    [out, list, data].concat()
}

#[test]
fn files_are_pieces_of_a_folder() {
    let bytes = cabinet(
        0,
        0,
        &[(b"onetwo", 6)],
        &[("a", 0, 3, 0), ("d\\b", 3, 3, 0), ("none", 6, 0, 0)],
    );
    let got = run(&bytes);
    assert_eq!(
        (got.names(), &got.gaps),
        (["a", "d/b", "none"].map(str::to_owned).to_vec(), &vec![])
    );
    assert_eq!(got.children[1].1, b"two");
    assert_eq!(run(&[&bytes[..], &[0; 9]].concat()).gaps, []);
    assert_eq!(run(&[&bytes[..], b"junk"].concat()).gaps, []);
    let junk = [b'x'; 600];
    assert_eq!(run(&[&bytes[..], &junk].concat()).reasons(), ["corrupt"]);
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_eq!(
        run(&[&bytes[..], &zip].concat()).names().last().unwrap(),
        "(behind the end)"
    );
}

#[test]
fn what_is_not_decoded_is_said() {
    let block: &[(&[u8], u16)] = &[(b"onetwo", 6)];
    let rows: [(u16, u16, &[Listed], &[&str]); 11] = [
        (0, 2, &[("a", 0, 6, 0)], &["unsupported/CAB-method"]),
        (0, 9, &[("a", 0, 6, 0)], &["unsupported/CAB-method"]),
        (0, 0, &[("a", 0, 6, 7)], &["corrupt"]),
        (0, 0, &[("a", 0, 9, 0)], &["corrupt"]),
        (0, 0, &[("a", 9, 1, 0)], &["corrupt"]),
        (0, 0, &[("a", 2, 4, 0)], &["corrupt"]),
        (0, 0, &[("a", 0, 2, 0)], &["corrupt"]),
        (
            0,
            0,
            &[("a", 0, u32::MAX, 0), ("b", 0, u32::MAX, 0)],
            &["corrupt", "corrupt"],
        ),
        (1, 0, &[("a", 0, 9, 0xfffd)], &["unsupported/CAB-split"; 2]),
        (2, 0, &[("a", 0, 9, 0xfffe)], &["unsupported/CAB-split"; 2]),
        (3, 0, &[("a", 0, 9, 0xffff)], &["unsupported/CAB-split"; 3]),
    ];
    for (flags, method, files, reasons) in rows {
        let got = run(&cabinet(flags, method, block, files));
        assert_eq!(got.reasons(), reasons, "{flags} {method} {files:?}");
    }
    let got = run(&cabinet(2, 0, block, &[("a", 0, 9, 0xfffe)]));
    assert_eq!(got.children, [(b"a".to_vec(), b"onetwo".to_vec())]);
}

#[test]
fn a_name_without_measure_hides_no_other() {
    for length in [255, 256, 300, NAME, NAME + 1, 70_000] {
        let long = "n".repeat(length);
        let files = [(&*long, 0, 3, 0), ("b", 3, 3, 0)];
        let got = run(&cabinet(0, 0, &[(b"onetwo", 6)], &files));
        let expected = [
            (long[..length.min(NAME)].into(), b"one".to_vec()),
            (b"b".to_vec(), b"two".to_vec()),
        ];
        assert_eq!((got.children, got.gaps), (expected.to_vec(), vec![]));
    }
}

/// What cabextract does not ask for.
#[test]
fn fields_that_readers_pass_over_hide_no_files() {
    let whole = cabinet(0, 0, &[(b"content", 7)], &[("a", 0, 7, 0)]);
    for (at, value, reasons) in [
        (4, 1_u32, &[][..]),
        (16, 0, &["corrupt"]),
        (16, 90, &["corrupt"]),
    ] {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let kinds = recognise(&crate::expand::testing::object(&bytes).probe().unwrap());
        assert!(kinds.iter().any(|kind| kind.name == "CAB"));
        let got = run(&bytes);
        assert!(
            got.children.contains(&(b"a".to_vec(), b"content".to_vec())),
            "{at}"
        );
        assert!(got.reasons().starts_with(reasons), "{at}: {:?}", got.gaps);
    }
}

#[test]
fn files_that_overlap_are_given_up_to_a_limit() {
    let files: Vec<_> = (0..200).map(|_| ("a", 0, 6, 0)).collect();
    let got = run(&cabinet(0, 0, &[(b"onetwo", 6)], &files));
    assert_eq!(got.children.len(), 1 + AGAIN as usize);
    assert!(
        got.reasons()
            .iter()
            .all(|reason| *reason == "limit/expanded")
    );
    assert_eq!(got.gaps.len(), 200 - got.children.len());
}

#[test]
fn a_list_that_is_cut_is_said() {
    let mut bytes = cabinet(0, 0, &[(b"onetwo", 6)], &[("a", 0, 6, 0)]);
    bytes[28] = 200;
    let got = run(&bytes);
    assert_eq!(got.children[0].1, b"onetwo");
    assert!(got.complained());
    assert_eq!(
        got.gaps[0].2.split(' ').nth(1),
        Some("of"),
        "{:?}",
        said(None, "", "")
    );
}

/// From the tests of the crate cab (MIT licence); Microsoft's own program made it.
static LZX: &[u8] = include_bytes!("../../../fuzz/corpus/content/cab-lzx");

#[test]
fn lzx_is_read() {
    let got = run(LZX);
    assert_eq!(got.gaps, []);
    assert_eq!(got.names(), ["hi.txt", "bye.txt"]);
    assert_eq!(got.children[1].1, b"See you later!\r\n");
    let mut changed = LZX.to_vec();
    let sum = LZX.len() - 60;
    changed[sum] ^= 1;
    assert!(run(&changed).complained());
    assert_eq!(withstand(&Cab, LZX, b"x.cab"), [0; 0]);
}

#[test]
fn no_damage_panics() {
    let Some(folder) = tool("gcab") else { return };
    folder.write("some", &b"some content ".repeat(40));
    folder.write("more", b"more");
    folder.run("gcab", &["-c", "--zip", "out.cab", "some", "more"]);
    let sample = folder.read("out.cab");
    assert!(!run(&sample).complained());
    assert_eq!(withstand(&Cab, &sample, b"x.cab"), [0; 0]);
}
