//! Views from end to end: what stands in a text in another form is found at the text.

use std::path::Path;

use crate::support::{Daemon, eicar, noise, out, run};

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");

const RULES: &str = ":Marker, \"malware marker\" #\n:Code, \"in the script\" #\n:Link, \"http://evil.example/\" #\n";

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// What `vfind` says, without what it says of the start.
fn scanned(folder: &Path, options: &[&str], content: &[u8]) -> (Option<i32>, String) {
    let (rules, file) = (folder.join("rules.vdl"), folder.join("file"));
    std::fs::write(&rules, RULES).unwrap();
    std::fs::write(&file, content).unwrap();
    let rules = format!("--vdl={}", rules.display());
    let file = file.display().to_string();
    let output = run(VFIND, &[&[&rules[..]], options, &[&file]].concat(), b"");
    (output.status.code(), out(&output))
}

#[test]
fn text_in_other_encodings_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a text with a malware marker in it, and more of it";
    let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let rows: &[(&str, Vec<u8>)] = &[
        (
            "UTF-16 with a mark",
            [&b"\xff\xfe"[..], &utf16(text)].concat(),
        ),
        ("UTF-16 without", utf16(text)),
        ("UTF-7", b"+ADw-p+AD4- mal+AHc-are marker".to_vec()),
        (
            "base64",
            format!("var a = \"{}\";", base64(text.repeat(3).as_bytes())).into_bytes(),
        ),
        (
            "an encoded command",
            format!("powershell -enc {}", base64(&utf16(text))).into_bytes(),
        ),
        (
            "an encoded script",
            b"<script language=JScript.Encode>#@~^FQAAAA==a,'~rl,:l^hm.+,:CD0+.EAAAAAA==^#~@</script>".to_vec(),
        ),
        (
            "base64 of base64",
            format!(
                "x {} y",
                base64(base64(text.repeat(2).as_bytes()).as_bytes())
            )
            .into_bytes(),
        ),
    ];
    for (what, content) in rows {
        let (code, said) = scanned(folder.path(), &[], content);
        assert_eq!(code, Some(23), "{what}: {said}");
        assert!(said.contains("VIRUS ID: CVDL Marker"), "{what}: {said}");
    }
    let (code, said) = scanned(folder.path(), &[], b"a text without any of it");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn html_is_read_as_text_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let page = b"<html><p>mal<b>wa</b>re &#109;arker<a href='http://evil&#46;example/'>x</a><script>in the\\x20script</script>\
        <style>in the script</style>";
    let rows: [(&[&str], &[&str]); 4] = [
        (&[], &["Code"]),
        (&["--html=1"], &["Code", "Marker"]),
        (&["--html=2"], &["Code", "Link", "Marker"]),
        (&["--html=3"], &["Code", "Link", "Marker"]),
    ];
    for (options, names) in rows {
        let (_, said) = scanned(folder.path(), options, page);
        for name in ["Code", "Link", "Marker"] {
            let found = said.contains(&format!("VIRUS ID: CVDL {name}"));
            assert_eq!(found, names.contains(&name), "{options:?} {name}: {said}");
        }
    }
}

#[test]
fn a_program_in_base64_is_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let zip = crate::support::zip(&[("virus", &eicar())]);
    let text = format!(
        "<img src=\"data:application/zip;base64,{}\">",
        data_encoding::BASE64.encode(&zip)
    );
    let (code, said) = scanned(folder.path(), &[], text.as_bytes());
    assert_eq!(code, Some(23), "{said}");
    assert!(said.contains("(base64 at 38)\" -> \"virus\""), "{said}");
}

#[test]
fn the_daemon_reads_html_where_it_was_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, page) = (folder.path().join("r.vdl"), folder.path().join("page"));
    std::fs::write(&rules, RULES).unwrap();
    std::fs::write(&page, b"<html><p>malware<i> </i>marker</p>").unwrap();
    let daemon = Daemon::start(&[&format!("--vdl={}", rules.display())]);
    let mut talk = daemon.connect();
    for (line, done) in [
        ("", "DONE 0"),
        ("ENABLE HTML 1", "DONE 1"),
        ("DISABLE HTML", "DONE 0"),
        ("ENABLE EXPAND HTML", "DONE 1"),
    ] {
        if !line.is_empty() {
            talk.send(format!("{line}\r\n"));
            assert_eq!(talk.text(), "OK", "{line}");
        }
        let answer = talk.scan(&page);
        assert!(answer.starts_with(done), "{line}: {answer}");
    }
}

/// Texts that have a type of their own are looked through as any other.
#[test]
fn base64_in_every_kind_of_text_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let zip = crate::support::zip(&[("virus", &eicar())]);
    let data = data_encoding::BASE64_MIME.encode(&zip);
    let text =
        data_encoding::BASE64.encode("a text with a malware marker in it. ".repeat(3).as_bytes());
    let xml = "<?xml version=\"1.0\" standalone=\"yes\"?>\r\n";
    let rows = [
        // Flat OPC: the parts of a document in one text.
        format!(
            "{xml}<?mso-application progid=\"Word.Document\"?>\r\n<pkg:package xmlns:pkg=\"http://schemas.microsoft.com/office/2006/xmlPackage\">\
            <pkg:part pkg:name=\"/word/vbaProject.bin\" pkg:contentType=\"application/vnd.ms-office.vbaProject\" pkg:compression=\"store\">\
            <pkg:binaryData>{data}</pkg:binaryData></pkg:part></pkg:package>"
        ),
        format!(
            "{xml}<?mso-application progid=\"Excel.Sheet\"?>\r\n<Workbook><x>{data}</x></Workbook>"
        ),
        format!(
            "{xml}<xdp:xdp xmlns:xdp=\"http://ns.adobe.com/xdp/\"><pdf><document><chunk>{data}</chunk></document></pdf></xdp:xdp>"
        ),
        format!("%!PS-Adobe-3.0\n({data}) show\n"),
        format!("#@~^AAAAAA==code==^#~@ {data}"),
        format!("From: a@b\r\nSubject: hello\r\n\r\nSee this:\r\n{data}\r\n"),
        format!("From x Thu Jul 31 13:49:50 2008\nFrom: a@b\nSubject: hello\n\n{data}\n"),
        format!("x = {data}\nbegin 644 x\n#86)C\n`\nend\n"),
        format!("// \u{1} a script\nx = '{data}'\n"),
        format!("// \0 a script\nx = '{data}'\n"),
        format!("MZ=\"{data}\""),
        format!("BM=\"{data}\""),
        format!("GIF89a=\"{data}\""),
    ];
    for row in rows {
        let (code, said) = scanned(folder.path(), &[], row.as_bytes());
        assert_eq!(code, Some(23), "{row}: {said}");
        assert!(said.contains("(base64 at "), "{row}: {said}");
        let (code, said) = scanned(folder.path(), &[], row.replace(&data, &text).as_bytes());
        assert_eq!(code, Some(23), "{row}: {said}");
        assert!(said.contains("VIRUS ID: CVDL Marker"), "{row}: {said}");
    }
}

/// What programs write around base64, and each with a zip archive in it.
fn written(zip: &[u8]) -> Vec<(&'static str, String)> {
    let one = data_encoding::BASE64.encode(zip);
    let lines: Vec<&str> = (one.as_bytes().chunks(76))
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let each = |before: &str, after: &str| -> String {
        (lines.iter().map(|line| format!("{before}{line}{after}"))).collect()
    };
    let percent = one.replace('+', "%2B").replace('/', "%2F");
    let numbers = one.replace('+', "&#43;").replace('/', "&#x2F;");
    vec![
        ("JSON", format!("{{\"a\": \"{}\"}}", lines.join("\\n"))),
        ("PHP", format!("{{\"a\": \"{}\"}}", one.replace('/', "\\/"))),
        (
            ".NET",
            format!("{{\"a\": \"{}\"}}", one.replace('+', "\\u002B")),
        ),
        ("C", format!("char *a =\n{};\n", each("  \"", "\\n\"\n"))),
        ("VBA", each("s = s & \"", "\"\r\n")),
        (
            "a line that goes on",
            format!("a = \"{}\"\n", lines.join("\\\n")),
        ),
        ("a batch file", format!("(\n{}) > a\n", each("echo ", "\n"))),
        ("a quote", format!("Bob wrote:\n{}", each("> ", "\n"))),
        ("a form", format!("a={percent}&b=c")),
        (
            "an address",
            format!("a{{b:url(data:application/zip;base64,{percent})}}"),
        ),
        (
            "HTML",
            format!("<html><a href=\"data:application/zip;base64,{numbers}\">"),
        ),
    ]
}

#[test]
fn base64_as_programs_write_it_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let noise = noise(1, 2000);
    let zip = crate::support::zip(&[("noise", &noise), ("virus", &eicar())]);
    for (row, text) in written(&zip) {
        let (code, said) = scanned(folder.path(), &[], text.as_bytes());
        assert_eq!(code, Some(23), "{row}: {said}");
        assert!(said.contains("\" -> \"virus\""), "{row}: {said}");
    }
}

/// Neither what stands around base64 nor that a text ends in the middle of it makes a gap that holds anything up.
#[test]
fn harmless_base64_in_texts_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let noise = noise(2, 9000);
    let zip = crate::support::zip(&[("noise", &noise), ("text", b"harmless")]);
    for (row, text) in written(&zip) {
        let (code, said) = scanned(folder.path(), &[], text.as_bytes());
        assert_eq!(code, Some(0), "{row}: {said}");
        assert!(!said.contains("NOT SCANNED"), "{row}: {said}");
    }
    let one = data_encoding::BASE64.encode(&zip);
    let salted = [&b"Salted__"[..], &noise[..48]].concat();
    let token = data_encoding::BASE64.encode(&salted);
    let rows = [
        ("a log", format!("attached: {}...\n", &one[..400]), 0),
        ("a field", format!("attached: {}...\n", &one[..5000]), 0),
        (
            "a token",
            format!("<html><a href=\"https://a.example/reset?token={token}\">"),
            0,
        ),
        ("openssl enc -a", format!("Here it is:\n{token}\n"), 2),
    ];
    for (row, text, wanted) in rows {
        let (code, said) = scanned(folder.path(), &[], text.as_bytes());
        assert_eq!(code, Some(wanted), "{row}: {said}");
        assert!(!said.contains("unsupported"), "{row}: {said}");
    }
}

/// What a mail carries is decoded as its parts say, and not once more.
#[test]
fn what_is_attached_to_a_mail_is_decoded_once() {
    let folder = tempfile::tempdir().unwrap();
    let zip = crate::support::zip(&[("virus", &eicar())]);
    let data = data_encoding::BASE64_MIME.encode(&zip);
    let mail = format!(
        "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}\r\n"
    );
    for mail in [
        mail.clone(),
        format!("From x Thu Jul 31 13:49:50 2008\r\n{mail}"),
    ] {
        let (code, said) = scanned(folder.path(), &[], mail.as_bytes());
        assert_eq!(code, Some(23), "{said}");
        assert!(
            said.contains("\"a.zip\" -> \"virus\"") && !said.contains("(base64 at "),
            "{said}"
        );
    }
}

#[test]
fn html_is_read_no_further_than_limit_contiguous_says() {
    let folder = tempfile::tempdir().unwrap();
    let page = format!(
        "<html><p>{}malware  <b>mar</b>ker",
        "words of a page ".repeat(200_000)
    );
    let (code, said) = scanned(folder.path(), &["--html=1"], page.as_bytes());
    assert_eq!(code, Some(23), "{said}");
    let options = ["--html=1", "--limit-contiguous=2M"];
    let (code, said) = scanned(folder.path(), &options, page.as_bytes());
    assert_eq!(code, Some(2), "{said}");
    let detail = "limit/contiguous: of the HTML the first 2097152 bytes were read as text, all of it as it is; --limit-contiguous bounds it, up to 25M";
    assert!(said.contains(detail), "{said}");
}

#[test]
fn containers_that_are_switched_off_stay_closed_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let zip = crate::support::zip(&[("virus", &eicar())]);
    let rows: &[(&[&str], i32)] = &[
        (&[], 23),
        (&["--expand=zip"], 23),
        (&["--expand=*"], 23),
        (&["--expand=tar,ZIP"], 23),
        (&["--disable-expand=tar"], 23),
        (&["--expand=tar"], 0),
        (&["--disable-expand=tar,zip"], 0),
        (&["--disable-expand=*"], 0),
        (&["--expand=zip", "--disable-expand=zip"], 0),
        (&["--disable-expand=*", "--policy=excluded=error"], 2),
        (&["--expand=nothing"], 255),
        (&["--expand=ace"], 255),
    ];
    for (options, expected) in rows {
        let (code, said) = scanned(folder.path(), options, &zip);
        assert_eq!(code, Some(*expected), "{options:?}: {said}");
        let is_off = said.contains("excluded/expand: zip is switched off");
        assert_eq!(is_off, matches!(expected, 0 | 2), "{options:?}: {said}");
    }
    let daemon = Daemon::start(&["--disable-expand=zip"]);
    let path = folder.path().join("file");
    let mut talk = daemon.connect();
    assert!(talk.scan(&path).contains("DONE 0"));
    talk.send("ENABLE EXPAND zip\r\n");
    assert_eq!(talk.text(), "OK");
    assert!(talk.scan(&path).contains("DONE 1"));
}

/// As Word 2003 keeps them: base64 around ActiveMime around zlib.
#[test]
fn macros_in_the_xml_of_2003_are_found() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut mso = b"ActiveMime\0\0\xf0\x01\x04\0\0\0\xff\xff\xff\xff".to_vec();
    mso.resize(0x32, 0);
    let mut zlib = flate2::write::ZlibEncoder::new(mso, flate2::Compression::best());
    zlib.write_all(&crate::support::zip(&[("virus", &eicar())]))
        .unwrap();
    let data = data_encoding::BASE64_MIME.encode(&zlib.finish().unwrap());
    let text = format!(
        "<?xml version=\"1.0\"?>\r\n<?mso-application progid=\"Word.Document\"?>\r\n<w:wordDocument>\
        <w:docSuppData><w:binData w:name=\"editdata.mso\">{data}</w:binData></w:docSuppData></w:wordDocument>"
    );
    let (code, said) = scanned(folder.path(), &[], text.as_bytes());
    assert_eq!(code, Some(23), "{said}");
    assert!(said.contains("\"data\" -> \"virus\""), "{said}");
}
