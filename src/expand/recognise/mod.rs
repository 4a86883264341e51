//! Tells a container by its content. Never by its name, which whoever made it chose.
//!
//! One table, tried from top to bottom. A magic that short or that common texts begin with has a check beside it: a false
//! alarm on every tenth file of a system would make people turn the whole thing off.
#![forbid(unsafe_code)]

mod checks;
mod closed;
mod text;

use super::{apple, cms, installshield, pgp, sparse, stream};
use crate::kind::{self, Kind};
use crate::object::Probe;

/// The kinds of container that a content may be, the likeliest first. Whether it is one shows when it is opened; a
/// content can be several, and each of its readers sees another.
pub fn recognise(probe: &Probe) -> Vec<&'static Kind> {
    let text = text::Text::new(probe);
    let mut kinds: Vec<&'static Kind> = Vec::new();
    for row in MAGICS.iter() {
        if !probe.has(row.at, row.bytes)
            || !row.rank.counts(&kinds, probe)
            || !row.check.holds(probe, &text)
        {
            continue;
        }
        if let Some(kind) = kind::by_name(row.kind.as_bytes())
            && !kinds.iter().any(|known| known.name == kind.name)
        {
            kinds.push(kind);
        }
    }
    // The first run of a disk image is a stream: its expander says which data are in no run.
    if kinds.iter().any(|kind| kind.name == "dmg") {
        kinds.retain(|kind| !matches!(kind.name, "zlib" | "bz2" | "xz"));
    }
    kinds
}

/// One row: these bytes at this place of the head, and what else must hold.
struct Magic {
    at: usize,
    bytes: &'static [u8],
    kind: &'static str,
    check: Check,
    rank: Rank,
}

/// What must hold beside the bytes.
#[derive(Clone, Copy)]
enum Check {
    Nothing,
    /// This does, of the content.
    Probe(fn(&Probe) -> bool),
    /// This does, of what is read once for all rows that are told from text.
    Text(fn(&text::Text<'_>) -> bool),
}

impl Check {
    fn holds(self, probe: &Probe, text: &text::Text<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Probe(check) => check(probe),
            Self::Text(check) => check(text),
        }
    }
}

/// When a row counts.
#[derive(Clone, Copy)]
enum Rank {
    /// When nothing else did: a container that holds such a thing begins like it, too.
    Alone,
    /// As well when what did begins with a text that leaves room for it.
    BehindText,
    /// When nothing before it is opened: what opens it sees what follows.
    Behind,
    /// Always.
    Start,
    /// In a text that is no mail: a mail gives its texts as members, and an archive its files.
    Text,
}

impl Rank {
    /// Tells whether a row counts behind these kinds. Asked before what the row's check asks, which costs more.
    fn counts(self, kinds: &[&Kind], probe: &Probe) -> bool {
        match self {
            Self::Alone => kinds.is_empty(),
            Self::BehindText => kinds.iter().all(|kind| FRONTS.contains(&kind.name)),
            Self::Behind => !kinds
                .iter()
                .any(|kind| kind.built && !OPEN.contains(&kind.name)),
            Self::Start => true,
            Self::Text => {
                !kinds.iter().any(|kind| is_mail(kind)) && (kinds.is_empty() || is_text(probe))
            }
        }
    }
}

fn is_mail(kind: &Kind) -> bool {
    matches!(kind.name, "mbox" | "mime")
}

fn is_text(probe: &Probe) -> bool {
    let head = probe.head.get(..4096).unwrap_or(&probe.head);
    memchr::memchr(0, head).is_none()
}

/// Kinds that a disk can begin with, for its first sectors are free.
const FRONTS: [&str; 6] = ["rtf", "pdf", "mime", "mbox", "uu", "yenc"];

/// Kinds whose readers do not ask what the file ends with, so that it can be something else as well.
const OPEN: [&str; 6] = ["ole2", "rtf", "swf", "onenote", "pdf", "pgp"];

/// Strong enough alone.
const fn magic(at: usize, bytes: &'static [u8], kind: &'static str) -> Magic {
    Magic {
        at,
        bytes,
        kind,
        check: Check::Nothing,
        rank: Rank::Start,
    }
}

/// Has to be plausible, too.
const fn checked(
    at: usize,
    bytes: &'static [u8],
    kind: &'static str,
    check: fn(&Probe) -> bool,
) -> Magic {
    Magic {
        at,
        bytes,
        kind,
        check: Check::Probe(check),
        rank: Rank::Start,
    }
}

/// Told by its structure alone.
const fn structure(kind: &'static str, check: fn(&Probe) -> bool) -> Magic {
    checked(0, b"", kind, check)
}

/// Told from its text.
const fn text(kind: &'static str, check: fn(&text::Text<'_>) -> bool) -> Magic {
    Magic {
        check: Check::Text(check),
        ..magic(0, b"", kind)
    }
}

const fn ranked(rank: Rank, row: Magic) -> Magic {
    Magic { rank, ..row }
}

/// First what stands at the start (tar before all, for its first bytes are a name that anybody may choose), then an
/// archive behind a program, then what is told from text: a mail may quote anything, and a zip that is appended to a
/// picture is what its readers open.
static MAGICS: &[Magic] = &[
    structure("tar", checks::tar),
    checked(0, b"\x1f\x8b", "gz", checks::gzip),
    checked(0, b"\x1f\x9e", "gz", checks::gzip),
    checked(0, b"\x1f\x1e", "pack", checks::packed),
    checked(0, b"\x1f\xa0", "pack", checks::packed),
    magic(0, b"PK\x03\x04", "zip"),
    magic(0, b"PK\x05\x06", "zip"),
    magic(0, b"PK00PK\x03\x04", "zip"),
    checked(0, b"PK\x07\x08", "zip", checks::zip_goes_on),
    checked(0, b"PK\x01\x02", "zip", checks::zip_goes_on),
    checked(0, b"PK\x06\x06", "zip", checks::zip_goes_on),
    magic(0, b"\xfd7zXZ\0", "xz"),
    checked(0, b"BZh", "bz2", checks::bzip2),
    magic(0, b"\x28\xb5\x2f\xfd", "zstd"),
    checked(1, b"\x2a\x4d\x18", "zstd", checks::skippable_zstd),
    checked(0, b"\x04\x22\x4d\x18", "lz4", checks::lz4),
    magic(0, b"\x02\x21\x4c\x18", "lz4"),
    checked(1, b"\x2a\x4d\x18", "lz4", checks::skippable_lz4),
    checked(0, b"LZIP", "lzip", checks::lzip),
    magic(0, b"\x89LZO\0\r\n\x1a\n", "lzop"),
    checked(0, b"\x1f\x9d", "Z", checks::compress),
    magic(0, b"Rar!\x1a\x07\0", "RAR"),
    magic(0, b"Rar!\x1a\x07\x01\0", "RAR"),
    checked(0, b"RE\x7e\x5e", "RAR", checks::old_rar),
    magic(0, b"7z\xbc\xaf\x27\x1c", "7z"),
    magic(0, b"MSCF\0\0\0\0", "CAB"),
    checked(0, b"MSCF", "CAB", checks::cab),
    magic(0, b"!<arch>\n", "ar"),
    magic(0, b"!<thin>\n", "ar"),
    checked(0, b"0.93", "ar", checks::old_package),
    checked(0, b"070701", "cpio", checks::cpio_new),
    checked(0, b"070702", "cpio", checks::cpio_new),
    checked(0, b"070707", "cpio", checks::cpio_odc),
    checked(0, b"\xc7\x71", "cpio", checks::cpio_little),
    checked(0, b"\x71\xc7", "cpio", checks::cpio_big),
    checked(0, b"\xed\xab\xee\xdb", "rpm", checks::rpm),
    checked(0, b"hsqs", "squashfs", checks::squashfs_little),
    checked(0, b"sqsh", "squashfs", checks::squashfs_big),
    magic(0, sparse::MAGIC, "androidsparse"),
    magic(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole2"),
    checked(0, b"ActiveMime", "activemime", closed::is_binary),
    magic(0, b"{\\rt", "rtf"),
    structure("rtf", checks::rtf),
    magic(0, b"\x78\x9f\x3e\x22", "TNEF"),
    checked(0, b"ITSF", "chm", checks::chm),
    checked(0, b"xar!", "xar", checks::xar),
    checked(0, b"\x60\xea", "arj", checks::arj),
    checked(2, b"-l", "lha", checks::lha),
    checked(2, b"-p", "lha", checks::lha),
    magic(20, b"\xdc\xa7\xc4\xfd", "zoo"),
    checked(0, b"RZIP", "rzip", checks::rzip),
    magic(0, b"\0ZCK1", "zchunk"),
    magic(0, b"\0ZHR1", "zchunk"),
    magic(0, b"\xff\x06\0\0sNaPpY", "snappy"),
    checked(0, b"bvx", "lzfse", checks::lzfse),
    checked(0, b"AA01", "applearchive", checks::apple_archive),
    checked(0, b"YAA1", "applearchive", checks::apple_archive),
    checked(0, b"pbz", "pbzx", checks::pbzx),
    checked(0, b"DMS!", "dms", checks::dms),
    checked(0, b"WARC/", "warc", checks::warc),
    checked(0, b"\x04\0\0\0", "asar", checks::asar),
    magic(7, b"**ACE**", "ace"),
    magic(7, b"-sqx-", "sqx"),
    checked(0, b"\x1a", "arc", closed::arc),
    magic(0, b"ALZ\x01", "alz"),
    magic(
        0,
        b"HWP Document File V3.00 \x1a\x01\x02\x03\x04\x05",
        "hwp3",
    ),
    magic(0, b"EGGA\0\x01", "egg"),
    magic(0, b"ArC\x01", "freearc"),
    checked(0, b"LRZI\0", "lrzip", closed::lrzip),
    checked(10, b"rLau", "stuffit", closed::stuffit),
    magic(0, b"StuffIt (c)1997-", "stuffit"),
    checked(0, b"StuffIt!", "stuffit", closed::is_binary),
    checked(0, b"UHA", "uharc", closed::uharc),
    magic(0, b"7kSt\xa0\x31\x83\xd3", "zpaq"),
    checked(0, b"zPQ", "zpaq", closed::zpaq),
    checked(0, b"\x30", "cms", cms::begins),
    structure("pgp", pgp::begins),
    magic(0, b"age-encryption.org/v1\n", "age"),
    magic(0, b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5", "keepass"),
    magic(0, b"\x03\xd9\xa2\x9a\x66\xfb\x4b\xb5", "keepass"),
    magic(0, b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5", "keepass"),
    magic(0, b"LUKS\xba\xbe", "luks"),
    checked(0, b"Salted__", "openssl", closed::is_binary),
    magic(0, b"SZDD\x88\xf0\x27\x33", "szdd"),
    magic(0, b"SZ\x20\x88\xf0\x27\x33\xd1", "szdd"),
    magic(0, b"KWAJ\x88\xf0\x27\xd1", "szdd"),
    magic(0, b"ISc(", "installshield"),
    checked(
        0,
        b"InstallShield\0",
        "installshield",
        checks::installshield,
    ),
    structure("installshield", installshield::is_list),
    magic(4, b"\x12\x3a\x00\x10\x19\x04\x00\x10", "sis"),
    magic(4, b"\x6d\x00\x00\x10\x19\x04\x00\x10", "sis"),
    magic(0, b"\x7a\x1a\x20\x10", "sis"),
    magic(0, b"MSWIM\0\0\0", "wim"),
    magic(0, b"WLPWM\0\0\0", "wim"),
    checked(0, b"FWS", "swf", checks::swf),
    checked(0, b"CWS", "swf", checks::swf_zlib),
    checked(0, b"ZWS", "swf", checks::swf_lzma),
    magic(
        0,
        b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3",
        "onenote",
    ),
    magic(
        0,
        b"\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22\x76\x5f",
        "onenote",
    ),
    // Its first 32 KiB belong to anybody.
    magic(32_769, b"CD001", "iso"),
    magic(32_777, b"CDROM", "iso"),
    // In sectors of 2336 bytes, which have 8 before the data.
    magic(37_385, b"CD001", "iso"),
    magic(32_769, b"BEA01", "udf"),
    checked(
        0,
        b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0",
        "iso",
        checks::raw_sectors,
    ),
    checked(0, b"\0\x05\x16\0", "applesingle", apple::is_applesingle),
    checked(0, b"\0\x05\x16\x07", "applesingle", apple::is_applesingle),
    checked(0, b"\0", "macbinary", apple::is_macbinary),
    magic(0, b"%PDF-", "pdf"),
    checked(4, b"\xef\xbe\xad\xdeNullsoftInst", "nsis", checks::nsis),
    checked(0, b"Inno Setup Setup Data (", "inno", checks::inno),
    magic(
        0,
        b"\xa3\x48\x4b\xbe\x98\x6c\x4a\xa9\x99\x4c\x53\x0a\x86\xd6\x48\x7d",
        "autoit",
    ),
    structure("lzma", checks::lzma),
    structure("lzma", checks::lzma86),
    structure("zlib", stream::is_zlib),
    ranked(Rank::Behind, structure("RAR", checks::rar_at_the_end)),
    ranked(Rank::Behind, structure("zip", checks::zip_at_the_end)),
    magic(0, b"encrcdsa", "dmg"),
    structure("dmg", checks::dmg),
    ranked(Rank::BehindText, structure("disk", checks::disk)),
    ranked(Rank::Alone, structure("pdf", checks::pdf)),
    text("mbox", text::mailbox),
    text("mime", text::mail),
    ranked(Rank::Text, text("Hqx8", text::binhex)),
    ranked(Rank::Text, text("uu", text::uuencode)),
    ranked(Rank::Text, text("yenc", text::yenc)),
    ranked(Rank::Text, text("mime", text::part_of_mail)),
    magic(0, b"PYZ\0", "pyinstaller"),
    structure("pyinstaller", checks::pyinstaller),
    // Behind them, for it may be no mail.
    text("mime", text::perhaps_mail),
    // Last, for it finds what nothing before it opens.
    checked(0, b"MZ", "program", checks::dos_program),
    checked(0, b"\x7fELF", "program", checks::elf),
    checked(0, b"\xfe\xed\xfa", "program", checks::mach_o),
    checked(1, b"\xfa\xed\xfe", "program", checks::mach_o),
    checked(0, b"\xca\xfe\xba\xbe", "program", checks::universal),
];

#[cfg(test)]
mod tests;
