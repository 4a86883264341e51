//! Mail with attachments (RFC 5322, RFC 2045 to 2049, RFC 2231).
//!
//! Whoever sends a mail knows which reader opens it, and readers differ over every doubtful header: which of two fields
//! counts, where a header ends, which boundary is meant, what an encoding is called. So all readings are given that differ
//! in content, each with a note. A multipart inside another is split here, with a row of frames instead of
//! recursion; a message inside is a member that is opened in its turn.
#![forbid(unsafe_code)]

mod header;
mod start;
mod text;
mod value;
mod words;

use std::io::{self, BufReader, Cursor, Read};

pub(super) use self::header::field;
use self::header::{Name, Reading};
pub(super) use self::start::{Sure, is_of_mail, start};
pub use self::start::{is_mail, is_mime};
use self::text::PureLines;
pub(super) use self::text::encoding;
use self::words::Collector;
use super::binhex;
use super::lines::Lines;
use super::transfer::{Base64, Padding, Quoted, Utf7, base64_value};
use super::uu::{Alphabet, File};
use super::{Children, Container, Content, Expander, Halt, is_worth_a_look, recognise};
use crate::event::{Limit, NoteKind, Reason};
use crate::object::{HEAD, Object, Probe};

/// Multiparts inside each other. Mail programs give up long before.
const DEPTH: usize = 32;

/// Boundaries that are tried for one multipart.
const BOUNDARIES: usize = 16;

/// How often the bytes of a mail may be gone through for boundaries, all multiparts and readings together.
const PASSES: u64 = 128;

/// Bytes of a header in which a mail without MIME is told.
const FAR: usize = 1 << 20;

/// Headers one after another that say nothing of a body.
const HEADERS: usize = 1_000;

/// Lines in which base64 may begin behind a text.
const TEXT_LINES: u32 = 100;

/// Bytes of a body in which there may be nothing but line breaks.
const BLANK: usize = 64;

/// Lines that have a boundary as their start only, and are looked at.
const WEAK: usize = 256;

/// Bytes of the longest line break.
const LINE_BREAK: u64 = 2;

/// The expander of mail.
pub(super) struct Mime;

impl Expander for Mime {
    fn kind(&self) -> &'static str {
        "mime"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        if !may_be_mail(object)? {
            return Err(Halt::Unlike);
        }
        let head = object.bytes_at(0, HEAD)?;
        let is_mail = start(&head, object.length()).is_some() || start::bare(&head).is_some();
        let header = header::read(object, 0)?;
        let describes = header.readings.iter().any(Reading::describes);
        if !is_mail && !describes && text::give(b"part", object, children)? {
            return Ok(());
        }
        let mut collector = Collector::default();
        match Parts::new(object, is_mail, true, &mut collector).all() {
            // It has enough.
            Ok(()) | Err(Halt::Item) => {}
            Err(halt) => return Err(halt),
        }
        children.words(collector.words());
        Parts::new(object, is_mail, false, children).all()
    }
}

/// Goes through the parts of a mail.
struct Parts<'a> {
    object: &'a Object,
    /// It is no other text with parts of a mail in it.
    is_mail: bool,
    children: &'a mut dyn Children,
    /// Only texts are given.
    only_text: bool,
    frames: Vec<Frame>,
    noted: Vec<&'static str>,
    /// Bytes that may still be gone through.
    work: u64,
    cut_short: bool,
}

/// A part: where it lies, and its place in the mail, as in IMAP.
#[derive(Clone)]
struct Part {
    from: u64,
    to: u64,
    number: String,
    depth: usize,
}

/// A multipart that is being split.
struct Frame {
    part: Part,
    boundary: Vec<u8>,
    lines: Lines,
    count: u32,
    segment: Segment,
    /// Where the segment began, and where the line before ended.
    from: u64,
    stop: u64,
    /// Lines that only begin with the boundary, each once with its first place; when they are `taken`, they are
    /// delimiters too.
    weak: Vec<(u64, Vec<u8>)>,
    taken: bool,
    /// There were more of them.
    too_weak: bool,
    /// The segment began with such a line.
    by_weak: bool,
    /// All of it is one part.
    whole: bool,
    /// The delimiters have not their two hyphens.
    loose: bool,
    /// A part stood behind the last delimiter.
    after_end: bool,
    /// Nothing ended this segment.
    open: Option<Segment>,
}

/// What lies between two delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Preamble,
    Part,
    Epilogue,
    /// Nothing more comes.
    End,
}

/// How a line is a delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Open,
    Close,
    /// Something follows the boundary on its line, which only some readers mind.
    Weak,
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Base64,
    Quoted,
    Uu,
}

impl<'a> Parts<'a> {
    fn new(
        object: &'a Object,
        is_mail: bool,
        only_text: bool,
        children: &'a mut dyn Children,
    ) -> Self {
        Self {
            object,
            is_mail,
            children,
            only_text,
            frames: Vec::new(),
            noted: Vec::new(),
            work: object.length().saturating_mul(PASSES).max(1 << 20),
            cut_short: false,
        }
    }

    fn all(mut self) -> Result<(), Halt> {
        let head = self.object.bytes_at(0, HEAD)?;
        let mut root = Part {
            from: begin(self.object, &head)?,
            to: self.object.length(),
            number: String::new(),
            depth: 0,
        };
        if let Some(boundary) = start::bare(&head) {
            root.from = 0;
            let frame = Frame::new(self.object, root, boundary.to_vec());
            self.push(frame)?;
        } else {
            let front = Part {
                from: 0,
                to: root.from,
                number: "front".to_owned(),
                ..root.clone()
            };
            self.around(&front)?;
            root.from = self.last_header(root.from)?;
            self.part(&root)?;
        }
        while let Some(mut frame) = self.frames.pop() {
            let Some((segment, part, by_weak)) = frame.next()? else {
                self.ended(frame)?;
                continue;
            };
            let wanted = !frame.taken || by_weak;
            self.frames.push(frame);
            match segment {
                Segment::Part if wanted => self.part(&part)?,
                Segment::Preamble | Segment::Epilogue if wanted && !self.around(&part)? => {
                    self.odd_part(&part)?;
                }
                _ => {}
            }
        }
        if self.cut_short {
            let detail = "the end of the header or the last delimiter is missing".to_owned();
            self.children.gap(None, Reason::Corrupt, detail)?;
        }
        Ok(())
    }

    /// Behind a header that says nothing of the body there may be another such, and another: files of records look like mails. The
    /// last of them is taken, for each would be a container inside the one before.
    fn last_header(&self, mut from: u64) -> Result<u64, Halt> {
        for _ in 0..HEADERS {
            let header = header::read(self.object, from)?;
            if header.readings.iter().any(Reading::describes) {
                break;
            }
            let body = header.readings.last().map_or(from, |reading| reading.body);
            let rest = self.object.slice(body, u64::MAX);
            let next = start(&rest.bytes_at(0, HEAD)?, rest.length());
            match next.filter(|next| next.sure == Sure::Plain) {
                Some(next) => from = body.saturating_add(next.at as u64),
                None => break,
            }
        }
        Ok(from)
    }

    /// A multipart came to its end.
    fn ended(&mut self, frame: Frame) -> Result<(), Halt> {
        self.cut_short |=
            frame.open == Some(Segment::Part) && frame.part.to == self.object.length();
        if frame.after_end {
            self.note("mime-after-end", "parts behind the last delimiter")?;
        }
        if frame.too_weak && !self.only_text {
            let detail = "more lines that begin with a boundary than are looked at".to_owned();
            let reason = Reason::Limit(Limit::Memory);
            self.children.gap(None, reason, detail)?;
        }
        let weak = self.unclaimed(&frame)?;
        if frame.taken || weak.is_empty() {
            return Ok(());
        }
        self.note(
            "mime-boundary-prefix",
            "delimiters with more behind the boundary",
        )?;
        let mut again = Frame::new(self.object, frame.part, frame.boundary);
        again.weak = weak;
        again.taken = true;
        self.push(again)
    }

    /// The lines that begin with the boundary and are no delimiter of a multipart inside, which has its own boundary:
    /// where that is declared, its text stands without the two hyphens.
    fn unclaimed(&self, frame: &Frame) -> Result<Vec<(u64, Vec<u8>)>, Halt> {
        const BEFORE: u64 = 64 * 1024;
        let mut weak = Vec::new();
        for (at, text) in &frame.weak {
            let inner = text.get(2..).unwrap_or_default().trim_ascii_end();
            let inner = inner.strip_suffix(b"--").unwrap_or(inner);
            let from = at.saturating_sub(BEFORE).max(frame.part.from);
            let length = usize::try_from(at - from).unwrap_or_default();
            let before = self.object.bytes_at(from, length)?;
            let claimed = memchr::memmem::find_iter(&before, inner).any(|at| {
                let sign = at.checked_sub(1).and_then(|at| before.get(at));
                matches!(sign, Some(b'"' | b'=' | b'\''))
            });
            if !claimed {
                weak.push((*at, text.clone()));
            }
        }
        Ok(weak)
    }

    fn push(&mut self, frame: Frame) -> Result<(), Halt> {
        if self.pay(frame.part.to.saturating_sub(frame.part.from))? {
            self.frames.push(frame);
        }
        Ok(())
    }

    /// Pays for going through so many bytes; false, and said, where too many were.
    fn pay(&mut self, length: u64) -> Result<bool, Halt> {
        if let Some(left) = self.work.checked_sub(length) {
            self.work = left;
            return Ok(true);
        }
        self.work = 0;
        let detail = "more multiparts and readings than are followed".to_owned();
        self.children
            .gap(None, Reason::Limit(Limit::Depth), detail)?;
        Ok(false)
    }

    fn note(&mut self, what: &'static str, detail: &str) -> Result<(), Halt> {
        if self.noted.contains(&what) {
            return Ok(());
        }
        self.noted.push(what);
        self.children
            .note(NoteKind::Ambiguous(what.to_owned()), detail.to_owned())
    }

    /// Preamble and epilogue are for nobody to see, unless they are something; tells whether this one is.
    fn around(&mut self, part: &Part) -> Result<bool, Halt> {
        let slice = self.object.slice(part.from, part.to - part.from);
        if self.only_text || !is_worth_a_look(self.object, &slice)? {
            return Ok(false);
        }
        self.children
            .child(part.number.as_bytes(), Content::Object(slice))?;
        Ok(true)
    }

    /// To some readers the last delimiter is one as the others, and the end of the header is one: a part comes behind it.
    fn odd_part(&mut self, part: &Part) -> Result<(), Halt> {
        let head = self.object.bytes_at(part.from, BLANK)?;
        let blank = head.len() - head.trim_ascii_start().len();
        let from = part.from.saturating_add(blank as u64).min(part.to);
        let header = header::read(&self.object.slice(0, part.to), from)?;
        if self.only_text || !header.readings.iter().any(Reading::describes) {
            return Ok(());
        }
        let part = &Part {
            from,
            ..part.clone()
        };
        self.note(
            "mime-odd-part",
            "a part before the first or behind the last delimiter",
        )?;
        self.part(part)
    }

    /// Says that fields of a header were left out.
    fn clipped(&mut self, part: &Part, header: &header::Header) -> Result<(), Halt> {
        if header.clipped && !self.only_text {
            let detail = format!("{}: more or longer fields than are read", part.label());
            self.children
                .gap(None, Reason::Limit(Limit::Memory), detail)?;
        }
        Ok(())
    }

    /// A part, header and body, or the whole mail.
    fn part(&mut self, part: &Part) -> Result<(), Halt> {
        let header = header::read(&self.object.slice(0, part.to), part.from)?;
        self.clipped(part, &header)?;
        let Some((usual, others)) = header.readings.split_first() else {
            return Ok(());
        };
        if part.depth == 0 {
            self.cut_short |= !header.whole && usual.describes();
            let subjects: Vec<Vec<u8>> = usual.values(Name::Subject).map(value::words).collect();
            if self.only_text {
                for subject in subjects {
                    let mut text = &*subject;
                    self.children
                        .child(b"subject", Content::Stream(&mut text))?;
                }
            }
        }
        if !usual.describes()
            && let Some(earliest) = others.last()
        {
            // Nothing but text up to the first empty line: that is no header.
            self.reading(part, earliest)?;
            return Ok(());
        }
        let is_split = self.reading(part, usual)?;
        let split = if is_split {
            usual.boundaries()
        } else {
            Vec::new()
        };
        for other in others {
            if split.is_empty() || other.boundaries() != split {
                self.note("mime-header-end", "where a header ends")?;
                self.reading(part, other)?;
            }
        }
        if part.depth > 0 && !header.whole && part.to < self.object.length() {
            self.beyond(part)?;
        }
        Ok(())
    }

    /// Some readers look for no delimiter in a header: where one cuts it, what follows is still its body.
    fn beyond(&mut self, part: &Part) -> Result<(), Halt> {
        let header = header::read(self.object, part.from)?;
        self.clipped(part, &header)?;
        let whole = Part {
            to: self.object.length(),
            ..part.clone()
        };
        // The line break in front of a delimiter may be the empty line that ends the header of an empty part.
        let last = self.object.bytes_at(part.to.saturating_sub(1), 1)?;
        let is_empty = part.to == part.from || matches!(last.as_slice(), b"\r" | b"\n");
        let to = match is_empty {
            true => part.to.saturating_add(LINE_BREAK),
            false => part.to,
        };
        for reading in &header.readings {
            let is_cut = reading.body > to;
            if !is_cut || !header.whole || reading.types().is_empty() {
                continue;
            }
            if self.pay(whole.to.saturating_sub(reading.body))? {
                self.note("mime-header-end", "where a header ends")?;
                self.reading(&whole, reading)?;
            }
        }
        Ok(())
    }

    /// A part, with its header read in one way. Tells whether it was split at delimiters.
    fn reading(&mut self, part: &Part, reading: &Reading) -> Result<bool, Halt> {
        let types = reading.types();
        let is_multipart = |word: &Vec<u8>| memchr::memmem::find(word, b"multipart").is_some();
        let body = Part {
            from: reading.body.min(part.to),
            ..part.clone()
        };
        if !types.iter().any(is_multipart) {
            self.leaf(&body, reading)?;
            return Ok(false);
        }
        if reading.is_overfull() && !self.only_text {
            let detail = format!("{}: more boundaries than are tried", part.label());
            let reason = Reason::Limit(Limit::Memory);
            self.children.gap(None, reason, detail)?;
        }
        let (found, loose) = self.boundaries(&body, reading)?;
        if found.len() > 1 {
            self.note("mime-boundary", "several boundaries are in use")?;
        }
        if loose {
            self.note("mime-delimiter", "delimiters without their two hyphens")?;
        }
        if found.is_empty() {
            let rest = self
                .object
                .slice(body.from, body.to.saturating_sub(body.from));
            let is_empty =
                rest.bytes_at(0, BLANK)?.trim_ascii().is_empty() && rest.length() <= BLANK as u64;
            // Of a header alone nothing is missing: reports quote what they are about like this.
            if !self.only_text && !is_empty {
                let detail = format!("{}: a multipart without its boundary", part.label());
                self.children.gap(None, Reason::Corrupt, detail)?;
            }
            self.leaf(&body, reading)?;
        } else if part.depth >= DEPTH {
            let detail = format!("multiparts more than {DEPTH} deep");
            self.children
                .gap(None, Reason::Limit(Limit::Depth), detail)?;
            self.leaf(&body, reading)?;
            return Ok(false);
        } else if !types.iter().all(is_multipart) {
            self.note("mime-type", "several content types")?;
            self.leaf(&body, reading)?;
        } else {
            self.encoded_multipart(&body, reading)?;
        }
        // The last frame is the first to be worked on.
        let is_split = !found.is_empty();
        for boundary in found.into_iter().rev() {
            let mut frame = Frame::new(self.object, body.clone(), boundary);
            frame.loose = loose;
            self.push(frame)?;
        }
        Ok(is_split)
    }

    /// The boundaries of a multipart that its body has, and whether they stand there without their hyphens.
    fn boundaries(&self, body: &Part, reading: &Reading) -> Result<(Vec<Vec<u8>>, bool), Halt> {
        let named = reading.boundaries();
        let slice = self.object.slice(0, body.to);
        let mut found = vec![Seen::No; named.len()];
        let mut lines = Lines::new(&slice, body.from);
        let mut guess = None;
        let mut before: Option<Vec<u8>> = None;
        while let Some(line) = lines.next()? {
            if guess.is_none()
                && let Some(text) = before.take()
                && (field(line.text).is_some() || line.text.is_empty())
            {
                guess = Some(text);
            }
            if !line.text.starts_with(b"--") {
                for (boundary, seen) in named.iter().zip(&mut found) {
                    if *seen == Seen::No && loose_delimiter(line.text, boundary).is_some() {
                        *seen = Seen::Loose;
                    }
                }
                continue;
            }
            for (boundary, seen) in named.iter().zip(&mut found) {
                match delimiter(line.text, boundary) {
                    Some(Delimiter::Weak) if *seen < Seen::Weak && !boundary.is_empty() => {
                        *seen = Seen::Weak;
                    }
                    Some(Delimiter::Open | Delimiter::Close) => *seen = Seen::Whole,
                    _ => {}
                }
            }
            if found.iter().all(|seen| *seen == Seen::Whole) && !found.is_empty() {
                break;
            }
            let text = line.text.get(2..).unwrap_or_default().trim_ascii_end();
            if guess.is_none() && !text.is_empty() && text.len() <= 256 {
                before = Some(header::without_zeros(text));
            }
        }
        let of = |wanted: Seen| -> Vec<Vec<u8>> {
            (named.iter().zip(&found))
                .filter(|(_, seen)| **seen == wanted)
                .map(|(boundary, _)| boundary.clone())
                .collect()
        };
        let guess: Vec<Vec<u8>> = guess.into_iter().collect();
        let strict = [of(Seen::Whole), of(Seen::Weak), guess];
        match strict.into_iter().find(|list| !list.is_empty()) {
            Some(list) => Ok((list, false)),
            None => {
                let list = of(Seen::Loose);
                let loose = !list.is_empty();
                Ok((list, loose))
            }
        }
    }

    /// A multipart must not be encoded (RFC 2045 §6.4). Some readers decode one that is.
    fn encoded_multipart(&mut self, body: &Part, reading: &Reading) -> Result<(), Halt> {
        let encodings = reading.encodings().0;
        if self.only_text {
            return Ok(());
        }
        for encoding in encodings {
            if encoding == Encoding::Identity {
                continue;
            }
            self.note(
                "mime-encoded-multipart",
                "a multipart in a transfer encoding",
            )?;
            let values: Vec<&[u8]> = reading.values(Name::Type).collect();
            let mut head = b"MIME-Version: 1.0\r\n".to_vec();
            for value in values {
                head.extend_from_slice(b"Content-Type: ");
                head.extend_from_slice(value);
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(b"\r\n");
            let slice = self.object.slice(body.from, body.to - body.from);
            let mut stream = Cursor::new(head).chain(decoder(&slice, encoding, Padding::EndsGroup));
            let name = format!("{} decoded", body.label());
            self.children
                .child(name.as_bytes(), Content::Stream(&mut stream))?;
        }
        Ok(())
    }

    /// A body that is given as it is, or decoded.
    fn leaf(&mut self, body: &Part, reading: &Reading) -> Result<(), Halt> {
        let types = reading.types();
        let begins = |with: &[u8]| types.iter().any(|word| word.starts_with(with));
        if self.only_text && !types.is_empty() && !begins(b"text") {
            return Ok(());
        }
        let named = reading.name();
        let name = named.clone().unwrap_or_else(|| body.label().into_bytes());
        if body.from >= body.to && named.is_none() {
            return Ok(());
        }
        for (what, detail) in [
            ("partial", "a part of a message"),
            ("external-body", "a content that lies elsewhere"),
        ] {
            if begins(format!("message/{what}").as_bytes()) {
                let reason = Reason::Unsupported(format!("mime-{what}"));
                self.children.gap(Some(&name), reason, detail.to_owned())?;
            }
        }
        let (encodings, unknown) = reading.encodings();
        if encodings.len() > 1 {
            self.note("mime-encoding", "several transfer encodings")?;
        }
        let slice = self.object.slice(body.from, body.to - body.from);
        if let Some(unknown) = unknown.filter(|_| !self.only_text) {
            if is_prose(&slice)? {
                self.note(
                    "mime-encoding",
                    "a plain text in an unknown transfer encoding",
                )?;
            } else {
                let reason = Reason::Unsupported("mime-encoding".to_owned());
                self.children.gap(Some(&name), reason, unknown)?;
            }
        }
        for encoding in encodings {
            match encoding {
                Encoding::Identity
                    if begins(b"text/rfc822-headers") && is_header_alone(&slice)? =>
                {
                    // The empty line that ends it keeps it from being taken for a mail that is cut.
                    let mut header = slice.reader().chain(&b"\r\n\r\n"[..]);
                    self.children.child(&name, Content::Stream(&mut header))?;
                }
                Encoding::Identity => {
                    // All of a text is matched and viewed as that, and would be opened for ever.
                    let is_all = !self.is_mail && slice.length() == self.object.length();
                    if self.only_text || !is_all {
                        self.children.child(&name, Content::Object(slice.clone()))?;
                    }
                    if types.is_empty() || begins(b"text") {
                        self.deep(&name, &slice)?;
                    }
                    if begins(b"message/") {
                        self.message(body, &slice)?;
                    }
                }
                Encoding::Base64 => self.base64(&name, &slice)?,
                Encoding::Quoted => self.quoted(&name, &slice)?,
                Encoding::Uu => self.uu(&name, &slice)?,
            }
            if reading.is_utf7() {
                // No reader of texts would see it without being told.
                let name = [&name[..], b" (from UTF-7)"].concat();
                let decoded = BufReader::new(decoder(&slice, encoding, Padding::EndsGroup));
                let mut text = Utf7::new(decoded);
                self.children.child(&name, Content::Stream(&mut text))?;
            }
        }
        Ok(())
    }

    fn quoted(&mut self, name: &[u8], slice: &Object) -> Result<(), Halt> {
        let mut stream = Quoted::new(slice.reader());
        self.children.child(name, Content::Stream(&mut stream))?;
        if stream.seen_doubled && !self.only_text {
            self.note("mime-quoted", "an end of line that is doubled")?;
            let mut stream = Quoted::new(slice.reader()).with_narrow_breaks();
            self.children.child(name, Content::Stream(&mut stream))?;
        }
        Ok(())
    }

    fn base64(&mut self, name: &[u8], slice: &Object) -> Result<(), Halt> {
        let mut stream = Base64::new(slice.reader(), Padding::EndsGroup);
        self.children.child(name, Content::Stream(&mut stream))?;
        let goes_on = stream.goes_on;
        let (mut foreign, mut text) = (stream.seen_foreign, slice.clone());
        if !self.only_text
            && let Some(at) = behind_text(slice)?
        {
            self.note("mime-base64", "a text in front of base64")?;
            let rest = slice.slice(at, u64::MAX);
            let mut stream = Base64::new(rest.reader(), Padding::EndsGroup);
            self.children.child(name, Content::Stream(&mut stream))?;
            (foreign, text) = (stream.seen_foreign, rest);
        }
        if stream.seen_url && !self.only_text {
            self.note("mime-base64", "letters of another alphabet of base64")?;
            let mut stream = Base64::new(slice.reader(), Padding::EndsGroup).with_url();
            self.children.child(name, Content::Stream(&mut stream))?;
        }
        if foreign && !self.only_text {
            self.note("mime-base64", "lines that are none between those of base64")?;
            let lines = BufReader::new(PureLines::new(&text));
            let mut stream = Base64::new(lines, Padding::EndsGroup);
            self.children.child(name, Content::Stream(&mut stream))?;
        }
        if goes_on && !self.only_text {
            self.note("mime-base64", "more behind the padding of base64")?;
            for padding in [Padding::IsNoise, Padding::EndsAll] {
                let mut stream = Base64::new(slice.reader(), padding);
                self.children.child(name, Content::Stream(&mut stream))?;
            }
        }
        Ok(())
    }

    /// A body in uuencode: files with their names, or lines without any.
    fn uu(&mut self, name: &[u8], slice: &Object) -> Result<(), Halt> {
        let kinds = recognise(&slice.probe()?);
        if kinds.iter().any(|kind| kind.name == "uu") {
            return self.children.child(name, Content::Object(slice.clone()));
        }
        let mut stream = File::new(slice, 0, Alphabet::Uu);
        self.children.child(name, Content::Stream(&mut stream))
    }

    /// Files may be encoded anywhere in a text, also where recognition does not look.
    fn deep(&mut self, name: &[u8], slice: &Object) -> Result<(), Halt> {
        if self.only_text || slice.length() <= HEAD as u64 {
            return Ok(());
        }
        text::give(name, slice, self.children)?;
        let mut lines = Lines::new(slice, 0);
        while let Some(line) = lines.next()? {
            let begins = line.text.starts_with(b"begin")
                || line.text.starts_with(b"Begin")
                || line.text.starts_with(b"=ybegin ")
                || binhex::announces(line.text)
                || binhex::begins(line.text);
            let start = line.start;
            if !begins {
                continue;
            }
            let rest = slice.slice(start, u64::MAX);
            // A text about programs has many lines that begin so.
            let few = Probe {
                head: rest.part(0, 512)?,
                ..Probe::default()
            };
            let kinds = recognise(&few);
            if !kinds
                .iter()
                .any(|kind| matches!(kind.name, "uu" | "yenc" | "Hqx8"))
            {
                continue;
            }
            if start < (HEAD / 2) as u64 {
                // The whole text is taken for one of these.
                return Ok(());
            }
            let name = [name, format!(" (from {start})").as_bytes()].concat();
            return self.children.child(&name, Content::Object(rest));
        }
        Ok(())
    }

    /// A message that nobody would take for one by its content, though its type says so.
    fn message(&mut self, body: &Part, slice: &Object) -> Result<(), Halt> {
        let probe = slice.probe()?;
        let is_mail = |name: &str| match name {
            "mime" => start(&probe.head, probe.length).is_some(),
            name => name == "mbox",
        };
        if recognise(&probe).iter().any(|kind| is_mail(kind.name)) {
            return Ok(());
        }
        let header = header::read(&self.object.slice(0, body.to), body.from)?;
        if header.readings.iter().any(Reading::describes) {
            if body.depth >= DEPTH {
                let detail = format!("messages more than {DEPTH} deep");
                let reason = Reason::Limit(Limit::Depth);
                return self.children.gap(None, reason, detail);
            }
            let mut inner = body.clone();
            inner.depth += 1;
            inner.number = format!("{} message", body.label());
            // As a frame without delimiters, so that nothing here calls itself.
            let mut frame = Frame::new(self.object, inner, Vec::new());
            frame.whole = true;
            return self.push(frame);
        }
        Ok(())
    }
}

/// Where the first line of nothing but digits begins behind one that has other signs: some readers pass over the text in front of base64, others
/// take its letters for digits.
fn behind_text(slice: &Object) -> Result<Option<u64>, Halt> {
    let mut lines = Lines::new(slice, 0);
    let mut is_behind = false;
    for _ in 0..TEXT_LINES {
        let Some(line) = lines.next()? else { break };
        let text = line.text.trim_ascii();
        let is_digit = |byte: &u8| base64_value(*byte).is_some() || *byte == b'=';
        let is_base64 = text.iter().all(is_digit);
        if is_base64 && !text.is_empty() {
            return Ok(Some(line.start).filter(|_| is_behind));
        }
        is_behind |= !is_base64;
    }
    Ok(None)
}

/// Tells whether this is the header of a mail and nothing else, as RFC 6522 has it in reports.
fn is_header_alone(slice: &Object) -> Result<bool, Halt> {
    let is_mail = recognise(&slice.probe()?)
        .iter()
        .any(|kind| kind.name == "mime");
    Ok(is_mail && !header::read(slice, 0)?.whole)
}

/// Tells whether a text is one that people read, as far as it goes: most lines have blanks, and none has escapes, or is as long as those of encodings
/// without any.
fn is_prose(slice: &Object) -> Result<bool, Halt> {
    const LONG: usize = 40;
    let (mut all, mut bare) = (0_u64, 0_u64);
    let mut lines = Lines::new(slice, 0);
    while let Some(line) = lines.next()? {
        let text = line.text.trim_ascii();
        let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\x0c');
        let is_escape = |three: &[u8]| matches!(three, [b'=', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        if text.iter().any(is_control) || text.ends_with(b"=") || text.windows(3).any(is_escape) {
            return Ok(false);
        }
        let is_bare = !text.is_empty() && !text.iter().any(|byte| matches!(byte, b' ' | b'\t'));
        let is_address = memchr::memmem::find(text, b"://").is_some();
        if is_bare && text.len() > LONG && !is_address {
            return Ok(false);
        }
        all = all.saturating_add(u64::from(!text.is_empty()));
        bare = bare.saturating_add(u64::from(is_bare));
    }
    Ok(bare.saturating_mul(2) <= all)
}

/// How much of a boundary was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    No,
    Loose,
    Weak,
    Whole,
}

impl Part {
    /// What it is called without a name.
    fn label(&self) -> String {
        if self.number.is_empty() {
            return "body".to_owned();
        }
        format!("part {}", self.number)
    }
}

impl Reading {
    /// The types that it says, each once.
    fn types(&self) -> Vec<Vec<u8>> {
        let mut types: Vec<Vec<u8>> = Vec::new();
        for value in self.values(Name::Type) {
            let word = value::word(value);
            // Readers that know no comments see the type in them.
            let hidden = memchr::memmem::find(&value.to_ascii_lowercase(), b"multipart/").is_some();
            for word in std::iter::once(word).chain(hidden.then(|| b"multipart/hidden".to_vec())) {
                let known = |other: &Vec<u8>| {
                    *other == word
                        || (word.ends_with(b"/hidden") && other.starts_with(b"multipart/"))
                };
                if !word.is_empty() && !types.iter().any(known) {
                    types.push(word);
                }
            }
        }
        types
    }

    fn boundaries(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for value in self.values(Name::Type) {
            for boundary in value::parameter(value, "boundary") {
                let boundary = boundary.trim_ascii_end().to_vec();
                if !all.contains(&boundary) && all.len() < BOUNDARIES {
                    all.push(boundary);
                }
            }
        }
        all
    }

    /// Tells whether there are more parameters, or boundaries among them, than were looked at.
    fn is_overfull(&self) -> bool {
        self.boundaries().len() >= BOUNDARIES || self.values(Name::Type).any(value::is_overfull)
    }

    /// Its text is said to be UTF-7.
    fn is_utf7(&self) -> bool {
        self.values(Name::Type)
            .flat_map(|value| value::parameter(value, "charset"))
            .any(|set| {
                let set = set.to_ascii_lowercase();
                memchr::memmem::find(&set, b"utf-7").is_some()
                    || memchr::memmem::find(&set, b"utf7").is_some()
            })
    }

    /// The name of the file, by disposition, else by type.
    fn name(&self) -> Option<Vec<u8>> {
        let of = |field, name| {
            self.values(field)
                .flat_map(move |value| value::parameter(value, name))
        };
        of(Name::Disposition, "filename")
            .chain(of(Name::Type, "name"))
            .map(|name| value::file_name(&name))
            .find(|name| !name.is_empty())
    }

    /// How readers may decode it; and the name of an encoding that none knows.
    fn encodings(&self) -> (Vec<Encoding>, Option<String>) {
        let (mut all, mut unknown) = (Vec::new(), None);
        let fields = self.fields.iter();
        for field in fields.filter(|field| field.name == Name::Encoding) {
            let word = value::word(&field.value);
            let has = |part: &[u8]| memchr::memmem::find(&word, part).is_some();
            let these: &[Encoding] = match &*word {
                b"base64" => &[Encoding::Base64],
                b"quoted-printable" => &[Encoding::Quoted],
                b"" | b"7bit" | b"8bit" | b"binary" | b"7-bit" | b"8-bit" | b"none" => {
                    &[Encoding::Identity]
                }
                // Programs that do not know what the field is for name the characters, or that there is no encoding.
                b"7bits" | b"8bits" | b"7bit/8bit" | b"plain" | b"text" | b"text/plain"
                | b"identity" | b"ascii" | b"us-ascii" | b"utf-8" | b"utf8" | b"iso-8859-1" => {
                    &[Encoding::Identity]
                }
                b"x-uuencode" | b"x-uue" | b"uuencode" | b"uue" | b"x-uu" => &[Encoding::Uu],
                // These are told by their content.
                b"x-yencode" | b"x-yenc" | b"yenc" | b"binhex" | b"x-binhex" | b"x-binhex40"
                | b"mac-binhex40" => &[Encoding::Identity],
                _ if has(b"base64") => &[Encoding::Base64, Encoding::Identity],
                _ if has(b"quoted") => &[Encoding::Quoted, Encoding::Identity],
                _ if field.doubtful => &[Encoding::Identity],
                _ => {
                    let said = String::from_utf8_lossy(&word).into_owned();
                    unknown = Some(format!("transfer encoding {said:?}"));
                    &[Encoding::Identity]
                }
            };
            let unread = field.doubtful.then_some(&Encoding::Identity);
            for encoding in these.iter().chain(unread) {
                if !all.contains(encoding) {
                    all.push(*encoding);
                }
            }
        }
        if all.is_empty() {
            all.push(Encoding::Identity);
        }
        (all, unknown)
    }
}

fn decoder(slice: &Object, encoding: Encoding, padding: Padding) -> Box<dyn Read> {
    match encoding {
        Encoding::Identity => Box::new(slice.reader()),
        Encoding::Base64 => Box::new(Base64::new(slice.reader(), padding)),
        Encoding::Quoted => Box::new(Quoted::new(slice.reader())),
        Encoding::Uu => Box::new(File::new(slice, 0, Alphabet::Uu)),
    }
}

/// Where the header of a mail begins: behind a byte order mark, empty lines, and the line of an mbox, if not further on.
fn begin(object: &Object, head: &[u8]) -> Result<u64, Halt> {
    if let Some(start) = start(head, object.length()) {
        return Ok(start.at as u64);
    }
    let mark: u64 = if head.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let mut lines = Lines::new(object, mark);
    while let Some(line) = lines.next()? {
        if line.text.starts_with(b"From ") || line.text.starts_with(b">From ") {
            return Ok(line.end);
        }
        if !line.text.trim_ascii().is_empty() {
            return Ok(line.start);
        }
    }
    Ok(object.length())
}

/// What looked like an endless header may be anything: further on it has to have the fields of a mail, or to say what the body is.
fn may_be_mail(object: &Object) -> Result<bool, Halt> {
    let head = object.bytes_at(0, HEAD)?;
    match start(&head, object.length()) {
        Some(start) if start.sure == Sure::Open => {
            let more = object.bytes_at(0, FAR)?;
            if self::start(&more, object.length()).is_some_and(|more| more.sure > Sure::Open) {
                return Ok(true);
            }
            let header = header::read(object, start.at as u64)?;
            Ok(header.readings.iter().any(Reading::describes))
        }
        _ => Ok(true),
    }
}

/// Whether a line is a delimiter of this boundary to readers that only look for the boundary: what stands before it is not two hyphens.
fn loose_delimiter(line: &[u8], boundary: &[u8]) -> Option<Delimiter> {
    let from = memchr::memmem::find(line, boundary).filter(|_| !boundary.is_empty())?;
    let (before, rest) = line.split_at_checked(from)?;
    let is_sign = |byte: &u8| matches!(byte, b'-' | b'.' | b'>' | b' ' | b'\t');
    match rest.strip_prefix(boundary)?.trim_ascii_end() {
        b"" if before.iter().all(is_sign) => Some(Delimiter::Open),
        b"--" if before.iter().all(is_sign) => Some(Delimiter::Close),
        _ => None,
    }
}

/// Whether a line is a delimiter of this boundary.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<Delimiter> {
    let shown;
    let line = match memchr::memchr(0, line) {
        Some(_) => {
            shown = header::without_zeros(line);
            &shown
        }
        None => line,
    };
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    Some(match rest.trim_ascii_end() {
        b"" => Delimiter::Open,
        b"--" => Delimiter::Close,
        _ => Delimiter::Weak,
    })
}

impl Frame {
    fn new(object: &Object, part: Part, boundary: Vec<u8>) -> Self {
        Self {
            lines: Lines::new(&object.slice(0, part.to), part.from),
            from: part.from,
            stop: part.from,
            part,
            boundary,
            count: 0,
            segment: Segment::Preamble,
            weak: Vec::new(),
            taken: false,
            too_weak: false,
            by_weak: false,
            whole: false,
            loose: false,
            after_end: false,
            open: None,
        }
    }

    /// The next segment, and whether a line bounds it that only begins with the boundary.
    fn next(&mut self) -> io::Result<Option<(Segment, Part, bool)>> {
        if self.whole {
            self.segment = Segment::End;
            self.whole = false;
            return Ok(Some((Segment::Part, self.part.clone(), false)));
        }
        if self.segment == Segment::End {
            return Ok(None);
        }
        while let Some(line) = self.lines.next()? {
            let found = match self.loose {
                true => loose_delimiter(line.text, &self.boundary),
                false => delimiter(line.text, &self.boundary),
            };
            if found == Some(Delimiter::Weak) {
                let known = self.weak.iter().any(|(_, text)| text == line.text);
                if !self.taken && !known && !self.boundary.is_empty() {
                    self.too_weak |= self.weak.len() >= WEAK;
                    if !self.too_weak {
                        self.weak.push((line.start, line.text.to_vec()));
                    }
                }
            }
            let taken = match found {
                Some(Delimiter::Weak) => {
                    self.taken && self.weak.iter().any(|(_, text)| text == line.text)
                }
                Some(Delimiter::Open | Delimiter::Close) => true,
                None => false,
            };
            let stop = std::mem::replace(&mut self.stop, line.stop);
            let Some(found) = found.filter(|_| taken) else {
                continue;
            };
            let (from, to) = (self.from, stop.max(self.from));
            self.from = line.end;
            let is_weak = found == Delimiter::Weak;
            let by_weak = std::mem::replace(&mut self.by_weak, is_weak) || is_weak;
            let next = match found {
                Delimiter::Close => Segment::Epilogue,
                Delimiter::Open | Delimiter::Weak => Segment::Part,
            };
            let segment = std::mem::replace(&mut self.segment, next);
            self.after_end |= segment == Segment::Epilogue && next == Segment::Part;
            return Ok(Some((
                segment,
                self.segment_part(segment, from, to),
                by_weak,
            )));
        }
        let segment = std::mem::replace(&mut self.segment, Segment::End);
        self.open = Some(segment);
        let part = self.segment_part(segment, self.from.min(self.part.to), self.part.to);
        Ok(Some((segment, part, self.by_weak)))
    }

    fn segment_part(&mut self, segment: Segment, from: u64, to: u64) -> Part {
        let dot = if self.part.number.is_empty() { "" } else { "." };
        let number = &self.part.number;
        let number = match segment {
            Segment::Part => {
                self.count += 1;
                format!("{number}{dot}{}", self.count)
            }
            Segment::Preamble => format!("{number}{dot}preamble"),
            Segment::Epilogue | Segment::End => format!("{number}{dot}epilogue"),
        };
        Part {
            from,
            to,
            number,
            depth: self.part.depth + 1,
        }
    }
}

#[cfg(test)]
mod tests;
