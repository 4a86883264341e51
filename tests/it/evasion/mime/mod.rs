//! Mails (RFC 5322, RFC 2045 to 2049, RFC 2231) over whose headers, boundaries and encodings readers differ.

mod body;
mod boundary;
mod content;
mod header;
mod lost;

use super::{Case, case};
use crate::support::eicar;

/// Each character as the byte of its number: cases are written as texts, and not all of them are UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap())
        .collect()
}

/// The marker in lines of four digits, which look like nothing.
fn base64() -> String {
    lines(&data_encoding::BASE64.encode(&eicar()), 4)
}

fn lines(text: &str, length: usize) -> String {
    let mut out = String::new();
    for line in text.as_bytes().chunks(length) {
        out.push_str(std::str::from_utf8(line).unwrap());
        out.push_str("\r\n");
    }
    out
}

/// The marker in quoted-printable, each byte escaped.
fn quoted() -> String {
    let escapes: Vec<String> = eicar().iter().map(|byte| format!("={byte:02X}")).collect();
    let lines: Vec<String> = escapes.chunks(20).map(<[String]>::concat).collect();
    lines.join("=\r\n") + "\r\n"
}

/// The marker in two halves with this between them.
fn halves(between: &str) -> String {
    let marker = String::from_utf8(eicar()).unwrap();
    let (first, second) = marker.split_at(34);
    format!("{first}{between}{second}\r\n")
}

/// The marker in uuencode.
fn uu(name: &str) -> String {
    let mut out = format!("begin 644 {name}\r\n");
    for line in super::text::uu_lines(&super::text::uu_alphabet(b'`'), 45) {
        out.push_str(std::str::from_utf8(&line).unwrap());
        out.push_str("\r\n");
    }
    out + "`\r\nend\r\n"
}

/// A mail without the lines that say what it holds.
const HEAD: &str = "From: a@example.org\r\nTo: b@example.org\r\nSubject: letter\r\n";
const MIME: &str = "MIME-Version: 1.0\r\n";
const NAMED: &str = "Content-Type: application/octet-stream; name=virus.com\r\n";
const BY_BASE64: &str = "Content-Transfer-Encoding: base64\r\n";
const BY_QUOTED: &str = "Content-Transfer-Encoding: quoted-printable\r\n";

/// A mail of these fields and this body.
fn mail(fields: &str, body: &str) -> String {
    format!("{HEAD}{MIME}{fields}\r\n{body}")
}

/// A mail with a text, and a part with these fields and this body.
fn attached(fields: &str, body: &str) -> String {
    let part = format!("{fields}\r\n{body}");
    multipart(
        "Content-Type: multipart/mixed; boundary=frontier\r\n",
        "frontier",
        &part,
    )
}

/// A mail of this type, whose second part lies between lines of this boundary.
fn multipart(fields: &str, boundary: &str, part: &str) -> String {
    mail(fields, &parts(boundary, part))
}

fn parts(boundary: &str, part: &str) -> String {
    format!(
        "--{boundary}\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--{boundary}\r\n{part}\r\n--{boundary}--\r\n"
    )
}

/// The marker as a part.
fn evil() -> String {
    format!("{NAMED}{BY_QUOTED}\r\n{}", quoted())
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let tables = [
        body::encodings,
        header::names,
        body::base64s,
        body::quoteds,
        boundary::boundaries,
        boundary::delimiters,
        content::types,
        content::nested,
        header::line_ends,
        header::headers,
        lost::parts_alone,
    ];
    for table in tables {
        for (name, oddity, text) in table() {
            cases.push(case(name, oddity, bytes(&text)));
        }
    }
    cases
}

/// Name, what is odd, and the mail as [`bytes`] reads it.
type Rows = Vec<(String, String, String)>;

fn row(name: &str, oddity: &str, text: String) -> (String, String, String) {
    (name.to_owned(), oddity.to_owned(), text)
}

fn utf7() -> String {
    let units: Vec<u8> = eicar().iter().flat_map(|byte| [0, *byte]).collect();
    format!("+{}-\r\n", data_encoding::BASE64_NOPAD.encode(&units))
}
