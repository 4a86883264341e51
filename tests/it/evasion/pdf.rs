//! Documents in PDF (ISO 32000-1) whose tables, dictionaries, filters and revisions do not say what they hold.

use std::fmt::Write as _;
use std::io::Write as _;

use md5::{Digest, Md5};

use super::{Case, case};
use crate::support::{eicar, gzip};

/// A document: objects, and what may be odd around them.
#[derive(Clone)]
struct Document {
    before: Vec<u8>,
    /// Offsets count from the start of the file, not of the document.
    adjusted: bool,
    version: String,
    objects: Vec<(u32, Vec<u8>)>,
    /// More entries of the trailer.
    trailer: String,
    /// Added to each offset.
    shift: usize,
    table: bool,
    end: bool,
    behind: Vec<u8>,
}

impl Document {
    fn with(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = self.before.clone();
        let base = if self.adjusted { 0 } else { out.len() };
        out.extend(self.version.bytes());
        self.revision(&mut out, base, &self.objects, "");
        out.extend(&self.behind);
        out
    }

    /// Objects, their table, and the trailer.
    fn revision(&self, out: &mut Vec<u8>, base: usize, objects: &[(u32, Vec<u8>)], more: &str) {
        let mut places = Vec::new();
        for (number, object) in objects {
            places.push((*number, out.len() - base + self.shift));
            out.extend(format!("{number} 0 obj\n").bytes());
            out.extend(object);
            out.extend(b"\nendobj\n");
        }
        let start = out.len() - base + self.shift;
        if self.table {
            let mut table = "xref\n0 1\n0000000000 65535 f \n".to_owned();
            for (number, place) in &places {
                write!(table, "{number} 1\n{place:010} 00000 n \n").unwrap();
            }
            out.extend(table.bytes());
        }
        if self.end {
            let size = objects
                .iter()
                .map(|(number, _)| number + 1)
                .max()
                .unwrap_or(0)
                .max(20);
            out.extend(
                format!(
                    "trailer\n<</Size {size}/Root 1 0 R{}{more}>>\nstartxref\n{start}\n%%EOF\n",
                    self.trailer
                )
                .bytes(),
            );
        }
    }
}

/// A first line without its version would make this file a document.
fn head(version: &str) -> String {
    format!("%{}-{version}\n%\u{e2}\u{e3}\n", "PDF")
}

const PAGES: &str = "<</Type/Pages/Kids[3 0 R]/Count 1>>";
const PAGE: &str = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>";
const CATALOGUE: &str = "<</Type/Catalog/Pages 2 0 R/Kept[4 0 R]/Names<</EmbeddedFiles<</Names[(virus.com) 5 0 R]>>>>>>";
const FILE: &str = "<</Type/Filespec/F(virus.com)/UF(virus.com)/EF<</F 4 0 R>>>>";

/// A document in which object 4 is a file.
fn document(stream: Vec<u8>) -> Document {
    objects(vec![
        (1, CATALOGUE.into()),
        (2, PAGES.into()),
        (3, PAGE.into()),
        (4, stream),
        (5, FILE.into()),
    ])
}

fn objects(objects: Vec<(u32, Vec<u8>)>) -> Document {
    Document {
        before: Vec::new(),
        adjusted: true,
        version: head("1.7"),
        objects,
        trailer: String::new(),
        shift: 0,
        table: true,
        end: true,
        behind: Vec::new(),
    }
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn stream(entries: &str, data: &[u8]) -> Vec<u8> {
    lengthed(entries, &format!("/Length {}", data.len()), data)
}

fn lengthed(entries: &str, length: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<<{entries}{length}>>\nstream\n");
    [head.as_bytes(), data, b"\nendstream"].concat()
}

const FLATE: &str = "/Type/EmbeddedFile/Filter/FlateDecode";

/// The marker as a stream.
fn evil() -> Vec<u8> {
    stream(FLATE, &zlib(&eicar()))
}

fn harmless() -> Vec<u8> {
    stream(FLATE, &zlib(b"Dear reader, nothing is in here.\n"))
}

pub(super) fn cases() -> Vec<Case> {
    let tables = [
        filters(),
        lengths(),
        tables(),
        revisions(),
        places(),
        scripts(),
        encrypted(),
    ];
    tables.into_iter().flatten().collect()
}

fn hex(content: &[u8]) -> Vec<u8> {
    (data_encoding::HEXUPPER.encode(content) + ">").into_bytes()
}

/// ASCII85 (§7.4.3).
fn ascii85(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in content.chunks(4) {
        let mut place = [0; 4];
        place[..group.len()].copy_from_slice(group);
        let mut value = u32::from_be_bytes(place);
        let mut digits = [0_u8; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + (value % 85) as u8;
            value /= 85;
        }
        out.extend(&digits[..=group.len()]);
    }
    out.extend(b"~>");
    out
}

/// Runs of ten bytes as they are (§7.4.5).
fn run_lengths(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in content.chunks(10) {
        out.push(run.len() as u8 - 1);
        out.extend(run);
    }
    out.push(128);
    out
}

/// Codes of 9 bits, with a new table before they would grow (§7.4.4).
fn lzw(content: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    for part in content.chunks(50) {
        codes.push(256);
        codes.extend(part.iter().map(|byte| u16::from(*byte)));
    }
    codes.push(257);
    let mut bits: Vec<bool> = codes
        .iter()
        .flat_map(|code| (0..9).rev().map(move |bit| code >> bit & 1 == 1))
        .collect();
    bits.resize(bits.len().next_multiple_of(8), false);
    bits.chunks(8)
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
        .collect()
}

/// Rows of four bytes, each the difference to the row before (PNG's filter 2).
fn up(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = [0_u8; 4];
    for row in content.chunks(4) {
        out.push(2);
        for (at, byte) in row.iter().enumerate() {
            out.push(byte.wrapping_sub(before[at]));
        }
        before[..row.len()].copy_from_slice(row);
    }
    out
}

/// Rows of four bytes, each byte the difference to the one before (TIFF's predictor).
fn left(content: &[u8]) -> Vec<u8> {
    let row = |row: &[u8]| -> Vec<u8> {
        let before = [&[0][..], row].concat();
        row.iter()
            .zip(before)
            .map(|(byte, before)| byte.wrapping_sub(before))
            .collect()
    };
    content.chunks(4).flat_map(row).collect()
}

fn filters() -> Vec<Case> {
    let of = |name: &str, oddity: &str, entries: &str, data: Vec<u8>| {
        case(
            format!("filter-{name}"),
            oddity,
            document(stream(entries, &data)).bytes(),
        )
    };
    let content = eicar();
    let packed = zlib(&content);
    let raw = packed[2..packed.len() - 4].to_vec();
    let mut wrong = packed.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let with = |number: u32, object: &str, entries: &str| {
        document(stream(entries, &packed))
            .with(|document| document.objects.push((number, object.into())))
            .bytes()
    };
    let thrice = hex(&ascii85(&run_lengths(&packed)));
    vec![
        of("flate", "nothing odd", FLATE, packed.clone()),
        of("fl", "a filter's short name", "/Filter/Fl", packed.clone()),
        of(
            "hex",
            "hexadecimal digits",
            "/Filter/ASCIIHexDecode",
            hex(&content),
        ),
        of(
            "ahx",
            "hexadecimal digits, by their short name",
            "/Filter/AHx",
            hex(&content),
        ),
        of(
            "hex-open",
            "hexadecimal digits without their end",
            "/Filter/ASCIIHexDecode",
            hex(&content)[..2 * content.len()].to_vec(),
        ),
        of(
            "hex-blanks",
            "hexadecimal digits and white space",
            "/Filter/ASCIIHexDecode",
            hex(&content)
                .iter()
                .flat_map(|byte| [*byte, b'\n'])
                .collect(),
        ),
        of(
            "hex-junk",
            "hexadecimal digits and other letters",
            "/Filter/ASCIIHexDecode",
            hex(&content).chunks(8).collect::<Vec<_>>().join(&b"x"[..]),
        ),
        of("85", "ASCII85", "/Filter/ASCII85Decode", ascii85(&content)),
        of(
            "a85",
            "ASCII85, by its short name",
            "/Filter/A85",
            ascii85(&content),
        ),
        of(
            "85-begin",
            "ASCII85 with its opening sign",
            "/Filter/ASCII85Decode",
            [&b"<~"[..], &ascii85(&content)].concat(),
        ),
        of(
            "85-open",
            "ASCII85 without its end",
            "/Filter/ASCII85Decode",
            ascii85(&content).strip_suffix(b"~>").unwrap().to_vec(),
        ),
        of("lzw", "LZW", "/Filter/LZWDecode", lzw(&content)),
        of(
            "lzw-short",
            "LZW, by its short name",
            "/Filter/LZW",
            lzw(&content),
        ),
        of(
            "lzw-late",
            "LZW whose codes grow late",
            "/Filter/LZWDecode/DecodeParms<</EarlyChange 0>>",
            lzw(&content),
        ),
        of(
            "run-length",
            "run lengths",
            "/Filter/RunLengthDecode",
            run_lengths(&content),
        ),
        of(
            "rl",
            "run lengths, by their short name",
            "/Filter/RL",
            run_lengths(&content),
        ),
        of(
            "up",
            "a predictor of PNG",
            "/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 4>>",
            zlib(&up(&content)),
        ),
        of(
            "up-other",
            "another predictor of PNG than the rows have",
            "/Filter/FlateDecode/DecodeParms<</Predictor 10/Columns 4>>",
            zlib(&up(&content)),
        ),
        of(
            "up-short",
            "a predictor by a short name",
            "/Filter/FlateDecode/DP<</Predictor 12/Columns 4>>",
            zlib(&up(&content)),
        ),
        of(
            "left",
            "a predictor of TIFF",
            "/Filter/FlateDecode/DecodeParms<</Predictor 2/Columns 4>>",
            zlib(&left(&content)),
        ),
        of(
            "left-lzw",
            "LZW with a predictor",
            "/Filter/LZWDecode/DecodeParms[<</Predictor 2/Columns 4>>]",
            lzw(&left(&content)),
        ),
        of(
            "predictor-none",
            "a predictor that is none",
            "/Filter/FlateDecode/DecodeParms<</Predictor 7/Columns 4>>",
            packed.clone(),
        ),
        of(
            "predictor-1",
            "a predictor that does nothing",
            "/Filter/FlateDecode/DecodeParms<</Predictor 1/Columns 99999>>",
            packed.clone(),
        ),
        of(
            "list",
            "a list of one filter",
            "/Filter[/FlateDecode]",
            packed.clone(),
        ),
        of(
            "list-null",
            "a list with nothing in it before",
            "/Filter[null/FlateDecode]",
            packed.clone(),
        ),
        of(
            "list-two",
            "two filters",
            "/Filter[/ASCIIHexDecode/FlateDecode]",
            hex(&packed),
        ),
        of(
            "list-four",
            "four filters",
            "/Filter[/AHx/A85/RL/Fl]",
            thrice,
        ),
        of(
            "list-open",
            "a list that nothing ends",
            "/Filter[/FlateDecode",
            packed.clone(),
        ),
        of(
            "list-parameters",
            "parameters for the second filter",
            "/Filter[/AHx/Fl]/DecodeParms[null<</Predictor 12/Columns 4>>]",
            hex(&zlib(&up(&content))),
        ),
        of(
            "list-same",
            "packed twice",
            "/Filter[/FlateDecode/FlateDecode]",
            zlib(&packed),
        ),
        of(
            "list-ten",
            "hexadecimal digits of hexadecimal digits, five times",
            "/Filter[/AHx/AHx/AHx/AHx/AHx]",
            (0..5).fold(content.clone(), |content, _| hex(&content)),
        ),
        of(
            "crypt",
            "a filter that does nothing before",
            "/Filter[/Crypt/FlateDecode]/DecodeParms[<</Name/Identity>>null]",
            packed.clone(),
        ),
        of(
            "escaped",
            "a filter's name with a number for a letter",
            "/Filter/Fl#61teDecode",
            packed.clone(),
        ),
        of(
            "escaped-all",
            "a filter's name with numbers for all letters",
            "/Filter/#46#6c#61#74#65#44#65#63#6f#64#65",
            packed.clone(),
        ),
        of(
            "escaped-key",
            "the key with a number for a letter",
            "/F#69lter/FlateDecode",
            packed.clone(),
        ),
        of(
            "case",
            "a filter's name in small letters",
            "/Filter/flatedecode",
            packed.clone(),
        ),
        of(
            "unknown",
            "an unknown filter",
            "/Filter/Nothing",
            packed.clone(),
        ),
        of(
            "unknown-second",
            "an unknown filter behind",
            "/Filter[/FlateDecode/Nothing]",
            packed.clone(),
        ),
        of("none", "packed, and no filter is named", "", packed.clone()),
        of(
            "twice-first",
            "two filters in two entries, the first is right",
            "/Filter/FlateDecode/Filter/ASCIIHexDecode",
            packed.clone(),
        ),
        of(
            "twice-last",
            "two filters in two entries, the last is right",
            "/Filter/ASCIIHexDecode/Filter/FlateDecode",
            packed.clone(),
        ),
        of(
            "comment",
            "a comment between key and name",
            "/Filter % /ASCIIHexDecode\n/FlateDecode",
            packed.clone(),
        ),
        of(
            "picture",
            "called a picture",
            "/Type/XObject/Subtype/Image/Width 1/Height 1/Filter/FlateDecode",
            packed.clone(),
        ),
        of(
            "picture-filter",
            "a filter of pictures behind",
            "/Filter[/FlateDecode/DCTDecode]",
            packed.clone(),
        ),
        case(
            "filter-reference",
            "the filter's name in another object",
            with(6, "/FlateDecode", "/Filter 6 0 R"),
        ),
        case(
            "filter-reference-list",
            "the filters' list in another object",
            with(6, "[/FlateDecode]", "/Filter 6 0 R"),
        ),
        case(
            "filter-reference-item",
            "a filter of the list in another object",
            with(6, "/FlateDecode", "/Filter[6 0 R]"),
        ),
        case(
            "filter-reference-none",
            "the filter's name in an object that is not there",
            with(6, "null", "/Filter 9 0 R"),
        ),
        of("flate-raw", "deflate data without a header", FLATE, raw),
        of("flate-sum", "a wrong checksum", FLATE, wrong),
        of(
            "flate-cut",
            "no checksum",
            FLATE,
            packed[..packed.len() - 4].to_vec(),
        ),
        of(
            "flate-newline",
            "a line end before the data",
            FLATE,
            [&b"\r\n"[..], &packed].concat(),
        ),
        of(
            "flate-junk",
            "junk behind the data",
            FLATE,
            [&packed[..], &[7; 50]].concat(),
        ),
        of(
            "flate-head",
            "a wrong header",
            FLATE,
            [&b"\x78\x00"[..], &packed[2..]].concat(),
        ),
    ]
}

/// What is said of a stream's length, and where it ends.
fn lengths() -> Vec<Case> {
    let packed = zlib(&eicar());
    let length = packed.len();
    let of = |name: &str, oddity: &str, length: &str| {
        case(
            format!("length-{name}"),
            format!("the length of a stream: {oddity}"),
            document(lengthed(FLATE, length, &packed)).bytes(),
        )
    };
    let body = |name: &str, oddity: &str, before: &str, behind: &str| {
        let head = format!("<<{FLATE}/Length {length}>>{before}");
        case(
            format!("stream-{name}"),
            oddity,
            document([head.as_bytes(), &packed, behind.as_bytes()].concat()).bytes(),
        )
    };
    let with = |name: &str, oddity: &str, object: &str| {
        let document = document(lengthed(FLATE, "/Length 6 0 R", &packed));
        case(
            format!("length-{name}"),
            format!("the length of a stream: {oddity}"),
            document
                .with(|document| document.objects.push((6, object.into())))
                .bytes(),
        )
    };
    // A stored block that holds the word which ends a stream.
    let decoy = b"nothing\nendstream\nendobj\n";
    let mut stored = vec![
        0x78,
        0x01,
        0,
        decoy.len() as u8,
        0,
        !(decoy.len() as u8),
        0xff,
    ];
    stored.extend(decoy);
    stored.extend(&packed[2..]);
    vec![
        of("missing", "missing", ""),
        of("0", "0", "/Length 0"),
        of("1", "1", "/Length 1"),
        of("less", "less", &format!("/Length {}", length - 20)),
        of("more", "more", &format!("/Length {}", length + 20)),
        of("huge", "huge", "/Length 4294967295"),
        of("most", "2^64", "/Length 18446744073709551616"),
        of("negative", "negative", "/Length -1"),
        of("real", "a fraction", &format!("/Length {length}.0")),
        of("text", "a text", &format!("/Length ({length})")),
        of("twice", "said twice", &format!("/Length 3/Length {length}")),
        of(
            "twice-last",
            "said twice, the last is wrong",
            &format!("/Length {length}/Length 3"),
        ),
        of(
            "escaped",
            "its key with a number for a letter",
            &format!("/L#65ngth {length}"),
        ),
        of("self", "refers to the stream itself", "/Length 4 0 R"),
        of("lost", "refers to nothing", "/Length 99 0 R"),
        with("reference", "in another object", &length.to_string()),
        with("reference-wrong", "in another object, and wrong", "5"),
        with(
            "reference-loop",
            "in an object that refers to itself",
            "6 0 R",
        ),
        body("no-end", "no end of the stream", "\nstream\n", ""),
        body(
            "end-joined",
            "no line end before the end of the stream",
            "\nstream\n",
            "endstream",
        ),
        body(
            "end-case",
            "the end of the stream in capitals",
            "\nstream\n",
            "\nENDSTREAM",
        ),
        body(
            "end-cut",
            "half of the word that ends the stream",
            "\nstream\n",
            "\nendstr",
        ),
        body(
            "cr",
            "CR alone behind the word stream",
            "\nstream\r",
            "\nendstream",
        ),
        body(
            "cr-lf",
            "CR LF behind the word stream",
            "\nstream\r\n",
            "\nendstream",
        ),
        body(
            "blanks",
            "blanks behind the word stream",
            "\nstream  \n",
            "\nendstream",
        ),
        body(
            "at-once",
            "the word stream directly behind the dictionary",
            "stream\n",
            "\nendstream",
        ),
        body(
            "comment",
            "a comment before the word stream",
            " % comment\nstream\n",
            "\nendstream",
        ),
        body(
            "comment-stream",
            "a comment with the word stream before it",
            " % stream\nstream\n",
            "\nendstream",
        ),
        case(
            "stream-decoy",
            "the word that ends a stream within the data",
            document(stream(FLATE, &stored)).bytes(),
        ),
        case(
            "stream-decoy-length",
            "the word that ends a stream within the data, and no length",
            document(lengthed(FLATE, "", &stored)).bytes(),
        ),
        case("stream-no-endobj", "no end of the object", {
            let text = document(evil()).bytes();
            let at = memchr::memmem::rfind(&text, b"endobj\n5 0").unwrap();
            [&text[..at], &text[at + 7..]].concat()
        }),
    ]
}

/// The table of objects, the head and the end of the file.
fn tables() -> Vec<Case> {
    let plain = || document(evil());
    let of = |name: &str, oddity: &str, change: &dyn Fn(&mut Document)| {
        case(name, oddity, plain().with(change).bytes())
    };
    let replaced = |from: &[u8], to: &[u8]| {
        let bytes = plain().bytes();
        let at = memchr::memmem::rfind(&bytes, from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    let cr = document(stream(FLATE, &zlib(&eicar()))).bytes();
    let at = memchr::memmem::find(&cr, b"stream\n").unwrap();
    let head_cr: Vec<u8> = cr[..at]
        .iter()
        .map(|byte| if *byte == b'\n' { b'\r' } else { *byte })
        .collect();
    vec![
        of("xref-none", "no table", &|document| document.table = false),
        of(
            "xref-and-end-none",
            "no table and no trailer",
            &|document| (document.table, document.end) = (false, false),
        ),
        of("xref-shift", "a table of wrong offsets", &|document| {
            document.shift = 7
        }),
        of(
            "xref-far",
            "a table of offsets behind the end",
            &|document| document.shift = 1_000_000,
        ),
        case(
            "xref-missing-row",
            "an object that the table does not have",
            replaced(b"\n4 1\n", b"\n9 1\n"),
        ),
        case("xref-free", "an object that is free by the table", {
            let bytes = plain().bytes();
            let at = memchr::memmem::rfind(&bytes, b"\n4 1\n").unwrap();
            let n = at + 5 + 17;
            [&bytes[..n], b"f", &bytes[n + 1..]].concat()
        }),
        case(
            "xref-word",
            "a misspelt table",
            replaced(b"\nxref\n", b"\nXref\n"),
        ),
        case(
            "trailer-word",
            "a misspelt trailer",
            replaced(b"trailer", b"Trailer"),
        ),
        case(
            "startxref-0",
            "the table is at 0",
            replaced(b"startxref\n", b"startxref\n0\n"),
        ),
        case(
            "startxref-none",
            "nobody says where the table is",
            replaced(b"startxref", b"startxxxx"),
        ),
        case("eof-none", "no end of the file", replaced(b"%%EOF", b"")),
        case("root-none", "no root", replaced(b"/Root 1 0 R", b"")),
        case("cut", "cut behind the stream", {
            let bytes = plain().bytes();
            let at = memchr::memmem::rfind(&bytes, b"endobj\n5 0").unwrap();
            bytes[..at].to_vec()
        }),
        case("cut-in-stream", "cut within the stream's last bytes", {
            let bytes = plain().bytes();
            let at = memchr::memmem::rfind(&bytes, b"\nendstream").unwrap();
            bytes[..at - 2].to_vec()
        }),
        of("head-none", "no first line", &|document| {
            document.version = String::new()
        }),
        of("head-version", "version 9.9", &|document| {
            document.version = head("9.9")
        }),
        of("head-version-none", "no version", &|document| {
            document.version = head("")
        }),
        of(
            "head-case",
            "the first line in small letters",
            &|document| document.version = head("1.7").to_lowercase(),
        ),
        of(
            "head-postscript",
            "the first line of older programs",
            &|document| document.version = format!("%!PS-Adobe-3.0 {}-1.7\n", "PDF"),
        ),
        of("head-1000", "1,000 bytes before it", &|document| {
            document.before = [b'x'; 1000].to_vec()
        }),
        of(
            "head-1000-shift",
            "1,000 bytes before it that offsets do not count",
            &|document| (document.before, document.adjusted) = ([b'x'; 1000].to_vec(), false),
        ),
        of("head-1100", "1,100 bytes before it", &|document| {
            document.before = [b'\n'; 1100].to_vec()
        }),
        of("head-5000", "5,000 bytes before it", &|document| {
            document.before = [b'\n'; 5000].to_vec()
        }),
        of("head-zeros", "4,096 zeros before it", &|document| {
            document.before = vec![0; 4096]
        }),
        of(
            "head-zeros-end-none",
            "4,096 zeros before it, and no end",
            &|document| {
                (document.before, document.table, document.end) = (vec![0; 4096], false, false)
            },
        ),
        of(
            "head-100000-end-none",
            "100,000 bytes before it, and no end",
            &|document| {
                (document.before, document.table, document.end) =
                    (vec![b'x'; 100_000], false, false)
            },
        ),
        of("head-100000", "100,000 bytes before it", &|document| {
            document.before = vec![b'x'; 100_000]
        }),
        of("head-gif", "the head of a picture before it", &|document| {
            document.before = b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()
        }),
        of("head-html", "a page before it", &|document| {
            document.before = b"<html><body>x</body></html>\n".to_vec()
        }),
        of("head-mail", "a header of the web before it", &|document| {
            document.before = b"Content-Type: application/pdf\r\n\r\n".to_vec()
        }),
        of("head-bom", "a byte order mark before it", &|document| {
            document.before = b"\xef\xbb\xbf".to_vec()
        }),
        of("behind", "5,000 bytes behind it", &|document| {
            document.behind = [b'x'; 5000].to_vec()
        }),
        of("behind-zeros", "5,000 zeros behind it", &|document| {
            document.behind = [0; 5000].to_vec()
        }),
        of("behind-head", "another first line behind it", &|document| {
            document.behind = head("1.4").into_bytes()
        }),
        case(
            "line-ends",
            "lines that end with CR",
            [&head_cr[..], &cr[at..]].concat(),
        ),
        case(
            "behind-archive",
            "an archive behind it and a text",
            document(harmless())
                .with(|document| {
                    document.behind = [&[b'x'; 100][..], &gzip(&eicar())].concat();
                })
                .bytes(),
        ),
        case(
            "many-objects",
            "behind 3,000 other objects",
            document(evil())
                .with(|document| {
                    let others: Vec<_> =
                        (100..3100).map(|number| (number, b"[]".to_vec())).collect();
                    document.objects.splice(0..0, others);
                })
                .bytes(),
        ),
    ]
}

/// Objects that are written again, and how objects begin.
fn revisions() -> Vec<Case> {
    let twice = |first: Vec<u8>, last: Vec<u8>, table: bool| {
        let old = document(first).with(|document| document.table = table);
        let mut out = old.bytes();
        let before = memchr::memmem::rfind(&out, b"\nxref\n").map_or(0, |at| at + 1);
        old.revision(&mut out, 0, &[(4, last)], &format!("/Prev {before}"));
        out
    };
    let in_place = |objects: Vec<(u32, Vec<u8>)>| {
        document(harmless())
            .with(|document| {
                document.objects.retain(|(number, _)| *number != 4);
                document.objects.extend(objects.clone());
            })
            .bytes()
    };
    let begun = |name: &str, oddity: &str, begin: &str| {
        let bytes = document(evil())
            .with(|document| document.table = false)
            .bytes();
        let at = memchr::memmem::find(&bytes, b"4 0 obj").unwrap();
        case(
            format!("object-{name}"),
            oddity,
            [&bytes[..at], begin.as_bytes(), &bytes[at + 7..]].concat(),
        )
    };
    vec![
        case(
            "revision-new",
            "in the newer of two revisions",
            twice(harmless(), evil(), true),
        ),
        case(
            "revision-old",
            "in the older of two revisions",
            twice(evil(), harmless(), true),
        ),
        case(
            "revision-old-null",
            "in the older of two revisions, then taken away",
            twice(evil(), b"null".to_vec(), true),
        ),
        case(
            "revision-new-bare",
            "in the newer of two revisions, no table",
            twice(harmless(), evil(), false),
        ),
        case(
            "revision-old-bare",
            "in the older of two revisions, no table",
            twice(evil(), harmless(), false),
        ),
        case(
            "twice-first",
            "an object twice in one revision, the first",
            in_place(vec![(4, evil()), (4, harmless())]),
        ),
        case(
            "twice-last",
            "an object twice in one revision, the last",
            in_place(vec![(4, harmless()), (4, evil())]),
        ),
        case(
            "unused",
            "an object that nothing refers to",
            in_place(vec![(4, harmless()), (9, evil())]),
        ),
        case(
            "number-large",
            "an object of a large number",
            in_place(vec![(4, harmless()), (8_388_606, evil())]),
        ),
        case(
            "inside",
            "an object within the data of another stream",
            in_place(vec![(4, stream("/Type/X", &document(evil()).bytes()))]),
        ),
        begun(
            "comment",
            "a comment in an object's first line",
            "4 % comment\n0 obj",
        ),
        begun(
            "feeds",
            "form feeds and zeros in an object's first line",
            "4\x0c0\0obj",
        ),
        begun(
            "lines",
            "an object's first line over three lines",
            "4\n0\nobj",
        ),
        begun(
            "zeros",
            "zeros before an object's number",
            "00004 00000 obj",
        ),
        begun("plus", "a plus sign before an object's number", "+4 0 obj"),
        begun("generation", "another generation", "4 7 obj"),
        begun(
            "joined",
            "a dictionary directly behind the word obj",
            "4 0 obj<<>>\nendobj\n4 0 obj",
        ),
        begun("no-number", "an object without its number", "obj"),
    ]
}

/// Where a file hangs in the document.
fn places() -> Vec<Case> {
    let of = |name: &str, oddity: &str, catalogue: &str, page: &str, more: Vec<(u32, &str)>| {
        let mut all = vec![
            (1, catalogue.into()),
            (2, PAGES.into()),
            (3, page.into()),
            (4, evil()),
            (5, FILE.into()),
        ];
        all.extend(more.into_iter().map(|(number, text)| (number, text.into())));
        case(format!("file-{name}"), oddity, objects(all).bytes())
    };
    let bare = "<</Type/Catalog/Pages 2 0 R>>";
    let annotated = |annotation: &str| {
        format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Annots[{annotation}]>>")
    };
    vec![
        of(
            "tree",
            "a file in a tree of names",
            "<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Kids[6 0 R]>>>>>>",
            PAGE,
            vec![
                (6, "<</Kids[7 0 R]/Limits[(a)(z)]>>"),
                (7, "<</Names[(virus.com)5 0 R]/Limits[(a)(z)]>>"),
            ],
        ),
        of(
            "tree-loop",
            "a tree of names that goes around",
            "<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles 6 0 R>>>>",
            PAGE,
            vec![
                (6, "<</Kids[6 0 R 7 0 R]>>"),
                (7, "<</Names[(virus.com)5 0 R]>>"),
            ],
        ),
        of(
            "annotation",
            "a file at a note",
            bare,
            &annotated("<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/FS 5 0 R>>"),
            vec![],
        ),
        of(
            "associated",
            "a file that belongs to the document",
            "<</Type/Catalog/Pages 2 0 R/AF[5 0 R]>>",
            PAGE,
            vec![],
        ),
        of(
            "media",
            "a file of rich media",
            bare,
            &annotated(
                "<</Type/Annot/Subtype/RichMedia/Rect[0 0 9 9]/RichMediaContent<</Assets<</Names[(a)5 0 R]>>>>>>",
            ),
            vec![],
        ),
        of(
            "name-escaped",
            "names with numbers for letters",
            "<</Type/Catalog/Pages 2 0 R/#4eames<</Embedded#46iles<</Names[(virus.com)5 0 R]>>>>>>",
            PAGE,
            vec![],
        ),
        of(
            "collection",
            "a portfolio",
            "<</Type/Catalog/Pages 2 0 R/Collection<</View/T>>/Names<</EmbeddedFiles<</Names[(virus.com)5 0 R]>>>>>>",
            PAGE,
            vec![],
        ),
        case(
            "file-content",
            "the content of the page",
            objects(vec![
                (1, b"<</Type/Catalog/Pages 2 0 R>>".to_vec()),
                (2, PAGES.into()),
                (
                    3,
                    annotated("").replace("/Annots[]", "/Contents 4 0 R").into(),
                ),
                (4, evil()),
            ])
            .bytes(),
        ),
        case(
            "file-metadata",
            "the metadata",
            objects(vec![
                (1, b"<</Type/Catalog/Pages 2 0 R/Metadata 4 0 R>>".to_vec()),
                (2, PAGES.into()),
                (3, PAGE.into()),
                (
                    4,
                    stream(
                        "/Type/Metadata/Subtype/XML/Filter/FlateDecode",
                        &zlib(&eicar()),
                    ),
                ),
            ])
            .bytes(),
        ),
        case(
            "file-in-file",
            "a document in a document",
            document(stream(FLATE, &zlib(&document(evil()).bytes()))).bytes(),
        ),
        case(
            "file-zip",
            "an archive in a document",
            document(stream(
                FLATE,
                &crate::support::zip(&[("virus.com", &eicar())]),
            ))
            .bytes(),
        ),
    ]
}

/// The letters of a text, each as a number in octal digits.
fn octal() -> String {
    eicar().iter().map(|byte| format!("\\{byte:03o}")).collect()
}

fn scripts() -> Vec<Case> {
    let of = |name: &str, oddity: &str, entries: &str| {
        let catalogue = format!("<</Type/Catalog/Pages 2 0 R/OpenAction<<{entries}>>>>");
        case(
            format!("script-{name}"),
            format!("a script: {oddity}"),
            objects(vec![
                (1, catalogue.into_bytes()),
                (2, PAGES.into()),
                (3, PAGE.into()),
            ])
            .bytes(),
        )
    };
    let hex = data_encoding::HEXUPPER.encode(&eicar());
    let wide: Vec<u8> = eicar().iter().flat_map(|byte| [0, *byte]).collect();
    let hex_wide = data_encoding::HEXUPPER.encode(&wide);
    let broken: String = eicar()
        .iter()
        .map(|byte| format!("\\{byte:03o}\\\n"))
        .collect();
    let script = format!("<</S/JavaScript/JS({})>>", octal());
    let with = |name: &str, oddity: &str, catalogue: &str, more: Vec<(u32, Vec<u8>)>| {
        let mut all = vec![(1, catalogue.into()), (2, PAGES.into()), (3, PAGE.into())];
        all.extend(more);
        case(
            format!("script-{name}"),
            format!("a script: {oddity}"),
            objects(all).bytes(),
        )
    };
    let packed = |inner: &str| {
        let content = format!("6 0 {inner}");
        stream(
            "/Type/ObjStm/N 1/First 4/Filter/FlateDecode",
            &zlib(content.as_bytes()),
        )
    };
    let by_stream = "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS 4 0 R>>>>";
    vec![
        of(
            "octal",
            "octal digits",
            &format!("/S/JavaScript/JS({})", octal()),
        ),
        of(
            "octal-lines",
            "octal digits, each on a line",
            &format!("/S/JavaScript/JS({broken})"),
        ),
        of(
            "hex",
            "hexadecimal digits",
            &format!("/S/JavaScript/JS<{hex}>"),
        ),
        of(
            "hex-blanks",
            "hexadecimal digits and white space",
            &format!("/S/JavaScript/JS<{}>", hex.replace('5', " 5\n")),
        ),
        of(
            "wide",
            "UTF-16",
            &format!("/S/JavaScript/JS<FEFF{hex_wide}>"),
        ),
        of(
            "name",
            "its key with a number for a letter",
            &format!("/S/JavaScript/J#53({})", octal()),
        ),
        of(
            "kind",
            "its kind with numbers for letters",
            &format!("/S/J#61vaScrip#74/JS({})", octal()),
        ),
        of(
            "comment",
            "a comment between key and text",
            &format!("/S/JavaScript/JS%(\n({})", octal()),
        ),
        with(
            "stream",
            "a stream",
            by_stream,
            vec![(4, stream("/Filter/FlateDecode", &zlib(&eicar())))],
        ),
        with(
            "stream-hex",
            "a stream of hexadecimal digits",
            by_stream,
            vec![(4, stream("/Filter/AHx", hex.as_bytes()))],
        ),
        with(
            "reference",
            "a text in another object",
            by_stream,
            vec![(4, format!("({})", octal()).into_bytes())],
        ),
        with(
            "names",
            "in the tree of names",
            "<</Type/Catalog/Pages 2 0 R/Names<</JavaScript<</Names[(a)4 0 R]>>>>>>",
            vec![(4, script.clone().into_bytes())],
        ),
        with(
            "action",
            "at the closing of the document",
            "<</Type/Catalog/Pages 2 0 R/AA<</WC 4 0 R>>>>",
            vec![(4, script.clone().into_bytes())],
        ),
        with(
            "next",
            "behind another action",
            &format!(
                "<</Type/Catalog/Pages 2 0 R/OpenAction<</S/Named/N/NextPage/Next {script}>>>>"
            ),
            vec![],
        ),
        with(
            "packed",
            "in a stream of objects that no table has",
            "<</Type/Catalog/Pages 2 0 R/Kept[4 0 R]/OpenAction 6 0 R>>",
            vec![(4, packed(&script))],
        ),
        with(
            "packed-escaped",
            "in a stream of objects, its type with a number for a letter",
            "<</Type/Catalog/Pages 2 0 R/Kept[4 0 R]/OpenAction 6 0 R>>",
            vec![(
                4,
                stream(
                    "/Type/Obj#53tm/N 1/First 4/Filter/FlateDecode",
                    &zlib(format!("6 0 {script}").as_bytes()),
                ),
            )],
        ),
        case(
            "script-packed-table",
            "a script: in a stream of objects that the table has",
            with_table_stream(&script),
        ),
    ]
}

/// A document with its table in a stream, and object 6 in a stream of objects.
fn with_table_stream(object: &str) -> Vec<u8> {
    let content = format!("6 0 {object}");
    let mut out = head("1.7").into_bytes();
    let mut places = Vec::new();
    let all: [(u32, Vec<u8>); 4] = [
        (
            1,
            b"<</Type/Catalog/Pages 2 0 R/OpenAction 6 0 R>>".to_vec(),
        ),
        (2, PAGES.into()),
        (3, PAGE.into()),
        (
            4,
            stream(
                "/Type/ObjStm/N 1/First 4/Filter/FlateDecode",
                &zlib(content.as_bytes()),
            ),
        ),
    ];
    for (number, object) in all {
        places.push(out.len());
        out.extend(format!("{number} 0 obj\n").bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let start = out.len();
    let mut table = vec![0, 0, 0, 0xff];
    for place in places.iter().chain([&start]) {
        table.push(1);
        table.extend(u16::try_from(*place).unwrap().to_be_bytes());
        table.push(0);
    }
    table.extend([2, 0, 4, 0]);
    out.extend(b"5 0 obj\n");
    out.extend(stream(
        "/Type/XRef/Size 7/W[1 2 1]/Root 1 0 R/Filter/FlateDecode",
        &zlib(&table),
    ));
    out.extend(format!("\nendobj\nstartxref\n{start}\n%%EOF\n").bytes());
    out
}

/// RC4.
fn rc4(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0_usize;
    for i in 0..256 {
        j = (j + usize::from(state[i]) + usize::from(key[i % key.len()])) % 256;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0, 0);
    let mut next = || {
        i = (i + 1) % 256;
        j = (j + usize::from(state[i])) % 256;
        state.swap(i, j);
        state[(usize::from(state[i]) + usize::from(state[j])) % 256]
    };
    content.iter().map(|byte| byte ^ next()).collect()
}

/// What a password is filled up with (§7.6.3.3).
const PAD: [u8; 32] = *b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
const OWNER: [u8; 32] = [0x5a; 32];
const ID: [u8; 16] = [0x33; 16];

/// Documents that open without a password (§7.6.3, revision 2).
fn encrypted() -> Vec<Case> {
    let key = Md5::digest([&PAD[..], &OWNER, &(-44_i32).to_le_bytes(), &ID].concat())[..5].to_vec();
    let of_object = Md5::digest([&key[..], &[4, 0, 0, 0, 0]].concat())[..10].to_vec();
    let data = rc4(&of_object, &zlib(&eicar()));
    let hex = |bytes: &[u8]| data_encoding::HEXUPPER.encode(bytes);
    let entries = |permissions: &str| {
        format!(
            "/Filter/Standard/V 1/R 2/O<{}>/U<{}>/P {permissions}",
            hex(&OWNER),
            hex(&rc4(&key, &PAD))
        )
    };
    let id = format!("/ID[<{0}><{0}>]", hex(&ID));
    let of = |name: &str, oddity: &str, trailer: String, data: &[u8], more: Vec<(u32, String)>| {
        let document = document(stream(FLATE, data)).with(|document| {
            document.trailer.clone_from(&trailer);
            document.objects.extend(
                more.iter()
                    .map(|(number, text)| (*number, text.clone().into_bytes())),
            );
        });
        case(
            format!("encrypted-{name}"),
            format!("encrypted with an empty password: {oddity}"),
            document.bytes(),
        )
    };
    let usual = entries("-44");
    vec![
        of(
            "rc4",
            "nothing odd",
            format!("/Encrypt 6 0 R{id}"),
            &data,
            vec![(6, format!("<<{usual}>>"))],
        ),
        of(
            "direct",
            "its dictionary in the trailer",
            format!("/Encrypt<<{usual}>>{id}"),
            &data,
            vec![],
        ),
        of(
            "unsigned",
            "permissions without their sign",
            format!("/Encrypt<<{}>>{id}", entries("4294967252")),
            &data,
            vec![],
        ),
        of(
            "escaped",
            "names with numbers for letters",
            format!(
                "/Encryp#74<<{}>>{}",
                usual
                    .replace("/O<", "/#4f<")
                    .replace("Standard", "St#61ndard"),
                id.replace("/ID", "/I#44")
            ),
            &data,
            vec![],
        ),
        of(
            "length",
            "a length of the key that does not count",
            format!("/Encrypt<<{usual}/Length 128>>{id}"),
            &data,
            vec![],
        ),
        of(
            "plain",
            "the stream is not",
            format!("/Encrypt<<{usual}>>{id}"),
            &zlib(&eicar()),
            vec![],
        ),
        of(
            "user",
            "a wrong proof of the password",
            format!(
                "/Encrypt<<{}>>{id}",
                usual.replace("/U<", "/U<00").replace(">/P", "00>/P")
            ),
            &data,
            vec![],
        ),
        of(
            "filter",
            "another filter's name",
            format!("/Encrypt<<{}>>{id}", usual.replace("Standard", "Other")),
            &data,
            vec![],
        ),
        of(
            "version",
            "a version that is none",
            format!("/Encrypt<<{}>>{id}", usual.replace("/V 1", "/V 0")),
            &data,
            vec![],
        ),
    ]
}
