//! A run of base64 as programs write it: with characters that are escaped (`\/`, `\u002B`, `%2B`, `&#43;`), with line breaks that
//! are (`\n` in JSON), and in lines of which each begins as the first does (`echo …`, `> …`, `s = s & "…"`, `"…"` in C).
//!
//! This is a second reading beside that of [`super::base64`]: which one was meant nobody can tell, so that what has no such signs is
//! never read like this, and what has them is read both ways.
#![forbid(unsafe_code)]

use super::super::address::{SIGN, character};
use super::super::base64::Blob;
use super::super::sextets::Sextets;
use super::may_escape;
use super::run::{JOINT, LINE, NAMED_RUN, PIECE, RUN, joins_texts, may_join, value};

/// Characters of the alphabet in an escape: `u002B`.
const LETTERS: u64 = 5;

/// One run, read from its first character on.
#[derive(Debug)]
pub(super) struct Wrapped {
    at: u64,
    /// The position of the next byte to be taken.
    next: u64,
    /// Behind the last character that was taken into the run.
    pub(super) last: u64,
    /// Where the characters begin that follow each other without a sign or a joint, and how many are before them.
    piece: (u64, usize),
    named: bool,
    begins_line: bool,
    /// What stands before the run in its line, where all of that is near.
    prefix: Option<Vec<u8>>,
    /// The run begins with what may be a part of an escape: both are read.
    escaped: bool,
    sextets: Sextets,
    hexadecimal: bool,
    /// Characters of the line that is open, and of those that are joined by what they begin with.
    line: usize,
    width: Option<usize>,
    prefixes: usize,
    /// Lines end with nothing but a line break.
    plain: bool,
    /// An escaped line break is behind the last character.
    at_break: bool,
    sign: Vec<u8>,
    joint: Vec<u8>,
    /// There was something that the plain reading does not take.
    used: bool,
    ended: bool,
    /// What the plain reading made of the same run.
    held: Option<Blob>,
}

/// What a sign comes to.
enum Sign {
    /// It may go on.
    Open,
    Byte(u8),
    None,
}

impl Wrapped {
    /// A run that begins at `at`, behind the bytes `before`; these are all of the text if they are as many.
    pub(super) fn new(at: u64, (named, begins_line): (bool, bool), before: &[u8]) -> Self {
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let prefix = match before.iter().rposition(is_break) {
            Some(last) => before.get(last.saturating_add(1)..),
            None => Some(before).filter(|before| before.len() as u64 == at),
        };
        let sign = before.last().filter(|last| may_escape(**last)).copied();
        Self {
            at,
            next: at,
            last: at,
            piece: (at, 0),
            named,
            begins_line,
            prefix: prefix.map(<[u8]>::to_vec),
            escaped: sign.is_some(),
            sextets: Sextets::default(),
            hexadecimal: true,
            line: 0,
            width: None,
            prefixes: 0,
            plain: false,
            at_break: false,
            sign: sign.into_iter().collect(),
            joint: Vec::new(),
            used: false,
            ended: false,
            held: None,
        }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells whether the plain reading of what begins at `at` has the bytes that this one has there, but for a few that it makes of
    /// the letters of an escape.
    pub(super) fn has_part(&self, at: u64) -> bool {
        let (place, count) = self.piece;
        let letters = place.checked_sub(at).filter(|letters| *letters <= LETTERS);
        let fits = letters.is_some_and(|letters| letters % 4 == count as u64 % 4);
        fits && self.used && self.counts() && self.prefixes != 1
    }

    /// It is long enough, and no number.
    fn counts(&self) -> bool {
        match self.named {
            true => self.sextets.count() >= NAMED_RUN,
            false => self.sextets.count() >= RUN && !self.hexadecimal,
        }
    }

    /// Keeps the plain reading of the run until this one has ended; gives it back where this one is about another.
    pub(super) fn hold(&mut self, blob: Option<Blob>) -> Option<Blob> {
        if self.escaped {
            return blob;
        }
        self.held = blob;
        None
    }

    /// Takes what is new of these bytes, which begin at `position`; at most `limit` are decoded.
    pub(super) fn feed(&mut self, bytes: &[u8], position: u64, limit: usize) {
        let known = usize::try_from(self.next.saturating_sub(position)).unwrap_or(usize::MAX);
        for byte in bytes.get(known..).unwrap_or_default() {
            if self.ended {
                return;
            }
            self.next = self.next.saturating_add(1);
            self.take(*byte, limit);
        }
    }

    /// The text has ended.
    pub(super) fn end(&mut self, limit: usize) {
        for byte in std::mem::take(&mut self.sign) {
            self.plain(byte, limit);
        }
        self.ended = true;
    }

    /// The readings that count, once it has ended.
    pub(super) fn blobs(self) -> impl Iterator<Item = Blob> {
        let enough = self.counts();
        let (bytes, cut) = self.sextets.finish();
        let own = (self.used && enough).then_some(Blob {
            at: self.at,
            bytes,
            cut,
            begins_line: self.begins_line,
        });
        // The plain reading is the beginning of this one. A second line that begins like the first may be the next of a list.
        let is_list = self.prefixes == 1;
        let held = self.held.filter(|held| {
            own.as_ref()
                .is_none_or(|own| is_list || own.bytes.len() < held.bytes.len())
        });
        held.into_iter().chain(own)
    }

    /// Takes a byte as it stands in the text.
    fn take(&mut self, byte: u8, limit: usize) {
        if self.sign.is_empty() && !may_escape(byte) {
            return self.plain(byte, limit);
        }
        self.sign.push(byte);
        match undo(&self.sign) {
            Sign::Open => {}
            Sign::Byte(byte) => {
                self.sign.clear();
                self.undone(byte, limit);
                self.piece = (self.next, self.sextets.count());
            }
            Sign::None => {
                let sign = std::mem::take(&mut self.sign);
                if let Some((first, rest)) = sign.split_first() {
                    self.plain(*first, limit);
                    // No deeper than a sign is long: each begins behind the one that was none.
                    rest.iter().for_each(|byte| self.take(*byte, limit));
                }
            }
        }
    }

    /// Takes a character that was escaped.
    fn undone(&mut self, byte: u8, limit: usize) {
        if self.ended {
            return;
        }
        self.used = true;
        match byte.is_ascii_whitespace() {
            true => self.at_break = true,
            false => self.plain(byte, limit),
        }
    }

    /// Takes a character that is none of a sign.
    fn plain(&mut self, byte: u8, limit: usize) {
        let six = value(byte);
        match six.filter(|_| !self.ended && self.goes_on(byte)) {
            Some(six) => {
                self.joint.clear();
                self.at_break = false;
                self.hexadecimal &= byte.is_ascii_hexdigit();
                self.line = self.line.saturating_add(1);
                if self.next != self.last.saturating_add(1) {
                    self.piece = (self.next.saturating_sub(1), self.sextets.count());
                }
                self.last = self.next;
                self.sextets.add(six, limit);
            }
            // Padding ends it.
            None if byte == b'=' && self.joint.is_empty() => self.ended = true,
            // A word is no line.
            None if self.joint.len() < JOINT && (self.named || self.sextets.count() >= PIECE) => {
                self.joint.push(byte)
            }
            None => self.ended = true,
        }
    }

    /// Tells whether the run goes on with this character behind its joint.
    fn goes_on(&mut self, byte: u8) -> bool {
        let joint = self.joint.as_slice();
        let own = joint.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let own = own.and_then(|last| joint.get(last.saturating_add(1)..));
        let goes_on = match (joint.trim_ascii(), own) {
            _ if joint.is_empty() => return true,
            (b"", None) => self.at_break,
            (b"", Some(_)) => {
                // What looks like one more line may be what each begins with.
                let prefix = self.prefix.as_deref().unwrap_or_default();
                let is_prefix = !self.plain && prefix.trim_ascii_start().first() == Some(&byte);
                self.plain |= !is_prefix && self.line >= LINE;
                self.plain
            }
            (b"\\" | b"^" | b"`", Some(_)) => {
                self.used = true;
                true
            }
            (_, Some(own)) if self.is_next(own) => {
                self.width = Some(self.line);
                self.prefixes = self.prefixes.saturating_add(1);
                self.used = true;
                true
            }
            _ => {
                let texts = joint.iter().all(|byte| may_join(*byte)) && joins_texts(joint);
                texts && self.sextets.count() >= PIECE
            }
        };
        if goes_on {
            self.line = 0;
        }
        goes_on
    }

    /// Tells whether a line that begins with `own` is the next of those that the run is cut into: they have the same length.
    fn is_next(&self, own: &[u8]) -> bool {
        let Some(prefix) = &self.prefix else {
            return false;
        };
        if self.line < PIECE || self.width.is_some_and(|width| width != self.line) {
            return false;
        }
        match prefix.last() {
            Some(quote @ (b'"' | b'\'')) => {
                let adds = |byte: &u8| matches!(byte, b'+' | b'&' | b'.' | b'<');
                let same = own == prefix || own.iter().any(adds);
                own.last() == Some(quote)
                    && same
                    && !word(own).is_empty()
                    && word(own) == word(prefix)
            }
            _ => own == prefix && !own.trim_ascii().is_empty(),
        }
    }
}

/// The word that a line begins with.
fn word(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_start();
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'$');
    let length = line.iter().take_while(is_letter).count();
    line.get(..length).unwrap_or_default()
}

fn undo(sign: &[u8]) -> Sign {
    let number = |digits: &[u8], count: usize| {
        if digits.len() > count || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Sign::None;
        }
        if digits.len() < count {
            return Sign::Open;
        }
        let digits = std::str::from_utf8(digits).ok();
        let number = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        number.filter(u8::is_ascii).map_or(Sign::None, Sign::Byte)
    };
    match sign {
        [b'%', digits @ ..] => number(digits, 2),
        [b'&', name @ .., b';'] => match character(name).as_deref().map(str::as_bytes) {
            Some([byte]) => Sign::Byte(*byte),
            _ => Sign::None,
        },
        [b'&', name @ ..] => {
            let fits = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
            match name.iter().all(fits) && name.len() < SIGN {
                true => Sign::Open,
                false => Sign::None,
            }
        }
        // JSON within JSON has two of them.
        [b'\\', rest @ ..] if rest.len() < SIGN => {
            let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
            match rest.get(slashes..).unwrap_or_default() {
                [] | [b'\r'] => Sign::Open,
                [byte @ (b'/' | b'+')] => Sign::Byte(*byte),
                [b'n' | b'r' | b't' | b'\n'] | [b'\r', b'\n'] => Sign::Byte(b'\n'),
                [b'u', digits @ ..] => number(digits, 4),
                [b'x', digits @ ..] => number(digits, 2),
                _ => Sign::None,
            }
        }
        _ => Sign::None,
    }
}
