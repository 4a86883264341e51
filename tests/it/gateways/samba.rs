//! Samba's vfs_virusfilter: shares whose files are scanned when they are opened and closed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Program, Scanner, contents, free_port, is_root};
use crate::support::{has_tools, out};

/// A server with one share, which whoever asks may read and write.
struct Samba {
    configuration: PathBuf,
    port: String,
    _smbd: Program,
}

impl Samba {
    fn start(scanner: &Scanner, action: &str) -> Self {
        let port = free_port();
        let at = |name: &str| scanner.path(name).display().to_string();
        let share = scanner
            .configuration("smb.conf, in a share")
            .replace("/var/lib/samba/quarantine", &at("quarantine"))
            .replace("action = quarantine", &format!("action = {action}"));
        for folder in ["share", "quarantine"] {
            scanner.folder_of("nobody", folder);
        }
        let folders: String = ["private dir", "lock directory", "state directory"]
            .iter()
            .chain(&["cache directory", "pid directory", "ncalrpc dir"])
            .map(|key| format!("{key} = {}\n", at("samba")))
            .collect();
        let text = format!(
            "[global]\nserver role = standalone server\ndisable netbios = yes\ninterfaces = 127.0.0.1\n\
             bind interfaces only = yes\nsmb ports = {port}\nload printers = no\ndisable spoolss = yes\n\
             map to guest = bad user\nguest account = nobody\n{folders}\
             [share]\npath = {}\nguest ok = yes\nread only = no\n{share}",
            at("share")
        );
        std::fs::create_dir(at("samba")).unwrap();
        let configuration = scanner.write("smb.conf", text);
        let mut smbd = Command::new("/usr/sbin/smbd");
        smbd.args(["--foreground", "--no-process-group", "--debug-stdout", "-s"]);
        smbd.arg(&configuration);
        Self {
            _smbd: Program::start(&mut smbd, &scanner.path("smbd.log")).listens(port),
            configuration,
            port: port.to_string(),
        }
    }

    /// What the server says to a command of smbclient.
    fn ask(&self, command: &str) -> String {
        let mut client = Command::new("timeout");
        client.args(["20", "smbclient", "//127.0.0.1/share", "--no-pass"]);
        client.args(["-p", &self.port, "-c", command, "-s"]);
        out(&client.arg(&self.configuration).output().unwrap())
    }

    /// What smbclient gets of this file, or what it is told instead.
    fn get(&self, name: &str, into: &Path) -> Result<Vec<u8>, String> {
        let said = self.ask(&format!("get {name} {}", into.display()));
        std::fs::read(into).map_err(|_| said)
    }
}

#[test]
fn samba_withholds_what_is_infected_or_was_not_examined() {
    if !has_tools(&[
        "/usr/sbin/smbd",
        "/usr/lib/x86_64-linux-gnu/samba/vfs/virusfilter.so",
        "smbclient",
        "zip",
    ]) {
        return;
    }
    if !is_root() {
        println!("skipped: smbd must be started by root");
        return;
    }
    for action in ["quarantine", "delete"] {
        let scanner = Scanner::small(&[]);
        let samba = Samba::start(&scanner, action);
        for (name, content) in contents().files() {
            let is_had = ["clean", "encrypted"].contains(&name);
            let is_infected = name == "infected";
            let local = scanner.write(name, &content);
            // Put there by Samba, which scans when it is closed, and by somebody else, which Samba finds when it is opened.
            samba.ask(&format!("put {} put-{name}", local.display()));
            let put = scanner.path("share").join(format!("put-{name}"));
            assert_eq!(put.exists(), !is_infected, "{action}: put {name}");
            std::fs::copy(&local, scanner.path("share").join(name)).unwrap();
            for of in [name.to_owned(), format!("put-{name}")] {
                let got = samba.get(&of, &scanner.path(&format!("got-{of}")));
                match got {
                    Ok(got) => assert!(is_had && got == content, "{action}: {of}"),
                    Err(said) => assert!(!is_had && said.contains("NT_STATUS_"), "{of}: {said}"),
                }
            }
            let left = scanner.path("share").join(name);
            assert_eq!(left.exists(), !is_infected, "{action}: get {name}");
        }
        let kept = std::fs::read_dir(scanner.path("quarantine")).unwrap();
        let expected = if action == "quarantine" { 2 } else { 0 };
        assert_eq!(kept.count(), expected, "{action}");
    }
}
