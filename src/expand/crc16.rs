//! The checksum of 16 bits that Macintosh formats use: CCITT's polynomial, from zero (RFC 1741 appendix A).
#![forbid(unsafe_code)]

/// The checksum of what came before, and one more byte.
pub(super) fn update(sum: u16, byte: u8) -> u16 {
    let mut sum = sum ^ u16::from(byte) << 8;
    for _ in 0..8 {
        let carry = sum & 0x8000 != 0;
        sum <<= 1;
        if carry {
            sum ^= 0x1021;
        }
    }
    sum
}

/// The checksum of these bytes.
pub(super) fn of(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| update(sum, *byte))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_polynomial() {
        assert_eq!(super::of(b"123456789"), 0x31c3);
    }
}
