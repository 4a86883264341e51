//! The deadline ends whatever is looked at: in decoders, in regular expressions, in conditions of YARA. `VFIND_FULL=1` prints how
//! late the answers came (`VFIND_FULL=1 VFIND_DAEMON=target/release/vfindd cargo test --test it deadlines -- --nocapture`).

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::{Case, bombs, case};
use crate::support::{Daemon, has_tools};

/// Without `VFIND_FULL`, one bomb in so many.
const SHARE: usize = 12;

const DEADLINE: Duration = Duration::from_millis(200);

/// Signatures that take long on what is made for them.
const SLOW: [(&str, &str); 3] = [
    (
        "slow.yar",
        "rule Backtracks { strings: $a = /ab(a|aa|b){10,200}c[ab]{5,90}d/ condition: $a }\n\
         rule Loops { condition: for any i in (0..filesize): (uint32(i) == 0x7a7a7a7a and uint32be(i) == 1) }\n\
         rule Counts { strings: $a = \"abab\" condition: for any i in (1..#a): (@a[i] == -1) }\n",
    ),
    (
        "slow.ldb",
        "Slow-1;Target:0;0&1;61626162;0/ab(a|aa|b){10,200}c[ab]{5,90}d/g\n",
    ),
    (
        "slow.ndb",
        "Slow-2:0:*:6162*6162*6162*6163*6162\nSlow-3:0:*:(61|62)(61|62)*(63|64)(63|64)??61\n",
    ),
];

fn texts() -> Vec<Case> {
    let text = |piece: &str| piece.repeat((32 << 20) / piece.len());
    vec![
        case(
            "slow-ab",
            "what regular expressions look for, but for its end",
            text("ab"),
        ),
        case("slow-words", "words", text("abab aba abc ba\n")),
        case("slow-html", "tags that do not end", text("<a href='abab'>")),
        case("slow-base64", "base64 of anything", text("YWJhYmFi")),
    ]
}

#[test]
fn a_deadline_ends_whatever_is_looked_at() {
    if !has_tools(&["bzip2", "xz", "lzip", "zstd", "lz4", "compress"]) {
        return;
    }
    let full = std::env::var_os("VFIND_FULL").is_some();
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("database");
    std::fs::create_dir(&database).unwrap();
    for (name, text) in SLOW {
        std::fs::write(database.join(name), text).unwrap();
    }
    let bombs = bombs::cases();
    let mut cases: Vec<_> = bombs.iter().step_by(if full { 1 } else { SHARE }).collect();
    let texts = texts();
    cases.extend(&texts);
    for case in &cases {
        std::fs::write(folder.path().join(&case.name), &case.bytes).unwrap();
    }
    let program = std::env::var_os("VFIND_DAEMON");
    let program = program.unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_vfindd")));
    for isolation in ["thread", "process"] {
        let daemon = Daemon::of(
            &program,
            &[
                "--threads=1",
                &format!("--limit-deadline={}", DEADLINE.as_secs_f64()),
                &format!("--database={}", database.display()),
                &format!("--isolation={isolation}"),
            ],
        );
        let mut talk = daemon.connect();
        let mut late = Vec::new();
        for case in &cases {
            let begun = Instant::now();
            let last = talk.scan(&folder.path().join(&case.name));
            let took = begun.elapsed();
            if last.starts_with("EAGAIN ") {
                late.push((took.saturating_sub(DEADLINE), &case.name));
            }
        }
        assert!(late.len() >= texts.len() / 2, "{late:?}");
        late.sort();
        if full {
            let worst: Vec<_> = late.iter().rev().take(8).collect();
            println!(
                "{isolation}: {} at the deadline, later than it: {worst:?}",
                late.len()
            );
        }
        // The next item has a deadline of its own.
        let small = folder.path().join("small");
        std::fs::write(&small, "x").unwrap();
        let last = talk.scan(&small);
        assert!(last.starts_with("DONE 0 "), "{isolation}: {last}");
    }
}
