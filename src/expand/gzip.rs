//! gzip, RFC 1952: one content in one or more members, one after the other.
//!
//! The header is read here rather than by flate2, so that a later member that is cut in its header, and what follows
//! the last one, can be told from the end.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Seek};

use crc32fast::Hasher;

use super::inflate::Inflate;
use super::stream::{self, Ends, Extent, member_name};
use super::{
    Children, Container, ContainerName, Content, Expander, Halt, behind, cut_short, damaged,
    is_damage, surplus,
};
use crate::event::Reason;
use crate::object::{CHUNK, Object, ObjectReader};
use crate::path::NAME_LIMIT;

/// ID1 and ID2, and what they were before there was an RFC.
const MAGICS: [[u8; 2]; 2] = [[0x1f, 0x8b], [0x1f, 0x9e]];

/// The only compression method that there is (RFC 1952 §2.3.1). Below it are those that were reserved for what never came.
const DEFLATE: u8 = 8;

/// Bytes of a header without its optional parts.
const FIXED: u64 = 10;

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

/// Bytes that are read first behind junk, where small members may follow each other by the thousand.
const FIRST_STEP: usize = 4096;

/// The expander of gzip.
pub(super) struct Gzip;

impl Expander for Gzip {
    fn kind(&self) -> &'static str {
        "gz"
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let (object, name) = (container.object, container.name);
        let mut next = content(object, true, name, children)?;
        let mut at = 0_u64;
        for _ in 0..stream::TRIES {
            let Some(by) = next else { return Ok(()) };
            at = at.saturating_add(by);
            next = content(&object.slice(at, u64::MAX), false, name, children)?;
        }
        stream::too_many_tries(children)
    }
}

/// Gives the content at the start of `object`: all members that follow each other, perhaps with zeros in between. Gives
/// the place of the next member, when something else lies before it.
fn content(
    object: &Object,
    is_first: bool,
    name: &ContainerName<'_>,
    children: &mut dyn Children,
) -> Result<Option<u64>, Halt> {
    match method(&object.bytes_at(0, 4)?) {
        None => return Err(Halt::Unlike),
        Some(DEFLATE) => {}
        Some(method) => {
            let reason = Reason::Unsupported(format!("gz-method-{method}"));
            children.gap(None, reason, format!("compression method {method}"))?;
            return Ok(None);
        }
    }
    let buffer = if is_first { CHUNK } else { FIRST_STEP };
    let input = BufReader::with_capacity(buffer, object.raw_reader());
    let mut members = Members::new(input);
    let stored = match members.header() {
        Ok(stored) => stored,
        Err(error) if is_damage(&error) => {
            children.gap(None, Reason::Corrupt, format!("gzip header: {error}"))?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let name = member_name(&stored, name, &[(".gz", ""), (".tgz", ".tar")]);
    children.child(&name, Content::Stream(&mut members))?;
    if let Some(detail) = members.damage.take() {
        children.gap(Some(&name), Reason::Corrupt, detail)?;
    }
    if let State::Broken { start } = members.state {
        // Where a damaged member ends nobody knows: another may begin anywhere behind its own header.
        return Ok(next_header(object, start.saturating_add(FIXED))?);
    }
    if let Some(start) = members.doubtful
        && let Some(next) = next_header(object, start.saturating_add(FIXED))?
    {
        return Ok(Some(next));
    }
    let junk = members.junk(object.length())?;
    if junk == 0 {
        return Ok(None);
    }
    let from = object.length() - junk;
    surplus(object, from, "last member", children)?;
    let next = next_header(object, from)?;
    if next.is_none() {
        behind(object, from, children)?;
    }
    Ok(next)
}

/// Where a content that begins at the first byte ends, and what can be decoded of it; nothing if it cannot be begun.
pub(super) fn extent(object: &Object) -> io::Result<Option<Extent>> {
    let input = BufReader::with_capacity(FIRST_STEP, object.raw_reader());
    let mut members = Members::new(input);
    match members.header() {
        Ok(_) => {}
        Err(error) if is_damage(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let (decoded, ends) = stream::drain(&mut members)?;
    let length = if ends == Ends::Well {
        object.length() - members.junk(object.length())?.min(object.length())
    } else {
        members.inflate.input().stream_position()?
    };
    Ok(Some(Extent {
        length,
        decoded,
        ends: match members.damage {
            Some(_) if ends == Ends::Well => Ends::WrongSum,
            _ => ends,
        },
    }))
}

/// The next header at `from` or after.
fn next_header(object: &Object, from: u64) -> io::Result<Option<u64>> {
    let mut at = from;
    let mut step = FIRST_STEP;
    loop {
        let bytes = object.bytes_at(at, step)?;
        let mut found = memchr::memchr_iter(MAGICS[0][0], &bytes);
        if let Some(found) = found.find(|found| is_header(bytes.get(*found..).unwrap_or_default()))
        {
            return Ok(Some(at.saturating_add(found as u64)));
        }
        if bytes.len() < step {
            return Ok(None);
        }
        // A header may lie across the border.
        at = at.saturating_add((step - 3) as u64);
        step = CHUNK.min(2 * step);
    }
}

/// Tells whether `head` begins with a gzip header that can be followed.
fn is_header(head: &[u8]) -> bool {
    method(head) == Some(DEFLATE)
}

/// The compression method, if `head` begins like gzip. What the reserved flags are is not asked: readers differ, and
/// one that takes them finds a content.
pub(super) fn method(head: &[u8]) -> Option<u8> {
    let rest = MAGICS.iter().find_map(|magic| head.strip_prefix(magic))?;
    let method = *rest.first()?;
    (method <= DEFLATE && head.len() > 3).then_some(method)
}

/// All members as one content.
struct Members {
    inflate: Inflate<BufReader<ObjectReader>>,
    sum: Hasher,
    size: u32,
    /// What is wrong with a member that was decoded to its end.
    damage: Option<String>,
    /// Where the last member begins, if something is wrong with it: it may be another's bytes that were decoded.
    doubtful: Option<u64>,
    /// Where the member at hand begins.
    start: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// Inside the compressed data of a member.
    Data,
    /// In a damaged member, which begins here.
    Broken { start: u64 },
    /// After the last member.
    Done,
}

impl Members {
    fn new(input: BufReader<ObjectReader>) -> Self {
        Self {
            inflate: Inflate::new(input),
            sum: Hasher::new(),
            size: 0,
            damage: None,
            doubtful: None,
            start: 0,
            state: State::Data,
        }
    }

    /// Reads a member's header (RFC 1952 §2.3) and gives the file name in it, or nothing.
    fn header(&mut self) -> io::Result<Vec<u8>> {
        let input = self.inflate.input();
        self.start = input.stream_position()?;
        let fixed: [u8; 10] = array(input)?;
        let [.., flags, _, _, _, _, _, _] = fixed;
        if flags & FEXTRA != 0 {
            let length = u64::from(u16::from_le_bytes(array(input)?));
            skip(input, length)?;
        }
        let mut name = Vec::new();
        if flags & FNAME != 0 {
            name = text(input)?;
        }
        if flags & FCOMMENT != 0 {
            text(input)?;
        }
        if flags & FHCRC != 0 {
            array::<2>(input)?;
        }
        Ok(name)
    }

    /// Checks the trailer of the member that ended, and goes to the next one or to the end.
    fn next_member(&mut self) -> io::Result<()> {
        let input = self.inflate.input();
        let sum = u32::from_le_bytes(array(input)?);
        let size = u32::from_le_bytes(array(input)?);
        let differs = (sum, size) != (self.sum.clone().finalize(), self.size);
        self.doubtful = Some(self.start).filter(|_| differs);
        if differs {
            // Readers complain and go on, and so does the content.
            let start = self.start;
            self.damage.get_or_insert_with(|| {
                format!("checksum or size of the gzip member at byte {start} differs")
            });
        }
        skip_zeros(input)?;
        if !at_header(input)? {
            self.state = State::Done;
            return Ok(());
        }
        self.header()?;
        self.inflate.restart();
        self.sum.reset();
        self.size = 0;
        Ok(())
    }

    /// Remembers where the damage is.
    fn broken<T>(&mut self, error: io::Error) -> io::Result<T> {
        if is_damage(&error) {
            self.state = State::Broken { start: self.start };
        }
        Err(error)
    }

    /// Bytes after the last member and its padding. Nothing is said about a content that was not read to its end.
    fn junk(&mut self, length: u64) -> io::Result<u64> {
        if !matches!(self.state, State::Done) {
            return Ok(0);
        }
        let input = self.inflate.input();
        Ok(length.saturating_sub(input.stream_position()?))
    }
}

impl Read for Members {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && matches!(self.state, State::Data) {
            let result = self.inflate.read(out);
            let count = result.or_else(|error| self.broken(error))?;
            if count > 0 {
                self.sum.update(out.get(..count).unwrap_or_default());
                self.size = self
                    .size
                    .wrapping_add(u32::try_from(count).unwrap_or_default());
                return Ok(count);
            }
            let next = self.next_member();
            next.or_else(|error| self.broken(error))?;
        }
        match self.state {
            State::Broken { .. } if !out.is_empty() => Err(damaged("damaged gzip member")),
            _ => Ok(0),
        }
    }
}

/// Passes over what tapes, and writers that fill up blocks, put between members and after them.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        let all = zeros == buffer.len();
        input.consume(zeros);
        if !all || zeros == 0 {
            return Ok(());
        }
    }
}

/// True when another member begins here; nothing is consumed.
fn at_header(input: &mut BufReader<ObjectReader>) -> io::Result<bool> {
    let mut head = [0; 4];
    let mut filled = 0;
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    input.seek_relative(-i64::try_from(filled).unwrap_or_default())?;
    // A header that is cut inside these four bytes is a member too: its end has to be missed.
    let head = head.get(..filled).unwrap_or_default();
    Ok(is_header(head) || ((2..4).contains(&filled) && head.starts_with(&MAGICS[0])))
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    match input.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(cut_short("gzip header or trailer is cut"))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(bytes),
    }
}

fn skip(input: &mut impl Read, length: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(length), &mut io::sink())?;
    if skipped == length {
        Ok(())
    } else {
        Err(cut_short("gzip header is cut"))
    }
}

/// The bytes up to the next zero, of which the first [`NAME_LIMIT`] are kept.
fn text(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Err(cut_short("gzip header is cut"));
        }
        let end = buffer.iter().position(|byte| *byte == 0);
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        let room = NAME_LIMIT - kept.len();
        kept.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::testing::{expand, said, tool, withstand};
    use flate2::Compression;
    use flate2::bufread::GzEncoder;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        GzEncoder::new(content, Compression::default())
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    fn with_name(content: &[u8], name: &[u8]) -> Vec<u8> {
        let plain = member(content);
        let mut out = plain[..10].to_vec();
        out[3] |= FNAME | FEXTRA | FCOMMENT | FHCRC;
        out.extend_from_slice(b"\x03\0abc");
        out.extend_from_slice(name);
        out.extend_from_slice(b"\0comment\0\x12\x34");
        out.extend_from_slice(&plain[10..]);
        out
    }

    #[test]
    fn members_are_one_content() {
        let bytes = [member(b"one "), member(b""), member(b"two")].concat();
        let got = expand(&Gzip, &bytes, b"dir/x.txt.GZ");
        assert_eq!(got.children, [(b"x.txt".to_vec(), b"one two".to_vec())]);
        assert_eq!(got.gaps, []);
    }

    #[test]
    fn the_name_comes_from_the_header_else_from_the_container() {
        let rows: [(&[u8], &[u8], &[u8]); 7] = [
            (b"a/stored", b"x.gz", b"stored"),
            (b"", b"/tmp/x.tar.gz", b"x.tar"),
            (b"", b"x.TGZ", b"x.tar"),
            (b"", b"x", b"data"),
            (b"", b".gz", b"data"),
            (b"", b"", b"data"),
            (b"dir/", b"x.gz", b"x"),
        ];
        for (stored, container, wanted) in rows {
            let got = expand(&Gzip, &with_name(b"content", stored), container);
            assert_eq!(got.children, [(wanted.to_vec(), b"content".to_vec())]);
        }
    }

    #[test]
    fn what_follows_the_last_member_is_said() {
        let mut bytes = member(b"content");
        bytes.extend_from_slice(&[0; 300_000]);
        assert_eq!(expand(&Gzip, &bytes, b"x").gaps, []);
        bytes.extend_from_slice(b"junk\n");
        assert_eq!(expand(&Gzip, &bytes, b"x").gaps, []);
        bytes.extend_from_slice(&[b'x'; 600]);
        let got = expand(&Gzip, &bytes, b"x");
        assert_eq!(got.children.len(), 1);
        assert_eq!(
            got.gaps,
            [said(None, "corrupt", "605 bytes after the last member")]
        );
    }

    #[test]
    fn members_behind_zeros_and_junk_are_found() {
        let padded = [&member(b"one ")[..], &[0; 100], &member(b"content")].concat();
        let got = expand(&Gzip, &padded, b"x.gz");
        assert_eq!(got.children, [(b"x".to_vec(), b"one content".to_vec())]);
        assert_eq!(got.gaps, []);
        let apart = [
            &member(b"one")[..],
            &b"junk".repeat(50_000),
            &member(b"two"),
        ]
        .concat();
        let got = expand(&Gzip, &apart, b"x.gz");
        let found = [
            (b"x".to_vec(), b"one".to_vec()),
            (b"x".to_vec(), b"two".to_vec()),
        ];
        assert_eq!(got.children, found);
        assert_eq!(got.gaps.len(), 1);
    }

    #[test]
    fn reserved_flags_are_passed_over_and_other_methods_said() {
        let mut flagged = member(b"content");
        flagged[3] |= 0xe0;
        assert_eq!(expand(&Gzip, &flagged, b"x.gz").children.len(), 1);
        let mut other = member(b"content");
        other[2] = 7;
        let got = expand(&Gzip, &other, b"x.gz");
        let said = said(None, "unsupported/gz-method-7", "compression method 7");
        assert_eq!((got.children.len(), got.gaps), (0, vec![said]));
    }

    #[test]
    fn a_cut_anywhere_is_said_and_what_came_out_is_kept() {
        let content = b"hello, hello, hello, hello, world".repeat(3);
        let whole = [with_name(&content, b"n"), member(&content)].concat();
        let twice = content.repeat(2);
        let border = with_name(&content, b"n").len();
        for cut in 4..whole.len() {
            let got = expand(&Gzip, &whole[..cut], b"x.gz");
            if cut == border {
                assert_eq!(got.gaps, []);
            } else {
                assert_eq!(got.gaps.len(), 1, "cut at {cut}");
            }
            if let Some((_, out)) = got.children.first() {
                assert!(twice.starts_with(out));
            }
        }
        assert!(expand(&Gzip, &whole[..3], b"x.gz").unlike);
    }

    #[test]
    fn a_wrong_checksum_is_said_after_the_content() {
        let mut bytes = member(b"content");
        let at = bytes.len() - 6;
        bytes[at] ^= 1;
        let got = expand(&Gzip, &bytes, b"x.gz");
        assert_eq!(got.children, [(b"x".to_vec(), b"content".to_vec())]);
        assert_eq!(got.gaps.len(), 1);
    }

    #[test]
    fn a_damaged_member_hides_none_behind_it() {
        let first = member(&b"content, content, content".repeat(20));
        for at in [first.len() - 6, first.len() - 1] {
            let mut wrong = first.clone();
            wrong[at] ^= 1;
            let got = expand(&Gzip, &[&wrong[..], &member(b"second")].concat(), b"x.gz");
            // As gzip itself goes on with the same content.
            assert_eq!(got.children.len(), 1);
            assert!(got.children[0].1.ends_with(b"second"));
            assert_eq!(got.reasons(), ["corrupt"]);
        }
        for at in 10..first.len() - 8 {
            let mut wrong = first.clone();
            wrong[at] ^= 0x11;
            let got = expand(&Gzip, &[&wrong[..], &member(b"second")].concat(), b"x.gz");
            assert!(!got.gaps.is_empty(), "damaged at {at}");
            let found = got
                .children
                .iter()
                .any(|child| child.1.ends_with(b"second"));
            assert!(found, "damaged at {at}");
        }
    }

    #[test]
    fn no_damage_panics() {
        let sample = [with_name(b"some content", b"n"), member(b"more")].concat();
        let border = with_name(b"some content", b"n").len();
        assert_eq!(withstand(&Gzip, &sample, b"x.gz"), [border]);
    }

    #[test]
    fn the_output_of_gzip_itself_is_read() {
        let Some(folder) = tool("gzip") else { return };
        let content = b"line\n".repeat(10_000);
        folder.write("letter.txt", &content);
        folder.run("gzip", &["letter.txt"]);
        let got = expand(&Gzip, &folder.read("letter.txt.gz"), b"renamed.gz");
        assert_eq!(got.children, [(b"letter.txt".to_vec(), content)]);
    }
}
