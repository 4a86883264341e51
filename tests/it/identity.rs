//! Who a daemon is, and who may connect to it.

use std::io::Write;
use std::net::TcpStream;

use crate::support::{Daemon, eicar, out, run, said};

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");
const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

#[test]
fn the_number_of_the_process_is_printed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let options = [
        "--pid".to_owned(),
        format!("--pidfile={}", at("pid").display()),
        format!("--savepid={}", at("saved").display()),
    ];
    let output = run(
        VFIND,
        &[&options[0], &options[1], &options[2], "/dev/null/x"],
        b"",
    );
    let first = out(&output).lines().next().unwrap().to_owned();
    let saved = std::fs::read_to_string(at("saved")).unwrap();
    assert_eq!(first, format!("##==> Process: {}", saved.trim()));
    assert!(!at("pid").exists());
    let daemon = Daemon::start(&[&options[1], &options[2]]);
    for file in ["pid", "saved"] {
        assert_eq!(
            std::fs::read_to_string(at(file)).unwrap(),
            format!("{}\n", daemon.pid())
        );
    }
    for program in [VFINDD, VFIND] {
        let argument = if program == VFIND {
            "/dev/null"
        } else {
            "--svsp-port=0"
        };
        let second = run(program, &[&options[1], argument], b"");
        let complaint = said(&second);
        assert_eq!(second.status.code(), Some(255), "{complaint}");
        assert!(
            complaint.contains(&format!("process {} runs with it", daemon.pid())),
            "{complaint}"
        );
    }
}

#[test]
fn denied_addresses_are_told_so_and_closed() {
    let daemon = Daemon::start(&[
        "--listen=svsp:0.0.0.0:0",
        "--allow=127.0.0.0/8",
        "--deny=svsp:127.0.0.2",
    ]);
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = "[svsp]\nallow = ['127.0.0.3']\n";
    std::fs::write(config.path(), text).unwrap();
    let option = format!("--config={}", config.path().display());
    let second = Daemon::start(&["--listen=svsp:0.0.0.0:0", &option]);
    let mut rows = vec![
        (&daemon, "127.0.0.1", true),
        (&daemon, "127.0.0.2", false),
        (&daemon, "127.0.0.3", true),
        (&second, "127.0.0.1", false),
        (&second, "127.0.0.3", true),
    ];
    // A socket for both kinds of addresses sees IPv4 in its IPv6 form; not every machine has the second kind.
    let has_six = std::net::TcpListener::bind("[::]:0").is_ok();
    let third = has_six.then(|| Daemon::start(&["--listen=svsp:[::]:0", "--deny=127.0.0.2"]));
    if let Some(third) = &third {
        rows.extend([(third, "127.0.0.1", true), (third, "127.0.0.2", false)]);
    }
    for (daemon, source, admitted) in rows {
        let greeting = greeting(source, daemon.address.port());
        let expected = match admitted {
            true => "READY\r\nOK\r\n",
            false => "DENIED your address is not allowed here\r\n",
        };
        assert_eq!(greeting, expected, "{source}");
    }
}

/// All that the server says to somebody who connects from this address and sends QUIT if it may.
fn greeting(source: &str, port: u16) -> String {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};
    use std::io::Read;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(source.parse().unwrap(), 0)).unwrap();
    connect(
        &socket,
        &SocketAddrV4::new("127.0.0.1".parse().unwrap(), port),
    )
    .unwrap();
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    let mut said = [0; 5];
    stream.read_exact(&mut said).unwrap();
    if &said == b"READY" {
        stream.write_all(b"QUIT\r\n").unwrap();
    }
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    String::from_utf8_lossy(&said).into_owned() + &rest
}

#[test]
fn another_user_does_the_work_and_there_is_no_way_back() {
    use std::os::unix::fs::PermissionsExt;
    let is_nobody_there =
        std::fs::read_to_string("/etc/passwd").is_ok_and(|text| text.contains("\nnobody:"));
    if !rustix::process::geteuid().is_root() || !is_nobody_there {
        println!("skipped: only root can become another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (name, mode) in [("secret", 0o600), ("open", 0o644)] {
        std::fs::write(at(name), eicar()).unwrap();
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // A folder where root alone may write: the pid file is made before, and cannot be removed after.
    let pid_file = format!("--pidfile={}", at("pid").display());
    let mut daemon = Daemon::start(&["--user=nobody", &pid_file]);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let ids = |word: &str| -> Vec<String> {
            let line = status.lines().find(|line| line.starts_with(word)).unwrap();
            line.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        let (uids, gids) = (ids("Uid:"), ids("Gid:"));
        assert!(uids.iter().chain(&gids).all(|id| id != "0"), "{status}");
        assert!(
            uids.windows(2).all(|two| two[0] == two[1]) && uids.len() == 4,
            "{status}"
        );
        assert!(!ids("Groups:").contains(&"0".to_owned()), "{status}");
        assert_eq!(ids("CapEff:"), ["0000000000000000"]);
        threads += 1;
    }
    assert!(threads > 1);
    let mut talk = daemon.connect();
    assert!(talk.scan(&at("secret")).starts_with("EACCES "));
    assert!(talk.scan(&at("open")).starts_with("DONE 1 "));
    drop(talk);
    assert!(!daemon.log_so_far().iter().any(|line| line.contains("root")));
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(std::fs::read_to_string(at("pid")).unwrap(), "");
    // Rules that the user cannot read are not read by root before.
    let rules = format!("--vdl={}", at("secret").display());
    let output = run(VFINDD, &["--svsp-port=0", "--user=nobody", &rules], b"");
    assert!(
        output.status.code() == Some(255) && said(&output).contains("secret: Permission denied"),
        "{}",
        said(&output)
    );
}
