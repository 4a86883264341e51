//! A session against lines as no server should write them.
#![forbid(unsafe_code)]

use super::tests::{answers, opened};
use crate::verdict::Verdict;

#[test]
fn a_line_that_may_be_about_any_request_ends_the_belief_in_all() {
    let infected = "INFECTED CVDL x : \"/a\" : whole object";
    for line in [
        infected.to_owned(),
        format!(" 1 {infected}"),
        format!("1\t{infected}"),
        format!("+1 {infected}"),
        format!("-1 {infected}"),
        format!("99999999999999999999999 {infected}"),
        format!("9 {infected}"),
        "HELLO".to_owned(),
        "DONE 0 : \"/a\"".to_owned(),
        "READY".to_owned(),
    ] {
        let (mut session, _) = opened(&[], &["READY", "OK"]);
        session.ask(1, "/a".into(), false, 0);
        session.receive(b"", 0);
        session.receive(b"1 QUEUED", 0);
        assert_eq!(session.nonsense(), None);
        for line in [&line, "1 COVERAGE 1 1 0 0 1:ff", "1 DONE 0 : \"/a\""] {
            session.receive(line.as_bytes(), 0);
        }
        let why = session.nonsense().unwrap_or_default().to_owned();
        assert!(why.contains("belongs to no request"), "{line:?} {why}");
        assert_eq!(answers(&mut session), [], "{line:?}");
        assert_eq!(session.lost(&why, 0).len(), 1);
    }
}

#[test]
fn what_contradicts_itself_is_not_clean() {
    let skipped = "SKIPPED encrypted : \"/a\" : zip";
    let excluded = "SKIPPED excluded/exclude : \"/a\" : -";
    let rows: &[(bool, &[&str], bool)] = &[
        (true, &["COVERAGE 1 0 0 0 1:ff"], true),
        (true, &["COVERAGE 0 0 0 0 -"], false),
        (true, &["COVERAGE 0 0 0 0 1:ff"], false),
        (true, &["COVERAGE 1 1 0 0 -"], false),
        (true, &[excluded, "COVERAGE 0 0 1 0 -"], true),
        // A server leaves SKIPPED out while too much is unread.
        (true, &["COVERAGE 0 0 1 0 -"], true),
        (true, &[skipped, "COVERAGE 1 1 1 0 1:ff"], true),
        (true, &[skipped, "COVERAGE 1 1 0 0 1:ff"], false),
        (true, &[skipped, skipped, "COVERAGE 1 1 1 0 1:ff"], false),
        (true, &["COVERAGE 1 1 9 0 1:ff"], true),
        (
            true,
            &["COVERAGE 1 1 0 0 1:ff", "COVERAGE 1 1 0 0 1:ff"],
            false,
        ),
        // A folder without files.
        (false, &["COVERAGE 0 0 0 0 -"], true),
        (false, &["COVERAGE 1 1 0 0 -"], false),
        (false, &[skipped, "COVERAGE 1 1 0 0 1:ff"], false),
    ];
    for (upload, replies, clean) in rows {
        let (mut session, _) = opened(&[], &["READY", "OK"]);
        session.ask(1, "/a".into(), *upload, 0);
        if *upload {
            session.receive(b"1 SEND 4000", 0);
            session.uploaded(1, Ok(None), 0);
        }
        for line in replies.iter().chain(&["DONE 0 : \"/a\""]) {
            session.receive(format!("1 {line}").as_bytes(), 0);
        }
        let record = answers(&mut session).pop().unwrap().record;
        let verdict = if *clean {
            Verdict::Clean
        } else {
            Verdict::Incomplete
        };
        assert_eq!(record.verdict, verdict, "{upload} {replies:?} {record:?}");
        assert_eq!(record.error.is_none(), *clean, "{replies:?}");
    }
}

#[test]
fn however_much_is_said_only_so_much_is_kept() {
    let long = "x".repeat(LONG);
    const LONG: usize = 1 << 19;
    let rows = [
        (
            "SKIPPED encrypted : \"/a\" : -",
            1_005,
            [0, 1_001, 0],
            "0 findings, 5 gaps and 0 notes",
        ),
        (
            "NOTE changed : \"/a\" : -",
            1_005,
            [0, 1, 1_000],
            "0 findings, 0 gaps and 5 notes",
        ),
        (
            "INFECTED CVDL x : \"/a\" : -",
            10_005,
            [10_000, 1, 0],
            "5 findings, 0 gaps and 0 notes",
        ),
        (
            &format!("INFECTED CVDL x : \"{long}\" : -"),
            20,
            [15, 1, 0],
            "5 findings, 0 gaps and 0 notes",
        ),
        (
            &format!("NOTE changed : \"/a\" : {long}"),
            20,
            [0, 1, 15],
            "0 findings, 0 gaps and 5 notes",
        ),
    ];
    for (line, times, kept, told) in rows {
        let (mut session, _) = opened(&[], &["READY", "EINVAL"]);
        session.ask(1, "/a".into(), false, 0);
        for _ in 0..times {
            session.receive(format!("1 {line}").as_bytes(), 0);
        }
        session.receive(b"1 DONE 0 : \"/a\"", 0);
        let record = answers(&mut session).pop().unwrap().record;
        let lists = [&record.gaps.len(), &record.notes.len()];
        assert_eq!(
            [&record.findings.len(), lists[0], lists[1]],
            kept.each_ref(),
            "{told}"
        );
        let last = record.gaps.last().unwrap();
        let detail = format!("{told} more are not listed");
        assert_eq!((&*last.reason, &*last.detail), ("limit/findings", &*detail));
        let infected = record.findings.is_empty() == (record.verdict == Verdict::Clean);
        assert!(infected, "{told}");
    }
}

#[test]
fn a_flood_of_replies_to_one_request_is_the_end() {
    let rows = [
        ("SKIPPED a : \"x\" : y", 100_000),
        ("NOTE a : \"x\" : y", 100_000),
        ("HELLO", 100_000),
        ("INFECTED a : \"x\" : y", 1_000_000),
    ];
    for (line, most) in rows {
        let (mut session, _) = opened(&[], &["READY", "OK"]);
        session.ask(1, "/a".into(), false, 0);
        let line = format!("1 {line}").into_bytes();
        for _ in 0..most {
            session.receive(&line, 0);
        }
        assert_eq!(session.nonsense(), None);
        session.receive(&line, 0);
        assert_eq!(session.nonsense(), Some("a request with too many replies"));
    }
}

#[test]
fn an_unknown_error_is_an_end_and_other_nonsense_has_one() {
    for line in ["EIO \"/a\"", "EFOO", "efoo x", "E2BIG"] {
        for upload in [false, true] {
            let (mut session, _) = opened(&[], &["READY", "OK"]);
            session.ask(1, "/a".into(), upload, 0);
            session.receive(format!("1 {line}").as_bytes(), 0);
            let record = answers(&mut session).pop().unwrap().record;
            assert_eq!(record.verdict, Verdict::Incomplete, "{line}");
            assert_eq!(record.error, Some(format!("unexpected reply: {line}")));
        }
    }
    let (mut session, _) = opened(&[], &["READY", "OK"]);
    session.ask(1, "/a".into(), true, 0);
    for (line, now_ms, due) in [
        ("QUEUED", 0, false),
        ("FINISHED", 100, true),
        ("SCANNING \"/a\"", 200, true),
    ] {
        session.receive(format!("1 {line}").as_bytes(), now_ms);
        assert!(!session.is_overdue(now_ms + 50, 50), "{line}");
        assert_eq!(session.is_overdue(now_ms + 51, 50), due, "{line}");
    }
    // A content may take its time, which is the upload's own.
    session.receive(b"1 SEND 4000", 200);
    assert!(!session.is_overdue(10_000, 50));
    session.uploaded(1, Ok(None), 9_990);
    assert!(!session.is_overdue(10_000, 50));
    assert!(session.is_overdue(10_041, 50));
}
