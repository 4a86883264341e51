//! What a peer may take, and what is left of one that goes away.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Reply, Web, until, uploads};
use crate::support::noise;

fn whole(stream: &mut impl Read) -> Reply {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Reply::parse(&answer)
}

#[test]
fn half_a_content_gets_no_verdict_and_leaves_nothing() {
    let web = Web::start(&[]);
    let host = &web.address;
    for (sent, length) in [(0, 10), (9, 10), (2 << 20, 3 << 20)] {
        for is_open in [true, false] {
            let mut stream = web.connect();
            write!(
                stream,
                "PUT /v1/scan HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"
            )
            .unwrap();
            stream.write_all(&noise(1, sent)).unwrap();
            if is_open {
                // It sends no more, and listens.
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer);
                assert!(!String::from_utf8_lossy(&answer).contains("verdict\""));
            }
        }
    }
    until("all is given back", || uploads(&web.daemon) == 0);
}

/// Seconds of processor time.
fn used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
}

#[test]
fn a_scan_ends_with_its_client_or_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("long")).unwrap();
    file.set_len(500 << 30).unwrap();
    let web = Web::start(&[&format!("--scan-root={}", folder.path().display())]);
    let body = json!({ "path": folder.path().join("long").to_str().unwrap() }).to_string();
    let begun = Instant::now();
    let reply = web.post("/v1/scan-path?deadline=0.5", body.as_bytes());
    let record = reply.json();
    assert_eq!(
        (&record["verdict"], &record["gaps"][0]["reason"]),
        (&json!("incomplete"), &json!("deadline"))
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
    let mut stream = web.connect();
    let (host, length) = (&web.address, body.len());
    write!(
        stream,
        "POST /v1/scan-path HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let pid = web.daemon.pid();
    let before = used(pid);
    until("it works", || used(pid) > before + 20);
    drop(stream);
    until("it rests", || {
        let before = used(pid);
        std::thread::sleep(Duration::from_millis(500));
        used(pid) <= before + 2
    });
}

#[test]
fn slow_and_large_contents_are_given_up() {
    let web = Web::start(&["--limit-idle=0.3", "--limit-spool=4M"]);
    let host = &web.address;
    let mut stream = web.connect();
    write!(
        stream,
        "PUT /v1/scan HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\nx"
    )
    .unwrap();
    assert_eq!(whole(&mut stream).status, 408);
    // A quarter of the room is for one.
    let large = noise(2, (1 << 20) + 1);
    assert_eq!(web.post("/v1/scan", &large).status, 413);
    assert_eq!(web.form("/v1/scan", &[("a", &large)]).status, 413);
    assert_eq!(web.post("/v1/scan", &large[1..]).status, 200);
    // Of one that does not say how large it is.
    let mut stream = web.connect();
    write!(
        stream,
        "PUT /v1/scan HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        large.len()
    )
    .unwrap();
    stream.write_all(&large).unwrap();
    assert_eq!(whole(&mut stream).status, 413);
    until("all is given back", || uploads(&web.daemon) == 0);
}

#[test]
fn heads_and_connections_are_bounded() {
    let web = Web::start(&["--limit-peer-connections=2"]);
    let long = "x".repeat(300_000);
    assert_eq!(
        web.raw(&web.head("GET", "/livez", &[("A", &long)])).status,
        431
    );
    let many = vec![("A", "b"); 200];
    assert_eq!(web.raw(&web.head("GET", "/livez", &many)).status, 431);
    // Those before may still be counted for a moment.
    let mut two = Vec::new();
    while two.len() < 2 {
        let mut stream = web.connect();
        let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let _ = stream.write_all(request);
        let mut start = [0; 12];
        if stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200" {
            two.push(stream);
        }
    }
    until("the third is told", || {
        let mut stream = web.connect();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 503 ")
    });
    drop(two);
    until("there is room again", || {
        let mut stream = web.connect();
        let _ = stream.write_all(&web.head("GET", "/livez", &[]));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.0 200 ")
    });
}
