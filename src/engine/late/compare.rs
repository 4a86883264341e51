//! A number in the content compared with others: ClamAV's byte comparison.
//!
//! How digits are read is what clamscan does, found out by asking it (`tests/it/late.rs` asks it again): blanks in front of a
//! number and a sign are allowed, a number too large for 64 bits holds nowhere, and hexadecimal digits in little-endian
//! order are pairs of which the first is the smallest.
#![forbid(unsafe_code)]

use crate::signature::condition::Relation;
use crate::signature::rule::{Compare, Encoding, Order};

/// The longest number in bytes that is read.
const LENGTH_LIMIT: u32 = 256;

/// Tells whether the comparison holds on the number near `start`, where the last match of the earlier test begins.
///
/// `read` gives so many bytes from an offset of the object, or nothing if they do not all exist: then it does not hold.
pub fn holds(compare: &Compare, start: u64, read: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> bool {
    let value = || {
        let at = start.checked_add_signed(compare.offset)?;
        let length = Some(compare.length).filter(|length| *length <= LENGTH_LIMIT)?;
        let bytes = read(at, length as usize)?;
        number(compare, &bytes)
    };
    value().is_some_and(|value| {
        let holds = |(relation, other): &(Relation, i64)| match relation {
            Relation::Above => value > *other,
            Relation::Below => value < *other,
            Relation::Equal => value == *other,
        };
        compare.comparisons.iter().all(holds)
    })
}

/// The end of the number in the object, up to where the content was needed.
pub fn end(compare: &Compare, start: u64) -> u64 {
    start
        .saturating_add_signed(compare.offset)
        .saturating_add(u64::from(compare.length))
}

/// The number that fills or begins `bytes`.
fn number(compare: &Compare, bytes: &[u8]) -> Option<i64> {
    let exact = compare.exact;
    match compare.encoding {
        Encoding::Decimal => text(bytes, 10, exact),
        Encoding::Hexadecimal(Order::Big) => text(bytes, 16, exact),
        Encoding::Hexadecimal(Order::Little) => pairs(bytes, exact),
        Encoding::Automatic(order) => {
            let digits = bytes.trim_ascii_start_c();
            // Fewer could not be told apart from `0x`.
            if digits.len() < 3 {
                return None;
            }
            match (has_prefix(digits), order) {
                (true, Order::Big) => text(bytes, 16, exact),
                (true, Order::Little) => pairs(bytes, exact),
                (false, Order::Big) => text(bytes, 10, exact),
                (false, Order::Little) => None,
            }
        }
        Encoding::Binary(order) => binary(bytes, order),
    }
}

/// Digits after blanks and a sign, up to what is no digit; no digit at all is 0, as C reads numbers.
fn text(bytes: &[u8], radix: u32, exact: bool) -> Option<i64> {
    let rest = bytes.trim_ascii_start_c();
    if exact && rest.len() < bytes.len() {
        return None;
    }
    let (negative, rest) = match rest.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, rest),
    };
    let signed = rest.len() < bytes.trim_ascii_start_c().len();
    let digits = match rest.get(2..) {
        Some(digits) if radix == 16 && !signed && has_prefix(rest) => match digits.first() {
            Some(first) if first.is_ascii_hexdigit() => digits,
            _ => rest,
        },
        _ => rest,
    };
    let mut value = 0_i64;
    let mut count = 0;
    for digit in digits.iter().map_while(|b| char::from(*b).to_digit(radix)) {
        value = value.checked_mul(i64::from(radix))?;
        value = value.checked_add(i64::from(digit))?;
        count += 1;
    }
    let whole = count > 0 && count == digits.len();
    (whole || !exact).then_some(if negative { -value } else { value })
}

/// Pairs of hexadecimal digits, the smallest first, up to what is no pair. An odd number of bytes has a 0 in front.
fn pairs(bytes: &[u8], exact: bool) -> Option<i64> {
    let rest = bytes.trim_ascii_start_c();
    let no_digit = matches!(bytes, [byte] if !byte.is_ascii_hexdigit());
    if exact && (rest.len() < bytes.len() || no_digit) {
        return None;
    }
    let rest = match rest.get(2..) {
        Some(digits) if has_prefix(rest) => digits,
        _ => rest,
    };
    let padded = rest.len().next_multiple_of(2);
    if exact && padded != bytes.len() && bytes.len() > 1 {
        return None;
    }
    let zero = (padded > rest.len()).then_some(b'0');
    let digits: Vec<u8> = zero.into_iter().chain(rest.iter().copied()).collect();
    let mut value = 0_u64;
    for (place, pair) in digits.chunks(2).enumerate() {
        let Ok(text) = std::str::from_utf8(pair) else {
            break;
        };
        let is_pair = pair.iter().all(u8::is_ascii_hexdigit);
        let Some(byte) = u64::from_str_radix(text, 16).ok().filter(|_| is_pair) else {
            break;
        };
        match u32::try_from(place * 8).ok().filter(|shift| *shift < 64) {
            Some(shift) => value |= byte << shift,
            None => return None,
        }
    }
    i64::try_from(value).ok()
}

/// A number of 1, 2, 4 or 8 bytes; one of 8 is compared with its sign.
fn binary(bytes: &[u8], order: Order) -> Option<i64> {
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return None;
    }
    let join = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    let value = match order {
        Order::Big => bytes.iter().fold(0, join),
        Order::Little => bytes.iter().rev().fold(0, join),
    };
    Some(value.cast_signed())
}

fn has_prefix(digits: &[u8]) -> bool {
    digits.starts_with(b"0x") || digits.starts_with(b"0X")
}

trait TrimC {
    /// Without the blanks in front, `isspace` of the C locale.
    fn trim_ascii_start_c(&self) -> &Self;
}

impl TrimC for [u8] {
    fn trim_ascii_start_c(&self) -> &[u8] {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let first = self.iter().position(|byte| !is_blank(byte));
        self.get(first.unwrap_or(self.len())..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_whole_in_the_object_holds_nowhere() {
        let content = b"12KEY34";
        let read = |at: u64, length: usize| {
            let at = usize::try_from(at).ok()?;
            content.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
        };
        let mut compare = Compare {
            after: 0,
            offset: 3,
            length: 2,
            encoding: Encoding::Decimal,
            comparisons: vec![(Relation::Above, 33), (Relation::Below, 35)],
            exact: false,
        };
        assert!(holds(&compare, 2, &read));
        assert_eq!(end(&compare, 2), 7);
        for (offset, length) in [(-3, 2), (4, 2), (3, 3), (i64::MIN, 2), (i64::MAX, 2)] {
            (compare.offset, compare.length) = (offset, length);
            assert!(!holds(&compare, 2, &read), "{offset} {length}");
        }
        (compare.offset, compare.length) = (-2, 2);
        assert!(!holds(&compare, 2, &read));
        compare.comparisons = vec![(Relation::Equal, 12)];
        assert!(holds(&compare, 2, &read));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..40), kind in 0..7, exact: bool) {
            let encoding = match kind {
                0 => Encoding::Decimal,
                1 => Encoding::Hexadecimal(Order::Big),
                2 => Encoding::Hexadecimal(Order::Little),
                3 => Encoding::Automatic(Order::Big),
                4 => Encoding::Automatic(Order::Little),
                5 => Encoding::Binary(Order::Big),
                _ => Encoding::Binary(Order::Little),
            };
            let compare = Compare { after: 0, offset: 0, length: 40, encoding, comparisons: vec![], exact };
            number(&compare, &bytes);
        }
    }
}
