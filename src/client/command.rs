//! The commands of SVSP as lines.
#![forbid(unsafe_code)]

use crate::path::quote;

/// The longest command: servers take 64 KiB, and a longer line gets an answer that carries no id.
pub(super) const COMMAND_LIMIT: usize = 64 << 10;

/// The question whether a server knows our extension. It changes nothing when it is put again.
pub(super) const PROBE: &[u8] = b"ENABLE COVERAGE\r\n";

/// The command for one path. SVSP sends names raw to the line's end, so one that holds a line end cannot be sent; those,
/// and one that starts with a quote, go in the quoted form of the replies, which is our extension
/// (docs/protocols/svsp.md). An old server does not know a file of that name, and says so.
pub(super) fn scan_file(id: u64, name: &[u8]) -> Vec<u8> {
    let mut command = format!("{id} SCAN/FILE ").into_bytes();
    if needs_quotes(name) {
        quote(name, &mut command);
    } else {
        command.extend_from_slice(name);
    }
    command.extend_from_slice(b"\r\n");
    command
}

/// The command for one content. A label that servers could read in two ways, or that is too long for a line, is left
/// out: they say `""` then, and it is known here what that is.
pub(super) fn scan_request(id: u64, label: &[u8]) -> Vec<u8> {
    let mut command = format!("{id} SCAN/REQUEST").into_bytes();
    let form = label_form(label).unwrap_or_default();
    let ends = command.len() + 1 + b"\r\n".len();
    if !form.is_empty() && form.len() + ends <= COMMAND_LIMIT {
        command.push(b' ');
        command.extend_from_slice(&form);
    }
    command.extend_from_slice(b"\r\n");
    command
}

/// The label as all servers read it, if there is such a form.
fn label_form(label: &[u8]) -> Option<Vec<u8>> {
    if label.contains(&0) {
        return None;
    }
    if !needs_quotes(label) && !label.starts_with(b" ") && !label.starts_with(b"\t") {
        return Some(label.to_vec());
    }
    let mut quoted = Vec::new();
    quote(label, &mut quoted);
    label.starts_with(b"/").then_some(quoted)
}

fn needs_quotes(name: &[u8]) -> bool {
    name.starts_with(b"\"") || name.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_go_raw_are_quoted() {
        let rows: &[(&[u8], &[u8])] = &[
            (b"/a b \"c\" \\n\t ", b"/a b \"c\" \\n\t "),
            (b"/\xff", b"/\xff"),
            (b"/a\nb\"", b"\"/a\\nb\\\"\""),
            (b"/a\r", b"\"/a\\r\""),
            (b"\"a", b"\"\\\"a\""),
        ];
        for (name, form) in rows {
            let command = [b"5 SCAN/FILE ", *form, b"\r\n"].concat();
            assert_eq!(scan_file(5, name), command);
        }
    }

    #[test]
    fn a_label_that_could_be_read_in_two_ways_is_left_out() {
        let long = vec![b'a'; COMMAND_LIMIT];
        let rows: &[(&[u8], &[u8])] = &[
            (b"-", b" -"),
            (b"/a b", b" /a b"),
            (b"/a\nb", b" \"/a\\nb\""),
            (b"mail\nQUIT", b""),
            (b"\"a", b""),
            (b" a", b""),
            (b"a\0b", b""),
            (b"", b""),
            (&long, b""),
        ];
        for (label, form) in rows {
            let command = [b"5 SCAN/REQUEST", *form, b"\r\n"].concat();
            assert_eq!(scan_request(5, label), command);
        }
    }
}
