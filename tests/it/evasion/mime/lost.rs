//! Parts whose delimiters, or whose multipart, are lost.

use super::{BY_BASE64, BY_QUOTED, HEAD, NAMED, Rows, base64, evil, mail, parts, quoted, row, uu};
use crate::support::eicar;

pub(super) fn parts_alone() -> Rows {
    let fields = "Content-Type: multipart/mixed; boundary=frontier\r\n";
    let between = base64().replacen("\r\n", "\r\nThis line is none of its own.\r\n", 2);
    let rows = [
        (
            "blank",
            "an empty line before the type",
            mail("", &format!("{fields}\r\n{}", parts("frontier", &evil()))),
        ),
        (
            "text",
            "in the text of a mail",
            mail("", &format!("Your mail came back:\r\n\r\n{}", evil())),
        ),
        (
            "base64",
            "in the text of a mail, in base64",
            mail("", &format!("{NAMED}{BY_BASE64}\r\n{}", base64())),
        ),
        (
            "delimiter",
            "a delimiter that is damaged",
            mail(
                fields,
                &parts("frontier", &evil()).replacen("file.\r\n--", "file.\r\nF--", 1),
            ),
        ),
        (
            "far",
            "behind 100,000 bytes of text",
            mail(
                "",
                &format!("{}{}", "Dear reader,\r\n".repeat(7_200), evil()),
            ),
        ),
        (
            "empty-boundary",
            "an empty boundary, and another in use",
            mail(
                "Content-Type: multipart/mixed; boundary=\r\n",
                &parts("frontier", &evil()),
            ),
        ),
        (
            "no-mail",
            "in what is no mail",
            format!("Dear reader, see below.\r\n\r\n{}", evil()),
        ),
        (
            "no-mail-base64",
            "base64 by itself, in a text that has another part",
            format!(
                "see below\r\n{}\r\n{NAMED}{BY_QUOTED}\r\n=58=35\r\n",
                data_encoding::BASE64.encode(&eicar())
            ),
        ),
        (
            "delimiter-letters",
            "a delimiter within a line, and letters before a field's name",
            mail(
                fields,
                &parts("frontier", &evil().replace("Content-Tr", "FContent-Tr")).replacen(
                    "file.\r\n--",
                    "file. --",
                    1,
                ),
            ),
        ),
        (
            "lines-between",
            "lines between those of base64",
            format!("{HEAD}MIME-Version: 1.0\r\n{NAMED}{BY_BASE64}\r\n{between}"),
        ),
        (
            "header-end",
            "a delimiter in the header of the part",
            mail(
                fields,
                &parts(
                    "frontier",
                    &format!("{NAMED}{BY_QUOTED}--frontier--\r\n\r\n{}", quoted()),
                ),
            ),
        ),
        (
            "field",
            "letters in front of the name of a field",
            mail(
                fields,
                &parts(
                    "frontier",
                    &format!("{NAMED}Con{BY_QUOTED}\r\n{}", quoted()),
                ),
            ),
        ),
        (
            "front",
            "uuencode in the text in front of another mail",
            format!(
                "{HEAD}\r\n<pre>\r\n{}</pre>\r\n{}",
                uu("virus.com"),
                mail("", "text\r\n")
            ),
        ),
        (
            "two",
            "behind another part",
            mail(
                "",
                &format!("{BY_QUOTED}\r\nharmless\r\n{BY_QUOTED}\r\n{}", quoted()),
            ),
        ),
    ];
    rows.into_iter()
        .map(|(name, oddity, text)| row(&format!("lost-{name}"), oddity, text))
        .collect()
}
