//! `vfind`: the same scan without a daemon, in the original's output form.
#![forbid(unsafe_code)]

mod chevrons;
mod content;
mod explain;
mod listing;
mod names;
mod tree;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::{Input, ScannerConfig};
use crate::database::Live;
use crate::event::{Event, Exclusion, Gap, Reason};
use crate::journal::Origin;
use crate::path::ObjectPath;
use crate::pidfile::{self, PidFile};
use crate::policy::{Action, Listener, Policy};
use crate::pool::{Client, Pool, Writers};
use crate::request::{Options, Request, Source, Wanted};
use crate::verdict::{Exit, JobId, Report, Summary};

use chevrons::Chevrons;

/// Requests that are open at once: enough that no worker waits for the next, few enough that millions of names take no
/// memory.
const WINDOW: usize = 64;

/// Scans what the command line and standard input name and prints what comes of it.
///
/// # Errors
/// For people: signatures that cannot be loaded, workers that cannot be started, output that is not taken, names that
/// cannot be read.
pub fn run(config: ScannerConfig) -> Result<Exit, String> {
    let common = &config.common;
    let live = Live::start(common.signatures.clone()).map_err(|error| error.to_string())?;
    crate::log::loaded(&live.current().report, common.exit_on_complaints)?;
    let live = Arc::new(live);
    if common.list_signatures {
        crate::log::list_signatures(&live.current().database)?;
        return Ok(Exit::Clean);
    }
    if let Some(name) = &config.explain {
        return explain::explain(name, &config, &live.current());
    }
    if let Some(form) = config.tree {
        return tree::tree(form, &config, &live.current());
    }
    // Held until the end, and removed then.
    let _pid_file = common.pidfile.as_deref().map(PidFile::lock).transpose()?;
    if let Some(path) = &common.savepid {
        pidfile::save(path)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(scan(config, live))
}

async fn scan(config: ScannerConfig, live: Arc<Live>) -> Result<Exit, String> {
    let common = config.common;
    let policy = Arc::new(common.policy(Listener::Vfind));
    let tmpdir = common.terms.setup.tmpdir.clone();
    let pool = Pool::start(common.threads, Arc::clone(&live), common.terms);
    let pool = pool.map_err(|error| format!("cannot start workers: {error}"))?;
    let names = config.names.map(|from| names::names(from.end)).transpose();
    let names = names.map_err(|error| format!("cannot start: {error}"))?;
    let out = BufWriter::new(io::stdout().lock());
    let mut chevrons = Chevrons::new(out, common.quiet, config.unbuffered, Arc::clone(&policy));
    if common.print_pid {
        chevrons.process().map_err(unwritten)?;
    }
    chevrons.opening(&live).map_err(unwritten)?;
    let mut scan = Scan {
        client: pool.client(Arc::clone(&policy), Origin::local("vfind")),
        chevrons,
        policy,
        options: config.options,
        ignore_links: config.ignore_links,
        exit_on_gaps: common.exit_on_gaps,
        tmpdir,
        content_room: config.content_room,
        inputs: config.inputs.into(),
        names,
        has_names: false,
        jobs: 0,
        open: 0,
        is_over: false,
        exit: Exit::Clean,
    };
    scan.run().await?;
    match config.names {
        Some(names) if !scan.has_names && !scan.is_over => Err(names.missing().to_owned()),
        _ => Ok(scan.exit),
    }
}

/// A reader that has had enough cannot be told more, but it must not take this for a clean end.
fn unwritten(error: io::Error) -> String {
    format!("cannot write: {error}")
}

/// The scan of everything, as far as it has come.
struct Scan<W> {
    client: Client,
    chevrons: Chevrons<W>,
    policy: Arc<Policy>,
    options: Arc<Options>,
    ignore_links: bool,
    exit_on_gaps: bool,
    tmpdir: PathBuf,
    content_room: u64,
    /// What is known and not begun.
    inputs: VecDeque<Input>,
    /// What names come from, until its end.
    names: Option<mpsc::Receiver<io::Result<Vec<u8>>>>,
    /// One has come from there.
    has_names: bool,
    jobs: JobId,
    open: usize,
    is_over: bool,
    exit: Exit,
}

impl<W: Write> Scan<W> {
    async fn run(&mut self) -> Result<(), String> {
        while !self.is_over {
            self.begin()?;
            while let Some((_, report)) = self.client.take() {
                self.report(&report)?;
            }
            self.chevrons.flush().map_err(unwritten)?;
            let has_room = self.open < WINDOW;
            if has_room && !self.inputs.is_empty() {
                continue;
            }
            tokio::select! {
                () = self.client.arrived(), if self.open > 0 => {}
                name = next_name(&mut self.names), if has_room && self.names.is_some() => self.named(name)?,
                else => break,
            }
        }
        self.chevrons.flush().map_err(unwritten)
    }

    /// Begins as much as there is and may be open.
    fn begin(&mut self) -> Result<(), String> {
        while self.open < WINDOW && !self.is_over {
            if self.inputs.is_empty() {
                match self.names.as_mut().map(mpsc::Receiver::try_recv) {
                    Some(Ok(name)) => self.named(Some(name))?,
                    _ => return Ok(()),
                }
            }
            match self.inputs.pop_front() {
                Some(input) => self.submit(input)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn named(&mut self, name: Option<io::Result<Vec<u8>>>) -> Result<(), String> {
        match name {
            None => self.names = None,
            Some(name) => {
                let name = name.map_err(|error| format!("cannot read names: {error}"))?;
                self.has_names = true;
                self.inputs
                    .push_back(Input::named(OsStr::from_bytes(&name)));
            }
        }
        Ok(())
    }

    fn submit(&mut self, input: Input) -> Result<(), String> {
        self.jobs += 1;
        match input {
            Input::Content => {
                let input = io::stdin().lock();
                match content::spool(input, &self.tmpdir, self.content_room) {
                    Ok(file) => {
                        let request = self.request(Source::Stream(b"-".to_vec()));
                        self.client
                            .submit_content(self.jobs, request, file, Writers::None);
                    }
                    Err(reason) => return self.left_out(ObjectPath::root("-"), reason),
                }
            }
            Input::Path(path) => {
                let name = path.as_os_str().as_bytes().to_vec();
                if self.ignore_links && path.is_symlink() {
                    let reason = Reason::Excluded(Exclusion::Link);
                    return self.left_out(ObjectPath::root(name), reason);
                }
                let request = self.request(Source::Path(name));
                self.client.submit(self.jobs, request);
            }
        }
        self.open += 1;
        Ok(())
    }

    fn request(&self, source: Source) -> Request {
        Request {
            source,
            options: Arc::clone(&self.options),
            sha1: false,
            details: true,
            findings: Wanted::All,
        }
    }

    /// Reports on what does not come as far as a scan, as the scan would.
    fn left_out(&mut self, path: ObjectPath, reason: Reason) -> Result<(), String> {
        let gap = Gap {
            path: path.clone(),
            reason,
            detail: String::new(),
        };
        let mut summary = Summary::new(path);
        let finding = summary.count(&Event::Gap(gap.clone()), &self.policy);
        let passes = self.policy.action(&gap.reason) == Action::Pass;
        self.report(&Report::Gap(gap, passes))?;
        if let Some(finding) = finding {
            summary.count(&Event::Finding(finding.clone()), &self.policy);
            self.report(&Report::Finding(finding))?;
        }
        self.open += 1;
        self.report(&Report::Ended(Box::new(summary)))
    }

    fn report(&mut self, report: &Report) -> Result<(), String> {
        match report {
            Report::Ended(summary) => {
                self.open -= 1;
                self.exit = self.exit.max(summary.verdict().into());
            }
            Report::Finding(_) => self.exit = self.exit.max(Exit::Infected),
            Report::Gap(gap, _) if self.policy.action(&gap.reason) == Action::Error => {
                self.exit = self.exit.max(Exit::Incomplete);
                self.is_over |= self.exit_on_gaps;
            }
            Report::Gap(..) | Report::Note(_) | Report::Scanning(_) => {}
        }
        self.chevrons.report(report).map_err(unwritten)
    }
}

async fn next_name(
    names: &mut Option<mpsc::Receiver<io::Result<Vec<u8>>>>,
) -> Option<io::Result<Vec<u8>>> {
    match names {
        Some(names) => names.recv().await,
        None => None,
    }
}
