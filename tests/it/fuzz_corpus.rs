//! The corpus of the fuzz targets, replayed: as it is, and each input with seeded changes.

use std::path::Path;

use crate::support::noise;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        run(&input);
        for seed in 0..40 {
            run(&changed(&input, seed));
        }
        inputs += 1;
    }
    assert!(inputs >= 3, "{inputs} inputs for {target}");
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
fn any_content_is_matched_or_said_not_to_be() {
    replay("content", vfind::fuzzing::content);
}

#[cfg(feature = "yara")]
#[test]
fn any_yara_rule_loads_or_is_complained_about() {
    replay("yara", vfind::fuzzing::yara);
}
