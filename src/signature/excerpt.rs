//! A place in a source as it is shown to people: the column, the line and a caret below it.
#![forbid(unsafe_code)]

/// Bytes of the line that are shown before the place.
pub(super) const BEFORE: usize = 60;

/// Bytes of the line that are shown from the place on.
pub(super) const BEHIND: usize = 40;

/// The reason with its column, and below it the line, which begins where `line` does, with a caret under byte `at` of it.
pub fn pointed(line: &[u8], at: usize, column: usize, reason: &str) -> String {
    let end = memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or(&[]);
    let at = at.min(line.len());
    let from = at.saturating_sub(BEFORE);
    let to = line.len().min(at.saturating_add(BEHIND));
    let before = visible(line.get(from..at).unwrap_or(&[]));
    let behind = visible(line.get(at..to).unwrap_or(&[]));
    let lead = if from > 0 { "…" } else { "" };
    let tail = if to < line.len() { "…" } else { "" };
    let caret = before.chars().count() + lead.chars().count();
    format!(
        "column {column}: {reason}\n    {lead}{before}{behind}{tail}\n    {:caret$}^",
        ""
    )
}

/// A piece of a line as it can be shown: each byte as one character, so that the caret stands under its place.
fn visible(piece: &[u8]) -> String {
    let show = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        b'\t' => ' ',
        _ => '·',
    };
    piece.iter().map(show).collect()
}
