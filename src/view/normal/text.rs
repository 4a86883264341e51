//! Text: small letters, one blank for all blanks in a row, nothing but ASCII without controls.
#![forbid(unsafe_code)]

/// Makes the normal form of a text that comes piece by piece.
#[derive(Debug, Default)]
pub struct Text {
    blank: bool,
}

/// What each byte becomes; zero if it is left out.
const NORMAL: [u8; 256] = {
    let mut normal = [0; 256];
    let mut rest = normal.as_mut_slice();
    let mut byte: u8 = 0;
    while let Some((first, behind)) = rest.split_first_mut() {
        *first = match byte {
            b'\t'..=b'\r' | b' ' => b' ',
            b'!'..=0x7f => byte.to_ascii_lowercase(),
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = behind;
    }
    normal
};

impl Text {
    /// Adds the normal form of the next bytes to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut end = out.len();
        out.resize(end.saturating_add(bytes.len()), 0);
        // Every byte is written, and the next one over it if it does not count: nobody can guess where the blanks are.
        for byte in bytes {
            let normal = NORMAL.get(usize::from(*byte)).copied().unwrap_or(0);
            let is_blank = normal == b' ';
            // What is left out stands between blanks of one row.
            let is_out = (normal == 0) | (is_blank & self.blank);
            self.blank = is_blank | ((normal == 0) & self.blank);
            if let Some(place) = out.get_mut(end) {
                *place = normal;
            }
            end = end.saturating_add(usize::from(!is_out));
        }
        out.truncate(end);
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
