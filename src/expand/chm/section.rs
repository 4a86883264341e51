//! The compressed section: LZX in frames of 32 KiB, whose places a table has, and whose decoder begins anew at some of them.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use lzxd::{Lzxd, WindowSize};

use crate::bytes::Reader;
use crate::expand::{cut_short, damaged};
use crate::object::Object;

/// The content of a frame.
const FRAME: u64 = 32 * 1024;

/// What a frame is compressed to at most: what cannot be compressed grows a little.
const PACKED: u64 = FRAME + 6144;

/// How often the whole section may be decoded. Files that lie over each other need more; nothing real does that.
const AGAIN: u64 = 8;

/// The section.
pub(super) struct Compressed {
    content: Object,
    /// The table of the places of frames, from the first on.
    places: Object,
    frames: u64,
    /// The length of what comes out.
    length: u64,
    /// Frames after which the decoder begins anew.
    interval: u64,
    window: WindowSize,
    decoder: Box<Lzxd>,
    /// The frame that the decoder gives next.
    next: u64,
    /// The content of the frame before it.
    frame: Vec<u8>,
    /// Frames that may still be decoded.
    budget: u64,
}

impl Compressed {
    pub(super) fn open(control: &Object, table: Object, content: Object) -> io::Result<Self> {
        let bytes = control.bytes_at(0, 28)?;
        let fields = (|| {
            let mut reader = Reader::new(bytes.get(4..)?.strip_prefix(b"LZXC")?);
            Some((reader.u32_le()?, reader.u32_le()?, reader.u32_le()?))
        })();
        let Some((version, interval, window)) = fields else {
            return Err(damaged("how the section is compressed is not LZX"));
        };
        let (interval, window) = match version {
            1 => (u64::from(interval) / FRAME, u64::from(window)),
            2 => (u64::from(interval), u64::from(window) * FRAME),
            _ => return Err(damaged(format!("version {version} of LZX"))),
        };
        let window = match window >> 15 {
            1 => WindowSize::KB32,
            2 => WindowSize::KB64,
            4 => WindowSize::KB128,
            8 => WindowSize::KB256,
            16 => WindowSize::KB512,
            32 => WindowSize::MB1,
            64 => WindowSize::MB2,
            _ => return Err(damaged(format!("a window of {window} bytes"))),
        };
        let bytes = table.bytes_at(0, 40)?;
        let fields = (|| {
            let mut reader = Reader::new(bytes.get(4..)?);
            let (frames, entry, header) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
            let length = reader.u64_le()?;
            reader.take(8)?;
            Some((frames, entry, header, length, reader.u64_le()?))
        })();
        let Some((frames, 8, header, length, FRAME)) = fields else {
            return Err(damaged("the table of frames"));
        };
        if interval == 0 {
            return Err(damaged("an interval of nothing"));
        }
        Ok(Self {
            content,
            places: table.slice(header.into(), u64::MAX),
            frames: frames.into(),
            length,
            interval,
            window,
            decoder: Box::new(Lzxd::new(window)),
            next: 0,
            frame: Vec::new(),
            budget: u64::from(frames).saturating_add(64) * AGAIN,
        })
    }

    /// Where a frame is, in the compressed content.
    fn place(&self, frame: u64) -> io::Result<u64> {
        if frame >= self.frames {
            return Ok(self.content.length());
        }
        let bytes = self.places.bytes_at(frame * 8, 8)?;
        let place = Reader::new(&bytes).u64_le();
        place.ok_or_else(|| cut_short("the table of frames is cut"))
    }

    /// As many frames were decoded again as may be.
    pub(super) fn is_spent(&self) -> bool {
        self.budget == 0
    }

    /// Decodes up to the end of this frame, and gives it.
    fn frame(&mut self, number: u64) -> io::Result<&[u8]> {
        if self.next == number + 1 {
            return Ok(&self.frame);
        }
        if number >= self.frames {
            return Err(damaged("behind the end of the section"));
        }
        let first = number / self.interval * self.interval;
        if self.next > number || self.next < first {
            self.next = first;
        }
        while self.next <= number {
            let left = self.budget.checked_sub(1);
            self.budget = left.ok_or_else(|| damaged("too many files that overlap"))?;
            let current = self.next;
            // Until it has been decoded there is nothing to go on from.
            self.next = u64::MAX;
            if current.is_multiple_of(self.interval) {
                *self.decoder = Lzxd::new(self.window);
            }
            let (start, end) = (self.place(current)?, self.place(current + 1)?);
            let size = end.checked_sub(start).filter(|size| *size <= PACKED);
            let size = size.ok_or_else(|| damaged("a frame that is too long"))?;
            let size = usize::try_from(size).unwrap_or_default();
            let data = self.content.bytes_at(start, size)?;
            let wanted = self.length.saturating_sub(current * FRAME).min(FRAME);
            let wanted = usize::try_from(wanted).unwrap_or_default();
            let decoded = self.decoder.decompress_next(&data, wanted);
            let decoded = decoded.map_err(|error| damaged(error.to_string()))?;
            self.frame.clear();
            self.frame.extend_from_slice(decoded);
            self.next = current + 1;
        }
        Ok(&self.frame)
    }
}

/// A file in the section.
pub(super) struct Piece<'a> {
    section: &'a mut Compressed,
    at: u64,
    left: u64,
}

impl<'a> Piece<'a> {
    pub(super) fn new(section: &'a mut Compressed, at: u64, length: u64) -> Self {
        Self {
            section,
            at,
            left: length,
        }
    }
}

impl Read for Piece<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(out.len());
        let out = out.get_mut(..most).unwrap_or_default();
        if out.is_empty() {
            return Ok(0);
        }
        let frame = self.section.frame(self.at / FRAME)?;
        let from = usize::try_from(self.at % FRAME).unwrap_or_default();
        let count = frame.get(from..).unwrap_or_default().read(out)?;
        if count == 0 {
            return Err(damaged("behind the end of the section"));
        }
        self.at = self.at.saturating_add(count as u64);
        self.left -= count as u64;
        Ok(count)
    }
}
