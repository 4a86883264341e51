//! Where in a text a run of base64 may begin.
//!
//! A word is all characters of the alphabet that follow each other. Most words of a text are too short for a run, and nothing else
//! about them asks for a look. They are told apart here, 64 bytes at a time: each byte gets its classes as bits, and each class
//! becomes a number with a bit for each byte.
#![forbid(unsafe_code)]

use super::joint::is_break;
use super::run::{NAMED_RUN, NARROW, PIECE, Start};
use super::wrapped::may_escape;

/// Bytes before a run in which it is called base64.
const BEFORE: usize = 24;

/// What may stand at the beginning of each line of a quote or a comment.
const MARKS: &[u8] = b" \t>|*#/";

/// The fewest characters in front of one that is escaped: `/9j\/`.
pub(super) const ESCAPED: usize = 3;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Words that call what follows base64.
const NAMES: [&[u8]; 5] = [
    b";base64,",
    b"-enc ",
    b"encodedcommand ",
    b"base64string(",
    b"atob(",
];

/// Classes of bytes.
const LETTER: u8 = 1;
const BREAK: u8 = 2;
const ESCAPE: u8 = 4;
/// What may be the end of a name, by its last two bytes.
const NAMED: u8 = 8;

/// Goes through one piece of a text.
#[derive(Debug)]
pub(super) struct Words {
    /// Where the next block begins.
    next: usize,
    /// Ends of words that are worth a look, in the block before.
    ends: u64,
    /// The letters of that block and of the one before it.
    letters: u128,
    /// Up to here a word may be named.
    named: usize,
}

impl Words {
    /// Begins a piece. A name may have ended just before it.
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            ends: 0,
            letters: 0,
            named: BLOCK + BEFORE + PIECE,
        }
    }

    /// The next word of the text behind `from` that may begin a run, from its first character to the byte behind it. A word that goes
    /// to the end of the text is none. All that is left out is too short, whatever stands around it.
    pub(super) fn next(&mut self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        if from >= self.next.saturating_add(BLOCK) {
            // Nobody knows what stands just before.
            *self = Self {
                next: from,
                named: from.saturating_add(BLOCK + BEFORE + PIECE),
                ..Self::new()
            };
        }
        loop {
            while self.ends != 0 {
                let bit = self.ends.trailing_zeros();
                self.ends &= self.ends.wrapping_sub(1);
                let end = (self.next.saturating_sub(BLOCK)).saturating_add(bit as usize);
                if end >= text.len() {
                    return None;
                }
                // The letters below the end, at the top of the number.
                let below = self.letters << (u64::BITS.saturating_sub(bit));
                let begin = match below.leading_ones() {
                    ones if ones < u64::BITS => end.saturating_sub(ones as usize),
                    _ => end.saturating_sub(word_before(text, from, end)),
                };
                let begin = begin.max(from);
                if begin < end {
                    return Some((begin, end));
                }
            }
            if self.next >= text.len() {
                return None;
            }
            self.block(text);
        }
    }

    /// Looks at the next block.
    fn block(&mut self, text: &[u8]) {
        let block = block(text, self.next);
        // Behind the first block each word may be named anyhow.
        let classes = match self.next.checked_sub(1) {
            Some(before) => classes(&block, &self::block(text, before)),
            None => classes(&block, &[0; BLOCK]),
        };
        let letters = bits(&classes, LETTER);
        let all = self.letters >> BLOCK | u128::from(letters) << BLOCK;
        self.letters = all;
        // Of each byte whether it is the last of so many letters, and those that stand behind one.
        let two = all & all << 1;
        let three = two & all << 2;
        let four = two & two << 2;
        let eight = four & four << 4;
        let sixteen = eight & eight << 8;
        let behind = |run: u128| (run >> (BLOCK - 1)) as u64;
        const { assert!(ESCAPED == 3 && NARROW == 4 && NAMED_RUN == 8 && PIECE == 16) };
        let any = classes.iter().fold(0, |any, class| any | class);
        let mut ends = behind(sixteen);
        if any & ESCAPE != 0 {
            ends |= behind(three) & bits(&classes, ESCAPE);
        }
        if any & BREAK != 0 {
            ends |= behind(four) & bits(&classes, BREAK);
        }
        if any & NAMED != 0 {
            self.look_for_names(text, bits(&classes, NAMED));
        }
        if self.named >= self.next {
            ends |= behind(eight);
        }
        self.ends = ends & !letters;
        self.next = self.next.saturating_add(BLOCK);
    }

    fn look_for_names(&mut self, text: &[u8], mut places: u64) {
        while places != 0 {
            let at = (self.next).saturating_add(places.trailing_zeros() as usize);
            places &= places.wrapping_sub(1);
            let before = text.get(..=at).unwrap_or_default();
            if NAMES.iter().any(|name| ends_with(before, name)) {
                self.named = at.saturating_add(BEFORE + PIECE);
            }
        }
    }
}

/// How many letters end here.
fn word_before(text: &[u8], from: usize, end: usize) -> usize {
    let before = text.get(from..end).unwrap_or_default();
    let is_letter = |byte: &&u8| super::run::value(**byte).is_some();
    before.iter().rev().take_while(is_letter).count()
}

/// The bytes from this place on, with zeros behind the end.
fn block(text: &[u8], at: usize) -> [u8; BLOCK] {
    let rest = text.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut block = [0; BLOCK];
        block
            .iter_mut()
            .zip(rest)
            .for_each(|(to, from)| *to = *from);
        block
    })
}

/// Bytes that fit into one register.
const LANES: usize = 16;

/// The classes of each byte, told without a branch from it and the one before it.
fn classes(block: &[u8; BLOCK], before: &[u8; BLOCK]) -> [u8; BLOCK] {
    let mut classes = [0; BLOCK];
    let (parts, _) = classes.as_chunks_mut::<LANES>();
    let (block, _) = block.as_chunks::<LANES>();
    let (before, _) = before.as_chunks::<LANES>();
    for (part, (bytes, before)) in parts.iter_mut().zip(block.iter().zip(before)) {
        for (class, (byte, before)) in part.iter_mut().zip(bytes.iter().zip(before)) {
            *class = class_of(*byte, *before | 0x20);
        }
    }
    classes
}

fn class_of(byte: u8, before: u8) -> u8 {
    let is_letter = ((byte | 0x20).wrapping_sub(b'a') < 26)
        // From the plus to the nine all but the comma and the point.
        | ((byte.wrapping_sub(b'+') < 15) & (byte != b',') & (byte != b'.'))
        | (byte == b'_');
    let is_break = (byte == b'\n') | (byte == b'\r');
    let is_escape = (byte == b'\\') | (byte == b'%') | (byte == b'&');
    let is_named = ((byte == b'(') & ((before == b'b') | (before == b'g')))
        | ((byte == b',') & (before == b'4'))
        | ((byte == b' ') & ((before == b'c') | (before == b'd')));
    u8::from(is_letter)
        | u8::from(is_break) << 1
        | u8::from(is_escape) << 2
        | u8::from(is_named) << 3
}

/// A bit for each byte that has this class.
fn bits(classes: &[u8; BLOCK], class: u8) -> u64 {
    let (eights, _) = classes.as_chunks::<8>();
    let shift = class.trailing_zeros();
    let mut bits = 0;
    for eight in eights.iter().rev() {
        let ones = u64::from_le_bytes(*eight) >> shift & 0x0101_0101_0101_0101;
        // The lowest bits of all eight bytes in the highest byte.
        bits = bits << 8 | ones.wrapping_mul(0x0102_0408_1020_4080) >> 56;
    }
    bits
}

fn ends_with(text: &[u8], name: &[u8]) -> bool {
    let from = text.len().checked_sub(name.len());
    let end = from.and_then(|from| text.get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(name))
}

/// Something just before a run calls it base64.
fn is_named(before: &[u8]) -> bool {
    let begin = before.len().saturating_sub(BEFORE);
    let near = before.get(begin..).unwrap_or_default();
    let calls = |at: usize| {
        let before = near.get(..=at).unwrap_or_default();
        ends_with(before, b"base64string(") || ends_with(before, b"atob(")
    };
    match near.last() {
        Some(b',') if ends_with(near, b";base64,") => true,
        Some(b' ') if ends_with(near, b"-enc ") || ends_with(near, b"encodedcommand ") => true,
        _ => memchr::memchr_iter(b'(', near).any(calls),
    }
}

/// Tells whether a run may begin with a word of this length.
pub(super) fn weigh(near: &[u8], length: usize, next: Option<u8>) -> Option<Start> {
    let ends_line = next.is_some_and(is_break);
    let is_alone = length >= NARROW && ends_line && near.last().is_none_or(|last| is_break(*last));
    let is_escaped = length >= ESCAPED && next.is_some_and(may_escape);
    if length < NAMED_RUN && !is_alone && !is_escaped {
        return None;
    }
    let is_line = ends_line && starts_line(near);
    let may_be = length >= PIECE || is_line || is_escaped || is_named(near);
    may_be.then(|| start(near))
}

/// What is known of a run by what stands before it.
pub(super) fn start(near: &[u8]) -> Start {
    let begin = memchr::memrchr2(b'\n', b'\r', near).map_or(0, |at| at.saturating_add(1));
    let line = near.get(begin..).unwrap_or_default();
    Start {
        named: is_named(near),
        starts_line: starts_line(near),
        begins_line: line.iter().all(|byte| MARKS.contains(byte)),
    }
}

/// Nothing but blanks stand before a word in its line.
fn starts_line(near: &[u8]) -> bool {
    let mark = near.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
    mark.is_none_or(|byte| is_break(*byte))
}
