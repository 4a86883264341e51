//! Fields of a header, and lines that may be some.

use super::{BY_BASE64, HEAD, MIME, NAMED, Rows, attached, base64, evil, lines, mail, parts, row};
use crate::support::eicar;

/// How the field of the transfer encoding is written, and what stands before it.
pub(super) fn names() -> Rows {
    let many = "X-Field: value\r\n".repeat(300);
    let long = format!("X-Long: {}\r\n", "abcdefgh ".repeat(9_000));
    let folds = format!("X-Long: a\r\n{}", " abcdefgh\r\n".repeat(9_000));
    let fields = [
        (
            "blank",
            "a blank before the colon",
            "Content-Transfer-Encoding : base64\r\n",
        ),
        (
            "tab",
            "a tab before the colon",
            "Content-Transfer-Encoding\t: base64\r\n",
        ),
        (
            "no-blank",
            "no blank behind the colon",
            "Content-Transfer-Encoding:base64\r\n",
        ),
        (
            "no-colon",
            "no colon",
            "Content-Transfer-Encoding base64\r\n",
        ),
        (
            "equals",
            "an equals sign for the colon",
            "Content-Transfer-Encoding= base64\r\n",
        ),
        (
            "zero",
            "a zero in the name",
            "Content-Transfer-\0Encoding: base64\r\n",
        ),
        (
            "wide",
            "a byte above ASCII before the name",
            "\u{a0}Content-Transfer-Encoding: base64\r\n",
        ),
        (
            "control",
            "a control character before the name",
            "\x01Content-Transfer-Encoding: base64\r\n",
        ),
        (
            "odd-case",
            "the name in odd case",
            "cONTENT-tRANSFER-eNCODING: base64\r\n",
        ),
        (
            "comment",
            "a comment in the name",
            "Content-Transfer-Encoding (x): base64\r\n",
        ),
        (
            "underscore",
            "underscores in the name",
            "Content_Transfer_Encoding: base64\r\n",
        ),
        (
            "continuation",
            "in the continuation of another field",
            "X-Field: a\r\n Content-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-cr",
            "behind a CR alone",
            "X-Field: a\rContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-lf",
            "behind an LF alone",
            "X-Field: a\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-junk",
            "behind a line that is no field",
            "this is no field\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-from",
            "behind the line of an mbox",
            "From a@example.org Mon Jan  1 00:00:00 2024\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-colon",
            "behind a field without a name",
            ": value\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-empty",
            "behind a field without a value",
            "X-Field:\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-blank",
            "behind a line of one blank",
            " \r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-tab",
            "behind a line of one tab",
            "\t\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-zero",
            "behind a line of one zero",
            "\0\r\nContent-Transfer-Encoding: base64\r\n",
        ),
        (
            "behind-many",
            "behind 300 other fields",
            &format!("{many}{BY_BASE64}"),
        ),
        (
            "behind-long",
            "behind a field of 81,000 bytes",
            &format!("{long}{BY_BASE64}"),
        ),
        (
            "behind-folds",
            "behind a field that is folded 9,000 times",
            &format!("{folds}{BY_BASE64}"),
        ),
        (
            "behind-wide",
            "behind a field with bytes above ASCII",
            "X-F\u{fc}eld: \u{e4}\u{ff}\r\nContent-Transfer-Encoding: base64\r\n",
        ),
    ];
    let mut rows: Rows = fields
        .iter()
        .map(|(name, oddity, field)| {
            row(
                &format!("field-{name}"),
                &format!("the field of the encoding: {oddity}"),
                attached(&format!("{NAMED}{field}"), &base64()),
            )
        })
        .collect();
    rows.push(row(
        "field-first-white",
        "a part whose first line begins with a blank",
        attached(&format!(" {BY_BASE64}{NAMED}"), &base64()),
    ));
    rows.push(row(
        "field-alone",
        "a part with nothing but its encoding",
        attached(BY_BASE64, &base64()),
    ));
    rows.push(row(
        "field-none",
        "a part without a header: base64 at once",
        attached("", &lines(&data_encoding::BASE64.encode(&eicar()), 76)),
    ));
    for (name, oddity, fields) in [
        (
            "disposition",
            "a name in the disposition alone",
            "Content-Disposition: attachment; filename=virus.com\r\n",
        ),
        (
            "name-2231",
            "a name in sections",
            "Content-Disposition: attachment; filename*0*=utf-8''vi; filename*1=rus; filename*2*=%2ecom\r\n",
        ),
        (
            "name-2047",
            "a name as an encoded word",
            "Content-Type: application/octet-stream; name=\"=?utf-8?B?dmlydXMuY29t?=\"\r\n",
        ),
        (
            "name-two",
            "two names",
            "Content-Disposition: attachment; filename=a.txt; filename=virus.com\r\n",
        ),
        (
            "name-up",
            "a name that leaves the folder",
            "Content-Disposition: attachment; filename=\"../../virus.com\"\r\n",
        ),
        (
            "name-empty",
            "an empty name",
            "Content-Disposition: attachment; filename=\"\"\r\n",
        ),
        (
            "name-zero",
            "a zero in the name",
            "Content-Disposition: attachment; filename=\"a\0.com\"\r\n",
        ),
        (
            "name-long",
            "a name of 3,000 letters",
            &format!(
                "Content-Disposition: attachment; filename=\"{}.com\"\r\n",
                "a".repeat(3000)
            ),
        ),
        (
            "inline",
            "shown in the text",
            "Content-Disposition: inline\r\nContent-ID: <a@b>\r\n",
        ),
    ] {
        rows.push(row(
            name,
            oddity,
            attached(&format!("{fields}{BY_BASE64}"), &base64()),
        ));
    }
    rows
}

/// Line ends of the whole mail.
pub(super) fn line_ends() -> Rows {
    let normal = attached(&format!("{NAMED}{BY_BASE64}"), &base64());
    let (head, body) = normal.split_once("\r\n\r\n").unwrap();
    let mut mixed = String::new();
    for (number, line) in normal.split_inclusive("\r\n").enumerate() {
        let line = line.trim_end_matches("\r\n");
        mixed.push_str(line);
        mixed.push_str(["\n", "\r\n"][number % 2]);
    }
    let rows = [
        ("lf", "LF", normal.replace("\r\n", "\n")),
        ("cr", "CR", normal.replace("\r\n", "\r")),
        ("cr-cr-lf", "CR CR LF", normal.replace("\r\n", "\r\r\n")),
        ("mixed", "LF and CR LF by turns", mixed),
        (
            "head-lf",
            "LF in the header alone",
            format!("{}\n\n{body}", head.replace("\r\n", "\n")),
        ),
        (
            "head-cr",
            "CR in the header alone",
            format!("{}\r\r{body}", head.replace("\r\n", "\r")),
        ),
        (
            "body-lf",
            "LF in the body alone",
            format!("{head}\r\n\r\n{}", body.replace("\r\n", "\n")),
        ),
        (
            "body-cr",
            "CR in the body alone",
            format!("{head}\r\n\r\n{}", body.replace("\r\n", "\r")),
        ),
        (
            "zero-before",
            "a zero before each CR LF",
            normal.replace("\r\n", "\0\r\n"),
        ),
        (
            "form-feed",
            "a form feed before each CR LF",
            normal.replace("\r\n", "\x0c\r\n"),
        ),
    ];
    rows.into_iter()
        .map(|(name, oddity, text)| {
            row(
                &format!("lines-{name}"),
                &format!("lines that end with {oddity}"),
                text,
            )
        })
        .collect()
}

/// The header of the mail.
pub(super) fn headers() -> Rows {
    let fields = "Content-Type: multipart/mixed; boundary=frontier\r\n";
    let body = parts("frontier", &evil());
    let normal = mail(fields, &body);
    let rows = [
        (
            "no-blank",
            "no empty line behind the header",
            format!("{HEAD}{MIME}{fields}{body}"),
        ),
        (
            "blank-line",
            "a line of a blank ends the header",
            format!("{HEAD}{MIME}{fields} \r\n{body}"),
        ),
        (
            "blank-in",
            "a line of a blank within the header",
            format!("{HEAD}{MIME} \r\n{fields}\r\n{body}"),
        ),
        (
            "empty-in",
            "an empty line before the type",
            format!("{HEAD}{MIME}\r\n{fields}\r\n{body}"),
        ),
        (
            "mbox",
            "the line of an mbox before",
            format!("From a@example.org Mon Jan  1 00:00:00 2024\r\n{normal}"),
        ),
        (
            "mbox-quoted",
            "the quoted line of an mbox before",
            format!(">From a@example.org Mon Jan  1 00:00:00 2024\r\n{normal}"),
        ),
        (
            "mbox-in",
            "the line of an mbox in the header",
            format!(
                "{HEAD}From a@example.org Mon Jan  1 00:00:00 2024\r\n{MIME}{fields}\r\n{body}"
            ),
        ),
        (
            "empty-lines",
            "empty lines before",
            format!("\r\n\r\n\r\n{normal}"),
        ),
        (
            "many-empty-lines",
            "100 empty lines before",
            format!("{}{normal}", "\r\n".repeat(100)),
        ),
        (
            "bom",
            "a byte order mark before",
            format!("\u{ef}\u{bb}\u{bf}{normal}"),
        ),
        (
            "junk",
            "a line of text before",
            format!("this is no field\r\n{normal}"),
        ),
        (
            "continuation",
            "a continuation of nothing before",
            format!(" continued\r\n{normal}"),
        ),
        ("zeros", "four zeros before", format!("\0\0\0\0{normal}")),
        (
            "junk-in",
            "a line of text in the header",
            format!("{HEAD}this is no field\r\n{MIME}{fields}\r\n{body}"),
        ),
        (
            "no-version",
            "no MIME-Version",
            format!("{HEAD}{fields}\r\n{body}"),
        ),
        (
            "version-2",
            "MIME-Version 2.0",
            format!("{HEAD}MIME-Version: 2.0\r\n{fields}\r\n{body}"),
        ),
        (
            "version-odd",
            "a MIME-Version that is none",
            format!("{HEAD}MIME-Version: x (1.0)\r\n{fields}\r\n{body}"),
        ),
        (
            "version-last",
            "MIME-Version behind the type",
            format!("{HEAD}{fields}{MIME}\r\n{body}"),
        ),
        (
            "type-only",
            "a type and nothing else",
            format!("{fields}\r\n{body}"),
        ),
        (
            "version-only",
            "no sender",
            format!("{MIME}{fields}\r\n{body}"),
        ),
        (
            "received-only",
            "one field that other texts have too",
            format!("Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n{fields}\r\n{body}"),
        ),
        (
            "x-only",
            "unknown fields alone",
            format!("X-A: a\r\nX-B: b\r\n{fields}\r\n{body}"),
        ),
        (
            "dots",
            "full stops as in SMTP",
            normal.replace("\r\n--", "\r\n.--"),
        ),
        (
            "http",
            "the answer of a web server",
            format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}"),
        ),
        (
            "type-blank",
            "a blank before the colon of the type",
            format!("{HEAD}{MIME}{}\r\n{body}", fields.replace(':', " :")),
        ),
        (
            "type-case",
            "the type's name in odd case",
            format!(
                "{HEAD}{MIME}{}\r\n{body}",
                fields.replace("Content-Type", "cOnTeNt-tYpE")
            ),
        ),
        (
            "type-zero",
            "a zero in the type",
            format!(
                "{HEAD}{MIME}{}\r\n{body}",
                fields.replace("multipart", "multi\0part")
            ),
        ),
        (
            "type-zero-name",
            "a zero in the type's name",
            format!(
                "{HEAD}{MIME}{}\r\n{body}",
                fields.replace("Content-", "Con\0tent-")
            ),
        ),
        (
            "type-no-colon",
            "no colon behind the type's name",
            format!("{HEAD}{MIME}{}\r\n{body}", fields.replace(':', "")),
        ),
        (
            "type-wide",
            "a byte above ASCII before the type",
            format!("{HEAD}{MIME}\u{a0}{fields}\r\n{body}"),
        ),
        (
            "type-far",
            "the type behind 5,000 fields",
            format!(
                "{HEAD}{MIME}{}{fields}\r\n{body}",
                "X-Field: value\r\n".repeat(5_000)
            ),
        ),
        (
            "type-folds",
            "the type behind a field of 200,000 bytes",
            format!(
                "{HEAD}{MIME}X-Long: {}\r\n{fields}\r\n{body}",
                "\r\n abcdefgh".repeat(20_000)
            ),
        ),
        ("cut", "cut within the part", {
            let at = normal.rfind("\r\n\r\n--frontier--").unwrap();
            normal[..at].to_owned()
        }),
    ];
    rows.into_iter()
        .map(|(name, oddity, text)| row(&format!("header-{name}"), oddity, text))
        .collect()
}
