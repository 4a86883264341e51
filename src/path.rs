//! Where an object is: the path of the file, then the name of each member on the way in.
//!
//! Names are bytes: file systems and archives promise no encoding. [`quote`] and [`unquote`] are the text form that
//! SVSP, the log and the programs share (spec-vfind.md §1.2): `"archive" -> "member"`.
#![forbid(unsafe_code)]

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A longer name is cut to this many bytes: no file system can hold it, and an archive must not fill memory with names.
pub const NAME_LIMIT: usize = 4096;

/// The path of an object: the named file or stream, then one element for each container that was entered.
///
/// Cloning shares the names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectPath {
    elements: Vec<Bytes>,
}

impl ObjectPath {
    /// The path of a file or stream that was named by a request.
    pub fn root(name: impl Into<Bytes>) -> Self {
        Self {
            elements: vec![name.into()],
        }
    }

    /// The path of a member of this container. A name of more than [`NAME_LIMIT`] bytes is cut.
    pub fn member(&self, name: &[u8]) -> Self {
        let kept = name.get(..NAME_LIMIT).unwrap_or(name);
        let mut elements = Vec::with_capacity(self.elements.len() + 1);
        elements.extend_from_slice(&self.elements);
        elements.push(Bytes::copy_from_slice(kept));
        Self { elements }
    }

    /// The path of the same object where the file has another name.
    pub fn moved(&self, file: &Bytes) -> Self {
        let mut elements = self.elements.clone();
        if let Some(first) = elements.first_mut() {
            first.clone_from(file);
        }
        Self { elements }
    }

    /// The names, outermost first; never empty.
    pub fn elements(&self) -> &[Bytes] {
        &self.elements
    }

    /// The innermost name.
    pub fn name(&self) -> &[u8] {
        self.elements.last().map_or(&[], |name| name)
    }

    /// True for the file or stream itself, false for something inside it.
    pub fn is_root(&self) -> bool {
        self.elements.len() == 1
    }

    /// The bytes that the names take, for those who account for memory.
    pub fn weight(&self) -> usize {
        self.elements.iter().map(|name| name.len() + 32).sum()
    }

    /// Appends the text form, `"a" -> "b"`.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (depth, name) in self.elements.iter().enumerate() {
            if depth > 0 {
                out.extend_from_slice(b" -> ");
            }
            quote(name, out);
        }
    }

    /// Reads the text form at the start of `text` and gives what follows it.
    pub fn parse(text: &[u8]) -> Option<(Self, &[u8])> {
        let (first, mut rest) = unquote(text)?;
        let mut elements = vec![Bytes::from(first)];
        while let Some(next) = rest.strip_prefix(b" -> ") {
            let Some((name, after)) = unquote(next) else {
                break;
            };
            elements.push(Bytes::from(name));
            rest = after;
        }
        Some((Self { elements }, rest))
    }
}

impl std::fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Appends `name` in double quotes. `"` and `\` get a backslash, newline and carriage return their letter. Each byte of any
/// other control character becomes `\xHH`: of ASCII's, of the second set (U+0080 to U+009F, also as single bytes outside of
/// UTF-8), which terminals obey as well, and of those that turn the direction of text. All else, UTF-8 or not, stays as it is.
pub fn quote(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in name.utf8_chunks() {
        for char in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = char.encode_utf8(&mut bytes).as_bytes();
            match char {
                '"' | '\\' => {
                    out.push(b'\\');
                    out.extend_from_slice(bytes);
                }
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                _ if char.is_control() || is_direction(char) => {
                    bytes.iter().for_each(|byte| escape(*byte, out));
                }
                _ => out.extend_from_slice(bytes),
            }
        }
        for &byte in chunk.invalid() {
            match byte {
                0x80..=0x9f => escape(byte, out),
                _ => out.push(byte),
            }
        }
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

/// True for the characters that make what follows be shown in another order, so that a name seems to end otherwise.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads one quoted name at the start of `text`: the name and what follows its closing quote.
pub fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((name, rest)),
            b'\\' => {
                let (&escape, after) = rest.split_first()?;
                rest = after;
                match escape {
                    b'n' => name.push(b'\n'),
                    b'r' => name.push(b'\r'),
                    b't' => name.push(b'\t'),
                    b'x' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        let digits = std::str::from_utf8(digits).ok()?;
                        name.push(u8::from_str_radix(digits, 16).ok()?);
                    }
                    other => name.push(other),
                }
            }
            other => name.push(other),
        }
    }
}

/// `text` with every byte that could disturb a terminal or a log line as `\xHH`, cut after `limit` bytes of input.
///
/// For echoing what a peer or a file said in a message for people.
pub fn printable(text: &[u8], limit: usize) -> String {
    let mut out = String::new();
    for &byte in text.iter().take(limit) {
        match byte {
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if text.len() > limit {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_escapes_of_the_paper() {
        let rows: &[(&[u8], &[u8])] = &[
            (b"/tmp/foo", br#""/tmp/foo""#),
            (b"a\"b\\c\nd", br#""a\"b\\c\nd""#),
            (b"\r\t\0\x7f", br#""\r\x09\x00\x7f""#),
            (b"\xff name", b"\"\xff name\""),
            // Another encoding's e with an accent, and our own.
            (
                b"\xe9 \xc3\xa9 \xe2\x82\xac",
                b"\"\xe9 \xc3\xa9 \xe2\x82\xac\"",
            ),
            // Half an escape sequence as one byte, as a character, and as what is left of one.
            (b"\x9b2J", br#""\x9b2J""#),
            (b"\xc2\x9b2J", br#""\xc2\x9b2J""#),
            (b"\xe2\x80x\x80\xc2", b"\"\xe2\\x80x\\x80\xc2\""),
            (
                "\u{80}\u{9f}\u{a0}".as_bytes(),
                b"\"\\xc2\\x80\\xc2\\x9f\xc2\xa0\"",
            ),
            (
                "cod\u{202e}gpj.exe".as_bytes(),
                br#""cod\xe2\x80\xaegpj.exe""#,
            ),
            (
                "\u{200e}\u{200f}\u{202a}\u{2066}\u{2069}".as_bytes(),
                br#""\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xaa\xe2\x81\xa6\xe2\x81\xa9""#,
            ),
        ];
        for (name, text) in rows {
            let mut out = Vec::new();
            quote(name, &mut out);
            assert_eq!(
                out.escape_ascii().to_string(),
                text.escape_ascii().to_string()
            );
            assert_eq!(unquote(&out), Some((name.to_vec(), &b""[..])));
        }
    }

    #[test]
    fn a_name_that_never_ends_is_no_name() {
        for text in [&b"abc"[..], b"\"abc", b"\"abc\\", b"\"\\x4", b"\"\\xzz\""] {
            assert_eq!(unquote(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_path_survives_the_round_trip(
            names in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..4),
        ) {
            let mut path = ObjectPath::root(names[0].clone());
            for name in &names[1..] {
                path = path.member(name);
            }
            let mut text = Vec::new();
            path.write(&mut text);
            prop_assert!(!text.iter().any(|b| *b < 0x20), "one line");
            for chunk in text.utf8_chunks() {
                prop_assert!(!chunk.valid().chars().any(|c| c.is_control() || is_direction(c)));
                prop_assert!(!chunk.invalid().iter().any(|b| matches!(b, 0x80..=0x9f)));
            }
            text.extend_from_slice(b" : rest");
            prop_assert_eq!(ObjectPath::parse(&text), Some((path, &b" : rest"[..])));
        }
    }
}
