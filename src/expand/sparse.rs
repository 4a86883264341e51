//! Android's sparse images (libsparse's sparse_format.h): an image of a disk in chunks, of which those that are one number over
//! and over, or that nobody cares for, are not stored.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use super::{Children, Container, Content, Expander, Halt, cut_short, damaged, stream, trailing};
use crate::bytes::Reader;
use crate::object::Object;

pub(super) const MAGIC: &[u8] = b"\x3a\xff\x26\xed\x01\0";

/// The headers of version 1: that of the file, and that of a chunk.
const HEADER: u16 = 28;
const CHUNK_HEADER: u16 = 12;

/// The expander of sparse images.
pub(super) struct Sparse;

impl Expander for Sparse {
    fn kind(&self) -> &'static str {
        "androidsparse"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let Some(mut image) = Image::of(object)? else {
            return Err(Halt::Unlike);
        };
        let name = stream::member_name(b"", container.name, &[(".simg", ".img")]);
        children.child(&name, Content::Stream(&mut image))?;
        match image.is_at_its_end() {
            true => trailing(object, image.at, children),
            false => Ok(()),
        }
    }
}

/// What it is an image of, from its first byte on.
struct Image<'a> {
    object: &'a Object,
    /// The next chunk.
    at: u64,
    chunks: u32,
    headers: u16,
    block: u32,
    run: Run,
    /// Bytes that are left of it.
    left: u64,
}

/// What a chunk consists of.
#[derive(Debug, Clone, Copy)]
enum Run {
    /// The bytes that are stored from here on.
    Stored(u64),
    /// These, over and over.
    Filled([u8; 4]),
}

impl<'a> Image<'a> {
    fn of(object: &'a Object) -> io::Result<Option<Self>> {
        let head = object.bytes_at(0, HEADER.into())?;
        let mut reader = Reader::new(&head);
        let fields = (|| {
            let magic = reader.take(MAGIC.len())?;
            reader.take(2)?;
            let (header, headers) = (reader.u16_le()?, reader.u16_le()?);
            let (block, _, chunks) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
            let is_sound = magic == MAGIC && header >= HEADER && headers >= CHUNK_HEADER;
            is_sound.then_some((header, headers, block, chunks))
        })();
        Ok(fields.map(|(header, headers, block, chunks)| Self {
            object,
            at: header.into(),
            chunks,
            headers,
            block,
            run: Run::Filled([0; 4]),
            left: 0,
        }))
    }

    fn is_at_its_end(&self) -> bool {
        self.chunks == 0 && self.left == 0
    }

    /// Goes on to the next chunk.
    fn next(&mut self) -> io::Result<()> {
        let header = self.object.bytes_at(self.at, CHUNK_HEADER.into())?;
        let mut reader = Reader::new(&header);
        let fields = (
            reader.u16_le(),
            reader.u16_le(),
            reader.u32_le(),
            reader.u32_le(),
        );
        let (Some(kind), _, Some(blocks), Some(length)) = fields else {
            return Err(cut_short("a chunk is cut"));
        };
        let start = self.at.saturating_add(self.headers.into());
        let stored = u64::from(length).checked_sub(self.headers.into());
        let whole = u64::from(blocks) * u64::from(self.block);
        let (run, left) = match (kind, stored) {
            (0xcac1, Some(stored)) if stored == whole => (Run::Stored(start), whole),
            (0xcac2, Some(4)) => {
                let bytes = self.object.bytes_at(start, 4)?;
                let Some(bytes) = bytes.first_chunk() else {
                    return Err(cut_short("a chunk is cut"));
                };
                (Run::Filled(*bytes), whole)
            }
            (0xcac3, Some(0)) => (Run::Filled([0; 4]), whole),
            // The checksum of all before, which tools do not ask for.
            (0xcac4, Some(4)) => (Run::Filled([0; 4]), 0),
            _ => {
                return Err(damaged(format!(
                    "a chunk of type {kind:#x} and {length} bytes"
                )));
            }
        };
        self.at = self.at.saturating_add(length.into());
        (self.run, self.left) = (run, left);
        self.chunks = self.chunks.saturating_sub(1);
        Ok(())
    }
}

impl Read for Image<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.chunks == 0 {
                return Ok(0);
            }
            self.next()?;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(out.len());
        let out = out.get_mut(..most).unwrap_or_default();
        let count = match &mut self.run {
            Run::Stored(at) => {
                let count = self.object.read_at(out, *at)?;
                *at = at.saturating_add(count as u64);
                if count == 0 && !out.is_empty() {
                    return Err(cut_short("an image without its end"));
                }
                count
            }
            Run::Filled(bytes) => {
                for (place, byte) in out.iter_mut().zip(bytes.iter().cycle()) {
                    *place = *byte;
                }
                bytes.rotate_left(out.len() % 4);
                out.len()
            }
        };
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, said, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Sparse, bytes, b"a.simg")
    }

    /// An image of blocks of eight bytes with these chunks: type, blocks, what is stored.
    fn image(chunks: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let count = u32::try_from(chunks.len()).unwrap();
        let mut out = [MAGIC, &[0, 0, 28, 0, 12, 0]].concat();
        out.extend([8, 0, count, 0].map(u32::to_le_bytes).concat());
        for (kind, blocks, stored) in chunks {
            let length = u32::try_from(stored.len()).unwrap() + 12;
            out.extend([kind.to_le_bytes(), [0; 2]].concat());
            out.extend([*blocks, length].map(u32::to_le_bytes).concat());
            out.extend(*stored);
        }
        out
    }

    #[test]
    fn chunks_are_one_image() {
        let chunks: [(u16, u32, &[u8]); 5] = [
            (0xcac1, 2, b"sixteen bytes of"),
            (0xcac3, 1, b""),
            (0xcac4, 0, b"sum."),
            (0xcac2, 1, b"fill"),
            (0xcac1, 1, b"the end."),
        ];
        let bytes = image(&chunks);
        let got = run(&bytes);
        let wanted = b"sixteen bytes of\0\0\0\0\0\0\0\0fillfillthe end.".to_vec();
        assert_eq!(
            (got.children, got.gaps),
            (vec![(b"a.img".to_vec(), wanted)], vec![])
        );
        let got = run(&bytes[..bytes.len() - 4]);
        let detail = "an image without its end";
        assert_eq!(got.gaps, [said(Some(b"a.img"), "corrupt", detail)]);
        let more = [b'x'; 600];
        assert_eq!(run(&[&bytes[..], &more].concat()).reasons(), ["corrupt"]);
        assert_eq!(
            run(&image(&[(0xcac1, 2, b"too few")])).reasons(),
            ["corrupt"]
        );
        assert!(run(&bytes[..20]).unlike);
    }

    #[test]
    fn no_damage_panics() {
        let sample = image(&[(0xcac2, 1, b"fill"), (0xcac1, 1, b"the end.")]);
        assert_eq!(withstand(&Sparse, &sample, b"x"), [0; 0]);
    }
}
