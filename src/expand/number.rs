//! Numbers that are written as text, as tar, cpio and their relatives do.
#![forbid(unsafe_code)]

/// The digits of `base` that `text` consists of, as a number; `None` without a digit, with anything else, or when it
/// does not fit.
pub(super) fn digits(text: &[u8], base: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(base)?;
        value
            .checked_mul(u64::from(base))?
            .checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn a_number_fits_or_is_none() {
        assert_eq!(digits(b"0777", 8), Some(0o777));
        assert_eq!(digits(b"18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(digits(b"fF", 16), Some(255));
        for (text, base) in [(&b""[..], 8), (b"8", 8), (b"-1", 10), (b"+1", 10)] {
            assert_eq!(digits(text, base), None);
        }
        assert_eq!(digits(b"18446744073709551616", 10), None);
    }
}
