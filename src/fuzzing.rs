//! One function for each boundary that hostile bytes cross, with what must hold whatever they are.
//!
//! The targets in `fuzz/` are one line each, and `cargo test` replays their corpus: a crash that was found once stays
//! found. Rows of tables are picked by the first byte, so that a new row is fuzzed from its first day.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::BytesMut;

use crate::budget::{Limits, MIB};
use crate::database::Live;
use crate::database::sources::Sources;
use crate::engine::Database;
use crate::event::{Epoch, Event};
use crate::gateway::svsp::reply::{self, Reply};
use crate::gateway::{Channel, GATEWAYS, Hello, Protocol, Step};
use crate::path::ObjectPath;
use crate::request::{Options, Request};
use crate::scan::{Job, Setup, scan};
use crate::signature::{Batch, FORMATS};
use crate::stop::Cancel;
use crate::verdict::{JobId, Report, Summary};

/// A peer that sends these bytes, in pieces whose length is the first byte: every line of ours is a reply, and every
/// scan that was accepted gets exactly one end.
pub fn gateway(data: &[u8]) {
    let (Some((pieces, data)), Some(row)) = (data.split_first(), GATEWAYS.first()) else {
        return;
    };
    let mut protocol = (row.open)(Hello {
        test_signatures_only: false,
        dial_from: Some(1024),
    });
    let (mut input, mut out) = (BytesMut::new(), Vec::new());
    let mut chunks = data.chunks(usize::from(*pieces).max(1));
    let mut ended = false;
    let mut wanted = None;
    loop {
        match protocol.receive(&mut input, ended, &mut out) {
            Step::Close => break,
            Step::Read if ended => break,
            Step::Read => match chunks.next() {
                Some(chunk) => input.extend_from_slice(chunk),
                None => ended = true,
            },
            Step::Scan(job, request) => {
                end(protocol.as_mut(), job, &request, &mut out);
            }
            Step::Receive(job, request, Channel::Inline) => wanted = Some((job, request)),
            Step::Receive(job, request, Channel::Listen) => {
                protocol.opened(job, 40_000, &mut out);
                end(protocol.as_mut(), job, &request, &mut out);
            }
            Step::Receive(job, request, Channel::Dial(port)) => {
                assert!(port >= 1024, "a port that is not to be dialled");
                end(protocol.as_mut(), job, &request, &mut out);
            }
            Step::Content(job, bytes) => {
                assert!(!bytes.is_empty() && wanted.as_ref().is_some_and(|(id, _)| *id == job));
            }
            Step::Complete(job) => {
                let content = wanted.take().filter(|(id, _)| *id == job);
                assert!(content.is_some(), "the content of no request is whole");
                if let Some((_, request)) = content {
                    end(protocol.as_mut(), job, &request, &mut out);
                }
            }
            Step::Forget(job) => assert!(wanted.take().is_some_and(|(id, _)| id == job)),
            Step::Wait => break,
        }
    }
    check_replies(&out);
}

fn end(protocol: &mut dyn Protocol, job: JobId, request: &Request, out: &mut Vec<u8>) {
    let summary = Summary::new(ObjectPath::root(request.source.name().to_vec()));
    protocol.report(job, &Report::Ended(Box::new(summary)), out);
}

fn check_replies(out: &[u8]) {
    let mut open: HashMap<Option<Vec<u8>>, u64> = HashMap::new();
    for line in out.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n");
        let parsed = line.and_then(reply::parse);
        assert!(parsed.is_some(), "no reply: {line:?}");
        let Some((id, reply)) = parsed else { continue };
        match reply {
            Reply::Queued => *open.entry(id).or_default() += 1,
            Reply::Done(..) => {
                let count = open.entry(id).or_default();
                assert!(*count > 0, "DONE of no scan");
                *count -= 1;
            }
            _ => {}
        }
    }
}

/// Rules in YARA's language, then after a zero a content: they load or are complained about, and what loaded is the same
/// after it was written and read.
#[cfg(feature = "yara")]
pub fn yara(data: &[u8]) {
    use crate::engine::search::Extent;
    use std::collections::HashSet;

    use crate::engine::{Compiler, Match, Matcher, Subject};
    use crate::filetype::UNKNOWN;
    use crate::object::Object;
    use crate::signature::Format;
    use crate::signature::yara::Yara;
    use crate::stop::Stop;

    let mut parts = data.splitn(2, |byte| *byte == 0);
    let mut text = parts.next().unwrap_or_default();
    let content = parts.next().unwrap_or_default();
    let Ok(mut compiler) = Compiler::in_memory(HashSet::new()) else {
        return;
    };
    // Memory does not fail to be read.
    let _ = Yara.parse(&mut text, "fuzz.yar", &mut compiler);
    let lines = data.split(|byte| *byte == b'\n').count() as u32;
    assert!(
        compiler
            .complaints()
            .iter()
            .all(|complaint| complaint.line <= lines)
    );
    let Ok(database) = compiler.open() else {
        return;
    };
    let object = Object::memory(content.to_vec().into(), Stop::never());
    let stop = Stop::after(Duration::from_secs(1), Cancel::default());
    let mut matcher = Matcher::new(&database, Extent::default(), stop);
    let _ = matcher.feed(content);
    let matches = matcher.finish(&Subject {
        file_type: &UNKNOWN,
        layout: None,
        containers: &[],
        object: Ok(&object),
        name: b"fuzz",
        allowed: false,
        contiguous: u64::MAX,
    });
    let known = |found: &Match| database.knows(&found.signature);
    assert!(matches.findings.iter().all(known));
}

/// A signature file of the format that the first byte picks: it loads or is complained about, and what loaded can be
/// searched for.
pub fn signature(data: &[u8]) {
    let Some((row, text)) = data.split_first() else {
        return;
    };
    let Some(format) = FORMATS.get(usize::from(*row) % FORMATS.len().max(1)) else {
        return;
    };
    let mut batch = Batch::default();
    batch.read(*format, text, "fuzz");
    let (signatures, complaints) = batch.into_parts();
    let lines = text.split(|byte| *byte == b'\n').count() as u32;
    assert!(complaints.iter().all(|complaint| complaint.line <= lines));
    let count = signatures.len();
    let database = Database::compile(signatures);
    assert!(database.is_ok_and(|database| database.count() == count));
}

/// A file of these bytes: whatever is in it, all that is said is about it, and what is counted was said.
pub fn content(data: &[u8]) {
    let Ok(file) = file_of(data) else { return };
    let Ok(live) = Live::start(Sources {
        builtin: true,
        ..Sources::default()
    }) else {
        return;
    };
    let setup = Setup {
        limits: Limits {
            expanded: 16 * MIB,
            members: 1000,
            deadline: Duration::from_secs(10),
            ..Limits::default()
        },
        tmpdir: std::env::temp_dir(),
        passwords: Vec::new(),
    };
    let epoch = Epoch {
        number: 1,
        fingerprint: String::new(),
    };
    let job = Job::new(
        ObjectPath::root("file"),
        0,
        &Options::default(),
        &setup,
        epoch,
    );
    let (mut objects, mut gaps) = (0_u64, 0_u64);
    let mut sink = |event: Event| {
        let path = match &event {
            Event::Scanning(path) => {
                objects += 1;
                path
            }
            Event::Described(description) => &description.path,
            Event::Finding(finding) => &finding.path,
            Event::Gap(gap) => {
                gaps += 1;
                &gap.path
            }
            Event::Note(note) => &note.path,
        };
        assert_eq!(
            path.elements().first().map(|name| &name[..]),
            Some(&b"file"[..])
        );
        ControlFlow::Continue(())
    };
    let database = &live.current().database;
    let outcome = scan(file, &job, database, &Cancel::default(), &mut sink);
    assert!(
        objects <= outcome.objects || gaps > 0,
        "announced and not matched"
    );
    assert!(
        outcome.bytes >= data.len() as u64 || gaps > 0,
        "not read to its end, and not said"
    );
}

fn file_of(data: &[u8]) -> std::io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("fuzz", flags)?);
    file.write_all(data)?;
    Ok(file)
}
