//! The sums over all records.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::said::{left_out, unlisted};
use crate::verdict::{Record, Verdict};

/// Different words, or databases, that are kept apart. A server that knows more is making them up.
const DISTINCT: usize = 16;

/// What the records come to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: u64,
    /// Requests of which the server told the coverage.
    covered: u64,
    objects: u64,
    bytes: u64,
    findings: u64,
    /// Parts not examined, without what was left out.
    gaps: u64,
    /// Those of them that the policy passes.
    passed: u64,
    /// What the requests themselves left out, by the word that says why.
    left_out: BTreeMap<String, u64>,
    notes: u64,
    quarantined: u64,
    epochs: BTreeSet<String>,
    verdict: Option<Verdict>,
}

impl Tally {
    pub(super) fn count(&mut self, record: &Record) {
        self.requests += 1;
        self.findings += record.findings.len() as u64;
        for gap in &record.gaps {
            match left_out(gap) {
                Some(word) => self.leave_out(word),
                None => {
                    self.gaps += 1;
                    self.passed += u64::from(gap.passes == Some(true));
                }
            }
        }
        let unlisted_gaps = unlisted(record, |c| c.gaps, &record.gaps);
        self.gaps += unlisted_gaps;
        if record.verdict == Verdict::Clean {
            self.passed += unlisted_gaps;
        }
        self.notes += record.notes.len() as u64 + unlisted(record, |c| c.notes, &record.notes);
        if let Some(counts) = &record.coverage {
            self.covered += 1;
            self.objects = self.objects.saturating_add(counts.objects);
            self.bytes = self.bytes.saturating_add(counts.bytes);
        }
        // Where nothing was matched a server says that it used none.
        let epoch = record.epoch.as_ref().filter(|epoch| *epoch != "-");
        if self.epochs.len() < DISTINCT {
            self.epochs.extend(epoch.cloned());
        }
        self.quarantined += u64::from(record.quarantined.is_some());
        self.verdict = self.verdict.max(Some(record.verdict));
    }

    fn leave_out(&mut self, word: &str) {
        let known = self.left_out.contains_key(word) || self.left_out.len() < DISTINCT;
        let word = if known { word } else { "other" };
        *self.left_out.entry(word.to_owned()).or_default() += 1;
    }

    /// The rows of the summary: a name and its value.
    pub(super) fn rows(&self, time: Duration) -> Vec<(&'static str, String)> {
        let epochs: Vec<_> = self.epochs.iter().map(String::as_str).collect();
        let mut rows = vec![
            ("Requests", self.requests.to_string()),
            ("Objects", self.known(self.objects)),
            ("Bytes", self.known(self.bytes)),
            ("Findings", self.findings.to_string()),
            ("Gaps", self.gap_words()),
        ];
        if !self.left_out.is_empty() {
            rows.push(("Left out", self.left_out_words()));
        }
        rows.push(("Notes", self.notes.to_string()));
        if self.quarantined > 0 {
            rows.push(("Quarantined", self.quarantined.to_string()));
        }
        rows.push(("Time", format!("{:.3} s", time.as_secs_f64())));
        rows.push(("Database", or_unknown(epochs.join(", "))));
        rows
    }

    /// The verdict over all. A run without any request is one over empty folders; one that was asked nothing fails.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::Clean)
    }

    /// `12, 3 of them passed by the policy`.
    fn gap_words(&self) -> String {
        match self.passed {
            0 => self.gaps.to_string(),
            passed => format!("{}, {passed} of them passed by the policy", self.gaps),
        }
    }

    /// `5470: 5460 link, 10 fifo`, the most first.
    fn left_out_words(&self) -> String {
        let mut words: Vec<_> = self.left_out.iter().collect();
        words.sort_by(|a, b| b.1.cmp(a.1));
        let sum: u64 = self.left_out.values().sum();
        let words: Vec<_> = words
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        format!("{sum}: {}", words.join(", "))
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
