//! A record in XML, after docs/schema/verdict-1.xsd: the same content as in JSON.
//!
//! XML 1.0 forbids most control characters, even escaped. Where a text has them, or a name is no UTF-8, the text holds
//! replacement characters and an attribute beside it the exact bytes in base64.
#![forbid(unsafe_code)]

use super::{Element, FoundRecord, PartRecord, Record, Verdict};

/// The first line of a document.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The first tag of a document of records.
pub const BEGIN: &str = "<verdicts version=\"1\">\n";

/// The last tag of a document of records.
pub const END: &str = "</verdicts>\n";

/// One record, as it stands in a document.
pub fn record(record: &Record) -> String {
    let mut tag = Tag::new("record");
    tag.optional("request", record.request.as_deref());
    tag.attribute("verdict", word(record.verdict));
    tag.number("started-ms", record.times.started_ms);
    tag.number("elapsed-ms", record.times.elapsed_ms);
    tag.optional("epoch", record.epoch.as_deref());
    tag.optional("sha1", record.sha1.as_deref());
    tag.optional("quarantined", record.quarantined.as_deref());
    let mut text = tag.open();
    path(&record.path, &mut text);
    for found in &record.findings {
        finding(found, &mut text);
    }
    for gap in &record.gaps {
        part("gap", gap, &mut text);
    }
    for note in &record.notes {
        part("note", note, &mut text);
    }
    if let Some(counts) = &record.coverage {
        let mut tag = Tag::new("coverage");
        tag.number("objects", counts.objects);
        tag.number("bytes", counts.bytes);
        tag.number("gaps", counts.gaps);
        tag.number("notes", counts.notes);
        text += &tag.closed();
    }
    if let Some(error) = &record.error {
        text += &Tag::around("error", error, (!exact(error)).then_some(error.as_bytes()));
    }
    text += "</record>\n";
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "clean",
        Verdict::Incomplete => "incomplete",
        Verdict::Infected => "infected",
    }
}

fn finding(found: &FoundRecord, text: &mut String) {
    let mut tag = Tag::new("finding");
    tag.attribute("engine", &found.engine);
    tag.attribute("name", &found.name);
    if let Some(at) = found.offset {
        tag.number("offset", at);
    }
    tag.attribute("message", &found.message);
    *text += &tag.open();
    path(&found.path, text);
    *text += "</finding>";
}

fn part(kind: &'static str, part: &PartRecord, text: &mut String) {
    let mut tag = Tag::new(kind);
    tag.attribute("reason", &part.reason);
    tag.attribute("detail", &part.detail);
    if let Some(passes) = part.passes {
        tag.attribute("passes", if passes { "true" } else { "false" });
    }
    *text += &tag.open();
    path(&part.path, text);
    *text += &format!("</{kind}>");
}

fn path(path: &[Element], text: &mut String) {
    *text += "<path>";
    for name in path {
        let bytes = name.bytes();
        let is_exact = name.base64.is_none() && exact(&name.text);
        *text += &Tag::around("name", &name.text, (!is_exact).then_some(bytes.as_slice()));
    }
    *text += "</path>";
}

/// A tag that is being written.
pub struct Tag {
    text: String,
}

impl Tag {
    /// The beginning of `<name`.
    pub fn new(name: &str) -> Self {
        Self {
            text: format!("<{name}"),
        }
    }

    /// An attribute; where XML cannot say the value, `NAME-base64` beside it does.
    pub fn attribute(&mut self, name: &str, value: &str) {
        self.shown(name, value);
        if !exact(value) {
            let bytes = data_encoding::BASE64.encode(value.as_bytes());
            self.shown(&format!("{name}-base64"), &bytes);
        }
    }

    /// An attribute for eyes only, as near as XML can say it.
    pub fn shown(&mut self, name: &str, value: &str) {
        self.text += &format!(" {name}=\"{}\"", escaped(value));
    }

    /// A number as attribute.
    pub fn number(&mut self, name: &str, value: u64) {
        self.text += &format!(" {name}=\"{value}\"");
    }

    /// An attribute that there may not be.
    pub fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.attribute(name, value);
        }
    }

    /// The tag with content to follow.
    pub fn open(self) -> String {
        self.text + ">"
    }

    /// The tag without content.
    pub fn closed(self) -> String {
        self.text + "/>"
    }

    /// The whole element around a text, with the exact bytes where the text is not.
    fn around(name: &str, text: &str, inexact: Option<&[u8]>) -> String {
        let mut tag = Self::new(name);
        if let Some(bytes) = inexact {
            tag.shown("base64", &data_encoding::BASE64.encode(bytes));
        }
        format!("{}{}</{name}>", tag.open(), escaped(text))
    }
}

/// True if XML 1.0 can hold each character of the text.
fn exact(text: &str) -> bool {
    text.chars().all(is_allowed)
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// The text for content and attributes alike. Line ends and tabs are written as numbers, for readers turn them into
/// blanks; what XML forbids is replaced.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", u32::from(c))),
            c if is_allowed(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}
