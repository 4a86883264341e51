//! Archivers and makers of images, each with the forms that it writes.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::{opened, rounds, shell};
use crate::expand::testing::{Folder, Random, assert_holds, tool, tree};

/// Ways in which a program packs the folder `tree`.
struct Packer {
    program: &'static str,
    /// The archive's name.
    out: &'static str,
    /// Each makes it, as `$out`.
    makes: &'static [&'static str],
    /// What stands before the names of members in place of `tree/`.
    root: &'static str,
    /// Prints their names, one a line, as the program or another names them; nothing where none prints them so.
    list: &'static str,
    /// Which files these forms can hold.
    fits: fn(&str) -> bool,
}

fn any(_: &str) -> bool {
    true
}

/// Fewer bytes than the field of old headers for a path.
fn short(path: &str) -> bool {
    path.len() < 100
}

/// Paths that ustar can split between its two fields.
fn split(path: &str) -> bool {
    let bytes = path.as_bytes();
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    short(path)
        || slashes
            .map(|(at, _)| at)
            .any(|at| at <= 155 && bytes.len() - at - 1 <= 100)
}

/// Short names that are text in any encoding.
fn plain(path: &str) -> bool {
    modest(path) && path.is_ascii()
}

/// Short names that are text. libarchive 3.6 crashes over deeper folders in an image.
fn modest(path: &str) -> bool {
    short(path) && text(path)
}

/// Names that are text, which nobody takes for folders.
fn text(path: &str) -> bool {
    !path.contains(['\u{fffd}', '\\'])
}

const TAR: &str = "tar --quoting-style=literal -tf $out";
/// With what it escapes put back.
const BSDTAR: &str = "env printf '%b\\n' \"$(bsdtar -tf $out)\"";
const SEVEN: &str = "7z l -ba -slt $out | sed -n 's/^Path = //p'";
const SQUASHFS: &str = "unsquashfs -l $out | sed s,^squashfs-root/,,";
const CPIO: &str = "cpio --quiet -it <$out";

const PACKERS: &[Packer] = &[
    Packer {
        program: "tar",
        out: "out",
        makes: &["tar --format=v7 -cf $out tree"],
        root: "tree/",
        list: TAR,
        fits: short,
    },
    Packer {
        program: "tar",
        out: "out",
        makes: &[
            "tar --format=oldgnu -cSf $out tree",
            "tar --format=gnu -cSf $out tree",
            "tar --format=gnu -V label -cf $out tree",
            "tar --format=posix -cf $out tree",
            "tar --format=posix --sparse-version=0.0 -cSf $out tree",
            "tar --format=posix --sparse-version=0.1 -cSf $out tree",
            "tar --format=posix --sparse-version=1.0 -cSf $out tree",
            "tar -czf $out tree",
            "tar -cjf $out tree",
            "tar -cJf $out tree",
            "tar --lzip -cf $out tree",
            "tar --zstd -cf $out tree",
            "tar -cZf $out tree",
        ],
        root: "tree/",
        list: TAR,
        fits: any,
    },
    Packer {
        program: "tar",
        out: "out",
        makes: &["tar --format=ustar -b1 -cf $out tree"],
        root: "tree/",
        list: TAR,
        fits: split,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &["bsdtar --format=v7tar -cf $out tree"],
        root: "tree/",
        list: TAR,
        fits: short,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &["bsdtar --format=ustar -cf $out tree"],
        root: "tree/",
        list: TAR,
        fits: split,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &[
            "bsdtar --format=gnutar -cf $out tree",
            "bsdtar --format=pax -cf $out tree",
            "bsdtar --format=paxr -cf $out tree",
        ],
        root: "tree/",
        list: TAR,
        fits: any,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &[
            "bsdtar --lz4 -cf $out tree",
            "bsdtar --lzma -cf $out tree",
            "bsdtar --lzop -cf $out tree",
            "bsdtar --compress -cf $out tree",
            "bsdtar --uuencode -cf $out tree",
            "bsdtar --b64encode -cf $out tree",
            "bsdtar --format=odc -cf $out tree",
            "bsdtar --format=newc -cf $out tree",
            "bsdtar --format=bin -cf $out tree",
            "find tree -type f | bsdtar --format=pwb -cnf $out -T -",
        ],
        root: "tree/",
        list: BSDTAR,
        fits: any,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &[
            "bsdtar --format=zip -cf $out tree",
            "bsdtar --format=zip --options zip:compression=store -cf - tree | cat >$out",
        ],
        root: "tree/",
        list: "unzip -Z1 $out",
        fits: any,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &[
            "bsdtar --format=7zip -cf $out tree",
            "bsdtar --format=7zip --options 7zip:compression=bzip2 -cf $out tree",
            "bsdtar --format=xar -cf $out tree",
        ],
        root: "tree/",
        list: BSDTAR,
        fits: text,
    },
    Packer {
        program: "bsdtar",
        out: "out",
        makes: &["bsdtar --format=iso9660 --options '!joliet' -cf $out tree"],
        root: "tree/",
        list: BSDTAR,
        fits: modest,
    },
    Packer {
        program: "cpio",
        out: "out",
        makes: &[
            "find tree | cpio --quiet -oH newc >$out",
            "find tree | cpio --quiet -oH crc >$out",
            "find tree | cpio --quiet -oH odc >$out",
            "find tree | cpio --quiet -oH bin >$out",
            "find tree | cpio --quiet -oH hpbin >$out",
            "find tree | cpio --quiet -oH hpodc >$out",
        ],
        root: "tree/",
        list: CPIO,
        fits: any,
    },
    Packer {
        program: "cpio",
        out: "out",
        makes: &["find tree | cpio --quiet -oH tar >$out"],
        root: "tree/",
        list: CPIO,
        fits: short,
    },
    Packer {
        program: "cpio",
        out: "out",
        makes: &["find tree | cpio --quiet -oH ustar >$out"],
        root: "tree/",
        list: CPIO,
        fits: split,
    },
    Packer {
        program: "zip",
        out: "out.zip",
        makes: &[
            "zip -qr0 $out tree",
            "zip -qr9 $out tree",
            "zip -qr -fz $out tree",
            "zip -qr -Z bzip2 $out tree",
            "zip -qr -fd $out tree",
            "zip -qr - tree | cat >$out",
        ],
        root: "tree/",
        list: "unzip -Z1 $out",
        fits: any,
    },
    Packer {
        program: "7z",
        out: "out.7z",
        makes: &[
            "7z a $out tree",
            "7z a -ms=off -mhc=off $out tree",
            "7z a -tzip $out tree",
            "7z a -tzip -mm=LZMA $out tree",
            "7z a -ttar $out tree",
            "7z a -twim $out tree",
        ],
        root: "tree/",
        list: SEVEN,
        fits: text,
    },
    Packer {
        program: "7z",
        out: "out.7z",
        makes: &[
            "tar -cf - tree | 7z a -sio.tar $out",
            "7z a -ttar x.tar tree; 7z a -tgzip $out x.tar",
            "7z a -ttar x.tar tree; 7z a -tbzip2 $out x.tar",
            "7z a -ttar x.tar tree; 7z a -txz $out x.tar",
        ],
        root: "tree/",
        list: "",
        fits: text,
    },
    Packer {
        program: "arj",
        out: "out.arj",
        makes: &["arj a -r -i -2e $out tree"],
        root: "tree/",
        list: "arj v $out | sed -n 's/^[0-9]*) //p'",
        fits: short,
    },
    Packer {
        program: "jlha",
        out: "out.lzh",
        makes: &[
            "jlha a0 $out tree",
            "jlha a1 $out tree",
            "jlha a2 $out tree",
            "jlha ao5 $out tree",
            "jlha ao6 $out tree",
            "jlha ao7 $out tree",
        ],
        root: "tree/",
        list: "lsar $out",
        fits: plain,
    },
    Packer {
        program: "gcab",
        out: "out",
        makes: &[
            "find tree -type f -print0 | xargs -0 gcab -c $out",
            "find tree -type f -print0 | xargs -0 gcab -cz $out",
        ],
        root: "tree/",
        list: "gcab -t $out | tr '\\\\' /",
        fits: text,
    },
    Packer {
        program: "genisoimage",
        out: "out",
        makes: &["genisoimage -quiet -R -o $out tree"],
        root: "",
        list: BSDTAR,
        fits: any,
    },
    Packer {
        program: "genisoimage",
        out: "out",
        makes: &[
            "genisoimage -quiet -R -J -joliet-long -o $out tree",
            "genisoimage -quiet -R -udf -o $out tree",
        ],
        root: "",
        list: BSDTAR,
        fits: text,
    },
    Packer {
        program: "xorriso",
        out: "out",
        makes: &["xorriso -outdev $out -map tree tree"],
        root: "tree/",
        list: BSDTAR,
        fits: any,
    },
    Packer {
        program: "xorriso",
        out: "out",
        makes: &["xorriso -as mkisofs -R -J -joliet-long -o $out tree"],
        root: "",
        list: BSDTAR,
        fits: text,
    },
    Packer {
        program: "mksquashfs",
        out: "out",
        makes: &[
            "mksquashfs tree $out -comp xz",
            "mksquashfs tree $out -comp zstd",
        ],
        root: "",
        list: SQUASHFS,
        fits: any,
    },
    Packer {
        program: "wimlib-imagex",
        out: "out",
        makes: &["wimlib-imagex capture tree $out"],
        root: "",
        list: "wimlib-imagex dir $out 1 | sed s,^/,,",
        fits: text,
    },
];

/// The files of a random tree that fit: those of [`tree`], and such as make archivers take another way: paths longer than a
/// header's fields, letters with a meaning elsewhere, a name that is no UTF-8, and a file with holes.
fn wild_tree(folder: &Folder, seed: u64, fits: fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(!seed);
    let tame = tree(folder, seed).into_iter();
    let mut files: Vec<_> = tame
        .map(|(name, content)| (name.into_bytes(), content))
        .collect();
    let long = "n".repeat(100 + random.below(150));
    let deep = "deep folder/".repeat(1 + random.below(30));
    for name in [
        format!("{long}.txt").as_bytes(),
        format!("{deep}end").as_bytes(),
        "日本語 😀.txt".as_bytes(),
        b" 'odd' \"signs\"; *?#%41&<>|~$.",
        b"back\\slash",
        b"latin-\xe9",
    ] {
        let length = 1 + random.below(2000);
        files.push(([b"tree/", name].concat(), random.bytes(length)));
    }
    let mut pieces = Vec::new();
    for _ in 0..random.below(12) {
        pieces.resize(pieces.len() + random.below(90_000), 0);
        let length = random.below(9000);
        pieces.extend(random.bytes(length));
    }
    files.push((b"tree/holes".to_vec(), pieces));
    let mut fitting = Vec::new();
    for (name, content) in files {
        let path = folder.path().join(OsStr::from_bytes(&name));
        let name = String::from_utf8_lossy(&name).into_owned();
        if fits(&name) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &content).unwrap();
            fitting.push((name, content));
        } else if path.exists() {
            fs::remove_file(&path).unwrap();
        }
    }
    // What is zero need not be on the disk.
    folder.run("cp", &["--sparse=always", "tree/holes", "holes"]);
    folder.run("mv", &["holes", "tree"]);
    folder.write("tree/linked", LINKED);
    folder.run("ln", &["tree/linked", "tree/hard"]);
    folder.run("ln", &["-s", "linked", "tree/soft"]);
    fitting.sort();
    fitting
}

/// What a file has that has several names.
const LINKED: &[u8] = b"the content of a file with several names";

/// Holds what is opened against what was packed, and against the names that the program lists.
fn check(packer: &Packer, folder: &Folder, files: &[(String, Vec<u8>)]) {
    let root = packer.root;
    let files: Vec<_> = (files.iter())
        .map(|(name, content)| (name.replacen("tree/", root, 1), content.clone()))
        .collect();
    let mut got = opened(&folder.read(packer.out), packer.out);
    // A link may be a member with the content, or with none, or one that says where it leads. Once the content is there.
    let links = ["linked", "hard", "soft"].map(|name| format!("{root}{name}").into_bytes());
    let linked = |(name, _): &mut (Vec<u8>, Vec<u8>)| links.contains(name);
    let linked: Vec<_> = got.children.extract_if(.., linked).collect();
    assert!(linked.iter().any(|(_, content)| content == LINKED));
    assert_holds(&got, &files);
    assert_eq!(got.notes, [""; 0]);
    if packer.list.is_empty() {
        return;
    }
    let listed = shell(folder, packer.out, packer.list);
    let listed: BTreeSet<_> = listed.lines().collect();
    for (name, _) in &files {
        assert!(listed.contains(&**name), "{name:?} is not in {listed:?}");
    }
}

#[test]
fn a_tree_comes_out_as_it_was_packed() {
    let mut seed = 0;
    for packer in PACKERS {
        if tool(packer.program).is_none() {
            continue;
        }
        for make in packer.makes {
            for _ in 0..rounds(1) {
                let Some(folder) = tool(packer.program) else {
                    return;
                };
                seed += 1;
                println!("{make}, seed {seed}");
                let files = wild_tree(&folder, seed, packer.fits);
                shell(&folder, packer.out, make);
                check(packer, &folder, &files);
            }
        }
    }
}
