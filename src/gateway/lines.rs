//! Lines out of a stream of bytes, before anybody asks what they mean.
//!
//! Source: spec-vfind.md §1.1. Apart from the commands, so that a hostile stream meets the cap before any grammar, and
//! so that a slow sender costs no more than a fast one: each byte is looked at once.
#![forbid(unsafe_code)]

use bytes::{Buf, BytesMut};

/// The longest line, without its newline: room for the longest path in the quoted form, and little enough that many
/// idle connections with half a line each do not fill memory.
pub(super) const LINE_LIMIT: usize = 64 * 1024;

/// How much of a line that is too long is shown: enough for an id and the first word.
const HEAD: usize = 128;

/// One line, without `\n` or `\r\n`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The first bytes of a line of more than [`LINE_LIMIT`] bytes.
    TooLong(BytesMut),
    /// All of it.
    Whole(BytesMut),
}

/// Where the framing stands within the bytes not yet taken.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// So many bytes at the start of the input hold no newline.
    scanned: usize,
    /// The rest of a line that was too long is still to come.
    skipping: bool,
}

impl Lines {
    /// Takes the next line out of `input`; `None` when there is none yet.
    ///
    /// At the end of the input an unterminated rest is a line too: clients that pipe `QUIT` without a newline into the
    /// socket mean it. A line that is too long is told of once, as soon as it is, and then dropped up to its newline.
    pub(super) fn take(&mut self, input: &mut BytesMut, ended: bool) -> Option<Line> {
        if self.skipping && !self.skip(input) {
            return None;
        }
        let reach = input.len().min(LINE_LIMIT + 1);
        let from = self.scanned.min(reach);
        if let Some(at) = memchr::memchr(b'\n', input.get(from..reach)?) {
            let line = self.cut(input, from + at);
            input.advance(1);
            return Some(line);
        }
        self.scanned = reach;
        if input.len() > LINE_LIMIT {
            return Some(self.too_long(input));
        }
        (ended && !input.is_empty()).then(|| self.cut(input, reach))
    }

    fn cut(&mut self, input: &mut BytesMut, length: usize) -> Line {
        self.scanned = 0;
        let mut line = input.split_to(length);
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        Line::Whole(line)
    }

    fn too_long(&mut self, input: &mut BytesMut) -> Line {
        self.scanned = 0;
        self.skipping = true;
        let head = input.split_to(HEAD);
        input.advance(LINE_LIMIT + 1 - HEAD);
        Line::TooLong(head)
    }

    /// Drops what belongs to a line that was too long; true when its end was among it.
    fn skip(&mut self, input: &mut BytesMut) -> bool {
        let end = memchr::memchr(b'\n', input);
        input.advance(end.map_or(input.len(), |at| at + 1));
        self.skipping = end.is_none();
        !self.skipping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], ended: bool) -> Vec<Line> {
        let (mut lines, mut input, mut got) = (Lines::default(), BytesMut::new(), Vec::new());
        for (row, piece) in pieces.iter().enumerate() {
            input.extend_from_slice(piece);
            let ended = ended && row + 1 == pieces.len();
            while let Some(line) = lines.take(&mut input, ended) {
                got.push(line);
            }
            assert!(input.len() <= LINE_LIMIT);
        }
        got
    }

    fn whole(text: &[u8]) -> Line {
        Line::Whole(text.into())
    }

    #[test]
    fn both_line_ends_and_an_unterminated_last_line() {
        let wire = b"a\r\n\nb\r\r\nc d\n\rQUIT\r";
        let mut expected = vec![whole(b"a"), whole(b""), whole(b"b\r"), whole(b"c d")];
        for at in 0..wire.len() {
            assert_eq!(lines(&[&wire[..at], &wire[at..]], false), expected, "{at}");
        }
        expected.push(whole(b"\rQUIT"));
        assert_eq!(lines(&[wire], true), expected);
    }

    #[test]
    fn a_line_at_the_cap_is_whole_and_one_above_is_told_of_before_it_ends() {
        let longest = vec![b'x'; LINE_LIMIT];
        assert_eq!(
            lines(&[&longest, b"\nb\n"], false),
            [whole(&longest), whole(b"b")]
        );
        let head = Line::TooLong((&longest[..HEAD]).into());
        assert_eq!(lines(&[&longest, b"x"], false), [head]);
    }

    #[test]
    fn a_line_without_end_is_told_of_once_and_not_held() {
        let piece = vec![b'1'; 50_000];
        let mut pieces = vec![&piece[..]; 20];
        pieces.extend([&b"\nnext\n"[..], b"last"]);
        let head = Line::TooLong((&piece[..HEAD]).into());
        assert_eq!(lines(&pieces, true), [head, whole(b"next"), whole(b"last")]);
    }
}
