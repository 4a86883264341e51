//! HTML as a person sees it, in SVSP's three levels: the text; also the values of attributes, links among them; also scripts and
//! style sheets.
//!
//! A subset of the tokenizer of the WHATWG's standard. Tags within a line vanish, so that they do not part a word; those that begin a
//! line or a cell become a line break, and all white space in a row is one blank, but in `<pre>`. What a level adds stands behind the text, so that it does not part it either.
#![forbid(unsafe_code)]

use super::entity::{self, NAME};

/// How much of an HTML text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Text, with entities decoded.
    Text,
    /// Also the values of attributes.
    Attributes,
    /// Also scripts and style sheets.
    Scripts,
}

impl Level {
    /// The level that SVSP calls by this number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Text),
            2 => Some(Self::Attributes),
            3 => Some(Self::Scripts),
            _ => None,
        }
    }
}

/// Tags that do not end a line.
const INLINE: &[&[u8]] = &[
    b"a", b"abbr", b"acronym", b"b", b"bdi", b"bdo", b"big", b"cite", b"code", b"data", b"del",
    b"dfn", b"em", b"font", b"i", b"ins", b"kbd", b"label", b"mark", b"nobr", b"q", b"s", b"samp",
    b"small", b"span", b"strike", b"strong", b"sub", b"sup", b"time", b"tt", b"u", b"var", b"wbr",
];

/// Tags in which white space is kept as it is.
const KEPT: &[&[u8]] = &[b"listing", b"pre"];

/// Tags behind which there are no tags but their own end; of the first two the text is code.
const RAW: &[&[u8]] = &[b"script", b"style", b"textarea", b"title", b"xmp"];

/// Reads an HTML text.
pub fn html(text: &str, level: Level) -> String {
    let mut page = Page {
        level,
        ..Page::new()
    };
    page.read(text.as_bytes());
    let parts = [page.text, page.values, page.code];
    let bytes = parts.concat();
    // It was cut at bytes of ASCII alone, and what was decoded is UTF-8.
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

struct Page {
    level: Level,
    text: Vec<u8>,
    values: Vec<u8>,
    code: Vec<u8>,
    /// There is none further on: it is searched for once.
    no_comment_ends: bool,
    no_tag_ends: bool,
    /// Tags around that keep white space.
    kept: u32,
}

impl Page {
    fn new() -> Self {
        Self {
            level: Level::Text,
            text: Vec::new(),
            values: Vec::new(),
            code: Vec::new(),
            no_comment_ends: false,
            no_tag_ends: false,
            kept: 0,
        }
    }

    fn read(&mut self, mut rest: &[u8]) {
        while let Some(at) = memchr::memchr(b'<', rest) {
            let (before, tag) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.words(before);
            rest = self.markup(tag);
        }
        self.words(rest);
    }

    /// Adds text as it is seen: with one blank for all white space in a row, and none at the start of a line.
    fn words(&mut self, text: &[u8]) {
        let start = self.text.len();
        decode(text, &mut self.text);
        if self.kept > 0 {
            return;
        }
        for byte in self.text.split_off(start) {
            match byte.is_ascii_whitespace() {
                false => self.text.push(byte),
                true if matches!(self.text.last(), None | Some(b' ' | b'\n')) => {}
                true => self.text.push(b' '),
            }
        }
    }

    /// Reads what begins with `<`, and gives what is behind it.
    fn markup<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        match text {
            // A browser takes all that follows for a comment without an end, another reader does not.
            [b'<', b'!', b'-', b'-', rest @ ..] => {
                let end = (!self.no_comment_ends).then(|| comment_end(rest));
                let end = end.flatten();
                self.no_comment_ends |= end.is_none();
                end.map_or(rest, |end| {
                    rest.get(end.saturating_add(1)..).unwrap_or_default()
                })
            }
            [b'<', b'!' | b'?', rest @ ..] => {
                let end = (!self.no_tag_ends).then(|| memchr::memchr(b'>', rest));
                let end = end.flatten();
                self.no_tag_ends |= end.is_none();
                end.map_or(rest, |end| {
                    rest.get(end.saturating_add(1)..).unwrap_or_default()
                })
            }
            [b'<', b'/', first, ..] if first.is_ascii_alphabetic() => {
                let rest = text.get(2..).unwrap_or_default();
                let (name, behind) = self.tag(rest, false);
                self.line_break(&name);
                if KEPT.contains(&name.as_slice()) {
                    self.kept = self.kept.saturating_sub(1);
                }
                behind
            }
            [b'<', first, ..] if first.is_ascii_alphabetic() => {
                let rest = text.get(1..).unwrap_or_default();
                let (name, behind) = self.tag(rest, true);
                self.line_break(&name);
                if KEPT.contains(&name.as_slice()) {
                    self.kept = self.kept.saturating_add(1);
                }
                match RAW.contains(&name.as_slice()) {
                    true => self.raw(&name, behind),
                    false => behind,
                }
            }
            [first, rest @ ..] => {
                self.text.push(*first);
                rest
            }
            [] => text,
        }
    }

    fn line_break(&mut self, name: &[u8]) {
        // An element that somebody made up, or one of Office.
        let own = memchr::memchr2(b'-', b':', name).is_some();
        if own || INLINE.contains(&name) {
            return;
        }
        if self.kept == 0 && self.text.last() == Some(&b' ') {
            self.text.pop();
        }
        if self.text.last().is_some_and(|last| *last != b'\n') {
            self.text.push(b'\n');
        }
    }

    /// Reads a tag from its name on: the name, and what is behind the tag.
    fn tag<'t>(&mut self, text: &'t [u8], values: bool) -> (Vec<u8>, &'t [u8]) {
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
        let length = text.iter().take_while(|byte| !is_end(byte)).count();
        let (name, mut rest) = text.split_at_checked(length).unwrap_or((text, &[]));
        loop {
            rest = skip(rest, |byte| byte.is_ascii_whitespace() || byte == b'/');
            match rest {
                [] => return (name.to_ascii_lowercase(), rest),
                [b'>', behind @ ..] => return (name.to_ascii_lowercase(), behind),
                _ => {}
            }
            rest = match rest {
                // The standard has it begin a name.
                [b'=', behind @ ..] => behind,
                _ => rest,
            };
            rest = skip(rest, |byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'>' | b'=')
            });
            let behind = skip(rest, |byte| byte.is_ascii_whitespace());
            let Some(value) = behind.strip_prefix(b"=") else {
                continue;
            };
            let value = skip(value, |byte| byte.is_ascii_whitespace());
            let (value, behind) = match value {
                [quote @ (b'"' | b'\''), inside @ ..] => {
                    let end = memchr::memchr(*quote, inside).unwrap_or(inside.len());
                    let (value, behind) = inside.split_at_checked(end).unwrap_or((inside, &[]));
                    (value, behind.get(1..).unwrap_or_default())
                }
                _ => {
                    let end = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
                    let length = value.iter().take_while(|byte| !end(byte)).count();
                    value.split_at_checked(length).unwrap_or((value, &[]))
                }
            };
            rest = behind;
            if values && self.level >= Level::Attributes && !value.is_empty() {
                self.values.push(b'\n');
                decode(value, &mut self.values);
            }
        }
    }

    /// Reads up to the end tag of `name`.
    fn raw<'t>(&mut self, name: &[u8], text: &'t [u8]) -> &'t [u8] {
        let mut end = text.len();
        for at in memchr::memmem::find_iter(text, b"</") {
            let from = at.saturating_add(2);
            let found = text.get(from..from.saturating_add(name.len()));
            if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
                end = at;
                break;
            }
        }
        let (inside, behind) = text.split_at_checked(end).unwrap_or((text, &[]));
        match name {
            b"script" | b"style" => {
                if self.level >= Level::Scripts {
                    self.code.push(b'\n');
                    self.code.extend_from_slice(inside);
                }
            }
            b"title" => self.words(inside),
            _ => decode(inside, &mut self.text),
        }
        behind
    }
}

/// Where the `>` is that ends a comment, behind its `<!--`. `<!-->` is a whole one, and `--!>` an end, as in the standard.
fn comment_end(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'>', text).find(|end| {
        let inside = text.get(..*end).unwrap_or_default();
        matches!(inside, b"" | b"-") || inside.ends_with(b"--") || inside.ends_with(b"--!")
    })
}

fn skip(text: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|byte| is(**byte)).count();
    text.get(length..).unwrap_or_default()
}

/// Adds a text with its entities decoded.
fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (before, entity) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        let behind = entity.get(1..).unwrap_or_default();
        rest = match character(behind, out) {
            Some(length) => behind.get(length..).unwrap_or_default(),
            None => {
                out.push(b'&');
                behind
            }
        };
    }
    out.extend_from_slice(rest);
}

/// Adds what the entity behind an `&` stands for, and gives its length. A `;` may be missing, as browsers have it.
fn character(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let (start, radix) = match text {
        [b'#', b'x' | b'X', ..] => (2, 16),
        [b'#', ..] => (1, 10),
        _ => {
            let is_name = |byte: &&u8| byte.is_ascii_alphanumeric();
            let length = text.iter().take(NAME).take_while(is_name).count();
            let name = text.get(..length)?;
            out.extend_from_slice(entity::text(name)?.as_bytes());
            return Some(length.saturating_add(usize::from(text.get(length) == Some(&b';'))));
        }
    };
    let mut length: usize = start;
    let mut number: u32 = 0;
    while let Some(digit) = text
        .get(length)
        .and_then(|byte| char::from(*byte).to_digit(radix))
    {
        number = number.saturating_mul(radix).saturating_add(digit);
        length = length.saturating_add(1);
    }
    if length == start {
        return None;
    }
    let character = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(length.saturating_add(usize::from(text.get(length) == Some(&b';'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_reads_more() {
        let page = "<HTML><head><title>T &amp; t</title><style>p { x }</style></head><body bgcolor=red>vi<b>ru</b>s<p>next \
            <a HREF='http://a.b/?x=1&amp;y' title=\"say &quot;hi&quot;\">link</a><!-- hid<b>den --><script>var a = '<p>';</script>\
            1 < 2 &#x41;&#66&euro;&nope;<br/>end";
        let text = "T & t\nvirus\nnext link\n1 < 2 AB\u{20ac}&nope;\nend";
        let values = "\nred\nhttp://a.b/?x=1&y\nsay \"hi\"";
        let code = "\np { x }\nvar a = '<p>';";
        assert_eq!(html(page, Level::Text), text);
        assert_eq!(html(page, Level::Attributes), [text, values].concat());
        assert_eq!(html(page, Level::Scripts), [text, values, code].concat());
    }

    #[test]
    fn what_is_left_open_is_read_all_the_same() {
        let rows = [
            ("a<!-- b", "a b"),
            ("a<b", "a"),
            ("a<a href='b", "a\nb"),
            ("a<", "a<"),
            ("<script>x", "\nx"),
            ("a<p =b>c", "a\nc"),
            ("<p/x/y=z>c", "c\nz"),
            ("&#;&#x;&", "&#;&#x;&"),
            (
                " alpha\n   beta \t<b> gamma</b>\n<p> delta",
                "alpha beta gamma\ndelta",
            ),
            ("a<!-->b<!--->c<!-- -->d<!-- --!>e<!----->f", "abcdef"),
            ("a<x-y z='>'>b</x-y><o:p>c", "abc\n>"),
            ("a&#10;&#32;b<title> x\n y </title>", "a b\nx y\n"),
            ("<pre> a\n  b</pre>\n c\n d", " a\n  b\nc d"),
            ("&#1114112;&#99999999999;", "\u{fffd}\u{fffd}"),
        ];
        for (page, expected) in rows {
            assert_eq!(html(page, Level::Scripts), expected, "{page}");
        }
    }
}
