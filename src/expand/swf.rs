//! Flash (the SWF file format specification, version 19): films that are compressed by zlib or LZMA, and the files that
//! are kept in one that is not.
#![forbid(unsafe_code)]

use std::io::{self, Read, Seek};

use super::inflate::Inflate;
use super::stream::{Input, Lzma, member_name};
use super::{Children, Container, Content, Expander, Halt, damaged, is_damage, trailing};
use crate::bytes::Reader;
use crate::event::{Limit, Reason};
use crate::object::Object;

/// Signature, version, length of all when it is not compressed.
const HEADER: usize = 8;

/// What follows in a film that is compressed by LZMA: the compressed length, and the properties.
const LZMA: usize = 9;

/// The tag that keeps any file, and what stands in front of that: a number and a reserved word.
const BINARY: u16 = 87;
const NUMBER: u64 = 6;

/// The expander of films.
pub(super) struct Swf;

impl Expander for Swf {
    fn kind(&self) -> &'static str {
        "swf"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let head = object.bytes_at(0, HEADER + LZMA)?;
        let header = Header::parse(&head).ok_or(Halt::Unlike)?;
        if header.signature == b'F' {
            return files(object, children);
        }
        let left = u64::from(header.length).saturating_sub(HEADER as u64);
        let plain = [b'F', b'W', b'S', header.version];
        let start = [&plain[..], &header.length.to_le_bytes()].concat();
        let name = member_name(b"", container.name, &[(".swf", ".swf")]);
        let from = |at: usize| Input::new(Box::new(object.slice(at as u64, u64::MAX).raw_reader()));
        if header.signature == b'Z' {
            let Some((properties, dictionary)) = header.lzma else {
                return Err(Halt::Broken("the header is cut".to_owned()));
            };
            let input = from(HEADER + LZMA);
            let film = match Lzma::new(input, left, properties, dictionary, container.memory) {
                Ok(film) => film,
                Err(error) if is_damage(&error) => {
                    return children.gap(Some(&name), Reason::Corrupt, error.to_string());
                }
                Err(error) => return Err(error.into()),
            };
            if u64::from(dictionary).min(left) > container.memory {
                let detail = format!("a dictionary of {dictionary} bytes");
                children.gap(Some(&name), Reason::Limit(Limit::Memory), detail)?;
            }
            let mut film = Film::new(&start, film, left);
            // What follows is the marker of an end, which not all write.
            return children.child(&name, Content::Stream(&mut film));
        }
        let mut film = Film::new(&start, Inflate::new(from(HEADER + 2)), left);
        children.child(&name, Content::Stream(&mut film))?;
        if !film.inner.ended() {
            return Ok(());
        }
        // Behind the data stands its checksum, which players do not ask for.
        let end = (HEADER + 2) as u64 + film.inner.consumed() + 4;
        trailing(object, end.min(object.length()), children)
    }
}

struct Header {
    signature: u8,
    version: u8,
    length: u32,
    lzma: Option<(u8, u32)>,
}

impl Header {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(head);
        let [signature @ (b'F' | b'C' | b'Z'), b'W', b'S', version] = reader.array()? else {
            return None;
        };
        let length = reader.u32_le()?;
        let lzma = (|| {
            reader.u32_le()?;
            let [properties] = reader.array()?;
            Some((properties, reader.u32_le()?))
        })();
        Some(Self {
            signature,
            version,
            length,
            lzma,
        })
    }
}

/// A film as it would be without compression. Its length is compared.
struct Film<'a, R> {
    start: &'a [u8],
    inner: R,
    left: u64,
    longer: bool,
}

impl<'a, R> Film<'a, R> {
    fn new(start: &'a [u8], inner: R, left: u64) -> Self {
        Self {
            start,
            inner,
            left,
            longer: false,
        }
    }
}

impl<R: Read> Read for Film<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.start.is_empty() {
            return self.start.read(out);
        }
        let count = self.inner.read(out)?;
        self.longer |= count as u64 > self.left;
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && !out.is_empty() && (self.longer || self.left > 0) {
            return Err(damaged("the length of the film differs"));
        }
        Ok(count)
    }
}

/// Gives the files in a film: tags one after the other, of which one kind keeps them.
fn files(object: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let cut = |children: &mut dyn Children| {
        let detail = "the film is cut".to_owned();
        children.gap(None, Reason::Corrupt, detail)
    };
    let mut input = object.reader();
    input.seek_relative(HEADER as i64)?;
    // A rectangle of four numbers with as many bits as it says, then rate and count of the frames.
    let Some([bits]) = take(&mut input)? else {
        return cut(children);
    };
    let rectangle = (5 + 4 * (i64::from(bits) >> 3)).div_euclid(8);
    let rest = if (5 + 4 * (i64::from(bits) >> 3)) % 8 == 0 {
        -1
    } else {
        0
    };
    input.seek_relative(rectangle + rest + 4)?;
    let mut number = 0_u64;
    loop {
        let Some(head) = take(&mut input)? else {
            return cut(children);
        };
        let head = u16::from_le_bytes(head);
        let (tag, mut length) = (head >> 6, u64::from(head & 0x3f));
        if length == 0x3f {
            let Some(long) = take(&mut input)? else {
                return cut(children);
            };
            length = u32::from_le_bytes(long).into();
        }
        if tag == 0 {
            return trailing(object, input.stream_position()?, children);
        }
        let at = input.stream_position()?;
        let there = object.length().saturating_sub(at).min(length);
        if tag == BINARY && there > NUMBER {
            number += 1;
            let file = object.slice(at + NUMBER, there - NUMBER);
            children.child(format!("file-{number}").as_bytes(), Content::Object(file))?;
        }
        if there < length {
            return cut(children);
        }
        input.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))?;
    }
}

/// The next bytes; `None` where they are not all there.
fn take<const N: usize>(input: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match input.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(Some(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, said, tool, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Swf, bytes, b"dir/x.swf")
    }

    /// A film with two files.
    fn plain() -> Vec<u8> {
        // Ten bits each: 45 bits are six bytes.
        let mut tags = vec![0x50, 0, 5, 0x5f, 0, 0];
        tags.extend([0, 12, 1, 0]);
        tags.extend((BINARY << 6 | 11).to_le_bytes());
        tags.extend(b"\x01\0\0\0\0\0first");
        tags.extend((9_u16 << 6 | 3).to_le_bytes());
        tags.extend(b"rgb");
        tags.extend((BINARY << 6 | 0x3f).to_le_bytes());
        tags.extend(306_u32.to_le_bytes());
        tags.extend(b"\x02\0\0\0\0\0");
        tags.extend([7; 300]);
        tags.extend([0, 0]);
        let length = u32::try_from(tags.len() + 8).unwrap().to_le_bytes();
        [&b"FWS\x0a"[..], &length, &tags].concat()
    }

    fn packed() -> Vec<u8> {
        let plain = plain();
        let mut out = [b"CWS", &plain[3..8]].concat();
        flate2::bufread::ZlibEncoder::new(&plain[8..], flate2::Compression::default())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    #[test]
    fn films_are_unpacked_and_their_files_given() {
        let got = run(&packed());
        assert_eq!(got.children, [(b"x.swf".to_vec(), plain())]);
        assert_eq!(got.gaps, []);
        let got = run(&plain());
        let files = [
            (b"file-1".to_vec(), b"first".to_vec()),
            (b"file-2".to_vec(), vec![7; 300]),
        ];
        assert_eq!(got.children, files);
        assert_eq!(got.gaps, []);
        let mut longer = packed();
        longer[4] += 1;
        let wanted = said(Some(b"x.swf"), "corrupt", "the length of the film differs");
        assert_eq!(run(&longer).gaps, [wanted]);
        let mut behind = packed();
        behind.extend(b"Rar!\x1a\x07\0 and so on");
        assert_eq!(run(&behind).names(), ["x.swf", "(behind the end)"]);
    }

    /// With and without the marker of an end.
    #[test]
    fn films_of_lzma_are_unpacked() {
        let Some(folder) = tool("python3") else {
            return;
        };
        let plain = plain();
        folder.write("plain", &plain[8..]);
        let program = "import lzma\ndata = open('plain', 'rb').read()\n\
            alone = lzma.compress(data, lzma.FORMAT_ALONE)\n\
            open('marked', 'wb').write(alone[:5] + alone[13:])\n";
        folder.run("python3", &["-c", program]);
        let stream = folder.read("marked");
        let length = u32::try_from(stream.len() - 5).unwrap().to_le_bytes();
        let film = [b"ZWS", &plain[3..8], &length, &stream].concat();
        let got = run(&film);
        assert_eq!(got.children, [(b"x.swf".to_vec(), plain)]);
        assert_eq!(got.gaps, []);
        withstand(&Swf, &film, b"x.swf");
    }

    /// The checksum at the end is not asked for.
    #[test]
    fn no_damage_panics() {
        let packed = packed();
        let silent = withstand(&Swf, &packed, b"x.swf");
        assert!(
            silent.iter().all(|cut| cut + 4 >= packed.len()),
            "{silent:?}"
        );
        assert_eq!(withstand(&Swf, &plain(), b"x.swf"), [0; 0]);
    }
}
