//! MIMEDefang, a milter whose rules are written in Perl.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::postfix::{Postfix, has_postfix};
use super::smtp::{Expected, mail, send};
use super::support::{NAME, Program, Scanner, contents, has_programs};
use crate::support::stored_zip;

#[test]
fn mimedefang_bounces_what_is_infected_and_defers_what_failed() {
    let multiplexor = "/usr/bin/mimedefang-multiplexor";
    if !has_programs(&["/usr/bin/mimedefang", multiplexor]) || !has_postfix() {
        return;
    }
    let scanner = Scanner::small(&[]);
    let postfix = Postfix::start(&scanner);
    let spool = scanner.folder_of("defang", "spool");
    let socket = spool.join("socket");
    let filter = scanner.write("filter", scanner.configuration("mimedefang-filter"));
    // Where the filter is can be told to the worker alone, which the multiplexor starts.
    let worker = format!(
        "#!/bin/sh\nexec mimedefang.pl -f {} \"$@\"\n",
        filter.display()
    );
    let worker = scanner.write("worker", worker);
    std::fs::set_permissions(&worker, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(multiplexor);
    command.args(["-D", "-U", "defang", "-f"]).arg(worker);
    command.arg("-s").arg(&socket).arg("-z").arg(&spool);
    let _multiplexor = Program::start(&mut command, &scanner.path("log")).listens_at(&socket);
    let mut command = Command::new("/usr/bin/mimedefang");
    let listen = format!("inet:{}@127.0.0.1", postfix.milter);
    command.args(["-D", "-U", "defang", "-p", &listen]);
    command.arg("-m").arg(&socket).arg("-z").arg(&spool);
    let _mimedefang = Program::start(&mut command, &scanner.path("log")).listens(postfix.milter);
    let scanned = ("250 2.0.0 Ok: queued", Some("X-Virus-Scanned: by vfindd"));
    let infected = format!("554 5.7.1 infected with {NAME}");
    let expected = Expected {
        clean: scanned,
        infected: (&infected, None),
        encrypted: scanned,
        large: ("451 4.3.0 not scanned", None),
    };
    postfix.check(&expected, &contents());
    // It reads 256 bytes of an answer: what somebody called a file must not push the last word out of them.
    let mut ace = [0; 64];
    ace[7..14].copy_from_slice(b"**ACE**");
    let long = stored_zip(&[(&"n".repeat(230), &ace)]);
    assert_eq!(
        send(postfix.port, &mail("long", &long)),
        "451 4.3.0 not scanned"
    );
}
