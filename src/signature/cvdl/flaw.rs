//! What is wrong with a text, where, and what was meant instead.
//!
//! ```text
//! v.vdl:3: column 14: unknown word `ADN`; did you mean `AND`?
//!     :x, "first" ADN "second" #
//!                 ^
//! ```
#![forbid(unsafe_code)]

use super::token::{Kind, Place, Token};
use crate::signature::excerpt::pointed;

/// Why something is not understood, and where.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) place: Place,
    pub(super) reason: String,
}

impl Flaw {
    /// Something is wrong here.
    pub(super) fn new(place: Place, reason: impl Into<String>) -> Self {
        Self {
            place,
            reason: reason.into(),
        }
    }

    /// Something is wrong with this token.
    pub(super) fn at(token: &Token<'_>, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if let Some(line) = token.defined {
            reason += &format!(" (in a macro that is defined in line {line})");
        }
        Self::new(token.place, reason)
    }

    /// This token cannot stand where it does.
    pub(super) fn unexpected(token: &Token<'_>) -> Self {
        match &token.kind {
            Kind::Bad(reason) => Self::at(token, reason.as_str()),
            kind => Self::at(token, format!("unexpected {kind}")),
        }
    }

    /// The reason with its column, and below it the line with a caret under the place.
    pub(super) fn explain(&self, text: &[u8]) -> String {
        let Place { line_start, at, .. } = self.place;
        let line = text.get(line_start..).unwrap_or(&[]);
        let column = at.saturating_sub(line_start);
        pointed(line, column, column + 1, &self.reason)
    }
}

/// The words of the language, as they are suggested.
const WORDS: &[&str] = &["AND", "OR", "XOR", "NOT", "FUZZY"];

/// What was meant by a word that is none.
pub(super) fn suggestion(word: &str) -> String {
    let upper = word.to_ascii_uppercase();
    let near = WORDS.iter().find(|known| is_near(known, &upper));
    match near {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("text to search for stands in quotes: `\"{word}\"`"),
    }
}

/// The same word, or one with a letter added, left out or changed, or two neighbours swapped.
fn is_near(known: &str, word: &str) -> bool {
    let (known, word) = (known.as_bytes(), word.as_bytes());
    let same = known.iter().zip(word).take_while(|(a, b)| a == b).count();
    let (a, b) = (
        known.get(same..).unwrap_or(&[]),
        word.get(same..).unwrap_or(&[]),
    );
    match (a, b) {
        ([], []) => true,
        ([x, y, rest @ ..], [p, q, more @ ..]) if x == q && y == p && rest == more => true,
        // Of two letters one must be right, else every short word is near.
        ([_, rest @ ..], [_, more @ ..]) if rest == more => known.len() > 2,
        ([_, rest @ ..], _) if rest == b => word.len() > 1,
        (_, [_, more @ ..]) => a == more,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::excerpt::{BEFORE, BEHIND};

    #[test]
    fn the_caret_stands_under_its_place() {
        let text = b"first\n:x, \"a\" \tADN \xff\"b\" #\nlast";
        let place = Place {
            line: 2,
            line_start: 6,
            at: 15,
        };
        let told = Flaw::new(place, "why").explain(text);
        assert_eq!(
            told,
            "column 10: why\n    :x, \"a\"  ADN ·\"b\" #\n             ^"
        );
    }

    #[test]
    fn of_a_long_line_a_piece_is_shown() {
        let place = Place {
            line: 1,
            line_start: 0,
            at: 500_000,
        };
        let told = Flaw::new(place, "why").explain(&vec![b'x'; 1_000_000]);
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "column 500001: why");
        assert_eq!(lines[1].chars().count(), 4 + 1 + BEFORE + BEHIND + 1);
        assert_eq!(lines[2].len(), 4 + 1 + BEFORE + 1);
        // Behind the end of the text there is nothing to show.
        let place = Place {
            line: 1,
            line_start: 0,
            at: 3,
        };
        assert!(
            Flaw::new(place, "why")
                .explain(b"abc")
                .contains("    abc\n")
        );
    }

    #[test]
    fn what_was_meant() {
        let rows = [
            ("ADN", "`AND`"),
            ("aNd", "`AND`"),
            ("ANDD", "`AND`"),
            ("AN", "`AND`"),
            ("ORR", "`OR`"),
            ("oR", "`OR`"),
            ("XR", "`XOR`"),
            ("NIT", "`NOT`"),
            ("FUZY", "`FUZZY`"),
            ("cat", "in quotes: `\"cat\"`"),
            ("it", "in quotes"),
        ];
        for (word, meant) in rows {
            assert!(
                suggestion(word).contains(meant),
                "{word}: {}",
                suggestion(word)
            );
        }
    }
}
