//! Patterns of names: `*` for any bytes, also `/`; `?` for one character; `[a-z]` and `[!a-z]` for one of some; `\` in front
//! of what is meant as it is.
//!
//! Patterns and names both come from peers. So nothing is compiled to something larger than its text, and a match takes
//! time by the product of both lengths at most.
#![forbid(unsafe_code)]

/// A pattern that names are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Any,
    Byte(u8),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Star,
}

impl Glob {
    /// Reads a pattern. `None` for text that has nothing of a pattern in it, or a `[` without an end: that is a name.
    pub fn new(text: &[u8]) -> Option<Self> {
        if !text.iter().any(|byte| b"*?[".contains(byte)) {
            return None;
        }
        let (mut tokens, mut rest) = (Vec::new(), text);
        while let Some((first, after)) = rest.split_first() {
            let (token, after) = match first {
                b'*' => (Token::Star, after),
                b'?' => (Token::Any, after),
                b'[' => class(after)?,
                b'\\' => match after.split_first() {
                    Some((escaped, after)) => (Token::Byte(*escaped), after),
                    None => (Token::Byte(b'\\'), after),
                },
                byte => (Token::Byte(*byte), after),
            };
            if token != Token::Star || tokens.last() != Some(&Token::Star) {
                tokens.push(token);
            }
            rest = after;
        }
        tokens.shrink_to_fit();
        Some(Self { tokens })
    }

    /// The pattern that matches this text and no other.
    pub fn literal(text: &str) -> String {
        let special = |c| matches!(c, '*' | '?' | '[' | '\\');
        let escape = |c| special(c).then_some('\\').into_iter().chain([c]);
        text.chars().flat_map(escape).collect()
    }

    /// Tells whether all of the name is as the pattern says.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // Where to go on when something does not fit: behind the last star, with one more byte left to it. Stars before
        // that need no second try, for the last one can take whatever they could have.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let rest = name.get(at..).unwrap_or_default();
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    token += 1;
                    retry = Some((token, at));
                    continue;
                }
                Some(other) => {
                    if let Some(length) = other.takes(rest) {
                        token += 1;
                        at += length;
                        continue;
                    }
                }
                None if rest.is_empty() => return true,
                None => {}
            }
            match retry {
                Some((after, from)) if from < name.len() => {
                    token = after;
                    at = from + 1;
                    retry = Some((after, at));
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    /// How many bytes of the start of `rest` fit one token that is no star.
    fn takes(&self, rest: &[u8]) -> Option<usize> {
        match self {
            Self::Byte(byte) => (rest.first() == Some(byte)).then_some(1),
            Self::Any => character(rest).map(|(_, length)| length),
            Self::Class { negated, ranges } => {
                let (found, length) = character(rest)?;
                let inside = found.is_some_and(|found| {
                    ranges
                        .iter()
                        .any(|(first, last)| (*first..=*last).contains(&found))
                });
                (inside != *negated).then_some(length)
            }
            Self::Star => None,
        }
    }
}

/// The first character, or byte that is none, and its length.
fn character(rest: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *rest.first()?;
    let length = match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let text = rest.get(..length).map(std::str::from_utf8);
    match text
        .and_then(Result::ok)
        .and_then(|text| text.chars().next())
    {
        Some(found) => Some((Some(found), length)),
        None => Some((None, 1)),
    }
}

/// What follows a `[`, up to and without what follows the `]`.
fn class(text: &[u8]) -> Option<(Token, &[u8])> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let inside = text.get(usize::from(negated)..)?;
    // A bracket in the first place stands for itself.
    let end = 1 + inside.get(1..)?.iter().position(|byte| *byte == b']')?;
    let chars: Vec<char> = std::str::from_utf8(inside.get(..end)?)
        .ok()?
        .chars()
        .collect();
    let (mut ranges, mut rest) = (Vec::new(), chars.as_slice());
    while let Some((first, after)) = rest.split_first() {
        (ranges, rest) = match after {
            ['-', last, after @ ..] => (with(ranges, (*first, *last)), after),
            _ => (with(ranges, (*first, *first)), after),
        };
    }
    Some((Token::Class { negated, ranges }, inside.get(end + 1..)?))
}

fn with(mut ranges: Vec<(char, char)>, range: (char, char)) -> Vec<(char, char)> {
    ranges.push(range);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_hold_for_what_they_say() {
        let rows: &[(&[u8], &[u8], bool)] = &[
            (b"*.iso", b"/srv/a/x.iso", true),
            (b"*.iso", b"/srv/a/x.iso2", false),
            (b"/srv/*/tmp", b"/srv/a/b/tmp", true),
            (b"/srv/?", b"/srv/ab", false),
            (b"/srv/?", "/srv/\u{2603}".as_bytes(), true),
            (b"/srv/?", b"/srv/\xff", true),
            (b"/srv/??", "/srv/\u{e9}".as_bytes(), false),
            (b"[a-c]x", b"bx", true),
            (b"[a-c]x", b"dx", false),
            (b"[!a-c]x", b"dx", true),
            (b"[^a-c]", b"\xff", true),
            ("[\u{e0}-\u{ef}]".as_bytes(), "\u{e9}".as_bytes(), true),
            (b"[]-]?", b"]x", true),
            (b"[a-]", b"-", true),
            (b"\\*a*", b"*ab", true),
            (b"\\*a*", b"xab", false),
            (b"*\\", b"a\\", true),
            (b"**", b"", true),
            (b"*a*a*b", b"xaxaxab", true),
            (b"\xff*", b"\xffx", true),
        ];
        for (pattern, name, expected) in rows {
            let glob = Glob::new(pattern).unwrap();
            let shown = (pattern.escape_ascii(), name.escape_ascii());
            assert_eq!(glob.matches(name), *expected, "{shown:?}");
        }
        for name in [&b"/plain"[..], b"/srv/[ab", b"[", b"[]", b"*[a"] {
            assert_eq!(Glob::new(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_worst_pattern_takes_the_product_of_the_lengths_and_no_more() {
        let pattern = [b"*a".repeat(500), b"b".to_vec()].concat();
        let glob = Glob::new(&pattern).unwrap();
        assert!(!glob.matches(&b"a".repeat(4096)));
    }

    /// What a pattern of bytes, `*` and `?` means, without any cleverness.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| naive(rest, &name[at..])),
            Some((b'?', rest)) => !name.is_empty() && naive(rest, &name[1..]),
            Some((byte, rest)) => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_what_a_pattern_means(pattern in "[ab*?]{0,8}\\*", name in "[ab]{0,10}") {
            let glob = Glob::new(pattern.as_bytes()).unwrap();
            prop_assert_eq!(glob.matches(name.as_bytes()), naive(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn a_literal_pattern_is_for_one_name(name: String, other: String) {
            // A star behind it, for without any there is no pattern.
            let glob = Glob::new(format!("{}*", Glob::literal(&name)).as_bytes()).unwrap();
            prop_assert!(glob.matches(name.as_bytes()));
            prop_assert_eq!(glob.matches(other.as_bytes()), other.starts_with(&name));
        }

        #[test]
        fn any_bytes_are_a_pattern_or_a_name(pattern: Vec<u8>, name: Vec<u8>) {
            if let Some(glob) = Glob::new(&pattern) {
                glob.matches(&name);
            }
        }
    }
}
