use super::*;
use crate::expand::testing::{
    Folder as Directory, Recorder, assert_holds, expand, mutations, tool, tree, withstand,
};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Squashfs, bytes, b"x.squashfs")
}

/// An image of the folder `tree`.
fn made(directory: &Directory, options: &[&str]) -> Vec<u8> {
    let first = [
        "tree",
        "out.squashfs",
        "-noappend",
        "-quiet",
        "-no-progress",
    ];
    directory.run("mksquashfs", &[&first, options].concat());
    directory.read("out.squashfs")
}

const METHODS: [&str; 6] = ["gzip", "lzma", "lzo", "xz", "lz4", "zstd"];

#[test]
fn what_mksquashfs_makes_is_read() {
    let Some(directory) = tool("mksquashfs") else {
        return;
    };
    let mut files: Vec<_> = tree(&directory, 41).into_iter().collect();
    let holes = [&[0; 300_000][..], b"end of the holes"].concat();
    directory.write("tree/holes", &holes);
    files.push(("tree/holes".to_owned(), holes));
    let mut files: Vec<_> = files
        .into_iter()
        .map(|(name, content)| (name.strip_prefix("tree/").unwrap().to_owned(), content))
        .collect();
    files.sort();
    for method in METHODS {
        let rows: [&[&str]; 5] = [
            &[],
            &["-noI", "-noD", "-noF", "-noX"],
            &["-no-fragments", "-b", "4096"],
            &["-always-use-fragments", "-no-exports", "-no-xattrs"],
            &["-b", "1M", "-nopad", "-no-duplicates"],
        ];
        for options in rows {
            let options = [&["-comp", method], options].concat();
            let got = run(&made(&directory, &options));
            assert_holds(&got, &files);
        }
    }
}

#[test]
fn a_folder_of_many_files_is_read() {
    let Some(directory) = tool("mksquashfs") else {
        return;
    };
    for number in 0..2000 {
        let name = format!("tree/sub/file with a longer name, number {number}");
        directory.write(&name, number.to_string().as_bytes());
    }
    let got = run(&made(&directory, &[]));
    assert_eq!((got.children.len(), got.gaps), (2000, vec![]));
}

/// A small image.
fn small(directory: &Directory, method: &str) -> Vec<u8> {
    directory.write("tree/some", &b"some content ".repeat(700));
    directory.write("tree/sub/more", b"more");
    made(directory, &["-comp", method, "-nopad", "-b", "4096"])
}

#[test]
fn what_is_not_decoded_is_said() {
    let Some(directory) = tool("mksquashfs") else {
        return;
    };
    let image = small(&directory, "gzip");
    assert_eq!(run(&image).gaps, []);
    let with = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        run(&image)
    };
    assert_eq!(
        with(0, b"sqsh").reasons(),
        ["unsupported/squashfs-byte-order"]
    );
    assert_eq!(with(28, &[3]).reasons(), ["unsupported/squashfs-version"]);
    assert_eq!(with(20, &[9]).reasons(), ["unsupported/squashfs-method"]);
    assert_eq!(with(12, &[1]).reasons(), ["corrupt"]);
    assert_eq!(with(64, &[0xff; 8]).reasons(), ["corrupt"]);
    assert_eq!(with(32, &[0xff; 8]).reasons(), ["corrupt"]);
    assert!(with(0, b"none").unlike);
    assert_eq!(run(&[&image[..], &[0; 4000]].concat()).gaps, []);
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let got = run(&[&image[..], &zip].concat());
    assert_eq!(got.names().last().unwrap(), "(behind the end)");
    // The first block of the content: what is before the damage is given, and the others are.
    let got = with(96 + 30, &[0xff; 8]);
    assert_eq!(got.names(), ["some", "sub/more"]);
    assert_eq!(got.reasons(), ["corrupt"]);
    assert_eq!(got.children[1].1, b"more");
}

#[test]
fn inodes_that_no_folder_names_are_said() {
    let Some(directory) = tool("mksquashfs") else {
        return;
    };
    directory.write("tree/file", b"content");
    let mut image = made(&directory, &[]);
    image[4] += 1;
    let got = run(&image);
    assert_eq!(got.names(), ["file"]);
    let detail = "2 names for 3 inodes".to_owned();
    assert_eq!(got.gaps, [(None, "corrupt".to_owned(), detail)]);
}

#[test]
fn no_damage_panics() {
    let Some(directory) = tool("mksquashfs") else {
        return;
    };
    let image = small(&directory, "gzip");
    assert_eq!(withstand(&Squashfs, &image, b"x.squashfs"), [0; 0]);
    for method in METHODS {
        let image = small(&directory, method);
        mutations(&image, 1000, |bytes| drop(run(bytes)));
    }
}
