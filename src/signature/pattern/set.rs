//! A set of bytes.
#![forbid(unsafe_code)]

use std::fmt;

/// Any of the 256 bytes, each in or out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ByteSet {
    words: [u64; 4],
}

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self { words: [0; 4] };

    /// Every byte.
    pub const ALL: Self = Self {
        words: [u64::MAX; 4],
    };

    /// The bytes from `first` to `last`, both in; empty if `last` is smaller.
    pub fn range(first: u8, last: u8) -> Self {
        (first..=last).collect()
    }

    /// Puts a byte in.
    pub fn insert(&mut self, byte: u8) {
        if let Some(word) = self.words.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    /// Tells whether a byte is in.
    pub fn contains(&self, byte: u8) -> bool {
        let word = self.words.get(usize::from(byte >> 6));
        word.is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// The bytes that are not in.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self {
            words: self.words.map(|word| !word),
        }
    }

    /// The bytes that are in one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut words = self.words;
        for (word, more) in words.iter_mut().zip(other.words) {
            *word |= more;
        }
        Self { words }
    }

    /// How many are in.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Those that are in, from the smallest on.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }

    /// The set as 32 bytes: bit `b % 8` of byte `b / 8` is the byte `b`.
    pub fn to_bits(&self) -> [u8; 32] {
        let mut bits = [0; 32];
        for (eight, word) in bits.chunks_exact_mut(8).zip(self.words) {
            eight.copy_from_slice(&word.to_le_bytes());
        }
        bits
    }

    /// The set that [`ByteSet::to_bits`] wrote.
    pub fn from_bits(bits: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, eight) in words.iter_mut().zip(bits.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*eight);
        }
        Self { words }
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut set = Self::EMPTY;
        for byte in bytes {
            set.insert(byte);
        }
        set
    }
}

impl fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteSet[")?;
        for byte in self.bytes() {
            write!(f, "{}", std::ascii::escape_default(byte))?;
        }
        write!(f, "]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_in_and_nothing_else() {
        let set: ByteSet = [0, 63, 64, 255].into_iter().collect();
        assert_eq!(set.bytes().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(set.complement().count(), 252);
        assert_eq!(set.union(&set.complement()), ByteSet::ALL);
        assert_eq!(
            ByteSet::range(b'a', b'c').bytes().collect::<Vec<_>>(),
            b"abc"
        );
        assert_eq!(ByteSet::range(2, 1), ByteSet::EMPTY);
        assert_eq!(ByteSet::from_bits(&set.to_bits()), set);
    }
}
