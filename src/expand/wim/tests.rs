use super::*;
use crate::expand::testing::{
    Folder as Directory, Recorder, assert_holds, expand, mutations, tool, tree as files_of,
    withstand,
};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Wim, bytes, b"x.wim")
}

fn made(directory: &Directory, options: &[&str]) -> Vec<u8> {
    let _ = std::fs::remove_file(directory.path().join("out.wim"));
    let first = [
        "LC_ALL=C.UTF-8",
        "wimlib-imagex",
        "capture",
        "tree",
        "out.wim",
    ];
    directory.run("env", &[&first, options].concat());
    directory.read("out.wim")
}

#[test]
fn what_wimlib_makes_is_read() {
    let Some(directory) = tool("wimlib-imagex") else {
        return;
    };
    let mut files: Vec<_> = (files_of(&directory, 61).into_iter())
        .map(|(name, content)| (name.strip_prefix("tree/").unwrap().to_owned(), content))
        .collect();
    let program = std::fs::read("/bin/ls").unwrap();
    directory.write("tree/program", &program);
    files.push(("program".to_owned(), program));
    files.sort();
    let rows: [&[&str]; 6] = [
        &["--compress=none"],
        &["--compress=XPRESS"],
        &["--compress=LZX"],
        &["--compress=LZX:100", "--chunk-size=131072"],
        &["--compress=XPRESS", "--chunk-size=4096", "--check"],
        &["--compress=LZX", "--chunk-size=2097152"],
    ];
    for options in rows {
        let got = run(&made(&directory, options));
        assert_holds(&got, &files);
        assert_eq!(got.notes, [""; 0], "{options:?}");
    }
    for (options, what) in [
        (&["--compress=LZMS"][..], "wim-lzms"),
        (&["--solid"], "wim-solid"),
        (&["--pipable"], "wim-pipable"),
    ] {
        let got = run(&made(&directory, options));
        assert!(got.complained(), "{what}");
    }
}

#[test]
fn no_damage_panics() {
    let Some(directory) = tool("wimlib-imagex") else {
        return;
    };
    directory.write("tree/some", &b"some content ".repeat(300));
    directory.write("tree/sub/more", b"more");
    for (number, method) in ["none", "XPRESS", "LZX"].into_iter().enumerate() {
        let sample = made(&directory, &[&format!("--compress={method}")]);
        assert!(!run(&sample).complained());
        if number == 2 {
            assert_eq!(withstand(&Wim, &sample, b"x.wim"), [0; 0]);
        } else {
            mutations(&sample, 1000, |bytes| drop(run(bytes)));
        }
    }
}

/// A name in a tree; a folder, if it leads to one.
fn name(name: &str, folder: usize) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut entry = vec![0; NAME];
    entry[8..12].copy_from_slice(&(if folder > 0 { FOLDER } else { 0 }).to_le_bytes());
    entry[16..24].copy_from_slice(&(folder as u64).to_le_bytes());
    entry[100..102].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
    entry.extend(name);
    entry.resize(entry.len().next_multiple_of(8), 0);
    let length = entry.len() as u64;
    entry[..8].copy_from_slice(&length.to_le_bytes());
    entry
}

/// An image with 30 folders in each other, and in the innermost what `last` makes of the place of an empty folder.
fn deep(last: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    const LEVEL: usize = 504;
    let mut tree = vec![8, 0, 0, 0, 0, 0, 0, 0];
    tree.extend(name("", 120));
    tree.extend([0; 8]);
    for level in 1..=30 {
        tree.extend(name(&"n".repeat(196), 120 + level * LEVEL));
        tree.extend([0; 8]);
    }
    let empty = tree.len() - 8;
    tree.extend(last(empty));
    tree.extend([0; 8]);
    let resource = |flags: u64, at: usize, length: usize| {
        [flags << 56 | length as u64, at as u64, length as u64]
            .map(u64::to_le_bytes)
            .concat()
    };
    let mut bytes = MAGIC.to_vec();
    bytes.resize(HEADER, 0);
    bytes[40..44].copy_from_slice(&[1, 0, 1, 0]);
    bytes[48..72].copy_from_slice(&resource(0, HEADER, 50));
    bytes.extend(resource(METADATA.into(), HEADER + 50, tree.len()));
    bytes.extend([1, 0, 1, 0, 0, 0]);
    bytes.extend([7; 20]);
    bytes.extend(tree);
    bytes
}

#[test]
fn paths_of_folders_in_folders_are_cut_and_paid_for() {
    let got = run(&deep(|_| name("file", 0)));
    assert_eq!(got.gaps, []);
    let lengths: Vec<_> = got.children.iter().map(|(name, _)| name.len()).collect();
    assert_eq!(lengths, [4096]);
    // Each of these waits with its path until it is opened.
    let got = run(&deep(|empty| name("folder", empty).repeat(20_000)));
    assert_eq!(got.reasons(), ["limit/memory"]);
}
