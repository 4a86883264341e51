//! Each form against the same records, hostile ones among them.
#![forbid(unsafe_code)]

use serde_json::Value;

use super::*;
use crate::client::session::Session;

/// The records of one request for `path` that the server answers with these lines.
fn record(path: &[u8], lines: &[&[u8]]) -> Record {
    let mut session = Session::new(vec![path.to_vec()]);
    let covered = lines.iter().any(|line| line.starts_with(b"1 COVERAGE"));
    let probed: &[u8] = if covered { b"OK" } else { b"EINVAL" };
    for line in [b"READY", probed].iter().chain(lines) {
        session.receive(line, 1);
        session.commands(1, &mut Vec::new());
    }
    session.lost("gone", 1);
    session.next_record().unwrap()
}

fn setting(form: &str, quiet: u8) -> Setting {
    Setting {
        form: Form::named(form).unwrap(),
        quiet,
        colour: false,
    }
}

fn printed_as(setting: &Setting, records: &[Record]) -> Vec<u8> {
    let mut printer = Printer::new(Vec::new(), setting);
    for record in records {
        printer.record(record, None).unwrap();
    }
    printer.finish(Ok(Exit::Infected)).unwrap();
    std::mem::take(&mut printer.out)
}

fn printed(form: &str, records: &[Record]) -> Vec<u8> {
    printed_as(&setting(form, 0), records)
}

fn quiet(records: &[Record]) -> Vec<u8> {
    printed_as(&setting("text", 1), records)
}

fn samples() -> Vec<Record> {
    vec![
        record(
            b"/a\xff",
            &[
                b"1 INFECTED CVDL Sick : \"\" -> \"m\xfe\" : end at 68",
                b"1 INFECTED MD5 Bad : \"\" : whole object",
                b"1 SKIPPED unsupported/xz : \"\" -> \"n\" : \x1b[2J",
                b"1 SKIPPED excluded/link : \"\" : -",
                b"1 NOTE changed : \"\" : grew",
                b"1 COVERAGE 2 68 5 1 3:00ff",
                b"1 DONE 2 : \"/a\xff\"",
            ],
        ),
        record(b"/b", &[b"1 ENOENT \"/b\""]),
        record(b"/c", &[b"1 DONE 1 : \"/c\""]),
        record(b"/d", &[]),
        record(
            b"/e",
            &[b"1 DONE 0 : \"/e\" : da39a3ee5e6b4b0d3255bfef95601890afd80709"],
        ),
    ]
}

#[test]
fn each_finding_and_gap_has_its_line() {
    let lines: &[&[u8]] = &[
        b"\"/a\xff\" -> \"m\xfe\": CVDL Sick (end at 68)",
        b"\"/a\xff\": MD5 Bad (whole object)",
        b"\"/a\xff\" -> \"n\": NOT SCANNED unsupported/xz: \\u{1b}[2J",
        b"\"/a\xff\": NOT SCANNED: 3 more, which the server does not list",
        b"\"/b\": NOT SCANNED ENOENT \"/b\"",
        b"\"/c\": INFECTED, and the server does not say by what",
        b"\"/d\": NOT SCANNED connection lost: gone",
        b"",
    ];
    let got = quiet(&samples());
    assert_eq!(
        got.escape_ascii().to_string(),
        lines.join(&b'\n').escape_ascii().to_string()
    );
}

#[test]
fn notes_and_a_summary_come_with_the_text() {
    let text = printed("text", &samples());
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(": note changed: grew\n"), "{text}");
    let summary = text.split_once("SUMMARY -----------\n").unwrap().1;
    let (before, after) = summary.split_once("Time: ").unwrap();
    assert_eq!(
        before,
        "Requests: 5\nObjects: at least 2\nBytes: at least 68\nFindings: 2\nGaps: 4\nLeft out: 1: 1 link\nNotes: 1\n"
    );
    assert!(
        after.ends_with(" s\nDatabase: 3:00ff\nVerdict: infected\n"),
        "{after}"
    );
}

#[test]
fn a_server_without_coverage_leaves_the_sums_unknown() {
    let text = printed("text", &[record(b"/e", &[b"1 DONE : \"/e\""])]);
    let text = String::from_utf8(text).unwrap();
    for row in [
        "Objects: unknown",
        "Bytes: unknown",
        "Database: unknown",
        "Verdict: clean",
    ] {
        assert!(text.contains(row), "{text}");
    }
}

#[test]
fn an_error_is_not_said_twice() {
    let gap: &[u8] = b"1 SKIPPED unsupported/xz : \"/a\" -> \"b\" : -";
    let rows: &[(&[u8], usize)] = &[
        (b"1 ENOTSUP \"/a\" -> \"b\" : unsupported/xz : -", 1),
        (b"1 ENOTSUP \"/a\" -> \"b\" : encrypted : -", 2),
        (b"1 ENOTSUP \"/a\" -> \"bc\" : unsupported/xz : -", 2),
        (b"1 EFAULT \"/a\"", 2),
        (b"1 EFAULT", 2),
    ];
    for (error, lines) in rows {
        let text = quiet(&[record(b"/a", &[gap, error])]);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), *lines, "{text}");
    }
    let gap: &[u8] = b"1 SKIPPED unreadable/ENOENT : \"/a\" : -";
    let text = quiet(&[record(b"/a", &[gap, b"1 ENOENT \"/a\""])]);
    assert_eq!(text, b"\"/a\": NOT SCANNED unreadable/ENOENT\n");
}

#[test]
fn json_is_one_line_each_and_as_the_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/verdict-1.json")).unwrap();
    let records = samples();
    let text = String::from_utf8(printed("json", &records)).unwrap();
    assert_eq!(text.lines().count(), records.len());
    for (line, record) in text.lines().zip(&records) {
        let mut value: Value = serde_json::from_str(line).unwrap();
        check(&schema, &schema, &value, "record");
        assert_eq!(&serde_json::from_str::<Record>(line).unwrap(), record);
        // Fields may be added.
        value["later"] = Value::Null;
        check(&schema, &schema, &value, "record");
        let fields: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        value.as_object_mut().unwrap().remove("later");
        let written: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(written, fields, "every field is described");
    }
}

#[test]
#[should_panic(expected = "record.findings[0].offset is no")]
fn what_the_schema_does_not_allow_is_seen() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/verdict-1.json")).unwrap();
    let mut value = serde_json::to_value(&samples()[0]).unwrap();
    value["findings"][0]["offset"] = Value::String("68".into());
    check(&schema, &schema, &value, "record");
}

/// As much of JSON Schema as ours uses; a keyword that is not known here fails.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "additionalProperties" => assert_eq!(rule, true),
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(pointer).unwrap(), value, at);
            }
            "type" => {
                let types = rule.as_array().map_or(std::slice::from_ref(rule), |t| t);
                let known = types.iter().any(|name| is_a(value, name.as_str().unwrap()));
                assert!(known, "{at} is no {rule}");
            }
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at} {value}"),
            "minimum" => assert!(
                !value.is_number() || value.as_u64() >= rule.as_u64(),
                "{at}"
            ),
            "minItems" => {
                assert!(value.as_array().unwrap().len() as u64 >= rule.as_u64().unwrap());
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    assert!(value.is_null() || value.get(name).is_some(), "{at}.{name}");
                }
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, schema, value, &format!("{at}.{name}"));
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().unwrap().iter().enumerate() {
                    check(root, rule, value, &format!("{at}[{index}]"));
                }
            }
            other => panic!("{at}: the keyword {other} is not known here"),
        }
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the type {other} is not known here"),
    }
}
