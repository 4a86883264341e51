//! A play: a stream, fed to the gateway in pieces and answered with news of scans, all of it held against the model.

use std::collections::HashMap;

use bytes::BytesMut;
use vfind::event::{EngineWord, Errno, Finding, Gap, Place, Reason, SignatureName};
use vfind::gateway::svsp::Svsp;
use vfind::gateway::{Channel, Hello, Protocol, Step};
use vfind::path::ObjectPath;
use vfind::request::{Request, Source};
use vfind::verdict::{JobId, Report, Summary};

use crate::model::{self, Command, Effect, Scan, Text, Way, quote};
use crate::model_streams::{EXCLUDABLE, IGNORABLE};

/// What has become of a command.
#[derive(Default)]
struct State {
    job: Option<JobId>,
    port: Option<u16>,
    /// What was said about the scan after QUEUED and SEND.
    said: Vec<Text>,
    findings: u64,
    done: bool,
    content: Vec<u8>,
    complete: bool,
    /// The client ended within the content.
    is_cut: bool,
}

pub struct Play<'a> {
    stream: &'a [u8],
    half_close: bool,
    commands: Vec<Command>,
    states: Vec<State>,
    jobs: HashMap<JobId, usize>,
    random: Random,
    svsp: Svsp,
    input: BytesMut,
    fed: usize,
    ended: bool,
    out: Vec<u8>,
    /// Lines without an id, and lines with an id that answer nothing that we told.
    plain: Vec<Vec<u8>>,
    numbered: Vec<Vec<u8>>,
}

/// Enough of a random number for when to do what; the streams are proptest's.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }
}

fn whole(text: impl AsRef<[u8]>) -> Text {
    Text::Whole(text.as_ref().to_vec())
}

fn begin(text: impl AsRef<[u8]>) -> Text {
    Text::Begin(text.as_ref().to_vec())
}

fn with_name(word: &str, name: &[u8]) -> Vec<u8> {
    [word.as_bytes(), b" ", &quote(name)].concat()
}

impl<'a> Play<'a> {
    pub fn new(stream: &'a [u8], half_close: bool, seed: u64) -> Self {
        let commands = model::read(stream, half_close);
        let hello = Hello {
            dial_from: Some(1024),
            ..Hello::default()
        };
        Self {
            stream,
            half_close,
            states: commands.iter().map(|_| State::default()).collect(),
            commands,
            jobs: HashMap::new(),
            random: Random(seed | 1),
            svsp: Svsp::new(hello),
            input: BytesMut::new(),
            fed: 0,
            ended: false,
            out: Vec::new(),
            plain: Vec::new(),
            numbered: Vec::new(),
        }
    }

    pub fn run(&mut self) {
        // Each turn feeds a byte or more, takes a step or tells something; none of it can go on for longer.
        for _ in 0..100_000 {
            let step = self
                .svsp
                .receive(&mut self.input, self.ended, &mut self.out);
            self.sort_lines();
            match step {
                Step::Close => return self.check_close(),
                Step::Read => {
                    // A crowd would be counted a thousand times.
                    if self.commands.len() < 100 || self.random.below(16) == 0 {
                        self.check(true);
                    }
                    if !self.go_on(true) {
                        return self.check(true);
                    }
                }
                Step::Wait => {
                    if self.commands.len() < 100 || self.random.below(16) == 0 {
                        self.check(false);
                        self.check_wait();
                    }
                    assert!(self.go_on(false), "it waits, and nothing can come");
                }
                Step::Scan(job, request) => {
                    let at = self.given(job, &request);
                    assert_eq!(self.scan(at).way, Way::Name);
                }
                Step::Receive(job, request, channel) => {
                    let at = self.given(job, &request);
                    match (&self.scan(at).way, channel) {
                        (Way::Listen, Channel::Listen) => {}
                        (Way::Dial(port), Channel::Dial(to)) => assert_eq!(*port, to),
                        (way, Channel::Inline) => assert!(way.is_inline()),
                        other => panic!("{other:?}"),
                    }
                }
                Step::Content(job, bytes) => {
                    let state = self.of_inline(job);
                    state.content.extend_from_slice(&bytes);
                }
                Step::Complete(job) => {
                    self.of_inline(job).complete = true;
                    self.check_content(self.jobs[&job]);
                }
                Step::Forget(job) => self.forgotten(job),
                other => panic!("no step of SVSP: {other:?}"),
            }
        }
        panic!("it never ends");
    }

    fn scan(&self, at: usize) -> &Scan {
        match &self.commands[at].effect {
            Effect::Scan(scan) => scan,
            other => panic!("{other:?} is no scan"),
        }
    }

    /// Finds the command of a job: each row, with ids and without, is given out in its order.
    fn given(&mut self, job: JobId, request: &Request) -> usize {
        let next = |is_numbered: bool| {
            (0..self.commands.len()).find(|&at| {
                let command = &self.commands[at];
                command.id.is_some() == is_numbered
                    && matches!(command.effect, Effect::Scan(_))
                    && self.states[at].job.is_none()
            })
        };
        let fits = |at: &usize| {
            let scan = self.scan(*at);
            scan.name == request.source.name()
                && (scan.way == Way::Name) == matches!(request.source, Source::Path(_))
        };
        // Without a name both may fit; a row without an id gives nothing while one is under way.
        let is_plain_free = (0..self.commands.len()).all(|at| {
            self.commands[at].id.is_some() || self.states[at].job.is_none() || self.states[at].done
        });
        let plain = next(false).filter(fits).filter(|_| is_plain_free);
        let numbered = next(true).filter(fits);
        let at = match (plain, numbered) {
            (Some(plain), Some(numbered)) => {
                let before = self.expected_numbered(|at| at < numbered).len();
                let is_numbered = self.numbered.len() > before;
                if is_numbered { numbered } else { plain }
            }
            (plain, numbered) => plain.or(numbered).unwrap_or_else(|| {
                panic!("no command asks for {:?}", Lossy(request.source.name()))
            }),
        };
        let scan = self.scan(at);
        let options = &scan.options;
        assert_eq!(request.sha1, scan.sha1, "sha1");
        assert_eq!(request.details, options.coverage, "COVERAGE");
        assert_eq!(request.options.original, options.original, "ORIGINAL");
        assert_eq!(request.options.recurse, options.recurse, "RECURSE");
        assert_eq!(request.options.html, options.html, "HTML");
        assert_eq!(request.options.expand, options.expand, "EXPAND");
        for name in IGNORABLE {
            let signature = SignatureName::new(EngineWord::Cvdl, name);
            let text = format!("CVDL {name}");
            let is_ignored = request.options.ignores(&signature);
            assert_eq!(
                is_ignored,
                options.ignore.contains(text.as_bytes()),
                "{text}"
            );
        }
        for (entry, inside) in EXCLUDABLE {
            let is_excluded = request.options.exclude.covers(inside.as_bytes());
            let entry = match entry.strip_prefix('"') {
                Some(_) => "/ex/quoted\n".as_bytes(),
                None => entry.as_bytes(),
            };
            assert_eq!(is_excluded, options.exclude.contains(entry), "{inside}");
        }
        assert_eq!(self.jobs.insert(job, at), None, "a number given twice");
        self.states[at].job = Some(job);
        at
    }

    fn of_inline(&mut self, job: JobId) -> &mut State {
        let at = self.jobs[&job];
        assert!(self.scan(at).way.is_inline());
        let state = &mut self.states[at];
        assert!(
            !state.done && !state.complete,
            "content after the end of it"
        );
        state
    }

    /// The protocol gave a scan up, which it may if the client ended within the content.
    fn forgotten(&mut self, job: JobId) {
        let at = self.jobs[&job];
        let end = self.stream.len();
        assert!(self.ended && self.fed == end, "given up too early");
        let scan = self.scan(at);
        assert!(matches!(scan.way, Way::Counted(_, to) if to > end));
        let name = scan.name.clone();
        let mut said = Vec::new();
        if scan.options.coverage {
            let gap = with_name("SKIPPED unreadable/ENODATA :", &name);
            said.push(begin(gap));
            said.push(begin("COVERAGE 0 0 1 0"));
        }
        said.push(begin(with_name("EAGAIN", &name)));
        let state = self.of_inline(job);
        state.done = true;
        state.is_cut = true;
        state.said = said;
    }

    /// Takes what was written in answer to input.
    fn sort_lines(&mut self) {
        let out = std::mem::take(&mut self.out);
        let mut lines = out.split(|byte| *byte == b'\n').collect::<Vec<_>>();
        assert_eq!(lines.pop(), Some(&b""[..]), "a line without an end");
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap();
            if line[0].is_ascii_digit() {
                self.numbered.push(line.to_vec());
            } else {
                self.plain.push(line.to_vec());
            }
        }
    }

    /// All replies to lines with an id that no report brings, in the order of the lines.
    fn expected_numbered(&self, is_read: impl Fn(usize) -> bool) -> Vec<(Vec<u8>, Text)> {
        let mut lines = Vec::new();
        for (at, command) in self.commands.iter().enumerate() {
            let Some(id) = &command.id else { continue };
            if is_read(at) {
                let state = &self.states[at];
                let mut texts = self.opening(at);
                // What the end of the input brings is no news that we told.
                if state.is_cut {
                    texts.extend(state.said.iter().cloned());
                }
                lines.extend(texts.into_iter().map(|text| (id.clone(), text)));
            }
        }
        lines
    }

    /// All replies to lines without an id: up to the first scan that has not ended.
    fn expected_plain(&self, is_read: impl Fn(usize) -> bool) -> Vec<Text> {
        let mut lines = vec![whole("READY")];
        for (at, command) in self.commands.iter().enumerate() {
            if command.id.is_some() || !is_read(at) {
                continue;
            }
            lines.extend(self.opening(at));
            if let Effect::Scan(scan) = &command.effect {
                let state = &self.states[at];
                if scan.way == Way::Listen {
                    lines.extend(state.port.map(|port| whole(format!("SEND {port}"))));
                }
                lines.extend(state.said.iter().cloned());
                if !state.done {
                    break;
                }
            }
        }
        lines
    }

    /// What a command is answered with as soon as it is its turn.
    fn opening(&self, at: usize) -> Vec<Text> {
        match &self.commands[at].effect {
            Effect::Reply(word) | Effect::Fatal(word) => vec![begin(word)],
            Effect::NoSuchName { name, coverage } => {
                let mut lines = vec![whole("QUEUED")];
                if *coverage {
                    lines.push(begin(with_name("SKIPPED unreadable/ENOENT :", name)));
                    lines.push(begin("COVERAGE 0 0 1 0"));
                }
                lines.push(whole(with_name("ENOENT", name)));
                lines
            }
            Effect::Scan(scan) if scan.way.is_inline() => vec![whole("QUEUED"), whole("SEND")],
            Effect::Scan(_) => vec![whole("QUEUED")],
            Effect::Quit if self.are_scans_done() => vec![begin("OK")],
            Effect::Quit | Effect::Hang => Vec::new(),
        }
    }

    fn are_scans_done(&self) -> bool {
        let scans = self.commands.iter().zip(&self.states);
        scans
            .filter(|(command, _)| matches!(command.effect, Effect::Scan(_)))
            .all(|(_, state)| state.done)
    }

    fn is_known(&self, at: usize) -> bool {
        let command = &self.commands[at];
        command.known_at <= self.fed && (self.ended || !command.needs_end)
    }

    /// Holds what was said against what had to be said by now: exactly that if all input has been taken, else a beginning
    /// of it.
    fn check(&self, is_all_read: bool) {
        let numbered = self.expected_numbered(|at| self.is_known(at));
        let plain = self.expected_plain(|at| self.is_known(at));
        if is_all_read {
            let said = (self.plain.len(), self.numbered.len());
            assert_eq!(
                said,
                (plain.len(), numbered.len()),
                "said {:?}\nnot {plain:?}\nand {:?}\nnot {numbered:?}",
                Lossy(&self.plain),
                Lossy(&self.numbered)
            );
            for at in 0..self.commands.len() {
                self.check_content(at);
            }
        }
        assert!(self.plain.len() <= plain.len() && self.numbered.len() <= numbered.len());
        for (line, text) in self.plain.iter().zip(&plain) {
            assert!(text.allows(line), "{:?} is not {text:?}", Lossy(line));
        }
        for (line, (id, text)) in self.numbered.iter().zip(&numbered) {
            let rest = line.strip_prefix(id.as_slice());
            let rest = rest.and_then(|rest| rest.strip_prefix(b" "));
            let is_right = rest.is_some_and(|rest| text.allows(rest));
            assert!(is_right, "{:?} is not {text:?}", Lossy(line));
        }
    }

    /// All content that has come was passed on, and is called complete when it is.
    fn check_content(&self, at: usize) {
        let (Effect::Scan(scan), state) = (&self.commands[at].effect, &self.states[at]) else {
            return;
        };
        if !scan.way.is_inline() || state.job.is_none() || (state.done && !state.complete) {
            return;
        }
        let (from, to, is_complete) = match scan.way {
            Way::Counted(from, to) => (from, to.min(self.fed), to <= self.fed),
            Way::Rest(from) => (from, self.fed, self.ended && self.fed == self.stream.len()),
            _ => return,
        };
        assert_eq!(state.complete, is_complete, "complete");
        assert!(state.content == self.stream[from..to], "the content");
    }

    /// It may wait only for a scan, and only where a scan is in the way or nothing more is to be read.
    fn check_wait(&self) {
        let open = self.open_jobs();
        assert!(!open.is_empty(), "it waits for nothing");
        let is_stopped = self.ended
            || self.commands.iter().enumerate().any(|(at, command)| {
                self.is_known(at)
                    && match &command.effect {
                        Effect::Quit | Effect::Fatal(_) => true,
                        Effect::Scan(scan) => command.id.is_none() && scan.way.is_inline(),
                        _ => false,
                    }
            });
        let pending = self.commands.iter().enumerate();
        let pending = pending.filter(|(at, _)| self.is_known(*at) && !self.states[*at].done);
        assert!(
            is_stopped || pending.count() >= 256,
            "it waits without need"
        );
    }

    fn check_close(&mut self) {
        self.check(false);
        let stops = |command: &Command| {
            matches!(
                command.effect,
                Effect::Quit | Effect::Fatal(_) | Effect::Hang
            )
        };
        let is_stopped = self.commands.last().is_some_and(stops);
        assert!(is_stopped || self.ended, "closed without need");
        assert!(self.are_scans_done(), "closed with scans under way");
        let plain = self.expected_plain(|_| true).len();
        let numbered = self.expected_numbered(|_| true).len();
        assert_eq!((self.plain.len(), self.numbered.len()), (plain, numbered));
    }

    fn open_jobs(&self) -> Vec<(JobId, usize)> {
        let open = |at: &usize| !self.states[*at].done;
        let mut jobs: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, at)| open(at))
            .map(|(job, at)| (*job, *at))
            .collect();
        jobs.sort_unstable();
        jobs
    }

    /// Lets something happen: input if it is wanted, or news about a scan. False if nothing is left.
    fn go_on(&mut self, wants_input: bool) -> bool {
        let left = self.stream.len() - self.fed;
        let can_feed = wants_input && (left > 0 || self.half_close && !self.ended);
        let jobs = self.open_jobs();
        // A scan whose content will never be whole has no news.
        let jobs: Vec<_> = jobs
            .into_iter()
            .filter(|(_, at)| can_feed || !self.is_starved(*at))
            .collect();
        if can_feed && (jobs.is_empty() || self.random.below(4) > 0) {
            let most = [1, 3, 20, 200, 100_000][self.random.below(5)];
            // A long stream is none for single bytes; the short ones are.
            let most = most * (1 + self.stream.len() / 1_000);
            let size = left.min(1 + self.random.below(most));
            self.input
                .extend_from_slice(&self.stream[self.fed..self.fed + size]);
            self.fed += size;
            let is_all = self.fed == self.stream.len();
            self.ended = self.half_close && is_all && (size == 0 || self.random.below(2) == 0);
            return true;
        }
        if jobs.is_empty() {
            return false;
        }
        let (job, at) = jobs[self.random.below(jobs.len())];
        self.tell(job, at);
        true
    }

    fn is_starved(&self, at: usize) -> bool {
        let state = &self.states[at];
        self.scan(at).way.is_inline() && !state.complete
    }

    /// Brings news of one scan, which must be passed on at once.
    fn tell(&mut self, job: JobId, at: usize) {
        let scan = self.scan(at).clone();
        let root = ObjectPath::root(scan.name.clone());
        let is_closed = scan.way == Way::Listen && self.states[at].port.is_none();
        if is_closed && self.random.below(4) > 0 {
            let port = 1024 + self.random.below(60_000) as u16;
            self.states[at].port = Some(port);
            self.svsp.opened(job, port, &mut self.out);
            let news = vec![whole(format!("SEND {port}"))];
            return self.check_news(at, news);
        }
        let is_whole = !is_closed && !self.is_starved(at);
        let choice = if is_whole { self.random.below(8) } else { 7 };
        let mut said = Vec::new();
        match choice {
            0 | 1 => {
                let member = root.member(b"m\n");
                said.push(whole(
                    [&with_name("SCANNING", &scan.name)[..], b" -> \"m\\n\""].concat(),
                ));
                self.svsp
                    .report(job, &Report::Scanning(member), &mut self.out);
            }
            2 => {
                let finding = Finding {
                    signature: SignatureName::new(EngineWord::Cvdl, "Sick"),
                    path: root,
                    view: None,
                    place: Place::End(7),
                };
                let name = quote(&scan.name);
                said.push(whole(
                    [b"INFECTED CVDL Sick : ", &name[..], b" : end at 7"].concat(),
                ));
                self.states[at].findings += 1;
                self.svsp
                    .report(job, &Report::Finding(finding), &mut self.out);
            }
            _ => {
                let mut summary = Summary::new(root.clone());
                summary.findings = self.states[at].findings;
                summary.sha1 = scan.sha1.then(|| "00ff".repeat(10));
                if choice == 7 {
                    summary.worst = Some(Gap {
                        path: root,
                        reason: Reason::Unreadable(Errno(11)),
                        detail: "no room".to_owned(),
                    });
                    summary.coverage.gaps = 1;
                }
                if scan.options.coverage {
                    said.push(whole(format!("COVERAGE 0 0 {} 0 -", summary.coverage.gaps)));
                }
                if choice == 7 && summary.findings == 0 {
                    said.push(begin(with_name("EAGAIN", &scan.name)));
                } else {
                    let mut line = with_name(&format!("DONE {} :", summary.findings), &scan.name);
                    if let Some(sha1) = &summary.sha1 {
                        line.extend(format!(" : {sha1}").bytes());
                    }
                    said.push(whole(line));
                }
                self.states[at].done = true;
                let ended = Report::Ended(Box::new(summary));
                self.svsp.report(job, &ended, &mut self.out);
            }
        }
        self.states[at].said.extend(said.iter().cloned());
        self.check_news(at, said);
    }

    /// News of a scan with an id come out at once, before everything else; those without one are in their row.
    fn check_news(&mut self, at: usize, news: Vec<Text>) {
        let before = self.numbered.len();
        self.sort_lines();
        if let Some(id) = &self.commands[at].id {
            assert!(self.numbered.len() >= before + news.len(), "no news");
            let lines = self.numbered.drain(before..before + news.len());
            for (line, text) in lines.zip(news) {
                let line = line.strip_prefix(id.as_slice()).unwrap();
                let is_right = line
                    .strip_prefix(b" ")
                    .is_some_and(|line| text.allows(line));
                assert!(is_right, "{:?} is not {text:?}", Lossy(line));
            }
        }
    }

    /// The server ends: everything that is under way is answered, and not as clean.
    pub fn abandon(&mut self) {
        let open = self.open_jobs();
        let plain_before = self.plain.len();
        let numbered_before = self.numbered.len();
        self.svsp.abandon(&mut self.out);
        self.sort_lines();
        let plain = &self.plain[plain_before..];
        let numbered = &self.numbered[numbered_before..];
        for line in plain.iter().chain(numbered) {
            let has_done = line.windows(5).any(|part| part == b"DONE ");
            assert!(!has_done, "{:?} when the server ends", Lossy(line));
        }
        for (_, at) in open {
            let name = &self.scan(at).name;
            let text = begin(with_name("EAGAIN", name));
            let is_told = match &self.commands[at].id {
                None => plain.iter().any(|line| text.allows(line)),
                Some(id) => numbered.iter().any(|line| {
                    let line = line.strip_prefix(id.as_slice());
                    line.is_some_and(|line| line.first() == Some(&b' ') && text.allows(&line[1..]))
                }),
            };
            assert!(is_told, "nobody told about {:?}", Lossy(name));
        }
    }
}

/// Bytes as people read them.
struct Lossy<T>(T);

impl std::fmt::Debug for Lossy<&Vec<u8>> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.0.escape_ascii())
    }
}

impl std::fmt::Debug for Lossy<&[u8]> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.0.escape_ascii())
    }
}

impl std::fmt::Debug for Lossy<&Vec<Vec<u8>>> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(Lossy)).finish()
    }
}
