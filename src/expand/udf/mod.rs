//! UDF (ECMA-167, third edition; OSTA UDF 2.60): discs and, seldom, disks.
//!
//! Descriptors are found from an anchor, of which an image has several; each leads to two copies of the description of the
//! volume. Where copies differ, readers show different files: all are walked. Blocks may be addressed through a table or
//! through a file (virtual and metadata partitions), which are read first.
#![forbid(unsafe_code)]

mod node;
mod volume;

use std::io::{self, BufReader, Read};

use self::node::{Body, Node};
use self::volume::{Place, Volume};
use super::extents::{Guard, Image, join};
use super::{Children, Container, Content, Expander, Halt, is_damage, trailing};
use crate::bytes::Reader;
use crate::event::{NoteKind, Reason};

/// The fixed part of a file identifier descriptor.
const IDENTIFIER: usize = 38;

/// What a file identifier says about its file.
const IS_DELETED: u8 = 0x04;
const IS_PARENT: u8 = 0x08;

/// The expander of UDF.
pub(super) struct Udf;

impl Expander for Udf {
    fn kind(&self) -> &'static str {
        "udf"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let image = Image::new(container.object)?;
        match tree(&image, container.memory, &|_, _| false, children)? {
            Tree::None => Err(Halt::Broken("no anchor of the volume".to_owned())),
            Tree::Given { end, .. } => {
                let (object, end) = image.place(end);
                trailing(object, end, children)
            }
        }
    }
}

/// What came of looking for UDF.
pub(super) enum Tree {
    /// There is no anchor.
    None,
    /// There is; so many files were given, and it ends there.
    Given { files: u64, end: u64 },
}

/// Gives the files of all volumes but those whose place and length are known.
pub(super) fn tree(
    image: &Image,
    memory: u64,
    known: &dyn Fn(u64, u64) -> bool,
    children: &mut dyn Children,
) -> Result<Tree, Halt> {
    let Some(found) = volume::find(image, memory)? else {
        return Ok(Tree::None);
    };
    if found.volumes.is_empty() {
        let detail = "no description of the volume".to_owned();
        children.gap(None, Reason::Corrupt, detail)?;
    }
    let length = image.length();
    // A disc that is still written to has a partition up to the end of the medium.
    if length < found.end && !found.volumes.iter().any(Volume::is_virtual) {
        let detail = format!("{length} of {} bytes are there", found.end);
        children.gap(None, Reason::Corrupt, detail)?;
    }
    for detail in found.complaints {
        children.gap(None, Reason::Corrupt, detail)?;
    }
    let mut files = 0;
    for (number, volume) in found.volumes.iter().enumerate() {
        if number > 0 {
            let detail = "the copies of the volume's description differ".to_owned();
            children.note(NoteKind::Ambiguous("udf-volumes".to_owned()), detail)?;
        }
        let mut walk = Walk {
            image,
            volume,
            known,
            guard: Guard::of(image, memory),
            folders: Vec::new(),
            memory,
            files: 0,
        };
        walk.all(children)?;
        files += walk.files;
    }
    Ok(Tree::Given {
        files,
        end: found.end,
    })
}

/// A folder that is to be read.
struct Folder {
    path: Vec<u8>,
    /// What stands between its path and the names in it.
    separator: &'static [u8],
    icb: Place,
}

/// A walk through one volume.
struct Walk<'a> {
    image: &'a Image,
    volume: &'a Volume,
    known: &'a dyn Fn(u64, u64) -> bool,
    guard: Guard,
    folders: Vec<Folder>,
    memory: u64,
    files: u64,
}

impl Walk<'_> {
    fn all(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        let (roots, complaints) = self.volume.roots(self.image)?;
        for (reason, detail) in complaints {
            children.gap(None, reason, detail)?;
        }
        for (root, streams) in roots {
            for (icb, path) in [(Some(root), &b""[..]), (streams, b"[streams]")] {
                let Some(icb) = icb else { continue };
                self.folders.push(Folder {
                    path: path.to_vec(),
                    separator: b"/",
                    icb,
                });
                self.walk(children)?;
            }
        }
        Ok(())
    }

    fn walk(&mut self, children: &mut dyn Children) -> Result<(), Halt> {
        while let Some(folder) = self.folders.pop() {
            let first = self.folders.len();
            self.folder(&folder, children)?;
            // In the order in which they stand there.
            if let Some(new) = self.folders.get_mut(first..) {
                new.reverse();
            }
        }
        Ok(())
    }

    /// The node at a place; what is wrong with it is said.
    fn node(
        &mut self,
        name: &[u8],
        icb: Place,
        children: &mut dyn Children,
    ) -> Result<Option<Node>, Halt> {
        let name = Some(name).filter(|name| !name.is_empty());
        match Node::read(self.image, self.volume, icb, self.memory, &mut self.guard)? {
            Ok(node) => {
                for (reason, detail) in &node.complaints {
                    children.gap(name, reason.clone(), detail.clone())?;
                }
                Ok(Some(node))
            }
            Err((reason, detail)) => {
                children.gap(name, reason, detail)?;
                Ok(None)
            }
        }
    }

    fn folder(&mut self, folder: &Folder, children: &mut dyn Children) -> Result<(), Halt> {
        let place = match self.volume.locate(folder.icb) {
            Ok(pieces) => pieces.first().and_then(|piece| piece.at),
            Err((reason, detail)) => {
                let path = Some(folder.path.as_slice()).filter(|path| !path.is_empty());
                return children.gap(path, reason, detail);
            }
        };
        if let Err(refused) = self
            .guard
            .enter((place.unwrap_or_default(), folder.icb.map.into()))
        {
            return refused.say(&folder.path, children);
        }
        let Some(node) = self.node(&folder.path, folder.icb, children)? else {
            return Ok(());
        };
        if let Err(refused) = self.guard.read(node.length) {
            return refused.say(&folder.path, children);
        }
        let embedded;
        let reader: Box<dyn Read + '_> = match node.body {
            Body::Embedded(bytes) => {
                embedded = bytes;
                Box::new(&embedded[..])
            }
            Body::Pieces(pieces) => Box::new(self.image.reader(pieces)),
        };
        let mut reader = BufReader::new(reader);
        loop {
            match entry(&mut reader) {
                Ok(None) => return Ok(()),
                Ok(Some(entry)) => self.entry(folder, &entry, children)?,
                Err(error) if is_damage(&error) => {
                    let path = Some(folder.path.as_slice()).filter(|path| !path.is_empty());
                    let detail = format!("a folder is damaged: {error}");
                    return children.gap(path, Reason::Corrupt, detail);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn entry(
        &mut self,
        folder: &Folder,
        entry: &Entry,
        children: &mut dyn Children,
    ) -> Result<(), Halt> {
        if entry.characteristics & (IS_DELETED | IS_PARENT) != 0 {
            return Ok(());
        }
        let path = match folder.separator {
            b"/" => join(&folder.path, &entry.name),
            separator => [&folder.path[..], separator, &entry.name].concat(),
        };
        let Some(node) = self.node(&path, entry.icb, children)? else {
            return Ok(());
        };
        if let Err(refused) = self.guard.remember(path.len()) {
            return refused.say(&path, children);
        }
        if let Some(streams) = node.streams {
            self.folders.push(Folder {
                path: path.clone(),
                separator: b":",
                icb: streams,
            });
        }
        if node.is_folder() {
            self.folders.push(Folder {
                path,
                separator: b"/",
                icb: entry.icb,
            });
            return Ok(());
        }
        if node.is_link() {
            return Ok(());
        }
        match node.body {
            Body::Embedded(bytes) => {
                self.files += 1;
                children.child(&path, Content::Stream(&mut &bytes[..]))
            }
            Body::Pieces(pieces) => {
                let place = pieces.first().and_then(|piece| piece.at);
                if (self.known)(place.unwrap_or_default(), node.length) {
                    return Ok(());
                }
                self.files += 1;
                self.image.give(&path, pieces, children)
            }
        }
    }
}

/// A file identifier descriptor (ECMA-167 4/14.4).
struct Entry {
    characteristics: u8,
    icb: Place,
    name: Vec<u8>,
}

fn entry(reader: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut fixed = Vec::new();
    reader.take(IDENTIFIER as u64).read_to_end(&mut fixed)?;
    if fixed.is_empty() {
        return Ok(None);
    }
    let fields = (|| {
        let mut fields = Reader::new(fixed.get(18..)?);
        let [characteristics, name] = fields.array()?;
        let icb = Place::long(&mut fields)?;
        Some((characteristics, name, icb, fields.u16_le()?))
    })();
    let (Some((characteristics, name, icb, other)), Some(_)) =
        (fields, volume::tag(&fixed, volume::FILE_IDENTIFIER))
    else {
        return Err(super::damaged("not a file identifier"));
    };
    let variable = usize::from(other) + usize::from(name);
    let padded = (IDENTIFIER + variable).next_multiple_of(4) - IDENTIFIER;
    let mut rest = Vec::new();
    reader.take(padded as u64).read_to_end(&mut rest)?;
    let Some(name) = rest.get(other.into()..variable) else {
        return Err(super::cut_short("a file identifier is cut"));
    };
    Ok(Some(Entry {
        characteristics,
        icb,
        name: text(name),
    }))
}

/// A text in OSTA's compressed Unicode (UDF 2.1.1): one or two bytes for a letter.
fn text(bytes: &[u8]) -> Vec<u8> {
    let Some((width, letters)) = bytes.split_first() else {
        return Vec::new();
    };
    let text: String = if *width == 8 {
        letters.iter().map(|byte| char::from(*byte)).collect()
    } else {
        let (units, _) = letters.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
        char::decode_utf16(units)
            .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    text.into_bytes()
}

#[cfg(test)]
mod tests;
