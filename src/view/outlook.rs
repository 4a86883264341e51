//! What becomes of a short run, by a look at what follows it: most end where they stand, in either reading, and nothing has to be
//! kept of them.
//!
//! Both answers are exact or none. They are about runs that nothing calls base64; of these a reading counts that goes on to
//! [`super::run::RUN`] characters.
#![forbid(unsafe_code)]

use super::address::SIGN;
use super::joint::{Joint, is_break, is_quote};
use super::run::{JOINT, LINE, PIECE, RUN, may_join, value};
use super::wrapped::{Sign, is_next, may_escape, undo, word};

/// What a joint is so far.
struct Between {
    blank: bool,
    breaks: bool,
    quotes: usize,
    commas: bool,
}

impl Between {
    const EMPTY: Self = Self {
        blank: true,
        breaks: false,
        quotes: 0,
        commas: false,
    };

    fn push(&mut self, byte: u8) {
        self.blank &= byte.is_ascii_whitespace();
        self.breaks |= is_break(byte);
        self.quotes = (self.quotes).saturating_add(usize::from(is_quote(byte)));
        self.commas |= byte == b',';
    }

    fn joins_texts(&self) -> bool {
        self.quotes == 2 && !self.commas
    }
}

/// The bytes behind a first piece of `length` characters after which the plain run ends without another; `None` if it goes on or nobody knows.
/// The piece is no whole line.
pub(super) fn plain_end(length: usize, following: &[u8]) -> Option<usize> {
    let mut joint = Between::EMPTY;
    for (at, byte) in following.iter().enumerate() {
        let may_be_joint = match value(*byte).is_some() {
            true => {
                let goes_on = match joint.blank {
                    true => joint.breaks && length >= LINE,
                    false => length >= PIECE && joint.joins_texts(),
                };
                if goes_on {
                    return None;
                }
                length >= PIECE && joint.quotes > 0
            }
            false => true,
        };
        if !may_be_joint || !may_join(*byte) || at >= JOINT {
            return Some(at);
        }
        joint.push(*byte);
    }
    None
}

/// The bytes behind a first piece of `length` characters after which its other reading ends without another, and without a sign
/// that counts; `None` if it may go on. `before` is what stands before the run, and all of the text if the run begins at `at`.
pub(super) fn wrapped_end(
    (before, at): (&[u8], u64),
    length: usize,
    following: &[u8],
) -> Option<usize> {
    if before.last().is_some_and(|last| may_escape(*last)) {
        return None;
    }
    let first = *following.first()?;
    if length < PIECE {
        return match may_escape(first) {
            true => sign_end(following),
            false => Some(1),
        };
    }
    if first == b'=' {
        return Some(1);
    }
    // The byte behind the longest joint ends it.
    let window = following.get(..=JOINT)?;
    let has_sign = memchr::memchr3(b'\\', b'%', b'&', window).is_some();
    if has_sign && length >= RUN {
        return None;
    }
    let prefix = match memchr::memrchr2(b'\n', b'\r', before) {
        Some(last) => before.get(last.saturating_add(1)..),
        None => Some(before).filter(|before| before.len() as u64 == at),
    };
    if has_sign {
        return signed_end(prefix.unwrap_or_default(), length, following);
    }
    if joins(length, window) {
        return None;
    }
    let is_next = prefix.is_some_and(|prefix| may_be_next(prefix, window));
    (!is_next).then_some(window.len())
}

/// A piece may follow as another text or in another line.
fn joins(length: usize, window: &[u8]) -> bool {
    let mut joint = Between::EMPTY;
    for byte in window {
        if joint.blank && matches!(byte, b'^' | b'`') {
            return true;
        }
        if value(*byte).is_some() {
            let goes_on = match joint.blank {
                true => joint.breaks && length >= LINE,
                false => joint.joins_texts(),
            };
            if goes_on {
                return true;
            }
        }
        if !may_join(*byte) && !byte.is_ascii_whitespace() {
            return false;
        }
        joint.push(*byte);
    }
    false
}

/// The same where something in the joint may be escaped: the way of the reading itself, up to the first character with which it goes
/// on. The piece alone has not enough characters to count, so that nobody asks whether there was a sign.
fn signed_end(prefix: &[u8], length: usize, following: &[u8]) -> Option<usize> {
    let mut joint = Joint::default();
    let mut at_break = false;
    let mut at: usize = 0;
    // What may be a sign is read again where it is none.
    let mut read: usize = 0;
    loop {
        let mut byte = *following.get(at)?;
        let mut count = 1;
        if may_escape(byte) {
            let (length, sign) = sign(following.get(at..)?)?;
            read = read.max(at.saturating_add(length));
            if let Sign::Byte(escaped) = sign {
                (byte, count) = (escaped, length);
            }
        }
        at = at.saturating_add(count);
        if count > 1 && byte.is_ascii_whitespace() {
            at_break = true;
            continue;
        }
        if value(byte).is_some() {
            let goes_on = match (joint.is_blank(), joint.line()) {
                (true, None) => at_break || joint.is_empty(),
                (true, Some(_)) => {
                    length >= LINE && prefix.trim_ascii_start().first() != Some(&byte)
                }
                (false, Some(line)) => {
                    joint.is_continued() || is_next(prefix, line) || joint.joins_texts()
                }
                (false, None) => joint.joins_texts(),
            };
            if goes_on {
                return None;
            }
        }
        if byte == b'=' && joint.is_empty() || joint.len() >= JOINT {
            return Some(at.max(read));
        }
        joint.push(byte);
    }
}

/// What a text begins with, and how long that is; `None` if the text is too short.
fn sign(text: &[u8]) -> Option<(usize, Sign)> {
    (1..=SIGN.saturating_add(2)).find_map(|count| match text.get(..count).map(undo) {
        None => Some(None),
        Some(Sign::Open) => None,
        Some(sign) => Some(Some((count, sign))),
    })?
}

/// A line may begin as the line of the run does.
fn may_be_next(prefix: &[u8], window: &[u8]) -> bool {
    if prefix.trim_ascii().is_empty() {
        return false;
    }
    let is_quoted = prefix.last().is_some_and(|last| is_quote(*last));
    let own = word(prefix);
    if is_quoted && own.is_empty() {
        return false;
    }
    memchr::memchr2_iter(b'\n', b'\r', window).any(|at| {
        let line = window.get(at.saturating_add(1)..).unwrap_or_default();
        match is_quoted {
            true => word(line) == own,
            false => line.starts_with(prefix),
        }
    })
}

/// The bytes of a sign that is none, or stands for what ends a word.
fn sign_end(following: &[u8]) -> Option<usize> {
    let (count, sign) = sign(following)?;
    match sign {
        Sign::Byte(byte) if byte.is_ascii_whitespace() => {
            let next = *following.get(count)?;
            let ends = value(next).is_none() && !may_escape(next);
            ends.then(|| count.saturating_add(1))
        }
        Sign::Byte(byte) => value(byte).is_none().then_some(count),
        Sign::Open | Sign::None => Some(count),
    }
}
