use std::cell::Cell;
use std::io::Write;
use std::time::Duration;

use super::*;
use crate::budget::Limits;
use crate::database::Live;
use crate::database::sources::Sources;
use crate::event::Epoch;
use crate::kind::KindSet;
use crate::request::Options;
use crate::scan::{self, Setup};
use crate::signature::cvdl::Cvdl;

/// A cache in front of real scans that are counted.
struct Bench {
    cache: Cache,
    live: Live,
    scans: Cell<usize>,
    cancel: Cancel,
    /// As of a worker process.
    is_apart: bool,
    _rules: tempfile::NamedTempFile,
}

impl Bench {
    fn new(room: u64) -> Self {
        let mut rules = tempfile::NamedTempFile::new().unwrap();
        rules.write_all(b":Found, \"the marker\" #\n").unwrap();
        let sources = Sources {
            files: vec![(rules.path().into(), &Cvdl)],
            ..Sources::default()
        };
        Self {
            cache: Cache::new(room),
            live: Live::start(sources).unwrap(),
            scans: Cell::new(0),
            cancel: Cancel::default(),
            is_apart: false,
            _rules: rules,
        }
    }

    fn said(&self, item: Item, job: Job) -> (Vec<Event>, Outcome) {
        let current = self.live.current();
        let mut events = Vec::new();
        let mut sink = |event| {
            events.push(event);
            ControlFlow::Continue(())
        };
        let around = Around {
            needs_names: current.database.needs_names(),
            is_believed: !self.is_apart,
            cancel: &self.cancel,
            metrics: &Metrics::default(),
        };
        let outcome = (self.cache).answer_or(item, job, &around, &mut sink, |item, job, sink| {
            self.scans.set(self.scans.get() + 1);
            scan::scan(item.file, job, &current.database, &self.cancel, sink)
        });
        let outcome = Outcome {
            content: None,
            spent: Vec::new(),
            ..outcome
        };
        (events, outcome)
    }

    /// What is said of this content under this name, and whether it was scanned for that.
    fn ask(&self, content: &[u8], name: &str, change: impl FnOnce(&mut Job)) -> (Said, bool) {
        let mut job = job(name);
        change(&mut job);
        let before = self.scans.get();
        let said = self.said(item(content, name, job.depth), job);
        (said, self.scans.get() > before)
    }
}

type Said = (Vec<Event>, Outcome);

fn job(name: &str) -> Job {
    let setup = Setup {
        limits: Limits::default(),
        tmpdir: std::env::temp_dir(),
        passwords: Vec::new(),
    };
    let epoch = Epoch {
        number: 1,
        fingerprint: "one".to_owned(),
    };
    let options = Options::default();
    Job::new(
        ObjectPath::root(name.to_owned()),
        0,
        &options,
        &setup,
        epoch,
    )
}

fn item(content: &[u8], name: &str, depth: u32) -> Item {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Item {
        file,
        path: ObjectPath::root(name.to_owned()),
        depth,
        writers: Writers::None,
    }
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = ::zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Clean, infected, with gaps and with notes.
fn contents() -> Vec<Vec<u8>> {
    let cut = {
        let whole = gzip(&b"text with the marker and more\n".repeat(100));
        whole[..whole.len() - 9].to_vec()
    };
    let listed = zip(&[("listed", b"nothing")]);
    // Its directory is cut off, so that nobody lists the member.
    let other = zip(&[("not listed", b"here is the marker")]);
    let unlisted = [&other[..other.len() - 70], &listed].concat();
    vec![
        b"nothing at all".to_vec(),
        b"text with the marker".to_vec(),
        zip(&[
            ("clean", b"nothing"),
            ("found", b"here is the marker"),
            ("cut.gz", &cut),
        ]),
        gzip(b"a stream with the marker"),
        unlisted,
        vec![b'x'; 600 * 1024],
        zip(&[("large", &[7; 600 * 1024]), ("found", b"the marker")]),
    ]
}

#[test]
fn what_comes_again_is_answered_as_a_scan_would() {
    let (mut gaps, mut notes, mut findings) = (0, 0, 0);
    for is_apart in [false, true] {
        let bench = Bench {
            is_apart,
            ..Bench::new(1 << 20)
        };
        for content in contents() {
            let (first, _) = bench.ask(&content, "/a/name", |job| job.sha1 = true);
            let (second, scanned) = bench.ask(&content, "/a/name", |job| job.sha1 = true);
            assert!(!scanned, "{first:?}");
            assert_eq!(first, second);
            for event in first.0 {
                gaps += usize::from(matches!(event, Event::Gap(_)));
                notes += usize::from(matches!(event, Event::Note(_)));
                findings += usize::from(matches!(event, Event::Finding(_)));
            }
        }
    }
    assert!(
        gaps > 0 && notes > 0 && findings > 0,
        "{gaps} {notes} {findings}"
    );
}

#[test]
fn the_name_counts_where_members_are_called_after_it() {
    for content in contents() {
        let bench = Bench::new(1 << 20);
        bench.ask(&content, "/a/one.gz", |_| ());
        let (other, scanned) = bench.ask(&content, "/b/two.gz", |_| ());
        assert_eq!(scanned, content.starts_with(b"\x1f\x8b"));
        let fresh = Bench::new(1 << 20).ask(&content, "/b/two.gz", |_| ()).0;
        assert_eq!(other, fresh);
    }
}

#[test]
fn another_job_is_another_answer() {
    type Change = fn(&mut Job);
    let changes: &[(&str, Change)] = &[
        ("expand", |job| job.expand = KindSet::NONE),
        ("recurse", |job| job.recurse = Recurse::Off),
        ("recurse to", |job| job.recurse = Recurse::To(1)),
        ("depth", |job| {
            (job.recurse, job.depth) = (Recurse::To(1), 1);
        }),
        ("original", |job| job.original = true),
        ("html", |job| job.html = 1),
        ("describe", |job| job.describe = true),
        ("each view", |job| job.each_view = true),
        ("sha1", |job| job.sha1 = true),
        ("limit depth", |job| job.limits.depth = 3),
        ("limit members", |job| job.limits.members = 3),
        ("limit expanded", |job| job.limits.expanded = 3 << 20),
        ("limit ratio", |job| job.limits.ratio = 3),
        ("limit memory", |job| job.limits.memory = 3 << 20),
        ("limit spool", |job| job.limits.spool = 3 << 20),
        ("limit contiguous", |job| job.limits.contiguous = 3 << 20),
        ("limit findings", |job| job.limits.findings = 3),
        ("limit deadline", |job| {
            job.limits.deadline = Duration::from_secs(3);
        }),
        ("tmpdir", |job| job.tmpdir = "/var/tmp".into()),
        ("passwords", |job| job.passwords = vec![b"x".to_vec()]),
        ("epoch number", |job| job.epoch.number = 2),
        ("epoch", |job| job.epoch.fingerprint = "two".to_owned()),
    ];
    let content = &contents()[2];
    let bench = Bench::new(1 << 20);
    bench.ask(content, "/name", |_| ());
    for (what, change) in changes {
        assert!(bench.ask(content, "/name", change).1, "{what}");
        assert!(!bench.ask(content, "/name", change).1, "{what}, again");
    }
    let deeper = bench.ask(content, "/name", |job| job.depth = 7);
    assert!(
        !deeper.1,
        "folders count only where they bound how deep it goes"
    );
    let mut other = content.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(bench.ask(&other, "/name", |_| ()).1, "another content");
}

#[test]
fn what_hangs_on_the_machine_is_not_kept() {
    let bench = Bench::new(1 << 20);
    let large = zip(&[("large.zip", &zip(&[("inner", &vec![7; 5 << 20])]))]);
    let change: &[fn(&mut Job)] = &[
        |job| job.limits.deadline = Duration::from_nanos(1),
        |job| {
            job.limits.spool = 0;
            job.limits.memory = 0;
        },
        |job| job.tmpdir = "/nonexistent".into(),
    ];
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = (state ^ (state << 13)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state ^= state >> 7;
        (state >> 32) as u8
    });
    let noise: Vec<u8> = noise.take(5 << 20).collect();
    let noisy = gzip(&zip(&[("noise", &noise)]));
    for change in change {
        for content in [&large, &noisy] {
            for _ in 0..2 {
                let ((events, _), scanned) = bench.ask(content, "/name", change);
                let is_kept = events.iter().all(is_of_content);
                assert!(scanned || is_kept, "{events:?}");
            }
        }
    }
    let (said, _) = bench.ask(&noisy, "/name", |job| job.limits.spool = 0);
    assert!(!said.0.iter().all(is_of_content), "{said:?}");
    bench.cancel.cancel();
    let before = bench.scans.get();
    for _ in 0..2 {
        bench.ask(b"cancelled", "/name", |_| ());
    }
    assert_eq!(bench.scans.get(), before + 2);
}

#[test]
fn a_file_that_others_may_write_is_believed_about_itself_alone() {
    let bench = Bench::new(1 << 20);
    let mut fresh = tempfile::NamedTempFile::new().unwrap();
    fresh.write_all(&vec![b'y'; 600 * 1024]).unwrap();
    let ask = |file: File| {
        let before = bench.scans.get();
        let item = Item {
            file,
            path: ObjectPath::root("/name"),
            depth: 0,
            writers: Writers::Others,
        };
        bench.said(item, job("/name"));
        bench.scans.get() > before
    };
    for _ in 0..2 {
        let file = fresh.reopen().unwrap();
        assert!(ask(file), "it was just written");
    }
    // The program of the test was there before it was started.
    let settled = File::open(std::env::current_exe().unwrap()).unwrap();
    if settled.metadata().unwrap().len() > LONGEST {
        return;
    }
    let asked = |file: &File| {
        let mut job = job("/name");
        let item = Item {
            file: file.try_clone().unwrap(),
            path: ObjectPath::root("/name"),
            depth: 0,
            writers: Writers::Others,
        };
        Asked::new(&item, &mut job, false).unwrap()
    };
    let mut outcome = Outcome {
        content: Some(scan::Content::default()),
        ..Outcome::default()
    };
    let mut one = asked(&settled);
    one.at += Duration::from_secs(10);
    one.sha256 = Some([1; 32]);
    let content = outcome.content.as_mut().unwrap();
    content.sha256 = one.sha256;
    content.length = one.before.len();
    let now = settled.metadata().unwrap();
    bench.cache.keep(&one, Vec::new(), &outcome, None);
    assert!(bench.cache.answer(&one).is_none(), "its state is not known");
    bench.cache.keep(
        &one,
        Vec::new(),
        &outcome,
        Some(&fresh.as_file().metadata().unwrap()),
    );
    assert!(bench.cache.answer(&one).is_none(), "it has changed");
    bench.cache.keep(&one, Vec::new(), &outcome, Some(&now));
    assert!(bench.cache.answer(&one).is_some());
    let copy = tempfile::tempfile().unwrap();
    copy.set_len(one.before.len()).unwrap();
    let mut other = asked(&copy);
    other.sha256 = one.sha256;
    assert!(bench.cache.answer(&other).is_none(), "another file");
    one.sha256 = Some([2; 32]);
    bench.cache.keep(&one, Vec::new(), &outcome, Some(&now));
    assert!(
        bench.cache.answer(&one).is_none(),
        "another content than was scanned"
    );
}

#[test]
fn an_answer_that_is_damaged_is_none() {
    let bench = Bench::new(1 << 20);
    let (first, _) = bench.ask(b"text with the marker", "/name", |_| ());
    let mut kept = bench.cache.lock();
    for answer in kept.young.answers.values_mut() {
        let cut = answer.events.len() - 1;
        *answer = Arc::new(Answer {
            events: answer.events[..cut].into(),
            outcome: answer.outcome.clone(),
        });
    }
    drop(kept);
    let (second, scanned) = bench.ask(b"text with the marker", "/name", |_| ());
    assert!(scanned);
    assert_eq!(first, second);
}

#[test]
fn it_takes_no_more_room_than_it_has() {
    let room = 64 * 1024;
    let bench = Bench::new(room);
    let content = |n: usize| format!("content {n:07} of many").into_bytes();
    for n in 0..2000 {
        bench.ask(&content(n), "/name", |_| ());
        assert!(
            !bench.ask(&content(0), "/name", |_| ()).1,
            "asked for all the time"
        );
        let kept = bench.cache.lock();
        let bytes = kept.young.bytes + kept.old.bytes;
        assert!(bytes as u64 <= room, "{bytes}");
        let count = kept.young.answers.len() + kept.old.answers.len();
        assert!(count * ENTRY <= bytes);
    }
    assert!(bench.ask(&content(1), "/name", |_| ()).1, "forgotten");
    let many: Vec<String> = (0..1000).map(|n| format!("member {n}")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (&**name, &b""[..])).collect();
    let many = zip(&many);
    for _ in 0..2 {
        assert!(
            bench.ask(&many, "/name", |_| ()).1,
            "more than one may take"
        );
    }
    bench.cache.clear();
    assert!(bench.ask(&content(0), "/name", |_| ()).1);
}
