//! rspamd with its antivirus module.

use std::process::Command;

use super::smtp::mail;
use super::support::{LIMIT, NAME, Program, Scanner, contents, free_port, has_programs, installed};
use crate::support::zip;

/// What a rspamd of one's own needs to know: one worker, and no other module, nor any network.
const AROUND: &str = r#"lua = "$RULESDIR/rspamd.lua"
.include "$CONFDIR/actions.conf"
options {
  pidfile = "$RUNDIR/pid";
  filters = "";
  url_tld = "$RUNDIR/tld";
  cache_file = "$DBDIR/symbols.cache";
  hs_cache_dir = "$DBDIR";
  control_socket = "$DBDIR/control mode=0600";
  dns { nameserver = "127.0.0.1:9"; }
}
logging { type = "console"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:PORT"; count = 1; }
modules { path = "$PLUGINSDIR/antivirus.lua"; }
antivirus {
"#;

/// One of its programs, with its libraries, which are nowhere else where it is unpacked and not installed.
fn unpacked(program: &str) -> Command {
    let mut command = Command::new(installed(program));
    command.env("LD_LIBRARY_PATH", installed("usr/lib/rspamd"));
    command
}

/// Starts one that asks this daemon, at this port.
fn start(scanner: &Scanner, port: u16) -> Program {
    let [etc, share] = ["etc/rspamd", "usr/share/rspamd"].map(installed);
    let own = scanner.path("");
    scanner.write("tld", "org\n");
    let conf = AROUND.replace("PORT", &port.to_string());
    let conf = conf + &scanner.configuration("antivirus.conf") + "}\n";
    let conf = scanner.write("rspamd.conf", conf);
    let mut command = unpacked("usr/bin/rspamd");
    command.args(["-f", "-i", "-c"]).arg(conf);
    for (name, folder) in [
        ("CONFDIR", etc),
        ("RULESDIR", format!("{share}/rules")),
        ("LUALIBDIR", format!("{share}/lualib")),
        ("PLUGINSDIR", format!("{share}/plugins")),
        ("SHAREDIR", share),
        ("DBDIR", own.display().to_string()),
        ("RUNDIR", own.display().to_string()),
    ] {
        command.arg(format!("--var={name}={folder}"));
    }
    Program::start(&mut command, &scanner.path("log")).listens(port)
}

/// The action that rspamd advises for a mail with this attachment, and what its antivirus module says of it.
fn advised(scanner: &Scanner, port: u16, content: &[u8]) -> (String, Option<String>) {
    let mail = scanner.write("mail", mail("letters", content));
    let mut command = unpacked("usr/bin/rspamc");
    command
        .args(["--json", "-h", &format!("127.0.0.1:{port}")])
        .arg(mail);
    let output = command.output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let symbol = text(&answer["symbols"]["CLAM_VIRUS"]["options"][0]);
    (text(&answer["action"]).unwrap(), symbol)
}

#[test]
fn rspamd_advises_to_reject_what_is_infected() {
    let programs = ["usr/bin/rspamd", "usr/bin/rspamc"].map(installed);
    if !has_programs(&[&programs[0], &programs[1], "/usr/bin/zip"]) {
        return;
    }
    let nothing = || ("no action".to_owned(), None);
    let reject = |name: &str| ("reject".to_owned(), Some(name.to_owned()));
    let contents = contents();
    // Small as a stream, and too much when it is opened.
    let swollen = zip(&[("letters", &[b'a'; 2 * LIMIT])]);
    let policies = ["encrypted", "limit"].map(|gap| format!("--policy=clamd:{gap}=infected"));
    // What is not scanned gets no advice: this version stumbles over all answers but OK and FOUND.
    for (options, encrypted, over) in [
        (&[][..], nothing(), nothing()),
        (
            &policies.each_ref().map(String::as_str)[..],
            reject("Incomplete/encrypted"),
            reject("Incomplete/limit/expanded"),
        ),
    ] {
        let scanner = Scanner::small(options);
        let port = free_port();
        let rspamd = start(&scanner, port);
        for (content, expected) in [
            (&contents.clean, nothing()),
            (&contents.infected, reject(NAME)),
            (&contents.encrypted, encrypted),
            (&swollen, over),
            (&contents.large, nothing()),
        ] {
            assert_eq!(
                advised(&scanner, port, content),
                expected,
                "{}",
                rspamd.printed()
            );
        }
    }
}
