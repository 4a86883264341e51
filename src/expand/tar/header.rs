//! One 512-byte header block: POSIX ustar, its older and its GNU form.
#![forbid(unsafe_code)]

/// Everything in a tar archive lies in blocks of this size.
pub(in crate::expand) const BLOCK: usize = 512;

/// A block that stands where a header should be.
pub(in crate::expand) struct Header {
    block: [u8; BLOCK],
}

impl Header {
    /// Takes any block.
    pub(in crate::expand) fn new(block: [u8; BLOCK]) -> Self {
        Self { block }
    }

    /// The bytes of a field.
    pub(super) fn field(&self, at: usize, length: usize) -> &[u8] {
        self.block
            .get(at..)
            .and_then(|rest| rest.get(..length))
            .unwrap_or_default()
    }

    /// True for the blocks that end an archive.
    pub(super) fn is_zero(&self) -> bool {
        self.block.iter().all(|byte| *byte == 0)
    }

    /// The checksum is that of the other fields: unsigned as POSIX wants it, or signed as old SunOS made it.
    pub(in crate::expand) fn checksum_holds(&self) -> bool {
        let Some(stored) = number(self.field(148, 8)) else {
            return false;
        };
        let blanks = 8 * i64::from(b' ');
        let rest = || self.field(0, 148).iter().chain(self.field(156, 356));
        let unsigned: i64 = rest().map(|byte| i64::from(*byte)).sum();
        let signed: i64 = rest().map(|byte| i64::from(byte.cast_signed())).sum();
        // Signed bytes cancel out: noise has a small sum as well, but hardly a length besides.
        i64::try_from(stored).is_ok_and(|stored| {
            stored == unsigned + blanks || stored == signed + blanks && self.size().is_some()
        })
    }

    /// What kind of entry it is: the letter of POSIX and its extensions.
    pub(super) fn kind(&self) -> u8 {
        self.field(156, 1).first().copied().unwrap_or_default()
    }

    /// Has the magic with the version behind it, which is enough to tell a damaged header from something else.
    pub(in crate::expand) fn has_full_magic(&self) -> bool {
        matches!(self.field(257, 8), b"ustar\x0000" | b"ustar  \0")
    }

    /// It is certain that this is a header, wherever it stands.
    pub(in crate::expand) fn is_sure(&self) -> bool {
        self.has_full_magic() && self.checksum_holds() && self.size().is_some()
    }

    /// Has the magic of GNU tar, which has fields of its own behind it.
    pub(super) fn is_gnu(&self) -> bool {
        self.field(257, 8) == b"ustar  \0"
    }

    /// Has a map of pieces where GNU tar has that of a sparse file.
    pub(super) fn has_old_map(&self) -> bool {
        self.is_gnu() && self.field(386, 1) != [0]
    }

    /// The name, with the prefix that only POSIX has there (GNU keeps other things in it).
    pub(super) fn name(&self) -> Vec<u8> {
        let name = terminated(self.field(0, 100));
        let prefix = terminated(self.field(345, 155));
        if self.field(257, 6) == b"ustar\0" && !prefix.is_empty() {
            [prefix, b"/", name].concat()
        } else {
            name.to_vec()
        }
    }

    /// The size is written as POSIX or GNU have it, so that all readers read the same.
    pub(super) fn has_plain_size(&self) -> bool {
        let field = self.field(124, 12);
        let start = field
            .iter()
            .position(|byte| *byte != b' ')
            .unwrap_or(field.len());
        let text = field.get(start..).unwrap_or_default();
        let end = text
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'7'))
            .unwrap_or(text.len());
        let rest = text.get(end..).unwrap_or_default();
        field.first().is_some_and(|byte| *byte >= 0x80)
            || rest.iter().all(|byte| matches!(byte, 0 | b' '))
    }

    /// The size of the content that is stored; `None` when the field is no number.
    pub(super) fn size(&self) -> Option<u64> {
        number(self.field(124, 12))
    }
}

/// Blocks at the start that readers pass over in looking for a header.
const LATE: usize = 8;

/// A header is not in the first block, but soon: most readers pass over what is none.
pub(in crate::expand) fn begins_late(head: &[u8]) -> bool {
    let (blocks, _) = head.as_chunks::<BLOCK>();
    let headers = blocks.iter().skip(1).take(LATE);
    // Those readers take no blanks for a checksum, which is what noise has where its signed bytes cancel out.
    let has_checksum = |header: &Header| number(header.field(148, 8)) != Some(0);
    headers.map(|block| Header::new(*block)).any(|header| {
        has_checksum(&header)
            && header.checksum_holds()
            && header.has_plain_size()
            && header.size().is_some()
    })
}

/// A number field: octal, or in base 256 with the highest bit set (GNU; a negative one is none).
pub(super) fn number(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((0x80, rest)) => rest.iter().try_fold(0_u64, |value, byte| {
            value.checked_mul(256)?.checked_add(u64::from(*byte))
        }),
        Some((first, _)) if *first > 0x80 => None,
        _ => octal(field),
    }
}

/// Octal digits after blanks, up to a blank or a zero byte; nothing at all is zero. Readers differ in what else they
/// take: GNU tar a zero byte in front and anything behind a blank, Python what its numbers may have. All of that is taken
/// here; whether it is, is for [`Header::has_plain_size`].
fn octal(field: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| matches!(byte, 0 | b'\t'..=b'\r' | 0x1c..=b' ');
    let start = field.iter().position(|byte| !blank(byte));
    let text = field
        .get(start.unwrap_or(field.len())..)
        .unwrap_or_default();
    let text = text.split(blank).next().unwrap_or_default();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let text = text.strip_prefix(b"0o").unwrap_or(text);
    let mut digits = text.iter().filter(|byte| **byte != b'_');
    digits.try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(8)?;
        value.checked_mul(8)?.checked_add(digit.into())
    })
}

/// The bytes up to the first zero.
pub(super) fn terminated(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_forms() {
        let rows: [(&[u8], Option<u64>); 14] = [
            (b"\x0012\0", Some(10)),
            (b"+12\0", Some(10)),
            (b"0o12\0", Some(10)),
            (b"0_12\0", Some(10)),
            (b"\x0b12\0", Some(10)),
            (b"12 x\0", Some(10)),
            (b"00000000017\0", Some(15)),
            (b"        17 \0", Some(15)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"\x80\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff", None),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"12x\0", None),
        ];
        for (field, value) in rows {
            assert_eq!(number(field), value, "{field:?}");
        }
    }

    #[test]
    fn a_zero_block_is_no_header() {
        let header = Header::new([0; BLOCK]);
        assert!(header.is_zero());
        assert!(!header.checksum_holds());
    }

    #[test]
    fn blanks_are_a_signed_checksum_in_the_first_block_alone() {
        let mut block = [0; BLOCK];
        // Minus 256, which the blanks in place of the checksum make zero.
        block[..2].copy_from_slice(&[0x80; 2]);
        assert!(Header::new(block).checksum_holds());
        assert!(!begins_late(&[[b'j'; BLOCK], block].concat()));
    }

    #[test]
    fn a_signed_checksum_holds_too() {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(b"\xe4\xf6\xfc.");
        let sum: i64 = block.iter().map(|b| i64::from(b.cast_signed())).sum();
        block[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 256).as_bytes());
        assert!(Header::new(block).checksum_holds());
        block[0] ^= 1;
        assert!(!Header::new(block).checksum_holds());
    }
}
