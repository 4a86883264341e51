//! Lists of properties ([MS-OXTNEF] 2.1.3.4, types in [MS-OXCDATA] 2.11.1).
#![forbid(unsafe_code)]

use encoding_rs::UTF_16LE;

use crate::expand::Halt;
use crate::object::Object;

/// Identifiers ([MS-OXPROPS]).
pub(super) const HEADERS: u16 = 0x007d;
pub(super) const BODY: u16 = 0x1000;
pub(super) const RTF_COMPRESSED: u16 = 0x1009;
pub(super) const BODY_HTML: u16 = 0x1013;
pub(super) const ATTACH_DATA: u16 = 0x3701;
pub(super) const ATTACH_FILENAME: u16 = 0x3704;
pub(super) const ATTACH_LONG_FILENAME: u16 = 0x3707;
pub(super) const ATTACH_RENDERING: u16 = 0x3709;

/// A property has several values.
const MULTIPLE: u16 = 0x1000;

/// Bytes of a text that is a name.
const TEXT: usize = 2048;

/// A value of no fixed length.
pub(super) struct Property {
    pub(super) id: u16,
    pub(super) value: Object,
    /// Its start, as UTF-8 or in a character set that nobody knows, if it is a text.
    pub(super) text: Option<Vec<u8>>,
    pub(super) is_object: bool,
}

/// A place in a list.
struct Cursor<'a> {
    object: &'a Object,
    at: u64,
}

/// Gives each value that has no fixed length. False where the list cannot be followed to its end.
pub(super) fn each(
    object: &Object,
    mut take: impl FnMut(Property) -> Result<(), Halt>,
) -> Result<bool, Halt> {
    let mut cursor = Cursor { object, at: 0 };
    let Some(count) = cursor.u32()? else {
        return Ok(false);
    };
    for _ in 0..count {
        if !cursor.property(&mut take)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Cursor<'_> {
    fn u32(&mut self) -> Result<Option<u32>, Halt> {
        let mut bytes = [0; 4];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self
                .object
                .read_at(rest, self.at.saturating_add(filled as u64))?
            {
                0 => return Ok(None),
                count => filled += count,
            }
        }
        self.at = self.at.saturating_add(4);
        Ok(Some(u32::from_le_bytes(bytes)))
    }

    /// Goes over so many bytes, and tells whether they are there.
    fn skip(&mut self, length: u64) -> bool {
        self.at = self.at.saturating_add(length);
        self.at <= self.object.length()
    }

    fn property(
        &mut self,
        take: &mut impl FnMut(Property) -> Result<(), Halt>,
    ) -> Result<bool, Halt> {
        let Some(tag) = self.u32()? else {
            return Ok(false);
        };
        let [a, b, c, d] = tag.to_le_bytes();
        let (kind, id) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if id >= 0x8000 && !self.name()? {
            return Ok(false);
        }
        let fixed: u64 = match kind & !MULTIPLE {
            0x01 => 0,
            // Short ones are filled up to four bytes.
            0x02 | 0x03 | 0x04 | 0x0a | 0x0b => 4,
            0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
            0x48 => 16,
            0x0d | 0x1e | 0x1f | 0x102 => {
                return self.values(kind & !MULTIPLE, id, take);
            }
            _ => return Ok(false),
        };
        let count = if kind & MULTIPLE == 0 {
            Some(1)
        } else {
            self.u32()?
        };
        Ok(count.is_some_and(|count| self.skip(fixed.saturating_mul(count.into()))))
    }

    /// The name of a property that has one.
    fn name(&mut self) -> Result<bool, Halt> {
        if !self.skip(16) {
            return Ok(false);
        }
        match self.u32()? {
            Some(0) => Ok(self.skip(4)),
            Some(1) => {
                let length = self.u32()?;
                Ok(length.is_some_and(|length| self.skip(u64::from(length).next_multiple_of(4))))
            }
            _ => Ok(false),
        }
    }

    fn values(
        &mut self,
        kind: u16,
        id: u16,
        take: &mut impl FnMut(Property) -> Result<(), Halt>,
    ) -> Result<bool, Halt> {
        let Some(count) = self.u32()? else {
            return Ok(false);
        };
        for _ in 0..count {
            let Some(length) = self.u32()? else {
                return Ok(false);
            };
            let value = self.object.slice(self.at, length.into());
            let text = match kind {
                0x1e => Some(super::text(&value.bytes_at(0, TEXT)?)),
                0x1f => {
                    let text = value.bytes_at(0, TEXT)?;
                    let text = UTF_16LE.decode_without_bom_handling(&text).0.into_owned();
                    Some(super::text(text.as_bytes()))
                }
                _ => None,
            };
            take(Property {
                id,
                value,
                text,
                is_object: kind == 0x0d,
            })?;
            if !self.skip(u64::from(length).next_multiple_of(4))
                && self.at - self.object.length() > 3
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
