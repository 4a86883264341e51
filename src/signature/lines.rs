//! A text line by line, however long it is: a line is held in memory, the text is not.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

/// The longest line in bytes: the longest of ClamAV's own signatures have some hundred thousand.
pub const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// Calls `line` with the number of each line, from 1, and the line without its end (LF or CRLF). A line of more than
/// [`LINE_LIMIT`] bytes is given as an error with the reason, and is skipped.
///
/// # Errors
/// Of reading.
pub fn each(
    text: &mut dyn BufRead,
    mut line: impl FnMut(u32, Result<&[u8], &'static str>),
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut number = 0_u32;
    loop {
        buffer.clear();
        let limit = LINE_LIMIT as u64 + 2;
        if (&mut *text).take(limit).read_until(b'\n', &mut buffer)? == 0 {
            return Ok(());
        }
        number = number.saturating_add(1);
        if let Some(whole) = buffer.strip_suffix(b"\n") {
            line(number, Ok(whole.strip_suffix(b"\r").unwrap_or(whole)));
        } else if buffer.len() as u64 == limit {
            line(number, Err("a line of more than 4 MiB"));
            skip_line(text)?;
        } else {
            line(number, Ok(&buffer));
        }
    }
}

/// Leaves behind what is left of a line.
fn skip_line(text: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let available = text.fill_buf()?;
        let length = available.len();
        match memchr::memchr(b'\n', available) {
            _ if length == 0 => return Ok(()),
            Some(at) => {
                text.consume(at + 1);
                return Ok(());
            }
            None => text.consume(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_one_that_is_too_long_is_skipped_alone() {
        let mut text = b"a\r\n\nb".to_vec();
        text.extend(vec![b'x'; LINE_LIMIT + 5]);
        text.extend(b"\nend");
        let mut found = Vec::new();
        each(&mut text.as_slice(), |number, line| {
            found.push((number, line.map(<[u8]>::to_vec)));
        })
        .unwrap();
        let expected = [
            (1, Ok(b"a".to_vec())),
            (2, Ok(Vec::new())),
            (3, Err("a line of more than 4 MiB")),
            (4, Ok(b"end".to_vec())),
        ];
        assert_eq!(found, expected);
    }
}
