//! Damage to every format: the samples that the fuzz targets begin with, through each expander of the table.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::testing::{mutation_count, withstand_many};
use super::{EXPANDERS, Expander, program};

/// The samples by the name of their kind, each without it.
pub(super) fn samples() -> BTreeMap<String, Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/expander");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut samples: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let zero = bytes.iter().position(|byte| *byte == 0).unwrap();
        let kind = String::from_utf8(bytes[..zero].to_vec()).unwrap();
        let sample = bytes[zero + 1..].to_vec();
        samples.entry(kind).or_default().push(sample);
    }
    samples
}

/// 200 mutations of a format (or `VFIND_MUTATIONS`), in equal parts of its samples, of all or of `VFIND_KIND` alone.
fn withstand_each(expander: &dyn Expander, samples: &[Vec<u8>]) {
    let kind = expander.kind();
    if std::env::var("VFIND_KIND").is_ok_and(|wanted| wanted != kind) {
        return;
    }
    let count = mutation_count().unwrap_or(200) / samples.len();
    for sample in samples {
        withstand_many(expander, sample, b"x", count);
    }
}

#[test]
fn every_expander_withstands_damage_to_its_samples() {
    let samples = samples();
    for expander in EXPANDERS {
        let of_kind = samples.get(expander.kind());
        assert!(of_kind.is_some(), "no sample of {}", expander.kind());
        withstand_each(*expander, of_kind.unwrap());
    }
    // What looks for archives in anything else is in no table.
    withstand_each(&program::Carver, &samples["program"]);
}
