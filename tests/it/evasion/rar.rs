//! RAR archives of versions 1.5 to 4 and of version 5 (after the published technical notes) whose members are stored, and whose
//! blocks lie.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// A block: what its header says, its data, and what is added to its checksum.
#[derive(Clone)]
struct Block {
    kind: u8,
    flags: u16,
    fields: Vec<u8>,
    data: Vec<u8>,
    /// What the header says of the length of its data.
    length: usize,
    wrong: u8,
}

fn block(kind: u8, flags: u16, fields: Vec<u8>, data: &[u8]) -> Block {
    Block {
        kind,
        flags,
        fields,
        data: data.to_vec(),
        length: data.len(),
        wrong: 0,
    }
}

impl Block {
    fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn four(&self) -> Vec<u8> {
        let mut header = vec![self.kind];
        header.extend(self.flags.to_le_bytes());
        header.extend((self.fields.len() as u16 + 7).to_le_bytes());
        header.extend(&self.fields);
        let sum = crc32fast::hash(&header).to_le_bytes();
        [&[sum[0] ^ self.wrong, sum[1]], &header[..], &self.data].concat()
    }

    fn five(&self) -> Vec<u8> {
        let mut header = vec![self.kind];
        header.extend(vint(u64::from(self.flags)));
        if self.flags & 2 != 0 {
            header.extend(vint(self.length as u64));
        }
        header.extend(&self.fields);
        let header = [vint(header.len() as u64), header].concat();
        let mut sum = crc32fast::hash(&header).to_le_bytes();
        sum[0] ^= self.wrong;
        [&sum[..], &header, &self.data].concat()
    }
}

/// Seven bits in each byte, the lowest first.
fn vint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// What the header of a member says in version 4.
struct Four {
    packed: u32,
    size: u32,
    system: u8,
    sum: u32,
    version: u8,
    method: u8,
    name: Vec<u8>,
    attributes: u32,
    flags: u16,
}

fn member_four(name: &str, content: &[u8], change: impl Fn(&mut Four)) -> Block {
    let mut file = Four {
        packed: content.len() as u32,
        size: content.len() as u32,
        system: 3,
        sum: crc32fast::hash(content),
        version: 20,
        method: 0x30,
        name: name.as_bytes().to_vec(),
        attributes: 0o100_644,
        flags: 0x8000,
    };
    change(&mut file);
    let mut fields = file.packed.to_le_bytes().to_vec();
    fields.extend(file.size.to_le_bytes());
    fields.push(file.system);
    fields.extend(file.sum.to_le_bytes());
    fields.extend(0x5a21_6000_u32.to_le_bytes());
    fields.extend([file.version, file.method]);
    fields.extend((file.name.len() as u16).to_le_bytes());
    fields.extend(file.attributes.to_le_bytes());
    fields.extend(&file.name);
    block(0x74, file.flags, fields, content)
}

/// What the header of a member says in version 5.
struct Five {
    flags: u64,
    size: u64,
    attributes: u64,
    sum: u32,
    method: u64,
    system: u64,
    name: Vec<u8>,
}

fn member_five(name: &str, content: &[u8], change: impl Fn(&mut Five)) -> Block {
    let mut file = Five {
        flags: 4,
        size: content.len() as u64,
        attributes: 0o100_644,
        sum: crc32fast::hash(content),
        method: 0,
        system: 1,
        name: name.as_bytes().to_vec(),
    };
    change(&mut file);
    let mut fields = Vec::new();
    fields.extend(vint(file.flags));
    fields.extend(vint(file.size));
    fields.extend(vint(file.attributes));
    if file.flags & 4 != 0 {
        fields.extend(file.sum.to_le_bytes());
    }
    fields.extend(vint(file.method));
    fields.extend(vint(file.system));
    fields.extend(vint(file.name.len() as u64));
    fields.extend(&file.name);
    block(2, 2, fields, content)
}

fn four(blocks: &[Block]) -> Vec<u8> {
    let mut out = b"Rar!\x1a\x07\0".to_vec();
    out.extend(block(0x73, 0, vec![0; 6], b"").four());
    for block in blocks {
        out.extend(block.four());
    }
    out
}

fn five(blocks: &[Block]) -> Vec<u8> {
    let mut out = b"Rar!\x1a\x07\x01\0".to_vec();
    out.extend(block(1, 0, vec![0], b"").five());
    for block in blocks {
        out.extend(block.five());
    }
    out
}

fn end_four() -> Block {
    block(0x7b, 0x4000, Vec::new(), b"")
}

fn end_five() -> Block {
    block(5, 0, vec![0], b"")
}

/// An archive with a harmless member and one of this content, of each version.
pub(super) fn plain(content: &[u8]) -> [Vec<u8>; 2] {
    let letter = b"Dear reader, nothing is in here.\n";
    [
        four(&[
            member_four("letter.txt", letter, |_| {}),
            member_four("virus", content, |_| {}),
            end_four(),
        ]),
        five(&[
            member_five("letter.txt", letter, |_| {}),
            member_five("virus", content, |_| {}),
            end_five(),
        ]),
    ]
}

/// The marker, in a member that is compressed: a stored one would show it.
fn payload() -> Vec<u8> {
    gzip(&eicar())
}

pub(super) fn cases() -> Vec<Case> {
    [fours(), fives()].concat()
}

fn fours() -> Vec<Case> {
    let one = |change: fn(&mut Four)| member_four("virus.gz", &payload(), change);
    let of = |change: fn(&mut Four)| four(&[one(change), end_four()]);
    vec![
        case("4-plain", "version 4, nothing", of(|_| {})),
        case(
            "4-second",
            "the second member",
            plain(&payload())[0].clone(),
        ),
        case(
            "4-sum",
            "a wrong checksum of the member",
            of(|file| file.sum ^= 1),
        ),
        case("4-header-sum", "a wrong checksum of the member's header", {
            four(&[one(|_| {}).with(|block| block.wrong = 1), end_four()])
        }),
        case(
            "4-version-15",
            "version 1.5 is needed",
            of(|file| file.version = 15),
        ),
        case(
            "4-version-99",
            "version 9.9 is needed",
            of(|file| file.version = 99),
        ),
        case(
            "4-method-34",
            "compressed, says the method; it is stored",
            of(|file| file.method = 0x34),
        ),
        case(
            "4-method-77",
            "a method that is none",
            of(|file| file.method = 0x77),
        ),
        case("4-size-0", "size 0", of(|file| file.size = 0)),
        case("4-size-1", "size 1", of(|file| file.size = 1)),
        case(
            "4-size-more",
            "size 100,000",
            of(|file| file.size = 100_000),
        ),
        case(
            "4-size-most",
            "the highest size, which means that it is not known",
            of(|file| file.size = u32::MAX),
        ),
        case(
            "4-packed-more",
            "packed 100,000",
            of(|file| file.packed = 100_000),
        ),
        case(
            "4-packed-less",
            "packed 3 bytes less",
            of(|file| file.packed -= 3),
        ),
        case("4-packed-0", "packed 0", of(|file| file.packed = 0)),
        case(
            "4-packed-most",
            "packed 4 GiB",
            of(|file| file.packed = u32::MAX),
        ),
        case(
            "4-encrypted",
            "encrypted, says a flag; it is not",
            of(|file| file.flags |= 4),
        ),
        case(
            "4-solid",
            "solid, says a flag",
            of(|file| file.flags |= 0x10),
        ),
        case(
            "4-before",
            "continued from another part, says a flag",
            of(|file| file.flags |= 1),
        ),
        case(
            "4-after",
            "continued in another part, says a flag",
            of(|file| file.flags |= 2),
        ),
        case(
            "4-folder",
            "a folder, say its flags",
            of(|file| file.flags |= 0xe0),
        ),
        case(
            "4-link",
            "a symbolic link, say its attributes",
            of(|file| file.attributes = 0o120_777),
        ),
        case("4-no-end", "no block at the end", four(&[one(|_| {})])),
        case(
            "4-behind-end",
            "behind the block at the end",
            four(&[end_four(), one(|_| {})]),
        ),
        case("4-unknown-before", "behind a block of unknown kind", {
            four(&[
                block(0x7f, 0x8000, 100_u32.to_le_bytes().to_vec(), &noise(8, 100)),
                one(|_| {}),
                end_four(),
            ])
        }),
        case("4-no-main", "without the archive's own header", {
            [
                b"Rar!\x1a\x07\0".to_vec(),
                one(|_| {}).four(),
                end_four().four(),
            ]
            .concat()
        }),
        case(
            "4-main-encrypted",
            "headers are encrypted, says the archive's own",
            {
                let main = block(0x73, 0x80, vec![0; 6], b"").four();
                [
                    b"Rar!\x1a\x07\0".to_vec(),
                    main,
                    one(|_| {}).four(),
                    end_four().four(),
                ]
                .concat()
            },
        ),
        case(
            "4-main-volume",
            "one of several parts, says the archive's own header",
            {
                let main = block(0x73, 1, vec![0; 6], b"").four();
                [
                    b"Rar!\x1a\x07\0".to_vec(),
                    main,
                    one(|_| {}).four(),
                    end_four().four(),
                ]
                .concat()
            },
        ),
        case(
            "4-main-sum",
            "a wrong checksum of the archive's own header",
            {
                let mut out = of(|_| {});
                out[7] ^= 1;
                out
            },
        ),
        case(
            "4-name-none",
            "a name without a letter",
            of(|file| file.name.clear()),
        ),
        case(
            "4-name-up",
            "a name that leaves the folder",
            of(|file| file.name = b"../../virus.gz".to_vec()),
        ),
        case(
            "4-name-zero",
            "a zero in the name",
            of(|file| file.name = b"a\0virus.gz".to_vec()),
        ),
        case(
            "4-junk-before",
            "5,000 bytes before it",
            [noise(9, 5000), of(|_| {})].concat(),
        ),
        case(
            "4-junk-behind",
            "5,000 bytes behind it",
            [of(|_| {}), noise(9, 5000)].concat(),
        ),
        case(
            "4-two",
            "behind another archive",
            [plain(b"harmless")[0].clone(), of(|_| {})].concat(),
        ),
        case(
            "4-behind-5",
            "behind an archive of version 5",
            [plain(b"harmless")[1].clone(), of(|_| {})].concat(),
        ),
        case("4-cut", "cut in the last member", {
            let out = four(&[one(|_| {})]);
            out[..out.len() - 4].to_vec()
        }),
    ]
}

fn fives() -> Vec<Case> {
    let one = |change: fn(&mut Five)| member_five("virus.gz", &payload(), change);
    let of = |change: fn(&mut Five)| five(&[one(change), end_five()]);
    vec![
        case("5-plain", "version 5, nothing", of(|_| {})),
        case(
            "5-second",
            "the second member",
            plain(&payload())[1].clone(),
        ),
        case(
            "5-sum",
            "a wrong checksum of the member",
            of(|file| file.sum ^= 1),
        ),
        case("5-no-sum", "no checksum", of(|file| file.flags = 0)),
        case("5-header-sum", "a wrong checksum of the member's header", {
            five(&[one(|_| {}).with(|block| block.wrong = 1), end_five()])
        }),
        case(
            "5-method",
            "compressed, says the method; it is stored",
            of(|file| file.method = 3 << 7),
        ),
        case(
            "5-method-7",
            "a method that is none",
            of(|file| file.method = 7 << 7),
        ),
        case(
            "5-version-63",
            "version 63 of the compression",
            of(|file| file.method = 63),
        ),
        case(
            "5-solid",
            "solid, says the method",
            of(|file| file.method = 0x40),
        ),
        case("5-size-0", "size 0", of(|file| file.size = 0)),
        case("5-size-1", "size 1", of(|file| file.size = 1)),
        case(
            "5-size-more",
            "size 100,000",
            of(|file| file.size = 100_000),
        ),
        case(
            "5-size-most",
            "the highest size",
            of(|file| file.size = u64::MAX),
        ),
        case(
            "5-size-unknown",
            "a size that is not known",
            of(|file| file.flags |= 8),
        ),
        case("5-packed-more", "packed 100,000", {
            five(&[one(|_| {}).with(|block| block.length = 100_000), end_five()])
        }),
        case("5-packed-less", "packed 3 bytes less", {
            five(&[one(|_| {}).with(|block| block.length -= 3), end_five()])
        }),
        case("5-packed-0", "packed 0", {
            five(&[one(|_| {}).with(|block| block.length = 0), end_five()])
        }),
        case(
            "5-folder",
            "a folder, says a flag",
            of(|file| file.flags |= 1),
        ),
        case(
            "5-link",
            "a symbolic link, say its attributes",
            of(|file| file.attributes = 0o120_777),
        ),
        case(
            "5-system",
            "an operating system that is none",
            of(|file| file.system = 99),
        ),
        case("5-before", "continued from another part, says a flag", {
            five(&[one(|_| {}).with(|block| block.flags |= 8), end_five()])
        }),
        case("5-after", "continued in another part, says a flag", {
            five(&[one(|_| {}).with(|block| block.flags |= 0x10), end_five()])
        }),
        case("5-service", "in a service block of unknown name", {
            five(&[one(|_| {}).with(|block| block.kind = 3), end_five()])
        }),
        case("5-unknown-before", "behind a block of unknown kind", {
            five(&[
                block(99, 2, Vec::new(), &noise(8, 100)),
                one(|_| {}),
                end_five(),
            ])
        }),
        case("5-no-end", "no block at the end", five(&[one(|_| {})])),
        case(
            "5-behind-end",
            "behind the block at the end",
            five(&[end_five(), one(|_| {})]),
        ),
        case("5-no-main", "without the archive's own header", {
            [
                b"Rar!\x1a\x07\x01\0".to_vec(),
                one(|_| {}).five(),
                end_five().five(),
            ]
            .concat()
        }),
        case(
            "5-name-none",
            "a name without a letter",
            of(|file| file.name.clear()),
        ),
        case(
            "5-name-up",
            "a name that leaves the folder",
            of(|file| file.name = b"../../virus.gz".to_vec()),
        ),
        case(
            "5-name-zero",
            "a zero in the name",
            of(|file| file.name = b"a\0virus.gz".to_vec()),
        ),
        case(
            "5-name-latin",
            "a name that is no UTF-8",
            of(|file| file.name = b"virus\xe9.gz".to_vec()),
        ),
        case(
            "5-junk-before",
            "5,000 bytes before it",
            [noise(9, 5000), of(|_| {})].concat(),
        ),
        case(
            "5-junk-behind",
            "5,000 bytes behind it",
            [of(|_| {}), noise(9, 5000)].concat(),
        ),
        case(
            "5-two",
            "behind another archive",
            [plain(b"harmless")[1].clone(), of(|_| {})].concat(),
        ),
        case(
            "5-behind-4",
            "behind an archive of version 4",
            [plain(b"harmless")[0].clone(), of(|_| {})].concat(),
        ),
        case("5-cut", "cut in the last member", {
            let out = five(&[one(|_| {})]);
            out[..out.len() - 4].to_vec()
        }),
    ]
}
