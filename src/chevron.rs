//! The original's lines: each begins with a chevron whose length is its weight (spec-vfind.md §3.1).
//!
//! `##==>` is vfind's, `###==>` vfindc's. Gateways look for the two lines of a virus, which stand together and always
//! carry the word `CVDL`.
#![forbid(unsafe_code)]

use crate::path::{ObjectPath, quote};

/// What a line weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// `==>`
    Information,
    /// `==>>`
    Notice,
    /// `==>>>`
    Problem,
    /// `==>>>>`
    Virus,
}

/// Writes the lines of one program.
#[derive(Debug, Clone, Copy)]
pub struct Chevron(&'static str);

/// vfind's lines.
pub const SCANNER: Chevron = Chevron("##");

/// vfindc's lines.
pub const CLIENT: Chevron = Chevron("###");

impl Chevron {
    /// Appends a line about an object: `###==>> Note: "path": detail`. Control characters of `text` become blanks. Nothing
    /// that a peer or an archive chose can have the two hashes that begin a line.
    pub fn line(
        self,
        weight: Weight,
        word: &str,
        path: &ObjectPath,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        self.begin(weight, word, out);
        for (depth, name) in path.elements().iter().enumerate() {
            if depth > 0 {
                out.extend_from_slice(b" -> ");
            }
            let mut quoted = Vec::new();
            quote(name, &mut quoted);
            hashless(&quoted, b"\\x23", out);
        }
        end(text, out);
    }

    /// Appends a line about no object. What holds for the text of [`Chevron::line`] holds for this one.
    pub fn text(self, weight: Weight, text: &str, out: &mut Vec<u8>) {
        self.begin(weight, "", out);
        end(text, out);
    }

    /// Appends the two lines of a virus. What is no CVDL rule keeps its own word behind the one that gateways look for.
    pub fn virus(self, path: &ObjectPath, engine: &str, name: &str, out: &mut Vec<u8>) {
        self.line(Weight::Virus, "VIRUS POSSIBLE IN FILE: ", path, "", out);
        self.begin(Weight::Virus, "VIRUS ID: CVDL ", out);
        if !matches!(engine, "" | "CVDL") {
            hashless(one_line(engine).as_bytes(), b" ", out);
            out.push(b' ');
        }
        end(name, out);
    }

    fn begin(self, weight: Weight, word: &str, out: &mut Vec<u8>) {
        let arrow = match weight {
            Weight::Information => "==> ",
            Weight::Notice => "==>> ",
            Weight::Problem => "==>>> ",
            Weight::Virus => "==>>>> ",
        };
        for part in [self.0, arrow, word] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

fn end(text: &str, out: &mut Vec<u8>) {
    hashless(one_line(text).as_bytes(), b" ", out);
    out.push(b'\n');
}

/// Appends text in which no two hashes stand together: each that another follows becomes `instead`. Gateways look for the
/// line of a virus anywhere in a line, so also inside of a name.
fn hashless(text: &[u8], instead: &[u8], out: &mut Vec<u8>) {
    let mut rest = text.iter().peekable();
    while let Some(&byte) = rest.next() {
        if byte == b'#' && rest.peek() == Some(&&b'#') {
            out.extend_from_slice(instead);
        } else {
            out.push(byte);
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_and_no_reply_can_begin_a_line_of_its_own() {
        let path = ObjectPath::root("/a\n##==>").member(b"b\xff");
        let mut out = Vec::new();
        SCANNER.virus(&path, "MD5", "x\n###==>>>> y", &mut out);
        CLIENT.virus(&path, "CVDL", "z", &mut out);
        CLIENT.line(
            Weight::Notice,
            "Note: ",
            &path,
            ": \u{9b}2J\r\nend",
            &mut out,
        );
        let expected = b"##==>>>> VIRUS POSSIBLE IN FILE: \"/a\\n\\x23#==>\" -> \"b\xff\"\n\
            ##==>>>> VIRUS ID: CVDL MD5 x   #==>>>> y\n\
            ###==>>>> VIRUS POSSIBLE IN FILE: \"/a\\n\\x23#==>\" -> \"b\xff\"\n\
            ###==>>>> VIRUS ID: CVDL z\n\
            ###==>> Note: \"/a\\n\\x23#==>\" -> \"b\xff\":  2J  end\n";
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}
