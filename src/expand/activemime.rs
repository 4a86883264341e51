//! ActiveMime, as Office keeps the OLE2 file of macros beside a document in XML or HTML (`editdata.mso`): a zlib stream behind a
//! header, of which all that is known is what readers do.
#![forbid(unsafe_code)]

use super::inflate::Inflate;
use super::stream::{Input, is_zlib};
use super::{Children, Container, Content, Expander, Halt, trailing};
use crate::object::Probe;

/// The header begins with this.
pub(super) const MAGIC: &[u8] = b"ActiveMime\0\0";

/// Where the length of the header's rest is, and what is added to it.
const LENGTH: usize = 0x1e;
const ADDED: usize = 46;

/// Where the stream is in most files.
const PLACES: [usize; 2] = [0x32, 0x22a];

/// Bytes in which it is searched for elsewhere.
const NEAR: usize = 4 * 1024;

/// The expander of ActiveMime.
pub(super) struct ActiveMime;

impl Expander for ActiveMime {
    fn kind(&self) -> &'static str {
        "activemime"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, 2 * NEAR)?;
        if !head.starts_with(MAGIC) {
            return Err(Halt::Unlike);
        }
        let Some(at) = place(&head) else {
            return Err(Halt::Broken(
                "no compressed data behind the header".to_owned(),
            ));
        };
        let at = at as u64;
        let input = Input::new(Box::new(object.slice(at + 2, u64::MAX).raw_reader()));
        let mut stream = Inflate::new(input);
        children.child(b"data", Content::Stream(&mut stream))?;
        if !stream.ended() {
            return Ok(());
        }
        let end = at + 2 + stream.consumed() + 4;
        trailing(object, end.min(object.length()), children)
    }
}

/// Where the stream begins.
fn place(head: &[u8]) -> Option<usize> {
    let said = head.get(LENGTH..LENGTH + 2)?;
    let said = match said {
        [low, high] => usize::from(*low) | usize::from(*high) << 8,
        _ => 0,
    };
    let known = std::iter::once(said + ADDED).chain(PLACES);
    let others = memchr::memchr_iter(b'\x78', head.get(..NEAR).unwrap_or(head));
    let begins = |at: &usize| {
        let probe = Probe {
            head: head.get(*at..).unwrap_or_default().to_vec(),
            ..Probe::default()
        };
        is_zlib(&probe)
    };
    known.chain(others).find(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Random, expand, object, withstand};
    use std::io::Write;

    fn sample(gap: usize, content: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.resize(gap, 0);
        let mut encoder = flate2::write::ZlibEncoder::new(bytes, flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_behind_the_header_is_decompressed() {
        let content = [Random::new(1).bytes(3000), vec![7; 3000]].concat();
        for gap in [0x32, 0x22a, 0x40, 0x101] {
            let bytes = sample(gap, &content);
            let kinds = crate::expand::recognise(&object(&bytes).probe().unwrap());
            assert_eq!(kinds.first().map(|kind| kind.name), Some("activemime"));
            let got = expand(&ActiveMime, &bytes, b"editdata.mso");
            assert_eq!(got.children, [(b"data".to_vec(), content.clone())]);
            assert_eq!(got.gaps, [], "{gap}");
        }
        let mut said = sample(0x80, &content);
        said[LENGTH] = 0x80 - 46;
        assert_eq!(expand(&ActiveMime, &said, b"x").children.len(), 1);
        // The checksum at the end is nobody's concern.
        let silent = withstand(&ActiveMime, &sample(0x32, b"some content"), b"x");
        assert!(silent.len() <= 4, "{silent:?}");
        assert!(expand(&ActiveMime, &MAGIC.repeat(30), b"x").complained());
    }
}
