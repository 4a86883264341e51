//! Every option of the original's vfindd(1) and vfind(1): it works, or the program says why it does not have it.

use std::path::Path;

use crate::support::{out, run, said};
use vfind::config::refused::REFUSED;

const VFIND: &str = env!("CARGO_BIN_EXE_vfind");
const VFINDD: &str = env!("CARGO_BIN_EXE_vfindd");

/// The synopsis of vfindd(1) and vfindd-mt, in both forms where there are two. FILE, DIR and USER stand for one that exists.
const DAEMON: &[&str] = &[
    "-c",
    "--copyright",
    "-h",
    "--help",
    "-v",
    "--version",
    "--vlist",
    "-d",
    "--dup-check",
    "--trig-count",
    "-e",
    "--exit-on-error",
    "-ev",
    "--exit-on-vdl-error",
    "--emu-help",
    "--emu=options",
    "--emu-config=FILE",
    "-f",
    "--foreground",
    "--user=USER",
    "-i",
    "--ignore-eof",
    "-4",
    "--IPv4",
    "-6",
    "--IPv6",
    "--jadevdl=FILE",
    "--keep-tmpfiles",
    "--liboff=library",
    "--libon=library",
    "-l",
    "--localhost",
    "--md5=FILE",
    "--cbayes=FILE",
    "--noload=virus",
    "--noloads=FILE",
    "--pid",
    "--quiet=1",
    "--rcf=FILE",
    "--pidfile=DIR/pid",
    "--savepid=DIR/saved",
    "-sst",
    "--smartscan-types",
    "-nosst",
    "--no-smartscan-types",
    "--vdl-list=FILE",
    "--vdl=FILE",
    "--vdlc=FILE",
    "--vdle=FILE",
    "--vdlE=FILE",
    "--vdlm=FILE",
    "--vdl-data-file=DIR/data",
    "--max-vdl-data-size=100000000",
    "--rebuild-vdl-data",
    "--tmpdir=DIR",
    "-#=1",
    "--svsp-port=8081",
    "--smtp-in-port=25",
    "--smtp-out-port=25",
    "--smtp-out-host=localhost",
    "--vfdclam-port=3310",
    "--vfdclam-mailscan",
    "--threads=2",
];

/// The synopsis of vfind(1), 1.65 and 1.70, and vfind-mt.
const SCANNER: &[&str] = &[
    "-c",
    "--copyright",
    "-h",
    "--help",
    "-?",
    "-v",
    "--version",
    "-d",
    "--dup-check",
    "--trig-count",
    "-e",
    "--exit-on-error",
    "-ev",
    "--exit-on-vdl-error",
    "--emu-help",
    "--emu=options",
    "--emu-config=FILE",
    "--end",
    "-i",
    "--ignore-eof",
    "--jadevdl=FILE",
    "--keep-tmpfiles",
    "--liboff=library",
    "--libon=library",
    "--md5=FILE",
    "--cbayes=FILE",
    "--noload=virus",
    "--noloads=FILE",
    "--noscan=filename",
    "--noscans=FILE",
    "--notell=virus",
    "--notells=FILE",
    "--force-scan",
    "-p",
    "--per-file",
    "--pid",
    "--pidfile=DIR/pid",
    "--savepid=DIR/saved",
    "--quiet=1",
    "--quit",
    "--rcf=FILE",
    "--recursion-limit=2",
    "--follow-symlinks",
    "--ignore-symlinks",
    "--speed=2",
    "-ssr",
    "--smartscan-read",
    "-sst",
    "--smartscan-types",
    "-nosst",
    "--no-smartscan-types",
    "--stdin",
    "-u",
    "--unbuf",
    "--tmpdir=DIR",
    "--uad=opts",
    "--vdl=FILE",
    "--vdl0=FILE",
    "--vdlc=FILE",
    "--vdle=FILE",
    "--vdlE=FILE",
    "--vdlm=FILE",
    "--vdl-list=FILE",
    "--vdl-data-file=DIR/data",
    "--max-vdl-data-size=100000000",
    "--rebuild-vdl-data",
    "--vexit",
    "--vlist",
    "--threads=2",
    "--#=1",
    "--",
];

#[test]
fn every_option_of_the_original_works_or_says_why_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    std::fs::write(&file, "").unwrap();
    let (file, dir) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    let mut refusals = Vec::new();
    for (program, options) in [(VFINDD, DAEMON), (VFIND, SCANNER)] {
        for option in options {
            let argument = option
                .replace("FILE", file)
                .replace("DIR", dir)
                .replace("USER", "root");
            // The daemon would go on; that it knows the option is enough here.
            let arguments = match program {
                VFINDD => vec![argument.as_str(), "--check-config"],
                _ => vec![argument.as_str(), file],
            };
            // For --stdin, which wants a name.
            let output = run(program, &arguments, format!("{file}\n").as_bytes());
            let complaint = said(&output);
            let name = option.split('=').next().unwrap();
            let is_refused = REFUSED.iter().any(|row| row.options.contains(&name));
            match output.status.code() {
                Some(0) => assert!(!is_refused, "{program} {option} works"),
                Some(255) => {
                    let start = format!(": {name} is not supported: ");
                    assert!(
                        complaint.contains(&start),
                        "{program} {option}: {complaint}"
                    );
                    assert_eq!(complaint.lines().count(), 1, "{complaint}");
                    assert!(complaint.ends_with(" (see --help)\n"), "{complaint}");
                    refusals.push(name);
                }
                _ => panic!("{program} {option}: {:?} {complaint}", output.status),
            }
        }
    }
    for option in REFUSED.iter().flat_map(|row| row.options) {
        assert!(refusals.contains(option), "the original has no {option}");
    }
}

#[test]
fn what_is_refused_stands_in_no_help_and_in_the_documentation_with_its_reason() {
    let documents = ["docs/vfindd.md", "docs/vfind.md"].map(|file| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(root.join(file)).unwrap()
    });
    for (program, document) in [VFINDD, VFIND].iter().zip(documents) {
        let help = out(&run(program, &["--help"], b""));
        let name = Path::new(program).file_name().unwrap().to_str().unwrap();
        for row in REFUSED
            .iter()
            .filter(|row| row.programs.iter().any(|one| one.name() == name))
        {
            for option in row.options {
                let in_help = help
                    .split([' ', ',', '=', '\n'])
                    .any(|word| word == *option);
                assert!(!in_help, "{name} {option}");
                let line = document
                    .lines()
                    .find(|line| line.contains(&format!("`{option}`")));
                let line =
                    line.unwrap_or_else(|| panic!("{name}: {option} is not in its document"));
                assert!(line.contains(row.reason), "{name} {option}: {}", row.reason);
            }
        }
    }
}

#[test]
fn the_example_of_a_configuration_file_is_one() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vfindd.toml");
    let option = format!("--config={}", example.display());
    let checked = run(VFINDD, &[&option, "--check-config"], b"");
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    for line in [
        r#"listen = ["svsp:127.0.0.1:8081", "svsp:[::1]:8081"]"#,
        r#"allow = ["svsp:127.0.0.0/8", "svsp:::1", "svsp:10.20.0.0/16"]"#,
        r#"limit-spool = "8G""#,
        "# svsp-port is not set",
    ] {
        assert!(
            out(&checked).lines().any(|shown| shown == line),
            "{line} in {}",
            out(&checked)
        );
    }
}
