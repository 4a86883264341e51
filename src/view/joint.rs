//! What stands between two pieces of a run of base64.
#![forbid(unsafe_code)]

use super::run::may_join;

/// The bytes, and what is asked of them again and again.
#[derive(Debug, Default)]
pub(super) struct Joint {
    bytes: Vec<u8>,
    /// Bytes that are no blanks, and the first of them.
    marks: usize,
    mark: u8,
    /// Where the last line begins.
    line: Option<usize>,
    quotes: usize,
    /// Something that does not stand between two texts that are joined: lists have commas, and their members are no parts of one.
    strange: bool,
}

impl Joint {
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        if is_break(byte) {
            self.line = Some(self.bytes.len());
        }
        if !byte.is_ascii_whitespace() {
            if self.marks == 0 {
                self.mark = byte;
            }
            self.marks = self.marks.saturating_add(1);
            self.quotes = (self.quotes).saturating_add(usize::from(is_quote(byte)));
        }
        self.strange |= byte == b',' || !may_join(byte);
    }

    pub(super) fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        *self = Self {
            bytes,
            ..Self::default()
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn first(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    /// There is nothing but blanks.
    pub(super) fn is_blank(&self) -> bool {
        self.marks == 0
    }

    /// A sign that a line goes on, with the line break and nothing else.
    pub(super) fn is_continued(&self) -> bool {
        self.marks == 1 && matches!(self.mark, b'\\' | b'^' | b'`') && self.line.is_some()
    }

    /// What stands in the last line, if there is a line break.
    pub(super) fn line(&self) -> Option<&[u8]> {
        self.line.and_then(|line| self.bytes.get(line..))
    }

    /// It is blanks with a line break.
    pub(super) fn is_break(&self) -> bool {
        self.line.is_some() && self.is_blank()
    }

    pub(super) fn is_quoted(&self) -> bool {
        self.quotes > 0
    }

    /// Tells whether this makes one text of the two that it stands between.
    pub(super) fn joins_texts(&self) -> bool {
        self.quotes == 2 && !self.strange
    }
}

pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

pub(super) fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}
