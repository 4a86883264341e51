//! The kinds of containers that are known by name: those that are expanded, and those that are only recognised.
//!
//! A kind without an expander is no reason for silence: recognised content of it is the gap `unsupported/NAME`. The
//! names are the wire's (SVSP `ENABLE EXPAND NAME`, in any case) and the gaps'.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// One row of [`KINDS`].
#[derive(Debug)]
pub struct Kind {
    /// The name on the wire and in gaps.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// An expander for it is in this build (a test holds this against the table of expanders), or it is a view.
    pub built: bool,
    /// On when a request says nothing.
    pub default: bool,
    /// Not opened because what is in it is encrypted: its gap is `encrypted` and not `unsupported`.
    pub encrypted: bool,
}

const fn expanded(name: &'static str, title: &'static str) -> Kind {
    Kind {
        name,
        title,
        built: true,
        default: true,
        encrypted: false,
    }
}

const fn recognised(name: &'static str, title: &'static str) -> Kind {
    Kind {
        name,
        title,
        built: false,
        default: true,
        encrypted: false,
    }
}

const fn encrypted(name: &'static str, title: &'static str) -> Kind {
    Kind {
        encrypted: true,
        ..recognised(name, title)
    }
}

/// All kinds: first those of the paper, in its order, then ours by name.
pub static KINDS: &[Kind] = &[
    expanded("tar", "tape archive"),
    expanded("Z", "Unix compress"),
    expanded("gz", "gzip"),
    expanded("text", "mail and encoded text, all of them"),
    Kind {
        name: "HTML",
        title: "HTML as text",
        built: true,
        default: false,
        encrypted: false,
    },
    expanded("zip", "PKZIP"),
    expanded("TNEF", "winmail.dat"),
    expanded("Hqx8", "BinHex 4"),
    expanded("RAR", "RAR"),
    expanded("CAB", "Microsoft cabinet"),
    expanded("7z", "7-Zip"),
    recognised("ace", "ACE"),
    expanded("activemime", "ActiveMime"),
    encrypted("age", "age"),
    recognised("alz", "ALZ"),
    expanded("androidsparse", "Android sparse image"),
    recognised("applearchive", "Apple Archive"),
    expanded("applesingle", "AppleSingle or AppleDouble"),
    expanded("ar", "Unix archive, Debian package"),
    recognised("arc", "ARC"),
    expanded("arj", "ARJ"),
    recognised("asar", "Electron archive"),
    recognised("autoit", "compiled AutoIt script"),
    expanded("bz2", "bzip2"),
    expanded("chm", "Windows help"),
    expanded("cms", "S/MIME and CMS"),
    expanded("cpio", "cpio"),
    recognised("disk", "disk image or file system"),
    expanded("dmg", "Apple disk image"),
    recognised("dms", "Amiga disk archive"),
    recognised("egg", "EGG"),
    recognised("freearc", "FreeArc"),
    recognised("hwp3", "Hangul 3"),
    recognised("inno", "Inno Setup"),
    expanded("installshield", "InstallShield"),
    expanded("iso", "ISO 9660"),
    encrypted("keepass", "KeePass database"),
    expanded("lha", "LHA"),
    recognised("lrzip", "lrzip"),
    encrypted("luks", "LUKS volume"),
    expanded("lz4", "LZ4"),
    recognised("lzfse", "LZFSE"),
    expanded("lzip", "lzip"),
    expanded("lzma", "LZMA"),
    expanded("lzop", "lzop"),
    expanded("macbinary", "MacBinary"),
    expanded("mbox", "mailbox"),
    expanded("mime", "mail with attachments"),
    expanded("nsis", "NSIS installer"),
    expanded("ole2", "OLE2 document"),
    expanded("onenote", "OneNote"),
    encrypted("openssl", "openssl enc"),
    expanded("pack", "Unix pack or SCO compress -H"),
    recognised("pbzx", "Apple pbzx"),
    expanded("pdf", "PDF"),
    expanded("pgp", "OpenPGP message"),
    expanded("program", "what is in programs"),
    expanded("pyinstaller", "PyInstaller program"),
    expanded("rpm", "RPM package"),
    expanded("rtf", "RTF"),
    recognised("rzip", "rzip"),
    expanded("sis", "Symbian installation file"),
    recognised("snappy", "Snappy"),
    expanded("squashfs", "SquashFS image"),
    recognised("sqx", "SQX"),
    recognised("stuffit", "StuffIt"),
    expanded("swf", "Flash"),
    expanded("szdd", "SZDD or KWAJ"),
    expanded("udf", "UDF"),
    recognised("uharc", "UHarc"),
    expanded("uu", "uuencoded text"),
    recognised("warc", "web archive"),
    expanded("wim", "Windows image"),
    expanded("xar", "XAR"),
    expanded("xz", "xz"),
    expanded("yenc", "yEnc"),
    recognised("zchunk", "zchunk"),
    expanded("zlib", "zlib stream"),
    recognised("zoo", "ZOO"),
    recognised("zpaq", "ZPAQ"),
    expanded("zstd", "Zstandard"),
];

/// The kinds that the paper's `text` stands for: whoever chooses it chooses them, and base64 in other texts.
const TEXT: [&str; 4] = ["mbox", "mime", "uu", "yenc"];

/// What people call a kind that the paper calls otherwise.
const ALIASES: [(&str, &str); 6] = [
    ("binhex", "Hqx8"),
    ("bzip2", "bz2"),
    ("compress", "Z"),
    ("gzip", "gz"),
    ("winmail", "TNEF"),
    ("zst", "zstd"),
];

/// The kind of this name or alias, in any case.
pub fn by_name(name: &[u8]) -> Option<&'static Kind> {
    let is = |word: &str| word.as_bytes().eq_ignore_ascii_case(name);
    let alias = ALIASES.iter().find(|(alias, _)| is(alias));
    KINDS
        .iter()
        .find(|kind| alias.map_or_else(|| is(kind.name), |(_, name)| *name == kind.name))
}

/// A set of kinds: which expanders a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSet(u128);

impl KindSet {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Every kind, also those that are off by default.
    pub const ALL: Self = Self(u128::MAX);

    /// The default set.
    pub fn usual() -> Self {
        let mut set = Self::NONE;
        for kind in KINDS.iter().filter(|kind| kind.default) {
            set.insert(kind);
        }
        set
    }

    /// Puts a kind in.
    pub fn insert(&mut self, kind: &Kind) {
        self.0 |= bits(kind);
    }

    /// Takes a kind out.
    pub fn remove(&mut self, kind: &Kind) {
        self.0 &= !bits(kind);
    }

    /// Tells whether a kind is in.
    pub fn contains(self, kind: &Kind) -> bool {
        self.0 & bit(kind) != 0
    }
}

impl Default for KindSet {
    fn default() -> Self {
        Self::usual()
    }
}

/// Of a kind and of those that it stands for.
fn bits(kind: &Kind) -> u128 {
    let mut bits = bit(kind);
    if kind.name == "text" {
        let parts = KINDS.iter().filter(|part| TEXT.contains(&part.name));
        bits |= parts.fold(0, |all, part| all | bit(part));
    }
    bits
}

fn bit(kind: &Kind) -> u128 {
    let row = KINDS.iter().position(|row| row.name == kind.name);
    row.map_or(0, |row| 1 << row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_has_a_bit_for_every_kind() {
        assert!(KINDS.len() <= 128);
        for (row, kind) in KINDS.iter().enumerate() {
            assert_eq!(bit(kind), 1 << row, "{} stands twice", kind.name);
            assert_eq!(
                by_name(kind.name.to_lowercase().as_bytes()).map(|k| k.name),
                Some(kind.name)
            );
        }
    }

    #[test]
    fn text_stands_for_mail_and_encoded_text() {
        let kind = |name: &str| by_name(name.as_bytes()).unwrap();
        let mut set = KindSet::NONE;
        set.insert(kind("text"));
        for name in TEXT {
            assert!(set.contains(kind(name)), "{name}");
        }
        assert!(!set.contains(kind("zip")));
        set.remove(kind("mime"));
        assert!(set.contains(kind("text")) && !set.contains(kind("mime")));
        set.remove(kind("text"));
        assert_eq!(set, KindSet::NONE);
    }

    #[test]
    fn every_alias_leads_to_a_kind() {
        for (alias, name) in ALIASES {
            assert_eq!(by_name(alias.as_bytes()).map(|kind| kind.name), Some(name));
        }
    }

    #[test]
    fn html_is_off_unless_asked_for() {
        let html = by_name(b"html").unwrap();
        assert!(!KindSet::usual().contains(html));
        assert!(KindSet::ALL.contains(html));
    }
}
