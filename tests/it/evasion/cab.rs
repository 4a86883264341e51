//! Cabinets ([MS-CAB]) with one stored member, whose headers do not say what is there.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// The fields that lie.
#[derive(Clone)]
struct Cabinet {
    reserved: u32,
    size: i64,
    files_at: u32,
    version: (u8, u8),
    folders: u16,
    files: u16,
    flags: u16,
    /// What stands behind the header when flags say so.
    optional: Vec<u8>,
    data_at: i64,
    blocks: u16,
    method: u16,
    file_size: u32,
    file_at: u32,
    folder: u16,
    attributes: u16,
    name: Vec<u8>,
    sum: u32,
    packed: i16,
    unpacked: i16,
    /// Between files and data.
    between: Vec<u8>,
}

fn of(change: impl Fn(&mut Cabinet)) -> Vec<u8> {
    let data = gzip(&eicar());
    let length = data.len();
    let mut cabinet = Cabinet {
        reserved: 0,
        size: 0,
        files_at: 0,
        version: (3, 1),
        folders: 1,
        files: 1,
        flags: 0,
        optional: Vec::new(),
        data_at: 0,
        blocks: 1,
        method: 0,
        file_size: length as u32,
        file_at: 0,
        folder: 0,
        attributes: 0x20,
        name: b"virus.gz\0".to_vec(),
        sum: 0,
        packed: 0,
        unpacked: 0,
        between: Vec::new(),
    };
    change(&mut cabinet);
    let mut file = cabinet.file_size.to_le_bytes().to_vec();
    file.extend(cabinet.file_at.to_le_bytes());
    file.extend(cabinet.folder.to_le_bytes());
    file.extend([0x76, 0x5b, 0, 0]);
    file.extend(cabinet.attributes.to_le_bytes());
    file.extend(&cabinet.name);
    let mut block = cabinet.sum.to_le_bytes().to_vec();
    block.extend((length as i16 + cabinet.packed).to_le_bytes());
    block.extend((length as i16 + cabinet.unpacked).to_le_bytes());
    block.extend(&data);
    let files_at = 36 + cabinet.optional.len() + 8;
    let data_at = files_at + file.len() + cabinet.between.len();
    let size = (data_at + block.len()) as i64 + cabinet.size;
    let mut out = b"MSCF".to_vec();
    out.extend(cabinet.reserved.to_le_bytes());
    out.extend((size as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend((files_at as u32 + cabinet.files_at).to_le_bytes());
    out.extend([0; 4]);
    out.extend([cabinet.version.0, cabinet.version.1]);
    for field in [cabinet.folders, cabinet.files, cabinet.flags, 0, 0] {
        out.extend(field.to_le_bytes());
    }
    out.extend(&cabinet.optional);
    out.extend(((data_at as i64 + cabinet.data_at) as u32).to_le_bytes());
    out.extend(cabinet.blocks.to_le_bytes());
    out.extend(cabinet.method.to_le_bytes());
    [out, file, cabinet.between, block].concat()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("plain", "nothing", of(|_| {})),
        case("behind-head", "behind the first 16 bytes of another one", {
            let cabinet = of(|_| {});
            [&cabinet[..16], &cabinet].concat()
        }),
        case(
            "reserved",
            "reserved fields that are not zero",
            of(|cabinet| cabinet.reserved = 7),
        ),
        case(
            "size-less",
            "20 bytes shorter, says the header",
            of(|cabinet| cabinet.size = -20),
        ),
        case(
            "size-more",
            "20 bytes longer, says the header",
            of(|cabinet| cabinet.size = 20),
        ),
        case(
            "size-0",
            "size 0, says the header",
            of(|cabinet| cabinet.size = -1000),
        ),
        case(
            "files-at",
            "the files lie one byte further, says the header",
            of(|cabinet| cabinet.files_at = 1),
        ),
        case(
            "version",
            "version 9.9",
            of(|cabinet| cabinet.version = (9, 9)),
        ),
        case("folders-0", "no folder", of(|cabinet| cabinet.folders = 0)),
        case("files-0", "no file", of(|cabinet| cabinet.files = 0)),
        case(
            "files-2",
            "two files of one",
            of(|cabinet| cabinet.files = 2),
        ),
        case("previous", "goes on from another cabinet", {
            of(|cabinet| {
                cabinet.flags = 1;
                cabinet.optional = b"a.cab\0disk\0".to_vec();
            })
        }),
        case("next", "goes on in another cabinet", {
            of(|cabinet| {
                cabinet.flags = 2;
                cabinet.optional = b"b.cab\0disk\0".to_vec();
            })
        }),
        case("reserve", "room for others behind the header", {
            of(|cabinet| {
                cabinet.flags = 4;
                cabinet.optional = [&[100, 0, 0, 0][..], &noise(1, 100)].concat();
            })
        }),
        case(
            "flags",
            "flags that are none",
            of(|cabinet| cabinet.flags = 0xfff8),
        ),
        case(
            "data-less",
            "the data lie one byte before",
            of(|cabinet| cabinet.data_at = -1),
        ),
        case(
            "data-more",
            "the data lie one byte further",
            of(|cabinet| cabinet.data_at = 1),
        ),
        case("blocks-0", "no block", of(|cabinet| cabinet.blocks = 0)),
        case(
            "blocks-2",
            "two blocks of one",
            of(|cabinet| cabinet.blocks = 2),
        ),
        case(
            "method-zip",
            "MSZIP, says the folder; it is stored",
            of(|cabinet| cabinet.method = 1),
        ),
        case(
            "method-lzx",
            "LZX, says the folder; it is stored",
            of(|cabinet| cabinet.method = 0x0f03),
        ),
        case(
            "method-none",
            "a method that is none",
            of(|cabinet| cabinet.method = 9),
        ),
        case(
            "method-bits",
            "stored, with bits that mean nothing",
            of(|cabinet| cabinet.method = 0x0100),
        ),
        case(
            "file-0",
            "size 0, says the file",
            of(|cabinet| cabinet.file_size = 0),
        ),
        case(
            "file-less",
            "3 bytes shorter, says the file",
            of(|cabinet| cabinet.file_size -= 3),
        ),
        case(
            "file-more",
            "3 bytes longer, says the file",
            of(|cabinet| cabinet.file_size += 3),
        ),
        case(
            "file-most",
            "2 GiB, says the file",
            of(|cabinet| cabinet.file_size = 0x7fff_ffff),
        ),
        case(
            "file-at",
            "the file begins one byte further",
            of(|cabinet| cabinet.file_at = 1),
        ),
        case(
            "folder-9",
            "in a folder that is none",
            of(|cabinet| cabinet.folder = 9),
        ),
        case(
            "folder-previous",
            "begun in another cabinet, says the file",
            of(|cabinet| cabinet.folder = 0xfffd),
        ),
        case(
            "folder-next",
            "goes on in another cabinet, says the file",
            of(|cabinet| cabinet.folder = 0xfffe),
        ),
        case(
            "folder-both",
            "from another cabinet to another, says the file",
            of(|cabinet| cabinet.folder = 0xffff),
        ),
        case(
            "attributes",
            "all attributes",
            of(|cabinet| cabinet.attributes = 0xffff),
        ),
        case(
            "name-none",
            "a name without a letter",
            of(|cabinet| cabinet.name = b"\0".to_vec()),
        ),
        case(
            "name-up",
            "a name that leaves the folder",
            of(|cabinet| cabinet.name = b"..\\..\\virus.gz\0".to_vec()),
        ),
        case(
            "name-long",
            "a name of 300 bytes",
            of(|cabinet| cabinet.name = [&[b'n'; 300][..], b"\0"].concat()),
        ),
        case(
            "sum",
            "a wrong checksum",
            of(|cabinet| cabinet.sum = 0x1234_5678),
        ),
        case(
            "packed-less",
            "a block 3 bytes shorter",
            of(|cabinet| cabinet.packed = -3),
        ),
        case(
            "packed-more",
            "a block 3 bytes longer",
            of(|cabinet| cabinet.packed = 3),
        ),
        case(
            "unpacked-less",
            "a block of 3 bytes less",
            of(|cabinet| cabinet.unpacked = -3),
        ),
        case(
            "unpacked-more",
            "a block of 3 bytes more",
            of(|cabinet| cabinet.unpacked = 3),
        ),
        case(
            "between",
            "junk between files and data",
            of(|cabinet| cabinet.between = noise(2, 700)),
        ),
        case(
            "before",
            "junk before it",
            [noise(3, 700), of(|_| {})].concat(),
        ),
        case(
            "behind",
            "junk behind it",
            [of(|_| {}), noise(3, 700)].concat(),
        ),
        case("two", "behind another cabinet", {
            let harmless = of(|cabinet| {
                cabinet.file_at = 85;
                cabinet.file_size = 3;
            });
            [harmless, of(|_| {})].concat()
        }),
        case("cut", "cut in its data", {
            let out = of(|_| {});
            out[..out.len() - 5].to_vec()
        }),
    ]
}
