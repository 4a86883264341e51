//! `vfind --tree`: what it says of a file and of everything in it.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::eicar;

fn tree(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn packed() -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(&eicar()).unwrap();
    out.finish().unwrap()
}

/// A tar with two members of one name, of which the second is a gzip that is cut, and a member that is found.
fn sample() -> Vec<u8> {
    let packed = packed();
    let mut tar = tar::Builder::new(Vec::new());
    let cut = &packed[..packed.len() - 6];
    for (name, content) in [
        ("twice", b"text\n".as_slice()),
        ("twice", cut),
        ("virus", &packed),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, content).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn each_object_has_its_type_its_size_and_what_was_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.tar"), sample()).unwrap();
    let output = tree(folder.path(), &["--tree", "all.tar"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace(&format!("{}/", folder.path().display()), "");
    let gzip = |length: usize| format!("gzip compressed data, {length} bytes, opened as gz");
    let whole = packed().len();
    let (cut, whole) = (gzip(whole - 6), gzip(whole));
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "\"all.tar\": POSIX tar archive, 4096 bytes, opened as tar",
            "  \"twice\": ASCII text, 5 bytes",
            &format!("  \"twice\": {cut}"),
            "    \"data\": ASCII text, 68 bytes",
            "      not examined, passes: corrupt: gzip header or trailer is cut",
            "      found: CVDL EICAR-Test-File, end at 68",
            &format!("  \"virus\": {whole}"),
            "    \"data\": ASCII text, 68 bytes",
            "      found: CVDL EICAR-Test-File, end at 68",
        ]
    );
    assert_eq!(output.status.code(), Some(23));
}

#[test]
fn the_same_as_json() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.tar"), sample()).unwrap();
    let output = tree(folder.path(), &["--tree=json", "all.tar"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["type"], "POSIX tar archive");
    assert_eq!(json["bytes"], 4096);
    assert_eq!(json["opened"][0], "tar");
    let members = json["members"].as_array().unwrap();
    let names: Vec<_> = members.iter().map(|one| &one["name"]["text"]).collect();
    assert_eq!(names, ["twice", "twice", "virus"]);
    let cut = &members[1]["members"][0];
    assert_eq!(cut["gaps"][0]["what"], "corrupt");
    assert_eq!(cut["gaps"][0]["passes"], true);
    let output = tree(
        folder.path(),
        &["--tree=json", "--policy=corrupt=error", "all.tar"],
    );
    let strict = String::from_utf8(output.stdout).unwrap();
    assert!(strict.contains("\"passes\":false"), "{strict}");
    assert_eq!(members[2]["gaps"].as_array().unwrap().len(), 0);
    let found = &members[2]["members"][0]["findings"][0];
    assert_eq!(found["what"], "CVDL EICAR-Test-File");
    assert_eq!(found["detail"], "end at 68");
    assert!(found["passes"].is_null());
}

#[test]
fn what_is_no_file_has_no_tree() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["--tree", "."][..], "--tree takes files alone"),
        (&["--tree", "-"], "standard input"),
        (&["--tree"], "PATH"),
        (&["--tree=xml", "x"], "[possible values: text, json]"),
    ] {
        let output = tree(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(255), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(said), "{text}");
    }
}
