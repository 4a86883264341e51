//! Records for people and for programs: a line per finding and gap with a summary, or JSON Lines.
//!
//! Paths are written quoted, their bytes as they are (`path::quote`); what a server says in words loses its control
//! characters, so that no reply can play with a terminal.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Watch;
use super::progress::Progress;
use crate::path::ObjectPath;
use crate::verdict::{Element, FoundRecord, PartRecord, Record, Verdict};

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Each record as JSON in a line of its own, and nothing else.
    Json,
    /// Findings and gaps, without notes and summary.
    Quiet,
    /// Findings, gaps and notes, and a summary.
    Text,
}

/// Prints what comes out of a session.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    form: Form,
    bar: ProgressBar,
    tally: Tally,
    started: Instant,
}

impl<W: Write> Printer<W> {
    /// A printer to `out`. Progress is shown on a terminal at standard error.
    pub fn new(out: W, form: Form) -> Self {
        let bar = if form == Form::Text && io::stderr().is_terminal() {
            progress_bar()
        } else {
            ProgressBar::hidden()
        };
        Self {
            out,
            form,
            bar,
            tally: Tally::default(),
            started: Instant::now(),
        }
    }

    /// Prints the summary, where one is wanted.
    pub fn finish(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        if self.form == Form::Text {
            let mut text = Vec::new();
            self.tally.write(self.started.elapsed(), &mut text);
            self.out.write_all(&text)?;
        }
        self.out.flush()
    }
}

impl<W: Write> Watch for Printer<W> {
    fn record(&mut self, record: &Record, _: Option<&File>) -> io::Result<()> {
        let mut text = Vec::new();
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut text, record)?;
                text.push(b'\n');
            }
            Form::Quiet => write_findings_and_gaps(record, &mut text),
            Form::Text => {
                write_findings_and_gaps(record, &mut text);
                write_notes(record, &mut text);
            }
        }
        self.tally.count(record);
        let out = &mut self.out;
        self.bar.suspend(|| {
            out.write_all(&text)?;
            out.flush()
        })
    }

    fn warning(&mut self, text: &str) {
        // Unlike eprintln!, this does not panic when nobody listens.
        self.bar
            .suspend(|| drop(writeln!(io::stderr(), "vfindc: warning: {text}")));
    }

    fn progress(&mut self, progress: Progress) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_length(progress.known);
        self.bar.set_position(progress.done);
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let objects = progress.objects;
        let rate = objects as f64 / seconds;
        self.bar
            .set_message(format!("{objects} objects, {rate:.0}/s"));
    }

    fn wants_total(&self) -> bool {
        !self.bar.is_hidden()
    }
}

impl<W> Drop for Printer<W> {
    fn drop(&mut self) {
        // A session that failed leaves no half-drawn bar in front of the message.
        self.bar.finish_and_clear();
    }
}

fn progress_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {elapsed_precise} {pos}/{len} requests, {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn write_findings_and_gaps(record: &Record, out: &mut Vec<u8>) {
    for finding in &record.findings {
        line(&finding.path, &finding_text(finding), out);
    }
    if record.verdict == Verdict::Infected && record.findings.is_empty() {
        line(
            &record.path,
            "INFECTED, and the server does not say by what",
            out,
        );
    }
    for gap in &record.gaps {
        line(&gap.path, &format!("NOT SCANNED {}", part_text(gap)), out);
    }
    let hidden = unlisted(record, |counts| counts.gaps, &record.gaps);
    if hidden > 0 {
        let text = format!("NOT SCANNED: {hidden} more, which the server does not list");
        line(&record.path, &text, out);
    }
    if let Some(error) = &record.error
        && !is_listed(error, &record.gaps)
    {
        line(&record.path, &format!("NOT SCANNED {error}"), out);
    }
}

fn write_notes(record: &Record, out: &mut Vec<u8>) {
    for note in &record.notes {
        line(&note.path, &format!("note {}", part_text(note)), out);
    }
    let hidden = unlisted(record, |counts| counts.notes, &record.notes);
    if hidden > 0 {
        let text = format!("note: {hidden} more, which the server does not list");
        line(&record.path, &text, out);
    }
}

/// How many parts were counted but not sent: servers list the first 1,000.
fn unlisted(
    record: &Record,
    counted: fn(&crate::event::Coverage) -> u64,
    listed: &[PartRecord],
) -> u64 {
    record.coverage.as_ref().map_or(0, |counts| {
        counted(counts).saturating_sub(listed.len() as u64)
    })
}

/// Tells whether the error is one of these gaps once more: `Exxx "path" : reason : detail`, or `Exxx "path"` for the
/// named object.
fn is_listed(error: &str, gaps: &[PartRecord]) -> bool {
    let Some((_, said)) = error.split_once(' ') else {
        return false;
    };
    gaps.iter().any(|gap| {
        let rest = said.strip_prefix(&object_path(&gap.path).to_string());
        rest.is_some_and(|rest| {
            let reason = rest
                .strip_prefix(" : ")
                .map(|rest| rest.split(" : ").next());
            rest.is_empty() || reason == Some(Some(&gap.reason))
        })
    })
}

fn finding_text(finding: &FoundRecord) -> String {
    let mut text = finding.name.clone();
    if !finding.engine.is_empty() {
        text = format!("{} {text}", finding.engine);
    }
    match finding.offset {
        Some(at) => format!("{text} (end at {at})"),
        None => text,
    }
}

fn part_text(part: &PartRecord) -> String {
    if part.detail.is_empty() {
        part.reason.clone()
    } else {
        format!("{}: {}", part.reason, part.detail)
    }
}

fn line(path: &[Element], text: &str, out: &mut Vec<u8>) {
    object_path(path).write(out);
    out.extend_from_slice(b": ");
    out.extend_from_slice(without_controls(text).as_bytes());
    out.push(b'\n');
}

fn without_controls(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn object_path(elements: &[Element]) -> ObjectPath {
    let mut names = elements.iter().map(bytes);
    let root = ObjectPath::root(names.next().unwrap_or_default());
    names.fold(root, |path, name| path.member(&name))
}

fn bytes(element: &Element) -> Vec<u8> {
    let exact = element
        .base64
        .as_ref()
        .and_then(|text| data_encoding::BASE64.decode(text.as_bytes()).ok());
    exact.unwrap_or_else(|| element.text.clone().into_bytes())
}

/// The sums of the summary.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    /// Requests of which the server told the coverage.
    covered: u64,
    objects: u64,
    bytes: u64,
    findings: u64,
    gaps: u64,
    notes: u64,
    epochs: BTreeSet<String>,
    verdict: Option<Verdict>,
}

impl Tally {
    fn count(&mut self, record: &Record) {
        self.requests += 1;
        self.findings += record.findings.len() as u64;
        self.gaps += record.gaps.len() as u64 + unlisted(record, |c| c.gaps, &record.gaps);
        self.notes += record.notes.len() as u64 + unlisted(record, |c| c.notes, &record.notes);
        if let Some(counts) = &record.coverage {
            self.covered += 1;
            self.objects = self.objects.saturating_add(counts.objects);
            self.bytes = self.bytes.saturating_add(counts.bytes);
        }
        self.epochs.extend(record.epoch.clone());
        self.verdict = self.verdict.max(Some(record.verdict));
    }

    fn write(&self, time: Duration, out: &mut Vec<u8>) {
        let epochs: Vec<_> = self.epochs.iter().map(|e| without_controls(e)).collect();
        let verdict = match self.verdict {
            Some(Verdict::Clean) => "clean",
            Some(Verdict::Infected) => "infected",
            Some(Verdict::Incomplete) | None => "incomplete",
        };
        let rows = [
            ("Requests", self.requests.to_string()),
            ("Objects", self.known(self.objects)),
            ("Bytes", self.known(self.bytes)),
            ("Findings", self.findings.to_string()),
            ("Gaps", self.gaps.to_string()),
            ("Notes", self.notes.to_string()),
            ("Time", format!("{:.3} s", time.as_secs_f64())),
            ("Database", or_unknown(epochs.join(", "))),
            ("Verdict", verdict.to_owned()),
        ];
        out.extend_from_slice(b"\n----------- SCAN SUMMARY -----------\n");
        for (name, value) in rows {
            out.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
    }

    /// A sum over the requests with coverage, which an old server never tells.
    fn known(&self, sum: u64) -> String {
        match self.covered {
            0 => or_unknown(String::new()),
            covered if covered < self.requests => format!("at least {sum}"),
            _ => sum.to_string(),
        }
    }
}

fn or_unknown(text: String) -> String {
    if text.is_empty() {
        "unknown".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::session::testing::record;
    use serde_json::Value;

    fn printed(form: Form, records: &[Record]) -> Vec<u8> {
        let mut printer = Printer::new(Vec::new(), form);
        for record in records {
            printer.record(record, None).unwrap();
        }
        printer.finish().unwrap();
        std::mem::take(&mut printer.out)
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
            b"\"/a\xff\": MD5 Bad",
            b"\"/a\xff\" -> \"n\": NOT SCANNED unsupported/xz: \\u{1b}[2J",
            b"\"/a\xff\": NOT SCANNED excluded/link",
            b"\"/a\xff\": NOT SCANNED: 3 more, which the server does not list",
            b"\"/b\": NOT SCANNED ENOENT \"/b\"",
            b"\"/c\": INFECTED, and the server does not say by what",
            b"\"/d\": NOT SCANNED connection lost: gone",
            b"",
        ];
        let got = printed(Form::Quiet, &samples());
        assert_eq!(
            got.escape_ascii().to_string(),
            lines.join(&b'\n').escape_ascii().to_string()
        );
    }

    #[test]
    fn notes_and_a_summary_come_with_the_text() {
        let text = printed(Form::Text, &samples());
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(": note changed: grew\n"), "{text}");
        let summary = text.split_once("SUMMARY -----------\n").unwrap().1;
        let (before, after) = summary.split_once("Time: ").unwrap();
        assert_eq!(
            before,
            "Requests: 5\nObjects: at least 2\nBytes: at least 68\nFindings: 2\nGaps: 5\nNotes: 1\n"
        );
        assert!(
            after.ends_with(" s\nDatabase: 3:00ff\nVerdict: infected\n"),
            "{after}"
        );
    }

    #[test]
    fn a_server_without_coverage_leaves_the_sums_unknown() {
        let text = printed(Form::Text, &[record(b"/e", &[b"1 DONE : \"/e\""])]);
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
            let text = printed(Form::Quiet, &[record(b"/a", &[gap, error])]);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.lines().count(), *lines, "{text}");
        }
        let gap: &[u8] = b"1 SKIPPED unreadable/ENOENT : \"/a\" : -";
        let text = printed(Form::Quiet, &[record(b"/a", &[gap, b"1 ENOENT \"/a\""])]);
        assert_eq!(text, b"\"/a\": NOT SCANNED unreadable/ENOENT\n");
    }

    #[test]
    fn json_is_one_line_each_and_as_the_schema_says() {
        let schema: Value =
            serde_json::from_str(include_str!("../../docs/schema/verdict-1.json")).unwrap();
        let records = samples();
        let text = String::from_utf8(printed(Form::Json, &records)).unwrap();
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
            serde_json::from_str(include_str!("../../docs/schema/verdict-1.json")).unwrap();
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
}
