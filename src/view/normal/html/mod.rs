//! HTML in two forms: with its tags and without them; and what stands in its scripts, for [`script`].
//!
//! A machine that takes a byte at a time and looks at most as far ahead as the longest entity.
#![forbid(unsafe_code)]

use super::script::script;
use crate::view::entity::{self, NAME};

/// The normal forms of an HTML text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Html {
    /// With tags, without comments.
    pub tagged: Vec<u8>,
    /// Without tags, but with the targets of links and the sources of images.
    pub plain: Vec<u8>,
    /// The scripts; empty if there are none.
    pub scripts: Vec<u8>,
}

/// Makes the normal forms.
pub fn html(bytes: &[u8]) -> Html {
    // clamscan passes over both wherever they stand.
    let text: Vec<u8> = (bytes.iter().copied())
        .filter(|byte| !matches!(byte, 0 | b'\r'))
        .collect();
    let mut machine = Machine::default();
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        rest = machine.step(rest);
    }
    machine.end();
    machine.html
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind `<`.
    Open,
    /// Behind `<!`.
    Comment,
    /// In the name of a tag.
    Tag,
    /// Behind a name or a value.
    Inside,
    /// In the name of an attribute.
    Attribute,
    /// Behind the name of an attribute and a blank.
    Named,
    /// Behind `=`.
    Equals,
    /// In a value without quotes.
    Bare,
    /// In a value that ends with this quote.
    Quoted(u8),
    /// In a script or a style sheet.
    Code,
}

#[derive(Debug, Default)]
struct Machine {
    html: Html,
    state: State,
    /// Blanks are passed over: nothing but a tag or a comment was before them.
    fresh: bool,
    began: bool,
    /// A blank that is written when something follows.
    blank: bool,
    tag: Vec<u8>,
    attribute: Vec<u8>,
    value: Vec<u8>,
    /// The address of the tag, and whether the tag has one already.
    link: Vec<u8>,
    linked: bool,
    code: Vec<u8>,
    /// The names of tags behind which code stands.
    is_script: bool,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// A quote of either kind is one.
fn one_quote(byte: u8) -> u8 {
    match byte {
        b'\'' => b'"',
        other => other.to_ascii_lowercase(),
    }
}

impl Machine {
    /// Takes the first byte of `rest`, or an entity or the end of a code, and gives what is behind it.
    fn step<'t>(&mut self, rest: &'t [u8]) -> &'t [u8] {
        let Some((byte, behind)) = rest.split_first() else {
            return rest;
        };
        let byte = *byte;
        let entity = match self.state {
            State::Equals if byte == b'&' => {
                self.value.clear();
                self.state = State::Bare;
                Some(Entity::read(behind))
            }
            State::Text | State::Bare | State::Quoted(_) | State::Code if byte == b'&' => {
                Some(Entity::read(behind))
            }
            _ => None,
        };
        if let Some(entity) = entity {
            self.entity(&entity, rest);
            return behind.get(entity.length..).unwrap_or_default();
        }
        match self.state {
            State::Text => self.text(byte),
            State::Open => self.open(byte),
            State::Comment => {
                if byte == b'>' {
                    self.begin_text();
                }
            }
            State::Tag => self.in_tag(byte),
            State::Inside => self.inside(byte),
            State::Attribute => self.in_attribute(byte),
            State::Named => match byte {
                b'=' => {
                    self.html.tagged.push(b'=');
                    self.state = State::Equals;
                }
                _ => self.inside(byte),
            },
            State::Equals => self.equals(byte),
            State::Bare => match byte {
                b'>' => self.close_tag(),
                byte if is_blank(byte) => self.end_value(),
                byte => {
                    self.html.tagged.push(one_quote(byte));
                    self.value.push(byte);
                }
            },
            State::Quoted(quote) => self.quoted(byte, quote),
            State::Code => return self.in_code(rest),
        }
        behind
    }

    fn tagged(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.blank) {
            self.html.tagged.push(b' ');
        }
        self.html.tagged.extend_from_slice(bytes);
    }

    fn plain_blank(&mut self) {
        if self.html.plain.last() != Some(&b' ') {
            self.html.plain.push(b' ');
        }
    }

    /// The address of the tag before stands in front of what follows.
    fn plain_link(&mut self) {
        if !self.link.is_empty() {
            self.plain_blank();
            self.html.plain.append(&mut self.link);
            self.html.plain.push(b' ');
        }
    }

    fn text(&mut self, byte: u8) {
        self.plain_link();
        if is_blank(byte) {
            if !self.fresh && self.began {
                self.blank = true;
                self.plain_blank();
            }
            return;
        }
        self.began = true;
        match byte {
            b'<' => {
                self.tagged(b"<");
                self.plain_blank();
                self.state = State::Open;
            }
            _ => {
                self.tagged(&[byte.to_ascii_lowercase()]);
                match byte {
                    b'!'..=b'~' | 0x80.. => self.html.plain.push(byte.to_ascii_lowercase()),
                    _ => self.plain_blank(),
                }
                self.fresh = false;
            }
        }
    }

    fn open(&mut self, byte: u8) {
        match byte {
            b'!' => {
                self.html.tagged.pop();
                self.state = State::Comment;
            }
            b'>' => {
                self.tag.clear();
                self.close_tag();
            }
            byte if is_blank(byte) => {}
            byte => {
                self.tag.clear();
                self.state = State::Tag;
                self.in_tag(byte);
            }
        }
    }

    fn in_tag(&mut self, byte: u8) {
        match byte {
            b'>' => self.close_tag(),
            byte if is_blank(byte) => {
                self.linked = false;
                self.state = State::Inside;
                self.attribute.clear();
            }
            byte => {
                self.html.tagged.push(byte.to_ascii_lowercase());
                self.tag.push(byte.to_ascii_lowercase());
            }
        }
    }

    fn inside(&mut self, byte: u8) {
        match byte {
            b'>' => self.close_tag(),
            b'=' => {
                self.html.tagged.push(b'=');
                self.attribute.clear();
                self.state = State::Equals;
            }
            byte if is_blank(byte) => {}
            byte => {
                self.html.tagged.push(b' ');
                self.attribute.clear();
                self.state = State::Attribute;
                self.in_attribute(byte);
            }
        }
    }

    fn in_attribute(&mut self, byte: u8) {
        match byte {
            b'>' => self.close_tag(),
            b'=' => {
                self.html.tagged.push(b'=');
                self.state = State::Equals;
            }
            byte if is_blank(byte) => self.state = State::Named,
            byte => {
                self.html.tagged.push(byte.to_ascii_lowercase());
                self.attribute.push(byte.to_ascii_lowercase());
            }
        }
    }

    fn equals(&mut self, byte: u8) {
        match byte {
            b'>' => self.close_tag(),
            b'"' | b'\'' => {
                self.html.tagged.push(b'"');
                self.value.clear();
                self.state = State::Quoted(byte);
            }
            byte if is_blank(byte) => {}
            byte => {
                self.html.tagged.push(byte.to_ascii_lowercase());
                self.value.clear();
                self.value.push(byte);
                self.state = State::Bare;
            }
        }
    }

    fn quoted(&mut self, byte: u8, quote: u8) {
        if byte == quote {
            self.html.tagged.push(b'"');
            self.end_value();
        } else if is_blank(byte) {
            if self.html.tagged.last() != Some(&b' ') {
                self.html.tagged.push(b' ');
            }
            if self.value.last() != Some(&b' ') {
                self.value.push(b' ');
            }
        } else {
            self.html.tagged.push(one_quote(byte));
            self.value.push(byte);
        }
    }

    /// Keeps the first address of a link or an image.
    fn end_value(&mut self) {
        let is_link = matches!(
            (self.tag.as_slice(), self.attribute.as_slice()),
            (b"a", b"href") | (b"img", b"src")
        );
        if is_link && !self.linked {
            self.linked = true;
            std::mem::swap(&mut self.link, &mut self.value);
        }
        self.value.clear();
        self.state = State::Inside;
    }

    fn close_tag(&mut self) {
        if self.state == State::Bare {
            self.end_value();
        }
        self.html.tagged.push(b'>');
        self.linked = false;
        self.begin_text();
        self.is_script = self.tag == b"script";
        if self.is_script || self.tag == b"style" {
            self.state = State::Code;
            self.code.clear();
        }
    }

    fn begin_text(&mut self) {
        self.state = State::Text;
        self.fresh = true;
    }

    fn in_code<'t>(&mut self, rest: &'t [u8]) -> &'t [u8] {
        let Some((byte, behind)) = rest.split_first() else {
            return rest;
        };
        let end: &[u8] = match self.is_script {
            true => b"</script",
            false => b"</style",
        };
        let begins = |text: &[u8]| text.eq_ignore_ascii_case(end);
        if rest.get(..end.len()).is_some_and(begins) {
            let (_, after) = rest.split_at_checked(end.len()).unwrap_or((rest, &[]));
            match after.split_first() {
                Some((b'>', after)) => {
                    self.html.tagged.extend_from_slice(end);
                    self.html.tagged.push(b'>');
                    self.end_code(true);
                    return after;
                }
                Some((byte, _)) if is_blank(*byte) => {
                    self.html.tagged.extend_from_slice(end);
                    self.code.extend_from_slice(end);
                    self.end_code(true);
                    return after;
                }
                _ => {}
            }
        }
        if !is_blank(*byte) {
            self.html.tagged.push(one_quote(*byte));
        }
        self.code.push(*byte);
        behind
    }

    fn end_code(&mut self, whole: bool) {
        self.begin_text();
        self.plain_blank();
        let mut code = std::mem::take(&mut self.code);
        if !self.is_script {
            return;
        }
        if !whole {
            // A last word may go on.
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
            while code.last().is_some_and(is_word) {
                code.pop();
            }
        }
        let scripts = &mut self.html.scripts;
        if !scripts.is_empty() {
            scripts.push(b'\n');
        }
        scripts.extend_from_slice(b"<script>");
        script(&code, scripts);
        scripts.extend_from_slice(b"</script>");
    }

    fn end(&mut self) {
        if self.state == State::Code {
            self.end_code(false);
        }
    }

    /// An entity, and the text that begins with it.
    fn entity(&mut self, entity: &Entity, rest: &[u8]) {
        let source = rest.get(..=entity.length).unwrap_or(rest);
        let decoded = entity.decoded(source);
        match self.state {
            State::Text => {
                self.began = true;
                self.plain_link();
                self.plain_blank();
                self.tagged(&decoded);
                self.fresh = false;
            }
            State::Code => {
                self.html.tagged.extend_from_slice(&decoded);
                self.code.extend_from_slice(source);
            }
            _ => {
                self.html.tagged.extend_from_slice(&decoded);
                self.value.extend_from_slice(&decoded);
            }
        }
    }
}

/// What stands behind an `&`.
struct Entity {
    /// Bytes behind the `&` that belong to it.
    length: usize,
    what: What,
    /// A `;` ends it.
    ended: bool,
    at_end: bool,
}

enum What {
    Number(u32),
    Name(Option<u16>),
}

impl Entity {
    fn read(text: &[u8]) -> Self {
        let (start, radix) = match text {
            [b'#', b'x' | b'X', ..] => (2, 16),
            [b'#', ..] => (1, 10),
            _ => return Self::named(text),
        };
        let mut length: usize = start;
        let mut number: u32 = 0;
        while let Some(digit) = text
            .get(length)
            .and_then(|byte| char::from(*byte).to_digit(radix))
        {
            number = number.wrapping_mul(radix).wrapping_add(digit);
            length = length.saturating_add(1);
        }
        let ended = text.get(length) == Some(&b';');
        Self {
            length: length.saturating_add(usize::from(ended)),
            what: What::Number(number),
            ended,
            at_end: length >= text.len(),
        }
    }

    fn named(text: &[u8]) -> Self {
        let is_name =
            |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'_');
        let length = text.iter().take(NAME + 1).take_while(is_name).count();
        let ended = text.get(length) == Some(&b';');
        let at_end = length >= text.len();
        let name = text.get(..length).filter(|_| ended || at_end);
        Self {
            length: length.saturating_add(usize::from(ended)),
            what: What::Name(name.and_then(entity::normal)),
            ended,
            at_end,
        }
    }

    fn decoded(&self, source: &[u8]) -> Vec<u8> {
        let character = |number: u16| match u8::try_from(number) {
            Ok(byte) if byte < 255 => vec![byte],
            _ => format!("&#x{number:04x};").into_bytes(),
        };
        match self.what {
            What::Name(Some(number)) => character(number),
            What::Name(None) if self.at_end && self.length == 0 => Vec::new(),
            What::Name(None) => source.to_ascii_lowercase(),
            What::Number(_) if self.at_end => Vec::new(),
            What::Number(number) => match number as u16 {
                0 if number > 0 => Vec::new(),
                low => {
                    let mut decoded = character(low);
                    if self.ended && low < 128 {
                        decoded.make_ascii_lowercase();
                    }
                    decoded
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
