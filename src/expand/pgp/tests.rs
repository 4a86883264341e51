use std::time::Duration;

use super::*;
use crate::event::NoteKind;
use crate::expand::Passwords;
use crate::expand::testing::{Folder, Random, Recorder, expand, object, said, tool, withstand};
use crate::object::Object;
use crate::stop::{Cancel, Stop};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Pgp, bytes, b"note.gpg")
}

fn is_recognised(bytes: &[u8]) -> bool {
    begins(&object(bytes).probe().unwrap())
}

/// A packet with its length, in the newer form.
fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xc0 | tag, 0xff], &length[..], body].concat()
}

/// The same in the older form.
fn old_packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[0x81 | tag << 2], &length[..], body].concat()
}

/// The same in parts of 512 bytes.
fn parts(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc0 | tag];
    let mut chunks = body.chunks(512).peekable();
    while let Some(chunk) = chunks.next() {
        match chunks.peek() {
            Some(_) => out.push(0xe0 | 9),
            None => {
                out.push(0xff);
                out.extend_from_slice(&u32::try_from(chunk.len()).unwrap().to_be_bytes());
            }
        }
        out.extend_from_slice(chunk);
    }
    out
}

/// The same with all that follows.
fn open(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[0x83 | tag << 2], body].concat()
}

/// Makes a packet of a tag and a body.
type Form = fn(u8, &[u8]) -> Vec<u8>;

const FORMS: [Form; 4] = [packet, old_packet, parts, open];

fn literal(name: &str, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [b"b", &[length], name.as_bytes(), &[0x50, 1, 2, 3], content].concat()
}

fn compressed(algorithm: u8, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let best = flate2::Compression::best();
    let stream = match algorithm {
        0 => content.to_vec(),
        1 => {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), best);
            out.write_all(content).unwrap();
            out.finish().unwrap()
        }
        2 => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), best);
            out.write_all(content).unwrap();
            out.finish().unwrap()
        }
        _ => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            out.write_all(content).unwrap();
            out.finish().unwrap()
        }
    };
    [&[algorithm], &stream[..]].concat()
}

const ONE_PASS: &[u8] = b"\x03\x00\x08\x01\x01\x02\x03\x04\x05\x06\x07\x08\x01";
const SIGNATURE: &[u8] = b"\x04\x00\x01\x08\x00\x00\x00\x00\x12\x34\x00\x08\xff";
const PASSWORD: &[u8] = b"\x04\x09\x03\x02\x01\x02\x03\x04\x05\x06\x07\x08\xff";

fn holds(bytes: &[u8], name: &str, content: &[u8]) {
    assert!(is_recognised(bytes), "{:?}", bytes.get(..32));
    let got = run(bytes);
    assert_eq!(got.gaps, []);
    assert_eq!(got.children, [(name.as_bytes().to_vec(), content.to_vec())]);
}

#[test]
fn literal_data_in_each_form() {
    let content = b"some content of a message ".repeat(50);
    for form in FORMS {
        holds(&form(11, &literal("a.txt", &content)), "a.txt", &content);
        holds(&form(11, &literal("", &content)), "note", &content);
        holds(&form(11, &literal("_CONSOLE", &content)), "note", &content);
    }
    holds(&packet(11, &literal("../../a", b"")), "a", b"");
}

#[test]
fn what_is_compressed_or_signed_is_opened() {
    let content = b"some content of a message ".repeat(50);
    for form in FORMS {
        let signed = [
            packet(4, ONE_PASS),
            parts(11, &literal("a", &content)),
            packet(2, SIGNATURE),
        ];
        let signed = [packet(10, b"PGP"), signed.concat()].concat();
        holds(&signed, "a", &content);
        let before = [packet(2, SIGNATURE), packet(11, &literal("a", &content))].concat();
        holds(&before, "a", &content);
        for algorithm in 0..=3 {
            let inner = compressed(algorithm, &signed);
            holds(&form(8, &inner), "a", &content);
            let twice = compressed(1, &form(8, &inner));
            holds(&form(8, &twice), "a", &content);
        }
    }
}

#[test]
fn what_is_encrypted_is_said() {
    let noise = Random::new(1).bytes(3000);
    let key = [b"\x03", &noise[..8], &[1, 8, 0], &noise[..256]].concat();
    let data = [&[1], &noise[..]].concat();
    let newer = [&b"\x02\x09\x02\x06"[..], &noise[..]].concat();
    for form in [packet, parts] {
        for message in [
            form(18, &data),
            form(18, &newer),
            [packet(3, PASSWORD), form(18, &data)].concat(),
            [old_packet(1, &key), packet(1, &key), form(18, &newer)].concat(),
            [packet(1, &key), form(9, &noise)].concat(),
            [packet(1, &key), packet(3, PASSWORD), form(20, &newer)].concat(),
            [packet(21, &noise[..40]), packet(1, &key), form(18, &data)].concat(),
        ] {
            assert!(is_recognised(&message));
            assert_eq!(run(&message).gaps, [said(None, "encrypted", "OpenPGP")]);
        }
    }
    // More keys than are seen by whoever recognises.
    let many = [packet(1, &key).repeat(300), packet(18, &data)].concat();
    assert!(is_recognised(&many));
    assert_eq!(run(&many).gaps, [said(None, "encrypted", "OpenPGP")]);
    let alone = packet(9, &noise);
    assert!(is_recognised(&alone) && !is_recognised(&alone[..alone.len() - 1]));
}

#[test]
fn what_is_no_message_is_nothing() {
    let noise = Random::new(2).bytes(300);
    let key = [&b"\x04\x50\x01\x02\x03\x01"[..], &noise[..270]].concat();
    for bytes in [
        packet(6, &key),
        old_packet(6, &key),
        old_packet(5, &key),
        packet(2, SIGNATURE),
        old_packet(2, SIGNATURE).repeat(3),
        packet(10, b"PGP"),
        packet(3, PASSWORD),
        [packet(3, PASSWORD), packet(11, &literal("a", b"b"))].concat(),
        [packet(4, ONE_PASS), packet(18, &noise)].concat(),
        packet(8, b"\x01content"),
        packet(8, &compressed(1, b"a text that was compressed")),
        packet(11, b"b\x01\x02\x50\x01\x02\x03content"),
        packet(11, b"b\x00\x00\x00\x00\x01content"),
        b"\xcb\x0d\x0d\x0a\0\0\0\0".to_vec(),
        "\u{240}\u{250}\u{260} is a text".as_bytes().to_vec(),
    ] {
        assert!(!is_recognised(&bytes), "{bytes:?}");
    }
    assert!(run(b"").unlike && run(b"text").unlike);
}

#[test]
fn noise_is_no_message() {
    let mut random = Random::new(5);
    let mut found = 0;
    for round in 0..200_000_usize {
        let mut bytes = random.bytes(40);
        // Each first byte that there is.
        bytes[0] = 0x80 | round.to_le_bytes()[0];
        found += usize::from(is_recognised(&bytes));
    }
    // Encrypted data alone are told by nothing but their length.
    assert!(found < 40, "{found}");
}

#[test]
fn what_is_wrong_is_said() {
    let whole = packet(11, &literal("a", b"content"));
    let more = [&whole[..], b"more"].concat();
    let got = run(&more);
    assert_eq!(
        got.gaps,
        [said(None, "corrupt", "behind the packets: no packet")]
    );
    assert_eq!(got.children.len(), 1);
    assert_eq!(
        run(&packet(8, b"\x09abc")).reasons(),
        ["unsupported/pgp-compression"]
    );
    assert_eq!(run(&packet(4, ONE_PASS)).reasons(), ["corrupt"]);
    let deep = (0..9).fold(whole, |inner, _| packet(8, &compressed(0, &inner)));
    assert_eq!(run(&deep).reasons(), ["limit/depth"]);
}

/// A home without keys.
fn gpg(folder: &Folder, arguments: &str) {
    let home = folder.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let home = format!("--homedir={}", home.display());
    let always = [
        "--batch",
        "--yes",
        "--quiet",
        "--pinentry-mode=loopback",
        "--passphrase=",
        &home,
    ];
    folder.run(
        "gpg",
        &[&always[..], &arguments.split(' ').collect::<Vec<_>>()].concat(),
    );
}

#[test]
fn what_gpg_writes_is_opened_or_said() {
    let Some(folder) = tool("gpg") else { return };
    gpg(
        &folder,
        "--quick-generate-key x@y future-default default never",
    );
    let content = b"some content of a message ".repeat(3000);
    folder.write("a.txt", &content);
    for how in [
        "--store",
        "--sign",
        "--sign --compress-algo=zlib",
        "--sign --compress-algo=bzip2",
        "--sign --compress-algo=none",
    ] {
        gpg(&folder, &format!("-o out {how} a.txt"));
        holds(&folder.read("out"), "a.txt", &content);
    }
    for how in [
        "--encrypt -r x@y --trust-model=always",
        "--encrypt -R x@y --trust-model=always --sign",
        "--encrypt -r x@y --trust-model=always --rfc2440 --disable-mdc",
        "--symmetric --passphrase=word",
        "--symmetric --passphrase=word --encrypt -r x@y --trust-model=always",
    ] {
        gpg(&folder, &format!("-o out {how} a.txt"));
        let bytes = folder.read("out");
        assert!(is_recognised(&bytes), "{how}");
        assert_eq!(
            run(&bytes).gaps,
            [said(None, "encrypted", "OpenPGP")],
            "{how}"
        );
    }
    for how in [
        "--detach-sign a.txt",
        "--export",
        "--export-secret-keys",
        "--clearsign a.txt",
    ] {
        gpg(&folder, &format!("-o out {how}"));
        assert!(!is_recognised(&folder.read("out")), "{how}");
    }
}

#[test]
fn no_damage_panics() {
    let content = b"some content of a message ".repeat(50);
    let signed = [
        packet(4, ONE_PASS),
        parts(11, &literal("a", &content)),
        packet(2, SIGNATURE),
    ];
    let signed = signed.concat();
    let silent = withstand(&Pgp, &signed, b"x.gpg");
    // The signature alone is missing.
    assert_eq!(silent, [signed.len() - packet(2, SIGNATURE).len()]);
    for algorithm in 0..=3 {
        let sample = packet(8, &compressed(algorithm, &signed));
        assert_eq!(withstand(&Pgp, &sample, b"x.gpg"), [0; 0]);
    }
    let sample = [packet(3, PASSWORD), parts(18, &[1; 2000])].concat();
    assert_eq!(withstand(&Pgp, &sample, b"x.gpg"), [0; 0]);
}

/// Raises a flag with the first member.
struct Cancelling {
    cancel: Cancel,
    given: Vec<Vec<u8>>,
}

impl Children for Cancelling {
    fn child(&mut self, name: &[u8], _: Content<'_>) -> Result<(), Halt> {
        self.cancel.cancel();
        self.given.push(name.to_vec());
        Ok(())
    }

    fn gap(&mut self, _: Option<&[u8]>, _: Reason, detail: String) -> Result<(), Halt> {
        panic!("{detail}");
    }

    fn note(&mut self, _: NoteKind, detail: String) -> Result<(), Halt> {
        panic!("{detail}");
    }
}

/// Packets that nobody wants, compressed twice: megabytes come out of what was read long before.
#[test]
fn a_packet_that_is_passed_over_ends_with_the_item() {
    let eats = packet(8, &compressed(1, &open(10, &vec![0; 2 << 20])));
    let inner = [
        packet(11, &literal("first", b"x")),
        eats,
        packet(11, &literal("last", b"y")),
    ];
    let bytes = packet(8, &compressed(1, &inner.concat()));
    assert!(bytes.len() < 4096, "more than is read at once");
    let cancel = Cancel::default();
    let stop = Stop::after(Duration::from_secs(3600), cancel.clone());
    let mut children = Cancelling {
        cancel,
        given: Vec::new(),
    };
    let container = Container {
        object: &Object::memory(bytes.into(), stop),
        name: &crate::expand::ContainerName::new(b"x"),
        passwords: &Passwords::given(&[]),
        memory: 1 << 20,
    };
    let end = Pgp.expand(&container, &mut children);
    assert!(matches!(end, Err(Halt::Io(error)) if error.kind() == io::ErrorKind::TimedOut));
    assert_eq!(children.given, [b"first"]);
}
