//! ProFTPD's mod_clamav: uploads.

use std::process::Command;

use super::support::{NAME, Program, Scanner, contents, free_port, has_programs, is_root};
use crate::support::said;

#[test]
fn proftpd_refuses_what_is_infected_or_was_not_examined() {
    if !has_programs(&[
        "/usr/sbin/proftpd",
        "/usr/lib/proftpd/mod_clamav.so",
        "/usr/bin/curl",
        "/usr/bin/openssl",
    ]) {
        return;
    }
    if !is_root() {
        println!("skipped: proftpd must be started by root");
        return;
    }
    let scanner = Scanner::small(&[]);
    let port = free_port();
    let at = |name: &str| scanner.path(name).display().to_string();
    let root = scanner.folder_of("nobody", "root");
    let hash = crate::support::run("openssl", &["passwd", "-6", "secret"], b"").stdout;
    let hash = String::from_utf8(hash).unwrap();
    let users = format!(
        "tester:{}:65534:65534::{}:/bin/sh\n",
        hash.trim(),
        at("root")
    );
    let users = scanner.write("users", users);
    // It does not take a list that others may read.
    std::fs::set_permissions(&users, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        "{}ServerType standalone\nDefaultAddress 127.0.0.1\nSocketBindTight on\nUseIPv6 off\nPort {port}\n\
         User nobody\nGroup nogroup\nRequireValidShell off\nAuthOrder mod_auth_file.c\nAuthUserFile {}\n\
         DelayTable none\nTransferLog none\nWtmpLog off\nPidFile {}\nScoreboardFile {}\nSystemLog {}\n",
        scanner.configuration("proftpd.conf"),
        at("users"),
        at("pid"),
        at("scoreboard"),
        at("log"),
    );
    let configuration = scanner.write("proftpd.conf", text);
    let mut proftpd = Command::new("/usr/sbin/proftpd");
    proftpd.arg("--nodaemon").arg("--config").arg(configuration);
    let _proftpd = Program::start(&mut proftpd, &scanner.path("out")).listens(port);
    for (name, content) in contents().files() {
        let answer = match name {
            "infected" => format!("550 Virus Detected and Removed: {NAME}"),
            "large" => "550 large: ".to_owned(),
            _ => "226 Transfer complete".to_owned(),
        };
        let local = scanner.write(name, &content);
        let url = format!("ftp://tester:secret@127.0.0.1:{port}/{name}");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--verbose", "--max-time", "20", "--upload-file"]);
        let talk = said(&curl.arg(local).arg(url).output().unwrap());
        assert!(talk.contains(&format!("< {answer}")), "{name}: {talk}");
        let kept = std::fs::read(root.join(name)).ok();
        let expected = answer.starts_with("226").then_some(content);
        assert!(kept == expected, "{name}");
    }
    // Nor under a name of its own.
    assert_eq!(std::fs::read_dir(root).unwrap().count(), 2);
}
