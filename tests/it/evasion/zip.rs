//! Zip archives (PKWARE APPNOTE 6.3.10) whose two lists of members, and what stands between them, disagree.

use std::io::{Read, Write};

use super::{Case, case};
use crate::support::{eicar, gzip, noise, zip as plain_zip};

/// What a header says of a member.
#[derive(Clone)]
struct Side {
    version: u16,
    flags: u16,
    method: u16,
    date: u32,
    sum: u32,
    packed: u32,
    size: u32,
    name: Vec<u8>,
    extra: Vec<u8>,
}

/// A member: what the header before it says, its data, what comes behind them, and what the directory says.
#[derive(Clone)]
struct Member {
    local: Side,
    data: Vec<u8>,
    behind: Vec<u8>,
    central: Side,
    /// Whether it is in the directory, and whether it has a header of its own.
    listed: bool,
    headed: bool,
    attributes: u32,
    disk: u16,
    comment: Vec<u8>,
    /// Added to the offset in the directory.
    shift: i64,
}

impl Member {
    fn each(mut self, change: impl Fn(&mut Side)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    fn local(mut self, change: impl Fn(&mut Side)) -> Self {
        change(&mut self.local);
        self
    }

    fn central(mut self, change: impl Fn(&mut Side)) -> Self {
        change(&mut self.central);
        self
    }

    fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::bufread::DeflateEncoder::new(content, flate2::Compression::default())
        .read_to_end(&mut out)
        .unwrap();
    out
}

fn member(name: &str, content: &[u8]) -> Member {
    packed(name, 8, deflate(content), content)
}

/// A member of another method, its data as given.
fn packed(name: &str, method: u16, data: Vec<u8>, content: &[u8]) -> Member {
    let side = Side {
        version: 20,
        flags: 0,
        method,
        date: 0x5a21_6000,
        sum: crc32fast::hash(content),
        packed: u32::try_from(data.len()).unwrap(),
        size: u32::try_from(content.len()).unwrap(),
        name: name.as_bytes().to_vec(),
        extra: Vec::new(),
    };
    Member {
        local: side.clone(),
        data,
        behind: Vec::new(),
        central: side,
        listed: true,
        headed: true,
        attributes: 0,
        disk: 0,
        comment: Vec::new(),
        shift: 0,
    }
}

fn evil() -> Member {
    member("virus.com", &eicar())
}

fn harmless() -> Member {
    member(
        "letter.txt",
        b"Dear reader, nothing is in here, nothing at all.\n",
    )
}

/// The end record, and where things lie before it.
#[derive(Clone)]
struct Archive {
    members: Vec<Member>,
    before: Vec<u8>,
    /// Between members and directory.
    between: Vec<u8>,
    /// Between directory and end record.
    gap: Vec<u8>,
    /// The end record: its disks, counts, the directory's size and offset, and the length of the comment.
    end: fn(&mut End),
    comment: Vec<u8>,
    behind: Vec<u8>,
    /// Offsets count from the start of the file, not of the archive.
    adjusted: bool,
}

struct End {
    signature: [u8; 4],
    disk: u16,
    directory_disk: u16,
    here: u16,
    count: u16,
    size: u32,
    offset: u32,
    comment: u16,
}

fn archive(members: &[Member]) -> Archive {
    Archive {
        members: members.to_vec(),
        before: Vec::new(),
        between: Vec::new(),
        gap: Vec::new(),
        end: |_| {},
        comment: Vec::new(),
        behind: Vec::new(),
        adjusted: true,
    }
}

fn side(out: &mut Vec<u8>, side: &Side) {
    for field in [side.flags, side.method] {
        out.extend(field.to_le_bytes());
    }
    for field in [side.date, side.sum, side.packed, side.size] {
        out.extend(field.to_le_bytes());
    }
    for length in [side.name.len(), side.extra.len()] {
        out.extend(u16::try_from(length).unwrap().to_le_bytes());
    }
}

impl Archive {
    fn end(mut self, end: fn(&mut End)) -> Self {
        self.end = end;
        self
    }

    fn before(mut self, bytes: impl Into<Vec<u8>>, adjusted: bool) -> Self {
        self.before = bytes.into();
        self.adjusted = adjusted;
        self
    }

    fn between(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.between = bytes.into();
        self
    }

    fn gap(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.gap = bytes.into();
        self
    }

    fn comment(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.comment = bytes.into();
        self
    }

    fn behind(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.behind = bytes.into();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let base = if self.adjusted { 0 } else { self.before.len() };
        let mut out = self.before.clone();
        let mut directory = Vec::new();
        for member in &self.members {
            let at = i64::try_from(out.len() - base).unwrap() + member.shift;
            if member.headed {
                out.extend(b"PK\x03\x04");
                out.extend(member.local.version.to_le_bytes());
                side(&mut out, &member.local);
                out.extend(&member.local.name);
                out.extend(&member.local.extra);
            }
            out.extend(&member.data);
            out.extend(&member.behind);
            if member.listed {
                directory.extend(b"PK\x01\x02\x14\x03");
                directory.extend(member.central.version.to_le_bytes());
                side(&mut directory, &member.central);
                directory.extend(u16::try_from(member.comment.len()).unwrap().to_le_bytes());
                directory.extend(member.disk.to_le_bytes());
                directory.extend([0, 0]);
                directory.extend(member.attributes.to_le_bytes());
                directory.extend((at as u32).to_le_bytes());
                directory.extend(&member.central.name);
                directory.extend(&member.central.extra);
                directory.extend(&member.comment);
            }
        }
        out.extend(&self.between);
        let count = self.members.iter().filter(|member| member.listed).count() as u16;
        let mut end = End {
            signature: *b"PK\x05\x06",
            disk: 0,
            directory_disk: 0,
            here: count,
            count,
            size: directory.len() as u32,
            offset: (out.len() - base) as u32,
            comment: self.comment.len() as u16,
        };
        (self.end)(&mut end);
        out.extend(directory);
        out.extend(&self.gap);
        out.extend(end.signature);
        for field in [end.disk, end.directory_disk, end.here, end.count] {
            out.extend(field.to_le_bytes());
        }
        out.extend(end.size.to_le_bytes());
        out.extend(end.offset.to_le_bytes());
        out.extend(end.comment.to_le_bytes());
        out.extend(&self.comment);
        out.extend(&self.behind);
        out
    }
}

fn one(member: Member) -> Vec<u8> {
    archive(&[member]).bytes()
}

/// An extra field.
fn extra(number: u16, bytes: &[u8]) -> Vec<u8> {
    let mut out = number.to_le_bytes().to_vec();
    out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
    out.extend(bytes);
    out
}

/// What follows the data of a member whose sizes were not known before.
fn descriptor(signature: bool, of: &Side) -> Vec<u8> {
    let mut out = if signature {
        b"PK\x07\x08".to_vec()
    } else {
        Vec::new()
    };
    for field in [of.sum, of.packed, of.size] {
        out.extend(field.to_le_bytes());
    }
    out
}

/// A member whose sizes come behind its data.
fn streamed(signature: bool) -> Member {
    let evil = evil();
    let behind = descriptor(signature, &evil.central);
    evil.with(|member| member.behind = behind.clone())
        .each(|side| side.flags |= 8)
        .local(|side| (side.sum, side.packed, side.size) = (0, 0, 0))
}

/// Codes of 9 bits, the lowest first, each a byte: what `shrink` may be at its simplest (APPNOTE 5.1).
fn shrunk(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in content {
        bits |= u32::from(*byte) << count;
        count += 9;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    out.push(bits as u8);
    out
}

/// 256 empty sets of followers of 6 bits each, then the bytes (APPNOTE 5.2).
fn reduced(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 192];
    out.extend(content);
    out
}

/// Deflate: `count` stored blocks of nothing, then the content.
fn behind_empty_blocks(count: usize) -> Vec<u8> {
    let mut out = [0, 0, 0, 0xff, 0xff].repeat(count);
    out.extend(deflate(&eicar()));
    out
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("plain", "nothing", one(evil())),
        case(
            "second",
            "behind a harmless member",
            archive(&[harmless(), evil()]).bytes(),
        ),
    ];
    cases.extend(methods());
    cases.extend(disagreements());
    cases.extend(lengths());
    cases.extend(names());
    cases.extend(ends());
    cases.extend(lists());
    cases.extend(wide());
    cases.extend(streams());
    cases
}

/// Methods, rare or wrongly named.
fn methods() -> Vec<Case> {
    let content = eicar();
    let by = |method, data| one(packed("virus.com", method, data, &content));
    let named = |local, central| {
        one(evil()
            .local(|side| side.method = local)
            .central(|side| side.method = central))
    };
    vec![
        case("shrink", "method 1", by(1, shrunk(&content))),
        case("reduce-1", "method 2", by(2, reduced(&content))),
        case("reduce-4", "method 5", by(5, reduced(&content))),
        case("deflate64", "method 9", by(9, deflate(&content))),
        case("bzip2", "method 12", by(12, bzip2(&content))),
        case("method-0-8", "stored, says the local header", named(0, 8)),
        case("method-8-0", "stored, says the directory", named(8, 0)),
        case(
            "method-0-0",
            "stored, say both headers of deflated data",
            named(0, 0),
        ),
        case(
            "method-9-8",
            "deflate64, says the local header",
            named(9, 8),
        ),
        case("method-8-9", "deflate64, says the directory", named(8, 9)),
        case("method-12-8", "bzip2, says the local header", named(12, 8)),
        case("method-8-12", "bzip2, says the directory", named(8, 12)),
        case("method-1-8", "shrink, says the local header", named(1, 8)),
        case(
            "method-8-99",
            "AES without its field, says the directory",
            named(8, 99),
        ),
        case(
            "method-99-8",
            "AES without its field, says the local header",
            named(99, 8),
        ),
        case(
            "method-77-8",
            "a method that is none, says the local header",
            named(77, 8),
        ),
        case(
            "method-8-77",
            "a method that is none, says the directory",
            named(8, 77),
        ),
        case(
            "method-77-77",
            "a method that is none, say both",
            named(77, 77),
        ),
        case(
            "method-ffff",
            "a method that is none, says the directory",
            named(8, 0xffff),
        ),
        case(
            "blocks-1000",
            "a thousand empty blocks before the content",
            by(8, behind_empty_blocks(1000)),
        ),
        case(
            "blocks-100000",
            "a hundred thousand empty blocks before the content",
            by(8, behind_empty_blocks(100_000)),
        ),
        case(
            "no-last-block",
            "deflate data that do not end",
            by(8, {
                let mut out =
                    flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(&content).unwrap();
                out.flush().unwrap();
                out.get_ref().clone()
            }),
        ),
    ]
}

/// What the two headers say differently, but for sizes.
fn disagreements() -> Vec<Case> {
    vec![
        case(
            "encrypted-local",
            "encrypted, says the local header",
            one(evil().local(|side| side.flags |= 1)),
        ),
        case(
            "encrypted-central",
            "encrypted, says the directory",
            one(evil().central(|side| side.flags |= 1)),
        ),
        case(
            "encrypted-both",
            "encrypted, say both; it is not",
            one(evil().each(|side| side.flags |= 1)),
        ),
        case(
            "strong-local",
            "strong encryption, says the local header",
            one(evil().local(|side| side.flags |= 0x41)),
        ),
        case(
            "strong-central",
            "strong encryption, says the directory",
            one(evil().central(|side| side.flags |= 0x41)),
        ),
        case(
            "strong-both",
            "strong encryption, say both; it is not",
            one(evil().each(|side| side.flags |= 0x41)),
        ),
        case(
            "masked",
            "values of the local header are masked, says the directory",
            one(evil().each(|side| side.flags |= 0x2000)),
        ),
        case(
            "patched",
            "compressed patched data, say both",
            one(evil().each(|side| side.flags |= 0x20)),
        ),
        case(
            "flags-all",
            "all unknown flags are set",
            one(evil().each(|side| side.flags |= 0xd7d0)),
        ),
        case(
            "version-255",
            "version 25.5 is needed",
            one(evil().each(|side| side.version = 255)),
        ),
        case(
            "version-0",
            "version 0 is needed",
            one(evil().each(|side| side.version = 0)),
        ),
        case(
            "version-ffff",
            "version 6553.5 is needed",
            one(evil().each(|side| side.version = 0xffff)),
        ),
        case(
            "date",
            "a date that is none",
            one(evil().each(|side| side.date = u32::MAX)),
        ),
        case(
            "sum-local",
            "a wrong checksum in the local header",
            one(evil().local(|side| side.sum ^= 1)),
        ),
        case(
            "sum-central",
            "a wrong checksum in the directory",
            one(evil().central(|side| side.sum ^= 1)),
        ),
        case(
            "sum-both",
            "a wrong checksum in both",
            one(evil().each(|side| side.sum ^= 1)),
        ),
        case(
            "sum-zero",
            "checksum 0 in both",
            one(evil().each(|side| side.sum = 0)),
        ),
        case(
            "folder-attribute",
            "a folder, say its attributes",
            one(evil().with(|member| member.attributes = 0x41ed_0010)),
        ),
        case(
            "link-attribute",
            "a symbolic link, say its attributes",
            one(evil().with(|member| member.attributes = 0xa1ff_0000)),
        ),
        case(
            "device-attribute",
            "a device, say its attributes",
            one(evil().with(|member| member.attributes = 0x21b6_0000)),
        ),
        case(
            "label-attribute",
            "a volume's label, say its attributes",
            one(evil().with(|member| member.attributes = 8)),
        ),
        case(
            "disk",
            "in part 7, says the directory",
            one(evil().with(|member| member.disk = 7)),
        ),
        case(
            "disk-ffff",
            "in part 65535, says the directory",
            one(evil().with(|member| member.disk = 0xffff)),
        ),
        case(
            "member-comment",
            "a comment of 60,000 bytes",
            one(evil().with(|member| member.comment = vec![b'c'; 60_000])),
        ),
        case(
            "extra-local",
            "an extra field of 60,000 bytes in the local header",
            one(evil().local(|side| side.extra = extra(0x7777, &[0; 60_000]))),
        ),
        case(
            "extra-central",
            "an extra field of 60,000 bytes in the directory",
            one(evil().central(|side| side.extra = extra(0x7777, &[0; 60_000]))),
        ),
        case(
            "extra-cut",
            "extra fields that are cut",
            one(evil().each(|side| side.extra = vec![0x77, 0x77, 0xff, 0xff, 1])),
        ),
        case(
            "extra-aes",
            "the field of AES in both, its method in none",
            one(evil().each(|side| side.extra = extra(0x9901, b"\x02\0AE\x03\x08\0"))),
        ),
    ]
}

/// Sizes that are false.
fn lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        ("0", 0),
        ("1", 1),
        ("7", 7),
        ("more", 100_000),
        ("most", u32::MAX),
        ("half", 0x7fff_ffff),
    ];
    for (name, size) in sizes {
        let packed = |side: &mut Side| side.packed = size;
        let length = |side: &mut Side| side.size = size;
        let rows = [
            ("packed", "local", evil().local(packed)),
            ("packed", "central", evil().central(packed)),
            ("packed", "both", evil().each(packed)),
            ("size", "local", evil().local(length)),
            ("size", "central", evil().central(length)),
            ("size", "both", evil().each(length)),
        ];
        for (what, place, member) in rows {
            let said = format!("{what} {size}, {place}");
            let bytes = archive(&[member, harmless()]).bytes();
            cases.push(case(format!("{what}-{name}-{place}"), said, bytes));
        }
    }
    cases.push(case(
        "data-behind",
        "junk behind the compressed data, within the size",
        {
            let data = [deflate(&eicar()), noise(1, 500)].concat();
            one(packed("virus.com", 8, data, &eicar()))
        },
    ));
    cases.push(case("data-junk-between", "junk between the members", {
        archive(&[
            harmless().with(|member| member.behind = noise(2, 700)),
            evil(),
        ])
        .bytes()
    }));
    cases
}

/// Names.
fn names() -> Vec<Case> {
    let named = |name: &'static [u8]| one(evil().each(|side| side.name = name.to_vec()));
    vec![
        case("name-none", "a name without a letter", named(b"")),
        case("name-slash", "a folder's name", named(b"virus.com/")),
        case(
            "name-backslash",
            "a folder's name as DOS has it",
            named(b"virus.com\\"),
        ),
        case(
            "name-zero",
            "a zero in the name",
            named(b"letter.txt\0virus.com"),
        ),
        case(
            "name-zero-first",
            "a zero at the start of the name",
            named(b"\0virus.com"),
        ),
        case(
            "name-up",
            "a name that leaves the folder",
            named(b"../../../tmp/virus.com"),
        ),
        case("name-root", "a name from the root", named(b"/virus.com")),
        case("name-drive", "a name with a drive", named(b"C:\\virus.com")),
        case(
            "name-stream",
            "a stream of NTFS",
            named(b"letter.txt:virus.com"),
        ),
        case("name-device", "a name of a device", named(b"CON")),
        case("name-dots", "a name of dots and blanks", named(b"...  ")),
        case(
            "name-latin",
            "a name that is no UTF-8 and says it is",
            one(evil().each(|side| {
                side.name = b"v\xefrus\xff.com".to_vec();
                side.flags |= 0x800;
            })),
        ),
        case(
            "name-control",
            "control characters in the name",
            named(b"\x1b[2Jvirus\r\n.com"),
        ),
        case(
            "name-long",
            "a name of 65,000 bytes",
            one(evil().each(|side| side.name = vec![b'v'; 65_000])),
        ),
        case(
            "name-local",
            "another name in the local header",
            one(evil().local(|side| side.name = b"letter.txt".to_vec())),
        ),
        case(
            "name-local-folder",
            "a folder's name in the local header",
            one(evil().local(|side| side.name = b"letter/".to_vec())),
        ),
        case(
            "name-central-folder",
            "a folder's name in the directory",
            one(evil().central(|side| side.name = b"letter/".to_vec())),
        ),
        case("name-unicode", "another name in the Unicode field", {
            let field = [
                &[1][..],
                &crc32fast::hash(b"virus.com").to_le_bytes(),
                b"letter/",
            ]
            .concat();
            one(evil().each(|side| side.extra = extra(0x7075, &field)))
        }),
        case(
            "twice-first",
            "two members of one name, the marker in the first",
            {
                archive(&[
                    evil(),
                    harmless().each(|side| side.name = b"virus.com".to_vec()),
                ])
                .bytes()
            },
        ),
        case(
            "twice-last",
            "two members of one name, the marker in the last",
            {
                archive(&[
                    harmless().each(|side| side.name = b"virus.com".to_vec()),
                    evil(),
                ])
                .bytes()
            },
        ),
    ]
}

/// The end record, and what stands around it.
fn ends() -> Vec<Case> {
    let one = archive(&[evil()]);
    let two = archive(&[harmless(), evil()]);
    let other = archive(&[harmless()]).bytes();
    vec![
        case(
            "count-0",
            "0 entries, says the end record",
            two.clone()
                .end(|end| (end.here, end.count) = (0, 0))
                .bytes(),
        ),
        case(
            "count-1",
            "1 of 2 entries, says the end record",
            two.clone()
                .end(|end| (end.here, end.count) = (1, 1))
                .bytes(),
        ),
        case(
            "count-here",
            "1 of 2 entries here, says the end record",
            two.clone().end(|end| end.here = 1).bytes(),
        ),
        case(
            "count-9",
            "9 of 2 entries, says the end record",
            two.clone()
                .end(|end| (end.here, end.count) = (9, 9))
                .bytes(),
        ),
        case(
            "count-ffff",
            "65535 of 2 entries, says the end record",
            two.clone()
                .end(|end| (end.here, end.count) = (0xffff, 0xffff))
                .bytes(),
        ),
        case(
            "directory-size-0",
            "a directory of 0 bytes, says the end record",
            one.clone().end(|end| end.size = 0).bytes(),
        ),
        case(
            "directory-size-less",
            "a directory that is too short, says the end record",
            one.clone().end(|end| end.size -= 5).bytes(),
        ),
        case(
            "directory-size-more",
            "a directory that is too long, says the end record",
            one.clone().end(|end| end.size += 50).bytes(),
        ),
        case(
            "directory-size-most",
            "a directory of 4 GiB, says the end record",
            one.clone().end(|end| end.size = u32::MAX).bytes(),
        ),
        case(
            "directory-offset-0",
            "a directory at 0, says the end record",
            one.clone().end(|end| end.offset = 0).bytes(),
        ),
        case(
            "directory-offset-less",
            "a directory 3 bytes before, says the end record",
            one.clone().end(|end| end.offset -= 3).bytes(),
        ),
        case(
            "directory-offset-more",
            "a directory 3 bytes behind, says the end record",
            one.clone().end(|end| end.offset += 3).bytes(),
        ),
        case(
            "directory-offset-most",
            "a directory at 4 GiB, says the end record",
            one.clone().end(|end| end.offset = u32::MAX).bytes(),
        ),
        case(
            "end-disks",
            "one of several disks, says the end record",
            one.clone()
                .end(|end| (end.disk, end.directory_disk) = (1, 1))
                .bytes(),
        ),
        case(
            "end-disk",
            "the directory is on disk 1, says the end record",
            one.clone().end(|end| end.directory_disk = 1).bytes(),
        ),
        case(
            "end-signature",
            "no end record",
            one.clone()
                .end(|end| end.signature = *b"PK\x05\x07")
                .bytes(),
        ),
        case(
            "end-comment-more",
            "a comment that is longer, says the end record",
            one.clone().end(|end| end.comment = 500).bytes(),
        ),
        case(
            "end-comment-less",
            "a comment that is shorter, says the end record",
            one.clone()
                .comment("a comment")
                .end(|end| end.comment = 3)
                .bytes(),
        ),
        case(
            "end-comment",
            "a comment of 65,000 bytes",
            one.clone().comment([b'c'; 65_000]).bytes(),
        ),
        case(
            "end-in-comment",
            "an end record of nothing in the comment",
            one.clone()
                .comment(*b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
                .bytes(),
        ),
        case(
            "archive-in-comment",
            "the archive stands in the comment of another",
            archive(&[harmless()]).comment(one.bytes()).bytes(),
        ),
        case(
            "archive-around",
            "another archive in the comment",
            one.clone().comment(other.clone()).bytes(),
        ),
        case("end-cut", "the end record is cut", {
            let bytes = one.bytes();
            bytes[..bytes.len() - 9].to_vec()
        }),
        case("directory-cut", "cut within the directory", {
            let bytes = one.bytes();
            bytes[..bytes.len() - 40].to_vec()
        }),
        case(
            "junk-before",
            "junk before it, offsets from the archive's start",
            one.clone().before(noise(3, 1000), false).bytes(),
        ),
        case(
            "junk-before-adjusted",
            "junk before it, offsets from the file's start",
            one.clone().before(noise(3, 1000), true).bytes(),
        ),
        case(
            "junk-behind",
            "1,000 bytes of junk behind it",
            one.clone().behind(noise(4, 1000)).bytes(),
        ),
        case(
            "junk-far-behind",
            "70,000 bytes of junk behind it",
            one.clone().behind(noise(5, 70_000)).bytes(),
        ),
        case(
            "zeros-behind",
            "100,000 zeros behind it",
            one.clone().behind([0; 100_000]).bytes(),
        ),
        case(
            "junk-between",
            "junk between the members and the directory",
            one.clone().between(noise(6, 4096)).bytes(),
        ),
        case(
            "junk-gap",
            "junk between directory and end record",
            one.clone().gap(noise(7, 100)).bytes(),
        ),
        case(
            "archive-before",
            "another archive before it",
            one.clone().before(other.clone(), false).bytes(),
        ),
        case(
            "archive-behind",
            "another archive behind it",
            [one.bytes(), other.clone()].concat(),
        ),
        case(
            "script-before",
            "a script before it",
            one.clone()
                .before(*b"#!/bin/sh\nexec true\n", false)
                .bytes(),
        ),
        case(
            "pdf-before",
            "the head of another format before it",
            one.clone()
                .before([b"%PD", &b"F-1.7\n%%E"[..], b"OF\n"].concat(), false)
                .bytes(),
        ),
        case(
            "gif-before",
            "the head of a picture before it",
            one.clone()
                .before(*b"GIF89a\x01\0\x01\0\0\0\0;", false)
                .bytes(),
        ),
        case(
            "gzip-before",
            "a gzip member before it",
            one.before(gzip(b"harmless"), false).bytes(),
        ),
    ]
}

/// The lists of members.
fn lists() -> Vec<Case> {
    let inner = plain_zip(&[("virus.com", &eicar())]);
    let mut deep = inner.clone();
    for _ in 0..20 {
        deep = plain_zip(&[("in.zip", &deep)]);
    }
    let unlisted = |members: &[Member]| archive(members).bytes();
    let mut broken = one(evil());
    broken[0] = b'X';
    let mut directory = one(evil());
    let at = memchr::memmem::find(&directory, b"PK\x01\x02").unwrap();
    directory[at] = b'X';
    vec![
        case(
            "unlisted",
            "not in the directory",
            unlisted(&[harmless(), evil().with(|member| member.listed = false)]),
        ),
        case(
            "unlisted-first",
            "not in the directory, and the first",
            unlisted(&[evil().with(|member| member.listed = false), harmless()]),
        ),
        case(
            "unlisted-alone",
            "the directory is empty",
            unlisted(&[evil().with(|member| member.listed = false)]),
        ),
        case(
            "headless",
            "without a local header",
            unlisted(&[harmless(), evil().with(|member| member.headed = false)]),
        ),
        case(
            "header-broken",
            "the letters of the local header are wrong",
            broken,
        ),
        case(
            "directory-broken",
            "the letters of the directory are wrong",
            directory,
        ),
        case(
            "offset-less",
            "an offset 4 bytes before the header",
            one(evil().with(|member| member.shift = -4)),
        ),
        case(
            "offset-more",
            "an offset 4 bytes behind the header",
            one(evil().with(|member| member.shift = 4)),
        ),
        case(
            "offset-far",
            "an offset behind the end",
            one(evil().with(|member| member.shift = 0x7000_0000)),
        ),
        case(
            "offset-other",
            "two entries that lead to one harmless member",
            {
                let first = harmless();
                let length = i64::try_from(30 + first.local.name.len() + first.data.len()).unwrap();
                unlisted(&[first, evil().with(|member| member.shift = -length)])
            },
        ),
        case(
            "within-stored",
            "an entry that leads into a stored member",
            {
                let inside = {
                    let bytes = one(evil());
                    bytes[..memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap()].to_vec()
                };
                let length = i64::try_from(inside.len()).unwrap();
                unlisted(&[
                    packed("letter.txt", 0, inside.clone(), &inside),
                    evil().with(|member| {
                        member.headed = false;
                        member.data = Vec::new();
                        member.shift = -length;
                    }),
                ])
            },
        ),
        case(
            "archive-in-stored",
            "in an archive that is stored",
            one(packed("in.zip", 0, inner.clone(), &inner)),
        ),
        case(
            "archive-in-archive",
            "in an archive in it",
            plain_zip(&[("in.zip", &inner)]),
        ),
        case("deep-21", "21 archives deep", deep),
        case(
            "marked",
            "with the mark of several disks",
            [b"PK\x07\x08".to_vec(), one(evil())].concat(),
        ),
        case(
            "marked-00",
            "with the mark of one disk of several",
            [b"PK00".to_vec(), one(evil())].concat(),
        ),
        case("many-before", "behind 5,000 harmless members", {
            let mut members = vec![harmless(); 5000];
            members.push(evil());
            archive(&members).bytes()
        }),
        case(
            "signing-block",
            "a block of signatures before the directory, as Android has it",
            archive(&[evil()])
                .between({
                    let mut block = 32_u64.to_le_bytes().to_vec();
                    block.extend([0; 8]);
                    block.extend(32_u64.to_le_bytes());
                    block.extend(b"APK Sig Block 42");
                    block
                })
                .bytes(),
        ),
    ]
}

/// 64-bit forms.
fn wide() -> Vec<Case> {
    let sizes = |packed: u64, size: u64| {
        let mut field = size.to_le_bytes().to_vec();
        field.extend(packed.to_le_bytes());
        extra(1, &field)
    };
    let data = deflate(&eicar()).len() as u64;
    let length = eicar().len() as u64;
    let large = |side: &mut Side| (side.packed, side.size) = (u32::MAX, u32::MAX);
    // The end record in its long form, and what leads to it.
    let long = |change: fn(&mut [u64; 4]), locator: i64| {
        let short = archive(&[evil()]);
        let bytes = short.bytes();
        let start = memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap();
        let end = memchr::memmem::find(&bytes, b"PK\x05\x06").unwrap();
        let mut fields = [1, 1, (end - start) as u64, start as u64];
        change(&mut fields);
        let mut gap = b"PK\x06\x06".to_vec();
        gap.extend(44_u64.to_le_bytes());
        gap.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        gap.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        gap.extend(b"PK\x06\x07\0\0\0\0");
        gap.extend((end as u64).wrapping_add_signed(locator).to_le_bytes());
        gap.extend([1, 0, 0, 0]);
        short
            .gap(gap)
            .end(|end| {
                (end.here, end.count, end.size, end.offset) = (0xffff, 0xffff, u32::MAX, u32::MAX);
            })
            .bytes()
    };
    vec![
        case(
            "wide",
            "sizes of 64 bits in both headers",
            one(evil()
                .each(large)
                .each(|side| side.extra = sizes(data, length))),
        ),
        case(
            "wide-local",
            "sizes of 64 bits in the local header",
            one(evil()
                .local(large)
                .local(|side| side.extra = sizes(data, length))),
        ),
        case(
            "wide-central",
            "sizes of 64 bits in the directory",
            one(evil()
                .central(large)
                .central(|side| side.extra = sizes(data, length))),
        ),
        case(
            "wide-unused",
            "sizes of 64 bits that nothing refers to",
            one(evil().each(|side| side.extra = sizes(1, 1))),
        ),
        case(
            "wide-missing",
            "sizes of 64 bits, and no field for them",
            one(evil().each(large)),
        ),
        case(
            "wide-cut",
            "sizes of 64 bits, and half a field for them",
            one(evil()
                .each(large)
                .each(|side| side.extra = extra(1, &length.to_le_bytes()))),
        ),
        case(
            "wide-huge",
            "sizes of 2^63 bytes",
            one(evil()
                .each(large)
                .each(|side| side.extra = sizes(1 << 63, 1 << 63))),
        ),
        case("wide-end", "an end record of 64 bits", long(|_| {}, 0)),
        case(
            "wide-end-count",
            "an end record of 64 bits that counts nothing",
            long(|fields| (fields[0], fields[1]) = (0, 0), 0),
        ),
        case(
            "wide-end-offset",
            "an end record of 64 bits with another offset",
            long(|fields| fields[3] += 7, 0),
        ),
        case(
            "wide-end-lost",
            "an end record of 64 bits that is elsewhere",
            long(|_| {}, 5),
        ),
        case(
            "wide-end-far",
            "an end record of 64 bits behind the end",
            long(|_| {}, 0x7000_0000_0000),
        ),
    ]
}

/// Sizes that come behind the data.
fn streams() -> Vec<Case> {
    let wrong = |change: fn(&mut Side)| {
        let mut of = evil().central;
        change(&mut of);
        let behind = descriptor(true, &of);
        archive(&[
            streamed(true).with(|member| member.behind = behind.clone()),
            harmless(),
        ])
        .bytes()
    };
    vec![
        case(
            "streamed",
            "sizes behind the data",
            archive(&[streamed(true), harmless()]).bytes(),
        ),
        case(
            "streamed-bare",
            "sizes behind the data without their signature",
            archive(&[streamed(false), harmless()]).bytes(),
        ),
        case(
            "streamed-missing",
            "sizes that should come behind the data and do not",
            archive(&[
                streamed(true).with(|member| member.behind.clear()),
                harmless(),
            ])
            .bytes(),
        ),
        case(
            "streamed-known",
            "sizes before and behind the data",
            archive(&[
                streamed(true).with(|member| {
                    let flags = member.local.flags;
                    member.local = member.central.clone();
                    member.local.flags = flags;
                }),
                harmless(),
            ])
            .bytes(),
        ),
        case(
            "streamed-local",
            "sizes behind the data, says the local header alone",
            archive(&[streamed(true).central(|side| side.flags = 0), harmless()]).bytes(),
        ),
        case(
            "streamed-central",
            "sizes behind the data, says the directory alone",
            archive(&[evil().central(|side| side.flags = 8), harmless()]).bytes(),
        ),
        case(
            "streamed-size",
            "a wrong size behind the data",
            wrong(|side| side.size = 1),
        ),
        case(
            "streamed-packed",
            "a wrong compressed size behind the data",
            wrong(|side| side.packed = 1),
        ),
        case(
            "streamed-sum",
            "a wrong checksum behind the data",
            wrong(|side| side.sum = 1),
        ),
        case(
            "streamed-unlisted",
            "sizes behind the data, and not in the directory",
            archive(&[
                harmless(),
                streamed(true).with(|member| member.listed = false),
            ])
            .bytes(),
        ),
        case(
            "streamed-no-directory",
            "sizes behind the data, and no directory",
            {
                let bytes = archive(&[streamed(true)]).bytes();
                bytes[..memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap()].to_vec()
            },
        ),
        case("no-directory", "no directory", {
            let bytes = archive(&[harmless(), evil()]).bytes();
            bytes[..memchr::memmem::find(&bytes, b"PK\x01\x02").unwrap()].to_vec()
        }),
    ]
}
