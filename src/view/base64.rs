//! Long runs of base64 in text, and what they decode to: programs in scripts, `data:` addresses, encoded commands.
//!
//! A run may go over lines, each of which ends with nothing but a line break, and may be cut by what joins texts in scripts
//! (`" + "`, `" & _`). Short lines count where several have the same length. Paths and digests look like base64 too: short runs, and those of hexadecimal digits alone, are left.
#![forbid(unsafe_code)]

use super::address::Addresses;

/// The fewest characters of a run.
const RUN: usize = 64;

/// The fewest characters of a run that something before it calls base64.
const NAMED_RUN: usize = 8;

/// The fewest characters of the first piece of a run that has several.
const PIECE: usize = 16;

/// The fewest characters of a line that goes on in the next.
const LINE: usize = 32;

/// The fewest characters of a line of a run that has lines of the same length.
const NARROW: usize = 4;

/// What may stand between two pieces of one run: a line break with blanks, quotes and a sign that joins texts.
const JOINT: usize = 80;

/// Bytes before a run in which it is called base64.
const BEFORE: usize = 24;

/// One run, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Blob {
    /// Where it begins.
    pub at: u64,
    /// What it decodes to.
    pub bytes: Vec<u8>,
    /// It goes on behind the limit.
    pub cut: bool,
}

/// The six bits of a character of either alphabet of RFC 4648.
pub(super) fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0').wrapping_add(52)),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Finds runs in a text that comes piece by piece.
#[derive(Debug)]
pub struct Finder {
    /// The most bytes that are decoded of one run.
    limit: usize,
    position: u64,
    /// The last bytes in front of a run.
    before: Vec<u8>,
    run: Option<Run>,
    addresses: Addresses,
}

#[derive(Debug)]
struct Run {
    at: u64,
    named: bool,
    hexadecimal: bool,
    count: usize,
    line: usize,
    bits: u32,
    bytes: Vec<u8>,
    cut: bool,
    joint: Vec<u8>,
    narrow: Narrow,
    /// Capitals, small letters, digits.
    classes: [bool; 3],
}

/// Lines that are shorter than [`LINE`] go on if all have the same length.
#[derive(Debug, Default)]
struct Narrow {
    /// The run began with its line.
    may_be: bool,
    /// The length of the lines, once there were any; and how many there were.
    width: Option<usize>,
    lines: usize,
    /// The line that is open: what stood before may be no part of the run.
    line: Vec<u8>,
}

impl Finder {
    /// Looks for runs, of each of which at most `limit` bytes are decoded.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            position: 0,
            before: Vec::new(),
            run: None,
            addresses: Addresses::new(limit),
        }
    }

    /// Takes the next bytes, and gives each run that has ended.
    pub fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) {
        self.addresses.push(bytes, found);
        let mut at: usize = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at = at.saturating_add(match self.run.is_some() {
                true => self.go_on(rest, found),
                false => self.seek(bytes, at),
            });
        }
        self.position = self.position.saturating_add(bytes.len() as u64);
        self.before.extend_from_slice(last(bytes));
        let surplus = self.before.len().saturating_sub(BEFORE);
        self.before.drain(..surplus);
    }

    /// The text has ended.
    pub fn finish(mut self, found: &mut dyn FnMut(Blob)) {
        self.end_run(found);
        self.addresses.finish(found);
    }

    /// Passes over what is no run, or begins one, and gives the bytes that this took. Words are short: most of a text is passed
    /// over here.
    fn seek(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        let skipped = rest
            .iter()
            .take_while(|byte| value(**byte).is_none())
            .count();
        let rest = rest.get(skipped..).unwrap_or_default();
        let length = rest
            .iter()
            .take_while(|byte| value(**byte).is_some())
            .count();
        let taken = skipped.saturating_add(length);
        let may_go_on = length == rest.len();
        let start = at.saturating_add(skipped);
        let ends_line = matches!(rest.get(length), Some(b'\n' | b'\r'));
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        let is_alone =
            length >= NARROW && ends_line && matches!(before, None | Some(b'\n' | b'\r'));
        if length == 0 || length < NAMED_RUN && !may_go_on && !is_alone {
            return taken;
        }
        let own = last(bytes.get(..start).unwrap_or_default());
        let named = is_named(last(&[&self.before[..], own].concat()));
        let near = [&self.before[..], own].concat();
        let line = near.iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
        let starts_line = line.is_none_or(|at| matches!(near.get(at), Some(b'\n' | b'\r')));
        let is_line = starts_line && (ends_line || may_go_on);
        if length < PIECE && !named && !may_go_on && !is_line {
            return taken;
        }
        let mut run = Run::new(self.position.saturating_add(start as u64), named);
        run.narrow.may_be = is_line || named;
        for byte in rest.get(..length).unwrap_or_default() {
            run.add(*byte, self.limit);
        }
        self.run = Some(run);
        taken
    }

    /// Takes bytes into the run that is open, or ends it, and gives how many it took.
    fn go_on(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) -> usize {
        let Some(run) = &mut self.run else { return 0 };
        for (at, byte) in bytes.iter().enumerate() {
            let goes_on = run.joint.is_empty() || run.joins();
            // A plus between quotes is none of the alphabet.
            let is_joint =
                may_join(*byte) && (value(*byte).is_none() || !goes_on && run.may_be_quoted());
            if value(*byte).is_some() && goes_on {
                if !run.joint.is_empty() {
                    run.next_line();
                }
                run.add(*byte, self.limit);
                if run.is_wider() {
                    run.begin_again(self.limit);
                }
            } else if value(*byte).is_some() && run.may_begin_again() {
                run.begin_again(self.limit);
                run.next_line();
                run.add(*byte, self.limit);
            } else if is_joint && run.joint.len() < JOINT {
                run.joint.push(*byte);
            } else {
                self.end_run(found);
                return at;
            }
        }
        bytes.len()
    }

    fn end_run(&mut self, found: &mut dyn FnMut(Blob)) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        let least = if run.named { NAMED_RUN } else { RUN };
        let plain = run.narrow.width.is_some() && run.classes.contains(&false);
        let left_alone = (run.hexadecimal || plain) && !run.named;
        if run.count < least || left_alone {
            return;
        }
        run.last_bits();
        found(Blob {
            at: run.at,
            bytes: run.bytes,
            cut: run.cut,
        });
    }
}

impl Run {
    fn new(at: u64, named: bool) -> Self {
        Self {
            at,
            named,
            hexadecimal: true,
            count: 0,
            line: 0,
            bits: 0,
            bytes: Vec::new(),
            cut: false,
            joint: Vec::new(),
            narrow: Narrow::default(),
            classes: [false; 3],
        }
    }

    /// Goes on behind the joint.
    fn next_line(&mut self) {
        if self.is_at_break() {
            if self.line < LINE && self.narrow.may_be {
                self.narrow.width = Some(self.line);
            }
            self.narrow.lines = self.narrow.lines.saturating_add(1);
        }
        self.narrow.line.clear();
        self.joint.clear();
        self.line = 0;
    }

    /// The joint is a line break.
    fn is_at_break(&self) -> bool {
        let breaks = self.joint.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        breaks && self.joint.iter().all(u8::is_ascii_whitespace)
    }

    /// The line is longer than the one before it, which then is no part of the run, if it was the first.
    fn is_wider(&self) -> bool {
        !self.named
            && self.narrow.lines == 1
            && self.narrow.width.is_some_and(|width| self.line > width)
    }

    /// The line is shorter than the only one before it, and another follows.
    fn may_begin_again(&self) -> bool {
        !self.named
            && self.narrow.lines == 1
            && self.is_at_break()
            && self.line >= NARROW
            && self.narrow.width.is_some_and(|width| self.line < width)
    }

    /// Begins with the line that is open.
    fn begin_again(&mut self, limit: usize) {
        let line = std::mem::take(&mut self.narrow.line);
        let gone = self.count.saturating_sub(line.len());
        let joint = std::mem::take(&mut self.joint);
        // Near enough: line breaks are not counted.
        *self = Self::new(self.at.saturating_add(gone as u64).saturating_add(1), false);
        self.narrow.may_be = true;
        for byte in line {
            self.add(byte, limit);
        }
        self.joint = joint;
    }

    fn add(&mut self, byte: u8, limit: usize) {
        let six = value(byte).unwrap_or(0);
        self.hexadecimal &= byte.is_ascii_hexdigit();
        let [capital, small, digit] = &mut self.classes;
        *capital |= byte.is_ascii_uppercase();
        *small |= byte.is_ascii_lowercase();
        *digit |= byte.is_ascii_digit();
        if self.narrow.may_be && self.narrow.line.len() <= LINE {
            self.narrow.line.push(byte);
        }
        self.count = self.count.saturating_add(1);
        self.line = self.line.saturating_add(1);
        self.bits = self.bits << 6 | u32::from(six);
        if self.count.is_multiple_of(4) {
            let [_, three @ ..] = self.bits.to_be_bytes();
            match self.bytes.len() < limit {
                true => self.bytes.extend_from_slice(&three),
                false => self.cut = true,
            }
        }
    }

    /// Behind a quote a character of the alphabet may be a sign that joins.
    fn may_be_quoted(&self) -> bool {
        self.count >= self.least() && self.joint.iter().any(|byte| matches!(byte, b'"' | b'\''))
    }

    /// The fewest characters of a first piece.
    fn least(&self) -> usize {
        if self.named { NAMED_RUN } else { PIECE }
    }

    /// Tells whether the run goes on behind its joint: a line break behind a long line, or two quotes with a sign that joins.
    fn joins(&self) -> bool {
        let is_quote = |byte: &&u8| matches!(byte, b'"' | b'\'');
        if self.joint.iter().all(u8::is_ascii_whitespace) {
            let narrow = &self.narrow;
            let fits = narrow.may_be
                && self.line >= NARROW
                && match narrow.width {
                    Some(width) => self.line == width || self.named && narrow.lines == 1,
                    None => true,
                };
            return self.is_at_break() && (self.line >= LINE || fits);
        }
        if self.count < self.least() {
            return false;
        }
        // Lists of texts have commas: their members are no parts of one.
        self.joint.iter().filter(is_quote).count() == 2 && !self.joint.contains(&b',')
    }

    /// The bytes of a last quartet that is not whole.
    fn last_bits(&mut self) {
        let bits = self.bits;
        match self.count % 4 {
            2 => self.bytes.push((bits >> 4) as u8),
            3 => self
                .bytes
                .extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
            _ => {}
        }
    }
}

fn may_join(byte: u8) -> bool {
    matches!(
        byte,
        b'\r' | b'\n' | b' ' | b'\t' | b'"' | b'\'' | b'+' | b'&' | b'_' | b'.' | b'\\' | b','
    )
}

fn last(bytes: &[u8]) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(BEFORE)..)
        .unwrap_or(bytes)
}

/// Something just before a run calls it base64.
fn is_named(before: &[u8]) -> bool {
    let before = before.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&before, word).is_some();
    before.ends_with(b";base64,")
        || has(b"base64string(")
        || has(b"atob(")
        || before.ends_with(b"-enc ")
        || before.ends_with(b"encodedcommand ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL};

    fn found(text: &[u8], step: usize, limit: usize) -> Vec<Blob> {
        let mut blobs = Vec::new();
        let mut finder = Finder::new(limit);
        for piece in text.chunks(step) {
            finder.push(piece, &mut |blob| blobs.push(blob));
        }
        finder.finish(&mut |blob| blobs.push(blob));
        blobs
    }

    fn secret(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 37 % 251) as u8).collect()
    }

    #[test]
    fn runs_are_decoded_wherever_they_are_cut() {
        for length in [48, 49, 50, 51, 300] {
            let secret = secret(length);
            let one = BASE64.encode(&secret);
            let lines: Vec<&str> = (one.as_bytes().chunks(40))
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            let texts = [
                format!("x = \"{one}\";"),
                format!("x = '{}'", BASE64_NOPAD.encode(&secret)),
                format!("x = '{}'", BASE64URL.encode(&secret)),
                format!("(\n  {}\n)", lines.join("\r\n  ")),
                format!("a=\"{}\";", lines.join("\" + \"")),
                format!("a=\"{}\"", lines.join("\" & _\r\n    \"")),
            ];
            for text in texts {
                for step in [1, 7, 10_000] {
                    let blobs = found(text.as_bytes(), step, usize::MAX);
                    assert_eq!(blobs.len(), 1, "{text}");
                    assert_eq!(blobs[0].bytes, secret, "{text}");
                    assert!(
                        text[blobs[0].at as usize..].starts_with(&one[..8]),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn short_runs_count_where_they_are_named() {
        let rows = [
            ("<img src=\"data:image/png;base64,aGVsbG8gd29ybGQ=\">", 1),
            ("atob('aGVsbG8gd29ybGQ=')", 1),
            ("[Convert]::FromBase64String(\"aGVsbG8gd29ybGQ=\")", 1),
            ("powershell -enc aGVsbG8gd29ybGQ=", 1),
            ("x = 'aGVsbG8gd29ybGQ='", 0),
            (
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855e3b0c44298fc",
                0,
            ),
        ];
        for (text, count) in rows {
            for step in [1, 1000] {
                assert_eq!(
                    found(text.as_bytes(), step, usize::MAX).len(),
                    count,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn short_lines_of_one_length_are_a_run() {
        let secret = secret(301);
        let one = BASE64.encode(&secret);
        for width in [4, 8, 10, 11, 31] {
            let lines: Vec<&str> = (one.as_bytes().chunks(width))
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            for before in [
                "",
                "x:\n",
                "Contents\n",
                "Contents12\n",
                "SomeLongerLine12345\n",
                "X2\n",
            ] {
                for end in ["\n", "\r\n  "] {
                    let text = format!("{before}{}\nend of it\n", lines.join(end));
                    for step in [1, 7, 10_000] {
                        let blobs = found(text.as_bytes(), step, usize::MAX);
                        let held = blobs.iter().any(|blob| {
                            let start = blob.bytes.get(..297).unwrap_or_default();
                            secret.starts_with(start) && !start.is_empty()
                        });
                        // A line of the same length is part of it.
                        let same = before.trim_end().len() == width;
                        assert!(held || same, "{width} {step} {text}");
                    }
                }
            }
        }
        let words = "elephant\nantelope\nhedgehog\nmongoose\nreindeer\n".repeat(20);
        assert_eq!(found(words.as_bytes(), 1000, usize::MAX), []);
    }

    #[test]
    fn what_is_longer_than_the_limit_says_so() {
        let text = BASE64.encode(&secret(3000));
        let blobs = found(text.as_bytes(), 100, 999);
        assert_eq!(blobs[0].bytes, secret(3000)[..999]);
        assert!(blobs[0].cut);
    }
}
