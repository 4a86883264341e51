//! Byte comparisons: `part(>>offset#options length#comparisons)`, as in `0(>>4#ib2#=0x1234)`.
#![forbid(unsafe_code)]

use super::{Trouble, fields, number};
use crate::path::printable;
use crate::signature::condition::Relation;
use crate::signature::rule::{Compare, Encoding, Order};

/// The most digits that a number may have; beyond it would not fit.
const DIGITS: u32 = 18;

/// Reads a comparison; it names the part by its number as it was written.
pub(super) fn comparison(text: &[u8]) -> Result<Compare, Trouble> {
    let read = || {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let (part, inside) = text.split_at_checked(open)?;
        let inside = inside.strip_prefix(b"(")?.strip_suffix(b")")?;
        let mut fields = fields(inside, b'#');
        let parts = (fields.next()?, fields.next()?, fields.next()?);
        fields.next().is_none().then_some((part, parts))
    };
    let Some((part, (offset, options, comparisons))) = read() else {
        return Err(wrong(text, "is not `part(offset#options#comparisons)`"));
    };
    // Without a number it is the first one.
    let part = if part.is_empty() {
        Some(0)
    } else {
        number(part)
    };
    let after = part.and_then(|part| usize::try_from(part).ok());
    let Some(after) = after else {
        return Err(wrong(text, "names no part"));
    };
    let (encoding, length, exact) = options_of(text, options)?;
    let comparisons: Option<Vec<_>> = fields(comparisons, b',').map(compared).collect();
    match comparisons {
        Some(comparisons) if comparisons.len() <= 2 => Ok(Compare {
            after,
            offset: distance(offset).ok_or_else(|| wrong(text, "has no offset"))?,
            length,
            encoding,
            comparisons,
            exact,
        }),
        _ => Err(wrong(text, "does not compare with one or two numbers")),
    }
}

/// `>>n` or `<<n`.
fn distance(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'>', b'>', digits @ ..] => (1, digits),
        [b'<', b'<', digits @ ..] => (-1, digits),
        _ => return None,
    };
    value(digits).map(|by| sign * by)
}

/// `[h|d|a|i][l|b][e]length`, the letters in any order.
fn options_of(text: &[u8], options: &[u8]) -> Result<(Encoding, u32, bool), Trouble> {
    let letters = options
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (letters, length) = options.split_at_checked(letters).unwrap_or_default();
    let length = value(length).and_then(|length| u32::try_from(length).ok());
    let Some(length @ 1..) = length else {
        return Err(wrong(text, "has no length"));
    };
    let (mut kind, mut order, mut exact) = (None, None, false);
    for letter in letters {
        match letter {
            b'h' | b'd' | b'a' | b'i' if kind.is_none() => kind = Some(*letter),
            b'l' | b'b' if order.is_none() => order = Some(*letter),
            b'e' => exact = true,
            _ => return Err(wrong(text, "has an unknown option")),
        }
    }
    let order = order.map(|letter| match letter {
        b'l' => Order::Little,
        _ => Order::Big,
    });
    let encoding = match (kind, order) {
        (None, _) => return Err(wrong(text, "does not say how the bytes are read")),
        (Some(b'd'), Some(Order::Little)) => {
            return Err(wrong(text, "reads decimal digits from the wrong end"));
        }
        (Some(b'd'), _) => Encoding::Decimal,
        (Some(b'i'), _) if !matches!(length, 1 | 2 | 4 | 8) => {
            return Err(wrong(text, "must have a length of 1, 2, 4 or 8"));
        }
        // It loads, and never holds.
        (Some(_), None) => {
            return Err(Trouble::never(
                "a byte comparison without the order of bytes",
            ));
        }
        (Some(b'i'), Some(order)) => Encoding::Binary(order),
        (Some(b'h'), Some(order)) => Encoding::Hexadecimal(order),
        (Some(_), Some(order)) => Encoding::Automatic(order),
    };
    let is_binary = matches!(encoding, Encoding::Binary(_));
    match length > DIGITS && encoding != Encoding::Decimal {
        true => Err(wrong(text, "has too many digits")),
        false => Ok((encoding, length, exact || is_binary)),
    }
}

fn compared(text: &[u8]) -> Option<(Relation, i64)> {
    let (sign, digits) = text.split_first()?;
    let relation = match sign {
        b'=' => Relation::Equal,
        b'>' => Relation::Above,
        b'<' => Relation::Below,
        _ => return None,
    };
    match digits {
        [b'-', digits @ ..] => value(digits).map(|value| (relation, -value)),
        digits => value(digits).map(|value| (relation, value)),
    }
}

/// A decimal number, or a hexadecimal one behind `0x`.
fn value(digits: &[u8]) -> Option<i64> {
    match digits {
        [b'0', b'x' | b'X', digits @ ..] => {
            let digits = std::str::from_utf8(digits).ok()?;
            let is_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_digits.then(|| i64::from_str_radix(digits, 16).ok())?
        }
        digits => number(digits).and_then(|value| i64::try_from(value).ok()),
    }
}

fn wrong(text: &[u8], what: &str) -> Trouble {
    format!("the byte comparison `{}` {what}", printable(text, 60)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_comparison() {
        let plain = Compare {
            after: 0,
            offset: 13,
            length: 3,
            encoding: Encoding::Decimal,
            comparisons: vec![(Relation::Equal, 255)],
            exact: false,
        };
        let binary = |order, length| Compare {
            length,
            encoding: Encoding::Binary(order),
            exact: true,
            ..plain.clone()
        };
        let rows = [
            ("0(>>13#d3#=255)", plain.clone()),
            ("(>>13#d3#=255)", plain.clone()),
            ("0(>>0xd#db0x3#=0xff)", plain.clone()),
            (
                "7(<<13#d3#=255)",
                Compare {
                    after: 7,
                    offset: -13,
                    ..plain.clone()
                },
            ),
            (
                "0(>>13#de3#=255)",
                Compare {
                    exact: true,
                    ..plain.clone()
                },
            ),
            (
                "0(>>13#dbe3#=255)",
                Compare {
                    exact: true,
                    ..plain.clone()
                },
            ),
            (
                "0(>>13#d99#=255)",
                Compare {
                    length: 99,
                    ..plain.clone()
                },
            ),
            (
                "0(>>13#hb3#=255)",
                Compare {
                    encoding: Encoding::Hexadecimal(Order::Big),
                    ..plain.clone()
                },
            ),
            (
                "0(>>13#ab3#=255)",
                Compare {
                    encoding: Encoding::Automatic(Order::Big),
                    ..plain.clone()
                },
            ),
            ("0(>>13#ib2#=255)", binary(Order::Big, 2)),
            ("0(>>13#eil8#=255)", binary(Order::Little, 8)),
            (
                "0(>>13#d3#>-1,<256)",
                Compare {
                    comparisons: vec![(Relation::Above, -1), (Relation::Below, 256)],
                    ..plain.clone()
                },
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(comparison(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_comparison_is_told() {
        for text in [
            "0(>>4#ib3#=0)",
            "0(>>13#dl3#=255)",
            "0(>>23#hb2#=ff)",
            "0(>>13#d3#>1,<256,=255)",
            "0(>>13#d3#)",
            "0(>>13#d3)",
            "0(13#d3#=255)",
            "0(>>13#3#=255)",
            "0(>>13#d#=255)",
            "0(>>13#q3#=255)",
            "0(>>13#d3#=x)",
            "0(>>13#d3#!255)",
            "0(>>13#d3#=255",
            "0(>>13#d0#=255)",
            "0(>>x#d3#=0)",
            "0>>13#d3#=255",
            "0(>>13#ib1#=50,)",
            "0(>>4#hb19#=0)",
            "x(>>13#d3#=255)",
            "0(>>13#dd3#=255)",
            "0(>>13#d3#=0x+1)",
        ] {
            let found = comparison(text.as_bytes());
            assert!(matches!(found, Err(Trouble::Wrong(_))), "{text}: {found:?}");
        }
        for text in ["0(>>13#h2#=255)", "0(>>13#i1#=50)"] {
            let found = comparison(text.as_bytes());
            assert!(
                matches!(found, Err(Trouble::Aside(..))),
                "{text}: {found:?}"
            );
        }
    }
}
