//! A checked cursor over a slice: the way in which every binary field of hostile content is read.
//!
//! Nothing here panics and nothing is allocated: a field that is not there is `None`.
#![forbid(unsafe_code)]

/// A position in a slice of bytes that only moves forward, by whole fields.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A cursor over the next `length` bytes that cannot leave them.
    pub fn sub(&mut self, length: usize) -> Option<Reader<'a>> {
        self.take(length).map(Reader::new)
    }

    /// A little-endian 16-bit number.
    pub fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian 32-bit number.
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian 64-bit number.
    pub fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn a_field_that_is_not_there_is_none_and_moves_nothing() {
        let mut reader = Reader::new(&[1, 0, 2]);
        assert_eq!(reader.u32_le(), None);
        assert_eq!(reader.u16_le(), Some(1));
        assert_eq!(reader.u16_le(), None);
        assert_eq!(reader.rest(), &[2]);
    }

    #[test]
    fn a_sub_cursor_cannot_leave_its_record() {
        let mut reader = Reader::new(&[1, 2, 3, 4]);
        let mut record = reader.sub(2).unwrap();
        assert_eq!(record.take(3), None);
        assert_eq!(record.array(), Some([1, 2]));
        assert_eq!(reader.rest(), &[3, 4]);
    }
}
