//! XAR (the wiki of the xar project): a table of contents in XML, compressed, and behind it a heap with the data of files.
//!
//! The table is read from its start to its end and never held as a tree. What a file says of itself twice, and differently,
//! is a gap: readers take the first or the last.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use data_encoding::BASE64;
use quick_xml::Reader as Xml;
use quick_xml::events::Event;

use super::stream::{self, Input, Pieces};
use super::{Children, Container, Content, Expander, Halt, behind, cut_short, damaged, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::Object;

const MAGIC: &[u8] = b"xar!";

/// The fixed part of the header.
const HEADER: usize = 28;

/// The part of the memory that the table of contents may have.
const TABLE: u64 = 8;

/// The length of the usual checksum of the table.
const SHA1: u64 = 20;

/// Folders within each other that are followed.
const DEPTH: usize = 256;

/// The longest text of an element that is kept: a name in base64.
const TEXT: usize = 8192;

/// The expander of XAR.
pub(super) struct Xar;

impl Expander for Xar {
    fn kind(&self) -> &'static str {
        "xar"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let mut reader = Reader::new(head.get(4..).unwrap_or_default());
        let size = reader.array().map(u16::from_be_bytes);
        reader.take(2);
        let lengths = (
            reader.array().map(u64::from_be_bytes),
            reader.array().map(u64::from_be_bytes),
        );
        let (Some(size), (Some(packed), Some(length))) = (size, lengths) else {
            return Err(Halt::Broken("the header is cut".to_owned()));
        };
        let heap = u64::from(size).saturating_add(packed);
        let most = container.memory / TABLE;
        if length > most {
            let detail = format!("a table of contents of {length} bytes");
            return children.gap(None, Reason::Limit(Limit::Memory), detail);
        }
        let table = object.slice(size.into(), packed);
        let mut xml = Vec::new();
        let decoded = match Pieces::open(&stream::ZLIB, input(&table), container.memory) {
            Ok(mut pieces) => (&mut pieces).take(most).read_to_end(&mut xml).map(drop),
            Err(error) => return stream::refused(&stream::ZLIB, None, error, children),
        };
        let mut archive = Archive {
            object,
            memory: container.memory,
            heap,
            end: heap,
            frames: Vec::new(),
            is_deep: false,
        };
        archive.table(&xml, children)?;
        match decoded {
            Err(error) if super::is_damage(&error) => {
                let detail = format!("the table of contents: {error}");
                return children.gap(None, Reason::Corrupt, detail);
            }
            Err(error) => return Err(error.into()),
            Ok(()) if xml.len() as u64 != length => {
                let detail = format!("{} of {length} bytes of contents", xml.len());
                children.gap(None, Reason::Corrupt, detail)?;
            }
            Ok(()) => {}
        }
        archive.trailing(children)
    }
}

fn input(object: &Object) -> Input<'static> {
    Input::new(Box::new(object.raw_reader()))
}

/// An element that is open.
#[derive(Default)]
struct Frame {
    tag: Vec<u8>,
    text: Vec<u8>,
    /// The text is in base64.
    is_encoded: bool,
    /// For a file: its name, and what it consists of.
    name: Vec<u8>,
    is_file: bool,
    data: Vec<Data>,
    /// For whatever has a place in the heap.
    place: Data,
}

/// A piece of the heap.
#[derive(Debug, Default, Clone)]
struct Data {
    offset: Option<u64>,
    /// What comes out.
    size: Option<u64>,
    /// What lies in the heap.
    length: Option<u64>,
    encoding: Option<Vec<u8>>,
    /// The name of an extended attribute.
    attribute: Option<Vec<u8>>,
    /// Something is said twice, and differently.
    disagrees: bool,
}

impl Data {
    /// Place and length in the heap. What is not compressed may say one of the two.
    fn stored(&self) -> Option<(u64, u64)> {
        Some((self.offset?, self.length.or(self.size)?))
    }

    fn set<T: PartialEq>(field: &mut Option<T>, disagrees: &mut bool, value: Option<T>) {
        if field.is_some() && *field != value {
            *disagrees = true;
        } else {
            *field = value;
        }
    }
}

struct Archive<'a> {
    object: &'a Object,
    memory: u64,
    heap: u64,
    /// The end of what belongs to the archive.
    end: u64,
    frames: Vec<Frame>,
    is_deep: bool,
}

impl Archive<'_> {
    fn table(&mut self, xml: &[u8], children: &mut dyn Children) -> Result<(), Halt> {
        // Bytes that are no text are not to hide what comes after them.
        let text = String::from_utf8_lossy(xml);
        let mut reader = Xml::from_str(&text);
        let said = loop {
            match reader.read_event() {
                Ok(Event::Start(tag)) => {
                    let mut frame = Frame {
                        tag: tag.local_name().as_ref().as_bytes().to_vec(),
                        ..Frame::default()
                    };
                    self.attributes(&mut frame, &tag);
                    if self.frames.len() >= DEPTH {
                        if !self.is_deep {
                            self.is_deep = true;
                            let reason = Reason::Unsupported("xar-depth".to_owned());
                            let detail = format!("more than {DEPTH} elements within each other");
                            children.gap(None, reason, detail)?;
                        }
                        if reader.read_to_end(tag.name()).is_err() {
                            break Some("the table of contents has no end".to_owned());
                        }
                        continue;
                    }
                    self.frames.push(frame);
                }
                Ok(Event::Empty(tag)) => {
                    let mut frame = Frame {
                        tag: tag.local_name().as_ref().as_bytes().to_vec(),
                        ..Frame::default()
                    };
                    self.attributes(&mut frame, &tag);
                    self.close(frame, children)?;
                }
                Ok(Event::End(_)) => {
                    if let Some(frame) = self.frames.pop() {
                        self.close(frame, children)?;
                    }
                }
                Ok(Event::Text(text)) => self.text(text.as_bytes()),
                Ok(Event::CData(text)) => self.text(text.as_bytes()),
                Ok(Event::GeneralRef(name)) => {
                    let letter = match name.resolve_char_ref() {
                        Ok(Some(letter)) => Some(letter),
                        _ => match &*name {
                            "amp" => Some('&'),
                            "lt" => Some('<'),
                            "gt" => Some('>'),
                            "quot" => Some('"'),
                            "apos" => Some('\''),
                            _ => None,
                        },
                    };
                    match letter {
                        Some(letter) => self.text(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                        None => self.text(format!("&{};", &*name).as_bytes()),
                    }
                }
                Ok(Event::Eof) if self.frames.is_empty() => break None,
                Ok(Event::Eof) => break Some("the table of contents has no end".to_owned()),
                Ok(_) => {}
                Err(error) => break Some(format!("the table of contents: {error}")),
            }
        };
        if let Some(detail) = said {
            children.gap(None, Reason::Corrupt, detail)?;
        }
        // What was not closed.
        while let Some(frame) = self.frames.pop() {
            self.close(frame, children)?;
        }
        Ok(())
    }

    fn attributes(&mut self, frame: &mut Frame, tag: &quick_xml::events::BytesStart<'_>) {
        for attribute in tag.attributes().with_checks(false).flatten() {
            match attribute.key.local_name().as_ref() {
                "enctype" => frame.is_encoded = &*attribute.value == "base64",
                "style" if frame.tag == b"encoding" => {
                    frame.text = attribute.value.as_bytes().to_vec();
                }
                _ => {}
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        if let Some(frame) = self.frames.last_mut() {
            let room = TEXT.saturating_sub(frame.text.len());
            let text = text.get(..room).unwrap_or(text);
            frame.text.extend_from_slice(text);
        }
    }

    /// Takes in what an element says that has ended.
    fn close(&mut self, frame: Frame, children: &mut dyn Children) -> Result<(), Halt> {
        if let Some((offset, length)) = frame.place.stored() {
            let end = self.heap.saturating_add(offset).saturating_add(length);
            self.end = self.end.max(end);
        }
        let number = || str::from_utf8(frame.text.trim_ascii()).ok()?.parse().ok();
        let Some(parent) = self.frames.last_mut() else {
            return Ok(());
        };
        let place = &mut parent.place;
        let disagrees = &mut place.disagrees;
        match &frame.tag[..] {
            b"offset" => Data::set(&mut place.offset, disagrees, number()),
            b"size" => Data::set(&mut place.size, disagrees, number()),
            b"length" => Data::set(&mut place.length, disagrees, number()),
            b"encoding" => Data::set(&mut place.encoding, disagrees, Some(frame.text)),
            b"name" if parent.tag == b"ea" => place.attribute = Some(frame.text),
            b"name" => {
                let decoded = BASE64.decode(frame.text.trim_ascii()).ok();
                let decoded = decoded.filter(|_| frame.is_encoded);
                parent.name = decoded.unwrap_or(frame.text);
            }
            b"type" => parent.is_file = frame.text.trim_ascii() == b"file",
            // One that says nothing is an empty file; more of them are nothing.
            b"data" | b"ea" => {
                let place = &frame.place;
                let says = [place.offset, place.length, place.size]
                    .iter()
                    .any(Option::is_some);
                if says || parent.data.is_empty() {
                    parent.data.push(frame.place);
                }
            }
            b"file" => return self.file(&frame, children),
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, file: &Frame, children: &mut dyn Children) -> Result<(), Halt> {
        let folders = self.frames.iter().filter(|frame| frame.tag == b"file");
        let names: Vec<&[u8]> = folders.map(|frame| &frame.name[..]).collect();
        let path = [&names[..], &[&file.name[..]]].concat().join(&b'/');
        if file.is_file && file.data.iter().all(|data| data.attribute.is_some()) {
            children.child(&path, Content::Stream(&mut io::empty()))?;
        }
        for data in &file.data {
            match &data.attribute {
                None => self.data(&path, data, children)?,
                Some(name) => {
                    let path = [&path[..], b":", name].concat();
                    self.data(&path, data, children)?;
                }
            }
        }
        Ok(())
    }

    fn data(&self, path: &[u8], data: &Data, children: &mut dyn Children) -> Result<(), Halt> {
        if data.disagrees {
            let detail = "its place is said twice, and differently".to_owned();
            children.gap(Some(path), Reason::Corrupt, detail)?;
        }
        let Some((offset, length)) = data.stored() else {
            // A file of no bytes has no place.
            if data.length.or(data.size).is_none_or(|length| length == 0) {
                return children.child(path, Content::Stream(&mut io::empty()));
            }
            let detail = "its place is not said".to_owned();
            return children.gap(Some(path), Reason::Corrupt, detail);
        };
        let raw = self.object.slice(self.heap.saturating_add(offset), length);
        let is_cut = raw.length() < length;
        let head = raw.bytes_at(0, 6)?;
        let format = match data.encoding.as_deref() {
            None | Some(b"" | b"application/octet-stream") => {
                if !is_cut && data.size.is_none_or(|size| size == length) {
                    return children.child(path, Content::Object(raw));
                }
                let mut content = Checked {
                    inner: &mut raw.reader(),
                    given: 0,
                    length: data.size,
                    is_cut,
                };
                return children.child(path, Content::Stream(&mut content));
            }
            Some(b"application/x-gzip" | b"application/zlib") => &stream::ZLIB,
            Some(b"application/x-bzip2") => &stream::BZIP2,
            Some(b"application/x-lzma" | b"application/x-xz") => {
                if head.starts_with(b"\xfd7zXZ\0") {
                    &stream::XZ
                } else {
                    &stream::LZMA
                }
            }
            Some(other) => {
                let reason = Reason::Unsupported("xar-encoding".to_owned());
                let detail = other.escape_ascii().to_string();
                return children.gap(Some(path), reason, detail);
            }
        };
        let mut pieces = match Pieces::open(format, input(&raw), self.memory) {
            Ok(pieces) => pieces,
            Err(error) => return refused(format, path, error, children),
        };
        let mut content = Checked {
            inner: &mut pieces,
            given: 0,
            length: data.size,
            is_cut,
        };
        children.child(path, Content::Stream(&mut content))?;
        if let Some(at) = pieces.conclude(Some(path), children)? {
            let detail = format!(
                "{} bytes behind its compressed data",
                raw.length().saturating_sub(at)
            );
            children.gap(Some(path), Reason::Corrupt, detail)?;
            return behind(&raw, at, children);
        }
        Ok(())
    }

    /// What follows the heap. Apple puts a ticket there, which says its length at its end.
    fn trailing(&self, children: &mut dyn Children) -> Result<(), Halt> {
        let length = self.object.length();
        if self.end >= length {
            return Ok(());
        }
        let last = self.object.bytes_at(length.saturating_sub(16), 16)?;
        // libarchive writes as many bytes too much as the checksum of the table has.
        if last.starts_with(b"t8lr") || length - self.end == SHA1 {
            return behind(self.object, self.end, children);
        }
        trailing(self.object, self.end, children)
    }
}

/// Data that do not even begin as what they are said to be are damaged.
fn refused(
    format: &stream::Format,
    path: &[u8],
    error: io::Error,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match stream::refused(format, Some(path), error, children) {
        Err(Halt::Unlike) => {
            let detail = "not compressed as it says".to_owned();
            children.gap(Some(path), Reason::Corrupt, detail)
        }
        done => done,
    }
}

/// Reads a content whose length is known.
struct Checked<'a> {
    inner: &'a mut dyn Read,
    given: u64,
    length: Option<u64>,
    is_cut: bool,
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.given = self.given.saturating_add(count as u64);
        if count > 0 || out.is_empty() {
            return Ok(count);
        }
        if self.is_cut {
            return Err(cut_short("the archive ends before the file does"));
        }
        match self.length {
            Some(length) if length != self.given => {
                Err(damaged(format!("{} bytes instead of {length}", self.given)))
            }
            _ => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{
        Recorder, assert_holds, expand, mutations, said, tool, tree, withstand,
    };
    use flate2::Compression;
    use flate2::read::ZlibEncoder;

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Xar, bytes, b"x.xar")
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ZlibEncoder::new(bytes, Compression::default())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    fn archive(table: &str, heap: &[u8]) -> Vec<u8> {
        let table = format!("<?xml version=\"1.0\"?><xar><toc>{table}</toc></xar>");
        let toc = packed(table.as_bytes());
        let mut out = b"xar!\0\x1c\0\x01".to_vec();
        out.extend((toc.len() as u64).to_be_bytes());
        out.extend((table.len() as u64).to_be_bytes());
        out.extend([0; 4]);
        [&out[..], &toc, heap].concat()
    }

    /// Place and length in the heap, and the length of what comes out.
    fn data(offset: usize, length: usize, size: usize, encoding: &str) -> String {
        format!(
            "<data><length>{length}</length><offset>{offset}</offset><size>{size}</size><encoding \
             style=\"{encoding}\"/></data>"
        )
    }

    const STORED: &str = "application/octet-stream";

    #[test]
    fn files_lie_in_folders() {
        let zlib = packed(b"second");
        let heap = [&b"first"[..], &zlib].concat();
        let table = format!(
            "<file id=\"1\"><name>a &amp; b</name>{}</file><file id=\"2\"><name enctype=\"base64\">ZGly\
             </name><type>directory</type><file id=\"3\">{}<name>b</name><ea><name>e</name>\
             <offset>0</offset><size>2</size></ea></file></file><file id=\"4\"><name>none</name><data/>\
             </file><file id=\"5\"><name>link</name><type>symlink</type></file>",
            data(0, 5, 5, STORED),
            data(5, zlib.len(), 6, "application/x-gzip"),
        );
        let bytes = archive(&table, &heap);
        let got = run(&bytes);
        assert_eq!(got.gaps, []);
        assert_eq!(got.names(), ["a & b", "dir/b", "dir/b:e", "none"]);
        assert_eq!(got.children[1].1, b"second");
        assert_eq!(got.children[2].1, b"fi");
        assert_eq!(run(&[&bytes[..], b"junk"].concat()).gaps, []);
        let junk = [b'x'; 600];
        assert_eq!(run(&[&bytes[..], &junk].concat()).reasons(), ["corrupt"]);
        let ticket = [&[7; 40][..], b"t8lr", &[0; 12]].concat();
        assert_eq!(run(&[&bytes[..], &ticket].concat()).gaps, []);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let one = |data: &str| {
            run(&archive(
                &format!("<file><name>a</name>{data}</file>"),
                b"text",
            ))
        };
        let rows = [
            (data(0, 4, 4, STORED), ""),
            (data(0, 4, 5, STORED), "corrupt"),
            (data(0, 9, 9, STORED), "corrupt"),
            (
                data(0, 4, 4, "application/x-none"),
                "unsupported/xar-encoding",
            ),
            (data(0, 4, 4, "application/x-gzip"), "corrupt"),
            (data(0, 4, 4, "application/x-bzip2"), "corrupt"),
            (data(0, 4, 4, "application/x-xz"), "corrupt"),
            ("<data><length>4</length></data>".to_owned(), "corrupt"),
            (
                data(0, 4, 4, STORED).replace("<size>", "<offset>1</offset><size>"),
                "corrupt",
            ),
        ];
        for (data, reasons) in rows {
            assert_eq!(one(&data).reasons().join(" "), reasons, "{data}");
        }
        let open = one(&data(0, 4, 4, STORED).replace("</data>", ""));
        assert!(open.complained());
        let cut = run(&archive(
            &format!("<file><name>a</name>{}<b", data(0, 4, 4, STORED)),
            b"text",
        ));
        assert_eq!(cut.names(), ["a"]);
        assert!(cut.complained());
        let deep = "<file>".repeat(3000) + &"</file>".repeat(3000);
        assert_eq!(
            run(&archive(&deep, b"")).reasons(),
            ["unsupported/xar-depth"]
        );
        let mut large = archive("", b"");
        large[16] = 1;
        assert_eq!(run(&large).reasons(), ["limit/memory"]);
        assert_eq!(
            run(b"xar!").gaps,
            [said(None, "corrupt", "the header is cut")]
        );
        assert!(run(b"xbr!").unlike);
    }

    #[test]
    fn what_bsdtar_makes_is_read() {
        let Some(folder) = tool("bsdtar") else { return };
        let files = tree(&folder, 51);
        for method in ["none", "gzip", "bzip2", "lzma", "xz"] {
            let option = format!("xar:compression={method}");
            let arguments = ["LC_ALL=C.UTF-8", "bsdtar", "-cf", "out.xar", "--format=xar"];
            folder.run(
                "env",
                &[&arguments[..], &["--options", &option, "tree"]].concat(),
            );
            assert_holds(&run(&folder.read("out.xar")), &files);
        }
    }

    #[test]
    fn no_damage_panics() {
        let zlib = packed(b"second");
        let heap = [&b"first"[..], &zlib].concat();
        let table = format!(
            "<file><name>a</name>{}</file><file><name>b</name>{}</file>",
            data(0, 5, 5, STORED),
            data(5, zlib.len(), 6, "application/x-gzip"),
        );
        let sample = archive(&table, &heap);
        assert!(!run(&sample).complained());
        assert_eq!(withstand(&Xar, &sample, b"x.xar"), [0; 0]);
        // The table itself, for damage behind its compression is seldom met.
        mutations(table.as_bytes(), 3000, |table| {
            drop(run(&archive(&String::from_utf8_lossy(table), &heap)));
        });
    }
}
