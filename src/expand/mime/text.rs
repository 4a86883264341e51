//! What readers of mail find in a text: parts whose delimiters or whose multipart are lost, by the field that tells how their body is
//! encoded, and the lines of base64 among others.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::header::field;
use super::start::is_encoding;
use super::{Encoding, base64_value, decoder};
use crate::event::{Limit, Reason};
use crate::expand::lines::Lines;
use crate::expand::transfer::Padding;
use crate::expand::{Children, Content, Halt};
use crate::object::Object;

/// Encoded bodies that are looked for in one text.
const BODIES: usize = 1_000;

/// An encoded body in a text.
struct Body {
    encoding: Encoding,
    from: u64,
    to: u64,
}

/// How far a part was read.
enum State {
    Text,
    /// Behind the field that names the encoding, up to the empty line.
    Header(Encoding),
    /// From here on.
    Body(Encoding, u64),
}

/// Gives the bodies in a text, which other readers find there, too, in a mail that came back. Tells whether there were any.
pub(super) fn give(name: &[u8], text: &Object, children: &mut dyn Children) -> Result<bool, Halt> {
    let (bodies, all) = bodies(text)?;
    for body in &bodies {
        let name = [name, format!(" (from {})", body.from).as_bytes()].concat();
        let content = text.slice(body.from, body.to.saturating_sub(body.from));
        // A text about mails need not be right.
        let mut stream = decoder(&content, body.encoding, Padding::EndsAll);
        children.child(&name, Content::Stream(&mut stream))?;
    }
    if !all {
        let detail = "more encoded parts in a text than are looked at".to_owned();
        children.gap(Some(name), Reason::Limit(Limit::Memory), detail)?;
    }
    Ok(!bodies.is_empty())
}

/// Each up to what looks like a delimiter; and whether those are all.
fn bodies(text: &Object) -> io::Result<(Vec<Body>, bool)> {
    let mut bodies = Vec::new();
    let mut state = State::Text;
    let mut lines = Lines::new(text, 0);
    while let Some(line) = lines.next()? {
        let named = encoding(line.text);
        let is_end = named.is_some() || line.text.starts_with(b"--");
        state = match (state, named) {
            (State::Header(encoding), None) if line.text.trim_ascii().is_empty() => {
                State::Body(encoding, line.end)
            }
            (State::Body(encoding, from), named) if is_end => {
                if bodies.len() >= BODIES {
                    return Ok((bodies, false));
                }
                bodies.push(Body {
                    encoding,
                    from,
                    to: line.start,
                });
                named.map_or(State::Text, State::Header)
            }
            (_, Some(encoding)) => State::Header(encoding),
            (state, None) => state,
        };
    }
    if let State::Body(encoding, from) = state {
        bodies.push(Body {
            encoding,
            from,
            to: text.length(),
        });
    }
    Ok((bodies, true))
}

/// The encoding that a line names for the body of a part. Of uuencode the lines tell by themselves.
pub(in crate::expand) fn encoding(line: &[u8]) -> Option<Encoding> {
    let (_, value) = field(line).filter(|(name, _)| is_encoding(name))?;
    let value = value.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&value, word).is_some();
    if has(b"base64") {
        Some(Encoding::Base64)
    } else {
        has(b"quoted").then_some(Encoding::Quoted)
    }
}

/// The lines of a text that are nothing but base64: some readers pass over the others.
pub(super) struct PureLines {
    lines: Lines,
    left: Vec<u8>,
}

impl PureLines {
    pub(super) fn new(text: &Object) -> Self {
        Self {
            lines: Lines::new(text, 0),
            left: Vec::new(),
        }
    }
}

impl Read for PureLines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            let Some(line) = self.lines.next()? else {
                return Ok(0);
            };
            let text = line.text.trim_ascii();
            let is_digit = |byte: &u8| base64_value(*byte).is_some() || *byte == b'=';
            if text.iter().all(is_digit) {
                self.left = text.to_vec();
            }
        }
        let count = self.left.as_slice().read(out)?;
        self.left.drain(..count);
        Ok(count)
    }
}
