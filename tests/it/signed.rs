//! What is signed is opened and what is encrypted is said, wherever it stands: in a file, in a mail, in text.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{eicar, zip};

/// A program in a folder; false, said once, when it is not installed.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> bool {
    let Ok(output) = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
    else {
        assert!(!crate::support::tools_are_required());
        eprintln!("skipped: {program} is not installed");
        return false;
    };
    assert!(output.status.success(), "{program}: {output:?}");
    true
}

fn gpg(folder: &Path, arguments: &str) -> bool {
    let home = format!("--homedir={}", folder.display());
    let always = [
        "--batch",
        "--yes",
        "--quiet",
        "--pinentry-mode=loopback",
        &home,
    ];
    run(
        folder,
        "gpg",
        &[&always[..], &arguments.split(' ').collect::<Vec<_>>()].concat(),
    )
}

/// What `vfind --tree` says of a content.
fn tree(folder: &Path, content: &[u8]) -> String {
    std::fs::write(folder.join("content"), content).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder)
        .args(["--tree", "content"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn assert_found(folder: &Path, content: &[u8]) {
    let said = tree(folder, content);
    assert!(said.contains("EICAR-Test-File"), "{said}");
}

fn assert_encrypted(folder: &Path, content: &[u8]) {
    let said = tree(folder, content);
    assert!(said.contains("not examined: encrypted"), "{said}");
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64_MIME.encode(bytes)
}

/// A part with the virus in an archive.
fn attachment() -> String {
    format!(
        "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64(&zip(&[("a", &eicar())]))
    )
}

#[test]
fn what_is_signed_in_a_mail_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let words: Vec<_> =
        "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x -days 9"
            .split(' ')
            .collect();
    if !run(path, "openssl", &words) {
        return;
    }
    let many = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x\r\n{}--x--\r\n",
        attachment()
    );
    for content in [many, attachment()] {
        std::fs::write(path.join("m"), content).unwrap();
        let sign = "smime -sign -nodetach -in m -signer c.pem -inkey k.pem -subject hello -out out";
        assert!(run(path, "openssl", &sign.split(' ').collect::<Vec<_>>()));
        let mail = std::fs::read(path.join("out")).unwrap();
        assert_found(path, &mail);
        let sign =
            "cms -sign -nodetach -stream -in m -signer c.pem -inkey k.pem -outform PEM -out out";
        assert!(run(path, "openssl", &sign.split(' ').collect::<Vec<_>>()));
        assert_found(path, &std::fs::read(path.join("out")).unwrap());
    }
    assert!(run(
        path,
        "openssl",
        &["smime", "-encrypt", "-in", "m", "-out", "out", "c.pem"]
    ));
    assert_encrypted(path, &std::fs::read(path.join("out")).unwrap());
}

#[test]
fn pgp_in_a_mail_is_opened_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    if !gpg(
        path,
        "--passphrase= --quick-generate-key x@y future-default default never",
    ) {
        return;
    }
    std::fs::write(path.join("a"), zip(&[("a", &eicar())])).unwrap();
    let mails = |message: &[u8]| {
        let plain = b"From: a@b\r\nSubject: hello\r\n\r\nSee below.\r\n\r\n".to_vec();
        let mime = b"From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=x\r\n\r\n\
            --x\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
            --x\r\nContent-Type: application/octet-stream; name=encrypted.asc\r\n\r\n".to_vec();
        [
            message.to_vec(),
            [&plain, message, b"\r\nBye.\r\n"].concat(),
            [&mime, message, b"\r\n--x--\r\n"].concat(),
        ]
    };
    assert!(gpg(path, "--passphrase= --armor --sign -o out a"));
    for mail in mails(&std::fs::read(path.join("out")).unwrap()) {
        assert_found(path, &mail);
    }
    for how in [
        "--passphrase=word --symmetric",
        "--trust-model=always -r x@y --encrypt",
    ] {
        assert!(gpg(
            path,
            &format!("{how} --armor --comment some-words -o out a")
        ));
        for mail in mails(&std::fs::read(path.join("out")).unwrap()) {
            assert_encrypted(path, &mail);
        }
        assert!(gpg(path, &format!("{how} -o out a")));
        assert_encrypted(path, &std::fs::read(path.join("out")).unwrap());
    }
}

#[test]
fn closed_formats_are_encrypted_and_not_unsupported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let age = b"age-encryption.org/v1\n-> scrypt 5OJjKUNRnm3xwVEzVYsHXA 18\nhKHRYpaWtjTBmdSwiGnNIOlXJZgwUYp2ipKUv9ZXJnU\n--- 8DhAWu7iBqFlFO3wXlI4m5GfKKJ8YG0KcJ2Vd6dMRWs\n\x01\x02";
    let armoured = format!(
        "Hello\n-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n",
        data_encoding::BASE64.encode(age)
    );
    for content in [
        &age[..],
        armoured.as_bytes(),
        b"Salted__\x01\x02\x03\x04\x05\x06\x07\x08\x80\x81\x82\x83\x84\x85\x86\x87",
        b"LUKS\xba\xbe\0\x02\0\0",
        b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5\x01\0\x04\0",
    ] {
        assert_encrypted(path, content);
    }
    let said = tree(path, b"EGGA\0\x01\0\0\0\0");
    assert!(said.contains("not examined: unsupported/egg"), "{said}");
}
