//! A connection without a socket, and a pool that only says it has scanned.

use std::collections::VecDeque;

use super::*;
use crate::event::{
    Coverage, EngineWord, Epoch, Exclusion, Finding, Gap, Limit, Place, SignatureName,
};
use crate::path::ObjectPath;
use crate::verdict::Summary;

/// A pool that finds a word in content, and knows what is at some paths.
pub(super) struct Play {
    pub(super) clamd: Clamd,
    input: BytesMut,
    pub(super) out: Vec<u8>,
    /// Of the scan whose content comes.
    content: Option<(JobId, Vec<u8>)>,
    /// Scans that have not ended.
    pub(super) running: VecDeque<(JobId, Request, Vec<u8>)>,
    /// An open file came with the last bytes.
    pub(super) passed: Option<Vec<u8>>,
    pub(super) orders: Vec<Order>,
    pub(super) test_signatures_only: bool,
    closed: bool,
    /// Content of more bytes is refused.
    room: usize,
}

pub(super) const WORD: &[u8] = b"sick";

fn epoch() -> Option<Epoch> {
    Some(Epoch {
        number: 1,
        fingerprint: "00".into(),
    })
}

impl Play {
    pub(super) fn new(hello: Hello) -> Self {
        Self {
            clamd: Clamd::new(hello),
            input: BytesMut::new(),
            out: Vec::new(),
            content: None,
            running: VecDeque::new(),
            passed: None,
            orders: Vec::new(),
            test_signatures_only: false,
            closed: false,
            room: 100,
        }
    }

    /// Feeds bytes, and takes all steps; scans go on later.
    pub(super) fn feed(&mut self, bytes: &[u8], ended: bool) {
        self.input.extend_from_slice(bytes);
        for _ in 0..100_000 {
            if self.closed {
                return;
            }
            match self.clamd.receive(&mut self.input, ended, &mut self.out) {
                Step::Close => self.closed = true,
                Step::Read => {
                    assert!(!ended || !self.running.is_empty(), "would wait for ever");
                    self.passed = None;
                    return;
                }
                Step::Wait => {
                    assert!(!self.running.is_empty(), "would wait for ever");
                    self.end_one();
                }
                Step::Scan(job, request) => self.running.push_back((job, request, Vec::new())),
                Step::Receive(job, _, channel) => {
                    assert_eq!(channel, Channel::Inline);
                    self.content = Some((job, Vec::new()));
                }
                Step::Content(job, bytes) => {
                    assert!(!bytes.is_empty());
                    let Some((number, content)) = &mut self.content else {
                        continue;
                    };
                    assert_eq!(*number, job);
                    content.extend_from_slice(&bytes);
                    if content.len() > self.room {
                        self.content = None;
                        self.refuse(job, "stream", Reason::Limit(Limit::Spool));
                    }
                }
                Step::Complete(job) => {
                    let (number, content) = self.content.take().unwrap();
                    assert_eq!(number, job);
                    self.running.push_back((job, request("stream"), content));
                }
                Step::Forget(job) => assert_eq!(self.content.take().unwrap().0, job),
                Step::Passed(job, request) => match self.passed.take() {
                    Some(content) => self.running.push_back((job, request, content)),
                    None => self.refuse(job, "fd[1]", Reason::Unreadable(Errno(9))),
                },
                Step::Ask => self.clamd.status(
                    &Status {
                        workers: 4,
                        busy: 1,
                        requests: 2,
                        test_signatures_only: self.test_signatures_only,
                        epoch: 7,
                        since: 0,
                        memory: 3 << 20,
                    },
                    &mut self.out,
                ),
                Step::Order(order) => self.orders.push(order),
            }
        }
        panic!("it never ends");
    }

    fn refuse(&mut self, job: JobId, label: &str, reason: Reason) {
        let gap = Gap {
            path: ObjectPath::root(label.to_owned()),
            reason,
            detail: String::new(),
        };
        let ended = Report::Ended(Box::new(Summary::failed(gap.clone())));
        for report in [Report::Gap(gap, false), ended] {
            self.clamd.report(job, &report, &mut self.out);
        }
    }

    fn end_one(&mut self) {
        let Some((job, request, content)) = self.running.pop_front() else {
            return;
        };
        let name = String::from_utf8_lossy(request.source.name()).into_owned();
        for report in reports(&name, &content) {
            self.clamd.report(job, &report, &mut self.out);
        }
    }

    /// Ends all scans, and gives what was said, with `|` for zeros.
    pub(super) fn said(mut self) -> String {
        while !self.closed && !self.running.is_empty() {
            self.end_one();
            self.feed(b"", false);
        }
        let end = if self.closed { "." } else { "…" };
        String::from_utf8_lossy(&self.out).replace('\0', "|") + end
    }
}

fn request(label: &str) -> Request {
    Request {
        source: Source::Stream(label.into()),
        options: Arc::default(),
        sha1: false,
        details: false,
        findings: Wanted::First,
    }
}

fn finding(path: ObjectPath, engine: EngineWord, name: &str) -> Report {
    Report::Finding(Finding {
        signature: SignatureName::new(engine, name),
        path,
        view: None,
        place: Place::Digest,
    })
}

fn gap(path: ObjectPath, reason: Reason, detail: &str) -> Gap {
    Gap {
        path,
        reason,
        detail: detail.into(),
    }
}

/// What the pool says of these paths, and of any other content.
fn reports(name: &str, content: &[u8]) -> Vec<Report> {
    let root = ObjectPath::root(name.to_owned());
    let at = |file: &str| ObjectPath::root(format!("{name}/{file}"));
    let mut summary = Summary::new(root.clone());
    summary.epoch = epoch();
    summary.coverage = Coverage::default();
    let mut reports = Vec::new();
    let gaps = |gap: Gap, passes: bool, summary: &mut Summary| {
        if !passes {
            summary.worst.get_or_insert(gap.clone());
        }
        Report::Gap(gap, passes)
    };
    match name {
        "/sick" => reports.extend([
            finding(root.member(b"in"), EngineWord::Clam, "One"),
            finding(root, EngineWord::Yara, "Two"),
        ]),
        "/closed" => {
            let reason = Reason::Unreadable(Errno(13));
            let gap = gap(root, reason, "Permission denied (os error 13)");
            reports.push(gaps(gap, false, &mut summary));
        }
        "/deep" => {
            let path = root.member(b"a\n").member(b"b");
            let gap = gap(path, Reason::Limit(Limit::Depth), "33 of\n32");
            reports.push(gaps(gap, false, &mut summary));
        }
        "/long" => {
            let path = root.member("\u{e4}".repeat(300).as_bytes());
            let gap = gap(path, Reason::Limit(Limit::Depth), "33 of 32");
            reports.push(gaps(gap, false, &mut summary));
        }
        "/links" => {
            let gap = gap(at("l"), Reason::Excluded(Exclusion::Link), "");
            reports.push(gaps(gap, true, &mut summary));
        }
        "/folder" => {
            for file in ["a", "a", "b\nc: OK"] {
                let gap = gap(at(file), Reason::Encrypted, "ZipCrypto");
                reports.push(gaps(gap, false, &mut summary));
            }
            reports.push(finding(at("d"), EngineWord::Gap, "Incomplete/encrypted"));
        }
        _ if content.windows(WORD.len()).any(|word| word == WORD) => {
            reports.push(finding(root, EngineWord::Cvdl, "Sick"));
        }
        _ => {}
    }
    summary.findings = reports
        .iter()
        .filter(|report| matches!(report, Report::Finding(_)))
        .count() as u64;
    if summary.findings > 0 {
        summary.worst = None;
    }
    reports.push(Report::Ended(Box::new(summary)));
    reports
}

pub(super) fn chunks(parts: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for part in parts.iter().chain([&&b""[..]]) {
        wire.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(part);
    }
    wire
}

pub(super) fn hello() -> Hello {
    Hello {
        may_command: true,
        ..Hello::default()
    }
}

pub(super) fn play(pieces: &[&[u8]], ended: bool) -> String {
    let mut play = Play::new(hello());
    for (number, piece) in pieces.iter().enumerate() {
        play.feed(piece, ended && number + 1 == pieces.len());
    }
    play.said()
}

/// Plays it whole, cut at each byte, byte by byte, and with the peer's end behind it; it must say the same.
pub(super) fn plays(wire: &[u8], expected: &str) {
    let shown = String::from_utf8_lossy(wire);
    assert_eq!(play(&[wire], false), expected, "{shown}");
    for at in 1..wire.len() {
        let cut = [&wire[..at], &wire[at..]];
        assert_eq!(play(&cut, false), expected, "{shown} cut at {at}");
    }
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(play(&bytes, false), expected, "{shown} byte by byte");
    let ended = expected.replace('…', ".");
    assert_eq!(play(&[wire], true), ended, "{shown} half-closed");
    assert_eq!(
        play(&[&bytes[..], &[b""]].concat(), true),
        ended,
        "{shown} and then half-closed"
    );
}
