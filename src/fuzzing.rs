//! One function for each boundary that hostile bytes cross, with what must hold whatever they are.
//!
//! The targets in `fuzz/` are one line each, and `cargo test` replays their corpus: a crash that was found once stays
//! found. Rows of tables are picked by the first byte, so that a new row is fuzzed from its first day.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::BytesMut;

use crate::access::tokens::Tokens;
use crate::budget::{Limits, MIB};
use crate::database::Live;
use crate::database::sources::Sources;
use crate::engine::Database;
use crate::event::{Epoch, Event, NoteKind, Reason};
use crate::expand::{self, Children, Container, Content, EXPANDERS, Halt, Passwords};
use crate::gateway::svsp::reply::{self, Reply};
use crate::gateway::{CLAMD, Channel, Gateway, Hello, Order, Protocol, SVSP, Status, Step};
use crate::http::multipart::{self, Multipart, Piece};
use crate::kind;
use crate::object::Object;
use crate::path::ObjectPath;
use crate::request::{Options, Request};
use crate::scan::{Job, Setup, scan};
use crate::signature::{Batch, FORMATS};
use crate::stop::{Cancel, Stop};
use crate::verdict::{JobId, Report, Summary};

/// A peer of each protocol that sends these bytes, in pieces whose length is the first byte: all that is said is replies, and
/// every scan that was accepted gets exactly one end.
pub fn gateway(data: &[u8]) {
    check_replies(&play(&SVSP, data));
    // Each reply is whole.
    let said = play(&CLAMD, data);
    assert!(matches!(said.last(), None | Some(b'\n' | 0)), "{said:?}");
}

fn play(row: &Gateway, data: &[u8]) -> Vec<u8> {
    let (mut input, mut out) = (BytesMut::new(), Vec::new());
    let Some((pieces, data)) = data.split_first() else {
        return out;
    };
    let mut protocol = (row.open)(Hello {
        test_signatures_only: false,
        dial_from: Some(1024),
        ..Hello::default()
    });
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
            Step::Scan(job, request) | Step::Passed(job, request) => {
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
            Step::Ask => protocol.status(&Status::default(), &mut out),
            Step::Order(order) => {
                let may: Option<Order> = None;
                assert_eq!(Some(order), may, "an order from one who may not");
            }
            Step::Wait => break,
        }
    }
    out
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
    use crate::signature::Format;
    use crate::signature::yara::Yara;

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
        form: crate::view::Form::Content,
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

/// The name of a kind, a zero, and a content that its expander opens, whether it is recognised as such or not: it comes to
/// an end. Without such a name the first byte picks a row of the table.
pub fn expander(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (name, content) = (parts.next().unwrap_or_default(), parts.next());
    let row = |byte: &u8| EXPANDERS.get(usize::from(*byte) % EXPANDERS.len().max(1));
    let named = kind::by_name(name).and_then(expand::expander);
    let Some(expander) = named.or_else(|| name.first().and_then(row).copied()) else {
        return;
    };
    let object = Object::memory(content.unwrap_or_default().to_vec().into(), Stop::never());
    let secret = [b"secret".to_vec()];
    let container = Container {
        object: &object,
        name: &expand::ContainerName::new(b"fuzz"),
        passwords: &Passwords::given(&secret),
        memory: 64 * MIB,
    };
    let mut taker = Taker { left: 16 * MIB };
    // What is wrong with it is what it says.
    let _ = expander.expand(&container, &mut taker);
}

/// Reads members up to so many bytes, of which each thing that is said takes some.
struct Taker {
    left: u64,
}

impl Taker {
    fn take(&mut self, bytes: u64) -> Result<(), Halt> {
        self.left = self.left.checked_sub(bytes).ok_or(Halt::Item)?;
        Ok(())
    }
}

impl Children for Taker {
    fn child(&mut self, name: &[u8], content: Content<'_>) -> Result<(), Halt> {
        let read = |stream: &mut dyn Read| {
            std::io::copy(&mut stream.take(self.left + 1), &mut std::io::sink())
        };
        // Of a damaged one as much was read as there is.
        let count = match content {
            Content::Object(object) => read(&mut object.reader()),
            Content::Stream(stream) => read(stream),
        };
        self.take(count.unwrap_or(0).saturating_add(name.len() as u64 + 512))
    }

    fn gap(&mut self, _: Option<&[u8]>, _: Reason, detail: String) -> Result<(), Halt> {
        self.take(detail.len() as u64 + 512)
    }

    fn note(&mut self, _: NoteKind, detail: String) -> Result<(), Halt> {
        self.take(detail.len() as u64 + 512)
    }
}

/// A text: its views are made, and are the same however it is cut.
pub fn view(data: &[u8]) {
    use crate::view::base64::{Blob, Finder};
    use crate::view::charset::{self, Reading};
    use crate::view::html::{self, Level};
    use crate::view::normal;

    let forms = normal::html(data);
    assert!(forms.tagged.len() <= data.len().saturating_mul(9).saturating_add(16));
    let cut = |step: usize| {
        let (mut text, mut read): (Vec<u8>, String) = Default::default();
        let mut blobs: Vec<Blob> = Vec::new();
        let mut form = normal::Text::default();
        let mut finder = Finder::new(1 << 16);
        let mut reading = charset::tell(data).map(Reading::new);
        for piece in data.chunks(step) {
            form.push(piece, &mut text);
            finder.push(piece, &mut |blob| blobs.push(blob));
            if let Some(reading) = &mut reading {
                reading.push(piece, false, &mut read);
            }
        }
        finder.finish(&mut |blob| blobs.push(blob));
        if let Some(reading) = &mut reading {
            reading.push(b"", true, &mut read);
        }
        (text, read, blobs)
    };
    assert_eq!(cut(1), cut(1 << 20));
    let text = String::from_utf8_lossy(data);
    for level in [Level::Text, Level::Attributes, Level::Scripts] {
        html::html(&text, level);
    }
}

/// What comes over HTTP and is read by ourselves: a form has the same parts however it comes, and a file of tokens knows none that
/// it does not name.
pub fn web(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (kind, body) = (lines.next().unwrap_or_default(), lines.next());
    if let Some(Some(boundary)) = multipart::boundary(kind) {
        let body = body.unwrap_or_default();
        let whole = parts(&boundary, body, body.len().max(1));
        for length in [1, 3, 64] {
            assert_eq!(parts(&boundary, body, length), whole);
        }
    }
    if let Ok(tokens) = Tokens::parse(&String::from_utf8_lossy(data)) {
        assert_eq!(tokens.look_up(data), None);
    }
}

type Parts = Vec<(multipart::Part, Vec<u8>)>;

fn parts(boundary: &[u8], body: &[u8], length: usize) -> Result<Parts, multipart::Flaw> {
    let mut form = Multipart::new(boundary);
    let mut chunks = body.chunks(length);
    let mut parts = Parts::new();
    loop {
        match form.next_piece()? {
            Piece::More => match chunks.next() {
                Some(chunk) => form.push(chunk),
                None => form.end(),
            },
            Piece::Begin(part) => parts.push((part, Vec::new())),
            Piece::Content(bytes) => {
                assert!(!bytes.is_empty());
                if let Some((_, content)) = parts.last_mut() {
                    content.extend_from_slice(&bytes);
                }
            }
            Piece::EndOfPart => assert!(!parts.is_empty()),
            Piece::End => return Ok(parts),
        }
    }
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
        &Options {
            html: 3,
            ..Options::default()
        },
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
