//! Files in text (uuencode, yEnc, BinHex 4.0, base64), texts in other characters, and markup that hides what it holds.

use super::{Case, case};
use crate::support::{eicar, gzip};

pub(super) fn cases() -> Vec<Case> {
    let tables = [
        uuencode(),
        yenc(),
        binhex(),
        base64(),
        unicode(),
        html(),
        scripts(),
        rtf(),
        behind(),
    ];
    tables.into_iter().flatten().collect()
}

/// One line of uuencode or its kin.
fn uu_line(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut out = vec![alphabet[bytes.len()]];
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.extend([18, 12, 6, 0].map(|shift| alphabet[(bits >> shift & 63) as usize]));
    }
    out
}

/// The digits of uuencode, with a blank or a grave accent for zero.
pub(super) fn uu_alphabet(zero: u8) -> [u8; 64] {
    let mut out: [u8; 64] = std::array::from_fn(|at| b' ' + at as u8);
    out[0] = zero;
    out
}

const XX: &[u8; 64] = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The marker's lines of so many bytes each.
pub(super) fn uu_lines(alphabet: &[u8; 64], length: usize) -> Vec<Vec<u8>> {
    eicar()
        .chunks(length)
        .map(|bytes| uu_line(bytes, alphabet))
        .collect()
}

fn uuencode() -> Vec<Case> {
    let lines =
        |lines: &[Vec<u8>], end: &str| [&lines.join(end.as_bytes())[..], end.as_bytes()].concat();
    let grave = uu_alphabet(b'`');
    let usual = uu_lines(&grave, 45);
    let text = lines(&usual, "\n");
    let of = |name: &str, oddity: &str, begin: &str, body: &[u8], end: &str| {
        case(
            format!("uu-{name}"),
            format!("uuencode: {oddity}"),
            [begin.as_bytes(), body, end.as_bytes()].concat(),
        )
    };
    let begin = "begin 644 virus.com\n";
    let end = "`\nend\n";
    let with = |change: &dyn Fn(usize, &mut Vec<u8>)| {
        let mut changed = usual.clone();
        for (at, line) in changed.iter_mut().enumerate() {
            change(at, line);
        }
        lines(&changed, "\n")
    };
    let trimmed: Vec<Vec<u8>> = uu_lines(&uu_alphabet(b' '), 45)
        .into_iter()
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    let digits = data_encoding::BASE64.encode(&eicar());
    vec![
        of("plain", "nothing odd", begin, &text, end),
        of(
            "blank",
            "blanks for zeros",
            begin,
            &lines(&uu_lines(&uu_alphabet(b' '), 45), "\n"),
            " \nend\n",
        ),
        of(
            "trimmed",
            "blanks at the ends of lines are lost",
            begin,
            &lines(&trimmed, "\n"),
            "\nend\n",
        ),
        of("no-end", "no end", begin, &text, ""),
        of(
            "no-zero",
            "no empty line before the end",
            begin,
            &text,
            "end\n",
        ),
        of(
            "mode-name",
            "a name right behind a digit that is none of the mode",
            "begin 689virus.com\n",
            &text,
            end,
        ),
        of(
            "two-ends",
            "two ends in front of the lines",
            "begin 644 virus.com\nend\nend\n",
            &text,
            end,
        ),
        of(
            "odd-empty",
            "a mode of a digit, and an empty line",
            "begin 4 virus.com\n\n",
            &text,
            end,
        ),
        of("no-name", "no name", "begin 644\n", &text, end),
        of(
            "mode-0",
            "a mode of five digits",
            "begin 00644 virus.com\n",
            &text,
            end,
        ),
        of(
            "mode-8",
            "a mode with digits that are not octal",
            "begin 689 virus.com\n",
            &text,
            end,
        ),
        of(
            "mode-long",
            "a mode of 20 digits",
            "begin 01234567012345670123 virus.com\n",
            &text,
            end,
        ),
        of(
            "mode-sign",
            "a semicolon behind the mode",
            "begin 644;virus.com\n",
            &text,
            end,
        ),
        of(
            "empty-first",
            "an empty line before the content",
            "begin 644 virus.com\n\n",
            &text,
            end,
        ),
        of(
            "end-first",
            "a line `end` before the content",
            "begin 644 virus.com\nend\n",
            &text,
            end,
        ),
        of(
            "longer",
            "lines that are longer than they say",
            begin,
            &with(&|_, line| line.extend(b"ABCDEF")),
            end,
        ),
        of(
            "tabs",
            "tabs in the first line",
            "begin\t644\tvirus.com\n",
            &text,
            end,
        ),
        of(
            "cr",
            "lines that end with CR",
            "begin 644 virus.com\r",
            &lines(&usual, "\r"),
            "`\rend\r",
        ),
        of(
            "cr-lf",
            "lines that end with CR LF",
            "begin 644 virus.com\r\n",
            &lines(&usual, "\r\n"),
            "`\r\nend\r\n",
        ),
        of(
            "text-before",
            "a text before",
            &format!("Dear reader,\n\nsee below.\n{begin}"),
            &text,
            end,
        ),
        of(
            "text-within",
            "a line of text between two lines",
            begin,
            &lines(
                &[
                    usual[0].clone(),
                    b"page 2 of this letter".to_vec(),
                    usual[1].clone(),
                ],
                "\n",
            ),
            end,
        ),
        of(
            "empty-within",
            "an empty line between two lines",
            begin,
            &lines(&[usual[0].clone(), Vec::new(), usual[1].clone()], "\n"),
            end,
        ),
        of(
            "sums",
            "a checksum behind each line",
            begin,
            &with(&|_, line| line.push(b'Z')),
            end,
        ),
        of(
            "short",
            "lines of one byte",
            begin,
            &lines(&uu_lines(&grave, 1), "\n"),
            end,
        ),
        of(
            "odd",
            "lines of 7 bytes",
            begin,
            &lines(&uu_lines(&grave, 7), "\n"),
            end,
        ),
        of(
            "long",
            "a line of 63 bytes",
            begin,
            &lines(&uu_lines(&grave, 63), "\n"),
            end,
        ),
        of(
            "twice",
            "a first line, and another",
            &format!("{begin}{begin}"),
            &text,
            end,
        ),
        of(
            "behind-other",
            "behind an empty file",
            &format!("begin 644 a\n`\nend\n{begin}"),
            &text,
            end,
        ),
        of(
            "junk-before",
            "ten first lines that lead to nothing",
            &format!("{}{begin}", "begin 644 nothing\n\n".repeat(10)),
            &text,
            end,
        ),
        of(
            "xx",
            "the other alphabet",
            begin,
            &lines(&uu_lines(XX, 45), "\n"),
            "+\nend\n",
        ),
        of(
            "xx-no-end",
            "the other alphabet, no end",
            begin,
            &lines(&uu_lines(XX, 45), "\n"),
            "",
        ),
        of(
            "base64",
            "base64",
            "begin-base64 644 virus.com\n",
            digits.as_bytes(),
            "\n====\n",
        ),
        of(
            "base64-no-end",
            "base64, no end",
            "begin-base64 644 virus.com\n",
            digits.as_bytes(),
            "\n",
        ),
        of(
            "base64-name",
            "base64, the name encoded",
            "begin-base64-encoded 644 dmlydXMuY29t\n",
            digits.as_bytes(),
            "\n====\n",
        ),
    ]
}

/// Each byte is 42 more; what a line cannot hold is escaped (yEnc 1.3).
fn yenc_line(content: &[u8], escaped: fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in content {
        let byte = byte.wrapping_add(42);
        if matches!(byte, 0 | b'\n' | b'\r' | b'=') || escaped(byte) {
            out.extend([b'=', byte.wrapping_add(64)]);
        } else {
            out.push(byte);
        }
    }
    out
}

fn yenc() -> Vec<Case> {
    let of = |name: &str, oddity: &str, begin: &str, body: &[u8], end: &str| {
        case(
            format!("yenc-{name}"),
            format!("yEnc: {oddity}"),
            [begin.as_bytes(), body, end.as_bytes()].concat(),
        )
    };
    let size = eicar().len();
    let begin = format!("=ybegin line=128 size={size} name=virus.com\r\n");
    let sum = crc32fast::hash(&eicar());
    let end = format!("\r\n=yend size={size} crc32={sum:08x}\r\n");
    let body = yenc_line(&eicar(), |_| false);
    let part = |from: usize, to: usize, number: u32| {
        let head = format!(
            "=ybegin part={number} total=2 line=128 size={size} name=virus.com\r\n=ypart begin={} end={to}\r\n",
            from + 1
        );
        let marker = eicar();
        let end = format!("\r\n=yend size={} part={number}\r\n", to - from);
        [
            head.as_bytes(),
            &yenc_line(&marker[from..to], |_| false),
            end.as_bytes(),
        ]
        .concat()
    };
    vec![
        of("plain", "nothing odd", &begin, &body, &end),
        of(
            "escapes",
            "each byte escaped",
            &begin,
            &yenc_line(&eicar(), |_| true),
            &end,
        ),
        of(
            "lines",
            "lines of 10 bytes",
            &begin.replace("128", "10"),
            &body.chunks(10).collect::<Vec<_>>().join(&b"\r\n"[..]),
            &end,
        ),
        of(
            "lf",
            "lines that end with LF",
            &begin.replace('\r', ""),
            &body,
            &end.replace('\r', ""),
        ),
        of("no-end", "no end", &begin, &body, "\r\n"),
        of(
            "size-less",
            "a size that is less",
            &begin.replace("size=68", "size=8"),
            &body,
            &end,
        ),
        of(
            "size-more",
            "a size that is more",
            &begin.replace("size=68", "size=6800"),
            &body,
            &end,
        ),
        of(
            "sum",
            "a wrong checksum",
            &begin,
            &body,
            &end.replace(&format!("{sum:08x}"), "00000000"),
        ),
        of(
            "text-before",
            "a text before",
            &format!("Dear reader,\r\n\r\n{begin}"),
            &body,
            &end,
        ),
        of(
            "dots",
            "dots doubled as in news",
            &begin,
            &[&b".."[..], &body].concat(),
            &end,
        ),
        case(
            "yenc-part",
            "yEnc: one part that is the whole",
            part(0, size, 1),
        ),
        case(
            "yenc-parts",
            "yEnc: two parts",
            [part(0, 30, 1), part(30, size, 2)].concat(),
        ),
        case(
            "yenc-parts-order",
            "yEnc: two parts, the second first",
            [part(30, size, 2), part(0, 30, 1)].concat(),
        ),
    ]
}

const HQX: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

/// The checksum of BinHex (RFC 1741).
fn hqx_sum(bytes: &[u8]) -> [u8; 2] {
    let sum = bytes.iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte) << 8, |sum, _| {
            if sum & 0x8000 == 0 {
                sum << 1
            } else {
                sum << 1 ^ 0x1021
            }
        })
    });
    sum.to_be_bytes()
}

/// The digits of a file with these forks.
fn hqx(data: &[u8], resource: &[u8], change: fn(&mut Vec<u8>)) -> String {
    let mut bytes = b"\x09virus.com\0TEXTttxt\0\0".to_vec();
    bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(u32::try_from(resource.len()).unwrap().to_be_bytes());
    bytes.extend(hqx_sum(&bytes));
    for fork in [data, resource] {
        bytes.extend(fork);
        bytes.extend(hqx_sum(fork));
    }
    change(&mut bytes);
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for shift in [18, 12, 6, 0].into_iter().take(group.len() + 1) {
            out.push(char::from(HQX[(bits >> shift & 63) as usize]));
        }
    }
    out
}

fn binhex() -> Vec<Case> {
    const INTRO: &str = "(This file must be converted with BinHex 4.0)\n\n";
    let wrapped = |digits: &str, length: usize| -> String {
        let text = format!(":{digits}:");
        text.as_bytes()
            .chunks(length)
            .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
            .collect()
    };
    let digits = hqx(&eicar(), b"", |_| {});
    let usual = wrapped(&digits, 64);
    let of = |name: &str, oddity: &str, text: String| {
        case(format!("binhex-{name}"), format!("BinHex: {oddity}"), text)
    };
    vec![
        of("plain", "nothing odd", format!("{INTRO}{usual}")),
        of(
            "resource",
            "in the resource fork",
            format!("{INTRO}{}", wrapped(&hqx(b"", &eicar(), |_| {}), 64)),
        ),
        of("no-line", "no first line", usual.clone()),
        of(
            "line-case",
            "the first line in capitals",
            format!("{}{usual}", INTRO.to_uppercase()),
        ),
        of(
            "line-damaged",
            "a first line that is damaged",
            format!("{}{}", INTRO.replace("must", "mus4"), wrapped(&digits, 5)),
        ),
        of(
            "line-far",
            "text between the first line and the content",
            format!("{INTRO}Dear reader,\n\n{}", wrapped(&digits, 5)),
        ),
        of(
            "line-other",
            "another version in the first line",
            format!("{}{usual}", INTRO.replace("4.0", "5.0")),
        ),
        of(
            "short",
            "lines of 5 digits",
            format!("{INTRO}{}", wrapped(&digits, 5)),
        ),
        of(
            "one-line",
            "one line",
            format!("{INTRO}{}", wrapped(&digits, 5_000)),
        ),
        of(
            "no-end",
            "no colon at the end",
            format!("{INTRO}{}", usual.trim_end().trim_end_matches(':')),
        ),
        of(
            "cr",
            "lines that end with CR",
            format!("{INTRO}{usual}").replace('\n', "\r"),
        ),
        of(
            "text",
            "a text between the first line and the file",
            format!("{INTRO}Dear reader,\n\n{usual}"),
        ),
        of(
            "sum",
            "a wrong checksum of the header",
            format!(
                "{INTRO}{}",
                wrapped(&hqx(&eicar(), b"", |bytes| bytes[29] ^= 1), 64)
            ),
        ),
        of(
            "length-more",
            "a length that is more",
            format!(
                "{INTRO}{}",
                wrapped(&hqx(&eicar(), b"", |bytes| bytes[24] = 1), 64)
            ),
        ),
        of(
            "runs",
            "each byte a run of one",
            format!(
                "{INTRO}{}",
                wrapped(
                    &hqx(&eicar(), b"", |bytes| {
                        let content = bytes.split_off(31);
                        bytes.extend(content.iter().flat_map(|byte| [*byte, 0x90, 1]));
                    }),
                    64
                )
            ),
        ),
    ]
}

fn base64() -> Vec<Case> {
    let digits = data_encoding::BASE64.encode(&eicar());
    let lines = |length: usize| -> String {
        digits
            .as_bytes()
            .chunks(length)
            .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
            .collect()
    };
    let dashes = "-----";
    let armoured = |word: &str, head: &str| {
        format!(
            "{dashes}BEGIN {word}{dashes}\n{head}{}{dashes}END {word}{dashes}\n",
            lines(64)
        )
    };
    let of = |name: &str, oddity: &str, text: String| {
        case(format!("base64-{name}"), format!("base64: {oddity}"), text)
    };
    let wide: Vec<u8> = eicar().iter().flat_map(|byte| [*byte, 0]).collect();
    let special = [&[0xff; 6][..], &eicar()].concat();
    vec![
        of("lines", "the whole text, in lines", lines(76)),
        of("one-line", "the whole text, one line", digits.clone()),
        of("short", "the whole text, in lines of 16", lines(16)),
        of("narrow", "the whole text, in lines of 4", lines(4)),
        of(
            "unpadded",
            "the whole text, no padding",
            digits.trim_end_matches('=').to_owned(),
        ),
        of(
            "url",
            "the alphabet of addresses",
            data_encoding::BASE64URL.encode(&special),
        ),
        of("pem", "between the lines of PEM", armoured("DATA", "")),
        of("pem-key", "called a key", armoured("PRIVATE KEY", "")),
        of(
            "pem-certificate",
            "called a certificate",
            armoured("CERTIFICATE", ""),
        ),
        of(
            "pem-header",
            "PEM with a header",
            armoured("DATA", "Proc-Type: 4,NOTHING\n\n"),
        ),
        of(
            "ssh",
            "as a key of SSH",
            format!(
                "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"x\"\n{}---- END SSH2 PUBLIC KEY ----\n",
                lines(70)
            ),
        ),
        of(
            "twice",
            "encoded twice",
            data_encoding::BASE64.encode(digits.as_bytes()),
        ),
        of(
            "wide",
            "of UTF-16, as in a command of PowerShell",
            format!("powershell -enc {}\n", data_encoding::BASE64.encode(&wide)),
        ),
        of(
            "gzip",
            "of a packed file",
            data_encoding::BASE64.encode(&gzip(&eicar())),
        ),
        of(
            "json",
            "in a text of JSON",
            format!("{{\"file\": \"{digits}\"}}\n"),
        ),
        of(
            "xml",
            "in XML, indented",
            format!(
                "<file>\n{}</file>\n",
                lines(40)
                    .lines()
                    .map(|line| format!("    {line}\n"))
                    .collect::<String>()
            ),
        ),
    ]
}

/// The marker in units of UTF-16.
fn utf16(big: bool) -> Vec<u8> {
    eicar()
        .iter()
        .flat_map(|byte| if big { [0, *byte] } else { [*byte, 0] })
        .collect()
}

fn utf32(big: bool) -> Vec<u8> {
    let unit = |byte: &u8| {
        if big {
            [0, 0, 0, *byte]
        } else {
            [*byte, 0, 0, 0]
        }
    };
    eicar().iter().flat_map(unit).collect()
}

fn unicode() -> Vec<Case> {
    let of = |name: &str, oddity: &str, parts: &[&[u8]]| {
        case(format!("unicode-{name}"), oddity.to_owned(), parts.concat())
    };
    let digits = data_encoding::BASE64_NOPAD.encode(&utf16(true));
    vec![
        of(
            "16-le",
            "UTF-16, the small end first",
            &[b"\xff\xfe", &utf16(false)],
        ),
        of(
            "16-be",
            "UTF-16, the big end first",
            &[b"\xfe\xff", &utf16(true)],
        ),
        of(
            "16-le-bare",
            "UTF-16 without its mark, the small end first",
            &[&utf16(false)],
        ),
        of(
            "16-be-bare",
            "UTF-16 without its mark, the big end first",
            &[&utf16(true)],
        ),
        of(
            "16-cut",
            "UTF-16 and half a unit",
            &[b"\xff\xfe", &utf16(false), b"x"],
        ),
        of(
            "16-half",
            "half of a pair in UTF-16 before",
            &[b"\xff\xfe\x00\xd8", &utf16(false)],
        ),
        of(
            "16-two-marks",
            "two marks",
            &[b"\xff\xfe\xff\xfe", &utf16(false)],
        ),
        of(
            "16-cjk",
            "UTF-16 among other letters",
            &[b"\xff\xfe", &[0x2d, 0x4e].repeat(3000), &utf16(false)],
        ),
        of(
            "32-le",
            "UTF-32, the small end first",
            &[b"\xff\xfe\0\0", &utf32(false)],
        ),
        of(
            "32-be",
            "UTF-32, the big end first",
            &[b"\0\0\xfe\xff", &utf32(true)],
        ),
        of(
            "32-le-bare",
            "UTF-32 without its mark, the small end first",
            &[&utf32(false)],
        ),
        of(
            "32-be-bare",
            "UTF-32 without its mark, the big end first",
            &[&utf32(true)],
        ),
        of(
            "7-mark",
            "UTF-7 with its mark",
            &[b"+/v8-+", digits.as_bytes(), b"-\n"],
        ),
    ]
}

/// Each byte of the marker written in this way.
fn each(written: impl Fn(u8) -> String) -> String {
    eicar().into_iter().map(written).collect()
}

fn html() -> Vec<Case> {
    let of = |name: &str, oddity: &str, body: String| {
        case(
            format!("html-{name}"),
            format!("HTML: {oddity}"),
            format!("<html><head><title>letter</title></head><body>{body}</body></html>\n"),
        )
    };
    let digits = data_encoding::BASE64.encode(&eicar());
    let percent = each(|byte| format!("%{byte:02X}"));
    let marker = String::from_utf8(eicar()).unwrap();
    let (first, second) = marker.split_at(34);
    let link = |address: &str| format!("<a href=\"{address}\">letter</a>");
    let entities = each(|byte| format!("&#{byte};"));
    vec![
        of("entities", "numbers for letters", entities.clone()),
        of(
            "entities-hex",
            "hexadecimal numbers for letters",
            each(|byte| format!("&#x{byte:x};")),
        ),
        of(
            "entities-upper",
            "hexadecimal numbers with a capital X",
            each(|byte| format!("&#X{byte:X};")),
        ),
        of(
            "entities-zeros",
            "numbers with many zeros before",
            each(|byte| format!("&#{byte:012};")),
        ),
        of(
            "entities-open",
            "numbers without a semicolon",
            each(|byte| format!("&#{byte}"))
                .replace("&#53", "&#53;")
                .replace("&#52", "&#52;")
                .replace("&#55", "&#55;"),
        ),
        of(
            "entities-named",
            "names for signs",
            marker
                .replace('$', "&dollar;")
                .replace('!', "&excl;")
                .replace('%', "&percnt;"),
        ),
        of(
            "tags",
            "a tag between the letters",
            marker
                .chars()
                .map(|letter| format!("{letter}<b></b>"))
                .collect(),
        ),
        of(
            "comment",
            "a comment in it",
            format!("{first}<!-- x -->{second}"),
        ),
        of(
            "comment-odd",
            "a comment with an odd end in it",
            format!("{first}<!-- x --!>{second}"),
        ),
        of(
            "comment-short",
            "the shortest comment in it",
            format!("{first}<!-->{second}"),
        ),
        of(
            "declaration",
            "a declaration in it",
            format!("{first}<!X>{second}"),
        ),
        of(
            "instruction",
            "an instruction in it",
            format!("{first}<?x?>{second}"),
        ),
        of(
            "unknown",
            "an unknown element in it",
            format!("{first}<x-y z='>'></x-y>{second}"),
        ),
        of(
            "wbr",
            "a place to break the line in it",
            format!("{first}<wbr>{second}"),
        ),
        of(
            "attribute",
            "numbers for letters in an attribute",
            format!("<p title=\"{entities}\">x</p>"),
        ),
        of(
            "attribute-bare",
            "numbers for letters in an attribute without quotes",
            format!("<p title={entities}>x</p>"),
        ),
        of(
            "pre",
            "numbers for letters in preformatted text",
            format!("<pre>{entities}</pre>"),
        ),
        of(
            "data",
            "a data address",
            link(&format!("data:application/octet-stream;base64,{digits}")),
        ),
        of(
            "data-short",
            "a data address of no type",
            link(&format!("data:;base64,{digits}")),
        ),
        of(
            "data-upper",
            "a data address in capitals",
            link(&format!("DATA:;BASE64,{digits}")),
        ),
        of(
            "data-blank",
            "a blank before the address",
            link(&format!("  data:;base64,{digits}")),
        ),
        of(
            "data-lines",
            "an address over lines",
            link(&format!(
                "data:;base64,{}",
                digits
                    .as_bytes()
                    .chunks(10)
                    .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
                    .collect::<String>()
            )),
        ),
        of(
            "data-tabs",
            "tabs in the address",
            link(&format!(
                "data:;base64,{}",
                digits
                    .chars()
                    .map(|letter| format!("{letter}\t"))
                    .collect::<String>()
            )),
        ),
        of(
            "data-percent",
            "an address with numbers for letters",
            link(&format!("data:,{percent}")),
        ),
        of(
            "data-percent-base64",
            "base64 with numbers for letters",
            link(&format!(
                "data:;base64,{}",
                digits
                    .bytes()
                    .map(|byte| format!("%{byte:02x}"))
                    .collect::<String>()
            )),
        ),
        of(
            "data-entities",
            "base64 with entities for letters",
            link(&format!(
                "data:;base64,{}",
                digits
                    .bytes()
                    .map(|byte| format!("&#{byte};"))
                    .collect::<String>()
            )),
        ),
        of(
            "data-entity-scheme",
            "an entity in the name of the scheme",
            link(&format!("da&#116;a:;base64,{digits}")),
        ),
        of(
            "data-charset",
            "a data address with a character set",
            link(&format!("data:text/plain;charset=utf-8;base64,{digits}")),
        ),
        of(
            "data-quoted",
            "a data address with a quoted parameter",
            link(&format!("data:text/plain;x='a,b';base64,{digits}")),
        ),
        of(
            "data-image",
            "a data address of a picture",
            format!("<img src='data:image/png;base64,{digits}'>"),
        ),
        of(
            "data-bare",
            "a data address without quotes",
            format!("<img src=data:;base64,{digits}>"),
        ),
        case(
            "html-utf-16",
            "HTML: in UTF-16, with numbers for letters",
            [
                &b"\xff\xfe"[..],
                &format!("<html><body>{entities}</body></html>")
                    .bytes()
                    .flat_map(|byte| [byte, 0])
                    .collect::<Vec<_>>(),
            ]
            .concat(),
        ),
        case(
            "html-svg",
            "HTML: a picture in SVG with an address",
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\"><a href=\"data:;base64,{digits}\"/></svg>"
            ),
        ),
    ]
}

/// What only an engine for scripts would see: nothing is asked to give it out.
fn scripts() -> Vec<Case> {
    let of = |name: &str, oddity: &str, body: String| {
        case(
            format!("script-{name}"),
            format!("script: {oddity}"),
            format!("<html><script>{body}</script></html>\n"),
        )
    };
    let digits = data_encoding::BASE64.encode(&eicar());
    vec![
        of("atob", "base64", format!("eval(atob('{digits}'))")),
        of(
            "atob-joined",
            "base64 in pieces",
            format!("eval(atob('{}' +\n '{}'))", &digits[..50], &digits[50..]),
        ),
        of(
            "data",
            "a data address",
            format!("location = 'data:;base64,{digits}'"),
        ),
    ]
}

/// An archive behind a text that a reader takes for all there is, with something between.
fn behind() -> Vec<Case> {
    let line = "Nothing is to be seen here.\n";
    let uu = uu_line(&line.as_bytes()[..20], &uu_alphabet(b'`'));
    let fronts: [(&str, Vec<u8>); 4] = [
        ("rtf", b"{\\rtf1 Dear reader}\n".to_vec()),
        ("uu", [b"begin 644 a\n", &uu[..], b"\n`\nend\n"].concat()),
        (
            "yenc",
            [
                format!("=ybegin line=128 size={} name=a\r\n", line.len()).as_bytes(),
                &yenc_line(line.as_bytes(), |_| false),
                b"\r\n=yend size=28\r\n",
            ]
            .concat(),
        ),
        (
            "mail",
            format!("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{line}--b--\n").into_bytes(),
        ),
    ];
    let fronts = fronts.into_iter().map(|(name, front)| {
        let between = line.repeat(10);
        let bytes = [&front[..], between.as_bytes(), &gzip(&eicar())].concat();
        case(
            format!("behind-{name}"),
            format!("{name}: an archive behind the end and a text"),
            bytes,
        )
    });
    fronts.collect()
}

/// What is in RTF as hexadecimal digits; its text is not looked at.
fn rtf() -> Vec<Case> {
    let of = |name: &str, oddity: &str, body: String| {
        case(format!("rtf-{name}"), format!("RTF: {oddity}"), body)
    };
    let start = "{\\rtf1\\ansi ";
    let hex = data_encoding::HEXLOWER.encode(&eicar());
    let object = |data: &str| format!("{start}{{\\object\\objemb{{\\*\\objdata {data}}}}}}}\n");
    vec![
        of("object", "an object", object(&hex)),
        of(
            "object-upper",
            "an object of capital digits",
            object(&hex.to_uppercase()),
        ),
        of(
            "object-lines",
            "an object over lines",
            object(
                &hex.as_bytes()
                    .chunks(7)
                    .map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap()))
                    .collect::<String>(),
            ),
        ),
        of(
            "object-words",
            "an object with control words in it",
            object(&hex.replace("5", "\\par 5")),
        ),
        of(
            "object-groups",
            "an object with groups in it",
            object(&hex.replace("5", "{}5")),
        ),
        of(
            "object-ignored",
            "an object with a group in it that is passed over",
            object(&hex.replacen("4e", "{\\*\\x 00}4e", 1)),
        ),
        of(
            "object-binary",
            "an object with binary in it",
            object(&hex.replacen("4e", "\\bin1 N", 1)),
        ),
        of(
            "object-junk",
            "an object with letters that are no digits",
            object(&hex.replace("5", "5x")),
        ),
        of(
            "object-open",
            "an object that nothing ends",
            format!("{start}{{\\object{{\\*\\objdata {hex}"),
        ),
        of(
            "object-bare",
            "an object's data outside of an object",
            format!("{start}{{\\*\\objdata {hex}}}}}\n"),
        ),
        of(
            "object-deep",
            "an object 100 groups deep",
            format!(
                "{start}{}{{\\object{{\\*\\objdata {hex}}}}}{}}}\n",
                "{".repeat(100),
                "}".repeat(100)
            ),
        ),
        of(
            "picture",
            "a picture",
            format!("{start}{{\\pict\\pngblip {hex}}}}}\n"),
        ),
    ]
}
