use super::*;
use crate::expand::testing::{Folder, Recorder, expand, object, said, tool, withstand};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Cms, bytes, b"note.txt.p7m")
}

/// An element with its length.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..0x80) => out.push(short),
        _ => {
            out.push(0x84);
            out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

/// An element that ends with a mark.
fn marked(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

const PKCS7: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07";
const SMIME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01";

/// A type and its content, each element by `put`.
fn info(prefix: &[u8], last: u8, content: &[u8], put: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let identifier = element(0x06, &[prefix, &[last]].concat());
    put(0x30, &[identifier, put(0xa0, content)].concat())
}

/// What is signed, as its own type says, around `inner`.
fn signed(inner: &[u8], put: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let algorithms = put(0x31, &put(0x30, &element(0x06, b"\x60\x86\x48")));
    let data = [element(2, &[1]), algorithms, inner.to_vec(), put(0x31, b"")].concat();
    info(PKCS7, 2, &put(0x30, &data), put)
}

fn compressed(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(content).unwrap();
    let octets = element(0x04, &out.finish().unwrap());
    let algorithm = element(
        0x30,
        &element(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08"),
    );
    let inner = info(PKCS7, 1, &octets, element);
    let data = [element(2, &[0]), algorithm, inner].concat();
    info(SMIME, 9, &element(0x30, &data), element)
}

fn is_recognised(bytes: &[u8]) -> bool {
    begins(&object(bytes).probe().unwrap())
}

fn holds(bytes: &[u8], content: &[u8]) {
    assert!(is_recognised(bytes));
    let got = run(bytes);
    assert_eq!(got.gaps, []);
    assert_eq!(got.children, [(b"note.txt".to_vec(), content.to_vec())]);
}

#[test]
fn what_is_signed_is_opened_in_each_form() {
    for put in [element, marked] {
        let octets = element(0x04, b"content");
        holds(&signed(&info(PKCS7, 1, &octets, put), put), b"content");
        let pieces = [
            element(4, b"con"),
            element(4, b""),
            put(0x24, &element(4, b"tent")),
        ];
        let octets = put(0x24, &pieces.concat());
        holds(&signed(&info(PKCS7, 1, &octets, put), put), b"content");
        // Before CMS: any value.
        let value = put(0x30, &element(2, b"content"));
        let other = info(b"\x2b\x06\x01\x04\x01\x82\x37", 10, &value, put);
        holds(&signed(&other, put), &element(2, b"content"));
        holds(&info(PKCS7, 1, &element(4, b"content"), put), b"content");
        let digest = element(0x30, &element(0x06, b"\x60\x86\x48"));
        let inner = info(PKCS7, 1, &element(4, b"content"), put);
        let data = [
            element(2, &[0]),
            digest.clone(),
            inner.clone(),
            element(4, b"sum"),
        ]
        .concat();
        holds(&info(PKCS7, 5, &put(0x30, &data), put), b"content");
        let receivers = [
            put(0xa0, b""),
            put(0x31, b""),
            digest,
            put(0xa1, b""),
            inner,
        ];
        let data = [element(2, &[0]), receivers.concat()].concat();
        holds(&info(SMIME, 2, &put(0x30, &data), put), b"content");
    }
    holds(&compressed(b"content"), b"content");
}

#[test]
fn nothing_in_it_is_nothing_to_say() {
    for put in [element, marked] {
        let none = put(0x30, &element(0x06, &[PKCS7, &[1]].concat()));
        let bytes = signed(&none, put);
        assert!(is_recognised(&bytes));
        let got = run(&bytes);
        assert_eq!((got.children, got.gaps), (vec![], vec![]));
    }
}

#[test]
fn what_is_inside_of_its_kind_keeps_its_type() {
    let octets = element(0x04, b"content");
    let innermost = info(PKCS7, 1, &octets, element);
    let data = [element(2, &[1]), element(0x31, b""), innermost].concat();
    let data = element(0x30, &data);
    for content in [data.clone(), element(0x04, &data)] {
        let got = run(&signed(&info(PKCS7, 2, &content, element), element));
        assert_eq!(got.gaps, []);
        holds(&got.children[0].1, b"content");
    }
    let closed = element(0x30, &element(2, &[0]));
    let got = run(&signed(&info(PKCS7, 3, &closed, element), element));
    let got = run(&got.children[0].1);
    assert_eq!(got.gaps, [said(None, "encrypted", "S/MIME")]);
}

#[test]
fn what_is_encrypted_is_said() {
    for (prefix, last) in [(PKCS7, 3), (PKCS7, 4), (PKCS7, 6), (SMIME, 23)] {
        let bytes = info(prefix, last, &element(0x30, &element(2, &[2])), marked);
        assert!(is_recognised(&bytes));
        assert_eq!(run(&bytes).gaps, [said(None, "encrypted", "S/MIME")]);
    }
}

#[test]
fn what_is_wrong_is_said() {
    let octets = element(0x04, b"content");
    let whole = signed(&info(PKCS7, 1, &octets, element), element);
    assert_eq!(run(&[&whole[..], b"more\n"].concat()).gaps, []);
    let more = [&whole[..], &[b'x'; 600]].concat();
    assert_eq!(
        run(&more).gaps,
        [said(None, "corrupt", "600 bytes after the archive")]
    );
    let mut plain = compressed(b"content");
    let at = plain.windows(2).position(|two| two == b"\x78\xda").unwrap();
    plain[at] = 0;
    assert_eq!(run(&plain).reasons(), ["unsupported/cms-compression"]);
    let deep = (0..40).fold(octets, |inner, _| element(0x24, &inner));
    let got = run(&signed(&info(PKCS7, 1, &deep, element), element));
    assert_eq!(got.reasons(), ["corrupt"]);
    for bytes in [
        &b"\x30\x03\x02\x01\x01"[..],
        b"\x30\x80",
        b"0",
        b"\x30\x84\xff",
    ] {
        assert!(!is_recognised(bytes));
        assert!(run(bytes).unlike);
    }
}

/// A key and a certificate for it.
fn certificate(folder: &Folder) {
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x -days 9";
    openssl(folder, request);
}

fn openssl(folder: &Folder, arguments: &str) {
    folder.run("openssl", &arguments.split(' ').collect::<Vec<_>>());
}

#[test]
fn what_openssl_signs_is_opened() {
    let Some(folder) = tool("openssl") else {
        return;
    };
    certificate(&folder);
    let content = b"Content-Type: text/plain\r\n\r\nsigned".repeat(2000);
    folder.write("m", &content);
    for how in [
        "cms -sign -nodetach -binary",
        "cms -sign -nodetach -binary -stream",
        "smime -sign -nodetach -binary",
    ] {
        openssl(
            &folder,
            &format!("{how} -in m -signer c.pem -inkey k.pem -outform DER -out out"),
        );
        holds(&folder.read("out"), &content);
    }
    openssl(
        &folder,
        "cms -digest_create -binary -in m -outform DER -out out",
    );
    holds(&folder.read("out"), &content);
    for how in [
        "cms -sign -binary -in m -signer c.pem -inkey k.pem -outform DER -out out",
        "crl2pkcs7 -nocrl -certfile c.pem -outform DER -out out",
    ] {
        openssl(&folder, how);
        let got = run(&folder.read("out"));
        assert_eq!((got.children, got.gaps), (vec![], vec![]), "{how}");
    }
}

#[test]
fn what_openssl_encrypts_is_said() {
    let Some(folder) = tool("openssl") else {
        return;
    };
    certificate(&folder);
    folder.write("m", b"content");
    for how in [
        "-encrypt",
        "-encrypt -stream",
        "-encrypt -aes-256-gcm",
        "-EncryptedData_encrypt -secretkey 00112233445566778899aabbccddeeff -aes-128-cbc",
    ] {
        let receiver = if how.starts_with("-encrypt") {
            " c.pem"
        } else {
            ""
        };
        openssl(
            &folder,
            &format!("cms {how} -in m -outform DER -out out{receiver}"),
        );
        let bytes = folder.read("out");
        assert!(is_recognised(&bytes));
        assert_eq!(
            run(&bytes).gaps,
            [said(None, "encrypted", "S/MIME")],
            "{how}"
        );
    }
}

#[test]
fn no_damage_panics() {
    let octets = marked(0x24, &[element(4, b"con"), element(4, b"tent")].concat());
    let sample = signed(&info(PKCS7, 1, &octets, marked), marked);
    assert_eq!(withstand(&Cms, &sample, b"x.p7m"), [0; 0]);
    let octets = element(0x04, b"content");
    let sample = signed(&info(PKCS7, 1, &octets, element), element);
    assert_eq!(withstand(&Cms, &sample, b"x.p7m"), [0; 0]);
    assert_eq!(withstand(&Cms, &compressed(b"content"), b"x.p7m"), [0; 0]);
}
