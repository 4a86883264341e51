//! What must hold beside a magic number, format by format.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::bytes::Reader;
use crate::expand::ar::old_package as old_deb;
use crate::expand::number::digits;
use crate::expand::pyinstaller::Package;
use crate::expand::tar::{Header, begins_late};
use crate::expand::{cpio, gzip as gz, nsis as installer, rtf as rtf_file, stream, zip};
use crate::object::Probe;

/// The bytes of the head from `at` on.
pub(super) fn from(probe: &Probe, at: usize) -> Reader<'_> {
    Reader::new(probe.head.get(at..).unwrap_or_default())
}

pub(super) fn byte(probe: &Probe, at: usize) -> Option<u8> {
    probe.head.get(at).copied()
}

fn be16(reader: &mut Reader<'_>) -> Option<u16> {
    reader.array().map(u16::from_be_bytes)
}

/// Tells whether an optional number lies in a range.
pub(super) fn within<T: PartialOrd>(value: Option<T>, range: std::ops::RangeInclusive<T>) -> bool {
    value.is_some_and(|value| range.contains(&value))
}

pub(super) fn gzip(probe: &Probe) -> bool {
    gz::method(&probe.head).is_some()
}

/// A number of files, then zeros, and a name where the first file's is.
pub(super) fn installshield(probe: &Probe) -> bool {
    let mut reader = from(probe, 14);
    within(reader.u16_le(), 1..=u16::MAX)
        && reader.take(30).is_some()
        && matches!(byte(probe, 46), Some(b' '..=b'~' | 0x80..))
}

/// A length that is more than what is packed, and not beyond reason.
pub(super) fn packed(probe: &Probe) -> bool {
    let mut reader = from(probe, 2);
    let size = reader.array().map(u32::from_be_bytes);
    size.is_some_and(|size| {
        let size = u64::from(size);
        size > 0 && size < probe.length.saturating_mul(64)
    })
}

/// The level, then the magic of a block or, in an empty file, of the end.
pub(super) fn bzip2(probe: &Probe) -> bool {
    let mut reader = from(probe, 3);
    // Of a level that is none, too: the rest is sure enough to be told as damaged.
    reader.take(1).is_some()
        && matches!(
            reader.take(6),
            Some(b"\x31\x41\x59\x26\x53\x59" | b"\x17\x72\x45\x38\x50\x90")
        )
}

/// Zstandard and LZ4 share the frames that are to be skipped: what comes after the first tells which it is. Where that
/// is out of sight it is called Zstandard.
pub(super) fn skippable_zstd(probe: &Probe) -> bool {
    match after_skippable(probe) {
        Some(Some(next)) => next.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable(next),
        Some(None) => true,
        None => false,
    }
}

pub(super) fn skippable_lz4(probe: &Probe) -> bool {
    after_skippable(probe)
        .flatten()
        .is_some_and(|next| next.starts_with(b"\x04\x22\x4d\x18"))
}

fn is_skippable(frame: &[u8]) -> bool {
    matches!(frame, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The outer `None`: no such frame. The inner one: it ends beyond the head.
fn after_skippable(probe: &Probe) -> Option<Option<&[u8]>> {
    if !is_skippable(&probe.head) {
        return None;
    }
    let length = from(probe, 4).u32_le()?;
    let end = u64::from(length) + 8;
    if end > probe.length {
        return None;
    }
    let rest = usize::try_from(end)
        .ok()
        .and_then(|end| probe.head.get(end..));
    Some(rest.filter(|rest| !rest.is_empty()))
}

/// FLG: version 1, reserved bit zero; BD: reserved bits zero, a block size that exists.
pub(super) fn lz4(probe: &Probe) -> bool {
    byte(probe, 4).is_some_and(|flags| flags & 0xc2 == 0x40)
        && byte(probe, 5).is_some_and(|block| block & 0x8f == 0 && block >= 0x40)
}

/// Version and dictionary size.
pub(super) fn lzip(probe: &Probe) -> bool {
    within(byte(probe, 4), 0..=1) && within(byte(probe, 5).map(|size| size & 0x1f), 12..=29)
}

/// Properties that exist, a dictionary that encoders use, a size that can be, and a range coder that begins with zero. Those
/// properties that all encoders choose by themselves (3/0/2) are enough; with others, it has to decode as well.
pub(super) fn lzma(probe: &Probe) -> bool {
    const USUAL: u8 = 0x5d;
    let mut reader = from(probe, 1);
    let (Some(dictionary), Some(size)) = (reader.u32_le(), reader.u64_le()) else {
        return false;
    };
    let properties = byte(probe, 0).unwrap_or(u8::MAX);
    let usual = dictionary == u32::MAX
        || dictionary.is_power_of_two()
        || (dictionary % 3 == 0 && (dictionary / 3).is_power_of_two());
    let usual = usual && dictionary >= 1 << 12;
    // A size that is not known is a mark of eight bytes. Decoders take any dictionary.
    (size == u64::MAX || usual && size < 1 << 40)
        && properties < 225
        && byte(probe, 13) == Some(0)
        && (usual && properties == USUAL || stream::is_lzma(probe))
}

/// The same behind the byte by which LZMA86 tells whether the branches of x86 were converted.
pub(super) fn lzma86(probe: &Probe) -> bool {
    let behind = probe
        .head
        .get(1..)
        .is_some_and(|head| head.len() > 13 && stream::is_lzma86(&probe.head));
    behind && {
        let behind = Probe {
            head: probe.head.slice(1..),
            ..Probe::default()
        };
        lzma(&behind) && stream::is_lzma(&behind)
    }
}

/// Flags: 9 to 16 bits, reserved ones zero. The first code has 9 bits and is a literal.
pub(super) fn compress(probe: &Probe) -> bool {
    let flags =
        byte(probe, 2).is_some_and(|flags| flags & 0x60 == 0 && (9..=16).contains(&(flags & 0x1f)));
    flags && byte(probe, 4).is_none_or(|high| high & 1 == 0)
}

/// The first format of RAR: its header has at least 7 bytes.
pub(super) fn old_rar(probe: &Probe) -> bool {
    within(from(probe, 4).u16_le(), 7..=1024)
}

/// The fields of "newc" and "crc" are 13 hexadecimal numbers; or those are that count, and the name ends where it should.
pub(super) fn cpio_new(probe: &Probe) -> bool {
    mostly(probe, 13 * 8, u8::is_ascii_hexdigit) || cpio::begins(&probe.head)
}

/// So it is with the 70 octal digits of the portable form.
pub(super) fn cpio_odc(probe: &Probe) -> bool {
    mostly(probe, 70, |byte| matches!(byte, b'0'..=b'7')) || cpio::begins(&probe.head)
}

/// Behind the magic are fields of so many digits; readers take one that is damaged for another number.
fn mostly(probe: &Probe, count: usize, is_digit: fn(&u8) -> bool) -> bool {
    let fields = from(probe, 6).take(count).unwrap_or_default();
    fields.len() == count && fields.iter().filter(|byte| is_digit(byte)).count() >= count / 4 * 3
}

pub(super) fn cpio_little(probe: &Probe) -> bool {
    cpio_binary(probe, b"\xc7\x71", u16::from_le_bytes)
}

pub(super) fn cpio_big(probe: &Probe) -> bool {
    cpio_binary(probe, b"\x71\xc7", u16::from_be_bytes)
}

/// The binary form: a sound header at the start, or soon behind one that is damaged; or two that are damaged, of which one has the type of a file.
fn cpio_binary(probe: &Probe, magic: &[u8], word: fn([u8; 2]) -> u16) -> bool {
    const SOON: usize = 4096;
    let head = probe.head.get(..SOON).unwrap_or(&probe.head);
    let mut places = memchr::memmem::find_iter(head, magic);
    places.clone().any(|at| cpio_header(probe, at, word))
        || places.clone().next() == Some(0)
            && places.clone().nth(1).is_some()
            && places.any(|at| cpio_fields(probe, at, word).is_some())
}

/// Numbers of a header whose type of file exists.
struct CpioFields {
    name: usize,
    size: u64,
}

fn cpio_fields(probe: &Probe, at: usize, word: fn([u8; 2]) -> u16) -> Option<CpioFields> {
    let header = from(probe, at).array::<26>()?;
    let (words, _) = header.as_chunks::<2>();
    let field = |at: usize| words.get(at).map_or(0, |bytes| word(*bytes));
    matches!(field(3) >> 12, 1 | 2 | 4 | 6 | 8 | 10 | 12).then(|| CpioFields {
        name: field(10).into(),
        size: u64::from(field(11)) << 16 | u64::from(field(12)),
    })
}

/// A file type that exists, a size that is there, and a name that ends where its length says.
fn cpio_header(probe: &Probe, at: usize, word: fn([u8; 2]) -> u16) -> bool {
    let Some(fields) = cpio_fields(probe, at, word) else {
        return false;
    };
    let name = from(probe, at.saturating_add(26)).take(fields.name.min(1024));
    let named = name
        .is_some_and(|name| name.iter().position(|byte| *byte == 0) == name.len().checked_sub(1));
    named && fields.size <= probe.length
}

/// The lead's version and type.
pub(super) fn rpm(probe: &Probe) -> bool {
    within(byte(probe, 4), 2..=4) && matches!(from(probe, 6).array(), Some([0, 0 | 1]))
}

pub(super) fn squashfs_little(probe: &Probe) -> bool {
    within(from(probe, 28).u16_le(), 1..=4)
}

pub(super) fn squashfs_big(probe: &Probe) -> bool {
    within(be16(&mut from(probe, 28)), 1..=4)
}

/// A compact disc with all bytes of its sectors: the first is in minute 0, second 2, and the next one follows it, perhaps
/// behind 96 bytes of subchannels.
pub(super) fn raw_sectors(probe: &Probe) -> bool {
    let sync = probe.head.get(..12);
    let follows = |at: usize| from(probe, at).take(12) == sync;
    matches!(from(probe, 12).array(), Some([0, 2, 0, 1 | 2])) && (follows(2352) || follows(2448))
}

pub(super) fn chm(probe: &Probe) -> bool {
    within(from(probe, 4).u32_le(), 1..=4)
}

pub(super) fn xar(probe: &Probe) -> bool {
    let mut reader = from(probe, 4);
    within(be16(&mut reader), 28..=128) && within(be16(&mut reader), 0..=1)
}

/// The header's checksum holds.
pub(super) fn arj(probe: &Probe) -> bool {
    let mut reader = from(probe, 2);
    let Some(length @ 30..=2600) = reader.u16_le() else {
        return false;
    };
    reader
        .take(length.into())
        .is_some_and(|header| reader.u32_le() == Some(crc32fast::hash(header)))
}

/// A method that exists, and a header that fits its level.
pub(super) fn lha(probe: &Probe) -> bool {
    let method = matches!(
        from(probe, 2).take(5),
        Some(
            [b'-', b'l', b'h', b'0'..=b'9' | b'd' | b'x', b'-']
                | b"-lz4-"
                | b"-lz5-"
                | b"-lzs-"
                | b"-pm0-"
                | b"-pm1-"
                | b"-pm2-"
        )
    );
    let size = from(probe, 0).u16_le().unwrap_or_default();
    method
        && match byte(probe, 20) {
            Some(0 | 1) => lha_sum_holds(probe),
            Some(2) => size >= 26,
            Some(3) => size == 4,
            _ => false,
        }
}

/// Levels 0 and 1: the second byte is the sum of as many bytes as the first says.
fn lha_sum_holds(probe: &Probe) -> bool {
    let length = byte(probe, 0).unwrap_or_default();
    let header = from(probe, 2).take(length.into());
    let sum = header.map(|header| {
        header
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
    });
    sum.is_some() && sum == byte(probe, 1)
}

/// Word passes over white space in front, other readers over more.
pub(super) fn rtf(probe: &Probe) -> bool {
    rtf_file::start(&probe.head).is_some()
}

/// The only version that there is, folders and files.
pub(super) fn cab(probe: &Probe) -> bool {
    let mut reader = from(probe, 24);
    reader.u16_le() == Some(0x0103)
        && within(reader.u16_le(), 1..=u16::MAX)
        && within(reader.u16_le(), 1..=u16::MAX)
}

/// A version that exists, and a length that can be: these three letters begin texts, too.
pub(super) fn swf(probe: &Probe) -> bool {
    let length = from(probe, 4).u32_le().map(u64::from);
    // Players do not ask for the version.
    (within(byte(probe, 3), 1..=60) || length == Some(probe.length))
        && length.is_some_and(|length| length >= 21 && length / 4 <= probe.length)
}

/// A version that exists, and the start of a zlib stream. Players do not ask for the version: with another the stream has to be one.
pub(super) fn swf_zlib(probe: &Probe) -> bool {
    let stream = be16(&mut from(probe, 8));
    let begins = stream.is_some_and(|head| head >> 8 & 0x0f == 8 && head % 31 == 0);
    let is_stream = || {
        stream::is_zlib(&Probe {
            head: probe.head.slice(8.min(probe.head.len())..),
            ..Probe::default()
        })
    };
    begins && (within(byte(probe, 3), 6..=60) || is_stream())
}

/// A version that exists, or a compressed size that can be; and the usual properties of LZMA behind it.
pub(super) fn swf_lzma(probe: &Probe) -> bool {
    let size = from(probe, 8).u32_le().map(u64::from);
    let fits = size.is_some_and(|size| size > 0 && size <= probe.length);
    (within(byte(probe, 3), 13..=60) || fits) && byte(probe, 12) == Some(0x5d)
}

/// The first header's checksum holds, which is all that tar itself asks; or it is damaged, with its magic left; or there are
/// blocks in front of it, which readers pass over.
pub(super) fn tar(probe: &Probe) -> bool {
    let header = from(probe, 0).array().map(Header::new);
    header.is_some_and(|header| header.has_full_magic() || header.checksum_holds())
        || begins_late(&probe.head)
}

/// A Debian package of before 1995: a version, the length of its control archive, and that archive, which is gzipped.
pub(super) fn old_package(probe: &Probe) -> bool {
    old_deb(&probe.head).is_some_and(|(start, length)| {
        probe.length > start.saturating_add(length)
            && usize::try_from(start)
                .is_ok_and(|start| from(probe, start).take(2) == Some(b"\x1f\x8b"))
    })
}

/// The trailer of an Apple disk image: its signature and the length of 512 that it says itself.
pub(super) fn dmg(probe: &Probe) -> bool {
    let at = probe.tail.len().checked_sub(512);
    let trailer = at.and_then(|at| probe.tail.get(at..));
    trailer.is_some_and(|trailer| {
        trailer.starts_with(b"koly") && trailer.get(8..12) == Some(&512_u32.to_be_bytes())
    })
}

/// A file system or a disk with partitions that is not opened, by what its own drivers ask for.
pub(super) fn disk(probe: &Probe) -> bool {
    let at = |at: usize, bytes: &[u8]| probe.has(at, bytes);
    let ext = at(1080, b"\x53\xef")
        && within(from(probe, 1048).u32_le(), 0..=6)
        && within(from(probe, 1100).u32_le(), 0..=1);
    let hfs = at(1024, b"H+\0\x04") || at(1024, b"HX\0\x05") || old_hfs(probe);
    let boot_sector = at(510, b"\x55\xaa") && matches!(byte(probe, 0), Some(0xeb | 0xe9));
    let fat = boot_sector && (at(54, b"FAT") || at(82, b"FAT32   "));
    let windows = boot_sector && (at(3, b"NTFS    ") || at(3, b"EXFAT   "));
    // What is told by a mark alone: XFS, APFS, cramfs (two byte orders, also behind a boot sector), romfs, UBI and UBIFS, F2FS,
    // Btrfs, ReiserFS, JFS, NILFS, bcachefs, and volumes of LUKS and LVM.
    let marked = MARKS.iter().any(|(place, mark)| at(*place, mark))
        || (at(1024, b"\xe2\xe1\xf5\xe0") && within(byte(probe, 1036), 9..=16));
    let machines = [&b"QFI\xfb\0\0\0"[..], b"KDMV", b"vhdxfile", b"conectix"];
    let machine = machines.iter().any(|magic| at(0, magic)) || at(64, b"\x7f\x10\xda\xbe");
    let last = probe.tail.len().checked_sub(512);
    let fixed = last.and_then(|last| probe.tail.get(last..));
    let fixed = fixed.is_some_and(|footer| footer.starts_with(b"conectix"));
    let partitions = at(512, b"EFI PART") || partition_table(probe);
    let small = minix(probe) || jffs2(probe);
    ext || hfs || fat || windows || marked || small || machine || fixed || partitions
}

/// Marks of file systems that are long enough alone, and where they are.
const MARKS: [(usize, &[u8]); 20] = [
    (0, b"XFSB\0\0"),
    (32, b"NXSB"),
    (16, b"Compressed ROMFS"),
    (528, b"Compressed ROMFS"),
    (0, b"-rom1fs-"),
    (0, b"UBI#\x01\0\0\0"),
    (0, b"\x31\x18\x10\x06"),
    (1024, b"\x10\x20\xf5\xf2"),
    (65_600, b"_BHRfS_M"),
    (65_588, b"ReIsErFs"),
    (65_588, b"ReIsEr2Fs"),
    (65_588, b"ReIsEr3Fs"),
    (8_244, b"ReIsErFs"),
    (65_536, b"ReIsEr4\0"),
    (32_768, b"JFS1"),
    (4_120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca"),
    (4_120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9"),
    (0, b"LUKS\xba\xbe\0"),
    (512, b"LABELONE"),
    (1024, b"\x02\0\0\0\0\0\x34\x34"),
];

/// Apple's file system before HFS+: a mark of two bytes, blocks of whole sectors, and a name of the volume.
fn old_hfs(probe: &Probe) -> bool {
    let blocks = be16(&mut from(probe, 1042));
    let size = from(probe, 1044).array().map(u32::from_be_bytes);
    let name = byte(probe, 1060);
    from(probe, 1024).take(2) == Some(b"BD")
        && within(blocks, 1..=u16::MAX)
        && size.is_some_and(|size| size > 0 && size % 512 == 0)
        && within(name, 1..=27)
}

/// Minix: a mark of two bytes, and maps, zones and a first zone of data that fit together.
fn minix(probe: &Probe) -> bool {
    let short = |at: usize| from(probe, 1024 + at).u16_le().unwrap_or_default();
    let fits = |inodes: u64, maps: [u16; 2], first: u16, shift: u16| {
        let [inode_map, zone_map] = maps.map(u64::from);
        let block = 8 * 1024;
        inodes > 0
            && inode_map > 0
            && zone_map > 0
            && inodes <= inode_map * block * 4
            && u64::from(first) > inode_map + zone_map
            && shift <= 8
    };
    match (short(16), short(24)) {
        (0x137f | 0x138f | 0x2468 | 0x2478, _) => {
            fits(short(0).into(), [short(4), short(6)], short(8), short(10))
        }
        (_, 0x4d5a) => {
            let inodes = from(probe, 1024).u32_le().unwrap_or_default();
            let block = matches!(short(28), 1024 | 2048 | 4096);
            block && fits(inodes.into(), [short(6), short(8)], short(10), short(12))
        }
        _ => false,
    }
}

/// JFFS2, in either byte order: a node of a type that exists, with a length that can be, and the checksum of its header.
fn jffs2(probe: &Probe) -> bool {
    let Some(header) = from(probe, 0).array::<12>() else {
        return false;
    };
    let [a, b, c, d, ..] = header;
    let (kind, length, sum) = match (a, b) {
        (0x85, 0x19) => ([d, c], from(probe, 4).u32_le(), from(probe, 8).u32_le()),
        (0x19, 0x85) => (
            [c, d],
            from(probe, 4).array().map(u32::from_be_bytes),
            from(probe, 8).array().map(u32::from_be_bytes),
        ),
        _ => return false,
    };
    // The kernel's sum is not inverted, neither before nor after.
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
    hasher.update(header.get(..8).unwrap_or_default());
    matches!(kind, [0xe0, 1 | 2 | 8 | 9] | [0x20, 3 | 4 | 6])
        && length.is_some_and(|length| length >= 12)
        && sum == Some(!hasher.finalize())
}

/// Version 2 of a program that never had another.
pub(super) fn rzip(probe: &Probe) -> bool {
    within(byte(probe, 4), 1..=2) && within(byte(probe, 5), 0..=9)
}

/// The first block's length: one that can be.
pub(super) fn lzfse(probe: &Probe) -> bool {
    let kind = matches!(byte(probe, 3), Some(b'1' | b'2' | b'n' | b'-'));
    kind && within(from(probe, 4).u32_le(), 1..=1 << 28)
}

/// The length of the first header, and the name of its first field: three letters and a type.
pub(super) fn apple_archive(probe: &Probe) -> bool {
    let field = from(probe, 6).take(3).unwrap_or_default();
    within(from(probe, 4).u16_le(), 10..=u16::MAX)
        && field.len() == 3
        && (field.iter()).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A method, and the size of blocks, which fits into four bytes.
pub(super) fn pbzx(probe: &Probe) -> bool {
    let size = from(probe, 4).array().map(u64::from_be_bytes);
    matches!(
        byte(probe, 3),
        Some(b'x' | b'4' | b'e' | b'z' | b'b' | b'-')
    ) && within(size, 1 << 10..=1 << 32)
}

/// The checksum of the header holds: that of ARC, over 50 bytes behind the mark.
pub(super) fn dms(probe: &Probe) -> bool {
    let sum = |sum: u16, byte: &u8| {
        let mut sum = sum ^ u16::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1 != 0;
            sum >>= 1;
            if carry {
                sum ^= 0xa001;
            }
        }
        sum
    };
    let header = from(probe, 4)
        .take(50)
        .map(|bytes| bytes.iter().fold(0, sum));
    header.is_some() && header == be16(&mut from(probe, 54))
}

/// A version, and the end of the line.
pub(super) fn warc(probe: &Probe) -> bool {
    let line = from(probe, 5).take(6).unwrap_or_default();
    matches!(
        line,
        [b'0'..=b'9', b'.', b'0'..=b'9', b'\r' | b'\n', ..]
            | [
                b'0'..=b'9',
                b'.',
                b'0'..=b'9',
                b'0'..=b'9',
                b'\r' | b'\n',
                ..
            ]
    )
}

/// Lengths that lie in each other, and a text that begins with the list of files.
pub(super) fn asar(probe: &Probe) -> bool {
    let mut reader = from(probe, 4);
    let lengths = (reader.u32_le(), reader.u32_le(), reader.u32_le());
    let (Some(outer), Some(inner), Some(text)) = lengths else {
        return false;
    };
    let list = from(probe, 16).take(64.min(probe.head.len().saturating_sub(16)));
    let list = list.unwrap_or_default();
    outer.checked_sub(4) == Some(inner)
        && inner.checked_sub(4).is_some_and(|most| text <= most)
        && list.starts_with(b"{")
        && memchr::memmem::find(list, b"\"files\"").is_some()
}

/// The table of partitions of the PC: four entries, each empty or within the disk.
fn partition_table(probe: &Probe) -> bool {
    let Some(table) = from(probe, 446)
        .array::<66>()
        .filter(|table| table.ends_with(b"\x55\xaa"))
    else {
        return false;
    };
    let sectors = probe.length / 512;
    let mut partitions = 0;
    for entry in table.chunks_exact(16) {
        if entry.iter().all(|byte| *byte == 0) {
            continue;
        }
        let place = Reader::new(entry.get(8..).unwrap_or_default())
            .array::<8>()
            .map(u64::from_le_bytes)
            .unwrap_or_default();
        let (start, count) = (place & 0xffff_ffff, place >> 32);
        let is_sound = matches!(entry, [0 | 0x80, _, _, _, kind, ..] if *kind != 0)
            && start > 0
            && count > 0
            && start + count <= sectors;
        if !is_sound {
            return false;
        }
        partitions += 1;
    }
    partitions > 0
}

/// An archive behind something else, as self-extracting programs have it.
/// What else than a member an archive begins with; libarchive reads on to the first one.
pub(super) fn zip_goes_on(probe: &Probe) -> bool {
    memchr::memmem::find(&probe.head, b"PK\x03\x04").is_some()
}

pub(super) fn zip_at_the_end(probe: &Probe) -> bool {
    zip::may_end(&probe.tail, probe.length)
}

/// An archive with its mark near the end, and numbers in it that can be.
pub(super) fn pyinstaller(probe: &Probe) -> bool {
    Package::find(&probe.tail, probe.length).is_some()
}

/// A program with the block behind it that ends an archive of RAR 3 or 5: one that unpacks itself.
pub(super) fn rar_at_the_end(probe: &Probe) -> bool {
    const ENDS: [&[u8]; 2] = [
        b"\xc4\x3d\x7b\x00\x40\x07\x00",
        b"\x1d\x77\x56\x51\x03\x05\x04\x00",
    ];
    let is_program = [&b"MZ"[..], b"\x7fELF"]
        .iter()
        .any(|magic| probe.head.starts_with(magic));
    let ends = || {
        ENDS.iter()
            .any(|end| memchr::memmem::find(&probe.tail, end).is_some())
    };
    is_program && ends()
}

/// Readers take a header anywhere in the first 1,024 bytes, also behind any blanks, and some of them any header, or none, or one anywhere: they look
/// for objects. With a version behind it, or an object and an end, it is not just a text about PDF.
pub(super) fn pdf(probe: &Probe) -> bool {
    let head = probe.head.trim_ascii_start();
    let head = head.get(..1024).unwrap_or(head);
    let has = |text: &[u8], word: &[u8]| memchr::memmem::find(text, word).is_some();
    // Programs that write documents quote objects, too, but hardly a stream.
    let has_end = |text: &[u8]| {
        has_pdf_ends(probe)
            || has(head, b"endobj")
            || has(text, b"endobj") && (has(text, b"endstream") || has_pdf_version(text))
    };
    has_pdf_version(head)
        || [&probe.head, &probe.tail]
            .into_iter()
            .any(|text| has_pdf_object(text) && has_end(text))
}

/// The header of a document with its version.
fn has_pdf_version(head: &[u8]) -> bool {
    PDF.find_iter(head).any(|at| {
        let version = head.get(at + 5..at + 8);
        matches!(version, Some([major, b'.', minor])
            if digits(&[*major, *minor], 10).is_some_and(|version| (10..=20).contains(&version)))
    })
}

static PDF: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"%PDF-"));
static OBJECT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" obj"));

/// The end of a document is in sight.
fn has_pdf_ends(probe: &Probe) -> bool {
    let tail = match probe.tail.is_empty() {
        true => &*probe.head,
        false => &*probe.tail,
    };
    let tail = tail.get(tail.len().saturating_sub(1024)..).unwrap_or(tail);
    [&b"%%EOF"[..], b"startxref", b"trailer"]
        .iter()
        .any(|word| memchr::memmem::find(tail, word).is_some())
}

/// `1 0 obj` at the start of a line or behind zeros, and a dictionary behind it.
fn has_pdf_object(head: &[u8]) -> bool {
    OBJECT.find_iter(head).any(|at| {
        let (before, after) = head.split_at(at);
        let line = before
            .rsplit(|byte| matches!(byte, 0 | b'\n' | b'\r'))
            .next();
        let mut numbers = line.unwrap_or(before).split(|byte| *byte == b' ');
        let is_number = |word: Option<&[u8]>| {
            word.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit))
        };
        let (number, generation) = (numbers.next(), numbers.next());
        let value = after.get(4..).unwrap_or_default().trim_ascii_start();
        is_number(number)
            && is_number(generation)
            && numbers.next().is_none()
            && value.starts_with(b"<<")
    })
}

/// A header that leads to a second one, or that of a program for DOS: bytes of the last page, pages, and a header that
/// holds its own fields.
pub(super) fn dos_program(probe: &Probe) -> bool {
    let second = from(probe, 0x3c).u32_le();
    let is_second = second.is_some_and(|at| {
        let at = u64::from(at);
        let seen = usize::try_from(at).ok().and_then(|at| probe.head.get(at..));
        match seen {
            Some(rest) if rest.len() >= 4 => rest.starts_with(b"PE\0\0"),
            _ => at >= probe.head.len() as u64 && at < probe.length,
        }
    });
    let fields = || {
        let mut reader = from(probe, 2);
        let (last, pages) = (reader.u16_le()?, reader.u16_le()?);
        reader.u16_le()?;
        let paragraphs = u64::from(reader.u16_le()?) * 16;
        let length = u64::from(pages) * 512;
        Some(last < 512 && pages > 0 && (28..=length.min(probe.length)).contains(&paragraphs))
    };
    is_second || fields().unwrap_or(false)
}

/// Class, byte order, version, and the length of the header that this class has.
pub(super) fn elf(probe: &Probe) -> bool {
    let length = |at: usize, big: bool| {
        let bytes = from(probe, at).array::<2>()?;
        Some(if big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    };
    match probe.head.get(4..7) {
        Some([1, data @ 1..=2, 1]) => length(40, *data == 2) == Some(52),
        Some([2, data @ 1..=2, 1]) => length(52, *data == 2) == Some(64),
        _ => false,
    }
}

/// Either word size in either byte order, a type of file that exists, and at least one command.
pub(super) fn mach_o(probe: &Probe) -> bool {
    let big = probe.head.first() == Some(&0xfe);
    let last = if big { byte(probe, 3) } else { byte(probe, 0) };
    let mut reader = from(probe, 12);
    let mut number = || {
        reader.array().map(if big {
            u32::from_be_bytes
        } else {
            u32::from_le_bytes
        })
    };
    matches!(last, Some(0xce | 0xcf)) && within(number(), 1..=12) && within(number(), 1..=10_000)
}

/// Programs, less than a Java class could count as its version, the first of them behind the header.
pub(super) fn universal(probe: &Probe) -> bool {
    let mut reader = from(probe, 4);
    let mut number = || reader.array().map(u32::from_be_bytes);
    within(number(), 1..=31)
        && number().is_some()
        && number().is_some()
        && number().is_some_and(|at| at >= 28 && u64::from(at) < probe.length)
        && number().is_some_and(|length| length >= 28)
}

/// Its first header is sound.
pub(super) fn nsis(probe: &Probe) -> bool {
    installer::is_sound(&probe.head, probe.length)
}

/// A version, padded to 64 bytes, and behind it a block whose first checksum holds.
pub(super) fn inno(probe: &Probe) -> bool {
    let version = probe.head.get(23..64).unwrap_or_default();
    let mut reader = from(probe, 64);
    let sum = reader.u32_le();
    version.first().is_some_and(u8::is_ascii_digit)
        && version.last() == Some(&0)
        && sum.is_some()
        && sum == reader.take(5).map(crc32fast::hash)
}
