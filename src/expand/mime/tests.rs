use super::*;
use crate::expand::testing::{Random, Recorder, expand, said, tool, withstand};

fn open(text: &[u8]) -> Recorder {
    expand(&Mime, text, b"letter.eml")
}

fn contents(got: &Recorder) -> Vec<(String, String)> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    got.children
        .iter()
        .map(|(name, content)| (text(name), text(content)))
        .collect()
}

fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

const MIXED: &[u8] = b"From: a\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x y\"\r\n\r\nfor old readers\r\n--x y\r\n\r\nhello\r\n--x y \r\nContent-Type: text/plain; name=\"=?utf-8?q?gr=C3=B6=C3=9Fe?=\"\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\na=3Db\r\n--x y\r\nContent-Type: multipart/alternative;\r\n boundary=inner\r\n\r\n--inner\r\nContent-Disposition: attachment; filename*0=\"long \"; filename*1*=%2A.zip\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n--inner--\r\nafter\r\n--x y--\r\nthe end\r\n";

#[test]
fn parts_are_decoded_and_named() {
    let got = open(MIXED);
    let wanted = [
        ("part 1", "hello"),
        ("größe", "a=b"),
        ("long *.zip", "hello"),
    ];
    assert_eq!(contents(&got), pairs(&wanted));
    assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
}

#[test]
fn every_line_end_will_do() {
    let text = String::from_utf8(MIXED.to_vec()).unwrap();
    for end in ["\n", "\r"] {
        let got = open(text.replace("\r\n", end).as_bytes());
        assert_eq!(got.children.len(), 3, "{end:?}");
        assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
    }
}

/// The mail, what is given, and what is noted.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

/// One row for each thing that readers see differently.
#[test]
#[allow(clippy::too_many_lines)] // A table, mostly.
fn every_reading_of_a_doubtful_mail_is_given() {
    let rows: [Row; 29] = [
        (
            "Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n--a\n\none\n--b\n\ntwo\n--a--\n--b--\n",
            &[("part 1", "one\n--b\n\ntwo"), ("part 1", "two\n--a--")],
            &["mime-boundary"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\n\ntwo\n--b--\n",
            &[("part 1", "two")],
            &[],
        ),
        (
            "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "aGVsbG8=\n")],
            &["mime-encoding"],
        ),
        (
            "Content-Transfer-Encoding: (x) \"base64\"; y\n\naGVsbG8=\n",
            &[("body", "hello")],
            &[],
        ),
        (
            "Content-Transfer-EncodingBEGIN 644 : base64\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "aGVsbG8=\n")],
            &["mime-encoding", "mime-header-end"],
        ),
        (
            "Content-Transfer-EncodingContent-Type Base64\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "aGVsbG8=\n")],
            &["mime-encoding", "mime-header-end"],
        ),
        (
            "Content-Transfer-Encoding: x-base64\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "aGVsbG8=\n")],
            &["mime-encoding"],
        ),
        (
            "Content-Transfer-Encoding: base64\n\naGVsbG8=aGVs\n",
            &[
                ("body", "hellohel"),
                ("body", "hello\u{1a}\u{19}["),
                ("body", "hello"),
            ],
            &["mime-base64"],
        ),
        (
            "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n",
            &[("body", "--a\n\none\n--a--\n"), ("part 1", "one")],
            &["mime-type"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n",
            &[("part 1", "one"), ("part 2", "two")],
            &["mime-after-end"],
        ),
        (
            "Content-Type: multipart/mixed\n\n--guess\nContent-Type: text/plain\n\none\n--guess--\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "Content-Type: multipart/mixed; boundary=wrong\n\n--right\n\none\n--right--\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/x\nContent-Transfer-Encoding: quoted-printable\n--a--\n!\n=41=42\n\n--a--\n",
            &[("part 1", "--a--\n"), ("part 1", "--a--\n!\nAB\n\n--a--\n")],
            &["mime-header-end"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--abc\n\ntwo\n--a--\n",
            &[
                ("part 1", "one\n--abc\n\ntwo"),
                ("part 1", "one"),
                ("part 2", "two"),
            ],
            &["mime-boundary-prefix"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--ab--\n--a--\n",
            &[("part 1.1", "one")],
            &[],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64\n\n--a\n\nones\n--a--\n",
            &[
                (
                    "body decoded",
                    "MIME-Version: 1.0\r\nContent-Type:  multipart/mixed; boundary=a\r\n\r\n",
                ),
                ("part 1", "ones"),
            ],
            &["mime-encoded-multipart"],
        ),
        (
            "Content-Transfer-Encoding: base64\nno field\nX: y\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "nofieldX"), ("body", "hello")],
            &["mime-header-end", "mime-base64"],
        ),
        (
            "MIME-Version: 1.0\n \nContent-Transfer-Encoding: base64\n\naGVsbG8=\n",
            &[
                ("body", "hello"),
                ("body", "Content-Transfer-Encoding: base64\n\naGVsbG8=\n"),
            ],
            &["mime-header-end"],
        ),
        (
            "Content-Type:\n multipart/mixed;\n\tboundary=\"a\n b\"\n\n--ab\n\none\n--ab--\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "Content-Type: (multipart/mixed; boundary=a) text/plain\n\n--a\n\none\n--a--\n",
            &[("body", "--a\n\none\n--a--\n"), ("part 1", "one")],
            &["mime-type"],
        ),
        (
            "C\0ontent-Type : multi\0part/mixed; boundary=a\n\n--a\n\none\n--a--\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\nMIME-Version: 1.0\nX: y\n\n--a\n\none\n--a--\nbegin 644 x\n#86)C\n`\nend\n",
            &[
                ("preamble", "MIME-Version: 1.0\nX: y\n"),
                ("part 1", "one"),
                ("epilogue", "begin 644 x\n#86)C\n`\nend\n"),
            ],
            &[],
        ),
        (
            "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\none\n----\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "\u{feff}\n\n>From x\nContent-Transfer-Encoding: x-uuencode\n\n#86)C\n`\nend\n",
            &[("body", "abc")],
            &[],
        ),
        (
            "\u{1}Content-Transfer-Encoding (x): base64\n\naGVsbG8=\n",
            &[("body", "hello"), ("body", "aGVsbG8=\n")],
            &["mime-encoding", "mime-header-end"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=abc\n\n -abc\n\none\nabc--\n",
            &[("part 1", "one")],
            &["mime-delimiter"],
        ),
        (
            "Content-Type: multipart/mixed; boundary=abc\n\n--abc\0\n\none\n--abc--\0\n",
            &[("part 1", "one")],
            &[],
        ),
        (
            "Content-Transfer-Encoding: base64\n\naGVs-w==\n",
            &[("body", "hel"), ("body", "hel\u{fb}")],
            &["mime-base64"],
        ),
        (
            "Content-Transfer-Encoding: base64\n\n<aGVs>\n\naGVs\nbG8=\n",
            &[("body", "helhello"), ("body", "hello")],
            &["mime-base64"],
        ),
    ];
    for (text, wanted, notes) in rows {
        let got = open(text.as_bytes());
        let latin = |content: &Vec<u8>| {
            content
                .iter()
                .map(|byte| char::from(*byte))
                .collect::<String>()
        };
        let found: Vec<(String, String)> = (got.children.iter())
            .map(|(name, content)| (String::from_utf8(name.clone()).unwrap(), latin(content)))
            .collect();
        let wanted: Vec<_> = pairs(wanted);
        let found: Vec<_> = found
            .into_iter()
            .map(|(name, content)| {
                // What base64 makes of what is no base64 is of no interest, nor what it decodes to.
                match content.find("\r\n\r\n") {
                    Some(at) if name.ends_with("decoded") => (name, content[..at + 4].to_owned()),
                    _ if content.starts_with('\u{9e}') => (name, "nofieldX".to_owned()),
                    _ => (name, content),
                }
            })
            .collect();
        assert_eq!(found, wanted, "{text}");
        let said: Vec<&str> = got
            .notes
            .iter()
            .map(|note| note.split(':').next().unwrap())
            .collect();
        let notes: Vec<String> = notes
            .iter()
            .map(|note| format!("ambiguous/{note}"))
            .collect();
        assert_eq!(said, notes, "{text}");
        assert_eq!(got.gaps, [], "{text}");
    }
}

#[test]
fn what_is_not_there_or_not_known_is_said() {
    let rows: [(&str, &[&str], usize); 12] = [
        (
            "Content-Transfer-Encoding: x-secret\n\nA text that everybody reads.\n\nYours\n",
            &[],
            1,
        ),
        (
            "Content-Transfer-Encoding: x-secret\n\nA text first.\nYXMgZW5jb2RlZCBhcyBjYW4gYmUgaGVyZSBpbiB0aGlzIGxpbmU\n",
            &["unsupported/mime-encoding"],
            1,
        ),
        (
            "Content-Transfer-Encoding: x-secret\n\nA text=20with some.\n",
            &["unsupported/mime-encoding"],
            1,
        ),
        ("Content-Transfer-Encoding: 8bits\n\ntext\n", &[], 1),
        ("Content-Transfer-Encoding: UTF8\n\ntext\n", &[], 1),
        (
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n",
            &[],
            0,
        ),
        (
            "Content-Type: message/partial; id=x; number=1\n\ntext\n",
            &["unsupported/mime-partial"],
            1,
        ),
        (
            "Content-Type: message/external-body; access-type=ftp\n\ntext\n",
            &["unsupported/mime-external-body"],
            1,
        ),
        (
            "Content-Transfer-Encoding: x-secret\n\ntext\n",
            &["unsupported/mime-encoding"],
            1,
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\ntext\n",
            &["corrupt"],
            1,
        ),
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n\ntext\n",
            &["corrupt"],
            1,
        ),
        (
            "Content-Transfer-Encoding: base64\n\naGVsbG8=a\n",
            &["corrupt"],
            3,
        ),
    ];
    for (text, gaps, members) in rows {
        let got = open(text.as_bytes());
        assert_eq!(
            (got.reasons(), got.children.len()),
            (gaps.to_vec(), members),
            "{text}"
        );
    }
}

#[test]
fn multiparts_as_deep_as_they_like_end() {
    let mut text = String::new();
    for depth in 0..200 {
        text += &format!(
            "Content-Type: multipart/mixed; boundary=b{depth}\nContent-Type: multipart/mixed; boundary=c{depth}\n\n--b{depth}\n--c{depth}\n"
        );
    }
    let got = open(text.as_bytes());
    assert!(got.reasons().contains(&"limit/depth"));
    let mut text = String::from("Content-Type: multipart/mixed; boundary=a\n\n");
    text += &"--a\nContent-Type: multipart/mixed; boundary=a\n\n".repeat(20_000);
    open(text.as_bytes());
}

#[test]
fn messages_inside_are_members_even_if_nobody_would_know_them() {
    let text = b"Content-Type: message/rfc822\n\nX-A: b\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n";
    assert_eq!(open(text).children.len(), 1);
    let text = b"Content-Type: message/rfc822\n\nno field\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n";
    let got = open(text);
    assert!(
        got.children.iter().any(|(_, content)| content == b"hello"),
        "{:?}",
        contents(&got)
    );
}

#[test]
fn files_deep_in_a_text_are_found() {
    let mut text = b"MIME-Version: 1.0\n\n".to_vec();
    text.extend(b"some line of text\n".repeat(20_000));
    text.extend(b"begin 644 x\n#86)C\n`\nend\n");
    text.extend(b"some line of text\n".repeat(20_000));
    let got = open(&text);
    assert_eq!(got.children.len(), 2);
    assert!(got.children[1].1.starts_with(b"begin 644 x\n"));
}

#[test]
fn no_damage_panics() {
    // The blank lines behind the last delimiter, the epilogue, and its own last two hyphens may be missing.
    let silent = withstand(&Mime, MIXED, b"x");
    let end = MIXED.len() - b"--x y--\r\nthe end\r\n".len();
    // A header and nothing else is a mail too.
    let body = MIXED.windows(4).position(|four| four == b"\r\n\r\n");
    let body = body.unwrap() + 3..body.unwrap() + 6;
    assert!(
        silent
            .iter()
            .all(|cut| *cut >= end || *cut < 60 || body.contains(cut)),
        "{silent:?}"
    );
}

#[test]
fn attachments_are_named_as_ripmime_and_munpack_name_them() {
    let Some(folder) = tool("mpack") else { return };
    let content = Random::new(2).bytes(5000);
    folder.write("some file.bin", &content);
    folder.run("mpack", &["-s", "x", "-o", "mail", "some file.bin"]);
    let got = open(&folder.read("mail"));
    assert_eq!(got.gaps, []);
    let last = got.children.last().unwrap();
    assert!(last.1 == content);
    folder.run("munpack", &["-f", "mail"]);
    assert!(folder.read("someXfile.bin") == content);
    if tool("ripmime").is_some() {
        folder.run("mkdir", &["out"]);
        folder.run("ripmime", &["-i", "mail", "-d", "out"]);
        let name = String::from_utf8(last.0.clone()).unwrap();
        assert!(folder.read(&format!("out/{name}")) == content);
    }
}

#[test]
fn too_many_fields_are_said() {
    let text = format!(
        "MIME-Version: 1.0\n{}\nx\n",
        "Content-Type: text/plain\n".repeat(100)
    );
    assert_eq!(
        open(text.as_bytes()).gaps,
        [said(
            None,
            "limit/memory",
            "body: more or longer fields than are read"
        )]
    );
    let text = format!("From: a\nTo: b\n{}\nx\n", "Subject: x\n".repeat(100));
    assert_eq!(open(text.as_bytes()).gaps, []);
}

/// Everything that a content comes to, however deep.
fn leaves(bytes: &[u8], depth: u32, found: &mut Vec<Vec<u8>>) {
    assert!(depth < 8, "too deep");
    let mut any = false;
    let probe = crate::expand::testing::object(bytes).probe().unwrap();
    for expander in recognise(&probe)
        .into_iter()
        .filter_map(crate::expand::expander)
    {
        for (_, content) in expand(expander, bytes, b"x").children {
            any = true;
            leaves(&content, depth + 1, found);
        }
    }
    if !any {
        found.push(bytes.to_vec());
    }
}

#[test]
fn the_samples_of_clamav_are_opened_to_their_payload() {
    let folder = std::path::Path::new("/usr/share/clamav-testfiles");
    let Ok(payload) = std::fs::read(folder.join("clam.exe")) else {
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    };
    for name in [
        "clam.mail",
        "clam.exe.mbox.base64",
        "clam.exe.mbox.uu",
        "clam.exe.binhex",
        "clam.tnef",
    ] {
        let mut found = Vec::new();
        leaves(&std::fs::read(folder.join(name)).unwrap(), 0, &mut found);
        assert!(found.contains(&payload), "{name}");
    }
}

#[test]
fn more_boundaries_than_are_tried_are_said() {
    let many: String = (0..100).map(|n| format!("; boundary=a{n}")).collect();
    let text = format!("Content-Type: multipart/mixed{many}\n\n--a99\n\none\n--a99--\n");
    assert!(open(text.as_bytes()).reasons().contains(&"limit/memory"));
    let lines: String = (0..300).map(|n| format!("--a{n}\n\nx\n")).collect();
    let text = format!("Content-Type: multipart/mixed; boundary=a\n\n--a\n\n{lines}--a--\n");
    assert_eq!(open(text.as_bytes()).reasons(), ["limit/memory"]);
    // Nor one that only some readers see.
    let known = "Content-Type: text/plain\n".repeat(64);
    let text = format!("From: a\n{known}Content-Transfer-Encoding base64\n\nbody\n");
    assert!(open(text.as_bytes()).reasons().contains(&"limit/memory"));
}

#[test]
fn what_stands_before_a_mail_and_in_its_line_ends_is_passed_over() {
    let mail = "From: a\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"xyz w\"\n\n--xyz w\n\none\n--xyz w\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--xyz w--\n";
    let body = mail.split_once("\n\n").unwrap().1;
    let long = "X: some words\n\tand more\n".repeat(4_000);
    let texts = [
        mail.to_owned(),
        format!(" {mail}"),
        format!("\tby b; Mon, 1 Jan 2024 00:00:00 +0000\n{mail}"),
        format!("no field\n{mail}"),
        format!("{}\n{mail}<?xml version=\"1.0\"?>\n", mail.len()),
        format!(
            "POST /x HTTP/1.1\nHost: x\nContent-Type: multipart/form-data; boundary=\"xyz w\"\n\n{body}"
        ),
        format!("X-A: {}\n{mail}", "a".repeat(40_000)),
        format!("{long}{mail}"),
        format!("From: x\n{long}To: y\nMIME-Version: 1.0\n{mail}"),
        mail.replace('\n', "\r\r\n"),
        mail.replace('\n', "\r\n").replace(": x\r\n", ": x\r\r\n"),
        mail.replace('\n', "\r\n")
            .replace(": base64\r\n", ": base64\r\r\n"),
        body.replace("--xyz w\n\n", "--xyz w\nContent-Type: x\n\n"),
    ];
    for (number, text) in texts.iter().enumerate() {
        let probe = crate::expand::testing::object(text.as_bytes())
            .probe()
            .unwrap();
        let is_mail = recognise(&probe).iter().any(|kind| kind.name == "mime");
        assert!(is_mail, "{number}: {text:.100}");
        let got = open(text.as_bytes());
        let found: Vec<String> = contents(&got)
            .into_iter()
            .map(|(_, content)| content.trim().to_owned())
            .collect();
        assert_eq!(found, ["one", "hello"], "{number}: {text:.100}");
        assert_eq!(got.gaps, [], "{number}");
    }
}

#[test]
fn a_mail_without_mime_gives_its_body_once() {
    let records = "From: a\nTo: b\n\n".repeat(500);
    let text = format!("{records}begin 644 x\n#86)C\n`\nend\n");
    let got = open(text.as_bytes());
    let wanted = [("body", "begin 644 x\n#86)C\n`\nend\n")];
    assert_eq!(contents(&got), pairs(&wanted));
    assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
    let long = "Received: from somewhere\n".repeat(4_000);
    let text = format!("{long}From: a\n\nhello\n");
    assert_eq!(
        contents(&open(text.as_bytes())),
        pairs(&[("body", "hello\n")])
    );
    let text = format!("X-A: {}\nno mail at all\n", "a".repeat(90_000));
    assert!(open(text.as_bytes()).unlike);
}

#[test]
fn text_in_utf_7_is_given_as_python_reads_it() {
    let Some(folder) = tool("python3") else {
        return;
    };
    let text = "a+b, gr\u{f6}\u{df}e <script> \u{1f600} ~ \u{41f}\u{440}";
    folder.write("text", text.as_bytes());
    folder.write("make.py", b"t = open('text', encoding='utf-8').read()\nopen('a', 'wb').write(t.encode('utf-7'))\nimport base64\nopen('b', 'wb').write(b'+' + base64.b64encode(t.encode('utf-16be')).rstrip(b'=') + b'-')\n");
    folder.run("python3", &["make.py"]);
    for name in ["a", "b"] {
        let mut mail =
            b"MIME-Version: 1.0\nContent-Type: text/plain; charset=\"UTF-7\"\n\n".to_vec();
        mail.extend(folder.read(name));
        let got = open(&mail);
        assert_eq!(got.names(), ["body", "body (from UTF-7)"]);
        assert_eq!(got.children[1].1, text.as_bytes(), "{name}");
    }
}

#[test]
fn a_delimiter_in_a_header_is_told_from_one_behind_an_empty_part() {
    let mail = |part: &str| {
        let text = format!(
            "From: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=frontier\n\n--frontier\n{part}"
        );
        expand(&Mime, text.as_bytes(), b"x.eml")
    };
    let empty = mail("Content-Type: text/plain\n\n--frontier--\n\ntext\n");
    assert_eq!(empty.notes, [] as [&str; 0]);
    let cut = mail("Content-Type: text/plain\n--frontier--\n\ntext\n");
    assert_eq!(
        cut.notes,
        ["ambiguous/mime-header-end: where a header ends"]
    );
    assert!(cut.children.iter().any(|(_, content)| content == b"text\n"));
}

#[test]
fn what_is_all_of_a_text_is_no_member_of_it() {
    let text =
        b"See below\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=58\n";
    let got = expand(&Mime, text, b"x");
    assert_eq!(contents(&got), pairs(&[("body", "X\n")]));
}
