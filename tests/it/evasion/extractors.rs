//! The ordinary programs that people open files with: which of them give the marker out of a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::Carrier;
use crate::support::eicar;

/// A program that takes things out of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extractor {
    /// What it is called in the table.
    pub(super) name: &'static str,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// A shell's command, in an empty folder, with the file as `$1`. What it prints and what it leaves in the folder counts.
    Shell(&'static str),
    /// A function of [`PYTHON`].
    Python(&'static str),
}

pub(super) const fn shell(name: &'static str, command: &'static str) -> Extractor {
    Extractor {
        name,
        how: How::Shell(command),
    }
}

pub(super) const fn python(name: &'static str, function: &'static str) -> Extractor {
    Extractor {
        name,
        how: How::Python(function),
    }
}

/// What takes the marker out of the members of an archive that shows what is in it.
macro_rules! gunzip {
    () => {
        "find . -type f | while read -r f; do gzip -dc < \"$f\"; done"
    };
}

/// All that is asked for.
pub(super) const PROGRAMS: &[&str] = &[
    "7z",
    "ar",
    "bsdcat",
    "bsdtar",
    "bzip2",
    "clamscan",
    "compress",
    "cpio",
    "find",
    "gsf",
    "gzip",
    "hexbin",
    "isoinfo",
    "lz4",
    "lzip",
    "lzop",
    "munpack",
    "mutool",
    "pdfdetach",
    "pdfinfo",
    "perl",
    "python3",
    "qpdf",
    "reformime",
    "ripmime",
    "tar",
    "timeout",
    "tnef",
    "unar",
    "unzip",
    "uudecode",
    "uudeview",
    "xz",
    "zstd",
];

pub(super) const UNZIP: Extractor = shell("unzip", "unzip -qq -o -P x \"$1\"");
pub(super) const SEVENZIP: Extractor = shell("7z", "7z x -y -bd -px \"$1\"");
pub(super) const BSDTAR: Extractor = shell("bsdtar", "bsdtar -xf \"$1\"");
pub(super) const PYTHON_ZIPFILE: Extractor = python("zipfile", "zipfile");
pub(super) const TAR: Extractor = shell("tar", concat!("tar -xif \"$1\";", gunzip!()));
pub(super) const SEVENZIP_TAR: Extractor =
    shell("7z", concat!("7z x -y -bd \"$1\" >/dev/null;", gunzip!()));
pub(super) const BSDTAR_TAR: Extractor = shell("bsdtar", concat!("bsdtar -xf \"$1\";", gunzip!()));
pub(super) const PYTHON_TARFILE: Extractor = python("tarfile", "tarfile");
pub(super) const GZIP: Extractor = shell("gzip", "gzip -dc < \"$1\"");
pub(super) const PYTHON_GZIP: Extractor = python("gzip (Python)", "gzip");
pub(super) const BZIP2: Extractor = shell("bzip2", "bzip2 -dc < \"$1\"");
pub(super) const PYTHON_BZ2: Extractor = python("bz2 (Python)", "bz2");
/// By the content: the group's files are of several formats.
pub(super) const XZ: Extractor = shell(
    "its own program",
    "for p in xz zstd lz4 lzip lzop uncompress; do $p -dc < \"$1\"; done",
);
pub(super) const BSDTAR_STREAM: Extractor = shell("bsdcat", "bsdcat \"$1\"");

pub(super) const MUNPACK: Extractor = shell("munpack", "munpack -q -t -f \"$1\"");
pub(super) const RIPMIME: Extractor = shell("ripmime", "ripmime -q -i \"$1\" -d .");
pub(super) const REFORMIME: Extractor = shell("reformime", "reformime -xpart- <\"$1\"");
pub(super) const PERL_MIME: Extractor = shell(
    "MIME::Parser",
    "perl -MMIME::Parser -e '$p = MIME::Parser->new; $p->output_under(\".\"); $p->extract_uuencode(1); $p->parse_open($ARGV[0])' \"$1\"",
);
pub(super) const PYTHON_EMAIL: Extractor = python("email", "email_default");
pub(super) const PYTHON_EMAIL_OLD: Extractor = python("email.compat32", "email_compat32");
pub(super) const UUDEVIEW: Extractor = shell("uudeview", "uudeview -q -i -d -p . \"$1\"");

pub(super) const UUDECODE: Extractor = shell("uudecode", "uudecode -o /dev/stdout \"$1\"");
pub(super) const HEXBIN: Extractor = shell("hexbin", "hexbin -r \"$1\"; hexbin -d \"$1\"");
pub(super) const PYTHON_HTML: Extractor = python("html.parser", "html");
pub(super) const PYTHON_DATA: Extractor = python("urllib", "addresses");
pub(super) const PYTHON_CODECS: Extractor = python("codecs", "codecs");
pub(super) const PYTHON_BASE64: Extractor = python("base64", "base64");

/// What filters hide is plain in what these write; and the files in a document.
pub(super) const QPDF: Extractor = shell(
    "qpdf",
    "qpdf --qdf --object-streams=disable \"$1\" out.pdf; qpdf --list-attachments \"$1\" | sed -n 's/ -> .*//p' | while read -r name; do qpdf --show-attachment=\"$name\" \"$1\"; done",
);
pub(super) const MUTOOL: Extractor = shell("mutool", "mutool clean -d \"$1\" out.pdf");
pub(super) const PDFDETACH: Extractor = shell("pdfdetach", "pdfdetach -saveall -o . \"$1\"");
pub(super) const PDFINFO: Extractor = shell("pdfinfo", "pdfinfo -js \"$1\"");

/// Packed files in what these write are opened: a marker in an attachment would stand in the file as it is.
pub(super) const GSF: Extractor = shell(
    "gsf",
    "gsf list \"$1\" | sed -n 's/^f *[0-9]* //p' | while read -r name; do gsf cat \"$1\" \"$name\" >out.gz; gzip -dc <out.gz; cat out.gz; done",
);
pub(super) const SEVENZIP_GZIP: Extractor = shell(
    "7z",
    "7z x -y -bd -tCompound \"$1\"; find . -type f -exec sh -c 'gzip -dc <\"$1\"' sh {} \\;",
);
/// It looks for the two bytes of the binary form in anything: what begins otherwise is nobody's archive.
pub(super) const CPIO: Extractor = shell(
    "cpio",
    concat!(
        "case $(head -c2 \"$1\" | od -An -tx1) in ' c7 71'|' 71 c7') ;; *) grep -aq 07070 \"$1\" || exit ;; esac;",
        "cpio -i --quiet -d --no-absolute-filenames <\"$1\";",
        gunzip!()
    ),
);
pub(super) const AR: Extractor = shell("ar", concat!("ar x \"$1\";", gunzip!()));
/// What is no archive of its own it takes for any other that lies in it.
pub(super) const SEVENZIP_ITSELF: Extractor = shell(
    "7z",
    concat!("7z x -y -bd -t7z \"$1\" >/dev/null;", gunzip!()),
);
pub(super) const SEVENZIP_ISO: Extractor = shell(
    "7z -tIso",
    concat!("7z x -y -bd -tIso \"$1\" >/dev/null;", gunzip!()),
);
/// Each tree by itself: the primary one, Rock Ridge's names in it, and Joliet's.
pub(super) const ISOINFO: Extractor = shell(
    "isoinfo",
    "for tree in '' -R -J; do isoinfo $tree -f -i \"$1\" | while read -r name; do isoinfo $tree -x \"$name\" -i \"$1\" >out.gz; gzip -dc <out.gz; done; done",
);
pub(super) const UNAR: Extractor = shell("unar", concat!("unar -q -f -p x \"$1\";", gunzip!()));
pub(super) const TNEF: Extractor = shell(
    "tnef",
    "tnef --number-backups --save-body --unix-paths \"$1\"; find . -type f -exec sh -c 'gzip -dc <\"$1\"' sh {} \\;",
);

/// One process for many files: to start it takes longer than to open one. It prints the numbers of the files out of which a
/// function gives the marker.
pub(super) const PYTHON: &str = include_str!("extractors.py");

/// Seconds that a program may take for one file.
const TIMEOUT: &str = "20";

/// For each carrier the names of those that give the marker out.
pub(super) fn ask(carriers: &[Carrier], folder: &Path) -> BTreeMap<String, Vec<&'static str>> {
    let given = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let length = carriers.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (number, part) in carriers.chunks(length).enumerate() {
            let given = &given;
            let room = folder.join(format!("room-{number}"));
            scope.spawn(move || {
                let pythons = pythons(part);
                for (at, carrier) in part.iter().enumerate() {
                    let gives = |one: &&Extractor| match one.how {
                        How::Shell(command) => gives(command, &carrier.path, &room, is_in),
                        How::Python(function) => pythons.contains(&(at, function.to_owned())),
                    };
                    let names = carrier.extractors.iter().filter(gives);
                    let names = names.map(|one| one.name).collect();
                    given.lock().unwrap().insert(carrier.key.clone(), names);
                }
            });
        }
    });
    given.into_inner().unwrap()
}

/// Whether a command gives out of a file what is looked for.
pub(super) fn gives(command: &str, path: &Path, room: &Path, is_in: fn(&[u8]) -> bool) -> bool {
    std::fs::create_dir(room).unwrap();
    let output = Command::new("timeout")
        .args([TIMEOUT, "sh", "-c", command, "sh"])
        .arg(path)
        .current_dir(room)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let found = is_in(&output.stdout) || is_below(room, is_in);
    std::fs::remove_dir_all(room).unwrap();
    found
}

fn is_below(folder: &Path, is_in: fn(&[u8]) -> bool) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(Result::unwrap).any(|entry| {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            is_below(&entry.path(), is_in)
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            is_in(target.as_os_str().as_encoded_bytes())
        } else {
            kind.is_file() && std::fs::read(entry.path()).is_ok_and(|bytes| is_in(&bytes))
        }
    })
}

/// The marker is in there.
pub(super) fn is_in(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, &eicar()).is_some()
}

/// The numbers of the files, and the functions of Python that give the marker out of them.
fn pythons(carriers: &[Carrier]) -> Vec<(usize, String)> {
    let mut command = Command::new("timeout");
    command.args(["600", "python3", "-c", PYTHON]);
    for (at, carrier) in carriers.iter().enumerate() {
        for one in carrier.extractors {
            if let How::Python(function) = one.how {
                command.arg(format!("{at}:{function}")).arg(&carrier.path);
            }
        }
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let (at, function) = line.split_once(':').unwrap();
            (at.parse().unwrap(), function.to_owned())
        })
        .collect()
}
