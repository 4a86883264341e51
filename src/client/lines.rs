//! Bytes of a connection to lines, without IO: the frame comes before its meaning, and has a cap.
#![forbid(unsafe_code)]

use bytes::{Buf, Bytes, BytesMut};

/// The longest reply line. A path is up to 33 names of 4 KiB, each byte up to four as `\xHH`: half of this. More is no
/// reply but a flood.
pub const LINE_LIMIT: usize = 1 << 20;

/// Cuts what a server sends into lines.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// The bytes that are known to hold no line end, so that each is looked at once.
    searched: usize,
}

/// The server sent a line of more than [`LINE_LIMIT`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reply of more than {LINE_LIMIT} bytes")]
pub struct TooLong;

impl Lines {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete line without its LF or CR LF. What the connection's end cuts off is never a line: `DONE 1` may
    /// have been the start of anything.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh).map(|at| self.searched + at);
        if end.unwrap_or(self.buffer.len()) > LINE_LIMIT {
            return Err(TooLong);
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        self.searched = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Ok(Some(line.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| lines.next_line().unwrap())
            .map(|line| line.to_vec())
            .collect()
    }

    #[test]
    fn every_split_gives_the_same_lines() {
        let wire = b"READY\r\n\n1 DONE : \"a\rb\"\nOK\r\r\ncut off";
        let whole = [&b"READY"[..], b"", b"1 DONE : \"a\rb\"", b"OK\r"];
        for at in 0..=wire.len() {
            let mut lines = Lines::default();
            lines.push(&wire[..at]);
            let mut got = all(&mut lines);
            lines.push(&wire[at..]);
            got.extend(all(&mut lines));
            assert_eq!(got, whole, "split at {at}");
        }
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for byte in wire {
            lines.push(&[*byte]);
            got.extend(all(&mut lines));
        }
        assert_eq!(got, whole, "byte by byte");
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_LIMIT]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next_line().unwrap().unwrap().len(), LINE_LIMIT);
        lines.push(&vec![b'x'; LINE_LIMIT + 1]);
        assert_eq!(lines.next_line(), Err(TooLong));
        lines.push(b"\n");
        assert_eq!(lines.next_line(), Err(TooLong));
    }
}
