//! Many at once, and those who do not behave.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use crate::support::Daemon;
use vfind::gateway::svsp::reply::{self, Reply};

const CONNECTIONS: usize = 200;
const REQUESTS: usize = 500;

#[test]
fn two_hundred_connections_get_one_answer_for_each_of_five_hundred_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    std::fs::write(&path, b"small").unwrap();
    let daemon = Daemon::start(&[]);
    let commands: String = (0..REQUESTS)
        .map(|number| match number % 5 {
            0 => format!("{number} SCAN/FILE {}/absent\r\n", folder.path().display()),
            1 => format!("{number} SCAN/FILE {}\r\n", folder.path().display()),
            _ => format!("{number} SCAN/FILE {}\r\n", path.display()),
        })
        .collect();
    let before = daemon.resident();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            let mut talk = daemon.connect();
            let mut writer = talk.stream.try_clone().unwrap();
            let commands = commands.as_bytes();
            scope.spawn(move || writer.write_all(commands).unwrap());
            scope.spawn(move || {
                let mut ended: HashMap<Vec<u8>, u32> = HashMap::new();
                let mut terminal = 0;
                while terminal < REQUESTS {
                    let line = talk.line();
                    let (id, reply) = reply::parse(&line).unwrap();
                    if matches!(reply, Reply::Done(..) | Reply::Error(..)) {
                        terminal += 1;
                        *ended.entry(id.unwrap()).or_default() += 1;
                    }
                }
                assert_eq!(ended.len(), REQUESTS);
                assert!(ended.values().all(|count| *count == 1));
                talk.send("QUIT\r\n");
                assert_eq!(talk.rest(), b"OK\r\n", "and not a line more");
            });
        }
    });
    let grown = daemon.resident().saturating_sub(before);
    assert!(grown < 150_000, "{grown} kB more");
}

#[test]
fn who_never_reads_is_not_read_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..200 {
        std::fs::write(folder.path().join(format!("{number:0100}")), b"x").unwrap();
    }
    let daemon = Daemon::start(&[]);
    let talk = daemon.connect();
    let mut stream = talk.stream.try_clone().unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let command = format!("1 SCAN/FILE {}\r\n", folder.path().display()).repeat(100);
    // Each request makes about 30 kB of replies, so this ends when the daemon does not read any more.
    let mut sent = 0;
    while sent < 400 << 20 {
        match stream.write(command.as_bytes()) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(
        sent < 64 << 20,
        "the daemon took {sent} bytes from a peer that reads nothing"
    );
    assert!(daemon.resident() < 200_000, "{} kB", daemon.resident());
    let mut other = daemon.connect();
    for _ in 0..20 {
        assert!(other.scan(folder.path()).starts_with("DONE 0 "));
    }
}

#[test]
fn findings_that_nobody_reads_do_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let virus = crate::support::eicar();
    let many: Vec<(&[u8], &[u8])> = vec![(b"v", virus.as_slice()); 9_000];
    let mut content = crate::support::gzip(&crate::support::tar(&many));
    for _ in 0..14 {
        // Each level makes every path below it four kilobytes longer.
        content = crate::support::tar(&[(&[b'n'; 4000], content.as_slice())]);
    }
    let path = folder.path().join("flood.tar");
    std::fs::write(&path, content).unwrap();
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let daemon = Daemon::start(&[isolation]);
        let mut silent: Vec<_> = (0..8).map(|_| daemon.connect()).collect();
        for talk in &mut silent {
            talk.send(format!("1 SCAN/FILE {}\r\n", path.display()));
        }
        let mut other = daemon.connect();
        for _ in 0..5 {
            assert!(
                other
                    .scan(env!("CARGO_BIN_EXE_vfindc").as_ref())
                    .starts_with("DONE 0 ")
            );
        }
        assert!(
            daemon.resident() < 150_000,
            "{isolation}: {} kB",
            daemon.resident()
        );
        // It was not silent about it: what was found comes first, then the end that counts what came.
        let answer = silent.swap_remove(0).answer();
        let found = answer
            .iter()
            .filter(|line| line.starts_with("1 INFECTED "))
            .count();
        assert!(found > 10, "{found}");
        assert!(
            answer
                .last()
                .unwrap()
                .starts_with(&format!("1 DONE {found} : ")),
            "{}",
            answer.last().unwrap()
        );
    }
}

#[test]
fn one_with_many_folders_does_not_hold_up_another() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        std::fs::write(folder.path().join(number.to_string()), vec![0; 100_000]).unwrap();
    }
    let daemon = Daemon::start(&["--threads=1", "--verdict-cache=0"]);
    let mut busy = daemon.connect();
    for number in 0..50 {
        busy.send(format!(
            "{number} SCAN/FILE {}\r\n",
            folder.path().display()
        ));
    }
    assert_eq!(busy.text(), "0 QUEUED");
    let mut other = daemon.connect();
    for _ in 0..10 {
        assert!(other.scan(&folder.path().join("7")).starts_with("DONE 0 "));
    }
    // The busy one has not been through by then: what was shown is fairness and not patience.
    busy.stream.set_nonblocking(true).unwrap();
    drop(busy);
}

/// Idle connections, which have each asked something once.
const IDLE: usize = 10_000;

#[test]
fn ten_thousand_idle_connections_cost_little_and_hold_nobody_up() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if most < IDLE as u64 + 1000 {
        let required = crate::support::tools_are_required();
        assert!(!required, "the limit of open files is {most}");
        println!("skipped: the limit of open files is {most}");
        return;
    }
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let daemon = Daemon::start(&[]);
    let before = daemon.resident();
    let idle: Vec<_> = (0..IDLE)
        .map(|number| {
            let mut stream = std::net::TcpStream::connect(daemon.address).unwrap();
            let command = match number % 3 {
                0 => "SCAN/DATA 5\r\nhello",
                1 => "ENABLE COVERAGE\r\n",
                _ => "",
            };
            stream.write_all(command.as_bytes()).unwrap();
            stream
        })
        .collect();
    // All are accepted and answered once the last is.
    let mut last = daemon.connect();
    last.send("ENABLE RECURSE 1\r\n");
    assert_eq!(last.text(), "OK");
    let mut line = vec![0; 7];
    for mut stream in &idle {
        std::io::Read::read_exact(&mut stream, &mut line).unwrap();
        assert_eq!(line, b"READY\r\n");
    }
    let grown = daemon.resident().saturating_sub(before);
    println!("{IDLE} idle connections: {grown} kB");
    assert!(grown < 150 * 1024, "{grown} kB more");
    last.send("1 SCAN/DATA 5\r\nhello");
    assert_eq!(last.answer().last().unwrap(), "1 DONE 0 : \"\"");
    drop(idle);
}

#[test]
fn a_connection_that_never_ends_grows_nothing() {
    // A million with VFIND_FULL set.
    let requests = match std::env::var_os("VFIND_FULL") {
        Some(_) => 1_000_000,
        None => 50_000,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    std::fs::write(&path, b"small").unwrap();
    let daemon = Daemon::start(&["--verdict-cache=0"]);
    let mut talk = daemon.connect();
    let mut writer = talk.stream.try_clone().unwrap();
    let mut resident = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..requests {
                let command = match number % 4 {
                    0 => format!("{number} SCAN/FILE {}\r\n", path.display()),
                    1 => format!("{number} SCAN/FILE {}x\r\n", path.display()),
                    2 => format!("{number} SCAN/DATA 5 {number}\r\nhello"),
                    _ => format!("{number} SCAN/FILE-SHA1 {}\r\n", path.display()),
                };
                writer.write_all(command.as_bytes()).unwrap();
            }
        });
        let mut ended = 0;
        while ended < requests {
            let line = talk.line();
            let (_, reply) = reply::parse(&line).unwrap();
            if matches!(reply, Reply::Done(..) | Reply::Error(..)) {
                ended += 1;
                if ended % (requests / 10) == 0 {
                    resident.push(daemon.resident());
                }
            }
        }
    });
    println!("resident after each tenth of {requests} requests: {resident:?} kB");
    let (early, late) = (resident[1], resident[9]);
    assert!(late < early + 4096, "{resident:?}");
}

#[test]
fn one_that_floods_commands_holds_nobody_up() {
    let daemon = Daemon::start(&[]);
    let mut before = daemon.connect();
    let pattern = format!("ENABLE EXCLUDE *{}[xyz]\r\n", "?a".repeat(400));
    for line in ["BOGUS\r\n", "\n", "ENABLE IGNORE CVDL x\r\n", &pattern] {
        let talk = daemon.connect();
        let (mut writer, mut reader) = (&talk.stream, &talk.stream);
        let flood = line.repeat(200_000 / line.len());
        std::thread::scope(|scope| {
            // Each side ends when the connection is shut below.
            scope.spawn(move || while writer.write_all(flood.as_bytes()).is_ok() {});
            scope.spawn(move || {
                let mut answers = vec![0; 1 << 16];
                while std::io::Read::read(&mut reader, &mut answers).is_ok_and(|count| count > 0) {}
            });
            for talk in [&mut before, &mut daemon.connect()] {
                for _ in 0..20 {
                    talk.send("1 SCAN/DATA 1 p\r\nx");
                    assert_eq!(talk.answer().last().unwrap(), "1 DONE 0 : \"p\"");
                }
            }
            talk.stream.shutdown(std::net::Shutdown::Both).unwrap();
        });
    }
}
