//! A candidate and the bytes around it: match or not.
#![forbid(unsafe_code)]

use crate::signature::pattern::Pattern;

/// Where in `content` the match ends, if `pattern` is there with its byte `offset` at `atom`.
pub(super) fn confirm(
    pattern: &Pattern,
    content: &[u8],
    atom: usize,
    offset: usize,
) -> Option<usize> {
    let start = atom.checked_sub(offset)?;
    let end = start.checked_add(pattern.length())?;
    let mut rest = content.get(start..end)?;
    for (expected, caseless) in pattern.runs() {
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

    #[test]
    fn each_part_has_its_own_case() {
        let caseless = Pattern::caseless(b"cd").unwrap();
        let pattern = Pattern::exact(b"aB").unwrap().followed_by(&caseless);
        let pattern = pattern.unwrap();
        assert_eq!(confirm(&pattern, b"xaBCdx", 3, 2), Some(5));
        assert_eq!(confirm(&pattern, b"xabcdx", 3, 2), None);
        assert_eq!(confirm(&pattern, b"xaBc", 3, 2), None, "cut short");
        assert_eq!(confirm(&pattern, b"Bcd", 1, 2), None, "begins before");
    }
}
