//! ActiveMime: how Office keeps macros and embedded objects in its XML of 2003 and in web pages (`editdata.mso`). A header, and an
//! OLE2 document as a zlib stream.
#![forbid(unsafe_code)]

use super::stream::{self, Input, Pieces, ZLIB, member_name};
use super::{Children, Container, Content, Expander, Halt, behind};
use crate::bytes::Reader;
use crate::event::Reason;

/// What it begins with.
const MAGIC: &[u8] = b"ActiveMime";

/// Where the header says how long it is, and how much that does not count.
const LENGTH: usize = 0x1e;
const UNCOUNTED: usize = 46;

/// Where the stream begins as a rule.
const USUAL: [usize; 2] = [0x32, 0x22a];

/// Bytes in which the stream is looked for, where it is at none of those places.
const SEARCHED: usize = 4096;

/// The expander of ActiveMime.
pub(super) struct ActiveMime;

impl Expander for ActiveMime {
    fn kind(&self) -> &'static str {
        "activemime"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, SEARCHED)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(at) = start(&head) else {
            return Err(Halt::Broken("no zlib stream".to_owned()));
        };
        let name = member_name(b"", container.name, &[(".mso", "")]);
        let stream = object.slice(at, u64::MAX);
        let input = Input::new(Box::new(stream.raw_reader()));
        let mut pieces = match Pieces::open(&ZLIB, input, container.memory) {
            Ok(pieces) => pieces,
            Err(error) => return stream::refused(&ZLIB, Some(&name), error, children),
        };
        children.child(&name, Content::Stream(&mut pieces))?;
        let Some(end) = pieces.conclude(Some(&name), children)? else {
            return Ok(());
        };
        let detail = "more behind the compressed data".to_owned();
        children.gap(None, Reason::Corrupt, detail)?;
        behind(object, at.saturating_add(end), children)
    }
}

/// Where the stream begins: where the header says, where it does as a rule, or anywhere.
fn start(head: &[u8]) -> Option<u64> {
    let mut field = Reader::new(head.get(LENGTH..).unwrap_or_default());
    let said = field
        .u16_le()
        .map(|length| usize::from(length).saturating_add(UNCOUNTED));
    let places = said.into_iter().chain(USUAL);
    let searched = memchr::memchr_iter(0x78, head);
    let mut places = places.chain(searched);
    places
        .find(|at| head.get(*at..).is_some_and(begins))
        .map(|at| at as u64)
}

/// The header of a zlib stream with the largest window and without a dictionary.
fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [0x78, flags, ..] if flags & 0x20 == 0 && (0x7800 | u16::from(*flags)) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, said, withstand};
    use std::io::Write;

    fn run(bytes: &[u8]) -> Recorder {
        expand(&ActiveMime, bytes, b"editdata.mso")
    }

    /// With a header of this length, which it says or not.
    fn sample(length: usize, says: bool) -> Vec<u8> {
        let mut out = b"ActiveMime\0\0\xf0\x01\x04\0\0\0\xff\xff\xff\xff".to_vec();
        out.resize(length, 0);
        let field = u16::try_from(length - UNCOUNTED).unwrap();
        out[LENGTH..LENGTH + 2].copy_from_slice(&field.to_le_bytes());
        if !says {
            out[LENGTH] ^= 0x40;
        }
        let mut zlib = flate2::write::ZlibEncoder::new(out, flate2::Compression::best());
        zlib.write_all(b"an OLE2 document").unwrap();
        zlib.finish().unwrap()
    }

    #[test]
    fn the_document_is_given_wherever_it_begins() {
        for (length, says) in [
            (0x32, true),
            (0x32, false),
            (0x22a, false),
            (0x100, true),
            (0x101, false),
        ] {
            let got = run(&sample(length, says));
            assert_eq!(got.gaps, [], "{length}");
            assert_eq!(
                got.children,
                [(b"editdata".to_vec(), b"an OLE2 document".to_vec())]
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let none = &sample(0x32, true)[..0x32];
        assert_eq!(run(none).gaps, [said(None, "corrupt", "no zlib stream")]);
        let more = [&sample(0x32, true)[..], b"more"].concat();
        assert_eq!(run(&more).reasons(), ["corrupt"]);
        assert!(run(b"Active").unlike);
    }

    #[test]
    fn no_damage_panics() {
        assert_eq!(withstand(&ActiveMime, &sample(0x32, true), b"x"), [0; 0]);
    }
}
