//! What a decoder gave last: the bytes that it may copy from, and those that nobody has taken yet.
//!
//! One buffer, written from its start to its end; what is too far back is dropped when it is full. Short copies move
//! [`STEP`] bytes whatever their length, so that much room is kept behind the end.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::damaged;

/// Bytes that are moved at once.
const STEP: usize = 16;

/// The most bytes that are gathered behind what is kept before it is moved to the front.
const GATHERED: usize = 32 << 20;

/// The last bytes of a content.
pub(super) struct Window {
    bytes: Vec<u8>,
    /// Up to where the bytes are content.
    end: usize,
    /// Up to where they have been taken.
    taken: usize,
    /// Copies may begin as far back as this.
    reach: usize,
}

impl Window {
    /// An empty window whose copies reach back `reach` bytes. It takes at most twice that, 32 MiB above a reach of 32 MiB, and
    /// what is asked for by [`Self::reserve`].
    pub(super) fn new(reach: usize) -> Self {
        Self {
            bytes: Vec::new(),
            end: 0,
            taken: 0,
            reach,
        }
    }

    /// As if `reach` bytes of this value had been taken.
    pub(super) fn filled(reach: usize, value: u8) -> Self {
        Self {
            bytes: vec![value; reach],
            end: reach,
            taken: reach,
            reach,
        }
    }

    /// Makes room for `count` bytes more. What is not reserved is not written.
    pub(super) fn reserve(&mut self, count: usize) {
        let kept = self.reach.min(GATHERED);
        let past = self.end.saturating_sub(self.reach).min(self.taken);
        let room = count.saturating_add(STEP);
        if self.bytes.len() - self.end < room && past >= kept {
            self.bytes.copy_within(past..self.end, 0);
            self.end -= past;
            self.taken -= past;
        }
        let wanted = self.end.saturating_add(room);
        if self.bytes.len() < wanted {
            let most = self.reach.saturating_add(kept).saturating_add(room);
            let length = wanted.max(most.min(2 * self.bytes.len()));
            self.bytes.reserve_exact(length - self.bytes.len());
            self.bytes.resize(length, 0);
        }
    }

    /// Bytes that have not been taken yet.
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.taken..self.end).unwrap_or_default()
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.end) {
            *place = byte;
            self.end += 1;
        }
    }

    /// Appends the first `length` bytes of `source`, as far as they are there.
    #[inline]
    pub(super) fn append(&mut self, source: &[u8], length: usize) {
        if length <= STEP
            && let Some(step) = source.first_chunk::<STEP>()
            && let Some(place) = self.place()
        {
            *place = *step;
            self.end += length;
            return;
        }
        let source = source.get(..length).unwrap_or(source);
        let end = self.end + source.len();
        if let Some(place) = self.bytes.get_mut(self.end..end) {
            place.copy_from_slice(source);
            self.end = end;
        }
    }

    /// Appends `length` times this byte.
    pub(super) fn fill(&mut self, byte: u8, length: usize) {
        if let Some(place) = self.bytes.get_mut(self.end..self.end + length) {
            place.fill(byte);
            self.end += length;
        }
    }

    /// Appends `length` bytes that begin `distance` bytes back, and may be those that are appended.
    #[inline]
    pub(super) fn copy(&mut self, distance: usize, length: usize) -> io::Result<()> {
        let from = self.end.checked_sub(distance).filter(|_| distance > 0);
        let Some(from) = from else {
            return Err(damaged("a copy from before the start"));
        };
        // Up to here there is room for a whole step.
        let safe = self.bytes.len().saturating_sub(STEP);
        let end = self.end + length;
        if distance < STEP || length > 4 * STEP || end > safe {
            self.copy_any(from, length);
            return Ok(());
        }
        let mut from = from;
        loop {
            let step = self
                .bytes
                .get(from..from + STEP)
                .and_then(<[u8]>::first_chunk::<STEP>);
            let Some(step) = step.copied() else { break };
            let Some(place) = self.place() else { break };
            *place = step;
            from += STEP;
            self.end += STEP;
            if self.end >= end {
                break;
            }
        }
        self.end = end;
        Ok(())
    }

    #[inline]
    fn place(&mut self) -> Option<&mut [u8; STEP]> {
        let rest = self.bytes.get_mut(self.end..)?;
        rest.first_chunk_mut()
    }

    /// A copy that is long, or goes on into itself soon.
    fn copy_any(&mut self, from: usize, length: usize) {
        let end = self.end + length;
        if end > self.bytes.len() {
            return;
        }
        while self.end < end {
            // What was copied repeats the same bytes, so each step can be twice as long.
            let step = (self.end - from).min(end - self.end);
            self.bytes.copy_within(from..from + step, self.end);
            self.end += step;
        }
    }
}

/// Takes what has not been taken yet.
impl Read for Window {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.waiting().read(out)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::Random;

    #[test]
    fn a_window_gives_what_a_plain_buffer_does() {
        let mut random = Random::new(11);
        for reach in [1, 3, 16, 100, 5000] {
            let mut window = Window::new(reach);
            let mut plain = Vec::new();
            let mut given = Vec::new();
            for _ in 0..3000 {
                let length = [1, 2, 5, 15, 16, 17, 40, 300][random.below(8)];
                window.reserve(length);
                match random.below(4) {
                    0 => {
                        let more = random.below(2) * 20;
                        let source = random.bytes(length + more);
                        window.append(&source, length);
                        plain.extend_from_slice(&source[..length]);
                    }
                    1 => {
                        window.fill(7, length);
                        plain.resize(plain.len() + length, 7);
                    }
                    2 => {
                        window.push(9);
                        plain.push(9);
                    }
                    _ => {
                        let distance = 1 + random.below(reach);
                        if window.copy(distance, length).is_err() {
                            assert!(distance > plain.len());
                            continue;
                        }
                        for _ in 0..length {
                            plain.push(plain[plain.len() - distance]);
                        }
                    }
                }
                assert!(plain.ends_with(window.waiting()));
                if random.below(3) > 0 {
                    window.read_to_end(&mut given).unwrap();
                }
            }
            window.read_to_end(&mut given).unwrap();
            assert!(given == plain, "{reach}");
            assert!(window.bytes.len() <= 2 * reach + 2000, "{reach}");
        }
    }

    #[test]
    fn nothing_is_copied_from_before_the_start_or_from_here() {
        let mut window = Window::filled(4, b' ');
        window.reserve(100);
        assert!(window.copy(0, 1).is_err());
        assert!(window.copy(5, 1).is_err());
        window.push(b'a');
        window.copy(5, 9).unwrap();
        assert_eq!(window.waiting(), b"a    a    ");
    }
}
