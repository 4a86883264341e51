//! A line of SVSP as a command: id, verb and arguments, or the reason why it is none.
//!
//! Source: spec-vfind.md §1.2 (grammar), §1.3 (commands), §1.5 (data sources), §1.8 (resolutions 6, 15, 18, 19). What a
//! peer sends is bytes without an encoding; all that is not understood is refused and nothing is guessed.
#![forbid(unsafe_code)]

use crate::path::{printable, unquote};

use super::reply::{ErrorName, Reply};

/// The longest id. Ids are opaque and are given back byte for byte, so they are held as long as their request.
const ID_LIMIT: usize = 64;

/// The longest label, in bytes, as names of files are: it is held against every pattern of EXCLUDE.
const LABEL_LIMIT: usize = 4095;

/// How much of what a peer said is shown to it again.
const ECHO: usize = 200;

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    /// The digits in front, if there are some.
    pub(super) id: Option<&'a [u8]>,
    /// What is asked for.
    pub(super) command: Result<Command<'a>, Refusal>,
}

/// A command that is understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// `ENABLE` or `DISABLE` option [value]
    Option {
        /// `ENABLE`
        on: bool,
        /// The option, as written.
        name: &'a [u8],
        /// The rest of the line, if there is any.
        value: Option<&'a [u8]>,
    },
    /// `QUIT`
    Quit,
    /// `SCAN`
    Scan {
        /// The file or folder, or the label of the content.
        name: Vec<u8>,
        /// Where the content is.
        what: What,
    },
}

/// The data source of a scan (spec-vfind.md §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `/DATA`: so many bytes behind the line.
    Data(u64),
    /// `/FILE`: here, by its name.
    File,
    /// `/FILE-SHA1`: the same, and its SHA-1 is wanted.
    FileSha1,
    /// `/PORT`: at this port of the peer.
    Port(u16),
    /// `/REQUEST`: at a port of ours.
    Request,
    /// Nothing said: all that follows the line.
    Rest,
}

/// Why a line is not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error name.
    pub(super) error: ErrorName,
    /// For people; one line.
    pub(super) message: String,
    /// What the bytes behind the line are.
    pub(super) intake: Intake,
}

/// What the bytes of the input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// Lines.
    Commands,
    /// So many bytes of content that nobody wants, then lines.
    Data(u64),
    /// Nobody can tell, or nobody cares: no more is read.
    Nothing,
    /// Content that nobody wants, up to the end of the input.
    Rest,
}

impl Refusal {
    /// A refusal after which the next line is read.
    pub(super) fn new(error: ErrorName, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
            intake: Intake::Commands,
        }
    }

    /// `EINVAL`
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorName::Einval, message)
    }

    /// `ENOTSUP`
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorName::Enotsup, message)
    }

    fn then(self, intake: Intake) -> Self {
        Self { intake, ..self }
    }

    /// The reply that says it.
    pub(super) fn reply(&self) -> Reply {
        Reply::Error(self.error, self.message.clone().into_bytes())
    }
}

/// Reads one line. `None` for a blank one: the paper's FAQ tells users to send them, so they mean nothing.
pub(super) fn parse(line: &[u8]) -> Option<Parsed<'_>> {
    let line = skip_blanks(line);
    if line.is_empty() {
        return None;
    }
    let (id, text) = split_id(line);
    let command = command(text);
    Some(Parsed { id, command })
}

/// What a line that was too long is answered with, from its first bytes. Where content follows, nothing after it is read:
/// how much it is may have stood in what is lost.
pub(super) fn too_long(head: &[u8], limit: usize) -> Parsed<'_> {
    let (id, text) = split_id(skip_blanks(head));
    let behind = match command(text) {
        Ok(Command::Scan { what, .. }) => what.behind(),
        Ok(Command::Option { .. } | Command::Quit) => Intake::Commands,
        Err(refusal) => refusal.intake,
    };
    let intake = match behind {
        Intake::Commands => Intake::Commands,
        Intake::Data(_) | Intake::Nothing | Intake::Rest => Intake::Nothing,
    };
    let refusal = Refusal::invalid(format!("Line too long: more than {limit} bytes"));
    Parsed {
        id,
        command: Err(refusal.then(intake)),
    }
}

/// Tells a browser, or a program that was led to the wrong port. A web page can make a browser send lines of the page's
/// choice behind the request's own, and these must not become commands.
pub(super) fn is_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 10] = [
        b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PRI", b"PUT",
        b"TRACE",
    ];
    let (method, _) = word(line);
    let last = line.rsplit(u8::is_ascii_whitespace).next();
    let is_name = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    METHODS.contains(&method)
        || method.iter().all(is_name) && last.is_some_and(|last| last.starts_with(b"HTTP/"))
}

fn split_id(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (first, rest) = word(line);
    let is_id = (1..=ID_LIMIT).contains(&first.len()) && first.iter().all(u8::is_ascii_digit);
    if is_id {
        (Some(first), rest)
    } else {
        (None, line)
    }
}

fn command(text: &[u8]) -> Result<Command<'_>, Refusal> {
    let (verb, args) = word(text);
    let verb = verb.to_ascii_uppercase();
    match verb.as_slice() {
        b"" => Err(Refusal::invalid("No command")),
        b"DISABLE" => option(false, args),
        b"ENABLE" => option(true, args),
        b"QUIT" if args.is_empty() => Ok(Command::Quit),
        b"QUIT" => Err(Refusal::invalid("QUIT takes no argument")),
        _ => match verb.strip_prefix(b"SCAN") {
            Some(form) if form.is_empty() || form.starts_with(b"/") => scan(form, args),
            _ => Err(unrecognized(text)),
        },
    }
}

fn unrecognized(text: &[u8]) -> Refusal {
    let refusal = Refusal::invalid(format!("Unrecognized command: {}", printable(text, ECHO)));
    // An id that is too long may stand in front of a command that content follows.
    match word(text).0.iter().all(u8::is_ascii_digit) {
        true => refusal.then(Intake::Nothing),
        false => refusal,
    }
}

fn option(on: bool, args: &[u8]) -> Result<Command<'_>, Refusal> {
    let (name, value) = word(args);
    if name.is_empty() {
        return Err(Refusal::invalid("No option"));
    }
    let value = (!value.is_empty()).then_some(value);
    Ok(Command::Option { on, name, value })
}

/// `form` is what follows `SCAN` in the verb: `/what`, `/how/what` or nothing.
fn scan<'a>(form: &[u8], args: &'a [u8]) -> Result<Command<'a>, Refusal> {
    let end = form.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (how, what) = form.split_at_checked(end).unwrap_or_default();
    let (what, name) = match what.strip_prefix(b"/").unwrap_or_default() {
        b"" => (What::Rest, rest(args)?),
        b"DATA" => data(args)?,
        b"FILE" => (What::File, file(args)?),
        b"FILE-SHA1" => (What::FileSha1, file(args)?),
        b"PORT" => port(args)?,
        b"REQUEST" => (What::Request, label(args)?),
        _ => return Err(unknown_source(form)),
    };
    if matches!(how, b"" | b"/") {
        return Ok(Command::Scan { name, what });
    }
    Err(unknown_source(form).then(what.behind()))
}

impl What {
    /// What the bytes behind a refused line are: the content follows whatever the answer is, and to read it as commands
    /// would let it speak for the peer.
    pub(super) fn behind(self) -> Intake {
        match self {
            Self::Data(length) => Intake::Data(length),
            Self::Rest => Intake::Rest,
            Self::File | Self::FileSha1 | Self::Port(_) | Self::Request => Intake::Commands,
        }
    }
}

fn unknown_source(form: &[u8]) -> Refusal {
    let form = printable(form, ECHO);
    Refusal::unsupported(format!("Unknown data source or format: SCAN{form}"))
}

/// Without the length of the content nobody can tell where the next command begins.
fn data(args: &[u8]) -> Result<(What, Vec<u8>), Refusal> {
    let (length, name) = word(args);
    let Some(length) = decimal(length) else {
        let refusal = Refusal::invalid("SCAN/DATA needs the number of bytes");
        return Err(refusal.then(Intake::Nothing));
    };
    let what = What::Data(length);
    let name = label(name).map_err(|refusal| refusal.then(what.behind()))?;
    Ok((what, name))
}

fn port(args: &[u8]) -> Result<(What, Vec<u8>), Refusal> {
    let (number, name) = word(args);
    match decimal(number) {
        Some(0) | None => Err(Refusal::invalid("SCAN/PORT needs a port from 1 to 65535")),
        Some(number) => Ok((What::Port(number), label(name)?)),
    }
}

/// A name behind `SCAN` is most likely meant for `SCAN/FILE`. Whether content follows nobody can tell.
fn rest(args: &[u8]) -> Result<Vec<u8>, Refusal> {
    if args.is_empty() {
        return Ok(Vec::new());
    }
    let refusal = Refusal::invalid("SCAN without a data source takes no argument, use SCAN/FILE");
    Err(refusal.then(Intake::Nothing))
}

fn file(args: &[u8]) -> Result<Vec<u8>, Refusal> {
    if args.is_empty() {
        return Err(Refusal::invalid("No file name"));
    }
    name(args)
}

/// A name that may be left out.
fn label(args: &[u8]) -> Result<Vec<u8>, Refusal> {
    let label = name(args)?;
    if label.len() > LABEL_LIMIT {
        let refusal = format!("Label too long: more than {LABEL_LIMIT} bytes");
        return Err(Refusal::invalid(refusal));
    }
    Ok(label)
}

fn name(args: &[u8]) -> Result<Vec<u8>, Refusal> {
    let name = quoted(args).unwrap_or_else(|| args.to_vec());
    if name.contains(&0) {
        return Err(Refusal::invalid("NUL in the file name"));
    }
    Ok(name)
}

/// Our extension, for names that a line cannot hold: the text form of an absolute path. All else that begins with a
/// quotation mark is a name as the paper has it, which takes no quoting.
pub(super) fn quoted(args: &[u8]) -> Option<Vec<u8>> {
    let (name, rest) = unquote(args)?;
    (rest.is_empty() && name.starts_with(b"/")).then_some(name)
}

/// A whole number of nothing but digits.
pub(super) fn decimal<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    let text = text.trim_ascii_end();
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// The bytes up to the first blank, and what follows the blanks.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(is_blank).unwrap_or(text.len());
    let (first, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (first, skip_blanks(rest))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(byte));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_of(line: &[u8]) -> (Vec<u8>, What) {
        match parse(line).unwrap().command {
            Ok(Command::Scan { name, what }) => (name, what),
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn a_file_name_is_the_rest_of_the_line_as_it_stands() {
        let rows: &[(&[u8], &[u8])] = &[
            (b"SCAN/FILE /tmp/foo", b"/tmp/foo"),
            (b"scan//file  \t /tmp/a b \"c\\ ", b"/tmp/a b \"c\\ "),
            (b"SCAN/FILE relative", b"relative"),
            (b"SCAN/FILE \xff\xfe", b"\xff\xfe"),
            (b"SCAN/FILE \"/tmp/a\\nb\\xff\"", b"/tmp/a\nb\xff"),
            (b"SCAN/FILE \"/tmp/a\" ", b"\"/tmp/a\" "),
            (b"SCAN/FILE \"tmp\"", b"\"tmp\""),
            (b"SCAN/FILE \"/tmp", b"\"/tmp"),
        ];
        for (line, name) in rows {
            assert_eq!(scan_of(line), (name.to_vec(), What::File), "{line:?}");
        }
    }

    #[test]
    fn every_data_source_has_its_own_arguments() {
        let rows: &[(&[u8], What, &[u8])] = &[
            (b"SCAN/FILE-SHA1 /x", What::FileSha1, b"/x"),
            (b"SCAN/REQUEST", What::Request, b""),
            (b"scan//request  a b ", What::Request, b"a b "),
            (b"SCAN/REQUEST \"/a\\n\"", What::Request, b"/a\n"),
            (b"SCAN/PORT 4000", What::Port(4000), b""),
            (b"SCAN/PORT 65535  a b", What::Port(65535), b"a b"),
            (b"SCAN/DATA 0", What::Data(0), b""),
            (b"SCAN/DATA 12 ", What::Data(12), b""),
            (
                b"SCAN/DATA 18446744073709551615 x",
                What::Data(u64::MAX),
                b"x",
            ),
            (b"SCAN", What::Rest, b""),
            (b"SCAN/ ", What::Rest, b""),
            (b"SCAN// ", What::Rest, b""),
        ];
        for (line, what, name) in rows {
            assert_eq!(scan_of(line), (name.to_vec(), *what), "{line:?}");
        }
    }

    #[test]
    fn what_is_refused_says_why_and_what_follows_it() {
        use ErrorName::{Einval, Enotsup};
        let rows: &[(&[u8], ErrorName, Intake)] = &[
            (b"SCAN/FILE", Einval, Intake::Commands),
            (b"SCAN/FILE  ", Einval, Intake::Commands),
            (b"SCAN/FILE /a\0b", Einval, Intake::Commands),
            (b"SCAN/FILE \"/a\\x00b\"", Einval, Intake::Commands),
            (b"SCAN/raw/FILE /a", Enotsup, Intake::Commands),
            (b"SCAN/FILE/", Enotsup, Intake::Rest),
            (b"SCAN/a/b/c", Enotsup, Intake::Commands),
            (b"SCAN/a/b/DATA 5", Enotsup, Intake::Data(5)),
            (b"SCAN/a/b/", Enotsup, Intake::Rest),
            (b"SCAN/NONSENSE /a", Enotsup, Intake::Commands),
            (b"SCAN/gz/REQUEST x", Enotsup, Intake::Commands),
            (b"SCAN/gz/DATA 12 ", Enotsup, Intake::Data(12)),
            (b"SCAN/REQUEST a\0", Einval, Intake::Commands),
            (b"SCAN/PORT", Einval, Intake::Commands),
            (b"SCAN/PORT 0 x", Einval, Intake::Commands),
            (b"SCAN/PORT 65536", Einval, Intake::Commands),
            (b"SCAN/DATA 5 a\0", Einval, Intake::Data(5)),
            (b"SCAN/DATA", Einval, Intake::Nothing),
            (b"SCAN/DATA +1", Einval, Intake::Nothing),
            (b"SCAN/DATA 12x", Einval, Intake::Nothing),
            (b"SCAN/DATA 99999999999999999999", Einval, Intake::Nothing),
            (b"SCAN /tmp/foo", Einval, Intake::Nothing),
            (b"SCAN/FILE/ /a", Einval, Intake::Nothing),
            (b"SCANNER", Einval, Intake::Commands),
            (b"ENABLE", Einval, Intake::Commands),
            (b"QUIT now", Einval, Intake::Commands),
            (b"\xff\xfb\x01", Einval, Intake::Commands),
        ];
        for (line, error, intake) in rows {
            let refusal = parse(line).unwrap().command.unwrap_err();
            assert_eq!(
                (refusal.error, refusal.intake),
                (*error, *intake),
                "{line:?}"
            );
        }
    }

    #[test]
    fn an_id_is_digits_up_to_a_length() {
        let longest = [b"9".repeat(ID_LIMIT), b" QUIT".to_vec()].concat();
        let longer = [b"9".as_slice(), &longest].concat();
        let rows: &[(&[u8], Option<&[u8]>)] = &[
            (b"007 quit", Some(b"007")),
            (b"  1\tQUIT ", Some(b"1")),
            (b"-1 QUIT", None),
            (b"12", Some(b"12")),
            (&longest, Some(&longest[..ID_LIMIT])),
            (&longer, None),
        ];
        for (line, id) in rows {
            assert_eq!(parse(line).unwrap().id, *id, "{line:?}");
        }
        assert_eq!(parse(b" \t"), None);
        assert_eq!(too_long(b"12 SCAN/FILE xxx", 9).id, Some(&b"12"[..]));
        let rows: &[(&[u8], Intake)] = &[
            (b"12 SCAN/FILE xxx", Intake::Commands),
            (b"ENABLE EXCLUDE x", Intake::Commands),
            (b"1 SCAN/DATA 25 xxx", Intake::Nothing),
            (b"SCAN/gz/DATA 5 xx", Intake::Nothing),
            (b"SCAN   ", Intake::Nothing),
        ];
        for (head, intake) in rows {
            let refusal = too_long(head, 9).command.unwrap_err();
            assert_eq!(refusal.intake, *intake, "{head:?}");
        }
    }

    #[test]
    fn a_browser_is_known_by_its_first_line() {
        for line in [
            &b"GET / HTTP/1.1"[..],
            b"POST /x",
            b"PRI * HTTP/2.0",
            b"PROPFIND / HTTP/1.1",
            b"M-SEARCH * HTTP/1.1",
        ] {
            assert!(is_http(line), "{line:?}");
        }
        assert!(!is_http(b"SCAN/FILE GET") && !is_http(b"SCAN/FILE /a HTTP/1.1"));
    }
}
