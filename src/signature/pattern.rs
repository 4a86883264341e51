//! A pattern: a sequence of bytes, each of them exact or an ASCII letter in either case.
//!
//! Several source formats write such sequences in pieces (`"abc", ~"def"`); here they are one, so that the engine
//! searches them as one. The length is bounded because the engine keeps as much content between two windows.
#![forbid(unsafe_code)]

use thiserror::Error;

/// The longest pattern in bytes. It bounds what each scan carries from one window of content to the next.
pub const LENGTH_LIMIT: usize = 4096;

/// Why bytes are no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoPattern {
    /// There is nothing to search for.
    #[error("a pattern without any byte")]
    Empty,
    /// More than [`LENGTH_LIMIT`] bytes.
    #[error("a pattern of more than {LENGTH_LIMIT} bytes")]
    TooLong,
}

/// A sequence of bytes to search for; never empty, never longer than [`LENGTH_LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// All bytes, the caseless ones as lower case.
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

/// So many bytes in a row that compare alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Run {
    length: usize,
    caseless: bool,
}

impl Pattern {
    /// Exactly these bytes.
    ///
    /// # Errors
    /// No bytes, or too many.
    pub fn exact(bytes: &[u8]) -> Result<Self, NoPattern> {
        Self::uniform(bytes.to_vec(), false)
    }

    /// These bytes, ASCII letters in either case.
    ///
    /// # Errors
    /// No bytes, or too many.
    pub fn caseless(bytes: &[u8]) -> Result<Self, NoPattern> {
        // Without a letter the case means nothing, and exact bytes merge and compare faster.
        let caseless = bytes.iter().any(u8::is_ascii_alphabetic);
        Self::uniform(bytes.to_ascii_lowercase(), caseless)
    }

    fn uniform(bytes: Vec<u8>, caseless: bool) -> Result<Self, NoPattern> {
        match bytes.len() {
            0 => Err(NoPattern::Empty),
            LENGTH_LIMIT.. if bytes.len() > LENGTH_LIMIT => Err(NoPattern::TooLong),
            length => Ok(Self {
                bytes,
                runs: vec![Run { length, caseless }],
            }),
        }
    }

    /// This pattern directly followed by `next`.
    ///
    /// # Errors
    /// Together they are too long.
    pub fn followed_by(mut self, next: &Self) -> Result<Self, NoPattern> {
        if self.bytes.len() + next.bytes.len() > LENGTH_LIMIT {
            return Err(NoPattern::TooLong);
        }
        self.bytes.extend_from_slice(&next.bytes);
        for run in &next.runs {
            match self.runs.last_mut() {
                Some(last) if last.caseless == run.caseless => last.length += run.length,
                _ => self.runs.push(run.clone()),
            }
        }
        Ok(self)
    }

    /// Its length in bytes, which is also the length of whatever it matches.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Its bytes with every ASCII letter as lower case.
    pub fn folded(&self) -> Vec<u8> {
        self.bytes.to_ascii_lowercase()
    }

    /// Its parts: bytes that compare alike, and whether case matters not.
    pub fn runs(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut rest = self.bytes.as_slice();
        self.runs.iter().map_while(move |run| {
            let (bytes, after) = rest.split_at_checked(run.length)?;
            rest = after;
            Some((bytes, run.caseless))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_merge_into_one_sequence() {
        let pattern = Pattern::exact(b"Ab")
            .unwrap()
            .followed_by(&Pattern::caseless(b"1 2").unwrap())
            .unwrap()
            .followed_by(&Pattern::caseless(b"Cd").unwrap())
            .unwrap();
        let runs: Vec<_> = pattern.runs().collect();
        assert_eq!(runs, [(&b"Ab1 2"[..], false), (b"cd", true)]);
        assert_eq!(pattern.length(), 7);
        assert_eq!(pattern.folded(), b"ab1 2cd");
    }

    #[test]
    fn a_pattern_has_a_byte_and_not_too_many() {
        let longest = Pattern::exact(&[7; LENGTH_LIMIT]).unwrap();
        let one = Pattern::caseless(b"x").unwrap();
        assert_eq!(longest.followed_by(&one), Err(NoPattern::TooLong));
        assert_eq!(
            Pattern::exact(&[7; LENGTH_LIMIT + 1]),
            Err(NoPattern::TooLong)
        );
        assert_eq!(Pattern::caseless(b""), Err(NoPattern::Empty));
    }
}
