//! What contents are called, and mails in mails.

use super::{
    BY_BASE64, BY_QUOTED, HEAD, MIME, NAMED, Rows, attached, base64, bytes, evil, lines, mail,
    multipart, parts, quoted, row, utf7, uu,
};
use crate::support::{eicar, gzip};

/// What the content is called.
pub(super) fn types() -> Rows {
    let mut rows = Rows::new();
    let kinds = [
        (
            "foo",
            "an unknown kind of multipart",
            "multipart/foo; boundary=frontier",
        ),
        ("no-subtype", "no subtype", "multipart; boundary=frontier"),
        (
            "empty-subtype",
            "an empty subtype",
            "multipart/; boundary=frontier",
        ),
        ("none", "no type, only a boundary", "boundary=frontier"),
        (
            "semicolon",
            "an empty type and a boundary",
            "; boundary=frontier",
        ),
        (
            "quotes",
            "a type in quotes",
            "\"multipart/mixed\"; boundary=frontier",
        ),
        (
            "blanks",
            "blanks around the slash",
            "multipart / mixed; boundary=frontier",
        ),
        (
            "comment",
            "comments around the slash",
            "multipart (x) / (y) mixed; boundary=frontier",
        ),
        ("digest", "a digest", "multipart/digest; boundary=frontier"),
        (
            "related",
            "a multipart of related parts",
            "multipart/related; type=text/html; start=\"<a>\"; boundary=frontier",
        ),
        (
            "report",
            "a report",
            "multipart/report; report-type=delivery-status; boundary=frontier",
        ),
        (
            "signed",
            "a signed multipart",
            "multipart/signed; micalg=sha1; protocol=\"application/x-y\"; boundary=frontier",
        ),
        (
            "form",
            "a form's data",
            "multipart/form-data; boundary=frontier",
        ),
        (
            "text",
            "a text with a boundary",
            "text/plain; boundary=frontier",
        ),
        (
            "message",
            "a message with a boundary",
            "message/rfc822; boundary=frontier",
        ),
        (
            "application",
            "an application with a boundary",
            "application/octet-stream; boundary=frontier",
        ),
        (
            "x",
            "a type that begins with x",
            "x-multipart/mixed; boundary=frontier",
        ),
        (
            "misspelt",
            "a misspelt type",
            "mutlipart/mixed; boundary=frontier",
        ),
    ];
    for (name, oddity, kind) in kinds {
        rows.push(row(
            &format!("type-{name}"),
            oddity,
            multipart(&format!("Content-Type: {kind}\r\n"), "frontier", &evil()),
        ));
    }
    let alone = |name: &str, oddity: &str, fields: &str, body: &str| {
        row(&format!("alone-{name}"), oddity, mail(fields, body))
    };
    let entities: String = eicar().iter().map(|byte| format!("&=23{byte};")).collect();
    rows.extend([
        alone(
            "base64",
            "a mail of nothing but the file",
            &format!("{NAMED}{BY_BASE64}"),
            &base64(),
        ),
        alone(
            "quoted",
            "a text in quoted-printable",
            &format!("Content-Type: text/plain\r\n{BY_QUOTED}"),
            &quoted(),
        ),
        alone("no-type", "an encoding and no type", BY_BASE64, &base64()),
        alone(
            "uu",
            "uuencode in a text",
            "Content-Type: text/plain\r\n",
            &format!("Hello,\r\n\r\n{}\r\nbye\r\n", uu("virus.com")),
        ),
        alone(
            "uu-bare",
            "uuencode in a mail without MIME fields",
            "",
            &uu("virus.com"),
        ),
        alone(
            "uu-base64",
            "the base64 of uuencode in a text",
            "Content-Type: text/plain\r\n",
            &format!(
                "begin-base64 644 virus.com\r\n{}====\r\n",
                lines(&data_encoding::BASE64.encode(&eicar()), 60)
            ),
        ),
        alone(
            "uu-html",
            "uuencode in HTML",
            "Content-Type: text/html\r\n",
            &format!("<pre>\r\n{}</pre>\r\n", uu("virus.com")),
        ),
        alone(
            "html",
            "entities in HTML in quoted-printable",
            &format!("Content-Type: text/html\r\n{BY_QUOTED}"),
            &format!("<html><body>{entities}</body></html>\r\n"),
        ),
        alone(
            "data",
            "a data address in HTML",
            "Content-Type: text/html\r\n",
            &format!(
                "<a href=\"data:;base64,{}\">x</a>\r\n",
                data_encoding::BASE64.encode(&eicar())
            ),
        ),
        alone(
            "utf-7",
            "a text in UTF-7",
            "Content-Type: text/plain; charset=utf-7\r\n",
            &utf7(),
        ),
        alone(
            "gzip",
            "a packed text",
            &format!("Content-Type: application/gzip\r\n{BY_BASE64}"),
            &lines(&data_encoding::BASE64.encode(&gzip(&eicar())), 4),
        ),
        alone(
            "flowed",
            "a text in which base64 is not announced",
            "Content-Type: text/plain; format=flowed\r\n",
            &lines(&data_encoding::BASE64.encode(&eicar()), 76),
        ),
    ]);
    rows
}

/// Mails in mails.
pub(super) fn nested() -> Rows {
    let inner = || attached(&format!("{NAMED}{BY_QUOTED}"), &quoted());
    let encoded = || lines(&data_encoding::BASE64.encode(&bytes(&inner())), 76);
    let part = |name: &str, oddity: &str, fields: &str, body: &str| {
        row(&format!("nested-{name}"), oddity, attached(fields, body))
    };
    let mut thrice = inner();
    for _ in 0..3 {
        thrice = attached("Content-Type: message/rfc822\r\n", &thrice);
    }
    let alternatives = |depth: usize| {
        let mut body = evil();
        for level in 0..depth {
            let boundary = format!("level{level}x");
            body = format!(
                "Content-Type: multipart/alternative; boundary={boundary}\r\n\r\n{}",
                parts(&boundary, &body)
            );
        }
        format!("{HEAD}{MIME}{body}")
    };
    vec![
        part(
            "message",
            "a mail in a mail",
            "Content-Type: message/rfc822\r\n",
            &inner(),
        ),
        part(
            "message-base64",
            "a mail in a mail, in base64",
            &format!("Content-Type: message/rfc822\r\n{BY_BASE64}"),
            &encoded(),
        ),
        part(
            "message-quoted",
            "a mail in a mail, in quoted-printable",
            &format!("Content-Type: message/rfc822\r\n{BY_QUOTED}"),
            &inner().replace('=', "=3D"),
        ),
        part(
            "message-file",
            "a mail in a mail, as a file",
            &format!("Content-Type: application/octet-stream; name=a.eml\r\n{BY_BASE64}"),
            &encoded(),
        ),
        part(
            "message-text",
            "a mail in a mail, as a text",
            "Content-Type: text/plain\r\n",
            &inner(),
        ),
        part(
            "message-blank",
            "a mail in a mail, behind empty lines",
            "Content-Type: message/rfc822\r\n",
            &format!("\r\n\r\n{}", inner()),
        ),
        part(
            "message-says-base64",
            "a mail in a mail that says it is base64 and is not",
            &format!("Content-Type: message/rfc822\r\n{BY_BASE64}"),
            &inner(),
        ),
        part(
            "global",
            "a mail in a mail, of the newer type",
            "Content-Type: message/global\r\n",
            &inner(),
        ),
        part(
            "news",
            "a mail in a mail, as news",
            "Content-Type: message/news\r\n",
            &inner(),
        ),
        part(
            "headers",
            "a mail that should be headers alone",
            "Content-Type: text/rfc822-headers\r\n",
            &inner(),
        ),
        part(
            "unknown",
            "a mail in a mail, of an unknown type",
            "Content-Type: message/x-unknown\r\n",
            &inner(),
        ),
        part(
            "partial",
            "one of one pieces",
            "Content-Type: message/partial; id=\"a@b\"; number=1; total=1\r\n",
            &inner(),
        ),
        part(
            "partial-first",
            "the first of two pieces",
            "Content-Type: message/partial; id=\"a@b\"; number=1; total=2\r\n",
            &inner(),
        ),
        part(
            "external",
            "content that is elsewhere",
            "Content-Type: message/external-body; access-type=URL; URL=\"http://example.org/x\"\r\n",
            &evil(),
        ),
        part(
            "fields-only",
            "a mail in a mail of nothing but MIME fields",
            "Content-Type: message/rfc822\r\n",
            &evil(),
        ),
        row(
            "nested-whole",
            "a mail that is a mail in base64",
            mail(
                &format!("Content-Type: message/rfc822\r\n{BY_BASE64}"),
                &encoded(),
            ),
        ),
        row(
            "nested-digest",
            "a digest's part without a header",
            multipart(
                "Content-Type: multipart/digest; boundary=frontier2\r\n",
                "frontier2",
                &format!("\r\n{}", inner()),
            ),
        ),
        row(
            "nested-thrice",
            "mails four deep, all with one boundary",
            thrice,
        ),
        row("nested-30", "alternatives 30 deep", alternatives(30)),
        row("nested-60", "alternatives 60 deep", alternatives(60)),
    ]
}
