//! The protocol played without a socket, cut in every way.

use std::collections::VecDeque;

use super::*;
use crate::event::{
    Coverage, EngineWord, Epoch, Exclusion, Finding, Gap, Limit, Place, SignatureName,
};
use crate::path::ObjectPath;
use crate::verdict::Summary;

/// A pool that finds a word in content, and knows what is at some paths.
struct Play {
    clamd: Clamd,
    input: BytesMut,
    out: Vec<u8>,
    /// Of the scan whose content comes.
    content: Option<(JobId, Vec<u8>)>,
    /// Scans that have not ended.
    running: VecDeque<(JobId, Request, Vec<u8>)>,
    /// An open file came with the last bytes.
    passed: Option<Vec<u8>>,
    orders: Vec<Order>,
    closed: bool,
    /// Content of more bytes is refused.
    room: usize,
}

const WORD: &[u8] = b"sick";

fn epoch() -> Option<Epoch> {
    Some(Epoch {
        number: 1,
        fingerprint: "00".into(),
    })
}

impl Play {
    fn new(hello: Hello) -> Self {
        Self {
            clamd: Clamd::new(hello),
            input: BytesMut::new(),
            out: Vec::new(),
            content: None,
            running: VecDeque::new(),
            passed: None,
            orders: Vec::new(),
            closed: false,
            room: 100,
        }
    }

    /// Feeds bytes, and takes all steps; scans go on later.
    fn feed(&mut self, bytes: &[u8], ended: bool) {
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
    fn said(mut self) -> String {
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

fn chunks(parts: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for part in parts.iter().chain([&&b""[..]]) {
        wire.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(part);
    }
    wire
}

fn hello() -> Hello {
    Hello {
        may_command: true,
        ..Hello::default()
    }
}

fn play(pieces: &[&[u8]], ended: bool) -> String {
    let mut play = Play::new(hello());
    for (number, piece) in pieces.iter().enumerate() {
        play.feed(piece, ended && number + 1 == pieces.len());
    }
    play.said()
}

/// Plays it whole, cut at each byte, byte by byte, and with the peer's end behind it; it must say the same.
fn plays(wire: &[u8], expected: &str) {
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

const VERSION: &str = concat!(
    "ClamAV 1.4.6 (vfind ",
    env!("CARGO_PKG_VERSION"),
    ")/7/Thu Jan  1 00:00:00 1970"
);

#[test]
fn each_command_is_answered_in_its_own_form_at_every_cut() {
    let rows: &[(&[u8], &str)] = &[
        (b"nPING\n", "PONG\n."),
        (b"zPING\0", "PONG|."),
        (b"nPING\nnPING\n", "PONG\n."),
        (b"zping\0", "UNKNOWN COMMAND|."),
        (b"zSTREAM\0", "UNKNOWN COMMAND|."),
        (b"zSELFCHECK\0", "UNKNOWN COMMAND|."),
        (b"zEND\0", "UNKNOWN COMMAND|."),
        (b"zSCAN\0", "UNKNOWN COMMAND|."),
        (b"zDETSTATS\0", "."),
        (b"nDETSTATSCLEAR\n", "."),
        (b"zRELOAD\0", "RELOADING|."),
        (b"zSHUTDOWN\0", "."),
        (b"zSCAN /well\0", "/well: OK|."),
        (b"nSCAN /sick\n", "/sick: One.UNOFFICIAL FOUND\n."),
        (b"zCONTSCAN /well\0", "/well: OK|."),
        (
            b"zALLMATCHSCAN /sick\0",
            "/sick: One.UNOFFICIAL FOUND|/sick: YARA.Two.UNOFFICIAL FOUND|.",
        ),
        (
            b"zSCAN well\0",
            "well: File path check failure: No such file or directory. ERROR|.",
        ),
        (
            b"zSCAN \0",
            ": File path check failure: No such file or directory. ERROR|.",
        ),
        (
            b"nSCAN /closed\n",
            "/closed: File path check failure: Permission denied. ERROR\n.",
        ),
        (
            b"zSCAN /deep\0",
            "/deep: limit/depth \"a\\n\" -> \"b\" 33 of 32 ERROR|.",
        ),
        (b"zCONTSCAN /links\0", "/links: OK|."),
        // One line for each file; none looks like another's; and a name of ours stays as it is.
        (
            b"nCONTSCAN /folder\n",
            "/folder/a: encrypted ZipCrypto ERROR\n/folder/b?c: OK: encrypted ZipCrypto ERROR\n\
             /folder/d: Incomplete/encrypted FOUND\n.",
        ),
        (b"zFILDES\0x", "No file descriptor received. ERROR|."),
        (b"zIDSESSION\0", "…"),
        (
            b"zIDSESSION\0zPING\0nPING\nzEND\0zPING\0",
            "1: PONG|2: PONG\n.",
        ),
        (
            b"zIDSESSION\0zPING\0zHELLO\0zPING\0",
            "1: PONG|2: Command invalid inside IDSESSION. ERROR|.",
        ),
        (
            b"zIDSESSION\0zRELOAD\0",
            "1: Command invalid inside IDSESSION. ERROR|.",
        ),
        (
            b"nIDSESSION\nzSCAN /sick\0nSCAN /well\n",
            "1: /sick: One.UNOFFICIAL FOUND|2: /well: OK\n…",
        ),
        (
            b"zIDSESSION\0zFILDES\0xzPING\0",
            "1: No file descriptor received. ERROR|2: PONG|…",
        ),
    ];
    for (wire, expected) in rows {
        plays(wire, expected);
    }
    plays(b"zVERSION\0", &format!("{VERSION}|."));
    plays(
        b"nVERSIONCOMMANDS\n",
        &format!(
            "{VERSION}| COMMANDS: SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES \
             STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN\n."
        ),
    );
    plays(
        b"zSTATS\0",
        "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 4  idle 3 max 4 idle-timeout 0\nQUEUE: 2 items\n\n\
         MEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used 3.000M pools_total 3.000M\nEND|.",
    );
}

#[test]
fn streams_come_in_chunks_of_any_size_at_every_cut() {
    let rows: &[(&[&[u8]], &str)] = &[
        (&[], "stream: OK|."),
        (&[b"well"], "stream: OK|."),
        (&[b"si", b"ck"], "stream: Sick.UNOFFICIAL FOUND|."),
        (&[&[b'x'; 101]], "INSTREAM size limit exceeded. ERROR|."),
    ];
    for (parts, expected) in rows {
        plays(&[&b"zINSTREAM\0"[..], &chunks(parts)].concat(), expected);
    }
    let two = [
        &b"zIDSESSION\0nINSTREAM\n"[..],
        &chunks(&[b"sick"]),
        b"zINSTREAM\0",
        &chunks(&[b"a", b"b"]),
        b"zPING\0",
    ];
    let mut said: Vec<String> = play(&[&two.concat()], false)
        .split_inclusive(['\n', '|'])
        .map(str::to_owned)
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            "1: stream: Sick.UNOFFICIAL FOUND\n",
            "2: stream: OK|",
            "3: PONG|",
            "…"
        ]
    );
}

#[test]
fn what_is_cut_short_is_never_ok() {
    let error = "stream: unreadable/ENODATA the content has no end ERROR|.";
    for length in [1, 1_u32 << 31, u32::MAX] {
        let wire = [&b"zINSTREAM\0"[..], &length.to_be_bytes()].concat();
        assert_eq!(play(&[&wire], false), "…", "{length} bytes are waited for");
        assert_eq!(play(&[&wire], true), error);
    }
    let whole = [&b"zINSTREAM\0"[..], &chunks(&[b"well", b"ok"])].concat();
    for at in 10..whole.len() {
        assert_eq!(play(&[&whole[..at]], true), error, "{at}");
    }
    for wire in [&b"zPING"[..], b"nSCAN /well", b"z", b""] {
        assert_eq!(play(&[wire], true), ".");
    }
}

#[test]
fn a_bare_command_ends_with_its_packet() {
    let rows: &[(&[u8], &str)] = &[
        (b"PING", "PONG\n."),
        (b"PING\r\n", "PONG\n."),
        (b"SCAN /sick", "/sick: One.UNOFFICIAL FOUND\n."),
        (b"SCAN /well\nSCAN /sick\n", "/well: OK\n."),
        (b"PI", "UNKNOWN COMMAND\n."),
        (b"STATS\n", "UNKNOWN COMMAND\n."),
        (b"INSTREAM\n", "UNKNOWN COMMAND\n."),
        (b"IDSESSION\n", "UNKNOWN COMMAND\n."),
        (b"GET / HTTP/1.0\r\n\r\n", "UNKNOWN COMMAND\n."),
    ];
    for (wire, expected) in rows {
        assert_eq!(play(&[wire], false), *expected);
        assert_eq!(play(&[wire], true), *expected);
    }
    let in_session = play(&[b"zIDSESSION\0PING\nzPING\0"], false);
    assert_eq!(in_session, "1: Command invalid inside IDSESSION. ERROR\n.");
    let long = [&b"SCAN /"[..], &[b'x'; command::LIMIT]].concat();
    assert_eq!(play(&[&long], false), "Error processing command. ERROR\n.");
}

#[test]
fn an_open_file_belongs_to_the_bytes_that_it_comes_with() {
    let passes = |first: &[u8], second: &[u8]| {
        let mut play = Play::new(hello());
        play.feed(first, false);
        play.passed = Some(WORD.to_vec());
        play.feed(second, false);
        play.said()
    };
    let found = "fd[1]: Sick.UNOFFICIAL FOUND|.";
    assert_eq!(passes(b"", b"zFILDES\0x"), found);
    assert_eq!(passes(b"zFILDES\0", b"\0"), found);
    assert_eq!(passes(b"zFIL", b"DES\0x"), found);
    let in_session = passes(b"zIDSESSION\0zPING\0zFILDES\0", b"xzPING\0");
    assert_eq!(
        in_session,
        "1: PONG|3: PONG|2: fd[2]: Sick.UNOFFICIAL FOUND|…"
    );
}

#[test]
fn orders_are_for_those_who_may() {
    for (wire, order) in [
        (&b"RELOAD\n"[..], Order::Reload),
        (b"zSHUTDOWN\0", Order::Shutdown),
        (b"QUIT\r\n", Order::Shutdown),
    ] {
        let mut may = Play::new(hello());
        may.feed(wire, false);
        assert_eq!(may.orders, [order]);
        let mut may_not = Play::new(Hello::default());
        may_not.feed(wire, false);
        assert_eq!(may_not.orders, []);
        let said = may_not.said().replace('|', "\n");
        assert_eq!(said, "COMMAND UNAVAILABLE\n.");
    }
}

#[test]
fn names_are_official_if_that_is_wanted() {
    let clamd = Terms {
        unofficial: false,
        ..Terms::default()
    };
    let mut play = Play::new(Hello {
        clamd,
        ..Hello::default()
    });
    play.feed(b"zALLMATCHSCAN /sick\0", false);
    assert_eq!(play.said(), "/sick: One FOUND|/sick: YARA.Two FOUND|.");
}

#[test]
fn ten_thousand_commands_are_a_session() {
    let mut wire = b"zIDSESSION\0".to_vec();
    let mut expected = String::new();
    for number in 0..5_000 {
        wire.extend_from_slice(b"zPING\0zSCAN /well\0");
        expected += &format!("{}: PONG|{}: /well: OK|", 2 * number + 1, 2 * number + 2);
    }
    wire.extend_from_slice(b"zEND\0");
    let sorted = |said: &str| {
        let mut lines: Vec<_> = said.split('|').map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for step in [7, 4096, wire.len()] {
        let mut play = Play::new(hello());
        for piece in wire.chunks(step) {
            play.feed(piece, false);
            assert!(play.running.len() <= PENDING);
        }
        assert_eq!(sorted(&play.said()), sorted(&(expected.clone() + ".")));
    }
}

#[test]
fn a_server_that_ends_answers_for_all_that_is_pending() {
    let half = b"zINSTREAM\0\0\0\0\x09half";
    let mut abandoned = Play::new(hello());
    abandoned.feed(&[b"zIDSESSION\0zSCAN /a\0", &half[..]].concat(), false);
    abandoned.clamd.abandon(&mut abandoned.out);
    abandoned.running.clear();
    abandoned.feed(b"", true);
    assert_eq!(
        abandoned.said(),
        "1: /a: deadline the server is ending ERROR|2: stream: deadline the server is ending ERROR|."
    );
    let mut cut_off = Play::new(hello());
    cut_off.feed(half, false);
    cut_off.clamd.cut_off();
    cut_off.feed(b"", true);
    assert_eq!(
        cut_off.said(),
        "stream: deadline the server is ending ERROR|."
    );
}
