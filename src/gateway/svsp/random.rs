//! What a peer sends is hostile until shown otherwise: random bytes, and random commands in random pieces.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use proptest::prelude::*;

use super::reply::{self, Reply};
use super::{PENDING, Svsp, WEIGHT};
use crate::gateway::{Channel, Hello, Protocol, Step};
use crate::path::ObjectPath;
use crate::request::Request;
use crate::verdict::Summary;
use crate::verdict::{JobId, Report};

type Id = Option<Vec<u8>>;

/// A driver that ends the scans it is given in any order.
struct Driver {
    svsp: Svsp,
    input: BytesMut,
    jobs: VecDeque<(JobId, Request)>,
    /// The scan whose content comes inline.
    inline: Option<(JobId, Request)>,
    most: usize,
    out: Vec<u8>,
}

impl Driver {
    fn new() -> Self {
        Self {
            svsp: Svsp::new(Hello {
                test_signatures_only: false,
                dial_from: Some(1024),
                ..Hello::default()
            }),
            input: BytesMut::new(),
            jobs: VecDeque::new(),
            inline: None,
            most: 0,
            out: Vec::new(),
        }
    }

    /// Steps until there is nothing to do; true when that is the end.
    fn step(&mut self, ended: bool) -> bool {
        loop {
            match self.svsp.receive(&mut self.input, ended, &mut self.out) {
                Step::Close => return true,
                Step::Read if ended => assert!(!self.jobs.is_empty(), "would wait for ever"),
                Step::Read => assert!(self.input.len() <= super::LINE_LIMIT),
                Step::Wait => assert!(!self.jobs.is_empty(), "would wait for ever"),
                Step::Scan(job, request) => {
                    self.begin(job, request);
                    continue;
                }
                Step::Receive(job, request, channel) => {
                    if channel == Channel::Listen {
                        self.svsp.opened(job, 40_000, &mut self.out);
                    }
                    if channel == Channel::Inline {
                        self.inline = Some((job, request));
                    } else {
                        self.begin(job, request);
                    }
                    continue;
                }
                Step::Content(job, bytes) => {
                    let inline = self.inline.as_ref();
                    assert!(inline.is_some_and(|(id, _)| *id == job) && !bytes.is_empty());
                    continue;
                }
                Step::Complete(job) => {
                    let (id, request) = self.inline.take().unwrap();
                    assert_eq!(id, job);
                    self.begin(job, request);
                    continue;
                }
                Step::Forget(job) => {
                    assert_eq!(self.inline.take().unwrap().0, job);
                    continue;
                }
                other => panic!("no step of SVSP: {other:?}"),
            }
            return false;
        }
    }

    fn begin(&mut self, job: JobId, request: Request) {
        self.jobs.push_back((job, request));
        self.most = self.most.max(self.jobs.len());
    }

    fn end_one(&mut self, which: usize) {
        if self.jobs.is_empty()
            && let Some((job, _)) = &self.inline
        {
            // There is no room for its content, or it stands still.
            let ended = Report::Ended(Box::new(Summary::new(ObjectPath::root(""))));
            self.svsp.report(*job, &ended, &mut self.out);
            self.inline = None;
        }
        let which = which % self.jobs.len().max(1);
        let Some((job, request)) = self.jobs.remove(which) else {
            return;
        };
        let path = ObjectPath::root(request.source.name().to_vec());
        let begun = Report::Scanning(path.clone());
        self.svsp.report(job, &begun, &mut self.out);
        let ended = Report::Ended(Box::new(Summary::new(path)));
        self.svsp.report(job, &ended, &mut self.out);
    }

    /// Sends the pieces, ends a job where `ends` says so, and then all that is left.
    fn run(mut self, pieces: &[Vec<u8>], ends: &[Option<usize>]) -> Vec<(Id, Reply)> {
        let mut closed = false;
        for (piece, end) in pieces.iter().zip(ends.iter().cycle()) {
            self.input.extend_from_slice(piece);
            closed = closed || self.step(false);
            end.iter().for_each(|which| self.end_one(*which));
        }
        while !closed {
            closed = self.step(true);
            self.end_one(0);
        }
        assert!(self.most <= PENDING && self.svsp.weight < WEIGHT * 2);
        assert!(self.jobs.is_empty(), "closed before the end of a request");
        let lines = self.out.split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| reply::parse(line.strip_suffix(b"\r\n").unwrap()).unwrap())
            .collect()
    }
}

/// Each request is one QUEUED, then what is found, then one terminal reply; gives how many lines were answered.
fn check(replies: &[(Id, Reply)]) -> usize {
    assert_eq!(replies[0], (None, Reply::Ready(String::new())));
    let mut open: BTreeMap<&Id, bool> = BTreeMap::new();
    let mut answered = 0;
    for (id, reply) in &replies[1..] {
        let running = open.entry(id).or_default();
        match reply {
            Reply::Queued => assert!(!std::mem::replace(running, true), "{id:?}"),
            Reply::Done(..) => assert!(*running, "{id:?}"),
            Reply::Ok(_) => assert!(!*running, "{id:?}"),
            Reply::Error(..) => {}
            _ => assert!(*running, "{id:?}: {reply:?}"),
        }
        if matches!(reply, Reply::Done(..) | Reply::Ok(_) | Reply::Error(..)) {
            *running = false;
            answered += 1;
        }
    }
    assert!(open.values().all(|running| !running));
    answered
}

/// Lines that are answered one by one: nothing that swallows what follows it.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "SCAN/FILE /tmp/foo",
        "scan//file /tmp/a b",
        "SCAN/FILE-SHA1 \"/tmp/a\\nb\"",
        "SCAN/FILE relative",
        "SCAN/FILE",
        "SCAN/REQUEST x",
        "SCAN/PORT 4000",
        "SCAN/PORT 80 x",
        "SCAN/DATA 6 x\nQUIT\r\n",
        "SCAN/DATA 0",
        "SCAN/gz/DATA 5\nQUIT\n",
        "ENABLE COVERAGE",
        "DISABLE COVERAGE",
        "ENABLE EXPAND zip",
        "ENABLE IGNORE CVDL A",
        "ENABLE NONSENSE",
        "nonsense",
    ]);
    let fixed = fixed.prop_map(|line| line.as_bytes().to_vec());
    let name = prop::collection::vec(any::<u8>().prop_filter("line end", |b| *b != b'\n'), 1..30);
    let path = name.prop_map(|name| [b"SCAN/FILE /", &name[..]].concat());
    prop_oneof![3 => fixed, 1 => path]
}

/// Bytes that are more often a command, a digit, a quote or a line end than chance would have it.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        &b"SCAN"[..],
        b"/FILE ",
        b"/DATA ",
        b"/PORT 4000",
        b"/REQUEST ",
        b"ENABLE ",
        b"EXPAND ",
        b"QUIT",
        b"\"/",
        b"\\x0",
        b"\n",
        b"\r\n",
        b" ",
        b"1 ",
        b"9",
        b"\0",
        b"\xff\xfb",
    ]);
    let any_byte = any::<u8>().prop_map(|byte| vec![byte]);
    let part = prop_oneof![3 => parts.prop_map(<[u8]>::to_vec), 1 => any_byte];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn ends() -> impl Strategy<Value = Vec<Option<usize>>> {
    prop::collection::vec(prop::option::of(0..PENDING), 1..20)
}

proptest! {
    #[test]
    fn noise_is_answered_in_whole_lines(pieces in prop::collection::vec(noise(), 0..20), ends in ends()) {
        let replies = Driver::new().run(&pieces, &ends);
        prop_assert!(!replies.is_empty());
    }

    #[test]
    fn each_line_is_answered_once_and_in_its_turn(
        lines in prop::collection::vec((line(), any::<bool>()), 0..40),
        size in 1..200_usize,
        ends in ends(),
    ) {
        let mut wire = Vec::new();
        for (row, (line, numbered)) in lines.iter().enumerate() {
            if *numbered {
                wire.extend_from_slice(format!("{row} ").as_bytes());
            }
            wire.extend_from_slice(line);
            wire.push(b'\n');
        }
        let pieces: Vec<Vec<u8>> = wire.chunks(size).map(<[u8]>::to_vec).collect();
        let replies = Driver::new().run(&pieces, &ends);
        prop_assert_eq!(check(&replies), lines.len());
    }
}

#[test]
fn at_the_bound_reading_stops_until_a_request_ends() {
    for numbered in [true, false] {
        let mut wire = Vec::new();
        for row in 0..PENDING * 2 {
            let id = if numbered {
                format!("{row} ")
            } else {
                String::new()
            };
            wire.extend_from_slice(format!("{id}SCAN/FILE /tmp/foo\n").as_bytes());
        }
        let mut driver = Driver::new();
        driver.input.extend_from_slice(&wire);
        assert!(!driver.step(false));
        assert_eq!(driver.jobs.len(), if numbered { PENDING } else { 1 });
        assert_eq!(driver.svsp.jobs.len() + driver.svsp.held.len(), PENDING);
        assert!(!driver.input.is_empty());
        assert_eq!(check(&driver.run(&[], &[None])), PENDING * 2);
    }
}

#[test]
fn long_lists_of_options_bound_the_requests_that_hold_them() {
    let mut wire = Vec::new();
    for row in 0..16 {
        wire.extend_from_slice(format!("ENABLE EXCLUDE /{row}{}\n", "x".repeat(60_000)).as_bytes());
    }
    for row in 0..20 {
        wire.extend_from_slice(
            format!("{row} SCAN/FILE /tmp/foo\nENABLE IGNORE {row}\n").as_bytes(),
        );
    }
    let mut driver = Driver::new();
    driver.input.extend_from_slice(&wire);
    assert!(!driver.step(false));
    assert_eq!(driver.jobs.len(), WEIGHT.div_ceil(16 * 60_000));
    assert_eq!(check(&driver.run(&[], &[None])), 16 + 40);
}
