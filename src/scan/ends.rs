//! The two ends of content that goes by once: what recognition needs, kept while a stream is matched.
#![forbid(unsafe_code)]

use crate::object::{HEAD, Probe, TAIL};

/// Keeps the first [`HEAD`] and the last [`TAIL`] bytes of what is pushed.
#[derive(Debug, Default)]
pub(super) struct Ends {
    probe: Probe,
}

impl Ends {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let probe = &mut self.probe;
        probe.length += chunk.len() as u64;
        let missing = HEAD.saturating_sub(probe.head.len()).min(chunk.len());
        probe
            .head
            .extend_from_slice(chunk.get(..missing).unwrap_or(chunk));
        probe.tail.extend_from_slice(chunk);
        // Trimmed seldom, so that each byte is moved about once.
        if probe.tail.len() > 4 * TAIL {
            probe.tail.drain(..probe.tail.len() - TAIL);
        }
    }

    /// The ends of all that was pushed.
    pub(super) fn finish(mut self) -> Probe {
        let surplus = self.probe.tail.len().saturating_sub(TAIL);
        self.probe.tail.drain(..surplus);
        self.probe
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
