//! Names that come one by one from standard input, however many there are.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader};

use tokio::sync::mpsc;

/// Names that are read ahead of the scan.
const AHEAD: usize = 256;

/// Bytes that are kept of a name: one more than a name can have (PATH_MAX), so that a longer one is told as too long.
const KEPT: usize = 4096;

/// Reads names from standard input, each with the byte `end` behind it, in a thread of its own: to wait for the next must
/// not keep the scan of the others.
///
/// # Errors
/// The system's, when it grants no more threads.
pub(super) fn names(end: u8) -> io::Result<mpsc::Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let read = move || {
        let mut input = BufReader::new(io::stdin());
        while let Some(name) = next(&mut input, end).transpose() {
            let is_error = name.is_err();
            if sender.blocking_send(name).is_err() || is_error {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name("names".to_owned())
        .spawn(read)?;
    Ok(receiver)
}

/// The next name that is not empty; `None` at the end.
fn next(input: &mut impl BufRead, end: u8) -> io::Result<Option<Vec<u8>>> {
    let mut name = Vec::new();
    loop {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok((!name.is_empty()).then_some(name));
        }
        let here = memchr::memchr(end, bytes);
        let part = bytes.get(..here.unwrap_or(bytes.len())).unwrap_or(bytes);
        let room = KEPT.saturating_sub(name.len()).min(part.len());
        name.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = part.len() + usize::from(here.is_some());
        input.consume(used);
        if here.is_some() && !name.is_empty() {
            return Ok(Some(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &[u8], capacity: usize, end: u8) -> Vec<Vec<u8>> {
        let mut input = BufReader::with_capacity(capacity, text);
        std::iter::from_fn(|| next(&mut input, end).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn names_are_what_stands_between_the_ends(text in "[ab\\n\\x00\\r ]{0,40}", capacity in 1usize..9, null: bool) {
            let end = if null { 0 } else { b'\n' };
            let expected: Vec<_> = text.as_bytes().split(|byte| *byte == end).filter(|name| !name.is_empty()).collect();
            prop_assert_eq!(all(text.as_bytes(), capacity, end), expected);
        }
    }

    #[test]
    fn a_name_without_end_takes_no_memory() {
        let text = [vec![b'x'; 3 * KEPT], b"\nshort".to_vec()].concat();
        let names = all(&text, 100, b'\n');
        assert_eq!(names, [vec![b'x'; KEPT], b"short".to_vec()]);
    }
}
