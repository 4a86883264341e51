//! What is said to each command, cut in every way.

use super::command;
use super::play::{Play, WORD, chunks, hello, play, plays};
use super::{Hello, Order, PENDING, Protocol, Terms};

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
fn the_last_word_of_a_failure_is_not_far_from_its_first() {
    let names = "\u{e4}".repeat(53);
    let expected = format!("/long: limit/depth \"{names}... ERROR|.");
    plays(b"zSCAN /long\0", &expected);
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
fn that_only_tests_are_found_is_part_of_the_version() {
    let mut play = Play::new(hello());
    play.test_signatures_only = true;
    play.feed(b"nVERSION\n", false);
    let version = VERSION.replace(")", ", test signatures only)");
    assert_eq!(play.said(), version + "\n.");
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
