//! Mailboxes: mails one after the other, each behind a line that begins with `From ` (RFC 4155).
//!
//! Readers differ over which of those lines begins a mail: any, those behind an empty line, or those that end
//! with a time. Where that makes a difference, the longer mails are given first and then their pieces.
#![forbid(unsafe_code)]

use super::lines::Lines;
use super::mailbox;
use super::mime::{field, is_of_mail};
use super::{Children, Container, Content, Expander, Halt};
use crate::event::NoteKind;
use crate::object::{HEAD, Object, Probe};

/// The expander of mailboxes.
pub(super) struct Mbox;

impl Expander for Mbox {
    fn kind(&self) -> &'static str {
        "mbox"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if let Some(form) = mailbox::form(&object.bytes_at(0, HEAD)?) {
            return mailbox::expand(form, object, children);
        }
        let mut lines = Lines::new(object, 0);
        // Where the mail began that strict readers see, and the piece of it that the others see.
        let (mut mail, mut piece) = (None, None);
        let mut count = 0_u64;
        let mut pieces = Pieces::default();
        let mut after_blank = true;
        let mut pending: Option<(u64, u64, bool)> = None;
        while let Some(line) = lines.next()? {
            if let Some((start, end, strict)) = pending.take()
                && (strict || field(line.text).is_some() || line.text.starts_with(b">From "))
            {
                if strict || mail.is_none() {
                    if let Some(from) = piece.filter(|_| pieces.any()) {
                        pieces.cut(from, start);
                    }
                    give(object, mail, start, &mut count, &mut pieces, children)?;
                    (mail, piece) = (Some(end), Some(end));
                } else {
                    if let Some(from) = piece {
                        pieces.cut(from, start);
                    }
                    piece = Some(end);
                }
            }
            if line.text.starts_with(b"From ") {
                let strict = after_blank && ends_with_time(line.text);
                pending = Some((line.start, line.end, strict));
            }
            after_blank = line.text.is_empty();
        }
        if mail.is_none() {
            return Err(Halt::Unlike);
        }
        if let Some(from) = piece.filter(|_| pieces.any()) {
            pieces.cut(from, object.length());
        }
        give(
            object,
            mail,
            object.length(),
            &mut count,
            &mut pieces,
            children,
        )
    }
}

/// Pieces of one mail that are kept; more are given as the rest of the last.
const PIECES: usize = 1_000;

/// What lax readers make of one mail.
#[derive(Default)]
struct Pieces(Vec<(u64, u64)>);

impl Pieces {
    fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn cut(&mut self, from: u64, to: u64) {
        if self.0.len() < PIECES {
            self.0.push((from, to));
        } else if let Some(last) = self.0.last_mut() {
            last.1 = to;
        }
    }
}

/// Gives a mail that ends at `to`, then its pieces.
fn give(
    object: &Object,
    mail: Option<u64>,
    to: u64,
    count: &mut u64,
    pieces: &mut Pieces,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let Some(from) = mail else {
        return Ok(());
    };
    *count += 1;
    let slice = |from: u64, to: u64| object.slice(from, to.saturating_sub(from));
    let name = format!("mail {count}");
    children.child(name.as_bytes(), Content::Object(slice(from, to)))?;
    let pieces = std::mem::take(&mut pieces.0);
    if !pieces.is_empty() {
        let detail = format!("where {name} ends");
        children.note(NoteKind::Ambiguous("mbox-from".to_owned()), detail)?;
    }
    for (number, (from, to)) in pieces.into_iter().enumerate() {
        let name = format!("{name} piece {}", number + 1);
        children.child(name.as_bytes(), Content::Object(slice(from, to)))?;
    }
    Ok(())
}

/// Tells whether a line ends as `From a@b Thu Jul 31 13:49:50 2008` does: with a year behind a time, or a time zone in
/// between or at the end.
fn ends_with_time(line: &[u8]) -> bool {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let mut last: Vec<&[u8]> = words.by_ref().collect();
    last = last.split_off(last.len().saturating_sub(4));
    let is_time = |word: &&[u8]| {
        let mut parts = word.split(|byte| *byte == b':');
        let number = |part: Option<&[u8]>| {
            part.is_some_and(|part| {
                matches!(part.len(), 1..=2) && part.iter().all(u8::is_ascii_digit)
            })
        };
        number(parts.next()) && number(parts.next())
    };
    let is_year = |word: &&[u8]| word.len() == 4 && word.iter().all(u8::is_ascii_digit);
    last.iter().any(is_time) && last.iter().any(is_year)
}

/// A first line of a mailbox with a time, and a header behind it; or without, and a header that can only be a mail's. Or one of the
/// other forms.
pub(super) fn begins(probe: &Probe) -> bool {
    let text = &*probe.head;
    if mailbox::form(text).is_some() {
        return true;
    }
    let start = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    mailbox::first(start).starts_with(b"From ") && begins_by_lines(text)
}

fn begins_by_lines(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let mut lines = lines.filter(|line| !line.is_empty());
    let Some(first) = lines.next().filter(|line| line.starts_with(b"From ")) else {
        return false;
    };
    let mut headers = lines.take_while(|line| field(line).is_some() || line.starts_with(b">From "));
    let count = if ends_with_time(first) { 1 } else { 2 };
    let plain = count == 1 && headers.clone().next().is_some();
    plain || headers.any(|line| field(line).is_some_and(|(name, _)| is_of_mail(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{expand, object, tool, withstand};

    #[test]
    fn each_mail_is_a_member() {
        let text = b"From a@b Thu Jul 31 13:49:50 2008\r\nX: y\r\n\r\none\r\n\r\nFrom a  Thu Jul  3 13:49 CET 2008\r\nX: z\r\n\r\n>From here\r\nFrom there, no header\r\ntwo";
        let got = expand(&Mbox, text, b"x");
        let second = b"X: z\r\n\r\n>From here\r\nFrom there, no header\r\ntwo";
        let members = [
            (b"mail 1".to_vec(), b"X: y\r\n\r\none\r\n\r\n".to_vec()),
            (b"mail 2".to_vec(), second.to_vec()),
        ];
        assert_eq!(got.children, members);
        assert_eq!((&got.gaps[..], &got.notes[..]), (&[][..], &[][..]));
        assert!(expand(&Mbox, b"From here on\n\n", b"x").unlike);
    }

    proptest::proptest! {
        #[test]
        fn what_cannot_be_a_mailbox_is_seen_by_its_start(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "\u{feff}", "\n", "\r", "\r\n", "From ", "From a Thu Jul 31 13:49:50 2008\n", "Subject: x\n", ">From x\n",
                    "X: y\n", "\u{1}\u{1}\u{1}\u{1}", "\n\u{1}\u{1}\u{1}\u{1} \n", "BABYL OPTIONS:", "Mail From:", "helo ", "x", " ",
                    "\nDATA\n", "DATA", "EHLO x\r\n",
                ]),
                0..8,
            ),
        ) {
            let text = pieces.concat();
            let probe = object(text.as_bytes()).probe().unwrap();
            let has_form = mailbox::form(text.as_bytes()).is_some();
            proptest::prop_assert_eq!(mailbox::form(text.as_bytes()), mailbox::by_lines(text.as_bytes()));
            proptest::prop_assert_eq!(begins(&probe), has_form || begins_by_lines(text.as_bytes()));
        }
    }

    #[test]
    fn a_line_that_only_some_readers_take_gives_both_readings() {
        let text = b"From a@b Thu Jul 31 13:49:50 2008\nX: y\n\none\nFrom x\nX: z\n\ntwo\n\nFrom a Thu Jul 31 13:49:50 2008\nX: w\n\nthree\n";
        let got = expand(&Mbox, text, b"x");
        assert_eq!(
            got.names(),
            ["mail 1", "mail 1 piece 1", "mail 1 piece 2", "mail 2"]
        );
        assert_eq!(got.children[1].1, b"X: y\n\none\n");
        assert_eq!(got.children[2].1, b"X: z\n\ntwo\n\n");
        assert_eq!(got.notes.len(), 1);
        // Nobody can tell where a mailbox should have ended; its last mail can.
        withstand(&Mbox, text, b"x");
    }

    #[test]
    fn mailboxes_of_python_are_read() {
        let Some(folder) = tool("python3") else {
            return;
        };
        folder.write("make.py", b"import mailbox\nb = mailbox.mbox('box')\nfor n in range(20):\n    b.add(('Subject: %d\\n\\n' % n + 'line\\nFrom me\\n' * n).encode())\nb.flush()\n");
        folder.run("python3", &["make.py"]);
        let got = expand(&Mbox, &folder.read("box"), b"box");
        assert_eq!(
            (got.children.len(), got.gaps.len(), got.notes.len()),
            (20, 0, 0)
        );
        for (number, (_, content)) in got.children.iter().enumerate() {
            assert!(content.starts_with(format!("Subject: {number}\n").as_bytes()));
        }
    }
}
