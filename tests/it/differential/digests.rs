//! Digests of files and of sections of programs, right and nearly right.

use std::collections::BTreeSet;
use std::fmt::Write;

use bytes::Bytes;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use vfind::executable::layout;
use vfind::object::Object;
use vfind::stop::Stop;

use super::clamscan;
use crate::random::Random;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A digest of these bytes, sometimes with a digit changed, sometimes in capitals.
fn digest(random: &mut Random, bytes: &[u8], sha: bool) -> String {
    let mut text = match (sha, random.once_in(2)) {
        (false, _) => hex(&Md5::digest(bytes)),
        (true, false) => hex(&Sha1::digest(bytes)),
        (true, true) => hex(&Sha256::digest(bytes)),
    };
    if random.once_in(3) {
        let at = random.below(text.len());
        let other = if text.as_bytes()[at] == b'0' {
            "1"
        } else {
            "0"
        };
        text.replace_range(at..=at, other);
    }
    if random.once_in(5) {
        text.make_ascii_uppercase();
    }
    text
}

/// The size, or one beside it.
fn size(random: &mut Random, size: u64) -> u64 {
    if random.once_in(4) { size + 1 } else { size }
}

/// Lines whose digests are all different: of several names for one, clamscan reports one.
pub(super) fn distinct(text: &str) -> String {
    let mut seen = BTreeSet::new();
    let digest = |line: &str| {
        let field = line.split(':').find(|field| field.len() >= 32);
        field.unwrap_or_default().to_ascii_lowercase()
    };
    let lines = text.lines().filter(|line| seen.insert(digest(line)));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

/// `HASH:SIZE:NAME`.
pub(super) fn of_file(random: &mut Random, content: &[u8], name: &str, sha: bool) -> String {
    let digest = digest(random, content, sha);
    if random.once_in(4) {
        // Any size takes a level that knows of it.
        return format!("{digest}:*:{name}:73");
    }
    let size = size(random, content.len() as u64);
    format!("{digest}:{size}:{name}")
}

/// `SIZE:HASH:NAME` of one section of a program.
pub(super) fn of_section(random: &mut Random, content: &[u8], name: &str, sha: bool) -> String {
    let object = Object::memory(Bytes::copy_from_slice(content), Stop::never());
    let sections = layout(&object).unwrap().unwrap_or_default().sections;
    let usable: Vec<_> = sections
        .iter()
        .filter(|section| section.length > 0)
        .collect();
    let part = if usable.is_empty() {
        &content[0x400..0x600]
    } else {
        let section = random.pick(&usable);
        let start = usize::try_from(section.start).unwrap();
        let length = usize::try_from(section.length).unwrap();
        &content[start..start + length]
    };
    let digest = digest(random, part, sha);
    if random.once_in(4) {
        return format!("*:{digest}:{name}:73");
    }
    let size = size(random, part.len() as u64);
    format!("{size}:{digest}:{name}")
}

/// clamscan gives up on a whole program when its entry point lies in no section, when rows of an ELF table have another size,
/// and on other odd fields. The manual knows nothing of that, so here what can be told is searched all the same.
///
/// It also takes what begins directly behind a section for a part of it (`SEx`); the manual does not.
pub(super) fn gives_up(line: &str, content: &[u8], by_us: bool) -> bool {
    match by_us {
        true => clamscan::gives_up(content),
        false => line.contains(":SE"),
    }
}
