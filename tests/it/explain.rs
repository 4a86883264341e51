//! `vfind --explain`: what it says of a rule and a file, part by part.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const RULES: &str =
    ":whole, (\"alpha\" AND \"be\", @0-3, \"ta\") XOR NOT ~~\"gam-ma\", .*, 'z'{2,5} #
<\"JPEG\">
:only, \"alpha\" #
<>
:numbers, @@2, \\d+, \"x\" #
";

fn explain(folder: &Path, rule: &str, file: &str) -> Output {
    std::fs::write(folder.join("v.vdl"), RULES).unwrap();
    Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder)
        .args(["--vdl=v.vdl", &format!("--explain={rule}"), file])
        .output()
        .unwrap()
}

/// The lines, with the folder's name left out.
fn lines(output: &Output, folder: &Path) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let folder = format!("{}/", folder.display());
    text.lines().map(|line| line.replace(&folder, "")).collect()
}

/// What `--explain` says of a file in `folder`, and its exit code.
fn explained(folder: &Path, rule: &str, database: &str, file: &str) -> (Vec<String>, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder)
        .args([
            &format!("--database={database}"),
            &format!("--explain={rule}"),
            file,
        ])
        .output()
        .unwrap();
    (lines(&output, folder), output.status.code())
}

#[test]
fn each_part_of_a_rule_holds_or_fails_and_it_is_said_where() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("text"), "the alpha, be ta, ga mm a.zz\n").unwrap();
    let output = explain(folder.path(), "whole", "text");
    assert_eq!(
        lines(&output, folder.path()),
        [
            "\"text\": CVDL whole holds, end at 16",
            "  XOR: holds, ends at 16",
            "    AND: holds, ends at 16",
            "      \"alpha\": holds at 4 to 9",
            "      \"be\", @0-3, \"ta\": holds, begins at 9 to 12, ends at 16",
            "    NOT: fails",
            "      ~~\"gamma\", .*, \"zz\": holds, ends at 28",
        ]
    );
    assert_eq!(output.status.code(), Some(23));
    std::fs::write(at("text"), "ab9x").unwrap();
    let output = explain(folder.path(), "CVDL numbers", "text");
    let said = lines(&output, folder.path());
    assert_eq!(said[0], "\"text\": CVDL numbers holds, end at 4");
    assert_eq!(
        said.last().unwrap(),
        "  @@2, '0'-'9', '0'-'9'*, \"x\": holds, ends at 4"
    );
    std::fs::write(at("text"), "a9x").unwrap();
    let output = explain(folder.path(), "CVDL numbers", "text");
    assert!(lines(&output, folder.path())[0].ends_with("does not hold"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_type_of_an_object_and_what_is_in_a_container_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("page"),
        "<html>\n<body>alpha</body></html>\n",
    )
    .unwrap();
    let output = explain(folder.path(), "only", "page");
    assert_eq!(
        lines(&output, folder.path()),
        [
            "\"page\": CVDL only does not hold",
            "  for types [\"JPEG\"]: fails",
            "    type of the object: HTML text",
            "  \"alpha\": holds at 13 to 18",
        ]
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"\xff\xd8\xff\xe0 alpha").unwrap();
    std::fs::write(folder.path().join("picture.gz"), packed.finish().unwrap()).unwrap();
    let output = explain(folder.path(), "only", "picture.gz");
    let said = lines(&output, folder.path());
    let inner = said
        .iter()
        .position(|line| line.starts_with("\"picture.gz\" -> "))
        .unwrap();
    assert_eq!(
        said[inner..][1..],
        [
            "  for types [\"JPEG\"]: holds",
            "    type of the object: JPEG image",
            "  \"alpha\": holds at 5 to 10",
        ]
    );
    assert_eq!(output.status.code(), Some(23));
}

#[test]
fn what_cannot_be_explained_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text"), "x").unwrap();
    for (rule, file, words) in [
        ("absent", "text", "no such rule"),
        ("whole", "nothing", "No such file"),
        ("whole", ".", "files alone"),
    ] {
        let output = explain(folder.path(), rule, file);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words), "{rule} {file}: {said}");
        assert_eq!(output.status.code(), Some(255), "{rule} {file}");
    }
}

#[test]
fn a_name_in_two_files_is_an_error_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.vdl", "b.vdl"] {
        std::fs::write(folder.path().join(name), ":same, \"x\" #\n").unwrap();
    }
    let run = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfind"));
        command.current_dir(folder.path()).args(options);
        command.args(["--vdl=a.vdl", "--vdl=b.vdl", "--exit-on-error", "--vlist"]);
        command.output().unwrap()
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    for option in ["-d", "--dup-check"] {
        let output = run(&[option]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("b.vdl: the name `same` is already in a.vdl"),
            "{said}"
        );
        assert_eq!(output.status.code(), Some(255));
    }
}

#[test]
fn the_views_of_an_object_are_explained_as_the_scan_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rules = [
        ("t.ndb", "T7:7:*:68656c6c6f20776f726c64\n"),
        (
            "t.ldb",
            "L7;Engine:81-255,Target:7;0&1;68656c6c6f;776f726c6421\n",
        ),
        (
            "h.ndb",
            "H3:3:*:3c703e73617920266c743b\nH0:3:*:6e6f7768657265\n",
        ),
        ("w.vdl", ":wide, \"wide text\" #\n"),
    ];
    for (name, rule) in rules {
        std::fs::write(at(name), rule).unwrap();
    }
    std::fs::write(at("two.txt"), "Say  HELLO\n\tWorld!\n").unwrap();
    std::fs::write(at("page.html"), "<html>\n<P>Say <b>now</b> here</html>").unwrap();
    let encoded =
        data_encoding::BASE64.encode("some words around the wide text. ".repeat(9).as_bytes());
    std::fs::write(at("b.txt"), format!("see {encoded} there")).unwrap();
    let wide: Vec<u8> = "\u{feff}some wide text"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(at("wide.txt"), wide).unwrap();
    let run =
        |rule: &str, database: &str, file: &str| explained(folder.path(), rule, database, file);
    let (said, code) = run("T7", "t.ndb", "two.txt");
    assert_eq!(
        said,
        [
            "\"two.txt\": CLAM T7 does not hold",
            "  for target 7, in normal forms of text alone: fails",
            "  \"hello world\": fails",
            "\"two.txt\", in the normal form of the text: CLAM T7 holds, end at 15",
            "  for target 7, in normal forms of text alone: holds",
            "  \"hello world\": holds at 4 to 15",
        ]
    );
    assert_eq!(code, Some(23));
    let (said, code) = run("L7", "t.ldb", "two.txt");
    assert!(
        said.contains(
            &"\"two.txt\", in the normal form of the text: CLAM L7 holds, end at 16".to_owned()
        ),
        "{said:#?}"
    );
    assert_eq!(code, Some(23));
    let (said, code) = run("H0", "h.ndb", "page.html");
    let heads: Vec<_> = said.iter().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        heads,
        [
            "\"page.html\": CLAM H0 does not hold",
            "\"page.html\", in the normal form of the HTML: CLAM H0 does not hold",
            "\"page.html\", in the normal form of the HTML without tags: CLAM H0 does not hold",
        ]
    );
    assert_eq!(code, Some(0));
    for (file, view) in [
        ("wide.txt", "the text as UTF-8"),
        ("b.txt", "the decoded base64"),
    ] {
        let (said, code) = run("wide", "w.vdl", file);
        let holds = format!("\"{file}\", in {view}: CVDL wide holds, end at ");
        assert!(
            said.iter().any(|line| line.starts_with(&holds)),
            "{said:#?}"
        );
        assert_eq!(code, Some(23), "{file}");
    }
}

#[test]
fn counts_are_told_in_words_and_places_with_their_view() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("t.ndb"), "T7:7:*:68656c6c6f20776f726c64\n").unwrap();
    let counted = "Cnt;Engine:81-255,Target:0;(0|1)>2,2;616161;626262\n";
    std::fs::write(at("c.ldb"), counted).unwrap();
    std::fs::write(at("two.txt"), "Say  HELLO\n\tWorld!\n").unwrap();
    let run =
        |rule: &str, database: &str, file: &str| explained(folder.path(), rule, database, file);
    let (said, _) = run("Cnt", "c.ldb", "two.txt");
    assert!(
        said.contains(&"  found more than 2 times, at least 2 different: fails".to_owned()),
        "{said:#?}"
    );
    // What a scan says of the same: the place with its view, and an offset only where it is one in the object.
    let output = Command::new(env!("CARGO_BIN_EXE_vfind"))
        .current_dir(folder.path())
        .args(["--database=t.ndb", "--tree", "two.txt"])
        .output()
        .unwrap();
    let said = lines(&output, folder.path());
    assert_eq!(
        said[1],
        "  found: CLAM T7, end at 15 in the normal form of the text"
    );
}
