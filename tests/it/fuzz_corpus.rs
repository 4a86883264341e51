//! The corpus of the fuzz targets, replayed: as it is, and each input with seeded changes.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::noise;

/// The files of a target's corpus, by name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    assert!(all.len() >= 3, "{} inputs for {target}", all.len());
    all
}

/// Each input with 40 changes, or `VFIND_MUTATIONS` for all inputs together.
fn replay(target: &str, run: fn(&[u8])) {
    let inputs = inputs(target);
    let asked = std::env::var("VFIND_MUTATIONS").ok();
    let count = asked.map_or(40, |count| {
        count.parse::<u64>().unwrap() / inputs.len() as u64
    });
    for (_, input) in inputs {
        run(&input);
        for seed in 0..count {
            run(&changed(&input, seed));
        }
    }
}

/// A few bytes other, or gone.
fn changed(input: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for choice in noise(seed, 24).chunks(6) {
        let at = usize::from(choice[0]) * 256 + usize::from(choice[1]);
        let at = at % bytes.len().max(1);
        match choice[2] % 4 {
            0 => bytes.truncate(at.max(1)),
            1 if at < bytes.len() => bytes[at] = choice[3],
            2 if at < bytes.len() => bytes[at] ^= 1 << (choice[3] % 8),
            _ => bytes.insert(at, choice[3]),
        }
    }
    bytes
}

#[test]
fn any_peer_gets_replies_and_each_scan_one_end() {
    replay("gateway", vfind::fuzzing::gateway);
}

#[test]
fn any_signature_file_loads_or_is_complained_about() {
    replay("signature", vfind::fuzzing::signature);
}

#[test]
fn any_text_has_its_views() {
    replay("view", vfind::fuzzing::view);
}

#[test]
fn any_form_has_the_same_parts_however_it_comes() {
    replay("web", vfind::fuzzing::web);
}

#[test]
fn any_content_is_matched_or_said_not_to_be() {
    replay("content", vfind::fuzzing::content);
}

#[test]
fn any_content_is_opened_to_an_end() {
    replay("expander", vfind::fuzzing::expander);
}

/// All targets in turn for `VFIND_FUZZ_SECONDS` (`.ci/run`: 90), from another seed each day.
#[test]
fn for_a_while_other_inputs() {
    let Ok(seconds) = std::env::var("VFIND_FUZZ_SECONDS") else {
        return;
    };
    let length = Duration::from_secs(seconds.parse().unwrap());
    let day = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 86_400;
    let seed = std::env::var("VFIND_FUZZ_SEED").map_or(day, |seed| seed.parse().unwrap());
    println!("VFIND_FUZZ_SEED={seed}");
    type Target = (&'static str, fn(&[u8]));
    let targets: &[Target] = &[
        ("expander", vfind::fuzzing::expander),
        ("gateway", vfind::fuzzing::gateway),
        ("expander", vfind::fuzzing::expander),
        ("signature", vfind::fuzzing::signature),
        ("expander", vfind::fuzzing::expander),
        ("view", vfind::fuzzing::view),
        ("expander", vfind::fuzzing::expander),
        ("content", vfind::fuzzing::content),
        ("web", vfind::fuzzing::web),
        #[cfg(feature = "yara")]
        ("yara", vfind::fuzzing::yara),
    ];
    let all: Vec<_> = targets.iter().map(|(name, _)| inputs(name)).collect();
    let begun = Instant::now();
    for round in 0_u64.. {
        for ((name, run), inputs) in targets.iter().zip(&all) {
            for (file, input) in inputs {
                if begun.elapsed() > length {
                    println!("{round} rounds");
                    return;
                }
                let bytes = changed(input, seed.wrapping_mul(1_000_003).wrapping_add(round));
                let done = std::panic::catch_unwind(|| run(&bytes));
                assert!(
                    done.is_ok(),
                    "{name}: {file}, VFIND_FUZZ_SEED={seed}, round {round}"
                );
            }
        }
    }
}

#[cfg(feature = "yara")]
#[test]
fn any_yara_rule_loads_or_is_complained_about() {
    replay("yara", vfind::fuzzing::yara);
}
