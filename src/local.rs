//! `vfind`: the same scan without a daemon, in the original's output form.
//!
//! What the lines look like is in `chevron`.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::chevron::{SCANNER, Weight};
use crate::config::ScannerConfig;
use crate::database::Live;
use crate::event::{Finding, Gap};
use crate::path::ObjectPath;
use crate::policy::{Action, Listener, Policy};
use crate::pool::{Client, Pool};
use crate::request::{Options, Request, Source};
use crate::verdict::{Exit, JobId, Report, Summary, describe};

/// Scans what the command line names and prints what comes of it.
///
/// # Errors
/// For people: signatures that cannot be loaded, workers that cannot be started, output that is not taken.
pub fn run(config: ScannerConfig) -> Result<Exit, String> {
    let (live, complaints) =
        Live::start(config.common.sources.clone()).map_err(|error| error.to_string())?;
    crate::log::complaints(&complaints);
    let live = Arc::new(live);
    if config.common.list_signatures {
        crate::log::list_signatures(&live.current().database)?;
        return Ok(Exit::Clean);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(scan(config, live))
}

async fn scan(config: ScannerConfig, live: Arc<Live>) -> Result<Exit, String> {
    let policy = Arc::new(config.common.policy(Listener::Vfind));
    let pool = Pool::start(
        config.common.threads,
        Arc::clone(&live),
        config.common.terms,
    );
    let pool = pool.map_err(|error| format!("cannot start workers: {error}"))?;
    let client = pool.client(Arc::clone(&policy));
    let mut chevrons = Chevrons {
        out: BufWriter::new(io::stdout().lock()),
        quiet: config.common.quiet,
        policy,
    };
    let written = match chevrons.opening(&live) {
        Ok(()) => {
            let options = Arc::new(Options::default());
            for (job, path) in config.paths.iter().enumerate() {
                let source = Source::Path(path.as_os_str().as_bytes().to_vec());
                let options = Arc::clone(&options);
                client.submit(
                    job as JobId,
                    Request {
                        source,
                        options,
                        sha1: false,
                        details: true,
                    },
                );
            }
            chevrons.reports(&client, config.paths.len()).await
        }
        Err(error) => Err(error),
    };
    match written {
        // A reader that has had enough cannot be told more, but it must not take this for a clean end.
        Err(error) => Err(format!("cannot write: {error}")),
        Ok(exit) => Ok(exit),
    }
}

/// Prints reports in the original's form.
struct Chevrons<W> {
    out: W,
    quiet: u8,
    policy: Arc<Policy>,
}

impl<W: Write> Chevrons<W> {
    fn opening(&mut self, live: &Live) -> io::Result<()> {
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

    async fn reports(&mut self, client: &Client, requests: usize) -> io::Result<Exit> {
        let mut open = requests;
        let mut exit = Exit::Clean;
        while open > 0 {
            let Some((_, report)) = client.take() else {
                self.out.flush()?;
                client.arrived().await;
                continue;
            };
            if let Report::Ended(summary) = &report {
                open -= 1;
                exit = exit.max(summary.verdict().into());
            }
            self.report(&report)?;
        }
        self.out.flush()?;
        Ok(exit)
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        match report {
            Report::Scanning(path) if self.quiet < 1 => {
                self.line(Weight::Information, "Checking file: ", path, "")
            }
            Report::Finding(finding) => self.finding(finding),
            Report::Gap(gap) => self.gap(gap),
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
