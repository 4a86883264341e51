//! Streams: one content, compressed, in one or more pieces one after the other.
//!
//! A format is a row of [`FORMATS`] and a file for its decoder, which decodes one piece (an xz stream, a lzip member, a
//! frame of Zstandard) and gives its input back at the byte behind. What follows a piece is decided here for all of
//! them: another piece belongs to the same content, zeros may be padding, anything else is a gap and, if it is a
//! container, a member of its own.
#![forbid(unsafe_code)]

mod bzip2;
mod compress;
mod input;
mod kwaj;
mod lz4;
mod lzip;
mod lzma;
mod lzop;
mod lzss;
mod mszip;
mod pack;
mod szdd;
mod xz;
mod zlib;
mod zstd;

use std::io::{self, BufRead, Read};
use std::{error, fmt};

pub(super) use self::input::Input;
pub(super) use self::lz4::expand as lz4_block;
pub(super) use self::lzma::{Lzma, is_86 as is_lzma86, is_likely as is_lzma};
pub(super) use self::lzop::expand as lzo_block;
pub(super) use self::zlib::is_likely as is_zlib;
use super::{
    Children, Container, ContainerName, Content, Expander, Halt, behind, damaged, is_damage,
    surplus,
};
use crate::event::{Limit, Reason};
use crate::object::{CHUNK, Object};

/// What a member is called when nobody says.
const NAMELESS: &[u8] = b"data";

/// Decodes one piece. [`Read::read`] gives 0 at its end; it is not called again after an error.
pub(super) trait Decoder<'a>: Read {
    /// Its input, at the byte behind the piece; after an error, somewhere behind it, or an empty one.
    fn finish(self: Box<Self>) -> Input<'a>;

    /// The name that the piece gives its content; `container` is that of the file it lies in.
    fn name(&self, _container: &ContainerName<'_>) -> Option<Vec<u8>> {
        None
    }
}

/// A piece that has begun, or why it cannot: damage, or a [`Refusal`].
type Opened<'a> = io::Result<Box<dyn Decoder<'a> + 'a>>;

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// One row: a format, as which it is named in gaps, and what differs between formats.
pub(super) struct Format {
    kind: &'static str,
    /// The ends of names that are taken off, and what they become.
    suffixes: &'static [(&'static str, &'static str)],
    /// Begins the piece at the start of the input; the number is the most memory that it may take.
    open: for<'a> fn(Input<'a>, u64) -> Opened<'a>,
    /// Tells whether another piece may begin with these bytes: the first of them may be all that there is.
    again: fn(&[u8]) -> bool,
    /// With what a piece begins, for the next one behind a damaged one; nothing where that is too little to find it by.
    mark: &'static [u8],
    /// Zeros behind a piece are padding if their count is a multiple of this; never for 0.
    padding: u64,
    /// Each piece is a file of its own.
    apart: bool,
}

// Every stream but gzip, whose members have their own ways.

/// Unix compress.
pub(super) static Z: Format = Format {
    kind: "Z",
    suffixes: &[(".z", ""), (".taz", ".tar")],
    open: compress::open,
    again: |_| false,
    mark: b"",
    padding: 0,
    apart: false,
};

/// bzip2.
pub(super) static BZIP2: Format = Format {
    kind: "bz2",
    suffixes: &[
        (".bz2", ""),
        (".bz", ""),
        (".tbz2", ".tar"),
        (".tbz", ".tar"),
    ],
    open: bzip2::open,
    again: bzip2::begins,
    mark: b"BZh",
    padding: 1,
    apart: false,
};

/// LZ4 frames, new and legacy.
pub(super) static LZ4: Format = Format {
    kind: "lz4",
    suffixes: &[(".lz4", "")],
    open: lz4::open,
    again: lz4::begins,
    mark: b"\x04\x22\x4d\x18",
    padding: 0,
    apart: false,
};

/// lzip.
pub(super) static LZIP: Format = Format {
    kind: "lzip",
    suffixes: &[(".lz", ""), (".tlz", ".tar")],
    open: lzip::open,
    again: |head| head.starts_with(b"LZIP"),
    mark: b"LZIP\x01",
    padding: 1,
    apart: false,
};

/// The form of LZMA before xz.
pub(super) static LZMA: Format = Format {
    kind: "lzma",
    suffixes: &[(".lzma", ""), (".tlz", ".tar")],
    open: lzma::open,
    again: |_| false,
    mark: b"",
    padding: 0,
    apart: false,
};

/// lzop.
pub(super) static LZOP: Format = Format {
    kind: "lzop",
    suffixes: &[(".lzo", ""), (".tzo", ".tar")],
    open: lzop::open,
    again: |head| head.starts_with(lzop::MAGIC),
    mark: lzop::MAGIC,
    padding: 0,
    apart: true,
};

/// Unix pack.
pub(super) static PACK: Format = Format {
    kind: "pack",
    suffixes: &[(".z", "")],
    open: pack::open,
    again: |_| false,
    mark: b"",
    padding: 0,
    apart: false,
};

/// SZDD and KWAJ.
pub(super) static SZDD: Format = Format {
    kind: "szdd",
    suffixes: &[("_", ""), ("$", "")],
    open: szdd::open,
    again: |_| false,
    mark: b"",
    padding: 0,
    apart: false,
};

/// xz.
pub(super) static XZ: Format = Format {
    kind: "xz",
    suffixes: &[(".xz", ""), (".txz", ".tar")],
    open: xz::open,
    again: |head| head.starts_with(xz::MAGIC),
    mark: xz::MAGIC,
    padding: 4,
    apart: false,
};

/// zlib, RFC 1950.
pub(super) static ZLIB: Format = Format {
    kind: "zlib",
    suffixes: &[(".zlib", ""), (".zz", "")],
    open: zlib::open,
    again: |_| false,
    mark: b"",
    padding: 0,
    apart: false,
};

/// Zstandard, RFC 8878.
pub(super) static ZSTD: Format = Format {
    kind: "zstd",
    suffixes: &[(".zst", ""), (".tzst", ".tar")],
    open: zstd::open,
    again: zstd::begins,
    mark: b"\x28\xb5\x2f\xfd",
    padding: 0,
    apart: false,
};

impl Expander for Format {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn expand(&self, container: &Container<'_>, children: &mut dyn Children) -> Result<(), Halt> {
        let object = container.object;
        let mut from = 0;
        for _ in 0..TRIES {
            let rest = object.slice(from, u64::MAX);
            let input = Input::new(Box::new(rest.raw_reader()));
            let mut pieces = match Pieces::open(self, input, container.memory) {
                Ok(pieces) => pieces,
                Err(error) => return refused(self, None, error, children),
            };
            let name = pieces
                .name(container.name)
                .unwrap_or_else(|| member_name(b"", container.name, self.suffixes));
            children.child(&name, Content::Stream(&mut pieces))?;
            if let State::Broken(_) = pieces.state {
                // Where a damaged piece ends nobody knows: the next may begin anywhere behind its first byte.
                let behind = from.saturating_add(pieces.began).saturating_add(1);
                match self.next_mark(object, behind)? {
                    Some(next) => from = next,
                    None => return Ok(()),
                }
                continue;
            }
            let Some(at) = pieces.conclude(Some(&name), children)? else {
                return Ok(());
            };
            from = from.saturating_add(at);
            if self.apart && (self.again)(&object.bytes_at(from, HEAD)?) {
                continue;
            }
            surplus(object, from, "compressed data", children)?;
            return behind(object, from, children);
        }
        too_many_tries(children)
    }
}

/// Times that a decoder is begun behind damage, or apart from what was before: a mark alone is a few bytes, to begin takes tables.
pub(super) const TRIES: usize = 4096;

/// Says that there are more beginnings than are looked at.
pub(super) fn too_many_tries(children: &mut dyn Children) -> Result<(), Halt> {
    let reason = Reason::Limit(Limit::Members);
    let detail = format!("more than {TRIES} damaged or separate streams");
    children.gap(None, reason, detail)
}

impl Format {
    /// Where the next piece may begin.
    fn next_mark(&self, object: &Object, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        loop {
            let bytes = object.bytes_at(at, CHUNK)?;
            let mut found = memchr::memmem::find_iter(&bytes, self.mark);
            let last = bytes.len() < CHUNK;
            // What lies across the border is seen whole in the next step.
            let room = |place: &usize| last || place + HEAD <= CHUNK;
            let is_piece = |place: &usize| {
                let head = bytes.get(*place..).unwrap_or_default();
                (self.again)(head.get(..HEAD).unwrap_or(head))
            };
            if self.mark.is_empty() {
                return Ok(None);
            }
            if let Some(place) = found.find(|place| room(place) && is_piece(place)) {
                return Ok(Some(at.saturating_add(place as u64)));
            }
            if last {
                return Ok(None);
            }
            at = at.saturating_add((CHUNK - HEAD) as u64);
        }
    }
}

/// How far a stream goes that begins at the first byte of an object.
pub(super) struct Extent {
    /// Compressed bytes: up to its end, or up to its damage as far as that can be told.
    pub(super) length: u64,
    /// Bytes that came out.
    pub(super) decoded: u64,
    pub(super) ends: Ends,
}

/// How what was decoded ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// As it should.
    Well,
    /// All is there, but it is not what its checksum says, or that is cut off.
    WrongSum,
    /// Before its end.
    Damaged,
}

/// Reads to the end or to the first damage, and gives the count and which it was.
pub(super) fn drain(reader: &mut dyn Read) -> io::Result<(u64, Ends)> {
    const STEP: usize = 16 * 1024;
    let mut buffer = vec![0; STEP];
    let mut count = 0_u64;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((count, Ends::Well)),
            Ok(read) => count = count.saturating_add(read as u64),
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<WrongSum>()) => {
                return Ok((count, Ends::WrongSum));
            }
            Err(error) if is_damage(&error) => return Ok((count, Ends::Damaged)),
            Err(error) => return Err(error),
        }
    }
}

/// Decodes what begins at the first byte of `object`; nothing if it cannot be begun.
pub(super) fn extent(
    format: &'static Format,
    object: &Object,
    memory: u64,
) -> io::Result<Option<Extent>> {
    let begun = |error: io::Error| match Refusal::of(error) {
        Ok(_) => Ok(None),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    };
    let input = Input::new(Box::new(object.raw_reader()));
    let mut pieces = match Pieces::open(format, input, memory) {
        Ok(pieces) => pieces,
        Err(error) => return begun(error),
    };
    let (decoded, ends) = drain(&mut pieces)?;
    let (length, ends) = match pieces.state {
        State::Followed(at) => (at, ends),
        State::Ended => (object.length(), ends),
        // What was put into a decoder that failed is not given back.
        State::Broken(at) if at > 0 => (at, ends),
        State::Broken(_) => (object.length(), ends),
        State::In(_) | State::Refused(_) => (object.length(), Ends::Damaged),
    };
    Ok(Some(Extent {
        length,
        decoded,
        ends,
    }))
}

/// Decodes one piece that is the block of something else, to at most `most` bytes, and gives the count of the bytes behind
/// it. What came before an error is in `out`.
pub(super) fn block(
    format: &Format,
    data: &[u8],
    out: &mut Vec<u8>,
    most: usize,
    memory: u64,
) -> io::Result<u64> {
    let told = |error| match Refusal::of(error) {
        Ok(refusal) => damaged(refusal.to_string()),
        Err(error) => error,
    };
    let mut decoder = (format.open)(Input::new(Box::new(data)), memory).map_err(told)?;
    let limit = (most as u64).saturating_add(1);
    let read = (&mut decoder).take(limit).read_to_end(out).map_err(told);
    if out.len() > most {
        out.truncate(most);
        return Err(damaged("a block that is too long"));
    }
    read?;
    let used = decoder.finish().position();
    Ok((data.len() as u64).saturating_sub(used))
}

/// Says why the first piece could not be begun.
pub(super) fn refused(
    format: &Format,
    name: Option<&[u8]>,
    error: io::Error,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    match Refusal::of(error) {
        Ok(Refusal::Unlike) => Err(Halt::Unlike),
        Ok(Refusal::Gap(reason, detail)) => children.gap(name, reason, detail),
        Err(error) if is_damage(&error) => {
            let detail = format!("{} header: {error}", format.kind);
            children.gap(name, Reason::Corrupt, detail)
        }
        Err(error) => Err(error.into()),
    }
}

/// All pieces of a content.
pub(super) struct Pieces<'a> {
    format: &'a Format,
    memory: u64,
    /// Where the piece at hand begins.
    began: u64,
    state: State<'a>,
}

enum State<'a> {
    /// Inside a piece.
    In(Box<dyn Decoder<'a> + 'a>),
    /// After an error, which was given, and the byte of the input up to which the decoder came; 0 where it does not tell.
    Broken(u64),
    /// The rest is not decoded, and this is why.
    Refused(Refusal),
    /// After the last piece, with something else from this byte of the input on.
    Followed(u64),
    /// After the last piece and its padding.
    Ended,
}

/// Bytes in which the next piece is looked for.
const HEAD: usize = 16;

impl<'a> Pieces<'a> {
    /// Begins the first piece.
    pub(super) fn open(format: &'a Format, input: Input<'a>, memory: u64) -> io::Result<Self> {
        Ok(Self {
            format,
            memory,
            began: input.position(),
            state: State::In((format.open)(input, memory)?),
        })
    }

    /// Goes on with a piece that has begun.
    pub(super) fn begun(
        format: &'a Format,
        decoder: Box<dyn Decoder<'a> + 'a>,
        memory: u64,
    ) -> Self {
        Self {
            format,
            memory,
            began: 0,
            state: State::In(decoder),
        }
    }

    fn name(&self, container: &ContainerName<'_>) -> Option<Vec<u8>> {
        match &self.state {
            State::In(decoder) => decoder.name(container),
            _ => None,
        }
    }

    /// After the content was read: says what was not decoded, and gives the place of what follows the last piece.
    pub(super) fn conclude(
        self,
        name: Option<&[u8]>,
        children: &mut dyn Children,
    ) -> Result<Option<u64>, Halt> {
        match self.state {
            State::Refused(Refusal::Gap(reason, detail)) => {
                children.gap(name, reason, detail)?;
                Ok(None)
            }
            State::Refused(Refusal::Unlike) => {
                children.gap(name, Reason::Corrupt, "damaged header".to_owned())?;
                Ok(None)
            }
            State::Followed(at) => Ok(Some(at)),
            State::In(_) | State::Broken(_) | State::Ended => Ok(None),
        }
    }

    /// Goes on behind a piece.
    fn next(&mut self, mut input: Input<'a>) -> io::Result<State<'a>> {
        let end = input.position();
        if self.format.padding > 0 {
            skip_zeros(&mut input)?;
        }
        let at = input.position();
        let head = input.peek(HEAD)?;
        let padded = at == end || (at - end).is_multiple_of(self.format.padding);
        if head.is_empty() {
            return Ok(if padded {
                State::Ended
            } else {
                State::Followed(end)
            });
        }
        if !padded || self.format.apart || !(self.format.again)(head) {
            return Ok(State::Followed(at));
        }
        self.began = at;
        Ok(match (self.format.open)(input, self.memory) {
            Ok(decoder) => State::In(decoder),
            Err(error) => State::Refused(Refusal::of(error)?),
        })
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let error = match &mut self.state {
                _ if out.is_empty() => return Ok(0),
                State::In(decoder) => match decoder.read(out) {
                    Ok(0) => None,
                    Ok(count) => return Ok(count),
                    Err(error) => Some(error),
                },
                State::Broken(_) => return Err(damaged("damaged data")),
                State::Refused(_) | State::Followed(_) | State::Ended => return Ok(0),
            };
            let before = std::mem::replace(&mut self.state, State::Broken(0));
            self.state = match (before, error) {
                (State::In(decoder), None) => self.next(decoder.finish())?,
                (State::In(decoder), Some(error)) => match Refusal::of(error) {
                    Ok(refusal) => State::Refused(refusal),
                    Err(error) => {
                        self.state = State::Broken(decoder.finish().position());
                        return Err(error);
                    }
                },
                (_, Some(error)) => State::Refused(Refusal::of(error)?),
                (other, None) => other,
            };
        }
    }
}

fn skip_zeros(input: &mut Input<'_>) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let all = zeros == bytes.len();
        input.consume(zeros);
        if !all || zeros == 0 {
            return Ok(());
        }
    }
}

/// Why something is not decoded although it is not damaged, as the content of an error.
#[derive(Debug)]
enum Refusal {
    /// This gap.
    Gap(Reason, String),
    /// It only looked like this format.
    Unlike,
}

impl Refusal {
    fn of(error: io::Error) -> io::Result<Self> {
        error.downcast()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap(reason, detail) => write!(f, "{reason}: {detail}"),
            Self::Unlike => f.write_str("not this format"),
        }
    }
}

impl error::Error for Refusal {}

/// All was decoded, and it is not what its checksum says, as the content of an error.
#[derive(Debug)]
struct WrongSum(String);

impl fmt::Display for WrongSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for WrongSum {}

/// The same damage, of what is behind all that was decoded: a checksum that does not hold, or is cut.
fn wrong_sum(error: io::Error) -> io::Error {
    match is_damage(&error) {
        true => io::Error::new(error.kind(), WrongSum(error.to_string())),
        false => error,
    }
}

/// A part of a format that is not decoded here: the gap `unsupported/WHAT`.
fn unsupported(what: &str, detail: impl Into<String>) -> io::Error {
    let reason = Reason::Unsupported(what.to_owned());
    io::Error::other(Refusal::Gap(reason, detail.into()))
}

/// A piece that takes more memory than there is.
fn too_large(what: &str, size: u64) -> io::Error {
    let detail = format!("{what} of {size} bytes");
    io::Error::other(Refusal::Gap(Reason::Limit(Limit::Memory), detail))
}

/// The content only looked like this format.
fn unlike() -> io::Error {
    io::Error::other(Refusal::Unlike)
}

/// Fills `out` with what `next` gives; an error is told after the bytes before it.
fn fill(
    out: &mut [u8],
    failed: &mut Option<io::Error>,
    mut next: impl FnMut() -> io::Result<Option<u8>>,
) -> io::Result<usize> {
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let mut count = 0;
    for place in out {
        match next() {
            Ok(Some(byte)) => *place = byte,
            Ok(None) => break,
            Err(error) if count == 0 => return Err(error),
            Err(error) => {
                *failed = Some(error);
                break;
            }
        }
        count += 1;
    }
    Ok(count)
}

/// The name of a member: what its header says, else the container's without its suffix.
pub(super) fn member_name(
    stored: &[u8],
    container: &ContainerName<'_>,
    suffixes: &[(&str, &str)],
) -> Vec<u8> {
    let stored = base_name(stored);
    if !stored.is_empty() {
        return stored.to_vec();
    }
    let container = base_name(container.get());
    for (suffix, instead) in suffixes {
        let at = container.len().saturating_sub(suffix.len());
        if let Some((stem, end)) = container.split_at_checked(at)
            && !stem.is_empty()
            && end.eq_ignore_ascii_case(suffix.as_bytes())
        {
            return [stem, instead.as_bytes()].concat();
        }
    }
    NAMELESS.to_vec()
}

fn base_name(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b'/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests;
