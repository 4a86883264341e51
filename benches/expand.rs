//! How fast containers are opened, beside the ordinary tools: `cargo bench --bench expand`, or with names of rows behind `--`.
//!
//! Some 64 MiB of the files of this system are packed by the real tools. Then the ordinary tool unpacks to nowhere, the
//! expander does the same in this process, and `vfind` opens and matches all that is in it (with its built-in signatures), in
//! turn; medians of three. A row whose tools are not there is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use vfind::event::{NoteKind, Reason};
use vfind::expand::{
    Children, Container, ContainerName, Content, Halt, Passwords, expander, recognise,
};
use vfind::object::Object;
use vfind::stop::Stop;

const ROUNDS: usize = 3;
const BYTES: u64 = 64 << 20;
const LARGEST: u64 = 8 << 20;

/// Name, how it is made in a folder with `tree` and `tree.tar` in it, and how it is unpacked.
const ROWS: &[(&str, &str, &str)] = &[
    ("tar", "cp tree.tar x.tar", "tar xOf x.tar"),
    ("gz", "gzip -k < tree.tar > x.gz", "gzip -dc x.gz"),
    ("bz2", "bzip2 < tree.tar > x.bz2", "bzip2 -dc x.bz2"),
    ("xz", "xz -T2 -3 < tree.tar > x.xz", "xz -dc x.xz"),
    (
        "lzma",
        "xz -3 --format=lzma < tree.tar > x.lzma",
        "xz -dc --format=lzma x.lzma",
    ),
    ("lzip", "lzip -3 < tree.tar > x.lz", "lzip -dc x.lz"),
    ("zstd", "zstd -q < tree.tar > x.zst", "zstd -qdc x.zst"),
    ("lz4", "lz4 -q < tree.tar > x.lz4", "lz4 -dc x.lz4"),
    ("lzop", "lzop < tree.tar > x.lzo", "lzop -dc x.lzo"),
    ("Z", "compress < tree.tar > x.Z", "uncompress -c x.Z"),
    ("zip", "zip -qr x.zip tree", "unzip -p x.zip"),
    (
        "zip, bzip2",
        "7z a -bd -mm=bzip2 x.zip tree",
        "7z x -so x.zip",
    ),
    (
        "zip, AES",
        "7z a -bd -psecret -mem=AES256 x.zip tree",
        "7z x -so -psecret x.zip",
    ),
    ("7z", "7z a -bd -mx=3 x.7z tree", "7z x -so x.7z"),
    (
        "CAB",
        "cd tree && gcab -c -z ../x.cab $(find . -type f | head -2000)",
        "cabextract -qp x.cab",
    ),
    (
        "cpio",
        "find tree | cpio -o -H newc --quiet > x.cpio",
        "cpio -i --quiet --to-stdout < x.cpio",
    ),
    ("ar", "ar rc x.a tree.tar", "ar p x.a"),
    ("lha", "jlha a x.lzh tree", "7z x -so x.lzh"),
    ("arj", "arj a -r -y x.arj tree", "unar -q -o - x.arj"),
    (
        "iso",
        "genisoimage -quiet -J -R -o x.iso tree",
        "7z x -so x.iso",
    ),
    (
        "squashfs",
        "mksquashfs tree x.sqfs -quiet -no-progress",
        "unsquashfs -q -n -f -d out x.sqfs",
    ),
    (
        "xar",
        "bsdtar -cf x.xar --format=xar tree",
        "7z x -so x.xar",
    ),
    ("wim", "wimcapture tree x.wim", "7z x -so x.wim"),
    (
        "mime",
        "python3 -c 'import sys,base64,textwrap;d=base64.encodebytes(open(\"tree.tar\",\"rb\").read()).decode();sys.stdout.write(\"From: a\\nMIME-Version: 1.0\\nContent-Type: multipart/mixed; boundary=b\\n\\n--b\\nContent-Type: application/octet-stream; name=x.bin\\nContent-Transfer-Encoding: base64\\n\\n\"+d+\"--b--\\n\")' > x.eml",
        "munpack -q -f -C out ../x.eml",
    ),
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let scratch = tempfile::tempdir().expect("a folder");
    let tree = scratch.path().join("tree");
    let bytes = gather(&tree);
    assert!(shell(scratch.path(), "tar cf tree.tar tree"), "tar");
    fs::create_dir(scratch.path().join("out")).unwrap();
    let passwords = scratch.path().join("passwords");
    fs::write(&passwords, "secret\n").unwrap();
    let passwords = format!("--passwords={}", passwords.display());
    println!(
        "{} MiB\n\n| format | tool | tool, MiB/s | opened, MiB/s | ratio | opened and matched, MiB/s | ratio |\n|---|---|---|---|---|---|---|",
        bytes >> 20
    );
    for (name, make, unpack) in ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        let before = files(scratch.path());
        let program = unpack.split(' ').next().unwrap();
        let made = shell(scratch.path(), make);
        let new: Vec<_> = files(scratch.path())
            .into_iter()
            .filter(|one| !before.contains(one))
            .collect();
        let ([packed], true, true) = (
            &new[..],
            made,
            shell(scratch.path(), &format!("command -v {program}")),
        ) else {
            println!("| {name} | left out: {make} | | | | | |");
            new.iter().for_each(|one| drop(fs::remove_file(one)));
            continue;
        };
        let (mut theirs, mut opened, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            shell(scratch.path(), unpack);
            theirs.push(begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            let given = unpack_here(packed);
            opened.push(begun.elapsed().as_secs_f64());
            assert!(given >= bytes, "{name}: {given} of {bytes} bytes");
            let begun = Instant::now();
            let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
                .args(["--quiet=2", "--threads=1", "--limit-ratio=100000"])
                .args([passwords.as_ref(), packed.as_os_str()])
                .output()
                .unwrap();
            ours.push(begun.elapsed().as_secs_f64());
            assert_eq!(
                output.status.code(),
                Some(0),
                "{name}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
        let rate = |times: Vec<f64>| bytes as f64 / f64::from(1 << 20) / median(times);
        let (theirs, opened, ours) = (rate(theirs), rate(opened), rate(ours));
        println!(
            "| {name} | {program} | {theirs:.0} | {opened:.0} | {:.2} | {ours:.0} | {:.2} |",
            opened / theirs,
            ours / theirs
        );
        fs::remove_file(packed).unwrap();
    }
}

/// Opens a container with its first expander and drops what is in it. Gives the bytes of the members.
fn unpack_here(packed: &Path) -> u64 {
    let file = Arc::new(fs::File::open(packed).unwrap());
    let length = file.metadata().unwrap().len();
    let object = Object::file(file, length, Stop::never());
    let kinds = recognise(&object.probe().unwrap());
    let secret = [b"secret".to_vec()];
    let container = Container {
        object: &object,
        name: &ContainerName::new(b"x"),
        passwords: &Passwords::given(&secret),
        memory: 128 << 20,
    };
    let mut nowhere = Nowhere { bytes: 0 };
    let done = expander(kinds[0]).unwrap().expand(&container, &mut nowhere);
    assert!(done.is_ok(), "{done:?}");
    nowhere.bytes
}

/// Where members go that nobody looks at.
struct Nowhere {
    bytes: u64,
}

impl Children for Nowhere {
    fn child(&mut self, _name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let mut object;
        let content: &mut dyn Read = match content {
            Content::Stream(stream) => stream,
            Content::Object(stored) => {
                object = stored.raw_reader();
                &mut object
            }
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.bytes += count as u64,
                Err(error) => return Err(Halt::Io(error)),
            }
        }
    }

    fn gap(&mut self, _: Option<&[u8]>, reason: Reason, detail: String) -> Result<(), Halt> {
        Err(Halt::Io(io::Error::other(format!("{reason}: {detail}"))))
    }

    fn note(&mut self, _: NoteKind, _: String) -> Result<(), Halt> {
        Ok(())
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn shell(folder: &Path, command: &str) -> bool {
    Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

/// Copies files of the system: programs, libraries, scripts and texts.
fn gather(tree: &Path) -> u64 {
    fs::create_dir(tree).unwrap();
    let mut bytes = 0;
    let mut open: Vec<PathBuf> = ["/usr/share/perl", "/usr/bin", "/usr/lib"]
        .map(PathBuf::from)
        .to_vec();
    let mut number = 0;
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() && metadata.len() <= LARGEST && bytes < BYTES {
                number += 1;
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if fs::copy(&path, tree.join(format!("{number}-{name}"))).is_ok() {
                    bytes += metadata.len();
                }
            }
        }
    }
    bytes
}
