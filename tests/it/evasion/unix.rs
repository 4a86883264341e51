//! Archives of cpio (cpio(5)) and ar (ar(5)) with a member whose header lies.

use super::{Case, case};
use crate::support::{eicar, gzip, noise};

/// A header of the new form: the hexadecimal fields in order, and what stands before them.
struct New {
    magic: &'static str,
    fields: [u32; 13],
    name: Vec<u8>,
    /// Behind the content.
    padding: usize,
}

const MODE: usize = 1;
const LINKS: usize = 4;
const SIZE: usize = 6;
const NAME: usize = 11;
const SUM: usize = 12;

fn new(name: &str, content: &[u8], change: impl Fn(&mut New)) -> Vec<u8> {
    let mut header = New {
        magic: "070701",
        fields: [0; 13],
        name: [name.as_bytes(), b"\0"].concat(),
        padding: content.len().next_multiple_of(4) - content.len(),
    };
    header.fields[MODE] = 0o100_644;
    header.fields[LINKS] = 1;
    header.fields[SIZE] = content.len() as u32;
    header.fields[NAME] = header.name.len() as u32;
    change(&mut header);
    let mut out = header.magic.as_bytes().to_vec();
    for field in header.fields {
        out.extend(format!("{field:08x}").bytes());
    }
    out.extend(&header.name);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(content);
    out.resize(out.len() + header.padding, 0);
    out
}

fn end() -> Vec<u8> {
    new("TRAILER!!!", b"", |header| header.fields[MODE] = 0)
}

fn letter() -> Vec<u8> {
    new("letter.txt", b"Dear reader, nothing is in here.\n", |_| {})
}

pub(super) fn cpios() -> Vec<Case> {
    let one = |change: fn(&mut New)| new("virus.gz", &gzip(&eicar()), change);
    let of = |change: fn(&mut New)| [letter(), one(change), end()].concat();
    vec![
        case("plain", "nothing", of(|_| {})),
        case("sum", "a wrong checksum in the form that has one", {
            of(|header| {
                header.magic = "070702";
                header.fields[SUM] = 7;
            })
        }),
        case(
            "magic-old",
            "the magic of the old form",
            of(|header| header.magic = "070707"),
        ),
        case(
            "magic-none",
            "a magic that is none",
            of(|header| header.magic = "070703"),
        ),
        case(
            "size-less",
            "3 bytes shorter",
            of(|header| header.fields[SIZE] -= 3),
        ),
        case(
            "size-more",
            "3 bytes longer",
            of(|header| header.fields[SIZE] += 3),
        ),
        case(
            "size-most",
            "4 GiB",
            of(|header| header.fields[SIZE] = u32::MAX),
        ),
        case(
            "name-less",
            "a name 3 bytes shorter",
            of(|header| header.fields[NAME] -= 3),
        ),
        case(
            "name-more",
            "a name 4 bytes longer",
            of(|header| header.fields[NAME] += 4),
        ),
        case(
            "name-0",
            "a name of no byte",
            of(|header| header.fields[NAME] = 0),
        ),
        case(
            "name-most",
            "a name of 4 GiB",
            of(|header| header.fields[NAME] = u32::MAX),
        ),
        case("name-zero", "a zero in the name", {
            of(|header| {
                header.name = b"a\0virus.gz\0".to_vec();
                header.fields[NAME] = 11;
            })
        }),
        case("name-up", "a name that leaves the folder", {
            of(|header| {
                header.name = b"../../virus.gz\0".to_vec();
                header.fields[NAME] = 15;
            })
        }),
        case(
            "folder",
            "a folder, says its mode",
            of(|header| header.fields[MODE] = 0o040_755),
        ),
        case(
            "link",
            "a symbolic link, says its mode",
            of(|header| header.fields[MODE] = 0o120_777),
        ),
        case("mode-0", "mode 0", of(|header| header.fields[MODE] = 0)),
        case(
            "links",
            "two names, of which one is there",
            of(|header| header.fields[LINKS] = 2),
        ),
        case(
            "no-padding",
            "without its padding",
            of(|header| header.padding = 0),
        ),
        case("no-end", "without an end", [letter(), one(|_| {})].concat()),
        case(
            "behind-end",
            "behind the end",
            [letter(), end(), one(|_| {}), end()].concat(),
        ),
        case(
            "junk-between",
            "5 bytes of junk between the members",
            [letter(), noise(4, 5), one(|_| {}), end()].concat(),
        ),
        case(
            "zeros-between",
            "512 zeros between the members",
            [letter(), vec![0; 512], one(|_| {}), end()].concat(),
        ),
        case("digit", "a first header with a letter that is no digit", {
            let mut out = of(|_| {});
            out[20] = b'x';
            out
        }),
        case(
            "before",
            "700 bytes before it",
            [noise(4, 700), of(|_| {})].concat(),
        ),
        case("cut", "cut in the last member", of(|_| {})[..300].to_vec()),
    ]
}

/// A member of ar: name, size and mark as they stand there.
fn member(name: &str, size: &str, mark: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}{mark}",
        0, 0, 0, 644
    )
    .into_bytes();
    out.extend(content);
    if content.len() % 2 == 1 {
        out.push(b'\n');
    }
    out
}

pub(super) fn ars() -> Vec<Case> {
    let data = gzip(&eicar());
    let size = data.len().to_string();
    let text = b"Dear reader, nothing is in here.\n";
    let letter = member("letter.txt/", &text.len().to_string(), "`\n", text);
    let of = |name: &str, size: &str, mark: &str| {
        [b"!<arch>\n", &letter[..], &member(name, size, mark, &data)].concat()
    };
    let row = |number: usize| number.to_string();
    vec![
        case("plain", "nothing", of("virus.gz/", &size, "`\n")),
        case(
            "bsd",
            "a name without its end",
            of("virus.gz", &size, "`\n"),
        ),
        case(
            "size-less",
            "3 bytes shorter",
            of("virus.gz/", &row(data.len() - 3), "`\n"),
        ),
        case(
            "size-more",
            "3 bytes longer",
            of("virus.gz/", &row(data.len() + 3), "`\n"),
        ),
        case("size-0", "size 0", of("virus.gz/", "0", "`\n")),
        case(
            "size-most",
            "size 9999999999",
            of("virus.gz/", "9999999999", "`\n"),
        ),
        case(
            "size-zeros",
            "a size with zeros in front",
            of("virus.gz/", &format!("{:0>10}", data.len()), "`\n"),
        ),
        case(
            "size-sign",
            "a size with a sign",
            of("virus.gz/", &format!("+{size}"), "`\n"),
        ),
        case(
            "size-letter",
            "a letter behind the size",
            of("virus.gz/", &format!("{size}x"), "`\n"),
        ),
        case("mark", "a wrong mark", of("virus.gz/", &size, "xx")),
        case(
            "mark-cr",
            "the mark of a text",
            of("virus.gz/", &size, "`\r"),
        ),
        case(
            "name-table",
            "a name from a table that is not there",
            of("/7", &size, "`\n"),
        ),
        case(
            "name-table-itself",
            "the name of the table of names",
            of("//", &size, "`\n"),
        ),
        case(
            "name-symbols",
            "the name of the table of symbols",
            of("/", &size, "`\n"),
        ),
        case(
            "name-bsd-symbols",
            "the name of BSD's table of symbols",
            of("__.SYMDEF", &size, "`\n"),
        ),
        case(
            "name-inside",
            "a name of 4 bytes in the content",
            of("#1/4", &size, "`\n"),
        ),
        case(
            "name-inside-more",
            "a name in the content that is longer than this",
            of("#1/4000", &size, "`\n"),
        ),
        case("name-none", "a name without a letter", of("", &size, "`\n")),
        case(
            "name-up",
            "a name that leaves the folder",
            of("../virus.gz/", &size, "`\n"),
        ),
        case("thin", "a thin archive, says the magic", {
            [b"!<thin>\n", &member("virus.gz/", &size, "`\n", &data)[..]].concat()
        }),
        case("no-padding", "without the padding of an odd member", {
            let odd = member("odd/", "3", "`\n", b"odd");
            [
                b"!<arch>\n",
                &odd[..odd.len() - 1],
                &member("virus.gz/", &size, "`\n", &data),
            ]
            .concat()
        }),
        case("junk-between", "2 bytes of junk between the members", {
            [
                b"!<arch>\n",
                &letter[..],
                b"ab",
                &member("virus.gz/", &size, "`\n", &data),
            ]
            .concat()
        }),
        case("two", "behind another archive", {
            [b"!<arch>\n", &letter[..], &of("virus.gz/", &size, "`\n")].concat()
        }),
        case("cut", "cut in the last member", {
            let out = of("virus.gz/", &size, "`\n");
            out[..out.len() - 5].to_vec()
        }),
    ]
}
