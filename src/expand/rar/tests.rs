use super::*;
use crate::expand::testing::{Recorder, expand, expand_with, tool, withstand};

/// Samples of the real programs of all times: of the Python package rarfile (ISC licence) and of the crate (Apache).
macro_rules! samples {
    ($($name:literal)*) => { [$(($name, include_bytes!(concat!("../../../fuzz/corpus/content/rar-", $name)).as_slice())),*] };
}

static SAMPLES: [(&str, &[u8]); 22] = samples!(
    "13" "13-password" "15-comment" "20-solid" "20-audio" "3-comment" "3-password" "3-headers" "3-solid" "3-link"
    "3-ppmd" "3-filter" "3-part" "3-part-stored" "5-password" "5-headers" "5-solid" "5-link" "5-filter" "5-services"
    "5-part" "5-folders"
);

fn sample(name: &str) -> &'static [u8] {
    SAMPLES.iter().find(|sample| sample.0 == name).unwrap().1
}

fn run(bytes: &[u8], passwords: &[&str]) -> Recorder {
    expand_with(&Rar, bytes, b"x.rar", passwords)
}

#[test]
fn dump() {
    for (name, bytes) in SAMPLES {
        let got = run(bytes, &["password", "wrong"]);
        let list: Vec<_> = got.children.iter().map(|(n, c)| (String::from_utf8_lossy(n).into_owned(), c.len())).collect();
        eprintln!("{name}: {list:?} {:?}", got.gaps);
    }
}

#[test]
fn dump_dir() {
    let Some(dir) = std::env::var_os("RAR_DIR") else { return };
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { continue }
        let bytes = std::fs::read(&path).unwrap();
        let got = run(&bytes, &["password"]);
        let list: Vec<_> = got.children.iter().map(|(n, c)| (String::from_utf8_lossy(n).into_owned(), c.len())).collect();
        eprintln!("{}: {list:?} {:?} {}", path.display(), got.gaps, got.unlike);
    }
}
