//! Boundaries, and the lines that should be delimiters.

use super::{BY_BASE64, NAMED, Rows, base64, evil, lines, mail, multipart, parts, row, uu};
use crate::support::eicar;

/// What is said of the boundary.
pub(super) fn boundaries() -> Rows {
    let of = |name: &str, oddity: &str, fields: &str, boundary: &str| {
        row(
            &format!("boundary-{name}"),
            &format!("boundary: {oddity}"),
            multipart(&format!("{fields}\r\n"), boundary, &evil()),
        )
    };
    let long = "b".repeat(200);
    let longest = "b".repeat(3_000);
    vec![
        of(
            "missing",
            "not said",
            "Content-Type: multipart/mixed",
            "frontier",
        ),
        of(
            "empty",
            "empty",
            "Content-Type: multipart/mixed; boundary=\"\"",
            "",
        ),
        of(
            "no-value",
            "no value",
            "Content-Type: multipart/mixed; boundary=",
            "",
        ),
        of(
            "quotes",
            "in quotes",
            "Content-Type: multipart/mixed; boundary=\"frontier\"",
            "frontier",
        ),
        of(
            "quotes-single",
            "in single quotes",
            "Content-Type: multipart/mixed; boundary='frontier'",
            "frontier",
        ),
        of(
            "quotes-single-part",
            "in single quotes that are part of it",
            "Content-Type: multipart/mixed; boundary='frontier'",
            "'frontier'",
        ),
        of(
            "quotes-open",
            "an opening quote alone",
            "Content-Type: multipart/mixed; boundary=\"frontier",
            "frontier",
        ),
        of(
            "quotes-close",
            "a closing quote alone",
            "Content-Type: multipart/mixed; boundary=frontier\"",
            "frontier",
        ),
        of(
            "quotes-close-part",
            "a closing quote alone that is part of it",
            "Content-Type: multipart/mixed; boundary=frontier\"",
            "frontier\"",
        ),
        of(
            "quotes-within",
            "quotes within the word",
            "Content-Type: multipart/mixed; boundary=fron\"tier\"",
            "frontier",
        ),
        of(
            "quotes-behind",
            "letters behind the quotes",
            "Content-Type: multipart/mixed; boundary=\"frontier\"x",
            "frontier",
        ),
        of(
            "escaped",
            "an escaped letter in quotes",
            "Content-Type: multipart/mixed; boundary=\"fron\\tier\"",
            "frontier",
        ),
        of(
            "backslash",
            "a backslash in quotes that is meant",
            "Content-Type: multipart/mixed; boundary=\"fron\\tier\"",
            "fron\\tier",
        ),
        of(
            "escaped-quote",
            "an escaped quote",
            "Content-Type: multipart/mixed; boundary=\"fron\\\"tier\"",
            "fron\"tier",
        ),
        of(
            "equals",
            "an equals sign, not in quotes",
            "Content-Type: multipart/mixed; boundary=a=b",
            "a=b",
        ),
        of(
            "brackets",
            "brackets, not in quotes",
            "Content-Type: multipart/mixed; boundary=a(b)c",
            "a(b)c",
        ),
        of(
            "brackets-out",
            "brackets that are a comment",
            "Content-Type: multipart/mixed; boundary=a(b)c",
            "ac",
        ),
        of(
            "brackets-end",
            "up to a comment",
            "Content-Type: multipart/mixed; boundary=a(b)c",
            "a",
        ),
        of(
            "semicolon",
            "a semicolon in quotes",
            "Content-Type: multipart/mixed; boundary=\"a;b\"",
            "a;b",
        ),
        of(
            "semicolon-cut",
            "a semicolon in quotes that ends it",
            "Content-Type: multipart/mixed; boundary=\"a;b\"",
            "a",
        ),
        of(
            "signs",
            "signs, not in quotes",
            "Content-Type: multipart/mixed; boundary=a/b?c:d@e",
            "a/b?c:d@e",
        ),
        of(
            "blank",
            "a blank in quotes",
            "Content-Type: multipart/mixed; boundary=\"a b\"",
            "a b",
        ),
        of(
            "blank-bare",
            "a blank, not in quotes",
            "Content-Type: multipart/mixed; boundary=a b",
            "a b",
        ),
        of(
            "blank-cut",
            "up to a blank",
            "Content-Type: multipart/mixed; boundary=a b",
            "a",
        ),
        of(
            "blank-end",
            "blanks at the end, in quotes",
            "Content-Type: multipart/mixed; boundary=\"frontier  \"",
            "frontier",
        ),
        of(
            "blank-end-kept",
            "blanks at the end, in quotes, and in use",
            "Content-Type: multipart/mixed; boundary=\"frontier  \"",
            "frontier  ",
        ),
        of(
            "blank-first",
            "blanks at the start, in quotes",
            "Content-Type: multipart/mixed; boundary=\"  frontier\"",
            "  frontier",
        ),
        of(
            "blank-first-cut",
            "blanks at the start, in quotes, and not in use",
            "Content-Type: multipart/mixed; boundary=\"  frontier\"",
            "frontier",
        ),
        of(
            "around-equals",
            "blanks around the equals sign",
            "Content-Type: multipart/mixed; boundary = frontier",
            "frontier",
        ),
        of(
            "upper",
            "its name in capitals",
            "Content-Type: MULTIPART/MIXED; BOUNDARY=frontier",
            "frontier",
        ),
        of(
            "case",
            "in another case",
            "Content-Type: multipart/mixed; boundary=frontier",
            "FRONTIER",
        ),
        of(
            "no-semicolon",
            "no semicolon before",
            "Content-Type: multipart/mixed boundary=frontier",
            "frontier",
        ),
        of(
            "comma",
            "a comma before",
            "Content-Type: multipart/mixed, boundary=frontier",
            "frontier",
        ),
        of(
            "colon",
            "a colon for the equals sign",
            "Content-Type: multipart/mixed; boundary:frontier",
            "frontier",
        ),
        of(
            "semicolons",
            "many semicolons before",
            "Content-Type: multipart/mixed;;;; boundary=frontier",
            "frontier",
        ),
        of(
            "folded",
            "on a line of its own",
            "Content-Type: multipart/mixed;\r\n\tboundary=frontier",
            "frontier",
        ),
        of(
            "folded-value",
            "folded behind the equals sign",
            "Content-Type: multipart/mixed; boundary=\r\n frontier",
            "frontier",
        ),
        of(
            "folded-within",
            "folded in quotes",
            "Content-Type: multipart/mixed; boundary=\"fron\r\n tier\"",
            "fron tier",
        ),
        of(
            "folded-tight",
            "folded in quotes, read without the blank",
            "Content-Type: multipart/mixed; boundary=\"fron\r\n tier\"",
            "frontier",
        ),
        of(
            "two-first",
            "said twice, the first is in use",
            "Content-Type: multipart/mixed; boundary=frontier; boundary=other",
            "frontier",
        ),
        of(
            "two-last",
            "said twice, the last is in use",
            "Content-Type: multipart/mixed; boundary=other; boundary=frontier",
            "frontier",
        ),
        of(
            "sections",
            "in sections",
            "Content-Type: multipart/mixed; boundary*0=fron; boundary*1=tier",
            "frontier",
        ),
        of(
            "sections-order",
            "in sections in another order",
            "Content-Type: multipart/mixed; boundary*1=tier; boundary*0=fron",
            "frontier",
        ),
        of(
            "sections-encoded",
            "in sections, some encoded",
            "Content-Type: multipart/mixed; boundary*0*=us-ascii'en'%66ron; boundary*1=tier",
            "frontier",
        ),
        of(
            "sections-gap",
            "in sections, one missing",
            "Content-Type: multipart/mixed; boundary*0=fron; boundary*2=tier",
            "fron",
        ),
        of(
            "sections-double",
            "in sections, one twice",
            "Content-Type: multipart/mixed; boundary*0=fron; boundary*0=other; boundary*1=tier",
            "frontier",
        ),
        of(
            "charset",
            "with a character set",
            "Content-Type: multipart/mixed; boundary*=us-ascii''front%69er",
            "frontier",
        ),
        of(
            "charset-other",
            "with a character set, and without",
            "Content-Type: multipart/mixed; boundary=other; boundary*=us-ascii''front%69er",
            "frontier",
        ),
        of(
            "charset-same",
            "without a character set, and with",
            "Content-Type: multipart/mixed; boundary*=us-ascii''other; boundary=frontier",
            "frontier",
        ),
        of(
            "encoded-word",
            "as an encoded word",
            "Content-Type: multipart/mixed; boundary=\"=?us-ascii?Q?frontier?=\"",
            "frontier",
        ),
        of(
            "field-first",
            "two types with a boundary each, the first in use",
            "Content-Type: multipart/mixed; boundary=frontier\r\nContent-Type: multipart/mixed; boundary=other",
            "frontier",
        ),
        of(
            "field-last",
            "two types with a boundary each, the last in use",
            "Content-Type: multipart/mixed; boundary=other\r\nContent-Type: multipart/mixed; boundary=frontier",
            "frontier",
        ),
        of(
            "type-first",
            "a multipart, then a text",
            "Content-Type: multipart/mixed; boundary=frontier\r\nContent-Type: text/plain",
            "frontier",
        ),
        of(
            "type-last",
            "a text, then a multipart",
            "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=frontier",
            "frontier",
        ),
        of(
            "long",
            "of 200 letters",
            &format!("Content-Type: multipart/mixed; boundary={long}"),
            &long,
        ),
        of(
            "long-cut",
            "of 200 letters, 70 in use",
            &format!("Content-Type: multipart/mixed; boundary={long}"),
            &long[..70],
        ),
        of(
            "longest",
            "of 3,000 letters",
            &format!("Content-Type: multipart/mixed; boundary={longest}"),
            &longest,
        ),
        of(
            "one",
            "of one letter",
            "Content-Type: multipart/mixed; boundary=-",
            "-",
        ),
        of(
            "hyphens",
            "of hyphens",
            "Content-Type: multipart/mixed; boundary=------",
            "------",
        ),
        of(
            "wide",
            "of bytes above ASCII",
            "Content-Type: multipart/mixed; boundary=\"\u{e4}\u{f6}\u{fc}\"",
            "\u{e4}\u{f6}\u{fc}",
        ),
        of(
            "zero",
            "a zero in it",
            "Content-Type: multipart/mixed; boundary=\"fron\0tier\"",
            "fron\0tier",
        ),
        of(
            "zero-cut",
            "up to a zero",
            "Content-Type: multipart/mixed; boundary=\"fron\0tier\"",
            "fron",
        ),
        of(
            "zero-out",
            "a zero that is not in use",
            "Content-Type: multipart/mixed; boundary=\"fron\0tier\"",
            "frontier",
        ),
        of(
            "tab",
            "a tab in it",
            "Content-Type: multipart/mixed; boundary=\"fron\ttier\"",
            "fron\ttier",
        ),
        of(
            "within-name",
            "the end of another parameter's name",
            "Content-Type: multipart/mixed; xboundary=frontier",
            "frontier",
        ),
        of(
            "within-value",
            "in the value of another parameter",
            "Content-Type: multipart/mixed; x=\"; boundary=other; \"; boundary=frontier",
            "frontier",
        ),
        of(
            "within-comment",
            "one in a comment before",
            "Content-Type: multipart/mixed; (boundary=other;) boundary=frontier",
            "frontier",
        ),
        of(
            "in-comment",
            "in a comment",
            "Content-Type: multipart/mixed (; boundary=frontier)",
            "frontier",
        ),
        of(
            "many",
            "behind 100 other parameters",
            &format!(
                "Content-Type: multipart/mixed{}; boundary=frontier",
                "; a=b".repeat(100)
            ),
            "frontier",
        ),
    ]
}

/// The lines between the parts.
pub(super) fn delimiters() -> Rows {
    let fields = "Content-Type: multipart/mixed; boundary=frontier\r\n";
    let normal = parts("frontier", &evil());
    let body = |name: &str, oddity: &str, body: String| {
        row(&format!("delimiter-{name}"), oddity, mail(fields, &body))
    };
    let both = |outer: &str, inner: &str| {
        let part = format!(
            "Content-Type: multipart/mixed; boundary=\"{inner}\"\r\n\r\n{}",
            parts(inner, &evil())
        );
        multipart(
            &format!("Content-Type: multipart/mixed; boundary=\"{outer}\"\r\n"),
            outer,
            &part,
        )
    };
    let end = "--frontier--\r\n";
    let evil = evil();
    let odd = evil.replace("Content-Transfer", "~ Content-Transfer");
    let (before, rest) = normal.split_once(NAMED).unwrap();
    vec![
        body(
            "trailing",
            "blanks behind the delimiters",
            normal.replace("--frontier\r\n", "--frontier \t \r\n"),
        ),
        body(
            "leading",
            "a blank before the delimiters",
            normal.replace("--frontier", " --frontier"),
        ),
        body(
            "junk",
            "letters behind the delimiters",
            normal.replace("--frontier\r\n", "--frontierjunk\r\n"),
        ),
        body(
            "word",
            "a word behind the delimiters",
            normal.replace("--frontier\r\n", "--frontier junk\r\n"),
        ),
        body(
            "hyphen",
            "a hyphen behind the delimiters",
            normal.replace("--frontier\r\n", "--frontier-\r\n"),
        ),
        body(
            "one-hyphen",
            "one hyphen before the boundary",
            normal.replace("--frontier", "-frontier"),
        ),
        body(
            "three-hyphens",
            "three hyphens before the boundary",
            normal.replace("--frontier", "---frontier"),
        ),
        body(
            "bare",
            "no hyphens before the boundary",
            normal.replace("--frontier", "frontier"),
        ),
        body(
            "quoted",
            "the boundary in quotes",
            normal.replace("--frontier", "--\"frontier\""),
        ),
        body(
            "zero",
            "a zero behind the delimiters",
            normal.replace("--frontier\r\n", "--frontier\0\r\n"),
        ),
        body(
            "cr",
            "delimiters that end with CR",
            normal.replace("--frontier\r\n", "--frontier\r"),
        ),
        body(
            "cr-cr-lf",
            "delimiters that end with CR CR LF",
            normal.replace("--frontier\r\n", "--frontier\r\r\n"),
        ),
        body("no-end", "no last delimiter", normal.replace(end, "")),
        body(
            "half-end",
            "half of the last delimiter",
            normal.replace(end, "--frontier-"),
        ),
        body(
            "early-end",
            "a part behind the last delimiter",
            format!("--frontier\r\n\r\ntext\r\n{end}--frontier\r\n{evil}"),
        ),
        body(
            "early-ends",
            "a part between two last delimiters",
            format!("--frontier\r\n\r\ntext\r\n{end}{evil}\r\n{end}"),
        ),
        body(
            "only-end",
            "parts between last delimiters alone",
            format!("{end}{evil}\r\n{end}"),
        ),
        body(
            "end-junk",
            "a last delimiter with more behind it before the part",
            format!("--frontier\r\n\r\ntext\r\n--frontier--junk\r\n{evil}\r\n{end}"),
        ),
        body(
            "end-blank",
            "a blank in the last delimiter before the part",
            format!("--frontier\r\n\r\ntext\r\n--frontier --\r\n{evil}\r\n{end}"),
        ),
        body(
            "none",
            "no delimiter at all, the part at once",
            evil.clone(),
        ),
        body(
            "preamble",
            "in the preamble",
            format!("{evil}\r\n--frontier\r\n\r\ntext\r\n{end}"),
        ),
        body(
            "preamble-uu",
            "uuencoded in the preamble",
            format!("{}\r\n--frontier\r\n\r\ntext\r\n{end}", uu("virus.com")),
        ),
        body(
            "epilogue",
            "in the epilogue",
            format!("--frontier\r\n\r\ntext\r\n{end}\r\n{evil}"),
        ),
        body(
            "preamble-odd",
            "in the preamble, with letters before a field's name",
            format!("{odd}\r\n--frontier\r\n\r\ntext\r\n{end}"),
        ),
        body(
            "epilogue-odd",
            "in the epilogue, with letters before a field's name",
            format!("--frontier\r\n\r\ntext\r\n{end}\r\n{odd}"),
        ),
        body(
            "epilogue-uu",
            "uuencoded in the epilogue",
            format!("--frontier\r\n\r\ntext\r\n{end}{}", uu("virus.com")),
        ),
        body(
            "epilogue-other",
            "another multipart in the epilogue",
            format!("--frontier\r\n\r\ntext\r\n{end}{}", parts("other", &evil)),
        ),
        body(
            "no-blank",
            "no empty line behind the header of the part",
            format!("{before}{}", rest.replacen("\r\n\r\n", "\r\n", 1)),
        ),
        body(
            "no-header",
            "no header in the part",
            format!(
                "--frontier\r\n\r\n{}\r\n{end}",
                lines(&data_encoding::BASE64.encode(&eicar()), 76)
            ),
        ),
        body(
            "no-newline",
            "no line end before the last delimiter",
            normal.replace("\r\n\r\n--frontier--", "--frontier--"),
        ),
        body(
            "at-once",
            "a delimiter directly behind base64",
            format!(
                "--frontier\r\n{NAMED}{BY_BASE64}\r\n{}{end}",
                base64().trim_end()
            ),
        ),
        body(
            "many",
            "behind 2,000 empty parts",
            format!("{}{normal}", "--frontier\r\n\r\n".repeat(2_000)),
        ),
        row(
            "inner-longer",
            "the inner boundary begins with the outer one",
            both("front", "frontier"),
        ),
        row(
            "inner-shorter",
            "the outer boundary begins with the inner one",
            both("frontier", "front"),
        ),
        row(
            "inner-same",
            "the same boundary inside and outside",
            both("frontier", "frontier"),
        ),
        row(
            "inner-hyphens",
            "the inner boundary is the outer one and two hyphens",
            both("front", "front--"),
        ),
        row(
            "inner-unclosed",
            "an inner multipart that only the outer one ends",
            {
                let inner = parts("inner", &evil).replace("--inner--\r\n", "");
                multipart(
                    fields,
                    "frontier",
                    &format!("Content-Type: multipart/alternative; boundary=inner\r\n\r\n{inner}"),
                )
            },
        ),
    ]
}
