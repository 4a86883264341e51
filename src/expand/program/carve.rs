//! What begins somewhere in a content: one automaton over the magics that are strong, and the first header of each
//! hit asked whether it is sound.
//!
//! A program quotes the magics of all formats that it reads: what is not sound is nobody's archive, and said nowhere.
#![forbid(unsafe_code)]

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Input, MatchKind};

use super::{compressed, seldom, sound};
use crate::object::{CHUNK, Object};

/// Hits of the automaton that are looked at.
const HITS: usize = 1 << 16;

/// Things that are given of one content.
const FINDS: usize = 1024;

/// How often a content may be decoded in looking for the ends of what is in it.
const WORK: u64 = 4;

/// Bytes that may be decoded in any content, however small.
const LEAST_WORK: u64 = 16 << 20;

/// Where a thing that was found lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its first byte, counted from the hit: a magic may stand inside a header.
    pub(super) back: u64,
    /// The bytes that it certainly has, counted from its first.
    pub(super) least: u64,
    /// What is behind them.
    pub(super) ends: Ends,
}

/// How far a thing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// As its header says.
    Exactly,
    /// With the part of the container that it lies in.
    WithPart,
    /// There too, but before the next program: what is appended to a program belongs to it, and programs that follow each
    /// other would else be opened one in the other.
    BeforeProgram,
}

impl Extent {
    /// These bytes, from the hit on.
    pub(super) fn exactly(length: u64) -> Self {
        Self {
            back: 0,
            least: length,
            ends: Ends::Exactly,
        }
    }
}

/// Asks whether something sound begins at a hit.
type Ask = fn(&mut Look<'_>, u64) -> io::Result<Option<Extent>>;

struct Row {
    magic: &'static [u8],
    ask: Ask,
}

const fn row(magic: &'static [u8], ask: Ask) -> Row {
    Row { magic, ask }
}

static ROWS: &[Row] = &[
    row(b"7z\xbc\xaf\x27\x1c", sound::sevenz),
    row(b"Rar!\x1a\x07\0", sound::rar),
    row(b"Rar!\x1a\x07\x01\0", sound::rar),
    row(b"RE\x7e\x5e", sound::rar),
    row(b"MSCF", sound::cab),
    row(b"PK\x03\x04", sound::zip),
    row(sound::END_RECORD, sound::nothing),
    row(b"\x1f\x8b\x08", compressed::gzip),
    row(b"\xfd7zXZ\0", compressed::xz),
    row(b"BZh", compressed::bzip2),
    row(b"\x28\xb5\x2f\xfd", compressed::zstd),
    row(b"LZIP\x01", compressed::lzip),
    row(b"\x1f\x9d\x90", compressed::compress),
    row(b"\xef\xbe\xad\xdeNullsoftInst", sound::nsis),
    row(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sound::ole2),
    row(b"PE\0\0\x4c\x01", sound::pe),
    row(b"PE\0\0\x64\x86", sound::pe),
    row(b"PE\0\0\x64\xaa", sound::pe),
    row(b"PE\0\0\xc4\x01", sound::pe),
    row(b"\x7fELF", sound::elf),
    row(b"hsqs", sound::squashfs),
    row(b"**ACE**", sound::ace),
    row(b"-lh", sound::lha),
    row(b"xar!\0", seldom::xar),
    row(b"ustar\0\x30\x30", seldom::tar),
    row(b"ustar  \0", seldom::tar),
    row(b"07070", seldom::cpio),
    row(b"\xed\xab\xee\xdb", seldom::rpm),
    row(b"!<arch>\n", seldom::ar),
    row(b"CD001\x01", seldom::iso),
    row(b"\x78\x9f\x3e\x22", seldom::tnef),
    row(b"SZDD\x88\xf0\x27\x33", seldom::szdd),
    row(b"KWAJ\x88\xf0\x27\xd1", seldom::szdd),
    row(
        b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3",
        seldom::onenote,
    ),
    row(b"ISc(", sound::install_shield),
    row(b"InstallShield\0", sound::install_shield_list),
    row(b"Inno Setup Setup Data (", sound::inno),
    row(b"AU3!EA0", sound::autoit),
    row(b"MSWIM\0\0\0\xd0\0\0\0", sound::wim),
    row(b"WLPWM\0\0\0\xd0\0\0\0", sound::wim),
    row(b"ITSF\x03\0\0\0\x60\0\0\0", sound::chm),
    row(b"\x89LZO\0\r\n\x1a\n", compressed::lzop),
    row(b"\x04\x22\x4d\x18", compressed::lz4),
    row(ARJ, sound::arj),
];

/// Two bytes are everywhere: these are looked for alone, with what must follow them.
const ARJ: &[u8] = b"\x60\xea";

fn automaton() -> Option<&'static AhoCorasick> {
    static AUTOMATON: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    AUTOMATON
        .get_or_init(|| {
            let magics = ROWS.iter().map(|row| row.magic);
            let magics = magics.filter(|magic| *magic != ARJ);
            // The kind for which the crate looks for the first bytes of all magics at once.
            AhoCorasickBuilder::new()
                .match_kind(MatchKind::LeftmostFirst)
                .build(magics)
                .ok()
        })
        .as_ref()
}

/// What the questions look at.
pub(super) struct Look<'a> {
    pub(super) object: &'a Object,
    pub(super) memory: u64,
    /// The places of [`sound::END_RECORD`], in order.
    pub(super) end_records: &'a [u64],
    /// Bytes that may still be decoded.
    work: u64,
}

impl Look<'_> {
    /// Pays for bytes that were decoded.
    pub(super) fn pay(&mut self, bytes: u64) {
        self.work = self.work.saturating_sub(bytes);
    }
}

/// A magic at a place.
#[derive(Debug, Clone, Copy)]
struct Hit {
    at: u64,
    row: usize,
}

/// What was found in a content.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) things: Vec<Range<u64>>,
    /// Why not everything was looked at.
    pub(super) left: Option<String>,
}

/// Where things are looked for.
pub(super) struct Place<'a> {
    pub(super) object: &'a Object,
    /// What is somebody else's, in order.
    pub(super) covered: &'a [Range<u64>],
    /// Where its parts begin and end, in order: there ends what has no end of its own.
    pub(super) borders: &'a [u64],
    /// The beginnings of magics that are somebody else's.
    pub(super) others: Vec<&'static [u8]>,
    pub(super) memory: u64,
}

/// All that begins in a place with a sound header.
pub(super) fn things(place: &Place<'_>) -> io::Result<Found> {
    let (object, borders) = (place.object, place.borders);
    let (mut hits, all) = hits(object, place.covered)?;
    hits.sort_unstable_by_key(|hit| hit.at);
    let ends_zip = |hit: &&Hit| {
        ROWS.get(hit.row)
            .is_some_and(|row| row.magic == sound::END_RECORD)
    };
    let end_records: Vec<u64> = hits.iter().filter(ends_zip).map(|hit| hit.at).collect();
    let mut found = Found::default();
    if !all {
        found.left = Some(format!("more than {HITS} places where something may begin"));
    }
    // The last program, and where it ends if no other comes before.
    let mut open: Option<u64> = None;
    let mut end = 0_u64;
    let mut look = Look {
        object,
        memory: place.memory,
        end_records: &end_records,
        work: object.length().saturating_mul(WORK).max(LEAST_WORK),
    };
    for hit in &hits {
        if hit.at < end {
            continue;
        }
        if look.work == 0 {
            found.left = Some("too much to decode in looking for ends".to_owned());
            break;
        }
        let Some(row) = ROWS.get(hit.row) else {
            continue;
        };
        if (place.others.iter()).any(|other| row.magic.starts_with(other)) {
            continue;
        }
        let Some(extent) = (row.ask)(&mut look, hit.at)? else {
            continue;
        };
        let start = hit.at.saturating_sub(extent.back);
        if start == 0 || start < end {
            continue;
        }
        let part = border(start, object.length(), borders);
        end = start.saturating_add(extent.least).min(object.length());
        if extent.ends == Ends::WithPart {
            end = part.max(end);
        }
        let is_program = extent.ends == Ends::BeforeProgram;
        if open.is_some_and(|open| start < open) && !is_program {
            continue;
        }
        if found.things.len() >= FINDS {
            found.left = Some(format!("more than {FINDS} things in it"));
            break;
        }
        close(&mut found, &mut open, start, object)?;
        found.things.push(start..end);
        open = is_program.then_some(part.max(end));
    }
    close(&mut found, &mut open, object.length(), object)?;
    Ok(found)
}

/// Zeros that are padding of what lies around a program, and not its own.
const PADDING: u64 = 0x200;

/// Gives the last program the bytes up to `at`, as far as its part goes, but no padding.
fn close(found: &mut Found, open: &mut Option<u64>, at: u64, object: &Object) -> io::Result<()> {
    let (Some(limit), Some(last)) = (open.take(), found.things.last_mut()) else {
        return Ok(());
    };
    let full = limit.min(at).max(last.end);
    let mut end = full;
    while end > last.end {
        let from = last.end.max(end.saturating_sub(CHUNK as u64));
        let length = usize::try_from(end - from).unwrap_or_default();
        let bytes = object.bytes_at(from, length)?;
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        end = from + (bytes.len() - zeros) as u64;
        if zeros < bytes.len() || bytes.is_empty() {
            break;
        }
    }
    last.end = if full - end >= PADDING { end } else { full };
    Ok(())
}

/// Where the part ends in which `at` lies.
pub(super) fn border(at: u64, length: u64, borders: &[u64]) -> u64 {
    let next = borders.partition_point(|border| *border <= at);
    borders.get(next).copied().unwrap_or(length).min(length)
}

/// All hits outside of what is covered, and whether those are all that there are.
fn hits(object: &Object, covered: &[Range<u64>]) -> io::Result<(Vec<Hit>, bool)> {
    let longest = ROWS
        .iter()
        .map(|row| row.magic.len())
        .max()
        .unwrap_or_default();
    let mut found = Vec::new();
    let Some(automaton) = automaton() else {
        return Ok((found, false));
    };
    let arj = ROWS.iter().position(|row| row.magic == ARJ);
    let mut headers_of_arj: Vec<Hit> = Vec::new();
    let mut buffer = vec![0; CHUNK + longest];
    let (mut base, mut kept) = (0_u64, 0_usize);
    let mut covers = covered.iter().peekable();
    loop {
        let room = buffer.get_mut(kept..).unwrap_or_default();
        let read = object.read_at(room, base.saturating_add(kept as u64))?;
        let filled = kept + read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        let mut from = 0;
        while let Some(hit) = automaton.find(Input::new(bytes).range(from..)) {
            let at = base.saturating_add(hit.start() as u64);
            from = hit.start() + 1;
            while covers.next_if(|range| range.end <= at).is_some() {}
            if covers.peek().is_some_and(|range| range.contains(&at)) {
                continue;
            }
            let row = hit.pattern().as_usize();
            // What lies across the border of two steps is found twice.
            if found.last().is_some_and(|last: &Hit| last.at >= at) {
                continue;
            }
            if found.len() >= HITS {
                return Ok((found, false));
            }
            found.push(Hit { at, row });
        }
        for start in memchr::memmem::find_iter(bytes, ARJ) {
            let at = base.saturating_add(start as u64);
            let is_known = headers_of_arj.last().is_some_and(|last| last.at >= at);
            let Some(row) = arj.filter(|_| !is_known && is_arj(bytes.get(start..))) else {
                continue;
            };
            let next = covered.partition_point(|range| range.end <= at);
            let is_covered = covered.get(next).is_some_and(|range| range.contains(&at));
            if headers_of_arj.len() >= HITS {
                return Ok((found, false));
            }
            if !is_covered {
                headers_of_arj.push(Hit { at, row });
            }
        }
        if read == 0 {
            found.extend(headers_of_arj);
            return Ok((found, true));
        }
        kept = filled.min(longest - 1);
        let start = filled - kept;
        buffer.copy_within(start..filled, 0);
        base = base.saturating_add(start as u64);
    }
}

/// Lengths that the first header of ARJ may have: its own, and that of its fixed part.
fn is_arj(bytes: Option<&[u8]>) -> bool {
    let Some([_, _, low, high, fixed, ..]) = bytes else {
        return false;
    };
    let length = u16::from_le_bytes([*low, *high]);
    (30..=2600).contains(&length) && (30..=length).contains(&u16::from(*fixed))
}

/// The extent of what stands at `at` itself, by the rules of its format.
pub(super) fn at(object: &Object, at: u64, memory: u64) -> io::Result<Option<Extent>> {
    let head = object.bytes_at(at, 32)?;
    let mut look = Look {
        object,
        memory,
        end_records: &[],
        work: LEAST_WORK,
    };
    for row in ROWS.iter().filter(|row| head.starts_with(row.magic)) {
        if let Some(extent) = (row.ask)(&mut look, at)? {
            return Ok(Some(extent));
        }
    }
    Ok(None)
}
