//! What the ordinary programs make of random trees, mails and documents is opened again, from recognising it to its innermost
//! members, and held against what went in. Options of one format are tested beside its expander.
#![forbid(unsafe_code)]

mod archives;
mod documents;
mod mails;
mod packages;

use super::testing::{Folder, Recorder, expand, object, tool_with};
use super::{expander, recognise};

/// Runs `script` by the shell in the folder, with `$out` for the file to make, and names in UTF-8. Gives what it printed.
fn shell(folder: &Folder, out: &str, script: &str) -> String {
    let out = format!("out={out}");
    folder.run("env", &["LC_ALL=C.UTF-8", &out, "sh", "-ec", script])
}

/// Opens a content and all that lies in it, as the walk does: the children are the members that are no containers, in
/// order and by their own names; gaps and notes are those of all levels.
fn opened(bytes: &[u8], name: &str) -> Recorder {
    let mut leaves = Recorder::default();
    let mut waiting = vec![(name.as_bytes().to_vec(), bytes.to_vec(), 0)];
    while let Some((name, bytes, depth)) = waiting.pop() {
        assert!(depth < 16, "too deep");
        let mut is_leaf = true;
        for kind in recognise(&object(&bytes).probe().unwrap()) {
            let expander = expander(kind).unwrap_or_else(|| panic!("{} is not opened", kind.name));
            let got = expand(expander, &bytes, &name);
            is_leaf &= got.unlike;
            leaves.gaps.extend(got.gaps);
            leaves.notes.extend(got.notes);
            let below = got.children.into_iter().rev();
            waiting.extend(below.map(|(name, content)| (name, content, depth + 1)));
        }
        if is_leaf {
            leaves.children.push((name, bytes));
        }
    }
    leaves
}

/// Debian's own Python, when it has these modules; else `None`, said once.
fn python(modules: &str) -> Option<Folder> {
    tool_with(PYTHON, &["-c", &format!("import {modules}")])
}

const PYTHON: &str = "/usr/bin/python3";

/// How many random inputs there are: `usual`, and VFIND_ROUNDS times as many where that is set.
fn rounds(usual: u64) -> u64 {
    let times = std::env::var("VFIND_ROUNDS").ok();
    let times = times.and_then(|times| times.parse().ok());
    usual * times.unwrap_or(1)
}
