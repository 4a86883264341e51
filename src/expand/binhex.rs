//! BinHex 4: a file of a Macintosh as text, with both its forks (RFC 1741).
//!
//! Six bits a character between two colons, then runs (`0x90`), then a header, the data fork and the resource fork, each with
//! a checksum. A text may hold several.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use super::lines::Lines;
use super::{Children, Container, Content, Expander, Halt, crc16, cut_short, damaged, is_damage};
use crate::event::Reason;
use crate::object::Object;

/// What the line in front has, in capitals or not: `(This file must be converted with BinHex 4.0)`.
const WORD: &[u8] = b"BinHex";

/// Lines between that one and the colon: most readers pass over them.
pub(super) const BEFORE_COLON: usize = 64;

/// A colon, and characters of a file.
pub(super) fn is_first(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b":").unwrap_or_default();
    let rest = rest.strip_suffix(b":").unwrap_or(rest);
    !rest.is_empty() && rest.iter().all(|byte| ALPHABET.contains(byte))
}

/// This line stands in front of a file; readers look at its beginning, or for the word.
pub(super) fn announces(line: &[u8]) -> bool {
    is_usual(line) || line.starts_with(b"(") && last_word(line).is_some()
}

/// It begins as it should.
pub(super) fn is_usual(line: &[u8]) -> bool {
    line.starts_with(b"(This file ")
}

/// Where the word stands last in a text. Its last letter is a rare one.
pub(super) fn last_word(text: &[u8]) -> Option<usize> {
    memchr::memrchr2_iter(b'x', b'X', text).find_map(|last| {
        let at = (last + 1).checked_sub(WORD.len())?;
        let word = text.get(at..=last)?;
        word.eq_ignore_ascii_case(WORD).then_some(at)
    })
}

/// The characters for the values from 0 on.
const ALPHABET: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

/// Marks a run.
const RUN: u8 = 0x90;

/// The expander of BinHex.
pub(super) struct BinHex;

impl Expander for BinHex {
    fn kind(&self) -> &'static str {
        "Hqx8"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut lines = Lines::new(object, 0);
        let (mut expected, mut any) = (0, false);
        while let Some(line) = lines.next()? {
            if announces(line.text) {
                expected = BEFORE_COLON;
                continue;
            }
            if line.text.trim_ascii().is_empty() {
                continue;
            }
            let blank = line.text.len() - line.text.trim_ascii_start().len();
            let is_first = expected > 0 && is_first(line.text.trim_ascii());
            if line.text.get(blank) != Some(&b':') || !(is_first || begins(line.text)) {
                expected = expected.saturating_sub(1);
                continue;
            }
            (expected, any) = (0, true);
            let from = line.start + blank as u64 + 1;
            let end = file(object, from, children)?;
            lines = Lines::new(object, from.saturating_add(end));
        }
        if any { Ok(()) } else { Err(Halt::Unlike) }
    }
}

/// Gives the forks of the file whose characters begin at `from`, and says how many there were.
fn file(object: &Object, from: u64, children: &mut dyn Children) -> Result<u64, Halt> {
    let mut bytes = Bytes::new(object.slice(from, u64::MAX).reader());
    let header = match Header::read(&mut bytes) {
        Ok(header) => header,
        Err(error) if is_damage(&error) => {
            children.gap(None, Reason::Corrupt, format!("BinHex header: {error}"))?;
            return Ok(bytes.characters);
        }
        Err(error) => return Err(error.into()),
    };
    if !header.is_sound {
        let detail = "BinHex header: the checksum differs".to_owned();
        children.gap(None, Reason::Corrupt, detail)?;
    }
    let name = header.name;
    let resource = [&name[..], b".rsrc"].concat();
    for (name, length) in [(name, header.data), (resource, header.resource)] {
        let mut fork = Fork {
            bytes: &mut bytes,
            left: length,
            sum: 0,
            state: State::Content,
        };
        if length > 0 {
            children.child(&name, Content::Stream(&mut fork))?;
        }
        match fork.rest() {
            Ok(()) => {}
            Err(error) if is_damage(&error) => {
                // Of a fork that was given its reader has heard.
                if length == 0 {
                    children.gap(Some(&name), Reason::Corrupt, error.to_string())?;
                }
                if matches!(fork.state, State::Broken) {
                    return Ok(bytes.characters);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes.characters)
}

/// Tells whether a line is the first of a file, for those who write no line in front of it, or another.
pub(super) fn begins(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b":").filter(|rest| rest.len() >= 40) else {
        return false;
    };
    let mut bytes = Bytes::new(rest);
    Header::read(&mut bytes).is_ok_and(|header| header.is_sound)
}

struct Header {
    /// Its checksum holds. Some readers do not ask.
    is_sound: bool,
    name: Vec<u8>,
    data: u32,
    resource: u32,
}

impl Header {
    fn read(bytes: &mut Bytes<impl BufRead>) -> io::Result<Self> {
        let mut all = Vec::new();
        let length = usize::from(bytes.must()?);
        all.push(u8::try_from(length).unwrap_or_default());
        if !(1..=63).contains(&length) {
            return Err(damaged(format!("a name of {length} bytes")));
        }
        // The name, a zero, type, creator, flags, both lengths.
        for _ in 0..length + 19 {
            all.push(bytes.must()?);
        }
        let sum = u16::from_be_bytes([bytes.must()?, bytes.must()?]);
        let number = |at: usize| {
            let bytes: Option<[u8; 4]> =
                all.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_be_bytes).unwrap_or_default()
        };
        Ok(Self {
            is_sound: crc16::of(&all) == sum,
            name: all.get(1..=length).unwrap_or_default().to_vec(),
            data: number(length + 12),
            resource: number(length + 16),
        })
    }
}

/// The bytes after both decodings.
struct Bytes<R> {
    input: R,
    characters: u64,
    bits: u32,
    count: u8,
    last: u8,
    repeats: u8,
    ended: bool,
}

impl<R: BufRead> Bytes<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            characters: 0,
            bits: 0,
            count: 0,
            last: 0,
            repeats: 0,
            ended: false,
        }
    }

    /// The next byte before the runs are undone.
    fn raw(&mut self) -> io::Result<Option<u8>> {
        while !self.ended {
            let Some(&byte) = self.input.fill_buf()?.first() else {
                return Err(cut_short("the last colon is missing"));
            };
            self.input.consume(1);
            self.characters += 1;
            match byte {
                b':' => self.ended = true,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => {
                    let Some(value) = ALPHABET.iter().position(|known| *known == byte) else {
                        return Err(damaged(format!("the character {byte:#04x}")));
                    };
                    self.bits = self.bits << 6 | u32::try_from(value).unwrap_or_default();
                    self.count += 6;
                    if self.count >= 8 {
                        self.count -= 8;
                        let byte = self.bits >> self.count;
                        return Ok(byte.to_le_bytes().first().copied());
                    }
                }
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            if self.repeats > 0 {
                self.repeats -= 1;
                return Ok(Some(self.last));
            }
            let Some(byte) = self.raw()? else {
                return Ok(None);
            };
            if byte != RUN {
                self.last = byte;
                return Ok(Some(byte));
            }
            match self.raw()? {
                None => return Err(cut_short("a run without its length")),
                Some(0) => {
                    self.last = RUN;
                    return Ok(Some(RUN));
                }
                // One of them was given already.
                Some(count) => self.repeats = count - 1,
            }
        }
    }

    fn must(&mut self) -> io::Result<u8> {
        self.next()?.ok_or_else(|| cut_short("it ends too early"))
    }
}

/// One fork and its checksum.
struct Fork<'a, R> {
    bytes: &'a mut Bytes<R>,
    left: u32,
    sum: u16,
    state: State,
}

enum State {
    Content,
    /// The checksum is read, and held or did not.
    Ended,
    /// Nothing more can be read.
    Broken,
}

impl<R: BufRead> Fork<'_, R> {
    /// Reads what nobody has read.
    fn rest(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    fn end(&mut self) -> io::Result<()> {
        let sum = [self.bytes.must(), self.bytes.must()];
        let [Ok(high), Ok(low)] = sum else {
            self.state = State::Broken;
            return Err(cut_short("it ends before its checksum"));
        };
        self.state = State::Ended;
        if u16::from_be_bytes([high, low]) != self.sum {
            return Err(damaged("the checksum differs"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Fork<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || !matches!(self.state, State::Content) {
            return Ok(0);
        }
        let mut filled = 0;
        for place in out {
            if self.left == 0 {
                break;
            }
            match self.bytes.must() {
                Ok(byte) => *place = byte,
                // What was read comes first; the error comes again.
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => {
                    self.state = State::Broken;
                    return Err(error);
                }
            }
            self.sum = crc16::update(self.sum, *place);
            self.left -= 1;
            filled += 1;
        }
        if filled == 0 {
            self.end()?;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Random, expand, tool, withstand};

    /// Writes what the module reads, without runs.
    fn encode(name: &str, forks: [&[u8]; 2]) -> Vec<u8> {
        let mut header = vec![u8::try_from(name.len()).unwrap()];
        header.extend_from_slice(name.as_bytes());
        header.extend_from_slice(b"\0TEXTttxt\0\0");
        for fork in forks {
            header.extend_from_slice(&u32::try_from(fork.len()).unwrap().to_be_bytes());
        }
        let mut bytes = Vec::new();
        for part in [&header[..], forks[0], forks[1]] {
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(&crc16::of(part).to_be_bytes());
        }
        let mut text = b"(This file must be converted with BinHex 4.0)\r\n\r\n:".to_vec();
        let escaped: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| {
                if *byte == RUN {
                    vec![RUN, 0]
                } else {
                    vec![*byte]
                }
            })
            .collect();
        for (number, group) in escaped.chunks(3).enumerate() {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for at in 0..=group.len() {
                text.push(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]);
            }
            if number % 16 == 15 {
                text.extend_from_slice(b"\r\n");
            }
        }
        text.extend_from_slice(b":\r\n");
        text
    }

    #[test]
    fn both_forks_are_given() {
        let bytes = [
            b"before\n".to_vec(),
            encode("a b", [b"data\x90", b"resource"]),
            b"\n".to_vec(),
            encode("two", [b"x", b""]),
        ]
        .concat();
        let got = expand(&BinHex, &bytes, b"x.hqx");
        assert_eq!(got.names(), ["a b", "a b.rsrc", "two"]);
        assert_eq!(got.children[0].1, b"data\x90");
        assert_eq!(got.children[1].1, b"resource");
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn a_wrong_sum_is_said_behind_the_content() {
        let mut bytes = encode("a", [b"some content", b"other"]);
        let at = bytes.len() - 30;
        bytes[at] = if bytes[at] == b'!' { b'"' } else { b'!' };
        let got = expand(&BinHex, &bytes, b"x");
        assert_eq!((got.children.len(), got.reasons()), (2, vec!["corrupt"]));
        let mut bytes = encode("a", [b"some content", b"other"]);
        bytes[60] = if bytes[60] == b'!' { b'"' } else { b'!' };
        let got = expand(&BinHex, &bytes, b"x");
        assert_eq!((got.children.len(), got.reasons()), (2, vec!["corrupt"]));
    }

    #[test]
    fn no_damage_panics() {
        let sample = encode("name", [b"some data\x90\x90", b"a resource"]);
        let silent = withstand(&BinHex, &sample, b"x");
        assert!(
            silent.iter().all(|cut| *cut >= sample.len() - 4),
            "{silent:?}"
        );
    }

    #[test]
    fn files_of_macutils_are_read() {
        let Some(folder) = tool("binhex") else { return };
        let mut random = Random::new(4);
        for length in [1, 100, 5000] {
            let mut content = random.bytes(length);
            content.extend([b'x'; 300]);
            content.extend([RUN; 5]);
            folder.write("somefile", &content);
            let text = folder.run("binhex", &["-d", "somefile"]);
            folder.write("x.hqx", text.as_bytes());
            let got = expand(&BinHex, text.as_bytes(), b"x.hqx");
            assert_eq!(
                (got.names(), &got.gaps[..]),
                (vec!["somefile".to_owned()], &[][..])
            );
            assert!(got.children[0].1 == content);
            folder.run("hexbin", &["x.hqx"]);
            let packed = crate::expand::testing::expand(
                &crate::expand::apple::MacBinary,
                &folder.read("somefile.bin"),
                b"x.bin",
            );
            assert_eq!(
                (packed.names(), &packed.gaps[..]),
                (vec!["somefile".to_owned()], &[][..])
            );
            assert!(packed.children[0].1 == content);
        }
    }
}
