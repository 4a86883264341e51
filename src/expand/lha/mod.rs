//! LHA and LZH: headers of level 0 to 3, as the comments of LHa for UNIX describe them; the crate delharc reads the headers and
//! decodes the rarer methods.
#![forbid(unsafe_code)]

mod crc16;
mod other;

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use delharc::header::CompressionMethod;
use delharc::{LhaError, LhaHeader};

use self::crc16::Crc16;
use self::other::Other;
use super::lzh::{Lzh, Method};
use super::{Children, Container, Content, Expander, Halt, behind, damaged, recognise, trailing};
use crate::event::Reason;
use crate::object::{CHUNK, Object, ObjectReader};

/// Enough for most headers.
const BUFFER: usize = 512;

/// A header with the extended ones: the length of level 2 has two bytes, and nothing writes more.
const HEADER: usize = 1 << 16;

/// Extended headers: the checksum of all, the name, the folder, a comment.
const COMMON: u8 = 0;
const NAME: u8 = 1;
const FOLDER: u8 = 2;
const COMMENT: u8 = 0x3f;

/// The expander of LHA.
pub(super) struct Lha;

impl Expander for Lha {
    fn kind(&self) -> &'static str {
        "lha"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let mut archive = Archive {
            object: container.object,
            input: BufReader::with_capacity(BUFFER, container.object.raw_reader()),
            at: 0,
        };
        if !matches!(archive.header(0)?, Found::Header(..) | Found::Doubtful(..)) {
            return Err(Halt::Unlike);
        }
        while archive.entry(children)? {}
        Ok(())
    }
}

/// Where an archive that begins at the first byte ends; nothing if its first header is not sound.
pub(super) fn extent(object: &Object) -> io::Result<Option<u64>> {
    let mut archive = Archive {
        object,
        input: BufReader::with_capacity(BUFFER, object.raw_reader()),
        at: 0,
    };
    loop {
        match archive.header(archive.at)? {
            Found::Header(header, end) => {
                let next = end.saturating_add(header.compressed_size);
                if archive.at == 0 && next > object.length() {
                    return Ok(None);
                }
                archive.at = next;
            }
            Found::End if archive.at > 0 => return Ok(Some(archive.at.saturating_add(1))),
            Found::End => return Ok(None),
            Found::Nothing | Found::Doubtful(..) | Found::Damage(_) => {
                return Ok(Some(archive.at).filter(|at| *at > 0));
            }
        }
    }
}

/// The cursor.
struct Archive<'a> {
    object: &'a Object,
    input: BufReader<ObjectReader>,
    at: u64,
}

/// What stands where a header should be.
enum Found {
    /// A header, and where it ends.
    Header(Box<LhaHeader>, u64),
    /// The same, but its checksum does not hold.
    Doubtful(Box<LhaHeader>, u64, String),
    /// The byte that ends an archive.
    End,
    /// The end of the file.
    Nothing,
    Damage(String),
}

impl Archive<'_> {
    fn header(&mut self, at: u64) -> io::Result<Found> {
        if at >= self.object.length() {
            return Ok(Found::Nothing);
        }
        self.input.seek(SeekFrom::Start(at))?;
        match LhaHeader::read(&mut self.input) {
            Ok(Some(header)) => {
                let end = self.input.stream_position()?;
                Ok(Found::Header(Box::new(header), end))
            }
            Ok(None) => Ok(Found::End),
            Err(LhaError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            Err(error) => self.doubtful(at, error.to_string()),
        }
    }

    /// A header that nothing is wrong with but its checksum, or else the damage.
    fn doubtful(&self, at: u64, damage: String) -> io::Result<Found> {
        let bytes = self.object.bytes_at(at, HEADER)?;
        let Some(bytes) = without_sum(bytes) else {
            return Ok(Found::Damage(damage));
        };
        let mut rest = bytes.as_slice();
        let Ok(Some(header)) = LhaHeader::read(&mut rest) else {
            return Ok(Found::Damage(damage));
        };
        let end = at.saturating_add((bytes.len() - rest.len()) as u64);
        Ok(Found::Doubtful(Box::new(header), end, damage))
    }

    /// Gives the member at the cursor; false at the end.
    fn entry(&mut self, children: &mut dyn Children) -> Result<bool, Halt> {
        match self.header(self.at)? {
            Found::Header(header, end) => {
                let raw = self.object.slice(end, header.compressed_size);
                self.at = end.saturating_add(header.compressed_size);
                member(&header, &raw, children)?;
                Ok(true)
            }
            Found::Doubtful(header, end, damage) => {
                let detail = format!("the header at byte {}: {damage}", self.at);
                children.gap(Some(&name(&header)), Reason::Corrupt, detail)?;
                let raw = self.object.slice(end, header.compressed_size);
                self.at = end.saturating_add(header.compressed_size);
                member(&header, &raw, children)?;
                Ok(true)
            }
            Found::End => {
                trailing(self.object, self.at.saturating_add(1), children)?;
                Ok(false)
            }
            Found::Nothing => {
                let detail = "no end of the archive".to_owned();
                children.gap(None, Reason::Corrupt, detail)?;
                Ok(false)
            }
            Found::Damage(detail) => self.lost(&detail, children),
        }
    }

    /// Says that a header is damaged, and looks for the next one by the name of its method.
    fn lost(&mut self, what: &str, children: &mut dyn Children) -> Result<bool, Halt> {
        let from = self.at;
        let rest = self.object.slice(from, u64::MAX);
        if !recognise(&rest.probe()?).is_empty() {
            let detail = format!("no header at byte {from}: {what}");
            children.gap(None, Reason::Corrupt, detail)?;
            behind(self.object, from, children)?;
            return Ok(false);
        }
        let next = self.next_header(from)?;
        let to = next.unwrap_or(self.object.length());
        let detail = format!("no header from byte {from} to byte {to}: {what}");
        children.gap(None, Reason::Corrupt, detail)?;
        self.at = to;
        Ok(next.is_some())
    }

    fn next_header(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from.saturating_add(1);
        loop {
            let bytes = self.object.bytes_at(at, CHUNK)?;
            for found in memchr::memmem::find_iter(&bytes, b"-l") {
                let Some(start) = found.checked_sub(2) else {
                    continue;
                };
                let start = at.saturating_add(start as u64);
                if bytes.get(found + 4) == Some(&b'-')
                    && matches!(self.header(start)?, Found::Header(..))
                {
                    return Ok(Some(start));
                }
            }
            if bytes.len() < CHUNK {
                return Ok(None);
            }
            at = at.saturating_add((CHUNK - 8) as u64);
        }
    }
}

/// The header at the start with its checksum made a comment, for readers that do not ask; nothing where it has none.
fn without_sum(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (mut at, width) = match bytes.get(20)? {
        1 => (usize::from(*bytes.first()?), 2),
        2 => (24, 2),
        3 => (28, 4),
        _ => return None,
    };
    loop {
        // It counts itself, but not the first of its kind, and what it begins with is the last of what is before it.
        let length = bytes.get(at..)?.get(..width)?.iter().rev();
        let length = length.fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let kind = bytes.get_mut(at + width)?;
        if length <= width {
            return None;
        }
        if *kind == COMMON {
            *kind = COMMENT;
            return Some(bytes);
        }
        at = at.checked_add(length)?;
    }
}

fn member(header: &LhaHeader, raw: &Object, children: &mut dyn Children) -> Result<(), Halt> {
    let name = name(header);
    if header.compression == *b"-lhd-" || header.is_directory() {
        if header.compressed_size == 0 {
            return Ok(());
        }
        children.child(&name, Content::Object(raw.clone()))?;
        let detail = "a folder with content".to_owned();
        return children.gap(Some(&name), Reason::Corrupt, detail);
    }
    let decoder = header.compression_method().ok().and_then(|method| {
        let lzh = |method| {
            let lzh = Lzh::new(raw.raw_reader(), method, header.original_size);
            Some(Decoder::Lzh(Box::new(lzh)))
        };
        match method {
            CompressionMethod::Lh4 | CompressionMethod::Lh5 => lzh(Method::LH5),
            CompressionMethod::Lh6 | CompressionMethod::Lh7 => lzh(Method::LH7),
            CompressionMethod::Lhx => lzh(Method::LHX),
            method => {
                let other = Other::new(raw, method, header.original_size);
                other.map(|other| Decoder::Other(Box::new(other)))
            }
        }
    });
    let Some(decoder) = decoder else {
        let method = String::from_utf8_lossy(&header.compression);
        let reason = Reason::Unsupported("lha-method".to_owned());
        let detail = format!("compression method {method}");
        return children.gap(Some(&name), reason, detail);
    };
    let is_stored = matches!(&header.compression, b"-lh0-" | b"-lz4-" | b"-pm0-");
    if is_stored && raw.length() != header.original_size {
        children.child(&name, Content::Object(raw.clone()))?;
        let detail = format!(
            "{} of {} bytes are there",
            raw.length(),
            header.original_size
        );
        return children.gap(Some(&name), Reason::Corrupt, detail);
    }
    let mut content = Checked {
        decoder,
        sum: Crc16::default(),
        said: header.file_crc,
    };
    children.child(&name, Content::Stream(&mut content))
}

/// The path with slashes, in the bytes that are stored.
fn name(header: &LhaHeader) -> Vec<u8> {
    let mut folder = Vec::new();
    let mut name = Vec::new();
    for extra in header.iter_extra() {
        match extra {
            [NAME, text @ ..] => name = text.to_vec(),
            [FOLDER, text @ ..] => folder = text.to_vec(),
            _ => {}
        }
    }
    if name.is_empty() {
        // Some writers put a zero and a comment behind it.
        let stored = header.filename.split(|byte| *byte == 0).next();
        name = stored.unwrap_or_default().to_vec();
    }
    let slash = |byte: &mut u8| {
        if matches!(*byte, 0xff | b'\\') {
            *byte = b'/';
        }
    };
    folder.iter_mut().for_each(slash);
    // In a name, 0xff may be a letter; and a backslash separates only where DOS or Windows wrote it.
    if matches!(header.os_type, 0 | b'M' | b'w' | b'W' | b'2') {
        name.iter_mut()
            .filter(|byte| **byte == b'\\')
            .for_each(slash);
    }
    if !folder.is_empty() && !folder.ends_with(b"/") {
        folder.push(b'/');
    }
    [folder, name].concat()
}

/// Compares the checksum with what is said, at the end of the content.
struct Checked {
    decoder: Decoder,
    sum: Crc16,
    said: u16,
}

enum Decoder {
    Lzh(Box<Lzh<ObjectReader>>),
    Other(Box<Other>),
}

impl Read for Checked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.decoder {
            Decoder::Lzh(decoder) => decoder.read(out),
            Decoder::Other(decoder) => decoder.read(out),
        }?;
        self.sum.update(out.get(..count).unwrap_or_default());
        if count == 0 && !out.is_empty() && self.sum.value() != self.said {
            return Err(damaged("checksum differs"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{Recorder, expand, tool, withstand};

    fn run(bytes: &[u8]) -> Recorder {
        expand(&Lha, bytes, b"x.lzh")
    }

    /// A member of level 0.
    fn entry(method: &[u8; 5], name: &str, size: u32, data: &[u8], sum: u16) -> Vec<u8> {
        let mut header = method.to_vec();
        header.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
        header.extend_from_slice(&size.to_le_bytes());
        header.extend_from_slice(&[0, 0, 0, 0, 0x20, 0]);
        header.push(u8::try_from(name.len()).unwrap());
        header.extend_from_slice(name.as_bytes());
        header.extend_from_slice(&sum.to_le_bytes());
        let total = header
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let mut out = vec![u8::try_from(header.len()).unwrap(), total];
        out.extend_from_slice(&header);
        out.extend_from_slice(data);
        out
    }

    fn stored(name: &str, content: &[u8]) -> Vec<u8> {
        let mut sum = Crc16::default();
        sum.update(content);
        entry(
            b"-lh0-",
            name,
            u32::try_from(content.len()).unwrap(),
            content,
            sum.value(),
        )
    }

    #[test]
    fn stored_members_and_their_end() {
        let bytes = [&stored("a\\b", b"one")[..], &stored("c", b""), &[0]].concat();
        let got = run(&bytes);
        assert_eq!(
            (got.names(), &got.gaps),
            (vec!["a/b".to_owned(), "c".to_owned()], &vec![])
        );
        assert_eq!(run(&bytes[..bytes.len() - 1]).reasons(), ["corrupt"]);
        assert_eq!(run(&[&bytes[..], &[0; 100]].concat()).gaps, []);
        assert_eq!(run(&[&bytes[..], b"junk"].concat()).reasons(), ["corrupt"]);
        let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
        let got = run(&[&bytes[..], &zip].concat());
        assert_eq!(got.names(), ["a/b", "c", "(behind the end)"]);
    }

    #[test]
    fn what_cannot_be_decoded_is_said() {
        let other = entry(b"-lh9-", "odd", 3, b"abc", 0);
        let huge = entry(b"-lh5-", "huge", u32::MAX, b"abc", 0);
        let short = entry(b"-lh0-", "short", 9, b"abc", 0);
        let got = run(&[&stored("a", b"1")[..], &other, &huge, &short, &[0]].concat());
        let reasons = ["unsupported/lha-method", "corrupt", "corrupt"];
        assert_eq!((got.reasons(), got.names().len()), (reasons.to_vec(), 3));
    }

    #[test]
    fn behind_a_damaged_header_the_next_one_is_found() {
        let mut bad = stored("b", b"2");
        bad[1] ^= 1;
        let got = run(&[&stored("a", b"1")[..], &bad, &stored("c", b"3"), &[0]].concat());
        assert_eq!(
            (got.names(), got.reasons()),
            (vec!["a".to_owned(), "c".to_owned()], vec!["corrupt"])
        );
    }

    #[test]
    fn a_header_with_a_wrong_checksum_is_said_and_followed() {
        let Some(folder) = tool("jlha") else { return };
        let content = b"some content ".repeat(40);
        folder.write("some", &content);
        for level in ["1", "2"] {
            folder.run("jlha", &[&format!("c{level}"), "out.lzh", "some"]);
            let mut bytes = folder.read("out.lzh");
            assert!(!run(&bytes).complained());
            // The time is none of what levels 0 and 1 sum up.
            let time = if level == "1" {
                bytes[0] as usize + 3
            } else {
                15
            };
            bytes[time] ^= 1;
            let got = run(&bytes);
            assert_eq!(
                got.children,
                [(b"some".to_vec(), content.clone())],
                "{level}"
            );
            assert_eq!(got.reasons(), ["corrupt"]);
            std::fs::remove_file(folder.path().join("out.lzh")).unwrap();
        }
    }

    #[test]
    fn no_damage_panics() {
        let Some(folder) = tool("jlha") else { return };
        folder.write("some", &b"some content ".repeat(40));
        folder.write("more", b"more");
        folder.run("jlha", &["a", "out.lzh", "some", "more"]);
        let sample = folder.read("out.lzh");
        assert!(!run(&sample).complained());
        let silent = withstand(&Lha, &sample, b"x.lzh");
        assert_eq!(silent, [0; 0]);
    }
}
