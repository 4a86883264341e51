//! The filters of streams (ISO 32000-1 §7.4) that compress or encode. Those of pictures are left alone.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read};

use super::syntax::Value;
use crate::expand::inflate::Inflate;
use crate::expand::stream::Input;
use crate::expand::{cut_short, damaged};

/// Filters on one stream that are followed. Nothing real has more than three.
pub(super) const CHAIN: usize = 16;

/// Bytes that come out of a step, more or less.
const STEP: usize = 4096;

/// What a filter makes of the next bytes. Gives false when it has ended.
pub(super) trait Step {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool>;
}

/// A filter at work: what comes before damage is given first.
pub(super) struct Filter<'a, S> {
    input: Input<'a>,
    step: S,
    out: Vec<u8>,
    given: usize,
    ended: bool,
    error: Option<io::Error>,
}

impl<'a, S: Step + 'a> Filter<'a, S> {
    pub(super) fn boxed(input: Box<dyn Read + 'a>, step: S) -> Box<dyn Read + 'a> {
        Box::new(Self {
            input: Input::new(input),
            step,
            out: Vec::new(),
            given: 0,
            ended: false,
            error: None,
        })
    }
}

impl<S: Step> Read for Filter<'_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.given == self.out.len() {
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if self.ended {
                return Ok(0);
            }
            self.out.clear();
            self.given = 0;
            match self.step.step(&mut self.input, &mut self.out) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    self.error = Some(error);
                    self.ended = true;
                }
            }
        }
        let mut ready = self.out.get(self.given..).unwrap_or_default();
        let count = ready.read(out)?;
        self.given += count;
        Ok(count)
    }
}

/// What becomes of a filter.
pub(super) enum Made<'a> {
    /// It is decoded.
    Decoded(Box<dyn Read + 'a>),
    /// What is inside is the file of a picture, or at least what a reader of pictures takes.
    Picture(Box<dyn Read + 'a>),
    /// There is no such filter here.
    Unknown(Box<dyn Read + 'a>),
}

/// Puts the filter of this name behind `input`.
pub(super) fn filter<'a>(
    name: &[u8],
    parameters: Option<&Value>,
    input: Box<dyn Read + 'a>,
    memory: u64,
) -> Made<'a> {
    let decoded = match name {
        b"FlateDecode" | b"Fl" => Box::new(Flate::new(input)),
        b"LZWDecode" | b"LZW" => {
            let early = parameters.and_then(|values| values.get(b"EarlyChange"));
            let early = early.and_then(Value::number) != Some(0);
            Filter::boxed(input, Lzw::new(early))
        }
        b"ASCII85Decode" | b"A85" => {
            return Made::Decoded(Filter::boxed(input, Ascii85::default()));
        }
        b"ASCIIHexDecode" | b"AHx" => return Made::Decoded(Filter::boxed(input, AsciiHex)),
        b"RunLengthDecode" | b"RL" => return Made::Decoded(Filter::boxed(input, RunLength)),
        b"DCTDecode" | b"DCT" | b"JPXDecode" | b"JBIG2Decode" | b"CCITTFaxDecode" | b"CCF" => {
            return Made::Picture(input);
        }
        _ => return Made::Unknown(input),
    };
    match parameters.and_then(|values| Predictor::new(values, memory)) {
        Some(predictor) => Made::Decoded(Filter::boxed(decoded, predictor)),
        None => Made::Decoded(decoded),
    }
}

/// Deflate, as a rule in zlib's clothes. Viewers ask neither for the checksum nor for what follows.
struct Flate<'a> {
    inflate: Inflate<Input<'a>>,
    begun: bool,
    empty: bool,
}

impl<'a> Flate<'a> {
    fn new(input: Box<dyn Read + 'a>) -> Self {
        Self {
            inflate: Inflate::new(Input::new(input)),
            begun: false,
            empty: false,
        }
    }
}

impl Read for Flate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.begun {
            self.begun = true;
            let input = self.inflate.input();
            // A line break more than there should be.
            while matches!(input.fill_buf()?.first(), Some(b'\r' | b'\n')) {
                input.consume(1);
            }
            let has_header = matches!(input.peek(2)?, [method, ..] if method & 0x8f == 8);
            if has_header {
                input.consume(2);
            }
            // Nothing at all is what some writers make of nothing.
            self.empty = input.fill_buf()?.is_empty() && !has_header;
        }
        if self.empty {
            return Ok(0);
        }
        self.inflate.read(out)
    }
}

/// §7.4.3
#[derive(Default)]
struct Ascii85 {
    begun: bool,
}

impl Step for Ascii85 {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        if !self.begun {
            self.begun = true;
            if input.peek(2)? == b"<~" {
                input.consume(2);
            }
        }
        while out.len() < STEP {
            let mut group = [b'u' - b'!'; 5];
            let mut count = 0;
            let mut ended = false;
            while let Some(place) = group.get_mut(count) {
                match input.byte()? {
                    Some(byte @ b'!'..=b'u') => {
                        *place = byte - b'!';
                        count += 1;
                    }
                    Some(b'z') if count == 0 => out.extend([0; 4]),
                    Some(b'~') | None => {
                        ended = true;
                        break;
                    }
                    Some(byte) if byte.is_ascii_whitespace() || byte == 0 => {}
                    Some(byte) => return Err(damaged(format!("{byte:#04x} in ASCII85"))),
                }
            }
            let value = group.iter().fold(0_u32, |value, digit| {
                value.wrapping_mul(85).wrapping_add((*digit).into())
            });
            let bytes = value.to_be_bytes();
            out.extend(bytes.iter().take(count.saturating_sub(1)));
            if ended {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// §7.4.2
struct AsciiHex;

impl Step for AsciiHex {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut high = None;
        while out.len() < STEP || high.is_some() {
            let Some(byte) = input.byte()?.filter(|byte| *byte != b'>') else {
                out.extend(high.map(|high: u8| high << 4));
                return Ok(false);
            };
            if byte.is_ascii_whitespace() || byte == 0 {
                continue;
            }
            let digit = char::from(byte).to_digit(16);
            let Some(digit) = digit.and_then(|digit| u8::try_from(digit).ok()) else {
                return Err(damaged(format!("{byte:#04x} in hexadecimal digits")));
            };
            match high.take() {
                None => high = Some(digit),
                Some(high) => out.push(high << 4 | digit),
            }
        }
        Ok(true)
    }
}

/// §7.4.5
struct RunLength;

impl Step for RunLength {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        while out.len() < STEP {
            match input.byte()? {
                None | Some(128) => return Ok(false),
                Some(count @ 0..128) => {
                    for _ in 0..=count {
                        let byte = input.byte()?;
                        out.push(byte.ok_or_else(|| cut_short("run lengths without their end"))?);
                    }
                }
                Some(count) => {
                    let byte = input.byte()?;
                    let byte = byte.ok_or_else(|| cut_short("run lengths without their end"))?;
                    out.resize(out.len() + 257 - usize::from(count), byte);
                }
            }
        }
        Ok(true)
    }
}

const CLEAR: u16 = 256;
const END: u16 = 257;
const CODES: usize = 4096;

/// §7.4.4: codes of 9 to 12 bits, the highest bit first.
struct Lzw {
    /// The width grows one code early.
    early: usize,
    /// For each code from 258 on the code of all but its last byte, and that byte.
    table: Vec<(u16, u8)>,
    width: u32,
    bits: u32,
    count: u32,
    before: Option<u16>,
    first: u8,
}

impl Lzw {
    fn new(early: bool) -> Self {
        Self {
            early: usize::from(early),
            table: Vec::new(),
            width: 9,
            bits: 0,
            count: 0,
            before: None,
            first: 0,
        }
    }

    fn code(&mut self, input: &mut Input<'_>) -> io::Result<Option<u16>> {
        while self.count < self.width {
            let Some(byte) = input.byte()? else {
                return Ok(None);
            };
            self.bits = self.bits << 8 | u32::from(byte);
            self.count += 8;
        }
        self.count -= self.width;
        let code = self.bits >> self.count & ((1 << self.width) - 1);
        Ok(u16::try_from(code).ok())
    }

    /// Puts out what a code stands for, and gives its first byte.
    fn text(&self, code: u16, out: &mut Vec<u8>) -> Option<u8> {
        let start = out.len();
        let mut code = code;
        // Each code leads to a lower one.
        while let Some(index) = code.checked_sub(END + 1) {
            let (before, last) = *self.table.get(usize::from(index))?;
            out.push(last);
            code = before;
        }
        let first = u8::try_from(code).ok()?;
        out.push(first);
        out.get_mut(start..)?.reverse();
        Some(first)
    }
}

impl Step for Lzw {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        while out.len() < STEP {
            let Some(code) = self.code(input)?.filter(|code| *code != END) else {
                return Ok(false);
            };
            if code == CLEAR {
                self.table.clear();
                self.width = 9;
                self.before = None;
                continue;
            }
            let next = self.table.len() + 258;
            if let Some(before) = self.before {
                if usize::from(code) == next {
                    // The code that is being made: what was before, and its first byte again.
                    self.table.push((before, self.first));
                    self.first = self.text(code, out).ok_or_else(|| damaged("an LZW code"))?;
                } else {
                    let first = self.text(code, out).ok_or_else(|| damaged("an LZW code"))?;
                    if next < CODES {
                        self.table.push((before, first));
                    }
                    self.first = first;
                }
            } else {
                self.first = self.text(code, out).ok_or_else(|| damaged("an LZW code"))?;
            }
            self.before = Some(code);
            let next = self.table.len() + 258 + self.early;
            self.width = match next {
                0..512 => 9,
                512..1024 => 10,
                1024..2048 => 11,
                _ => 12,
            };
        }
        Ok(true)
    }
}

/// §7.4.4.4: the differences between neighbours, in the way of PNG or of TIFF.
struct Predictor {
    is_png: bool,
    /// Bits of a component.
    bits: usize,
    colours: usize,
    /// Bytes of a row, and of a pixel.
    row: usize,
    pixel: usize,
    before: Vec<u8>,
    too_large: bool,
}

impl Predictor {
    /// What the parameters ask for; `None` if nothing.
    fn new(values: &Value, memory: u64) -> Option<Self> {
        let number = |key: &[u8], usual: i64| {
            let number = values.get(key).and_then(Value::number).unwrap_or(usual);
            u64::try_from(number).unwrap_or(1).max(1)
        };
        let kind = number(b"Predictor", 1);
        // Viewers pass over a predictor that is none; above those of PNG some do not.
        if !matches!(kind, 2 | 10..) {
            return None;
        }
        let (colours, bits) = (number(b"Colors", 1), number(b"BitsPerComponent", 8));
        let pixel = colours.saturating_mul(bits);
        let row = pixel.saturating_mul(number(b"Columns", 1)).div_ceil(8);
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Some(Self {
            is_png: kind >= 10,
            bits: size(bits),
            colours: size(colours),
            row: size(row),
            pixel: size(pixel.div_ceil(8)),
            before: Vec::new(),
            too_large: row > memory / 8,
        })
    }

    fn png(&self, kind: u8, row: &mut [u8]) -> io::Result<()> {
        for at in 0..row.len() {
            let before = |row: &[u8]| {
                let left = at.checked_sub(self.pixel);
                i16::from(left.and_then(|left| row.get(left)).copied().unwrap_or(0))
            };
            let left = before(row);
            let above = i16::from(self.before.get(at).copied().unwrap_or(0));
            let corner = before(&self.before);
            let guess = match kind {
                0 => 0,
                1 => left,
                2 => above,
                3 => i16::midpoint(left, above),
                4 => paeth(left, above, corner),
                _ => return Err(damaged(format!("a row with the predictor {kind}"))),
            };
            if let Some(byte) = row.get_mut(at) {
                *byte = byte.wrapping_add(guess.to_le_bytes()[0]);
            }
        }
        Ok(())
    }

    fn tiff(&self, row: &mut [u8]) -> io::Result<()> {
        let width = match self.bits {
            8 => 1,
            16 => 2,
            bits => {
                return Err(damaged(format!(
                    "a TIFF predictor of {bits} bits is not undone"
                )));
            }
        };
        let step = width * self.colours;
        let mut at = step;
        while at + width <= row.len() {
            let value = |row: &[u8], at: usize| {
                row.iter()
                    .skip(at)
                    .take(width)
                    .fold(0_u16, |value, byte| value << 8 | u16::from(*byte))
            };
            let sum = value(row, at).wrapping_add(value(row, at - step));
            let bytes = sum.to_be_bytes();
            for (place, byte) in row.iter_mut().skip(at).zip(bytes.iter().skip(2 - width)) {
                *place = *byte;
            }
            at += width;
        }
        Ok(())
    }
}

/// The neighbour that comes nearest to what a straight line would give (RFC 2083 §6.6).
fn paeth(left: i16, above: i16, corner: i16) -> i16 {
    let guess = left + above - corner;
    let (a, b, c) = (
        (guess - left).abs(),
        (guess - above).abs(),
        (guess - corner).abs(),
    );
    if a <= b && a <= c {
        left
    } else if b <= c {
        above
    } else {
        corner
    }
}

impl Step for Predictor {
    fn step(&mut self, input: &mut Input<'_>, out: &mut Vec<u8>) -> io::Result<bool> {
        if self.too_large {
            return Err(damaged(
                "a row of the predictor needs more memory than is allowed",
            ));
        }
        loop {
            let kind = if self.is_png {
                let Some(kind) = input.byte()? else {
                    return Ok(false);
                };
                kind
            } else {
                0
            };
            let mut row = Vec::new();
            input.by_ref().take(self.row as u64).read_to_end(&mut row)?;
            if row.is_empty() {
                return Ok(false);
            }
            if self.is_png {
                self.png(kind, &mut row)?;
            } else {
                self.tiff(&mut row)?;
            }
            out.extend(&row);
            self.before = row;
            if out.len() >= STEP {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(name: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let Made::Decoded(mut reader) = filter(name.as_bytes(), None, Box::new(bytes), 1 << 20)
        else {
            panic!("{name}");
        };
        let mut out = Vec::new();
        reader.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_filters_undo_what_the_specification_shows() {
        let rows: [(&str, &[u8], &[u8]); 7] = [
            (
                "LZWDecode",
                b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01",
                b"-----A---B",
            ),
            ("A85", b"<~87cURD]i\n,\"Ebo7~>", b"Hello World"),
            ("A85", b"z!!", b"\0\0\0\0\0"),
            ("AHx", b"48 65 6C6c\n6F7>junk", b"Hellop"),
            ("RL", b"\x02abc\xfex\x80junk", b"abcxxx"),
            (
                "FlateDecode",
                b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\0\x06\x2c\x02\x15",
                b"hello",
            ),
            ("Fl", b"\xcb\x48\xcd\xc9\xc9\x07\0", b"hello"),
        ];
        for (name, bytes, plain) in rows {
            assert_eq!(decode(name, bytes).unwrap(), plain, "{name}");
        }
        assert!(decode("A85", b"87c\x80").is_err());
        assert!(decode("AHx", b"4g").is_err());
        assert!(decode("RL", b"\x05ab").is_err());
        assert!(decode("LZW", b"\x80\x7f\xff\xff").is_err());
    }
}
