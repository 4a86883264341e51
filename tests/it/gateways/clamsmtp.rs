//! clamsmtpd, a filter between two mail servers.

use std::process::Command;

use super::smtp::{Expected, Sink};
use super::support::{Program, Scanner, contents, free_port, has_programs, is_root};

#[test]
fn clamsmtpd_drops_what_is_infected_and_refuses_what_failed() {
    if !has_programs(&["/usr/sbin/clamsmtpd", "/usr/bin/zip"]) {
        return;
    }
    let scanner = Scanner::small(&[]);
    let sink = Sink::start();
    let port = free_port();
    let mut conf = scanner.configuration("clamsmtpd.conf");
    conf = conf.replace("10025", &sink.port.to_string());
    conf = conf.replace("10026", &port.to_string());
    let spool = scanner.folder_of("clamsmtp", "spool");
    conf = conf.replace("/var/spool/clamsmtp", spool.to_str().unwrap());
    if is_root() {
        conf += "User: clamsmtp\n";
    }
    let scanned = Some("X-Virus-Scanned: ClamAV using ClamSMTP");
    let marked = Some("X-Virus-Infected: Virus Detected!");
    for (action, infected) in [
        ("", ("250 Virus Detected; Discarded Email", None)),
        ("Action: pass\n", ("250 2.0.0 fine", marked)),
    ] {
        let conf = scanner.write("clamsmtpd.conf", format!("{conf}{action}"));
        let mut command = Command::new("/usr/sbin/clamsmtpd");
        command.args(["-d", "3", "-f"]).arg(conf);
        let _program = Program::start(&mut command, &scanner.path("log")).listens(port);
        let expected = Expected {
            clean: ("250 2.0.0 fine", scanned),
            infected,
            encrypted: ("250 2.0.0 fine", scanned),
            large: ("451 Local Error", None),
        };
        expected.check(port, &sink, &contents());
    }
}
