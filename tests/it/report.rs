//! What `--check-database` says of sources: what is set aside and where, passwords, and mistakes in YARA rules.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{out, run};

const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

fn check(folder: &Path, file: &str) -> (Option<i32>, String) {
    let path = folder.join(file).display().to_string();
    let output = run(VFINDD, &["--check-database", &path], b"");
    let prefix = format!("{}/", folder.display());
    (output.status.code(), out(&output).replace(&prefix, ""))
}

#[test]
fn what_is_set_aside_is_listed_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let aside =
        |name: &str| format!("{name};Engine:81-255,Target:0;0;fuzzy_img#af2ad01ed42993c7#0\n");
    let mut text = "Good;Engine:81-255,Target:0;0;68656c6c6f\n".to_owned();
    text += &aside("Bad.One");
    text += &aside("Bad.Two");
    std::fs::write(folder.path().join("b.ldb"), &text).unwrap();
    let (code, said) = check(folder.path(), "b.ldb");
    let expected = "b.ldb (clam-logical): 1 rules\n  set aside: 2: image hash\n    b.ldb:2 Bad.One\n    b.ldb:3 Bad.Two\n";
    let rest = |text: &str| text.split_once("): ").unwrap().1.to_owned();
    assert!(rest(&said).starts_with(&rest(expected)), "{said}");
    assert_eq!(code, Some(0));
    for number in 0..200 {
        text += &aside(&format!("More.{number}"));
    }
    std::fs::write(folder.path().join("b.ldb"), &text).unwrap();
    let (_, said) = check(folder.path(), "b.ldb");
    assert!(said.contains("set aside: 202: image hash"), "{said}");
    assert!(
        said.contains("    b.ldb:6 More.2\n    and 197 more\n"),
        "{said}"
    );
    // Of a digest the name stands behind.
    let mut digests = String::new();
    writeln!(digests, "{}:5:Digest.Name:999", "a".repeat(32)).unwrap();
    std::fs::write(folder.path().join("d.hdb"), digests).unwrap();
    let (_, said) = check(folder.path(), "d.hdb");
    assert!(said.contains("    d.hdb:1 Digest.Name\n"), "{said}");
}

#[test]
fn passwords_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = "A;Engine:81-255,Container:CL_TYPE_ZIP;0;infected\nB;Engine:81-255,Container:CL_TYPE_ANY;0;virus\n";
    std::fs::write(folder.path().join("p.pwdb"), passwords).unwrap();
    let (code, said) = check(folder.path(), "p.pwdb");
    assert!(
        said.lines().next().unwrap().ends_with("): 2 passwords"),
        "{said}"
    );
    assert_eq!(code, Some(0));
}

#[cfg(feature = "yara")]
#[test]
fn a_mistake_in_a_yara_rule_is_shown_and_takes_no_other_rule_along() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rule one { strings: $a = /a(b/ condition: $a }\n\
        rule two { strings $a = \"ab\" condition: $a }\n\
        rule three { strings: $a = \"abc condition: $a }\n\
        rule four { condition: true }\n";
    std::fs::write(folder.path().join("b.yar"), rules).unwrap();
    let (code, said) = check(folder.path(), "b.yar");
    for words in [
        "b.yar (yara): 1 rules\n",
        "b.yar:1: column 28: syntax error\n    rule one { strings: $a = /a(b/ condition: $a }\n                               ^\n",
        "b.yar:2: column 12: syntax error\n    rule two {",
        "b.yar:3: column 28: a string or expression that does not end in its line, and so the rule does not end; line 3 is left out\n",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert_eq!(code, Some(2));
}
