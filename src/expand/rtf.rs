//! RTF (its specification 1.9.1): what lies in it as hexadecimal digits or as it is: objects, pictures, data of Office.
//!
//! Only Word knows what Word takes for a digit: between those of an object there may be white space, control words and
//! groups. Where the digits in groups make a difference, there are two readings, and both are given.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, Read};

use super::{
    Children, Container, Content, Expander, Halt, appended, cut_short, damaged, is_damage, ole1,
};
use crate::event::{Limit, NoteKind, Reason};
use crate::object::{CHUNK, Object};

const MAGIC: &[u8] = b"{\\rt";

/// The first bytes that are read of a place; then twice as many, and so on.
const FIRST: usize = 512;

/// Letters of a control word that are kept, as Word does.
const WORD: usize = 32;

/// How often the file may be read for what is nested in itself.
const EFFORT: u64 = 16;

/// Destinations with data, what they are called as members, and whether groups in them may have digits of it.
const DESTINATIONS: [(&[u8], &str, bool); 6] = [
    (b"objdata", "object", true),
    (b"pict", "picture", false),
    (b"datastore", "datastore", false),
    (b"themedata", "theme", false),
    (b"colorschememapping", "colours", false),
    (b"fontfile", "font", false),
];

/// Bytes before a document, and between its first brace and its first word, that readers pass over.
const BEFORE: usize = 64;

/// Where a document begins. Word passes over white space; other readers find it behind some text, with more than one brace or white
/// space behind it, and in capitals.
pub(super) fn start(head: &[u8]) -> Option<usize> {
    let white = head.len() - head.trim_ascii_start().len();
    let rest = head.get(white..).unwrap_or_default();
    if rest.starts_with(MAGIC) {
        return Some(white);
    }
    let near = head.get(..2 * BEFORE).unwrap_or(head);
    let first = memchr::memchr(b'{', near.get(..BEFORE).unwrap_or(near))?;
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x80..);
    let (before, braces) = near.split_at_checked(first)?;
    let is_brace = |byte: &&u8| **byte == b'{' || byte.is_ascii_whitespace();
    let count = braces.iter().take_while(is_brace).count();
    let word = braces.get(count..count + 5)?;
    let is_word = matches!(word, [b'\\', word @ .., digit]
        if word.eq_ignore_ascii_case(b"rtf") && digit.is_ascii_digit());
    (before.iter().all(is_text) && is_word).then_some(first)
}

/// The expander of RTF.
pub(super) struct Rtf;

impl Expander for Rtf {
    fn kind(&self) -> &'static str {
        "rtf"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, FIRST)?;
        let Some(at) = start(&head) else {
            return Err(Halt::Unlike);
        };
        // What stands before the document is none of it.
        let object = &object.slice(at as u64, u64::MAX);
        let effort = Cell::new(object.length().saturating_mul(EFFORT) + (CHUNK as u64));
        let mut text = Text {
            object,
            effort: &effort,
            count: 0,
        };
        let end = text.expand(children)?;
        if effort.get() == 0 {
            let detail = "more is nested than is followed".to_owned();
            children.gap(None, Reason::Limit(Limit::Memory), detail)?;
        }
        match end {
            Some(end) => appended(object, end, children),
            None => {
                let detail = "the document's group is not closed".to_owned();
                children.gap(None, Reason::Corrupt, detail)
            }
        }
    }
}

/// What RTF consists of.
enum Token {
    Open,
    Close,
    /// A control word, in lower case, and the number behind it.
    Word(Word, Option<i64>),
    /// A control symbol, with what belongs to it.
    Symbol,
    Byte(u8),
}

struct Word {
    letters: [u8; WORD],
    length: usize,
}

impl Word {
    fn is(&self, word: &[u8]) -> bool {
        self.letters.get(..self.length) == Some(word)
    }
}

/// Reads tokens from a place on.
struct Tokens<'a> {
    object: &'a Object,
    buffer: Vec<u8>,
    used: usize,
    /// Where the buffer ends.
    end: u64,
    step: usize,
    effort: Option<&'a Cell<u64>>,
}

impl<'a> Tokens<'a> {
    fn new(object: &'a Object, at: u64, effort: Option<&'a Cell<u64>>) -> Self {
        Self {
            object,
            buffer: Vec::new(),
            used: 0,
            end: at,
            step: FIRST,
            effort,
        }
    }

    fn position(&self) -> u64 {
        self.end - (self.buffer.len() - self.used) as u64
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.resize(self.step, 0);
        self.used = 0;
        let count = self.object.read_at(&mut self.buffer, self.end)?;
        self.buffer.truncate(count);
        self.end += count as u64;
        self.step = (2 * self.step).min(CHUNK);
        if let Some(effort) = self.effort {
            if effort.get() == 0 && count > 0 {
                return Err(damaged("more is nested than is followed"));
            }
            effort.set(effort.get().saturating_sub(count as u64));
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.used == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.used).copied())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        self.used += usize::from(byte.is_some());
        Ok(byte)
    }

    fn next(&mut self) -> io::Result<Option<Token>> {
        Ok(match self.byte()? {
            None => None,
            Some(b'{') => Some(Token::Open),
            Some(b'}') => Some(Token::Close),
            Some(b'\\') => Some(self.control()?),
            Some(byte) => Some(Token::Byte(byte)),
        })
    }

    fn control(&mut self) -> io::Result<Token> {
        let Some(first) = self.peek()? else {
            return Ok(Token::Symbol);
        };
        if !first.is_ascii_alphabetic() {
            self.byte()?;
            if first == b'\'' {
                for _ in 0..2 {
                    if self.peek()?.is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        self.byte()?;
                    }
                }
            }
            return Ok(Token::Symbol);
        }
        let mut word = Word {
            letters: [0; WORD],
            length: 0,
        };
        while let Some(letter) = self.peek()?.filter(u8::is_ascii_alphabetic) {
            self.byte()?;
            if let Some(place) = word.letters.get_mut(word.length) {
                *place = letter.to_ascii_lowercase();
                word.length += 1;
            }
        }
        let negative = self.peek()? == Some(b'-');
        if negative {
            self.byte()?;
        }
        let mut number = None;
        while let Some(digit) = self.peek()?.filter(u8::is_ascii_digit) {
            self.byte()?;
            let value = number.unwrap_or(0_i64).saturating_mul(10);
            number = Some(value.saturating_add(i64::from(digit - b'0')));
        }
        if self.peek()? == Some(b' ') {
            self.byte()?;
        }
        let number = number.map(|number| if negative { -number } else { number });
        Ok(Token::Word(word, number))
    }
}

/// The data of a destination that begins at a place, up to the end of its group.
struct Data<'a> {
    tokens: Tokens<'a>,
    /// Groups inside it that are open.
    depth: u64,
    /// Digits in those count.
    nested: bool,
    /// There was one in those.
    differs: bool,
    high: Option<u8>,
    /// Bytes that come as they are.
    raw: u64,
    ended: bool,
    error: Option<io::Error>,
}

impl<'a> Data<'a> {
    fn new(text: &Text<'a>, at: u64, nested: bool) -> Self {
        Self {
            tokens: Tokens::new(text.object, at, Some(text.effort)),
            depth: 0,
            nested,
            differs: false,
            high: None,
            raw: 0,
            ended: false,
            error: None,
        }
    }

    /// The next byte.
    fn next(&mut self) -> io::Result<Option<u8>> {
        while !self.ended {
            if self.raw > 0 {
                let byte = self.tokens.byte()?;
                self.raw -= 1;
                if byte.is_none() {
                    return Err(cut_short("binary data goes on behind the end of the file"));
                }
                if self.depth > 0 {
                    self.differs = true;
                    if !self.nested {
                        continue;
                    }
                }
                return Ok(byte);
            }
            match self.tokens.next()? {
                None => {
                    self.ended = true;
                    return Err(cut_short("the group has no end"));
                }
                Some(Token::Open) => self.depth += 1,
                Some(Token::Close) => match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => self.ended = true,
                },
                Some(Token::Word(word, number)) => {
                    if word.is(b"bin") {
                        self.raw = u64::try_from(number.unwrap_or(0)).unwrap_or(0);
                    }
                }
                Some(Token::Symbol) => {}
                Some(Token::Byte(byte)) => {
                    let Some(digit) = hex(byte) else { continue };
                    if self.depth > 0 {
                        self.differs = true;
                        if !self.nested {
                            continue;
                        }
                    }
                    match self.high.take() {
                        None => self.high = Some(digit),
                        Some(high) => return Ok(Some(high << 4 | digit)),
                    }
                }
            }
        }
        Ok(None)
    }
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

impl Read for Data<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        for place in out {
            if self.error.is_some() {
                break;
            }
            match self.next() {
                Ok(Some(byte)) => *place = byte,
                Ok(None) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
            count += 1;
        }
        match self.error.take() {
            Some(error) if count == 0 => Err(error),
            error => {
                self.error = error;
                Ok(count)
            }
        }
    }
}

/// A document.
struct Text<'a> {
    object: &'a Object,
    effort: &'a Cell<u64>,
    count: u64,
}

impl<'a> Text<'a> {
    /// Gives what is in all destinations, also behind the end of the document, which is given back.
    fn expand(&mut self, children: &mut dyn Children) -> Result<Option<u64>, Halt> {
        let mut tokens = Tokens::new(self.object, 0, None);
        let mut depth = 0_u64;
        let mut end = None;
        while let Some(token) = tokens.next()? {
            let at = tokens.position();
            match token {
                Token::Open => depth += 1,
                Token::Close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && end.is_none() {
                        end = Some(at);
                    }
                }
                Token::Word(word, number) => {
                    self.word(&word, at, children)?;
                    let binary = u64::try_from(number.unwrap_or(0)).unwrap_or(0);
                    if word.is(b"bin") && binary > 0 {
                        let behind = at.saturating_add(binary).min(self.object.length());
                        self.binary(at, behind, children)?;
                        tokens = Tokens::new(self.object, behind, None);
                    }
                }
                Token::Symbol | Token::Byte(_) => {}
            }
        }
        Ok(end)
    }

    /// Looks for destinations in what is binary data, for a reader that knows how long that is.
    fn binary(&mut self, from: u64, to: u64, children: &mut dyn Children) -> Result<(), Halt> {
        let mut tokens = Tokens::new(self.object, from, None);
        while tokens.position() < to
            && let Some(token) = tokens.next()?
        {
            if let Token::Word(word, _) = token {
                self.word(&word, tokens.position(), children)?;
            }
        }
        Ok(())
    }

    /// Gives what is in the destination behind a control word, if it is one with data.
    fn word(&mut self, word: &Word, at: u64, children: &mut dyn Children) -> Result<(), Halt> {
        match DESTINATIONS.iter().find(|row| word.is(row.0)) {
            Some((_, name, both)) => self.destination(at, name, *both, children),
            None => Ok(()),
        }
    }

    fn destination(
        &mut self,
        at: u64,
        name: &str,
        both: bool,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        self.count += 1;
        let name = format!("{name}-{}", self.count);
        if !self.reading(at, both, &name, both, children)? || !both {
            return Ok(());
        }
        let detail = format!("{name}: digits in groups");
        children.note(NoteKind::Ambiguous("rtf-groups".to_owned()), detail)?;
        self.reading(at, false, &format!("{name}-outer"), both, children)?;
        Ok(())
    }

    /// Gives one reading of a destination. True when there is another one.
    fn reading(
        &self,
        at: u64,
        nested: bool,
        name: &str,
        is_object: bool,
        children: &mut dyn Children,
    ) -> Result<bool, Halt> {
        let mut head = Vec::new();
        let mut data = Data::new(self, at, nested);
        let read = data.by_ref().take(ole1::HEAD as u64).read_to_end(&mut head);
        if let Err(error) = read {
            if !is_damage(&error) {
                return Err(error.into());
            }
            if head.is_empty() {
                children.gap(Some(name.as_bytes()), Reason::Corrupt, error.to_string())?;
            }
        }
        if head.is_empty() {
            return Ok(data.differs);
        }
        let mut data = Data::new(self, at, nested);
        match ole1::object(&head).filter(|_| is_object) {
            Some(found) => self.embedded(&found, &head, name, &mut data, children)?,
            None => children.child(name.as_bytes(), Content::Stream(&mut data))?,
        }
        Ok(data.differs)
    }

    /// Gives an embedded object: its header, its data, and what follows.
    fn embedded(
        &self,
        found: &ole1::Object,
        head: &[u8],
        name: &str,
        data: &mut Data<'_>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let native = head.get(usize::try_from(found.start).unwrap_or_default()..);
        let package = ole1::package(native.unwrap_or_default())
            .filter(|_| found.class.eq_ignore_ascii_case(b"package"));
        let (start, length, inner) = match &package {
            Some(package) => (
                found.start + package.start,
                package.length,
                [name.as_bytes(), b"/", &package.name].concat(),
            ),
            None => (
                found.start,
                found.length,
                format!("{name}/data").into_bytes(),
            ),
        };
        let header = head.get(..usize::try_from(start).unwrap_or_default());
        let mut header = header.unwrap_or(head);
        children.child(name.as_bytes(), Content::Stream(&mut header))?;
        // It was there a moment ago.
        io::copy(&mut data.by_ref().take(start), &mut io::sink())?;
        let mut counted = Counted {
            inner: data.by_ref().take(length),
            failed: false,
        };
        children.child(&inner, Content::Stream(&mut counted))?;
        let (left, failed) = (counted.inner.limit(), counted.failed);
        if left > 0 && !failed {
            let detail = format!(
                "{} of {length} bytes of the object are there",
                length - left
            );
            children.gap(Some(&inner), Reason::Corrupt, detail)?;
        }
        let mut first = [0];
        let more = match data.read(&mut first) {
            Ok(more) => more > 0,
            Err(error) if is_damage(&error) => {
                return children.gap(Some(&inner), Reason::Corrupt, error.to_string());
            }
            Err(error) => return Err(error.into()),
        };
        if more && left == 0 {
            let rest = format!("{name}/(rest)");
            let mut all = first.chain(data);
            children.child(rest.as_bytes(), Content::Stream(&mut all))?;
        }
        Ok(())
    }
}

/// Remembers whether its end is one.
struct Counted<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out);
        self.failed |= read.is_err();
        read
    }
}

#[cfg(test)]
mod starts {
    use super::*;
    use crate::expand::testing::{expand, object};

    #[test]
    fn a_document_may_stand_behind_what_readers_pass_over() {
        let document = "{\\*\\objdata 01050000 }";
        let starts = [
            "{\\rtf1",
            "{\\rt",
            "\n {\\rtf1",
            "\u{feff}{\\rtf1",
            "abc{\\rtf1",
            "{{\\rtf1",
            "{\\RTF1",
            "{\r\n\\rtf1",
            "{ \\rtf1",
        ];
        for start in starts {
            let text = format!("{start} {document}}}}}");
            let probe = object(text.as_bytes()).probe().unwrap();
            let kinds = crate::expand::recognise(&probe);
            assert!(kinds.iter().any(|kind| kind.name == "rtf"), "{text}");
            let got = expand(&Rtf, text.as_bytes(), b"x");
            assert!(!got.unlike && got.children.len() == 1, "{text} {got:?}");
        }
        let others = [
            "a line about {\\rtf",
            "{rtf1}",
            "\u{1}{\\rtf1",
            "{\\RT1",
            "{x\\rtf1",
            "in a text that is no document RTF stands far from the first bytes: {\\rtf1",
        ];
        for text in others {
            assert_eq!(start(text.as_bytes()), None, "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Rtf, bytes, b"x.rtf")
    }

    fn digits(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// An embedded object of this class.
    fn object(class: &str, data: &[u8]) -> Vec<u8> {
        let mut out = b"\x01\x05\0\0\x02\0\0\0".to_vec();
        out.extend(u32::try_from(class.len() + 1).unwrap().to_le_bytes());
        out.extend(class.bytes());
        out.extend([0; 9]);
        out.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        out.extend(data);
        out
    }

    fn package(content: &[u8]) -> Vec<u8> {
        let mut out = b"\x02\0a.exe\0C:\\a.exe\0\0\0\x03\0\x05\0\0\0C:\\a\0".to_vec();
        out.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        out.extend(content);
        out
    }

    fn content<'a>(got: &'a Recorder, name: &str) -> &'a [u8] {
        let child = got.children.iter().find(|child| child.0 == name.as_bytes());
        &child
            .unwrap_or_else(|| panic!("{name} in {:?}", got.names()))
            .1
    }

    fn document(inside: &str) -> Vec<u8> {
        format!("{{\\rtf1\\ansi {{\\object\\objemb{{\\*\\objdata {inside}}}{{\\result x}}}}}}")
            .into_bytes()
    }

    #[test]
    fn objects_are_unwrapped() {
        let embedded = object("Equation.3", b"\xd0\xcf and so on");
        let got = run(&document(&digits(&embedded)));
        assert_eq!(got.names(), ["object-1", "object-1/data"]);
        assert_eq!(content(&got, "object-1/data"), b"\xd0\xcf and so on");
        assert!(content(&got, "object-1").ends_with(b"Equation.3\0\0\0\0\0\0\0\0\0\x0c\0\0\0"));
        let with_rest = [
            &object("Package", &package(b"MZ program"))[..],
            b"\x01\x05\0\0",
        ]
        .concat();
        let got = run(&document(&digits(&with_rest)));
        assert_eq!(content(&got, "object-1/a.exe"), b"MZ program");
        assert_eq!(content(&got, "object-1/(rest)"), b"\x01\x05\0\0");
        assert_eq!(got.gaps, []);
        let got = run(&document("01 02 FF"));
        assert_eq!(content(&got, "object-1"), b"\x01\x02\xff");
        assert_eq!(run(&document("")).names().len(), 0);
        let mut short = object("X", b"content");
        short.truncate(short.len() - 2);
        let got = run(&document(&digits(&short)));
        assert_eq!(content(&got, "object-1/data"), b"conte");
        assert_eq!(got.reasons(), ["corrupt"]);
    }

    /// What is seen in the wild between the digits.
    #[test]
    fn digits_are_found_between_all_else() {
        let rows = [
            "61 62\r\n\t6 3",
            "6\\par 1\\unheard123 62{\\*\\x zz}63",
            "61\\'41 62\\*63",
            "6162\\bin1 c",
            "61\\bin0000000000000000001 b63",
            "\\bin-5 616263",
            "{\\object}{}{{{}}}616263",
            "zz61 g62 x63",
            "6\n1\\objupdate 6\n2;6,3",
        ];
        for row in rows {
            let got = run(&document(row));
            assert_eq!(content(&got, "object-1"), b"abc", "{row}");
            assert_eq!(got.gaps, [], "{row}");
        }
        let got = run(&document("61{\\x 62}63"));
        assert_eq!(content(&got, "object-1"), b"abc");
        assert_eq!(content(&got, "object-1-outer"), b"ac");
        assert_eq!(got.notes.len(), 1);
        let got = run(&document("61{\\*\\objdata 62}63"));
        assert_eq!(got.names(), ["object-1", "object-1-outer", "object-2"]);
    }

    #[test]
    fn pictures_and_data_of_office_are_given() {
        let text = b"{\\rt{\\pict{\\*\\blipuid 0011}\\pngblip\\bliptag12 8950}{\\*\\themedata 504b}{\\*\\DataStore 01}{\\pict\\bin3 }{\\}}";
        let got = run(text);
        assert_eq!(
            got.names(),
            ["picture-1", "theme-2", "datastore-3", "picture-4"]
        );
        assert_eq!(content(&got, "picture-1"), b"\x89\x50");
        assert_eq!(content(&got, "picture-4"), b"}{\\");
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn what_follows_and_what_is_no_document() {
        let mut bytes = document("61");
        bytes.extend(b"\r\n{\\pict 62}");
        assert_eq!(run(&bytes).names(), ["object-1", "picture-2"]);
        let mut bytes = document("61");
        bytes.extend(b"\r\nRar!\x1a\x07\0 and so on");
        assert_eq!(run(&bytes).names(), ["object-1", "(behind the end)"]);
        assert!(run(b"{\\html}").unlike);
        assert_eq!(run(b" \n{\\rtf1{\\pict 6162}}").names(), ["picture-1"]);
    }

    #[test]
    fn nesting_has_an_end() {
        let bytes = [&b"{\\rtf1"[..], &b"{\\objdata".repeat(20_000)].concat();
        let got = run(&bytes);
        assert!(got.gaps.len() > 10_000);
    }

    #[test]
    fn no_damage_panics() {
        let embedded = object("Package", &package(b"content"));
        let sample = document(&format!("{}{{\\x 0102}}", digits(&embedded)));
        assert_eq!(withstand(&Rtf, &sample, b"x.rtf"), [0; 0]);
        withstand(
            &Rtf,
            b"{\\rtf1{\\pict\\bin5 abcde 0a0b}{\\*\\themedata 504b}}",
            b"x.rtf",
        );
    }

    /// The harmless program of ClamAV's test files is packaged in it.
    #[test]
    fn the_test_file_of_clamav_is_opened() {
        let folder = std::path::Path::new("/usr/share/clamav-testfiles");
        let Ok(program) = std::fs::read(folder.join("clam.exe")) else {
            eprintln!("skipped: clamav-testfiles is not installed");
            return;
        };
        let got = run(&std::fs::read(folder.join("clam.exe.rtf")).unwrap());
        assert!(
            got.children.iter().any(|child| child.1 == program),
            "{:?}",
            got.names()
        );
        assert_eq!(got.gaps, []);
    }
}
