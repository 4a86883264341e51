//! What of ClamAV's formats clamscan takes and refuses, and the examples of the manual, asked of both programs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use vfind::signature::{Batch, Item, format_by_extension};

use crate::support::{has_tools, out, run};

/// Lines of which both must think alike.
const LINES: &[(&str, &str)] = &[
    ("db", "A=68656c6c6f"),
    ("db", "A:68656c6c6f"),
    ("db", "=68656c6c6f"),
    ("db", "A="),
    ("db", "A=68=65"),
    ("ndb", "A:0:*:68656C6C6F"),
    ("ndb", "A:0:*:6865"),
    ("ndb", "A:0:*:68??65"),
    ("ndb", "A:0:*:*6865"),
    ("ndb", "A:0:*:6865*"),
    ("ndb", "A:0:*:6865{-6}"),
    ("ndb", "A:0:*:6865 6c6c"),
    ("ndb", "A:0:*:68656c6"),
    ("ndb", "A:0:*:6865()6c"),
    ("ndb", "A:0:*:6865(6c)6c"),
    ("ndb", "A:0:*:6865(6c6c|6d)"),
    ("ndb", "A:0:*:6865(6c|(6c6c|6d))6c"),
    ("ndb", "A:0:*:6865!(6a|6b)6c"),
    ("ndb", "A:0:*:6865!(6a6a|6b)6c"),
    ("ndb", "A:0:*:6865!(6a6a|6b6b)6f"),
    ("ndb", "A:0:*:6865!(6?|6a)6f"),
    ("ndb", "A:0:*:6865(!(6c)|77)6c6f"),
    ("ndb", "A:0:*:6865{3-3}6c6c"),
    ("ndb", "A:0:*:6865{}6c6c"),
    ("ndb", "A:0:*:6865{a}6c6c"),
    ("ndb", "A:0:*:6865{3"),
    ("ndb", "A:0:*:68{1-2}6c6c"),
    ("ndb", "A:0:*:6865{1-2}{1-2}6c6f"),
    ("ndb", "A:0:*:6865[1-2]6f"),
    ("ndb", "A:0:*:68[1-2]6c6c[0-5]77"),
    ("ndb", "A:0:*:6865[1-2]6c6f"),
    ("ndb", "A:0:*:6865[1-33]6f"),
    ("ndb", "A:0:*:6865[2-1]6f"),
    ("ndb", "A:0:*:6865[-3]6f"),
    ("ndb", "A:0:*:6?6?"),
    ("ndb", "A:0:*:6865**6c6c"),
    ("ndb", "A:0:*:6865*{3}6c6c"),
    ("ndb", "A:0:*:(68656c|69)"),
    ("ndb", "A:0:*:6865(6c{1-2}6f|77)"),
    ("ndb", "A:0:*:6865(6c{4}6f|77)"),
    ("ndb", "A:0:*:6865(6c*6f|77)"),
    ("ndb", "A:0:*:6865(6c"),
    ("ndb", "A:0:*:6865)6c"),
    ("ndb", "A:0:*:6865|6c"),
    ("ndb", "A:0:*:(B)68656c6c6f(L)"),
    ("ndb", "A:0:*:68656c6c6f:216"),
    ("ndb", "A:0:*:68656c6c6f:217"),
    ("ndb", "A:0:*:68656c6c6f:10:20"),
    ("ndb", "A:0:*:68656c6c6f:10:20:30"),
    ("ndb", "A:0:*:68656c6c6f:x"),
    ("ndb", "A:0:*"),
    ("ndb", ":0:*:68656c6c6f"),
    ("ndb", "A:14:*:68656c6c6f"),
    ("ndb", "A:15:*:68656c6c6f"),
    ("ndb", "A:x:*:68656c6c6f"),
    ("ndb", "A::*:68656c6c6f"),
    ("ndb", "A:7:*:68656c6c6f"),
    ("ndb", "A:0::68656c6c6f"),
    ("cdb", "A:*:*:x:*:330-:*:*:*:*"),
    ("cdb", "A:*:*:x:*:-330:*:*:*:*"),
    ("cdb", "A:*:*:x:*:-:*:*:*:*"),
    ("cdb", "A:*:*:x:*:a:*:*:*:*"),
    ("cdb", "A:*:*:x:*:5-3:*:*:*:*"),
    ("cdb", "A:*:*:x:*:*:2:*:*:*"),
    ("cdb", "A:*:*:x:*:*:*:1-2:*:*"),
    ("cdb", "A:*:*:x:*:*:*:2-:*:*"),
    ("cdb", "A:*:*:(:*:*:*:*:*:*"),
    ("cdb", "A:*:*:x:*:*:*:*:zz:*"),
    ("cdb", "A:*:*:x:*:*:*:*:*"),
    ("cdb", "A:*:*:a{2:*:*:*:*:*:*"),
    ("cdb", "A:*:*:x*?:*:*:*:*:*:*"),
    ("cdb", "A:*:*:[[:alpha:]]:*:*:*:*:*:*"),
    ("cdb", "A:*:*:x:*:*:*:*:*:*:217"),
    ("cdb", "A:*:*:x:*:*:*:*:1:*:81:255"),
    ("cdb", "A:*:*::*:*:*:*:*:*"),
    ("cdb", "A:CL_TYPE_ZIP:1-2:(?i)a\\.exe$:*:*:0:1:*:*"),
    ("pwdb", "A;Engine:81-255,Container:CL_TYPE_ZIP;0;pw"),
    ("pwdb", "A;Engine:81-255;0;pw"),
    ("pwdb", "A;Engine:81-255;1;7077"),
    ("pwdb", "A;Container:CL_TYPE_ZIP;0;pw"),
    ("pwdb", "A;Engine:81-255,Target:0;0;pw"),
    ("pwdb", "A;*;0;pw"),
    ("pwdb", "A;Engine:81-255,FileSize:1-10;0;pw"),
    ("pwdb", "A;;0;pw"),
    ("pwdb", "A;Engine:81-255;2;pw"),
    ("ndb", "A:0:x:68656c6c6f"),
    ("ndb", "A:0:0,x:68656c6c6f"),
    ("ndb", "A:0:*,5:68656c6c6f"),
    ("ndb", "A:0:EOF-20,2:68656c6c6f"),
    ("ndb", "A:0:EOF+1:68656c6c6f"),
    ("ndb", "A:0:EP+0:68656c6c6f"),
    ("ndb", "A:1:EP-5:68656c6c6f"),
    ("ndb", "A:9:S0+5:68656c6c6f"),
    ("ndb", "A:1:S1-5:68656c6c6f"),
    ("ndb", "A:1:SE1:68656c6c6f"),
    ("ndb", "A:1:SL-5:68656c6c6f"),
    ("ndb", "A:0:VI:68656c6c6f"),
    ("ndb", "A:0:$31:68656c6c6f"),
    ("ndb", "A:0:$32:68656c6c6f"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:544:A"),
    ("hdb", "AA15BCF478D165EFD2065190EB473BCB:544:A"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:*:A"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:*:A:73"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:544"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:0:A"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:-1:A"),
    ("hdb", "aa15bcf478d165efd2065190eb473bcb:4294967295:A"),
    ("hdb", "aa15bcf478d165efd2065190eb473b:544:A"),
    ("hdb", "4de254cb0e129d59af3feef7eb50944fedba197f:25:A"),
    ("mdb", "544:aa15bcf478d165efd2065190eb473bcb:A"),
    ("mdb", "aa15bcf478d165efd2065190eb473bcb:544:A"),
    ("msb", "*:4de254cb0e129d59af3feef7eb50944fedba197f:A:73"),
    ("fp", "aa15bcf478d165efd2065190eb473bcb:544:A"),
    ("sfp", "4de254cb0e129d59af3feef7eb50944fedba197f:*:A"),
    ("ign2", "Bad"),
    ("ign2", "Bad:aa15bcf478d165efd2065190eb473bcb"),
    ("ign2", "Bad:xx"),
    ("ldb", "A;Target:0;0;68656c6c6f"),
    ("ldb", "A;Target:0;0;6865"),
    ("ldb", "A;Target:0;0;68"),
    ("ldb", "A;Target:0;0&1;68656c6c6f"),
    ("ldb", "A;Target:0;0;68656c6c6f;6162"),
    ("ldb", "A;Target:0;0;68656c6c6f;"),
    ("ldb", "A;;0;68656c6c6f"),
    ("ldb", "A;Engine:1-2,Target:0;0;zz"),
    ("ldb", "A;Target:0,Engine:1-255;0;68656c6c6f"),
    ("ldb", "A;Target:0,Foo:3;0;68656c6c6f"),
    ("ldb", "A;Target:0,FileSize:25;0;68656c6c6f"),
    ("ldb", "A;Target:0,EntryPoint:1-5;0;68656c6c6f"),
    (
        "ldb",
        "A;Engine:81-255,Target:1,EntryPoint:1-5;0;68656c6c6f",
    ),
    ("ldb", "A;Target:0,IconGroup1:a;0;68656c6c6f"),
    ("ldb", "A;Target:0;0=1&(1|2)>1,2;6162;6364;6566"),
    ("ldb", "A;Target:0;0&;6162"),
    ("ldb", "A;Target:0;0&&0;6162"),
    ("ldb", "A;Target:0;(0;6162"),
    ("ldb", "A;Target:0;0);6162"),
    ("ldb", "A;Target:0;!0;6162"),
    ("ldb", "A;Target:0;0>;6162"),
    ("ldb", "A;Target:0;0;6162::iwfa"),
    ("ldb", "A;Target:0;0;6162::x"),
    ("ldb", "A;Target:0;0;6162!(63)64::i"),
    ("ldb", "A;Target:0;0;0:0:6162"),
    ("ldb", "A;Target:0;0;EOF-5,3:6162"),
    ("ldb", "A;Target:0;0&1;6162;${1-7}12$"),
    ("ldb", "A;Target:0;0&1;6162;${3}12$"),
    ("ldb", "A;Target:0;0&1;6162;${1-7}32$"),
    ("ldb", "A;Target:0;0&1;6162;0(>>4#ib2#=0x1234)"),
    ("ldb", "A;Target:0;0&1;6162;0(>>4#ib3#=0x1234)"),
    ("ldb", "A;Target:0;0&1;6162;0(>>4#dl3#=1)"),
    ("ldb", "A;Target:0;0&1;6162;1(>>4#d3#=1)"),
    ("ldb", "A;Target:0;0&1;6162;0(>>4#d3#!1)"),
    ("ldb", "A;Target:0;0&1;6162;0(>>4#d3#>1,<2,=3)"),
    ("ldb", "A;Target:0;0&1;6162;0/hel+o/gi"),
    ("ldb", "A;Target:0;0&1;6162;/hel+o/"),
    ("ldb", "A;Target:0;0&1;6162;1/hel+o/"),
    ("ldb", "A;Target:0;0&1;6162;0//"),
    ("ldb", "A;Target:0;0&1;6162;0/hello/z"),
    ("ldb", "A;Target:0;0&1;6162;0/he(llo/"),
    ("ldb", "A;Target:0;0&1;6162;0/(?=hello)h/"),
    ("ldb", "A;Target:0;0&1;6162;6,9:0/helo/e"),
    ("ldb", "A;Target:0;0;fuzzy_img#af2ad01ed42993c7#0"),
];

/// Lines that one of us takes and the other refuses, and why that stays so.
const DIFFERENCES: &[(&str, &str, bool, &str)] = &[
    (
        "ldb",
        "A;Target:0;(0)=1;6162",
        true,
        "a count behind a part in parentheses; clamscan misses an operator in them",
    ),
    (
        "ldb",
        "A;Target:1,EntryPoint:1-5;0;68656c6c6f",
        true,
        "the level that clamscan wants to be named is met",
    ),
    (
        "ndb",
        "A:0:*:20(B)6865",
        true,
        "clamscan's filter has no way for it; the meaning is clear",
    ),
    (
        "ndb",
        "A:0:0,99999999999999999999:616263",
        false,
        "no number that fits; clamscan takes it modulo 2^32",
    ),
    (
        "hdb",
        "aa15bcf478d165efd2065190eb473bcb:544:A:b:c",
        false,
        "clamscan reads `b` as level 0 and drops the line unseen",
    ),
    (
        "ldb",
        "A;Target:0;0=1x;6162",
        false,
        "clamscan passes over what stands behind a number",
    ),
    (
        "ldb",
        "A;Target:0;(0|1) ;6162;6364",
        true,
        "blanks mean nothing; clamscan refuses them at some places",
    ),
    (
        "ldb",
        "A;Target:0;0&1;6162;0(>>4#3#=1)",
        false,
        "it does not say how to read the bytes, and never holds",
    ),
    (
        "ldb",
        "A;Target:0;0&1;6162;0/a{65536}/",
        true,
        "set aside as too large; PCRE has a limit there",
    ),
];

/// What a line came to: taken (set aside is taken too) or refused.
fn is_taken(extension: &str, line: &str) -> bool {
    let mut batch = Batch::default();
    let format = format_by_extension(extension).unwrap();
    batch.read(format, format!("{line}\n").as_bytes(), "test");
    let kept = batch.signatures().len() + batch.others().len();
    assert_eq!(kept + batch.complaints().len(), 1, "{line}: {batch:?}");
    kept == 1
}

fn clamscan_takes(folder: &Path, extension: &str, line: &str) -> bool {
    let database = folder.join(format!("test.{extension}"));
    std::fs::write(&database, format!("{line}\n")).unwrap();
    let content = folder.join("content");
    std::fs::write(&content, "").unwrap();
    let output = Command::new("clamscan")
        .arg("-d")
        .arg(&database)
        .arg(&content)
        .output()
        .unwrap();
    std::fs::remove_file(&database).unwrap();
    match output.status.code() {
        Some(0 | 1) => true,
        Some(2) => false,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn clamscan_takes_and_refuses_the_same_lines() {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let differ: BTreeSet<_> = (LINES.iter())
        .filter(|(extension, line)| {
            clamscan_takes(folder.path(), extension, line) != is_taken(extension, line)
        })
        .collect();
    assert_eq!(differ, BTreeSet::new());
    for (extension, line, ours, reason) in DIFFERENCES {
        assert_eq!(is_taken(extension, line), *ours, "{line}");
        assert_eq!(
            clamscan_takes(folder.path(), extension, line),
            !ours,
            "{line}: no difference any more: {reason}"
        );
    }
}

/// One example of the manual: signatures, and contents in which they are found or not.
#[derive(Debug, Default)]
struct Example {
    extension: String,
    lines: Vec<String>,
    contents: Vec<(bool, Vec<u8>)>,
}

/// Blocks marked `clamav ndb` and the like. `+ ` and `- ` begin contents, with `\xHH` for bytes.
fn examples(text: &str) -> Vec<Example> {
    let mut all = Vec::new();
    let mut open: Option<Example> = None;
    for line in text.lines() {
        match &mut open {
            None => {
                open = line.strip_prefix("```clamav ").map(|extension| Example {
                    extension: extension.to_owned(),
                    ..Example::default()
                });
            }
            Some(example) => match line.split_at_checked(2) {
                Some(("+ ", content)) => example.contents.push((true, bytes(content))),
                Some(("- ", content)) => example.contents.push((false, bytes(content))),
                _ if line == "```" => all.extend(open.take()),
                _ => example.lines.push(line.to_owned()),
            },
        }
    }
    all
}

fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

#[test]
fn the_examples_of_the_manual_are_found_by_both_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/signatures/clamav.md")).unwrap();
    let examples = examples(&text);
    assert!(examples.len() > 5);
    let has_clamscan = has_tools(&["clamscan"]);
    for example in examples {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(format!("test.{}", example.extension));
        std::fs::write(&database, example.lines.join("\n") + "\n").unwrap();
        let mut batch = Batch::default();
        let format = format_by_extension(&example.extension).unwrap();
        batch.read(format, &std::fs::read(&database).unwrap(), "manual");
        assert_eq!(batch.complaints(), [], "{example:?}");
        assert!(
            !batch
                .others()
                .iter()
                .any(|item| matches!(item, Item::Aside(_))),
            "{example:?}"
        );
        for (position, (is_found, content)) in example.contents.iter().enumerate() {
            // clamscan passes over what is shorter than six bytes.
            assert!(content.len() > 5, "{example:?}");
            let file = folder.path().join(format!("content{position}"));
            std::fs::write(&file, content).unwrap();
            let option = format!("--database={}", database.display());
            let output = run(
                env!("CARGO_BIN_EXE_vfind"),
                &[&option, file.to_str().unwrap()],
                b"",
            );
            let found = out(&output).contains("CLAM ");
            assert_eq!(
                found,
                *is_found,
                "{example:?}\n{}",
                String::from_utf8_lossy(content)
            );
            if has_clamscan {
                let output = Command::new("clamscan")
                    .arg("-d")
                    .arg(&database)
                    .arg(&file)
                    .output()
                    .unwrap();
                let found = out(&output).contains(" FOUND");
                assert_eq!(
                    found,
                    *is_found,
                    "clamscan: {example:?}\n{}",
                    String::from_utf8_lossy(content)
                );
            }
        }
    }
}

#[test]
fn a_container_of_sigtool_loads_whole() {
    if !has_tools(&["sigtool"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("COPYING", "words\n");
    write("test.ndb", "A:0:*:68656c6c6f\n");
    write("test.hdb", "aa15bcf478d165efd2065190eb473bcb:544:B\n");
    write("test.ldb", "C;Target:0;0;6162\n");
    let script = format!(
        "cd '{}' && echo me | sigtool --build=test.cud --unsigned --cvd-version=3",
        folder.path().display()
    );
    let built = Command::new("sh").args(["-c", &script]).output().unwrap();
    let content =
        std::fs::read(folder.path().join("test.cud")).unwrap_or_else(|_| panic!("{built:?}"));
    let mut batch = Batch::default();
    batch.read(format_by_extension("cud").unwrap(), &content, "test.cud");
    let names: BTreeSet<_> = batch
        .signatures()
        .iter()
        .map(|one| one.name.name.as_str())
        .collect();
    assert_eq!(batch.complaints(), []);
    assert_eq!(names, BTreeSet::from(["A", "B", "C"]));
}
