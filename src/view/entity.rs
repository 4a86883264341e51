//! The named characters of HTML: those of the WHATWG's table, and which of them clamscan knows.
//!
//! A line of `entities.txt` has a name, its characters as hexadecimal numbers, and, where `sigtool --html-normalise` knows the
//! name, the character that it gives.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: &str = include_str!("entities.txt");

/// The longest name.
pub(super) const NAME: usize = 31;

/// What one name stands for.
struct Row {
    text: String,
    normal: Option<u16>,
}

static ROWS: LazyLock<HashMap<&'static [u8], Row>> = LazyLock::new(|| {
    let row = |line: &'static str| {
        let mut fields = line.split(' ');
        let name = fields.next()?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let characters = fields.next()?.split('+').filter_map(number);
        let text = characters.filter_map(char::from_u32).collect();
        let normal = fields.next().and_then(number);
        let normal = normal.and_then(|number| u16::try_from(number).ok());
        Some((name.as_bytes(), Row { text, normal }))
    };
    TABLE.lines().filter_map(row).collect()
});

/// The characters of a name without `&` and `;`, which counts capitals.
pub(super) fn text(name: &[u8]) -> Option<&'static str> {
    ROWS.get(name).map(|row| row.text.as_str())
}

/// What clamscan takes the name for.
pub(super) fn normal(name: &[u8]) -> Option<u16> {
    ROWS.get(name)?.normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_characters() {
        let rows = [
            ("amp", Some("&"), Some(0x26)),
            ("AMP", Some("&"), None),
            ("euro", Some("\u{20ac}"), Some(0x20ac)),
            ("acE", Some("\u{223e}\u{333}"), None),
            ("lang", Some("\u{27e8}"), Some(0x2329)),
            ("nonsense", None, None),
        ];
        for (name, characters, clam) in rows {
            assert_eq!(text(name.as_bytes()), characters, "{name}");
            assert_eq!(normal(name.as_bytes()), clam, "{name}");
        }
        assert_eq!(TABLE.lines().count(), ROWS.len());
        assert!(ROWS.keys().all(|name| name.len() <= NAME));
    }
}
