//! clamfs: a file system in front of another, whose files are scanned when they are opened.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::support::{Program, Scanner, contents, has_programs, is_root};

#[test]
fn clamfs_opens_nothing_that_is_infected_or_was_not_examined() {
    if !has_programs(&["/usr/bin/clamfs", "/dev/fuse"]) {
        return;
    }
    if !is_root() {
        println!("skipped: clamfs must be started by root to mount");
        return;
    }
    for mode in ["fdpass", "fname", "stream"] {
        let scanner = Scanner::small(&[]);
        let [under, mount] = ["under", "mount"].map(|name| scanner.folder_of("root", name));
        let text = scanner
            .configuration("clamfs.xml")
            .replace("/srv/files", under.to_str().unwrap())
            .replace("/mnt/files", mount.to_str().unwrap())
            .replace("fdpass", mode);
        let configuration = scanner.write("clamfs.xml", text);
        let mut clamfs = Command::new("/usr/bin/clamfs");
        let device = |path| std::fs::metadata(path).map(|data| data.dev()).ok();
        let below = device(&under);
        let _clamfs = Program::start(clamfs.arg(configuration), &scanner.path("clamfs.log"))
            .waits(|| device(&mount).is_some_and(|device| Some(device) != below));
        for (name, content) in contents().files() {
            std::fs::write(under.join(name), &content).unwrap();
            match std::fs::read(mount.join(name)) {
                Ok(got) => assert!(
                    ["clean", "encrypted"].contains(&name) && got == content,
                    "{mode}: {name}"
                ),
                Err(error) => assert!(
                    ["infected", "large"].contains(&name)
                        && error.kind() == ErrorKind::PermissionDenied,
                    "{mode}: {name}: {error}"
                ),
            }
        }
    }
}
