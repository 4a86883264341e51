//! JUnit's XML, for build servers: a test case for each record, failed when infected, in error when incomplete.
//!
//! The counts stand in front of the cases, so the cases wait: in memory while they are few, then in a temporary file
//! without a name.
#![forbid(unsafe_code)]

use std::io::{self, Seek, Write};

use tempfile::SpooledTempFile;

use super::said::{Kind, Said, quoted, statements};
use super::{Document, End};
use crate::calendar::utc;
use crate::verdict::xml::{DECLARATION, Tag, escaped};
use crate::verdict::{Record, Verdict};

/// Bytes of test cases that are kept in memory.
const KEPT: usize = 1 << 20;

/// The form.
#[derive(Debug)]
pub(super) struct Junit {
    cases: SpooledTempFile,
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    started_ms: Option<u64>,
}

impl Default for Junit {
    fn default() -> Self {
        Self {
            cases: SpooledTempFile::new(KEPT),
            tests: 0,
            failures: 0,
            errors: 0,
            skipped: 0,
            started_ms: None,
        }
    }
}

impl Document for Junit {
    fn record(&mut self, record: &Record, _: &mut Vec<u8>) -> io::Result<()> {
        self.tests += 1;
        self.started_ms.get_or_insert(record.times.started_ms);
        let all = statements(record);
        let mut tag = Tag::new("testcase");
        tag.shown("classname", "vfindc");
        tag.shown("name", record.path.first().map_or("", |name| &name.text));
        tag.shown("time", &seconds(record.times.elapsed_ms));
        let outcome = match record.verdict {
            Verdict::Infected => {
                self.failures += 1;
                outcome("failure", "infected", &all)
            }
            Verdict::Incomplete => {
                self.errors += 1;
                outcome("error", "incomplete", &all)
            }
            Verdict::Clean if all.iter().any(|said| leaves_out_all(said, record)) => {
                self.skipped += 1;
                outcome("skipped", "", &all)
            }
            Verdict::Clean => {
                return writeln!(self.cases, "{}", tag.closed());
            }
        };
        writeln!(self.cases, "{}{outcome}</testcase>", tag.open())
    }

    fn end(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        // A run that failed is an error even if no record says so: the server may never have been reached.
        if let Err(failure) = &end.result {
            self.tests += 1;
            self.errors += 1;
            let mut tag = Tag::new("error");
            tag.shown("type", "failure");
            tag.shown("message", &failure.to_string());
            writeln!(
                self.cases,
                "<testcase classname=\"vfindc\" name=\"vfindc\" time=\"0.000\">{}</testcase>",
                tag.closed()
            )?;
        }
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
            self.tests,
            self.failures,
            self.errors,
            self.skipped,
            end.time.as_secs_f64()
        );
        let begun = self
            .started_ms
            .map_or(String::new(), |ms| format!(" timestamp=\"{}\"", utc(ms)));
        writeln!(
            out,
            "{DECLARATION}<testsuites {counts}>\n<testsuite name=\"vfindc\" {counts}{begun}>"
        )?;
        self.cases.rewind()?;
        io::copy(&mut self.cases, out)?;
        out.write_all(b"</testsuite>\n</testsuites>\n")
    }
}

/// True if the request left out the very thing that it names, so that nothing was looked at.
fn leaves_out_all(said: &Said<'_>, record: &Record) -> bool {
    said.kind == Kind::LeftOut && said.path == record.path
}

/// The element that says what came of a case, with all that was said about it.
fn outcome(element: &str, kind: &str, all: &[Said<'_>]) -> String {
    let mut tag = Tag::new(element);
    tag.shown("message", &all.first().map(Said::text).unwrap_or_default());
    if !kind.is_empty() {
        tag.shown("type", kind);
    }
    let lines: Vec<_> = all
        .iter()
        .map(|said| {
            let word = match said.kind {
                Kind::Quarantined => "quarantined as ",
                _ => "",
            };
            format!("{}: {word}{}", quoted(said.path), said.text())
        })
        .collect();
    let lines = escaped(&lines.join("\n"));
    format!("{}{lines}</{element}>", tag.open())
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
