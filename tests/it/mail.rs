//! Mails as a whole: words of their text open what is attached, and what carries a file in text is opened to it.

use std::path::Path;
use std::process::Command;

use crate::support::eicar;

fn tree(folder: &Path, file: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder)
        .args(["--tree", file])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A mail with a text and an attachment.
fn mail(text: &str, attached: &[u8]) -> Vec<u8> {
    let attached = data_encoding::BASE64_MIME.encode(attached);
    format!("From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{attached}\r\n--x\r\n\r\n{text}\r\n--x--\r\n").into_bytes()
}

#[test]
fn words_of_a_mail_open_what_is_attached_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("inside.txt"), eicar()).unwrap();
    let zip = Command::new("zip")
        .current_dir(path)
        .args(["-q", "-P", "s3cret!word", "a.zip", "inside.txt"])
        .status();
    if zip.is_err() {
        assert!(!crate::support::tools_are_required());
        eprintln!("skipped: zip is not installed");
        return;
    }
    let zip = std::fs::read(path.join("a.zip")).unwrap();
    let with = mail("See the file. Its password is: s3cret!word.", &zip);
    let around = [
        &b"From: c@d\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"[..],
        &with,
    ]
    .concat();
    let outer = mail(
        "Its password is s3cret!word",
        &mail("Hello, see the file.", &zip),
    );
    let without = mail("Hello, see the file.", &zip);
    for (content, opened) in [
        (with, true),
        (around, true),
        (outer, true),
        (without, false),
    ] {
        std::fs::write(path.join("mail"), content).unwrap();
        let said = tree(path, "mail");
        assert_eq!(said.contains("EICAR-Test-File"), opened, "{said}");
        assert_eq!(said.contains("not examined: encrypted"), !opened, "{said}");
    }
}

/// RFC 6522: what a report is about may be its header alone, whatever that says of a body.
#[test]
fn a_report_may_quote_a_header_alone() {
    let folder = tempfile::tempdir().unwrap();
    let quoted = "From: a@b\r\nTo: c@d\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=y\r\n";
    let report = |kind: &str| {
        format!(
            "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nNo such user.\r\n\
            --x\r\nContent-Type: {kind}\r\n\r\n{quoted}\r\n--x--\r\n"
        )
    };
    for (kind, is_cut) in [("text/rfc822-headers", false), ("message/rfc822", true)] {
        std::fs::write(folder.path().join("mail"), report(kind)).unwrap();
        let said = tree(folder.path(), "mail");
        assert_eq!(said.contains("passes: corrupt"), is_cut, "{said}");
    }
}
