//! The reports on one request, on their way to being a [`Record`].
#![forbid(unsafe_code)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::event::{Finding, Gap, Limit, Reason};
use crate::path::ObjectPath;
use crate::verdict::{PartRecord, Record, Report, Summary, Verdict};

/// The findings that are kept: a folder can have more.
const FINDINGS: usize = 10_000;

/// A request that is being scanned.
#[derive(Debug)]
pub(super) struct Gathering {
    record: Record,
    begun: Instant,
    /// Findings that are not kept.
    dropped: u64,
}

impl Gathering {
    /// The answer to a request under this name, before the first report.
    pub(super) fn new(name: &[u8], request: Option<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default().as_millis();
        let path = ObjectPath::root(name.to_vec());
        Self {
            record: Record::begun(request, &path, u64::try_from(since).unwrap_or(u64::MAX)),
            begun: Instant::now(),
            dropped: 0,
        }
    }

    /// Takes the next report; the last one gives the summary.
    pub(super) fn take<'a>(&mut self, report: &'a Report) -> Option<&'a Summary> {
        match report {
            Report::Scanning(_) => {}
            Report::Finding(finding) => self.found(finding),
            Report::Gap(gap, passes) => self.record.gaps.push(part(gap).passing(*passes)),
            Report::Note(note) => {
                let kind = note.kind.to_string();
                let note = PartRecord::new(&note.path, kind, note.detail.clone());
                self.record.notes.push(note);
            }
            Report::Ended(summary) => {
                self.end(summary);
                return Some(summary);
            }
        }
        None
    }

    fn found(&mut self, finding: &Finding) {
        match self.record.findings.len() < FINDINGS {
            true => self.record.findings.push(finding.into()),
            false => self.dropped += 1,
        }
    }

    fn end(&mut self, summary: &Summary) {
        self.record.verdict = summary.verdict();
        self.record.coverage = Some(summary.coverage);
        self.record.epoch = summary.epoch.as_ref().map(ToString::to_string);
        self.record.sha1.clone_from(&summary.sha1);
        if self.dropped > 0 {
            let reason = Reason::Limit(Limit::Findings).to_string();
            let detail = format!("{} findings more are not listed", self.dropped);
            let part = PartRecord::new(&summary.path, reason, detail);
            self.record.gaps.push(part.passing(false));
            if let Some(counts) = &mut self.record.coverage {
                counts.gaps = counts.gaps.max(self.record.gaps.len() as u64);
            }
        }
    }

    /// Ends it before its time, with a gap that no policy passes: nobody knows what was still to come.
    pub(super) fn cut_off(&mut self, gap: &Gap) {
        self.record.gaps.push(part(gap).passing(false));
        if !self.record.findings.is_empty() {
            self.record.verdict = Verdict::Infected;
        }
    }

    /// The record as it stands.
    pub(super) fn into_record(mut self) -> Record {
        let elapsed = self.begun.elapsed().as_millis();
        self.record.times.elapsed_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.record
    }
}

fn part(gap: &Gap) -> PartRecord {
    PartRecord::new(&gap.path, gap.reason.to_string(), gap.detail.clone())
}
