//! One run of base64 as it stands in a text: a line break, or what joins texts, may be in it.
#![forbid(unsafe_code)]

use super::base64::Blob;
use super::joint::Joint;
use super::sextets::Sextets;
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
    let value = VALUES.get(usize::from(byte)).copied();
    value.filter(|value| *value != NONE)
}

/// What is no character of the alphabet.
const NONE: u8 = u8::MAX;

/// [`value`] of each byte.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut rest = values.as_mut_slice();
    let mut byte: u8 = 0;
    while let Some((value, behind)) = rest.split_first_mut() {
        *value = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        byte = byte.wrapping_add(1);
        rest = behind;
    }
    values
};

/// A run that is open.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) at: u64,
    named: bool,
    hexadecimal: bool,
    pub(super) sextets: Sextets,
    line: usize,
    pub(super) joint: Joint,
    narrow: Narrow,
    /// Capitals, small letters, digits.
    classes: [bool; 3],
    begins_line: bool,
    /// How many characters its first piece has, once that has ended.
    pub(super) first: Option<usize>,
    /// Nothing but blanks stand before it in its line.
    starts_line: bool,
    /// It begins with a whole quartet of an earlier run's other reading.
    pub(super) is_part: bool,
    /// There is room for its other reading, and no earlier one goes on with it.
    pub(super) may_wrap: bool,
    pub(super) wrapped: Other,
}

/// The other reading of a run.
#[derive(Debug)]
pub(super) enum Other {
    /// It is made when it is asked for: the run begins in the piece of the text that is at hand.
    Later,
    Begun(Box<Wrapped>),
    Never,
}

/// Lines that are shorter than [`LINE`] go on if all have the same length.
#[derive(Debug, Default)]
struct Narrow {
    /// The run began with its line, and so did its first piece end, or that is not known yet.
    may_be: bool,
    /// The length of the lines, once there were any; and how many there were.
    width: Option<usize>,
    lines: usize,
    /// The line that is open: what stood before may be no part of the run.
    line: Vec<u8>,
}

/// What is known of a run where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Something just before it calls it base64.
    pub(super) named: bool,
    /// Nothing but blanks stand before it in its line.
    pub(super) starts_line: bool,
    /// Nothing but what marks a quote or a comment stands before it in its line.
    pub(super) begins_line: bool,
}

impl Narrow {
    /// Begins again, with a line.
    fn clear(&mut self) {
        self.line.clear();
        (self.may_be, self.width, self.lines) = (true, None, 0);
    }
}

impl Run {
    pub(super) fn new(at: u64, start: &Start, wrapped: Other) -> Self {
        Self {
            at,
            named: start.named,
            hexadecimal: true,
            sextets: Sextets::default(),
            line: 0,
            joint: Joint::default(),
            narrow: Narrow {
                may_be: true,
                ..Narrow::default()
            },
            classes: [false; 3],
            begins_line: start.begins_line,
            first: None,
            starts_line: start.starts_line,
            is_part: false,
            may_wrap: false,
            wrapped,
        }
    }

    /// Ends the first piece.
    pub(super) fn end_first(&mut self, ends_line: bool) {
        self.first = Some(self.sextets.count());
        self.narrow.may_be = self.starts_line && ends_line || self.named;
        if !self.narrow.may_be {
            self.narrow.line = Vec::new();
        }
    }

    /// What is asked of the place where it begins.
    pub(super) fn start(&self) -> (bool, bool) {
        (self.named, self.begins_line)
    }

    /// Goes on behind the joint.
    pub(super) fn next_line(&mut self) {
        if self.joint.is_break() {
            if self.line < LINE && self.narrow.may_be {
                self.narrow.width = Some(self.line);
            }
            self.narrow.lines = self.narrow.lines.saturating_add(1);
        }
        self.narrow.line.clear();
        self.joint.clear();
        self.line = 0;
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
            && self.joint.is_break()
            && self.line >= NARROW
            && self.narrow.width.is_some_and(|width| self.line < width)
    }

    /// Begins with the line that is open.
    pub(super) fn begin_again(&mut self, limit: usize) {
        let line = std::mem::take(&mut self.narrow.line);
        let gone = self.sextets.count().saturating_sub(line.len());
        // Near enough: line breaks are not counted.
        self.at = self.at.saturating_add(gone as u64).saturating_add(1);
        self.hexadecimal = true;
        self.classes = [false; 3];
        self.sextets.clear();
        self.narrow.clear();
        self.line = 0;
        self.begins_line = false;
        self.is_part = false;
        self.wrapped = Other::Never;
        self.add(&line, limit);
    }

    /// Takes the first of these characters, as many as there is no question of another beginning.
    pub(super) fn add_some(&mut self, letters: &[u8], limit: usize) -> usize {
        let room = match self.narrow.width {
            Some(width) if !self.named && self.narrow.lines == 1 => {
                width.saturating_add(1).saturating_sub(self.line).max(1)
            }
            _ => letters.len(),
        };
        let some = letters.get(..room).unwrap_or(letters);
        self.add(some, limit);
        some.len()
    }

    fn add(&mut self, letters: &[u8], limit: usize) {
        self.hexadecimal = self.hexadecimal && letters.iter().all(u8::is_ascii_hexdigit);
        let [capital, small, digit] = &mut self.classes;
        *capital = *capital || letters.iter().any(u8::is_ascii_uppercase);
        *small = *small || letters.iter().any(u8::is_ascii_lowercase);
        *digit = *digit || letters.iter().any(u8::is_ascii_digit);
        if self.narrow.may_be {
            let room = (LINE + 1).saturating_sub(self.narrow.line.len());
            let some = letters.get(..room).unwrap_or(letters);
            self.narrow.line.extend_from_slice(some);
        }
        self.line = self.line.saturating_add(letters.len());
        self.sextets.add_all(letters, limit);
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
        self.sextets.count() >= self.least() && self.joint.is_quoted()
    }

    /// The fewest characters of a first piece.
    pub(super) fn least(&self) -> usize {
        if self.named { NAMED_RUN } else { PIECE }
    }

    /// Tells whether the run goes on behind its joint: a line break behind a long line, or two quotes with a sign that joins.
    pub(super) fn joins(&self) -> bool {
        if self.joint.is_blank() {
            let narrow = &self.narrow;
            let fits = narrow.may_be
                && self.line >= NARROW
                && match narrow.width {
                    Some(width) => self.line == width || self.named && narrow.lines == 1,
                    None => true,
                };
            return self.joint.is_break() && (self.line >= LINE || fits);
        }
        if self.sextets.count() < self.least() {
            return false;
        }
        self.joint.joins_texts()
    }
}

pub(super) fn may_join(byte: u8) -> bool {
    matches!(
        byte,
        b'\r' | b'\n' | b' ' | b'\t' | b'"' | b'\'' | b'+' | b'&' | b'_' | b'.' | b'\\' | b','
    )
}
