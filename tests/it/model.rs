//! SVSP's server grammar once more, written from the protocol's description alone, to hold the gateway against.
//!
//! A stream of bytes is read as a whole, with none of the questions of when what arrives: [`read`] gives the commands in it,
//! what each is to be answered with, and what a scan must be like. It shares no code with the gateway but the names of the
//! kinds of containers.

use std::collections::BTreeSet;

use vfind::kind::{KindSet, by_name};
use vfind::request::Recurse;

/// No line may be longer, without its end.
pub const LINE_LIMIT: usize = 65_536;

/// What the text of a reply must be, without the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// This.
    Whole(Vec<u8>),
    /// This, alone or with a blank and something for people behind it.
    Begin(Vec<u8>),
}

impl Text {
    pub fn allows(&self, line: &[u8]) -> bool {
        match self {
            Self::Whole(text) => line == text,
            Self::Begin(text) => line
                .strip_prefix(text.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")),
        }
    }
}

/// One command of a stream.
#[derive(Debug, Clone)]
pub struct Command {
    pub id: Option<Vec<u8>>,
    /// So many bytes of the stream must be there before the server can know it.
    pub known_at: usize,
    /// It is the last line and has no end: only the half-close makes it a line.
    pub needs_end: bool,
    pub effect: Effect,
}

#[derive(Debug, Clone)]
pub enum Effect {
    /// One reply: OK or the name of an error.
    Reply(&'static str),
    /// An error, after which nothing more is read and the connection is closed.
    Fatal(&'static str),
    /// Accepted, and answered at once: a name that is not looked for.
    NoSuchName { name: Vec<u8>, coverage: bool },
    /// A scan.
    Scan(Scan),
    /// OK after everything else, then the connection is closed.
    Quit,
    /// The connection is closed without a word.
    Hang,
}

#[derive(Debug, Clone)]
pub struct Scan {
    pub name: Vec<u8>,
    pub way: Way,
    pub sha1: bool,
    pub options: Options,
}

/// Where the content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Name,
    Listen,
    Dial(u16),
    /// In the stream, from here to there; there may be behind the end of the stream.
    Counted(usize, usize),
    /// In the stream, from here to its end.
    Rest(usize),
}

impl Way {
    pub fn is_inline(&self) -> bool {
        matches!(self, Self::Counted(..) | Self::Rest(_))
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    pub ignore: BTreeSet<Vec<u8>>,
    pub exclude: BTreeSet<Vec<u8>>,
    pub expand: KindSet,
    /// Nobody has said anything about single kinds yet.
    is_default_set: bool,
    pub recurse: Recurse,
    pub html: u8,
    pub original: bool,
    pub coverage: bool,
}

/// All commands of a stream; `ended` says that the client's half-close follows it.
pub fn read(stream: &[u8], ended: bool) -> Vec<Command> {
    let mut reader = Reader {
        stream,
        ended,
        at: 0,
        options: Options {
            ignore: BTreeSet::new(),
            exclude: BTreeSet::new(),
            expand: KindSet::usual(),
            is_default_set: true,
            recurse: Recurse::Unlimited,
            html: 0,
            original: false,
            coverage: false,
        },
        commands: Vec::new(),
    };
    while reader.line() {}
    reader.commands
}

struct Reader<'a> {
    stream: &'a [u8],
    ended: bool,
    at: usize,
    options: Options,
    commands: Vec<Command>,
}

impl Reader<'_> {
    /// Reads one line; false if there are no more commands.
    fn line(&mut self) -> bool {
        let start = self.at;
        let rest = &self.stream[start..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let is_long = end.unwrap_or(rest.len()) > LINE_LIMIT;
        let mut known_at = start + end.map_or(rest.len(), |end| end + 1);
        self.at = known_at;
        if end.is_none() && (rest.is_empty() || !self.ended && !is_long) {
            return false;
        }
        let mut line = &rest[..end.unwrap_or(rest.len())];
        line = line.strip_suffix(b"\r").unwrap_or(line);
        // Blanks in front mean nothing, as after the id.
        let (id, text) = id(unblank(line));
        let mut needs_end = end.is_none();
        let effect = if is_long {
            known_at = start + LINE_LIMIT + 1;
            needs_end = false;
            // Of a line that is too long the first 128 bytes are looked at, no more.
            let (_, text) = self::id(unblank(&line[..128]));
            Some(match announces_content(text) {
                true => Effect::Fatal("EINVAL"),
                false => Effect::Reply("EINVAL"),
            })
        } else if self.commands.is_empty() && looks_like_http(line) {
            Some(Effect::Hang)
        } else if line.iter().all(is_blank) {
            None
        } else {
            Some(self.command(text))
        };
        let is_last = matches!(effect, Some(Effect::Hang | Effect::Quit | Effect::Fatal(_)));
        if let Some(effect) = effect {
            self.commands.push(Command {
                id: id.map(<[u8]>::to_vec),
                known_at,
                needs_end,
                effect,
            });
        }
        !is_last
    }

    fn command(&mut self, text: &[u8]) -> Effect {
        let (verb, arguments) = word(text);
        let verb = verb.to_ascii_uppercase();
        match verb.as_slice() {
            b"ENABLE" => Effect::Reply(self.option(arguments, true)),
            b"DISABLE" => Effect::Reply(self.option(arguments, false)),
            b"QUIT" if arguments.is_empty() => Effect::Quit,
            _ => match verb.strip_prefix(b"SCAN") {
                Some(b"") => self.scan(b"", arguments),
                Some(more) if more.starts_with(b"/") => {
                    let parts: Vec<_> = more[1..].split(|byte| *byte == b'/').collect();
                    match parts.as_slice() {
                        // The form "raw" has no name, so that nothing or a slash too many is it.
                        [what] | [b"", what] => self.scan(what, arguments),
                        // A format that nobody knows, of what is a source all the same: what is wrong there comes first, and
                        // content that follows is content.
                        [.., what] => match self.scan(what, arguments) {
                            Effect::Scan(_) | Effect::NoSuchName { .. } => Effect::Reply("ENOTSUP"),
                            refused => refused,
                        },
                        [] => Effect::Reply("ENOTSUP"),
                    }
                }
                _ if announces_content(text) => Effect::Fatal("EINVAL"),
                _ => Effect::Reply("EINVAL"),
            },
        }
    }

    fn skip(&mut self, count: u64) -> usize {
        let end = usize::try_from(count).map_or(usize::MAX, |n| self.at.saturating_add(n));
        self.at = end.min(self.stream.len());
        end
    }

    fn scan(&mut self, what: &[u8], arguments: &[u8]) -> Effect {
        let mut sha1 = false;
        let (way, label) = match what {
            b"FILE" | b"FILE-SHA1" => {
                sha1 = what == b"FILE-SHA1";
                let name = name(arguments);
                if arguments.is_empty() || name.contains(&0) {
                    return Effect::Reply("EINVAL");
                }
                // A name that is too long is refused by who opens it, not by the protocol.
                if !name.starts_with(b"/") {
                    let coverage = self.options.coverage;
                    return Effect::NoSuchName { name, coverage };
                }
                (Way::Name, name)
            }
            b"REQUEST" => (Way::Listen, name(arguments)),
            b"PORT" => {
                let (port, label) = word(arguments);
                match number(port) {
                    Some(port @ 1024..=65535) => (Way::Dial(port as u16), name(label)),
                    _ => return Effect::Reply("EINVAL"),
                }
            }
            b"DATA" => match counted(arguments) {
                Some((count, label)) => {
                    let start = self.at;
                    (Way::Counted(start, self.skip(count)), name(label))
                }
                None => return Effect::Fatal("EINVAL"),
            },
            b"" if arguments.is_empty() => {
                let start = self.at;
                self.skip(u64::MAX);
                (Way::Rest(start), Vec::new())
            }
            b"" => return Effect::Fatal("EINVAL"),
            _ => return Effect::Reply("ENOTSUP"),
        };
        let is_label = !matches!(way, Way::Name);
        if label.contains(&0) || is_label && label.len() > 4095 {
            return Effect::Reply("EINVAL");
        }
        Effect::Scan(Scan {
            name: label,
            way,
            sha1,
            options: self.options.clone(),
        })
    }

    fn option(&mut self, arguments: &[u8], on: bool) -> &'static str {
        let (option, mut value) = word(arguments);
        let option = option.to_ascii_uppercase();
        let options = &mut self.options;
        if matches!(option.as_slice(), b"EXPAND" | b"RECURSE" | b"HTML") {
            // In names blanks at the end count; a word or a number has none.
            value = value.trim_ascii_end();
        }
        match option.as_slice() {
            b"IGNORE" => {
                if on && value.is_empty() || std::str::from_utf8(value).is_err() {
                    return "EINVAL";
                }
                change(&mut options.ignore, value.to_vec(), on)
            }
            b"EXCLUDE" => {
                let path = name(value);
                // A pattern is whatever has one of its signs in it and can hold for a path from the root on.
                let is_pattern = value.contains(&b'*') && value.len() <= 1024;
                if on && !path.starts_with(b"/") && !is_pattern {
                    return "EINVAL";
                }
                change(&mut options.exclude, path, on)
            }
            b"EXPAND" => match (value, on) {
                (b"", true) => options.expand = KindSet::usual(),
                (b"*", true) => options.expand = KindSet::ALL,
                (b"" | b"*", false) => options.expand = KindSet::NONE,
                _ => {
                    let Some(kind) = by_name(value) else {
                        return "EINVAL";
                    };
                    if on && !kind.built {
                        return "ENOTSUP";
                    }
                    if on && options.is_default_set {
                        options.expand = KindSet::NONE;
                    }
                    if on {
                        options.expand.insert(kind);
                    } else {
                        options.expand.remove(kind);
                    }
                }
            },
            // There is nothing to take out of it.
            b"RECURSE" if !on && !value.is_empty() => return "EINVAL",
            b"RECURSE" => {
                options.recurse = match (value, on) {
                    (_, false) => Recurse::Off,
                    (b"", true) => Recurse::Unlimited,
                    _ => match number(value) {
                        Some(0) => Recurse::Unlimited,
                        Some(depth) => Recurse::To(depth as u32),
                        None => return "EINVAL",
                    },
                };
            }
            b"ORIGINAL" | b"COVERAGE" if !value.is_empty() => return "EINVAL",
            b"ORIGINAL" => options.original = on,
            b"COVERAGE" => options.coverage = on,
            b"HTML" if !matches!(value, b"" | b"1" | b"2" | b"3") => return "EINVAL",
            b"HTML" if on => options.html = number(value).map_or(1, |level| level as u8),
            b"HTML" => options.html = 0,
            _ => return "EINVAL",
        }
        if option == b"EXPAND" {
            self.options.is_default_set = false;
        }
        "OK"
    }
}

fn change(values: &mut BTreeSet<Vec<u8>>, value: Vec<u8>, on: bool) {
    if on {
        values.insert(value);
    } else if value.is_empty() {
        values.clear();
    } else {
        values.remove(&value);
    }
}

/// True where content may follow a line that is not understood: bytes behind the line, or an id that is too long, behind
/// which nothing is known.
fn announces_content(text: &[u8]) -> bool {
    let (verb, _) = word(text);
    let verb = verb.to_ascii_uppercase();
    let last = verb.rsplit(|byte| *byte == b'/').next().unwrap();
    let scan = verb.starts_with(b"SCAN/") && matches!(last, b"" | b"DATA") || verb == b"SCAN";
    scan || !verb.is_empty() && verb.iter().all(u8::is_ascii_digit)
}

/// A method of HTTP in front (RFC 9110 and 5789) is enough: no command is called so. So is a word in capitals in front and
/// the version at the end.
fn looks_like_http(line: &[u8]) -> bool {
    const METHODS: &str = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH";
    let (method, _) = word(line);
    let version = line.rsplit(u8::is_ascii_whitespace).next().unwrap();
    METHODS.split(' ').any(|known| known.as_bytes() == method)
        || method
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
            && version.starts_with(b"HTTP/")
}

/// The id in front of a line, and what stands behind it.
fn id(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (id, rest) = line.split_at(digits);
    if (1..=64).contains(&digits) && rest.first().is_none_or(is_blank) {
        (Some(id), unblank(rest))
    } else {
        (None, line)
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn unblank(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(byte)).count();
    &text[blanks..]
}

/// The first word, and the rest without the blanks in front.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(is_blank);
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, unblank(rest))
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn counted(arguments: &[u8]) -> Option<(u64, &[u8])> {
    let (count, label) = word(arguments);
    Some((number(count)?, label))
}

/// A name as a command has it: to the end of the line, or in the quoted form if that is complete and absolute.
fn name(text: &[u8]) -> Vec<u8> {
    quoted(text)
        .filter(|name| name.starts_with(b"/"))
        .unwrap_or_else(|| text.to_vec())
}

fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?;
    let mut name = Vec::new();
    let mut bytes = inner.iter();
    loop {
        match *bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(name),
            b'\\' => name.push(match *bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    let high = digit(*bytes.next()?)?;
                    (16 * high + digit(*bytes.next()?)?) as u8
                }
                other => other,
            }),
            byte => name.push(byte),
        }
    }
}

/// A name as replies have it.
pub fn quote(name: &[u8]) -> Vec<u8> {
    let mut text = vec![b'"'];
    let mut rest = name;
    while let Some(&byte) = rest.first() {
        // The shortest start of the rest that is a character, or else one byte.
        let length = (1..=4).find(|length| {
            rest.get(..*length)
                .is_some_and(|start| std::str::from_utf8(start).is_ok())
        });
        let length = length.unwrap_or(1);
        let hidden = match rest[..length] {
            [byte] => !matches!(byte, 0x20..=0x7e | 0xa0..),
            [0xc2, second] => second < 0xa0,
            [0xe2, 0x80, third] => matches!(third, 0x8e | 0x8f | 0xaa..=0xae),
            [0xe2, 0x81, third] => matches!(third, 0xa6..=0xa9),
            _ => false,
        };
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'"' => text.extend(b"\\\""),
            b'\\' => text.extend(b"\\\\"),
            _ if hidden => {
                for byte in &rest[..length] {
                    text.extend(format!("\\x{byte:02x}").bytes());
                }
            }
            _ => text.extend(&rest[..length]),
        }
        rest = &rest[length..];
    }
    text.push(b'"');
    text
}
