//! Text: small letters, one blank for all blanks in a row, nothing but ASCII without controls.
#![forbid(unsafe_code)]

/// Makes the normal form of a text that comes piece by piece.
#[derive(Debug, Default)]
pub struct Text {
    blank: bool,
}

impl Text {
    /// Adds the normal form of the next bytes to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            match byte {
                b'\t'..=b'\r' | b' ' => {
                    if !self.blank {
                        out.push(b' ');
                    }
                    self.blank = true;
                }
                b'!'..=0x7f => {
                    out.push(byte.to_ascii_lowercase());
                    self.blank = false;
                }
                // Left out, and blanks on both sides of it are in one row.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_sigtool_makes_it() {
        let rows: [(&[u8], &[u8]); 6] = [
            (
                b"Hello   World\r\n\tFOO Bar\x80\xc3\xa9 \x01 End\n\n  X",
                b"hello world foo bar end x",
            ),
            (b"  lead and trail  ", b" lead and trail "),
            (b"X\0Y\0Z\0", b"xyz"),
            (b"a\x7fB\x0e\x0bC", b"a\x7fb c"),
            (b"\n", b" "),
            (b"", b""),
        ];
        for (text, normal) in rows {
            for step in [1, 2, text.len().max(1)] {
                let (mut form, mut out) = (Text::default(), Vec::new());
                for piece in text.chunks(step) {
                    form.push(piece, &mut out);
                }
                assert_eq!(out, normal, "{}", text.escape_ascii());
            }
        }
    }
}
