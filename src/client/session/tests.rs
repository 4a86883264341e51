//! A session against lines as servers write them.

use super::*;
use crate::verdict::Verdict;

/// A session that has been told `opening`, and what it sent.
pub(super) fn opened(options: &[Setting], opening: &[&str]) -> (Session, String) {
    let mut session = Session::new(options.to_vec(), WINDOW);
    for line in opening {
        session.receive(line.as_bytes(), 1000);
    }
    let sent = sent(&mut session);
    (session, sent)
}

fn sent(session: &mut Session) -> String {
    let mut sent = Vec::new();
    session.commands(&mut sent);
    String::from_utf8(sent).unwrap()
}

/// The answers that are complete.
pub(super) fn answers(session: &mut Session) -> Vec<Ended> {
    let events = std::iter::from_fn(|| session.next_event());
    events
        .filter_map(|event| match event {
            Event::Ended(ended) => Some(ended),
            _ => None,
        })
        .collect()
}

fn warnings(session: &mut Session) -> Vec<String> {
    let events = std::iter::from_fn(|| session.next_event());
    events
        .filter_map(|event| match event {
            Event::Warning(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// The answer to a request for `/a`, sent or named, from these replies. The server knows COVERAGE if it says it.
fn answer(upload: bool, lines: &[&str]) -> Ended {
    let covered = lines.iter().any(|line| line.starts_with("COVERAGE"));
    let probed = if covered { "OK" } else { "EINVAL" };
    let (mut session, _) = opened(&[], &["READY", probed]);
    session.ask(1, "/a".into(), upload, 1000);
    for line in lines {
        assert_eq!(answers(&mut session), [], "before {line}");
        match *line {
            "(sent)" => session.uploaded(1, Ok(None), 1500),
            "(torn)" => session.uploaded(1, Err(Broken::Transfer("reset".into())), 1500),
            "(shrunk)" => {
                let broken = Broken::File("unreadable/EIO".into(), "shrank".into());
                session.uploaded(1, Err(broken), 1500);
            }
            line => session.receive(format!("1 {line}").as_bytes(), 1500),
        }
    }
    assert!(session.is_idle(), "{lines:?}");
    answers(&mut session).pop().unwrap()
}

fn record(lines: &[&str]) -> Record {
    *answer(false, lines).record
}

#[test]
fn an_answer_that_is_not_whole_or_not_ours_is_not_clean() {
    let coverage = "COVERAGE 1 1 0 0 1:00ff";
    let whole = record(&[coverage, "DONE 0 : \"/a\""]);
    assert_eq!(whole.verdict, Verdict::Clean);
    for other in ["\"/b\"", "\"/a\" -> \"b\"", "\"\" -> \"b\""] {
        let other = record(&[coverage, &format!("DONE 0 : {other}")]);
        assert_eq!(other.verdict, Verdict::Incomplete);
    }
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), false, 0);
    session.receive(b"1 DONE 0 : \"/a\"", 1);
    let cut = answers(&mut session).pop().unwrap().record;
    assert_eq!(cut.verdict, Verdict::Incomplete);
    assert_eq!(cut.error.as_deref(), Some("DONE without COVERAGE"));
}

fn names(path: &[crate::verdict::Element]) -> Vec<&str> {
    path.iter().map(|name| name.text.as_str()).collect()
}

#[test]
fn it_probes_and_sets_its_options_one_by_one_before_it_asks() {
    let options = [Setting::original(), Setting::recurse(3)];
    let (mut session, said) = opened(&options, &["READY"]);
    assert_eq!(said, "ENABLE COVERAGE\r\n");
    session.receive(b"OK", 0);
    assert_eq!(sent(&mut session), "ENABLE ORIGINAL\r\n");
    session.receive(b"OK", 0);
    assert_eq!(sent(&mut session), "ENABLE RECURSE 3\r\n");
    assert!(session.is_opening() && session.room() == 0);
    assert_eq!(session.next_event(), None);
    session.receive(b"OK", 0);
    let opened = Event::Opened {
        test_signatures_only: false,
    };
    assert_eq!(session.next_event(), Some(opened));
    assert_eq!(session.room(), WINDOW);
    session.ask(1, "/a".into(), false, 0);
    session.ask(2, "/b".into(), true, 0);
    let both = "1 SCAN/FILE /a\r\n2 SCAN/REQUEST /b\r\n";
    assert_eq!(sent(&mut session), both);
}

#[test]
fn an_option_that_is_refused_ends_it() {
    let options = [Setting::expand("nonsense").unwrap()];
    let (session, _) = opened(&options, &["READY", "OK", "EINVAL Unknown kind: nonsense"]);
    let why = "EXPAND nonsense: EINVAL Unknown kind: nonsense".to_owned();
    assert_eq!(session.refusal(), Some(&Refusal::Option(why)));
    assert_eq!(session.room(), 0);
}

#[test]
fn a_server_that_does_not_want_us_is_refused_in_its_words() {
    let rows = [
        ("DENIED not from here", "DENIED not from here"),
        ("EAGAIN too many connections", "EAGAIN too many connections"),
        (
            "HTTP/1.1 400\x1b[2J",
            "no SVSP greeting: HTTP/1.1 400\\x1b[2J",
        ),
        ("1 READY", "no SVSP greeting: 1 READY"),
    ];
    for (line, words) in rows {
        let (session, sent) = opened(&[], &[line]);
        assert_eq!(session.refusal(), Some(&Refusal::Server(words.to_owned())));
        assert!(sent.is_empty());
        assert_eq!(session.room(), 0);
    }
}

#[test]
fn test_signatures_only_is_told() {
    let (mut session, _) = opened(&[], &["READY", "OK test signatures only"]);
    let opened = Event::Opened {
        test_signatures_only: true,
    };
    assert_eq!(session.next_event(), Some(opened));
}

#[test]
fn an_old_server_is_asked_one_at_a_time_until_it_accepts() {
    let (mut session, _) = opened(&[], &["READY", "EINVAL Unknown option"]);
    let mut asked = 0;
    for (line, room) in [
        ("", 0),
        ("1 QUEUED", 1),
        ("2 DONE : \"/a\"", 1),
        // One that says nothing before the end is used for one at a time.
        ("3 SCANNING \"/a\"", 1),
    ] {
        while session.room() > 0 {
            asked += 1;
            session.ask(asked, "/a".into(), false, 0);
        }
        session.receive(line.as_bytes(), 0);
        assert_eq!(session.room(), room, "after {line}");
    }
    assert_eq!(asked, 3);
    let done = answers(&mut session).pop().unwrap().record;
    assert_eq!(done.verdict, Verdict::Clean);
    assert_eq!((done.coverage, done.epoch), (None, None));
    let all = (asked + 1..=WINDOW as u64 + 1).all(|id| {
        session.ask(id, "/a".into(), false, 0);
        session.receive(format!("{id} QUEUED").as_bytes(), 0);
        session.room() == usize::from(id < WINDOW as u64 + 1)
    });
    assert!(all, "no more than the window");
}

#[test]
fn no_more_than_the_window_is_in_flight() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    for id in 0..WINDOW as u64 {
        assert!(session.room() > 0);
        session.ask(id, "/a".into(), false, 0);
    }
    assert_eq!(session.room(), 0);
    session.receive(b"7 DONE 0 : \"/a\"", 0);
    assert_eq!(session.room(), 1);
}

#[test]
fn a_name_too_long_to_ask_for_is_incomplete_without_asking() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    let long = vec![b'a'; COMMAND_LIMIT];
    session.ask(1, long.into(), false, 0);
    assert_eq!(sent(&mut session), "");
    let answer = answers(&mut session).pop().unwrap();
    assert_eq!(answer.record.verdict, Verdict::Incomplete);
    assert!(!answer.again);
}

#[test]
fn every_reply_finds_its_field() {
    let record = record(&[
        "QUEUED",
        "SCANNING \"/a\" -> \"b\"",
        "INFECTED CVDL W32/Sick : \"/a\" -> \"b : c\" : end at 1234",
        "INFECTED Odd : \"\" -> \"d\" : whole object",
        "SKIPPED unsupported/xz : \"/a\" -> \"e\" : version 9",
        "SKIPPED excluded/link passes : \"\" : -",
        "NOTE changed : \"/a\" : grew",
        "COVERAGE 3 400 2 1 7:00ff",
        "DONE 2 : \"/a\" : da39",
    ]);
    assert_eq!(record.verdict, Verdict::Infected);
    let [sick, odd] = &record.findings[..] else {
        panic!("{record:?}")
    };
    assert_eq!((&*sick.engine, &*sick.name), ("CVDL", "W32/Sick"));
    assert_eq!(names(&sick.path), ["/a", "b : c"]);
    assert_eq!(sick.offset, Some(1234));
    assert_eq!((&*odd.engine, &*odd.name), ("", "Odd"));
    assert_eq!(names(&odd.path), ["/a", "d"]);
    assert_eq!(odd.offset, None);
    let [xz, link] = &record.gaps[..] else {
        panic!("{record:?}")
    };
    assert_eq!((&*xz.reason, &*xz.detail), ("unsupported/xz", "version 9"));
    assert_eq!(&*link.reason, "excluded/link");
    assert_eq!((xz.passes, link.passes), (Some(false), Some(true)));
    assert_eq!((names(&link.path), &*link.detail), (vec!["/a"], ""));
    assert_eq!(record.notes[0].reason, "changed");
    assert_eq!(record.coverage.unwrap().bytes, 400);
    assert_eq!(record.epoch.as_deref(), Some("7:00ff"));
    assert_eq!(record.sha1.as_deref(), Some("da39"));
    assert_eq!(
        (record.times.started_ms, record.times.elapsed_ms),
        (1000, 500)
    );
    assert_eq!(record.error, None);
}

#[test]
fn the_verdict_is_never_better_than_what_was_said() {
    let infected = "INFECTED CVDL x : \"/a\" : -";
    let rows: &[(&[&str], Verdict, Option<&str>)] = &[
        (&["DONE 0 : \"/a\""], Verdict::Clean, None),
        (&["DONE : \"/a\""], Verdict::Clean, None),
        (
            &["SKIPPED corrupt : \"/a\" : -", "DONE 0 : \"/a\""],
            Verdict::Clean,
            None,
        ),
        (&[infected, "DONE : \"/a\""], Verdict::Infected, None),
        (&[infected, "DONE 0 : \"/a\""], Verdict::Infected, None),
        (&["DONE 3 : \"/a\""], Verdict::Infected, None),
        (
            &["ENOENT \"/a\""],
            Verdict::Incomplete,
            Some("ENOENT \"/a\""),
        ),
        (&["EINVAL"], Verdict::Incomplete, Some("EINVAL")),
        (
            &[infected, "EAGAIN \"/a\" : deadline : -"],
            Verdict::Infected,
            Some("EAGAIN \"/a\" : deadline : -"),
        ),
        // What cannot be understood might have been anything.
        (
            &["HELLO", "DONE 0 : \"/a\""],
            Verdict::Incomplete,
            Some("unexpected reply: HELLO"),
        ),
        (
            &["SEND 4000", "DONE 0 : \"/a\""],
            Verdict::Incomplete,
            Some("unexpected reply: SEND 4000"),
        ),
        (
            &["infected x", "DONE 0 : \"/a\""],
            Verdict::Infected,
            Some("unexpected reply: infected x"),
        ),
        (
            &["DONE x"],
            Verdict::Incomplete,
            Some("unexpected reply: DONE x"),
        ),
    ];
    for (lines, verdict, error) in rows {
        let record = record(lines);
        assert_eq!(record.verdict, *verdict, "{lines:?}");
        assert_eq!(record.error.as_deref(), *error, "{lines:?}");
    }
}

#[test]
fn a_content_is_clean_only_if_all_of_it_was_sent() {
    let (done, infected) = ("DONE 0 : \"/a\"", "DONE 1 : \"/a\"");
    let reset = "EAGAIN \"/a\" : unreadable/ECONNRESET : reset";
    let nobody = "ENOENT \"/a\" : unreadable/ENOENT : no connection to port 4000";
    let rows: &[(&[&str], Verdict, bool)] = &[
        (
            &["QUEUED", "SEND 4000", "(sent)", done],
            Verdict::Clean,
            false,
        ),
        // The last word may be there before it is known that all was sent.
        (&["SEND 4000", done, "(sent)"], Verdict::Clean, false),
        (&["SEND 4000", done, "(torn)"], Verdict::Incomplete, true),
        (&["SEND 4000", "(torn)", done], Verdict::Incomplete, true),
        (&["SEND 4000", done, "(shrunk)"], Verdict::Incomplete, false),
        (
            &["SEND 4000", "(shrunk)", reset],
            Verdict::Incomplete,
            false,
        ),
        (&["SEND 4000", "(torn)", reset], Verdict::Incomplete, true),
        (&["SEND 4000", "(torn)", nobody], Verdict::Incomplete, true),
        // Who has found something need not read on.
        (&["SEND 4000", infected], Verdict::Infected, false),
        (&[done], Verdict::Incomplete, false),
        (&["SEND 25", done], Verdict::Incomplete, false),
        (&["SEND", done], Verdict::Incomplete, false),
        (
            &["SEND 4000", "SEND 4001", "(sent)", done],
            Verdict::Incomplete,
            false,
        ),
        (&["EAGAIN no room"], Verdict::Incomplete, true),
        (
            &["EAGAIN \"/a\" : deadline : 120 s"],
            Verdict::Incomplete,
            false,
        ),
        (&["EACCES \"/a\""], Verdict::Incomplete, false),
    ];
    for (lines, verdict, again) in rows {
        let answer = answer(true, lines);
        assert_eq!(answer.record.verdict, *verdict, "{lines:?}");
        assert_eq!(answer.again, *again, "{lines:?}");
    }
    let shrunk = answer(true, &["SEND 4000", "(shrunk)", reset]).record;
    assert_eq!(shrunk.gaps[0].reason, "unreadable/EIO");
    assert_eq!((&*shrunk.gaps[0].detail, shrunk.error), ("shrank", None));
}

#[test]
fn only_what_passes_is_asked_again() {
    let ending = "EAGAIN \"/a\" : deadline : the server is ending";
    let rows = [
        (ending, true),
        ("EAGAIN \"/a\" : deadline : 120 s", false),
        ("EAGAIN \"/a\" : unreadable/EMFILE : too many files", false),
        ("ENOENT \"/a\"", false),
        ("EFAULT \"/a\" : crashed : -", false),
    ];
    for (line, again) in rows {
        assert_eq!(answer(false, &[line]).again, again, "{line}");
    }
}

#[test]
fn the_port_of_a_content_is_told_once() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), true, 0);
    session.ask(2, "/b".into(), false, 0);
    for line in ["1 SEND 4000", "1 SEND 4001", "2 SEND 4002", "3 SEND 4003"] {
        session.receive(line.as_bytes(), 0);
    }
    let sends: Vec<_> = std::iter::from_fn(|| session.next_event())
        .filter(|event| matches!(event, Event::Send { .. }))
        .collect();
    assert_eq!(sends, [Event::Send { id: 1, port: 4000 }]);
}

#[test]
fn what_a_file_that_changed_was_is_a_note() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), true, 0);
    session.receive(b"1 SEND 4000", 0);
    session.uploaded(1, Ok(Some("9 bytes were sent".into())), 0);
    session.receive(b"1 COVERAGE 1 9 0 0 1:ff", 0);
    session.receive(b"1 DONE 0 : \"/a\"", 0);
    let record = answers(&mut session).pop().unwrap().record;
    assert_eq!(record.notes[0].reason, "changed");
    assert_eq!(record.coverage.unwrap().notes, 1);
    assert_eq!(record.verdict, Verdict::Clean);
}

#[test]
fn a_lost_connection_gives_back_every_request_and_none_clean() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    for id in 1..=4 {
        session.ask(id, "/a".into(), id == 3, 0);
    }
    for line in [
        "1 COVERAGE 1 1 0 0 1:0",
        "1 DONE 0 : \"/a\"",
        "2 QUEUED",
        "3 SEND 4000",
        "3 COVERAGE 1 1 0 0 1:0",
        "3 DONE 0 : \"/a\"",
        "4 INFECTED CVDL x : \"/a\" : -",
    ] {
        session.receive(line.as_bytes(), 0);
    }
    assert_eq!(answers(&mut session).len(), 1);
    let lost = session.lost("closed by the server", 0);
    let told: Vec<_> = lost
        .iter()
        .map(|(id, record)| (*id, record.verdict))
        .collect();
    let incomplete = Verdict::Incomplete;
    assert_eq!(
        told,
        [(2, incomplete), (3, incomplete), (4, Verdict::Infected)]
    );
    let error = lost[0].1.error.as_deref();
    assert_eq!(error, Some("connection lost: closed by the server"));
    assert_eq!(session.lost("once more", 0), []);
    assert_eq!(session.room(), 0);
}

#[test]
fn a_connection_that_ends_while_it_opens() {
    let (mut session, _) = opened(&[], &[]);
    session.lost("gone", 0);
    assert_eq!(session.refusal(), Some(&Refusal::Server("gone".into())));
    let (mut session, _) = opened(&[], &["READY"]);
    session.lost("gone", 0);
    assert_eq!(session.refusal(), None);
    assert_eq!(session.room(), 0);
}

#[test]
fn a_sign_of_life_is_no_surprise() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), false, 0);
    sent(&mut session);
    session.probe();
    assert_eq!(sent(&mut session), "ENABLE COVERAGE\r\n");
    session.receive(b"OK test signatures only", 0);
    assert_eq!(session.nonsense(), None);
    session.receive(b"OK", 0);
    let why = "a reply that belongs to no request: OK";
    assert_eq!(session.nonsense(), Some(why));
    assert_eq!(warnings(&mut session), [""; 0]);
}

#[test]
fn a_content_that_cannot_come_is_not_waited_for_without_end() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), true, 0);
    session.receive(b"1 SEND 4000", 0);
    assert!(!session.is_overdue(1_000_000, 300));
    session.uploaded(1, Err(Broken::Transfer("refused".into())), 1000);
    assert!(!session.is_overdue(1300, 300));
    assert!(session.is_overdue(1301, 300));
}

#[test]
fn lines_that_say_nothing_are_warnings_but_not_without_end() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), false, 0);
    for line in ["1 HELLO", "1 READY", "1", ""] {
        session.receive(line.as_bytes(), 0);
    }
    let said = warnings(&mut session);
    assert_eq!(said.len(), 3);
    assert_eq!(said[0], "unexpected reply: 1 HELLO");
    for _ in 0..100 {
        session.receive(b"1 HELLO", 0);
    }
    assert_eq!(warnings(&mut session).len(), WARNINGS - 3);
    assert!(!session.is_idle());
}

#[test]
fn objects_are_counted_as_they_begin() {
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), false, 0);
    for line in ["1 QUEUED", "1 SCANNING \"/a\"", "1 SCANNING \"/b\""] {
        session.receive(line.as_bytes(), 0);
    }
    assert_eq!(session.take_objects(), 2);
    assert_eq!(session.take_objects(), 0);
}
