//! The boot images of El Torito (its specification 1.0): a catalogue of places, which need not be files.
#![forbid(unsafe_code)]

use super::Disc;
use crate::bytes::Reader;
use crate::event::Reason;
use crate::expand::extents::{Piece, SECTOR};
use crate::expand::{Children, Halt};

/// An entry of the catalogue.
const ENTRY: usize = 32;

/// Entries that are looked at.
const ENTRIES: usize = 256;

/// The sectors in which lengths are counted.
const VIRTUAL: u64 = 512;

/// Gives the images that are no files of a tree.
pub(super) fn images(
    disc: &mut Disc,
    catalogue: u64,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let bytes = (disc.image).bytes_at(catalogue * SECTOR, ENTRY * ENTRIES)?;
    let mut entries = bytes.chunks_exact(ENTRY);
    let is_valid = |first: &[u8]| first.first() == Some(&1) && first.ends_with(&[0x55, 0xaa]);
    if !entries.next().is_some_and(is_valid) {
        let detail = "no catalogue of boot images where it should be".to_owned();
        return children.gap(None, Reason::Corrupt, detail);
    }
    let mut number = 0;
    for (row, entry) in entries.enumerate() {
        match entry.first() {
            Some(0x88) => {}
            Some(0) if row == 0 => {}
            Some(0x90 | 0x91 | 0x44) => continue,
            _ if row == 0 => {}
            // An entry that is not booted from; zeros end the list.
            Some(0) if entry.iter().any(|byte| *byte != 0) => {}
            _ => break,
        }
        number += 1;
        image(disc, entry, number, children)?;
    }
    Ok(())
}

fn image(
    disc: &mut Disc,
    entry: &[u8],
    number: usize,
    children: &mut dyn Children,
) -> Result<(), Halt> {
    let mut reader = Reader::new(entry.get(1..).unwrap_or_default());
    let fields = (|| {
        let [media] = reader.array()?;
        reader.take(4)?;
        Some((media, reader.u16_le()?, reader.u32_le()?))
    })();
    let Some((media, count, sector)) = fields else {
        return Ok(());
    };
    let at = u64::from(sector) * SECTOR;
    if sector == 0 || disc.has_file_at(at) {
        return Ok(());
    }
    let end = disc.image.length().min(disc.end);
    let length = match media & 0x0f {
        1 => 1200 * 1024,
        2 => 1440 * 1024,
        3 => 2880 * 1024,
        // A disk of unknown length, or all that follows: so it is with images for UEFI.
        4 => end.saturating_sub(at),
        _ if count <= 1 => end.saturating_sub(at),
        _ => u64::from(count) * VIRTUAL,
    };
    let pieces = vec![Piece {
        at: Some(at),
        length,
    }];
    disc.end = disc.end.max(at.saturating_add(length));
    let name = format!("[BOOT]/{number}");
    disc.image.give(name.as_bytes(), pieces, children)
}
