//! The formats that are mutated: their samples, made by the ordinary programs and by the carriers' own code.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::extractors::{self, Extractor, python, shell};
use super::super::{ARCHIVES, GROUPS, Group, rar};
use super::layout::{self, Layout};
use super::{mend, start};
use crate::support::{eicar, gzip};

pub(super) struct Format {
    pub(super) name: &'static str,
    pub(super) suffix: &'static str,
    /// The carriers of this name are samples, too, and their extractors are asked.
    group: &'static str,
    /// Each makes the file `out` of `letter`, of `virus`, which begins as is looked for, and of `virus.gz`, which holds the marker.
    makers: &'static [&'static str],
    pub(super) layout: fn(&[u8]) -> Layout,
    pub(super) mend: fn(&mut [u8]),
    pub(super) words: &'static [&'static [u8]],
    extractors: &'static [Extractor],
    /// Extractors of the carriers that take long, or take anything for what lies in it: whatever looks like a line of base64, or
    /// a gzip member in an archive that they cannot open.
    unasked: &'static [&'static str],
}

const LIBARCHIVE: Extractor = python("libarchive", "libarchive");
const STREAMED: Extractor = python("libarchive (streamed)", "libarchive_streamed");
const RAW: Extractor = python("libarchive (raw)", "libarchive_raw");

const PLAIN: Format = Format {
    name: "",
    suffix: "",
    group: "",
    makers: &[],
    layout: layout::little,
    mend: mend::nothing,
    words: &[],
    extractors: &[],
    unasked: &[],
};

pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "zip",
        suffix: "zip",
        group: "zip",
        makers: &[
            "zip -q -X out letter virus virus.gz && mv out.zip out",
            "zip -q -0 out letter virus && mv out.zip out",
            "cat virus | zip -q >out - && true",
            "7z a -bd -tzip -mm=bzip2 out.zip letter virus && mv out.zip out",
            "7z a -bd -tzip -mm=lzma out.zip letter virus && mv out.zip out",
            "7z a -bd -tzip -mm=deflate64 out.zip letter virus && mv out.zip out",
            "bsdtar --format=zip -cf out letter virus",
            "mkdir -p word/embeddings && cp virus word/embeddings/oleObject1.bin && cp letter '[Content_Types].xml' && zip -q -r out '[Content_Types].xml' word && mv out.zip out",
        ],
        layout: layout::zip,
        extractors: &[LIBARCHIVE, STREAMED],
        ..PLAIN
    },
    Format {
        name: "tar",
        suffix: "tar",
        group: "tar",
        makers: &[
            "tar -cf out letter virus virus.gz",
            "tar -b1 --format=v7 -cf out letter virus",
            "tar -b1 --format=ustar -cf out letter virus",
            "tar -b1 --format=posix --pax-option=comment=letter -cf out letter virus",
            "truncate -s 70000 holes && cat virus >>holes && truncate -s 90000 holes && cp --sparse=always virus thin && truncate -s 9000 thin && tar -b1 -S -cf out letter thin holes",
            "truncate -s 9000 thin && cp virus thin && truncate -s 9000 thin && tar -b1 -S --format=posix -cf out letter thin",
            "n=$(printf '%0150d' 0); cp virus $n && tar -b1 -cf out letter $n",
            "bsdtar --format=pax -cf out letter virus",
            "bsdtar --format=gnutar -cf out letter virus",
        ],
        layout: layout::tar,
        mend: mend::tar,
        words: &[
            b"ustar\x0000",
            b"ustar  \0",
            b"GNU.sparse.size",
            b"GNU.sparse.map",
            b"size",
            b"path",
            b"././@LongLink",
        ],
        extractors: &[LIBARCHIVE, STREAMED],
        ..PLAIN
    },
    Format {
        name: "gzip",
        suffix: "gz",
        group: "gzip",
        makers: &[
            "gzip -c virus >out",
            "gzip -nc virus >out",
            "bsdtar -czf - letter virus >out",
        ],
        layout: layout::gzip,
        extractors: &[RAW],
        ..PLAIN
    },
    Format {
        name: "bzip2",
        suffix: "bz2",
        group: "bzip2",
        makers: &["bzip2 -c virus >out", "cat virus virus | bzip2 -1c >out"],
        extractors: &[RAW],
        ..PLAIN
    },
    Format {
        name: "stream",
        suffix: "xz",
        group: "stream",
        makers: &[
            "xz -c virus >out",
            "xz -c --check=sha256 --block-size=20 virus >out",
            "xz -c --format=lzma virus >out",
            "zstd -q -c virus >out",
            "zstd -q --no-check -c virus >out",
            "lz4 -q -c virus >out",
            "lz4 -q -l -c virus >out",
            "lz4 -q -BX -B4 -c virus >out",
            "lzip -c virus >out",
            "lzop -c virus >out",
            "compress -c -f virus >out",
        ],
        extractors: &[RAW, python("lzma", "lzma")],
        ..PLAIN
    },
    Format {
        name: "cpio",
        suffix: "cpio",
        group: "cpio",
        makers: &[
            "printf 'letter\\nvirus\\nvirus.gz\\n' | cpio -o --quiet -H newc >out",
            "printf 'letter\\nvirus\\n' | cpio -o --quiet -H crc >out",
            "printf 'letter\\nvirus\\n' | cpio -o --quiet -H odc >out",
            "printf 'letter\\nvirus\\n' | cpio -o --quiet -H bin >out",
            "bsdtar --format=newc -cf out letter virus",
            "bsdtar --format=odc -cf out letter virus",
        ],
        layout: layout::cpio,
        words: &[b"TRAILER!!!", b"070701", b"070707", b"070702"],
        extractors: &[LIBARCHIVE, STREAMED, extractors::SEVENZIP],
        ..PLAIN
    },
    Format {
        name: "ar",
        suffix: "a",
        group: "ar",
        makers: &[
            "ar rcS out letter virus virus.gz",
            "cp virus a-name-that-is-too-long-for-its-field && ar rcS out letter a-name-that-is-too-long-for-its-field",
            "bsdtar --format=arbsd -cf out letter virus",
            "bsdtar --format=arsvr4 -cf out letter virus",
        ],
        layout: layout::ar,
        words: &[b"!<arch>\n", b"//", b"/", b"#1/", b"`\n"],
        extractors: &[LIBARCHIVE, STREAMED],
        ..PLAIN
    },
    Format {
        name: "7z",
        suffix: "7z",
        group: "7z",
        makers: &[
            "7z a -bd -mx1 out.7z letter virus && mv out.7z out",
            "7z a -bd -mx0 out.7z letter virus && mv out.7z out",
            "7z a -bd -mhc=off -m0=lzma out.7z letter virus && mv out.7z out",
            "7z a -bd -mhc=off -ms=off -m0=deflate out.7z letter virus && mv out.7z out",
            "7z a -bd -mhc=off -m0=bzip2 out.7z letter virus && mv out.7z out",
            "7z a -bd -mhc=off -m0=bcj -m1=lzma2 out.7z letter virus virus.gz && mv out.7z out",
            "bsdtar --format=7zip -cf out letter virus",
        ],
        mend: mend::sevenz,
        extractors: &[LIBARCHIVE],
        ..PLAIN
    },
    Format {
        name: "rar",
        suffix: "rar",
        group: "rar",
        layout: layout::rar,
        mend: mend::rar,
        extractors: &[LIBARCHIVE, STREAMED],
        ..PLAIN
    },
    Format {
        name: "cab",
        suffix: "cab",
        group: "cab",
        makers: &[
            "gcab -c out letter virus virus.gz",
            "gcab -cz out letter virus",
        ],
        layout: layout::cab,
        extractors: &[
            LIBARCHIVE,
            STREAMED,
            shell("7z -tCab", "7z x -y -bd -tCab \"$1\""),
        ],
        unasked: &["7z"],
        ..PLAIN
    },
    Format {
        name: "iso",
        suffix: "iso",
        group: "iso",
        makers: &[
            "genisoimage -quiet -no-pad -o out letter virus virus.gz",
            "genisoimage -quiet -no-pad -R -J -o out letter virus",
            "mkdir d && cp virus d && genisoimage -quiet -no-pad -R -hide virus -o out letter d",
            "genisoimage -quiet -no-pad -J -hide virus -hide-joliet letter -o out letter virus",
            "bsdtar --format=iso9660 --options=pad=0 -cf out letter virus",
        ],
        layout: layout::iso,
        extractors: &[LIBARCHIVE, STREAMED],
        unasked: &["isoinfo"],
        ..PLAIN
    },
    Format {
        name: "lha",
        suffix: "lzh",
        makers: &[
            "jlha ao5 out letter virus virus.gz",
            "jlha ao6 out letter virus",
            "jlha aoz out letter virus",
        ],
        mend: mend::lha,
        words: &[b"-lh0-", b"-lh1-", b"-lh5-", b"-lhd-", b"-lz4-"],
        extractors: &[
            LIBARCHIVE,
            STREAMED,
            shell("jlha", "jlha xq \"$1\""),
            extractors::SEVENZIP,
        ],
        ..PLAIN
    },
    Format {
        name: "arj",
        suffix: "arj",
        makers: &[
            "arj a -y out letter virus virus.gz && mv out.arj out",
            "arj a -y -m0 out letter virus && mv out.arj out",
            "arj a -y -m4 out letter virus && mv out.arj out",
        ],
        mend: mend::arj,
        words: &[b"\x60\xea"],
        extractors: &[extractors::SEVENZIP, shell("arj", "arj x -y \"$1\"")],
        ..PLAIN
    },
    Format {
        name: "xar",
        suffix: "xar",
        makers: &[
            "bsdtar --format=xar -cf out letter virus",
            "bsdtar --format=xar --options=compression=none -cf out letter virus",
        ],
        layout: layout::big,
        extractors: &[LIBARCHIVE, extractors::SEVENZIP],
        ..PLAIN
    },
    Format {
        name: "squashfs",
        suffix: "squashfs",
        makers: &[
            "mksquashfs letter virus virus.gz out -quiet -no-progress -nopad -no-fragments",
            "mksquashfs letter virus out -quiet -no-progress -nopad -comp xz",
        ],
        extractors: &[
            shell("unsquashfs", "unsquashfs -q -n \"$1\""),
            shell("7z", "7z x -y -bd -tSquashFS \"$1\""),
        ],
        ..PLAIN
    },
    Format {
        name: "wim",
        suffix: "wim",
        makers: &[
            "mkdir tree && cp letter virus tree && wimlib-imagex capture tree out --compress=none --quiet",
            "mkdir tree && cp letter virus tree && wimlib-imagex capture tree out --compress=fast --quiet",
        ],
        extractors: &[
            extractors::SEVENZIP,
            shell("wimlib", "wimlib-imagex apply \"$1\" 1 . --quiet"),
        ],
        ..PLAIN
    },
    Format {
        name: "mime",
        suffix: "eml",
        group: "mime",
        layout: layout::lines,
        words: &[
            b"base64",
            b"quoted-printable",
            b"x-uuencode",
            b"7bit",
            b"8bit",
            b"binary",
            b"boundary",
            b"multipart",
            b"mixed",
            b"message",
            b"rfc822",
            b"text",
            b"plain",
            b"Content-Type",
            b"Content-Transfer-Encoding",
            b"Content-Disposition",
            b"frontier",
            b"--",
            b";",
            b":",
            b"=",
            b"\"",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b"(",
            b")",
            b"\0",
            b"begin 644 ",
            b"end",
        ],
        unasked: &["uudeview"],
        ..PLAIN
    },
    Format {
        name: "text",
        suffix: "txt",
        group: "text",
        layout: layout::lines,
        words: &[
            b"begin",
            b"end",
            b"begin-base64",
            b"====",
            b"=",
            b"\r\n",
            b"\n",
            b" ",
            b"data:",
            b"base64",
            b",",
            b";",
            b"-----",
            b":",
        ],
        unasked: &["uudeview"],
        ..PLAIN
    },
    Format {
        name: "pdf",
        suffix: "pdf",
        group: "pdf",
        layout: layout::lines,
        words: &[
            b"stream",
            b"endstream",
            b"obj",
            b"endobj",
            b"xref",
            b"trailer",
            b"startxref",
            b"%%EOF",
            b"/Length",
            b"/Filter",
            b"/FlateDecode",
            b"/ASCIIHexDecode",
            b"/ASCII85Decode",
            b"/LZWDecode",
            b"/DecodeParms",
            b"/Type",
            b"/ObjStm",
            b"/XRef",
            b"/Prev",
            b"/Root",
            b"<<",
            b">>",
            b"[",
            b"]",
            b" R",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"%",
            b"(",
            b")",
            b"\0",
            b"null",
            b"/Crypt",
            b"/Encrypt",
        ],
        extractors: &[python("pypdf", "pypdf")],
        ..PLAIN
    },
    Format {
        name: "ole",
        suffix: "ole",
        group: "ole",
        layout: layout::sectors,
        extractors: &[python("olefile", "olefile")],
        ..PLAIN
    },
    Format {
        name: "tnef",
        suffix: "dat",
        group: "tnef",
        ..PLAIN
    },
];

/// Samples longer than this take too long.
const MOST: usize = 1 << 17;

impl Format {
    pub(super) fn samples(&self, folder: &Path) -> Vec<Vec<u8>> {
        let mut samples: Vec<_> = (self.makers.iter().enumerate())
            .map(|(number, maker)| made(maker, &folder.join(format!("{}-{number}", self.name))))
            .collect();
        if self.name == "rar" {
            samples.extend(rar::plain(&virus()));
        }
        for group in self.groups() {
            let cases = (group.cases)().into_iter().map(|case| case.bytes);
            samples.extend(cases.filter(|bytes| (1..MOST).contains(&bytes.len())));
        }
        samples
    }

    fn groups(&self) -> impl Iterator<Item = &'static Group> {
        let all = GROUPS.iter().chain(ARCHIVES);
        all.filter(|group| group.name == self.group)
    }

    /// Who is asked: those that take no process of their own first.
    pub(super) fn extractors(&self) -> Vec<Extractor> {
        let others = self.groups().flat_map(|group| group.extractors);
        let mut all: Vec<_> = self.extractors.iter().chain(others).copied().collect();
        all.retain(|one| !self.unasked.contains(&one.name));
        all.sort_by_key(|one| !matches!(one.how, extractors::How::Python(_)));
        all
    }
}

/// What begins as is looked for.
fn virus() -> Vec<u8> {
    [start(), b"What follows does not matter.\n"].concat()
}

fn made(maker: &str, folder: &Path) -> Vec<u8> {
    std::fs::create_dir(folder).unwrap();
    let letter: &[u8] = b"Dear reader, nothing is in here.\n";
    for (name, content) in [
        ("letter", letter),
        ("virus", &virus()),
        ("virus.gz", &gzip(&eicar())),
    ] {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let output = Command::new("sh")
        .args(["-c", maker])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = std::fs::read(folder.join("out"));
    out.unwrap_or_else(|_| panic!("{maker}: {output:?}"))
}
