//! The checksum of LHA, CRC-16/ARC: the polynomial 0x8005 with the lowest bit first, from zero. Eight bytes at a time, with a
//! table for each of their places.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

/// For each count of bytes behind it, what a byte adds to the checksum.
static TABLES: LazyLock<[[u16; 256]; 8]> = LazyLock::new(|| {
    let shift = |sum: u16| sum >> 1 ^ if sum & 1 == 0 { 0 } else { 0xa001 };
    let mut sums = std::array::from_fn(|byte| u16::try_from(byte).unwrap_or_default());
    std::array::from_fn(|_| {
        sums = sums.map(|sum| (0..8).fold(sum, |sum, _| shift(sum)));
        sums
    })
});

/// A checksum of the bytes so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Crc16(u16);

impl Crc16 {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let [last, ..] = &*TABLES;
        let add = |table: &[u16; 256], byte: u8| table.get(usize::from(byte)).copied();
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let [low, high] = self.0.to_le_bytes();
            let mut eight = *eight;
            let [first, second, ..] = &mut eight;
            *first ^= low;
            *second ^= high;
            let places = eight.iter().rev().zip(&*TABLES);
            self.0 = places.fold(0, |sum, (byte, table)| {
                sum ^ add(table, *byte).unwrap_or_default()
            });
        }
        for byte in rest {
            let [low, high] = self.0.to_le_bytes();
            self.0 = u16::from(high) ^ add(last, low ^ byte).unwrap_or_default();
        }
    }

    /// The checksum.
    pub(super) fn value(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Crc16;

    #[test]
    fn the_check_value_of_the_polynomial_however_it_is_cut() {
        let bytes = b"123456789".repeat(5);
        let mut whole = Crc16::default();
        whole.update(&bytes);
        for at in 0..bytes.len() {
            let mut sum = Crc16::default();
            sum.update(&bytes[..at]);
            if at == 9 {
                assert_eq!(sum.value(), 0xbb3d);
            }
            sum.update(&bytes[at..]);
            assert_eq!(sum.value(), whole.value(), "{at}");
        }
    }
}
