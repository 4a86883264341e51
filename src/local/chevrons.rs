//! The original's output form: every line begins with a chevron whose length is its weight (spec-vfind.md §3.1).
//!
//! Gateways look for the two lines of a virus, which stand together and always carry the word `CVDL`. Lines end in LF
//! alone: a CR would become part of the name.
//! What the lines look like is in `chevron`.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::sync::Arc;

use crate::chevron::{SCANNER, Weight};
use crate::database::Live;
use crate::event::{Finding, Gap};
use crate::path::ObjectPath;
use crate::policy::{Action, Policy};
use crate::verdict::{Report, Summary, describe};

use super::listing;

/// Prints reports in the original's form.
pub(super) struct Chevrons<W> {
    out: W,
    quiet: u8,
    /// Each line is written at once.
    unbuffered: bool,
    policy: Arc<Policy>,
}

impl<W: Write> Chevrons<W> {
    /// Prints to `out`, whatever `quiet` leaves of it.
    pub(super) fn new(out: W, quiet: u8, unbuffered: bool, policy: Arc<Policy>) -> Self {
        Self {
            out,
            quiet,
            unbuffered,
            policy,
        }
    }

    /// Writes what is held back.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Says which process this is.
    pub(super) fn process(&mut self) -> io::Result<()> {
        writeln!(self.out, "##==> Process: {}", std::process::id())
    }

    /// Says which program this is, and which signatures it has.
    pub(super) fn opening(&mut self, live: &Live) -> io::Result<()> {
        if self.quiet < 1 {
            let (version, release, patch) = (
                env!("CARGO_PKG_VERSION_MAJOR"),
                env!("CARGO_PKG_VERSION_MINOR"),
                env!("CARGO_PKG_VERSION_PATCH"),
            );
            writeln!(
                self.out,
                "##==> VFind Version: {version}, Release: {release}, Patchlevel: {patch} (vfind)"
            )?;
        }
        let current = live.current();
        self.out.write_all(&listing::lines(&current, self.quiet))?;
        if current.test_signatures_only && self.quiet < 2 {
            writeln!(
                self.out,
                "##==>> Test signatures only: nothing but EICAR and demonstrations is found"
            )?;
        }
        if self.quiet < 1 {
            writeln!(
                self.out,
                "##==> {} signatures, database {}",
                current.database.count(),
                current.epoch
            )?;
        }
        self.out.flush()
    }

    /// Says what a scan says.
    pub(super) fn report(&mut self, report: &Report) -> io::Result<()> {
        self.say(report)?;
        match self.unbuffered {
            true => self.out.flush(),
            false => Ok(()),
        }
    }

    fn say(&mut self, report: &Report) -> io::Result<()> {
        match report {
            Report::Scanning(path) if self.quiet < 1 => {
                self.line(Weight::Information, "Checking file: ", path, "")
            }
            Report::Finding(finding) => self.finding(finding),
            Report::Gap(gap, _) => self.gap(gap),
            Report::Note(note) if self.quiet < 2 => self.line(
                Weight::Notice,
                "Note: ",
                &note.path,
                &format!(": {} {}", note.kind, note.detail),
            ),
            Report::Ended(summary) if self.quiet < 1 => self.summary(summary),
            Report::Ended(_) | Report::Note(_) | Report::Scanning(_) => Ok(()),
        }
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        let signature = &finding.signature;
        let mut lines = Vec::new();
        SCANNER.virus(
            &finding.path,
            &signature.engine.to_string(),
            &signature.name,
            &mut lines,
        );
        self.out.write_all(&lines)
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        let weight = match self.policy.action(&gap.reason) {
            Action::Pass if self.quiet > 0 => return Ok(()),
            Action::Pass => Weight::Information,
            Action::Error | Action::Infected => Weight::Problem,
        };
        self.line(
            weight,
            "NOT SCANNED: ",
            &gap.path,
            &format!(": {}", describe(&gap.reason, &gap.detail)),
        )
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        let counts = summary.coverage;
        let text = format!(
            ": {} objects, {} bytes, {} found, {} not scanned",
            counts.objects, counts.bytes, summary.findings, counts.gaps
        );
        self.line(Weight::Information, "Done: ", &summary.path, &text)
    }

    fn line(
        &mut self,
        weight: Weight,
        word: &str,
        path: &ObjectPath,
        text: &str,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        SCANNER.line(weight, word, path, text, &mut line);
        self.out.write_all(&line)
    }
}
