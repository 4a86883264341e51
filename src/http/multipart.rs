//! The parts of `multipart/form-data` (RFC 7578), from bytes that come in any pieces: without IO.
#![forbid(unsafe_code)]

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// Bytes of the headers of one part.
const HEADERS: usize = 16 * 1024;

/// Bytes of white space behind a boundary, which nobody sends.
const PADDING: usize = 1024;

/// Bytes of a boundary (RFC 2046 §5.1.1).
const BOUNDARY: usize = 70;

/// What a part says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The name of the field.
    pub name: Vec<u8>,
    /// The name of the file, if it is one.
    pub file_name: Option<Vec<u8>>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part begins.
    Begin(Part),
    /// Bytes of the part that has begun.
    Content(Bytes),
    /// The part is whole.
    EndOfPart,
    /// That was the last part.
    End,
    /// More bytes are needed.
    More,
}

/// What is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ended before its last boundary.
    #[error("the form ends before its last boundary")]
    CutOff,
    /// A part has no name.
    #[error("a part of the form has no Content-Disposition with a name")]
    NoName,
    /// Too long, or not to be understood.
    #[error("what stands around a part of the form is not understood")]
    Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary.
    Boundary,
    Headers,
    /// Before the content, with the end of the empty line still there.
    Start,
    Content,
    End,
}

/// A form that is being read.
#[derive(Debug)]
pub struct Multipart {
    /// What stands before and behind each part.
    delimiter: Vec<u8>,
    input: BytesMut,
    state: State,
    ended: bool,
}

impl Multipart {
    /// A form with this boundary.
    pub fn new(boundary: &[u8]) -> Self {
        // The line end that belongs to a boundary is not there before the first.
        Self {
            delimiter: [b"\r\n--", boundary].concat(),
            input: BytesMut::from(&b"\r\n"[..]),
            state: State::Preamble,
            ended: false,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Tells that there are no more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next piece.
    ///
    /// # Errors
    /// It is no form. Nothing more comes of it.
    pub fn next_piece(&mut self) -> Result<Piece, Flaw> {
        loop {
            let piece = match self.state {
                State::Preamble => self.preamble(),
                State::Boundary => self.boundary()?,
                State::Headers => self.headers()?,
                State::Start => self.start(),
                State::Content => self.content(),
                State::End => {
                    // What stands behind the last boundary is nothing.
                    self.input.clear();
                    Some(if self.ended { Piece::End } else { Piece::More })
                }
            };
            match piece {
                Some(Piece::More) if self.ended && self.state != State::End => {
                    return Err(Flaw::CutOff);
                }
                Some(piece) => return Ok(piece),
                None => {}
            }
        }
    }

    fn preamble(&mut self) -> Option<Piece> {
        match memmem::find(&self.input, &self.delimiter) {
            Some(at) => {
                self.input.advance(at + self.delimiter.len());
                self.state = State::Boundary;
                None
            }
            None => {
                self.input.advance(self.before_a_delimiter());
                Some(Piece::More)
            }
        }
    }

    /// Bytes that cannot be the beginning of a delimiter.
    fn before_a_delimiter(&self) -> usize {
        (self.input.len() + 1).saturating_sub(self.delimiter.len())
    }

    fn boundary(&mut self) -> Result<Option<Piece>, Flaw> {
        if self.input.starts_with(b"--") {
            self.state = State::End;
            return Ok(None);
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let padding = self.input.iter().take_while(|byte| blank(byte)).count();
        if padding > PADDING {
            return Err(Flaw::Headers);
        }
        let rest = self.input.get(padding..).unwrap_or_default();
        if rest.starts_with(b"\r\n") {
            // Its line end stays, as that before headers.
            self.input.advance(padding);
            self.state = State::Headers;
            return Ok(None);
        }
        let may_come = matches!(rest, b"" | b"\r") || (padding == 0 && rest == b"-");
        match may_come {
            true => Ok(Some(Piece::More)),
            false => Err(Flaw::Headers),
        }
    }

    fn headers(&mut self) -> Result<Option<Piece>, Flaw> {
        const EMPTY_LINE: &[u8] = b"\r\n\r\n";
        let length = match memmem::find(&self.input, EMPTY_LINE) {
            Some(length) if length <= HEADERS => length,
            None if self.input.len() < HEADERS + EMPTY_LINE.len() => return Ok(Some(Piece::More)),
            _ => return Err(Flaw::Headers),
        };
        let block = self.input.split_to(length);
        self.input.advance(2);
        self.state = State::Start;
        Ok(Some(Piece::Begin(part(&block)?)))
    }

    /// The end of the empty line may be that before a boundary already: then there is no content (RFC 2046, body-part).
    fn start(&mut self) -> Option<Piece> {
        let is_shorter = self.input.len() < self.delimiter.len();
        if is_shorter && self.delimiter.starts_with(&self.input) {
            return Some(Piece::More);
        }
        if !self.input.starts_with(&self.delimiter) {
            self.input.advance(2);
        }
        self.state = State::Content;
        None
    }

    fn content(&mut self) -> Option<Piece> {
        match memmem::find(&self.input, &self.delimiter) {
            Some(0) => {
                self.input.advance(self.delimiter.len());
                self.state = State::Boundary;
                Some(Piece::EndOfPart)
            }
            Some(at) => Some(Piece::Content(self.input.split_to(at).freeze())),
            None => match self.before_a_delimiter() {
                0 => Some(Piece::More),
                count => Some(Piece::Content(self.input.split_to(count).freeze())),
            },
        }
    }
}

/// Reads the headers of a part.
fn part(block: &[u8]) -> Result<Part, Flaw> {
    let lines = block.split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let disposition = lines.find_map(|line| {
        let at = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(at)?;
        let is_it = name.eq_ignore_ascii_case(b"content-disposition");
        is_it.then(|| value.get(1..).unwrap_or_default())
    });
    let disposition = disposition.ok_or(Flaw::NoName)?;
    let parameters = parameters(disposition).unwrap_or_else(|| unclear(disposition));
    let mut part = Part::default();
    let mut is_named = false;
    let mut extended = None;
    for (name, value) in parameters {
        if name.eq_ignore_ascii_case(b"name") {
            is_named = true;
            part.name = value;
        } else if name.eq_ignore_ascii_case(b"filename") {
            part.file_name = Some(value);
        } else if name.eq_ignore_ascii_case(b"filename*") {
            extended = self::extended(&value);
        }
    }
    part.file_name = extended.or(part.file_name);
    match is_named {
        true => Ok(part),
        false => Err(Flaw::NoName),
    }
}

/// What cannot be told apart is a name as a whole: it is only a label, and the content behind it is clear.
fn unclear(disposition: &[u8]) -> Parameters {
    let whole = disposition.trim_ascii().to_vec();
    let is_file = memmem::find(disposition, b"filename").is_some();
    let file = is_file.then(|| (b"filename".to_vec(), whole.clone()));
    let field = (b"name".to_vec(), whole);
    std::iter::once(field).chain(file).collect()
}

/// `UTF-8''percent-encoded` (RFC 8187).
fn extended(value: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let (_, name) = text
        .strip_prefix("UTF-8'")
        .or(text.strip_prefix("utf-8'"))?
        .split_once('\'')?;
    Some(super::query::decoded(name, false))
}

type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// The parameters behind a value: `form-data; name="a"; filename="b"`. `None` if they cannot be told apart.
fn parameters(text: &[u8]) -> Option<Parameters> {
    let mut all = Vec::new();
    let at = memchr::memchr(b';', text);
    let mut rest = at.and_then(|at| text.get(at..)).unwrap_or_default();
    loop {
        rest = rest.trim_ascii_start();
        let Some(more) = rest.strip_prefix(b";") else {
            return rest.is_empty().then_some(all);
        };
        let more = more.trim_ascii_start();
        if more.is_empty() {
            return Some(all);
        }
        let at = memchr::memchr(b'=', more)?;
        let (name, value) = more.split_at_checked(at)?;
        let value = value.get(1..)?.trim_ascii_start();
        let (value, behind) = match value.strip_prefix(b"\"") {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                let (value, behind) = value.split_at_checked(end)?;
                (value.trim_ascii_end().to_vec(), behind)
            }
        };
        all.push((name.trim_ascii().to_vec(), value));
        rest = behind;
    }
}

/// A quoted text, and what stands behind it. A backslash counts before a quote and a backslash only: some programs send
/// paths with backslashes as they are.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let (first, more) = rest.split_first()?;
        match (first, more.first()) {
            (b'"', _) => return Some((out, more)),
            (b'\\', Some(byte @ (b'"' | b'\\'))) => {
                out.push(*byte);
                rest = more.get(1..)?;
                continue;
            }
            (byte, _) => out.push(*byte),
        }
        rest = more;
    }
}

/// The boundary that a `Content-Type` tells, if it is that of a form: `Some(None)` if it tells none that may be.
pub fn boundary(content_type: &[u8]) -> Option<Option<Vec<u8>>> {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    let media = content_type.get(..end).unwrap_or_default().trim_ascii();
    if !media.eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    let parameters = parameters(content_type).unwrap_or_default();
    let mut named = parameters.into_iter();
    let found = named.find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"));
    let found = found.map(|(_, value)| value);
    Some(found.filter(|value| (1..=BOUNDARY).contains(&value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = Vec<(Part, Vec<u8>)>;

    /// All parts, from pieces of this length.
    fn parts(text: &[u8], length: usize) -> Result<Parts, Flaw> {
        let mut form = Multipart::new(b"XX");
        let mut chunks = text.chunks(length);
        let mut parts: Parts = Vec::new();
        loop {
            match form.next_piece()? {
                Piece::More => match chunks.next() {
                    Some(chunk) => form.push(chunk),
                    None => form.end(),
                },
                Piece::Begin(part) => parts.push((part, Vec::new())),
                Piece::Content(bytes) => parts.last_mut().unwrap().1.extend_from_slice(&bytes),
                Piece::EndOfPart => {}
                Piece::End => return Ok(parts),
            }
        }
    }

    fn named(name: &str, file_name: Option<&str>) -> Part {
        Part {
            name: name.into(),
            file_name: file_name.map(Into::into),
        }
    }

    fn in_all_pieces(text: &str, expected: &Result<Parts, Flaw>) {
        for length in 1..=text.len() {
            assert_eq!(
                &parts(text.as_bytes(), length),
                expected,
                "{text:?} by {length}"
            );
        }
    }

    #[test]
    fn parts_come_out_as_they_went_in_however_they_come() {
        let text = "before\r\n--XX\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\none\r\n--X\r\n--XY\r\n--XX \t\r\ncontent-disposition:form-data;name=b\r\n\r\n\r\n--XX\r\nContent-Disposition: form-data; name=c\r\n\r\n\r\n\r\n--XX\r\nContent-Disposition: form-data; name=d\r\n\r\n--XX--\r\nbehind";
        let expected = vec![
            (named("a", Some("x.txt")), b"one\r\n--X\r\n--XY".to_vec()),
            (named("b", None), Vec::new()),
            (named("c", None), b"\r\n".to_vec()),
            (named("d", None), Vec::new()),
        ];
        in_all_pieces(text, &Ok(expected));
        in_all_pieces("--XX--", &Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_form_is_told_however_it_comes() {
        let head = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx";
        let rows = [
            ("", Flaw::CutOff),
            ("--X", Flaw::CutOff),
            ("--XX\r\n", Flaw::CutOff),
            (head, Flaw::CutOff),
            (&format!("{head}\r\n--XX"), Flaw::CutOff),
            (&format!("{head}\r\n--XX\r\n"), Flaw::CutOff),
            (&format!("{head}\r\n--XX-"), Flaw::CutOff),
            ("--XXY\r\n", Flaw::Headers),
            ("--XX\r\n\r\nx\r\n--XX--", Flaw::NoName),
            ("--XX\r\nContent-Type: x\r\n\r\n\r\n--XX--", Flaw::NoName),
        ];
        for (text, flaw) in rows {
            if !text.is_empty() {
                in_all_pieces(text, &Err(flaw));
            }
        }
        let long = format!("--XX\r\nA: {}\r\n\r\n", "x".repeat(HEADERS));
        for length in [1, 7, long.len()] {
            assert_eq!(parts(long.as_bytes(), length), Err(Flaw::Headers));
        }
    }

    #[test]
    fn names_are_what_programs_mean_by_them() {
        let rows: [(&str, &[u8]); 7] = [
            (r#"filename="a;b""#, b"a;b"),
            (r#"filename="a\"b\\c""#, br#"a"b\c"#),
            (r#"filename="C:\Windows\x""#, br"C:\Windows\x"),
            ("filename=plain ", b"plain"),
            ("filename=\"\u{e4}\"", "\u{e4}".as_bytes()),
            (
                "filename=x; filename*=UTF-8''a%20%c3%a4",
                "a \u{e4}".as_bytes(),
            ),
            ("filename=x; filename*=latin1''y;", b"x"),
        ];
        for (text, name) in rows {
            let header = format!("Content-Disposition: form-data; name=f; {text}");
            let part = part(header.as_bytes()).unwrap();
            assert_eq!(part.file_name.as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_not_clear_hides_no_content() {
        let unclear = "form-data; name=\"a\\\"";
        let text = format!("--XX\r\nContent-Disposition: {unclear}\r\n\r\nx\r\n--XX--");
        let expected = vec![(named(unclear, None), b"x".to_vec())];
        in_all_pieces(&text, &Ok(expected));
        let file = part(b"Content-Disposition: form-data; filename=\"a").unwrap();
        assert_eq!(
            file.file_name.as_deref(),
            Some(&b"form-data; filename=\"a"[..])
        );
    }

    #[test]
    fn a_boundary_is_found_where_there_is_one() {
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        let rows: [(&str, Option<Option<&[u8]>>); 6] = [
            ("text/plain", None),
            ("multipart/mixed; boundary=x", None),
            ("multipart/form-data", Some(None)),
            (&long, Some(None)),
            (
                "Multipart/Form-Data; charset=x; boundary=\"a b\"",
                Some(Some(b"a b")),
            ),
            ("multipart/form-data;boundary=x", Some(Some(b"x"))),
        ];
        for (text, expected) in rows {
            let found = boundary(text.as_bytes());
            let found = found.as_ref().map(|found| found.as_deref());
            assert_eq!(found, expected, "{text}");
        }
    }
}
