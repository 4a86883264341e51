//! Who may do what, and what the others learn.

use super::{Web, token, until};
use crate::support::eicar;

/// A route of each role.
const ROUTES: [(&str, &str, &str); 6] = [
    ("POST", "/v1/scan", "scan"),
    ("POST", "/v2/scan", "scan"),
    ("GET", "/v1/jobs/0", "scan"),
    ("GET", "/v1/database", "read"),
    ("GET", "/metrics", "read"),
    ("POST", "/v1/database/reload", "admin"),
];

#[test]
fn roles_may_what_they_are_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let tokens = ["scan", "read", "admin"].map(|role| (role, token(&file, role)));
    let option = format!("--token-file={}", file.display());
    let web = Web::start(&[&option, "--http-without-token=nobody"]);
    for (method, target, wanted) in ROUTES {
        for (role, token) in &tokens {
            let said = format!("Bearer {token}");
            let reply = web.ask(method, target, &[("Authorization", &said)], b"");
            let may = *role == wanted || *role == "admin";
            assert_eq!(reply.status != 403, may, "{target} {role}");
            let challenge = reply.header("www-authenticate").unwrap_or_default();
            assert_eq!(challenge.contains("insufficient_scope"), !may);
        }
        let scan = &tokens[0].1;
        let wrong = [
            "Bearer ".to_owned(),
            format!("Bearer {}x", tokens[2].1),
            format!("Basic {scan}"),
            scan.clone(),
            format!("Bearer {scan}, Bearer {scan}"),
        ];
        let mut bodies = Vec::new();
        for said in wrong {
            let reply = web.ask(method, target, &[("Authorization", &said)], b"");
            assert_eq!(reply.status, 401, "{target} {said}");
            assert!(
                reply
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer ")
            );
            bodies.push(reply.body);
        }
        let reply = web.ask(method, target, &[], b"");
        assert_eq!(reply.status, 401, "{target} without one");
        assert!(
            bodies.iter().all(|body| *body == reply.body),
            "nothing is told apart"
        );
        let twice = format!("Bearer {scan}");
        let twice = [
            ("Authorization", twice.as_str()),
            ("Authorization", twice.as_str()),
        ];
        assert_eq!(web.ask(method, target, &twice, b"").status, 401);
    }
    // A scheme is a word without case (RFC 9110 §11.1).
    let said = format!("bEARER {}", tokens[0].1);
    let reply = web.ask("POST", "/v1/scan", &[("Authorization", &said)], &eicar());
    assert_eq!(reply.json()["verdict"], "infected");
    for target in ["/livez", "/readyz", "/openapi.json"] {
        assert_ne!(web.get(target).status, 401, "{target}");
    }
}

#[test]
fn programs_of_this_machine_may_scan_and_web_pages_may_not() {
    let web = Web::start(&[
        "--http-host=scanner.example",
        "--http-origin=http://localhost:3000",
    ]);
    let port = web.address.rsplit(':').next().unwrap();
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[], 200),
        (&[("Host", "localhost")], 200),
        (&[("Host", &format!("LOCALHOST:{port}"))], 200),
        (&[("Host", "[::1]:80")], 200),
        (&[("Host", "scanner.example:80")], 200),
        (&[("Host", "rebound.example")], 403),
        (&[("Host", "localhost.example")], 403),
        (&[("Host", "")], 403),
        (&[("Host", "localhost"), ("Host", "localhost")], 403),
        (&[("Origin", "http://localhost:3000")], 200),
        (&[("Origin", "http://evil.example")], 403),
        (&[("Origin", "null")], 403),
        (&[("Sec-Fetch-Site", "cross-site")], 403),
        (&[("X-Forwarded-For", "10.0.0.1")], 401),
        (&[("Forwarded", "for=10.0.0.1")], 401),
        (&[("Via", "1.1 proxy")], 401),
    ];
    for (headers, status) in rows {
        let reply = web.ask("POST", "/v1/scan", headers, b"x");
        assert_eq!(reply.status, *status, "{headers:?} {}", reply.text());
    }
    // No page may read an answer, whatever it was told.
    let reply = web.ask(
        "POST",
        "/v1/scan",
        &[("Origin", "http://evil.example")],
        b"x",
    );
    assert_eq!(reply.header("access-control-allow-origin"), None);
    // Nothing but scans.
    assert_eq!(web.get("/v1/database").status, 401);
    assert_eq!(web.post("/v1/database/reload", b"").status, 401);
    // The name by which a request is sent counts as well.
    let absolute = "POST http://rebound.example/v1/scan HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(web.raw(absolute.as_bytes()).status, 403);
}

#[test]
fn tokens_are_read_again_with_the_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let admin = format!("Bearer {}", token(&file, "admin"));
    let option = format!("--token-file={}", file.display());
    let web = Web::start(&[&option]);
    let read = format!("Bearer {}", token(&file, "read"));
    let may = |said: &str| {
        web.ask("GET", "/v1/database", &[("Authorization", said)], b"")
            .status
    };
    let reload = || {
        let said = [("Authorization", admin.as_str())];
        web.ask("POST", "/v1/database/reload", &said, b"").status
    };
    assert_eq!((may(&admin), may(&read)), (200, 401));
    assert_eq!(reload(), 200);
    assert_eq!(may(&read), 200);
    // What cannot be read changes nothing.
    std::fs::write(&file, "nonsense\n").unwrap();
    assert_eq!(reload(), 200);
    web.daemon.log_line("the tokens stay as they were");
    assert_eq!(may(&read), 200);
    std::fs::write(&file, "").unwrap();
    assert_eq!(reload(), 200);
    assert_eq!((may(&admin), may(&read)), (401, 401), "taken back");
}

#[test]
fn requests_and_connections_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let read = format!("Bearer {}", token(&file, "read"));
    let option = format!("--token-file={}", file.display());
    let web = Web::start(&[&option]);
    for _ in 0..3 {
        assert_eq!(web.post("/v1/scan", &eicar()).status, 200);
    }
    let page = || web.ask("GET", "/metrics", &[("Authorization", &read)], b"");
    let kind = page().header("content-type").unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let value = |name: &str| {
        let text = page().text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse::<f64>().unwrap()
    };
    let requests = value("vfind_requests_total{protocol=\"http\",verdict=\"infected\"}");
    assert_eq!(requests, 3.0);
    assert!(value("vfind_connections_accepted_total{protocol=\"http\"}") >= 5.0);
    until("only the one that asks is open", || {
        value("vfind_connections{protocol=\"http\"}") == 1.0
    });
}
