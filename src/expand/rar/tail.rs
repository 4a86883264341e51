//! The last bytes before a damage.
//!
//! The crate gives what it has decoded in large steps, or at the end of the member, and drops what it has when it finds a
//! damage. How much that is shows by asking for less: a member that is said to be shorter is decoded up to there.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::Range;
use std::rc::Rc;

use rars::{Archive, ArchiveMember, ArchiveMemberRef, ExtractionDecision, rar15_40, rar50};

use super::pass::Setting;

/// Members of one pass for which it is done.
pub(super) const MOST: u32 = 2;

/// The largest step of the crate, and a little.
const STEP: u64 = (1 << 20) + (1 << 16);

/// A member that began more than this many bytes before its damage is not decoded again, twenty times over.
const WORK: u64 = 64 << 20;

/// What of a member comes before its damage, after the `given` bytes that came out of it.
pub(super) fn of(setting: Setting<'_>, index: usize, given: u64) -> Vec<u8> {
    let mut best = Vec::new();
    let solid = super::members::is_solid(setting.archive);
    let before = (setting.archive.member_refs().take(index))
        .map(size)
        .filter(|_| solid)
        .fold(given, u64::saturating_add);
    let Some(size) = setting.archive.member_refs().nth(index).map(size) else {
        return best;
    };
    if before > WORK || size <= given {
        return best;
    }
    let mut archive = setting.archive.clone();
    let (mut good, mut bad) = (given, size.min(given.saturating_add(STEP)));
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        shorten(&mut archive, index, middle, setting.object.length());
        let bytes = attempt(&archive, setting, index, given, solid);
        if given.saturating_add(bytes.len() as u64) >= middle {
            best = bytes;
            good = middle;
        } else {
            bad = middle;
        }
    }
    best
}

pub(super) fn size(member: ArchiveMemberRef<'_>) -> u64 {
    match member {
        ArchiveMemberRef::Rar13(entry) => entry.header.unp_size.into(),
        ArchiveMemberRef::Rar15To40(file) => file.unp_size,
        ArchiveMemberRef::Rar50Plus(file) => file.unpacked_size,
        _ => 0,
    }
}

/// Says of a member that it is shorter, and that its data end where the file does: some decoders read all of them first.
fn shorten(archive: &mut Archive, index: usize, size: u64, length: u64) {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let clip = |range: &mut Range<usize>| range.end = range.end.min(length).max(range.start);
    match archive {
        Archive::Rar13(archive) => {
            if let Some(entry) = archive.entries.get_mut(index) {
                entry.header.unp_size = u32::try_from(size).unwrap_or(u32::MAX);
                clip(&mut entry.packed_range);
            }
        }
        Archive::Rar15To40(archive) => {
            let mut files = archive.blocks.iter_mut().filter_map(|block| match block {
                rar15_40::Block::File(file) => Some(file),
                _ => None,
            });
            if let Some(file) = files.nth(index) {
                file.unp_size = size;
                clip(&mut file.packed_range);
                file.pack_size = file.packed_range.len() as u64;
            }
        }
        Archive::Rar50Plus(archive) => {
            let mut files = archive.blocks.iter_mut().filter_map(|block| match block {
                rar50::Block::File(file) => Some(file),
                _ => None,
            });
            if let Some(file) = files.nth(index) {
                file.unpacked_size = size;
                clip(&mut file.block.data_range);
                file.block.data_size = Some(file.block.data_range.len() as u64);
            }
        }
        _ => {}
    }
}

/// What comes out of the member behind the first `given` bytes. That its checksum does not hold is no news.
fn attempt(
    archive: &Archive,
    setting: Setting<'_>,
    index: usize,
    given: u64,
    solid: bool,
) -> Vec<u8> {
    let kept = Rc::new(RefCell::new(Vec::new()));
    let mut next = 0;
    let decide = |_: &ArchiveMember| {
        let number = next;
        next += 1;
        Ok(if number == index {
            let kept = Rc::clone(&kept);
            ExtractionDecision::Extract(Box::new(Keep { kept, skip: given }))
        } else if number > index {
            ExtractionDecision::Stop
        } else if solid {
            ExtractionDecision::Extract(Box::new(io::sink()))
        } else {
            ExtractionDecision::Skip
        })
    };
    let _ = archive.extract_with_control(setting.options(), decide);
    kept.take()
}

/// Keeps what comes after the first bytes; at most one step of the crate.
struct Keep {
    kept: Rc<RefCell<Vec<u8>>>,
    skip: u64,
}

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip -= skipped as u64;
        let mut kept = self.kept.borrow_mut();
        if kept.len() as u64 <= STEP {
            kept.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
