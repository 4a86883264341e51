//! TNEF, the form in which Outlook sends what a mail cannot hold: `winmail.dat` ([MS-OXTNEF]).
//!
//! A row of attributes, those of each attachment behind one that begins it. A wrong checksum is said, and the attribute
//! is read nevertheless: readers do not look at it.
#![forbid(unsafe_code)]

mod properties;
mod rtf;

use std::io;

use self::properties::Property;
use super::{Children, Container, Content, Expander, Halt, recognise};
use crate::event::Reason;
use crate::object::Object;

/// The signature, its key, and the first attribute behind them.
const HEADER: u64 = 6;

/// Level, tag and length in front of an attribute, and its checksum behind it.
const BEFORE: u64 = 9;
const AFTER: u64 = 2;

/// The lower halves of attributes' tags ([MS-OXTNEF] 2.1.3.2, 2.1.3.3): readers do not ask for the other, which is a type.
const BODY: u16 = 0x800c;
const MESSAGE_PROPERTIES: u16 = 0x9003;
const ATTACHMENT_BEGINS: u16 = 0x9002;
const ATTACHMENT_TITLE: u16 = 0x8010;
const ATTACHMENT_DATA: u16 = 0x800f;
const ATTACHMENT_PICTURE: u16 = 0x8011;
const ATTACHMENT_PROPERTIES: u16 = 0x9005;

/// Contents of one attachment; it should have one.
const CONTENTS: usize = 1_000;

/// The expander of TNEF.
pub(super) struct Tnef;

impl Expander for Tnef {
    fn kind(&self) -> &'static str {
        "TNEF"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut attachment = Attachment::default();
        let mut at = HEADER;
        let mut number = 0_u32;
        let mut sums = 0_u32;
        let end = object.length();
        if end < HEADER {
            return Err(Halt::Broken("the header is cut".to_owned()));
        }
        let mut broken = None;
        while at < end {
            let Some(head) = Head::read(object, at)? else {
                broken = Some(format!("the attribute at {at} is cut"));
                break;
            };
            if !matches!(head.level, 1 | 2) {
                broken = Some(format!("level {} at {at}", head.level));
                break;
            }
            let from = at + BEFORE;
            let content = object.slice(from, head.length.into());
            let whole = content.length() == u64::from(head.length);
            if head.id() == ATTACHMENT_BEGINS {
                number += 1;
                std::mem::take(&mut attachment).give(number - 1, children)?;
            }
            self::attribute(&head, &content, &mut attachment, children)?;
            at = from
                .saturating_add(head.length.into())
                .saturating_add(AFTER);
            if !whole || at > end {
                broken = Some(format!("the attribute {:#010x} is cut", head.tag));
                break;
            }
            if sum(&content)? != object.bytes_at(at - AFTER, 2)? {
                sums += 1;
            }
        }
        attachment.give(number, children)?;
        if sums > 0 {
            let detail = format!("the checksums of {sums} attributes differ");
            children.gap(None, Reason::Corrupt, detail)?;
        }
        broken.map_or(Ok(()), |detail| Err(Halt::Broken(detail)))
    }
}

/// What stands in front of an attribute.
struct Head {
    level: u8,
    tag: u32,
    length: u32,
}

impl Head {
    fn read(object: &Object, at: u64) -> io::Result<Option<Self>> {
        let bytes: Result<[u8; 9], _> = object.bytes_at(at, 9)?.try_into();
        Ok(bytes.ok().map(|[level, a, b, c, d, e, f, g, h]| Self {
            level,
            tag: u32::from_le_bytes([a, b, c, d]),
            length: u32::from_le_bytes([e, f, g, h]),
        }))
    }

    fn id(&self) -> u16 {
        let [low, high, ..] = self.tag.to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

/// The sum of the bytes, in the order in which it is stored.
fn sum(content: &Object) -> io::Result<Vec<u8>> {
    use std::io::BufRead;
    let mut reader = content.reader();
    let mut sum = 0_u16;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(sum.to_le_bytes().to_vec());
        }
        sum = chunk
            .iter()
            .fold(sum, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        let count = chunk.len();
        reader.consume(count);
    }
}

fn attribute(
    head: &Head,
    content: &Object,
    attachment: &mut Attachment,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match head.id() {
        BODY => children.child(b"body.txt", Content::Object(content.clone())),
        MESSAGE_PROPERTIES => message(content, children),
        ATTACHMENT_TITLE => {
            attachment.title = text(&content.bytes_at(0, 1024)?);
            Ok(())
        }
        ATTACHMENT_DATA => attachment.hold(content.clone(), b"", children),
        ATTACHMENT_PICTURE => attachment.hold(content.clone(), b".picture", children),
        ATTACHMENT_PROPERTIES => attachment.properties(content, children),
        _ => foreign(&format!("attribute {:#010x}", head.tag), content, children),
    }
}

/// Gives what is not known to have a content, if it is one by itself.
fn foreign(name: &str, content: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    if recognise(&content.probe()?).is_empty() {
        return Ok(());
    }
    children.child(name.as_bytes(), Content::Object(content.clone()))
}

/// A text up to its zero.
fn text(bytes: &[u8]) -> Vec<u8> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default().to_vec()
}

/// The properties of the message that have content of their own.
fn message(content: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let whole = properties::each(content, |property| {
        let name: &[u8] = match property.id {
            properties::BODY => b"body.txt",
            properties::BODY_HTML => b"body.html",
            properties::RTF_COMPRESSED => {
                let mut stream = rtf::Rtf::new(&property.value)?;
                return children.child(b"body.rtf", Content::Stream(&mut stream));
            }
            // A header is no mail.
            properties::HEADERS => return Ok(()),
            id => {
                let name = format!("property {id:#06x}");
                return foreign(&name, &property.value, children);
            }
        };
        children.child(name, Content::Object(property.value))
    })?;
    complain(whole, children)
}

fn complain(whole: bool, children: &mut dyn Children) -> Result<(), Halt> {
    if whole {
        return Ok(());
    }
    let detail = "a list of properties cannot be followed to its end".to_owned();
    children.gap(None, Reason::Corrupt, detail)
}

/// What is known of an attachment: its names may come behind its content.
#[derive(Default)]
struct Attachment {
    title: Vec<u8>,
    name: Vec<u8>,
    contents: Vec<(Object, &'static [u8])>,
}

impl Attachment {
    fn hold(
        &mut self,
        content: Object,
        suffix: &'static [u8],
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if self.contents.len() >= CONTENTS {
            return children.child(b"attachment", Content::Object(content));
        }
        self.contents.push((content, suffix));
        Ok(())
    }

    fn properties(&mut self, content: &Object, children: &mut dyn Children) -> Result<(), Halt> {
        let whole = properties::each(content, |property| self.property(property, children))?;
        complain(whole, children)
    }

    fn property(&mut self, property: Property, children: &mut dyn Children) -> Result<(), Halt> {
        let value = property.value;
        match property.id {
            properties::ATTACH_LONG_FILENAME => self.name = property.text.unwrap_or_default(),
            properties::ATTACH_FILENAME if self.name.is_empty() => {
                self.name = property.text.unwrap_or_default();
            }
            properties::ATTACH_DATA if property.is_object => {
                // The interface by which it was stored stands in front: 16 bytes.
                self.hold(value.slice(16, u64::MAX), b"", children)?;
            }
            properties::ATTACH_DATA => self.hold(value, b"", children)?,
            properties::ATTACH_RENDERING => self.hold(value, b".rendering", children)?,
            id => foreign(&format!("property {id:#06x}"), &value, children)?,
        }
        Ok(())
    }

    fn give(self, number: u32, children: &mut dyn Children) -> Result<(), Halt> {
        let name = [self.name, self.title]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| format!("attachment {number}").into_bytes());
        for (content, suffix) in self.contents {
            let name = [&name[..], suffix].concat();
            children.child(&name, Content::Object(content))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
