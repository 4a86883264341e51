//! Lists of known good digests, and what they take away: asked of clamscan too.

use std::path::Path;

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};

use crate::support::{gzip, has_tools, out, run, stored_zip, zip};

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");

/// A list with this content alone, as ClamAV writes it.
fn list(content: &[u8]) -> String {
    let digest = HEXLOWER.encode(&Md5::digest(content));
    format!("{digest}:{}:known\n", content.len())
}

fn is_found(folder: &Path, file: &Path) -> (bool, String) {
    let database = format!("--database={}", folder.display());
    let output = run(VFIND, &[&database, &file.display().to_string()], b"");
    (output.status.code() == Some(23), out(&output))
}

fn clamscan_finds(folder: &Path, file: &Path) -> bool {
    let (folder, file) = (folder.display().to_string(), file.display().to_string());
    let output = run("clamscan", &["--no-summary", "-d", &folder, &file], b"");
    output.status.code() == Some(1)
}

#[test]
fn an_allowed_object_is_not_reported_nor_is_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"something with a MARKER for a signature in it".repeat(3);
    let member: &[(&str, &[u8])] = &[("m.txt", &text)];
    let zipped = gzip(&text);
    let files = [
        ("plain", text.clone()),
        ("stored.zip", stored_zip(member)),
        ("deflated.zip", zip(member)),
        (
            "two.zip",
            zip(&[("m.txt", &text), ("n.txt", &[&text[..], b"x"].concat())]),
        ),
        ("in.zip", zip(&[("m.gz", &zipped)])),
    ];
    for (name, content) in &files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    // Which files are still found, in their order, when one of the contents is allowed.
    let rows: &[(&[u8], [bool; 5])] = &[
        (b"nothing", [true, true, true, true, true]),
        // The stored member's bytes are in its archive, which nobody has allowed.
        (&text, [false, true, false, true, false]),
        (&files[1].1, [true, false, true, true, true]),
        (&files[2].1, [true, true, false, true, true]),
        (&files[4].1, [true, true, true, true, false]),
        (&zipped, [true, true, true, true, false]),
    ];
    let asks = has_tools(&["clamscan"]);
    for (allowed, expected) in rows {
        let database = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(database.path().join(name), text).unwrap();
        };
        write(
            "s.ndb",
            &format!("Mark:0:*:{}\n", HEXLOWER.encode(b"MARKER")),
        );
        write("s.fp", &list(allowed));
        for ((name, _), expected) in files.iter().zip(expected) {
            let file = folder.path().join(name);
            let (found, printed) = is_found(database.path(), &file);
            assert_eq!(found, *expected, "{name}: {printed}");
            // What is not reported is told as what it is.
            let note = printed.contains("allowed") && printed.contains("CLAM Mark");
            assert!(found || note, "{name}: {printed}");
            if asks {
                let clamscan = clamscan_finds(database.path(), &file);
                assert_eq!(clamscan, *expected, "clamscan: {name}");
            }
        }
    }
}
