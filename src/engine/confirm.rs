//! A candidate and the bytes around it: match or not.
#![forbid(unsafe_code)]

use crate::signature::pattern::{Part, Pattern, Segment};

/// Its bytes, and whether their case matters not.
pub(super) fn runs(pattern: &Pattern) -> impl Iterator<Item = (&[u8], bool)> {
    let parts = pattern.segments().iter().flat_map(Segment::parts);
    parts.filter_map(|part| match part {
        Part::Bytes { bytes, caseless } => Some((bytes.as_slice(), *caseless)),
        _ => None,
    })
}

/// Its length in bytes.
pub(super) fn length(pattern: &Pattern) -> usize {
    runs(pattern).map(|(bytes, _)| bytes.len()).sum()
}

/// Where in `content` the match ends, if `pattern` is there with its byte `offset` at `atom`.
pub(super) fn confirm(
    pattern: &Pattern,
    content: &[u8],
    atom: usize,
    offset: usize,
) -> Option<usize> {
    let start = atom.checked_sub(offset)?;
    let end = start.checked_add(length(pattern))?;
    let mut rest = content.get(start..end)?;
    for (expected, caseless) in runs(pattern) {
        let (found, after) = rest.split_at_checked(expected.len())?;
        let same = match caseless {
            true => found.eq_ignore_ascii_case(expected),
            false => found == expected,
        };
        if !same {
            return None;
        }
        rest = after;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::pattern::Builder;

    #[test]
    fn each_part_has_its_own_case() {
        let mut builder = Builder::default();
        builder.bytes(b"aB", false);
        builder.bytes(b"cd", true);
        let pattern = builder.finish(None).unwrap();
        assert_eq!(confirm(&pattern, b"xaBCdx", 3, 2), Some(5));
        assert_eq!(confirm(&pattern, b"xabcdx", 3, 2), None);
        assert_eq!(confirm(&pattern, b"xaBc", 3, 2), None, "cut short");
        assert_eq!(confirm(&pattern, b"Bcd", 1, 2), None, "begins before");
    }
}
