//! The compressed RTF of messages ([MS-OXRTFCP]): a dictionary of 4,096 bytes that begins with what RTF begins with.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use crate::expand::{cut_short, damaged};

/// Sizes with and without compression, a word for the method, a checksum.
pub(super) const HEADER: usize = 16;

const COMPRESSED: &[u8] = b"LZFu";
const STORED: &[u8] = b"MELA";

const WINDOW: usize = 4096;

/// §2.1.2.1
const START: &[u8; 207] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Tells whether a stream begins like this.
pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head.get(8..12), Some(COMPRESSED | STORED))
}

/// What comes out of the stream that `input` reads, behind its header.
pub(super) struct Lzfu<R> {
    input: R,
    is_stored: bool,
    size: u32,
    given: u32,
    window: [u8; WINDOW],
    at: usize,
    flags: u8,
    /// Flags that are left.
    bits: u8,
    /// A copy that goes on: where from, and how long.
    copy: (usize, usize),
    ended: bool,
    /// Said after what came before it.
    error: Option<io::Error>,
}

impl<R: Read> Lzfu<R> {
    pub(super) fn new(header: &[u8], input: R) -> Self {
        let mut window = [0; WINDOW];
        if let Some(start) = window.first_chunk_mut() {
            *start = *START;
        }
        let size = header.get(4..).and_then(|rest| rest.first_chunk::<4>());
        Self {
            input,
            is_stored: header.get(8..12) == Some(STORED),
            size: size.map_or(0, |size| u32::from_le_bytes(*size)),
            given: 0,
            window,
            at: START.len(),
            flags: 0,
            bits: 0,
            copy: (0, 0),
            ended: false,
            error: None,
        }
    }

    fn input<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() {
                cut_short("compressed RTF without its end")
            } else {
                error
            }
        })?;
        Ok(bytes)
    }

    /// The next byte; `None` at the end.
    fn next(&mut self) -> io::Result<Option<u8>> {
        if self.ended {
            return Ok(None);
        }
        if self.is_stored {
            if self.given == self.size {
                return Ok(None);
            }
            return Ok(Some(self.input::<1>()?[0]));
        }
        while self.copy.1 == 0 {
            if self.bits == 0 {
                [self.flags] = self.input()?;
                self.bits = 8;
            }
            let is_copy = self.flags & 1 != 0;
            self.flags >>= 1;
            self.bits -= 1;
            if !is_copy {
                return Ok(Some(self.input::<1>()?[0]));
            }
            let token = usize::from(u16::from_be_bytes(self.input()?));
            // The end is a copy from the place where the next byte goes.
            if token >> 4 == self.at {
                self.ended = true;
                if self.given != self.size {
                    return Err(damaged("the size of the compressed RTF differs"));
                }
                return Ok(None);
            }
            self.copy = (token >> 4, (token & 15) + 2);
        }
        let (from, left) = self.copy;
        self.copy = ((from + 1) % WINDOW, left - 1);
        Ok(self.window.get(from).copied())
    }
}

impl<R: Read> Read for Lzfu<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut count = 0;
        for place in out {
            let byte = match self.next() {
                Ok(Some(byte)) => byte,
                Ok(None) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            };
            *place = byte;
            if let Some(place) = self.window.get_mut(self.at) {
                *place = byte;
            }
            self.at = (self.at + 1) % WINDOW;
            self.given = self.given.wrapping_add(1);
            count += 1;
        }
        match self.error.take() {
            Some(error) if count == 0 => Err(error),
            error => {
                self.error = error;
                Ok(count)
            }
        }
    }
}
