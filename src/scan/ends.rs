//! The two ends of content that goes by once: what recognition needs of a stream that is not kept in memory.
#![forbid(unsafe_code)]

use crate::object::{HEAD, Probe, TAIL};

/// Keeps the first [`HEAD`] and the last [`TAIL`] bytes of what is pushed.
#[derive(Debug, Default)]
pub(super) struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
}

impl Ends {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.length += chunk.len() as u64;
        let missing = HEAD.saturating_sub(self.head.len()).min(chunk.len());
        self.head
            .extend_from_slice(chunk.get(..missing).unwrap_or(chunk));
        let last = chunk.get(chunk.len().saturating_sub(TAIL)..);
        let last = last.unwrap_or(chunk);
        // Trimmed seldom, so that each byte is moved about once.
        if last.len() == TAIL {
            self.tail.clear();
        } else if self.tail.len() > 4 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        self.tail.extend_from_slice(last);
    }

    /// The ends of all that was pushed.
    pub(super) fn finish(mut self) -> Probe {
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        Probe {
            head: self.head.into(),
            tail: self.tail.into(),
            length: self.length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;
    use crate::stop::Stop;

    #[test]
    fn a_stream_has_the_same_ends_as_an_object() {
        let content: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        for length in [0, 1, HEAD, HEAD + 1, TAIL, 5 * TAIL + 7, content.len()] {
            for step in [999, 131_072] {
                let mut ends = Ends::default();
                for chunk in content[..length].chunks(step) {
                    ends.push(chunk);
                }
                let probe = ends.finish();
                let object = Object::memory(content[..length].to_vec().into(), Stop::never());
                let expected = object.probe().unwrap();
                assert!(probe.head == expected.head && probe.tail == expected.tail);
                assert_eq!(probe.length, expected.length);
            }
        }
    }
}
