//! The replies of SVSP: written and parsed in one place, so that server and client cannot drift apart.
//!
//! Source: spec-vfind.md §1.2 (grammar, quoting), §1.6 (replies), §1.8 (resolutions); the replies SKIPPED, NOTE and
//! COVERAGE are ours (docs/protocols/svsp.md).
#![forbid(unsafe_code)]

use crate::event::{Coverage, Fault};
use crate::path::ObjectPath;

/// The detail of the gap with which a server that ends answers what it did not finish. A client that knows other servers asks
/// one of them.
pub const ENDING: &str = "the server is ending";

/// One reply, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `COVERAGE objects bytes gaps notes epoch`
    Coverage(Coverage, String),
    /// `DENIED [text]`
    Denied(String),
    /// `DONE count : "file"[ : sha1]`; an old server leaves the count out.
    Done(Option<u64>, ObjectPath, Option<String>),
    /// `Exxx message`; the message may hold a quoted name, so it is bytes.
    Error(ErrorName, Vec<u8>),
    /// `INFECTED name : "file" : message`
    Infected(String, ObjectPath, String),
    /// `NOTE kind : "file" : detail`
    Note(String, ObjectPath, String),
    /// `OK [text]`
    Ok(String),
    /// `QUEUED`
    Queued,
    /// `READY [text]`
    Ready(String),
    /// `SCANNING "file"`
    Scanning(ObjectPath),
    /// `SEND [port]`
    Send(Option<u16>),
    /// `SKIPPED reason : "file" : detail`, with `passes` behind the reason where the policy passes it
    Skipped(String, bool, ObjectPath, String),
}

/// The six error names that a reply may have (spec-vfind.md §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorName {
    /// The file or folder may not be read.
    Eacces,
    /// The server is temporarily out of resources, or of time.
    Eagain,
    /// Internal error.
    Efault,
    /// The command is not understood.
    Einval,
    /// There is no such file or folder.
    Enoent,
    /// Understood, but not done here.
    Enotsup,
}

impl ErrorName {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Eacces, "EACCES"),
        (Self::Eagain, "EAGAIN"),
        (Self::Efault, "EFAULT"),
        (Self::Einval, "EINVAL"),
        (Self::Enoent, "ENOENT"),
        (Self::Enotsup, "ENOTSUP"),
    ];

    /// The name as written.
    pub fn word(self) -> &'static str {
        let row = Self::ALL.iter().find(|(name, _)| *name == self);
        row.map_or("EFAULT", |(_, word)| word)
    }
}

impl From<Fault> for ErrorName {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Internal => Self::Efault,
            Fault::Again => Self::Eagain,
            Fault::Access => Self::Eacces,
            Fault::NoEntry => Self::Enoent,
            Fault::NotSupported => Self::Enotsup,
        }
    }
}

impl Reply {
    /// Appends the reply as one line, CR LF at its end, with the request's id in front if it has one.
    pub fn write(&self, id: Option<&[u8]>, out: &mut Vec<u8>) {
        if let Some(id) = id {
            out.extend_from_slice(id);
            out.push(b' ');
        }
        match self {
            Self::Coverage(counts, epoch) => out.extend_from_slice(
                format!(
                    "COVERAGE {} {} {} {} {epoch}",
                    counts.objects, counts.bytes, counts.gaps, counts.notes
                )
                .as_bytes(),
            ),
            Self::Denied(text) => word_and_text("DENIED", text, out),
            Self::Done(count, path, sha1) => {
                out.extend_from_slice(b"DONE ");
                if let Some(count) = count {
                    out.extend_from_slice(count.to_string().as_bytes());
                    out.push(b' ');
                }
                out.extend_from_slice(b": ");
                path.write(out);
                if let Some(sha1) = sha1 {
                    out.extend_from_slice(b" : ");
                    out.extend_from_slice(sha1.as_bytes());
                }
            }
            Self::Error(name, message) => word_and_bytes(name.word(), message, out),
            Self::Infected(name, path, message) => three("INFECTED", name, path, message, out),
            Self::Note(kind, path, detail) => three("NOTE", kind, path, detail, out),
            Self::Ok(text) => word_and_text("OK", text, out),
            Self::Queued => out.extend_from_slice(b"QUEUED"),
            Self::Ready(text) => word_and_text("READY", text, out),
            Self::Scanning(path) => {
                out.extend_from_slice(b"SCANNING ");
                path.write(out);
            }
            Self::Send(None) => out.extend_from_slice(b"SEND"),
            Self::Send(Some(port)) => out.extend_from_slice(format!("SEND {port}").as_bytes()),
            Self::Skipped(reason, passes, path, detail) => {
                let passes = if *passes { PASSES } else { "" };
                three("SKIPPED", &format!("{reason}{passes}"), path, detail, out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn word_and_text(word: &str, text: &str, out: &mut Vec<u8>) {
    word_and_bytes(word, text.as_bytes(), out);
}

fn word_and_bytes(word: &str, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(word.as_bytes());
    if !text.is_empty() {
        out.push(b' ');
        out.extend_from_slice(text);
    }
}

/// `WORD first : "file" : last`. The last field is never empty: the paper's client takes a line without it for an
/// unexpected one (spec-vfind.md §1.9).
fn three(word: &str, first: &str, path: &ObjectPath, last: &str, out: &mut Vec<u8>) {
    word_and_text(word, first, out);
    out.extend_from_slice(b" : ");
    path.write(out);
    out.extend_from_slice(b" : ");
    out.extend_from_slice(if last.is_empty() {
        b"-"
    } else {
        last.as_bytes()
    });
}

/// What stands behind the reason of a gap that the policy passes. No reason has a blank in it.
const PASSES: &str = " passes";

/// A reply line without its line end: its id, if it has one, and the reply. `None` for what is no reply; words are
/// taken in any case.
pub fn parse(line: &[u8]) -> Option<(Option<Vec<u8>>, Reply)> {
    let (first, rest) = word(line);
    if !first.is_empty() && first.iter().all(u8::is_ascii_digit) {
        return Some((Some(first.to_vec()), parse_reply(rest)?));
    }
    Some((None, parse_reply(line)?))
}

/// Tells whether a line (without its id) begins with the name of an error, be it one that nobody knows: whoever answers
/// with one has ended.
pub fn is_error(line: &[u8]) -> bool {
    let (first, _) = word(line);
    matches!(first, [b'E' | b'e', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_alphanumeric))
}

fn parse_reply(line: &[u8]) -> Option<Reply> {
    let (first, args) = word(line);
    let first = std::str::from_utf8(first).ok()?.to_ascii_uppercase();
    if let Some((name, _)) = ErrorName::ALL.iter().find(|(_, word)| *word == first) {
        return Some(Reply::Error(*name, args.to_vec()));
    }
    match first.as_str() {
        "COVERAGE" => parse_coverage(args),
        "DENIED" => Some(Reply::Denied(text(args))),
        "DONE" => parse_done(args),
        "INFECTED" => parse_three(args).map(|(a, b, c)| Reply::Infected(a, b, c)),
        "NOTE" => parse_three(args).map(|(a, b, c)| Reply::Note(a, b, c)),
        "OK" => Some(Reply::Ok(text(args))),
        "QUEUED" => Some(Reply::Queued),
        "READY" => Some(Reply::Ready(text(args))),
        "SCANNING" => {
            let (path, rest) = ObjectPath::parse(args)?;
            rest.is_empty().then_some(Reply::Scanning(path))
        }
        "SEND" if args.is_empty() => Some(Reply::Send(None)),
        "SEND" => Some(Reply::Send(Some(text(args).parse().ok()?))),
        "SKIPPED" => parse_three(args).map(|(reason, b, c)| {
            let passes = reason.strip_suffix(PASSES);
            let reason = passes.unwrap_or(&reason).to_owned();
            Reply::Skipped(reason, passes.is_some(), b, c)
        }),
        _ => None,
    }
}

fn parse_coverage(args: &[u8]) -> Option<Reply> {
    let args = text(args);
    let mut words = args.split(' ');
    let mut number = || words.next()?.parse().ok();
    let counts = Coverage {
        objects: number()?,
        bytes: number()?,
        gaps: number()?,
        notes: number()?,
    };
    Some(Reply::Coverage(counts, words.next()?.to_owned()))
}

fn parse_done(args: &[u8]) -> Option<Reply> {
    let colon = args.iter().position(|byte| *byte == b':')?;
    let (count, rest) = args.split_at_checked(colon)?;
    let count = text(count.trim_ascii());
    let count = if count.is_empty() {
        None
    } else {
        Some(count.parse().ok()?)
    };
    let (path, rest) = ObjectPath::parse(rest.get(1..)?.trim_ascii_start())?;
    let sha1 = match rest.strip_prefix(b" : ") {
        Some(sha1) => Some(text(sha1)),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some(Reply::Done(count, path, sha1))
}

fn parse_three(args: &[u8]) -> Option<(String, ObjectPath, String)> {
    let at = memchr::memmem::find(args, b" : ")?;
    let (path, rest) = ObjectPath::parse(args.get(at + 3..)?)?;
    let last = rest.strip_prefix(b" : ")?;
    Some((text(args.get(..at)?), path, text(last)))
}

/// The bytes up to the first blank, and what follows the blanks.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|byte| *byte == b' ');
    let (first, rest) = line
        .split_at_checked(at.unwrap_or(line.len()))
        .unwrap_or((line, b""));
    (first, rest.trim_ascii_start())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&[u8]]) -> ObjectPath {
        let mut path = ObjectPath::root(names[0].to_vec());
        for name in &names[1..] {
            path = path.member(name);
        }
        path
    }

    #[test]
    fn every_reply_parses_to_what_was_written() {
        let odd = path(&[b"/tmp/a : \"b\" : c\n\xff", b"in : side"]);
        let counts = Coverage {
            objects: 1,
            bytes: 2,
            gaps: 3,
            notes: 4,
        };
        let rows = [
            Reply::Coverage(counts, "1:00ff".into()),
            Reply::Denied("not from here".into()),
            Reply::Done(Some(3), odd.clone(), None),
            Reply::Done(Some(0), path(&[b"/x"]), Some("da39".into())),
            Reply::Done(None, path(&[b"/x"]), None),
            Reply::Error(ErrorName::Enoent, b"\"nonexistent\"".to_vec()),
            Reply::Infected("CVDL W32/Sick".into(), odd.clone(), "end at 1234".into()),
            Reply::Note("changed".into(), odd.clone(), "grew".into()),
            Reply::Ok(String::new()),
            Reply::Queued,
            Reply::Ready(String::new()),
            Reply::Scanning(odd.clone()),
            Reply::Send(None),
            Reply::Send(Some(40000)),
            Reply::Skipped("unsupported/xz".into(), false, odd.clone(), "-".into()),
            Reply::Skipped("corrupt".into(), true, odd, "-".into()),
        ];
        for reply in rows {
            for id in [None, Some(&b"007"[..])] {
                let mut line = Vec::new();
                reply.write(id, &mut line);
                let line = line.strip_suffix(b"\r\n").unwrap();
                assert_eq!(parse(line), Some((id.map(<[u8]>::to_vec), reply.clone())));
            }
        }
    }

    #[test]
    fn lines_of_other_servers_are_understood_and_nonsense_is_not() {
        assert!(matches!(
            parse(b"done : \"/tmp/foo\"").unwrap().1,
            Reply::Done(None, _, None)
        ));
        for line in [
            &b""[..],
            b"HELLO",
            b"12",
            b"DONE x : \"a\"",
            b"DONE 1 : a",
            b"INFECTED a : \"b\"",
            b"SEND 70000",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
        for (line, expected) in [
            (&b"EIO \"/a\""[..], true),
            (b"e2big", true),
            (b"ENOENT", true),
            (b"E", false),
            (b"E-MAIL", false),
            (b"DONE x", false),
        ] {
            assert_eq!(is_error(line), expected, "{line:?}");
        }
    }
}
