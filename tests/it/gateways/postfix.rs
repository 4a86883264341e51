//! A postfix of one's own that asks a milter, with a next hop behind it.

use std::path::PathBuf;
use std::process::Command;

use super::smtp::{Expected, Sink};
use super::support::{Contents, Program, Scanner, free_port, is_root};
use crate::support::{has_tools, out};

/// What it needs to know. Mails for example.org are handed on to `SINK`.
const MAIN: &str = "compatibility_level = 3.6
queue_directory = FOLDER/queue
data_directory = FOLDER/data
maillog_file = FOLDER/queue/log
maillog_file_prefixes = FOLDER
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.org
mydestination =
alias_maps =
relay_domains = example.org
relayhost = [127.0.0.1]:SINK
smtp_host_lookup = native
";

/// A running postfix.
pub struct Postfix {
    _program: Program,
    etc: PathBuf,
    pub port: u16,
    /// Where it looks for its milter.
    pub milter: u16,
    sink: Sink,
}

impl Postfix {
    /// Starts one in this daemon's folder.
    pub fn start(scanner: &Scanner) -> Self {
        let folder = scanner.folder_of("root", "postfix");
        for (user, name) in [("root", "etc"), ("root", "queue"), ("postfix", "data")] {
            scanner.folder_of(user, &format!("postfix/{name}"));
        }
        let etc = folder.join("etc");
        let sink = Sink::start();
        let [port, milter] = [free_port(), free_port()];
        let main = MAIN
            .replace("FOLDER", folder.to_str().unwrap())
            .replace("SINK", &sink.port.to_string());
        let shown = scanner.configuration("main.cf");
        let shown = shown.replace("10031", &milter.to_string());
        std::fs::write(etc.join("main.cf"), main + &shown).unwrap();
        std::fs::copy("/etc/postfix/master.cf.proto", etc.join("master.cf")).unwrap();
        let address = format!("127.0.0.1:{port}");
        let service = format!("{address}/inet={address} inet n - n - - smtpd");
        for edit in [
            &["-F", "*/*/chroot=n"][..],
            &["-MX", "smtp/inet"],
            &["-Me", &service],
        ] {
            done(Command::new("postconf").arg("-c").arg(&etc).args(edit));
        }
        done(Command::new("postfix").arg("-c").arg(&etc).arg("check"));
        // What `postfix start` leaves behind, in the foreground.
        let mut master = Command::new("/usr/lib/postfix/sbin/master");
        master.arg("-d").arg("-c").arg(&etc);
        Self {
            _program: Program::start(&mut master, &folder.join("log")).listens(port),
            etc,
            port,
            milter,
            sink,
        }
    }

    /// What a user gets now for the contents.
    pub fn check(&self, expected: &Expected<'_>, contents: &Contents) {
        expected.check(self.port, &self.sink, contents);
    }

    /// What it says of its queues.
    pub fn queues(&self) -> String {
        done(Command::new("postqueue").arg("-c").arg(&self.etc).arg("-j"))
    }
}

/// Tells whether postfix can be started.
pub fn has_postfix() -> bool {
    if !has_tools(&["postfix", "postconf", "postqueue", "zip"]) {
        return false;
    }
    if !is_root() {
        println!("skipped: postfix starts as root alone");
    }
    is_root()
}

/// Runs it to its end.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    out(&output)
}
