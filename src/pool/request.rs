//! A request while it runs: its way through the files, and what its items have said so far.
#![forbid(unsafe_code)]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::account::{Account, Known};
use super::mailbox::Mailbox;
use crate::event::{Coverage, Epoch, Event, Finding, Gap, Limit, Reason, Sink};
use crate::files::{Files, Next};
use crate::metrics::{End, Metrics};
use crate::path::ObjectPath;
use crate::policy::{Action, Policy};
use crate::request::{Options, Request, Wanted};
use crate::scan::Outcome;
use crate::stop::Cancel;
use crate::verdict::{JobId, Report, Summary};

/// Gaps and notes of a request that are reported one by one; beyond, they are only counted (design: on the wire).
const DETAILS: u64 = 1000;

/// How many of these may be gaps that do not change the verdict: ten thousand links in a folder must not take the
/// place of the one archive that could not be opened.
const PASSED: u64 = 500;

/// A request and its place among its files: with one worker at a time.
pub(super) struct Running {
    files: Files,
    request: Arc<Shared>,
    /// No step was taken yet.
    waits: bool,
}

/// What all workers on items of the same request share.
pub(super) struct Shared {
    job: JobId,
    details: bool,
    sha1: bool,
    findings: Wanted,
    /// Something was found that was enough.
    satisfied: AtomicBool,
    options: Arc<Options>,
    mailbox: Arc<Mailbox>,
    policy: Arc<Policy>,
    cancel: Cancel,
    account: Arc<Account>,
    since: Instant,
    progress: Mutex<Progress>,
}

struct Progress {
    summary: Summary,
    /// Gaps and notes reported so far.
    details: Details,
    /// Items begun and not ended, and one more until the way through the files is at its end.
    open: u64,
    /// The first finding that was reported, for the log.
    first: Option<Finding>,
    digest: Digest,
}

/// Tells what was scanned from other contents, whatever the order of its items.
enum Digest {
    /// Of the items so far: the exclusive or of theirs.
    Known([u8; 32]),
    /// Of one item there is none.
    None,
}

impl Digest {
    fn add(&mut self, item: Option<[u8; 32]>) {
        match (&mut *self, item) {
            (Self::Known(all), Some(item)) => {
                let pairs = all.iter_mut().zip(item);
                pairs.for_each(|(all, byte)| *all ^= byte);
            }
            _ => *self = Self::None,
        }
    }
}

#[derive(Default)]
struct Details {
    gaps: u64,
    passed: u64,
    notes: u64,
}

impl Details {
    /// Counts an event in, and tells whether it is one of those that are reported.
    fn take(&mut self, event: &Event, policy: &Policy) -> bool {
        match event {
            Event::Finding(_) | Event::Scanning(_) => true,
            Event::Described(_) => false,
            Event::Gap(gap) if policy.action(&gap.reason) == Action::Pass => {
                self.passed += 1;
                self.passed <= PASSED
            }
            Event::Gap(_) => {
                self.gaps += 1;
                self.gaps <= DETAILS - PASSED
            }
            Event::Note(_) => {
                self.notes += 1;
                self.notes <= DETAILS
            }
        }
    }
}

impl Running {
    /// A request for these files that has not begun.
    pub(super) fn new(
        job: JobId,
        request: Request,
        files: Files,
        mailbox: Arc<Mailbox>,
        policy: Arc<Policy>,
        cancel: Cancel,
        account: Arc<Account>,
    ) -> Self {
        let path = ObjectPath::root(request.source.name().to_vec());
        let summary = Summary::new(path);
        Self {
            files,
            waits: true,
            request: Arc::new(Shared {
                job,
                details: request.details,
                sha1: request.sha1,
                findings: request.findings,
                satisfied: AtomicBool::new(false),
                options: request.options,
                mailbox,
                policy,
                cancel,
                account,
                since: Instant::now(),
                progress: Mutex::new(Progress {
                    summary,
                    details: Details::default(),
                    open: 1,
                    first: None,
                    digest: Digest::Known([0; 32]),
                }),
            }),
        }
    }

    /// Takes one step through the files. There is none any more once enough was found.
    pub(super) fn next_step(&mut self) -> Next {
        if std::mem::take(&mut self.waits) {
            let shared = &self.request;
            shared.metrics().waits.observe(shared.since.elapsed());
        }
        match self.request.is_satisfied() {
            true => Next::End,
            false => self.files.next_step(),
        }
    }

    /// What its items share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.request
    }

    #[cfg(test)]
    pub(super) fn job(&self) -> JobId {
        self.request.job
    }
}

impl Shared {
    /// The options that the request came with.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// The flag that its client raises by going away.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Where what it does is counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.account.metrics
    }

    /// True if the SHA-1 of this item is wanted: of the named file, not of the files in a named folder.
    pub(super) fn wants_sha1(&self, depth: u32) -> bool {
        self.sha1 && depth == 0
    }

    /// Counts an item in.
    pub(super) fn begin(&self) {
        self.lock().open += 1;
    }

    /// Counts an item out, with what was done.
    pub(super) fn end(&self, outcome: Outcome, epoch: Epoch) {
        let mut progress = self.lock();
        let summary = &mut progress.summary;
        summary.coverage.add(Coverage {
            objects: outcome.objects,
            bytes: outcome.bytes,
            ..Coverage::default()
        });
        summary.epoch = Some(epoch);
        summary.sha1 = outcome.sha1.or(summary.sha1.take());
        progress
            .digest
            .add(outcome.content.and_then(|content| content.sha256));
        self.close_one(progress);
    }

    /// Says that no more items come.
    pub(super) fn exhausted(&self) {
        self.close_one(self.lock());
    }

    fn close_one(&self, mut progress: MutexGuard<'_, Progress>) {
        progress.open -= 1;
        if progress.open == 0 {
            let summary = Box::new(progress.summary.clone());
            let first = progress.first.take();
            let content = match progress.digest {
                Digest::Known(digest) => Some(digest),
                Digest::None => None,
            };
            drop(progress);
            // What nobody waits for ends here too, where it has but little left to do.
            let end = match self.cancel.is_cancelled() {
                true => End::Cancelled,
                false => End::Verdict(summary.verdict()),
            };
            let known = Known {
                first: first.as_ref(),
                content,
                after: Some(self.since.elapsed()),
            };
            self.account.ended(self.job, end, &summary, known);
            self.mailbox.deliver(self.job, Report::Ended(summary));
        }
    }

    fn is_satisfied(&self) -> bool {
        self.satisfied.load(Ordering::Relaxed)
    }

    /// Takes an event of the request itself or of one of its items.
    pub(super) fn event(&self, event: Event) -> ControlFlow<()> {
        if self.cancel.is_cancelled() || self.is_satisfied() {
            return ControlFlow::Break(());
        }
        if let Event::Finding(finding) = &event
            && self.options.ignores(&finding.signature)
        {
            return ControlFlow::Continue(());
        }
        let ends = match &event {
            Event::Finding(finding) if self.mailbox.overflows() => Some(finding.path.clone()),
            _ => None,
        };
        let found = self.take(event);
        let Some(path) = ends else {
            return self.after(found);
        };
        // Nobody reads what it finds: it is infected beyond doubt by now, for this finding is always reported.
        self.take(Event::Gap(Gap {
            path,
            reason: Reason::Limit(Limit::Findings),
            detail: "too many are unread, nothing after it was examined".to_owned(),
        }));
        ControlFlow::Break(())
    }

    /// Whether the item goes on after an event that was, or was not, a finding in the end.
    fn after(&self, found: bool) -> ControlFlow<()> {
        match self.findings {
            Wanted::All => ControlFlow::Continue(()),
            _ if !found => ControlFlow::Continue(()),
            Wanted::FirstOfEach => ControlFlow::Break(()),
            Wanted::First => {
                self.satisfied.store(true, Ordering::Relaxed);
                ControlFlow::Break(())
            }
        }
    }

    /// Counts an event, and reports it and what the policy makes of it. True if that is a finding.
    fn take(&self, event: Event) -> bool {
        let (finding, reported) = self.count(&event);
        let is_finding = matches!(event, Event::Finding(_));
        if reported {
            self.report(event);
        }
        match finding.filter(|finding| !self.options.ignores(&finding.signature)) {
            Some(finding) => self.take(Event::Finding(finding)),
            None => is_finding,
        }
    }

    fn count(&self, event: &Event) -> (Option<Finding>, bool) {
        let mut progress = self.lock();
        let finding = progress.summary.count(event, &self.policy);
        match event {
            Event::Finding(finding) => {
                self.metrics().found.count(&finding.signature);
                if progress.first.is_none() && self.account.is_kept() {
                    progress.first = Some(finding.clone());
                }
            }
            Event::Gap(gap) => {
                let action = self.policy.action(&gap.reason);
                self.metrics().gaps.count(&gap.reason, action);
            }
            Event::Scanning(_) | Event::Described(_) | Event::Note(_) => {}
        }
        (finding, progress.details.take(event, &self.policy))
    }

    fn report(&self, event: Event) {
        let report = match event {
            Event::Scanning(path) => Report::Scanning(path),
            Event::Finding(finding) => Report::Finding(finding),
            Event::Gap(gap) if self.details => {
                let passes = self.policy.action(&gap.reason) == Action::Pass;
                Report::Gap(gap, passes)
            }
            Event::Note(note) if self.details => Report::Note(note),
            Event::Described(_) | Event::Gap(_) | Event::Note(_) => return,
        };
        self.mailbox.deliver(self.job, report);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let progress = self.progress.get_mut();
        let progress = progress.unwrap_or_else(PoisonError::into_inner);
        if progress.open > 0 {
            // Its client has gone, and its items with it.
            let known = Known {
                first: progress.first.as_ref(),
                after: Some(self.since.elapsed()),
                ..Known::default()
            };
            (self.account).ended(self.job, End::Cancelled, &progress.summary, known);
        }
    }
}

/// A sink for the events of one item.
pub(super) struct ItemSink<'a> {
    request: &'a Shared,
    /// It was told to end: what it says until it does is not wanted.
    flow: ControlFlow<()>,
}

impl<'a> ItemSink<'a> {
    pub(super) fn new(request: &'a Shared) -> Self {
        Self {
            request,
            flow: ControlFlow::Continue(()),
        }
    }
}

impl Sink for ItemSink<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        if self.flow.is_continue() {
            self.flow = self.request.event(event);
        }
        self.flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EngineWord, Place, SignatureName};
    use crate::policy::{Listener, Rule};
    use crate::request::Source;
    use crate::verdict::Verdict;

    fn finding(name: &str) -> Finding {
        Finding {
            signature: SignatureName::new(EngineWord::Cvdl, name),
            path: ObjectPath::root("/x"),
            view: None,
            place: Place::Digest,
        }
    }

    #[test]
    fn a_finding_stands_under_every_policy_however_much_is_unread() {
        for rule in ["limit=error", "limit=pass", "limit=infected"] {
            let mailbox = Arc::new(Mailbox::default());
            // What other requests of the same client left unread.
            while !mailbox.overflows() {
                mailbox.deliver(1, Report::Finding(finding("other")));
            }
            let mut policy = Policy::usual(Listener::Svsp);
            rule.parse::<Rule>()
                .unwrap()
                .apply(Listener::Svsp, &mut policy);
            let request = Request {
                source: Source::Path(b"/x".to_vec()),
                options: Arc::new(Options::default()),
                sha1: false,
                details: false,
                findings: Wanted::All,
            };
            let cancel = Cancel::default();
            let files = Files::new(b"/x".to_vec(), request.options.clone(), Arc::default());
            let policy = Arc::new(policy);
            let account = Arc::default();
            let running = Running::new(2, request, files, mailbox.clone(), policy, cancel, account);
            let flow = running.shared().event(Event::Finding(finding("mine")));
            assert_eq!(flow, ControlFlow::Break(()), "{rule}: the item ends");
            running.shared().exhausted();
            let mine: Vec<_> = std::iter::from_fn(|| mailbox.take())
                .map(|taken| taken.report)
                .filter(|(job, _)| *job == 2)
                .collect();
            let found = |(_, report): &&(JobId, Report)| matches!(report, Report::Finding(_));
            let reported = mine.iter().filter(found).count() as u64;
            let Some((_, Report::Ended(summary))) = mine.last() else {
                panic!("{rule}: no end");
            };
            assert_eq!(summary.verdict(), Verdict::Infected, "{rule}");
            assert_eq!(
                summary.findings, reported,
                "{rule}: DONE counts what was sent"
            );
            assert_eq!(summary.coverage.gaps, 1, "{rule}");
        }
    }

    #[test]
    fn an_item_ends_with_the_finding_that_is_enough() {
        // Findings of two items, two each; how many are reported, and whether the request goes on.
        for (findings, reported, goes_on) in [
            (Wanted::All, 4, true),
            (Wanted::FirstOfEach, 2, true),
            (Wanted::First, 1, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap().as_bytes().to_vec();
            let mailbox = Arc::new(Mailbox::default());
            let request = Request {
                source: Source::Path(path.clone()),
                options: Arc::new(Options::default()),
                sha1: false,
                details: false,
                findings,
            };
            let files = Files::new(path, request.options.clone(), Arc::default());
            let policy = Arc::new(Policy::usual(Listener::Svsp));
            let cancel = Cancel::default();
            let account = Arc::default();
            let mut running =
                Running::new(1, request, files, mailbox.clone(), policy, cancel, account);
            let shared = Arc::clone(running.shared());
            for _ in 0..2 {
                let mut item = ItemSink::new(&shared);
                for name in ["one", "two"] {
                    let _ = item.event(Event::Finding(finding(name)));
                }
            }
            let ends = matches!(running.next_step(), Next::End);
            let count = std::iter::from_fn(|| mailbox.take()).count();
            assert_eq!((count, !ends), (reported, goes_on), "{findings:?}");
        }
    }
}
