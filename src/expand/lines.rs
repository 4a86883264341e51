//! The lines of a content of any length, with any line end: LF, CR LF, or CR alone. Texts that wander between systems
//! have all of them, and a reader that knows only one can be led to see other lines than the next.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::object::{Object, ObjectReader};

/// Of a longer line this much is kept; no line that means anything is as long.
pub(super) const KEPT: usize = 8 * 1024;

/// Bytes read in the first step, for many ask for a line or two; then each step is twice as long, up to the last.
const FIRST: usize = 512;
const STEP: usize = 64 * 1024;

/// Reads line by line.
pub(super) struct Lines {
    reader: ObjectReader,
    buffer: Vec<u8>,
    /// The place of the next line in the buffer, and of the buffer in the content.
    next: usize,
    start: u64,
    ended: bool,
    step: usize,
    /// The line before has characters, and ended with CR alone.
    cut: bool,
}

/// One line.
pub(super) struct Line<'a> {
    /// Without its end; not more than [`KEPT`] bytes of it.
    pub(super) text: &'a [u8],
    /// Where it begins.
    pub(super) start: u64,
    /// Where its line end begins.
    pub(super) stop: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// It has nothing but the end of the line before, which is CR CR LF.
    pub(super) torn: bool,
}

impl Lines {
    /// The lines of `object` from byte `at` on. Places are counted from its start.
    pub(super) fn new(object: &Object, at: u64) -> Self {
        Self {
            reader: object.slice(at, u64::MAX).raw_reader(),
            buffer: Vec::new(),
            next: 0,
            start: at,
            ended: false,
            step: FIRST,
            cut: false,
        }
    }

    /// As [`Lines::new`], behind a line.
    pub(super) fn behind(object: &Object, at: u64) -> io::Result<Self> {
        let mut lines = Self::new(object, at.saturating_sub(1));
        if at == 0 {
            return Ok(lines);
        }
        lines.more()?;
        if lines.buffer.is_empty() {
            return Ok(Self::new(object, at));
        }
        lines.cut = lines.buffer.starts_with(b"\r");
        lines.next = 1;
        Ok(lines)
    }

    /// The place of the next line.
    pub(super) fn position(&self) -> u64 {
        self.start.saturating_add(self.next as u64)
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let (mut seen, mut gone) = (0, 0_u64);
        let kept;
        loop {
            let rest = self.buffer.get(self.next..).unwrap_or_default();
            let fresh = rest.get(seen..).unwrap_or_default();
            let found = memchr::memchr2(b'\n', b'\r', fresh).map(|at| at + seen);
            // A CR at the end of what was read may have its LF behind it.
            let sure = found
                .filter(|at| self.ended || at + 1 < rest.len() || rest.get(*at) == Some(&b'\n'));
            if let Some(at) = sure {
                kept = (at, width(rest, at));
                break;
            }
            if self.ended {
                if rest.is_empty() && gone == 0 {
                    return Ok(None);
                }
                kept = (rest.len(), 0);
                break;
            }
            seen = found.unwrap_or(rest.len());
            if found.is_none() && rest.len() >= 2 * KEPT {
                // What lies between the start and here will not be looked at.
                let extra = rest.len() - KEPT;
                let from = self.next.saturating_add(KEPT);
                self.buffer.drain(from..from.saturating_add(extra));
                gone = gone.saturating_add(extra as u64);
                seen = KEPT;
            }
            self.more()?;
        }
        let (length, end) = kept;
        let start = self.position();
        let from = self.next;
        self.next = from.saturating_add(length).saturating_add(end);
        let stop = start.saturating_add(gone).saturating_add(length as u64);
        self.start = self.start.saturating_add(gone);
        let is_return = self.buffer.get(from.saturating_add(length)) == Some(&b'\r');
        let torn = self.cut && length == 0 && end == 2;
        self.cut = length > 0 && end == 1 && is_return;
        let text = self.buffer.get(from..from.saturating_add(length.min(KEPT)));
        Ok(Some(Line {
            text: text.unwrap_or_default(),
            start,
            stop,
            end: stop.saturating_add(end as u64),
            torn,
        }))
    }

    fn more(&mut self) -> io::Result<()> {
        if self.next > 0 {
            self.buffer.drain(..self.next);
            self.start = self.start.saturating_add(self.next as u64);
            self.next = 0;
        }
        let before = self.buffer.len();
        self.buffer.resize(before.saturating_add(self.step), 0);
        let room = self.buffer.get_mut(before..).unwrap_or_default();
        let read = self.reader.read(room);
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(before.saturating_add(count));
        self.step = (2 * self.step).min(STEP);
        self.ended = read? == 0;
        Ok(())
    }
}

/// Bytes of the line end at `at`.
fn width(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with(b"\r\n") { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Random, object};

    fn all(bytes: &[u8]) -> Vec<(Vec<u8>, u64, u64, u64)> {
        let mut lines = Lines::new(&object(bytes), 0);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.text.to_vec(), line.start, line.stop, line.end));
        }
        found
    }

    #[test]
    fn every_line_end_ends_a_line() {
        let texts: Vec<_> = all(b"a\nb\r\nc\rd\r\r\n\ne");
        let texts: Vec<&[u8]> = texts.iter().map(|line| &*line.0).collect();
        assert_eq!(texts, [&b"a"[..], b"b", b"c", b"d", b"", b"", b"e"]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_end_with_a_carriage_return_too_many_is_told() {
        let object = object(b"a\r\r\nb\r\n\r\n\r\r\n");
        let torn = |at: u64| {
            let mut lines = Lines::behind(&object, at).unwrap();
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push((line.start, line.torn));
            }
            found
        };
        let all = [
            (0, false),
            (2, true),
            (4, false),
            (7, false),
            (9, false),
            (10, false),
        ];
        assert_eq!(torn(0), all);
        assert_eq!(torn(2), all[1..]);
        assert_eq!(torn(4), all[2..]);
        assert_eq!(torn(99), []);
    }

    #[test]
    fn lines_lie_where_they_say_however_long_they_are() {
        let mut random = Random::new(5);
        for _ in 0..30 {
            let mut bytes = Vec::new();
            for _ in 0..40 {
                let length =
                    [0, 1, 76, KEPT, 2 * KEPT + 1, STEP - 1, STEP, 3 * STEP][random.below(8)];
                bytes.resize(bytes.len() + length, b'x');
                bytes.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][random.below(3)]);
            }
            let mut at = 0;
            for (text, start, stop, end) in all(&bytes) {
                assert_eq!(start, at);
                let (from, to) = (start as usize, stop as usize);
                let whole = &bytes[from..to];
                assert_eq!(text, &whole[..whole.len().min(KEPT)]);
                assert!(whole.iter().all(|byte| *byte == b'x'));
                assert!((1..=2).contains(&(end - stop)));
                at = end;
            }
            assert_eq!(at, bytes.len() as u64);
        }
    }
}
