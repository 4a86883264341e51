//! yEnc: files in text of eight bits (yEnc draft 1.3).
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read};

use crc32fast::Hasher;

use super::lines::Lines;
use super::number::digits;
use super::{Children, Container, Content, Expander, Halt, behind, cut_short, damaged};
use crate::event::Reason;
use crate::object::{Object, ObjectReader};

/// The expander of yEnc.
pub(super) struct YEnc;

impl Expander for YEnc {
    fn kind(&self) -> &'static str {
        "yenc"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut lines = Lines::new(object, 0);
        let mut ended = None;
        while let Some(line) = lines.next()? {
            let Some(name) = begin(line.text) else {
                continue;
            };
            let mut part = keyword(line.text, b"part=");
            let mut from = line.end;
            let head = object.bytes_at(from, 7)?;
            if head == b"=ypart " {
                part = part.or(Some(0));
                from = lines.next()?.map_or(from, |line| line.end);
            }
            let mut file = File::new(object, from);
            children.child(&name, Content::Stream(&mut file))?;
            if let Some(part) = part {
                let reason = Reason::Unsupported("yenc-part".to_owned());
                children.gap(Some(&name), reason, format!("part {part} of several"))?;
            }
            let passed = file.drain()?;
            let end = from.saturating_add(passed);
            ended = Some(end);
            lines = Lines::new(object, end);
        }
        ended.map_or(Err(Halt::Unlike), |end| behind(object, end, children))
    }
}

/// What the line that begins a file begins with.
const BEGIN: &[u8] = b"=ybegin ";

/// The name in the line that begins a file.
fn begin(line: &[u8]) -> Option<Vec<u8>> {
    let rest = line.strip_prefix(BEGIN)?;
    keyword(line, b"line=")?;
    keyword(line, b"size=")?;
    // The name is last, and may have anything in it.
    let at = memchr::memmem::find(rest, b"name=")?;
    let name = rest.get(at + 5..)?.trim_ascii();
    let name = name
        .strip_prefix(b"\"")
        .and_then(|name| name.strip_suffix(b"\""))
        .unwrap_or(name);
    Some(if name.is_empty() {
        b"data".to_vec()
    } else {
        name.to_vec()
    })
}

/// The number behind a keyword.
fn keyword(line: &[u8], name: &[u8]) -> Option<u64> {
    value(line, name).and_then(|value| digits(value, 10))
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.split(|byte| *byte == b' ')
        .find_map(|word| word.strip_prefix(name))
}

/// Tells whether a file begins at the start of a text, of which `line` gives the first line.
pub(super) fn begins<'a>(text: &[u8], line: impl FnOnce() -> &'a [u8]) -> bool {
    text.starts_with(BEGIN) && begin(line()).is_some()
}

/// One file, decoded byte by byte.
struct File {
    input: BufReader<ObjectReader>,
    passed: u64,
    length: u64,
    sum: Hasher,
    state: State,
    /// Told at the next read: the bytes before it come first.
    failed: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a line.
    Line,
    Data,
    Done,
}

impl File {
    fn new(object: &Object, from: u64) -> Self {
        Self {
            input: object.slice(from, u64::MAX).reader(),
            passed: 0,
            length: 0,
            sum: Hasher::new(),
            state: State::Line,
            failed: None,
        }
    }

    /// Goes to the end, and says how many bytes that were.
    fn drain(&mut self) -> io::Result<u64> {
        let mut buffer = [0; 4096];
        while self.state != State::Done {
            match self.read(&mut buffer) {
                Ok(_) => {}
                Err(error) if super::is_damage(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.passed)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.input.consume(1);
            self.passed += 1;
        }
        Ok(byte)
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            let begins_line = self.state == State::Line;
            let Some(byte) = self.byte()? else {
                self.state = State::Done;
                return Err(cut_short("the line =yend is missing"));
            };
            if matches!(byte, b'\r' | b'\n') {
                self.state = State::Line;
                continue;
            }
            self.state = State::Data;
            if byte != b'=' {
                return Ok(Some(byte.wrapping_sub(42)));
            }
            if begins_line && self.peek()? == Some(b'y') {
                self.state = State::Done;
                return self.end().map(|()| None);
            }
            match self.byte()? {
                Some(b'\r' | b'\n') => self.state = State::Line,
                Some(escaped) => return Ok(Some(escaped.wrapping_sub(64 + 42))),
                None => {}
            }
        }
    }

    /// The rest of the line behind `=`, which says what the file should have been.
    fn end(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        while line.len() < 1024 && !matches!(self.peek()?, None | Some(b'\r' | b'\n')) {
            line.extend(self.byte()?);
        }
        if !line.starts_with(b"yend") {
            return Err(damaged("a line of yEnc where its end should be"));
        }
        let whole = value(&line, b"crc32=");
        let sum = value(&line, b"pcrc32=")
            .or(whole)
            .and_then(|sum| digits(sum, 16));
        let found = u64::from(self.sum.clone().finalize());
        if keyword(&line, b"size=").is_some_and(|size| size != self.length) {
            return Err(damaged("the length differs"));
        }
        if sum.is_some_and(|sum| sum & 0xffff_ffff != found) {
            return Err(damaged("the checksum differs"));
        }
        Ok(())
    }
}

impl Read for File {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        while filled < out.len() && self.state != State::Done {
            match self.next() {
                Ok(Some(byte)) => {
                    if let Some(place) = out.get_mut(filled) {
                        *place = byte;
                    }
                    filled += 1;
                    self.length += 1;
                    self.sum.update(&[byte]);
                }
                Ok(None) => break,
                Err(error) if filled == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Random, Recorder, expand, tool, withstand};

    fn open(text: &[u8]) -> Recorder {
        expand(&YEnc, text, b"x")
    }

    const SAMPLE: &[u8] = b"text\r\n=ybegin line=128 size=5 name=a b.bin \r\n\x92\x8f\x96\r\n=\xd6\x99\r\n=yend size=5 crc32=3610a686\r\nmore\r\n";

    #[test]
    fn a_file_is_read_and_its_sum_compared() {
        let got = open(SAMPLE);
        assert_eq!(got.children, [(b"a b.bin".to_vec(), b"hello".to_vec())]);
        assert_eq!(got.gaps, []);
        let mut wrong = SAMPLE.to_vec();
        let at = wrong.len() - 9;
        wrong[at] = b'0';
        assert_eq!(open(&wrong).reasons(), ["corrupt"]);
        assert!(open(b"=ybegin \r\n").unlike);
    }

    #[test]
    fn a_part_is_said() {
        let part = b"=ybegin part=1 total=2 line=128 size=9 name=a\n=ypart begin=1 end=5\n\x92\x8f\x96\x96\x99\n=yend size=5 part=1 pcrc32=3610a686\n";
        let got = open(part);
        assert_eq!(got.children, [(b"a".to_vec(), b"hello".to_vec())]);
        assert_eq!(got.reasons(), ["unsupported/yenc-part"]);
    }

    #[test]
    fn no_damage_panics() {
        let silent = withstand(&YEnc, SAMPLE, b"x");
        let end = SAMPLE.len() - b"\r\n=yend size=5 crc32=3610a686\r\nmore\r\n".len();
        // Of the last line all but its word may be missing; before the first there is no file.
        assert!(silent.iter().all(|cut| *cut > end + 5), "{silent:?}");
    }

    #[test]
    fn files_of_uuenview_are_read() {
        let Some(folder) = tool("uuenview") else {
            return;
        };
        let mut random = Random::new(8);
        for length in [1, 127, 128, 129, 20_000] {
            let content = random.bytes(length);
            folder.write("with blank", &content);
            folder.run("sh", &["-c", "uuenview -y 'with blank' > out"]);
            let got = open(&folder.read("out"));
            assert_eq!(got.gaps, [], "{length}");
            assert!(
                got.children == [(b"with blank".to_vec(), content)],
                "{length}"
            );
        }
    }
}
