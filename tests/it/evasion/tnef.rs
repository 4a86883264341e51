//! Attachments of Outlook (TNEF, [MS-OXTNEF]) whose attributes are out of order or lie about their lengths.

use super::{Case, case};
use crate::support::{eicar, gzip};

const SIGNATURE: &[u8] = b"\x78\x9f\x3e\x22\x34\x12";
const VERSION: u32 = 0x0008_9006;
const BEGINS: u32 = 0x0006_9002;
const DATA: u32 = 0x0006_800f;
const TITLE: u32 = 0x0001_8010;
const PROPERTIES: u32 = 0x0006_9005;
const MESSAGE: u32 = 0x0006_9003;

/// An attribute with what it says of itself.
struct Attribute {
    level: u8,
    tag: u32,
    length: u32,
    content: Vec<u8>,
    sum: u16,
}

fn attribute(level: u8, tag: u32, content: &[u8]) -> Attribute {
    Attribute {
        level,
        tag,
        length: content.len() as u32,
        content: content.to_vec(),
        sum: content
            .iter()
            .fold(0, |sum, byte| sum.wrapping_add(u16::from(*byte))),
    }
}

fn file(attributes: &[Attribute]) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    for one in attributes {
        out.push(one.level);
        out.extend(one.tag.to_le_bytes());
        out.extend(one.length.to_le_bytes());
        out.extend(&one.content);
        out.extend(one.sum.to_le_bytes());
    }
    out
}

/// One property of MAPI: binary, or an object when `kind` is 0x0d.
fn property(kind: u16, id: u16, value: &[u8]) -> Vec<u8> {
    let mut out = 1_u32.to_le_bytes().to_vec();
    out.extend(kind.to_le_bytes());
    out.extend(id.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// Compressed RTF in which nothing is compressed: a byte of flags before each eight letters.
fn compressed(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for group in text.chunks(8) {
        packed.push(0);
        packed.extend(group);
    }
    let mut out = (packed.len() as u32 + 12).to_le_bytes().to_vec();
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(b"LZFu");
    out.extend(0_u32.to_le_bytes());
    out.extend(packed);
    out
}

/// The attributes of a message with one attachment.
fn usual() -> Vec<Attribute> {
    vec![
        attribute(1, VERSION, &[0, 0, 1, 0]),
        attribute(2, BEGINS, &[0; 14]),
        attribute(2, TITLE, b"virus.gz\0"),
        attribute(2, DATA, &gzip(&eicar())),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, oddity: &str, change: &dyn Fn(&mut Vec<Attribute>)| {
        let mut attributes = usual();
        change(&mut attributes);
        case(name, oddity, file(&attributes))
    };
    let inner = [&[7; 16][..], &gzip(&eicar())].concat();
    let body = |name: &str, oddity: &str, value: Vec<u8>| {
        let properties = property(0x102, 0x1009, &value);
        case(
            name,
            oddity,
            file(&[
                attribute(1, VERSION, &[0, 0, 1, 0]),
                attribute(1, MESSAGE, &properties),
            ]),
        )
    };
    let rtf = [&b"{\\rtf1 "[..], &eicar()].concat();
    vec![
        of("plain", "nothing", &|_| {}),
        of("sum", "a wrong checksum", &|all| all[3].sum ^= 1),
        of("tag-types", "tags of another type", &|all| {
            for one in all {
                one.tag ^= 0x0007_0000;
            }
        }),
        of(
            "sum-before",
            "a wrong checksum of the attribute before",
            &|all| all[2].sum ^= 1,
        ),
        of(
            "length-more",
            "a length that is more than there is",
            &|all| all[3].length += 1_000,
        ),
        of("length-less", "a length without the checksum", &|all| {
            all[3].length -= 2
        }),
        of("length-most", "an attribute of 4 GiB", &|all| {
            all[3].length = u32::MAX
        }),
        of(
            "level-1",
            "an attachment among the message's attributes",
            &|all| all[3].level = 1,
        ),
        of("level-0", "a level that is none", &|all| all[3].level = 0),
        of("kind", "another type of the same attribute", &|all| {
            all[3].tag = 0x0002_800f
        }),
        of("no-version", "no version", &|all| drop(all.remove(0))),
        of("no-begin", "no beginning of the attachment", &|all| {
            drop(all.remove(1))
        }),
        of("no-title", "no title", &|all| drop(all.remove(2))),
        of("title-last", "the title behind the data", &|all| {
            all.swap(2, 3)
        }),
        of("data-first", "the data before all", &|all| {
            let data = all.remove(3);
            all.insert(0, data);
        }),
        of(
            "data-twice",
            "two contents of one attachment, the marker in the first",
            &|all| all.push(attribute(2, DATA, b"nothing")),
        ),
        of(
            "data-twice-last",
            "two contents of one attachment, the marker in the last",
            &|all| all.insert(3, attribute(2, DATA, b"nothing")),
        ),
        of("unknown", "unknown attributes between", &|all| {
            all.insert(2, attribute(2, 0x0006_eeee, &[9; 50]))
        }),
        of("empty", "an empty attribute between", &|all| {
            all.insert(2, attribute(2, TITLE, b""))
        }),
        of("many", "behind 2,000 empty attachments", &|all| {
            for _ in 0..2_000 {
                all.insert(1, attribute(2, BEGINS, &[0; 14]));
            }
        }),
        of("property", "the data in a property", &|all| {
            all[3] = attribute(2, PROPERTIES, &property(0x0d, 0x3701, &inner))
        }),
        of("property-binary", "the data in a binary property", &|all| {
            all[3] = attribute(2, PROPERTIES, &property(0x102, 0x3701, &gzip(&eicar())))
        }),
        of("title-up", "a title that leaves the folder", &|all| {
            all[2] = attribute(2, TITLE, b"../../virus.gz\0")
        }),
        body("rtf", "the text, packed", compressed(&rtf)),
        body("rtf-size", "the text, packed, a size that is less", {
            let mut value = compressed(&rtf);
            value[4] = 10;
            value
        }),
        case("cut", "cut within the data's checksum", {
            let mut bytes = file(&usual());
            bytes.pop();
            bytes
        }),
        case(
            "junk-before",
            "a byte before",
            [&b"\n"[..], &file(&usual())].concat(),
        ),
    ]
}
