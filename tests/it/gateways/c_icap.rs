//! c-icap's virus_scan with its module for clamd: asked by its own client, and by squid for those behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use super::support::{NAME, Program, Scanner, contents, free_port, has_programs, is_root};
use crate::support::{out, said};

/// Starts one at a free port, which is given.
fn start(scanner: &Scanner) -> (Program, u16) {
    let port = free_port();
    // Where it keeps what it has no memory for: those files it passes open.
    let folder = scanner.folder_of("nobody", "c-icap");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "Port 127.0.0.1:{port}\nUser nobody\nGroup nogroup\nPidFile {}\nCommandsSocket {}\nTmpDir {}\n\
         ServerAdmin nobody\nServerName localhost\nStartServers 1\nMaxServers 1\nMinSpareThreads 1\n\
         MaxSpareThreads 4\nThreadsPerChild 4\nMaxMemObject 131072\nServerLog {}\nAccessLog {}\n\
         ModulesDir /usr/lib/x86_64-linux-gnu/c_icap\nServicesDir /usr/lib/x86_64-linux-gnu/c_icap\n\
         TemplateDir /usr/share/c_icap/templates/\nTemplateDefaultLanguage en\n\
         LoadMagicFile /etc/c-icap/c-icap.magic\n{}",
        at("pid"),
        at("commands"),
        at(""),
        at("server.log"),
        at("access.log"),
        scanner.configuration("c-icap.conf"),
    );
    let configuration = scanner.write("c-icap.conf", text);
    let mut c_icap = Command::new("/usr/bin/c-icap");
    c_icap.arg("-N").arg("-f").arg(configuration);
    let program = Program::start(&mut c_icap, &scanner.path("c-icap.log"));
    (program.listens(port), port)
}

/// Tells whether c-icap is there and can be started.
fn is_there() -> bool {
    let has = has_programs(&[
        "/usr/bin/c-icap",
        "/usr/bin/c-icap-client",
        "/usr/lib/x86_64-linux-gnu/c_icap/clamd_mod.so",
    ]);
    if has && !is_root() {
        println!("skipped: c-icap must be started by root to give up its rights");
    }
    has && is_root()
}

#[test]
fn c_icap_answers_its_client() {
    if !is_there() {
        return;
    }
    let scanner = Scanner::small(&[]);
    let (_c_icap, port) = start(&scanner);
    let port = port.to_string();
    for (name, content) in contents().files() {
        let path = scanner.write(name, content);
        let got = scanner.path(&format!("got-{name}"));
        let url = format!("http://localhost/{name}");
        let mut client = Command::new("timeout");
        client.args(["20", "c-icap-client", "-i", "127.0.0.1", "-p", &port]);
        client.args(["-s", "vfind", "-v", "-resp", &url]);
        let output = client.arg("-f").arg(path).arg("-o").arg(&got).output();
        let output = output.unwrap();
        let said = out(&output) + &said(&output);
        let page = std::fs::read(&got).unwrap_or_default();
        let page = String::from_utf8_lossy(&page);
        match name {
            "infected" => {
                let threat = format!("X-Infection-Found: Type=0; Resolution=2; Threat={NAME};");
                assert!(said.contains(&threat), "{said}");
                assert!(said.contains("HTTP/1.0 403 Forbidden"), "{said}");
                assert!(page.contains(NAME), "{page}");
            }
            // It breaks off, and gives nothing.
            "large" => assert!(!said.contains("204") && page.is_empty(), "{said}"),
            _ => assert!(said.contains("ICAP/1.0 204 Unmodified"), "{name}: {said}"),
        }
    }
}

/// A web server that has these files, and says how many bytes it was sent with a POST.
fn origin(files: Vec<(&'static str, Vec<u8>)>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the tests.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who hangs up has his reason.
            let _ = serve(BufReader::new(stream.unwrap()), &files);
        }
    });
    port
}

fn serve(mut peer: BufReader<TcpStream>, files: &[(&str, Vec<u8>)]) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && peer.read_line(&mut head)? > 0 {}
    let lower = head.to_lowercase();
    let sent = lower.split("content-length: ").nth(1);
    let sent = sent.and_then(|length| length.split("\r\n").next()?.parse().ok());
    let sent = std::io::copy(
        &mut (&mut peer).take(sent.unwrap_or(0)),
        &mut std::io::sink(),
    )?;
    let file = files
        .iter()
        .find(|(name, _)| head.starts_with(&format!("GET /{name} ")));
    let body = file.map_or(format!("taken: {sent}").into_bytes(), |(_, content)| {
        content.clone()
    });
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    peer.get_mut().write_all(head.as_bytes())?;
    peer.get_mut().write_all(&body)
}

#[test]
fn squid_gives_those_behind_it_nothing_that_is_infected_or_was_not_examined() {
    if !is_there() || !has_programs(&["/usr/sbin/squid", "/usr/bin/curl"]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    let (_c_icap, icap) = start(&scanner);
    let files = contents().files();
    let web = origin(files.to_vec());
    let port = free_port();
    let folder = scanner.folder_of("proxy", "squid");
    let at = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "http_port 127.0.0.1:{port}\nvisible_hostname localhost\npinger_enable off\nnetdb_filename none\n\
         cache deny all\nacl local src 127.0.0.1/32\nhttp_access allow local\nhttp_access deny all\n\
         pid_filename {}\ncoredump_dir {}\ncache_log {}\naccess_log none\nshutdown_lifetime 0 seconds\n{}",
        at("pid"),
        at(""),
        at("cache.log"),
        scanner
            .configuration("squid.conf")
            .replace("1344", &icap.to_string()),
    );
    let configuration = scanner.write("squid.conf", text);
    let mut squid = Command::new("/usr/sbin/squid");
    squid.arg("-N").arg("-f").arg(configuration);
    let _squid = Program::start(&mut squid, &scanner.path("squid.log")).listens(port);
    // What a user has of an address through the proxy, and what curl says of it: status and its own exit code.
    let curl = |name: &str, more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--max-time",
            "20",
            "--write-out",
            "%{stderr}%{http_code}",
        ]);
        curl.arg("--proxy").arg(format!("http://127.0.0.1:{port}"));
        curl.args(more)
            .arg(format!("http://127.0.0.1:{web}/{name}"));
        let output = curl.output().unwrap();
        (said(&output), output.status.code(), output.stdout)
    };
    for (name, content) in files {
        let path = scanner.write(name, &content);
        let (status, code, got) = curl(name, &[]);
        let upload = format!("@{}", path.display());
        let (up_status, _, answer) = curl("upload", &["--data-binary", &upload]);
        let (page, answer) = (
            String::from_utf8_lossy(&got),
            String::from_utf8_lossy(&answer),
        );
        match name {
            "infected" => {
                assert_eq!((&status[..], code), ("403", Some(0)), "{page}");
                assert!(page.contains(NAME), "{page}");
                assert_eq!(up_status, "403", "{answer}");
            }
            // The head of the answer is there before the whole body: it breaks off, with nothing of the body.
            "large" => {
                assert_eq!((&status[..], code, got.len()), ("200", Some(18), 0));
                assert!(!answer.contains("taken"), "{up_status}: {answer}");
            }
            _ => {
                assert_eq!((&status[..], code), ("200", Some(0)), "{name}: {page}");
                assert!(got == content, "{name}");
                assert_eq!(answer, format!("taken: {}", content.len()));
            }
        }
    }
}
