//! The original's form, with the three hashes of its client (spec-vfind.md §1.9, §3.1).
#![forbid(unsafe_code)]

use std::io;

use super::said::{Kind, Said, statements};
use super::{Document, Setting};
use crate::chevron::{CLIENT, Weight};
use crate::verdict::{FoundRecord, Record, Verdict, object_path};

/// The form.
#[derive(Debug)]
pub(super) struct Chevrons {
    quiet: u8,
}

impl Chevrons {
    /// The form as it was asked for.
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            quiet: setting.quiet,
        }
    }

    fn line(&self, weight: Weight, word: &str, said: &Said<'_>, out: &mut Vec<u8>) {
        let silent = match weight {
            Weight::Information => self.quiet > 0,
            Weight::Notice => self.quiet > 1,
            Weight::Problem | Weight::Virus => false,
        };
        if !silent {
            let text = format!(": {}", said.text());
            CLIENT.line(weight, word, &object_path(said.path), &text, out);
        }
    }

    fn done(&self, record: &Record, out: &mut Vec<u8>) {
        if self.quiet > 0 {
            return;
        }
        let text = match &record.coverage {
            Some(counts) => format!(
                ": {} objects, {} bytes, {} found, {} not scanned",
                counts.objects,
                counts.bytes,
                record.findings.len(),
                counts.gaps
            ),
            None => format!(": {} found", record.findings.len()),
        };
        let path = object_path(&record.path);
        CLIENT.line(Weight::Information, "Done: ", &path, &text, out);
    }
}

impl Document for Chevrons {
    fn record(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        for FoundRecord {
            path, engine, name, ..
        } in &record.findings
        {
            CLIENT.virus(&object_path(path), engine, name, out);
        }
        // Of a clean record the server's policy passes all gaps.
        let gap = match record.verdict {
            Verdict::Clean => Weight::Information,
            Verdict::Incomplete | Verdict::Infected => Weight::Problem,
        };
        for said in statements(record) {
            match said.kind {
                Kind::Finding => {}
                Kind::Unnamed => CLIENT.virus(&object_path(said.path), "", "unnamed", out),
                Kind::Gap | Kind::MoreGaps => self.line(gap, "NOT SCANNED: ", &said, out),
                Kind::Error => {
                    self.line(Weight::Problem, "SCAN command failed: ", &said, out);
                }
                Kind::LeftOut => self.line(Weight::Information, "Not scanning: ", &said, out),
                Kind::Note | Kind::MoreNotes => self.line(Weight::Notice, "Note: ", &said, out),
                Kind::Quarantined => self.line(Weight::Notice, "Quarantined: ", &said, out),
            }
        }
        self.done(record, out);
        Ok(())
    }
}
