//! Scans whose answers are fetched later.

use std::io::{Read, Write};
use std::net::TcpListener;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Web, token, until};
use crate::support::{eicar, zip};

fn begun(web: &Web, target: &str, content: &[u8]) -> String {
    let reply = web.post(target, content);
    assert_eq!(reply.status, 202, "{}", reply.text());
    let job = reply.json();
    let id = job["id"].as_str().unwrap();
    let place = format!("/v1/jobs/{id}");
    assert_eq!(reply.header("location"), Some(place.as_str()));
    place
}

fn ended(web: &Web, place: &str) -> Value {
    until("it ends", || web.get(place).json()["state"] != "running");
    web.get(place).json()
}

#[test]
fn a_job_has_the_verdict_of_a_scan_and_tells_how_it_came() {
    let web = Web::start(&[]);
    let content = zip(&[("a", b"x"), ("b", &eicar())]);
    let place = begun(&web, "/v1/jobs?name=n", &content);
    let job = ended(&web, &place);
    assert_eq!(
        (&job["state"], &job["problem"]),
        (&json!("done"), &Value::Null)
    );
    let mut expected = web.post("/v1/scan?name=n", &content).json();
    expected["request"] = job["id"].clone();
    expected["times"] = job["verdict"]["times"].clone();
    assert_eq!(job["verdict"], expected);
    let reply = web.get(&format!("{place}/events"));
    let text = reply.text();
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(names, ["scanning", "scanning", "finding", "end"], "{text}");
    let datas: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(datas[2]["name"], "EICAR-Test-File");
    assert_eq!(datas[3], job);
    // Who comes again hears the rest, or nothing.
    for (last, count) in [("2", 2), ("4", 0), ("99", 0), ("x", 4)] {
        let reply = web.ask(
            "GET",
            &format!("{place}/events"),
            &[("Last-Event-ID", last)],
            b"",
        );
        assert_eq!(reply.text().matches("event: ").count(), count, "{last}");
    }
    assert_eq!(web.ask("DELETE", &place, &[], b"").status, 204);
    assert_eq!(web.get(&place).status, 404);
    assert_eq!(web.get("/v1/jobs/nonsense/events").status, 404);
    assert_eq!(web.form("/v1/jobs", &[("a", b"x")]).status, 415);
}

#[test]
fn a_job_that_runs_can_be_listened_to_and_ended() {
    // A content that takes its time, without taking that of sending it.
    let web = Web::start(&["--threads=1", "--limit-jobs=2"]);
    let long = "/v1/jobs?name=long";
    let content = vec![0; 400 << 20];
    let place = begun(&web, long, &content);
    let mut stream = web.connect();
    stream
        .write_all(&web.head("GET", &format!("{place}/events"), &[]))
        .unwrap();
    let mut heard = String::new();
    while !heard.contains("event-stream") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).unwrap();
        heard += &String::from_utf8_lossy(&piece[..count]);
    }
    assert_eq!(web.ask("DELETE", &place, &[], b"").status, 204);
    stream.read_to_string(&mut heard).unwrap();
    let is_ended =
        heard.contains("\"state\":\"cancelled\"") || heard.contains("\"state\":\"done\"");
    assert!(is_ended, "{heard}");
    // Those that have ended make room.
    let places: Vec<_> = (0..4)
        .map(|_| {
            let place = begun(&web, "/v1/jobs", b"x");
            ended(&web, &place);
            place
        })
        .collect();
    let known = places.iter().map(|place| web.get(place).status);
    assert_eq!(known.collect::<Vec<_>>(), [404, 404, 200, 200]);
}

#[test]
fn a_job_is_that_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let one = format!("Bearer {}", token(&file, "scan"));
    let other = format!("Bearer {}", token(&file, "admin"));
    let web = Web::start(&[&format!("--token-file={}", file.display())]);
    let reply = web.ask("POST", "/v1/jobs", &[("Authorization", &one)], b"x");
    let place = reply.header("location").unwrap().to_owned();
    let status = |method: &str, said: &[(&str, &str)]| web.ask(method, &place, said, b"").status;
    assert_eq!(status("GET", &[("Authorization", &one)]), 200);
    for said in [&[("Authorization", other.as_str())][..], &[]] {
        assert_eq!((status("GET", said), status("DELETE", said)), (404, 404));
    }
    assert_eq!(status("DELETE", &[("Authorization", &one)]), 204);
}

#[test]
fn an_answer_is_sent_signed_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/hook/", listener.local_addr().unwrap());
    let web = Web::start(&[
        &format!("--webhook={hook}"),
        &format!("--webhook-key={}", key.display()),
    ]);
    for url in [
        "http://127.0.0.1:1/hook/",
        "http://127.0.0.1/",
        &hook[..hook.len() - 1],
    ] {
        let target = format!("/v1/jobs?webhook={url}");
        assert_eq!(web.post(&target, b"x").status, 403, "{url}");
    }
    let place = begun(&web, &format!("/v1/jobs?webhook={hook}a"), &eicar());
    // The first attempt fails, and the second comes.
    drop(listener.accept().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    let body = loop {
        let count = stream.read(&mut buffer).unwrap();
        text.extend_from_slice(&buffer[..count]);
        let shown = String::from_utf8_lossy(&text);
        if let Some((_, body)) = shown.split_once("\r\n\r\n")
            && serde_json::from_str::<Value>(body).is_ok()
        {
            break body.to_owned();
        }
    };
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        web.get(&place).json()
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef0123456789abcdef").unwrap();
    mac.update(body.as_bytes());
    let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.starts_with("POST /hook/a HTTP/1.1\r\n"), "{text}");
    assert!(
        text.contains(&format!("vfind-signature: sha256={signature}\r\n")),
        "{text}"
    );
}
