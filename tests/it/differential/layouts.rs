//! Where clamscan puts entry point and sections of a program, and where we do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use vfind::executable::{Layout, layout};
use vfind::object::Object;
use vfind::stop::Stop;

use super::programs::{self, HEADERS, LENGTH};
use super::{clamscan, programs::noise};
use crate::random::Random;
use crate::support::has_tools;

/// Bytes of a signature.
const WIDTH: usize = 6;

/// Bases that a signature can count from. `SE` has its own rows.
const BASES: [&str; 7] = ["EP", "S0", "S1", "S2", "S3", "SL", "SE1"];

fn of(bytes: &[u8]) -> Option<Layout> {
    let object = Object::memory(Bytes::copy_from_slice(bytes), Stop::never());
    layout(&object).unwrap()
}

/// Where a signature of this base may begin, as far as the noise can tell.
fn places(layout: &Layout, base: &str) -> BTreeSet<usize> {
    let section = |number: usize| layout.sections.get(number).copied();
    let at = |place: Option<u64>| place.map(|place| place..place + 1);
    let range = match base {
        "EP" => at(layout.entry),
        "SL" => at(layout.sections.last().map(|section| section.start)),
        // clamscan takes one byte more: a signature may begin directly behind the section.
        "SE1" => section(1)
            .filter(|section| section.length > 0 || section.start > 0)
            .map(|section| section.start..section.start + section.length + 1),
        numbered => at(section(numbered[1..].parse().unwrap()).map(|section| section.start)),
    };
    let range = range.unwrap_or(0..0);
    (HEADERS..LENGTH - WIDTH)
        .filter(|place| range.contains(&(*place as u64)))
        .collect()
}

fn compare(target: u8, make: fn(&mut Random) -> Vec<u8>, entry_decides: bool) {
    if !has_tools(&["clamscan"]) {
        return;
    }
    let noise = noise();
    let mut lines = String::new();
    for place in HEADERS..LENGTH - WIDTH {
        let hex: String = noise[place..place + WIDTH]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for base in BASES {
            let plus = if base.starts_with("SE") { "" } else { "+0" };
            writeln!(lines, "{base}_{place}:{target}:{base}{plus}:{hex}").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("places.ndb");
    std::fs::write(&database, lines).unwrap();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let mut random = Random::new(u64::from(target));
    let programs: Vec<_> = (0..300).map(|_| make(&mut random)).collect();
    for (number, program) in programs.iter().enumerate() {
        std::fs::write(files.join(number.to_string()), program).unwrap();
    }
    let found = clamscan::scan(&database, &files);
    let mut told = 0;
    for (number, program) in programs.iter().enumerate() {
        let mut theirs: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for name in found.get(&number.to_string()).into_iter().flatten() {
            let (base, place) = name.split_once('_').unwrap();
            theirs
                .entry(base)
                .or_default()
                .insert(place.parse().unwrap());
        }
        if theirs.is_empty() {
            // clamscan gave up, or all places lie outside of the noise. Sections are told all the same.
            continue;
        }
        told += 1;
        let ours = of(program).unwrap_or_default();
        assert!(!entry_decides || ours.entry.is_some(), "program {number}");
        for base in BASES {
            let theirs = theirs.remove(base).unwrap_or_default();
            assert_eq!(
                places(&ours, base),
                theirs,
                "{base} of program {number}: {ours:x?}"
            );
        }
    }
    assert!(told > 100, "clamscan told of {told} programs only");
}

#[test]
fn the_parts_of_a_pe_program() {
    compare(1, programs::pe, true);
}

#[test]
fn the_parts_of_an_elf_program() {
    compare(6, programs::elf, false);
}

#[test]
fn the_parts_of_a_macho_program() {
    compare(9, programs::macho, false);
}

#[test]
fn damage_is_never_an_error() {
    let mut random = Random::new(1);
    for make in [programs::pe, programs::elf, programs::macho] {
        for _ in 0..3000 {
            let mut program = make(&mut random);
            for _ in 0..random.range(1, 8) {
                let at = random.below(HEADERS.min(program.len()));
                program[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]);
                if random.once_in(10) {
                    program.truncate(at.max(1));
                }
            }
            if let Some(layout) = of(&program) {
                for section in &layout.sections {
                    let end = section.start.saturating_add(section.length);
                    assert!(section.length == 0 || end <= program.len() as u64);
                }
            }
        }
    }
}

#[test]
fn a_program_of_this_system() {
    let bytes = std::fs::read("/bin/ls").unwrap();
    let layout = of(&bytes).unwrap();
    assert!(layout.entry.is_some() && layout.sections.len() > 10);
    assert_eq!(of(b"no program at all"), None);
}
