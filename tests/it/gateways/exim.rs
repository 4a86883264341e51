//! exim4 with content scanning.

use std::process::Command;

use super::smtp::{Expected, Sink};
use super::support::{
    NAME, Program, Scanner, contents, free_port, has_programs, installed, is_root,
};

/// Where it keeps its files, and how it hands mails on: what an installed exim has already.
const AROUND: [&str; 2] = [
    "exim_path = EXIM
spool_directory = FOLDER/spool
log_file_path = FOLDER/spool/%slog
pid_file_path = FOLDER/spool/pid
primary_hostname = mx.example.org
tls_advertise_hosts =
acl_smtp_rcpt = accept
keep_environment =
",
    "
begin routers
onwards:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onwards

begin transports
onwards:
  driver = smtp
  port = SINK
  allow_localhost
",
];

#[test]
fn exim_rejects_what_is_infected_and_defers_what_failed() {
    let exim = installed("usr/sbin/exim4");
    if !has_programs(&[&exim, "/usr/bin/zip"]) {
        return;
    }
    let version = Command::new(&exim).arg("-bV").output().unwrap();
    if !String::from_utf8_lossy(&version.stdout).contains("Content_Scanning") || !is_root() {
        println!("skipped: not as root, or {exim} is not that of exim4-daemon-heavy");
        return;
    }
    let scanner = Scanner::small(&[]);
    let sink = Sink::start();
    let spool = scanner.folder_of("Debian-exim", "spool");
    let shown = scanner.configuration("exim4.conf");
    let local = shown.lines().next().unwrap();
    let tcp = scanner.configuration("exim4.conf over TCP");
    let name = format!("550 infected with {NAME}");
    let scanned = Some("X-Virus-Scanned: by vfindd");
    for scanner_line in [local, tcp.trim_end()] {
        let [before, behind] = AROUND;
        let conf = [before, &shown.replace(local, scanner_line), behind].concat();
        let conf = conf
            .replace("EXIM", &exim)
            .replace("FOLDER", spool.parent().unwrap().to_str().unwrap())
            .replace("SINK", &sink.port.to_string());
        let conf = scanner.write("exim4.conf", conf);
        let port = free_port();
        let mut command = Command::new(&exim);
        command.arg("-C").arg(conf);
        command.args(["-bdf", "-oX", &format!("127.0.0.1.{port}")]);
        let _exim = Program::start(&mut command, &scanner.path("log")).listens(port);
        let expected = Expected {
            clean: ("250 OK", scanned),
            infected: (&name, None),
            encrypted: ("250 OK", scanned),
            large: ("451 Temporary local problem", None),
        };
        expected.check(port, &sink, &contents());
    }
}
