//! How frequent bytes are in real files: a table that was counted over programs, libraries, scripts and texts.
//!
//! Only what is looked at more often than needed depends on it, never what is found. It is made anew by
//! `VFIND_WRITE=1 VFIND_FILES=FOLDER cargo test --lib engine::search::frequency`.
#![forbid(unsafe_code)]

/// For each byte, then for each hash of four bytes in a row: how seldom it is, 8 for each halving, 255 for 2^-32 and less.
const TABLE: &[u8; BYTES + SLOTS] = include_bytes!("frequency.bin");

const BYTES: usize = 256;

/// The logarithm of [`SLOTS`].
const SLOT_BITS: u32 = 16;
const SLOTS: usize = 1 << SLOT_BITS;

/// What stands for something that is at every place.
pub(super) const ALWAYS: u64 = 1 << 40;

/// Letters lose their case, and other bytes the same bit: this is how the index sees content.
pub(super) const CASE: u64 = 0x2020_2020_2020_2020;

/// `ALWAYS` times 2^(-n/8).
const EIGHTHS: [u64; 8] = [
    ALWAYS,
    1_008_256_608_221,
    924_575_386_327,
    847_839_367_509,
    777_472_127_994,
    712_945_084_849,
    653_773_525_390,
    599_512_966_123,
];

/// How often something is there of which this is how seldom it is: a share of [`ALWAYS`].
#[inline]
pub(super) fn share(seldom: u32) -> u64 {
    let eighth = EIGHTHS.get(seldom as usize % 8).copied();
    eighth.unwrap_or(ALWAYS) >> (seldom / 8).min(40)
}

/// How seldom this byte is, in lower case.
pub(super) fn byte(byte: u8) -> u32 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0).into()
}

/// How seldom these four bytes are, whatever their case.
#[inline]
pub(super) fn four(bytes: [u8; 4]) -> u8 {
    TABLE.get(BYTES + slot(bytes)).copied().unwrap_or(0)
}

fn slot(bytes: [u8; 4]) -> usize {
    let folded = u32::from_le_bytes(bytes) | CASE as u32;
    (folded.wrapping_mul(0x9e37_79b1) >> (32 - SLOT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// So many bytes of each file are enough.
    const EACH: usize = 1 << 20;
    const ALL: u64 = 1 << 30;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files(&entry.path(), found),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }

    fn seldom(count: u64, of: u64) -> u8 {
        let share = (count as f64 / of as f64).max(2_f64.powi(-32));
        (-8.0 * share.log2()).round().min(255.0) as u8
    }

    /// Counts the files below `VFIND_FILES`.
    #[test]
    fn it_is_made_of_real_files() {
        if std::env::var_os("VFIND_WRITE").is_none() {
            return;
        }
        let Some(folder) = std::env::var_os("VFIND_FILES") else {
            return;
        };
        let mut found = Vec::new();
        files(Path::new(&folder), &mut found);
        found.sort();
        let (mut bytes, mut fours, mut total) = (vec![0; BYTES], vec![0; SLOTS], 0);
        // Every so many of them, that all folders have their part.
        let length = |path: &PathBuf| {
            path.metadata()
                .map_or(0, |data| data.len().min(EACH as u64))
        };
        let step = found.iter().map(length).sum::<u64>() / ALL + 1;
        for path in found.iter().step_by(step as usize) {
            let mut content = std::fs::read(path).unwrap_or_default();
            content.truncate(EACH);
            total += content.len() as u64;
            let folded = content.iter().map(u8::to_ascii_lowercase);
            folded.for_each(|byte| bytes[usize::from(byte)] += 1);
            content
                .array_windows()
                .for_each(|four| fours[slot(*four)] += 1);
        }
        let table = bytes
            .iter()
            .chain(&fours)
            .map(|count| seldom(*count, total));
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/engine/search/frequency.bin"
        );
        std::fs::write(file, table.collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn what_is_everywhere_is_more_frequent_than_what_is_nowhere() {
        assert!(share(byte(0)) > 4 * share(byte(0x9b)));
        for (usual, unusual) in [(*b"\0\0\0\0", *b"\x9b#\xd7~"), (*b"The ", *b"qX;z")] {
            let often = |bytes| share(four(bytes).into());
            assert!(often(usual) > 16 * often(unusual), "{usual:?}");
        }
        assert_eq!(four(*b"ABCD"), four(*b"abcd"));
        assert_eq!((share(0), share(8), share(320)), (ALWAYS, ALWAYS / 2, 1));
        assert!((0..319).all(|seldom| share(seldom) >= share(seldom + 1)));
    }
}
