//! Mailboxes that are no `mbox`: MMDF's, Babyl's (Rmail of Emacs), and SMTP's commands in a file (RFC 2442).
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use super::lines::Lines;
use super::mime::field;
use super::{Children, Content, Halt};
use crate::object::Object;

/// The line around each mail of MMDF.
const MARK: &[u8] = b"\x01\x01\x01\x01";

/// Bytes and lines in which the commands before the first mail have room.
const COMMANDS: usize = 16 * 1024;
const COMMAND_LINES: usize = 256;

/// How the mails of a file are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each stands between two lines of four bytes 1.
    Mmdf,
    /// Each stands behind a line of 31 and 12, a line about it, and `*** EOOH ***`.
    Babyl,
    /// Each stands between `DATA` and a line with a dot.
    Batch,
}

/// Tells by the start of a content whether it is such a mailbox.
pub(super) fn form(head: &[u8]) -> Option<Form> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    // Most contents are none, and many have no lines either.
    let start = first(text);
    let may_be = start.starts_with(MARK) || start.starts_with(b"BABYL") || begins_commands(start);
    if may_be { by_lines(head) } else { None }
}

/// The commands that a batch begins with.
fn begins_commands(text: &[u8]) -> bool {
    let starts = [&b"HELO "[..], b"EHLO ", b"LHLO ", b"MAIL FROM:"];
    starts.iter().any(|with| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    })
}

/// As [`form`], without a look at the start first.
pub(super) fn by_lines(head: &[u8]) -> Option<Form> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.get(..COMMANDS).unwrap_or(head);
    let mut lines = head
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.is_empty());
    let first = lines.next()?;
    if first.trim_ascii_end() == MARK {
        let next = lines.find(|line| line.trim_ascii_end() != MARK)?;
        return (field(next).is_some() || next.starts_with(b"From ")).then_some(Form::Mmdf);
    }
    if first.starts_with(b"BABYL OPTIONS:") {
        return Some(Form::Babyl);
    }
    let is_batch = begins_commands(first) && lines.take(COMMAND_LINES).any(is_data);
    is_batch.then_some(Form::Batch)
}

/// A text from its first line on that is not empty.
pub(super) fn first(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b'\n' | b'\r'));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}

fn is_data(line: &[u8]) -> bool {
    line.trim_ascii().eq_ignore_ascii_case(b"DATA")
}

/// A reply of the server, which may stand among the commands.
fn is_reply(line: &[u8]) -> bool {
    matches!(
        line,
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..]
    )
}

/// Gives each mail.
pub(super) fn expand(form: Form, object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let mut mails = Mails {
        object,
        children,
        count: 0,
        begun: None,
        original: None,
        is_dotted: false,
    };
    let mut lines = Lines::new(object, 0);
    while let Some(line) = lines.next()? {
        let (text, start, end) = (line.text, line.start, line.end);
        match form {
            Form::Mmdf if text.trim_ascii_end() == MARK => {
                mails.give(start)?;
                mails.begun = Some(end);
            }
            Form::Babyl if text.starts_with(b"\x1f") => {
                mails.give(start)?;
                // The next line is about the mail.
                mails.original = text.starts_with(b"\x1f\x0c").then_some(end);
                if mails.original.is_some()
                    && let Some(about) = lines.next()?
                {
                    mails.original = Some(about.end);
                }
            }
            Form::Babyl if text.starts_with(b"*** EOOH ***") && mails.original.is_some() => {
                mails.begun = Some(end);
                mails.original = mails.original.filter(|from| *from < start);
                mails.header(start)?;
            }
            Form::Batch if mails.begun.is_none() && is_data(text) => mails.begun = Some(end),
            Form::Batch if mails.begun == Some(start) && is_reply(text) => mails.begun = Some(end),
            Form::Batch if text == b"." => mails.give(start)?,
            Form::Batch => mails.is_dotted |= mails.begun.is_some() && text.starts_with(b".."),
            Form::Mmdf | Form::Babyl => {}
        }
    }
    mails.give(object.length())?;
    if mails.count == 0 {
        return Err(Halt::Unlike);
    }
    Ok(())
}

struct Mails<'a> {
    object: &'a Object,
    children: &'a mut dyn Children,
    count: u64,
    /// Where the mail began that is open.
    begun: Option<u64>,
    /// Where its header began as it came, of which Babyl shows a part only.
    original: Option<u64>,
    /// A dot was put before some of its lines.
    is_dotted: bool,
}

impl Mails<'_> {
    /// Gives the mail that is open, if any; it ends at `to`.
    fn give(&mut self, to: u64) -> Result<(), Halt> {
        let is_dotted = std::mem::take(&mut self.is_dotted);
        let Some(from) = self.begun.take().filter(|from| *from < to) else {
            return Ok(());
        };
        self.count += 1;
        let name = format!("mail {}", self.count);
        let slice = self.object.slice(from, to - from);
        if is_dotted {
            let mut stream = Undotted::new(slice.reader());
            return self
                .children
                .child(name.as_bytes(), Content::Stream(&mut stream));
        }
        self.children.child(name.as_bytes(), Content::Object(slice))
    }

    /// Gives a mail with its header as it came, which ends at `to`, up to the end of the file: where the body begins is known to the
    /// header alone that is shown.
    fn header(&mut self, to: u64) -> Result<(), Halt> {
        let (Some(from), Some(shown)) = (self.original, self.begun) else {
            return Ok(());
        };
        let mut lines = Lines::new(self.object, shown);
        let mut body = None;
        while let Some(line) = lines.next()? {
            if line.text.starts_with(b"\x1f") {
                let body = body.unwrap_or(line.start);
                let body = self.object.slice(body, line.start - body);
                let header = self.object.slice(from, to - from);
                let mut stream = header.reader().chain(&b"\n"[..]).chain(body.reader());
                let name = format!("mail {} as it came", self.count + 1);
                return self
                    .children
                    .child(name.as_bytes(), Content::Stream(&mut stream));
            }
            if line.text.is_empty() && body.is_none() {
                body = Some(line.end);
            }
        }
        Ok(())
    }
}

/// Takes off the dot before lines that begin with one (RFC 5321 §4.5.2).
struct Undotted<R> {
    input: R,
    at_start: bool,
}

impl<R: BufRead> Undotted<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            at_start: true,
        }
    }
}

impl<R: BufRead> Read for Undotted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut given = 0;
        while given == 0 && !out.is_empty() {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let mut taken = 0;
            for (byte, place) in buffer.iter().zip(1..) {
                taken = place;
                let is_extra = std::mem::replace(&mut self.at_start, matches!(byte, b'\n' | b'\r'))
                    && *byte == b'.';
                if is_extra {
                    continue;
                }
                if let Some(room) = out.get_mut(given) {
                    *room = *byte;
                    given += 1;
                }
                if given == out.len() {
                    break;
                }
            }
            self.input.consume(taken);
        }
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::mbox::Mbox;
    use crate::expand::testing::{expand, tool, withstand};

    fn given(text: &[u8]) -> Vec<(String, String)> {
        let got = expand(&Mbox, text, b"x");
        assert_eq!((&got.gaps[..], got.unlike), (&[][..], false));
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        (got.children.iter())
            .map(|(name, content)| (text(name), text(content)))
            .collect()
    }

    fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        let row = |(name, content): &(&str, &str)| ((*name).to_owned(), (*content).to_owned());
        rows.iter().map(row).collect()
    }

    #[test]
    fn the_mails_of_each_form_are_members() {
        let mark = "\u{1}\u{1}\u{1}\u{1}\n";
        let text = format!("{mark}A: b\n\none\n{mark}{mark}A: c\n\ntwo\n{mark}");
        assert_eq!(form(text.as_bytes()), Some(Form::Mmdf));
        let wanted = [("mail 1", "A: b\n\none\n"), ("mail 2", "A: c\n\ntwo\n")];
        assert_eq!(given(text.as_bytes()), pairs(&wanted));
        let text = "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n354 go on\r\nA: b\r\n\r\n..one\r\n.\r\nMAIL FROM:<a@b>\r\nDATA\r\nA: c\r\n\r\ntwo\r\n.\r\nQUIT\r\n";
        assert_eq!(form(text.as_bytes()), Some(Form::Batch));
        let wanted = [
            ("mail 1", "A: b\r\n\r\n.one\r\n"),
            ("mail 2", "A: c\r\n\r\ntwo\r\n"),
        ];
        assert_eq!(given(text.as_bytes()), pairs(&wanted));
        let text = "BABYL OPTIONS:\nVersion: 5\n\u{1f}\u{c}\n1,,\nA: b\nX: y\n*** EOOH ***\nA: b\n\none\n\u{1f}\u{c}\n0, unseen,,\n*** EOOH ***\nA: c\n\ntwo\n\u{1f}";
        let wanted = [
            ("mail 1 as it came", "A: b\nX: y\n\none\n"),
            ("mail 1", "A: b\n\none\n"),
            ("mail 2", "A: c\n\ntwo\n"),
        ];
        assert_eq!(form(text.as_bytes()), Some(Form::Babyl));
        assert_eq!(given(text.as_bytes()), pairs(&wanted));
        withstand(&Mbox, text.as_bytes(), b"x");
    }

    #[test]
    fn other_texts_are_no_mailboxes() {
        let texts = [
            "HELO is a command",
            "MAIL FROM: is one too\n\ntext DATA",
            "\u{1}\u{1}\u{1}\u{1}\nno field",
            "",
        ];
        for text in texts {
            assert_eq!(form(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn mailboxes_of_python_are_read() {
        let Some(folder) = tool("python3") else {
            return;
        };
        folder.write("make.py", b"import mailbox\nfor k in ('MMDF', 'Babyl'):\n    b = getattr(mailbox, k)(k)\n    for n in range(20):\n        b.add(('Subject: %d\\n\\n' % n + 'line\\n' * n).encode())\n    b.flush()\n");
        folder.run("python3", &["make.py"]);
        for kind in ["MMDF", "Babyl"] {
            let got = expand(&Mbox, &folder.read(kind), b"box");
            assert_eq!((&got.gaps[..], got.unlike), (&[][..], false), "{kind}");
            let mut mails = got
                .children
                .iter()
                .filter(|(name, _)| !name.ends_with(b"came"));
            for number in 0..20 {
                let wanted = format!("Subject: {number}\n");
                let (_, content) = mails.next().unwrap();
                let found = memchr::memmem::find(content, wanted.as_bytes());
                assert!(found.is_some(), "{kind} {number}");
            }
            assert!(mails.next().is_none());
        }
    }
}
