//! Each form against the same records, hostile ones among them.
#![forbid(unsafe_code)]

use serde_json::Value;

use super::*;
use crate::client::session::testing::record;

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

pub(super) fn samples() -> Vec<Record> {
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
fn gaps_that_pass_are_marked_and_counted_apart() {
    let records = [record(
        b"/a",
        &[
            b"1 SKIPPED corrupt passes : \"\" : cut",
            b"1 SKIPPED corrupt passes : \"\" -> \"m\" : -",
            b"1 SKIPPED encrypted : \"\" : AES",
            b"1 COVERAGE 1 1 3 0 3:00ff",
            b"1 ENOTSUP \"/a\"",
        ],
    )];
    let text = String::from_utf8(printed("text", &records)).unwrap();
    for line in [
        "\"/a\": NOT SCANNED corrupt (passes): cut\n",
        "\"/a\" -> \"m\": NOT SCANNED corrupt (passes)\n",
        "\"/a\": NOT SCANNED encrypted: AES\n",
        "Gaps: 3, 2 of them passed by the policy\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
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
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn chevrons_are_the_originals() {
    let all: &[&[u8]] = &[
        b"###==>>>> VIRUS POSSIBLE IN FILE: \"/a\xff\" -> \"m\xfe\"",
        b"###==>>>> VIRUS ID: CVDL Sick",
        b"###==>>>> VIRUS POSSIBLE IN FILE: \"/a\xff\"",
        b"###==>>>> VIRUS ID: CVDL MD5 Bad",
        b"###==>>> NOT SCANNED: \"/a\xff\" -> \"n\": unsupported/xz:  [2J",
        b"###==> Not scanning: \"/a\xff\": excluded/link",
        b"###==>>> NOT SCANNED: \"/a\xff\": 3 more, which the server does not list",
        b"###==>> Note: \"/a\xff\": changed: grew",
        b"###==> Done: \"/a\xff\": 2 objects, 68 bytes, 2 found, 5 not scanned",
        b"###==>>> SCAN command failed: \"/b\": ENOENT \"/b\"",
        b"###==> Done: \"/b\": 0 found",
        b"###==>>>> VIRUS POSSIBLE IN FILE: \"/c\"",
        b"###==>>>> VIRUS ID: CVDL unnamed",
        b"###==> Done: \"/c\": 0 found",
        b"###==>>> SCAN command failed: \"/d\": connection lost: gone",
        b"###==> Done: \"/d\": 0 found",
        b"###==> Done: \"/e\": 0 found",
    ];
    for (quiet, weight) in [(0, "###==>"), (1, "###==>>"), (2, "###==>>>")] {
        let lines: Vec<_> = all
            .iter()
            .filter(|line| line.starts_with(weight.as_bytes()))
            .map(|line| line.escape_ascii().to_string())
            .collect();
        let got = printed_as(&setting("chevrons", quiet), &samples());
        let got: Vec<_> = got
            .split(|byte| *byte == b'\n')
            .map(|line| line.escape_ascii().to_string())
            .collect();
        assert_eq!(got.split_last().unwrap().1, lines, "--quiet={quiet}");
    }
}

#[test]
fn findings_are_red_and_gaps_yellow() {
    let coloured = Setting {
        colour: true,
        ..setting("text", 0)
    };
    let text = printed_as(&coloured, &samples());
    let text = String::from_utf8_lossy(&text);
    for (kind, start) in [
        ("CVDL Sick", "\u{1b}[31m\""),
        ("NOT SCANNED ENOENT", "\u{1b}[33m\""),
        ("does not say by what", "\u{1b}[31m\""),
        ("3 more", "\u{1b}[33m\""),
        ("note changed", "\""),
    ] {
        let line = text.lines().find(|line| line.contains(kind)).unwrap();
        assert!(line.starts_with(start), "{line:?}");
        assert_eq!(line.ends_with("\u{1b}[0m"), start.len() > 1, "{line:?}");
    }
    assert!(!String::from_utf8_lossy(&printed("text", &samples())).contains('\u{1b}'));
}

#[test]
fn what_was_left_out_is_counted_by_its_reason() {
    let mut tally = Tally::default();
    let mut one = samples().remove(0);
    one.coverage = None;
    let gap = one.gaps.remove(0);
    for reason in ["excluded/exclude", "excluded/link", "excluded/link"] {
        let mut gap = gap.clone();
        gap.reason = reason.to_owned();
        one.gaps.push(gap);
    }
    tally.count(&one);
    tally.count(&one);
    let rows = tally.rows(Duration::ZERO);
    let row = |name| &rows.iter().find(|row| row.0 == name).unwrap().1;
    assert_eq!(
        (row("Gaps").as_str(), row("Left out").as_str()),
        ("0", "8: 6 link, 2 exclude")
    );
    for number in 0..100 {
        one.gaps[0].reason = format!("excluded/{number}");
        one.epoch = Some(number.to_string());
        tally.count(&one);
    }
    assert!(
        tally
            .rows(Duration::ZERO)
            .iter()
            .all(|row| row.1.len() < 400)
    );
}

/// What the schema of SARIF 2.1.0 asks of the parts that we write.
#[test]
fn sarif_has_a_rule_for_each_result_and_a_uri_for_each_file() {
    let mut records = samples();
    let lines: &[&[u8]] = &[
        b"1 INFECTED CVDL Sick : \"/folder/file\" : end at 1",
        b"1 DONE 1 : \"/folder\"",
    ];
    records.push(record(b"/folder", lines));
    let text = printed("sarif", &records);
    let log: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let [run] = &log["runs"].as_array().unwrap()[..] else {
        panic!("{log}")
    };
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "vfindc");
    let rules: Vec<_> = driver["rules"].as_array().unwrap().iter().collect();
    let mut distinct: Vec<_> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), rules.len(), "rules are unique");
    let mut seen = Vec::new();
    for result in run["results"].as_array().unwrap() {
        let rule = result["ruleId"].as_str().unwrap();
        assert_eq!(
            rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"],
            rule
        );
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let location = &result["locations"][0];
        let uri = location["physicalLocation"]["artifactLocation"]["uri"]
            .as_str()
            .unwrap();
        let member = location["logicalLocations"][0]["name"]
            .as_str()
            .unwrap_or("-");
        seen.push(format!(
            "{} {rule} {uri} {member}",
            result["level"].as_str().unwrap()
        ));
    }
    let expected = [
        "error CVDL Sick file:///a%FF m\u{fffd}",
        "error MD5 Bad file:///a%FF -",
        "warning not-scanned/unsupported/xz file:///a%FF n",
        "note not-scanned/excluded/link file:///a%FF -",
        "warning not-scanned/unlisted file:///a%FF -",
        "note note/changed file:///a%FF -",
        "warning not-scanned/error file:///b -",
        "error unnamed file:///c -",
        "warning not-scanned/error file:///d -",
        "error CVDL Sick file:///folder/file -",
    ];
    assert_eq!(seen, expected);
    assert_eq!(run["invocations"][0]["exitCode"], 23);
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

/// A server may make up names without end; the rules are all that is kept.
#[test]
fn sarif_keeps_no_more_rules_than_anybody_needs() {
    let mut printer = Printer::new(Vec::new(), &setting("sarif", 0));
    let mut record = samples().remove(1);
    record.error = None;
    record.findings = samples()[0].findings.clone();
    for number in 0..10_100 {
        record.findings[1].name = number.to_string();
        printer.record(&record, None).unwrap();
    }
    printer.finish(Ok(Exit::Infected)).unwrap();
    let log: Value = serde_json::from_slice(&printer.out).unwrap();
    let run = &log["runs"][0];
    assert_eq!(
        run["tool"]["driver"]["rules"].as_array().unwrap().len(),
        10_000
    );
    let last = run["results"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (last["ruleId"].as_str(), last.get("ruleIndex")),
        (Some("MD5 10099"), None)
    );
}

#[test]
fn documents_are_closed_when_the_run_fails() {
    let failure = Failure::NoServer("no server at host:1: Connection <refused>".to_owned());
    let rows = [
        (
            "xml",
            "<end exit=\"1\" failure=\"no server at host:1: Connection &lt;refused&gt;\"/>\n</verdicts>\n",
        ),
        (
            "junit",
            "<error type=\"failure\" message=\"no server at host:1: Connection &lt;refused&gt;\"/></testcase>\n</testsuite>\n</testsuites>\n",
        ),
        ("sarif", "]}\n"),
        ("json", ""),
        ("text", ""),
        ("chevrons", ""),
    ];
    assert_eq!(rows.len(), FORMS.len());
    for (form, last) in rows {
        let mut printer = Printer::new(Vec::new(), &setting(form, 0));
        printer.finish(Err(&failure)).unwrap();
        let text = String::from_utf8(std::mem::take(&mut printer.out)).unwrap();
        assert!(text.ends_with(last), "{form}: {text}");
        if form == "sarif" {
            let log: Value = serde_json::from_str(&text).unwrap();
            let invocation = &log["runs"][0]["invocations"][0];
            assert_eq!(invocation["executionSuccessful"], false);
            let notice = &invocation["toolExecutionNotifications"][0];
            assert_eq!(notice["message"]["text"], failure.to_string());
        }
    }
}

#[test]
fn every_record_is_a_test_case_and_counted() {
    let mut records = samples();
    records[4].gaps = vec![records[0].gaps[1].clone()];
    records[4].gaps[0].path = records[4].path.clone();
    records.push(record(b"/f", &[b"1 DONE 0 : \"/f\""]));
    let text = String::from_utf8(printed("junit", &records)).unwrap();
    let counts = "tests=\"6\" failures=\"2\" errors=\"2\" skipped=\"1\" time=\"";
    for element in ["testsuites", "testsuite"] {
        let tag = text.split_once(&format!("<{element} ")).unwrap().1;
        let tag = tag.split_once('>').unwrap().0;
        assert!(tag.contains(counts), "{element} {tag}");
    }
    let cases: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("<testcase "))
        .collect();
    for (case, what) in cases.iter().zip([
        "<failure message=\"CVDL Sick (end at 68)\" type=\"infected\">",
        "<error message=\"ENOENT &quot;/b&quot;\" type=\"incomplete\">",
        "<failure message=\"INFECTED, and the server does not say by what\" type=\"infected\">",
        "<error message=\"connection lost: gone\" type=\"incomplete\">",
        "<skipped message=\"excluded/link\">",
        "name=\"/f\" time=\"0.000\"/>",
    ]) {
        assert!(case.contains(what), "{case}");
    }
    assert_eq!(cases.len(), 6);
}
