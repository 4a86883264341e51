//! The objects of PDF (ISO 32000-1 §7.3), read as leniently as viewers do.
#![forbid(unsafe_code)]

/// Lists and dictionaries inside each other that are followed.
const DEPTH: u32 = 64;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Boolean(bool),
    /// Null, and whatever else stands as a bare word.
    Word,
    /// Whole numbers; of the others the whole part.
    Number(i64),
    Name(Vec<u8>),
    Text(Text),
    List(Vec<Value>),
    Dictionary(Vec<(Vec<u8>, Value)>),
    /// An object by its number.
    Reference(u32),
}

/// A string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// It stands in the file as it is, without escapes.
    pub(super) plain: bool,
}

impl Value {
    /// The entry of a dictionary; of several the last, as most readers have it.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Dictionary(entries) => entries
                .iter()
                .rev()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(&text.bytes),
            _ => None,
        }
    }

    /// Tells whether the entry `Type` is this.
    pub(super) fn is_type(&self, wanted: &[u8]) -> bool {
        self.get(b"Type").and_then(Self::name) == Some(wanted)
    }
}

/// Why there is no object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The bytes end inside it.
    Cut,
    TooDeep,
}

/// Reads one object after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Result<u8, Wrong> {
        self.rest().first().copied().ok_or(Wrong::Cut)
    }

    fn next(&mut self) -> Result<u8, Wrong> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// Passes over white space and comments.
    pub(super) fn skip_space(&mut self) {
        while let Ok(byte) = self.peek() {
            if byte == b'%' {
                let rest = self.rest();
                let end = memchr::memchr2(b'\r', b'\n', rest);
                self.at += end.unwrap_or(rest.len());
            } else if is_space(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// The next object.
    pub(super) fn value(&mut self) -> Result<Value, Wrong> {
        self.nested(0)
    }

    fn nested(&mut self, depth: u32) -> Result<Value, Wrong> {
        if depth > DEPTH {
            return Err(Wrong::TooDeep);
        }
        self.skip_space();
        match self.peek()? {
            b'/' => self.name().map(Value::Name),
            b'(' => self.literal().map(Value::Text),
            b'<' if self.rest().starts_with(b"<<") => self.dictionary(depth),
            b'<' => self.hexadecimal().map(Value::Text),
            b'[' => self.list(depth),
            b'+' | b'-' | b'.' | b'0'..=b'9' => self.number(),
            byte if is_delimiter(byte) => {
                self.at += 1;
                Ok(Value::Word)
            }
            _ => {
                let word = self.word();
                self.peek()?;
                Ok(match word {
                    b"true" => Value::Boolean(true),
                    b"false" => Value::Boolean(false),
                    _ => Value::Word,
                })
            }
        }
    }

    /// The characters up to the next white space or delimiter.
    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let ends = |byte: &u8| is_space(*byte) || is_delimiter(*byte);
        let word = rest
            .get(..rest.iter().position(ends).unwrap_or(rest.len()))
            .unwrap_or(rest);
        self.at += word.len();
        word
    }

    fn name(&mut self) -> Result<Vec<u8>, Wrong> {
        self.next()?;
        let mut word = self.word().iter().copied();
        // Whether the name goes on can only be told when something follows.
        self.peek()?;
        let mut name = Vec::new();
        while let Some(byte) = word.next() {
            let mut ahead = word.clone();
            let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
            if let (b'#', (Some(high), Some(low))) = (byte, digits) {
                name.push(high << 4 | low);
                word = ahead;
            } else {
                name.push(byte);
            }
        }
        Ok(name)
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let number = whole(self.word());
        // `12 0 R` is a reference.
        let mut ahead = *self;
        let reference = (|| {
            ahead.skip_space();
            let generation = ahead.word();
            if generation.is_empty() || !generation.iter().all(u8::is_ascii_digit) {
                return None;
            }
            ahead.skip_space();
            (ahead.word() == b"R").then_some(())?;
            u32::try_from(number).ok()
        })();
        if let Some(reference) = reference {
            *self = ahead;
            return Ok(Value::Reference(reference));
        }
        if ahead.rest().is_empty() {
            return Err(Wrong::Cut);
        }
        Ok(Value::Number(number))
    }

    fn literal(&mut self) -> Result<Text, Wrong> {
        self.next()?;
        let mut text = Vec::new();
        let (mut open, mut plain) = (1_u32, true);
        loop {
            match self.next()? {
                b'(' => {
                    open += 1;
                    text.push(b'(');
                }
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(Text { bytes: text, plain });
                    }
                    text.push(b')');
                }
                b'\\' => {
                    plain = false;
                    self.escape(&mut text)?;
                }
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Wrong> {
        match self.next()? {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek()? == b'\n' {
                    self.at += 1;
                }
            }
            digit @ b'0'..=b'7' => {
                let mut value = digit - b'0';
                for _ in 0..2 {
                    let next = self.peek()?;
                    if !(b'0'..=b'7').contains(&next) {
                        break;
                    }
                    value = value.wrapping_mul(8).wrapping_add(next - b'0');
                    self.at += 1;
                }
                text.push(value);
            }
            other => text.push(other),
        }
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<Text, Wrong> {
        self.next()?;
        let mut text = Vec::new();
        let mut high = None;
        loop {
            let byte = self.next()?;
            if byte == b'>' {
                text.extend(high.map(|high: u8| high << 4));
                return Ok(Text {
                    bytes: text,
                    plain: false,
                });
            }
            match (hex(byte), high) {
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(first)) => {
                    text.push(first << 4 | digit);
                    high = None;
                }
                (None, _) => {}
            }
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value, Wrong> {
        self.next()?;
        let mut list = Vec::new();
        loop {
            self.skip_space();
            if self.peek()? == b']' {
                self.at += 1;
                return Ok(Value::List(list));
            }
            if self.ends_object() {
                return Ok(Value::List(list));
            }
            list.push(self.nested(depth + 1)?);
        }
    }

    fn dictionary(&mut self, depth: u32) -> Result<Value, Wrong> {
        self.at += 2;
        let mut entries = Vec::new();
        loop {
            self.skip_space();
            if self.rest().starts_with(b">>") {
                self.at += 2;
                return Ok(Value::Dictionary(entries));
            }
            if self.ends_object() {
                return Ok(Value::Dictionary(entries));
            }
            if self.peek()? == b'/' {
                let name = self.name()?;
                self.skip_space();
                if self.rest().starts_with(b">>") {
                    continue;
                }
                entries.push((name, self.nested(depth + 1)?));
            } else {
                // Something without a name.
                self.nested(depth + 1)?;
            }
        }
    }

    /// True where an object ends whose brackets were not closed.
    fn ends_object(&self) -> bool {
        let rest = self.rest();
        rest.starts_with(b"endobj") || rest.starts_with(b"stream") || rest.starts_with(b"endstream")
    }
}

/// The entries of these names wherever they stand: what some reader makes of brackets that do not fit.
pub(super) fn scattered(bytes: &[u8], names: &[&[u8]]) -> Value {
    let mut entries = Vec::new();
    for at in memchr::memchr_iter(b'/', bytes) {
        let mut parser = Parser { bytes, at };
        if let Ok(name) = parser.name()
            && names.contains(&name.as_slice())
            && let Ok(value) = parser.value()
        {
            entries.push((name, value));
        }
    }
    Value::Dictionary(entries)
}

/// The whole part of a number; what is too large is the largest.
fn whole(word: &[u8]) -> i64 {
    let negative = word.starts_with(b"-");
    let digits = word.iter().skip_while(|byte| matches!(byte, b'+' | b'-'));
    let value = digits
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |value, byte| {
            value
                .saturating_mul(10)
                .saturating_add(i64::from(byte - b'0'))
        });
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_as_they_are_meant() {
        let text = b" << /A#42C (a\\(b\\051(c)\\\n\\101) /L [1 -2.5 3 0 R <4 1 4>] /E /N /D<</X true>> >> ";
        let mut parser = Parser::new(text);
        let value = parser.value().unwrap();
        assert_eq!(value.get(b"ABC").unwrap().text(), Some(&b"a(b)(c)A"[..]));
        let list = Value::List(vec![
            Value::Number(1),
            Value::Number(-2),
            Value::Reference(3),
            Value::Text(Text {
                bytes: b"A\x40".to_vec(),
                plain: false,
            }),
        ]);
        assert_eq!(value.get(b"L"), Some(&list));
        assert_eq!(value.get(b"E").unwrap().name(), Some(&b"N"[..]));
        assert_eq!(parser.rest(), b" ");
        for cut in 0..text.len() - 2 {
            assert_eq!(Parser::new(&text[..cut]).value(), Err(Wrong::Cut), "{cut}");
        }
        assert_eq!(Parser::new(&b"[".repeat(1000)).value(), Err(Wrong::TooDeep));
    }
}
