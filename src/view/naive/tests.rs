//! The fast finder finds what the plain one does, however the text is cut.

use proptest::prelude::*;

use crate::view::base64::{Blob, Finder};
use crate::view::naive;

/// Lengths at which something changes.
const LENGTHS: &[usize] = &[
    1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 60, 63, 64, 65, 76, 79, 80, 81, 130,
];

/// What may stand between letters.
#[rustfmt::skip]
const MARKS: &[&str] = &[
    " ", " ", "  ", "\n", "\n", "\r\n", "\r", "\n  ", "\t", "\x0c", "\"", "'", "\" + \"", "\"+\"", "' . '", "\", \"", "\" & _\r\n  \"",
    "\"\n  \"", "\"\r\ns = s & \"", "\"\na += \"", "\"\n", "s = s & \"", "s = \"", "\n> ", "> ", "\n# ", "\n", "\\\n", "\\\r\n   ", "^\n",
    "`\n", "` \n ", "\\n", "\\r\\n", "\\\\n", "\\n\"", "\\t", "\\/", "\\\\/", "\\u002B", "\\u002b", "\\u000a", "\\u0041", "\\x2b", "\\x20", "\\",
    "%2B", "%2f", "%0A", "%0D%0a", "%20", "%3D", "%zz", "%", "&", "&&", "&amp;", "&#43;", "&#x2f;", "&sol;", "&nbsp;", "&quot;", "&#10;", "&foo",
    "=", "==", ";base64,", ";BASE64,", " -enc ", "-EncodedCommand ", "atob(", "atob('", "FromBase64String(\"", "data:a/b;base64,", "data:,", "data:",
    "(", ")", ".", ",", ":", ": ", "_", "+", "-", "/", "\u{e9}", "{", "<", ">", "|", "echo ", "\necho ",
];

fn letters(kind: u8, length: usize, seed: usize) -> String {
    let alphabet: &[u8] = match kind {
        0 => b"0123456789abcdef",
        1 => b"abcdefghijklmnopqrstuvwxyz",
        2 => b"n",
        3 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        _ => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_",
    };
    let letter = |at: usize| char::from(alphabet[(at * at * 31 + at * 7 + seed) % alphabet.len()]);
    (0..length).map(letter).collect()
}

fn piece() -> impl Strategy<Value = String> {
    let length = prop_oneof![3 => prop::sample::select(LENGTHS), 1 => 1..100_usize];
    let run = (0..5_u8, length, 0..1000_usize)
        .prop_map(|(kind, length, seed)| letters(kind, length, seed));
    let mark = prop::sample::select(MARKS).prop_map(str::to_owned);
    let far = (1..90_usize, prop::sample::select(&b" .a\n\"="[..]))
        .prop_map(|(length, byte)| char::from(byte).to_string().repeat(length));
    prop_oneof![8 => run, 9 => mark, 1 => far]
}

/// One run in lines, as programs write them.
fn lines() -> impl Strategy<Value = String> {
    let mark = || prop::sample::select(MARKS);
    let width = prop::sample::select(LENGTHS);
    (
        3..5_u8,
        2..9_usize,
        width,
        mark(),
        mark(),
        0..1000_usize,
        0..4_usize,
    )
        .prop_map(|(kind, count, width, begin, end, seed, short)| {
            let one = |at: usize| {
                let width = if at == 0 && short == 1 {
                    width + 1
                } else {
                    width
                };
                format!("{begin}{}{end}", letters(kind, width, seed + at))
            };
            (0..count).map(one).collect()
        })
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![12 => piece(), 1 => lines()], 1..40)
        .prop_map(|pieces| pieces.concat())
}

fn plain(text: &[u8], limit: usize) -> Vec<Blob> {
    let mut blobs = Vec::new();
    let mut finder = naive::Finder::new(limit);
    finder.push(text, &mut |blob| blobs.push(blob));
    finder.finish(&mut |blob| blobs.push(blob));
    blobs
}

fn fast<'t>(pieces: impl Iterator<Item = &'t [u8]>, limit: usize) -> Vec<Blob> {
    let mut blobs = Vec::new();
    let mut finder = Finder::new(limit);
    for piece in pieces {
        finder.push(piece, &mut |blob| blobs.push(blob));
    }
    finder.finish(&mut |blob| blobs.push(blob));
    blobs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn nothing_differs_at_any_split(text in text(), limit in prop_oneof![Just(10_000), 1..90_usize]) {
        let text = text.as_bytes();
        let expected = plain(text, limit);
        for split in 0..=text.len() {
            let (first, second) = text.split_at(split);
            prop_assert_eq!(&fast([first, second].into_iter(), limit), &expected, "split at {}", split);
        }
        for step in [1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 81, 200] {
            prop_assert_eq!(&fast(text.chunks(step), limit), &expected, "pieces of {}", step);
        }
    }
}
