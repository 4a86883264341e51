//! The tables in docs/benchmarks.md, each between two marks, and their plots beside it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::plot;
use crate::row::{Row, table};

/// Puts a table in the place of what stands between the marks of its name, and makes its plot.
pub(crate) fn write(name: &str, heading: &str, rows: &[Row]) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let file = docs.join("benchmarks.md");
    let text = fs::read_to_string(&file).unwrap();
    let [begin, end] = [
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    ];
    let (before, rest) = text.split_once(&begin).expect("the mark of the table");
    let (_, after) = rest.split_once(&end).expect("the mark of its end");
    let said = format!("Commit `{}`, {}:", commit(), machine());
    let picture = format!("![{heading}](plots/{name}.svg)");
    let table = table(rows);
    let text = format!("{before}{begin}\n{said}\n\n{table}\n{picture}\n\n{end}{after}");
    fs::write(&file, text).unwrap();
    let plots = docs.join("plots");
    fs::create_dir_all(&plots).unwrap();
    let plot = plot::bars(heading, rows);
    fs::write(plots.join(name).with_extension("svg"), plot).unwrap();
}

/// The commit, and whether something in the source differs from it.
pub(crate) fn commit() -> String {
    if std::env::var_os("VFIND_PROGRAMS").is_some() {
        return "of other programs".to_owned();
    }
    let git = |words: &[&str]| {
        let output = Command::new("git")
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let changed = git(&["status", "--porcelain", "--", "src", "Cargo.lock"]);
    let mark = if changed.is_empty() {
        ""
    } else {
        " with changes"
    };
    git(&["rev-parse", "--short", "HEAD"]) + mark
}

pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores")
}
