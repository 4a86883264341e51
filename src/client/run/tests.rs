//! Runs against servers that do as they are told, well or badly.

use super::*;
use crate::client::lines::LINE_LIMIT;
use crate::client::{Links, Setting, Way};
use crate::verdict::Verdict;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

#[derive(Default)]
struct Seen {
    records: Vec<Record>,
    warnings: Vec<String>,
    progress: Progress,
    full: bool,
}

impl Watch for Seen {
    fn record(&mut self, record: &Record, _: Option<&File>) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.records.push(record.clone());
        Ok(())
    }

    fn warning(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    fn progress(&mut self, progress: Progress) {
        self.progress = progress;
    }
}

impl Seen {
    fn names(&self) -> Vec<String> {
        let names = self.records.iter();
        let mut names: Vec<_> = names.map(|record| record.path[0].text.clone()).collect();
        names.sort();
        names
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.records.iter().map(|record| record.verdict).collect()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime
        .block_on(async { timeout(Duration::from_secs(60), future).await })
        .expect("no deadlock");
    runtime.shutdown_background();
    result
}

/// A scripted server's end of a connection.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self, line: &str) {
        assert_eq!(self.line().as_deref(), Some(line));
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut heard = String::new();
        let length = self.0.read_line(&mut heard).ok()?;
        (length > 0).then(|| heard.trim_end().to_owned())
    }

    fn greet(&mut self) {
        self.say("READY\r\n");
        self.hear("ENABLE COVERAGE");
        self.say("OK\r\n");
    }

    /// `id DONE 0` for what was asked as `id`.
    fn clean(&mut self, id: u64, name: &str) {
        self.say(&format!(
            "{id} COVERAGE 1 9 0 0 1:ff\r\n{id} DONE 0 : \"{name}\"\r\n"
        ));
    }
}

/// A server at a free port that plays one script for each connection, in their order, and is then gone.
fn serve(scripts: Vec<Box<dyn FnOnce(Peer) + Send>>) -> (Server, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string().parse().unwrap();
    let playing = thread::spawn(move || {
        let last = scripts.len();
        let mut listener = Some(listener);
        for (number, script) in scripts.into_iter().enumerate() {
            let peer = listener.as_ref().unwrap().accept().unwrap().0;
            peer.set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            if number + 1 == last {
                // Before the script: when it ends, nobody must be able to connect.
                listener = None;
            }
            script(Peer(BufReader::new(peer)));
        }
    });
    (server, playing)
}

fn plan(servers: Vec<Server>, names: &[&str], way: Way) -> Plan {
    Plan {
        servers,
        settings: Settings {
            pause: Duration::from_millis(2),
            ..Settings::default()
        },
        targets: Targets {
            names: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
            way,
            links: Links::Named,
            ..Targets::default()
        },
    }
}

/// Asks a server that behaves like `play` for these names.
fn ask(
    names: &[&str],
    seen: &mut Seen,
    play: impl FnOnce(Peer) + Send + 'static,
) -> Result<Exit, Failure> {
    let (server, playing) = serve(vec![Box::new(play)]);
    let result = block_on(run(plan(vec![server], names, Way::Names), seen));
    playing.join().unwrap();
    result
}

/// Has a server that behaves like `play` scan the content of a file.
fn upload(
    content: &[u8],
    seen: &mut Seen,
    play: impl FnOnce(Peer) + Send + 'static,
) -> Result<Exit, Failure> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let name = file.path().to_str().unwrap();
    let (server, playing) = serve(vec![Box::new(play)]);
    let result = block_on(run(plan(vec![server], &[name], Way::Contents), seen));
    playing.join().unwrap();
    result
}

#[test]
fn a_conversation_from_ready_to_quit() {
    let mut seen = Seen::default();
    let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
        peer.say("READY\r\n");
        peer.hear("ENABLE COVERAGE");
        peer.say("OK test signatures only\r\n");
        peer.hear("1 SCAN/FILE /a");
        peer.hear("2 SCAN/FILE /b");
        peer.say("1 QUEUED\r\n2 QUEUED\r\n2 SCANNING \"/b\"\r\n");
        peer.say("2 INFECTED CVDL x : \"/b\" : end at 1\r\n");
        peer.say("2 COVERAGE 1 9 0 0 1:ff\r\n2 DONE 1 : \"/b\"\r\n");
        peer.clean(1, "/a");
        peer.hear("QUIT");
        peer.say("OK\r\n");
        assert_eq!(peer.line(), None);
    });
    assert_eq!(exit.unwrap(), Exit::Infected);
    assert_eq!(seen.verdicts(), [Verdict::Infected, Verdict::Clean]);
    assert_eq!(seen.warnings.len(), 1);
    assert!(seen.warnings[0].ends_with(": the server has test signatures only"));
    let progress = Progress {
        done: 2,
        objects: 1,
        bytes_done: 18,
        known: 2,
        known_bytes: 0,
        all_known: true,
    };
    assert_eq!(seen.progress, progress);
}

#[test]
fn an_old_server_is_good_enough() {
    let mut seen = Seen::default();
    let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
        peer.say("READY\n");
        peer.hear("ENABLE COVERAGE");
        peer.say("EINVAL Unknown option: COVERAGE\n");
        peer.hear("1 SCAN/FILE /a");
        peer.say("1 SCANNING \"/a\"\n");
        peer.hear("2 SCAN/FILE /b");
        peer.say("1 DONE : \"/a\"\n2 DONE : \"/b\"\n");
        peer.hear("QUIT");
    });
    assert_eq!(exit.unwrap(), Exit::Clean);
    assert_eq!(seen.records[0].coverage, None);
}

#[test]
fn a_server_that_vanishes_is_no_clean_one() {
    let mut seen = Seen::default();
    let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
        peer.greet();
        peer.hear("1 SCAN/FILE /a");
        peer.hear("2 SCAN/FILE /b");
        // Without its line end the second one may have been anything.
        peer.say("1 COVERAGE 1 9 0 0 1:ff\r\n1 DONE 0 : \"/a\"\r\n2 DONE 0 : \"/b\"");
    });
    assert_eq!(exit.unwrap(), Exit::NoServer);
    assert_eq!(seen.verdicts(), [Verdict::Clean, Verdict::Incomplete]);
    assert!(seen.warnings[0].ends_with(": connection lost: closed by the server"));
}

#[test]
fn a_flood_without_line_ends_is_a_lost_server() {
    let mut seen = Seen::default();
    let exit = ask(&["/a"], &mut seen, |mut peer| {
        peer.greet();
        let flood = vec![b'x'; LINE_LIMIT + 100_000];
        // The client may close before it has read all.
        let _ = peer.0.get_mut().write_all(&flood);
    });
    assert_eq!(exit.unwrap(), Exit::NoServer);
    assert_eq!(seen.verdicts(), [Verdict::Incomplete]);
}

#[test]
fn a_denied_client_says_by_whom_and_why() {
    let mut seen = Seen::default();
    let failure = ask(&["/a"], &mut seen, |mut peer| {
        peer.say("DENIED not from here\r\n");
    })
    .unwrap_err();
    assert_eq!(failure.exit(), Exit::NoServer);
    let text = failure.to_string();
    assert!(text.starts_with("127.0.0.1:"), "{text}");
    assert!(
        text.ends_with(": takes no requests: DENIED not from here"),
        "{text}"
    );
    assert!(seen.records.is_empty());
}

#[test]
fn an_option_that_a_server_refuses_ends_the_run() {
    let (server, playing) = serve(vec![Box::new(|mut peer: Peer| {
        peer.greet();
        peer.hear("ENABLE EXPAND nonsense");
        peer.say("EINVAL Unknown kind\r\n");
    })]);
    let mut plan = plan(vec![server], &["/a"], Way::Names);
    plan.settings.options = vec![Setting::expand("nonsense").unwrap()];
    let failure = block_on(run(plan, &mut Seen::default())).unwrap_err();
    playing.join().unwrap();
    assert_eq!(failure.exit(), Exit::Error);
    let text = failure.to_string();
    assert!(
        text.ends_with(": EXPAND nonsense: EINVAL Unknown kind"),
        "{text}"
    );
}

fn nobody() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

#[test]
fn no_server_is_one_clear_line() {
    let (one, two) = (nobody(), nobody());
    let plan = plan(vec![one.clone(), two.clone()], &["/a"], Way::Names);
    let failure = block_on(run(plan, &mut Seen::default())).unwrap_err();
    assert_eq!(failure.exit(), Exit::NoServer);
    assert_eq!(
        failure.to_string(),
        format!("{one}: no server: Connection refused; {two}: no server: Connection refused")
    );
}

#[test]
fn one_of_two_servers_is_enough_and_the_other_is_a_warning() {
    let absent = nobody();
    let (server, playing) = serve(vec![Box::new(|mut peer: Peer| {
        peer.greet();
        peer.hear("1 SCAN/FILE /a");
        peer.clean(1, "/a");
        peer.hear("QUIT");
    })]);
    let mut seen = Seen::default();
    let plan = plan(vec![absent.clone(), server], &["/a"], Way::Names);
    assert_eq!(block_on(run(plan, &mut seen)).unwrap(), Exit::Clean);
    playing.join().unwrap();
    let warning = format!("{absent}: no server: Connection refused");
    assert_eq!(seen.warnings, [warning]);
}

#[test]
fn output_that_nobody_reads_ends_it_quietly_but_not_clean() {
    let mut seen = Seen {
        full: true,
        ..Seen::default()
    };
    let failure = ask(&["/a"], &mut seen, |mut peer| {
        peer.greet();
        peer.hear("1 SCAN/FILE /a");
        peer.clean(1, "/a");
    })
    .unwrap_err();
    assert!(failure.is_closed_output());
    assert_eq!(failure.exit(), Exit::Error);
}

#[test]
fn a_server_that_hangs_is_asked_for_a_sign_and_then_lost() {
    let (server, playing) = serve(vec![Box::new(|mut peer: Peer| {
        peer.greet();
        peer.hear("1 SCAN/FILE /a");
        // It lives, if slowly; then it does not.
        peer.hear("ENABLE COVERAGE");
        peer.say("OK\r\n");
        peer.hear("ENABLE COVERAGE");
        assert_eq!(peer.line(), None);
    })]);
    let mut seen = Seen::default();
    let mut plan = plan(vec![server], &["/a"], Way::Names);
    plan.settings.timeout = Duration::from_millis(100);
    assert_eq!(block_on(run(plan, &mut seen)).unwrap(), Exit::NoServer);
    playing.join().unwrap();
    assert_eq!(seen.verdicts(), [Verdict::Incomplete]);
}

#[test]
fn a_server_that_answers_what_nobody_understands_is_lost_though_it_lives() {
    for answer in ["1 FINISHED", "1 EIO \"/a\""] {
        let alive = move |mut peer: Peer| {
            peer.greet();
            peer.hear("1 SCAN/FILE /a");
            peer.say(&format!("{answer}\r\n"));
            while let Some(line) = peer.line() {
                if line == "QUIT" {
                    break;
                }
                // The client may have had enough.
                let _ = peer.0.get_mut().write_all(b"OK\r\n");
            }
        };
        let (server, playing) = serve(vec![Box::new(alive)]);
        let mut seen = Seen::default();
        let mut plan = plan(vec![server], &["/a"], Way::Names);
        plan.settings.timeout = Duration::from_millis(100);
        let exit = block_on(run(plan, &mut seen)).unwrap();
        playing.join().unwrap();
        assert_eq!(seen.verdicts(), [Verdict::Incomplete]);
        let is_end = answer.contains("EIO");
        let expected = if is_end {
            Exit::Incomplete
        } else {
            Exit::NoServer
        };
        assert_eq!(exit, expected, "{answer}");
    }
}

#[test]
fn a_finding_of_nobody_makes_nothing_clean_but_what_was_answered_stands() {
    let mut seen = Seen::default();
    let exit = ask(&["/a", "/b"], &mut seen, |mut peer| {
        peer.greet();
        peer.hear("1 SCAN/FILE /a");
        peer.hear("2 SCAN/FILE /b");
        let coverage = "COVERAGE 1 9 0 0 1:ff";
        // In one segment, so that both are read at once.
        peer.say(&format!(
            "1 {coverage}\r\n1 DONE 0 : \"/a\"\r\nINFECTED CVDL x : \"/b\" : -\r\n2 {coverage}\r\n2 DONE 0 : \"/b\"\r\n"
        ));
    });
    assert_eq!(exit.unwrap(), Exit::NoServer);
    assert_eq!(seen.verdicts(), [Verdict::Clean, Verdict::Incomplete]);
    assert!(seen.warnings[0].contains("a reply that belongs to no request: INFECTED CVDL"));
}

/// Reads what comes to a data port.
fn data_port() -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reader = thread::spawn(move || {
        let mut content = Vec::new();
        let mut peer = listener.accept().unwrap().0;
        peer.read_to_end(&mut content).unwrap();
        content
    });
    (port, reader)
}

#[test]
fn a_content_goes_to_the_port_that_the_server_names() {
    let mut seen = Seen::default();
    let exit = upload(b"any content", &mut seen, |mut peer| {
        peer.greet();
        let asked = peer.line().unwrap();
        let name = asked.strip_prefix("1 SCAN/REQUEST ").unwrap();
        let (port, reader) = data_port();
        peer.say(&format!("1 QUEUED\r\n1 SEND {port}\r\n"));
        assert_eq!(reader.join().unwrap(), b"any content");
        peer.clean(1, name);
        peer.hear("QUIT");
    });
    assert_eq!(exit.unwrap(), Exit::Clean);
    assert_eq!(seen.progress.bytes_done, 11);
    assert_eq!(seen.progress.known_bytes, 11);
}

#[test]
fn a_content_that_finds_no_room_or_no_port_is_offered_again_and_then_given_up() {
    for error in [
        "EAGAIN no room",
        "ENOENT \"x\" : unreadable/ENOENT : nobody came",
    ] {
        for refusals in [3, 4] {
            let mut seen = Seen::default();
            let exit = upload(b"content", &mut seen, move |mut peer| {
                peer.greet();
                let mut asked = peer.line().unwrap();
                for number in 1..=refusals {
                    assert!(asked.starts_with("1 SCAN/REQUEST "), "{asked}");
                    peer.say(&format!("1 QUEUED\r\n1 {error}\r\n"));
                    asked = peer.line().unwrap();
                    if number == 4 {
                        assert_eq!(asked, "QUIT");
                        return;
                    }
                }
                let (port, reader) = data_port();
                peer.say(&format!("1 QUEUED\r\n1 SEND {port}\r\n"));
                assert_eq!(reader.join().unwrap(), b"content");
                peer.clean(1, asked.strip_prefix("1 SCAN/REQUEST ").unwrap());
                peer.hear("QUIT");
            });
            let ends = [(3, Exit::Clean), (4, Exit::Incomplete)];
            let end = ends.iter().find(|(number, _)| *number == refusals).unwrap();
            assert_eq!(exit.unwrap(), end.1, "{error} {refusals} times");
            assert_eq!(seen.records.len(), 1);
        }
    }
}

#[test]
fn a_clean_word_about_a_content_that_nobody_read_is_not_believed() {
    let mut seen = Seen::default();
    let exit = upload(&vec![b'x'; 32 << 20], &mut seen, |mut peer| {
        peer.greet();
        // As often as it is offered again.
        while let Some(name) = peer.line().and_then(|asked| {
            let name = asked.strip_prefix("1 SCAN/REQUEST ")?;
            Some(name.to_owned())
        }) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            peer.say(&format!("1 QUEUED\r\n1 SEND {port}\r\n"));
            drop(listener.accept().unwrap());
            peer.clean(1, &name);
        }
    });
    assert_eq!(exit.unwrap(), Exit::Incomplete);
    assert_eq!(seen.verdicts(), [Verdict::Incomplete]);
}

/// Each request by a server that, beside answering, dies after so many commands; its restarts die too.
fn mortal(lives: Vec<usize>) -> (Server, thread::JoinHandle<()>) {
    let scripts = lives.into_iter().map(|life| {
        let script = move |mut peer: Peer| {
            peer.greet();
            for _ in 0..life {
                let Some(asked) = peer.line() else { return };
                let mut words = asked.splitn(3, ' ');
                let id = words.next().unwrap().to_owned();
                if id == "QUIT" {
                    return;
                }
                let id: u64 = id.parse().unwrap();
                let name = words.nth(1).unwrap();
                if name == "/killer" {
                    return;
                }
                peer.say(&format!("{id} QUEUED\r\n{id} SCANNING \"{name}\"\r\n"));
                peer.clean(id, name);
            }
        };
        Box::new(script) as Box<dyn FnOnce(Peer) + Send>
    });
    serve(scripts.collect())
}

#[test]
fn what_kills_servers_is_lost_and_nothing_else() {
    let names: Vec<_> = (0..200).map(|number| format!("/{number}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.insert(100, "/killer");
    let (one, first) = mortal(vec![usize::MAX; 4]);
    let (two, second) = mortal(vec![usize::MAX; 4]);
    let mut seen = Seen::default();
    let exit = block_on(run(plan(vec![one, two], &names, Way::Names), &mut seen));
    // They wait for connections that do not come any more.
    drop((first, second));
    assert_eq!(exit.unwrap(), Exit::NoServer);
    let mut expected: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    expected.sort();
    assert_eq!(seen.names(), expected);
    let lost: Vec<_> = seen
        .records
        .iter()
        .filter(|record| record.verdict != Verdict::Clean)
        .map(|record| record.path[0].text.as_str())
        .collect();
    assert_eq!(lost, ["/killer"]);
}

#[test]
fn whoever_dies_and_when_each_name_has_one_record() {
    let names: Vec<_> = (0..300).map(|number| format!("/{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut state: u64 = 7;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..12 {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let lives = (0..1 + random(4)).map(|_| random(90)).collect();
            servers.push(mortal(lives).0);
        }
        let mut seen = Seen::default();
        let result = block_on(run(plan(servers, &names, Way::Names), &mut seen));
        let exit = result.unwrap();
        let counts = seen
            .names()
            .into_iter()
            .fold(HashMap::new(), |mut all, name| {
                *all.entry(name).or_insert(0) += 1;
                all
            });
        assert_eq!(counts.len(), names.len(), "round {round}");
        assert!(counts.values().all(|count| *count == 1), "round {round}");
        let lost = seen.verdicts().contains(&Verdict::Incomplete);
        let end = if lost { Exit::NoServer } else { Exit::Clean };
        assert_eq!(exit, end, "round {round}");
    }
}
