//! Changes to a container: most of them to the numbers and the order of its headers, some to any byte.

use std::ops::Range;

use super::layout::{Field, Form, Layout};
use crate::random::Random;

/// What mutants are made of.
pub(super) struct Stock<'a> {
    pub(super) samples: &'a [Vec<u8>],
    /// Where the headers of such a container lie.
    pub(super) layout: fn(&[u8]) -> Layout,
    /// Makes the checksums of headers right again, for what they protect is not read where they are wrong.
    pub(super) mend: fn(&mut [u8]),
    /// Words that mean something in the format.
    pub(super) words: &'a [&'a [u8]],
}

/// A container that was changed, and how.
pub(super) struct Mutant {
    pub(super) bytes: Vec<u8>,
    pub(super) changes: Vec<String>,
}

/// Nothing that grows beyond this is worth its time.
const MOST: usize = 1 << 20;

impl Stock<'_> {
    /// The mutant of this seed.
    pub(super) fn mutant(&self, seed: u64) -> Mutant {
        let mut random = Random::new(seed);
        let sample = random.below(self.samples.len());
        let mut bytes = self.samples[sample].clone();
        let mut changes = vec![format!("sample {sample}")];
        // Some as they are: all samples are among the mutants.
        for _ in 0..random.below(8).div_ceil(6) {
            changes.push(self.change(&mut bytes, &mut random));
        }
        if !random.once_in(4) {
            (self.mend)(&mut bytes);
            changes.push("mended".to_owned());
        }
        bytes.truncate(MOST);
        Mutant { bytes, changes }
    }

    fn change(&self, bytes: &mut Vec<u8>, random: &mut Random) -> String {
        let layout = (self.layout)(bytes);
        match random.below(16) {
            0..=6 => number(bytes, &layout, random),
            7..=10 => order(bytes, &layout, random),
            11 => self.junk(bytes, &layout, random),
            12 => self.join(bytes, random),
            13 => self.word(bytes, random),
            _ => blind(bytes, random),
        }
    }

    /// Something that does not belong there, at the border of a header.
    fn junk(&self, bytes: &mut Vec<u8>, layout: &Layout, random: &mut Random) -> String {
        let at = record(layout, bytes, random).start;
        let length = *random.pick(&[1, 2, 3, 16, 100, 512, 4096]);
        let other = random.pick(self.samples);
        let junk = match random.below(4) {
            0 => vec![0; length],
            1 => b"\r\n".to_vec(),
            2 => other[..length.min(other.len())].to_vec(),
            _ => random.bytes(length),
        };
        let length = junk.len();
        bytes.splice(at..at, junk);
        format!("{length} bytes of junk at {at}")
    }

    /// Another container before or behind it.
    fn join(&self, bytes: &mut Vec<u8>, random: &mut Random) -> String {
        let number = random.below(self.samples.len());
        let other = &self.samples[number];
        let at = *random.pick(&[0, bytes.len()]);
        bytes.splice(at..at, other.iter().copied());
        format!("sample {number} at {at}")
    }

    /// One word of the format instead of another, or somewhere.
    fn word(&self, bytes: &mut Vec<u8>, random: &mut Random) -> String {
        if self.words.is_empty() {
            return blind(bytes, random);
        }
        let old = *random.pick(self.words);
        let places: Vec<_> = memchr::memmem::find_iter(bytes, old).collect();
        let new = match random.below(4) {
            0 => old.to_ascii_uppercase(),
            _ => random.pick(self.words).to_vec(),
        };
        let (at, length) = match places.len() {
            0 => (random.below(bytes.len().max(1)), 0),
            count => (places[random.below(count)], old.len()),
        };
        let what = format!("{:?} at {at}", String::from_utf8_lossy(&new));
        bytes.splice(at..at + length, new);
        what
    }
}

/// Another value of a field.
fn number(bytes: &mut Vec<u8>, layout: &Layout, random: &mut Random) -> String {
    if layout.fields.is_empty() {
        return blind(bytes, random);
    }
    let field = *random.pick(&layout.fields);
    let old = field.value(bytes);
    let most = field.most();
    let new = match random.below(12) {
        0 => 0,
        1 => 1,
        2 => most,
        3 => most / 2 + random.below(2) as u64,
        4 => old.wrapping_add(1),
        5 => old.wrapping_sub(1),
        6 => old.wrapping_mul(2),
        7 => old / 2,
        8 => old ^ (1 << random.below(16)),
        9 => random.pick(&layout.fields).value(bytes),
        10 => bytes.len() as u64,
        _ => random.next() >> random.below(64),
    } & most;
    field.put(bytes, new);
    let Field { at, width, form } = field;
    format!("{old} is {new} at {at} ({form:?}, {width})")
}

/// A header doubled, gone, moved, or exchanged with another.
fn order(bytes: &mut Vec<u8>, layout: &Layout, random: &mut Random) -> String {
    let one = record(layout, bytes, random);
    let other = record(layout, bytes, random);
    let content = bytes[one.clone()].to_vec();
    match random.below(5) {
        0 => {
            bytes.splice(one.start..one.start, content);
            format!("{one:?} twice")
        }
        1 => {
            bytes.splice(other.start..other.start, content);
            format!("{one:?} at {} too", other.start)
        }
        2 => {
            bytes.drain(one.clone());
            format!("without {one:?}")
        }
        3 => {
            let at = one.start + random.below(one.len().max(1));
            bytes.drain(at..one.end.max(at));
            format!("{one:?} cut at {at}")
        }
        _ if one.end <= other.start => {
            let behind = bytes[other.clone()].to_vec();
            bytes.splice(other.clone(), content);
            bytes.splice(one.clone(), behind);
            format!("{one:?} for {other:?}")
        }
        _ => {
            bytes.drain(one.clone());
            let at = other.start.min(bytes.len());
            bytes.splice(at..at, content);
            format!("{one:?} moved to {at}")
        }
    }
}

/// A header, or any part where there is none.
fn record(layout: &Layout, bytes: &[u8], random: &mut Random) -> Range<usize> {
    if layout.records.is_empty() {
        let start = random.below(bytes.len().max(1)).min(bytes.len());
        let length = random.below(64);
        return start..(start + length).min(bytes.len());
    }
    random.pick(&layout.records).clone()
}

/// Whatever is there.
fn blind(bytes: &mut Vec<u8>, random: &mut Random) -> String {
    if bytes.is_empty() {
        bytes.push(0);
    }
    // Headers stand at the start more than anywhere else.
    let within = if random.once_in(2) { 128 } else { bytes.len() };
    let at = random.below(within.min(bytes.len()));
    let length = random.below(64).min(bytes.len() - at);
    match random.below(6) {
        0 => {
            let end = bytes.len() - random.below(bytes.len().min(600));
            bytes.truncate(end);
            format!("cut at {end}")
        }
        1 => {
            bytes.drain(at..at + length);
            format!("{length} bytes gone at {at}")
        }
        2 => {
            let copy = bytes[at..at + length].to_vec();
            bytes.splice(at..at, copy);
            format!("{length} bytes twice at {at}")
        }
        3 => {
            bytes[at] = *random.pick(&[0, 0xff, 0x7f, 0x80, b' ', b'\n']);
            format!("{at} is {}", bytes[at])
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            format!("{at} is {}", bytes[at])
        }
    }
}

impl Field {
    fn value(self, bytes: &[u8]) -> u64 {
        let digits = &bytes[self.at..self.at + self.width];
        let text = |radix| {
            let text = String::from_utf8_lossy(digits);
            u64::from_str_radix(text.trim_matches(['\0', ' ']), radix).unwrap_or(0)
        };
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.form {
            Form::Little => digits.iter().rev().fold(0, fold),
            Form::Big => digits.iter().fold(0, fold),
            Form::Octal => text(8),
            Form::Decimal | Form::Loose => text(10),
            Form::Hex => text(16),
        }
    }

    /// The highest value that fits.
    fn most(self) -> u64 {
        let digits = self.width.min(19) as u32;
        match self.form {
            Form::Little | Form::Big if self.width >= 8 => u64::MAX,
            Form::Little | Form::Big => (1 << (8 * self.width)) - 1,
            Form::Octal => (1 << (3 * digits)) - 1,
            Form::Hex => (1 << (4 * digits.min(15))) - 1,
            Form::Decimal => 10_u64.pow(digits) - 1,
            Form::Loose => u64::MAX >> 1,
        }
    }

    fn put(self, bytes: &mut Vec<u8>, value: u64) {
        let width = self.width;
        let new = match self.form {
            Form::Little => (0..width).map(|at| byte(value, at)).collect(),
            Form::Big => (0..width).rev().map(|at| byte(value, at)).collect(),
            Form::Octal => format!("{value:0width$o}").into_bytes(),
            Form::Hex => format!("{value:0width$x}").into_bytes(),
            Form::Decimal => format!("{value:<width$}").into_bytes(),
            Form::Loose => value.to_string().into_bytes(),
        };
        bytes.splice(self.at..self.at + width, new);
    }
}

fn byte(value: u64, at: usize) -> u8 {
    value.to_le_bytes().get(at).copied().unwrap_or(0)
}
