//! Digits of base64 as the bytes that they stand for.
#![forbid(unsafe_code)]

use super::run::value;

/// Digits that come one by one.
#[derive(Debug, Default)]
pub(super) struct Sextets {
    bits: u32,
    count: usize,
    bytes: Vec<u8>,
    cut: bool,
}

impl Sextets {
    /// Takes a digit of six bits; bytes above the limit are not kept.
    pub(super) fn add(&mut self, six: u8, limit: usize) {
        self.count = self.count.saturating_add(1);
        self.bits = self.bits << 6 | u32::from(six);
        if self.count.is_multiple_of(4) {
            let [_, three @ ..] = self.bits.to_be_bytes();
            match self.bytes.len() < limit {
                true => self.bytes.extend_from_slice(&three),
                false => self.cut = true,
            }
        }
    }

    /// Takes characters of the alphabet that follow each other.
    pub(super) fn add_all(&mut self, letters: &[u8], limit: usize) {
        let six = |letter: &u8| value(*letter).unwrap_or(0);
        let open = self.count.wrapping_neg() % 4;
        let (first, rest) = letters.split_at_checked(open).unwrap_or((letters, &[]));
        first.iter().for_each(|letter| self.add(six(letter), limit));
        let (fours, last) = rest.as_chunks::<4>();
        let room = limit.saturating_sub(self.bytes.len()).div_ceil(3);
        let kept = fours.get(..room).unwrap_or(fours);
        self.cut |= kept.len() < fours.len();
        self.count = self.count.saturating_add(rest.len() - last.len());
        self.bytes.extend(kept.iter().flat_map(|four| {
            let bits = four
                .iter()
                .fold(0, |bits, letter| bits << 6 | u32::from(six(letter)));
            let [_, three @ ..] = bits.to_be_bytes();
            three
        }));
        last.iter().for_each(|letter| self.add(six(letter), limit));
    }

    /// Begins again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.bits, self.count, self.cut) = (0, 0, false);
    }

    /// How many digits there were.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The bytes, with those of a last quartet that is not whole, and whether some are missing at the limit.
    pub(super) fn finish(mut self) -> (Vec<u8>, bool) {
        let bits = self.bits;
        match self.count % 4 {
            2 => self.bytes.push((bits >> 4) as u8),
            3 => self
                .bytes
                .extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
            _ => {}
        }
        (self.bytes, self.cut)
    }
}
