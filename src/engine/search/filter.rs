//! What the index asks first at each place it looks at: bits that say which hashes are there, some more by chance.
#![forbid(unsafe_code)]

use bytes::Bytes;
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, IntoBytes};

/// Bits of a filter for each of its keys: about one other in a hundred and fifty passes by chance.
const BITS: usize = 16;

/// The logarithms of the numbers of bits that a filter may have.
const SIZES: std::ops::RangeInclusive<u32> = 9..=28;

/// One bijection for all keys: its upper bits depend on all bytes of the key.
#[inline]
pub(super) fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The lower half of a hash with the upper one mixed in: keys that differ in their last byte alone have the same lower half.
pub(super) fn check(hash: u64) -> u32 {
    let bytes = (hash ^ hash >> 32).to_le_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The upper `count` bits; `count` is at least 1 and at most 32.
pub(super) fn upper(hash: u64, count: u32) -> usize {
    (hash >> (64 - count)) as usize
}

/// The word of a filter of `last` + 1 words, and the three bits in it. All shifts but those by the bits are constant: this is
/// done for each look at the content.
#[inline]
fn place(hash: u64, last: usize) -> (usize, [u64; 3]) {
    let bits = [hash >> 36 & 63, hash >> 30 & 63, hash >> 24 & 63];
    ((hash >> 42) as usize & last, bits)
}

/// The logarithm of the number of bits of a filter of so many keys.
pub(super) fn bits(keys: usize) -> u32 {
    let bits = keys.saturating_mul(BITS).next_power_of_two();
    bits.ilog2().clamp(*SIZES.start(), *SIZES.end())
}

/// A filter that is made.
pub(super) struct Builder {
    words: Vec<U64>,
    last: usize,
}

impl Builder {
    /// Nothing, in so many bits: the logarithm of their number.
    pub(super) fn new(bits: u32) -> Self {
        let last = (1_usize << (bits - 6)) - 1;
        let words = vec![U64::ZERO; last + 1];
        Self { words, last }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let (word, bits) = place(hash, self.last);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits.into_iter().fold(0, |all, bit| all | 1 << bit);
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.words.as_bytes()
    }
}

/// A filter in an image.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    words: Bytes,
}

impl Filter {
    /// The bytes of a filter with so many bits, if there can be one.
    pub(super) fn length(bits: u32) -> Option<usize> {
        SIZES.contains(&bits).then(|| 1 << (bits - 3))
    }

    pub(super) fn open(words: Bytes) -> Self {
        Self { words }
    }

    /// The same in a form that can be asked.
    #[inline]
    pub(super) fn ask(&self) -> Asked<'_> {
        let words = <[U64]>::ref_from_bytes(&self.words).unwrap_or(&[]);
        let last = words.len().saturating_sub(1);
        Asked { words, last }
    }
}

/// A filter that is asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'f> {
    words: &'f [U64],
    last: usize,
}

impl Asked<'_> {
    /// 1 if it has the hash, else 0.
    #[inline]
    pub(super) fn has(&self, hash: u64) -> u64 {
        let (word, [one, other, third]) = place(hash, self.last);
        let word = self.words.get(word).map_or(0, |word| word.get());
        word >> one & word >> other & word >> third & 1
    }
}
