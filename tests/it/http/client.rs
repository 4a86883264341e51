//! The clients of this project, against a daemon and against servers that say what is not true.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use super::{Web, token};
use crate::support::{at, eicar, has_tools, odd_names, out, said, zip};

fn vfindc(server: &str, arguments: &[&str], token: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vfindc"))
        .arg(format!("--server=http://{server}"))
        .args(arguments)
        .env("VFIND_TOKEN", token)
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn vfindc_says_the_same_over_http_as_over_svsp() {
    let folder = tempfile::tempdir().unwrap();
    for name in odd_names() {
        std::fs::write(at(folder.path(), &name), &name).unwrap();
    }
    std::fs::write(folder.path().join("sick"), eicar()).unwrap();
    std::fs::write(folder.path().join("zip"), zip(&[("a", &eicar())])).unwrap();
    std::fs::write(folder.path().join("large"), vec![7; 3 << 20]).unwrap();
    std::fs::write(folder.path().join("ace"), b"1234567**ACE**and so on").unwrap();
    let path = folder.path().to_str().unwrap();
    let web = Web::start(&[&format!("--scan-root={path}")]);
    let records = |output: &Output| -> Vec<String> {
        let text = out(output);
        let mut records: Vec<_> = text
            .lines()
            .map(|line| {
                let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["times"] = serde_json::Value::Null;
                record["request"] = serde_json::Value::Null;
                // The words in which the other protocol says what the gaps say.
                record["error"] = serde_json::Value::Null;
                record.to_string()
            })
            .collect();
        records.sort_unstable();
        records
    };
    for options in [
        &["--json"][..],
        &["--json", "--localhost"],
        &["--json", "--localhost", "--follow-symlinks"],
        &["--json", "--expand=tar", "--ignore=CVDL EICAR-Test-File"],
        &["--json", "--html=2", "--original", "--recursion-limit=1"],
        &["--json", "--localhost", "--noscan=*/sick"],
    ] {
        let options = [options, &[path]].concat();
        let over = vfindc(&web.address, &options, "");
        let options: Vec<_> = options.iter().map(AsRef::as_ref).collect();
        let plain = web.daemon.vfindc(&options);
        assert_eq!(
            records(&over),
            records(&plain),
            "{options:?} {}",
            said(&over)
        );
        assert_eq!(code(&over), code(&plain), "{options:?}");
    }
    let mut input = Command::new("sh");
    let input = input.arg("-c").arg(format!(
        "head -c 100000 /dev/zero | {} --server=http://{} --json -",
        env!("CARGO_BIN_EXE_vfindc"),
        web.address
    ));
    let output = input.output().unwrap();
    assert!(
        out(&output).contains("\"bytes\":100000"),
        "{}",
        said(&output)
    );
    let absent = vfindc(&web.address, &["--localhost", "/etc/passwd"], "");
    assert_eq!(code(&absent), 2, "{}", out(&absent));
}

#[test]
fn vfindc_shows_a_token_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let scan = token(&file, "scan");
    let read = token(&file, "read");
    let option = format!("--token-file={}", file.display());
    let web = Web::start(&[&option, "--http-without-token=nobody"]);
    let sick = folder.path().join("sick");
    std::fs::write(&sick, eicar()).unwrap();
    let sick = sick.to_str().unwrap();
    let own = folder.path().join("own");
    std::fs::write(&own, format!("{scan}\n")).unwrap();
    let own = format!("--token-file={}", own.display());
    assert_eq!(code(&vfindc(&web.address, &[sick], &scan)), 23);
    assert_eq!(code(&vfindc(&web.address, &[&own, sick], "wrong")), 23);
    assert_eq!(code(&vfindc(&web.address, &["--ping"], &scan)), 0);
    for token in ["", "wrong", &read] {
        for what in [sick, "--ping"] {
            let output = vfindc(&web.address, &[what], token);
            assert_eq!(code(&output), 1, "{}", said(&output));
            assert!(!said(&output).contains(&read));
        }
    }
    let output = vfindc(&web.address, &["--token-file=/nonexistent", sick], "");
    assert_eq!(code(&output), 255);
}

/// A server that answers everything so, but questions before a scan as ours does.
fn liar(answer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                let count = stream.read(&mut buffer).unwrap_or(0);
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let reply = match text.split(' ').nth(1).unwrap_or_default() {
                    "/readyz" => {
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
                    }
                    "/v1/jobs/0" => {
                        "HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
                    }
                    _ => &answer,
                };
                let _ = stream.write_all(reply.as_bytes());
            });
        }
    });
    address
}

#[test]
fn only_a_verdict_that_holds_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, b"x").unwrap();
    let path = file.to_str().unwrap();
    let verdict = |changed: &str, to: &str| {
        let text = format!(
            r#"{{"version":1,"request":null,"verdict":"clean","path":[{{"text":"{path}"}}],"findings":[],"gaps":[],"notes":[],"coverage":{{"objects":1,"bytes":1,"gaps":0,"notes":0}},"epoch":"1:a","times":{{"started_ms":0,"elapsed_ms":0}},"sha1":null,"error":null}}"#
        );
        assert!(text.contains(changed), "{changed}");
        let text = text.replace(changed, to);
        let length = text.len();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}")
    };
    assert_eq!(code(&vfindc(&liar(&verdict("a", "a")), &[path], "")), 0);
    let whole = verdict("a", "a");
    let gap = r#""gaps":[{"reason":"encrypted","path":[{"text":"x"}],"detail":"","passes":false}]"#;
    let found = r#""findings":[{"engine":"CVDL","name":"x","path":[{"text":"x"}],"offset":null}]"#;
    let rows = [
        (verdict("clean", "great"), 2),
        (verdict(path, "/another"), 2),
        (verdict("\"version\":1", "\"version\":2"), 2),
        (verdict("\"objects\":1", "\"objects\":0"), 2),
        (verdict("\"1:a\"", "null"), 2),
        (verdict("\"gaps\":[]", gap), 2),
        (verdict("\"findings\":[]", found), 2),
        (verdict("clean", "infected"), 23),
        (verdict("clean", "incomplete"), 2),
        (whole.replace("200 OK", "404 No"), 2),
        (whole.replace("200 OK", "206 Some"), 2),
        (whole[..whole.len() - 1].to_owned(), 1),
        (String::new(), 1),
        ("nonsense\r\n\r\n".to_owned(), 1),
    ];
    for (answer, expected) in rows {
        let output = vfindc(&liar(&answer), &["--timeout=5", path], "");
        assert_eq!(
            code(&output),
            expected,
            "{answer}\n{}{}",
            out(&output),
            said(&output)
        );
    }
}

#[test]
fn the_examples_say_what_the_daemon_says() {
    if !has_tools(&["python3", "curl", "sh"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let scan = token(&tokens, "scan");
    let option = format!("--token-file={}", tokens.display());
    let open = Web::start(&[]);
    let closed = Web::start(&[&option, "--http-without-token=nobody"]);
    let rows: [(&[u8], i32, &str); 4] = [
        (b"hello", 0, "clean"),
        (b"", 0, "clean"),
        (&eicar(), 23, "nfected"),
        (b"1234567**ACE**and so on", 2, ""),
    ];
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for (program, script) in [("python3", "http.py"), ("sh", "http.sh")] {
        let run = |web: &Web, token: &str, file: &Path| {
            let mut command = Command::new(program);
            command.arg(examples.join(script));
            if script == "http.py" {
                command.arg(format!("--server=http://{}", web.address));
            }
            let command = command
                .arg(file)
                .env("VFIND_URL", format!("http://{}", web.address))
                .env("VFIND_TOKEN", token);
            let output = command.output().unwrap();
            (code(&output), out(&output) + &said(&output))
        };
        for (content, expected, word) in rows {
            for name in [&b"plain"[..], b"odd name \xff%41+"] {
                let file = folder.path().join(std::ffi::OsStr::from_bytes(name));
                std::fs::write(&file, content).unwrap();
                for (web, token, expected) in [
                    (&open, "", expected),
                    (&closed, scan.as_str(), expected),
                    (&closed, "wrong", 2),
                ] {
                    let (exit, text) = run(web, token, &file);
                    assert_eq!(exit, expected, "{script} {text}");
                    if token != "wrong" {
                        assert!(text.to_lowercase().contains(word), "{script} {text}");
                    }
                }
            }
        }
        assert_eq!(run(&open, "", Path::new("/nonexistent")).0, 2);
    }
}
