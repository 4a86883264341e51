//! The memory of a program that is run: its image, a stack, a heap, and what the system shows of itself.
#![forbid(unsafe_code)]

use std::ops::Range;

/// An address that nothing lies at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault;

/// Where the stack begins and ends.
const STACK: u32 = 0x0010_0000;
const STACK_LENGTH: usize = 0x0010_0000;
/// The thread's own block, which `fs` points at.
pub(super) const THREAD: u32 = 0x0008_0000;
const THREAD_LENGTH: usize = 0x4000;
/// Where calls of the system are.
pub(super) const SYSTEM: u32 = 0x7c80_0000;
const SYSTEM_LENGTH: usize = 0x1_0000;
const HEAP: u32 = 0x1000_0000;
const PAGE: u32 = 0x1000;

/// Bytes at an address.
struct Region {
    start: u32,
    bytes: Vec<u8>,
}

impl Region {
    fn new(start: u32, length: usize) -> Self {
        Self {
            start,
            bytes: vec![0; length],
        }
    }
}

/// All regions, the image first.
pub(super) struct Memory {
    regions: [Region; 5],
    /// A bit for each byte of the image that was written.
    written: Vec<u64>,
    /// Where the stub is in the image, and whether bytes outside of it were written.
    stub: Range<usize>,
    beyond: bool,
    /// Bytes that the heap may have.
    heap: usize,
}

impl Memory {
    pub(super) fn new(base: u32, image: Vec<u8>, stub: Range<usize>, heap: usize) -> Self {
        let written = vec![0; image.len().div_ceil(64)];
        let image = Region {
            start: base,
            bytes: image,
        };
        Self {
            regions: [
                image,
                Region::new(STACK, STACK_LENGTH),
                Region::new(HEAP, 0),
                Region::new(THREAD, THREAD_LENGTH),
                Region::new(SYSTEM, SYSTEM_LENGTH),
            ],
            written,
            stub,
            beyond: false,
            heap,
        }
    }

    /// Where the stack pointer begins.
    pub(super) fn stack(&self) -> u32 {
        STACK + 0x000f_f000
    }

    pub(super) fn into_image(self) -> Vec<u8> {
        let [image, ..] = self.regions;
        image.bytes
    }

    /// The place of an address in the image.
    pub(super) fn offset(&self, address: u32) -> Option<usize> {
        let [image, ..] = &self.regions;
        let within = address.checked_sub(image.start)? as usize;
        (within < image.bytes.len()).then_some(within)
    }

    /// Bytes of the image were written that are none of the stub's.
    pub(super) fn wrote_beyond(&self) -> bool {
        self.beyond
    }

    /// This place of the image is one of the stub's.
    pub(super) fn is_stub(&self, at: usize) -> bool {
        self.stub.contains(&at)
    }

    /// The byte at this place of the image was written.
    pub(super) fn was_written(&self, at: usize) -> bool {
        self.written
            .get(at / 64)
            .is_some_and(|bits| bits >> (at % 64) & 1 != 0)
    }

    /// The regions lie apart, and an access across a border is none.
    fn region(&self, address: u32, length: usize) -> Result<(usize, usize), Fault> {
        for (number, region) in self.regions.iter().enumerate() {
            let within = address.wrapping_sub(region.start) as usize;
            if within < region.bytes.len() && region.bytes.len() - within >= length {
                return Ok((number, within));
            }
        }
        Err(Fault)
    }

    pub(super) fn bytes(&self, address: u32, length: usize) -> Result<&[u8], Fault> {
        let (number, at) = self.region(address, length)?;
        let region = self.regions.get(number).ok_or(Fault)?;
        region.bytes.get(at..at + length).ok_or(Fault)
    }

    /// As many bytes as there are, at most `length`.
    pub(super) fn some(&self, address: u32, length: usize) -> &[u8] {
        let Ok((number, at)) = self.region(address, 1) else {
            return &[];
        };
        let rest = self
            .regions
            .get(number)
            .and_then(|region| region.bytes.get(at..));
        let rest = rest.unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }

    pub(super) fn read(&self, address: u32, size: usize) -> Result<u32, Fault> {
        let bytes = self.bytes(address, size)?;
        Ok(match *bytes {
            [a] => a.into(),
            [a, b] => u16::from_le_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => return Err(Fault),
        })
    }

    pub(super) fn write(&mut self, address: u32, size: usize, value: u32) -> Result<(), Fault> {
        let bytes = value.to_le_bytes();
        self.put(address, bytes.get(..size).unwrap_or_default())
    }

    pub(super) fn put(&mut self, address: u32, bytes: &[u8]) -> Result<(), Fault> {
        let (number, at) = self.region(address, bytes.len())?;
        let region = self.regions.get_mut(number).ok_or(Fault)?;
        let place = region.bytes.get_mut(at..at + bytes.len()).ok_or(Fault)?;
        place.copy_from_slice(bytes);
        if number == 0 {
            self.beyond |= !self.stub.contains(&at);
            for at in at..at + bytes.len() {
                if let Some(bits) = self.written.get_mut(at / 64) {
                    *bits |= 1 << (at % 64);
                }
            }
        }
        Ok(())
    }

    /// A text up to its zero.
    pub(super) fn text(&self, address: u32) -> Vec<u8> {
        const LONGEST: usize = 256;
        let bytes = self.some(address, LONGEST);
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes
            .get(..end.unwrap_or(bytes.len()))
            .unwrap_or_default()
            .to_vec()
    }

    /// More heap; its address, or 0 when there is none left.
    pub(super) fn allocate(&mut self, length: u32) -> u32 {
        let [_, _, heap, ..] = &mut self.regions;
        let length = length
            .max(1)
            .checked_next_multiple_of(PAGE)
            .unwrap_or(u32::MAX) as usize;
        let all = heap.bytes.len().saturating_add(length);
        if all > self.heap {
            return 0;
        }
        let address = heap
            .start
            .wrapping_add(u32::try_from(heap.bytes.len()).unwrap_or(0));
        heap.bytes.resize(all, 0);
        address
    }
}
