//! Programs that are packed: told by where they begin, so that an unpacked one is not taken for packed again.
#![forbid(unsafe_code)]

use super::pe::Image;

/// One packer.
struct Packer {
    name: &'static str,
    /// The section in which a packed program begins has such a name.
    sections: &'static [&'static [u8]],
    /// A packed program begins with these bytes; `None` is any.
    entry: &'static [Option<u8>],
}

const fn named(name: &'static str, sections: &'static [&'static [u8]]) -> Packer {
    Packer {
        name,
        sections,
        entry: &[],
    }
}

const fn begins(name: &'static str, entry: &'static [Option<u8>]) -> Packer {
    Packer {
        name,
        sections: &[],
        entry,
    }
}

/// Bytes of an entry, as people write them.
macro_rules! entry {
    (@ __) => { None };
    (@ $byte:literal) => { Some($byte) };
    ($($byte:tt)*) => { &[$(entry!(@ $byte)),*] };
}

static PACKERS: &[Packer] = &[
    begins("UPX", entry![0x60 0xbe __ __ __ __ 0x8d 0xbe]),
    begins("UPX", entry![0x53 0x56 0x57 0x55 0x48 0x8d 0x35]),
    begins(
        "UPX",
        entry![0x80 0x7c 0x24 0x08 0x01 0x0f 0x85 __ __ __ 0x00 0x60 0xbe],
    ),
    named("ASPack", &[b".aspack", b".ASPack"]),
    begins(
        "ASPack",
        entry![0x60 0xe8 0x03 0x00 0x00 0x00 0xe9 0xeb 0x04 0x5d 0x45 0x55 0xc3],
    ),
    begins("FSG", entry![0x87 0x25 __ __ __ __ 0x61 0x94 0x55 0xa4]),
    begins(
        "FSG",
        entry![0xbe 0xa4 0x01 0x40 0x00 0xad 0x93 0xad 0x97 0xad 0x56],
    ),
    begins(
        "FSG",
        entry![0xbb 0xd0 0x01 0x40 0x00 0xbf 0x00 0x10 0x40 0x00 0xbe],
    ),
    begins(
        "MEW",
        entry![0xe9 __ __ 0xff 0xff 0x0c __ __ __ 0x00 0x00 0x00 0x00],
    ),
    begins(
        "NsPack",
        entry![0x9c 0x60 0xe8 0x00 0x00 0x00 0x00 0x5d 0x83 0xed 0x07],
    ),
    begins(
        "NsPack",
        entry![0x9c 0x60 0xe8 0x00 0x00 0x00 0x00 0x5d 0xb8],
    ),
    begins(
        "PESpin",
        entry![0xeb 0x01 0x68 0x60 0xe8 0x00 0x00 0x00 0x00 0x8b 0x1c 0x24 0x83 0xc3],
    ),
    named("Petite", &[b".petite", b"petite"]),
    begins(
        "Petite",
        entry![0xb8 __ __ __ __ 0x68 __ __ __ __ 0x64 0xff 0x35 0x00 0x00 0x00 0x00 0x64 0x89 0x25],
    ),
    begins("Upack", entry![0xbe __ __ __ __ 0xad 0x50 0xff 0x76 0x34]),
    begins("Upack", entry![0xbe __ __ __ __ 0xad 0x8b 0xf8]),
    begins(
        "WWPack",
        entry![0x53 0x55 0x8b 0xe8 0x33 0xdb 0xeb 0x60 0x0d 0x0a 0x0d 0x0a],
    ),
    begins(
        "yC",
        entry![0x55 0x8b 0xec 0x53 0x56 0x57 0x60 0xe8 0x00 0x00 0x00 0x00 0x5d 0x81 0xed],
    ),
    named("ASProtect", &[b".aspr", b".adata"]),
    named("Enigma", &[b".enigma1", b".enigma2"]),
    named("MPRESS", &[b".MPRESS2"]),
    named("PECompact", &[b"pec1", b"PEC2", b"PEC2TO"]),
    begins(
        "PECompact",
        entry![0xb8 __ __ __ __ 0x50 0x64 0xff 0x35 0x00 0x00 0x00 0x00 0x64 0x89 0x25 0x00 0x00 0x00 0x00 0x33 0xc0 0x89 0x08],
    ),
    named("Themida", &[b".themida", b"Themida", b".winlice", b".boot"]),
    named("VMProtect", &[b".vmp0", b".vmp1", b".vmp2"]),
    named("kkrunchy", &[b"kkrunchy"]),
];

/// The packer of a program that begins in `image` with these bytes.
pub(super) fn of(image: &Image, entry: &[u8]) -> Option<&'static str> {
    let section = image.section_of(image.entry.into());
    let section = section.map(super::pe::Section::name).unwrap_or_default();
    let found = PACKERS.iter().find(|packer| {
        let begins = !packer.entry.is_empty()
            && entry.len() >= packer.entry.len()
            && (packer.entry.iter().zip(entry))
                .all(|(known, byte)| known.is_none_or(|known| known == *byte));
        begins || packer.sections.contains(&section)
    });
    found.map(|packer| packer.name)
}
