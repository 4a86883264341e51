//! amavisd-new, which decodes mails itself and asks scanners about their parts in four ways.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::smtp::{Expected, Gets, Sink};
use super::support::{LIMIT, Program, Scanner, contents, free_port, is_root};
use crate::support::has_tools;

/// The scanners that the package comes with.
const STOCK: &str = "/etc/amavis/conf.d/15-av_scanners";

/// What an amavisd of one's own needs to know. Mails are handed on to `SINK`.
const AROUND: &str = r#"use strict;
$daemon_user = $daemon_group = undef;
$MYHOME = 'FOLDER/home';
$TEMPBASE = $ENV{TMPDIR} = 'FOLDER/home/tmp';
$lock_file = 'FOLDER/home/lock';
$pid_file = 'FOLDER/home/pid';
$path = $ENV{PATH} = 'FOLDER/bin:/usr/bin:/bin';
$file = 'file';
$myhostname = 'filter.example.org';
$mydomain = 'example.org';
$unix_socketname = undef;
$inet_socket_bind = '127.0.0.1';
$inet_socket_port = PORT;
$forward_method = $notify_method = 'smtp:[127.0.0.1]:SINK';
$DO_SYSLOG = 0;
$LOGFILE = 'FOLDER/home/log';
$log_level = 2;
$enable_db = 0;
$enable_zmq = 0;
$enable_dkim_verification = 0;
$max_servers = 1;
@bypass_spam_checks_maps = (1);
@bypass_virus_checks_maps = ();
$QUARANTINEDIR = undef;
$virus_admin = undef;
$X_HEADER_TAG = 'X-Virus-Scanned';
$X_HEADER_LINE = 'by vfindd';
@decoders = (['mail', \&do_mime_decode]);
@av_scanners_backup = ();
"#;

/// The entry of the package with this name.
fn stock(name: &str) -> String {
    let entries = std::fs::read_to_string(STOCK).unwrap();
    let start = format!("['{name}'");
    let lines = entries.lines();
    let entry = lines.skip_while(|line| !line.trim_start().starts_with(&start));
    // It ends where the next paragraph begins.
    let entry: Vec<_> = entry
        .take_while(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert!(!entry.is_empty(), "{STOCK} has no {name}");
    format!("@av_scanners = (\n{}\n);\n", entry.join("\n"))
}

const PASSED: Gets<'_> = ("250 2.0.0 from MTA", Some("X-Virus-Scanned: by vfindd"));
const DEFERRED: Gets<'_> = ("451 4.5.0 ", None);

/// Starts one with the scanners that `entry` gives, and looks at what users get, and what for encrypted content.
fn users_get(encrypted: Gets<'_>, entry: impl Fn(&Scanner) -> String) {
    if !has_tools(&["/usr/sbin/amavisd", STOCK, "file", "zip"]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    let sink = Sink::start();
    let port = free_port();
    let home = scanner.folder_of("amavis", "home");
    scanner.folder_of("amavis", "home/tmp");
    let conf = AROUND
        .replace("FOLDER", home.parent().unwrap().to_str().unwrap())
        .replace("SINK", &sink.port.to_string())
        .replace("PORT", &port.to_string());
    let fatal = scanner.configuration("amavisd");
    let conf = scanner.write("amavisd.conf", conf + &entry(&scanner) + &fatal + "1;\n");
    let mut command = Command::new("/usr/sbin/amavisd");
    if is_root() {
        // Which it refuses to be.
        command.args(["-u", "amavis"]);
    }
    // It trusts no configuration that the user it runs as could change, which that of a test may be.
    command
        .args(["-X", "no_conf_file_writable_check", "-c"])
        .arg(conf)
        .arg("foreground");
    let log = scanner.path("amavisd.log");
    let _amavisd = Program::start(&mut command, &log).listens(port);
    let expected = Expected {
        clean: PASSED,
        infected: ("554 5.7.0 Reject", None),
        encrypted,
        large: DEFERRED,
    };
    expected.check(port, &sink, &contents());
    let log = std::fs::read_to_string(home.join("log")).unwrap();
    for word in [
        "Blocked INFECTED (EICAR-Test-File",
        "ALL VIRUS SCANNERS FAILED",
    ] {
        assert!(log.contains(word), "{log}");
    }
}

#[test]
fn amavisd_works_with_its_entry_for_clamd() {
    users_get(PASSED, |scanner| {
        let socket = scanner.socket().display().to_string();
        stock("ClamAV-clamd").replace("/var/run/clamav/clamd.ctl", &socket)
    });
}

#[test]
fn amavisd_works_with_streams_to_clamd() {
    users_get(PASSED, |scanner| {
        scanner.configuration("amavisd with streams")
    });
}

#[test]
fn amavisd_works_with_svsp() {
    users_get(DEFERRED, |scanner| {
        let address = scanner.daemon.address.to_string();
        let entry = scanner.configuration("amavisd with SVSP");
        entry.replace("127.0.0.1:8081", &address)
    });
}

#[test]
fn amavisd_works_with_its_entry_for_vfind() {
    users_get(DEFERRED, |scanner| {
        let folder = scanner.path("bin");
        std::fs::create_dir(&folder).unwrap();
        // A copy, for amavisd's user may not reach the original; and with the limit that the daemon has.
        std::fs::copy(env!("CARGO_BIN_EXE_vfind"), folder.join("vfind-itself")).unwrap();
        let script = format!("#!/bin/sh\nexec vfind-itself --limit-expanded={LIMIT} \"$@\"\n");
        let script = scanner.write("bin/vfind", script);
        std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
        stock("CyberSoft VFind")
    });
}
