//! Windows images (Microsoft, "Windows Imaging File Format"): contents that are stored once, by their SHA-1, and trees of
//! names that refer to them.
#![forbid(unsafe_code)]

mod bits;
mod lzx;
mod repeat;
mod resource;
mod xpress;

use std::collections::HashMap;
use std::io;

use data_encoding::HEXLOWER;

use self::resource::{Method, Resource};
use super::extents::{Guard, join};
use super::{Children, Container, Content, Expander, Halt, is_damage, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, NoteKind, Reason};
use crate::object::Object;

const MAGIC: &[u8] = b"MSWIM\0\0\0";

/// The header, an entry of the table of contents, and the fixed part of a name's entry.
const HEADER: usize = 208;
const ENTRY: u64 = 50;
const NAME: usize = 102;

/// The part of the memory that a tree of names may have.
const TREE: u64 = 4;

/// What a resource is.
const METADATA: u8 = 0x02;

/// The name's entry is a folder.
const FOLDER: u32 = 0x10;

type Hash = [u8; 20];

/// The expander of Windows images.
pub(super) struct Wim;

impl Expander for Wim {
    fn kind(&self) -> &'static str {
        "wim"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER)?;
        if head.starts_with(b"WLPWM\0\0\0") {
            let reason = Reason::Unsupported("wim-pipable".to_owned());
            return children.gap(None, reason, "the form that can be sent".to_owned());
        }
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(header) = Header::read(&head) else {
            return Err(Halt::Broken("the header is cut".to_owned()));
        };
        if header.parts > 1 {
            let reason = Reason::Unsupported("wim-split".to_owned());
            children.gap(None, reason, format!("one of {} parts", header.parts))?;
        }
        let mut image = Image {
            object,
            method: Method::of(header.flags, header.chunk),
            memory: container.memory,
            part: header.part,
            contents: HashMap::new(),
            trees: Vec::new(),
            guard: Guard::new(u64::MAX, container.memory),
            end: HEADER as u64,
        };
        for place in [&header.table, &header.xml, &header.integrity] {
            image.end = image.end.max(place.end());
        }
        image.table(&header.table, children)?;
        image.all(children)?;
        if image.end > object.length() {
            let detail = format!("{} of {} bytes are there", object.length(), image.end);
            return children.gap(None, Reason::Corrupt, detail);
        }
        if image.end < object.length() {
            return trailing(object, image.end, children);
        }
        Ok(())
    }
}

/// What the header says.
struct Header {
    flags: u32,
    chunk: u32,
    part: u16,
    parts: u16,
    table: Resource,
    xml: Resource,
    integrity: Resource,
}

impl Header {
    fn read(head: &[u8]) -> Option<Self> {
        let at = |at: usize| Some(Reader::new(head.get(at..)?));
        Some(Self {
            flags: at(16)?.u32_le()?,
            chunk: at(20)?.u32_le()?,
            part: at(40)?.u16_le()?,
            parts: at(42)?.u16_le()?,
            table: Resource::read(&mut at(48)?)?,
            xml: Resource::read(&mut at(72)?)?,
            integrity: Resource::read(&mut at(124)?)?,
        })
    }
}

/// A content, and whether a name leads to it.
struct Stored {
    resource: Resource,
    part: u16,
    named: bool,
}

struct Image<'a> {
    object: &'a Object,
    method: Method,
    memory: u64,
    part: u16,
    contents: HashMap<Hash, Stored>,
    /// The trees of names.
    trees: Vec<Resource>,
    guard: Guard,
    end: u64,
}

/// A folder whose entries are to be read.
struct Folder {
    path: Vec<u8>,
    at: u64,
}

impl Image<'_> {
    fn table(&mut self, place: &Resource, children: &mut dyn Children) -> Result<(), Halt> {
        let mut reader = place.reader(self.object, self.method, self.memory);
        loop {
            let entry = match resource::bytes(&mut reader, ENTRY) {
                Ok(entry) => entry,
                Err(error) if is_damage(&error) => {
                    let detail = format!("the table of contents: {error}");
                    return children.gap(None, Reason::Corrupt, detail);
                }
                Err(error) => return Err(error.into()),
            };
            let mut fields = Reader::new(&entry);
            let entry = (|| {
                let resource = Resource::read(&mut fields)?;
                let part = fields.u16_le()?;
                fields.take(4)?;
                Some((resource, part, fields.array::<20>()?))
            })();
            let Some((resource, part, hash)) = entry else {
                return Ok(());
            };
            if part == self.part {
                self.end = self.end.max(resource.end());
            }
            if let Err(refused) = self.guard.remember(0) {
                return refused.say(b"", children);
            }
            if resource.flags & METADATA != 0 {
                self.trees.push(resource);
            } else {
                let named = false;
                let stored = Stored {
                    resource,
                    part,
                    named,
                };
                self.contents.insert(hash, stored);
            }
        }
    }

    fn all(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let trees = std::mem::take(&mut self.trees);
        for (number, tree) in trees.iter().enumerate() {
            // The image's number is in the names only where there are several.
            let path = if trees.len() > 1 {
                (number + 1).to_string().into_bytes()
            } else {
                Vec::new()
            };
            self.tree(tree, path, children)?;
        }
        let nameless: Vec<Hash> = (self.contents.iter())
            .filter(|(_, stored)| !stored.named)
            .map(|(hash, _)| *hash)
            .collect();
        if nameless.is_empty() {
            return Ok(());
        }
        let detail = format!("{} contents have no name", nameless.len());
        children.note(NoteKind::Ambiguous("wim-unlisted".to_owned()), detail)?;
        for hash in nameless {
            let name = HEXLOWER.encode(&hash).into_bytes();
            self.content(&name, &hash, children)?;
        }
        Ok(())
    }

    fn tree(
        &mut self,
        tree: &Resource,
        path: Vec<u8>,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if let Some((reason, detail)) = tree.refusal(self.method) {
            return children.gap(None, reason, detail);
        }
        if tree.length > self.memory / TREE {
            let detail = format!("a tree of names of {} bytes", tree.length);
            return children.gap(None, Reason::Limit(Limit::Memory), detail);
        }
        let mut bytes = Vec::new();
        let mut reader = tree.reader(self.object, self.method, self.memory);
        let said = match io::Read::read_to_end(&mut reader, &mut bytes) {
            Ok(_) => None,
            Err(error) if is_damage(&error) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        if let Some(detail) = said {
            let detail = format!("the tree of names: {detail}");
            children.gap(None, Reason::Corrupt, detail)?;
        }
        // Security comes first, and is padded to eight bytes.
        let security = Reader::new(&bytes).u32_le().unwrap_or_default();
        let at = u64::from(security).max(8).next_multiple_of(8);
        let mut guard = Guard::new((bytes.len() as u64).saturating_mul(2), self.memory);
        let mut folders = vec![Folder { path, at }];
        let mut is_root = true;
        while let Some(folder) = folders.pop() {
            if let Err(refused) = guard.enter((folder.at, 0)) {
                refused.say(&folder.path, children)?;
                continue;
            }
            let first = folders.len();
            let mut at = folder.at;
            loop {
                let start = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
                let length = start.and_then(|rest| Reader::new(rest).u64_le());
                if length == Some(0) {
                    break;
                }
                let Some(entry) = Name::read(&bytes, at) else {
                    let path = Some(folder.path.as_slice()).filter(|path| !path.is_empty());
                    let detail = "a damaged name in the folder".to_owned();
                    children.gap(path, Reason::Corrupt, detail)?;
                    break;
                };
                let path = match is_root {
                    true => folder.path.clone(),
                    false => join(&folder.path, &entry.name),
                };
                let paid = guard.read(entry.end.saturating_sub(at));
                at = entry.end;
                // The paths of folders wait until they are opened.
                let kept = if entry.folder == 0 { 0 } else { path.len() };
                if let Err(refused) = paid.and_then(|()| guard.remember(kept)) {
                    refused.say(&folder.path, children)?;
                    break;
                }
                self.name(&path, &entry, children)?;
                if entry.folder != 0 {
                    let at = entry.folder;
                    folders.push(Folder { path, at });
                }
                // The root stands alone.
                if std::mem::take(&mut is_root) {
                    break;
                }
            }
            if let Some(new) = folders.get_mut(first..) {
                new.reverse();
            }
        }
        Ok(())
    }

    /// Gives the contents of one name.
    fn name(&mut self, path: &[u8], name: &Name, children: &mut dyn Children) -> Result<(), Halt> {
        for (stream, hash) in &name.streams {
            let path = match &stream[..] {
                b"" => path.to_vec(),
                stream => [path, b":", stream].concat(),
            };
            if *hash != Hash::default() {
                self.content(&path, hash, children)?;
            } else if !name.is_folder && stream.is_empty() && name.streams.len() == 1 {
                children.child(&path, Content::Stream(&mut io::empty()))?;
            }
        }
        Ok(())
    }

    fn content(
        &mut self,
        path: &[u8],
        hash: &Hash,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        let Some(stored) = self.contents.get_mut(hash) else {
            let detail = "its content is not in the table of contents".to_owned();
            return children.gap(Some(path), Reason::Corrupt, detail);
        };
        stored.named = true;
        if stored.part != self.part {
            let reason = Reason::Unsupported("wim-split".to_owned());
            return children.gap(Some(path), reason, format!("in part {}", stored.part));
        }
        if let Some((reason, detail)) = stored.resource.refusal(self.method) {
            return children.gap(Some(path), reason, detail);
        }
        if let Some(object) = stored.resource.object(self.object) {
            return children.child(path, Content::Object(object));
        }
        let mut reader = stored
            .resource
            .reader(self.object, self.method, self.memory);
        children.child(path, Content::Stream(&mut reader))
    }
}

/// A name's entry in a tree.
struct Name {
    name: Vec<u8>,
    is_folder: bool,
    /// Where the entries in this folder are.
    folder: u64,
    /// Names and contents; the first is its own.
    streams: Vec<(Vec<u8>, Hash)>,
    end: u64,
}

impl Name {
    fn read(tree: &[u8], at: u64) -> Option<Self> {
        let start = usize::try_from(at).ok()?;
        let entry = tree.get(start..)?;
        let length = usize::try_from(Reader::new(entry).u64_le()?).ok()?;
        let fixed = entry.get(..NAME).filter(|_| length >= NAME)?;
        let field = |at: usize| Some(Reader::new(fixed.get(at..)?));
        let is_folder = field(8)?.u32_le()? & FOLDER != 0;
        let folder = field(16)?.u64_le()?;
        let own: Hash = field(64)?.array()?;
        let streams = field(96)?.u16_le()?;
        let name_length = usize::from(field(100)?.u16_le()?);
        let name = text(entry.get(NAME..NAME + name_length)?);
        let mut end = at.checked_add(length as u64)?.checked_next_multiple_of(8)?;
        let mut all = vec![(Vec::new(), own)];
        for _ in 0..streams {
            let stream = tree.get(usize::try_from(end).ok()?..)?;
            let mut fields = Reader::new(stream);
            let length = fields.u64_le()?;
            fields.take(8)?;
            let hash = fields.array()?;
            let name_length = usize::from(fields.u16_le()?);
            let name = text(fields.take(name_length)?);
            if length < 38 {
                return None;
            }
            all.push((name, hash));
            end = end.checked_add(length)?.checked_next_multiple_of(8)?;
        }
        // With others beside it, the content without a name stands among them.
        if streams > 0 && own == Hash::default() {
            all.remove(0);
        }
        Some(Self {
            name,
            is_folder,
            folder,
            streams: all,
            end,
        })
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: String = char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text.into_bytes()
}

#[cfg(test)]
mod tests;
