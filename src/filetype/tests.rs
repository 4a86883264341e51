use std::process::Command;

use bytes::Bytes;

use super::*;
use crate::kind::KINDS;
use crate::object::Object;
use crate::stop::Stop;

fn of(bytes: &[u8]) -> &'static FileType {
    let object = Object::memory(Bytes::copy_from_slice(bytes), Stop::never());
    recognise(&object.probe().unwrap())
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0; 64]].concat()
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in members {
        writer.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut writer, content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn pe() -> Vec<u8> {
    let mut bytes = padded(b"MZ");
    bytes[0x3c] = 0x40;
    bytes.resize(0x40, 0);
    let header = b"PE\0\0\x4c\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe0\0\x02\x01\x0b\x01";
    [&bytes[..], header, &[0; 240]].concat()
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

/// A content, its title and target, and a word of what file(1) says of it; empty where it is not asked.
#[allow(clippy::too_many_lines)] // A table of samples, one a row.
fn samples() -> Vec<(Vec<u8>, &'static str, u8, &'static str)> {
    let java = [&b"\xca\xfe\xba\xbe\0\0\0\x34"[..], &[0; 64]].concat();
    vec![
        (pe(), "PE32 executable", 1, "PE32 executable"),
        (padded(b"MZ"), "MS-DOS executable", 1, "MS-DOS executable"),
        (b"MZ".to_vec(), "MS-DOS executable", 1, ""),
        (padded(b"\x7fELF\x01\x01\x01"), "ELF executable", 6, "ELF"),
        (
            padded(b"\xce\xfa\xed\xfe\x07\0\0\0"),
            "Mach-O executable",
            9,
            "Mach-O",
        ),
        (
            padded(b"\xfe\xed\xfa\xcf\x07\0\0\0"),
            "Mach-O executable",
            9,
            "Mach-O",
        ),
        (
            padded(b"\xca\xfe\xba\xbe\0\0\0\x02"),
            "Mach-O universal binary",
            9,
            "Mach-O universal binary",
        ),
        (java, "compiled Java class", 12, "compiled Java class"),
        (
            b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(),
            "JPEG image",
            5,
            "JPEG image",
        ),
        (padded(b"GIF89a\x01\0\x01\0"), "GIF image", 5, "GIF image"),
        (b"GIFt of the magi".to_vec(), "unknown", 5, ""),
        (
            padded(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            "PNG image",
            5,
            "PNG image",
        ),
        (padded(b"II*\0\x08\0\0\0"), "TIFF image", 5, "TIFF image"),
        (
            [b"BM\x80\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", &[1; 60][..]].concat(),
            "PC bitmap image",
            5,
            "PC bitmap",
        ),
        (b"BMW is a car".to_vec(), "unknown", 5, "text"),
        (padded(b"FWS\x05"), "Macromedia Flash", 11, ""),
        (b"FWSs are words".to_vec(), "unknown", 11, ""),
        (
            padded(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            "Composite Document File (OLE2)",
            2,
            "OLE 2 Compound Document",
        ),
        (
            b"{\\rtf1\\ansi x}".to_vec(),
            "Rich Text Format data",
            0,
            "Rich Text Format data",
        ),
        (b"%PDF-1.4\n".to_vec(), "PDF document", 10, "PDF document"),
        (
            zip_of(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"y")]),
            "Microsoft Word 2007+ document",
            0,
            "",
        ),
        (
            zip_of(&[("xl/workbook.xml", b"y")]),
            "Microsoft Excel 2007+ document",
            0,
            "",
        ),
        (
            zip_of(&[("ppt/presentation.xml", b"y")]),
            "Microsoft PowerPoint 2007+ document",
            0,
            "",
        ),
        (
            zip_of(&[("mimetype", b"application/vnd.oasis.opendocument.text")]),
            "OpenDocument document",
            0,
            "OpenDocument",
        ),
        (
            zip_of(&[("META-INF/MANIFEST.MF", b"y")]),
            "Java archive data (JAR)",
            0,
            "archive data",
        ),
        (
            zip_of(&[("a", b"y")]),
            "Zip archive data",
            0,
            "Zip archive data",
        ),
        (
            padded(b"RIFF\x20\0\0\0WAVEfmt "),
            "RIFF data, WAVE audio",
            0,
            "WAVE audio",
        ),
        (
            padded(b"RIFF\x20\0\0\0WEBPVP8 "),
            "WebP image",
            0,
            "Web/P image",
        ),
        (padded(b"OggS\0\x02"), "Ogg data", 0, "Ogg data"),
        (
            [&b"SQLite format 3\0"[..], &zip_of(&[("word/a", b"x")])].concat(),
            "SQLite 3.x database",
            0,
            "",
        ),
        (
            [
                &b"\xd4\xc3\xb2\xa1\x02\0\x04\0"[..],
                &zip_of(&[("a", b"x")]),
            ]
            .concat(),
            "pcap capture file",
            0,
            "pcap capture file",
        ),
        (
            [&b"bplist00"[..], &zip_of(&[("a", b"x")])].concat(),
            "Apple binary property list",
            0,
            "Apple binary property list",
        ),
        (
            [&b"\x80\x04\x95\x10"[..], &zip_of(&[("a", b"x")])].concat(),
            "Python pickle",
            0,
            "",
        ),
        (
            padded(b"\0\0\0\x18ftypmp42"),
            "ISO Media video",
            0,
            "ISO Media",
        ),
        (
            b"From: a@b\nTo: c@d\n\nhello\n".to_vec(),
            "mail text",
            4,
            "text",
        ),
        (
            b"X-A: b\nMIME-Version: 1.0\n\nhello\n".to_vec(),
            "mail text",
            4,
            "text",
        ),
        (
            b"<html><body>x</body></html>\n".to_vec(),
            "HTML text",
            3,
            "HTML document",
        ),
        (
            b"see <A class=x HREF=y>there</A>\n".to_vec(),
            "HTML text",
            3,
            "text",
        ),
        (
            b"\n<!DOCTYPE html>\n<p>x\n".to_vec(),
            "HTML text",
            3,
            "HTML document",
        ),
        (b"\x01\x02<html>\x03".to_vec(), "unknown", 3, ""),
        (
            b"<headline> is no tag of it\n".to_vec(),
            "ASCII text",
            7,
            "text",
        ),
        (
            utf16("<html>", false),
            "UTF-16 HTML text",
            3,
            "UTF-16, little-endian",
        ),
        (
            utf16("hello", true),
            "UTF-16, big-endian text",
            7,
            "UTF-16, big-endian text",
        ),
        (
            utf16("hello", false),
            "UTF-16, little-endian text",
            7,
            "UTF-16, little-endian text",
        ),
        (
            b"<?xml version=\"1.0\"?><a/>\n".to_vec(),
            "XML document text",
            7,
            "XML 1.0 document",
        ),
        (
            b"<?xml version=\"1.0\"?><?mso-application progid=\"Word.Document\"?>".to_vec(),
            "Microsoft Word 2003 XML text",
            0,
            "",
        ),
        (
            b"#!/bin/sh\nexit\n".to_vec(),
            "shell script text",
            7,
            "shell script",
        ),
        (
            b"#!/usr/bin/env -S python3 -u\nimport os\n".to_vec(),
            "Python script text",
            7,
            "ython",
        ),
        (
            b"#!/usr/bin/perl -w\nuse strict;\n".to_vec(),
            "Perl script text",
            7,
            "Perl script",
        ),
        (
            b"<?php echo 1; ?>\n".to_vec(),
            "PHP script text",
            7,
            "PHP script",
        ),
        (
            b"@ECHO OFF\r\n".to_vec(),
            "DOS batch file text",
            7,
            "DOS batch file",
        ),
        (b"hello world\n".to_vec(), "ASCII text", 7, "ASCII text"),
        (
            "gr\u{fc}\u{df}e\n".as_bytes().to_vec(),
            "UTF-8 text",
            7,
            "UTF-8",
        ),
        (
            b"gr\xfc\xdfe aus der ferne\n".to_vec(),
            "extended-ASCII text",
            7,
            "ISO-8859 text",
        ),
        ((0x80..=0xff).collect(), "unknown", 7, ""),
        (b"hello\0world".to_vec(), "unknown", 0, ""),
        (Vec::new(), "unknown", 0, ""),
        (
            b"EGGA\0\x01\0\0\0\0".to_vec(),
            "EGG archive data",
            0,
            "EGG archive",
        ),
        (
            b"ALZ\x01\x0a\0\0\0BLZ\x01".to_vec(),
            "ALZ archive data",
            0,
            "ALZ archive",
        ),
        (
            b"ArC\x01\0\0".to_vec(),
            "FreeArc archive",
            0,
            "FreeArc archive",
        ),
        (
            b"UHA\x06\0\0".to_vec(),
            "UHarc archive data",
            0,
            "UHarc archive",
        ),
        (
            b"SIT!\0\x01\0\0\x01\0rLau\x02\0".to_vec(),
            "StuffIt Archive",
            0,
            "StuffIt Archive",
        ),
        (
            b"LRZI\0\x06\0\0\0\0".to_vec(),
            "LRZIP compressed data",
            0,
            "LRZIP",
        ),
        (b"zPQ\x01\x01\0".to_vec(), "ZPAQ file", 0, ""),
        (
            b"Salted__\x01\x02\x03\x04\x05\x06\x07\x08".to_vec(),
            "openssl enc'd data with salted password",
            0,
            "openssl enc'd data",
        ),
        (
            padded(b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"),
            "Keepass password database",
            0,
            "Keepass password database",
        ),
        (
            padded(b"LUKS\xba\xbe\0\x01"),
            "LUKS encrypted file",
            0,
            "LUKS encrypted file",
        ),
        (
            b"age-encryption.org/v1\n-> X25519 x\n".to_vec(),
            "age encrypted file",
            0,
            "",
        ),
    ]
}

#[test]
fn each_sample_has_its_title_and_target() {
    for (bytes, title, target, _) in samples() {
        let found = of(&bytes);
        let shown = bytes.escape_ascii().to_string();
        assert_eq!((found.title, found.target), (title, target), "{shown}");
    }
}

#[test]
fn what_is_text_says_so() {
    let types = [
        "CL_TYPE_PS",
        "CL_TYPE_SCRENC",
        "CL_TYPE_XML_WORD",
        "CL_TYPE_XML_XL",
        "CL_TYPE_XDP",
        "CL_TYPE_MAIL",
        "CL_TYPE_HTML",
    ];
    for row in TYPES.iter().filter(|row| !row.clam.is_empty()) {
        let by_name = types.contains(&row.clam) || row.clam.starts_with("CL_TYPE_TEXT_");
        let others = matches!(
            row.clam,
            "CL_TYPE_HTML_UTF16" | "CL_TYPE_BINHEX" | "CL_TYPE_UUENCODED"
        );
        assert_eq!(row.is_text(), by_name || others, "{}", row.clam);
    }
    assert!(!UNKNOWN.is_text());
}

#[test]
fn file_agrees() {
    let found = Command::new("file").arg("--version").output().is_ok();
    let required = std::env::var("VFIND_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required, "file must be installed");
    if !found {
        println!("skipped: file not found");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut unlike = Vec::new();
    for (row, (bytes, title, _, word)) in samples().into_iter().enumerate() {
        let path = folder.path().join(row.to_string());
        std::fs::write(&path, &bytes).unwrap();
        let output = Command::new("file").arg("-b").arg(&path).output().unwrap();
        let says = String::from_utf8_lossy(&output.stdout).into_owned();
        if !says.contains(word) {
            unlike.push((title, says));
        }
    }
    assert!(unlike.is_empty(), "file says otherwise: {unlike:#?}");
}

#[test]
fn each_kind_of_container_has_a_row() {
    let names = |tell: &Tell| match tell {
        Tell::Kind(name) | Tell::KindWhere(name, _) => Some(*name),
        Tell::At(..) | Tell::Where(_) | Tell::Text(_) => None,
    };
    let named: Vec<_> = TYPES
        .iter()
        .flat_map(|row| row.tells.iter().filter_map(names))
        .collect();
    for kind in KINDS {
        // Told by their own rows: those two are words for many, Flash and programs have rows that know their targets.
        let by_type = matches!(kind.name, "text" | "HTML" | "swf" | "program");
        assert_eq!(named.contains(&kind.name), !by_type, "{}", kind.name);
    }
    for name in named {
        assert!(crate::kind::by_name(name.as_bytes()).is_some(), "{name}");
    }
}
