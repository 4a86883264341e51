//! clamav-milter, asked by postfix.

use std::path::PathBuf;
use std::process::Command;

use super::smtp::{Expected, Sink, mail, send};
use super::support::{Contents, LIMIT, NAME, Program, Scanner, contents, free_port, is_root};
use crate::support::{has_tools, noise, out};

/// What a postfix of one's own needs to know. Mails for example.org are handed on to `SINK`.
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

/// What a clamav-milter of one's own needs to know.
const MILTER: &str = "MilterSocket inet:PORT@127.0.0.1
Foreground yes
User clamav
TemporaryDirectory FOLDER/milter
";

/// Postfix, a next hop, our daemon, and clamav-milter once it has a configuration.
struct Server {
    // Ended in this order.
    milter: Option<Program>,
    postfix: Option<Program>,
    scanner: Scanner,
    sink: Sink,
    folder: PathBuf,
    port: u16,
    milter_port: u16,
}

impl Server {
    fn start() -> Self {
        let scanner = Scanner::small(&[]);
        let mut server = Self {
            milter: None,
            postfix: None,
            folder: scanner.path("own"),
            scanner,
            sink: Sink::start(),
            port: free_port(),
            milter_port: free_port(),
        };
        std::fs::create_dir(&server.folder).unwrap();
        server.postfix = Some(server.postfix());
        server
    }

    /// Fills the places of a configuration.
    fn filled(&self, text: &str) -> String {
        text.replace("FOLDER", self.folder.to_str().unwrap())
            .replace("SINK", &self.sink.port.to_string())
            .replace("PORT", &self.milter_port.to_string())
    }

    fn postfix(&self) -> Program {
        let etc = self.folder.join("etc");
        for (user, name) in [
            ("root", "etc"),
            ("root", "queue"),
            ("postfix", "data"),
            ("clamav", "milter"),
        ] {
            self.scanner.folder_of(user, &format!("own/{name}"));
        }
        let shown = self.scanner.configuration("main.cf");
        let shown = shown.replace("10031", &self.milter_port.to_string());
        std::fs::write(etc.join("main.cf"), self.filled(MAIN) + &shown).unwrap();
        std::fs::copy("/etc/postfix/master.cf.proto", etc.join("master.cf")).unwrap();
        let port = format!("127.0.0.1:{}", self.port);
        let service = format!("{port}/inet={port} inet n - n - - smtpd");
        for edit in [
            &["-F", "*/*/chroot=n"][..],
            &["-MX", "smtp/inet"],
            &["-Me", &service],
        ] {
            done(Command::new("postconf").arg("-c").arg(&etc).args(edit));
        }
        done(Command::new("postfix").arg("-c").arg(&etc).arg("check"));
        // Of this form `postfix stop` is no part: it ends with its process, as every program here.
        let mut master = Command::new("/usr/lib/postfix/sbin/master");
        master.arg("-d").arg("-c").arg(&etc);
        Program::start(&mut master, &self.folder.join("postfix.log")).listens(self.port)
    }

    /// Starts clamav-milter with this configuration beside its own places, instead of the one before.
    fn milter(&mut self, text: &str) {
        self.milter = None;
        let conf = self
            .scanner
            .write("milter.conf", self.filled(MILTER) + text);
        let mut command = Command::new("clamav-milter");
        command.arg("-c").arg(conf);
        let log = self.folder.join("milter.log");
        self.milter = Some(Program::start(&mut command, &log).listens(self.milter_port));
    }

    /// What a user gets now for the contents.
    fn check(&self, expected: &Expected<'_>) {
        expected.check(self.port, &self.sink, &contents());
    }

    /// What postfix says of its queues.
    fn queues(&self) -> String {
        let etc = self.folder.join("etc");
        done(Command::new("postqueue").arg("-c").arg(etc).arg("-j"))
    }
}

/// Runs it to its end.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    out(&output)
}

#[test]
fn clamav_milter_does_with_postfix_what_its_configuration_says() {
    let programs = ["clamav-milter", "postfix", "postconf", "postqueue", "zip"];
    if !has_tools(&programs) {
        return;
    }
    if !is_root() {
        println!("skipped: postfix starts as root alone");
        return;
    }
    let mut server = Server::start();
    let conf = server.scanner.configuration("clamav-milter.conf");
    let clean = ("250 2.0.0 Ok: queued", Some("X-Virus-Status: Clean"));
    let infected = format!("550 5.7.1 infected with {NAME}");
    let defaults = Expected {
        clean,
        infected: (&infected, None),
        encrypted: clean,
        large: ("451 4.7.1 ", None),
    };
    server.milter(&conf);
    server.check(&defaults);
    let local = format!("unix:{}", server.scanner.socket().display());
    let tcp = format!("tcp:127.0.0.1:{}", server.scanner.port());
    server.milter(&conf.replace(&local, &tcp));
    server.check(&defaults);

    // A policy of ours makes findings of gaps.
    let policies = ["encrypted", "limit"].map(|gap| format!("--policy=clamd:{gap}=infected"));
    let strict = Scanner::small(&policies.each_ref().map(String::as_str));
    server.milter(&strict.configuration("clamav-milter.conf"));
    server.check(&Expected {
        encrypted: ("550 5.7.1 infected with Incomplete/encrypted", None),
        large: ("550 5.7.1 infected with Incomplete/limit/expanded", None),
        ..defaults
    });

    // What is infected waits on hold. Of what is too large it sends the beginning, and takes the answer for the whole.
    let own = conf.replace("OnInfected Reject", "OnInfected Quarantine");
    server.milter(&own.replace("MaxFileSize 4000M", "MaxFileSize 100K"));
    let held = Expected {
        infected: ("250 2.0.0 Ok: queued", None),
        large: clean,
        ..defaults
    };
    let cut = Contents {
        large: noise(7, 2 * LIMIT),
        ..contents()
    };
    held.check(server.port, &server.sink, &cut);
    let queues = server.queues();
    assert_eq!(
        queues.matches("\"queue_name\": \"hold\"").count(),
        1,
        "{queues}"
    );

    // Nobody scans: the mail stays where it is.
    server.milter(&conf);
    server.scanner.daemon.signal(rustix::process::Signal::TERM);
    server.scanner.daemon.wait();
    let reply = send(server.port, &mail("away", b"nothing"));
    assert!(reply.starts_with("451 4.7.1 "), "{reply}");
}
