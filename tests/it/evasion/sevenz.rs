//! 7z archives (after the format's published description) with one stored member, whose two headers do not say what is there.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// An archive: what the start header and the header at the end say.
#[derive(Clone)]
struct Archive {
    version: u8,
    data: Vec<u8>,
    /// Between the data and the header.
    between: Vec<u8>,
    behind: Vec<u8>,
    /// Added to what the start header says: offset, size, and to both checksums.
    shift: i64,
    longer: i64,
    start_sum: u8,
    header_sum: u8,
    /// The data's place, packed and unpacked size, and checksum.
    place: u8,
    packed: u8,
    size: u8,
    sum: Option<u32>,
    /// The method, and its properties.
    coder: Vec<u8>,
    files: u8,
    name: &'static str,
    /// More properties of the files.
    more: Vec<u8>,
    /// More before the header's own.
    before: Vec<u8>,
}

fn archive() -> Archive {
    let data = gzip(&eicar());
    let length = data.len() as u8;
    Archive {
        version: 4,
        between: Vec::new(),
        behind: Vec::new(),
        shift: 0,
        longer: 0,
        start_sum: 0,
        header_sum: 0,
        place: 0,
        packed: length,
        size: length,
        sum: Some(crc32fast::hash(&data)),
        data,
        coder: vec![1, 0],
        files: 1,
        name: "virus.gz",
        more: Vec::new(),
        before: Vec::new(),
    }
}

impl Archive {
    /// What tells where the data lie and how they are packed.
    fn streams(&self) -> Vec<u8> {
        let mut out = vec![6, self.place, 1, 9, self.packed, 0];
        out.extend([7, 0x0b, 1, 0, 1]);
        out.extend(&self.coder);
        out.extend([0x0c, self.size]);
        if let Some(sum) = self.sum {
            out.extend([0x0a, 1]);
            out.extend(sum.to_le_bytes());
        }
        out.extend([0, 0]);
        out
    }

    fn header(&self) -> Vec<u8> {
        let mut out = vec![1];
        out.extend(&self.before);
        out.push(4);
        out.extend(self.streams());
        out.extend([5, self.files]);
        let name: Vec<u8> = self
            .name
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        out.extend([0x11, name.len() as u8 + 3, 0]);
        out.extend(name);
        out.extend([0, 0]);
        out.extend(&self.more);
        out.extend([0, 0]);
        out
    }

    fn bytes(&self) -> Vec<u8> {
        self.around(&self.header())
    }

    /// The whole, with this at the end.
    fn around(&self, header: &[u8]) -> Vec<u8> {
        let mut start = Vec::new();
        let offset = (self.data.len() + self.between.len()) as i64 + self.shift;
        start.extend(offset.to_le_bytes());
        start.extend((header.len() as i64 + self.longer).to_le_bytes());
        let mut sum = crc32fast::hash(header).to_le_bytes();
        sum[0] ^= self.header_sum;
        start.extend(sum);
        let mut sum = crc32fast::hash(&start).to_le_bytes();
        sum[0] ^= self.start_sum;
        let magic = [b"7z\xbc\xaf\x27\x1c\0", &[self.version][..]].concat();
        [
            &magic,
            &sum[..],
            &start,
            &self.data,
            &self.between,
            header,
            &self.behind,
        ]
        .concat()
    }
}

/// The header packed in its turn, as a stored stream behind the data.
fn encoded(archive: &Archive, change: impl Fn(&mut Archive)) -> Vec<u8> {
    let header = archive.header();
    let mut outer = Archive {
        data: archive.data.clone(),
        between: header.clone(),
        place: archive.data.len() as u8,
        packed: header.len() as u8,
        size: header.len() as u8,
        sum: Some(crc32fast::hash(&header)),
        ..archive.clone()
    };
    change(&mut outer);
    outer.around(&[&[0x17], &outer.streams()[..], &[0]].concat())
}

fn of(change: impl Fn(&mut Archive)) -> Vec<u8> {
    let mut archive = archive();
    change(&mut archive);
    archive.bytes()
}

pub(super) fn cases() -> Vec<Case> {
    let harmless = || {
        of(|archive| {
            archive.data = b"Dear reader.".to_vec();
            archive.packed = 12;
            archive.size = 12;
            archive.sum = None;
        })
    };
    vec![
        case("plain", "nothing", of(|_| {})),
        case("no-sum", "no checksum", of(|archive| archive.sum = None)),
        case(
            "sum",
            "a wrong checksum of the member",
            of(|archive| archive.sum = Some(7)),
        ),
        case(
            "start-sum",
            "a wrong checksum of the start header",
            of(|archive| archive.start_sum = 1),
        ),
        case(
            "header-sum",
            "a wrong checksum of the header",
            of(|archive| archive.header_sum = 1),
        ),
        case(
            "version",
            "version 0.99",
            of(|archive| archive.version = 99),
        ),
        case(
            "shift-more",
            "the header lies one byte further, says the start header",
            of(|archive| archive.shift = 1),
        ),
        case(
            "shift-less",
            "the header lies one byte before, says the start header",
            of(|archive| archive.shift = -1),
        ),
        case(
            "shift-far",
            "the header lies behind the end, says the start header",
            of(|archive| archive.shift = 10_000),
        ),
        case(
            "shift-negative",
            "the header lies before the start, says the start header",
            of(|archive| archive.shift = -10_000),
        ),
        case(
            "longer",
            "the header is longer, says the start header",
            of(|archive| archive.longer = 5),
        ),
        case(
            "shorter",
            "the header is shorter, says the start header",
            of(|archive| archive.longer = -5),
        ),
        case("no-header", "no header, says the start header", {
            let mut out = of(|_| {});
            out[12..32].fill(0);
            let sum = crc32fast::hash(&out[12..32]).to_le_bytes();
            out[8..12].copy_from_slice(&sum);
            out
        }),
        case(
            "start-zeros",
            "a start header of zeros, as a writer leaves it that was broken off",
            {
                let mut out = of(|_| {});
                out[8..32].fill(0);
                out
            },
        ),
        case(
            "place",
            "the data lie one byte further, says the header",
            of(|archive| archive.place = 1),
        ),
        case(
            "packed-less",
            "packed 3 bytes less",
            of(|archive| archive.packed -= 3),
        ),
        case(
            "packed-more",
            "packed 3 bytes more",
            of(|archive| archive.packed += 3),
        ),
        case(
            "size-less",
            "3 bytes shorter",
            of(|archive| archive.size -= 3),
        ),
        case(
            "size-more",
            "3 bytes longer",
            of(|archive| archive.size += 3),
        ),
        case("size-0", "size 0", of(|archive| archive.size = 0)),
        case("method-lzma", "LZMA, says the header; it is stored", {
            of(|archive| archive.coder = vec![0x23, 3, 1, 1, 5, 0x5d, 0, 0, 1, 0])
        }),
        case(
            "method-deflate",
            "deflate, says the header; it is stored",
            of(|archive| archive.coder = vec![3, 4, 1, 8]),
        ),
        case(
            "method-none",
            "a method that is none",
            of(|archive| archive.coder = vec![3, 9, 9, 9]),
        ),
        case("method-aes", "encrypted, says the header; it is not", {
            of(|archive| archive.coder = vec![0x24, 6, 0xf1, 7, 1, 1, 0x3f])
        }),
        case(
            "files-0",
            "no file, says the header",
            of(|archive| archive.files = 0),
        ),
        case(
            "files-2",
            "two files, says the header",
            of(|archive| archive.files = 2),
        ),
        case("empty-stream", "a file without content, says a property", {
            of(|archive| archive.more = vec![0x0e, 1, 0x80])
        }),
        case("anti", "a file to be deleted, say properties", {
            of(|archive| archive.more = vec![0x0e, 1, 0x80, 0x0f, 1, 0x80, 0x10, 1, 0x80])
        }),
        case("folder", "a folder, say its attributes", {
            of(|archive| archive.more = vec![0x15, 6, 1, 0, 0x10, 0, 0, 0])
        }),
        case("link", "a symbolic link, say its attributes", {
            of(|archive| archive.more = vec![0x15, 6, 1, 0, 0x20, 0x80, 0xff, 0xa1])
        }),
        case(
            "unknown-property",
            "a property that is none",
            of(|archive| archive.more = vec![0x55, 3, 1, 2, 3]),
        ),
        case(
            "cut-property",
            "a property that is longer than the header",
            of(|archive| archive.more = vec![0x19, 0x7f]),
        ),
        case(
            "properties",
            "properties of the archive",
            of(|archive| archive.before = vec![2, 0x55, 1, 0, 0]),
        ),
        case(
            "name-none",
            "a name without a letter",
            of(|archive| archive.name = ""),
        ),
        case(
            "name-up",
            "a name that leaves the folder",
            of(|archive| archive.name = "../../virus.gz"),
        ),
        case(
            "name-zero",
            "a zero in the name",
            of(|archive| archive.name = "a\0virus.gz"),
        ),
        case(
            "between",
            "junk between data and header",
            of(|archive| archive.between = noise(5, 900)),
        ),
        case(
            "behind",
            "junk behind it",
            of(|archive| archive.behind = noise(5, 900)),
        ),
        case(
            "before",
            "junk before it",
            [noise(5, 900), of(|_| {})].concat(),
        ),
        case(
            "two",
            "behind another archive",
            [harmless(), of(|_| {})].concat(),
        ),
        case("inside", "in front of another archive's header", {
            of(|archive| {
                archive.between = self::archive().header();
                archive.files = 0;
            })
        }),
        case(
            "encoded",
            "a header that is packed in its turn",
            encoded(&archive(), |_| {}),
        ),
        case(
            "encoded-sum",
            "the same, with a wrong checksum",
            encoded(&archive(), |archive| archive.sum = Some(7)),
        ),
        case(
            "encoded-no-sum",
            "the same, without a checksum",
            encoded(&archive(), |archive| archive.sum = None),
        ),
        case(
            "encoded-size",
            "the same, and shorter than it is",
            encoded(&archive(), |archive| archive.size -= 2),
        ),
        case("cut-header", "cut in the header", {
            let out = of(|_| {});
            out[..out.len() - 6].to_vec()
        }),
        case("cut-data", "cut in the data", of(|_| {})[..100].to_vec()),
    ]
}
