//! clamav-milter, asked by postfix.

use std::path::Path;
use std::process::Command;

use super::postfix::{Postfix, has_postfix};
use super::smtp::{Expected, mail, send};
use super::support::{Contents, LIMIT, NAME, Program, Scanner, contents};
use crate::support::{has_tools, noise};

/// Where it listens, and what else one of one's own needs to know.
const MILTER: &str = "MilterSocket inet:PORT@127.0.0.1
Foreground yes
User clamav
TemporaryDirectory FOLDER
";

/// Starts one for this postfix, with this configuration beside its own places.
fn start(scanner: &Scanner, postfix: &Postfix, folder: &Path, conf: &str) -> Program {
    let own = MILTER
        .replace("PORT", &postfix.milter.to_string())
        .replace("FOLDER", folder.to_str().unwrap());
    let conf = scanner.write("milter.conf", own + conf);
    let mut command = Command::new("clamav-milter");
    command.arg("-c").arg(conf);
    Program::start(&mut command, &scanner.path("milter.log")).listens(postfix.milter)
}

#[test]
fn clamav_milter_does_with_postfix_what_its_configuration_says() {
    if !has_tools(&["clamav-milter"]) || !has_postfix() {
        return;
    }
    let mut scanner = Scanner::small(&[]);
    let postfix = Postfix::start(&scanner);
    let folder = scanner.folder_of("clamav", "milter");
    let conf = scanner.configuration("clamav-milter.conf");
    let clean = ("250 2.0.0 Ok: queued", Some("X-Virus-Status: Clean"));
    let infected = format!("550 5.7.1 infected with {NAME}");
    let defaults = Expected {
        clean,
        infected: (&infected, None),
        encrypted: clean,
        large: ("451 4.7.1 ", None),
    };
    let local = format!("unix:{}", scanner.socket().display());
    let tcp = format!("tcp:127.0.0.1:{}", scanner.port());
    for conf in [&conf, &conf.replace(&local, &tcp)] {
        let _milter = start(&scanner, &postfix, &folder, conf);
        postfix.check(&defaults, &contents());
    }

    // A policy of ours makes findings of gaps.
    let policies = ["encrypted", "limit"].map(|gap| format!("--policy=clamd:{gap}=infected"));
    let strict = Scanner::small(&policies.each_ref().map(String::as_str));
    let strict_conf = strict.configuration("clamav-milter.conf");
    let milter = start(&scanner, &postfix, &folder, &strict_conf);
    let findings = Expected {
        encrypted: ("550 5.7.1 infected with Incomplete/encrypted", None),
        large: ("550 5.7.1 infected with Incomplete/limit/expanded", None),
        ..defaults
    };
    postfix.check(&findings, &contents());
    drop(milter);

    // What is infected waits on hold. Of what is too large it sends the beginning, and takes the answer for the whole.
    let own = conf.replace("OnInfected Reject", "OnInfected Quarantine");
    let own = own.replace("MaxFileSize 4000M", "MaxFileSize 100K");
    let milter = start(&scanner, &postfix, &folder, &own);
    let held = Expected {
        infected: ("250 2.0.0 Ok: queued", None),
        large: clean,
        ..defaults
    };
    let cut = Contents {
        large: noise(7, 2 * LIMIT),
        ..contents()
    };
    postfix.check(&held, &cut);
    let queues = postfix.queues();
    let on_hold = queues.matches("\"queue_name\": \"hold\"").count();
    assert_eq!(on_hold, 1, "{queues}");
    drop(milter);

    // Nobody scans: the mail stays where it is.
    let _milter = start(&scanner, &postfix, &folder, &conf);
    scanner.daemon.signal(rustix::process::Signal::TERM);
    scanner.daemon.wait();
    let reply = send(postfix.port, &mail("away", b"nothing"));
    assert!(reply.starts_with("451 4.7.1 "), "{reply}");
}
