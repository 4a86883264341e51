//! What is sent is scanned, whichever way it comes, and the answer is the same in all forms.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::{Reply, Web, form};
use crate::support::{at, eicar, odd_names, stored_zip, tar, zip};

/// A zip whose member says that it is encrypted.
fn encrypted() -> Vec<u8> {
    let mut bytes = stored_zip(&[("secret", b"hidden")]);
    bytes[6] |= 1;
    let central = bytes.windows(4).position(|four| four == b"PK\x01\x02");
    bytes[central.unwrap() + 8] |= 1;
    bytes
}

/// Contents with their verdicts, and a word that the answer has.
fn contents() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let nested = tar(&[(b"inner.zip", &zip(&[("deep", &eicar())]))]);
    vec![
        (eicar(), "infected", "EICAR-Test-File"),
        (b"hello".to_vec(), "clean", "\"bytes\":5"),
        (Vec::new(), "clean", "\"bytes\":0"),
        (
            b"1234567**ACE**and so on".to_vec(),
            "incomplete",
            "unsupported/ace",
        ),
        (encrypted(), "incomplete", "encrypted"),
        (nested, "infected", "inner.zip"),
        (zip(&[("a", b"x")]).repeat(1000), "clean", "objects"),
    ]
}

/// A name as it stands in an address.
fn encoded(name: &[u8]) -> String {
    name.iter().map(|byte| format!("%{byte:02x}")).collect()
}

/// The record without what differs between two scans of the same.
fn timeless(mut record: Value) -> Value {
    record["times"] = Value::Null;
    record
}

#[test]
fn content_gets_the_same_verdict_by_every_way() {
    let web = Web::start(&[]);
    for (content, verdict, word) in contents() {
        let first = web.post("/v1/scan?name=n", &content);
        assert_eq!(first.status, 200);
        let expected = timeless(first.json());
        if word != "objects" {
            assert_eq!(expected["verdict"], verdict);
        }
        assert!(first.text().contains(word), "{}", first.text());
        assert_eq!(expected["path"], json!([{ "text": "n" }]));
        for target in ["/v1/scan?name=n", "/v1/scan/n", "/v1/scan/other?name=n"] {
            let reply = web.ask("PUT", target, &[], &content);
            assert_eq!(timeless(reply.json()), expected, "{target}");
        }
        let reply = web.form("/v1/scan", &[("n", &content), ("[n]", &content)]);
        let answer = reply.json();
        assert_eq!(answer["verdict"], expected["verdict"]);
        let records = answer["verdicts"].as_array().unwrap();
        assert_eq!(records.len(), 2);
        for record in records {
            assert_eq!(timeless(record.clone()), expected);
        }
        let wants = [("Accept", "application/xml")];
        let xml = web.ask("POST", "/v1/scan?name=n", &wants, &content).text();
        let start = format!(
            "<record verdict=\"{}\" ",
            expected["verdict"].as_str().unwrap()
        );
        assert!(
            xml.contains(&start) && xml.ends_with("</verdicts>\n"),
            "{xml}"
        );
        assert!(xml.contains("<path><name>n</name></path>"), "{xml}");
    }
}

#[test]
fn odd_names_come_back_as_they_are() {
    let web = Web::start(&[]);
    for name in odd_names() {
        let record = |reply: Reply| -> vfind::verdict::Record {
            serde_json::from_slice(&reply.body).unwrap()
        };
        let target = format!("/v1/scan/{}", encoded(&name));
        let sent = record(web.ask("PUT", &target, &[], &eicar()));
        assert_eq!(sent.path[0].bytes(), name);
        assert_eq!(sent.findings[0].path[0].bytes(), name);
        let target = format!("/v1/scan?name={}", encoded(&name));
        assert_eq!(record(web.post(&target, b"x")).path[0].bytes(), name);
        let member = tar(&[(&name, &eicar())]);
        let found = record(web.post("/v1/scan?name=t", &member)).findings;
        assert_eq!(found[0].path.len(), 2);
        let wants = [("Accept", "text/xml")];
        let xml = web.ask("POST", &target, &wants, b"x");
        assert_eq!(xml.header("content-type"), Some("application/xml"));
    }
}

#[test]
fn options_do_what_they_do_over_svsp() {
    let web = Web::start(&[]);
    let archive = zip(&[("e", &eicar())]);
    for (query, verdict, word) in [
        ("", "infected", "EICAR"),
        ("expand=none", "clean", "excluded/expand"),
        ("expand=tar", "clean", "excluded/expand"),
        ("expand=tar,zip", "infected", "EICAR"),
        ("recurse=off", "clean", "excluded/"),
        ("recurse=1", "infected", "EICAR"),
        ("ignore=CVDL%20EICAR-Test-File", "clean", "\"findings\":[]"),
        ("sha1=true", "infected", "\"sha1\":\""),
        ("original", "infected", "EICAR"),
    ] {
        let reply = web.post(&format!("/v1/scan?{query}"), &archive);
        assert_eq!(reply.json()["verdict"], verdict, "{query} {}", reply.text());
        assert!(reply.text().contains(word), "{query} {}", reply.text());
    }
    for query in ["nonsense", "html=9", "deadline=-1", "webhook=http://x/"] {
        let reply = web.post(&format!("/v1/scan?{query}"), &archive);
        assert_eq!(reply.status, 400, "{query}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
    }
}

/// In as many pieces as there are bytes, and in pieces that end anywhere.
#[test]
fn bodies_may_come_in_any_pieces() {
    let web = Web::start(&[]);
    let body = form(&[("a", b"x\r\n--b0undar"), ("b", &eicar())]);
    let kind = "multipart/form-data; boundary=b0undary";
    for length in [1, 2, 7, 60, body.len()] {
        let mut stream = web.connect();
        let host = &web.address;
        write!(
            stream,
            "POST /v1/scan HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        .unwrap();
        for piece in body.chunks(length) {
            let mut chunk = format!("{:x};a=b\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            stream.write_all(&chunk).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = Reply::parse(&answer).json();
        let verdicts = answer["verdicts"].as_array().unwrap();
        let words: Vec<_> = verdicts.iter().map(|one| &one["verdict"]).collect();
        assert_eq!(words, ["clean", "infected"], "in pieces of {length}");
    }
}

#[test]
fn what_is_no_form_gets_no_verdict() {
    let web = Web::start(&[]);
    let kind = [("Content-Type", "multipart/form-data; boundary=b0undary")];
    let whole = form(&[("a", b"x")]);
    for body in [
        &whole[..whole.len() - 5],
        b"",
        b"--b0undary\r\n\r\n\r\n--b0undary--",
        b"--b0undary--",
        b"hello",
    ] {
        let reply = web.ask("POST", "/v1/scan", &kind, body);
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    let kind = [("Content-Type", "multipart/form-data")];
    assert_eq!(web.ask("POST", "/v1/scan", &kind, &whole).status, 400);
    let coded = [("Content-Encoding", "gzip")];
    assert_eq!(web.ask("POST", "/v1/scan", &coded, &whole).status, 415);
    assert_eq!(web.get("/v1/nothing").status, 404);
    let reply = web.get("/v1/scan");
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, Some("POST,PUT"))
    );
}

#[test]
fn clients_of_other_programs_are_answered_in_their_words() {
    let web = Web::start(&[]);
    let ace: &[u8] = b"1234567**ACE**and so on";
    let (sick, clean) = (eicar(), b"hello".to_vec());
    type Row<'a> = (&'a [(&'a str, &'a [u8])], u16, u16);
    let rows: [Row<'_>; 5] = [
        (&[("a", &clean)], 200, 200),
        (&[("a", &clean), ("[f]", &sick)], 200, 200),
        (&[("a", &clean), ("b", &sick)], 406, 200),
        (&[("a", &clean), ("b", ace)], 400, 500),
        (&[("a", ace), ("b", &sick)], 406, 500),
    ];
    for (files, rest, api) in rows {
        let first = web.form("/scan", files);
        let second = web.form("/v2/scan", files);
        assert_eq!(
            (first.status, second.status),
            (rest, rest),
            "{}",
            first.text()
        );
        let third = web.form("/api/v1/scan", files);
        assert_eq!(third.status, api, "{}", third.text());
        assert_eq!(third.json()["success"], api == 200);
    }
    let reply = web.form("/v2/scan", &[("a b", &sick)]);
    let expected =
        json!([{ "Status": "FOUND", "Description": "EICAR-Test-File", "FileName": "a b" }]);
    assert_eq!(reply.json(), expected);
    let reply = web.form("/scan", &[("a", &clean), ("b", &sick)]);
    let lines: Vec<Value> = reply
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0], json!({ "Status": "OK", "Description": "" }));
    assert_eq!(
        lines[1],
        json!({ "Status": "FOUND", "Description": "EICAR-Test-File" })
    );
    let reply = web.form("/api/v1/scan", &[("a", &clean), ("b", &sick)]);
    let expected = json!({ "success": true, "data": { "result": [
        { "name": "a", "is_infected": false, "viruses": [] },
        { "name": "b", "is_infected": true, "viruses": ["EICAR-Test-File"] },
    ] } });
    assert_eq!(reply.json(), expected);
    let reply = web.form("/api/v1/scan", &[("a", ace)]);
    let result = &reply.json()["data"]["result"][0];
    assert_eq!(result["is_infected"], Value::Null);
    assert_eq!(web.form("/v2/scan", &[("[a]", &clean)]).status, 422);
    assert_eq!(web.form("/api/v1/scan", &[("[a]", &clean)]).status, 400);
    assert_eq!(web.post("/v2/scan", &clean).status, 415);
}

#[test]
fn paths_are_scanned_inside_the_roots_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("sick"), eicar()).unwrap();
    std::fs::write(at(&root, b"\xff"), b"clean").unwrap();
    std::fs::write(folder.path().join("outside"), b"x").unwrap();
    std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
    let option = format!("--scan-root={}", root.display());
    let web = Web::start(&[&option]);
    let ask = |path: &str| {
        web.post(
            "/v1/scan-path",
            json!({ "path": path }).to_string().as_bytes(),
        )
    };
    let root = root.to_str().unwrap();
    assert_eq!(ask(&format!("{root}/sick")).json()["verdict"], "infected");
    assert_eq!(ask(root).json()["verdict"], "infected");
    let odd = data_encoding::BASE64.encode(
        format!("{root}/")
            .as_bytes()
            .iter()
            .chain(b"\xff")
            .copied()
            .collect::<Vec<_>>()
            .as_slice(),
    );
    let reply = web.post(
        "/v1/scan-path",
        json!({ "base64": odd }).to_string().as_bytes(),
    );
    assert_eq!(reply.json()["verdict"], "clean");
    let absent = ask(&format!("{root}/absent"));
    assert_eq!(absent.status, 404);
    for path in [
        format!("{}/outside", folder.path().display()),
        format!("{root}/../outside"),
        format!("{root}/link"),
        "/etc/passwd".to_owned(),
        "/no such".to_owned(),
        format!("{root}\0"),
    ] {
        let reply = ask(&path);
        assert_eq!((reply.status, &reply.body), (404, &absent.body), "{path}");
    }
    for body in [
        "",
        "{}",
        "[]",
        "{\"path\":1}",
        "{\"path\":\"x\"}",
        "{\"path\":\"/x\",\"more\":1}",
    ] {
        assert_eq!(
            web.post("/v1/scan-path", body.as_bytes()).status,
            400,
            "{body}"
        );
    }
    let open = Web::start(&[]);
    let body = json!({ "path": format!("{root}/sick") }).to_string();
    let reply = open.post("/v1/scan-path", body.as_bytes());
    assert_eq!(
        (reply.status, &reply.body),
        (404, &absent.body),
        "without roots"
    );
}

#[test]
fn the_daemon_is_ready_when_it_has_signatures() {
    let web = Web::start(&[]);
    assert_eq!(web.get("/livez").status, 200);
    assert_eq!(web.get("/readyz").status, 503);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    std::fs::write(&list, "d41d8cd98f00b204e9800998ecf8427e empty\n").unwrap();
    let web = Web::start(&[&format!("--md5={}", list.display())]);
    assert_eq!(web.get("/readyz").status, 200);
    assert_eq!(web.post("/v1/scan", b"").json()["verdict"], "infected");
}
