//! Extended headers of POSIX pax ("pax Extended Header"): records `LENGTH KEY=VALUE\n` that speak of the next entry,
//! or of all that follow, and GNU's keys for sparse files in them.
#![forbid(unsafe_code)]

use crate::expand::number::digits;

/// What the records say that matters here.
#[derive(Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: Sparse,
}

/// The keys `GNU.sparse.*`.
#[derive(Default)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `realsize` of 1.0, `size` of 0.0 and 0.1.
    pub(super) real_size: Option<u64>,
    /// Offset and length of each piece, in turn (0.0 and 0.1).
    pub(super) map: Vec<u64>,
}

impl Sparse {
    /// The entry is stored without its holes.
    pub(super) fn is_used(&self) -> bool {
        self.major.is_some() || !self.map.is_empty() || self.real_size.is_some()
    }
}

impl Pax {
    /// Takes all records of `text`; false when one cannot be read, and what follows it is left.
    #[must_use]
    pub(super) fn read(&mut self, mut text: &[u8]) -> bool {
        while !text.is_empty() {
            let Some((key, value, rest)) = record(text) else {
                // Some writers fill the block with zeros that they count as content.
                return text.iter().all(|byte| *byte == 0);
            };
            if self.set(key, value).is_none() {
                return false;
            }
            text = rest;
        }
        true
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        // An empty value takes back what was said before.
        let text = (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = text,
            b"size" => self.size = optional(value)?,
            b"GNU.sparse.major" => self.sparse.major = optional(value)?,
            b"GNU.sparse.minor" => self.sparse.minor = optional(value)?,
            b"GNU.sparse.name" => self.sparse.name = text,
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => {
                self.sparse.real_size = optional(value)?;
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse.map.push(digits(value, 10)?);
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|byte| *byte == b',');
                self.sparse.map = numbers.map(|n| digits(n, 10)).collect::<Option<_>>()?;
            }
            _ => {}
        }
        Some(())
    }
}

fn optional(value: &[u8]) -> Option<Option<u64>> {
    if value.is_empty() {
        return Some(None);
    }
    digits(value, 10).map(Some)
}

/// The first record: key, value, and what follows.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = text.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(digits(text.get(..blank)?, 10)?).ok()?;
    let (record, rest) = text.split_at_checked(length)?;
    let pair = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair.get(..equals)?, pair.get(equals + 1..)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_up_to_the_first_bad_one() {
        let mut pax = Pax::default();
        assert!(pax.read(b"12 path=a=b\n11 size=12\n6 x=y\n\0\0"));
        assert_eq!(pax.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(pax.size, Some(12));
        assert!(pax.read(b"8 size=\n"));
        assert_eq!(pax.size, None);
        for bad in [
            "x",
            "5 a=b\n",
            "6 ab c\n",
            "0 a=b\n",
            "12 size=1x2\n",
            "99999999999999999999 a=b\n",
        ] {
            assert!(!Pax::default().read(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn the_map_of_a_sparse_file_in_both_forms() {
        let mut pax = Pax::default();
        assert!(pax.read(b"24 GNU.sparse.offset=10\n25 GNU.sparse.numbytes=5\n"));
        assert_eq!(pax.sparse.map, [10, 5]);
        assert!(pax.read(b"27 GNU.sparse.map=1,2,3,40\n"));
        assert_eq!(pax.sparse.map, [1, 2, 3, 40]);
        assert!(pax.sparse.is_used());
    }
}
