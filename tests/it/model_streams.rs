//! Random streams: commands in order and out of it, content that looks like commands, garbage, and ends at any place.

use proptest::prelude::*;

use crate::model;

/// Values of IGNORE, without the engine word.
pub const IGNORABLE: &[&str] = &["W32/Nimda.E", "a b", "EICAR"];

/// Values of EXCLUDE, each with a path that it and no other covers.
pub const EXCLUDABLE: &[(&str, &str)] = &[
    ("/ex/one", "/ex/one"),
    ("/ex/folder", "/ex/folder/in/it"),
    ("/ex/two words", "/ex/two words"),
    ("\"/ex/quoted\\n\"", "/ex/quoted\n/a"),
    ("*.iso", "/x/y.iso"),
    ("/ex/*/deep", "/ex/a/b/deep"),
];

/// Stands for a number that is different in each command.
const NUMBER: u8 = 0x1a;

fn text(text: &'static str) -> BoxedStrategy<Vec<u8>> {
    Just(text.as_bytes().to_vec()).boxed()
}

fn one_of(texts: &'static [&'static str]) -> BoxedStrategy<Vec<u8>> {
    proptest::sample::select(texts)
        .prop_map(|text| text.as_bytes().to_vec())
        .boxed()
}

fn joined(parts: Vec<BoxedStrategy<Vec<u8>>>) -> BoxedStrategy<Vec<u8>> {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn names() -> BoxedStrategy<Vec<u8>> {
    let any_byte = prop_oneof![
        10 => proptest::char::range('!', '~').prop_map(|c| c as u8),
        2 => Just(b' '),
        1 => any::<u8>(),
    ]
    .prop_filter("ends the line", |b| !matches!(b, b'\n' | b'\r' | &NUMBER));
    let any_name = proptest::collection::vec(any_byte, 0..12)
        .prop_map(|rest| [&b"/\x1a"[..], &rest].concat())
        .prop_filter("the quoted form is another row", |name| {
            name.last() != Some(&b'"')
        });
    prop_oneof![
        6 => text("/tmp/\x1a"),
        4 => any_name,
        1 => text("relative/\x1a"),
        1 => text("\"/quoted \\\"\\\\\\n\\r\\x7f\\xFf\x1a\""),
        1 => text("\"relative \x1a\""),
        1 => text("\"/not complete \x1a"),
        1 => text("\"/more\" behind \x1a"),
        1 => text("/blanks behind \x1a  "),
        1 => text("/zero\0\x1a"),
        1 => text("\"/zero\\x00\x1a\""),
        1 => (4080..4110usize).prop_map(|size| [&b"/\x1a"[..], &vec![b'x'; size]].concat()),
        1 => text(""),
    ]
    .boxed()
}

fn labels() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        2 => text(""),
        3 => text(" label \x1a"),
        1 => text(" C:\\Temp\\\x1a.exe"),
        1 => text(" \"/quoted\\n\x1a\""),
        1 => text(" \"/not complete \x1a"),
        1 => text(" \"relative \x1a\""),
        1 => text(" zero\0\x1a"),
        1 => Just(b" any \xff\x07bytes \x1a  ".to_vec()),
    ]
    .boxed()
}

fn options() -> BoxedStrategy<Vec<u8>> {
    let excludes: Vec<_> = EXCLUDABLE.iter().map(|(entry, _)| *entry).collect();
    let value = prop_oneof![
        2 => one_of(&[" IGNORE CVDL W32/Nimda.E", " IGNORE CVDL a b", " ignore   CVDL EICAR", " IGNORE", " IGNORE x"]),
        1 => Just(b" IGNORE \xff".to_vec()),
        3 => proptest::sample::select(excludes).prop_map(|entry| format!(" EXCLUDE {entry}").into_bytes()),
        1 => one_of(&[" EXCLUDE", " EXCLUDE relative", " Exclude [", " EXCLUDE \"relative\""]),
        1 => Just([&b" EXCLUDE *"[..], &[b'a'; 1030]].concat()),
        4 => one_of(&[
            " EXPAND", " EXPAND *", " EXPAND zip", " EXPAND gz", " EXPAND GZIP", " expand Tar", " EXPAND ACE",
            " EXPAND html", " EXPAND nonsense", " EXPAND zip gz", " EXPAND gz  ",
        ]),
        2 => one_of(&[
            " RECURSE", " RECURSE 0", " RECURSE 1", " RECURSE 007", " RECURSE -1", " RECURSE +1", " RECURSE 1x", " RECURSE x", " RECURSE 2 ",
        ]),
        2 => one_of(&[" ORIGINAL", " original", " COVERAGE", " Coverage"]),
        1 => one_of(&[" HTML", " HTML 1", " HTML 3", " HTML 0", " HTML 4", " HTML x", " HTML 2  "]),
        1 => one_of(&["", " ", " NONSENSE", " NONSENSE 1", " SCAN/FILE /x"]),
    ];
    let on = joined(vec![
        one_of(&["ENABLE", "ENABLE", "enable"]),
        value.clone().boxed(),
    ]);
    let flags_with_values = one_of(&["ENABLE ORIGINAL 1", "ENABLE COVERAGE yes"]);
    let off = joined(vec![one_of(&["DISABLE", "Disable"]), value.boxed()]);
    prop_oneof![4 => on, 2 => off, 1 => flags_with_values].boxed()
}

/// A command with a number of bytes behind it, mostly as many as it says.
fn counted() -> BoxedStrategy<Vec<u8>> {
    let content = prop_oneof![
        2 => text("1 SCAN/FILE /secret\r\nQUIT\n"),
        1 => text("\n\nGET / HTTP/1.1\r\n\r\n7 SCAN/DATA 5\n"),
        1 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => Just(Vec::new()),
    ];
    let verb = one_of(&["SCAN/DATA ", "scan//data ", "SCAN/DATA  ", "SCAN/GZ/DATA "]);
    let wrong_by = prop_oneof![9 => Just(0i64), 1 => -6..6i64, 1 => Just(i64::MAX / 2)];
    (verb, content, labels(), wrong_by, ids(), any::<bool>())
        .prop_map(|(verb, content, label, wrong_by, id, cr)| {
            let count = (content.len() as i64 + wrong_by).max(0);
            let end: &[u8] = if cr { b"\r\n" } else { b"\n" };
            [
                &id,
                &verb,
                count.to_string().as_bytes(),
                &label,
                end,
                &content,
            ]
            .concat()
        })
        .boxed()
}

fn ids() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => text(""),
        6 => text("1\x1a "),
        2 => one_of(&["7 ", "7  ", "007 ", "0 "]),
        1 => Just([&[b'9'; 64][..], b" "].concat()),
    ]
    .boxed()
}

fn lines() -> BoxedStrategy<Vec<u8>> {
    let garbage =
        proptest::collection::vec(any::<u8>(), 1..40).prop_filter("a blank is unclear", |bytes| {
            !bytes.contains(&b'\n') && !bytes.contains(&NUMBER) && !bytes[0].is_ascii_whitespace()
        });
    let file = joined(vec![
        one_of(&[
            "SCAN/FILE ",
            "SCAN/FILE ",
            "SCAN/FILE ",
            "scan/file ",
            "SCAN//FILE ",
            "SCAN/FILE   ",
            "SCAN/FILE-SHA1 ",
        ]),
        names(),
    ]);
    let request = joined(vec![one_of(&["SCAN/REQUEST", "scan/Request"]), labels()]);
    let port = joined(vec![
        one_of(&[
            "SCAN/PORT 40123",
            "SCAN/PORT 1024",
            "SCAN/PORT 65535",
            "SCAN/PORT 1023",
            "SCAN/PORT 0",
            "SCAN/PORT 65536",
            "SCAN/PORT +4000",
            "SCAN/PORT -1",
            "SCAN/PORT x",
            "SCAN/PORT 4000x",
            "SCAN/PORT",
        ]),
        labels(),
    ]);
    let odd = one_of(&[
        "SCAN/NONSENSE /x",
        "SCAN/GZ/FILE /x",
        "SCAN/FILE/FILE /x",
        "SCAN/a/b/c",
        "SCANS",
        "SCANFILE /x",
        "QUIT now",
        "READY",
        "OK",
        "wrongCommand",
        "-1 QUIT",
        "12",
        "1x QUIT",
        "x1 QUIT",
        "SCAN\\FILE /x",
        "99999999999999999999999999999999999999999999999999999999999999999 QUIT",
    ]);
    let command = prop_oneof![
        12 => file,
        4 => request,
        3 => port,
        12 => options(),
        3 => odd,
        2 => garbage,
    ];
    let ended = (
        ids(),
        command,
        one_of(&["\n", "\n", "\r\n", "\r\n", "\r\r\n"]),
    );
    let ended = ended.prop_filter_map("a line of its own", |(id, command, end)| {
        // A second carriage return would belong to the name or value, where no row says what it does.
        let is_clear = end.len() < 3 || command.starts_with(b"SCAN/FILE /tmp");
        is_clear.then(|| [id, command, end].concat())
    });
    let long = (ids(), 65_600..70_000usize, any::<bool>()).prop_map(|(id, size, is_name)| {
        let command: &[u8] = if is_name { b"SCAN/FILE /" } else { b"" };
        [&id, command, &vec![b'x'; size], b"\n"].concat()
    });
    let longest = (0..3usize).prop_map(|less| {
        let size = model::LINE_LIMIT - less - b"SCAN/FILE ".len();
        [&b"SCAN/FILE "[..], &vec![b'y'; size], b"\n"].concat()
    });
    let crowd = (0..2usize).prop_map(|form| {
        let line: &[u8] = [&b"SCAN/FILE /crowd\n"[..], b"5 SCAN/FILE /crowd\n"][form];
        line.repeat(300)
    });
    prop_oneof![
        400 => ended,
        60 => counted(),
        20 => one_of(&["\n", "\r\n", "   \n", "\n\n\r\n"]),
        4 => joined(vec![ids(), one_of(&["SCAN\n", "scan\r\n"])]),
        2 => joined(vec![ids(), one_of(&["SCAN /tmp/foo\n", "SCAN/DATA x\n", "SCAN/DATA\n", "SCAN/DATA -5\n", "SCAN/DATA +5\n",
            "SCAN/DATA 18446744073709551616\n", "SCAN/DATA 5x\n", "SCAN/GZ/DATA x\n"])]),
        6 => joined(vec![ids(), one_of(&["QUIT\n", "quit\r\n", "QUIT  \n"])]),
        1 => one_of(&["GET / HTTP/1.1\r\n", "POST /x?y HTTP/1.0\n"]),
        2 => long,
        1 => longest,
        1 => crowd,
    ]
    .boxed()
}

/// A stream, whether its end is the client's half-close, and what the rest of the play is decided by.
pub fn streams() -> impl Strategy<Value = (Vec<u8>, bool, bool, u64)> {
    let cut = prop_oneof![3 => Just(1.0), 1 => 0.0..1.0f64];
    let lines = proptest::collection::vec(lines(), 0..25);
    (
        lines,
        cut,
        any::<bool>(),
        proptest::bool::weighted(0.1),
        any::<u64>(),
    )
        .prop_map(|(lines, cut, half_close, abandon, seed)| {
            let mut stream = Vec::new();
            for (at, line) in lines.iter().enumerate() {
                for byte in line {
                    match *byte {
                        NUMBER => stream.extend(at.to_string().bytes()),
                        byte => stream.push(byte),
                    }
                }
            }
            stream.truncate((stream.len() as f64 * cut) as usize);
            (stream, half_close, abandon, seed)
        })
}
