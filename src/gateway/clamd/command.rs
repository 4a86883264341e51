//! Commands out of a stream of bytes: where each ends, and what it asks for.
//!
//! Source: clamd(8), and what clamd 1.4.6 answers (docs/protocols/clamd.md).
#![forbid(unsafe_code)]

use bytes::{Buf, BytesMut};

use crate::gateway::Order;
use crate::request::Wanted;

/// The longest command, without its end: a word and the longest path of Linux.
pub(super) const LIMIT: usize = 8 * 1024;

/// How a command says where it ends. The replies to it end in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `PING`: at a newline, or where what came at once is at its end. Replies end with a newline.
    Bare,
    /// `nPING`: at a newline.
    Newline,
    /// `zPING`: at a zero byte.
    Zero,
}

impl Form {
    /// The byte behind the replies.
    pub(super) fn end(self) -> u8 {
        match self {
            Self::Bare | Self::Newline => b'\n',
            Self::Zero => 0,
        }
    }
}

/// One command, before anybody asks what it means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Framed {
    /// How it ended.
    pub(super) form: Form,
    /// Its text, without prefix and end; `None` if it is longer than [`LIMIT`].
    pub(super) text: Option<BytesMut>,
}

/// Where the framing stands within the bytes not yet taken. Each byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// So many bytes at the start of the input hold no end.
    scanned: usize,
}

impl Framing {
    /// Takes the next command out of `input`, in which is all that has come so far; `None` when there is none yet.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Option<Framed> {
        let (form, prefix) = match input.first()? {
            b'n' => (Form::Newline, 1),
            b'z' => (Form::Zero, 1),
            _ => (Form::Bare, 0),
        };
        let reach = input.len().min(prefix + LIMIT + 1);
        let from = self.scanned.max(prefix).min(reach);
        let end = memchr::memchr(form.end(), input.get(from..reach)?).map(|at| from + at);
        let (end, behind) = match end {
            Some(end) => (end, 1),
            None if reach > prefix + LIMIT => {
                return Some(Framed { form, text: None });
            }
            None if form == Form::Bare => (reach, 0),
            None => {
                self.scanned = reach;
                return None;
            }
        };
        self.scanned = 0;
        let mut text = input.split_to(end);
        input.advance(behind);
        text.advance(prefix);
        // As telnet ends lines, and as a client in C ends what it sends.
        let extra: &[u8] = match form {
            Form::Bare => b"\r\0",
            Form::Newline => b"\r",
            Form::Zero => b"",
        };
        if text.last().is_some_and(|last| extra.contains(last)) {
            text.truncate(text.len() - 1);
        }
        Some(Framed {
            form,
            text: Some(text),
        })
    }
}

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The end of a session.
    End,
    /// A scan of an open file that comes beside the next byte.
    Fildes,
    /// The beginning of a session.
    IdSession,
    /// A scan of what follows in chunks.
    InStream,
    /// Something to do with the server.
    Order(Order),
    /// A sign of life.
    Ping,
    /// A scan of what is at the path behind it.
    Scan(Wanted),
    /// Nothing: clamd takes it and says nothing.
    Silence,
    /// How the server is.
    Stats,
    /// Who it is.
    Version,
    /// Who it is, and what it can be asked.
    VersionCommands,
}

/// One command that there is.
#[derive(Debug)]
pub(super) struct Row {
    /// As it is written.
    pub(super) word: &'static str,
    what: What,
    /// It may be written without a prefix.
    bare: bool,
    /// It may be part of a session.
    in_session: bool,
}

const fn row(word: &'static str, what: What, bare: bool, in_session: bool) -> Row {
    Row {
        word,
        what,
        bare,
        in_session,
    }
}

/// All of them, in the order in which clamd lists them.
pub(super) const ROWS: [Row; 17] = [
    row("SCAN", What::Scan(Wanted::First), true, true),
    row("QUIT", What::Order(Order::Shutdown), true, false),
    row("RELOAD", What::Order(Order::Reload), true, false),
    row("PING", What::Ping, true, true),
    row("CONTSCAN", What::Scan(Wanted::FirstOfEach), true, false),
    row("VERSIONCOMMANDS", What::VersionCommands, false, true),
    row("VERSION", What::Version, true, true),
    row("END", What::End, false, true),
    row("SHUTDOWN", What::Order(Order::Shutdown), true, false),
    row("MULTISCAN", What::Scan(Wanted::FirstOfEach), true, false),
    row("FILDES", What::Fildes, true, true),
    row("STATS", What::Stats, false, true),
    row("IDSESSION", What::IdSession, false, false),
    row("INSTREAM", What::InStream, false, true),
    row("DETSTATSCLEAR", What::Silence, true, false),
    row("DETSTATS", What::Silence, true, false),
    row("ALLMATCHSCAN", What::Scan(Wanted::All), false, false),
];

/// What this text asks for, and the path behind it; `None` for what is no command here. Words are in capitals; one blank
/// parts a path from its word, and only scans have a path.
pub(super) fn parse(form: Form, text: &[u8], in_session: bool) -> Option<(What, &[u8])> {
    let blank = memchr::memchr(b' ', text);
    let (word, path) = match blank {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, &b""[..]),
    };
    let row = ROWS.iter().find(|row| row.word.as_bytes() == word)?;
    let has_path = matches!(row.what, What::Scan(_));
    let fits_form = form != Form::Bare || row.bare && !in_session;
    let fits_session = match row.what {
        What::End => in_session,
        _ => !in_session || row.in_session,
    };
    (has_path == blank.is_some() && fits_form && fits_session).then_some((row.what, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<(Form, Option<Vec<u8>>)> {
        let (mut framing, mut input, mut got) = (Framing::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(framed) = framing.take(&mut input) {
                let is_over = framed.text.is_none();
                got.push((framed.form, framed.text.map(|text| text.to_vec())));
                if is_over {
                    return got;
                }
            }
        }
        got
    }

    fn whole(form: Form, text: &[u8]) -> (Form, Option<Vec<u8>>) {
        (form, Some(text.to_vec()))
    }

    #[test]
    fn commands_with_a_prefix_end_where_they_say_however_they_come() {
        let wire = b"nPING\nzSCAN /a\nb\0nSCAN /c\0d\r\nz\0n\nz\r\0";
        let expected = [
            whole(Form::Newline, b"PING"),
            whole(Form::Zero, b"SCAN /a\nb"),
            whole(Form::Newline, b"SCAN /c\0d"),
            whole(Form::Zero, b""),
            whole(Form::Newline, b""),
            whole(Form::Zero, b"\r"),
        ];
        for at in 0..=wire.len() {
            assert_eq!(frames(&[&wire[..at], &wire[at..]]), expected, "{at}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(frames(&bytes), expected);
    }

    #[test]
    fn a_bare_command_ends_with_its_packet() {
        type Row = (&'static [&'static [u8]], &'static [&'static [u8]]);
        let rows: [Row; 5] = [
            (&[b"PING"], &[b"PING"]),
            (&[b"PING\r\n"], &[b"PING"]),
            (&[b"SCAN /a\0"], &[b"SCAN /a"]),
            (&[b"PI", b"NG\n"], &[b"PI", b""]),
            (&[b"SCAN /a\nSCAN /b"], &[b"SCAN /a", b"SCAN /b"]),
        ];
        for (pieces, expected) in rows {
            let expected: Vec<_> = expected
                .iter()
                .map(|text| whole(Form::Bare, text))
                .collect();
            // What follows a newline that came late belongs to the next command: `NG` begins like one with a prefix.
            let got = frames(pieces);
            assert_eq!(got[0], expected[0], "{pieces:?}");
            if pieces.len() == 1 {
                assert_eq!(got, expected, "{pieces:?}");
            }
        }
    }

    #[test]
    fn a_command_that_is_too_long_is_told_of_before_it_ends() {
        for prefix in [&b"n"[..], b"z", b""] {
            let longest = [prefix, &vec![b'X'; LIMIT]].concat();
            let end = if prefix == b"z" { b"\0" } else { b"\n" };
            let [framed] = &frames(&[&longest, end])[..] else {
                continue;
            };
            assert_eq!(framed.1.as_ref().unwrap().len(), LIMIT);
            let framed = frames(&[&[&longest[..], b"X"].concat()]);
            assert!(framed[0].1.is_none(), "{prefix:?}");
        }
    }

    #[test]
    fn words_stand_where_they_may() {
        use Form::{Bare, Newline, Zero};
        let scan = What::Scan(Wanted::First);
        type Row = (Form, &'static [u8], bool, Option<(What, &'static [u8])>);
        let rows: [Row; 20] = [
            (Bare, b"PING", false, Some((What::Ping, b""))),
            (Bare, b"PING", true, None),
            (Zero, b"PING", true, Some((What::Ping, b""))),
            (Zero, b"PING ", false, None),
            (Zero, b"ping", false, None),
            (Zero, b"", false, None),
            (Bare, b"SCAN /a b ", false, Some((scan, b"/a b "))),
            (Zero, b"SCAN  /a", false, Some((scan, b" /a"))),
            (Zero, b"SCAN ", false, Some((scan, b""))),
            (Zero, b"SCAN", false, None),
            (Zero, b"SCANX /a", false, None),
            (Zero, b"CONTSCAN /a", true, None),
            (Bare, b"STATS", false, None),
            (Newline, b"STATS", false, Some((What::Stats, b""))),
            (Bare, b"ALLMATCHSCAN /a", false, None),
            (Zero, b"IDSESSION", true, None),
            (Zero, b"END", false, None),
            (Zero, b"END", true, Some((What::End, b""))),
            (Zero, b"STREAM", false, None),
            (Zero, b"SELFCHECK", false, None),
        ];
        for (form, text, in_session, expected) in rows {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(
                parse(form, text, in_session),
                expected,
                "{form:?} {shown} {in_session}"
            );
        }
    }
}
