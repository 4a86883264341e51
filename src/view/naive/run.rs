//! One run of base64 as it stands in a text: a line break, or what joins texts, may be in it.
#![forbid(unsafe_code)]

use super::super::base64::Blob;
use super::super::sextets::Sextets;
use super::wrapped::Wrapped;

/// The fewest characters of a run.
pub(super) const RUN: usize = 64;

/// The fewest characters of a run that something before it calls base64.
pub(super) const NAMED_RUN: usize = 8;

/// The fewest characters of the first piece of a run that has several.
pub(super) const PIECE: usize = 16;

/// The fewest characters of a line that goes on in the next.
pub(super) const LINE: usize = 32;

/// The fewest characters of a line of a run that has lines of the same length.
pub(super) const NARROW: usize = 4;

/// What may stand between two pieces of one run: a line break with blanks, quotes and a sign that joins texts.
pub(super) const JOINT: usize = 80;

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

/// A run that is open.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) at: u64,
    named: bool,
    hexadecimal: bool,
    pub(super) sextets: Sextets,
    line: usize,
    pub(super) joint: Vec<u8>,
    pub(super) narrow: Narrow,
    /// Capitals, small letters, digits.
    classes: [bool; 3],
    pub(super) begins_line: bool,
    /// It begins with a whole quartet of an earlier run's other reading.
    pub(super) is_part: bool,
    /// Its other reading.
    pub(super) wrapped: Option<Wrapped>,
}

/// Lines that are shorter than [`LINE`] go on if all have the same length.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    /// The run began with its line.
    pub(super) may_be: bool,
    /// The length of the lines, once there were any; and how many there were.
    width: Option<usize>,
    lines: usize,
    /// The line that is open: what stood before may be no part of the run.
    line: Vec<u8>,
}

impl Run {
    pub(super) fn new(at: u64, named: bool) -> Self {
        Self {
            at,
            named,
            hexadecimal: true,
            sextets: Sextets::default(),
            line: 0,
            joint: Vec::new(),
            narrow: Narrow::default(),
            classes: [false; 3],
            begins_line: false,
            is_part: false,
            wrapped: None,
        }
    }

    /// Goes on behind the joint.
    pub(super) fn next_line(&mut self) {
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
    pub(super) fn is_wider(&self) -> bool {
        !self.named
            && self.narrow.lines == 1
            && self.narrow.width.is_some_and(|width| self.line > width)
    }

    /// The line is shorter than the only one before it, and another follows.
    pub(super) fn may_begin_again(&self) -> bool {
        !self.named
            && self.narrow.lines == 1
            && self.is_at_break()
            && self.line >= NARROW
            && self.narrow.width.is_some_and(|width| self.line < width)
    }

    /// Begins with the line that is open.
    pub(super) fn begin_again(&mut self, limit: usize) {
        let line = std::mem::take(&mut self.narrow.line);
        let gone = self.sextets.count().saturating_sub(line.len());
        let joint = std::mem::take(&mut self.joint);
        // Near enough: line breaks are not counted.
        *self = Self::new(self.at.saturating_add(gone as u64).saturating_add(1), false);
        self.narrow.may_be = true;
        for byte in line {
            self.add(byte, limit);
        }
        self.joint = joint;
    }

    pub(super) fn add(&mut self, byte: u8, limit: usize) {
        let six = value(byte).unwrap_or(0);
        self.hexadecimal &= byte.is_ascii_hexdigit();
        let [capital, small, digit] = &mut self.classes;
        *capital |= byte.is_ascii_uppercase();
        *small |= byte.is_ascii_lowercase();
        *digit |= byte.is_ascii_digit();
        if self.narrow.may_be && self.narrow.line.len() <= LINE {
            self.narrow.line.push(byte);
        }
        self.line = self.line.saturating_add(1);
        self.sextets.add(six, limit);
    }

    /// What it decodes to, if it is long enough.
    pub(super) fn blob(self) -> Option<Blob> {
        let least = if self.named { NAMED_RUN } else { RUN };
        let plain = self.narrow.width.is_some() && self.classes.contains(&false);
        let left_alone = (self.hexadecimal || plain) && !self.named;
        if self.sextets.count() < least || left_alone {
            return None;
        }
        let (bytes, cut) = self.sextets.finish();
        Some(Blob {
            at: self.at,
            bytes,
            cut,
            begins_line: self.begins_line,
        })
    }

    /// Behind a quote a character of the alphabet may be a sign that joins.
    pub(super) fn may_be_quoted(&self) -> bool {
        self.sextets.count() >= self.least()
            && self.joint.iter().any(|byte| matches!(byte, b'"' | b'\''))
    }

    /// The fewest characters of a first piece.
    pub(super) fn least(&self) -> usize {
        if self.named { NAMED_RUN } else { PIECE }
    }

    /// Tells whether the run goes on behind its joint: a line break behind a long line, or two quotes with a sign that joins.
    pub(super) fn joins(&self) -> bool {
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
        if self.sextets.count() < self.least() {
            return false;
        }
        joins_texts(&self.joint)
    }
}

pub(super) fn may_join(byte: u8) -> bool {
    matches!(
        byte,
        b'\r' | b'\n' | b' ' | b'\t' | b'"' | b'\'' | b'+' | b'&' | b'_' | b'.' | b'\\' | b','
    )
}

/// Tells whether what stands between two texts makes one of them: lists have commas, and their members are no parts of one.
pub(super) fn joins_texts(joint: &[u8]) -> bool {
    let is_quote = |byte: &&u8| matches!(byte, b'"' | b'\'');
    joint.iter().filter(is_quote).count() == 2 && !joint.contains(&b',')
}
