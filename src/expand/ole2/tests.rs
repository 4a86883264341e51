use std::io::{Cursor, Write};

use super::*;
use crate::expand::testing::{Random, Recorder, assert_holds, expand, said, tool, tree, withstand};

/// Streams with their paths, in a file of short or long sectors.
fn compound(version: cfb::Version, streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file =
        cfb::CompoundFile::create_with_version(version, Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        let path = format!("/{path}");
        if let Some((storage, _)) = path
            .rsplit_once('/')
            .filter(|(storage, _)| !storage.is_empty())
        {
            file.create_storage_all(storage).unwrap();
        }
        let mut stream = file.create_new_stream(path).unwrap();
        stream.write_all(content).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

fn run(bytes: &[u8]) -> Recorder {
    expand(&Ole2, bytes, b"x.doc")
}

fn short(streams: &[(&str, &[u8])]) -> Vec<u8> {
    compound(cfb::Version::V3, streams)
}

fn content<'a>(got: &'a Recorder, name: &str) -> &'a [u8] {
    let child = got.children.iter().find(|child| child.0 == name.as_bytes());
    &child
        .unwrap_or_else(|| panic!("{name} in {:?}", got.names()))
        .1
}

fn owned(streams: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = (streams.iter())
        .map(|(name, content)| ((*name).to_owned(), content.to_vec()))
        .collect();
    files.sort();
    files
}

#[test]
fn streams_of_all_sizes_come_out() {
    let mut random = Random::new(1);
    let sizes = [0, 1, 63, 64, 65, 4095, 4096, 4097, 40_000, 300_000];
    let contents: Vec<_> = sizes.iter().map(|size| random.bytes(*size)).collect();
    let names: Vec<_> = sizes
        .iter()
        .map(|size| format!("a/größe {}/{size}", size % 3))
        .collect();
    let rows: Vec<(&str, &[u8])> = (names.iter().map(String::as_str))
        .zip(contents.iter().map(Vec::as_slice))
        .collect();
    for version in [cfb::Version::V3, cfb::Version::V4] {
        assert_holds(&run(&compound(version, &rows)), &owned(&rows));
    }
}

/// Streams that grow by turns lie in pieces, and 8 MB need more of the table than the header lists.
#[test]
fn streams_in_pieces_and_long_tables() {
    let mut file =
        cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new())).unwrap();
    let mut random = Random::new(2);
    let names = ["one", "two", "three"];
    let mut wanted = vec![Vec::new(); 3];
    for name in names {
        file.create_new_stream(name).unwrap();
    }
    for turn in 0..60 {
        for (name, wanted) in names.iter().zip(&mut wanted) {
            let piece = random.bytes(if turn % 7 == 0 { 200_000 } else { 700 });
            let mut stream = file.open_stream(name).unwrap();
            std::io::Seek::seek(&mut stream, std::io::SeekFrom::End(0)).unwrap();
            stream.write_all(&piece).unwrap();
            wanted.extend(piece);
        }
    }
    file.flush().unwrap();
    let got = run(&file.into_inner().into_inner());
    assert_eq!(got.gaps, []);
    for (name, wanted) in names.iter().zip(&wanted) {
        assert!(content(&got, name) == wanted, "{name}");
    }
}

#[test]
fn what_gsf_makes_is_read() {
    let Some(folder) = tool("gsf") else { return };
    // Names have at most 31 letters, and the tool knows no empty files.
    let mut files = tree(&folder, 3);
    for (name, _) in files.iter().filter(|(_, content)| content.is_empty()) {
        folder.run("rm", &[name]);
    }
    files.retain(|(_, content)| !content.is_empty());
    folder.run("gsf", &["createole", "out.ole", "tree"]);
    assert_holds(&run(&folder.read("out.ole")), &files);
}

#[test]
fn names_in_installer_packages_are_those_of_the_tables() {
    let Some(folder) = tool("msibuild") else {
        return;
    };
    folder.write("file.bin", &[7; 9000]);
    folder.run(
        "msibuild",
        &[
            "x.msi",
            "-s",
            "Title",
            "Author",
            ";1033",
            "{00000000-0000-0000-0000-000000000001}",
        ],
    );
    folder.run("msibuild", &["x.msi", "-a", "disk1.cab", "file.bin"]);
    let got = run(&folder.read("x.msi"));
    assert_eq!(got.gaps, []);
    for name in [
        "!_StringPool",
        "!_StringData",
        "\x05SummaryInformation",
        "disk1.cab",
    ] {
        content(&got, name);
    }
}

fn packaged(content: &[u8]) -> Vec<u8> {
    let mut inner = b"\x02\0a.exe\0C:\\a.exe\0\0\0\x03\0\x08\0\0\0C:\\t\\a\0\0".to_vec();
    inner.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
    inner.extend(content);
    let mut stream = u32::try_from(inner.len()).unwrap().to_le_bytes().to_vec();
    stream.extend(inner);
    stream
}

#[test]
fn packaged_files_come_out() {
    let stream = packaged(&[3; 5000]);
    let raw = [&5_u32.to_le_bytes()[..], b"hello"].concat();
    let rows: [(&str, &[u8]); 3] = [
        ("Pool/_1/\x01Ole10Native", &stream),
        ("Pool/_2/\x01Ole10Native", &raw),
        ("Pool/_3/\x01Ole10Native", b"neither"),
    ];
    let got = run(&short(&rows));
    assert_eq!(got.gaps, []);
    assert_eq!(content(&got, "Pool/_1/\x01Ole10Native/a.exe"), [3; 5000]);
    assert_eq!(content(&got, "Pool/_2/\x01Ole10Native/data"), b"hello");
    assert_eq!(content(&got, "Pool/_3/\x01Ole10Native"), b"neither");
    // It says that there is more, and less.
    let mut more = stream.clone();
    let at = more.len() - 5000 - 4;
    more[at..at + 4].copy_from_slice(&9999_u32.to_le_bytes());
    let got = run(&short(&[("\x01Ole10Native", &more)]));
    assert_eq!(content(&got, "\x01Ole10Native/a.exe"), [3; 5000]);
    assert_eq!(got.reasons(), ["corrupt"]);
    more[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    let got = run(&short(&[("\x01Ole10Native", &more)]));
    assert_eq!(content(&got, "\x01Ole10Native/a.exe"), [3; 10]);
    assert_eq!(content(&got, "\x01Ole10Native/(rest)"), [3; 4990]);
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::bufread::ZlibEncoder::new(content, flate2::Compression::default())
        .read_to_end(&mut out)
        .unwrap();
    out
}

/// One compressed and one plain object, the first across the border of a window.
#[test]
fn objects_in_presentations_come_out() {
    let inner = short(&[("hidden", b"content")]);
    let zlib = deflated(&inner);
    for before in [0, CHUNK - 13, CHUNK - 14, CHUNK - 15, CHUNK - 3, 200_001] {
        let mut stream = vec![b'.'; before];
        stream.extend(b"\x10\0\x11\x10");
        stream.extend(u32::try_from(zlib.len() + 4).unwrap().to_le_bytes());
        stream.extend(u32::try_from(inner.len()).unwrap().to_le_bytes());
        stream.extend(&zlib);
        stream.extend(b"\0\0\x11\x10");
        stream.extend(u32::try_from(inner.len()).unwrap().to_le_bytes());
        stream.extend(&inner);
        let got = run(&short(&[("PowerPoint Document", &stream)]));
        assert_eq!(got.names().len(), 3, "{before}");
        assert_eq!(content(&got, "PowerPoint Document/1"), inner);
        assert_eq!(content(&got, "PowerPoint Document/2"), inner);
        assert_eq!(got.gaps, []);
    }
}

/// A module as Office writes it: what was compiled, then the source.
fn module() -> Vec<u8> {
    let mut stream = b"\x01\x16compiled \x01\x02\xb0".repeat(20);
    stream.extend(b"\x01\x19\xb0\x00abcdefgh\x00ijklmnop\x00qrstuv.");
    stream
}

#[test]
fn modules_have_their_source() {
    let rows: [(&str, &[u8]); 3] = [
        ("Macros/VBA/ThisDocument", &module()),
        ("Macros/VBA/_VBA_PROJECT", b"\xcc\x61"),
        ("Other/text", &module()),
    ];
    let got = run(&short(&rows));
    assert_eq!(got.gaps, []);
    assert_eq!(
        content(&got, "Macros/VBA/ThisDocument.bas"),
        b"abcdefghijklmnopqrstuv."
    );
    assert_eq!(got.names().len(), 4);
}

/// What comes behind the source hides it, unless one asks `dir`; so does a damaged chunk.
#[test]
fn a_source_with_something_behind_is_found_by_what_dir_says() {
    let at = module().len() - 29;
    let mut stream = module();
    stream.extend(b"behind");
    let mut dir = b"\x01\x0a\xb0\x00\x31\x00\x04\x00\x00\x00".to_vec();
    dir.push(u8::try_from(at & 0xff).unwrap());
    dir.push(u8::try_from(at >> 8).unwrap());
    dir.extend(b"\x00\x00\x00");
    dir[1] = u8::try_from(dir.len() - 4).unwrap();
    let got = run(&short(&[("VBA/dir", &dir), ("VBA/Module1", &stream)]));
    assert_eq!(content(&got, "VBA/Module1.bas"), b"abcdefghijklmnopqrstuv.");
    assert_eq!(got.reasons(), ["corrupt"], "{:?}", got.gaps);
}

#[test]
fn compressed_text_of_messages_is_read() {
    // The examples of [MS-OXRTFCP] §3.1 and §3.2.
    let rows: [(&[u8], &[u8]); 2] = [
        (
            b"\x2d\0\0\0\x2b\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125\x42\x32\x0a\xf3 hel\x09\0 bw\x05\xb0ld}\x0a\x80\x0f\xa0",
            b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
        ),
        (
            b"\x1a\0\0\0\x1c\0\0\0LZFu\xe2\xd4\x4b\x51\x41\0\x04\x20WXYZ\x0d\x6e\x7d\x01\x0e\xb0",
            b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}",
        ),
    ];
    for (stream, plain) in rows {
        let got = run(&short(&[("__substg1.0_10090102", stream)]));
        assert_eq!(content(&got, "__substg1.0_10090102.rtf"), plain);
        assert_eq!(got.gaps, []);
        for cut in 16..stream.len() {
            let got = run(&short(&[("s", &stream[..cut])]));
            assert_eq!(got.reasons(), ["corrupt"], "cut at {cut}");
        }
    }
}

#[test]
fn encrypted_documents_are_said() {
    let rows: [(&str, &[u8]); 5] = [
        ("EncryptedPackage", b"........"),
        ("WordDocument", b"\xec\xa5\xc1\0\0\0\0\0\0\0\0\x01"),
        ("Workbook", b"\x09\x08\x04\0....\x2f\0\x36\0"),
        (
            "Current User",
            b"\0\0\xf6\x0f\x14\0\0\0\x14\0\0\0\xdf\xc4\xd1\xf3",
        ),
        ("WordDocument", b"\xec\xa5\xc1\0\0\0\0\0\0\0\0\0"),
    ];
    for (number, (name, stream)) in rows.iter().enumerate() {
        let got = run(&short(&[(name, stream)]));
        assert_eq!(got.names(), [*name]);
        let wanted: &[&str] = if number < 4 { &["encrypted"] } else { &[] };
        assert_eq!(got.reasons(), wanted, "{name}");
    }
}

/// Where an entry of the directory lies.
fn entry(bytes: &[u8], name: &str) -> usize {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    (512..bytes.len())
        .step_by(128)
        .find(|at| bytes[*at..].starts_with(&wide))
        .unwrap()
}

#[test]
fn a_stream_that_the_tree_does_not_lead_to_is_given() {
    let mut bytes = short(&[("a", &[1; 5000]), ("b", &[2; 6000])]);
    let a = entry(&bytes, "a");
    let root = entry(&bytes, "Root Entry");
    bytes[root + 76..root + 80].copy_from_slice(&u32::MAX.to_le_bytes());
    let got = run(&bytes);
    assert_eq!(content(&got, "a"), [1; 5000]);
    assert_eq!(content(&got, "b"), [2; 6000]);
    assert_eq!(
        got.notes,
        ["ambiguous/ole2-unlisted: 2 streams are in no storage"]
    );
    // A loop of storages.
    let mut bytes = short(&[("a/c", &[1; 5000])]);
    let storage = entry(&bytes, "a");
    bytes[storage + 76..storage + 80].copy_from_slice(&1_u32.to_le_bytes());
    assert!(a > 0 && run(&bytes).complained());
}

#[test]
fn sizes_and_chains_that_cannot_be_are_said() {
    let sample = short(&[("a", &[1; 5000])]);
    let a = entry(&sample, "a");
    let mut bytes = sample.clone();
    bytes[a + 120..a + 124].copy_from_slice(&u32::MAX.to_le_bytes());
    let got = run(&bytes);
    assert!(content(&got, "a").starts_with(&[1; 5000]));
    assert_eq!(got.reasons(), ["corrupt"]);
    // A sector that leads to itself.
    let start = usize::from(u16::from_le_bytes([sample[a + 116], sample[a + 117]]));
    let table = (usize::from(sample[76]) + 1) * 512 + 4 * start;
    let mut bytes = sample.clone();
    bytes[a + 120..a + 124].copy_from_slice(&u32::MAX.to_le_bytes());
    bytes[table..table + 2].copy_from_slice(&sample[a + 116..a + 118]);
    assert!(run(&bytes).complained());
    let mut bytes = sample;
    bytes[30] = 40;
    assert_eq!(
        run(&bytes).gaps,
        [said(None, "corrupt", "the header is damaged")]
    );
}

#[test]
fn what_stands_behind_the_end_is_given() {
    let mut bytes = short(&[("a", &[1; 5000])]);
    bytes.extend(b"Rar!\x1a\x07\0 and so on");
    assert_eq!(run(&bytes).names(), ["a", "(behind the end)"]);
}

/// A file that is cut in what pads its last sector has all of its content.
#[test]
fn no_damage_panics() {
    let native = packaged(b"small");
    let rows: [(&str, &[u8]); 4] = [
        ("VBA/Module1", &module()),
        ("VBA/dir", b"\x01\x03\xb0\x02\x61\x45\x00"),
        ("\x01Ole10Native", &native),
        ("large", &b"0123456789".repeat(500)),
    ];
    let sample = short(&rows);
    let silent = withstand(&Ole2, &sample, b"x.doc");
    assert!(
        silent.iter().all(|cut| cut + 512 > sample.len()),
        "{silent:?}"
    );
    let mut slides = b"\x10\0\x11\x10\x40\0\0\0\x2b\0\0\0".to_vec();
    slides.extend(deflated(
        b"\xd0\xcf some content, some content, some content.",
    ));
    withstand(&Ole2, &short(&[("PowerPoint Document", &slides)]), b"x.ppt");
}

/// The harmless program of ClamAV's test files lies in both.
#[test]
fn the_test_files_of_clamav_are_opened() {
    let folder = std::path::Path::new("/usr/share/clamav-testfiles");
    let Ok(program) = std::fs::read(folder.join("clam.exe")) else {
        eprintln!("skipped: clamav-testfiles is not installed");
        return;
    };
    let got = run(&std::fs::read(folder.join("clam.ole.doc")).unwrap());
    assert!(
        got.children.iter().any(|child| child.1 == program),
        "{:?}",
        got.names()
    );
    assert_eq!(got.gaps, []);
    let got = run(&std::fs::read(folder.join("clam.ppt")).unwrap());
    assert_eq!(got.gaps, []);
    let inner = run(content(&got, "PowerPoint Document/1"));
    assert!(
        inner.children.iter().any(|child| child.1 == program),
        "{:?}",
        inner.names()
    );
}
