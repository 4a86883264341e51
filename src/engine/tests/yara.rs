//! YARA's rules in a database: beside other signatures, in windows, and without those that are not wanted.

use bytes::Bytes;

use super::{SUBJECT, finished};
use crate::engine::{Compiler, Database, Subject};
use crate::event::{Limit, Place, Reason};
use crate::object::Object;
use crate::signature::yara::Yara;
use crate::signature::{Format, Intake, Item};
use crate::stop::{Cancel, Stop};

fn compiler(text: &str, unwanted: &str) -> Compiler {
    let mut compiler = Compiler::in_memory([unwanted.as_bytes().to_vec()].into()).unwrap();
    let mut text = text.as_bytes();
    Yara.parse(&mut text, "a.yar", &mut compiler).unwrap();
    compiler
}

fn found(database: &Database, content: &[u8], contiguous: u64) -> crate::engine::Matches {
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let subject = Subject {
        object: Ok(&object),
        contiguous,
        name: b"dir/one.exe",
        ..SUBJECT
    };
    finished(database, &[content], &subject)
}

#[test]
fn rules_are_reported_and_what_is_not_wanted_is_not() {
    let text = r#"
        rule one { strings: $a = "one" condition: $a }
        private rule two { condition: one }
        rule three { condition: two and filename == "one.exe" }
        rule four { condition: three }
        rule five { condition: nothing }
    "#;
    let mut compiler = compiler(text, "YARA one");
    compiler.take(Item::Ignored("four".to_owned()));
    let complaints: Vec<_> = compiler
        .complaints()
        .iter()
        .map(crate::signature::Complaint::in_one_line)
        .collect();
    assert_eq!(
        complaints,
        ["a.yar:6: column 32: unknown identifier \"nothing\""]
    );
    let database = compiler.open().unwrap();
    let names: Vec<_> = database.names().map(|name| name.to_string()).collect();
    assert_eq!(names, ["YARA three"]);
    let matches = found(&database, b"one", u64::MAX);
    let findings = matches.findings.iter();
    let findings: Vec<_> = findings
        .map(|one| (one.signature.to_string(), one.place))
        .collect();
    assert_eq!(findings, [("YARA three".to_owned(), Place::Absence)]);
}

#[test]
fn a_large_object_is_seen_in_windows_and_what_was_not_kept_is_a_gap() {
    let database = compiler(r#"rule a { strings: $a = "abcd" condition: $a }"#, "")
        .open()
        .unwrap();
    let mut content = vec![b'-'; 5 << 20];
    content[(2 << 20) - 2..][..4].copy_from_slice(b"abcd");
    let matches = found(&database, &content, 2 << 20);
    assert_eq!(matches.findings.len(), 1);
    assert_eq!(matches.findings[0].place, Place::End((2 << 20) + 2));
    assert_eq!(matches.gaps[0].0, Reason::Limit(Limit::Contiguous));
    let reason = Reason::Corrupt;
    let subject = Subject {
        object: Err(&reason),
        ..SUBJECT
    };
    let matches = finished(&database, &[b"abcd"], &subject);
    assert_eq!(matches.gaps[0].0, Reason::Corrupt);
}

#[test]
fn rules_that_take_too_long_end_with_the_time() {
    let text = "rule a { condition: for all i in (1..1000000000000) : (i != 0) }";
    let database = compiler(text, "").open().unwrap();
    let object = Object::memory(Bytes::from_static(b"x"), Stop::never());
    let subject = Subject {
        object: Ok(&object),
        ..SUBJECT
    };
    let after = std::time::Duration::from_millis(200);
    let stop = Stop::after(after, Cancel::default());
    let matcher =
        crate::engine::Matcher::new(&database, crate::engine::search::Extent::default(), stop);
    let matches = matcher.finish(&subject);
    assert!(matches.stopped.is_some());
}
