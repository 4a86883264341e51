use super::*;
use crate::expand::testing::{
    Folder as Directory, Recorder, assert_holds, expand, mutations, tool, tree as files_of,
    withstand,
};

fn run(bytes: &[u8]) -> Recorder {
    expand(&Wim, bytes, b"x.wim")
}

fn made(directory: &Directory, options: &[&str]) -> Vec<u8> {
    let _ = std::fs::remove_file(directory.path().join("out.wim"));
    let first = [
        "LC_ALL=C.UTF-8",
        "wimlib-imagex",
        "capture",
        "tree",
        "out.wim",
    ];
    directory.run("env", &[&first, options].concat());
    directory.read("out.wim")
}

#[test]
fn what_wimlib_makes_is_read() {
    let Some(directory) = tool("wimlib-imagex") else {
        return;
    };
    let mut files: Vec<_> = (files_of(&directory, 61).into_iter())
        .map(|(name, content)| (name.strip_prefix("tree/").unwrap().to_owned(), content))
        .collect();
    let program = std::fs::read("/bin/ls").unwrap();
    directory.write("tree/program", &program);
    files.push(("program".to_owned(), program));
    files.sort();
    let rows: [&[&str]; 6] = [
        &["--compress=none"],
        &["--compress=XPRESS"],
        &["--compress=LZX"],
        &["--compress=LZX:100", "--chunk-size=131072"],
        &["--compress=XPRESS", "--chunk-size=4096", "--check"],
        &["--compress=LZX", "--chunk-size=2097152"],
    ];
    for options in rows {
        let got = run(&made(&directory, options));
        assert_holds(&got, &files);
        assert_eq!(got.notes, [""; 0], "{options:?}");
    }
    for (options, what) in [
        (&["--compress=LZMS"][..], "wim-lzms"),
        (&["--solid"], "wim-solid"),
        (&["--pipable"], "wim-pipable"),
    ] {
        let got = run(&made(&directory, options));
        assert!(got.complained(), "{what}");
    }
}

#[test]
fn no_damage_panics() {
    let Some(directory) = tool("wimlib-imagex") else {
        return;
    };
    directory.write("tree/some", &b"some content ".repeat(300));
    directory.write("tree/sub/more", b"more");
    for (number, method) in ["none", "XPRESS", "LZX"].into_iter().enumerate() {
        let sample = made(&directory, &[&format!("--compress={method}")]);
        assert!(!run(&sample).complained());
        if number == 2 {
            assert_eq!(withstand(&Wim, &sample, b"x.wim"), [0; 0]);
        } else {
            mutations(&sample, 1000, |bytes| drop(run(bytes)));
        }
    }
}
