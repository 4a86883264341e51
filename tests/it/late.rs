//! Regular expressions and byte comparisons of logical signatures: clamscan says what they mean.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use vfind::engine::search::Extent;
use vfind::engine::{Compiler, Matcher, Subject};
use vfind::filetype;
use vfind::object::Object;
use vfind::signature::format_by_extension;
use vfind::stop::Stop;

use crate::support::{has_tools, out, run, said};

/// Which of these logical signatures hold, by us and by clamscan. Of several PCREs it reports the first one alone.
fn both(signatures: &[String], content: &[u8]) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let lines = signatures.iter().enumerate();
    let line =
        |(number, rest): (usize, &String)| format!("T{number};Engine:81-255,Target:0;{rest}\n");
    let text: String = lines.map(line).collect();
    let folder = tempfile::tempdir().unwrap();
    let (database, file) = (folder.path().join("t.ldb"), folder.path().join("file"));
    std::fs::write(&database, &text).unwrap();
    std::fs::write(&file, content).unwrap();
    let (database, file) = (database.to_str().unwrap(), file.to_str().unwrap());
    let arguments = ["--no-summary", "--allmatch", "-d", database, file];
    let output = run("clamscan", &arguments, b"");
    assert_eq!(said(&output), "");
    let number = |name: &str| name.strip_prefix('T').unwrap().parse().unwrap();
    let printed = out(&output);
    let theirs = printed.lines().filter_map(|line| {
        let name = line.strip_suffix(".UNOFFICIAL FOUND")?;
        Some(number(name.rsplit(' ').next()?))
    });
    let theirs = theirs.collect();
    let mut compiler = Compiler::in_memory(HashSet::new()).unwrap();
    let format = format_by_extension("ldb").unwrap();
    format
        .parse(&mut text.as_bytes(), "t.ldb", &mut compiler)
        .unwrap();
    assert_eq!(compiler.complaints(), []);
    assert_eq!(compiler.tally().rules, signatures.len() as u64);
    let database = compiler.open().unwrap();
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let extent = Extent {
        length: Some(object.length()),
        layout: None,
    };
    let mut matcher = Matcher::new(&database, extent, Stop::never());
    matcher.feed(content).unwrap();
    let matches = matcher.finish(&Subject {
        form: vfind::view::Form::Content,
        file_type: filetype::recognise(&object.probe().unwrap()),
        layout: None,
        containers: &[],
        object: Ok(&object),
        name: b"file",
        allowed: false,
        contiguous: u64::MAX,
    });
    assert!(matches.gaps.is_empty(), "{:?}", matches.gaps);
    let ours = matches.findings.iter();
    let ours = ours.map(|found| number(&found.signature.name)).collect();
    (ours, theirs)
}

#[test]
fn regular_expressions_hold_where_clamscan_says_so() {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let content = b"xxTRIGxx0123abcab0123zzabc45";
    let rows = "
        0/abc/ 0/ABC/ 0/ABC/i 0/^abc/ 12:0/abc/ 11:0/abc/ 11:0/abc/r 12:0/^abc/ 12:0/^abc/r 12:0/^abc/m 10,2:0/abc/
        10,1:0/abc/ 0,5:0/abc/ 10,3:0/abc/e 10,4:0/abc/e 10,5:0/abc/e 10,6:0/abc/e 12,0:0/abc/ 12,3:0/abc/e
        12,2:0/abc/e 0/abc/A 12:0/abc/A 12:0/abc/rA 11:0/abc/rA 11,3:0/abc/A 12,3:0/abc/A 0/xxT/A 0/45$/ 0/0123$/
        13:0/\\bbc/ EOF-2:0/45/ EOF-5:0/45/r EOF-5:0/abc/ EOF-5,0:0/abc/ 23:0/abc45$/ 10,2:0/^abc/ 12,8:0/ab0/e
        10,10:0/abc45/e 10,20:0/abc.*/e 10,8:0/3$/e 10,8:0/0123$/e 10,11:0/0123$/e 17,4:0/0123$/e 40:0/a/ 40:0/a/r
        EOF-40:0/xx/ EOF-28:0/xx/ EOF-29,5:0/xx/";
    let mut held = 0;
    for row in rows.split_whitespace() {
        let (ours, theirs) = both(&[format!("0&1;54524947;{row}")], content);
        assert_eq!(ours, theirs, "{row}");
        held += ours.len();
    }
    assert!((10..40).contains(&held), "{held}");
    let counted = "0/ab/ 0/ab/g 12:0/ab/g 12:0/ab/rg 13:0/ab/rg 10,5:0/ab/g 10,3:0/ab/g 0/a|b/g 10,10:0/ab/ge 0,100:0/ab/g 15:0/ab/g";
    for row in counted.split_whitespace() {
        for count in 0..8 {
            let signature = format!("0&(1={count});54524947;{row}");
            let (ours, theirs) = both(&[signature], content);
            assert_eq!(ours, theirs, "{row}, {count} times");
        }
    }
}

#[test]
fn comparisons_hold_where_clamscan_says_so() {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let contents: [&[u8]; 15] = [
        b"KEYB123456zz",
        b"KEYBabcdefzz",
        b"KEYB12zzzzzz",
        b"KEYB  12zzzz",
        b"KEYB 0x12zzz",
        b"KEYB0x1234zz",
        b"KEYB-5zzzzzz",
        b"KEYB0xzzzzzz",
        b"KEYB077zzzzz",
        b"KEYB+12zzzzz",
        b"KEYB\n\t12zzzz",
        b"KEYB1\x002zzzzz",
        b"KEYB\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
        b"xx12KEYB34KEYB12",
        b"KEYB12",
    ];
    let numbers = [
        ">>4#db4", ">>4#dbe4", ">>4#db2", ">>4#dbe2", ">>4#hb4", ">>4#hbe4", ">>4#hl4", ">>4#hle4",
        ">>4#hl3", ">>4#hb3", ">>4#ab4", ">>4#abe4", ">>4#al4", ">>4#ib1", ">>4#ib2", ">>4#il2",
        ">>4#ib4", ">>4#il4", ">>4#ib8", ">>4#il8", "<<2#db2",
    ];
    // Small ones, and the edges of what is in the contents.
    let values = [
        "=0",
        "=1",
        "=12",
        "=0x12",
        "=34",
        "=1234",
        "=0x3412",
        "<0",
        ">0",
        ">1000,<2000",
    ];
    let all = numbers
        .iter()
        .flat_map(|number| values.map(|value| format!("{number}#{value}")));
    let all: Vec<_> = all
        .map(|parts| format!("0&1;4b455942;0({parts})"))
        .collect();
    let mut held = 0;
    for content in contents {
        let (ours, theirs) = both(&all, content);
        let differ = ours.symmetric_difference(&theirs);
        let differ: Vec<_> = differ.map(|number| &all[*number]).collect();
        assert!(
            differ.is_empty(),
            "{differ:?} on {}",
            content.escape_ascii()
        );
        held += ours.len();
    }
    assert!(held > 200, "{held}");
}
