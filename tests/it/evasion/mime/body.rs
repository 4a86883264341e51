//! Transfer encodings that are wrong, rare, or wrongly named.

use super::{
    BY_BASE64, BY_QUOTED, NAMED, Rows, attached, base64, bytes, evil, halves, lines, mail, parts,
    quoted, row, uu,
};
use crate::support::{eicar, gzip};

/// What is said of the transfer encoding.
pub(super) fn encodings() -> Rows {
    let by = |name: &str, oddity: &str, fields: &str| {
        row(
            name,
            oddity,
            attached(&format!("{NAMED}{fields}"), &base64()),
        )
    };
    let mut rows = vec![
        by("plain", "nothing", BY_BASE64),
        by("encoding-none", "base64 that no header tells of", ""),
        by(
            "encoding-first",
            "two encodings, the first is right",
            &format!("{BY_BASE64}Content-Transfer-Encoding: 7bit\r\n"),
        ),
        by(
            "encoding-last",
            "two encodings, the last is right",
            &format!("Content-Transfer-Encoding: 7bit\r\n{BY_BASE64}"),
        ),
        by(
            "encoding-middle",
            "three encodings, the second is right",
            &format!("Content-Transfer-Encoding: 8bit\r\n{BY_BASE64}{BY_QUOTED}"),
        ),
        row(
            "encoding-quoted-first",
            "quoted-printable, then base64; it is the first",
            attached(&format!("{NAMED}{BY_QUOTED}{BY_BASE64}"), &quoted()),
        ),
        row(
            "encoding-quoted-last",
            "base64, then quoted-printable; it is the last",
            attached(&format!("{NAMED}{BY_BASE64}{BY_QUOTED}"), &quoted()),
        ),
        row(
            "encoding-outside",
            "the encoding of the mail, not of the part",
            mail(
                &format!("Content-Type: multipart/mixed; boundary=frontier\r\n{BY_BASE64}"),
                &parts("frontier", &format!("{NAMED}\r\n{}", base64())),
            ),
        ),
        row(
            "encoding-whole",
            "a multipart that is encoded as a whole",
            mail(
                &format!("Content-Type: multipart/mixed; boundary=frontier\r\n{BY_BASE64}"),
                &lines(
                    &data_encoding::BASE64.encode(&bytes(&parts("frontier", &evil()))),
                    60,
                ),
            ),
        ),
        row(
            "encoding-gzip",
            "a content encoding as in HTTP",
            attached(
                &format!("{NAMED}Content-Encoding: gzip\r\n{BY_BASE64}"),
                &lines(&data_encoding::BASE64.encode(&gzip(&eicar())), 4),
            ),
        ),
    ];
    let values = [
        ("folded", "folded before the value", "\r\n base64"),
        ("folded-tab", "folded with a tab", "\r\n\tbase64"),
        (
            "folded-twice",
            "folded twice, the first time around nothing",
            "\r\n \r\n base64",
        ),
        ("folded-within", "folded within the word", "base\r\n 64"),
        ("comment", "a comment before", "(7bit) base64"),
        ("comment-behind", "a comment behind", "base64 (7bit)"),
        (
            "comment-nested",
            "comments within comments",
            "(a (7bit) \\) b) base64",
        ),
        ("comment-open", "a comment without its end", "base64 (7bit"),
        ("comment-within", "a comment in the word", "base(x)64"),
        ("quotes", "in quotes", "\"base64\""),
        ("quotes-single", "in single quotes", "'base64'"),
        ("quotes-half", "one quote", "\"base64"),
        ("brackets", "in angle brackets", "<base64>"),
        ("semicolon", "a semicolon behind", "base64;"),
        ("parameter", "a parameter", "base64; charset=us-ascii"),
        ("comma", "a list of two", "7bit, base64"),
        (
            "comma-behind",
            "a list of two, the other way round",
            "base64, 7bit",
        ),
        ("two-words", "two words", "base64 7bit"),
        (
            "two-words-last",
            "two words, the last is right",
            "7bit base64",
        ),
        ("upper", "capitals", "BASE64"),
        ("mixed", "capitals and small letters", "bAsE64"),
        ("white", "white space around", " \t base64 \t "),
        ("blank-within", "a blank in the word", "base 64"),
        ("dash", "a hyphen in the word", "base-64"),
        ("x", "an x before the word", "x-base64"),
        ("behind", "letters behind the word", "base64x"),
        ("zero", "a zero behind the word", "base64\0"),
        ("zero-within", "a zero in the word", "base\0\x36\x34"),
        (
            "wide-blank",
            "a byte above ASCII behind the word",
            "base64\u{a0}",
        ),
        ("dot", "a full stop behind the word", "base64."),
        ("equals", "an equals sign before the word", "=base64"),
        ("colon", "two colons", ": base64"),
        (
            "encoded-word",
            "as an encoded word",
            "=?us-ascii?Q?base64?=",
        ),
        ("empty", "no value", ""),
        ("7bit", "7bit, says the header", "7bit"),
        ("binary", "binary, says the header", "binary"),
        ("unknown", "an encoding that is none", "x-unknown"),
        (
            "says-quoted",
            "quoted-printable, says the header of base64",
            "quoted-printable",
        ),
        (
            "says-uu",
            "uuencode, says the header of base64",
            "x-uuencode",
        ),
    ];
    for (name, oddity, value) in values {
        rows.push(by(
            &format!("encoding-{name}"),
            &format!("transfer encoding: {oddity}"),
            &format!("Content-Transfer-Encoding: {value}\r\n"),
        ));
    }
    let words = [
        ("q-upper", "QUOTED-PRINTABLE"),
        ("q-blank", "quoted printable"),
        ("q-joined", "quotedprintable"),
        ("q-underscore", "quoted_printable"),
        ("q-letter", "Q"),
        ("q-quotes", "\"quoted-printable\""),
    ];
    for (name, value) in words {
        rows.push(row(
            name,
            &format!("quoted-printable that is called {value}"),
            attached(
                &format!("{NAMED}Content-Transfer-Encoding: {value}\r\n"),
                &quoted(),
            ),
        ));
    }
    let uuencoded = [
        ("uu", "x-uuencode"),
        ("uu-no-x", "uuencode"),
        ("uu-x-uue", "x-uue"),
        ("uu-uue", "uue"),
        ("uu-upper", "X-UUENCODE"),
        ("uu-7bit", "7bit"),
    ];
    for (name, value) in uuencoded {
        let fields = format!("{NAMED}Content-Transfer-Encoding: {value}\r\n");
        let oddity = format!("uuencode that is called {value}");
        rows.push(row(name, &oddity, attached(&fields, &uu("virus.com"))));
    }
    let bare = uu("virus.com");
    let bare = bare
        .split_once("\r\n")
        .unwrap()
        .1
        .replace("`\r\nend\r\n", "");
    rows.push(row(
        "uu-bare",
        "uuencode without begin and end",
        attached(
            &format!("{NAMED}Content-Transfer-Encoding: x-uuencode\r\n"),
            &bare,
        ),
    ));
    rows
}

/// Base64 as it should not be.
pub(super) fn base64s() -> Rows {
    let digits = data_encoding::BASE64.encode(&eicar());
    let groups = |size: usize| -> String {
        eicar()
            .chunks(size)
            .map(|chunk| data_encoding::BASE64.encode(chunk))
            .collect()
    };
    let between = |junk: &str| -> String {
        let letters: Vec<String> = digits.chars().map(String::from).collect();
        lines(&letters.join(junk), 60)
    };
    let special = [&[0, 0x0f, 0x80, 0xff, 0xff, 0xff][..], &eicar()].concat();
    let marker = eicar();
    let (first, second) = marker.split_at(34);
    let two = |between: &str| {
        format!(
            "{}{between}{}",
            lines(&data_encoding::BASE64.encode(first), 4).trim_end(),
            lines(&data_encoding::BASE64.encode(second), 4)
        )
    };
    let rows = [
        ("one-line", "one line", digits.clone()),
        ("letters", "lines of one letter", lines(&digits, 1)),
        ("odd-lines", "lines of 7 letters", lines(&digits, 7)),
        ("early-padding-1", "each byte padded", lines(&groups(1), 76)),
        (
            "early-padding-2",
            "each two bytes padded",
            lines(&groups(2), 76),
        ),
        (
            "unpadded",
            "no padding",
            lines(digits.trim_end_matches('='), 4),
        ),
        (
            "overpadded",
            "eight signs of padding",
            lines(&format!("{digits}========"), 4),
        ),
        (
            "padded-first",
            "padding before all",
            lines(&format!("====={digits}"), 5),
        ),
        (
            "padded-within",
            "padding within a group",
            lines(&format!("{}={}", &digits[..41], &digits[41..]), 7),
        ),
        (
            "padded-between",
            "padding between two groups",
            lines(&format!("{}={}", &digits[..40], &digits[40..]), 7),
        ),
        ("joined", "two encoded parts in a row", two("")),
        (
            "joined-lines",
            "two encoded parts in lines of their own",
            two("\r\n"),
        ),
        (
            "joined-blank",
            "two encoded parts with an empty line between",
            two("\r\n\r\n"),
        ),
        (
            "joined-text",
            "two encoded parts with a text between",
            two("\r\n-- \r\n"),
        ),
        ("stars", "a star between any two letters", between("*")),
        ("blanks", "a blank between any two letters", between(" ")),
        ("dots", "a dot between any two letters", between(".")),
        ("zeros", "a zero between any two letters", between("\0")),
        (
            "wide",
            "a byte above ASCII between any two letters",
            between("\u{ff}"),
        ),
        ("hyphens", "a hyphen between any two letters", between("-")),
        (
            "underscores",
            "an underscore between any two letters",
            between("_"),
        ),
        (
            "bangs",
            "lines that end with an exclamation mark",
            lines(&digits, 4).replace("\r\n", "!\r\n"),
        ),
        (
            "gt",
            "lines that are quoted",
            lines(&digits, 4).replace("\r\n", "\r\n> "),
        ),
        (
            "url",
            "the alphabet of addresses",
            lines(&data_encoding::BASE64URL.encode(&special), 5),
        ),
        (
            "entities",
            "line ends as HTML has them",
            lines(&digits, 8).replace("\r\n", "&#13;\r\n"),
        ),
        (
            "text-before",
            "a word before",
            format!("Word\r\n{}", lines(&digits, 4)),
        ),
        (
            "sentence-before",
            "a sentence before",
            format!("See the file (1).\r\n\r\n{}", lines(&digits, 4)),
        ),
        (
            "line-before",
            "an empty line before",
            format!("\r\n\r\n \r\n{}", lines(&digits, 4)),
        ),
        (
            "text-behind",
            "a sentence behind the padding",
            format!(
                "{}This list is managed by nobody at all\r\n",
                lines(&digits, 4)
            ),
        ),
        (
            "digit-behind",
            "one digit too many",
            lines(&format!("{}A", digits.trim_end_matches('=')), 4),
        ),
        (
            "bits",
            "bits that are left over are set",
            lines(&digits.replace("Co=", "Cp="), 4),
        ),
        (
            "long-line",
            "behind 90,000 blanks on one line",
            format!("{}{digits}\r\n", " ".repeat(90_000)),
        ),
        (
            "many-lines",
            "behind 20,000 empty lines",
            format!("{}{digits}\r\n", "\r\n".repeat(20_000)),
        ),
        (
            "cr",
            "lines that end with CR",
            lines(&digits, 4).replace("\r\n", "\r"),
        ),
        (
            "cr-cr-lf",
            "lines that end with CR CR LF",
            lines(&digits, 4).replace("\r\n", "\r\r\n"),
        ),
        (
            "begin",
            "between the lines that uuencode has for base64",
            format!(
                "begin-base64 644 virus.com\r\n{}====\r\n",
                lines(&digits, 60)
            ),
        ),
    ];
    rows.into_iter()
        .map(|(name, oddity, body)| {
            row(
                &format!("base64-{name}"),
                &format!("base64: {oddity}"),
                attached(&format!("{NAMED}{BY_BASE64}"), &body),
            )
        })
        .collect()
}

/// Quoted-printable as it should not be.
pub(super) fn quoteds() -> Rows {
    let plain = quoted();
    let escapes = plain.replace("=\r\n", "").trim_end().to_owned();
    let rows = [
        ("soft", "a soft break", halves("=\r\n")),
        (
            "soft-blanks",
            "blanks behind the sign of a soft break",
            halves("= \t \r\n"),
        ),
        ("soft-lf", "a soft break of LF", halves("=\n")),
        ("soft-cr", "a soft break of CR", halves("=\r")),
        (
            "soft-twice",
            "a soft break, and another",
            halves("=\r\n=\r\n"),
        ),
        (
            "soft-cr-cr-lf",
            "a soft break of CR CR LF",
            halves("=\r\r\n"),
        ),
        (
            "soft-cr-cr-lf-uu",
            "a soft break of CR CR LF before a uuencoded file",
            format!("see below=\r\r\n{}", uu("virus.com")),
        ),
        (
            "soft-digits",
            "a soft break between the digits of an escape",
            plain.replacen("=58", "=5=\r\n8", 1),
        ),
        ("lower", "small hexadecimal digits", plain.to_lowercase()),
        (
            "mixed",
            "small and large hexadecimal digits",
            plain.replace("A", "a"),
        ),
        ("long", "one line", format!("{escapes}\r\n")),
        (
            "junk",
            "an escape that is none before",
            format!("=ZZ=4{plain}"),
        ),
        ("end", "a sign of escape at the end", format!("{escapes}=")),
        (
            "end-blanks",
            "blanks at the ends of lines",
            plain.replace("=\r\n", "=   \r\n"),
        ),
        (
            "short",
            "an escape in each line",
            escapes.replace("=", "=\r\n="),
        ),
        (
            "blank-line",
            "behind 9,000 blanks",
            format!("{}{plain}", " ".repeat(9_000)),
        ),
        ("zero", "zeros in the soft break", halves("=\0\r\n")),
    ];
    rows.into_iter()
        .map(|(name, oddity, body)| {
            row(
                &format!("quoted-{name}"),
                &format!("quoted-printable: {oddity}"),
                attached(&format!("{NAMED}{BY_QUOTED}"), &body),
            )
        })
        .collect()
}
