//! The transfer encodings of RFC 2045 §6: base64 and quoted-printable, decoded as leniently as mail programs do it.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use super::damaged;

/// What padding means to a reader of base64 that goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    /// It ends a group, and the next one begins.
    EndsGroup,
    /// It is one of the characters that are none of the alphabet, and all of those are passed over.
    IsNoise,
    /// It ends the content.
    EndsAll,
}

/// Decodes base64. Characters outside the alphabet are passed over, padding may be missing.
pub(super) struct Base64<R> {
    input: R,
    padding: Padding,
    bits: u32,
    /// Characters of the group so far.
    count: u8,
    padded: bool,
    ended: bool,
    /// The letters of the alphabet for addresses (RFC 4648 §5) count, too.
    url: bool,
    /// More came behind padding, so that readers differ.
    pub(super) goes_on: bool,
    /// There were letters of the alphabet for addresses.
    pub(super) seen_url: bool,
    /// There were others that are none of the alphabet, and no white space.
    pub(super) seen_foreign: bool,
}

impl<R: BufRead> Base64<R> {
    pub(super) fn new(input: R, padding: Padding) -> Self {
        Self {
            input,
            padding,
            bits: 0,
            count: 0,
            padded: false,
            ended: false,
            url: false,
            goes_on: false,
            seen_url: false,
            seen_foreign: false,
        }
    }

    /// With `-` and `_` as digits, as in addresses: some decoders know both alphabets.
    pub(super) fn with_url(mut self) -> Self {
        self.url = true;
        self
    }

    /// Takes a character and gives the byte that it completes.
    fn take(&mut self, byte: u8) -> Option<u8> {
        self.seen_url |= matches!(byte, b'-' | b'_');
        let digit = match byte {
            b'-' if self.url => b'+',
            b'_' if self.url => b'/',
            _ => byte,
        };
        let Some(value) = base64_value(digit) else {
            match byte {
                b'=' => self.pad(),
                b'-' | b'_' => {}
                _ => self.seen_foreign |= !byte.is_ascii_whitespace(),
            }
            return None;
        };
        self.goes_on |= self.padded;
        self.bits = self.bits << 6 | u32::from(value);
        self.count = (self.count + 1) % 4;
        let shift = match self.count {
            1 => return None,
            2 => 4,
            3 => 2,
            _ => 0,
        };
        (self.bits >> shift).to_le_bytes().first().copied()
    }

    fn pad(&mut self) {
        match self.padding {
            Padding::IsNoise => {}
            Padding::EndsGroup => self.count = 0,
            Padding::EndsAll => self.ended = self.ended || self.count >= 2,
        }
        self.padded = true;
    }
}

/// Decodes UTF-7 (RFC 2152) to UTF-8, also the commas that IMAP writes for slashes.
pub(super) struct Utf7<R> {
    input: R,
    /// Inside of an encoded run: bits that are there, and how many; the characters so far.
    run: Option<(u32, u32, usize)>,
    /// The first half of a character.
    high: Option<u16>,
    out: Vec<u8>,
}

impl<R: BufRead> Utf7<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            run: None,
            high: None,
            out: Vec::new(),
        }
    }

    fn take(&mut self, byte: u8) {
        let Some((bits, count, length)) = self.run else {
            match byte {
                b'+' => self.run = Some((0, 0, 0)),
                _ => self.out.push(byte),
            }
            return;
        };
        let digit = if byte == b',' {
            Some(63)
        } else {
            base64_value(byte)
        };
        let Some(digit) = digit.filter(|_| !matches!(byte, b'-' | b'_')) else {
            self.run = None;
            self.high = None;
            match byte {
                b'-' if length == 0 => self.out.push(b'+'),
                b'-' => {}
                _ => self.out.push(byte),
            }
            return;
        };
        let (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        let Some(left) = count.checked_sub(16) else {
            self.run = Some((bits, count, length + 1));
            return;
        };
        let unit = (bits >> left & 0xffff) as u16;
        self.run = Some((bits & ((1 << left) - 1), left, length + 1));
        let units = [self.high.take(), Some(unit)];
        if units == [None, Some(unit)] && matches!(unit, 0xd800..=0xdbff) {
            self.high = Some(unit);
            return;
        }
        for character in char::decode_utf16(units.into_iter().flatten()) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut place = [0; 4];
            self.out
                .extend_from_slice(character.encode_utf8(&mut place).as_bytes());
        }
    }
}

impl<R: BufRead> Read for Utf7<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.out.is_empty() && !out.is_empty() {
            let buffer = self.input.fill_buf()?;
            let some = buffer.get(..out.len()).unwrap_or(buffer).to_vec();
            if some.is_empty() {
                return Ok(0);
            }
            self.input.consume(some.len());
            for byte in some {
                self.take(byte);
            }
        }
        let count = self.out.as_slice().read(out)?;
        self.out.drain(..count);
        Ok(count)
    }
}

/// The value of a digit of base64.
pub(super) fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

impl<R: BufRead> Read for Base64<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() && !self.ended {
            let mut buffer = self.input.fill_buf()?;
            let (mut used, available) = (0, buffer.len());
            if available == 0 {
                if filled == 0 && self.count == 1 && self.padding != Padding::EndsAll {
                    self.count = 0;
                    return Err(damaged("base64 ends within a group"));
                }
                break;
            }
            // The buffer is a loan of the input, of which `take` may not know.
            let mut chunk = [0; 1024];
            buffer = buffer.get(..chunk.len()).unwrap_or(buffer);
            let length = buffer.len();
            if let Some(chunk) = chunk.get_mut(..length) {
                chunk.copy_from_slice(buffer);
            }
            for byte in chunk.get(..length).unwrap_or_default() {
                if filled == out.len() || self.ended {
                    break;
                }
                used += 1;
                if let (Some(byte), Some(place)) = (self.take(*byte), out.get_mut(filled)) {
                    *place = byte;
                    filled += 1;
                }
            }
            self.input.consume(used);
        }
        Ok(filled)
    }
}

/// Decodes quoted-printable. What is no escape stays as it is.
pub(super) struct Quoted<R> {
    input: io::Bytes<R>,
    /// Bytes that were read ahead and are none of an escape, the next one last.
    ahead: Vec<u8>,
    /// Bytes that are decoded, the next one last.
    decoded: Vec<u8>,
    /// Of CR CR LF behind `=`, only the first belongs to the end of the line.
    narrow: bool,
    /// There was such an end, so that readers differ.
    pub(super) seen_doubled: bool,
}

/// White space behind `=` that may stand before the end of its line.
const BLANKS: usize = 76;

impl<R: BufRead> Quoted<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: input.bytes(),
            ahead: Vec::new(),
            decoded: Vec::new(),
            narrow: false,
            seen_doubled: false,
        }
    }

    /// CR CR LF behind `=` leaves the end of a line, as some readers have it.
    pub(super) fn with_narrow_breaks(mut self) -> Self {
        self.narrow = true;
        self
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        match self.ahead.pop() {
            Some(byte) => Ok(Some(byte)),
            None => self.input.next().transpose(),
        }
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(byte) = self.decoded.pop() {
                return Ok(Some(byte));
            }
            match self.byte()? {
                Some(b'=') => self.escape()?,
                other => return Ok(other),
            }
        }
    }

    /// What follows a `=`.
    fn escape(&mut self) -> io::Result<()> {
        let Some(first) = self.byte()? else {
            self.decoded.push(b'=');
            return Ok(());
        };
        let mut seen = vec![first];
        if let Some(high) = hex(first) {
            // Some readers join the lines first, and see an escape that goes over two of them.
            while let Some(byte) = self.byte()? {
                if byte == b'=' && self.soft_break()? {
                    continue;
                }
                match hex(byte) {
                    Some(low) => self.decoded.push(high << 4 | low),
                    None => {
                        seen.push(byte);
                        self.literal(&seen);
                    }
                }
                return Ok(());
            }
            self.literal(&seen);
            return Ok(());
        }
        self.ahead.push(first);
        if !self.soft_break()? {
            self.decoded.push(b'=');
        }
        Ok(())
    }

    /// Passes over the end of a line behind a `=`, with the blanks before it. What is none is still to come.
    fn soft_break(&mut self) -> io::Result<bool> {
        let mut seen = Vec::new();
        loop {
            let Some(byte) = self.byte()? else {
                // The end of the content is the end of a line, too, behind blanks.
                return Ok(!seen.is_empty());
            };
            seen.push(byte);
            match byte {
                // A zero is nothing to readers that stop at it.
                b' ' | b'\t' | 0 if seen.len() < BLANKS => {}
                b'\n' => return Ok(true),
                b'\r' => {
                    // CR, CR LF, or the CR CR LF of what was copied badly.
                    let mut next = self.byte()?;
                    if next == Some(b'\r') {
                        next = self.byte()?;
                        let is_doubled = next == Some(b'\n');
                        self.seen_doubled |= is_doubled;
                        if !is_doubled || self.narrow {
                            self.ahead.extend(next);
                            next = Some(b'\r');
                        }
                    }
                    self.ahead.extend(next.filter(|byte| *byte != b'\n'));
                    return Ok(true);
                }
                _ => {
                    self.ahead.extend(seen.into_iter().rev());
                    return Ok(false);
                }
            }
        }
    }

    /// A `=` that stands for itself, and what came behind it.
    fn literal(&mut self, behind: &[u8]) {
        self.ahead.extend(behind.iter().rev());
        self.decoded.push(b'=');
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

impl<R: BufRead> Read for Quoted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        for place in out {
            let Some(byte) = self.next()? else { break };
            *place = byte;
            filled += 1;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(text: &[u8], padding: Padding) -> (Vec<u8>, bool, bool) {
        let mut decoder = Base64::new(io::BufReader::with_capacity(3, text), padding);
        let mut out = Vec::new();
        let failed = decoder.read_to_end(&mut out).is_err();
        (out, decoder.goes_on, failed)
    }

    #[test]
    fn base64_with_noise_and_paddings() {
        let rows: [(&[u8], &[u8]); 9] = [
            (b"aGVsbG8=", b"hello"),
            (b"aGVsbG8", b"hello"),
            (b"aGVs\r\n bG8==\n", b"hello"),
            (b"a-G*V\0s\xffbG8=", b"hello"),
            (b"aGVsbG8=d29ybGQ=", b"helloworld"),
            (b"aA==aQ==", b"hi"),
            (b"=aGVs", b"hel"),
            (b"", b""),
            (b"====", b""),
        ];
        for (text, wanted) in rows {
            assert_eq!(base64(text, Padding::EndsGroup).0, wanted, "{text:?}");
        }
        assert_eq!(base64(b"aGVs=bG8=", Padding::IsNoise).0, b"hello");
        assert_eq!(base64(b"aG=VsbG8=", Padding::IsNoise).0, b"hello");
        let (out, goes_on, _) = base64(b"aA==aQ==", Padding::EndsAll);
        assert_eq!((&*out, goes_on), (&b"h"[..], false));
        assert!(base64(b"aA==aQ==", Padding::EndsGroup).1);
        assert!(base64(b"aGVsb", Padding::EndsGroup).2);
        for (text, url, wanted) in [("AA-A", true, &[0, 15, 128][..]), ("AA-AA", false, &[0; 3])] {
            let mut decoder = Base64::new(text.as_bytes(), Padding::EndsGroup);
            decoder.url = url;
            let mut out = Vec::new();
            decoder.read_to_end(&mut out).unwrap();
            assert_eq!((&*out, decoder.seen_url), (wanted, true));
        }
    }

    #[test]
    fn base64_of_any_length_comes_back() {
        let mut random = crate::expand::testing::Random::new(1);
        for length in 0..200 {
            let bytes = random.bytes(length);
            let text = data_encoding::BASE64_MIME.encode(&bytes);
            assert_eq!(
                base64(text.as_bytes(), Padding::EndsGroup),
                (bytes, false, false)
            );
        }
    }

    #[test]
    fn quoted_printable_with_odd_escapes() {
        let rows: [(&[u8], &[u8]); 18] = [
            (b"a=3Db=3d", b"a=b="),
            (b"=4=\r\n1", b"A"),
            (b"=4=  \n=\n1", b"A"),
            (b"a=4=b", b"a=4=b"),
            (b"a=\0\r\nb", b"ab"),
            (b"a=\r\r\nb", b"ab"),
            (b"a=\r\rb", b"a\rb"),
            (b"a=4=41", b"a=4A"),
            (b"a=\r\nb=\nc=\rd", b"abcd"),
            (b"a=  \t\r\nb", b"ab"),
            (b"a=", b"a="),
            (b"a= ", b"a"),
            (b"a=4", b"a=4"),
            (b"a=4xy", b"a=4xy"),
            (b"==41", b"=A"),
            (b"=x=41", b"=xA"),
            (b"=4=41", b"=4A"),
            (b"= =41", b"= A"),
        ];
        for (text, wanted) in rows {
            let mut out = Vec::new();
            let input = io::BufReader::with_capacity(1, text);
            Quoted::new(input).read_to_end(&mut out).unwrap();
            assert_eq!(out, wanted, "{:?}", text.escape_ascii().to_string());
        }
        let mut narrow = Quoted::new(&b"a=\r\r\nb=\r\nc"[..]).with_narrow_breaks();
        let mut out = Vec::new();
        narrow.read_to_end(&mut out).unwrap();
        assert_eq!((&*out, narrow.seen_doubled), (&b"a\r\nbc"[..], true));
    }
}
