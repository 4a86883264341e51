//! Plays the transcripts of tests/data/wire/svsp, cut in every way: where the client's bytes are cut must not matter.
//!
//! A transcript is text, one step a line. `\xNN` stands for a byte; there is no other escape.
//!
//! ```text
//! # a comment                 also at the start, to say what is shown
//! H: test signatures only     the server has only these (default: others too)
//! H: no dialling              the server connects to nobody (default: to ports from 1024 on)
//! C: SCAN/FILE /tmp/foo       the client sends this line and CR LF
//! c: QUIT                     the client sends these bytes, without a line end
//! F: 70000 x                  the client sends this byte so many times
//! E:                          the client sends no more (it still reads)
//! K:                          the server reads no more, for it is ending
//! S: QUEUED                   the server has sent this line
//! R: 1 scanning "/tmp/foo"    what the scan does; the number is that of the accepted scan, counted from 1
//! R: 1 infected CVDL W32/Sick "/tmp/foo" -> "a" end 1234
//! R: 1 gap unsupported/xz "/tmp/foo" the detail     a gap that makes the verdict incomplete
//! R: 1 pass corrupt "/tmp/foo" the detail           a gap that the policy passes
//! R: 1 note changed "/tmp/foo" the detail
//! D: 1 partly hello           so much of the content of this scan has come inline
//! D: 1 whole hello            and it is known that this is all
//! R: 1 done bytes=12 sha1=da39 epoch=1:00ff         each word may be left out
//! X:                          the server closes; nothing comes after it
//! ```
//!
//! Data connections are at the port 40,000 plus the number of the scan. At each D, R, E, K and X, and at the end, the server must have sent all S lines so far and no more. Against a real server
//! R means: wait; what is scanned is what the paths hold.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use bytes::BytesMut;

use super::Svsp;
use crate::event::{
    EngineWord, Epoch, Errno, Exclusion, Finding, Gap, Limit, Note, NoteKind, Place, Reason,
    SignatureName,
};
use crate::gateway::{Channel, Hello, Protocol, Step};
use crate::path::ObjectPath;
use crate::request::{Request, Source};
use crate::verdict::Summary;
use crate::verdict::{JobId, Report};

/// What happens between two moments at which the server's output is checked.
#[derive(Debug)]
struct Round {
    client: Vec<u8>,
    server: Vec<u8>,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Close,
    ClientEnds,
    CutOff,
    Data(usize, Vec<u8>),
    Over,
    Report(usize, Vec<u8>),
}

#[derive(Debug)]
struct Script {
    hello: Hello,
    rounds: Vec<Round>,
    /// What the client and the server say in the round that is being read.
    client: Vec<u8>,
    server: Vec<u8>,
}

fn parse(text: &str) -> Script {
    let mut script = Script {
        hello: Hello {
            test_signatures_only: false,
            dial_from: Some(1024),
            ..Hello::default()
        },
        rounds: Vec::new(),
        client: Vec::new(),
        server: Vec::new(),
    };
    let steps = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in steps {
        let (key, rest) = line.split_once(':').unwrap();
        script.step(key, &unescape(rest.strip_prefix(' ').unwrap_or(rest)));
    }
    script.check(Then::Over);
    script
}

impl Script {
    fn step(&mut self, key: &str, rest: &[u8]) {
        match key {
            "C" => self.client.extend_from_slice(&[rest, b"\r\n"].concat()),
            "c" => self.client.extend_from_slice(rest),
            "F" => {
                let (count, byte) = word(rest);
                let count = usize::try_from(number(count)).unwrap();
                self.client.extend_from_slice(&byte.repeat(count));
            }
            "H" if rest == b"test signatures only" => self.hello.test_signatures_only = true,
            "H" => self.hello.dial_from = None,
            "S" => self.server.extend_from_slice(&[rest, b"\r\n"].concat()),
            "E" => self.check(Then::ClientEnds),
            "K" => self.check(Then::CutOff),
            "D" | "R" => {
                let (job, what) = word(rest);
                let job = usize::try_from(number(job)).unwrap() - 1;
                let then = if key == "D" { Then::Data } else { Then::Report };
                self.check(then(job, what.to_vec()));
            }
            "X" => self.check(Then::Close),
            _ => panic!("no such step: {key}"),
        }
    }

    fn check(&mut self, then: Then) {
        self.rounds.push(Round {
            client: std::mem::take(&mut self.client),
            server: std::mem::take(&mut self.server),
            then,
        });
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut out = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(&part[..2], 16).unwrap());
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    out
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let at = text
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(text.len());
    (&text[..at], text[at..].trim_ascii_start())
}

fn number(text: &[u8]) -> u64 {
    String::from_utf8_lossy(text).parse().unwrap()
}

/// How the client's bytes are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    At(usize),
    Bytes,
}

struct Player {
    svsp: Svsp,
    input: BytesMut,
    ended: bool,
    closed: bool,
    out: Vec<u8>,
    jobs: Vec<(JobId, Request, Summary)>,
    /// What came inline for each of them.
    content: Vec<Content>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    whole: bool,
    forgotten: bool,
}

impl Player {
    fn new(hello: Hello) -> Self {
        Self {
            svsp: Svsp::new(hello),
            input: BytesMut::new(),
            ended: false,
            closed: false,
            out: Vec::new(),
            jobs: Vec::new(),
            content: Vec::new(),
        }
    }

    fn accept(&mut self, job: JobId, request: Request) {
        let path = ObjectPath::root(request.source.name().to_vec());
        self.jobs.push((job, request, Summary::new(path)));
        self.content.push(Content::default());
    }

    fn content_of(&mut self, job: JobId) -> &mut Content {
        let row = self.jobs.iter().position(|(number, ..)| *number == job);
        &mut self.content[row.unwrap()]
    }

    fn send(&mut self, piece: &[u8]) {
        self.input.extend_from_slice(piece);
        while !self.closed {
            match self
                .svsp
                .receive(&mut self.input, self.ended, &mut self.out)
            {
                Step::Close => self.closed = true,
                Step::Read | Step::Wait => break,
                Step::Scan(job, request) => {
                    assert!(matches!(request.source, Source::Path(_)));
                    self.accept(job, request);
                }
                Step::Receive(job, request, channel) => {
                    assert!(matches!(request.source, Source::Stream(_)));
                    self.accept(job, request);
                    let port = 40_000 + u16::try_from(self.jobs.len()).unwrap();
                    match channel {
                        Channel::Inline => {}
                        Channel::Dial(at) => assert_eq!(at, port),
                        Channel::Listen => self.svsp.opened(job, port, &mut self.out),
                    }
                }
                Step::Content(job, bytes) => {
                    let content = self.content_of(job);
                    assert!(!content.whole && !content.forgotten && !bytes.is_empty());
                    content.bytes.extend_from_slice(&bytes);
                }
                Step::Complete(job) => self.content_of(job).whole = true,
                Step::Forget(job) => self.content_of(job).forgotten = true,
                other => panic!("no step of SVSP: {other:?}"),
            }
        }
    }

    /// Sends what comes after the first `sent` bytes of all.
    fn send_cut(&mut self, bytes: &[u8], cut: Cut, sent: usize) {
        match cut {
            Cut::At(at) => {
                let (first, second) = bytes.split_at(at.saturating_sub(sent).min(bytes.len()));
                self.send(first);
                self.send(second);
            }
            Cut::Bytes => bytes.chunks(1).for_each(|byte| self.send(byte)),
        }
    }

    fn then(&mut self, then: &Then) {
        match then {
            Then::Close => assert!(self.closed, "not closed"),
            Then::ClientEnds => {
                self.ended = true;
                self.send(b"");
            }
            Then::CutOff => {
                self.svsp.cut_off();
                self.ended = true;
                self.send(b"");
            }
            Then::Over => {}
            Then::Data(job, what) => {
                let content = &self.content[*job];
                let how = if content.whole { "whole" } else { "partly" };
                let got = format!("{how} {}", content.bytes.escape_ascii());
                assert_eq!(got, what.escape_ascii().to_string());
            }
            Then::Report(job, what) => self.report(*job, what),
        }
    }

    fn report(&mut self, job: usize, what: &[u8]) {
        let (number, request, summary) = &mut self.jobs[job];
        if let Some(report) = read_report(what, request, summary) {
            self.svsp.report(*number, &report, &mut self.out);
        }
        self.send(b"");
    }
}

/// Plays the whole script; the panic of a failed check names the cut.
fn play(script: &Script, cut: Cut) {
    let mut player = Player::new(script.hello);
    let mut sent = 0;
    player.send(b"");
    for (row, round) in script.rounds.iter().enumerate() {
        player.send_cut(&round.client, cut, sent);
        sent += round.client.len();
        let got = std::mem::take(&mut player.out).escape_ascii().to_string();
        let expected = round.server.escape_ascii().to_string();
        let then = &round.then;
        assert_eq!(got, expected, "cut {cut:?}, round {row} before {then:?}");
        player.then(then);
    }
    let mut ends = script.rounds.iter().map(|round| &round.then);
    let closes = ends.any(|then| matches!(then, Then::Close));
    assert_eq!(player.closed, closes, "cut {cut:?}");
}

/// The report, and its part in the summary; as the pool does it, details go only to those who want them.
fn read_report(what: &[u8], request: &Request, summary: &mut Summary) -> Option<Report> {
    let (kind, rest) = word(what);
    if kind == b"done" {
        done(&String::from_utf8_lossy(rest), request, summary);
        return Some(Report::Ended(Box::new(summary.clone())));
    }
    let quote = rest.iter().position(|byte| *byte == b'"').unwrap();
    let name = String::from_utf8_lossy(rest[..quote].trim_ascii()).into_owned();
    let (path, detail) = ObjectPath::parse(&rest[quote..]).unwrap();
    let detail = String::from_utf8_lossy(detail.trim_ascii()).into_owned();
    match kind {
        b"scanning" => {
            summary.coverage.objects += 1;
            Some(Report::Scanning(path))
        }
        b"infected" => {
            summary.findings += 1;
            Some(Report::Finding(finding(&name, path, &detail)))
        }
        b"note" => {
            summary.coverage.notes += 1;
            let kind = note_kind(&name);
            let note = Note { path, kind, detail };
            request.details.then_some(Report::Note(note))
        }
        b"gap" | b"pass" => {
            let reason = reason(&name);
            let gap = Gap {
                path,
                reason,
                detail,
            };
            summary.coverage.gaps += 1;
            if kind == b"gap" && summary.worst.is_none() {
                summary.worst = Some(gap.clone());
            }
            request.details.then_some(Report::Gap(gap, kind == b"pass"))
        }
        _ => panic!("no such report: {}", what.escape_ascii()),
    }
}

fn done(words: &str, request: &Request, summary: &mut Summary) {
    for word in words.split_whitespace() {
        match word.split_once('=').unwrap() {
            ("bytes", bytes) => summary.coverage.bytes = bytes.parse().unwrap(),
            ("epoch", epoch) => summary.epoch = Some(epoch_of(epoch)),
            ("sha1", sha1) => summary.sha1 = Some(sha1.to_owned()),
            _ => panic!("no such word: {word}"),
        }
    }
    assert_eq!(summary.sha1.is_some(), request.sha1);
}

fn epoch_of(text: &str) -> Epoch {
    let (number, fingerprint) = text.split_once(':').unwrap();
    Epoch {
        number: number.parse().unwrap(),
        fingerprint: fingerprint.to_owned(),
    }
}

fn finding(name: &str, path: ObjectPath, place: &str) -> Finding {
    use EngineWord::{Cvdl, Gap, Md5, Sha1, Sha256};
    let (engine, name) = name.split_once(' ').unwrap();
    let mut engines = [Cvdl, Gap, Md5, Sha1, Sha256].into_iter();
    let engine = engines.find(|word| word.to_string() == engine).unwrap();
    Finding {
        signature: SignatureName::new(engine, name),
        path,
        view: None,
        place: match place.strip_prefix("end ") {
            Some(at) => Place::End(at.parse().unwrap()),
            None if place == "digest" => Place::Digest,
            None => Place::Absence,
        },
    }
}

fn note_kind(text: &str) -> NoteKind {
    match text.strip_prefix("ambiguous/") {
        Some(what) => NoteKind::Ambiguous(what.to_owned()),
        None => NoteKind::Changed,
    }
}

fn reason(text: &str) -> Reason {
    if let Some(what) = text.strip_prefix("unsupported/") {
        return Reason::Unsupported(what.to_owned());
    }
    let plain = [
        Reason::Corrupt,
        Reason::Crashed,
        Reason::Deadline,
        Reason::Encrypted,
        Reason::Excluded(Exclusion::Exclude),
        Reason::Excluded(Exclusion::Recurse),
        Reason::Limit(Limit::Depth),
        Reason::Limit(Limit::Ratio),
        Reason::Limit(Limit::Spool),
    ];
    let errnos = (1..200).map(|number| Reason::Unreadable(Errno(number)));
    let mut all = plain.into_iter().chain(errnos);
    all.find(|reason| reason.to_string() == text).unwrap()
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire/svsp");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Every cut of a short script; of a long one those near the ends and some between, as each costs a whole play.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let step = if length > 5_000 { 997 } else { 1 };
    let ends = (0..=length.min(200)).chain(length.saturating_sub(200)..=length);
    ends.chain((0..=length).step_by(step))
}

#[test]
fn every_transcript_reads_the_same_however_it_is_cut() {
    let files = transcripts();
    assert!(files.len() >= 4, "the four of the paper at least");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with('#'),
            "{}: says nothing about itself",
            file.display()
        );
        eprintln!("{}", file.display()); // which one, when a check fails
        let script = parse(&text);
        let length = script.rounds.iter().map(|round| round.client.len()).sum();
        play(&script, Cut::Bytes);
        cuts(length).for_each(|at| play(&script, Cut::At(at)));
    }
}
