//! New signatures while the daemon runs: by watching folders, by word of its owner, and the way back.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Daemon, has_tools, out, run, said};

const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(site.at("db")).unwrap();
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    /// As programs that fetch signatures do: the new file takes the name when it is whole.
    fn rename_in(&self, name: &str, text: &str) {
        self.write("db/tmp.download", text);
        std::fs::rename(self.at("db/tmp.download"), self.at(name)).unwrap();
    }

    fn start(&self, more: &[&str]) -> Daemon {
        let database = format!("--database={}", self.at("db").display());
        let control = format!("--control={}", self.at("control").display());
        Daemon::start(&[&[database.as_str(), &control], more].concat())
    }

    fn tell(&self, word: &str) -> Output {
        let control = format!("--control={}", self.at("control").display());
        run(VFINDD, &[&control, &format!("--tell={word}")], b"")
    }

    /// A line of the status.
    fn status(&self, start: &str) -> String {
        let status = out(&self.tell("status"));
        let line = status.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start} in {status}"))
            .to_owned()
    }

    fn epoch(&self) -> String {
        self.status("epoch ")[6..].to_owned()
    }
}

fn finds(daemon: &Daemon, folder: &Path, content: &str) -> bool {
    let path = folder.join("content");
    std::fs::write(&path, content).unwrap();
    daemon.connect().scan(&path).starts_with("DONE 1 ")
}

#[test]
fn a_folder_is_loaded_by_the_endings_of_its_names() {
    let site = Site::new();
    site.write("db/b.cvdl", ":Of/b, \"bbbb\" #\n");
    site.write("db/a.VDL", ":Of/a, \"aaaa\" #\n");
    site.write("db/c.md5", "900150983cd24fb0d6963f7d28e17f72:3:Abc\n");
    site.write("db/readme.txt", "no signatures");
    site.write("db/freshclam.dat", "\0\x01");
    site.write("db/daily-1.cvd.sign", "signed");
    site.write("db/.hidden.cvdl", "nonsense");
    std::fs::create_dir(site.at("db/old")).unwrap();
    site.write("db/old/d.cvdl", ":Of/d, \"dddd\" #\n");
    let database = format!("--database={}", site.at("db").display());
    let output = run(VFINDD, &[&database, "--vlist"], b"");
    let names = out(&output);
    let names: Vec<_> = names
        .lines()
        .filter(|name| name.contains("Of/") || name.contains("Abc"))
        .collect();
    // Capitals come first.
    assert_eq!(names, ["CVDL Of/a", "CVDL Of/b", "MD5 Abc"]);
    let log = said(&output);
    let not_loaded: Vec<_> = log
        .lines()
        .filter(|line| line.contains("not loaded"))
        .collect();
    assert_eq!(not_loaded.len(), 2, "{log}");
    assert!(not_loaded[0].contains("db/old: a folder"), "{log}");
    assert!(
        not_loaded[1].contains("db/readme.txt: no known kind"),
        "{log}"
    );

    let alone = format!("--database={}", site.at("db/readme.txt").display());
    let output = run(VFINDD, &[&alone, "--vlist"], b"");
    assert_eq!(output.status.code(), Some(255));
    assert!(said(&output).contains(" .cvdl "), "{}", said(&output));
}

#[test]
fn files_that_appear_by_rename_are_loaded_by_themselves() {
    for isolation in ["--isolation=thread", "--isolation=process"] {
        let site = Site::new();
        site.write("db/a.cvdl", ":A, \"needle a\" #\n");
        let daemon = site.start(&["--watch", isolation]);
        assert!(finds(&daemon, site.folder.path(), "needle a"));
        assert!(!finds(&daemon, site.folder.path(), "needle b"));
        site.rename_in("db/b.cvdl", ":B, \"needle b\" #\n");
        daemon.log_line("signatures reloaded");
        assert!(
            finds(&daemon, site.folder.path(), "needle b"),
            "{isolation}"
        );
        // In place of another, and one that is gone.
        site.rename_in("db/b.cvdl", ":B, \"needle c\" #\n");
        daemon.log_line("signatures reloaded");
        assert!(finds(&daemon, site.folder.path(), "needle c"));
        std::fs::remove_file(site.at("db/a.cvdl")).unwrap();
        daemon.log_line("signatures reloaded");
        assert!(!finds(&daemon, site.folder.path(), "needle a"));
        // A bad one keeps the others, and the next good one is taken.
        site.rename_in("db/b.cvdl", ":B, nonsense\n");
        daemon.log_line("reload refused");
        assert!(finds(&daemon, site.folder.path(), "needle c"));
        site.rename_in("db/b.cvdl", ":B, \"needle d\" #\n");
        daemon.log_line("signatures reloaded");
        assert!(finds(&daemon, site.folder.path(), "needle d"));
    }
}

#[test]
fn a_single_file_is_watched_through_its_folder() {
    let site = Site::new();
    site.write("own.cvdl", ":Own, \"needle a\" #\n");
    site.write("list", "own.cvdl\n");
    let list = format!("--vdl-list={}", site.at("list").display());
    let daemon = Daemon::start(&[&list, "--watch"]);
    site.write("new", ":Own, \"needle b\" #\n");
    std::fs::rename(site.at("new"), site.at("own.cvdl")).unwrap();
    daemon.log_line("signatures reloaded");
    assert!(finds(&daemon, site.folder.path(), "needle b"));
    site.write("more.cvdl", ":More, \"needle more\" #\n");
    site.write("list", "own.cvdl\nmore.cvdl\n");
    daemon.log_line("signatures reloaded");
    assert!(finds(&daemon, site.folder.path(), "needle more"));
}

#[test]
fn the_owner_reloads_and_is_told_why_not() {
    let site = Site::new();
    site.write("db/a.cvdl", ":A, \"needle a\" #\n");
    let daemon = site.start(&[]);
    let first = site.epoch();
    assert_eq!(site.status("last reload"), "last reload none");

    let told = site.tell("reload");
    assert_eq!(told.status.code(), Some(0));
    assert_eq!(site.epoch(), first, "nothing has changed");

    site.write("db/a.cvdl", ":A, \"needle b\" #\n");
    let told = site.tell("reload");
    assert_eq!(told.status.code(), Some(0), "{}", out(&told));
    let second = site.epoch();
    assert!(
        first.starts_with("1:") && second.starts_with("2:"),
        "{second}"
    );
    assert!(finds(&daemon, site.folder.path(), "needle b"));

    site.write("db/a.cvdl", ":A, \"needle c\" #\n:B, nonsense\n");
    let told = site.tell("reload");
    assert_eq!(told.status.code(), Some(2));
    for said in [out(&told), site.status("last reload refused")] {
        assert!(said.contains("db/a.cvdl:2:"), "{said}");
    }
    assert_eq!(site.epoch(), second);
    assert!(finds(&daemon, site.folder.path(), "needle b"));

    let control = format!("--control={}", site.at("control").display());
    let listed = run(VFINDD, &[&control, "--vlist"], b"");
    assert!(out(&listed).contains("CVDL A\n"), "{}", out(&listed));
    assert!(said(&listed).contains("db/a.cvdl:2:"), "{}", said(&listed));
}

#[test]
fn the_way_back_leads_to_the_last_good_one_and_forth_again() {
    for kept in ["memory", "file"] {
        let site = Site::new();
        site.write("db/a.cvdl", ":A, \"needle a\" #\n");
        let data = format!("--vdl-data-file={}", site.at("data").display());
        let more: &[&str] = match kept {
            "file" => &[&data, "--watch"],
            _ => &["--watch"],
        };
        let daemon = site.start(more);
        assert_eq!(site.tell("rollback").status.code(), Some(2), "{kept}");
        let fingerprint = |epoch: String| epoch.split(':').nth(1).unwrap().to_owned();
        let first = fingerprint(site.epoch());
        site.rename_in("db/a.cvdl", ":A, \"needle b\" #\n");
        daemon.log_line("signatures reloaded");
        let second = fingerprint(site.epoch());

        let told = site.tell("rollback");
        assert_eq!(told.status.code(), Some(0), "{kept}: {}", out(&told));
        assert_eq!(fingerprint(site.epoch()), first);
        assert!(finds(&daemon, site.folder.path(), "needle a"), "{kept}");
        // A folder where nothing happens to the sources does not bring the other back.
        site.write("db/readme.txt", "x");
        assert_eq!(site.tell("rollback").status.code(), Some(0));
        assert_eq!(fingerprint(site.epoch()), second);
        assert_eq!(site.tell("rollback").status.code(), Some(0));
        assert!(site.epoch().starts_with("5:"), "{}", site.epoch());
        assert!(finds(&daemon, site.folder.path(), "needle a"), "{kept}");

        site.rename_in("db/a.cvdl", ":A, \"needle c\" #\n");
        daemon.log_line("signatures reloaded");
        assert!(finds(&daemon, site.folder.path(), "needle c"), "{kept}");
        assert_eq!(site.tell("rollback").status.code(), Some(0));
        assert_eq!(fingerprint(site.epoch()), first, "the last that was in use");
    }
}

#[test]
fn one_daemon_listens_at_a_control_socket_and_takes_it_away() {
    let site = Site::new();
    site.write("db/a.cvdl", ":A, \"needle a\" #\n");
    let mut daemon = site.start(&[]);
    let control = format!("--control={}", site.at("control").display());
    let second = run(VFINDD, &[&control, "--svsp-port=0"], b"");
    assert_eq!(second.status.code(), Some(255));
    assert!(
        said(&second).contains("another daemon listens there"),
        "{}",
        said(&second)
    );
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    assert!(!site.at("control").exists());
    let told = site.tell("status");
    assert_eq!(told.status.code(), Some(255));
    // What a daemon that was killed has left is replaced.
    drop(site.start(&[]));
    assert!(site.at("control").exists());
    let daemon = site.start(&[]);
    assert!(site.epoch().starts_with("1:"));
    drop(daemon);
    // A file is somebody's.
    std::fs::remove_file(site.at("control")).unwrap();
    site.write("control", "mine");
    let refused = run(VFINDD, &[&control, "--svsp-port=0"], b"");
    assert_eq!(refused.status.code(), Some(255));
    assert_eq!(std::fs::read(site.at("control")).unwrap(), b"mine");
}

#[test]
fn a_database_is_checked_without_a_daemon() {
    let site = Site::new();
    site.write("db/a.cvdl", ":A, \"needle a\" # :Twice, \"needle b\" #\n");
    site.write("db/b.cvdl", ":Twice, \"needle c\" #\n");
    site.write("db/c.md5", "900150983cd24fb0d6963f7d28e17f72:3:Abc\n");
    site.write("db/notes.txt", "x");
    let db = site.at("db").display().to_string();
    let checked = run(VFINDD, &["--check-database", &db], b"");
    let text = out(&checked);
    assert_eq!(checked.status.code(), Some(0), "{text}{}", said(&checked));
    for line in [
        format!("{db}/a.cvdl (cvdl): 2 rules"),
        format!("{db}/b.cvdl (cvdl): 1 rules"),
        format!("{db}/c.md5 (digests): 1 digests"),
        format!("{db}/notes.txt: not loaded: no known kind of signatures ends like this"),
        "  CVDL Twice: 2".to_owned(),
        "signatures: 4".to_owned(),
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
    }
    let slow = "rule Slow { strings: $a = \"x\" condition: $a }\n";
    site.write("db/d.yar", slow);
    site.write("db/e.ndb", "Two:0:*:4142??4344\nSix:0:*:414243444546\n");
    let checked = run(VFINDD, &["--check-database", &db], b"");
    let text = out(&checked);
    assert_eq!(checked.status.code(), Some(0), "{text}");
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("slow")).collect();
    let expected = [
        "slow: CLAM Two: it has 2 bytes to search for".to_owned(),
        format!("slow: {db}/d.yar:1: YARA Slow is slow: $a has less than two bytes to search for"),
    ];
    assert_eq!(lines, expected);
    site.write("db/b.cvdl", ":Twice, \"needle c\" #\n:Bad, nonsense #\n");
    let checked = run(VFINDD, &["--check-database", &db, "/nonexistent"], b"");
    assert_eq!(checked.status.code(), Some(255));
    let checked = run(VFINDD, &["--check-database", &db], b"");
    let text = out(&checked);
    assert_eq!(checked.status.code(), Some(2), "{text}");
    assert!(text.contains("  not understood: 1\n"), "{text}");
    assert!(
        text.contains(&format!("not understood: {db}/b.cvdl:2: ")),
        "{text}"
    );
}

/// The fingerprint is of what is in the files, wherever they are.
#[test]
fn the_same_signatures_have_the_same_fingerprint_elsewhere() {
    let fingerprint = |site: &Site| {
        let db = site.at("db").display().to_string();
        let text = out(&run(VFINDD, &["--check-database", &db], b""));
        text.lines().last().unwrap().to_owned()
    };
    let (one, other) = (Site::new(), Site::new());
    one.write("db/a.cvdl", ":A, \"needle a\" #\n");
    other.write("db/b.cvdl", ":A, \"needle a\" #\n");
    assert!(fingerprint(&one).starts_with("fingerprint: "));
    assert_eq!(fingerprint(&one), fingerprint(&other));
    other.write("db/c.cvdl", "");
    assert_ne!(fingerprint(&one), fingerprint(&other));
}

/// A container of one signature that `sigtool` makes, as freshclam would fetch it.
fn container(name: &str, marker: &str, version: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let hex: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.path().join("COPYING"), "words\n").unwrap();
    std::fs::write(
        folder.path().join("test.ndb"),
        format!("{name}:0:*:{hex}\n"),
    )
    .unwrap();
    let script = format!(
        "cd '{}' && echo me | sigtool --build=test.cud --unsigned --cvd-version={version}",
        folder.path().display()
    );
    let built = run("sh", &["-c", &script], b"");
    std::fs::read(folder.path().join("test.cud")).unwrap_or_else(|_| panic!("{built:?}"))
}

#[test]
fn a_folder_that_freshclam_keeps_is_followed() {
    if !has_tools(&["sigtool"]) {
        return;
    }
    let site = Site::new();
    let put = |name: &str, content: &[u8]| {
        std::fs::create_dir_all(site.at("db/tmp.0123")).unwrap();
        std::fs::write(site.at("db/tmp.0123/new"), content).unwrap();
        std::fs::rename(site.at("db/tmp.0123/new"), site.at("db").join(name)).unwrap();
    };
    site.write("db/freshclam.dat", "\0");
    put("daily.cud", &container("Daily", "needle a", 1));
    let daemon = site.start(&["--watch"]);
    assert!(finds(&daemon, site.folder.path(), "a needle a"));
    put("main.cud", &container("Main", "needle b", 1));
    daemon.log_line("signatures reloaded");
    assert!(finds(&daemon, site.folder.path(), "a needle b"));
    put("daily.cud", &container("Daily", "needle c", 2));
    daemon.log_line("signatures reloaded");
    assert!(finds(&daemon, site.folder.path(), "a needle c"));
    assert!(!finds(&daemon, site.folder.path(), "a needle a"));
    // A download that was cut short keeps the others.
    let cut = container("Daily", "needle d", 3);
    put("daily.cud", &cut[..cut.len() - 40]);
    assert!(daemon.log_line("reload refused").contains("daily.cud"));
    assert!(finds(&daemon, site.folder.path(), "a needle c"));
}

#[test]
fn of_a_container_in_both_forms_the_newer_is_loaded() {
    if !has_tools(&["sigtool"]) {
        return;
    }
    for (whole, made, loaded) in [(1, 2, "Made"), (2, 1, "Whole"), (2, 2, "Made")] {
        let site = Site::new();
        let at = |name: &str| site.at("db").join(name);
        std::fs::write(at("daily.cvd"), container("Whole", "needle a", whole)).unwrap();
        std::fs::write(at("daily.cld"), container("Made", "needle b", made)).unwrap();
        let database = format!("--database={}", site.at("db").display());
        let output = run(VFINDD, &[&database, "--vlist"], b"");
        let names = out(&output);
        let names: Vec<_> = names
            .lines()
            .filter_map(|name| name.strip_prefix("CLAM "))
            .collect();
        assert_eq!(names, [loaded], "{}", said(&output));
        assert!(said(&output).contains("the other form of it is newer"));
    }
}

#[test]
fn what_a_source_includes_is_part_of_it() {
    let site = Site::new();
    std::fs::create_dir(site.at("db/parts")).unwrap();
    site.write("db/top.yar", "include \"parts/one.inc\"\n");
    let rule = |marker: &str| format!("rule One {{ strings: $a = \"{marker}\" condition: $a }}\n");
    site.write("db/parts/one.inc", &rule("needle a"));
    let data = format!("--vdl-data-file={}", site.at("data").display());
    let daemon = site.start(&["--watch", &data]);
    assert!(finds(&daemon, site.folder.path(), "a needle a"));
    let first = site.epoch();
    site.rename_in("db/parts/one.inc", &rule("needle b"));
    daemon.log_line("signatures reloaded");
    assert!(finds(&daemon, site.folder.path(), "a needle b"));
    assert_ne!(site.epoch()[2..], first[2..]);
    drop(daemon);
    site.write("db/parts/one.inc", &rule("needle c"));
    let daemon = site.start(&[&data]);
    assert!(finds(&daemon, site.folder.path(), "a needle c"));
}
