//! Databases of small sources: what they find, what is left out, what is complained about.

use super::compile::{Order, compile};
use super::sources::{BUILTIN, BUILTIN_NAME, Source, Sources};
use super::*;
use crate::engine::search::Extent;
use crate::engine::{Database, Matcher, Subject};
use crate::event::{Place, Reason};
use crate::filetype::UNKNOWN;
use crate::signature::cvdl::Cvdl;
use crate::signature::digests::DigestList;
use crate::signature::pattern::Part;
use crate::signature::rule::Test;
use crate::signature::{Batch, Format, Meaning};
use crate::stop::Stop;
use std::fs;
use std::io::Write;

fn builtin() -> Arc<Generation> {
    load(Sources {
        builtin: true,
        ..Sources::default()
    })
}

fn load(sources: Sources) -> Arc<Generation> {
    Live::start(sources).unwrap().current()
}

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

/// Backwards, so that neither this file nor the program of the tests holds it.
fn backwards(text: &str) -> Vec<u8> {
    text.bytes().rev().collect()
}

fn eicar() -> Vec<u8> {
    backwards(r"*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\4[PA@%P!O5X")
}

fn found(database: &Database, content: &[u8]) -> Vec<(String, Place)> {
    let mut matcher = Matcher::new(database, Extent::default(), Stop::never());
    matcher.feed(content).unwrap();
    let subject = Subject {
        form: crate::view::Form::Content,
        file_type: &UNKNOWN,
        layout: None,
        containers: &[],
        object: Err(&Reason::Corrupt),
        name: b"",
        allowed: false,
        contiguous: u64::MAX,
    };
    let matches = matcher.finish(&subject).findings.into_iter();
    matches
        .map(|found| (found.signature.to_string(), found.place))
        .collect()
}

#[test]
fn the_built_in_signatures_load_and_say_what_they_are() {
    let loaded = builtin();
    assert_eq!(loaded.report.complaints, []);
    assert_eq!(loaded.database.count(), 4);
    assert!(loaded.test_signatures_only);
    assert_eq!(loaded.epoch.fingerprint.len(), 16);
}

#[test]
fn the_test_file_is_found_anywhere() {
    let loaded = builtin();
    let database = &loaded.database;
    let eicar = eicar();
    assert_eq!(eicar.len(), 68);
    let name = "CVDL EICAR-Test-File".to_owned();
    let whole = found(database, &eicar);
    assert_eq!(whole, [(name.clone(), Place::End(68))]);
    let inside = [b"before ", eicar.as_slice(), b" after"].concat();
    assert_eq!(found(database, &inside), [(name, Place::End(75))]);
    assert_eq!(found(database, &eicar[1..]), []);
}

#[test]
fn the_demonstrations_hold_where_their_comments_say() {
    let loaded = builtin();
    let database = &loaded.database;
    let marker = |word: &str| ["vfind", "demo", word].join("-");
    let both = marker("omega") + " " + &marker("alpha");
    let rows = [
        (both, Some("CVDL VFind-Demo-And")),
        (marker("alpha"), None),
        (marker("ShouT"), Some("CVDL VFind-Demo-Caseless")),
        (marker("alarm"), Some("CVDL VFind-Demo-AndNot")),
        (marker("alarm") + &marker("quiet"), None),
    ];
    for (content, name) in rows {
        let found = found(database, content.as_bytes());
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, Vec::from_iter(name), "{content}");
    }
}

#[test]
fn the_built_in_source_holds_none_of_its_markers() {
    let loaded = builtin();
    assert_eq!(found(&loaded.database, BUILTIN), []);
    let mut batch = Batch::default();
    batch.read(&Cvdl, BUILTIN, BUILTIN_NAME);
    let source = BUILTIN.to_ascii_lowercase();
    for signature in batch.signatures() {
        let Meaning::Rule(rule) = &signature.meaning else {
            panic!("{signature:?}");
        };
        for test in &rule.tests {
            let Test::Pattern(pattern) = test else {
                panic!("{signature:?}");
            };
            let parts = pattern
                .segments()
                .iter()
                .flat_map(|segment| segment.parts());
            let bytes = parts.flat_map(|part| match part {
                Part::Bytes { bytes, .. } => bytes.to_ascii_lowercase(),
                other => panic!("{other:?}"),
            });
            let marker: Vec<u8> = bytes.collect();
            let mut places = source.windows(marker.len());
            assert!(!places.any(|at| at == marker), "{}", signature.name);
        }
    }
}

#[test]
fn the_same_database_comes_out_of_the_image_elsewhere() {
    let own = file(b":Own, \"abc\" # oops");
    let list = file(b"900150983cd24fb0d6963f7d28e17f72:3:Abc\n");
    let loaded = load(Sources {
        builtin: true,
        files: vec![
            (own.path().into(), &Cvdl),
            (list.path().into(), &DigestList),
        ],
        ..Sources::default()
    });
    assert_eq!(loaded.report.complaints.len(), 1);
    assert_eq!(loaded.report.complaint_count, 1);
    assert!(!loaded.test_signatures_only);
    let elsewhere = attach(&loaded.image).unwrap();
    let expected = [
        ("CVDL Own".to_owned(), Place::End(3)),
        ("MD5 Abc".to_owned(), Place::Digest),
    ];
    assert_eq!(found(&elsewhere, b"abc"), expected);
    assert_eq!(found(&loaded.database, b"abc"), expected);
    let counts: Vec<_> = loaded
        .report
        .sources
        .iter()
        .map(|source| source.counts.by_kind())
        .collect();
    assert_eq!(counts[0][0], ("rules", 4));
    assert_eq!(counts[1][0], ("rules", 1));
    assert_eq!(counts[2][1], ("digests", 1));
}

#[test]
fn nobody_can_write_an_image_in_memory() {
    let loaded = builtin();
    let mut image = loaded.image.try_clone().unwrap();
    assert!(image.write_all(b"x").is_err());
    assert!(image.set_len(1).is_err());
}

#[test]
fn the_fingerprint_is_of_formats_and_contents_in_their_order_and_of_what_is_left_out() {
    let (a, b) = (file(b":A, \"aaaa\" #\n"), file(b":B, \"bbbb\" #\n"));
    let print = |files: &[(&tempfile::NamedTempFile, &'static dyn Format)], noload: &[&str]| {
        let files = files
            .iter()
            .map(|(file, format)| (file.path().to_owned(), *format));
        let generation = load(Sources {
            files: files.collect(),
            noload: noload.iter().map(|name| (*name).to_owned()).collect(),
            ..Sources::default()
        });
        generation.epoch.fingerprint.clone()
    };
    let same = file(b":A, \"aaaa\" #\n");
    assert_eq!(print(&[(&a, &Cvdl)], &[]), print(&[(&same, &Cvdl)], &[]));
    let prints = [
        print(&[], &[]),
        print(&[(&a, &Cvdl)], &[]),
        print(&[(&a, &DigestList)], &[]),
        print(&[(&a, &Cvdl), (&b, &Cvdl)], &[]),
        print(&[(&b, &Cvdl), (&a, &Cvdl)], &[]),
        print(&[(&a, &Cvdl)], &["A"]),
        print(&[(&a, &Cvdl)], &["A", "B"]),
    ];
    let all: std::collections::HashSet<_> = prints.iter().collect();
    assert_eq!(all.len(), prints.len());
}

#[test]
fn a_reload_of_unchanged_sources_is_none() {
    let own = file(b":A, \"aaaa\" #\n");
    let live = Live::start(Sources {
        files: vec![(own.path().into(), &Cvdl)],
        ..Sources::default()
    });
    let live = live.unwrap();
    assert!(!live.has_changed());
    let epoch = live.current().epoch.clone();
    assert_eq!(live.reload().unwrap(), Reloaded::Same(epoch.clone()));
    std::fs::write(own.path(), ":B, \"aaaa\" #\n").unwrap();
    assert!(live.has_changed());
    assert!(matches!(live.reload().unwrap(), Reloaded::New(new) if new != epoch));
    assert!(!live.has_changed());
}

#[test]
fn who_is_to_know_hears_of_each_swap() {
    let own = file(b":A, \"aaaa\" #\n");
    let live = Live::start(Sources {
        files: vec![(own.path().into(), &Cvdl)],
        ..Sources::default()
    });
    let live = live.unwrap();
    let swaps = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&swaps);
    live.when_swapped(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    live.reload().unwrap();
    std::fs::write(own.path(), "nonsense").unwrap();
    live.reload().unwrap_err();
    std::fs::write(own.path(), ":B, \"bbbb\" #\n").unwrap();
    live.reload().unwrap();
    live.rollback().unwrap();
    assert_eq!(swaps.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(names(&live), ["A"]);
}

#[test]
fn a_list_names_files_and_what_is_not_wanted_is_loaded_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write("one.vdl", ":One, \"abc\" # :Two, \"abc\" #");
    write("two.vdl", ":Three, \"abc\" #");
    write("md5", "900150983cd24fb0d6963f7d28e17f72:3:Two\n");
    write("list", &format!("one.vdl\r\n\n{}", at("two.vdl").display()));
    write("unwanted", "CVDL Three\n");
    let mut sources = Sources {
        files: vec![(at("md5"), &DigestList)],
        lists: vec![at("list")],
        ..Sources::default()
    };
    let names = |sources: &Sources| {
        let loaded = load(sources.clone());
        let names = found(&loaded.database, b"abc");
        let mut names: Vec<_> = names.into_iter().map(|(name, _)| name).collect();
        names.sort();
        (names, loaded.epoch.fingerprint.clone())
    };
    let (all, print) = names(&sources);
    assert_eq!(all, ["CVDL One", "CVDL Three", "CVDL Two", "MD5 Two"]);
    // The bare name is that of a rule; a digest is meant with its word alone.
    sources.noload = vec!["Two".into(), "no such".into()];
    sources.noloads = vec![at("unwanted")];
    let (fewer, other) = names(&sources);
    assert_eq!(fewer, ["CVDL One", "MD5 Two"]);
    assert_ne!(print, other, "the fingerprint tells");
    sources.noload.push("MD5 Two".into());
    assert_eq!(names(&sources).0, ["CVDL One"]);
    sources.lists.push(at("absent"));
    let error = Live::start(sources.clone()).unwrap_err().to_string();
    assert!(error.contains("absent: No such file"), "{error}");
}

#[test]
fn when_all_of_ones_own_is_left_out_only_test_signatures_are_there() {
    let own = file(b":Own, \"abc\" #");
    let sources = Sources {
        builtin: true,
        files: vec![(own.path().into(), &Cvdl)],
        noload: vec!["CVDL Own".into()],
        ..Sources::default()
    };
    assert!(load(sources).test_signatures_only);
}

#[test]
fn what_cannot_be_loaded_at_all_is_named() {
    let sources = Sources {
        builtin: false,
        files: vec![("/nonexistent/x.vdl".into(), &Cvdl)],
        ..Sources::default()
    };
    let error = Live::start(sources.clone()).unwrap_err().to_string();
    assert!(
        error.starts_with("/nonexistent/x.vdl: No such file"),
        "{error}"
    );
    let order = Order {
        sources: vec![Source::builtin()],
        unwanted: Vec::new(),
        limit: u64::MAX,
    };
    let mut other = order.clone();
    other.sources[0].format = "y".to_owned();
    let memory = || std::io::Cursor::new(Vec::new());
    assert!(compile(order, memory(), None).is_ok());
    let error = compile(other, memory(), None).unwrap_err();
    assert_eq!(error.to_string(), "built-in: unknown format `y`");
}

/// Every byte of a data file, or its absence, shows when it is opened; padding between sections means nothing.
#[test]
fn damage_anywhere_in_an_image_is_seen_or_changes_nothing() {
    let loaded = builtin();
    let mut whole = Vec::new();
    let mut image = loaded.image.try_clone().unwrap();
    std::io::Seek::rewind(&mut image).unwrap();
    std::io::Read::read_to_end(&mut image, &mut whole).unwrap();
    let opened = |content: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        making::open(file, true)
    };
    let expected = found(&loaded.database, &eicar());
    let mut seen = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x21;
        match opened(&changed) {
            Err(_) => seen += 1,
            Ok(opened) => assert_eq!(found(&opened.database, &eicar()), expected, "{at}"),
        }
    }
    assert!(seen > whole.len() / 2, "{seen} of {}", whole.len());
    for length in (0..whole.len()).step_by(61) {
        assert!(opened(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn an_image_of_another_version_of_the_program_is_not_used() {
    let loaded = builtin();
    let meta = making::open(loaded.image.try_clone().unwrap(), true)
        .unwrap()
        .meta;
    let mut other = postcard::to_stdvec(&meta).unwrap();
    other[1] ^= 1;
    let image = |meta: &[u8]| {
        let mut writer = crate::image::Writer::new(std::io::Cursor::new(Vec::new())).unwrap();
        writer.section(*b"META\0\0\0\0", meta).unwrap();
        crate::image::Image::open(writer.finish().unwrap().into_inner().into()).unwrap()
    };
    let why = compile::Meta::of(&image(&other)).unwrap_err();
    assert!(why.starts_with("made by version "), "{why}");
    let why = compile::Meta::of(&image(&[9, 2])).unwrap_err();
    assert!(why.starts_with("damaged"), "{why}");
}

fn names(live: &Live) -> Vec<String> {
    let current = live.current();
    let names = current.database.names();
    names.map(|name| name.name).collect()
}

#[test]
fn a_bad_reload_never_replaces_a_good_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.vdl");
    fs::write(&path, ":a, \"x\" #\n:bad #").unwrap();
    let sources = Sources {
        builtin: false,
        files: vec![(path.clone(), &Cvdl)],
        ..Sources::default()
    };
    let live = Live::start(sources).unwrap();
    assert_eq!(live.current().report.complaint_count, 1);
    assert_eq!(names(&live), ["a"], "the first time the rest is in use");
    let before = live.current();
    assert_eq!(before.epoch.number, 1);
    let refused = live.reload().unwrap_err();
    assert!(
        refused.to_string().contains(":2: column 2: no comma"),
        "{refused}"
    );

    fs::write(&path, ":b, \"x\" #\n:bad #").unwrap();
    let refused = live.reload().unwrap_err();
    let reason = format!("{}:2: column 2: no comma after the name", path.display());
    assert!(refused.to_string().starts_with(&reason), "{refused}");
    assert!(live.status().to_string().contains(&reason));
    fs::remove_file(&path).unwrap();
    assert!(matches!(live.reload(), Err(Refused::Load(_))));
    assert_eq!(names(&live), ["a"]);

    fs::write(&path, "; nothing yet").unwrap();
    assert!(matches!(live.reload(), Err(Refused::Emptied(1))));
    assert!(matches!(live.rollback(), Err(Refused::NoWayBack(_))));

    fs::write(&path, ":b, \"x\" #").unwrap();
    let Reloaded::New(epoch) = live.reload().unwrap() else {
        panic!("it has changed");
    };
    assert_eq!(epoch.number, 2);
    assert_eq!(live.current().epoch, epoch);
    assert_ne!(epoch.fingerprint, before.epoch.fingerprint);
    assert_eq!(names(&live), ["b"]);
    assert_eq!(before.database.count(), 1, "who began with it keeps it");
    assert_eq!(
        live.rollback().unwrap().fingerprint,
        before.epoch.fingerprint
    );
    assert_eq!(names(&live), ["a"]);
}

#[test]
fn a_start_from_disk_goes_on_from_memory_and_a_changed_file_is_told() {
    use std::os::unix::fs::{FileExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let start = || {
        let sources = Sources {
            builtin: true,
            ..Sources::default()
        };
        let settings = Settings {
            data_file: Some(path.clone()),
            ..Settings::from(sources)
        };
        Live::start(settings).unwrap()
    };
    let live = start();
    let before = live.current();
    assert!(!before.is_sealed);
    live.settle().unwrap();
    let after = live.current();
    assert!(after.is_sealed);
    assert_eq!((&after.epoch, after.length), (&before.epoch, before.length));
    let expected = found(&before.database, &eicar());
    assert_eq!(found(&after.database, &eicar()), expected);
    drop(before);
    let other = start();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let data = fs::OpenOptions::new().write(true).open(&path).unwrap();
    data.write_all_at(&[0x55; 64], 4096).unwrap();
    assert!(matches!(other.settle(), Err(Unsettled::Changed(_))));
    assert_eq!(found(&live.current().database, &eicar()), expected);
}
