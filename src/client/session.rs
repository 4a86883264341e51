//! A conversation with an SVSP server, without IO: lines and times in, commands and [`Record`]s out.
//!
//! It greets, probes for our extension COVERAGE (an old server answers EINVAL, and is then asked as the paper of 2011
//! asks), keeps up to [`WINDOW`] numbered requests in flight, and sorts the replies by their ids. Whatever is still
//! open when the connection ends is reported as lost: silence is never `clean`.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use super::answer::{self, Answer};
use super::progress::Progress;
use crate::gateway::svsp::reply::{Reply, parse};
use crate::path::{printable, quote};
use crate::verdict::{Exit, Record};

/// Requests in flight: enough to keep every core of a server busy, few enough that a lost connection loses little.
pub const WINDOW: usize = 32;

/// The longest command: servers take 64 KiB, and a longer line gets an answer that carries no id.
const COMMAND_LIMIT: usize = 64 << 10;

/// Unexpected lines that are worth a warning each; a peer that is no SVSP server has no end of them.
const WARNINGS: usize = 10;

/// The bytes of a server's line that are kept in a message for people.
const SHOWN: usize = 200;

/// One connection's half of the conversation.
#[derive(Debug)]
pub struct Session {
    state: State,
    waiting: VecDeque<(u64, Vec<u8>)>,
    open: BTreeMap<u64, Open>,
    records: VecDeque<Record>,
    warnings: Vec<String>,
    unexpected: usize,
    progress: Progress,
    exit: Exit,
}

#[derive(Debug)]
struct Open {
    answer: Answer,
    accepted: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The server has not spoken yet.
    Greeting,
    /// READY came.
    Greeted,
    /// The probe is out.
    Probing,
    /// Requests are asked and answered.
    Ready { coverage: bool },
    /// The connection ended.
    Lost,
    /// The server does not want us, or is none; in words.
    Refused(String),
}

impl Session {
    /// A session that will ask for each of these absolute paths.
    pub fn new(paths: Vec<Vec<u8>>) -> Self {
        let waiting: VecDeque<_> = (1..).zip(paths).collect();
        let requests = waiting.len() as u64;
        Self {
            state: State::Greeting,
            waiting,
            open: BTreeMap::new(),
            records: VecDeque::new(),
            warnings: Vec::new(),
            unexpected: 0,
            progress: Progress {
                known: requests,
                all_known: true,
                ..Progress::default()
            },
            exit: Exit::Clean,
        }
    }

    /// Takes one line of the server, without its line end.
    pub fn receive(&mut self, line: &[u8], now_ms: u64) {
        if line.is_empty() {
            return;
        }
        match self.state {
            State::Greeting => self.greeting(line),
            State::Probing => self.probed(line),
            State::Ready { .. } => self.reply(line, now_ms),
            State::Greeted | State::Lost | State::Refused(_) => self.unexpected(line),
        }
    }

    /// Appends the commands that can be sent now.
    pub fn commands(&mut self, now_ms: u64, out: &mut Vec<u8>) {
        if self.state == State::Greeted {
            out.extend_from_slice(b"ENABLE COVERAGE\r\n");
            self.state = State::Probing;
        }
        while self.may_ask()
            && let Some((id, name)) = self.waiting.pop_front()
        {
            self.ask(id, name, now_ms, out);
        }
    }

    /// Tells that the connection ended: every request without an answer gets one that says so.
    pub fn lost(&mut self, why: &str, now_ms: u64) {
        if self.state == State::Greeting {
            self.state = State::Refused(why.to_owned());
        }
        if self.is_over() {
            return;
        }
        self.state = State::Lost;
        self.exit = self.exit.max(Exit::NoServer);
        self.warnings.push(format!("connection lost: {why}"));
        let never_asked = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|(id, name)| Answer::new(id, name, now_ms));
        let open: Vec<_> = std::mem::take(&mut self.open)
            .into_values()
            .map(|open| open.answer)
            .chain(never_asked)
            .collect();
        for mut answer in open {
            answer.fail(format!("connection lost: {why}"));
            self.finish(answer, now_ms);
        }
    }

    /// True before the server has greeted and answered the probe: the time in which it must not be slow.
    pub fn is_opening(&self) -> bool {
        matches!(
            self.state,
            State::Greeting | State::Greeted | State::Probing
        )
    }

    /// True when nothing more is to be expected.
    pub fn is_over(&self) -> bool {
        match self.state {
            State::Lost | State::Refused(_) => true,
            State::Ready { .. } => self.is_answered(),
            State::Greeting | State::Greeted | State::Probing => false,
        }
    }

    /// Why the server did not even begin, where it did not.
    pub fn refusal(&self) -> Option<&str> {
        match &self.state {
            State::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// The next answer, in the order in which they were complete.
    pub fn next_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// What the user should know and no record says.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// How far the requests are.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// How the program is to end. A request without an answer counts as lost.
    pub fn exit(&self) -> Exit {
        if self.is_answered() {
            self.exit
        } else {
            self.exit.max(Exit::NoServer)
        }
    }

    fn is_answered(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    fn greeting(&mut self, line: &[u8]) {
        self.state = match parse(line) {
            Some((None, Reply::Ready(_))) => State::Greeted,
            Some((None, Reply::Denied(_) | Reply::Error(..))) => {
                State::Refused(printable(line, SHOWN))
            }
            _ => State::Refused(format!("no SVSP greeting: {}", printable(line, SHOWN))),
        };
    }

    fn probed(&mut self, line: &[u8]) {
        match parse(line) {
            Some((None, Reply::Ok(text))) => {
                if text.contains("test signatures only") {
                    self.warnings
                        .push("the server has test signatures only".to_owned());
                }
                self.state = State::Ready { coverage: true };
            }
            Some((None, Reply::Error(..))) => self.state = State::Ready { coverage: false },
            _ => self.unexpected(line),
        }
    }

    fn reply(&mut self, line: &[u8], now_ms: u64) {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let id = parts.next().and_then(number);
        let Some((id, open)) = id.and_then(|id| Some((id, self.open.get_mut(&id)?))) else {
            self.unexpected(line);
            return;
        };
        let mut progress = match parse(line) {
            Some((_, reply)) => open.answer.take(reply),
            None => answer::Progress::Unexpected,
        };
        let unexpected = progress == answer::Progress::Unexpected;
        if unexpected {
            progress = open.answer.garbled(parts.next().unwrap_or_default());
        }
        open.accepted = true;
        self.step(id, &progress, now_ms);
        if unexpected {
            self.unexpected(line);
        }
    }

    fn step(&mut self, id: u64, progress: &answer::Progress, now_ms: u64) {
        match progress {
            answer::Progress::Accepted | answer::Progress::Unexpected => {}
            answer::Progress::Begun => self.progress.objects += 1,
            answer::Progress::Ended => {
                if let Some(open) = self.open.remove(&id) {
                    self.finish(open.answer, now_ms);
                }
            }
        }
    }

    fn finish(&mut self, answer: Answer, now_ms: u64) {
        let record = answer.into_record(now_ms);
        self.exit = self.exit.max(record.verdict.into());
        self.progress.done += 1;
        let bytes = record.coverage.map_or(0, |counts| counts.bytes);
        self.progress.bytes_done = self.progress.bytes_done.saturating_add(bytes);
        self.records.push_back(record);
    }

    /// The original server leaves commands lying that came in one segment with another (spec-vfind.md §1.8, row 12), and
    /// asks its clients to wait until a request is accepted; ours takes all at once.
    fn may_ask(&self) -> bool {
        match self.state {
            State::Ready { coverage } => {
                self.open.len() < WINDOW
                    && (coverage || self.open.values().all(|open| open.accepted))
            }
            _ => false,
        }
    }

    fn ask(&mut self, id: u64, name: Vec<u8>, now_ms: u64, out: &mut Vec<u8>) {
        let command = scan_file(id, &name);
        let covered = self.state == State::Ready { coverage: true };
        let mut answer = Answer::new(id, name, now_ms).with_coverage(covered);
        if command.len() > COMMAND_LIMIT {
            answer.fail(format!(
                "the name is longer than a command of {COMMAND_LIMIT} bytes"
            ));
            self.finish(answer, now_ms);
            return;
        }
        out.extend_from_slice(&command);
        let open = Open {
            answer,
            accepted: false,
        };
        self.open.insert(id, open);
    }

    fn unexpected(&mut self, line: &[u8]) {
        self.unexpected += 1;
        if self.unexpected <= WARNINGS {
            self.warnings
                .push(format!("unexpected reply: {}", printable(line, SHOWN)));
        }
    }
}

/// The command for one path. SVSP sends names raw to the line's end, so one that holds a line end cannot be sent; those,
/// and one that starts with a quote, go in the quoted form of the replies, which is our extension
/// (docs/protocols/svsp.md). An old server does not know a file of that name, and says so.
fn scan_file(id: u64, name: &[u8]) -> Vec<u8> {
    let mut command = format!("{id} SCAN/FILE ").into_bytes();
    if name.starts_with(b"\"") || name.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        quote(name, &mut command);
    } else {
        command.extend_from_slice(name);
    }
    command.extend_from_slice(b"\r\n");
    command
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    /// A session for `paths` to which the server has said `opening`.
    fn opened(paths: &[&[u8]], opening: &[&str]) -> (Session, Vec<u8>) {
        let mut session = Session::new(paths.iter().map(|path| path.to_vec()).collect());
        let mut sent = Vec::new();
        for line in opening {
            session.receive(line.as_bytes(), 1000);
            session.commands(1000, &mut sent);
        }
        (session, sent)
    }

    /// The record of one request for /a after these lines, `1 ` in front of each.
    /// The record for `/a` from these replies. The server knows COVERAGE if it says it.
    fn record(lines: &[&str]) -> Record {
        let covered = lines.iter().any(|line| line.starts_with("COVERAGE"));
        let probed = if covered { "OK" } else { "EINVAL" };
        let (mut session, _) = opened(&[b"/a"], &["READY", probed]);
        for line in lines {
            assert!(session.next_record().is_none(), "before {line}");
            session.receive(format!("1 {line}").as_bytes(), 1500);
        }
        assert!(session.is_over());
        session.next_record().unwrap()
    }

    #[test]
    fn an_answer_that_is_not_whole_or_not_ours_is_not_clean() {
        let coverage = "COVERAGE 1 1 0 0 1:00ff";
        assert_eq!(
            record(&[coverage, "DONE 0 : \"/a\""]).verdict,
            Verdict::Clean
        );
        let other = record(&[coverage, "DONE 0 : \"/b\""]);
        assert_eq!(other.verdict, Verdict::Incomplete);
        let (mut session, _) = opened(&[b"/a"], &["READY", "OK"]);
        session.receive(b"1 DONE 0 : \"/a\"", 1);
        let cut = session.next_record().unwrap();
        assert_eq!(cut.verdict, Verdict::Incomplete);
        assert_eq!(cut.error.as_deref(), Some("DONE without COVERAGE"));
    }

    fn names(path: &[crate::verdict::Element]) -> Vec<&str> {
        path.iter().map(|name| name.text.as_str()).collect()
    }

    #[test]
    fn it_probes_before_it_asks() {
        let (mut session, sent) = opened(&[b"/a", b"/b"], &["READY"]);
        assert_eq!(sent, b"ENABLE COVERAGE\r\n");
        assert!(session.is_opening());
        let mut sent = Vec::new();
        session.receive(b"OK", 0);
        session.commands(0, &mut sent);
        assert_eq!(sent, b"1 SCAN/FILE /a\r\n2 SCAN/FILE /b\r\n");
        assert!(!session.is_opening());
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
            let (session, sent) = opened(&[b"/a"], &[line]);
            assert_eq!(session.refusal(), Some(words));
            assert!(session.is_over());
            assert!(sent.is_empty());
            assert_eq!(session.exit(), Exit::NoServer);
        }
    }

    #[test]
    fn test_signatures_only_is_a_warning() {
        let (mut session, _) = opened(&[b"/a"], &["READY", "OK test signatures only"]);
        let warnings = session.take_warnings();
        assert_eq!(warnings, ["the server has test signatures only"]);
        assert!(session.take_warnings().is_empty());
    }

    #[test]
    fn an_old_server_is_asked_one_at_a_time_until_it_accepts() {
        let (mut session, sent) = opened(&[b"/a", b"/b"], &["READY", "EINVAL Unknown option"]);
        assert_eq!(sent, b"ENABLE COVERAGE\r\n1 SCAN/FILE /a\r\n");
        let mut sent = Vec::new();
        session.receive(b"1 QUEUED", 0);
        session.commands(0, &mut sent);
        assert_eq!(sent, b"2 SCAN/FILE /b\r\n");
        session.receive(b"2 DONE : \"/b\"", 0);
        session.receive(b"1 done 0 : \"/a\"", 0);
        for id in ["2", "1"] {
            let record = session.next_record().unwrap();
            assert_eq!(record.request.as_deref(), Some(id));
            assert_eq!(record.verdict, Verdict::Clean);
            assert_eq!((record.coverage, record.epoch), (None, None));
        }
        assert_eq!(session.exit(), Exit::Clean);
    }

    #[test]
    fn no_more_than_the_window_is_in_flight() {
        let paths = vec![&b"/a"[..]; WINDOW + 2];
        let (mut session, sent) = opened(&paths, &["READY", "OK"]);
        let asked = |sent: &[u8]| memchr::memmem::find_iter(sent, b"SCAN/FILE").count();
        assert_eq!(asked(&sent), WINDOW);
        let mut sent = Vec::new();
        session.receive(b"7 DONE 0 : \"/a\"", 0);
        session.commands(0, &mut sent);
        assert_eq!(asked(&sent), 1);
        assert!(!session.is_over());
    }

    #[test]
    fn only_names_that_cannot_go_raw_are_quoted() {
        let rows: &[(&[u8], &[u8])] = &[
            (b"/a b \"c\" \\n\t ", b"/a b \"c\" \\n\t "),
            (b"/\xff", b"/\xff"),
            (b"/a\nb\"", b"\"/a\\nb\\\"\""),
            (b"/a\r", b"\"/a\\r\""),
            (b"\"a", b"\"\\\"a\""),
        ];
        for (name, form) in rows {
            let command = [b"5 SCAN/FILE ", *form, b"\r\n"].concat();
            assert_eq!(scan_file(5, name), command);
        }
    }

    #[test]
    fn a_name_too_long_to_ask_for_is_incomplete_without_asking() {
        let long = vec![b'a'; COMMAND_LIMIT];
        let (mut session, sent) = opened(&[&long, b"/b"], &["READY", "OK"]);
        assert_eq!(sent, b"ENABLE COVERAGE\r\n2 SCAN/FILE /b\r\n");
        assert_eq!(session.next_record().unwrap().verdict, Verdict::Incomplete);
        session.receive(b"2 DONE 0 : \"/b\"", 0);
        assert_eq!(session.exit(), Exit::Incomplete);
    }

    #[test]
    fn every_reply_finds_its_field() {
        let record = record(&[
            "QUEUED",
            "SCANNING \"/a\" -> \"b\"",
            "INFECTED CVDL W32/Sick : \"/a\" -> \"b : c\" : end at 1234",
            "INFECTED Odd : \"\" -> \"d\" : whole object",
            "SKIPPED unsupported/xz : \"/a\" -> \"e\" : version 9",
            "SKIPPED excluded/link : \"\" : -",
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
    fn a_lost_connection_answers_every_request_and_none_clean() {
        let paths = vec![&b"/a"[..]; WINDOW + 1];
        let (mut session, _) = opened(&paths, &["READY", "OK"]);
        session.receive(b"1 DONE 0 : \"/a\"", 0);
        session.receive(b"2 QUEUED", 0);
        assert_eq!(session.exit(), Exit::NoServer);
        session.lost("closed by the server", 0);
        session.lost("once more", 0);
        assert!(session.is_over());
        let records: Vec<_> = std::iter::from_fn(|| session.next_record()).collect();
        assert_eq!(records.len(), WINDOW + 1);
        assert_eq!(session.progress().done, records.len() as u64);
        for record in &records[1..] {
            assert_eq!(record.verdict, Verdict::Incomplete);
            let error = record.error.as_deref();
            assert_eq!(error, Some("connection lost: closed by the server"));
        }
        assert_eq!(session.take_warnings().len(), 1);
        assert_eq!(session.exit(), Exit::NoServer);
    }

    #[test]
    fn a_finding_before_the_connection_was_lost_still_counts() {
        let (mut session, _) = opened(&[b"/a"], &["READY", "OK"]);
        session.receive(b"1 INFECTED CVDL x : \"/a\" : -", 0);
        session.lost("gone", 0);
        assert_eq!(session.next_record().unwrap().verdict, Verdict::Infected);
        assert_eq!(session.exit(), Exit::Infected);
    }

    #[test]
    fn a_connection_that_ends_while_it_opens() {
        let (mut session, _) = opened(&[b"/a"], &[]);
        session.lost("gone", 0);
        assert_eq!(session.refusal(), Some("gone"));
        let (mut session, _) = opened(&[b"/a"], &["READY"]);
        session.lost("gone", 0);
        assert_eq!(session.refusal(), None);
        assert_eq!(session.next_record().unwrap().verdict, Verdict::Incomplete);
    }

    #[test]
    fn lines_that_belong_to_nothing_are_warnings_but_not_without_end() {
        let (mut session, _) = opened(&[b"/a"], &["READY", "OK"]);
        for line in ["HELLO", "9 DONE 0 : \"/a\"", "DONE 0 : \"/a\"", ""] {
            session.receive(line.as_bytes(), 0);
        }
        let warnings = session.take_warnings();
        assert_eq!(warnings.len(), 3);
        assert_eq!(warnings[0], "unexpected reply: HELLO");
        for _ in 0..100 {
            session.receive(b"HELLO", 0);
        }
        assert_eq!(session.take_warnings().len(), WARNINGS - 3);
        assert!(!session.is_over());
    }

    #[test]
    fn progress_counts_objects_and_answers() {
        let (mut session, _) = opened(&[b"/a", b"/b"], &["READY", "OK"]);
        for line in [
            "1 QUEUED",
            "1 SCANNING \"/a\"",
            "2 SCANNING \"/b\"",
            "2 DONE 0 : \"/b\"",
        ] {
            session.receive(line.as_bytes(), 0);
        }
        let progress = Progress {
            known: 2,
            all_known: true,
            done: 1,
            objects: 2,
            ..Progress::default()
        };
        assert_eq!(session.progress(), progress);
    }
}
