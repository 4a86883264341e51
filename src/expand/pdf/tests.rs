use std::fmt::Write;

use super::*;
use crate::expand::testing::{
    Folder, Recorder, expand, expand_with, mutations, tool, tree, withstand,
};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Pdf, bytes, b"x.pdf")
}

/// A document of these objects, numbered from 1 on; the first is the root.
fn document(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n%\x80\x81\x82\x83\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", out.len()).unwrap();
        out.extend(format!("{} 0 obj\n", number + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let start = out.len();
    out.extend(table.bytes());
    let size = objects.len() + 1;
    let trailer = format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n");
    out.extend(trailer.bytes());
    out
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<<{entries}/Length {}>>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

const SCRIPT: &str = "<</S/JavaScript/JS(app.alert\\050'h\\151'\\051)>>";

/// A root with a script and a page, and these streams behind it.
fn with_streams(streams: &[Vec<u8>]) -> Vec<u8> {
    let kept: String = (4..streams.len() + 4)
        .map(|number| format!("{number} 0 R "))
        .collect();
    let mut objects = vec![
        format!("<</Type/Catalog/Pages 2 0 R/OpenAction{SCRIPT}/Kept[{kept}]>>").into_bytes(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>".to_vec(),
    ];
    objects.extend_from_slice(streams);
    document(&objects)
}

fn content<'a>(got: &'a Recorder, name: &str) -> &'a [u8] {
    let child = got.children.iter().find(|child| child.0 == name.as_bytes());
    &child
        .unwrap_or_else(|| panic!("{name} in {:?}", got.names()))
        .1
}

/// All that was in the document is among the members, whatever their numbers are now.
fn assert_has(got: &Recorder, files: &[(String, Vec<u8>)], what: &str) {
    assert_eq!(got.gaps, [], "{what}");
    for (name, wanted) in files {
        assert!(
            got.children.iter().any(|child| child.1 == *wanted),
            "{what}: {name}"
        );
    }
    let script =
        |child: &(Vec<u8>, Vec<u8>)| child.0.ends_with(b".js") && child.1 == b"app.alert('hi')";
    assert!(got.children.iter().any(script), "{what}: {:?}", got.names());
}

fn sample(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let files = tree(folder, 5);
    let streams: Vec<_> = files
        .iter()
        .map(|(_, content)| stream("", content))
        .collect();
    folder.write("plain.pdf", &with_streams(&streams));
    files
}

#[test]
fn what_qpdf_writes_is_read() {
    let Some(folder) = tool("qpdf") else { return };
    let files = sample(&folder);
    let empty = ["--encrypt", "", "owner"];
    let rows: [(&str, &[&str]); 12] = [
        ("plain", &[]),
        ("qdf", &["--qdf"]),
        (
            "packed",
            &["--object-streams=generate", "--compress-streams=y"],
        ),
        ("linear", &["--linearize", "--object-streams=generate"]),
        ("best", &["--recompress-flate", "--compression-level=9"]),
        (
            "RC4 of 40 bits",
            &[
                "--allow-weak-crypto",
                empty[0],
                empty[1],
                empty[2],
                "40",
                "--",
            ],
        ),
        (
            "RC4 of 128 bits",
            &[
                "--allow-weak-crypto",
                empty[0],
                empty[1],
                empty[2],
                "128",
                "--use-aes=n",
                "--",
            ],
        ),
        (
            "crypt filters",
            &[
                "--allow-weak-crypto",
                empty[0],
                empty[1],
                empty[2],
                "128",
                "--force-V4",
                "--",
            ],
        ),
        (
            "AES-128",
            &[
                "--allow-weak-crypto",
                empty[0],
                empty[1],
                empty[2],
                "128",
                "--use-aes=y",
                "--cleartext-metadata",
                "--",
            ],
        ),
        (
            "revision 5",
            &[
                "--allow-weak-crypto",
                empty[0],
                empty[1],
                empty[2],
                "256",
                "--force-R5",
                "--",
            ],
        ),
        ("AES-256", &[empty[0], empty[1], empty[2], "256", "--"]),
        (
            "AES-256, packed",
            &[
                "--object-streams=generate",
                empty[0],
                empty[1],
                empty[2],
                "256",
                "--",
            ],
        ),
    ];
    for (what, arguments) in rows {
        let all = [&["plain.pdf", "out.pdf"], arguments].concat();
        folder.run("qpdf", &all);
        assert_has(&run(&folder.read("out.pdf")), &files, what);
    }
}

#[test]
fn passwords_are_tried_and_their_lack_is_said() {
    let Some(folder) = tool("qpdf") else { return };
    let files = sample(&folder);
    let rows: [(&[&str], &[&str]); 4] = [
        (&["40", "--"], &["wrong", "user"]),
        (&["128", "--use-aes=y", "--"], &["user"]),
        (&["256", "--"], &["user"]),
        (&["256", "--"], &["owner"]),
    ];
    for (kind, passwords) in rows {
        let encrypt = [
            "plain.pdf",
            "out.pdf",
            "--allow-weak-crypto",
            "--encrypt",
            "user",
            "owner",
        ];
        folder.run("qpdf", &[&encrypt, kind].concat());
        let bytes = folder.read("out.pdf");
        assert_has(&expand_with(&Pdf, &bytes, b"x", passwords), &files, kind[0]);
        let got = expand_with(&Pdf, &bytes, b"x", &["wrong"]);
        assert_eq!((got.names().len(), got.reasons()), (0, vec!["encrypted"]));
    }
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::bufread::ZlibEncoder::new(content, flate2::Compression::default())
        .read_to_end(&mut out)
        .unwrap();
    out
}

fn hexadecimal(content: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = content
        .iter()
        .flat_map(|byte| format!("{byte:02x} ").into_bytes())
        .collect();
    out.push(b'>');
    out
}

#[test]
fn filters_in_all_their_spellings() {
    let packed = deflated(b"content");
    let hex = hexadecimal(&packed);
    // Rows of three bytes: as they are, against the left, above, the average, and Paeth's.
    let rows = deflated(b"\0abc\x01a\x01\x01\x02\0\0\0\x03\x31\0\0\x04\0\0\0");
    let png = "/Filter/FlateDecode/DecodeParms<</Predictor 15/Columns 3>>";
    let tiff = "/Filter/Fl/DecodeParms[<</Predictor 2/Colors 1/Columns 3>>]";
    let tiff_rows = deflated(b"a\x01\x01x\x01\x01");
    type Row<'a> = (&'a str, &'a [u8], &'a [u8], &'a [&'a str]);
    let tables: [Row<'_>; 12] = [
        ("/Filter/FlateDecode", &packed, b"content", &[]),
        (
            "/Filter [ /ASCIIHexDecode /FlateDecode ]",
            &hex,
            b"content",
            &[],
        ),
        (
            "/Filter[/AHx/Fl]/DecodeParms[null null]",
            &hex,
            b"content",
            &[],
        ),
        ("/F#69lter/Fl#61teDecode", &packed, b"content", &[]),
        ("/Filter 5 0 R", &packed, b"content", &[]),
        (png, &rows, b"abcabcabcabcabc", &[]),
        (tiff, &tiff_rows, b"abcxyz", &[]),
        (
            "/Filter/Fl/DecodeParms<</Predictor 7/Columns 3>>",
            &packed,
            b"content",
            &[],
        ),
        (
            "/Filter/DCTDecode",
            b"\xff\xd8picture",
            b"\xff\xd8picture",
            &[],
        ),
        ("/Filter[/Fl/DCT]", &packed, b"content", &[]),
        (
            "/Filter/Unheard",
            b"as it is",
            b"as it is",
            &["unsupported/pdf-filter"],
        ),
        (
            "/Filter/FlateDecode",
            b"\x78\x9c\xff\xff",
            b"",
            &["corrupt"],
        ),
    ];
    for (entries, bytes, plain, reasons) in tables {
        let got = run(&with_streams(&[
            stream(entries, bytes),
            b"/FlateDecode".to_vec(),
        ]));
        if entries != png {
            assert_eq!(content(&got, "4-0"), plain, "{entries}");
        } else {
            assert!(content(&got, "4-0").starts_with(b"abcabcabc"));
            assert_eq!(content(&got, "4-0").len(), 15);
        }
        assert_eq!(got.reasons(), reasons, "{entries}");
    }
}

#[test]
fn the_length_is_a_claim() {
    let rows: [(&str, &[u8]); 5] = [
        ("7", b"content"),
        ("3", b"content"),
        ("9999999999999999999999", b"content"),
        ("-1", b"content"),
        ("5 0 R", b"content"),
    ];
    for (length, plain) in rows {
        let body = format!("<</Length {length}>>stream\r\ncontent\r\nendstream").into_bytes();
        let got = run(&with_streams(&[body, b"7".to_vec()]));
        assert_eq!(content(&got, "4-0"), plain, "{length}");
        assert_eq!(got.gaps, []);
    }
    let body = b"<</Length 90>>stream\ncontent\nendstream and much more that is there".to_vec();
    let got = run(&with_streams(&[body]));
    assert_eq!(got.names(), ["1-0.js", "4-0", "4-0-long"]);
    assert_eq!(content(&got, "4-0-long").len(), 90);
    assert_eq!(got.notes.len(), 1);
    // The word stands inside, and the length says so.
    let got = run(&with_streams(&[stream("", b"one endstream two")]));
    assert_eq!(content(&got, "4-0"), b"one endstream two");
}

#[test]
fn scripts_are_given_as_they_are_read() {
    let rows: [(&str, &[u8]); 3] = [
        (SCRIPT, b"app.alert('hi')"),
        ("<</J#53<FEFF0061 00E4>>>", "aä".as_bytes()),
        ("<</Names[(a)<</S/JavaScript/JS (x\\\n\\171)>>]>>", b"xy"),
    ];
    for (object, script) in rows {
        let got = run(&document(&[object.as_bytes().to_vec()]));
        assert_eq!(content(&got, "1-0.js"), script);
    }
    let inner = format!("7 0 8 4  (a) {SCRIPT}");
    let object = stream(
        "/Type/ObjStm/N 2/First 9/Filter/FlateDecode",
        &deflated(inner.as_bytes()),
    );
    let got = run(&document(&[object]));
    assert_eq!(content(&got, "1-0"), inner.as_bytes());
    assert_eq!(content(&got, "1-0.js"), b"app.alert('hi')");
}

#[test]
fn a_script_may_be_an_object_of_its_own() {
    let objects = [
        b"<</S/JavaScript/JS 2 0 R>>".to_vec(),
        b"(app.alert\\050'hi'\\051)".to_vec(),
    ];
    assert_eq!(
        content(&run(&document(&objects)), "2-0.js"),
        b"app.alert('hi')"
    );
}

/// Scripts keep code in titles and comments.
#[test]
fn texts_that_stand_there_in_another_form_are_given_together() {
    let object = b"<</Title <736f6d6520636f646520696e206120746974 6c65>/A(a\\040text with an escape)/B(a text as it is)/C<414243>>>";
    let got = run(&document(&[object.to_vec()]));
    assert_eq!(got.names(), ["1-0.txt"]);
    let mut lines: Vec<_> = content(&got, "1-0.txt")
        .split(|byte| *byte == b'\n')
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [&b""[..], b"a text with an escape", b"some code in a title"]
    );
}

/// What readers are not stopped by.
#[test]
fn streams_without_an_object_that_is_understood_are_given() {
    let text = b"this is what the stream says";
    let rows = [
        ("4 %x\n 0 %y\n obj <<", "(stream at"),
        ("4 -0 obj <<", "(stream at"),
        ("4 0 obj <<endobj ", "(stream at"),
        ("4 0 obj <</Length>> 140", "(stream at"),
        ("4 0 obj <<endstream ", "(stream at"),
        ("4 0 obj [", "4-0"),
    ];
    for (start, name) in rows {
        let data = deflated(text);
        let middle = format!(
            "\n{start}/Filter/FlateDecode/Length {}>>stream \t\r\n",
            data.len()
        );
        let end = b"\nendstream\nendobj\n%%EOF\n";
        let bytes = [
            &with_streams(&[stream("", b"first")]),
            middle.as_bytes(),
            &data,
            end,
        ]
        .concat();
        let got = run(&bytes);
        let found = got.children.iter().find(|(_, content)| content == text);
        let found = found.unwrap_or_else(|| panic!("{start}: {:?}", got.names()));
        assert!(
            found.0.starts_with(name.as_bytes()),
            "{start}: {:?}",
            got.names()
        );
        assert_eq!(got.children.len(), 3, "{start}: {:?}", got.names());
    }
}

#[test]
fn a_stream_without_object_length_and_end_is_given() {
    let data = deflated(b"this is what the stream says");
    let start = b"\n4 -0 obj <</Filter/FlateDecode>>stream\n";
    let got = run(&[&with_streams(&[]), &start[..], &data].concat());
    let is_it = |child: &&(Vec<u8>, Vec<u8>)| child.1 == b"this is what the stream says";
    assert!(
        got.children.iter().find(is_it).is_some(),
        "{:?}",
        got.names()
    );
}

#[test]
fn many_streams_may_share_a_long_list() {
    let mut bytes = b"%PDF-1.4\n1 0 obj[".to_vec();
    bytes.extend(b"/FlateDecode ".repeat(20_000));
    bytes.extend(b"] endobj\n");
    bytes.extend(b"3 0 obj<</Length 5/Filter 1 0 R>>stream\nx\nendstream endobj\n".repeat(3000));
    // Within the time of a test at all.
    assert!(run(&bytes).reasons().contains(&"limit/memory"));
}

#[test]
fn a_document_in_a_document_is_left_to_itself() {
    let inner = with_streams(&[stream("", b"inner")]);
    let got = run(&with_streams(&[stream("", &inner), stream("", b"outer")]));
    assert_eq!(got.names(), ["1-0.js", "4-0", "5-0"]);
    assert_eq!(content(&got, "4-0"), inner);
    // What merely stands in a stream may be what another reader finds.
    let nested = [b"1 0 obj ", &*stream("", b"inner"), b" endobj"].concat();
    let got = run(&with_streams(&[stream("", &nested)]));
    assert_eq!(got.names(), ["1-0.js", "4-0", "1-0"]);
}

#[test]
fn odd_and_hostile_files() {
    let many = [
        &b"%PDF-1.4\n"[..],
        &*b"1 0 obj<</A[".repeat(20_000),
        b"%%EOF",
    ]
    .concat();
    let got = run(&many);
    assert!(got.gaps.len() >= 20_000 - 1);
    let streams = [
        b"%PDF-1.4\n",
        &*b"1 0 obj<<>>stream\n".repeat(300),
        b"%%EOF",
    ]
    .concat();
    assert!(run(&streams).complained());
    let references = [&b"%PDF-1.4\n"[..], &b"1 0 obj 2 0 R endobj 2 0 obj 1 0 R endobj 3 0 obj<</Length 1 0 R>>stream\nabc\nendstream\n"[..], b"%%EOF"].concat();
    let got = run(&references);
    assert_eq!(content(&got, "3-0"), b"abc");
    let mut behind = with_streams(&[]);
    behind.extend(b"Rar!\x1a\x07\0 and so on");
    assert_eq!(run(&behind).names(), ["1-0.js", "(behind the end)"]);
}

/// Readers that pass over what they do not find show the streams, others show nothing.
#[test]
fn encryption_that_is_not_found_is_said_and_the_streams_are_given() {
    // Put together, for this file is scanned, too.
    let trailer = |encrypt: &str| format!("\ntrailer<</{}crypt{encrypt}>>", "En");
    let mut bytes = with_streams(&[stream("", b"content")]);
    bytes.extend_from_slice(trailer(" 99 0 R").as_bytes());
    bytes.extend_from_slice(b"\n%%EOF\n");
    let got = run(&bytes);
    assert_eq!(got.reasons(), ["encrypted"]);
    assert_eq!(content(&got, "4-0"), b"content");
    let many: String = (0..=HANDLERS)
        .map(|number| trailer(&format!("<</Filter/Standard/V {number}/R 9>>")))
        .collect();
    let bytes = [&*bytes, many.as_bytes(), b"\n%%EOF\n"].concat();
    assert!(run(&bytes).reasons().contains(&"encrypted"));
}

/// A file may lack what comes behind its last mark of an end.
#[test]
fn no_damage_panics() {
    let inner = format!("7 0 8 4  (a) {SCRIPT}");
    let lzw = b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01";
    let sample = with_streams(&[
        stream("/Filter/FlateDecode", &deflated(b"content, content")),
        stream("/Filter/LZWDecode", lzw),
        stream("/Type/ObjStm/N 2/First 9", inner.as_bytes()),
        stream("/Filter[/A85/AHx/RL]", b"0JYO@2DR0HAn<n\\3&!M~>"),
    ]);
    assert_eq!(run(&sample).gaps, []);
    let silent = withstand(&Pdf, &sample, b"x.pdf");
    assert!(
        silent.iter().all(|cut| *cut + 1 == sample.len()),
        "{silent:?}"
    );
    let Some(folder) = tool("qpdf") else { return };
    folder.write("plain.pdf", &with_streams(&[stream("", b"content")]));
    // A password of revision 6 takes milliseconds by design.
    for kind in ["40", "128", "256"] {
        folder.run(
            "qpdf",
            &[
                "plain.pdf",
                "out.pdf",
                "--allow-weak-crypto",
                "--encrypt",
                "",
                "",
                kind,
                "--",
            ],
        );
        let bytes = folder.read("out.pdf");
        match kind {
            "256" => mutations(&bytes, 200, |bytes| drop(run(bytes))),
            _ => drop(withstand(&Pdf, &bytes, b"x.pdf")),
        }
    }
}

/// The harmless program of ClamAV's test files lies in one of the streams.
#[test]
fn the_test_file_of_clamav_is_opened() {
    let folder = std::path::Path::new("/usr/share/clamav-testfiles");
    let Ok(program) = std::fs::read(folder.join("clam.exe")) else {
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    };
    let got = run(&std::fs::read(folder.join("clam.pdf")).unwrap());
    assert!(
        got.children.iter().any(|child| child.1 == program),
        "{:?}",
        got.names()
    );
    assert_eq!(got.gaps, []);
}
