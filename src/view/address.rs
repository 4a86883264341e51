//! `data:` addresses (RFC 2397) that are written with `%50` or `&#80;`: browsers decode both before they look at base64. Those without
//! such signs are found as long runs of base64.
#![forbid(unsafe_code)]

use super::base64::Blob;
use super::entity::{self, NAME};
use super::run::value;

/// Bytes between `data:` and its comma.
const TYPE: usize = 256;

/// The fewest bytes that are worth a look.
const LEAST: usize = 8;

/// Bytes of a sign: `&CounterClockwiseContourIntegral;`.
pub(super) const SIGN: usize = NAME + 2;

/// Finds addresses in a text that comes piece by piece.
#[derive(Debug)]
pub(super) struct Addresses {
    limit: usize,
    position: u64,
    /// The last bytes, in which `data` may begin.
    last: [u8; 4],
    /// Where the last one that was given begins, and its length.
    given: Option<(u64, usize)>,
    state: State,
}

#[derive(Debug)]
enum State {
    Seek,
    /// Behind the colon.
    Type(Vec<u8>),
    Data(Data),
}

#[derive(Debug)]
struct Data {
    at: u64,
    base64: bool,
    /// What may become a sign.
    sign: Vec<u8>,
    percent: Vec<u8>,
    signs: usize,
    bits: u32,
    count: usize,
    bytes: Vec<u8>,
    cut: bool,
    /// A run of base64 with which the address begins.
    run: Option<Blob>,
}

impl Addresses {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            position: 0,
            last: [0; 4],
            given: None,
            state: State::Seek,
        }
    }

    /// The bytes that it has seen.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Blob)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match &self.state {
                State::Seek => self.seek(rest),
                _ => {
                    let mut taken: usize = 0;
                    for byte in rest {
                        taken = taken.saturating_add(1);
                        self.take(*byte, taken as u64, found);
                        if matches!(self.state, State::Seek) {
                            break;
                        }
                    }
                    taken
                }
            };
            let (gone, behind) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            self.remember(gone);
            self.position = self.position.saturating_add(gone.len() as u64);
            rest = behind;
        }
    }

    pub(super) fn finish(mut self, found: &mut dyn FnMut(Blob)) {
        self.end(found);
    }

    /// Gives a run of base64, if it is not the beginning of an address that is given in its stead.
    pub(super) fn instead(&mut self, run: Blob, found: &mut dyn FnMut(Blob)) {
        match &mut self.state {
            State::Data(data) if data.base64 && data.at == run.at => {
                if let Some(shorter) = data.run.replace(run) {
                    found(shorter);
                }
            }
            _ if self
                .given
                .is_some_and(|given| given.0 == run.at && given.1 >= run.bytes.len()) => {}
            _ => found(run),
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        for byte in bytes.get(bytes.len().saturating_sub(4)..).unwrap_or(bytes) {
            self.last.rotate_left(1);
            if let Some(last) = self.last.last_mut() {
                *last = *byte;
            }
        }
    }

    /// Goes to the next colon behind the word, or to the end.
    fn seek(&mut self, bytes: &[u8]) -> usize {
        for at in memchr::memchr_iter(b':', bytes) {
            let before = bytes.get(at.saturating_sub(4)..at).unwrap_or_default();
            let is_word = match before.len() {
                4 => before.eq_ignore_ascii_case(b"data"),
                own => {
                    let carried = self.last.get(own..).unwrap_or_default();
                    [carried, before].concat().eq_ignore_ascii_case(b"data")
                }
            };
            if is_word {
                self.state = State::Type(Vec::new());
                return at.saturating_add(1);
            }
        }
        bytes.len()
    }

    /// Takes the byte that is `count` behind the position.
    fn take(&mut self, byte: u8, count: u64, found: &mut dyn FnMut(Blob)) {
        match &mut self.state {
            State::Seek => {}
            State::Type(text) if byte == b',' => {
                let text = text.to_ascii_lowercase();
                let base64 = text.trim_ascii_end().ends_with(b"base64");
                let at = self.position.saturating_add(count);
                self.state = State::Data(Data::new(at, base64));
            }
            State::Type(text) => {
                let fits = byte.is_ascii_alphanumeric() || b"/+-.;=_!#$^*\"' \t%&".contains(&byte);
                match fits && text.len() < TYPE {
                    true => text.push(byte),
                    false => self.state = State::Seek,
                }
            }
            State::Data(data) => {
                if matches!(byte, b'"' | b'\'' | b'<' | b'>' | b')' | b'`' | b'\\') {
                    self.end(found);
                } else {
                    data.take(byte, self.limit);
                }
            }
        }
    }

    fn end(&mut self, found: &mut dyn FnMut(Blob)) {
        let State::Data(mut data) = std::mem::replace(&mut self.state, State::Seek) else {
            return;
        };
        data.flush(self.limit);
        data.last_bits();
        // A sign here and there is in any text.
        let enough = if data.base64 { 1 } else { LEAST };
        let counts = data.signs >= enough && data.bytes.len() >= LEAST;
        let length = if counts { data.bytes.len() } else { 0 };
        if let Some(run) = data.run.filter(|run| run.bytes.len() > length) {
            found(run);
        }
        if counts {
            self.given = Some((data.at, length));
            found(Blob {
                at: data.at,
                bytes: data.bytes,
                cut: data.cut,
                begins_line: false,
            });
        }
    }
}

impl Data {
    fn new(at: u64, base64: bool) -> Self {
        Self {
            at,
            base64,
            sign: Vec::new(),
            percent: Vec::new(),
            signs: 0,
            bits: 0,
            count: 0,
            bytes: Vec::new(),
            cut: false,
            run: None,
        }
    }

    /// Takes a byte as it stands in the text.
    fn take(&mut self, byte: u8, limit: usize) {
        if self.sign.is_empty() {
            match byte {
                b'&' => self.sign.push(byte),
                // Browsers take it out, and what looks for long runs does not.
                b'\t' if self.base64 => self.signs = self.signs.saturating_add(1),
                b'\r' | b'\n' | b'\t' => {}
                _ => self.plain(byte, limit),
            }
            return;
        }
        let in_sign = byte.is_ascii_alphanumeric() || byte == b'#' && self.sign.len() == 1;
        if in_sign && self.sign.len() < SIGN {
            self.sign.push(byte);
            return;
        }
        let sign = std::mem::take(&mut self.sign);
        match character(sign.get(1..).unwrap_or_default()) {
            Some(text) => {
                self.signs = self.signs.saturating_add(1);
                for byte in text.bytes() {
                    self.plain(byte, limit);
                }
                if byte == b';' {
                    return;
                }
            }
            None => {
                for byte in sign {
                    self.plain(byte, limit);
                }
            }
        }
        self.take(byte, limit);
    }

    /// Takes a byte whose entities are decoded.
    fn plain(&mut self, byte: u8, limit: usize) {
        if self.percent.is_empty() {
            match byte {
                b'%' => self.percent.push(byte),
                _ => self.decoded(byte, limit),
            }
            return;
        }
        self.percent.push(byte);
        let digit = |byte: u8| char::from(byte).to_digit(16);
        if let [_, high, low] = *self.percent.as_slice() {
            let pair = digit(high).zip(digit(low));
            let all = std::mem::take(&mut self.percent);
            match pair {
                Some((high, low)) => {
                    self.signs = self.signs.saturating_add(1);
                    self.decoded((high << 4 | low) as u8, limit);
                }
                None => all.into_iter().for_each(|byte| self.decoded(byte, limit)),
            }
        }
    }

    /// Takes a byte of the address.
    fn decoded(&mut self, byte: u8, limit: usize) {
        if !self.base64 {
            self.put(byte, limit);
            return;
        }
        let Some(six) = value(byte) else { return };
        self.bits = self.bits << 6 | u32::from(six);
        self.count = self.count.saturating_add(1);
        if self.count.is_multiple_of(4) {
            let [_, three @ ..] = self.bits.to_be_bytes();
            for byte in three {
                self.put(byte, limit);
            }
        }
    }

    fn put(&mut self, byte: u8, limit: usize) {
        match self.bytes.len() < limit {
            true => self.bytes.push(byte),
            false => self.cut = true,
        }
    }

    /// What became no sign.
    fn flush(&mut self, limit: usize) {
        let sign = std::mem::take(&mut self.sign);
        match character(sign.get(1..).unwrap_or_default()) {
            Some(text) => text.bytes().for_each(|byte| self.plain(byte, limit)),
            None => sign.into_iter().for_each(|byte| self.plain(byte, limit)),
        }
        let percent = std::mem::take(&mut self.percent);
        percent
            .into_iter()
            .for_each(|byte| self.decoded(byte, limit));
    }

    /// The bytes of a last quartet that is not whole.
    fn last_bits(&mut self) {
        let bits = self.bits;
        match self.count % 4 {
            2 if self.base64 => self.bytes.push((bits >> 4) as u8),
            3 if self.base64 => {
                let two = ((bits >> 2) as u16).to_be_bytes();
                self.bytes.extend_from_slice(&two);
            }
            _ => {}
        }
    }
}

/// What the entity of this name or number stands for.
pub(super) fn character(name: &[u8]) -> Option<String> {
    let Some(number) = name.strip_prefix(b"#") else {
        return entity::text(name).map(str::to_owned);
    };
    let (digits, radix) = match number {
        [b'x' | b'X', digits @ ..] => (digits, 16),
        _ => (number, 10),
    };
    let digits = std::str::from_utf8(digits).ok()?;
    let number = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(number).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    fn found(text: &[u8], step: usize) -> Vec<Blob> {
        let mut blobs = Vec::new();
        let mut finder = Addresses::new(10_000);
        for piece in text.chunks(step) {
            finder.push(piece, &mut |blob| blobs.push(blob));
        }
        finder.finish(&mut |blob| blobs.push(blob));
        blobs
    }

    #[test]
    fn what_browsers_decode_is_decoded() {
        let secret: Vec<u8> = (0..=255).cycle().take(700).collect();
        let base64 = BASE64.encode(&secret);
        let percent =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("%{byte:02x}")).collect() };
        let numbers: String = base64.bytes().map(|byte| format!("&#{byte};")).collect();
        let hexadecimal: String = base64.bytes().map(|byte| format!("&#x{byte:X};")).collect();
        let some = base64
            .replace('+', "%2B")
            .replace('/', "&sol;")
            .replace('=', "%3D");
        let tabs: String = base64.chars().flat_map(|digit| [digit, '\t']).collect();
        let bodies = [
            (",", percent(&secret)),
            (";base64,", percent(base64.as_bytes())),
            (";base64,", numbers),
            (";charset=\"x\";BASE64,", hexadecimal),
            (";base64,", some),
            (";base64,", tabs),
        ];
        for (mark, body) in bodies {
            let text = format!("<p>data: x, <a href=\"DATA:application/zip{mark}{body}\">z</a>");
            for step in [1, 7, 100_000] {
                let blobs = found(text.as_bytes(), step);
                assert_eq!(blobs.len(), 1, "{text:.80} {step}");
                assert_eq!(blobs[0].bytes, secret, "{text:.80}");
                let at = usize::try_from(blobs[0].at).unwrap();
                assert!(text[at..].starts_with(&body[..8]), "{text:.80}");
            }
        }
    }

    #[test]
    fn plain_addresses_and_other_texts_are_left() {
        let texts = [
            "data:image/png;base64,aGVsbG8gd29ybGQ=",
            "metadata: some, 100%25 more or less",
            "data: {\"a\": 1, \"b\": \"%41%42%43%44%45%46%47%48%49\"}",
            "data:,%41",
        ];
        for text in texts {
            assert_eq!(found(text.as_bytes(), 9), [], "{text}");
        }
        let long = format!("data:,{}", "%41".repeat(20_000));
        let blobs = found(long.as_bytes(), 1000);
        assert!(blobs[0].cut && blobs[0].bytes.len() == 10_000);
    }
}
